"""Functions of complex numbers, held as pairs of real values.

Branch cuts are C's: the sign of a zero says from which side they are approached. Where a formula
is delicate, numbers of two f32 are computed in double, which has room for their squares.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from covector.backends.cpu.numerics import calls
from covector.backends.cpu.numerics.number import Cx, Number
from covector.backends.cpu.writer import Function, Val, float_const
from covector.core.record import Record
from covector.numerics import (
    exponential,
    inverse_trig,
    logarithm,
    power,
    trigonometric,
)
from covector.numerics.num import (
    Num,
    by_size,
    fma,
    maximum,
    minimum,
    muladd,
    power_chain,
    where,
)

INF = math.inf
LN2 = math.log(2.0)


class Z(Record):
    """A complex number under construction."""

    re: Num
    im: Num


def emit(b: Function, name: str, args: Sequence[Cx], attr: Any) -> Number:
    """The operation ``name`` on complex numbers."""
    x = args[0]
    add = lambda p, q: b.bin("fadd contract", p, q)  # noqa: E731
    sub = lambda p, q: b.bin("fsub contract", p, q)  # noqa: E731
    match name:
        case "add" | "add_any":
            return Cx(add(x.re, args[1].re), add(x.im, args[1].im))
        case "sub":
            return Cx(sub(x.re, args[1].re), sub(x.im, args[1].im))
        case "mul":
            return product(b, x, args[1])
        case "square":
            # As a product of sums: squares may overflow where their difference does not.
            fmul = lambda p, q: b.bin("fmul", p, q)  # noqa: E731
            return Cx(fmul(sub(x.re, x.im), add(x.re, x.im)), fmul(add(x.re, x.re), x.im))
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
        case "max" | "min":
            return _extreme(b, x, args[1], name == "max")
        case "is_finite":
            inf = float_const(INF, x.re.ty)
            return b.bin("and", b.cmp("fcmp olt", b.intrinsic("fabs", x.re), inf),
                         b.cmp("fcmp olt", b.intrinsic("fabs", x.im), inf))  # fmt: skip
        case "abs":
            return calls.emit(b, "hypot", x.re, x.im)
        case "abs_square":
            return _abs_square(b, x)
        case "integer_pow":
            one = Cx(float_const(1.0, x.re.ty), float_const(0.0, x.re.ty))
            out = power_chain(lambda p, q: product(b, p, q), x, abs(attr), one)
            return quotient(b, one, out) if attr < 0 else out
        case "div":
            return quotient(b, x, args[1])
    fn = FUNCTIONS.get(name)
    if fn is None:
        raise NotImplementedError(f"{name} of complex numbers has no CPU lowering")
    return _apply(b, fn, args, name in IN_DOUBLE)


def _abs_square(b: Function, x: Cx) -> Val:
    """The square that the absolute value is the root of, where it neither overflows nor loses
    digits; infinite if either part is."""
    parts, _ = b.unify(x.re, x.im)
    w = calls.Kernels(b)
    z = Z(*[Num(w, p) for p in parts])
    high, low = by_size(z.re, z.im)
    # LLVM would make a condition of it and the comparison that the square is for.
    return b.opaque(where(_either_infinite(z), INF, muladd(high, high, low * low)).v)


def _extreme(b: Function, x: Cx, y: Cx, greatest: bool) -> Cx:
    """The later (or earlier) of two in lexicographic order; one with a NaN before all others."""
    op = "fcmp ogt" if greatest else "fcmp olt"
    tie = b.bin("and", b.cmp("fcmp oeq", x.re, y.re), b.cmp(op, x.im, y.im))
    nan = b.cmp("fcmp uno", x.re, x.im)
    take = b.bin("or", b.bin("or", b.cmp(op, x.re, y.re), tie), nan)
    return Cx(b.select(take, x.re, y.re), b.select(take, x.im, y.im))


def _apply(b: Function, fn: Callable[..., Z], args: Sequence[Cx], double: bool) -> Cx:
    """``fn`` of numbers with equal lanes, in double if so wished."""
    parts, _ = b.unify(*[p for a in args for p in a])
    w = calls.Kernels(b)
    nums = [Num(w, p) for p in parts]
    narrow = double and not nums[0].double
    if narrow:
        nums = [n.cast("fpext", "double") for n in nums]
    out = fn(*[Z(nums[k], nums[k + 1]) for k in range(0, len(nums), 2)])
    if narrow:
        out = Z(*[n.cast("fptrunc", "float") for n in out])
    return Cx(out.re.v, out.im.v)


# --- products and quotients --------------------------------------------------------------


def product(b: Function, x: Cx, y: Cx) -> Cx:
    """(a + bi)(c + di)."""
    mul = lambda p, q: b.bin("fmul contract", p, q)  # noqa: E731
    return Cx(
        b.bin("fsub contract", mul(x.re, y.re), mul(x.im, y.im)),
        b.bin("fadd contract", mul(x.re, y.im), mul(x.im, y.re)),
    )


def quotient(b: Function, x: Cx, y: Cx) -> Cx:
    """x / y."""
    return _apply(b, divide, [x, y], True)


def divide(x: Z, y: Z) -> Z:
    """x / y by Smith's method (CACM 5(8), 1962), scaled against overflow, and with a remedy for a
    ratio that underflows (Baudin and Smith, arXiv:1210.4539)."""
    big = abs(y.re) >= abs(y.im)
    p, q = where(big, y.re, y.im), where(big, y.im, y.re)
    u, v = where(big, x.re, x.im), where(big, x.im, x.re)
    size, top = abs(p), maximum_of(abs(u), abs(v))
    one = p.like(1.0)
    f = where(size > 2.0**1000, p.like(2.0**-200), where(size < 2.0**-900, p.like(2.0**200), one))
    over = top > 2.0**1020
    g = where(over, p.like(0.25), one)
    p, q, u, v = p * f, q * f, u * f * g, v * f * g
    r = q / p
    d = fma(q, r, p)
    gone = r.eq(0.0)
    vr = where(gone, q * (v / p), v * r)
    ur = where(gone, q * (u / p), u * r)
    back = where(over, p.like(4.0), one)
    re = (u + vr) / d * back
    im = (v - ur) / d * back
    out = Z(re, where(big, im, -im))
    # A zero divides like a signed infinity multiplies; an infinity like a signed zero.
    zero = size.eq(0.0)
    infinite = size.eq(INF) & (top < INF)
    if_zero = Z(x.re * p.like(INF).copysign(y.re), x.im * p.like(INF).copysign(y.re))
    unit = Z(_unit(y.re), _unit(y.im))
    if_inf = Z(0.0 * fma(x.re, unit.re, x.im * unit.im), 0.0 * (x.im * unit.re - x.re * unit.im))
    return choose(zero, if_zero, choose(infinite, if_inf, out))


def _unit(x: Num) -> Num:
    """+-1 where infinite, else +-0."""
    return where(abs(x).eq(INF), x.like(1.0), 0.0).copysign(x)


def maximum_of(x: Num, y: Num) -> Num:
    """The larger of two numbers (no care for NaN)."""
    return where(x > y, x, y)


def choose(c: Num, x: Z, y: Z) -> Z:
    return Z(where(c, x.re, y.re), where(c, x.im, y.im))


def _finite(x: Num) -> Num:
    return abs(x) < INF


# --- exponentials ------------------------------------------------------------------------


def _bounded(x: Num) -> Num:
    """x where e^x times any sine or cosine may be finite and not zero, else beyond."""
    bound = 1400.0 if x.double else 170.0
    return maximum(-bound, minimum(bound, x))


def _turned(n: Num, p: Num, angle: Num, x: Num) -> Z:
    """2^k p (cos angle + i sin angle); ``x`` is the exponent that gave k and p."""
    re = exponential.scale(p * trigonometric.cos(angle), n)
    im = exponential.scale(p * trigonometric.sin(angle), n)
    lost = abs(x).eq(INF) & ~_finite(angle)
    zero = x < 0.0
    re = where(lost, where(zero, x.like(0.0), INF), re)
    im = where(lost & zero, 0.0, im)
    return Z(re, where(angle.eq(0.0), angle, im))


def exp(z: Z) -> Z:
    """e^x (cos y + i sin y)."""
    n, p = exponential.exp_fraction(_bounded(z.re))
    return _turned(n, p, z.im, z.re)


def exp2(z: Z) -> Z:
    """2^x (cos(y log 2) + i sin(y log 2))."""
    n, p = exponential.exp2_fraction(_bounded(z.re))
    angle = z.im * LN2
    w = _turned(n, p, angle, z.re)
    # The rounding error of the angle turns the result a little further.
    rest = fma(z.im, 2.3190468138462996e-17, fma(z.im, LN2, -angle))
    near = (abs(w.re) + abs(w.im) < INF) & _finite(angle) & angle.ne(0.0)
    return choose(near, Z(fma(-w.im, rest, w.re), fma(w.re, rest, w.im)), w)


def expm1(z: Z) -> Z:
    """(e^x - 1) cos y - 2 sin(y/2)^2 + i e^x sin y."""
    half = trigonometric.sin(z.im * 0.5)
    near = fma(exponential.expm1(z.re), trigonometric.cos(z.im), -2.0 * half * half)
    e = exp(z)
    return Z(where(abs(z.re) < 1.0, near, e.re - 1.0), e.im)


def logistic(z: Z) -> Z:
    """1 / (1 + e^-z), or e^z / (1 + e^z) for a negative real part."""
    left = z.re < 0.0
    e = exp(choose(left, z, Z(-z.re, -z.im)))
    one = z.re.like(1.0)
    return divide(choose(left, e, Z(one, z.re.like(0.0))), Z(e.re + 1.0, e.im))


def _cosh_sinh(y: Num, c: Num, s: Num) -> tuple[Num, Num]:
    """(c cosh y, s sinh y), finite where these are."""
    a = abs(y)
    n, p = exponential.exp_fraction(_bounded(a))
    ec, es = (
        exponential.scale(0.5 * p * c, n),
        exponential.scale(0.5 * p * s, n).copysign(s.flip_sign(y.sign_bit())),
    )
    far = a > (30.0 if y.double else 15.0)
    return (
        where(far, ec, c * exponential.cosh(y)),
        where(far, es, s * exponential.sinh(y)),
    )


def sin(z: Z) -> Z:
    """-i sinh(iz)."""
    w = sinh(Z(z.im, z.re))
    return Z(w.im, w.re)


def cos(z: Z) -> Z:
    """cos x cosh y - i sin x sinh y."""
    return cosh(Z(-z.im, z.re))


def sinh(z: Z) -> Z:
    """sinh x cos y + i cosh x sin y."""
    x, y = z
    im, re = _cosh_sinh(x, trigonometric.sin(y), trigonometric.cos(y))
    # Zeros and infinities stay, whatever the angle; an angle of zero too.
    re = where(~_finite(y) & (x.eq(0.0) | abs(x).eq(INF)), x, re)
    return Z(re, where(y.eq(0.0), y, im))


def cosh(z: Z) -> Z:
    """cosh x cos y + i sinh x sin y."""
    x, y = z
    re, im = _cosh_sinh(x, trigonometric.cos(y), trigonometric.sin(y))
    lost = ~_finite(y)
    re = where(lost & abs(x).eq(INF), INF, re)
    im = where(y.eq(0.0) & x.isnan(), y, where(lost & x.eq(0.0), x, im))
    return Z(re, im)


def tanh(z: Z) -> Z:
    """(sinh x cosh x + i sin y cos y) / (sinh(x)^2 + cos(y)^2)."""
    x, y = z
    a = minimum(30.0 if x.double else 15.0, abs(x))
    s, c = exponential.sinh(a), exponential.cosh(a)
    sy, cy = trigonometric.sin(y), trigonometric.cos(y)
    d = fma(s, s, cy * cy)
    far = abs(x) > (25.0 if x.double else 12.0)
    re = where(far, x.like(1.0), s * c / d).copysign(x)
    e = exponential.exp(-abs(x))
    im = where(far, 4.0 * (sy * cy) * e * e, sy * cy / d)
    im = where(abs(x).eq(INF) & ~_finite(y), 0.0, im)
    return Z(where(x.eq(0.0), x, re), where(y.eq(0.0), y, im))


def tan(z: Z) -> Z:
    """-i tanh(iz)."""
    w = tanh(Z(z.im, z.re))
    return Z(w.im, w.re)


# --- logarithms and roots ----------------------------------------------------------------


def _scaled(z: Z) -> tuple[Num, Num, Num, Num]:
    """(high, low, factor, exponent): the parts' absolute values, ordered and multiplied by a power
    of two (an even one) that keeps their squares in range; log2 of that power."""
    high, low = by_size(z.re, z.im)
    wide, down, tiny, up = (500, -600, -400, 600) if high.double else (60, -80, -40, 100)
    big, small = high > 2.0**wide, high < 2.0**tiny
    e = where(big, high.like(down), where(small, high.like(up), 0.0))
    f = where(big, high.like(2.0**down), where(small, high.like(2.0**up), 1.0))
    return high * f, low * f, f, e


def _either_infinite(z: Z) -> Num:
    return abs(z.re).eq(INF) | abs(z.im).eq(INF)


def log_abs(z: Z) -> Num:
    """log |z|, precise near |z| = 1 too."""
    high, low, f, e = _scaled(z)
    square = fma(high, high, low * low)
    near = f.eq(1.0) & (square > 0.5) & (square < 3.0)
    excess = fma(high - 1.0, high + 1.0, low * low)
    far = fma(e, -2.0 * LN2, logarithm.log(square))
    out = 0.5 * where(near, logarithm.log1p(excess), far)
    return where(_either_infinite(z), INF, out)


def log(z: Z) -> Z:
    """log |z| + i arg z."""
    return Z(log_abs(z), inverse_trig.atan2(z.im, z.re))


def log1p(z: Z) -> Z:
    """log |1 + z| + i arg(1 + z)."""
    one_x = z.re + 1.0
    excess = fma(z.re, z.re + 2.0, z.im * z.im)
    near = (excess > -0.5) & (excess < 2.0)
    re = where(near, 0.5 * logarithm.log1p(excess), log_abs(Z(one_x, z.im)))
    return Z(re, inverse_trig.atan2(z.im, one_x))


def sqrt(z: Z) -> Z:
    """t = sqrt((|z| + |x|) / 2); t + i y/(2t), or |y|/(2t) + i sign(y) t for x < 0."""
    x, y = z
    high, low, f, e = _scaled(z)
    size = fma(high, high, low * low).sqrt()
    t = (0.5 * fma(abs(x), f, size)).sqrt()
    # sqrt(f) is a power of two; e / 2 is whole.
    up, down = (300, -300) if x.double else (40, -50)
    back = where(e < 0.0, x.like(2.0**up), where(e > 0.0, x.like(2.0**down), 1.0))
    other = where(t.eq(0.0), abs(y), 0.5 * (abs(y) * f) / t) * back
    t = t * back
    left = x < 0.0
    re = where(left, other, t)
    im = where(left, t, other).copysign(y)
    # Annex G: +-inf imaginary wins over NaN; infinite real parts keep a NaN imaginary one.
    tall = abs(y).eq(INF)
    flat = abs(x).eq(INF)
    nan = y.isnan()
    re = where(tall, INF, where(flat, where(left, where(nan, y, 0.0), x), re))
    im = where(tall, y, where(flat, where(left, x.like(INF).copysign(y), y * 0.0), im))
    return Z(re, im)


def rsqrt(z: Z) -> Z:
    """1 / sqrt(z)."""
    return divide(Z(z.re.like(1.0), z.re.like(0.0)), sqrt(z))


def pow_(z: Z, w: Z) -> Z:
    """e^(w log z); 1 for w = 0, and 0 for z = 0 and Re w > 0."""
    l = log(z)
    out = exp(Z(fma(w.re, l.re, -(w.im * l.im)), fma(w.re, l.im, w.im * l.re)))
    zero = z.re.eq(0.0) & z.im.eq(0.0)
    at_zero = where(w.re > 0.0, w.re.like(0.0), math.nan)
    out = choose(zero, Z(at_zero, at_zero), out)
    one = w.re.eq(0.0) & w.im.eq(0.0)
    return choose(one, Z(z.re.like(1.0), z.re.like(0.0)), out)


def sign(z: Z) -> Z:
    """z / |z|, and 0 at 0."""
    high, low, f, _ = _scaled(z)
    size = fma(high, high, low * low).sqrt()
    zero = size.eq(0.0)
    size = where(zero, 1.0, size)
    return Z(z.re * f / size, z.im * f / size)


# --- inverse circular and hyperbolic functions -------------------------------------------


def _arc(x: Num, y: Num) -> tuple[Num, Num]:
    """For x, y >= 0: (root, l) with asin(x + iy) = atan2(x, root) + i l.

    T. E. Hull, T. F. Fairgrieve, P. T. P. Tang, "Implementing the complex arcsine and arccosine
    functions using exception handling", TOMS 23(3), 1997: a = (|z+1| + |z-1|)/2, root =
    sqrt(a^2 - x^2), l = log(a + sqrt(a^2 - 1)), the differences written as sums.
    """
    huge = (x > 2.0**500) | (y > 2.0**500)
    u, v = where(huge, 1.0, x), where(huge, 1.0, y)
    r, s = power.hypot(u + 1.0, v), power.hypot(u - 1.0, v)
    a = 0.5 * (r + s)
    inner = u <= 1.0
    left, t = r + (u + 1.0), s + abs(u - 1.0)
    zero = t.eq(0.0)
    q, over = v * (v / left), v * where(zero, 0.0, v / t)
    above = 0.5 * (q + where(inner, over, t))  # a - 1
    beside = 0.5 * (q + where(inner, t, over))  # a - x
    # The smaller difference is v^2 / 2 times this: v comes out of the root, or it would underflow.
    weight = 1.0 / left + where(zero, 0.0, 1.0 / t)
    flat = v * (0.5 * (a + where(inner, u.like(1.0), u)) * weight).sqrt()
    root = where(inner, ((a + u) * beside).sqrt(), flat)
    height = where(inner & (t > 2.0**-400), flat, (above * (a + 1.0)).sqrt())
    l = logarithm.log1p(above + height)
    return where(huge, y, root), where(huge, log_abs(Z(x, y)) + LN2, l)


def asin(z: Z) -> Z:
    root, l = _arc(abs(z.re), abs(z.im))
    # A real part of zero stays, also beside NaN.
    re = where(z.re.eq(0.0), z.re, inverse_trig.atan2(z.re, root))
    return Z(re, l.copysign(z.im))


def acos(z: Z) -> Z:
    root, l = _arc(abs(z.re), abs(z.im))
    re = where(z.re.eq(0.0), math.pi / 2, inverse_trig.atan2(root, z.re))
    return Z(re, -l.copysign(z.im))


def asinh(z: Z) -> Z:
    """-i asin(iz)."""
    w = asin(Z(z.im, z.re))
    return Z(w.im, w.re)


def acosh(z: Z) -> Z:
    """+-i acos z, with a real part that is not negative."""
    w = acos(z)
    return Z(abs(w.im), w.re.copysign(z.im))


def atanh(z: Z) -> Z:
    """log1p(4x / ((1 - x)^2 + y^2)) / 4 + i atan2(2y, (1 - x)(1 + x) - y^2) / 2 for x >= 0.

    W. Kahan, "Branch cuts for complex elementary functions", 1987.
    """
    x, y = abs(z.re), abs(z.im)
    huge = (x > 2.0**400) | (y > 2.0**400)
    h = power.hypot(1.0 - x, y)
    close = h < 2.0**-400
    square = fma(1.0 - x, 1.0 - x, y * y)
    re = where(
        close,
        0.5 * (LN2 - logarithm.log(h)),
        0.25 * logarithm.log1p(4.0 * x / where(close, 1.0, square)),
    )
    re = where(huge, where(h.eq(INF), 0.0, (x / h) / h), re)
    im = 0.5 * inverse_trig.atan2(y + y, fma(1.0 - x, 1.0 + x, -(y * y)))
    im = where(huge & ~y.isnan(), math.pi / 2, im)
    return Z(where(x.eq(0.0), x, re).copysign(z.re), im.copysign(z.im))


def atan(z: Z) -> Z:
    """-i atanh(iz)."""
    w = atanh(Z(z.im, z.re))
    return Z(w.im, w.re)


def atan2(y: Z, x: Z) -> Z:
    """-i log((x + iy) / sqrt(x² + y²)), the continuation of the real function."""
    squares = Z(
        (x.re * x.re - x.im * x.im) + (y.re * y.re - y.im * y.im),
        2.0 * (x.re * x.im + y.re * y.im),
    )
    out = log(divide(Z(x.re - y.im, x.im + y.re), sqrt(squares)))
    return Z(out.im, -out.re)


FUNCTIONS: dict[str, Callable[..., Z]] = {
    "exp": exp,
    "exp2": exp2,
    "expm1": expm1,
    "logistic": logistic,
    "log": log,
    "log1p": log1p,
    "sqrt": sqrt,
    "rsqrt": rsqrt,
    "pow": pow_,
    "sign": sign,
    "atan2": atan2,
    "sin": sin,
    "cos": cos,
    "tan": tan,
    "sinh": sinh,
    "cosh": cosh,
    "tanh": tanh,
    "asin": asin,
    "acos": acos,
    "atan": atan,
    "asinh": asinh,
    "acosh": acosh,
    "atanh": atanh,
}
IN_DOUBLE = frozenset(FUNCTIONS) - {"exp", "sqrt", "sin", "cos", "sinh", "cosh", "sign"}
