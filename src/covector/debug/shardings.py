"""Pictures of how arrays are spread over devices."""

from __future__ import annotations

import colorsys
from collections.abc import Callable, Sequence
from typing import Any

from covector.core.avals import aval_of
from covector.core.errors import at_user_line
from covector.sharding.base import Sharding
from covector.sharding.inspection import inspect_array_sharding

Rgb = tuple[float, float, float]
# The golden ratio: colours of neighbours in the count differ, however many there are.
_TURN = (5**0.5 - 1) / 2
# Of a picture of the scale one: lines, and characters for each of them in a square one.
_LINES, _PER_LINE = 10, 2.5


def visualize_array_sharding(arr: Any, **kwargs: Any) -> None:
    """Show which device has which part of an array.

    Parameters
    ----------
    arr : Array
        Of one or two dimensions. In a traced function, the picture is shown when it is compiled.
    **kwargs
        As those of `visualize_sharding`.

    Returns
    -------
    None

    Raises
    ------
    ValueError
        If it has another number of dimensions.

    Examples
    --------
    >>> import covector as cv
    >>> cv.debug.visualize_array_sharding(cv.numpy.zeros((2, 2)), scale=0.3)
    ┌─────────┐
    │  CPU 0  │
    └─────────┘
    """
    shape = aval_of(arr).shape
    _check(shape, "visualize_array_sharding")
    inspect_array_sharding(
        arr, callback=lambda sharding: visualize_sharding(shape, sharding, **kwargs)
    )


def visualize_sharding(
    shape: Sequence[int],
    sharding: Sharding,
    *,
    use_color: bool = True,
    scale: float = 1.0,
    min_width: int = 9,
    max_width: int = 80,
    color_map: Callable[[float], Sequence[float]] | None = None,
) -> None:
    """Show which device has which part of arrays of a shape.

    On a terminal and in a notebook, each part has a colour of its own.

    Parameters
    ----------
    shape : tuple of int
        Of one or two dimensions.
    sharding : Sharding
    use_color : bool
    scale : float
        How large the picture is.
    min_width, max_width : int
        The least width of a part, and the greatest of the picture, in characters.
    color_map : callable, optional
        The colour, red, green and blue from 0 to 1, of a part, given where it is among the parts,
        from 0 to 1. Colour maps of Matplotlib are such functions.

    Returns
    -------
    None

    Raises
    ------
    ValueError
        If there are not one or two dimensions.

    Examples
    --------
    >>> import covector as cv
    >>> from covector.sharding import PartitionSpec as P
    >>> spread = cv.NamedSharding(cv.make_mesh((1, 1), ("x", "y")), P("x", "y"))
    >>> cv.debug.visualize_sharding((4, 4), spread, scale=0.1)
    ┌─────────┐
    │  CPU 0  │
    └─────────┘
    """
    from rich.console import Console  # few processes draw

    sizes = tuple(shape)
    _check(sizes, "visualize_sharding")
    rows, columns, parts = _parts(sizes, sharding)
    aspect = sizes[-1] / sizes[0] if len(sizes) == 2 and sizes[0] else 1.0
    # A line between each two.
    height = max(1, int(_LINES * scale - 1) // rows - 1) if len(sizes) == 2 else 1
    width = int(_LINES * _PER_LINE * scale * aspect) // columns - 1
    width = max(1, min(max(width, min_width), (max_width - 1) // columns - 1))
    colours = _colours(len(parts), color_map) if use_color else None
    console = Console(width=columns * (width + 1) + 1)
    console.print(_table(rows, columns, parts, height, width, colours), end="")


def _check(shape: Sequence[int], what: str) -> None:
    if len(shape) not in (1, 2):
        raise ValueError(
            f"{what} shows arrays of one or two dimensions, got the shape {tuple(shape)}; reshape "
            f"it, or take a slice{at_user_line()}"
        )


def _parts(
    shape: tuple[int, ...], sharding: Sharding
) -> tuple[int, int, dict[tuple[int, int], list[Any]]]:
    """The numbers of rows and columns of parts, and the devices of each part."""
    devices: dict[tuple[int, int], list[Any]] = {}
    for device, index in sharding.devices_indices_map(shape).items():
        first = [s.start or 0 for s in index]
        row, column = first if len(first) == 2 else (0, first[0])
        devices.setdefault((row, column), []).append(device)
    rows = sorted({row for row, _ in devices})
    columns = sorted({column for _, column in devices})
    parts = {(rows.index(r), columns.index(c)): found for (r, c), found in devices.items()}
    return len(rows), len(columns), dict(sorted(parts.items()))


def _colours(n: int, color_map: Callable[[float], Sequence[float]] | None) -> list[Rgb]:
    if color_map is None:
        return [colorsys.hls_to_rgb(k * _TURN % 1.0, 0.6, 0.55) for k in range(n)]
    found = [color_map(k / n) for k in range(n)]
    return [(float(c[0]), float(c[1]), float(c[2])) for c in found]


def _table(
    rows: int, columns: int, parts: dict[tuple[int, int], list[Any]], height: int, width: int,
    colours: list[Rgb] | None,
) -> Any:  # fmt: skip
    from rich import box
    from rich.align import Align
    from rich.style import Style
    from rich.table import Table
    from rich.text import Text

    table = Table(show_header=False, show_lines=True, padding=0, box=box.SQUARE, pad_edge=False)
    for _ in range(columns):
        table.add_column(width=width, overflow="fold")
    cells = []
    for k, found in enumerate(parts.values()):
        ids = ",".join(str(d.id) for d in sorted(found, key=lambda d: d.id))
        text = Text(f"{found[0].platform.upper()} {ids}", justify="center")
        style = Style() if colours is None else _style(colours[k])
        fits = len(text.plain) <= width
        tall = max(height, 1 if fits else 1 + -(-len(ids) // width))
        cells.append(Align(text, "center", vertical="middle", style=style, height=tall))
    for r in range(rows):
        table.add_row(*cells[r * columns : (r + 1) * columns])
    return table


def _style(colour: Rgb) -> Any:
    """A background of the colour, and letters that stand out from it."""
    from rich.style import Style

    red, green, blue = colour
    # The luminance of Rec. 601.
    dark = 0.299 * red + 0.587 * green + 0.114 * blue < 0.5
    shade = "#" + "".join(f"{round(255 * c):02x}" for c in colour)
    return Style(color="white" if dark else "black", bgcolor=shade)
