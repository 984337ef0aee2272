"""Where the elements are that are not zero: nonzero and its relatives."""

from __future__ import annotations

from typing import Any

from covector import _native, lax
from covector.core import dtypes
from covector.core.avals import settled
from covector.core.dims import as_size
from covector.core.errors import at_user_line
from covector.core.operands import scalar
from covector.core.trace import Tracer
from covector.numpy._util import (
    array,
    broadcast_to,
    check_concrete,
    check_here,
    concrete,
    convert,
    fused,
)
from covector.numpy.ufuncs import truth


def nonzero(a: Any, *, size: Any = None, fill_value: Any = None) -> tuple[Any, ...]:
    """Indices of the elements that are not zero, one array per dimension.

    Parameters
    ----------
    a : array_like
    size : int, optional
        Number of indices to return; needed under tracing. More are cut, fewer filled up.
    fill_value : array_like, optional
        Index to fill up with (0), or one per dimension, in a tuple.

    Returns
    -------
    tuple of Array
        Vectors of the default integer type.

    Raises
    ------
    ValueError
        If ``a`` has no dimension.
    ConcretizationTypeError
        If ``a`` is traced and ``size`` is not given.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.nonzero(np.array([[0, 7], [8, 9]]))
    (Array([0, 1, 1], dtype=int32), Array([1, 0, 1], dtype=int32))
    >>> np.nonzero(np.array([0, 7, 0, 8]), size=3, fill_value=-1)
    (Array([ 1,  3, -1], dtype=int32),)
    """
    return indices_of(a, size, fill_value, "nonzero")


def indices_of(a: Any, size: Any, fill_value: Any, name: str) -> tuple[Any, ...]:
    """`nonzero`, for a function called ``name``."""
    x = array(a, name)
    if x.ndim == 0:
        raise ValueError(f"{name} takes an array of one or more dimensions{at_user_line()}")
    if size is None:
        what = f"the argument of {name} (or its argument size)"
        check_concrete(x, what)
        v = array(x.concrete() if isinstance(x, Tracer) else x)
        check_here(v, what)
        if v.dtype in dtypes.SMALL:
            v = truth(v, name)
        found = _native.nonzero(v, dtypes.code_of[dtypes.default_int()])
        return tuple([settled(i, x) for i in found])
    n = as_size(size)
    fills = fill_value if isinstance(fill_value, tuple) else (fill_value,) * x.ndim
    if len(fills) != x.ndim:
        raise ValueError(
            f"{name}: fill_value has {len(fills)} entries for {x.ndim} dimensions{at_user_line()}"
        )
    return _nonzero(x, tuple(0 if f is None else f for f in fills), size=n)


@fused("size")
def _nonzero(x: Any, fills: tuple[Any, ...], *, size: int) -> tuple[Any, ...]:
    flat = lax.reshape(array(truth(x, "nonzero")), (x.size,))
    dt = dtypes.default_int()
    if x.size == 0 or size == 0:
        return tuple(broadcast_to(convert(array(f), dt), (size,)) for f in fills)
    # The rank of each true element is where its position goes; the others are dropped.
    dtypes.check_fits(x.size - 1, dt)
    counted = dtypes.index_dtype(x.size) if type(x.size) is int else dt
    rank = lax.cumsum(convert(flat, counted), 0)
    count = lax.index_in_dim(rank, x.size - 1, 0, False)
    target = lax.select(flat, lax.sub(rank, scalar(1, counted)), scalar(size, counted))
    found = lax.full((size,), 0, dt).at[target].set(lax.iota(dt, x.size), mode="drop")
    valid = lax.lt(lax.iota(counted, size), count)
    out = []
    for i, f in zip(unravel(found, x.shape), fills, strict=True):
        fill = broadcast_to(convert(array(f), dt), (size,))
        out.append(lax.select(valid, i, fill))
    return tuple(out)


def unravel(index: Any, shape: tuple[int, ...]) -> list[Any]:
    """Positions in a flattened array as indices, one array per dimension."""
    out: list[Any] = []
    dt = index.dtype
    for n in reversed(shape):
        out.append(lax.rem(index, scalar(n, dt)) if n else index)
        index = lax.div(index, scalar(n, dt)) if n else index
    return out[::-1]


def flatnonzero(a: Any, *, size: Any = None, fill_value: Any = None) -> Any:
    """Indices of the elements of the flattened array that are not zero; see `nonzero`.

    Parameters
    ----------
    a : array_like
    size, fill_value
        See `nonzero`.

    Returns
    -------
    Array
        A vector.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.flatnonzero(np.array([[0, 7], [8, 9]]))
    Array([1, 2, 3], dtype=int32)
    """
    x = array(a, "flatnonzero")
    return indices_of(lax.reshape(x, (x.size,)), size, fill_value, "flatnonzero")[0]


def argwhere(a: Any, *, size: Any = None, fill_value: Any = None) -> Any:
    """Indices of the elements that are not zero, one row each; see `nonzero`.

    Parameters
    ----------
    a : array_like
    size, fill_value
        See `nonzero`.

    Returns
    -------
    Array
        Of shape ``(number of elements found, a.ndim)``.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.argwhere(np.array([[0, 7], [8, 9]]))
    Array([[0, 1],
           [1, 0],
           [1, 1]], dtype=int32)
    """
    x = array(a, "argwhere")
    if x.ndim == 0:
        if size is None:
            n = int(concrete(x, "the argument of argwhere").astype(bool))
        else:
            n = size
        return lax.full((n, 0), 0, dtypes.default_int())
    return lax.stack(indices_of(x, size, fill_value, "argwhere"), 1)
