"""Parts whose elements of one destination follow each other, such as sums of sorted segments."""

from __future__ import annotations

from collections.abc import Sequence

from covector.backends.cpu.emit import indexing
from covector.backends.cpu.emit.indexing import Idx
from covector.backends.cpu.emit.reductions import Accumulator, Running
from covector.backends.cpu.emit.values import ValueEmitter
from covector.backends.cpu.numerics import ops
from covector.backends.cpu.numerics.number import Number, real
from covector.backends.cpu.writer import Val, int_const
from covector.compiler.access import variables
from covector.compiler.ir.nodes import Index, Part
from covector.compiler.schedule.nodes import Stage
from covector.core import dtypes

# Running sums of a long group, in which each addition waits for the one before; and how long it is:
# the sums of a shorter one are in order, and overlap with those of the groups behind it.
SUMS = 4
LONG = 16


def _axes(part: Part) -> list[Index]:
    """What of a destination tells the groups apart: other axes walk a window of each."""
    return [i for i in part.dest if variables(i) <= {0}]


def _at(em: ValueEmitter, axes: Sequence[Index], i: Val) -> list[Val]:
    return [indexing.val(em.index(axis, [Idx(i)]).base) for axis in axes]


def _equal(em: ValueEmitter, cond: Val, xs: Sequence[Val], ys: Sequence[Val]) -> Val:
    for x, y in zip(xs, ys, strict=True):
        cond = em.b.bin("and", cond, em.b.cmp("icmp eq", x, y))
    return cond


def following(em: ValueEmitter, part: Part, at: Val, n: Val) -> Val:
    """Where the next group begins, from element ``at`` on."""
    b = em.b
    n = b.local(n)
    found = Accumulator(b, at, 0)
    axes = _axes(part)

    def goes_on(i: Val) -> Val:
        inside = b.bin("and", b.cmp("icmp sgt", i, int_const(0)), b.cmp("icmp slt", i, n))
        here = b.intrinsic("smin", i, b.bin("sub", n, int_const(1)))
        before = b.intrinsic("smax", b.bin("sub", here, int_const(1)), int_const(0))
        return _equal(em, inside, _at(em, axes, here), _at(em, axes, before))

    b.loop(at, 1, goes_on, lambda i: found.set(b, b.bin("add", i, int_const(1))))
    return real(found.get(b))


def accumulates(part: Part) -> bool:
    """Whether a group can be merged in a register: all of it goes to one place, or nowhere."""
    known = set(map(id, _axes(part)))
    tests = [i for test in part.tests for i in test]
    return (
        part.combine is not None and len(part.extents) == 1
        and all(id(i) in known or not variables(i) for i in tests)
    )  # fmt: skip


def limits(stage: Stage) -> tuple[Index, Index] | None:
    """Where a group begins and ends along the serial axis, if the part says so."""
    return stage.part.limits if stage.kind == "part" else None


def span(em: ValueEmitter, r: Running, ends: Sequence[Index], n: Val) -> tuple[Val, Val]:
    """Where the group at hand begins and ends among ``n`` elements."""
    low, high = (indexing.val(em.index(i, r.env).base) for i in ends)
    begin = em.b.intrinsic("smax", low, int_const(0))
    return begin, em.b.intrinsic("smin", high, em.b.local(n))


def merge(em: ValueEmitter, r: Running, begin: Val, end: Val) -> None:
    """The elements of one group, merged in registers: sums of floats in several of them."""
    b, part, v = em.b, r.stage.part, r.stage.value
    assert part.combine is not None
    combine, (axis,), mem = part.combine, part.serial, em.memory(v)
    dest = [em.index(i, r.env) for i in part.dest]
    acc = Accumulator(b, em.fresh_load(v, mem, dest), 0)
    at = Accumulator(b, begin, 0)

    def merged(x: Number, y: Number) -> Number:
        return ops.apply(b, combine, [x, y], [v.dtype] * 2, v.dtype, None)

    def one(i: Val, acc: Accumulator = acc) -> None:
        r.env[axis] = Idx(i)
        acc.set(b, merged(acc.get(b), em.expr(r.stage.expr, r.env)))

    def several() -> None:
        begin_, end_ = b.local(begin), b.local(end)
        accs = [acc] + [Accumulator(b, ops.literal(-0.0, v.dtype), 0) for _ in range(SUMS - 1)]

        def round_(i: Val) -> None:
            for k, sum_ in enumerate(accs):
                one(b.bin("add", i, int_const(k)), sum_)

        whole = b.bin("and", b.bin("sub", end_, begin_), int_const(-SUMS))
        whole = b.bin("add", begin_, whole)
        b.repeat(begin_, whole, SUMS, round_)
        numbers = [sum_.get(b) for sum_ in accs]
        while len(numbers) > 1:
            numbers = [merged(x, y) for x, y in zip(numbers[::2], numbers[1::2], strict=True)]
        acc.set(b, numbers[0])
        at.set(b, whole)

    # What lies outside is not looked for by a condition and by moving an index inside as well.
    steady, em.steady = em.steady, True
    if combine == "add" and v.dtype in (dtypes.float32, dtypes.float64):
        b.when(b.cmp("icmp sge", b.bin("sub", end, begin), int_const(LONG)), several)
    b.repeat(real(at.get(b)), end, 1, one)
    em.steady = steady
    em.store(v, mem, dest, acc.get(b))


def write(em: ValueEmitter, r: Running, first: Val, last: Val) -> None:
    """The groups of a part from ``first`` to ``last``, each merged in a register."""
    b, part, v = em.b, r.stage.part, r.stage.value
    mem, axes = em.memory(v), _axes(part)
    at = Accumulator(b, first, 0)
    acc = Accumulator(b, ops.literal(0, v.dtype), 0)
    assert part.combine is not None
    combine = part.combine

    def group(_: Val) -> None:
        begin = real(at.get(b))
        env = [Idx(begin)]
        place, dest = _at(em, axes, begin), [em.index(i, env) for i in part.dest]
        cond = em.tests(part.tests, env)

        def merge(i: Val) -> None:
            x = em.expr(r.stage.expr, [Idx(i)])
            types = [v.dtype] * 2
            acc.set(b, ops.apply(b, combine, [acc.get(b), x], types, v.dtype, None))
            at.set(b, b.bin("add", i, int_const(1)))

        def goes_on(i: Val) -> Val:
            here = b.intrinsic("smin", i, b.bin("sub", b.local(last), int_const(1)))
            inside = b.cmp("icmp slt", i, b.local(last))
            return _equal(em, inside, _at(em, axes, here), place)

        def load() -> None:
            acc.set(b, em.fresh_load(v, mem, dest))

        if cond is not False:
            load() if cond is True else b.when(cond, load)
        b.loop(begin, 1, goes_on, merge)
        if cond is not False:

            def store() -> None:
                em.store(v, mem, dest, acc.get(b))

            store() if cond is True else b.when(cond, store)

    def some(_: Val) -> Val:
        return b.cmp("icmp slt", real(at.get(b)), b.local(last))

    b.loop(int_const(0), 1, some, group)
