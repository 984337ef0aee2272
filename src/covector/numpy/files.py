"""Saving and loading arrays in NumPy's file formats."""

from __future__ import annotations

from typing import Any

import numpy as onp
from numpy.lib.npyio import NpzFile

from covector.core import dtypes
from covector.numpy.creation import asarray


def save(file: Any, arr: Any, allow_pickle: bool = True) -> None:
    """Write an array to a ``.npy`` file.

    Parameters
    ----------
    file : str, path or file object
        The ending ``.npy`` is added to a name without it.
    arr : array_like
    allow_pickle : bool
        Whether objects may be pickled; arrays of numbers are not.

    Returns
    -------
    None

    Examples
    --------
    >>> import io
    >>> import covector.numpy as np
    >>> file = io.BytesIO()
    >>> np.save(file, np.array([1, 2]))
    >>> start = file.seek(0)
    >>> np.load(file)
    Array([1, 2], dtype=int32)
    """
    onp.save(file, _stored(arr), allow_pickle=allow_pickle)


def savez(file: Any, *args: Any, allow_pickle: bool = True, **kwds: Any) -> None:
    """Write several arrays to an ``.npz`` file, by position or by name.

    Parameters
    ----------
    file : str, path or file object
        The ending ``.npz`` is added to a name without it.
    *args : array_like
        Named ``arr_0``, ``arr_1`` and so on.
    allow_pickle : bool
        Whether objects may be pickled; arrays of numbers are not.
    **kwds : array_like
        By name.

    Returns
    -------
    None

    Examples
    --------
    >>> import io
    >>> import covector.numpy as np
    >>> file = io.BytesIO()
    >>> np.savez(file, np.zeros(2), weights=np.ones(3))
    >>> start = file.seek(0)
    >>> sorted(np.load(file))
    ['arr_0', 'weights']
    """
    named = {k: _stored(v) for k, v in kwds.items()}
    onp.savez(file, *map(_stored, args), allow_pickle=allow_pickle, **named)


def load(file: Any, *args: Any, **kwargs: Any) -> Any:
    """Read an array from a ``.npy`` file, or a mapping of arrays from an ``.npz`` file.

    Parameters
    ----------
    file : str, path or file object
    *args, **kwargs
        Those of ``numpy.load``.

    Returns
    -------
    Array, or mapping
        The arrays of an ``.npz`` file are NumPy's, and are read when they are looked up.

    Examples
    --------
    >>> import os
    >>> import tempfile
    >>> import covector.numpy as np
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "x.npy")
    ...     np.save(path, np.array([1, 2]))
    ...     print(np.load(path))
    [1 2]
    """
    out = onp.load(file, *args, **kwargs)
    if isinstance(out, NpzFile):
        out.__class__ = _Arrays
        return out
    return asarray(_typed(out))


_SMALL = {dt.name: dt for dt in dtypes.SMALL}


def _stored(x: Any) -> onp.ndarray:
    """The array as NumPy's; a dtype of a byte names itself as the field of a record."""
    x = onp.asarray(x)
    return x.view([(x.dtype.name, "u1")]) if x.dtype in dtypes.SMALL else x


class _Arrays(NpzFile):
    """The arrays of an ``.npz`` file, those of dtypes that NumPy does not know too."""

    def __getitem__(self, key: str) -> Any:
        return _typed(super().__getitem__(key))


def _typed(x: Any) -> Any:
    """What `_stored` wrote. Of bfloat16 a file says only that its elements have two bytes."""
    dtype = getattr(x, "dtype", None)
    if dtype == onp.dtype("V2"):
        return x.view(dtypes.bfloat16)
    if dtype is not None and dtype.names is not None and dtype.names[0] in _SMALL:
        return x.view(_SMALL[dtype.names[0]])
    return x
