"""What is stored, and which loops compute it.

Three questions are answered here, for each block of the loop IR: which values live in
registers, which in memory and which are recomputed where they are read (`Plan.kinds`);
which values are computed in one nest of loops (`Nest`); and in what order the nests,
library calls and control flow run (`Plan.steps`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from covector.backends.cpu.ir import (
    Block,
    Bound,
    Branch,
    Constant,
    Cumulative,
    Dim,
    Expr,
    FromIndex,
    IDyn,
    Index,
    Input,
    IOp,
    IVar,
    LibraryCall,
    Lit,
    Load,
    Loop,
    Op,
    Part,
    Pointwise,
    Reduce,
    Update,
    Value,
    Where,
    iop,
    ivars,
    loads,
)

# Arrays of at most this many elements live in registers; each element is unrolled code.
REGISTER_ELEMENTS = 64
# Scalar operations one value may unroll to, and one program altogether.
UNROLL_VALUE = 2048
UNROLL_PROGRAM = 40_000
FEW_RESULTS = 12
_START = (0, 0)
# A recomputed expression may cost this many simple operations, and nest this deep.
CHEAP = 6
INLINE_DEPTH = 60

_EXPENSIVE = {
    "exp": 16, "exp2": 16, "log": 16, "log1p": 20, "expm1": 20, "sin": 24, "cos": 24, "tan": 30,
    "tanh": 20, "sinh": 20, "cosh": 20, "asin": 20, "acos": 20, "atan": 20, "atan2": 24,
    "asinh": 30, "acosh": 30, "atanh": 30, "logistic": 20, "erf": 24, "erfc": 30, "erf_inv": 40,
    "lgamma": 60, "digamma": 60, "pow": 40, "div": 4, "sqrt": 4, "rsqrt": 6, "cbrt": 20,
    "rem": 30, "threefry": 100,
}  # fmt: skip


def product(dims: Sequence[Dim]) -> int | None:
    """Product of constant dimensions; None if one is a run-time size."""
    n = 1
    for d in dims:
        if type(d) is not int:
            return None
        n *= d
    return n


# --- accesses ----------------------------------------------------------------------------


def substitute(index: Index, env: Sequence[Index]) -> Index:
    """``index`` with its index variables replaced."""
    t = type(index)
    if t is IVar:
        return env[index.axis]  # type: ignore[union-attr]
    if t is IOp:
        return iop(index.op, substitute(index.a, env), substitute(index.b, env))  # type: ignore
    if t is IDyn:
        return IDyn(_Bound(index.expr, env))  # type: ignore[union-attr]
    return index


class _Bound(Expr):
    """An expression together with the indices its variables stand for."""

    __slots__ = ("expr", "env")

    def __init__(self, expr: Expr, env: Sequence[Index]) -> None:
        self.expr = expr
        self.env = tuple(env)
        self.dtype = expr.dtype


def variables(index: Index) -> set[int]:
    """Axes whose index variables occur in ``index``."""
    t = type(index)
    if t is IVar:
        return {index.axis}  # type: ignore[union-attr]
    if t is IOp:
        return variables(index.a) | variables(index.b)  # type: ignore[union-attr]
    if t is IDyn:
        expr = index.expr  # type: ignore[union-attr]
        if type(expr) is _Bound:
            return set().union(*(variables(i) for i in expr.env)) if expr.env else set()
        return expr_variables(expr)
    return set()


def expr_variables(expr: Expr) -> set[int]:
    out: set[int] = set()
    t = type(expr)
    if t is Load:
        for i in expr.index:  # type: ignore[attr-defined]
            out |= variables(i)
    elif t is Op:
        for a in expr.args:  # type: ignore[attr-defined]
            out |= expr_variables(a)
    elif t is FromIndex:
        out |= variables(expr.index)  # type: ignore[attr-defined]
    elif t is Where:
        for test in expr.tests:  # type: ignore[attr-defined]
            for i in test:
                out |= variables(i)
        out |= expr_variables(expr.then) | expr_variables(expr.other)  # type: ignore
    return out


class Access:
    """The memory a stage reads, through everything it recomputes."""

    __slots__ = ("reads", "other", "_seen")

    def __init__(self) -> None:
        self.reads: list[tuple[Value, tuple[Index, ...]]] = []
        # Axes used other than as plain subscripts (as numbers, in tests).
        self.other: set[int] = set()
        self._seen: set[Any] = set()

    def add(self, expr: Expr, env: Sequence[Index], inline: Any) -> None:
        t = type(expr)
        if t is Load:
            v: Value = expr.value  # type: ignore[attr-defined]
            index = tuple([substitute(i, env) for i in expr.index])  # type: ignore[attr-defined]
            for i in expr.index:  # type: ignore[attr-defined]
                self._index(i, env, inline)
            key = (v.id, *[_key(i) for i in index])
            if key in self._seen:
                return
            self._seen.add(key)
            if inline(v):
                self.add(v.defn.expr, index, inline)
            else:
                self.reads.append((v, index))
        elif t is Op:
            for a in expr.args:  # type: ignore[attr-defined]
                self.add(a, env, inline)
        elif t is FromIndex:
            self.other |= variables(substitute(expr.index, env))  # type: ignore[attr-defined]
            self._index(expr.index, env, inline)  # type: ignore[attr-defined]
        elif t is Where:
            for test in expr.tests:  # type: ignore[attr-defined]
                for i in test:
                    self.other |= variables(substitute(i, env))
                    self._index(i, env, inline)
            self.add(expr.then, env, inline)  # type: ignore[attr-defined]
            self.add(expr.other, env, inline)  # type: ignore[attr-defined]
        elif t is _Bound:
            self.add(expr.expr, [substitute(i, env) for i in expr.env], inline)  # type: ignore

    def _index(self, index: Index, env: Sequence[Index], inline: Any) -> None:
        t = type(index)
        if t is IOp:
            self._index(index.a, env, inline)  # type: ignore[union-attr]
            self._index(index.b, env, inline)  # type: ignore[union-attr]
        elif t is IDyn:
            self.add(index.expr, env, inline)  # type: ignore[union-attr]


def _key(index: Index) -> Any:
    t = type(index)
    if t is int:
        return index
    if t is IOp:
        return (index.op, _key(index.a), _key(index.b))  # type: ignore[union-attr]
    if t is IDyn:
        e = index.expr  # type: ignore[union-attr]
        return (id(e.expr), *[_key(i) for i in e.env]) if type(e) is _Bound else id(e)
    return id(index)


def cost(expr: Expr) -> int:
    """Rough number of simple operations of one evaluation, loads within it not followed."""
    t = type(expr)
    if t is Op:
        return _EXPENSIVE.get(expr.name, 1) + sum(map(cost, expr.args))  # type: ignore
    if t is Load:
        return sum(index_cost(i) for i in expr.index)  # type: ignore[attr-defined]
    if t is Where:
        return 1 + cost(expr.then) + cost(expr.other)  # type: ignore[attr-defined]
    return 0


def index_cost(index: Index) -> int:
    t = type(index)
    if t is IOp:
        extra = 4 if index.op in ("//", "%") else 0  # type: ignore[union-attr]
        return extra + index_cost(index.a) + index_cost(index.b)  # type: ignore[union-attr]
    if t is IDyn:
        return 4 + cost(index.expr)  # type: ignore[union-attr]
    return 0


# --- stages and nests --------------------------------------------------------------------


class Stage:
    """One pass over a domain: it computes a value, or one part of an update.

    Attributes
    ----------
    value : Value
    kind : str
        ``pointwise``, ``reduce``, ``init`` and ``accumulate`` (a reduction into memory),
        ``cumulative`` or ``part``.
    order : list of int
        The index variable of each loop, outermost first.
    dims : list of Dim
        The extent of each loop.
    roles : list of str
        ``p`` parallel, ``r`` reduction, ``s`` serial; ``t`` tile and ``b`` blocks of a later loop.
    """

    __slots__ = (
        "value", "kind", "order", "dims", "roles", "expr", "part", "access", "env", "few"
    )  # fmt: skip

    def __init__(
        self, value: Value, kind: str, order: Sequence[int], dims: Sequence[Dim],
        roles: Sequence[str], expr: Expr, part: Part | None = None,
    ) -> None:  # fmt: skip
        self.value = value
        self.kind = kind
        self.order = list(order)
        self.dims = list(dims)
        self.roles = list(roles)
        self.expr = expr
        self.part = part
        self.access = Access()
        self.env: list[Any] = []
        # A reduction to a few numbers: its loops are those reduced, results are written out.
        self.few = False

    @property
    def depth(self) -> int:
        return len(self.order)


class NestLoop:
    """A loop of a nest, and in order what runs inside it."""

    __slots__ = ("dim", "role", "children")

    def __init__(self, dim: Dim, role: str) -> None:
        self.dim = dim
        self.role = role
        self.children: list[NestLoop | Stage] = []

    def stages(self) -> Iterator[Stage]:
        for c in self.children:
            if isinstance(c, Stage):
                yield c
            else:
                yield from c.stages()


class Nest:
    """Stages that share loops; ``roots`` are loops, or stages of no loop at all."""

    __slots__ = ("root", "stages", "contracted", "serial")

    def __init__(self, stage: Stage) -> None:
        self.stages = [stage]
        self.root: NestLoop | Stage = _chain(stage, 0)
        # Values that no one reads outside the loops that compute them: never stored.
        self.contracted: set[Value] = set()
        self.serial = False


def _chain(stage: Stage, depth: int) -> NestLoop | Stage:
    """The loops of ``stage`` from ``depth`` inwards."""
    if depth == stage.depth:
        return stage
    loop = NestLoop(stage.dims[depth], stage.roles[depth])
    loop.children.append(_chain(stage, depth + 1))
    return loop


def fuse(nest: Nest, stage: Stage) -> bool:
    """Add ``stage`` to ``nest`` as deep as dependence allows; False if it shares no loop."""
    root = nest.root
    if isinstance(root, Stage) or not stage.depth or not _related(nest, stage):
        return False
    producers = {s.value: s for s in nest.stages}
    path: list[NestLoop] = []
    node: NestLoop | Stage = root
    while isinstance(node, NestLoop) and len(path) < stage.depth:
        q = len(path)
        role = stage.roles[q]
        # A tile and a serial loop are shared only with their like.
        if node.dim is not stage.dims[q] and node.dim != stage.dims[q]:
            break
        if role != node.role and ({role, node.role} & set("stb")):
            break
        if not _legal(producers, stage, q):
            break
        path.append(node)
        node = node.children[-1]
    # Reductions may share their loops with what they read, but an inner loop is shared by
    # stages that all end there or all go on.
    while path:
        depth = len(path)
        if _shape_fits(path[-1], stage, depth):
            break
        path.pop()
    if not path:
        return False
    path[-1].children.append(_chain(stage, len(path)))
    for q, loop in enumerate(path):
        if stage.roles[q] != "p" and loop.role == "p":
            loop.role = stage.roles[q]
    nest.stages.append(stage)
    return True


def _shape_fits(loop: NestLoop, stage: Stage, depth: int) -> bool:
    innermost = isinstance(loop.children[0], Stage)
    return innermost == (depth == stage.depth)


def _related(nest: Nest, stage: Stage) -> bool:
    """Whether the stage reads something the nest computes or reads, or updates its value."""
    known = {s.value for s in nest.stages}
    if stage.value in known:
        return True
    for s in nest.stages:
        known.update(v for v, _ in s.access.reads if v.ndim)
    return any(v in known for v, _ in stage.access.reads)


def _legal(producers: dict[Value, Stage], stage: Stage, q: int) -> bool:
    """Whether ``stage`` may run inside loop ``q`` of the stages whose results it reads."""
    var = stage.order[q]
    own = producers.get(stage.value)
    if own is not None and own is not stage:
        # Init and accumulation of one value, or parts of one update.
        if stage.kind in ("part",) or own.kind == "part":
            return False
        if own.roles[q] == "r" or own.order[q] != var:
            return False
    for v, index in stage.access.reads:
        p = producers.get(v)
        if p is None or v is stage.value:
            continue
        if p.kind == "part" or q >= p.depth:
            return False
        if p.roles[q] in ("r", "s"):
            return False
        axis = p.order[q]
        if axis >= len(index):
            return False
        i = index[axis]
        if type(i) is not IVar or i.axis != var:
            return False
    return True


def collapse(nest: Nest) -> None:
    """Merge adjacent loops that every stage walks through memory in one sweep."""
    loops: list[NestLoop] = []
    node: Any = nest.root
    while isinstance(node, NestLoop):
        loops.append(node)
        if len(node.children) > 1 and not all(isinstance(c, Stage) for c in node.children):
            return
        if isinstance(node.children[0], Stage):
            break
        node = node.children[0]
    leaves: list[Stage] = loops[-1].children if loops else []  # type: ignore[assignment]
    for k in range(len(loops) - 2, -1, -1):
        outer, inner = loops[k], loops[k + 1]
        if outer.role != inner.role or outer.role not in ("p", "r"):
            continue
        if not all(_collapsible(s, k) for s in leaves):
            continue
        merged = _times(outer.dim, inner.dim)
        outer.dim = merged
        outer.children = inner.children
        for s in leaves:
            # The outer index is folded into the inner one.
            s.env.append(s.order[k])
            del s.order[k], s.dims[k], s.roles[k]
            s.dims[k] = merged
        del loops[k + 1]


def _times(a: Any, b: Any) -> Any:
    if a == 1:
        return b
    if b == 1:
        return a
    return a * b if type(a) is int and type(b) is int else ("*", a, b)


def _collapsible(stage: Stage, k: int) -> bool:
    if stage.kind not in ("pointwise", "reduce") or stage.roles[k] != stage.roles[k + 1]:
        return False
    a, c = stage.order[k], stage.order[k + 1]
    if c != a + 1 or a in stage.access.other or c in stage.access.other:
        return False
    dim = stage.dims[k + 1]
    for v, index in stage.access.reads:
        for p, i in enumerate(index):
            if type(i) is IVar:
                if i.axis == a:
                    if p + 1 >= len(index) or index[p + 1] is not ivars(c + 1)[c]:
                        return False
                    if v.shape[p + 1] != dim:
                        return False
                elif i.axis == c and (p == 0 or index[p - 1] is not ivars(a + 1)[a]):
                    return False
            elif type(i) is not int:
                used = variables(i)
                if a in used or c in used:
                    return False
    return True


def _block_transposed(s: Stage) -> None:
    """Walk two axes in blocks where an operand is contiguous along another axis than the result.

    Otherwise every step along the last axis would touch another line of memory.
    """
    if s.depth < 2:
        return
    last = s.order[-1]
    for v, index in s.access.reads:
        if v.ndim < 2 or not any(type(i) is IVar and i.axis == last for i in index[:-1]):
            continue
        inner = index[-1]
        if type(inner) is IVar and inner.axis != last:
            q = s.order.index(inner.axis)
            dims = dict(zip(s.order, s.dims, strict=True))
            rest = [a for k, a in enumerate(s.order[:-1]) if k != q]
            s.order = [*rest, last, inner.axis, last]
            s.dims = [dims[a] for a in s.order]
            s.roles = [*"p" * len(rest), "b", "p", "p"]
            return


# --- the plan of a block -----------------------------------------------------------------


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
        self._block(block, set(block.results), False)

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
            return inner is not None and inner * n <= UNROLL_VALUE
        if type(d) is Update:
            return d.pointwise is not None
        return type(d) in (Pointwise, Cumulative)

    def _reads(self, v: Value) -> list[Value]:
        """Stored values that the elements of a small array are computed from."""
        access = Access()
        expr = v.defn.pointwise if type(v.defn) is Update else v.defn.expr
        access.add(expr, ivars(64), self.inline)
        return [u for u, _ in access.reads]

    # --- one block ---

    def _block(self, block: Block, needed: set[Value], repeated: bool) -> None:
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
                    if _depends(stage, nest):
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
        readers: dict[Value, list[tuple[Any, bool]]] = {}
        memory: set[Value] = set()

        def read(expr: Expr, reader: Any, arity: int, domain: int) -> None:
            for load in loads(expr):
                used: set[int] = set()
                for i in load.index:
                    used |= variables(i)
                expanded = load.value.ndim > 0 and len(used) < domain
                readers.setdefault(load.value, []).append((reader, expanded))

        inner = _inner_reads(block)
        for v in reversed(block.values):
            d = v.defn
            t = type(d)
            self.kinds[v] = self._kind(v, readers.get(v, []), needed, memory, inner)
            kind = self.kinds[v]
            if t is Pointwise:
                if kind == "inline":
                    expanded_self = any(e for _, e in readers.get(v, []))
                    for r in {id(r): r for r, _ in readers.get(v, [])}.values():
                        for load in loads(d.expr):
                            used = set()
                            for i in load.index:
                                used |= variables(i)
                            grown = expanded_self or (load.value.ndim > 0 and len(used) < v.ndim)
                            readers.setdefault(load.value, []).append((r, grown))
                else:
                    read(d.expr, v, v.ndim, v.ndim)
            elif t is Reduce:
                read(d.expr, v, v.ndim, v.ndim + len(d.extents))
            elif t is Cumulative:
                read(d.expr, v, v.ndim, v.ndim)
            elif t is Update:
                if kind == "reg" and d.pointwise is not None:
                    read(d.pointwise, v, v.ndim, v.ndim)
                else:
                    if d.base is not None:
                        readers.setdefault(d.base, []).append((v, False))
                    for p in d.parts:
                        read(p.expr, (v, p), len(p.extents), len(p.extents))
                        for i in p.dest:
                            for load in _index_loads(i):
                                readers.setdefault(load.value, []).append(((v, p), False))
                        for test in p.tests:
                            for i in test:
                                for load in _index_loads(i):
                                    readers.setdefault(load.value, []).append(((v, p), False))
            elif v.output_index == 0:
                if t is LibraryCall:
                    memory.update(d.operands)
                    for o in d.operands:
                        readers.setdefault(o, []).append((v, False))
                elif t is Loop:
                    for o in d.inits:
                        readers.setdefault(o, []).append((v, False))
                elif t is Branch:
                    readers.setdefault(d.index, []).append((v, False))
            if t in (Loop, Branch) and v.output_index == 0:
                if t is Loop:
                    for c in (*d.carries, *([d.counter] if d.counter is not None else [])):
                        self.kinds[c] = "reg" if self._register_shape(c) else "mem"
                for sub in _sub_blocks(d):
                    self._block(sub, set(sub.results), t is Loop)

    def _kind(
        self, v: Value, readers: list[tuple[Any, bool]], needed: set[Value],
        memory: set[Value], inner: set[Value],
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
            if t is Pointwise and v not in needed and type(v.defn.expr) in (Lit, FromIndex):
                return "inline"
            return "reg"
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
        if c <= CHEAP:
            return "inline"
        roots = {id(r) if not isinstance(r, tuple) else id(r[1]) for r, _ in readers}
        if len(roots) > 1 or any(e for _, e in readers):
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
                _block_transposed(s)
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
        if inner or arg:
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
            roles = "p" * m if p.parallel else "s" * m
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
        outside |= _inner_reads(block)
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
                    at is nest and _local_read(nest, s, reader, index)
                    for at, reader, index in readers.get(v, ())
                ):
                    nest.contracted.add(v)


def _local_read(nest: Nest, producer: Stage, reader: Stage, index: tuple[Index, ...]) -> bool:
    """Whether ``reader`` reads exactly the element computed in the current iteration."""
    depth = sum(r == "p" for r in producer.roles)
    if reader not in nest.stages or reader.kind == "part" or reader.depth < depth:
        return False
    shared = _shared_depth(nest.root, producer, reader)
    if shared < depth:
        return False
    for q in range(depth):
        i = index[producer.order[q]]
        if type(i) is not IVar or i.axis != reader.order[q]:
            return False
    return True


def _shared_depth(node: Any, a: Stage, b: Stage) -> int:
    depth = 0
    while isinstance(node, NestLoop):
        inside = set(map(id, node.stages()))
        if id(a) not in inside or id(b) not in inside:
            return depth - 1 if depth else 0
        depth += 1
        nxt = None
        for c in node.children:
            if isinstance(c, NestLoop):
                ids = set(map(id, c.stages()))
                if id(a) in ids and id(b) in ids:
                    nxt = c
        if nxt is None:
            return depth
        node = nxt
    return depth


def _few_results(v: Value) -> bool:
    """Whether a reduction has so few results that each gets an accumulator of its own."""
    n = v.constant_size()
    if n is None or n == 0:
        return False
    return n == 1 and v.ndim == 0 or (n <= FEW_RESULTS and not v.defn.kind.startswith("arg"))


def _total_cost(v: Value, depth: int, seen: dict[Value, int]) -> int:
    """Cost of evaluating ``v`` and the pointwise values it is made of, up to a few levels."""
    if depth > 8 or type(v.defn) is not Pointwise:
        return 0
    total = cost(v.defn.expr)
    for load in loads(v.defn.expr):
        if load.value not in seen and load.value.ndim:
            seen[load.value] = 1
            total += _total_cost(load.value, depth + 1, seen)
            if total > CHEAP:
                return total
    return total


def _depends(stage: Stage, nest: Nest) -> bool:
    made = {s.value for s in nest.stages}
    return any(v in made for v, _ in stage.access.reads) or stage.value in made


def _index_loads(index: Index) -> Iterator[Load]:
    from covector.backends.cpu.ir import index_loads

    return index_loads(index)


def _sub_blocks(d: Any) -> list[Block]:
    if type(d) is Loop:
        return [b for b in (d.cond, d.body) if b is not None]
    return list(d.blocks)


def _inner_reads(block: Block) -> set[Value]:
    """Values that blocks nested in this one read."""
    out: set[Value] = set()

    def walk(sub: Block) -> None:
        for v in sub.values:
            d = v.defn
            t = type(d)
            if t in (Pointwise, Reduce, Cumulative):
                out.update(ld.value for ld in loads(d.expr))
            elif t is Update:
                if d.base is not None:
                    out.add(d.base)
                if d.pointwise is not None:
                    out.update(ld.value for ld in loads(d.pointwise))
                for p in d.parts:
                    out.update(ld.value for ld in loads(p.expr))
                    for i in (*p.dest, *(i for test in p.tests for i in test)):
                        out.update(ld.value for ld in _index_loads(i))
            elif v.output_index == 0:
                if t is LibraryCall:
                    out.update(d.operands)
                elif t is Loop:
                    out.update(d.inits)
                elif t is Branch:
                    out.add(d.index)
                if t in (Loop, Branch):
                    for s in _sub_blocks(d):
                        walk(s)
        out.update(sub.results)

    for v in block.values:
        if type(v.defn) in (Loop, Branch) and v.output_index == 0:
            for sub in _sub_blocks(v.defn):
                walk(sub)
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
                    total += 2 * inner * n
            elif type(d) in (Pointwise, Cumulative, Update):
                total += n
        if type(d) in (Loop, Branch) and v.output_index == 0:
            total += sum(_unrolled(b, limit) for b in _sub_blocks(d))
    return total
