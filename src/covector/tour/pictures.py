"""Pictures without a plotting library: PNG files, and characters on a terminal."""

from __future__ import annotations

import contextlib
import os
import shutil
import struct
import zlib
from collections.abc import Callable, Iterator
from typing import Any, TextIO

import numpy as np

_BARS = "▁▂▃▄▅▆▇█"
_SHADES = " .:-=+*#%@"
_COLUMNS = 64


def png(pixels: np.ndarray) -> bytes:
    """A PNG file of an array of bytes of shape (height, width, 3): red, green, blue.

    See "Portable Network Graphics (PNG) Specification", W3C, 2nd edition 2003.
    """
    height, width, _ = pixels.shape
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    # Each line begins with the kind of its filter: none.
    lines = np.zeros((height, 1 + 3 * width), np.uint8)
    lines[:, 1:] = pixels.reshape(height, -1)
    data = zlib.compress(lines.tobytes(), 9)
    parts = (_chunk(b"IHDR", header), _chunk(b"IDAT", data), _chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def save(path: str | os.PathLike[str], values: Any, scale: int = 1) -> None:
    """Write numbers as a picture in colours (`coloured`), each a square of ``scale`` pixels."""
    pixels = coloured(np.asarray(values)).repeat(scale, 0).repeat(scale, 1)
    with open(path, "wb") as f:
        f.write(png(pixels))


def _chunk(kind: bytes, data: bytes) -> bytes:
    check = zlib.crc32(kind + data)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)


def coloured(values: np.ndarray) -> np.ndarray:
    """Colours of numbers from the least to the greatest, which is black.

    Each of red, green and blue is a wave along the scale, after I. Quilez, "Procedural color
    palettes" (1999).
    """
    x = values.astype(float) - values.min()
    x /= max(x.max(), 1e-300)
    phases = np.array([0.55, 0.65, 0.8])
    rgb = 0.5 - 0.5 * np.cos(2 * np.pi * (0.9 * np.sqrt(x)[..., None] + phases))
    return (255 * np.where(x[..., None] < 1, rgb, 0)).astype(np.uint8)


def on_terminal(values: np.ndarray, colours: bool, blocks: bool) -> str:
    """The picture in characters: two pixels each, in colours where there are."""
    columns = min(_COLUMNS, shutil.get_terminal_size().columns - 1)
    rows = max(2, round(columns * values.shape[0] / values.shape[1] / 2))
    if not (colours and blocks):
        small = _smaller(values, rows, columns).astype(float)
        small = (small - small.min()) / max(np.ptp(small), 1e-300)
        shades = (small * (len(_SHADES) - 1)).astype(int)
        return "\n".join("".join(_SHADES[k] for k in row) for row in shades)
    rgb = coloured(_smaller(values, 2 * rows, columns))
    text = []
    for upper, lower in zip(rgb[::2], rgb[1::2], strict=True):
        pixels = zip(upper, lower, strict=True)
        text.append("".join(
            f"\x1b[38;2;{a[0]};{a[1]};{a[2]}m\x1b[48;2;{b[0]};{b[1]};{b[2]}m▀" for a, b in pixels
        ))  # fmt: skip
    return "\n".join(f"{line}\x1b[0m" for line in text)


def _smaller(values: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """``values`` at ``rows`` by ``columns`` places."""
    at = [np.arange(n) * size // n for n, size in zip((rows, columns), values.shape, strict=True)]
    return values[np.ix_(*at)]


def bars(values: np.ndarray) -> str:
    """A row of bars as high as ``values``."""
    values = _smaller(values[None], 1, min(_COLUMNS, values.size))[0]
    finite = values[np.isfinite(values)]
    if not finite.size:
        return ""
    scaled = (values - finite.min()) / max(np.ptp(finite), 1e-300)
    scaled = np.nan_to_num(np.clip(scaled, 0, 1))
    return "".join(_BARS[k] for k in (scaled * (len(_BARS) - 1)).round().astype(int))


class Plots:
    """The part of ``matplotlib.pyplot`` that the lecture uses, in characters.

    What has no meaning here, such as a label, does nothing.

    Attributes
    ----------
    written : list of str
        The files of pictures.
    """

    def __init__(self, folder: str, out: TextIO) -> None:
        self.folder = folder
        self.out = out
        self.written: list[str] = []
        self._title = ""
        self._lines: list[str] = []
        self._blocks = _can_write(out, _BARS)

    @contextlib.contextmanager
    def of_a_cell(self) -> Iterator[None]:
        """Context manager: what is drawn in the block is shown at its end."""
        self._lines = []
        yield
        for line in self._lines:
            print(line, file=self.out)

    def subplots(self, rows: int = 1, columns: int = 1, **options: Any) -> tuple[Plots, Any]:
        n = rows * columns
        return self, self if n == 1 else [self] * n

    def plot(self, *args: Any, **options: Any) -> None:
        numbers = [np.asarray(a) for a in args if not isinstance(a, str)]
        self._bars(numbers[-1])

    def semilogy(self, x: Any, y: Any, **options: Any) -> None:
        self._bars(np.log10(np.asarray(y)))

    def hist(self, values: Any, bins: int, **options: Any) -> None:
        self._bars(np.histogram(np.asarray(values), bins)[0].astype(float))

    def set_title(self, text: str) -> None:
        if self._lines:
            self._lines[-1] += f"  {text}"

    set_ylabel = set_title

    def imshow(self, values: Any, *, origin: str = "upper", **options: Any) -> None:
        """Show a picture, and write it to a file."""
        picture = np.asarray(values)
        if origin == "lower":
            picture = picture[::-1]
        name = "mandelbrot.png" if not self.written else f"picture{len(self.written) + 1}.png"
        path = os.path.abspath(os.path.join(self.folder, name))
        save(path, picture)
        self.written.append(path)
        self._lines.append(on_terminal(picture, self.out.isatty(), self._blocks))

    def _bars(self, values: np.ndarray) -> None:
        if self._blocks:
            self._lines.append(bars(values))

    def __getattr__(self, name: str) -> Callable[..., None]:
        if name.startswith("_"):
            raise AttributeError(name)
        return lambda *args, **options: None


def _can_write(out: TextIO, text: str) -> bool:
    try:
        text.encode(getattr(out, "encoding", None) or "ascii")
    except UnicodeEncodeError:
        return False
    return True
