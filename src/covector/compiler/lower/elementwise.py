"""Elementwise primitives: one scalar operation per element."""

from __future__ import annotations

from typing import Any

import numpy as np

from covector.compiler.ir.nodes import Expr, FromIndex, Lit, Op, Pointwise, Value, iop, ivars
from covector.compiler.lower.lowering import Lowering, rule
from covector.core import dtypes
from covector.core.jaxpr import JaxprEqn
from covector.core.rules import ELEMENTWISE
from covector.core.structural import optimization_barrier_p
from covector.primitives.arithmetic import (
    integer_pow_p,
    round_p,
)
from covector.primitives.compare import ge_p, gt_p, le_p, lt_p
from covector.primitives.convert import bitcast_convert_type_p, copy_p, reduce_precision_p
from covector.primitives.random_bits import threefry2x32_p


def _apply(low: Lowering, eqn: JaxprEqn, name: str, args: tuple[Value, ...], attr: Any) -> Value:
    aval = eqn.outvars[0].aval
    n = len(aval.shape)
    index = ivars(n)
    loads = [a.at(*index) if a.shape else a.at() for a in args]
    return low.pointwise(low.shape(aval.shape), aval.dtype, Op(name, loads, aval.dtype, attr))


def plain(name: str) -> Any:
    """The rule of a primitive that is the scalar operation of its name."""
    return lambda low, eqn, *args: _apply(low, eqn, name, args, None)


for _p in ELEMENTWISE.values():
    if _p.spec is not None and _p.spec.plain:
        rule(_p)(plain(_p.name))


# A comparison with its sides exchanged; those for which a number itself counts as beyond it.
_EXCHANGED = {"lt": "gt", "le": "ge", "gt": "lt", "ge": "le"}
_FROM = ("ge", "lt")
# Absolute values that squares do without overflow, as powers of two.
_SQUARES = {dtypes.float32: 20, dtypes.float64: 200}


def _compared(name: str) -> Any:
    """The rule of a comparison: an absolute value of a complex number is compared by its square."""

    def lowered(low: Lowering, eqn: JaxprEqn, x: Value, y: Value) -> Value:
        return (
            _by_square(low, name, x, y)
            or _by_square(low, _EXCHANGED[name], y, x)
            or _apply(low, eqn, name, (x, y), None)
        )

    return lowered


def _by_square(low: Lowering, name: str, x: Value, y: Value) -> Value | None:
    """Whether the absolute values ``x`` are as said to the number ``y``, by their squares: those
    whose roots, rounded, are so lie on one side of a number. None if they are no such values."""
    size = x.defn.expr if type(x.defn) is Pointwise else None
    if type(size) is not Op or size.name != "abs" or size.args[0].dtype not in dtypes.COMPLEX:
        return None
    number = y.defn.expr if type(y.defn) is Pointwise and not y.ndim else None
    if type(number) is not Lit:
        return None
    bound = _square_bound(np.asarray(number.value, x.dtype)[()], _SQUARES[x.dtype], name in _FROM)
    if bound is None:
        return None
    square = Op("abs_square", size.args, x.dtype)
    return low.pointwise(
        x.shape, dtypes.bool_, Op(name, [square, Lit(bound, x.dtype)], dtypes.bool_)
    )


def _square_bound(c: Any, most: int, first: bool) -> Any:
    """The first number whose square root, rounded, is not less than ``c``, or the last one whose
    root is not greater; None where squares may overflow."""
    if not 2.0**-most <= c <= 2.0**most:
        return None
    down, up = c.dtype.type(0), c.dtype.type(np.inf)
    q = c * c
    if first:
        while np.sqrt(np.nextafter(q, down)) >= c:
            q = np.nextafter(q, down)
        while np.sqrt(q) < c:
            q = np.nextafter(q, up)
    else:
        while np.sqrt(np.nextafter(q, up)) <= c:
            q = np.nextafter(q, up)
        while np.sqrt(q) > c:
            q = np.nextafter(q, down)
    return q


for _p in (lt_p, le_p, gt_p, ge_p):
    rule(_p)(_compared(_p.name))


def partial(name: str) -> Any:
    """The rule of derivatives, of the orders that stand with them."""
    return lambda low, eqn, *args: _apply(low, eqn, name, args, eqn.params["orders"])


@rule(integer_pow_p)
def _integer_pow(low: Lowering, eqn: JaxprEqn, x: Value) -> Value:
    return _apply(low, eqn, "integer_pow", (x,), eqn.params["y"])


@rule(round_p)
def _round(low: Lowering, eqn: JaxprEqn, x: Value) -> Value:
    return _apply(low, eqn, "round", (x,), int(eqn.params["rounding_method"]))


@rule(reduce_precision_p)
def _reduce_precision(low: Lowering, eqn: JaxprEqn, x: Value) -> Value:
    bits = (eqn.params["exponent_bits"], eqn.params["mantissa_bits"])
    return _apply(low, eqn, "reduce_precision", (x,), bits)


@rule(copy_p)
def _copy(low: Lowering, eqn: JaxprEqn, x: Value) -> Value:
    return x


@rule(optimization_barrier_p)
def _barrier(low: Lowering, eqn: JaxprEqn, *args: Value) -> tuple[Value, ...]:
    return args


@rule(threefry2x32_p)
def _threefry(low: Lowering, eqn: JaxprEqn, *args: Value) -> list[Value]:
    aval = eqn.outvars[0].aval
    index = ivars(len(aval.shape))
    loads = [a.at(*index) if a.shape else a.at() for a in args]
    shape = low.shape(aval.shape)
    return [low.pointwise(shape, aval.dtype, Op("threefry", loads, aval.dtype, k)) for k in (0, 1)]


@rule(bitcast_convert_type_p)
def _bitcast(low: Lowering, eqn: JaxprEqn, x: Value) -> Value:
    src, aval = eqn.invars[0].aval, eqn.outvars[0].aval
    a, b = src.dtype, aval.dtype
    shape = low.shape(aval.shape)
    n = len(aval.shape)
    if a.itemsize == b.itemsize:
        return low.pointwise(shape, b, Op("bitcast_convert_type", [x.at(*ivars(n))], b))
    if a.itemsize > b.itemsize:
        wide = dtypes.as_dtype(f"uint{8 * a.itemsize}")
        narrow = dtypes.as_dtype(f"uint{8 * b.itemsize}")
        bits = Op("bitcast_convert_type", [x.at(*ivars(n - 1))], wide)
        shift = FromIndex(iop("*", ivars(n)[n - 1], 8 * b.itemsize), wide)
        word = Op("convert_element_type", [Op("shift_right_logical", [bits, shift], wide)], narrow)
        return low.pointwise(shape, b, Op("bitcast_convert_type", [word], b))
    narrow = dtypes.as_dtype(f"uint{8 * a.itemsize}")
    wide = dtypes.as_dtype(f"uint{8 * b.itemsize}")
    total: Expr | None = None
    for k in range(b.itemsize // a.itemsize):
        part = Op("bitcast_convert_type", [x.at(*ivars(n), k)], narrow)
        word = Op("convert_element_type", [part], wide)
        if k:
            word = Op("shift_left", [word, FromIndex(8 * a.itemsize * k, wide)], wide)
        total = word if total is None else Op("or", [total, word], wide)
    assert total is not None
    return low.pointwise(shape, b, Op("bitcast_convert_type", [total], b))
