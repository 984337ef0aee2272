"""Functions made of logarithms and exponentials: entropies, logits, power transformations."""

from __future__ import annotations

import math
from typing import Any

from covector import lax
from covector.control_flow.custom_jvp import custom_jvp
from covector.core import dtypes
from covector.numpy._util import fused
from covector.primitives import probability as primitives
from covector.scipy.special._common import elementwise, filled, horner

_INF = math.inf


def _infinite(p: Any, q: Any) -> Any:
    """Infinity, NaN where an operand is."""
    out = lax.select(lax.ne(q, q), q, filled(p, _INF))
    return lax.select(lax.ne(p, p), p, out)


@fused()
def expit(x: Any) -> Any:
    """Logistic sigmoid 1 / (1 + exp(-x)).

    Parameters
    ----------
    x : array_like
        Real or complex numbers; integers are converted to floats.

    Returns
    -------
    Array
        Of the shape of ``x``.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.scipy import special
    >>> np.round(special.expit(np.array([-np.inf, 0.0, 2.0])), 3)
    Array([0.   , 0.5  , 0.881], dtype=float32)
    """
    return elementwise("expit", lax.logistic, x, holomorphic=True)


def _complex_logit(p: Any) -> Any:
    return lax.sub(lax.log(p), lax.log1p(lax.neg(p)))


@fused()
def logit(x: Any) -> Any:
    """log(x / (1 - x)), the inverse of `expit`.

    Parameters
    ----------
    x : array_like
        Probabilities; complex numbers too.

    Returns
    -------
    Array
        Of the shape of ``x``; NaN outside [0, 1].

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.scipy import special
    >>> np.round(special.logit(np.array([0.0, 0.25, 0.5, 1.0])), 3)
    Array([  -inf, -1.099,  0.   ,    inf], dtype=float32)
    """

    def fun(p: Any) -> Any:
        return _complex_logit(p) if dtypes.is_complex(p.dtype) else primitives.logit(p)

    return elementwise("logit", fun, x, holomorphic=True)


@custom_jvp
def _xlogy(x: Any, y: Any) -> Any:
    out = lax.mul(x, lax.log(y))
    return lax.select(lax.bitwise_and(lax.eq(x, 0.0), lax.eq(y, y)), filled(out, 0), out)


@_xlogy.defjvp
def _xlogy_jvp(primals: Any, tangents: Any) -> Any:
    (x, y), (g, h) = primals, tangents
    # 0 / 0 has the limit along x = 0.
    origin = lax.bitwise_and(lax.eq(x, 0.0), lax.eq(y, 0.0))
    ratio = lax.div(x, lax.select(origin, filled(y, 1), y))
    return _xlogy(x, y), lax.add(lax.mul(g, lax.log(y)), lax.mul(h, ratio))


@fused()
def xlogy(x: Any, y: Any) -> Any:
    """x log(y), and 0 where ``x`` is 0.

    Parameters
    ----------
    x, y : array_like
        Real or complex numbers that broadcast together.

    Returns
    -------
    Array
        NaN where an operand is, and for negative ``y``.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.scipy import special
    >>> np.round(special.xlogy(np.array([0.0, 2.0]), np.array([0.0, 3.0])), 3)
    Array([0.   , 2.197], dtype=float32)
    """
    return elementwise("xlogy", _xlogy, x, y, holomorphic=True, full=True)


@custom_jvp
def _xlog1py(x: Any, y: Any) -> Any:
    out = lax.mul(x, lax.log1p(y))
    return lax.select(lax.bitwise_and(lax.eq(x, 0.0), lax.eq(y, y)), filled(out, 0), out)


@_xlog1py.defjvp
def _xlog1py_jvp(primals: Any, tangents: Any) -> Any:
    (x, y), (g, h) = primals, tangents
    origin = lax.bitwise_and(lax.eq(x, 0.0), lax.eq(y, -1.0))
    ratio = lax.div(x, lax.select(origin, filled(y, 1), lax.add(y, 1.0)))
    return _xlog1py(x, y), lax.add(lax.mul(g, lax.log1p(y)), lax.mul(h, ratio))


@fused()
def xlog1py(x: Any, y: Any) -> Any:
    """x log(1 + y), and 0 where ``x`` is 0.

    Parameters
    ----------
    x, y : array_like
        Real or complex numbers that broadcast together.

    Returns
    -------
    Array
        NaN where an operand is, and for ``y`` below -1.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.scipy import special
    >>> special.xlog1py(np.array([0.0, 2.0]), np.array([-1.0, 1e-10]))
    Array([0.e+00, 2.e-10], dtype=float32)
    """
    return elementwise("xlog1py", _xlog1py, x, y, holomorphic=True, full=True)


@custom_jvp
def _entr(x: Any) -> Any:
    return lax.select(lax.lt(x, 0.0), filled(x, -_INF), lax.sub(0.0, _xlogy(x, x)))


@_entr.defjvp
def _entr_jvp(primals: Any, tangents: Any) -> Any:
    (x,), (g,) = primals, tangents
    return _entr(x), lax.neg(lax.mul(g, lax.add(lax.log(x), 1.0)))


@fused()
def entr(x: Any) -> Any:
    """-x log(x), the terms of an entropy.

    Parameters
    ----------
    x : array_like
        Real numbers.

    Returns
    -------
    Array
        Of the shape of ``x``; 0 at 0, -inf where ``x`` is negative.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.scipy import special
    >>> np.round(special.entr(np.array([-1.0, 0.0, 0.5, 1.0])), 3)
    Array([ -inf, 0.   , 0.347, 0.   ], dtype=float32)
    """
    return elementwise("entr", _entr, x)


@custom_jvp
def _log_ratio(p: Any, q: Any) -> Any:
    """log(p / q) for p, q > 0, exact where they are close, and where p / q is no number."""
    d, one = lax.sub(p, q), filled(p, 1)
    close = lax.lt(lax.abs(d), lax.mul(q, 0.5))
    near = lax.log1p(lax.div(lax.select(close, d, filled(d, 0)), q))
    ratio = lax.div(p, q)
    info = dtypes.finfo(p.dtype)
    # A power of two to multiply the one with and divide the other by.
    scale = 2.0 ** (-info.minexp // 2 + info.nmant)
    low, high = lax.lt(ratio, float(info.tiny)), lax.gt(ratio, float(info.max))
    up = lax.select(low, filled(p, scale), lax.select(high, filled(p, 1 / scale), one))
    log = 2 * math.log(scale)
    shift = lax.select(low, filled(p, log), lax.select(high, filled(p, -log), filled(p, 0)))
    far = lax.sub(lax.log(lax.div(lax.mul(p, up), lax.div(q, up))), shift)
    return lax.select(close, near, far)


@_log_ratio.defjvp
def _log_ratio_jvp(primals: Any, tangents: Any) -> Any:
    (p, q), (g, h) = primals, tangents
    return _log_ratio(p, q), lax.sub(lax.div(g, p), lax.div(h, q))


@custom_jvp
def _rel_entr(p: Any, q: Any) -> Any:
    one = filled(p, 1)
    both = lax.bitwise_and(lax.gt(p, 0.0), lax.gt(q, 0.0))
    ratio = _log_ratio(lax.select(both, p, one), lax.select(both, q, one))
    zero = lax.bitwise_and(lax.eq(p, 0.0), lax.ge(q, 0.0))
    other = lax.select(zero, filled(p, 0), _infinite(p, q))
    return lax.select(both, lax.mul(p, ratio), other)


def _slopes(p: Any, q: Any) -> tuple[Any, Any]:
    """log(p / q) and p / q, with their limits where p = 0."""
    both = lax.bitwise_and(lax.gt(p, 0.0), lax.gt(q, 0.0))
    one = filled(p, 1)
    known = _log_ratio(lax.select(both, p, one), lax.select(both, q, one))
    return lax.select(both, known, lax.sub(lax.log(p), lax.log(q))), lax.div(p, q)


@_rel_entr.defjvp
def _rel_entr_jvp(primals: Any, tangents: Any) -> Any:
    (p, q), (g, h) = primals, tangents
    log, ratio = _slopes(p, q)
    slope = lax.sub(lax.mul(g, lax.add(log, 1.0)), lax.mul(h, ratio))
    return _rel_entr(p, q), slope


@fused()
def rel_entr(p: Any, q: Any) -> Any:
    """p log(p / q), the terms of a relative entropy.

    Parameters
    ----------
    p, q : array_like
        Real numbers that broadcast together.

    Returns
    -------
    Array
        0 where ``p`` is 0 and ``q`` is not negative; infinite where the term is not defined.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.scipy import special
    >>> np.round(special.rel_entr(np.array([0.0, 0.5, 1.0]), np.array([0.5, 0.25, 0.0])), 3)
    Array([0.   , 0.347,   inf], dtype=float32)
    """
    return elementwise("rel_entr", _rel_entr, p, q, full=True)


# Of (2 atanh(r) - 2 r) / r^3 in r^2.
_ATANH = [2.0 / k for k in range(3, 33, 2)]


@custom_jvp
def _kl_div(p: Any, q: Any) -> Any:
    one, zero = filled(p, 1), filled(p, 0)
    both = lax.bitwise_and(lax.gt(p, 0.0), lax.gt(q, 0.0))
    a, b = lax.select(both, p, one), lax.select(both, q, one)
    d = lax.sub(b, a)
    close = lax.lt(lax.abs(d), lax.mul(a, 0.5))
    # With t = q / p - 1 it is p (t - log(1 + t)); in r = t / (t + 2) nothing cancels.
    e = lax.select(close, d, zero)
    r, t = lax.div(e, lax.add(a, b)), lax.div(e, a)
    s = lax.mul(r, r)
    near = lax.mul(a, lax.mul(r, lax.sub(t, lax.mul(s, horner(s, _ATANH)))))
    far = lax.add(lax.mul(a, _log_ratio(a, b)), d)
    at_zero = lax.bitwise_and(lax.eq(p, 0.0), lax.ge(q, 0.0))
    other = lax.select(at_zero, q, _infinite(p, q))
    return lax.select(both, lax.select(close, near, far), other)


@_kl_div.defjvp
def _kl_div_jvp(primals: Any, tangents: Any) -> Any:
    (p, q), (g, h) = primals, tangents
    log, _ = _slopes(p, q)
    slope = lax.add(lax.mul(g, log), lax.mul(h, lax.div(lax.sub(q, p), q)))
    return _kl_div(p, q), slope


@fused()
def kl_div(p: Any, q: Any) -> Any:
    """p log(p / q) - p + q, the terms of a Kullback-Leibler divergence.

    Parameters
    ----------
    p, q : array_like
        Real numbers that broadcast together.

    Returns
    -------
    Array
        ``q`` where ``p`` is 0 and ``q`` is not negative; infinite where the term is not defined.

    Notes
    -----
    Where ``p`` and ``q`` are close, by the series of atanh((q - p) / (q + p)): the terms of the
    definition cancel.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.scipy import special
    >>> np.round(special.kl_div(np.array([0.0, 0.5, 1.0]), np.array([0.5, 0.25, 0.0])), 3)
    Array([0.5  , 0.097,   inf], dtype=float32)
    """
    return elementwise("kl_div", _kl_div, p, q, full=True)


@fused()
def boxcox(x: Any, lmbda: Any) -> Any:
    """Box-Cox transformation (x**lmbda - 1) / lmbda, and log(x) where ``lmbda`` is 0.

    Parameters
    ----------
    x : array_like
        Real numbers from 0 on.
    lmbda : array_like
        Powers; they broadcast with ``x``.

    Returns
    -------
    Array
        NaN for negative ``x``.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.scipy import special
    >>> np.round(special.boxcox(4.0, np.array([-1.0, 0.0, 0.5])), 3)
    Array([0.75 , 1.386, 2.   ], dtype=float32)
    """
    return elementwise("boxcox", primitives.boxcox, x, lmbda, full=True)


@fused()
def boxcox1p(x: Any, lmbda: Any) -> Any:
    """Box-Cox transformation of 1 + x.

    Parameters
    ----------
    x : array_like
        Real numbers from -1 on.
    lmbda : array_like
        Powers; they broadcast with ``x``.

    Returns
    -------
    Array
        NaN for ``x`` below -1.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.scipy import special
    >>> np.round(special.boxcox1p(3.0, np.array([-1.0, 0.0, 0.5])), 3)
    Array([0.75 , 1.386, 2.   ], dtype=float32)
    """
    return elementwise("boxcox1p", primitives.boxcox1p, x, lmbda, full=True)
