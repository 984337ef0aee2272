"""Cumulative sums, products, extrema and log-sum-exps along an axis."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from covector.core import structural
from covector.core.avals import ShapedArray, aval_of
from covector.core.definers import def_jvp_linear
from covector.core.errors import at_user_line
from covector.core.operands import scalar
from covector.core.rules import Zero, batching_rules, jvp_rules, transpose_rules
from covector.core.trace import Primitive
from covector.primitives.arithmetic import _share, add, max, min, mul, neg, sub
from covector.primitives.common import FLOAT, NUMERIC, ORDERED, check_dtype, dtype_set
from covector.primitives.compare import bitwise_and, eq, gt, ne
from covector.primitives.exponential import exp, log1p
from covector.primitives.prefixes import prefixes
from covector.primitives.select import select
from covector.primitives.structure import pad_p, slice_in_dim


def _cumulative(name: str, kind: str) -> Primitive:
    prim = Primitive(name)
    accepted = dtype_set(kind)

    def rule(x: ShapedArray, *, axis: int, reverse: bool) -> ShapedArray:
        if x.dtype not in accepted:
            check_dtype(name, x, kind)
        if not 0 <= axis < len(x.shape):
            raise ValueError(
                f"{name} of {x.str_short()} along axis {axis}, which does not exist{at_user_line()}"
            )
        return x

    def batch(
        axis_size: int, args: Sequence[Any], dims: Sequence[int], *, axis: int, reverse: bool
    ) -> tuple[Any, int]:
        d = dims[0]
        out = prim.bind(args[0], axis=axis + (axis >= d), reverse=reverse)
        return out, d

    prim.def_abstract_eval(rule)
    batching_rules[prim] = batch
    return prim


cumsum_p = _cumulative("cumsum", NUMERIC)
cumprod_p = _cumulative("cumprod", NUMERIC)
cummax_p = _cumulative("cummax", ORDERED)
cummin_p = _cumulative("cummin", ORDERED)
cumlogsumexp_p = _cumulative("cumlogsumexp", FLOAT)


# --- derivatives -------------------------------------------------------------------------

def_jvp_linear(cumsum_p)

transpose_rules[cumsum_p] = lambda ct, x, *, axis, reverse: [
    cumsum_p.bind(ct, axis=axis, reverse=not reverse)
]


def exclusive_products(x: Any, axis: int) -> Any:
    """For each element, the product of all others along ``axis``."""
    n = aval_of(x).shape[axis]
    rank = len(aval_of(x).shape)
    one = structural.full((), 1, aval_of(x).dtype)
    if n == 0:
        return x

    def shifted(c: Any, lo: int, hi: int) -> Any:
        config = tuple((lo, hi, 0) if i == axis else (0, 0, 0) for i in range(rank))
        return pad_p.bind(c, one, padding_config=config)

    left = cumprod_p.bind(slice_in_dim(x, 0, n - 1, axis=axis), axis=axis, reverse=False)
    right = cumprod_p.bind(slice_in_dim(x, 1, n, axis=axis), axis=axis, reverse=True)
    return mul(shifted(left, 1, 0), shifted(right, 0, 1))


# A primal and its tangent.
Dual = Sequence[Any]


def _product(a: Dual, b: Dual) -> Dual:
    return mul(a[0], b[0]), add(mul(a[1], b[0]), mul(a[0], b[1]))


def _extremum(larger: bool) -> Callable[[Dual, Dual], Dual]:
    def combine(a: Dual, b: Dual) -> Dual:
        x, y = a[0], b[0]
        out = max(x, y) if larger else min(x, y)
        return out, add(mul(a[1], _share(out, x, y)), mul(b[1], _share(out, y, x)))

    return combine


def _log_sum(a: Dual, b: Dual) -> Dual:
    x, y = a[0], b[0]
    # Branches, in place of a maximum and a magnitude, are smooth where the operands are equal.
    first = gt(x, y)
    delta = sub(x, y)
    # Both minus infinity: they have no difference.
    tie = bitwise_and(eq(x, y), ne(delta, delta))
    delta = select(tie, scalar(0.0, aval_of(x).dtype), delta)
    out = add(select(first, x, y), log1p(exp(select(first, neg(delta), delta))))
    dt = aval_of(x).dtype
    safe = select(eq(out, scalar(float("-inf"), dt)), scalar(0.0, dt), out)
    weight_x, weight_y = exp(sub(x, safe)), exp(sub(y, safe))
    return out, add(mul(a[1], weight_x), mul(b[1], weight_y))


def _scan_jvp(prim: Primitive, combine: Callable[[Dual, Dual], Dual]) -> None:
    def jvp(
        primals: Sequence[Any], tangents: Sequence[Any], *, axis: int, reverse: bool
    ) -> tuple[Any, Any]:
        (x,), (g,) = primals, tangents
        out = prim.bind(x, axis=axis, reverse=reverse)
        if type(g) is Zero:
            return out, Zero.of(out)
        _, tangent = prefixes(combine, (x, g), (axis, axis), reverse)
        return out, tangent

    jvp_rules[prim] = jvp


_scan_jvp(cumprod_p, _product)
_scan_jvp(cummax_p, _extremum(True))
_scan_jvp(cummin_p, _extremum(False))
_scan_jvp(cumlogsumexp_p, _log_sum)
