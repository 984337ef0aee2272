"""Checkpoints are read: of each array the bytes that the devices of this process need."""

from __future__ import annotations

import itertools
import math
import operator
import os
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from covector.core import dtypes, tree
from covector.core.avals import Array, array_from_numpy, aval_of, is_array_like, settled
from covector.core.device import Device
from covector.core.errors import at_user_line, describe
from covector.core.tree_paths import flatten_with_path, keystr
from covector.experimental.array_serialization._index import (
    BLOCK,
    Chunk,
    CorruptCheckpointError,
    Index,
    Leaf,
    read_index,
    standing,
    structure_code,
    structure_of,
)
from covector.experimental.layout import Format
from covector.random import wrap_key_data
from covector.runtime.devices import device_put
from covector.runtime.shards import array_of_block
from covector.sharding.base import Sharding
from covector.transforms.shapes import ShapeDtypeStruct

Box = tuple[tuple[int, int], ...]


# Chunks are read in slabs of at most so many bytes, which are checked before they are copied.
_SLAB = 1 << 22


class _ChunkReader:
    """The elements of a chunk, of which the blocks of bytes are read that are needed."""

    def __init__(self, folder: Path, leaf: Leaf, chunk: Chunk, dtype: np.dtype) -> None:
        self.chunk = chunk
        self._path = folder / chunk.file
        self._leaf = leaf
        # Bytes from one index of each axis to the next.
        sizes = [dtype.itemsize, *reversed(chunk.shape[1:])] if chunk.shape else []
        self._strides = list(itertools.accumulate(sizes, operator.mul))[::-1]
        self._dtype = dtype

    def read(self, box: Box, out: np.ndarray, buffer: np.ndarray) -> None:
        """Those of a box within the chunk, into ``out``, by way of ``buffer``."""
        with open(self._path, "rb", buffering=0) as f:
            for axis, slab in _slabs(self._strides, box):
                at = [slice(a - o, b - o) for (a, b), (o, _) in zip(slab, box, strict=True)]
                out[tuple(at)] = self._slab(f.fileno(), axis, slab, buffer)

    def _slab(self, file: int, axis: int, slab: Box, buffer: np.ndarray) -> np.ndarray:
        """The elements of a slab, which is cut along ``axis`` and has one index of those before."""
        start = sum(a * s for (a, _), s in zip(slab[: axis + 1], self._strides, strict=False))
        first = start // BLOCK
        start -= first * BLOCK
        sizes = [b - a for a, b in slab[: axis + 1]] + list(self.chunk.shape[axis + 1 :])
        stop = start + math.prod(sizes) * self._dtype.itemsize
        elements = buffer[start:stop].view(self._dtype).reshape(sizes)
        within = tuple([(0, b - a) for a, b in slab[: axis + 1]]) + slab[axis + 1 :]
        numbers = _blocks_of(elements, within, start)
        for run in np.split(numbers, np.flatnonzero(np.diff(numbers) != 1) + 1):
            self._fetch(file, first, int(run[0]), int(run[-1]) + 1, buffer)
        return elements[tuple([slice(a, b) for a, b in within])]

    def _fetch(self, file: int, first: int, start: int, stop: int, buffer: np.ndarray) -> None:
        """Read blocks into the buffer, at whose beginning is the block of number ``first``."""
        at = self.chunk.offset + first * BLOCK
        end = min(stop * BLOCK, self.chunk.nbytes - first * BLOCK)
        view, done = memoryview(buffer), start * BLOCK
        while done < end:
            n = os.preadv(file, [view[done:end]], at + done)
            if n == 0:
                raise CorruptCheckpointError(f"{self._path} was cut{at_user_line()}")
            done += n
        for k in range(start, stop):
            block = view[k * BLOCK : min((k + 1) * BLOCK, end)]
            if zlib.crc32(block) != self.chunk.crc32[first + k]:
                where = at + k * BLOCK
                raise CorruptCheckpointError(
                    f"{self._path} was changed after it was written: the checksum of bytes {where} "
                    f"to {where + len(block)}, of the array {self._leaf.path}, is another"
                    f"{at_user_line()}"
                )


def _slabs(strides: Sequence[int], box: Box) -> Iterator[tuple[int, Box]]:
    """A box in slabs of at most `_SLAB` bytes, each with the axis along which it is cut."""
    axis = 0
    while axis < len(box) - 1 and strides[axis] > _SLAB:
        axis += 1
    if not box:
        yield 0, box
        return
    step = max(_SLAB // strides[axis], 1)
    first, stop = box[axis]
    for outer in itertools.product(*[range(a, b) for a, b in box[:axis]]):
        lead = tuple([(i, i + 1) for i in outer])
        for a in range(first, stop, step):
            yield axis, (*lead, (a, min(a + step, stop)), *box[axis + 1 :])


def _blocks_of(x: np.ndarray, box: Box, at: int = 0) -> np.ndarray:
    """Numbers of the blocks of bytes that a box of an array in the order of C touches, whose first
    byte is that of number ``at``."""
    if not math.prod(b - a for a, b in box) or not x.size:
        return np.zeros(0, np.int64)
    inner = len(box)  # the dimensions from here on make up one run of bytes
    while inner and box[inner - 1] == (0, x.shape[inner - 1]):
        inner -= 1
    inner = max(inner - 1, 0)
    starts = np.full(1, at)
    for k in range(inner):
        starts = (starts[:, None] + np.arange(*box[k]) * x.strides[k]).reshape(-1)
    length = x.itemsize
    if box:
        starts = starts + box[inner][0] * x.strides[inner]
        length = (box[inner][1] - box[inner][0]) * x.strides[inner]
    first, last = starts // BLOCK, (starts + length - 1) // BLOCK
    most = int((last - first).max()) + 1
    each = np.minimum(first[:, None] + np.arange(most), last[:, None])
    return np.unique(each)


class LeafReader:
    """One array of a checkpoint."""

    def __init__(self, folder: Path, leaf: Leaf) -> None:
        self.leaf = leaf
        self.dtype = np.dtype(dtypes.as_dtype(leaf.dtype))
        self._chunks = [_ChunkReader(folder, leaf, c, self.dtype) for c in leaf.chunks]

    def read(self, box: Box) -> np.ndarray:
        """The elements of a box, in memory of their own."""
        shape = [b - a for a, b in box]
        needed = []
        for reader in self._chunks:
            chunk = reader.chunk
            both = [
                (max(a, s), min(b, s + n))
                for (a, b), s, n in zip(box, chunk.start, chunk.shape, strict=True)
            ]
            if all(a < b for a, b in both):
                needed.append((reader, both))
        found = sum(math.prod(b - a for a, b in both) for _, both in needed)
        if found != math.prod(shape):
            raise CorruptCheckpointError(
                f"the checkpoint has {found} of the {math.prod(shape)} elements that are needed of "
                f"{self.leaf.path}{at_user_line()}"
            )
        whole = np.empty(shape, self.dtype)
        buffer = np.empty(_SLAB + 2 * BLOCK, np.uint8)
        for reader, both in needed:
            at = [slice(a - o, b - o) for (a, b), (o, _) in zip(both, box, strict=True)]
            starts = reader.chunk.start
            part = tuple([(a - s, b - s) for (a, b), s in zip(both, starts, strict=True)])
            reader.read(part, whole[(*at, ...)], buffer)
        return whole

    def all(self) -> np.ndarray:
        """The whole array."""
        return self.read(tuple([(0, n) for n in self.leaf.shape]))


# --- trees -------------------------------------------------------------------------------------


class Wish:
    """What the user has said of one leaf: where it is to be, and of which type it is."""

    __slots__ = ("sharding", "shape", "dtype", "is_numpy")

    def __init__(
        self, sharding: Any = None, shape: Any = None, dtype: Any = None, is_numpy: bool = False
    ) -> None:
        self.is_numpy = is_numpy
        self.sharding = sharding
        self.shape = shape
        self.dtype = dtype


def _is_place(x: Any) -> bool:
    return isinstance(x, (Sharding, Device, Format))


def _wish(path: str, x: Any) -> Wish:
    if _is_place(x):
        return Wish(x)
    if isinstance(x, str):
        return Wish()
    if isinstance(x, ShapeDtypeStruct):
        return Wish(x.sharding, tuple(x.shape), x.dtype)
    if isinstance(x, Array):
        where = x.sharding if x.committed else None
        return Wish(where, x.shape, x.dtype)
    if isinstance(x, (np.ndarray, np.generic)):
        return Wish(None, x.shape, x.dtype, True)
    if is_array_like(x):
        is_python = isinstance(x, (bool, int, float, complex))
        return Wish(None, np.shape(x), None if is_python else aval_of(x).dtype)
    raise TypeError(
        f"load takes a tree of shardings, of ShapeDtypeStruct, or of arrays; for {path} it has "
        f"{describe(x)}{at_user_line()}"
    )


def _wishes(index: Index, wanted: Any) -> tuple[list[Wish], Any]:
    if wanted is None or _is_place(wanted):
        return [Wish(wanted)] * len(index.leaves), structure_of(index.structure)
    found, treedef = flatten_with_path(wanted, is_leaf=_is_place)
    paths = [keystr(keys) or "the value" for keys, _ in found]
    if structure_code(treedef) != index.structure:
        raise ValueError(
            f"the checkpoint has another tree than the one that load was given: "
            f"{_difference(paths, [leaf.path for leaf in index.leaves])}{at_user_line()}"
        )
    return [_wish(path, x) for path, (_, x) in zip(paths, found, strict=True)], treedef


def _difference(given: Sequence[str], saved: Sequence[str]) -> str:
    missing = [p for p in given if p not in set(saved)]
    more = [p for p in saved if p not in set(given)]
    texts = []
    if missing:
        texts.append(f"it has no {_some(missing)}")
    if more:
        texts.append(f"it has {_some(more)}, which were not asked for")
    return "; ".join(texts) or "the leaves are the same, but containers are of other types"


def _some(paths: Sequence[str]) -> str:
    return ", ".join(paths[:4]) + (f" and {len(paths) - 4} more" if len(paths) > 4 else "")


def read(folder: Path, wanted: Any) -> Any:
    """The tree of a checkpoint."""
    folder = standing(folder)
    index = read_index(folder)
    _check_files(folder, index)
    wishes, treedef = _wishes(index, wanted)
    for leaf, wish in zip(index.leaves, wishes, strict=True):
        _check(leaf, wish)
    return tree.unflatten(
        treedef, [_value(folder, leaf, w) for leaf, w in zip(index.leaves, wishes, strict=True)]
    )


def _check_files(folder: Path, index: Index) -> None:
    for name, size in index.files.items():
        path = folder / name
        if not path.exists():
            raise CorruptCheckpointError(
                f"the checkpoint {folder} has lost its file {name}{at_user_line()}"
            )
        if path.stat().st_size != size:
            raise CorruptCheckpointError(
                f"{path} was cut or changed: it has {path.stat().st_size} bytes, and {size} were "
                f"written{at_user_line()}"
            )


def _check(leaf: Leaf, wish: Wish) -> None:
    shape = leaf.shape[:-1] if leaf.kind == "key" else leaf.shape
    if wish.shape is not None and tuple(wish.shape) != shape:
        raise ValueError(
            f"{leaf.path} has the shape {shape} in the checkpoint, and {tuple(wish.shape)} was "
            f"asked for{at_user_line()}"
        )
    if wish.dtype is None or leaf.kind in ("int", "float", "complex", "bool", "str"):
        return
    saved = "keys" if leaf.kind == "key" else leaf.dtype
    asked = "keys" if dtypes.is_extended(wish.dtype) else np.dtype(wish.dtype).name
    if saved != asked:
        raise ValueError(
            f"{leaf.path} has the dtype {saved} in the checkpoint, and {asked} was asked for: load "
            f"it as it is, and convert it with astype{at_user_line()}"
        )


def _value(folder: Path, leaf: Leaf, wish: Wish) -> Any:
    match leaf.kind:
        case "int" | "bool" | "str":
            return leaf.value
        case "float":
            return float.fromhex(leaf.value)
        case "complex":
            return complex(*map(float.fromhex, leaf.value))
    reader = LeafReader(folder, leaf)
    as_saved = wish.is_numpy or (wish.sharding is None and wish.dtype is None)
    if leaf.kind == "numpy" and as_saved:
        return reader.all()
    if reader.dtype.itemsize > 4 and dtypes.canonicalize_dtype(reader.dtype) != reader.dtype:
        raise ValueError(
            f"{leaf.path} has the dtype {leaf.dtype} in the checkpoint, and the option enable_x64 "
            f"is off: set it before, covector.config.update('enable_x64', True){at_user_line()}"
        )
    return _array(reader, wish.sharding)


def _array(reader: LeafReader, where: Any) -> Any:
    leaf = reader.leaf
    where = getattr(where, "sharding", where)
    wrapped = lambda x: wrap_key_data(x, impl=leaf.value) if leaf.kind == "key" else x  # noqa: E731
    if where is None or isinstance(where, Device):
        array = array_from_numpy(reader.all(), reader.dtype, alias=True)
        return wrapped(settled(array) if where is None else device_put(array, where))
    return wrapped(array_of_block(leaf.shape, where, reader.read, f"load: {leaf.path}"))
