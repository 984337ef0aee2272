"""Stages, and the nests of loops that several of them share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from covector.compiler.access import Access, variables
from covector.compiler.ir.nodes import Dim, Expr, Index, IVar, Part, Value, ivars


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
        "value", "kind", "order", "dims", "roles", "expr", "part", "access", "env", "few", "rows"
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
        # Indices along the reduced axis that one pass over a row of results accumulates.
        self.rows: list[Any] = []

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


def block_transposed(s: Stage) -> None:
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


def reads_locally(nest: Nest, producer: Stage, reader: Stage, index: tuple[Index, ...]) -> bool:
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


def depends(stage: Stage, nest: Nest) -> bool:
    made = {s.value for s in nest.stages}
    return any(v in made for v, _ in stage.access.reads) or stage.value in made
