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

    See `covector.numpy.from_dlpack`.
    """
    return _from_dlpack(external_array, device=device, copy=copy)


def is_supported_dtype(dtype: Any) -> bool:
    """Whether arrays of this dtype can be exchanged.

    Examples
    --------
    >>> import covector as cv
    >>> cv.dlpack.is_supported_dtype("float32")
    True
    """
    try:
        return dtypes.as_dtype(dtype) in dtypes.code_of
    except TypeError:
        return False


_export(globals(), __all__)
