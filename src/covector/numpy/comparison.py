"""Whether arrays are equal, exactly or up to a tolerance."""

from __future__ import annotations

from typing import Any

from covector import lax
from covector.core import dtypes
from covector.core.avals import aval_of
from covector.numpy._util import (
    array,
    broadcast2,
    convert,
    fused,
    operand,
    promote_dtypes,
    promote_inexact,
)
from covector.numpy.creation import asarray
from covector.numpy.elementwise import _isfinite, _isnan, _same_shape


@fused("equal_nan")
def isclose(a: Any, b: Any, rtol: Any = 1e-05, atol: Any = 1e-08, equal_nan: bool = False) -> Any:
    """Elementwise ``|a - b| <= atol + rtol * |b|``; infinities are close to themselves only.

    Parameters
    ----------
    a, b : array_like
        Numbers or booleans. They broadcast together.
    rtol, atol : array_like
        Relative and absolute tolerance.
    equal_nan : bool
        Whether NaN is close to NaN.

    Returns
    -------
    Array
        Booleans, of the common shape.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.isclose(np.array([1.0, 1.0, np.nan]), np.array([1.000001, 1.1, np.nan]))
    Array([ True, False, False], dtype=bool)
    """
    dt = aval_of(operand(a, "isclose")).dtype
    if dt == aval_of(operand(b, "isclose", 1)).dtype and (
        dt == dtypes.bool_ or dtypes.is_extended(dt)
    ):
        return lax.eq(*broadcast2("isclose", a, b))
    x, y = broadcast2("isclose", *promote_inexact("isclose", a, b))
    dt = aval_of(x).dtype
    rdt = dtypes.real_dtype(dt)
    tol = lax.add(
        *broadcast2(
            "isclose",
            convert(array(atol), rdt),
            lax.mul(*broadcast2("isclose", convert(array(rtol), rdt), lax.abs(y))),
        )
    )
    out = lax.le(*broadcast2("isclose", lax.abs(lax.sub(x, y)), tol))
    finite = lax.bitwise_and(_isfinite(x), _isfinite(y))
    same = lax.eq(x, y)
    out = lax.select(*_same_shape(finite, out, same))
    if equal_nan:
        out = lax.bitwise_or(*broadcast2("isclose", out, lax.bitwise_and(_isnan(x), _isnan(y))))
    return out


def _all(x: Any) -> Any:
    return lax.reduce_and(x, tuple(range(len(aval_of(x).shape))))


@fused("equal_nan")
def allclose(a: Any, b: Any, rtol: Any = 1e-05, atol: Any = 1e-08, equal_nan: bool = False) -> Any:
    """Whether all elements are close (see `isclose`).

    Parameters
    ----------
    a, b : array_like
        Numbers or booleans. They broadcast together.
    rtol, atol : array_like
        Relative and absolute tolerance.
    equal_nan : bool
        Whether NaN is close to NaN.

    Returns
    -------
    Array
        A boolean of rank 0.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.allclose(np.array([1.0, 2.0]), np.array([1.000001, 2.0]))
    Array(True, dtype=bool)
    """
    return _all(isclose(a, b, rtol, atol, equal_nan))


def array_equal(a1: Any, a2: Any, equal_nan: bool = False) -> Any:
    """Whether two arrays have one shape and equal elements.

    Parameters
    ----------
    a1, a2 : array_like
        Lists are taken too.
    equal_nan : bool
        Whether NaN equals NaN.

    Returns
    -------
    Array
        A boolean of rank 0.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.array_equal(np.array([1, 2]), np.array([1.0, 2.0]))
    Array(True, dtype=bool)
    >>> np.array_equal(np.array([1, 1]), np.array(1))
    Array(False, dtype=bool)
    """
    try:
        x, y = asarray(a1), asarray(a2)
    except TypeError:
        return lax.full((), False, dtypes.bool_)
    if x.shape != y.shape:
        return lax.full((), False, dtypes.bool_)
    return _all_equal(x, y, bool(equal_nan))


@fused("equal_nan")
def _all_equal(x: Any, y: Any, equal_nan: bool) -> Any:
    x, y = promote_dtypes("array_equal", x, y)
    same = lax.eq(x, y)
    if equal_nan:
        same = lax.bitwise_or(same, lax.bitwise_and(_isnan(x), _isnan(y)))
    return _all(same)


@fused()
def array_equiv(a1: Any, a2: Any) -> Any:
    """Whether two arrays broadcast together to equal elements.

    Parameters
    ----------
    a1, a2 : array_like
        Lists are taken too.

    Returns
    -------
    Array
        A boolean of rank 0; false if the shapes do not broadcast together.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.array_equiv(np.array([1, 1]), np.array(1))
    Array(True, dtype=bool)
    """
    x, y = promote_dtypes("array_equiv", asarray(a1), asarray(a2))
    try:
        x, y = broadcast2("array_equiv", x, y)
    except TypeError:
        return lax.full((), False, dtypes.bool_)
    return _all(lax.eq(x, y))
