"""Callbacks that write their results into the memory of the program (`buffer_callback`)."""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Any

import numpy as np

from covector.core import tree
from covector.core.errors import at_user_line
from covector.core.errors import export as _export
from covector.transforms.arguments import check_callable, fun_name
from covector.transforms.callbacks import pure_callback
from covector.transforms.io_callback import io_callback
from covector.transforms.shapes import aval_like

__all__ = ["Buffer", "ExecutionContext", "ExecutionStage", "buffer_callback"]


class Buffer:
    """The memory of an argument or of a result, which `numpy.asarray` looks at without a copy.

    Examples
    --------
    >>> import covector as cv
    >>> from covector.experimental.buffer_callback import buffer_callback
    >>> def show(ctx, out, x):
    ...     print(x.shape, x.dtype, x.ndim, x.writeable, out.writeable)
    >>> y = buffer_callback(show, cv.ShapeDtypeStruct((2,), "float32"))(cv.numpy.ones(2))
    (2,) float32 1 False True
    """

    __slots__ = ("_array",)

    def __init__(self, array: np.ndarray) -> None:
        self._array = array

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes of the axes."""
        return self._array.shape

    @property
    def dtype(self) -> np.dtype:
        """Type of the elements."""
        return self._array.dtype

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return self._array.ndim

    @property
    def writeable(self) -> bool:
        """Whether it is memory of a result."""
        return self._array.flags.writeable

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self._array) if dtype is None else np.asarray(self._array, dtype)

    def __dlpack__(self, **options: Any) -> Any:
        return self._array.__dlpack__(**options)

    def __dlpack_device__(self) -> Any:
        return self._array.__dlpack_device__()


class ExecutionStage(enum.Enum):
    """The stage of its life in which a program calls: always `EXECUTE` on a CPU."""

    INSTANTIATE = 0
    PREPARE = 1
    INITIALIZE = 2
    EXECUTE = 3


class ExecutionContext:
    """What a callback is told of the call: its ``stage``; and its ``stream``, if it had one.

    Examples
    --------
    >>> from covector.experimental.buffer_callback import ExecutionContext
    >>> ExecutionContext().stage.name
    'EXECUTE'
    """

    __slots__ = ()

    @property
    def stage(self) -> ExecutionStage:
        """The stage."""
        return ExecutionStage.EXECUTE

    @property
    def stream(self) -> int:
        """The stream of a GPU; the CPU's programs have none."""
        raise ValueError("a program of the CPU runs on no stream: it has no handle of one")


def buffer_callback(
    callback: Callable[..., None],
    result_shape_dtypes: Any,
    *,
    has_side_effect: bool = False,
    vmap_method: str | None = None,
    input_output_aliases: dict[int, int] | None = None,
    command_buffer_compatible: bool = False,
) -> Callable[..., Any]:
    """A function that calls a Python function, which writes the results into buffers.

    Parameters
    ----------
    callback : callable
        ``callback(context, out, *args, **kwargs)``, with a `Buffer` in place of each result and of
        each array in the arguments.
    result_shape_dtypes : pytree
        `ShapeDtypeStruct` (or anything with ``shape`` and ``dtype``) for each result.
    has_side_effect : bool
        Whether it is called even if nothing uses its results, and each time.
    vmap_method : str, optional
        As for `pure_callback`.
    input_output_aliases : dict, optional
        Results, by number, that hold an argument, by number, when they are handed over.
    command_buffer_compatible : bool
        Concerns GPUs only.

    Returns
    -------
    callable
        Of arrays; returns the results.

    Examples
    --------
    >>> import numpy
    >>> import covector as cv
    >>> from covector.experimental.buffer_callback import buffer_callback
    >>> def double(ctx, out, x):
    ...     numpy.multiply(x, 2, out=numpy.asarray(out))
    >>> f = buffer_callback(double, cv.ShapeDtypeStruct((3,), "float32"))
    >>> cv.jit(f)(cv.numpy.arange(3.0))
    Array([0., 2., 4.], dtype=float32)
    """
    check_callable(callback, "buffer_callback")
    avals, out_tree = tree.flatten(tree.map(aval_like, result_shape_dtypes))
    aliases = dict(input_output_aliases or {})

    def call(*args: Any, **kwargs: Any) -> Any:
        given = tree.leaves((args, kwargs))
        if any(not 0 <= i < len(given) or not 0 <= o < len(avals) for i, o in aliases.items()):
            raise ValueError(
                f"buffer_callback: input_output_aliases {aliases} names arguments of "
                f"{len(given)} and results of {len(avals)}{at_user_line()}"
            )
        shapes = [np.shape(x) for x in given]

        def fill(*args: Any, **kwargs: Any) -> Any:
            leaves = [np.asarray(x) for x in tree.leaves((args, kwargs))]
            batch = _batch_shape(leaves, shapes)
            outs = [np.zeros((*batch, *a.shape), a.dtype) for a in avals]
            for i, o in aliases.items():
                outs[o][...] = leaves[i]
            a, k = tree.map(_read_only, (args, kwargs))
            buffers = tree.unflatten(out_tree, [Buffer(x) for x in outs])
            callback(ExecutionContext(), buffers, *a, **k)
            return tree.unflatten(out_tree, outs)

        fill.__name__ = fun_name(callback)
        if has_side_effect:
            return io_callback(fill, result_shape_dtypes, *args, **kwargs)
        return pure_callback(fill, result_shape_dtypes, *args, vmap_method=vmap_method, **kwargs)

    return call


def _read_only(x: Any) -> Buffer:
    array = np.asarray(x).view()
    array.flags.writeable = False
    return Buffer(array)


def _batch_shape(leaves: list[np.ndarray], shapes: list[tuple[int, ...]]) -> tuple[int, ...]:
    """The leading axes that `vmap` put before arguments of these shapes."""
    found = [x.shape[: x.ndim - len(s)] for x, s in zip(leaves, shapes, strict=True)]
    return np.broadcast_shapes(*found) if found else ()


_export(globals(), __all__)
