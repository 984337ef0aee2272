"""Where operations come from: lines of users' code, and names of scopes
(`covector.extend.source_info_util`)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any, NamedTuple

from covector.core.errors import SourceFrame, exclude, user_frame
from covector.core.errors import export as _export


class Scope(NamedTuple):
    """A name of `extend_name_stack`."""

    name: str


class Transform(NamedTuple):
    """A name of `transform_name_stack`."""

    name: str


class NameStack:
    """Names of the scopes around an operation, the outermost first.

    Parameters
    ----------
    stack : tuple of Scope and Transform

    Examples
    --------
    >>> from covector.extend import source_info_util
    >>> str(source_info_util.NameStack().extend("layer").extend("bias"))
    'layer/bias'
    """

    __slots__ = ("stack",)

    def __init__(self, stack: tuple[Scope | Transform, ...] = ()) -> None:
        self.stack = stack

    def extend(self, name: str) -> NameStack:
        return NameStack((*self.stack, Scope(name)))

    def transform(self, transform_name: str) -> NameStack:
        return NameStack((*self.stack, Transform(transform_name)))

    def __getitem__(self, index: slice) -> NameStack:
        return NameStack(self.stack[index])

    def __len__(self) -> int:
        return len(self.stack)

    def __add__(self, other: NameStack) -> NameStack:
        return NameStack(self.stack + other.stack)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, NameStack) and self.stack == other.stack

    def __hash__(self) -> int:
        return hash(self.stack)

    def __repr__(self) -> str:
        return f"NameStack({self.stack})"

    def __str__(self) -> str:
        """Scopes in the transformations that they are in: ``jvp(layer)/bias``."""
        out = ""
        for part in self.stack:
            if isinstance(part, Transform):
                out = f"{out}/{part.name}()" if out else f"{part.name}()"
            else:
                out = f"{out}/{part.name}" if out else part.name
        return out


class SourceInfo(NamedTuple):
    """The line of the user that an operation is of, and the scopes around it.

    Parameters
    ----------
    traceback : SourceFrame or None
    name_stack : NameStack

    Examples
    --------
    >>> from covector.extend import source_info_util
    >>> source_info_util.new_source_info().traceback is None
    True
    """

    traceback: Any
    name_stack: NameStack

    def replace(self, **changes: Any) -> SourceInfo:
        return self._replace(**changes)


_NO_NAMES = NameStack()
_names: ContextVar[NameStack] = ContextVar("name_stack", default=_NO_NAMES)
_frame: ContextVar[Any] = ContextVar("user_context", default=None)


def new_name_stack(name: str = "") -> NameStack:
    """A stack of one name, or of none.

    Parameters
    ----------
    name : str

    Returns
    -------
    NameStack

    Examples
    --------
    >>> from covector.extend import source_info_util
    >>> len(source_info_util.new_name_stack("layer"))
    1
    """
    return NameStack((Scope(name),)) if name else NameStack()


def current_name_stack() -> NameStack:
    """Names of the scopes around the running code.

    Returns
    -------
    NameStack

    Examples
    --------
    >>> from covector.extend import source_info_util
    >>> with source_info_util.extend_name_stack("layer"):
    ...     str(source_info_util.current_name_stack())
    'layer'
    """
    return _names.get()


def current() -> SourceInfo:
    """The line of the user that runs, and the scopes around it.

    Returns
    -------
    SourceInfo

    Examples
    --------
    >>> from covector.extend import source_info_util
    >>> source_info_util.current().name_stack
    NameStack(())
    """
    return SourceInfo(_frame.get() or user_frame(), _names.get())


def new_source_info() -> SourceInfo:
    """What is known of an operation of no line and in no scope.

    Returns
    -------
    SourceInfo

    Examples
    --------
    >>> from covector.extend import source_info_util
    >>> len(source_info_util.new_source_info().name_stack)
    0
    """
    return SourceInfo(None, NameStack())


def summarize(source_info: Any, num_frames: int = 1) -> str:
    """The line of an operation in words.

    Parameters
    ----------
    source_info : SourceInfo
        Or the ``source_info`` of an equation.
    num_frames : int
        One frame is known of each operation, so that more are not shown.

    Returns
    -------
    str

    Examples
    --------
    >>> from covector.extend import source_info_util
    >>> source_info_util.summarize(source_info_util.new_source_info())
    'unknown'
    """
    frame = getattr(source_info, "traceback", source_info)
    if isinstance(frame, tuple):
        frame = SourceFrame(*frame)
    return str(frame) if frame else "unknown"


def register_exclusion(path: str) -> None:
    """Take files for parts of the library: errors and `current` then name lines outside of them.

    Parameters
    ----------
    path : str
        A file, or a folder with what is in it.

    Returns
    -------
    None

    Examples
    --------
    >>> from covector.extend import source_info_util
    >>> source_info_util.register_exclusion("/opt/layers/")
    """
    exclude(path)


class set_name_stack(contextlib.ContextDecorator):
    """Context manager: the scopes around the block are those of a stack.

    Parameters
    ----------
    name_stack : NameStack

    Examples
    --------
    >>> from covector.extend import source_info_util
    >>> with source_info_util.set_name_stack(source_info_util.new_name_stack("a")):
    ...     str(source_info_util.current_name_stack())
    'a'
    """

    def __init__(self, name_stack: NameStack) -> None:
        self.name_stack = name_stack

    def __enter__(self) -> NameStack:
        self._token = _names.set(self.name_stack)
        return self.name_stack

    def __exit__(self, *exc: object) -> None:
        _names.reset(self._token)


class extend_name_stack(contextlib.ContextDecorator):
    """Context manager: the block is in one scope more.

    Parameters
    ----------
    name : str

    Examples
    --------
    >>> from covector.extend import source_info_util
    >>> with source_info_util.extend_name_stack("layer") as stack:
    ...     print(stack)
    layer
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def __enter__(self) -> NameStack:
        stack = _names.get().extend(self.name)
        self._token = _names.set(stack)
        return stack

    def __exit__(self, *exc: object) -> None:
        _names.reset(self._token)


class transform_name_stack(contextlib.ContextDecorator):
    """Context manager: the block is in a transformation more.

    Parameters
    ----------
    name : str

    Examples
    --------
    >>> from covector.extend import source_info_util
    >>> with source_info_util.transform_name_stack("vmap") as stack:
    ...     print(stack)
    vmap()
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def __enter__(self) -> NameStack:
        stack = _names.get().transform(self.name)
        self._token = _names.set(stack)
        return stack

    def __exit__(self, *exc: object) -> None:
        _names.reset(self._token)


@contextlib.contextmanager
def reset_name_stack() -> Iterator[None]:
    """Context manager: the block is in no scope.

    Returns
    -------
    context manager

    Examples
    --------
    >>> from covector.extend import source_info_util
    >>> with source_info_util.reset_name_stack():
    ...     len(source_info_util.current_name_stack())
    0
    """
    with set_name_stack(NameStack()):
        yield


class user_context(contextlib.ContextDecorator):
    """Context manager: what `current` says in the block, where it is not to say the line that runs.

    Parameters
    ----------
    traceback : SourceFrame or None
        The line; None for the one that runs.
    name_stack : NameStack, optional

    Examples
    --------
    >>> from covector.extend import source_info_util as si
    >>> with si.user_context(None, name_stack=si.new_name_stack("a")):
    ...     str(si.current().name_stack)
    'a'
    """

    def __init__(self, traceback: Any, *, name_stack: NameStack | None = None) -> None:
        self.traceback = traceback
        self.name_stack = name_stack

    def __enter__(self) -> None:
        stack = _names.get() if self.name_stack is None else self.name_stack
        self._tokens = _frame.set(self.traceback), _names.set(stack)

    def __exit__(self, *exc: object) -> None:
        _frame.reset(self._tokens[0])
        _names.reset(self._tokens[1])


__all__ = [
    "NameStack",
    "SourceInfo",
    "current",
    "current_name_stack",
    "extend_name_stack",
    "new_name_stack",
    "new_source_info",
    "register_exclusion",
    "reset_name_stack",
    "set_name_stack",
    "summarize",
    "transform_name_stack",
    "user_context",
]
_export(globals(), __all__)
