"""Elementwise functions with NumPy's names: the machinery, and what maps to one primitive."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from covector import lax
from covector.core import dtypes
from covector.core.avals import aval_of
from covector.core.errors import at_user_line, describe
from covector.core.trace import eval_trace
from covector.lax._common import scalar
from covector.numpy._util import (
    array,
    check_out,
    compile_lazily,
    convert,
    current_trace,
    fused,
    inexact,
    operand,
    promote2,
    promote_inexact,
)

Impl = Callable[..., Any]


def _no_where(where: Any, name: str) -> None:
    if where is not None:
        raise NotImplementedError(
            f"the argument where of covector.numpy.{name} is not supported; combine the results "
            f"with covector.numpy.where{at_user_line()}"
        )


def ufunc1(impl: Impl, name: str, doc: str) -> Impl:
    """The public function of one operand, fused when it is called on concrete arrays."""
    compiled: Any = None
    impl.__name__ = impl.__qualname__ = name

    def fun(x: Any, /, *, out: Any = None, where: Any = None) -> Any:
        nonlocal compiled
        if out is not None or where is not None:
            check_out(out, name)
            _no_where(where, name)
        if current_trace() is not eval_trace:
            return impl(x)
        if compiled is None:
            compiled = compile_lazily(impl)
        return compiled(x)

    fun.__name__ = fun.__qualname__ = name
    fun.__doc__ = doc
    fun.nin, fun.nout = 1, 1  # type: ignore[attr-defined]
    fun.impl = impl  # type: ignore[attr-defined]
    return fun


def ufunc2(impl: Impl, name: str, doc: str) -> Impl:
    """The public function of two operands, fused when it is called on concrete arrays."""
    compiled: Any = None
    impl.__name__ = impl.__qualname__ = name

    def fun(x: Any, y: Any, /, *, out: Any = None, where: Any = None) -> Any:
        nonlocal compiled
        if out is not None or where is not None:
            check_out(out, name)
            _no_where(where, name)
        if current_trace() is not eval_trace:
            return impl(x, y)
        if compiled is None:
            compiled = compile_lazily(impl)
        return compiled(x, y)

    fun.__name__ = fun.__qualname__ = name
    fun.__doc__ = doc
    fun.nin, fun.nout = 2, 1  # type: ignore[attr-defined]
    fun.impl = impl  # type: ignore[attr-defined]
    return fun


# --- of one operand ----------------------------------------------------------------------


def _math(name: str, lax_fun: Impl, doc: str) -> Impl:
    """A function computed in floats."""
    return ufunc1(lambda x: lax_fun(inexact(x, name)), name, doc)


exp = _math("exp", lax.exp, "Elementwise exponential :math:`e^x`.")
exp2 = _math("exp2", lax.exp2, "Elementwise :math:`2^x`.")
expm1 = _math("expm1", lax.expm1, "Elementwise :math:`e^x - 1`, exact for small ``x``.")
log = _math("log", lax.log, "Elementwise natural logarithm.")
log1p = _math("log1p", lax.log1p, "Elementwise :math:`\\log(1 + x)`, exact for small ``x``.")
sin = _math("sin", lax.sin, "Elementwise sine.")
cos = _math("cos", lax.cos, "Elementwise cosine.")
tan = _math("tan", lax.tan, "Elementwise tangent.")
arcsin = _math("arcsin", lax.asin, "Elementwise inverse sine.")
arccos = _math("arccos", lax.acos, "Elementwise inverse cosine.")
arctan = _math("arctan", lax.atan, "Elementwise inverse tangent.")
sinh = _math("sinh", lax.sinh, "Elementwise hyperbolic sine.")
cosh = _math("cosh", lax.cosh, "Elementwise hyperbolic cosine.")
tanh = _math("tanh", lax.tanh, "Elementwise hyperbolic tangent.")
arcsinh = _math("arcsinh", lax.asinh, "Elementwise inverse hyperbolic sine.")
arccosh = _math("arccosh", lax.acosh, "Elementwise inverse hyperbolic cosine.")
arctanh = _math("arctanh", lax.atanh, "Elementwise inverse hyperbolic tangent.")
sqrt = _math("sqrt", lax.sqrt, "Elementwise square root.")
cbrt = _math("cbrt", lax.cbrt, "Elementwise cube root.")
asin, acos, atan = arcsin, arccos, arctan
asinh, acosh, atanh = arcsinh, arccosh, arctanh


def _numeric(x: Any, name: str) -> Any:
    x = operand(x, name)
    dt = aval_of(x).dtype
    if dt == dtypes.bool_ or dtypes.is_extended(dt):
        raise TypeError(f"{name} does not take arrays of dtype {dt}{at_user_line()}")
    return x


def _rounding(name: str, lax_fun: Impl, doc: str) -> Impl:
    return ufunc1(lambda x: _whole(x, name, lax_fun), name, doc)


def _whole(x: Any, name: str, lax_fun: Impl) -> Any:
    """``lax_fun`` of floats; integers as they are."""
    x = operand(x, name)
    dt = aval_of(x).dtype
    if dt in dtypes.INTEGERS or dt == dtypes.bool_:
        return lax.convert_element_type(x, dt) if type(x) in (int, bool) else x
    return lax_fun(x)


floor = _rounding("floor", lax.floor, "Elementwise largest integer not above ``x``.")
ceil = _rounding("ceil", lax.ceil, "Elementwise smallest integer not below ``x``.")


@fused()
def trunc(x: Any) -> Any:
    """Elementwise nearest integer towards zero."""
    return _whole(x, "trunc", lambda x: lax.select(lax.lt(x, 0.0), lax.ceil(x), lax.floor(x)))


def _rint(x: Any) -> Any:
    x = array(x, "rint")
    if x.dtype not in dtypes.INEXACT:
        return convert(x, dtypes.default_float())
    if dtypes.is_complex(aval_of(x).dtype):
        return lax.complex(_rint(lax.real(x)), _rint(lax.imag(x)))
    return lax.round(x, lax.RoundingMethod.TO_NEAREST_EVEN)


rint = ufunc1(_rint, "rint", "Elementwise nearest integer, halves to even.")
negative = ufunc1(lambda x: lax.neg(_numeric(x, "negative")), "negative", "Elementwise negation.")


def _positive(x: Any) -> Any:
    x = operand(x, "positive")
    return x if hasattr(x, "aval") else lax.convert_element_type(x, None)


positive = ufunc1(_positive, "positive", "``x`` itself.")


def _abs(x: Any) -> Any:
    x = operand(x, "absolute")
    dt = aval_of(x).dtype
    if dt == dtypes.bool_ or dt in dtypes.UNSIGNED:
        return _positive(x)
    return lax.abs(x)


absolute = ufunc1(_abs, "absolute", "Elementwise absolute value; the modulus of complex numbers.")
abs = absolute  # noqa: A001


def _fabs(x: Any) -> Any:
    x = inexact(x, "fabs")
    if dtypes.is_complex(aval_of(x).dtype):
        raise TypeError(f"fabs does not take complex numbers; see abs{at_user_line()}")
    return lax.abs(x)


fabs = ufunc1(_fabs, "fabs", "Elementwise absolute value, as a float.")


def _sign(x: Any) -> Any:
    return lax.sign(_numeric(x, "sign"))


sign = ufunc1(_sign, "sign", "Elementwise sign: -1, 0 or 1; ``x / abs(x)`` for complex numbers.")


def _square(x: Any) -> Any:
    x = operand(x, "square")
    if aval_of(x).dtype == dtypes.bool_:
        x = convert(x, dtypes.int32)
    return lax.square(x)


square = ufunc1(_square, "square", "Elementwise square.")


def _reciprocal(x: Any) -> Any:
    return lax.integer_pow(lax.convert_element_type(inexact(x, "reciprocal"), None), -1)


reciprocal = ufunc1(_reciprocal, "reciprocal", "Elementwise :math:`1/x`, as a float.")


def _conjugate(x: Any) -> Any:
    x = operand(x, "conjugate")
    return lax.conj(x) if dtypes.is_complex(aval_of(x).dtype) else _positive(x)


conjugate = ufunc1(_conjugate, "conjugate", "Elementwise complex conjugate.")
conj = conjugate


def _invert(x: Any) -> Any:
    x = operand(x, "invert")
    dt = aval_of(x).dtype
    if dt != dtypes.bool_ and dt not in dtypes.INTEGERS:
        raise TypeError(f"invert takes booleans or integers, got {describe(x)}{at_user_line()}")
    return lax.bitwise_not(x)


invert = ufunc1(_invert, "invert", "Elementwise NOT of booleans or of the bits of integers.")
bitwise_not = bitwise_invert = invert


def _bitwise_count(x: Any) -> Any:
    x = operand(x, "bitwise_count")
    dt = aval_of(x).dtype
    if dt == dtypes.bool_:
        x = convert(x, dtypes.uint8)
    x = lax.abs(x) if dt in dtypes.SIGNED else x
    return lax.convert_element_type(lax.population_count(x), dtypes.uint8)


bitwise_count = ufunc1(
    _bitwise_count, "bitwise_count", "Elementwise number of bits set in the absolute value."
)
degrees = _math("degrees", lambda x: lax.mul(x, 180.0 / 3.141592653589793), "Radians to degrees.")
radians = _math("radians", lambda x: lax.mul(x, 3.141592653589793 / 180.0), "Degrees to radians.")
rad2deg, deg2rad = degrees, radians


def scaled(x: Any, factor: float) -> Any:
    """``x`` times a real number: of complex numbers part by part, so that infinite parts stay."""
    dt = aval_of(x).dtype
    if dtypes.is_complex(dt):
        return lax.complex(scaled(lax.real(x), factor), scaled(lax.imag(x), factor))
    return lax.mul(x, dt.type(factor))


def _log_base(name: str, base_log: float) -> Impl:
    def impl(x: Any) -> Any:
        return scaled(lax.log(x), 1.0 / base_log)

    return impl


log10 = _math("log10", _log_base("log10", 2.302585092994046), "Elementwise decimal logarithm.")
log2 = _math("log2", _log_base("log2", 0.6931471805599453), "Elementwise binary logarithm.")

# --- of two operands ---------------------------------------------------------------------


def _add(x: Any, y: Any) -> Any:
    x, y = promote2("add", x, y)
    return lax.add_p.bind(x, y) if aval_of(x).dtype != dtypes.bool_ else lax.or_p.bind(x, y)


def _subtract(x: Any, y: Any) -> Any:
    x, y = promote2("subtract", x, y)
    if aval_of(x).dtype == dtypes.bool_:
        raise TypeError(
            f"subtract does not take two boolean arrays: use logical_xor or bitwise_xor"
            f"{at_user_line()}"
        )
    return lax.sub_p.bind(x, y)


def _multiply(x: Any, y: Any) -> Any:
    x, y = promote2("multiply", x, y)
    return lax.mul_p.bind(x, y) if aval_of(x).dtype != dtypes.bool_ else lax.and_p.bind(x, y)


def promote2_inexact(name: str, x: Any, y: Any) -> tuple[Any, Any]:
    """Like `promote2`, in floats."""
    x, y = promote2(name, x, y)
    if aval_of(x).dtype not in dtypes.INEXACT:
        x, y = promote_inexact(name, x, y)
    return x, y


def _divide(x: Any, y: Any) -> Any:
    x, y = promote2_inexact("divide", x, y)
    return lax.div_p.bind(x, y)


add = ufunc2(_add, "add", "Elementwise sum; of booleans, logical or.")
subtract = ufunc2(_subtract, "subtract", "Elementwise difference.")
multiply = ufunc2(_multiply, "multiply", "Elementwise product; of booleans, logical and.")
divide = ufunc2(_divide, "divide", "Elementwise quotient, as a float.")
true_divide = divide


def _simple(name: str, prim: Any, doc: str) -> Impl:
    def impl(x: Any, y: Any) -> Any:
        x, y = promote2(name, x, y)
        return prim.bind(x, y)

    return ufunc2(impl, name, doc)


maximum = _simple("maximum", lax.max_p, "Elementwise maximum; NaN where an operand is NaN.")
minimum = _simple("minimum", lax.min_p, "Elementwise minimum; NaN where an operand is NaN.")
equal = _simple("equal", lax.eq_p, "Elementwise ``x == y``.")
not_equal = _simple("not_equal", lax.ne_p, "Elementwise ``x != y``.")


def _ordering(name: str, prim: Any, doc: str) -> Impl:
    def impl(x: Any, y: Any) -> Any:
        x, y = promote2(name, x, y)
        if dtypes.is_complex(aval_of(x).dtype):
            # Lexicographic: by the real parts, and where those agree by the imaginary ones.
            xr, yr = lax.real(x), lax.real(y)
            return lax.select(
                lax.eq(xr, yr), prim.bind(lax.imag(x), lax.imag(y)), prim.bind(xr, yr)
            )
        return prim.bind(x, y)

    return ufunc2(impl, name, doc)


less = _ordering("less", lax.lt_p, "Elementwise ``x < y``.")
less_equal = _ordering("less_equal", lax.le_p, "Elementwise ``x <= y``.")
greater = _ordering("greater", lax.gt_p, "Elementwise ``x > y``.")
greater_equal = _ordering("greater_equal", lax.ge_p, "Elementwise ``x >= y``.")


def _bits(name: str, prim: Any, doc: str) -> Impl:
    def impl(x: Any, y: Any) -> Any:
        x, y = promote2(name, x, y)
        if dtypes.is_inexact(aval_of(x).dtype):
            raise TypeError(
                f"{name} takes booleans or integers, got {describe(x)} and {describe(y)}"
                f"{at_user_line()}"
            )
        return prim.bind(x, y)

    return ufunc2(impl, name, doc)


bitwise_and = _bits("bitwise_and", lax.and_p, "Elementwise AND of bits.")
bitwise_or = _bits("bitwise_or", lax.or_p, "Elementwise OR of bits.")
bitwise_xor = _bits("bitwise_xor", lax.xor_p, "Elementwise exclusive OR of bits.")


def as_integers(x: Any, y: Any) -> tuple[Any, Any]:
    """Booleans as 32-bit integers; others as they are."""
    if aval_of(x).dtype == dtypes.bool_:
        return convert(x, dtypes.int32), convert(y, dtypes.int32)
    return x, y


def _left_shift(x: Any, y: Any) -> Any:
    x, y = as_integers(*promote2("left_shift", x, y))
    if aval_of(x).dtype not in dtypes.INTEGERS:
        raise TypeError(f"left_shift takes integers, got {describe(x)}{at_user_line()}")
    return lax.shift_left_p.bind(x, y)


left_shift = ufunc2(_left_shift, "left_shift", "Elementwise ``x << y``.")


def _right_shift(x: Any, y: Any) -> Any:
    x, y = as_integers(*promote2("right_shift", x, y))
    dt = aval_of(x).dtype
    if dt not in dtypes.INTEGERS:
        raise TypeError(f"right_shift takes integers, got {describe(x)}{at_user_line()}")
    unsigned = dt in dtypes.UNSIGNED
    prim = lax.shift_right_logical_p if unsigned else lax.shift_right_arithmetic_p
    return prim.bind(x, y)


right_shift = ufunc2(_right_shift, "right_shift", "Elementwise ``x >> y``.")
bitwise_left_shift, bitwise_right_shift = left_shift, right_shift


def truth(x: Any, name: str) -> Any:
    """An operand as booleans: whether it is not zero."""
    x = operand(x, name)
    dt = aval_of(x).dtype
    return x if dt == dtypes.bool_ else lax.ne(x, scalar(0, dt))


def _logical(name: str, prim: Any, doc: str) -> Impl:
    def impl(x: Any, y: Any) -> Any:
        x, y = promote2(name, truth(x, name), truth(y, name))
        return prim.bind(x, y)

    return ufunc2(impl, name, doc)


logical_and = _logical("logical_and", lax.and_p, "Elementwise ``x and y``.")
logical_or = _logical("logical_or", lax.or_p, "Elementwise ``x or y``.")
logical_xor = _logical("logical_xor", lax.xor_p, "Elementwise exclusive or.")
logical_not = ufunc1(
    lambda x: lax.bitwise_not(truth(x, "logical_not")), "logical_not", "Elementwise ``not x``."
)


def _arctan2(x: Any, y: Any) -> Any:
    x, y = promote2_inexact("arctan2", x, y)
    return lax.atan2_p.bind(x, y)


arctan2 = ufunc2(_arctan2, "arctan2", "Angle of the point ``(y, x)`` in the right quadrant.")
atan2 = arctan2


def _nextafter(x: Any, y: Any) -> Any:
    x, y = promote2_inexact("nextafter", x, y)
    return lax.nextafter_p.bind(x, y)


nextafter = ufunc2(_nextafter, "nextafter", "The next float after ``x`` towards ``y``.")
