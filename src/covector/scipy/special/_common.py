"""What the special functions share: operands, and the precision they are computed in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from covector import lax
from covector.core import dtypes, structural
from covector.core.avals import aval_of
from covector.core.errors import at_user_line, describe
from covector.core.operands import like
from covector.numpy._util import array, broadcast_all, convert, promote_inexact

__all__ = ["elementwise", "filled", "floats", "horner", "like", "orders"]


def _refuse_complex(name: str, *xs: Any) -> None:
    for x in xs:
        if dtypes.is_complex(x.dtype):
            raise TypeError(
                f"{name} takes real numbers, got {describe(x)}; take its real part first"
                f"{at_user_line()}"
            )


def floats(name: str, *xs: Any, holomorphic: bool = False, full: bool = False) -> list[Any]:
    """Operands as arrays of one inexact dtype, in one shape (or rank 0, unless ``full``)."""
    out = [array(x, name, k) for k, x in enumerate(promote_inexact(name, *xs))]
    if not holomorphic:
        _refuse_complex(name, *out)
    shapes = {x.shape for x in out if x.shape or full}
    return broadcast_all(name, *out) if len(shapes) > 1 else out


def elementwise(
    name: str,
    fun: Callable[..., Any],
    *xs: Any,
    double: bool = False,
    holomorphic: bool = False,
    full: bool = False,
) -> Any:
    """``fun`` of the operands, in one dtype.

    Numbers of 16 bits are computed with as float32; where intermediate results need more digits
    than results, ``double`` has narrower numbers computed with as float64. Selections want
    operands in the ``full`` shape.
    """
    operands = floats(name, *xs, holomorphic=holomorphic, full=full)
    dtype, weak = operands[0].dtype, all(x.aval.weak_type for x in operands)
    wide = dtypes.float64 if double else dtypes.float32
    if dtypes.is_complex(dtype):
        wide = dtypes.complex_dtype(wide)
    if dtype.itemsize < wide.itemsize:
        operands = [structural.convert_element_type(x, wide) for x in operands]
    out = fun(*operands)

    def narrow(y: Any) -> Any:
        real = dtypes.real_dtype(dtype)
        return convert(y, dtypes.complex_dtype(real) if dtypes.is_complex(y.dtype) else real, weak)

    return tuple(map(narrow, out)) if isinstance(out, tuple) else narrow(out)


def filled(x: Any, value: complex) -> Any:
    """``value`` in the shape and dtype of ``x``, be it wider than what arrays have."""
    aval = aval_of(x)
    out = structural.full(aval.shape, value, aval.dtype)
    return structural.convert_element_type(out, aval.dtype, aval.weak_type)


def orders(dtype: Any, shape: tuple[int, ...], dimension: int = 0) -> Any:
    """0, 1, 2, … along a dimension."""
    return structural.convert_element_type(
        lax.broadcasted_iota(dtypes.int32, shape, dimension), dtype
    )


def horner(x: Any, coefficients: Any) -> Any:
    """A polynomial, from its constant upwards."""
    out: Any = like(coefficients[-1], x)
    for c in reversed(coefficients[:-1]):
        out = lax.add(lax.mul(x, out), like(c, x))
    return out
