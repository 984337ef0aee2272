"""Convolutions of any rank: `conv_general_dilated`.

With q = p·stride + k·rhs_dilation - low, an element of the result at p is the sum, over input
features and places k of the window, of the right operand at k times the left one at
q / lhs_dilation where that is whole and inside. Of `feature_group_count` groups each has its own
part of the input and output features; of `batch_group_count` groups each its own part of the left
operand's batch, and of the output features.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from covector.core import structural
from covector.core.avals import Shape, ShapedArray, aval_of
from covector.core.definers import def_jvp
from covector.core.dtypes import DType
from covector.core.errors import ShapeMismatchError, at_user_line
from covector.core.rules import UndefinedPrimal, batching_rules, check_linear, transpose_rules
from covector.core.structural import convert_element_type, moveaxis
from covector.core.trace import Primitive
from covector.primitives.common import (
    ANY,
    check_dtype,
    spanned,
    transposed_pads,
    window_places,
)
from covector.primitives.structure import rev

Pads = tuple[tuple[int, int], ...]


class ConvDimensionNumbers(NamedTuple):
    """Which dimension is what: batch, feature, spatial ones; of the kernel output features first.

    Attributes
    ----------
    lhs_spec : tuple of int
        Dimensions of the left operand: batch, features, spatial.
    rhs_spec : tuple of int
        Dimensions of the kernel: output features, input features, spatial.
    out_spec : tuple of int
        Dimensions of the result: batch, features, spatial.
    """

    lhs_spec: Sequence[int]
    rhs_spec: Sequence[int]
    out_spec: Sequence[int]


conv_general_dilated_p = Primitive("conv_general_dilated")


class Geometry(NamedTuple):
    """Sizes and steps of a convolution, spatial ones in the order of the specs."""

    batch: int
    features: int  # of the left operand
    outputs: int
    inputs: int  # of the kernel: of one group
    space: Shape
    window: Shape
    out: Shape
    strides: Shape
    pads: Pads
    lhs_dilation: Shape
    rhs_dilation: Shape
    feature_groups: int
    batch_groups: int


def geometry(lhs: Shape, rhs: Shape, params: dict[str, Any]) -> Geometry:
    """The sizes of operands of these shapes, by what they mean."""
    numbers = params["dimension_numbers"]
    n, c, *space = (lhs[d] for d in numbers.lhs_spec)
    o, i, *window = (rhs[d] for d in numbers.rhs_spec)
    strides, pads = params["window_strides"], params["padding"]
    ld, rd = params["lhs_dilation"], params["rhs_dilation"]
    out = tuple([
        window_places(*sizes) for sizes in zip(space, window, strides, pads, ld, rd, strict=True)
    ])  # fmt: skip
    return Geometry(
        n, c, o, i, tuple(space), tuple(window), out, strides, pads, ld, rd,
        params["feature_group_count"], params["batch_group_count"],
    )  # fmt: skip


def _check_numbers(lhs: ShapedArray, rhs: ShapedArray, params: dict[str, Any]) -> None:
    rank = len(lhs.shape)
    what = f"conv_general_dilated of {lhs.str_short()} and {rhs.str_short()}"
    if rank < 2 or len(rhs.shape) != rank:
        raise ValueError(
            f"{what}: the operands need one rank, of two or more: batch, features and as many "
            f"spatial dimensions{at_user_line()}"
        )
    for name, spec in zip(ConvDimensionNumbers._fields, params["dimension_numbers"], strict=True):
        if sorted(spec) != list(range(rank)):
            raise ValueError(
                f"{what}: {name} of the dimension_numbers must name each of {rank} dimensions "
                f"once, got {tuple(spec)}{at_user_line()}"
            )
    for name in ("window_strides", "padding", "lhs_dilation", "rhs_dilation"):
        given = params[name]
        if len(given) != rank - 2:
            raise ValueError(
                f"{what}: {name} needs an entry for each of {rank - 2} spatial dimensions, got "
                f"{given}{at_user_line()}"
            )
        if name != "padding" and any(s < 1 for s in given):
            raise ValueError(f"{what}: {name} must be positive, got {given}{at_user_line()}")


def _check_groups(lhs: ShapedArray, rhs: ShapedArray, g: Geometry) -> None:
    what = f"conv_general_dilated of {lhs.str_short()} and {rhs.str_short()}"
    fg, bg = g.feature_groups, g.batch_groups
    if fg < 1 or bg < 1 or (fg > 1 and bg > 1):
        raise ValueError(
            f"{what}: feature_group_count and batch_group_count must be positive, and one of them "
            f"1, got {fg} and {bg}{at_user_line()}"
        )
    if g.features != g.inputs * fg:
        raise ShapeMismatchError(
            f"{what}: the left operand has {g.features} features, but the kernel takes {g.inputs}"
            + (f" in each of {fg} groups" if fg > 1 else "")
            + f"; see dimension_numbers{at_user_line()}"
        )
    for count, name, size, parts in (
        (fg, "feature_group_count", g.outputs, "output features"),
        (bg, "batch_group_count", g.outputs, "output features"),
        (bg, "batch_group_count", g.batch, "elements of the batch"),
    ):
        if size % count:
            raise ValueError(
                f"{what}: {size} {parts} do not divide into {count} groups ({name}){at_user_line()}"
            )


@conv_general_dilated_p.def_abstract_eval
def _conv_aval(lhs: ShapedArray, rhs: ShapedArray, **params: Any) -> ShapedArray:
    check_dtype("conv_general_dilated", lhs, ANY)
    preferred: DType | None = params["preferred_element_type"]
    if lhs.dtype != rhs.dtype:
        raise TypeError(
            f"conv_general_dilated takes operands of one dtype, got {lhs.str_short()} and "
            f"{rhs.str_short()}{at_user_line()}"
        )
    _check_numbers(lhs, rhs, params)
    g = geometry(lhs.shape, rhs.shape, params)
    _check_groups(lhs, rhs, g)
    shape = [0] * len(lhs.shape)
    sizes = (g.batch // g.batch_groups, g.outputs, *g.out)
    for d, size in zip(params["dimension_numbers"].out_spec, sizes, strict=True):
        shape[d] = size
    return ShapedArray(tuple(shape), lhs.dtype if preferred is None else preferred)


def _jvp_lhs(g: Any, x: Any, y: Any, **params: Any) -> Any:
    return conv_general_dilated_p.bind(g, y, **params)


def _jvp_rhs(g: Any, x: Any, y: Any, **params: Any) -> Any:
    return conv_general_dilated_p.bind(x, g, **params)


def_jvp(conv_general_dilated_p, _jvp_lhs, _jvp_rhs)


# --- dimensions that hold two ----------------------------------------------------------------


def _split(x: Any, d: int, sizes: Sequence[int]) -> Any:
    shape = aval_of(x).shape
    return structural.reshape(x, (*shape[:d], *sizes, *shape[d + 1 :]))


def _into(x: Any, src: int, dst: int, groups: int = 1) -> Any:
    """Dimension ``src`` taken into the one that is ``dst`` without it, after its ``groups``."""
    x = moveaxis(x, src, dst)
    shape = aval_of(x).shape
    new, old = shape[dst], shape[dst + 1]
    if groups > 1:
        x = _split(x, dst + 1, (groups, old // groups))
        x = moveaxis(x, dst + 1, dst)
    shape = aval_of(x).shape
    end = dst + (3 if groups > 1 else 2)
    return structural.reshape(x, (*shape[:dst], new * old, *shape[end:]))


def _out_of(x: Any, d: int, size: int, groups: int = 1) -> Any:
    """The reverse: ``size`` elements as a dimension before ``d``."""
    n = aval_of(x).shape[d]
    x = _split(x, d, (groups, size, n // groups // size))
    x = moveaxis(x, d + 1, d)
    shape = aval_of(x).shape
    return structural.reshape(x, (*shape[: d + 1], n // size, *shape[d + 3 :]))


# --- transposition -------------------------------------------------------------------------


def _transpose(ct: Any, lhs: Any, rhs: Any, **params: Any) -> list[Any]:
    x = lhs.aval if type(lhs) is UndefinedPrimal else aval_of(lhs)
    y = rhs.aval if type(rhs) is UndefinedPrimal else aval_of(rhs)
    g = geometry(x.shape, y.shape, params)
    dt = aval_of(ct).dtype
    if 0 in aval_of(ct).shape:  # Windows without a place say nothing of sizes.
        return [structural.zeros(a) if type(v) is UndefinedPrimal else None
                for v, a in ((lhs, x), (rhs, y))]  # fmt: skip
    params = {**params, "preferred_element_type": None}
    if type(lhs) is UndefinedPrimal:
        check_linear("conv_general_dilated", rhs)
        out = _lhs_ct(ct, _as(rhs, dt), g, params)
        return [convert_element_type(out, x.dtype, x.weak_type), None]
    check_linear("conv_general_dilated", lhs)
    return [None, convert_element_type(_rhs_ct(ct, _as(lhs, dt), g, params), y.dtype, y.weak_type)]


def _as(x: Any, dtype: DType) -> Any:
    return x if aval_of(x).dtype == dtype else convert_element_type(x, dtype)


def _lhs_ct(ct: Any, rhs: Any, g: Geometry, params: dict[str, Any]) -> Any:
    """The window turned round runs over the cotangents, which lie as far apart as it moved."""
    numbers = params["dimension_numbers"]
    o, i, *spatial = numbers.rhs_spec
    groups = max(g.feature_groups, g.batch_groups)
    # Its input features are the output features of one group, its outputs those of all groups.
    if groups > 1:
        rhs = _into(_split(rhs, o, (groups, g.outputs // groups)), o, i)
    pads = []
    for s, k, p, stride, (low, _), ld, rd in zip(
        g.space, g.window, g.out, g.strides, g.pads, g.lhs_dilation, g.rhs_dilation, strict=True
    ):
        pads.append(transposed_pads(s, k, p, stride, low, ld, rd))
    out = conv_general_dilated_p.bind(
        ct,
        rev(rhs, tuple(spatial)),
        **{
            **params,
            "window_strides": g.lhs_dilation,
            "padding": tuple(pads),
            "lhs_dilation": g.strides,
            "dimension_numbers": ConvDimensionNumbers(
                numbers.out_spec, (i, o, *spatial), numbers.lhs_spec
            ),
            "feature_group_count": groups,
            "batch_group_count": 1,
        },
    )
    if g.batch_groups > 1:
        batch, features, *_ = numbers.lhs_spec
        out = _into(_split(out, features, (g.batch_groups, g.features)), features, batch)
    return out


def _rhs_ct(ct: Any, lhs: Any, g: Geometry, params: dict[str, Any]) -> Any:
    """The cotangents run as a window over the left operand; the batch is what is summed over."""
    numbers = params["dimension_numbers"]
    pads = []
    for s, k, p, stride, (low, _), ld, rd in zip(
        g.space, g.window, g.out, g.strides, g.pads, g.lhs_dilation, g.rhs_dilation, strict=True
    ):
        high = spanned(k, rd) - 1 + spanned(p, stride) - spanned(s, ld) - low
        pads.append((low, high))
    batch, features, *space = numbers.lhs_spec
    out_batch, out_features, *out_space = numbers.out_spec
    o, i, *window = numbers.rhs_spec
    return conv_general_dilated_p.bind(
        lhs,
        ct,
        **{
            **params,
            "window_strides": g.rhs_dilation,
            "rhs_dilation": g.strides,
            "padding": tuple(pads),
            "dimension_numbers": ConvDimensionNumbers(
                (features, batch, *space), (out_features, out_batch, *out_space), (i, o, *window)
            ),
            "feature_group_count": g.batch_groups,
            "batch_group_count": g.feature_groups,
        },
    )


transpose_rules[conv_general_dilated_p] = _transpose


# --- batching ------------------------------------------------------------------------------


def _batch(
    axis_size: int, args: Sequence[Any], dims: Sequence[int | None], **params: Any
) -> tuple[Any, int]:
    (x, y), (dx, dy) = args, dims
    numbers = params["dimension_numbers"]
    fg, bg = params["feature_group_count"], params["batch_group_count"]
    out_batch, out_features, *_ = numbers.out_spec
    if dx is not None and dy is not None:
        # Each pair of elements is a group, or several.
        into, name = (0, "batch_group_count") if bg > 1 else (1, "feature_group_count")
        x = _into(x, dx, numbers.lhs_spec[into])
        y = _into(y, dy, numbers.rhs_spec[0])
        params[name] *= axis_size
        out = conv_general_dilated_p.bind(x, y, **params)
        return _out_of(out, out_features, axis_size), out_features
    if dx is not None:
        x = _into(x, dx, numbers.lhs_spec[0], bg)
        out = conv_general_dilated_p.bind(x, y, **params)
        return _out_of(out, out_batch, axis_size), out_batch
    assert dy is not None
    groups = math.prod((fg, bg))
    y = _into(y, dy, numbers.rhs_spec[0], groups)
    out = conv_general_dilated_p.bind(x, y, **params)
    return _out_of(out, out_features, axis_size, groups), out_features


batching_rules[conv_general_dilated_p] = _batch
