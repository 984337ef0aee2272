"""The lecture on a terminal: ``python -m covector tour`` runs the cells of its notebook."""

from __future__ import annotations

import os
import sys
import textwrap
import time
from collections.abc import Iterator
from typing import Any, TextIO

from covector.tour.cells import Cell, Notebook, read
from covector.tour.pictures import Plots


def run(brief: bool = False, folder: str = ".", out: TextIO | None = None) -> int:
    """Run the lecture; returns the exit status.

    Parameters
    ----------
    brief : bool
        Leave out its text and code: results and times alone.
    folder : str
        Where pictures are put.
    out : file, optional
        By default the standard output.
    """
    out = sys.stdout if out is None else out
    os.makedirs(folder, exist_ok=True)
    tour = _Tour(read(), brief, folder, out)
    start = time.perf_counter()
    try:
        for cell in tour.notebook.cells:
            tour.show(cell)
    except _FailedError as e:
        print(e, file=sys.stderr)
        return 1
    tour.line(f"\nThe tour took {time.perf_counter() - start:.1f} s.")
    for path in tour.plots.written:
        tour.line(f"The picture is in {path}")
    return 0


class _FailedError(Exception):
    """A cell of the lecture did not do what it was to do."""


class _Tour:
    """The lecture while it runs."""

    def __init__(self, notebook: Notebook, brief: bool, folder: str, out: TextIO) -> None:
        self.notebook = notebook
        self.brief = brief
        self.out = out
        self.colours = out.isatty()
        self.plots = Plots(folder, out)
        # As in a notebook: functions of cells find their names there.
        self.names: dict[str, Any] = {"__name__": "__main__", "plt": self.plots}
        self.names["timeit"] = self.timed

    def line(self, text: str = "", style: str = "") -> None:
        codes = {"bold": "\x1b[1m", "dim": "\x1b[2m"}
        coloured = self.colours and style and text
        print(f"{codes[style]}{text}\x1b[0m" if coloured else text, file=self.out, flush=True)

    def show(self, cell: Cell) -> None:
        if not cell.is_code:
            for style, text in _paragraphs(cell.source):
                if style == "bold" or not self.brief:
                    self.line(f"\n{text}", style)
            return
        if not self.brief:
            self.line()
            for row in cell.source.splitlines():
                self.line(f"    {row}", "dim")
        self.line()
        start = time.perf_counter()
        self._run(cell)
        self.line(f"[{_seconds(time.perf_counter() - start)}]", "dim")

    def _run(self, cell: Cell) -> None:
        """Run a cell of code and show what it gives: a value, or the error that is meant."""
        try:
            with self.plots.of_a_cell(), _output_to(self.out):
                found = cell.run(self.names)
        except BrokenPipeError:
            raise  # of what is printed, not of the lecture
        except Exception as e:
            if not cell.raises:
                raise _FailedError(f"a cell of the lecture failed:\n{cell.source}\n{e!r}") from e
            text = f"{type(e).__name__}: {str(e).splitlines()[0]}"
            self.line("\n".join(textwrap.wrap(text, _width())))
            return
        if cell.raises:
            raise _FailedError(f"a cell of the lecture was to raise an error:\n{cell.source}")
        if found is not None:
            self.line(repr(found))

    def timed(self, source: str, number: int, repeat: int) -> None:
        """What ``%timeit`` does in a notebook: the best of several times."""
        code = compile(source, "<lecture>", "exec")
        if not number:
            start = time.perf_counter()
            exec(code, self.names)
            number = max(1, int(0.05 / (time.perf_counter() - start)))
        best = float("inf")
        for _ in range(repeat):
            start = time.perf_counter()
            for _ in range(number):
                exec(code, self.names)
            best = min(best, (time.perf_counter() - start) / number)
        self.line(f"{_seconds(best)} each, the best of {repeat} times {number}: {source}")


class _output_to:  # noqa: N801 - a context manager
    """Context manager: what is printed goes to ``out``."""

    def __init__(self, out: TextIO) -> None:
        self.out = out

    def __enter__(self) -> None:
        self.before, sys.stdout = sys.stdout, self.out

    def __exit__(self, *exc: object) -> None:
        sys.stdout = self.before


def _width() -> int:
    import shutil

    return min(shutil.get_terminal_size().columns, 100)


def _paragraphs(text: str) -> Iterator[tuple[str, str]]:
    """Headings (bold) and paragraphs of Markdown, wrapped for the terminal."""
    for part in text.split("\n\n"):
        if part.startswith("#"):
            title = part.lstrip("# ")
            yield "bold", f"{title}\n{'=' * len(title)}"
        else:
            yield "", "\n".join(textwrap.wrap(part.replace("**", "").replace("\n", " "), _width()))


def _seconds(t: float) -> str:
    for scale, unit in ((1, "s"), (1e3, "ms"), (1e6, "us")):
        if t * scale >= 1:
            return f"{t * scale:.3g} {unit}"
    return f"{t * 1e9:.3g} ns"
