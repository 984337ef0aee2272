"""The elementary and special functions, by name.

How each function is computed stands with it; `docs/elementary-functions.md` has the measured
errors and speeds.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

from covector import numerics
from covector.numerics.num import Num

# By attributes of the package, so that a module is imported when a program first has its function.
FUNCTIONS: dict[str, Callable[..., Num]] = {
    "exp": lambda x: numerics.exponential.exp(x),
    "exp2": lambda x: numerics.exponential.exp2(x),
    "expm1": lambda x: numerics.exponential.expm1(x),
    "logistic": lambda x: numerics.exponential.logistic(x),
    "sinh": lambda x: numerics.exponential.sinh(x),
    "cosh": lambda x: numerics.exponential.cosh(x),
    "tanh": lambda x: numerics.exponential.tanh(x),
    "log": lambda x: numerics.logarithm.log(x),
    "log1p": lambda x: numerics.logarithm.log1p(x),
    "asinh": lambda x: numerics.logarithm.asinh(x),
    "acosh": lambda x: numerics.logarithm.acosh(x),
    "atanh": lambda x: numerics.logarithm.atanh(x),
    "sin": lambda x: numerics.trigonometric.sin(x),
    "cos": lambda x: numerics.trigonometric.cos(x),
    "tan": lambda x: numerics.trigonometric.tan(x),
    "asin": lambda x: numerics.inverse_trig.asin(x),
    "acos": lambda x: numerics.inverse_trig.acos(x),
    "atan": lambda x: numerics.inverse_trig.atan(x),
    "atan2": lambda y, x: numerics.inverse_trig.atan2(y, x),
    "cbrt": lambda x: numerics.power.cbrt(x),
    "pow": lambda x, y: numerics.power.pow_(x, y),
    "hypot": lambda x, y: numerics.power.hypot(x, y),
    "erf": lambda x: numerics.error.erf(x),
    "erfc": lambda x: numerics.error.erfc(x),
    "erf_inv": lambda x: numerics.error.erf_inv(x),
    "lgamma": lambda x: numerics.gamma.lgamma(x),
    "digamma": lambda x: numerics.gamma.digamma(x),
    "bessel_i0e": lambda x: numerics.bessel.i0e(x),
    "bessel_i1e": lambda x: numerics.bessel.i1e(x),
    "zeta": lambda x, q: numerics.zeta.zeta(x, q),
    "polygamma": lambda m, x: numerics.zeta.polygamma(m, x),
    "igamma": lambda a, x: numerics.incomplete_gamma.igamma(a, x),
    "igammac": lambda a, x: numerics.incomplete_gamma.igammac(a, x),
    "igamma_grad_a": lambda a, x: numerics.incomplete_gamma.igamma_grad_a(a, x),
    "random_gamma_grad": lambda a, x: numerics.incomplete_gamma.random_gamma_grad(a, x),
    "regularized_incomplete_beta": lambda a, b, x: numerics.incomplete_beta.betainc(a, b, x),
    "gamma": lambda x: numerics.gamma_function.gamma(x),
    "beta": lambda a, b: numerics.gamma_function.beta(a, b),
    "betaln": lambda a, b: numerics.gamma_function.betaln(a, b),
    "poch": lambda z, m: numerics.gamma_function.poch(z, m),
    "riemann_zeta": lambda x: numerics.zeta.riemann_zeta(x),
    "erfcx": lambda x: numerics.normal.erfcx(x),
    "dawsn": lambda x: numerics.normal.dawsn(x),
    "ndtr": lambda x: numerics.normal.ndtr(x),
    "log_ndtr": lambda x: numerics.normal.log_ndtr(x),
    "ndtri": lambda x: numerics.normal.ndtri(x),
    "logit": lambda x: numerics.transformations.logit(x),
    "boxcox": lambda x, power: numerics.transformations.boxcox(x, power),
    "boxcox1p": lambda x, power: numerics.transformations.boxcox1p(x, power),
    "wofz_re": lambda x, y: numerics.faddeeva.wofz_re(x, y),
    "wofz_im": lambda x, y: numerics.faddeeva.wofz_im(x, y),
    "owens_t": lambda h, a: numerics.owens.owens_t(h, a),
    "expi": lambda x: numerics.integrals.expi(x),
    "exp1": lambda x: numerics.integrals.exp1(x),
    "expn": lambda n, x: numerics.integrals.expn(n, x),
    "sin_integral": lambda x: numerics.integrals.sin_integral(x),
    "cos_integral": lambda x: numerics.integrals.cos_integral(x),
    "fresnel_sin": lambda x: numerics.integrals.fresnel_sin(x),
    "fresnel_cos": lambda x: numerics.integrals.fresnel_cos(x),
    "spence": lambda x: numerics.integrals.spence(x),
    "hyp1f1": lambda a, b, x: numerics.hypergeometric.hyp1f1(a, b, x),
    "hyp2f1": lambda a, b, c, x: numerics.hypergeometric.hyp2f1(a, b, c, x),
}
# Derivatives by parameters, which take their orders, too.
PARTIAL: dict[str, Callable[..., Num]] = {
    "betainc_partial": lambda *xs, orders: numerics.parameters.betainc(*xs, orders=orders),
    "igamma_partial": lambda *xs, orders: numerics.parameters.igamma(*xs, orders=orders),
    "hyp1f1_partial": lambda *xs, orders: numerics.parameters.hyp1f1(*xs, orders=orders),
    "hyp2f1_partial": lambda *xs, orders: numerics.parameters.hyp2f1(*xs, orders=orders),
    "expn_partial": lambda *xs, orders: numerics.parameters.expn(*xs, orders=orders),
    "zeta_partial": lambda *xs, orders: numerics.parameters.zeta(*xs, orders=orders),
    "riemann_zeta_partial": lambda *xs, orders: numerics.parameters.riemann_zeta(
        *xs, orders=orders
    ),
}


def function(name: str, orders: tuple[int, ...] | None = None) -> Callable[..., Num] | None:
    """A function of `FUNCTIONS`, or a derivative of these ``orders``; None if there is none."""
    if orders is None:
        return FUNCTIONS.get(name)
    return functools.partial(PARTIAL[name], orders=orders)
