"""Schur form, and Sylvester equations of matrices that have it."""

from __future__ import annotations

from typing import Any

from covector.core.avals import ShapedArray
from covector.core.definers import def_broadcasting, def_jvp_out
from covector.core.errors import at_user_line
from covector.core.rules import UndefinedPrimal, transpose_rules
from covector.core.trace import Primitive
from covector.primitives.arithmetic import neg
from covector.primitives.linalg.common import (
    adjoint,
    check_matrix,
    conjugate,
    is_complex,
    matmul,
    triu,
)

schur_p = Primitive("schur", multiple_results=True)
triangular_sylvester_p = Primitive("triangular_sylvester")


@schur_p.def_abstract_eval
def _schur_aval(x: ShapedArray, *, compute_schur_vectors: bool) -> list[ShapedArray]:
    check_matrix("schur", x, square=True)
    return [ShapedArray(x.shape, x.dtype)] * (1 + compute_schur_vectors)


def_broadcasting(schur_p)


# --- Sylvester equations -----------------------------------------------------------------


@triangular_sylvester_p.def_abstract_eval
def _sylvester_aval(
    a: ShapedArray, b: ShapedArray, c: ShapedArray, *, adjoint_a: bool, adjoint_b: bool,
    minus: bool,
) -> ShapedArray:  # fmt: skip
    check_matrix("triangular_sylvester", a, square=True)
    check_matrix("triangular_sylvester", b, square=True)
    if (
        not a.dtype == b.dtype == c.dtype
        or not a.shape[:-2] == b.shape[:-2] == c.shape[:-2]
        or c.shape[-2:] != (a.shape[-1], b.shape[-1])
    ):
        raise ValueError(
            f"triangular_sylvester takes a (..., m, m), b (..., n, n) and c (..., m, n) of one "
            f"dtype, got {a.str_short()}, {b.str_short()} and {c.str_short()}{at_user_line()}"
        )
    return ShapedArray(c.shape, c.dtype)


def _read(g: Any) -> Any:
    """The elements of ``g`` where a Schur form has some."""
    return triu(g, 0 if is_complex(g) else -1)


def _jvp_a(g: Any, x: Any, a: Any, b: Any, c: Any, **params: Any) -> Any:
    # op(a) x ± x op(b) = c, hence op(a) dx ± dx op(b) = dc - op(da) x ∓ x op(db).
    g = _read(g)
    g = adjoint(g) if params["adjoint_a"] else g
    return triangular_sylvester_p.bind(a, b, neg(matmul(g, x)), **params)


def _jvp_b(g: Any, x: Any, a: Any, b: Any, c: Any, **params: Any) -> Any:
    g = _read(g)
    change = matmul(x, adjoint(g) if params["adjoint_b"] else g)
    change = change if params["minus"] else neg(change)
    return triangular_sylvester_p.bind(a, b, change, **params)


def _jvp_c(g: Any, x: Any, a: Any, b: Any, c: Any, **params: Any) -> Any:
    return triangular_sylvester_p.bind(a, b, g, **params)


def_jvp_out(triangular_sylvester_p, _jvp_a, _jvp_b, _jvp_c)


def _transpose(
    ct: Any, a: Any, b: Any, c: Any, *, adjoint_a: bool, adjoint_b: bool, minus: bool
) -> list[Any]:
    assert type(c) is UndefinedPrimal
    # The transposed equation is the conjugate of the adjoint one.
    out = triangular_sylvester_p.bind(
        a, b, conjugate(ct), adjoint_a=not adjoint_a, adjoint_b=not adjoint_b, minus=minus
    )
    return [None, None, conjugate(out)]


transpose_rules[triangular_sylvester_p] = _transpose
def_broadcasting(triangular_sylvester_p)


def solve_triangular_sylvester(
    a: Any, b: Any, c: Any, *, adjoint_a: bool = False, adjoint_b: bool = False,
    minus: bool = False,
) -> Any:  # fmt: skip
    """``x`` with ``op(a) x + x op(b) = c`` (``minus``: the difference) for Schur forms."""
    return triangular_sylvester_p.bind(
        a, b, c, adjoint_a=adjoint_a, adjoint_b=adjoint_b, minus=minus
    )
