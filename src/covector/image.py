"""Images resized, scaled and shifted (`covector.image`).

Each axis is resampled on its own. An element of the result is a sum over a few neighbours, the
taps, of which indices and weights are computed while the function is traced; so nothing is as
large as the product of the sizes.
"""

from __future__ import annotations

import enum
import math
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as onp

from covector import lax
from covector import numpy as cnp
from covector.core import dtypes
from covector.core.dims import is_at_least
from covector.core.errors import at_user_line, describe
from covector.core.errors import export as _export
from covector.core.operands import canonical_shape, scalar
from covector.core.trace import Tracer
from covector.numpy._util import array, concrete, convert, fused, inexact
from covector.primitives.structure import broadcasted_iota

__all__ = ["ResizeMethod", "resize", "scale_and_translate"]

# From so many taps on, a product with the matrix of all weights is faster.
_MANY_TAPS = 24


class ResizeMethod(enum.Enum):
    """How values between pixels are made.

    Methods have names too: ``"nearest"``; ``"linear"``, ``"bilinear"``, ``"trilinear"``,
    ``"triangle"``; ``"lanczos3"``; ``"lanczos5"``; ``"cubic"``, ``"bicubic"``, ``"tricubic"``;
    ``"cubic-pytorch"``, ``"bicubic-pytorch"``; ``"area"``.

    Examples
    --------
    >>> import covector as cv
    >>> cv.image.ResizeMethod.from_string("bilinear")
    <ResizeMethod.LINEAR: 1>
    """

    NEAREST = 0
    LINEAR = 1
    LANCZOS3 = 2
    LANCZOS5 = 3
    CUBIC = 4
    CUBIC_PYTORCH = 5
    AREA = 6

    @staticmethod
    def from_string(s: str) -> ResizeMethod:
        """The method of this name."""
        if s not in _NAMES:
            raise ValueError(
                f"unknown resize method {s!r}: it is one of {', '.join(_NAMES)}{at_user_line()}"
            )
        return _NAMES[s]


_NAMES = {
    name: method
    for method, names in {
        ResizeMethod.NEAREST: "nearest",
        ResizeMethod.LINEAR: "linear bilinear trilinear triangle",
        ResizeMethod.LANCZOS3: "lanczos3",
        ResizeMethod.LANCZOS5: "lanczos5",
        ResizeMethod.CUBIC: "cubic bicubic tricubic",
        ResizeMethod.CUBIC_PYTORCH: "cubic-pytorch bicubic-pytorch",
        ResizeMethod.AREA: "area",
    }.items()
    for name in names.split()
}


def _triangle(xp: Any, x: Any) -> Any:
    return xp.maximum(0.0, 1.0 - x)


def _cubic(a: float) -> Callable[[Any, Any], Any]:
    def kernel(xp: Any, x: Any) -> Any:
        near = ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0
        far = ((a * x - 5.0 * a) * x + 8.0 * a) * x - 4.0 * a
        return xp.where(x < 1.0, near, xp.where(x < 2.0, far, 0.0))

    return kernel


def _lanczos(radius: float) -> Callable[[Any, Any], Any]:
    def kernel(xp: Any, x: Any) -> Any:
        return xp.where(x < radius, xp.sinc(x) * xp.sinc(x / radius), 0.0)

    return kernel


@dataclass(frozen=True)
class _Filter:
    """A kernel of the distance in pixels, and where it ends.

    ``padded``: two pixels beyond the border, like that at it, have a part; else none.
    """

    kernel: Callable[[Any, Any], Any]
    radius: float
    padded: bool = False


# R. G. Keys, "Cubic convolution interpolation for digital image processing", IEEE Transactions on
# Acoustics, Speech, and Signal Processing 29, 1981, with his coefficient of -1/2; PyTorch's -3/4.
# C. E. Duchon, "Lanczos filtering in one and two dimensions", Journal of Applied Meteorology 18,
# 1979.
_FILTERS = {
    ResizeMethod.LINEAR: _Filter(_triangle, 1.0),
    ResizeMethod.CUBIC: _Filter(_cubic(-0.5), 2.0),
    ResizeMethod.LANCZOS3: _Filter(_lanczos(3.0), 3.0),
    ResizeMethod.LANCZOS5: _Filter(_lanczos(5.0), 5.0),
}
_PADDED = _Filter(_cubic(-0.75), 2.0, padded=True)


def _known(x: Any) -> bool:
    """Whether it is a constant: what is traced to be differentiated is none, though its value is
    known."""
    return not isinstance(x, Tracer)


def _filter(method: ResizeMethod, antialias: bool) -> _Filter:
    if method is not ResizeMethod.CUBIC_PYTORCH:
        return _FILTERS[method]
    return _FILTERS[ResizeMethod.CUBIC] if antialias else _PADDED


def _taps(
    size: int, out: int, scale: Any, shift: Any, method: ResizeMethod, antialias: bool
) -> tuple[Any | None, Any]:
    """For each element of the result, indices of pixels and their weights: two matrices.

    Computed by NumPy where ``scale`` and ``shift`` are known. Without indices, there is a weight
    for every pixel.
    """
    known = _known(scale) and _known(shift) and type(size) is int and type(out) is int
    xp = onp if known else cnp
    if known:
        scale, shift = float(concrete(scale, "scale")), float(concrete(shift, "translation"))
    step = 1.0 / scale
    centre = (xp.arange(out) + 0.5) * step - shift * step - 0.5
    wide = (max(step, 1.0) if known else xp.maximum(step, 1.0)) if antialias else 1.0
    if method is ResizeMethod.AREA:
        filter_, reach, wide = None, 0.5 * step + 0.5, None
    else:
        filter_ = _filter(method, antialias)
        reach = filter_.radius * wide
    unknown = not isinstance(reach, (int, float))
    if unknown:
        # As many as there are: the filter may be as wide as the image.
        index = xp.arange(size)
    else:
        count = math.ceil(2 * reach) + 1
        index = xp.floor(centre - reach).astype(int)[:, None] + 1 + xp.arange(count)
    if filter_ is None:
        low, high = centre - 0.5 * step, centre + 0.5 * step
        common = xp.minimum(high[:, None], index + 0.5) - xp.maximum(low[:, None], index - 0.5)
        weights = xp.maximum(common, 0.0)
    else:
        weights = filter_.kernel(xp, xp.abs(centre[:, None] - index) / wide)
    padded = filter_ is not None and filter_.padded
    border = 2 if padded else 0
    weights = xp.where((index >= -border) & (index < size + border), weights, 0.0)
    total = xp.sum(weights, 1, keepdims=True)
    enough = xp.abs(total) > 1000 * onp.finfo(onp.float32).eps
    weights = xp.where(enough, weights / xp.where(enough, total, 1.0), 0.0)
    if not padded:
        # A point at the border belongs to the image, however it is rounded.
        slack = 1e-6 * size
        outside = (centre < -0.5 - slack) | (centre > size - 0.5 + slack)
        weights = xp.where(outside[:, None], 0.0, weights)
    return (None if unknown else xp.clip(index, 0, size - 1)), weights


def _matrix(index: Any | None, weights: Any, size: int) -> Any:
    """The matrix of all weights, from the taps."""
    if index is None:
        return weights
    if isinstance(index, onp.ndarray) and isinstance(weights, onp.ndarray):
        out = onp.zeros((index.shape[0], size))
        onp.add.at(out, (onp.arange(index.shape[0])[:, None], index), weights)
        return out
    return (
        cnp.zeros((index.shape[0], size))
        .at[cnp.arange(index.shape[0])[:, None], index]
        .add(weights)
    )


def _resampled(x: Any, axis: int, index: Any | None, weights: Any, precision: Any) -> Any:
    """Sums of the taps along an axis."""
    count = weights.shape[1]
    if index is None or count > _MANY_TAPS:
        matrix = cnp.asarray(_matrix(index, weights, x.shape[axis]), x.dtype)
        dims = (((1,), (axis,)), ((), ()))
        return cnp.moveaxis(lax.dot_general(matrix, x, dims, precision=precision), 0, axis)
    shape = [1] * x.ndim
    shape[axis] = index.shape[0]
    out = None
    for k in range(count):
        weight = cnp.reshape(cnp.asarray(weights[:, k], x.dtype), shape)
        place = cnp.asarray(index[:, k], dtypes.int32)
        part = cnp.take(x, place, axis, mode="clip") * weight
        out = part if out is None else out + part
    return out


def _in_order(axes: Sequence[int], shape: Sequence[int], new: Sequence[int], last: int) -> Any:
    """The axes in such an order that the last axis, whose neighbours are gathered one by one, is
    resampled while the image is smallest."""
    return sorted(
        axes, key=lambda d: (1 if d == last else 0 if is_at_least(shape[d], new[d], True) else 2, d)
    )


def _nearest(size: Any, out: Any) -> Any:
    """For each element of the result, the pixel that its centre lies in."""
    if type(size) is int and type(out) is int:
        index = onp.floor((onp.arange(out) + 0.5) * (size / out))
        return cnp.asarray(onp.minimum(index, size - 1).astype(onp.int32))
    dt = dtypes.position_dtype(2 * size * out)
    odd = lax.add(lax.mul(broadcasted_iota(dt, (out,), 0), scalar(2, dt)), scalar(1, dt))
    index = lax.div(lax.mul(odd, scalar(size, dt)), scalar(2 * out, dt))
    return convert(index, dtypes.int32)


def _checked(image: Any, shape: Any, method: Any, name: str) -> tuple[Any, tuple[int, ...], Any]:
    x = array(image, name)
    shape = canonical_shape(shape, f"{name}: shape")
    if len(shape) != x.ndim:
        raise ValueError(
            f"{name}: shape must have a size for each of the {x.ndim} dimensions of "
            f"{x.aval.str_short()}, got {shape}{at_user_line()}"
        )
    if isinstance(method, str):
        method = ResizeMethod.from_string(method)
    if not isinstance(method, ResizeMethod):
        raise TypeError(
            f"{name}: method must be a ResizeMethod or its name, got {describe(method)}"
            f"{at_user_line()}"
        )
    return x, shape, method


def _resample_axes(
    x: Any,
    shape: Any,
    axes: Any,
    scale: Any,
    shift: Any,
    method: Any,
    antialias: bool,
    precision: Any,
) -> Any:
    dt = x.dtype
    if dt in (dtypes.float16, dtypes.bfloat16):
        x = x.astype(dtypes.float32)
    by_axis = dict(zip(axes, zip(scale, shift, strict=True), strict=True))
    for d in _in_order(axes, x.shape, shape, x.ndim - 1):
        taps = _taps(x.shape[d], shape[d], *by_axis[d], method, antialias)
        x = _resampled(x, d, *taps, precision)
    return convert(x, dt)


@fused("shape", "method", "antialias", "precision")
def resize(
    image: Any,
    shape: Any,
    method: str | ResizeMethod,
    antialias: bool = True,
    precision: Any = lax.Precision.HIGHEST,
) -> Any:
    """An image of another size.

    Parameters
    ----------
    image : array_like
        Of any number of dimensions; integers are converted to floats, unless the method is
        ``"nearest"``.
    shape : tuple of int
        The new size of every dimension; those of the old size stay as they are.
    method : str or ResizeMethod
        ``"nearest"``, ``"linear"``, ``"cubic"``, ``"lanczos3"``, ``"lanczos5"``, ``"area"`` (means
        of what a new pixel covers) or ``"cubic-pytorch"`` (with ``antialias`` as ``"cubic"``,
        without it as PyTorch does, with pixels beyond the border).
    antialias : bool
        Widen the filter where the image becomes smaller.
    precision : optional
        Of matrix products, where there are any.

    Returns
    -------
    Array
        Of the given shape.

    Raises
    ------
    ValueError
        If ``shape`` has not a size for each dimension, the method is unknown, or something is to be
        made of nothing.

    Examples
    --------
    >>> import covector as cv
    >>> import covector.numpy as np
    >>> cv.image.resize(np.array([0.0, 1.0, 4.0]), (6,), "linear")
    Array([0.  , 0.25, 0.75, 1.75, 3.25, 4.  ], dtype=float32)
    """
    x, shape, method = _checked(image, shape, method, "resize")
    axes = [d for d in range(x.ndim) if shape[d] != x.shape[d]]
    if any(not x.shape[d] for d in axes):
        raise ValueError(
            f"resize: an image of shape {x.shape} has no pixels to make {shape} of{at_user_line()}"
        )
    if 0 in shape:
        kept = method is ResizeMethod.NEAREST or x.dtype in dtypes.INEXACT
        return cnp.zeros(shape, x.dtype if kept else dtypes.default_float())
    if method is ResizeMethod.NEAREST:
        for d in _in_order(axes, x.shape, shape, x.ndim - 1):
            x = cnp.take(x, _nearest(x.shape[d], shape[d]), d, mode="clip")
        return x
    x = array(inexact(x, "resize"), "resize")
    scale = [shape[d] / x.shape[d] for d in axes]
    return _resample_axes(x, shape, axes, scale, [0.0] * len(axes), method, antialias, precision)


def scale_and_translate(
    image: Any,
    shape: Any,
    spatial_dims: Sequence[int],
    scale: Any,
    translation: Any,
    method: str | ResizeMethod,
    antialias: bool = True,
    precision: Any = lax.Precision.HIGHEST,
) -> Any:
    """An image of which the point ``x`` comes to lie at ``x * scale + translation``.

    The centres of pixels lie at whole numbers and a half.

    Parameters
    ----------
    image : array_like
        Of any number of dimensions; integers are converted to floats.
    shape : tuple of int
        The shape of the result, which is that of ``image`` but for ``spatial_dims``.
    spatial_dims : sequence of int
        The dimensions that are scaled.
    scale, translation : array_like
        A number for each of these dimensions.
    method : str or ResizeMethod
        As of `resize`, but for ``"nearest"``.
    antialias : bool
        Widen the filter where the image becomes smaller.
    precision : optional
        Of matrix products, where there are any.

    Returns
    -------
    Array
        Of the given shape; 0 for points outside of the image, but for ``"cubic-pytorch"`` without
        ``antialias``, which repeats the border twice.

    Raises
    ------
    ValueError
        If ``shape`` has not a size for each dimension, ``scale`` or ``translation`` not a number
        for each of ``spatial_dims``, or the method is unknown or ``"nearest"``.

    Examples
    --------
    >>> import covector as cv
    >>> import covector.numpy as np
    >>> x = np.array([0.0, 1.0, 4.0, 9.0])
    >>> cv.image.scale_and_translate(x, (4,), (0,), np.ones(1), np.array([0.5]), "linear")
    Array([0. , 0.5, 2.5, 6.5], dtype=float32)
    """
    x, shape, method = _checked(image, shape, method, "scale_and_translate")
    if method is ResizeMethod.NEAREST:
        raise ValueError(
            "scale_and_translate: the method 'nearest' is not supported; take it of resize"
            f"{at_user_line()}"
        )
    axes = [_axis(d, x.ndim) for d in spatial_dims]
    scale, shift = cnp.asarray(scale), cnp.asarray(translation)
    if scale.shape != (len(axes),) or shift.shape != (len(axes),) or len(set(axes)) != len(axes):
        raise ValueError(
            f"scale_and_translate: scale and translation must have a number for each of the "
            f"different dimensions {tuple(spatial_dims)}, got {scale.aval.str_short()} and "
            f"{shift.aval.str_short()}{at_user_line()}"
        )
    if any(shape[d] != x.shape[d] for d in range(x.ndim) if d not in axes):
        raise ValueError(
            f"scale_and_translate: only the dimensions {tuple(axes)} may change, got "
            f"{x.aval.str_short()} and shape {shape}{at_user_line()}"
        )
    x = array(inexact(x, "scale_and_translate"), "scale_and_translate")
    if 0 in shape or 0 in x.shape:
        return cnp.zeros(shape, x.dtype)
    if _known(scale) and _known(shift):
        known = (tuple(concrete(v, "scale").tolist()) for v in (scale, shift))
        return _at_known(x, shape, tuple(axes), *known, method, antialias, precision)
    return _resample_axes(x, shape, axes, list(scale), list(shift), method, antialias, precision)


def _axis(d: Any, ndim: int) -> int:
    k = operator.index(d)
    if not -ndim <= k < ndim:
        raise ValueError(
            f"scale_and_translate: dimension {k} is out of bounds for an image of {ndim} dimensions"
            f"{at_user_line()}"
        )
    return k % ndim


_at_known = fused("shape", "axes", "scale", "shift", "method", "antialias", "precision")(
    _resample_axes
)

_export(globals(), __all__)
