"""Loops that run until every element has converged, and branches that some element wants."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from covector.numerics.num import Num, where
from covector.numerics.writer import Value


def iterate(
    start: Sequence[Num], going: Num, step: Callable[..., tuple[Sequence[Num], Num]], most: int
) -> list[Num]:
    """Repeat ``state, going = step(k, *state)`` for k = 1, 2, … in the elements ``going``.

    Parameters
    ----------
    start : sequence of Num
        The state before the first round.
    going : Num
        Elements that have anything to do.
    step : callable
        Gets the number of the round as a float, and the state.
    most : int
        Rounds after which elements that are still going are left as they are.
    """
    b = start[0].b

    def round_(k: Value, *state: Value) -> list[Value]:
        *old, active = [Num(b, v) for v in state]
        number = Num(b, k).cast("sitofp", start[0].v.ty)
        new, more = step(number, *old)
        more = more & active
        return [*(where(active, x, y).v for x, y in zip(new, old, strict=True)), more.v]

    out = b.iterate([x.v for x in (*start, going)], round_, most)
    return [Num(b, v) for v in out[:-1]]


def if_any(
    wanted: Num,
    compute: Callable[..., Sequence[Num]],
    inputs: Sequence[Num],
    otherwise: Sequence[Num],
) -> list[Num]:
    """What ``compute`` gives of the inputs if some element is ``wanted``, else ``otherwise``.

    All elements get it: the caller selects. ``compute`` takes its numbers from the inputs alone:
    what it makes of others would be written in front of the branch.
    """
    b = wanted.b

    def write(*vs: Value) -> list[Value]:
        return [x.v for x in compute(*[Num(b, v) for v in vs])]

    out = b.if_any(wanted.v, write, [x.v for x in inputs], [x.v for x in otherwise])
    return [Num(b, v) for v in out]
