"""Elementary and special functions of f32 and f64, as scalar or vector code.

How each function is computed stands with it; `docs/elementary-functions.md` has the measured
errors and speeds. Scalar code, vector code past the first uses in a module, and all code of
long functions calls an internal function: a program of a hundred sines then compiles as fast as
one of two.
"""

from __future__ import annotations

from collections.abc import Callable

from covector.backends.cpu import numerics
from covector.backends.cpu.numerics.num import Num
from covector.backends.cpu.writer import Function, Val

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
    "ndtri": lambda x: numerics.normal.ndtri(x),
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
# So long that they are always called, never written in place.
LONG = frozenset(("zeta", "polygamma", "igamma", "igammac", "igamma_grad_a", "random_gamma_grad",
                  "regularized_incomplete_beta", "gamma", "beta", "betaln", "poch",
                  "riemann_zeta", "wofz_re", "wofz_im", "owens_t", "expn",
                  "hyp1f1", "hyp2f1"))  # fmt: skip


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
