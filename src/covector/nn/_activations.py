"""Activation functions: elementwise, on floats of any precision."""

from __future__ import annotations

import math
from typing import Any

from covector import lax
from covector import numpy as cnp
from covector.core import dtypes
from covector.core.avals import aval_of
from covector.core.dims import as_size, is_at_least
from covector.core.errors import at_user_line
from covector.core.operands import canonical_axis
from covector.numpy._util import array, check_concrete, fused, inexact


def identity(x: Any) -> Any:
    """``x`` as an array.

    Parameters
    ----------
    x : array_like

    Returns
    -------
    Array

    Examples
    --------
    >>> import covector as cv
    >>> cv.nn.identity(2.5)
    Array(2.5, dtype=float32, weak_type=True)
    """
    return array(x, "identity")


@fused()
def relu(x: Any) -> Any:
    """Rectified linear unit: max(x, 0), with derivative 0 at 0.

    Parameters
    ----------
    x : array_like
        Numbers of any shape.

    Returns
    -------
    Array
        Of the shape and dtype of ``x``; NaN stays.

    Examples
    --------
    >>> import covector as cv
    >>> import covector.numpy as np
    >>> cv.nn.relu(np.array([-1.0, 0.0, 2.0]))
    Array([0., 0., 2.], dtype=float32)
    """
    x = array(x, "relu")
    zero = lax.full_like(x, 0)
    # A selection by x <= 0 keeps NaN, and has the derivative 0 at 0 where max has 1/2.
    return lax.select(lax.le(x, zero), zero, x)


@fused()
def relu6(x: Any) -> Any:
    """min(max(x, 0), 6), with derivative 0 at both ends.

    Parameters
    ----------
    x : array_like
        Numbers of any shape; integers are converted to floats.

    Returns
    -------
    Array
        Of the shape of ``x``.

    Examples
    --------
    >>> import covector as cv
    >>> import covector.numpy as np
    >>> cv.nn.relu6(np.array([-1.0, 3.0, 8.0]))
    Array([0., 3., 6.], dtype=float32)
    """
    x = _float(x, "relu6")
    zero, six = lax.full_like(x, 0), lax.full_like(x, 6)
    return lax.select(lax.le(x, zero), zero, lax.select(lax.ge(x, six), six, x))


def _float(x: Any, name: str) -> Any:
    """An array of an inexact dtype."""
    return array(inexact(x, name), name)


@fused()
def sigmoid(x: Any) -> Any:
    """1 / (1 + exp(-x)).

    Parameters
    ----------
    x : array_like
        Numbers of any shape; integers are converted to floats.

    Returns
    -------
    Array
        Of the shape of ``x``.

    Examples
    --------
    >>> import covector as cv
    >>> import covector.numpy as np
    >>> np.round(cv.nn.sigmoid(np.array([0.0, 2.0, -np.inf])), 3)
    Array([0.5  , 0.881, 0.   ], dtype=float32)
    """
    return lax.logistic(_float(x, "sigmoid"))


@fused()
def hard_sigmoid(x: Any) -> Any:
    """relu6(x + 3) / 6: a piecewise linear sigmoid.

    Parameters
    ----------
    x : array_like
        Numbers of any shape; integers are converted to floats.

    Returns
    -------
    Array
        Of the shape of ``x``.

    Examples
    --------
    >>> import covector as cv
    >>> import covector.numpy as np
    >>> cv.nn.hard_sigmoid(np.array([-4.0, 0.0, 4.0]))
    Array([0. , 0.5, 1. ], dtype=float32)
    """
    x = _float(x, "hard_sigmoid")
    # By x itself: x + 3 is rounded.
    rising = lax.div(lax.add(x, 3.0), 6.0)
    low = lax.select(lax.le(x, -3.0), lax.full_like(x, 0), rising)
    return lax.select(lax.ge(x, 3.0), lax.full_like(x, 1), low)


@fused()
def silu(x: Any) -> Any:
    """x sigmoid(x), also called swish.

    Parameters
    ----------
    x : array_like
        Numbers of any shape; integers are converted to floats.

    Returns
    -------
    Array
        Of the shape of ``x``.

    Examples
    --------
    >>> import covector as cv
    >>> import covector.numpy as np
    >>> np.round(cv.nn.silu(np.array([-1.0, 0.0, 2.0])), 3)
    Array([-0.269,  0.   ,  1.762], dtype=float32)
    """
    x = _float(x, "silu")
    return lax.mul(x, lax.logistic(x))


swish = silu


@fused()
def hard_silu(x: Any) -> Any:
    """x hard_sigmoid(x), also called hard swish.

    Parameters
    ----------
    x : array_like
        Numbers of any shape; integers are converted to floats.

    Returns
    -------
    Array
        Of the shape of ``x``.

    Examples
    --------
    >>> import covector as cv
    >>> import covector.numpy as np
    >>> np.round(cv.nn.hard_silu(np.array([-1.0, 0.0, 4.0])), 3)
    Array([-0.333,  0.   ,  4.   ], dtype=float32)
    """
    x = _float(x, "hard_silu")
    zero = lax.full_like(x, 0)
    inside = lax.bitwise_and(lax.gt(x, -3.0), lax.lt(x, 3.0))
    # The branch not taken must stay finite: its derivative would be NaN.
    z = lax.select(inside, x, zero)
    bent = lax.mul(z, lax.div(lax.add(z, 3.0), 6.0))
    return lax.select(inside, bent, lax.select(lax.le(x, -3.0), zero, x))


hard_swish = hard_silu


@fused()
def softplus(x: Any) -> Any:
    """log(1 + exp(x)).

    Parameters
    ----------
    x : array_like
        Numbers of any shape; integers are converted to floats.

    Returns
    -------
    Array
        Of the shape of ``x``, without overflow.

    Examples
    --------
    >>> import covector as cv
    >>> import covector.numpy as np
    >>> np.round(cv.nn.softplus(np.array([-100.0, 0.0, 100.0])), 3)
    Array([  0.   ,   0.693, 100.   ], dtype=float32)
    """
    return cnp.logaddexp(x, 0.0)


@fused()
def log_sigmoid(x: Any) -> Any:
    """log(sigmoid(x)) = -softplus(-x).

    Parameters
    ----------
    x : array_like
        Numbers of any shape; integers are converted to floats.

    Returns
    -------
    Array
        Of the shape of ``x``, without the underflow of `sigmoid`.

    Examples
    --------
    >>> import covector as cv
    >>> import covector.numpy as np
    >>> np.round(cv.nn.log_sigmoid(np.array([-100.0, 0.0])), 3)
    Array([-100.   ,   -0.693], dtype=float32)
    """
    return cnp.negative(softplus(cnp.negative(_float(x, "log_sigmoid"))))


@fused()
def soft_sign(x: Any) -> Any:
    """x / (abs(x) + 1).

    Parameters
    ----------
    x : array_like
        Numbers of any shape; integers are converted to floats.

    Returns
    -------
    Array
        Of the shape of ``x``.

    Examples
    --------
    >>> import covector as cv
    >>> import covector.numpy as np
    >>> np.round(cv.nn.soft_sign(np.array([-1.0, 0.0, 2.0])), 3)
    Array([-0.5  ,  0.   ,  0.667], dtype=float32)
    """
    x = _float(x, "soft_sign")
    return lax.div(x, lax.add(lax.abs(x), 1.0))


@fused()
def sparse_plus(x: Any) -> Any:
    """0 below -1, x above 1, and (x + 1)² / 4 between.

    Parameters
    ----------
    x : array_like
        Numbers of any shape; integers are converted to floats.

    Returns
    -------
    Array
        Of the shape of ``x``.

    Examples
    --------
    >>> import covector as cv
    >>> import covector.numpy as np
    >>> cv.nn.sparse_plus(np.array([-2.0, 0.0, 2.0]))
    Array([0.  , 0.25, 2.  ], dtype=float32)
    """
    x = _float(x, "sparse_plus")
    # The branch not taken must not overflow: its derivative would be NaN.
    middle = lax.mul(lax.square(lax.add(_within(x, 1.0), 1.0)), 0.25)
    return lax.select(lax.ge(x, 1.0), x, middle)


@fused()
def sparse_sigmoid(x: Any) -> Any:
    """Half of clip(x + 1, 0, 2): the derivative of `sparse_plus`.

    Parameters
    ----------
    x : array_like
        Numbers of any shape; integers are converted to floats.

    Returns
    -------
    Array
        Of the shape of ``x``.

    Examples
    --------
    >>> import covector as cv
    >>> import covector.numpy as np
    >>> cv.nn.sparse_sigmoid(np.array([-2.0, 0.0, 2.0]))
    Array([0. , 0.5, 1. ], dtype=float32)
    """
    x = _float(x, "sparse_sigmoid")
    return lax.mul(lax.add(lax.min(lax.max(x, -1.0), 1.0), 1.0), 0.5)


@fused()
def hard_tanh(x: Any) -> Any:
    """x clipped to [-1, 1].

    Parameters
    ----------
    x : array_like
        Numbers of any shape.

    Returns
    -------
    Array
        Of the shape and dtype of ``x``.

    Examples
    --------
    >>> import covector as cv
    >>> import covector.numpy as np
    >>> cv.nn.hard_tanh(np.array([-3.0, 0.5, 2.0]))
    Array([-1. ,  0.5,  1. ], dtype=float32)
    """
    x = array(x, "hard_tanh")
    low, high = (
        lax.full_like(x, v) for v in (-1 if aval_of(x).dtype not in dtypes.UNSIGNED else 0, 1)
    )
    # Selected, so that the slope at the ends is 1, as in JAX.
    return lax.select(lax.gt(x, high), high, lax.select(lax.lt(x, low), low, x))


@fused()
def elu(x: Any, alpha: Any = 1.0) -> Any:
    """x above 0 and alpha (exp(x) - 1) below.

    Parameters
    ----------
    x : array_like
        Numbers of any shape; integers are converted to floats.
    alpha : array_like
        Its negative is the lower limit.

    Returns
    -------
    Array
        Of the shape of ``x``.

    Examples
    --------
    >>> import covector as cv
    >>> import covector.numpy as np
    >>> np.round(cv.nn.elu(np.array([-1.0, 0.0, 2.0])), 3)
    Array([-0.632,  0.   ,  2.   ], dtype=float32)
    """
    x = _float(x, "elu")
    positive = lax.gt(x, 0.0)
    # The branch not taken must not overflow: its derivative would be NaN.
    below = cnp.multiply(alpha, lax.expm1(lax.select(positive, lax.full_like(x, 0), x)))
    return cnp.where(positive, x, below)


@fused()
def celu(x: Any, alpha: Any = 1.0) -> Any:
    """max(x, 0) + min(0, alpha (exp(x / alpha) - 1)): `elu` with a continuous derivative.

    Parameters
    ----------
    x : array_like
        Numbers of any shape; integers are converted to floats.
    alpha : array_like
        Its negative is the lower limit.

    Returns
    -------
    Array
        Of the shape of ``x``.

    Examples
    --------
    >>> import covector as cv
    >>> import covector.numpy as np
    >>> np.round(cv.nn.celu(np.array([-1.0, 0.0, 2.0]), alpha=2.0), 3)
    Array([-0.787,  0.   ,  2.   ], dtype=float32)
    """
    x = _float(x, "celu")
    below = cnp.multiply(alpha, cnp.expm1(cnp.divide(cnp.minimum(x, 0.0), alpha)))
    return cnp.add(cnp.maximum(x, 0.0), below)


_SELU_ALPHA = 1.6732632423543772848170429916717
_SELU_SCALE = 1.0507009873554804934193349852946


@fused()
def selu(x: Any) -> Any:
    """Scaled `elu` whose fixed point is mean 0 and variance 1.

    Parameters
    ----------
    x : array_like
        Numbers of any shape; integers are converted to floats.

    Returns
    -------
    Array
        Of the shape of ``x``.

    References
    ----------
    G. Klambauer et al., "Self-normalizing neural networks", NeurIPS 2017.

    Examples
    --------
    >>> import covector as cv
    >>> import covector.numpy as np
    >>> np.round(cv.nn.selu(np.array([-1.0, 0.0, 2.0])), 3)
    Array([-1.111,  0.   ,  2.101], dtype=float32)
    """
    return cnp.multiply(_SELU_SCALE, elu(x, _SELU_ALPHA))


@fused()
def leaky_relu(x: Any, negative_slope: Any = 0.01) -> Any:
    """x above 0 and ``negative_slope`` x below.

    Parameters
    ----------
    x : array_like
        Numbers of any shape; integers are converted to floats.
    negative_slope : array_like

    Returns
    -------
    Array
        Of the shape of ``x``.

    Examples
    --------
    >>> import covector as cv
    >>> import covector.numpy as np
    >>> np.round(cv.nn.leaky_relu(np.array([-1.0, 0.0, 2.0])), 3)
    Array([-0.01,  0.  ,  2.  ], dtype=float32)
    """
    x = _float(x, "leaky_relu")
    return cnp.where(lax.ge(x, 0.0), x, cnp.multiply(negative_slope, x))


@fused("approximate")
def gelu(x: Any, approximate: bool = True) -> Any:
    """x Φ(x) with the distribution function Φ of the normal distribution.

    Parameters
    ----------
    x : array_like
        Numbers of any shape; integers are converted to floats.
    approximate : bool
        Use tanh: x/2 (1 + tanh(sqrt(2/π) (x + 0.044715 x³))).

    Returns
    -------
    Array
        Of the shape of ``x``.

    References
    ----------
    D. Hendrycks, K. Gimpel, "Gaussian error linear units", 2016.

    Examples
    --------
    >>> import covector as cv
    >>> import covector.numpy as np
    >>> np.round(cv.nn.gelu(np.array([-1.0, 0.0, 2.0])), 3)
    Array([-0.159,  0.   ,  1.955], dtype=float32)
    """
    x = _float(x, "gelu")
    if approximate:
        # Beyond 12 the hyperbolic tangent is 1 in every dtype, and cubes might overflow.
        square = lax.square(x)
        square = lax.select(lax.lt(square, 144.0), square, lax.full_like(x, 144))
        scale = math.sqrt(2 / math.pi)
        inner = lax.mul(x, lax.add(lax.mul(square, 0.044715 * scale), scale))
        return lax.mul(x, lax.mul(lax.add(lax.tanh(inner), 1.0), 0.5))
    return lax.mul(lax.mul(x, 0.5), lax.erfc(lax.mul(x, -math.sqrt(0.5))))


def _within(x: Any, reach: float) -> Any:
    """``x`` between ``-reach`` and ``reach``; NaN comes through."""
    low = lax.select(lax.lt(x, -reach), lax.full_like(x, -reach), x)
    return lax.select(lax.gt(x, reach), lax.full_like(x, reach), low)


@fused("axis")
def glu(x: Any, axis: int = -1) -> Any:
    """First half of ``x`` along ``axis`` times the sigmoid of the second half.

    Parameters
    ----------
    x : array_like
        Numbers of any shape; integers are converted to floats.
    axis : int
        Of an even size.

    Returns
    -------
    Array
        With half the size along ``axis``.

    Raises
    ------
    ValueError
        If the size of the axis is odd.

    Examples
    --------
    >>> import covector as cv
    >>> import covector.numpy as np
    >>> cv.nn.glu(np.array([1.0, 2.0, 0.0, 0.0]))
    Array([0.5, 1. ], dtype=float32)
    """
    x = _float(x, "glu")
    axis = canonical_axis(axis, x)
    n = x.shape[axis]
    if n % 2:
        raise ValueError(
            f"glu splits axis {axis} in halves, but its size is {n}: {x.aval.str_short()}"
            f"{at_user_line()}"
        )
    first, second = (lax.slice_in_dim(x, i * n // 2, (i + 1) * n // 2, axis=axis) for i in (0, 1))
    return lax.mul(first, lax.logistic(second))


@fused()
def mish(x: Any) -> Any:
    """x tanh(softplus(x)).

    Parameters
    ----------
    x : array_like
        Numbers of any shape; integers are converted to floats.

    Returns
    -------
    Array
        Of the shape of ``x``.

    Examples
    --------
    >>> import covector as cv
    >>> import covector.numpy as np
    >>> np.round(cv.nn.mish(np.array([-1.0, 0.0, 2.0])), 3)
    Array([-0.303,  0.   ,  1.944], dtype=float32)
    """
    x = _float(x, "mish")
    return lax.mul(x, lax.tanh(softplus(x)))


@fused()
def squareplus(x: Any, b: Any = 4) -> Any:
    """(x + sqrt(x² + b)) / 2.

    Parameters
    ----------
    x : array_like
        Numbers of any shape; integers are converted to floats.
    b : array_like
        How smooth the turn at 0 is; for 0 it is `relu`.

    Returns
    -------
    Array
        Of the shape of ``x``.

    Examples
    --------
    >>> import covector as cv
    >>> import covector.numpy as np
    >>> np.round(cv.nn.squareplus(np.array([-1.0, 0.0, 2.0])), 3)
    Array([0.618, 1.   , 2.414], dtype=float32)
    """
    x = _float(x, "squareplus")
    # Where the square would overflow, b does not count.
    far = lax.gt(lax.abs(x), 2.0 ** (dtypes.finfo(x.dtype).maxexp // 2 - 1))
    zero = lax.full_like(x, 0)
    z = lax.select(far, zero, x)
    half = cnp.divide(cnp.add(z, cnp.sqrt(cnp.add(lax.square(z), b))), 2.0)
    return cnp.where(far, lax.select(lax.gt(x, zero), x, zero), half)


@fused()
def log1mexp(x: Any) -> Any:
    """log(1 - exp(-x)) for x > 0, accurate near 0 and far away.

    Parameters
    ----------
    x : array_like
        Numbers of any shape; integers are converted to floats.

    Returns
    -------
    Array
        Of the shape of ``x``; -inf at 0, NaN below.

    References
    ----------
    M. Mächler, "Accurately computing log(1 - exp(-|a|))", 2012.

    Examples
    --------
    >>> import covector as cv
    >>> import covector.numpy as np
    >>> np.round(cv.nn.log1mexp(np.array([1.0, 0.0, -1.0])), 3)
    Array([-0.459,   -inf,    nan], dtype=float32)
    """
    x = _float(x, "log1mexp")
    near = lax.lt(x, math.log(2))
    one = lax.full_like(x, 1)
    # Each branch sees arguments of its own range only, so that derivatives are finite.
    small = lax.log(lax.neg(lax.expm1(lax.neg(lax.select(near, x, one)))))
    large = lax.log1p(lax.neg(lax.exp(lax.neg(lax.select(near, one, x)))))
    return lax.select(near, small, large)


@fused()
def tanh(x: Any, /) -> Any:
    """Hyperbolic tangent.

    Parameters
    ----------
    x : array_like
        Numbers of any shape; integers are converted to floats.

    Returns
    -------
    Array
        Of the shape of ``x``.

    Examples
    --------
    >>> import covector as cv
    >>> import covector.numpy as np
    >>> np.round(cv.nn.tanh(np.array([-1.0, 0.0, 2.0])), 3)
    Array([-0.762,  0.   ,  0.964], dtype=float32)
    """
    return lax.tanh(_float(x, "tanh"))


def one_hot(x: Any, num_classes: int, *, dtype: Any = None, axis: int = -1) -> Any:
    """Indicator vectors: 1 at the position ``x`` and 0 elsewhere.

    Parameters
    ----------
    x : array_like
        Indices; one outside of ``range(num_classes)`` gives zeros.
    num_classes : int
    dtype : dtype, optional
        By default the default float type.
    axis : int
        Where in the result the classes lie.

    Returns
    -------
    Array
        Of the shape of ``x`` with a new axis.

    Examples
    --------
    >>> import covector as cv
    >>> import covector.numpy as np
    >>> cv.nn.one_hot(np.array([0, 2]), 3)
    Array([[1., 0., 0.],
           [0., 0., 1.]], dtype=float32)
    """
    n = _class_count(num_classes)
    dt = dtypes.default_float() if dtype is None else dtypes.check_user_dtype(dtype, "one_hot")
    return _one_hot(cnp.asarray(x), n, dt, int(axis))


def _class_count(n: Any) -> int:
    check_concrete(n, "num_classes of one_hot")
    try:
        n = as_size(n)
    except TypeError as e:
        raise TypeError(
            f"one_hot: num_classes must be an integer, got {n!r}{at_user_line()}"
        ) from e
    if n < 0:
        raise ValueError(f"one_hot: num_classes must not be negative, got {n}{at_user_line()}")
    return n


@fused("num_classes", "dtype", "axis")
def _one_hot(x: Any, num_classes: int, dtype: Any, axis: int) -> Any:
    if x.dtype == dtypes.bool_ or (
        x.dtype in dtypes.INTEGERS
        and not is_at_least(int(dtypes.iinfo(x.dtype).max), num_classes - 1, False)
    ):
        # The number of each class must fit.
        x = lax.convert_element_type(x, dtypes.default_int())
    ndim = aval_of(x).ndim + 1
    axis = canonical_axis(axis, ndim)
    shape = list(x.shape)
    shape.insert(axis, num_classes)
    kept = tuple(i for i in range(ndim) if i != axis)
    classes = lax.broadcasted_iota(x.dtype, tuple(shape), axis)
    x = lax.broadcast_in_dim(x, tuple(shape), kept)
    return lax.convert_element_type(lax.eq(x, classes), dtype)
