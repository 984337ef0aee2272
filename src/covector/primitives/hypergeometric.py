"""Hypergeometric functions."""

from __future__ import annotations

from math import e, inf
from typing import Any

from covector.core.avals import ShapedArray
from covector.core.operands import like
from covector.core.trace import Bind
from covector.primitives.arithmetic import add, div, mul
from covector.primitives.common import FLOAT, check_dtype, elementwise_aval
from covector.primitives.elementwise import operation, slopes
from covector.primitives.special import by_parameters


def _up(x: Any) -> Any:
    return add(x, like(1.0, x))


def _hyp1f1_aval(a: ShapedArray, b: ShapedArray, x: ShapedArray) -> ShapedArray:
    check_dtype("hyp1f1", a, FLOAT)
    return elementwise_aval("hyp1f1", (a, b, x))


hyp1f1_p = operation(
    "hyp1f1",
    ("a", "b", "x"),
    FLOAT,
    _hyp1f1_aval,
    derivative=slopes(
        by_parameters("hyp1f1", 1, 0, 0),
        by_parameters("hyp1f1", 0, 1, 0),
        lambda g, a, b, x: mul(g, mul(div(a, b), hyp1f1(_up(a), _up(b), x))),
    ),
    cost=2000,
    domain=((0.7, 2.0), (1.5, 2.0), (0.2, 0.8)),
    values=[((1.0, 1.0, 1.0), e), ((2.0, 3.0, 0.0), 1.0), ((2.0, -3.0, 1.0), inf)],
)


def _hyp2f1_aval(a: ShapedArray, b: ShapedArray, c: ShapedArray, x: ShapedArray) -> ShapedArray:
    check_dtype("hyp2f1", a, FLOAT)
    return elementwise_aval("hyp2f1", (a, b, c, x))


hyp2f1_p = operation(
    "hyp2f1",
    ("a", "b", "c", "x"),
    FLOAT,
    _hyp2f1_aval,
    derivative=slopes(
        by_parameters("hyp2f1", 1, 0, 0, 0),
        by_parameters("hyp2f1", 0, 1, 0, 0),
        by_parameters("hyp2f1", 0, 0, 1, 0),
        lambda g, a, b, c, x: mul(g, mul(div(mul(a, b), c), hyp2f1(_up(a), _up(b), _up(c), x))),
    ),
    cost=3000,
    domain=((0.7, 2.0), (1.5, 2.0), (2.25, 3.0), (0.2, 0.8)),
    values=[((1.0, 1.0, 2.0, 0.0), 1.0), ((1.0, 2.0, 4.0, 1.0), 3.0), ((1.0, 1.0, 1.0, 1.0), inf)],
)


# --- constructors: what rules and functions bind ---------------------------------------------

hyp1f1: Bind = hyp1f1_p.bind
hyp2f1: Bind = hyp2f1_p.bind
