"""Cholesky factorisation and triangular systems."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from covector.core.avals import ShapedArray, aval_of
from covector.core.definers import def_broadcasting, def_jvp_out
from covector.core.errors import at_user_line
from covector.core.operands import like
from covector.core.rules import UndefinedPrimal, batching_rules, jvp_rules, transpose_rules
from covector.core.structural import bring_dim, broadcast_in_dim, instantiate, moveaxis, reshape
from covector.core.trace import Primitive
from covector.primitives.arithmetic import add, mul, neg
from covector.primitives.linalg.common import (
    adjoint,
    check_matrix,
    conjugate,
    is_complex,
    matmul,
    matrix_transpose,
    on_diagonal,
    tril,
    triu,
)
from covector.primitives.select import select
from covector.primitives.structure import expand_dims

cholesky_p = Primitive("cholesky")
triangular_solve_p = Primitive("triangular_solve")
cholesky_update_p = Primitive("cholesky_update")


# --- Cholesky ----------------------------------------------------------------------------


@cholesky_p.def_abstract_eval
def _cholesky_aval(x: ShapedArray, *, upper: bool) -> ShapedArray:
    check_matrix("cholesky", x, square=True)
    return ShapedArray(x.shape, x.dtype)


def symmetrize(x: Any) -> Any:
    """The Hermitian part, (x + xᴴ)/2."""
    return mul(add(x, adjoint(x)), like(0.5, x))


def from_lower(t: Any) -> Any:
    """The Hermitian matrix with the lower triangle of ``t``, and the real part of its diagonal."""
    t = tril(t)
    both = add(t, adjoint(t))
    return select(on_diagonal(t.shape), mul(both, like(0.5, both)), both)


def _cholesky_jvp(
    primals: Sequence[Any], tangents: Sequence[Any], *, upper: bool
) -> tuple[Any, Any]:
    out = cholesky_p.bind(primals[0], upper=upper)
    t = tangents[0]
    return out, _factor_tangent(out, from_lower(adjoint(triu(t)) if upper else t), upper)


def _factor_tangent(factor: Any, t: Any, upper: bool) -> Any:
    """The tangent of a Cholesky factor, for that of the Hermitian matrix."""
    # I. Murray, "Differentiation of the Cholesky decomposition", arXiv:1602.07527, eq. 8:
    # dL = L Φ(L⁻¹ dA L⁻ᴴ), where Φ takes the lower triangle and halves the diagonal.
    params = {"lower": not upper, "unit_diagonal": False}
    for left in (True, False):
        adjoint_ = left == upper
        t = triangular_solve_p.bind(
            factor, t, left_side=left, transpose_a=adjoint_,
            conjugate_a=adjoint_ and is_complex(factor), **params,
        )  # fmt: skip
    t = select(on_diagonal(t.shape), mul(t, like(0.5, t)), t)
    return matmul(triu(t), factor) if upper else matmul(factor, tril(t))


jvp_rules[cholesky_p] = _cholesky_jvp
def_broadcasting(cholesky_p)


# --- updates -----------------------------------------------------------------------------


@cholesky_update_p.def_abstract_eval
def _update_aval(r: ShapedArray, w: ShapedArray) -> ShapedArray:
    check_matrix("cholesky_update", r, square=True)
    if r.dtype != w.dtype or w.shape != r.shape[:-1]:
        raise ValueError(
            f"cholesky_update takes a matrix (..., n, n) and a vector (..., n) of one dtype, got "
            f"{r.str_short()} and {w.str_short()}{at_user_line()}"
        )
    return ShapedArray(r.shape, r.dtype)


def _update_jvp(primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
    (r, w), (tr, tw) = primals, map(instantiate, tangents)
    out = cholesky_update_p.bind(r, w)
    column, change = (expand_dims(x, x.ndim) for x in (w, tw))
    t = add(matmul(adjoint(triu(r)), triu(tr)), matmul(column, adjoint(change)))
    return out, _factor_tangent(out, add(t, adjoint(t)), True)


jvp_rules[cholesky_update_p] = _update_jvp
def_broadcasting(cholesky_update_p)


# --- triangular systems ------------------------------------------------------------------


@triangular_solve_p.def_abstract_eval
def _triangular_solve_aval(
    a: ShapedArray,
    b: ShapedArray,
    *,
    left_side: bool,
    lower: bool,
    transpose_a: bool,
    conjugate_a: bool,
    unit_diagonal: bool,
) -> ShapedArray:
    check_matrix("triangular_solve", a, square=True)
    check_matrix("triangular_solve", b)
    if a.dtype != b.dtype:
        raise TypeError(
            f"triangular_solve takes operands of one dtype, got {a.str_short()} and "
            f"{b.str_short()}{at_user_line()}"
        )
    side = -2 if left_side else -1
    if a.shape[:-2] != b.shape[:-2] or a.shape[-1] != b.shape[side]:
        raise ValueError(
            f"triangular_solve of a = {a.str_short()} and b = {b.str_short()}: with "
            f"left_side={left_side}, dimension {side} of b must be {a.shape[-1]}, the size of a, "
            f"and the leading dimensions must be equal{at_user_line()}"
        )
    return ShapedArray(b.shape, b.dtype)


def _jvp_a(
    g: Any, x: Any, a: Any, b: Any, *, left_side: bool, lower: bool, transpose_a: bool,
    conjugate_a: bool, unit_diagonal: bool,
) -> Any:  # fmt: skip
    # op(a) x = b, hence op(a) dx = -op(da) x.
    k = 1 if unit_diagonal else 0
    g = neg(tril(g, -k) if lower else triu(g, k))
    g = matrix_transpose(g) if transpose_a else g
    g = conjugate(g) if conjugate_a else g
    return triangular_solve_p.bind(
        a, matmul(g, x) if left_side else matmul(x, g), left_side=left_side, lower=lower,
        transpose_a=transpose_a, conjugate_a=conjugate_a, unit_diagonal=unit_diagonal,
    )  # fmt: skip


def _jvp_b(g: Any, x: Any, a: Any, b: Any, **params: Any) -> Any:
    return triangular_solve_p.bind(a, g, **params)


def_jvp_out(triangular_solve_p, _jvp_a, _jvp_b)


def _transpose(ct: Any, a: Any, b: Any, *, transpose_a: bool, **params: Any) -> list[Any]:
    assert type(a) is not UndefinedPrimal and type(b) is UndefinedPrimal
    return [None, triangular_solve_p.bind(a, ct, transpose_a=not transpose_a, **params)]


transpose_rules[triangular_solve_p] = _transpose


def _batch(
    axis_size: int, args: Sequence[Any], dims: Sequence[int | None], **params: Any
) -> tuple[Any, int]:
    (a, b), (da, db) = args, dims
    if da is None and db is not None and aval_of(a).ndim == 2:
        # One matrix for all: more right-hand sides instead of more systems.
        left = params["left_side"]
        b = moveaxis(b, db, 1 if left else 0)
        shape = aval_of(b).shape
        n = shape[0] if left else shape[2]
        b = reshape(b, (n, shape[1] * shape[2]) if left else (shape[0] * shape[1], n))
        return reshape(triangular_solve_p.bind(a, b, **params), shape), 1 if left else 0
    a, b = (bring_dim(x, axis_size, d, 0) for x, d in zip(args, dims, strict=True))
    return triangular_solve_p.bind(a, b, **params), 0


batching_rules[triangular_solve_p] = _batch


def broadcast_batch(x: Any, batch: tuple[int, ...], tail: int = 2) -> Any:
    """``x`` with its leading dimensions broadcast to ``batch``; ``tail`` dimensions stay."""
    shape = aval_of(x).shape
    lead = len(batch) - (len(shape) - tail)
    return broadcast_in_dim(
        x, (*batch, *shape[len(shape) - tail :]), tuple(range(lead, lead + len(shape)))
    )
