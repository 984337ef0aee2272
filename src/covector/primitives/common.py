"""What the families of primitives share: kinds of dtypes, checks, elementwise constructors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from covector.core import dtypes
from covector.core.avals import ShapedArray
from covector.core.definers import def_vectorized
from covector.core.dtypes import DType
from covector.core.errors import at_user_line
from covector.core.trace import Primitive

_DTYPE_SETS = {
    "a float": dtypes.FLOATS,
    "a float or complex": dtypes.INEXACT,
    "complex": dtypes.COMPLEX,
    "an integer": dtypes.INTEGERS,
    "a boolean or integer": dtypes.INTEGERS | {dtypes.bool_},
    "numeric": dtypes.NUMERIC,
    "a number or boolean": dtypes.NUMERIC | {dtypes.bool_},
    "a real number": dtypes.INTEGERS | dtypes.FLOATS,
    "a real number or boolean": dtypes.INTEGERS | dtypes.FLOATS | {dtypes.bool_},
}


FLOAT, INEXACT, COMPLEX, INTEGER, BITS, NUMERIC, ANY, REAL, ORDERED = _DTYPE_SETS


def check_dtype(name: str, aval: ShapedArray, kind: str) -> None:
    if aval.dtype not in _DTYPE_SETS[kind]:
        raise TypeError(
            f"{name} takes {kind} array, but an operand is {aval.str_short()}{at_user_line()}"
        )


def dtype_set(kind: str) -> frozenset[DType]:
    return frozenset(_DTYPE_SETS[kind])


def elementwise_aval(
    name: str, avals: Sequence[ShapedArray], dtype: DType | None = None
) -> ShapedArray:
    """Aval of an elementwise operation on operands of one dtype and shape (or rank 0)."""
    shape: tuple[int, ...] = ()
    weak = True
    first = avals[0]
    for a in avals:
        if a.shape:
            if not shape:
                shape = a.shape
            elif shape != a.shape:
                raise TypeError(
                    f"{name} takes operands of equal shapes or rank 0, got "
                    f"{', '.join(b.str_short() for b in avals)}{at_user_line()}"
                )
        if a.dtype is not first.dtype and a.dtype != first.dtype:
            raise TypeError(
                f"{name} takes operands of one dtype, got "
                f"{', '.join(b.str_short() for b in avals)}{at_user_line()}"
            )
        weak = weak and a.weak_type
    return ShapedArray(shape, first.dtype if dtype is None else dtype, weak)


def unary(
    name: str, kind: str, result: Callable[[DType], DType] | DType | None = None
) -> Primitive:
    """A primitive of one operand; ``result`` gives the dtype if it is not the operand's."""
    prim = Primitive(name)
    accepted = dtype_set(kind)

    if result is None:

        def rule(x: ShapedArray, **params: Any) -> ShapedArray:
            if x.dtype not in accepted:
                check_dtype(name, x, kind)
            return x

    elif callable(result):
        dtype_rule = result

        def rule(x: ShapedArray, **params: Any) -> ShapedArray:
            if x.dtype not in accepted:
                check_dtype(name, x, kind)
            return ShapedArray(x.shape, dtype_rule(x.dtype), x.weak_type)

    else:
        dtype = result

        def rule(x: ShapedArray, **params: Any) -> ShapedArray:
            if x.dtype not in accepted:
                check_dtype(name, x, kind)
            return ShapedArray(x.shape, dtype, False)

    prim.def_abstract_eval(rule)
    def_vectorized(prim)
    return prim


def binary(name: str, kind: str) -> Primitive:
    """A primitive of two operands of one dtype, whose result has that dtype."""
    prim = Primitive(name)
    accepted = dtype_set(kind)

    def rule(x: ShapedArray, y: ShapedArray) -> ShapedArray:
        if x.dtype not in accepted:
            check_dtype(name, x, kind)
        if x.dtype is y.dtype and (x.shape == y.shape or not y.shape):
            if x.weak_type is y.weak_type or not x.weak_type:
                return x
        return elementwise_aval(name, (x, y))

    prim.def_abstract_eval(rule)
    def_vectorized(prim)
    return prim


def comparison(name: str, kind: str) -> Primitive:
    """A primitive of two operands of one dtype with a boolean result."""
    prim = Primitive(name)
    accepted = dtype_set(kind)

    def rule(x: ShapedArray, y: ShapedArray) -> ShapedArray:
        if x.dtype not in accepted and not dtypes.is_extended(x.dtype):
            check_dtype(name, x, kind)
        return ShapedArray(elementwise_aval(name, (x, y)).shape, dtypes.bool_)

    prim.def_abstract_eval(rule)
    def_vectorized(prim)
    return prim


# --- derivatives -------------------------------------------------------------------------
