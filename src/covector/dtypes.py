"""Element types and their promotion (`covector.dtypes`)."""

from typing import Any

import ml_dtypes

from covector.core import dtypes as _dtypes
from covector.core.avals import aval_of
from covector.core.dtypes import (
    canonicalize_dtype,
    extended,
    finfo,
    float0,
    iinfo,
    issubdtype,
    prng_key,
)
from covector.core.errors import TypePromotionError
from covector.core.errors import export as _export

bfloat16 = ml_dtypes.bfloat16


def result_type(*args: Any, return_weak_type_flag: bool = False) -> Any:
    """The dtype that arrays, scalars and dtypes promote to together.

    Parameters
    ----------
    *args
        Arrays, Python scalars, dtypes. Python scalars and their types are weak: they do not widen
        arrays of the same kind.
    return_weak_type_flag : bool
        Return a pair with the weak type of the result.

    Returns
    -------
    dtype
        Of 32 bits at most unless ``enable_x64`` is set.

    Raises
    ------
    ValueError
        Without arguments.
    TypePromotionError
        If there is no such dtype, or dtypes are mixed under strict promotion.

    Examples
    --------
    >>> import covector as cv
    >>> cv.dtypes.result_type("int8", 1000)
    dtype('int8')
    >>> cv.dtypes.result_type("int8", "uint8")
    dtype('int16')
    >>> cv.dtypes.result_type("int32", "float16")
    dtype('float16')
    """
    if not args:
        raise ValueError("result_type takes at least one array or dtype")
    pairs = tuple(_dtype_and_weak(x) for x in args)
    dtype, weak = _dtypes.promote(pairs)
    dtype = canonicalize_dtype(dtype)
    return (dtype, weak) if return_weak_type_flag else dtype


def _dtype_and_weak(x: Any) -> tuple[Any, bool]:
    if _dtypes.is_python_type(x):
        return _dtypes.as_dtype(x), x is not bool
    try:
        aval = aval_of(x)
    except TypeError:
        return canonicalize_dtype(x), False
    return aval.dtype, aval.weak_type


def scalar_type_of(x: Any) -> type:
    """The Python scalar type of the kind of an array or scalar.

    Parameters
    ----------
    x : array or scalar

    Returns
    -------
    type
        bool, int, float or complex.

    Examples
    --------
    >>> import covector as cv
    >>> cv.dtypes.scalar_type_of(cv.numpy.ones(2, "bfloat16"))
    <class 'float'>
    """
    dtype = aval_of(x).dtype
    return (bool, int, float, complex)[_dtypes.kind_rank(dtype)]


def itemsize_bits(dtype: Any) -> int:
    """Number of bits of an element.

    Parameters
    ----------
    dtype : dtype

    Returns
    -------
    int
        8 for booleans, which are stored as bytes.

    Examples
    --------
    >>> import covector as cv
    >>> cv.dtypes.itemsize_bits("bfloat16"), cv.dtypes.itemsize_bits(bool)
    (16, 8)
    """
    dt = _dtypes.as_dtype(dtype)
    return 8 if dt == _dtypes.bool_ else int(dt.itemsize) * 8


__all__ = [
    "TypePromotionError",
    "bfloat16",
    "canonicalize_dtype",
    "extended",
    "finfo",
    "float0",
    "iinfo",
    "issubdtype",
    "itemsize_bits",
    "prng_key",
    "result_type",
    "scalar_type_of",
]

_export(globals(), __all__)
