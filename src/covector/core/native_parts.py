"""Parts of the native core that few programs use: each is made when it is first asked for."""

from __future__ import annotations

import threading
from typing import Any

from covector import _native

_lock = threading.Lock()


def native_part(name: str) -> Any:
    """The native module ``name``, which the core's function ``load_`` of that name makes."""
    found = getattr(_native, name, None)
    if found is None:
        with _lock:
            if not hasattr(_native, name):
                getattr(_native, f"load_{name}")()
            found = getattr(_native, name)
    return found
