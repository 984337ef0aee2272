"""Reading and updating by every kind of index, against NumPy; errors; what is traced."""

import time

import numpy as onp
import pytest

import covector as cv
import covector.numpy as np
from covector.errors import NonConcreteBooleanIndexError

R = onp.random.RandomState(0)
T = R.randn(2, 3, 4).astype("float32")
F = R.randn(3, 4).astype("float32")
K = onp.array([2, 0, 1])
MASK = R.rand(3, 4) > 0.5
ROWS = onp.array([True, False, True])
S = onp.s_

ON_MATRIX = [
    S[0], S[-1], S[1:3], S[::2], S[::-1], S[1:0], S[2:0:-1], S[-2:], S[...], S[None], S[0, 1],
    S[0, -1], S[1, 1:3], S[1:, ::2], S[..., 0], S[0, ...], S[None, 0], S[0, None], S[:, None, 1],
    S[K], S[K, K], S[:, K], S[K, 1], S[1, K], S[:2, K], S[K, :2], S[K[:, None], K[None]], S[MASK],
    S[ROWS], S[ROWS, 1], S[ROWS, :2], S[None, K, None], S[::2, K], S[::-1, K], S[K > 0],
    S[onp.array([], int)], S[5:9], S[:, 1:1], S[-1:-4:-2, ::-1], S[onp.int64(1)], S[True],
    S[onp.array([-1, 0, -2])], S[()], S[0, [1, -1]], S[[0, 1], [2, 0]], S[[2, 0], ::2], S[1, []],
]  # fmt: skip
ON_TENSOR = [
    S[0, K, :], S[:, K, K], S[K[:2] % 2, 0], S[0, :, K], S[..., K], S[:, 0, K], S[1, 1, 1],
    S[0, :, 1:3], S[::2, 1, ::-1], S[K[:2, None] % 2], S[K % 2, K, K], S[:, K, None, K],
    S[K % 2, :, K], S[:, K > 0], S[K[:2] % 2, :, :2],
]  # fmt: skip
CASES = [(F, i) for i in ON_MATRIX] + [(T, i) for i in ON_TENSOR]


@pytest.mark.parametrize("n", range(len(CASES)))
def test_read(n):
    x, index = CASES[n]
    want = x[index]
    onp.testing.assert_array_equal(onp.asarray(np.asarray(x)[index]), want)
    onp.testing.assert_array_equal(onp.asarray(cv.jit(lambda x: x[index])(x)), want)


@pytest.mark.parametrize("n", range(len(CASES)))
def test_update(n):
    x, index = CASES[n]
    if index is True or (isinstance(index, tuple) and None in [i for i in index if i is None]):
        pytest.skip("NumPy does not assign to new axes the same way")
    value = onp.asarray(R.randn(*x[index].shape)).astype("float32")
    updates = {
        "set": lambda a, i: a.__setitem__(i, value),
        "add": lambda a, i: onp.add.at(a, i, value),
        "multiply": lambda a, i: onp.multiply.at(a, i, value),
        "min": lambda a, i: onp.minimum.at(a, i, value),
        "max": lambda a, i: onp.maximum.at(a, i, value),
    }
    for method, apply in updates.items():
        want = x.copy()
        apply(want, index)
        update = lambda a, m=method: getattr(a.at[index], m)(value)  # noqa: E731
        onp.testing.assert_allclose(onp.asarray(update(np.asarray(x))), want, 1e-6)
        onp.testing.assert_allclose(onp.asarray(cv.jit(update)(x)), want, 1e-6)


def test_out_of_bounds():
    x = np.arange(3.0)
    i = np.array([1, 5, -9])
    assert x[7] == 2 and x[-7] == 0
    assert x[i].tolist() == [1, 2, 0]
    assert x.at[7].set(9.0).tolist() == [0, 1, 2]
    assert x.at[i].set(9.0).tolist() == [0, 9, 2]
    assert x.at[i].set(9.0, mode="clip").tolist() == [9, 9, 9]
    assert x.at[i].get(mode="fill", fill_value=-1).tolist() == [1, -1, -1]
    assert x.at[i].get(mode="wrap").tolist() == [1, 2, 0]
    assert onp.isnan(x.at[i].get(mode="fill")[1])
    for j in (7, -7):
        assert cv.jit(lambda x, j: x.at[j].set(9.0))(x, j).tolist() == [0, 1, 2]
    assert cv.jit(lambda x, j: x[j])(x, 7) == 2
    with pytest.raises(ValueError, match="mode"):
        x.at[0].set(1, mode="nonsense")


def test_masks_under_jit():
    f = cv.jit(lambda x: x.at[x > 1].set(0.0))
    assert f(np.arange(4.0)).tolist() == [0, 1, 0, 0]
    with pytest.raises(NonConcreteBooleanIndexError, match=r"bool\[4\]"):
        cv.jit(lambda x: x[x > 1])(np.arange(4.0))


def primitives(fun, *args):
    return [e.primitive.name for e in cv.make_jaxpr(fun)(*args).eqns]


def test_what_is_traced():
    x = np.ones((4, 4))
    assert primitives(lambda x: x[1, 2], x) == ["slice", "squeeze"]
    assert primitives(lambda x: x[::-1], x) == ["rev"]
    for fun in (
        lambda x, i: x.at[1].set(2.0),
        lambda x, i: x.at[1:3, 2].set(2.0),
        lambda x, i: x.at[i].set(2.0, mode="clip"),
        lambda x, i: x[i],
        lambda x, i: x.at[i, ::2].add(1.0),
    ):
        used = primitives(fun, x, 1)
        assert not {"gather", "scatter", "scatter_add"} & set(used), used
    # One index that may be out of bounds: the old elements are not read.
    assert primitives(lambda x, i: x.at[i].set(x[i]), x, 1) == [
        "lt", "add", "select_n", "dynamic_slice", "squeeze", "broadcast_in_dim", "scatter",
    ]  # fmt: skip
    assert primitives(lambda x, i: x.at[i, 1:3].add(1.0), x, np.uint8(1))[-1] == "scatter_add"


def test_eager_updates_do_not_retrace():
    x = np.zeros(10)
    x.at[0].set(1.0)
    before = cv.numpy.updates._compiled["set", False].cache_size()
    for i in range(1, 10):
        x = x.at[i].set(1.0)
    assert cv.numpy.updates._compiled["set", False].cache_size() == before
    assert x.tolist() == [0] + [1] * 9


@pytest.mark.parametrize(
    ("index", "kind", "text"),
    [
        (S[0, 0, 0], IndexError, "2 dimensions"),
        (S[1.0], TypeError, "float"),
        (S[[0, 1]], TypeError, "list"),
        (S["a"], TypeError, "str 'a'"),
        (S[..., ...], IndexError, "ellipsis"),
        (S[onp.ones((2, 2), bool)], IndexError, "bool[2,2]"),
        (S[::0], ValueError, "step"),
    ],
)
def test_errors(index, kind, text):
    with pytest.raises(kind) as info:
        np.asarray(F)[index]
    assert text in str(info.value)


def test_item_assignment_shows_the_remedy():
    with pytest.raises(TypeError, match=r"x\.at\[1:3, 0\]\.set"):
        np.asarray(F)[1:3, 0] = 1


def test_derivatives_through_indices():
    x = np.arange(4.0)
    g = cv.grad(lambda x: (x[np.array([0, 2, 2])] ** 2).sum())(x)
    assert g.tolist() == [0, 0, 8, 0]
    g = cv.grad(lambda x, v: (x.at[1].set(v) ** 2).sum(), argnums=(0, 1))(x, 3.0)
    assert g[0].tolist() == [0, 0, 4, 6] and g[1] == 6
    g = cv.grad(lambda x: (x.at[::2].multiply(3.0)).sum())(x)
    assert g.tolist() == [3, 1, 3, 1]


def test_traced_index_out_of_bounds():
    x = np.arange(4.0)
    row = np.ones((3, 4))
    get, put = cv.jit(lambda i: x[i]), cv.jit(lambda i: x.at[i].set(9.0))
    add = cv.jit(lambda i: row.at[i, 1:3].add(1.0).sum())
    for i in (-9, -4, -1, 0, 3, 4, 100):
        inside = -4 <= i < 4
        assert get(i) == min(max(i + 4 if i < 0 else i, 0), 3)
        assert (put(i) == 9).sum() == inside
        assert add(i) == 12 + 2 * (-3 <= i < 3)
    last = cv.jit(lambda i: x.at[i].set(9.0, mode="promise_in_bounds"))(-1)
    assert last.tolist() == [0, 1, 2, 9]
    assert put(onp.uint32(2**32 - 1)).tolist() == x.tolist()


def test_normalised_index_is_shared():
    x = np.ones(5)
    used = primitives(lambda i: (x[i] + (2 * x)[i], x.at[i].add(1.0)), 1)
    assert used.count("lt") == 1 and used.count("dynamic_slice") == 2


def test_update_in_a_loop_is_in_place():
    def f(x, n):
        return cv.lax.fori_loop(0, n, lambda i, a: a.at[i].set(a[i] + 1.0), x)

    x = np.zeros(2**20)
    compiled = cv.jit(f).lower(x, 1).compile()
    assert compiled.as_text("loop").count("= update v") == 1
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        compiled(x, 10000).block_until_ready()
        seconds.append(time.perf_counter() - start)
    # A copy in each round would take seconds.
    assert min(seconds) < 0.3


def test_derivative_of_an_update_reads_one_window():
    def f(x, v):
        return x.at[2].get() * np.sum(x.at[1].multiply(v) ** 2)

    def traced(x, v, i):
        return x.at[i + 1].get() * np.sum(x.at[i].multiply(v) ** 2)

    x = np.array([1.0, 2.0, 3.0])
    want = cv.grad(f, (0, 1))(x, 5.0)
    got = cv.grad(traced, (0, 1))(x, 5.0, 1)
    for a, b in zip(got, want, strict=True):
        assert onp.allclose(a, b)


def test_masks_that_do_not_fit():
    with pytest.raises(IndexError, match=r"mask bool\[2\] does not fit the array float32\[3,4\]"):
        np.zeros((3, 4)).at[np.ones(2, bool)].set(1)


def _promises(fun, *args):
    (params,) = [
        e.params
        for e in cv.make_jaxpr(fun)(*args).jaxpr.eqns
        if e.primitive.name.startswith("scatter")
    ]
    return params["indices_are_sorted"], params["unique_indices"]


@pytest.mark.parametrize("op", ["add", "set", "max", "multiply"])
def test_promises_are_kept(op):
    """They are of positions counted from the start."""
    x, v = onp.arange(9.0, dtype="float32"), onp.arange(4.0, dtype="float32")
    for at, promised in [
        (onp.array([1, 3, 3, 8]), (True, False)), (onp.array([-4, -3, -2, -1]), (True, True)),
        (onp.array([0, 4, -2, -1]), (True, True)), (onp.array([0, 1, 12, 40]), (True, True)),
    ]:  # fmt: skip
        options = {"indices_are_sorted": promised[0], "unique_indices": promised[1]}

        def update(x, at, options=options):
            return getattr(np.asarray(x).at[at], op)(v, **options)

        assert _promises(update, x, at) == promised
        plain = update(x, at, {})
        onp.testing.assert_array_equal(update(x, at), plain)
        onp.testing.assert_array_equal(cv.jit(update)(x, at), plain)
        onp.testing.assert_array_equal(cv.vmap(update)(x[None], at[None])[0], plain)
        # Known indices need no promise.
        assert _promises(lambda x, at=at: update(x, at, {}), x) == promised
        onp.testing.assert_array_equal(cv.jit(lambda x, at=at: update(x, at, {}))(x), plain)
    falling = onp.array([3, 1, -1, -4])
    assert _promises(lambda x: getattr(np.asarray(x).at[falling], op)(v), x) == (False, False)
    clipped = onp.array([0, 9, 10, 11])
    fun = lambda x: getattr(np.asarray(x).at[clipped], op)(v, mode="clip")  # noqa: E731
    assert _promises(fun, x) == (True, False)
    # Numbers before the start that are not counted from the end become ones behind it.
    fun = lambda x, at: getattr(np.asarray(x).at[at], op)(  # noqa: E731
        v, indices_are_sorted=True, wrap_negative_indices=False
    )
    assert _promises(fun, x, clipped - 5) == (False, False)
    onp.testing.assert_array_equal(fun(x, clipped - 1), getattr(np.asarray(x).at[8], op)(1.0))
