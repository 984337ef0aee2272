"""Primitives that rearrange elements: broadcast, reshape, transpose, rev, pad, concatenate, …"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from covector.core import dtypes, structural
from covector.core.avals import Shape, ShapedArray, aval_of
from covector.core.errors import at_user_line
from covector.core.structural import (
    add_any_p,
    broadcast_in_dim_p,
    reduce_sum,
    transpose_p,
)
from covector.core.trace import Primitive
from covector.lax._common import product
from covector.transforms.jvp import def_jvp, def_jvp_linear
from covector.transforms.transpose import UndefinedPrimal, transpose_rules
from covector.transforms.vmap import batching_rules, bring_dim, def_vectorized, move_dim

# --- add_any -----------------------------------------------------------------------------

def_vectorized(add_any_p, scalars_broadcast=False)
def_jvp(add_any_p, lambda g, x, y: g, lambda g, x, y: g)
transpose_rules[add_any_p] = lambda ct, x, y: [ct, ct]

# --- broadcast_in_dim --------------------------------------------------------------------

def_jvp_linear(broadcast_in_dim_p)


def _broadcast_transpose(
    ct: Any, x: Any, *, shape: Shape, broadcast_dimensions: tuple[int, ...]
) -> list[Any]:
    old = x.aval.shape
    grown = [d for size, d in zip(old, broadcast_dimensions, strict=True) if size == 1 != shape[d]]
    axes = [d for d in range(len(shape)) if d not in broadcast_dimensions] + grown
    ct = reduce_sum(ct, sorted(axes))
    return [structural_reshape(ct, old)]


def structural_reshape(x: Any, shape: Shape) -> Any:
    return x if aval_of(x).shape == shape else reshape_p.bind(x, new_sizes=shape)


transpose_rules[broadcast_in_dim_p] = _broadcast_transpose


def _broadcast_batch(
    axis_size: int,
    args: Sequence[Any],
    dims: Sequence[int | None],
    *,
    shape: Shape,
    broadcast_dimensions: tuple[int, ...],
) -> tuple[Any, int]:
    x = move_dim(args[0], dims[0], 0)  # type: ignore[arg-type]
    out = broadcast_in_dim_p.bind(
        x,
        shape=(axis_size, *shape),
        broadcast_dimensions=(0, *[d + 1 for d in broadcast_dimensions]),
    )
    return out, 0


batching_rules[broadcast_in_dim_p] = _broadcast_batch

# --- transpose ---------------------------------------------------------------------------

def_jvp_linear(transpose_p)


def _transpose_transpose(ct: Any, x: Any, *, permutation: tuple[int, ...]) -> list[Any]:
    inverse = [0] * len(permutation)
    for i, p in enumerate(permutation):
        inverse[p] = i
    return [structural.transpose(ct, inverse)]


transpose_rules[transpose_p] = _transpose_transpose


def _transpose_batch(
    axis_size: int, args: Sequence[Any], dims: Sequence[int | None], *, permutation: tuple[int, ...]
) -> tuple[Any, int]:
    d = dims[0]
    perm = (d, *[p + (p >= d) for p in permutation])  # type: ignore[operator]
    return structural.transpose(args[0], perm), 0  # type: ignore[arg-type]


batching_rules[transpose_p] = _transpose_batch

# --- reshape -----------------------------------------------------------------------------

reshape_p = Primitive("reshape")


@reshape_p.def_abstract_eval
def _reshape_aval(x: ShapedArray, *, new_sizes: Shape) -> ShapedArray:
    if product(x.shape) != product(new_sizes):
        raise TypeError(
            f"cannot reshape {x.str_short()}, of {product(x.shape)} elements, into shape "
            f"{new_sizes}, of {product(new_sizes)}{at_user_line()}"
        )
    return ShapedArray(new_sizes, x.dtype, x.weak_type)


def_jvp_linear(reshape_p)
transpose_rules[reshape_p] = lambda ct, x, *, new_sizes: [structural_reshape(ct, x.aval.shape)]


def _reshape_batch(
    axis_size: int, args: Sequence[Any], dims: Sequence[int | None], *, new_sizes: Shape
) -> tuple[Any, int]:
    x = move_dim(args[0], dims[0], 0)  # type: ignore[arg-type]
    return reshape_p.bind(x, new_sizes=(axis_size, *new_sizes)), 0


batching_rules[reshape_p] = _reshape_batch

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
transpose_rules[squeeze_p] = lambda ct, x, *, dimensions: [structural_reshape(ct, x.aval.shape)]


def _squeeze_batch(
    axis_size: int, args: Sequence[Any], dims: Sequence[int | None], *, dimensions: tuple[int, ...]
) -> tuple[Any, int]:
    x = move_dim(args[0], dims[0], 0)  # type: ignore[arg-type]
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
    axis_size: int, args: Sequence[Any], dims: Sequence[int | None], *, dimensions: tuple[int, ...]
) -> tuple[Any, int | None]:
    d = dims[0]
    out = rev_p.bind(args[0], dimensions=tuple(k + (k >= d) for k in dimensions))  # type: ignore[operator]
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
            raise TypeError(
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
    from covector.lax.slicing import slice_in_dim

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
        new = size + low + high + (interior * (size - 1) if size > 1 else 0)
        if new < 0:
            raise ValueError(
                f"pad of {x.str_short()} with {padding_config} would give a negative size"
                f"{at_user_line()}"
            )
        shape.append(new)
    return ShapedArray(tuple(shape), x.dtype, x.weak_type and value.weak_type)


def_jvp_linear(pad_p)


def _pad_transpose(ct: Any, x: Any, value: Any, *, padding_config: PadConfig) -> list[Any]:
    from covector.lax.arithmetic import sub
    from covector.lax.slicing import slice

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
        x = move_dim(x, dims[0], 0)  # type: ignore[arg-type]
        return pad_p.bind(x, value, padding_config=((0, 0, 0), *padding_config)), 0
    # A padding value per example: pad with zeros and select.
    from covector.lax.select import select

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
