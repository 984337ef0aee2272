"""Reductions over dimensions: products, extrema, logic, and where extrema lie."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from covector.core import dtypes, structural
from covector.core.avals import ShapedArray, aval_of
from covector.core.definers import def_jvp_zero
from covector.core.dims import is_nonnegative
from covector.core.errors import at_user_line
from covector.core.operands import product
from covector.core.rules import Zero, batching_rules, jvp_rules
from covector.core.structural import broadcast_in_dim, convert_element_type, reduce_sum_p, reshape_p
from covector.core.trace import Primitive
from covector.primitives.arithmetic import div, mul
from covector.primitives.common import ANY, BITS, NUMERIC, ORDERED, check_dtype, dtype_set
from covector.primitives.compare import eq
from covector.primitives.cumulative import exclusive_products


def _axes_batch(prim: Primitive) -> Callable[..., tuple[Any, int]]:
    def batch(
        axis_size: int,
        args: Sequence[Any],
        dims: Sequence[int],
        *,
        axes: tuple[int, ...],
        **params: Any,
    ) -> tuple[Any, int]:
        d = dims[0]
        new = tuple([a + (a >= d) for a in axes])
        out = prim.bind(args[0], axes=new, **params)
        return out, d - sum(a < d for a in new)

    return batch


def _check_axes(name: str, x: ShapedArray, axes: tuple[int, ...]) -> None:
    n = len(x.shape)
    if len(set(axes)) != len(axes) or any(not 0 <= a < n for a in axes):
        raise ValueError(
            f"{name} of {x.str_short()} over axes {axes}: axes must be distinct and lie in "
            f"[0, {n}){at_user_line()}"
        )


def _reduction(name: str, kind: str) -> Primitive:
    prim = Primitive(name)
    accepted = dtype_set(kind)

    def rule(x: ShapedArray, *, axes: tuple[int, ...]) -> ShapedArray:
        if x.dtype not in accepted:
            check_dtype(name, x, kind)
        _check_axes(name, x, axes)
        shape = tuple([s for i, s in enumerate(x.shape) if i not in axes])
        return ShapedArray(shape, x.dtype, x.weak_type)

    prim.def_abstract_eval(rule)
    batching_rules[prim] = _axes_batch(prim)
    return prim


reduce_prod_p = _reduction("reduce_prod", NUMERIC)
reduce_max_p = _reduction("reduce_max", ANY)
reduce_min_p = _reduction("reduce_min", ANY)
reduce_and_p = _reduction("reduce_and", BITS)
reduce_or_p = _reduction("reduce_or", BITS)
reduce_xor_p = _reduction("reduce_xor", BITS)


def _arg_reduction(name: str) -> Primitive:
    prim = Primitive(name)

    def rule(x: ShapedArray, *, axes: tuple[int, ...], index_dtype: Any) -> ShapedArray:
        check_dtype(name, x, ORDERED)
        _check_axes(name, x, axes)
        if len(axes) != 1:
            raise TypeError(f"{name} works along one axis, got {axes}{at_user_line()}")
        if x.shape[axes[0]] == 0:
            raise ValueError(
                f"{name} of {x.str_short()} along axis {axes[0]}: there is no element to choose"
                f"{at_user_line()}"
            )
        if index_dtype not in dtypes.INTEGERS:
            raise TypeError(f"{name}: index_dtype must be an integer dtype, got {index_dtype}")
        # Calls look again, when sizes are known.
        if is_nonnegative(x.shape[axes[0]] - 2 - dtypes.LIMITS[index_dtype][1]):
            raise OverflowError(
                f"{name} of {x.str_short()} along axis {axes[0]}: positions do not fit in "
                f"{index_dtype}; 64-bit integers need the option enable_x64{at_user_line()}"
            )
        shape = tuple([s for i, s in enumerate(x.shape) if i not in axes])
        return ShapedArray(shape, index_dtype)

    prim.def_abstract_eval(rule)
    batching_rules[prim] = _axes_batch(prim)
    def_jvp_zero(prim)
    return prim


argmax_p = _arg_reduction("argmax")
argmin_p = _arg_reduction("argmin")


def _extremum_jvp(prim: Primitive) -> Callable[..., tuple[Any, Any]]:
    def jvp(
        primals: Sequence[Any], tangents: Sequence[Any], *, axes: tuple[int, ...]
    ) -> tuple[Any, Any]:
        (x,), (g,) = primals, tangents
        out = prim.bind(x, axes=axes)
        if type(g) is Zero:
            return out, Zero.of(out)
        # Shared evenly among the elements that attain the extremum.
        shape = aval_of(x).shape
        kept = tuple(i for i in range(len(shape)) if i not in axes)
        dt = aval_of(x).dtype
        mask = convert_element_type(eq(x, broadcast_in_dim(out, shape, kept)), dt)
        count = reduce_sum_p.bind(mask, axes=axes)
        return out, div(reduce_sum_p.bind(mul(g, mask), axes=axes), count)

    return jvp


jvp_rules[reduce_max_p] = _extremum_jvp(reduce_max_p)
jvp_rules[reduce_min_p] = _extremum_jvp(reduce_min_p)


def _prod_jvp(
    primals: Sequence[Any], tangents: Sequence[Any], *, axes: tuple[int, ...]
) -> tuple[Any, Any]:
    (x,), (g,) = primals, tangents
    out = reduce_prod_p.bind(x, axes=axes)
    if type(g) is Zero:
        return out, Zero.of(out)
    # Each tangent times the product of all *other* factors, which is right at zeros too.
    rank = len(aval_of(x).shape)
    kept = tuple(i for i in range(rank) if i not in axes)
    perm = (*kept, *axes)

    def rows(a: Any) -> Any:
        a = structural.transpose(a, perm)
        shape = aval_of(a).shape
        sizes = (*shape[: len(kept)], product(shape[len(kept) :]))
        return a if shape == sizes else reshape_p.bind(a, new_sizes=sizes)

    others = exclusive_products(rows(x), len(kept))
    return out, reduce_sum_p.bind(mul(rows(g), others), axes=(len(kept),))


jvp_rules[reduce_prod_p] = _prod_jvp


for _p in (reduce_and_p, reduce_or_p, reduce_xor_p):
    def_jvp_zero(_p)
