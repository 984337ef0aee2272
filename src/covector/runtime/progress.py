"""A line that says what takes long, where somebody watches: in a terminal or a notebook."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from covector.core.config import config

# Seconds after which the line is shown.
AFTER = 1.0

# There is one line at a time; what begins beside it has none.
_shown = threading.Lock()


@contextmanager
def progress(what: str) -> Iterator[None]:
    """Show ``what`` and the time it takes while the block runs, if that is more than a second.

    Nothing is shown where the error stream is no terminal, nor with ``show_progress=False``, and
    nothing is left of the line afterwards.
    """
    if not (config.show_progress and _is_watched()):
        yield
        return
    line = _Line(what)
    try:
        yield
    finally:
        line.end()


def _is_watched() -> bool:
    """Whether somebody sees a line. What stands for the error stream may be anything."""
    if _in_notebook():
        return True
    isatty = getattr(sys.stderr, "isatty", None)
    try:
        return isatty is not None and bool(isatty())
    except Exception:  # it is closed, or has its own mind
        return False


def _in_notebook() -> bool:
    get_shell = getattr(sys.modules.get("IPython"), "get_ipython", None)
    return get_shell is not None and "ZMQ" in type(get_shell()).__name__


class _Line:
    """What a thread of its own shows after a while, unless it has ended by then."""

    def __init__(self, what: str) -> None:
        self.what = what
        self.lock = threading.Lock()
        self.ended = False
        self.display: Any = None
        self.timer = threading.Timer(AFTER, self.show)
        self.timer.daemon = True
        self.timer.start()

    def show(self) -> None:
        with self.lock:
            if self.ended or not _shown.acquire(blocking=False):
                return
            try:
                self.display = _display(self.what)
                self.display.start()
            except Exception:  # a line is not worth an error
                self.display = None
                _shown.release()

    def end(self) -> None:
        self.timer.cancel()
        with self.lock:
            self.ended = True
            if self.display is not None:
                with suppress(Exception):
                    self.display.stop()
                _shown.release()


def _display(what: str) -> Any:
    # Few processes compile anything that long.
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    console = Console() if _in_notebook() else Console(file=sys.stderr)
    display = Progress(
        SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn(),
        console=console, transient=True,
    )  # fmt: skip
    display.add_task(what, total=None)
    return display
