"""The mesh of processes below a mesh of devices."""

from __future__ import annotations

import itertools
import math
from collections.abc import Hashable, Iterable, Sequence
from typing import Any

import numpy as np

from covector.core import processes
from covector.core.errors import at_user_line
from covector.sharding.propagate import Split, split_of
from covector.sharding.spec import PartitionSpec

Axes = tuple[Hashable, ...]


class ProcessMesh:
    """How the processes lie along the axes of a mesh.

    The devices of each process are a block of the mesh, of one shape for all, so that along each
    axis the processes come first and the devices of a process within: an axis of size 8 over 2
    processes is one of 2 processes times 4 devices.

    Parameters
    ----------
    mesh : Mesh
        Of devices.
    here : int
        The number of this process.

    Attributes
    ----------
    sizes : dict
        The number of processes along each axis that has several.
    at : dict
        Where this process is along them.
    devices_along : dict
        For each axis of the mesh the number of devices of one process.

    Raises
    ------
    NotImplementedError
        If the devices of the processes are no such blocks.
    """

    def __init__(self, mesh: Any, here: int) -> None:
        owners = np.vectorize(lambda d: d.process_index, otypes=[int])(mesh.devices)
        if not (owners == here).any():
            raise ValueError(
                f"the mesh {mesh} has devices of the processes {_listed(np.unique(owners))} and "
                f"none of this one, which is process {here}: it cannot run a program on it"
                f"{at_user_line()}"
            )
        shape = [
            len(np.unique(np.nonzero(owners == owners.flat[0])[k])) for k in range(owners.ndim)
        ]
        counts = [n // m for n, m in zip(owners.shape, shape, strict=True)]
        first = owners[tuple([slice(None, None, m) for m in shape])]
        whole = first
        for k, m in enumerate(shape):
            whole = np.repeat(whole, m, k)
        if whole.shape != owners.shape or (whole != owners).any() or _twice(first):
            raise NotImplementedError(
                f"the devices of each process must be a block of the mesh {mesh}, all of one "
                f"shape; they lie so: {owners.tolist()}. Take a mesh from make_mesh, which orders "
                f"the devices so, or order them by their process_index{at_user_line()}"
            )
        names = mesh.axis_names
        self.names: Axes = tuple(names)
        self.owners = first
        self.devices_along = dict(zip(names, shape, strict=True))
        self.sizes = {a: n for a, n in zip(names, counts, strict=True) if n > 1}
        where = [int(i[0]) for i in np.nonzero(first == here)]
        self.at = {a: k for a, k, n in zip(names, where, counts, strict=True) if n > 1}
        self.here = here
        self._mesh_shape = dict(mesh.shape)

    @property
    def ranks(self) -> tuple[int, ...]:
        """The processes of the mesh, in its order."""
        return tuple([int(r) for r in self.owners.flat])

    def count(self, axes: Iterable[Hashable]) -> int:
        """The number of processes along axes together."""
        return math.prod(self.sizes[a] for a in axes)

    def index(self, axes: Sequence[Hashable]) -> int:
        """Where this process is along axes together, the first of which counts slowest."""
        k = 0
        for a in axes:
            k = k * self.sizes[a] + self.at[a]
        return k

    def group(self, axes: Sequence[Hashable]) -> tuple[int, ...]:
        """The processes along ``axes`` through this one, in the order of `index`."""
        found = []
        for place in itertools.product(*[range(self.sizes[a]) for a in axes]):
            at = {**self.at, **dict(zip(axes, place, strict=True))}
            found.append(int(self.owners[tuple([at.get(a, 0) for a in self.names])]))
        return tuple(found)

    def knows(self, mesh: Any) -> bool:
        """Whether a mesh has the axes of this one."""
        return mesh is not None and dict(mesh.shape) == self._mesh_shape

    def split(self, spec: PartitionSpec, shape: Sequence[int], what: str = "") -> Split:
        """For each dimension the axes over which processes split it, as a spec of devices says.

        Raises
        ------
        NotImplementedError
            If what a process has would be no block of the array.
        """
        out = []
        for k, axes in enumerate(split_of(spec, len(shape))):
            names = tuple([a for a in axes if a in self.sizes])
            within = False
            for a in axes:
                if within and a in self.sizes:
                    raise NotImplementedError(
                        f"{what or 'a sharding'}: axis {k} is split over {axes!r} by {spec!r}, so "
                        "that what a process has is no block of the array: axes over several "
                        f"processes ({a!r}) come before those within one{at_user_line()}"
                    )
                within = within or self.devices_along[a] > 1
            out.append(names)
        return tuple(out)

    def nearest(self, spec: PartitionSpec) -> PartitionSpec:
        """A spec without the axes for which what a process has would be no block (see `split`)."""
        found = split_of(spec, len(spec))
        kept = []
        for axes in found:
            within = [k for k, a in enumerate(axes) if self.devices_along[a] > 1]
            across = [k for k, a in enumerate(axes) if a in self.sizes and within and k > within[0]]
            kept.append(axes[: across[0]] if across else axes)
        return spec if tuple(kept) == found else PartitionSpec(*kept)

    def shape(self, shape: Sequence[int], split: Split) -> tuple[int, ...]:
        """The shape of what a process has."""
        return tuple([n // self.count(axes) for n, axes in zip(shape, split, strict=True)])

    def block(self, shape: Sequence[int], split: Split) -> tuple[slice, ...]:
        """Where in the array of a shape that is what this process has."""
        out = []
        for n, axes in zip(shape, split, strict=True):
            m = n // self.count(axes)
            k = self.index(axes)
            out.append(slice(k * m, (k + 1) * m))
        return tuple(out)


def _twice(ranks: np.ndarray) -> bool:
    return len(np.unique(ranks)) != ranks.size


def _listed(ranks: Iterable[int]) -> str:
    return ", ".join(str(int(r)) for r in ranks)


_made: dict[Any, ProcessMesh] = {}


def process_mesh(mesh: Any) -> ProcessMesh:
    """The mesh of processes below ``mesh``, for this one; one object for equal ones."""
    here = processes.index
    key = (mesh, here, tuple(d.process_index for d in mesh.devices.flat))
    found = _made.get(key)
    if found is None:
        found = _made[key] = ProcessMesh(mesh, here)
    return found
