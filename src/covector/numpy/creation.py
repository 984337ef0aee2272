"""Creation of arrays: from data, filled, like others."""

from __future__ import annotations

import functools
from typing import Any

import numpy as onp

from covector import _native, lax
from covector.core import dtypes
from covector.core.avals import Array, array_from_numpy, aval_of, refuse_mask, settled, to_array
from covector.core.dims import DimExpr
from covector.core.errors import at_user_line, describe
from covector.core.operands import PY_SCALARS, canonical_shape, product
from covector.core.trace import Tracer, eval_trace
from covector.numpy import _util
from covector.numpy._util import (
    convert,
    current_trace,
    promote_dtypes,
    shape_of,
)
from covector.runtime.placement import (
    Placement,
    as_sharding,
    default_placement,
    placement,
    put,
)
from covector.sharding.results import laid_out, like
from covector.transforms.jit import jit

# From this size on, arrays on devices with memories of their own are made there: copying them from
# the host takes longer than compiling a program.
_LARGE = 1 << 25


def on_device(x: Any, device: Any) -> Any:
    """``x`` on ``device``, a place to which arrays can be moved."""
    if device is None:
        return x
    where = placement(as_sharding(device, "the parameter device"), True)
    return x if isinstance(x, Tracer) else put(x, where)


def from_numpy(x: onp.ndarray, dtype: Any = None, *beside: Any) -> Any:
    """A fresh NumPy array as an Array, without a copy where that is possible; it is where the
    arrays ``beside`` are that it was computed from."""
    return settled(array_from_numpy(x, dtype, False, True), *beside)


# --- from data ---------------------------------------------------------------------------


def array(
    object: Any,  # noqa: A002
    dtype: Any = None,
    copy: bool = True,
    order: str | None = "K",
    ndmin: int = 0,
    *,
    device: Any = None,
    out_sharding: Any = None,
) -> Any:
    """Array from numbers, nested sequences, NumPy arrays and the like.

    Parameters
    ----------
    object : array_like
        Numbers, booleans, arrays, nested lists and tuples of them, buffers, and objects with
        ``__array__`` or ``__dlpack__``.
    dtype : dtype, optional
        By default that of the data, with 64-bit types narrowed unless ``enable_x64`` is set.
    copy : bool
        Copy an Array, too: donating or deleting one then leaves the other. `asarray` does not.
    order : {'K', 'C', 'A'}
        Arrays are stored in row-major order only.
    ndmin : int
        Least number of dimensions; leading ones of size 1 are added.
    device : Device, optional
        Where the array is to be; by default the default device.
    out_sharding : NamedSharding or PartitionSpec, optional
        How the result is laid out over the axes of a mesh.

    Returns
    -------
    Array
        Weakly typed if ``object`` is a single Python number and ``dtype`` is not given.

    Raises
    ------
    TypeError
        If ``object`` is None, a string or of another kind that is not an array.
    ValueError
        If nested sequences differ in length.
    OverflowError
        If a Python integer does not fit in the dtype.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.array([[1, 2], [3, 4.5]])
    Array([[1. , 2. ],
           [3. , 4.5]], dtype=float32)
    >>> np.array([1, 0, 2], dtype=bool, ndmin=2)
    Array([[ True, False,  True]], dtype=bool)
    """
    if out_sharding is not None:
        return laid_out(array, locals())
    if order not in ("K", "C", "A", None):
        raise NotImplementedError(
            f"array: order={order!r} is not supported, arrays are stored in row-major order"
            f"{at_user_line()}"
        )
    dt = None if dtype is None else dtypes.check_user_dtype(dtype, "array")
    out = _array(object, dt)
    n = ndmin - out.ndim
    if n > 0:
        out = lax.reshape(out, (1,) * n + out.shape)
    out = on_device(out, device)
    return out._copied() if copy and out is object and type(out) is Array else out


def asarray(
    a: Any,
    dtype: Any = None,
    order: str | None = None,
    *,
    copy: bool | None = None,
    device: Any = None,
    out_sharding: Any = None,
) -> Any:
    """``a`` as an array: an Array itself, other things converted as by `array`.

    Parameters
    ----------
    a : array_like
        See `array`.
    dtype : dtype, optional
        By default that of the data, with 64-bit types narrowed unless ``enable_x64`` is set.
    order : {'K', 'C', 'A'}, optional
        Arrays are stored in row-major order only.
    copy : bool, optional
        Copy an Array, too.
    device : Device, optional
        Where the array is to be; by default the default device.
    out_sharding : NamedSharding or PartitionSpec, optional
        How the result is laid out over the axes of a mesh.

    Returns
    -------
    Array

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.asarray([1, 2, 3], dtype=float)
    Array([1., 2., 3.], dtype=float32)
    >>> x = np.zeros(2)
    >>> np.asarray(x) is x
    True
    """
    if out_sharding is not None:
        return laid_out(asarray, locals())
    if (
        dtype is None
        and device is None
        and not copy
        and (type(a) is Array or isinstance(a, Tracer))
    ):
        return a
    return array(a, dtype, bool(copy), order or "K", device=device)


def _array(x: Any, dtype: Any) -> Any:
    t = type(x)
    if t is Array or isinstance(x, Tracer):
        return x if dtype is None else convert(x, dtype)
    if t in PY_SCALARS:
        if dtype is None:
            return to_array(x)
        if t is int and dtype in dtypes.INTEGERS:
            dtypes.check_fits(x, dtype)
            return _from_numpy_checked(onp.asarray(x, dtype), dtype)
        if t is int and dtype in dtypes.ROUNDED:
            return _from_numpy_checked(dtypes.cast(onp.asarray(x), dtype), dtype)
        return _from_numpy_checked(onp.asarray(float(x) if t is int else x), dtype)
    if hasattr(x, "__jax_array__"):
        return _array(x.__jax_array__(), dtype)
    if isinstance(x, (onp.ndarray, onp.generic)):
        if t is not onp.ndarray:
            refuse_mask(x)
        return _from_numpy_checked(onp.asarray(x), dtype)
    for number in (int, float, complex):
        if isinstance(x, number):  # of a subclass, such as an IntEnum
            return _array(number(x), dtype)
    if isinstance(x, (list, tuple)):
        return _from_sequence(x, dtype)
    if x is None:
        raise TypeError(f"None is not an array: array() takes numbers and arrays{at_user_line()}")
    if hasattr(x, "__array__"):
        return _from_numpy_checked(onp.asarray(x), dtype)
    if hasattr(x, "__dlpack__"):
        out = from_dlpack(x, copy=True)
        return out if dtype is None else convert(out, dtype)
    if isinstance(x, (str, bytes)):
        raise TypeError(
            f"the string {x!r:.60} is not an array: arrays hold numbers and booleans"
            f"{at_user_line()}"
        )
    try:
        values = onp.asarray(x) if isinstance(x, (memoryview, bytearray)) else None
        if values is None and hasattr(x, "__len__") and hasattr(x, "__getitem__"):
            return _from_sequence([x[i] for i in range(len(x))], dtype)
        if values is not None:
            return _from_numpy_checked(values, dtype)
    except (KeyError, IndexError):
        pass
    raise TypeError(
        f"{describe(x)} is not an array: array() takes numbers, sequences of numbers and arrays"
        f"{at_user_line()}"
    )


def _from_numpy_checked(x: onp.ndarray, dtype: Any) -> Any:
    if x.dtype not in dtypes.code_of:
        if x.dtype.kind in "OUSMmV" and x.dtype != dtypes.float0:
            how = '.view("bfloat16")' if x.dtype == onp.dtype("V2") else ".astype(float)"
            raise TypeError(
                f"a NumPy array of dtype {x.dtype} is not an array of numbers: convert it first, "
                f"for example with {how}{at_user_line()}"
            )
        if x.dtype == dtypes.float0:
            return x
        x = x.astype(dtypes.as_dtype(x.dtype))
    if dtype is not None and x.dtype.kind == "c" and dtype not in dtypes.COMPLEX:
        x = x.real if dtype != dtypes.bool_ else x
    return settled(array_from_numpy(x, dtype))


def _leaves(x: Any, out: list[Any]) -> None:
    for item in x:
        if isinstance(item, (list, tuple)):
            _leaves(item, out)
        else:
            out.append(item)


# NumPy's limit, and the native core's.
_MAX_DIMENSIONS = 64


def _malformed(x: Any, differing: str) -> ValueError:
    depth = 0
    inner = x
    while isinstance(inner, (list, tuple)) and inner:
        depth, inner = depth + 1, inner[0]
    if depth > _MAX_DIMENSIONS:
        return ValueError(
            f"array: the sequence is nested {depth} deep; an array has at most "
            f"{_MAX_DIMENSIONS} dimensions{at_user_line()}"
        )
    return ValueError(
        f"array: the nested sequence is ragged, its parts differ in {differing}{at_user_line()}"
    )


def _from_sequence(x: Any, dtype: Any) -> Any:
    leaves: list[Any] = []
    _leaves(x, leaves)
    kinds = set(map(type, leaves))
    if kinds <= PY_SCALARS:
        if dtype is None:
            rank = max((("bool", "int", "float", "complex").index(k.__name__) for k in kinds),
                       default=2)  # fmt: skip
            dtype = (
                dtypes.bool_, dtypes.default_int(), dtypes.default_float(),
                dtypes.default_complex(),
            )[rank]  # fmt: skip
        try:
            values = onp.array(x)
        except ValueError as e:
            raise _malformed(x, "length") from e
        if values.dtype.kind == "O" and dtype in dtypes.ROUNDED:
            values = dtypes.cast(values, dtype)
        elif values.dtype.kind == "O" and dtype in dtypes.INEXACT:
            values = onp.array(x, onp.complex128 if dtype in dtypes.COMPLEX else onp.float64)
        _check_integers(values, dtype)
        return from_numpy(values, dtype)
    for leaf in leaves:
        if leaf is None or isinstance(leaf, (str, bytes)):
            raise TypeError(f"array: the value {leaf!r} is not a number or array{at_user_line()}")
    # Scalars that are committed to a device are joined there.
    if any(isinstance(leaf, Tracer) or type(leaf) is DimExpr for leaf in leaves) or any(
        type(leaf) is Array and (leaf.size > 1 or leaf._placement or dtypes.is_extended(leaf.dtype))
        for leaf in leaves
    ):
        return _stack(x, dtype)
    if dtype is None:
        pairs = tuple({(aval_of(v).dtype, aval_of(v).weak_type) for v in map(_plain, leaves)})
        dtype = dtypes.promote(pairs)[0]
    try:
        values = onp.array(_concrete_tree(x))
    except ValueError as e:
        raise _malformed(x, "shape") from e
    if all(isinstance(leaf, (int, onp.integer)) for leaf in leaves):
        _check_integers(values, dtype)
    return _from_numpy_checked(values, dtype)


def _check_integers(values: onp.ndarray, dtype: Any) -> None:
    """Raise the OverflowError if integers of a list do not fit in the dtype."""
    if values.dtype.kind in "Oiu" and dtype in dtypes.INTEGERS and values.size:
        dtypes.check_fits(int(values.min()), dtype)
        dtypes.check_fits(int(values.max()), dtype)


def _plain(x: Any) -> Any:
    if hasattr(x, "__jax_array__"):
        return x.__jax_array__()
    if hasattr(x, "aval") or type(x) in PY_SCALARS or isinstance(x, (onp.ndarray, onp.generic)):
        return x
    return onp.asarray(x)


def _concrete_tree(x: Any) -> Any:
    if isinstance(x, (list, tuple)):
        return [_concrete_tree(v) for v in x]
    return x if type(x) in PY_SCALARS else onp.asarray(x)


def _stack(x: Any, dtype: Any) -> Any:
    parts = [_array(v, None) if not isinstance(v, (list, tuple)) else _stack(v, None) for v in x]
    if not parts:
        return zeros((0,), dtype)
    if any(p.shape != parts[0].shape for p in parts):
        raise ValueError(
            f"array: the parts of the sequence differ in shape: "
            f"{', '.join(str(p.shape) for p in parts)}{at_user_line()}"
        )
    parts = promote_dtypes("array", *parts) if len(parts) > 1 else parts
    out = lax.stack([_util.array(p) for p in parts], 0)
    return convert(out, out.dtype if dtype is None else dtype)


def copy(a: Any, order: str | None = None) -> Any:
    """An array with the elements of ``a``.

    Parameters
    ----------
    a : array_like
    order : str, optional
        Accepted and ignored: arrays are stored in row-major order.

    Returns
    -------
    Array
        Of the shape and dtype of ``a``.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.copy([1, 2])
    Array([1, 2], dtype=int32)
    """
    x = asarray(a)
    return lax.copy_p.bind(x)


def astype(x: Any, dtype: Any, /, *, copy: bool = False, device: Any = None) -> Any:
    """``x`` converted to ``dtype``; complex numbers lose their imaginary part.

    Parameters
    ----------
    x : array_like
    dtype : dtype
        None is the default float type. Floats become integers towards zero.
    copy : bool
        Return another array even if ``x`` has this dtype.
    device : Device, optional
        Where the array is to be; by default the default device.

    Returns
    -------
    Array
        Of the shape of ``x``.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.astype(np.array([1.7, -1.7]), int)
    Array([ 1, -1], dtype=int32)
    """
    x = asarray(x)
    if dtype is None:
        dtype = float
    out = on_device(convert(x, dtypes.check_user_dtype(dtype, "astype")), device)
    return out._copied() if copy and out is x and type(out) is Array else out


def from_dlpack(x: Any, /, *, device: Any = None, copy: bool | None = None) -> Any:
    """An array on the memory of a tensor of another library.

    The memory is shared, so that it must not be written to while the array is in use.

    Parameters
    ----------
    x : object with the methods ``__dlpack__`` and ``__dlpack_device__``
        For example a NumPy array or a PyTorch tensor, on the CPU.
    device : Device, optional
        Where the array is to be.
    copy : bool, optional
        True always copies, False raises where it would be necessary. By default tensors are
        copied that are strided, misaligned, or of a 64-bit type while these are not enabled.

    Returns
    -------
    Array
        Of the shape of ``x``.

    Raises
    ------
    TypeError
        If ``x`` lacks the methods.
    BufferError
        If the tensor is not on the CPU, has a dtype that arrays do not have, or would have to be
        copied against ``copy=False``.

    Examples
    --------
    >>> import numpy
    >>> import covector.numpy as np
    >>> np.from_dlpack(numpy.arange(3, dtype="float32"))
    Array([0., 1., 2.], dtype=float32)
    """
    if not hasattr(x, "__dlpack__") or not hasattr(x, "__dlpack_device__"):
        raise TypeError(
            "from_dlpack takes an object with the methods __dlpack__ and __dlpack_device__, got "
            f"{describe(x)}{at_user_line()}"
        )
    kind = int(x.__dlpack_device__()[0])
    if kind != 1:
        raise BufferError(
            f"from_dlpack: the {type(x).__name__} is on another device (DLPack device type "
            f"{kind}); copy it to the CPU first{at_user_line()}"
        )
    try:
        capsule = x.__dlpack__(max_version=(1, 0))
    except TypeError:  # made before DLPack 1.0
        capsule = x.__dlpack__()
    out = _native.from_dlpack_capsule(capsule, copy)
    dtype = dtypes.canonicalize_dtype(out.dtype)
    if dtype != out.dtype:
        if copy is False:
            raise BufferError(
                f"from_dlpack: {describe(out)} must be copied to {dtype}, since 64-bit types are "
                "not enabled (option enable_x64), but copy=False was given"
            )
        out = convert(out, dtype)
    return on_device(out, device)


def frombuffer(buffer: Any, dtype: Any = float, count: int = -1, offset: int = 0) -> Any:
    """One-dimensional array of the elements in a buffer of bytes.

    Parameters
    ----------
    buffer : bytes-like
    dtype : dtype
        Of the elements in the buffer.
    count : int
        Number of elements to read; all by default.
    offset : int
        Number of bytes to skip at the start.

    Returns
    -------
    Array
        A vector; 64-bit types are narrowed unless ``enable_x64`` is set.

    Raises
    ------
    ValueError
        If the buffer is shorter than ``count`` elements, or not a whole number of them.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.frombuffer(bytes([1, 0, 2, 0]), dtype="<i2")
    Array([1, 2], dtype=int16)
    """
    return array(onp.frombuffer(buffer, dtypes.as_dtype(dtype), count, offset), dtype)


def fromstring(string: str, dtype: Any = float, count: int = -1, *, sep: str) -> Any:
    """One-dimensional array of the numbers in a text separated by ``sep``.

    Parameters
    ----------
    string : str
    dtype : dtype
        Of the numbers.
    count : int
        How many numbers to read; all by default.
    sep : str
        Between the numbers; blanks around it are skipped.

    Returns
    -------
    Array
        A vector.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.fromstring("1, 2, 3", dtype=int, sep=",")
    Array([1, 2, 3], dtype=int32)
    """
    return array(onp.fromstring(string, dtypes.as_dtype(dtype), count, sep=sep), dtype)


def fromfile(*args: Any, **kwargs: Any) -> Any:
    """Not available: read with NumPy and pass the result to `array`.

    Parameters
    ----------
    *args, **kwargs
        Those of ``numpy.fromfile``.

    Returns
    -------
    None
        It never returns.

    Raises
    ------
    NotImplementedError
        Always.

    Examples
    --------
    >>> import covector.numpy as np
    >>> try:
    ...     np.fromfile("data.bin")
    ... except NotImplementedError as e:
    ...     print(str(e).split(":")[0])
    fromfile is not supported
    """
    raise NotImplementedError(
        "fromfile is not supported: use covector.numpy.asarray(numpy.fromfile(...))"
    )


def fromiter(*args: Any, **kwargs: Any) -> Any:
    """Not available: collect with NumPy and pass the result to `array`.

    Parameters
    ----------
    *args, **kwargs
        Those of ``numpy.fromiter``.

    Returns
    -------
    None
        It never returns.

    Raises
    ------
    NotImplementedError
        Always.

    Examples
    --------
    >>> import covector.numpy as np
    >>> try:
    ...     np.fromiter(range(3), int)
    ... except NotImplementedError as e:
    ...     print(str(e).split(":")[0])
    fromiter is not supported
    """
    raise NotImplementedError(
        "fromiter is not supported: use covector.numpy.asarray(numpy.fromiter(...))"
    )


# --- filled ------------------------------------------------------------------------------


def _filled(shape: Any, value: int, dtype: Any, device: Any, name: str) -> Any:
    shape = canonical_shape(shape)
    dt = dtypes.default_float() if dtype is None else dtypes.check_user_dtype(dtype, name)
    if dt == dtypes.float0:
        return onp.zeros(shape, dt)
    if current_trace() is eval_trace and not dtypes.is_extended(dt):
        where = _elsewhere(shape, dt, device)
        if where is not None:
            return _made_there(shape, array_from_numpy(onp.asarray(value, dt), dt), where, name)
        make = onp.zeros if value == 0 else onp.ones
        return on_device(settled(array_from_numpy(make(shape, dt), dt, False, True)), device)
    return lax.full(shape, value, dt)


def _elsewhere(shape: tuple[int, ...], dtype: Any, device: Any) -> Placement | None:
    """Where a large array is made that is not in the memory of the host."""
    if product(shape) * dtype.itemsize < _LARGE:
        return None
    where = default_placement()
    if device is not None:
        where = placement(as_sharding(device, "the parameter device"), True)
    sharding = where.sharding
    plain = sharding == sharding.with_memory_kind(None) and sharding.is_fully_addressable
    return where if plain and where.device.platform != "cpu" else None


def _made_there(shape: tuple[int, ...], value: Array, where: Placement, name: str) -> Any:
    if where.sharding.spread:
        where.sharding.check(shape, name)
    return _filling(shape, where.sharding, name)(value)._placed(where.index)


@functools.lru_cache(64)
def _filling(shape: tuple[int, ...], sharding: Any, name: str) -> Any:
    """The program that makes an array of one value."""

    def fill(value: Any) -> Any:
        return lax.full(shape, value)

    fill.__name__ = name
    return jit(fill, out_shardings=sharding)


def zeros(shape: Any, dtype: Any = None, *, device: Any = None, out_sharding: Any = None) -> Any:
    """Array of zeros, of the default float type unless ``dtype`` is given.

    Parameters
    ----------
    shape : int or tuple of int
    dtype : dtype, optional
        By default the default float type.
    device : Device, optional
        Where the array is to be; by default the default device.
    out_sharding : NamedSharding or PartitionSpec, optional
        How the result is laid out over the axes of a mesh.

    Returns
    -------
    Array

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.zeros((2, 3))
    Array([[0., 0., 0.],
           [0., 0., 0.]], dtype=float32)
    """
    if out_sharding is not None:
        return laid_out(zeros, locals())
    return _filled(shape, 0, dtype, device, "zeros")


def ones(shape: Any, dtype: Any = None, *, device: Any = None, out_sharding: Any = None) -> Any:
    """Array of ones, of the default float type unless ``dtype`` is given.

    Parameters
    ----------
    shape : int or tuple of int
    dtype : dtype, optional
        By default the default float type.
    device : Device, optional
        Where the array is to be; by default the default device.
    out_sharding : NamedSharding or PartitionSpec, optional
        How the result is laid out over the axes of a mesh.

    Returns
    -------
    Array

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.ones(3, dtype=int)
    Array([1, 1, 1], dtype=int32)
    """
    if out_sharding is not None:
        return laid_out(ones, locals())
    return _filled(shape, 1, dtype, device, "ones")


def empty(shape: Any, dtype: Any = None, *, device: Any = None, out_sharding: Any = None) -> Any:
    """Array of zeros: memory is never handed out uninitialised.

    Parameters
    ----------
    shape : int or tuple of int
    dtype : dtype, optional
        By default the default float type.
    device : Device, optional
        Where the array is to be; by default the default device.
    out_sharding : NamedSharding or PartitionSpec, optional
        How the result is laid out over the axes of a mesh.

    Returns
    -------
    Array

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.empty(2)
    Array([0., 0.], dtype=float32)
    """
    if out_sharding is not None:
        return laid_out(empty, locals())
    return _filled(shape, 0, dtype, device, "empty")


def full(
    shape: Any, fill_value: Any, dtype: Any = None, *, device: Any = None, out_sharding: Any = None
) -> Any:
    """Array filled with ``fill_value``, a scalar or an array that broadcasts to ``shape``.

    Parameters
    ----------
    shape : int or tuple of int
    fill_value : array_like
        Broadcasts to ``shape``.
    dtype : dtype, optional
        By default that of ``fill_value``.
    device : Device, optional
        Where the array is to be; by default the default device.
    out_sharding : NamedSharding or PartitionSpec, optional
        How the result is laid out over the axes of a mesh.

    Returns
    -------
    Array
        Weakly typed if ``fill_value`` is a Python number and ``dtype`` is not given.

    Raises
    ------
    ValueError
        If ``fill_value`` does not broadcast to ``shape``.
    OverflowError
        If it is a Python integer that the dtype does not hold.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.full((2, 2), np.array([1, 2]))
    Array([[1, 2],
           [1, 2]], dtype=int32)
    """
    if out_sharding is not None:
        return laid_out(full, locals())
    shape = canonical_shape(shape)
    value = fill_value if type(fill_value) in PY_SCALARS else asarray(fill_value)
    dt = None if dtype is None else dtypes.check_user_dtype(dtype, "full")
    known = type(value) in PY_SCALARS and not dtypes.is_extended(dt)
    if known and current_trace() is eval_trace:
        weak = dt is None and type(value) is not bool
        dt = aval_of(value).dtype if dt is None else dt
        number = _array(value, dt).item()
        where = _elsewhere(shape, onp.dtype(dt), device)
        if where is not None:
            scalar = array_from_numpy(onp.asarray(number, dt), dt, weak)
            return _made_there(shape, scalar, where, "full")
        filled = onp.full(shape, number, dt)
        return on_device(settled(array_from_numpy(filled, dt, weak, True)), device)
    if shape_of(value):
        out = broadcast_to(value if dt is None else convert(value, dt), shape)
    else:
        out = lax.full(shape, value, dt)
    return on_device(out, device)


def _beside(a: Any, device: Any) -> Any:
    """Where an array like ``a`` is to be: there, if that is committed."""
    if device is None and type(a) is Array and a._placement and a.committed:
        return a.sharding
    return device


def _like(a: Any, shape: Any) -> tuple[tuple[int, ...], Any]:
    if not hasattr(a, "shape") or not hasattr(a, "dtype"):
        a = aval_of(_util.operand(a, "the prototype"))
    return (tuple(a.shape) if shape is None else canonical_shape(shape)), a


def _filled_like(a: Any, value: int, dtype: Any, shape: Any, device: Any, name: str) -> Any:
    sizes, a = _like(a, shape)
    dt = dtypes.canonicalize_dtype(a.dtype) if dtype is None else dtype
    out = _filled(sizes, value, dt, _beside(a, device), name)
    if dtype is None and getattr(a, "weak_type", False):
        out = convert(out, out.dtype, True)
    return like(out, a, shape, device)


def zeros_like(
    a: Any, dtype: Any = None, shape: Any = None, *, device: Any = None, out_sharding: Any = None
) -> Any:
    """Array of zeros with the shape and dtype of ``a``.

    Parameters
    ----------
    a : array_like
        Only its shape and dtype are used.
    dtype : dtype, optional
        Instead of that of ``a``.
    shape : int or tuple of int, optional
        Instead of that of ``a``.
    device : Device, optional
        Where the array is to be; by default the default device.
    out_sharding : NamedSharding or PartitionSpec, optional
        How the result is laid out over the axes of a mesh.

    Returns
    -------
    Array

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.zeros_like(np.array([1, 2]))
    Array([0, 0], dtype=int32)
    """
    if out_sharding is not None:
        return laid_out(zeros_like, locals())
    return _filled_like(a, 0, dtype, shape, device, "zeros_like")


def ones_like(
    a: Any, dtype: Any = None, shape: Any = None, *, device: Any = None, out_sharding: Any = None
) -> Any:
    """Array of ones with the shape and dtype of ``a``.

    Parameters
    ----------
    a : array_like
        Only its shape and dtype are used.
    dtype : dtype, optional
        Instead of that of ``a``.
    shape : int or tuple of int, optional
        Instead of that of ``a``.
    device : Device, optional
        Where the array is to be; by default the default device.
    out_sharding : NamedSharding or PartitionSpec, optional
        How the result is laid out over the axes of a mesh.

    Returns
    -------
    Array

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.ones_like(np.array([1.5, 2.5]), dtype=int)
    Array([1, 1], dtype=int32)
    """
    if out_sharding is not None:
        return laid_out(ones_like, locals())
    return _filled_like(a, 1, dtype, shape, device, "ones_like")


def empty_like(prototype: Any, dtype: Any = None, shape: Any = None, *, device: Any = None) -> Any:
    """Array of zeros with the shape and dtype of ``prototype``.

    Parameters
    ----------
    prototype : array_like
        Only its shape and dtype are used.
    dtype : dtype, optional
        Instead of that of ``prototype``.
    shape : int or tuple of int, optional
        Instead of that of ``prototype``.
    device : Device, optional
        Where the array is to be; by default the default device.

    Returns
    -------
    Array

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.empty_like(np.array([1, 2]))
    Array([0, 0], dtype=int32)
    """
    return _filled_like(prototype, 0, dtype, shape, device, "empty_like")


def full_like(
    a: Any,
    fill_value: Any,
    dtype: Any = None,
    shape: Any = None,
    *,
    device: Any = None,
    out_sharding: Any = None,
) -> Any:
    """Array with the shape and dtype of ``a``, filled with ``fill_value``.

    Parameters
    ----------
    a : array_like
        Only its shape and dtype are used.
    fill_value : array_like
        Broadcasts to the shape of the result.
    dtype : dtype, optional
        Instead of that of ``a``.
    shape : int or tuple of int, optional
        Instead of that of ``a``.
    device : Device, optional
        Where the array is to be; by default the default device.
    out_sharding : NamedSharding or PartitionSpec, optional
        How the result is laid out over the axes of a mesh.

    Returns
    -------
    Array

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.full_like(np.array([1, 2]), 7)
    Array([7, 7], dtype=int32)
    """
    if out_sharding is not None:
        return laid_out(full_like, locals())
    sizes, a = _like(a, shape)
    dt = a.dtype if dtype is None else dtype
    out = full(sizes, fill_value, dt, device=_beside(a, device))
    if dtype is None and getattr(a, "weak_type", False):
        out = convert(out, out.dtype, True)
    return like(out, a, shape, device)


def broadcast_to(array: Any, shape: Any, *, out_sharding: Any = None) -> Any:
    """``array`` repeated along new and size-one dimensions to ``shape``.

    Parameters
    ----------
    array : array_like
    shape : int or tuple of int
    out_sharding : NamedSharding or PartitionSpec, optional
        How the result is laid out over the axes of a mesh.

    Returns
    -------
    Array
        Of that shape, in the dtype of ``array``.

    Raises
    ------
    ValueError
        If it does not broadcast to that shape.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.broadcast_to(np.array([1, 2]), (3, 2))
    Array([[1, 2],
           [1, 2],
           [1, 2]], dtype=int32)
    """
    if out_sharding is not None:
        return laid_out(broadcast_to, locals())
    x = _util.array(array, "broadcast_to")
    shape = canonical_shape(shape)
    old = x.shape
    n = len(shape) - len(old)
    if n < 0 or any(a != b and a != 1 for a, b in zip(old, shape[n:], strict=True)):
        raise ValueError(
            f"cannot broadcast {describe(x)} to shape {shape}: sizes must be equal or "
            f"1, counted from the last dimension{at_user_line()}"
        )
    return _util.broadcast_to(x, shape)
