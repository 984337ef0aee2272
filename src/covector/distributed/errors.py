"""What can go wrong between processes."""

from __future__ import annotations


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
