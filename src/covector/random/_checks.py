"""Checks of what the samplers share: shapes, dtypes, parameters."""

from __future__ import annotations

from typing import Any

from covector.core import dtypes
from covector.core.avals import Shape, aval_of
from covector.core.errors import at_user_line
from covector.core.formats import FLOAT_FORMATS
from covector.core.operands import as_array, canonical_shape, scalar
from covector.core.structural import broadcast_in_dim_p, convert_element_type
from covector.lax.shape_functions import broadcast_shapes
from covector.primitives.select import clamp_p


def shape_argument(shape: Any) -> Shape:
    return canonical_shape(shape)


def float_dtype(dtype: Any, name: str) -> Any:
    """Canonical floating dtype; the default one for None."""
    if dtype is None:
        return dtypes.default_float()
    dt = dtypes.check_user_dtype(dtype, name)
    if dt not in dtypes.FLOATS:
        raise ValueError(f"{name}: dtype must be a float type, got {dt}{at_user_line()}")
    if dt in dtypes.SMALL_FLOATS and FLOAT_FORMATS[dt].kind == "scale":
        raise ValueError(
            f"{name}: {dt} has powers of two alone, neither zero nor negative numbers"
            f"{at_user_line()}"
        )
    return dt


def is_small_float(dtype: Any) -> bool:
    """Whether an argument ``dtype`` is a float type of at most eight bits."""
    try:
        return dtype is not None and dtypes.as_dtype(dtype) in dtypes.SMALL_FLOATS
    except TypeError:
        return False  # reported by `float_dtype`


def rounded(x: Any, dtype: Any) -> Any:
    """``x`` in a small float type, the largest number in place of one that it does not hold."""
    if FLOAT_FORMATS[dtype].kind != "ieee":
        most = float(dtypes.finfo(dtype).max)
        least, most = (scalar(v, aval_of(x).dtype) for v in (-most, most))
        x = clamp_p.bind(least, x, most)
    return convert_element_type(x, dtype)


def int_dtype(dtype: Any, name: str) -> Any:
    """Canonical integer dtype; the default one for None."""
    if dtype is None:
        return dtypes.default_int()
    dt = dtypes.check_user_dtype(dtype, name)
    if dt not in dtypes.INTEGERS:
        raise TypeError(f"{name}: dtype must be an integer type, got {dt}{at_user_line()}")
    return dt


def result_shape(name: str, shape: Any, **params: Any) -> Shape:
    """Shape of a draw with array parameters: theirs broadcast together unless given.

    Raises
    ------
    ValueError
        If a parameter does not broadcast to the given shape.
    """
    shapes = [aval_of(p).shape for p in params.values()]
    if shape is None:
        try:
            return broadcast_shapes(*shapes)
        except ValueError as e:
            raise _misfit(name, None, params) from e
    out = canonical_shape(shape)
    for s in shapes:
        if s:
            try:
                if broadcast_shapes(out, s) == out:
                    continue
            except ValueError:
                pass
            raise _misfit(name, out, params)
    return out


def _misfit(name: str, shape: Shape | None, params: dict[str, Any]) -> ValueError:
    given = " and ".join(f"{k} of shape {aval_of(p).shape}" for k, p in params.items())
    if shape is None:
        return ValueError(f"{name}: {given} do not broadcast together{at_user_line()}")
    verb = "does" if len(params) == 1 else "do"
    return ValueError(
        f"{name}: {given} {verb} not broadcast to the result's shape {shape}{at_user_line()}"
    )


def parameter(x: Any, dtype: Any, shape: Shape, name: str) -> Any:
    """A parameter in ``dtype``: rank 0, or broadcast to ``shape``."""
    x = convert_element_type(as_array(x, name), dtype)
    old = x.shape
    if not old or old == shape:
        return x
    n = len(shape) - len(old)
    return broadcast_in_dim_p.bind(x, shape=shape, broadcast_dimensions=tuple(range(n, len(shape))))


def full_parameter(x: Any, dtype: Any, shape: Shape, name: str) -> Any:
    """A parameter in ``dtype``, broadcast to ``shape`` also from rank 0."""
    x = parameter(x, dtype, shape, name)
    if x.shape == shape:
        return x
    return broadcast_in_dim_p.bind(x, shape=shape, broadcast_dimensions=())
