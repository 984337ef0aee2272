"""Starting to compute together, and taking leave (`initialize`, `shutdown`)."""

from __future__ import annotations

import atexit
import contextlib
import ipaddress
import os
import sys
import threading
import time
from collections.abc import Iterable, Sequence
from operator import index
from typing import Any

import numpy as np

from covector.core import processes
from covector.core.backend import get_backend, loaded
from covector.core.errors import at_user_line
from covector.distributed.client import StoreClient
from covector.distributed.communicator import Collectives
from covector.distributed.errors import DistributedError, ProcessTimeoutError
from covector.distributed.launch import Launch, detect
from covector.distributed.messages import Alone
from covector.distributed.store import StoreServer
from covector.distributed.wire import split_address


class Job:
    """What a process has of the others: the service, its calls, the collectives."""

    def __init__(
        self,
        server: StoreServer | None,
        store: StoreClient | None,
        communicator: Collectives,
        patience: float,
        cpus: Sequence[int] = (),
    ) -> None:
        self.server, self.store, self.communicator = server, store, communicator
        self.patience = patience
        self.cpus = tuple(cpus)  # the number of devices of each process; none for one alone
        self._groups: dict[tuple[int, ...], Collectives] = {}

    def group(self, ranks: tuple[int, ...]) -> Collectives:
        """The collectives of some of the processes, one object for the same ones."""
        if ranks == self.communicator.members:
            return self.communicator
        found = self._groups.get(ranks)
        if found is None:
            found = self._groups[ranks] = self.communicator.group(ranks)
        return found

    def end(self) -> None:
        """Take leave; the coordinator waits for the others."""
        self.communicator.close()
        if self.store is not None:
            self.store.leave()
        if self.server is None:
            return
        missing = self.server.wait_until_all_left(self.patience)
        self.server.stop()
        if missing:
            raise ProcessTimeoutError(
                f"shutdown: processes {missing} have not called it within {self.patience:g} s"
            )

    def abandon(self, text: str) -> None:
        """Say that this process cannot go on, and take leave of nobody."""
        if self.store is not None:
            self.store.report(self.communicator.rank, "raised", text)
        self.communicator.close()
        if self.server is not None:
            self.server.stop()

    def close_inherited(self) -> None:
        """Close the connections of the parent in a forked process, so that they end with it."""
        for part in (self.server, self.store, self.communicator):
            with contextlib.suppress(OSError):
                getattr(part, "close_inherited", lambda: None)()


_job: Job | None = None
_is_over = False  # whether there was one
_lock = threading.Lock()


def current_job() -> Job:
    """The job of this process.

    Raises
    ------
    RuntimeError
        If there is none.
    """
    if _job is None and _is_over:
        raise RuntimeError(
            "this process computes alone since covector.distributed.shutdown(): arrays that were "
            f"spread over processes cannot be used after it{at_user_line()}"
        )
    if _job is None:
        raise RuntimeError(
            "this process computes alone: call covector.distributed.initialize() first"
            f"{at_user_line()}"
        )
    return _job


def check_shapes(sharding: Any, shape: Sequence[int], what: str) -> None:
    """Raise the error where processes find different shapes of an array that all have parts of."""
    from covector.sharding.partition.mesh import process_mesh  # few programs need it

    ranks = process_mesh(sharding.mesh).ranks
    found = current_job().group(ranks).allgather(np.array(shape, np.int64))
    if (found != found[0]).any():
        each = ", ".join(
            f"process {r} {tuple(int(n) for n in row)}" for r, row in zip(ranks, found, strict=True)
        )
        raise ValueError(
            f"{what}: the parts that processes have make up arrays of different shapes: {each}. "
            f"Parts must be of one size; pad them, or give global_shape{at_user_line()}"
        )


def check_programs(ranks: Sequence[int], name: str, digest: str) -> None:
    """Raise the error where the processes ``ranks`` do not all come to the program ``name``, which
    ``digest`` tells from others.

    Raises
    ------
    CollectiveMismatchError
        In all of them.
    """
    current_job().group(tuple(ranks)).agree(f"the program {name}", digest.encode())


def _launch(address: str | None, size: int | None, rank: int | None, method: str | None) -> Launch:
    """What was given, completed by what the environment says."""
    given = {"coordinator_address": address, "num_processes": size, "process_id": rank}
    missing = [name for name, value in given.items() if value is None]
    if size is not None and size < 1:
        raise ValueError(f"num_processes is at least 1, got {size}{at_user_line()}")
    if size is not None and rank is not None and not 0 <= rank < size:
        raise ValueError(
            f"process_id is from 0 to {size - 1} for num_processes={size}, got {rank}"
            f"{at_user_line()}"
        )
    if address is not None:
        split_address(address)
    if not missing:
        assert size is not None and rank is not None
        return Launch("your own command", rank, size, address, "tcp")
    found = detect(os.environ, method)
    if found is None:
        raise ValueError(
            f"initialize: {', '.join(missing)} must be given, for neither mpirun nor SLURM has "
            "started this process. Give all three: initialize('host:port', num_processes, "
            f"process_id){at_user_line()}"
        )
    size = found.size if size is None else size
    rank = found.rank if rank is None else rank
    if not 0 <= rank < size:
        raise ValueError(
            f"initialize: there is no process {rank} among {size}; {found.launcher} has started "
            f"process {found.rank} of {found.size}{at_user_line()}"
        )
    if (rank, size) != (found.rank, found.size):
        # MPI has its own numbers, which cannot be changed.
        if address is None and found.address is None:
            raise ValueError(
                f"initialize: coordinator_address must be given with other numbers than those of "
                f"{found.launcher}, process {found.rank} of {found.size}{at_user_line()}"
            )
        return Launch(found.launcher, rank, size, address or found.address, "tcp")
    return found._replace(address=address or found.address)


def _device_ids(given: int | Sequence[int] | None) -> tuple[int, ...]:
    """The GPUs of this process; none where all are."""
    if given is None:
        return ()
    found = tuple(map(index, given)) if isinstance(given, Iterable) else (index(given),)
    if not found:
        raise ValueError(
            f"local_device_ids names the GPUs of this process, got none{at_user_line()}"
        )
    if any(k < 0 for k in found) or len(set(found)) < len(found):
        raise ValueError(
            f"local_device_ids are different numbers from 0, got {given!r}{at_user_line()}"
        )
    return found


def _bind_address(address: str | None, bind: str | None) -> tuple[str, int]:
    """Where the coordinator listens: all addresses, unless its own is of this machine alone."""
    if bind is not None:
        return split_address(bind)
    if address is None:
        return "", 0
    host, port = split_address(address)
    try:
        local = ipaddress.ip_address(host).is_loopback
    except ValueError:
        local = host == "localhost"
    return (host if local else ""), port


def _connect(store: StoreClient, comm: Any, deadline: float) -> Collectives:
    """What carries the collectives: memory on one host, otherwise messages."""
    if comm is not None:
        from covector.distributed import mpi

        mpi.watch_over(store)
    left = max(deadline - time.monotonic(), 0.1)
    shares = os.environ.get("COVECTOR_SHARED_MEMORY", "1").strip() != "0"
    store.set(f"shares/{store.rank}", b"1" if shares else b"0")
    if all(store.get(f"shares/{k}", left) == b"1" for k in range(store.size)):
        from covector.distributed import shared

        found = shared.connect(store, range(store.size), "shared", left)
        if found is not None:
            return found
    if comm is not None:
        return mpi.MpiCommunicator(comm, store)
    from covector.distributed.tcp import TcpCommunicator

    return TcpCommunicator(store, max(deadline - time.monotonic(), 0.1))


def _start(
    launch: Launch, bind: str | None, timeout: float, silence: float, patience: float
) -> Job:
    deadline = time.monotonic() + timeout
    server = store = None
    try:
        comm: Any = None
        if launch.engine == "mpi":
            from covector.distributed import mpi

            comm = mpi.world(launch.rank, launch.size, launch.launcher)
        if launch.rank == 0:
            server = StoreServer(*_bind_address(launch.address, bind), launch.size, silence)
        if launch.address is not None:
            host, port = split_address(launch.address)
        else:
            host, port = mpi.share_address(comm, 0 if server is None else server.port)
        store = StoreClient(host, port, launch.rank, launch.size, timeout, silence)
        store.set(f"cpus/{launch.rank}", str(len(get_backend("cpu").devices())).encode())
        store.barrier("initialize", max(deadline - time.monotonic(), 0.1))
        communicator = _connect(store, comm, deadline)
        cpus = [int(store.get(f"cpus/{k}", 1.0)) for k in range(store.size)]
        # None goes on, and perhaps fails, while others still start.
        store.barrier("connected", max(deadline - time.monotonic(), 1.0))
        return Job(server, store, communicator, patience, cpus)
    except BaseException:
        if store is not None:
            store.leave()
        if server is not None:
            server.stop()
        raise


def initialize(
    coordinator_address: str | None = None,
    num_processes: int | None = None,
    process_id: int | None = None,
    local_device_ids: int | Sequence[int] | None = None,
    cluster_detection_method: str | None = None,
    initialization_timeout: int = 300,
    heartbeat_timeout_seconds: int = 50,
    shutdown_timeout_seconds: int = 300,
    coordinator_bind_address: str | None = None,
    slice_index: int | None = None,
    partition_index: int | None = None,
) -> None:
    """Find the other processes that compute together with this one.

    All processes call it, once, before their first collective.

    Parameters
    ----------
    coordinator_address : str, optional
        ``"host:port"`` of process 0. Not needed under ``mpirun`` and SLURM.
    num_processes : int, optional
        How many there are. Not needed under ``mpirun`` and SLURM.
    process_id : int, optional
        Number of this one, from 0. Not needed under ``mpirun`` and SLURM.
    local_device_ids : int or sequence of int, optional
        Numbers of the machine's GPUs that are of this process, by default all that it sees.
    cluster_detection_method : str, optional
        ``"mpi4py"`` or ``"slurm"`` looks for that launcher alone, ``"deactivate"`` for none,
        ``"auto"``, as None, for both.
    initialization_timeout : int
        Seconds until all processes must be there.
    heartbeat_timeout_seconds : int
        Seconds without a sign of life after which a process has failed. That one has ended is
        noticed at once.
    shutdown_timeout_seconds : int
        Seconds that process 0 waits for the others at the end.
    coordinator_bind_address : str, optional
        ``"host:port"`` at which process 0 listens, if that is not all addresses of its machine and
        the port of ``coordinator_address``.
    slice_index, partition_index : int, optional
        For TPUs, whose processes find each other otherwise: not there yet.

    Returns
    -------
    None

    Raises
    ------
    RuntimeError
        If it was called already.
    ValueError
        If the numbers are not given, and no launcher tells them.
    DistributedError
        If the processes do not find each other: which have not come, or what is in the way.

    Examples
    --------
    With ``mpirun -n 4 python program.py``, or in a job of SLURM:

    >>> import covector as cv
    >>> cv.distributed.initialize()  # doctest: +SKIP

    By hand, on each machine with its own number:

    >>> cv.distributed.initialize("10.0.0.1:6789", num_processes=4, process_id=2)  # doctest: +SKIP

    One process is a job, too:

    >>> cv.distributed.initialize("localhost:6789", num_processes=1, process_id=0)
    >>> cv.process_count()
    1
    >>> cv.distributed.shutdown()
    """
    global _job
    for name, value in (
        ("slice_index", slice_index),
        ("partition_index", partition_index),
    ):
        if value is not None:
            raise NotImplementedError(
                f"initialize: {name} is not there yet: TPUs of several hosts find each other by "
                f"themselves{at_user_line()}"
            )
    for name, seconds in (
        ("initialization_timeout", initialization_timeout),
        ("heartbeat_timeout_seconds", heartbeat_timeout_seconds),
        ("shutdown_timeout_seconds", shutdown_timeout_seconds),
    ):
        if not seconds > 0:
            raise ValueError(f"initialize: {name} is positive, got {seconds}{at_user_line()}")
    with _lock:
        if _job is not None:
            here = _job.communicator
            raise RuntimeError(
                f"initialize was called already: this is process {here.rank} of {here.size}. Call "
                f"shutdown() first, if it is to join others{at_user_line()}"
            )
        launch = _launch(coordinator_address, num_processes, process_id, cluster_detection_method)
        visible = _device_ids(local_device_ids)
        if launch.size > 1 or visible:
            for backend in loaded.values():
                getattr(backend, "check_not_started", lambda: None)()
        if launch.size == 1:
            _job = Job(None, None, Alone(), shutdown_timeout_seconds)
        else:
            _job = _start(
                launch, coordinator_bind_address, initialization_timeout,
                heartbeat_timeout_seconds, shutdown_timeout_seconds,
            )  # fmt: skip
        processes.place(launch.rank, launch.size, _job.cpus, visible)


def shutdown() -> None:
    """Take leave of the other processes; without any, nothing happens.

    Process 0 waits for the others. After it, `initialize` may be called again.

    Returns
    -------
    None

    Raises
    ------
    ProcessTimeoutError
        In process 0, if others have not called it in time.

    Examples
    --------
    >>> import covector as cv
    >>> cv.distributed.shutdown()
    >>> cv.distributed.is_initialized()
    False
    """
    global _job, _is_over
    with _lock:
        job, _job = _job, None
        processes.place(0, 1)
        if job is not None:
            _is_over = True
            job.end()


def is_initialized() -> bool:
    """Whether this process computes together with others.

    Returns
    -------
    bool

    Examples
    --------
    >>> import covector as cv
    >>> cv.distributed.is_initialized()
    False
    """
    return _job is not None


def get_communicator() -> Collectives:
    """The collectives of the processes, on NumPy arrays.

    Returns
    -------
    Communicator

    Raises
    ------
    RuntimeError
        If `initialize` was not called.

    Examples
    --------
    >>> import covector as cv
    >>> cv.distributed.initialize("localhost:6789", num_processes=1, process_id=0)
    >>> cv.distributed.get_communicator().allreduce([1.0, 2.0])
    array([1., 2.])
    >>> cv.distributed.shutdown()
    """
    return current_job().communicator


def _at_exit() -> None:
    global _job
    job, _job = _job, None
    error = getattr(sys, "last_value", None)
    if error is not None and job is not None:
        text = f"{type(error).__name__}: {error}".strip(": \n").splitlines()[0]
        job.abandon(f"process {job.communicator.rank} has ended by an exception, {text:.300}")
        return
    try:
        if job is not None:
            job.end()
    except DistributedError as e:
        print(f"covector: {e}", file=sys.stderr)
        return
    mpi = sys.modules.get("covector.distributed.mpi")
    if mpi is not None:
        mpi.finalize()


def _after_fork() -> None:
    """The child is none of the processes that compute together."""
    global _job, _lock
    job, _job = _job, None
    _lock = threading.Lock()
    if job is not None:
        processes.place(0, 1)
        job.close_inherited()


atexit.register(_at_exit)
os.register_at_fork(after_in_child=_after_fork)
