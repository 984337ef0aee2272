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


def test_debug_callback() -> None:
    seen: list[Any] = []
    f = cv.jit(lambda x: cv.debug.callback(lambda x, label: seen.append((float(x), label)), x, "a"))
    f(2.0)
    assert seen == [(2.0, "a")]
