"""Memory mappings, of which a process may have so many: XLA's programs for CPUs take several each.

XLA ends the process where it gets no more, so programs that nobody needs are given up before.
"""

from __future__ import annotations

import gc
from pathlib import Path

from covector.core.errors import at_user_line
from covector.transforms.cache import clear_all

# Programs between two looks, and the share of the mappings there may be that programs are left.
EVERY = 128
_SHARE, _MOST = 0.6, 0.9


def keep_free() -> None:
    """Forget compiled programs if the process has taken most of the mappings it may have.

    Raises
    ------
    MemoryError
        If that does not help: they are in use.
    """
    most = allowed()
    if used() < _SHARE * most:
        return
    clear_all()
    gc.collect()
    if used() > _MOST * most:
        raise MemoryError(
            f"the programs of this process take up nearly all of the {most} memory mappings that "
            "the system lets a process have (vm.max_map_count): XLA would end the process. Give up "
            "compiled functions that are not needed any more, call covector.clear_caches(), or "
            f"have the limit raised{at_user_line()}"
        )


def used() -> int:
    """Memory mappings of this process; 0 where the system does not say."""
    try:
        with open("/proc/self/maps", "rb") as lines:
            return sum(1 for _ in lines)
    except OSError:
        return 0


def allowed() -> int:
    """How many a process may have."""
    try:
        return int(Path("/proc/sys/vm/max_map_count").read_text())
    except (OSError, ValueError):
        return 65530
