"""Updates of the interior of arrays: over the array itself where that is right, and one pass."""

import numpy as onp
import pytest

import covector as cv
import covector.numpy as np
from covector import lax

N = 70


def text(f, *args):
    return cv.jit(f).lower(*args).as_text("schedule")


def run(step, rounds):
    return lambda *arrays: lax.fori_loop(0, rounds, lambda _, s: step(*s), arrays)


def jacobi(a, b):
    b = b.at[1:-1].set((a[:-2] + a[1:-1] + a[2:]) / 3)
    return a.at[1:-1].set((b[:-2] + b[1:-1] + b[2:]) / 3), b


def waves(e, h):
    e = e.at[0].set(h[3] * 0.5)
    e = e.at[1:].set(e[1:] - 0.5 * (h[1:] - h[:-1]))
    return e, h.at[:-1].set(h[:-1] - 0.7 * (e[1:] - e[:-1]))


def scaled(a, b):
    return a.at[5:60].set(a[5:60] * 0.5 + b[4:59]), b


def seidel(a, b):
    # Every element is that before it, as it was: not what can be done over the array itself.
    return a.at[1:].set(a[:-1] * 0.5 + a[1:]), b


def crossed(a, b):
    return a.at[1:].set(a[1:] + b[:-1]), b.at[:-1].set(b[:-1] - a[1:])


def both_ways(a, b):
    c = a[::-1]
    return a.at[2:50].set(a[2:50] + c[2:50]), b + c


STEPS = [jacobi, waves, scaled, seidel, crossed, both_ways]


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("shape", [(N,), (N, 40), (N, 17, 9)])
@pytest.mark.parametrize("rounds", [0, 1, 2, 5])
def test_loops_of_updates(step, shape, rounds):
    rng = onp.random.default_rng(rounds)
    arrays = [rng.standard_normal(shape).astype("f") for _ in range(2)]
    want = [np.asarray(a) for a in arrays]
    for _ in range(rounds):
        want = step(*want)
    for got, expected in zip(cv.jit(run(step, rounds))(*arrays), want, strict=True):
        onp.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("step", [jacobi, waves, scaled])
def test_such_a_loop_needs_no_further_memory(step):
    arrays = [onp.ones((300, 50), "f") for _ in range(2)]
    assert cv.jit(run(step, 4)).lower(*arrays).compile().memory_analysis().temp_size_in_bytes < 4096
    assert "swap" not in text(run(step, 4), *arrays)


def test_what_is_read_elsewhere_is_kept():
    arrays = [onp.ones((300, 50), "f") for _ in range(2)]
    assert "in piece 0" in text(run(seidel, 4), *arrays)


@pytest.mark.parametrize("donated", [(), (0,)])
def test_a_part_of_an_argument(donated):
    f = cv.jit(lambda a: a.at[3:, 2:].set(2 * a[3:, 2:] + 1), donate_argnums=donated)
    x = onp.arange(3000, dtype="f").reshape(60, 50)
    want = x.copy()
    want[3:, 2:] = 2 * x[3:, 2:] + 1
    a = np.asarray(x)
    onp.testing.assert_array_equal(f(a), want)
    assert a.is_deleted() == bool(donated)


@pytest.mark.parametrize("seed", range(40))
def test_random_windows(seed):
    rng = onp.random.default_rng(seed)
    n, m = (int(k) for k in rng.integers(20, 90, 2))

    def window(size, length):
        start = int(rng.integers(0, size - length + 1))
        return slice(start, start + length)

    plan = []
    for _ in range(int(rng.integers(1, 4))):
        rows, columns = int(rng.integers(1, n + 1)), int(rng.integers(1, m + 1))
        dest = window(n, rows), window(m, columns)
        reads = [
            (int(rng.integers(0, 3)),
             dest if rng.random() < 0.4 else (window(n, rows), window(m, columns)))
            for _ in range(int(rng.integers(1, 4)))
        ]  # fmt: skip
        plan.append((int(rng.integers(0, 3)), dest, reads))

    def step(xp, s):
        s = list(s)
        for target, dest, reads in plan:
            new = sum(s[k][at] * (0.25 + 0.125 * i) for i, (k, at) in enumerate(reads))
            if xp is np:
                s[target] = s[target].at[dest].set(new)
            else:
                s[target] = s[target].copy()
                s[target][dest] = new
        return s

    arrays = [rng.standard_normal((n, m)).astype("f") for _ in range(3)]
    want = arrays
    for _ in range(3):
        want = step(onp, want)
    got = cv.jit(lambda *s: lax.fori_loop(0, 3, lambda _, s: step(np, s), list(s)))(*arrays)
    for x, y in zip(got, want, strict=True):
        onp.testing.assert_allclose(x, y, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("n", [1, 3, 8, 15, 16, 17, 31, 33, 70, 20_001])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int8", "bool", "complex64"])
def test_what_is_overwritten_is_read_once(n, dtype):
    # The last vector of a loop overlaps the one before, but not where it would read its results.
    with cv.enable_x64():
        x = (onp.arange(n) % 5).astype(dtype)
        step = (lambda a: ~a) if dtype == "bool" else (lambda a: a * 3 + 1)
        once, four = step(x).astype(dtype), x
        for _ in range(4):
            four = step(four).astype(dtype)
        onp.testing.assert_array_equal(cv.jit(step)(x), once)
        onp.testing.assert_array_equal(cv.jit(step, donate_argnums=0)(np.asarray(x)), once)
        looped = cv.jit(lambda a: lax.fori_loop(0, 4, lambda _, a: step(a), a))
        onp.testing.assert_array_equal(looped(x), four)
        chosen = cv.jit(lambda p, a: lax.cond(p, step, lambda a: a, a), donate_argnums=1)
        onp.testing.assert_array_equal(chosen(True, np.asarray(x)), once)
        part = cv.jit(lambda a: a.at[n // 3 :].set(step(a[n // 3 :])), donate_argnums=0)
        onp.testing.assert_array_equal(part(np.asarray(x))[n // 3 :], once[n // 3 :])
