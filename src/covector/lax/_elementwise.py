"""Constructors of elementwise primitives: abstract evaluation and batching."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from covector.core import dtypes
from covector.core.avals import ShapedArray
from covector.core.dtypes import DType
from covector.core.trace import Primitive
from covector.lax._common import check_dtype, dtype_set, elementwise_aval
from covector.transforms.vmap import def_vectorized


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
