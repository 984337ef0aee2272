"""Truncated Taylor series in several variables: how functions are differentiated by parameters.

What computes a function with numbers computes its derivatives with series in place of numbers
(A. Griewank, A. Walther, "Evaluating derivatives", 2nd edition, 2008, chapter 13).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

from covector.numerics import iteration
from covector.numerics.exponential import exp
from covector.numerics.gamma import sin_cos_pi
from covector.numerics.num import Num, where
from covector.numerics.power import pow_

Orders = tuple[int, ...]


class Jet:
    """A polynomial in the distances of the variables from where they are.

    Attributes
    ----------
    orders : tuple of int
        The greatest power of each variable that is kept.
    terms : dict
        Coefficients by their powers; those that are zero may be missing, but for the constant.
    """

    __slots__ = ("orders", "terms")

    def __init__(self, orders: Orders, terms: dict[Orders, Num]) -> None:
        self.orders = orders
        self.terms = terms

    @staticmethod
    def of(x: Num, orders: Orders, variable: int | None = None) -> Jet:
        """A number that is constant, or a variable."""
        zero = (0,) * len(orders)
        out = Jet(orders, {zero: x})
        if variable is not None and orders[variable]:
            one = tuple(int(k == variable) for k in range(len(orders)))
            out.terms[one] = x.like(1.0)
        return out

    @property
    def value(self) -> Num:
        """The constant coefficient."""
        return self.terms[(0,) * len(self.orders)]

    def powers(self) -> list[Orders]:
        """All of them, so that sums of lesser ones come first."""
        return list(itertools.product(*(range(n + 1) for n in self.orders)))

    def dense(self) -> list[Num]:
        """The coefficients of all powers."""
        zero = self.value.like(0.0)
        return [self.terms.get(p, zero) for p in self.powers()]

    def derivative(self, orders: Orders) -> Num:
        """That of these orders."""
        size = math.prod(math.factorial(k) for k in orders)
        return self.terms.get(orders, self.value.like(0.0)) * float(size)

    def rest(self) -> Jet:
        """Without the constant."""
        zero = (0,) * len(self.orders)
        return Jet(self.orders, {**self.terms, zero: self.value.like(0.0)})

    def map(self, fn: Callable[[Num], Num]) -> Jet:
        """A linear function of the coefficients."""
        return Jet(self.orders, {p: fn(x) for p, x in self.terms.items()})

    def __neg__(self) -> Jet:
        return self.map(lambda x: -x)

    def __add__(self, o: Jet | Num | float) -> Jet:
        terms = dict(self.terms)
        if not isinstance(o, Jet):
            zero = (0,) * len(self.orders)
            terms[zero] = terms[zero] + o
            return Jet(self.orders, terms)
        for p, x in o.terms.items():
            terms[p] = terms[p] + x if p in terms else x
        return Jet(self.orders, terms)

    __radd__ = __add__

    def __sub__(self, o: Jet | Num | float) -> Jet:
        return self + -o

    def __rsub__(self, o: Num | float) -> Jet:
        return -self + o

    def __mul__(self, o: Jet | Num | float) -> Jet:
        if not isinstance(o, Jet):
            return self.map(lambda x: x * o)
        terms: dict[Orders, Num] = {}
        for p, x in self.terms.items():
            for q, y in o.terms.items():
                r = tuple(i + j for i, j in zip(p, q, strict=True))
                if all(i <= n for i, n in zip(r, self.orders, strict=True)):
                    terms[r] = terms[r] + x * y if r in terms else x * y
        return Jet(self.orders, terms)

    __rmul__ = __mul__

    def __truediv__(self, o: Jet | Num | float) -> Jet:
        if not isinstance(o, Jet):
            return self.map(lambda x: x / o)
        head = o.value
        if len(o.terms) == 1:
            return self / head
        terms: dict[Orders, Num] = {}
        others = [(p, y) for p, y in o.terms.items() if any(p)]
        for r in self.powers():
            x = self.terms.get(r)
            for p, y in others:
                q = tuple(i - j for i, j in zip(r, p, strict=True))
                if q in terms:
                    x = -(y * terms[q]) if x is None else x - y * terms[q]
            if x is not None:
                terms[r] = x / head
        return Jet(self.orders, terms)

    def __rtruediv__(self, o: Num | float) -> Jet:
        return Jet.of(self.value.like(o), self.orders) / self


def choose(c: Num, a: Jet, b: Jet) -> Jet:
    """``a if c else b``."""
    zero = a.value.like(0.0)
    powers = {**a.terms, **b.terms}
    return Jet(a.orders, {p: where(c, a.terms.get(p, zero), b.terms.get(p, zero)) for p in powers})


def size(x: Jet) -> Num:
    """The sum of the sizes of the coefficients."""
    terms = [abs(t) for t in x.terms.values()]
    return sum(terms[1:], terms[0])


def unsettled(change: Jet, total: Jet, eps: float) -> Num:
    """Whether some coefficient of a sum still changes."""
    each = [
        abs(x) > eps * abs(total.terms.get(p, total.value.like(0.0)))
        for p, x in change.terms.items()
    ]
    out = each[0]
    for c in each[1:]:
        out = out | c
    return out


def iterate(
    start: Sequence[Jet], going: Num, step: Callable[..., tuple[Sequence[Jet], Num]], most: int
) -> list[Jet]:
    """`iteration.iterate` with a state of series."""
    orders, powers = start[0].orders, start[0].powers()
    n = len(powers)

    def unflat(flat: Sequence[Num]) -> list[Jet]:
        return [
            Jet(orders, dict(zip(powers, flat[k : k + n], strict=True)))
            for k in range(0, len(flat), n)
        ]

    def round_(k: Num, *flat: Num) -> tuple[list[Num], Num]:
        new, more = step(k, *unflat(flat))
        return [x for jet in new for x in jet.dense()], more

    return unflat(iteration.iterate([x for j in start for x in j.dense()], going, round_, most))


# --- functions ---------------------------------------------------------------------------------


def composed(x: Jet, coefficients: Sequence[Any]) -> Jet:
    """A function whose Taylor coefficients at the constant of ``x`` are given."""
    rest = Jet(x.orders, {p: t for p, t in x.terms.items() if any(p)})
    out = Jet.of(x.value.like(coefficients[0]), x.orders)
    if not rest.terms:
        return out
    power: Jet | None = None
    for c in coefficients[1 : sum(x.orders) + 1]:
        power = rest if power is None else _product(power, rest)
        if not power.terms:
            break
        out = out + power.map(lambda t, c=c: t * c)  # type: ignore[misc]
    return out


def _product(a: Jet, b: Jet) -> Jet:
    return Jet.__mul__(a, b)


def exp_of(x: Jet) -> Jet:
    """The exponential function."""
    return exp_of_rest(x) * exp(x.value)


def exp_of_rest(x: Jet) -> Jet:
    """The exponential function of ``x`` without its constant."""
    return composed(x, [1.0 / math.factorial(k) for k in range(sum(x.orders) + 1)])


def log_of(x: Jet, log_of_value: Num) -> Jet:
    """The logarithm, that of the constant given."""
    coefficients: list[Any] = [log_of_value]
    power = inverse = 1.0 / x.value
    for k in range(1, sum(x.orders) + 1):
        coefficients.append(power * ((-1.0) ** (k + 1) / k))
        power = power * inverse
    return composed(x, coefficients)


def power_of(base: Num, log_of_base: Num, x: Jet) -> Jet:
    """``base**x`` for a positive number ``base``."""
    return exp_of_rest(x * log_of_base) * pow_(base, x.value)


def log_gamma_rest(x: Jet) -> Jet:
    """log Gamma(x) without its constant."""
    if len(x.terms) == 1:
        return x.rest()
    a = x.value
    coefficients: list[Any] = [0.0]
    for k in range(1, sum(x.orders) + 1):
        slope = a.b.call("digamma", a.v) if k == 1 else _polygamma(k - 1, a)
        coefficients.append(Num(a.b, slope) * (1.0 / math.factorial(k)))
    return composed(x, coefficients)


def _polygamma(m: int, x: Num) -> Any:
    return x.b.call("polygamma", x.like(float(m)).v, x.v)


def gamma_of(x: Jet) -> Jet:
    """The gamma function."""
    a = x.value
    return exp_of_rest(log_gamma_rest(x)) * Num(a.b, a.b.call("gamma", a.v))


def sin_pi(x: Jet) -> Jet:
    """sin(pi x)."""
    a = abs(x.value)
    whole = a.floor()
    # The sine of what is left is positive, and the product of the two has its own sign.
    sine, cosine = sin_cos_pi(a)
    cosine = where(a - whole > 0.5, -abs(cosine), abs(cosine))
    odd = (0.5 * whole).floor().ne(0.5 * whole)
    sine, cosine = (where(odd, -v, v) for v in (sine, cosine))
    sine = where(x.value < 0.0, -sine, sine)
    derivatives = (sine, cosine, -sine, -cosine)
    coefficients = [
        derivatives[k % 4] * (math.pi**k / math.factorial(k)) for k in range(sum(x.orders) + 1)
    ]
    return composed(x, coefficients)


def reciprocal_gamma(x: Jet) -> Jet:
    """1 / Gamma(x), which has no poles: by reflection below 1/2."""
    low = x.value < 0.5
    y = choose(low, 1.0 - x, x)
    gamma = gamma_of(y)
    return choose(low, gamma * sin_pi(choose(low, x, x.map(lambda t: t * 0.0))) / math.pi,
                  1.0 / gamma)  # fmt: skip
