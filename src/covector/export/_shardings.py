"""How arguments and results of exported functions lie over meshes whose devices may be away."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from covector.core import tree
from covector.core.avals import Array, ShapedArray, marked
from covector.core.errors import at_user_line
from covector.core.jaxpr import ClosedJaxpr, all_jaxprs
from covector.core.record import Record
from covector.sharding.arguments import asked_of, places
from covector.sharding.base import Sharding
from covector.sharding.constraints import resolved
from covector.sharding.context import concrete_mesh, get_abstract_mesh
from covector.sharding.inspection import inspect_sharding_p
from covector.sharding.mesh import AbstractMesh, Mesh
from covector.sharding.named import NamedSharding
from covector.sharding.spec import names_in
from covector.transforms.arguments import in_range, others

Named = NamedSharding | None


class Spread(Record):
    """How an exported function lies over devices.

    Attributes
    ----------
    devices : int
        How many it runs on.
    ins, outs : tuple of NamedSharding or None
        Of the flat arguments and results, on abstract meshes; None leaves it open.
    """

    devices: int
    ins: tuple[Named, ...]
    outs: tuple[Named, ...]


def without_devices(sharding: NamedSharding) -> NamedSharding:
    """The sharding on the axes of its mesh alone."""
    mesh = sharding.mesh.abstract_mesh
    return NamedSharding(AbstractMesh(mesh.axis_sizes, mesh.axis_names, mesh.axis_types),
                         sharding.spec)  # fmt: skip


def spread_of(
    jitted: Any, closed: ClosedJaxpr, args: Sequence[Any], kwargs: dict[str, Any], out_tree: Any
) -> Spread:
    """How a jitted function of these arguments lies, whose program is ``closed``."""
    leaves = [x for x in tree.leaves((_dynamic(jitted, args), kwargs))]
    asked = _asked(jitted, args, len(leaves))
    ins = [
        _named(marked(a)) or _named(s) or _given(x)
        for a, s, x in zip(closed.in_avals, asked, leaves, strict=True)
    ]
    wanted = getattr(jitted.fun, "_out_shardings", None)
    result = out_tree.unflatten([0] * out_tree.num_leaves)
    what = f"jit of {jitted.name}"
    found = places(wanted, result, "out_shardings", what)
    outs = [
        _named(marked(a)) or _named(_resolved(s, what))
        for a, s in zip(closed.out_avals, found, strict=True)
    ]
    sizes = [s.mesh.size for s in (*ins, *outs) if s is not None]
    sizes += [size_in(closed), (concrete_mesh() or get_abstract_mesh()).size]
    return Spread(max(sizes), tuple(ins), tuple(outs))


def _dynamic(jitted: Any, args: Sequence[Any]) -> tuple[Any, ...]:
    return others(args, in_range(jitted.static_nums, len(args)))


def _asked(jitted: Any, args: Sequence[Any], n: int) -> list[Any]:
    """What the `jit` says of each argument."""
    if getattr(jitted.fun, "_in_shardings", None) is None:
        return [None] * n
    return asked_of(jitted, _dynamic(jitted, args))


def _resolved(s: Any, what: str) -> Any:
    return None if s is None else resolved(s, what)


def _named(s: Any) -> Named:
    return without_devices(s) if isinstance(s, NamedSharding) else None


def _given(x: Any) -> Named:
    """How an argument lies, if it is committed, or a type says it."""
    return None if type(x) is Array and not x.committed else _named(getattr(x, "sharding", None))


def size_in(closed: ClosedJaxpr) -> int:
    """How many devices a program names that says where its values lie."""
    sizes = [1]
    for inner in all_jaxprs(closed.jaxpr):
        for eqn in inner.eqns:
            sharding = eqn.params.get("sharding")
            if isinstance(sharding, NamedSharding):
                sizes.append(sharding.mesh.size)
    return max(sizes)


# --- on devices -------------------------------------------------------------------------------


def devices_of(flat: Sequence[Any], wanted: int, what: str) -> tuple[Any, ...] | None:
    """The devices that a function of so many is called on: those of its arguments, or of the mesh
    that is set; None where they are not known, in a program that is traced.

    Raises
    ------
    ValueError
        If they are more or fewer.
    """
    for x in flat:
        if type(x) is Array and x.committed:
            found = getattr(x.sharding, "mesh", None)
            devices = (
                tuple(found.devices.flat) if found is not None else tuple(x.sharding.device_set)
            )
            break
    else:
        mesh = concrete_mesh()
        if mesh is None and any(not isinstance(x, Array) and hasattr(x, "aval") for x in flat):
            return None
        devices = (None,) if mesh is None else tuple(mesh.devices.flat)
    _check_count(len(devices), wanted, what)
    return devices


def _check_count(given: int, wanted: int, what: str) -> None:
    if given != wanted:
        raise ValueError(
            f"{what} was exported for {wanted} devices and is called on {given}: lay its "
            "arguments out over as many with device_put (in_shardings_jax says how), or set a "
            f"mesh with covector.set_mesh{at_user_line()}"
        )


def check_when_compiled(flat: Sequence[Any], wanted: int, what: str) -> None:
    """Raise the error for another number of devices when the program is compiled that is traced:
    then they are known."""

    def check(where: Sharding) -> None:
        _check_count(len(where.device_set), wanted, what)

    if flat:
        inspect_sharding_p.bind(flat[0], callback=check)


def on_devices(sharding: NamedSharding, devices: tuple[Any, ...] | None) -> NamedSharding:
    """The sharding on devices, or as it is where they are not known."""
    mesh = sharding.mesh
    if devices is None or mesh.size != len(devices):
        return sharding
    grid = np.empty(len(devices), dtype=object)
    grid[:] = devices
    return sharding.update(mesh=Mesh(grid.reshape(mesh.axis_sizes), mesh.axis_names,
                                     mesh.axis_types))  # fmt: skip


def on_mesh(shardings: Sequence[Named], mesh: Any, name: str) -> tuple[Named, ...]:
    """The shardings on a mesh that has the axes which the function was exported with.

    Raises
    ------
    ValueError
        If it has other axes.
    """
    out: list[Named] = []
    for s in shardings:
        if s is not None and s.mesh.shape_tuple != mesh.shape_tuple:
            raise ValueError(
                f"the function {name} was exported with the mesh {s.mesh}, and the mesh given, "
                f"{mesh}, has other axes{at_user_line()}"
            )
        out.append(None if s is None else s.update(mesh=mesh))
    return tuple(out)


def hlo_text(sharding: Named, aval: ShapedArray) -> str | None:
    """The sharding in the syntax of HLO: tiles of the dimensions, and the order of the devices."""
    if sharding is None:
        return None
    mesh = sharding.mesh
    tiles = list(sharding.parts(aval.ndim))
    if math.prod(tiles) == 1:
        return "{replicated}"
    used = [n for p in sharding.spec for n in names_in(p)]
    rest = [n for n in mesh.axis_names if n not in used]
    last = mesh.size // math.prod(tiles)
    order = [mesh.axis_names.index(n) for n in (*used, *rest)]
    dims = ",".join(map(str, [*tiles, *([last] if last > 1 else [])]))
    whole = order == sorted(order)
    sizes = mesh.size if whole else ",".join(map(str, mesh.axis_sizes))
    turned = "" if whole else f"T({','.join(map(str, order))})"
    tail = " last_tile_dim_replicate" if last > 1 else ""
    return f"{{devices=[{dims}]<=[{sizes}]{turned}{tail}}}"
