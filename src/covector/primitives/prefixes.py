"""All prefixes of an associative operation, in logarithmic depth: recursive doubling."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from covector.core import dtypes
from covector.core.avals import aval_of
from covector.primitives.arithmetic import add
from covector.primitives.compare import bitwise_or
from covector.primitives.structure import concatenate, pad, rev, slice_in_dim

Combine = Callable[[list[Any], list[Any]], Sequence[Any]]


def _interleave(a: Any, b: Any, axis: int) -> Any:
    """``a[0], b[0], a[1], b[1], …`` along ``axis``; ``a`` may be longer by one."""
    shape = aval_of(a).shape
    n, m = shape[axis], aval_of(b).shape[axis]
    zero = dtypes.as_dtype(aval_of(a).dtype).type(0)
    edge = [(0, 0, 0)] * len(shape)
    config_a, config_b = list(edge), list(edge)
    config_a[axis] = (0, 1 if n == m else 0, 1)
    config_b[axis] = (1, 0 if n == m else 1, 1)
    pa, pb = pad(a, zero, config_a), pad(b, zero, config_b)
    return bitwise_or(pa, pb) if aval_of(a).dtype == dtypes.bool_ else add(pa, pb)


def prefixes(combine: Combine, xs: Sequence[Any], axes: Sequence[int], reverse: bool) -> list[Any]:
    """Arrays whose elements along ``axes`` combine all up to them (or, ``reverse``, from them on).

    ``combine`` takes and returns lists of parts of all arrays.
    """

    def cut(xs: Sequence[Any], start: int, stop: int, step: int = 1) -> list[Any]:
        return [slice_in_dim(x, start, stop, step, a) for x, a in zip(xs, axes, strict=True)]

    def run(xs: Sequence[Any]) -> Sequence[Any]:
        n = aval_of(xs[0]).shape[axes[0]]
        if n < 2:
            return xs
        pairs = combine(cut(xs, 0, n - 1, 2), cut(xs, 1, n, 2))
        odd = run(pairs)
        if n % 2 == 0:
            even = combine(cut(odd, 0, n // 2 - 1), cut(xs, 2, n, 2))
        else:
            even = combine(list(odd), cut(xs, 2, n, 2))
        even = [concatenate([x, e], a) for x, e, a in zip(cut(xs, 0, 1), even, axes, strict=True)]
        return [_interleave(e, o, a) for e, o, a in zip(even, odd, axes, strict=True)]

    if not reverse:
        return list(run(xs))
    flipped = run([rev(x, (a,)) for x, a in zip(xs, axes, strict=True)])
    return [rev(x, (a,)) for x, a in zip(flipped, axes, strict=True)]
