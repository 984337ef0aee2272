"""`vmap`: axes, sizes, errors, collectives over named axes; callbacks under all transformations."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import covector as cv
from covector import lax

X = np.arange(12, dtype=np.float32).reshape(3, 4)


def values(tree: Any) -> Any:
    return cv.tree.map(lambda x: np.asarray(x).tolist(), tree)


def test_axes() -> None:
    add = lambda x, y: lax.add(x, y)  # noqa: E731
    assert np.asarray(cv.vmap(add)(X, X)).shape == (3, 4)
    np.testing.assert_array_equal(np.asarray(cv.vmap(add, (1, None))(X, X[:, 0])), X.T + X[:, 0])
    np.testing.assert_array_equal(
        np.asarray(cv.vmap(add, (-1, None), out_axes=-1)(X, X[:, 0])), X + X[:, :1]
    )
    padded = cv.vmap(lambda x, p: lax.pad(x, p, [(1, 0, 0)]))(X > 5, X[:, 0] > 2)
    np.testing.assert_array_equal(np.asarray(padded), np.concatenate([X[:, :1] > 2, X > 5], axis=1))
    tree = {"a": X, "b": [2.0]}
    f = cv.vmap(lambda d, s: lax.mul(lax.mul(d["a"], d["b"][0]), s), ({"a": 0, "b": None}, None))
    np.testing.assert_array_equal(np.asarray(f(tree, 3.0)), 6 * X)
    out = cv.vmap(lambda x, y: (x, y, 1.0), (0, None), out_axes=(1, None, 0))(X, 2.0)
    assert cv.tree.map(lambda a: np.asarray(a).shape, out) == ((4, 3), (), (3,))
    assert values(cv.vmap(lambda: 3.0, axis_size=2)()) == [3, 3]
    assert values(cv.vmap(lambda x, *, k: lax.add(x, k))(X[:, 0], k=X[:, 1])) == [1, 9, 17]
    assert np.asarray(cv.vmap(lambda x: x)(X[:0])).shape == (0, 4)


@pytest.mark.parametrize(
    "make, error, text",
    [
        (lambda: cv.vmap(lambda a, b: a)(X, X.T), ValueError, r"size 4: axis 0 of argument b"),
        (lambda: cv.vmap(lambda a: a, in_axes=2)(X), ValueError, r"argument a .* rank 2"),
        (lambda: cv.vmap(lambda a: a)(1.0), ValueError, "argument a"),
        (lambda: cv.vmap(lambda a: a, in_axes=None)(X), ValueError, "no argument"),
        (lambda: cv.vmap(lambda a, b: a, in_axes=(0,))(X, X), ValueError, r"len\(in_axes\)=1"),
        (lambda: cv.vmap(lambda a: a, in_axes=({"k": 0},))(X), ValueError, "prefix"),
        (lambda: cv.vmap(lambda a: a, in_axes="x"), TypeError, "in_axes"),
        (lambda: cv.vmap(lambda a: a, in_axes=(0.5,)), TypeError, "in_axes"),
        (lambda: cv.vmap(lambda a: a, out_axes=None)(X), ValueError, "out_axes is None"),
        (lambda: cv.vmap(lambda a: a, out_axes=(0, 0))(X), ValueError, "out_axes"),
        (lambda: cv.vmap(lambda a: a, out_axes=3)(X), ValueError, "position 3"),
        (lambda: cv.vmap(lambda a: a, axis_size=5)(X), ValueError, "axis_size=5"),
        (lambda: cv.vmap(lambda a: a)("text"), TypeError, "argument a"),
        (lambda: cv.vmap(lambda a: "text")(X), TypeError, "'text'"),
        (
            lambda: cv.vmap(lambda a: 1 if bool(lax.lt(a, 1.0)) else 2)(X[0]),
            cv.errors.TracerBoolConversionError,
            "lax.cond",
        ),
    ],
)
def test_bad_use(make: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        make()


COLLECTIVES = {
    "psum": (lambda x: lax.psum(x, "i"), np.broadcast_to(X.sum(0), X.shape)),
    "psum of a constant": (lambda x: lax.psum(1, "i"), [3, 3, 3]),
    "pmean": (lambda x: lax.pmean(x, "i"), np.broadcast_to(X.mean(0), X.shape)),
    "pmax": (lambda x: lax.pmax(x, "i"), np.broadcast_to(X.max(0), X.shape)),
    "pmin": (lambda x: lax.pmin(x, "i"), np.broadcast_to(X.min(0), X.shape)),
    "axis_index": (lambda x: lax.axis_index("i"), [0, 1, 2]),
    "axis_size": (lambda x: lax.axis_size("i"), [3, 3, 3]),
    "all_gather": (lambda x: lax.all_gather(x, "i"), np.broadcast_to(X, (3, 3, 4))),
    "all_gather, axis": (
        lambda x: lax.all_gather(x, "i", axis=1), np.broadcast_to(X.T, (3, 4, 3)),
    ),
    "all_gather, tiled": (
        lambda x: lax.all_gather(x, "i", tiled=True), np.broadcast_to(X.ravel(), (3, 12)),
    ),
    "ppermute": (
        lambda x: lax.ppermute(x, "i", [(0, 1), (1, 2)]), np.stack([0 * X[0], X[0], X[1]]),
    ),
    "pshuffle": (lambda x: lax.pshuffle(x, "i", [2, 0, 1]), X[[2, 0, 1]]),
    "psum of an unmapped value": (lambda x: lax.psum(np.float32(2), "i"), [6, 6, 6]),
    "pbroadcast": (lambda x: lax.pbroadcast(x, "i", 1), np.broadcast_to(X[1], X.shape)),
}  # fmt: skip


@pytest.mark.parametrize("name", COLLECTIVES)
def test_collectives(name: str) -> None:
    f, expected = COLLECTIVES[name]
    for g in (f, cv.jit(f)):
        for mapped in (cv.vmap(g, axis_name="i"), cv.jit(cv.vmap(g, axis_name="i"))):
            np.testing.assert_allclose(np.asarray(mapped(X)), expected)
    inner = cv.vmap(cv.vmap(f, axis_name="i"), axis_name="j")(X[None])
    np.testing.assert_allclose(np.asarray(inner)[0], expected)
    outer = cv.vmap(cv.vmap(f, axis_name="j"), axis_name="i")(X[:, None])
    np.testing.assert_allclose(np.asarray(outer)[:, 0], expected)


def test_all_to_all() -> None:
    x = np.arange(18.0, dtype=np.float32).reshape(3, 3, 2)
    out = cv.vmap(lambda x: lax.all_to_all(x, "i", 0, 0), axis_name="i")(x)
    np.testing.assert_array_equal(np.asarray(out), x.swapaxes(0, 1))
    out = cv.vmap(lambda x: lax.all_to_all(x, "i", 0, 1), axis_name="i")(x)
    np.testing.assert_array_equal(np.asarray(out), x.transpose(1, 2, 0))
    s = cv.vmap(lambda x: lax.psum_scatter(x, "i"), axis_name="i")(x[..., 0])
    np.testing.assert_array_equal(np.asarray(s), x[..., 0].sum(0))


def test_collectives_and_derivatives() -> None:
    x = np.arange(4, dtype=np.float32)
    f = lambda x: lax.mul(x, lax.pmean(lax.mul(x, x), "i"))  # noqa: E731
    got = cv.grad(lambda x: lax.reduce_sum(cv.vmap(f, axis_name="i")(x), (0,)))(x)
    np.testing.assert_allclose(np.asarray(got), 14 / 4 + 2 * x * x.sum() / 4)
    got = cv.vmap(cv.grad(lambda x: lax.mul(x, lax.psum(lax.mul(x, x), "i"))), axis_name="i")(x)
    np.testing.assert_allclose(np.asarray(got), 14 + 2 * x * x.sum())


def test_collectives_in_loops() -> None:
    x = np.arange(3.0, dtype=np.float32)
    f = lambda x: lax.fori_loop(0, 2, lambda i, c: lax.add(c, lax.psum(x, "i")), x)  # noqa: E731
    assert values(cv.vmap(f, axis_name="i")(x)) == [6, 7, 8]
    g = lambda x: lax.scan(lambda c, _: (c, lax.axis_index("i")), 0.0, None, length=2)[1]  # noqa: E731
    assert values(cv.vmap(g, axis_name="i")(x)) == [[0, 0], [1, 1], [2, 2]]


def test_unbound_axis() -> None:
    with pytest.raises(NameError, match="unbound axis name: 'k'.*none"):
        lax.psum(1.0, "k")
    with pytest.raises(NameError, match="'i'"):
        cv.vmap(lambda x: lax.psum(x, "k"), axis_name="i")(X)


# --- callbacks ---------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["sequential", "broadcast_all", "expand_dims"])
def test_pure_callback(method: str) -> None:
    def f(x: Any) -> Any:
        return cv.pure_callback(
            lambda x: np.sin(np.asarray(x)), cv.ShapeDtypeStruct((), np.float32), x,
            vmap_method=method,
        )  # fmt: skip

    x = np.arange(3, dtype=np.float32)
    np.testing.assert_allclose(np.asarray(f(x[1])), np.sin(x[1]), rtol=1e-6)
    np.testing.assert_allclose(np.asarray(cv.jit(f)(x[1])), np.sin(x[1]), rtol=1e-6)
    np.testing.assert_allclose(np.asarray(cv.vmap(f)(x)), np.sin(x), rtol=1e-6)
    np.testing.assert_allclose(np.asarray(cv.jit(cv.vmap(f))(x)), np.sin(x), rtol=1e-6)
    with pytest.raises(ValueError, match="custom_jvp"):
        cv.grad(f)(1.0)


@pytest.mark.parametrize("dtype", ["uint8", "uint32", "int8", "float16", "bfloat16", "complex64"])
def test_pure_callback_may_return_python_numbers(dtype: str) -> None:
    result = cv.ShapeDtypeStruct((), dtype)
    for wrapped in (lambda f: f, cv.jit):
        y = wrapped(lambda x: cv.pure_callback(lambda x: 3, result, x))(1.0)
        assert complex(y) == 3 and str(y.dtype) == dtype


def _returns(result: Any, announced: Any, **options: Any) -> Any:
    def call(x: Any) -> Any:
        return cv.pure_callback(lambda x: result, announced, x, **options)

    return call


@pytest.mark.parametrize("wrapped", [lambda f: f, cv.jit], ids=["eager", "jit"])
def test_dtypes_of_callback_results(wrapped: Any) -> None:
    """Another dtype is an error, but for 64 bits where there are none."""
    f32, i32 = (cv.ShapeDtypeStruct((2,), d) for d in ("float32", "int32"))
    for result in (np.ones(2), np.ones(2, "float32"), [1, 2.0], (True, 3)):
        assert wrapped(_returns(result, f32))(1.0).dtype == np.float32
    wrong = (
        (np.ones(2, "int32"), f32), (np.ones(2, "float16"), f32), (np.ones(2, bool), i32),
        (np.ones(2, "int8"), i32), ([np.int32(1), 2], f32), ([1.0, 2.0], i32),
    )  # fmt: skip
    for result, announced in wrong:
        match = rf"announced to return {announced.dtype}\[2\], it returned .*\. Convert it"
        with pytest.raises(ValueError, match=match):
            wrapped(_returns(result, announced))(1.0)
        with pytest.raises(ValueError, match="it returned"):
            cv.vmap(wrapped(_returns(result, announced, vmap_method="sequential")))(np.ones(3))
    scalar = cv.ShapeDtypeStruct((), "float32")
    pair = np.float32(1)
    with pytest.raises(ValueError, match="it returned a tuple of 2, as an array of shape"):
        wrapped(_returns((pair, pair), scalar))(1.0)
    for nothing in (None, "a", [pair, np.ones(2)]):
        with pytest.raises(ValueError, match="which is no array of numbers"):
            wrapped(_returns(nothing, scalar))(1.0)
    with cv.enable_x64():
        with pytest.raises(ValueError, match="dtype float64. Convert it"):
            wrapped(_returns(np.ones(2), f32))(1.0)
        mapped = cv.vmap(wrapped(_returns([3, 4], i32, vmap_method="sequential")))
        assert mapped(np.ones(2)).dtype == np.int32


def test_pure_callback_errors() -> None:
    scalar = cv.ShapeDtypeStruct((), np.float32)
    with pytest.raises(NotImplementedError, match="vmap_method"):
        cv.vmap(lambda x: cv.pure_callback(np.sin, scalar, x))(X[0])
    with pytest.raises(ValueError, match="vmap_method"):
        cv.pure_callback(np.sin, scalar, 1.0, vmap_method="x")
    for wrapped in (lambda f: f, cv.jit):
        for method in (None, "sequential", "broadcast_all"):
            for result in (np.ones(2), np.ones((), "complex64")):
                with pytest.raises(
                    ValueError, match=r"announced to return float32\[\], it returned"
                ):
                    wrapped(
                        lambda x, r=result, m=method: cv.pure_callback(
                            lambda x: r, scalar, x, vmap_method=m
                        )
                    )(1.0)
    with pytest.raises(ValueError, match="announced"):
        cv.pure_callback(lambda x: (x, x), scalar, 1.0)
    with pytest.raises(ZeroDivisionError):
        cv.jit(lambda x: cv.pure_callback(lambda x: 1 / 0, scalar, x))(1.0)


def test_debug_print(capsys: pytest.CaptureFixture[str]) -> None:
    def f(x: Any) -> Any:
        cv.debug.print("x={x} {}", lax.mul(x, 2.0), x=x, ordered=True)
        return lax.mul(x, x)

    def shown(run: Any) -> list[str]:
        run()
        return capsys.readouterr().out.split("\n")[:-1]

    assert shown(lambda: f(1.0)) == ["x=1.0 2.0"]
    assert shown(lambda: cv.jit(f)(2.0)) == ["x=2.0 4.0"]
    assert shown(lambda: cv.vmap(f)(X[0, :2])) == ["x=0.0 0.0", "x=1.0 2.0"]
    assert shown(lambda: cv.grad(f)(3.0)) == ["x=3.0 6.0"]
    assert shown(lambda: cv.jit(cv.grad(f))(3.0)) == ["x=3.0 6.0"]
    assert shown(lambda: cv.jit(lambda x: lax.fori_loop(0, 2, lambda i, c: f(c), x))(2.0)) == [
        "x=2.0 4.0",
        "x=4.0 8.0",
    ]
    assert shown(lambda: cv.debug.print("{:.2f}", np.float32(1))) == ["1.00"]
    with pytest.raises(ValueError, match="not used"):
        cv.debug.print("x", 1.0)
    with pytest.raises(TypeError, match="format"):
        cv.debug.print(1.0)


MISFITS: list[tuple[str, tuple[Any, ...], dict[str, Any], str]] = [
    ("{x}", (), {}, "none: there is no argument of the name 'x'"),
    ("{} {}", (np.float32(1),), {}, r"float32\[\]: it has a place for the argument 1"),
    ("{:.2f}", (np.ones(2),), {}, r"float\d\d\[2\] takes no format such as '.2f'"),
    ("{x:d}", (), {"x": np.float32(1)}, r"x=float32\[\]: Unknown format code 'd'"),
    ("{x[2]}", (), {"x": np.ones(2)}, "index 2 is out of bounds"),
    ("{x.y}", (), {"x": np.ones(2)}, "no attribute 'y'"),
    ("{", (), {}, "Single '{'"),
    ("{:>5}", (None,), {}, "NoneType None: unsupported format string"),
    ("{:>5}", (cv.random.key(0),), {}, "takes no format such as '>5'"),
]


@pytest.mark.parametrize(("fmt", "args", "kwargs", "text"), MISFITS, ids=[m[0] for m in MISFITS])
def test_formats_that_do_not_fit(
    fmt: str, args: tuple[Any, ...], kwargs: dict[str, Any], text: str
) -> None:
    """They are errors where they are given, also in a function that does not run."""
    where = r"(.|\n)*test_vmap.py"
    for say, what in ((cv.debug.print, "debug.print"), (cv.debug.log, "debug.log")):
        match = rf"{what}: the format .* does not fit its arguments, .*{text}{where}"
        with pytest.raises(ValueError, match=match):
            say(fmt, *args, **kwargs)
        if fmt != "{:>5}" or args[0] is not None:
            with pytest.raises(ValueError, match=match):
                cv.make_jaxpr(lambda a, k, say=say: say(fmt, *a, **k))(args, kwargs)
    with pytest.raises(ValueError, match=f"does not fit its arguments{where}"):
        cv.debug.print("{x}", skip_format_check=True)


def test_formats_that_fit(capsys: pytest.CaptureFixture[str]) -> None:
    @cv.jit
    def f(x: Any, v: Any, k: Any) -> None:
        cv.debug.print("{:.1f} {!r:>3} {:{w}} {v} {t[0]:g} {d[a].shape} {:>2}|", x, 2, "s",
                       "t", v=v, t=[x], d={"a": v}, w=3)  # fmt: skip
        cv.debug.print("{k.shape}", k=k)

    f(1.0, np.ones(2, np.float32), cv.random.key(0))
    assert capsys.readouterr().out == "1.0 np.int32(2) s   [1. 1.] 1 (2,)  t|\n()\n"


def test_debug_callback() -> None:
    seen: list[Any] = []
    f = cv.jit(lambda x: cv.debug.callback(lambda x, label: seen.append((float(x), label)), x, "a"))
    f(2.0)
    assert seen == [(2.0, "a")]


# --- what is mapped ----------------------------------------------------------------------


def test_a_carry_that_is_only_read_is_not_mapped() -> None:
    w, x = np.ones((2, 2), np.float32), np.ones((4, 2), np.float32)

    def loop(w: Any, x: Any, n: Any) -> Any:
        return lax.while_loop(
            lambda v: v[0] < n, lambda v: (v[0] + 1, v[1] @ v[2], v[2]), (0, x, w)
        )

    f = cv.vmap(loop, in_axes=(None, 0, 0), out_axes=(0, 0, None))
    steps, out, same = f(w, x, np.arange(4))
    assert same.shape == (2, 2)
    assert values(steps) == [0, 1, 2, 3]
    assert values(out) == [[1, 1], [2, 2], [4, 4], [8, 8]]
    fori = lambda w, x, n: lax.fori_loop(0, n, lambda i, v: (v[0] @ v[1], v[1]), (x, w))  # noqa: E731
    assert cv.vmap(fori, (None, 0, 0), (0, None))(w, x, np.arange(4))[1].shape == (2, 2)
    ws = np.stack([w, w, w, w])
    assert values(cv.vmap(loop)(ws, x, np.arange(4))[1]) == values(out)
    swapped = lambda a, n: lax.fori_loop(0, n, lambda i, v: (v[1], v[0]), (a, -a))[0]  # noqa: E731
    assert values(cv.vmap(swapped, (None, 0))(1, np.arange(3))) == [1, -1, 1]


def test_operands_that_all_branches_return() -> None:
    def f(p: Any, x: Any, y: Any, z: Any) -> Any:
        return lax.cond(p, lambda x, y, z: (x, y, y), lambda x, y, z: (x + 1, y, z), x, y, z)

    p, x, y, z = np.array([True, False]), np.ones(2, np.float32), np.float32(3), np.float32(5)
    out = cv.vmap(f, (0, 0, None, None), (0, None, 0))(p, x, y, z)
    assert values(out) == ([1, 2], 3, [3, 5])
    total = lambda y, z: sum(map(cv.numpy.sum, cv.vmap(f, (0, 0, None, None))(p, x, y, z)))  # noqa: E731
    assert values(cv.grad(total, (0, 1))(y, z)) == (3, 1)


def test_what_is_not_mapped_need_not_be_an_array() -> None:
    x = np.arange(3)
    assert values(cv.vmap(lambda f, x: f(x), (None, 0))(lambda x: x * 2, x)) == [0, 2, 4]
    assert values(cv.vmap(lambda x, s: x + len(s), (0, None))(x, "ab")) == [2, 3, 4]
    config = {"scale": np.array([1, 2, 3]), "name": object()}
    f = cv.vmap(lambda x, c: x * c["scale"], (0, {"scale": 0, "name": None}))
    assert values(f(x, config)) == [0, 2, 6]
    with pytest.raises(TypeError, match="argument s is not an array.*None in in_axes"):
        cv.vmap(lambda x, s: x)(x, "ab")


@pytest.mark.parametrize("axes", [True, False, (False,), np.int64(0), 1.0, "i"])
def test_axes_are_integers(axes: Any) -> None:
    with pytest.raises(TypeError, match="in_axes must be"):
        cv.vmap(lambda x: x, in_axes=axes)(X)
    with pytest.raises(TypeError, match="out_axes must be an int, None, or a tree of those"):
        cv.vmap(lambda x: (x,), out_axes=axes)(X)


EMPTY = np.zeros((0, 3, 2), np.float32)
NONE = np.zeros(0, np.int32)


@pytest.mark.parametrize(
    "fun, args, shape",
    [
        (lambda m, i: m[i], (EMPTY[:, :1], NONE), (0, 2)),
        (lambda m, i: m.at[i].set(1.0), (EMPTY, NONE), (0, 3, 2)),
        (lambda m, i: lax.dynamic_slice(m, (i, 0), (1, 2)), (EMPTY, NONE), (0, 1, 2)),
        (lambda m, i: lax.dynamic_update_slice(m, m[:1], (i, 0)), (EMPTY, NONE), (0, 3, 2)),
        (cv.grad(lambda m, i: m[i].sum()), (EMPTY, NONE), (0, 3, 2)),
        (lambda m, i: cv.numpy.take_along_axis(m, m.astype(int), 0), (EMPTY, NONE), (0, 3, 2)),
        (lambda m, i: lax.psum(m, "i") + m, (EMPTY, NONE), (0, 3, 2)),
        (lambda m, i: lax.ppermute(m, "i", []), (EMPTY, NONE), (0, 3, 2)),
        (lambda m, i: lax.fori_loop(0, i, lambda _, c: c + 1, m), (EMPTY, NONE), (0, 3, 2)),
        (lambda m, i: lax.switch(i, [lambda m: m, lambda m: -m], m), (EMPTY, NONE), (0, 3, 2)),
        (lambda m, i: cv.numpy.linalg.inv(m[:2]), (EMPTY, NONE), (0, 2, 2)),
    ],
)
def test_empty_batches(fun: Any, args: Any, shape: Any) -> None:
    mapped = cv.vmap(fun, axis_name="i")
    assert mapped(*args).shape == shape == cv.jit(mapped)(*args).shape


# --- collectives over several axes, and over groups ----------------------------------------


Y = np.arange(36, dtype=np.float32).reshape(2, 3, 6)


def both(fun: Any) -> Any:
    return cv.vmap(cv.vmap(fun, axis_name="j"), axis_name="i")


@pytest.mark.parametrize("names", [("i", "j"), ("j", "i")])
def test_collectives_over_two_axes(names: Any) -> None:
    # The same over one axis of six elements, in the order of the names.
    order = (0, 1) if names == ("i", "j") else (1, 0)

    def alone(fun: Any, y: Any = Y) -> Any:
        flat = y.transpose(*order, 2).reshape(6, *y.shape[2:])
        out = np.asarray(cv.vmap(fun, axis_name="k")(flat))
        shape = tuple(y.shape[k] for k in order)
        out = out.reshape(*shape, *out.shape[1:])
        return out.swapaxes(0, 1) if names == ("j", "i") else out

    perm = [(0, 1), (5, 2), (3, 0)]
    for fun in (
        lambda x, n: lax.psum(x, n),
        lambda x, n: lax.ppermute(x, n, perm),
        lambda x, n: lax.pshuffle(x, n, [1, 2, 0, 4, 5, 3]),
        lambda x, n: lax.all_gather(x, n),
        lambda x, n: lax.all_to_all(x, n, 0, 0),
        lambda x, n: lax.all_to_all(x, n, 0, 0, tiled=True),
        lambda x, n: lax.psum_scatter(x, n),
        lambda x, n: lax.psum_scatter(x, n, tiled=True),
        lambda x, n: lax.pswapaxes(x, n, 0),
        lambda x, n: lax.pbroadcast(x, n, 4),
        lambda x, n: x[0] + lax.axis_index(n),
    ):
        found = both(lambda x: fun(x, names))(Y)  # noqa: B023
        np.testing.assert_array_equal(np.asarray(found), alone(lambda x: fun(x, "k")))  # noqa: B023
    sent = lambda y: (both(lambda x: lax.ppermute(x, names, perm))(y) * Y).sum()  # noqa: E731
    there = both(lambda x: lax.ppermute(x, names, [(b, a) for a, b in perm]))(Y)
    np.testing.assert_array_equal(np.asarray(cv.grad(sent)(Y)), np.asarray(there))


def test_collectives_over_groups() -> None:
    x = np.arange(4, dtype=np.float32) ** 2
    m = np.arange(8, dtype=np.float32).reshape(4, 2)
    groups, unequal = [[0, 2], [1, 3]], [[0], [1, 2, 3]]

    def run(fun: Any, x: Any, groups: Any = groups) -> Any:
        return values(cv.vmap(lambda x: fun(x, "i", axis_index_groups=groups), axis_name="i")(x))

    assert run(lax.psum, x) == [4, 10, 4, 10]
    assert run(lax.psum, x, unequal) == [0, 14, 14, 14]
    assert run(lax.pmean, x) == [2, 5, 2, 5]
    assert run(lax.pmean, x, unequal) == [0, *[np.float32(14 / 3)] * 3]
    assert run(lax.pmax, x, unequal) == [0, 9, 9, 9]
    assert run(lax.pmin, x) == [0, 1, 0, 1]
    assert run(lax.all_gather, x) == [[0, 4], [1, 9], [0, 4], [1, 9]]
    assert run(lax.psum_scatter, m) == [4, 8, 6, 10]
    assert run(lambda x, n, **k: lax.all_to_all(x, n, 0, 0, **k), m) == [
        [0, 4], [2, 6], [1, 5], [3, 7],
    ]  # fmt: skip
    assert run(lambda x, n, **k: x * 0 + lax.psum(1, n, **k), x) == [2, 2, 2, 2]
    assert run(lambda x, n, **k: x * 0 + lax.psum(1, n, **k), x, unequal) == [1, 3, 3, 3]
    loss = lambda x: (  # noqa: E731
        cv.vmap(lambda x: lax.psum(x, "i", axis_index_groups=groups), axis_name="i")(x)
        * np.arange(4.0)
    ).sum()
    assert values(cv.grad(loss)(x)) == [2, 4, 2, 4]
    with pytest.raises(ValueError, match="must cover all indices exactly once"):
        run(lax.psum, x, [[0, 1], [1, 2]])
    with pytest.raises(ValueError, match="must be of one size"):
        run(lax.all_gather, x, unequal)
    with pytest.raises(ValueError, match="of one axis, but 2 axes"):
        both(lambda x: lax.psum(x, ("i", "j"), axis_index_groups=groups))(Y)
