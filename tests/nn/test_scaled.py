"""Products of operands that are rounded to narrow floats with factors of blocks."""

import math

import ml_dtypes
import numpy as onp
import pytest

import covector as cv
import covector.numpy as np
from covector import nn

ROWS = (((2,), (2,)), ((0,), (0,)))
RNG = onp.random.default_rng(0)


def normal(*shape):
    return RNG.normal(size=shape).astype("float32") * onp.exp2(RNG.integers(-3, 4, shape[:-1]))[
        ..., None
    ].astype("float32")


def rounded(x, mode, factor=1.0):
    """The numbers that the rounded operand stands for, along the last axis, one by one."""
    size, data, most = {
        "mxfp8": (32, ml_dtypes.float8_e4m3fn, 448), "nvfp4": (16, ml_dtypes.float4_e2m1fn, 6),
    }[mode]  # fmt: skip
    out = onp.zeros(x.shape)
    for row in onp.ndindex(x.shape[:-1]):
        for start in range(0, x.shape[-1], size):
            block = x[row][start : start + size].astype("float64") / factor
            top = abs(block).max()
            if not top:
                continue
            if mode == "mxfp8":
                scale = 2.0 ** math.ceil(math.log2(top / most))
            else:
                scale = float(onp.float32(top / most).astype(ml_dtypes.float8_e4m3fn))
            narrow = onp.clip(block / scale, -most, most).astype("float32").astype(data)
            out[row][start : start + size] = narrow.astype("float64") * scale * factor
    return out


@pytest.mark.parametrize("mode", ["mxfp8", "nvfp4"])
@pytest.mark.parametrize("wrapped", [lambda f: f, cv.jit], ids=["eager", "jit"])
def test_values_and_derivatives(mode, wrapped):
    a, b, ct = normal(2, 5, 70), normal(2, 3, 70), normal(2, 5, 3)
    a[0, 0] = 0
    factor = 1.0 if mode == "mxfp8" else 0.5
    configs = [nn.get_scaled_dot_general_config(mode, factor)] * 3

    @wrapped
    def f(a, b):
        return nn.scaled_dot_general(a, b, ROWS, configs=configs)

    want = rounded(a, mode, factor) @ rounded(b, mode, factor).swapaxes(1, 2)
    got, pullback = cv.vjp(f, a, b)
    onp.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)
    ct_a, ct_b = pullback(ct)
    if mode == "nvfp4":
        want_a, want_b = ct @ b, ct.swapaxes(1, 2) @ a
    else:
        columns = [rounded(x.swapaxes(1, 2), mode) for x in (a, b)]
        want_a = rounded(ct, mode) @ columns[1].swapaxes(1, 2)
        want_b = rounded(ct.swapaxes(1, 2), mode) @ columns[0].swapaxes(1, 2)
    onp.testing.assert_allclose(ct_a, want_a, rtol=1e-4, atol=1e-4)
    onp.testing.assert_allclose(ct_b, want_b, rtol=1e-4, atol=1e-4)


def test_axes_and_types():
    configs = [nn.get_scaled_dot_general_config("mxfp8")] * 2
    a, b = normal(32, 3, 2, 4), normal(5, 2, 32)
    numbers = (((0, -2), (2, 1)), ((), ()))
    got = nn.scaled_dot_general(np.asarray(a, "bfloat16"), b, numbers, "bfloat16", configs)
    want = onp.einsum("kmjn,qjk->mnq", a, b)
    assert got.shape == (3, 4, 5) and got.dtype == np.bfloat16
    assert abs(got.astype("float32") - want).max() < 0.1 * abs(want).max()
    exact = nn.scaled_dot_general(a, b, (((0, 2), (2, 1)), ((), ())))
    onp.testing.assert_allclose(exact, want, rtol=1e-4, atol=1e-3)
    mapped = cv.vmap(
        lambda x: nn.scaled_dot_general(x, b, (((0, 1), (2, 1)), ((), ())), None, configs)
    )
    moved = onp.moveaxis(onp.asarray(np.asarray(a, "bfloat16").astype("float32")), 1, 0)
    onp.testing.assert_allclose(mapped(moved), got.astype("float32"), rtol=1e-2, atol=1e-2)


def test_great_small_and_no_numbers():
    config = nn.get_scaled_dot_general_config("mxfp8")
    for x in (0.0, 2e-38, 1e-39, 3e38, 1.0):
        row = np.full((1, 32), x, "float32")
        one = np.eye(32, dtype="float32")[:1]
        got = nn.scaled_dot_general(row, one, (((1,), (1,)), ((), ())), configs=[config] * 2)
        onp.testing.assert_allclose(got, [[x]], rtol=0.07, atol=1e-40)
    bad = np.full((1, 32), np.nan)
    assert np.isnan(nn.scaled_dot_general(bad, one, (((1,), (1,)), ((), ())), configs=[config] * 2))
    small = nn.get_scaled_dot_general_config("nvfp4", 1e-3)
    row = np.array([[1e-4, 1.0, 100.0] + [0.0] * 13])
    f = lambda x: nn.scaled_dot_general(x, one[:, :16], (((1,), (1,)), ((), ())), None, [small] * 2)  # noqa: E731
    assert cv.grad(lambda x: f(x).sum())(row)[0, :3].tolist() == [1, 0, 0]


def test_errors():
    chosen = nn.get_scaled_dot_general_config
    config, x = chosen("mxfp8"), np.ones((1, 2, 32))

    def product(y=x, dtype=None, configs=(config, config)):
        return nn.scaled_dot_general(x, y, ROWS, dtype, configs)

    for call, error, match in (
        (lambda: chosen("fp4"), ValueError, "one of 'mxfp8', 'nvfp4', got 'fp4'"),
        (lambda: chosen("nvfp4", np.ones(2)), ValueError, "must be one number"),
        (lambda: product(dtype="int32"), TypeError, "must be float32, bfloat16"),
        (lambda: product(configs=[config]), ValueError, "configs has items"),
        (lambda: product(x[:, :, :3]), ValueError, "contracted axes .* differ"),
        (lambda: cv.grad(lambda y: product(y).sum())(x), ValueError, "a third item of configs"),
    ):
        with pytest.raises(error, match=match):
            call()
