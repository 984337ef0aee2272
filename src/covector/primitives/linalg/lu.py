"""LU factorisation, its permutations, and systems solved with it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from covector.core import dtypes
from covector.core.avals import ShapedArray
from covector.core.definers import def_broadcasting, def_jvp_zero
from covector.core.dims import min_dim
from covector.core.errors import at_user_line
from covector.core.operands import like
from covector.core.rules import Zero, jvp_rules
from covector.core.trace import Primitive
from covector.primitives.arithmetic import add
from covector.primitives.compare import ge
from covector.primitives.linalg.common import (
    check_matrix,
    eye_like,
    matmul,
    on_diagonal,
    permute_rows,
    tril,
    triu,
)
from covector.primitives.linalg.triangular import triangular_solve_p
from covector.primitives.select import select
from covector.primitives.sorting import sort
from covector.primitives.structure import broadcasted_iota, full_like, pad, slice_in_dim

lu_p = Primitive("lu", multiple_results=True)
lu_pivots_to_permutation_p = Primitive("lu_pivots_to_permutation")


@lu_p.def_abstract_eval
def _lu_aval(x: ShapedArray) -> list[ShapedArray]:
    check_matrix("lu", x)
    *batch, m, n = x.shape
    return [
        ShapedArray(x.shape, x.dtype),
        ShapedArray((*batch, min_dim(m, n)), dtypes.int32),
        ShapedArray((*batch, m), dtypes.int32),
    ]


def _resized(x: Any, axis: int, size: int) -> Any:
    """``x`` cut or padded with zeros along one of its last two axes."""
    axis += x.ndim
    if size < x.shape[axis]:
        return slice_in_dim(x, 0, size, axis=axis)
    if size == x.shape[axis]:
        return x
    padding = [(0, 0, 0)] * x.ndim
    padding[axis] = (0, size - x.shape[axis], 0)
    return pad(x, x.dtype.type(0), padding)


def _lu_jvp(primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[list[Any], list[Any]]:
    # With L and U filled up to square matrices by the identity, dA = dL U + L dU gives
    # L⁻¹ dA U⁻¹ = L⁻¹ dL + dU U⁻¹, a strictly lower and an upper triangle: F. de Hoog,
    # R. Anderssen, M. Lukas, "Differentiation of matrix functionals using triangular
    # factorization", Math. Comp. 80 (2011), for the square case.
    packed, pivots, permutation = out = lu_p.bind(primals[0])
    *_, m, n = packed.shape
    lower = _resized(packed, -1, m)
    lower = add(tril(lower, -1), eye_like(lower))
    upper = triu(_resized(packed, -2, n))
    if m < n:
        i = broadcasted_iota(dtypes.int32, upper.shape, upper.ndim - 2)
        rest = select(
            ge(i, like(m, i)), on_diagonal(upper.shape), full_like(i, False, dtypes.bool_)
        )
        upper = select(rest, full_like(upper, 1), upper)
    t = permute_rows(tangents[0], permutation)
    t = triangular_solve_p.bind(lower, t, left_side=True, lower=True, transpose_a=False,
                                conjugate_a=False, unit_diagonal=True)  # fmt: skip
    t = triangular_solve_p.bind(upper, t, left_side=False, lower=False, transpose_a=False,
                                conjugate_a=False, unit_diagonal=False)  # fmt: skip
    tangent = add(matmul(lower, tril(t, -1)), matmul(triu(t), upper))
    return out, [tangent, Zero.of(pivots), Zero.of(permutation)]


jvp_rules[lu_p] = _lu_jvp
def_broadcasting(lu_p)


# --- permutations ------------------------------------------------------------------------


@lu_pivots_to_permutation_p.def_abstract_eval
def _permutation_aval(pivots: ShapedArray, *, permutation_size: int) -> ShapedArray:
    if pivots.dtype != dtypes.int32 or not pivots.shape:
        raise TypeError(
            f"lu_pivots_to_permutation takes pivots as an array of int32, got "
            f"{pivots.str_short()}{at_user_line()}"
        )
    if permutation_size < pivots.shape[-1]:
        raise ValueError(
            f"lu_pivots_to_permutation of {pivots.str_short()}: permutation_size is "
            f"{permutation_size}, less than the number of pivots{at_user_line()}"
        )
    return ShapedArray((*pivots.shape[:-1], permutation_size), dtypes.int32)


def_jvp_zero(lu_pivots_to_permutation_p)
def_broadcasting(lu_pivots_to_permutation_p)


# --- systems -----------------------------------------------------------------------------


def lu_solve(packed: Any, permutation: Any, b: Any, transposed: bool = False) -> Any:
    """Solve ``a x = b`` (or with the transpose of ``a``) given the factorisation of ``a``.

    ``b`` has shape ``(..., n, m)`` with the leading dimensions of ``packed``.
    """
    upper = {"lower": False, "unit_diagonal": False}
    lower = {"lower": True, "unit_diagonal": True}
    rest = {"left_side": True, "transpose_a": transposed, "conjugate_a": False}
    first, second = (upper, lower) if transposed else (lower, upper)
    if not transposed:
        b = permute_rows(b, permutation)
    x = triangular_solve_p.bind(packed, b, **first, **rest)
    x = triangular_solve_p.bind(packed, x, **second, **rest)
    return permute_rows(x, inverse_permutation(permutation)) if transposed else x


def inverse_permutation(permutation: Any) -> Any:
    axis = permutation.ndim - 1
    positions = broadcasted_iota(dtypes.int32, permutation.shape, axis)
    return sort((permutation, positions), axis, num_keys=1)[1]
