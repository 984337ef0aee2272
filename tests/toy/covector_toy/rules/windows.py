"""Reductions over windows: of all windows, each an axis of a view."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from covector.core.jaxpr import JaxprEqn
from covector.primitives.windows import (
    PARAMETERS,
    reduce_window_max_p,
    reduce_window_min_p,
    reduce_window_sum_p,
    window_position_p,
)
from covector_toy.interpreter import rule
from covector_toy.rules.elementwise import Elements


def _windows(eqn: JaxprEqn, x: Elements, fill: Any) -> Elements:
    """The elements of each window, in their order, along a new first axis."""
    dims, strides, padding, bd, wd = (eqn.params[p] for p in PARAMETERS)
    spread = np.full(
        [(n - 1) * d + 1 if n else 0 for n, d in zip(x.shape, bd, strict=True)], fill, x.dtype
    )
    spread[tuple(slice(None, None, d) for d in bd)] = x
    spread = np.pad(spread, [(max(a, 0), max(b, 0)) for a, b in padding], constant_values=fill)
    cut = [
        slice(max(-a, 0), n - max(-b, 0)) for (a, b), n in zip(padding, spread.shape, strict=True)
    ]
    spread, out = spread[tuple(cut)], eqn.outvars[0].aval.shape
    return np.stack([
        spread[tuple(
            slice(k * d, k * d + (n - 1) * s + 1, s) if n else slice(0)
            for k, d, n, s in zip(at, wd, out, strides, strict=True)
        )]
        for at in itertools.product(*map(range, dims))
    ])  # fmt: skip


def _limit(dtype: np.dtype[Any], largest: bool) -> Any:
    if dtype.kind == "b":
        return largest
    if dtype.kind in "iu":
        return np.iinfo(dtype).max if largest else np.iinfo(dtype).min
    return np.inf if largest else -np.inf


@rule(reduce_window_sum_p)
def _sum(eqn: JaxprEqn, x: Elements) -> Elements:
    return _windows(eqn, x, 0).sum(0, dtype=x.dtype)


@rule(reduce_window_max_p)
def _max(eqn: JaxprEqn, x: Elements) -> Elements:
    return _windows(eqn, x, _limit(x.dtype, False)).max(0)


@rule(reduce_window_min_p)
def _min(eqn: JaxprEqn, x: Elements) -> Elements:
    return _windows(eqn, x, _limit(x.dtype, True)).min(0)


@rule(window_position_p)
def _position(eqn: JaxprEqn, x: Elements, value: Elements) -> Elements:
    fill = 0 if x.dtype.kind in "biu" else np.nan
    same = _windows(eqn, x, fill) == value
    return np.where(same.any(0), same.argmax(0), 2**31 - 1).astype(np.int32)
