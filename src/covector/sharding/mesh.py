"""Meshes: devices arranged along named axes."""

from __future__ import annotations

import enum
import math
from collections import OrderedDict
from collections.abc import Hashable, Iterable, Sequence
from typing import Any, NoReturn

import numpy as np

from covector.core.backend import all_devices, get_backend
from covector.core.config import add_context, in_place
from covector.core.device import Device
from covector.core.errors import at_user_line, boundaries

Name = Hashable


class AxisType(enum.Enum):
    """Who says how arrays are split over an axis of a mesh.

    Attributes
    ----------
    Auto
        The compiler, which is free in all that is not said.
    Explicit
        The types of arrays: each operation says how its result is split, or is an error.
    Manual
        The user's program, which runs on each device on its part (`shard_map`).

    Examples
    --------
    >>> from covector.sharding import AxisType
    >>> AxisType.Auto
    Auto
    """

    Auto = enum.auto()
    Explicit = enum.auto()
    Manual = enum.auto()

    def __repr__(self) -> str:
        return self.name


@boundaries
class AbstractDevice:
    """What is known of the devices of a mesh that need not be there.

    Parameters
    ----------
    device_kind : str
    num_cores : int or None
    platform : str

    Examples
    --------
    >>> from covector.sharding import AbstractDevice
    >>> AbstractDevice("cpu", None, "cpu").platform
    'cpu'
    """

    __slots__ = ("device_kind", "num_cores", "platform")

    def __init__(self, device_kind: str, num_cores: int | None, platform: str) -> None:
        self.device_kind = device_kind
        self.num_cores = num_cores
        self.platform = platform

    def _all(self) -> tuple[Any, ...]:
        return self.device_kind, self.num_cores, self.platform

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AbstractDevice) and self._all() == other._all()

    def __hash__(self) -> int:
        return hash(self._all())

    def __repr__(self) -> str:
        return (
            f"AbstractDevice(device_kind={self.device_kind!r}, num_cores={self.num_cores}, "
            f"platform={self.platform!r})"
        )


@boundaries
class Axes:
    """Named axes with their sizes and types: what `Mesh` and `AbstractMesh` share."""

    axis_names: tuple[Name, ...]
    axis_sizes: tuple[int, ...]
    axis_types: tuple[AxisType, ...]

    @property
    def shape(self) -> OrderedDict[Name, int]:
        """The size of each axis, by its name."""
        return OrderedDict(zip(self.axis_names, self.axis_sizes, strict=True))

    @property
    def shape_tuple(self) -> tuple[tuple[Name, int], ...]:
        """Names and sizes of the axes."""
        return tuple(zip(self.axis_names, self.axis_sizes, strict=True))

    @property
    def size(self) -> int:
        """The number of devices."""
        return math.prod(self.axis_sizes) if self.axis_names else 0

    @property
    def empty(self) -> bool:
        """Whether there are no axes."""
        return not self.axis_names

    def _of_type(self, wanted: AxisType) -> tuple[Name, ...]:
        pairs = zip(self.axis_names, self.axis_types, strict=True)
        return tuple([name for name, t in pairs if t is wanted])

    @property
    def auto_axes(self) -> tuple[Name, ...]:
        """Axes of the type Auto."""
        return self._of_type(AxisType.Auto)

    @property
    def explicit_axes(self) -> tuple[Name, ...]:
        """Axes of the type Explicit."""
        return self._of_type(AxisType.Explicit)

    @property
    def manual_axes(self) -> tuple[Name, ...]:
        """Axes of the type Manual."""
        return self._of_type(AxisType.Manual)

    def _are_all(self, wanted: AxisType) -> bool:
        return bool(self.axis_types) and all(t is wanted for t in self.axis_types)

    @property
    def are_all_axes_auto(self) -> bool:
        """Whether there are axes, all of the type Auto."""
        return self._are_all(AxisType.Auto)

    @property
    def are_all_axes_explicit(self) -> bool:
        """Whether there are axes, all of the type Explicit."""
        return self._are_all(AxisType.Explicit)

    @property
    def are_all_axes_manual(self) -> bool:
        """Whether there are axes, all of the type Manual."""
        return self._are_all(AxisType.Manual)

    def size_of(self, names: Iterable[Name]) -> int:
        """The product of the sizes of axes."""
        return math.prod(self.axis_sizes[self.axis_names.index(n)] for n in names)

    def _shown(self) -> str:
        sizes = ", ".join(f"{n!r}: {s}" for n, s in self.shape_tuple)
        return f"{sizes or '()'}, axis_types={_types_text(self.axis_types)}"


def _types_text(types: Sequence[AxisType]) -> str:
    names = ", ".join(map(repr, types))
    return f"({names},)" if len(types) == 1 else f"({names})"


def _axis_types(types: Any, n: int, what: str) -> tuple[AxisType, ...]:
    """A type for each of ``n`` axes; without any, all are Auto."""
    if types is None:
        return (AxisType.Auto,) * n
    found = (types,) * n if isinstance(types, AxisType) else tuple(types)
    for t in found:
        if not isinstance(t, AxisType):
            raise TypeError(
                f"{what}: axis_types takes members of covector.sharding.AxisType, got {t!r}"
                f"{at_user_line()}"
            )
    if len(found) != n:
        raise ValueError(
            f"{what}: there are {n} axes and {len(found)} axis_types, {_types_text(found)}; each "
            f"axis has one{at_user_line()}"
        )
    return found


def _axis_names(names: Any, what: str) -> tuple[Name, ...]:
    found = (names,) if isinstance(names, str) else tuple(names)
    for name in found:
        if name is None:
            raise ValueError(f"{what}: an axis cannot have the name None{at_user_line()}")
    if len(set(found)) != len(found):
        raise ValueError(f"{what}: the names of axes must differ, got {found}{at_user_line()}")
    return found


@boundaries
class AbstractMesh(Axes):
    """Named axes of devices that are not said: what programs are traced for.

    Parameters
    ----------
    axis_sizes : tuple of int
    axis_names : tuple of hashable
    axis_types : AxisType or tuple of AxisType, optional
        By default all are Auto.
    abstract_device : AbstractDevice, optional

    Raises
    ------
    ValueError
        If there are not as many sizes or types as names, or a name occurs twice.

    Examples
    --------
    >>> from covector.sharding import AbstractMesh
    >>> mesh = AbstractMesh((4, 2), ("data", "model"))
    >>> mesh.shape["data"], mesh.size
    (4, 8)
    """

    __slots__ = ("axis_sizes", "axis_names", "axis_types", "abstract_device", "_hash")

    def __init__(
        self,
        axis_sizes: tuple[int, ...],
        axis_names: tuple[Name, ...],
        axis_types: AxisType | tuple[AxisType, ...] | None = None,
        *,
        abstract_device: AbstractDevice | None = None,
    ) -> None:
        self.axis_sizes = tuple([int(s) for s in axis_sizes])
        self.axis_names = _axis_names(axis_names, "AbstractMesh")
        if len(self.axis_sizes) != len(self.axis_names):
            raise ValueError(
                f"AbstractMesh: there are {len(self.axis_sizes)} sizes and "
                f"{len(self.axis_names)} names of axes: {axis_sizes}, {axis_names}{at_user_line()}"
            )
        self.axis_types = _axis_types(axis_types, len(self.axis_names), "AbstractMesh")
        self.abstract_device = abstract_device
        self._hash = hash((self.axis_sizes, self.axis_names, self.axis_types, abstract_device))

    def _all(self) -> tuple[Any, ...]:
        return self.axis_sizes, self.axis_names, self.axis_types, self.abstract_device

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, AbstractMesh) and self._all() == other._all())

    def __hash__(self) -> int:
        return self._hash

    def __reduce__(self) -> Any:
        return _abstract_mesh, self._all()

    def __repr__(self) -> str:
        device = self.abstract_device
        kind = "" if device is None else f", device_kind={device.device_kind}"
        return f"AbstractMesh({self._shown()}{kind})"

    @property
    def abstract_mesh(self) -> AbstractMesh:
        """The mesh itself."""
        return self

    @property
    def is_multi_process(self) -> bool:
        """Whether devices belong to several processes: that is not known of devices not said."""
        _has_no_devices("is_multi_process")

    @property
    def devices(self) -> Any:
        """It has none: an error."""
        _has_no_devices("devices")

    @property
    def device_ids(self) -> Any:
        """It has none: an error."""
        _has_no_devices("device_ids")

    @property
    def local_devices(self) -> Any:
        """It has none: an error."""
        _has_no_devices("local_devices")

    @property
    def local_mesh(self) -> Any:
        """It has none: an error."""
        _has_no_devices("local_mesh")

    def update(
        self, axis_sizes: Any = None, axis_names: Any = None, axis_types: Any = None, **kwargs: Any
    ) -> AbstractMesh:
        """The same with something else in place of a part.

        Parameters
        ----------
        axis_sizes, axis_names, axis_types : optional
        abstract_device : AbstractDevice, optional

        Returns
        -------
        AbstractMesh

        Examples
        --------
        >>> from covector.sharding import AbstractMesh
        >>> AbstractMesh((4,), ("x",)).update(axis_sizes=(8,)).size
        8
        """
        unknown = kwargs.keys() - {"abstract_device"}
        if unknown:
            raise TypeError(
                f"AbstractMesh.update has no argument {min(unknown)!r}; it takes axis_sizes, "
                f"axis_names, axis_types and abstract_device{at_user_line()}"
            )
        return AbstractMesh(
            self.axis_sizes if axis_sizes is None else axis_sizes,
            self.axis_names if axis_names is None else axis_names,
            self.axis_types if axis_types is None else axis_types,
            abstract_device=kwargs.get("abstract_device", self.abstract_device),
        )

    def update_axis_types(self, name_to_type: dict[Name, AxisType]) -> AbstractMesh:
        """The same with other types of the axes named.

        Parameters
        ----------
        name_to_type : dict

        Returns
        -------
        AbstractMesh

        Examples
        --------
        >>> from covector.sharding import AbstractMesh, AxisType
        >>> AbstractMesh((4,), ("x",)).update_axis_types({"x": AxisType.Manual}).manual_axes
        ('x',)
        """
        pairs = zip(self.axis_names, self.axis_types, strict=True)
        return self.update(axis_types=tuple([name_to_type.get(n, t) for n, t in pairs]))


def _abstract_mesh(sizes: Any, names: Any, types: Any, device: Any) -> AbstractMesh:
    return AbstractMesh(sizes, names, types, abstract_device=device)


def _has_no_devices(attribute: str) -> NoReturn:
    raise ValueError(
        f"AbstractMesh has no {attribute}: it does not say which devices its axes are of; a Mesh "
        f"does{at_user_line()}"
    )


EMPTY = AbstractMesh((), ())

# The mesh of the block ``with mesh:`` that runs: part of the context key.
ENTERED = add_context()


@boundaries
class Mesh(Axes):
    """Devices arranged along named axes.

    Parameters
    ----------
    devices : array or sequence of Device
        Of as many dimensions as there are names.
    axis_names : str or sequence of hashable
    axis_types : tuple of AxisType, optional
        By default all are Auto; `make_mesh` makes them Explicit.

    Raises
    ------
    ValueError
        If there are not as many dimensions or types as names, or a name or a device occurs twice.

    Examples
    --------
    >>> import numpy
    >>> import covector as cv
    >>> mesh = cv.sharding.Mesh(numpy.array(cv.devices("cpu")[:1]), ("x",))
    >>> mesh
    Mesh(axis_sizes=(1,), axis_names=('x',), axis_types=(Auto,))
    """

    __slots__ = (
        "devices", "axis_names", "axis_sizes", "axis_types", "abstract_mesh", "_hash", "_outer",
    )  # fmt: skip
    devices: np.ndarray
    abstract_mesh: AbstractMesh

    def __init__(
        self,
        devices: Any,
        axis_names: str | Sequence[Name],
        axis_types: tuple[AxisType, ...] | None = None,
    ) -> None:
        array = np.array(devices, dtype=object)
        self.axis_names = _axis_names(axis_names, "Mesh")
        if array.ndim != len(self.axis_names):
            raise ValueError(
                f"Mesh: the devices have {array.ndim} dimensions, {array.shape}, and there are "
                f"{len(self.axis_names)} names of axes, {self.axis_names}; each dimension has one"
                f"{at_user_line()}"
            )
        for d in array.flat:
            if not hasattr(d, "platform"):
                raise TypeError(
                    "Mesh takes an array of devices, such as those of covector.devices(), got "
                    f"{d!r} in it{at_user_line()}"
                )
        if len(set(array.flat)) != array.size:
            raise ValueError(f"Mesh: a device occurs twice: {list(array.flat)}{at_user_line()}")
        array.flags.writeable = False
        self.devices = array
        self.axis_sizes = array.shape
        self.axis_types = _axis_types(axis_types, array.ndim, "Mesh")
        first = array.flat[0] if array.size else None
        kind = first and AbstractDevice(first.device_kind, None, first.platform)
        self.abstract_mesh = AbstractMesh(
            array.shape, self.axis_names, self.axis_types, abstract_device=kind
        )
        self._hash = hash((tuple(array.flat), self.abstract_mesh))
        self._outer: list[Any] = []

    def __eq__(self, other: object) -> bool:
        return self is other or (
            isinstance(other, Mesh)
            and self._hash == other._hash
            and self.abstract_mesh == other.abstract_mesh
            and tuple(self.devices.flat) == tuple(other.devices.flat)
        )

    def __hash__(self) -> int:
        return self._hash

    def __reduce__(self) -> Any:
        return Mesh, (self.devices, self.axis_names, self.axis_types)

    def __repr__(self) -> str:
        return (
            f"Mesh(axis_sizes={self.axis_sizes}, axis_names={self.axis_names}, "
            f"axis_types={_types_text(self.axis_types)})"
        )

    def __str__(self) -> str:
        return f"Mesh({self._shown()})"

    def __enter__(self) -> Mesh:
        block = in_place({ENTERED: self})
        block.__enter__()
        self._outer.append(block)
        return self

    def __exit__(self, *exc: Any) -> None:
        self._outer.pop().__exit__(*exc)

    @property
    def size(self) -> int:
        """The number of devices."""
        return int(self.devices.size)

    @property
    def is_scalar(self) -> bool:
        """Whether it has no axes and one device."""
        return self.devices.ndim == 0

    @property
    def device_ids(self) -> np.ndarray:
        """The numbers of the devices, arranged as they are."""
        return np.vectorize(lambda d: d.id, otypes=[int])(self.devices)

    @property
    def local_devices(self) -> list[Device]:
        """The devices of this process."""
        here = this_process()
        return [d for d in self.devices.flat if d.process_index == here]

    @property
    def is_multi_process(self) -> bool:
        """Whether devices belong to several processes."""
        return len({d.process_index for d in self.devices.flat}) > 1

    @property
    def local_mesh(self) -> Mesh:
        """The part of the mesh whose devices are of this process.

        Raises the error where these are no block of it.
        """
        if not self.is_multi_process:
            return self
        here = this_process()
        mine = np.vectorize(lambda d: d.process_index == here, otypes=[bool])(self.devices)
        block = tuple([slice(int(i.min()), int(i.max()) + 1) for i in np.nonzero(mine)])
        if not mine.any() or not mine[block].all():
            raise ValueError(
                f"the devices of process {here} are no block of the mesh {self}, so that it has "
                f"no local mesh{at_user_line()}"
            )
        return Mesh(self.devices[block], self.axis_names, self.axis_types)

    def update(self, devices: Any = None, axis_names: Any = None, axis_types: Any = None) -> Mesh:
        """The same with something else in place of a part.

        Parameters
        ----------
        devices, axis_names, axis_types : optional

        Returns
        -------
        Mesh

        Examples
        --------
        >>> import covector as cv
        >>> cv.make_mesh((1,), ("x",)).update(axis_names=("y",)).axis_names
        ('y',)
        """
        return Mesh(
            self.devices if devices is None else devices,
            self.axis_names if axis_names is None else axis_names,
            self.axis_types if axis_types is None else axis_types,
        )


def this_process() -> int:
    return int(get_backend(None).devices()[0].process_index)


def make_mesh(
    axis_shapes: Sequence[int],
    axis_names: Sequence[Name],
    axis_types: tuple[AxisType, ...] | None = None,
    *,
    devices: Sequence[Device] | None = None,
) -> Mesh:
    """A mesh of the first devices, in the order in which they are near each other.

    Parameters
    ----------
    axis_shapes : sequence of int
        The size of each axis.
    axis_names : sequence of hashable
    axis_types : tuple of AxisType, optional
        By default all axes are Explicit: the types of arrays say how they are split.
    devices : sequence of Device, optional
        By default all there are.

    Returns
    -------
    Mesh

    Raises
    ------
    ValueError
        If there are fewer devices than the axes have.

    Examples
    --------
    >>> import covector as cv
    >>> mesh = cv.make_mesh((1, 1), ("x", "y"))
    >>> print(mesh)
    Mesh('x': 1, 'y': 1, axis_types=(Explicit, Explicit))
    """
    sizes = tuple([int(s) for s in axis_shapes])
    names = _axis_names(axis_names, "make_mesh")
    if len(sizes) != len(names):
        raise ValueError(
            f"make_mesh: there are {len(sizes)} sizes of axes, {sizes}, and {len(names)} names, "
            f"{names}; each axis has one of both{at_user_line()}"
        )
    if any(n < 1 for n in sizes):
        raise ValueError(
            f"make_mesh: the sizes of axes are at least 1, got {sizes}{at_user_line()}"
        )
    found = list(all_devices(get_backend(None)) if devices is None else devices)
    wanted = math.prod(sizes)
    if wanted > len(found):
        more = ""
        if devices is None and found and found[0].platform == "cpu":
            more = (
                ". The CPU has as many logical devices as the option num_cpu_devices says: set "
                f"COVECTOR_NUM_CPU_DEVICES={wanted}, or call "
                f"covector.config.update('num_cpu_devices', {wanted}), at any time"
            )
        raise ValueError(
            f"make_mesh: a mesh of the sizes {sizes} has {wanted} devices; there are {len(found)}"
            f"{more}{at_user_line()}"
        )
    if axis_types is None:
        axis_types = (AxisType.Explicit,) * len(names)
    grid = np.empty(wanted, dtype=object)
    grid[:] = found[:wanted]
    return Mesh(grid.reshape(sizes), names, axis_types)
