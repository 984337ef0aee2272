"""Elementwise primitives: one scalar operation per element."""

from __future__ import annotations

from typing import Any

from covector.compiler.ir.nodes import Expr, FromIndex, Op, Value, iop, ivars
from covector.compiler.lower.lowering import Lowering, rule
from covector.core import dtypes
from covector.core.jaxpr import JaxprEqn

_PLAIN = """
neg sign floor ceil is_finite exp exp2 log log1p expm1 sin cos tan asin acos atan sinh cosh tanh
asinh acosh atanh sqrt rsqrt cbrt square logistic erf erfc erf_inv lgamma digamma abs real imag
conj not population_count clz convert_element_type bessel_i0e bessel_i1e zeta polygamma igamma
igammac igamma_grad_a random_gamma_grad regularized_incomplete_beta
add sub mul div rem pow max min atan2 nextafter and or xor shift_left shift_right_logical
shift_right_arithmetic eq ne lt le gt ge complex mulhi add_any select_n clamp
""".split()


def _apply(low: Lowering, eqn: JaxprEqn, name: str, args: tuple[Value, ...], attr: Any) -> Value:
    aval = eqn.outvars[0].aval
    n = len(aval.shape)
    index = ivars(n)
    loads = [a.at(*index) if a.shape else a.at() for a in args]
    return low.pointwise(low.shape(aval.shape), aval.dtype, Op(name, loads, aval.dtype, attr))


def _plain(name: str) -> Any:
    return lambda low, eqn, *args: _apply(low, eqn, name, args, None)


for _name in _PLAIN:
    rule(_name)(_plain(_name))


@rule("integer_pow")
def _integer_pow(low: Lowering, eqn: JaxprEqn, x: Value) -> Value:
    return _apply(low, eqn, "integer_pow", (x,), eqn.params["y"])


@rule("round")
def _round(low: Lowering, eqn: JaxprEqn, x: Value) -> Value:
    return _apply(low, eqn, "round", (x,), int(eqn.params["rounding_method"]))


@rule("reduce_precision")
def _reduce_precision(low: Lowering, eqn: JaxprEqn, x: Value) -> Value:
    bits = (eqn.params["exponent_bits"], eqn.params["mantissa_bits"])
    return _apply(low, eqn, "reduce_precision", (x,), bits)


@rule("copy", "copy_p", "stop_gradient", "name", "checkpoint_name")
def _copy(low: Lowering, eqn: JaxprEqn, x: Value) -> Value:
    return x


@rule("optimization_barrier")
def _barrier(low: Lowering, eqn: JaxprEqn, *args: Value) -> tuple[Value, ...]:
    return args


@rule("threefry2x32")
def _threefry(low: Lowering, eqn: JaxprEqn, *args: Value) -> list[Value]:
    aval = eqn.outvars[0].aval
    index = ivars(len(aval.shape))
    loads = [a.at(*index) if a.shape else a.at() for a in args]
    shape = low.shape(aval.shape)
    return [low.pointwise(shape, aval.dtype, Op("threefry", loads, aval.dtype, k)) for k in (0, 1)]


@rule("bitcast_convert_type")
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
