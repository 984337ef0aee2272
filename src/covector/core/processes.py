"""Which of the processes that compute together this one is; `covector.distributed` sets it."""

from __future__ import annotations

index = 0
count = 1


def place(at: int, among: int) -> None:
    """Make this process number ``at`` of ``among``."""
    global index, count
    index, count = at, among
