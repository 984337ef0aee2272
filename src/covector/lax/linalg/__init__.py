"""Factorisations of matrices and triangular systems (`covector.lax.linalg`).

Matrices are in the last two dimensions of arrays, the leading ones are a batch. Where a
factorisation fails, or an operand is not finite, results are NaN.
"""

from covector.control_flow.householder import householder_product_p
from covector.core.errors import export as _export
from covector.lax.linalg.lu import lu, lu_pivots_to_permutation
from covector.lax.linalg.qr import geqrf, householder_product, qr
from covector.lax.linalg.spectral import eig, eigh, svd
from covector.lax.linalg.triangular import cholesky, triangular_solve
from covector.primitives.linalg.lu import lu_p, lu_pivots_to_permutation_p
from covector.primitives.linalg.qr import geqrf_p, qr_p
from covector.primitives.linalg.spectral import eig_p, eigh_p, svd_p
from covector.primitives.linalg.triangular import cholesky_p, triangular_solve_p

__all__ = [
    "cholesky", "cholesky_p", "eig", "eig_p", "eigh", "eigh_p", "geqrf", "geqrf_p",
    "householder_product", "householder_product_p", "lu", "lu_p", "lu_pivots_to_permutation",
    "lu_pivots_to_permutation_p", "qr", "qr_p", "svd", "svd_p", "triangular_solve",
    "triangular_solve_p",
]  # fmt: skip

_export(globals(), __all__)
