"""Small functions of `covector.core` that the library itself has no use for."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from covector.core.dims import max_dim, min_dim
from covector.core.trace import eval_trace, set_current_trace

__all__ = ["ParamDict", "eval_context", "max_dim", "min_dim"]

ParamDict = dict[str, Any]


@contextlib.contextmanager
def eval_context() -> Iterator[None]:
    """Context manager in which operations compute, whatever is being traced around it.

    Returns
    -------
    context manager

    Examples
    --------
    >>> import covector as cv
    >>> def f(x):
    ...     with cv.core.eval_context():
    ...         print(cv.numpy.ones(()) + 1)
    ...     return x
    >>> _ = cv.make_jaxpr(f)(1.0)
    2.0
    """
    with set_current_trace(eval_trace):
        yield
