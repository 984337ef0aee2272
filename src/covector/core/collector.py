"""The garbage collector of cycles, while Covector builds what will stay."""

from __future__ import annotations

import contextlib
import gc
import threading
from collections.abc import Iterator


@contextlib.contextmanager
def paused() -> Iterator[None]:
    """No collection of cycles inside, if there were any before.

    A compilation makes many objects that live as long as it; each collection would walk all of
    them and find nothing (a tenth of the time of a first call). The collector is the process's:
    it is left alone where other threads run, which may set it too.
    """
    if not gc.isenabled() or threading.active_count() > 1:
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
