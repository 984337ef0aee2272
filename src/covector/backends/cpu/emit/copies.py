"""Parts that merge elements into few places: tasks have copies of these, merged in order."""

from __future__ import annotations

from collections.abc import Callable

from covector.backends.cpu.emit import indexing, memory, reductions
from covector.backends.cpu.emit.memory import Tail
from covector.backends.cpu.emit.nests import NestEmitter
from covector.backends.cpu.emit.storage import Mem
from covector.backends.cpu.emit.values import STATUSES
from covector.backends.cpu.numerics import ops
from covector.backends.cpu.numerics.number import Number
from covector.backends.cpu.writer import Val, float_const, int_const
from covector.compiler.ir.nodes import KNOWN
from covector.compiler.schedule.loops import COPIES, GRAIN, numbers
from covector.compiler.schedule.nodes import Nest, NestLoop
from covector.core import dtypes
from covector.core.dtypes import DType

# Combinations of parts, as reductions.
_KINDS = {"add": "sum", "mul": "prod", "max": "max", "min": "min"}


def write(em: NestEmitter, nest: Nest, root: NestLoop, alone: Callable[[], None]) -> None:
    """Emit such a part; ``alone`` does so for one thread.

    How many tasks there are depends on sizes, not on threads.
    """
    b = em.b
    (stage,) = nest.stages
    v = stage.value
    size: int | Val = 1
    for d in v.shape:
        size = indexing.mul(b, size, em.dim(d))
    places = indexing.val(size)
    n = indexing.val(em.dim(root.dim))
    elements = b.bin("mul", n, indexing.val(em.inner_work(root)))
    least = b.intrinsic("umax", b.bin("mul", places, int_const(2)), int_const(4 * GRAIN))
    tasks = b.intrinsic("umin", b.bin("udiv", elements, least), int_const(COPIES))
    several = b.cmp("icmp sge", tasks, int_const(2))

    def shared() -> None:
        count = b.intrinsic("umax", tasks, int_const(1))
        grain = b.bin("udiv", b.bin("add", n, b.bin("sub", count, int_const(1))), count)
        used = b.bin("udiv", b.bin("add", n, b.bin("sub", grain, int_const(1))), grain)
        length = b.bin("mul", places, used)
        size = b.bin("mul", length, int_const(v.dtype.itemsize))
        call = f"call ptr {em.runtime('alloc').ref}(i64 {b.local(size).ref})"
        copies = b.impure(call, "ptr")
        full = f"ret i32 {STATUSES['out_of_memory']}"
        b.unless(b.cmp("icmp ne", copies, Val("null", "ptr")), full)

        def task(begin: Val, end: Val) -> None:
            c = em.b
            number = c.bin("udiv", begin, c.local(grain))
            mine = _copy(em, copies, v.dtype, c.bin("mul", number, c.local(places)))
            _fill(em, mine, v.dtype, places, stage.part.combine)
            home = em.storage[v]
            em.storage[v] = Mem(mine, c.level, c)
            em.counted(nest, root, begin, end)
            em.storage[v] = home

        free = f"call void {em.runtime('free').ref}(ptr {copies.ref})"
        em.parallel_for(em.outlined(task), n, grain, free)
        home = em.memory(v).ptr

        def merge(begin: Val, end: Val) -> None:
            _merge(em, home, copies, v.dtype, places, used, stage.part.combine, begin, end)

        em.parallel_for(em.outlined(merge), places, int_const(GRAIN), free)
        b.line(free)

    b.when(several, shared)
    b.when(b.cmp("icmp slt", tasks, int_const(2)), alone)


def _copy(em: NestEmitter, copies: Val, dtype: DType, first: Val) -> Val:
    c = em.b
    at = c.bin("mul", first, int_const(numbers(dtype)))
    return memory.gep(c, c.local(copies), memory.memory_type(dtype), at)


def _identity(combine: str, dtype: DType) -> Number:
    """What changes no number that it is merged with: zeros keep their sign."""
    start = reductions.initial(KNOWN[_KINDS[combine]], dtype)
    if combine != "add" or dtype in dtypes.INTEGERS:
        return start
    return reductions.whole([float_const(-0.0, p.ty) for p in reductions.parts(start)])


def _lanes(em: NestEmitter, dtype: DType) -> int:
    return em.schedule.target.lanes(max(dtype.itemsize // numbers(dtype), 4))


def _fill(em: NestEmitter, ptr: Val, dtype: DType, n: Val, combine: str | None) -> None:
    assert combine is not None
    c, lanes = em.b, _lanes(em, dtype)
    one = _identity(combine, dtype)

    def some(i: Val) -> None:
        memory.store_vector(em.b, ptr, dtype, i, one, lanes, _tail(em, i, n, lanes))

    c.repeat(int_const(0), c.local(n), lanes, some)


def _tail(em: NestEmitter, i: Val, end: Val, lanes: int) -> Tail:
    return em.rest(em.b.bin("sub", em.b.local(end), i), lanes)


def _merge(
    em: NestEmitter, home: Val, copies: Val, dtype: DType, places: Val, count: Val,
    combine: str | None, begin: Val, end: Val,
) -> None:  # fmt: skip
    """Merge the copies of the places from ``begin`` to ``end`` with what is there."""
    assert combine is not None
    c, lanes = em.b, _lanes(em, dtype)

    def some(i: Val) -> None:
        c = em.b
        tail = _tail(em, i, end, lanes)
        old = memory.load_vector(c, c.local(home), dtype, i, lanes, tail)
        total = reductions.Accumulator(c, old, lanes)

        def one(k: Val) -> None:
            b = em.b
            at = b.bin("add", b.bin("mul", k, b.local(places)), i)
            x = memory.load_vector(b, b.local(copies), dtype, at, lanes, tail)
            merged = ops.apply(b, combine, [total.get(b), x], [dtype] * 2, dtype, None)
            total.set(b, merged)

        c.repeat(int_const(0), c.local(count), 1, one)
        memory.store_vector(em.b, em.b.local(home), dtype, i, total.get(em.b), lanes, tail)

    c.repeat(begin, end, lanes, some)
