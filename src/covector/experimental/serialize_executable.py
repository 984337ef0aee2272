"""Compiled functions as bytes (`serialize_executable`), for another process of the same version.

The bytes hold the program that was traced, and what it closes over. Loading compiles it, or takes
the machine code from the cache on disk, where it is for the same processor.
"""

from __future__ import annotations

import importlib
import io
import pickle
import sys
from collections.abc import Sequence
from typing import Any

import covector
from covector.core import tree
from covector.core.errors import at_user_line, describe
from covector.core.errors import export as _export
from covector.core.jaxpr import ClosedJaxpr, Jaxpr, eval_jaxpr
from covector.core.trace import Primitive
from covector.runtime.stages import Compiled
from covector.transforms.jit import jit
from covector.transforms.shapes import ShapeDtypeStruct

__all__ = ["deserialize_and_load", "serialize"]


def _place(prim: Primitive) -> tuple[str, str]:
    """A module and a name of it that is the primitive."""
    for module, found in list(sys.modules.items()):
        if module.startswith("covector."):
            for name, x in vars(found).items():
                if x is prim:
                    return module, name
    raise pickle.PicklingError(f"the primitive {prim.name} is not one of Covector's")


class _Pickler(pickle.Pickler):
    def persistent_id(self, obj: Any) -> Any:
        return _place(obj) if isinstance(obj, Primitive) else None

    def reducer_override(self, obj: Any) -> Any:
        if type(obj) is Jaxpr:  # without what it says of the function it was traced from
            return Jaxpr, (obj.constvars, obj.invars, obj.outvars, obj.eqns, obj.effects)
        return NotImplemented


class _Unpickler(pickle.Unpickler):
    def persistent_load(self, pid: Any) -> Any:
        module, name = pid
        return getattr(importlib.import_module(module), name)


def serialize(compiled: Any) -> tuple[bytes, Any, Any]:
    """A compiled function as bytes.

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
    entry = compiled._entry
    file = io.BytesIO()
    content = (covector.__version__, compiled._jitted.name, entry.closed, compiled._donated)
    try:
        _Pickler(file, pickle.HIGHEST_PROTOCOL).dump(content)
    except (pickle.PicklingError, AttributeError, TypeError) as e:
        raise ValueError(
            f"serialize: the program of {compiled._jitted.name} holds what has no bytes, such as a "
            f"Python function that it calls: {e}{at_user_line()}"
        ) from e
    return file.getvalue(), entry.in_tree, entry.out_tree


def deserialize_and_load(
    serialized: bytes,
    in_tree: Any,
    out_tree: Any,
    backend: Any = None,
    execution_devices: Sequence[Any] | None = None,
) -> Any:
    """The compiled function that `serialize` made bytes of.

    As with all of `pickle`, load only bytes that you trust.

    Parameters
    ----------
    serialized : bytes
    in_tree, out_tree : PyTreeDef
    backend : str, optional
        Where it is to run; by default on the default device.
    execution_devices : sequence of Device, optional
        One device, where it is to run.

    Returns
    -------
    Compiled

    Raises
    ------
    ValueError
        If the bytes are of another version of Covector, or there are several devices.

    Examples
    --------
    >>> import covector as cv
    >>> from covector.experimental.serialize_executable import deserialize_and_load, serialize
    >>> compiled = cv.jit(lambda x, y: x + y).lower(1.0, 2.0).compile()
    >>> deserialize_and_load(*serialize(compiled))(3.0, 4.0)
    Array(7., dtype=float32, weak_type=True)
    """
    version, name, closed, donated = _Unpickler(io.BytesIO(serialized)).load()
    if version != covector.__version__:
        raise ValueError(
            f"deserialize_and_load: the bytes are of Covector {version}, this is "
            f"{covector.__version__}{at_user_line()}"
        )
    if execution_devices is not None and len(execution_devices) != 1:
        raise ValueError(
            "deserialize_and_load: a program runs on one device, got "
            f"{len(execution_devices)}{at_user_line()}"
        )
    return _compiled(closed, name, donated, in_tree, out_tree, backend, execution_devices)


def _compiled(
    closed: ClosedJaxpr, name: str, donated: Any, in_tree: Any, out_tree: Any, backend: Any,
    devices: Sequence[Any] | None,
) -> Any:  # fmt: skip
    def fun(*args: Any, **kwargs: Any) -> Any:
        leaves = tree.leaves((args, kwargs))
        return tree.unflatten(out_tree, eval_jaxpr(closed.jaxpr, closed.consts, *leaves))

    fun.__name__ = name
    types = [ShapeDtypeStruct(a.shape, a.dtype, weak_type=a.weak_type) for a in closed.in_avals]
    args, kwargs = tree.unflatten(in_tree, types)
    device = devices[0] if devices else None
    # Leaves that are donated all belong to arguments that are.
    nums = [
        k for k, part in enumerate(tree.unflatten(in_tree, list(donated))[0])
        if tree.leaves(part) and all(tree.leaves(part))
    ] if any(donated) else []  # fmt: skip
    jitted = jit(fun, donate_argnums=nums, device=device, backend=backend)
    return jitted.lower(*args, **kwargs).compile()


_export(globals(), __all__)
