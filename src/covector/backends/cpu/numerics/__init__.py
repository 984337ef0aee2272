"""Elementary and special functions of f32 and f64, as scalar or vector code.

``emit(b, name, *args)`` is what the compiler calls. How each function is computed stands with
it; `docs/elementary-functions.md` has the measured errors and speeds.
"""

from __future__ import annotations

from collections.abc import Callable

from covector.backends.cpu.emit.writer import Function, Val
from covector.backends.cpu.numerics import (
    bessel,
    error,
    exponential,
    gamma,
    incomplete_beta,
    incomplete_gamma,
    inverse_trig,
    logarithm,
    power,
    trigonometric,
    zeta,
)
from covector.backends.cpu.numerics.num import Num

FUNCTIONS: dict[str, Callable[..., Num]] = {
    "exp": exponential.exp,
    "exp2": exponential.exp2,
    "expm1": exponential.expm1,
    "logistic": exponential.logistic,
    "sinh": exponential.sinh,
    "cosh": exponential.cosh,
    "tanh": exponential.tanh,
    "log": logarithm.log,
    "log1p": logarithm.log1p,
    "asinh": logarithm.asinh,
    "acosh": logarithm.acosh,
    "atanh": logarithm.atanh,
    "sin": trigonometric.sin,
    "cos": trigonometric.cos,
    "tan": trigonometric.tan,
    "asin": inverse_trig.asin,
    "acos": inverse_trig.acos,
    "atan": inverse_trig.atan,
    "atan2": inverse_trig.atan2,
    "cbrt": power.cbrt,
    "pow": power.pow_,
    "hypot": power.hypot,
    "erf": error.erf,
    "erfc": error.erfc,
    "erf_inv": error.erf_inv,
    "lgamma": gamma.lgamma,
    "digamma": gamma.digamma,
    "bessel_i0e": bessel.i0e,
    "bessel_i1e": bessel.i1e,
    "zeta": zeta.zeta,
    "polygamma": zeta.polygamma,
    "igamma": incomplete_gamma.igamma,
    "igammac": incomplete_gamma.igammac,
    "igamma_grad_a": incomplete_gamma.igamma_grad_a,
    "random_gamma_grad": incomplete_gamma.random_gamma_grad,
    "regularized_incomplete_beta": incomplete_beta.betainc,
}
# So long that they are always called, never written in place.
LONG = frozenset(("zeta", "polygamma", "igamma", "igammac", "igamma_grad_a", "random_gamma_grad",
                  "regularized_incomplete_beta"))  # fmt: skip


def emit(b: Function, name: str, *args: Val) -> Val:
    """The function ``name`` of float or double values, elementwise."""
    fn = FUNCTIONS.get(name)
    if fn is None:
        raise NotImplementedError(f"{name} of {args[0].ty} has no CPU lowering")
    args, _ = b.unify(*args)
    return fn(*[Num(b, a) for a in args]).v
