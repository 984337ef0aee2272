"""The loop IR: for every value of a program, how one element of it is computed.

A program is a tree of blocks. A block is a list of values in order of dependence; each has
a shape, a dtype and a *definition*, which describes an element by a scalar expression of
its index. What is stored, and in which loops, is not said here: that is the schedule.

Sizes are Python ints where they are part of the code, or `Sym`s where the code takes them
at run time. A `Sym` may be compared for identity only; its value is used to call the code,
never to write it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

from covector.core.avals import short_dtype
from covector.core.dtypes import DType

# --- sizes and indices -------------------------------------------------------------------


class Sym:
    """An integer known only at run time: the ``slot``-th parameter of the compiled code."""

    __slots__ = ("slot", "value")

    def __init__(self, slot: int, value: int) -> None:
        self.slot = slot
        self.value = value

    def __repr__(self) -> str:
        return f"n{self.slot}"


Dim = int | Sym


class IVar:
    """The index along one axis of the value being defined."""

    __slots__ = ("axis",)

    def __init__(self, axis: int) -> None:
        self.axis = axis

    def __repr__(self) -> str:
        return f"i{self.axis}"


class IOp:
    """Integer arithmetic on indices: ``+ - * // % min max``, on non-negative divisors.

    ``inside`` is `clamped`.
    """

    __slots__ = ("op", "a", "b")

    def __init__(self, op: str, a: Any, b: Any) -> None:
        self.op = op
        self.a = a
        self.b = b

    def __repr__(self) -> str:
        return f"({self.a} {self.op} {self.b})"


class IDyn:
    """An index computed by the program: an integer scalar expression."""

    __slots__ = ("expr",)

    def __init__(self, expr: Expr) -> None:
        self.expr = expr

    def __repr__(self) -> str:
        return f"[{self.expr}]"


class IPart:
    """One coordinate of the ``position``-th element, in row-major order, of a box.

    ``dims`` are the sizes of the box. All coordinates together are the position again, which
    is how a reshaped array is read without a division.
    """

    __slots__ = ("position", "dims", "axis")

    def __init__(self, position: Any, dims: tuple[Dim, ...], axis: int) -> None:
        self.position = position
        self.dims = dims
        self.axis = axis

    def __repr__(self) -> str:
        return f"{self.position}@{'x'.join(map(str, self.dims))}.{self.axis}"


Index = int | Sym | IVar | IOp | IDyn | IPart
_IVARS = tuple(IVar(k) for k in range(64))


def ivars(n: int) -> tuple[IVar, ...]:
    """Index variables of the first ``n`` axes (one object per axis)."""
    return _IVARS[:n]


def iop(op: str, a: Index, b: Index) -> Index:
    """``a op b``, folded where both are constants or one is neutral."""
    if type(a) is int and type(b) is int:
        if op == "+":
            return a + b
        if op == "-":
            return a - b
        if op == "*":
            return a * b
        if op == "//":
            return a // b
        if op == "%":
            return a % b
        if op == "inside":
            return max(min(a, b - 1), 0)
        return min(a, b) if op == "min" else max(a, b)
    if type(b) is int and ((b == 0 and op in "+-") or (b == 1 and op in ("*", "//"))):
        return a
    if type(a) is int and ((a == 0 and op == "+") or (a == 1 and op == "*")):
        return b
    return IOp(op, a, b)


# --- scalar expressions ------------------------------------------------------------------


class Expr:
    """A scalar expression; ``dtype`` is the type of its value."""

    __slots__ = ("dtype",)
    dtype: DType


class Lit(Expr):
    __slots__ = ("value",)

    def __init__(self, value: Any, dtype: DType) -> None:
        self.value = value
        self.dtype = dtype

    def __repr__(self) -> str:
        return f"{self.value}:{short_dtype(self.dtype)}"


class Load(Expr):
    """An element of another value."""

    __slots__ = ("value", "index")

    def __init__(self, value: Value, index: Sequence[Index]) -> None:
        self.value = value
        self.index = tuple(index)
        self.dtype = value.dtype

    def __repr__(self) -> str:
        return f"{self.value.name}[{', '.join(map(str, self.index))}]"


class Op(Expr):
    """A scalar operation, named as the primitive it comes from."""

    __slots__ = ("name", "args", "attr")

    def __init__(self, name: str, args: Sequence[Expr], dtype: DType, attr: Any = None) -> None:
        self.name = name
        self.args = tuple(args)
        self.dtype = dtype
        self.attr = attr

    def __repr__(self) -> str:
        attr = "" if self.attr is None else f"<{self.attr}>"
        return f"{self.name}{attr}({', '.join(map(str, self.args))})"


class FromIndex(Expr):
    """An index as a number."""

    __slots__ = ("index",)

    def __init__(self, index: Index, dtype: DType) -> None:
        self.index = index
        self.dtype = dtype

    def __repr__(self) -> str:
        return f"{short_dtype(self.dtype)}({self.index})"


class Where(Expr):
    """``then`` if ``low <= index < high`` else ``other``.

    Only the chosen side is evaluated when the comparison is decided at compile time;
    otherwise both are, so their loads must be valid for any index (`clamped`).
    """

    __slots__ = ("tests", "then", "other")

    def __init__(
        self, tests: Sequence[tuple[Index, Index, Index]], then: Expr, other: Expr
    ) -> None:
        self.tests = tuple(tests)
        self.then = then
        self.other = other
        self.dtype = then.dtype

    def __repr__(self) -> str:
        tests = " & ".join(f"{lo} <= {i} < {hi}" for i, lo, hi in self.tests)
        return f"({self.then} if {tests} else {self.other})"


def clamped(index: Index, size: Dim) -> Index:
    """An index that is in ``[0, size - 1]`` where the enclosing `Where` takes what it reads.

    Elsewhere it is moved there, or nothing is read.
    """
    return iop("inside", index, size)


# --- values and their definitions --------------------------------------------------------


class Value:
    """An array of the program. ``defn`` says how its elements come about."""

    __slots__ = ("id", "shape", "dtype", "defn", "output_index")
    # Programs number their values from zero; those made while code is written come above.
    _ids = itertools.count(1 << 40)

    def __init__(
        self, shape: Sequence[Dim], dtype: DType, defn: Any, output_index: int = 0
    ) -> None:
        self.id = next(Value._ids)
        self.shape = tuple(shape)
        self.dtype = dtype
        self.defn = defn
        self.output_index = output_index

    @property
    def name(self) -> str:
        return f"v{self.id}"

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def at(self, *index: Index) -> Load:
        return Load(self, index)

    def constant_size(self) -> int | None:
        """Number of elements if every dimension is a constant."""
        n = 1
        for d in self.shape:
            if type(d) is not int:
                return None
            n *= d
        return n

    def __repr__(self) -> str:
        return f"{self.name}:{short_dtype(self.dtype)}[{','.join(map(str, self.shape))}]"


class Input:
    """An argument of the program."""

    __slots__ = ("position",)

    def __init__(self, position: int) -> None:
        self.position = position


class Constant:
    """An array known when the program is called; passed like an argument."""

    __slots__ = ("position",)

    def __init__(self, position: int) -> None:
        self.position = position


class Bound:
    """A value that an enclosing loop provides.

    ``what`` is ``carry``, ``stacked`` (a carry that gains a row each round) or ``counter``.
    """

    __slots__ = ("what",)

    def __init__(self, what: str) -> None:
        self.what = what


class Pointwise:
    """Element = ``expr`` of the index variables, one per axis.

    ``flat`` says that this is another value in another shape, its elements in the same order.
    """

    __slots__ = ("expr", "flat")

    def __init__(self, expr: Expr, flat: bool = False) -> None:
        self.expr = expr
        self.flat = flat


class Reduce:
    """Reduction of ``expr`` over further index variables.

    Index variables ``0..ndim-1`` are the result's, ``ndim..`` run over ``extents``.
    ``order`` lists all of them from the outermost loop inwards, as the operand is stored.
    ``kind`` is ``sum prod max min and or xor``, or ``argmax``/``argmin`` (the result is the
    position along the last extent).
    """

    __slots__ = ("kind", "extents", "expr", "order")

    def __init__(self, kind: str, extents: Sequence[Dim], expr: Expr, order: Sequence[int]) -> None:
        self.kind = kind
        self.extents = tuple(extents)
        self.expr = expr
        self.order = tuple(order)


class Cumulative:
    """Running ``kind`` of ``expr`` along ``axis``."""

    __slots__ = ("kind", "axis", "reverse", "expr")

    def __init__(self, kind: str, axis: int, reverse: bool, expr: Expr) -> None:
        self.kind = kind
        self.axis = axis
        self.reverse = reverse
        self.expr = expr


class Part:
    """Elements written into a value: for each index of ``extents``, ``expr`` at ``dest``.

    ``combine`` (``add mul min max``) merges with the element there; ``tests`` guard the
    write; indices that differ along the ``serial`` axes alone may share a destination.
    """

    __slots__ = ("extents", "dest", "expr", "combine", "tests", "serial")

    def __init__(
        self,
        extents: Sequence[Dim],
        dest: Sequence[Index],
        expr: Expr,
        combine: str | None = None,
        tests: Sequence[tuple[Index, Index, Index]] = (),
        serial: Sequence[int] = (),
    ) -> None:
        self.extents = tuple(extents)
        self.dest = tuple(dest)
        self.expr = expr
        self.combine = combine
        self.tests = tuple(tests)
        self.serial = tuple(serial)


class Update:
    """``base`` (or uninitialised memory) with the ``parts`` written into it in order.

    ``pointwise`` is an equivalent expression of an element, used for small arrays that
    live in registers.
    """

    __slots__ = ("base", "parts", "pointwise")

    def __init__(
        self, base: Value | None, parts: Sequence[Part], pointwise: Expr | None = None
    ) -> None:
        self.base = base
        self.parts = tuple(parts)
        self.pointwise = pointwise


class LibraryCall:
    """A call of the runtime library; operands and results are in memory.

    ``kind`` names the emitter's rule; ``attrs`` are its parameters. ``results`` are filled
    by the lowering. ``inplace`` pairs an operand with the result that overwrites it.
    """

    __slots__ = ("kind", "operands", "attrs", "results", "inplace", "effect")

    def __init__(
        self,
        kind: str,
        operands: Sequence[Value],
        attrs: Any,
        inplace: Sequence[tuple[int, int]] = (),
        effect: bool = False,
    ) -> None:
        self.kind = kind
        self.operands = tuple(operands)
        self.attrs = attrs
        self.results: list[Value] = []
        self.inplace = tuple(inplace)
        self.effect = effect


class Loop:
    """``while cond(carry): carry = body(carry)``, or ``trips`` rounds of the body.

    ``carries`` are the values as the blocks see them, ``inits`` before the first round,
    ``results`` after the last. ``counter`` (an i64 scalar) counts rounds from zero.
    """

    __slots__ = ("cond", "body", "carries", "inits", "results", "trips", "counter")

    def __init__(self, inits: Sequence[Value], trips: Dim | None) -> None:
        self.inits = tuple(inits)
        self.trips = trips
        self.carries: list[Value] = []
        self.results: list[Value] = []
        self.cond: Block | None = None
        self.body: Block
        self.counter: Value | None = None


class Branch:
    """``blocks[index]()``; the results are those of the block that runs."""

    __slots__ = ("index", "blocks", "results")

    def __init__(self, index: Value, blocks: Sequence[Block]) -> None:
        self.index = index
        self.blocks = tuple(blocks)
        self.results: list[Value] = []


class Block:
    """Values in order of dependence, and the results among them."""

    __slots__ = ("values", "results")

    def __init__(self) -> None:
        self.values: list[Value] = []
        self.results: list[Value] = []


class LoopProgram:
    """A whole program: its block, the run-time sizes and the interface.

    Attributes
    ----------
    block : Block
    inputs, consts : list of Value
    syms : list of Sym
        In order of slot; their values are the parameters of this binding of the code.
    extra_params : list of int
        Parameters after the sizes that are not sizes (identities of callbacks).
    donated : tuple of bool
    """

    __slots__ = ("block", "inputs", "consts", "syms", "donated", "name", "keepalive", "calls")

    def __init__(self, name: str) -> None:
        self.block = Block()
        self.inputs: list[Value] = []
        self.consts: list[Value] = []
        self.syms: list[Sym] = []
        self.donated: tuple[bool, ...] = ()
        self.name = name
        self.keepalive: list[Any] = []
        # Kinds of library calls, and `loop` if there is any.
        self.calls: set[str] = set()

    def number(self) -> None:
        """Give the values the numbers by which the program's text names them."""
        count = itertools.count()

        def block(b: Block) -> None:
            for v in b.values:
                v.id = next(count)
                d = v.defn
                if isinstance(d, LibraryCall):
                    self.calls.add(d.kind)
                if isinstance(d, Loop) and v.output_index == 0:
                    self.calls.add("loop")
                    for c in (*d.carries, *([d.counter] if d.counter else [])):
                        c.id = next(count)
                    for sub in (d.cond, d.body):
                        if sub is not None:
                            block(sub)
                elif isinstance(d, Branch) and v.output_index == 0:
                    for sub in d.blocks:
                        block(sub)

        for v in (*self.inputs, *self.consts):
            v.id = next(count)
        block(self.block)

    def key(self) -> str:
        """The program's text without the values of sizes: equal keys mean equal code."""
        return "\n".join(_print_program(self, False))

    def __str__(self) -> str:
        return "\n".join(_print_program(self))


# --- walking -----------------------------------------------------------------------------


def index_loads(index: Index) -> Iterator[Load]:
    """Loads within an index."""
    if type(index) is IOp:
        yield from index_loads(index.a)
        yield from index_loads(index.b)
    elif type(index) is IPart:
        yield from index_loads(index.position)
    elif type(index) is IDyn:
        yield from loads(index.expr)


def loads(expr: Expr) -> Iterator[Load]:
    """Loads within an expression, those inside indices included."""
    t = type(expr)
    if t is Load:
        yield expr  # type: ignore[misc]
        for i in expr.index:  # type: ignore[attr-defined]
            yield from index_loads(i)
    elif t is Op:
        for a in expr.args:  # type: ignore[attr-defined]
            yield from loads(a)
    elif t is Where:
        for test in expr.tests:  # type: ignore[attr-defined]
            for i in test:
                yield from index_loads(i)
        yield from loads(expr.then)  # type: ignore[attr-defined]
        yield from loads(expr.other)  # type: ignore[attr-defined]
    elif t is FromIndex:
        yield from index_loads(expr.index)  # type: ignore[attr-defined]


def parts_of(expr: Expr) -> Iterator[Expr]:
    """The expression and all within it, what indices compute left out."""
    yield expr
    if type(expr) is Op:
        for a in expr.args:
            yield from parts_of(a)
    elif type(expr) is Where:
        yield from parts_of(expr.then)
        yield from parts_of(expr.other)


# --- printing ----------------------------------------------------------------------------


def _print_defn(v: Value, pad: str) -> Iterator[str]:
    d = v.defn
    match d:
        case Pointwise():
            yield f"{pad}{v} = {d.expr}"
        case Reduce():
            over = ", ".join(f"i{v.ndim + k} < {n}" for k, n in enumerate(d.extents))
            yield f"{pad}{v} = {d.kind}({over}) {d.expr}"
        case Cumulative():
            way = " reverse" if d.reverse else ""
            yield f"{pad}{v} = cumulative {d.kind} axis={d.axis}{way} {d.expr}"
        case Update():
            yield f"{pad}{v} = update {d.base.name if d.base else 'nothing'}"
            for p in d.parts:
                over = ", ".join(f"i{k} < {n}" for k, n in enumerate(p.extents))
                how = f" {p.combine}" if p.combine else ""
                tests = "".join(f" if {lo} <= {i} < {hi}" for i, lo, hi in p.tests)
                yield f"{pad}  ({over}){tests}: [{', '.join(map(str, p.dest))}]{how} = {p.expr}"
        case LibraryCall():
            if v.output_index == 0:
                ops = ", ".join(o.name for o in d.operands)
                outs = ", ".join(map(str, d.results))
                yield f"{pad}{outs} = call {d.kind}({ops}) {d.attrs}"
        case Loop():
            if v.output_index == 0:
                head = "while" if d.trips is None else f"repeat {d.trips}"
                outs = ", ".join(map(str, d.results))
                inits = ", ".join(i.name for i in d.inits)
                yield f"{pad}{outs} = {head} ({', '.join(map(str, d.carries))}) = ({inits})"
                if d.cond is not None:
                    yield from _print_block(d.cond, pad + "  ", "while")
                yield from _print_block(d.body, pad + "  ", "next")
        case Branch():
            if v.output_index == 0:
                yield f"{pad}{', '.join(map(str, d.results))} = branch {d.index.name}"
                for k, b in enumerate(d.blocks):
                    yield f"{pad}  case {k}:"
                    yield from _print_block(b, pad + "    ", "yield")
        case _:
            yield f"{pad}{v} = {type(d).__name__.lower()}"


def _print_block(block: Block, pad: str, last: str) -> Iterator[str]:
    for v in block.values:
        yield from _print_defn(v, pad)
    yield f"{pad}{last} {', '.join(v.name for v in block.results)}"


def _print_program(p: LoopProgram, bound: bool = True) -> Iterator[str]:
    yield f"program {p.name if bound else ''}({', '.join(map(str, p.inputs))})"
    if any(p.donated):
        pairs = zip(p.inputs, p.donated, strict=True)
        yield f"  donated {', '.join(v.name for v, d in pairs if d)}"
    if p.consts:
        yield f"  constants {', '.join(map(str, p.consts))}"
    if p.syms:
        values = (f"{s} = {s.value}" if bound else str(s) for s in p.syms)
        yield "  sizes " + ", ".join(values)
    yield from _print_block(p.block, "  ", "return")
