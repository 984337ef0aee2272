"""Parts of arrays at computed positions: dynamic slices, gather, scatter."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from covector.core.jaxpr import JaxprEqn
from covector.primitives.indexing import (
    GatherScatterMode,
    default_fill,
    gather_p,
    scatter_add_p,
    scatter_max_p,
    scatter_min_p,
    scatter_mul_p,
    scatter_p,
)
from covector.primitives.slicing import dynamic_slice_p, dynamic_update_slice_p
from covector_toy.interpreter import rule
from covector_toy.rules.elementwise import Elements


def _window(x: Elements, starts: Sequence[Elements], sizes: Sequence[int]) -> tuple[slice, ...]:
    """Where a window of ``sizes`` begins and ends, moved so that it fits."""
    first = [
        min(max(int(s), 0), n - size) for s, n, size in zip(starts, x.shape, sizes, strict=True)
    ]
    return tuple(slice(f, f + size) for f, size in zip(first, sizes, strict=True))


@rule(dynamic_slice_p)
def _dynamic_slice(eqn: JaxprEqn, x: Elements, *starts: Elements) -> Elements:
    return x[_window(x, starts, eqn.params["slice_sizes"])]


@rule(dynamic_update_slice_p)
def _dynamic_update_slice(
    eqn: JaxprEqn, x: Elements, update: Elements, *starts: Elements
) -> Elements:
    out = x.copy()
    out[_window(x, starts, update.shape)] = update
    return out


def _signed(indices: Elements) -> Elements:
    """Indices as int64; those beyond its range stay far out of bounds."""
    if indices.dtype == np.uint64:
        indices = np.minimum(indices, np.uint64(np.iinfo(np.int64).max))
    return indices.astype(np.int64)


def _positions(
    x: Elements,
    indices: Elements,
    shape: tuple[int, ...],
    numbers: Any,
    windows: Sequence[int],
    mode: GatherScatterMode,
) -> tuple[list[Elements], Elements]:
    """For each element of ``shape``: its index along each dimension of ``x``, and whether its
    window lies within.

    ``numbers`` are those of a gather, or of a scatter: their parts come in the same order.
    """
    window_dims, dropped, indexed, x_batch, i_batch = numbers
    along = np.ogrid[tuple(slice(n) for n in shape)] if shape else []
    outer = [k for k in range(len(shape)) if k not in window_dims]
    offsets = iter([along[k] for k in window_dims])
    known = _signed(indices)
    spread = tuple(shape[k] if k in outer else 1 for k in range(len(shape)))
    where, inside = [], np.ones((1,) * len(shape), bool)
    for d, (n, size) in enumerate(zip(x.shape, windows, strict=True)):
        if d in x_batch:
            where.append(along[outer[i_batch[x_batch.index(d)]]])
            continue
        at: Any = 0 if d in dropped else next(offsets)
        if d in indexed:
            start = known[..., indexed.index(d)].reshape(spread)
            if mode is GatherScatterMode.FILL_OR_DROP:
                inside = inside & (start >= 0) & (start <= n - size)
            at = at + np.clip(start, 0, max(n - size, 0))
        where.append(at)
    return [np.broadcast_to(w, shape) for w in where], np.broadcast_to(inside, shape)


@rule(gather_p)
def _gather(eqn: JaxprEqn, x: Elements, indices: Elements) -> Elements:
    p, shape = eqn.params, eqn.outvars[0].aval.shape
    where, inside = _positions(
        x, indices, shape, p["dimension_numbers"], p["slice_sizes"], p["mode"]
    )
    fill = default_fill(eqn.invars[0].aval.dtype) if p["fill_value"] is None else p["fill_value"]
    out = np.full(shape, fill, x.dtype)
    if x.size:
        out[inside] = x[tuple(w[inside] for w in where)]
    return out


def _scatter(combine: Callable[..., None]) -> Callable[..., Elements]:
    def run(eqn: JaxprEqn, x: Elements, indices: Elements, updates: Elements) -> Elements:
        p = eqn.params
        numbers = p["dimension_numbers"]
        sizes = iter([updates.shape[k] for k in numbers.update_window_dims])
        dropped = (*numbers.inserted_window_dims, *numbers.operand_batching_dims)
        windows = [1 if d in dropped else next(sizes) for d in range(x.ndim)]
        where, inside = _positions(x, indices, updates.shape, numbers, windows, p["mode"])
        out = x.copy()
        if x.size:
            combine(out, tuple(w[inside] for w in where), updates[inside])
        return out

    return run


def _set(out: Elements, where: tuple[Elements, ...], values: Elements) -> None:
    out[where] = values


rule(scatter_p)(_scatter(_set))
rule(scatter_add_p)(_scatter(np.add.at))
rule(scatter_mul_p)(_scatter(np.multiply.at))
rule(scatter_min_p)(_scatter(np.minimum.at))
rule(scatter_max_p)(_scatter(np.maximum.at))
