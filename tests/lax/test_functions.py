"""The functions of `covector.lax` that are not primitives, against NumPy; and none is forgotten."""

import itertools
import pathlib
import re

import numpy as onp
import pytest
import scipy.special

import covector as cv
import covector.numpy as np
from covector import lax

R = onp.random.RandomState(0)
F = R.randn(3, 4).astype("float32")
T = R.randn(2, 3, 4).astype("float32")
I = R.randint(-9, 10, (3, 4)).astype("int32")  # noqa: E741
U = R.randint(0, 2**32, (3, 4), "uint32")
B = F > 0
P = onp.abs(F) + 0.5
AT = onp.array([[2], [0], [7]])
ROWS = lax.ScatterDimensionNumbers((1,), (0,), (0,))
NAN = onp.where(B, F, onp.nan)


def rows(x, f):
    x = x.copy()
    for i in (2, 0):
        x[i] = f(x[i])
    return x


def xor(x):
    return onp.bitwise_xor.reduce(x, axis=1)


def f32(x):
    return onp.asarray(x, "float32")


def slope(f, x):
    x = x.astype("float64")
    return f32((f(x + 1e-5) - f(x - 1e-5)) / 2e-5)


# Name: applications as (function of x, x, what NumPy or SciPy says).
FUNCTIONS = {
    "batch_matmul": [(lambda x: lax.batch_matmul(x, x.mT), T, T @ T.transpose(0, 2, 1))],
    "broadcast_like": [(lambda x: lax.broadcast_like(x, T), F[0], onp.broadcast_to(F[0], T.shape))],
    "broadcast_to_rank": [(lambda x: lax.broadcast_to_rank(x, 4), F, F[None, None])],
    "broadcasted_iota": [
        (lambda x: lax.broadcasted_iota(onp.int32, x.shape, 1) + 0 * x, I,
         onp.broadcast_to(onp.arange(4, dtype="int32"), (3, 4))),
    ],
    "collapse": [(lambda x: lax.collapse(x, 1), T, T.reshape(2, 12)),
                 (lambda x: lax.collapse(x, 0, 2), T, T.reshape(6, 4)),
                 (lambda x: lax.collapse(x, -2), T, T.reshape(2, 12))],
    "digamma": [(lax.digamma, P, scipy.special.digamma(P))],
    "lgamma": [(lax.lgamma, F, scipy.special.gammaln(F))],
    "polygamma": [(lambda x: lax.polygamma(2.0, x), P, f32(scipy.special.polygamma(2, P)))],
    "zeta": [(lambda x: lax.zeta(1.0 + x, 0.5), P, scipy.special.zeta(1 + P, 0.5))],
    "igamma": [(lambda x: lax.igamma(x, 1.5), P, f32(scipy.special.gammainc(P, 1.5)))],
    "igammac": [(lambda x: lax.igammac(x, 1.5), P, f32(scipy.special.gammaincc(P, 1.5)))],
    "igamma_grad_a": [
        (lambda x: lax.igamma_grad_a(x, 1.5), P, slope(lambda a: scipy.special.gammainc(a, 1.5), P))
    ],
    "random_gamma_grad": [
        (lambda x: lax.random_gamma_grad(x, 1.5), P,
         slope(lambda a: scipy.special.gammaincinv(a, scipy.special.gammainc(P, 1.5)), P)),
    ],
    "betainc": [(lambda x: lax.betainc(x, 2.0, 0.3), P, f32(scipy.special.betainc(P, 2, 0.3)))],
    "bessel_i0e": [(lax.bessel_i0e, F, scipy.special.i0e(F))],
    "bessel_i1e": [(lax.bessel_i1e, F, scipy.special.i1e(F))],
    "erf": [(lax.erf, F, scipy.special.erf(F))],
    "erfc": [(lax.erfc, F, scipy.special.erfc(F))],
    "erf_inv": [(lax.erf_inv, onp.tanh(F), scipy.special.erfinv(onp.tanh(F)))],
    "dynamic_index_in_dim": [
        (lambda x: lax.dynamic_index_in_dim(x, -1, 1), F, F[:, -1:]),
        (lambda x: lax.dynamic_index_in_dim(x, 9, 0, keepdims=False), F, F[2]),
    ],
    "dynamic_slice_in_dim": [(lambda x: lax.dynamic_slice_in_dim(x, 3, 2, 1), F, F[:, 2:]),
                             (lambda x: lax.dynamic_slice_in_dim(x, -2, 1), F, F[1:2])],
    "dynamic_update_index_in_dim": [
        (lambda x: lax.dynamic_update_index_in_dim(x, x[0], 2, 0), F, F[[0, 1, 0]]),
        (lambda x: lax.dynamic_update_index_in_dim(x, x[:, :1], -1, 1), F, F[:, [0, 1, 2, 0]]),
    ],
    "dynamic_update_slice_in_dim": [
        (lambda x: lax.dynamic_update_slice_in_dim(x, x[:, :2], 9, 1), F, F[:, [0, 1, 0, 1]]),
    ],
    "empty": [(lambda x: lax.empty((2, 3), x.dtype).shape[0] + 0 * x[0, 0], F, onp.float32(2))],
    "full_like": [(lambda x: lax.full_like(x, 2), F, onp.full_like(F, 2)),
                  (lambda x: lax.full_like(x, 1.5, "int32", (2,)), F, onp.array([1, 1], "int32"))],
    "index_in_dim": [(lambda x: lax.index_in_dim(x, -1, 1), F, F[:, -1:]),
                     (lambda x: lax.index_in_dim(x, 1, keepdims=False), F, F[1])],
    "is_nan": [(lax.is_nan, NAN, onp.isnan(NAN))],
    "mulhi": [
        (lambda x: lax.mulhi(x, x[::-1]), U,
         (U.astype("uint64") * U[::-1] >> onp.uint64(32)).astype("uint32")),
        (lambda x: lax.mulhi(x * 2**20, x[::-1] * 2**20), I,
         ((I * 2**20).astype("int64") * (I[::-1] * 2**20) >> 32).astype("int32")),
    ],
    "reciprocal": [(lax.reciprocal, F, 1 / F)],
    "reduce_and": [(lambda x: lax.reduce_and(x, (1,)), B, B.all(1)),
                   (lambda x: lax.reduce_and(x, (1,)), I, onp.bitwise_and.reduce(I, axis=1))],
    "reduce_or": [(lambda x: lax.reduce_or(x, (0,)), B, B.any(0)),
                  (lambda x: lax.reduce_or(x, (1,)), I, onp.bitwise_or.reduce(I, axis=1))],
    "reduce_xor": [(lambda x: lax.reduce_xor(x, (1,)), I, xor(I)),
                   (lambda x: lax.reduce_xor(x, (1,)), B, xor(B))],
    "reduce_max": [(lambda x: lax.reduce_max(x, (0, 2)), T, T.max((0, 2)))],
    "reduce_min": [(lambda x: lax.reduce_min(x, (0, 2)), T, T.min((0, 2)))],
    "scatter_apply": [
        (lambda x: lax.scatter_apply(x, AT, lambda u: u * u, ROWS, update_shape=(3, 4)), F,
         rows(F, onp.square)),
    ],
    "scatter_sub": [
        (lambda x: lax.scatter_sub(x, AT, np.ones((3, 4), x.dtype), ROWS), F,
         rows(F, lambda row: row - 1)),
    ],
    "select_n": [(lambda x: lax.select_n(x > 0, x, -x), F, onp.where(B, -F, F)),
                 (lambda x: lax.select_n(np.asarray(I % 3), x, 2 * x, 3 * x), F,
                  F * onp.float32(1 + I % 3))],
    "slice_in_dim": [(lambda x: lax.slice_in_dim(x, 1, None, 2, 1), F, F[:, 1::2]),
                     (lambda x: lax.slice_in_dim(x, -2, -1), F, F[-2:-1])],
    "sort_key_val": [
        (lambda x: lax.sort_key_val(x, 2 * x), I[0], (onp.sort(I[0]), 2 * onp.sort(I[0]))),
        (lambda x: lax.sort_key_val(x, x, dimension=0), F, (onp.sort(F, 0), onp.sort(F, 0))),
    ],
    "unstack": [(lambda x: lax.unstack(x, 1), F, tuple(F.T))],
}  # fmt: skip


def agree(got, want):
    if isinstance(want, tuple):
        assert len(got) == len(want)
        for g, w in zip(got, want, strict=True):
            agree(g, w)
        return
    got = onp.asarray(got)
    assert got.shape == onp.shape(want) and got.dtype == onp.asarray(want).dtype
    onp.testing.assert_allclose(got, want, rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_function(name):
    for f, x, want in FUNCTIONS[name]:
        agree(f(np.asarray(x)), want)
        agree(cv.jit(f)(x), want)
        both = onp.stack([x, x[::-1]])
        loop = [f(np.asarray(row)) for row in both]
        batched = cv.vmap(f)(both)
        for got, *rows_ in zip(
            *(out if isinstance(out, (tuple, list)) else (out,) for out in (batched, *loop)),
            strict=True,
        ):
            agree(got, onp.stack([onp.asarray(row) for row in rows_]))


def test_precision():
    high, low = lax.Precision.HIGHEST, lax.Precision.DEFAULT
    assert lax.canonicalize_precision(None) is None
    assert lax.canonicalize_precision("highest") == (high, high)
    assert lax.canonicalize_precision((high, low)) == (high, low)
    with pytest.raises(ValueError, match="precision"):
        lax.canonicalize_precision("exact")
    numbers: lax.DotDimensionNumbers = (((1,), (0,)), ((), ()))
    agree(lax.dot_general(F, F.T.copy(), numbers, precision=high), F @ F.T)


def test_products_promote():
    whole = onp.arange(12).reshape(3, 4)
    agree(lax.dot(whole.astype("int8"), F.T.copy()), whole.astype("float32") @ F.T)
    assert lax.dot(whole.astype("int32"), whole.T.astype("uint8")).dtype == "int32"


def _every(kind, seed):
    """Numbers of a dtype, a third of them the least or the largest."""
    rng, info = onp.random.default_rng(seed), onp.iinfo(kind)
    x = rng.integers(info.min, info.max, 40 * 701, kind, endpoint=True)
    x[::6], x[1::6] = info.min, info.max
    return x


@pytest.mark.parametrize("wide", [None, "int16", "int32", "uint32"])
@pytest.mark.parametrize("kinds", [*itertools.product(("int8", "uint8", "int16"), repeat=2)])
def test_products_of_integers_of_two_dtypes(kinds, wide):
    """Modulo 2³², in whatever dtype they were multiplied."""
    x, y = (_every(kind, seed).reshape(-1, 701)[:40] for seed, kind in enumerate(kinds))

    def product(x, y):
        if wide is not None:
            x, y = x.astype(wide), y.astype(wide)
        return lax.dot(x, y.T, preferred_element_type="int32")

    got = cv.jit(product)(x, y)
    assert got.dtype == "int32"
    whole = [(u if wide is None else u.astype(wide)).astype("int64") for u in (x, y)]
    onp.testing.assert_array_equal(onp.asarray(got), (whole[0] @ whole[1].T).astype("int32"))


def test_gather_scatter_mode():
    for name in ("clip", "fill", "promise_in_bounds"):
        assert lax.GatherScatterMode.from_any(name).name in (name.upper(), "FILL_OR_DROP")


def test_shape_as_value():
    agree(lax.shape_as_value((2, 3)), onp.array([2, 3], "int32"))


def test_parallel_functions_without_a_mesh():
    x = onp.arange(12.0, dtype="float32").reshape(3, 3 + 1)[:, :3].copy()
    swapped = cv.vmap(lambda row: lax.pswapaxes(row, "i", 0), axis_name="i")(x)
    agree(swapped, x.T)
    kept = cv.vmap(lambda row: lax.pcast(row, "i", to="varying"), axis_name="i")(x)
    agree(kept, x)


# Functions with tests of their own, by file.
ELSEWHERE = {
    "lax/test_dtypes.py": (
        "abs acos acosh add argmax argmin asin asinh atan atan2 atanh bitcast_convert_type "
        "bitwise_and bitwise_not bitwise_or bitwise_xor broadcast cbrt ceil clz complex "
        "concatenate conj convert_element_type cos cosh cummax cummin cumprod cumsum div dot "
        "dynamic_slice dynamic_update_slice eq exp exp2 expm1 floor gather ge gt imag iota "
        "is_finite le log log1p logistic lt max min mul ne neg nextafter pad population_count pow "
        "real rem reshape rev round rsqrt scatter scatter_add scatter_max scatter_min scatter_mul "
        "select shift_left shift_right_arithmetic shift_right_logical sign sin sinh slice sort "
        "sqrt square sub tan tanh top_k transpose GatherDimensionNumbers RoundingMethod "
        "ScatterDimensionNumbers"
    ),
    "property_tables.py": (
        "broadcast_in_dim clamp cumlogsumexp dot_general expand_dims integer_pow "
        "optimization_barrier reduce reduce_precision reduce_prod split squeeze stack tile"
    ),
    "lax/test_convolution.py": (
        "ConvDimensionNumbers conv conv_dimension_numbers conv_general_dilated "
        "conv_general_dilated_local conv_general_dilated_patches conv_general_permutations "
        "conv_general_shape_tuple conv_shape_tuple conv_transpose conv_transpose_shape_tuple "
        "conv_with_general_padding padtype_to_pads"
    ),
    "lax/test_named.py": (
        "AccuracyMode DotAlgorithm DotAlgorithmPreset PrecisionLike RaggedDotDimensionNumbers "
        "RandomAlgorithm Tolerance after_all approx_max_k approx_min_k composite create_token "
        "dce_sink dtype index_take ragged_dot ragged_dot_general rng_bit_generator scaled_dot stage"
    ),
    "lax/test_windows.py": "reduce_window reduce_window_shape_tuple",
    "numpy/test_fft.py": "FftType fft",
    "lax/test_errors.py": "broadcast_shapes full",
    "transforms/test_control_flow.py": (
        "associative_scan cond fori_loop map reduce_sum scan switch while_loop"
    ),
    "transforms/test_vmap.py": (
        "all_gather all_to_all axis_index axis_size pbroadcast pmax pmean pmin ppermute pshuffle "
        "psum psum_scatter"
    ),
    "transforms/test_solves.py": "custom_linear_solve custom_root platform_dependent",
    "transforms/test_autodiff.py": "stop_gradient",
    "transforms/test_io_callback.py": "rng_uniform",
    "experimental/test_devices.py": "with_sharding_constraint",
    "lax/test_functions.py": (
        "DotDimensionNumbers GatherScatterMode Precision canonicalize_precision pcast pswapaxes "
        "shape_as_value"
    ),
}


def test_every_public_function_has_a_test():
    tests = pathlib.Path(__file__).parent.parent
    tested = set(FUNCTIONS)
    for file, names in ELSEWHERE.items():
        text = (tests / file).read_text()
        # The tables name a primitive by its string, the other tests by its attribute.
        tested |= {n for n in names.split() if re.search(rf"[\"' .]{n}\b", text)}
    public = {n for n in lax.__all__ if callable(getattr(lax, n)) and not n.endswith("_p")}
    assert sorted(public - tested) == []
