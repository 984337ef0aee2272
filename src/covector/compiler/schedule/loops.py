"""How loops run: as tasks for threads, in the lanes of vectors, written out, or one by one."""

from __future__ import annotations

from collections.abc import Callable

from covector.compiler.access import Access, cost, variables
from covector.compiler.ir.nodes import (
    Expr,
    IDyn,
    Index,
    IOp,
    IPart,
    IVar,
    Lit,
    Load,
    Op,
    Pointwise,
    Reduce,
    Sym,
    Update,
    Value,
    Where,
    ivars,
)
from covector.compiler.schedule.kinds import LONG_ROW, in_lanes, weight
from covector.compiler.schedule.nodes import Nest, NestLoop, Stage
from covector.compiler.target import REGISTER_ELEMENTS, SHORT_ROW, Target
from covector.core import dtypes
from covector.core.dtypes import DType

# Most copies of the places into which tasks merge elements, and the dtypes of such.
COPIES = 16
_MERGED = frozenset((*dtypes.INTEGERS, dtypes.float32, dtypes.float64, *dtypes.COMPLEX))
# Elements (weighted by cost) that one task of a parallel loop should cover.
GRAIN = 16384
# Tasks of a reduction to a few numbers, and the elements of one: they depend on sizes alone, so
# that the result does not depend on threads.
CHUNKS, CHUNKS_MOST = 64, 4096
CHUNK_ELEMENTS, CHUNK_MOST = 32768, 1 << 23
# Rounds of a tiled loop in one task, and its elements; elements of a blocked axis that are walked
# before the other axis moves on.
TILE, TILE_MOST = 1024, 1 << 27
BLOCK = 16
# Loops of at most this many rounds altogether are written out.
UNROLL_LOOP = 8
# So are short loops inside the lanes of a vector, one lane to a row; those around others up to so
# many rounds in all.
WRITTEN_OUT = 64
# Rounds that are worth a vector of their own.
FEW_LANES = 4
# Numbers of the rows that are read and written as vectors of neighbours, and sorted in registers.
STRUCTURE = 16
# Numbers of the rows that are reduced to a row, a running result in vectors for each.
FEW_PLACES = 8
# A running result waits for the one before: loops that only reduce keep this many of them, all
# their results taken together.
CHAINS = 4
# Rounds of a reduction that one pass over a row of results takes, if they are this cheap.
ROUNDS_TOGETHER = 4
CHEAP_ROUND = 8
# Operations of a vector up to which what fills none is written apart.
APART = 24
# Rounds of the innermost loop of a sum of floats, and of a loop around it, after which a running
# sum is added to a more precise one: what it then is does not swallow the next elements.
SUM_ROUNDS, SUM_LOOPS = 128, 32
_VECTOR_KINDS = ("pointwise", "reduce", "init", "accumulate", "part")


def place_loops(nest: Nest, target: Target, limit: int = REGISTER_ELEMENTS) -> Nest:
    """``nest`` with what is said above decided for each of its loops."""
    root = nest.root
    if type(root) is not NestLoop:
        return nest
    tasks = "partial" if _merges(root) else "loop" if _worth_threads(root) else ""
    if not tasks and _grouped(root):
        tasks = "groups"
    if not tasks and _scatters(root):
        tasks = "copies"
    placer = _Placer(target, limit, bool(tasks), nest.contracted)
    return Nest(placer.loop(root, 0, bool(tasks), 0), nest.contracted, nest.rows, tasks)


def _merges(root: NestLoop) -> bool:
    """Whether tasks reduce pieces of the outermost loop to a few numbers each, whatever else they
    compute of their pieces."""
    if root.role != "r" or not all(map(_in_pieces, root.stages())):
        return False
    work = constant_work(root)
    return work is None or work > 2 * CHUNK_ELEMENTS


def _in_pieces(s: Stage) -> bool:
    """Whether a stage is a reduction to few numbers, or each round's own."""
    if s.few:
        return not s.value.defn.kind.finds
    return s.roles[0] == "p" and s.kind in ("pointwise", "reduce")


def _worth_threads(root: NestLoop) -> bool:
    if root.role not in ("p", "t", "b"):
        return False
    if not all([s.roles[0] == root.role for s in root.stages()]):
        return False
    total = constant_work(root)
    return total is None or total > 2 * GRAIN


def _grouped(root: NestLoop) -> bool:
    """Whether tasks write groups of elements, each of one destination."""
    stages = list(root.stages())
    if len(stages) > 1 or stages[0].kind != "part" or not stages[0].part.grouped:
        return False
    total = constant_work(root)
    return total is None or total > 2 * GRAIN


def _scatters(root: NestLoop) -> bool:
    """Whether tasks merge elements into copies, each task into one of its own."""
    stages = list(root.stages())
    s = stages[0]
    if len(stages) > 1 or s.kind != "part" or s.roles[0] != "s" or s.part.combine is None:
        return False
    if s.part.grouped or s.value.dtype not in _MERGED or root.dim in s.value.shape:
        # There may be no fewer places than elements.
        return False
    total, places = constant_work(root), s.value.constant_size()
    return total is None or total > max(8 * GRAIN, 4 * (places or 0))


def constant_work(node: NestLoop | Stage) -> int | None:
    """Elements that a loop goes through; None if that is known at run time only."""
    if type(node) is Stage:
        return 1
    assert type(node) is NestLoop
    if type(node.dim) is not int:
        return None
    total = 0
    for c in node.children:
        w = constant_work(c)
        if w is None:
            return None
        total += w
    return total if node.role in ("t", "b") else total * node.dim


class _Placer:
    """Walks the loops of one nest as they will be written."""

    def __init__(
        self, target: Target, limit: int, in_tasks: bool, used_up: frozenset[Value]
    ) -> None:
        self.target = target
        self.limit = limit
        self.in_tasks = in_tasks
        self.used_up = used_up

    def loop(self, node: NestLoop, depth: int, spanned: bool, lanes: int) -> NestLoop:
        """A loop inside ``lanes`` of an outer one; ``spanned`` if tasks are pieces of it."""
        if node.role in ("t", "b"):
            axis = next(iter(node.stages())).order[depth]
            return node._replace(children=self._in_tile(node, depth + 1, axis))
        if not lanes and self._rows(node, depth):
            rows = self._row_lanes(node)
            made = self._inner(node._replace(lanes=rows), depth, rows)
            return made._replace(apart=self._is_cheap(made))
        written = (lanes and in_structure(node)) or (not spanned and self._unrolls(node))
        if written or _places(node, depth):
            return self._inner(node._replace(unrolled=True), depth, lanes)
        if last_reduced(node):
            return self._inner(node._replace(together=_together(node)), depth, lanes)
        if node.loops or lanes:
            return self._inner(node, depth, lanes)
        return self._vectors(node, _has_borders(node))

    def _vectors(self, node: NestLoop, borders: bool) -> NestLoop:
        """An innermost loop in vectors, if it has them."""
        lanes = self.vector_lanes(node)
        if not lanes:
            return node
        if borders:
            return node._replace(lanes=lanes, stretches=True)
        made = node._replace(lanes=lanes)
        return made._replace(apart=self._is_cheap(made))

    def _is_cheap(self, node: NestLoop) -> bool:
        """Whether the vectors of a loop take so little code that they are better written twice
        than each load and store with a question for the last."""
        if type(node.dim) is int and node.dim % node.lanes == 0:
            return False
        work = self._work(node)
        return work is not None and work <= APART

    def _work(self, node: NestLoop) -> int | None:
        """Operations of a round of a loop, if its rounds are alike and known."""
        work = 0
        for c in node.children:
            if isinstance(c, NestLoop):
                inner = self._work(c)
                if inner is None or not c.unrolled or type(c.dim) is not int:
                    return None
                work += c.dim * inner
            elif any([_found(i) for _, index in c.reads for i in index]):
                return None
            else:
                rows = ROUNDS_TOGETHER if c.kind == "accumulate" else 1
                work += rows * weight(c.expr, self.limit)
        return work

    def _inner(self, node: NestLoop, depth: int, lanes: int) -> NestLoop:
        inner = [
            self.loop(c, depth + 1, False, lanes) if type(c) is NestLoop else c
            for c in node.children
        ]  # fmt: skip
        return node._replace(children=tuple(inner)) if node.loops else node

    def _in_tile(self, node: NestLoop, depth: int, axis: int) -> tuple[NestLoop, ...]:
        """The loops inside a tile: over its span if they walk the tiled axis."""
        out = []
        for c in node.loops:
            if next(iter(c.stages())).order[depth] == axis:
                out.append(self._vectors(c, False))
                continue
            inner = c._replace(children=self._in_tile(c, depth + 1, axis))
            out.append(inner._replace(together=_together(c)) if last_reduced(c) else inner)
        return tuple(out)

    def _unrolls(self, node: NestLoop) -> bool:
        """Whether a loop is so short that it is written out."""
        if node.dim == 1:
            return True
        work = constant_work(node)
        return work is not None and work <= UNROLL_LOOP and not self.in_tasks

    def _rows(self, node: NestLoop, depth: int) -> bool:
        """Whether the rounds of a loop are the lanes of vectors, and rows (or columns searched)
        inside it are walked element by element: short rows are written out."""
        if node.role not in "pr" or not node.loops:
            return False
        if type(node.dim) is int and node.dim < FEW_LANES:
            return False
        if node.role == "p" and all([_searches_columns(s) for s in node.stages()]):
            return True
        if self._row_lanes(node) == 1:
            return False
        if holds_rows(node, depth) or holds_columns(node, depth, self.used_up.__contains__):
            return True
        return (
            node.role == "p"
            and not node.leaves
            and all([_short_rows(c, depth + 1) for c in node.loops])
            and all([s.kind == "pointwise" or s.kind == "reduce" for s in node.stages()])
        )

    def _row_lanes(self, node: NestLoop) -> int:
        lanes = min([self._stage_lanes(s) for s in node.stages()])
        while type(node.dim) is int and lanes > node.dim:
            lanes //= 2
        return lanes

    def vector_lanes(self, node: NestLoop) -> int:
        """Lanes of a vector of an innermost loop; 0 if it has to be scalar."""
        least = max([narrow_bytes(s) or 4 for s in node.leaves], default=4)
        lanes = self.target.lanes(least)
        for s in node.leaves:
            if s.kind not in _VECTOR_KINDS or s.roles[-1] == "s":
                return 0
            if s.kind == "part" and not _part_vectorises(s):
                return 0
            lanes = min(lanes, self._stage_lanes(s, least))
        if all([self._only_reduces(s) for s in node.leaves]):
            lanes *= max(CHAINS // len(node.leaves), 1)
        if type(node.dim) is int:
            while lanes > node.dim:
                lanes //= 2
        return lanes if lanes > 1 else 0

    def _only_reduces(self, s: Stage) -> bool:
        """Whether a stage does little but take the next elements in order to a running result."""
        last = s.order[-1]
        return (
            s.kind == "reduce" and not s.few and weight(s.expr, self.limit) <= CHEAP_ROUND
            # LLVM takes vectors of bits that are longer than a register apart.
            and s.value.dtype != dtypes.bool_
            and all(
                type(i) is IVar and k == len(index) - 1
                for _, index in s.reads for k, i in enumerate(index)
                if last in variables(i)
            )
        )  # fmt: skip

    def _stage_lanes(self, s: Stage, least: int = 4) -> int:
        """Lanes that fill the vectors of the widest element a stage works on."""
        size = least
        for dt in (s.value.dtype, s.expr.dtype, *(v.dtype for v, _ in s.reads)):
            size = max(size, dt.itemsize // 2 if dt in dtypes.COMPLEX else dt.itemsize)
        return self.target.lanes(size)


# Operations on small integers, each a few instructions for a vector of them.
_NARROW = frozenset(
    "add sub mul neg and or xor not eq ne lt le gt ge select_n max min clamp copy "
    "convert_element_type".split()
)
_MOST_NARROW = 64


def narrow_bytes(s: Stage) -> int:
    """Bytes of the widest number with which a stage computes an element, if these are 1 or 2 and
    what it does fits vectors that are full of them; else 0."""
    if s.kind != "pointwise" and not (s.kind == "part" and s.part.combine is None):
        return 0
    widest = _narrow_bytes(s.value.dtype)
    stored = {v for v, _ in s.reads}
    stack: list[Expr] = [s.expr]
    seen: set[Value] = set()
    while stack and widest:
        e = stack.pop()
        if type(e) is Where:
            stack += [e.then, e.other]
            continue
        size = _narrow_bytes(e.dtype)
        widest = max(widest, size) if size else 0
        if type(e) is Op:
            if e.name not in _NARROW:
                return 0
            stack += e.args
        elif type(e) is Load:
            if any([type(i) is IDyn or type(i) is IPart for i in e.index]):
                return 0
            v = e.value
            if v.ndim and v not in stored and v not in seen and type(v.defn) in (Pointwise, Update):
                seen.add(v)
                stack.append(v.defn.expr)
        elif type(e) is not Lit:
            return 0
        if len(seen) > _MOST_NARROW:
            return 0
    return widest


def _narrow_bytes(dtype: DType) -> int:
    return dtype.itemsize if dtype in _SMALL_NUMBERS else 0


_SMALL_NUMBERS = frozenset((dtypes.bool_, dtypes.int8, dtypes.uint8, dtypes.int16, dtypes.uint16))


def _found(index: Index) -> bool:
    """Whether where an element is read is computed from elements."""
    if type(index) is IOp:
        return _found(index.a) or _found(index.b)
    return type(index) is IDyn or type(index) is IPart


def _together(node: NestLoop) -> int:
    """Rounds of a reduction around rows of results that one pass over them takes."""
    leaves = node.loops[0].leaves
    cheap = leaves and all([cost(c.expr) <= CHEAP_ROUND for c in leaves])
    return ROUNDS_TOGETHER if cheap else 1


def short(node: NestLoop) -> bool:
    """Whether a loop inside the lanes of a vector is written out."""
    return type(node.dim) is int and 1 <= node.dim <= SHORT_ROW


def _short_rows(node: NestLoop, depth: int) -> bool:
    """Whether what is inside the lanes of a vector is a short row, or a short window."""
    if all([_is_window(s, depth) for s in node.stages()]):
        return True
    return short(node) and not node.loops and node.dim != 8


def in_structure(node: NestLoop) -> bool:
    """Whether a loop over the numbers of a row inside the lanes of a vector is written out."""
    return type(node.dim) is int and 1 <= node.dim <= STRUCTURE and (short(node) or not node.loops)


def _places(node: NestLoop, depth: int) -> bool:
    """Whether the rounds of a loop are the places in short rows that a loop around it reduces."""
    return any([
        s.kind == "reduce" and s.roles[depth] == "p" and "r" in s.roles[:depth]
        for s in node.stages()
    ])  # fmt: skip


def numbers(dtype: DType) -> int:
    """Numbers in memory that make an element."""
    return 2 if dtype in dtypes.COMPLEX else 1


def holds_rows(node: NestLoop, depth: int) -> bool:
    """Whether the rounds of a loop may be lanes that walk short rows: what is inside ends here or
    is a few short loops in each other, and all that is read and written are neighbours, the same
    in all lanes, or in short rows."""
    if node.role not in "pr" or (type(node.dim) is int and node.dim < FEW_LANES):
        return False
    return all(in_rows(c, depth) for c in node.children)


def in_rows(node: NestLoop | Stage, depth: int) -> bool:
    """Whether a stage or loop in the loop at ``depth`` may run once for the lanes of vectors."""
    if type(node) is NestLoop:
        rounds = constant_work(node)
        if rounds is None or rounds > WRITTEN_OUT or not _all_short(node):
            return False
    return all([
        _fits_lanes(s, depth) and _in_structures(s, s.order[depth]) for s in node.stages()
    ])  # fmt: skip


def _fits_lanes(s: Stage, depth: int) -> bool:
    """Whether the rounds of the loop at ``depth`` may be lanes, as far as the stage's roles go."""
    if s.few or s.kind not in ("pointwise", "reduce"):
        return False
    if s.roles[depth] == "r":
        # A running result in lanes for each place of what it is reduced to.
        return not s.value.defn.kind.finds and "r" not in s.roles[depth + 1 :]
    return s.roles[depth] == "p" and "r" not in s.roles[:depth]


def holds_columns(node: NestLoop, depth: int, used_up: Callable[[Value], bool]) -> bool:
    """Whether the rounds of a loop may be lanes inside which a long loop is walked one by one.

    Short rows are walked in it, whose numbers are at hand in all lanes, or are the same in them;
    ``used_up`` says which values are not stored.
    """
    if node.role != "p" or (type(node.dim) is int and node.dim < FEW_LANES):
        return False
    if all(map(in_structure, node.loops)) or not any([c.loops for c in node.loops]):
        return False
    if not all(map(_walked, node.loops)):
        return False
    return all([
        _fits_lanes(s, depth) and _in_structures(s, s.order[depth], used_up)
        for s in node.stages()
    ])  # fmt: skip


def _walked(node: NestLoop) -> bool:
    """Whether a loop inside lanes is a short row, or a long one around what ends there and rows."""
    if in_structure(node):
        return all(map(in_structure, node.loops))
    return node.role in "pr" and all(
        [in_structure(c) and all(map(in_structure, c.loops)) for c in node.loops]
    )


def joins_rows(v: Value, d: Update) -> bool:
    """Whether an array is made of pieces of short rows, which one pass over the rows can write."""
    if d.base is not None or d.pointwise is None or not v.ndim:
        return False
    first, length = v.ndim, numbers(v.dtype)
    for n in reversed(v.shape):
        if type(n) is not int or n > SHORT_ROW:
            break
        first -= 1
        length *= n
    if not first or first == v.ndim or length > STRUCTURE or v.shape[-1] == 8:
        return False
    lanes = v.shape[first - 1]
    if type(lanes) is int and lanes < LONG_ROW:
        return False
    return all([
        p.dest[:first] == ivars(v.ndim)[:first] and p.extents[:first] == v.shape[:first]
        for p in d.parts
    ])  # fmt: skip


def reduces_rows(v: Value, d: Reduce) -> int:
    """How many short axes, the last ones in memory, are those of a row to which rows are reduced;
    0 if this is none of few numbers."""
    n, order = v.ndim, d.order
    if not d.kind.known or d.kind.finds or not d.extents:
        return 0
    length = numbers(v.dtype)
    k = len(order)
    while k and order[k - 1] < n:
        dim = v.shape[order[k - 1]]
        if type(dim) is not int:
            return 0
        length *= dim
        k -= 1
    if k == len(order) or not 2 <= length <= FEW_PLACES or v.shape[order[-1]] == 8:
        return 0
    rows = d.extents[order[k - 1] - n]
    if type(rows) is int and rows < LONG_ROW:
        return 0
    access = Access()
    access.add(d.expr, ivars(n + len(d.extents)), lambda u: False)
    in_order = all([
        index == tuple([ivars(n + len(d.extents))[a] for a in order])
        for _, index in access.reads
    ])  # fmt: skip
    return len(order) - k if in_order else 0


def _all_short(node: NestLoop) -> bool:
    if (
        node.role not in "pr"
        or not short(node)
        or (node.leaves and node.dim == 8 and node.role == "p")
    ):
        return False
    return all(map(_all_short, node.loops))


def _in_structures(s: Stage, axis: int, used_up: Callable[[Value], bool] = lambda v: False) -> bool:
    """Whether vectors along an axis meet rows of at most `STRUCTURE` numbers only, in memory."""
    for v, index in ((s.value, ivars(s.value.ndim)), *s.reads):
        if used_up(v):
            continue
        row = numbers(v.dtype)
        for i, dim in zip(reversed(index), reversed(v.shape), strict=True):
            if axis in variables(i):
                if row > STRUCTURE or not (type(i) is IVar or (row == 1 and _shifted(i, axis))):
                    return False
                break
            if type(dim) is not int:
                row = STRUCTURE + 1
            row *= dim if type(dim) is int else 1
    return not any([axis in variables(i) for test in s.tests for i in test])


def _is_window(s: Stage, depth: int) -> bool:
    """Whether a stage does nothing from here on but reduce, and little."""
    return s.kind == "reduce" and "p" not in s.roles[depth:] and in_lanes(s.value)


def _searches_columns(s: Stage) -> bool:
    """Whether a stage looks for a position along an axis which is not the one in memory order."""
    if s.kind != "reduce" or not s.value.defn.kind.finds or s.depth < 2:
        return False
    column = s.order[-2]
    return (
        column < s.value.ndim
        and all(
            not any(column in variables(i) for i in index[:-1])
            and (column not in variables(index[-1]) or type(index[-1]) is IVar)
            for _, index in s.reads
            if index
        )
        and any(index and column in variables(index[-1]) for _, index in s.reads)
    )


def last_reduced(node: NestLoop) -> bool:
    """Whether a loop is the innermost one reduced, around rows of results in memory."""
    if node.role != "r" or not all([s.kind == "accumulate" for s in node.stages()]):
        return False
    return type(node.children[0]) is NestLoop and node.children[0].role == "p"


def first_reduced(s: Stage) -> int:
    """Depth of the first loop over which ``s`` carries a running result."""
    for q, r in enumerate(s.roles):
        if r in ("r", "s"):
            return q
    return -1


def _has_borders(node: NestLoop) -> bool:
    """Whether conditions on the index of an innermost loop change at borders known before it."""
    found = False
    for s in node.leaves:
        axis = s.order[-1]
        # Rows that are accumulated in one pass have no borders in common.
        rows = {a for a, r in zip(s.order, s.roles, strict=True) if r == "r"} - {axis}
        for test in s.tests:
            used = set().union(*map(variables, test))
            if axis not in used:
                continue
            if s.kind == "accumulate" and used & rows:
                return False
            index, lo, hi = test
            if not (_shifted(index, axis) and _known(lo, axis) and _known(hi, axis)):
                return False
            found = True
    return found


def _shifted(index: Index, axis: int) -> bool:
    """Whether an index is an index variable and something that is known before its loop."""
    if type(index) is not IOp:
        return type(index) is IVar and index.axis == axis
    a, b = index.a, index.b
    if index.op == "+" and _known(a, axis):
        a, b = b, a
    return index.op in ("+", "-", "inside") and _known(b, axis) and _shifted(a, axis)


def _known(index: Index, axis: int) -> bool:
    """Whether an index is made of sizes and variables of outer loops."""
    if type(index) is IOp:
        return _known(index.a, axis) and _known(index.b, axis)
    return type(index) in (int, Sym) or (type(index) is IVar and index.axis != axis)


def _part_vectorises(s: Stage) -> bool:
    """Whether the innermost loop of a part writes consecutive elements, unconditionally."""
    part = s.part
    last = s.order[-1]
    if last in part.serial or not part.dest:
        return False
    for i in part.dest[:-1]:
        if last in variables(i):
            return False
    for test in part.tests:
        for i in test:
            if last in variables(i):
                return False
    end = part.dest[-1]
    while type(end) is IOp and end.op == "+":
        if last in variables(end.a) and last not in variables(end.b):
            end = end.a
        elif last in variables(end.b) and last not in variables(end.a):
            end = end.b
        else:
            return False
    return type(end) is IVar
