"""Rows that are walked once for all that is made of them, and sums of columns in one pass."""

import numpy as onp
import pytest

import covector as cv
import covector.numpy as np

SHAPES = [(1, 1), (3, 5), (17, 40), (40, 17), (300, 70), (5, 2000), (2000, 3), (70, 513)]


def schedule(f, *args):
    text = cv.jit(f).lower(*args).as_text("schedule")
    return text[: text.index("\nstorage")]


def layer_norm(x, w, b):
    m = x.mean(-1, keepdims=True)
    v = ((x - m) ** 2).mean(-1, keepdims=True)
    return (x - m) / np.sqrt(v + 1e-5) * w + b


def gradients(x, w, b, g):
    y, back = cv.vjp(layer_norm, x, w, b)
    return (y, *back(g))


def columns(x, w, b, g):
    return x.sum(0), (x * g).sum(0), (x * x + w).sum(0), (g - b).max(0)


def moments(x, w, b, g):
    m = x.mean(1)
    s = 1 / (1 + np.exp(m)) + np.sqrt(abs(m))
    t = (x * s[:, None]).sum(1)
    u = np.log1p(abs(t)) * s
    return (x - u[:, None] * g).sum(1), x * t[:, None] - u[:, None], u


def normalised(x, w, b, g):
    n = np.sqrt((x * x).sum(1))
    y = x / n[:, None]
    return y, (y * w).sum(1), n


FUNCTIONS = [gradients, columns, moments, normalised]


@pytest.mark.parametrize("f", FUNCTIONS)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_values(f, shape, dtype):
    with cv.enable_x64():
        rng = onp.random.default_rng(0)
        x, g = (rng.standard_normal(shape).astype(dtype) + 0.5 for _ in range(2))
        w, b = (rng.standard_normal(shape[1:]).astype(dtype) for _ in range(2))
        args = [np.asarray(a) for a in (x, w, b, g)]
        got = cv.jit(f)(*args)
        with cv.disable_jit():
            want = f(*args)
        tolerance = 2e-4 if dtype == "float32" else 1e-11
        for p, q in zip(got, want, strict=True):
            assert p.dtype == q.dtype
            onp.testing.assert_allclose(p, q, rtol=tolerance, atol=tolerance * 50)


def test_rows_are_walked_in_one_nest():
    args = [np.ones((400, 300)), np.ones(300), np.ones(300), np.ones((400, 300))]
    text = schedule(gradients, *args)
    # That of the rows, and that of the columns, whose sums share their loops.
    assert text.count("nest ") == 2
    assert text.count("accumulate") == 2 and text.count(" r together") == 1
    assert schedule(moments, *args).count("nest ") == 1
    assert schedule(normalised, *args).count("nest ") == 1


def test_what_ends_with_a_row_is_computed_in_vectors():
    text = schedule(lambda x: np.log(np.exp(x).sum(1)), np.ones((400, 300)))
    assert text.count("nest ") == 2 and "for n0 p vector" in text


def test_sums_of_columns_share_their_loops():
    args = [np.ones((400, 300)), np.ones(300), np.ones(300), np.ones((400, 300))]
    text = schedule(columns, *args)
    assert text.count("nest ") == 1 and text.count("accumulate") == 4


def test_a_sum_of_what_another_sum_gives_has_its_own_loops():
    f = lambda x: (x.sum(0), (x * x.sum(0)).sum(0))  # noqa: E731
    x = onp.random.default_rng(1).standard_normal((300, 200)).astype("f")
    first, second = cv.jit(f)(x)
    onp.testing.assert_allclose(first, x.sum(0), rtol=1e-4, atol=1e-4)
    onp.testing.assert_allclose(second, (x * x.sum(0)).sum(0), rtol=1e-3, atol=1e-3)
    assert schedule(f, np.asarray(x)).count(" r together") == 2
