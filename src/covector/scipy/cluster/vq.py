"""Vector quantisation (`covector.scipy.cluster.vq`)."""

from __future__ import annotations

from typing import Any

from covector import numpy as cnp
from covector.core import dtypes
from covector.core.avals import aval_of
from covector.core.errors import at_user_line
from covector.core.errors import export as _export
from covector.numpy._util import array, fused, promote_inexact

__all__ = ["vq"]


@fused("check_finite")
def vq(obs: Any, code_book: Any, check_finite: bool = True) -> tuple[Any, Any]:
    """The code of the code book that is nearest to each observation.

    Parameters
    ----------
    obs : array_like
        Observations, in the rows of a matrix; a vector for those of one number.
    code_book : array_like
        Codes, alike.
    check_finite : bool
        Not used: compiled functions do not raise.

    Returns
    -------
    codes : Array
        Index of the nearest code of each observation, the first of several.
    dists : Array
        Euclidean distances to them.

    Raises
    ------
    ValueError
        If ``obs`` and ``code_book`` are not both vectors or matrices of rows of one length, or
        there are no codes.
    TypeError
        If they are complex.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.scipy.cluster.vq import vq
    >>> vq(np.array([[1.0, 2.0], [4.0, 4.0]]), np.array([[1.0, 1.0], [4.0, 4.0]]))
    (Array([0, 1], dtype=int32), Array([1., 0.], dtype=float32))
    """
    x, codes = (array(v, "vq") for v in promote_inexact("vq", obs, code_book))
    given = f"obs {aval_of(obs).str_short()} and code_book {aval_of(code_book).str_short()}"
    if x.dtype in dtypes.COMPLEX:
        raise TypeError(f"vq takes real numbers, got {given}{at_user_line()}")
    if x.ndim != codes.ndim or x.ndim not in (1, 2) or x.shape[1:] != codes.shape[1:]:
        raise ValueError(
            "vq: obs and code_book must both be vectors, or matrices of as many columns, got "
            f"{given}{at_user_line()}"
        )
    if not codes.shape[0]:
        raise ValueError(f"vq: code_book must hold a code, got {given}{at_user_line()}")
    if x.ndim == 1:
        x, codes = x[:, None], codes[:, None]
    squares = cnp.sum(cnp.square(x[:, None, :] - codes[None, :, :]), -1)
    least = cnp.min(squares, -1)
    # The root has no slope at 0, where the distance has none either.
    zero = least == 0
    dists = cnp.where(zero, 0.0, cnp.sqrt(cnp.where(zero, 1.0, least)))
    return cnp.argmin(squares, -1), dists


_export(globals(), __all__)
