"""Special points, and every elementwise function with what it is in mpmath.

`UNARY` and `BINARY` name a function of Covector and give the same function of jets (`tests.jets`),
from which come the value and the derivatives.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import mpmath as mp
import numpy as np

import covector.numpy as cnp
from covector import lax, nn
from covector.scipy import special
from tests.jets import Jet, chain, lift, reciprocal, size

INF, NAN = math.inf, math.nan


# --- points ------------------------------------------------------------------------------


def around(x: float, dtype: Any, ulps: int = 2) -> list[float]:
    """``x`` in ``dtype``, and the numbers within some units in the last place of it."""
    t = np.dtype(dtype).type
    up = down = t(x)
    out = [t(x)]
    for _ in range(ulps):
        up, down = np.nextafter(up, t(INF)), np.nextafter(down, t(-INF))
        out += [up, down]
    return out


def points(dtype: Any) -> Any:
    """Zeros, subnormal numbers, limits of the dtype, simple fractions and their neighbours."""
    info = np.finfo(dtype)
    tiny, huge, eps = float(info.tiny), float(info.max), float(info.eps)
    sizes = [
        0.0, float(info.smallest_subnormal), tiny, math.sqrt(tiny), eps**2, eps,
        1 / eps, math.sqrt(huge), math.sqrt(huge) * 8, math.log(huge), -math.log(tiny), huge, INF,
    ]  # fmt: skip
    shared = [
        1e-5, 0.01, 0.1, 0.3, math.log(2), 1.25, math.pi / 2, math.pi, 4.0, 7.0, 12.5, 20.0, 37.0,
        80.0, 100.0, 1000.0, 1e7,
    ]  # fmt: skip
    sizes += np.float32(shared).tolist()
    sizes += [float(p) for x in (0.5, 1.0, 1.5, 2.0, 3.0) for p in around(x, dtype, 1)]
    return np.array([*sizes, *(-x for x in sizes), NAN], dtype)


def few_points(dtype: Any) -> Any:
    """What pairs are made of."""
    eps = float(np.finfo(dtype).eps)
    sizes = [0.0, 1e-6, 0.5, 1.0, 1 + eps, 2.0, 3.0, 1e7, INF]
    return np.array([*sizes, *(-x for x in sizes), NAN], dtype)


# --- functions of jets -------------------------------------------------------------------


def _sign(x: Jet, kink: bool = True) -> int:
    if x.v[0] == 0 and (len(x.v) > 1 or not kink):
        raise ValueError("no derivative")
    return -1 if x.v[0] < 0 else 1


def _absolute(x: Jet) -> Jet:
    return x * _sign(x)


def _step(x: Jet, at: float, below: Callable[[Jet], Any], above: Callable[[Jet], Any]) -> Any:
    """``below`` for x < at, ``above`` for x > at; at the kink there is a value only."""
    if x.v[0] == at and len(x.v) > 1:
        raise ValueError("no derivative")
    return below(x) if x.v[0] < at else above(x)


exp: Callable[[Jet], Jet] = lift(mp.exp, lambda x: exp(x))
exp2 = lift(lambda x: mp.mpf(2) ** x, lambda x: exp2(x) * mp.log(2))
expm1 = lift(mp.expm1, lambda x: expm1(x) + 1)
log = lift(mp.log, reciprocal)
log1p = lift(mp.log1p, lambda x: 1 / (x + 1))
sin: Callable[[Jet], Jet] = lift(mp.sin, lambda x: cos(x))
cos = lift(mp.cos, lambda x: -sin(x))
tan = lift(mp.tan, lambda x: 1 + tan(x) * tan(x))
sqrt = lift(mp.sqrt, lambda x: 0.5 / sqrt(x))
asin = lift(mp.asin, lambda x: 1 / sqrt((1 - x) * (1 + x)))
acos = lift(mp.acos, lambda x: -1 / sqrt((1 - x) * (1 + x)))
atan = lift(mp.atan, lambda x: 1 / (1 + x * x))
sinh: Callable[[Jet], Jet] = lift(mp.sinh, lambda x: cosh(x))
cosh = lift(mp.cosh, lambda x: sinh(x))
tanh = lift(mp.tanh, lambda x: 1 - tanh(x) * tanh(x))
asinh = lift(mp.asinh, lambda x: 1 / sqrt(1 + x * x))
acosh = lift(mp.acosh, lambda x: 1 / sqrt((x - 1) * (x + 1)))
atanh = lift(mp.atanh, lambda x: 1 / ((1 - x) * (1 + x)))
rsqrt = lift(lambda x: 1 / mp.sqrt(x), lambda x: rsqrt(x) / x * -0.5)
cbrt = lift(lambda x: mp.sign(x) * mp.cbrt(abs(x)), lambda x: cbrt(x) / x / 3)
logistic = lift(lambda x: 1 / (1 + mp.exp(-x)), lambda x: logistic(x) * (1 - logistic(x)))
softplus = lift(lambda x: mp.log1p(mp.exp(x)), logistic)


def _gauss(x: Jet) -> Jet:
    # Beyond, the power has no exponent that a computer could hold.
    return exp(-(x * x)) * (2 / mp.sqrt(mp.pi)) if abs(x.v[0]) < 1e9 else x * 0


erf = lift(mp.erf, _gauss)
erfc = lift(lambda x: mp.erfc(max(min(x, mp.mpf(1e5)), mp.mpf(-1e5))), lambda x: -_gauss(x))
erf_inv = lift(mp.erfinv, lambda x: exp(erf_inv(x) * erf_inv(x)) * (mp.sqrt(mp.pi) / 2))


def _log_gamma(x: Any) -> Any:
    if x <= 0 and x == mp.floor(x):
        raise ValueError("a pole")
    return mp.loggamma(x).real


def _psi(k: int) -> Callable[[Any], Any]:
    return lambda x: mp.psi(k, x)


digamma = chain(*map(_psi, range(5)))
lgamma = chain(_log_gamma, *map(_psi, range(4)))


def polygamma(m: Jet, x: Jet) -> Jet:
    return chain(*(_psi(int(m.v[0]) + k) for k in range(5)))(x)


def zeta(s: Jet, q: Jet) -> Jet:
    value = lambda q, k: mp.rf(-s.v[0] - k + 1, k) * mp.zeta(s.v[0] + k, q)  # noqa: E731
    return chain(*(lambda q, k=k: value(q, k) for k in range(5)))(q)


@functools.cache
def _scaled_bessel(n: int, x: Any) -> Any:
    if abs(x) < 1e4:
        return mp.besseli(n, x) * mp.exp(-abs(x))
    # The asymptotic series.
    term, out, m = mp.mpf(1), mp.mpf(1), 4 * n * n
    for k in range(1, 30):
        term *= -(m - (2 * k - 1) ** 2) / (8 * abs(x) * k)
        out += term
    return out / mp.sqrt(2 * mp.pi * abs(x)) * (-1 if n % 2 and x < 0 else 1)


def _bessel(n: int) -> Callable[[Jet], Jet]:
    return lift(
        lambda x: _scaled_bessel(n, x),
        lambda x: (
            _smooth_bessel(n)(x) - (_bessel(n)(x) * _sign(x, False) if n != 1 or x.v[0] else 0)
        ),
    )


def _smooth_bessel(n: int) -> Callable[[Jet], Jet]:
    return lambda x: (_bessel(abs(n - 1))(x) + _bessel(n + 1)(x)) * 0.5


def sinc(x: Jet) -> Jet:
    at, n = x.v[0], len(x.v)
    if abs(at) > 0.5:
        return sin(x * mp.pi) / (x * mp.pi)

    def nth(k: int) -> Any:
        # The k-th derivative of the sum of (-1)**j * (pi * x)**(2j) / (2j + 1)!
        terms = range((k + 1) // 2, 40)
        return mp.fsum(
            (-1) ** j * mp.pi ** (2 * j) / mp.factorial(2 * j + 1) * mp.ff(2 * j, k)
            * (at ** (2 * j - k) if 2 * j > k else 1)
            for j in terms
        )  # fmt: skip

    v = [nth(k) / mp.factorial(k) for k in range(n)]
    return Jet(v, [size(c) for c in v])


def bessel_i0(x: Jet) -> Jet:
    def nth(n: int) -> Callable[[Jet], Jet]:
        slope = lambda x: (nth(abs(n - 1))(x) + nth(n + 1)(x)) * 0.5  # noqa: E731
        return lift(lambda x: _scaled_bessel(n, x) * mp.exp(min(abs(x), 10**6)), slope)

    return nth(0)(x)


def power(x: Jet, y: Jet) -> Jet:
    a, b, n = x.v[0], y.v[0], len(x.v)
    if not any(y.v[1:]):
        factors = [mp.ff(b, k) / mp.factorial(k) for k in range(n)]
        v = [f * a ** (b - k) if f else mp.mpf(0) for k, f in enumerate(factors)]
    elif not any(x.v[1:]):
        if n > 1 and a == b == 0:
            raise ValueError("no derivative")
        v = [a**b * mp.log(a) ** k / mp.factorial(k) if a else mp.mpf(0) ** b for k in range(n)]
    else:
        return exp(y * log(x))
    return Jet(v, [size(c) for c in v])


def integer_power(n: int) -> Callable[[Jet], Jet]:
    return lambda x: power(x, Jet([mp.mpf(n)] + [mp.mpf(0)] * (len(x.v) - 1)))


def hypot(x: Jet, y: Jet) -> Jet:
    return sqrt(x * x + y * y)


def logaddexp(x: Jet, y: Jet) -> Jet:
    x, y = (x, y) if x.v[0] >= y.v[0] else (y, x)
    return x + softplus(y - x)


def logaddexp2(x: Jet, y: Jet) -> Jet:
    return logaddexp(x * mp.log(2), y * mp.log(2)) / mp.log(2)


def atan2(y: Jet, x: Jet) -> Jet:
    v = mp.atan2(y.v[0], x.v[0])
    n = len(x.v)
    if n == 1:
        return Jet([v], [size(v)])
    a, b = y.cut(n - 1), x.cut(n - 1)
    d = (b * y.slope() - a * x.slope()) / (a * a + b * b)
    ks = range(1, n)
    return Jet([v, *(d.v[k - 1] / k for k in ks)], [size(v), *(d.e[k - 1] / k for k in ks)])


def _larger(x: Jet, y: Jet) -> Jet:
    if x.v[0] == y.v[0] and len(x.v) > 1:
        raise ValueError("no derivative")
    return x if x.v[0] >= y.v[0] else y


def _remainder(rounded: Callable[[Any], Any]) -> Callable[[Jet, Jet], Jet]:
    def fun(x: Jet, y: Jet) -> Jet:
        with mp.workdps(700):
            exact = x.v[0] / y.v[0]
            q = rounded(exact)
            if q == exact and len(x.v) > 1:
                raise ValueError("no derivative")
        v = [a - q * b for a, b in zip(x.v, y.v, strict=True)]
        return Jet(v, [size(a) for a in v])

    return fun


def _truncated(q: Any) -> Any:
    return mp.floor(q) if q >= 0 else mp.ceil(q)


def _gelu(x: Jet) -> Jet:
    return x * 0.5 * erfc(x * -mp.sqrt(mp.mpf(0.5)))


def _gelu_tanh(x: Jet) -> Jet:
    return x * 0.5 * (tanh((x + x * x * x * 0.044715) * mp.sqrt(2 / mp.pi)) + 1)


def _soft_sign(x: Jet) -> Jet:
    return x if len(x.v) <= 2 and not x.v[0] else x / (1 + _absolute(x))


def _log1mexp(x: Any) -> Any:
    return mp.log1p(-mp.exp(-x)) if x > 1 else mp.log(-mp.expm1(-x))


def _silu(x: Jet) -> Jet:
    return x * logistic(x)


def _elu(x: Jet, alpha: Any = 1.0) -> Any:
    smooth = alpha == 1.0 and len(x.v) <= 2 and x.v[0] == 0
    return x if smooth else _step(x, 0.0, lambda x: expm1(x) * alpha, lambda x: x)


def _relu6(x: Jet) -> Any:
    return _step(x, 6.0, lambda x: _step(x, 0.0, lambda x: x * 0, lambda x: x), lambda x: x * 0 + 6)


def _sparse_plus(x: Jet) -> Any:
    middle = lambda x: (x + 1) * (x + 1) * 0.25  # noqa: E731
    n = len(x.v)
    if abs(x.v[0]) == 1 and n == 2:
        return x * int(x.v[0] > 0)
    return _step(x, 1.0, lambda x: _step(x, -1.0, lambda x: x * 0, middle), lambda x: x)


def _sparse_sigmoid(x: Jet) -> Any:
    middle = lambda x: (x + 1) * 0.5  # noqa: E731
    inner = lambda x: _step(x, -1.0, lambda x: x * 0, middle)  # noqa: E731
    return _step(x, 1.0, inner, lambda x: x * 0 + 1)


def _hard_tanh(x: Jet) -> Any:
    inner = lambda x: _step(x, -1.0, lambda x: x * 0 - 1, lambda x: x)  # noqa: E731
    return _step(x, 1.0, inner, lambda x: x * 0 + 1)


def _gamma(x: Any) -> Any:
    if x <= 0 and x == mp.floor(x):
        raise ValueError("a pole")
    return mp.gamma(x)


gamma: Callable[[Jet], Jet] = lift(_gamma, lambda x: gamma(x) * digamma(x))


def _at_most(x: Any, bound: float) -> Any:
    """What mpmath can compute with, where the function has no other value in any dtype."""
    return max(min(x, mp.mpf(bound)), mp.mpf(-bound))


def _tail(x: Any, sign: int) -> Any:
    """The asymptotic series of 2x times Dawson's integral (``sign`` 1), sqrt(pi) x erfcx(x)."""
    return mp.fsum(sign**k * mp.fac2(2 * k - 1) / (2 * x * x) ** k for k in range(30))


def _erfcx(x: Any) -> Any:
    if x > 30:
        return _tail(x, -1) / (x * mp.sqrt(mp.pi))
    x = max(x, mp.mpf(-1e3))
    with mp.workdps(60):
        return mp.exp(x * x) * mp.erfc(x)


def _dawsn(x: Any) -> Any:
    if abs(x) > 30:
        return _tail(x, 1) / (2 * x)
    with mp.workdps(60):
        return mp.sqrt(mp.pi) / 2 * mp.exp(-x * x) * mp.erfi(x)


def _far_out(sign: int, scale: Any) -> Callable[[Jet], Jet]:
    """``scale`` times the asymptotic series over x, and its derivatives."""

    def nth(k: int) -> Callable[[Any], Any]:
        return lambda x: scale * mp.fsum(
            sign**j * mp.fac2(2 * j - 1) / mp.mpf(2) ** j
            * mp.ff(-2 * j - 1, k) * x ** (-2 * j - 1 - k)
            for j in range(20)
        )  # fmt: skip

    return chain(*map(nth, range(5)))


def _near_or_far(near: Callable[[Jet], Jet], far: Callable[[Jet], Jet], least: float) -> Any:
    return lambda x: far(x) if x.v[0] > 1e3 or x.v[0] < least else near(x)


_erfcx_near: Callable[[Jet], Jet] = lift(_erfcx, lambda x: x * 2 * erfcx(x) - 2 / mp.sqrt(mp.pi))
_dawsn_near: Callable[[Jet], Jet] = lift(_dawsn, lambda x: 1 - x * 2 * dawsn(x))
erfcx = _near_or_far(_erfcx_near, _far_out(-1, 1 / mp.sqrt(mp.pi)), -INF)
dawsn = _near_or_far(_dawsn_near, _far_out(1, mp.mpf(0.5)), -1e3)


def _density(x: Jet) -> Jet:
    return exp(-(x * x) * 0.5) / mp.sqrt(2 * mp.pi) if abs(x.v[0]) < 1e9 else x * 0


ndtr = lift(lambda x: mp.erfc(-_at_most(x, 1e5) / mp.sqrt(2)) / 2, _density)


def _ndtri(p: Any) -> Any:
    if not 0 < p < 1:
        raise ValueError("no number")
    if p > 0.1:
        return mp.sqrt(2) * mp.erfinv(2 * p - 1)
    y = mp.sqrt(-2 * mp.log(p))
    for _ in range(60):
        e = mp.erfc(y / mp.sqrt(2))
        y += mp.log(e / 2 / p) * e * mp.exp(y * y / 2) * mp.sqrt(mp.pi / 2)
    return -y


ndtri: Callable[[Jet], Jet] = lift(_ndtri, lambda p: 1 / _density(ndtri(p)))


def _log_ndtr(x: Any) -> Any:
    if x > 0:
        return mp.log1p(-mp.erfc(_at_most(x, 1e5) / mp.sqrt(2)) / 2)
    return mp.log(_erfcx(-x / mp.sqrt(2)) / 2) - x * x / 2


log_ndtr = lift(_log_ndtr, lambda x: mp.sqrt(2 / mp.pi) / erfcx(x * -mp.sqrt(mp.mpf(0.5))))


def _positive(fun: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def value(x: Any) -> Any:
        if x <= 0:
            raise ValueError("no number")
        return fun(x)

    return value


def _sine_quotient(k: int) -> Callable[[Any], Any]:
    """The k-th derivative of sin(x) / x."""
    return lambda x: mp.fsum(
        (-1) ** j * mp.ff(2 * j, k) / mp.factorial(2 * j + 1)
        * (x ** (2 * j - k) if 2 * j > k else 1)
        for j in range((k + 1) // 2, 40)
    )  # fmt: skip


_near_zero = chain(*map(_sine_quotient, range(5)))


def _sinc(x: Jet) -> Jet:
    return _near_zero(x) if abs(x.v[0]) < 1 else sin(x) / x


exp1 = lift(_positive(mp.e1), lambda x: -exp(-x) / x)


def _expi(x: Any) -> Any:
    if not x:
        raise ValueError("no number")
    return mp.ei(_at_most(x, 1e5))


expi = lift(_expi, lambda x: exp(x) / x)
sin_integral = lift(mp.si, _sinc)
cos_integral = lift(lambda x: _positive(mp.ci)(abs(x)), lambda x: cos(x) / x)
fresnel_sin = lift(mp.fresnels, lambda x: sin(x * x * (mp.pi / 2)))
fresnel_cos = lift(mp.fresnelc, lambda x: cos(x * x * (mp.pi / 2)))


def _log_over(x: Jet) -> Jet:
    """log(x) / (x - 1)."""
    if abs(x.v[0] - 1) > 0.5:
        return log(x) / (x - 1)
    at = x.v[0] - 1

    def nth(k: int) -> Any:
        return mp.fsum(
            (-1) ** j * mp.ff(j, k) * (at ** (j - k) if j > k else 1) / (j + 1)
            for j in range(k, 220)
        )

    v = [nth(k) / mp.factorial(k) for k in range(len(x.v))]
    return Jet(v, [size(c) for c in v])


def _spence(x: Any) -> Any:
    if x < 0:
        raise ValueError("no number")
    if x > 1e8:
        return -(mp.log(x) ** 2) / 2 - mp.pi**2 / 6 + mp.log(x) / x + 1 / x
    return mp.re(mp.polylog(2, 1 - x)) if x > 0 else mp.pi**2 / 6


spence = lift(_spence, lambda x: -_log_over(x))


def _i1(x: Jet) -> Jet:
    def nth(n: int) -> Callable[[Jet], Jet]:
        slope = lambda x: (nth(abs(n - 1))(x) + nth(n + 1)(x)) * 0.5  # noqa: E731
        return lift(lambda x: _scaled_bessel(n, x) * mp.exp(min(abs(x), 10**6)), slope)

    return nth(1)(x)


def _entr(x: Jet) -> Jet:
    if x.v[0] == 0:
        if len(x.v) > 1:
            raise ValueError("no derivative")
        return x * 0
    return -(x * log(x))


_SELU = (mp.mpf("1.0507009873554804934193349852946"), mp.mpf("1.6732632423543772848170429916717"))


class Row(NamedTuple):
    """A function of Covector, and of jets."""

    fun: Callable[..., Any]
    jet: Callable[..., Any]
    # Where else to look: internal branch points and zeros.
    more: tuple[float, ...] = ()
    # The size of the terms that cancel in every order, where the jet does not say.
    terms: float = 0.0
    # Up to which order the derivatives are defined where they overflow.
    orders: int = 3


def _of_lax(name: str, jet: Callable[..., Any], *more: float) -> tuple[str, Row]:
    return f"lax.{name}", Row(getattr(lax, name), jet, more)


def _of_numpy(name: str, jet: Callable[..., Any], *more: float) -> tuple[str, Row]:
    return f"np.{name}", Row(getattr(cnp, name), jet, more)


def _of_nn(name: str, jet: Callable[..., Any], *more: float) -> tuple[str, Row]:
    return f"nn.{name}", Row(getattr(nn, name), jet, more)


def _of_special(
    name: str, jet: Callable[..., Any], *more: float, part: int | None = None
) -> tuple[str, Row]:
    fun = getattr(special, name)
    if part is None:
        return f"special.{name}", Row(fun, jet, more)
    return f"special.{name}[{part}]", Row(lambda x: fun(x)[part], jet, more)


UNARY: dict[str, Row] = dict(
    [
        _of_lax("exp", exp),
        _of_lax("exp2", exp2),
        _of_lax("expm1", expm1),
        _of_lax("log", log),
        _of_lax("log1p", log1p),
        _of_lax("sin", sin),
        _of_lax("cos", cos),
        _of_lax("tan", tan),
        _of_lax("asin", asin),
        _of_lax("acos", acos),
        _of_lax("atan", atan),
        _of_lax("sinh", sinh),
        _of_lax("cosh", cosh),
        _of_lax("tanh", tanh),
        _of_lax("asinh", asinh),
        _of_lax("acosh", acosh),
        _of_lax("atanh", atanh),
        _of_lax("sqrt", sqrt),
        _of_lax("rsqrt", rsqrt),
        _of_lax("cbrt", cbrt),
        _of_lax("logistic", logistic),
        _of_lax("erf", erf),
        _of_lax("erfc", erfc),
        _of_lax("erf_inv", erf_inv),
        _of_lax("lgamma", lgamma, 2.5, 8.0),
        _of_lax("digamma", digamma, 1.4616321449683622, -0.504083008264455, 10.0),
        _of_lax("bessel_i0e", _bessel(0), 8.0),
        _of_lax("bessel_i1e", _bessel(1), 8.0),
        _of_lax("square", lambda x: x * x),
        _of_lax("neg", lambda x: -x),
        _of_lax("abs", _absolute),
        _of_lax("reciprocal", reciprocal),
        _of_numpy("log2", lambda x: log(x) / mp.log(2)),
        _of_numpy("log10", lambda x: log(x) / mp.log(10)),
        _of_numpy("sinc", sinc),
        _of_numpy("i0", bessel_i0, 8.0),
        _of_numpy("degrees", lambda x: x * (180 / mp.pi)),
        _of_numpy("radians", lambda x: x * (mp.pi / 180)),
        _of_nn("relu", lambda x: _step(x, 0.0, lambda x: x * 0, lambda x: x)),
        _of_nn("relu6", _relu6, 6.0),
        _of_nn("hard_sigmoid", lambda x: _relu6(x + 3) / 6),
        _of_nn("hard_silu", lambda x: x * _relu6(x + 3) / 6),
        _of_nn("silu", _silu),
        _of_nn("softplus", softplus),
        _of_nn("log_sigmoid", lambda x: -softplus(-x)),
        _of_nn("soft_sign", _soft_sign),
        _of_nn("sparse_plus", _sparse_plus),
        _of_nn("sparse_sigmoid", _sparse_sigmoid),
        _of_nn("hard_tanh", _hard_tanh),
        _of_nn("elu", _elu),
        _of_nn("celu", _elu),
        _of_nn("selu", lambda x: _elu(x, _SELU[1]) * _SELU[0]),
        _of_nn("leaky_relu", lambda x: _step(x, 0.0, lambda x: x * 0.01, lambda x: x)),
        _of_nn("gelu", _gelu_tanh),
        _of_nn("mish", lambda x: x * tanh(softplus(x))),
        _of_nn("squareplus", lambda x: (x + sqrt(x * x + 4)) * 0.5),
        _of_nn("log1mexp", lift(_log1mexp, lambda x: 1 / expm1(x))),
        _of_special("gamma", gamma, 2.5, 6.0, 170.5),
        _of_special("erfcx", erfcx, -0.5, 0.5, 20.0, 27.0),
        _of_special("dawsn", dawsn, 1.5, 5.0, 20.0),
        _of_special("ndtr", ndtr, -38.0),
        _of_special("ndtri", ndtri, 0.2, 0.8, 1e-30),
        _of_special("log_ndtr", log_ndtr, -30.0),
        _of_special("exp1", exp1, 8.0),
        _of_special("expi", expi, 0.3725074107813666, 8.0),
        _of_special("sici", sin_integral, 8.0, part=0),
        _of_special("sici", cos_integral, 0.6165054856207163, 8.0, part=1),
        _of_special("fresnel", fresnel_sin, 1.6, part=0),
        _of_special("fresnel", fresnel_cos, 1.6, part=1),
        _of_special("spence", spence, 0.6, 1.4),
        _of_special("i1", _i1, 8.0),
        _of_special("logit", lambda x: log(x / (1 - x)), 0.25, 0.75),
        _of_special("entr", _entr),
    ]
)
UNARY["lax.digamma"] = UNARY["lax.digamma"]._replace(terms=1.0)
UNARY["np.i0"] = UNARY["np.i0"]._replace(terms=1.0, orders=1)
UNARY["nn.gelu exact"] = Row(lambda x: nn.gelu(x, approximate=False), _gelu)
for _name in (
    "gamma", "exp1", "expi", "sici[1]", "fresnel[0]", "fresnel[1]", "i1", "logit", "entr", "spence",
):  # fmt: skip
    UNARY[f"special.{_name}"] = UNARY[f"special.{_name}"]._replace(orders=1)
for _n in (-3, -2, 0, 1, 2, 3, 5):
    UNARY[f"x**{_n}"] = Row(lambda x, n=_n: x**n, integer_power(_n))

BINARY: dict[str, Row] = dict(
    [
        _of_lax("add", lambda x, y: x + y),
        _of_lax("sub", lambda x, y: x - y),
        _of_lax("mul", lambda x, y: x * y),
        _of_lax("div", lambda x, y: x / y),
        _of_lax("pow", power),
        _of_lax("atan2", atan2),
        _of_lax("max", _larger),
        _of_lax("min", lambda x, y: -_larger(-x, -y)),
        _of_lax("rem", _remainder(_truncated)),
        _of_numpy("hypot", hypot),
        _of_numpy("logaddexp", logaddexp),
        _of_numpy("logaddexp2", logaddexp2),
        _of_numpy("fmax", _larger),
        _of_numpy("fmin", lambda x, y: -_larger(-x, -y)),
        _of_numpy("remainder", _remainder(mp.floor)),
        _of_numpy("copysign", lambda x, y: _absolute(x) * _sign(y)),
    ]
)
