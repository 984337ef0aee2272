"""Which of the processes that compute together this one is; `covector.distributed` sets it."""

from __future__ import annotations

from collections.abc import Sequence

index = 0
count = 1
# The number of CPU devices of each process; none where this one is alone.
devices: tuple[int, ...] = ()
# Which of the machine's GPUs are of this process; none where all are.
gpus: tuple[int, ...] = ()


def place(at: int, among: int, cpus: Sequence[int] = (), visible: Sequence[int] = ()) -> None:
    """Make this process number ``at`` of ``among``, which have so many CPU devices each."""
    global index, count, devices, gpus
    index, count, devices, gpus = at, among, tuple(cpus), tuple(visible)
