"""Collectives by messages, composed of one step: send these bytes to those, receive those of these.

An engine implements the step: `tcp` over sockets of our own, `mpi` over MPI. Each message carries
the fingerprint of the collective, and each process hears from its neighbour in any case.
"""

from __future__ import annotations

import abc
import hashlib
import os
import struct
from collections.abc import Mapping
from typing import NoReturn

import numpy as np

from covector.distributed.communicator import (
    Array,
    Collectives,
    Line,
    as_bytes,
    reduce_first,
    reduce_rows,
)
from covector.distributed.errors import (
    CollectiveMismatchError,
    difference,
    forked,
)

FRAME = struct.Struct("<Q16sH230s")
# Arrays of up to this many bytes are summed by all processes, larger ones in parts.
_SMALL = 1 << 13


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


class Messages(Collectives):
    """All collectives, of a step that an engine implements."""

    def __init__(self, rank: int, size: int) -> None:
        super().__init__(rank, size)
        self.line: Line = Line()
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

    # --- steps

    def _first(
        self, text: str, sends: Mapping[int, memoryview], receives: Mapping[int, memoryview]
    ) -> None:
        """The first step of a collective: it shows that all are at the same one."""
        if os.getpid() != self._pid:
            raise forked(self._pid)
        self.line.settle()
        self._count += 1
        self._text = text + self.label + self._name
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
        count, _, length, theirs = FRAME.unpack(found.frame)
        message = difference(
            (self._count, self.members[self.rank], self._text),
            (count, found.peer, theirs[:length].decode(errors="replace")),
        )
        self._report(found.peer, message)
        raise CollectiveMismatchError(message)

    def _others(self) -> list[int]:
        # Each starts with another peer, so that not all send to one.
        return [(self.rank + k) % self.size for k in range(1, self.size)]

    # --- collectives

    def _allreduce(self, text: str, array: Array, op: str) -> Array:
        if array.nbytes <= _SMALL:
            return reduce_first(self._allgather(text, array), op)
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

    def _reduce_scatter(self, text: str, array: Array, op: str) -> Array:
        return reduce_first(self._alltoall(text, array), op)

    def _allgather(self, text: str, array: Array) -> Array:
        out = np.empty((self.size, *array.shape), array.dtype)
        out[self.rank] = array
        self._first(
            text,
            dict.fromkeys(self._others(), as_bytes(array)),
            {k: as_bytes(out[k : k + 1]) for k in self._others()},
        )
        return out

    def _broadcast(self, text: str, array: Array, root: int) -> Array:
        # From one half to the other: each step has twice as many senders.
        out = array.copy()
        here = (self.rank - root) % self.size
        self._first(text, {}, {})
        span = 1
        while span < self.size:
            if here < span and here + span < self.size:
                self._next({(here + span + root) % self.size: as_bytes(out)}, {})
            elif span <= here < 2 * span:
                self._next({}, {(here - span + root) % self.size: as_bytes(out)})
            span *= 2
        return out

    def _alltoall(self, text: str, array: Array) -> Array:
        out = np.empty_like(array)
        out[self.rank] = array[self.rank]
        self._first(
            text,
            {k: as_bytes(array[k : k + 1]) for k in self._others()},
            {k: as_bytes(out[k : k + 1]) for k in self._others()},
        )
        return out

    def _sendrecv(self, text: str, array: Array, target: int | None, source: int | None) -> Array:
        out = np.zeros_like(array)
        self._first(
            text,
            {} if target is None else {target: as_bytes(array)},
            {} if source is None else {source: as_bytes(out)},
        )
        return out

    def _barrier(self, text: str) -> None:
        self._first(text, {}, {})
        # After as many steps as the size has digits, each has heard from all, if by others.
        span = 1
        token, heard = memoryview(b"x"), memoryview(bytearray(1))
        while span < self.size:
            to, of = (self.rank + span) % self.size, (self.rank - span) % self.size
            self._next({to: token}, {of: heard})
            span *= 2

    def _make_group(self, members: tuple[int, ...], number: int) -> Collectives:
        return Group(self, members, number)


class Group(Messages):
    """Some of the processes, over the engine of all.

    Parameters
    ----------
    whole : Messages
        Where they are members.
    members : tuple of int
        Their numbers there.
    number : int
        Which group of these members it is.
    """

    def __init__(self, whole: Messages, members: tuple[int, ...], number: int) -> None:
        super().__init__(members.index(whole.rank), len(members))
        self.line = whole.line
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


class Alone(Messages):
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
