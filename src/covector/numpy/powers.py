"""Elementwise division with remainder, and powers."""

from __future__ import annotations

from typing import Any

from covector import lax
from covector.core import dtypes
from covector.core.avals import aval_of
from covector.core.errors import at_user_line
from covector.core.operands import scalar
from covector.core.trace import eval_trace
from covector.numpy._looks import check_divisor
from covector.numpy._ufunc import (
    ANY2,
    REAL2,
    SAME2_INT,
    ufunc2,
)
from covector.numpy._util import (
    compile_lazily,
    convert,
    current_trace,
    fused,
    operand,
    promote2,
    promote_inexact,
)
from covector.numpy.ufuncs import _positive, as_integers

# --- division with remainder -------------------------------------------------------------


def _floor_divide(x1: Any, x2: Any) -> Any:
    x1, x2 = promote2("floor_divide", x1, x2)
    dt = aval_of(x1).dtype
    if dt == dtypes.bool_:
        return _floor_divide(*as_integers(x1, x2))
    if dt in dtypes.INTEGERS:
        q, zero = lax.div(x1, x2), scalar(0, dt)
        if dt in dtypes.SIGNED:
            # Truncated quotients that are not exact and negative are one too large.
            inexact_ = lax.ne(lax.rem(x1, x2), zero)
            differ = lax.ne(lax.lt(x1, zero), lax.lt(x2, zero))
            q = lax.select(lax.bitwise_and(inexact_, differ), lax.sub(q, scalar(1, dt)), q)
        return lax.select(lax.eq(x2, zero), zero, q)
    if dtypes.is_complex(dt):
        raise TypeError(f"floor_divide does not take complex numbers{at_user_line()}")
    return _float_divmod(x1, x2)[0]


def _float_divmod(x: Any, y: Any) -> tuple[Any, Any]:
    """Quotient rounded down and remainder with the sign of ``y``, as Python's floats have."""
    dt = aval_of(x).dtype
    if dt in dtypes.ROUNDED:
        # The quotient of halves need not be near a whole number when it is rounded to one.
        wide = _float_divmod(convert(x, dtypes.float32), convert(y, dtypes.float32))
        return convert(wide[0], dt), convert(wide[1], dt)
    mod = lax.rem(x, y)
    return _float_quotient(*map(lax.stop_gradient, (x, y, mod))), _with_sign_of(mod, y)


def _float_quotient(x: Any, y: Any, mod: Any) -> Any:
    """The quotient rounded down, ``mod`` being the remainder of that rounded towards zero."""
    dt = aval_of(x).dtype
    zero, one = scalar(0, dt), scalar(1, dt)
    quotient = lax.div(x, y)
    div = lax.div(lax.sub(x, mod), y)
    div = lax.select(_differs(mod, y), lax.sub(div, one), div)
    div = lax.round(div)
    # A zero has the sign of the exact quotient.
    div = lax.select(lax.eq(div, zero), lax.mul(quotient, zero), div)
    # Of a division by zero the remainder is NaN, but the quotient infinite.
    return lax.select(lax.eq(y, zero), quotient, div)


def _differs(mod: Any, y: Any) -> Any:
    """Whether a remainder is not zero and has not the sign of the divisor."""
    zero = scalar(0, aval_of(mod).dtype)
    return lax.bitwise_and(lax.ne(mod, zero), lax.ne(lax.lt(y, zero), lax.lt(mod, zero)))


def _with_sign_of(mod: Any, y: Any) -> Any:
    """The remainder of the quotient rounded down from that of the quotient rounded towards zero.

    A zero takes the sign of ``y`` by an addition and a subtraction, through which the derivative
    passes.
    """
    zero = scalar(0, aval_of(mod).dtype)
    side = lax.sign(y)
    moved = lax.add(mod, side)
    signed = lax.select(lax.lt(y, zero), lax.neg(lax.sub(side, moved)), lax.sub(moved, side))
    out = lax.select(_differs(mod, y), lax.add(mod, y), mod)
    return lax.select(lax.eq(mod, zero), signed, out)


def _remainder(x1: Any, x2: Any) -> Any:
    x1, x2 = promote2("remainder", x1, x2)
    dt = aval_of(x1).dtype
    if dt == dtypes.bool_:
        return _remainder(*as_integers(x1, x2))
    if dtypes.is_complex(dt):
        raise TypeError(f"remainder does not take complex numbers{at_user_line()}")
    if dtypes.is_float(dt):
        return _with_sign_of(lax.rem(x1, x2), x2)
    zero = scalar(0, dt)
    if dt in dtypes.INTEGERS:
        check_divisor(x2, "remainder")
        x2 = lax.select(lax.eq(x2, zero), scalar(1, dt), x2)
    r = lax.rem(x1, x2)
    if dt in dtypes.UNSIGNED:
        return r
    differ = lax.ne(lax.lt(r, zero), lax.lt(x2, zero))
    fix = lax.bitwise_and(lax.ne(r, zero), differ)
    return lax.select(fix, lax.add(r, x2), r)


def _fmod(x1: Any, x2: Any) -> Any:
    x1, x2 = as_integers(*promote2("fmod", x1, x2))
    dt = aval_of(x1).dtype
    if dt in dtypes.INTEGERS:
        check_divisor(x2, "fmod")
        x2 = lax.select(lax.eq(x2, scalar(0, dt)), scalar(1, dt), x2)
    return lax.rem(x1, x2)


floor_divide = ufunc2(
    _floor_divide,
    "floor_divide",
    "Elementwise quotient, rounded down; of a division by zero an infinity or NaN, of integers 0.",
    "np.floor_divide(np.array([7, -7]), 2), np.floor_divide(1.0, 0.0)",
    "(Array([ 3, -4], dtype=int32), Array(inf, dtype=float32, weak_type=True))",
    takes=REAL2,
    result=SAME2_INT,
)
remainder = ufunc2(
    _remainder,
    "remainder",
    "Elementwise remainder of `floor_divide`; it has the sign of ``x2``.",
    "np.remainder(np.array([7, -7]), 3), np.remainder(7, -3)",
    "(Array([1, 2], dtype=int32), Array(-2, dtype=int32, weak_type=True))",
    takes=REAL2,
    result=SAME2_INT,
)
mod = remainder
fmod = ufunc2(
    _fmod,
    "fmod",
    "Elementwise remainder with the sign of ``x1``.",
    "np.fmod(np.array([7, -7]), 3)",
    "Array([ 1, -1], dtype=int32)",
    takes=REAL2,
    result=SAME2_INT,
)


@fused()
def divmod(x1: Any, x2: Any, /) -> tuple[Any, Any]:  # noqa: A001
    """Elementwise `floor_divide` and `remainder`.

    Parameters
    ----------
    x1, x2 : array_like
        Real numbers or booleans. They broadcast together.

    Returns
    -------
    tuple of two Array
        Of the common shape and dtype of the operands; two booleans give int32.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.divmod(np.array([7, -7]), 3)
    (Array([ 2, -3], dtype=int32), Array([1, 2], dtype=int32))
    """
    x, y = as_integers(*promote2("divmod", x1, x2))
    if dtypes.is_float(aval_of(x).dtype):
        return _float_divmod(x, y)
    return _floor_divide(x, y), _remainder(x, y)


# --- powers ------------------------------------------------------------------------------


def _power(x: Any, y: Any) -> Any:
    x, y = promote2("power", x, y)
    dt = aval_of(x).dtype
    if dt == dtypes.bool_:
        return _integer_power(*as_integers(x, y))
    if dt in dtypes.INTEGERS:
        return _integer_power(x, y)
    return lax.pow_p.bind(x, y)


def _integer_power(x: Any, y: Any) -> Any:
    """Repeated squaring over the bits of ``y``; 0 where ``y`` is negative and ``x`` is not ±1."""
    x, y = lax.convert_element_type(x, None), lax.convert_element_type(y, None)
    dt = x.dtype
    zero, one = scalar(0, dt), scalar(1, dt)
    bits = dtypes.bits_of(dt) - (dt in dtypes.SIGNED)
    if dt in dtypes.SIGNED:
        negative_y = lax.lt(y, zero)
    x0, y0 = x, y
    out = lax.full_like(lax.add(x, y), 1)
    for _ in range(bits):
        odd = lax.ne(lax.bitwise_and(y, one), zero)
        out = lax.select(odd, lax.mul(out, x), out)
        x = lax.mul(x, x)
        y = lax.shift_right_logical(y, one)
    if dt in dtypes.SIGNED:
        minus = lax.eq(x0, scalar(-1, dt))
        odd0 = lax.ne(lax.bitwise_and(y0, one), zero)
        unit = lax.select(minus, lax.select(odd0, scalar(-1, dt), one), zero)
        unit = lax.select(lax.eq(x0, one), one, unit)
        out = lax.select(negative_y, unit, out)
    return out


_power_ufunc = ufunc2(
    _power,
    "power",
    "Elementwise ``x ** y``.",
    "np.power(np.array([2, 3]), np.array([3, 2]))",
    "Array([8, 9], dtype=int32)",
    takes=ANY2,
    result=SAME2_INT,
)
_powers: dict[int, Any] = {}


def power(x1: Any, x2: Any, /) -> Any:
    """Elementwise ``x1 ** x2``.

    A Python integer as the exponent is part of the program: small ones become products.

    Parameters
    ----------
    x1, x2 : array_like
        Numbers or booleans. They broadcast together.

    Returns
    -------
    Array
        Of the common shape and dtype of the operands; two booleans give int32. Integers to a
        negative power in an array give 0, but for the bases 1 and -1.

    Raises
    ------
    TypeError
        If integers are raised to a negative Python integer.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.power(np.array([2, 3]), np.array([3, 2]))
    Array([8, 9], dtype=int32)
    >>> np.power(np.array([2.0, 4.0]), -1)
    Array([0.5 , 0.25], dtype=float32)
    """
    if type(x2) is int and -(2**31) <= x2 < 2**31:
        if current_trace() is not eval_trace:
            return _static_power(x1, x2)
        compiled = _powers.get(x2)
        if compiled is None and len(_powers) < 64:

            def fixed(x: Any) -> Any:
                return _static_power(x, x2)

            fixed.__name__ = f"power_{x2}" if x2 >= 0 else f"power_minus_{-x2}"
            compiled = _powers[x2] = compile_lazily(fixed)
        if compiled is not None:
            return compiled(x1)
    return _power_ufunc(x1, x2)


power.nin, power.nout, power.nargs = 2, 1, 3  # type: ignore[attr-defined]
power.impl = _power  # type: ignore[attr-defined]


def _static_power(x: Any, n: int) -> Any:
    x = operand(x, "power")
    aval = aval_of(x)
    if aval.dtype not in dtypes.NUMERIC or (n < 0 and aval.dtype in dtypes.INTEGERS):
        if aval.dtype in dtypes.INTEGERS:
            raise TypeError(
                f"integers cannot be raised to the negative power {n}; convert the base to a "
                f"float first{at_user_line()}"
            )
        return _power(x, n)
    if n == 1:
        return _positive(x)
    if abs_int(n) > 64 and aval.dtype in dtypes.INEXACT:
        return _power(x, n)
    return lax.integer_pow(x, n) if n != 2 else lax.integer_pow_p.bind(x, y=2)


def abs_int(n: int) -> int:
    return -n if n < 0 else n


pow = power  # noqa: A001


@fused()
def float_power(x: Any, y: Any, /) -> Any:
    """Elementwise power computed in floats.

    Parameters
    ----------
    x, y : array_like
        Numbers or booleans. They broadcast together.

    Returns
    -------
    Array
        Of the common shape and dtype of the operands; integers and booleans give floats.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.float_power(np.array([2, 3]), -1).round(3)
    Array([0.5  , 0.333], dtype=float32)
    """
    return _power(*promote_inexact("float_power", x, y))
