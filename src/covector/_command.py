"""What the commands ``python -m covector`` and ``python -m covector.debug`` share."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable


def run(main: Callable[[], int]) -> int:
    """The exit status of ``main``, which ends quietly if nobody reads the rest of its output."""
    try:
        try:
            return main()
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        # At its end Python would write what is left in the buffer, and complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
