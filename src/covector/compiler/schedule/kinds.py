"""Where each value lives: in registers, in memory, or computed anew where it is read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from covector.compiler.access import Access, cost, key_of, variables
from covector.compiler.ir.nodes import (
    Block,
    Bound,
    Branch,
    Constant,
    Cumulative,
    Expr,
    FromIndex,
    Index,
    Input,
    IOp,
    IPart,
    IVar,
    LibraryCall,
    Lit,
    Load,
    Loop,
    Node,
    Part,
    Pointwise,
    Reduce,
    Strips,
    Sym,
    Update,
    Value,
    Where,
    ivars,
    product,
)
from covector.compiler.ir.walk import block_reads, loads, parts_of, sub_blocks
from covector.compiler.target import REGISTER_ELEMENTS, UNROLL_VALUE

# Simple operations that one value may unroll to, and those of a program altogether.
UNROLL_OPERATIONS = 4096
UNROLL_PROGRAM = 40_000
FEW_RESULTS = 12
# A recomputed expression may cost this many simple operations, over all the elements of it
# that one element of its reader takes this many, and nest this deep.
CHEAP = 6
CHEAP_IN_ALL = 24
INLINE_DEPTH = 60
# A row of at least this many elements that is contiguous in memory is walked innermost.
LONG_ROW = 16
# Elements reduced to one result that are taken one by one, a result a lane, and simple
# operations that this may unroll to.
SHORT_WINDOW = 32
WINDOW_OPERATIONS = 256
# Pieces of an array that may be sought where its elements are read.
FEW_PIECES = 8


class Readers:
    """The stages that read a value, directly or through what is recomputed in them.

    Attributes
    ----------
    roots : dict
        For each such stage (the identity of its value or part), the different elements that
        one of its elements takes: the indices along the chain from it to the value.
    expanded : bool
        Whether elements are read more often than computed, if each is computed once.
    apart : bool
        Whether they are taken otherwise than along rows.
    """

    __slots__ = ("roots", "expanded", "apart")

    def __init__(self) -> None:
        self.roots: dict[int, set[Any]] = {}
        self.expanded = False
        self.apart = False

    def add(self, reader: object, form: tuple[Any, ...] = (), expanded: bool = False) -> None:
        self.roots.setdefault(id(reader), set()).add(form)
        self.expanded |= expanded

    def through(self, other: Readers, form: tuple[Any, ...], expanded: bool) -> None:
        """Add the readers of ``other``, which is recomputed in them, at its index ``form``."""
        for root, forms in other.roots.items():
            mine = self.roots.setdefault(root, set())
            if len(mine) <= CHEAP_IN_ALL:
                mine.update([(*f, *form) for f in forms] if form else forms)
        self.expanded |= expanded
        self.apart |= other.apart


def formula(v: Value) -> Expr | None:
    """What an element is, where it may be computed when it is read."""
    d = v.defn
    if type(d) is Pointwise or (type(d) is Update and _in_long_pieces(v, d)):
        expr: Expr = d.expr
        return expr
    return None


def _in_long_pieces(v: Value, d: Update) -> bool:
    """Whether an array is made of few others, the longest of which has long rows."""
    if d.base is not None or d.pointwise is None or len(d.parts) > FEW_PIECES:
        return False
    rows = [p.extents[-1] for p in d.parts]
    return any([type(r) is not int or r >= LONG_ROW for r in rows])


def _form(load: Load) -> tuple[Any, ...]:
    """What tells this element from others of the value; nothing if it has the reader's index."""
    for k, i in enumerate(load.index):
        if type(i) is not IVar or i.axis != k:
            return (key_of(load.index),)
    return ()


def _along(index: Index) -> bool:
    """Whether an index goes through an axis one by one, if it moves at all."""
    if type(index) is IOp:
        moves = index.op == "+" or not variables(index.b)
        return index.op in ("+", "-", "inside") and moves and _along(index.a) and _along(index.b)
    return type(index) in (int, Sym, IVar)


def _used(load: Load) -> int:
    """How many index variables occur in an index."""
    found: set[int] = set()
    for i in load.index:
        found |= variables(i)
    return len(found)


def _reads_through(v: Value, base: Value) -> bool:
    """Whether ``v`` would read ``base`` if all that is pointwise were recomputed."""
    stack, seen = [v], {v}
    while stack:
        u = stack.pop()
        if u is base:
            return True
        expr = formula(u)
        if expr is not None and u.ndim:
            for load in loads(expr):
                if load.value not in seen:
                    seen.add(load.value)
                    stack.append(load.value)
    return False


def reads_where_it_writes(d: Update) -> bool:
    """Whether all that an update reads of its base, with what is pointwise recomputed, are the
    elements that it writes instead: so it can be written over its base, element by element."""
    base = d.base
    if base is None or len(d.parts) != 1 or not _one_to_one(d.parts[0]):
        return False
    (part,) = d.parts

    def recomputed(u: Value) -> bool:
        return u is not base and u.ndim > 0 and formula(u) is not None

    access = Access()
    access.add(part.expr, ivars(64), recomputed)
    dest = key_of(part.dest)
    return all([key_of(index) == dest for u, index in access.reads if u is base])


def _one_to_one(part: Part) -> bool:
    """Whether it is plain that each element goes to a place of its own."""
    axes = []
    for i in part.dest:
        moved = i.a if type(i) is IOp and i.op == "+" and not variables(i.b) else i
        if type(moved) is IVar:
            axes.append(moved.axis)
        elif variables(i):
            return False
    long = {k for k, n in enumerate(part.extents) if n != 1}
    return not part.serial and len(set(axes)) == len(axes) and long <= set(axes)


def _readable_flat(load: Expr) -> bool:
    """Whether a reshaped value is read in order, through all that may be recomputed."""
    assert type(load) is Load
    if not any(type(i) is IPart for i in load.index):
        return True
    stack = [load.value]
    while stack:
        v = stack.pop()
        expr = formula(v)
        if expr is None:
            continue
        for e in parts_of(expr):
            if type(e) in (FromIndex, Where):
                return False
            if type(e) is Load and e.value.ndim:
                if e.value.shape != v.shape or _form(e):
                    return False
                stack.append(e.value)
    return True


def find_kinds(block: Block, limit: int = REGISTER_ELEMENTS) -> tuple[dict[Value, str], int]:
    """The kind of each value of a program, and the most elements of an array in registers."""
    while limit > 1 and _unrolled(block, limit) > UNROLL_PROGRAM:
        limit //= 2
    kinds: dict[Value, str] = {}
    _Classifier(block, kinds, {}, limit).run()
    return kinds, limit


class _Classifier:
    """Goes through one block, consumers before producers."""

    def __init__(
        self, block: Block, kinds: dict[Value, str], depths: dict[Value, int], limit: int
    ) -> None:
        self.block = block
        self.needed = set(block.results)
        self.kinds = kinds
        self.depths = depths
        self.limit = limit
        self.readers: dict[Value, Readers] = {}
        # Values that have to be in memory for their readers' sake.
        self.memory: set[Value] = set()
        self.inner: set[Value] = set()

    def run(self) -> None:
        self.inner = inner_reads(self.block)
        for v in reversed(self.block.values):
            own = self.readers.get(v) or Readers()
            self.kinds[v] = kind = self._kind(v, own)
            d = v.defn
            t = type(d)
            if t is Pointwise:
                self._pointwise(v, d, kind, own)
            elif kind == "inline":
                self._inlined(v, d.expr, own)
            elif t is Reduce and v.output_index == 0:
                for e in d.children():
                    self._read(e, v, v.ndim + len(d.extents), d.kind.finds or not d.kind.known)
                if in_lanes(v):
                    for load in loads(d.expr):
                        self._of(load.value).apart = True
            elif t is Cumulative:
                self._read(d.expr, v, v.ndim, True)
            elif t is Update:
                self._update(v, d, kind)
            elif v.output_index == 0 and t in (LibraryCall, Loop, Branch, Strips):
                self._structured(v, d)

    def _of(self, v: Value) -> Readers:
        return self.readers.setdefault(v, Readers())

    def _read(self, expr: Expr, reader: object, domain: int, scalar: bool = False) -> None:
        """Note what ``expr`` reads over a domain of so many axes.

        What is dear to compute is not recomputed in scalar code, nor many times over.
        """
        for load in loads(expr):
            expanded = load.value.ndim > 0 and (scalar or _used(load) < domain)
            own = self._of(load.value)
            own.add(reader, _form(load), expanded)
            own.apart |= scalar or not all(map(_along, load.index))

    def _pointwise(self, v: Value, d: Pointwise, kind: str, own: Readers) -> None:
        if d.flat and kind != "reg" and not _readable_flat(d.expr):
            # Its elements are read in order from memory; else each costs a division.
            assert type(d.expr) is Load
            self.memory.add(d.expr.value)
        if kind == "inline":
            self._inlined(v, d.expr, own)
        else:
            self._read(d.expr, v, v.ndim)

    def _inlined(self, v: Value, expr: Expr, own: Readers) -> None:
        for load in loads(expr):
            grown = own.expanded or (load.value.ndim > 0 and _used(load) < v.ndim)
            through = self._of(load.value)
            through.through(own, _form(load), grown)
            through.apart |= not all(map(_along, load.index))

    def _update(self, v: Value, d: Update, kind: str) -> None:
        if kind == "reg" and d.pointwise is not None:
            self._read(d.pointwise, v, v.ndim)
            return
        if d.base is not None:
            self._of(d.base).add(v)
        for p in d.parts:
            # All groups together walk an axis once.
            axes = len(p.extents) - (p.limits is not None)
            self._read(p.expr, p, axes, bool(p.serial) and not p.grouped)
            if d.base is not None and not reads_where_it_writes(d):
                self._store_apart(p.expr, d.base)
            for i in p.indices():
                for load in loads(i):
                    self._of(load.value).add(p)
                if d.base is not None:
                    self._store_apart(i, d.base)

    def _store_apart(self, expr: Node, base: Value) -> None:
        """An update happens in place only if what is written no longer reads the old array."""
        for load in loads(expr):
            if load.value is not base and _reads_through(load.value, base):
                self.memory.add(load.value)

    def _structured(self, v: Value, d: LibraryCall | Loop | Branch | Strips) -> None:
        operands: Sequence[Value]
        if type(d) is LibraryCall:
            operands = d.operands
            self.memory.update(operands)
        elif type(d) is Loop:
            operands = d.inits
        elif type(d) is Strips:
            operands = ()
            self.kinds[d.lane] = "reg"
        else:
            assert type(d) is Branch
            operands = (d.index,)
        for o in operands:
            self._of(o).add(v)
            if type(o.defn) is Update:
                # Its pieces are written to where it is to be.
                self.memory.add(o)
        if type(d) is Loop:
            for c in (*d.carries, *([d.counter] if d.counter is not None else [])):
                self.kinds[c] = self._place_of(c)
        # What belongs to one index is in registers.
        limit = REGISTER_ELEMENTS if type(d) is Strips else self.limit
        for sub in sub_blocks(d):
            inside = _Classifier(sub, self.kinds, self.depths, limit)
            inside.run()
            self.memory |= inside.memory

    # --- one value ---

    def _kind(self, v: Value, readers: Readers) -> str:
        t = type(v.defn)
        if t in (Input, Constant, LibraryCall, Strips) or (t is Reduce and v.defn.results):
            return "mem"
        if t in (Bound, Loop, Branch):
            return self._place_of(v)
        kept = v in self.needed or v in self.memory
        if small(v, self.limit):
            constant = t is Pointwise and type(v.defn.expr) in (Lit, FromIndex)
            return "inline" if constant and not kept else "reg"
        if t is Reduce and few_results(v):
            return "reg"
        if kept or formula(v) is None:
            return "mem"
        sought = self._recomputed(v, readers) if t is Pointwise else self._sought(v, readers)
        return "inline" if sought else "mem"

    def _sought(self, v: Value, readers: Readers) -> bool:
        """Whether to seek the elements of an array in its pieces where they are read.

        Pieces of one array are one read of it, at a place that depends on the index.
        """
        if v in self.inner or readers.apart or self._depth(v) > INLINE_DEPTH:
            return False
        shifted = len({_origin(load.value) for load in loads(v.defn.expr)}) == 1
        c = cost(v.defn.expr) if shifted else _total_cost(v, 0, {})
        often = max(map(len, readers.roots.values()), default=1)
        return c <= CHEAP and c * often <= CHEAP_IN_ALL

    def _recomputed(self, v: Value, readers: Readers) -> bool:
        """Whether to compute the elements of a large pointwise value where they are read."""
        c = _total_cost(v, 0, {})
        if v in self.inner:
            return c == 0
        if self._depth(v) > INLINE_DEPTH:
            return False
        often = max(map(len, readers.roots.values()), default=1)
        if c <= CHEAP and c * often <= CHEAP_IN_ALL:
            return True
        return not (len(readers.roots) > 1 or readers.expanded or often > 1)

    def _place_of(self, v: Value) -> str:
        return "reg" if register_shape(v, self.limit) else "mem"

    def _depth(self, v: Value) -> int:
        """Length of the chain of definitions that recomputing ``v`` would walk."""
        cache = self.depths
        stack = [v]
        while stack:
            u = stack[-1]
            if u in cache:
                stack.pop()
                continue
            expr = formula(u)
            if expr is None or self.kinds.get(u, "inline") != "inline":
                cache[u] = 0
                stack.pop()
                continue
            children = [ld.value for ld in loads(expr)]
            missing = [c for c in children if c not in cache]
            if missing:
                stack.extend(missing)
                continue
            deepest = max([cache[c] for c in children], default=0)
            # A chain is cut into pieces of bounded depth.
            cache[u] = 1 if deepest >= INLINE_DEPTH + 1 else 1 + deepest
            stack.pop()
        return cache[v]


def _origin(v: Value) -> Value:
    """What ``v`` is a view of."""
    while type(v.defn) is Pointwise and type(v.defn.expr) is Load:
        v = v.defn.expr.value
    return v


def small(v: Value, limit: int) -> bool:
    """Whether the elements of a value are few and simple enough for straight-line code."""
    n = v.constant_size()
    if n is None or n > limit:
        return False
    d = v.defn
    if type(d) is Reduce:
        inner = product(d.extents)
        return inner is not None and inner * n * weight(d.expr, limit) <= UNROLL_OPERATIONS
    if type(d) is Update:
        return d.pointwise is not None
    return type(d) in (Pointwise, Cumulative) and n * weight(d.expr, limit) <= UNROLL_OPERATIONS


def register_shape(v: Value, limit: int) -> bool:
    """Whether a value that control flow provides may live in registers."""
    d = v.defn
    if type(d) is Loop:
        d = d.carries[v.output_index].defn if d.carries else d
    if type(d) is Bound and d.what == "stacked":
        # Rows are written at run-time positions.
        return False
    n = v.constant_size()
    return n is not None and n <= limit


def weight(expr: Expr, limit: int) -> int:
    """Rough length of the straight-line code of one element, inlined operands included."""
    seen: dict[Value, int] = {}
    inlined = sum(
        _total_cost(load.value, 0, seen, UNROLL_OPERATIONS) for load in loads(expr)
        if formula(load.value) is not None and not register_shape(load.value, limit)
    )  # fmt: skip
    return max(1, cost(expr) + inlined)


def few_results(v: Value) -> bool:
    """Whether a reduction has so few results that each gets an accumulator of its own."""
    n = v.constant_size()
    if n is None or n == 0:
        return False
    return n == 1 and v.ndim == 0 or (n <= FEW_RESULTS and not v.defn.kind.finds)


def in_lanes(v: Value) -> bool:
    """Whether a result is reduced from so little that this is written out, a result a lane."""
    d, n = v.defn, v.ndim
    rounds = product(d.extents)
    return (
        rounds is not None
        and 1 <= rounds <= SHORT_WINDOW
        and d.kind.known
        and not d.kind.finds
        # Neighbours in memory are of different results, of which there is a vector.
        and d.order[-1] == n - 1
        and (type(v.shape[-1]) is not int or v.shape[-1] >= LONG_ROW)
        and rounds * weight(d.expr, REGISTER_ELEMENTS) <= WINDOW_OPERATIONS
    )


def _total_cost(v: Value, depth: int, seen: dict[Value, int], enough: int = CHEAP) -> int:
    """Cost of evaluating ``v`` and the pointwise values it is made of, up to a few levels.

    What it reads over and over is stored where that is dear.
    """
    expr = formula(v)
    if depth > 8 or expr is None:
        return 0
    total = cost(expr)
    for load in loads(expr):
        if load.value not in seen and load.value.ndim and _used(load) >= v.ndim:
            seen[load.value] = 1
            total += _total_cost(load.value, depth + 1, seen, enough)
            if total > enough:
                return total
    return total


def inner_reads(block: Block) -> set[Value]:
    """Values that blocks nested in this one read."""
    out: set[Value] = set()
    for v in block.values:
        if v.output_index == 0:
            for sub in sub_blocks(v.defn):
                out |= block_reads(sub)
    return out


def _unrolled(block: Block, limit: int) -> int:
    """Scalar operations that register values of at most ``limit`` elements would unroll to."""
    total = 0
    for v in block.values:
        d = v.defn
        n = v.constant_size()
        if n is not None and n <= limit:
            if type(d) is Reduce and d.kind.known:
                inner = product(d.extents)
                if inner is not None and inner * n <= UNROLL_VALUE:
                    total += inner * n * (1 + cost(d.expr))
            elif type(d) in (Pointwise, Cumulative):
                total += n * max(1, cost(d.expr))
            elif type(d) is Update:
                total += n
        if v.output_index == 0:
            total += sum(_unrolled(b, limit) for b in sub_blocks(d))
    return total
