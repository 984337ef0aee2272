"""Differentiation: conventions, checks of arguments, custom rules."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import covector as cv
from covector import lax


def values(tree: Any) -> Any:
    return cv.tree.map(lambda x: np.asarray(x).tolist(), tree)


def test_python_control_flow_on_concrete_values() -> None:
    def f(x: Any) -> Any:
        n = 0
        while bool(lax.lt(x, 10.0)):
            x = lax.mul(x, x)
            n += 1
        return lax.neg(x) if n > 2 else x

    # 2 -> 4 -> 16 and 1.2 -> ... -> 1.2**16: the number of squarings depends on the value.
    np.testing.assert_allclose(np.asarray(cv.grad(f)(2.0)), 4 * 2.0**3)
    np.testing.assert_allclose(np.asarray(cv.grad(f)(1.2)), -16 * 1.2**15, rtol=1e-5)


def test_argnums_and_aux() -> None:
    f = lambda x, y: lax.mul(x, lax.mul(y, y))  # noqa: E731
    assert values(cv.grad(f, argnums=(0, 1))(2.0, 3.0)) == (9, 12)
    assert values(cv.grad(f, argnums=-1)(2.0, 3.0)) == 12
    g = cv.value_and_grad(lambda p: (f(p["a"], p["b"]), {"aux": p["a"]}), has_aux=True)
    (value, aux), grads = g({"a": 2.0, "b": 3.0})
    assert values(value) == 18 and values(aux) == {"aux": 2.0}
    assert values(grads) == {"a": 9, "b": 12}
    out, tangent, aux = cv.jvp(lambda x: (lax.sin(x), x), (0.0,), (1.0,), has_aux=True)
    assert values((out, tangent)) == (0, 1)
    out, pullback, aux = cv.vjp(lambda x: (lax.sin(x), "text"), 0.0, has_aux=True)
    assert aux == "text" and values(pullback(2.0)) == (2,)


def test_complex() -> None:
    z = np.complex64(1 + 2j)
    # Of a real function, df/dx - i df/dy.
    np.testing.assert_allclose(np.asarray(cv.grad(lambda z: lax.real(lax.mul(z, z)))(z)), 2 + 4j)
    holomorphic = cv.grad(lambda z: lax.mul(z, z), holomorphic=True)(z)
    np.testing.assert_allclose(np.asarray(holomorphic), 2 * z)
    np.testing.assert_allclose(np.asarray(cv.grad(lax.abs)(np.complex64(3 + 4j))), 0.6 - 0.8j)


def test_integers() -> None:
    g = cv.grad(lambda x, y: lax.mul(y, 2.0), argnums=(0, 1), allow_int=True)(3, 1.0)
    assert g[0].dtype == cv.float0 and values(g[1]) == 2
    _, pullback = cv.vjp(lambda x, n: lax.mul(x, 2.0), 1.0, 3)
    assert pullback(1.0)[1].dtype == cv.float0


X3 = np.ones(3, np.float32)


@pytest.mark.parametrize(
    "make, error, text",
    [
        (lambda: cv.grad(lax.sin)(X3), TypeError, r"shape: \(3,\)"),
        (lambda: cv.grad(lambda x: x)(1), TypeError, r"argument x is int32\[\]"),
        (lambda: cv.grad(lambda x: {"a": x})(1.0), TypeError, "scalar"),
        (lambda: cv.grad(lambda x: (x, x), has_aux=False)(1.0), TypeError, "has_aux"),
        (lambda: cv.grad(lambda x: x, has_aux=True)(1.0), TypeError, "pair"),
        (lambda: cv.grad(lax.sin, argnums=2)(1.0), TypeError, "argument 2"),
        (lambda: cv.grad(lambda x, y: x, argnums=(0, 0))(1.0, 1.0), ValueError, "twice"),
        (lambda: cv.grad(lambda x: lax.lt(x, 1.0))(1.0), TypeError, r"returned bool\[\]"),
        (lambda: cv.grad(lambda z: z)(np.complex64(1)), TypeError, "holomorphic"),
        (lambda: cv.grad(lambda z: z, holomorphic=True)(1.0), TypeError, "complex inputs"),
        (lambda: cv.grad(3), TypeError, "takes a function"),
        (lambda: cv.jvp(lambda x: x, 1.0, 1.0), TypeError, r"write \(x,\)"),
        (lambda: cv.jvp(lambda x: x, (1.0,), (1,)), TypeError, "argument x"),
        (lambda: cv.jvp(lambda x: x, (X3,), (X3[:2],)), ValueError, r"float32\[2\]"),
        (lambda: cv.jvp(lambda x: x, (1.0,), (1.0, 2.0)), TypeError, "structure"),
        (lambda: cv.vjp(lambda x: x, 1.0)[1]((1.0, 2.0)), ValueError, "structure"),
        (lambda: cv.vjp(lambda x: x, 1.0)[1](X3), ValueError, r"got float32\[3\]"),
        (lambda: cv.jacfwd(lambda x: x)(1), TypeError, "argument x"),
        (lambda: cv.linearize(lambda x: x, 1.0)[1](X3), ValueError, r"got float32\[3\]"),
        (lambda: cv.linear_transpose(lambda x: x, 1.0)(X3), TypeError, r"float32\[\]"),
    ],
)
def test_bad_use(make: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text) as info:
        make()
    assert "test_autodiff.py" in str(info.value)


def test_pullbacks_are_pytrees() -> None:
    f = cv.jit(lambda x: cv.vjp(lax.sin, x))
    for _ in range(2):
        out, pullback = f(1.0)
        np.testing.assert_allclose(np.asarray(pullback(2.0)[0]), 2 * np.cos(1), rtol=1e-6)
    out, push = cv.jit(lambda x: cv.linearize(lax.sin, x))(1.0)
    np.testing.assert_allclose(np.asarray(push(2.0)), 2 * np.cos(1), rtol=1e-6)
    assert values(cv.linear_transpose(lambda x: lax.mul(x, 3.0), 1.0)(2.0)) == (6,)


def test_custom_jvp() -> None:
    @cv.custom_jvp
    def f(x: Any, y: Any = 2.0) -> Any:
        return lax.mul(x, y)

    with pytest.raises(AttributeError, match="defjvp"):
        f(1.0)
    f.defjvps(lambda t, out, x, y: lax.mul(t, 10.0), None)
    assert values(cv.grad(f)(3.0)) == 10
    assert values(cv.grad(lambda x: f(x=x, y=x))(3.0)) == 10
    assert values(cv.jit(f)(3.0)) == 6

    @cv.custom_jvp
    def on_condition(x: Any) -> Any:
        return lax.sin(x) if bool(lax.gt(x, 0.0)) else lax.cos(x)

    @on_condition.defjvp
    def _rule(primals: Any, tangents: Any) -> Any:
        (x,), (t,) = primals, tangents
        return on_condition(x), lax.mul(t, 10.0 if bool(lax.gt(x, 0.0)) else 20.0)

    assert values(cv.grad(on_condition)(1.0)) == 10
    assert values(cv.grad(on_condition)(-1.0)) == 20


def test_custom_jvp_nondiff_argnums() -> None:
    f = cv.custom_jvp(lambda fun, x: fun(x), nondiff_argnums=(0,))
    f.defjvp(lambda fun, primals, tangents: (fun(*primals), lax.mul(tangents[0], 3.0)))
    assert values(cv.jit(cv.grad(lambda x: f(lax.sin, x)))(0.0)) == 3


def test_custom_vjp() -> None:
    @cv.custom_vjp
    def f(x: Any, n: Any, d: Any) -> Any:
        return lax.mul(x, d["a"])

    with pytest.raises(AttributeError, match="defvjp"):
        f(1.0, 1, {"a": 1.0, "b": 2.0})
    f.defvjp(lambda x, n, d: (f(x, n, d), x), lambda res, ct: (None, None, {"a": ct, "b": None}))
    assert values(cv.grad(lambda x: f(x, 3, {"a": x, "b": x}))(0.5)) == 1
    assert values(cv.jit(cv.grad(lambda x: f(x, 3, {"a": x, "b": x})))(0.5)) == 1
    with pytest.raises(TypeError, match="forward-mode"):
        cv.jvp(lambda x: f(x, 3, {"a": x, "b": x}), (1.0,), (1.0,))
    with pytest.raises(TypeError, match="forward-mode"):
        cv.jit(lambda x: cv.jvp(lambda x: f(x, 3, {"a": x, "b": x}), (x,), (1.0,)))(1.0)


@pytest.mark.parametrize(
    "fwd, bwd, error, text",
    [
        (lambda x: x, lambda r, g: (g,), TypeError, "pair"),
        (lambda x: (x, None), lambda r, g: g, TypeError, "tuple"),
        (lambda x: (x, None), lambda r, g: (g, g), TypeError, "tuple of 2"),
        (lambda x: (x, None), lambda r, g: (X3,), ValueError, r"float32\[3\]"),
        (lambda x: (x, None), lambda r, g: ({"a": g},), TypeError, "structure"),
    ],
)
def test_custom_vjp_bad_rules(fwd: Any, bwd: Any, error: type[Exception], text: str) -> None:
    f = cv.custom_vjp(lambda x: x)
    f.defvjp(fwd, bwd)
    with pytest.raises(error, match=text):
        cv.grad(f)(1.0)


def test_closed_over_values_of_custom_rules() -> None:
    def outer(x: Any) -> Any:
        f = cv.custom_jvp(lambda y: lax.mul(x, y))
        f.defjvp(lambda p, t: (f(*p), t[0]))
        return cv.jit(f)(2.0)

    with pytest.raises(cv.errors.UnexpectedTracerError, match="closed-over"):
        cv.grad(outer)(1.0)


def test_stop_gradient() -> None:
    stop = lax.stop_gradient
    assert values(cv.grad(lambda x: lax.mul(x, stop(x)))(3.0)) == 3
    assert values(cv.jit(cv.grad(lambda x: lax.mul(x, cv.jit(stop)(x))))(3.0)) == 3
    assert values(cv.jvp(lambda x: stop(x), (3.0,), (1.0,))) == (3, 0)
    assert stop({"a": 1}) == {"a": 1}


@pytest.mark.parametrize("wrap", [lambda f: f, cv.jit, cv.checkpoint])
def test_stop_gradient_holds_for_derivatives_of_derivatives(wrap: Any) -> None:
    f = wrap(lambda x: lax.mul(x, lax.stop_gradient(x)))
    derivative = lambda x: cv.jvp(f, (x,), (1.0,))[1]  # noqa: E731
    for g in (cv.grad(f), cv.jit(cv.grad(f)), derivative, lambda x: cv.linearize(f, x)[1](1.0)):
        assert values(g(3.0)) == 3
        assert values(cv.grad(g)(3.0)) == 0
        assert values(cv.jvp(g, (3.0,), (1.0,))) == (3, 0)
    assert values(cv.vmap(cv.grad(cv.grad(f)))(np.ones(3, np.float32))) == [0, 0, 0]


def test_custom_gradient_and_closure_convert() -> None:
    f = cv.custom_gradient(lambda x: (lax.mul(x, x), lambda g: (lax.mul(g, x),)))
    assert values(f(3.0)) == 9
    assert values(cv.grad(f)(3.0)) == values(cv.jit(cv.grad(f))(3.0)) == 3

    def g(y: Any) -> Any:
        converted, consts = cv.closure_convert(lambda x: lax.mul(x, y), 1.0)
        assert len(consts) == 1
        return converted(2.0, *consts)

    assert values(cv.grad(g)(3.0)) == 2


def test_checkpoint_policies(capsys: pytest.CaptureFixture[str]) -> None:
    from covector.ad_checkpoint import checkpoint_name, print_saved_residuals

    def f(x: Any) -> Any:
        return lax.sin(checkpoint_name(lax.exp(lax.sin(x)), "e"))

    policies = cv.checkpoint_policies
    counts = {}
    for name, policy in {
        "nothing": policies.nothing_saveable,
        "names": policies.save_only_these_names("e"),
        "everything": policies.everything_saveable,
    }.items():
        print_saved_residuals(cv.checkpoint(f, policy=policy), 0.5)
        counts[name] = len(capsys.readouterr().out.splitlines())
    assert counts["nothing"] == 1
    assert counts["nothing"] < counts["names"] <= counts["everything"]


def test_fwd_and_bwd() -> None:
    fwd, bwd = cv.fwd_and_bwd(lambda x, y: lax.mul(x, y), argnums=(0, 1))
    out, pullback = fwd(2.0, 3.0)
    assert values(out) == 6 and values(bwd(pullback, 1.0)) == (3, 2)
