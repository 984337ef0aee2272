"""Reductions over windows, and where in a window an element lies."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from covector.backends.pjrt.lower import out_type, rule
from covector.backends.pjrt.rules.reductions import lowest, wide
from covector.backends.pjrt.text import Builder, Value, ints
from covector.core.dtypes import DType
from covector.core.jaxpr import JaxprEqn
from covector.core.trace import Primitive
from covector.primitives.windows import (
    PARAMETERS,
    reduce_window_max_p,
    reduce_window_min_p,
    reduce_window_sum_p,
    window_position_p,
)

_BOOL = np.dtype(np.bool_)
_I32 = np.dtype(np.int32)


def _reduction(prim: Primitive, name: str, start: Callable[[DType], Any]) -> None:
    @rule(prim)
    def reduce(b: Builder, eqn: JaxprEqn, x: Value) -> Value:
        dims, strides, padding, base, window = (eqn.params[p] for p in PARAMETERS)
        dtype = x.dtype
        x = b.convert(x, wide(dtype))
        op = name
        if dtype == _BOOL:
            op = {"add": "xor", "maximum": "or", "minimum": "and"}[name]
        first = b.constant(start(x.dtype), x.dtype)
        scalar = (x.dtype, ())
        region = b.block([scalar, scalar], lambda u, v: [b.same(op, u, v)])
        rows = ", ".join([f"[{lo}, {hi}]" for lo, hi in padding])
        attrs = (
            f"window_dimensions = {ints(dims)}, window_strides = {ints(strides)}, "
            f"base_dilations = {ints(base)}, window_dilations = {ints(window)}, "
            f"padding = dense<{f'[{rows}]' if dims else ''}> : tensor<{len(dims)}x2xi64>"
        )
        outs = [(x.dtype, out_type(eqn).shape)]
        (out,) = b.ops("stablehlo.reduce_window", [x, first], outs, attrs, [region])
        return b.convert(out, dtype)


_reduction(reduce_window_sum_p, "add", lambda d: 0)
_reduction(reduce_window_max_p, "maximum", lambda d: lowest(d))
_reduction(reduce_window_min_p, "minimum", lambda d: lowest(d, True))


@rule(window_position_p)
def _position(b: Builder, eqn: JaxprEqn, x: Value, value: Value) -> Value:
    """Place by place of the window: the first that has the value."""
    dims, strides, padding, base, window = (eqn.params[p] for p in PARAMETERS)
    shape = out_type(eqn).shape
    low = [max(lo, 0) for lo, _ in padding]
    high = [max(hi, 0) for _, hi in padding]
    between = [d - 1 for d in base]
    inside = b.constant(True, _BOOL, x.shape)
    x = b.pad(x, b.constant(0, x.dtype), low, high, between)
    inside = b.pad(inside, b.constant(False, _BOOL), low, high, between)
    cut = [max(-lo, 0) for lo, _ in padding]
    sizes = [(n - 1) * s + 1 if n else 0 for n, s in zip(shape, strides, strict=True)]
    none = b.constant(np.iinfo(np.int32).max, _I32, shape)
    if 0 in shape:
        return none

    def look(k: Value, found: Value) -> list[Value]:
        starts, rest = [], k
        after = math.prod(dims)
        for d, n in enumerate(dims):
            after //= n
            at = b.div(rest, b.constant(after, _I32)) if after > 1 else rest
            rest = b.sub(rest, b.mul(at, b.constant(after, _I32))) if after > 1 else rest
            step = b.mul(at, b.constant(window[d], _I32)) if window[d] > 1 else at
            starts.append(b.add(step, b.constant(cut[d], _I32)) if cut[d] else step)

        def part(v: Value) -> Value:
            v = b.dynamic_slice(v, starts, sizes)
            return b.slice(v, [0] * len(sizes), sizes, strides)

        same = b.both(b.compare("EQ", part(x), value), part(inside))
        first = b.both(same, b.compare("EQ", found, none))
        at_k = b.broadcast(k, shape)
        return [b.add(k, b.constant(1, _I32)), b.select(first, at_k, found)]

    end = b.constant(math.prod(dims), _I32)
    outs = b.loop([b.constant(0, _I32), none], lambda k, f: b.compare("LT", k, end), look)
    return outs[1]
