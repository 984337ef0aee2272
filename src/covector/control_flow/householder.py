"""Products of Householder reflections, whose derivative is that of a loop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from covector.control_flow.while_loop import fori_loop
from covector.core import dtypes
from covector.core.avals import ShapedArray
from covector.core.definers import def_broadcasting
from covector.core.errors import at_user_line
from covector.core.operands import like
from covector.core.rules import UndefinedPrimal, Zero, jvp_rules, transpose_rules
from covector.core.structural import instantiate
from covector.core.trace import Primitive
from covector.primitives.arithmetic import add, mul, sub
from covector.primitives.compare import gt
from covector.primitives.linalg.common import (
    adjoint,
    check_matrix,
    columns,
    conjugate,
    eye_like,
    matmul,
)
from covector.primitives.select import select
from covector.primitives.slicing import dynamic_index_in_dim
from covector.primitives.structure import broadcasted_iota, full_like
from covector.transforms.autodiff import jvp

householder_product_p = Primitive("householder_product")
ormqr_p = Primitive("ormqr")


@householder_product_p.def_abstract_eval
def _product_aval(a: ShapedArray, taus: ShapedArray) -> ShapedArray:
    check_matrix("householder_product", a)
    *batch, m, n = a.shape
    if (
        a.dtype != taus.dtype
        or taus.shape[:-1] != (*batch,)
        or not taus.shape
        or not m >= n >= taus.shape[-1]
    ):
        raise ValueError(
            f"householder_product takes a of shape (..., m, n) with m >= n, and taus of shape "
            f"(..., k) with k <= n and the same dtype, got {a.str_short()} and "
            f"{taus.str_short()}{at_user_line()}"
        )
    return ShapedArray(a.shape, a.dtype)


def reflect(a: Any, taus: Any, x: Any, first_to_last: bool = False) -> Any:
    """The product with ``x`` as a loop over the reflections, from the last to the first."""
    k = taus.shape[-1]
    i = broadcasted_iota(dtypes.int32, a.shape, a.ndim - 2)
    j = broadcasted_iota(dtypes.int32, a.shape, a.ndim - 1)
    below = select(gt(i, j), a, full_like(a, 0))
    vectors = add(below, eye_like(a))

    def body(step: Any, q: Any) -> Any:
        at = step if first_to_last else sub(like(k - 1, step), step)
        v = dynamic_index_in_dim(vectors, at, a.ndim - 1)
        tau = dynamic_index_in_dim(taus, at, taus.ndim - 1)
        row = matmul(adjoint(v), q)
        return sub(q, matmul(v, mul(columns(tau, row), row)))

    return fori_loop(0, k, body, x)


def _product_jvp(primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
    out = householder_product_p.bind(*primals)
    _, tangent = jvp(
        lambda a, taus: reflect(a, taus, eye_like(a)),
        tuple(primals),
        tuple(map(instantiate, tangents)),
    )
    return out, tangent


jvp_rules[householder_product_p] = _product_jvp
def_broadcasting(householder_product_p)


# --- times other matrices ----------------------------------------------------------------


@ormqr_p.def_abstract_eval
def _ormqr_aval(
    a: ShapedArray, taus: ShapedArray, c: ShapedArray, *, left: bool, transpose: bool
) -> ShapedArray:
    check_matrix("ormqr", a)
    check_matrix("ormqr", c)
    m, k = a.shape[-2:]
    if (
        not a.dtype == taus.dtype == c.dtype
        or taus.shape != (*a.shape[:-2], k)
        or a.shape[:-2] != c.shape[:-2]
        or k > m
    ):
        raise ValueError(
            f"ormqr takes a of shape (..., m, k) with m >= k, taus of shape (..., k), and matrices "
            f"c of the same dtype, got {a.str_short()}, {taus.str_short()} and {c.str_short()}"
            f"{at_user_line()}"
        )
    if c.shape[-2 if left else -1] != m:
        raise ValueError(
            f"ormqr with left={left}: c must have {m} {'rows' if left else 'columns'}, as many as "
            f"a has rows, got a = {a.str_short()} and c = {c.str_short()}{at_user_line()}"
        )
    return ShapedArray(c.shape, c.dtype)


def apply_reflections(a: Any, taus: Any, c: Any, left: bool, transpose: bool) -> Any:
    """The same as a loop."""
    if not left:
        return adjoint(apply_reflections(a, taus, adjoint(c), True, not transpose))
    return reflect(a, conjugate(taus) if transpose else taus, c, transpose)


def _ormqr_jvp(primals: Sequence[Any], tangents: Sequence[Any], **params: Any) -> tuple[Any, Any]:
    out = ormqr_p.bind(*primals, **params)
    a, taus, c = primals
    if all(type(t) is Zero for t in tangents[:2]):  # linear in c
        return out, ormqr_p.bind(a, taus, instantiate(tangents[2]), **params)
    _, tangent = jvp(
        lambda *args: apply_reflections(*args, **params),
        tuple(primals),
        tuple(map(instantiate, tangents)),
    )
    return out, tangent


def _ormqr_transpose(
    ct: Any, a: Any, taus: Any, c: Any, *, left: bool, transpose: bool
) -> list[Any]:
    assert type(c) is UndefinedPrimal
    # The transposition of op(q) is the conjugate of its adjoint.
    out = ormqr_p.bind(a, taus, conjugate(ct), left=left, transpose=not transpose)
    return [None, None, conjugate(out)]


jvp_rules[ormqr_p] = _ormqr_jvp
transpose_rules[ormqr_p] = _ormqr_transpose
def_broadcasting(ormqr_p)
