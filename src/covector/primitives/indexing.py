"""Gather and scatter: windows of an array at computed positions, read or combined with updates."""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from covector.core import dtypes, structural
from covector.core.avals import Shape, ShapedArray, aval_of
from covector.core.errors import at_user_line
from covector.core.operands import product, scalar
from covector.core.rules import UndefinedPrimal, Zero, batching_rules, jvp_rules, transpose_rules
from covector.core.structural import (
    add_tangents,
    bring_dim,
    convert_element_type,
    instantiate,
    moveaxis,
    reshape,
)
from covector.core.trace import Primitive
from covector.primitives.arithmetic import div, mul
from covector.primitives.compare import eq
from covector.primitives.select import select
from covector.primitives.structure import iota

# --- gather ----------------------------------------------------------------------------------

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
    def from_any(s: Any) -> GatherScatterMode:
        """The mode for its name (``clip``, ``fill``, ``drop``, ``promise_in_bounds``) or None."""
        if isinstance(s, GatherScatterMode):
            return s
        found = _MODES.get(s) if s is None or isinstance(s, str) else None
        if found is None:
            raise ValueError(
                f"unknown mode {s!r} for indices out of bounds; use 'clip', 'fill', 'drop', "
                f"'promise_in_bounds' or 'wrap'{at_user_line()}"
            )
        return found


def default_fill(dtype: dtypes.DType) -> Any:
    """What reading out of bounds gives: NaN, the lowest signed or the largest unsigned integer,
    True, or a key of such words."""
    if dtype in dtypes.INEXACT:
        return float("nan")
    if dtype == dtypes.bool_:
        return True
    if dtypes.is_extended(dtype):
        return 2**64 - 1
    return dtypes.LIMITS[dtype][dtype in dtypes.UNSIGNED]


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
    if not (_dims_of(dropped, len(x.shape)) and _dims_of(d.start_index_map, len(x.shape))):
        raise TypeError(
            f"gather from {x.str_short()}: collapsed_slice_dims, operand_batching_dims and "
            f"start_index_map of {d} are not dimensions of the operand, each once{at_user_line()}"
        )
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
        x = moveaxis(x, dims[0], 0)
        collapsed, start_map, x_batch = _up(collapsed), _up(start_map), _up(x_batch)
    if dims[1] is not None:
        indices = moveaxis(indices, dims[1], 0)
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

# --- scatter ---------------------------------------------------------------------------------

scatter_p = Primitive("scatter")
scatter_add_p = Primitive("scatter_add")
scatter_mul_p = Primitive("scatter_mul")
scatter_min_p = Primitive("scatter_min")
scatter_max_p = Primitive("scatter_max")


class ScatterDimensionNumbers(NamedTuple):
    """Which dimensions of operand, indices and updates correspond in a scatter.

    Attributes
    ----------
    update_window_dims : tuple of int
        Dimensions of the updates that run over the window.
    inserted_window_dims : tuple of int
        Dimensions of the operand, of window size 1, that the updates do not have.
    scatter_dims_to_operand_dims : tuple of int
        Operand dimension that each component of an index vector refers to.
    operand_batching_dims, scatter_indices_batching_dims : tuple of int
        Dimensions of operand and indices that run together.
    """

    update_window_dims: tuple[int, ...]
    inserted_window_dims: tuple[int, ...]
    scatter_dims_to_operand_dims: tuple[int, ...]
    operand_batching_dims: tuple[int, ...] = ()
    scatter_indices_batching_dims: tuple[int, ...] = ()


def window_sizes(rank: int, updates_shape: Shape, d: ScatterDimensionNumbers) -> Shape:
    """Sizes of the window in each dimension of the operand."""
    dropped = (*d.inserted_window_dims, *d.operand_batching_dims)
    window = iter(d.update_window_dims)
    return tuple([1 if i in dropped else updates_shape[next(window)] for i in range(rank)])


def _dims_of(dims: Sequence[int], rank: int) -> bool:
    """Whether these are dimensions, each once, of an array of this rank."""
    return len(set(dims)) == len(dims) and all(0 <= d < rank for d in dims)


def _define(prim: Primitive) -> None:
    name = prim.name

    def rule(
        x: ShapedArray,
        indices: ShapedArray,
        updates: ShapedArray,
        *,
        dimension_numbers: ScatterDimensionNumbers,
        indices_are_sorted: bool,
        unique_indices: bool,
        mode: GatherScatterMode,
    ) -> ShapedArray:
        d = dimension_numbers
        check_indices(name, indices)
        if x.dtype != updates.dtype:
            raise TypeError(
                f"{name} takes updates of the operand's dtype, got {x.str_short()} and "
                f"{updates.str_short()}{at_user_line()}"
            )
        if dtypes.is_extended(x.dtype) and prim is not scatter_p:
            raise TypeError(
                f"{name}: PRNG keys can be replaced, not computed with; see random.key_data"
                f"{at_user_line()}"
            )
        dropped = (*d.inserted_window_dims, *d.operand_batching_dims)
        rank = len(x.shape)
        ok = (
            _dims_of(dropped, rank)
            and _dims_of(d.scatter_dims_to_operand_dims, rank)
            and bool(indices.shape)
            and indices.shape[-1] == len(d.scatter_dims_to_operand_dims)
            and len(d.update_window_dims) == rank - len(dropped)
            and all(0 <= k < len(updates.shape) for k in d.update_window_dims)
        )
        if ok:
            outer = [s for i, s in enumerate(updates.shape) if i not in d.update_window_dims]
            window = window_sizes(rank, updates.shape, d)
            ok = tuple(outer) == indices.shape[:-1] and all(
                i in dropped or w <= n for i, (w, n) in enumerate(zip(window, x.shape, strict=True))
            )
        if not ok:
            raise TypeError(
                f"{name} into {x.str_short()} at indices {indices.str_short()} of updates "
                f"{updates.str_short()}: the shapes do not fit {d}{at_user_line()}"
            )
        return x if not x.weak_type or updates.weak_type else x.strip_weak_type()

    prim.def_abstract_eval(rule)


for _p in (scatter_p, scatter_add_p, scatter_mul_p, scatter_min_p, scatter_max_p):
    _define(_p)


def _gather_like(
    x: Any,
    indices: Any,
    updates_shape: Shape,
    *,
    dimension_numbers: ScatterDimensionNumbers,
    mode: GatherScatterMode,
    **params: Any,
) -> Any:
    """The windows that a scatter of updates writes, read from ``x`` (zero out of bounds)."""
    return gather_p.bind(
        x,
        indices,
        dimension_numbers=GatherDimensionNumbers(*dimension_numbers),
        slice_sizes=window_sizes(len(aval_of(x).shape), updates_shape, dimension_numbers),
        mode=mode,
        fill_value=0 if mode is GatherScatterMode.FILL_OR_DROP else None,
        **params,
    )


def _winners(x_shape: Shape, indices: Any, updates_shape: Shape, params: dict[str, Any]) -> Any:
    """Which elements of the updates survive a scatter whose indices may repeat."""
    n = product(updates_shape)
    ids = reshape(iota(dtypes.int32, n), updates_shape)
    none = structural.full(x_shape, -1, dtypes.int32)
    written = scatter_p.bind(none, indices, ids, **params)
    return eq(_gather_like(written, indices, updates_shape, **params), ids)


def _scatter_jvp(primals: Sequence[Any], tangents: Sequence[Any], **params: Any) -> tuple[Any, Any]:
    x, indices, updates = primals
    out = scatter_p.bind(x, indices, updates, **params)
    gx, _, gu = tangents
    if type(gx) is Zero and type(gu) is Zero:
        return out, Zero.of(out)
    return out, scatter_p.bind(instantiate(gx), indices, instantiate(gu), **params)


def _scatter_transpose(ct: Any, x: Any, indices: Any, updates: Any, **params: Any) -> list[Any]:
    undefined = type(updates) is UndefinedPrimal
    uaval = updates.aval if undefined else aval_of(updates)
    ct_x = ct_updates = None
    if type(x) is UndefinedPrimal:
        ct_x = scatter_p.bind(ct, indices, structural.zeros(uaval), **params)
    if undefined:
        ct_updates = _gather_like(ct, indices, uaval.shape, **params)
        if not params["unique_indices"]:
            kept = _winners(aval_of(ct).shape, indices, uaval.shape, params)
            ct_updates = select(kept, ct_updates, scalar(0, aval_of(ct).dtype))
    return [ct_x, None, ct_updates]


def _scatter_add_jvp(
    primals: Sequence[Any], tangents: Sequence[Any], **params: Any
) -> tuple[Any, Any]:
    x, indices, updates = primals
    out = scatter_add_p.bind(x, indices, updates, **params)
    gx, _, gu = tangents
    if type(gu) is Zero:
        return out, gx
    return out, scatter_add_p.bind(instantiate(gx), indices, gu, **params)


def _scatter_add_transpose(ct: Any, x: Any, indices: Any, updates: Any, **params: Any) -> list[Any]:
    ct_updates = None
    if type(updates) is UndefinedPrimal:
        ct_updates = _gather_like(ct, indices, updates.aval.shape, **params)
    return [ct if type(x) is UndefinedPrimal else None, None, ct_updates]


def _scatter_mul_jvp(
    primals: Sequence[Any], tangents: Sequence[Any], **params: Any
) -> tuple[Any, Any]:
    x, indices, updates = primals
    out = scatter_mul_p.bind(x, indices, updates, **params)
    gx, _, gu = tangents
    tangent: Any = Zero.of(out)
    if type(gx) is not Zero:
        tangent = scatter_mul_p.bind(gx, indices, updates, **params)
    if type(gu) is not Zero:
        if not params["unique_indices"]:
            raise NotImplementedError(
                "the derivative of scatter_mul by its updates needs unique_indices=True"
                f"{at_user_line()}"
            )
        term = mul(gu, _gather_like(x, indices, aval_of(gu).shape, **params))
        zeros = structural.full(aval_of(x).shape, 0, aval_of(x).dtype)
        tangent = add_tangents(tangent, scatter_add_p.bind(zeros, indices, term, **params))
    return out, tangent


def _scatter_mul_transpose(ct: Any, x: Any, indices: Any, updates: Any, **params: Any) -> list[Any]:
    return [scatter_mul_p.bind(ct, indices, updates, **params), None, None]


def _extremum_jvp(prim: Primitive) -> Callable[..., tuple[Any, Any]]:
    def jvp(primals: Sequence[Any], tangents: Sequence[Any], **params: Any) -> tuple[Any, Any]:
        x, indices, updates = primals
        out = prim.bind(x, indices, updates, **params)
        gx, _, gu = tangents
        if type(gx) is Zero and type(gu) is Zero:
            return out, Zero.of(out)
        # The tangent is shared evenly among all that attain the extremum.
        dt = aval_of(out).dtype
        from_x = convert_element_type(eq(x, out), dt)
        chosen = eq(updates, _gather_like(out, indices, aval_of(updates).shape, **params))
        from_u = convert_element_type(chosen, dt)
        count = scatter_add_p.bind(from_x, indices, from_u, **params)
        total = scatter_add_p.bind(
            mul(instantiate(gx), from_x), indices, mul(instantiate(gu), from_u), **params
        )
        return out, div(total, count)

    return jvp


def _batch(prim: Primitive) -> Callable[..., tuple[Any, int]]:
    def batch(
        axis_size: int,
        args: Sequence[Any],
        dims: Sequence[int | None],
        *,
        dimension_numbers: ScatterDimensionNumbers,
        **params: Any,
    ) -> tuple[Any, int]:
        d = dimension_numbers
        x = bring_dim(args[0], axis_size, dims[0], 0)
        updates = bring_dim(args[2], axis_size, dims[2], 0)
        indices = args[1]
        window = _up(d.update_window_dims)
        x_batch, i_batch = _up(d.operand_batching_dims), d.scatter_indices_batching_dims
        if dims[1] is None:
            window = (0, *window)
        else:
            indices = moveaxis(indices, dims[1], 0)
            x_batch, i_batch = (0, *x_batch), (0, *_up(i_batch))
        numbers = ScatterDimensionNumbers(
            window,
            _up(d.inserted_window_dims),
            _up(d.scatter_dims_to_operand_dims),
            x_batch,
            i_batch,
        )
        return prim.bind(x, indices, updates, dimension_numbers=numbers, **params), 0

    return batch


jvp_rules[scatter_p] = _scatter_jvp
transpose_rules[scatter_p] = _scatter_transpose
jvp_rules[scatter_add_p] = _scatter_add_jvp
transpose_rules[scatter_add_p] = _scatter_add_transpose
jvp_rules[scatter_mul_p] = _scatter_mul_jvp
transpose_rules[scatter_mul_p] = _scatter_mul_transpose


for _p in (scatter_min_p, scatter_max_p):
    jvp_rules[_p] = _extremum_jvp(_p)


for _p in (scatter_p, scatter_add_p, scatter_mul_p, scatter_min_p, scatter_max_p):
    batching_rules[_p] = _batch(_p)
