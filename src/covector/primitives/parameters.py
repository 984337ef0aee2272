"""Derivatives of special functions by their parameters, of all orders.

Each is a primitive whose parameter ``orders`` says how often the function is differentiated by each
operand; its own derivative is that of an order more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from covector.core.avals import ShapedArray
from covector.core.opspec import Interval
from covector.core.trace import Primitive
from covector.primitives.arithmetic import mul
from covector.primitives.common import FLOAT, check_dtype, elementwise_aval
from covector.primitives.elementwise import operation, slopes


def _partial(
    function: str, operands: tuple[str, ...], cost: int, domain: Sequence[Interval]
) -> Primitive:
    name = f"{function}_partial"

    def aval(*xs: ShapedArray, orders: tuple[int, ...]) -> ShapedArray:
        check_dtype(name, xs[0], FLOAT)
        return elementwise_aval(name, xs)

    def slope(k: int) -> Callable[..., Any]:
        def rule(g: Any, *xs: Any, orders: tuple[int, ...]) -> Any:
            more = tuple([n + (i == k) for i, n in enumerate(orders)])
            return mul(g, prim.bind(*xs, orders=more))

        return rule

    prim = operation(
        name,
        operands,
        FLOAT,
        aval,
        derivative=slopes(*[slope(k) for k in range(len(operands))]),
        cost=cost,
        domain=domain,
        plain=False,
    )
    return prim


betainc_partial_p = _partial("betainc", ("a", "b", "x"), 4000, ((0.7, 2), (1.5, 2), (0.2, 0.8)))
igamma_partial_p = _partial("igamma", ("a", "x"), 3000, ((0.5, 2), (0.2, 0.8)))
hyp1f1_partial_p = _partial("hyp1f1", ("a", "b", "x"), 4000, ((0.7, 2), (1.5, 2), (0.2, 0.8)))
hyp2f1_partial_p = _partial(
    "hyp2f1", ("a", "b", "c", "x"), 6000, ((0.7, 2), (1.5, 2), (2.25, 3), (0.2, 0.8))
)
# Derivatives by n, of which whole ones alone have values, cannot be checked by differences.
expn_partial_p = _partial("expn", ("n", "x"), 3000, ((2.0, 2.0), (0.2, 0.8)))
zeta_partial_p = _partial("zeta", ("x", "q"), 3000, ((2.5, 4.0), (0.2, 0.8)))
riemann_zeta_partial_p = _partial("riemann_zeta", ("x",), 3000, ((1.5, 4.0),))

PRIMITIVES = {
    p.name.removesuffix("_partial"): p
    for p in (betainc_partial_p, igamma_partial_p, hyp1f1_partial_p, hyp2f1_partial_p,
              expn_partial_p, zeta_partial_p, riemann_zeta_partial_p)
}  # fmt: skip
