"""Stages of compilation (`covector.stages`)."""

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

from covector.core.errors import export as _export
from covector.runtime.stages import ArgInfo, Compiled, Lowered, Traced

CompilerOptions = Mapping[str, Any]


@runtime_checkable
class Wrapped(Protocol):
    """A function that can be traced and lowered, such as what `covector.jit` returns.

    Examples
    --------
    >>> import covector as cv
    >>> isinstance(cv.jit(abs), cv.stages.Wrapped), isinstance(abs, cv.stages.Wrapped)
    (True, False)
    """

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The function's result."""

    def trace(self, *args: Any, **kwargs: Any) -> Traced:
        """The function traced for the types of these arguments."""

    def lower(self, *args: Any, **kwargs: Any) -> Lowered:
        """The function ready to be compiled for the types of these arguments."""


__all__ = ["ArgInfo", "Compiled", "CompilerOptions", "Lowered", "Traced", "Wrapped"]

_export(globals(), __all__)
