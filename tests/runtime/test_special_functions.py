"""Values of elementary and special functions on XLA's compiler for CPUs, against mpmath."""

import mpmath as mp
import numpy as np
import pytest

import covector as cv
from covector.backends.pjrt.rules.special import NAMES
from covector.core.rules import ELEMENTWISE
from covector.primitives.parameters import PRIMITIVES as PARTIAL
from tests.backends import test_special
from tests.backends.elementwise import ulp_error

pytestmark = pytest.mark.platform
FORMATS = [np.float32, np.float64]


def run(name, *args):
    """The function ``name``, compiled by XLA."""
    prim = ELEMENTWISE["regularized_incomplete_beta" if name == "betainc" else name]
    with cv.enable_x64():
        return np.asarray(cv.jit(prim.bind, device=cv.devices("xla_cpu")[0])(*args))


def worst(name, exact, args, dtype):
    """The largest error in units of the last place, and where. XLA takes subnormals as zero."""
    args = [np.asarray(a, dtype) for a in args]
    found = (0.0,)
    with mp.workdps(40):
        for *point, got in zip(*args, run(name, *args), strict=True):
            want = exact(*[mp.mpf(float(v)) for v in point])
            if np.finfo(dtype).tiny <= abs(want) <= np.finfo(dtype).max:
                found = max(found, (ulp_error(got, want, dtype), *point, got))
    return found


def spread_out(low, high, n=40):
    """Points of both signs, in all sizes between the powers of ten."""
    rng = np.random.default_rng(0)
    return 10 ** rng.uniform(low, high, n) * rng.choice([-1, 1], n)


SIZES = spread_out(-8, 1.9)
INSIDE = np.random.default_rng(1).uniform(-1, 1, 40)
ELEMENTARY = {
    "exp": SIZES, "exp2": SIZES, "expm1": SIZES, "log": abs(SIZES),
    "log1p": np.concatenate([abs(SIZES), INSIDE]), "sin": 1e4 * SIZES, "cos": 1e4 * SIZES,
    "tan": 1e4 * SIZES, "asin": INSIDE, "acos": INSIDE, "atan": SIZES, "sinh": SIZES,
    "cosh": SIZES, "tanh": SIZES, "asinh": SIZES, "acosh": 1 + abs(SIZES), "atanh": INSIDE,
    "logistic": SIZES, "cbrt": SIZES, "sqrt": abs(SIZES), "rsqrt": abs(SIZES),
}  # fmt: skip
EXACT = {
    "exp2": lambda x: mp.power(2, x), "logistic": lambda x: 1 / (1 + mp.exp(-x)),
    "cbrt": lambda x: mp.sign(x) * mp.cbrt(abs(x)), "rsqrt": lambda x: 1 / mp.sqrt(x),
}  # fmt: skip


@pytest.mark.parametrize("dtype", FORMATS)
@pytest.mark.parametrize("name", ELEMENTARY)
def test_elementary_functions(name, dtype):
    exact = EXACT.get(name) or getattr(mp, name)
    error = worst(name, exact, [ELEMENTARY[name]], dtype)
    assert error[0] <= (4 if dtype == np.float32 else 2), error


def _faddeeva(x, y):
    z = mp.mpc(x, y)
    return mp.exp(-z * z) * mp.erfc(mp.mpc(0, -1) * z)


def _owens_t(h, a):
    return mp.quad(lambda x: mp.exp(-h * h * (1 + x * x) / 2) / (1 + x * x), [0, a]) / (2 * mp.pi)


A = np.array([0.1, 0.7, 1.0, 1.5, 2.25, 6.5, 12.0, 33.5])
B = np.array([3.0, 0.2, 2.0, 40.0, 0.625, 5.5, 7.0, 1.25])
NEGATIVE = np.array([-0.3, -0.9, -1.2, -1.7, -3.5, -6.7, -12.2, -33.7])
C = np.array([1.25, 0.9, 2.5, 3.75, 6.5, 2.0, 0.3, 1.7])
X = np.array([-3.5, -0.75, -0.2, 0.05, 0.45, 0.8, 0.95, 0.975])
# The exact value, the points, and the bound in f64 in units of the last place.
FURTHER = {
    "erf": (mp.erf, [spread_out(-8, 0.7)], 1),
    "erfc": (mp.erfc, [spread_out(-8, 1)], 1),
    "erf_inv": (mp.erfinv, [INSIDE], 3),
    "lgamma": (lambda x: mp.log(abs(mp.gamma(x))), [np.concatenate([abs(SIZES), NEGATIVE])], 4),
    "digamma": (mp.digamma, [np.concatenate([abs(SIZES), NEGATIVE])], 10),
    "zeta": (mp.zeta, [A + 1.5, B], 4),
    "beta": (mp.beta, [A, B], 4),
    "betaln": (lambda a, b: mp.log(mp.beta(a, b)), [A, B], 8),
    "poch": (mp.rf, [A, B], 4),
    "wofz_re": (lambda x, y: mp.re(_faddeeva(x, y)), [A, C], 8),
    "wofz_im": (lambda x, y: mp.im(_faddeeva(x, y)), [A, C], 8),
    "owens_t": (_owens_t, [C, A], 8),
    "hyp1f1": (mp.hyp1f1, [A, C, 4 * X], 8),
    "hyp2f1": (mp.hyp2f1, [A[:5], C[:5], C[:5] + 1.375, X[:5]], 8),
    "expn": (lambda n, x: mp.expint(n, x), [np.arange(8.0), A], 8),
    "cos_integral": (mp.ci, [A], 8),
    "logit": (lambda p: mp.log(p / (1 - p)), [abs(INSIDE)], 2),
    "boxcox": (lambda x, n: (mp.power(x, n) - 1) / n, [A, C], 8),
    "boxcox1p": (lambda x, n: (mp.power(1 + x, n) - 1) / n, [A, C], 8),
}
# The same in f32, where it is not 1.
SHORT = {"erf_inv": 3, "boxcox": 3, "boxcox1p": 3}


@pytest.mark.parametrize("dtype", FORMATS)
@pytest.mark.parametrize("name", FURTHER)
def test_special_functions(name, dtype):
    exact, points, bound = FURTHER[name]
    error = worst(name, exact, points, dtype)
    assert error[0] <= (bound if dtype == np.float64 else SHORT.get(name, 1)), error


@pytest.mark.parametrize("dtype", FORMATS)
@pytest.mark.parametrize("name", test_special.ONE)
def test_the_bounds_of_the_cpu_in_one_operand(name, dtype, monkeypatch):
    monkeypatch.setattr(test_special, "N", 30)
    with cv.default_device(cv.devices("xla_cpu")[0]):
        test_special.test_units_in_the_last_place(name, dtype)


@pytest.mark.parametrize("dtype", FORMATS)
@pytest.mark.parametrize("name", test_special.CASES)
def test_the_bounds_of_the_cpu(name, dtype, monkeypatch):
    monkeypatch.setattr(test_special, "N", 30)
    monkeypatch.setattr(test_special, "run", run)
    test_special.test_error(name, dtype)


@pytest.mark.parametrize("name", test_special.VALUES)
def test_values_at_the_ends(name, monkeypatch):
    monkeypatch.setattr(test_special, "run", run)
    test_special.test_special_values(name, np.float64)


@pytest.mark.parametrize("name", test_special.PAIRS)
def test_pairs_of_all_signs_and_sizes(name, monkeypatch):
    monkeypatch.setattr(test_special, "N", 30)
    monkeypatch.setattr(test_special, "run", run)
    test_special.test_pairs_of_all_signs_and_sizes(name, np.float64)


@pytest.mark.parametrize("dtype", FORMATS)
@pytest.mark.parametrize("name", PARTIAL)
def test_derivatives_by_parameters(name, dtype):
    """Those of the compiler for CPUs, which have been compared with exact ones."""
    prim = PARTIAL[name]
    n = prim.spec.arity
    rng = np.random.default_rng(n)
    args = [rng.uniform(*bounds, 30).astype(dtype) for bounds in prim.spec.domain]
    fun = lambda *xs: prim.bind(*xs, orders=(1,) * min(n, 2) + (0,) * (n - 2))  # noqa: E731
    with cv.enable_x64():
        got = np.asarray(cv.jit(fun, device=cv.devices("xla_cpu")[0])(*args))
        want = np.asarray(cv.jit(fun)(*args))
    np.testing.assert_allclose(got, want, rtol=3e-7 if dtype == np.float32 else 1e-12)


def test_elements_converge_one_by_one():
    """A value does not depend on its neighbours, nor on the shape."""
    a, x = (p[:12] for p in test_special._gamma_points(np.random.default_rng(1)))
    want = run("igamma", a, x)
    np.testing.assert_array_equal(
        run("igamma", a[::-1].reshape(3, 4), x[::-1].reshape(3, 4)).ravel()[::-1], want
    )
    np.testing.assert_array_equal(run("igamma", a[3], x[3]), want[3])
    assert run("igamma", a[:0], x[:0]).shape == (0,)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision(dtype):
    import ml_dtypes

    t = np.dtype(getattr(ml_dtypes, dtype, dtype))
    x = np.linspace(0.1, 5, 20).astype(t)
    for name in ("lgamma", "erfc"):
        wide = run(name, x.astype(np.float32))
        np.testing.assert_array_equal(run(name, x), wide.astype(t))


def test_every_function_has_a_test():
    tested = {*FURTHER, *test_special.ONE, *test_special.CASES, "regularized_incomplete_beta"}
    assert set(NAMES) <= tested
