"""Shardings by the names of a mesh's axes."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import numpy as np

from covector.core.device import Device
from covector.core.errors import at_user_line, boundaries
from covector.sharding.base import Index, Sharding
from covector.sharding.mesh import AbstractMesh, AxisType, Mesh, this_process
from covector.sharding.spec import UNCONSTRAINED, PartitionSpec, names_in


class DuplicateSpecError(Exception):
    """A spec that splits two dimensions over one axis.

    Examples
    --------
    >>> import covector as cv
    >>> from covector.sharding import NamedSharding, PartitionSpec as P
    >>> try:
    ...     NamedSharding(cv.make_mesh((1,), ("x",)), P("x", "x"))
    ... except cv.sharding.named.DuplicateSpecError as e:
    ...     print(str(e).split(":")[0])
    P('x', 'x') splits more than one dimension over the axis 'x'
    """


class IndivisibleError(ValueError):
    """A dimension whose size the number of its parts does not divide.

    Examples
    --------
    >>> import covector as cv
    >>> issubclass(cv.sharding.named.IndivisibleError, ValueError)
    True
    """


@boundaries
class NamedSharding(Sharding):
    """Dimensions of an array split over named axes of a mesh.

    Parameters
    ----------
    mesh : Mesh or AbstractMesh
    spec : PartitionSpec
        For each dimension the axes over which it is split. Over the axes that it does not name,
        the array is replicated.
    memory_kind : str, optional
        The kind of the devices' memory.

    Raises
    ------
    TypeError
        If ``mesh`` is no mesh or ``spec`` no `PartitionSpec`.
    ValueError
        If the mesh has no axis of a name in ``spec``.
    DuplicateSpecError
        If an axis occurs twice in ``spec``.

    Examples
    --------
    >>> import covector as cv
    >>> from covector.sharding import PartitionSpec as P
    >>> mesh = cv.sharding.AbstractMesh((4, 2), ("x", "y"))
    >>> s = cv.NamedSharding(mesh, P("x", None))
    >>> s.shard_shape((8, 3))
    (2, 3)
    """

    __slots__ = ("mesh", "spec", "_memory_kind", "_hash", "__dict__")
    mesh: Any
    spec: PartitionSpec
    spread = True

    def __init__(
        self, mesh: Mesh | AbstractMesh, spec: PartitionSpec, *, memory_kind: str | None = None
    ) -> None:
        if not isinstance(mesh, (Mesh, AbstractMesh)):
            raise TypeError(
                f"NamedSharding takes a mesh, such as those of make_mesh, got {mesh!r}"
                f"{at_user_line()}"
            )
        if not isinstance(spec, PartitionSpec):
            raise TypeError(
                f"NamedSharding takes a PartitionSpec, got {spec!r}; write "
                f"PartitionSpec('x', None), for example{at_user_line()}"
            )
        self.mesh = mesh
        self.spec = spec
        self._memory_kind = memory_kind
        check_spec(spec, mesh)
        self._hash = hash((mesh, spec, memory_kind))

    def __eq__(self, other: object) -> bool:
        return self is other or (
            isinstance(other, NamedSharding)
            and self._hash == other._hash
            and self.spec == other.spec
            and self.mesh == other.mesh
            and self._memory_kind == other._memory_kind
        )

    def __hash__(self) -> int:
        return self._hash

    @property
    def typed(self) -> bool:  # type: ignore[override]
        return AxisType.Explicit in self.mesh.axis_types

    def __reduce__(self) -> Any:
        return _named, (self.mesh, self.spec, self._memory_kind)

    def __repr__(self) -> str:
        kind = "" if self._memory_kind is None else f", memory_kind={self._memory_kind}"
        return f"NamedSharding(mesh={self.mesh!s}, spec={self.spec!r}{kind})"

    @property
    def memory_kind(self) -> str | None:
        return self._memory_kind

    def with_memory_kind(self, kind: str | None) -> NamedSharding:
        return NamedSharding(self.mesh, self.spec, memory_kind=kind)

    def update(self, **kwargs: Any) -> NamedSharding:
        """The same with something else in place of a part.

        Parameters
        ----------
        mesh, spec, memory_kind : optional
            A tuple is taken for the spec of its items.

        Returns
        -------
        NamedSharding

        Examples
        --------
        >>> import covector as cv
        >>> from covector.sharding import PartitionSpec as P
        >>> s = cv.NamedSharding(cv.make_mesh((1,), ("x",)), P("x"))
        >>> s.update(spec=P(None)).spec
        P(None,)
        """
        unknown = kwargs.keys() - {"mesh", "spec", "memory_kind"}
        if unknown:
            raise TypeError(
                f"NamedSharding.update has no argument {min(unknown)!r}; it takes mesh, spec and "
                f"memory_kind{at_user_line()}"
            )
        spec = kwargs.get("spec", self.spec)
        return NamedSharding(
            kwargs.get("mesh", self.mesh),
            PartitionSpec(*spec) if type(spec) is tuple else spec,
            memory_kind=kwargs.get("memory_kind", self._memory_kind),
        )

    # --- devices and their parts ---

    @functools.cached_property
    def devices(self) -> tuple[Device, ...]:
        """The devices, in the order of the mesh."""
        return tuple(self.mesh.devices.flat)  # an error for abstract meshes

    @functools.cached_property
    def device_set(self) -> set[Device]:  # type: ignore[override]
        return set(self.devices)

    @property
    def num_devices(self) -> int:
        return int(self.mesh.size)

    @functools.cached_property
    def addressable_devices(self) -> set[Device]:  # type: ignore[override]
        if not self.mesh.is_multi_process:
            return self.device_set if self.is_here else set()
        here = this_process()
        return {d for d in self.devices if d.process_index == here}

    @property
    def is_here(self) -> bool:
        """Whether the first device is of this process."""
        return bool(self.devices) and self.devices[0].process_index == this_process()

    @property
    def is_fully_replicated(self) -> bool:
        over = [*map(names_in, self.spec), tuple(self.spec.unreduced)]
        return all(self.mesh.size_of(axes) == 1 for axes in over)

    @property
    def replicated_axes(self) -> frozenset[Hashable]:
        """The axes over which the array is replicated.

        Examples
        --------
        >>> import covector as cv
        >>> from covector.sharding import AbstractMesh, PartitionSpec as P
        >>> cv.NamedSharding(AbstractMesh((4, 2), ("x", "y")), P("x")).replicated_axes
        frozenset({'y'})
        """
        used = {n for p in self.spec for n in names_in(p)} | self.spec.unreduced
        return frozenset(self.mesh.axis_names) - used

    def term_of(self, device: Device) -> tuple[int, ...]:
        over = self.spec.unreduced
        if not over:
            return ()
        at = np.argwhere(self.mesh.devices == device)[0]
        pairs = zip(self.mesh.axis_names, at, strict=True)
        return tuple([int(k) for name, k in pairs if name in over])

    def parts(self, ndim: int) -> tuple[int, ...]:
        """Into how many parts each of ``ndim`` dimensions is split."""
        return parts_of(self.spec, self.mesh, ndim)

    def check(self, shape: Sequence[int], what: str) -> None:
        """Raise the error for an array of ``shape`` that cannot be split so."""
        if len(self.spec) > len(shape):
            raise ValueError(
                f"{what}: the spec {self.spec!r} is for arrays of at least {len(self.spec)} "
                f"dimensions; the array of the shape {tuple(shape)} has {len(shape)}"
                f"{at_user_line()}"
            )
        for k, (size, part) in enumerate(zip(shape, self.spec, strict=False)):
            n = self.mesh.size_of(names_in(part))
            if n > 1 and size % n:
                axes = " and ".join(repr(a) for a in names_in(part))
                raise IndivisibleError(
                    f"{what}: axis {k} of the array of the shape {tuple(shape)} is split over the "
                    f"mesh's {axes} into {n} parts, which do not divide its size {size}. Pad the "
                    f"axis to a multiple of {n}, or split another{at_user_line()}"
                )

    def shard_shape(self, global_shape: Sequence[int]) -> tuple[int, ...]:
        self.check(global_shape, "shard_shape")
        pairs = zip(global_shape, self.parts(len(global_shape)), strict=True)
        return tuple([size // n for size, n in pairs])

    def devices_indices_map(self, global_shape: Sequence[int]) -> Mapping[Device, Index]:
        found = indices(self, tuple(global_shape))
        return dict(zip(self.devices, found, strict=True))

    def addressable_devices_indices_map(
        self, global_shape: Sequence[int]
    ) -> Mapping[Device, Index | None]:
        here = self.addressable_devices
        every = self.devices_indices_map(global_shape)
        return {d: index for d, index in every.items() if d in here}

    def is_equivalent_to(self, other: Sharding, ndim: int) -> bool:
        if self == other:
            return True
        shape = (math.lcm(*self.parts(ndim)),) * ndim
        if isinstance(other, NamedSharding):
            if self.spec.unreduced != other.spec.unreduced:
                return False
            if self._memory_kind != other._memory_kind or self.devices != other.devices:
                return False
            shape = tuple(
                [math.lcm(a, b) for a, b in zip(self.parts(ndim), other.parts(ndim), strict=True)]
            )
            return indices(self, shape) == indices(other, shape)
        return self.num_devices == 1 and self.device_set == other.device_set


@functools.lru_cache(4096)
def indices(sharding: NamedSharding, shape: tuple[int, ...]) -> list[Index]:
    """For each device, in the order of the mesh, the slices of an array that it holds."""
    sharding.check(shape, "devices_indices_map")
    mesh = sharding.mesh
    grid = mesh.axis_sizes
    at = dict(zip(mesh.axis_names, np.indices(grid), strict=True))
    ndim = len(shape)
    starts = []
    for k in range(ndim):
        part = sharding.spec[k] if k < len(sharding.spec) else None
        number = np.zeros(grid, int)
        for name in names_in(part):
            number = number * mesh.shape[name] + at[name]
        starts.append(number.reshape(-1))
    parts = sharding.parts(ndim)
    out = []
    for d in range(mesh.size):
        index = []
        for k in range(ndim):
            if parts[k] == 1:
                index.append(slice(None))
            else:
                n = shape[k] // parts[k]
                first = int(starts[k][d]) * n
                index.append(slice(first, first + n))
        out.append(tuple(index))
    return out


def _named(mesh: Any, spec: PartitionSpec, memory_kind: str | None) -> NamedSharding:
    return NamedSharding(mesh, spec, memory_kind=memory_kind)


def parts_of(spec: PartitionSpec, mesh: Mesh | AbstractMesh, ndim: int) -> tuple[int, ...]:
    """Into how many parts a spec splits each of ``ndim`` dimensions."""
    counts = [mesh.size_of(names_in(p)) for p in spec]
    return tuple(counts + [1] * (ndim - len(counts)))


def check_spec(
    spec: PartitionSpec, mesh: Mesh | AbstractMesh, what: Callable[[], str] = lambda: ""
) -> None:
    """Raise the error for a spec that the mesh does not have the axes of.

    ``what`` says whose it is, for the beginning of the message.
    """
    seen: set[Hashable] = set()
    for part in spec:
        if part is UNCONSTRAINED:
            continue
        for name in names_in(part):
            if name not in mesh.axis_names:
                known = ", ".join(map(repr, mesh.axis_names)) or "none"
                raise ValueError(
                    f"{what()}{spec!r} names the axis {name!r}, which the mesh does not have; it "
                    f"has {known}{at_user_line()}"
                )
            if name in seen:
                raise DuplicateSpecError(
                    f"{what()}{spec!r} splits more than one dimension over the axis {name!r}: an "
                    f"axis of the mesh splits at most one dimension{at_user_line()}"
                )
            seen.add(name)
    for name in (*spec.unreduced, *spec.reduced):
        if name not in mesh.axis_names or name in seen:
            raise ValueError(
                f"{what()}{spec!r}: the unreduced or reduced axis {name!r} must be an axis of the "
                f"mesh, {mesh.axis_names}, that splits no dimension{at_user_line()}"
            )
        if mesh.axis_types[mesh.axis_names.index(name)] is AxisType.Auto:
            raise ValueError(
                f"{what()}{spec!r}: the unreduced or reduced axis {name!r} of the mesh is of the "
                "type Auto, over which types say nothing of sums; make it one of the type "
                f"Explicit: make_mesh(..., axis_types=(AxisType.Explicit, ...)){at_user_line()}"
            )


def replicated(mesh: Mesh) -> NamedSharding:
    """The sharding of arrays that all devices of a mesh have whole."""
    return NamedSharding(mesh, PartitionSpec())
