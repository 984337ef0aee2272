"""What processes send each other, as operations of the program of one of them."""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Iterator
from typing import Any

import numpy as np

from covector.core.avals import ShapedArray, aval_of
from covector.core.effects import Effect
from covector.core.structural import moveaxis, reshape, zeros
from covector.core.trace import Primitive

# Params: ``kind``, one of those below; ``ranks``, the processes that take part, in their order;
# ``pairs``, for "permute" who sends to whom, numbers of places in ``ranks``; ``program``, what
# tells the program from others.
#   sum, prod, max, min, and, or, xor: the combination of the values of all;
#   scatter: row i of the sum of the values of all, along the first axis, for process i;
#   gather: their values along a new first axis;
#   exchange: row i of the result is what process i has in the row of this one;
#   permute: the value of who sends to this one, or zeros;
#   broadcast: the value of the first process.
collective_p = Primitive("collective")


class CollectiveEffect(Effect):
    """Keeps collectives in their order, the same on all processes."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "Collective"


_EFFECTS: frozenset[Any] = frozenset((CollectiveEffect(),))
collective_p.def_effects(lambda params: _EFFECTS)


@collective_p.def_abstract_eval
def _aval(x: ShapedArray, *, kind: str, ranks: Any, pairs: Any, program: str) -> ShapedArray:
    """The type of the result."""
    shape = x.shape
    if kind == "gather":
        shape = (len(ranks), *shape)
    elif kind == "scatter":
        shape = shape[1:]
    return ShapedArray(shape, x.dtype, x.weak_type)


class Underway:
    """A collective between its start and its end, which compiled code puts here."""

    __slots__ = ("result",)

    def __init__(self) -> None:
        self.result: Any = None

    def __repr__(self) -> str:
        return "..."


# The two halves of a collective that goes on while the program does other things (`overlap`). The
# first has the parameters of a collective and ``underway``; its result, a number that says nothing,
# is the operand of the second, which has ``underway`` and ``aval``, the type of the result.
collective_start_p = Primitive("collective_start")
collective_end_p = Primitive("collective_end")
HALVES = (collective_start_p, collective_end_p)
for _half in HALVES:
    _half.def_effects(lambda params: _EFFECTS)


@collective_start_p.def_abstract_eval
def _start_aval(x: ShapedArray, **params: Any) -> ShapedArray:
    return ShapedArray((), np.dtype(np.int32))


@collective_end_p.def_abstract_eval
def _end_aval(started: ShapedArray, *, underway: Underway, aval: ShapedArray) -> ShapedArray:
    return aval


_program = contextvars.ContextVar("program", default="")


@contextlib.contextmanager
def of_program(text: str) -> Iterator[None]:
    """Context manager: collectives are of the program that ``text`` tells from others."""
    token = _program.set(text)
    try:
        yield
    finally:
        _program.reset(token)


def collective(x: Any, kind: str, ranks: tuple[int, ...], pairs: Any = ()) -> Any:
    """A collective among ``ranks``; of one process, nothing is sent."""
    if len(ranks) == 1:
        return _alone(x, kind, tuple(pairs))
    params = {"kind": kind, "ranks": ranks, "pairs": tuple(pairs), "program": _program.get()}
    if 0 in x.shape:
        return zeros(_aval(aval_of(x), **params))  # there is nothing to send
    return collective_p.bind_params((x,), params)


def _alone(x: Any, kind: str, pairs: tuple[tuple[int, int], ...]) -> Any:
    """The result of a collective of one process."""
    if kind == "gather":
        return reshape(x, (1, *x.shape))
    if kind == "scatter":
        return reshape(x, x.shape[1:])
    if kind == "permute" and not pairs:
        return zeros(aval_of(x))
    return x


def gathered(x: Any, dim: int, ranks: tuple[int, ...]) -> Any:
    """What ``ranks`` have, joined along a dimension."""
    rows = moveaxis(collective(x, "gather", ranks), 0, dim)
    shape = list(x.shape)
    shape[dim] *= len(ranks)
    return reshape(rows, tuple(shape))


def exchanged(x: Any, split: int, join: int, ranks: tuple[int, ...]) -> Any:
    """Parts along the dimension ``split`` for parts along the dimension ``join``."""
    n = len(ranks)
    shape = list(x.shape)
    shape[split] //= n
    rows = reshape(x, (*shape[:split], n, *shape[split:]))
    rows = collective(moveaxis(rows, split, 0), "exchange", ranks)
    shape[join] *= n
    return reshape(moveaxis(rows, 0, join), tuple(shape))


def scattered(x: Any, dim: int, ranks: tuple[int, ...]) -> Any:
    """The part along a dimension of the sum of what ``ranks`` have."""
    n = len(ranks)
    shape = x.shape
    rows = reshape(x, (*shape[:dim], n, shape[dim] // n, *shape[dim + 1 :]))
    return collective(moveaxis(rows, dim, 0), "scatter", ranks)
