"""The garbage collector of cycles, while Covector builds what will stay."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def paused() -> Iterator[None]:
    """No collection of cycles inside, if there were any before.

    A compilation makes many objects that live as long as it; each collection would walk all of
    them and find nothing (a tenth of the time of a first call). Several threads may be inside:
    only who found the collector running sets it running again.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
