"""Values computed anew, with their axes in the order in which a reduction wants them.

Two reductions of what is computed for all pairs of points, one over each axis, cannot share its
loops. Stored, the pairs cost more memory traffic than they cost arithmetic; so each reduction gets
formulas of its own, and computes the pairs where it uses them up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set

from covector.compiler.access import Moved, cost
from covector.compiler.ir.nodes import (
    Index,
    IVar,
    Load,
    Node,
    Pointwise,
    Reduce,
    Sym,
    Value,
    Where,
    ivars,
    product,
)
from covector.compiler.lower.lowering import Lowering

# Simple operations for one pair, and pairs, from which on it is worth it.
_DEAR = 160
_MANY = 1 << 12
# Numbers of a row that is computed for each pair.
_ROW = 16

# A value, and the order of its axes.
Turned = tuple[Value, tuple[int, ...]]


class _Cannot(Exception):
    """A formula that is not turned."""


def turned(low: Lowering, x: Value, axes: Sequence[int]) -> tuple[Value, list[int]] | None:
    """``x`` computed with the axes that a reduction over ``axes`` keeps before those it reduces,
    and for each axis of it the axis of ``x``; None where nothing is gained."""
    perm = _wanted(x, axes)
    if perm is None:
        return None
    copy = _Copy(low.turned, set(low.values))
    try:
        out = copy.value(x, perm)
    except _Cannot:
        return None
    if not copy.rows or copy.cost > _DEAR:
        return None
    low.values += copy.made.values()
    low.turned.update(copy.made)
    return out, perm


def _wanted(x: Value, axes: Sequence[int]) -> list[int] | None:
    """The axes of ``x``, long ones that are kept first, rows last, if they lie otherwise."""
    n = x.ndim
    while n and n - 1 not in axes and _is_short(x, n - 1):
        n -= 1
    kept = [a for a in range(n) if a not in axes]
    perm = [*kept, *sorted(axes), *range(n, x.ndim)]
    if not kept or perm == list(range(x.ndim)):
        return None
    sizes = [x.shape[a] for a in range(n)]
    if not all([type(d) is Sym for d in sizes]):
        return None
    pairs = 1
    for d in sizes:
        pairs *= d.value if type(d) is Sym else 1
    return perm if pairs >= _MANY else None


def _is_short(x: Value, axis: int) -> bool:
    dim = x.shape[axis]
    return type(dim) is int and dim <= _ROW


def _is_leaf(v: Value) -> bool:
    """Whether elements are taken from where they are: not of pairs."""
    return sum([type(d) is Sym for d in v.shape]) < 2


class _Copy(Moved):
    """Makes values with their axes in another order, and what those of them are made of.

    Attributes
    ----------
    made : dict
        What was defined, by the value and the order of its axes.
    cost : int
        Simple operations for one pair.
    rows : bool
        Whether a short row is reduced, or computed, for a pair.
    """

    __slots__ = ("made", "cost", "rows", "_known", "_own")

    def __init__(self, known: Mapping[Turned, Value], own: Set[Value]) -> None:
        super().__init__(())
        # What is computed outside of a loop is not computed anew in each round.
        self._own = own
        self.made: dict[Turned, Value] = {}
        self.cost = 0
        self.rows = False
        self._known = known

    def value(self, v: Value, perm: Sequence[int]) -> Value:
        """``v``, its axes in the order ``perm``."""
        key = (v, tuple(perm))
        found = self.made.get(key)
        if found is None:
            found = self._known.get(key)
            # It was found worth it before.
            self.rows |= found is not None
        if found is not None:
            return found
        if v not in self._own:
            raise _Cannot
        d = v.defn
        shape = [v.shape[a] for a in perm]
        own = ivars(v.ndim)
        env: list[Index] = [own[list(perm).index(a)] for a in range(v.ndim)]
        defn: Pointwise | Reduce
        if type(d) is Pointwise:
            defn, rounds = Pointwise(self.within(d.expr, env)), 1
        elif type(d) is Reduce and d.kind.known and not d.kind.finds:
            rounds = product(d.extents) or _ROW + 1
            if rounds > _ROW:
                raise _Cannot
            n = v.ndim + len(d.extents)
            expr = self.within(d.expr, [*env, *ivars(n)[v.ndim :]])
            defn = Reduce(d.kind, d.extents, [expr], range(n))
            self.rows = True
        else:
            raise _Cannot
        row = product([n for n in shape if type(n) is int]) or 1
        self.rows |= row > 1
        self.cost += cost(defn.expr) * rounds * row
        out = self.made[key] = Value(shape, v.dtype, defn)
        return out

    def where(self, node: Where) -> Node:
        # Conditions on indices would differ between lanes.
        raise _Cannot

    def load(self, node: Load) -> Load:
        index = [self.visit(i) for i in node.index]
        v = node.value
        if _is_leaf(v):
            return v.at(*index)
        moving = [i.axis for i in index if type(i) is IVar]
        if len(set(moving)) + sum([type(i) is int for i in index]) < len(index):
            raise _Cannot
        perm = sorted(
            range(v.ndim), key=lambda k: index[k].axis if type(index[k]) is IVar else len(self.env)
        )
        return self.value(v, perm).at(*[index[k] for k in perm])
