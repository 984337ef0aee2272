"""Custom derivative rules: in themselves, in other transformations, on values of outer ones."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import covector as cv
import covector.numpy as cnp
from covector import lax
from covector.custom_derivatives import SymbolicZero

Wrap = Callable[[Callable[..., Any]], Callable[..., Any]]


def three_times(f: Callable[..., Any]) -> Callable[..., Any]:
    return lambda x: lax.scan(lambda c, _: (f(c), None), x, None, length=3)[0]


# How a function is called, and how often.
WRAPS: dict[str, tuple[Wrap, int]] = {
    "plain": (lambda f: f, 1),
    "jit": (cv.jit, 1),
    "jit in jit": (lambda f: cv.jit(lambda x: cv.jit(f)(x)), 1),
    "remat": (cv.remat, 1),
    "cond": (lambda f: lambda x: lax.cond(x > 0, f, lambda x: x, x), 1),
    "vmap": (lambda f: lambda x: cv.vmap(f)(cnp.stack([x, x]))[0], 1),
    "jit of vmap": (lambda f: cv.jit(lambda x: cv.vmap(f)(cnp.stack([x, x]))[0]), 1),
    "scan": (three_times, 3),
    "fori_loop": (lambda f: lambda x: lax.fori_loop(0, 3, lambda i, c: f(c), x), 3),
    "remat of scan": (lambda f: cv.remat(three_times(f)), 3),
}
each_wrap = pytest.mark.parametrize("name", WRAPS)


@each_wrap
def test_a_rule_that_applies_its_function_to_tangents(name: str) -> None:
    f = cv.custom_jvp(lambda x: -x)
    f.defjvp(lambda p, t: (f(*p), f(*t)))
    wrapped, times = WRAPS[name][0](f), WRAPS[name][1]
    sign = (-1.0) ** times
    assert cv.grad(wrapped)(3.0) == sign
    assert cv.jvp(wrapped, (3.0,), (2.0,)) == (3 * sign, 2 * sign)
    assert cv.grad(lambda x: cv.grad(wrapped)(x) * x)(3.0) == sign
    if name != "cond":  # whose predicate depends on the argument
        assert cv.linear_transpose(wrapped, 3.0)(1.0) == (sign,)


@each_wrap
def test_a_rule_is_kept_in_second_derivatives(name: str) -> None:
    f = cv.custom_jvp(lambda x: x * x)
    f.defjvp(lambda p, t: (f(*p), 3.0 * p[0] * t[0]))
    wrapped, times = WRAPS[name][0](f), WRAPS[name][1]
    # By the rule, x_k = x_{k-1}^2 has the derivative 3 x_{k-1}.
    x, first, second = 1.5, 1.0, 0.0
    for _ in range(times):
        x, first, second = x * x, 3 * x * first, 3 * first * first + 3 * x * second
    np.testing.assert_allclose(cv.grad(wrapped)(1.5), first, rtol=1e-6)
    for second_of in (cv.grad(cv.grad(wrapped)), cv.hessian(wrapped)):
        np.testing.assert_allclose(second_of(1.5), second, rtol=1e-6)


def scaling(x: Any, kind: str = "jvp") -> Any:
    """A function of y whose rule closes over ``x``."""
    if kind == "jvp":
        f = cv.custom_jvp(lambda y: x * y)
        f.defjvp(lambda p, t: (x * p[0], x * t[0]))
    else:
        f = cv.custom_vjp(lambda y: x * y)
        f.defvjp(lambda y: (x * y, None), lambda _, ct: (x * ct,))
    return f


@pytest.mark.parametrize("kind", ["jvp", "vjp"])
@pytest.mark.parametrize(
    "fun, expected",
    [
        (lambda s: cv.vmap(lambda x: cv.grad(s(x))(2.0))(cnp.arange(3.0)), [0, 1, 2]),
        (lambda s: cv.grad(lambda z: cv.vmap(lambda x: s(x)(z))(cnp.arange(3.0)).sum())(2.0), 3),
        (lambda s: cv.jit(lambda x: cv.grad(s(x))(2.0))(3.0), 3),
        (lambda s: cv.grad(cv.jit(lambda y, x: s(x)(y)))(2.0, 3.0), 3),
        (lambda s: cv.jit(lambda x: cv.grad(cv.jit(s(x)))(2.0))(3.0), 3),
        (lambda s: cv.grad(lambda y: lax.scan(lambda c, x: (s(x)(c), None), y,
                                              cnp.arange(1.0, 4.0))[0])(2.0), 6),
        (lambda s: cv.grad(lambda z: cv.vmap(lambda w: cv.vmap(lambda x: s(x * w)(z))(
            cnp.arange(3.0)))(cnp.ones(2)).sum())(1.0), 6),
        (lambda s: cv.grad(cv.remat(lambda y, x: s(x)(y)))(2.0, 3.0), 3),
        (lambda s: cv.grad(lambda x: cv.grad(s(x))(2.0))(3.0), 1),
    ],
)  # fmt: skip
def test_rules_that_close_over_traced_values(fun: Any, expected: Any, kind: str) -> None:
    np.testing.assert_array_equal(fun(functools.partial(scaling, kind=kind)), expected)


def test_forward_mode_through_a_rule_that_closes_over_a_mapped_value() -> None:
    f = lambda z: cv.vmap(lambda x: scaling(x)(z))(cnp.arange(3.0))  # noqa: E731
    assert cv.jvp(f, (1.0,), (2.0,))[1].tolist() == [0, 2, 4]


@pytest.mark.parametrize("wrap", [lambda f: f, cv.jit, cv.remat])
def test_differentiating_by_a_closed_over_value_is_an_error(wrap: Any) -> None:
    with pytest.raises(cv.errors.UnexpectedTracerError, match="explicit arguments"):
        cv.grad(wrap(lambda x: scaling(x)(x)))(3.0)


# --- arguments that are not differentiated -----------------------------------------------


def weighted() -> Any:
    f = functools.partial(cv.custom_jvp, nondiff_argnums=(0,))(lambda x, y: x * y)
    f.defjvp(lambda x, p, t: (f(x, p[0]), 5 * x * t[0]))
    return f


@pytest.mark.parametrize("wrap", [lambda f: f, cv.jit, cv.remat])
def test_traced_nondiff_arguments_of_custom_jvp(wrap: Any) -> None:
    f = weighted()
    assert cv.grad(wrap(f), (0, 1))(2.0, 3.0) == (0.0, 10.0)
    assert cv.jit(lambda x, y: cv.grad(wrap(lambda y: f(x, y)))(y))(2.0, 3.0) == 10.0
    mapped = cv.vmap(wrap(f))
    xs, ys = cnp.array([2.0, 4.0]), cnp.array([3.0, 3.0])
    assert cv.jvp(lambda y: mapped(xs, y), (ys,), (ys,))[1].tolist() == [30, 60]
    assert cv.grad(lambda y: mapped(xs, y).sum())(ys).tolist() == [10, 20]
    steps = lambda y: lax.scan(lambda c, x: (f(x, c), None), y, cnp.arange(1.0, 3.0))[0]  # noqa: E731
    assert cv.grad(wrap(steps))(3.0) == 50.0


@pytest.mark.parametrize("wrap", [cv.jit, cv.remat, lambda f: cv.vmap(f, (0, None))])
def test_traced_nondiff_arguments_of_custom_vjp_are_an_error(wrap: Any) -> None:
    f = functools.partial(cv.custom_vjp, nondiff_argnums=(0,))(lambda s, p: s * p)
    f.defvjp(lambda s, p: (s * p, ()), lambda s, res, ct: (s * ct,))
    assert cv.grad(f, 1)(2.0, 3.0) == 2.0
    with pytest.raises(cv.errors.UnexpectedTracerError, match="^argument 0 .* nondiff_argnums"):
        wrap(lambda s, p: f(s, p))(cnp.ones(2), 0.1)


# --- symbolic zeros ----------------------------------------------------------------------


@each_wrap
def test_symbolic_zeros(name: str) -> None:
    wrap = WRAPS[name][0]
    seen: list[bool] = []

    def bwd(_: Any, cts: Any) -> Any:
        seen[:] = [type(ct) is SymbolicZero for ct in cts]
        return cts[0], None

    f = cv.custom_vjp(lambda x, y: (x, y))
    f.defvjp(lambda x, y: ((x.value, y.value), None), bwd, symbolic_zeros=True)
    assert cv.grad(wrap(lambda x: f(x, 2.0)[0]))(3.0) == 1.0
    assert seen == [False, True]

    def rule(primals: Any, tangents: Any) -> Any:
        seen[:] = [type(t) is SymbolicZero for t in tangents]
        return g(*primals), (tangents[0] * primals[1], tangents[1])

    g = cv.custom_jvp(lambda x, y: (x * y, y))
    g.defjvp(rule, symbolic_zeros=True)
    assert cv.grad(wrap(lambda x: g(x, 2.0)[0]))(3.0) == 2.0 ** WRAPS[name][1]
    if "vmap" not in name:  # where rules are looked at beforehand
        assert seen == [False, True]


# --- optimize_remat, dtypes --------------------------------------------------------------


@each_wrap
def test_optimize_remat(name: str) -> None:
    f = cv.custom_vjp(lambda x: cnp.tan(x))
    f.defvjp(lambda x: (cnp.sin(x), x), lambda x, ct: (cnp.cos(x) * ct,), optimize_remat=True)
    value, _ = cv.value_and_grad(WRAPS[name][0](f))(3.2)
    # Eagerly nothing is known of what will be needed.
    rule = np.sin if name in ("plain", "vmap") else np.tan
    expected = 3.2
    for _ in range(WRAPS[name][1]):
        expected = rule(expected)
    np.testing.assert_allclose(value, expected, rtol=1e-5)


def test_optimize_remat_keeps_the_forward_pass_where_residuals_are_needed() -> None:
    f = cv.custom_vjp(lambda x: cnp.tan(x))
    f.defvjp(lambda x: (cnp.sin(x), cnp.exp(x)), lambda r, ct: (r * ct,), optimize_remat=True)
    value, g = cv.jit(cv.value_and_grad(f))(0.5)
    np.testing.assert_allclose([value, g], [np.sin(0.5), np.exp(0.5)], rtol=1e-6)
    second = cv.jvp(cv.grad(cv.jit(f)), (0.5,), (1.0,))[1]
    np.testing.assert_allclose(second, np.exp(0.5), rtol=1e-6)
    batch = cv.vmap(cv.value_and_grad(cv.jit(f)))(cnp.array([0.5, 1.0]))
    np.testing.assert_allclose(batch, [np.sin([0.5, 1]), np.exp([0.5, 1])], rtol=1e-6)
    with pytest.raises(NotImplementedError, match="symbolic_zeros and optimize_remat"):
        f.defvjp(lambda x: x, lambda r, ct: ct, symbolic_zeros=True, optimize_remat=True)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32"])
@pytest.mark.parametrize("returned", ["bfloat16", "float16", "float32"])
def test_cotangents_of_another_float_dtype(dtype: str, returned: str) -> None:
    f = cv.custom_vjp(lambda x: x.astype("float32"))
    f.defvjp(lambda x: (x.astype("float32"), None), lambda _, ct: (ct.astype(returned),))
    x = cnp.full(2, 2, dtype)
    assert cv.vjp(f, x)[1](cnp.ones(2))[0].dtype == returned
    # Beside other cotangents, and in compiled calls, it takes the dtype of the argument.
    for g, expected in (
        (lambda x: (f(x) * x).sum(), [4, 4]),
        (lambda x: f(x * 3).sum() + x.sum().astype("float32"), [4, 4]),
        (lambda x: cv.jit(f)(x).sum(), [1, 1]),
        (lambda x: lax.scan(lambda c, _: (f(c).astype(dtype), None), x, length=2)[0].sum(), [1, 1]),
    ):
        found = cv.grad(g)(x)
        assert found.dtype == dtype and found.astype("float32").tolist() == expected


def test_cotangents_of_other_dtypes_are_an_error() -> None:
    for wrong in ("int32", "complex64"):
        f = cv.custom_vjp(lambda x: x)
        f.defvjp(lambda x: (x, None), lambda _, ct: (ct.astype(wrong),))  # noqa: B023
        with pytest.raises(ValueError, match=f"expected float32.*got {wrong}"):
            cv.grad(f)(1.0)


# --- results that are not mapped ---------------------------------------------------------


def summed(kind: str) -> Any:
    if kind == "vjp":
        f = cv.custom_vjp(lambda x: lax.psum(x, "i"))
        f.defvjp(lambda x: (lax.psum(x, "i"), None), lambda _, ct: (ct,))
        return f
    g = cv.custom_jvp(lambda x: lax.psum(x, "i"))
    apply = g if kind == "own" else functools.partial(lax.psum, axis_name="i")
    g.defjvp(lambda p, t: (apply(*p), apply(*t)))
    return g


@pytest.mark.parametrize("kind", ["jvp", "own", "vjp"])
def test_psum_in_rules_is_not_mapped(kind: str) -> None:
    f, x = summed(kind), cnp.arange(4.0)
    alone = lambda x: cv.vmap(f, axis_name="i", out_axes=None)(x)  # noqa: E731
    assert alone(x) == 6
    assert cv.grad(alone)(x).tolist() == [1, 1, 1, 1]
    of_constant = cv.vmap(lambda _, x: f(x), axis_name="i", in_axes=(0, None), out_axes=None)
    assert of_constant(x, 2.0) == 8
    product = lambda x: cv.vmap(lambda x: f(x) * x, axis_name="i")(x).sum()  # noqa: E731
    for g in (cv.grad(product), cv.jit(cv.grad(product))):
        assert g(x).tolist() == [12, 12, 12, 12]


def test_a_mapped_tangent_of_an_unmapped_result() -> None:
    f = cv.custom_jvp(lambda x: 3.0)
    f.defjvp(lambda p, t: (3.0, 2 * t[0]))
    assert cv.vmap(f)(cnp.arange(2.0)).tolist() == [3, 3]
    assert cv.grad(lambda x: cv.vmap(f)(x).sum())(cnp.arange(2.0)).tolist() == [2, 2]
