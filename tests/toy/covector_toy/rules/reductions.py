"""Reductions, prefixes, products of tensors, sorting."""

from __future__ import annotations

from typing import Any

import numpy as np

from covector.core.jaxpr import JaxprEqn
from covector.core.structural import reduce_sum_p
from covector.core.trace import Primitive
from covector.primitives import cumulative as cu
from covector.primitives import reductions as re
from covector.primitives.dot import dot_general_p
from covector.primitives.groups import group_sums_p
from covector.primitives.sorting import partition_p, search_p, sort_p, top_k_p
from covector_toy.interpreter import rule
from covector_toy.rules.elementwise import Elements, widened


def _identity(ufunc: np.ufunc, dtype: np.dtype) -> Any:
    """What a reduction of no elements gives."""
    if ufunc is np.bitwise_and:
        return ~np.zeros((), dtype)
    if ufunc not in (np.maximum, np.minimum):
        return ufunc.identity
    lowest = ufunc is np.maximum
    if dtype.kind == "b":
        return not lowest
    if dtype.kind in "iu":
        info = np.iinfo(dtype)
        return info.min if lowest else info.max
    edge = -np.inf if lowest else np.inf
    return complex(edge, edge) if dtype.kind == "c" else edge


def _reduction(prim: Primitive, ufunc: np.ufunc) -> None:
    @rule(prim)
    def reduce(eqn: JaxprEqn, x: Elements) -> Elements:
        x = widened(x)
        axes = tuple(eqn.params["axes"])
        if x.size == 0:
            return np.full(eqn.outvars[0].aval.shape, _identity(ufunc, x.dtype), x.dtype)
        op = np.logical_xor if ufunc is np.add and x.dtype == np.bool_ else ufunc
        return op.reduce(x, axis=axes, dtype=x.dtype) if axes else x


_reduction(reduce_sum_p, np.add)
_reduction(re.reduce_prod_p, np.multiply)
_reduction(re.reduce_max_p, np.maximum)
_reduction(re.reduce_min_p, np.minimum)
_reduction(re.reduce_and_p, np.bitwise_and)
_reduction(re.reduce_or_p, np.bitwise_or)
_reduction(re.reduce_xor_p, np.bitwise_xor)


@rule(re.argmax_p)
def _argmax(eqn: JaxprEqn, x: Elements) -> Elements:
    return np.argmax(widened(x), eqn.params["axes"][0])


@rule(re.argmin_p)
def _argmin(eqn: JaxprEqn, x: Elements) -> Elements:
    return np.argmin(widened(x), eqn.params["axes"][0])


def _cumulative(prim: Primitive, ufunc: np.ufunc) -> None:
    @rule(prim)
    def accumulate(eqn: JaxprEqn, x: Elements) -> Elements:
        axis = eqn.params["axis"]
        x = widened(np.flip(x, axis) if eqn.params["reverse"] else x)
        out = ufunc.accumulate(x, axis=axis, dtype=x.dtype)
        return np.flip(out, axis) if eqn.params["reverse"] else out


_cumulative(cu.cumsum_p, np.add)
_cumulative(cu.cumprod_p, np.multiply)
_cumulative(cu.cummax_p, np.maximum)
_cumulative(cu.cummin_p, np.minimum)
_cumulative(cu.cumlogsumexp_p, np.logaddexp)


@rule(group_sums_p)
def _group_sums(eqn: JaxprEqn, x: Elements, offsets: Elements) -> Elements:
    x = widened(x)
    ends = np.clip(offsets.astype(np.int64), 0, x.shape[0])
    sums = [x[i:j].sum(0, dtype=x.dtype) for i, j in zip(ends[:-1], ends[1:], strict=True)]
    return np.stack(sums) if sums else np.zeros((0, *x.shape[1:]), x.dtype)


@rule(dot_general_p)
def _dot_general(eqn: JaxprEqn, x: Elements, y: Elements) -> Elements:
    (xc, yc), (xb, yb) = eqn.params["dimension_numbers"]
    dtype = np.result_type(widened(x), widened(np.empty(0, eqn.outvars[0].aval.dtype)))
    xf = [d for d in range(x.ndim) if d not in xc and d not in xb]
    yf = [d for d in range(y.ndim) if d not in yc and d not in yb]
    batch = [x.shape[d] for d in xb]
    inner = int(np.prod([x.shape[d] for d in xc], dtype=np.int64))
    rows = int(np.prod([x.shape[d] for d in xf], dtype=np.int64))
    columns = int(np.prod([y.shape[d] for d in yf], dtype=np.int64))
    left = np.transpose(x, (*xb, *xf, *xc)).reshape(*batch, rows, inner).astype(dtype)
    right = np.transpose(y, (*yb, *yc, *yf)).reshape(*batch, inner, columns).astype(dtype)
    return np.matmul(left, right).reshape(eqn.outvars[0].aval.shape)


@rule(sort_p)
def _sort(eqn: JaxprEqn, *xs: Elements) -> list[Elements]:
    axis = eqn.params["dimension"]
    keys = [widened(x) for x in xs[: eqn.params["num_keys"]]]
    order = np.lexsort(keys[::-1], axis)
    return [np.take_along_axis(x, order, axis) for x in xs]


@rule(partition_p)
def _partition(eqn: JaxprEqn, x: Elements, ranks: Elements) -> list[Elements]:
    axis = eqn.params["axis"]
    keys, n = widened(x), x.shape[axis]
    if not n:
        return [x, np.zeros(x.shape), np.zeros(ranks.shape, x.dtype)]
    at = np.clip(ranks, 0, n - 1).astype(np.int64)
    places = np.take_along_axis(np.argsort(keys, axis, kind="stable"), at, axis)
    found = np.take_along_axis(x, places, axis)
    values = np.take_along_axis(keys, places, axis)
    moved, against = np.moveaxis(keys, axis, -1), np.moveaxis(values, axis, -1)
    rank = _standing(moved[..., :, None], against[..., None, :])
    order = np.moveaxis(np.argsort(rank, axis=-1, kind="stable"), -1, axis)
    return [np.take_along_axis(x, order, axis), order, found]


@rule(search_p)
def _search(eqn: JaxprEqn, x: Elements, v: Elements) -> Elements:
    rows, n = x.shape[:-1], x.shape[-1]
    count = int(np.prod(rows, dtype=np.int64))
    tables, queries = widened(x).reshape(count, n), widened(v).reshape(count, *v.shape[len(rows) :])
    places = [
        np.searchsorted(table, query, eqn.params["side"])
        for table, query in zip(tables, queries, strict=True)
    ]
    return np.reshape(places, v.shape) if places else np.zeros(v.shape)


def _standing(x: Elements, pivots: Elements) -> Elements:
    """How many pivots are below each element, and how many not above it, NaN being the greatest."""
    nan, top = x != x, pivots != pivots
    below = (pivots < x) | (nan & ~top)
    upto = below | (pivots == x) | (nan & top)
    return below.sum(-1) + upto.sum(-1)


@rule(top_k_p)
def _top_k(eqn: JaxprEqn, x: Elements) -> list[Elements]:
    k, axis = eqn.params["k"], eqn.params["axis"]
    n = x.shape[axis]
    # From behind, so that of equals the first comes last, and the whole is turned round.
    rising = np.argsort(np.flip(widened(x), axis), axis=axis, kind="stable")
    order = np.take(n - 1 - np.flip(rising, axis), range(k), axis)
    return [np.take_along_axis(x, order, axis), order]
