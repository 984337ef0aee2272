"""Changes of element type and of nothing: conversions, bit casts, barriers."""

from __future__ import annotations

from typing import Any

from covector.core import dtypes, structural, tree
from covector.core.errors import at_user_line
from covector.core.operands import as_array, as_operand, product
from covector.core.structural import optimization_barrier_p
from covector.lax.slicing import slice_in_dim
from covector.primitives.arithmetic import complex_p, imag_p, real_p
from covector.primitives.convert import bitcast_convert_type_p, convert, reduce_precision_p
from covector.primitives.structure import concatenate_p


def convert_element_type(operand: Any, new_dtype: Any = None) -> Any:
    """``operand`` converted to ``new_dtype``; complex numbers lose their imaginary part.

    Parameters
    ----------
    operand : array_like
        Of any shape.
    new_dtype : dtype or Python scalar type, optional
        A Python type gives a weakly typed result. By default the dtype stays as it is.

    Returns
    -------
    Array
        Of the shape of ``operand``. Floats are truncated towards zero when they become integers.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> lax.convert_element_type(np.array([1.7, -1.7]), np.int32)
    Array([ 1, -1], dtype=int32)
    >>> lax.convert_element_type(np.array([1, 2]), float)
    Array([1., 2.], dtype=float32, weak_type=True)
    """
    operand = as_operand(operand, "convert_element_type")
    weak = dtypes.is_python_type(new_dtype) and new_dtype is not bool
    if new_dtype is None:
        return as_array(operand)
    return convert(operand, dtypes.canonicalize_dtype(new_dtype), weak)


def reduce_precision(operand: Any, exponent_bits: int, mantissa_bits: int) -> Any:
    """Round floats to a format with fewer bits of exponent and mantissa, keeping the dtype.

    With all bits of the dtype, it keeps a product from being fused with an addition of it, which
    the CPU's compiler does otherwise.

    Parameters
    ----------
    operand : array_like
        Real floats, of any shape.
    exponent_bits : int
        At least 1. Values beyond the range of the format become infinite.
    mantissa_bits : int
        Of the fraction, without the leading one; at least 0.

    Returns
    -------
    Array
        Of the shape and dtype of ``operand``.

    Raises
    ------
    ValueError
        If a number of bits is too small.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> lax.reduce_precision(np.array([1.3, 100000.0]), exponent_bits=5, mantissa_bits=2)
    Array([1.25,  inf], dtype=float32)
    """
    if exponent_bits < 1 or mantissa_bits < 0:
        raise ValueError(
            f"reduce_precision needs exponent_bits >= 1 and mantissa_bits >= 0, got "
            f"{exponent_bits} and {mantissa_bits}{at_user_line()}"
        )
    return reduce_precision_p.bind(
        as_operand(operand, "reduce_precision"),
        exponent_bits=int(exponent_bits),
        mantissa_bits=int(mantissa_bits),
    )


def bitcast_convert_type(operand: Any, new_dtype: Any) -> Any:
    """The bits of ``operand`` read as ``new_dtype``.

    A narrower dtype adds a trailing dimension of the parts, a wider one takes it away.

    Parameters
    ----------
    operand : array_like
        Of any shape; for a wider dtype, of a last dimension that holds as many elements as one of
        its elements is made of.
    new_dtype : dtype
        Booleans have no bits to share with other dtypes.

    Returns
    -------
    Array
        Parts are in the order of the memory, the lowest first.

    Raises
    ------
    TypeError
        If the last dimension does not fit, or one of the dtypes is boolean.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> lax.bitcast_convert_type(np.array([1.0, -2.0], dtype=np.float32), np.int32)
    Array([ 1065353216, -1073741824], dtype=int32)
    >>> lax.bitcast_convert_type(np.array([258]), np.uint8)
    Array([[2, 1, 0, 0]], dtype=uint8)
    """
    x = as_array(operand, "bitcast_convert_type")
    dt = dtypes.canonicalize_dtype(new_dtype, allow_extended_dtype=True)
    if dt == x.dtype:
        return x
    if dtypes.is_extended(dt) or dtypes.is_extended(x.dtype):
        raise TypeError(
            "bitcast_convert_type does not take PRNG keys: use random.key_data and "
            f"random.wrap_key_data{at_user_line()}"
        )
    if dtypes.is_complex(dt) or dtypes.is_complex(x.dtype):
        return _bitcast_complex(x, dt)
    return bitcast_convert_type_p.bind(x, new_dtype=dt)


def _bitcast_complex(x: Any, dtype: Any) -> Any:
    """Complex numbers read as something else, or the other way round: by their parts."""
    (out,), _ = bitcast_convert_type_p.infer([x.aval], {"new_dtype": dtype})
    part = dtypes.real_dtype(dtype)
    if dtypes.is_complex(x.dtype):
        at = len(x.shape)
        halves = [structural.reshape(f(x), (*x.shape, 1)) for f in (real_p.bind, imag_p.bind)]
        x = concatenate_p.bind(*halves, dimension=at)
    if part.itemsize != x.dtype.itemsize:
        x = bitcast_convert_type_p.bind(x, new_dtype=dtypes.uint8)
        x = structural.reshape(x, (product(x.shape) // part.itemsize, part.itemsize))
    x = bitcast_convert_type_p.bind(x, new_dtype=part)
    if not dtypes.is_complex(dtype):
        return structural.reshape(x, out.shape)
    pairs = structural.reshape(x, (*out.shape, 2))
    at = len(out.shape)
    parts = [structural.reshape(slice_in_dim(pairs, i, i + 1, axis=at), out.shape) for i in (0, 1)]
    return complex_p.bind(*parts)


def optimization_barrier(operand: Any, /) -> Any:
    """``operand``, a tree of arrays, computed as a whole before anything that uses it.

    No operation is moved, merged or simplified across the barrier.

    Parameters
    ----------
    operand : tree of array_like

    Returns
    -------
    tree of Array
        The same values.

    Examples
    --------
    >>> import covector as cv
    >>> from covector import lax
    >>> cv.make_jaxpr(lambda x: lax.optimization_barrier(x + 1) * 2)(1.0)
    { lambda  ; a:f32[]*. let
        b:f32[]* = add a 1.0:f32[]*
        c:f32[]* = optimization_barrier b
        d:f32[]* = mul c 2.0:f32[]*
      in (d,) }
    """
    flat, treedef = tree.flatten(operand)
    if not flat:
        return operand
    return tree.unflatten(
        treedef, optimization_barrier_p.bind(*[as_operand(x, "optimization_barrier") for x in flat])
    )
