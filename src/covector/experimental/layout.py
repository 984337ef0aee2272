"""How the elements of arrays lie in memory (`covector.experimental.layout`): row by row."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

from covector.core import tree
from covector.core.avals import aval_of
from covector.core.errors import at_user_line, describe
from covector.core.errors import export as _export

__all__ = ["Format", "Layout", "with_layout_constraint"]


class _Auto:
    """Stands for a layout that the compiler chooses."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "AUTO"


@dataclasses.dataclass(frozen=True)
class Layout:
    """An order of the axes in memory, the slowest first.

    Attributes
    ----------
    major_to_minor : tuple of int
    tiling : tuple of tuples of int, optional
        Blocks; memory here has none.
    sub_byte_element_size_in_bits : int
        Of packed elements; elements here have whole bytes.

    Examples
    --------
    >>> from covector.experimental.layout import Layout
    >>> Layout((0, 1))
    Layout(major_to_minor=(0, 1), tiling=None, sub_byte_element_size_in_bits=0)
    """

    major_to_minor: tuple[int, ...]
    tiling: tuple[tuple[int, ...], ...] | None = None
    sub_byte_element_size_in_bits: int = 0
    AUTO: ClassVar[Any] = _Auto()

    @staticmethod
    def from_pjrt_layout(pjrt_layout: Any) -> Layout:
        """A layout of XLA's runtime, which is not here.

        Raises
        ------
        NotImplementedError
            Always.
        """
        raise NotImplementedError(
            "Layout.from_pjrt_layout takes a layout of XLA's runtime, which Covector does not use: "
            f"write Layout(major_to_minor){at_user_line()}"
        )

    def update(self, **kwargs: Any) -> Layout:
        """A layout with other attributes.

        Examples
        --------
        >>> from covector.experimental.layout import Layout
        >>> Layout((0, 1)).update(major_to_minor=(1, 0)).major_to_minor
        (1, 0)
        """
        return dataclasses.replace(self, **kwargs)


@dataclasses.dataclass(frozen=True)
class Format:
    """How an array lies in memory, and on which device.

    Attributes
    ----------
    layout : Layout, optional
    sharding : Sharding, optional

    Examples
    --------
    >>> import covector as cv
    >>> from covector.experimental.layout import Format, Layout
    >>> Format(Layout((0,)), cv.numpy.ones(2).sharding).layout.major_to_minor
    (0,)
    """

    layout: Any = None
    sharding: Any = None

    def __post_init__(self) -> None:
        if not (self.layout is None or isinstance(self.layout, (Layout, _Auto))):
            raise TypeError(
                "Format: layout is None, Layout.AUTO or a Layout, got "
                f"{describe(self.layout)}{at_user_line()}"
            )
        if isinstance(self.layout, Layout) and self.sharding is None:
            raise ValueError(f"Format: a layout needs a sharding beside it{at_user_line()}")


def with_layout_constraint(x: Any, layouts: Any) -> Any:
    """``x`` whose arrays lie in memory in these orders.

    Parameters
    ----------
    x : pytree of arrays
    layouts : Layout or pytree of Layout

    Returns
    -------
    pytree of arrays

    Raises
    ------
    ValueError
        If a layout is of another rank than its array.
    NotImplementedError
        For any order but row by row, in which arrays lie here.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.experimental.layout import Layout, with_layout_constraint
    >>> with_layout_constraint(np.ones((1, 2)), Layout((0, 1)))
    Array([[1., 1.]], dtype=float32)
    """
    leaves = tree.leaves(x)
    for leaf, layout in zip(leaves, tree.broadcast_prefix(layouts, x), strict=True):
        if not isinstance(layout, Layout):
            raise TypeError(
                f"with_layout_constraint takes a Layout, got {describe(layout)}{at_user_line()}"
            )
        aval = aval_of(leaf)
        if sorted(layout.major_to_minor) != list(range(len(aval.shape))):
            raise ValueError(
                f"with_layout_constraint: {layout} does not order the axes of "
                f"{aval.str_short()}{at_user_line()}"
            )
        rows = layout.major_to_minor == tuple(range(len(aval.shape)))
        if not rows or layout.tiling or layout.sub_byte_element_size_in_bits:
            raise NotImplementedError(
                f"with_layout_constraint: arrays lie in memory row by row, not in {layout}: the "
                f"compiler orders loops in place of memory. Transpose the array{at_user_line()}"
            )
    return x


_export(globals(), __all__)
