"""`covector.scipy.special` against SciPy and mpmath, and under transformations."""

import functools
import math
import subprocess
import sys

import ml_dtypes
import mpmath as mp
import numpy as onp
import pytest
import scipy.special as theirs

import covector as cv
import covector.numpy as np
from covector.scipy import special as ours
from tests.scipy.table_special import CASES, INF, NAN, ROWS

DTYPES = ["float64", "float32", "float16", "bfloat16"]


@pytest.fixture(autouse=True)
def quiet():
    with onp.errstate(all="ignore"):
        yield


def call(module, name):
    fun, row = CASES[name]
    if module is theirs:
        return row.wanted or getattr(theirs, fun)
    f = getattr(module, fun)
    return functools.partial(row.call, f) if row.call else f


def operands(name, dtype, shape=(3, 5)):
    rng = onp.random.default_rng(len(name))
    out = []
    for low, high in CASES[name][1].domains:
        whole = type(low) is int
        x = rng.integers(low, high + 1, shape) if whole else rng.uniform(low, high, shape)
        out.append(x.astype(dtype))
    return out


def leaves(out):
    return [onp.asarray(y) for y in (out if isinstance(out, tuple) else (out,))]


def wide(x):
    return x.astype("complex128" if x.dtype.kind == "c" else "float64")


def test_every_function_has_a_row():
    assert {*ROWS, "bernoulli"} == set(ours.__all__)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", CASES)
def test_values(name, dtype):
    xs = operands(name, dtype)
    with cv.enable_x64():
        got = leaves(call(ours, name)(*map(np.asarray, xs)))
    want = leaves(call(theirs, name)(*map(wide, xs)))
    info, row = ml_dtypes.finfo(dtype), CASES[name][1]
    tol = row.tol if dtype == "float64" else row.ulps * float(info.eps)
    least = float(info.smallest_subnormal)
    for g, w in zip(got, want, strict=True):
        assert g.dtype == dtype or g.dtype.kind == "c"
        assert g.shape == w.shape
        w = w if g.dtype.kind == "c" else wide(w.astype(dtype))
        # Of the Bessel functions of one number the largest counts.
        onp.testing.assert_allclose(wide(g), w, rtol=tol, atol=tol if g.ndim > 2 else least)


@pytest.mark.parametrize("name", CASES)
def test_one_program_or_many(name):
    """Compiled, batched, and on parts of the operands."""
    f, xs = call(ours, name), operands(name, "float32")
    whole = leaves(f(*xs))
    for got, want in zip(leaves(cv.jit(f)(*xs)), whole, strict=True):
        onp.testing.assert_array_equal(got, want)
    rows = [leaves(f(*(x[k] for x in xs))) for k in range(3)]
    for got, *parts in zip(leaves(cv.vmap(f)(*xs)), *rows, strict=True):
        onp.testing.assert_allclose(got, onp.stack(parts), rtol=3e-7)
    first = [leaves(f(xs[0][k], *(x[0] for x in xs[1:]))) for k in range(3)]
    mapped = cv.vmap(f, (0, *[None] * (len(xs) - 1)))(xs[0], *(x[0] for x in xs[1:]))
    for got, *parts in zip(leaves(mapped), *first, strict=True):
        onp.testing.assert_allclose(got, onp.stack(parts), rtol=3e-7)


@pytest.mark.parametrize("name", [n for n, (_, row) in CASES.items() if row.vary])
def test_derivatives(name):
    """First and second ones against differences, forwards against backwards."""
    f, xs = call(ours, name), operands(name, "float64")
    step = 1e-6

    def real(*args):
        parts = [np.stack([np.real(y), np.imag(y)]) if np.iscomplexobj(y) else y
                 for y in (lambda o: o if isinstance(o, tuple) else (o,))(f(*args))]  # fmt: skip
        return tuple(parts)

    for k in CASES[name][1].vary:

        def along(x, k=k):
            return real(*xs[:k], x, *xs[k + 1 :])

        def slope(x):
            return cv.jvp(along, (x,), (np.ones_like(x),))[1]

        with cv.enable_x64():
            for g in (along, slope):
                got = cv.jit(lambda x, g=g: cv.jvp(g, (x,), (np.ones_like(x),))[1])(xs[k])
                high, low = g(xs[k] + step), g(xs[k] - step)
                for d, u, v in zip(leaves(got), leaves(high), leaves(low), strict=True):
                    want = (u - v) / (2 * step)
                    size = max(1.0, float(onp.abs(u).max()))
                    onp.testing.assert_allclose(d, want, rtol=1e-6, atol=1e-8 * size)
            out, pull = cv.vjp(along, xs[k])
            cts = tuple(onp.cos(onp.arange(y.size)).reshape(y.shape) for y in leaves(out))
            (back,) = pull(cts)
            forward = sum(
                onp.sum(c * t) for c, t in zip(cts, leaves(slope(xs[k])), strict=True)
            )  # fmt: skip
            onp.testing.assert_allclose(onp.sum(back), forward, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("name", CASES)
def test_shapes(name):
    f, row = call(ours, name), CASES[name][1]
    for shape in ((0,), (2, 0), (1,), (1, 1), ()):
        xs = operands(name, "float32", shape)
        if name in ("softmax along an axis",) and not shape:
            continue
        try:
            want = leaves(call(theirs, name)(*map(wide, xs)))
        except (ValueError, IndexError):
            continue  # reductions of nothing, and SciPy's functions that want elements
        for g, w in zip(leaves(f(*xs)), want, strict=True):
            assert g.shape == w.shape
            onp.testing.assert_allclose(g, w, rtol=5e-7, atol=1e-6 if g.ndim > 2 else 0)
    if len(row.domains) > 1:
        xs = operands(name, "float32")
        xs = [x[:, :1] if k % 2 else x[0] for k, x in enumerate(xs)]
        for g, w in zip(leaves(f(*xs)), leaves(call(theirs, name)(*map(wide, xs))), strict=True):
            assert g.shape == w.shape == (3, 5)
            onp.testing.assert_allclose(g, w, rtol=5e-7)


@pytest.mark.parametrize("name", ROWS)
def test_dtypes(name):
    f = call(ours, name)
    n = len(ROWS[name].domains)
    ints = f(*[onp.array([3, 2], "int32")] * n)
    assert leaves(ints)[0].dtype in ("float32", "complex64")
    with cv.enable_x64():
        assert leaves(f(*[onp.array([3, 2], "int64")] * n))[0].dtype in ("float64", "complex128")
    scalar = f(*[2.0] * n)
    scalar = scalar[0] if isinstance(scalar, tuple) else scalar
    assert scalar.aval.weak_type or name in ("softmax", "log_softmax", "logsumexp")
    mixed = f(*[onp.float16(2)] * (n - 1), onp.array([2.0], "float32"))
    assert leaves(mixed)[0].dtype in ("float32", "complex64")


# Where SciPy has other values: no limits at infinity, no small powers, no tail of small sectors.
DIFFERENT = {
    "boxcox": {1e-30}, "boxcox1p": {1e-30}, "gammaln": {-INF}, "i0": {INF, -INF},
    "i1": {INF, -INF}, "owens_t": {1e-30}, "spence": {INF},
}  # fmt: skip
POINTS = [0.0, -0.0, 0.5, 1.0, -1.0, -0.5, 2.0, -2.0, -1.5, 1e-30, 30.0, -30.0, INF, -INF, NAN]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", [n for n, row in ROWS.items() if row.special])
def test_special_values(name, dtype):
    n = len(ROWS[name].domains)
    points = onp.array([p for p in POINTS if p not in DIFFERENT.get(name, ())], dtype)
    xs = [g.ravel() for g in onp.meshgrid(*[points] * n)]
    with cv.enable_x64():
        got = leaves(call(ours, name)(*xs))
    want = leaves(call(theirs, name)(*xs))
    for g, w in zip(got, want, strict=True):
        onp.testing.assert_allclose(g, w, rtol=1e-5 if dtype == "float32" else 1e-12)


def test_bernoulli():
    onp.testing.assert_array_equal(ours.bernoulli(0), [1.0])
    onp.testing.assert_array_equal(ours.bernoulli(1), [1.0, -0.5])
    with cv.enable_x64():
        got = onp.asarray(ours.bernoulli(300))
        for k in range(2, 301):
            want = mp.bernoulli(k)
            fits = abs(want) < 1.7e308
            assert got[k] == (float(want) if fits else math.copysign(INF, want)), k
    for bad, error in ((-1, ValueError), (1.5, TypeError), ("a", TypeError)):
        with pytest.raises(error, match="bernoulli"):
            ours.bernoulli(bad)


def test_whole_numbers_give_whole_numbers():
    n = onp.arange(13)
    want = [math.factorial(k) for k in n]
    onp.testing.assert_array_equal(ours.factorial(n[:11]), want[:11])
    with cv.enable_x64():
        onp.testing.assert_array_equal(ours.factorial(n), want)
        for k in range(40):
            want = [math.comb(40, k), math.comb(39 + k, k)]
            assert [float(ours.comb(40, k)), float(ours.comb(40, k, repetition=True))] == (
                pytest.approx(want, rel=1e-14 if want[1] > 2**40 else 0)
            )
        # Of others the sum n + 1 is not rounded.
        for n in (0.5, 1.75, 2.3, 127.13817524304564, 169.9):
            with mp.workdps(40):
                want = float(mp.gamma(mp.mpf(n) + 1))
            assert float(ours.factorial(n)) == pytest.approx(want, rel=3e-15)
    assert ours.comb(onp.array([0, 0]), onp.array([0, 1]), repetition=True).tolist() == [1.0, 0.0]
    assert ours.comb(onp.array([-3, 5]), onp.array([1, -1])).tolist() == [0.0, 0.0]
    for f, args in ((ours.factorial, (3,)), (ours.comb, (5, 2))):
        with pytest.raises(NotImplementedError, match="math.factorial"):
            ours.factorial(3, exact=True)
        assert cv.grad(lambda *a, f=f: f(*a))(*map(float, args)) > 0


def test_complex_numbers():
    rng = onp.random.default_rng(0)
    z = rng.uniform(-9, 9, 60) + 1j * rng.uniform(-9, 9, 60)
    for name, tol in (("loggamma", 2e-13), ("wofz", 1e-13), ("expit", 1e-13), ("logit", 1e-13)):
        f, g = getattr(ours, name), getattr(theirs, name)
        want = onp.log(z) - onp.log1p(-z) if name == "logit" else None
        want = 1 / (1 + onp.exp(-z)) if name == "expit" else want
        want = g(z) if want is None else want
        with cv.enable_x64():
            onp.testing.assert_allclose(f(z), want, rtol=tol)
            slope = cv.vmap(cv.grad(f, holomorphic=True))(z)
            step = 1e-6
            difference = (onp.asarray(f(z + step)) - onp.asarray(f(z - step))) / (2 * step)
            onp.testing.assert_allclose(slope, difference, rtol=1e-5, atol=1e-7)
        small = z.astype("complex64")
        assert f(small).dtype == "complex64"
    # On both sides of the cut, and at poles of the gamma function.
    for y in (0.0, -0.0):
        got = complex(ours.loggamma(onp.complex64(complex(-1.5, y))))
        assert got == pytest.approx(complex(theirs.loggamma(complex(-1.5, y))), rel=1e-6)
    x, y = onp.array([1.5, -2.0, 3.0]), onp.array([0.5, 1.0, 2.0 + 1j])
    onp.testing.assert_allclose(ours.xlogy(x, y), theirs.xlogy(x, y), rtol=1e-6)
    onp.testing.assert_allclose(ours.xlog1py(x, y), theirs.xlog1py(x, y), rtol=1e-6)


def test_faddeeva_everywhere():
    """Each part has its digits relative to the whole, far and near, on both half planes."""
    sizes = onp.array(
        [0.0, 1e-300, 1e-10, 0.1, 0.25, 0.26, 0.5, 1.3, 3.0, 6.2, 9.0, 30.0, 1e8, 1e200]
    )
    x, y = (a.ravel() for a in onp.meshgrid([*sizes, *-sizes], [*sizes, *-sizes[:9]]))
    with cv.enable_x64():
        got = onp.asarray(ours.wofz(x + 1j * y))
    want = theirs.wofz(x + 1j * y)
    finite = onp.isfinite(want)
    error = onp.abs(got - want)[finite] / onp.abs(want)[finite]
    assert error.max() < 1e-13
    assert onp.isinf(got[~finite]).all()


def test_series_that_end():
    with cv.enable_x64():
        for a, b, x in ((-2.0, -3.0, 3.0), (-4.0, 0.5, 20.0), (-1.0, 2.5, -7.0)):
            want = float(mp.hyp1f1(a, b, x))
            assert float(ours.hyp1f1(a, b, x)) == pytest.approx(want, rel=1e-13)
        for a, b, c, x in (
            (-3.0, 2.0, 1.5, 4.0), (2.0, -2.0, -3.0, 0.5), (1.0, 2.0, 4.0, 1.0),
            (1.0, 1.0, 2.0, 0.999999), (0.5, 0.5, 3.0, 0.99), (1.5, 2.5, 2.0, 0.97),
            (0.3, 0.7, 1.2, -1e6), (2.0, 1.0, 5.0, -1e3), (1.0, 3.0, 1.0, 0.9999),
        ):  # fmt: skip
            got, want = float(ours.hyp2f1(a, b, c, x)), float(mp.hyp2f1(a, b, c, x))
            assert got == pytest.approx(want, rel=1e-12), (a, b, c, x)
    assert float(ours.hyp2f1(1.0, 2.0, 3.0, 1.5)) == INF
    assert float(ours.hyp1f1(2.0, -3.0, 3.0)) == INF


def test_spherical_harmonics():
    n, m = (a.ravel() for a in onp.mgrid[0:9, -9:10])
    t, p = onp.array([0.0, 0.4, 1.5, math.pi])[:, None], 0.7
    with cv.enable_x64():
        got = ours.sph_harm_y(n, m, t, p)
        # SciPy's do not vanish for orders beyond the degree: they are not defined there.
        inside = onp.abs(m) <= n
        want = theirs.sph_harm_y(n, m, t, p)
        onp.testing.assert_allclose(got[:, inside], want[:, inside], atol=1e-14)
        assert not onp.asarray(got)[:, ~inside].any()
    with pytest.raises(NotImplementedError, match="diff_n"):
        ours.sph_harm_y(n, m, 0.5, 0.5, diff_n=1)
    with pytest.raises(TypeError, match="n must be of integers"):
        ours.sph_harm_y(1.0, 0, 0.5, 0.5)
    with pytest.raises(cv.errors.ConcretizationTypeError, match="n_max"):
        cv.jit(ours.sph_harm_y)(n, m, 0.5, 0.5)


def test_bessel_functions_of_all_sizes():
    z = onp.array([0.0, 1e-30, 0.5, 1.0, 7.0, 25.0, 60.0, 1000.0, 1e5])
    with cv.enable_x64():
        for v in (0, 1, 2, 30):
            got = ours.bessel_jn(onp.concatenate([z, -z]), v=v)
            want = onp.stack([theirs.jv(k, onp.concatenate([z, -z])) for k in range(v + 1)])
            onp.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-14)
    assert onp.isnan(ours.bessel_jn(NAN, v=2)).all()
    for bad in ({"v": -1}, {"v": 2, "n_iter": 0}):
        with pytest.raises(ValueError, match="must be at least"):
            ours.bessel_jn(1.0, **bad)
    with pytest.raises(TypeError, match="v must be an integer"):
        ours.bessel_jn(1.0, v=1.5)


BAD = {
    "multigammaln": (lambda: ours.multigammaln(3.0, 0), ValueError, "at least 1, got 0"),
    "multigammaln of a float": (lambda: ours.multigammaln(3.0, 1.5), TypeError, "float 1.5"),
    "log_ndtr": (lambda: ours.log_ndtr(1.0, 31), ValueError, "from 0 to 30, got 31"),
    "log_ndtr of a float": (lambda: ours.log_ndtr(1.0, 1.5), TypeError, "series_order"),
    "complex": (lambda: ours.gamma(1j), TypeError, "gamma takes real numbers"),
    "list": (lambda: ours.gamma([1.0]), TypeError, "gamma requires arrays"),
    "text": (lambda: ours.xlogy("a", 1.0), TypeError, "xlogy"),
    "shapes": (lambda: ours.xlogy(onp.ones(2), onp.ones(3)), TypeError, "xlogy"),
    "slope in n": (lambda: cv.grad(ours.polygamma)(2.0, 1.0), ValueError, "has no derivative"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_input(name):
    run, error, text = BAD[name]
    with pytest.raises(error, match=text):
        run()


def test_nothing_is_imported_before_it_is_used():
    code = (
        "import sys, covector, covector.numpy, covector.lax\n"
        "late = ['scipy', 'primitives.integrals', 'primitives.probability',\n"
        "        'primitives.hypergeometric', 'primitives.gamma_functions',\n"
        "        'primitives.parameters']\n"
        "assert not [m for m in late if 'covector.' + m in sys.modules]\n"
        "assert covector.scipy.special.gamma(5.0) == 24\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
