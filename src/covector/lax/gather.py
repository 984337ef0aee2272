"""Gather: windows of an array at computed positions."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from covector.core import dtypes, structural
from covector.core.avals import Shape, ShapedArray, aval_of
from covector.core.errors import at_user_line
from covector.core.trace import Primitive
from covector.lax._common import as_operand, canonical_shape
from covector.transforms.jvp import Zero, jvp_rules
from covector.transforms.transpose import transpose_rules
from covector.transforms.vmap import batching_rules, move_dim

gather_p = Primitive("gather")


class GatherScatterMode(enum.Enum):
    """What indices outside the array mean to gather and scatter.

    ``CLIP`` moves them to the nearest valid position; ``FILL_OR_DROP`` reads a fill value and
    drops updates; ``PROMISE_IN_BOUNDS`` says there are none; ``ONE_HOT`` behaves like
    ``FILL_OR_DROP`` with zeros.
    """

    CLIP = 0
    FILL_OR_DROP = 1
    PROMISE_IN_BOUNDS = 2
    ONE_HOT = 3

    @staticmethod
    def from_any(mode: Any) -> GatherScatterMode:
        """The mode for its name (``clip``, ``fill``, ``drop``, ``promise_in_bounds``) or None."""
        if isinstance(mode, GatherScatterMode):
            return mode
        found = _MODES.get(mode) if mode is None or isinstance(mode, str) else None
        if found is None:
            raise ValueError(
                f"unknown mode {mode!r} for indices out of bounds; use 'clip', 'fill', 'drop', "
                f"'promise_in_bounds' or 'wrap'{at_user_line()}"
            )
        return found


_MODES = {
    None: GatherScatterMode.FILL_OR_DROP,
    "clip": GatherScatterMode.CLIP,
    "fill": GatherScatterMode.FILL_OR_DROP,
    "drop": GatherScatterMode.FILL_OR_DROP,
    "promise_in_bounds": GatherScatterMode.PROMISE_IN_BOUNDS,
    "one_hot": GatherScatterMode.ONE_HOT,
}


class GatherDimensionNumbers(NamedTuple):
    """Which dimensions of operand, indices and result correspond in a gather.

    Attributes
    ----------
    offset_dims : tuple of int
        Dimensions of the result that run over the window.
    collapsed_slice_dims : tuple of int
        Dimensions of the operand, of window size 1, that the result does not have.
    start_index_map : tuple of int
        Operand dimension that each component of an index vector refers to.
    operand_batching_dims, start_indices_batching_dims : tuple of int
        Dimensions of operand and indices that run together.
    """

    offset_dims: tuple[int, ...]
    collapsed_slice_dims: tuple[int, ...]
    start_index_map: tuple[int, ...]
    operand_batching_dims: tuple[int, ...] = ()
    start_indices_batching_dims: tuple[int, ...] = ()


def check_indices(name: str, indices: ShapedArray) -> None:
    """Raise the TypeError for indices that are not integers."""
    if indices.dtype not in dtypes.INTEGERS:
        raise TypeError(f"{name} takes integer indices, got {indices.str_short()}{at_user_line()}")


def default_fill(dtype: Any) -> Any:
    """What reading out of bounds gives: NaN, the lowest signed or largest unsigned integer."""
    if dtype in dtypes.INEXACT:
        return float("nan")
    if dtype in dtypes.UNSIGNED:
        return int(np.iinfo(dtype).max)
    if dtype in dtypes.SIGNED:
        return int(np.iinfo(dtype).min)
    return dtype == dtypes.bool_


@gather_p.def_abstract_eval
def _gather_aval(
    x: ShapedArray,
    indices: ShapedArray,
    *,
    dimension_numbers: GatherDimensionNumbers,
    slice_sizes: Shape,
    indices_are_sorted: bool,
    unique_indices: bool,
    mode: GatherScatterMode,
    fill_value: Any,
) -> ShapedArray:
    d = dimension_numbers
    check_indices("gather", indices)
    if (
        len(slice_sizes) != len(x.shape)
        or not indices.shape
        or indices.shape[-1] != len(d.start_index_map)
    ):
        raise TypeError(
            f"gather from {x.str_short()} by indices {indices.str_short()} with slice_sizes "
            f"{slice_sizes} and {d}: needs one slice size per dimension of the operand, and one "
            f"entry of start_index_map per component of an index{at_user_line()}"
        )
    dropped = (*d.collapsed_slice_dims, *d.operand_batching_dims)
    for i, (size, n) in enumerate(zip(slice_sizes, x.shape, strict=True)):
        if not 0 <= size <= n or (i in dropped and size > 1):
            raise TypeError(
                f"gather from {x.str_short()}: slice_sizes {slice_sizes} do not fit, or are above "
                f"1 in the collapsed dimensions {dropped}{at_user_line()}"
            )
    window = [s for i, s in enumerate(slice_sizes) if i not in dropped]
    batch = list(indices.shape[:-1])
    rank = len(window) + len(batch)
    if len(d.offset_dims) != len(window) or any(not 0 <= k < rank for k in d.offset_dims):
        raise TypeError(
            f"gather from {x.str_short()}: offset_dims {d.offset_dims} do not match the "
            f"{len(window)} dimensions of the window{at_user_line()}"
        )
    w, b = iter(window), iter(batch)
    shape = tuple([next(w) if i in d.offset_dims else next(b) for i in range(rank)])
    return ShapedArray(shape, x.dtype, x.weak_type)


def gather(
    operand: Any,
    start_indices: Any,
    dimension_numbers: GatherDimensionNumbers,
    slice_sizes: Any,
    *,
    unique_indices: bool = False,
    indices_are_sorted: bool = False,
    mode: Any = None,
    fill_value: Any = None,
) -> Any:
    """Windows of ``operand`` of shape ``slice_sizes`` at each vector of ``start_indices``.

    Parameters
    ----------
    operand : array_like
    start_indices : array_like
        Integers. The last dimension holds the components of an index vector.
    dimension_numbers : GatherDimensionNumbers
    slice_sizes : sequence of int
        One for each dimension of ``operand``.
    unique_indices, indices_are_sorted : bool
        Promises about the indices.
    mode : GatherScatterMode or str, optional
        What indices out of bounds mean (``promise_in_bounds`` by default).
    fill_value : scalar, optional
        Read out of bounds in mode ``fill``; NaN or an extreme integer by default.

    Returns
    -------
    Array
        The window runs over the dimensions ``offset_dims``, the index vectors over the others.

    Raises
    ------
    TypeError
        If shapes and ``dimension_numbers`` do not fit, or the indices are not integers.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> x = np.array([[1, 2], [3, 4], [5, 6]])
    >>> rows = lax.GatherDimensionNumbers(
    ...     offset_dims=(1,), collapsed_slice_dims=(0,), start_index_map=(0,)
    ... )
    >>> lax.gather(x, np.array([[2], [0]]), rows, slice_sizes=(1, 2))
    Array([[5, 6],
           [1, 2]], dtype=int32)
    >>> lax.gather(x, np.array([[7]]), rows, (1, 2), mode="fill", fill_value=-1)
    Array([[-1, -1]], dtype=int32)
    """
    x = as_operand(operand, "gather")
    m = GatherScatterMode.from_any("promise_in_bounds" if mode is None else mode)
    if m is GatherScatterMode.ONE_HOT:
        m, fill_value = GatherScatterMode.FILL_OR_DROP, 0
    if m is not GatherScatterMode.FILL_OR_DROP:
        fill_value = None
    elif fill_value is None:
        fill_value = default_fill(aval_of(x).dtype)
    elif hasattr(fill_value, "item"):
        fill_value = fill_value.item()
    return gather_p.bind(
        x,
        as_operand(start_indices, "gather"),
        dimension_numbers=GatherDimensionNumbers(*[tuple(map(int, d)) for d in dimension_numbers]),
        slice_sizes=canonical_shape(slice_sizes, "slice_sizes"),
        indices_are_sorted=bool(indices_are_sorted),
        unique_indices=bool(unique_indices),
        mode=m,
        fill_value=fill_value,
    )


def _gather_jvp(primals: Sequence[Any], tangents: Sequence[Any], **params: Any) -> tuple[Any, Any]:
    x, indices = primals
    out = gather_p.bind(x, indices, **params)
    g = tangents[0]
    if type(g) is Zero:
        return out, Zero.of(out)
    if params["fill_value"] is not None:
        params["fill_value"] = 0
    return out, gather_p.bind(g, indices, **params)


def _gather_transpose(
    ct: Any,
    x: Any,
    indices: Any,
    *,
    dimension_numbers: GatherDimensionNumbers,
    slice_sizes: Shape,
    fill_value: Any,
    **params: Any,
) -> list[Any]:
    from covector.lax.scatter import ScatterDimensionNumbers, scatter_add_p

    out = scatter_add_p.bind(
        structural.zeros(x.aval),
        indices,
        ct,
        dimension_numbers=ScatterDimensionNumbers(*dimension_numbers),
        **params,
    )
    return [out, None]


def _up(dims: Sequence[int]) -> tuple[int, ...]:
    return tuple([d + 1 for d in dims])


def _gather_batch(
    axis_size: int,
    args: Sequence[Any],
    dims: Sequence[int | None],
    *,
    dimension_numbers: GatherDimensionNumbers,
    slice_sizes: Shape,
    **params: Any,
) -> tuple[Any, int]:
    (x, indices), d = args, dimension_numbers
    offset = _up(d.offset_dims)
    collapsed, start_map = d.collapsed_slice_dims, d.start_index_map
    x_batch, i_batch = d.operand_batching_dims, d.start_indices_batching_dims
    if dims[0] is not None:
        x = move_dim(x, dims[0], 0)
        collapsed, start_map, x_batch = _up(collapsed), _up(start_map), _up(x_batch)
    if dims[1] is not None:
        indices = move_dim(indices, dims[1], 0)
        i_batch = _up(i_batch)
    if dims[1] is None:
        # One more dimension of the window, which covers the mapped axis.
        offset = (0, *offset)
        slice_sizes = (axis_size, *slice_sizes)
    elif dims[0] is not None:
        x_batch, i_batch = (0, *x_batch), (0, *i_batch)
        slice_sizes = (1 if axis_size else 0, *slice_sizes)
    numbers = GatherDimensionNumbers(offset, collapsed, start_map, x_batch, i_batch)
    if dims[1] is not None:
        # The order and distinctness promised hold within each example only.
        params["indices_are_sorted"] = params["indices_are_sorted"] and dims[0] is not None
        params["unique_indices"] = params["unique_indices"] and dims[0] is not None
    out = gather_p.bind(x, indices, dimension_numbers=numbers, slice_sizes=slice_sizes, **params)
    return out, 0


jvp_rules[gather_p] = _gather_jvp
transpose_rules[gather_p] = _gather_transpose
batching_rules[gather_p] = _gather_batch
