"""Primitives that rearrange elements: squeeze, rev, concatenate, pad, slice, iota."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from covector.core import dtypes, structural
from covector.core.avals import Shape, ShapedArray, aval_of
from covector.core.definers import def_jvp_linear
from covector.core.dims import is_nonnegative, max_dim
from covector.core.dtypes import DType
from covector.core.errors import ShapeMismatchError, at_user_line
from covector.core.rules import UndefinedPrimal, batching_rules, transpose_rules
from covector.core.structural import (
    bring_dim,
    broadcast_dim,
    broadcast_in_dim_p,
    reduce_sum,
    reshape,
)
from covector.core.trace import Primitive
from covector.primitives.arithmetic import sub
from covector.primitives.select import select

slice_p = Primitive("slice")


@slice_p.def_abstract_eval
def _slice_aval(
    x: ShapedArray, *, start_indices: Shape, limit_indices: Shape, strides: Shape | None
) -> ShapedArray:
    shape = x.shape
    if not len(start_indices) == len(limit_indices) == len(shape) or (
        strides is not None and len(strides) != len(shape)
    ):
        raise TypeError(
            f"slice of {x.str_short()} needs one start, limit and stride per dimension, got "
            f"{start_indices}, {limit_indices}, {strides}{at_user_line()}"
        )
    out = []
    for i, (n, lo, hi) in enumerate(zip(shape, start_indices, limit_indices, strict=True)):
        step = 1 if strides is None else strides[i]
        if not 0 <= lo <= hi <= n or step < 1:
            raise TypeError(
                f"slice of {x.str_short()}: dimension {i} cannot be sliced from {lo} to {hi} in "
                f"steps of {step}; need 0 <= start <= limit <= {n}, step >= 1{at_user_line()}"
            )
        out.append((hi - lo + step - 1) // step)
    return ShapedArray(tuple(out), x.dtype, x.weak_type)


# --- rules -------------------------------------------------------------------------------

def_jvp_linear(slice_p)


def _slice_transpose(
    ct: Any, x: Any, *, start_indices: Shape, limit_indices: Shape, strides: Shape | None
) -> list[Any]:
    shape, got = x.aval.shape, aval_of(ct).shape
    config = []
    for i, (n, lo) in enumerate(zip(shape, start_indices, strict=True)):
        step = 1 if strides is None else strides[i]
        if step > 1 and is_nonnegative(got[i] - 1) is None:
            # A size that may be 0, which has nothing between its elements.
            ct, step = _spread(ct, i, step), 1
        size = aval_of(ct).shape[i]
        covered = 1 + (size - 1) * step if step > 1 and size else size
        config.append((lo, n - lo - covered, step - 1))
    zero = structural.full((), 0, aval_of(ct).dtype)
    return [pad_p.bind(ct, zero, padding_config=tuple(config))]


def _spread(x: Any, axis: int, step: int) -> Any:
    """``x`` with ``step - 1`` zeros behind each element along an axis."""
    shape = aval_of(x).shape
    n, size = len(shape), shape[axis]
    rows = reshape(x, (*shape[: axis + 1], 1, *shape[axis + 1 :]))
    config = [(0, step - 1 if k == axis + 1 else 0, 0) for k in range(n + 1)]
    zero = structural.full((), 0, aval_of(x).dtype)
    padded = pad_p.bind(rows, zero, padding_config=tuple(config))
    return reshape(padded, (*shape[:axis], size * step, *shape[axis + 1 :]))


transpose_rules[slice_p] = _slice_transpose


def _slice_batch(
    axis_size: int,
    args: Sequence[Any],
    dims: Sequence[int | None],
    *,
    start_indices: Shape,
    limit_indices: Shape,
    strides: Shape | None,
) -> tuple[Any, int]:
    x = bring_dim(args[0], axis_size, dims[0], 0)
    out = slice_p.bind(
        x,
        start_indices=(0, *start_indices),
        limit_indices=(axis_size, *limit_indices),
        strides=None if strides is None else (1, *strides),
    )
    return out, 0


batching_rules[slice_p] = _slice_batch


# --- squeeze -----------------------------------------------------------------------------

squeeze_p = Primitive("squeeze")


@squeeze_p.def_abstract_eval
def _squeeze_aval(x: ShapedArray, *, dimensions: tuple[int, ...]) -> ShapedArray:
    shape = x.shape
    for d in dimensions:
        if not 0 <= d < len(shape) or shape[d] != 1:
            raise ValueError(
                f"cannot squeeze dimensions {dimensions} of {x.str_short()}: they must exist and "
                f"have size 1{at_user_line()}"
            )
    return ShapedArray(
        tuple([s for i, s in enumerate(shape) if i not in dimensions]), x.dtype, x.weak_type
    )


def_jvp_linear(squeeze_p)
transpose_rules[squeeze_p] = lambda ct, x, *, dimensions: [reshape(ct, x.aval.shape)]


def _squeeze_batch(
    axis_size: int, args: Sequence[Any], dims: Sequence[int | None], *, dimensions: tuple[int, ...]
) -> tuple[Any, int]:
    x = bring_dim(args[0], axis_size, dims[0], 0)
    return squeeze_p.bind(x, dimensions=tuple(d + 1 for d in dimensions)), 0


batching_rules[squeeze_p] = _squeeze_batch


# --- rev ---------------------------------------------------------------------------------

rev_p = Primitive("rev")


@rev_p.def_abstract_eval
def _rev_aval(x: ShapedArray, *, dimensions: tuple[int, ...]) -> ShapedArray:
    if len(set(dimensions)) != len(dimensions) or any(
        not 0 <= d < len(x.shape) for d in dimensions
    ):
        raise TypeError(
            f"rev of {x.str_short()}: dimensions {dimensions} must be distinct and lie in "
            f"[0, {len(x.shape)}){at_user_line()}"
        )
    return x


def_jvp_linear(rev_p)
transpose_rules[rev_p] = lambda ct, x, *, dimensions: [rev_p.bind(ct, dimensions=dimensions)]


def _rev_batch(
    axis_size: int, args: Sequence[Any], dims: Sequence[int], *, dimensions: tuple[int, ...]
) -> tuple[Any, int | None]:
    d = dims[0]
    out = rev_p.bind(args[0], dimensions=tuple(k + (k >= d) for k in dimensions))
    return out, d


batching_rules[rev_p] = _rev_batch


# --- concatenate -------------------------------------------------------------------------

concatenate_p = Primitive("concatenate")


@concatenate_p.def_abstract_eval
def _concatenate_aval(*xs: ShapedArray, dimension: int) -> ShapedArray:
    if not xs:
        raise ValueError(f"concatenate needs at least one array{at_user_line()}")
    first = xs[0]
    n = len(first.shape)
    if not 0 <= dimension < n:
        raise ValueError(
            f"concatenate along dimension {dimension} of arrays with {n} dimensions{at_user_line()}"
        )
    total = 0
    weak = True
    before, after = first.shape[:dimension], first.shape[dimension + 1 :]
    for x in xs:
        s = x.shape
        if len(s) != n or s[:dimension] != before or s[dimension + 1 :] != after:
            raise ShapeMismatchError(
                f"concatenate along dimension {dimension} of "
                f"{', '.join(a.str_short() for a in xs)}: all other dimensions must agree"
                f"{at_user_line()}"
            )
        if x.dtype is not first.dtype and x.dtype != first.dtype:
            raise TypeError(
                f"lax.concatenate takes arrays of one dtype, got "
                f"{', '.join(a.str_short() for a in xs)}{at_user_line()}"
            )
        total += s[dimension]
        weak = weak and x.weak_type
    return ShapedArray((*before, total, *after), first.dtype, weak)


def_jvp_linear(concatenate_p)


def _concatenate_transpose(ct: Any, *xs: Any, dimension: int) -> list[Any]:
    out, at = [], 0
    for x in xs:
        undefined = type(x) is UndefinedPrimal
        size = (x.aval if undefined else aval_of(x)).shape[dimension]
        out.append(slice_in_dim(ct, at, at + size, axis=dimension) if undefined else None)
        at += size
    return out


transpose_rules[concatenate_p] = _concatenate_transpose


def _concatenate_batch(
    axis_size: int, args: Sequence[Any], dims: Sequence[int | None], *, dimension: int
) -> tuple[Any, int]:
    xs = [bring_dim(x, axis_size, d, 0) for x, d in zip(args, dims, strict=True)]
    return concatenate_p.bind(*xs, dimension=dimension + 1), 0


batching_rules[concatenate_p] = _concatenate_batch


# --- pad ---------------------------------------------------------------------------------

pad_p = Primitive("pad")
PadConfig = tuple[tuple[int, int, int], ...]


@pad_p.def_abstract_eval
def _pad_aval(x: ShapedArray, value: ShapedArray, *, padding_config: PadConfig) -> ShapedArray:
    if x.dtype != value.dtype or value.shape:
        raise TypeError(
            f"pad takes a scalar padding value of the operand's dtype, got {x.str_short()} and "
            f"{value.str_short()}{at_user_line()}"
        )
    if len(padding_config) != len(x.shape):
        raise ValueError(
            f"pad of {x.str_short()} needs one (low, high, interior) triple per dimension, got "
            f"{padding_config}{at_user_line()}"
        )
    shape = []
    for size, (low, high, interior) in zip(x.shape, padding_config, strict=True):
        if interior < 0:
            raise ValueError(f"pad: interior padding must not be negative, got {padding_config}")
        new = size + low + high + interior * max_dim(size - 1, 0)
        if new < 0:
            raise ValueError(
                f"pad of {x.str_short()} with {padding_config} would give a negative size"
                f"{at_user_line()}"
            )
        shape.append(new)
    return ShapedArray(tuple(shape), x.dtype, x.weak_type and value.weak_type)


def_jvp_linear(pad_p)


def _pad_transpose(ct: Any, x: Any, value: Any, *, padding_config: PadConfig) -> list[Any]:
    ct_x = None
    if type(x) is UndefinedPrimal or type(value) is UndefinedPrimal:
        negated = tuple((-low, -high, 0) for low, high, _ in padding_config)
        zero = structural.full((), 0, aval_of(ct).dtype)
        cropped = pad_p.bind(ct, zero, padding_config=negated)
        ct_x = slice(
            cropped,
            (0,) * len(padding_config),
            aval_of(cropped).shape,
            tuple(i + 1 for _, _, i in padding_config),
        )
    ct_value = None
    if type(value) is UndefinedPrimal:
        every = tuple(range(len(padding_config)))
        ct_value = sub(reduce_sum(ct, every), reduce_sum(ct_x, every))
    return [ct_x if type(x) is UndefinedPrimal else None, ct_value]


transpose_rules[pad_p] = _pad_transpose


def _pad_batch(
    axis_size: int, args: Sequence[Any], dims: Sequence[int | None], *, padding_config: PadConfig
) -> tuple[Any, int]:
    x, value = args
    if dims[1] is None:
        x = bring_dim(x, axis_size, dims[0], 0)
        return pad_p.bind(x, value, padding_config=((0, 0, 0), *padding_config)), 0
    # A padding value per example: pad with zeros and select.
    x = bring_dim(x, axis_size, dims[0], 0)
    config = ((0, 0, 0), *padding_config)
    shape = aval_of(x).shape
    zero = structural.full((), 0, aval_of(x).dtype)
    out = pad_p.bind(x, zero, padding_config=config)
    no = structural.full((), False, dtypes.bool_)
    inside = pad_p.bind(structural.full(shape, True, dtypes.bool_), no, padding_config=config)
    value = broadcast_in_dim_p.bind(value, shape=aval_of(out).shape, broadcast_dimensions=(0,))
    return select(inside, out, value), 0


batching_rules[pad_p] = _pad_batch


# --- iota --------------------------------------------------------------------------------

iota_p = Primitive("iota")


@iota_p.def_abstract_eval
def _iota_aval(*, dtype: Any, shape: Shape, dimension: int) -> ShapedArray:
    if not 0 <= dimension < len(shape):
        raise ValueError(f"iota along dimension {dimension} of shape {shape}{at_user_line()}")
    if dtype not in dtypes.NUMERIC:
        raise TypeError(f"iota gives numbers; dtype {dtype} is none{at_user_line()}")
    return ShapedArray(shape, dtype)


# --- constructors: what rules bind ---------------------------------------------------------


def slice(x: Any, start: Shape, limit: Shape, strides: Shape | None = None) -> Any:
    """The part of ``x`` from ``start`` up to ``limit``, in ``strides``."""
    if strides is not None and all(s == 1 for s in strides):
        strides = None
    if strides is None and tuple(limit) == aval_of(x).shape and all(k == 0 for k in start):
        return x
    return slice_p.bind(x, start_indices=start, limit_indices=limit, strides=strides)


def slice_in_dim(x: Any, start: int, limit: int, stride: int = 1, axis: int = 0) -> Any:
    """`slice` along one axis."""
    shape = aval_of(x).shape
    lo = (*[0] * axis, start, *[0] * (len(shape) - axis - 1))
    hi = (*shape[:axis], limit, *shape[axis + 1 :])
    return slice(x, lo, hi, (*[1] * axis, stride, *[1] * (len(shape) - axis - 1)))


def index_in_dim(x: Any, index: int, axis: int = 0) -> Any:
    """The elements of ``x`` at ``index`` along ``axis``, which is dropped."""
    return squeeze(slice_in_dim(x, index, index + 1, axis=axis), (axis,))


def squeeze(x: Any, dimensions: tuple[int, ...]) -> Any:
    return squeeze_p.bind(x, dimensions=dimensions)


def expand_dims(x: Any, axis: int) -> Any:
    """``x`` with a new dimension of size 1 at position ``axis``."""
    return broadcast_dim(x, 1, axis)


def concatenate(xs: Sequence[Any], dimension: int) -> Any:
    """Arrays of one dtype joined along ``dimension``."""
    return xs[0] if len(xs) == 1 else concatenate_p.bind(*xs, dimension=dimension)


def stack(xs: Sequence[Any]) -> Any:
    """Arrays of one shape and dtype joined along a new leading dimension."""
    return concatenate([expand_dims(x, 0) for x in xs], 0)


def pad(x: Any, value: Any, config: Sequence[tuple[int, int, int]]) -> Any:
    """``x`` with ``value`` around and between its elements: (low, high, interior) a dimension."""
    return pad_p.bind(x, value, padding_config=tuple(config))


def rev(x: Any, dimensions: tuple[int, ...]) -> Any:
    return rev_p.bind(x, dimensions=dimensions)


def broadcasted_iota(dtype: DType, shape: Sequence[int], dimension: int) -> Any:
    """Array of ``shape`` whose elements are their index along ``dimension``."""
    return iota_p.bind(dtype=dtype, shape=tuple(shape), dimension=dimension)


def iota(dtype: DType, size: int) -> Any:
    """``[0, 1, …, size - 1]``."""
    return broadcasted_iota(dtype, (size,), 0)


def full_like(x: Any, value: Any, dtype: DType | None = None) -> Any:
    """Array of the shape and dtype of ``x``, or another dtype, filled with ``value``."""
    aval = aval_of(x)
    return structural.full(aval.shape, value, aval.dtype if dtype is None else dtype)
