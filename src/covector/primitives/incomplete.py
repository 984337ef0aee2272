"""Incomplete gamma and beta functions, and how gamma variates move with their shape."""

from __future__ import annotations

import math
from math import inf, nan
from typing import Any

from covector.core import dtypes
from covector.core.avals import ShapedArray, aval_of
from covector.core.operands import like
from covector.core.trace import Bind
from covector.primitives.arithmetic import add, div, min, mul, neg, sub
from covector.primitives.common import FLOAT, check_dtype, elementwise_aval
from covector.primitives.compare import bitwise_or, eq
from covector.primitives.elementwise import (
    binary,
    doc,
    operation,
    slopes,
)
from covector.primitives.exponential import exp, log, log1p, pow
from covector.primitives.select import select
from covector.primitives.special import by_parameters, digamma, lgamma


def _gamma_density(a: Any, x: Any) -> Any:
    # At 0 by powers, whose derivatives are finite there; elsewhere they might overflow.
    power = sub(a, like(1, a))
    at_zero = eq(x, like(0, x))
    inside = select(at_zero, like(1, x), x)
    density = exp(sub(sub(mul(power, log(inside)), inside), lgamma(a)))
    z = select(at_zero, x, like(0.5, x))
    return select(at_zero, mul(pow(z, power), exp(neg(add(z, lgamma(a))))), density)


_SHAPE_AND_BOUND = """
    a : array_like
        Shapes, real floats that are not negative.
    x : array_like
        Real floats that are not negative, of the same dtype and shape (or either of rank 0).
    """

igamma_p = binary(
    "igamma",
    FLOAT,
    ("a", "x"),
    derivative=slopes(
        lambda g, a, x: mul(g, igamma_grad_a(a, x)), lambda g, a, x: mul(g, _gamma_density(a, x))
    ),
    cost=1000,
    values=[((2.0, 0.0), 0.0), ((1.0, inf), 1.0), ((-1.0, 1.0), nan)],
    doc=doc(
        "Elementwise regularised lower incomplete gamma function :math:`P(a, x)`.",
        """
        >>> lax.igamma(2.0, 3.0)
        Array(0.8008517, dtype=float32, weak_type=True)
        """,
        parameters=_SHAPE_AND_BOUND,
        returns="NaN where an argument is out of range.",
        references="DLMF, sections 8.7, 8.9 and 8.12.",
    ),
)

igammac_p = binary(
    "igammac",
    FLOAT,
    ("a", "x"),
    derivative=slopes(
        lambda g, a, x: neg(mul(g, igamma_grad_a(a, x))),
        lambda g, a, x: neg(mul(g, _gamma_density(a, x))),
    ),
    cost=1000,
    values=[((2.0, 0.0), 1.0), ((1.0, inf), 0.0), ((-1.0, 1.0), nan)],
    doc=doc(
        """
        Elementwise regularised upper incomplete gamma function :math:`Q(a, x) = 1 - P(a, x)`.
        """,
        """
        >>> lax.igammac(2.0, 3.0)
        Array(0.19914827, dtype=float32, weak_type=True)
        """,
        parameters=_SHAPE_AND_BOUND,
        returns="NaN where an argument is out of range.",
        references="DLMF, sections 8.7, 8.9 and 8.12.",
    ),
)

igamma_grad_a_p = binary(
    "igamma_grad_a",
    FLOAT,
    ("a", "x"),
    derivative=slopes(by_parameters("igamma", 2, 0), by_parameters("igamma", 1, 1)),
    cost=2000,
    domain=((0.5, 2.0), (0.2, 0.8)),
    values=[((2.0, 0.0), 0.0)],
    doc=doc(
        "Elementwise derivative of `igamma` with respect to ``a``.",
        """
        >>> lax.igamma_grad_a(2.0, 3.0)
        Array(-0.19742543, dtype=float32, weak_type=True)
        """,
        parameters=_SHAPE_AND_BOUND,
        returns="NaN where an argument is out of range.",
        references="DLMF, sections 8.7, 8.9 and 8.12, differentiated term by term.",
    ),
)

# Of -P_a / P_x, where P_x is the density and P_ax that times log x - digamma(a).


def _variate_by_a(g: Any, a: Any, x: Any) -> Any:
    bend = by_parameters("igamma", 2, 0)(div(like(1, x), _gamma_density(a, x)), a, x)
    slope = sub(log(x), digamma(a))
    return neg(mul(g, add(bend, mul(random_gamma_grad_p.bind(a, x), slope))))


def _variate_by_itself(g: Any, a: Any, x: Any) -> Any:
    one = like(1, x)
    bend = sub(div(sub(a, one), x), one)
    slope = sub(log(x), digamma(a))
    return neg(mul(g, add(slope, mul(random_gamma_grad_p.bind(a, x), bend))))


random_gamma_grad_p = binary(
    "random_gamma_grad",
    FLOAT,
    ("a", "sample"),
    derivative=slopes(_variate_by_a, _variate_by_itself),
    cost=2000,
    domain=((0.5, 2.0), (0.2, 0.8)),
    doc=doc(
        """
        Elementwise derivative of a gamma variate with respect to its shape ``a``.

        The variate moves so that its distribution function keeps its value.
        """,
        """
        >>> lax.random_gamma_grad(2.0, 3.0)
        Array(1.3217986, dtype=float32, weak_type=True)
        """,
        parameters="""
        a : array_like
            Shapes, positive real floats.
        sample : array_like
            Variates, of the same dtype and shape (or either of rank 0).
        """,
        returns="How fast each variate grows with ``a``.",
        references="""
        M. Figurnov, S. Mohamed, A. Mnih, "Implicit reparameterization gradients", NeurIPS 2018.
        """,
    ),
)


def _beta_density(a: Any, b: Any, x: Any) -> Any:
    # At the ends by powers, whose derivatives are finite there; elsewhere they might overflow.
    one = like(1, x)
    at_end = bitwise_or(eq(x, like(0, x)), eq(x, one))
    inside = select(at_end, like(0.5, x), x)
    powers = add(mul(sub(a, one), log(inside)), mul(sub(b, one), log1p(neg(inside))))
    scale = sub(lgamma(add(a, b)), add(lgamma(a), lgamma(b)))
    z = select(at_end, x, like(0.5, x))
    ends = mul(pow(z, sub(a, one)), pow(sub(one, z), sub(b, one)))
    finite = min(scale, like(math.log(dtypes.finfo(aval_of(x).dtype).max) - 1, x))
    return select(at_end, mul(ends, exp(finite)), exp(add(powers, scale)))


def _betainc_aval(a: ShapedArray, b: ShapedArray, x: ShapedArray) -> ShapedArray:
    check_dtype("betainc", a, FLOAT)
    return elementwise_aval("betainc", (a, b, x))


regularized_incomplete_beta_p = operation(
    "regularized_incomplete_beta",
    ("a", "b", "x"),
    FLOAT,
    _betainc_aval,
    derivative=slopes(
        by_parameters("betainc", 1, 0, 0),
        by_parameters("betainc", 0, 1, 0),
        lambda g, a, b, x: mul(g, _beta_density(a, b, x)),
    ),
    cost=1000,
    domain=((0.7, 2.0), (1.5, 2.0), (0.2, 0.8)),
    values=[((1.0, 1.0, 0.25), 0.25), ((2.0, 3.0, 1.0), 1.0), ((2.0, 3.0, 2.0), nan)],
)


# --- constructors: what rules bind ---------------------------------------------------------

igamma_grad_a: Bind = igamma_grad_a_p.bind
