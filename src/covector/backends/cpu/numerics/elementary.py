"""Elementary and special functions of f32 and f64, as scalar or vector code.

How each function is computed stands with it; `docs/elementary-functions.md` has the measured
errors and speeds. Scalar code, vector code past the first uses in a module, and all code of
long functions calls an internal function: a program of a hundred sines then compiles as fast as
one of two.
"""

from __future__ import annotations

from collections.abc import Callable

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


# Uses of one function at one vector type that are written in place.
IN_PLACE = 2


def emit(b: Function, name: str, *args: Val) -> Val:
    """The function ``name`` of float or double values, elementwise."""
    fn = FUNCTIONS.get(name)
    if fn is None:
        raise NotImplementedError(f"{name} of {args[0].ty} has no CPU lowering")
    args, _ = b.unify(*args)
    return fn(*[Num(b, a) for a in args]).v


def call(b: Function, name: str, *args: Val) -> Val:
    """The elementary function ``name`` of float or double values."""
    args, lanes = b.unify(*args)
    ty = args[0].ty
    key = (name, ty, lanes)
    if lanes and name not in LONG:
        uses = b.module.uses[key] = b.module.uses.get(key, 0) + 1
        if uses <= IN_PLACE:
            return emit(b, name, *args)
    fn = f"cv_{name}_{lanes or ''}{ty}"
    if fn not in b.module.internal:
        b.module.internal.add(fn)
        t = args[0].type
        params = [Val(f"%a{k}", ty, lanes) for k in range(len(args))]
        header = ", ".join(f"{t} {p.ref}" for p in params)
        child = Function(
            b.module, fn, f"define internal fastcc {t} @{fn}({header}) noinline nounwind", None
        )
        out = emit(child, name, *(Val(p.ref, ty, lanes, child, 0) for p in params))
        child.line(f"ret {t} {out.ref}")
        child.finish()
    operands = ", ".join([f"{args[0].type} %s"] * len(args))
    text = f"call fastcc {args[0].type} @{fn}({operands})"
    return b.ins(("call", fn), text, args, ty, lanes)
