"""Values computed anew, with their axes in the order in which a reduction wants them.

Two reductions of what is computed for all pairs of points, one over each axis, cannot share its
loops. Stored, the pairs cost more memory traffic than they cost arithmetic; so each reduction gets
formulas of its own, and computes the pairs where it uses them up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set

from covector.compiler.access import Moved, cost, key_of, variables
from covector.compiler.ir.nodes import (
    KNOWN,
    Expr,
    Index,
    IVar,
    Lit,
    Load,
    Node,
    Op,
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
    and for each axis of it the axis of ``x``; None where nothing is gained.

    It is one of the values there are if that is the same, as where what one point does to another
    is what that does to it.
    """
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
    found = _Formulas().the_same(out, low.values)
    if found is not None:
        return found, perm
    low.values += copy.made.values()
    low.turned.update(copy.made)
    return out, perm


# A formula by its number, and whether the other sign is meant.
Signed = tuple[int, bool]
# Definitions that are looked through at most.
_LOOKED_THROUGH = 1000
# What has the signs of its operands together, and what has none of it.
_OF_BOTH, _EVEN = frozenset(("mul", "div")), frozenset(("abs", "square"))
_COMMUTATIVE = frozenset(("add", "add_any", "mul"))


class _Formulas:
    """Numbers formulas, equal ones alike, down to what is not made of pairs.

    Signs are told apart: x - y and y - x are one formula. (Of two equal numbers they are the same
    zero, whose sign is lost.)
    """

    def __init__(self) -> None:
        self.numbers: dict[object, int] = {}
        self.known: dict[object, Signed] = {}
        self.left = _LOOKED_THROUGH

    def the_same(self, v: Value, others: Sequence[Value]) -> Value | None:
        """One of the other values that is equal to ``v``, element by element."""
        own = ivars(v.ndim)
        want = self.of(v.at(*own))
        for u in reversed(others):
            if u.shape == v.shape and u.dtype == v.dtype and type(u.defn) is Pointwise:
                if self.of(u.at(*own)) == want and self.left > 0:
                    return u
        return None

    def of(self, e: Expr) -> Signed:
        if type(e) is Load:
            return self._element(e.value, e.index)
        if type(e) is Lit:
            return self._number((e.bits(), e.dtype)), False
        if type(e) is not Op:
            return self._number(e), False
        args = [self.of(a) for a in e.args]
        signs = [s for _, s in args]
        name, numbers = e.name, [k for k, _ in args]
        if name == "neg":
            return numbers[0], not signs[0]
        negative = False
        if name in _OF_BOTH:
            negative = signs[0] != signs[1]
        elif name == "sign":
            negative = signs[0]
        elif name == "integer_pow":
            negative = signs[0] and e.attr % 2 == 1
        elif name == "sub" and signs[0] == signs[1]:
            negative = signs[0] != (numbers[0] > numbers[1])
            numbers.sort()
        elif name not in _EVEN:
            numbers = [self._number(("neg", k)) if s else k for k, s in args]
        if name in _COMMUTATIVE:
            numbers.sort()
        return self._number((name, e.attr, e.dtype, *numbers)), negative

    def _element(self, v: Value, index: Sequence[Index]) -> Signed:
        place = (v, key_of(index))
        found = self.known.get(place)
        if found is None:
            found = self.known[place] = self._computed(v, index, place)
        return found

    def _computed(self, v: Value, index: Sequence[Index], place: object) -> Signed:
        d = v.defn
        self.left -= 1
        if self.left > 0 and type(d) is Pointwise:
            return self.of(Moved(index).visit(d.expr))
        if self.left > 0 and type(d) is Reduce and d.kind is KNOWN["sum"]:
            rounds = ivars(64)[63 - len(d.extents) : 63]
            if not any([r.axis in variables(i) for r in rounds for i in index]):
                k, negative = self.of(Moved([*index, *rounds]).visit(d.expr))
                return self._number(("sum", d.extents, k)), negative
        return self._number(place), False

    def _number(self, formula: object) -> int:
        return self.numbers.setdefault(formula, len(self.numbers))


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
