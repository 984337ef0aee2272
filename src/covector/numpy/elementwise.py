"""Elementwise functions made of several primitives: classification, logs, parts, rounding."""

from __future__ import annotations

import builtins
import math
from typing import Any

import numpy as onp

from covector import lax
from covector.core import dtypes, structural
from covector.core.avals import aval_of
from covector.core.errors import at_user_line, describe
from covector.core.operands import scalar
from covector.core.trace import eval_trace
from covector.numpy._ufunc import (
    ANY,
    ANY2,
    BOOL1,
    FLOAT1,
    FLOAT2,
    PARTS,
    REAL,
    REAL2,
    ufunc1,
    ufunc2,
)
from covector.numpy._util import (
    array,
    broadcast2,
    broadcast_all,
    broadcast_shapes,
    broadcast_to,
    check_out,
    compile_lazily,
    convert,
    current_trace,
    fused,
    inexact,
    operand,
    promote2,
    shape_of,
)
from covector.numpy.ufuncs import greater, less, promote2_inexact, scaled, truth
from covector.primitives.exponential import power_of_two

# --- classification ----------------------------------------------------------------------


def _all_true(x: Any, value: bool) -> Any:
    return lax.full(aval_of(x).shape, value, dtypes.bool_)


def _isnan(x: Any) -> Any:
    x = operand(x, "isnan")
    return lax.ne(x, x) if aval_of(x).dtype in dtypes.INEXACT else _all_true(x, False)


def _isfinite(x: Any) -> Any:
    x = operand(x, "isfinite")
    dt = aval_of(x).dtype
    if dt in dtypes.COMPLEX:
        return lax.bitwise_and(lax.is_finite(lax.real(x)), lax.is_finite(lax.imag(x)))
    return lax.is_finite(x) if dt in dtypes.FLOATS else _all_true(x, True)


def _isinf(x: Any) -> Any:
    x = operand(x, "isinf")
    dt = aval_of(x).dtype
    if dt in dtypes.COMPLEX:
        return lax.bitwise_or(_isinf(lax.real(x)), _isinf(lax.imag(x)))
    return lax.eq(lax.abs(x), scalar(math.inf, dt)) if dt in dtypes.FLOATS else _all_true(x, False)


def _real_only(x: Any, name: str) -> Any:
    x = operand(x, name)
    if aval_of(x).dtype in dtypes.COMPLEX:
        raise ValueError(f"{name} is not defined for complex numbers{at_user_line()}")
    return x


@fused()
def isposinf(x: Any, /, out: Any = None) -> Any:
    """Elementwise: is it plus infinity.

    Parameters
    ----------
    x : array_like
        Real numbers or booleans.
    out : None
        Not supported: arrays are immutable.

    Returns
    -------
    Array
        Booleans, of the shape of ``x``.

    Raises
    ------
    ValueError
        If ``x`` is complex.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.isposinf(np.array([1.0, np.inf, -np.inf]))
    Array([False,  True, False], dtype=bool)
    """
    check_out(out, "isposinf")
    return _equals(_real_only(x, "isposinf"), math.inf)


@fused()
def isneginf(x: Any, /, out: Any = None) -> Any:
    """Elementwise: is it minus infinity.

    Parameters
    ----------
    x : array_like
        Real numbers or booleans.
    out : None
        Not supported: arrays are immutable.

    Returns
    -------
    Array
        Booleans, of the shape of ``x``.

    Raises
    ------
    ValueError
        If ``x`` is complex.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.isneginf(np.array([1.0, np.inf, -np.inf]))
    Array([False, False,  True], dtype=bool)
    """
    check_out(out, "isneginf")
    return _equals(_real_only(x, "isneginf"), -math.inf)


def _equals(x: Any, infinity: float) -> Any:
    dt = aval_of(x).dtype
    return lax.eq(x, scalar(infinity, dt)) if dt in dtypes.FLOATS else _all_true(x, False)


isnan = ufunc1(
    _isnan,
    "isnan",
    "Elementwise: is it not a number.",
    "np.isnan(np.array([1.0, np.nan, np.inf]))",
    "Array([False,  True, False], dtype=bool)",
    takes=ANY,
    result=BOOL1,
)
isfinite = ufunc1(
    _isfinite,
    "isfinite",
    "Elementwise: neither infinite nor NaN.",
    "np.isfinite(np.array([1.0, np.nan, np.inf]))",
    "Array([ True, False, False], dtype=bool)",
    takes=ANY,
    result=BOOL1,
)
isinf = ufunc1(
    _isinf,
    "isinf",
    "Elementwise: is it infinite.",
    "np.isinf(np.array([1.0, np.nan, -np.inf]))",
    "Array([False, False,  True], dtype=bool)",
    takes=ANY,
    result=BOOL1,
)


@fused()
def iscomplex(x: Any) -> Any:
    """Elementwise: is the imaginary part not zero.

    Parameters
    ----------
    x : array_like
        Numbers or booleans.

    Returns
    -------
    Array
        Booleans, of the shape of ``x``.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.iscomplex(np.array([1 + 1j, 2 + 0j]))
    Array([ True, False], dtype=bool)
    """
    x = operand(x, "iscomplex")
    if aval_of(x).dtype in dtypes.COMPLEX:
        i = lax.imag(x)
        return lax.ne(i, aval_of(i).dtype.type(0))
    return _all_true(x, False)


@fused()
def isreal(x: Any) -> Any:
    """Elementwise: is the imaginary part zero.

    Parameters
    ----------
    x : array_like
        Numbers or booleans.

    Returns
    -------
    Array
        Booleans, of the shape of ``x``.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.isreal(np.array([1 + 1j, 2 + 0j]))
    Array([False,  True], dtype=bool)
    """
    x = operand(x, "isreal")
    if aval_of(x).dtype in dtypes.COMPLEX:
        i = lax.imag(x)
        return lax.eq(i, aval_of(i).dtype.type(0))
    return _all_true(x, True)


def iscomplexobj(x: Any) -> bool:
    """Whether the dtype of ``x`` is complex.

    Parameters
    ----------
    x : array_like
        Lists are taken too.

    Returns
    -------
    bool

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.iscomplexobj(np.array([1 + 0j])), np.iscomplexobj([1, 2])
    (True, False)
    """
    return _dtype(x) in dtypes.COMPLEX


def isrealobj(x: Any) -> bool:
    """Whether the dtype of ``x`` is not complex.

    Parameters
    ----------
    x : array_like
        Lists are taken too.

    Returns
    -------
    bool

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.isrealobj(np.array([1 + 0j])), np.isrealobj([1, 2])
    (False, True)
    """
    return not iscomplexobj(x)


def _dtype(x: Any) -> Any:
    dt = getattr(x, "dtype", None)
    return dt if dt is not None else onp.asarray(x).dtype


def isscalar(element: Any) -> bool:
    """Whether ``element`` is a number or a zero-dimensional array.

    Parameters
    ----------
    element : object

    Returns
    -------
    bool

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.isscalar(1.5), np.isscalar(np.array(1.5)), np.isscalar(np.array([1.5]))
    (True, True, False)
    """
    if hasattr(element, "aval"):
        return not element.shape
    return onp.isscalar(element)


def _signbit(x: Any) -> Any:
    x = _real_only(x, "signbit")
    dt = aval_of(x).dtype
    if dt in dtypes.SIGNED:
        return lax.lt(x, scalar(0, dt))
    if dt not in dtypes.FLOATS:
        return _all_true(x, False)
    bits = {2: dtypes.int16, 4: dtypes.int32, 8: dtypes.int64}[dt.itemsize]
    return lax.lt(lax.bitcast_convert_type_p.bind(array(x), new_dtype=bits), bits.type(0))


signbit = ufunc1(
    _signbit,
    "signbit",
    "Elementwise: is the sign bit set (negative, -0.0).",
    "np.signbit(np.array([-1.0, -0.0, 0.0]))",
    "Array([ True,  True, False], dtype=bool)",
    takes=REAL,
    result=BOOL1,
)


def _as_strong(x: Any, other: Any) -> Any:
    """``x`` of a dtype that does not give way, if that of the ``other`` operand does not."""
    aval = aval_of(x)
    if aval.weak_type and not aval_of(other).weak_type:
        return structural.convert_element_type(x, aval.dtype)
    return x


def _copysign(x1: Any, x2: Any) -> Any:
    x1, x2 = promote2_inexact("copysign", x1, x2)
    x1 = _as_strong(x1, x2)
    if aval_of(x1).dtype in dtypes.COMPLEX:
        raise TypeError(f"copysign does not take complex numbers{at_user_line()}")
    magnitude = lax.abs(x1)
    return lax.select(*_same_shape(_signbit(x2), lax.neg(magnitude), magnitude))


def _same_shape(*xs: Any) -> list[Any]:
    return broadcast_all("where", *xs)


copysign = ufunc2(
    _copysign,
    "copysign",
    "Elementwise ``x1`` with the sign of ``x2``.",
    "np.copysign(np.array([1.0, -2.0]), np.array([-0.0, 3.0]))",
    "Array([-1.,  2.], dtype=float32)",
    takes=REAL2,
    result=FLOAT2,
)

# --- arithmetic --------------------------------------------------------------------------


@fused()
def fmax(x1: Any, x2: Any) -> Any:
    """Elementwise maximum; a NaN gives way to the other operand.

    Complex numbers are compared by their real, then their imaginary parts.

    Parameters
    ----------
    x1, x2 : array_like
        Numbers or booleans. They broadcast together.

    Returns
    -------
    Array
        Of the common shape and dtype of the operands; NaN where both are.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.fmax(np.array([1.0, np.nan, np.nan]), np.array([2.0, 3.0, np.nan]))
    Array([ 2.,  3., nan], dtype=float32)
    """
    return _unless_nan("fmax", greater, x1, x2)


@fused()
def fmin(x1: Any, x2: Any) -> Any:
    """Elementwise minimum; a NaN gives way to the other operand.

    Complex numbers are compared by their real, then their imaginary parts.

    Parameters
    ----------
    x1, x2 : array_like
        Numbers or booleans. They broadcast together.

    Returns
    -------
    Array
        Of the common shape and dtype of the operands; NaN where both are.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.fmin(np.array([1.0, np.nan, np.nan]), np.array([2.0, 3.0, np.nan]))
    Array([ 1.,  3., nan], dtype=float32)
    """
    return _unless_nan("fmin", less, x1, x2)


def _unless_nan(name: str, wins: Any, x: Any, y: Any) -> Any:
    x, y = promote2(name, x, y)
    better = wins(x, y)
    if aval_of(x).dtype in dtypes.COMPLEX:
        # A number whose imaginary part alone is NaN may win by its real part.
        better = lax.bitwise_and(*broadcast2(name, better, lax.bitwise_not(_isnan(x))))
    return lax.select(*_same_shape(lax.bitwise_or(*broadcast2(name, better, _isnan(y))), x, y))


def _hypot(x1: Any, x2: Any) -> Any:
    x1, x2 = promote2_inexact("hypot", _real_only(x1, "hypot"), _real_only(x2, "hypot"))
    dt = aval_of(x1).dtype
    zero, one = scalar(0, dt), scalar(1, dt)
    inf = lax.bitwise_or(_isinf(x1), _isinf(x2))
    x1, x2 = (lax.select(*_same_shape(inf, zero, v)) for v in (x1, x2))
    size = lax.max(lax.abs(x1), lax.abs(x2))
    # Smooth but for the origin: neither the larger of the two nor their magnitudes take part.
    scale = power_of_two(array(size))
    a, b = lax.div(x1, scale), lax.div(x2, scale)
    squares = lax.add(lax.square(a), lax.square(b))
    at_zero = lax.eq(squares, zero)
    root = lax.mul(lax.sqrt(lax.select(at_zero, one, squares)), scale)
    return lax.select(inf, scalar(math.inf, dt), lax.select(at_zero, size, root))


hypot = ufunc2(
    _hypot,
    "hypot",
    "Elementwise :math:`\\sqrt{x_1^2 + x_2^2}` without overflow.",
    "np.hypot(np.array([3.0, 3e30]), np.array([4.0, 4e30]))",
    "Array([5.e+00, 5.e+30], dtype=float32)",
    takes=REAL2,
    result=FLOAT2,
)


def _logaddexp(x: Any, y: Any) -> Any:
    x, y = promote2_inexact("logaddexp", x, y)
    dt = aval_of(x).dtype
    if dt in dtypes.COMPLEX:
        return _complex_log_add(*broadcast2("logaddexp", x, y))
    return _log_add(x, y, 1.0)


def _complex_log_add(x: Any, y: Any) -> Any:
    swap = lax.gt(lax.real(y), lax.real(x))
    big, small = lax.select(swap, y, x), lax.select(swap, x, y)
    delta = lax.sub(small, big)
    # Equal infinities have no difference.
    tie = lax.bitwise_and(
        lax.eq(lax.real(x), lax.real(y)), lax.bitwise_not(lax.is_finite(lax.real(x)))
    )
    tail = lax.log1p(lax.exp(lax.select(tie, lax.full_like(delta, 0), delta)))
    out = lax.add(big, tail)
    # The principal value, as of a logarithm.
    im = lax.imag(out)
    turns = lax.round(lax.mul(im, 0.5 / math.pi), lax.RoundingMethod.TO_NEAREST_EVEN)
    return lax.complex(lax.real(out), lax.sub(im, lax.mul(turns, 2 * math.pi)))


def _log_add(x: Any, y: Any, unit: float) -> Any:
    """``log_b(b**x + b**y)`` where ``unit`` is the natural logarithm of the base ``b``."""
    # Branches, in place of a maximum and a magnitude, are smooth where the operands are equal.
    delta = lax.sub(x, y)
    first = lax.gt(x, y)
    larger = lax.select(*_same_shape(first, x, y))
    # Equal infinities have no difference.
    tie = lax.bitwise_and(lax.ne(delta, delta), lax.eq(x, y))
    delta = lax.select(tie, scalar(0, aval_of(x).dtype), delta)
    gap = lax.select(first, lax.neg(delta), delta)
    return lax.add(larger, lax.div(lax.log1p(lax.exp(lax.mul(gap, unit))), unit))


def _logaddexp2(x: Any, y: Any) -> Any:
    x, y = promote2_inexact("logaddexp2", x, y)
    unit = math.log(2.0)
    if aval_of(x).dtype in dtypes.COMPLEX:
        return scaled(_logaddexp(scaled(x, unit), scaled(y, unit)), 1.0 / unit)
    return _log_add(x, y, unit)


logaddexp = ufunc2(
    _logaddexp,
    "logaddexp",
    "Elementwise :math:`\\log(e^x + e^y)` without overflow.",
    "np.logaddexp(np.array([1000.0, -np.inf]), np.array([1000.0, 2.0])).round(3)",
    "Array([1000.693,    2.   ], dtype=float32)",
    takes=ANY2,
    result=FLOAT2,
)
logaddexp2 = ufunc2(
    _logaddexp2,
    "logaddexp2",
    "Elementwise :math:`\\log_2(2^x + 2^y)` without overflow.",
    "np.logaddexp2(np.array([1000.0, 3.0]), np.array([1000.0, 3.0]))",
    "Array([1001.,    4.], dtype=float32)",
    takes=ANY2,
    result=FLOAT2,
)


def _heaviside(x1: Any, x2: Any) -> Any:
    x1, x2 = promote2_inexact("heaviside", x1, x2)
    x2 = _as_strong(x2, x1)
    dt = aval_of(x1).dtype
    zero = scalar(0, dt)
    out = lax.select(lax.lt(x1, zero), zero, lax.select(lax.gt(x1, zero), scalar(1, dt), x2))
    return lax.select(lax.ne(x1, x1), scalar(math.nan, dt), out)


heaviside = ufunc2(
    _heaviside,
    "heaviside",
    "Elementwise step function of ``x1``: 0 below 0, ``x2`` at 0, 1 above; NaN of NaN.",
    "np.heaviside(np.array([-2.0, 0.0, 3.0]), np.array([0.5]))",
    "Array([0. , 0.5, 1. ], dtype=float32)",
    takes=REAL2,
    result=FLOAT2,
)


def _sinc(x: Any) -> Any:
    x = inexact(x, "sinc")
    dt = aval_of(x).dtype
    zero, one = scalar(0, dt), scalar(1, dt)
    size = lax.abs(x)
    near = lax.lt(size, scalar(0.4, aval_of(size).dtype))
    # Near 0 the power series: derivatives of the quotient cancel there.
    t = lax.square(lax.mul(lax.select(near, x, zero), math.pi))
    series = zero
    for k in reversed(range(13)):
        series = lax.add(lax.mul(lax.neg(t), series), scalar(1 / math.factorial(2 * k + 1), dt))
    far = lax.select(near, one, x)
    turned, sign = far, one
    if dt not in dtypes.COMPLEX:
        # Half turns are taken off before the product is rounded.
        whole = lax.round(far)
        turned = lax.sub(far, whole)
        odd = lax.abs(lax.sub(whole, lax.mul(lax.round(lax.mul(whole, 0.5)), 2.0)))
        sign = lax.sub(1.0, lax.mul(odd, 2.0))
    sine = lax.mul(lax.sin(lax.mul(turned, math.pi)), sign)
    quotient = lax.div(sine, lax.mul(far, math.pi))
    return lax.select(near, series, quotient)


sinc = ufunc1(
    _sinc,
    "sinc",
    "Elementwise :math:`\\sin(\\pi x)/(\\pi x)`.",
    "np.sinc(np.array([0.0, 0.5, 1.5])).round(3)",
    "Array([ 1.   ,  0.637, -0.212], dtype=float32)",
    takes=ANY,
    result=FLOAT1,
)


def _ldexp(x1: Any, x2: Any) -> Any:
    x1 = inexact(_real_only(x1, "ldexp"), "ldexp")
    x2 = operand(x2, "ldexp", 1)
    if dtypes.is_inexact(aval_of(x2).dtype):
        raise ValueError(f"ldexp takes an integer exponent, got {describe(x2)}{at_user_line()}")
    dt = aval_of(x1).dtype
    # Up to this a power of two is a normal number; three of them reach from the smallest number
    # to beyond the largest.
    top = -int(dtypes.finfo(dt).minexp)
    x1, x2 = broadcast2("ldexp", x1, convert(_limited(x2, 3 * top), dtypes.int32))
    last = _limited(x2, top)
    x2 = lax.sub(x2, last)
    middle = _limited(x2, top)
    # The largest step comes last: it alone can round, because a result is subnormal.
    for step in (lax.sub(x2, middle), middle, last):
        x1 = lax.mul(x1, lax.exp2(convert(step, dt)))
    return x1


def _limited(x2: Any, limit: int) -> Any:
    """Integers limited to ``[-limit, limit]``, as far as their dtype holds these."""
    dt = aval_of(x2).dtype
    if dt == dtypes.bool_:
        return x2
    info = dtypes.iinfo(dt)
    low, high = builtins.max(-limit, info.min), builtins.min(limit, info.max)
    return lax.max(lax.min(x2, scalar(int(high), dt)), scalar(int(low), dt))


ldexp = ufunc2(
    _ldexp,
    "ldexp",
    "Elementwise :math:`x_1 2^{x_2}`.",
    "np.ldexp(np.array([1.0, 0.75]), np.array([3, -1]))",
    "Array([8.   , 0.375], dtype=float32)",
    takes="Real numbers, and integers as exponents, that broadcast together.",
    result="Of the common shape, in the dtype of ``x1``; integers give floats.",
)


@fused()
def frexp(x: Any, /) -> tuple[Any, Any]:
    """Elementwise mantissa in ``[0.5, 1)`` and exponent: ``x = m * 2**e``.

    Parameters
    ----------
    x : array_like
        Real numbers or booleans; integers become floats.

    Returns
    -------
    tuple of two Array
        Mantissas, with the sign of ``x``, and exponents, in int32. Of 0, infinities and NaN the
        mantissa is ``x`` and the exponent 0.

    Raises
    ------
    TypeError
        If ``x`` is complex.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.frexp(np.array([1.0, -10.0, 0.0]))
    (Array([ 0.5  , -0.625,  0.   ], dtype=float32), Array([1, 4, 0], dtype=int32))
    """
    x = inexact(x, "frexp")
    dt = aval_of(x).dtype
    if dt in dtypes.COMPLEX:
        raise TypeError(f"frexp does not take complex numbers{at_user_line()}")
    if dt in dtypes.SMALL_FLOATS:
        mantissa, exponent = frexp(convert(x, dtypes.float32))
        return convert(mantissa, dt), exponent
    info = dtypes.finfo(dt)
    nbits, nmant = dt.itemsize * 8, info.nmant
    bits_dt = {2: dtypes.int16, 4: dtypes.int32, 8: dtypes.int64}[dt.itemsize]
    bias = (1 << (nbits - nmant - 2)) - 1
    mask = (1 << (nbits - nmant - 1)) - 1
    tiny = lax.lt(lax.abs(x), scalar(info.tiny, dt))
    scaled = lax.select(tiny, lax.mul(x, scalar(2.0**nmant, dt)), x)
    bits = lax.bitcast_convert_type_p.bind(array(scaled), new_dtype=bits_dt)
    exponent = lax.bitwise_and(
        lax.shift_right_logical(bits, bits_dt.type(nmant)), bits_dt.type(mask)
    )
    exponent = lax.sub(convert(exponent, dtypes.int32), onp.int32(bias - 1))
    exponent = lax.select(tiny, lax.sub(exponent, onp.int32(nmant)), exponent)
    special = lax.bitwise_or(lax.eq(x, scalar(0, dt)), lax.bitwise_not(lax.is_finite(x)))
    exponent = lax.select(special, onp.int32(0), exponent)
    # A product, of which the derivative is known; it is exact.
    return _ldexp(x, lax.neg(exponent)), exponent


@fused()
def modf(x: Any, /, out: Any = None) -> tuple[Any, Any]:
    """Elementwise fractional and integral part, both with the sign of ``x``.

    Parameters
    ----------
    x : array_like
        Real numbers or booleans; integers become floats.
    out : None
        Not supported: arrays are immutable.

    Returns
    -------
    tuple of two Array
        Of an infinity the fractional part is 0.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.modf(np.array([1.5, -2.25, np.inf]))
    (Array([ 0.5 , -0.25,  0.  ], dtype=float32), Array([ 1., -2., inf], dtype=float32))
    """
    check_out(out, "modf")
    x = inexact(x, "modf")
    dt = aval_of(x).dtype
    whole = lax.select(lax.lt(x, scalar(0, dt)), lax.ceil(x), lax.floor(x))
    infinite = lax.eq(lax.abs(x), scalar(math.inf, dt))
    return lax.select(infinite, scalar(0, dt), lax.sub(x, whole)), whole


def _gcd_pair(name: str, x: Any, y: Any) -> tuple[Any, Any]:
    x, y = promote2(name, x, y)
    if aval_of(x).dtype not in dtypes.INTEGERS:
        raise ValueError(
            f"{name} takes integers, got {describe(x)} and {describe(y)}{at_user_line()}"
        )
    return tuple(broadcast_all(name, x, y))  # type: ignore[return-value]


@fused()
def gcd(x1: Any, x2: Any) -> Any:
    """Elementwise greatest common divisor.

    Parameters
    ----------
    x1, x2 : array_like
        Integers. They broadcast together.

    Returns
    -------
    Array
        Not negative; 0 where both are 0.

    Raises
    ------
    ValueError
        If the operands are not integers.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.gcd(np.array([12, -18, 0]), 8)
    Array([4, 2, 8], dtype=int32)
    """
    x, y = _gcd_pair("gcd", x1, x2)
    return _gcd(x, y)


def _gcd(x: Any, y: Any) -> Any:
    dt = x.dtype
    zero = scalar(0, dt)
    x, y = (x, y) if dt in dtypes.UNSIGNED else (lax.abs(x), lax.abs(y))
    big, small = lax.max(x, y), lax.min(x, y)

    def more(pair: Any) -> Any:
        nonzero = lax.ne(pair[1], zero)
        return lax.reduce_or(nonzero, tuple(range(len(nonzero.shape))))

    def step(pair: Any) -> Any:
        a, b = pair
        done = lax.eq(b, zero)
        r = lax.rem(a, lax.select(done, lax.full_like(b, 1), b))
        return lax.select(done, a, b), lax.select(done, b, r)

    out = lax.while_loop(more, step, (big, small))[0]
    # The least integer is its own absolute value, and its remainders are negative.
    return out if dt in dtypes.UNSIGNED else lax.abs(out)


@fused()
def lcm(x1: Any, x2: Any) -> Any:
    """Elementwise least common multiple.

    Parameters
    ----------
    x1, x2 : array_like
        Integers. They broadcast together.

    Returns
    -------
    Array
        Not negative; 0 where one is 0.

    Raises
    ------
    ValueError
        If the operands are not integers.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.lcm(np.array([4, -6, 0]), 6)
    Array([12,  6,  0], dtype=int32)
    """
    x, y = _gcd_pair("lcm", x1, x2)
    dt = x.dtype
    d = _gcd(x, y)
    zero = lax.eq(d, scalar(0, dt))
    safe = lax.select(zero, lax.full_like(d, 1), d)
    if dt in dtypes.SIGNED:
        x, y = lax.abs(x), lax.abs(y)
    # What does not fit wraps around, and may then be negative.
    out = lax.mul(x, lax.div(y, safe))
    return lax.select(zero, lax.full_like(out, 0), out)


def _spacing(x: Any) -> Any:
    x = inexact(_real_only(x, "spacing"), "spacing")
    dt = aval_of(x).dtype
    magnitude = lax.abs(x)
    step = lax.sub(lax.nextafter(magnitude, scalar(math.inf, dt)), magnitude)
    if dt == dtypes.float16:
        # Of halves NumPy gives the distance to the next greater number, whatever the sign.
        below = lax.sub(lax.nextafter(x, scalar(math.inf, dt)), x)
    else:
        below = lax.neg(step)
    step = lax.select(lax.lt(x, scalar(0, dt)), below, step)
    return lax.select(lax.is_finite(x), step, scalar(math.nan, dt))


spacing = ufunc1(
    _spacing,
    "spacing",
    "Elementwise distance to the next float away from 0.",
    "float(np.spacing(np.float32(1))), float(np.spacing(np.float32(-1024)))",
    "(1.1920928955078125e-07, -0.0001220703125)",
    takes="Real numbers.",
    result=FLOAT1,
)

# --- parts of complex numbers ------------------------------------------------------------


def _real(val: Any) -> Any:
    val = operand(val, "real")
    return lax.real(val) if aval_of(val).dtype in dtypes.COMPLEX else array(val)


def _imag(val: Any) -> Any:
    val = operand(val, "imag")
    if aval_of(val).dtype in dtypes.COMPLEX:
        return lax.imag(val)
    return lax.full_like(array(val), 0)


real = ufunc1(
    _real,
    "real",
    "Elementwise real part.",
    "np.real(np.array([1 + 2j, 3.0])), np.real(5)",
    "(Array([1., 3.], dtype=float32), Array(5, dtype=int32, weak_type=True))",
    takes=ANY,
    result=PARTS,
)
imag = ufunc1(
    _imag,
    "imag",
    "Elementwise imaginary part.",
    "np.imag(np.array([1 + 2j, 3.0]))",
    "Array([2., 0.], dtype=float32)",
    takes=ANY,
    result=PARTS,
)


@fused("deg")
def angle(z: Any, deg: bool = False) -> Any:
    r"""Elementwise argument of complex numbers, in radians or degrees.

    Parameters
    ----------
    z : array_like
        Numbers or booleans.
    deg : bool
        Whether the result is in degrees.

    Returns
    -------
    Array
        Between :math:`-\pi` and :math:`\pi`, or -180 and 180; of negative real numbers :math:`\pi`.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.angle(np.array([1.0, 1j, -1.0]), deg=True)
    Array([  0.,  90., 180.], dtype=float32)
    """
    x = array(z, "angle")
    if x.dtype in dtypes.COMPLEX:
        out = lax.atan2(lax.imag(x), lax.real(x))
    else:
        x = x if x.dtype in dtypes.INEXACT else convert(x, dtypes.default_float())
        out = lax.atan2(scalar(0.0, x.dtype), x)
    return lax.mul(out, 180.0 / math.pi) if deg else out


# --- limits and rounding -----------------------------------------------------------------


def _bound(x: Any, v: Any) -> Any:
    """A bound of integers that is a Python number, in their dtype: beyond it is at its end."""
    dt = aval_of(x).dtype
    if dt not in dtypes.INTEGERS or v is None:
        return v
    info = dtypes.iinfo(dt)
    if type(v) is int:
        return scalar(builtins.min(builtins.max(v, int(info.min)), int(info.max)), dt)
    aval = aval_of(operand(v, "clip", 1))
    if aval.weak_type and aval.dtype in dtypes.INTEGERS and aval.dtype != dt:
        own = dtypes.iinfo(aval.dtype)
        low, high = builtins.max(info.min, own.min), builtins.min(info.max, own.max)
        v = lax.clamp(scalar(int(low), aval.dtype), v, scalar(int(high), aval.dtype))
        return convert(v, dt)
    return v


@fused()
def clip(
    arr: Any = None,
    /,
    min: Any = None,  # noqa: A002
    max: Any = None,  # noqa: A002
    *,
    a: Any = None,
    a_min: Any = None,
    a_max: Any = None,
) -> Any:
    """Elementwise ``arr`` limited to ``[min, max]``; a bound of None does not limit.

    Where ``min > max`` the result is ``max``.

    Parameters
    ----------
    arr : array_like
        Real numbers or booleans.
    min, max : array_like, optional
        Broadcast with ``arr``.
    a, a_min, a_max
        Older names of ``arr``, ``min`` and ``max``.

    Returns
    -------
    Array
        Of the common shape and dtype of ``arr`` and the bounds; NaN where one of them is.

    Raises
    ------
    ValueError
        If an operand is complex.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.clip(np.array([-1, 2, 9]), 0, 5)
    Array([0, 2, 5], dtype=int32)
    >>> np.clip(np.array([-1, 2, 9]), max=np.array([0, 1, 2]))
    Array([-1,  1,  2], dtype=int32)
    """
    x = operand(a if arr is None else arr, "clip")
    low = _bound(x, a_min if min is None else min)
    high = _bound(x, a_max if max is None else max)
    if any(aval_of(v).dtype in dtypes.COMPLEX for v in (x, low, high) if v is not None):
        raise ValueError(f"clip does not take complex numbers, which have no order{at_user_line()}")
    out = array(x)
    if low is not None:
        a_, b_ = promote2("clip", out, low)
        out = lax.max(a_, b_)
    if high is not None:
        a_, b_ = promote2("clip", out, high)
        out = lax.min(a_, b_)
    return out


@fused("decimals")
def round(a: Any, decimals: int = 0, out: Any = None) -> Any:  # noqa: A001
    """Elementwise nearest number with ``decimals`` decimals, halves to even.

    Parameters
    ----------
    a : array_like
        Numbers or booleans; complex numbers are rounded part by part.
    decimals : int
        Negative ones round to tens, hundreds and so on, of floats only.
    out : None
        Not supported: arrays are immutable.

    Returns
    -------
    Array
        Of the shape and dtype of ``a``; integers and booleans as they are.

    Raises
    ------
    NotImplementedError
        If integers are to be rounded to negative ``decimals``.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.round(np.array([0.5, 1.5, 2.5]))
    Array([0., 2., 2.], dtype=float32)
    >>> np.round(np.array([12.345, -6.789]), 1)
    Array([12.3, -6.8], dtype=float32)
    """
    check_out(out, "round")
    x = operand(a, "round")
    aval = aval_of(x)
    dt = aval.dtype
    if dt in dtypes.INTEGERS or dt == dtypes.bool_:
        if decimals < 0:
            raise NotImplementedError(
                f"round of integers to negative decimals is not supported{at_user_line()}"
            )
        return array(x)
    if dt in dtypes.COMPLEX:
        return lax.complex(_round_float(lax.real(x), decimals), _round_float(lax.imag(x), decimals))
    return _round_float(x, decimals)


def _round_float(x: Any, decimals: int) -> Any:
    dt = aval_of(x).dtype
    even = lax.RoundingMethod.TO_NEAREST_EVEN
    if decimals == 0:
        return lax.round(x, even)
    wide = convert(x, dtypes.float32) if dt in dtypes.ROUNDED else x
    factor = aval_of(wide).dtype.type(10.0**decimals)
    out = lax.div(lax.round(lax.mul(wide, factor), even), factor)
    return convert(out, dt)


around = round


@fused("copy")
def nan_to_num(
    x: Any, copy: bool = True, nan: Any = 0.0, posinf: Any = None, neginf: Any = None
) -> Any:
    """Elementwise ``x`` with NaN and infinities replaced (by the extreme finite values).

    Parameters
    ----------
    x : array_like
        Numbers or booleans; complex numbers are treated part by part.
    copy : bool
        Accepted and ignored: arrays are immutable.
    nan, posinf, neginf : array_like, optional
        What replaces NaN (0 by default) and infinities (the extreme finite values of the dtype).

    Returns
    -------
    Array
        Of the shape and dtype of ``x``.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.nan_to_num(np.array([1.0, np.nan, np.inf]), posinf=9.0)
    Array([1., 0., 9.], dtype=float32)
    """
    x = operand(x, "nan_to_num")
    dt = aval_of(x).dtype
    if dt not in dtypes.INEXACT:
        return array(x)
    if dt in dtypes.COMPLEX:
        parts = [nan_to_num(p, copy, nan, posinf, neginf) for p in (lax.real(x), lax.imag(x))]
        return lax.complex(*parts)
    info = dtypes.finfo(dt)
    high = info.max if posinf is None else posinf
    low = info.min if neginf is None else neginf

    def replace(where: Any, value: Any, old: Any) -> Any:
        return lax.select(*broadcast_all("nan_to_num", where, convert(array(value), dt), old))

    out = replace(lax.ne(x, x), nan, x)
    out = replace(lax.eq(x, scalar(math.inf, dt)), high, out)
    return replace(lax.eq(x, scalar(-math.inf, dt)), low, out)


# --- where -------------------------------------------------------------------------------


def _where(condition: Any, x: Any, y: Any) -> Any:
    cond = truth(operand(condition, "where"), "where")
    x, y = promote2("where", x, y)
    shapes = shape_of(cond), shape_of(x), shape_of(y)
    if shapes[0] == shapes[1] == shapes[2]:
        return lax.select_n_p.bind(cond, y, x)
    shape = broadcast_shapes("where", *shapes, of=(cond, x, y))
    cond = cond if not shapes[0] else broadcast_to(cond, shape)
    x = x if not shapes[1] else broadcast_to(x, shape)
    y = y if not shapes[2] else broadcast_to(y, shape)
    return lax.select_n_p.bind(cond, y, x)


_where.__name__ = "where"
_where_compiled: Any = None


def where(
    condition: Any, x: Any = None, y: Any = None, /, *, size: Any = None, fill_value: Any = None
) -> Any:
    """Elements of ``x`` where ``condition`` holds, of ``y`` elsewhere.

    With one argument, the indices of its true elements; see `nonzero`.

    Parameters
    ----------
    condition, x, y : array_like
        They broadcast together; ``condition`` holds where it is not zero.
    size, fill_value
        See `nonzero`.

    Returns
    -------
    Array, or tuple of Array
        In the dtype that ``x`` and ``y`` promote to; indices if they are not given.

    Raises
    ------
    ValueError
        If only one of ``x`` and ``y`` is given.

    Examples
    --------
    >>> import covector.numpy as np
    >>> x = np.array([-1, 2, -3])
    >>> np.where(x > 0, x, 10 * x)
    Array([-10,   2, -30], dtype=int32)
    >>> np.where(x > 0)
    (Array([1], dtype=int32),)
    """
    global _where_compiled
    if x is None and y is None:
        from covector.numpy.positions import indices_of

        return indices_of(condition, size, fill_value, "where")
    if x is None or y is None or size is not None or fill_value is not None:
        raise ValueError(
            "where takes either one array, and size= and fill_value=, or a condition and two "
            f"arrays{at_user_line()}"
        )
    if current_trace() is not eval_trace:
        return _where(condition, x, y)
    if _where_compiled is None:
        _where_compiled = compile_lazily(_where)
    try:
        return _where_compiled(condition, x, y)
    except OverflowError:
        return _where(condition, x, y)  # a Python integer takes the dtype of what is beside it
