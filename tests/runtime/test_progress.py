"""The line that is shown while a compilation takes long."""

import contextlib
import io
import sys
import threading
import time

import pytest

import covector as cv
import covector.numpy as np
from covector.runtime import progress


class Screen(io.StringIO):
    def isatty(self):
        return True


@contextlib.contextmanager
def watched(after, screen=None):
    """The error stream as a terminal, and lines that come earlier."""
    screen = screen or Screen()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stderr", screen)
        patch.setattr(progress, "AFTER", after)
        patch.setenv("TERM", "xterm")
        yield screen


def test_what_takes_long_is_shown_with_its_name():
    with watched(0.02) as screen, progress.progress("compiling [f] for cpu"):
        time.sleep(0.3)
    assert "compiling [f] for cpu" in screen.getvalue()
    # The line is taken back, and the cursor is there again.
    assert screen.getvalue().rstrip().endswith("\x1b[2K")
    assert "\x1b[?25h" in screen.getvalue()


def test_a_compilation_is_shown():
    def name_of_the_function(x):
        return np.sin(x) * 3

    with watched(0.0) as screen:
        cv.jit(name_of_the_function)(np.arange(7.0))
    assert "compiling name_of_the_function for cpu" in screen.getvalue()


def test_what_is_quick_is_not_shown():
    threads = threading.active_count()
    with watched(0.5) as screen, progress.progress("f"):
        pass
    time.sleep(0.05)
    assert screen.getvalue() == "" and threading.active_count() <= threads


class Writes:
    """All that some programs put in the place of the error stream."""

    def write(self, text):
        raise OSError(text)

    def flush(self):
        pass


class Breaks(Writes):
    def isatty(self):
        return True


def closed():
    stream = io.StringIO()
    stream.close()
    return stream


@pytest.mark.parametrize("stream", [io.StringIO(), None, Writes(), Breaks(), closed()])
def test_nothing_is_shown_where_nobody_watches(stream):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stderr", stream)
        patch.setattr(progress, "AFTER", 0.0)
        patch.setitem(sys.modules, "IPython", object())
        for _ in range(2):
            with progress.progress("f"):
                time.sleep(0.05)
    assert not isinstance(stream, io.StringIO) or stream.closed or stream.getvalue() == ""
    assert not progress._shown.locked()


def test_there_is_one_line_at_a_time_and_errors_end_it():
    with watched(0.01) as screen:
        with pytest.raises(KeyError), progress.progress("outer"):
            time.sleep(0.1)
            with progress.progress("inner"):
                time.sleep(0.1)
            raise KeyError
        with progress.progress("next"):
            time.sleep(0.1)
    text = screen.getvalue()
    assert "outer" in text and "next" in text and "inner" not in text
