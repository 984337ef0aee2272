"""The loop IR: for every value of a program, how one element of it is computed.

A program is a tree of blocks. A block is a list of values in order of dependence; each has
a shape, a dtype and a *definition*, which describes an element by a scalar expression of
its index. What is stored, and in which loops, is not said here: that is the schedule.

Sizes are Python ints where they are part of the code, or `Sym`s where the code takes them
at run time. A `Sym` may be compared for identity only; its value is used to call the code,
never to write it.

Nodes do not change once they are made (`freeze` has that checked). A node says once what it
is made of (`children`) and how the like of it is made of others (`rebuild`); walks are
`visit.Visitor`s. `show` writes a program as text and `parse` reads it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from covector.compiler.ir.expr import (
    Arg,
    Dim,
    Expr,
    FromIndex,
    IDyn,
    Index,
    IOp,
    IPart,
    IVar,
    Lit,
    Load,
    Node,
    Op,
    Sym,
    Test,
    Value,
    Where,
    clamped,
    iop,
    ivars,
    product,
)
from covector.core.dtypes import DType, bool_

# All kinds of nodes are to be had here.
__all__ = [
    "KNOWN", "NODES", "Arg", "Block", "Bound", "Branch", "Combination", "Constant", "Cumulative",
    "Defn", "Dim", "Expr", "FromIndex", "IDyn", "IOp", "IPart", "IVar", "Index", "Input",
    "LibraryCall", "Lit", "Load", "Loop", "LoopProgram", "Node", "Op", "Part", "Pointwise",
    "Reduce", "Spec", "Strips", "Sym", "Test", "Update", "Value", "Where", "clamped", "defined",
    "freeze", "gives_value", "iop", "ivars", "product", "stands_alone",
]  # fmt: skip

# --- values and their definitions --------------------------------------------------------


class Defn:
    """How a value comes about."""

    __slots__ = ()
    # The values of a definition that has several; empty where the value itself is all.
    results: tuple[Value, ...] = ()

    def children(self) -> Sequence[Node]:
        """The expressions and indices that are evaluated."""
        return ()

    def uses(self) -> Sequence[Value]:
        """The values that are used whole."""
        return ()

    def nested(self) -> Sequence[Block]:
        """The blocks within."""
        return ()


Spec = tuple[Sequence[Dim], DType]


def _results(specs: Sequence[Spec], defn: Defn) -> tuple[Value, ...]:
    return tuple([Value(shape, dtype, defn, k) for k, (shape, dtype) in enumerate(specs)])


class Input(Defn):
    """An argument of the program."""

    __slots__ = ("position",)

    def __init__(self, position: int) -> None:
        self.position = position


class Constant(Defn):
    """An array known when the program is called; passed like an argument."""

    __slots__ = ("position",)

    def __init__(self, position: int) -> None:
        self.position = position


class Bound(Defn):
    """A value that an enclosing loop provides.

    ``what`` is ``carry``, ``stacked`` (a carry that gains a row each round) or ``counter``; in
    `Strips`, ``lanes`` (a carry that is another one for each index) or ``lane`` (the index).
    """

    __slots__ = ("what",)

    def __init__(self, what: str) -> None:
        self.what = what


class Pointwise(Defn):
    """Element = ``expr`` of the index variables, one per axis.

    ``flat`` says that this is another value in another shape, its elements in the same order.
    """

    __slots__ = ("expr", "flat")

    def __init__(self, expr: Expr, flat: bool = False) -> None:
        self.expr = expr
        self.flat = flat

    def children(self) -> Sequence[Node]:
        return (self.expr,)


class Combination:
    """How a reduction merges elements into its running results: any associative operation.

    Those that are known may be merged in any order, others in the order of the elements.

    ``results`` are the new running results, expressions of `Arg`s: the old ones first, then
    the values of the element (or another part's running results). They start at ``identity``,
    constants or scalars of the program.
    A known combination is its ``name`` alone and takes one value of any dtype that fits;
    `combine.spelled` writes it out.
    """

    __slots__ = ("name", "identity", "results")

    def __init__(
        self, name: str, identity: Sequence[Expr] = (), results: Sequence[Expr] = ()
    ) -> None:
        self.name = name
        self.identity = tuple(identity)
        self.results = tuple(results)

    @property
    def known(self) -> bool:
        return not self.results

    @property
    def finds(self) -> bool:
        """Whether the result is the position of an element, along the last extent."""
        return self.name in ("argmax", "argmin")

    def __repr__(self) -> str:
        return self.name or "combination"


_NAMES = ("sum", "prod", "max", "min", "and", "or", "xor", "argmax", "argmin", "logaddexp")
KNOWN = {name: Combination(name) for name in _NAMES}


class Reduce(Defn):
    """Reduction of the values of ``exprs`` over further index variables.

    Index variables ``0..ndim-1`` are the result's, ``ndim..`` run over ``extents``.
    ``order`` lists all of them from the outermost loop inwards, as the operand is stored.
    A known ``kind`` reduces one expression; another has ``results``, one an expression.
    """

    __slots__ = ("kind", "extents", "exprs", "order", "results")

    def __init__(
        self,
        kind: Combination,
        extents: Sequence[Dim],
        exprs: Sequence[Expr],
        order: Sequence[int],
        results: Sequence[Spec] = (),
    ) -> None:
        self.kind = kind
        self.extents = tuple(extents)
        self.exprs = tuple(exprs)
        self.order = tuple(order)
        self.results = _results(results, self)

    @property
    def expr(self) -> Expr:
        """The expression that a known combination reduces."""
        return self.exprs[0]

    def children(self) -> Sequence[Node]:
        return (*self.exprs, *self.kind.identity)


class Cumulative(Defn):
    """Running results of a known combination ``kind`` of ``expr`` along ``axis``."""

    __slots__ = ("kind", "axis", "reverse", "expr")

    def __init__(self, kind: Combination, axis: int, reverse: bool, expr: Expr) -> None:
        self.kind = kind
        self.axis = axis
        self.reverse = reverse
        self.expr = expr

    def children(self) -> Sequence[Node]:
        return (self.expr,)


class Part:
    """Elements written into a value: for each index of ``extents``, ``expr`` at ``dest``.

    ``combine`` (``add mul min max``) merges with the element there; ``tests`` guard the
    write; indices that differ along the ``serial`` axes alone may share a destination. In a
    ``grouped`` part, those that do follow each other, and there is one serial axis. If it is not
    the first, the only test says which of its elements belong to a group, each to at most one.
    """

    __slots__ = ("extents", "dest", "expr", "combine", "tests", "serial", "grouped")

    def __init__(
        self,
        extents: Sequence[Dim],
        dest: Sequence[Index],
        expr: Expr,
        combine: str | None = None,
        tests: Sequence[Test] = (),
        serial: Sequence[int] = (),
        grouped: bool = False,
    ) -> None:
        self.extents = tuple(extents)
        self.dest = tuple(dest)
        self.expr = expr
        self.combine = combine
        self.tests = tuple(tests)
        self.serial = tuple(serial)
        self.grouped = grouped

    @property
    def limits(self) -> tuple[Index, Index] | None:
        """Where a group begins and ends along an inner serial axis."""
        if not self.grouped or self.serial == (0,) or not self.tests:
            return None
        return self.tests[0][1:]

    def indices(self) -> list[Index]:
        """The indices of the destination and of the tests."""
        return [*self.dest, *[i for test in self.tests for i in test]]


class Update(Defn):
    """``base`` (or uninitialised memory) with the ``parts`` written into it in order.

    ``pointwise`` is an equivalent expression of an element, used for small arrays that
    live in registers, and where an array is made of few pieces and its elements are cheaper to
    seek where they are read.
    """

    __slots__ = ("base", "parts", "pointwise")

    def __init__(
        self, base: Value | None, parts: Sequence[Part], pointwise: Expr | None = None
    ) -> None:
        self.base = base
        self.parts = tuple(parts)
        self.pointwise = pointwise

    @property
    def expr(self) -> Expr:
        """What an element is, where it is not stored."""
        assert self.pointwise is not None
        return self.pointwise

    def children(self) -> Sequence[Node]:
        out: list[Node] = [] if self.pointwise is None else [self.pointwise]
        for p in self.parts:
            out += [p.expr, *p.indices()]
        return out

    def uses(self) -> Sequence[Value]:
        return () if self.base is None else (self.base,)


class LibraryCall(Defn):
    """A call of the runtime library; operands and results are in memory.

    ``kind`` names the emitter's rule; ``attrs`` are its parameters.
    """

    __slots__ = ("kind", "operands", "attrs", "results", "effect")

    def __init__(
        self,
        kind: str,
        operands: Sequence[Value],
        attrs: dict[str, Any],
        results: Sequence[Spec],
        effect: bool = False,
    ) -> None:
        self.kind = kind
        self.operands = tuple(operands)
        self.attrs = attrs
        self.results = _results(results, self)
        self.effect = effect

    def uses(self) -> Sequence[Value]:
        return self.operands


class Loop(Defn):
    """``while cond(carry): carry = body(carry)``, or ``trips`` rounds of the body.

    ``carries`` are the values as the blocks see them, ``inits`` before the first round,
    ``results`` after the last. ``counter`` (an i64 scalar) counts rounds from zero.
    """

    __slots__ = ("cond", "body", "carries", "inits", "results", "trips", "counter")

    def __init__(
        self,
        inits: Sequence[Value],
        carries: Sequence[Value],
        body: Block,
        cond: Block | None = None,
        trips: Dim | None = None,
        counter: Value | None = None,
    ) -> None:
        self.inits = tuple(inits)
        self.carries = tuple(carries)
        self.body = body
        self.cond = cond
        self.trips = trips
        self.counter = counter
        self.results = _results([(c.shape, c.dtype) for c in carries], self)

    def uses(self) -> Sequence[Value]:
        return self.inits

    def nested(self) -> Sequence[Block]:
        return (self.body,) if self.cond is None else (self.cond, self.body)


class Branch(Defn):
    """``blocks[index]()``; the results are those of the block that runs."""

    __slots__ = ("index", "blocks", "results")

    def __init__(self, index: Value, blocks: Sequence[Block], results: Sequence[Spec]) -> None:
        self.index = index
        self.blocks = tuple(blocks)
        self.results = _results(results, self)

    def uses(self) -> Sequence[Value]:
        return (self.index,)

    def nested(self) -> Sequence[Block]:
        return self.blocks


class Strips(Defn):
    """``block`` for each index along an axis, to which alone belongs what it computes.

    ``lane`` (an i64 scalar) is the index. Results have the axis first, but for those that are
    ``whole``: arrays of which each index writes its part. Indices are the lanes of vectors, a strip
    of them at a time: a loop goes on as long as its test holds for one of a strip, and leaves alone
    what the others carry.
    """

    __slots__ = ("extent", "lane", "block", "whole", "results")

    def __init__(self, extent: Dim, lane: Value, block: Block, whole: Sequence[bool] = ()) -> None:
        self.extent = extent
        self.lane = lane
        self.block = block
        self.whole = tuple(whole) if any(whole) else (False,) * len(block.results)
        self.results = _results([
            (r.shape if w else (extent, *r.shape), r.dtype)
            for r, w in zip(block.results, self.whole, strict=True)
        ], self)  # fmt: skip

    def nested(self) -> Sequence[Block]:
        return (self.block,)


def defined(defn: Defn) -> tuple[Value, ...]:
    """The values a block lists for a definition of several results.

    One without results (a callback for its effect) has a value that nothing reads.
    """
    return defn.results or (Value((), bool_, defn),)


def stands_alone(defn: Defn) -> bool:
    """Whether a definition shares its loops, if it has any, with no other."""
    return isinstance(defn, (LibraryCall, Loop, Branch, Strips)) or bool(defn.results)


def gives_value(defn: Defn) -> bool:
    """Whether there is a value to read."""
    return bool(defn.results) or not stands_alone(defn)


class Block:
    """Values in order of dependence, and the results among them."""

    __slots__ = ("values", "results", "__weakref__")

    def __init__(self, values: Sequence[Value], results: Sequence[Value]) -> None:
        self.values = tuple(values)
        self.results = tuple(results)


class LoopProgram:
    """A whole program: its block, the run-time sizes and the interface.

    Attributes
    ----------
    name : str
    block : Block
    inputs, consts : tuple of Value
    syms : tuple of Sym
        In order of slot; their values are the parameters of this binding of the code (sizes,
        offsets, identities of callbacks).
    donated : tuple of bool
        Which inputs may be overwritten; empty for none.
    large : bool
        Whether positions in some array take more than 31 bits.
    """

    __slots__ = ("name", "block", "inputs", "consts", "syms", "donated", "large")

    def __init__(
        self,
        name: str,
        block: Block,
        inputs: Sequence[Value],
        consts: Sequence[Value] = (),
        syms: Sequence[Sym] = (),
        donated: Sequence[bool] = (),
        large: bool = False,
    ) -> None:
        self.name = name
        self.block = block
        self.inputs = tuple(inputs)
        self.consts = tuple(consts)
        self.syms = tuple(syms)
        self.donated = tuple(donated) if any(donated) else ()
        self.large = large


NODES: tuple[type, ...] = (
    Sym, IVar, IOp, IDyn, IPart, Lit, Arg, Load, Op, FromIndex, Where, Value, Input, Constant,
    Bound, Pointwise, Combination, Reduce, Cumulative, Part, Update, LibraryCall, Loop, Branch,
    Strips, Block, LoopProgram,
)  # fmt: skip


def _set_once(self: object, name: str, value: object) -> None:
    if hasattr(self, name):
        raise AttributeError(f"{type(self).__name__}.{name} is set once, when the node is made")
    object.__setattr__(self, name, value)


def freeze() -> None:
    """Make every attempt to change a node an error, at some cost; tests run so."""
    for cls in NODES:
        cls.__setattr__ = _set_once  # type: ignore[method-assign, assignment]
