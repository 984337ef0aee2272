"""Factorisations of matrices and triangular systems (`covector.lax.linalg`).

Matrices are in the last two dimensions of arrays, the leading ones are a batch. Where a
factorisation fails, or an operand is not finite, results are NaN.
"""

from covector.control_flow.householder import householder_product_p, ormqr_p
from covector.control_flow.reductions import hessenberg_p, tridiagonal_p
from covector.core.errors import export as _export
from covector.lax.linalg.forms import hessenberg, ormqr, schur, tridiagonal
from covector.lax.linalg.implementations import (
    EighImplementation,
    EigImplementation,
    SvdAlgorithm,
)
from covector.lax.linalg.lu import lu, lu_pivots_to_permutation
from covector.lax.linalg.polar import qdwh
from covector.lax.linalg.qr import geqrf, householder_product, qr
from covector.lax.linalg.spectral import eig, eigh, svd
from covector.lax.linalg.triangular import cholesky, triangular_solve
from covector.lax.linalg.updates import cholesky_update, symmetric_product, tridiagonal_solve
from covector.primitives.linalg.lu import lu_p, lu_pivots_to_permutation_p
from covector.primitives.linalg.qr import geqrf_p, qr_p
from covector.primitives.linalg.schur import schur_p, triangular_sylvester_p
from covector.primitives.linalg.spectral import eig_p, eigh_p, svd_p
from covector.primitives.linalg.symmetric import symmetric_product_p
from covector.primitives.linalg.triangular import (
    cholesky_p,
    cholesky_update_p,
    triangular_solve_p,
)
from covector.primitives.linalg.tridiagonal import eigh_tridiagonal_p, tridiagonal_solve_p

__all__ = [
    "EigImplementation", "EighImplementation", "SvdAlgorithm", "cholesky", "cholesky_p",
    "cholesky_update", "cholesky_update_p", "eig", "eig_p", "eigh", "eigh_p",
    "eigh_tridiagonal_p", "geqrf", "geqrf_p", "hessenberg", "hessenberg_p", "householder_product",
    "householder_product_p", "lu", "lu_p", "lu_pivots_to_permutation",
    "lu_pivots_to_permutation_p", "ormqr", "ormqr_p", "qdwh", "qr", "qr_p", "schur", "schur_p",
    "svd", "svd_p", "symmetric_product", "symmetric_product_p", "triangular_solve",
    "triangular_solve_p", "triangular_sylvester_p", "tridiagonal", "tridiagonal_p",
    "tridiagonal_solve", "tridiagonal_solve_p",
]  # fmt: skip

_export(globals(), __all__)
