"""From a jaxpr to the loop IR: sizes erased, every primitive by its rule.

Rules are found by the primitive in `lowering_rules`; they live beside this file, one file per
family, and return the values that the equation defines.
"""

from __future__ import annotations

import importlib
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from covector.compiler.ir.nodes import (
    Block,
    Constant,
    Defn,
    Dim,
    Expr,
    FromIndex,
    Index,
    Input,
    LibraryCall,
    Lit,
    LoopProgram,
    Pointwise,
    Spec,
    Sym,
    Value,
    defined,
    iop,
)
from covector.compiler.ir.walk import reads_of
from covector.compiler.target import HOST, Target
from covector.core.avals import ShapedArray, aval_of, to_array
from covector.core.config import config
from covector.core.dtypes import DType
from covector.core.errors import SourceFrame
from covector.core.jaxpr import Atom, ClosedJaxpr, Jaxpr, Literal, all_jaxprs
from covector.core.record import Record
from covector.core.rules import missing_rule
from covector.core.trace import Primitive
from covector.primitives.dot import dot_general_p

Rule = Callable[..., Any]
lowering_rules: dict[Primitive, Rule] = {}

# Families that most programs have no primitive of. What they import takes milliseconds, so that
# a first call waits for them only if it needs them.
_LATE = (
    "control", "combinations", "linalg", "callbacks", "fourier", "convolution", "windows",
    "special", "collectives",
)  # fmt: skip

# Dimensions up to this are part of the code; larger ones are given at run time. A program
# of one operation is compiled once for all sizes, unless its operands are so large that
# code for short rows is worth another compilation; that of very short rows (points, colours, small
# matrices) is for less.
CONSTANT_DIM = 16
CONSTANT_DIM_EAGER = 1
LARGE = 1 << 16
CONSTANT_ROW = 8
MANY_ROWS = 1 << 10
# Elements are counted in 64-bit integers, in arrays that exist in part or not at all too.
COUNTABLE = 1 << 63
# Positions in an array of at most this many have 31 bits.
NARROW = 1 << 31


def rule(*prims: Primitive) -> Callable[[Rule], Rule]:
    """Register the lowering rule of primitives."""

    def register(fn: Rule) -> Rule:
        for prim in prims:
            lowering_rules[prim] = fn
        return fn

    return register


class Lowering:
    """One run of the lowering: the program being built and the block being filled."""

    def __init__(self, closed: ClosedJaxpr, target: Target) -> None:
        self.target = target
        # The values of the block being filled.
        self.values: list[Value] = []
        # Run-time sizes by value, and all run-time integers in order of slot.
        self.sizes_known: dict[int, Sym] = {}
        self.syms: list[Sym] = []
        small = _count(closed.jaxpr) <= 1 and all(v.aval.size < LARGE for v in closed.jaxpr.invars)
        self.limit = CONSTANT_DIM_EAGER if small else CONSTANT_DIM
        self.short = _short_rows(closed.jaxpr) if small else frozenset()
        self.sizes = _sizes(closed.jaxpr, self.limit) - self.short
        if self.sizes and max(self.sizes) >= COUNTABLE:
            raise _uncountable(closed.jaxpr)
        self.large = bool(self.sizes) and max(self.sizes) > NARROW
        self.consts: dict[int, Value] = {}
        self.const_arrays: list[Any] = []
        # Values of this block and those around it that were computed anew with their axes in
        # another order, by the value and the order.
        self.turned: dict[tuple[Value, tuple[int, ...]], Value] = {}
        # Their reductions, by what is reduced and how.
        self.reduced: dict[tuple[Any, ...], Value] = {}
        # What stands for results of definitions that others have continued.
        self.replaced: dict[Value, Value] = {}
        # Whether the loop around may be one of strips, of which those inside are parts.
        self.in_strips = False
        # Multiplications of small matrices that are written out.
        self.written_out = 0
        # What must live as long as the code: the callbacks it calls.
        self.keepalive: list[Any] = []

    # --- sizes ---

    def dim(self, n: int) -> Dim:
        """A size or offset as the code sees it."""
        if type(n) is not int:
            n = int(n)
        if -self.limit <= n <= self.limit or n in self.short:
            return n
        found = self.sizes_known.get(n)
        if found is None:
            found = self.sizes_known[n] = self.parameter(n)
        return found

    def parameter(self, value: int) -> Sym:
        """A run-time integer of its own, shared with no size."""
        sym = Sym(len(self.syms), value)
        self.syms.append(sym)
        return sym

    def shape(self, shape: Sequence[int]) -> tuple[Dim, ...]:
        return tuple([self.dim(d) for d in shape])

    def offset(self, n: int) -> Index:
        """An offset that may be negative."""
        d = self.dim(abs(n))
        return iop("-", 0, d) if n < 0 else d

    # --- values ---

    def define(self, shape: Sequence[Dim], dtype: DType, defn: Any) -> Value:
        size = 1
        for d in shape:
            size *= d if isinstance(d, int) else d.value
        self.large |= size > NARROW
        v = Value(shape, dtype, defn)
        self.values.append(v)
        return v

    def append(self, defn: Defn) -> list[Value]:
        """The results of a definition that has several."""
        if type(defn) is LibraryCall and defn.kind not in self.target.library.calls:
            raise NotImplementedError(f"the library of this device has no {defn.kind}")
        self.values += defined(defn)
        return list(defn.results)

    def replace(self, old: Sequence[Value], new: Sequence[Value]) -> None:
        """Put others in the place of results of this block that nothing has read yet."""
        by = dict(zip(old, new, strict=True))
        self.values[:] = [v for v in self.values if v not in by]
        for v, w in self.replaced.items():
            self.replaced[v] = by.get(w, w)
        self.replaced.update(by)

    def specs(self, avals: Sequence[ShapedArray]) -> list[Spec]:
        """Shapes and dtypes as the code sees them."""
        return [(self.shape(a.shape), a.dtype) for a in avals]

    def pointwise(self, shape: Sequence[Dim], dtype: DType, expr: Expr) -> Value:
        return self.define(shape, dtype, Pointwise(expr))

    def literal(self, value: Any, aval: ShapedArray) -> Value:
        return self.pointwise((), aval.dtype, self.number(value, aval.dtype))

    def number(self, value: Any, dtype: DType) -> Expr:
        """A scalar constant; one that equals a run-time size is that size."""
        if getattr(dtype, "kind", "") in "iuf":
            size = value.item() if isinstance(value, np.generic) else value
            if size in self.sizes:
                return FromIndex(self.dim(int(size)), dtype)
        return Lit(value, dtype)

    def const(self, x: Any) -> Value:
        """An array known at compile time."""
        found = self.consts.get(id(x))
        if found is None:
            array = to_array(x)
            aval = aval_of(array)
            found = Value(self.shape(aval.shape), aval.dtype, Constant(len(self.const_arrays)))
            self.const_arrays.append(array)
            self.consts[id(x)] = found
        return found

    # --- jaxprs ---

    def jaxpr(
        self, jaxpr: Jaxpr, consts: Sequence[Value], operands: Sequence[Value]
    ) -> list[Value]:
        """Append the values of ``jaxpr`` to the current block."""
        env: dict[Any, Value] = {}
        env.update(zip(jaxpr.constvars, consts, strict=True))
        env.update(zip(jaxpr.invars, operands, strict=True))

        replaced = self.replaced

        def read(a: Atom) -> Value:
            if isinstance(a, Literal):
                return self.literal(a.val, a.aval)
            v = env[a]
            return replaced.get(v, v) if replaced else v

        for eqn in jaxpr.eqns:
            prim = eqn.primitive
            args = [read(a) for a in eqn.invars]
            fn = lowering_rules.get(prim)
            if fn is None and prim.call_param is None:
                fn = find_rule(prim)
            if fn is not None:
                out = fn(self, eqn, *args)
            elif prim.call_param is not None:
                out = self.closed(eqn.params[prim.call_param], args)
            else:
                raise missing_rule(prim, "lowering rule", eqn)
            if isinstance(out, Value):
                env[eqn.outvars[0]] = out
            else:
                env.update(zip(eqn.outvars, out, strict=True))
        return [read(a) for a in jaxpr.outvars]

    def closed(self, closed: ClosedJaxpr, args: Sequence[Value]) -> list[Value]:
        return self.jaxpr(closed.jaxpr, [self.closed_const(c) for c in closed.consts], args)

    def closed_const(self, c: Any) -> Value:
        """The value of a jaxpr's constant, an array or a NumPy scalar."""
        return self.const(c)

    def inner(self, fill: Callable[[], Sequence[Value]]) -> Block:
        """A nested block holding what ``fill`` defines; its results are what it returns."""
        outer, self.values = self.values, []
        known = [(found, len(found)) for found in (self.turned, self.reduced)]
        try:
            results = fill()
            return Block(_live(self.values, results), results)
        finally:
            self.values = outer
            # What was found in here is not defined around; it stands last.
            for found, count in known:
                while len(found) > count:
                    found.popitem()


def find_rule(prim: Primitive) -> Rule | None:
    """The lowering rule of a primitive, of whatever family."""
    for family in _LATE:
        if prim in lowering_rules:
            break
        importlib.import_module(f"covector.compiler.lower.{family}")
    return lowering_rules.get(prim)


def all_rules() -> dict[Primitive, Rule]:
    """The rules of all families."""
    for family in _LATE:
        importlib.import_module(f"covector.compiler.lower.{family}")
    return lowering_rules


class Lowered(Record):
    """A loop program, the arrays of its constants, and what must outlive its code."""

    program: LoopProgram
    consts: list[Any]
    keepalive: list[Any]


def lower(
    closed: ClosedJaxpr, name: str, donated: Sequence[bool] = (), target: Target = HOST
) -> Lowered:
    """The loop program of a jaxpr."""
    low = Lowering(closed, target)
    inputs = [
        Value(low.shape(v.aval.shape), v.aval.dtype, Input(k))
        for k, v in enumerate(closed.jaxpr.invars)
    ]
    results = low.closed(closed, inputs)
    block = Block(_live(low.values, results), results)
    consts = list(low.consts.values())
    program = LoopProgram(name, block, inputs, consts, low.syms, donated, low.large)
    if config.enable_checks:
        # Not imported at the top: a first call does not pay for what only checks need.
        from covector.compiler.ir.verify import verify

        verify(program)
    return Lowered(program, low.const_arrays, low.keepalive)


def _count(jaxpr: Jaxpr) -> int:
    """Number of equations, those of inner jaxprs included."""
    return sum(len(inner.eqns) for inner in all_jaxprs(jaxpr))


def _short_rows(jaxpr: Jaxpr) -> frozenset[int]:
    """The last dimensions of operands that have many very short rows, and the sides of very small
    matrices that are multiplied with large ones."""
    out: set[int] = set()
    for v in jaxpr.invars:
        rows = v.aval.size
        for n in reversed(v.aval.shape):
            rows = rows // max(n, 1)
            if n > CONSTANT_ROW or rows < MANY_ROWS:
                break
            out.add(n)
    for e in jaxpr.eqns:
        if e.primitive is dot_general_p and max(a.aval.size for a in e.invars) >= MANY_ROWS:
            _, batches = e.params["dimension_numbers"]
            for a, batch in zip(e.invars, batches, strict=True):
                sides = [n for k, n in enumerate(a.aval.shape) if k not in batch]
                out.update([n for n in sides if n <= CONSTANT_ROW])
    return frozenset(out)


def _sizes(jaxpr: Jaxpr, limit: int) -> set[int]:
    """Dimensions and total sizes above the limit of everything in a jaxpr."""
    out: set[int] = set()
    for inner in all_jaxprs(jaxpr):
        for vars_ in (inner.invars, *(e.outvars for e in inner.eqns)):
            for v in vars_:
                shape = v.aval.shape
                if shape:
                    out.update(shape)
                    out.add(v.aval.size)
    return {n for n in out if n > limit}


def _uncountable(jaxpr: Jaxpr) -> MemoryError:
    """The error for the first array of a jaxpr that has too many elements."""
    for e in itertools.chain.from_iterable(inner.eqns for inner in all_jaxprs(jaxpr)):
        large = [v.aval for v in e.outvars if v.aval.size >= COUNTABLE]
        if large:
            frame = SourceFrame(*e.source_info) if e.source_info else None
            where = f"\nThe error arose at {frame}" if frame else ""
            return MemoryError(f"an array of type {large[0].str_short()} is too large{where}")
    large = [v.aval for v in jaxpr.invars if v.aval.size >= COUNTABLE]
    return MemoryError(f"an array of type {large[0].str_short()} is too large")


def _live(values: Sequence[Value], results: Sequence[Value]) -> list[Value]:
    """The values that something reads, so that equal code has equal text."""
    live = set(results)
    kept = []
    for v in reversed(values):
        d = v.defn
        if v in live or any(r in live for r in d.results) or _has_effect(d):
            kept.append(v)
            live.update(reads_of(v))
    kept.reverse()
    return kept


def _has_effect(d: Defn) -> bool:
    if type(d) is LibraryCall:
        return d.effect
    return any(_has_effect(v.defn) for block in d.nested() for v in block.values)


def as_int(v: Value) -> int | None:
    """The value of an integer literal."""
    d = v.defn
    if type(d) is Pointwise and not v.ndim:
        e = d.expr
        if type(e) is Lit:
            return int(e.value)
        if type(e) is FromIndex:
            if type(e.index) is int:
                return e.index
            if type(e.index) is Sym:
                return e.index.value
    return None
