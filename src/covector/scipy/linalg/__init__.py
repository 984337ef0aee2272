"""SciPy's linear algebra (`covector.scipy.linalg`).

Matrices are in the last two dimensions of arrays, the leading ones are a batch. Where a
factorisation fails, or an operand is not finite, results are NaN; nothing is raised.
"""

from covector.core.errors import export as _export
from covector.scipy.linalg._decompositions import (
    hessenberg,
    polar,
    qr,
    qr_multiply,
    rsf2csf,
    schur,
    svd,
)
from covector.scipy.linalg._functions import expm, expm_frechet, funm, solve_sylvester, sqrtm
from covector.scipy.linalg._hermitian import eigh, eigh_tridiagonal
from covector.scipy.linalg._matrices import (
    block_diag,
    circulant,
    companion,
    convolution_matrix,
    fiedler,
    fiedler_companion,
    hankel,
    leslie,
    toeplitz,
)
from covector.scipy.linalg._named import (
    dft,
    hadamard,
    helmert,
    hilbert,
    invhilbert,
    invpascal,
    pascal,
)
from covector.scipy.linalg._systems import (
    cho_factor,
    cho_solve,
    cholesky,
    det,
    inv,
    lu,
    lu_factor,
    lu_solve,
    solve,
    solve_triangular,
)

__all__ = [
    "block_diag", "cho_factor", "cho_solve", "cholesky", "circulant", "companion",
    "convolution_matrix", "det", "dft", "eigh", "eigh_tridiagonal", "expm", "expm_frechet",
    "fiedler", "fiedler_companion", "funm", "hadamard", "hankel", "helmert", "hessenberg",
    "hilbert", "inv", "invhilbert", "invpascal", "leslie", "lu", "lu_factor", "lu_solve", "pascal",
    "polar", "qr", "qr_multiply", "rsf2csf", "schur", "solve", "solve_sylvester",
    "solve_triangular", "sqrtm", "svd", "toeplitz",
]  # fmt: skip

_export(globals(), __all__)
