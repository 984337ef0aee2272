"""Checkpoints are written: beside their place, and moved there when all is on disk."""

from __future__ import annotations

import dataclasses
import json
import os
import secrets
import shutil
import threading
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from covector.core import dtypes, processes
from covector.core.avals import Array
from covector.core.errors import at_user_line, describe
from covector.core.trace import Tracer
from covector.core.tree_paths import flatten_with_path, keystr
from covector.experimental.array_serialization._index import (
    BLOCK,
    INDEX,
    Chunk,
    Index,
    Leaf,
    beside,
    chunk_from,
    read_index,
    standing,
    structure_code,
    write_index,
)
from covector.experimental.multihost_utils import sync_global_devices
from covector.random import key_data, key_impl

_ALIGN = 64
_PYTHON = (bool, int, float, complex, str)


class Part(NamedTuple):
    """What this process writes of one leaf: a block, and where it is."""

    leaf: int
    start: tuple[int, ...]
    data: Any


class Plan(NamedTuple):
    """What is to be written."""

    structure: Any
    leaves: list[Leaf]
    parts: list[Part]


def plan(data: Any, copy: bool) -> Plan:
    """What of a tree this process writes; ``copy``: nothing of it stands in the user's memory."""
    found, treedef = flatten_with_path(data)
    leaves, parts = [], []
    for number, (keys, x) in enumerate(found):
        path = keystr(keys) or "the value"
        leaf, mine = _leaf(path, x)
        leaves.append(leaf)
        for start, block in mine:
            array = np.array(block) if copy else block
            parts.append(Part(number, start, array))
    return Plan(structure_code(treedef), leaves, parts)


def _leaf(path: str, x: Any) -> tuple[Leaf, list[tuple[tuple[int, ...], Any]]]:
    """A leaf, and the blocks of it that this process writes."""
    if type(x) in _PYTHON:
        value = [x.real.hex(), x.imag.hex()] if type(x) is complex else x
        return Leaf(path, type(x).__name__, value=x.hex() if type(x) is float else value), []
    if isinstance(x, Tracer):
        raise TypeError(
            f"save takes values, and {path} is traced: call it outside of the transformed function"
            f"{at_user_line()}"
        )
    if isinstance(x, (np.ndarray, np.generic)):
        whole = np.asarray(x)
        if whole.dtype.hasobject or whole.dtype.kind in "USMmV" and not _is_number(whole.dtype):
            raise TypeError(
                f"save takes arrays of numbers, and {path} has the dtype {whole.dtype}"
                f"{at_user_line()}"
            )
        leaf = Leaf(path, "numpy", whole.shape, whole.dtype.name)
        return leaf, [((0,) * whole.ndim, whole)] if processes.index == 0 else []
    if not isinstance(x, Array):
        raise TypeError(
            f"save takes trees of arrays, numbers and strings, and {path} is {describe(x)}"
            f"{at_user_line()}"
        )
    if x.is_deleted():
        raise RuntimeError(
            f"save: the array {path} was deleted: it was donated to a compiled function, or "
            f"deleted with .delete(). Save the tree before, or save what the function returned"
            f"{at_user_line()}"
        )
    is_key = dtypes.is_extended(x.dtype)
    blocks = [(start, key_data(part) if is_key else part) for start, part in _mine(x)]
    if is_key:
        blocks = [((*start, 0), part) for start, part in blocks]
        shape = (*x.shape, x.dtype.itemsize // 4)
        return Leaf(path, "key", shape, "uint32", str(key_impl(x))), blocks
    return Leaf(path, "array", x.shape, np.dtype(x.dtype).name), blocks


def _is_number(dtype: np.dtype) -> bool:
    """Whether a dtype that NumPy does not know itself is a number of fewer bits."""
    try:
        return bool(dtypes.as_dtype(dtype.name) == dtype)
    except TypeError:
        return False


def _mine(x: Array) -> Iterator[tuple[tuple[int, ...], Array]]:
    """The blocks that this process writes: of equal ones the first; and what each process has
    alone, the first process writes."""
    if x.is_fully_addressable and processes.index:
        return
    for shard in x.addressable_shards:
        if shard.replica_id == 0:
            yield tuple([s.start or 0 for s in shard.index]), shard.data


# --- files -------------------------------------------------------------------------------------


def _sync_folder(folder: Path) -> None:
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _write_file(path: Path, data: bytes) -> None:
    with open(path, "wb") as f:
        f.write(data)
        f.flush()
        os.fsync(f.fileno())


def _bytes_of(x: Any) -> memoryview:
    """The elements in the order of C, without a copy where they lie so."""
    flat = np.ascontiguousarray(np.asarray(x)).reshape(-1)
    return memoryview(flat.view(np.uint8)) if flat.size else memoryview(b"")


def _write_parts(folder: Path, parts: Sequence[Part]) -> None:
    """The blocks of this process in one file, and beside it what is where in it."""
    name = f"data-{processes.index}.bin"
    chunks = []
    with open(folder / name, "wb") as f:
        for part in parts:
            data = _bytes_of(part.data)
            f.write(b"\0" * (-f.tell() % _ALIGN))
            at, checks = f.tell(), []
            for first in range(0, len(data), BLOCK):
                block = data[first : first + BLOCK]
                checks.append(zlib.crc32(block))
                f.write(block)
            shape = tuple(np.shape(part.data))
            chunk = Chunk(part.start, shape, name, at, len(data), tuple(checks))
            chunks.append([part.leaf, dataclasses.asdict(chunk)])
        size = f.tell()
        f.flush()
        os.fsync(f.fileno())
    found = {"file": name, "size": size, "chunks": chunks}
    _write_file(folder / f"part-{processes.index}.json", json.dumps(found).encode())


def _merge(folder: Path, made: Plan, identity: str) -> None:
    """The index of what all processes have written."""
    chunks: list[list[Chunk]] = [[] for _ in made.leaves]
    files = {}
    for number in range(processes.count):
        path = folder / f"part-{number}.json"
        if not path.exists():
            raise OSError(f"process {number} has not written its part: its own error says why")
        found = json.loads(path.read_bytes())
        files[found["file"]] = found["size"]
        for leaf, entry in found["chunks"]:
            chunks[leaf].append(chunk_from(entry))
        path.unlink()
    (folder / "id").unlink()
    leaves = [
        dataclasses.replace(leaf, chunks=tuple(c))
        for leaf, c in zip(made.leaves, chunks, strict=True)
    ]
    _write_file(folder / INDEX, write_index(Index(identity, made.structure, tuple(leaves), files)))
    _sync_folder(folder)


def _put_in_place(new: Path, folder: Path) -> None:
    """The new checkpoint in the place of the old one, which `standing` finds meanwhile."""
    old = beside(folder, "old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    try:
        new.rename(folder)
    except OSError:
        if old.exists():
            old.rename(folder)
        raise
    _sync_folder(folder.parent)
    shutil.rmtree(old, ignore_errors=True)


class Writing:
    """A checkpoint that is being written.

    The steps of several processes are in the same order in all of them: `begin`, `write`, which
    exchanges nothing, `end`. An error of one is kept until all have come to the end.
    """

    def __init__(self, folder: Path, made: Plan, overwrite: bool) -> None:
        self.folder = folder
        self.made = made
        self.overwrite = overwrite
        self.new = beside(folder, "new")
        self.identity = ""
        self.error: BaseException | None = None

    def _try(self, step: Callable[[], None]) -> None:
        """Take a step, if nothing has failed yet."""
        if self.error is None:
            try:
                step()
            except BaseException as e:  # raised in `end`, when the others have come
                self.error = e

    def begin(self) -> None:
        """Make the folder."""
        if processes.index == 0:
            self._try(self._make_folder)
        sync_global_devices(f"{self.folder}: begin")

    def _make_folder(self) -> None:
        place = standing(self.folder)
        if place.exists() and not (place.is_dir() and (place / INDEX).exists()):
            if not place.is_dir() or any(place.iterdir()):
                found = "a folder of other files" if place.is_dir() else "a file"
                raise FileExistsError(
                    f"{place} is {found}, which is left as it is; name a folder that is not there "
                    "yet, or is empty"
                )
        elif place.exists() and not self.overwrite:
            raise FileExistsError(f"there is a checkpoint at {place}, and overwrite is False")
        if place != self.folder:  # a process ended between two renames
            place.rename(self.folder)
        shutil.rmtree(self.new, ignore_errors=True)
        self.new.mkdir(parents=True)
        (self.new / "id").write_text(secrets.token_hex(8))

    def write(self) -> None:
        """Write the parts of this process, and wait until they are on disk."""
        self._try(self._read_identity)
        self._try(lambda: _write_parts(self.new, self.made.parts))
        self.made = self.made._replace(parts=[])

    def end(self) -> None:
        """Put the checkpoint in its place when all have written.

        Raises
        ------
        OSError
            If a file could not be written. What was at the place is still there.
        """
        sync_global_devices(f"{self.folder}: written")
        if processes.index == 0:
            self._try(self._finish)
            if self.error is not None:
                shutil.rmtree(self.new, ignore_errors=True)
        sync_global_devices(f"{self.folder}: end")
        if processes.index:
            self._try(self._check_finished)
        if self.error is not None:
            self._raise(self.error)

    def _read_identity(self) -> None:
        try:
            self.identity = (self.new / "id").read_text()
        except FileNotFoundError:
            raise OSError(
                f"process {processes.index} does not find the folder {self.new} that process 0 "
                "makes: either it could not, or the processes do not see the same files"
            ) from None

    def _finish(self) -> None:
        _merge(self.new, self.made, self.identity)
        _put_in_place(self.new, self.folder)

    def _check_finished(self) -> None:
        if read_index(self.folder).identity != self.identity:
            raise OSError("another process could not write its part: its own error says why")

    def _raise(self, e: BaseException) -> None:
        if not isinstance(e, OSError):
            raise e
        there = (standing(self.folder) / INDEX).exists()
        kept = "; the one that was there is as it was" if there else ""
        text = f"the checkpoint {self.folder} was not written: {e}{kept}{at_user_line()}"
        raise (type(e)(text) if e.errno is None else OSError(e.errno, text)) from e


_busy: dict[Path, threading.Lock] = {}


def lock_of(folder: Path) -> threading.Lock:
    """Held by the one that writes a checkpoint: the next one at the place waits."""
    return _busy.setdefault(folder, threading.Lock())
