"""Random functions under jit, vmap and differentiation; arguments and their errors."""

import copy
import pickle

import numpy as np
import pytest

from covector import lax, random
from covector.core.config import disable_jit
from covector.transforms.grad import grad
from covector.transforms.jit import jit
from covector.transforms.make_jaxpr import make_jaxpr
from covector.transforms.vmap_api import vmap
from tests.random.cases import CLOSE, EXACT, plain

KEY = random.key(0)
# One test of the long program for gamma variates stands for all that use it.
_BY_GAMMA = {
    "loggamma", "beta", "dirichlet", "chisquare", "t", "f", "generalized_normal", "ball",
}  # fmt: skip
_ALL = {k: v for k, v in (EXACT | CLOSE).items() if k not in _BY_GAMMA}


def _total(x):
    return lax.reduce_sum(x, tuple(range(x.ndim)))


@pytest.mark.parametrize("name", _ALL)
def test_jit_equals_eager(name):
    draw = _ALL[name]
    x, y = draw(random, KEY), jit(lambda k: draw(random, k))(KEY)
    np.testing.assert_allclose(plain(x), plain(y), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", _ALL)
def test_vmap_equals_loop(name):
    draw = _ALL[name]
    keys = random.split(KEY, 3)
    batch = plain(vmap(lambda k: draw(random, k))(keys))
    for words, row in zip(np.asarray(random.key_data(keys)), batch, strict=True):
        one = plain(draw(random, random.wrap_key_data(words)))
        np.testing.assert_allclose(row, one, rtol=1e-6, atol=1e-6)


def test_vmap_over_parameters():
    p = np.linspace(0, 1, 4, dtype=np.float32)
    batch = vmap(lambda p: random.bernoulli(KEY, p, (5,)))(p)
    for q, row in zip(p, np.asarray(batch), strict=True):
        np.testing.assert_array_equal(row, random.bernoulli(KEY, q, (5,)))


def test_without_jit():
    with disable_jit():
        x = random.uniform(KEY, (3,))
        n = random.poisson(KEY, 3.0, (2,))
    np.testing.assert_array_equal(x, random.uniform(KEY, (3,)))
    np.testing.assert_array_equal(n, random.poisson(KEY, 3.0, (2,)))


def test_traced_in_place():
    text = str(make_jaxpr(lambda k: random.uniform(k, (3,)))(KEY))
    assert "threefry2x32" in text
    assert "jit" not in text


def test_gradient_of_uniform_bounds():
    def f(low, high):
        return _total(lax.square(random.uniform(KEY, (5,), minval=low, maxval=high)))

    u = np.asarray(random.uniform(KEY, (5,)), np.float64)
    x = 0.5 + 1.5 * u
    low, high = grad(f, argnums=(0, 1))(0.5, 2.0)
    np.testing.assert_allclose(low, (2 * x * (1 - u)).sum(), rtol=1e-5)
    np.testing.assert_allclose(high, (2 * x * u).sum(), rtol=1e-5)


def test_gradient_of_location_and_scale():
    z = np.asarray(random.normal(KEY, (5,)))

    def f(loc, scale):
        return _total(lax.add(lax.mul(random.normal(KEY, (5,)), scale), loc))

    loc, scale = grad(f, argnums=(0, 1))(0.5, 2.0)
    np.testing.assert_allclose(loc, 5.0)
    np.testing.assert_allclose(scale, z.sum(), rtol=1e-5)


@pytest.mark.parametrize("log_space", [False, True])
@pytest.mark.parametrize("alpha", [0.1, 0.5, 1.0, 3.0, 50.0, 900.0, 5000.0])
def test_gradient_of_gamma(alpha, log_space):
    # The derivative of the quantile function at the quantile of the sample.
    special = pytest.importorskip("scipy.special")
    keys = random.split(random.key(8), 20)
    draw = random.loggamma if log_space else random.gamma
    x = np.asarray(vmap(lambda k: draw(k, alpha))(keys), np.float64)
    slope = np.asarray(vmap(lambda k: grad(lambda a: draw(k, a))(alpha))(keys))
    x = np.exp(x) if log_space else x
    q = special.gammaincc(alpha, x)
    step = 1e-4 * alpha
    up, down = (special.gammainccinv(alpha + s, q) for s in (step, -step))
    expected = (np.log(up) - np.log(down) if log_space else up - down) / (2 * step)
    np.testing.assert_allclose(slope, expected, rtol=2e-3, atol=1e-5)


@pytest.mark.parametrize("n", [1, 63, 64, 65, 130])
def test_gamma_blocks(n):
    # However many are drawn together, each has the key of its own.
    x = np.asarray(random.gamma(KEY, 0.7, (n,)))
    np.testing.assert_allclose(x, np.asarray(random.gamma(KEY, 0.7, (200,)))[:n], rtol=1e-6)


def test_prefixes_agree():
    # An element does not depend on how many are drawn.
    x = np.asarray(random.normal(KEY, (10,)))
    np.testing.assert_array_equal(x, np.asarray(random.normal(KEY, (1000,)))[:10])


def test_shapes():
    for shape in (3, [3], np.array([3]), (np.int64(3),)):
        np.testing.assert_array_equal(random.uniform(KEY, shape), random.uniform(KEY, (3,)))
    assert random.randint(KEY, None, np.zeros(4, np.int32), 5).shape == (4,)
    assert random.gamma(KEY, np.ones((2, 3), np.float32)).shape == (2, 3)
    assert random.gamma(KEY, np.ones((0, 3), np.float32)).shape == (0, 3)
    assert random.dirichlet(KEY, np.ones((2, 3), np.float32), (5, 2)).shape == (5, 2, 3)
    assert random.poisson(KEY, 2.0, (0,)).shape == (0,)
    assert random.binomial(KEY, 5, 0.5, (0,)).shape == (0,)
    assert random.choice(KEY, 0, (0,)).shape == (0,)
    assert random.permutation(KEY, 0).shape == (0,)


def test_randint_whole_ranges():
    for dtype in (np.int8, np.uint8, np.int32, np.uint32):
        info = np.iinfo(dtype)
        x = np.asarray(random.randint(KEY, (1000,), int(info.min), int(info.max) + 1, dtype))
        assert x.dtype == dtype
        span = float(info.max) - float(info.min)
        assert x.max() > info.max - span / 50
        assert x.min() < info.min + span / 50
    x = np.asarray(random.randint(KEY, (1000,), 2**31 - 3, 2**31, np.int32))
    np.testing.assert_array_equal(np.unique(x), [2**31 - 3, 2**31 - 2, 2**31 - 1])


def test_bernoulli_extremes():
    assert not np.asarray(random.bernoulli(KEY, 0.0, (1000,))).any()
    assert np.asarray(random.bernoulli(KEY, 1.0, (1000,))).all()


def test_uniform_stays_in_bounds():
    x = np.asarray(random.uniform(KEY, (100_000,), np.float16))
    assert x.min() >= 0
    assert x.max() < 1
    low = np.float32(1e6)
    x = np.asarray(random.uniform(KEY, (1000,), minval=low, maxval=low + 1))
    assert x.min() >= low


_f32 = np.float32
_BAD = {
    "negative size": (lambda: random.uniform(KEY, (-1,)), ValueError, "negative size"),
    "float size": (lambda: random.normal(KEY, (1.5,)), TypeError, "integers"),
    "string shape": (lambda: random.normal(KEY, "ab"), TypeError, "shape"),
    "integer dtype": (lambda: random.uniform(KEY, (2,), int), ValueError, "uniform.*float"),
    "integer normal": (lambda: random.normal(KEY, (2,), int), ValueError, "normal.*complex"),
    "float randint": (lambda: random.randint(KEY, (2,), 0, 5, float), TypeError, "randint"),
    "signed bits": (lambda: random.bits(KEY, (2,), int), ValueError, "unsigned"),
    "minval shape": (
        lambda: random.uniform(KEY, (2,), minval=np.zeros(3, _f32)), ValueError, "minval of shape",
    ),
    "maxval shape": (
        lambda: random.randint(KEY, (2,), 0, np.zeros(3, np.int32)), ValueError, "maxval",
    ),
    "complex bound": (lambda: random.randint(KEY, (2,), 0, 1j), TypeError, "maxval"),
    "integer probability": (lambda: random.bernoulli(KEY, 1), TypeError, "probability"),
    "probability shape": (
        lambda: random.bernoulli(KEY, np.ones(3, _f32), (2,)), ValueError, "p of shape",
    ),
    "unknown mode": (lambda: random.bernoulli(KEY, 0.5, mode="x"), ValueError, "mode"),
    "unknown gumbel mode": (lambda: random.gumbel(KEY, mode="x"), ValueError, "mode"),
    "permutation of a float": (lambda: random.permutation(KEY, 2.0), TypeError, "integer"),
    "permutation axis": (
        lambda: random.permutation(KEY, np.ones((2, 3), _f32), 2), ValueError, "axis 2",
    ),
    "too many distinct draws": (
        lambda: random.choice(KEY, 3, (5,), replace=False), ValueError, "5 draws",
    ),
    "nothing to choose from": (lambda: random.choice(KEY, 0, (5,)), ValueError, "no elements"),
    "probabilities of choice": (
        lambda: random.choice(KEY, 3, p=np.ones(4, _f32)), ValueError, r"float32\[4\]",
    ),
    "integer logits": (lambda: random.categorical(KEY, np.arange(3)), ValueError, "floats"),
    "categorical shape": (
        lambda: random.categorical(KEY, np.ones((2, 3), _f32), shape=(5,)), ValueError, r"\(5,\)",
    ),
    "categorical draws": (
        lambda: random.categorical(KEY, np.ones(3, _f32), shape=(5,), replace=False),
        ValueError, "5 draws",
    ),
    "gamma shape": (lambda: random.gamma(KEY, np.ones(2, _f32), (3,)), ValueError, "a of shape"),
    "bounds that do not broadcast": (
        lambda: random.truncated_normal(KEY, np.ones(2, _f32), np.ones(3, _f32)),
        ValueError, "lower of shape",
    ),
    "dirichlet scalar": (lambda: random.dirichlet(KEY, 1.0), ValueError, "dimension"),
    "multinomial shape": (
        lambda: random.multinomial(KEY, 5, np.ones(3, _f32), shape=(2,)), ValueError, "categories",
    ),
    "covariance shape": (
        lambda: random.multivariate_normal(KEY, np.ones(2, _f32), np.ones((3, 3), _f32)),
        ValueError, r"\(3, 3\)",
    ),
    "covariance method": (
        lambda: random.multivariate_normal(KEY, np.ones(2, _f32), np.eye(2), method="lu"),
        ValueError, "lu",
    ),
    "sharding": (lambda: random.uniform(KEY, out_sharding="x"), TypeError, "out_sharding"),
}  # fmt: skip


@pytest.mark.parametrize("name", _BAD)
def test_bad_arguments(name):
    call, error, message = _BAD[name]
    with pytest.raises(error, match=message):
        call()


def test_errors_name_the_users_line():
    with pytest.raises(ValueError, match="test_transforms.py"):
        random.uniform(KEY, (-1,))


def test_traced_size():
    with pytest.raises(TypeError, match="static"):
        jit(lambda n: random.uniform(KEY, (n,)))(3)


def test_functions_are_pickled_by_name():
    assert pickle.loads(pickle.dumps(random.uniform)) is random.uniform
    assert copy.deepcopy(random.split) is random.split
