"""Python functions called from compiled code."""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Sequence
from typing import Any

import numpy as np

from covector import _native
from covector.core import dtypes
from covector.core.avals import Array, ShapedArray, array_from_numpy
from covector.transforms.callbacks import call_checked


def words(aval: ShapedArray) -> ShapedArray:
    """The type as the host has it: keys of random numbers are integers."""
    return aval.update(dtype=np.dtype(np.uint64)) if dtypes.is_extended(aval.dtype) else aval


def view(address: int, aval: ShapedArray) -> np.ndarray:
    """The memory of a value as a NumPy array."""
    nbytes = aval.size * aval.dtype.itemsize
    raw = (ctypes.c_char * nbytes).from_address(address) if nbytes else b""
    return np.frombuffer(raw, words(aval).dtype).reshape(aval.shape)


def host_array(words: np.ndarray, aval: ShapedArray) -> Array:
    """What a callback receives: an array on the host with the elements of ``words``, which holds
    PRNG keys as 64-bit words."""
    if dtypes.is_extended(aval.dtype):
        code = dtypes.code_of[aval.dtype]
        return _native.array_from_buffer(
            np.ascontiguousarray(words), code, aval.shape, False, False
        )
    return array_from_numpy(words, aval.dtype)


class Registration:
    """A callback known to the native core under ``ident``, for as long as this object lives."""

    def __init__(self, run: Any) -> None:
        self.ident = _native.register_callback(run)
        weakref.finalize(self, _native.unregister_callback, self.ident)


def register(
    eqn: Any, ins: Sequence[ShapedArray], outs: Sequence[ShapedArray], copied: bool = False
) -> Registration:
    """Make the callback of an equation known to the native core.

    The Python function receives arrays, copies of the program's memory if ``copied``, and returns
    one array per result.
    """
    callback = eqn.params["callback"]

    def run(in_addresses: Sequence[int], out_addresses: Sequence[int]) -> None:
        views = [view(p, a) for p, a in zip(in_addresses, ins, strict=True)]
        if copied:
            views = [v.copy() for v in views]
        args = [host_array(v, a) for v, a in zip(views, ins, strict=True)]
        if not outs:
            callback(*args)
            return
        found = call_checked(callback, args, outs, eqn.primitive.name)
        for p, a, r in zip(out_addresses, outs, found, strict=True):
            view(p, a)[...] = r

    return Registration(run)


def _view_out(address: int, aval: ShapedArray) -> np.ndarray:
    nbytes = aval.size * aval.dtype.itemsize
    raw = (ctypes.c_char * max(1, nbytes)).from_address(address)
    return np.frombuffer(raw, aval.dtype, count=aval.size).reshape(aval.shape)
