"""Processes that compute together (`covector.distributed`)."""

from covector.core.errors import export as _export
from covector.distributed.bootstrap import (
    get_communicator,
    initialize,
    is_initialized,
    shutdown,
)
from covector.distributed.communicator import Communicator
from covector.distributed.errors import (
    CollectiveMismatchError,
    DistributedError,
    ProcessFailedError,
    ProcessTimeoutError,
)

__all__ = [
    "CollectiveMismatchError",
    "Communicator",
    "DistributedError",
    "ProcessFailedError",
    "ProcessTimeoutError",
    "get_communicator",
    "initialize",
    "is_initialized",
    "shutdown",
]

_export(globals(), __all__)
