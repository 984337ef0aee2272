"""Types, shardings and arrays as values of JSON and bytes, and back: what files are made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from covector import _native
from covector.core import dtypes
from covector.core.avals import (
    NONE_VARY,
    Array,
    ShapedArray,
    array_from_numpy,
    marked,
    place,
)
from covector.primitives.convert import bitcast_convert_type_p
from covector.sharding.mesh import AbstractMesh, AxisType
from covector.sharding.named import NamedSharding
from covector.sharding.spec import UNCONSTRAINED, PartitionSpec, names_in, unmarked


def dtype_of(name: str) -> Any:
    return dtypes.key_dtype if name == str(dtypes.key_dtype) else dtypes.as_dtype(name)


def aval_code(aval: ShapedArray, size: Callable[[Any], Any] = int) -> list[Any]:
    """A type: dtype, sizes, weak or not, and how it is split, if it says."""
    code = [str(aval.dtype), [size(d) for d in aval.shape], int(aval.weak_type)]
    return code if aval.placed is None else [*code, sharding_code(marked(aval))]


def aval_of(code: Any, size: Callable[[Any], Any] = int) -> ShapedArray:
    name, shape, weak, *split = code
    plain = ShapedArray(tuple([size(d) for d in shape]), dtype_of(name), bool(weak))
    if not split:
        return plain
    where = sharding_of(*split)
    return place(plain, where.update(spec=unmarked(where.spec)), NONE_VARY, where.spec.marks)


def sharding_code(sharding: NamedSharding) -> list[Any]:
    """A sharding without its devices: names, sizes and types of the axes of its mesh, and for each
    dimension the axes that split it, or null where that is open."""
    mesh, spec = sharding.mesh, sharding.spec
    if not all(isinstance(n, str) for n in mesh.axis_names):
        raise TypeError(f"axes of a mesh with the names {mesh.axis_names}, which are no texts")
    parts = [None if p is UNCONSTRAINED else list(names_in(p)) for p in spec]
    axes = [list(mesh.axis_names), list(mesh.axis_sizes), [t.name for t in mesh.axis_types]]
    return [*axes, parts, sorted(map(str, spec.unreduced)), sorted(map(str, spec.reduced))]


def sharding_of(code: Any) -> NamedSharding:
    names, sizes, types, parts, unreduced, reduced = code
    mesh = AbstractMesh(tuple(sizes), tuple(names), tuple([AxisType[t] for t in types]))
    spec = PartitionSpec(*[UNCONSTRAINED if p is None else tuple(p) for p in parts])
    return NamedSharding(mesh, spec.update(unreduced=set(unreduced), reduced=set(reduced)))


def array_code(x: Array) -> tuple[list[Any], bytes]:
    """An array as its type and the number of its bytes, and these."""
    held = x
    if dtypes.is_extended(x.dtype):
        held = bitcast_convert_type_p.bind(x, new_dtype=dtypes.uint32)
    data = np.ascontiguousarray(np.asarray(held)).tobytes()
    return [*aval_code(x.aval), len(data)], data


def arrays_of(codes: Sequence[Any], blob: bytes) -> list[Array]:
    """The arrays, on the host, whose bytes stand one behind the other."""
    out, at = [], 0
    for name, shape, weak, n in codes:
        dtype = dtype_of(name)
        plain = np.dtype(np.uint64) if dtypes.is_extended(dtype) else dtype
        values = np.frombuffer(blob, plain, n // plain.itemsize, at).reshape(shape)
        out.append(_array(values, dtype, bool(weak)))
        at += n
    return out


def _array(values: np.ndarray, dtype: Any, weak: bool) -> Array:
    if dtypes.is_extended(dtype):
        shape = values.shape
        values = np.ascontiguousarray(values)
        return _native.array_from_buffer(values, dtypes.code_of[dtype], shape, weak, False)
    return array_from_numpy(values, dtype, weak)
