"""The scaled error function, Dawson's and Faddeeva's functions, the normal distribution,
logits and power transformations."""

from __future__ import annotations

import math
from math import inf, nan
from typing import Any

from covector.core import dtypes
from covector.core.operands import like
from covector.core.structural import convert_element_type
from covector.core.trace import Bind
from covector.primitives.arithmetic import abs, add, div, integer_pow, mul, neg, square, sub
from covector.primitives.common import FLOAT
from covector.primitives.compare import bitwise_and, eq, gt, le, lt
from covector.primitives.elementwise import binary, slopes, slopes_of_result, unary
from covector.primitives.exponential import exp, log, log1p
from covector.primitives.select import select
from covector.primitives.special import erf

_ROOT_PI = math.sqrt(math.pi)
_DENSITY = 1.0 / math.sqrt(2.0 * math.pi)
# From here on slopes come from asymptotic series: their terms cancel in the closed form.
_FAR = 20.0


def _far_slope(x: Any, sign: float) -> Any:
    """The sum over k > 0 of (2k - 1)!! (``sign`` / (2 x^2))^k, for |x| >= 20."""
    s = mul(like(0.5 * sign, x), integer_pow(x, y=-2))
    out = like(0.0, x)
    for k in range(12, 0, -1):
        # (2k - 1)!! is the product of 2k - 1 and the one before.
        out = mul(mul(like(float(2 * k - 1), x), s), add(out, like(1.0, x)))
    return out


def _erfcx_slope(g: Any, out: Any, x: Any) -> Any:
    far = gt(x, like(_FAR, x))
    near = sub(mul(mul(like(2.0, x), select(far, like(0.0, x), x)), out), like(2.0 / _ROOT_PI, x))
    tail = _far_slope(select(far, x, like(_FAR, x)), -1.0)
    return mul(g, select(far, mul(like(2.0 / _ROOT_PI, x), tail), near))


erfcx_p = unary(
    "erfcx",
    FLOAT,
    derivative=slopes_of_result(_erfcx_slope),
    cost=60,
    values=[((0.0,), 1.0), ((inf,), 0.0), ((-inf,), inf)],
)


def _dawsn_slope(g: Any, out: Any, x: Any) -> Any:
    far = gt(abs(x), like(_FAR, x))
    near = sub(like(1.0, x), mul(mul(like(2.0, x), select(far, like(0.0, x), x)), out))
    tail = neg(_far_slope(select(far, x, like(_FAR, x)), 1.0))
    return mul(g, select(far, tail, near))


dawsn_p = unary(
    "dawsn",
    FLOAT,
    derivative=slopes_of_result(_dawsn_slope),
    cost=120,
    values=[((0.0,), 0.0), ((inf,), 0.0)],
)


def normal_density(x: Any) -> Any:
    """exp(-x**2 / 2) / sqrt(2 pi)."""
    # Beyond 40 it is 0 in every dtype, and squares may overflow. Selected: NaN comes through.
    near = select(gt(abs(x), like(40.0, x)), like(40.0, x), x)
    return mul(like(_DENSITY, x), exp(mul(like(-0.5, x), square(near))))


ndtr_p = unary(
    "ndtr",
    FLOAT,
    derivative=slopes(lambda g, x: mul(g, normal_density(x))),
    cost=40,
    values=[((0.0,), 0.5), ((inf,), 1.0), ((-inf,), 0.0)],
)

# From here on leftwards the quotient of density and distribution function is a series, by Horner's
# rule: ndtr(x) is -density(x) (1 - 1 / x^2 + 3 / x^4 - …) / x.
_FAR_LEFT = -20.0
_MILLS = [(-1.0) ** k * math.prod(range(1, 2 * k + 2, 2)) for k in range(14)]


def _far_mills(x: Any) -> Any:
    """Density by distribution function for x < -20."""
    t = select(lt(x, like(_FAR_LEFT, x)), x, like(_FAR_LEFT, x))
    u = integer_pow(t, y=-2)
    tail = like(_MILLS[-1], x)
    for c in reversed(_MILLS[:-1]):
        tail = add(mul(u, tail), like(c, x))
    series = sub(like(1.0, x), mul(u, tail))
    # -t / series, as a sum of which all derivatives have limits.
    return neg(add(t, div(div(tail, t), series)))


def _mills(g: Any, x: Any) -> Any:
    """Density by distribution function, both scaled where they vanish."""
    low, far, zero = le(x, like(0.0, x)), lt(x, like(_FAR_LEFT, x)), like(0.0, x)
    scaled = erfcx(mul(select(far, zero, select(low, x, zero)), like(-math.sqrt(0.5), x)))
    left = select(far, _far_mills(x), div(like(math.sqrt(2.0 / math.pi), x), scaled))
    t = select(low, zero, x)
    return mul(g, select(low, left, div(normal_density(t), ndtr(t))))


log_ndtr_p = unary(
    "log_ndtr",
    FLOAT,
    derivative=slopes(_mills),
    cost=60,
    values=[((inf,), -0.0), ((-inf,), -inf)],
)

ndtri_p = unary(
    "ndtri",
    FLOAT,
    derivative=slopes_of_result(
        lambda g, out, x: mul(mul(like(1.0 / _DENSITY, x), g), exp(mul(like(0.5, x), square(out))))
    ),
    cost=80,
    values=[((0.5,), 0.0), ((0.0,), -inf), ((1.0,), inf), ((2.0,), nan)],
)


def _faddeeva_slope(x: Any, y: Any) -> tuple[Any, Any]:
    """Real and imaginary part of w' = -2 z w + 2i / sqrt(pi)."""
    u, v, two = wofz_re(x, y), wofz_im(x, y), like(2.0, x)
    real = mul(two, sub(mul(y, v), mul(x, u)))
    return real, sub(like(2.0 / _ROOT_PI, x), mul(two, add(mul(x, v), mul(y, u))))


wofz_re_p = binary(
    "wofz_re",
    FLOAT,
    derivative=slopes(
        lambda g, x, y: mul(g, _faddeeva_slope(x, y)[0]),
        lambda g, x, y: neg(mul(g, _faddeeva_slope(x, y)[1])),
    ),
    cost=400,
    values=[((0.0, 0.0), 1.0), ((inf, 1.0), 0.0)],
)

wofz_im_p = binary(
    "wofz_im",
    FLOAT,
    derivative=slopes(
        lambda g, x, y: mul(g, _faddeeva_slope(x, y)[1]),
        lambda g, x, y: mul(g, _faddeeva_slope(x, y)[0]),
    ),
    cost=400,
    values=[((0.0, 0.0), 0.0), ((inf, 1.0), 0.0)],
)


def _owens_by_h(g: Any, h: Any, a: Any) -> Any:
    inner = erf(mul(like(math.sqrt(0.5), h), mul(a, h)))
    return mul(g, mul(like(-0.5, h), mul(normal_density(h), inner)))


def _owens_by_a(g: Any, h: Any, a: Any) -> Any:
    s = add(like(1.0, h), square(a))
    return mul(g, div(exp(mul(like(-0.5, h), mul(square(h), s))), mul(like(2.0 * math.pi, h), s)))


owens_t_p = binary(
    "owens_t",
    FLOAT,
    ("h", "a"),
    derivative=slopes(_owens_by_h, _owens_by_a),
    cost=900,
    values=[((0.0, 1.0), 0.125), ((inf, 1.0), 0.0), ((1.0, 0.0), 0.0), ((0.0, inf), 0.25)],
)

logit_p = unary(
    "logit",
    FLOAT,
    derivative=slopes(lambda g, x: div(g, mul(x, sub(like(1.0, x), x)))),
    cost=40,
    values=[((0.5,), 0.0), ((0.0,), -inf), ((1.0,), inf), ((2.0,), nan)],
)


def _exponent(log: Any, power: Any) -> Any:
    """``power log``; 0 for the logarithm of 0 or infinity where ``power`` is 0."""
    zero = like(0.0, log)
    limit = bitwise_and(eq(power, zero), eq(abs(log), like(inf, log)))
    return mul(power, select(limit, zero, log))


def _by_power(log: Any, out: Any, power: Any) -> Any:
    """log^2 (u e^u - e^u + 1) / u^2 for u = power log: what the transformation grows by."""
    u = _exponent(log, power)
    near, zero, one = lt(abs(u), like(0.5, u)), like(0.0, u), like(1.0, u)
    series = zero
    for k in reversed(range(16)):
        term = like(1.0 / (math.factorial(k) * (k + 2)), u)
        series = add(mul(select(near, u, zero), series), term)
    far = div(sub(mul(log, exp(u)), out), select(near, one, power))
    return select(near, mul(square(log), series), far)


def _in_double(rule: Any) -> Any:
    """A slope whose terms cancel, computed with more digits than the operands have."""

    def slope(g: Any, *operands: Any) -> Any:
        wide = [convert_element_type(x, dtypes.float64) for x in operands]
        return mul(g, convert_element_type(rule(*wide), g.dtype))

    return slope


boxcox_p = binary(
    "boxcox",
    FLOAT,
    ("x", "power"),
    derivative=slopes(
        _in_double(lambda x, p: div(exp(_exponent(log(x), p)), x)),
        _in_double(lambda x, p: _by_power(log(x), boxcox(x, p), p)),
    ),
    cost=90,
    values=[((1.0, 2.0), 0.0), ((0.0, 0.5), -2.0), ((0.0, 0.0), -inf), ((-1.0, 2.0), nan)],
)

boxcox1p_p = binary(
    "boxcox1p",
    FLOAT,
    ("x", "power"),
    derivative=slopes(
        _in_double(lambda x, p: div(exp(_exponent(log1p(x), p)), add(like(1.0, x), x))),
        _in_double(lambda x, p: _by_power(log1p(x), boxcox1p(x, p), p)),
    ),
    cost=95,
    values=[((0.0, 2.0), 0.0), ((-1.0, 0.5), -2.0), ((-1.0, 0.0), -inf), ((-2.0, 2.0), nan)],
)


# --- constructors: what rules and functions bind ---------------------------------------------

erfcx: Bind = erfcx_p.bind
dawsn: Bind = dawsn_p.bind
ndtr: Bind = ndtr_p.bind
log_ndtr: Bind = log_ndtr_p.bind
ndtri: Bind = ndtri_p.bind
wofz_re: Bind = wofz_re_p.bind
wofz_im: Bind = wofz_im_p.bind
owens_t: Bind = owens_t_p.bind
logit: Bind = logit_p.bind
boxcox: Bind = boxcox_p.bind
boxcox1p: Bind = boxcox1p_p.bind
