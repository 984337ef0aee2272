"""What can go wrong between processes."""

from __future__ import annotations

import os

from covector.core.errors import at_user_line


class DistributedError(RuntimeError):
    """Processes that compute together cannot go on, or cannot start."""


class ProcessFailedError(DistributedError):
    """Another process has ended, or does not answer.

    Attributes
    ----------
    process : int
        Its number.
    """

    def __init__(self, text: str, process: int) -> None:
        super().__init__(text)
        self.process = process


class CollectiveMismatchError(DistributedError):
    """Processes call different collectives, or in a different order, or with different shapes."""


class ProcessTimeoutError(DistributedError, TimeoutError):
    """What other processes were to do has not happened in time."""


class ForeignMessageError(DistributedError):
    """What came over a connection is no message of this library."""


def difference(here: tuple[int, int, str], there: tuple[int, int, str]) -> str:
    """What is said of two processes whose collectives differ.

    Parameters
    ----------
    here, there : (int, int, str)
        The number of the collective, that of the process, and what it calls; of the other process,
        the beginning of that.
    """
    count, process, text = here
    number, peer, other = there
    if other == text[: len(other)] and number == count:
        other = "the same with another value"
    return (
        f"processes run different programs: as collective number {count}, process {process} calls "
        f"{text}, and as number {number}, process {peer} calls {other}. All must call the same "
        "ones in the same order, with the same shapes and dtypes"
    )


def forked(parent: int) -> DistributedError:
    """The error of a process that was forked from one of the job."""
    return DistributedError(
        f"process {parent} was forked: its child {os.getpid()} is none of the processes that "
        f"compute together, and cannot call a collective{at_user_line()}"
    )
