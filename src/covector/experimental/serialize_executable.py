"""Compiled functions as bytes: machine code, for the same release on the same kind of processor.

The bytes are checked before anything of them is used: docs/export.md says what they hold.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from covector.core.errors import at_user_line, describe
from covector.core.errors import export as _export
from covector.runtime.loaded import loaded, serialized
from covector.runtime.stages import Compiled

__all__ = ["deserialize_and_load", "serialize"]


def serialize(compiled: Any) -> tuple[bytes, Any, Any]:
    """A compiled function as bytes, which hold its machine code.

    Parameters
    ----------
    compiled : Compiled
        What ``jit(f).lower(...).compile()`` returns.

    Returns
    -------
    serialized : bytes
    in_tree, out_tree : PyTreeDef
        Structures of ``(args, kwargs)`` and of the result.

    Raises
    ------
    ValueError
        If the program calls Python functions, which have no bytes.
    NotImplementedError
        If it runs on devices of several processes, or its backend does not write programs.

    Examples
    --------
    >>> import covector as cv
    >>> from covector.experimental.serialize_executable import deserialize_and_load, serialize
    >>> compiled = cv.jit(lambda x: {"y": 2 * x}).lower(cv.numpy.arange(3)).compile()
    >>> loaded = deserialize_and_load(*serialize(compiled))
    >>> loaded(cv.numpy.array([5, 6, 7]))
    {'y': Array([10, 12, 14], dtype=int32)}
    """
    if not isinstance(compiled, Compiled):
        raise TypeError(
            f"serialize takes what jit(f).lower(...).compile() returns, got {describe(compiled)}"
            f"{at_user_line()}"
        )
    return serialized(compiled), compiled.in_tree, compiled.out_tree


def deserialize_and_load(
    serialized: bytes,
    in_tree: Any,
    out_tree: Any,
    backend: Any = None,
    execution_devices: Sequence[Any] | None = None,
) -> Any:
    """The compiled function that `serialize` made bytes of; nothing is compiled.

    Bytes that are damaged are an error. Those that somebody made up can do whatever a program can:
    load only bytes that you trust.

    Parameters
    ----------
    serialized : bytes
    in_tree, out_tree : PyTreeDef
    backend : str, optional
        Its platform, which must be that it was compiled for.
    execution_devices : sequence of Device, optional
        Where it is to run: as many devices, of the same kind; by default those it was compiled for.

    Returns
    -------
    Compiled

    Raises
    ------
    ValueError
        If the bytes are damaged or of another release, or the devices are others than it needs.
    RuntimeError
        If its code does not run here: for another processor, another kind of device, another
        plugin, or on devices that this process does not have.

    Examples
    --------
    >>> import covector as cv
    >>> from covector.experimental.serialize_executable import deserialize_and_load, serialize
    >>> compiled = cv.jit(lambda x, y: x + y).lower(1.0, 2.0).compile()
    >>> deserialize_and_load(*serialize(compiled))(3.0, 4.0)
    Array(7., dtype=float32, weak_type=True)
    """
    return loaded(serialized, in_tree, out_tree, backend, execution_devices)


_export(globals(), __all__)
