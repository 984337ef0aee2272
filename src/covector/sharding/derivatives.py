"""Derivatives that pick elements anywhere, of arrays with types of explicit axes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from covector.core.avals import is_split
from covector.core.rules import Zero, jvp_rules
from covector.primitives.windows import reduce_window_max_p, reduce_window_min_p
from covector.sharding.results import typeless


def _without_types(rule: Callable[..., Any]) -> Callable[..., Any]:
    """The tangent, computed without types, is laid out as the result."""

    def jvp(primals: Sequence[Any], tangents: Sequence[Any], **params: Any) -> tuple[Any, Any]:
        (x,), (g,) = primals, tangents
        if type(g) is Zero or not is_split(x):
            return rule(primals, tangents, **params)
        out, _ = rule((x,), (Zero.of(x),), **params)
        return out, typeless(lambda out, x, g: rule((x,), (g,), **params)[1])(out, x, g)

    return jvp


for _prim in (reduce_window_max_p, reduce_window_min_p):
    jvp_rules[_prim] = _without_types(jvp_rules[_prim])
