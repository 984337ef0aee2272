"""Collectives between processes, on NumPy arrays.

`Communicator` is what they offer. `Collectives` looks at what is given, and says in a text what is
called: its name, and the shapes and dtypes of what it is given. Engines do it: `tcp` and `mpi` by
messages (`messages`), `shared` through memory that processes of one host share. All give the same
results to the bit: sums are taken in the order of the processes, whatever the size of the array and
the engine.

Text and number of a collective are its *fingerprint*, which processes compare with their own before
they use what comes with it: so different programs are reported, rather than computed with or waited
for.
"""

from __future__ import annotations

import abc
import hashlib
import queue
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from typing import Any, Protocol, runtime_checkable

import ml_dtypes
import numpy as np

from covector import _native
from covector.core.errors import at_user_line, boundaries
from covector.core.native_parts import native_part

Array = np.ndarray[Any, Any]

# Bytes of a text that are shown where programs differ.
_SHOWN = 120
_OPS: dict[str, Callable[..., Any]] = {
    "sum": np.add, "prod": np.multiply, "max": np.maximum, "min": np.minimum,
    "and": np.bitwise_and, "or": np.bitwise_or, "xor": np.bitwise_xor,
}  # fmt: skip
_CODES = {name: code for code, name in enumerate(_native.dtype_names) if name != "key"}


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

    def reduce_scatter(self, x: Any, op: str = "sum") -> Array:
        """The row of the sum (product, maximum, …) whose number is that of this process."""

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


def _describe(x: Any) -> str:
    return f"{x.dtype.name}[{','.join(map(str, x.shape))}]"


def _readable(value: bytes) -> str:
    """What tells bytes from others: text as it is, if it is not long, else a digest behind its
    beginning and end."""
    try:
        text = repr(value.decode())
    except UnicodeDecodeError:
        text = ""
    if text and len(value) <= _SHOWN:
        return text
    digest = hashlib.blake2b(value, digest_size=16).hexdigest()
    third = _SHOWN // 3
    return f"{text[:third]} ... {text[-2 * third :]}, {digest}" if text else digest


def _given(x: Any, what: str) -> Array:
    array = np.asarray(x)
    if array.dtype.hasobject or array.dtype.itemsize == 0:
        raise TypeError(
            f"{what} takes arrays of numbers, got one of dtype {array.dtype}{at_user_line()}"
        )
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    return array if array.flags.c_contiguous and array.flags.aligned else array.copy()


def as_bytes(x: Array) -> memoryview:
    """The memory of a contiguous array; NumPy's own view knows not all dtypes."""
    return x.reshape(-1).view(np.uint8).data if x.nbytes else memoryview(bytearray())


def _wide(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """What numbers of a dtype are added in: short ones are rounded once, at the end."""
    try:
        short = dtype.itemsize <= 2 and ml_dtypes.finfo(dtype) is not None
    except ValueError:
        short = False
    return np.dtype(np.float32) if short else dtype


def code_of(dtype: np.dtype[Any], op: str) -> int:
    """The native core's number of a dtype, if it combines numbers of it so; otherwise -1."""
    code = _CODES.get(dtype.name, -1)
    return code if code >= 0 and native_part("processes").can_reduce(code, op) else -1


def reduce_rows(rows: Iterable[Array], op: str) -> Array:
    """The rows combined in their order."""
    rows = list(rows)
    first = rows[0]
    code = code_of(first.dtype, op)
    if code >= 0:
        out = np.empty_like(first)
        native_part("processes").reduce([as_bytes(row) for row in rows], as_bytes(out), code, op)
        return out
    wide = _wide(first.dtype) if op in ("sum", "prod") else first.dtype
    out = first.astype(wide)
    for row in rows[1:]:
        _OPS[op](out, row.astype(wide, copy=False), out=out)
    with np.errstate(over="ignore"):
        return out.astype(first.dtype, copy=False)


def reduce_first(stacked: Array, op: str) -> Array:
    """The rows of an array combined in their order."""
    # Rows of one dimension at least: NumPy makes numbers of those without.
    rows = (stacked[k : k + 1] for k in range(len(stacked)))
    return reduce_rows(rows, op).reshape(stacked.shape[1:])


def text_of(kind: str, x: Any, *more: str) -> str:
    """What is called, for processes to compare; of ``x`` it is the dtype and shape that count."""
    return f"{kind}({', '.join([_describe(x), *more])})"


def check_reduction(what: str, x: Any, op: str) -> None:
    """Raise an error unless arrays of the dtype can be combined so."""
    if op not in _OPS:
        raise ValueError(f"{what} takes an op of {', '.join(_OPS)}, got {op!r}{at_user_line()}")
    if x.dtype.kind == "b" and op in ("sum", "prod"):
        raise TypeError(
            f"{what}: booleans have no {op}; convert them to integers, or take op='or' or 'and'"
            f"{at_user_line()}"
        )
    if op in ("and", "or", "xor") and x.dtype.kind not in "biu":
        raise TypeError(
            f"{what}: op={op!r} is of booleans and integers, got {_describe(x)}{at_user_line()}"
        )


# What is to be done, with where its result goes; None at the end.
_Calls = queue.SimpleQueue[tuple[Future[Array], Callable[[], Array]] | None]


class Line:
    """Collectives that are done one after the other by a thread, in the order they are given."""

    def __init__(self) -> None:
        self._calls: _Calls | None = None
        self._thread: threading.Thread | None = None
        self._last: Future[Array] | None = None

    def submit(self, call: Callable[[], Array]) -> Future[Array]:
        """Have ``call`` done when all before it are."""
        if self._calls is None:
            self._calls = queue.SimpleQueue()
            # It may wait for processes that wait for the end of this one.
            self._thread = threading.Thread(
                target=self._run, args=(self._calls,), name="covector collectives", daemon=True
            )
            self._thread.start()
        future: Future[Array] = Future()
        self._last = future
        self._calls.put((future, call))
        return future

    def settle(self) -> None:
        """Wait until all are done; the thread itself does not."""
        last = self._last
        if last is not None and threading.current_thread() is not self._thread:
            last.exception()
            self._last = None

    def __del__(self) -> None:
        if self._calls is not None:
            self._calls.put(None)

    @staticmethod
    def _run(calls: _Calls) -> None:
        while (given := calls.get()) is not None:
            future, call = given
            try:
                future.set_result(call())
            except BaseException as e:
                future.set_exception(e)
            del given, future, call


@boundaries
class Collectives(abc.ABC):
    """All collectives, but for what an engine does.

    Parameters
    ----------
    rank, size : int
        Which process this is, of how many.

    Attributes
    ----------
    members : tuple of int
        The numbers that the processes have in the job.
    line : Line or None
        What does collectives while a program goes on, of an engine that waits for messages.
    """

    line: Line | None = None

    def __init__(self, rank: int, size: int) -> None:
        self.rank, self.size = rank, size
        self.members = tuple(range(size))
        self._name = ""  # what tells a group from others in fingerprints
        self.label = ""  # the program that calls what follows, the same
        self._groups: Counter[tuple[int, ...]] = Counter()

    # --- what engines do: `text` says what is called, arrays are contiguous

    @abc.abstractmethod
    def _allreduce(self, text: str, array: Array, op: str) -> Array: ...

    @abc.abstractmethod
    def _reduce_scatter(self, text: str, array: Array, op: str) -> Array: ...

    @abc.abstractmethod
    def _allgather(self, text: str, array: Array) -> Array: ...

    @abc.abstractmethod
    def _broadcast(self, text: str, array: Array, root: int) -> Array: ...

    @abc.abstractmethod
    def _alltoall(self, text: str, array: Array) -> Array: ...

    @abc.abstractmethod
    def _sendrecv(self, text: str, array: Array, target: int | None, source: int | None) -> Array:
        """Neither is this process."""

    @abc.abstractmethod
    def _barrier(self, text: str) -> None:
        """All have the same text when it returns."""

    @abc.abstractmethod
    def _make_group(self, members: tuple[int, ...], number: int) -> Collectives: ...

    @abc.abstractmethod
    def close(self) -> None:
        """Give back what the engine holds."""

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
        check_reduction("allreduce", array, op)
        return self._allreduce(text_of("allreduce", array, repr(op)), array, op)

    def reduce_scatter(self, x: Any, op: str = "sum") -> Array:
        """Of the sum (product, maximum, …) of the arrays of all processes, the row of this one.

        Parameters
        ----------
        x : array_like
            Its first axis has a row for each process.
        op : str
            As of `allreduce`.

        Returns
        -------
        numpy.ndarray
            Of the shape of a row.
        """
        array = self._rows("reduce_scatter", x)
        check_reduction("reduce_scatter", array, op)
        return self._reduce_scatter(text_of("reduce_scatter", array, repr(op)), array, op)

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
        return self._allgather(text_of("allgather", array), array)

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
        return self._broadcast(text_of("broadcast", array, f"root={root}"), array, root)

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
        array = self._rows("alltoall", x)
        return self._alltoall(text_of("alltoall", array), array)

    def _rows(self, what: str, x: Any) -> Array:
        """An array that has a row for each process."""
        array = _given(x, what)
        if array.ndim == 0 or array.shape[0] != self.size:
            raise ValueError(
                f"{what} takes a row for each of {self.size} processes, got {_describe(array)}"
                f"{at_user_line()}"
            )
        return array

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
        text = text_of("sendrecv", array, str(pairs))
        target, source = targets.get(self.rank), sources.get(self.rank)
        if target != self.rank:
            return self._sendrecv(text, array, target, source)
        self._sendrecv(text, array, None, None)
        return array.copy()

    def barrier(self) -> None:
        """Wait until all processes are there."""
        self._barrier("barrier()")

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
        self._barrier(f"agree({what!r}, {_readable(value)})")

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
