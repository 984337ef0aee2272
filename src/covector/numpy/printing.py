"""Arrays as text."""

from __future__ import annotations

from typing import Any

import numpy as onp

from covector import lax
from covector.core.dtypes import is_extended, uint32
from covector.core.errors import at_user_line, describe

_LIMIT = 1000


def _values(x: Any) -> onp.ndarray:
    return onp.asarray(x)


def _is_elsewhere(arr: Any) -> bool:
    """Whether other processes have elements that this one does not have."""
    sharding = arr.sharding
    return sharding.spread and not (sharding.is_fully_addressable or sharding.is_fully_replicated)


def array_repr(
    arr: Any,
    max_line_width: int | None = None,
    precision: int | None = None,
    suppress_small: bool | None = None,
) -> str:
    """The text that shows an array with its dtype: ``Array([1., 2.], dtype=float32)``.

    Parameters
    ----------
    arr : Array
    max_line_width : int, optional
        By default that of the print options.
    precision : int, optional
        Number of digits after the point; by default that of the print options.
    suppress_small : bool, optional
        Whether small numbers are shown as zero; by default as in the print options.

    Returns
    -------
    str

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.array_repr(np.array([1.0, 2.25]), precision=1)
    'Array([1. , 2.2], dtype=float32)'
    """
    tail = f"dtype={arr.dtype.name}" + (", weak_type=True" if arr.weak_type else "")
    if _is_elsewhere(arr):
        return f"Array(shape={arr.shape}, {tail}, sharding={arr.sharding!r})"
    if is_extended(arr.dtype):
        return f"Array({arr.shape}, dtype={arr.dtype}) overlaying:\n{_key_words(arr)}"
    if arr.size == 0:
        return f"Array([], shape={arr.shape}, {tail})"
    text = onp.array2string(
        _values(arr),
        max_line_width=max_line_width,
        precision=precision,
        suppress_small=suppress_small,
        separator=", ",
        prefix="Array(",
        suffix=",",
    )
    text = f"Array({text},"
    last = len(text) - (text.rfind("\n") + 1)
    width = onp.get_printoptions()["linewidth"] if max_line_width is None else max_line_width
    gap = " " if last + len(tail) + 2 <= width else "\n      "
    return f"{text}{gap}{tail})"


def _key_words(arr: Any) -> str:
    return str(onp.asarray(lax.bitcast_convert_type_p.bind(arr, new_dtype=uint32)))


def array_str(
    a: Any,
    max_line_width: int | None = None,
    precision: int | None = None,
    suppress_small: bool | None = None,
) -> str:
    """The text of the elements of an array.

    Parameters
    ----------
    a : Array
    max_line_width : int, optional
        By default that of the print options.
    precision : int, optional
        Number of digits after the point; by default that of the print options.
    suppress_small : bool, optional
        Whether small numbers are shown as zero; by default as in the print options.

    Returns
    -------
    str

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.array_str(np.array([1.0, 2.25]))
    '[1.   2.25]'
    """
    if _is_elsewhere(a):
        return array_repr(a)
    return onp.array_str(_values(a), max_line_width, precision, suppress_small)


def array_string(x: Any) -> str:
    """``str(x)``."""
    if _is_elsewhere(x) or is_extended(x.dtype):
        return array_repr(x)
    return str(_values(x))


def array_format(x: Any, spec: str) -> str:
    """``format(x, spec)``: that of the element, for an array of rank 0."""
    if x.ndim == 0 and not is_extended(x.dtype):
        return format(_values(x)[()], spec)
    try:
        return format(array_string(x), spec)
    except ValueError as e:
        raise TypeError(
            f"the format {spec!r} is one of numbers, and works on arrays of rank 0, not on "
            f"{describe(x)}: format its elements, or round it, as "
            f"covector.numpy.array_str(x, precision=2) does{at_user_line()}"
        ) from e


def set_printoptions(*args: Any, **kwargs: Any) -> None:
    """Set how arrays are shown; the same as ``numpy.set_printoptions``.

    Parameters
    ----------
    *args, **kwargs
        Those of ``numpy.set_printoptions``: ``precision``, ``threshold``, ``linewidth`` and others.

    Returns
    -------
    None
        NumPy's arrays are shown in the same way from then on.

    Examples
    --------
    >>> import covector.numpy as np
    >>> precision = np.get_printoptions()["precision"]
    >>> np.set_printoptions(precision=2)
    >>> np.array([1.23456])
    Array([1.23], dtype=float32)
    >>> np.set_printoptions(precision=precision)
    """
    onp.set_printoptions(*args, **kwargs)


def get_printoptions() -> Any:
    """How arrays are shown; the same as ``numpy.get_printoptions``.

    Returns
    -------
    dict
        The arguments of `set_printoptions` by name.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.get_printoptions()["precision"]
    8
    """
    return onp.get_printoptions()


def printoptions(*args: Any, **kwargs: Any) -> Any:
    """Context manager for `set_printoptions`.

    Parameters
    ----------
    *args, **kwargs
        Those of `set_printoptions`.

    Returns
    -------
    context manager
        Inside of it the options hold; afterwards they are what they were.

    Examples
    --------
    >>> import covector.numpy as np
    >>> with np.printoptions(precision=2):
    ...     print(np.array([1.23456]))
    [1.23]
    """
    return onp.printoptions(*args, **kwargs)
