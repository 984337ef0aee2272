"""When elementary functions are written in place, and when they are called.

Scalar code, vector code past the first uses in a module, and all code of long functions calls an
internal function: a program of a hundred sines then compiles as fast as one of two.
"""

from __future__ import annotations

from covector.backends.cpu import numerics as vmath
from covector.backends.cpu.emit.writer import Function, Val

# Uses of one function at one vector type that are written in place.
IN_PLACE = 2


def call(b: Function, name: str, *args: Val) -> Val:
    """The elementary function ``name`` of float or double values."""
    args, lanes = b.unify(*args)
    ty = args[0].ty
    key = (name, ty, lanes)
    if lanes and name not in vmath.LONG:
        uses = b.module.uses[key] = b.module.uses.get(key, 0) + 1
        if uses <= IN_PLACE:
            return vmath.emit(b, name, *args)
    fn = f"cv_{name}_{lanes or ''}{ty}"
    if fn not in b.module.internal:
        b.module.internal.add(fn)
        t = args[0].type
        params = [Val(f"%a{k}", ty, lanes) for k in range(len(args))]
        header = ", ".join(f"{t} {p.ref}" for p in params)
        child = Function(
            b.module, fn, f"define internal fastcc {t} @{fn}({header}) noinline nounwind", None
        )
        out = vmath.emit(child, name, *(Val(p.ref, ty, lanes, child, 0) for p in params))
        child.line(f"ret {t} {out.ref}")
        child.finish()
    operands = ", ".join([f"{args[0].type} %s"] * len(args))
    text = f"call fastcc {args[0].type} @{fn}({operands})"
    return b.ins(("call", fn), text, args, ty, lanes)
