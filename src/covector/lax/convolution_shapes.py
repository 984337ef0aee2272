"""What convolutions take and give: dimensions by letters, padding by name, shapes."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

from covector.core.dims import as_size, max_dim
from covector.core.errors import at_user_line
from covector.primitives.convolution import ConvDimensionNumbers, Geometry, Pads, geometry

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
        total = 0 if n == 0 else max_dim(0, (-(-n // s) - 1) * s + k - n)
        ends = (total // 2, total - total // 2)
        pads.append(ends if name == "SAME" else ends[::-1])
    return pads


def steps_of(name: str, given: Any, rank: int) -> tuple[int, ...]:
    """An integer for each spatial dimension; 1 where none are given."""
    if given is None:
        return (1,) * rank
    try:
        if isinstance(given, int):
            return (given,) * rank
        return tuple([operator.index(s) for s in given])
    except TypeError as e:
        raise TypeError(
            f"{name} must be an integer for each spatial dimension, got {given!r}{at_user_line()}"
        ) from e


def pairs_of(padding: Any) -> Pads:
    try:
        return tuple([(as_size(low), as_size(high)) for low, high in padding])
    except (TypeError, ValueError) as e:
        raise ValueError(
            f"padding must be one of {', '.join(_PADDINGS)} or pairs of integers, got {padding!r}"
            f"{at_user_line()}"
        ) from e


def dilated(sizes: Sequence[int], dilation: Sequence[int]) -> list[int]:
    return [(n - 1) * d + 1 if n else 0 for n, d in zip(sizes, dilation, strict=False)]


def transposed_pads(k: int, s: int, padding: str) -> tuple[int, int]:
    """Of a convolution that reverses the sizes of one of that step and padding."""
    total = k + s - 2
    if padding.upper() == "VALID":
        total += max(k - s, 0)
        return k - 1, total - (k - 1)
    before = k - 1 if s > k - 1 else -(-total // 2)
    return before, total - before


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
    strides = steps_of("window_strides", window_strides, len(ones))
    if isinstance(padding, str):
        padding = padtype_to_pads(space, window, strides, padding)
    g: Geometry = geometry(
        tuple(lhs_shape),
        tuple(rhs_shape),
        {
            "dimension_numbers": numbers,
            "window_strides": strides,
            "padding": pairs_of(padding),
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
            transposed_pads(k, s, padding) for k, s in zip(window, window_strides, strict=True)
        ]
    space = {
        d: (lhs_shape[d] - 1) * s + 1
        for d, s in zip(numbers.lhs_spec[2:], window_strides, strict=True)
    }
    dilated = [space.get(d, n) for d, n in enumerate(lhs_shape)]
    ones = (1,) * len(window)
    return conv_general_shape_tuple(dilated, rhs_shape, ones, padding, numbers)
