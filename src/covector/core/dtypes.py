"""Element types, the promotion lattice with weak types, and the x64 switch.

The lattice is the one documented in JAX's "Type promotion semantics": Python scalars are
weakly typed and do not widen arrays of the same kind.
"""

from __future__ import annotations

import functools
import math
from typing import Any, NoReturn

import ml_dtypes
import numpy as np

from covector import _native
from covector.core import formats
from covector.core.config import config, x64_enabled
from covector.core.errors import (
    InconclusiveDimensionOperation,
    TypePromotionError,
    at_user_line,
    warn,
)

bfloat16 = np.dtype(ml_dtypes.bfloat16)
bool_ = np.dtype(np.bool_)
int8, int16, int32, int64 = (np.dtype(f"int{n}") for n in (8, 16, 32, 64))
uint8, uint16, uint32, uint64 = (np.dtype(f"uint{n}") for n in (8, 16, 32, 64))
float16, float32, float64 = (np.dtype(f"float{n}") for n in (16, 32, 64))
complex64, complex128 = np.dtype("complex64"), np.dtype("complex128")


class extended(np.generic):
    """Abstract scalar type above the dtypes that NumPy does not know (PRNG keys)."""


class prng_key(extended):
    """Abstract scalar type of the dtypes of PRNG key arrays.

    Examples
    --------
    >>> import covector as cv
    >>> cv.dtypes.issubdtype(cv.random.key(0).dtype, cv.dtypes.prng_key)
    True
    """

    def __new__(cls, *args: Any) -> NoReturn:
        raise TypeError(
            f"PRNG keys are not made of numbers; see random.key, random.key_data{at_user_line()}"
        )


class KeyDType:
    """The dtype of an array of PRNG keys: an opaque element of two 32-bit words."""

    itemsize = 8
    kind = "K"
    name = "key<fry>"
    impl = "threefry2x32"
    type = prng_key
    shape = ()
    fields = None
    alignment = 8

    def __repr__(self) -> str:
        return self.name

    def __reduce__(self) -> str:
        return "key_dtype"


key_dtype = KeyDType()

DType = Any  # np.dtype or KeyDType

# Zero-size dtype of tangents of integer-valued inputs, as in JAX.
float0 = np.dtype([("float0", np.void, 0)])

_NAMED: dict[str, DType] = {
    "key": key_dtype,
    **{dt.name: dt for dt in (
        bool_, int8, int16, int32, int64, uint8, uint16, uint32, uint64,
        float16, bfloat16, float32, float64, complex64, complex128,
    )},
}  # fmt: skip

# Position = the element-type code of the native core.
_CODES: tuple[DType, ...] = (*[_NAMED[name] for name in _native.dtype_names], *formats.SMALL)
code_of: dict[DType, int] = {dt: i for i, dt in enumerate(_CODES)}
dtype_of_code = _CODES
_native.set_dtypes(list(_CODES))

SMALL_FLOATS = frozenset(formats.FLOAT_FORMATS)
SMALL_INTEGERS = frozenset(formats.INTEGER_BITS)
SMALL = SMALL_FLOATS | SMALL_INTEGERS
SIGNED = frozenset((int8, int16, int32, int64, *formats.SIGNED_BITS))
UNSIGNED = frozenset((uint8, uint16, uint32, uint64, *formats.UNSIGNED_BITS))
INTEGERS = SIGNED | UNSIGNED
# Floats that are computed in float32, and rounded.
ROUNDED = frozenset((float16, bfloat16)) | SMALL_FLOATS
FLOATS = ROUNDED | {float32, float64}
COMPLEX = frozenset((complex64, complex128))
INEXACT = FLOATS | COMPLEX
NUMERIC = INTEGERS | INEXACT

# Kinds in order of promotion; a weak scalar takes the array's type unless its kind is higher.
_KIND = {
    **{bool_: 0},
    **dict.fromkeys(INTEGERS, 1),
    **dict.fromkeys(FLOATS, 2),
    **dict.fromkeys(COMPLEX, 3),
}


def bits_of(dtype: DType) -> int:
    """How many bits of an element count."""
    if dtype in SMALL_FLOATS:
        return formats.FLOAT_FORMATS[dtype].bits
    return formats.INTEGER_BITS.get(dtype) or int(dtype.itemsize) * 8


def _limits(dtype: DType) -> tuple[int, int]:
    n = bits_of(dtype)
    return (-(1 << (n - 1)), (1 << (n - 1)) - 1) if dtype in SIGNED else (0, (1 << n) - 1)


# The least and the greatest number of each integer dtype.
LIMITS = {dt: _limits(dt) for dt in INTEGERS}
for _dtype in formats.SMALL:
    _format = formats.FLOAT_FORMATS.get(_dtype)
    _native.set_small_type(
        code_of[_dtype],
        "f" if _format else "i" if _dtype in SIGNED else "u",
        _format.dlpack if _format else 0,
        formats.values(_dtype).tobytes(),
    )
_NARROW = {int64: int32, uint64: uint32, float64: float32, complex128: complex64}
WIDE, NARROWED = frozenset(_NARROW), frozenset(_NARROW.values())
_SCALAR_DTYPES: dict[type, DType] = {bool: bool_, int: int64, float: float64, complex: complex128}


def _odd_double(x: np.ndarray) -> np.ndarray:
    """Integers as doubles, the last place odd where digits are lost."""
    if x.dtype.kind == "O":  # Python's, of more than 64 bits
        return np.asarray(np.frompyfunc(_odd_number, 1, 1)(x), np.float64)
    near = x.astype(np.float64)
    if x.dtype.itemsize < 8:
        return near
    sticky = (x >> 11) | ((x & 0x7FF) != 0)
    return np.where(np.abs(near) < 2.0**53, near, sticky.astype(np.float64) * 2048)


def _odd_number(x: int | float) -> float:
    near = float(x)
    if isinstance(x, float) or abs(x) < 1 << 53:
        return near
    lost = max(abs(x).bit_length() - 53, 0)
    kept = abs(x) >> lost
    kept |= kept << lost != abs(x)
    return math.copysign(math.ldexp(kept, lost), near)


def to_odd(x: np.ndarray) -> np.ndarray:
    """Numbers as float32, with an odd last place where digits are lost.

    Rounded to a format of at least two places fewer, they give what the number itself rounds to,
    which its nearest float32 may not.
    """
    wide = x if x.dtype == float64 else _odd_double(x)
    near = wide.astype(np.float32)
    size, size_near = np.abs(wide), np.abs(near.astype(np.float64))
    bits = np.atleast_1d(near).view(np.int32).reshape(near.shape)
    bits = (bits - (size_near > size)) | ((size_near > size) | (size_near < size))
    return np.asarray(bits, np.int32).view(np.float32)


def cast(x: np.ndarray, dtype: DType) -> np.ndarray:
    """``x`` in ``dtype`` as compiled programs convert it.

    Floats become integers towards zero, saturating, NaN zero, where NumPy leaves it to the
    processor. Numbers are rounded to small floats once, where `ml_dtypes` goes by float32.
    """
    with np.errstate(all="ignore"):
        if dtype in ROUNDED and x.dtype.kind in "fiuO" and x.dtype.itemsize > 2:
            return (x if x.dtype == float32 else to_odd(x)).astype(dtype)
        if dtype not in INTEGERS or x.dtype == bool_ or x.dtype in INTEGERS:
            return x.astype(dtype)
        least, most = LIMITS[dtype]
        wide = (x.real if x.dtype.kind == "c" else x).astype(np.float64)
        inside = (wide > float(least)) & (wide < float(most))
        out = np.where(inside, wide, 0).astype(dtype)
        out = np.where(wide <= float(least), np.array(least).astype(dtype), out)
        return np.where(wide >= float(most), np.array(most).astype(dtype), out)


def kind_rank(dtype: DType) -> int:
    """0 bool, 1 integer, 2 float, 3 complex; -1 for what is no number."""
    return _KIND.get(dtype, -1)


def is_float(dtype: DType) -> bool:
    return dtype in FLOATS


def is_complex(dtype: DType) -> bool:
    return dtype in COMPLEX


def is_inexact(dtype: DType) -> bool:
    return dtype in INEXACT


def is_integer(dtype: DType) -> bool:
    return dtype in INTEGERS


def is_extended(dtype: Any) -> bool:
    return isinstance(dtype, KeyDType)


def _no_dtype(dtype: Any) -> str:
    text = f"{dtype!r:.100} is not understood as a dtype"
    if isinstance(dtype, int):
        text += "; a shape of several sizes is one argument, a tuple such as (3, 3)"
    elif isinstance(dtype, str):
        import difflib

        known = [str(dt) for dt in sorted((*NUMERIC, bool_), key=str)]
        close = difflib.get_close_matches(dtype, known, 1, 0.7)
        text += f"; there is {close[0]!r}" if close else f"; there are {', '.join(known)}"
    return text + at_user_line()


@functools.lru_cache(maxsize=1024)
def _as_dtype(dtype: Any) -> DType:
    if isinstance(dtype, KeyDType):
        return dtype
    if dtype is bool or dtype is int or dtype is float or dtype is complex:
        return _SCALAR_DTYPES[dtype]
    inner = None if isinstance(dtype, str) else getattr(dtype, "dtype", None)
    if isinstance(inner, (np.dtype, KeyDType)) and not isinstance(dtype, np.dtype):
        return inner
    try:
        dt = np.dtype(dtype)
    except TypeError as e:
        raise TypeError(_no_dtype(dtype)) from e
    if not dt.isnative:
        dt = dt.newbyteorder("=")
    return dt


# By identity: scalar types may compare equal to dtypes, which would ask for their dtype again.
_of_type: dict[int, tuple[type, DType]] = {}


def as_dtype(dtype: Any) -> DType:
    """The dtype object that ``dtype`` (a dtype, scalar type, name or array) stands for."""
    if isinstance(dtype, type):
        found = _of_type.get(id(dtype))
        if found is None:
            found = _of_type[id(dtype)] = (dtype, _as_dtype.__wrapped__(dtype))
        return found[1]
    try:
        return _as_dtype(dtype)
    except TypeError as e:
        if "unhashable" in str(e):
            return _as_dtype.__wrapped__(dtype)
        raise


def canonicalize_dtype(dtype: Any, allow_extended_dtype: bool = False) -> DType:
    """``dtype`` with 64-bit types narrowed to 32 bits unless ``enable_x64`` is set.

    Parameters
    ----------
    dtype : dtype
        A dtype, scalar type, name or array.
    allow_extended_dtype : bool
        Has no effect: dtypes of keys are returned as they are.

    Returns
    -------
    dtype

    Raises
    ------
    TypeError
        If the dtype is not one Covector computes with (object, string, datetime, …).

    Examples
    --------
    >>> import covector as cv
    >>> cv.dtypes.canonicalize_dtype("float64")
    dtype('float32')
    >>> with cv.enable_x64():
    ...     cv.dtypes.canonicalize_dtype(float)
    dtype('float64')
    """
    dt = as_dtype(dtype)
    if dt not in code_of:
        if dt == float0:
            return dt
        raise TypeError(
            f"dtype {dt} is not supported: arrays hold booleans, integers, floats or complex "
            "numbers; convert the data (for example with np.asarray(x, dtype=float)) first"
            f"{at_user_line()}"
        )
    if not x64_enabled():
        return _NARROW.get(dt, dt)
    return dt


def check_user_dtype(dtype: Any, what: str) -> DType:
    """Canonical form of a dtype a user asked for, with a warning where it is narrowed."""
    dt = as_dtype(dtype)
    out = canonicalize_dtype(dt)
    if out is not dt and out != dt and not is_python_type(dtype):
        if config.explicit_x64_dtypes == "error":
            raise ValueError(
                f"{what}: dtype {dt} is not available without 64-bit types, and the option "
                f"explicit_x64_dtypes is 'error': ask for {out}, or enable 64-bit types with "
                f'covector.config.update("enable_x64", True){at_user_line()}'
            )
        warn(
            f"{what}: dtype {dt} is not available and will be narrowed to {out}; enable 64-bit "
            'types with covector.config.update("enable_x64", True)'
        )
    return out


def scalar_dtype(pytype: type) -> DType:
    """Canonical dtype of a Python scalar type: int32 or int64 for ``int``, and so on."""
    dt = _SCALAR_DTYPES[pytype]
    return dt if x64_enabled() else _NARROW.get(dt, dt)


def default_float() -> DType:
    return float64 if x64_enabled() else float32


def default_int() -> DType:
    return int64 if x64_enabled() else int32


def too_large(value: int, dtype: DType) -> OverflowError:
    """The error for a Python integer that does not fit in a dtype."""
    hint = ""
    if dtype == int32 and -(2**63) <= value < 2**63:
        hint = "; 64-bit integers need the option enable_x64"
    long = type(value) is int and value.bit_length() >= 200
    text = f"of {value.bit_length()} bits" if long else str(value)
    return OverflowError(f"the Python integer {text} does not fit in {dtype}{hint}{at_user_line()}")


def check_fits(value: int, dtype: DType) -> None:
    """Raise the OverflowError for a Python integer that an integer dtype cannot hold.

    A symbolic size may be too large where it is not decided: positions are of the default type.
    """
    low, high = LIMITS[dtype]
    try:
        fits = low <= value <= high
    except InconclusiveDimensionOperation:
        return
    if not fits:
        raise too_large(value, dtype)


def check_default_int(value: int) -> None:
    """Raise the OverflowError for a Python integer that the default integer type cannot hold."""
    check_fits(value, default_int())


def index_dtype(size: int) -> DType:
    """The integer type of positions along a dimension of this size, and of the size itself."""
    return int32 if size < 2**31 else int64


def position_dtype(*sizes: int) -> DType:
    """`index_dtype` of the largest size, for positions that no one sees: where sizes are symbolic
    and could be too large for 32 bits, they have 64."""
    try:
        for size in sizes:
            if index_dtype(size) == int64:
                return int64
    except InconclusiveDimensionOperation:
        return int64
    return int32


def default_complex() -> DType:
    return complex128 if x64_enabled() else complex64


# The strong part of the lattice, as direct edges upwards; weak types are i*, f*, c*.
_LATTICE: dict[Any, tuple[Any, ...]] = {
    "b1": ("i*",),
    "i*": (uint8, int8, *formats.INTEGER_BITS),
    **dict.fromkeys(formats.SMALL, ()),
    uint8: (int16, uint16), uint16: (int32, uint32), uint32: (int64, uint64), uint64: ("f*",),
    int8: (int16,), int16: (int32,), int32: (int64,), int64: ("f*",),
    "f*": (bfloat16, float16, *formats.FLOAT_FORMATS, "c*"),
    bfloat16: (float32,), float16: (float32,), float32: (float64, complex64),
    float64: (complex128,), "c*": (complex64,), complex64: (complex128,), complex128: (),
}  # fmt: skip


@functools.cache
def _above(node: Any) -> frozenset[Any]:
    out = {node}
    for up in _LATTICE[node]:
        out |= _above(up)
    return frozenset(out)


@functools.cache
def _join(a: Any, b: Any) -> Any:
    common = _above(a) & _above(b)
    for node in common:
        if common <= _above(node):
            return node
    raise TypePromotionError(
        f"dtypes {a} and {b} have no common type to promote to; convert one with .astype()"
    )


def _node(dtype: DType, weak: bool) -> Any:
    if dtype == bool_:
        return "b1"
    if weak:
        return ("", "i*", "f*", "c*")[_KIND[dtype]]
    return dtype


@functools.cache
def _promote(pairs: tuple[tuple[DType, bool], ...], x64: bool, mode: str) -> tuple[DType, bool]:
    for dt, _ in pairs:
        if dt not in code_of or dt is key_dtype:
            if all(d == dt for d, _ in pairs):
                return dt, False
            raise TypeError(
                f"dtypes {', '.join(str(d) for d, _ in pairs)} do not promote to one type: PRNG "
                f"keys are no numbers, see random.key_data{at_user_line()}"
            )
    if mode == "strict":
        _check_strict(pairs)
    node = functools.reduce(_join, (_node(dt, w) for dt, w in pairs))
    if node == "b1":
        return bool_, all(w for dt, w in pairs)
    if isinstance(node, str):
        # A weak result keeps the widest type among the operands of its kind.
        rank = ("", "i*", "f*", "c*").index(node)
        same = [dt for dt, _ in pairs if _KIND[dt] == rank]
        base = (bool_, default_int(), default_float(), default_complex())[rank]
        if any(w for dt, w in pairs if _KIND[dt] == rank):
            base = functools.reduce(lambda a, b: a if a.itemsize >= b.itemsize else b, same)
        return (base if x64 else _NARROW.get(base, base)), True
    return (node if x64 else _NARROW.get(node, node)), False


def _check_strict(pairs: tuple[tuple[DType, bool], ...]) -> None:
    """Strict promotion: arrays of one dtype, and Python numbers that do not change its kind."""
    strong = {dt for dt, weak in pairs if not weak}
    if len(strong) > 1:
        raise TypePromotionError(
            f"dtypes {', '.join(sorted(map(str, strong)))} are mixed while "
            "numpy_dtype_promotion is 'strict'; convert one with .astype()"
        )
    for dt, weak in pairs:
        if weak and any(_KIND[dt] > _KIND[s] for s in strong):
            raise TypePromotionError(
                f"a Python number, or another weakly typed value, of type {dt} would change the "
                f"dtype {', '.join(map(str, strong))} of the array beside it while "
                "numpy_dtype_promotion is 'strict'; convert the array with .astype()"
            )


def promote(pairs: tuple[tuple[DType, bool], ...]) -> tuple[DType, bool]:
    """Join of ``(dtype, weak_type)`` pairs: the result's dtype and weak type."""
    return _promote(pairs, x64_enabled(), config.numpy_dtype_promotion)


def promote_types(a: Any, b: Any) -> DType:
    """Smallest dtype to which ``a`` and ``b`` both convert; Python types count as weak.

    It is a question about the lattice: 64-bit types are not narrowed.
    """
    pairs = tuple([(as_dtype(x), is_python_type(x) and x is not bool) for x in (a, b)])
    return _promote(pairs, True, config.numpy_dtype_promotion)[0]


def is_python_type(x: Any) -> bool:
    """Whether ``x`` is ``bool``, ``int``, ``float`` or ``complex`` itself.

    By identity: dtypes and scalar types compare equal to Python's.
    """
    return x is int or x is float or x is complex or x is bool


def to_inexact_dtype(dtype: DType) -> DType:
    """The dtype in which a function such as ``sin`` of integers is computed."""
    if dtype in INEXACT:
        return dtype
    return default_float() if dtype == int64 or dtype == uint64 else float32


def real_dtype(dtype: DType) -> DType:
    return {complex64: float32, complex128: float64}.get(dtype, dtype)


def complex_dtype(dtype: DType) -> DType:
    return {float64: complex128, complex128: complex128}.get(dtype, complex64)


def tangent_dtype(dtype: DType) -> DType:
    """Dtype of tangents and cotangents of a value: itself, or ``float0`` if not inexact."""
    return dtype if dtype in INEXACT else float0


def issubdtype(a: Any, b: Any) -> bool:
    """Whether ``a`` is ``b`` or below it in the hierarchy of scalar types.

    Parameters
    ----------
    a, b : dtype or scalar type
        Also the abstract types of NumPy (``numpy.floating``) and `extended` and `prng_key`.

    Returns
    -------
    bool

    Examples
    --------
    >>> import numpy
    >>> import covector as cv
    >>> cv.dtypes.issubdtype("bfloat16", numpy.floating)
    True
    >>> cv.dtypes.issubdtype("float32", "float64")
    False
    >>> cv.dtypes.issubdtype(cv.random.key(0).dtype, cv.dtypes.prng_key)
    True
    """

    def __new__(cls, *args: Any) -> NoReturn:
        raise TypeError(
            f"PRNG keys are not made of numbers; see random.key, random.key_data{at_user_line()}"
        )

    def scalar_type(x: Any) -> Any:
        if isinstance(x, KeyDType):
            return prng_key
        if isinstance(x, type) and issubclass(x, np.generic) and x not in _ABOVE:
            return x
        dt = as_dtype(x)
        return prng_key if isinstance(dt, KeyDType) else dt.type

    ta, tb = scalar_type(a), scalar_type(b)
    if ta in _ABOVE:
        return tb is ta or issubclass(_ABOVE[ta], tb)
    return issubclass(ta, tb)


# Scalar types that NumPy knows as mere bytes, and what they are below.
_ABOVE: dict[type, type] = {
    **{dt.type: np.floating for dt in (bfloat16, *SMALL_FLOATS)},
    **{dt.type: np.signedinteger for dt in formats.SIGNED_BITS},
    **{dt.type: np.unsignedinteger for dt in formats.UNSIGNED_BITS},
}


class finfo(ml_dtypes.finfo):
    """Machine limits of a floating dtype, ``bfloat16`` and the small floats included.

    Parameters
    ----------
    dtype : dtype
        Real, or complex for the limits of its parts.

    Examples
    --------
    >>> import covector as cv
    >>> info = cv.dtypes.finfo("bfloat16")
    >>> info.bits, float(info.eps)
    (16, 0.0078125)
    """

    def __new__(cls, dtype: Any) -> Any:
        return ml_dtypes.finfo(real_dtype(as_dtype(dtype)))


class iinfo:
    """Machine limits of an integer dtype (attributes ``bits``, ``min``, ``max``, ``dtype``).

    Parameters
    ----------
    int_type : dtype

    Examples
    --------
    >>> import covector as cv
    >>> cv.dtypes.iinfo("uint8").max
    255
    """

    def __new__(cls, int_type: Any) -> Any:
        dtype = as_dtype(int_type)
        return ml_dtypes.iinfo(dtype) if dtype in SMALL_INTEGERS else np.iinfo(dtype)
