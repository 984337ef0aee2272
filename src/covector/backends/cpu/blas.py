"""BLAS from SciPy: the addresses behind `scipy.linalg.cython_blas`."""

from __future__ import annotations

import ctypes
import functools
import importlib.machinery
import importlib.util
import os
from typing import Any

from covector import _native

_ROUTINES = ("sgemm", "dgemm", "cgemm", "zgemm", "sgemv", "dgemv")


def _cython_blas() -> Any:
    """SciPy's module of BLAS pointers, without the quarter second of all of `scipy.linalg`."""
    scipy = importlib.util.find_spec("scipy")
    folders = scipy.submodule_search_locations if scipy is not None else None
    if folders:
        loader = (importlib.machinery.ExtensionFileLoader, importlib.machinery.EXTENSION_SUFFIXES)
        finder = importlib.machinery.FileFinder(os.path.join(folders[0], "linalg"), loader)
        spec = finder.find_spec("cython_blas")
        if spec is not None and spec.loader is not None:
            try:
                module = importlib.util.module_from_spec(spec)
                spec.loader.exec_module(module)
                return module
            except ImportError:
                pass
    from scipy.linalg import cython_blas

    return cython_blas


@functools.cache
def load() -> None:
    """Hand the routines to the native core (once)."""
    get = ctypes.pythonapi.PyCapsule_GetPointer
    get.restype, get.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    name_of = ctypes.pythonapi.PyCapsule_GetName
    name_of.restype, name_of.argtypes = ctypes.c_char_p, [ctypes.py_object]
    module = _cython_blas()
    capsules = module.__pyx_capi__
    table = {fn: get(capsules[fn], name_of(capsules[fn])) for fn in _ROUTINES}
    library = ctypes.CDLL(module.__file__)
    for prefix, suffix in (("scipy_", ""), ("", ""), ("scipy_", "64_")):
        # OpenBLAS's own setting of threads, under the names that SciPy's builds give it.
        names = [f"{prefix}openblas_{verb}_num_threads{suffix}" for verb in ("set", "get")]
        if all(hasattr(library, n) for n in names):
            for verb, n in zip(("set", "get"), names, strict=True):
                address = ctypes.cast(getattr(library, n), ctypes.c_void_p).value
                table[f"{verb}_num_threads"] = address
            break
    _native.set_blas(table)
