"""Reductions with a combination of their own: a primitive that carries it as a scalar jaxpr."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from covector.core.avals import ShapedArray, aval_of
from covector.core.jaxpr import ClosedJaxpr, eval_jaxpr
from covector.core.operands import as_array, product
from covector.core.rules import batching_rules, jvp_rules
from covector.core.structural import bring_dim, broadcast_in_dim, reshape_p, transpose
from covector.core.trace import Primitive, trace_to_jaxpr
from covector.primitives.structure import concatenate, slice_in_dim
from covector.transforms.cache import cached_on_jaxpr
from covector.transforms.jvp import jvp_flat
from covector.transforms.vmap import vmap_flat

Combine = Callable[..., list[Any]]

# reduce(*operands, *inits; jaxpr, axes): the scalar jaxpr takes running results, then values.
reduce_p = Primitive("reduce", multiple_results=True)


@reduce_p.def_abstract_eval
def _avals(*avals: ShapedArray, jaxpr: ClosedJaxpr, axes: tuple[int, ...]) -> list[ShapedArray]:
    operands = avals[: len(avals) // 2]
    shape = tuple([n for k, n in enumerate(operands[0].shape) if k not in axes])
    return [a.update(shape=shape) for a in operands]


def reduce_by_neighbours(
    combine: Combine, xs: Sequence[Any], inits: Sequence[Any], axes: Sequence[int]
) -> list[Any]:
    """The reduction in terms of ``combine`` on arrays.

    Neighbours are combined until one is left: the order of the elements is kept.
    """
    rank = len(aval_of(xs[0]).shape)
    kept = tuple(i for i in range(rank) if i not in axes)
    rows = []
    for x in xs:
        x = transpose(x, (*axes, *kept))
        shape = aval_of(x).shape
        n = product(shape[: len(axes)])
        rows.append(reshape_p.bind(x, new_sizes=(n, *shape[len(axes) :])))
    n = aval_of(rows[0]).shape[0]
    while n > 1:
        half = n // 2
        merged = combine(
            *[slice_in_dim(x, 0, 2 * half, 2) for x in rows],
            *[slice_in_dim(x, 1, 2 * half, 2) for x in rows],
        )
        if n % 2:
            merged = [
                concatenate([m, slice_in_dim(x, n - 1, n)], 0)
                for m, x in zip(merged, rows, strict=True)
            ]
        rows, n = merged, half + n % 2
    shape = aval_of(rows[0]).shape[1:]
    start = [broadcast_in_dim(as_array(v), shape, ()) for v in inits]
    if n == 0:
        return start
    return combine(*start, *[reshape_p.bind(x, new_sizes=shape) for x in rows])


def _on_arrays(closed: ClosedJaxpr) -> Combine:
    """The combination of arrays, element by element."""

    def combine(*args: Any) -> list[Any]:
        shape = aval_of(args[0]).shape
        n = product(shape)
        flat = [reshape_p.bind(x, new_sizes=(n,)) for x in args]
        outs, dims = vmap_flat(
            lambda *xs: eval_jaxpr(closed.jaxpr, closed.consts, *xs), n, flat, [0] * len(flat)
        )
        moved = [bring_dim(x, n, d, 0) for x, d in zip(outs, dims, strict=True)]
        return [reshape_p.bind(x, new_sizes=shape) for x in moved]

    return combine


@cached_on_jaxpr
def by_neighbours(
    closed: ClosedJaxpr, avals: tuple[ShapedArray, ...], axes: tuple[int, ...]
) -> ClosedJaxpr:
    """The jaxpr of a whole reduction without the primitive, for operands of types ``avals``."""
    jaxpr, consts = trace_to_jaxpr(lambda *args: _neighbours(args, closed, axes), avals)
    return ClosedJaxpr(jaxpr, consts)


def _neighbours(args: Sequence[Any], closed: ClosedJaxpr, axes: tuple[int, ...]) -> list[Any]:
    k = len(args) // 2
    return reduce_by_neighbours(_on_arrays(closed), args[:k], args[k:], axes)


def _jvp(
    primals: Sequence[Any], tangents: Sequence[Any], *, jaxpr: ClosedJaxpr, axes: tuple[int, ...]
) -> tuple[list[Any], list[Any]]:
    return jvp_flat(lambda *args: _neighbours(args, jaxpr, axes), primals, tangents)


jvp_rules[reduce_p] = _jvp


def _batch(
    axis_size: int, args: Sequence[Any], dims: Sequence[int | None], *,
    jaxpr: ClosedJaxpr, axes: tuple[int, ...],
) -> tuple[list[Any], list[int | None]]:  # fmt: skip
    k = len(args) // 2
    if any(d is not None for d in dims[k:]):
        # Every example starts with values of its own.
        return vmap_flat(lambda *xs: _neighbours(xs, jaxpr, axes), axis_size, args, dims)
    xs = [bring_dim(x, axis_size, d, 0) for x, d in zip(args[:k], dims[:k], strict=True)]
    moved = tuple([a + 1 for a in axes])
    outs = reduce_p.bind(*xs, *args[k:], jaxpr=jaxpr, axes=moved)
    return outs, [0] * k


batching_rules[reduce_p] = _batch
