"""What schedules are made for: the numbers of a processor that decide about loops."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Target:
    """A processor as the scheduler sees it.

    Attributes
    ----------
    vector_bytes : int
        Bytes of one vector.
    """

    vector_bytes: int = 64

    def lanes(self, itemsize: int) -> int:
        """Elements of a vector."""
        return self.vector_bytes // itemsize


# The number of threads is no part of it: loops are cut into tasks of a fixed size, so that
# results do not depend on it.
HOST = Target()
