"""Linear algebra by cuSOLVER and cuSPARSE, where `nvidia.targets` has them.

What the functions take and return is that of NVIDIA's documentation: matrices by columns, pivots
from 1, a number for each matrix that is not 0 where the algorithm failed. Elements that are not
finite stay out of them; the results of such matrices are NaN, as everywhere.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from covector import lax
from covector.backends.pjrt import nvidia
from covector.backends.pjrt.lower import OWN, Rule
from covector.backends.pjrt.portable.common import (
    constant,
    finite,
    nan_unless,
    positions,
    restored,
    together,
    where,
)
from covector.backends.pjrt.portable.schur import unit_columns
from covector.backends.pjrt.rules.callbacks import Type, custom_call
from covector.backends.pjrt.rules.expansions import expand
from covector.backends.pjrt.rules.linalg import finite_or_zero, geqrf_by
from covector.backends.pjrt.text import Builder, Value
from covector.control_flow.householder import householder_product_p, ormqr_p
from covector.control_flow.reductions import tridiagonal_p
from covector.core import dtypes
from covector.core.dtypes import DType
from covector.core.jaxpr import JaxprEqn
from covector.core.trace import Primitive
from covector.primitives.linalg.common import adjoint, triu
from covector.primitives.linalg.lu import lu_p, lu_pivots_to_permutation_p
from covector.primitives.linalg.qr import geqrf_p
from covector.primitives.linalg.spectral import eig_p, eigh_p, svd_p
from covector.primitives.linalg.triangular import from_lower
from covector.primitives.linalg.tridiagonal import tridiagonal_solve_p
from covector.runtime import foreign

_I32: DType = np.dtype(np.int32)
# Rows and columns up to which singular values are found by rotations, which take less time there.
_BY_ROTATIONS = 1024
# cuSOLVER's eigenvalues of general matrices are there from this version of CUDA on.
_GENERAL_EIGENVALUES = 13
# Rows that cuSPARSE's tridiagonal systems have at least.
_TRIDIAGONAL_ROWS = 3


def _rule(prim: Primitive, *needed: str) -> Callable[[Rule], Rule]:
    """Register the rule of a primitive where the functions are there that are ``needed``.

    Empty arrays are left to the rule for all platforms, and so are other dtypes.
    """

    def register(write: Rule) -> Rule:
        @OWN["cuda"].rule(prim)
        @functools.wraps(write)
        def own(b: Builder, eqn: JaxprEqn, *xs: Value) -> Any:
            known = all(v.aval.dtype.name in _DTYPES for v in (*eqn.invars, *eqn.outvars))
            empty = any(0 in v.aval.shape for v in (*eqn.invars, *eqn.outvars))
            if empty or not known or not nvidia.targets().issuperset(needed):
                return None
            return write(b, eqn, *xs)

        return own

    return register


_DTYPES = ("float32", "float64", "complex64", "complex128", "int32")


def _call(
    b: Builder, name: str, operands: Sequence[tuple[Value, int]], outs: Sequence[tuple[Type, int]],
    alias: tuple[int, int] | None = None, **attributes: Any,
) -> list[Value]:  # fmt: skip
    """The results of a function of single matrices and vectors, for all of a batch.

    With each operand and result goes its rank without the batch.
    """
    b.targets.add(name)
    orders = [[(), (0,), (1, 0)][rank] for _, rank in (*operands, *outs)]
    written = [(k, foreign.attribute(k, v)) for k, v in sorted(attributes.items())]
    return custom_call(
        b, name, [x for x, _ in operands], [t for t, _ in outs], tuple(written), False,
        (orders[: len(operands)], orders[len(operands) :]), [alias] if alias else [],
    )  # fmt: skip


def _unless_failed(ok: Any, info: Any, *xs: Any) -> list[Any]:
    """Results of one matrix, NaN if it was not finite or the algorithm failed."""
    ok = lax.bitwise_and(ok, info == 0)
    return [nan_unless(ok, x) for x in xs]


# --- LU ---------------------------------------------------------------------------------------


def _safe(a: Any) -> list[Any]:
    ok = finite(a)
    return [where(ok, a, 0.0), ok]


@_rule(lu_p, "cusolver_getrf_ffi", "cu_lu_pivots_to_permutation")
def _lu(b: Builder, eqn: JaxprEqn, a: Value) -> list[Value]:
    *batch, m, n = a.shape
    safe, ok = expand(b, (lu_p, "cuda"), together(_safe, 2), a)
    outs = [((a.dtype, a.shape), 2), ((_I32, (*batch, min(m, n))), 1), ((_I32, (*batch,)), 0)]
    packed, pivots, _ = _call(b, "cusolver_getrf_ffi", [(safe, 2)], outs, (0, 0))

    def after(packed: Any, pivots: Any, ok: Any) -> list[Any]:
        return [nan_unless(ok, packed), pivots - 1]

    done = together(after, 2, 1, 0)
    packed, pivots = expand(b, (lu_p, "cuda after"), done, packed, pivots, ok)
    return [packed, pivots, _permutation(b, pivots, m)]


def _permutation(b: Builder, pivots: Value, size: int) -> Value:
    out = ((_I32, (*pivots.shape[:-1], size)), 1)
    return _call(b, "cu_lu_pivots_to_permutation", [(pivots, 1)], [out])[0]


@_rule(lu_pivots_to_permutation_p, "cu_lu_pivots_to_permutation")
def _lu_permutation(b: Builder, eqn: JaxprEqn, pivots: Value) -> Value:
    return _permutation(b, pivots, eqn.params["permutation_size"])


# --- Householder reflections ------------------------------------------------------------------


@_rule(geqrf_p, "cusolver_geqrf_ffi")
def _geqrf(b: Builder, eqn: JaxprEqn, a: Value) -> list[Value]:
    outs = [((a.dtype, a.shape), 2), ((a.dtype, eqn.outvars[1].aval.shape), 1)]
    return geqrf_by(b, a, lambda safe: _call(b, "cusolver_geqrf_ffi", [(safe, 2)], outs, (0, 0)))


@_rule(householder_product_p, "cusolver_orgqr_ffi")
def _householder_product(b: Builder, eqn: JaxprEqn, a: Value, taus: Value) -> Value:
    out = ((a.dtype, a.shape), 2)
    return _call(b, "cusolver_orgqr_ffi", [(a, 2), (taus, 1)], [out], (0, 0))[0]


@_rule(ormqr_p, "cusolver_ormqr_ffi")
def _ormqr(b: Builder, eqn: JaxprEqn, a: Value, taus: Value, c: Value) -> Value:
    operands, out = [(a, 2), (taus, 1), (c, 2)], ((c.dtype, c.shape), 2)
    return _call(b, "cusolver_ormqr_ffi", operands, [out], (2, 0), **eqn.params)[0]


# --- eigenvalues ------------------------------------------------------------------------------


@_rule(eigh_p, "cusolver_syevd_ffi")
def _eigh(b: Builder, eqn: JaxprEqn, a: Value) -> list[Value]:
    *batch, n, _ = a.shape
    lower = eqn.params["lower"]

    def before(a: Any) -> list[Any]:
        return finite_or_zero(from_lower(a if lower else adjoint(triu(a))))

    def after(v: Any, w: Any, info: Any, ok: Any, power: Any) -> list[Any]:
        return _unless_failed(ok, info, v, restored(w, power))

    small, ok, power = expand(b, (eigh_p, "cuda", lower), together(before, 2), a)
    outs = [
        ((a.dtype, a.shape), 2),
        ((dtypes.real_dtype(a.dtype), (*batch, n)), 1),
        ((_I32, (*batch,)), 0),
    ]
    found = _call(
        b, "cusolver_syevd_ffi", [(small, 2)], outs, (0, 0), algorithm=np.uint8(0), lower=True
    )
    v, w = expand(b, (eigh_p, "cuda after"), together(after, 2, 1, 0, 0, 0), *found, ok, power)
    return [v, w] if eqn.params["compute_vectors"] else [w]


@_rule(tridiagonal_p, "cusolver_sytrd_ffi")
def _tridiagonal(b: Builder, eqn: JaxprEqn, a: Value) -> list[Value]:
    *batch, n, _ = a.shape

    def after(packed: Any, d: Any, e: Any, taus: Any, info: Any, ok: Any) -> list[Any]:
        return _unless_failed(ok, info, packed, d, e, taus)

    safe, ok = expand(b, (tridiagonal_p, "cuda"), together(_safe, 2), a)
    ranks = (2, 1, 1, 1)
    outs = [((v.aval.dtype, v.aval.shape), r) for v, r in zip(eqn.outvars, ranks, strict=True)]
    outs.append(((_I32, (*batch,)), 0))
    found = _call(b, "cusolver_sytrd_ffi", [(safe, 2)], outs, (0, 0), **eqn.params)
    return expand(b, (tridiagonal_p, "cuda after"), together(after, *ranks, 0, 0), *found, ok)


def _pairs(w: Any, v: Any) -> Any:
    """Eigenvectors of a real matrix, of which those of two conjugate values are two columns: the
    real and the imaginary part of the first."""
    n = v.shape[0]
    follows = lax.cumsum(where(lax.imag(w) != 0, 1, 0), 0) % 2 == 0
    first = lax.bitwise_and(lax.imag(w) != 0, lax.bitwise_not(follows))
    second = lax.bitwise_and(lax.imag(w) != 0, follows)
    zero = constant(0, v)
    right = lax.pad(v, zero, [(0, 0, 0), (-1, 1, 0)]) if n > 1 else v
    left = lax.pad(v, zero, [(0, 0, 0), (1, -1, 0)]) if n > 1 else v
    re = where(second[None, :], left, v)
    im = where(first[None, :], right, where(second[None, :], -v, zero))
    return lax.complex(re, im)


@_rule(eig_p, "cusolver_geev_ffi")
def _eig(b: Builder, eqn: JaxprEqn, a: Value) -> list[Value] | None:
    p = eqn.params
    if p["compute_left_eigenvectors"] or nvidia.cuda_version() < _GENERAL_EIGENVALUES:
        return None
    *batch, n, _ = a.shape
    right = p["compute_right_eigenvectors"]
    whole = a.dtype in dtypes.COMPLEX

    def after(w: Any, v: Any, info: Any, ok: Any, power: Any) -> list[Any]:
        vectors = [unit_columns(v if whole else _pairs(w, v), w, not whole)] if right else []
        return _unless_failed(ok, info, restored(w, power), *vectors)

    small, ok, power = expand(b, (eig_p, "cuda"), together(finite_or_zero, 2), a)
    matrix = ((a.dtype, a.shape), 2)
    values = ((dtypes.complex_dtype(a.dtype), (*batch, n)), 1)
    outs = [matrix, values, matrix, matrix, ((_I32, (*batch,)), 0)]
    _, w, _, v, info = _call(b, "cusolver_geev_ffi", [(small, 2)], outs, left=False, right=right)
    key = (eig_p, "cuda after", right)
    return expand(b, key, together(after, 1, 2, 0, 0, 0), w, v, info, ok, power)


# --- singular values --------------------------------------------------------------------------


@_rule(svd_p, "cusolver_gesvd_ffi", "cusolver_gesvdj_ffi")
def _svd(b: Builder, eqn: JaxprEqn, a: Value) -> list[Value]:
    p = eqn.params
    full, vectors = p["full_matrices"], p["compute_uv"]
    *batch, m, n = a.shape
    wide = m < n
    if wide:
        m, n = n, m

    def before(a: Any) -> list[Any]:
        return finite_or_zero(adjoint(a) if wide else a)

    by_rotations = m <= _BY_ROTATIONS and not p["by_qr"]

    def after(s: Any, u: Any, v: Any, info: Any, ok: Any, power: Any) -> list[Any]:
        both: tuple[Any, ...] = ()
        if vectors:
            # Rotations give V, the other algorithm its adjoint.
            u, vh = u if full else u[:, :n], adjoint(v) if by_rotations else v
            both = (adjoint(vh), adjoint(u)) if wide else (u, vh)
        return _unless_failed(ok, info, restored(s, power), *both)

    small, ok, power = expand(b, (svd_p, "cuda", wide), together(before, 2), a)
    of_u = (*batch, m, m if full or by_rotations else n)
    of_v = (*batch, n, n)
    rank = 2
    if not vectors and not by_rotations:
        of_u = of_v = (*batch,)
        rank = 0
    outs: list[tuple[Type, int]] = [
        ((a.dtype, (*batch, m, n)), 2), ((dtypes.real_dtype(a.dtype), (*batch, n)), 1),
        ((a.dtype, of_u), rank), ((a.dtype, of_v), rank), ((_I32, (*batch,)), 0),
    ]  # fmt: skip
    name, more = "cusolver_gesvd_ffi", {"full_matrices": full, "transposed": False}
    if by_rotations:
        name, more = "cusolver_gesvdj_ffi", {"full_matrices": True}
    found = _call(b, name, [(small, 2)], outs, (0, 0), compute_uv=vectors, **more)
    key = (svd_p, "cuda after", wide, full, vectors, by_rotations)
    ranks = (1, rank, rank, 0, 0, 0)
    return expand(b, key, together(after, *ranks), *found[1:], ok, power)


# --- tridiagonal systems ----------------------------------------------------------------------


@_rule(tridiagonal_solve_p, "cusparse_gtsv2_ffi")
def _tridiagonal_solve(
    b: Builder, eqn: JaxprEqn, dl: Value, d: Value, du: Value, rhs: Value
) -> Value | None:
    n = d.shape[-1]
    if n < _TRIDIAGONAL_ROWS or eqn.params["perturb_singular"]:
        return None

    def before(dl: Any, du: Any) -> list[Any]:
        i = positions((n,))
        return [where(i == 0, 0.0, dl), where(i == n - 1, 0.0, du)]

    dl, du = expand(b, (tridiagonal_solve_p, "cuda"), together(before, 1, 1), dl, du)
    operands = [(dl, 1), (d, 1), (du, 1), (rhs, 2)]
    out = ((rhs.dtype, rhs.shape), 2)
    return _call(b, "cusparse_gtsv2_ffi", operands, [out], (3, 0))[0]
