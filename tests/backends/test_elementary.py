"""Errors of the elementary functions against mpmath, special values, and equality of lanes."""

from __future__ import annotations

import math
import zlib

import mpmath as mp
import numpy as np
import pytest

from tests.backends.elementwise import as_mp, run, ulp_error

F32, F64 = np.float32, np.float64
INF, NAN = math.inf, math.nan
BOTH = pytest.mark.parametrize("dtype", [F32, F64], ids=["f32", "f64"])

# Reference, and the interval that is sampled most densely (f32, f64).
UNARY = {
    "exp": (mp.exp, (-104, 89), (-745, 710)),
    "exp2": (lambda x: mp.mpf(2) ** x, (-150, 128), (-1075, 1024)),
    "expm1": (mp.expm1, (-20, 89), (-40, 710)),
    "log": (mp.log, (0, 3), (0, 3)),
    "log1p": (mp.log1p, (-1, 3), (-1, 3)),
    "logistic": (lambda x: 1 / (1 + mp.exp(-x)), (-103, 40), (-745, 60)),
    "sinh": (mp.sinh, (-89.5, 89.5), (-711, 711)),
    "cosh": (mp.cosh, (-89.5, 89.5), (-711, 711)),
    "tanh": (mp.tanh, (-10, 10), (-22, 22)),
    "asinh": (mp.asinh, (-4, 4), (-4, 4)),
    "acosh": (mp.acosh, (1, 6), (1, 6)),
    "atanh": (mp.atanh, (-1, 1), (-1, 1)),
    "sin": (mp.sin, (-100, 100), (-100, 100)),
    "cos": (mp.cos, (-100, 100), (-100, 100)),
    "tan": (mp.tan, (-100, 100), (-100, 100)),
    "asin": (mp.asin, (-1, 1), (-1, 1)),
    "acos": (mp.acos, (-1, 1), (-1, 1)),
    "atan": (mp.atan, (-5, 5), (-5, 5)),
    "cbrt": (lambda x: mp.sign(x) * mp.cbrt(abs(x)), (-10, 10), (-10, 10)),
    "erf": (mp.erf, (-4, 4), (-6, 6)),
    "erfc": (mp.erfc, (-4, 10.1), (-6, 27)),
    "erf_inv": (mp.erfinv, (-1, 1), (-1, 1)),
    "lgamma": (lambda x: mp.log(abs(mp.gamma(x))), (-10, 30), (-10, 30)),
    "digamma": (mp.digamma, (-10, 30), (-10, 30)),
}
BINARY = {
    "pow": lambda x, y: mp.power(x, y),
    "atan2": mp.atan2,
    "hypot": lambda x, y: mp.sqrt(x * x + y * y),
}
# lgamma and digamma: in units of eps * max(1, |value|).
BOUND = {"erf_inv": 5.0, "lgamma": 12.0, "digamma": 10.0}


def _rng(name: str) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32(name.encode()))


def _any_floats(rng: np.random.Generator, n: int, dtype: type) -> np.ndarray:
    if dtype is F32:
        return rng.integers(0, 1 << 32, n, dtype=np.uint64).astype(np.uint32).view(F32)
    return rng.integers(0, 1 << 64, n, dtype=np.uint64).view(F64)


def _points(name: str, dtype: type, n: int) -> np.ndarray:
    rng = _rng(name)
    low, high = UNARY[name][1 if dtype is F32 else 2]
    quadrants = np.arange(-40, 40) * (math.pi / 2)
    parts = [
        rng.uniform(low, high, n),
        rng.uniform(-1.5, 1.5, n // 2),
        rng.uniform(-1, 1, n // 4) ** 9,
        1 + rng.uniform(-1, 1, n // 4) ** 9,
        2 + rng.uniform(-1, 1, n // 8) ** 9,
        quadrants,
        np.nextafter(quadrants.astype(dtype), dtype(100)),
        rng.integers(1, 1 << 20, n // 8) * (math.pi / 2),
        _any_floats(rng, n // 2, dtype),
    ]
    with np.errstate(over="ignore", invalid="ignore"):
        x = np.concatenate([p.astype(dtype) for p in parts])
    return x[np.isfinite(x)]


def _in_domain(name: str, x: np.ndarray) -> np.ndarray:
    match name:
        case "log":
            return x[x > 0]
        case "log1p":
            return x[x > -1]
        case "acosh":
            return x[x >= 1]
        case "asin" | "acos":
            return x[abs(x) <= 1]
        case "atanh" | "erf_inv":
            return x[abs(x) < 1]
        case "exp" | "exp2" | "expm1" | "sinh" | "cosh" | "logistic" | "erfc":
            return x[abs(x) < 1200]
        case "lgamma" | "digamma":
            return x[((x > 0) | (x != np.floor(x))) & (abs(x) < 1e6) & (abs(x) > 1e-36)]
    return x


@BOTH
@pytest.mark.parametrize("name", UNARY)
def test_error_of_unary(name: str, dtype: type) -> None:
    x = _in_domain(name, _points(name, dtype, 60 if name == "erf_inv" else 200))
    got = run(name, x)
    assert got.dtype == dtype
    relative = name in ("lgamma", "digamma")
    worst, at = 0.0, None
    with mp.workdps(60):
        for u, v in zip(x, got, strict=True):
            want = UNARY[name][0](as_mp(u))
            if relative:
                scale = max(1, abs(want)) * as_mp(np.finfo(dtype).eps)
                error = float(abs(as_mp(v) - want) / scale)
            else:
                error = ulp_error(v, want, dtype)
            if error > worst:
                worst, at = error, (u, v, float(want))
    assert worst <= BOUND.get(name, 2.0), f"{worst} ulp: (x, got, want) = {at}"


@BOTH
@pytest.mark.parametrize("name", BINARY)
def test_error_of_binary(name: str, dtype: type) -> None:
    rng, n = _rng(name), 300
    if name == "pow":
        x = np.exp(rng.uniform(-5, 5, n))
        y = rng.uniform(-1, 1, n) * (80 if dtype is F32 else 700) / np.abs(np.log(x))
        x = np.concatenate([x, np.exp(rng.uniform(-80, 80, n)), -np.exp(rng.uniform(-2, 2, n))])
        y = np.concatenate([y, rng.uniform(-1, 1, n), rng.integers(-20, 20, n)])
    else:
        scale = 10.0 ** rng.uniform(-44, 38, n)
        x = np.concatenate([rng.normal(size=n), rng.normal(size=n), rng.normal(size=n) * scale])
        y = np.concatenate([rng.normal(size=n), 10.0 ** rng.uniform(-20, 20, n),
                            rng.normal(size=n) * scale])  # fmt: skip
    with np.errstate(over="ignore"):
        x, y = x.astype(dtype), y.astype(dtype)
    ok = np.isfinite(x) & np.isfinite(y) & (x != 0) & (y != 0)
    x, y = x[ok], y[ok]
    got = run(name, x, y)
    with mp.workdps(60):
        errors = [
            ulp_error(g, BINARY[name](as_mp(u), as_mp(v)).real, dtype)
            for u, v, g in zip(x, y, got, strict=True)
        ]
    k = int(np.argmax(errors))
    assert errors[k] <= 2.0, f"{errors[k]} ulp at {x[k]!r}, {y[k]!r}: {got[k]!r}"


@pytest.mark.parametrize("name", sorted(set(UNARY) - {"lgamma", "digamma"}))
def test_f32_everywhere(name: str) -> None:
    """f32 against f64, on floats spread over all there are: every binade, both signs."""
    step = 1 << 12
    bits = np.arange(_rng(name).integers(step), 1 << 32, step, dtype=np.uint64)
    x = bits.astype(np.uint32).view(F32)
    with np.errstate(all="ignore"):
        x = np.concatenate([x, _rng(name).uniform(*UNARY[name][1], 1 << 17).astype(F32)])
        got, wide = run(name, x), run(name, x.astype(F64))
        want = wide.astype(F32)
        exponent = np.maximum(np.frexp(wide)[1] - 1, -126)
        errors = np.abs(got.astype(F64) - wide) / np.ldexp(1.0, exponent - 23)
        both = np.isnan(got) & np.isnan(want)
        # The largest float and infinity are neighbours.
        edge = np.isinf(got) != np.isinf(want)
        top = np.abs(wide) >= 3.4028230e38
    errors = np.where(both | (got == want) | (edge & top), 0.0, errors)
    k = int(np.argmax(np.where(np.isnan(errors), INF, errors)))
    assert errors[k] <= BOUND.get(name, 2.0), (x[k], got[k], wide[k])
    zero = (want == 0) & (got == 0)
    np.testing.assert_array_equal(np.signbit(got[zero]), np.signbit(want[zero]))


PI = math.pi
SPECIAL_UNARY = {
    "exp": [(0.0, 1.0), (-0.0, 1.0), (INF, INF), (-INF, 0.0), (NAN, NAN), (1e5, INF), (-1e5, 0.0)],
    "exp2": [(0.0, 1.0), (3.0, 8.0), (-1.0, 0.5), (INF, INF), (-INF, 0.0), (NAN, NAN)],
    "expm1": [(0.0, 0.0), (-0.0, -0.0), (INF, INF), (-INF, -1.0), (-1e5, -1.0), (NAN, NAN)],
    "log": [(1.0, 0.0), (0.0, -INF), (-0.0, -INF), (-1.0, NAN), (INF, INF), (-INF, NAN),
            (NAN, NAN)],
    "log1p": [(0.0, 0.0), (-0.0, -0.0), (-1.0, -INF), (-2.0, NAN), (INF, INF), (-INF, NAN),
              (NAN, NAN)],
    "logistic": [(0.0, 0.5), (INF, 1.0), (-INF, 0.0), (NAN, NAN)],
    "sinh": [(0.0, 0.0), (-0.0, -0.0), (INF, INF), (-INF, -INF), (NAN, NAN)],
    "cosh": [(0.0, 1.0), (INF, INF), (-INF, INF), (NAN, NAN)],
    "tanh": [(0.0, 0.0), (-0.0, -0.0), (INF, 1.0), (-INF, -1.0), (NAN, NAN)],
    "asinh": [(0.0, 0.0), (-0.0, -0.0), (INF, INF), (-INF, -INF), (NAN, NAN)],
    "acosh": [(1.0, 0.0), (0.5, NAN), (-1e10, NAN), (INF, INF), (-INF, NAN), (NAN, NAN)],
    "atanh": [(0.0, 0.0), (-0.0, -0.0), (1.0, INF), (-1.0, -INF), (1.5, NAN), (INF, NAN),
              (NAN, NAN)],
    "sin": [(0.0, 0.0), (-0.0, -0.0), (INF, NAN), (-INF, NAN), (NAN, NAN)],
    "cos": [(0.0, 1.0), (-0.0, 1.0), (INF, NAN), (-INF, NAN), (NAN, NAN)],
    "tan": [(0.0, 0.0), (-0.0, -0.0), (INF, NAN), (-INF, NAN), (NAN, NAN)],
    "asin": [(0.0, 0.0), (-0.0, -0.0), (1.0, PI / 2), (-1.0, -PI / 2), (1.5, NAN), (INF, NAN),
             (NAN, NAN)],
    "acos": [(1.0, 0.0), (0.0, PI / 2), (-1.0, PI), (1.5, NAN), (-INF, NAN), (NAN, NAN)],
    "atan": [(0.0, 0.0), (-0.0, -0.0), (INF, PI / 2), (-INF, -PI / 2), (NAN, NAN)],
    "cbrt": [(0.0, 0.0), (-0.0, -0.0), (8.0, 2.0), (-27.0, -3.0), (INF, INF), (-INF, -INF),
             (NAN, NAN)],
    "erf": [(0.0, 0.0), (-0.0, -0.0), (INF, 1.0), (-INF, -1.0), (NAN, NAN)],
    "erfc": [(0.0, 1.0), (-0.0, 1.0), (INF, 0.0), (-INF, 2.0), (NAN, NAN)],
    "erf_inv": [(0.0, 0.0), (-0.0, -0.0), (1.0, INF), (-1.0, -INF), (1.5, NAN), (NAN, NAN)],
    "lgamma": [(1.0, 0.0), (2.0, 0.0), (0.0, INF), (-0.0, INF), (-3.0, INF), (INF, INF),
               (-INF, INF), (NAN, NAN)],
    "digamma": [(0.0, -INF), (-0.0, INF), (-1.0, NAN), (INF, INF), (NAN, NAN)],
}  # fmt: skip
SPECIAL_POW = [
    (0.0, 3.0, 0.0), (-0.0, 3.0, -0.0), (0.0, 2.0, 0.0), (-0.0, 2.0, 0.0), (-0.0, 0.5, 0.0),
    (0.0, -3.0, INF), (-0.0, -3.0, -INF), (-0.0, -2.0, INF), (-0.0, -0.5, INF), (0.0, -INF, INF),
    (0.0, INF, 0.0), (0.0, 0.0, 1.0), (NAN, 0.0, 1.0), (INF, 0.0, 1.0), (1.0, NAN, 1.0),
    (1.0, INF, 1.0), (-1.0, INF, 1.0), (-1.0, -INF, 1.0), (-8.0, 1 / 3, NAN), (-2.0, 3.0, -8.0),
    (-2.0, 2.0, 4.0), (-2.0, -1.0, -0.5), (0.5, INF, 0.0), (0.5, -INF, INF), (2.0, INF, INF),
    (2.0, -INF, 0.0), (INF, 2.0, INF), (INF, -2.0, 0.0), (-INF, 3.0, -INF), (-INF, 2.0, INF),
    (-INF, -3.0, -0.0), (-INF, 0.5, INF), (-INF, -0.5, 0.0), (NAN, 1.0, NAN), (2.0, NAN, NAN),
    (10.0, 400.0, INF), (10.0, -400.0, 0.0), (-10.0, 401.0, -INF), (3.0, 1.0, 3.0),
]  # fmt: skip
SPECIAL_ATAN2 = [
    (0.0, 1.0, 0.0), (-0.0, 1.0, -0.0), (0.0, -1.0, PI), (-0.0, -1.0, -PI), (0.0, 0.0, 0.0),
    (-0.0, 0.0, -0.0), (0.0, -0.0, PI), (-0.0, -0.0, -PI), (1.0, 0.0, PI / 2),
    (-1.0, -0.0, -PI / 2), (1.0, INF, 0.0), (-1.0, INF, -0.0), (1.0, -INF, PI), (INF, 1.0, PI / 2),
    (-INF, 1.0, -PI / 2), (INF, INF, PI / 4), (INF, -INF, 3 * PI / 4), (-INF, INF, -PI / 4),
    (NAN, 1.0, NAN), (1.0, NAN, NAN),
]  # fmt: skip
SPECIAL_HYPOT = [
    (3.0, 4.0, 5.0), (-3.0, -4.0, 5.0), (INF, NAN, INF), (NAN, -INF, INF), (NAN, 1.0, NAN),
    (0.0, 0.0, 0.0), (-0.0, 0.0, 0.0), (0.0, -2.0, 2.0),
]  # fmt: skip


def _same(got: np.ndarray, want: np.ndarray, about: object) -> None:
    """Equal, with signs of zeros, NaN for NaN; constants such as pi rounded like ``want``."""
    np.testing.assert_array_equal(got, want, err_msg=str(about))
    number = ~np.isnan(want)
    np.testing.assert_array_equal(np.signbit(got[number]), np.signbit(want[number]), str(about))


@BOTH
@pytest.mark.parametrize("name", SPECIAL_UNARY)
def test_special_values(name: str, dtype: type) -> None:
    x, want = np.array(SPECIAL_UNARY[name], dtype).T
    _same(run(name, x.copy()), want, x)
    tiny = np.array([np.finfo(dtype).smallest_subnormal, np.finfo(dtype).tiny / 2], dtype)
    if name in ("sin", "tan", "asin", "atan", "sinh", "tanh", "asinh", "atanh", "expm1", "log1p"):
        _same(run(name, tiny), tiny, "subnormal")
        _same(run(name, -tiny), -tiny, "subnormal")


@BOTH
@pytest.mark.parametrize(
    "name, table", [("pow", SPECIAL_POW), ("atan2", SPECIAL_ATAN2), ("hypot", SPECIAL_HYPOT)]
)
def test_special_values_of_two(name: str, table: list, dtype: type) -> None:
    x, y, want = (c.copy() for c in np.array(table, dtype).T)
    _same(run(name, x, y), want, (x, y))


@BOTH
def test_thresholds(dtype: type) -> None:
    """Overflow, underflow and gradual underflow begin where they should."""
    info = np.finfo(dtype)
    top = np.log(np.array(info.max, np.longdouble))
    last = dtype(top) if np.longdouble(dtype(top)) <= top else np.nextafter(dtype(top), dtype(0))
    assert np.isfinite(run("exp", np.array([last]))).all()
    assert np.isinf(run("exp", np.array([np.nextafter(last, dtype(INF))]))).all()
    ends = np.array([info.minexp - info.nmant, info.minexp - info.nmant - 1.1], dtype)
    np.testing.assert_array_equal(run("exp2", ends), [info.smallest_subnormal, 0])
    assert np.isfinite(run("cosh", np.array([dtype(top) + dtype(0.5)]))).all()
    big = np.array([info.max / 2], dtype)
    assert np.isfinite(run("hypot", big, big)).all()


@BOTH
@pytest.mark.parametrize("name", [*UNARY, *BINARY])
def test_every_lane_and_tail(name: str, dtype: type) -> None:
    """A scalar, every lane of a vector and every length of tail give the same bits."""
    rng = _rng(name)
    x = np.concatenate([rng.normal(size=20) * 2, 10.0 ** rng.uniform(-30, 30, 10),
                        [1e10, -3e7, 0.5, -0.5, 0.0, -0.0, INF, -INF, NAN, 1.0]])  # fmt: skip
    x = rng.permutation(x).astype(dtype)
    args = [x] if name in UNARY else [x, x[::-1].copy()]
    whole = run(name, *args)
    for k in range(len(x)):
        one = run(name, *[a[k] for a in args])
        np.testing.assert_array_equal(one, whole[k], err_msg=f"scalar {args[0][k]}")
    for n in range(1, len(x)):
        np.testing.assert_array_equal(run(name, *[a[:n] for a in args]), whole[:n])
        np.testing.assert_array_equal(run(name, *[a[n:] for a in args]), whole[n:])


def test_small_floats_round_once() -> None:
    """The 16-bit floats are computed in f32 and rounded."""
    import ml_dtypes

    x = np.linspace(-3, 3, 301)
    for dtype in (np.float16, ml_dtypes.bfloat16):
        u = x.astype(dtype)
        for name in ("exp", "tanh", "sin", "erf"):
            np.testing.assert_array_equal(run(name, u), run(name, u.astype(F32)).astype(dtype))
