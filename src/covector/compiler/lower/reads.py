"""Elements of arrays that are put together of others: read where they come from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from covector.compiler.access import Moved, variables
from covector.compiler.ir.nodes import (
    Expr,
    IDyn,
    Index,
    IOp,
    IVar,
    Lit,
    Load,
    Op,
    Pointwise,
    Update,
    Value,
    Where,
)
from covector.core import dtypes

# Definitions that are looked through for one element.
_FAR = 16


def read(v: Value, *index: Index, block: Sequence[Value] = ()) -> Load:
    """An element of ``v``; if all such elements are in one of the pieces that an array is joined
    of, that of the piece; if they are in one place of the windows that are read at computed
    indices, what is read there.

    Arrays that only show others are looked through, if there is such a piece or window behind them.
    Windows are ``block``'s: a loop does not read anew what is read before it.
    """
    found = here = v.at(*index)
    for _ in range(_FAR):
        d = here.value.defn
        joined = type(d) is Update and d.base is None and d.pointwise is not None
        if not joined and not (type(d) is Pointwise and type(d.expr) is Load):
            break
        behind = _decided(d.expr, Moved(here.index))
        if behind is None:
            break
        if joined or (_in_one_place(here) and here.value in block):
            found = behind
        here = behind
    return found


def _in_one_place(load: Load) -> bool:
    """Whether this is one element of each of the windows that start at computed indices."""
    e = load.value.defn.expr
    assert type(e) is Load
    starts = {axis for i in e.index for axis in _computed(i)}
    within = [i for k, i in enumerate(load.index) if k not in starts]
    return bool(starts) and bool(within) and all([type(i) is int for i in within])


def _computed(index: Index) -> set[int]:
    """The axes that what an index reads depends on."""
    if type(index) is IOp:
        return _computed(index.a) | _computed(index.b)
    return variables(index) if type(index) is IDyn else set()


def source(v: Value, *index: Index) -> Load:
    """What an element of ``v`` is an element of, behind arrays that only show others."""
    here = v.at(*index)
    while type(d := here.value.defn) is Pointwise and type(d.expr) is Load and not d.flat:
        here = _behind(here, d.expr)
    return here


def renamed(here: Load) -> Load:
    """What an element is an element of, behind arrays that only name the axes of others anew."""
    while type(d := here.value.defn) is Pointwise and type(d.expr) is Load:
        if not all([type(i) in (IVar, int) for i in d.expr.index]):
            break
        here = _behind(here, d.expr)
    return here


def one_of(elements: Sequence[Expr], position: Load) -> Expr:
    """One of a few elements, selected; the nearest one where the position is out of bounds."""
    expr = elements[-1]
    for k in range(len(elements) - 2, -1, -1):
        limit = Lit(np.asarray(k, position.dtype)[()], position.dtype)
        here = Op("le", [position, limit], dtypes.bool_)
        expr = Op("select_n", [here, expr, elements[k]], expr.dtype)
    return expr


def _behind(here: Load, shown: Load) -> Load:
    found = Moved(here.index).visit(shown)
    assert type(found) is Load
    return found


def _decided(e: Expr, at: Moved) -> Load | None:
    """The element that an expression is there, if every condition is one on known numbers."""
    while type(e) is Where:
        holds = True
        for test in e.tests:
            i, lo, hi = map(at.visit, test)
            if not (type(i) is int and type(lo) is int and type(hi) is int):
                return None
            holds = holds and lo <= i < hi
        e = e.then if holds else e.other
    if type(e) is not Load:
        return None
    moved = at.visit(e)
    assert type(moved) is Load
    return moved
