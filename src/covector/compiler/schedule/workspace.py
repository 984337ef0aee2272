"""Where the pieces of the workspace lie, once the sizes of a call are known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def workspace_layout(
    sizes: Sequence[tuple[Any, ...]], params: Sequence[int]
) -> tuple[list[int], int]:
    """Offset of each piece, reusing space of pieces no longer in use, and the total."""
    placed: list[tuple[int, int, int, int]] = []
    offsets, total = [], 0
    for dims, itemsize, start, end in sizes:
        n = itemsize
        for d in dims:
            n *= params[d[1]] if type(d) is tuple else d
        n = (max(n, 1) + 127) // 64 * 64
        at = 0
        for p0, p1, _, _ in sorted(p for p in placed if p[2] <= end and p[3] >= start):
            if at + n <= p0:
                break
            at = max(at, p1)
        placed.append((at, at + n, start, end))
        offsets.append(at)
        total = max(total, at + n)
    return offsets, total
