"""Incomplete gamma and beta functions, and how gamma variates move with their shape."""

from __future__ import annotations

from typing import Any

from covector.core.avals import ShapedArray
from covector.core.definers import def_jvp, def_vectorized
from covector.core.operands import like
from covector.core.trace import Primitive
from covector.primitives.arithmetic import add, mul, neg, sub
from covector.primitives.common import FLOAT, binary, check_dtype, elementwise_aval
from covector.primitives.exponential import exp, log, log1p
from covector.primitives.special import lgamma, no_derivative

igamma_p = binary("igamma", FLOAT)


igammac_p = binary("igammac", FLOAT)


igamma_grad_a_p = binary("igamma_grad_a", FLOAT)


random_gamma_grad_p = binary("random_gamma_grad", FLOAT)


regularized_incomplete_beta_p = Primitive("regularized_incomplete_beta")


# --- constructors: what rules bind ---------------------------------------------------------

igamma_grad_a = igamma_grad_a_p.bind


@regularized_incomplete_beta_p.def_abstract_eval
def _betainc_aval(a: ShapedArray, b: ShapedArray, x: ShapedArray) -> ShapedArray:
    check_dtype("betainc", a, FLOAT)
    return elementwise_aval("betainc", (a, b, x))


def_vectorized(regularized_incomplete_beta_p)


# --- derivatives -------------------------------------------------------------------------


def _gamma_density(a: Any, x: Any) -> Any:
    return exp(sub(sub(mul(sub(a, like(1, a)), log(x)), x), lgamma(a)))


def _beta_density(a: Any, b: Any, x: Any) -> Any:
    powers = add(mul(sub(a, like(1, a)), log(x)), mul(sub(b, like(1, b)), log1p(neg(x))))
    return exp(add(powers, sub(lgamma(add(a, b)), add(lgamma(a), lgamma(b)))))


def_jvp(
    igamma_p,
    lambda g, a, x: mul(g, igamma_grad_a(a, x)),
    lambda g, a, x: mul(g, _gamma_density(a, x)),
)


def_jvp(
    igammac_p,
    lambda g, a, x: neg(mul(g, igamma_grad_a(a, x))),
    lambda g, a, x: neg(mul(g, _gamma_density(a, x))),
)


for _prim in (igamma_grad_a_p, random_gamma_grad_p):
    _rule = no_derivative(_prim.name, "its arguments: it is a derivative itself")
    def_jvp(_prim, _rule, _rule)


_rule = no_derivative("betainc", "a and b")


def_jvp(
    regularized_incomplete_beta_p,
    _rule,
    _rule,
    lambda g, a, b, x: mul(g, _beta_density(a, b, x)),
)
