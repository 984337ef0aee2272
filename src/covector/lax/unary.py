"""Elementwise functions of one operand."""

from __future__ import annotations

import enum
import operator
from typing import Any

from covector.core import dtypes
from covector.core.avals import aval_of
from covector.core.errors import at_user_line, describe
from covector.core.operands import PY_SCALARS, as_operand
from covector.lax.arithmetic import div
from covector.primitives.arithmetic import (
    abs_p,
    ceil_p,
    conj_p,
    floor_p,
    imag_p,
    integer_pow_p,
    is_finite_p,
    neg_p,
    real_p,
    round_p,
    sign_p,
    square_p,
)
from covector.primitives.common import INEXACT, check_dtype
from covector.primitives.exponential import (
    acos_p,
    acosh_p,
    asin_p,
    asinh_p,
    atan_p,
    atanh_p,
    cbrt_p,
    cos_p,
    cosh_p,
    exp2_p,
    exp_p,
    expm1_p,
    log1p_p,
    log_p,
    logistic_p,
    rsqrt_p,
    sin_p,
    sinh_p,
    sqrt_p,
    tan_p,
    tanh_p,
)


class RoundingMethod(enum.IntEnum):
    """Where `round` sends halves: away from zero, or to the even neighbour."""

    AWAY_FROM_ZERO = 0
    TO_NEAREST_EVEN = 1


def neg(x: Any) -> Any:
    """Elementwise negation :math:`-x`.

    Parameters
    ----------
    x : array_like
        Numbers, of any shape.

    Returns
    -------
    Array
        Of the shape and dtype of ``x``; integers wrap around.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> lax.neg(np.array([1, -2, 3]))
    Array([-1,  2, -3], dtype=int32)
    """
    return neg_p.bind(as_operand(x, "neg"))


def sign(x: Any) -> Any:
    """Elementwise sign: -1, 0 or 1; :math:`x/|x|` for complex numbers.

    Parameters
    ----------
    x : array_like
        Numbers, of any shape.

    Returns
    -------
    Array
        Of the shape and dtype of ``x``; NaN where ``x`` is.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> lax.sign(np.array([-2.5, 0.0, 7.0]))
    Array([-1.,  0.,  1.], dtype=float32)
    >>> lax.sign(np.array([3 + 4j]))
    Array([0.6+0.8j], dtype=complex64)
    """
    return sign_p.bind(as_operand(x, "sign"))


def floor(x: Any) -> Any:
    """Elementwise largest integer not above ``x``, as a float.

    Parameters
    ----------
    x : array_like
        Real floats, of any shape.

    Returns
    -------
    Array
        Of the shape and dtype of ``x``.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> lax.floor(np.array([1.7, -1.2]))
    Array([ 1., -2.], dtype=float32)
    """
    return floor_p.bind(as_operand(x, "floor"))


def ceil(x: Any) -> Any:
    """Elementwise smallest integer not below ``x``, as a float.

    Parameters
    ----------
    x : array_like
        Real floats, of any shape.

    Returns
    -------
    Array
        Of the shape and dtype of ``x``.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> lax.ceil(np.array([1.2, -1.7]))
    Array([ 2., -1.], dtype=float32)
    """
    return ceil_p.bind(as_operand(x, "ceil"))


def round(x: Any, rounding_method: Any = RoundingMethod.AWAY_FROM_ZERO) -> Any:  # noqa: A001
    """Elementwise nearest integer, as a float; ``rounding_method`` decides halves.

    Parameters
    ----------
    x : array_like
        Real floats, of any shape.
    rounding_method : RoundingMethod
        By default halves go away from zero.

    Returns
    -------
    Array
        Of the shape and dtype of ``x``.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> x = np.array([0.5, 1.5, -2.5])
    >>> lax.round(x)
    Array([ 1.,  2., -3.], dtype=float32)
    >>> lax.round(x, lax.RoundingMethod.TO_NEAREST_EVEN)
    Array([ 0.,  2., -2.], dtype=float32)
    """
    return round_p.bind(
        as_operand(x, "round"), rounding_method=int(RoundingMethod(rounding_method))
    )


def is_finite(x: Any) -> Any:
    """Elementwise: neither infinite nor NaN.

    Parameters
    ----------
    x : array_like
        Real floats, of any shape.

    Returns
    -------
    Array
        Booleans, of the shape of ``x``.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> lax.is_finite(np.array([1.0, np.inf, np.nan]))
    Array([ True, False, False], dtype=bool)
    """
    return is_finite_p.bind(as_operand(x, "is_finite"))


def exp(x: Any, *, accuracy: Any = None) -> Any:
    """Elementwise exponential :math:`e^x`.

    Parameters
    ----------
    x : array_like
        Floats or complex numbers, of any shape.
    accuracy : object, optional
        Ignored: there is one implementation, of full precision.

    Returns
    -------
    Array
        Of the shape and dtype of ``x``; infinite where the power is too large for the dtype.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> lax.exp(np.array([0.0, 1.0, 100.0, -np.inf]))
    Array([1.       , 2.7182817,       inf, 0.       ], dtype=float32)
    """
    return exp_p.bind(as_operand(x, "exp"))


def exp2(x: Any, *, accuracy: Any = None) -> Any:
    """Elementwise :math:`2^x`.

    Parameters
    ----------
    x : array_like
        Floats or complex numbers, of any shape.
    accuracy : object, optional
        Ignored: there is one implementation, of full precision.

    Returns
    -------
    Array
        Of the shape and dtype of ``x``.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> lax.exp2(np.array([0.0, 3.0, -1.0]))
    Array([1. , 8. , 0.5], dtype=float32)
    """
    return exp2_p.bind(as_operand(x, "exp2"))


def log(x: Any, *, accuracy: Any = None) -> Any:
    r"""Elementwise natural logarithm.

    Parameters
    ----------
    x : array_like
        Floats or complex numbers, of any shape.
    accuracy : object, optional
        Ignored: there is one implementation, of full precision.

    Returns
    -------
    Array
        Of the shape and dtype of ``x``; -inf at 0. NaN where a float is negative; of complex
        numbers the principal value, with an imaginary part in :math:`[-\pi, \pi]`.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> lax.log(np.array([1.0, 0.0, -1.0]))
    Array([  0., -inf,  nan], dtype=float32)
    """
    return log_p.bind(as_operand(x, "log"))


def log1p(x: Any, *, accuracy: Any = None) -> Any:
    r"""Elementwise :math:`\log(1 + x)`, exact for small ``x``.

    Parameters
    ----------
    x : array_like
        Floats or complex numbers, of any shape.
    accuracy : object, optional
        Ignored: there is one implementation, of full precision.

    Returns
    -------
    Array
        Of the shape and dtype of ``x``; -inf at -1, NaN where a float is less.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> lax.log1p(np.array([1e-10, -1.0, -2.0]))
    Array([1.e-10,   -inf,    nan], dtype=float32)
    """
    return log1p_p.bind(as_operand(x, "log1p"))


def expm1(x: Any, *, accuracy: Any = None) -> Any:
    """Elementwise :math:`e^x - 1`, exact for small ``x``.

    Parameters
    ----------
    x : array_like
        Floats or complex numbers, of any shape.
    accuracy : object, optional
        Ignored: there is one implementation, of full precision.

    Returns
    -------
    Array
        Of the shape and dtype of ``x``.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> lax.expm1(np.array([1e-10, 0.0, -np.inf]))
    Array([ 1.e-10,  0.e+00, -1.e+00], dtype=float32)
    """
    return expm1_p.bind(as_operand(x, "expm1"))


def sin(x: Any, *, accuracy: Any = None) -> Any:
    """Elementwise sine.

    Parameters
    ----------
    x : array_like
        Floats or complex numbers, in radians, of any shape.
    accuracy : object, optional
        Ignored: there is one implementation, of full precision.

    Returns
    -------
    Array
        Of the shape and dtype of ``x``; NaN at infinities.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> np.round(lax.sin(np.array([0.0, np.pi / 6, np.pi / 2])), 3)
    Array([0. , 0.5, 1. ], dtype=float32)
    """
    return sin_p.bind(as_operand(x, "sin"))


def cos(x: Any, *, accuracy: Any = None) -> Any:
    """Elementwise cosine.

    Parameters
    ----------
    x : array_like
        Floats or complex numbers, in radians, of any shape.
    accuracy : object, optional
        Ignored: there is one implementation, of full precision.

    Returns
    -------
    Array
        Of the shape and dtype of ``x``; NaN at infinities.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> np.round(lax.cos(np.array([0.0, np.pi / 3, np.pi])), 3)
    Array([ 1. ,  0.5, -1. ], dtype=float32)
    """
    return cos_p.bind(as_operand(x, "cos"))


def tan(x: Any, *, accuracy: Any = None) -> Any:
    """Elementwise tangent.

    Parameters
    ----------
    x : array_like
        Floats or complex numbers, in radians, of any shape.
    accuracy : object, optional
        Ignored: there is one implementation, of full precision.

    Returns
    -------
    Array
        Of the shape and dtype of ``x``; NaN at infinities.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> np.round(lax.tan(np.array([0.0, np.pi / 4])), 3)
    Array([0., 1.], dtype=float32)
    """
    return tan_p.bind(as_operand(x, "tan"))


def asin(x: Any) -> Any:
    r"""Elementwise inverse sine.

    Parameters
    ----------
    x : array_like
        Floats or complex numbers, of any shape.

    Returns
    -------
    Array
        Angles in radians, in :math:`[-\pi/2, \pi/2]`, of the shape and dtype of ``x``; NaN where a
        float is outside [-1, 1].

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> np.round(lax.asin(np.array([0.0, 1.0, 2.0])), 4)
    Array([0.    , 1.5708,    nan], dtype=float32)
    """
    return asin_p.bind(as_operand(x, "asin"))


def acos(x: Any) -> Any:
    r"""Elementwise inverse cosine.

    Parameters
    ----------
    x : array_like
        Floats or complex numbers, of any shape.

    Returns
    -------
    Array
        Angles in radians, in :math:`[0, \pi]`, of the shape and dtype of ``x``; NaN where a float
        is outside [-1, 1].

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> np.round(lax.acos(np.array([1.0, -1.0, 2.0])), 4)
    Array([0.    , 3.1416,    nan], dtype=float32)
    """
    return acos_p.bind(as_operand(x, "acos"))


def atan(x: Any) -> Any:
    r"""Elementwise inverse tangent.

    Parameters
    ----------
    x : array_like
        Floats or complex numbers, of any shape.

    Returns
    -------
    Array
        Angles in radians, in :math:`[-\pi/2, \pi/2]`, of the shape and dtype of ``x``.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> np.round(lax.atan(np.array([0.0, 1.0, np.inf])), 4)
    Array([0.    , 0.7854, 1.5708], dtype=float32)
    """
    return atan_p.bind(as_operand(x, "atan"))


def sinh(x: Any) -> Any:
    """Elementwise hyperbolic sine.

    Parameters
    ----------
    x : array_like
        Floats or complex numbers, of any shape.

    Returns
    -------
    Array
        Of the shape and dtype of ``x``.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> np.round(lax.sinh(np.array([0.0, 1.0, -1.0])), 4)
    Array([ 0.    ,  1.1752, -1.1752], dtype=float32)
    """
    return sinh_p.bind(as_operand(x, "sinh"))


def cosh(x: Any) -> Any:
    """Elementwise hyperbolic cosine.

    Parameters
    ----------
    x : array_like
        Floats or complex numbers, of any shape.

    Returns
    -------
    Array
        Of the shape and dtype of ``x``.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> np.round(lax.cosh(np.array([0.0, 1.0, -1.0])), 4)
    Array([1.    , 1.5431, 1.5431], dtype=float32)
    """
    return cosh_p.bind(as_operand(x, "cosh"))


def tanh(x: Any, *, accuracy: Any = None) -> Any:
    """Elementwise hyperbolic tangent.

    Parameters
    ----------
    x : array_like
        Floats or complex numbers, of any shape.
    accuracy : object, optional
        Ignored: there is one implementation, of full precision.

    Returns
    -------
    Array
        Of the shape and dtype of ``x``.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> np.round(lax.tanh(np.array([0.0, 0.5, np.inf])), 4)
    Array([0.    , 0.4621, 1.    ], dtype=float32)
    """
    return tanh_p.bind(as_operand(x, "tanh"))


def asinh(x: Any) -> Any:
    """Elementwise inverse hyperbolic sine.

    Parameters
    ----------
    x : array_like
        Floats or complex numbers, of any shape.

    Returns
    -------
    Array
        Of the shape and dtype of ``x``.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> np.round(lax.asinh(np.array([0.0, 1.0, -1.0])), 4)
    Array([ 0.    ,  0.8814, -0.8814], dtype=float32)
    """
    return asinh_p.bind(as_operand(x, "asinh"))


def acosh(x: Any) -> Any:
    """Elementwise inverse hyperbolic cosine.

    Parameters
    ----------
    x : array_like
        Floats or complex numbers, of any shape.

    Returns
    -------
    Array
        Of the shape and dtype of ``x``; NaN where a float is below 1.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> np.round(lax.acosh(np.array([1.0, 2.0, 0.0])), 4)
    Array([0.   , 1.317,   nan], dtype=float32)
    """
    return acosh_p.bind(as_operand(x, "acosh"))


def atanh(x: Any) -> Any:
    """Elementwise inverse hyperbolic tangent.

    Parameters
    ----------
    x : array_like
        Floats or complex numbers, of any shape.

    Returns
    -------
    Array
        Of the shape and dtype of ``x``; infinite at -1 and 1, NaN where a float is beyond.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> np.round(lax.atanh(np.array([0.5, 1.0, 2.0])), 4)
    Array([0.5493,    inf,    nan], dtype=float32)
    """
    return atanh_p.bind(as_operand(x, "atanh"))


def sqrt(x: Any, *, accuracy: Any = None) -> Any:
    """Elementwise square root.

    Parameters
    ----------
    x : array_like
        Floats or complex numbers, of any shape.
    accuracy : object, optional
        Ignored: there is one implementation, of full precision.

    Returns
    -------
    Array
        Of the shape and dtype of ``x``; NaN where a float is negative, and the root with a real
        part that is not negative of complex numbers.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> lax.sqrt(np.array([4.0, -1.0]))
    Array([ 2., nan], dtype=float32)
    >>> lax.sqrt(np.array([-4 + 0j]))
    Array([0.+2.j], dtype=complex64)
    """
    return sqrt_p.bind(as_operand(x, "sqrt"))


def rsqrt(x: Any, *, accuracy: Any = None) -> Any:
    r"""Elementwise :math:`1/\sqrt x`.

    Parameters
    ----------
    x : array_like
        Floats or complex numbers, of any shape.
    accuracy : object, optional
        Ignored: there is one implementation, of full precision.

    Returns
    -------
    Array
        Of the shape and dtype of ``x``; infinite at 0, NaN where a float is negative.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> lax.rsqrt(np.array([4.0, 0.0]))
    Array([0.5, inf], dtype=float32)
    """
    return rsqrt_p.bind(as_operand(x, "rsqrt"))


def cbrt(x: Any, *, accuracy: Any = None) -> Any:
    """Elementwise cube root.

    Parameters
    ----------
    x : array_like
        Real floats, of any shape.
    accuracy : object, optional
        Ignored: there is one implementation, of full precision.

    Returns
    -------
    Array
        Of the shape and dtype of ``x``; negative where ``x`` is.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> lax.cbrt(np.array([27.0, -8.0]))
    Array([ 3., -2.], dtype=float32)
    """
    return cbrt_p.bind(as_operand(x, "cbrt"))


def square(x: Any) -> Any:
    """Elementwise :math:`x^2`.

    Parameters
    ----------
    x : array_like
        Numbers, of any shape.

    Returns
    -------
    Array
        Of the shape and dtype of ``x``; integers wrap around.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> lax.square(np.array([3, -2]))
    Array([9, 4], dtype=int32)
    """
    return square_p.bind(as_operand(x, "square"))


def reciprocal(x: Any) -> Any:
    """Elementwise :math:`1/x`.

    Parameters
    ----------
    x : array_like
        Floats or complex numbers, of any shape.

    Returns
    -------
    Array
        Of the shape and dtype of ``x``; infinite at 0.

    Raises
    ------
    TypeError
        If ``x`` is an array of integers.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> lax.reciprocal(np.array([2.0, 0.0]))
    Array([0.5, inf], dtype=float32)
    """
    x = as_operand(x, "reciprocal")
    return integer_pow(x, -1) if type(x) not in PY_SCALARS else div(1.0, x)


def integer_pow(x: Any, y: int) -> Any:
    """Elementwise :math:`x^y` for a fixed integer ``y``.

    Parameters
    ----------
    x : array_like
        Numbers, of any shape.
    y : int
        Not traced: the power is a part of the program.

    Returns
    -------
    Array
        Of the shape and dtype of ``x``; 1 where ``y`` is 0.

    Raises
    ------
    TypeError
        If ``x`` holds integers and ``y`` is negative.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> lax.integer_pow(np.array([2, -3]), 3)
    Array([  8, -27], dtype=int32)
    >>> lax.integer_pow(np.array([2.0, 4.0]), -1)
    Array([0.5 , 0.25], dtype=float32)
    """
    x = as_operand(x, "integer_pow")
    try:
        y = operator.index(y)
    except TypeError:
        raise TypeError(
            f"integer_pow takes an integer known while tracing as y, got {describe(y)}; see pow"
            f"{at_user_line()}"
        ) from None
    if y < 0 and dtypes.is_integer(aval_of(x).dtype):
        raise TypeError(
            f"integer_pow: integers cannot be raised to the negative power {y}{at_user_line()}"
        )
    if y == 1:
        return x
    return integer_pow_p.bind(x, y=y)


def logistic(x: Any, *, accuracy: Any = None) -> Any:
    """Elementwise logistic function :math:`1/(1 + e^{-x})`.

    Parameters
    ----------
    x : array_like
        Floats or complex numbers, of any shape.
    accuracy : object, optional
        Ignored: there is one implementation, of full precision.

    Returns
    -------
    Array
        Of the shape and dtype of ``x``.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> lax.logistic(np.array([0.0, np.inf, -np.inf]))
    Array([0.5, 1. , 0. ], dtype=float32)
    """
    return logistic_p.bind(as_operand(x, "logistic"))


def abs(x: Any) -> Any:  # noqa: A001
    """Elementwise absolute value; the modulus of complex numbers.


    Parameters
    ----------
    x : array_like
        Numbers, of any shape.

    Returns
    -------
    Array
        Of the shape of ``x``, and of its dtype, or of the real one if complex. The magnitude of the
        most negative integer of a dtype wraps around to itself.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> lax.abs(np.array([-2, 3]))
    Array([2, 3], dtype=int32)
    >>> lax.abs(np.array([3 + 4j]))
    Array([5.], dtype=float32)
    """
    return abs_p.bind(as_operand(x, "abs"))


def real(x: Any) -> Any:
    """Elementwise real part of complex numbers.


    Parameters
    ----------
    x : array_like
        Complex numbers, of any shape.

    Returns
    -------
    Array
        Floats of the shape of ``x``.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> lax.real(np.array([1 + 2j, 3j]))
    Array([1., 0.], dtype=float32)
    """
    return real_p.bind(as_operand(x, "real"))


def imag(x: Any) -> Any:
    """Elementwise imaginary part of complex numbers.


    Parameters
    ----------
    x : array_like
        Complex numbers, of any shape.

    Returns
    -------
    Array
        Floats of the shape of ``x``.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> lax.imag(np.array([1 + 2j, 3j]))
    Array([2., 3.], dtype=float32)
    """
    return imag_p.bind(as_operand(x, "imag"))


def conj(x: Any) -> Any:
    """Elementwise complex conjugate; the result is complex for real operands too.


    Parameters
    ----------
    x : array_like
        Floats or complex numbers, of any shape.

    Returns
    -------
    Array
        Complex numbers of the shape of ``x``, of the complex dtype where ``x`` is real.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> lax.conj(np.array([1 + 2j, 3 - 1j]))
    Array([1.-2.j, 3.+1.j], dtype=complex64)
    """
    x = as_operand(x, "conj")
    dt = aval_of(x).dtype
    if dt not in dtypes.INEXACT:
        check_dtype("conj", aval_of(x), INEXACT)
    return conj_p.bind(x, input_dtype=dt)
