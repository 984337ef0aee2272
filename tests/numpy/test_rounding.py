"""Conversions to small floats round once, to nearest even: Python's fractions are the judge."""

import bisect
from fractions import Fraction

import numpy as np
import pytest

import covector as cv
import covector.numpy as cnp
from covector import lax
from covector.core import dtypes

NAMES = sorted(dt.name for dt in dtypes.ROUNDED if dt.name != "float8_e8m0fnu")


def positive(dt):
    """The finite numbers from zero up, whose position is their bits."""
    unsigned = np.dtype(f"u{dt.itemsize}")
    v = np.arange(1 << (dtypes.bits_of(dt) - 1), dtype=unsigned).view(dt).astype(np.float32)
    return v[np.isfinite(v)].astype(np.float64).tolist()


def nearest(x, numbers, beyond):
    """What number ``x``, a Python number, is rounded to; ``beyond`` the largest one's range."""
    size = Fraction(abs(x))
    at = bisect.bisect_right(numbers, size)
    if at == len(numbers):
        limit = Fraction(numbers[-1]) + (Fraction(numbers[-1]) - Fraction(numbers[-2])) / 2
        tie_is_in = len(numbers) % 2 == 1  # the last one is even
        inside = size < limit or (size == limit and tie_is_in)
        out = numbers[-1] if inside else beyond
    else:
        low, high = Fraction(numbers[at - 1]), Fraction(numbers[at])
        middle = (low + high) / 2
        up = size > middle or (size == middle and at % 2 == 0)
        out = numbers[at] if up else numbers[at - 1]
    return -out if x < 0 else out


def doubles(numbers):
    """At, between and just beside the numbers, where float32 is a tie and the double is not."""
    v, rng = np.array(numbers), np.random.default_rng(0)
    v = v[rng.integers(0, len(v) - 1, 400)] if len(v) > 400 else v[:-1]
    i = np.searchsorted(numbers, v)
    middle = (v + np.array(numbers)[i + 1]) / 2
    near = [middle * (1 + s * 2.0**-k) for s in (-1, 1) for k in (24, 25, 30, 40, 52)]
    beside = [np.nextafter(middle, end) for end in (0, np.inf)]
    top = numbers[-1] + (numbers[-1] - numbers[-2]) / 2
    edges = [top, np.nextafter(top, 0), np.nextafter(top, np.inf), top * (1 - 2.0**-30), 1e200]
    tiny = [5e-324, 1e-310, numbers[1] / 2, numbers[1] / 2 * (1 + 2.0**-40), 0.0]
    spread = 2.0 ** rng.uniform(-160, 160, 300)
    x = np.concatenate([v, middle, *near, *beside, edges, tiny, spread])
    return np.concatenate([x, -x])


def integers(dtype):
    """Whole numbers beside ties of bfloat16, and the limits."""
    info, rng = np.iinfo(dtype), np.random.default_rng(0)
    out = [info.max, info.min, 0, info.max - 1]
    for k in range(9, info.bits - 1):
        base = (1 << k) + rng.integers(0, 128) * (1 << (k - 7) if k > 7 else 1)
        middle = int(base) + (1 << (k - 8))
        out += [middle, middle + 1, middle - 1, middle + (1 << max(k - 26, 0)), int(base)]
    out = [x for x in out if x <= info.max]
    return np.array(out + [-x for x in out if info.min <= -x <= info.max], dtype)


def check(got, given, dt):
    numbers = positive(dt)
    with np.errstate(all="ignore"):
        beyond = float(np.float32([np.inf]).astype(dt)[0])  # not all have infinities
    want = np.array([nearest(x, numbers, beyond) for x in given.tolist()])
    got = np.asarray(got)
    assert got.dtype == dt
    np.testing.assert_array_equal(got.astype(np.float64), want)
    if not dt.name.endswith("fnuz"):
        real = ~np.isnan(want)
        signs = np.signbit(got.astype(np.float64)[real])
        np.testing.assert_array_equal(signs, np.signbit(given)[real] if given.dtype.kind == "f" else
                                      given[real] < 0)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_of_doubles(name):
    dt = np.dtype(name)
    given = doubles(positive(dt))
    with cv.enable_x64():
        x = cnp.asarray(given)
        for got in (
            x.astype(name), lax.convert_element_type(x, name), cv.jit(lambda x: x.astype(name))(x),
            cnp.asarray(given, name), cnp.asarray(given.tolist(), name),
            cv.jit(lambda x: (0 * x + x).astype(name))(x[::-1])[::-1],
        ):  # fmt: skip
            check(got, given, dt)
        part = given[:: len(given) // 16]
        check(np.stack([cnp.asarray(v, name) for v in part.tolist()]), part, dt)
        check(np.stack([cnp.full((), v, name) for v in part.tolist()]), part, dt)


@pytest.mark.parametrize("given", ["int32", "int64", "uint32", "uint64"])
@pytest.mark.parametrize("name", ["bfloat16", "float16", "float8_e5m2", "float8_e4m3fn"])
def test_of_integers(given, name):
    dt = np.dtype(name)
    given = integers(given)
    with cv.enable_x64():
        x = cnp.asarray(given)
        for got in (x.astype(name), cv.jit(lambda x: x.astype(name))(x), cnp.asarray(given, name),
                    x[:1].astype(name)):  # fmt: skip
            check(got, given[: len(got)], dt)


def test_of_numbers():
    """Python's numbers beside arrays are of the default type: in compiled programs as outside."""
    tie = 1 + 2.0**-8  # of bfloat16; its even neighbour is 1
    above, up = tie + 2.0**-40, 1 + 2.0**-7
    one = cnp.ones((), "bfloat16")
    for x64, want in ((False, 1.0), (True, up)):
        with cv.enable_x64(x64):
            for f in (lambda x: x * above, lambda x: cnp.where(x > 0, above, x),
                      lambda x: x.at[()].set(above), lambda x: cnp.maximum(x, above)):  # fmt: skip
                assert float(f(one)) == float(cv.jit(f)(one)) == want
            assert float(cv.jit(lambda x, y: x * y)(one, above)) == want
            assert float(cnp.asarray(above, "bfloat16")) == up
    whole, rounded = 2**62 + 2**54 + 1, 2.0**62 + 2.0**55
    assert (
        float(cnp.asarray(whole, "bfloat16")) == float(cnp.full((), whole, "bfloat16")) == rounded
    )
    assert float(cnp.asarray([whole, 2**70], "bfloat16")[0]) == rounded
    assert float(cnp.asarray(2**130, "bfloat16")) == np.inf


def test_mixed_results():
    """A product of a double and a small float is rounded once where it is stored as one."""
    with cv.enable_x64():
        x = cnp.asarray([1.0, -1.0]) * (1 + 2.0**-8) * (1 + 2.0**-40)
        with pytest.warns(FutureWarning, match="cannot hold it safely"):
            out = cnp.zeros(2, "bfloat16").at[:].add(x)
        check(out, np.asarray(x), np.dtype("bfloat16"))
        z = x + 1j
        got = cv.jit(lambda z: cnp.real(z).astype("bfloat16"))(z)
        check(got, np.asarray(x), np.dtype("bfloat16"))
