"""Whether a program of the loop IR makes sense: scopes, ranks, dtypes, sizes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

from covector.compiler.ir.errors import LoopTextError, Place
from covector.compiler.ir.nodes import (
    KNOWN,
    Arg,
    Block,
    Bound,
    Branch,
    Constant,
    Cumulative,
    Dim,
    Expr,
    FromIndex,
    IDyn,
    Input,
    IOp,
    IPart,
    IVar,
    LibraryCall,
    Load,
    Loop,
    LoopProgram,
    Node,
    Op,
    Part,
    Pointwise,
    Reduce,
    Spec,
    Strips,
    Sym,
    Test,
    Update,
    Value,
    Where,
    gives_value,
)
from covector.compiler.ir.show import show_broken
from covector.compiler.ir.visit import Visitor
from covector.core import dtypes
from covector.core.dtypes import DType
from covector.core.opspec import OpSpec
from covector.core.rules import ELEMENTWISE

_INDEX_OPS = frozenset("+ - * // % min max inside".split())
_COMBINE = frozenset("add mul min max".split())


class _Broken(Exception):
    def __init__(self, rule: str, value: Value | None) -> None:
        super().__init__(rule)
        self.rule = rule
        self.value = value


class _Verifier(Visitor):
    """Goes through a program in order; the values that are in scope grow on the way."""

    def __init__(self, program: LoopProgram) -> None:
        self.program = program
        self.syms = set(program.syms)
        self.scope: set[Value] = set()
        # The definition at hand: its value, and how many index variables there are.
        self.value: Value | None = None
        self.axes = 0

    def fail(self, rule: str, value: Value | None = None) -> NoReturn:
        raise _Broken(rule, value or self.value)

    def check(self, ok: bool, rule: str) -> None:
        if not ok:
            self.fail(rule)

    # --- the program ---

    def run(self) -> None:
        p = self.program
        self.check([s.slot for s in p.syms] == list(range(len(p.syms))), "sizes are in order")
        for kind, values in ((Input, p.inputs), (Constant, p.consts)):
            for k, v in enumerate(values):
                self.define(v)
                good = type(v.defn) is kind and v.defn.position == k
                self.check(good, f"a value of the interface is its {kind.__name__.lower()} {k}")
        self.check(len(p.donated) in (0, len(p.inputs)), "an input is donated or not")
        self.block(p.block)

    def define(self, v: Value) -> None:
        self.value = v
        self.check(v not in self.scope, "a value is defined once")
        self.check(v.dtype in dtypes.code_of, f"{v.dtype} is a dtype")
        self.dims(v.shape)
        self.scope.add(v)

    def dims(self, dims: Iterable[Dim]) -> None:
        for d in dims:
            if type(d) is Sym:
                self.sym(d)
            else:
                self.check(type(d) is int and d >= 0, f"a size is a whole number, not {d}")

    @contextmanager
    def inside(self, values: Sequence[Value]) -> Iterator[None]:
        """Within a block that sees ``values``, and keeps what it defines to itself."""
        outer, value = set(self.scope), self.value
        for v in values:
            self.define(v)
        yield
        self.scope, self.value = outer, value

    def block(self, block: Block) -> None:
        values = iter(block.values)
        for v in values:
            self.value = v
            d = v.defn
            rule = _RULES.get(type(d))
            if rule is None:
                self.fail(f"a block defines no {type(d).__name__.lower()}")
            self.check(v.output_index == 0, "the results of a definition stand together")
            self.all_used(d.uses())
            rule(self, v, d)
            group = d.results or (v,)
            if d.results:
                self.check(v is group[0], "the results of a definition are listed")
                for r in group[1:]:
                    self.check(next(values, None) is r, "all results of a definition are listed")
            for r in group if gives_value(d) else ():
                self.define(r)
        self.value = block.values[-1] if block.values else self.value
        self.all_used(block.results)

    def all_used(self, values: Iterable[Value]) -> None:
        for v in values:
            self.check(v in self.scope, "a value is used where it is defined")

    # --- indices and expressions ---

    def element(self, node: Node, axes: int, dtype: DType | None = None) -> None:
        """An expression or index over ``axes`` index variables."""
        self.axes = axes
        self.visit(node)
        if dtype is not None and isinstance(node, Expr) and node.dtype != dtype:
            self.fail(f"an element is {dtype.name}, not {node.dtype.name}")

    def tests(self, tests: Sequence[Test]) -> None:
        for test in tests:
            for i in test:
                self.visit(i)

    def sym(self, node: Sym) -> None:
        self.check(node in self.syms, f"n{node.slot} is a size of the program")

    def ivar(self, node: IVar) -> None:
        self.check(node.axis < self.axes, f"i{node.axis} is one of {self.axes} index variables")

    def iop(self, node: IOp) -> None:
        self.check(node.op in _INDEX_OPS, f"{node.op} is no operation on indices")
        if node.op in ("//", "%") and type(node.b) is int:
            self.check(node.b > 0, "a divisor is positive")
        self.inner(node)

    def dyn(self, node: IDyn) -> None:
        dtype = node.expr.dtype
        self.check(dtype in dtypes.INTEGERS, f"an index is a whole number, not {dtype.name}")
        self.visit(node.expr)

    def part(self, node: IPart) -> None:
        self.check(0 <= node.axis < len(node.dims), "a coordinate is of an axis of its box")
        self.dims(node.dims)
        self.visit(node.position)

    def arg(self, node: Arg) -> None:
        self.fail("an operand of a combination stands in a combination")

    def load(self, node: Load) -> None:
        v = node.value
        self.check(v in self.scope, "a value is used where it is defined")
        n = len(node.index)
        self.check(n == v.ndim, f"a value of {v.ndim} axes has as many indices, not {n}")
        self.inner(node)

    def op(self, node: Op) -> None:
        types = [a.dtype for a in node.args]
        self.check(bool(types), f"{node.name} has operands")
        if node.name == "select_n":
            good = all(t == node.dtype for t in types[1:])
            self.check(good, "the cases of select_n have the dtype of its result")
        elif node.name == "convert_element_type":
            self.check(len(types) == 1, "a conversion is of one operand")
        elif (prim := ELEMENTWISE.get(node.name)) is not None and prim.spec is not None:
            self.row(node, types, prim.spec)
        self.inner(node)

    def row(self, node: Op, types: Sequence[DType], spec: OpSpec) -> None:
        """An elementwise operation is as its row says."""
        self.check(len(types) == spec.arity, f"{node.name} is of {spec.arity} operands")
        good = all(t == types[0] for t in types)
        self.check(good, f"the operands of {node.name} have one dtype")
        result = spec.result
        if result is None:
            good = node.dtype == types[0]
            self.check(good, f"operands and result of {node.name} have one dtype")
        else:
            want = result(types[0]) if callable(result) else result
            self.check(node.dtype == want, f"the result of {node.name} is {want.name}")

    def from_index(self, node: FromIndex) -> None:
        self.visit(node.index)

    def where(self, node: Where) -> None:
        self.check(node.then.dtype == node.other.dtype, "both sides of a condition have one dtype")
        self.inner(node)

    # --- definitions ---

    def pointwise(self, v: Value, d: Pointwise) -> None:
        self.element(d.expr, v.ndim, v.dtype)
        if d.flat:
            self.check(type(d.expr) is Load, "a reshaped value is a load of another")
            assert type(d.expr) is Load
            sizes = (v.constant_size(), d.expr.value.constant_size())
            same = sizes[0] == sizes[1] or None in sizes
            self.check(same, "a reshaped value has as many elements as the other")

    def reduce(self, v: Value, d: Reduce) -> None:
        n = v.ndim + len(d.extents)
        self.dims(d.extents)
        self.check(sorted(d.order) == list(range(n)), f"the order is of {n} index variables")
        if d.kind.known:
            self.check(KNOWN.get(d.kind.name) is d.kind, f"{d.kind.name} is a combination")
            self.check(len(d.exprs) == 1, f"{d.kind.name} takes one expression")
            if d.kind.finds:
                self.check(v.dtype in dtypes.INTEGERS, "a position is a whole number")
            self.element(d.expr, n, None if d.kind.finds else v.dtype)
            return
        for r, e in zip(d.results, d.exprs, strict=False):
            self.element(e, n, r.dtype)
            self.check(r.shape == v.shape, "the results of a reduction have one shape")
        self.combination(d)

    def combination(self, d: Reduce) -> None:
        c, types = d.kind, [r.dtype for r in d.results]
        for what in (d.exprs, c.identity, c.results):
            good = [e.dtype for e in what] == types
            self.check(good, "a combination is of as many values and dtypes as there are results")
        for e in c.identity:
            self.element(e, 0)
        check = _CombinationCheck(self, types)
        for e in c.results:
            check.visit(e)

    def cumulative(self, v: Value, d: Cumulative) -> None:
        self.check(0 <= d.axis < v.ndim, f"axis {d.axis} is one of {v.ndim}")
        good = KNOWN.get(d.kind.name) is d.kind and not d.kind.finds
        self.check(good, "a running result is of a known combination")
        self.element(d.expr, v.ndim, v.dtype)

    def update(self, v: Value, d: Update) -> None:
        if d.base is not None:
            self.agree([d.base], [v], "an update has the shape and dtype of its base")
        for p in d.parts:
            self.update_part(v, p)
        if d.pointwise is not None:
            self.element(d.pointwise, v.ndim, v.dtype)

    def update_part(self, v: Value, p: Part) -> None:
        n = len(p.extents)
        self.dims(p.extents)
        self.element(p.expr, n, v.dtype)
        self.check(len(p.dest) == v.ndim, f"a destination in {v.ndim} axes has as many indices")
        self.check(p.combine is None or p.combine in _COMBINE, f"{p.combine} merges no elements")
        self.check(all(0 <= k < n for k in p.serial), "a serial axis is one of the part's")
        self.check(not p.grouped or len(p.serial) == 1, "a grouped part has one serial axis")
        if p.limits is not None:
            self.limits(p)
        for i in p.indices():
            self.element(i, n)

    def limits(self, p: Part) -> None:
        """An inner serial axis of groups: the first test says where each begins and ends."""
        (axis,), at = p.serial, p.tests[0][0]
        known = type(at) is IVar and at.axis == axis and len(p.tests) == 1
        self.check(known, "the one test of a part grouped along an inner axis is of that axis")
        self.check(p.combine is not None, "the elements of a group are merged")
        # Limits are of earlier axes alone, and so is where the elements of an innermost axis go.
        innermost = axis == len(p.extents) - 1
        for i in (*(p.limits or ()), *(p.dest if innermost else ())):
            self.element(i, axis)

    def call(self, v: Value, d: LibraryCall) -> None:
        self.sizes_in(d.attrs)
        self.check(bool(d.kind), "a library call has a name")

    def sizes_in(self, attr: object) -> None:
        if type(attr) is Sym:
            self.sym(attr)
        elif isinstance(attr, tuple):
            for a in attr:
                self.sizes_in(a)
        elif isinstance(attr, dict):
            for a in attr.values():
                self.sizes_in(a)

    def loop(self, v: Value, d: Loop) -> None:
        self.agree(d.inits, d.carries, "what is carried has the shape and dtype it begins with")
        self.check((d.trips is None) != (d.cond is None), "a loop has a condition or a number")
        if d.trips is not None:
            self.dims([d.trips])
        own = list(d.carries)
        if d.counter is not None:
            c = d.counter
            self.check(not c.shape and c.dtype == dtypes.int64, "a counter is an i64 scalar")
            own.append(c)
        self.check(all(type(c.defn) is Bound for c in own), "a loop provides what it carries")
        if d.cond is not None:
            with self.inside(own):
                self.block(d.cond)
            good = [(r.shape, r.dtype) for r in d.cond.results] == [((), dtypes.bool_)]
            self.check(good, "a condition is one bool scalar")
        with self.inside(own):
            self.block(d.body)
        self.agree(d.body.results, d.carries, "a round gives what is carried")

    def branch(self, v: Value, d: Branch) -> None:
        i = d.index
        self.check(not i.shape and i.dtype in dtypes.INTEGERS, "a branch is told by an integer")
        self.check(bool(d.blocks), "a branch has cases")
        for b in d.blocks:
            with self.inside(()):
                self.block(b)
            self.agree(b.results, d.results, "a case gives the results of the branch")

    def strips(self, v: Value, d: Strips) -> None:
        self.dims([d.extent])
        lane = d.lane
        good = not lane.shape and lane.dtype == dtypes.int64 and type(lane.defn) is Bound
        self.check(good, "the index of strips is an i64 scalar that they provide")
        with self.inside([lane]):
            self.block(d.block)
        good = [_spec(r) for r in d.results] == [
            (r.shape if w else (d.extent, *r.shape), r.dtype)
            for r, w in zip(d.block.results, d.whole, strict=True)
        ]
        self.check(good, "the results of strips have the index first, or are whole")

    def agree(self, a: Sequence[Value], b: Sequence[Value], rule: str) -> None:
        self.check([_spec(v) for v in a] == [_spec(v) for v in b], rule)


class _CombinationCheck(Visitor):
    """A combination reads its operands alone."""

    def __init__(self, outer: _Verifier, types: Sequence[DType]) -> None:
        self.outer = outer
        self.types = [*types, *types]

    def arg(self, node: Arg) -> None:
        good = node.position < len(self.types) and self.types[node.position] == node.dtype
        self.outer.check(good, f"a{node.position} is an operand of the combination")

    def load(self, node: Load) -> None:
        self.outer.fail("a combination reads its operands alone")

    def from_index(self, node: FromIndex) -> None:
        self.outer.element(node.index, 0)

    def where(self, node: Where) -> None:
        self.outer.fail("a combination knows no index")


def _spec(v: Value) -> Spec:
    return (v.shape, v.dtype)


_RULES: dict[type, Callable[[_Verifier, Value, Any], None]] = {
    Pointwise: _Verifier.pointwise,
    Reduce: _Verifier.reduce,
    Cumulative: _Verifier.cumulative,
    Update: _Verifier.update,
    LibraryCall: _Verifier.call,
    Loop: _Verifier.loop,
    Branch: _Verifier.branch,
    Strips: _Verifier.strips,
}


def verify(program: LoopProgram, places: Mapping[Value, Place] | None = None) -> None:
    """Check a program.

    Parameters
    ----------
    program : LoopProgram
    places : mapping, optional
        Where its values are in a text it was read from; otherwise those in its own text.

    Raises
    ------
    LoopTextError
        With line, column and the rule that is broken.
    """
    try:
        _Verifier(program).run()
    except _Broken as e:
        place = _place(program, e.value, places or {})
        raise LoopTextError(e.rule, *place) from None


def _place(program: LoopProgram, v: Value | None, places: Mapping[Value, Place]) -> Place:
    if v is None:
        return Place(1, 1)
    if v in places:
        return places[v]
    text, names = show_broken(program)
    for row, line in enumerate(text.split("\n"), 1):
        column = line.find(f"{names[v]}:")
        if column >= 0:
            return Place(row, column + 1)
    return Place(1, 1)
