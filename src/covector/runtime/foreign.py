"""Native functions of users: the registered ones, and what compiled programs call them with.

The structs are those of ``include/covector/ffi.h`` and ``native/cpu/foreign.h``.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

import numpy as np

from covector.core import dtypes
from covector.core.avals import ShapedArray, nbytes_of
from covector.core.errors import at_user_line
from covector.core.trace import Tracer
from covector.transforms.foreign import ForeignFunction

VERSION = 1
MAGIC = 0x5F6966665F766F63
_INT, _FLOAT, _STRING, _ARRAY = range(4)
_I32, _I64, _P = ctypes.c_int32, ctypes.c_int64, ctypes.c_void_p


class _Buffer(ctypes.Structure):
    _fields_ = (
        ("data", _P), ("dtype", _I32), ("ndim", _I32), ("shape", ctypes.POINTER(_I64)),
        ("size", _I64), ("itemsize", _I64),
    )  # fmt: skip


class _Attr(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_char_p), ("kind", _I32), ("i", _I64), ("f", ctypes.c_double),
        ("s", ctypes.c_char_p), ("array", _Buffer),
    )  # fmt: skip


class _Call(ctypes.Structure):
    _fields_ = (
        ("version", _I32), ("num_args", _I32), ("num_results", _I32), ("num_attrs", _I32),
        ("target", ctypes.c_char_p), ("args", ctypes.POINTER(_Buffer)),
        ("results", ctypes.POINTER(_Buffer)), ("attrs", ctypes.POINTER(_Attr)),
        ("message", _P), ("message_size", ctypes.c_size_t),
    )  # fmt: skip


class _Target(ctypes.Structure):
    _fields_ = (
        ("magic", ctypes.c_uint64), ("version", _I32), ("num_args", _I32), ("num_results", _I32),
        ("call_size", _I32), ("function", _P),
    )  # fmt: skip


class _ForeignCall(ctypes.Structure):
    _fields_ = (
        ("function", _P), ("call", ctypes.POINTER(_Call)), ("levels", _I32), ("aliases", _I32),
        ("sizes", ctypes.POINTER(_I64)), ("strides", ctypes.POINTER(_I64)),
        ("alias", ctypes.POINTER(_I64)),
    )  # fmt: skip


_targets: dict[str, _Target] = {}


def add_target(name: str, address: int, owner: Any) -> None:
    """Register the target at an address under a name.

    Raises
    ------
    ValueError
        If it is none, or of another version, or if the name is that of another.
    """
    if not address or address % ctypes.alignment(_Target):
        raise _no_target(name)
    target = _Target.from_address(address)
    if target.magic != MAGIC:
        raise _no_target(name)
    if target.version != VERSION or target.call_size != ctypes.sizeof(_Call):
        raise ValueError(
            f"the native function {name!r} was compiled with version {target.version} of "
            f"covector/ffi.h, this is version {VERSION}: compile it anew, with the header in "
            f"ffi.include_dir(){at_user_line()}"
        )
    known = _targets.get(name)
    if known is not None and ctypes.addressof(known) != address:
        raise ValueError(f"there is another native function {name!r} already{at_user_line()}")
    target.owner = owner  # type: ignore[attr-defined]
    _targets[name] = target


def _no_target(name: str) -> ValueError:
    return ValueError(
        f"what is registered as {name!r} is no target of covector/ffi.h: define it with "
        f"COVECTOR_FFI_TARGET, and give the symbol that this defines{at_user_line()}"
    )


def find_target(name: str, num_args: int, num_results: int) -> _Target:
    """The target of a name, which takes so many arrays.

    Raises
    ------
    ValueError
        If there is none, or if it takes others.
    """
    target = _targets.get(name)
    if target is None:
        known = ", ".join(sorted(_targets)) or "none"
        raise ValueError(
            f"there is no native function {name!r}: register it with ffi.register_ffi_target; "
            f"registered: {known}{at_user_line()}"
        )
    for what, takes, n in (
        ("arguments", target.num_args, num_args), ("results", target.num_results, num_results),
    ):  # fmt: skip
        if takes not in (-1, n):
            raise ValueError(
                f"the native function {name!r} has {takes} {what}, ffi_call gives it {n}"
                f"{at_user_line()}"
            )
    return target


class Registration:
    """What the native core calls a function with, under ``ident``, while this object lives."""

    def __init__(
        self, what: ForeignFunction, ins: Sequence[ShapedArray], outs: Sequence[ShapedArray]
    ) -> None:
        target = find_target(what.name, len(ins), len(outs))
        self._kept: list[Any] = [target]
        sizes = [n for n, _ in what.levels]
        mapped = [(*m, *[True] * len(outs)) for _, m in what.levels]
        cut = [sum(m[k] for m in mapped) for k in range(len(ins) + len(outs))]
        elements = [a.update(shape=a.shape[c:]) for a, c in zip((*ins, *outs), cut, strict=True)]
        buffers = (_Buffer * max(1, len(elements)))(*[self._buffer(a) for a in elements])
        attrs = [self._attr(name.encode(), value) for name, value in what.attributes]
        call = _Call(
            VERSION, len(ins), len(outs), len(attrs), what.name.encode(), buffers, None,
            self._keep((_Attr * max(1, len(attrs)))(*attrs)), None, 0,
        )  # fmt: skip
        strides = _strides(sizes, mapped, [nbytes_of(a) for a in elements])
        alias = [n for i, j in what.aliases for n in (i, j, nbytes_of(ins[i]))]
        self._keep(buffers)
        self._call = self._keep(
            _ForeignCall(
                target.function, ctypes.pointer(self._keep(call)), len(sizes), len(what.aliases),
                self._numbers(sizes), self._numbers(strides), self._numbers(alias),
            )
        )  # fmt: skip
        self.ident = ctypes.addressof(self._call)

    def _keep(self, x: Any) -> Any:
        self._kept.append(x)
        return x

    def _numbers(self, xs: Sequence[int]) -> Any:
        return self._keep((_I64 * max(1, len(xs)))(*xs))

    def _buffer(self, aval: ShapedArray, data: int | None = None) -> _Buffer:
        code = dtypes.code_of[aval.dtype]
        shape = self._numbers(aval.shape)
        return _Buffer(data, code, aval.ndim, shape, aval.size, int(aval.dtype.itemsize))

    def _attr(self, name: bytes, value: Any) -> _Attr:
        if isinstance(value, int):
            return _Attr(name=name, kind=_INT, i=int(value))
        if isinstance(value, float):
            return _Attr(name=name, kind=_FLOAT, f=value)
        if isinstance(value, str):
            return _Attr(name=name, kind=_STRING, s=value.encode())
        data, dtype, shape = value
        memory = self._keep(ctypes.create_string_buffer(data, max(1, len(data))))
        aval = ShapedArray(shape, dtypes.as_dtype(dtype))
        return _Attr(name=name, kind=_ARRAY, array=self._buffer(aval, ctypes.addressof(memory)))


def _strides(
    sizes: Sequence[int], mapped: Sequence[Sequence[bool]], nbytes: Sequence[int]
) -> list[int]:
    """Bytes from an element to the next, for each level and array."""
    steps = list(nbytes)
    rows = []
    for n, has in zip(reversed(sizes), reversed(mapped), strict=True):
        rows.append([s if m else 0 for s, m in zip(steps, has, strict=True)])
        steps = [s * n if m else s for s, m in zip(steps, has, strict=True)]
    return [s for row in reversed(rows) for s in row]


def attribute(name: str, value: Any) -> Any:
    """An attribute as `ForeignFunction` has it.

    Raises
    ------
    TypeError
        If it is no number, string or array of numbers.
    """
    if isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (np.bool_, np.integer)):
        return int(value)
    if isinstance(value, np.floating):
        return float(value)
    if isinstance(value, Tracer):
        raise TypeError(
            f"the attribute {name!r} of a native function must be known when the function is "
            f"traced, got {value.describe()}: mark the argument static (static_argnums or "
            f"static_argnames of jit), or pass it as an array{at_user_line()}"
        )
    array = np.ascontiguousarray(value) if isinstance(value, (list, tuple, np.ndarray)) else None
    if array is None or array.dtype not in dtypes.code_of:
        raise TypeError(
            f"the attribute {name!r} of a native function must be a number, a string or an array "
            f"of numbers, got {value!r:.100}{at_user_line()}"
        )
    return array.tobytes(), array.dtype.name, array.shape
