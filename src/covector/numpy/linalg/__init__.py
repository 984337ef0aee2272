"""NumPy's linear algebra (`covector.numpy.linalg`).

Matrices are in the last two dimensions of arrays, the leading ones are a batch. Where a
factorisation fails, or an operand is not finite, results are NaN; nothing is raised.
"""

from covector.core.errors import export as _export
from covector.numpy.linalg._factorizations import (
    EighResult,
    EigResult,
    QRResult,
    SVDResult,
    cholesky,
    eig,
    eigh,
    eigvals,
    eigvalsh,
    qr,
    svd,
    svdvals,
)
from covector.numpy.linalg._norms import (
    cond,
    matrix_norm,
    matrix_rank,
    norm,
    vector_norm,
)
from covector.numpy.linalg._products import (
    cross,
    diagonal,
    matmul,
    matrix_power,
    matrix_transpose,
    multi_dot,
    outer,
    tensordot,
    trace,
    vecdot,
)
from covector.numpy.linalg._systems import (
    SlogdetResult,
    det,
    inv,
    lstsq,
    pinv,
    slogdet,
    solve,
    tensorinv,
    tensorsolve,
)

__all__ = [
    "EigResult", "EighResult", "QRResult", "SVDResult", "SlogdetResult", "cholesky", "cond",
    "cross", "det", "diagonal", "eig", "eigh", "eigvals", "eigvalsh", "inv", "lstsq", "matmul",
    "matrix_norm", "matrix_power", "matrix_rank", "matrix_transpose", "multi_dot", "norm", "outer",
    "pinv", "qr", "slogdet", "solve", "svd", "svdvals", "tensordot", "tensorinv", "tensorsolve",
    "trace", "vecdot", "vector_norm",
]  # fmt: skip

_export(globals(), __all__)
