"""Loops whose carries belong to one index each: the loop over indices is outermost."""

import os
import signal
import subprocess
import sys
import textwrap

import numpy as onp
import pytest

import covector as cv
import covector.numpy as np
from covector import lax

COUNTS = (16, 17, 31, 32, 33, 100)


@pytest.fixture(autouse=True)
def wide():
    with cv.enable_x64(True):
        yield


def drawn(seed, dtype, *shape):
    x = onp.random.default_rng(seed).uniform(0.5, 1.5, shape)
    if dtype.startswith("complex"):
        x = x + 0.3j
    return np.asarray(x * 10 if dtype.startswith("int") else x).astype(dtype)


def text(f, *args, stage="loop"):
    return cv.jit(f).lower(*args).compile().as_text(stage)


# Each function is of what belongs to one index: a vector of three numbers.


def lotka_volterra(a):
    def velocity(y):
        return np.stack([y[0] * (a[0] - y[1]), y[1] * (a[1] * y[0] - a[2])])

    def step(y, _):
        h = np.asarray(0.01, a.dtype)
        k1 = velocity(y)
        k2 = velocity(y + h / 2 * k1)
        return y + h * k2, None

    return lax.scan(step, np.ones(2, a.dtype), None, length=37)[0]


def newton(a):
    def more(s):
        return abs(s[0] * s[0] - a[0]) > 1e-5 * a[0]

    return lax.while_loop(more, lambda s: ((s[0] + a[0] / s[0]) / 2, s[1] + 1), (a[1], 0))


def counted(a):
    return lax.fori_loop(0, 21, lambda i, s: s * a[0] / 2 + a[1] * i, a[2])


def nested(a):
    def outer(s, i):
        return lax.fori_loop(0, 5, lambda j, s: s / 2 + a * j, s + i), None

    return lax.scan(outer, a, np.arange(4).astype(a.dtype))[0]


def best(a):
    def step(s, _):
        k = np.argmax(s)
        return np.where(np.arange(3) == k, s / 2, s + a), None

    return lax.scan(step, a, None, length=10)[0]


def running(a):
    def step(s, _):
        return np.cumsum(s[::-1]) / 3 + np.concatenate([a[1:], a[:1]]), None

    return lax.scan(step, a, None, length=6)[0]


def matrices(a):
    m = a[:, None] * a[None] / 4

    def step(s, _):
        return (m @ s[0], s[1] + s[0].sum()), None

    return lax.scan(step, (a, a[0]), None, length=7)[0]


def until(a):
    """Some are done at once, some never begin."""
    return lax.while_loop(lambda s: s.sum() < 20 * a[0], lambda s: s + a, a * 0)


def trajectory(a):
    """Rows that belong to an index, and one that belongs to none."""

    def step(y, x):
        y = y * a[:2] / 2 + x
        return y, (y, y.sum(), x * 3)

    return lax.scan(step, np.ones(2, a.dtype), np.arange(17).astype(a.dtype) / 9)


def backwards(a):
    return lax.scan(lambda s, x: (s / 2 + x, s), a, np.arange(20).astype(a.dtype) * a[0],
                    reverse=True)  # fmt: skip


def there_and_back(a):
    """What the first loop leaves is read by the next ones, in another order, and not returned."""
    x = np.arange(16).astype(a.dtype) / 16
    (s, t), rows = lax.scan(lambda s, x: ((s[0] / 2 + a * x, s[1] + x), (s[0], s[1])), (a, a[0]), x)
    _, last = lax.scan(lambda s, row: (s / 2 - row[0] * row[1], s + t), s, rows, reverse=True)
    return lax.scan(lambda s, row: (s / 3 + row, None), s, last[::1])[0]


def kept_and_read(a):
    """What the first loop leaves is returned, too."""
    x = np.arange(16).astype(a.dtype) / 16
    s, rows = lax.scan(lambda s, x: (s / 2 + a * x, s[:2]), a, x)
    t = lax.fori_loop(0, 16, lambda k, t: t / 2 + rows[15 - k] * rows[k // 3], s[1:])
    return t, rows, rows[3]


FUNCTIONS = [lotka_volterra, newton, counted, nested, best, running, matrices, until,
             trajectory, backwards, there_and_back, kept_and_read]  # fmt: skip
ERRORS = {"float32": 2e-5, "float64": 1e-12, "complex64": 2e-5, "bfloat16": 0.1}
CASES = [(f, t) for f in FUNCTIONS for t in ("float32", "float64")]
CASES += [(f, t) for f in (lotka_volterra, counted, matrices) for t in ("complex64", "bfloat16")]


def same(got, want, dtype):
    got, want = map(cv.tree_util.tree_leaves, (got, want))
    for x, y in zip(got, want, strict=True):
        assert (x.dtype, x.shape) == (y.dtype, y.shape)
        x, y = (onp.asarray(v.astype("float32") if dtype == "bfloat16" else v) for v in (x, y))
        if x.dtype.kind in "iub":
            onp.testing.assert_array_equal(x, y)
        else:
            onp.testing.assert_allclose(x, y, rtol=ERRORS[dtype], atol=ERRORS[dtype])


@pytest.mark.parametrize(("f", "dtype"), CASES, ids=lambda x: getattr(x, "__name__", x))
def test_each_index_is_as_alone(f, dtype):
    alone = cv.jit(f)
    for n in COUNTS:
        a = drawn(n, dtype, n, 3)
        both = cv.jit(cv.vmap(f))
        if n > 16:
            assert "strips" in text(cv.vmap(f), a)
        rows = [alone(row) for row in a]
        want = cv.tree_util.tree_map(lambda *xs: np.stack(xs), *rows)
        same(both(a), want, dtype)


def test_axes_wherever_they_are():
    def f(a, b):
        return lax.scan(lambda s, _: (s * 0.9 + b, None), a, None, length=5)[0]

    a, b = drawn(1, "float64", 3, 40), drawn(2, "float64", 40, 3)
    both = cv.vmap(f, in_axes=(1, 0), out_axes=1)
    assert "strips" in text(both, a, b)
    got = cv.jit(both)(a, b)
    want = onp.stack([onp.asarray(f(a[:, k], b[k])) for k in range(40)], 1)
    onp.testing.assert_allclose(got, want, rtol=1e-14)


def test_what_comes_in_each_round():
    def f(s, xs):
        return lax.scan(lambda s, x: (s * 0.5 + x, None), s, xs)[0]

    s, xs = drawn(3, "float32", 50), drawn(4, "float32", 50, 30)
    for axis, given in ((0, xs), (1, xs.T)):
        both = cv.vmap(f, in_axes=(0, axis))
        assert "strips" in text(both, s, given)
        want = onp.stack([onp.asarray(f(s[k], xs[k])) for k in range(50)])
        onp.testing.assert_allclose(cv.jit(both)(s, given), want, rtol=1e-6)


def test_carries_that_belong_to_no_index():
    def f(s, c):
        def step(carry, _):
            s, c, fixed = carry
            return (s * 0.5 + c, c * 2 % 7, fixed), s.sum()

        return lax.scan(lambda c, _: (step(c, _)[0], None), (s, c, 3), None, length=9)[0]

    s = drawn(5, "float64", 40)
    assert "strips" in text(f, s, 2.0)
    got = cv.jit(f)(s, 2.0)
    want, c = onp.asarray(s), 2.0
    for _ in range(9):
        want, c = want * 0.5 + c, c * 2 % 7
    onp.testing.assert_allclose(got[0], want, rtol=1e-14)
    assert (float(got[1]), int(got[2])) == (c, 3)


def test_one_place_a_round_is_no_strip():
    """Each index would look at every round."""

    def f(x):
        return lax.fori_loop(0, x.shape[0], lambda i, x: x.at[i].set(x[i] * 2 + i), x)

    x = drawn(15, "float64", 50)
    assert "strips" not in text(f, x)
    onp.testing.assert_allclose(cv.jit(f)(x), onp.asarray(x) * 2 + onp.arange(50), rtol=1e-14)


def test_one_number_of_each_is_a_strip():
    def f(x):
        return lax.fori_loop(0, 5, lambda i, x: x.at[:, 1].set(x[:, 0] * 2 + i), x)

    x = drawn(16, "float64", 50, 3)
    assert "strips" in text(f, x)
    want = onp.array(x)
    want[:, 1] = want[:, 0] * 2 + 4
    onp.testing.assert_allclose(cv.jit(f)(x), want, rtol=1e-14)


MIXED = {
    "neighbours": lambda s: s + np.roll(s, 1) / 2,
    "all": lambda s: s - s.mean(),
    "order": lambda s: np.sort(s) * 0.9,
    "one": lambda s: s + s[3],
    "reversed": lambda s: s[::-1] / 2,
    "places": lambda s: s[(s * 3).astype(int) % 20] + 0.1,
}


@pytest.mark.parametrize("name", MIXED)
def test_what_mixes_indices_is_a_loop(name):
    f = MIXED[name]
    s = drawn(6, "float64", 40)

    def run(s):
        return lax.scan(lambda s, _: (f(s), None), s, None, length=4)[0]

    assert "strips" not in text(run, s)
    want = s
    for _ in range(4):
        want = f(want)
    onp.testing.assert_allclose(cv.jit(run)(s), want, rtol=1e-12)


def test_a_loop_until_all_are_done_changes_all():
    """Its test is like that of many loops at once, but nothing is selected."""

    def f(x):
        return lax.while_loop(lambda x: (x > 1).any(), lambda x: x / 2, x)

    def g(x):
        def more(s):
            return (s[0] > 1).any()

        return lax.while_loop(more, lambda s: (np.where(s[0] > 2, s[0] / 2, s[0] - 1), s[1] + 1),
                              (x, x * 0))  # fmt: skip

    x = np.concatenate([np.full(64, 1.5), np.full(36, 100.0)])
    for h in (f, g):
        assert "strips" not in text(h, x)
        with cv.disable_jit():
            want = h(x)
        same(cv.jit(h)(x), want, "float64")


def test_a_test_of_several_numbers():
    """What belongs to an index goes on as long as its own vector is long."""

    def f(a):
        def more(s):
            return (s[0] * s[0]).sum() > 1

        return lax.while_loop(more, lambda s: (s[0] * 0.7 - 0.01 * a, s[1] + 1), (a * 9, 0))

    a = drawn(13, "float64", 70, 3)
    assert "strips" in text(cv.vmap(f), a)
    rows = [f(row) for row in a]
    want = cv.tree_util.tree_map(lambda *xs: np.stack(xs), *rows)
    same(cv.jit(cv.vmap(f))(a), want, "float64")


@pytest.mark.parametrize("trips", [0, 1, 2])
def test_few_rounds(trips):
    f = cv.jit(lambda s: lax.scan(lambda s, _: (s * 2 + 1, None), s, None, length=trips)[0])
    s = drawn(7, "float32", 33)
    want = onp.asarray(s)
    for _ in range(trips):
        want = want * 2 + 1
    onp.testing.assert_allclose(f(s), want, rtol=1e-6)


def test_one_lane_without_a_number_spoils_no_other():
    a = onp.array(drawn(8, "float64", 40, 3))
    a[7, 0], a[9, 1], a[11, 2] = onp.nan, onp.inf, -onp.inf
    got = onp.asarray(cv.jit(cv.vmap(lotka_volterra))(a))
    want = onp.stack([onp.asarray(cv.jit(lotka_volterra)(row)) for row in a])
    onp.testing.assert_allclose(got, want, rtol=1e-12)


def test_random_walks():
    def walk(key):
        def step(s, _):
            key, x = s
            key, own = cv.random.split(key)
            return (key, x + cv.random.normal(own, (), "float32")), None

        return lax.scan(step, (key, np.float32(0)), None, length=20)[0][1]

    keys = cv.random.split(cv.random.key(3), 50)
    assert "strips" in text(cv.vmap(walk), keys)
    want = onp.stack([onp.asarray(walk(k)) for k in keys])
    onp.testing.assert_allclose(cv.jit(cv.vmap(walk))(keys), want, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint16", "int64", "float8_e4m3fn", "float16"])
def test_narrow_and_whole_numbers(dtype):
    def f(x):
        def step(s, _):
            flag, s = s
            flag = flag ^ (s > s.astype(dtype) * 0)
            return (flag, (s ^ flag) if dtype == "bool" else (s + s).astype(dtype)), None

        return lax.scan(step, (x > x, x), None, length=5)[0]

    x = np.asarray(onp.arange(40) % 3).astype(dtype)
    assert "strips" in text(f, x)
    with cv.disable_jit():
        want = f(x)
    for a, b in zip(cv.jit(f)(x), want, strict=True):
        assert a.dtype == b.dtype
        onp.testing.assert_array_equal(onp.asarray(a).astype("float64"),
                                       onp.asarray(b).astype("float64"))  # fmt: skip


@pytest.mark.parametrize("g", [counted, lambda a: trajectory(a)[1][0]], ids=["counted", "rows"])
def test_gradients(g):
    def f(a):
        return cv.vmap(lambda a: g(a) ** 2)(a).sum()

    a = drawn(9, "float64", 40, 3)
    with cv.disable_jit():
        want = cv.grad(f)(a)
    assert text(cv.grad(f), a).count("strips") == 2
    onp.testing.assert_allclose(cv.jit(cv.grad(f))(a), want, rtol=1e-10)


def test_as_many_steps_as_indices():
    """Sizes are the same number then, axes are not the same axis."""

    def f(a):
        return lax.scan(lambda s, x: (s * 0.9 + x, s), a, np.arange(40) * a)

    a = drawn(14, "float64", 40)
    assert "strips" in text(cv.vmap(f), a)
    rows = [f(x) for x in a]
    same(cv.jit(cv.vmap(f))(a), cv.tree_util.tree_map(lambda *x: np.stack(x), *rows), "float64")


def test_donated():
    f = cv.jit(lambda s: lax.scan(lambda s, _: (s * 0.5 + 1, None), s, None, length=3)[0],
               donate_argnums=0)  # fmt: skip
    s = drawn(10, "float32", 100, 3)
    want = onp.asarray(s)
    for _ in range(3):
        want = want * 0.5 + 1
    onp.testing.assert_allclose(f(s), want, rtol=1e-6)


def test_loops_inside_a_loop_that_is_none_of_strips():
    def f(x):
        def outer(x, _):
            y = lax.scan(lambda y, _: (y * 0.9 + 0.1, None), x.sum(1), None, length=5)[0]
            return x * 0.5 + y[:, None], None

        return lax.scan(outer, x, None, length=3)[0]

    x = drawn(11, "float64", 40, 50)
    assert "strips" in text(f, x)
    want = onp.asarray(x)
    for _ in range(3):
        y = want.sum(1)
        for _ in range(5):
            y = y * 0.9 + 0.1
        want = want * 0.5 + y[:, None]
    onp.testing.assert_allclose(cv.jit(f)(x), want, rtol=1e-12)


FOR_EVER = textwrap.dedent("""
    import os, signal, sys, threading, time
    import covector as cv, covector.numpy as np
    from covector import lax

    def run(a):
        return lax.while_loop(lambda s: s[0] < a, lambda s: (s[0] * 0.5, s[1] + 1), (a * 0, 0))

    f = cv.jit(cv.vmap(run))
    cv.block_until_ready(f(np.zeros(1000)))
    a = np.where(np.arange(1000) == {which}, 1.0, 0.0)
    timer = threading.Timer(1, lambda: os.kill(os.getpid(), signal.SIGINT))
    timer.start()
    begin = time.monotonic()
    try:
        cv.block_until_ready(f(a))
    except KeyboardInterrupt:
        print("stopped", time.monotonic() - begin < 20)
    print(float(f(np.zeros(1000))[0].sum()))
""")


@pytest.mark.parametrize("which", [0, 999])
@pytest.mark.parametrize("threads", ["1", "2"])
def test_a_lane_that_never_ends_is_interrupted(which, threads):
    """Whichever thread it is on."""
    env = {**os.environ, "COVECTOR_NUM_THREADS": threads}
    code = FOR_EVER.format(which=which)
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=120,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    assert done.stdout.split() == ["stopped", "True", "0.0"], done.stderr


def test_results_do_not_depend_on_threads():
    code = textwrap.dedent("""
        import hashlib, numpy as onp, covector as cv, covector.numpy as np
        from tests.compiler.test_strips import lotka_volterra, newton
        a = onp.random.default_rng(0).uniform(0.5, 1.5, (3001, 3)).astype("float32")
        out = [cv.jit(cv.vmap(lotka_volterra))(a), *cv.jit(cv.vmap(newton))(a)]
        print(hashlib.sha256(b"".join([onp.asarray(x).tobytes() for x in out])).hexdigest())
    """)
    found = set()
    for threads in ("1", "2", "3"):
        env = {**os.environ, "COVECTOR_NUM_THREADS": threads}
        found.add(subprocess.run([sys.executable, "-c", code], env=env, check=True,
                                 capture_output=True).stdout)  # fmt: skip
    assert len(found) == 1


@pytest.mark.parametrize("shape", [(17, 0), (0, 17), (64, 0), (17, 0, 2), (0,)])
def test_of_no_elements(shape):
    x = onp.ones(shape, "f")
    last, rows = cv.jit(lambda x: lax.scan(lambda c, i: (c * 2, c), x, np.arange(2)))(x)
    assert last.shape == shape and rows.shape == (2, *shape)
    f = lambda x: lax.fori_loop(0, 3, lambda i, c: np.sin(c), x).sum()  # noqa: E731
    assert cv.jit(cv.grad(f))(x).shape == shape


def running(reverse, x, y):
    """A running sum of the elements of rows, with their neighbours."""

    def step(total, both):
        (a, k), b = both
        total = (total + a.sum() - b.sum() + x[np.maximum(k - 1, 0)].sum()).astype(x.dtype)
        return total, total

    inputs = ((x, np.arange(len(x))), y)
    return lax.scan(step, np.zeros((), x.dtype), inputs, reverse=reverse)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("steps", [1, 3, 15, 16, 17, 50])
@pytest.mark.parametrize("row", [(), (1,), (2,), (3,)])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "int64", "int16", "complex64"])
def test_rows_read_ahead(dtype, row, steps, reverse):
    for n in (16, 17, 31, 33, 64, 100):
        x, y = (drawn(k, dtype, n, steps, *row) for k in (0, 1))
        last, rows = cv.jit(cv.vmap(lambda x, y: running(reverse, x, y)))(x, y)
        for k in (0, n // 2, n - 2, n - 1):
            end, one = running(reverse, x[k], y[k])
            onp.testing.assert_allclose(rows[k], one, rtol=1e-4 if "32" in dtype else 1e-6)
            onp.testing.assert_allclose(last[k], end, rtol=1e-4 if "32" in dtype else 1e-6)


def test_rows_are_read_ahead():
    x = np.zeros((100, 40), "float32")
    shown = text(cv.vmap(lambda x: running(False, x, x)), x, stage="llvm")
    assert "fill_32float" in shown


def tridiagonal(a, b, c, d):
    def eliminate(before, row):
        p, q = before
        a, b, c, d = row
        m = 1 / (b - a * p)
        after = c * m, (d - a * q) * m
        return after, after

    def substitute(x, row):
        p, q = row
        x = q - p * x
        return x, x

    zero = np.zeros((), a.dtype)
    _, rows = lax.scan(eliminate, (zero, zero), (a, b, c, d))
    return lax.scan(substitute, zero, rows, reverse=True)[1]


@pytest.mark.parametrize("n", [16, 17, 100, 1000])
@pytest.mark.parametrize("m", [1, 5, 16, 33])
def test_one_loop_after_the_other_is_one_strip(n, m):
    a, b, c, d = (drawn(k, "float64", n, m) for k in range(4))
    b = b + 3
    f = cv.vmap(tridiagonal)
    if n > 16:
        assert text(f, a, b, c, d).count("strips") == 1
    full = onp.zeros((n, m, m))
    i = onp.arange(m)
    full[:, i, i], full[:, i[1:], i[:-1]], full[:, i[:-1], i[1:]] = b, a[:, 1:], c[:, :-1]
    want = onp.linalg.solve(full, onp.asarray(d)[..., None])[..., 0]
    onp.testing.assert_allclose(cv.jit(f)(a, b, c, d), want, rtol=1e-12, atol=1e-12)


def test_strips_that_others_read_between():
    def both(x):
        s, rows = lax.scan(lambda s, y: (s * 0.5 + y, s), x[0], x)
        far = s.sum() + rows[2]
        return lax.scan(lambda s, row: (s * 0.5 + row + far, None), s, rows)[0]

    x = drawn(0, "float64", 9, 40)
    assert text(both, x).count("strips") == 2
    with cv.disable_jit():
        want = both(x)
    onp.testing.assert_allclose(cv.jit(both)(x), want, rtol=1e-14)
