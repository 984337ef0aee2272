"""Convolutions of arrays with batches and features, and what is made of them."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any

from covector.core import dtypes
from covector.core.avals import aval_of
from covector.core.operands import as_array
from covector.lax.convert import convert_element_type
from covector.lax.convolution_shapes import (
    conv_dimension_numbers,
    dilated,
    padtype_to_pads,
    pairs_of,
    steps_of,
    transposed_pads,
)
from covector.lax.dot import dot_general, promoted
from covector.lax.elementwise import eq
from covector.lax.precision import canonicalize_precision
from covector.lax.shape_functions import broadcasted_iota, reshape, rev, tile, transpose
from covector.primitives.convolution import (
    ConvDimensionNumbers,
    Pads,
    conv_general_dilated_p,
)
from covector.sharding.results import laid_out

ConvGeneralDilatedDimensionNumbers = None | ConvDimensionNumbers | tuple[str, str, str]

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
    out_sharding : NamedSharding or PartitionSpec, optional
        How the result is laid out over the axes of a mesh.

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
    if out_sharding is not None:
        return laid_out(conv_general_dilated, locals())
    x, y = promoted(as_array(lhs, "conv_general_dilated"), as_array(rhs, "conv_general_dilated"))
    a, b = aval_of(x).shape, aval_of(y).shape
    numbers = conv_dimension_numbers(a, b, dimension_numbers)
    rank = max(0, len(a) - 2)
    ld, rd = (
        steps_of("lhs_dilation", lhs_dilation, rank),
        steps_of("rhs_dilation", rhs_dilation, rank),
    )
    strides = steps_of("window_strides", window_strides, rank)
    if isinstance(padding, str) or hasattr(padding, "name"):
        space = [a[d] for d in numbers.lhs_spec[2:]]
        window = [b[d] for d in numbers.rhs_spec[2:]]
        named = padtype_to_pads(dilated(space, ld), dilated(window, rd), strides, padding)
        pads: Pads = tuple(named)
    else:
        pads = pairs_of(padding)
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
    steps = steps_of("strides", strides, rank)
    rd = steps_of("rhs_dilation", rhs_dilation, rank)
    window = dilated([b[d] for d in numbers.rhs_spec[2:]], rd)
    if isinstance(padding, str):
        pads: Any = [transposed_pads(k, s, padding) for k, s in zip(window, steps, strict=True)]
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
