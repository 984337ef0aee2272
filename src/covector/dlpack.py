"""Exchange of arrays with other libraries through DLPack.

An array is exported by its methods ``__dlpack__`` and ``__dlpack_device__``, which the functions
of other libraries call (for example ``numpy.from_dlpack``).
"""

from __future__ import annotations

from typing import Any

from covector.core import dtypes
from covector.core.errors import export as _export
from covector.numpy.creation import from_dlpack as _from_dlpack

__all__ = ["from_dlpack", "is_supported_dtype"]


def from_dlpack(external_array: Any, device: Any = None, copy: bool | None = None) -> Any:
    """An array on the memory of a tensor of another library.

    The memory is shared, so that it must not be written to while the array is in use.

    Parameters
    ----------
    external_array : object with the methods ``__dlpack__`` and ``__dlpack_device__``
        For example a NumPy array or a PyTorch tensor, on the CPU.
    device : Device, optional
        Where the array is to be.
    copy : bool, optional
        True always copies, False raises where it would be necessary.

    Returns
    -------
    Array

    See Also
    --------
    covector.numpy.from_dlpack : The same function, with the errors it raises.

    Examples
    --------
    >>> import numpy
    >>> import covector as cv
    >>> cv.dlpack.from_dlpack(numpy.arange(3, dtype="float32"))
    Array([0., 1., 2.], dtype=float32)
    """
    return _from_dlpack(external_array, device=device, copy=copy)


def is_supported_dtype(dtype: Any) -> bool:
    """Whether arrays of this dtype can be exchanged.

    Parameters
    ----------
    dtype : dtype

    Returns
    -------
    bool

    Examples
    --------
    >>> import covector as cv
    >>> cv.dlpack.is_supported_dtype("bfloat16"), cv.dlpack.is_supported_dtype("datetime64[s]")
    (True, False)
    """
    try:
        dt = dtypes.as_dtype(dtype)
        return dt in dtypes.code_of and not dtypes.is_extended(dt)
    except TypeError:
        return False


_export(globals(), __all__)
