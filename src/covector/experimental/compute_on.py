"""Where parts of a program are computed (`compute_on`): on a CPU, host and device are the same."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any

from covector.core.errors import at_user_line, describe
from covector.core.errors import export as _export
from covector.transforms.arguments import check_callable
from covector.transforms.jit import checked_options

__all__ = ["compute_on", "compute_on2"]


def _check(compute_type: Any, name: str) -> None:
    if not isinstance(compute_type, str):
        raise TypeError(
            f"{name}: compute_type must be a string, got {describe(compute_type)}{at_user_line()}"
        )
    if compute_type == "tpu_sparsecore" or compute_type.startswith("gpu_stream:"):
        raise NotImplementedError(
            f"{name}: {compute_type!r} is a part of a TPU or a GPU, which no backend here has"
            f"{at_user_line()}"
        )
    if compute_type not in ("device_host", "device"):
        raise ValueError(
            f"{name}: invalid compute type {compute_type!r}; it is 'device_host' or 'device'"
            f"{at_user_line()}"
        )


@contextlib.contextmanager
def compute_on(compute_type: str) -> Iterator[None]:
    """Context manager and decorator: where operations are computed.

    Parameters
    ----------
    compute_type : str
        ``"device_host"``, the host of the device, or ``"device"``. The CPU is both.

    Returns
    -------
    context manager

    Raises
    ------
    ValueError
        For another string.
    NotImplementedError
        For parts of TPUs and GPUs.

    Examples
    --------
    >>> import covector as cv
    >>> from covector.experimental.compute_on import compute_on
    >>> with compute_on("device_host"):
    ...     print(cv.numpy.add(1, 2))
    3
    """
    _check(compute_type, "compute_on")
    yield


def compute_on2(
    f: Callable[..., Any] | None = None,
    *,
    compute_type: Any,
    out_memory_spaces: Any,
    compiler_options: dict[str, Any] | None = None,
) -> Any:
    """A function that is computed on the host of the device, or on the device: the CPU is both.

    Parameters
    ----------
    f : callable, optional
        Without it, a decorator is returned.
    compute_type : str
        As for `compute_on`.
    out_memory_spaces : pytree
        Memories for the results, of which the CPU has one.
    compiler_options : dict, optional
        Those of the program, which are given to the `jit` around it: an error here.

    Returns
    -------
    callable

    Examples
    --------
    >>> from covector.experimental.compute_on import compute_on2
    >>> compute_on2(lambda x: x + 1, compute_type="device_host", out_memory_spaces="device")(1)
    2
    """
    _check(compute_type, "compute_on2")
    if checked_options(compiler_options):
        raise NotImplementedError(
            "compute_on2: what it computes is a part of a program, which has no compiler_options "
            f"of its own: give them to the jit around it{at_user_line()}"
        )
    if f is None:
        return functools.partial(
            compute_on2, compute_type=compute_type, out_memory_spaces=out_memory_spaces
        )
    check_callable(f, "compute_on2")
    return f


_export(globals(), __all__)
