"""Functions of complex numbers, held as pairs of real values."""

from __future__ import annotations

from typing import Any, NamedTuple

from covector.backends.cpu import vmath
from covector.backends.cpu.writer import Function, Val, float_const


class Cx(NamedTuple):
    """A complex number: real and imaginary part."""

    re: Val
    im: Val


def emit(b: Function, name: str, args: list[Any], attr: Any) -> Any:
    """The operation ``name`` on complex numbers (or, for ``complex``, on their parts)."""
    x = args[0]
    add = lambda p, q: b.bin("fadd contract", p, q)  # noqa: E731
    sub = lambda p, q: b.bin("fsub contract", p, q)  # noqa: E731
    mul = lambda p, q: b.bin("fmul contract", p, q)  # noqa: E731
    match name:
        case "add" | "add_any":
            return Cx(add(x.re, args[1].re), add(x.im, args[1].im))
        case "sub":
            return Cx(sub(x.re, args[1].re), sub(x.im, args[1].im))
        case "mul":
            return product(b, x, args[1])
        case "square":
            return product(b, x, x)
        case "neg":
            return Cx(b.un("fneg", x.re), b.un("fneg", x.im))
        case "real":
            return x.re
        case "imag":
            return x.im
        case "conj":
            return Cx(x.re, b.un("fneg", x.im))
        case "eq":
            return b.bin("and", b.cmp("fcmp oeq", x.re, args[1].re),
                         b.cmp("fcmp oeq", x.im, args[1].im))  # fmt: skip
        case "ne":
            return b.bin("or", b.cmp("fcmp une", x.re, args[1].re),
                         b.cmp("fcmp une", x.im, args[1].im))  # fmt: skip
        case "abs":
            return vmath.emit(b, "hypot", x.re, x.im)
        case "integer_pow":
            from covector.backends.cpu.ops import power_chain

            one = Cx(float_const(1.0, x.re.ty), float_const(0.0, x.re.ty))
            out = power_chain(lambda p, q: product(b, p, q), x, abs(attr), one)
            return quotient(b, one, out) if attr < 0 else out
        case "div":
            return quotient(b, x, args[1])
    raise NotImplementedError(f"{name} of complex numbers has no CPU lowering")


def product(b: Function, x: Cx, y: Cx) -> Cx:
    """(a + bi)(c + di)."""
    mul = lambda p, q: b.bin("fmul contract", p, q)  # noqa: E731
    return Cx(
        b.bin("fsub contract", mul(x.re, y.re), mul(x.im, y.im)),
        b.bin("fadd contract", mul(x.re, y.im), mul(x.im, y.re)),
    )


def quotient(b: Function, x: Cx, y: Cx) -> Cx:
    """x / y by Smith's method (R. L. Smith, CACM 5(8), 1962), which avoids overflow."""
    big = b.cmp("fcmp oge", b.intrinsic("fabs", y.re), b.intrinsic("fabs", y.im))
    p, q = b.select(big, y.re, y.im), b.select(big, y.im, y.re)
    r = b.bin("fdiv", q, p)
    den = b.bin("fadd contract", p, b.bin("fmul contract", q, r))
    u, v = b.select(big, x.re, x.im), b.select(big, x.im, x.re)
    re = b.bin("fdiv", b.bin("fadd contract", u, b.bin("fmul contract", v, r)), den)
    diff = b.bin("fsub contract", v, b.bin("fmul contract", u, r))
    im = b.bin("fdiv", b.select(big, diff, b.un("fneg", diff)), den)
    return Cx(re, im)
