"""A selection between an updated array and itself is an update: loops with one stay linear."""

import numpy as onp
import pytest

import covector as cv
import covector.numpy as np
from covector import lax


@pytest.fixture(autouse=True)
def wide():
    with cv.enable_x64(True):
        yield


def array(*shape):
    return np.asarray(onp.random.default_rng(len(shape)).standard_normal(shape))


# Functions of an array and of a counter: the array with some elements written, or as it was.


def one(x, i):
    return np.where(i % 3 == 0, x.at[i].set(i * 1.5), x)


def other_way_round(x, i):
    return np.where(i % 3 == 0, x, x.at[i].add(2.0))


def two_after_each_other(x, i):
    return np.where(i % 2 == 0, x.at[i].mul(3.0).at[i // 2].add(1.0), x)


def what_it_reads(x, i):
    return np.where(x[i] > 0, x.at[i].set(x[i // 2] + x[0]), x)


def nested(x, i):
    return np.where(i > 3, np.where(i % 2 == 0, x.at[i].min(0.1), x), x)


def slices(x, i):
    return np.where(i % 2 == 0, lax.dynamic_update_slice(x, x[:4] * 2, (i,)), x)


def branches(x, i):
    return lax.cond(i % 3 == 1, lambda x: x.at[i].set(-1.0), lambda x: x, x)


def rows(x, i):
    return np.where(i % 2 == 0, x.at[i].set(x[0] + 1), x)


def several_rows(x, i):
    return np.where(i % 2 == 0, x.at[np.array([0, 3, 3])].add(x[i]), x)


def a_mask(x, i):
    return np.where(np.arange(x.shape[0]) % 2 == 0, x.at[i].add(5.0), x)


FUNCTIONS = [one, other_way_round, two_after_each_other, what_it_reads, nested, slices, branches,
             a_mask]  # fmt: skip
CASES = [(f, (40,)) for f in FUNCTIONS] + [(rows, (40, 21)), (several_rows, (40, 21))]


@pytest.mark.parametrize(("f", "shape"), CASES, ids=lambda x: getattr(x, "__name__", ""))
def test_in_a_loop(f, shape):
    def run(x):
        return lax.fori_loop(0, 30, lambda i, x: f(x, i), x)

    x = array(*shape)
    want = x
    with cv.disable_jit():
        for i in range(30):
            want = f(want, i)
    onp.testing.assert_allclose(cv.jit(run)(x), want, rtol=1e-13)


@pytest.mark.parametrize(("f", "shape"), CASES, ids=lambda x: getattr(x, "__name__", ""))
def test_of_many_at_once(f, shape):
    """What `vmap` makes of a loop that ends elsewhere for each example."""

    def run(x, n):
        return lax.while_loop(lambda s: s[0] < n, lambda s: (s[0] + 1, f(s[1], s[0])), (0, x))[1]

    x = array(3, *shape)
    n = np.array([0, 11, 30])
    want = []
    with cv.disable_jit():
        for k in range(3):
            y = x[k]
            for i in range(int(n[k])):
                y = f(y, i)
            want.append(y)
    onp.testing.assert_allclose(cv.jit(cv.vmap(run))(x, n), np.stack(want), rtol=1e-13)


IN_PLACE = [one, other_way_round, two_after_each_other, nested, branches, rows]


@pytest.mark.parametrize("f", IN_PLACE, ids=lambda f: f.__name__)
@pytest.mark.parametrize("many", [False, True])
def test_nothing_is_copied(f, many):
    def run(x, n):
        return lax.while_loop(lambda s: s[0] < n, lambda s: (s[0] + 1, f(s[1], s[0])), (0, x))[1]

    x = np.ones((2, 1000, 20) if many else (1000, 20))
    if f is not rows:
        x = x[..., 0]
    g, n = (cv.vmap(run), np.array([500, 600])) if many else (run, 500)
    text = cv.jit(g).lower(x, n).compile().as_text("schedule")
    carries = [line.split() for line in text.splitlines()]
    assert any([words[:1] == ["inplace"] for words in carries])
    assert not any([words[:1] == ["swap"] for words in carries])


def test_the_array_as_it_was_is_used_elsewhere():
    def f(x, p):
        y = x.at[2].set(7.0)
        return np.where(p, y, x), y * 2, x + 1

    x = array(30)
    for p in (True, False):
        want = onp.asarray(x).copy()
        if p:
            want[2] = 7
        got = cv.jit(f)(x, p)
        onp.testing.assert_array_equal(got[0], want)
        onp.testing.assert_array_equal(got[1], onp.asarray(x.at[2].set(7.0)) * 2)
        onp.testing.assert_array_equal(got[2], onp.asarray(x) + 1)


def test_indices_that_read_the_array():
    def f(x):
        return np.where(x[0] > 0, x.at[x.astype(int) % 5].add(1.0), x)

    x = np.abs(array(30)) * 10
    with cv.disable_jit():
        want = f(x)
    onp.testing.assert_array_equal(cv.jit(f)(x), want)


def test_derivatives():
    def run(x):
        return (lax.fori_loop(0, 9, lambda i, x: one(x, i) * 1.1, x) ** 2).sum()

    x = array(20)
    with cv.disable_jit():
        want = cv.grad(run)(x)
    onp.testing.assert_allclose(cv.jit(cv.grad(run))(x), want, rtol=1e-12)


@pytest.mark.parametrize("n", [2, 4, 5, 8])
def test_small_arrays_read_under_conditions(n):
    """Where a size is known when the program runs, what is written out has conditions of it."""
    y = onp.random.default_rng(0).normal(size=(n, n)).astype("float32")
    traced = cv.jit(cv.grad(lambda y: np.trace(y) ** 2))
    onp.testing.assert_allclose(traced(y), 2 * onp.trace(y) * onp.eye(n), rtol=1e-5)
    diagonal = cv.jit(cv.grad(lambda v: np.sum(np.diag(np.outer(v, v)))))
    onp.testing.assert_allclose(diagonal(y[0]), 2 * y[0], rtol=1e-5)
