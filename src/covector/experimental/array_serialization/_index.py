"""The index of a checkpoint: what is in it, and where in which file."""

from __future__ import annotations

import dataclasses
import json
import os
import zlib
from collections import OrderedDict
from pathlib import Path
from typing import Any

from covector.core import tree
from covector.core.errors import at_user_line, describe
from covector.core.tree import PyTreeDef

NAME = "covector checkpoint"
VERSION = 1
INDEX = "index.json"
BLOCK = 1 << 18  # bytes that have one checksum, and are read together


class CorruptCheckpointError(ValueError):
    """A file of a checkpoint is missing, cut, or not as it was written.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import covector as cv
    >>> from covector.experimental import array_serialization
    >>> folder = pathlib.Path(tempfile.mkdtemp(), "weights")
    >>> array_serialization.save({"w": cv.numpy.ones(3)}, folder)
    >>> (folder / "data-0.bin").write_bytes(b"short")
    5
    >>> try:
    ...     array_serialization.load(folder)
    ... except array_serialization.CorruptCheckpointError as e:
    ...     print("5 bytes" in str(e))
    True
    """


@dataclasses.dataclass(frozen=True)
class Chunk:
    """A block of an array in a file.

    Attributes
    ----------
    start, shape : tuple of int
        Where it is in the array, and its size.
    file : str
    offset, nbytes : int
        Where it is in the file; elements are in the order of C.
    crc32 : tuple of int
        A checksum for each `BLOCK` bytes.
    """

    start: tuple[int, ...]
    shape: tuple[int, ...]
    file: str
    offset: int
    nbytes: int
    crc32: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Leaf:
    """A leaf of the tree.

    Attributes
    ----------
    path : str
        As the user would write it.
    kind : str
        ``array``, ``numpy``, ``key`` (the numbers of random keys), or the type of a Python value.
    shape : tuple of int
        Of what is in the files: that of keys has the numbers of a key last.
    dtype : str
    value : object
        A Python value; of keys, the name of their implementation.
    chunks : tuple of Chunk
    """

    path: str
    kind: str
    shape: tuple[int, ...] = ()
    dtype: str = ""
    value: Any = None
    chunks: tuple[Chunk, ...] = ()


@dataclasses.dataclass(frozen=True)
class Index:
    """All that is known of a checkpoint."""

    identity: str
    structure: Any
    leaves: tuple[Leaf, ...]
    files: dict[str, int]


def chunk_from(entry: dict[str, Any]) -> Chunk:
    """A chunk as JSON has it."""
    return Chunk(
        tuple(entry["start"]), tuple(entry["shape"]), entry["file"], entry["offset"],
        entry["nbytes"], tuple(entry["crc32"]),
    )  # fmt: skip


def write_index(index: Index) -> bytes:
    """The bytes of the index file."""
    text = json.dumps({
        "format": NAME, "version": VERSION, "id": index.identity, "block": BLOCK,
        "tree": index.structure, "files": index.files,
        "leaves": [dataclasses.asdict(leaf) for leaf in index.leaves],
    })  # fmt: skip
    return f'{{"crc32": {zlib.crc32(text.encode())}, "index":\n{text}\n}}\n'.encode()


def read_index(folder: Path) -> Index:
    """The index of a checkpoint.

    Raises
    ------
    FileNotFoundError
        If there is no checkpoint.
    CorruptCheckpointError
        If its index cannot be read.
    """
    path = folder / INDEX
    try:
        data = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        there = "there is no folder of that name"
        if folder.is_dir():
            there = f"the folder has no {INDEX}"
        raise FileNotFoundError(f"no checkpoint at {folder}: {there}{at_user_line()}") from None
    try:
        checked = json.loads(data)
        text = data.split(b"\n", 1)[1].rsplit(b"\n", 2)[0]
        right = checked["crc32"] == zlib.crc32(text)
        found = checked["index"]
    except (ValueError, KeyError, IndexError, TypeError):
        raise CorruptCheckpointError(
            f"{path} is not the index of a checkpoint, or was cut: it has {len(data)} bytes"
            f"{at_user_line()}"
        ) from None
    if found.get("format") != NAME or found.get("version") != VERSION:
        raise CorruptCheckpointError(
            f"{path} has the format {found.get('format')!r} of version {found.get('version')!r}; "
            f"this version of Covector reads {NAME!r} of version {VERSION}{at_user_line()}"
        )
    if not right:
        raise CorruptCheckpointError(
            f"{path} was changed after it was written: its checksum is another{at_user_line()}"
        )
    leaves = tuple([
        Leaf(
            e["path"], e["kind"], tuple(e["shape"]), e["dtype"], e["value"],
            tuple([chunk_from(c) for c in e["chunks"]]),
        )
        for e in found["leaves"]
    ])  # fmt: skip
    return Index(found["id"], found["tree"], leaves, found["files"])


# --- structures --------------------------------------------------------------------------------


def structure_code(treedef: PyTreeDef) -> Any:
    """A structure as values of JSON.

    Types of users are known by their names, so that two structures can be compared.
    """
    if treedef.is_leaf():
        return "*"
    kind = treedef.type
    if kind is None or kind is type(None):
        return None
    children = [structure_code(c) for c in treedef.children()]
    if kind in (tuple, list):
        return {kind.__name__: children}
    if kind in (dict, OrderedDict):
        keys = [_key_code(k) for k in treedef.entries()]
        return {kind.__name__: [list(pair) for pair in zip(keys, children, strict=True)]}
    names = [str(e) for e in treedef.entries()]
    return {"node": [f"{kind.__module__}.{kind.__qualname__}", names, children]}


def _key_code(key: Any) -> Any:
    if isinstance(key, tuple):
        return [_key_code(k) for k in key]
    if key is None or isinstance(key, (str, int, float)):
        return key
    raise TypeError(
        "a checkpoint holds dictionaries whose keys are strings, numbers or tuples of those, got "
        f"the key {describe(key)}{at_user_line()}"
    )


def structure_of(code: Any) -> PyTreeDef:
    """The structure of a code.

    Raises
    ------
    ValueError
        If there are types of users in it.
    """
    return tree.structure(_example(code))


def _example(code: Any) -> Any:
    if code is None:
        return None
    if code == "*":
        return 0
    ((kind, items),) = code.items()
    match kind:
        case "tuple":
            return tuple([_example(c) for c in items])
        case "list":
            return [_example(c) for c in items]
        case "dict":
            return {_key(k): _example(c) for k, c in items}
        case "OrderedDict":
            return OrderedDict([(_key(k), _example(c)) for k, c in items])
    raise ValueError(
        f"the tree of the checkpoint has nodes of the type {items[0]}, which a file cannot make: "
        f"give load a tree of the same structure, of ShapeDtypeStruct or arrays{at_user_line()}"
    )


def _key(code: Any) -> Any:
    return tuple([_key(k) for k in code]) if isinstance(code, list) else code


def absolute(directory: Any, what: str) -> Path:
    """The folder of a checkpoint."""
    if not isinstance(directory, (str, os.PathLike)):
        raise TypeError(
            f"{what} takes the path of a folder, got {describe(directory)}{at_user_line()}"
        )
    return Path(os.path.abspath(directory))


def beside(folder: Path, word: str) -> Path:
    """The folder next to a checkpoint in which the next one is made, or the last one is kept."""
    return folder.with_name(f".{folder.name}.{word}")


def standing(folder: Path) -> Path:
    """Where the checkpoint is: between two renames it has been moved aside."""
    aside = beside(folder, "old")
    return aside if not folder.exists() and (aside / INDEX).exists() else folder
