"""Loops and branches: types, structures, weak types, errors, edge cases."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import covector as cv
from covector import lax

F32 = np.float32
XS = np.arange(4, dtype=F32)


def described(tree: Any) -> Any:
    """Shape, dtype, weak type and value of each leaf."""
    return [
        (x.shape, str(x.dtype), x.aval.weak_type, np.asarray(x).tolist())
        for x in cv.tree.leaves(tree)
    ]


TYPES = {
    "scan, weak carry and strong x": (
        lambda: lax.scan(lambda c, x: (lax.add(c, x), c), 0.0, XS),
        [((), "float32", False, 6.0), ((4,), "float32", True, [0, 0, 1, 3])],
    ),
    "scan, weak integer carry": (
        lambda: lax.scan(lambda c, x: (lax.add(c, 1), c), 0, XS),
        [((), "int32", True, 4), ((4,), "int32", True, [0, 1, 2, 3])],
    ),
    "scan, weak carry takes the dtype of the result": (
        lambda: lax.scan(lambda c, x: (lax.mul(x, 2.0), c), 0, XS),
        [((), "float32", False, 6.0), ((4,), "float32", False, [0, 0, 2, 4])],
    ),
    "scan of no steps": (
        lambda: lax.scan(lambda c, x: (lax.add(c, x), c), 0.0, XS[:0]),
        [((), "float32", False, 0.0), ((0,), "float32", True, [])],
    ),
    "fori": (
        lambda: lax.fori_loop(0, 4, lambda i, c: lax.add(c, i), 0), [((), "int32", True, 6)],
    ),
    "fori of no steps": (
        lambda: lax.fori_loop(3, 1, lambda i, c: lax.add(c, 1.0), 0.0),
        [((), "float32", True, 0.0)],
    ),
    "fori, int16 bounds": (
        lambda: lax.fori_loop(np.int16(0), np.int16(4), lambda i, c: i, np.int16(0)),
        [((), "int16", False, 3)],
    ),
    "fori, traced bound": (
        lambda: cv.jit(lambda n: lax.fori_loop(0, n, lambda i, c: lax.add(c, i), 0))(4),
        [((), "int32", True, 6)],
    ),
    "while": (
        lambda: lax.while_loop(lambda c: lax.lt(c, 5), lambda c: lax.add(c, 1), 0),
        [((), "int32", True, 5)],
    ),
    "while, not once": (
        lambda: lax.while_loop(lambda c: lax.lt(c, 5), lambda c: lax.add(c, 1), 7),
        [((), "int32", True, 7)],
    ),
    "cond": (
        lambda: lax.cond(True, lambda x: x, lambda x: lax.mul(x, 2.0), 1.0),
        [((), "float32", True, 1.0)],
    ),
    "cond, weak and strong": (
        lambda: lax.cond(False, lambda: 1.0, lambda: F32(2)), [((), "float32", False, 2.0)],
    ),
    "cond, number as predicate": (
        lambda: lax.cond(3, lambda x: x, lambda x: lax.neg(x), 1.0), [((), "float32", True, 1.0)],
    ),
    "cond, operand by name": (
        lambda: lax.cond(False, lambda x: x, lambda x: lax.neg(x), operand=1.0),
        [((), "float32", True, -1.0)],
    ),
    "switch, too large": (
        lambda: lax.switch(7, [lambda x: x, lax.neg], 1.0), [((), "float32", True, -1.0)],
    ),
    "switch, negative": (
        lambda: lax.switch(-3, [lambda x: x, lax.neg], 1.0), [((), "float32", True, 1.0)],
    ),
    "switch, large unsigned": (
        lambda: lax.switch(np.uint32(2**32 - 1), [lambda x: x, lax.neg], 1.0),
        [((), "float32", True, -1.0)],
    ),
    "switch of one": (
        lambda: lax.switch(np.uint8(1), [lax.neg], F32(1)), [((), "float32", False, -1.0)],
    ),
    "batched while": (
        lambda: cv.vmap(
            lambda n: lax.while_loop(
                lambda c: lax.lt(c[0], n),
                lambda c: (lax.add(c[0], 1), lax.add(c[1], c[0])),
                (0, 0),
            )
        )(np.array([1, 5, 3], np.int32)),
        [((3,), "int32", True, [1, 5, 3]), ((3,), "int32", True, [0, 10, 3])],
    ),
    "batched switch": (
        lambda: cv.vmap(lambda i: lax.switch(i, [lambda: F32(1), lambda: F32(2), lambda: F32(3)]))(
            np.array([-1, 1, 9], np.int32)
        ),
        [((3,), "float32", False, [1, 2, 3])],
    ),
    "no carry and no outputs": (lambda: lax.scan(lambda c, x: ((), None), (), XS), []),
    "associative_scan of booleans": (
        lambda: lax.associative_scan(lax.bitwise_or, np.array([False, True, False])),
        [((3,), "bool", False, [False, True, True])],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TYPES)
def test_results(name: str) -> None:
    run, expected = TYPES[name]
    assert described(run()) == expected
    assert described(cv.jit(run)()) == expected


def body(c: Any, x: Any) -> Any:
    return {"a": c["a"], "b": lax.lt(c["b"], 1.0)}, None


@pytest.mark.parametrize(
    "make, error, text",
    [
        (
            lambda: lax.scan(body, {"a": 1.0, "b": 2.0}, None, length=2),
            TypeError,
            r"carry\['b'\] goes in as float32\[\] and comes out as bool\[\]: the dtypes",
        ),
        (lambda: lax.scan(lambda c, x: ((c, c), x), 1.0, XS), TypeError, "tree structure"),
        (lambda: lax.scan(lambda c, x: (x, c), F32(1), np.ones((2, 3), F32)), TypeError, "shapes"),
        (lambda: lax.scan(lambda c, x: c, 1.0, XS), TypeError, "pair"),
        (lambda: lax.scan(lambda c, x: (c, x), 0.0, (XS, XS[1:])), ValueError, r"xs\[1\] is"),
        (lambda: lax.scan(lambda c, x: (c, x), 0.0, XS, length=3), ValueError, "length=3"),
        (lambda: lax.scan(lambda c, x: (c, x), 0.0), ValueError, "length"),
        (lambda: lax.scan(lambda c, x: (c, x), 0.0, 1.0), ValueError, "scalar"),
        (lambda: lax.scan(lambda c, x: (c, x), "text", XS), TypeError, "init is not an array"),
        (lambda: lax.while_loop(lambda x: x, lambda x: x, 1.0), TypeError, "boolean scalar"),
        (
            lambda: lax.while_loop(lambda x: lax.lt(x, 1.0), lambda x: (x, x), 1.0),
            TypeError,
            "tree structure",
        ),
        (lambda: lax.fori_loop(0, 3, lambda i, c: i, F32(0)), TypeError, "dtypes do not match"),
        (lambda: lax.fori_loop(0.5, 3, lambda i, c: c, 0), TypeError, "lower"),
        (
            lambda: cv.jit(lambda n: lax.fori_loop(0, n, lambda i, c: c, 0, unroll=4))(3),
            ValueError,
            "unroll",
        ),
        (lambda: lax.cond(True, lambda x: x, lambda x: (x, x), 1.0), TypeError, "true_fun"),
        (lambda: lax.cond(True, lambda: F32(1), lambda: XS), TypeError, r"float32\[4\] from"),
        (lambda: lax.cond(XS, lambda: 1, lambda: 2), TypeError, "scalar"),
        (lambda: lax.cond(True, 1, 2), TypeError, "functions"),
        (lambda: lax.switch(1.5, [lax.sin], 1.0), TypeError, "integer"),
        (lambda: lax.switch(1, [], 1.0), ValueError, "empty"),
        (
            lambda: cv.grad(
                lambda x: lax.while_loop(lambda c: lax.lt(c, 5.0), lambda c: lax.mul(c, c), x)
            )(2.0),
            ValueError,
            "Reverse-mode differentiation does not work for lax.while_loop",
        ),
        (lambda: lax.map(lambda x: x, XS, batch_size=-1), ValueError, "batch_size"),
        (lambda: lax.associative_scan(lax.add, (XS, XS[1:])), ValueError, "equal sizes"),
    ],
)
def test_bad_use(make: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text) as info:
        make()
    assert "test_control_flow.py" in str(info.value)


def test_bodies_are_traced_once() -> None:
    traces = []

    def step(i: Any, c: Any) -> Any:
        traces.append(1)
        return lax.add(c, i)

    for n in (3, 3):
        lax.fori_loop(0, n, step, 0)
    assert len(traces) == 1
    cv.jit(lambda: lax.fori_loop(0, 3, step, 0))()
    assert len(traces) == 1


def test_loop_invariant_values_are_operands() -> None:
    big = cv.device_put(np.ones(1000, F32))
    jaxpr = cv.make_jaxpr(
        lambda x: lax.scan(lambda c, _: (lax.add(c, big), None), x, None, length=3)[0]
    )(big)
    (eqn,) = jaxpr.eqns
    assert eqn.params["num_consts"] == 1 and not eqn.params["jaxpr"].consts


def test_invariant_residuals_are_not_stacked() -> None:
    w = np.ones((5, 5), F32)

    def loss(w: Any, x: Any) -> Any:
        step = lambda c, _: (lax.dot_general(lax.sin(w), c, (((1,), (0,)), ((), ()))), None)  # noqa: E731
        return lax.reduce_sum(lax.scan(step, x, None, length=7)[0], (0,))

    text = str(cv.make_jaxpr(cv.grad(loss, argnums=1))(w, w[0]))
    assert "f32[7,5,5]" not in text
    np.testing.assert_allclose(
        np.asarray(cv.grad(loss, argnums=1)(w, w[0])),
        np.linalg.matrix_power(np.sin(w), 7).sum(0),
        rtol=1e-5,
    )


def test_disable_jit_runs_in_python() -> None:
    seen: list[int] = []
    with cv.disable_jit():
        lax.fori_loop(0, 3, lambda i, c: seen.append(i) or c, 0)
        lax.cond(True, lambda: seen.append(10) or 1, lambda: seen.append(20) or 2)
        out = lax.scan(lambda c, x: (lax.add(c, x), lax.mul(c, 2.0)), F32(0), XS)
    assert seen == [0, 1, 2, 10]
    assert np.asarray(out[1]).tolist() == [0, 0, 2, 6]


def product(z: Any) -> Any:
    return lax.scan(lambda c, a: (c * a, c), F32(1), z + 1)[0]


TRANSFORMED = {
    "reversed": lambda z: lax.scan(lambda c, a: (c + a, c * a), F32(0), z, reverse=True),
    "grad of scan": cv.grad(product),
    "grad of a reversed one": cv.grad(
        lambda z: lax.scan(lambda c, a: (c * a, c * c), F32(1), z + 1, reverse=True)[1].sum()
    ),
    "second derivative": cv.hessian(product),
    "forward derivative": cv.jacfwd(lambda z: lax.fori_loop(0, 3, lambda _, c: c * z, z)),
    "mapped while": cv.vmap(lambda a: lax.while_loop(lambda c: c < 5, lambda c: c + a + 1, a)),
    "mapped cond": cv.vmap(lambda a: lax.cond(a > 1, lambda a: a * 2, lambda a: a, a)),
    "mapped switch": cv.vmap(
        lambda a: lax.switch(a.astype(int), [lambda: F32(1), lambda: F32(2), lambda: F32(3)])
    ),
    "mapped, no step": cv.vmap(lambda a: lax.scan(lambda c, _: (c + a, c), a, None, length=0)),
    "grad of cond": cv.grad(
        lambda z: lax.cond(z[1] > 0, lambda z: (z * z).sum(), lambda z: z.sum(), z)
    ),
    "linear map": lambda z: cv.linearize(lambda z: lax.map(lambda a: a * a, z), z)[1](z),
    "checkpoint": cv.grad(cv.checkpoint(product)),
}


@pytest.mark.parametrize("name", TRANSFORMED)
def test_operation_by_operation_transformed_control_flow_is_the_same(name: str) -> None:
    f = TRANSFORMED[name]
    expected = f(XS)
    with cv.disable_jit():
        found = f(XS)
    assert cv.tree.map(cv.typeof, found) == cv.tree.map(cv.typeof, expected)
    cv.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), found, expected)


def test_unused_results_are_not_computed() -> None:
    def f(x: Any) -> Any:
        (a, b, c), ys = lax.scan(
            lambda s, _: ((lax.sin(s[0]), lax.cos(s[1]), lax.add(s[2], s[0])), lax.exp(s[1])),
            (x, x, x), None, length=3,
        )  # fmt: skip
        i, d, e = lax.while_loop(
            lambda s: lax.lt(s[0], 3), lambda s: (lax.add(s[0], 1), lax.tan(s[1]), s[2]), (0, a, b)
        )
        g, h = lax.cond(lax.lt(x, 1.0), lambda: (lax.log(x), x), lambda: (x, lax.tanh(x)))
        k, m = cv.jit(lambda y: (lax.sqrt(y), lax.square(y)))(x)
        return {"a": a, "e": e, "h": h, "m": m, "all": (b, c, ys, i, d, g, k)}

    from covector.core.dce import dce

    jaxpr = cv.make_jaxpr(f)(0.5).jaxpr
    used = [path[0].key in ("a", "h", "m") for path, _ in cv.tree.leaves_with_path(f(0.5))]
    small = dce(jaxpr, used)
    text = str(small)
    for name in ("cos", "exp", "tan ", "log", "sqrt", "while"):
        assert name not in text, name
    assert "sin" in text and "square" in text and "tanh" in text
    from covector.core.jaxpr import check_jaxpr, eval_jaxpr

    check_jaxpr(small)
    expected = [x for x, u in zip(cv.tree.leaves(f(0.5)), used, strict=True) if u]
    for got, want in zip(eval_jaxpr(small, [], 0.5), expected, strict=True):
        np.testing.assert_allclose(np.asarray(got), np.asarray(want), rtol=1e-6)
    only_e = [path[0].key == "e" for path, _ in cv.tree.leaves_with_path(f(0.5))]
    text = str(dce(jaxpr, only_e))
    assert "tan " not in text and "while" in text and "sin" not in text and "cos" in text


def test_prng_keys_pass_through_everything() -> None:
    from covector import random

    k = random.key(0)

    def f(x: Any, k: Any) -> Any:
        def body(c: Any, _: Any) -> Any:
            c, k = c
            k, s = random.split(k)
            return (c * random.normal(s), k), random.uniform(s) * c

        return lax.scan(body, (x, k), None, length=4)[1].sum()

    expected = f(2.0, k) / 2  # linear in x
    for g in (cv.grad(f), cv.jit(cv.grad(f))):
        np.testing.assert_allclose(np.asarray(g(1.0, k)), np.asarray(expected), rtol=1e-5)
    keys = random.split(k, 3)
    np.testing.assert_allclose(
        np.asarray(cv.vmap(f, (None, 0))(1.0, keys)), [np.asarray(f(1.0, s)) for s in keys], 1e-5
    )

    def branch(x: Any, k: Any) -> Any:
        inner = cv.checkpoint(lambda x, k: lax.sin(x * random.normal(k)))
        return lax.cond(x > 0, lambda: inner(x, random.split(k)[0]), lambda: lax.sin(x))

    z = np.asarray(random.normal(random.split(k)[0]))
    np.testing.assert_allclose(np.asarray(cv.grad(branch)(1.0, k)), z * np.cos(z), rtol=1e-5)
    assert cv.grad(branch, argnums=(0, 1), allow_int=True)(1.0, k)[1].dtype == cv.float0


def _powers() -> dict[str, Any]:
    with_jvp = cv.custom_jvp(lambda x: x**0.5)
    with_jvp.defjvp(lambda p, t: (with_jvp(p[0]), t[0] * 0.5 / with_jvp(p[0])))
    with_vjp = cv.custom_vjp(lambda x: x**0.5)
    with_vjp.defvjp(lambda x: (with_vjp(x), x), lambda x, ct: (ct * 0.5 / x**0.5,))

    def in_scan(x: Any) -> Any:
        return lax.scan(lambda c, _: (c * lax.sqrt(x), None), x / x, None, length=3)[0]

    def in_while(x: Any) -> Any:
        return lax.while_loop(lambda c: c[0] < 1, lambda c: (c[0] + 1, lax.sqrt(x)), (0, x))[1]

    def in_branch(x: Any) -> Any:
        return lax.cond(x > -1.0, lax.sqrt, lax.log, x)

    return {
        "sqrt": lax.sqrt,
        "log": lax.log,
        "jit": cv.jit(lax.sqrt),
        "remat": cv.checkpoint(lax.sqrt),
        "custom_jvp": with_jvp,
        "custom_vjp": with_vjp,
        "scan": in_scan,
        "while": in_while,
        "cond": in_branch,
    }


@pytest.mark.parametrize("name", _powers())
def test_branches_not_taken_do_not_reach_derivatives(name: str) -> None:
    f = _powers()[name]

    def one(x: Any, w: Any) -> Any:
        index = (x > 1e-3).astype(int) + (x > 9.0)
        return lax.switch(index, [lambda: 2.0 * x, lambda: f(x * w), lambda: x])

    def total(x: Any, w: Any) -> Any:
        return cv.vmap(one, (0, None))(x, w).sum()

    def many(x: Any, w: Any) -> Any:
        return sum(one(x[i], w) for i in range(3))

    x, w = cv.numpy.array([0.0, 4.0, 10.0]), 3.0
    ways = []
    if name != "while":
        ways.append(lambda f: cv.grad(f, argnums=(0, 1)))
        ways.append(lambda f: cv.jit(cv.grad(f, argnums=(0, 1))))
        ways.append(lambda f: cv.grad(lambda x, w: cv.grad(f)(x, w).sum(), argnums=(0, 1)))
    if name != "custom_vjp":
        ways.append(lambda f: cv.jacfwd(f, argnums=(0, 1)))
        ways.append(lambda f: cv.jacfwd(cv.jacfwd(f)))
    for way in ways:
        got, want = (cv.tree.leaves(way(g)(x, w)) for g in (total, many))
        for a, b in zip(got, want, strict=True):
            assert np.isfinite(b).all()
            np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=1e-5)
