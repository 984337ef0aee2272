"""Functions of complex numbers: errors against mpmath, branch cuts, special values."""

from __future__ import annotations

import cmath
import math
import zlib
from collections.abc import Callable
from typing import Any

import mpmath as mp
import numpy as np
import pytest

from tests.backends.elementwise import run

INF, NAN = math.inf, math.nan
BOTH = pytest.mark.parametrize("dtype", [np.complex64, np.complex128], ids=["c64", "c128"])

UNARY: dict[str, Callable[[Any], Any]] = {
    "exp": mp.exp,
    "exp2": lambda z: mp.exp(z * mp.log(2)),
    "expm1": lambda z: mp.exp(z) - 1,
    "log": mp.log,
    "log1p": lambda z: mp.log(1 + z),
    "sqrt": mp.sqrt,
    "rsqrt": lambda z: 1 / mp.sqrt(z),
    "sin": mp.sin,
    "cos": mp.cos,
    "tan": mp.tan,
    "sinh": mp.sinh,
    "cosh": mp.cosh,
    "tanh": mp.tanh,
    "asin": mp.asin,
    "acos": mp.acos,
    "atan": mp.atan,
    "asinh": mp.asinh,
    "acosh": mp.acosh,
    "atanh": mp.atanh,
    "logistic": lambda z: 1 / (1 + mp.exp(-z)),
    "sign": lambda z: z / abs(z),
}
NUMPY_NAMES = {
    "asin": "arcsin", "acos": "arccos", "atan": "arctan",
    "asinh": "arcsinh", "acosh": "arccosh", "atanh": "arctanh",
}  # fmt: skip
# Functions whose values grow or oscillate with the argument are sampled up to here.
ENTIRE = ("exp", "exp2", "expm1", "sin", "cos", "tan", "sinh", "cosh", "tanh", "logistic")
# The logistic function has poles near which its condition is bad.
BOUND = {"logistic": 40.0}


def _points(name: str, dtype: type, n: int) -> np.ndarray:
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    near = lambda: rng.uniform(-1, 1, n) ** 9  # noqa: E731
    angle = rng.uniform(-math.pi, math.pi, n)
    info = np.finfo(dtype)
    low, high = (-60, 4) if name in ENTIRE else (info.minexp - 5, info.maxexp - 2)
    parts = [
        rng.normal(size=n) + 1j * rng.normal(size=n),
        np.exp(1j * angle) * (1 + near()),
        1 + near() + 1j * near(),
        -1 + near() + 1j * near(),
        near() + 1j * (1 + near()),
        rng.choice([-1, 1], n) * 2.0 ** rng.uniform(low, high, n)
        + 1j * rng.choice([-1, 1], n) * 2.0 ** rng.uniform(low, high, n),
        rng.uniform(-30, 30, n) + 1j * rng.uniform(-30, 30, n),
    ]
    return np.concatenate(parts).astype(dtype)


def _error(got: Any, want: Any, dtype: Any) -> float:
    """|got - want| / |want| in units of eps."""
    info = np.finfo(dtype)
    if not np.isfinite(got):
        return 0.0 if max(abs(want.real), abs(want.imag)) > float(info.max) * 0.99 else INF
    size = max(abs(want), mp.mpf(float(info.tiny)))
    return float(abs(mp.mpc(complex(got)) - want) / size / float(info.eps))


@BOTH
@pytest.mark.parametrize("name", UNARY)
def test_error_of_unary(name: str, dtype: type) -> None:
    z = _points(name, dtype, 40)
    got = run(name, z)
    assert got.dtype == dtype
    errors = []
    for u, v in zip(z, got, strict=True):
        parts = abs(u.real), abs(u.imag)
        extreme = max(parts) > 1e15 or min(parts) < 1e-15
        with mp.workdps(700 if extreme and name not in ENTIRE else 80):
            errors.append(_error(v, UNARY[name](mp.mpc(complex(u))), dtype))
    k = int(np.argmax(errors))
    assert errors[k] <= BOUND.get(name, 4.0), f"{errors[k]} eps at {z[k]}: {got[k]}"


@BOTH
def test_error_of_division_and_power(dtype: type) -> None:
    info = np.finfo(dtype)
    x, y = _points("log", dtype, 60), _points("sqrt", dtype, 60)[::-1].copy()
    for u, v, g in zip(x, y, run("div", x, y), strict=True):
        want = mp.mpc(complex(u)) / mp.mpc(complex(v))
        assert abs(want) > float(info.max) / 4 or _error(g, want, dtype) <= 4
    y = np.where(abs(y) > 10, y / abs(y), y).astype(dtype)
    for u, v, g in zip(x, y, run("pow", x, y), strict=True):
        with mp.workdps(60):
            exponent = mp.mpc(complex(v)) * mp.log(mp.mpc(complex(u)))
            want = mp.exp(exponent)
        if float(info.tiny) < abs(want) < float(info.max) / 4:
            assert _error(g, want, dtype) <= 4 * max(1, float(abs(exponent)))


def _same(got: complex, want: complex) -> bool:
    pairs = ((got.real, want.real), (got.imag, want.imag))
    return all(
        math.isnan(g)
        if math.isnan(w)
        else math.copysign(1, g) == math.copysign(1, w) and (g == w or abs(g - w) < 1e-6 * abs(w))
        for g, w in pairs
    )


@BOTH
@pytest.mark.parametrize("name", sorted(set(UNARY) - {"exp2", "rsqrt", "logistic", "sign"}))
def test_branch_cuts(name: str, dtype: type) -> None:
    """The sign of a zero part says from which side a cut is approached: as in NumPy."""
    parts = [0.0, -0.0, 0.5, -0.5, 2.0, -2.0]
    z = np.array([complex(a, c) for a in parts for c in parts], dtype)
    with np.errstate(all="ignore"):
        want = getattr(np, NUMPY_NAMES.get(name, name))(z.astype(np.complex128))
    for u, g, w in zip(z, run(name, z), want, strict=True):
        assert _same(complex(g), complex(w)), (u, g, w)


# C11, annex G.6; None where the sign of a zero or infinity is left open.
ANNEX_G = {
    "exp": [
        (complex(0, 0), complex(1, 0)), (complex(-0.0, -0.0), complex(1, -0.0)),
        (complex(1, INF), complex(NAN, NAN)), (complex(1, NAN), complex(NAN, NAN)),
        (complex(INF, 0), complex(INF, 0)), (complex(-INF, 2), complex(-0.0, 0.0)),
        (complex(INF, 2), complex(-INF, INF)), (complex(NAN, 0), complex(NAN, 0)),
        (complex(NAN, -0.0), complex(NAN, -0.0)), (complex(NAN, 1), complex(NAN, NAN)),
    ],
    "log": [
        (complex(-0.0, 0), complex(-INF, math.pi)), (complex(0, 0), complex(-INF, 0)),
        (complex(1, INF), complex(INF, math.pi / 2)), (complex(1, NAN), complex(NAN, NAN)),
        (complex(-INF, 1), complex(INF, math.pi)), (complex(INF, 1), complex(INF, 0)),
        (complex(-INF, INF), complex(INF, 3 * math.pi / 4)),
        (complex(INF, INF), complex(INF, math.pi / 4)), (complex(INF, NAN), complex(INF, NAN)),
        (complex(NAN, INF), complex(INF, NAN)), (complex(NAN, NAN), complex(NAN, NAN)),
    ],
    "sqrt": [
        (complex(0, 0), complex(0, 0)), (complex(-0.0, -0.0), complex(0, -0.0)),
        (complex(1, INF), complex(INF, INF)), (complex(NAN, -INF), complex(INF, -INF)),
        (complex(1, NAN), complex(NAN, NAN)), (complex(-INF, 1), complex(0, INF)),
        (complex(-INF, -1), complex(0, -INF)), (complex(INF, 1), complex(INF, 0)),
        (complex(INF, -1), complex(INF, -0.0)), (complex(INF, NAN), complex(INF, NAN)),
        (complex(NAN, 1), complex(NAN, NAN)),
    ],
}  # fmt: skip


@BOTH
@pytest.mark.parametrize("name", ANNEX_G)
def test_special_values(name: str, dtype: type) -> None:
    z = np.array([u for u, _ in ANNEX_G[name]], dtype)
    for (u, w), g in zip(ANNEX_G[name], run(name, z), strict=True):
        assert _same(complex(g), w), (u, g, w)


@BOTH
@pytest.mark.parametrize(
    "name",
    ["exp", "log", "sqrt", "sin", "cos", "tan", "sinh", "cosh", "tanh",
     "asin", "acos", "atan", "asinh", "acosh", "atanh"],
)  # fmt: skip
def test_infinities_and_nan(name: str, dtype: type) -> None:
    """At every pair of special parts as annex G, which NumPy follows here, has it."""
    parts = [0.0, -0.0, 1.0, -1.0, 2.0, INF, -INF, NAN]
    z = np.array([complex(a, c) for a in parts for c in parts], dtype)
    with np.errstate(all="ignore"):
        want = getattr(np, NUMPY_NAMES.get(name, name))(z.astype(np.complex128))
    for u, g, w in zip(z, run(name, z), want, strict=True):
        for a, c in ((g.real, w.real), (g.imag, w.imag)):
            if cmath.isfinite(u):
                assert _same(complex(a, 0), complex(c, 0)), (u, g, w)
            else:
                # The annex leaves the signs of some zeros and infinities open.
                np.testing.assert_allclose(abs(a), abs(c), rtol=1e-6, err_msg=str(u))


@BOTH
def test_exponentials_less_one_at_infinities(dtype: type) -> None:
    """As exp, of which NumPy has the special values, less one."""
    z = np.array([complex(INF, 0), complex(-INF, 2), complex(-INF, INF), complex(-INF, NAN),
                  complex(INF, NAN), complex(NAN, 0), complex(NAN, 1), complex(1, INF)],
                 dtype)  # fmt: skip
    want = [complex(INF, 0), complex(-1, 0), complex(-1, 0), complex(-1, 0),
            complex(INF, NAN), complex(NAN, 0), complex(NAN, NAN), complex(NAN, NAN)]  # fmt: skip
    for u, g, w in zip(z, run("expm1", z), want, strict=True):
        np.testing.assert_array_equal([g.real, g.imag], [w.real, w.imag], err_msg=str(u))


@BOTH
def test_square(dtype: type) -> None:
    """Squares of the parts may overflow, and cancel, where their difference does not."""
    big = math.sqrt(float(np.finfo(dtype).max)) * 4
    z = np.array([complex(big, big), complex(big, -big), complex(1 + 2**-20, 1)], dtype)
    got = run("square", z)
    np.testing.assert_array_equal(got[:2], [complex(0, INF), complex(0, -INF)])
    assert got[2].real == pytest.approx(2**-19 + 2**-40, rel=1e-6)


@BOTH
def test_absolute_value_sign_and_division_at_the_ends(dtype: type) -> None:
    z = np.array([complex(INF, NAN), complex(NAN, -INF), complex(NAN, 1), 0, 3 + 4j], dtype)
    np.testing.assert_array_equal(run("abs", z), [INF, INF, NAN, 0, 5])
    big = np.finfo(dtype).max
    np.testing.assert_allclose(
        run("sign", np.array([0, 2j, complex(big, 0), complex(0, -big)], dtype)), [0, 1j, 1, -1j]
    )
    assert np.isfinite(run("sqrt", np.array([complex(big, big)], dtype))).all()
    assert np.isfinite(run("log", np.array([complex(big, big)], dtype))).all()
    quotient = run("div", np.array([1 + 1j, 1 + 1j, 1 + 1j], dtype),
                   np.array([0, complex(INF, 1), complex(big, big)], dtype))  # fmt: skip
    assert cmath.isinf(quotient[0]) and quotient[1] == 0
    assert quotient[2].real == pytest.approx(1 / float(big))


@BOTH
def test_every_lane_and_tail(dtype: type) -> None:
    """Scalars, lanes and tails give the same bits."""
    z = np.random.default_rng(0).permutation(_points("log", dtype, 4))
    for name in ("exp", "log", "sqrt", "sin", "tanh", "asin", "atanh"):
        whole = run(name, z)
        for k in range(0, len(z), 3):
            np.testing.assert_array_equal(run(name, z[k]), whole[k])
            np.testing.assert_array_equal(run(name, z[k:]), whole[k:])
