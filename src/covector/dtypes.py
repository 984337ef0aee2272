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

bfloat16 = ml_dtypes.bfloat16


def result_type(*args: Any, return_weak_type_flag: bool = False) -> Any:
    """The dtype that arrays, scalars and dtypes promote to together.

    Parameters
    ----------
    *args
        Arrays, Python scalars, dtypes.
    return_weak_type_flag : bool
        Return a pair with the weak type of the result.
    """
    if not args:
        raise ValueError("result_type takes at least one array or dtype")
    pairs = tuple(_dtype_and_weak(x) for x in args)
    dtype, weak = _dtypes.promote(pairs)
    dtype = canonicalize_dtype(dtype)
    return (dtype, weak) if return_weak_type_flag else dtype


def _dtype_and_weak(x: Any) -> tuple[Any, bool]:
    if x in (bool, int, float, complex) if isinstance(x, type) else False:
        return _dtypes.as_dtype(x), x is not bool
    try:
        aval = aval_of(x)
    except TypeError:
        return canonicalize_dtype(x), False
    return aval.dtype, aval.weak_type


def scalar_type_of(x: Any) -> type:
    """The Python scalar type of the kind of an array or scalar."""
    dtype = aval_of(x).dtype
    return (bool, int, float, complex)[_dtypes.kind_rank(dtype)]


def itemsize_bits(dtype: Any) -> int:
    """Number of bits of an element."""
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
