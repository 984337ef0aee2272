"""The algorithms that spectral decompositions can be asked for."""

from __future__ import annotations

import enum


class EigImplementation(enum.Enum):
    """Where `eig` is computed.

    Examples
    --------
    >>> from covector import lax
    >>> lax.linalg.EigImplementation.LAPACK.value
    'lapack'
    """

    CUSOLVER = "cusolver"
    MAGMA = "magma"
    LAPACK = "lapack"


class EighImplementation(enum.Enum):
    """The algorithm of `eigh`.

    Examples
    --------
    >>> from covector import lax
    >>> lax.linalg.EighImplementation.QR.value
    'qr'
    """

    QR = "qr"
    JACOBI = "jacobi"
    QDWH = "qdwh"


class SvdAlgorithm(enum.Enum):
    """The algorithm of `svd`.

    Examples
    --------
    >>> from covector import lax
    >>> lax.linalg.SvdAlgorithm.QR.value
    'QR'
    """

    DEFAULT = "default"
    QR = "QR"
    JACOBI = "Jacobi"
    POLAR = "polar"
    DIVIDE_AND_CONQUER = "divide_and_conquer"
