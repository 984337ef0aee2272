"""Dtypes as NumPy names them: scalar types that make arrays, limits, queries."""

from __future__ import annotations

import math
from typing import Any

import numpy as onp

from covector.core import dtypes
from covector.core.avals import aval_of, is_array_like
from covector.core.errors import at_user_line, boundaries, describe
from covector.numpy.creation import array


@boundaries
class _ScalarType(type):
    """Type of the scalar types: calling one makes an array of its dtype."""

    dtype: Any

    def __call__(cls, x: Any = 0) -> Any:
        return array(x, dtypes.canonicalize_dtype(cls.dtype))

    def __eq__(cls, other: object) -> bool:
        if cls is other:
            return True
        try:
            return bool(cls.dtype == dtypes.as_dtype(other))
        except TypeError:
            return False

    def __ne__(cls, other: object) -> bool:
        return not cls == other

    def __hash__(cls) -> int:
        return hash(cls.dtype.type)

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, cls.dtype.type)

    def __repr__(cls) -> str:
        return f"<class 'covector.numpy.{cls.__name__}'>"


def _scalar_type(name: str, dtype: Any) -> Any:
    doc = f"The dtype {dtype.name}; called with a value, an array of that dtype."
    return _ScalarType(name, (), {"dtype": dtype, "__doc__": doc, "__slots__": ()})


bool_ = _scalar_type("bool_", dtypes.bool_)
int8 = _scalar_type("int8", dtypes.int8)
int16 = _scalar_type("int16", dtypes.int16)
int32 = _scalar_type("int32", dtypes.int32)
int64 = _scalar_type("int64", dtypes.int64)
uint8 = _scalar_type("uint8", dtypes.uint8)
uint16 = _scalar_type("uint16", dtypes.uint16)
uint32 = _scalar_type("uint32", dtypes.uint32)
uint64 = _scalar_type("uint64", dtypes.uint64)
float16 = _scalar_type("float16", dtypes.float16)
bfloat16 = _scalar_type("bfloat16", dtypes.bfloat16)
float32 = _scalar_type("float32", dtypes.float32)
float64 = _scalar_type("float64", dtypes.float64)
complex64 = _scalar_type("complex64", dtypes.complex64)
complex128 = _scalar_type("complex128", dtypes.complex128)
float4_e2m1fn, float6_e2m3fn, float6_e3m2fn = (
    _scalar_type(name, onp.dtype(name))
    for name in ("float4_e2m1fn", "float6_e2m3fn", "float6_e3m2fn")
)
(
    float8_e3m4,
    float8_e4m3,
    float8_e4m3b11fnuz,
    float8_e4m3fn,
    float8_e4m3fnuz,
    float8_e5m2,
    float8_e5m2fnuz,
    float8_e8m0fnu,
) = (
    _scalar_type(f"float8_{name}", onp.dtype(f"float8_{name}"))
    for name in ("e3m4", "e4m3", "e4m3b11fnuz", "e4m3fn", "e4m3fnuz", "e5m2", "e5m2fnuz", "e8m0fnu")
)
int1, int2, int4, uint1, uint2, uint4 = (
    _scalar_type(name, onp.dtype(name))
    for name in ("int1", "int2", "int4", "uint1", "uint2", "uint4")
)
single, double, csingle, cdouble = float32, float64, complex64, complex128
int_, uint, float_, complex_ = int64, uint64, float64, complex128

dtype = onp.dtype
generic, number, integer = onp.generic, onp.number, onp.integer
signedinteger, unsignedinteger = onp.signedinteger, onp.unsignedinteger
inexact, floating, complexfloating = onp.inexact, onp.floating, onp.complexfloating
flexible, character, object_ = onp.flexible, onp.character, onp.object_
ComplexWarning = onp.exceptions.ComplexWarning
finfo, iinfo = dtypes.finfo, dtypes.iinfo

e, pi, euler_gamma = math.e, math.pi, float(onp.euler_gamma)
inf, nan = math.inf, math.nan
newaxis = None


def issubdtype(arg1: Any, arg2: Any) -> bool:
    """Whether the dtype ``arg1`` is ``arg2`` or below it in the hierarchy of scalar types.

    Parameters
    ----------
    arg1, arg2 : dtype or scalar type

    Returns
    -------
    bool

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.issubdtype(np.float32, np.floating), np.issubdtype(np.int32, np.floating)
    (True, False)
    """
    return dtypes.issubdtype(arg1, arg2)


def promote_types(a: Any, b: Any) -> Any:
    """The dtype that two dtypes promote to; Python types count as weak.

    Parameters
    ----------
    a, b : dtype

    Returns
    -------
    numpy.dtype

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.promote_types("int32", "float16"), np.promote_types("int16", "uint8")
    (dtype('float16'), dtype('int16'))
    """
    return dtypes.promote_types(a, b)


def result_type(*args: Any) -> Any:
    """The dtype that arrays, scalars and dtypes promote to together.

    Parameters
    ----------
    *args : array_like or dtype
        Python numbers and types count as weak.

    Returns
    -------
    numpy.dtype

    Raises
    ------
    ValueError
        If there are no arguments.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.result_type(np.zeros(2, "float16"), 1.5), np.result_type(1, np.float32)
    (dtype('float16'), dtype('float32'))
    """
    if not args:
        raise ValueError(f"result_type needs at least one argument{at_user_line()}")
    pairs = []
    for a in args:
        if dtypes.is_python_type(a):
            pairs.append((dtypes.scalar_dtype(a), a is not bool))
        elif hasattr(a, "aval") or is_array_like(a):
            aval = aval_of(a)
            pairs.append((aval.dtype, aval.weak_type))
        elif isinstance(a, _ScalarType):
            pairs.append((dtypes.canonicalize_dtype(a), False))
        else:
            pairs.append((dtypes.check_user_dtype(a, "result_type"), False))
    return dtypes.promote(tuple(pairs))[0]


def can_cast(from_: Any, to: Any, casting: str = "safe") -> bool:
    """Whether NumPy's rules allow the conversion of one dtype to another.

    Parameters
    ----------
    from_, to : dtype
        Not numbers: whether a value fits is not asked.
    casting : {'no', 'equiv', 'safe', 'same_kind', 'unsafe'}
        What is allowed.

    Returns
    -------
    bool

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.can_cast("int16", "int32"), np.can_cast("float32", "int32")
    (True, False)
    """
    for x in (from_, to):
        if isinstance(x, (bool, int, float, complex)) and not isinstance(x, onp.generic):
            raise TypeError(
                f"can_cast takes dtypes, got {describe(x)}: whether a number fits is not asked"
                f"{at_user_line()}"
            )
    return bool(onp.can_cast(dtypes.as_dtype(from_), dtypes.as_dtype(to), casting=casting))


_KINDS = {
    "bool": frozenset((dtypes.bool_,)),
    "signed integer": dtypes.SIGNED,
    "unsigned integer": dtypes.UNSIGNED,
    "integral": dtypes.INTEGERS,
    "real floating": dtypes.FLOATS,
    "complex floating": dtypes.COMPLEX,
    "numeric": dtypes.NUMERIC,
}


def isdtype(dtype: Any, kind: Any) -> bool:
    """Whether a dtype is of a kind: a name such as ``'real floating'``, a dtype, or a tuple.

    Parameters
    ----------
    dtype : dtype
    kind : str, dtype, or tuple of them
        ``"bool"``, ``"signed integer"``, ``"unsigned integer"``, ``"integral"``,
        ``"real floating"``, ``"complex floating"`` or ``"numeric"``.

    Returns
    -------
    bool

    Raises
    ------
    ValueError
        If ``kind`` is neither such a name nor a dtype.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.isdtype("float32", ("integral", "real floating"))
    True
    """
    dt = dtypes.as_dtype(dtype)
    for k in kind if isinstance(kind, tuple) else (kind,):
        if isinstance(k, str) and k in _KINDS:
            if dt in _KINDS[k]:
                return True
            continue
        try:
            if dt == dtypes.as_dtype(k):
                return True
        except TypeError as error:
            raise ValueError(
                f"isdtype: {describe(k)} is neither a dtype nor one of {', '.join(_KINDS)}"
                f"{at_user_line()}"
            ) from error
    return False
