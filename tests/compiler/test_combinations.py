"""Reductions with combinations of their own: several values, all types, all sizes, in loops."""

import functools

import numpy as onp
import pytest

import covector as cv
import covector.numpy as np
from covector import lax

RNG = onp.random.default_rng(0)


def log_add_exp(a, b):
    return np.logaddexp(a, b)


def welford(a, b):
    """Numbers, means and sums of squared deviations of two samples, of both."""
    (n, m, s), (k, mean, t) = a, b
    total, d = n + k, mean - m
    share = k / np.where(total == 0, 1, total)
    return total, m + d * share, s + t + d * d * n * share


def moments(x, axes):
    start = (0.0, 0.0, 0.0)
    n, m, s = lax.reduce((np.ones_like(x), x, np.zeros_like(x)), start, welford, axes)
    return n, m, s / n


def largest_with_place(a, b):
    take = (b[0] > a[0]) | ((b[0] == a[0]) & (b[1] < a[1]))
    return np.where(take, b[0], a[0]), np.where(take, b[1], a[1])


def text(f, *args):
    return cv.jit(f).lower(*args).compile().as_text("loop")


AXES = [(0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2), ()]


@pytest.mark.parametrize("axes", AXES)
@pytest.mark.parametrize("shape", [(3, 4, 5), (40, 3, 70), (1, 130, 2), (33, 1, 17)])
def test_welford(shape, axes):
    x = RNG.normal(size=shape).astype(onp.float32)
    f = functools.partial(moments, axes=axes)
    assert "reduce from" in text(f, x)
    for got in (cv.jit(f)(x), f(x)):
        n, mean, variance = map(onp.asarray, got)
        assert (n == onp.prod([shape[a] for a in axes], dtype=float)).all()
        assert onp.allclose(mean, x.mean(axes, dtype=onp.float64), atol=1e-5)
        assert onp.allclose(variance, x.var(axes, dtype=onp.float64), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("n", [0, 1, 2, 3, 15, 16, 17, 63, 64, 65, 200, 1001])
@pytest.mark.parametrize("axis", [0, 1])
def test_every_length(n, axis):
    shape = (n, 5) if axis == 0 else (5, n)
    x = RNG.normal(size=shape).astype(onp.float32)
    f = cv.jit(lambda x: lax.reduce(x, -np.inf, log_add_exp, (axis,)))
    expected = onp.logaddexp.reduce(x.astype(onp.float64), axis=axis)
    assert onp.allclose(f(x), expected, atol=1e-5)
    assert onp.allclose(f(np.asarray(x.T.copy()).T), expected, atol=1e-5)
    rows = cv.jit(lambda x: lax.reduce(x, -np.inf, log_add_exp, (1 - axis,)))
    assert onp.allclose(rows(x), onp.logaddexp.reduce(x.astype(float), axis=1 - axis), atol=1e-5)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_floats(dtype):
    with cv.enable_x64():
        x = np.asarray(RNG.normal(size=(6, 50)), dtype)
        got = cv.jit(lambda x: lax.reduce(x, -np.inf, log_add_exp, (1,)))(x)
        assert got.dtype == dtype
        expected = onp.logaddexp.reduce(onp.asarray(x, onp.float64), axis=1)
        rtol = {"float16": 2e-2, "bfloat16": 2e-1, "float32": 1e-5, "float64": 1e-13}[dtype]
        assert onp.allclose(onp.asarray(got, onp.float64), expected, rtol=rtol)


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
@pytest.mark.parametrize("axes", [(0,), (1,), (0, 1)])
def test_complex_products(dtype, axes):
    with cv.enable_x64():
        x = RNG.normal(size=(5, 37)) + 1j * RNG.normal(size=(5, 37))
        x = (x / abs(x)).astype(dtype)
        f = cv.jit(lambda x: lax.reduce(x, 1.0, lambda a, b: a * b * 1, axes))
        assert "reduce from" in text(f, x)
        tol = 1e-5 if dtype == "complex64" else 1e-13
        assert onp.allclose(f(x), x.prod(axes), rtol=tol)


@pytest.mark.parametrize("dtype", ["int8", "int32", "int64", "uint16", "float32"])
@pytest.mark.parametrize("axes", [(0,), (1,), (0, 1)])
def test_largest_with_its_place(dtype, axes):
    with cv.enable_x64():
        x = RNG.integers(0, 20, (9, 43)).astype(dtype)
        places = onp.arange(x.size).reshape(x.shape)
        low = 0 if dtype == "uint16" else -100
        start = (onp.asarray(low, dtype), onp.int64(1 << 40))
        best, place = cv.jit(lambda x, p: lax.reduce((x, p), start, largest_with_place, axes))(
            x, places
        )
        assert onp.array_equal(best, x.max(axes))
        flat = x if axes == (0, 1) else onp.moveaxis(x, axes[0], 0)
        first = flat.reshape(-1, *onp.shape(best)).argmax(0)
        where = onp.moveaxis(places, axes[0], 0).reshape(-1, *onp.shape(best))
        expected = onp.take_along_axis(where, first[None], 0)[0]
        assert onp.array_equal(place, expected)


def test_booleans():
    x = RNG.random((50, 7)) < 0.5
    got = cv.jit(lambda x: lax.reduce(x, True, lambda a, b: a == b, (0,)))(x)
    assert onp.array_equal(got, ~onp.logical_xor.reduce(x, axis=0) ^ (len(x) % 2 == 1))


KNOWN = [
    ("sum", lax.add, 0, "int32"), ("sum", lax.add, 0, "float32"), ("prod", lax.mul, 1, "float64"),
    ("max", lax.max, -onp.inf, "float32"), ("min", lax.min, onp.inf, "float64"),
    ("and", lax.bitwise_and, -1, "int32"), ("or", lax.bitwise_or, 0, "int64"),
    ("xor", lax.bitwise_xor, 0, "int8"),
]  # fmt: skip


@pytest.mark.parametrize("name, op, start, dtype", KNOWN, ids=lambda x: str(x))
def test_known_combinations_written_out(name, op, start, dtype):
    with cv.enable_x64():
        values = RNG.integers(-5, 6, (6, 100)) if dtype.startswith("int") else RNG.random((6, 100))
        x = np.asarray(values, dtype)
        start = onp.asarray(start).astype(dtype)

        def short(x):
            return lax.reduce(x, start, op, (1,))

        def long(x):
            return lax.reduce(x, start, lambda a, b: op(op(a, b), start), (1,))

        assert f"= {name} over" in text(short, x)
        assert "reduce from" in text(long, x)
        a, b = cv.jit(short)(x), cv.jit(long)(x)
        assert a.dtype == b.dtype and onp.allclose(a, b, rtol=1e-5 if dtype == "float32" else 1e-12)


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0, 0)])
@pytest.mark.parametrize("axes", [(0,), (1,), (0, 1)])
def test_nothing_to_reduce(shape, axes):
    got = cv.jit(lambda x: lax.reduce(x, 2.5, lambda a, b: a * b + 0, axes))(np.zeros(shape))
    assert onp.array_equal(got, onp.full(onp.zeros(shape).sum(axes).shape, 2.5, onp.float32))


def test_a_start_that_is_not_neutral_counts_once():
    x = RNG.random((3, 100)).astype(onp.float32)
    f = cv.jit(lambda x, s: lax.reduce(x, s, lambda a, b: a + b + 0, (1,)))
    assert onp.allclose(f(x, 7.0), x.sum(1) + 7, rtol=1e-5)
    y = x.copy().T
    g = cv.jit(lambda x, s: lax.reduce(x, s, lambda a, b: a + b + 0, (0,)))
    assert onp.allclose(g(y, 7.0), x.sum(1) + 7, rtol=1e-5)


def test_batches_of_operands_and_starts():
    x = RNG.random((4, 3, 20)).astype(onp.float32)
    starts = onp.arange(4, dtype=onp.float32)

    def f(x, s):
        return lax.reduce(x, s, lambda a, b: a + b + 0, (1,))

    for axis in range(3):
        y = onp.moveaxis(x, 0, axis)
        got = cv.vmap(f, in_axes=(axis, None))(y, 2.0)
        assert onp.allclose(got, x.sum(2) + 2, rtol=1e-5)
    assert onp.allclose(cv.vmap(f)(x, starts), x.sum(2) + starts[:, None], rtol=1e-5)
    assert onp.allclose(cv.vmap(f, in_axes=(None, 0))(x[0], starts), x[0].sum(1) + starts[:, None])


def test_derivatives():
    x = RNG.normal(size=(5, 30)).astype(onp.float32)

    def f(x):
        return np.sum(np.sin(lax.reduce(x, -np.inf, log_add_exp, (1,))))

    def g(x):
        return np.sum(np.sin(np.log(np.sum(np.exp(x), axis=1))))

    for transform in (cv.grad, lambda f: cv.grad(cv.jit(f)), cv.jacfwd):
        assert onp.allclose(transform(f)(x), transform(g)(x), atol=1e-5)
    tangent = RNG.normal(size=x.shape).astype(onp.float32)
    for a, b in zip(cv.jvp(f, (x,), (tangent,)), cv.jvp(g, (x,), (tangent,)), strict=True):
        assert onp.allclose(a, b, atol=1e-4)
    assert onp.allclose(cv.hessian(f)(x[:2, :3]), cv.hessian(g)(x[:2, :3]), atol=1e-4)


def test_operands_that_are_computed():
    x = RNG.normal(size=(40, 50)).astype(onp.float32)

    def f(x):
        y = np.exp(x.T) + 1
        n, mean, variance = moments(y, (0,))
        return mean * 2, np.sqrt(variance)

    y = onp.exp(x.T.astype(float)) + 1
    mean, deviation = cv.jit(f)(x)
    assert onp.allclose(mean, 2 * y.mean(0), rtol=1e-5)
    assert onp.allclose(deviation, y.std(0), rtol=1e-4)


def test_small_arrays_in_registers():
    def f(x):
        y = x * 2
        return lax.reduce(y, -np.inf, log_add_exp, (0,)) + lax.reduce(
            y[:3], -np.inf, log_add_exp, (0,)
        )

    x = RNG.normal(size=5).astype(onp.float32)
    expected = onp.logaddexp.reduce(2 * x) + onp.logaddexp.reduce(2 * x[:3])
    assert onp.allclose(cv.jit(f)(x), expected, rtol=1e-5)


def test_inside_loops_and_branches():
    x = RNG.normal(size=(6, 20)).astype(onp.float32)

    def f(x):
        def body(c, row):
            top = lax.reduce(row + c, -np.inf, log_add_exp, (0,))
            return lax.cond(top > 2, lambda: lax.reduce(row, 1.0, lambda a, b: a * b + 0, (0,)),
                            lambda: top), top  # fmt: skip

        return lax.scan(body, np.float32(0), x)

    c, tops = 0.0, []
    for row in x.astype(float):
        tops.append(onp.logaddexp.reduce(row + c))
        c = row.prod() if tops[-1] > 2 else tops[-1]
    got, all_tops = cv.jit(f)(x)
    assert onp.allclose(all_tops, tops, rtol=1e-4)
    assert onp.allclose(got, c, rtol=1e-4)


def test_combinations_that_are_no_expression():
    x = RNG.normal(size=(3, 11)).astype(onp.float32)

    def branching(a, b):
        return lax.cond(a > b, lambda: a * 1, lambda: b * 1)

    def looping(a, b):
        return lax.fori_loop(0, 2, lambda i, c: c + b / 2, a)

    f = cv.jit(lambda x: lax.reduce(x, -np.inf, branching, (1,)))
    assert onp.array_equal(f(x), x.max(1))
    g = cv.jit(lambda x: lax.reduce(x, 0.0, looping, (1,)))
    assert onp.allclose(g(x), x.sum(1), rtol=1e-4, atol=1e-5)


def test_combinations_that_close_over_values():
    x = RNG.random((3, 11)).astype(onp.float32)
    f = cv.jit(lambda x, s: lax.reduce(x, 0.0, lambda a, b: a + b + s * 0, (1,)))
    assert onp.allclose(f(x, 3.0), x.sum(1), rtol=1e-5)


def test_sizes_are_erased():
    f = cv.jit(lambda x: lax.reduce(x, -np.inf, log_add_exp, (0,)))
    keys = {text(f, onp.zeros(n, onp.float32)).replace(f"n0 = {n}", "n0") for n in (100, 101, 5000)}
    assert len(keys) == 1


# --- the order of elements ---


def affine(a, b):
    """The composition of x * a[0] + a[1] and, after it, x * b[0] + b[1]: it does not commute."""
    return a[0] * b[0], a[1] * b[0] + b[1]


def wide(a, b):
    """The same, of so many operations that each lane takes a stretch of elements."""
    zero = np.sin(a[0]) * 0 + np.cos(b[0]) * 0
    first, second = affine(a, b)
    return first + zero, second


def composed(a, b):
    """What `affine` gives, along the last axis, one element after the other."""
    p, q = onp.ones(a.shape[:-1]), onp.zeros(a.shape[:-1])
    for k in range(a.shape[-1]):
        p, q = p * a[..., k], q * a[..., k] + b[..., k]
    return p, q


def pair(shape):
    scale = RNG.uniform(0.9, 1.1, shape).astype(onp.float32)
    return scale, RNG.normal(size=shape).astype(onp.float32)


def close(got, want):
    for g, w in zip(got, want, strict=True):
        onp.testing.assert_allclose(g, w, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("op", [affine, wide])
@pytest.mark.parametrize("n", [1, 2, 3, 7, 8, 9, 16, 33, 64, 65, 100, 257])
def test_elements_are_combined_in_their_order(op, n):
    def f(a, b, axis):
        return lax.reduce((a, b), (1.0, 0.0), op, (axis,))

    a, b = pair((3, n))
    want = composed(a, b)
    close(f(a, b, 1), want)
    close(f(a.T.copy(), b.T.copy(), 0), want)
    close(cv.jit(f, static_argnums=2)(np.array(a), b, 1), want)
    close(cv.vmap(lambda a, b: f(a, b, 0))(a, b), want)
    close(cv.jvp(lambda a: f(a, b, 1), (a,), (a * 0,))[0], want)


@pytest.mark.parametrize("axes", [(0,), (1,), (2,), (0, 1), (1, 0), (2, 0), (1, 2), (2, 0, 1)])
def test_several_axes_are_combined_row_by_row(axes):
    a, b = pair((4, 5, 6))
    kept = [k for k in range(3) if k not in axes]
    order = (*kept, *sorted(axes))
    shape = (*[a.shape[k] for k in kept], -1)
    want = composed(a.transpose(order).reshape(shape), b.transpose(order).reshape(shape))
    close(lax.reduce((a, b), (1.0, 0.0), affine, axes), want)


@pytest.mark.parametrize(
    "init, op, message",
    [
        (onp.ones(2, onp.float32), lambda a, b: a + b, r"got float32\[2\] for float32\[3\]"),
        (onp.int32(0), lambda a, b: a + b, r"got int32\[\] for float32\[3\]"),
        (0.0, lambda a, b: (a, b), "<lambda> returns PyTreeSpec"),
        (0.0, lambda a, b: None, "<lambda> returns PyTreeSpec"),
        (0.0, lambda a, b: a > b, r"float32\[\], but <lambda> returns bool\[\]"),
        (0.0, lambda a, b: np.stack([a, b]), r"returns float32\[2\]"),
    ],
)
def test_what_is_no_combination(init, op, message):
    with pytest.raises(ValueError if onp.ndim(init) else TypeError, match=message):
        lax.reduce(np.ones(3), init, op, (0,))
