"""Reductions to Hessenberg and tridiagonal form, whose derivatives are those of a loop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from covector.control_flow.while_loop import fori_loop
from covector.core import dtypes
from covector.core.avals import ShapedArray
from covector.core.definers import def_broadcasting
from covector.core.operands import like
from covector.core.rules import jvp_rules
from covector.core.structural import (
    broadcast_in_dim,
    convert_element_type,
    full,
    instantiate,
    reduce_sum,
)
from covector.core.trace import Primitive
from covector.primitives.arithmetic import add, div, imag, mul, neg, real, sub
from covector.primitives.compare import eq, gt, lt
from covector.primitives.exponential import sqrt_p
from covector.primitives.linalg.common import (
    adjoint,
    check_matrix,
    columns,
    conjugate,
    diagonal,
    is_complex,
    matmul,
    tril,
    triu,
)
from covector.primitives.linalg.triangular import from_lower
from covector.primitives.select import select
from covector.primitives.slicing import dynamic_index_in_dim
from covector.primitives.structure import (
    broadcasted_iota,
    expand_dims,
    full_like,
    rev,
    slice_in_dim,
)
from covector.transforms.autodiff import jvp

hessenberg_p = Primitive("hessenberg", multiple_results=True)
tridiagonal_p = Primitive("tridiagonal", multiple_results=True)


def _spread(v: Any, like: Any) -> Any:
    """``v``, a number for each matrix, as an array of the shape of ``like``."""
    return broadcast_in_dim(v, like.shape, tuple(range(v.ndim)))


def reflection(x: Any, first: Any) -> tuple[Any, Any, Any]:
    """``v, tau, beta`` of the reflection that maps ``x`` from position ``first`` on to one element.

    As LAPACK chooses them: ``(I - tau v vᴴ)ᴴ x = beta e``, where beta is real.
    """
    i = broadcasted_iota(dtypes.int32, x.shape, x.ndim - 1)
    zero, is_first = full_like(x, 0), eq(i, first)

    def squares(y: Any) -> Any:
        return add(mul(real(y), real(y)), mul(imag(y), imag(y))) if is_complex(y) else mul(y, y)

    alpha = reduce_sum(select(is_first, x, zero), (x.ndim - 1,))
    tail = select(gt(i, first), x, zero)
    head = real(alpha) if is_complex(x) else alpha
    rest = reduce_sum(squares(tail), (x.ndim - 1,))
    off = add(rest, mul(imag(alpha), imag(alpha))) if is_complex(x) else rest
    none = eq(off, full_like(off, 0))
    length = sqrt_p.bind(select(none, full_like(off, 1), add(off, mul(head, head))))
    beta = select(lt(head, full_like(head, 0)), length, neg(length))
    wide = convert_element_type(beta, x.dtype)
    tau = select(none, full_like(alpha, 0), div(sub(wide, alpha), wide))
    # alpha - beta is not zero, as their signs differ.
    v = div(tail, _spread(select(none, full_like(alpha, 1), sub(alpha, wide)), x))
    v = select(is_first, full_like(x, 1), v)
    return v, tau, select(none, alpha, wide)


def reduce_to_hessenberg(a: Any) -> tuple[Any, Any]:
    """LAPACK's gehd2 as a loop over columns: the packed matrix and the factors."""
    *batch, n, _ = a.shape
    taus = full((*batch, n - 1), 0, a.dtype)
    i, j = (broadcasted_iota(dtypes.int32, a.shape, a.ndim - k) for k in (2, 1))
    positions = broadcasted_iota(dtypes.int32, taus.shape, taus.ndim - 1)

    def body(k: Any, carry: Any) -> Any:
        a, taus = carry
        k = convert_element_type(k, dtypes.int32)
        first = add(k, like(1, k))
        column = dynamic_index_in_dim(a, k, a.ndim - 1, keepdims=False)
        v, tau, beta = reflection(column, first)
        vector = expand_dims(v, v.ndim)
        b = sub(a, mul(_spread(tau, a), matmul(matmul(a, vector), adjoint(vector))))
        turned = matmul(vector, matmul(adjoint(vector), b))
        b = sub(b, mul(_spread(conjugate(tau), a), turned))
        packed = select(gt(i, first), columns(v, a), select(eq(i, first), _spread(beta, a), a))
        a = select(gt(j, k), b, select(eq(j, k), packed, a))
        return a, select(eq(positions, k), _spread(tau, taus), taus)

    return fori_loop(0, n - 1, body, (a, taus))


# --- Hessenberg form ---------------------------------------------------------------------


@hessenberg_p.def_abstract_eval
def _hessenberg_aval(x: ShapedArray) -> list[ShapedArray]:
    check_matrix("hessenberg", x, square=True)
    return [x.update(weak_type=False), ShapedArray(_fewer(x.shape[:-1]), x.dtype)]


def _fewer(shape: Sequence[int]) -> tuple[int, ...]:
    """``shape`` with one element less in the last dimension."""
    return (*shape[:-1], max(0, shape[-1] - 1))


def _loop_jvp(prim: Primitive, loop: Any) -> Any:
    """Values of the primitive, and the derivative of the loop that computes the same."""

    def rule(primals: Sequence[Any], tangents: Sequence[Any], **params: Any) -> tuple[Any, Any]:
        out = prim.bind_params(primals, params)
        if primals[0].shape[-1] == 0:
            return out, [full_like(x, 0) for x in out]
        _, tangent = jvp(lambda a: loop(a, **params), (primals[0],), (instantiate(tangents[0]),))
        return out, list(tangent)

    return rule


jvp_rules[hessenberg_p] = _loop_jvp(hessenberg_p, reduce_to_hessenberg)
def_broadcasting(hessenberg_p)


# --- tridiagonal form --------------------------------------------------------------------


@tridiagonal_p.def_abstract_eval
def _tridiagonal_aval(x: ShapedArray, *, lower: bool) -> list[ShapedArray]:
    check_matrix("tridiagonal", x, square=True)
    real_dtype, fewer = dtypes.real_dtype(x.dtype), _fewer(x.shape[:-1])
    return [
        x.update(weak_type=False),
        ShapedArray(x.shape[:-1], real_dtype),
        ShapedArray(fewer, real_dtype),
        ShapedArray(fewer, x.dtype),
    ]


def _flip(x: Any, axes: int) -> Any:
    return rev(x, tuple(range(x.ndim - axes, x.ndim)))


def reduce_to_tridiagonal(a: Any, lower: bool) -> tuple[Any, ...]:
    # Of a Hermitian matrix the reduction to Hessenberg form is that to tridiagonal form; from the
    # upper triangle LAPACK reduces rows from the last to the first.
    if not lower:
        packed, d, e, taus = reduce_to_tridiagonal(_flip(a, 2), True)
        return _flip(packed, 2), _flip(d, 1), _flip(e, 1), _flip(taus, 1)
    reduced, taus = reduce_to_hessenberg(from_lower(a))
    n = a.shape[-1]
    below = slice_in_dim(reduced, 1, n, axis=a.ndim - 2)
    below = slice_in_dim(below, 0, n - 1, axis=a.ndim - 1)
    d, e = diagonal(reduced), diagonal(below)
    if is_complex(a):
        d, e = real(d), real(e)
    return add(tril(reduced), triu(a, 1)), d, e, taus


jvp_rules[tridiagonal_p] = _loop_jvp(tridiagonal_p, reduce_to_tridiagonal)
def_broadcasting(tridiagonal_p)
