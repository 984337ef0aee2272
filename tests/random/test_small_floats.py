"""Draws of floats of at most eight bits: uniform ones of JAX's stream, the others rounded."""

import numpy as np
import pytest

import covector as cv
from covector import random
from covector.core.formats import FLOAT_FORMATS

NAMES = [dt.name for dt, f in FLOAT_FORMATS.items() if f.kind != "scale"]
BYTES = [name for name in NAMES if name.startswith("float8")]
KEY = random.key(11)
DRAWS = {
    "normal": lambda d: random.normal(KEY, (500,), d),
    "cauchy": lambda d: random.cauchy(KEY, (500,), dtype=d),
    "exponential": lambda d: random.exponential(KEY, (500,), d),
    "gamma": lambda d: random.gamma(KEY, 2.0, (500,), d),
    "gumbel": lambda d: random.gumbel(KEY, (500,), d),
    "laplace": lambda d: random.laplace(KEY, (500,), dtype=d),
    "truncated_normal": lambda d: random.truncated_normal(KEY, -1.0, 1.0, (500,), d),
    "ball": lambda d: random.ball(KEY, 3, shape=(50,), dtype=d),
    "dirichlet": lambda d: random.dirichlet(KEY, np.ones(3, "float32"), (50,), d),
}


def wide(x):
    return np.asarray(x).astype(np.float64)


@pytest.mark.parametrize("name", NAMES)
def test_uniform(name):
    """Every multiple of the last place of 1/2 in [0, 1), equally often."""
    bits = FLOAT_FORMATS[np.dtype(name)].mantissa
    x = random.uniform(KEY, (20_000,), name)
    assert x.dtype == np.dtype(name)
    values, counts = np.unique(wide(x), return_counts=True)
    np.testing.assert_array_equal(values, np.arange(2**bits) / 2**bits)
    assert (abs(counts * 2**bits / 20_000 - 1) < 0.15).all()
    other = wide(random.uniform(KEY, (2_000,), name, minval=-1.0, maxval=1.0))
    assert other.min() == -1.0
    assert other.max() < 1.0
    np.testing.assert_array_equal(wide(cv.jit(lambda k: random.uniform(k, (9,), name))(KEY)),
                                  wide(random.uniform(KEY, (9,), name)))  # fmt: skip
    normal = cv.jit(cv.vmap(lambda k: random.normal(k, (9,), name)))(random.split(KEY, 2))
    want = random.normal(random.split(KEY, 2)[1], (9,), name)
    np.testing.assert_array_equal(wide(normal[1]), wide(want))


@pytest.mark.peer
@pytest.mark.parametrize("name", BYTES)
def test_uniform_against_jax(name):
    import jax

    for bounds in ({}, {"minval": -2.0, "maxval": 3.0}):
        want = jax.random.uniform(jax.random.key(11), (1000,), dtype=name, **bounds)
        np.testing.assert_array_equal(
            wide(random.uniform(KEY, (1000,), name, **bounds)), wide(want)
        )


@pytest.mark.parametrize("draw", DRAWS)
@pytest.mark.parametrize("name", ["float8_e5m2", "float8_e4m3fn", "float4_e2m1fn"])
def test_others_are_rounded(name, draw):
    dt = np.dtype(name)
    got, exact = DRAWS[draw](name), np.asarray(DRAWS[draw]("float32"))
    assert got.dtype == dt
    if FLOAT_FORMATS[dt].kind != "ieee":
        most = float(np.arange(256, dtype=np.uint8).view(dt)[FLOAT_FORMATS[dt].largest])
        exact = np.clip(exact, -most, most)
    np.testing.assert_array_equal(wide(got), wide(exact.astype(dt)))


def test_powers_of_two_are_refused():
    for draw in (random.uniform, random.normal):
        with pytest.raises(ValueError, match="float8_e8m0fnu has powers of two alone"):
            draw(KEY, (2,), dtype="float8_e8m0fnu")
