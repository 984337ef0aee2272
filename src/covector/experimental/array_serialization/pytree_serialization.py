"""`save` and `load` of trees of arrays; the format is described in the package."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, TypeVar

from covector.core import processes
from covector.core.errors import at_user_line, user_frame, work_for
from covector.core.errors import export as _export
from covector.experimental.array_serialization._index import (
    CorruptCheckpointError,
    absolute,
    read_index,
    standing,
    structure_of,
)
from covector.experimental.array_serialization._reading import read
from covector.experimental.array_serialization._writing import Writing, lock_of, plan

T = TypeVar("T")


class Pending(Generic[T]):
    """What `nonblocking_save` and `nonblocking_load` return: work that goes on in a thread.

    Examples
    --------
    >>> import tempfile
    >>> import covector as cv
    >>> from covector.experimental import array_serialization
    >>> pending = array_serialization.nonblocking_save(cv.numpy.ones(3), tempfile.mkdtemp())
    >>> pending.result()
    >>> pending.done()
    True
    """

    def __init__(self, work: Callable[[], T], last: Callable[[T], T] = lambda value: value) -> None:
        self._last = last
        self._value: Any = None
        self._error: BaseException | None = None
        self._finished = False
        self._work = work
        self._frame = user_frame()
        # The interpreter waits for it at its end.
        self._thread = threading.Thread(target=self._run, name="covector checkpoint")
        self._thread.start()

    def _run(self) -> None:
        work_for(self._frame)
        try:
            self._value = self._work()
        except BaseException as e:  # raised by `result`
            self._error = e
        del self._work

    def done(self) -> bool:
        """Whether `result` does not have to wait for the thread."""
        return not self._thread.is_alive()

    def result(self, timeout: float | None = None) -> T:
        """Wait, for at most ``timeout`` seconds; the result, or the error, of the work."""
        self._thread.join(timeout)
        if self._thread.is_alive():
            raise TimeoutError(f"the checkpoint is not ready after {timeout} seconds")
        if self._error is None and not self._finished:
            self._finished = True
            try:
                self._value = self._last(self._value)
            except BaseException as e:
                self._error = e
        if self._error is not None:
            raise self._error
        value: T = self._value
        return value


def save(data: Any, directory: Any, *, overwrite: bool = True) -> None:
    """Write a tree of arrays into a folder, whole or not at all.

    With several processes, all call it with the same tree and a folder that all see; each writes
    what its devices have.

    Parameters
    ----------
    data : pytree of arrays, numbers and strings
    directory : str or path
        Of the checkpoint. Folders above it are made.
    overwrite : bool
        Whether a checkpoint that is there may be replaced. It stays until the new one is on disk.

    Returns
    -------
    None

    Raises
    ------
    FileExistsError
        If there is a checkpoint and ``overwrite`` is False, or if there is something else.
    OSError
        If a file cannot be written; what was there before is as it was.
    RuntimeError
        If an array was deleted; with several processes, if one is being written there.
    TypeError
        If a leaf is no array, number or string.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import covector as cv
    >>> from covector.experimental import array_serialization
    >>> folder = pathlib.Path(tempfile.mkdtemp()) / "step 3"
    >>> array_serialization.save({"w": cv.numpy.ones(3), "step": 3}, folder)
    >>> array_serialization.load(folder)
    {'step': 3, 'w': Array([1., 1., 1.], dtype=float32)}
    """
    folder = absolute(directory, "save")
    writing = Writing(folder, plan(data, copy=False), overwrite)
    with _alone(folder, "save"):
        writing.begin()
        writing.write()
        writing.end()


def _alone(folder: Path, what: str) -> threading.Lock:
    """The lock of a place: one checkpoint after the other is written there."""
    lock = lock_of(folder)
    if processes.count > 1 and lock.locked():
        raise RuntimeError(
            f"{what}: a checkpoint is being written at {folder}, by nonblocking_save: with several "
            f"processes, call result() of what it returned before{at_user_line()}"
        )
    return lock


def nonblocking_save(data: Any, directory: Any, *, overwrite: bool = True) -> Pending[None]:
    """The same in a thread, while the program goes on.

    What is to be written is copied first, so that arrays may be donated or deleted meanwhile. With
    several processes, all have to call ``result()`` of what it returns: only then the checkpoint
    is put in its place.

    Parameters
    ----------
    data : pytree of arrays, numbers and strings
    directory : str or path
    overwrite : bool
        As of `save`.

    Returns
    -------
    Pending
        Its ``result()`` waits, and raises what `save` raises.

    Raises
    ------
    RuntimeError
        If an array was deleted; with several processes, if one is being written there.
    TypeError
        If a leaf is no array, number or string.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import covector as cv
    >>> from covector.experimental import array_serialization
    >>> folder = pathlib.Path(tempfile.mkdtemp()) / "weights"
    >>> pending = array_serialization.nonblocking_save([cv.numpy.arange(3)], folder)
    >>> pending.result()
    >>> array_serialization.load(folder)
    [Array([0, 1, 2], dtype=int32)]
    """
    folder = absolute(directory, "nonblocking_save")
    writing = Writing(folder, plan(data, copy=True), overwrite)
    lock = _alone(folder, "nonblocking_save")
    if processes.count == 1:

        def work() -> None:
            with lock:
                writing.begin()
                writing.write()
                writing.end()

        return Pending(work)
    # What processes exchange they exchange in the threads of their programs.
    lock.acquire()
    writing.begin()

    def last(value: None) -> None:
        try:
            writing.end()
        finally:
            lock.release()

    return Pending(writing.write, last)


def load(directory: Any, shardings: Any = None) -> Any:
    """The tree of arrays that `save` wrote.

    Of each array, the bytes are read that the devices of this process need, however the array was
    split when it was written, and whichever processes wrote it.

    Parameters
    ----------
    directory : str or path
    shardings : Sharding, Device, or pytree of those, of ShapeDtypeStruct, or of arrays, optional
        Where arrays are to be: one for all, or a tree of the same structure, whose
        ShapeDtypeStruct or arrays say a shape and a dtype too, which are checked. By default arrays
        are where new arrays are.

    Returns
    -------
    pytree
        NumPy arrays and Python's numbers and strings come back as such.

    Raises
    ------
    FileNotFoundError
        If there is no checkpoint.
    CorruptCheckpointError
        If a file is missing, cut or changed.
    ValueError
        If the checkpoint has another tree, or arrays of other shapes or dtypes.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import covector as cv
    >>> from covector.experimental import array_serialization
    >>> from covector.sharding import PartitionSpec as P
    >>> folder = pathlib.Path(tempfile.mkdtemp()) / "weights"
    >>> array_serialization.save({"w": cv.numpy.arange(4.0)}, folder)
    >>> spread = cv.NamedSharding(cv.make_mesh((1,), ("x",)), P("x"))
    >>> array_serialization.load(folder, spread)["w"].sharding.spec
    P('x',)
    >>> array_serialization.load(folder, {"w": cv.ShapeDtypeStruct((4,), "float32")})
    {'w': Array([0., 1., 2., 3.], dtype=float32)}
    """
    return read(absolute(directory, "load"), shardings)


def nonblocking_load(directory: Any, shardings: Any = None) -> Pending[Any]:
    """The same in a thread, while the program goes on.

    Parameters
    ----------
    directory : str or path
    shardings : Sharding, Device, or pytree of those, of ShapeDtypeStruct, or of arrays, optional
        As of `load`.

    Returns
    -------
    Pending
        Its ``result()`` is the tree, or raises what `load` raises.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import covector as cv
    >>> from covector.experimental import array_serialization
    >>> folder = pathlib.Path(tempfile.mkdtemp()) / "weights"
    >>> array_serialization.save([cv.numpy.arange(3)], folder)
    >>> array_serialization.nonblocking_load(folder).result()
    [Array([0, 1, 2], dtype=int32)]
    """
    folder = absolute(directory, "nonblocking_load")
    return Pending(lambda: read(folder, shardings))


def load_pytreedef(directory: Any) -> Any:
    """The tree of a checkpoint, of whose arrays nothing is read.

    Parameters
    ----------
    directory : str or path

    Returns
    -------
    PyTreeDef

    Raises
    ------
    FileNotFoundError
        If there is no checkpoint.
    ValueError
        If the tree has nodes of types of users.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import covector as cv
    >>> from covector.experimental import array_serialization
    >>> folder = pathlib.Path(tempfile.mkdtemp()) / "weights"
    >>> array_serialization.save({"w": cv.numpy.ones(3), "step": 3}, folder)
    >>> array_serialization.load_pytreedef(folder)
    PyTreeSpec({'step': *, 'w': *})
    """
    folder = standing(absolute(directory, "load_pytreedef"))
    return structure_of(read_index(folder).structure)


__all__ = [
    "CorruptCheckpointError",
    "Pending",
    "load",
    "load_pytreedef",
    "nonblocking_load",
    "nonblocking_save",
    "save",
]
_export(globals(), __all__)
