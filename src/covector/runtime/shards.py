"""The parts of arrays that devices have, and arrays made of parts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from covector.core import dtypes, processes, tree
from covector.core.avals import Array, array_from_numpy, to_array
from covector.core.backend import get_backend
from covector.core.device import Device
from covector.core.errors import at_user_line, describe
from covector.runtime.placement import as_sharding, placement, put
from covector.runtime.transfers import asked_for, heard_of, transfer
from covector.sharding.base import Index, Sharding, SingleDeviceSharding
from covector.sharding.partition.mesh import ProcessMesh, process_mesh
from covector.sharding.spec import PartitionSpec

_KEY_BITS = dtypes.code_of[np.dtype(np.uint64)]


def bits(x: Array) -> np.ndarray:
    """The elements of an array on the host; those of keys as integers."""
    host = x._to_host()
    return np.asarray(host._bitcast(_KEY_BITS, x.shape) if dtypes.is_extended(x.dtype) else host)


def from_bits(elements: np.ndarray, like: Array) -> Array:
    """The array of what `bits` gave."""
    whole = np.ascontiguousarray(elements)
    if dtypes.is_extended(like.dtype):
        return array_from_numpy(whole, whole.dtype, alias=True)._bitcast(like._code, whole.shape)
    return array_from_numpy(whole, like.dtype, like.weak_type, alias=True)


class Shard:
    """The part of an array that one device has.

    Parameters
    ----------
    device : Device
    sharding : Sharding
        Of the whole array.
    global_shape : tuple of int
        The shape of the whole array.
    data : Array, optional
        The part, on the device; None where the device belongs to another process.

    Attributes
    ----------
    index : tuple of slice
        Where it is in the whole.
    replica_id : int
        Which of the equal parts it is.

    Examples
    --------
    >>> import covector as cv
    >>> (shard,) = cv.numpy.arange(3).addressable_shards
    >>> shard
    Shard(device=CpuDevice(id=0), index=(slice(None, None, None),), replica_id=0, data=[0 1 2])
    """

    __slots__ = ("device", "_sharding", "_global_shape", "_data", "_whole")

    def __init__(
        self, device: Device, sharding: Sharding, global_shape: tuple[int, ...], data: Any = None
    ) -> None:
        self.device = device
        self._sharding = sharding
        self._global_shape = tuple(global_shape)
        self._data = data
        self._whole: Array | None = None

    @property
    def index(self) -> Index:
        return self._sharding.devices_indices_map(self._global_shape)[self.device]

    @property
    def replica_id(self) -> int:
        here = self.index
        count = 0
        for device, index in self._sharding.devices_indices_map(self._global_shape).items():
            if device == self.device:
                return count
            count += index == here
        raise ValueError(f"{self.device!r} is not among the devices of {self._sharding!r}")

    @property
    def data(self) -> Any:
        if self._data is None and self._whole is not None:
            part = part_of(self._whole, self.index, self.device)
            if not self._sharding.has_sum(self.device):
                nothing = array_from_numpy(np.zeros(part.shape, part.dtype))
                part = put(nothing, placement(SingleDeviceSharding(self.device), True))
            self._data = part
            self._whole = None
        return self._data

    def __repr__(self) -> str:
        data = "" if self._data is None and self._whole is None else f", data={self.data!s}"
        return (
            f"Shard(device={self.device!r}, index={self.index}, replica_id={self.replica_id}{data})"
        )


def part_of(x: Array, index: Index, device: Device) -> Array:
    """The elements of ``x`` at ``index`` on a device: on the same memory where they are a block."""
    where = placement(SingleDeviceSharding(device), True)
    host: Any = x._placed(placement(SingleDeviceSharding(device), False).index)
    first = 0
    whole = list(zip(index, x.shape, strict=True))
    while whole and _is_whole(*whole[-1]):
        whole.pop()
    if not whole:
        return host._placed(where.index)
    if len(whole) == 1:
        s = whole[0][0]
        first, stop = s.start or 0, s.stop if s.stop is not None else x.shape[0]
        return host._rows(first, stop)._placed(where.index)
    return put(host[index], where)


def _is_whole(s: slice, size: int) -> bool:
    return (s.start or 0) == 0 and (s.stop is None or s.stop == size)


def addressable_shards(x: Array) -> list[Shard]:
    """The parts of an array that the devices of this process have.

    Returns
    -------
    list of Shard
        In the order of the devices of its sharding.
    """
    sharding = x.sharding
    here = sharding.addressable_devices
    # Where devices have memories of their own, their backend holds the parts.
    parts = getattr(x._handle, "parts", None)
    shards = []
    for k, device in enumerate(sharding.devices):
        if device in here:
            shard = Shard(device, sharding, x.shape)
            if parts is not None and sharding.has_sum(device):
                shard._data = parts[k]
            elif sharding.spread:
                shard._whole = x
            else:
                shard._data = x
            shards.append(shard)
    return shards


def global_shards(x: Array) -> list[Shard]:
    """The parts of an array on all devices; ``data`` is None for those of other processes."""
    mine = {shard.device: shard for shard in addressable_shards(x)}
    sharding = x.sharding
    return [mine.get(d) or Shard(d, sharding, x.shape) for d in sharding.devices]


def addressable_data(x: Array, index: int) -> Array:
    """The part of an array on the device of number ``index`` among those of this process."""
    shards = addressable_shards(x)
    if not -len(shards) <= index < len(shards):
        raise IndexError(
            f"addressable_data({index}) of an array on {len(shards)} devices of this process"
            f"{at_user_line()}"
        )
    data: Array = shards[index].data
    return data


# --- arrays of parts -------------------------------------------------------------------------


def _joined(
    shape: tuple[int, ...], sharding: Sharding, dtype: Any, parts: Callable[[Index, Device], Any],
    what: str,
) -> Array:  # fmt: skip
    """An array of ``shape`` whose part at each index ``parts`` gives: of those of this process."""
    _check_terms(sharding, what)
    whole: np.ndarray | None = None
    key_like: Array | None = None
    seen: set[Any] = set()
    here = sharding.addressable_devices
    block = _block_here(shape, sharding, what)
    asked = None if dtype is None else dtypes.canonicalize_dtype(dtype)
    size = tuple([s.stop - s.start for s in block])
    for device, index in sharding.devices_indices_map(shape).items():
        if device not in here:
            continue
        key = tuple([(s.start, s.stop) for s in index])
        term = sharding.term_of(device)
        if (key, term) in seen:
            continue
        first = not any(k == key for k, _ in seen)
        seen.add((key, term))
        given = parts(index, device)
        key_like = given if isinstance(given, Array) and dtypes.is_extended(given.dtype) else None
        part = np.asarray(given) if key_like is None else bits(key_like)
        if not isinstance(given, Array):
            transfer("host_to_device", f"{part.dtype}{list(part.shape)}, a part for {device!r}")
        wanted = tuple([len(range(*s.indices(n))) for s, n in zip(index, shape, strict=True)])
        if part.shape != wanted:
            raise ValueError(
                f"{what}: the part at {_shown(index)} of an array of the shape {shape} has the "
                f"shape {wanted}, got one of the shape {part.shape}{at_user_line()}"
            )
        found = getattr(given, "dtype", None)  # numbers and lists have none
        if asked is not None and found is not None and dtypes.canonicalize_dtype(found) != asked:
            raise ValueError(
                f"{what}: the part at {_shown(index)} has the dtype {found}, and dtype={asked} was "
                f"given: convert it, or leave dtype out{at_user_line()}"
            )
        if whole is None:
            whole = np.empty(size, part.dtype if dtype is None else dtype)
        elif dtype is None and part.dtype != whole.dtype:
            raise ValueError(
                f"{what}: the parts of an array have one dtype: the first has {whole.dtype}, the "
                f"one at {_shown(index)} {part.dtype}{at_user_line()}"
            )
        at = within(index, block, shape)
        whole[at] = part if first else whole[at] + part
    assert whole is not None
    if key_like is not None:
        return _of_block(from_bits(whole, key_like), sharding, shape)
    local = array_from_numpy(whole, dtypes.canonicalize_dtype(whole.dtype), alias=True)
    return _of_block(local, sharding, shape)


def _check_terms(sharding: Any, what: str) -> None:
    """Raise the error for a sum over devices of which processes have terms: what an array is must
    be known to each of them."""
    spec = getattr(sharding, "spec", None)
    if spec is not None and spec.unreduced and not sharding.is_fully_addressable:
        raise NotImplementedError(
            f"{what}: {spec!r} says that the array is a sum over devices, of which several "
            "processes would have terms. Add them in a compiled function: make an array that is "
            f"split over a new first dimension, and sum over that{at_user_line()}"
        )


def within(index: Index, block: Index, shape: Sequence[int]) -> Index:
    """Where in a block of an array of ``shape`` that is which is at ``index`` in the whole."""
    found = []
    for s, b, n in zip(index, block, shape, strict=True):
        first, stop, _ = s.indices(n)
        found.append(slice(first - b.start, stop - b.start))
    return tuple(found)


def _processes_of(sharding: Any) -> tuple[ProcessMesh, PartitionSpec]:
    """The mesh of processes of a sharding over several, and its spec."""
    return process_mesh(sharding.mesh), sharding.spec


def must_be_gathered(shape: Sequence[int], sharding: Any) -> RuntimeError:
    """The error for an array that is to be read, and of which this process has a part."""
    count = len({d.process_index for d in sharding.devices})
    return RuntimeError(
        f"an array of the shape {tuple(shape)} is spread over the devices of {count} processes, "
        f"{sharding!r}, and process {processes.index} has a part of it. Its attribute "
        "addressable_shards has that; covector.experimental.multihost_utils.process_allgather "
        "gives all of it to each process, and jit(lambda x: x, out_shardings=...) lays it out anew"
        f"{at_user_line()}"
    )


def _check_here(sharding: Sharding, what: str) -> None:
    if not sharding.has_addressable_devices:
        raise ValueError(
            f"{what}: {sharding!r} has no device of this process, {processes.index}, which has no "
            f"part of such an array{at_user_line()}"
        )


def _block_here(shape: tuple[int, ...], sharding: Sharding, what: str) -> Index:
    """Where in an array of ``shape`` the devices of this process have their parts."""
    if sharding.is_fully_addressable:
        return tuple([slice(0, n) for n in shape])
    _check_here(sharding, what)
    mesh, spec = _processes_of(sharding)
    return mesh.block(shape, mesh.split(spec, shape, what))


def _of_block(
    local: Array, sharding: Sharding, shape: tuple[int, ...], agree: str | None = None
) -> Array:
    """The array of ``shape`` of which this process has ``local``; all must find the same shape if
    ``agree`` says for whom."""
    where = placement(sharding, True)
    if sharding.is_fully_addressable:
        with heard_of():
            return put(local, where)
    backend: Any = get_backend(where.device.platform)
    made: Array = backend.of_block(local, sharding, shape, where.index, agree)
    return made


def _shown(index: Index) -> str:
    each = [
        f"{'' if s.start is None else s.start}:{'' if s.stop is None else s.stop}" for s in index
    ]
    return f"[{', '.join(each)}]"


def _checked(shape: Sequence[int], sharding: Any, what: str) -> tuple[tuple[int, ...], Sharding]:
    sharding = as_sharding(getattr(sharding, "sharding", sharding), what)
    sizes = tuple([int(n) for n in shape])
    if sharding.spread:
        sharding.check(sizes, what)
    return sizes, sharding


def make_array_from_callback(
    shape: Sequence[int],
    sharding: Any,
    data_callback: Callable[[Index | None], Any],
    dtype: Any = None,
) -> Array:
    """An array whose parts a function gives.

    Parameters
    ----------
    shape : tuple of int
        Of the whole array.
    sharding : Sharding
    data_callback : callable
        Called with the slices of the whole array that a device has, once for each part that is
        different; returns them as an array.
    dtype : dtype, optional
        That of the parts, unless these are Python numbers.

    Returns
    -------
    Array

    Raises
    ------
    ValueError
        If a part does not have the shape of its slices, or has another dtype.

    Examples
    --------
    >>> import numpy
    >>> import covector as cv
    >>> from covector.sharding import PartitionSpec as P
    >>> s = cv.NamedSharding(cv.make_mesh((1,), ("x",)), P("x"))
    >>> cv.make_array_from_callback((4,), s, lambda index: numpy.arange(4.0)[index])
    Array([0., 1., 2., 3.], dtype=float32)
    """
    sizes, where = _checked(shape, sharding, "make_array_from_callback")
    return _joined(sizes, where, dtype, lambda i, d: data_callback(i), "make_array_from_callback")


def array_of_block(
    shape: Sequence[int], sharding: Any, read: Callable[[Any], np.ndarray], what: str
) -> Array:
    """An array of the block that the devices of this process have, which ``read`` gives as a new
    NumPy array: whose memory it takes, where they have that of the host."""
    sizes, where = _checked(shape, sharding, what)
    block = _block_here(sizes, where, what)
    part = read(tuple([(s.start, s.stop) for s in block]))
    transfer("host_to_device", f"{part.dtype}{list(part.shape)}, {what}")
    local = array_from_numpy(part, dtypes.canonicalize_dtype(part.dtype), alias=True)
    return _of_block(local, where, sizes)


def make_array_from_single_device_arrays(
    shape: Sequence[int], sharding: Any, arrays: Sequence[Any], *, dtype: Any = None
) -> Array:
    """An array of the parts that devices have.

    Parameters
    ----------
    shape : tuple of int
        Of the whole array.
    sharding : Sharding
    arrays : sequence of Array
        One for each device of this process, on it.
    dtype : dtype, optional
        Of the array, where there are no arrays.

    Returns
    -------
    Array

    Raises
    ------
    ValueError
        If there is not one array for each device, or one has another shape than its part.

    Examples
    --------
    >>> import covector as cv
    >>> from covector.sharding import PartitionSpec as P
    >>> s = cv.NamedSharding(cv.make_mesh((1,), ("x",)), P("x"))
    >>> part = cv.device_put(cv.numpy.arange(4), cv.devices()[0])
    >>> cv.make_array_from_single_device_arrays((4,), s, [part]).sharding.spec
    P('x',)
    """
    what = "make_array_from_single_device_arrays"
    sizes, where = _checked(shape, sharding, what)
    by_device: dict[Device, Any] = {}
    for x in arrays:
        if type(x) is not Array or len(x.sharding.device_set) != 1:
            raise ValueError(
                f"{what} takes arrays that are each on one device, got {x!r:.100}{at_user_line()}"
            )
        by_device[x.sharding.devices[0]] = x
    twice = Counter([x.sharding.devices[0] for x in arrays])
    for device, count in twice.items():
        if count > 1:
            raise ValueError(
                f"{what}: {device!r} was given {count} times; each of the devices of {where!r} has "
                f"one part. device_put(x, device) puts an array on its device{at_user_line()}"
            )
    missing = [d for d in where.devices if d in where.addressable_devices and d not in by_device]
    if missing or len(arrays) != len(where.addressable_devices):
        lacking = f"; there is none on {', '.join(map(repr, missing))}" if missing else ""
        raise ValueError(
            f"{what}: {where!r} has {len(where.addressable_devices)} devices of this process, each "
            f"of which has a part, and {len(arrays)} arrays were given{lacking}{at_user_line()}"
        )
    return _joined(sizes, where, dtype, lambda i, d: by_device[d], what)


def processes_along(sharding: Sharding, ndim: int, what: str) -> Sequence[int]:
    """Into how many parts processes split each dimension."""
    if sharding.is_fully_addressable:
        return (1,) * ndim
    _check_here(sharding, what)
    mesh, spec = _processes_of(sharding)
    return [mesh.count(axes) for axes in mesh.split(spec, (1,) * ndim)]


def make_array_from_process_local_data(
    sharding: Any, local_data: Any, global_shape: Sequence[int | None] | None = None
) -> Any:
    """An array of the data that each process has.

    Parameters
    ----------
    sharding : Sharding or pytree of Sharding
    local_data : array or pytree of arrays
        What this process has: the whole, or what its devices have.
    global_shape : tuple of int, optional
        Of the whole array. Where it is not given, or None, the data is taken for the part of this
        process: a dimension is as long as that of the data times the number of parts into which
        processes split it. Where it is, the data may be the whole along a dimension.

    Returns
    -------
    Array or pytree of Array

    Raises
    ------
    ValueError
        If the data is no part of an array of the shape.

    Examples
    --------
    >>> import numpy
    >>> import covector as cv
    >>> from covector.sharding import PartitionSpec as P
    >>> s = cv.NamedSharding(cv.make_mesh((1,), ("x",)), P("x"))
    >>> cv.make_array_from_process_local_data(s, numpy.ones(2, "float32"))
    Array([1., 1.], dtype=float32)
    """
    what = "make_array_from_process_local_data"

    def one(where: Any, data: Any) -> Array:
        array: Any = np.asarray(data) if not isinstance(data, Array) else data
        given = tuple(array.shape)
        if array.dtype.kind in "OSU":
            raise TypeError(
                f"{what} takes arrays, and trees of them; {describe(data)} is none{at_user_line()}"
            )
        where = as_sharding(getattr(where, "sharding", where), what)
        if len(getattr(where, "spec", ())) > len(given):
            where.check(given, what)  # raises
        _check_terms(where, what)
        along = processes_along(where, len(given), what)
        asked = (None,) * len(given) if global_shape is None else tuple(global_shape)
        if len(asked) != len(given):
            raise ValueError(
                f"{what}: the data has {len(given)} dimensions, its shape is {given}, and "
                f"global_shape {len(asked)}: {asked}{at_user_line()}"
            )
        sizes = [
            n * p if g is None else int(g) for g, n, p in zip(asked, given, along, strict=True)
        ]
        shape, found = _checked(sizes, where, what)
        block = _block_here(shape, found, what)
        cut = []
        for k, (n, size, s) in enumerate(zip(given, shape, block, strict=True)):
            if n not in (size, s.stop - s.start):
                raise ValueError(
                    f"{what}: axis {k} of the array has the size {size}, of which this process has "
                    f"{s.start} to {s.stop}; its data has the size {n} there: it is to have either "
                    f"the whole or its part{at_user_line()}"
                )
            cut.append(s if n == size else slice(None))
        if any(n != s.stop - s.start for n, s in zip(given, block, strict=True)):
            array = array[tuple(cut)]
        with asked_for():
            if isinstance(array, Array) and array.sharding != found:
                transfer("device_to_device", f"{array.aval.str_short()}, the data of {what}")
            array = to_array(array)
        return _of_block(array, found, shape, what if None in asked else None)

    if isinstance(sharding, Sharding) or hasattr(sharding, "partitions"):
        return tree.map(lambda data: one(sharding, data), local_data)
    return tree.map(one, sharding, local_data)
