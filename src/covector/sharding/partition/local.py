"""Operations on the parts that a process has: parameters that say sizes, and sums of terms."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from covector.core.structural import (
    broadcast_in_dim_p,
    convert_element_type_p,
    reduce_sum_p,
    reshape_p,
    transpose_p,
)
from covector.core.trace import Primitive
from covector.primitives import reductions
from covector.primitives.arithmetic import add
from covector.primitives.convert import bitcast_convert_type_p
from covector.primitives.convolution import conv_general_dilated_p
from covector.primitives.dot import dot_general_p
from covector.primitives.indexing import gather_p
from covector.primitives.random_bits import threefry2x32_p
from covector.primitives.select import clamp_p, select_n_p
from covector.primitives.slicing import dynamic_slice_p
from covector.primitives.structure import concatenate_p, iota_p, slice_p, squeeze_p

Shape = tuple[int, ...]

# Reductions of parts are combined so.
COMBINED: dict[Primitive, str] = {
    reduce_sum_p: "sum", dot_general_p: "sum", conv_general_dilated_p: "sum",
    reductions.reduce_max_p: "max", reductions.reduce_min_p: "min",
    reductions.reduce_prod_p: "prod", reductions.reduce_and_p: "and",
    reductions.reduce_or_p: "or", reductions.reduce_xor_p: "xor",
}  # fmt: skip

# What is computed again from its operands, as elementwise operations are, where a part of it is
# asked for: cheap, element by
# element, so that a process never makes the whole of an array of zeros or of random numbers.
ANEW: frozenset[Primitive] = frozenset((
    broadcast_in_dim_p, reshape_p, transpose_p, squeeze_p, select_n_p, clamp_p,
    convert_element_type_p, bitcast_convert_type_p, threefry2x32_p, iota_p,
))  # fmt: skip

# Parameters for operands and results of other sizes: rule(params, shapes in, shapes out).
LocalRule = Callable[[dict[str, Any], Sequence[Shape], Sequence[Shape]], dict[str, Any]]
local_rules: dict[Primitive, LocalRule] = {}

# Dimensions of the first operand of which a process has all, beyond what factors say: rule(params).
whole_rules: dict[Primitive, Callable[[dict[str, Any]], Sequence[int]]] = {
    concatenate_p: lambda p: (p["dimension"],),
}


def _named(name: str) -> LocalRule:
    """The shape of the result is a parameter."""
    return lambda params, ins, outs: {**params, name: tuple(outs[0])}


def _sliced(params: dict[str, Any], ins: Sequence[Shape], outs: Sequence[Shape]) -> dict[str, Any]:
    """Dimensions of which the whole is taken are as long as the part is."""
    limits = list(params["limit_indices"])
    for k, (n, m) in enumerate(zip(ins[0], outs[0], strict=True)):
        if n == m:
            limits[k] = n
    return {**params, "limit_indices": tuple(limits)}


def _windows(params: dict[str, Any], ins: Sequence[Shape], outs: Sequence[Shape]) -> dict[str, Any]:
    """The sizes of what `gather` takes: no longer than what there is."""
    sizes = tuple([min(n, m) for n, m in zip(params["slice_sizes"], ins[0], strict=True)])
    return {**params, "slice_sizes": sizes}


local_rules.update({
    broadcast_in_dim_p: _named("shape"),
    reshape_p: _named("new_sizes"),
    iota_p: _named("shape"),
    dynamic_slice_p: _named("slice_sizes"),
    slice_p: _sliced,
    gather_p: _windows,
})  # fmt: skip


def counted_from(x: Any, first: int) -> Any:
    """The part of an `iota` that begins with the number ``first``."""
    return add(x, x.dtype.type(first)) if first else x
