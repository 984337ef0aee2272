"""Elementary functions of f32 and f64, as branch-free scalar or vector code.

``emit(b, name, *args)`` is what the compiler calls. How each function is computed stands with
it; `docs/elementary-functions.md` has the measured errors and speeds.
"""

from __future__ import annotations

from collections.abc import Callable

from covector.backends.cpu.vmath import error, exponential, logarithm, trigonometric
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
    "erf": error.erf,
}


def emit(b: Function, name: str, *args: Val) -> Val:
    """The function ``name`` of float or double values, elementwise."""
    fn = FUNCTIONS.get(name)
    args, _ = b.unify(*args)
    if fn is None:
        return _libm(b, name, *args)
    return fn(*[Num(b, a) for a in args]).v


def _libm(b: Function, libm: str, *args: Val) -> Val:
    x = args[0]
    args, lanes = b.unify(*args)
    fn = f"{libm}f" if x.ty == "float" else libm
    b.module.declare(fn, x.ty, ", ".join([x.ty] * len(args)))
    call = f"call {x.ty} @{fn}({', '.join([x.ty + ' %s'] * len(args))})"
    if not lanes:
        return b.ins(fn, call, args, x.ty, 0)
    out = Val("poison", x.ty, lanes)
    for k in range(lanes):
        parts = tuple(b.ins(("ext", k), f"extractelement {a.type} %s, i32 {k}", (a,), a.ty, 0)
                      for a in args)  # fmt: skip
        y = b.ins(fn, call, parts, x.ty, 0)
        out = b.ins(("insert", k), f"insertelement {out.type} %s, {x.ty} %s, i32 {k}",
                    (out, y), x.ty, lanes)  # fmt: skip
    return out
