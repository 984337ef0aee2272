"""Functions of one scalar that the tests of the transformations run through every property."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import covector as cv
from covector import lax
from covector.control_flow.associative_scan import associative_scan
from covector.control_flow.cond import cond, switch
from covector.control_flow.map import map as lax_map
from covector.control_flow.scan import scan
from covector.control_flow.while_loop import fori_loop, while_loop

YS = np.linspace(0.3, 1.2, 4)
W = np.random.RandomState(0).randn(3, 3)


def total(x: Any) -> Any:
    return lax.reduce_sum(x, range(len(x.shape)))


def scan_with_outputs(x: Any) -> Any:
    y = lax.exp(x)

    def body(carry: Any, z: Any) -> Any:
        a, b = carry
        q = lax.mul(a, lax.mul(z, y))
        return (lax.sin(q), lax.add(b, lax.mul(q, x))), lax.mul(q, b)

    (a, b), out = scan(body, (x, 0.0), YS)
    return lax.add(lax.add(a, b), total(out))


def matrix_scan(x: Any) -> Any:
    def body(c: Any, i: Any) -> Any:
        c = lax.tanh(lax.dot_general(lax.mul(W, x), c, (((1,), (0,)), ((), ()))))
        return c, lax.dynamic_index_in_dim(c, i, 0, keepdims=False)

    c, out = scan(body, np.ones((3, 2)), np.arange(3))
    return lax.add(total(c), total(out))


def nested(x: Any) -> Any:
    def step(i: Any, c: Any) -> Any:
        return cond(
            lax.lt(i, 1),
            lambda c: scan(lambda a, z: (lax.mul(a, lax.sin(z)), None), c, lax.mul(x, YS))[0],
            lambda c: lax.mul(c, x),
            c,
        )

    return fori_loop(0, 3, step, x)


@cv.custom_jvp
def with_jvp(x: Any, y: Any) -> Any:
    return lax.mul(lax.sin(x), y)


@with_jvp.defjvp
def _with_jvp_rule(primals: Any, tangents: Any) -> Any:
    (x, y), (tx, ty) = primals, tangents
    return with_jvp(x, y), lax.add(lax.mul(lax.mul(lax.cos(x), y), tx), lax.mul(lax.sin(x), ty))


@cv.custom_vjp
def with_vjp(x: Any, y: Any) -> Any:
    return lax.mul(lax.sin(x), y)


with_vjp.defvjp(
    lambda x, y: (with_vjp(x, y), (x, y)),
    lambda res, ct: (
        lax.mul(ct, lax.mul(lax.cos(res[0]), res[1])),
        lax.mul(lax.sin(res[0]), ct),
    ),
)

policies = cv.checkpoint_policies
dots = cv.checkpoint(
    lambda x: lax.sin(
        lax.dot_general(lax.cos(lax.mul(W, x)), lax.mul(W, x), (((1,), (0,)), ((), ())))
    ),
    policy=policies.dots_saveable,
)
recomputed = cv.checkpoint(lambda x: lax.sin(lax.exp(lax.mul(x, x))))

# name: (function, a point, whether reverse mode and forward mode are defined)
PROGRAMS: dict[str, tuple[Callable[[Any], Any], float, str]] = {
    "elementwise": (lambda x: lax.mul(lax.sin(x), lax.exp(x)), 0.7, "fr"),
    "constant": (lambda x: 2.0, 0.7, "fr"),
    "identity": (lambda x: x, 0.7, "fr"),
    "jit": (lambda x: cv.jit(lambda a, b: lax.mul(lax.sin(a), b))(x, 3.0), 0.7, "fr"),
    "jit in jit": (cv.jit(lambda x: lax.mul(cv.jit(lax.sin)(x), cv.jit(lax.exp)(x))), 0.7, "fr"),
    "inline jit": (lambda x: cv.jit(lambda a: lax.sin(a), inline=True)(x), 0.7, "fr"),
    "fori": (
        lambda x: fori_loop(
            0,
            5,
            lambda i, c: lax.mul(
                lax.sin(c), lax.add(x, lax.convert_element_type(i, np.float64))
            ),
            x,
        ),
        0.7,
        "fr",
    ),
    "scan": (scan_with_outputs, 0.7, "fr"),
    "scan, reverse": (
        lambda x: total(
            scan(lambda c, z: (lax.mul(lax.sin(c), z), lax.mul(c, c)), x, YS, reverse=True)[1]
        ),
        0.7,
        "fr",
    ),
    "scan, unrolled": (
        lambda x: scan(lambda c, z: (lax.mul(lax.sin(c), z), None), x, YS, unroll=3)[0],
        0.7,
        "fr",
    ),
    "scan of matrices": (matrix_scan, 0.7, "fr"),
    "cond": (
        lambda x: cond(
            lax.gt(x, 0.6), lambda x: lax.mul(x, lax.sin(x)), lambda x: lax.exp(x), x
        ),
        0.7,
        "fr",
    ),
    "cond, closures": (
        lambda x: cond(
            lax.gt(x, 0.6), lambda: lax.mul(x, lax.sin(x)), lambda: lax.exp(lax.mul(x, x))
        ),
        0.7,
        "fr",
    ),
    "switch": (
        lambda x: switch(
            lax.convert_element_type(lax.mul(x, 3.0), np.int32),
            [lax.sin, lax.cos, lax.exp, lambda x: 1.0],
            x,
        ),
        0.7,
        "fr",
    ),
    "while": (
        lambda x: while_loop(
            lambda c: lax.lt(c[0], 5),
            lambda c: (lax.add(c[0], 1), lax.mul(c[1], lax.sin(x))),
            (0, x),
        )[1],
        0.7,
        "f",
    ),
    "while on the value": (
        lambda x: while_loop(
            lambda c: lax.lt(c, 5.0), lambda c: lax.add(lax.mul(c, c), lax.mul(x, 0.7)), x
        ),
        0.7,
        "f",
    ),
    "nested loops": (nested, 0.7, "fr"),
    "map": (
        lambda x: total(lax_map(lambda z: lax.mul(lax.sin(z), x), lax.mul(x, YS))), 0.7, "fr",
    ),
    "map, batches": (
        lambda x: total(
            lax_map(lambda z: lax.mul(lax.sin(z), x), lax.mul(x, YS), batch_size=3)
        ),
        0.7,
        "fr",
    ),
    "associative_scan": (
        lambda x: total(lax.mul(YS, associative_scan(lax.mul, lax.mul(x, YS)))), 0.7, "fr",
    ),
    "associative_scan, reverse": (
        lambda x: total(
            associative_scan(lax.mul, lax.mul(x, np.linspace(0.5, 1, 7)), reverse=True)
        ),
        0.7,
        "fr",
    ),
    "vmap": (
        lambda x: total(cv.vmap(lambda z: lax.mul(lax.sin(lax.mul(z, x)), x))(YS)), 0.7, "fr",
    ),
    "grad": (cv.grad(lambda x: lax.mul(lax.sin(x), lax.exp(x))), 0.7, "fr"),
    "custom_jvp": (lambda x: with_jvp(x, lax.exp(x)), 0.7, "fr"),
    "custom_jvp in scan": (
        lambda x: scan(lambda c, z: (with_jvp(c, z), None), x, YS)[0], 0.7, "fr",
    ),
    "custom_vjp": (lambda x: with_vjp(x, lax.exp(x)), 0.7, "r"),
    "custom_vjp in scan": (
        lambda x: scan(lambda c, z: (with_vjp(c, z), None), x, YS)[0], 0.7, "r",
    ),
    "checkpoint": (lambda x: lax.mul(recomputed(recomputed(x)), x), 0.7, "fr"),
    "checkpoint, dots": (lambda x: total(dots(x)), 0.7, "fr"),
    "checkpoint in scan": (
        lambda x: scan(
            cv.checkpoint(lambda c, z: (lax.sin(lax.mul(c, lax.exp(z))), None)), x, YS
        )[0],
        0.7,
        "fr",
    ),
    "checkpoint of scan": (
        cv.checkpoint(
            lambda x: scan(lambda c, z: (lax.sin(lax.mul(c, lax.exp(z))), None), x, YS)[0]
        ),
        0.7,
        "fr",
    ),
}  # fmt: skip
