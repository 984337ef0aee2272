"""Parts of arrays at run-time positions: `dynamic_slice`, `dynamic_update_slice`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from covector.core import dtypes, structural
from covector.core.avals import Shape, ShapedArray, aval_of
from covector.core.dims import min_dim
from covector.core.errors import at_user_line
from covector.core.operands import as_array, scalar
from covector.core.rules import UndefinedPrimal, Zero, batching_rules, jvp_rules, transpose_rules
from covector.core.structural import bring_dim, instantiate
from covector.core.trace import Primitive
from covector.primitives.indexing import (
    GatherDimensionNumbers,
    GatherScatterMode,
    ScatterDimensionNumbers,
    gather_p,
    scatter_p,
)
from covector.primitives.select import clamp
from covector.primitives.structure import concatenate_p, squeeze_p

dynamic_slice_p = Primitive("dynamic_slice")
dynamic_update_slice_p = Primitive("dynamic_update_slice")


# --- constructors: what rules bind ---------------------------------------------------------


def dynamic_index_in_dim(x: Any, index: Any, axis: int, keepdims: bool = True) -> Any:
    """The elements of ``x`` at a run-time ``index``, which is not negative, along ``axis``."""
    shape = aval_of(x).shape
    starts = [index if i == axis else 0 for i in range(len(shape))]
    sizes = (*shape[:axis], 1, *shape[axis + 1 :])
    out = dynamic_slice_p.bind(x, *starts, slice_sizes=sizes)
    return out if keepdims else squeeze_p.bind(out, dimensions=(axis,))


@dynamic_slice_p.def_abstract_eval
def _dynamic_slice_aval(x: ShapedArray, *starts: ShapedArray, slice_sizes: Shape) -> ShapedArray:
    _check_starts("dynamic_slice", x, slice_sizes, starts)
    return ShapedArray(slice_sizes, x.dtype, x.weak_type)


@dynamic_update_slice_p.def_abstract_eval
def _dynamic_update_slice_aval(
    x: ShapedArray, update: ShapedArray, *starts: ShapedArray
) -> ShapedArray:
    if x.dtype is not update.dtype and x.dtype != update.dtype:
        raise TypeError(
            f"dynamic_update_slice of {x.str_short()} with {update.str_short()}: dtypes must "
            f"agree{at_user_line()}"
        )
    _check_starts("dynamic_update_slice", x, update.shape, starts)
    return x if not x.weak_type or update.weak_type else x.strip_weak_type()


def _check_starts(name: str, x: ShapedArray, sizes: Shape, starts: Sequence[ShapedArray]) -> None:
    n = len(x.shape)
    if len(sizes) != n or len(starts) != n:
        raise TypeError(
            f"{name} of {x.str_short()} needs {n} sizes and start indices, got sizes {sizes} and "
            f"{len(starts)} starts{at_user_line()}"
        )
    for size, limit in zip(sizes, x.shape, strict=True):
        if not 0 <= size <= limit:
            raise TypeError(
                f"{name} of {x.str_short()}: a part of shape {sizes} does not fit into shape "
                f"{x.shape}{at_user_line()}"
            )
    for s in starts:
        if s.shape or s.dtype not in dtypes.INTEGERS:
            raise TypeError(
                f"{name}: start indices must be integer scalars, got {s.str_short()}"
                f"{at_user_line()}"
            )


def _dynamic_slice_jvp(
    primals: Sequence[Any], tangents: Sequence[Any], *, slice_sizes: Shape
) -> tuple[Any, Any]:
    out = dynamic_slice_p.bind(*primals, slice_sizes=slice_sizes)
    g = tangents[0]
    if type(g) is Zero:
        return out, Zero.of(out)
    return out, dynamic_slice_p.bind(g, *primals[1:], slice_sizes=slice_sizes)


def _dynamic_slice_transpose(ct: Any, x: Any, *starts: Any, slice_sizes: Shape) -> list[Any]:
    zeros = structural.zeros(x.aval)
    return [dynamic_update_slice_p.bind(zeros, ct, *starts)] + [None] * len(starts)


jvp_rules[dynamic_slice_p] = _dynamic_slice_jvp
transpose_rules[dynamic_slice_p] = _dynamic_slice_transpose


def _dynamic_update_slice_jvp(primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
    out = dynamic_update_slice_p.bind(*primals)
    g, h = tangents[:2]
    if type(g) is Zero and type(h) is Zero:
        return out, Zero.of(out)
    return out, dynamic_update_slice_p.bind(instantiate(g), instantiate(h), *primals[2:])


def _dynamic_update_slice_transpose(ct: Any, x: Any, update: Any, *starts: Any) -> list[Any]:
    ct_x = ct_update = None
    undefined = type(update) is UndefinedPrimal
    uaval = update.aval if undefined else aval_of(update)
    if type(x) is UndefinedPrimal:
        zeros = structural.full(uaval.shape, 0, uaval.dtype)
        ct_x = dynamic_update_slice_p.bind(ct, zeros, *starts)
    if undefined:
        ct_update = dynamic_slice_p.bind(ct, *starts, slice_sizes=uaval.shape)
    return [ct_x, ct_update] + [None] * len(starts)


jvp_rules[dynamic_update_slice_p] = _dynamic_update_slice_jvp
transpose_rules[dynamic_update_slice_p] = _dynamic_update_slice_transpose


def _stacked_starts(
    axis_size: int, starts: Sequence[Any], dims: Sequence[int | None], shape: Shape
) -> Any:
    """Start indices of all examples as one matrix (example, dimension).

    They are not clamped, so that those who look for indices out of bounds see them.
    """
    dt = dtypes.position_dtype(*shape)
    columns = []
    for s, d in zip(starts, dims, strict=True):
        s = structural.convert_element_type(as_array(_saturated(s, dt)), dt)
        columns.append(
            structural.broadcast_in_dim(s, (axis_size, 1), (0,) if d is not None else ())
        )
    return concatenate_p.bind(*columns, dimension=1)


def _saturated(index: Any, dt: dtypes.DType) -> Any:
    """An index that may not fit in ``dt``, which stays out of bounds on the same side."""
    own = aval_of(index).dtype
    (low, high), (least, most) = dtypes.LIMITS[own], dtypes.LIMITS[dt]
    if low >= least and high <= most:
        return index
    return clamp(scalar(max(low, least), own), index, scalar(min(high, most), own))


def _dynamic_slice_batch(
    axis_size: int, args: Sequence[Any], dims: Sequence[int | None], *, slice_sizes: Shape
) -> tuple[Any, int]:
    x, *starts = args
    if all(d is None for d in dims[1:]):
        x = bring_dim(x, axis_size, dims[0], 0)
        out = dynamic_slice_p.bind(x, 0, *starts, slice_sizes=(axis_size, *slice_sizes))
        return out, 0
    n = len(slice_sizes)
    batched = dims[0] is not None
    if batched:
        x = bring_dim(x, axis_size, dims[0], 0)
    shape = aval_of(x).shape[batched:]
    indices = _stacked_starts(axis_size, starts, dims[1:], shape)
    out = gather_p.bind(
        x,
        indices,
        dimension_numbers=GatherDimensionNumbers(
            offset_dims=tuple(range(1, n + 1)),
            collapsed_slice_dims=(),
            start_index_map=tuple(range(batched, n + batched)),
            operand_batching_dims=(0,) if batched else (),
            start_indices_batching_dims=(0,) if batched else (),
        ),
        slice_sizes=((min_dim(axis_size, 1),) if batched else ()) + slice_sizes,
        indices_are_sorted=batched,
        unique_indices=batched,
        mode=GatherScatterMode.CLIP,
        fill_value=None,
    )
    return out, 0


batching_rules[dynamic_slice_p] = _dynamic_slice_batch


def _dynamic_update_slice_batch(
    axis_size: int, args: Sequence[Any], dims: Sequence[int | None]
) -> tuple[Any, int]:
    x, update, *starts = args
    x = bring_dim(x, axis_size, dims[0], 0)
    update = bring_dim(update, axis_size, dims[1], 0)
    if all(d is None for d in dims[2:]):
        return dynamic_update_slice_p.bind(x, update, 0, *starts), 0
    shape = aval_of(x).shape[1:]
    n = len(shape)
    indices = _stacked_starts(axis_size, starts, dims[2:], shape)
    out = scatter_p.bind(
        x,
        indices,
        update,
        dimension_numbers=ScatterDimensionNumbers(
            update_window_dims=tuple(range(1, n + 1)),
            inserted_window_dims=(),
            scatter_dims_to_operand_dims=tuple(range(1, n + 1)),
            operand_batching_dims=(0,),
            scatter_indices_batching_dims=(0,),
        ),
        indices_are_sorted=True,
        unique_indices=True,
        mode=GatherScatterMode.CLIP,
    )
    return out, 0


batching_rules[dynamic_update_slice_p] = _dynamic_update_slice_batch
