"""Sizes that are expressions in dimension variables: polynomials with integer coefficients.

A `DimExpr` stands in shapes where a function is traced for sizes that are not known (see
`covector.export`). It is kept in one canonical form, so that equal polynomials are equal objects;
what is a number after all is a Python integer. Beside variables, ``floordiv``, ``mod``, ``max`` and
``min`` of expressions are factors of its terms. What comparisons know of the variables stands in
their `Scope`.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator
from typing import Any

from covector.core.avals import ShapedArray, scalar_aval
from covector.core.errors import InconclusiveDimensionOperation, at_user_line
from covector.core.polynomials import (
    Factor,
    Terms,
    long_division,
    order,
    product_of,
    quotient,
    text_of,
)

Dim = Any  # an int or a DimExpr
# Variables stand for sizes from one to this: what decides by it whether 32 bits hold an index.
LARGEST = 2**31 - 1

_OPERATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "floordiv": operator.floordiv, "mod": operator.mod,
    "max": lambda x, y: max_dim(x, y), "min": lambda x, y: min_dim(x, y),
}  # fmt: skip


class DimExpr:
    """A size that is not known while a function is traced.

    Attributes
    ----------
    terms : tuple of (Monomial, int)
        The products of factors, with their coefficients.
    scope : Scope
        What is known of the variables.

    Examples
    --------
    >>> from covector import export
    >>> a, b = export.symbolic_shape("a, b")
    >>> (2 * a * b + 4 * b) // 2
    a*b + 2*b
    >>> a + 1 > a, a == b
    (True, False)
    """

    __slots__ = ("terms", "scope", "_hash")

    def __init__(self, terms: Terms, scope: Any) -> None:
        self.terms = tuple(sorted(terms.items(), key=lambda item: order(item[0])))
        self.scope = scope
        self._hash = hash(self.terms)

    # --- arithmetic ---

    def _with(self, other: Dim) -> Dim | None:
        """``other`` if it can be an operand beside this."""
        if type(other) is DimExpr:
            if other.scope is not self.scope:
                raise ValueError(
                    f"the sizes {self} and {other} are of different symbolic scopes: make both in "
                    f"one (the parameter scope of symbolic_shape){at_user_line()}"
                )
            return other
        try:
            # Arrays are no sizes: they have operators of their own.
            return None if hasattr(other, "aval") else operator.index(other)
        except TypeError:
            return None

    def _combined(
        self, op: Callable[[Any, Any], Any], compute: Callable[[Dim, Dim], Dim] | None,
        other: Any, swap: bool = False,
    ) -> Any:  # fmt: skip
        """``op(self, other)``, or the other way round: a size, by ``compute``, or an array."""
        y = self._with(other)
        if y is not None and compute is not None:
            return compute(y, self) if swap else compute(self, y)
        if type(other) in (int, float, complex, DimExpr):
            # Sizes are integers: all else is computed with arrays.
            x = self.__jax_array__()
            return op(other, x) if swap else op(x, other)
        return NotImplemented

    def __jax_array__(self) -> Any:
        """The size as a traced array; set by `structural`, which has the operation for it."""
        raise NotImplementedError

    def __add__(self, other: Any) -> Any:
        return self._combined(operator.add, add, other)

    def __radd__(self, other: Any) -> Any:
        return self._combined(operator.add, add, other, swap=True)

    def __neg__(self) -> Dim:
        return mul(self, -1)

    def __pos__(self) -> Dim:
        return self

    def __sub__(self, other: Any) -> Any:
        return self._combined(operator.sub, subtract, other)

    def __rsub__(self, other: Any) -> Any:
        return self._combined(operator.sub, subtract, other, swap=True)

    def __mul__(self, other: Any) -> Any:
        return self._combined(operator.mul, mul, other)

    def __rmul__(self, other: Any) -> Any:
        return self._combined(operator.mul, mul, other, swap=True)

    def __pow__(self, other: Any) -> Any:
        natural = type(other) is int and other >= 0
        return self._combined(operator.pow, power if natural else None, other)

    def __rpow__(self, other: Any) -> Any:
        return self._combined(operator.pow, None, other, swap=True)

    def __truediv__(self, other: Any) -> Any:
        return self._combined(operator.truediv, None, other)

    def __rtruediv__(self, other: Any) -> Any:
        return self._combined(operator.truediv, None, other, swap=True)

    def __floordiv__(self, other: Any) -> Any:
        return self._combined(operator.floordiv, lambda x, y: divided(x, y)[0], other)

    def __rfloordiv__(self, other: Any) -> Any:
        return self._combined(operator.floordiv, lambda x, y: divided(x, y)[0], other, swap=True)

    def __mod__(self, other: Any) -> Any:
        return self._combined(operator.mod, lambda x, y: divided(x, y)[1], other)

    def __rmod__(self, other: Any) -> Any:
        return self._combined(operator.mod, lambda x, y: divided(x, y)[1], other, swap=True)

    def __divmod__(self, other: Any) -> Any:
        return self // other, self % other

    def __rdivmod__(self, other: Any) -> Any:
        return other // self, other % self

    # --- comparisons ---

    def __eq__(self, other: object) -> bool:
        """Whether they are the same expression: equal for all values of the variables."""
        if type(other) is not DimExpr:
            return False
        return self.scope is other.scope and self.terms == other.terms

    def __hash__(self) -> int:
        return self._hash

    def __ge__(self, other: Any) -> bool:
        y = self._with(other)
        return NotImplemented if y is None else self._at_least(y, 0, ">=")

    def __gt__(self, other: Any) -> bool:
        y = self._with(other)
        return NotImplemented if y is None else self._at_least(y, 1, ">")

    def __le__(self, other: Any) -> bool:
        y = self._with(other)
        return NotImplemented if y is None else not self._at_least(y, 1, "<=")

    def __lt__(self, other: Any) -> bool:
        y = self._with(other)
        return NotImplemented if y is None else not self._at_least(y, 0, "<")

    def _at_least(self, other: Dim, more: int, asked: str) -> bool:
        known = is_nonnegative(self - other - more)
        if known is None:
            # Sizes are more often large than small, but for the limits of types.
            constraints = [f"'{self} >= {other + more}'", f"'{self} <= {other + more - 1}'"]
            if type(other) is int and other >= LARGEST - 1:
                del constraints[0]
            held = "".join([f"\n  {c}" for c in self.scope.texts])
            raise InconclusiveDimensionOperation(
                f"whether {self} {asked} {other} depends on the sizes, which are not known while "
                f"the function is traced{f'. Known is{held}' if held else ''}\n"
                "Write what holds of them into the constraints of symbolic_shape, such as "
                f"{' or '.join(constraints)}{at_user_line()}"
            )
        return known

    def __bool__(self) -> bool:
        if is_nonnegative(self - 1) or is_nonnegative(-self - 1):
            return True
        rest = any(f.name == "mod" for m, _ in self.terms for f, _ in m)
        raise InconclusiveDimensionOperation(
            f"whether {self} is zero depends on the sizes, which are not known while the function "
            "is traced\nWrite what holds of them into the constraints of symbolic_shape, such as "
            f"'{self} {'== 0' if rest else '>= 1'}'{at_user_line()}"
        )

    # --- where numbers are needed ---

    def _needed(self, what: str) -> Any:
        raise InconclusiveDimensionOperation(
            f"the size {self} is not known while the function is traced, and {what} is needed "
            "here. Export the function for a fixed size of this dimension, or compute with the "
            f"size as an array, covector.numpy.asarray(x.shape[i]){at_user_line()}"
        )

    def __int__(self) -> int:
        return int(self._needed("an integer"))

    def __index__(self) -> int:
        return int(self._needed("an integer"))

    def __float__(self) -> float:
        return float(self._needed("a number"))

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        return self._needed("an array of NumPy")

    # --- as an operand of traced operations: an integer that gives way ---

    @property
    def aval(self) -> ShapedArray:
        return scalar_aval(int)

    shape = ()
    ndim = 0
    size = 1
    weak_type = True

    @property
    def dtype(self) -> Any:
        return self.aval.dtype

    def __str__(self) -> str:
        return text_of(self.terms)

    __repr__ = __str__


def as_size(x: Any) -> Dim:
    """``x`` as a size: an expression as it is, all else as `operator.index` has it."""
    return x if type(x) is DimExpr else operator.index(x)


def is_at_least(x: Dim, y: Dim, unknown: bool) -> bool:
    """Whether ``x >= y``; ``unknown`` where that depends on the sizes."""
    if type(x) is not DimExpr and type(y) is not DimExpr:
        return bool(x >= y)
    known = is_nonnegative(x - y)
    return unknown if known is None else known


def is_within(i: int, n: Dim) -> bool | None:
    """Whether ``i``, which counts from the end if negative, is an index of an axis of size ``n``;
    None if that depends on the sizes."""
    if type(n) is int:
        return -n <= i < n
    return is_nonnegative(n + i if i < 0 else n - 1 - i)


def slice_bounds(s: slice, n: Dim) -> tuple[Dim, Dim, int]:
    """First position, number of positions and step of a slice of an axis of size ``n``."""
    if type(n) is int and type(s.start) is not DimExpr and type(s.stop) is not DimExpr:
        lo, hi, step = s.indices(n)
        return lo, len(range(lo, hi, step)), step
    step = 1 if s.step is None else s.step
    least, most = (0, n) if step > 0 else (-1, n - 1)

    def position(k: Dim, absent: Dim) -> Dim:
        if k is None:
            return absent
        k = k + n if k < 0 else k
        return max_dim(least, min_dim(k, most))

    lo = position(s.start, least if step > 0 else most)
    hi = position(s.stop, most if step > 0 else least)
    reach = hi - lo if step > 0 else lo - hi
    return lo, max_dim(0, (reach + abs(step) - 1) // abs(step)), step


# --- making them -------------------------------------------------------------------------------


def terms_of(d: Dim) -> Terms:
    """The terms of an expression, or of a number."""
    if type(d) is DimExpr:
        return dict(d.terms)
    return {(): int(d)} if d else {}


def _scope_of(*dims: Dim) -> Any:
    return next((d.scope for d in dims if type(d) is DimExpr), None)


def made(terms: Terms, scope: Any) -> Dim:
    """The expression of these terms, as it is under the equations of its scope."""
    terms = {m: k for m, k in terms.items() if k}
    if scope is not None:
        terms = scope.rewritten(terms)
    if len(terms) > 1:
        terms = _joined(terms, scope)
    if not terms:
        return 0
    if terms.keys() == {()}:
        return terms[()]
    return DimExpr(terms, scope)


def _joined(terms: Terms, scope: Any) -> Terms:
    """Terms in which rests and quotients, ``x = k * (x // k) + x % k``, stand for each other where
    that leaves fewer."""
    for m, k in terms.items():
        for f, _ in m:
            if f.name not in ("mod", "floordiv") or type(f.operands[1]) is not int:
                continue
            x, y = f.operands
            other = quotient(m, ((f, 1),)) or ()
            whole, rest = divided(x, y)
            if f.name == "mod":
                value, times = _sum((x, 1), (whole, -y)), k
            elif k % y == 0:
                value, times = _sum((x, 1), (rest, -1)), k // y
            else:
                continue
            found = {n: c for n, c in terms.items() if n != m}
            for n, c in value.items():
                p = product_of(n, other)
                found[p] = found.get(p, 0) + times * c
            found = {n: c for n, c in found.items() if c}
            if len(found) < len(terms):
                return found if len(found) < 2 else _joined(found, scope)
    return terms


def _sum(*parts: tuple[Dim, int]) -> Terms:
    """The terms of a sum of multiples, as they are."""
    terms: Terms = {}
    for x, times in parts:
        for m, k in terms_of(x).items():
            terms[m] = terms.get(m, 0) + times * k
    return {m: k for m, k in terms.items() if k}


def add(x: Dim, y: Dim) -> Dim:
    return made(_sum((x, 1), (y, 1)), _scope_of(x, y))


def subtract(x: Dim, y: Dim) -> Dim:
    return made(_sum((x, 1), (y, -1)), _scope_of(x, y))


def power(x: Dim, n: int) -> Dim:
    out: Dim = 1
    for _ in range(n):
        out = mul(x, out)
    return out


def mul(x: Dim, y: Dim) -> Dim:
    terms: Terms = {}
    ys = terms_of(y).items()
    for m, k in terms_of(x).items():
        for n, l in ys:
            p = product_of(m, n)
            terms[p] = terms.get(p, 0) + k * l
    return made(terms, _scope_of(x, y))


def operation(name: str, x: Dim, y: Dim) -> Dim:
    """An operation that stays as it is."""
    return made({((Factor(name, (x, y)), 1),): 1}, _scope_of(x, y))


def divided(x: Dim, y: Dim) -> tuple[Dim, Dim]:
    """``x // y`` and ``x % y``: the part that divides is taken out."""
    if type(y) is int and y == 0:
        raise ZeroDivisionError(f"the size {x} is divided by zero{at_user_line()}")
    scope = _scope_of(x, y)
    whole, rest = long_division(terms_of(x), terms_of(y))
    q, r = made(whole, scope), made(rest, scope)
    if type(r) is int and r == 0:
        return q, 0
    if type(r) is int and type(y) is int:
        return q + r // y, r % y
    if is_nonnegative(r) and is_nonnegative(y - r - 1):
        return q, r
    if type(y) is int and y > 0:
        constant = rest.get((), 0)
        q, r = q + constant // y, r - constant // y * y
        flat = _without_rests(r, y)
        left = operation("mod", r, y) if flat is r else divided(flat, y)[1] if flat != 0 else 0
        if r.terms[0][1] > 0:
            return q + operation("floordiv", r, y), left
        # Of both signs of an expression, quotients are of one.
        return q - operation("floordiv", y - 1 - r, y), left
    # x = q * y + r, so that x // y = q + r // y and x % y = r % y.
    if type(y) is int or is_nonnegative(y - 1):
        return q + operation("floordiv", r, y), operation("mod", r, y)
    return operation("floordiv", x, y), operation("mod", x, y)


def _without_rests(d: DimExpr, y: int) -> Dim:
    """What leaves the same rest as ``d`` when divided by ``y``, as ``x % k`` does for ``x`` if
    ``k`` is a multiple of ``y``."""
    for m, k in d.terms:
        if len(m) == 1 and m[0][0].name == "mod" and m[0][1] == 1:
            x, of = m[0][0].operands
            if type(of) is int and of % y == 0:
                rest = DimExpr({n: c for n, c in d.terms if n != m}, d.scope)
                return add(rest, mul(x, k))
    return d


def max_dim(d1: Dim, d2: Dim) -> Dim:
    """The larger of two sizes.

    Parameters
    ----------
    d1, d2 : int or symbolic dimension

    Returns
    -------
    int or symbolic dimension

    Examples
    --------
    >>> import covector as cv
    >>> cv.core.max_dim(2, 3)
    3
    """
    return _extremum("max", d1, d2, d1, d2)


def min_dim(d1: Dim, d2: Dim) -> Dim:
    """The smaller of two sizes.

    Parameters
    ----------
    d1, d2 : int or symbolic dimension

    Returns
    -------
    int or symbolic dimension

    Examples
    --------
    >>> import covector as cv
    >>> cv.core.min_dim(2, 3)
    2
    """
    return _extremum("min", d1, d2, d2, d1)


def _extremum(name: str, x: Dim, y: Dim, larger: Dim, smaller: Dim) -> Dim:
    known = is_nonnegative(x - y)
    if known is None:
        if is_nonnegative(y - x):
            return smaller
        # The order of the operands says nothing.
        x, y = sorted((x, y), key=str)
        return operation(name, x, y)
    return larger if known else smaller


# --- what is known of values ---------------------------------------------------------------


def is_nonnegative(d: Dim) -> bool | None:
    """Whether ``d >= 0`` for all values of the variables, or for none; None if unknown."""
    if type(d) is int:
        return d >= 0
    if lower_bound(d) >= 0:
        return True
    return False if lower_bound(-d - 1) >= 0 else None


_DEPTH = 3
# Lower bounds that a scope keeps.
_MEMO = 10_000


def lower_bound(d: Dim, depth: int = _DEPTH) -> float:
    """A number that ``d`` is not below; minus infinity if none is known."""
    if type(d) is int:
        return d
    memo = d.scope.found
    known: float | None = memo.get((d.terms, depth))
    if known is None:
        if len(memo) >= _MEMO:
            memo.clear()
        known = memo[d.terms, depth] = _lower_bound(d, depth)
    return known


def _lower_bound(d: DimExpr, depth: int) -> float:
    low, _ = _bounds(d)
    if low >= 0 or not depth:
        return low
    for weaker, times in _weaker(d):
        of_weaker = min([lower_bound(w, depth - 1) for w in weaker])
        if of_weaker > -math.inf:
            low = max(low, math.ceil(of_weaker / times))
        if low >= 0:
            break
    return low


def _weaker(d: DimExpr) -> Iterator[tuple[list[Dim], int]]:
    """Lists of expressions of which one is not above so many times ``d``."""
    for f in {f for m, _ in d.terms for f, _ in m if f.name in ("max", "min") and f.operands}:
        # It is one of the two.
        yield [_replaced(d, f, x) for x in f.operands], 1
    terms = dict(d.terms)
    for left, k, _ in d.scope.equations:
        # So many times the left side is something else.
        if k > 1 and any(quotient(m, left) is not None for m in terms):
            yield [d * k], k
    # s * d >= s * d - t * c, of the constraints c >= 0 that share a term with it.
    for c in _facts(d):
        for m, k in c.terms:
            j = terms.get(m, 0)
            if m and j * k > 0:
                shared = math.gcd(j, k)
                times = abs(k) // shared
                yield [d * times - c * (abs(j) // shared)], times


def _replaced(d: DimExpr, factor: Factor, by: Dim) -> Dim:
    """``d`` with ``by`` for a factor of its terms."""
    out: Dim = 0
    for m, k in d.terms:
        rest = tuple((f, n) for f, n in m if f != factor)
        times = sum(n for f, n in m if f == factor)
        out = out + made({rest: k}, d.scope) * by**times
    return out


def factors_of(d: Dim) -> Iterator[Factor]:
    """The factors of an expression, and those in their operands."""
    if type(d) is DimExpr:
        for m, _ in d.terms:
            for f, _ in m:
                yield f
                for x in f.operands:
                    yield from factors_of(x)


def variables_of(d: Dim) -> set[str]:
    """The names of the variables of an expression."""
    return {f.name for f in factors_of(d) if not f.operands}


def _facts(d: DimExpr) -> list[DimExpr]:
    """Expressions that are not negative: those of the scope, and what operations say."""
    found: list[Dim] = list(d.scope.nonnegative)
    for f in set(factors_of(d)):
        if f.operands:
            x, y = f.operands
            value = DimExpr({((f, 1),): 1}, d.scope)
            match f.name:
                case "floordiv" if is_nonnegative(y - 1):
                    # Not as rests, which say nothing of the quotient.
                    left = _sum((x, 1), (y * value, -1))
                    found.append(DimExpr(left, d.scope))
                    found.append(DimExpr(_sum((found[-1], -1), (y - 1, 1)), d.scope))
                case "mod" if is_nonnegative(y - 1):
                    found.append(y - 1 - value)
                    if is_nonnegative(x):
                        found.append(x - value)
                case "max":
                    found += [value - x, value - y]
                case "min":
                    found += [x - value, y - value]
    return [c for c in found if type(c) is DimExpr]


Interval = tuple[float, float]


def _bounds(d: Dim) -> Interval:
    if type(d) is int:
        return d, d
    low: float = 0
    high: float = 0
    for m, k in d.terms:
        least: float = 1
        most: float = 1
        for f, n in m:
            of_factor = _factor_bounds(f, d.scope)
            for _ in range(n):
                least, most = _times((least, most), of_factor)
            if n % 2 == 0:
                least = max(least, 0)
        least, most = _times((least, most), (k, k))
        low, high = low + least, high + most
    return low, high


def _times(x: Interval, y: Interval) -> Interval:
    corners = [0 if not a or not b else a * b for a in x for b in y]
    return min(corners), max(corners)


def _factor_bounds(f: Factor, scope: Any) -> Interval:
    if not f.operands:
        return scope.bounds.get(f.name, (1, LARGEST))
    (a, b), (c, d) = (_bounds(x) for x in f.operands)
    match f.name:
        case "max":
            return max(a, c), max(b, d)
        case "min":
            return min(a, c), min(b, d)
        case "mod" if c >= 1:
            return 0, min(d - 1, b) if a >= 0 else d - 1
        case "floordiv" if c >= 1:
            corners = [_floor(x, y) for x in (a, b) for y in (c, d)]
            return min(corners), max(corners)
    return -math.inf, math.inf


def _floor(x: float, y: float) -> float:
    if math.isinf(y):
        return 0 if x >= 0 else -1
    return x if math.isinf(x) else x // y


# --- values of the variables ---------------------------------------------------------------


def substituted(d: Dim, values: dict[str, Dim]) -> Dim:
    """``d`` with values, or other expressions, for its variables."""
    if type(d) is not DimExpr:
        return d
    out: Dim = 0
    for m, k in d.terms:
        term: Dim = k
        for f, n in m:
            if f.operands:
                x, y = (substituted(z, values) for z in f.operands)
                value = _OPERATIONS[f.name](x, y)
            else:
                value = values[f.name]
            for _ in range(n):
                term = term * value
        out = out + term
    return out
