"""Reductions over windows against sums and extrema of slices, and their gradients."""

import numpy as onp
import pytest

import covector as cv
import covector.numpy as np
from covector import lax


@pytest.fixture(autouse=True)
def x64():
    with cv.enable_x64():
        yield


RNG = onp.random.default_rng(0)
KNOWN = {"add": (0, onp.add), "max": (-onp.inf, onp.maximum), "min": (onp.inf, onp.minimum)}

# shape, window, steps, padding, dilation of the operand, of the window
FORMS = {
    "vector": ((7,), (3,), (1,), "VALID", None, None),
    "steps": ((7, 8), (2, 3), (2, 3), "SAME", None, None),
    "lower": ((7, 8), (2, 2), (3, 1), "SAME_LOWER", None, None),
    "padded": ((5, 4), (3, 2), (1, 2), [(2, 0), (1, 3)], None, None),
    "cut": ((6, 5), (2, 2), (1, 1), [(-1, 0), (0, -2)], None, None),
    "spread": ((4, 5), (3, 2), (2, 1), [(1, 1), (0, 2)], (2, 3), None),
    "dilated": ((9, 8), (3, 2), (1, 2), [(1, 1), (0, 2)], None, (2, 3)),
    "images": ((2, 6, 6, 3), (1, 2, 2, 1), (1, 2, 2, 1), "VALID", None, None),
    "channels first": ((2, 3, 6, 6), (1, 1, 3, 3), (1, 1, 2, 2), "SAME", None, None),
    "whole": ((4, 5), (4, 5), (1, 1), "VALID", None, None),
    "long": ((100,), (37,), (3,), "SAME", None, None),
    "one": ((4, 5), (1, 1), (2, 2), "VALID", None, None),
    "nothing left": ((2, 5), (3, 1), (1, 1), "VALID", None, None),
    "empty": ((0, 5), (1, 2), (1, 1), "VALID", None, None),
}


def reference(x, start, combine, window, strides, padding, bd=None, wd=None):
    rank = x.ndim
    bd, wd = bd or (1,) * rank, wd or (1,) * rank
    reach = [(w - 1) * d + 1 for w, d in zip(window, wd, strict=True)]
    if isinstance(padding, str):
        padding = lax.padtype_to_pads(x.shape, reach, strides, padding)
    sizes = [(n - 1) * d + 1 if n else 0 for n, d in zip(x.shape, bd, strict=True)]
    out_shape = [
        max(0, (n + a + b - r) // s + 1)
        for n, (a, b), r, s in zip(sizes, padding, reach, strides, strict=True)
    ]
    out = onp.full(out_shape, start, x.dtype)
    for p in onp.ndindex(*out_shape):
        for k in onp.ndindex(*window):
            q = [
                i * s + j * d - a
                for i, j, s, d, (a, _) in zip(p, k, strides, wd, padding, strict=True)
            ]
            if all(0 <= i < n and i % d == 0 for i, n, d in zip(q, sizes, bd, strict=True)):
                out[p] = combine(out[p], x[tuple(i // d for i, d in zip(q, bd, strict=True))])
    return out


def start_of(name, dtype):
    start = KNOWN[name][0]
    if onp.dtype(dtype).kind in "iu" and name != "add":
        info = onp.iinfo(dtype)
        return int(info.min if name == "max" else info.max)
    return start


@pytest.mark.parametrize("dtype", ["float64", "float32", "int32", "uint8"])
@pytest.mark.parametrize("name", KNOWN)
@pytest.mark.parametrize("form", FORMS)
def test_sums_and_extrema(form, name, dtype):
    shape, *rest = FORMS[form]
    x = RNG.integers(0, 9, shape).astype(dtype)
    start = start_of(name, dtype)
    want = reference(x, start, KNOWN[name][1], *rest)
    got = lax.reduce_window(x, start, getattr(lax, name), *rest)
    assert got.dtype == want.dtype and got.shape == want.shape
    onp.testing.assert_array_equal(got, want)
    assert got.shape == lax.reduce_window_shape_tuple(shape, *rest)
    # The same by a function that is not known.
    general = lax.reduce_window(
        x, onp.asarray(start, dtype), lambda a, b: getattr(lax, name)(a, b) + a * 0, *rest
    )
    if dtype[0] != "f" or name == "add":
        onp.testing.assert_array_equal(general, want)


def test_other_starts_count_once():
    x = onp.arange(5.0)
    assert lax.reduce_window(x, 10.0, lax.add, (2,)).tolist() == [11.0, 13.0, 15.0, 17.0]
    assert lax.reduce_window(x, 2.5, lax.max, (2,)).tolist() == [2.5, 2.5, 3.0, 4.0]
    got = cv.jit(lambda x, s: lax.reduce_window(x, s, lax.add, (2,)))(x, 10.0)
    assert got.tolist() == [11.0, 13.0, 15.0, 17.0]


def test_several_operands():
    """The largest element of each window and where it was."""
    x, i = onp.array([3.0, 1.0, 4.0, 1.0, 5.0, 9.0]), onp.arange(6)

    def larger(a, b):
        first = a[0] >= b[0]
        return np.where(first, a[0], b[0]), np.where(first, a[1], b[1])

    for f in (lax.reduce_window, cv.jit(lax.reduce_window, static_argnums=(2, 3, 4))):
        values, at = f((x, i), (-onp.inf, -1), larger, (3,), (1,))
        assert values.tolist() == [4, 4, 5, 9] and at.tolist() == [2, 2, 4, 5]


@pytest.mark.parametrize("name", KNOWN)
@pytest.mark.parametrize("form", [f for f in FORMS if f != "empty"])
def test_derivatives(form, name):
    shape, *rest = FORMS[form]
    x = RNG.permutation(int(onp.prod(shape))).reshape(shape).astype(float)

    def f(x):
        return lax.reduce_window(x, float(KNOWN[name][0]), getattr(lax, name), *rest)

    tangent = RNG.normal(size=shape)
    y, dy = cv.jvp(f, (x,), (tangent,))
    h = 1e-3
    want = (
        onp.where(onp.isfinite(y), f(x + h * tangent), 0) - onp.where(onp.isfinite(y), y, 0)
    ) / h
    onp.testing.assert_allclose(dy, want, atol=1e-9)
    ct = RNG.normal(size=y.shape)
    (gx,) = cv.vjp(f, x)[1](ct)
    assert gx.shape == shape
    onp.testing.assert_allclose((gx * tangent).sum(), (dy * ct).sum(), atol=1e-10)
    onp.testing.assert_allclose(cv.jit(lambda x: cv.vjp(f, x)[1](ct)[0])(x), gx, atol=1e-12)
    many = onp.stack([x, -x, 2 * x])
    for axis in (0, -1):
        got = cv.vmap(f, axis, axis)(onp.moveaxis(many, 0, axis))
        onp.testing.assert_array_equal(
            onp.moveaxis(onp.asarray(got), axis, 0), onp.stack([f(v) for v in many])
        )
        slopes = cv.vmap(lambda x: cv.vjp(f, x)[1](ct)[0], axis, axis)(onp.moveaxis(many, 0, axis))
        want = onp.stack([cv.vjp(f, v)[1](ct)[0] for v in many])
        onp.testing.assert_allclose(onp.moveaxis(onp.asarray(slopes), axis, 0), want, atol=1e-12)


def test_the_first_of_equal_elements_has_the_gradient():
    x = onp.array([[1.0, 2.0], [2.0, 2.0]])
    g = cv.grad(lambda x: lax.reduce_window(x, -onp.inf, lax.max, (2, 2)).sum())(x)
    assert g.tolist() == [[0, 1], [0, 0]]
    assert cv.grad(lambda x: lax.reduce_window(x, onp.inf, lax.min, (2, 2)).sum())(-x).tolist() == [
        [0, 1], [0, 0]
    ]  # fmt: skip


def test_nan_and_infinities():
    x = onp.array([1.0, onp.nan, 2.0, -onp.inf, -onp.inf])
    for name in ("max", "min"):
        got = lax.reduce_window(x, float(KNOWN[name][0]), getattr(lax, name), (2,))
        want = reference(x, KNOWN[name][0], KNOWN[name][1], (2,), (1,), "VALID")
        onp.testing.assert_array_equal(got, want)


X = onp.ones((4, 5))


def summed(window, *rest, x=X, start=0.0, **options):
    return lambda: lax.reduce_window(x, start, lax.add, window, *rest, **options)


ERRORS = {
    "dimensions": (summed((2,)), ValueError, ["window_dimensions", "2 dimensions"]),
    "steps": (summed((2, 2), (0, 1)), ValueError, ["window_strides must be positive"]),
    "size": (summed((0, 2)), ValueError, ["window_dimensions must be positive"]),
    "padding": (summed((2, 2), padding="FULL"), ValueError, ["'FULL'"]),
    "pairs": (summed((2, 2), padding=[1, 2]), ValueError, ["pairs of integers"]),
    "start": (summed((2, 2), start=onp.ones(2)), TypeError, ["init_value", "float64[2]"]),
    "tree": (summed((2, 2), x=(X, X)), TypeError, ["structure"]),
    "shapes": (summed((2, 2), x=(X, X[0]), start=(0.0, 0.0)), ValueError, ["one shape"]),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name):
    call, error, parts = ERRORS[name]
    with pytest.raises(error) as e:
        call()
    for part in parts:
        assert part in str(e.value)


@pytest.mark.peer
@pytest.mark.parametrize("seed", range(30))
def test_random_windows_are_those_of_jax(seed):
    import jax

    rng = onp.random.default_rng(seed)
    rank = int(rng.integers(1, 4))
    shape, window, strides = (rng.integers(1, n, rank).tolist() for n in (8, 5, 4))
    padding = ("SAME", "VALID", rng.integers(0, 4, (rank, 2)).tolist())[seed % 3]
    # JAX has no gradients of dilated windows.
    bd, wd = (rng.integers(1, 3, rank).tolist() if seed % 2 else [1] * rank for _ in range(2))
    x = rng.integers(-4, 5, shape).astype(float)
    for name, (start, _) in KNOWN.items():
        results = []
        for v, l in ((cv, lax), (jax, jax.lax)):

            def f(x, l=l, start=start, name=name):
                combine = getattr(l, name)
                return l.reduce_window(x, float(start), combine, window, strides, padding, bd, wd)

            if seed % 2:
                results.append((onp.asarray(f(x)),))
            else:
                out, pull = v.vjp(f, x)
                results.append((onp.asarray(out), onp.asarray(pull(out * 0 + 1)[0])))
        for a, b in zip(*results, strict=True):
            onp.testing.assert_allclose(a, b)
