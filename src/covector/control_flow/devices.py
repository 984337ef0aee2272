"""Control flow that runs along the devices of a mesh: each goes its own way.

`vmap` computes all branches and goes on until the last element is through. Devices have programs of
their own: where the way depends on what a device has, it alone is gone, and effects in it happen
where they would. Collectives must be met by all devices at once, so that control flow which holds
one along the axis is left to `vmap`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from covector.control_flow.cond_rules import cond_p
from covector.control_flow.scan import scan
from covector.control_flow.while_rules import mapped_condition, while_p
from covector.core.jaxpr import sub_jaxprs
from covector.core.rules import device_effects, device_rules
from covector.core.structural import mapped_first, moveaxis
from covector.core.trace import Primitive
from covector.transforms.callbacks import (
    Look,
    debug_callback_p,
    each_element,
    pure_batch,
    pure_callback_p,
)
from covector.transforms.io_callback import io_callback_p
from covector.transforms.vmap import BatchTrace, uses_axis

Dims = Sequence[int | None]


def _one_by_one(
    prim: Primitive, own_way: Callable[[BatchTrace, Dims, dict[str, Any]], bool]
) -> None:
    def rule(
        trace: BatchTrace, args: Sequence[Any], dims: Dims, params: dict[str, Any]
    ) -> tuple[list[Any], list[int | None]] | None:
        if any(uses_axis(j, trace.axis_name) for j in sub_jaxprs(params)):
            return None
        if not own_way(trace, dims, params):
            return None
        mapped = [moveaxis(x, d, 0) for x, d in zip(args, dims, strict=True) if d is not None]

        def body(carry: Any, xs: list[Any]) -> tuple[Any, Any]:
            given = iter(xs)
            operands = [x if d is None else next(given) for x, d in zip(args, dims, strict=True)]
            return carry, prim.bind_params(operands, params)

        _, outs = scan(body, (), mapped)
        return list(outs), [0] * len(outs)

    device_rules[prim] = rule


def _called(
    trace: BatchTrace, args: Sequence[Any], dims: Dims, params: dict[str, Any]
) -> tuple[list[Any], list[int | None]] | None:
    """A function is called for each device, unless it says how it is called for several."""
    if params["vmap_method"] is not None:
        return None
    outs, at = pure_batch(trace.axis_size, args, dims, **{**params, "vmap_method": "sequential"})
    return outs, list(at)


def _call_each(prim: Primitive) -> None:
    """Have a callback called once a device, in their order, also where all give it the same."""

    def rule(
        trace: BatchTrace, args: Sequence[Any], dims: Dims, params: dict[str, Any]
    ) -> tuple[list[Any], list[int | None]]:
        n, callback = trace.axis_size, params["callback"]
        if type(callback) is not Look:
            callback = each_element(callback, n, tuple(d is not None for d in dims))
        new = {**params, "callback": callback}
        if "result_avals" in params:
            new["result_avals"] = tuple([a.stacked(n) for a in params["result_avals"]])
        outs = prim.bind_params(mapped_first(args, dims), new)
        return outs, [0] * len(outs)

    device_rules[prim] = rule
    device_effects.add(prim)


device_rules[pure_callback_p] = _called
_call_each(debug_callback_p)
_call_each(io_callback_p)
_one_by_one(cond_p, lambda trace, dims, params: dims[0] is not None)
_one_by_one(while_p, mapped_condition)
