"""Elementwise primitives from their rows: abstract evaluation, derivative, batching."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from covector.core import dtypes
from covector.core.avals import ShapedArray
from covector.core.definers import (
    def_jvp,
    def_jvp_linear,
    def_jvp_out,
    def_jvp_zero,
    def_vectorized,
)
from covector.core.dtypes import DType
from covector.core.opspec import UNIT, FunctionDoc, Interval, OpSpec
from covector.core.rules import add_row, transpose_rules
from covector.core.trace import Primitive
from covector.primitives.common import ANY, check_dtype, dtype_set, elementwise_aval

Derivative = Callable[[Primitive], None]
Values = Sequence[tuple[tuple[Any, ...], Any]]

ZERO: Derivative = def_jvp_zero
LINEAR: Derivative = def_jvp_linear


def slopes(*rules: Callable[..., Any] | None) -> Derivative:
    """A derivative with one rule an operand, ``rule(g, *operands, **params)``."""
    return lambda prim: def_jvp(prim, *rules)


def slopes_of_result(*rules: Callable[..., Any] | None) -> Derivative:
    """The same by rules that use the result too, ``rule(g, out, *operands, **params)``."""
    return lambda prim: def_jvp_out(prim, *rules)


def doc(summary: str, example: str, **rest: Any) -> FunctionDoc:
    """What the docstring says; the name and the operands follow if they are not given."""
    return FunctionDoc(rest.pop("name", ""), rest.pop("operands", ()), summary, example, **rest)


def operation(
    name: str,
    operands: tuple[str, ...],
    accepts: str,
    abstract_eval: Callable[..., ShapedArray],
    *,
    derivative: Derivative,
    transpose: Callable[..., Sequence[Any]] | None = None,
    doc: FunctionDoc | None = None,
    domain: Sequence[Interval] | None = None,
    values: Values = (),
    **row: Any,
) -> Primitive:
    """A primitive whose abstract evaluation is given; ``row`` are fields of its `OpSpec`."""
    if doc is not None and not doc.operands:
        doc = doc._replace(name=doc.name or name, operands=operands)
    domain = (UNIT,) * len(operands) if domain is None else domain
    prim = Primitive(name)
    prim.def_abstract_eval(abstract_eval)
    def_vectorized(prim)
    derivative(prim)
    if transpose is not None:
        transpose_rules[prim] = transpose
    spec = OpSpec(name, len(operands), accepts, domain=domain, values=tuple(values), doc=doc, **row)
    return add_row(prim, spec)


def unary(
    name: str,
    accepts: str,
    result: Callable[[DType], DType] | DType | None = None,
    **row: Any,
) -> Primitive:
    """A primitive of one operand; ``result`` gives the dtype if it is not the operand's."""
    kinds = dtype_set(accepts)

    if result is None:

        def rule(x: ShapedArray, **params: Any) -> ShapedArray:
            if x.dtype not in kinds:
                check_dtype(name, x, accepts)
            return x

    elif callable(result):
        dtype_rule = result

        def rule(x: ShapedArray, **params: Any) -> ShapedArray:
            if x.dtype not in kinds:
                check_dtype(name, x, accepts)
            return ShapedArray(x.shape, dtype_rule(x.dtype), x.weak_type)

    else:
        dtype = result

        def rule(x: ShapedArray, **params: Any) -> ShapedArray:
            if x.dtype not in kinds:
                check_dtype(name, x, accepts)
            return ShapedArray(x.shape, dtype, False)

    return operation(name, ("x",), accepts, rule, result=result, **row)


def binary(
    name: str, accepts: str, operands: tuple[str, str] = ("x", "y"), **row: Any
) -> Primitive:
    """A primitive of two operands of one dtype, whose result has that dtype."""
    kinds = dtype_set(accepts)

    def rule(x: ShapedArray, y: ShapedArray) -> ShapedArray:
        if x.dtype not in kinds:
            check_dtype(name, x, accepts)
        if x.dtype is y.dtype and (x.shape == y.shape or not y.shape):
            if x.weak_type is y.weak_type or not x.weak_type:
                return x
        return elementwise_aval(name, (x, y))

    return operation(name, operands, accepts, rule, **row)


def comparison(name: str, accepts: str, **row: Any) -> Primitive:
    """A primitive of two operands of one dtype with a boolean result."""
    kinds = dtype_set(accepts)
    keys = accepts == ANY  # equal or not, but in no order

    def rule(x: ShapedArray, y: ShapedArray) -> ShapedArray:
        if x.dtype not in kinds and not (keys and dtypes.is_extended(x.dtype)):
            check_dtype(name, x, accepts)
        return ShapedArray(elementwise_aval(name, (x, y)).shape, dtypes.bool_)

    return operation(name, ("x", "y"), accepts, rule, result=dtypes.bool_, derivative=ZERO, **row)
