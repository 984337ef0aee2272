"""What the distributions share: one float type, location and scale, the support, docstrings."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from covector import numpy as cnp
from covector.core import dtypes
from covector.core.avals import aval_of
from covector.core.errors import at_user_line
from covector.numpy._util import array, convert, fused, promote_inexact
from covector.scipy.stats import _special as special

F = TypeVar("F", bound=Callable[..., Any])

_DOC = """{summary} of {title}.

Parameters
----------
{parameters}

Returns
-------
Array
    Of the common shape of the arguments and their common float dtype; {returns}.

Raises
------
TypeError
    If an argument is a list, to be converted with `covector.numpy.array` first, is complex, or is
    neither an array nor a number.

Examples
--------
>>> import covector.numpy as np
>>> from covector.scipy.stats import {name}
>>> {example}
{printed}
"""

_OUTSIDE = {
    "pdf": "0 outside of the support",
    "pmf": "0 outside of the support",
    "logpdf": "-inf outside of the support",
    "logpmf": "-inf outside of the support",
    "cdf": "0 below the support and 1 above",
    "sf": "1 below the support and 0 above",
    "logcdf": "-inf below the support and 0 above",
    "logsf": "0 below the support and -inf above",
    "ppf": "NaN for what is no probability",
    "isf": "NaN for what is no probability",
    "entropy": "in nats",
}
_ARGUMENTS = {
    "x": "Points.",
    "k": "Whole numbers; of what lies between them the probability is 0.",
    "q": "Probabilities.",
    "p": "Probabilities.",
    "loc": "By how much the distribution is shifted.",
    "scale": "By how much it is stretched, positive.",
}


def real(name: str, *args: Any) -> tuple[Any, list[Any]]:
    """The dtype of the result, and the arguments as floats of at least single precision."""
    out = [array(v, name) for v in promote_inexact(name, *args)]
    dt = out[0].dtype
    if dt in dtypes.COMPLEX:
        given = ", ".join(aval_of(v).str_short() for v in args)
        raise TypeError(f"{name} takes real numbers, got {given}{at_user_line()}")
    if dtypes.finfo(dt).bits < 32:
        out = [convert(v, dtypes.float32) for v in out]
    return dt, out


def _line(*shapes: Any) -> tuple[float, float]:
    return -math.inf, math.inf


def half_line(*shapes: Any) -> tuple[float, float]:
    """The support of numbers that are not negative."""
    return 0.0, math.inf


def positive(*shapes: Any) -> Any:
    """Whether all parameters are positive."""
    good = shapes[0] > 0
    for s in shapes[1:]:
        good = good & (s > 0)
    return good


def always(*shapes: Any) -> bool:
    return True


@dataclass(frozen=True)
class Family:
    """A distribution in standard form, and how functions of it are made for people.

    ``support`` gives the ends of the support and ``valid`` says whether the parameters of shape
    are those of a distribution; ``inner`` is a point of the support, at which a function is
    computed in place of one outside, so that the slope of the branch not taken is finite. Where
    ``closed``, distribution functions are not computed at the ends either.
    """

    name: str
    title: str
    shapes: dict[str, str]
    support: Callable[..., Any] = _line
    valid: Callable[..., Any] = always
    inner: Callable[..., Any] = lambda *shapes: 0.5
    closed: bool = False

    def function(self, example: str, printed: str, **described: str) -> Callable[[F], F]:
        """A decorator: the docstring completed, and the body compiled as one program."""

        def decorate(body: F) -> F:
            names = {**_ARGUMENTS, **self.shapes, **described}
            parameters = "\n".join(
                f"{p} : array_like\n    {names[p]}" for p in inspect.signature(body).parameters
            )
            public = fused()(body)
            public.__doc__ = _DOC.format(
                summary=(body.__doc__ or "").removesuffix("."),
                title=self.title,
                parameters=parameters,
                returns=f"{_OUTSIDE[body.__name__]}, NaN where a parameter is out of its range",
                name=self.name,
                example=example,
                printed=printed,
            )
            return public

        return decorate

    def _standard(self, x: Any, loc: Any, scale: Any) -> Any:
        # Infinite points move with nothing; a quotient would make their slopes NaN.
        infinite = cnp.isinf(x)
        return cnp.where(infinite, x, (cnp.where(infinite, 0.0, x) - loc) / scale)

    def _at(
        self,
        f: Any,
        z: Any,
        shapes: Any,
        valid: Any,
        below: float,
        above: float,
        closed: bool = False,
    ) -> Any:
        """f(z), or a constant beside the support, or NaN."""
        low, high = self.support(*shapes)
        # Infinite points need no function: they are beside every support.
        under, over = (z < low) | (z == -math.inf), (z > high) | (z == math.inf)
        if closed:
            under, over = under | (z == low), over | (z == high)
        inner = cnp.where(under | over, self.inner(*shapes), z)
        out = cnp.where(under, below, cnp.where(over, above, f(inner, *shapes)))
        return cnp.where(valid & self.valid(*shapes) & (z == z), out, math.nan)

    def log_density(self, f: Any, x: Any, loc: Any, scale: Any, *shapes: Any) -> Any:
        """Of the logarithm of the standard density."""
        dt, out = self._log_density(f, x, loc, scale, *shapes)
        return convert(out, dt, out.aval.weak_type)

    def density(self, f: Any, x: Any, loc: Any, scale: Any, *shapes: Any) -> Any:
        """Of the logarithm of the standard density, its exponential."""
        dt, out = self._log_density(f, x, loc, scale, *shapes)
        return convert(special.exp_log(out), dt, out.aval.weak_type)

    def _log_density(self, f: Any, x: Any, loc: Any, scale: Any, *shapes: Any) -> Any:
        dt, (x, loc, scale, *shapes) = real(self.name, x, loc, scale, *shapes)
        valid = scale > 0
        out = self._at(f, self._standard(x, loc, scale), shapes, valid, -math.inf, -math.inf)
        return dt, out - cnp.log(cnp.where(valid, scale, 1.0))

    def distribution(
        self, f: Any, below: float, above: float, x: Any, loc: Any, scale: Any, *shapes: Any
    ) -> Any:
        """Of a function of the standard distribution with values beside the support."""
        dt, (x, loc, scale, *shapes) = real(self.name, x, loc, scale, *shapes)
        out = self._at(
            f, self._standard(x, loc, scale), shapes, scale > 0, below, above, self.closed
        )
        return convert(out, dt, out.aval.weak_type)

    def quantile(self, f: Any, q: Any, loc: Any, scale: Any, *shapes: Any, upper: bool = False):
        """Of the standard quantile function; ``upper``: of the probability above."""
        dt, (q, loc, scale, *shapes) = real(self.name, q, loc, scale, *shapes)
        low, high = self.support(*shapes)
        if upper:
            low, high = high, low
        inside = (q > 0) & (q < 1)
        z = f(cnp.where(inside, q, 0.5), *shapes)
        z = cnp.where(inside, z, cnp.where(q == 0, low, cnp.where(q == 1, high, math.nan)))
        valid = (scale > 0) & self.valid(*shapes)
        out = cnp.where(valid, z * cnp.where(valid, scale, 1.0) + loc, math.nan)
        return convert(out, dt, out.aval.weak_type)

    def log_mass(self, f: Any, k: Any, loc: Any, *shapes: Any) -> Any:
        """Of the logarithm of the probability of whole numbers."""
        dt, out = self._at_whole(f, -math.inf, k, loc, *shapes)
        return convert(out, dt, out.aval.weak_type)

    def mass(self, f: Any, k: Any, loc: Any, *shapes: Any, log: bool = True) -> Any:
        """Of the (logarithm of the) probability of whole numbers, the probability."""
        dt, out = self._at_whole(f, -math.inf if log else 0.0, k, loc, *shapes)
        return convert(cnp.exp(out) if log else out, dt, out.aval.weak_type)

    def _at_whole(self, f: Any, beside: float, k: Any, loc: Any, *shapes: Any) -> Any:
        dt, (k, loc, *shapes) = real(self.name, k, loc, *shapes)
        k = k - loc
        # What lies between whole numbers is moved below the support.
        k = cnp.where(cnp.floor(k) == k, k, cnp.where(cnp.isnan(k), k, -math.inf))
        return dt, self._at(f, k, shapes, True, beside, beside)
