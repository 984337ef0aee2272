"""BLAS and LAPACK from SciPy: of its wheels, or by `cython_blas` and `cython_lapack`."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import importlib.machinery
import importlib.util
import os
import pathlib
import threading
from collections.abc import Iterable
from typing import Any

from covector import _native

_BLAS = [*(t + name for name in "gemm trsm syrk".split() for t in "sdcz"), "sgemv", "dgemv"]
_LAPACK = [
    *(
        t + name
        for name in "potrf getrf getrs geqrf geqp3 gesdd gesvd geev gehrd gees trsyl".split()
        for t in "sdcz"
    ),
    *(t + name for name in "orgqr ormqr syevd sytrd stevd".split() for t in "sd"),
    *(t + name for name in "ungqr unmqr heevd hetrd".split() for t in "cz"),
]

# Library calls (`ir.LibraryCall.kind`) by what they need.
_BLAS_CALLS = {"gemm", "convolution", "triangular_solve", "symmetric_product"}
_LAPACK_CALLS = {
    "cholesky", "lu", "qr", "geqrf", "householder_product", "eigh", "svd", "eig", "hessenberg",
    "tridiagonal", "ormqr", "schur", "triangular_sylvester", "eigh_tridiagonal", "exponential",
}  # fmt: skip


# An extension module that two threads execute at once is whole for neither.
_loading = threading.RLock()


def load_for(calls: Iterable[str]) -> None:
    """Load what library calls of these kinds need."""
    for kind in calls:
        if kind in _BLAS_CALLS or kind in _LAPACK_CALLS:
            with _loading:
                _load_blas()
                if kind in _LAPACK_CALLS:
                    _load_lapack()


def _scipy_module(name: str) -> Any:
    """One of SciPy's modules of pointers, without the quarter second of all of `scipy.linalg`."""
    scipy = importlib.util.find_spec("scipy")
    folders = scipy.submodule_search_locations if scipy is not None else None
    if folders:
        loader = (importlib.machinery.ExtensionFileLoader, importlib.machinery.EXTENSION_SUFFIXES)
        finder = importlib.machinery.FileFinder(os.path.join(folders[0], "linalg"), loader)
        spec = finder.find_spec(name)
        if spec is not None and spec.loader is not None:
            try:
                module = importlib.util.module_from_spec(spec)
                spec.loader.exec_module(module)
                return module
            except ImportError:
                pass
    return importlib.import_module(f"scipy.linalg.{name}")


def _routines(module: Any, names: Iterable[str]) -> dict[str, int]:
    """Addresses of routines, whose integers must be 32 bits wide."""
    get = ctypes.pythonapi.PyCapsule_GetPointer
    get.restype, get.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    name_of = ctypes.pythonapi.PyCapsule_GetName
    name_of.restype, name_of.argtypes = ctypes.c_char_p, [ctypes.py_object]
    out = {}
    for name in names:
        capsule = module.__pyx_capi__[name]
        signature = name_of(capsule)
        if b"int *" not in signature:
            raise ImportError(f"{module.__name__}.{name} takes integers that are not C ints")
        out[name] = get(capsule, signature)
    return out


@functools.cache
def _openblas() -> ctypes.CDLL | None:
    """The library in SciPy's wheels behind `cython_blas`, whose integers are C ints.

    It takes a tenth of the time of those modules, which import `scipy`. None in other builds.
    """
    scipy = importlib.util.find_spec("scipy")
    for folder in (scipy and scipy.submodule_search_locations) or ():
        for path in sorted(pathlib.Path(folder).parent.glob("scipy.libs/libscipy_openblas-*")):
            with contextlib.suppress(OSError):
                library = ctypes.CDLL(str(path))
                if all(hasattr(library, f"scipy_{name}_") for name in (*_BLAS, *_LAPACK)):
                    return library
    return None


def _address(library: ctypes.CDLL, name: str) -> int:
    return ctypes.cast(getattr(library, name), ctypes.c_void_p).value or 0


def _addresses(kind: str, names: Iterable[str]) -> tuple[ctypes.CDLL, dict[str, int]]:
    """A library with routines, and their addresses: those of a wheel, or of SciPy's modules."""
    library = _openblas()
    if library is not None:
        return library, {name: _address(library, f"scipy_{name}_") for name in names}
    module = _scipy_module(f"cython_{kind}")
    return ctypes.CDLL(module.__file__), _routines(module, names)


@functools.cache
def _load_blas() -> None:
    """Hand BLAS to the native core (once)."""
    library, table = _addresses("blas", _BLAS)
    for prefix, suffix in (("scipy_", ""), ("", ""), ("scipy_", "64_")):
        # OpenBLAS's own setting of threads, under the names that SciPy's builds give it.
        names = [f"{prefix}openblas_{verb}_num_threads{suffix}" for verb in ("set", "get")]
        if all(hasattr(library, n) for n in names):
            for verb, n in zip(("set", "get"), names, strict=True):
                table[f"{verb}_num_threads"] = _address(library, n)
            break
    _native.set_routines(table)


@functools.cache
def _load_lapack() -> None:
    """Hand LAPACK to the native core (once)."""
    _native.set_routines(_addresses("lapack", _LAPACK)[1])
