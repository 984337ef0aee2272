"""Nests: which stages share loops, how loops are merged, and what is used up in them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set

from covector.compiler.access import variables
from covector.compiler.ir.nodes import Index, IVar, Pointwise, Value, ivars
from covector.compiler.schedule.loops import holds_columns, holds_rows, in_rows
from covector.compiler.schedule.nodes import Nest, NestLoop, Stage, times
from covector.compiler.target import SHORT_ROW


def chain(stage: Stage, depth: int = 0) -> NestLoop | Stage:
    """The loops of ``stage`` from ``depth`` inwards."""
    node: NestLoop | Stage = stage
    for q in range(stage.depth - 1, depth - 1, -1):
        node = NestLoop(stage.dims[q], stage.roles[q], (node,))
    return node


class Growing:
    """A nest that further stages may join.

    Attributes
    ----------
    root : NestLoop or Stage
    made : dict
        The last of the stages that compute a value.
    """

    __slots__ = ("root", "made", "_read", "_private", "_again")

    def __init__(
        self, stage: Stage, private: Callable[[Value, Set[Value]], bool],
        again: Callable[[Stage], bool],
    ) -> None:  # fmt: skip
        """``private(v, made)`` says whether ``v`` is read by stages alone, each of a value in
        ``made`` or one that could be of the nest as well; ``again(stage)`` whether what a stage
        computes goes into stages with further loops."""
        self.root = chain(stage)
        self.made = {stage.value: stage}
        self._read = {v for v, _ in stage.reads if v.ndim}
        self._private = private
        self._again = again

    def join(self, stage: Stage) -> bool:
        """Put ``stage`` as deep into the nest as dependence allows, if they share a loop."""
        fused = self._fused(stage) if self._is_related(stage) else None
        if fused is None:
            return False
        self.root = fused
        self.made[stage.value] = stage
        self._read.update([v for v, _ in stage.reads if v.ndim])
        return True

    def join_sum(self, start: Stage, sum_: Stage) -> bool:
        """Put a reduction into memory beside one that reads the same, if all loops are alike: rows
        of both results are added to in one pass."""
        path: list[NestLoop] = []
        node: NestLoop | Stage = self.root
        while type(node) is NestLoop and len(path) < sum_.depth:
            q = len(path)
            if node.dim != sum_.dims[q] or node.role != sum_.roles[q]:
                return False
            path.append(node)
            node = node.children[-1]
        if type(node) is not Stage or node.kind != "accumulate" or len(path) < sum_.depth:
            return False
        reads = {v for v, _ in sum_.reads}
        if not reads.isdisjoint(self.made) or reads.isdisjoint(self._read):
            return False
        # The rows begin as the others do, in the loop around those that are reduced.
        inside = start.depth - 2
        first = path[inside].children[0]
        if type(first) is not NestLoop or any([s.kind != "init" for s in first.stages()]):
            return False
        rows: NestLoop = path[-1]._replace(children=(*path[-1].children, sum_))
        for q in range(len(path) - 2, -1, -1):
            before = path[q].children[:-1]
            if q == inside:
                before = (first._replace(children=(*first.children, start)), *before[1:])
            rows = path[q]._replace(children=(*before, rows))
        self.root = rows
        for stage in (start, sum_):
            self.made[stage.value] = stage
            self._read.update([v for v, _ in stage.reads if v.ndim])
        return True

    def _is_related(self, stage: Stage) -> bool:
        """Whether the stage reads something the nest computes or reads, or updates its value."""
        made, read = self.made, self._read
        return stage.value in made or stage.value in read or any(
            [v in made or v in read for v, _ in stage.reads]
        )  # fmt: skip

    def comes_before(self, stage: Stage) -> bool:
        """Whether ``stage`` has to come after the nest."""
        made = self.made
        return stage.value in made or any([v in made for v, _ in stage.reads])

    def _fused(self, stage: Stage) -> NestLoop | None:
        """The outermost loop of the nest with ``stage`` in it; None if it shares none."""
        path = _shared_path(self.root, self.made, stage)
        # Reductions may share their loops with what they read, but an inner loop is shared by
        # stages that all end there or all go on, unless rows are walked in it.
        for q, loop in enumerate(path):
            if loop.leaves and loop.loops and not (
                self._walks_rows(path[: q + 1]) or self._rows_fit(path[: q + 1], stage)
            ):  # fmt: skip
                del path[q:]
                break
        while path and not (
            _shape_fits(path[-1], stage, len(path))
            or self._rows_fit(path, stage)
            or self._ends_rows(path, stage)
        ):  # fmt: skip
            path.pop()
        if not path:
            return None
        return _with_stage(path, chain(stage, len(path)), stage.roles)

    def _walks_rows(self, path: Sequence[NestLoop]) -> bool:
        """Whether the last loop of a path walks long rows, one after the other, in no lanes."""
        loop, made = path[-1], self.made.keys()
        return (
            type(loop.children[0]) is NestLoop
            and all([n.role == "p" for n in path])
            and all([type(n.dim) is not int or n.dim > SHORT_ROW or n.dim == 1 for n in loop.loops])
            and not any([
                holds_rows(n, q) or holds_columns(n, q, lambda v: self._private(v, made))
                for q, n in enumerate(path)
            ])
        )  # fmt: skip

    def _ends_rows(self, path: Sequence[NestLoop], stage: Stage) -> bool:
        """Whether ``stage`` makes a number of what is known of each row, with which rows are walked
        once more."""
        return (
            stage.kind == "pointwise"
            and stage.depth == len(path)
            and any([v in self.made for v, _ in stage.reads])
            and self._again(stage)
            and self._walks_rows(path)
        )

    def _rows_fit(self, path: Sequence[NestLoop], stage: Stage) -> bool:
        """Whether ``stage`` may join the last loop of a path, whose rounds, or those of a loop
        around it, are lanes that walk short rows."""
        loop, depth = path[-1], len(path)
        inner = chain(stage, depth)
        if all([n.role == "p" for n in path[:-1]]) and in_rows(inner, depth - 1):
            # A loop that has both is of this kind already.
            if loop.role == "p" and "r" not in stage.roles[:depth] and loop.leaves and loop.loops:
                return True
            if holds_rows(loop, depth - 1):
                both = loop.role == stage.roles[depth - 1] == "p"
                return both or self._uses_up(loop, depth - 1, stage)
        if depth < 2 or not self._uses_up(loop, depth - 1, stage):
            return False
        after = _with_stage(path, inner, stage.roles)
        made = self.made.keys() | {stage.value}
        for q in range(depth - 1):
            if holds_columns(after, q, lambda v: self._private(v, made)):
                return True
            (after,) = after.loops[-1:]
        return False

    def _uses_up(self, loop: NestLoop, depth: int, stage: Stage) -> bool:
        """Whether nothing that a round of the loop at ``depth`` computes is read outside it once
        ``stage`` has joined it."""
        made = self.made.keys() | {stage.value}
        return all([
            s.roles[depth] == "r" or self._private(s.value, made) for s in loop.stages()
        ])  # fmt: skip


def _with_stage(path: Sequence[NestLoop], inner: NestLoop | Stage, roles: str) -> NestLoop:
    """The outermost loop of a path, the last of which gets a stage (and loops around it)."""
    for q in range(len(path) - 1, -1, -1):
        loop = path[q]
        kept = loop.children if q == len(path) - 1 else loop.children[:-1]
        role = roles[q] if roles[q] != "p" and loop.role == "p" else loop.role
        inner = NestLoop(loop.dim, role, (*kept, inner))
    assert type(inner) is NestLoop
    return inner


def _shared_path(
    node: NestLoop | Stage, producers: Mapping[Value, Stage], stage: Stage
) -> list[NestLoop]:
    """The loops that ``stage`` could run in, outermost first."""
    path: list[NestLoop] = []
    while type(node) is NestLoop and len(path) < stage.depth:
        q = len(path)
        role = stage.roles[q]
        # A tile and a serial loop are shared only with their like.
        if node.dim is not stage.dims[q] and node.dim != stage.dims[q]:
            break
        if role != node.role and ({role, node.role} & set("stb")):
            break
        if not _legal(producers, stage, q, node):
            break
        path.append(node)
        node = node.children[-1]
    return path


def _shape_fits(loop: NestLoop, stage: Stage, depth: int) -> bool:
    innermost = type(loop.children[0]) is Stage
    return innermost == (depth == stage.depth)


def _legal(producers: Mapping[Value, Stage], stage: Stage, q: int, loop: NestLoop) -> bool:
    """Whether ``stage`` may run inside a loop at depth ``q`` with the stages whose results it
    reads."""
    var = stage.order[q]
    own = producers.get(stage.value)
    if own is not None and own is not stage:
        # Init and accumulation of one value, or parts of one update.
        if stage.kind == "part" or own.kind == "part":
            return False
        if own.roles[q] == "r" or own.order[q] != var:
            return False
    for v, index in stage.reads:
        p = producers.get(v)
        if p is None or v is stage.value:
            continue
        if p.kind == "part":
            return False
        if q and not any([s is p for s in loop.stages()]):
            continue  # it is done before this loop
        if q >= p.depth:
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


# --- merged loops ------------------------------------------------------------------------


def collapse(root: NestLoop | Stage) -> NestLoop | Stage:
    """The loops with adjacent ones merged where every stage walks memory in one sweep."""
    loops = _straight(root)
    if len(loops) < 2:
        return root
    leaves = list(loops[-1].leaves)
    for k in range(len(loops) - 2, -1, -1):
        outer, inner = loops[k], loops[k + 1]
        if outer.role != inner.role or outer.role not in ("p", "r"):
            continue
        if not all([_collapsible(s, k) for s in leaves]):
            continue
        leaves = [_folded(s, k) for s in leaves]
        loops[k : k + 2] = [NestLoop(times(outer.dim, inner.dim), outer.role, inner.children)]
    node: tuple[NestLoop | Stage, ...] = tuple(leaves)
    for loop in reversed(loops):
        node = (NestLoop(loop.dim, loop.role, node),)
    return node[0]


def _straight(root: NestLoop | Stage) -> list[NestLoop]:
    """The loops from ``root`` to its leaves if there is one of each depth; else none."""
    loops: list[NestLoop] = []
    node = root
    while type(node) is NestLoop:
        loops.append(node)
        if len(node.children) > 1 and len(node.leaves) < len(node.children):
            return []
        node = node.children[0]
    return loops


def _folded(s: Stage, k: int) -> Stage:
    """``s`` with the index of loop ``k`` folded into that of the next one."""
    merged = times(s.dims[k], s.dims[k + 1])
    return s._replace(
        order=(*s.order[:k], *s.order[k + 1 :]),
        dims=(*s.dims[:k], merged, *s.dims[k + 2 :]), roles=s.roles[:k] + s.roles[k + 1 :],
    )  # fmt: skip


def _collapsible(stage: Stage, k: int) -> bool:
    if stage.kind not in ("pointwise", "reduce") or stage.roles[k] != stage.roles[k + 1]:
        return False
    a, c = stage.order[k], stage.order[k + 1]
    if c != a + 1 or a in stage.other or c in stage.other:
        return False
    dim = stage.dims[k + 1]
    for v, index in stage.reads:
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


def block_transposed(s: Stage) -> Stage:
    """``s``, in blocks of two axes where an operand is contiguous along another than the result.

    Otherwise every step along the last axis would touch another line of memory.
    """
    if s.depth < 2:
        return s
    last = s.order[-1]
    for v, index in s.reads:
        if v.ndim < 2 or not any([type(i) is IVar and i.axis == last for i in index[:-1]]):
            continue
        inner = index[-1]
        if type(inner) is IVar and inner.axis != last:
            q = s.order.index(inner.axis)
            dims = dict(zip(s.order, s.dims, strict=True))
            if all([type(n) is int and n <= SHORT_ROW for n in (dims[last], dims[inner.axis])]):
                continue
            rest = [a for k, a in enumerate(s.order[:-1]) if k != q]
            order = (*rest, last, inner.axis, last)
            roles = "p" * len(rest) + "bpp"
            return s._replace(order=order, dims=tuple([dims[a] for a in order]), roles=roles)
    return s


# --- contraction -------------------------------------------------------------------------


class Around:
    """The loops around each stage of a nest, outermost first."""

    __slots__ = ("_loops", "_rows")

    def __init__(self, root: NestLoop | Stage) -> None:
        self._loops: dict[int, tuple[NestLoop, ...]] = {}
        self._rows: dict[int, bool] = {}
        self._walk(root, ())

    def _walk(self, node: NestLoop | Stage, path: tuple[NestLoop, ...]) -> None:
        if type(node) is NestLoop:
            path = (*path, node)
            for c in node.children:
                self._walk(c, path)
        else:
            self._loops[id(node)] = path

    def __getitem__(self, stage: Stage) -> tuple[NestLoop, ...]:
        return self._loops[id(stage)]

    def hold_rows(self, loops: Sequence[NestLoop]) -> bool:
        """Whether the rounds of one of the outermost loops may be lanes that walk short rows."""
        for q, loop in enumerate(loops):
            found = self._rows.get(id(loop))
            if found is None:
                found = self._rows[id(loop)] = holds_rows(loop, q)
            if found:
                return True
        return False


def reads_locally(around: Around, producer: Stage, reader: Stage, index: tuple[Index, ...]) -> bool:
    """Whether ``reader`` reads exactly the element computed in the current iteration.

    Both are stages of one nest, with the loops ``around`` them.
    """
    if reader.kind == "part":
        return False
    loops = around[producer]
    shared = _shared_depth(loops, around[reader])
    axes = [(q, producer.order[q]) for q, role in enumerate(producer.roles) if role == "p"]
    if any([q >= shared for q, _ in axes]):
        # What is inside lanes with short rows is written out, and all of it is at hand.
        if not around.hold_rows(loops[:shared]):
            return False
        inner = set(reader.order[shared:])
        if not all([variables(index[a]) <= inner for q, a in axes if q >= shared]):
            return False
    for q, a in axes:
        if q < shared:
            i = index[a]
            if type(i) is not IVar or i.axis != reader.order[q]:
                return False
    return True


def keeps_a_row(nest: Nest, s: Stage) -> bool:
    """Whether a row is a piece of the result of ``s`` that a round of the outermost loop computes
    whole, and computes alone."""
    root = nest.root
    return (
        type(root) is NestLoop
        and root.role == "p"
        and not (root.lanes or root.unrolled)
        and nest.tasks in ("", "loop")
        and [t.value for t in nest.stages].count(s.value) == 1
        and s.kind in ("pointwise", "reduce", "cumulative")
        and s.depth > 1
        and not (type(s.value.defn) is Pointwise and s.value.defn.flat)
        and s.order[0] < s.value.ndim
        and s.order.count(s.order[0]) == 1
        and s.dims[0] == s.value.shape[s.order[0]]
    )


def reads_own_round(s: Stage, reader: Stage, index: tuple[Index, ...]) -> bool:
    """Whether ``reader`` reads of ``s`` what the same round of the outermost loop computes."""
    i = index[s.order[0]]
    return reader.kind != "part" and type(i) is IVar and i.axis == reader.order[0]


def _shared_depth(a: Sequence[NestLoop], b: Sequence[NestLoop]) -> int:
    """How many loops two stages of a nest share."""
    depth = 0
    for x, y in zip(a, b, strict=False):
        if x is not y:
            break
        depth += 1
    return depth
