"""Elementwise functions with NumPy's names: what maps to one primitive."""

from __future__ import annotations

from typing import Any

from covector import lax
from covector.core import dtypes
from covector.core.avals import aval_of
from covector.core.errors import at_user_line, describe
from covector.core.operands import scalar
from covector.numpy._ufunc import (
    ANY,
    ANY2,
    BOOL1,
    BOOL2,
    FLOAT1,
    FLOAT2,
    INTEGERS,
    INTEGERS2,
    NUMBERS,
    REAL,
    REAL2,
    SAME1,
    SAME2,
    SAME2_INT,
    Impl,
    ufunc1,
    ufunc2,
)
from covector.numpy._util import (
    array,
    beside_all,
    broadcast2,
    convert,
    fused,
    inexact,
    operand,
    promote2,
    promote_inexact,
    shape_of,
)

# --- of one operand ----------------------------------------------------------------------


def _math(
    name: str, lax_fun: Impl, summary: str, example: str, printed: str, takes: str = ANY
) -> Impl:
    """A function computed in floats."""
    return ufunc1(
        lambda x: lax_fun(inexact(x, name)), name, summary, example, printed, takes, FLOAT1
    )


exp = _math(
    "exp",
    lax.exp,
    "Elementwise exponential :math:`e^x`.",
    "np.exp(np.array([0.0, 1.0, -np.inf])).round(3)",
    "Array([1.   , 2.718, 0.   ], dtype=float32)",
)
exp2 = _math(
    "exp2",
    lax.exp2,
    "Elementwise :math:`2^x`.",
    "np.exp2(np.array([-1, 0, 3]))",
    "Array([0.5, 1. , 8. ], dtype=float32)",
)
expm1 = _math(
    "expm1",
    lax.expm1,
    "Elementwise :math:`e^x - 1`, exact for small ``x``.",
    "np.expm1(np.array([0.0, 1e-8]))",
    "Array([0.e+00, 1.e-08], dtype=float32)",
)
log = _math(
    "log",
    lax.log,
    "Elementwise natural logarithm; ``-inf`` of 0, NaN of negative real numbers.",
    "np.log(np.array([1.0, np.e, 0.0, -1.0]))",
    "Array([  0.,   1., -inf,  nan], dtype=float32)",
)
log1p = _math(
    "log1p",
    lax.log1p,
    "Elementwise :math:`\\log(1 + x)`, exact for small ``x``.",
    "np.log1p(np.array([0.0, 1e-8, -1.0]))",
    "Array([0.e+00, 1.e-08,   -inf], dtype=float32)",
)
sin = _math(
    "sin",
    lax.sin,
    "Elementwise sine of angles in radians.",
    "np.sin(np.array([0.0, np.pi / 6, np.pi / 2])).round(3)",
    "Array([0. , 0.5, 1. ], dtype=float32)",
)
cos = _math(
    "cos",
    lax.cos,
    "Elementwise cosine of angles in radians.",
    "np.cos(np.array([0.0, np.pi / 3, np.pi])).round(3)",
    "Array([ 1. ,  0.5, -1. ], dtype=float32)",
)
tan = _math(
    "tan",
    lax.tan,
    "Elementwise tangent of angles in radians.",
    "np.tan(np.array([0.0, np.pi / 4])).round(3)",
    "Array([0., 1.], dtype=float32)",
)
arcsin = _math(
    "arcsin",
    lax.asin,
    "Elementwise inverse sine, in radians; NaN of real numbers outside of ``[-1, 1]``.",
    "np.arcsin(np.array([0.0, 0.5, 1.0, 2.0])).round(3)",
    "Array([0.   , 0.524, 1.571,   nan], dtype=float32)",
)
arccos = _math(
    "arccos",
    lax.acos,
    "Elementwise inverse cosine, in radians; NaN of real numbers outside of ``[-1, 1]``.",
    "np.arccos(np.array([1.0, 0.0, -1.0, 2.0])).round(3)",
    "Array([0.   , 1.571, 3.142,   nan], dtype=float32)",
)
arctan = _math(
    "arctan",
    lax.atan,
    "Elementwise inverse tangent, in radians between :math:`-\\pi/2` and :math:`\\pi/2`.",
    "np.arctan(np.array([0.0, 1.0, -np.inf])).round(3)",
    "Array([ 0.   ,  0.785, -1.571], dtype=float32)",
)
sinh = _math(
    "sinh",
    lax.sinh,
    "Elementwise hyperbolic sine.",
    "np.sinh(np.array([0.0, 1.0])).round(3)",
    "Array([0.   , 1.175], dtype=float32)",
)
cosh = _math(
    "cosh",
    lax.cosh,
    "Elementwise hyperbolic cosine.",
    "np.cosh(np.array([0.0, 1.0])).round(3)",
    "Array([1.   , 1.543], dtype=float32)",
)
tanh = _math(
    "tanh",
    lax.tanh,
    "Elementwise hyperbolic tangent.",
    "np.tanh(np.array([0.0, 1.0, np.inf])).round(3)",
    "Array([0.   , 0.762, 1.   ], dtype=float32)",
)
arcsinh = _math(
    "arcsinh",
    lax.asinh,
    "Elementwise inverse hyperbolic sine.",
    "np.arcsinh(np.array([0.0, 1.0])).round(3)",
    "Array([0.   , 0.881], dtype=float32)",
)
arccosh = _math(
    "arccosh",
    lax.acosh,
    "Elementwise inverse hyperbolic cosine; NaN of real numbers less than 1.",
    "np.arccosh(np.array([1.0, 2.0, 0.0])).round(3)",
    "Array([0.   , 1.317,   nan], dtype=float32)",
)
arctanh = _math(
    "arctanh",
    lax.atanh,
    "Elementwise inverse hyperbolic tangent; NaN of real numbers outside of ``[-1, 1]``.",
    "np.arctanh(np.array([0.0, 0.5, 1.0, 2.0])).round(3)",
    "Array([0.   , 0.549,   inf,   nan], dtype=float32)",
)
sqrt = _math(
    "sqrt",
    lax.sqrt,
    "Elementwise square root; NaN of negative real numbers.",
    "np.sqrt(np.array([0.0, 9.0, -1.0]))",
    "Array([ 0.,  3., nan], dtype=float32)",
)
cbrt = _math(
    "cbrt",
    lax.cbrt,
    "Elementwise cube root.",
    "np.cbrt(np.array([8.0, -27.0]))",
    "Array([ 2., -3.], dtype=float32)",
    REAL,
)
asin, acos, atan = arcsin, arccos, arctan
asinh, acosh, atanh = arcsinh, arccosh, arctanh


def _numeric(x: Any, name: str) -> Any:
    x = operand(x, name)
    dt = aval_of(x).dtype
    if dt == dtypes.bool_ or dtypes.is_extended(dt):
        raise TypeError(f"{name} does not take arrays of dtype {dt}{at_user_line()}")
    return x


def _rounding(name: str, lax_fun: Impl, summary: str, example: str, printed: str) -> Impl:
    impl = lambda x: _whole(x, name, lax_fun)  # noqa: E731
    return ufunc1(impl, name, summary, example, printed, REAL, SAME1)


def _whole(x: Any, name: str, lax_fun: Impl) -> Any:
    """``lax_fun`` of floats; integers as they are."""
    x = operand(x, name)
    dt = aval_of(x).dtype
    if dt in dtypes.INTEGERS or dt == dtypes.bool_:
        return lax.convert_element_type(x, dt) if type(x) in (int, bool) else x
    return lax_fun(x)


floor = _rounding(
    "floor",
    lax.floor,
    "Elementwise largest integer not above ``x``.",
    "np.floor(np.array([1.7, -1.2]))",
    "Array([ 1., -2.], dtype=float32)",
)
ceil = _rounding(
    "ceil",
    lax.ceil,
    "Elementwise smallest integer not below ``x``.",
    "np.ceil(np.array([1.2, -1.7]))",
    "Array([ 2., -1.], dtype=float32)",
)


@fused()
def trunc(x: Any) -> Any:
    """Elementwise nearest integer towards zero.

    Parameters
    ----------
    x : array_like
        Real numbers or booleans.

    Returns
    -------
    Array
        Of the shape and dtype of ``x``: a float is of integral value.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.trunc(np.array([1.7, -1.7]))
    Array([ 1., -1.], dtype=float32)
    """
    return _whole(x, "trunc", lambda x: lax.select(lax.lt(x, 0.0), lax.ceil(x), lax.floor(x)))


def _rint(x: Any) -> Any:
    x = array(x, "rint")
    if x.dtype not in dtypes.INEXACT:
        return convert(x, dtypes.default_float())
    if dtypes.is_complex(aval_of(x).dtype):
        return lax.complex(_rint(lax.real(x)), _rint(lax.imag(x)))
    return lax.round(x, lax.RoundingMethod.TO_NEAREST_EVEN)


rint = ufunc1(
    _rint,
    "rint",
    "Elementwise nearest integer, halves to even.",
    "np.rint(np.array([0.5, 1.5, 2.5, 2.6]))",
    "Array([0., 2., 2., 3.], dtype=float32)",
    takes=ANY,
    result=FLOAT1,
)
negative = ufunc1(
    lambda x: lax.neg(_numeric(x, "negative")),
    "negative",
    "Elementwise negation.",
    "np.negative(np.array([1, -2, 0]))",
    "Array([-1,  2,  0], dtype=int32)",
    takes=NUMBERS,
    result=SAME1,
)


def _positive(x: Any) -> Any:
    x = operand(x, "positive")
    return x if hasattr(x, "aval") else lax.convert_element_type(x, None)


positive = ufunc1(
    _positive,
    "positive",
    "``x`` itself.",
    "np.positive(np.array([1, -2]))",
    "Array([ 1, -2], dtype=int32)",
    takes=ANY,
    result=SAME1,
)


def _abs(x: Any) -> Any:
    x = operand(x, "absolute")
    dt = aval_of(x).dtype
    if dt == dtypes.bool_ or dt in dtypes.UNSIGNED:
        return _positive(x)
    return lax.abs(x)


absolute = ufunc1(
    _abs,
    "absolute",
    "Elementwise absolute value; the modulus of complex numbers.",
    "np.absolute(np.array([-2.5, 3 - 4j]))",
    "Array([2.5, 5. ], dtype=float32)",
    takes=ANY,
    result="Of the shape of ``x``, in its dtype; for complex numbers in that of their parts.",
)
abs = absolute  # noqa: A001


def _fabs(x: Any) -> Any:
    x = inexact(x, "fabs")
    if dtypes.is_complex(aval_of(x).dtype):
        raise TypeError(f"fabs does not take complex numbers; see abs{at_user_line()}")
    return lax.abs(x)


fabs = ufunc1(
    _fabs,
    "fabs",
    "Elementwise absolute value, as a float.",
    "np.fabs(np.array([-2, 3]))",
    "Array([2., 3.], dtype=float32)",
    takes="Real numbers or booleans.",
    result=FLOAT1,
)


def _sign(x: Any) -> Any:
    return lax.sign(_numeric(x, "sign"))


sign = ufunc1(
    _sign,
    "sign",
    "Elementwise sign: -1, 0 or 1; ``x / abs(x)`` for complex numbers.",
    "np.sign(np.array([-3.0, 0.0, 2.5, np.nan]))",
    "Array([-1.,  0.,  1., nan], dtype=float32)",
    takes=NUMBERS,
    result=SAME1,
)


def _square(x: Any) -> Any:
    x = operand(x, "square")
    if aval_of(x).dtype == dtypes.bool_:
        x = convert(x, dtypes.int32)
    return lax.square(x)


square = ufunc1(
    _square,
    "square",
    "Elementwise square.",
    "np.square(np.array([1, -2, 3]))",
    "Array([1, 4, 9], dtype=int32)",
    takes=ANY,
    result="Of the shape and dtype of ``x``; int32 for booleans.",
)


def _reciprocal(x: Any) -> Any:
    return lax.integer_pow(lax.convert_element_type(inexact(x, "reciprocal"), None), -1)


reciprocal = ufunc1(
    _reciprocal,
    "reciprocal",
    "Elementwise :math:`1/x`, as a float.",
    "np.reciprocal(np.array([1, 4, 0]))",
    "Array([1.  , 0.25,  inf], dtype=float32)",
    takes=ANY,
    result=FLOAT1,
)


def _conjugate(x: Any) -> Any:
    x = operand(x, "conjugate")
    return lax.conj(x) if dtypes.is_complex(aval_of(x).dtype) else _positive(x)


conjugate = ufunc1(
    _conjugate,
    "conjugate",
    "Elementwise complex conjugate.",
    "np.conjugate(np.array([1 + 2j, 3.0]))",
    "Array([1.-2.j, 3.-0.j], dtype=complex64)",
    takes=ANY,
    result=SAME1,
)
conj = conjugate


def _invert(x: Any) -> Any:
    x = operand(x, "invert")
    dt = aval_of(x).dtype
    if dt != dtypes.bool_ and dt not in dtypes.INTEGERS:
        raise TypeError(f"invert takes booleans or integers, got {describe(x)}{at_user_line()}")
    return lax.bitwise_not(x)


invert = ufunc1(
    _invert,
    "invert",
    "Elementwise NOT of booleans or of the bits of integers.",
    "np.invert(np.array([0, 1, -5])), np.invert(True)",
    "(Array([-1, -2,  4], dtype=int32), Array(False, dtype=bool))",
    takes=INTEGERS,
    result=SAME1,
)
bitwise_not = bitwise_invert = invert


def _bitwise_count(x: Any) -> Any:
    x = operand(x, "bitwise_count")
    dt = aval_of(x).dtype
    if dt == dtypes.bool_:
        x = convert(x, dtypes.uint8)
    x = lax.abs(x) if dt in dtypes.SIGNED else x
    return lax.convert_element_type(lax.population_count(x), dtypes.uint8)


bitwise_count = ufunc1(
    _bitwise_count,
    "bitwise_count",
    "Elementwise number of bits set in the absolute value.",
    "np.bitwise_count(np.array([0, 7, -8]))",
    "Array([0, 3, 1], dtype=uint8)",
    takes=INTEGERS,
    result="uint8 numbers, of the shape of ``x``.",
)
degrees = _math(
    "degrees",
    lambda x: lax.mul(x, 180.0 / 3.141592653589793),
    "Radians to degrees.",
    "np.degrees(np.array([0.0, np.pi / 2]))",
    "Array([ 0., 90.], dtype=float32)",
)
radians = _math(
    "radians",
    lambda x: lax.mul(x, 3.141592653589793 / 180.0),
    "Degrees to radians.",
    "np.radians(np.array([0.0, 180.0])).round(3)",
    "Array([0.   , 3.142], dtype=float32)",
)
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


log10 = _math(
    "log10",
    _log_base("log10", 2.302585092994046),
    "Elementwise decimal logarithm; ``-inf`` of 0, NaN of negative real numbers.",
    "np.log10(np.array([1, 10, 0]))",
    "Array([  0.,   1., -inf], dtype=float32)",
)
log2 = _math(
    "log2",
    _log_base("log2", 0.6931471805599453),
    "Elementwise binary logarithm; ``-inf`` of 0, NaN of negative real numbers.",
    "np.log2(np.array([8, 0.5, 0]))",
    "Array([  3.,  -1., -inf], dtype=float32)",
)

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
    xa, ya = getattr(x, "aval", None), getattr(y, "aval", None)
    if (xa is not None and xa.dtype in dtypes.INEXACT) or (
        ya is not None and ya.dtype in dtypes.INEXACT
    ):
        return promote2(name, x, y)
    # Not by way of the common integer dtype, which need not hold a Python number.
    x, y = promote_inexact(name, x, y)
    return broadcast2(name, x, y)


def _divide(x1: Any, x2: Any) -> Any:
    x1, x2 = promote2_inexact("divide", x1, x2)
    return lax.div_p.bind(x1, x2)


add = ufunc2(
    _add,
    "add",
    "Elementwise sum; of booleans, logical or.",
    "np.add(np.array([1, 2]), np.array([[10], [20.5]]))",
    "Array([[11. , 12. ],\n       [21.5, 22.5]], dtype=float32)",
    takes=ANY2,
    result=SAME2,
)
subtract = ufunc2(
    _subtract,
    "subtract",
    "Elementwise difference.",
    "np.subtract(np.array([5, 2]), np.array([[1], [3]]))",
    "Array([[ 4,  1],\n       [ 2, -1]], dtype=int32)",
    takes="Numbers, not both boolean, that broadcast together.",
    result=SAME2,
)
multiply = ufunc2(
    _multiply,
    "multiply",
    "Elementwise product; of booleans, logical and.",
    "np.multiply(np.array([1, 2]), np.array([[1], [10]]))",
    "Array([[ 1,  2],\n       [10, 20]], dtype=int32)",
    takes=ANY2,
    result=SAME2,
)
divide = ufunc2(
    _divide,
    "divide",
    "Elementwise quotient, as a float; a division by zero gives an infinity or NaN.",
    "np.divide(np.array([1, -1, 0]), np.array([2, 0, 0]))",
    "Array([ 0.5, -inf,  nan], dtype=float32)",
    takes=ANY2,
    result=FLOAT2,
)
true_divide = divide


def _simple(name: str, prim: Any, summary: str, example: str, printed: str) -> Impl:
    def impl(x: Any, y: Any) -> Any:
        x, y = promote2(name, x, y)
        return prim.bind(x, y)

    return ufunc2(impl, name, summary, example, printed, ANY2, SAME2)


maximum = _simple(
    "maximum",
    lax.max_p,
    "Elementwise maximum; NaN where an operand is NaN.",
    "np.maximum(np.array([1.0, 5.0, np.nan]), 2.0)",
    "Array([ 2.,  5., nan], dtype=float32)",
)
minimum = _simple(
    "minimum",
    lax.min_p,
    "Elementwise minimum; NaN where an operand is NaN.",
    "np.minimum(np.array([1.0, 5.0, np.nan]), 2.0)",
    "Array([ 1.,  2., nan], dtype=float32)",
)


def _comparison(
    name: str, prim: Any, answers: tuple[bool, bool], summary: str, example: str, printed: str
) -> Impl:
    """A comparison; ``answers``: to ``x op y`` where ``y`` is less, or greater, than any ``x``."""

    def impl(x: Any, y: Any) -> Any:
        side = beside_all(x, y) or -beside_all(y, x)
        if side:
            shape = shape_of(y if type(x) is int else x)
            return lax.full(shape, answers[side > 0], dtypes.bool_)
        x, y = promote2(name, x, y)
        if prim not in _EQUALITIES and dtypes.is_complex(aval_of(x).dtype):
            # Lexicographic: by the real parts, and where those agree by the imaginary ones.
            xr, yr = lax.real(x), lax.real(y)
            return lax.select(
                lax.eq(xr, yr), prim.bind(lax.imag(x), lax.imag(y)), prim.bind(xr, yr)
            )
        return prim.bind(x, y)

    return ufunc2(impl, name, summary, example, printed, ANY2, BOOL2, exact=True)


_EQUALITIES = frozenset((lax.eq_p, lax.ne_p))
equal = _comparison(
    "equal",
    lax.eq_p,
    (False, False),
    "Elementwise ``x == y``; NaN equals nothing.",
    "np.equal(np.array([1, 2, 3]), 2)",
    "Array([False,  True, False], dtype=bool)",
)
not_equal = _comparison(
    "not_equal",
    lax.ne_p,
    (True, True),
    "Elementwise ``x != y``; NaN differs from everything, itself too.",
    "np.not_equal(np.array([1.0, np.nan]), np.array([1.0, np.nan]))",
    "Array([False,  True], dtype=bool)",
)


less = _comparison(
    "less",
    lax.lt_p,
    (False, True),
    "Elementwise ``x < y``; complex numbers by their real, then their imaginary parts.",
    "np.less(np.array([1, 2, 3]), 2)",
    "Array([ True, False, False], dtype=bool)",
)
less_equal = _comparison(
    "less_equal",
    lax.le_p,
    (False, True),
    "Elementwise ``x <= y``; complex numbers by their real, then their imaginary parts.",
    "np.less_equal(np.array([1, 2, 3]), 2)",
    "Array([ True,  True, False], dtype=bool)",
)
greater = _comparison(
    "greater",
    lax.gt_p,
    (True, False),
    "Elementwise ``x > y``; complex numbers by their real, then their imaginary parts.",
    "np.greater(np.array([1, 2, 3]), 2)",
    "Array([False, False,  True], dtype=bool)",
)
greater_equal = _comparison(
    "greater_equal",
    lax.ge_p,
    (True, False),
    "Elementwise ``x >= y``; complex numbers by their real, then their imaginary parts.",
    "np.greater_equal(np.array([1, 2, 3]), 2)",
    "Array([False,  True,  True], dtype=bool)",
)


def _bits(name: str, prim: Any, summary: str, example: str, printed: str) -> Impl:
    def impl(x: Any, y: Any) -> Any:
        x, y = promote2(name, x, y)
        if dtypes.is_inexact(aval_of(x).dtype):
            raise TypeError(
                f"{name} takes booleans or integers, got {describe(x)} and {describe(y)}"
                f"{at_user_line()}"
            )
        return prim.bind(x, y)

    return ufunc2(impl, name, summary, example, printed, INTEGERS2, SAME2)


bitwise_and = _bits(
    "bitwise_and",
    lax.and_p,
    "Elementwise AND of bits.",
    "np.bitwise_and(np.array([12, 10]), 6)",
    "Array([4, 2], dtype=int32)",
)
bitwise_or = _bits(
    "bitwise_or",
    lax.or_p,
    "Elementwise OR of bits.",
    "np.bitwise_or(np.array([12, 10]), 6)",
    "Array([14, 14], dtype=int32)",
)
bitwise_xor = _bits(
    "bitwise_xor",
    lax.xor_p,
    "Elementwise exclusive OR of bits.",
    "np.bitwise_xor(np.array([12, 10]), 6)",
    "Array([10, 12], dtype=int32)",
)


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


left_shift = ufunc2(
    _left_shift,
    "left_shift",
    "Elementwise ``x << y``.",
    "np.left_shift(np.array([1, 3]), np.array([4, 1]))",
    "Array([16,  6], dtype=int32)",
    takes=INTEGERS2,
    result=SAME2_INT,
)


def _right_shift(x1: Any, x2: Any) -> Any:
    x1, x2 = as_integers(*promote2("right_shift", x1, x2))
    dt = aval_of(x1).dtype
    if dt not in dtypes.INTEGERS:
        raise TypeError(f"right_shift takes integers, got {describe(x1)}{at_user_line()}")
    unsigned = dt in dtypes.UNSIGNED
    prim = lax.shift_right_logical_p if unsigned else lax.shift_right_arithmetic_p
    return prim.bind(x1, x2)


right_shift = ufunc2(
    _right_shift,
    "right_shift",
    "Elementwise ``x1 >> x2``; the sign of signed integers stays.",
    "np.right_shift(np.array([16, -5]), 1)",
    "Array([ 8, -3], dtype=int32)",
    takes=INTEGERS2,
    result=SAME2_INT,
)
bitwise_left_shift, bitwise_right_shift = left_shift, right_shift


def truth(x: Any, name: str) -> Any:
    """An operand as booleans: whether it is not zero."""
    x = operand(x, name)
    dt = aval_of(x).dtype
    if dtypes.is_extended(dt):
        raise TypeError(f"{name}: {describe(x)} is neither true nor false{at_user_line()}")
    return x if dt == dtypes.bool_ else lax.ne(x, scalar(0, dt))


def _logical(name: str, prim: Any, summary: str, example: str, printed: str) -> Impl:
    def impl(x: Any, y: Any) -> Any:
        x, y = promote2(name, truth(x, name), truth(y, name))
        return prim.bind(x, y)

    return ufunc2(impl, name, summary, example, printed, ANY2, BOOL2)


logical_and = _logical(
    "logical_and",
    lax.and_p,
    "Elementwise ``x and y``.",
    "np.logical_and(np.array([0, 1, 2]), np.array([True, True, False]))",
    "Array([False,  True, False], dtype=bool)",
)
logical_or = _logical(
    "logical_or",
    lax.or_p,
    "Elementwise ``x or y``.",
    "np.logical_or(np.array([0, 1, 0.5]), np.array([False, True, False]))",
    "Array([False,  True,  True], dtype=bool)",
)
logical_xor = _logical(
    "logical_xor",
    lax.xor_p,
    "Elementwise exclusive or.",
    "np.logical_xor(np.array([0, 1, 2]), np.array([True, True, False]))",
    "Array([ True, False,  True], dtype=bool)",
)
logical_not = ufunc1(
    lambda x: lax.bitwise_not(truth(x, "logical_not")),
    "logical_not",
    "Elementwise ``not x``.",
    "np.logical_not(np.array([0, 1, 0.5, np.nan]))",
    "Array([ True, False, False, False], dtype=bool)",
    takes=ANY,
    result=BOOL1,
)


def _arctan2(x1: Any, x2: Any) -> Any:
    x1, x2 = promote2_inexact("arctan2", x1, x2)
    return lax.atan2_p.bind(x1, x2)


arctan2 = ufunc2(
    _arctan2,
    "arctan2",
    "Angle in radians of the point of abscissa ``x2`` and ordinate ``x1``, in the right quadrant.",
    "np.arctan2(np.array([1.0, -1.0, 0.0]), np.array([1.0, -1.0, -1.0])).round(3)",
    "Array([ 0.785, -2.356,  3.142], dtype=float32)",
    takes=REAL2,
    result=FLOAT2,
)
atan2 = arctan2


def _nextafter(x: Any, y: Any) -> Any:
    x, y = promote2_inexact("nextafter", x, y)
    return lax.nextafter_p.bind(x, y)


nextafter = ufunc2(
    _nextafter,
    "nextafter",
    "The next float after ``x`` towards ``y``.",
    "float(np.nextafter(np.float32(1), 2))",
    "1.0000001192092896",
    takes=REAL2,
    result=FLOAT2,
)
