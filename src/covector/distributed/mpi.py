"""Collectives over MPI, through mpi4py, for processes that ``mpirun`` has started.

Messages are non-blocking and looked after here, rather than waited for inside of MPI: so a process
hears of one that has ended or hangs while it waits for it. Where the launcher ends all processes
when one ends (MPICH's, and Open MPI's without ``--with-ft ulfm``), it comes first.
"""

from __future__ import annotations

import json
import socket
import sys
import time
from collections.abc import Mapping
from typing import Any

from covector.distributed.client import StoreClient, Watch
from covector.distributed.errors import DistributedError, ProcessFailedError
from covector.distributed.messages import FRAME, Messages, Mismatch

_VERDICT = 5.0
# How often requests are looked at without a pause, and the pauses after that in seconds.
_EAGER = 2000
_PAUSE = 50e-6

# Of the job that there is.
_watch: Watch | None = None
_failed = False
# Whether MPI was started here, and is to be ended here.
_is_ours = False


def watch_over(store: StoreClient) -> None:
    """Remember of which job failures are not to be waited for at the end of MPI."""
    global _watch
    _note_failure()
    _watch = store.watch


def _note_failure() -> None:
    global _failed
    _failed = _failed or (_watch is not None and _watch.failure is not None)


def world(rank: int, size: int, launcher: str) -> Any:
    """A communicator of mpi4py with all processes.

    Raises
    ------
    DistributedError
        If mpi4py is not installed, or belongs to another MPI than the launcher.
    """
    global _is_ours
    ours = "mpi4py.MPI" not in sys.modules
    try:
        import mpi4py

        if ours:
            # At the end of the program, unless a process has failed: it would be waited for.
            mpi4py.rc.finalize = False
        from mpi4py import MPI
    except (ImportError, RuntimeError) as e:
        raise DistributedError(
            f"{launcher} has started {size} processes, which need mpi4py to find each other ({e}): "
            "pip install 'mpi4py>=4.1', and an MPI, for example pip install mpich"
        ) from None
    if ours:
        _is_ours = True
    comm = MPI.COMM_WORLD
    if (comm.Get_rank(), comm.Get_size()) != (rank, size):
        library = MPI.Get_library_version().splitlines()[0]
        raise DistributedError(
            f"{launcher} has started process {rank} of {size}, but mpi4py takes it for "
            f"{comm.Get_rank()} of {comm.Get_size()}: it uses another MPI ({library}) than the "
            "launcher's. Take the launcher of that MPI"
        )
    return comm.Dup()


def finalize() -> None:
    """End MPI, at the end of the program, when leave was taken: it waits for the others."""
    if not _is_ours:
        return
    from mpi4py import MPI

    _note_failure()
    raised = getattr(sys, "last_value", None) is not None
    # It waits for all others, who may wait for this one in a collective.
    if not (_failed or raised) and MPI.Is_initialized() and not MPI.Is_finalized():
        MPI.Finalize()


def share_address(comm: Any, port: int) -> tuple[str, int]:
    """Where the coordinator is, told by process 0, which gives its port."""
    import numpy as np

    host = socket.gethostname().encode()[:200]
    hosts = np.zeros((comm.Get_size(), 200), np.uint8)
    mine = np.frombuffer(host.ljust(200, b"\0"), np.uint8)
    comm.Allgather(mine, hosts)
    address = np.zeros(256, np.uint8)
    if comm.Get_rank() == 0:
        alone = bool((hosts == hosts[0]).all())
        text = json.dumps(["127.0.0.1" if alone else host.decode(), port]).encode()
        address[: len(text)] = np.frombuffer(text, np.uint8)
    comm.Bcast(address, 0)
    name, number = json.loads(address.tobytes().rstrip(b"\0"))
    return str(name), int(number)


class MpiCommunicator(Messages):
    """Collectives over a communicator of mpi4py.

    Parameters
    ----------
    comm : mpi4py.MPI.Comm
    store : StoreClient
        Whose watch hears of failures.
    """

    def __init__(self, comm: Any, store: StoreClient) -> None:
        super().__init__(store.rank, store.size)
        assert store.watch is not None
        from mpi4py import MPI

        self._mpi, self._comm = MPI, comm
        self._store, self._watch = store, store.watch

    def close(self) -> None:
        """To free a communicator is a collective of its own, which may wait for who has failed."""

    def close_inherited(self) -> None:
        """MPI's connections are left to it."""

    def _exchange(
        self,
        sends: Mapping[int, memoryview],
        receives: Mapping[int, memoryview],
        frame: bytes,
    ) -> None:
        self._watch.check()
        byte = self._mpi.BYTE
        frames = {k: bytearray(FRAME.size) for k in receives}
        try:
            first = [self._comm.Irecv([buffer, byte], k) for k, buffer in frames.items()]
            sent = []
            for k, data in sends.items():
                sent.append(self._comm.Isend([frame, byte], k))
                if len(data):
                    sent.append(self._comm.Isend([data, byte], k))
            self._complete(first)
            for k, found in frames.items():
                if found != frame:
                    raise Mismatch(k, bytes(found))
            # Only now is it known that what comes is as long as what is waited for.
            rest = [self._comm.Irecv([data, byte], k) for k, data in receives.items() if len(data)]
            self._complete(rest + sent)
        except self._mpi.Exception as e:
            self._watch_or(e)

    def _complete(self, requests: list[Any]) -> None:
        tries = 0
        while not self._mpi.Request.Testall(requests):
            tries += 1
            if tries > _EAGER:
                time.sleep(_PAUSE)
            if self._watch.failure is not None:
                self._watch.check()

    def _watch_or(self, error: Exception) -> None:
        global _failed
        _failed = True
        self._watch.verdict(_VERDICT)
        others = [r for r in range(self.size) if r != self.rank]
        raise ProcessFailedError(
            f"MPI failed in process {self.rank}, and none of the processes {others} is known to "
            f"have ended: {error}",
            self.rank,
        ) from None

    def _report(self, process: int, text: str) -> None:
        self._store.report(process, "mismatch", text)
        global _failed
        _failed = True
        self._watch.verdict(_VERDICT)
