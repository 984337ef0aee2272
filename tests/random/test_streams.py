"""The streams of random numbers are JAX's: recorded values, and JAX itself where installed."""

import json

import numpy as np
import pytest

from covector import random
from tests.random.cases import CLOSE, EXACT, GOLDEN, LINEAR, SEEDS, plain

_RECORDED = json.loads(GOLDEN.read_text())


def _assert_close(x, y, dtype):
    tolerance = {"float16": 2e-3, "bfloat16": 2e-2}.get(dtype, 3e-5)
    np.testing.assert_allclose(x, y, rtol=tolerance, atol=tolerance)


def _check_recorded(draw, name, seed, compare):
    dtype, shape, values = _RECORDED[f"{name}-{seed}"]
    x = draw(random, random.key(seed))
    assert str(x.dtype) == dtype
    assert list(x.shape) == shape
    x = plain(x)
    if x.dtype.kind == "c":
        x = np.stack([x.real, x.imag], -1)
    compare(x.ravel(), np.array(values, x.dtype), dtype)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", EXACT)
def test_recorded_exact(name, seed):
    _check_recorded(
        EXACT[name], name, seed, lambda x, y, dtype: np.testing.assert_array_equal(x, y)
    )


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", CLOSE)
def test_recorded_close(name, seed):
    _check_recorded(CLOSE[name], name, seed, _assert_close)


@pytest.mark.peer
@pytest.mark.parametrize("name", [*EXACT, *CLOSE, *LINEAR])
def test_against_jax(name):
    import jax

    draw = (EXACT | CLOSE | LINEAR)[name]
    for seed in (1, 2**31 + 5):
        x, y = draw(random, random.key(seed)), draw(jax.random, jax.random.key(seed))
        assert x.shape == y.shape
        assert str(x.dtype) == str(y.dtype)
        if name in EXACT:
            np.testing.assert_array_equal(plain(x), plain(y))
        else:
            _assert_close(plain(x), plain(y), str(x.dtype))


@pytest.mark.peer
@pytest.mark.parametrize("name", [*EXACT, *CLOSE])
def test_against_jax_with_64_bits(name):
    import jax

    from covector.core.config import enable_x64

    draw = (EXACT | CLOSE)[name]
    with jax.enable_x64(True):
        y = draw(jax.random, jax.random.key(3))
        expected, dtype = plain(y), str(y.dtype)
    with enable_x64():
        x = draw(random, random.key(3))
    assert str(x.dtype) == dtype
    if name in EXACT:
        np.testing.assert_array_equal(plain(x), expected)
    elif dtype == "float64":
        np.testing.assert_allclose(plain(x), expected, rtol=1e-10, atol=1e-11)
    else:
        _assert_close(plain(x), expected, dtype)


# --- the generator itself ----------------------------------------------------------------


def _threefry(key, counters):
    """Threefry-2x32, 20 rounds, of 64-bit counters, after the paper."""
    with np.errstate(over="ignore"):
        k = [np.uint32(key[0]), np.uint32(key[1])]
        k.append(k[0] ^ k[1] ^ np.uint32(0x1BD11BDA))
        x = (counters >> np.uint64(32)).astype(np.uint32) + k[0]
        y = counters.astype(np.uint32) + k[1]
        for i in range(5):
            for r in ((13, 15, 26, 6), (17, 29, 16, 24))[i % 2]:
                x = x + y
                y = ((y << np.uint32(r)) | (y >> np.uint32(32 - r))) ^ x
            x, y = x + k[(i + 1) % 3], y + k[(i + 2) % 3] + np.uint32(i + 1)
    return x, y


def test_bits_are_threefry_of_counters():
    key = random.wrap_key_data(np.array([123456789, 987654321], np.uint32))
    counters = np.arange(1000, dtype=np.uint64)
    x, y = _threefry((123456789, 987654321), counters)
    np.testing.assert_array_equal(random.bits(key, (10, 100)).__array__().ravel(), x ^ y)
    np.testing.assert_array_equal(
        random.bits(key, (1000,), np.uint8), ((x ^ y) & 0xFF).astype(np.uint8)
    )
    np.testing.assert_array_equal(random.key_data(random.split(key, 1000)), np.stack([x, y], -1))


def test_bits_of_64_bits():
    from covector.core.config import enable_x64

    x, y = _threefry((0, 9), np.arange(50, dtype=np.uint64))
    with enable_x64():
        bits = random.bits(random.key(9), (50,))
    expected = (x.astype(np.uint64) << np.uint64(32)) | y
    np.testing.assert_array_equal(bits, expected)


def test_counters_beyond_32_bits():
    from covector import lax
    from covector.transforms.jit import jit

    first, last = 2**32 - 4, 2**32 + 8

    @jit
    def tail(key):
        # Only the slice is computed.
        return lax.slice(random.bits(key, (last,), np.uint32), (first,), (last,))

    x, y = _threefry((0, 42), np.arange(first, last, dtype=np.uint64))
    np.testing.assert_array_equal(tail(random.key(42)), x ^ y)
