"""Primitives that rearrange elements."""

from __future__ import annotations

import numpy as np

from covector.core.jaxpr import JaxprEqn
from covector.core.structural import broadcast_in_dim_p, reshape_p, transpose_p
from covector.primitives.structure import concatenate_p, iota_p, pad_p, rev_p, slice_p, squeeze_p
from covector_toy.interpreter import rule
from covector_toy.rules.elementwise import Elements


@rule(broadcast_in_dim_p)
def _broadcast(eqn: JaxprEqn, x: Elements) -> Elements:
    shape = eqn.params["shape"]
    full = [1] * len(shape)
    for size, d in zip(x.shape, eqn.params["broadcast_dimensions"], strict=True):
        full[d] = size
    return np.broadcast_to(x.reshape(full), shape)


@rule(reshape_p, squeeze_p)
def _reshape(eqn: JaxprEqn, x: Elements) -> Elements:
    return x.reshape(eqn.outvars[0].aval.shape)


@rule(transpose_p)
def _transpose(eqn: JaxprEqn, x: Elements) -> Elements:
    return np.transpose(x, eqn.params["permutation"])


@rule(rev_p)
def _rev(eqn: JaxprEqn, x: Elements) -> Elements:
    return np.flip(x, eqn.params["dimensions"])


@rule(concatenate_p)
def _concatenate(eqn: JaxprEqn, *xs: Elements) -> Elements:
    return np.concatenate(xs, eqn.params["dimension"])


@rule(slice_p)
def _slice(eqn: JaxprEqn, x: Elements) -> Elements:
    p = eqn.params
    steps = p["strides"] or (1,) * x.ndim
    return x[tuple(map(slice, p["start_indices"], p["limit_indices"], steps))]


@rule(pad_p)
def _pad(eqn: JaxprEqn, x: Elements, value: Elements) -> Elements:
    config = eqn.params["padding_config"]
    # Between the elements first, then around them, then away what is negative.
    spread = [
        n + between * max(n - 1, 0) for n, (_, _, between) in zip(x.shape, config, strict=True)
    ]
    shape = [max(lo, 0) + n + max(hi, 0) for n, (lo, hi, _) in zip(spread, config, strict=True)]
    out = np.full(shape, value, x.dtype)
    inner = tuple(
        slice(max(lo, 0), max(lo, 0) + n, between + 1)
        for n, (lo, _, between) in zip(spread, config, strict=True)
    )
    out[inner] = x
    kept = zip(shape, config, strict=True)
    return out[tuple(slice(max(-lo, 0), n - max(-hi, 0)) for n, (lo, hi, _) in kept)]


@rule(iota_p)
def _iota(eqn: JaxprEqn) -> Elements:
    p = eqn.params
    d, shape = p["dimension"], p["shape"]
    line = np.arange(shape[d]).astype(p["dtype"])
    return np.broadcast_to(line.reshape(-1, *[1] * (len(shape) - d - 1)), shape)
