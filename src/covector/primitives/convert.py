"""Changes of element type and of nothing: rounding to fewer bits, bit casts, copies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from covector.core import dtypes
from covector.core.avals import ShapedArray, aval_of, to_array
from covector.core.definers import def_jvp_linear, def_jvp_zero, def_vectorized
from covector.core.errors import at_user_line
from covector.core.rules import batching_rules, transpose_rules
from covector.core.structural import (
    bring_dim,
    convert_element_type_p,
)
from covector.core.trace import Primitive
from covector.primitives.arithmetic import real
from covector.primitives.common import FLOAT
from covector.primitives.elementwise import LINEAR, unary

reduce_precision_p: Primitive = unary(
    "reduce_precision",
    FLOAT,
    derivative=LINEAR,
    transpose=lambda ct, x, **params: [reduce_precision_p.bind(ct, **params)],
    plain=False,
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
    if (x.dtype in dtypes.SMALL or new_dtype in dtypes.SMALL) and dtypes.bits_of(
        x.dtype
    ) != dtypes.bits_of(new_dtype):
        raise TypeError(
            f"bitcast_convert_type of {x.str_short()} to {new_dtype}: they have "
            f"{dtypes.bits_of(x.dtype)} and {dtypes.bits_of(new_dtype)} bits{at_user_line()}"
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
    x = bring_dim(args[0], axis_size, dims[0], 0)
    return bitcast_convert_type_p.bind(x, new_dtype=new_dtype), 0


batching_rules[bitcast_convert_type_p] = _bitcast_batch
copy_p = Primitive("copy")
copy_p.def_abstract_eval(lambda x: x)
copy_p.impl = lambda args, params: [to_array(args[0])._copied()]
def_vectorized(copy_p)
def_jvp_linear(copy_p)
transpose_rules[copy_p] = lambda ct, x: [ct]


# --- constructors: what rules bind ---------------------------------------------------------


def convert(x: Any, dtype: Any, weak_type: bool = False) -> Any:
    """``x`` in ``dtype``, itself if it is; complex numbers lose their imaginary part."""
    aval = aval_of(x)
    if dtypes.is_complex(aval.dtype) and not dtypes.is_complex(dtype) and dtype != dtypes.bool_:
        x = real(x)
        aval = aval_of(x)
    if aval.dtype == dtype and aval.weak_type == weak_type and hasattr(x, "aval"):
        return x
    return convert_element_type_p.bind(x, new_dtype=dtype, weak_type=weak_type)
