"""Elementwise operations that StableHLO or CHLO has."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from covector.backends.pjrt import kernels
from covector.backends.pjrt.lower import out_type, rule, spread
from covector.backends.pjrt.text import Builder, Value
from covector.control_flow.checkpoint import name_p
from covector.control_flow.composite import dce_sink_p
from covector.core import dtypes
from covector.core.dtypes import DType
from covector.core.jaxpr import JaxprEqn
from covector.core.structural import add_any_p, convert_element_type_p, optimization_barrier_p
from covector.core.trace import Primitive
from covector.primitives import arithmetic as ar
from covector.primitives import compare as cp
from covector.primitives import exponential as ex
from covector.primitives.convert import copy_p
from covector.primitives.select import clamp_p, select_n_p

Emission = Callable[..., Value]
_BOOL = np.dtype(np.bool_)
_F32 = np.dtype(np.float32)


def computed_in(dtype: DType) -> DType:
    """The type in which elements are computed: numbers of at most eight bits are widened."""
    if dtype in dtypes.SMALL_FLOATS:
        return _F32
    if dtype in dtypes.SMALL_INTEGERS:
        return dtypes.int8 if dtype in dtypes.SIGNED else dtypes.uint8
    return dtype


def elementwise(table: dict[Primitive, Emission]) -> None:
    """Make functions of tensors of one shape the rules of primitives."""
    for prim, fn in table.items():
        rule(prim)(applied(fn))


def applied(fn: Emission) -> Callable[..., Value]:
    """The rule of a function of tensors of one shape."""

    def write(b: Builder, eqn: JaxprEqn, *xs: Value) -> Value:
        aval = eqn.outvars[0].aval
        shape, dtype = aval.shape, aval.dtype
        args = [x if x.shape == shape else spread(b, x, shape) for x in xs]
        if any([x.dtype in dtypes.SMALL for x in args]):
            args = [b.convert(x, computed_in(x.dtype)) for x in args]
        return b.convert(fn(b, *args), dtype)

    return write


def named(name: str) -> Emission:
    """``stablehlo.name``."""
    return lambda b, *xs: b.same(name, *xs)


def chlo(name: str) -> Emission:
    """``chlo.name``, whose expansion the compiler has."""

    def write(b: Builder, *xs: Value) -> Value:
        return b.op(f"chlo.{name}", xs, xs[0].dtype, xs[0].shape)

    return write


def ours(name: str, theirs: Emission, singles: bool = False) -> Emission:
    """`covector.numerics`' function of doubles, where ``theirs`` loses digits (singles, too, if so
    wished)."""
    wanted = (dtypes.float64, dtypes.float32) if singles else (dtypes.float64,)

    def write(b: Builder, x: Value) -> Value:
        return kernels.write(b, name, x) if x.dtype in wanted else theirs(b, x)

    return write


def is_nan(b: Builder, x: Value) -> Value:
    return b.compare("NE", x, x)


# --- arithmetic -------------------------------------------------------------------------------


def _add(b: Builder, x: Value, y: Value) -> Value:
    return b.same("or" if x.dtype == _BOOL else "add", x, y)


def _mul(b: Builder, x: Value, y: Value) -> Value:
    return b.same("and" if x.dtype == _BOOL else "multiply", x, y)


def _div(b: Builder, x: Value, y: Value) -> Value:
    if x.dtype not in dtypes.INTEGERS:
        return b.div(x, y)
    none = b.compare("EQ", y, b.like(y, 0))
    out = b.div(x, b.select(none, b.like(y, 1), y))
    if x.dtype in dtypes.SIGNED:
        # The lowest number by -1 wraps round.
        minus = b.compare("EQ", y, b.like(y, -1))
        safe = b.select(b.either(none, minus), b.like(y, 1), y)
        out = b.select(minus, b.same("negate", x), b.div(x, safe))
    return b.select(none, b.opposite(b.like(y, 0)), out)  # as XLA's own CPU compiler has it


def _rem(b: Builder, x: Value, y: Value) -> Value:
    if x.dtype not in dtypes.INTEGERS:
        return b.same("remainder", x, y)
    none = b.compare("EQ", y, b.like(y, 0))
    trivial = none
    if x.dtype in dtypes.SIGNED:
        trivial = b.either(none, b.compare("EQ", y, b.like(y, -1)))
    out = b.same("remainder", x, b.select(trivial, b.like(y, 1), y))
    return b.select(none, x, out)


def _extremum(name: str) -> Emission:
    direction = "GT" if name == "maximum" else "LT"

    def write(b: Builder, x: Value, y: Value) -> Value:
        if x.dtype not in dtypes.COMPLEX:
            return b.same(name, x, y)
        # By the real parts, then by the imaginary ones; NaN wins.
        xr, yr, xi, yi = real(b, x), real(b, y), imag(b, x), imag(b, y)
        first = b.either(
            b.compare(direction, xr, yr),
            b.both(b.compare("EQ", xr, yr), b.compare(direction, xi, yi)),
        )
        return b.select(b.both(b.either(first, _nan(b, x)), b.opposite(_nan_only(b, y, x))), x, y)

    return write


def _nan(b: Builder, x: Value) -> Value:
    """Whether a complex number has a part that is NaN."""
    return b.either(is_nan(b, real(b, x)), is_nan(b, imag(b, x)))


def _nan_only(b: Builder, x: Value, y: Value) -> Value:
    return b.both(_nan(b, x), b.opposite(_nan(b, y)))


def real(b: Builder, x: Value) -> Value:
    return b.op("stablehlo.real", (x,), dtypes.real_dtype(x.dtype), x.shape)


def imag(b: Builder, x: Value) -> Value:
    return b.op("stablehlo.imag", (x,), dtypes.real_dtype(x.dtype), x.shape)


def complex_(b: Builder, x: Value, y: Value) -> Value:
    return b.op("stablehlo.complex", (x, y), dtypes.complex_dtype(x.dtype), x.shape)


def _neg(b: Builder, x: Value) -> Value:
    return b.same("negate", x)


def _abs(b: Builder, x: Value) -> Value:
    if x.dtype in dtypes.UNSIGNED or x.dtype == _BOOL:
        return x
    if x.dtype in dtypes.COMPLEX:
        return b.op("stablehlo.abs", (x,), dtypes.real_dtype(x.dtype), x.shape)
    return b.same("abs", x)


def _sign(b: Builder, x: Value) -> Value:
    if x.dtype in dtypes.UNSIGNED:
        return b.select(b.compare("EQ", x, b.like(x, 0)), b.like(x, 0), b.like(x, 1))
    return b.same("sign", x)


def conj(b: Builder, x: Value) -> Value:
    if x.dtype not in dtypes.COMPLEX:
        return complex_(b, x, b.like(x, -0.0))
    return complex_(b, real(b, x), b.same("negate", imag(b, x)))


def _is_finite(b: Builder, x: Value) -> Value:
    if x.dtype in dtypes.INTEGERS or x.dtype == _BOOL:
        return b.constant(True, _BOOL, x.shape)
    if x.dtype in dtypes.COMPLEX:
        return b.both(_is_finite(b, real(b, x)), _is_finite(b, imag(b, x)))
    out = Value(b.name(), _BOOL, x.shape)
    b.line(f"{out.ref} = stablehlo.is_finite {x.ref} : ({x.type}) -> {out.type}")
    return out


def _clamp(b: Builder, low: Value, x: Value, high: Value) -> Value:
    return b.same("minimum", b.same("maximum", x, low), high)


def _square(b: Builder, x: Value) -> Value:
    return b.mul(x, x)


def _rsqrt(b: Builder, x: Value) -> Value:
    return b.same("rsqrt", x)


def _exp2(b: Builder, x: Value) -> Value:
    if x.dtype in dtypes.COMPLEX:
        return b.same("exponential", b.mul(x, b.like(x, np.log(2.0))))
    return b.same("power", b.like(x, 2.0), x)


def _logistic(b: Builder, x: Value) -> Value:
    return b.same("logistic", x)


def _tan(b: Builder, x: Value) -> Value:
    return b.same("tan", x)


def _widened(fn: Emission) -> Emission:
    """The function of narrow floats computed in float32."""

    def write(b: Builder, *xs: Value) -> Value:
        dtype = xs[0].dtype
        if dtype not in dtypes.FLOATS or dtypes.bits_of(dtype) >= 32:
            return fn(b, *xs)
        return b.convert(fn(b, *[b.convert(x, _F32) for x in xs]), dtype)

    return write


def _log(b: Builder, x: Value) -> Value:
    """Of complex numbers: near the unit circle by how far from it they are."""
    if x.dtype not in dtypes.COMPLEX:
        return b.same("log", x)
    re, im = real(b, x), imag(b, x)
    across, up = b.same("abs", re), b.same("abs", im)
    most, least = b.same("maximum", across, up), b.same("minimum", across, up)
    one = b.like(re, 1)
    off = b.add(b.mul(b.sub(most, one), b.add(most, one)), b.mul(least, least))
    near = b.mul(b.like(re, 0.5), kernels.write(b, "log1p", off))
    far = b.same("log", b.op("stablehlo.abs", (x,), re.dtype, x.shape))
    close = b.both(b.compare("GT", most, b.like(re, 0.5)), b.compare("LT", most, b.like(re, 2.0)))
    return complex_(b, b.select(close, near, far), b.same("atan2", im, re))


elementwise({
    ar.add_p: _add, add_any_p: _add, ar.sub_p: named("subtract"), ar.mul_p: _mul,
    ar.div_p: _div, ar.rem_p: _rem, ar.max_p: _extremum("maximum"),
    ar.min_p: _extremum("minimum"), ar.neg_p: _neg, ar.sign_p: _sign, ar.abs_p: _abs,
    ar.square_p: _square, ar.floor_p: named("floor"), ar.ceil_p: named("ceil"),
    ar.is_finite_p: _is_finite, ar.real_p: real, ar.imag_p: imag, ar.conj_p: conj,
    ar.complex_p: complex_, ar.nextafter_p: chlo("next_after"),
    clamp_p: _clamp,
})  # fmt: skip
elementwise({prim: _widened(fn) for prim, fn in {
    ex.pow_p: named("power"), ex.atan2_p: named("atan2"), ex.exp_p: named("exponential"),
    ex.exp2_p: _exp2, ex.expm1_p: ours("expm1", named("exponential_minus_one")),
    ex.log_p: _log, ex.log1p_p: ours("log1p", named("log_plus_one")),
    ex.logistic_p: _logistic, ex.sqrt_p: named("sqrt"), ex.rsqrt_p: _rsqrt,
    ex.cbrt_p: ours("cbrt", named("cbrt")), ex.sin_p: named("sine"), ex.cos_p: named("cosine"),
    ex.tan_p: _tan, ex.tanh_p: ours("tanh", named("tanh")),
    **{
        getattr(ex, f"{name}_p"): chlo(name)
        for name in ("asin", "acos", "atan", "asinh", "acosh")
    },
    ex.sinh_p: ours("sinh", chlo("sinh"), singles=True),
    ex.cosh_p: ours("cosh", chlo("cosh"), singles=True),
    ex.atanh_p: ours("atanh", chlo("atanh")),
}.items()})  # fmt: skip


# --- comparisons and logic --------------------------------------------------------------------


def _comparison(direction: str) -> Emission:
    def write(b: Builder, x: Value, y: Value) -> Value:
        if x.dtype in dtypes.COMPLEX and direction not in ("EQ", "NE"):
            xr, yr = real(b, x), real(b, y)
            strict = direction[:1] + "T"
            return b.either(
                b.compare(strict, xr, yr),
                b.both(b.compare("EQ", xr, yr), b.compare(direction, imag(b, x), imag(b, y))),
            )
        return b.compare(direction, x, y)

    return write


def _in_width(b: Builder, y: Value) -> Value:
    bits = dtypes.bits_of(y.dtype)
    inside = b.compare("LT", y, b.like(y, bits))
    if y.dtype in dtypes.SIGNED:
        inside = b.both(inside, b.compare("GE", y, b.like(y, 0)))
    return inside


def _shift(name: str) -> Emission:
    def write(b: Builder, x: Value, y: Value) -> Value:
        bits = dtypes.bits_of(x.dtype)
        inside = _in_width(b, y)
        if name == "shift_right_arithmetic":
            return _shift_arithmetic(b, x, b.select(inside, y, b.like(y, bits - 1)))
        shifted = b.same(name, x, b.select(inside, y, b.like(y, 0)))
        return b.select(inside, shifted, b.like(x, 0))

    return write


def _shift_arithmetic(b: Builder, x: Value, y: Value) -> Value:
    """The first bit is copied, whether it is a sign or not."""
    if x.dtype in dtypes.SIGNED:
        return b.same("shift_right_arithmetic", x, y)
    signed = np.dtype(f"int{8 * x.dtype.itemsize}")
    return b.bitcast(
        b.same("shift_right_arithmetic", b.bitcast(x, signed), b.bitcast(y, signed)), x.dtype
    )


def _mulhi(b: Builder, x: Value, y: Value) -> Value:
    bits = dtypes.bits_of(x.dtype)
    signed = x.dtype in dtypes.SIGNED
    if bits < 64:
        wide = np.dtype(f"{'int' if signed else 'uint'}{2 * bits}")
        product = b.mul(b.convert(x, wide), b.convert(y, wide))
        kind = "shift_right_arithmetic" if signed else "shift_right_logical"
        return b.convert(b.same(kind, product, b.like(product, bits)), x.dtype)
    # Of two halves each; a negative number is 2**64 more when it is read without sign.
    u, v = (b.bitcast(a, dtypes.uint64) if signed else a for a in (x, y))
    half, low = b.like(u, 32), b.like(u, 0xFFFFFFFF)
    u1, v1 = (b.same("shift_right_logical", a, half) for a in (u, v))
    u0, v0 = (b.both(a, low) for a in (u, v))
    middle = b.add(b.mul(u1, v0), b.same("shift_right_logical", b.mul(u0, v0), half))
    rest = b.add(b.mul(u0, v1), b.both(middle, low))
    high = b.add(b.mul(u1, v1), b.same("shift_right_logical", middle, half))
    high = b.add(high, b.same("shift_right_logical", rest, half))
    if not signed:
        return high
    zero = b.like(u, 0)
    for a, other in ((x, v), (y, u)):
        high = b.sub(high, b.select(b.compare("LT", a, b.like(a, 0)), other, zero))
    return b.bitcast(high, x.dtype)


elementwise({
    cp.eq_p: _comparison("EQ"), cp.ne_p: _comparison("NE"), cp.lt_p: _comparison("LT"),
    cp.le_p: _comparison("LE"), cp.gt_p: _comparison("GT"), cp.ge_p: _comparison("GE"),
    cp.and_p: named("and"), cp.or_p: named("or"), cp.xor_p: named("xor"), cp.not_p: named("not"),
    cp.population_count_p: named("popcnt"), cp.clz_p: named("count_leading_zeros"),
    cp.shift_left_p: _shift("shift_left"),
    cp.shift_right_logical_p: _shift("shift_right_logical"),
    cp.shift_right_arithmetic_p: _shift("shift_right_arithmetic"), ar.mulhi_p: _mulhi,
})  # fmt: skip


# --- operations with parameters ---------------------------------------------------------------


@rule(ar.integer_pow_p)
def _integer_pow(b: Builder, eqn: JaxprEqn, x: Value) -> Value:
    """By repeated squaring."""
    y, dtype = eqn.params["y"], x.dtype
    x = b.convert(x, computed_in(dtype))
    out, power, n = None, x, abs(y)
    while n:
        if n & 1:
            out = power if out is None else b.mul(out, power)
        n >>= 1
        if n:
            power = b.mul(power, power)
    one = b.like(x, 1)
    out = one if out is None else out
    return b.convert(b.div(one, out) if y < 0 else out, dtype)


@rule(ar.round_p)
def _round(b: Builder, eqn: JaxprEqn, x: Value) -> Value:
    even = int(eqn.params["rounding_method"]) == 1
    wide = b.convert(x, computed_in(x.dtype))
    return b.convert(b.same("round_nearest_even" if even else "round_nearest_afz", wide), x.dtype)


@rule(copy_p, name_p)
def _same(b: Builder, eqn: JaxprEqn, x: Value) -> Value:
    return x


@rule(dce_sink_p)
def _kept(b: Builder, eqn: JaxprEqn, *xs: Value) -> list[Value]:
    return []


@rule(optimization_barrier_p)
def _barrier(b: Builder, eqn: JaxprEqn, *xs: Value) -> list[Value]:
    return b.ops("stablehlo.optimization_barrier", xs, [(x.dtype, x.shape) for x in xs])


@rule(select_n_p)
def _select(b: Builder, eqn: JaxprEqn, which: Value, *cases: Value) -> Value:
    shape = out_type(eqn).shape
    values = [spread(b, c, shape) for c in cases]
    if len(values) == 1:
        return values[0]
    if which.dtype == _BOOL:
        return b.select(which, values[1], values[0])
    out = values[-1]
    for k in range(len(values) - 2, -1, -1):
        first = b.compare("LE", which, b.like(which, k))
        out = b.select(first, values[k], out)
    return out


@rule(convert_element_type_p)
def _convert(b: Builder, eqn: JaxprEqn, x: Value) -> Value:
    return converted(b, x, eqn.params["new_dtype"])


def converted(b: Builder, x: Value, new: DType) -> Value:
    """``x`` as another dtype: numbers beyond an integer's range become the nearest, NaN zero."""
    old = x.dtype
    if old == new or dtypes.is_extended(new) or dtypes.is_extended(old):
        return Value(x.ref, new, x.shape) if old != new else x
    if old in dtypes.COMPLEX and new not in dtypes.COMPLEX:
        if new == _BOOL:
            return b.compare("NE", x, b.like(x, 0))
        return converted(b, real(b, x), new)
    if new == _BOOL:
        return b.compare("NE", x, b.like(x, 0))
    if new in dtypes.INTEGERS and old in dtypes.INEXACT:
        return _to_integer(b, x, new)
    return b.convert(x, new)


def _to_integer(b: Builder, x: Value, new: DType) -> Value:
    if dtypes.bits_of(x.dtype) < 32:
        x = b.convert(x, _F32)
    low, high = dtypes.LIMITS[new]
    below = b.compare("LE", x, b.like(x, float(low)))
    above = b.compare("GE", x, b.like(x, float(high)))
    inside = b.select(b.either(b.either(below, above), is_nan(b, x)), b.like(x, 0), x)
    wide = new
    if new in dtypes.SMALL_INTEGERS:
        wide = dtypes.int8 if new in dtypes.SIGNED else dtypes.uint8
    out = b.convert(inside, wide)
    out = b.select(below, b.like(out, low), b.select(above, b.like(out, high), out))
    return b.convert(out, new)
