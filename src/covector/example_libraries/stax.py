"""Layers of neural networks as pairs of functions (`covector.example_libraries.stax`).

A layer is a pair ``(init_fun, apply_fun)``. ``init_fun(rng, input_shape)`` gives the shape of the
result and parameters; ``apply_fun(params, inputs, **kwargs)`` computes the result. ``kwargs`` may
hold ``rng``, a key for layers that draw.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from covector import lax
from covector import numpy as cnp
from covector import random as _random
from covector.core.errors import at_user_line
from covector.core.errors import export as _export
from covector.core.operands import product
from covector.nn import (
    elu,
    gelu,
    leaky_relu,
    log_softmax,
    relu,
    selu,
    sigmoid,
    softmax,
    softplus,
    standardize,
)
from covector.nn.initializers import glorot_normal, normal, ones, zeros

__all__ = [
    "AvgPool", "BatchNorm", "Conv", "Conv1DTranspose", "ConvTranspose", "Dense", "Dropout", "Elu",
    "Exp", "FanInConcat", "FanInSum", "FanOut", "Flatten", "Gelu", "GeneralConv",
    "GeneralConvTranspose", "Identity", "LeakyRelu", "LogSoftmax", "MaxPool", "Relu", "Selu",
    "Sigmoid", "Softmax", "Softplus", "SumPool", "Tanh", "elementwise", "elu", "gelu", "glorot",
    "glorot_normal", "leaky_relu", "log_softmax", "logsoftmax", "normal", "ones", "parallel",
    "randn", "relu", "selu", "serial", "shape_dependent", "sigmoid", "softmax", "softplus",
    "standardize", "zeros",
]  # fmt: skip

Layer = tuple[Callable[..., Any], Callable[..., Any]]
glorot, randn, logsoftmax = glorot_normal, normal, log_softmax


def Dense(out_dim: int, W_init: Any = glorot_normal(), b_init: Any = normal()) -> Layer:  # noqa: B008
    """A layer of weights and biases.

    Parameters
    ----------
    out_dim : int
        The size of the last axis of the result.
    W_init, b_init : callable
        Initializers of the weights and the biases.

    Returns
    -------
    tuple of two functions

    Examples
    --------
    >>> import covector as cv
    >>> import covector.numpy as np
    >>> from covector.example_libraries import stax
    >>> init, apply = stax.Dense(3)
    >>> shape, params = init(cv.random.key(0), (-1, 5))
    >>> shape, apply(params, np.ones((2, 5))).shape
    ((-1, 3), (2, 3))
    """

    def init_fun(rng: Any, input_shape: Any) -> Any:
        k1, k2 = _random.split(rng)
        W = W_init(k1, (input_shape[-1], out_dim))
        return (*input_shape[:-1], out_dim), (W, b_init(k2, (out_dim,)))

    def apply_fun(params: Any, inputs: Any, **kwargs: Any) -> Any:
        W, b = params
        return cnp.dot(inputs, W) + b

    return init_fun, apply_fun


def _conv_layer(
    convolve: Callable[..., Any],
    shape_of: Callable[..., Any],
    dims: Any,
    out_chan: int,
    filter_shape: Any,
    strides: Any,
    padding: Any,
    W_init: Any,
    b_init: Any,
) -> Layer:
    """A convolution with biases; ``shape_of`` computes its shape where the batch may be -1."""
    lhs_spec, rhs_spec, out_spec = dims
    strides = tuple(strides) if strides else (1,) * len(filter_shape)
    if W_init is None:
        W_init = glorot_normal(rhs_spec.index("I"), rhs_spec.index("O"))

    def init_fun(rng: Any, input_shape: Any) -> Any:
        sizes = iter(filter_shape)
        kernel = [
            out_chan if c == "O" else input_shape[lhs_spec.index("C")] if c == "I" else next(sizes)
            for c in rhs_spec
        ]
        bias = [out_chan if c == "C" else 1 for c in out_spec]
        k1, k2 = _random.split(rng)
        params = W_init(k1, tuple(kernel)), b_init(k2, tuple(bias))
        return shape_of(input_shape, tuple(kernel), strides, padding, dims), params

    def apply_fun(params: Any, inputs: Any, **kwargs: Any) -> Any:
        W, b = params
        return convolve(inputs, W, strides, padding, dimension_numbers=dims) + b

    return init_fun, apply_fun


_CONV_DOC = """{summary}

Parameters
----------
{dims}out_chan : int
    Features of the result.
filter_shape : sequence of int
strides : sequence of int, optional
    By default 1.
padding : str or sequence of pairs
W_init, b_init : callable
    Initializers of the kernel and the biases; by default those of Glorot, and normal ones.

Returns
-------
tuple of two functions

Examples
--------
>>> import covector as cv
>>> from covector.example_libraries import stax
>>> init, apply = stax.{name}({example})
>>> shape, params = init(cv.random.key(0), {shape})
>>> shape
{result}
"""
_DIMS = (
    "dimension_numbers : tuple of str\n    Names of the axes of inputs, kernel and result, such "
    'as\n    ``("NHWC", "HWIO", "NHWC")``.\n'
)


def _conv_documented(summary: str, example: str, shape: str, result: str, dims: str = "") -> Any:
    def decorate(f: Any) -> Any:
        f.__doc__ = _CONV_DOC.format(
            summary=summary, name=f.__name__, example=example, shape=shape, result=result, dims=dims
        )
        return f

    return decorate


@_conv_documented("A convolution of given axes.", '("NCH", "OIH", "NCH"), 8, (3,)', "(1, 2, 10)",
                  "(1, 8, 8)", _DIMS)  # fmt: skip
def GeneralConv(
    dimension_numbers: Any,
    out_chan: int,
    filter_shape: Sequence[int],
    strides: Sequence[int] | None = None,
    padding: Any = "VALID",
    W_init: Any = None,
    b_init: Any = normal(1e-6),  # noqa: B008
) -> Layer:
    return _conv_layer(
        lax.conv_general_dilated, lax.conv_general_shape_tuple, dimension_numbers, out_chan,
        filter_shape, strides, padding, W_init, b_init,
    )  # fmt: skip


@_conv_documented("A convolution of images, the features last.", '8, (3, 3), padding="SAME"',
                  "(1, 10, 10, 2)", "(1, 10, 10, 8)")  # fmt: skip
def Conv(
    out_chan: int,
    filter_shape: Sequence[int],
    strides: Sequence[int] | None = None,
    padding: Any = "VALID",
    W_init: Any = None,
    b_init: Any = normal(1e-6),  # noqa: B008
) -> Layer:
    dims = ("NHWC", "HWIO", "NHWC")
    return GeneralConv(dims, out_chan, filter_shape, strides, padding, W_init, b_init)


@_conv_documented("A transposed convolution of given axes.", '("NHC", "HIO", "NHC"), 8, (3,), (2,)',
                  "(1, 10, 2)", "(1, 21, 8)", _DIMS)  # fmt: skip
def GeneralConvTranspose(
    dimension_numbers: Any,
    out_chan: int,
    filter_shape: Sequence[int],
    strides: Sequence[int] | None = None,
    padding: Any = "VALID",
    W_init: Any = None,
    b_init: Any = normal(1e-6),  # noqa: B008
) -> Layer:
    return _conv_layer(
        lax.conv_transpose, lax.conv_transpose_shape_tuple, dimension_numbers, out_chan,
        filter_shape, strides, padding, W_init, b_init,
    )  # fmt: skip


@_conv_documented("A transposed convolution of signals.", "8, (3,), (2,)", "(1, 10, 2)",
                  "(1, 21, 8)")  # fmt: skip
def Conv1DTranspose(
    out_chan: int,
    filter_shape: Sequence[int],
    strides: Sequence[int] | None = None,
    padding: Any = "VALID",
    W_init: Any = None,
    b_init: Any = normal(1e-6),  # noqa: B008
) -> Layer:
    dims = ("NHC", "HIO", "NHC")
    return GeneralConvTranspose(dims, out_chan, filter_shape, strides, padding, W_init, b_init)


@_conv_documented("A transposed convolution of images.", "8, (2, 2), (2, 2)", "(1, 5, 5, 2)",
                  "(1, 10, 10, 8)")  # fmt: skip
def ConvTranspose(
    out_chan: int,
    filter_shape: Sequence[int],
    strides: Sequence[int] | None = None,
    padding: Any = "VALID",
    W_init: Any = None,
    b_init: Any = normal(1e-6),  # noqa: B008
) -> Layer:
    dims = ("NHWC", "HWIO", "NHWC")
    return GeneralConvTranspose(dims, out_chan, filter_shape, strides, padding, W_init, b_init)


def BatchNorm(
    axis: Any = (0, 1, 2),
    epsilon: float = 1e-5,
    center: bool = True,
    scale: bool = True,
    beta_init: Any = zeros,
    gamma_init: Any = ones,
) -> Layer:
    """A layer that standardizes over axes, then scales and shifts.

    Parameters
    ----------
    axis : int or sequence of int
        Over which means are taken.
    epsilon : float
        Added to the variance.
    center, scale : bool
        Whether there is a shift, and a scale.
    beta_init, gamma_init : callable
        Their initializers.

    Returns
    -------
    tuple of two functions

    Examples
    --------
    >>> import covector as cv
    >>> import covector.numpy as np
    >>> from covector.example_libraries import stax
    >>> init, apply = stax.BatchNorm(axis=0)
    >>> _, params = init(cv.random.key(0), (2, 1))
    >>> np.round(apply(params, np.array([[1.0], [3.0]])), 3)
    Array([[-1.],
           [ 1.]], dtype=float32)
    """
    axes = (axis,) if isinstance(axis, int) else tuple(axis)

    def init_fun(rng: Any, input_shape: Any) -> Any:
        shape = tuple(n for k, n in enumerate(input_shape) if k not in axes)
        k1, k2 = _random.split(rng)
        beta = beta_init(k1, shape) if center else ()
        return input_shape, (beta, gamma_init(k2, shape) if scale else ())

    def apply_fun(params: Any, x: Any, **kwargs: Any) -> Any:
        beta, gamma = params
        index = tuple(None if k in axes else slice(None) for k in range(cnp.ndim(x)))
        z = standardize(x, axes, epsilon=epsilon)
        if scale:
            z = gamma[index] * z
        return z + beta[index] if center else z

    return init_fun, apply_fun


def elementwise(fun: Callable[..., Any], **fun_kwargs: Any) -> Layer:
    """A layer that applies a function to each element.

    Parameters
    ----------
    fun : callable
    **fun_kwargs
        Further arguments of ``fun``.

    Returns
    -------
    tuple of two functions

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.example_libraries import stax
    >>> _, apply = stax.elementwise(np.exp)
    >>> apply((), 0.0)
    Array(1., dtype=float32, weak_type=True)
    """
    return (lambda rng, input_shape: (input_shape, ())), (
        lambda params, inputs, **kwargs: fun(inputs, **fun_kwargs)
    )


Tanh = elementwise(cnp.tanh)
Relu = elementwise(relu)
Exp = elementwise(cnp.exp)
LogSoftmax = elementwise(log_softmax, axis=-1)
Softmax = elementwise(softmax, axis=-1)
Softplus = elementwise(softplus)
Sigmoid = elementwise(sigmoid)
Elu = elementwise(elu)
LeakyRelu = elementwise(leaky_relu)
Selu = elementwise(selu)
Gelu = elementwise(gelu)


def _pooling(
    reducer: Any, start: Any, finish: Any, window_shape: Any, strides: Any, padding: Any, spec: Any
) -> Layer:
    strides = tuple(strides) if strides else (1,) * len(window_shape)
    spec = "N" + "_" * len(window_shape) + "C" if spec is None else spec
    sizes, steps = iter(window_shape), iter(strides)
    window = tuple(1 if c in "NC" else next(sizes) for c in spec)
    strides = tuple(1 if c in "NC" else next(steps) for c in spec)

    def pooled(x: Any) -> Any:
        return lax.reduce_window(x, start, reducer, window, strides, padding)

    def init_fun(rng: Any, input_shape: Any) -> Any:
        return lax.reduce_window_shape_tuple(
            input_shape, window, strides, lax.padtype_to_pads(input_shape, window, strides, padding)
        ), ()

    def apply_fun(params: Any, inputs: Any, **kwargs: Any) -> Any:
        out = pooled(inputs)
        if finish:
            # At the edges fewer elements are under the window.
            inner = tuple(1 if c in "NC" else n for c, n in zip(spec, inputs.shape, strict=True))
            out = out / pooled(cnp.ones(inner, inputs.dtype))
        return out

    return init_fun, apply_fun


_POOL_DOC = """A layer of the {what} under windows.

Parameters
----------
window_shape : sequence of int
strides : sequence of int, optional
    By default 1.
padding : str
    ``"VALID"`` or ``"SAME"``.
spec : str, optional
    Names of the axes; ``N`` and ``C`` are no axes of windows. By default ``N`` is first and ``C``
    last.

Returns
-------
tuple of two functions

Examples
--------
>>> import covector.numpy as np
>>> from covector.example_libraries import stax
>>> _, apply = stax.{name}((2,))
>>> apply((), np.array([[[1.0], [2.0], [6.0]]]))[0, :, 0]
Array([{result}], dtype=float32)
"""


def MaxPool(
    window_shape: Sequence[int], strides: Any = None, padding: Any = "VALID", spec: Any = None
) -> Layer:
    return _pooling(lax.max, -cnp.inf, False, window_shape, strides, padding, spec)


def SumPool(
    window_shape: Sequence[int], strides: Any = None, padding: Any = "VALID", spec: Any = None
) -> Layer:
    return _pooling(lax.add, 0.0, False, window_shape, strides, padding, spec)


def AvgPool(
    window_shape: Sequence[int], strides: Any = None, padding: Any = "VALID", spec: Any = None
) -> Layer:
    return _pooling(lax.add, 0.0, True, window_shape, strides, padding, spec)


for _f, _what, _result in (
    (MaxPool, "greatest elements", "2., 6."), (SumPool, "sums", "3., 8."),
    (AvgPool, "means", "1.5, 4. "),
):  # fmt: skip
    _f.__doc__ = _POOL_DOC.format(what=_what, name=_f.__name__, result=_result)

Flatten = (
    lambda rng, input_shape: ((input_shape[0], product(input_shape[1:])), ()),
    lambda params, inputs, **kwargs: cnp.reshape(inputs, (inputs.shape[0], -1)),
)
Identity = (
    lambda rng, input_shape: (input_shape, ()),
    lambda params, inputs, **kwargs: inputs,
)
FanInSum = (
    lambda rng, input_shape: (input_shape[0], ()),
    lambda params, inputs, **kwargs: functools.reduce(cnp.add, inputs),
)


def FanOut(num: int) -> Layer:
    """A layer that gives its input several times.

    Parameters
    ----------
    num : int

    Returns
    -------
    tuple of two functions

    Examples
    --------
    >>> from covector.example_libraries import stax
    >>> stax.FanOut(2)[1]((), 3.0)
    [3.0, 3.0]
    """
    return (lambda rng, input_shape: ([input_shape] * num, ())), (
        lambda params, inputs, **kwargs: [inputs] * num
    )


def FanInConcat(axis: int = -1) -> Layer:
    """A layer that joins its inputs along an axis.

    Parameters
    ----------
    axis : int

    Returns
    -------
    tuple of two functions

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.example_libraries import stax
    >>> stax.FanInConcat()[1]((), [np.ones(1), np.zeros(2)])
    Array([1., 0., 0.], dtype=float32)
    """

    def init_fun(rng: Any, input_shape: Any) -> Any:
        shape = list(input_shape[0])
        shape[axis] = sum(s[axis] for s in input_shape)
        return tuple(shape), ()

    return init_fun, lambda params, inputs, **kwargs: cnp.concatenate(inputs, axis)


def Dropout(rate: float, mode: str = "train") -> Layer:
    """A layer that leaves out elements at random while a network is trained.

    Parameters
    ----------
    rate : float
        The part of the elements that is kept.
    mode : str
        ``"train"``, or anything else to keep all.

    Returns
    -------
    tuple of two functions
        The second needs the argument ``rng`` in training.

    Examples
    --------
    >>> import covector as cv
    >>> import covector.numpy as np
    >>> from covector.example_libraries import stax
    >>> kept = stax.Dropout(0.5)[1]((), np.ones(100), rng=cv.random.key(0))
    >>> np.unique(kept)
    Array([0., 2.], dtype=float32)
    """

    def apply_fun(params: Any, inputs: Any, **kwargs: Any) -> Any:
        rng = kwargs.get("rng")
        if mode != "train":
            return inputs
        if rng is None:
            raise ValueError(
                "Dropout needs a key to draw with: give apply_fun the argument rng, as in "
                f"apply_fun(params, inputs, rng=key){at_user_line()}"
            )
        keep = _random.bernoulli(rng, rate, inputs.shape)
        return cnp.where(keep, inputs / rate, 0)

    return (lambda rng, input_shape: (input_shape, ())), apply_fun


def _keys(rng: Any, n: int) -> Any:
    return _random.split(rng, n) if rng is not None else (None,) * n


def serial(*layers: Layer) -> Layer:
    """Layers one after the other.

    Parameters
    ----------
    *layers : tuples of two functions

    Returns
    -------
    tuple of two functions

    Examples
    --------
    >>> import covector as cv
    >>> from covector.example_libraries import stax
    >>> init, apply = stax.serial(stax.Dense(8), stax.Relu, stax.Dense(1))
    >>> init(cv.random.key(0), (-1, 4))[0]
    (-1, 1)
    """
    init_funs, apply_funs = zip(*layers, strict=True) if layers else ((), ())

    def init_fun(rng: Any, input_shape: Any) -> Any:
        params = []
        for init in init_funs:
            rng, key = _random.split(rng)
            input_shape, param = init(key, input_shape)
            params.append(param)
        return input_shape, params

    def apply_fun(params: Any, inputs: Any, **kwargs: Any) -> Any:
        keys = _keys(kwargs.pop("rng", None), len(layers))
        for fun, param, key in zip(apply_funs, params, keys, strict=True):
            inputs = fun(param, inputs, rng=key, **kwargs)
        return inputs

    return init_fun, apply_fun


def parallel(*layers: Layer) -> Layer:
    """Layers side by side, each with an input of its own.

    Parameters
    ----------
    *layers : tuples of two functions

    Returns
    -------
    tuple of two functions
        Of lists of inputs, to lists of results.

    Examples
    --------
    >>> from covector.example_libraries import stax
    >>> _, apply = stax.parallel(stax.Identity, stax.Exp)
    >>> apply(((), ()), (1.0, 0.0))
    [1.0, Array(1., dtype=float32, weak_type=True)]
    """
    init_funs, apply_funs = zip(*layers, strict=True) if layers else ((), ())

    def init_fun(rng: Any, input_shape: Any) -> Any:
        pairs = [
            init(key, shape)
            for init, key, shape in zip(
                init_funs, _random.split(rng, len(layers)), input_shape, strict=True
            )
        ]
        return [s for s, _ in pairs], [p for _, p in pairs]

    def apply_fun(params: Any, inputs: Any, **kwargs: Any) -> Any:
        keys = _keys(kwargs.pop("rng", None), len(layers))
        return [
            fun(param, x, rng=key, **kwargs)
            for fun, param, x, key in zip(apply_funs, params, inputs, keys, strict=True)
        ]

    return init_fun, apply_fun


def shape_dependent(make_layer: Callable[[Any], Layer]) -> Layer:
    """A layer that is made when the shape of its input is known.

    Parameters
    ----------
    make_layer : callable
        From a shape to a layer.

    Returns
    -------
    tuple of two functions

    Examples
    --------
    >>> import covector as cv
    >>> from covector.example_libraries import stax
    >>> init, _ = stax.shape_dependent(lambda shape: stax.Dense(shape[-1]))
    >>> init(cv.random.key(0), (-1, 4))[0]
    (-1, 4)
    """
    return (lambda rng, input_shape: make_layer(input_shape)[0](rng, input_shape)), (
        lambda params, inputs, **kwargs: make_layer(inputs.shape)[1](params, inputs, **kwargs)
    )


_export(globals(), __all__)
