"""Saving and loading arrays in NumPy's file formats."""

from __future__ import annotations

from typing import Any

import numpy as onp

from covector.numpy.creation import asarray


def save(file: Any, arr: Any, allow_pickle: bool = True) -> None:
    """Write an array to a ``.npy`` file."""
    onp.save(file, onp.asarray(arr), allow_pickle=allow_pickle)


def savez(file: Any, *args: Any, allow_pickle: bool = True, **kwds: Any) -> None:
    """Write several arrays to an ``.npz`` file, by position or by name."""
    named = {k: onp.asarray(v) for k, v in kwds.items()}
    onp.savez(file, *[onp.asarray(a) for a in args], allow_pickle=allow_pickle, **named)


def load(file: Any, *args: Any, **kwargs: Any) -> Any:
    """Read an array from a ``.npy`` file, or a mapping of arrays from an ``.npz`` file."""
    out = onp.load(file, *args, **kwargs)
    return asarray(out) if isinstance(out, onp.ndarray) else out
