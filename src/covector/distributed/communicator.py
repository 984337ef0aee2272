"""Collectives between processes, on NumPy arrays.

`Communicator` is what they offer. `Collectives` composes all of them of one step, "send these bytes
to those processes, receive those bytes from these", which an engine implements: `tcp` over sockets
of our own, `mpi` over MPI. So both give the same results to the bit: sums are taken in the order of
the processes, whatever the size of the array and the engine.

Each message carries the *fingerprint* of the collective: how many there were before, its name, and
the shapes and dtypes of what it is given. A process compares it with its own before it uses what
came with it, and each hears from its neighbour in any case, so that different programs are
reported, rather than computed with or waited for.
"""

from __future__ import annotations

import abc
import hashlib
import os
import struct
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NoReturn, Protocol, runtime_checkable

import ml_dtypes
import numpy as np

from covector.core.errors import at_user_line
from covector.distributed.errors import CollectiveMismatchError, DistributedError

Array = np.ndarray[Any, Any]

FRAME = struct.Struct("<Q16sH230s")
# Arrays of up to this many bytes are summed by all processes, larger ones in parts.
_SMALL = 1 << 13

_OPS: dict[str, Callable[..., Any]] = {
    "sum": np.add, "prod": np.multiply, "max": np.maximum, "min": np.minimum,
    "and": np.bitwise_and, "or": np.bitwise_or, "xor": np.bitwise_xor,
}  # fmt: skip


@runtime_checkable
class Communicator(Protocol):
    """What processes that compute together can do.

    All processes call the same methods in the same order. Results are new arrays.

    Attributes
    ----------
    rank : int
        Number of this process.
    size : int
        How many there are.
    """

    rank: int
    size: int

    def allreduce(self, x: Any, op: str = "sum") -> Array:
        """The sum (product, maximum, …) of the arrays of all processes, on all of them."""

    def allgather(self, x: Any) -> Array:
        """The arrays of all processes, joined along a new first axis."""

    def broadcast(self, x: Any, root: int = 0) -> Array:
        """The array of one process, on all."""

    def alltoall(self, x: Any) -> Array:
        """Row ``i`` is that which process ``i`` has for this one; rows are along the first axis."""

    def sendrecv(self, x: Any, pairs: Iterable[tuple[int, int]]) -> Array:
        """The array of the process that ``(source, target)`` says; zeros if there is none."""

    def barrier(self) -> None:
        """Wait until all processes are there."""

    def agree(self, what: str, value: bytes) -> None:
        """Raise an error on all processes unless all have the same bytes."""

    def group(self, members: Iterable[int]) -> Communicator:
        """A communicator of some of the processes, in that order; all of them call it."""


def _describe(x: Array) -> str:
    return f"{x.dtype.name}[{','.join(map(str, x.shape))}]"


def _given(x: Any, what: str) -> Array:
    array = np.asarray(x)
    if array.dtype.hasobject or array.dtype.itemsize == 0:
        raise TypeError(
            f"{what} takes arrays of numbers, got one of dtype {array.dtype}{at_user_line()}"
        )
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    return array if array.flags.c_contiguous else array.copy()


def as_bytes(x: Array) -> memoryview:
    """The memory of a contiguous array; NumPy's own view knows not all dtypes."""
    return x.reshape(-1).view(np.uint8).data if x.nbytes else memoryview(b"")


def _wide(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """What numbers of a dtype are added in: short ones are rounded once, at the end."""
    try:
        short = dtype.itemsize <= 2 and ml_dtypes.finfo(dtype) is not None
    except ValueError:
        short = False
    return np.dtype(np.float32) if short else dtype


def reduce_rows(rows: Iterable[Array], op: str) -> Array:
    """The rows combined in their order."""
    rows = iter(rows)
    first = next(rows)
    wide = _wide(first.dtype) if op in ("sum", "prod") else first.dtype
    out = first.astype(wide)
    for row in rows:
        _OPS[op](out, row.astype(wide, copy=False), out=out)
    with np.errstate(over="ignore"):
        return out.astype(first.dtype, copy=False)


def frame_of(count: int, text: str) -> bytes:
    """The fingerprint of a collective: a digest of all of it, and the start of its text."""
    data = text.encode()
    shown = data[:230]
    digest = hashlib.blake2b(data, digest_size=16).digest()
    return FRAME.pack(count, digest, len(shown), shown)


class Mismatch(Exception):
    """Raised by an engine whose peer, a number in the job, has sent another fingerprint."""

    def __init__(self, peer: int, frame: bytes) -> None:
        self.peer, self.frame = peer, frame


class Collectives(abc.ABC):
    """All collectives, composed of one step that an engine implements.

    Parameters
    ----------
    rank, size : int
        Which process this is, of how many.

    Attributes
    ----------
    members : tuple of int
        The numbers that the processes have in the job.
    """

    def __init__(self, rank: int, size: int) -> None:
        self.rank, self.size = rank, size
        self.members = tuple(range(size))
        self._name = ""  # what tells a group from others in fingerprints
        self._groups: Counter[tuple[int, ...]] = Counter()
        self._count = 0
        self._text, self._frame = "", b""
        self._pid = os.getpid()

    @abc.abstractmethod
    def _exchange(
        self,
        sends: Mapping[int, memoryview],
        receives: Mapping[int, memoryview],
        frame: bytes,
    ) -> None:
        """Send and receive at once.

        The frame goes before what is sent, and before what is received there must be the same;
        otherwise `Mismatch` is raised.
        """

    @abc.abstractmethod
    def _report(self, process: int, text: str) -> None:
        """Tell all processes of the job that programs differ, and raise what is known first."""

    @abc.abstractmethod
    def close(self) -> None:
        """Give back what the engine holds."""

    # --- steps

    def _first(
        self, text: str, sends: Mapping[int, memoryview], receives: Mapping[int, memoryview]
    ) -> None:
        """The first step of a collective: it shows that all are at the same one."""
        if os.getpid() != self._pid:
            raise DistributedError(
                f"process {self._pid} was forked: its child {os.getpid()} is none of the processes "
                f"that compute together, and cannot call a collective{at_user_line()}"
            )
        self._count += 1
        self._text = text + self._name
        self._frame = frame_of(self._count, self._text)
        if self.size == 1:
            return
        right, left = (self.rank + 1) % self.size, (self.rank - 1) % self.size
        nothing = memoryview(b"")
        self._next({right: nothing, **sends}, {left: nothing, **receives})

    def _next(self, sends: Mapping[int, memoryview], receives: Mapping[int, memoryview]) -> None:
        """A further step of it."""
        try:
            self._exchange(sends, receives, self._frame)
        except Mismatch as e:
            self._differ(e)

    def _differ(self, found: Mismatch) -> NoReturn:
        text = self._text
        count, _, length, theirs = FRAME.unpack(found.frame)
        other = theirs[:length].decode(errors="replace")
        if other == text[: len(other)] and count == self._count:
            other = "the same with another value"
        message = (
            f"processes run different programs: as collective number {self._count}, process "
            f"{self.members[self.rank]} calls {text}, and as number {count}, process {found.peer} "
            f"calls {other}. "
            "All must call the same ones in the same order, with the same shapes and dtypes"
        )
        self._report(found.peer, message)
        raise CollectiveMismatchError(message)

    def _others(self) -> list[int]:
        # Each starts with another peer, so that not all send to one.
        return [(self.rank + k) % self.size for k in range(1, self.size)]

    # --- collectives

    def allreduce(self, x: Any, op: str = "sum") -> Array:
        """The sum (product, maximum, …) of the arrays of all processes, on all of them.

        Parameters
        ----------
        x : array_like
            Of the same shape and dtype on all processes.
        op : str
            ``"sum"``, ``"prod"``, ``"max"``, ``"min"``, ``"and"``, ``"or"`` or ``"xor"``.

        Returns
        -------
        numpy.ndarray
            The same to the bit on all processes, and for any engine: combined in the order of the
            processes. Numbers of 16 bits or less are added in float32 and rounded once.

        Raises
        ------
        ProcessFailedError
            If a process fails meanwhile.
        CollectiveMismatchError
            If another process calls something else.
        """
        array = _given(x, "allreduce")
        if op not in _OPS:
            raise ValueError(
                f"allreduce takes an op of {', '.join(_OPS)}, got {op!r}{at_user_line()}"
            )
        if array.dtype.kind == "b" and op in ("sum", "prod"):
            raise TypeError(
                f"allreduce: booleans have no {op}; convert them to integers, or take op='or' or "
                f"'and'{at_user_line()}"
            )
        if op in ("and", "or", "xor") and array.dtype.kind not in "biu":
            raise TypeError(
                f"allreduce: op={op!r} is of booleans and integers, got {_describe(array)}"
                f"{at_user_line()}"
            )
        text = f"allreduce({_describe(array)}, {op!r})"
        if array.nbytes <= _SMALL:
            rows = self._gather(text, array)
            one = (rows[k : k + 1] for k in range(self.size))
            return reduce_rows(one, op).reshape(array.shape)
        return self._reduce_parts(text, array, op)

    def _reduce_parts(self, text: str, array: Array, op: str) -> Array:
        """Each process reduces a part and sends it to all."""
        flat = array.reshape(-1)
        bounds = [flat.size * k // self.size for k in range(self.size + 1)]
        parts = [slice(a, b) for a, b in zip(bounds, bounds[1:], strict=False)]
        mine = parts[self.rank]
        rows = {k: np.empty(flat[mine].shape, array.dtype) for k in self._others()}
        self._first(
            text,
            {k: as_bytes(flat[parts[k]]) for k in self._others()},
            {k: as_bytes(row) for k, row in rows.items()},
        )
        rows[self.rank] = flat[mine]
        out = np.empty_like(flat)
        out[mine] = reduce_rows((rows[k] for k in range(self.size)), op)
        self._next(
            dict.fromkeys(self._others(), as_bytes(out[mine])),
            {k: as_bytes(out[parts[k]]) for k in self._others()},
        )
        return out.reshape(array.shape)

    def allgather(self, x: Any) -> Array:
        """The arrays of all processes, joined along a new first axis.

        Parameters
        ----------
        x : array_like
            Of the same shape and dtype on all processes.

        Returns
        -------
        numpy.ndarray
        """
        array = _given(x, "allgather")
        return self._gather(f"allgather({_describe(array)})", array)

    def _gather(self, text: str, array: Array) -> Array:
        out = np.empty((self.size, *array.shape), array.dtype)
        out[self.rank] = array
        self._first(
            text,
            dict.fromkeys(self._others(), as_bytes(array)),
            {k: as_bytes(out[k : k + 1]) for k in self._others()},
        )
        return out

    def broadcast(self, x: Any, root: int = 0) -> Array:
        """The array of one process, on all.

        Parameters
        ----------
        x : array_like
            Of the same shape and dtype on all processes; the values of the others do not matter.
        root : int
            Whose array it is.

        Returns
        -------
        numpy.ndarray
        """
        array = _given(x, "broadcast")
        if not 0 <= root < self.size:
            raise ValueError(
                f"broadcast: root={root} is none of the {self.size} processes{at_user_line()}"
            )
        # From one half to the other: each step has twice as many senders.
        out = array.copy()
        here = (self.rank - root) % self.size
        self._first(f"broadcast({_describe(array)}, root={root})", {}, {})
        span = 1
        while span < self.size:
            if here < span and here + span < self.size:
                self._next({(here + span + root) % self.size: as_bytes(out)}, {})
            elif span <= here < 2 * span:
                self._next({}, {(here - span + root) % self.size: as_bytes(out)})
            span *= 2
        return out

    def alltoall(self, x: Any) -> Array:
        """Row ``i`` is that which process ``i`` has for this one.

        Parameters
        ----------
        x : array_like
            Its first axis has an element for each process.

        Returns
        -------
        numpy.ndarray
            Of the same shape.
        """
        array = _given(x, "alltoall")
        if array.ndim == 0 or array.shape[0] != self.size:
            raise ValueError(
                f"alltoall takes a row for each of {self.size} processes, got {_describe(array)}"
                f"{at_user_line()}"
            )
        out = np.empty_like(array)
        out[self.rank] = array[self.rank]
        self._first(
            f"alltoall({_describe(array)})",
            {k: as_bytes(array[k : k + 1]) for k in self._others()},
            {k: as_bytes(out[k : k + 1]) for k in self._others()},
        )
        return out

    def sendrecv(self, x: Any, pairs: Iterable[tuple[int, int]]) -> Array:
        """The array of the process that is to send to this one.

        Parameters
        ----------
        x : array_like
            Of the same shape and dtype on all processes.
        pairs : iterable of (source, target)
            Who sends to whom, the same on all processes; each is a source and a target at most
            once.

        Returns
        -------
        numpy.ndarray
            Zeros where nobody sends.
        """
        array = _given(x, "sendrecv")
        pairs = [(int(a), int(b)) for a, b in pairs]
        targets, sources = dict(pairs), {b: a for a, b in pairs}
        known = range(self.size)
        if len(targets) < len(pairs) or len(sources) < len(pairs):
            raise ValueError(
                f"sendrecv: a process is a source or a target twice in {pairs}{at_user_line()}"
            )
        if any(a not in known or b not in known for a, b in pairs):
            raise ValueError(
                f"sendrecv: {pairs} names a process that is none of the {self.size}{at_user_line()}"
            )
        out = np.zeros_like(array)
        target, source = targets.get(self.rank), sources.get(self.rank)
        if target == self.rank:
            out[...] = array
            target = source = None
        self._first(
            f"sendrecv({_describe(array)}, {pairs})",
            {} if target is None else {target: as_bytes(array)},
            {} if source is None else {source: as_bytes(out)},
        )
        return out

    def barrier(self) -> None:
        """Wait until all processes are there."""
        self._first("barrier()", {}, {})
        # After as many steps as the size has digits, each has heard from all, if by others.
        span = 1
        token, heard = memoryview(b"x"), memoryview(bytearray(1))
        while span < self.size:
            to, of = (self.rank + span) % self.size, (self.rank - span) % self.size
            self._next({to: token}, {of: heard})
            span *= 2

    def agree(self, what: str, value: bytes) -> None:
        """Raise an error on all processes unless all have the same bytes.

        Parameters
        ----------
        what : str
            For the message: what it is that must be the same.
        value : bytes

        Raises
        ------
        CollectiveMismatchError
            If a process has others.
        """
        digest = hashlib.blake2b(value, digest_size=16).hexdigest()
        self._first(f"agree({what!r}, {digest})", {}, {})
        self.barrier()

    def group(self, members: Iterable[int]) -> Collectives:
        """A communicator of some of the processes.

        All of them call it, and nobody else needs to. Its collectives are counted by themselves.

        Parameters
        ----------
        members : iterable of int
            Their numbers here. In the group they are numbered in this order.

        Returns
        -------
        Communicator
        """
        found = tuple(int(k) for k in members)
        if len(set(found)) < len(found) or any(not 0 <= k < self.size for k in found):
            raise ValueError(
                f"group takes different numbers from 0 to {self.size - 1}, got {list(found)}"
                f"{at_user_line()}"
            )
        if self.rank not in found:
            raise ValueError(
                f"group: process {self.rank} is none of {list(found)}; only its members make a "
                f"group{at_user_line()}"
            )
        self._groups[found] += 1
        return self._make_group(found, self._groups[found])

    def _make_group(self, members: tuple[int, ...], number: int) -> Collectives:
        return Group(self, members, number)


class Group(Collectives):
    """Some of the processes, over the engine of all.

    Parameters
    ----------
    whole : Collectives
        Where they are members.
    members : tuple of int
        Their numbers there.
    number : int
        Which group of these members it is.
    """

    def __init__(self, whole: Collectives, members: tuple[int, ...], number: int) -> None:
        super().__init__(members.index(whole.rank), len(members))
        self.members = tuple(whole.members[k] for k in members)
        self._whole, self._numbers = whole, members
        self._name = f"{whole._name} in group {number} of the processes {list(members)}"
        self._first("group()", {}, {})

    def _exchange(
        self,
        sends: Mapping[int, memoryview],
        receives: Mapping[int, memoryview],
        frame: bytes,
    ) -> None:
        there = self._numbers
        self._whole._exchange(
            {there[k]: data for k, data in sends.items()},
            {there[k]: data for k, data in receives.items()},
            frame,
        )

    def _report(self, process: int, text: str) -> None:
        self._whole._report(process, text)

    def close(self) -> None:
        """The engine is that of all."""


class Alone(Collectives):
    """The communicator of one process."""

    def __init__(self) -> None:
        super().__init__(0, 1)

    def _exchange(
        self,
        sends: Mapping[int, memoryview],
        receives: Mapping[int, memoryview],
        frame: bytes,
    ) -> None:
        """There is nobody."""

    def _report(self, process: int, text: str) -> None:
        """There is nobody."""

    def close(self) -> None:
        """There is nothing to give back."""
