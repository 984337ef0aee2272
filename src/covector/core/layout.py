"""How the elements of arrays lie in memory: row by row."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

from covector.core.errors import at_user_line, describe


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


def format_of(ndim: int, sharding: Any) -> Format:
    """That of all arrays of ``ndim`` dimensions."""
    return Format(Layout(tuple(range(ndim))), sharding)


def check_layout(layout: Any, shape: tuple[int, ...], type_text: str, what: str) -> None:
    """Raise the error for a layout that does not fit a shape, or that arrays do not have here."""
    if not isinstance(layout, Layout):  # one is as good as another
        return
    if sorted(layout.major_to_minor) != list(range(len(shape))):
        raise ValueError(f"{what}: {layout} does not order the axes of {type_text}{at_user_line()}")
    rows = layout.major_to_minor == tuple(range(len(shape)))
    if not rows or layout.tiling or layout.sub_byte_element_size_in_bits:
        raise NotImplementedError(
            f"{what}: arrays lie in memory row by row, not in {layout}: the "
            f"compiler orders loops in place of memory. Transpose the array{at_user_line()}"
        )
