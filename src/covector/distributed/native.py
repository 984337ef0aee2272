"""The native side of collectives, which is made when it is first asked for."""

from __future__ import annotations

import threading
from typing import Any

from covector import _native

_lock = threading.Lock()


def native() -> Any:
    """The module: `Channel`, `Plan` and `reduce`."""
    found = getattr(_native, "processes", None)
    if found is None:
        with _lock:
            if not hasattr(_native, "processes"):
                _native.load_processes()
            found = _native.processes
    return found
