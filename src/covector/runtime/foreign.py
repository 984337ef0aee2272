"""Native functions of users: the registered ones, and the calls of them that programs make."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from covector.core import dtypes
from covector.core.avals import ShapedArray, nbytes_of
from covector.core.errors import at_user_line
from covector.core.native_parts import native_part
from covector.core.trace import Tracer
from covector.transforms.foreign import ForeignFunction, logical_axes

STAGES = ("instantiate", "prepare", "initialize", "execute")
OLDEST = (0, 1)

# XLA's numbers of the types of elements. Those of less than a byte are missing: in XLA's memory
# several share one, in ours each has its own.
DTYPES = {
    "bool": 1, "int8": 2, "int16": 3, "int32": 4, "int64": 5, "uint8": 6, "uint16": 7,
    "uint32": 8, "uint64": 9, "float16": 10, "float32": 11, "float64": 12, "complex64": 15,
    "bfloat16": 16, "complex128": 18, "float8_e5m2": 19, "float8_e4m3fn": 20,
    "float8_e4m3b11fnuz": 23, "float8_e5m2fnuz": 24, "float8_e4m3fnuz": 25, "float8_e4m3": 28,
    "float8_e3m4": 29, "float8_e8m0fnu": 33,
}  # fmt: skip


def of_python(name: str, result: Any, *args: Any) -> Any:
    """A function of Python's; the attributes of `ctypes.pythonapi` belong to whoever sets them."""
    return ctypes.PYFUNCTYPE(result, *args)((name, ctypes.pythonapi))


_capsule_name = of_python("PyCapsule_GetName", ctypes.c_void_p, ctypes.py_object)
_capsule_pointer = of_python(
    "PyCapsule_GetPointer", ctypes.c_void_p, ctypes.py_object, ctypes.c_void_p
)


def address_of(capsule: Any) -> int:
    """The address in a capsule."""
    return int(_capsule_pointer(capsule, _capsule_name(capsule)))


def native() -> Any:
    """The native module of native functions, which is made when it is first asked for."""
    return native_part("ffi")


class Target:
    """A registered native function.

    Attributes
    ----------
    name : str
    handlers : tuple of int
        Addresses for the `STAGES`, 0 where there is none.
    version, oldest : pair of int
        Of the interface that they were built for, and the oldest that they fit.
    traits : int
        What XLA may assume of them.
    """

    def __init__(self, name: str, handlers: tuple[int, ...], traits: int, owner: Any) -> None:
        self.name = name
        self.handlers = handlers
        self.owner = owner  # keeps the handlers alive
        found = [self._metadata(h, native().version) for h in handlers if h]
        self.version = max([(major, minor) for major, minor, _ in found])
        # Some fit whoever asks.
        self.oldest = max([self._metadata(h, OLDEST)[:2] for h in handlers if h])
        self.traits = traits
        for _, _, own in found:
            self.traits |= own

    def _metadata(self, handler: int, asking: tuple[int, int]) -> tuple[int, int, int]:
        ffi = native()
        try:
            major, minor, traits = ffi.metadata(handler, asking[1])
        except ffi.Failure as e:
            raise ValueError(
                f"the native function {self.name!r} cannot be registered: {e}{at_user_line()}"
            ) from None
        if major < 0 or minor < 0:
            raise ValueError(
                f"what is registered as {self.name!r} does not say for which version of XLA's FFI "
                f"interface it was built: it is no handler of that interface{at_user_line()}"
            )
        if not OLDEST <= (major, minor) <= ffi.version:
            raise ValueError(
                f"the native function {self.name!r} was built for version {major}.{minor} of "
                f"XLA's FFI interface; those from {dotted(OLDEST)} to {dotted(ffi.version)} run "
                f"here: build it with covector/ffi.h, of ffi.include_dir(){at_user_line()}"
            )
        return major, minor, traits


def dotted(version: tuple[int, int]) -> str:
    """A version as it is written."""
    return ".".join(map(str, version))


_targets: dict[tuple[str, str], Target] = {}


def add_target(platform: str, target: Target) -> None:
    """Register a target for a platform.

    Raises
    ------
    ValueError
        If the name is that of another.
    """
    known = _targets.setdefault((platform, target.name), target)
    if known.handlers != target.handlers:
        raise ValueError(
            f"there is another native function {target.name!r} for {platform} already"
            f"{at_user_line()}"
        )


def find_target(name: str, platform: str) -> Target:
    """The target of a name for a platform; those of ``cpu`` also serve ``xla_cpu``.

    Raises
    ------
    ValueError
        If there is none.
    """
    target = _targets.get((platform, name))
    if target is None and platform == "xla_cpu":
        target = _targets.get(("cpu", name))
    if target is None:
        known = ", ".join(sorted([f"{n} ({p})" for p, n in _targets])) or "none"
        raise ValueError(
            f"there is no native function {name!r} for {platform}: register it with "
            f"ffi.register_ffi_target; registered: {known}{at_user_line()}"
        )
    return target


def number_of(dtype: Any, what: str) -> int:
    """XLA's number of a dtype.

    Raises
    ------
    TypeError
        If arrays of it cannot be handed over.
    """
    found = DTYPES.get(str(dtype))
    if found is None:
        raise TypeError(
            f"{what}: native functions take no arrays of dtype {dtype}: convert them, "
            f"for example to int8{at_user_line()}"
        )
    return found


def registration(
    what: ForeignFunction, ins: Sequence[ShapedArray], outs: Sequence[ShapedArray]
) -> Any:
    """What the native core calls a function with, under ``ident``, while this object lives."""
    target = find_target(what.name, "cpu")
    mapped = [(*m, *[True] * len(outs)) for _, m in what.levels]
    cut = [sum(m[k] for m in mapped) for k in range(len(ins) + len(outs))]
    elements = [a.update(shape=a.shape[c:]) for a, c in zip((*ins, *outs), cut, strict=True)]
    layouts = (*what.layouts[0], *what.layouts[1])
    arrays = []
    for a, layout in zip(elements, layouts, strict=True):
        dims = [a.shape[k] for k in logical_axes(a.shape, layout)]
        arrays.append((number_of(a.dtype, what.name), dims, nbytes_of(a)))
    sizes = [n for n, _ in what.levels]
    levels = zip(sizes, _strides(sizes, mapped, [a[2] for a in arrays]), strict=True)
    aliases = [(i, j, nbytes_of(ins[i])) for i, j in what.aliases]
    ffi = native()
    try:
        return ffi.Call(
            what.name, target.handlers, target.version[1], arrays[: len(ins)], arrays[len(ins) :],
            what.attributes, list(levels), aliases,
        )  # fmt: skip
    except ffi.Failure as e:
        raise RuntimeError(f"the native function {what.name} failed: {e}") from None


def _strides(
    sizes: Sequence[int], mapped: Sequence[Sequence[bool]], nbytes: Sequence[int]
) -> list[list[int]]:
    """Bytes from an element to the next, for each level and array."""
    steps = list(nbytes)
    rows = []
    for n, has in zip(reversed(sizes), reversed(mapped), strict=True):
        rows.append([s if m else 0 for s, m in zip(steps, has, strict=True)])
        steps = [s * n if m else s for s, m in zip(steps, has, strict=True)]
    return rows[::-1]


def attribute(name: str, value: Any) -> Any:
    """An attribute as `ForeignFunction` has it: its kind, the number of its dtype, and bytes.

    Raises
    ------
    TypeError
        If it is no number, string, array of numbers or dictionary of such.
    """
    if isinstance(value, str):
        return "string", value.encode()
    if isinstance(value, bytes):
        return "string", value
    if isinstance(value, Mapping):
        inner = [(str(k), attribute(f"{name}.{k}", v)) for k, v in value.items()]
        return "dict", tuple(sorted(inner))
    if isinstance(value, Tracer):
        raise TypeError(
            f"the attribute {name!r} of a native function must be known when the function is "
            f"traced, got {value.describe()}: mark the argument static (static_argnums or "
            f"static_argnames of jit), or pass it as an array{at_user_line()}"
        )
    array = _numbers(value)
    number = None if array is None or array.dtype.kind == "c" else DTYPES.get(str(array.dtype))
    if array is None or number is None:
        raise TypeError(
            f"the attribute {name!r} of a native function must be a real number, a string, an "
            f"array of real numbers, or a dictionary of these, got {value!r:.100}{at_user_line()}"
        )
    if array.ndim == 0 and not isinstance(value, np.ndarray):
        return "scalar", number, array.tobytes()
    return "array", number, array.tobytes(), array.size


def _numbers(value: Any) -> np.ndarray | None:
    if isinstance(value, bool):
        return np.asarray(value)
    if isinstance(value, int):
        return np.asarray(value, np.int64) if -(2**63) <= value < 2**63 else None
    if isinstance(value, float):
        return np.asarray(value, np.float64)
    if isinstance(value, (np.generic, np.ndarray, list, tuple)):
        array = np.ascontiguousarray(value) if np.ndim(value) else np.asarray(value)
        return array if array.dtype in dtypes.code_of else None
    return None
