"""Every elementwise function at special points: values and derivatives to third order, in both
modes, against mpmath; what derivatives are where there are none."""

import functools
import math

import ml_dtypes
import mpmath as mp
import numpy as onp
import pytest

import covector as cv
import covector.numpy as np
from covector import lax, nn
from covector.core.rules import ELEMENTWISE
from covector.nn import _activations
from covector.primitives.parameters import PRIMITIVES as PARTIAL
from tests.jets import derivatives
from tests.special_points import BINARY, UNARY, around, few_points, points

ORDER = 3
BOUND = {"float64": 1e-12, "float32": 1e-5}
# Both signs of 0 are one number in mpmath.
SIGNED = ("lax.atan2", "np.copysign", "lax.reciprocal", "x**-3")
OSCILLATING = (
    "lax.sin", "lax.cos", "lax.tan", "np.sinc", "lax.lgamma", "lax.digamma", "special.gamma",
    "special.sici[0]", "special.sici[1]", "special.fresnel[0]", "special.fresnel[1]",
)  # fmt: skip
# Products and quotients of infinity and 0 or infinity, in JAX too.
UNDEFINED_FAR_OUT = ("nn.silu", "nn.soft_sign", "nn.mish", "nn.gelu", "nn.gelu exact")
# At NaN a slope that is a number: that of a line, or of a branch.
LINES = (
    "lax.neg", "nn.relu", "nn.relu6", "nn.hard_sigmoid", "nn.hard_silu", "nn.hard_tanh",
    "nn.sparse_sigmoid", "nn.leaky_relu", "np.degrees", "np.radians", "x**0", "x**1",
)  # fmt: skip


@pytest.fixture(autouse=True)
def precise():
    with cv.enable_x64(), mp.workdps(45), onp.errstate(all="ignore"):
        yield


def forward(f):
    return lambda t: cv.jvp(f, (t,), (np.ones_like(t),))[1]


def reverse(f):
    def slope(t):
        out, pull = cv.vjp(f, t)
        return pull(np.ones_like(out))[0]

    return slope


def all_orders(f, t):
    """The value and the derivatives of ``f``, each in forward and in reverse mode."""
    out = [(f(t),) * 2]
    g = h = f
    for _ in range(ORDER):
        g, h = forward(g), reverse(h)
        out.append((g(t), h(t)))
    return out


def computed(f, *args):
    return onp.array(cv.jit(functools.partial(all_orders, f))(*args), "float64")


def agrees(got, want, error, dtype):
    """Is ``got`` the number ``want``, but for rounding in terms as large as ``error``?"""
    info = onp.finfo(dtype)
    largest = float(info.max)
    if abs(want) > largest * (1 + 1e-6):
        return math.isinf(got) and (got > 0) == (want > 0)
    if abs(want) > largest * (1 - 1e-4):
        return not math.isnan(got)
    bound = BOUND[dtype] * max(abs(want), error) + 8 * float(info.tiny)
    return math.isfinite(got) and abs(mp.mpf(got) - want) <= bound


def same(a, b):
    return (math.isnan(a) and math.isnan(b)) or a == b or abs(a - b) <= 1e-6 * max(abs(a), 1)


def limits(jet, sign):
    """What the derivatives tend to at infinity, with the errors that they may have."""
    out = []
    near, far = (derivatives(jet, [sign * mp.mpf(10) ** k], [1], ORDER) for k in (15, 30))
    for (a, _), (b, _) in zip(near, far, strict=True):
        if abs(b) < 1e-10:
            out.append((mp.mpf(0), 0))
        elif abs(a - b) < 1e-10 * abs(b):
            out.append((b, abs(b)))
        else:
            out.append((mp.mpf(math.copysign(math.inf, b)), 0))
    return out


@functools.cache
def expected(name, x):
    row = UNARY[name]
    if math.isnan(x):
        return []
    if math.isinf(x):
        return [] if name in OSCILLATING else limits(row.jet, math.copysign(1, x))
    return [(w, max(e, row.terms)) for w, e in derivatives(row.jet, [mp.mpf(x)], [1], ORDER)]


@functools.cache
def expected_of_two(name, at, direction):
    return derivatives(BINARY[name].jet, [mp.mpf(v) for v in at], direction, ORDER)


@pytest.mark.parametrize("dtype", BOUND)
@pytest.mark.parametrize("name", UNARY)
def test_unary(name, dtype):
    row = UNARY[name]
    near = [p for x in row.more for p in around(x, dtype)]
    where = onp.concatenate([points(dtype), onp.array(near, dtype)])
    got = computed(row.fun, where)
    wrong = []
    for i, x in enumerate(where.tolist()):
        want = expected(name, x)
        if x == 0 and math.copysign(1, x) < 0 and name in SIGNED:
            continue
        far = abs(x) * 2 > float(onp.finfo(dtype).max) and name in UNDEFINED_FAR_OUT
        for k, (w, e) in enumerate(want):
            if k > row.orders and (mp.isinf(w) or e > float(onp.finfo(dtype).max) / 16):
                break
            for g in got[k, :, i]:
                if not agrees(g, w, e, dtype) and not (far and math.isnan(g)):
                    wrong.append((x, k, float(w), g))
        if math.isnan(x) or (math.isfinite(got[0, 0, i]) and not want[1:]):
            wrong += [(x, k, *got[k, :, i]) for k in range(ORDER + 1) if not same(*got[k, :, i])]
        if math.isnan(x) and name not in LINES and not math.isnan(got[1, 0, i]):
            wrong.append((x, 1, got[1, 0, i]))
    assert not wrong


# Where algorithms pass from one formula to another: fractions, powers of two, ends of tables.
BRANCHES = [
    0.25, 0.26, 0.3, 0.34657359, 0.375, 0.4, 0.41421356, 0.4375, 0.46875, 0.5, 0.55, 0.6, 0.625,
    0.65, 0.66666667, 0.6931471805599453, 0.7071067811865476, 0.75, 0.78539816, 0.84375, 0.9, 0.95,
    1.0, 1.0397, 1.1, 1.1875, 1.25, 1.4142135623730951, 1.5, 1.5707963267948966, 1.75, 2.0, 2.25,
    2.4375, 2.5, 2.857142857, 3.0, 3.141592653589793, 3.75, 4.0, 4.5, 5.0, 6.0, 7.0, 7.85398, 8.0,
    8.5, 9.0, 10.0, 12.0, 13.0, 15.0, 16.0, 17.0, 18.0, 20.0, 22.0, 25.0, 26.0, 27.0, 28.0, 30.0,
    32.0, 37.0, 40.0, 44.0, 64.0, 88.0, 100.0, 104.0, 128.0, 150.0, 256.0, 512.0, 700.0, 709.0,
    745.0, 1024.0, 1e4, 1e5,
    *(2.0**k for k in (20, 23, 24, 26, 31, 52, 53, 60)),
    *(2.0**-k for k in (3, 4, 5, 6, 7, 8, 9, 10, 12, 14, 20, 23, 24, 26, 27, 30, 52, 53, 54, 60)),
]  # fmt: skip
# Units in the last place, where more than 3 are lost.
LOST = {"lax.bessel_i1e": 8, "lax.digamma": 8, "special.i1": 8}
# The size of the terms that cancel near zeros: those of the reflection formula.
TERMS = {
    "lax.digamma": lambda x: 1.0,
    # Those of the logarithm and the cosine.
    "special.sici[1]": lambda x: 1.0,
    "lax.lgamma": lambda x: 1.0 + float(mp.loggamma(1 - x)) if x < 0 else 0.0,
}


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "bfloat16"])
@pytest.mark.parametrize("name", [n for n in UNARY if n.startswith(("lax.", "special."))])
def test_values_near_branch_points(name, dtype):
    t, info = onp.dtype(dtype), ml_dtypes.finfo(dtype)
    largest, eps, least = (float(v) for v in (info.max, info.eps, info.smallest_subnormal))
    where = [
        p for x in BRANCHES if x <= largest for s in (1, -1) for p in around(s * x, t)
    ]  # fmt: skip
    got = onp.asarray(cv.jit(UNARY[name].fun)(onp.array(where, t))).astype("float64")
    wrong = []
    for x, g in zip(where, got.tolist(), strict=True):
        found = derivatives(UNARY[name].jet, [mp.mpf(float(x))], [1], 0)
        if not found or abs(found[0][0]) > largest * (1 - 4 * eps):
            continue
        want, terms = found[0][0], TERMS.get(name, lambda x: 0.0)(float(x))
        unit = max(eps * max(abs(float(want)), terms), least)
        if not abs(mp.mpf(g) - want) <= LOST.get(name, 3) * unit:
            wrong.append((float(x), g, float(want), float((g - want) / unit)))
    assert not wrong


@pytest.mark.parametrize("dtype", BOUND)
@pytest.mark.parametrize("direction", [(1, 0), (0, 1), (1, -2)])
@pytest.mark.parametrize("name", BINARY)
def test_binary(name, direction, dtype):
    row = BINARY[name]
    x, y = (a.ravel() for a in onp.meshgrid(few_points(dtype), few_points(dtype)))
    if direction == (1, -2):
        # Other products of infinities have no limit.
        finite = onp.isfinite(x) & onp.isfinite(y)
        x, y = x[finite], y[finite]

    def along(t, x, y):
        a, b = (v + d * t if d else v for v, d in zip((x, y), direction, strict=True))
        return row.fun(a, b)

    got = cv.jit(lambda t, x, y: all_orders(lambda t: along(t, x, y), t))(
        onp.full(x.shape, -0.0, dtype), x, y
    )
    got = onp.array(got, "float64")
    wrong = []
    for i, at in enumerate(zip(x.tolist(), y.tolist(), strict=True)):
        finite = all(map(math.isfinite, at))
        if name in SIGNED and any(v == 0 and math.copysign(1, v) < 0 for v in at):
            continue
        want = expected_of_two(name, at, direction) if finite else []
        for k, (w, e) in enumerate(want):
            # Sums of what overflows with both signs are undefined.
            if direction == (1, -2) and e > float(onp.finfo(dtype).max) / 1e3:
                break
            if not all(agrees(g, w, e, dtype) for g in got[k, :, i]):
                wrong.append((at, k, float(w), *got[k, :, i]))
        if finite and math.isfinite(got[0, 0, i]) and not want[1:]:
            wrong += [(at, k, *got[k, :, i]) for k in range(ORDER + 1) if not same(*got[k, :, i])]
    assert not wrong


INF, NAN = math.inf, math.nan
# Where there is no derivative: the function, the operands, by which of them, of what order, and
# what comes in both modes. It is what JAX gives, except for rows of docs/differences.md.
CONVENTIONS = [
    (np.abs, (0.0,), 0, 1, 1.0),
    (np.abs, (-0.0,), 0, 1, 1.0),
    (np.maximum, (2.0, 2.0), 0, 1, 0.5),
    (np.minimum, (2.0, 2.0), 1, 1, 0.5),
    (np.maximum, (NAN, 2.0), 0, 1, 0.0),
    (np.fmax, (2.0, 2.0), 0, 1, 0.0),
    (np.fmax, (2.0, 2.0), 1, 1, 1.0),
    (np.fmin, (2.0, 2.0), 1, 1, 1.0),
    (np.fmax, (NAN, 2.0), 1, 1, 1.0),
    (np.fmin, (2.0, NAN), 0, 1, 1.0),
    (np.copysign, (0.0, 2.0), 0, 1, 1.0),
    (np.sign, (0.0,), 0, 1, 0.0),
    (np.sqrt, (0.0,), 0, 1, INF),
    (np.cbrt, (0.0,), 0, 1, INF),
    (np.power, (0.0, 0.0), 0, 1, 0.0),
    (np.power, (0.0, 0.0), 1, 1, 0.0),
    (np.power, (0.0, 2.0), 1, 1, 0.0),
    (np.power, (INF, 0.0), 0, 1, 0.0),
    (np.power, (-INF, 0.0), 0, 1, 0.0),
    (np.arctan2, (0.0, 0.0), 0, 1, NAN),
    (np.hypot, (0.0, 0.0), 0, 1, 0.5),
    (np.hypot, (0.0, 0.0), 1, 1, 0.5),
    (np.hypot, (0.0, 0.0), 1, 2, 0.0),
    (np.hypot, (INF, 1.0), 0, 1, 0.0),
    (np.logaddexp, (INF, INF), 0, 1, 0.0),
    (np.logaddexp, (-INF, -INF), 1, 1, 1.0),
    (np.logaddexp, (INF, 1.0), 1, 1, 0.0),
    (np.logaddexp, (NAN, 1.0), 1, 1, NAN),
    (np.i0, (0.0,), 0, 2, 0.5),
    (lax.bessel_i0e, (0.0,), 0, 1, 0.0),
    (lax.bessel_i1e, (0.0,), 0, 2, 0.0),
    (lambda x: np.linalg.norm(np.stack([x, x])), (0.0,), 0, 1, NAN),
    (lambda x: np.linalg.norm(np.stack([x, x]), ord=1), (0.0,), 0, 1, 2.0),
    (lambda x: np.clip(x, 0.0, 1.0), (0.0,), 0, 1, 0.5),
    (nn.relu, (0.0,), 0, 1, 0.0),
    (nn.relu6, (6.0,), 0, 1, 0.0),
    (nn.leaky_relu, (0.0,), 0, 1, 1.0),
    (nn.hard_tanh, (1.0,), 0, 1, 1.0),
    (nn.hard_tanh, (-1.0,), 0, 1, 1.0),
    (nn.hard_silu, (3.0,), 0, 1, 1.0),
    (nn.soft_sign, (0.0,), 0, 2, -2.0),
    (nn.gelu, (-INF,), 0, 1, NAN),
    (nn.relu, (NAN,), 0, 1, 1.0),
]


@pytest.mark.parametrize("case", CONVENTIONS, ids=lambda c: f"{c[0].__name__}{c[1]}")
def test_conventions(case):
    fun, at, argnum, order, want = case

    def along(x):
        return fun(*at[:argnum], x, *at[argnum + 1 :])

    f = g = along
    for _ in range(order):
        f, g = forward(f), reverse(g)
    got = [float(h(np.asarray(at[argnum]))) for h in (f, g)]
    onp.testing.assert_array_equal(got, [want] * 2)


def test_mixed_derivatives_of_powers():
    """By both operands, also where the exponent is 0 or the next derivative is."""
    for x, y in ((4.0, 0.0), (0.5, 0.0), (2.0, 1.0), (3.0, 2.0), (1.0, 0.0)):
        want = x ** (y - 1) * (1 + y * math.log(x))
        for first, second in ((0, 1), (1, 0)):
            got = float(cv.grad(cv.grad(lax.pow, first), second)(x, y))
            assert abs(got - want) <= 1e-14 * max(abs(want), 1)


def test_far_from_and_near_to_the_origin():
    """Squares that overflow or vanish do not count."""
    for k in (1e-200, 1e-160, 1e150, 1e200):
        x, y = 3 * k, 4 * k
        slopes = [float(cv.grad(np.hypot, i)(x, y)) for i in (0, 1)]
        onp.testing.assert_allclose(slopes, [0.6, 0.8], rtol=1e-15)
        slopes = [float(cv.grad(np.arctan2, i)(x, y)) * k for i in (0, 1)]
        onp.testing.assert_allclose(slopes, [0.16, -0.12], rtol=1e-15)


def test_higher_derivatives_of_sinc():
    f = np.sinc
    for k in range(1, 9):
        f = forward(f)
        want = 0 if k % 2 else (-1) ** (k // 2) * math.pi**k / (k + 1)
        assert abs(float(f(np.asarray(0.0))) - want) <= 1e-13 * max(abs(want), 1)


def test_densities_at_their_ends():
    """The derivatives of the incomplete functions where a factor of the density is 0 to the 0."""
    shape = np.array([1.0, 2.0, 3.0])
    at_zero = [cv.grad(lax.igamma, 1)]
    for _ in range(2):
        at_zero.append(cv.grad(at_zero[-1], 1))
    got = onp.array([[f(a, 0.0) for a in shape] for f in at_zero])
    onp.testing.assert_allclose(got, [[1, 0, 0], [-1, 1, 0], [1, -2, 1]], atol=1e-14)
    by_x = cv.grad(lax.betainc, 2)
    for a, b, x, want in ((1.0, 2.0, 0.0, 2.0), (2.0, 1.0, 1.0, 2.0), (2.0, 2.0, 0.0, 0.0)):
        assert abs(float(by_x(a, b, x)) - want) <= 1e-13
    assert float(cv.grad(by_x, 2)(2.0, 2.0, 0.0)) == pytest.approx(6.0, rel=1e-13)


# Rows of functions that are tested elsewhere: of complex numbers, of several parameters, and those
# whose value, not derivative, is special.
ELSEWHERE = {
    "add_any", "complex", "real", "imag", "conj", "sign", "select_n", "clamp", "reduce_precision",
    "integer_pow", "zeta", "polygamma", "igamma", "igammac", "igamma_grad_a",
    "random_gamma_grad", "regularized_incomplete_beta", "beta", "betaln", "poch", "wofz_re",
    "wofz_im", "owens_t", "expn", "sin_integral", "cos_integral", "fresnel_sin", "fresnel_cos",
    "hyp1f1", "hyp2f1", "riemann_zeta", "boxcox", "boxcox1p",
    *(f"{name}_partial" for name in PARTIAL),
}  # fmt: skip


def test_no_function_is_forgotten():
    tested = {name.split(".")[-1] for name in (*UNARY, *BINARY)}
    smooth = {
        name
        for name, p in ELEMENTWISE.items()
        if p.spec.smooth and p.spec.accepts in ("a float", "a float or complex", "numeric")
        and p.spec.result is None
    } - {"floor", "ceil", "round"}  # fmt: skip
    assert not smooth - tested - ELSEWHERE
    others = {"glu", "identity", "one_hot", "sigmoid", "swish", "hard_swish", "tanh"}
    activations = {n for n in dir(_activations) if hasattr(nn, n) and callable(getattr(nn, n))}
    assert not activations - tested - others


def test_complex_logaddexp():
    """The principal value, and its limits."""
    cases = [
        (1 - 7.85j, -50 + 0j), (-50 + 0j, 1 - 7.85j), (2 + 3j, 2 - 3j), (300 + 1j, 300 + 2j),
        (complex(-INF, 0), 1 + 2j),
    ]  # fmt: skip
    for x, y in cases:
        top = max(x.real, y.real)
        want = mp.log(mp.exp(mp.mpc(x - top)) + mp.exp(mp.mpc(y - top))) + top
        assert abs(complex(np.logaddexp(x, y)) - complex(want)) < 1e-13 * abs(want)
    assert complex(np.logaddexp(complex(-INF, 0), complex(-INF, 0))).real == -INF
    x, y = 2 + 0.5j, 2 - 0.25j
    slope = complex(cv.grad(np.logaddexp, holomorphic=True)(x, y))
    assert abs(slope - complex(1 / (1 + mp.exp(y - x)))) < 1e-14
    second = complex(cv.grad(cv.grad(np.logaddexp, holomorphic=True), holomorphic=True)(x, y))
    assert abs(second - slope * (1 - slope)) < 1e-14


def test_complex_extrema_and_signs():
    x = np.array([1 + 1j, 2 - 1j, 2 + 3j])
    for fun in (np.max, lambda x: lax.reduce(x, onp.complex128(-onp.inf), lax.max, (0,))):
        onp.testing.assert_array_equal(cv.grad(lambda x, f=fun: f(x).real)(x), [0, 0, 1])
    for fun, want in ((np.maximum, [1, 0.5, 0]), (np.minimum, [0, 0.5, 1])):
        out = cv.grad(lambda x, f=fun: f(x, 2 - 1j).real.sum())(x[::-1])
        onp.testing.assert_array_equal(out, want)
    for z in (0j, complex(-0.0, 0.0)):
        assert complex(cv.grad(lambda z: np.sign(z).real)(z)) == 0
        assert complex(cv.jvp(np.sign, (z,), (1 + 0j,))[1]) == 0
        assert complex(cv.grad(np.abs)(z)) == 0


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_parts_of_numbers_have_derivatives(dtype):
    x = np.array([3.0, -5.0, 0.1, 0.0, 1e-30, 2.0**100, INF], dtype)
    slope = cv.jvp(lambda x: np.frexp(x)[0], (x,), (np.ones_like(x),))[1]
    onp.testing.assert_array_equal(slope, 2.0 ** -onp.frexp(onp.asarray(x))[1].astype(float))
    smallest = onp.finfo(dtype).smallest_subnormal
    for v in (*x.tolist(), float(onp.finfo(dtype).max), float(3 * smallest), -0.0):
        got, want = np.frexp(np.asarray(v, dtype)), onp.frexp(onp.asarray(v, dtype))
        onp.testing.assert_array_equal(got, want)
        assert onp.signbit(got[0]) == onp.signbit(want[0])
    slope = cv.jvp(lambda x: np.modf(x)[0], (x[:3],), (np.ones(3, dtype),))[1]
    onp.testing.assert_array_equal(slope, [1, 1, 1])


def test_cumulative_logsumexp_of_equal_numbers():
    for fun in (lax.cumlogsumexp, np.logaddexp.accumulate):
        f = lambda t, fun=fun: fun(np.stack([t, 2 * t, t]))[1]  # noqa: E731
        got = [float(f(np.asarray(0.0)))]
        for _ in range(4):
            f = forward(f)
            got.append(float(f(np.asarray(0.0))))
        # of log(e^t + e^2t) = t + log(1 + e^t)
        onp.testing.assert_allclose(got, [math.log(2), 1.5, 0.25, 0, -0.125], atol=1e-14)
        slopes = cv.grad(lambda x, fun=fun: fun(x)[-1])(np.array([-INF, -INF, 1.0]))
        onp.testing.assert_array_equal(slopes, [0, 0, 1])
