"""Convolutions and what they take: padding by name, dimensions by letters."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any

from covector.core import dtypes
from covector.core.avals import aval_of
from covector.core.errors import at_user_line
from covector.core.operands import as_array, no_sharding
from covector.lax.convert import convert_element_type
from covector.lax.dot import canonicalize_precision, dot_general, promoted
from covector.lax.elementwise import eq
from covector.lax.shape_functions import broadcasted_iota, reshape, rev, tile, transpose
from covector.primitives.convolution import (
    ConvDimensionNumbers,
    Geometry,
    Pads,
    conv_general_dilated_p,
    geometry,
)

ConvGeneralDilatedDimensionNumbers = None | ConvDimensionNumbers | tuple[str, str, str]

_PADDINGS = ("SAME", "SAME_LOWER", "VALID")


# --- dimensions and padding ------------------------------------------------------------------


def conv_dimension_numbers(
    lhs_shape: Sequence[int], rhs_shape: Sequence[int], dimension_numbers: Any
) -> ConvDimensionNumbers:
    """Which dimension is what, from letters.

    Parameters
    ----------
    lhs_shape, rhs_shape : tuple of int
        Of the operands: their rank counts.
    dimension_numbers : None, ConvDimensionNumbers, or tuple of three str
        The order of the dimensions of the left operand, the kernel and the result: ``N`` the
        batch, ``C`` features, ``I`` and ``O`` the kernel's input and output features, other letters
        the spatial ones, the same in all three, in the order that the kernel has. None stands for
        ``("NCHW", "OIHW", "NCHW")`` and its like of other ranks.

    Returns
    -------
    ConvDimensionNumbers

    Raises
    ------
    TypeError
        If ``dimension_numbers`` is none of these.
    ValueError
        If the letters do not fit.

    Examples
    --------
    >>> from covector import lax
    >>> lax.conv_dimension_numbers((1, 8, 8, 3), (3, 3, 3, 4), ("NHWC", "HWIO", "NHWC"))
    ConvDimensionNumbers(lhs_spec=(0, 3, 1, 2), rhs_spec=(3, 2, 0, 1), out_spec=(0, 3, 1, 2))
    """
    rank = len(lhs_shape)
    if len(rhs_shape) != rank:
        raise ValueError(
            f"a convolution takes operands of one rank, got shapes {tuple(lhs_shape)} and "
            f"{tuple(rhs_shape)}{at_user_line()}"
        )
    if isinstance(dimension_numbers, ConvDimensionNumbers):
        return ConvDimensionNumbers(*[tuple(map(int, spec)) for spec in dimension_numbers])
    if dimension_numbers is None:
        return ConvDimensionNumbers(*[tuple(range(rank))] * 3)
    if (
        not isinstance(dimension_numbers, (tuple, list))
        or len(dimension_numbers) != 3
        or not all(isinstance(s, str) for s in dimension_numbers)
    ):
        raise TypeError(
            "dimension_numbers must be three strings such as ('NHWC', 'HWIO', 'NHWC'), None or "
            f"ConvDimensionNumbers, got {dimension_numbers!r}{at_user_line()}"
        )
    lhs, rhs, out = dimension_numbers
    for spec, first in ((lhs, "NC"), (rhs, "OI"), (out, "NC")):
        _check_letters(spec, first, rank)
    spatial = [c for c in rhs if c not in "OI"]
    for given in (lhs, out):
        if sorted(c for c in given if c not in "NC") != sorted(spatial):
            raise ValueError(
                f"dimension_numbers {tuple(dimension_numbers)}: the spatial dimensions of "
                f"{given!r} are not those of the kernel, {rhs!r}{at_user_line()}"
            )
    return ConvDimensionNumbers(
        *[
            tuple([s.index(c) for c in (*first, *spatial)])
            for s, first in zip(dimension_numbers, ("NC", "OI", "NC"), strict=True)
        ]
    )


def _check_letters(spec: str, first: str, rank: int) -> None:
    if len(spec) != rank or len(set(spec)) != rank or not set(first) <= set(spec):
        raise ValueError(
            f"dimension_numbers: {spec!r} must have {rank} different letters, {first[0]} and "
            f"{first[1]} among them{at_user_line()}"
        )


def conv_general_permutations(dimension_numbers: Any) -> tuple[tuple[int, ...], ...]:
    """The specs of `conv_dimension_numbers` alone.

    Parameters
    ----------
    dimension_numbers : tuple of three str

    Returns
    -------
    tuple of three tuple of int

    Examples
    --------
    >>> from covector import lax
    >>> lax.conv_general_permutations(("NHWC", "HWIO", "NHWC"))
    ((0, 3, 1, 2), (3, 2, 0, 1), (0, 3, 1, 2))
    """
    lhs, rhs, _ = dimension_numbers
    found = conv_dimension_numbers((1,) * len(lhs), (1,) * len(rhs), dimension_numbers)
    return tuple(tuple(spec) for spec in found)


def padtype_to_pads(
    in_shape: Sequence[int],
    window_shape: Sequence[int],
    window_strides: Sequence[int],
    padding: Any,
) -> list[tuple[int, int]]:
    """Numbers of elements to add at both ends of each dimension, from a name.

    Parameters
    ----------
    in_shape, window_shape, window_strides : sequence of int
        Sizes of the dimensions and of the window (dilated), and its steps.
    padding : {'SAME', 'SAME_LOWER', 'VALID'}
        ``SAME`` makes the result as large as the input divided by the step, rounded up, an odd
        element going to the end (``SAME_LOWER``: to the beginning); ``VALID`` adds nothing.

    Returns
    -------
    list of (int, int)

    Raises
    ------
    ValueError
        For another name.

    Examples
    --------
    >>> from covector import lax
    >>> lax.padtype_to_pads((10,), (4,), (2,), "SAME")
    [(1, 1)]
    """
    name = padding.upper() if isinstance(padding, str) else getattr(padding, "name", None)
    if name == "VALID":
        return [(0, 0)] * len(in_shape)
    if name not in _PADDINGS:
        raise ValueError(
            f"padding must be one of {', '.join(_PADDINGS)} or pairs of integers, got "
            f"{padding!r}{at_user_line()}"
        )
    pads = []
    for n, k, s in zip(in_shape, window_shape, window_strides, strict=True):
        total = max(0, (-(-n // s) - 1) * s + k - n) if n else 0
        ends = (total // 2, total - total // 2)
        pads.append(ends if name == "SAME" else ends[::-1])
    return pads


def _steps(name: str, given: Any, rank: int) -> tuple[int, ...]:
    if given is None:
        return (1,) * rank
    if isinstance(given, int):
        return (given,) * rank
    return tuple([operator.index(s) for s in given])


def _pairs(padding: Any) -> Pads:
    try:
        return tuple([(operator.index(low), operator.index(high)) for low, high in padding])
    except (TypeError, ValueError) as e:
        raise ValueError(
            f"padding must be one of {', '.join(_PADDINGS)} or pairs of integers, got {padding!r}"
            f"{at_user_line()}"
        ) from e


def _dilated(sizes: Sequence[int], dilation: Sequence[int]) -> list[int]:
    return [(n - 1) * d + 1 if n else 0 for n, d in zip(sizes, dilation, strict=False)]


# --- convolutions --------------------------------------------------------------------------


def conv_general_dilated(
    lhs: Any,
    rhs: Any,
    window_strides: Sequence[int],
    padding: Any,
    lhs_dilation: Sequence[int] | None = None,
    rhs_dilation: Sequence[int] | None = None,
    dimension_numbers: Any = None,
    feature_group_count: int = 1,
    batch_group_count: int = 1,
    precision: Any = None,
    preferred_element_type: Any = None,
    out_sharding: Any = None,
) -> Any:
    """Convolution of any rank, with steps, dilation and groups; the kernel is not turned round.

    Parameters
    ----------
    lhs, rhs : array_like
        Input and kernel, of one rank: batch (of the kernel output features), features, and spatial
        dimensions, in the order that ``dimension_numbers`` says. Of two dtypes, both are
        converted to the common one.
    window_strides : sequence of int
        Steps of the window in each spatial dimension.
    padding : {'SAME', 'SAME_LOWER', 'VALID'} or sequence of (int, int)
        See `padtype_to_pads`; or the number of zeros to add at both ends of each spatial
        dimension. Negative ones cut off.
    lhs_dilation : sequence of int, optional
        Distances of elements of ``lhs``, with zeros between: a transposed convolution.
    rhs_dilation : sequence of int, optional
        Distances of elements of the kernel.
    dimension_numbers : tuple of three str, ConvDimensionNumbers or None
        See `conv_dimension_numbers`.
    feature_group_count : int
        Each of so many groups of features of ``lhs`` makes its part of the output features.
    batch_group_count : int
        Each of so many groups of the batch makes its part of the output features.
    precision : str or Precision or pair, optional
        See `canonicalize_precision`; on CPUs all are full precision.
    preferred_element_type : dtype, optional
        Dtype in which to accumulate and return.
    out_sharding : None
        Not supported.

    Returns
    -------
    Array

    Raises
    ------
    TypeError
        If sizes of the operands do not fit together.
    ValueError
        If ranks, steps, dimension numbers or groups do not fit.

    Notes
    -----
    Products of many features are products of matrices (BLAS) of blocks of windows that stay in
    cache; others, such as depthwise convolutions, are loops of their own.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> x, k = np.arange(5.0).reshape(1, 1, 5), np.array([[[1.0, 0.0, -1.0]]])
    >>> lax.conv_general_dilated(x, k, (1,), "SAME")[0, 0]
    Array([-1., -2., -2., -2.,  3.], dtype=float32)
    """
    no_sharding(out_sharding, "conv_general_dilated")
    x, y = promoted(as_array(lhs, "conv_general_dilated"), as_array(rhs, "conv_general_dilated"))
    a, b = aval_of(x).shape, aval_of(y).shape
    numbers = conv_dimension_numbers(a, b, dimension_numbers)
    rank = max(0, len(a) - 2)
    ld, rd = _steps("lhs_dilation", lhs_dilation, rank), _steps("rhs_dilation", rhs_dilation, rank)
    strides = _steps("window_strides", window_strides, rank)
    if isinstance(padding, str) or hasattr(padding, "name"):
        space = [a[d] for d in numbers.lhs_spec[2:]]
        window = [b[d] for d in numbers.rhs_spec[2:]]
        named = padtype_to_pads(_dilated(space, ld), _dilated(window, rd), strides, padding)
        pads: Pads = tuple(named)
    else:
        pads = _pairs(padding)
    return conv_general_dilated_p.bind(
        x,
        y,
        window_strides=strides,
        padding=pads,
        lhs_dilation=ld,
        rhs_dilation=rd,
        dimension_numbers=numbers,
        feature_group_count=operator.index(feature_group_count),
        batch_group_count=operator.index(batch_group_count),
        precision=canonicalize_precision(precision),
        preferred_element_type=(
            None
            if preferred_element_type is None
            else dtypes.canonicalize_dtype(preferred_element_type)
        ),
    )


def conv(
    lhs: Any,
    rhs: Any,
    window_strides: Sequence[int],
    padding: str,
    precision: Any = None,
    preferred_element_type: Any = None,
) -> Any:
    """`conv_general_dilated` without dilation and groups, of dimensions ``NCHW`` and ``OIHW``.

    Parameters
    ----------
    lhs, rhs : array_like
        Shapes ``(n, c, ...)`` and ``(o, c, ...)``.
    window_strides : sequence of int
        Steps of the window.
    padding : {'SAME', 'SAME_LOWER', 'VALID'}
        See `padtype_to_pads`.
    precision : str or Precision or pair, optional
        See `canonicalize_precision`.
    preferred_element_type : dtype, optional
        Dtype in which to accumulate and return.

    Returns
    -------
    Array
        Shape ``(n, o, ...)``.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> lax.conv(np.ones((1, 2, 4, 4)), np.ones((3, 2, 3, 3)), (1, 1), "VALID")[0, 0]
    Array([[18., 18.],
           [18., 18.]], dtype=float32)
    """
    return conv_general_dilated(
        lhs, rhs, window_strides, padding,
        precision=precision, preferred_element_type=preferred_element_type,
    )  # fmt: skip


def conv_with_general_padding(
    lhs: Any,
    rhs: Any,
    window_strides: Sequence[int],
    padding: Any,
    lhs_dilation: Sequence[int] | None,
    rhs_dilation: Sequence[int] | None,
    precision: Any = None,
    preferred_element_type: Any = None,
) -> Any:
    """`conv_general_dilated` of dimensions ``NCHW`` and ``OIHW``, without groups.

    Parameters
    ----------
    lhs, rhs : array_like
        Shapes ``(n, c, ...)`` and ``(o, c, ...)``.
    window_strides : sequence of int
        Steps of the window.
    padding : str or sequence of (int, int)
        See `conv_general_dilated`.
    lhs_dilation, rhs_dilation : sequence of int or None
        Distances of elements of the operands.
    precision : str or Precision or pair, optional
        See `canonicalize_precision`.
    preferred_element_type : dtype, optional
        Dtype in which to accumulate and return.

    Returns
    -------
    Array
        Shape ``(n, o, ...)``.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> x, k = np.ones((1, 1, 3)), np.ones((1, 1, 2))
    >>> lax.conv_with_general_padding(x, k, (1,), [(0, 1)], (2,), None)[0, 0]
    Array([1., 1., 1., 1., 1.], dtype=float32)
    """
    return conv_general_dilated(
        lhs, rhs, window_strides, padding, lhs_dilation, rhs_dilation,
        precision=precision, preferred_element_type=preferred_element_type,
    )  # fmt: skip


def _transposed_pads(k: int, s: int, padding: str) -> tuple[int, int]:
    """Of a convolution that reverses the sizes of one of that step and padding."""
    total = k + s - 2
    if padding.upper() == "VALID":
        total += max(k - s, 0)
        return k - 1, total - (k - 1)
    before = k - 1 if s > k - 1 else -(-total // 2)
    return before, total - before


def conv_transpose(
    lhs: Any,
    rhs: Any,
    strides: Sequence[int],
    padding: Any,
    rhs_dilation: Sequence[int] | None = None,
    dimension_numbers: Any = None,
    transpose_kernel: bool = False,
    precision: Any = None,
    preferred_element_type: Any = None,
    use_consistent_padding: bool = False,
) -> Any:
    """Transposed convolution: of the sizes of the input of a convolution with these ``strides``.

    Parameters
    ----------
    lhs, rhs : array_like
        Input and kernel.
    strides : sequence of int
        Distances of the elements of ``lhs``.
    padding : {'SAME', 'VALID'} or sequence of (int, int)
        Of the convolution that is reversed; pairs are zeros added to the dilated ``lhs``, or with
        ``use_consistent_padding`` those of the convolution that is reversed.
    rhs_dilation : sequence of int, optional
        Distances of elements of the kernel.
    dimension_numbers : tuple of three str, ConvDimensionNumbers or None
        See `conv_dimension_numbers`; by default channels come last: ``("NHWC", "HWIO", "NHWC")``.
    transpose_kernel : bool
        Whether the kernel is turned round and its features exchanged: the gradient of a
        convolution for its input.
    precision : str or Precision or pair, optional
        See `canonicalize_precision`.
    preferred_element_type : dtype, optional
        Dtype in which to accumulate and return.
    use_consistent_padding : bool
        See ``padding``.

    Returns
    -------
    Array

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> x, k = np.ones((1, 3, 1)), np.ones((2, 1, 1))
    >>> lax.conv_transpose(x, k, (2,), "VALID")[0, :, 0]
    Array([1., 1., 1., 1., 1., 1.], dtype=float32)
    """
    a, b = aval_of(lhs).shape, aval_of(rhs).shape
    rank = len(a) - 2
    if dimension_numbers is None:
        letters = "".join(chr(ord("a") + i) for i in range(rank))
        dimension_numbers = (f"N{letters}C", f"{letters}IO", f"N{letters}C")
    numbers = conv_dimension_numbers(a, b, dimension_numbers)
    steps = _steps("strides", strides, rank)
    rd = _steps("rhs_dilation", rhs_dilation, rank)
    window = _dilated([b[d] for d in numbers.rhs_spec[2:]], rd)
    if isinstance(padding, str):
        pads: Any = [_transposed_pads(k, s, padding) for k, s in zip(window, steps, strict=True)]
    elif use_consistent_padding:
        pads = [(k - 1 - lo, k - 1 - hi) for k, (lo, hi) in zip(window, padding, strict=True)]
    else:
        pads = padding
    if transpose_kernel:
        o, i, *space = numbers.rhs_spec
        rhs = rev(rhs, tuple(space))
        numbers = numbers._replace(rhs_spec=(i, o, *space))
    return conv_general_dilated(
        lhs, rhs, (1,) * rank, pads, steps, rd, numbers,
        precision=precision, preferred_element_type=preferred_element_type,
    )  # fmt: skip


# --- shapes --------------------------------------------------------------------------------


def conv_general_shape_tuple(
    lhs_shape: Sequence[int],
    rhs_shape: Sequence[int],
    window_strides: Sequence[int],
    padding: Any,
    dimension_numbers: Any,
) -> tuple[int, ...]:
    """Shape of the result of a convolution without dilation and groups.

    Parameters
    ----------
    lhs_shape, rhs_shape : tuple of int
        Of the operands.
    window_strides : sequence of int
        Steps of the window.
    padding : str or sequence of (int, int)
        See `conv_general_dilated`.
    dimension_numbers : tuple of three str, ConvDimensionNumbers or None
        See `conv_dimension_numbers`.

    Returns
    -------
    tuple of int

    Examples
    --------
    >>> from covector import lax
    >>> lax.conv_general_shape_tuple((1, 2, 8, 8), (4, 2, 3, 3), (2, 2), "SAME", None)
    (1, 4, 4, 4)
    """
    numbers = conv_dimension_numbers(lhs_shape, rhs_shape, dimension_numbers)
    ones = (1,) * (len(lhs_shape) - 2)
    space = [lhs_shape[d] for d in numbers.lhs_spec[2:]]
    window = [rhs_shape[d] for d in numbers.rhs_spec[2:]]
    strides = _steps("window_strides", window_strides, len(ones))
    if isinstance(padding, str):
        padding = padtype_to_pads(space, window, strides, padding)
    g: Geometry = geometry(
        tuple(lhs_shape),
        tuple(rhs_shape),
        {
            "dimension_numbers": numbers,
            "window_strides": strides,
            "padding": _pairs(padding),
            "lhs_dilation": ones,
            "rhs_dilation": ones,
            "feature_group_count": 1,
            "batch_group_count": 1,
        },
    )
    shape = [0] * len(lhs_shape)
    for d, size in zip(numbers.out_spec, (g.batch, g.outputs, *g.out), strict=True):
        shape[d] = size
    return tuple(shape)


def conv_shape_tuple(
    lhs_shape: Sequence[int],
    rhs_shape: Sequence[int],
    strides: Sequence[int],
    pads: Any,
    batch_group_count: int = 1,
) -> tuple[int, ...]:
    """`conv_general_shape_tuple` of dimensions ``NCHW`` and ``OIHW``, with groups of the batch.

    Parameters
    ----------
    lhs_shape, rhs_shape : tuple of int
        Of the operands.
    strides : sequence of int
        Steps of the window.
    pads : str or sequence of (int, int)
        See `conv_general_dilated`.
    batch_group_count : int
        Groups of the batch.

    Returns
    -------
    tuple of int

    Examples
    --------
    >>> from covector import lax
    >>> lax.conv_shape_tuple((2, 3, 8), (4, 3, 3), (1,), "VALID", 2)
    (1, 4, 6)
    """
    n, *rest = conv_general_shape_tuple(lhs_shape, rhs_shape, strides, pads, None)
    return (n // batch_group_count, *rest)


def conv_transpose_shape_tuple(
    lhs_shape: Sequence[int],
    rhs_shape: Sequence[int],
    window_strides: Sequence[int],
    padding: Any,
    dimension_numbers: Any,
) -> tuple[int, ...]:
    """Shape of the result of `conv_transpose`.

    Parameters
    ----------
    lhs_shape, rhs_shape : tuple of int
        Of the operands.
    window_strides : sequence of int
        Distances of the elements of the left operand.
    padding : {'SAME', 'VALID'} or sequence of (int, int)
        See `conv_transpose`.
    dimension_numbers : tuple of three str, ConvDimensionNumbers or None
        See `conv_dimension_numbers`.

    Returns
    -------
    tuple of int

    Examples
    --------
    >>> from covector import lax
    >>> numbers = ("NHWC", "HWIO", "NHWC")
    >>> lax.conv_transpose_shape_tuple((1, 4, 4, 2), (3, 3, 2, 5), (2, 2), "SAME", numbers)
    (1, 8, 8, 5)
    """
    numbers = conv_dimension_numbers(lhs_shape, rhs_shape, dimension_numbers)
    window = [rhs_shape[d] for d in numbers.rhs_spec[2:]]
    if isinstance(padding, str):
        padding = [
            _transposed_pads(k, s, padding) for k, s in zip(window, window_strides, strict=True)
        ]
    space = {
        d: (lhs_shape[d] - 1) * s + 1
        for d, s in zip(numbers.lhs_spec[2:], window_strides, strict=True)
    }
    dilated = [space.get(d, n) for d, n in enumerate(lhs_shape)]
    ones = (1,) * len(window)
    return conv_general_shape_tuple(dilated, rhs_shape, ones, padding, numbers)


# --- made of others ------------------------------------------------------------------------


def conv_general_dilated_patches(
    lhs: Any,
    filter_shape: Sequence[int],
    window_strides: Sequence[int],
    padding: Any,
    lhs_dilation: Sequence[int] | None = None,
    rhs_dilation: Sequence[int] | None = None,
    dimension_numbers: Any = None,
    precision: Any = None,
    preferred_element_type: Any = None,
) -> Any:
    """The part of ``lhs`` under the window at each of its positions, as features.

    Parameters
    ----------
    lhs : array_like
        Input, as of `conv_general_dilated`.
    filter_shape : sequence of int
        Sizes of the window.
    window_strides, padding, lhs_dilation, rhs_dilation, dimension_numbers
        As of `conv_general_dilated`.
    precision : str or Precision or pair, optional
        See `canonicalize_precision`.
    preferred_element_type : dtype, optional
        Dtype of the result.

    Returns
    -------
    Array
        Of the shape of a convolution with features times the elements of the window as features,
        ordered by the input feature, then the place in the window.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> x = np.arange(4.0).reshape(1, 1, 4)
    >>> lax.conv_general_dilated_patches(x, (2,), (1,), "VALID")[0]
    Array([[0., 1., 2.],
           [1., 2., 3.]], dtype=float32)
    """
    x = as_array(lhs, "conv_general_dilated_patches")
    shape = aval_of(x).shape
    window = tuple([operator.index(k) for k in filter_shape])
    rhs_like = (1,) * len(shape)
    numbers = conv_dimension_numbers(shape, rhs_like, dimension_numbers)
    features, size = shape[numbers.lhs_spec[1]], math.prod(window)
    dt = aval_of(x).dtype
    rows, columns = (broadcasted_iota(dtypes.int32, (size, size), d) for d in (0, 1))
    one = convert_element_type(eq(rows, columns), dt)
    kernel = tile(reshape(one, (size, 1, *window)), (features, *[1] * (len(window) + 1)))
    order = [0] * len(shape)
    for k, d in enumerate(numbers.rhs_spec):
        order[d] = k
    return conv_general_dilated(
        x, transpose(kernel, order), window_strides, padding, lhs_dilation, rhs_dilation,
        numbers, feature_group_count=features, precision=precision,
        preferred_element_type=preferred_element_type,
    )  # fmt: skip


def conv_general_dilated_local(
    lhs: Any,
    rhs: Any,
    window_strides: Sequence[int],
    padding: Any,
    filter_shape: Sequence[int],
    lhs_dilation: Sequence[int] | None = None,
    rhs_dilation: Sequence[int] | None = None,
    dimension_numbers: Any = None,
    precision: Any = None,
) -> Any:
    """A convolution with a kernel of its own at each position of the window.

    Parameters
    ----------
    lhs : array_like
        Input, as of `conv_general_dilated`.
    rhs : array_like
        Kernels: as input features those times the elements of the window, in the order of
        `conv_general_dilated_patches`; as spatial dimensions those of the result.
    window_strides, padding, lhs_dilation, rhs_dilation, dimension_numbers
        As of `conv_general_dilated`.
    filter_shape : sequence of int
        Sizes of the window.
    precision : str or Precision or pair, optional
        See `canonicalize_precision`.

    Returns
    -------
    Array

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> x, k = np.arange(4.0).reshape(1, 1, 4), np.arange(6.0).reshape(1, 2, 3)
    >>> lax.conv_general_dilated_local(x, k, (1,), "VALID", (2,))[0]
    Array([[ 3.,  9., 19.]], dtype=float32)
    """
    a, b = aval_of(lhs).shape, aval_of(rhs).shape
    numbers = conv_dimension_numbers(a, b, dimension_numbers)
    patches = conv_general_dilated_patches(
        lhs, filter_shape, window_strides, padding, lhs_dilation, rhs_dilation, numbers, precision
    )
    batch, features, *out_space = numbers.out_spec
    o, i, *space = numbers.rhs_spec
    # Dimensions: spatial, output features, batch.
    out = dot_general(rhs, patches, (([i], [features]), (space, out_space)), precision)
    order = [0] * len(a)
    for k, d in enumerate((*out_space, features, batch)):
        order[d] = k
    return transpose(out, order)
