"""Polynomials with integer coefficients, as products of factors with their coefficients."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

# A product of factors with their exponents, in order; the empty one is the number one.
Monomial = tuple[tuple["Factor", int], ...]
Terms = dict[Monomial, int]


class Factor(NamedTuple):
    """A variable, or an operation on two expressions.

    Attributes
    ----------
    name : str
        Of the variable, or ``floordiv``, ``mod``, ``max``, ``min``.
    operands : tuple
        Empty, or two expressions or integers.
    """

    name: str
    operands: tuple[Any, ...] = ()

    def __str__(self) -> str:
        return f"{self.name}({', '.join(map(str, self.operands))})" if self.operands else self.name


def order(monomial: Monomial) -> tuple[Any, ...]:
    """Higher powers first, then by name."""
    return (-sum(n for _, n in monomial), tuple((str(f), -n) for f, n in monomial))


def product_of(x: Monomial, y: Monomial) -> Monomial:
    if not x or not y:
        return x or y
    powers = dict(x)
    for f, n in y:
        powers[f] = powers.get(f, 0) + n
    return tuple(sorted(powers.items(), key=lambda item: str(item[0])))


def quotient(x: Monomial, y: Monomial) -> Monomial | None:
    """``x`` divided by ``y``, if that is a product of factors."""
    powers = dict(x)
    for f, n in y:
        powers[f] = powers.get(f, 0) - n
        if powers[f] < 0:
            return None
    return tuple((f, n) for f, n in powers.items() if n)


# The order of terms is not one in which each step is sure to leave lower ones.
_MAX_STEPS = 200


def long_division(x: Terms, y: Terms) -> tuple[Terms, Terms]:
    """Polynomials ``q`` and ``r`` with ``x = q * y + r``: what divides, and what is left."""
    lead = min(y, key=order)
    whole: Terms = {}
    rest: Terms = {}
    left = dict(x)
    for _ in range(_MAX_STEPS):
        if not left:
            break
        m = min(left, key=order)
        k = left[m]
        q = quotient(m, lead)
        if q is None or abs(k) < abs(y[lead]):
            rest[m] = rest.get(m, 0) + left.pop(m)
            continue
        by = k // y[lead]
        whole[q] = whole.get(q, 0) + by
        for n, l in y.items():
            p = product_of(q, n)
            left[p] = left.get(p, 0) - by * l
            if not left[p]:
                del left[p]
        if m in left:
            rest[m] = rest.get(m, 0) + left.pop(m)
    for m, k in left.items():
        rest[m] = rest.get(m, 0) + k
    return whole, rest


def text_of(terms: Iterable[tuple[Monomial, int]]) -> str:
    out = ""
    # A negative term stands first only where all are.
    for monomial, k in sorted(terms, key=lambda item: item[1] < 0):
        factors = [str(f) if n == 1 else f"{f}^{n}" for f, n in monomial]
        if abs(k) != 1 or not factors:
            factors.insert(0, str(abs(k)))
        sign = ("- " if k < 0 else "+ ") if out else ("-" if k < 0 else "")
        out += f"{' ' if out else ''}{sign}{'*'.join(factors)}"
    return out
