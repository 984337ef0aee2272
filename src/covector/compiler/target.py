"""What programs are lowered and scheduled for: what a processor and its libraries offer."""

from __future__ import annotations

from covector.core import dtypes
from covector.core.dtypes import DType
from covector.core.record import Record

# Arrays of at most this many elements live in registers; each element is unrolled code.
REGISTER_ELEMENTS = 64
# Loops of at most this many rounds are written out inside the lanes of vectors, one lane to a row.
SHORT_ROW = 12
# Products that one value may unroll to.
UNROLL_VALUE = 2048


class MatrixProduct(Record):
    """A product of matrices, about which a backend is asked: a library call, or loops?

    Numbers are None where they depend on run-time sizes.

    Attributes
    ----------
    dtype : DType
        Of the result.
    operands : DType
        Of both operands.
    few : int, optional
        Rows or columns of the result, whichever are fewer.
    work, matrix_work, size : int, optional
        Numbers multiplied altogether, those of one matrix of the batch, elements of the result;
    outer, inner : bool
        Whether nothing is summed; whether everything is, to one number.
    each : int, optional
        Numbers multiplied for one index of the axes that are long, where one operand has none.
    """

    dtype: DType
    operands: DType
    few: int | None
    work: int | None
    matrix_work: int | None
    size: int | None
    outer: bool
    inner: bool = False
    each: int | None = None


class Library(Record):
    """The library calls there are, and when they are better than loops.

    Attributes
    ----------
    calls : frozenset of str
        Kinds of calls.
    products : frozenset of DType
        Whose matrices can be multiplied; smaller floats are converted.
    integers : frozenset of DType
        Whose matrices can be multiplied to int32, modulo 2³²; those of 8 bits also with each other.
    halves : frozenset of DType
        Whose matrices can be multiplied to float32 with up to ``few`` rows or columns.
    few : int
    small : int
        Numbers multiplied in a product of matrices that loops do as fast.
    each : int
        Numbers multiplied in a product of a short matrix and the rows of a long one, for one of
        them, up to which the code of loops holds the short one.
    """

    calls: frozenset[str]
    products: frozenset[DType] = frozenset(
        (dtypes.float32, dtypes.float64, dtypes.complex64, dtypes.complex128)
    )
    integers: frozenset[DType] = frozenset((dtypes.int8, dtypes.uint8, dtypes.int16))
    halves: frozenset[DType] = frozenset((dtypes.float16, dtypes.bfloat16))
    few: int = 16
    small: int = 512
    each: int = 64

    def multiplies(self, p: MatrixProduct) -> DType | None:
        """The dtype of the operands of a library call; None where loops are better."""
        small = p.matrix_work is not None and p.matrix_work <= self.small
        small |= p.each is not None and p.each <= self.each
        unrolled = (
            p.work is not None and p.size is not None
            and p.work <= UNROLL_VALUE and p.size <= REGISTER_ELEMENTS
        )  # fmt: skip
        if "gemm" not in self.calls or p.outer or p.inner or small or unrolled:
            return None
        if p.dtype in dtypes.INTEGERS:
            return p.operands if p.operands in self.integers and p.dtype.itemsize <= 4 else None
        if p.dtype in self.products and p.dtype != dtypes.float32:
            return p.dtype
        if p.dtype not in dtypes.FLOATS:
            return None
        few = p.few is not None and p.few <= self.few
        return p.operands if few and p.operands in self.halves else dtypes.float32

    def product_of(self, operands: DType) -> DType:
        """The dtype of what a library call makes of operands of a dtype."""
        if operands in self.integers:
            return dtypes.int32
        return dtypes.float32 if operands in self.halves else operands


# Calls of the runtime library of the native core.
NATIVE = Library(
    frozenset(
        "gemm sort top_k partition search_rows callback cholesky triangular_solve lu "
        "pivots_to_permutation qr geqrf householder_product eigh svd eig symmetric_product "
        "hessenberg tridiagonal ormqr schur triangular_sylvester tridiagonal_solve "
        "eigh_tridiagonal cholesky_update exponential fft convolution".split()
    )
)


class Target(Record):
    """A processor as lowering and scheduling see it.

    Attributes
    ----------
    vector_bytes : int
        Bytes of one vector.
    library : Library
    """

    vector_bytes: int = 64
    library: Library = NATIVE

    def lanes(self, itemsize: int) -> int:
        """Elements of a vector."""
        return self.vector_bytes // itemsize


# The number of threads is no part of it: loops are cut into tasks of a fixed size, so that
# results do not depend on it.
HOST = Target()
