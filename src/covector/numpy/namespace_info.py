"""What the namespace says of itself, as the Python array API standard 2024.12 asks."""

from __future__ import annotations

from typing import Any

from covector.core import dtypes
from covector.core.errors import at_user_line
from covector.numpy.dtypes import isdtype
from covector.runtime import devices as _devices
from covector.runtime.placement import default_placement

_NAMED = {
    dt.name: dt
    for dt in (
        dtypes.bool_, dtypes.int8, dtypes.int16, dtypes.int32, dtypes.int64, dtypes.uint8,
        dtypes.uint16, dtypes.uint32, dtypes.uint64, dtypes.float32, dtypes.float64,
        dtypes.complex64, dtypes.complex128,
    )
}  # fmt: skip


class NamespaceInfo:
    """What `__array_namespace_info__` gives: what the library can do, its devices, its dtypes.

    Examples
    --------
    >>> import covector.numpy as np
    >>> info = np.__array_namespace_info__()
    >>> info.default_dtypes()["real floating"]
    dtype('float32')
    """

    def capabilities(self) -> dict[str, Any]:
        """What arrays can do that is optional; inside of `jit`, shapes do not depend on data."""
        return {"boolean indexing": True, "data-dependent shapes": True, "max dimensions": 64}

    def default_device(self) -> Any:
        """The device on which arrays are made."""
        return next(iter(default_placement().sharding.device_set))

    def default_dtypes(self, *, device: Any = None) -> dict[str, Any]:
        """The dtypes that functions choose where none is given, by kind."""
        _checked(device)
        return {
            "real floating": dtypes.default_float(),
            "complex floating": dtypes.default_complex(),
            "integral": dtypes.default_int(),
            "indexing": dtypes.default_int(),
        }

    def devices(self) -> list[Any]:
        """All devices."""
        return list(_devices.devices())

    def dtypes(self, *, device: Any = None, kind: Any = None) -> dict[str, Any]:
        """The dtypes of the standard by name, without those that ``enable_x64`` would add."""
        _checked(device)
        here = {n: dt for n, dt in _NAMED.items() if dtypes.canonicalize_dtype(dt) == dt}
        return here if kind is None else {n: dt for n, dt in here.items() if isdtype(dt, kind)}


def _checked(device: Any) -> None:
    """All devices have the same dtypes, so that it matters only whether it is one."""
    if device is not None and device not in _devices.devices():
        raise ValueError(f"{device!r} is no device; covector.devices() lists them{at_user_line()}")


def __array_namespace_info__() -> NamespaceInfo:  # noqa: N807
    """What the library can do, its devices and its dtypes.

    Returns
    -------
    NamespaceInfo
        With the methods ``capabilities``, ``default_device``, ``default_dtypes``, ``devices`` and
        ``dtypes`` of the Python array API standard.

    Examples
    --------
    >>> import covector.numpy as np
    >>> list(np.__array_namespace_info__().dtypes(kind="signed integer"))
    ['int8', 'int16', 'int32']
    """
    return NamespaceInfo()
