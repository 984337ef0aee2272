"""What is stored, and which loops compute it.

Three questions are answered here, for each block of the loop IR: which values live in
registers, which in memory and which are recomputed where they are read (`Plan.kinds`);
which values are computed in one nest of loops (`Nest`); and in what order the nests,
library calls and control flow run (`Plan.steps`).
"""

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
    Dim,
    Expr,
    FromIndex,
    Index,
    Input,
    IPart,
    IVar,
    LibraryCall,
    Lit,
    Load,
    Loop,
    Pointwise,
    Reduce,
    Update,
    Value,
    Where,
    index_loads,
    ivars,
    loads,
    parts_of,
)
from covector.compiler.ir.walk import block_reads, sub_blocks
from covector.compiler.schedule.nest import (
    Nest,
    Stage,
    block_transposed,
    collapse,
    depends,
    fuse,
    reads_locally,
)

# Arrays of at most this many elements live in registers; each element is unrolled code.
REGISTER_ELEMENTS = 64
# Products that one value may unroll to, simple operations, and those of a program altogether.
UNROLL_VALUE = 2048
UNROLL_OPERATIONS = 4096
UNROLL_PROGRAM = 40_000
FEW_RESULTS = 12
# A reduced axis of at least this many elements that is contiguous in memory is walked innermost.
LONG_ROW = 16
_START = (0, 0)
# A recomputed expression may cost this many simple operations, over all the elements of it
# that one element of its reader takes this many, and nest this deep.
CHEAP = 6
CHEAP_IN_ALL = 24
INLINE_DEPTH = 60


def product(dims: Sequence[Dim]) -> int | None:
    """Product of constant dimensions; None if one is a run-time size."""
    n = 1
    for d in dims:
        if type(d) is not int:
            return None
        n *= d
    return n


class Readers:
    """The stages that read a value, directly or through what is recomputed in them.

    Attributes
    ----------
    roots : dict
        For each such stage (the identity of its value or part), the different elements that
        one of its elements takes: the indices along the chain from it to the value.
    expanded : bool
        Whether elements are read more often than computed, if each is computed once.
    """

    __slots__ = ("roots", "expanded")

    def __init__(self) -> None:
        self.roots: dict[int, set[Any]] = {}
        self.expanded = False

    def add(self, reader: Any, form: Any = (), expanded: bool = False) -> None:
        self.roots.setdefault(id(reader), set()).add(form)
        self.expanded |= expanded

    def through(self, other: Readers, form: Any, expanded: bool) -> None:
        """Add the readers of ``other``, which is recomputed in them, at its index ``form``."""
        for root, forms in other.roots.items():
            mine = self.roots.setdefault(root, set())
            if len(mine) <= CHEAP_IN_ALL:
                mine.update([(*f, *form) for f in forms] if form else forms)
        self.expanded |= expanded


def _form(load: Load) -> tuple[Any, ...]:
    """What tells this element from others of the value; nothing if it has the reader's index."""
    for k, i in enumerate(load.index):
        if type(i) is not IVar or i.axis != k:
            return (key_of(load.index),)
    return ()


def _reads_through(v: Value, base: Value) -> bool:
    """Whether ``v`` would read ``base`` if all that is pointwise were recomputed."""
    stack, seen = [v], {v}
    while stack:
        u = stack.pop()
        if u is base:
            return True
        if type(u.defn) is Pointwise and u.ndim:
            for load in loads(u.defn.expr):
                if load.value not in seen:
                    seen.add(load.value)
                    stack.append(load.value)
    return False


def _readable_flat(load: Expr) -> bool:
    """Whether a reshaped value is read in order, through all that may be recomputed."""
    assert type(load) is Load
    if not any(type(i) is IPart for i in load.index):
        return True
    stack = [load.value]
    while stack:
        v = stack.pop()
        if type(v.defn) is not Pointwise:
            continue
        for e in parts_of(v.defn.expr):
            if type(e) in (FromIndex, Where):
                return False
            if type(e) is Load and e.value.ndim:
                if e.value.shape != v.shape or _form(e):
                    return False
                stack.append(e.value)
    return True


class Plan:
    """The schedule of a program.

    Attributes
    ----------
    kinds : dict
        Value to ``reg``, ``mem`` or ``inline``.
    steps : dict
        Block to its steps: `Nest`s, and values (a small array, a call, a loop, a branch).
    """

    def __init__(self, block: Block, limit: int = REGISTER_ELEMENTS) -> None:
        self.kinds: dict[Value, str] = {}
        self.steps: dict[Block, list[Any]] = {}
        self.limit = limit
        self.limit = self._register_limit(block)
        self._block(block, set(block.results))

    def inline(self, v: Value) -> bool:
        return self.kinds.get(v) == "inline"

    # --- registers ---

    def _register_limit(self, block: Block) -> int:
        limit = self.limit
        while limit > 1 and _unrolled(block, limit) > UNROLL_PROGRAM:
            limit //= 2
        return limit

    def _small(self, v: Value) -> bool:
        n = v.constant_size()
        if n is None or n > self.limit:
            return False
        d = v.defn
        if type(d) is Reduce:
            inner = product(d.extents)
            return inner is not None and inner * n * self.weight(d.expr) <= UNROLL_OPERATIONS
        if type(d) is Update:
            return d.pointwise is not None
        return type(d) in (Pointwise, Cumulative) and n * self.weight(d.expr) <= UNROLL_OPERATIONS

    def weight(self, expr: Expr) -> int:
        """Rough length of the straight-line code of one element, inlined operands included."""
        seen: dict[Value, int] = {}
        inlined = sum(
            _total_cost(load.value, 0, seen, UNROLL_OPERATIONS) for load in loads(expr)
            if type(load.value.defn) is Pointwise and not self._register_shape(load.value)
        )  # fmt: skip
        return max(1, cost(expr) + inlined)

    def _reads(self, v: Value) -> list[Value]:
        """Stored values that the elements of a small array are computed from."""
        access = Access()
        expr = v.defn.pointwise if type(v.defn) is Update else v.defn.expr
        access.add(expr, ivars(64), self.inline)
        return [u for u, _ in access.reads]

    # --- one block ---

    def _block(self, block: Block, needed: set[Value]) -> None:
        self._classify(block, needed)
        open_nests: list[Nest] = []
        # When each value is ready. Nests, calls and control flow follow one another, (k, 0);
        # small arrays come as early as what they read allows, (k, 1).
        when: dict[Any, tuple[int, int]] = {}
        order: list[tuple[tuple[int, int], Any]] = []
        count = 0
        for v in block.values:
            kind = self.kinds[v]
            d = v.defn
            if kind == "inline":
                continue
            if type(d) in (LibraryCall, Loop, Branch):
                if v.output_index == 0:
                    open_nests.clear()
                    count += 1
                    order.append(((count, 0), v))
                when[v] = (count, 0)
                continue
            if kind == "reg" and self._small(v):
                ready = max([when.get(u, _START) for u in self._reads(v)], default=_START)
                when[v] = (ready[0], 1)
                order.append((when[v], v))
                continue
            for stage in self._stages(v):
                home = None
                ready = max([when.get(u, _START) for u, _ in stage.access.reads], default=_START)
                for back, nest in enumerate(reversed(open_nests)):
                    if back >= 4 or when[nest] < ready:
                        break
                    if fuse(nest, stage):
                        home = nest
                        break
                    if depends(stage, nest):
                        break
                if home is None:
                    home = Nest(stage)
                    count += 1
                    when[home] = (count, 0)
                    order.append((when[home], home))
                    open_nests.append(home)
                when[v] = when[home]
        self.steps[block] = steps = [s for _, s in sorted(order, key=lambda e: e[0])]
        self._contract(steps, needed, block)
        for step in steps:
            if isinstance(step, Nest):
                collapse(step)

    def _classify(self, block: Block, needed: set[Value]) -> None:
        """Decide where each value lives, consumers before producers."""
        readers: dict[Value, Readers] = {}
        memory: set[Value] = set()

        def read(expr: Expr, reader: Any, domain: int, scalar: bool = False) -> None:
            # What is dear to compute is not recomputed in scalar code, nor many times over.
            for load in loads(expr):
                used: set[int] = set()
                for i in load.index:
                    used |= variables(i)
                expanded = load.value.ndim > 0 and (scalar or len(used) < domain)
                readers.setdefault(load.value, Readers()).add(reader, _form(load), expanded)

        def store_apart(expr: Expr, base: Value) -> None:
            # An update happens in place only if what is written no longer reads the old array.
            for load in loads(expr):
                if load.value is not base and _reads_through(load.value, base):
                    memory.add(load.value)

        inner = inner_reads(block)
        for v in reversed(block.values):
            d = v.defn
            t = type(d)
            own = readers.get(v) or Readers()
            self.kinds[v] = kind = self._kind(v, own, needed, memory, inner)
            if t is Pointwise:
                if d.flat and kind != "reg" and not _readable_flat(d.expr):
                    # Its elements are read in order from memory; else each costs a division.
                    memory.add(d.expr.value)
                if kind == "inline":
                    for load in loads(d.expr):
                        used = set()
                        for i in load.index:
                            used |= variables(i)
                        grown = own.expanded or (load.value.ndim > 0 and len(used) < v.ndim)
                        readers.setdefault(load.value, Readers()).through(own, _form(load), grown)
                else:
                    read(d.expr, v, v.ndim)
            elif t is Reduce:
                read(d.expr, v, v.ndim + len(d.extents), d.kind.startswith("arg"))
            elif t is Cumulative:
                read(d.expr, v, v.ndim, True)
            elif t is Update:
                if kind == "reg" and d.pointwise is not None:
                    read(d.pointwise, v, v.ndim)
                else:
                    if d.base is not None:
                        readers.setdefault(d.base, Readers()).add(v)
                    for p in d.parts:
                        read(p.expr, p, len(p.extents), bool(p.serial))
                        if d.base is not None:
                            store_apart(p.expr, d.base)
                        for i in (*p.dest, *[i for test in p.tests for i in test]):
                            for load in index_loads(i):
                                readers.setdefault(load.value, Readers()).add(p)
            elif v.output_index == 0:
                if t is LibraryCall:
                    memory.update(d.operands)
                    for o in d.operands:
                        readers.setdefault(o, Readers()).add(v)
                elif t is Loop:
                    for o in d.inits:
                        readers.setdefault(o, Readers()).add(v)
                elif t is Branch:
                    readers.setdefault(d.index, Readers()).add(v)
            if t in (Loop, Branch) and v.output_index == 0:
                if t is Loop:
                    for c in (*d.carries, *([d.counter] if d.counter is not None else [])):
                        self.kinds[c] = "reg" if self._register_shape(c) else "mem"
                for sub in sub_blocks(d):
                    self._block(sub, set(sub.results))

    def _kind(
        self, v: Value, readers: Readers, needed: set[Value], memory: set[Value],
        inner: set[Value],
    ) -> str:  # fmt: skip
        t = type(v.defn)
        if t in (Input, Constant):
            return "mem"
        if t is Bound:
            return "reg" if self._register_shape(v) else "mem"
        if t in (Loop, Branch):
            return "reg" if self._register_shape(v) else "mem"
        if t is LibraryCall:
            return "mem"
        if self._small(v):
            constant = t is Pointwise and type(v.defn.expr) in (Lit, FromIndex)
            return "inline" if constant and v not in needed and v not in memory else "reg"
        if t is Reduce and _few_results(v):
            return "reg"
        if t is not Pointwise:
            return "mem"
        if v in needed or v in memory:
            return "mem"
        c = self._inline_cost(v)
        if v in inner:
            return "inline" if c == 0 else "mem"
        if self._depth(v) > INLINE_DEPTH:
            return "mem"
        often = max(map(len, readers.roots.values()), default=1)
        if c <= CHEAP and c * often <= CHEAP_IN_ALL:
            return "inline"
        if len(readers.roots) > 1 or readers.expanded or often > 1:
            return "mem"
        return "inline"

    def _register_shape(self, v: Value) -> bool:
        d = v.defn
        if type(d) is Loop:
            d = d.carries[v.output_index].defn if d.carries else d
        if type(d) is Bound and d.what == "stacked":
            # Rows are written at run-time positions.
            return False
        n = v.constant_size()
        return n is not None and n <= self.limit

    def _inline_cost(self, v: Value) -> int:
        return _total_cost(v, 0, {})

    def _depth(self, v: Value) -> int:
        """Length of the chain of definitions that inlining ``v`` would walk."""
        cache = self._depths = getattr(self, "_depths", {})
        found = cache.get(v)
        if found is not None:
            return found
        stack = [v]
        while stack:
            u = stack[-1]
            if u in cache:
                stack.pop()
                continue
            if type(u.defn) is not Pointwise or self.kinds.get(u, "inline") != "inline":
                cache[u] = 0
                stack.pop()
                continue
            children = [ld.value for ld in loads(u.defn.expr)]
            missing = [c for c in children if c not in cache]
            if missing:
                stack.extend(missing)
                continue
            deepest = max([cache[c] for c in children], default=0)
            # A chain is cut into pieces of bounded depth.
            cache[u] = 1 if deepest >= INLINE_DEPTH + 1 else 1 + deepest
            stack.pop()
        return cache[v]

    # --- stages ---

    def _stages(self, v: Value) -> list[Stage]:
        d = v.defn
        t = type(d)
        n = v.ndim
        if t is Pointwise:
            out = [Stage(v, "pointwise", range(n), v.shape, "p" * n, d.expr)]
        elif t is Reduce:
            out = self._reduce_stages(v, d)
        elif t is Cumulative:
            roles = ["s" if k == d.axis else "p" for k in range(n)]
            out = [Stage(v, "cumulative", range(n), v.shape, roles, d.expr)]
        else:
            out = self._update_stages(v, d)
        for s in out:
            s.access.add(s.expr, ivars(64), self.inline)
            if s.part is not None:
                for i in s.part.dest:
                    s.access._index(i, ivars(64), self.inline)
                    if type(i) is not IVar:
                        s.access.other |= variables(i)
                for test in s.part.tests:
                    for i in test:
                        s.access._index(i, ivars(64), self.inline)
                        s.access.other |= variables(i)
            if s.kind == "pointwise":
                block_transposed(s)
        return out

    def _reduce_stages(self, v: Value, d: Reduce) -> list[Stage]:
        n = v.ndim
        dims = [*v.shape, *d.extents]
        roles = ["p"] * n + ["r"] * len(d.extents)
        order = list(d.order)
        arg = d.kind in ("argmax", "argmin")
        first = next((k for k, a in enumerate(order) if a >= n), len(order))
        inner = all(a >= n for a in order[first:])
        if _few_results(v):
            # One accumulator (or vector of them) per result, the results written out.
            order = [a for a in order if a >= n]
            stage = Stage(v, "reduce", order, [dims[a] for a in order], "r" * len(order), d.expr)
            stage.few = True
            return [stage]
        row = dims[order[-1]]
        along = order[-1] >= n and (type(row) is not int or row >= LONG_ROW)
        if inner or arg or along:
            # Reduced axes innermost: the running result stays in registers.
            order = [a for a in order if a < n] + [a for a in order if a >= n]
            return [Stage(v, "reduce", order, [dims[a] for a in order],
                          [roles[a] for a in order], d.expr)]  # fmt: skip
        # A result axis is innermost: whole rows of results are accumulated in memory.
        last = order[-1]
        while last >= n:
            order = order[:-1]
            last = order[-1]
        order = list(d.order)
        result = [a for a in order if a < n and a != last]
        reduced = [a for a in order if a >= n]
        tile = [] if result else [last]
        init_order = result + tile + [last]
        acc_order = result + tile + reduced + [last]

        def stage(kind: str, axes: list[int], expr: Expr) -> Stage:
            roles_ = [roles[a] for a in axes]
            if tile:
                roles_[0] = "t"
            return Stage(v, kind, axes, [dims[a] for a in axes], roles_, expr)

        return [
            stage("init", init_order, Lit(0, d.expr.dtype)),
            stage("accumulate", acc_order, d.expr),
        ]

    def _update_stages(self, v: Value, d: Update) -> list[Stage]:
        out = []
        n = v.ndim
        if d.base is not None:
            load = Load(d.base, ivars(n))
            out.append(Stage(v, "pointwise", range(n), v.shape, "p" * n, load))
        for p in d.parts:
            m = len(p.extents)
            roles = ["s" if k in p.serial else "p" for k in range(m)]
            out.append(Stage(v, "part", range(m), p.extents, roles, p.expr, p))
        return out

    # --- contraction ---

    def _contract(self, steps: list[Any], needed: set[Value], block: Block) -> None:
        """Find values that are used up in the very loops that compute them."""
        outside: set[Value] = set(needed)
        for u in block.values:
            if self.kinds[u] == "inline":
                continue
            d = u.defn
            if type(d) is LibraryCall:
                outside.update(d.operands)
            elif type(d) is Loop:
                outside.update(d.inits)
            elif type(d) is Branch:
                outside.add(d.index)
        outside |= inner_reads(block)
        for u in list(outside):
            if self.inline(u):
                access = Access()
                access.add(u.defn.expr, ivars(64), self.inline)
                outside.update(v for v, _ in access.reads)
        for step in steps:
            if not isinstance(step, Nest):
                expr = getattr(step.defn, "expr", None) or getattr(step.defn, "pointwise", None)
                if expr is not None:
                    access = Access()
                    access.add(expr, ivars(64), self.inline)
                    outside.update(v for v, _ in access.reads)
        nests = [s for s in steps if isinstance(s, Nest)]
        readers: dict[Value, list[tuple[Nest, Stage, tuple[Index, ...]]]] = {}
        for nest in nests:
            for s in nest.stages:
                for u, index in s.access.reads:
                    readers.setdefault(u, []).append((nest, s, index))
        for nest in nests:
            for s in nest.stages:
                v = s.value
                if s.kind not in ("pointwise", "reduce") or v in outside or v.ndim == 0:
                    continue
                if type(v.defn) is Update:
                    continue
                if all(
                    at is nest and reads_locally(nest, s, reader, index)
                    for at, reader, index in readers.get(v, ())
                ):
                    nest.contracted.add(v)


def _few_results(v: Value) -> bool:
    """Whether a reduction has so few results that each gets an accumulator of its own."""
    n = v.constant_size()
    if n is None or n == 0:
        return False
    return n == 1 and v.ndim == 0 or (n <= FEW_RESULTS and not v.defn.kind.startswith("arg"))


def _total_cost(v: Value, depth: int, seen: dict[Value, int], enough: int = CHEAP) -> int:
    """Cost of evaluating ``v`` and the pointwise values it is made of, up to a few levels."""
    if depth > 8 or type(v.defn) is not Pointwise:
        return 0
    total = cost(v.defn.expr)
    for load in loads(v.defn.expr):
        if load.value not in seen and load.value.ndim:
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
            if type(d) is Reduce:
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
