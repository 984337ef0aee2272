"""Reductions, prefixes, sorting."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from covector import lax
from covector.backends.pjrt.lower import consts_of, emit, out_type, rule
from covector.backends.pjrt.rules.elementwise import complex_, computed_in, imag, is_nan, real
from covector.backends.pjrt.rules.expansions import expand
from covector.backends.pjrt.text import Builder, Value
from covector.control_flow.associative_scan import associative_scan
from covector.control_flow.reduce import reduce_p
from covector.core import dtypes
from covector.core.dtypes import DType
from covector.core.jaxpr import JaxprEqn
from covector.core.structural import reduce_sum_p
from covector.core.trace import Primitive
from covector.numpy import logaddexp
from covector.primitives import arithmetic as ar
from covector.primitives import cumulative as cu
from covector.primitives import reductions as re
from covector.primitives.sorting import (
    partition_p,
    search_by_bisection,
    search_p,
    sort_p,
    take_along,
    top_k_p,
)

_BOOL = np.dtype(np.bool_)
_I32 = np.dtype(np.int32)


def lowest(dtype: DType, largest: bool = False) -> Any:
    """The lowest number of a dtype (or the largest)."""
    if dtype == _BOOL:
        return largest
    if dtype in dtypes.INTEGERS:
        return dtypes.LIMITS[dtype][largest]
    return np.inf if largest else -np.inf


def wide(dtype: DType) -> DType:
    """The type in which sums are made: narrow floats are summed in float32."""
    if dtype in dtypes.FLOATS and dtypes.bits_of(dtype) < 32:
        return np.dtype(np.float32)
    return computed_in(dtype)


def _reduction(prim: Primitive, name: str, start: Callable[[DType], Any]) -> None:
    @rule(prim)
    def reduce(b: Builder, eqn: JaxprEqn, x: Value) -> Value:
        axes, dtype = eqn.params["axes"], x.dtype
        op = name
        if dtype == _BOOL:
            op = {"add": "xor", "multiply": "and", "maximum": "or", "minimum": "and"}.get(op, op)
        if dtype in dtypes.COMPLEX and op in ("maximum", "minimum"):
            return _complex_extremum(b, x, axes, op == "maximum")
        x = b.convert(x, wide(dtype))
        return b.convert(b.fold(op, x, start(x.dtype), axes), dtype)


_reduction(reduce_sum_p, "add", lambda d: 0)
_reduction(re.reduce_prod_p, "multiply", lambda d: 1)
_reduction(re.reduce_max_p, "maximum", lambda d: lowest(d))
_reduction(re.reduce_min_p, "minimum", lambda d: lowest(d, True))
_reduction(re.reduce_and_p, "and", lambda d: True if d == _BOOL else _ones(d))
_reduction(re.reduce_or_p, "or", lambda d: 0)
_reduction(re.reduce_xor_p, "xor", lambda d: 0)


def _ones(dtype: DType) -> int:
    return -1 if dtype in dtypes.SIGNED else dtypes.LIMITS[dtype][1]


def _complex_extremum(b: Builder, x: Value, axes: Sequence[int], largest: bool) -> Value:
    """By the real parts, then by the imaginary ones; NaN wins."""
    direction = "GT" if largest else "LT"

    def combine(xr: Value, xi: Value, yr: Value, yi: Value) -> list[Value]:
        better = b.either(
            b.compare(direction, xr, yr),
            b.both(b.compare("EQ", xr, yr), b.compare(direction, xi, yi)),
        )
        x_nan = b.either(is_nan(b, xr), is_nan(b, xi))
        y_nan = b.either(is_nan(b, yr), is_nan(b, yi))
        first = b.either(x_nan, b.both(better, b.opposite(y_nan)))
        return [b.select(first, xr, yr), b.select(first, xi, yi)]

    parts = [real(b, x), imag(b, x)]
    start = b.constant(lowest(parts[0].dtype, not largest), parts[0].dtype)
    re_, im = b.reduce(parts, [start, start], axes, combine)
    return complex_(b, re_, im)


def _arg_extremum(prim: Primitive, largest: bool) -> None:
    direction = "GT" if largest else "LT"

    @rule(prim)
    def find(b: Builder, eqn: JaxprEqn, x: Value) -> Value:
        (axis,) = eqn.params["axes"]
        x = b.convert(x, computed_in(x.dtype))
        floating = x.dtype in dtypes.INEXACT

        def combine(xv: Value, xi: Value, yv: Value, yi: Value) -> list[Value]:
            first = b.compare(direction, xv, yv)
            tie = b.compare("EQ", xv, yv)
            if floating:
                # The first NaN is the extremum.
                x_nan, y_nan = is_nan(b, xv), is_nan(b, yv)
                first = b.both(b.either(first, x_nan), b.opposite(b.both(y_nan, b.opposite(x_nan))))
                both = b.both(x_nan, y_nan)
                first = b.both(first, b.opposite(both))
                tie = b.either(tie, both)
            first = b.either(first, b.both(tie, b.compare("LT", xi, yi)))
            return [b.select(first, xv, yv), b.select(first, xi, yi)]

        positions = b.iota(_I32, x.shape, axis)
        starts = [
            b.constant(lowest(x.dtype, not largest), x.dtype),
            b.constant(np.iinfo(np.int32).max, _I32),
        ]
        _, index = b.reduce([x, positions], starts, [axis], combine)
        return b.convert(index, out_type(eqn).dtype)


_arg_extremum(re.argmax_p, True)
_arg_extremum(re.argmin_p, False)


@rule(reduce_p)
def _reduce(b: Builder, eqn: JaxprEqn, *args: Value) -> list[Value]:
    p, n = eqn.params, len(args) // 2
    closed = p["jaxpr"]
    consts = consts_of(b, closed)
    return b.reduce(args[:n], args[n:], p["axes"], lambda *xs: emit(b, closed.jaxpr, consts, xs))


# --- prefixes ---------------------------------------------------------------------------------


def _cumulative(prim: Primitive, combine: Callable[[Any, Any], Any]) -> None:
    @rule(prim)
    def accumulate(b: Builder, eqn: JaxprEqn, x: Value) -> Value:
        axis, reverse, dtype = eqn.params["axis"], eqn.params["reverse"], x.dtype
        if not x.shape[axis]:
            return x
        x = b.convert(x, wide(dtype))

        def run(v: Any) -> Any:
            return associative_scan(combine, v, reverse=reverse, axis=axis)

        (out,) = expand(b, (prim, axis, reverse), run, x)
        return b.convert(out, dtype)


_cumulative(cu.cumsum_p, ar.add)
_cumulative(cu.cumprod_p, ar.mul)
_cumulative(cu.cummax_p, ar.max)
_cumulative(cu.cummin_p, ar.min)
_cumulative(cu.cumlogsumexp_p, logaddexp)


# --- sorting ----------------------------------------------------------------------------------


def _before(b: Builder, x: Value, y: Value) -> Value:
    """Whether ``x`` comes before ``y``: NaN comes last, zeros of both signs are equal."""
    if x.dtype in dtypes.COMPLEX:
        xr, yr = real(b, x), real(b, y)
        return b.either(
            _before(b, xr, yr),
            b.both(
                b.opposite(b.either(_before(b, xr, yr), _before(b, yr, xr))),
                _before(b, imag(b, x), imag(b, y)),
            ),
        )
    out = b.compare("LT", x, y)
    if x.dtype in dtypes.FLOATS:
        out = b.either(out, b.both(is_nan(b, y), b.opposite(is_nan(b, x))))
    return out


def sorted_by(
    b: Builder, xs: Sequence[Value], axis: int, keys: int, falling: bool = False
) -> list[Value]:
    """Tensors in the order of the first ``keys`` of them; equals stay in theirs."""
    pairs = [(x.dtype, ()) for x in xs for _ in range(2)]

    def write(*args: Value) -> list[Value]:
        firsts, seconds = args[::2], args[1::2]
        if falling:
            firsts, seconds = seconds, firsts
        out = None
        for x, y in reversed(list(zip(firsts[:keys], seconds[:keys], strict=True))):
            x, y = (b.convert(v, computed_in(v.dtype)) for v in (x, y))
            less = _before(b, x, y)
            if out is not None:
                less = b.either(less, b.both(b.opposite(_before(b, y, x)), out))
            out = less
        assert out is not None
        return [out]

    region = b.block(pairs, write)
    return b.ops(
        "stablehlo.sort", xs, [(x.dtype, x.shape) for x in xs],
        f"dimension = {axis} : i64, is_stable = true", [region],
    )  # fmt: skip


@rule(sort_p)
def _sort(b: Builder, eqn: JaxprEqn, *xs: Value) -> list[Value]:
    return sorted_by(b, xs, eqn.params["dimension"], eqn.params["num_keys"])


@rule(top_k_p)
def _top_k(b: Builder, eqn: JaxprEqn, x: Value) -> list[Value]:
    k, axis = eqn.params["k"], eqn.params["axis"]
    outs = sorted_by(b, [x, b.iota(_I32, x.shape, axis)], axis, 1, falling=True)
    limit = list(x.shape)
    limit[axis] = k
    return [b.slice(v, [0] * len(limit), limit) for v in outs]


@rule(partition_p)
def _partition(b: Builder, eqn: JaxprEqn, x: Value, ranks: Value) -> list[Value]:
    """Sorted by how many of the elements at ``ranks`` are below each, and how many not above it."""
    axis = eqn.params["axis"]
    n = x.shape[axis]
    positions = b.iota(_I32, x.shape, axis)
    if not n:
        return [x, positions, b.constant(0, x.dtype, ranks.shape)]
    dtype = x.dtype
    keys = b.convert(x, computed_in(dtype))
    (standing,) = expand(b, (partition_p, axis), functools.partial(_standing, axis), keys, ranks)
    _, values, order = sorted_by(b, [standing, x, positions], axis, 1)
    key = (partition_p, "found", axis)
    (found,) = expand(b, key, functools.partial(_of_ranks, axis), keys, ranks)
    return [values, order, b.convert(found, dtype)]


@rule(search_p)
def _search(b: Builder, eqn: JaxprEqn, x: Value, v: Value) -> Value:
    side = eqn.params["side"]
    keys = [b.convert(u, computed_in(u.dtype)) for u in (x, v)]
    (out,) = expand(b, (search_p, side), lambda p, q: search_by_bisection(p, q, side), *keys)
    return out


def _of_ranks(axis: int, x: Any, ranks: Any) -> Any:
    at = lax.clamp(np.int32(0), ranks, np.int32(x.shape[axis] - 1))
    return take_along(lax.sort(x, dimension=axis), at, axis)


def _standing(axis: int, x: Any, ranks: Any) -> Any:
    m = ranks.shape[axis]
    pivots = _of_ranks(axis, x, ranks)

    def count(k: Any, standing: Any) -> Any:
        pivot = lax.broadcast_in_dim(
            lax.squeeze(lax.dynamic_slice_in_dim(pivots, k, 1, axis), (axis,)),
            x.shape, [d for d in range(x.ndim) if d != axis],
        )  # fmt: skip
        nan, top = lax.ne(x, x), lax.ne(pivot, pivot)
        below = (pivot < x) | (nan & ~top)
        upto = below | (pivot == x) | (nan & top)
        return standing + below.astype(np.int32) + upto.astype(np.int32)

    return lax.fori_loop(0, m, count, lax.full(x.shape, 0, np.int32))
