"""Linear algebra: StableHLO's operations and XLA's expansions, else portable implementations."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from covector.backends.pjrt.lower import rule
from covector.backends.pjrt.portable import (
    cholesky,
    exponential,
    jacobi,
    lu,
    orthogonal,
    schur,
    systems,
)
from covector.backends.pjrt.portable.common import (
    finite,
    nan_unless,
    one_by_one,
    restored,
    scaled,
    together,
    where,
)
from covector.backends.pjrt.rules.elementwise import conj
from covector.backends.pjrt.rules.expansions import expand
from covector.backends.pjrt.text import Builder, Value
from covector.control_flow.householder import (
    apply_reflections,
    householder_product_p,
    ormqr_p,
    reflect,
)
from covector.control_flow.reductions import hessenberg_p, tridiagonal_p
from covector.core import dtypes
from covector.core.jaxpr import JaxprEqn
from covector.core.trace import Primitive
from covector.primitives.linalg.common import (
    eye_like,
    matmul,
    matrix_transpose,
    tril,
)
from covector.primitives.linalg.exponential import expm_frechet_p, expm_p
from covector.primitives.linalg.lu import lu_p, lu_pivots_to_permutation_p
from covector.primitives.linalg.qr import geqrf_p, qr_p
from covector.primitives.linalg.schur import schur_p, triangular_sylvester_p
from covector.primitives.linalg.spectral import eig_p, eigh_p, svd_p
from covector.primitives.linalg.symmetric import symmetric_product_p
from covector.primitives.linalg.triangular import cholesky_p, cholesky_update_p, triangular_solve_p
from covector.primitives.linalg.tridiagonal import eigh_tridiagonal_p, tridiagonal_solve_p
from covector.primitives.structure import full_like

# Platforms whose compiler is XLA, which has expansions of these calls.
_XLA = ("xla_cpu", "cuda", "rocm", "tpu")


def _outs(eqn: JaxprEqn) -> list[tuple[Any, tuple[int, ...]]]:
    return [(v.aval.dtype, v.aval.shape) for v in eqn.outvars]


def _call(b: Builder, target: str, xs: Sequence[Value], eqn: JaxprEqn) -> list[Value]:
    """A call of what XLA knows by name."""
    return b.ops("stablehlo.custom_call", xs, _outs(eqn), f'call_target_name = "{target}"')


Batches = Callable[..., Callable[..., Any]]


def _portable(
    prim: Primitive, fn: Callable[..., Any], *ranks: int, over: Batches = together
) -> None:
    """The rule of a primitive that is written down as ``fn`` of single matrices."""

    @rule(prim)
    def write(b: Builder, eqn: JaxprEqn, *xs: Value) -> Any:
        outs = _outs(eqn)
        if not any(np.prod(shape) for _, shape in outs):
            made = [b.constant(0, dtype, shape) for dtype, shape in outs]
        else:
            key = (prim, tuple(sorted(eqn.params.items())))
            fun = over(functools.partial(fn, **eqn.params), *ranks)
            made = expand(b, key, fun, *xs)
        return made if prim.multiple_results else made[0]


_portable(lu_p, lu.lu, 2)
_portable(lu_pivots_to_permutation_p, lu.permutation, 1)
_portable(qr_p, orthogonal.qr, 2)
_portable(eigh_p, jacobi.eigh, 2)
_portable(eigh_tridiagonal_p, jacobi.eigh_tridiagonal, 1, 1)
_portable(svd_p, jacobi.svd, 2)
_portable(schur_p, schur.schur, 2, over=one_by_one)
_portable(eig_p, schur.eig, 2, over=one_by_one)
_portable(hessenberg_p, schur.hessenberg, 2)
_portable(tridiagonal_p, schur.tridiagonal, 2)
_portable(triangular_sylvester_p, systems.triangular_sylvester, 2, 2, 2)
_portable(tridiagonal_solve_p, systems.tridiagonal_solve, 1, 1, 1, 2)
_portable(cholesky_update_p, cholesky.cholesky_update, 2, 1)
_portable(symmetric_product_p, lambda a: matmul(a, matrix_transpose(a)), 2)
_portable(ormqr_p, apply_reflections, 2, 1, 2)
_portable(expm_p, exponential.expm, 2)
_portable(expm_frechet_p, exponential.expm_frechet, 2, 2)


# XLA's compiler for CPUs factors column by column, which from this size on is slower than blocks.
_SLOW_CHOLESKY = 64


# --- Cholesky and triangular systems ----------------------------------------------------------


@rule(cholesky_p)
def _cholesky(b: Builder, eqn: JaxprEqn, a: Value) -> Value:
    upper = eqn.params["upper"]
    if not np.prod(a.shape):
        return a
    (a,) = expand(b, (cholesky_p, "before"), cholesky.real_diagonal, a)
    if b.platform == "xla_cpu" and a.shape[-1] >= _SLOW_CHOLESKY:
        whole = together(functools.partial(cholesky.by_blocks, upper=upper), 2)
        (factor,) = expand(b, (cholesky_p, "blocks", upper), whole, a)
    else:
        attrs = f"lower = {_flag(not upper)}"
        factor = b.op("stablehlo.cholesky", (a,), a.dtype, a.shape, attrs)
    check = together(functools.partial(cholesky.checked, upper=upper), 2)
    return expand(b, (cholesky_p, "after", upper), check, factor)[0]


def _flag(value: bool) -> str:
    return "true" if value else "false"


@rule(triangular_solve_p)
def _triangular_solve(b: Builder, eqn: JaxprEqn, a: Value, rhs: Value) -> Value:
    p = eqn.params
    if not np.prod(rhs.shape):
        return rhs
    conjugated = p["conjugate_a"] and a.dtype in dtypes.COMPLEX
    if conjugated and not p["transpose_a"]:
        a = conj(b, a)
    kind = "NO_TRANSPOSE"
    if p["transpose_a"]:
        kind = "ADJOINT" if conjugated else "TRANSPOSE"
    attrs = (
        f"left_side = {_flag(p['left_side'])}, lower = {_flag(p['lower'])}, "
        f"unit_diagonal = {_flag(p['unit_diagonal'])}, "
        f"transpose_a = #stablehlo<transpose {kind}>"
    )
    return b.op("stablehlo.triangular_solve", (a, rhs), rhs.dtype, rhs.shape, attrs)


# --- Householder reflections ------------------------------------------------------------------


def finite_or_zero(a: Any) -> list[Any]:
    ok = finite(a)
    small, power = scaled(where(ok, a, 0.0))
    return [small, ok, power]


def _packed_again(packed: Any, taus: Any, ok: Any, power: Any) -> list[Any]:
    r = tril(full_like(packed, True, dtypes.bool_), -1)
    packed = where(r, packed, restored(packed, power))
    return [nan_unless(ok, packed), nan_unless(ok, taus)]


def geqrf_by(b: Builder, a: Value, call: Callable[[Value], Sequence[Value]]) -> list[Value]:
    """The packed factors by a call, out of which stay what is not finite and numbers whose squares
    overflow."""
    safe, ok, power = expand(b, (geqrf_p, "before"), together(finite_or_zero, 2), a)
    packed, taus = call(safe)
    after = together(_packed_again, 2, 1, 0, 0)
    return expand(b, (geqrf_p, "after"), after, packed, taus, ok, power)


@rule(geqrf_p)
def _geqrf(b: Builder, eqn: JaxprEqn, a: Value) -> list[Value]:
    if b.platform not in _XLA or not np.prod(eqn.outvars[1].aval.shape):
        return expand(b, geqrf_p, together(orthogonal.geqrf, 2), a)
    return geqrf_by(b, a, lambda safe: _call(b, "Qr", (safe,), eqn))


@rule(householder_product_p)
def _householder_product(b: Builder, eqn: JaxprEqn, a: Value, taus: Value) -> Value:
    if b.platform in _XLA and np.prod(taus.shape):
        return _call(b, "ProductOfElementaryHouseholderReflectors", (a, taus), eqn)[0]

    def product(a: Any, taus: Any) -> Any:
        one = eye_like(a)
        return reflect(a, taus, one) if taus.size else one

    return expand(b, householder_product_p, product, a, taus)[0]
