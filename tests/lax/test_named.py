"""Algorithms and accuracies, tokens, composites, ragged and scaled products, counters of bits."""

import typing

import numpy as onp
import pytest

import covector as cv
import covector.numpy as np
from covector import lax
from covector.core.trace import Tracer

RNG = onp.random.default_rng(0)
X = np.arange(12.0).reshape(3, 4)
WINDOW = {"window_dimensions": (2, 2), "window_strides": (1, 1), "padding": ((0, 0), (0, 0))}


def floats(*shape):
    return RNG.normal(size=shape).astype(onp.float32)


# --- precisions --------------------------------------------------------------------------------

A, B = floats(16, 16), floats(16, 16)


@pytest.mark.parametrize("preset", lax.DotAlgorithmPreset, ids=str)
def test_algorithms_are_as_exact_as_they_say(preset):
    got = lax.dot(A, B, precision=preset)
    assert got.dtype == np.float32
    types = [preset.supported_lhs_types, preset.accumulation_type]
    few = {np.dtype("float16"): 2e-2, np.dtype("bfloat16"): 1.5e-1}
    operand = types[0][0] if types[0] and np.float32 not in types[0] else types[1]
    tolerance = few.get(operand if operand is None else np.dtype(operand), 1e-5)
    assert np.abs(got - A.astype(float) @ B).max() < tolerance
    assert lax.dot(A, B, precision=str(preset)).tolist() == got.tolist()


def test_algorithms_by_their_types():
    half = lax.DotAlgorithm("float16", "float16", "float32")
    got = lax.dot_general(A, B, (((1,), (0,)), ((), ())), precision=half)
    want = A.astype("e").astype("f") @ B.astype("e").astype("f")
    assert got.dtype == np.float32
    assert onp.allclose(got, want, atol=1e-5)
    g = cv.grad(lambda a: lax.dot(a, B, precision=half).sum())(A)
    assert g.dtype == np.float32
    preset = lax.DotAlgorithmPreset.ANY_F8_ANY_F8_F32
    assert np.float32 in preset.supported_output_types(np.float32, np.float32)
    assert lax.DotAlgorithmPreset.DEFAULT.supported_output_types(np.float32, np.float32) is None
    # What may be given as a precision, for annotations.
    assert {lax.Precision, str, type(None)} < set(typing.get_args(lax.PrecisionLike))
    with pytest.raises(ValueError, match="unknown precision 'F33'"):
        lax.dot(A, B, precision="F33")


def test_accuracies():
    for accuracy in (lax.Tolerance(atol=1e-3), lax.AccuracyMode.HIGHEST, None):
        assert lax.sin(1.0, accuracy=accuracy) == lax.sin(1.0)
    assert lax.Tolerance(ulps=2) == lax.Tolerance(ulps=2) != lax.Tolerance()
    assert len({lax.Tolerance(), lax.Tolerance()}) == 1
    with pytest.raises(ValueError, match="must not be negative"):
        lax.Tolerance(rtol=-1.0)
    with pytest.raises(TypeError, match=r"accuracy of sin must be a lax.AccuracyMode"):
        lax.sin(1.0, accuracy="high")


# --- what orders and keeps ---------------------------------------------------------------------


def test_tokens():
    token = cv.jit(lambda x: lax.after_all(lax.create_token(x), lax.create_token()))(1.0)
    assert token.shape == (0,)
    with pytest.raises(TypeError, match="takes tokens from lax.create_token, got float"):
        lax.after_all(1.0)
    with pytest.raises(TypeError, match="got none"):
        lax.after_all()


def test_sinks_keep_what_nothing_reads():
    def f(x):
        lax.dce_sink({"a": x * 2})
        return x

    assert "dce_sink" in str(cv.make_jaxpr(cv.jit(f))(1.0))
    assert cv.jit(f)(3.0) == 3.0
    assert cv.grad(f)(3.0) == 1.0
    assert cv.vmap(f)(np.ones(2)).tolist() == [1.0, 1.0]
    assert lax.scan(lambda c, x: (f(c), x), 1.0, np.ones(2))[0] == 1.0


def test_composites():
    def scaled(x, *, by):
        return {"y": np.sin(x) * by}

    f = lax.composite(scaled, "my.scaled_sin", version=2)

    def call(x):
        return f(x, by=3.0)["y"]

    text = str(cv.make_jaxpr(call)(1.0))
    assert "composite" in text and "my.scaled_sin" in text and "version=2" in text
    assert np.allclose(call(1.0), 3 * np.sin(1.0))
    assert np.allclose(cv.jit(call)(1.0), 3 * np.sin(1.0))
    assert np.allclose(cv.grad(call)(1.0), 3 * np.cos(1.0))
    assert np.allclose(cv.vmap(cv.grad(call))(np.arange(3.0)), 3 * np.cos(np.arange(3.0)))
    outer = np.asarray(2.0)
    closed = lax.composite(lambda x: x * outer, "my.closed")
    assert closed(4.0) == 8.0
    with pytest.raises(TypeError, match="a name that is a string"):
        lax.composite(scaled, 3)


def test_staged_values_are_traced():
    seen = []

    def f():
        seen.append(lax.stage(2.0))
        return seen[0] + 1

    assert cv.jit(f)() == 3.0
    assert isinstance(seen[0], Tracer)
    assert isinstance(lax.stage(2.0), cv.Array) and not isinstance(lax.stage(2.0), Tracer)


# --- products ----------------------------------------------------------------------------------


def by_groups(x, w, sizes):
    out, row = onp.zeros((len(x), w.shape[2]), x.dtype), 0
    for matrix, n in zip(w, sizes, strict=True):
        out[row : row + n] = x[row : row + n] @ matrix
        row += n
    return out


@pytest.mark.parametrize(
    ("m", "sizes"),
    [(6, (1, 2, 3)), (6, (0, 6, 0)), (5, (1, 1, 0)), (300, (0, 130, 41)), (1, (0, 1, 0))],
    ids=str,
)
def test_ragged_products(m, sizes):
    x, w = floats(m, 4), floats(3, 4, 5)
    want = by_groups(x, w, sizes)
    counts = np.array(sizes)
    assert onp.allclose(lax.ragged_dot(x, w, counts), want, atol=1e-5)
    assert onp.allclose(cv.jit(lax.ragged_dot)(x, w, counts), want, atol=1e-5)
    c = floats(m, 5)

    def f(x, w):
        return (lax.ragged_dot(x, w, counts) * c).sum()

    ends = onp.cumsum(sizes)
    parts = [slice(e - n, e) for e, n in zip(ends, sizes, strict=True)]
    dx, dw = cv.jit(cv.grad(f, (0, 1)))(x, w)
    assert onp.allclose(dx, by_groups(c, w.swapaxes(1, 2), sizes), atol=1e-4)
    assert onp.allclose(dw, [x[p].T @ c[p] for p in parts], atol=1e-4)
    _, tangent = cv.jvp(lambda x: lax.ragged_dot(x, w, counts), (x,), (x,))
    assert onp.allclose(tangent, want, atol=1e-5)


def test_ragged_products_of_nan_stay_in_their_group():
    w = onp.ones((2, 3, 2), "f")
    w[1] = onp.nan
    out = lax.ragged_dot(np.ones((4, 3)), w, np.array([2, 2]))
    assert out[:2].tolist() == [[3.0, 3.0]] * 2
    assert np.isnan(out[2:]).all()


def test_general_ragged_products():
    numbers = lax.RaggedDotDimensionNumbers
    # Batches, each with sizes of its own, and rows before the ragged dimension.
    x, w = floats(2, 6, 4), floats(3, 2, 4, 5)
    sizes = onp.array([[1, 2, 3], [2, 0, 4]])
    dims = numbers((((2,), (2,)), ((0,), (1,))), (1,), (0,))
    want = onp.stack([by_groups(x[b], w[:, b], sizes[b]) for b in range(2)])
    assert onp.allclose(lax.ragged_dot_general(x, w, sizes, dims), want, atol=1e-5)
    want = onp.stack([by_groups(x[b], w[:, b], sizes[0]) for b in range(2)])
    assert onp.allclose(lax.ragged_dot_general(x, w, sizes[0], dims), want, atol=1e-5)
    dims = numbers((((2,), (1,)), ((), ())), (1,), (0,))
    want = onp.stack([by_groups(x[b], w[:, 0], sizes[b]) for b in range(2)])
    assert onp.allclose(lax.ragged_dot_general(x, w[:, 0], sizes, dims), want, atol=1e-5)
    # The ragged dimension is contracted; it has dimensions behind it.
    y, z = floats(6, 2, 3), floats(6, 2, 4)
    dims = numbers((((0, 1), (0, 1)), ((), ())), (0,), ())
    parts = [slice(0, 1), slice(1, 3), slice(3, 6)]
    want = [onp.einsum("abi,abj->ij", y[p], z[p]) for p in parts]
    assert onp.allclose(lax.ragged_dot_general(y, z, sizes[0], dims), want, atol=1e-5)
    # The ragged dimension is a batch.
    dims = numbers((((2,), (2,)), ((0,), (0,))), (0,), ())
    got = lax.ragged_dot_general(y, y, sizes[0], dims)
    assert onp.allclose(got, onp.einsum("abi,aci->abc", y, y), atol=1e-5)


def test_ragged_products_of_some_groups_and_batches():
    x, w = floats(6, 4), floats(3, 4, 5)
    counts = np.array([1, 2, 3])
    want = by_groups(x, w, (1, 2, 3))
    want[:1] = 0
    got = lax.ragged_dot(x, w[1:], counts, group_offset=np.array([1]))
    assert onp.allclose(got, want, atol=1e-5)
    both = cv.vmap(lax.ragged_dot, (0, None, 0))(
        np.stack([x, 2 * x]), w, np.array([[1, 2, 3], [3, 3, 0]])
    )
    assert onp.allclose(both[1], by_groups(2 * x, w, (3, 3, 0)), atol=1e-5)
    assert lax.ragged_dot(x.astype("i"), w.astype("i"), counts).dtype == np.int32
    assert lax.ragged_dot(x, w, counts, preferred_element_type="float16").dtype == np.float16


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ((X, np.ones((2, 4, 5)), np.array([1.0, 2.0])), "group_sizes must be integers"),
        ((X, np.ones((2, 3, 5)), np.array([1, 2])), "must have equal sizes"),
        ((X, np.ones((2, 4, 5)), np.array([1, 2, 3])), "group_sizes has shape"),
        ((X[0], np.ones((2, 4, 5)), np.array([1, 2])), "lhs of 2 dimensions"),
    ],
)
def test_wrong_ragged_products(args, words):
    with pytest.raises(TypeError, match=words):
        lax.ragged_dot(*args)


def test_scaled_products():
    x, y = floats(2, 4, 8), floats(2, 8, 3)
    sx, sy = floats(2, 4, 2), floats(2, 4, 3)
    want = (x * sx.repeat(4, 2)) @ (y * sy.repeat(2, 1))
    got = lax.scaled_dot(x, y, lhs_scale=sx, rhs_scale=sy, preferred_element_type=np.float32)
    assert onp.allclose(got, want, atol=1e-5)
    assert lax.scaled_dot(x[0], y[0]).dtype == np.bfloat16
    with pytest.raises(TypeError, match="lhs_scale of scaled_dot has shape"):
        lax.scaled_dot(x, y, lhs_scale=sx[:1])
    with pytest.raises(TypeError, match="two matrices"):
        lax.scaled_dot(x, y[0])


# --- bits --------------------------------------------------------------------------------------

# Known answers for a counter of zeros: Random123's, and XLA's for a key and a counter.
BITS = {
    "RNG_PHILOX": ([0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8],
                   [512747620, 1298009047, 1267190206, 761827841, 1383286907], [1, 2, 5, 4]),
    "RNG_THREE_FRY": ([0x6B200159, 0x99BA4EFE],
                      [1576285164, 2249660814, 740599976, 2425682526, 2436392515], [1, 2, 6, 4]),
}  # fmt: skip


@pytest.mark.parametrize("name", BITS)
def test_bits_of_counters(name):
    algorithm = lax.RandomAlgorithm[name]
    zero, known, after = BITS[name]
    key = np.array([1, 2, 3, 4], np.uint32)
    _, bits = lax.rng_bit_generator(key * 0, (len(zero),), algorithm=algorithm)
    assert bits.tolist() == zero
    new, bits = lax.rng_bit_generator(key, (5,), algorithm=algorithm)
    assert bits.tolist() == known and new.tolist() == after
    _, small = lax.rng_bit_generator(key, (5,), "uint8", algorithm)
    assert small.tolist() == [b & 0xFF for b in known]
    with cv.enable_x64(True):
        _, wide = lax.rng_bit_generator(key, (2,), np.uint64, algorithm)
    assert wide.tolist() == [known[0] | known[1] << 32, known[2] | known[3] << 32]
    # The carry into the higher word of the counter; what follows is what one call gives.
    high = np.array([1, 2, 2**32 - 1, 4], np.uint32)
    assert lax.rng_bit_generator(high, (5,), algorithm=algorithm)[0][3] == 5
    both = cv.vmap(lambda k: lax.rng_bit_generator(k, (2,), algorithm=algorithm)[1])(
        np.stack([key, key * 0])
    )
    assert both.tolist() == [known[:2], zero[:2]]


def test_wrong_keys_of_bits():
    with pytest.raises(TypeError, match=r"a key of type uint32\[4\], got uint32\[2\]"):
        lax.rng_bit_generator(np.zeros(2, np.uint32), (2,))
    with pytest.raises(TypeError, match="unsigned integers, got dtype float32"):
        lax.rng_bit_generator(np.zeros(4, np.uint32), (2,), np.float32)


# --- primitives made of others -----------------------------------------------------------------


def test_total_order():
    x = np.array([-np.inf, -1.0, -0.0, 0.0, 1.0, np.inf, np.nan])
    rank = onp.arange(7)
    pairs = (rank[:, None], rank)
    for prim, compare in (
        (lax.eq_to_p, "equal"),
        (lax.lt_to_p, "less"),
        (lax.le_to_p, "less_equal"),
    ):
        got = prim.bind(x[:, None] + np.zeros(7), np.broadcast_to(x, (7, 7)))
        want = getattr(onp, compare)(*pairs)
        # Adding 0 makes a positive zero of the negative one.
        assert onp.array_equal(onp.delete(got, 2, 0), onp.delete(want, 2, 0)), compare
    assert lax.lt_to_p.bind(np.array([1, 2]), np.array([2, 2])).tolist() == [True, False]


def test_windows():
    add = cv.make_jaxpr(lambda a, b: a + b)(1.0, 1.0)
    larger = cv.make_jaxpr(lambda a, b: a >= b)(1.0, 1.0)
    (sums,) = lax.reduce_window_p.bind(
        X, 0.0, jaxpr=add, base_dilation=(1, 1), window_dilation=(1, 1), **WINDOW
    )
    assert sums.tolist() == [[10.0, 14.0, 18.0], [26.0, 30.0, 34.0]]
    want = [[0.0] * 4, [0.0, 1.0, 2.0, 3.0], [0.0, 4.0, 5.0, 6.0]]
    source = np.arange(1.0, 7.0).reshape(2, 3)
    got = lax.select_and_scatter_add_p.bind(source, X, select_prim=lax.ge_p, **WINDOW)
    assert got.tolist() == want
    got = lax.select_and_scatter_p.bind(
        X, source, 0.0, select_jaxpr=larger, scatter_jaxpr=add, **WINDOW
    )
    assert got.tolist() == want
    got = lax.select_and_gather_add_p.bind(
        2 * X, X, select_prim=lax.ge_p, base_dilation=(1, 1), window_dilation=(1, 1), **WINDOW
    )
    assert got.tolist() == (2 * X[1:, 1:]).tolist()


def test_shapes_and_the_rest():
    first, second = lax.split_p.bind(X, sizes=(1, 2), axis=0)
    assert first.shape == (1, 4) and second.shape == (2, 4)
    assert lax.stack_p.bind(X, X, axis=1).shape == (3, 2, 4)
    assert [x.shape for x in lax.unstack_p.bind(X, axis=1)] == [(3,)] * 4
    assert lax.tile_p.bind(X, reps=(2, 1)).shape == (6, 4)
    assert cv.grad(lambda x: lax.stop_gradient_p.bind(x) * x)(3.0) == 3.0
    assert lax.device_put_p.bind(X, devices=(None,))[0].shape == X.shape
    assert cv.jit(lambda: lax.stage_p.bind(2.0))() == 2.0
    key = cv.random.key(0)
    assert cv.random.random_gamma_p.bind(key, 2.0) == cv.random.gamma(key, 2.0)
    drop = lax.ScatterDimensionNumbers((0,), (0,), (0,))
    got = lax.scatter_sub_p.bind(
        X, np.array([1]), np.ones(4), dimension_numbers=drop, indices_are_sorted=True,
        unique_indices=True, mode=lax.GatherScatterMode.FILL_OR_DROP,
    )  # fmt: skip
    assert got[1].tolist() == [3.0, 4.0, 5.0, 6.0]


def test_parts_at_indices():
    got = lax.index_take(X, (np.array([0, -1]),), (1,))
    assert got.tolist() == X[:, np.array([0, 3])].T.tolist()
    got = lax.index_take(X, (np.array([0, 3]), np.array([2, 1])), (1, 0))
    assert got.tolist() == [8.0, 7.0]
    with pytest.raises(ValueError, match="1 arrays of indices for 2 axes"):
        lax.index_take(X, (np.array([0]),), (0, 1))
    assert lax.dtype(1) == np.int32 and lax.dtype(onp.float16(1)) == np.float16


def test_the_largest_and_smallest():
    x = floats(4, 9)
    values, where = lax.approx_max_k(x, 3)
    assert onp.array_equal(values, -onp.sort(-x, 1)[:, :3])
    assert onp.array_equal(onp.take_along_axis(x, onp.asarray(where), 1), values)
    values, _ = cv.jit(lambda x: lax.approx_min_k(x, 2, reduction_dimension=0))(x)
    assert onp.array_equal(values, onp.sort(x, 0)[:2])
    assert lax.approx_top_k_p.bind(x, k=2, is_max_k=False)[0].shape == (4, 2)
    assert cv.grad(lambda x: lax.approx_min_k(x, 1)[0].sum())(x).sum() == 4
    with pytest.raises(ValueError, match="recall_target of approx_max_k"):
        lax.approx_max_k(x, 2, recall_target=1.5)
    with pytest.raises(TypeError, match="takes floats"):
        lax.approx_min_k(np.arange(3), 1)


def test_composite_is_traced_once():
    """For operands of one type and attributes that are the same, not merely equal."""
    seen = []

    def scaled(x, *, scale, more=(1,)):
        seen.append(scale)
        return x * scale

    fun = lax.composite(scaled, "test.scaled")
    for _ in range(3):
        assert float(fun(2.0, scale=3)) == 6.0
    assert seen == [3]
    assert fun(2.0, scale=3.0).dtype == np.float32
    assert fun(np.int32(2), scale=3).dtype == np.int32
    assert str(float(fun(1.0, scale=0.0))) == "0.0"
    assert str(float(fun(1.0, scale=-0.0))) == "-0.0"
    assert len(seen) == 5
    for scale in (np.arange(2), np.arange(2) + 1):  # of which the text does not say all
        onp.testing.assert_array_equal(fun(2.0, scale=scale), 2.0 * scale)
    (eqn,) = cv.make_jaxpr(lambda x: fun(x, scale=3))(2.0).jaxpr.eqns
    assert eqn.params["attributes"] == (("scale", 3),)
