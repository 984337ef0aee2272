"""Exponentials of matrices and their derivatives (native/cpu/exponential.cc)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from covector.core.avals import ShapedArray
from covector.core.definers import def_broadcasting
from covector.core.errors import at_user_line
from covector.core.rules import UndefinedPrimal, jvp_rules, transpose_rules
from covector.core.structural import instantiate
from covector.core.trace import Primitive
from covector.primitives.linalg.common import check_matrix, matrix_transpose
from covector.primitives.structure import concatenate, full_like, slice_in_dim

expm_p = Primitive("expm")
expm_frechet_p = Primitive("expm_frechet")


@expm_p.def_abstract_eval
def _expm_aval(a: ShapedArray, *, max_squarings: int) -> ShapedArray:
    check_matrix("expm", a, square=True)
    return ShapedArray(a.shape, a.dtype)


def _expm_jvp(primals: Sequence[Any], tangents: Sequence[Any], **params: Any) -> tuple[Any, Any]:
    return expm_p.bind(*primals, **params), expm_frechet_p.bind(primals[0], tangents[0], **params)


jvp_rules[expm_p] = _expm_jvp
def_broadcasting(expm_p)


@expm_frechet_p.def_abstract_eval
def _frechet_aval(a: ShapedArray, e: ShapedArray, *, max_squarings: int) -> ShapedArray:
    check_matrix("expm_frechet", a, square=True)
    if e.shape != a.shape or e.dtype != a.dtype:
        raise ValueError(
            f"expm_frechet takes a matrix and a direction of the same shape and dtype, got "
            f"{a.str_short()} and {e.str_short()}{at_user_line()}"
        )
    return ShapedArray(a.shape, a.dtype)


def _blocks(diagonal: Any, above: Any) -> Any:
    """``[[diagonal, above], [0, diagonal]]``."""
    n = diagonal.ndim
    top = concatenate([diagonal, above], n - 1)
    return concatenate([top, concatenate([full_like(diagonal, 0), diagonal], n - 1)], n - 2)


def _frechet_jvp(primals: Sequence[Any], tangents: Sequence[Any], **params: Any) -> tuple[Any, Any]:
    # The derivative L(a, e) is the block above the diagonal of the exponential of a matrix of
    # blocks; hence its own is that of a derivative. N. Higham, "Functions of Matrices", 2008, 3.6.
    (a, e), (ta, te) = primals, map(instantiate, tangents)
    n = a.shape[-1]
    wide = expm_frechet_p.bind(_blocks(a, e), _blocks(ta, te), **params)
    tangent = slice_in_dim(wide, 0, n, axis=a.ndim - 2)
    tangent = slice_in_dim(tangent, n, 2 * n, axis=a.ndim - 1)
    return expm_frechet_p.bind(a, e, **params), tangent


def _frechet_transpose(ct: Any, a: Any, e: Any, **params: Any) -> list[Any]:
    assert type(e) is UndefinedPrimal
    return [None, expm_frechet_p.bind(matrix_transpose(a), ct, **params)]


jvp_rules[expm_frechet_p] = _frechet_jvp
transpose_rules[expm_frechet_p] = _frechet_transpose
def_broadcasting(expm_frechet_p)
