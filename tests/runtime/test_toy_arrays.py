"""Arrays of a second backend in all that takes arrays: moving, transformations, files, printing."""

import copy
import io
import pickle

import ml_dtypes
import numpy as onp
import pytest

import covector as cv
import covector.numpy as np
from covector import lax, random

SHAPES = [(), (0,), (3,), (2, 0, 3), (2, 3), (1, 2, 1, 2, 1, 2, 1, 2, 1)]
DTYPES = [
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16",
    ml_dtypes.bfloat16, "float32", "float64", "complex64", "complex128",
]  # fmt: skip


@pytest.fixture
def toys():
    return cv.devices("toy")


@pytest.fixture
def cpu():
    return cv.devices("cpu")[0]


def on(device, *values):
    return [cv.device_put(np.asarray(v), device) for v in values]


def there(tree, device, committed=True):
    """The leaves as NumPy arrays; they must be on ``device``."""
    out = cv.tree_util.tree_leaves(tree)
    assert out and all(x.device is device and x.committed == committed for x in out)
    return [onp.asarray(x) for x in out]


# --- moving --------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: onp.dtype(d).name)
def test_there_and_back(dtype, shape, toys, cpu):
    with cv.enable_x64():
        values = onp.asarray(onp.random.RandomState(0).randn(*shape) * 3).astype(dtype)
        given = np.asarray(values)
        first = cv.device_put(given, toys[0])
        second = cv.device_put(first, toys[1])
        for x in (first, second, cv.device_put(second, cpu), cv.device_put(values, toys[1])):
            assert x.dtype == onp.dtype(dtype) and x.shape == shape and x.committed
            assert onp.asarray(x).tobytes() == values.tobytes()
            assert x.tobytes() == values.tobytes()
        assert first.device is toys[0] and second.device is toys[1]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_keys_there_and_back(shape, toys, cpu):
    keys = random.split(random.key(7), shape)
    first = cv.device_put(keys, toys[0])
    back = cv.device_put(cv.device_put(first, toys[1]), cpu)
    assert first.dtype == keys.dtype and first.shape == shape
    want = onp.asarray(random.key_data(keys))
    for x in (first, back):
        data = random.key_data(x)
        assert data.device is x.device and (onp.asarray(data) == want).all()
        assert (onp.asarray(random.key_data(random.wrap_key_data(data))) == want).all()


def test_nothing_moves_that_is_there(toys):
    x, w = on(toys[0], onp.arange(3.0, dtype="float32"), onp.ones(3, "float32"))
    f = cv.jit(lambda a: lax.scan(lambda c, b: (c + b * w[0], b), 0.0, a)[0])
    f(x)  # compiled, its constants are there
    before = toys[0].transfers
    for _ in range(3):
        f(x), x + w, x[1], x.reshape(3, 1), x.sum(), np.sin(x), x.at[:].set(w)
    assert toys[0].transfers == before
    f(cv.device_put(x, toys[1]))
    assert toys[0].transfers == before


def test_weak_types_stay(toys, cpu):
    x = cv.device_put(2.0, toys[0])
    assert x.weak_type and (x + np.asarray(1, "bfloat16")).dtype == ml_dtypes.bfloat16
    assert cv.device_put(x, cpu).weak_type


def test_new_arrays_are_where_they_are_wanted(toys):
    with cv.default_device(toys[1]):
        made = [
            np.zeros(()), np.ones((2, 3)), np.full((), 3), np.eye(2), np.array(1.5), np.arange(0),
            np.linspace(0, 1, 3), np.asarray([[1, 2]]), np.zeros_like(onp.ones(2)), np.empty(2),
            np.tri(3), np.meshgrid(np.arange(2), np.arange(3))[0], np.asarray(3)[None],
            random.key(0), random.PRNGKey(0), random.split(random.key(0)),
            random.bits(random.key(1)), np.float32(2), lax.iota("int32", 3), lax.full((2,), 1.0),
            np.array(True), np.frombuffer(b"abcd", "uint8"), np.r_[0:3], np.indices((2, 2)),
            np.fromfunction(lambda i: i, (3,)),
        ]  # fmt: skip
    for k, x in enumerate(made):
        assert x.device is toys[1] and not x.committed, (k, x)


# --- what takes arrays ---------------------------------------------------------------------


def test_indexing(toys):
    values = onp.arange(24.0, dtype="float32").reshape(2, 3, 4)
    x = cv.device_put(values, toys[0])
    for index in (
        0, -1, (1, 2, 3), (slice(None), 1), slice(None, None, -1), (Ellipsis, 0), None,
        (0, slice(1, 3)), (onp.array([1, 0]), onp.array([[2], [0]])), values > 5,
    ):  # fmt: skip
        (got,) = there(x[index], toys[0])
        onp.testing.assert_array_equal(got, values[index])
    (i,) = on(toys[0], onp.array([1, 0]))
    onp.testing.assert_array_equal(*there([x[i], x[np.array([1, 0])]], toys[0]))
    assert [float(v[0, 0]) for v in x] == [0, 12] and len(x) == 2
    keys = cv.device_put(random.split(random.key(0), 3), toys[0])
    (word,) = there(random.key_data(keys[1]), toys[0])
    assert (word == onp.asarray(random.key_data(random.split(random.key(0), 3)))[1]).all()


@pytest.mark.parametrize("name", ["set", "add", "multiply", "divide", "power", "min", "max"])
def test_updates(name, toys):
    values = onp.arange(1.0, 7, dtype="float32").reshape(2, 3)
    x = cv.device_put(values, toys[0])
    for index in (0, (1, 2), (slice(None), 1), onp.array([1, 1]), values > 3, Ellipsis):
        (got,) = there(getattr(x.at[index], name)(2.0), toys[0])
        want = getattr(np.asarray(values).at[index], name)(2.0)
        onp.testing.assert_allclose(got, want, rtol=1e-6)
    onp.testing.assert_array_equal(*[there(a, toys[0])[0] for a in (x.at[5].get(mode="fill"),) * 2])
    there(x.at[0].apply(np.sin), toys[0])
    assert onp.asarray(x).tobytes() == values.tobytes()


def test_printing_and_conversions(toys):
    x, n = on(toys[0], onp.array([1.5, 2.0], "float32"), onp.int32(3))
    assert repr(x) == "Array([1.5, 2. ], dtype=float32)" and str(x) == "[1.5 2. ]"
    assert int(n) == 3 and float(n) == 3 and complex(n) == 3 and bool(n) and [10] * n == [10] * 3
    assert f"{x[0]:.2f}" == "1.50" and hash(n.device) == hash(toys[0]) and 2 in x
    assert cv.device_get({"x": x})["x"].tolist() == [1.5, 2.0] and n.item() == 3
    assert repr(cv.device_put(random.key(0), toys[0])) == repr(random.key(0))
    assert x.block_until_ready() is x and x.nbytes == 8 and x.itemsize == 4
    assert np.array_repr(x) == repr(x) and np.array_str(x) == str(x)


def test_files_copies_and_pickles(toys, cpu):
    (x,) = on(toys[0], onp.array([1.5, 2.0], "float32"))
    file = io.BytesIO()
    np.save(file, x)
    file.seek(0)
    assert np.load(file).tolist() == [1.5, 2.0]
    file = io.BytesIO()
    np.savez(file, a=x)
    file.seek(0)
    assert np.load(file)["a"].tolist() == [1.5, 2.0]
    loaded = pickle.loads(pickle.dumps(x))
    assert loaded.tolist() == [1.5, 2.0] and loaded.device is cpu
    for y in (copy.copy(x), copy.deepcopy(x), x.copy(), np.copy(x), np.array(x)):
        assert there(y, toys[0])[0].tolist() == [1.5, 2.0]


def test_methods_and_operators(toys):
    values = onp.arange(1.0, 7, dtype="float32").reshape(2, 3)
    x = cv.device_put(values, toys[0])
    for f in (
        lambda a: a + 1, lambda a: 1 - a, lambda a: a @ a.T, lambda a: a**2, lambda a: -a,
        lambda a: a.sum(), lambda a: a.mean(0), lambda a: a.T, lambda a: a.reshape(-1),
        lambda a: a.astype("int32"), lambda a: a.max(1), lambda a: a.argsort(),
        lambda a: a.cumsum(), lambda a: a.take(1),
        lambda a: a > 2, lambda a: a.ravel(), lambda a: a.swapaxes(0, 1), lambda a: a.squeeze(),
        lambda a: a.view("int32"), lambda a: a.real, lambda a: a.std(), lambda a: a.clip(2, 3),
        lambda a: a + onp.ones((2, 3), "float32"), lambda a: onp.float32(2) * a,
        lambda a: divmod(a, 2)[1], lambda a: a.round(), lambda a: a.repeat(2), lambda a: a.copy(),
    ):  # fmt: skip
        (got,) = there(f(x), toys[0])
        onp.testing.assert_allclose(got, f(np.asarray(values)), rtol=1e-6)
    there([np.unique(x), np.compress([1, 0], x), x[x > 2], np.bincount(x[0].astype(int))], toys[0])
    there([np.nonzero(x), np.argwhere(x > 5), np.where(x), np.flatnonzero(x)], toys[0])
    there([np.concatenate([x, values]), np.stack([values, x]), np.where(x > 2, x, 0)], toys[0])
    there([np.linalg.inv(x[:, :2]), np.linalg.svd(x)[1], np.sort(x), np.histogram(x)[0]], toys[0])


def test_transformations(toys):
    (x,) = on(toys[1], onp.array([0.5, 1.5], "float32"))

    def f(a):
        return (np.sin(a) * a).sum()

    want = cv.grad(f)(onp.asarray(x))
    for g in (cv.grad(f), cv.jit(cv.grad(f)), cv.grad(cv.jit(f)), cv.jacrev(f), cv.jacfwd(f)):
        onp.testing.assert_allclose(there(g(x), toys[1])[0], want, rtol=1e-6)
    there(cv.vmap(lambda a: a * 2)(x), toys[1])
    there([cv.hessian(f)(x), cv.value_and_grad(f)(x)], toys[1])
    out, pull = cv.vjp(f, x)
    there([out, pull(np.ones(()))], toys[1])
    there(cv.jvp(f, (x,), (x,)), toys[1])
    out, linear = cv.linearize(f, x)
    there(linear(x), toys[1])
    there(cv.checkpoint(f)(x), toys[1])


def test_control_flow(toys):
    (x,) = on(toys[1], onp.array([0.5, 1.5], "float32"))
    got = [
        lax.scan(lambda c, a: (c + a, c * a), x[0], x),
        lax.fori_loop(0, 3, lambda i, a: a * 2, x),
        lax.while_loop(lambda a: a.sum() < 10, lambda a: a + 1, x),
        lax.cond(x[0] > 0, lambda a: a + 1, lambda a: a, x),
        lax.switch(1, [lambda a: a, lambda a: -a], x),
        lax.map(np.sin, x),
        lax.associative_scan(np.add, x),
        lax.scan(lambda c, a: (c, a), x, None, length=3)[0],
    ]
    for out in got:
        there(out, toys[1])
    with cv.disable_jit():
        there(lax.scan(lambda c, a: (c + a, c * a), x[0], x), toys[1])
    empty = lax.scan(lambda c, k: (c, k), x, cv.device_put(random.split(random.key(0), 0), toys[1]))
    assert empty[1].shape == (0,) and empty[1].device is toys[1]


def test_constants_of_a_closure(toys, cpu):
    (w,) = on(toys[1], onp.array([1.0, 2.0], "float32"))
    f = cv.jit(lambda a: a * w)
    onp.testing.assert_array_equal(onp.asarray(f(np.ones(2))), [1, 2])
    onp.testing.assert_array_equal(there(f(cv.device_put(np.ones(2), toys[0])), toys[0])[0], [1, 2])
    g = cv.jit(lambda a: lax.scan(lambda c, b: (c + w.sum() * b, None), 0.0, a)[0])
    assert float(g(cv.device_put(np.ones(2), toys[0]))) == 6 == float(g(np.ones(2)))


def test_options_of_jit(toys):
    (x,) = on(toys[0], onp.array([1.0, 2.0], "float32"))
    f = cv.jit(lambda a, n, *, b: {"p": a**n, "q": (b["c"], None)}, static_argnums=1)
    out = f(x, 3, b={"c": x})
    assert there(out["p"], toys[0])[0].tolist() == [1, 8] and there(out["q"][0], toys[0])
    g = cv.jit(lambda a, b: (a + 1, b), donate_argnums=0)
    for _ in range(2):
        (given,) = on(toys[0], onp.zeros(2, "float32"))
        out = g(given, x)
        assert given.is_deleted() and not x.is_deleted() and there(out, toys[0])
    (one,) = on(toys[0], onp.zeros(1, "float32"))
    with pytest.raises(RuntimeError, match="one array as two arguments"):
        cv.jit(lambda a, b: a + b, donate_argnums=0)(one, one)
    assert not one.is_deleted() and (one.copy() is not one)
    with pytest.raises(RuntimeError, match="deleted"):
        given + 1
    with pytest.raises(RuntimeError, match="deleted"):
        cv.device_put(given, toys[1])


def test_callbacks(toys, capsys):
    (x,) = on(toys[0], onp.array([1.0, 2.0], "float32"))
    shape = cv.ShapeDtypeStruct((2,), "float32")

    def f(a):
        cv.debug.print("a = {}", a)
        return cv.pure_callback(lambda v: onp.sin(v), shape, a)

    for g in (f, cv.jit(f)):
        onp.testing.assert_allclose(there(g(x), toys[0])[0], onp.sin([1, 2]), rtol=1e-6)
    assert capsys.readouterr().out == "a = [1. 2.]\n" * 2
    seen = []
    cv.vmap(lambda a: cv.debug.callback(lambda v: seen.append(float(v)), a))(x)
    cv.jit(cv.vmap(lambda a: cv.debug.callback(lambda v: seen.append(float(v)), a)))(x)
    assert seen == [1, 2, 1, 2]


@pytest.mark.parametrize("platform", ["cpu", "toy"])
def test_keys_in_callbacks(platform, capsys):
    keys = cv.device_put(random.split(random.key(0), 2), cv.devices(platform)[0])
    shape = cv.ShapeDtypeStruct((2, 2), "uint32")

    def f(k):
        cv.debug.print("{}", k)
        return cv.pure_callback(lambda k: onp.asarray(random.key_data(k)), shape, k)

    for g in (f, cv.jit(f)):
        assert (onp.asarray(g(keys)) == onp.asarray(random.key_data(keys))).all()
    assert capsys.readouterr().out == f"{keys}\n" * 2


def test_random_numbers_stay_with_their_key(toys):
    key = cv.device_put(random.key(3), toys[1])
    plain = random.key(3)
    for draw in (
        random.split, random.normal, lambda k: random.uniform(k, (5,)),
        lambda k: random.bits(k, (3,)),
        lambda k: random.permutation(k, 6), lambda k: random.fold_in(k, 3),
        lambda k: random.randint(k, (4,), 0, 9), lambda k: random.choice(k, 5, (3,)),
    ):  # fmt: skip
        out, want = draw(key), draw(plain)
        if out.dtype == key.dtype:
            out, want = random.key_data(out), random.key_data(want)
        (got,) = there(out, toys[1])
        onp.testing.assert_allclose(got, want, rtol=1e-6)


def test_options_that_look_at_results(toys):
    (x,) = on(toys[0], onp.array([-1.0, 2.0], "float32"))
    cv.config.update("debug_nans", True)
    try:
        for f in (np.log, cv.jit(np.log)):
            with pytest.raises(
                FloatingPointError, match=r"\(nan\) encountered in the operation log"
            ):
                f(x)
        there(np.sin(x), toys[0])
    finally:
        cv.config.update("debug_nans", False)


def test_mixed_devices_in_eager_code(toys, cpu):
    (x,) = on(toys[0], onp.ones(2, "float32"))
    (y,) = on(cpu, onp.ones(2, "float32"))
    for f in (
        lambda: x + y, lambda: np.stack([x, y]), lambda: x.at[0].set(y[0]),
        lambda: x.at[y > 0].set(1), lambda: lax.scan(lambda c, a: (c + a, None), x[0], y),
        lambda: np.where(y > 0, x, y),
    ):  # fmt: skip
        with pytest.raises(ValueError, match="committed to different devices"):
            f()
