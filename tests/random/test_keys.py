"""Keys: seeds, raw and typed keys, and errors of their use."""

import numpy as np
import pytest

from covector import random
from covector.core.config import enable_x64
from covector.transforms.jit import jit
from covector.transforms.vmap_api import vmap

_SEEDS = {
    0: (0, 0),
    42: (0, 42),
    -1: (0, 2**32 - 1),
    2**31: (0, 2**31),
    2**32 + 5: (0, 5),
    True: (0, 1),
    np.int64(2**40): (0, 0),
    np.uint32(7): (0, 7),
    np.int8(-3): (0, 2**32 - 3),
}
_WIDE_SEEDS = {-1: (2**32 - 1, 2**32 - 1), 2**32 + 5: (1, 5), -(2**63): (2**31, 0)}


@pytest.mark.parametrize("seed", _SEEDS, ids=str)
def test_seed(seed):
    expected = np.array(_SEEDS[seed], np.uint32)
    np.testing.assert_array_equal(random.key_data(random.key(seed)), expected)
    np.testing.assert_array_equal(random.PRNGKey(seed), expected)


@pytest.mark.parametrize("seed", _WIDE_SEEDS, ids=str)
def test_seed_with_64_bits(seed):
    with enable_x64():
        words = np.asarray(random.key_data(random.key(seed)))
    np.testing.assert_array_equal(words, np.array(_WIDE_SEEDS[seed], np.uint32))


def test_traced_seeds():
    words = vmap(lambda seed: random.key_data(random.key(seed)))(np.arange(-2, 2, dtype=np.int32))
    for seed, row in zip(range(-2, 2), np.asarray(words), strict=True):
        np.testing.assert_array_equal(row, random.key_data(random.key(seed)))


def test_types():
    key, raw = random.key(3), random.PRNGKey(3)
    assert key.shape == ()
    assert key.dtype == random.key_dtype()
    assert str(key.dtype) == "key<fry>"
    assert raw.shape == (2,)
    assert raw.dtype == np.uint32
    assert random.key_impl(key) == random.key_impl(raw) == "threefry2x32"
    assert random.key(3, impl="threefry2x32", dtype=key.dtype).dtype == key.dtype
    assert random.split(key, (2, 3)).shape == (2, 3)
    assert random.split(raw, (2, 3)).shape == (2, 3, 2)
    assert random.split(key, 0).shape == (0,)


def test_raw_and_typed_keys_agree():
    key, raw = random.key(3), random.PRNGKey(3)
    np.testing.assert_array_equal(random.key_data(random.split(key)), random.split(raw))
    np.testing.assert_array_equal(random.key_data(random.fold_in(key, 5)), random.fold_in(raw, 5))
    np.testing.assert_array_equal(random.uniform(key, (4,)), random.uniform(raw, (4,)))
    np.testing.assert_array_equal(
        random.uniform(key, (4,)), random.uniform(np.array([0, 3], np.uint32), (4,))
    )


def test_wrap_and_unwrap():
    words = np.arange(6, dtype=np.uint32).reshape(3, 2)
    keys = random.wrap_key_data(words)
    assert keys.shape == (3,)
    np.testing.assert_array_equal(random.key_data(keys), words)
    np.testing.assert_array_equal(random.key_data(words), words)
    copied = random.clone(keys)
    assert copied.dtype == keys.dtype
    np.testing.assert_array_equal(random.key_data(copied), words)


def test_fold_in_arrays():
    key = random.key(0)
    steps = np.array([0, 1, 2**31 - 1, -1], np.int32)
    words = np.asarray(vmap(lambda i: random.key_data(random.fold_in(key, i)))(steps))
    for step, row in zip(steps.astype(np.uint32).tolist(), words, strict=True):
        np.testing.assert_array_equal(row, random.key_data(random.fold_in(key, step)))


def test_keys_in_and_out_of_jit():
    @jit
    def advance(key):
        keys = random.split(key, 3)
        return keys, random.key(7)

    keys, constant = advance(random.key(0))
    np.testing.assert_array_equal(
        random.key_data(keys), random.key_data(random.split(random.key(0), 3))
    )
    np.testing.assert_array_equal(random.key_data(constant), random.key_data(random.key(7)))


_KEY = "PRNG key"
_BAD = {
    "number for a key": (lambda: random.uniform(0), TypeError, _KEY),
    "float for a key": (lambda: random.uniform(np.ones(2, np.float32)), TypeError, r"float32\[2\]"),
    "int32 key": (lambda: random.uniform(np.ones(2, np.int32)), TypeError, "uint32"),
    "key of three words": (lambda: random.uniform(np.ones(3, np.uint32)), TypeError, r"\[3\]"),
    "list for a key": (lambda: random.uniform([0, 1]), TypeError, "list|int32"),
    "keys for a key": (lambda: random.normal(random.split(random.key(0))), ValueError, "vmap"),
    "raw keys for a key": (
        lambda: random.normal(random.split(random.PRNGKey(0))), ValueError, "vmap",
    ),
    "float seed": (lambda: random.key(1.5), TypeError, "seed must be an integer"),
    "string seed": (lambda: random.key("a"), TypeError, "str 'a'"),
    "array of seeds": (lambda: random.key(np.arange(2)), TypeError, "vmap"),
    "huge seed": (lambda: random.key(2**63), OverflowError, "64 bits"),
    "unknown generator": (lambda: random.key(0, impl="rbg"), ValueError, "rbg"),
    "split into fewer than none": (lambda: random.split(random.key(0), -1), ValueError, "num"),
    "split into a fraction": (lambda: random.split(random.key(0), 1.5), TypeError, "num"),
    "fold in a fraction": (lambda: random.fold_in(random.key(0), 1.5), TypeError, "integer"),
    "fold in a negative number": (lambda: random.fold_in(random.key(0), -1), OverflowError, "-1"),
    "fold in an array": (lambda: random.fold_in(random.key(0), np.arange(2)), TypeError, "vmap"),
    "wrap three words": (
        lambda: random.wrap_key_data(np.ones(3, np.uint32)), TypeError, "last axis",
    ),
    "wrap signed words": (
        lambda: random.wrap_key_data(np.ones(2, np.int32)), TypeError, "uint32",
    ),
    "words of a number": (lambda: random.key_data(3), TypeError, "uint32"),
    "arithmetic on keys": (lambda: random.key(0) + random.key(1), TypeError, "key"),
}  # fmt: skip


@pytest.mark.parametrize("name", _BAD)
def test_bad_keys(name):
    call, error, message = _BAD[name]
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize("num", [[2], np.array(2), np.array([2]), np.int64(2), (np.uint8(2),)])
def test_split_takes_sizes_as_shapes_do(num):
    key = random.key(0)
    assert random.split(key, num).shape == (2,) == random.split(key, num=num).shape
