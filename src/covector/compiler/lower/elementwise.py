"""Elementwise primitives: one scalar operation per element."""

from __future__ import annotations

from typing import Any

from covector.compiler.ir.nodes import Expr, FromIndex, Op, Value, iop, ivars
from covector.compiler.lower.lowering import Lowering, rule
from covector.core import dtypes
from covector.core.jaxpr import JaxprEqn
from covector.core.rules import ELEMENTWISE
from covector.core.structural import optimization_barrier_p
from covector.primitives.arithmetic import (
    integer_pow_p,
    round_p,
)
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
