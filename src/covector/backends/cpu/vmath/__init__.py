"""Elementary functions of f32 and f64, as branch-free scalar or vector code.

``emit(b, name, *args)`` is what the compiler calls. How each function is computed stands with
it; `docs/elementary-functions.md` has the measured errors and speeds.
"""

from __future__ import annotations

from collections.abc import Callable

from covector.backends.cpu.vmath import (
    error,
    exponential,
    gamma,
    inverse_trig,
    logarithm,
    power,
    trigonometric,
)
from covector.backends.cpu.vmath.num import Num
from covector.backends.cpu.writer import Function, Val

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
}


def emit(b: Function, name: str, *args: Val) -> Val:
    """The function ``name`` of float or double values, elementwise."""
    fn = FUNCTIONS.get(name)
    if fn is None:
        raise NotImplementedError(f"{name} of {args[0].ty} has no CPU lowering")
    args, _ = b.unify(*args)
    return fn(*[Num(b, a) for a in args]).v
