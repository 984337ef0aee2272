"""Collectives through memory that processes of one host share; the native core does them.

The memory has no name in the file system: the first process makes it and the others open it through
that process's entry in ``/proc``, so that nothing is left behind, whatever ends them. A collective
that waits looks for failures, which the watch tells it of, and for signals.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import time
import weakref
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

import numpy as np

from covector.core.errors import at_user_line
from covector.core.native_parts import native_part
from covector.distributed.client import StoreClient
from covector.distributed.communicator import (
    Array,
    Collectives,
    as_bytes,
    check_reduction,
    code_of,
    reduce_first,
    text_of,
)
from covector.distributed.errors import (
    CollectiveMismatchError,
    DistributedError,
    ProcessFailedError,
    ProcessTimeoutError,
    difference,
    forked,
)

_VERDICT = 2.0
# Of numbers that NumPy reduces, so many bytes are gathered at a time.
_PIECE = 1 << 20
_MOST_PLANS = 1024


def _slot(size: int) -> int:
    """The bytes that a process writes at a time: those of all fit a cache that processors share."""
    return min(max((1 << 22) // size, 1 << 17), 1 << 20) // 4096 * 4096


def _open(where: dict[str, Any]) -> int:
    """The memory that another process has made.

    Raises
    ------
    OSError
        If it cannot be opened from here, or is another.
    """
    path = f"/proc/{where['pid']}/fd/{where['fd']}"
    if not os.readlink(path).startswith(f"/memfd:{where['name']}"):
        raise OSError(f"{path} is something else: the process is on another host")
    return os.open(path, os.O_RDWR | os.O_CLOEXEC)


def connect(
    store: StoreClient,
    members: Sequence[int],
    name: str,
    timeout: float,
    whole: Any = None,
) -> ShmCommunicator | None:
    """A communicator of these processes; None for all of them if they cannot share memory.

    Parameters
    ----------
    store : StoreClient
        Through which they find each other.
    members : sequence of int
        Their numbers in the job.
    name : str
        The same for all of them, and for no others.
    timeout : float
        Seconds until all must have called it.
    whole : Channel, optional
        Of all processes, if these are some of them.
    """
    rank, size = members.index(store.rank), len(members)
    deadline = time.monotonic() + timeout

    def left() -> float:
        return max(deadline - time.monotonic(), 0.1)

    channel, fd = None, -1
    try:
        with contextlib.suppress(OSError, AttributeError):
            if rank == 0:
                label = f"covector-{secrets.token_hex(8)}"
                where = {"pid": os.getpid(), "fd": -1, "name": label}
                try:
                    fd = where["fd"] = os.memfd_create(label)
                    os.ftruncate(fd, native_part("processes").segment_bytes(size, _slot(size)))
                finally:
                    store.set(f"{name}/where", json.dumps(where).encode())
            else:
                fd = _open(json.loads(store.get(f"{name}/where", left())))
            channel = native_part("processes").Channel(
                fd, rank, size, _slot(size), whole, list(members)
            )
        # All have it, or none uses it; until then the first keeps it open for the others.
        if rank > 0:
            store.set(f"{name}/{rank}", b"1" if channel is not None else b"0")
            all_have = store.get(f"{name}/all", left()) == b"1"
        else:
            found = [store.get(f"{name}/{k}", left()) for k in range(1, size)]
            all_have = channel is not None and b"0" not in found
            store.set(f"{name}/all", b"1" if all_have else b"0")
    finally:
        if fd >= 0:
            os.close(fd)
    return ShmCommunicator(channel, store, tuple(members), name, whole) if all_have else None


class ShmCommunicator(Collectives):
    """Collectives through shared memory.

    Parameters
    ----------
    channel : Channel
        Of the native core.
    store : StoreClient
        Whose watch hears of failures.
    members : tuple of int
        The numbers that the processes have in the job.
    name : str
        What the memory is known by in the store.
    whole : Channel or None
        Of all processes, if these are a group.
    """

    def __init__(
        self,
        channel: Any,
        store: StoreClient,
        members: tuple[int, ...],
        name: str,
        whole: Any = None,
    ) -> None:
        super().__init__(channel.rank, channel.size)
        assert store.watch is not None
        self.members = members
        self._channel, self._store, self._watch = channel, store, store.watch
        self._path, self._whole = name, channel if whole is None else whole
        self._pid = os.getpid()
        self._plans: dict[Any, Any] = {}
        self._inner: list[ShmCommunicator] = []
        self._watch.listen(channel.fail)

    def close(self) -> None:
        for group in self._inner:
            group.close()
        self._watch.forget(self._channel.fail)
        self._plans.clear()
        self._channel.close()

    def close_inherited(self) -> None:
        """Give back a forked process's view of the memory."""
        for group in self._inner:
            group.close_inherited()
        self._channel.close()

    # --- plans

    def plan(
        self,
        kind: str,
        x: Any,
        op: str = "sum",
        root: int = 0,
        pairs: Iterable[tuple[int, int]] = (),
        label: str = "",
    ) -> Any:
        """A collective that compiled programs call, without Python between.

        It is the method ``kind`` on arrays like ``x``: in the same order with others, whether of
        programs or of Python.

        Parameters
        ----------
        kind : str
            ``"allreduce"``, ``"reduce_scatter"``, ``"allgather"``, ``"broadcast"``,
            ``"alltoall"`` or ``"sendrecv"``.
        x : array or ShapeDtypeStruct
            What it is given: its shape and dtype count.
        op, root, pairs
            As of the method.
        label : str
            The program that calls it, the same in all processes: that of another is told from it.

        Returns
        -------
        Plan or None
            ``plan.ident`` is the attribute ``plan`` of the native function `target`; it is valid
            as long as the plan is kept. None for a reduction of a dtype that the native core does
            not know: its rows are to be gathered, and combined by the program.
        """
        size = int(np.prod(x.shape, dtype=np.int64))
        if kind in ("allreduce", "reduce_scatter"):
            check_reduction(kind, x, op)
            if code_of(x.dtype, op) < 0:
                return None
            each = size // self.size if kind == "reduce_scatter" else size
            return self._plan(kind, text_of(kind, x, repr(op)) + label, x.dtype, each, op)
        if kind == "broadcast":
            return self._plan(
                kind, text_of(kind, x, f"root={root}") + label, x.dtype, size, peer=root
            )
        if kind == "sendrecv":
            pairs = [(int(a), int(b)) for a, b in pairs]
            sources, text = {b: a for a, b in pairs}, text_of(kind, x, str(pairs))
            source = sources.get(self.rank, -1)
            sends = self.rank in dict(pairs)
            return self._plan(kind, text + label, x.dtype, size, peer=source, sends=sends)
        each = size // self.size if kind == "alltoall" else size
        return self._plan(kind, text_of(kind, x) + label, x.dtype, each)

    def _plan(
        self, kind: str, text: str, dtype: np.dtype[Any], count: int, op: str = "sum",
        peer: int = -1, sends: bool = False,
    ) -> Any:  # fmt: skip
        key = (kind, text, peer, sends)
        found = self._plans.get(key)
        if found is None:
            if len(self._plans) >= _MOST_PLANS:
                self._plans.clear()
            code = code_of(dtype, op) if kind in ("allreduce", "reduce_scatter") else -1
            found = native_part("processes").Plan(
                self._channel, kind, (text + self._name).encode(), count, dtype.itemsize, code, op,
                peer, sends,
            )  # fmt: skip
            _owners[found.ident] = self
            self._plans[key] = found
        return found

    def _run(self, plan: Any, x: Array, out: Array) -> Array:
        status, peer = plan.run(as_bytes(x), as_bytes(out))
        if status:
            self.explain(plan.text, status, peer)
        return out

    def explain(self, text: bytes, status: int, peer: int) -> NoReturn:
        """Raise what a collective that has not succeeded is about."""
        statuses = native_part("processes").statuses
        if status == statuses["forked"]:
            raise forked(self._pid)
        if status == statuses["closed"]:
            raise DistributedError(_CLOSED + at_user_line())
        self._watch.check()
        if status == statuses["differs"]:
            self._differ(text.decode(), peer)
        if status == statuses["left"]:
            self._watch.verdict(_VERDICT)
            here, there = self.members[self.rank], self.members[peer]
            raise ProcessFailedError(
                f"process {there} has left while process {here} waits for it in a collective: it "
                "has shut down, or its program is shorter",
                there,
            )
        raise DistributedError(
            "a collective was interrupted, so that the processes are no longer at the same one: "
            f"end the program, or call shutdown() and initialize() on all{at_user_line()}"
        )

    def _differ(self, text: str, peer: int) -> NoReturn:
        count, number, other = self._channel.difference()
        message = difference(
            (count, self.members[self.rank], text),
            (number, self.members[peer], other.decode(errors="replace")),
        )
        self._store.report(self.members[peer], "mismatch", message)
        self._watch.verdict(_VERDICT)
        raise CollectiveMismatchError(message)

    # --- collectives

    def _allreduce(self, text: str, array: Array, op: str) -> Array:
        if code_of(array.dtype, op) < 0:
            return self._reduce_pieces(text, array, op)
        plan = self._plan("allreduce", text, array.dtype, array.size, op)
        return self._run(plan, array, np.empty_like(array))

    def _reduce_pieces(self, text: str, array: Array, op: str) -> Array:
        """A reduction of numbers that NumPy combines."""
        flat, out = array.reshape(-1), np.empty_like(array).reshape(-1)
        step = max(_PIECE // array.itemsize // self.size, 1)
        for at in range(0, max(flat.size, 1), step):
            piece = slice(at, at + step)
            out[piece] = reduce_first(self._allgather(text, flat[piece]), op)
        return out.reshape(array.shape)

    def _reduce_scatter(self, text: str, array: Array, op: str) -> Array:
        if code_of(array.dtype, op) < 0:
            return reduce_first(self._alltoall(text, array), op)
        out = np.empty(array.shape[1:], array.dtype)
        return self._run(self._plan("reduce_scatter", text, array.dtype, out.size, op), array, out)

    def _allgather(self, text: str, array: Array) -> Array:
        out = np.empty((self.size, *array.shape), array.dtype)
        return self._run(self._plan("allgather", text, array.dtype, array.size), array, out)

    def _broadcast(self, text: str, array: Array, root: int) -> Array:
        plan = self._plan("broadcast", text, array.dtype, array.size, peer=root)
        return self._run(plan, array, np.empty_like(array))

    def _alltoall(self, text: str, array: Array) -> Array:
        plan = self._plan("alltoall", text, array.dtype, array.size // self.size)
        return self._run(plan, array, np.empty_like(array))

    def _sendrecv(self, text: str, array: Array, target: int | None, source: int | None) -> Array:
        peer, sends = -1 if source is None else source, target is not None
        plan = self._plan("sendrecv", text, array.dtype, array.size, peer=peer, sends=sends)
        return self._run(plan, array, np.empty_like(array))

    def _barrier(self, text: str) -> None:
        nothing = np.empty(0, np.uint8)
        # Texts of `agree` are many: they are not kept.
        plan = self._plan("barrier", text, nothing.dtype, 0)
        self._run(plan, nothing, nothing)

    def _make_group(self, members: tuple[int, ...], number: int) -> Collectives:
        name = f" in group {number} of the processes {list(members)}"
        path = f"{self._path}{name}"
        there = [self.members[k] for k in members]
        try:
            found = connect(self._store, there, path, self._store.patience, self._whole)
        except ProcessTimeoutError:
            raise ProcessTimeoutError(
                f"group: not all of the processes {list(members)} have made this group within "
                f"{self._store.patience:g} s: each of them must call group with the same list"
                f"{at_user_line()}"
            ) from None
        if found is None:
            raise DistributedError(
                f"group: the processes {list(members)} could open no more shared memory: is there "
                f"a limit of open files or of memory?{at_user_line()}"
            )
        found._name = f"{self._name}{name}"
        self._inner.append(found)
        return found


# --- compiled programs

_CLOSED = "a collective is called after shutdown()"
_owners: weakref.WeakValueDictionary[int, ShmCommunicator] = weakref.WeakValueDictionary()


def _explain(ident: int, text: bytes, status: int, peer: int) -> None:
    owner = _owners.get(ident)
    if owner is None:
        raise DistributedError(_CLOSED)
    owner.explain(text, status, peer)


def target() -> Any:
    """The handler that compiled programs call plans by, for `covector.ffi.register_ffi_target`.

    It takes an array and gives an array, and has the attribute ``plan``.
    """
    native_part("processes").set_explain(_explain)
    return native_part("processes").handler
