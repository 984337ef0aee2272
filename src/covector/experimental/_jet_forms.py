"""Forms of rules for Taylor series."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from covector import numpy as cnp
from covector.core.trace import Primitive
from covector.experimental._jet_trace import (
    jet_rules,
    run_series,
    zero_series,
)
from covector.experimental.ode import safe_zip


def zero_prop(prim: Primitive, primals_in: Any, series_in: Any, **params: Any) -> Any:
    """The rule of a primitive that is constant almost everywhere.

    Parameters
    ----------
    prim : Primitive
    primals_in, series_in : sequences
        Values, and their coefficients.
    **params
        Of the primitive.

    Returns
    -------
    primal, series : tuple

    Examples
    --------
    >>> from covector import lax
    >>> from covector.experimental.jet import zero_prop, zero_series
    >>> zero_prop(lax.sign_p, (0.5,), ([1.0],))[1] is zero_series
    True
    """
    return prim.bind(*primals_in, **params), zero_series


def linear_prop(prim: Primitive, primals_in: Any, series_in: Any, **params: Any) -> Any:
    """The rule of a primitive that is linear in all of its operands that have series.

    Parameters
    ----------
    prim : Primitive
    primals_in, series_in : sequences
        Values, and their coefficients.
    **params
        Of the primitive.

    Returns
    -------
    primal, series : tuple

    Examples
    --------
    >>> from covector import lax
    >>> from covector.experimental.jet import linear_prop
    >>> linear_prop(lax.neg_p, (0.5,), ([1.0, 2.0],))[1]
    [Array(-1., dtype=float32, weak_type=True), Array(-2., dtype=float32, weak_type=True)]
    """
    order = max(len(s) for s in series_in if s is not zero_series)
    terms = [
        prim.bind(
            *[p if s is zero_series else s[k] for p, s in safe_zip(primals_in, series_in)], **params
        )
        for k in range(order)
    ]
    return prim.bind(*primals_in, **params), terms


def deriv_prop(prim: Primitive, deriv: Any, primals_in: Any, series_in: Any) -> Any:
    """The rule of a primitive of one operand whose derivative is a function of it.

    Parameters
    ----------
    prim : Primitive
    deriv : callable
        The derivative.
    primals_in, series_in : sequences
        One value, and its coefficients.

    Returns
    -------
    primal, series : tuple

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> from covector.experimental.jet import deriv_prop
    >>> deriv_prop(lax.sin_p, np.cos, (0.0,), ([1.0, 0.0],))[1][0]
    Array(1., dtype=float32, weak_type=True)
    """
    (x,), (series,) = primals_in, series_in
    order = len(series)
    slopes = [deriv(x)]
    if order > 1:
        ((d0, rest),) = run_series(lambda v: [deriv(v)], order - 1, [x], [series[:-1]])
        slopes = [d0, *([cnp.zeros_like(d0)] * (order - 1) if rest is zero_series else rest)]
    return prim.bind(x), _integrated(slopes, series)


def _integrated(slopes: Sequence[Any], series: Sequence[Any]) -> list[Any]:
    """The coefficients of y where y' = d x': of d, from order 0, and of x, from order 1."""
    return [
        _sum([(j + 1) * series[j] * slopes[k - j] for j in range(k + 1)]) / (k + 1)
        for k in range(len(series))
    ]


def _sum(xs: Sequence[Any]) -> Any:
    return functools.reduce(lambda a, b: a + b, xs)


_DEF = """{summary}

Parameters
----------
prim : Primitive
{parameters}
Returns
-------
None

Examples
--------
>>> from covector import lax
>>> from covector.experimental import jet
>>> {example}
"""


def deflinear(prim: Primitive) -> None:
    jet_rules[prim] = functools.partial(linear_prop, prim)


def defzero(prim: Primitive) -> None:
    jet_rules[prim] = functools.partial(zero_prop, prim)


def def_deriv(prim: Primitive, deriv: Callable[..., Any]) -> None:
    jet_rules[prim] = functools.partial(deriv_prop, prim, deriv)


def def_comp(prim: Primitive, comp: Callable[..., Any], **kwargs: Any) -> None:
    def rule(primals_in: Any, series_in: Any, **params: Any) -> Any:
        order = max(len(s) for s in series_in if s is not zero_series)
        ((y, terms),) = run_series(lambda *xs: [comp(*xs, **kwargs)], order, primals_in, series_in)
        return y, terms

    jet_rules[prim] = rule


for _f, _summary, _parameters, _example in (
    (deflinear, "Make `linear_prop` the rule of a primitive.", "", "jet.deflinear(lax.neg_p)"),
    (defzero, "Make `zero_prop` the rule of a primitive.", "", "jet.defzero(lax.sign_p)"),
    (def_deriv, "Make `deriv_prop` the rule of a primitive.",
     "deriv : callable\n    The derivative.\n",
     "jet.def_deriv(lax.atan_p, lambda x: 1 / (1 + x * x))"),
    (def_comp, "Give a primitive the rule of a function of others that computes the same.",
     "comp : callable\n**kwargs\n    Further arguments of ``comp``.\n",
     "jet.def_comp(lax.acosh_p, lambda x: lax.log(x + lax.sqrt(x * x - 1)))"),
):  # fmt: skip
    _f.__doc__ = _DEF.format(summary=_summary, parameters=_parameters, example=_example)
