"""How a reduction with a combination of its own walks its elements."""

from __future__ import annotations

from covector.compiler.access import cost
from covector.compiler.ir.nodes import Dim, Reduce
from covector.compiler.schedule.loops import CHAINS, CHEAP_ROUND
from covector.compiler.target import Target
from covector.core import dtypes
from covector.core.record import Record


class Fold(Record):
    """The loops of a reduction: those over the results, and inside them those reduced.

    Attributes
    ----------
    results, reduced : tuple of int
        The index variables, outermost first.
    dims : tuple of Dim
        The extent of each index variable.
    lanes : int
        Rounds of the last loop of one of the two that are the lanes of a vector; 0 for none.
    rows : bool
        Whether lanes are of the last result axis; otherwise they are of the last one reduced.
    stretches : bool
        Whether such a lane takes a stretch of the axis, one element a round; otherwise the lanes
        are neighbours, combined with one another in each round, which loads them faster and
        combines them more often.
    """

    results: tuple[int, ...]
    reduced: tuple[int, ...]
    dims: tuple[Dim, ...]
    lanes: int
    rows: bool
    stretches: bool


def fold_of(d: Reduce, target: Target) -> Fold:
    """The loops of ``d``: the innermost axis of its operand in vectors."""
    shape = d.results[0].shape
    n = len(shape)
    dims = (*shape, *d.extents)
    reduced = tuple([a for a in d.order if a >= n])
    rows = bool(d.order) and d.order[-1] == n - 1
    inner = n - 1 if rows else reduced[-1] if reduced else None
    size = 4
    for e in d.exprs:
        part = e.dtype.itemsize // 2 if e.dtype in dtypes.COMPLEX else e.dtype.itemsize
        size = max(size, part)
    lanes = target.lanes(size)
    cheap = sum([cost(e) for e in (*d.exprs, *d.kind.results)]) <= CHEAP_ROUND
    if not rows and cheap:
        lanes *= CHAINS
    dim = 1 if inner is None else dims[inner]
    while type(dim) is int and lanes > dim:
        lanes //= 2
    whole = not d.order or d.order[-1] in (n - 1, *reduced[-1:])
    return Fold(
        tuple(range(n)), reduced, dims, lanes if lanes > 1 and whole else 0, rows, not cheap
    )
