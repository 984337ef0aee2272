"""Collectives: operations over an axis that `vmap` maps and names."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

from covector.core import dtypes
from covector.core.avals import Marks, ShapedArray, aval_of, place
from covector.core.definers import def_jvp_linear
from covector.core.rules import (
    Axes,
    UndefinedPrimal,
    batching_rules,
    collective_rules,
    mark_rules,
    transpose_rules,
    varying_rules,
)
from covector.core.structural import bring_dim, moveaxis, reduce_sum_p, zeros
from covector.core.trace import Primitive
from covector.primitives.arithmetic import mul
from covector.primitives.reductions import reduce_max_p, reduce_min_p
from covector.primitives.slicing import dynamic_index_in_dim
from covector.primitives.structure import concatenate, iota, slice_in_dim

Dims = Sequence[int | None]

psum_p = Primitive("psum")
pmax_p = Primitive("pmax")
pmin_p = Primitive("pmin")
ppermute_p = Primitive("ppermute")
all_gather_p = Primitive("all_gather")
all_to_all_p = Primitive("all_to_all")
axis_index_p = Primitive("axis_index")
pcast_p = Primitive("pcast")


# --- constructors: what rules bind ---------------------------------------------------------


def psum(x: Any, axis_name: Hashable) -> Any:
    return psum_p.bind(x, axis_name=axis_name)


def axis_index(axis_name: Hashable) -> Any:
    return axis_index_p.bind(axis_name=axis_name)


def ppermute(x: Any, axis_name: Hashable, perm: Sequence[tuple[int, int]]) -> Any:
    return ppermute_p.bind(x, axis_name=axis_name, perm=tuple(perm))


def all_to_all(x: Any, axis_name: Hashable, split_axis: int, concat_axis: int) -> Any:
    return all_to_all_p.bind(x, axis_name=axis_name, split_axis=split_axis, concat_axis=concat_axis)


# --- sums, maxima, minima ----------------------------------------------------------------


def _same_aval(x: ShapedArray, *, axis_name: Hashable) -> ShapedArray:
    return x


def _def_reduction(prim: Primitive, reduce_p: Primitive, of_constant: Callable[..., Any]) -> None:
    prim.def_abstract_eval(_same_aval)

    def collective(size: int, args: Sequence[Any], dims: Dims, *, axis_name: Hashable) -> Any:
        (x,), (d,) = args, dims
        if d is None:
            return of_constant(x, size), None
        return reduce_p.bind_params((x,), {"axes": (d,)}), None

    def batch(size: int, args: Sequence[Any], dims: Dims, *, axis_name: Hashable) -> Any:
        return prim.bind_params(args, {"axis_name": axis_name}), dims[0]

    collective_rules[prim] = collective
    batching_rules[prim] = batch


def _times(x: Any, size: int) -> Any:
    return mul(x, aval_of(x).dtype.type(size))


_def_reduction(psum_p, reduce_sum_p, _times)
_def_reduction(pmax_p, reduce_max_p, lambda x, size: x)
_def_reduction(pmin_p, reduce_min_p, lambda x, size: x)
def_jvp_linear(psum_p)
for _prim in (psum_p, pmax_p, pmin_p):
    varying_rules[_prim] = lambda axes, names, params: axes - names
mark_rules[psum_p] = lambda marks, names, params: marks.without(names)


def _psum_transpose(ct: Any, x: UndefinedPrimal, *, axis_name: Hashable) -> list[Any]:
    # A cotangent of what does not vary is one for all devices, where types say so; elsewhere each
    # element has its own.
    if axis_name in x.aval.varying:
        return [pcast(ct, axis_name, "varying")]
    if axis_name in x.aval.marks.unreduced:
        return [pcast(ct, axis_name, "reduced")]
    return [psum(ct, axis_name)]


transpose_rules[psum_p] = _psum_transpose


# --- casts: what types say of a value along an axis -----------------------------------------


def pcast(x: Any, axis_name: Hashable, to: str) -> Any:
    """The value of all as one that may vary (``"varying"``), or of which the cotangent is a sum
    that is not taken (``"reduced"``); values that vary as the terms of a sum (``"unreduced"``)."""
    return pcast_p.bind(x, axis_name=axis_name, to=to)


def pvary(x: Any, axes: Sequence[Hashable]) -> Any:
    """``x``, which may vary over ``axes`` as far as types say."""
    for name in axes:
        x = pcast(x, name, "varying")
    return x


@pcast_p.def_abstract_eval
def _pcast_aval(x: ShapedArray, *, axis_name: Hashable, to: str) -> ShapedArray:
    name = {axis_name}
    unreduced, reduced = x.marks.without(name)
    if to == "varying":
        return place(x, x.placed, x.varying | name, Marks(unreduced, reduced))
    if to == "unreduced":
        return place(x, x.placed, x.varying - name, Marks(unreduced | name, reduced))
    return place(x, x.placed, x.varying - name, Marks(unreduced, reduced | name))


collective_rules[pcast_p] = lambda size, args, dims, **params: (args[0], dims[0])
batching_rules[pcast_p] = lambda size, args, dims, **params: (
    pcast_p.bind_params(args, params),
    dims[0],
)
def_jvp_linear(pcast_p)


def _pcast_transpose(ct: Any, x: UndefinedPrimal, *, axis_name: Hashable, to: str) -> list[Any]:
    if to == "unreduced":
        return [pcast(ct, axis_name, "varying")]
    # Of what is reduced, the cotangent is the sum, and need not be taken.
    if to == "varying" and axis_name in x.aval.marks.reduced:
        return [pcast(ct, axis_name, "unreduced")]
    return [psum(ct, axis_name)]


transpose_rules[pcast_p] = _pcast_transpose


# Every device has its own, unless all that is gathered is known to be the same for all.
def _own(axes: Axes, names: Axes, params: dict[str, Any]) -> Axes:
    return axes - names if params.get("to", "varying") != "varying" else axes | names


for _prim in (ppermute_p, all_gather_p, all_to_all_p, axis_index_p):
    varying_rules[_prim] = _own
mark_rules[all_gather_p] = lambda marks, names, params: (
    Marks(marks.unreduced, marks.reduced | names) if params.get("to") == "reduced" else marks
)


# --- position ----------------------------------------------------------------------------


@axis_index_p.def_abstract_eval
def _axis_index_aval(*, axis_name: Hashable) -> ShapedArray:
    return ShapedArray((), dtypes.int32)


collective_rules[axis_index_p] = lambda size, args, dims, *, axis_name: (
    iota(dtypes.int32, size),
    0,
)


@ppermute_p.def_abstract_eval
def _ppermute_aval(
    x: ShapedArray, *, axis_name: Hashable, perm: tuple[tuple[int, int], ...]
) -> ShapedArray:
    return x


def _ppermute(size: int, args: Sequence[Any], dims: Dims, *, axis_name: Any, perm: Any) -> Any:
    (x,), (d,) = args, dims
    x = bring_dim(x, size, d, 0)
    source = {dst: src for src, dst in perm}
    aval = aval_of(x)
    zero = zeros(ShapedArray((1, *aval.shape[1:]), aval.dtype))
    rows = [slice_in_dim(x, source[i], source[i] + 1) if i in source else zero for i in range(size)]
    return (concatenate(rows, 0) if rows else x), 0


collective_rules[ppermute_p] = _ppermute

batching_rules[ppermute_p] = lambda size, args, dims, **params: (
    ppermute_p.bind_params(args, params),
    dims[0],
)

def_jvp_linear(ppermute_p)

transpose_rules[ppermute_p] = lambda ct, x, *, axis_name, perm: [
    ppermute(ct, axis_name, [(dst, src) for src, dst in perm])
]


@all_gather_p.def_abstract_eval
def _all_gather_aval(
    x: ShapedArray, *, axis_name: Hashable, size: int, axis: int, to: str = "varying"
) -> ShapedArray:
    return x.update(shape=(*x.shape[:axis], size, *x.shape[axis:]))


def _all_gather_batch(n: int, args: Sequence[Any], dims: Dims, **params: Any) -> Any:
    x = bring_dim(args[0], n, dims[0], 0)
    return all_gather_p.bind_params((x,), {**params, "axis": params["axis"] + 1}), 0


collective_rules[all_gather_p] = lambda n, args, dims, **params: (
    bring_dim(args[0], n, dims[0], params["axis"]),
    None,
)

batching_rules[all_gather_p] = _all_gather_batch
def_jvp_linear(all_gather_p)


def _all_gather_transpose(
    ct: Any, x: UndefinedPrimal, *, axis_name: Hashable, size: int, axis: int, to: str = "varying"
) -> list[Any]:
    # The cotangent of what is the same for all is the same for all.
    rows = ct if to == "invarying" else psum(ct, axis_name)
    return [dynamic_index_in_dim(rows, axis_index(axis_name), axis, keepdims=False)]


transpose_rules[all_gather_p] = _all_gather_transpose


@all_to_all_p.def_abstract_eval
def _all_to_all_aval(
    x: ShapedArray, *, axis_name: Hashable, split_axis: int, concat_axis: int
) -> ShapedArray:
    shape = list(x.shape)
    n = shape.pop(split_axis)
    shape.insert(concat_axis, n)
    return x.update(shape=tuple(shape))


def _all_to_all(
    size: int, args: Sequence[Any], dims: Dims, *, axis_name: Hashable, split_axis: int,
    concat_axis: int,
) -> Any:  # fmt: skip
    x = bring_dim(args[0], size, dims[0], 0)
    # (sender, …, receiver, …) to (receiver, …, sender, …)
    x = moveaxis(x, split_axis + 1, 0)
    return moveaxis(x, 1, concat_axis + 1), 0


def _all_to_all_batch(
    size: int, args: Sequence[Any], dims: Dims, *, axis_name: Hashable, split_axis: int,
    concat_axis: int,
) -> Any:  # fmt: skip
    x = bring_dim(args[0], size, dims[0], 0)
    params = {
        "axis_name": axis_name, "split_axis": split_axis + 1, "concat_axis": concat_axis + 1,
    }  # fmt: skip
    return all_to_all_p.bind_params((x,), params), 0


collective_rules[all_to_all_p] = _all_to_all
batching_rules[all_to_all_p] = _all_to_all_batch
def_jvp_linear(all_to_all_p)

transpose_rules[all_to_all_p] = lambda ct, x, *, axis_name, split_axis, concat_axis: [
    all_to_all(ct, axis_name, concat_axis, split_axis)
]
