"""Error classes, the user's source line, and tracebacks without the library's frames."""

from __future__ import annotations

import contextlib
import functools
import linecache
import os
import sys
import threading
import types
from collections.abc import Iterable
from typing import Any, TypeVar, cast

import numpy

from covector import _native
from covector.core.places import place_of

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
_LIBRARY = [PACKAGE_DIR]
_native.set_internal_prefixes(_LIBRARY, HELPERS)


def exclude(path: str) -> None:
    """Take the file or folder ``path`` for a part of the library, where users' lines are named."""
    _LIBRARY.append(path)
    _native.set_internal_prefixes(_LIBRARY, HELPERS)


# What functions are called that stand for others.
_WRAPPERS = (
    "array_op", "array_rop", "call", "execute", "fallback", "foreign", "op", "run", "shown",
    "target_of", "where_now", "where_to_run", "wrapped", "wrapper",
)  # fmt: skip


class JAXTypeError(TypeError):
    """Base of the type errors raised while a function is traced."""


class JAXIndexError(IndexError):
    """Base of the index errors raised while a function is traced."""


class ConcretizationTypeError(JAXTypeError):
    """A traced value was used where its concrete value is needed.

    Make the argument static (``static_argnums`` of `jit`), or compute the value outside.

    Examples
    --------
    >>> import covector as cv
    >>> f = cv.jit(lambda n: cv.numpy.arange(n))
    >>> try:
    ...     f(3)
    ... except cv.errors.ConcretizationTypeError:
    ...     print(cv.jit(cv.numpy.arange, static_argnums=0)(3))
    [0 1 2]
    """


class NonConcreteBooleanIndexError(JAXIndexError):
    """A traced boolean mask was used as an index: the result's size is unknown.

    Choose with `covector.numpy.where`, which keeps the shape.

    Examples
    --------
    >>> import covector as cv
    >>> import covector.numpy as np
    >>> x = np.array([1, -2, 3])
    >>> try:
    ...     cv.jit(lambda x: x[x > 0].sum())(x)
    ... except cv.errors.NonConcreteBooleanIndexError:
    ...     print(cv.jit(lambda x: np.where(x > 0, x, 0).sum())(x))
    4
    """


class TracerArrayConversionError(JAXTypeError):
    """A traced value was converted to a NumPy array.

    Use the function of `covector.numpy` in place of NumPy's, or call NumPy by `pure_callback`.

    Examples
    --------
    >>> import numpy
    >>> import covector as cv
    >>> try:
    ...     cv.jit(lambda x: numpy.asarray(x) + 1)(1)
    ... except cv.errors.TracerArrayConversionError:
    ...     print(cv.jit(lambda x: cv.numpy.asarray(x) + 1)(1))
    2
    """


class TracerIntegerConversionError(JAXTypeError):
    """A traced value was used as a Python integer, for example as a list index.

    Make an array of the list, or the argument static.

    Examples
    --------
    >>> import covector as cv
    >>> values = [10, 20, 30]
    >>> try:
    ...     cv.jit(lambda i: values[i])(1)
    ... except cv.errors.TracerIntegerConversionError:
    ...     print(cv.jit(lambda i: cv.numpy.array(values)[i])(1))
    20
    """


class TracerBoolConversionError(ConcretizationTypeError):
    """A traced value was used as a Python bool, for example in an ``if``.

    Use `lax.cond` or `covector.numpy.where`, or make the argument static.

    Examples
    --------
    >>> import covector as cv
    >>> try:
    ...     cv.jit(lambda x: x if x > 0 else -x)(-3)
    ... except cv.errors.TracerBoolConversionError:
    ...     print(cv.jit(lambda x: cv.numpy.where(x > 0, x, -x))(-3))
    3
    """


class UnexpectedTracerError(JAXTypeError):
    """A tracer was used outside the transformation that made it.

    A function stored a value of its trace in a global variable or an object: return it instead.

    Examples
    --------
    >>> import covector as cv
    >>> leaked = []
    >>> y = cv.jit(lambda x: leaked.append(x + 1))(1)
    >>> try:
    ...     leaked[0] * 2
    ... except cv.errors.UnexpectedTracerError:
    ...     print("leaked")
    leaked
    """


class JaxprTypeError(TypeError):
    """A jaxpr is not well formed."""


class TypePromotionError(ValueError):
    """Two dtypes have no common type, or mix under strict promotion.

    Examples
    --------
    >>> import covector as cv
    >>> cv.config.update("numpy_dtype_promotion", "strict")
    >>> try:
    ...     cv.numpy.ones(2) + cv.numpy.arange(2)
    ... except cv.errors.TypePromotionError:
    ...     print("floats and integers are mixed")
    floats and integers are mixed
    >>> cv.config.update("numpy_dtype_promotion", "standard")
    """


class ShapeMismatchError(TypeError, ValueError):
    """Shapes that do not fit together.

    NumPy raises ValueError for them, JAX TypeError: whoever expects either catches this.

    Examples
    --------
    >>> import covector as cv
    >>> import covector.numpy as np
    >>> try:
    ...     np.ones(3) + np.ones(4)
    ... except ValueError:
    ...     print("no common shape")
    no common shape
    """


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
    """Where the equation comes from whose rule runs, or the innermost frame outside Covector."""
    asked = getattr(_asked, "frame", None)
    if asked is not None:
        return cast(SourceFrame, asked)
    found = place_of(_native.current_trace()) or _native.user_frame(PACKAGE_DIR)
    return SourceFrame(*found) if found else None


# Of a thread of the library: the frame of the user that asked for its work.
_asked = threading.local()


def work_for(frame: SourceFrame | None) -> None:
    """Name ``frame`` as the user's in what this thread says from now on."""
    _asked.frame = frame


def at_user_line() -> str:
    """A line for the end of an error message: where in the user's code it arose."""
    frame = user_frame()
    return f"\nThe error arose at {frame}" if frame else ""


def is_library(filename: str) -> bool:
    """Whether a file is of the library."""
    return filename.startswith(tuple(_LIBRARY))


def called_name(otherwise: str) -> str:
    """The public name of the function of the library that the user has called."""
    frame: types.FrameType | None = sys._getframe(1)
    found = otherwise
    while frame is not None:
        filename, name = frame.f_code.co_filename, frame.f_code.co_name.strip("_")
        if is_library(filename):
            if name.isidentifier() and name not in _WRAPPERS:
                found = name
        elif not filename.startswith(tuple(HELPERS)):
            break
        frame = frame.f_back
    return found


def meaningless(name: str, why: str) -> NotImplementedError:
    """The error for a name of JAX's that has no meaning here; see docs/differences.md."""
    return NotImplementedError(f"{name}: {why}")


# What has been warned of, and where: by default a warning is shown once a line.
_warned: dict[Any, Any] = {}


def warn(text: str, category: type[Warning] = UserWarning) -> None:
    """Warn at the line of the user's code."""
    import warnings

    frame = user_frame()
    if frame is None:
        warnings.warn(text, category, stacklevel=2)
    else:
        warnings.warn_explicit(text, category, frame.filename, frame.lineno, registry=_warned)


def describe(x: Any) -> str:
    """``float32[3,4]`` for an array-like, else the type's name and the value, shortened."""
    aval = getattr(x, "aval", None)
    if aval is not None:
        return aval.str_short()
    shape, dtype = getattr(x, "shape", None), getattr(x, "dtype", None)
    if shape is not None and dtype is not None:
        text = f"{dtype}[{','.join(map(str, shape))}]"
        # Of others' arrays, and of sparse ones, the class is what matters.
        known = isinstance(x, (numpy.ndarray, numpy.generic))
        return text if known else f"{type(x).__name__} {text}"
    text = repr(x)
    if isinstance(x, (list, tuple)) and "Traced<" in text:
        # What a function that is compiled has in place of the numbers the user gave.
        return f"{type(x).__name__} of {len(x)} items"
    return f"{type(x).__name__} {text if len(text) <= 60 else text[:57] + '...'}"


def export(namespace: dict[str, Any], names: Iterable[str]) -> None:
    """Make the plain functions among the public ``names`` of a module API boundaries.

    Errors then show the frames of users and not ours, unless ``traceback_filtering`` is off.
    Code of the library imports the functions from where they are defined, as they are.
    """
    module = namespace["__name__"]
    names = tuple(names)
    # Completion shows these alone; a module whose names come late has its own.
    namespace.setdefault("__dir__", lambda: sorted(names))
    wrapped: dict[Any, Any] = {}  # a function with two names stays one object
    for name in names:
        value = namespace.get(name)
        if type(value) is types.FunctionType:
            if value not in wrapped:
                wrapped[value] = _native.Boundary(value, module)
            namespace[name] = wrapped[value]


# Methods with other names than people's own that they call by operators and statements.
_CALLED = ("__init__", "__call__", "__getitem__", "__setitem__", "__enter__", "__exit__")
C = TypeVar("C", bound=type)


def boundaries(cls: C) -> C:
    """Class decorator: make the methods for people API boundaries, as `export` does functions."""
    for name, value in list(vars(cls).items()):
        ours = type(value) is types.FunctionType and (name[0] != "_" or name in _CALLED)
        if ours and not getattr(value, "__isabstractmethod__", False):
            setattr(cls, name, _native.Boundary(value))
    return cls


def unwrapped(fun: Any) -> Any:
    """The function inside an API boundary; others as they are."""
    return fun.__wrapped__ if type(fun) is _native.Boundary else fun
