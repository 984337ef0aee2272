"""Checkpoints: trees of arrays in files (`covector.experimental.array_serialization`).

The format
----------
A checkpoint is a folder. ``index.json`` says what is in it, ``data-N.bin`` has what process N
wrote.

``index.json`` is one object: ``crc32``, and ``index`` on a line of its own, whose bytes have that
checksum. Of the index:

- ``format``, ``version``: "covector checkpoint", 1;
- ``id``: a random text, another for each checkpoint;
- ``tree``: ``"*"`` is a leaf, ``null`` is None, ``{"tuple": [...]}`` and ``{"list": [...]}`` hold
  trees, ``{"dict": [[key, tree], ...]}`` and ``{"OrderedDict": ...}`` pairs,
  ``{"node": [type, [name, ...], [tree, ...]]}`` is a node of a type of users;
- ``files``: the size of each file in bytes;
- ``block``: how many bytes have one checksum (262,144);
- ``leaves``, in the order of the tree: ``path``, as a user writes it; ``kind``; ``shape``,
  ``dtype`` (a name of NumPy's or of ml_dtypes'), ``value`` and ``chunks``.

The kind is ``array``; ``numpy``, which is read as a NumPy array; ``key``, the numbers of random
keys, whose implementation is the value; or ``int``, ``bool``, ``str``, ``float`` and ``complex``,
Python's, which are the value, floating-point numbers as hexadecimal texts.

A chunk is a block of an array: ``start`` and ``shape`` say where it is, ``file``, ``offset`` and
``nbytes`` where its elements are, in the order of C, of little-endian machines, a byte for each
number of fewer than eight bits. ``crc32`` has a checksum for each block of its bytes, the last of
which may be shorter. Chunks do not overlap and cover the array.

A checkpoint NAME is made in the folder ``.NAME.new`` beside it, written to disk, and renamed. One
that was there is renamed to ``.NAME.old`` before, and removed after it; between the two renames it
is found there.
"""

from covector.core.errors import export as _export
from covector.experimental.array_serialization import pytree_serialization
from covector.experimental.array_serialization.pytree_serialization import (
    CorruptCheckpointError,
    Pending,
    load,
    load_pytreedef,
    nonblocking_load,
    nonblocking_save,
    save,
)

__all__ = [
    "CorruptCheckpointError",
    "Pending",
    "load",
    "load_pytreedef",
    "nonblocking_load",
    "nonblocking_save",
    "pytree_serialization",
    "save",
]
_export(globals(), [n for n in __all__ if n != "pytree_serialization"])
