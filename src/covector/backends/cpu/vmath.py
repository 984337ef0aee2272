"""Elementary functions of f32 and f64, as scalar or vector code."""

from __future__ import annotations

from covector.backends.cpu.writer import Function, Val, float_const


def emit(b: Function, name: str, *args: Val) -> Val:
    """The function ``name`` of float or double values, elementwise."""
    x = args[0]
    if name == "logistic":
        e = emit(b, "exp", b.un("fneg", x))
        one = float_const(1.0, x.ty)
        return b.bin("fdiv", one, b.bin("fadd", one, e))
    libm = {"asin": "asin", "acos": "acos", "atan": "atan", "erf_inv": None}.get(name, name)
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
