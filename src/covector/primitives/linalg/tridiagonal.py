"""Tridiagonal systems, and eigenvalues of symmetric tridiagonal matrices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from covector.core import dtypes
from covector.core.avals import ShapedArray, aval_of
from covector.core.definers import def_broadcasting, def_jvp_out
from covector.core.errors import at_user_line
from covector.core.rules import UndefinedPrimal, batching_rules, jvp_rules, transpose_rules
from covector.core.structural import bring_dim, instantiate, moveaxis, reshape
from covector.core.trace import Primitive
from covector.primitives.arithmetic import add, mul, neg
from covector.primitives.linalg.common import (
    check_matrix,
    columns,
    diagonal,
    matmul,
    matrix_transpose,
)
from covector.primitives.linalg.spectral import differences
from covector.primitives.structure import pad, slice_in_dim

tridiagonal_solve_p = Primitive("tridiagonal_solve")
eigh_tridiagonal_p = Primitive("eigh_tridiagonal", multiple_results=True)


# --- systems -----------------------------------------------------------------------------


@tridiagonal_solve_p.def_abstract_eval
def _solve_aval(
    dl: ShapedArray, d: ShapedArray, du: ShapedArray, b: ShapedArray, *, perturb_singular: bool
) -> ShapedArray:
    check_matrix("tridiagonal_solve", b)
    if not (
        dl.dtype == d.dtype == du.dtype == b.dtype
        and dl.shape == d.shape == du.shape == b.shape[:-1]
    ):
        raise ValueError(
            f"tridiagonal_solve takes three diagonals (..., n) and right-hand sides (..., n, m) of "
            f"one dtype, got {dl.str_short()}, {d.str_short()}, {du.str_short()} and "
            f"{b.str_short()}{at_user_line()}"
        )
    return ShapedArray(b.shape, b.dtype)


def _moved(x: Any, axis: int, by: int) -> Any:
    """``x`` moved along an axis (counted from the end) by one place, with a zero coming in."""
    axis += x.ndim
    n = x.shape[axis]
    padding = [(0, 0, 0)] * x.ndim
    padding[axis] = (max(by, 0), max(-by, 0), 0)
    kept = slice_in_dim(x, 0, n - 1, axis=axis) if by > 0 else slice_in_dim(x, 1, n, axis=axis)
    return pad(kept, x.dtype.type(0), padding) if n else x


def _product(dl: Any, d: Any, du: Any, x: Any) -> Any:
    """The tridiagonal matrix times ``x``; the diagonals are None where zero."""
    terms = [
        mul(columns(band, x), _moved(x, -2, by) if by else x)
        for band, by in ((dl, 1), (d, 0), (du, -1))
        if band is not None
    ]
    out = terms[0]
    for t in terms[1:]:
        out = add(out, t)
    return out


def _jvp_band(place: int) -> Any:
    def rule(g: Any, x: Any, dl: Any, d: Any, du: Any, b: Any, **params: Any) -> Any:
        lower, on, upper = (g if k == place else None for k in range(3))
        return tridiagonal_solve_p.bind(dl, d, du, neg(_product(lower, on, upper, x)), **params)

    return rule


def_jvp_out(
    tridiagonal_solve_p,
    *map(_jvp_band, range(3)),
    lambda g, x, dl, d, du, b, **params: tridiagonal_solve_p.bind(dl, d, du, g, **params),
)


def _transpose(ct: Any, dl: Any, d: Any, du: Any, b: Any, **params: Any) -> list[Any]:
    assert type(b) is UndefinedPrimal
    below, above = _moved(du, -1, 1), _moved(dl, -1, -1)
    return [None, None, None, tridiagonal_solve_p.bind(below, d, above, ct, **params)]


transpose_rules[tridiagonal_solve_p] = _transpose


def _batch(
    axis_size: int, args: Sequence[Any], dims: Sequence[int | None], **params: Any
) -> tuple[Any, int]:
    *bands, b = args
    if dims[3] is not None and all(d is None for d in dims[:3]) and aval_of(bands[0]).ndim == 1:
        # One matrix for all: more right-hand sides instead of more systems.
        b = moveaxis(b, dims[3], 1)
        shape = aval_of(b).shape
        b = reshape(b, (shape[0], shape[1] * shape[2]))
        return reshape(tridiagonal_solve_p.bind(*bands, b, **params), shape), 1
    moved = [bring_dim(x, axis_size, d, 0) for x, d in zip(args, dims, strict=True)]
    return tridiagonal_solve_p.bind(*moved, **params), 0


batching_rules[tridiagonal_solve_p] = _batch


# --- eigenvalues -------------------------------------------------------------------------


@eigh_tridiagonal_p.def_abstract_eval
def _eigh_aval(d: ShapedArray, e: ShapedArray, *, vectors: bool) -> list[ShapedArray]:
    if d.dtype not in (dtypes.float32, dtypes.float64) or d.dtype != e.dtype:
        raise TypeError(
            f"eigh_tridiagonal computes with two arrays of float32 or float64, got "
            f"{d.str_short()} and {e.str_short()}{at_user_line()}"
        )
    n = d.shape[-1] if d.shape else 0
    if not d.shape or e.shape != (*d.shape[:-1], max(0, n - 1)):
        raise ValueError(
            f"eigh_tridiagonal takes a diagonal (..., n) and n - 1 elements beside it, got "
            f"{d.str_short()} and {e.str_short()}{at_user_line()}"
        )
    return [d, ShapedArray((*d.shape, n), d.dtype)][: 1 + vectors]


def _eigh_jvp(
    primals: Sequence[Any], tangents: Sequence[Any], *, vectors: bool
) -> tuple[list[Any], list[Any]]:
    # As for full matrices: Giles 2008, section 3.1.
    w, v = out = eigh_tridiagonal_p.bind(*primals, vectors=True)
    td, te = map(instantiate, tangents)
    if v.shape[-1] < 2:
        p = matmul(matrix_transpose(v), mul(columns(td, v), v))
    else:
        sides = [
            pad(te, te.dtype.type(0), [(0, 0, 0)] * (te.ndim - 1) + [edge])
            for edge in ((1, 0, 0), (0, 1, 0))
        ]
        p = matmul(matrix_transpose(v), _product(sides[0], td, sides[1], v))
    dw = diagonal(p)
    if not vectors:
        return [w], [dw]
    return out, [dw, matmul(v, mul(differences(w, p), p))]


jvp_rules[eigh_tridiagonal_p] = _eigh_jvp
def_broadcasting(eigh_tridiagonal_p)
