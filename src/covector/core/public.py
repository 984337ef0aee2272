"""Small functions of `covector.core` that the library itself has no use for."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from covector.core.trace import eval_trace, set_current_trace

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


def max_dim(d1: int, d2: int) -> int:
    """The larger of two sizes.

    Parameters
    ----------
    d1, d2 : int

    Returns
    -------
    int

    Examples
    --------
    >>> import covector as cv
    >>> cv.core.max_dim(2, 3)
    3
    """
    return max(d1, d2)


def min_dim(d1: int, d2: int) -> int:
    """The smaller of two sizes.

    Parameters
    ----------
    d1, d2 : int

    Returns
    -------
    int

    Examples
    --------
    >>> import covector as cv
    >>> cv.core.min_dim(2, 3)
    2
    """
    return min(d1, d2)
