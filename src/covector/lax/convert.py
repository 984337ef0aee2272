"""Changes of element type and of nothing: conversions, bit casts, barriers, copies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from covector.core import dtypes, tree
from covector.core.avals import ShapedArray, aval_of
from covector.core.errors import at_user_line
from covector.core.structural import convert_element_type_p, optimization_barrier_p
from covector.core.trace import Primitive
from covector.lax._common import FLOAT, as_array, as_operand
from covector.lax._elementwise import unary
from covector.lax.unary import real
from covector.transforms.jvp import Zero, def_jvp_linear, def_jvp_zero, instantiate, jvp_rules
from covector.transforms.transpose import transpose_rules
from covector.transforms.vmap import batching_rules, def_vectorized

def_vectorized(convert_element_type_p)


def _convert_jvp(
    primals: Sequence[Any], tangents: Sequence[Any], *, new_dtype: Any, weak_type: bool
) -> tuple[Any, Any]:
    (x,), (g,) = primals, tangents
    out = convert_element_type_p.bind(x, new_dtype=new_dtype, weak_type=weak_type)
    if type(g) is Zero or not dtypes.is_inexact(new_dtype):
        return out, Zero.of(out)
    return out, _convert(g, new_dtype, weak_type)


jvp_rules[convert_element_type_p] = _convert_jvp


def _convert_transpose(ct: Any, x: Any, *, new_dtype: Any, weak_type: bool) -> list[Any]:
    dt = x.aval.dtype
    if dtypes.is_complex(aval_of(ct).dtype) and not dtypes.is_complex(dt):
        ct = real(ct)
    return [_convert(ct, dt, x.aval.weak_type)]


transpose_rules[convert_element_type_p] = _convert_transpose


def _convert(x: Any, dtype: Any, weak_type: bool = False) -> Any:
    aval = aval_of(x)
    if dtypes.is_complex(aval.dtype) and not dtypes.is_complex(dtype) and dtype != dtypes.bool_:
        x = real(x)
        aval = aval_of(x)
    if aval.dtype == dtype and aval.weak_type == weak_type and hasattr(x, "aval"):
        return x
    return convert_element_type_p.bind(x, new_dtype=dtype, weak_type=weak_type)


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
    weak = new_dtype in (int, float, complex)
    if new_dtype is None:
        return as_array(operand)
    return _convert(operand, dtypes.canonicalize_dtype(new_dtype), weak)


reduce_precision_p = unary("reduce_precision", FLOAT)
def_jvp_linear(reduce_precision_p)
transpose_rules[reduce_precision_p] = lambda ct, x, **params: [
    reduce_precision_p.bind(ct, **params)
]


def reduce_precision(operand: Any, exponent_bits: int, mantissa_bits: int) -> Any:
    """Round floats to a format with fewer bits of exponent and mantissa, keeping the dtype.

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


bitcast_convert_type_p = Primitive("bitcast_convert_type")


@bitcast_convert_type_p.def_abstract_eval
def _bitcast_aval(x: ShapedArray, *, new_dtype: Any) -> ShapedArray:
    old, new = x.dtype.itemsize, new_dtype.itemsize
    if (x.dtype == dtypes.bool_) != (new_dtype == dtypes.bool_):
        raise TypeError(
            f"bitcast_convert_type of {x.str_short()} to {new_dtype}: booleans have no bit "
            f"pattern to share{at_user_line()}"
        )
    if old == new:
        shape = x.shape
    elif old > new:
        shape = (*x.shape, old // new)
    else:
        if not x.shape or x.shape[-1] != new // old:
            raise TypeError(
                f"bitcast_convert_type of {x.str_short()} to the wider {new_dtype}: the last "
                f"dimension must have size {new // old}{at_user_line()}"
            )
        shape = x.shape[:-1]
    return ShapedArray(shape, new_dtype)


def_jvp_zero(bitcast_convert_type_p)


def _bitcast_batch(
    axis_size: int, args: Sequence[Any], dims: Sequence[int | None], *, new_dtype: Any
) -> tuple[Any, int]:
    from covector.transforms.vmap import move_dim

    x = move_dim(args[0], dims[0], 0)  # type: ignore[arg-type]
    return bitcast_convert_type_p.bind(x, new_dtype=new_dtype), 0


batching_rules[bitcast_convert_type_p] = _bitcast_batch


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
    return x if dt == x.dtype else bitcast_convert_type_p.bind(x, new_dtype=dt)


copy_p = Primitive("copy")
copy_p.def_abstract_eval(lambda x: x)
def_vectorized(copy_p)
def_jvp_linear(copy_p)
transpose_rules[copy_p] = lambda ct, x: [ct]


def _barrier_batch(
    axis_size: int, args: Sequence[Any], dims: Sequence[int | None]
) -> tuple[Any, Any]:
    return optimization_barrier_p.bind(*args), list(dims)


def _barrier_jvp(primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
    out = optimization_barrier_p.bind(*primals)
    live = [t for t in tangents if type(t) is not Zero]
    moved = iter(optimization_barrier_p.bind(*live) if live else ())
    return out, [t if type(t) is Zero else next(moved) for t in tangents]


batching_rules[optimization_barrier_p] = _barrier_batch
jvp_rules[optimization_barrier_p] = _barrier_jvp
transpose_rules[optimization_barrier_p] = lambda cts, *xs: optimization_barrier_p.bind(
    *[instantiate(ct) for ct in cts]
)


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
