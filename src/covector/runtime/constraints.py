"""Where intermediate values of programs are to be: `with_sharding_constraint`."""

from __future__ import annotations

from typing import Any

from covector.runtime.devices import device_put


def with_sharding_constraint(x: Any, shardings: Any) -> Any:
    """``x`` on the devices that are named.

    Parameters
    ----------
    x : pytree of arrays
    shardings : Sharding or pytree of Sharding
        One for all arrays, or a prefix of ``x``.

    Returns
    -------
    pytree of arrays

    Raises
    ------
    TypeError
        If ``shardings`` holds something else.

    Notes
    -----
    Arrays that are known are moved. A compiled program runs on one device, that of its arguments:
    in it the constraint holds, or calling the program is an error.

    Examples
    --------
    >>> import covector as cv
    >>> x = cv.numpy.ones(2)
    >>> cv.lax.with_sharding_constraint(x, x.sharding)
    Array([1., 1.], dtype=float32)
    """
    if shardings is None:
        raise TypeError("with_sharding_constraint takes a sharding, got None")
    return device_put(x, shardings)
