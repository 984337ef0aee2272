"""Truncated power series of mpmath numbers, which know how large the terms of each sum were.

A `Jet` is a function of one variable near a point, to some order. Each coefficient comes with an
error: by how much it is off, in units of the relative error of one operation, if the exact
operands are combined as the program says. That is what a good program may lose.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import mpmath as mp

Number = Any


class Jet:
    """Taylor coefficients and their errors."""

    __slots__ = ("e", "v")

    def __init__(self, v: Sequence[Number], e: Sequence[float] | None = None) -> None:
        self.v = list(v)
        self.e = [0.0] * len(self.v) if e is None else list(e)

    def cut(self, n: int) -> Jet:
        return Jet(self.v[:n], self.e[:n])

    def slope(self) -> Jet:
        """The derivative, of one order less."""
        ks = range(1, len(self.v))
        return Jet([k * self.v[k] for k in ks], [k * self.e[k] for k in ks])

    def __add__(self, other: Any) -> Jet:
        b = constant(other, len(self.v))
        v = [x + y for x, y in zip(self.v, b.v, strict=True)]
        return Jet(v, [p + q + size(r) for p, q, r in zip(self.e, b.e, v, strict=True)])

    def __neg__(self) -> Jet:
        return Jet([-x for x in self.v], self.e)

    def __sub__(self, other: Any) -> Jet:
        return self + -constant(other, len(self.v))

    def __rsub__(self, other: Any) -> Jet:
        return -self + other

    def __mul__(self, other: Any) -> Jet:
        b = constant(other, len(self.v))
        left = [(i, x, size(x), e) for i, (x, e) in enumerate(zip(self.v, self.e, strict=True))]
        right = [(j, y, size(y), e) for j, (y, e) in enumerate(zip(b.v, b.e, strict=True))]
        v, e = [mp.mpf(0)] * len(self.v), [0.0] * len(self.v)
        for i, x, p, d in left:
            if not x and not d:
                continue
            for j, y, q, f in right[: len(v) - i]:
                if y or f:
                    v[i + j] += x * y
                    e[i + j] += product(d, q) + product(p, f) + product(p, q)
        return Jet(v, e)

    def __truediv__(self, other: Any) -> Jet:
        return self * reciprocal(constant(other, len(self.v)))

    def __rtruediv__(self, other: Any) -> Jet:
        return reciprocal(self) * other

    __radd__ = __add__
    __rmul__ = __mul__

    def derivatives(self) -> list[tuple[Number, float]]:
        """The derivatives with their errors."""
        return [
            (x * math.factorial(k), e * math.factorial(k))
            for k, (x, e) in enumerate(zip(self.v, self.e, strict=True))
        ]


def size(x: Number) -> float:
    """The magnitude of a number, roughly; infinite if it is no double."""
    if not isinstance(x, mp.mpf):
        raise ValueError("no real number")
    return abs(float(x))


def product(a: float, b: float) -> float:
    """A product that is 0 if a factor is."""
    return a * b if a and b else 0.0


def constant(x: Any, n: int) -> Jet:
    return x if isinstance(x, Jet) else Jet([mp.mpf(x)] + [mp.mpf(0)] * (n - 1))


def lift(value: Callable[..., Number], slope: Callable[[Jet], Any]) -> Callable[[Jet], Jet]:
    """A function of jets from its value at a number and its derivative as a function of jets."""

    def fun(x: Jet) -> Jet:
        at = x.v[0]
        v = value(at)
        e = size(v)
        if x.e[0]:
            e += product(size(constant(slope(Jet([at])), 1).v[0]), x.e[0])
        n = len(x.v)
        if n == 1:
            return Jet([v], [e])
        d = slope(x.cut(n - 1)) * x.slope()
        ks = range(1, n)
        return Jet(
            [v, *(d.v[k - 1] / k for k in ks)],
            [e, *(d.e[k - 1] / k for k in ks)],
        )

    return fun


reciprocal = lift(lambda x: 1 / x, lambda x: -(reciprocal(x) * reciprocal(x)))


def chain(*values: Callable[..., Number]) -> Callable[[Jet], Jet]:
    """A function of jets from itself and as many derivatives as are wanted."""

    @functools.cache
    def nth(k: int) -> Callable[[Jet], Jet]:
        return lift(values[k], lambda x: nth(k + 1)(x))

    return lambda x: nth(0)(x)


def derivatives(
    fun: Callable[..., Any], at: Sequence[Number], direction: Sequence[int], order: int
) -> list[tuple[Number, float]]:
    """Value and derivatives of ``fun`` at a point in a direction, each with its error.

    As many as there are: the list ends where one is not a real number.
    """
    for n in range(order + 1, 0, -1):
        jets = [
            Jet([x, mp.mpf(d), *[mp.mpf(0)] * n][:n]) for x, d in zip(at, direction, strict=True)
        ]
        try:
            out = constant(fun(*jets), n).derivatives()
        except (ZeroDivisionError, ValueError):
            continue
        if all(isinstance(x, mp.mpf) and mp.isfinite(x) for x, _ in out):
            return out
    return []
