"""Error classes, the user's source line, and tracebacks without the library's frames."""

from __future__ import annotations

import contextlib
import functools
import linecache
import os
import types
from collections.abc import Iterable
from typing import Any

import numpy

from covector import _native

PACKAGE_DIR = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
# Frames of these are the library's where it calls them, and the user's where they do.
_PACKAGES = os.path.dirname(os.path.dirname(os.path.abspath(numpy.__file__)))
HELPERS = [
    *(
        os.path.join(_PACKAGES, name, "")
        for name in ("numpy", "scipy", "optree", "opt_einsum", "llvmlite", "ml_dtypes")
    ),
    contextlib.__file__,
    functools.__file__,
]
_native.set_internal_prefixes([PACKAGE_DIR], HELPERS)


class JAXTypeError(TypeError):
    """Base of the type errors raised while a function is traced."""


class JAXIndexError(IndexError):
    """Base of the index errors raised while a function is traced."""


class ConcretizationTypeError(JAXTypeError):
    """A traced value was used where its concrete value is needed."""


class NonConcreteBooleanIndexError(JAXIndexError):
    """A traced boolean mask was used as an index: the result's size is unknown."""


class TracerArrayConversionError(JAXTypeError):
    """A traced value was converted to a NumPy array."""


class TracerIntegerConversionError(JAXTypeError):
    """A traced value was used as a Python integer, for example as a list index."""


class TracerBoolConversionError(ConcretizationTypeError):
    """A traced value was used as a Python bool, for example in an ``if``."""


class UnexpectedTracerError(JAXTypeError):
    """A tracer was used outside the transformation that made it."""


class JaxprTypeError(TypeError):
    """A jaxpr is not well formed."""


class TypePromotionError(ValueError):
    """Two dtypes have no common type, or mix under strict promotion."""


class KeyReuseError(RuntimeError):
    """A PRNG key was used twice."""


class InconclusiveDimensionOperation(Exception):
    """The outcome of an operation on symbolic sizes cannot be decided."""


JaxRuntimeError = RuntimeError


class SourceFrame:
    """A place in the user's code: file, line and function."""

    __slots__ = ("filename", "lineno", "function")

    def __init__(self, filename: str, lineno: int, function: str) -> None:
        self.filename, self.lineno, self.function = filename, lineno, function

    @property
    def code(self) -> str:
        return linecache.getline(self.filename, self.lineno).strip()

    def __str__(self) -> str:
        text = f"{self.filename}:{self.lineno} ({self.function})"
        return f"{text}: {self.code}" if self.code else text


def user_frame() -> SourceFrame | None:
    """The innermost frame of the running code outside Covector."""
    found = _native.user_frame(PACKAGE_DIR)
    return SourceFrame(*found) if found else None


def at_user_line() -> str:
    """A line for the end of an error message: where in the user's code it arose."""
    frame = user_frame()
    return f"\nThe error arose at {frame}" if frame else ""


def describe(x: Any) -> str:
    """``float32[3,4]`` for an array-like, else the type's name and the value, shortened."""
    aval = getattr(x, "aval", None)
    if aval is not None:
        return aval.str_short()
    shape, dtype = getattr(x, "shape", None), getattr(x, "dtype", None)
    if shape is not None and dtype is not None:
        return f"{dtype}[{','.join(map(str, shape))}]"
    text = repr(x)
    return f"{type(x).__name__} {text if len(text) <= 60 else text[:57] + '...'}"


def export(namespace: dict[str, Any], names: Iterable[str]) -> None:
    """Make the plain functions among the public ``names`` of a module API boundaries.

    Errors then show the frames of users and not ours, unless ``traceback_filtering`` is off.
    Code of the library imports the functions from where they are defined, as they are.
    """
    module = namespace["__name__"]
    wrapped: dict[Any, Any] = {}  # a function with two names stays one object
    for name in names:
        value = namespace.get(name)
        if type(value) is types.FunctionType:
            if value not in wrapped:
                wrapped[value] = _native.Boundary(value, module)
            namespace[name] = wrapped[value]


def unwrapped(fun: Any) -> Any:
    """The function inside an API boundary; others as they are."""
    return fun.__wrapped__ if type(fun) is _native.Boundary else fun
