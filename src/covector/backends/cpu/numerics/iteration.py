"""Loops that run until every lane has converged, and branches that some lane wants."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from covector.backends.cpu.numerics.num import Num, where
from covector.backends.cpu.writer import Val, int_const


def iterate(
    start: Sequence[Num], going: Num, step: Callable[..., tuple[Sequence[Num], Num]], most: int
) -> list[Num]:
    """Repeat ``state, going = step(k, *state)`` for k = 1, 2, … in the lanes that are ``going``.

    Parameters
    ----------
    start : sequence of Num
        The state before the first round.
    going : Num
        Lanes that have anything to do.
    step : callable
        Gets the number of the round as a float, and the state.
    most : int
        Rounds after which lanes that are still going are left as they are.
    """
    b = start[0].b
    state = [*start, going]
    slots = [b.alloca(x.v.type) for x in state]

    def put(values: Sequence[Num]) -> None:
        for x, slot in zip(values, slots, strict=True):
            v = b.local(x.v)
            b.line(f"store {v.type} {v.ref}, ptr {slot.ref}, align 64")

    def get() -> list[Num]:
        return [
            Num(b, b.impure(f"load {x.v.type}, ptr {slot.ref}, align 64", x.v.ty, x.v.lanes))
            for x, slot in zip(state, slots, strict=True)
        ]

    put(state)

    def round_(k: Val) -> Val:
        *old, active = get()
        number = Num(b, k).cast("sitofp", start[0].v.ty)
        new, more = step(number, *old)
        more = more & active
        put([*(where(active, x, y) for x, y in zip(new, old, strict=True)), more])
        return _any(more)

    b.rounds(most, round_)
    return get()[:-1]


def if_any(
    wanted: Num,
    compute: Callable[..., Sequence[Num]],
    inputs: Sequence[Num],
    otherwise: Sequence[Num],
) -> list[Num]:
    """What ``compute`` gives of the inputs if some lane is ``wanted``, else ``otherwise``.

    All lanes get it: the caller selects. ``compute`` takes its numbers from the inputs alone: what
    it makes of others would be written in front of the branch.
    """
    b = wanted.b
    given, slots = ([b.alloca(x.v.type) for x in xs] for xs in (inputs, otherwise))

    def put(values: Sequence[Num], places: Sequence[Val]) -> None:
        for x, slot in zip(values, places, strict=True):
            v = b.local(x.v)
            b.line(f"store {v.type} {v.ref}, ptr {slot.ref}, align 64")

    def get(like: Sequence[Num], places: Sequence[Val]) -> list[Num]:
        return [
            Num(b, b.impure(f"load {x.v.type}, ptr {slot.ref}, align 64", x.v.ty, x.v.lanes))
            for x, slot in zip(like, places, strict=True)
        ]

    put(inputs, given)
    put(otherwise, slots)
    b.when(_any(wanted), lambda: put(compute(*get(inputs, given)), slots))
    return get(otherwise, slots)


def _any(mask: Num) -> Val:
    """Whether a condition holds in some lane."""
    b, v = mask.b, mask.v
    if not v.lanes:
        return v
    ty = f"i{v.lanes}"
    bits = b.ins(("bits", ty), f"bitcast {v.type} %s to {ty}", (v,), ty, 0)
    return b.cmp("icmp ne", bits, int_const(0, ty))
