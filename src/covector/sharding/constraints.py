"""Where values of programs are to be: `reshard` and `with_sharding_constraint`."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from typing import Any

from covector.core import tree
from covector.core.avals import Array, ShapedArray, aval_of, marked, place, to_array
from covector.core.definers import def_jvp_linear
from covector.core.errors import at_user_line
from covector.core.jaxpr import JaxprEqn
from covector.core.prefixes import spread
from covector.core.rules import higher_order_rules, layout_primitives, transpose_rules
from covector.core.trace import EvalTrace, Primitive
from covector.sharding.base import Sharding, SingleDeviceSharding
from covector.sharding.context import concrete_mesh, get_abstract_mesh, mesh_for_specs
from covector.sharding.explicit import explicit, explicit_marks, here
from covector.sharding.mesh import AbstractMesh, AxisType
from covector.sharding.named import NamedSharding
from covector.sharding.propagate import Split, spec_of, split_of, split_rules
from covector.sharding.spec import UNCONSTRAINED, PartitionSpec, names_in
from covector.sharding.types import placing
from covector.transforms.vmap import BatchTrace, DeviceAxis, SplitAxis

reshard_p = Primitive("reshard")
sharding_constraint_p = Primitive("sharding_constraint")


def _moved(args: Sequence[Any], params: dict[str, Any]) -> list[Any]:
    """An array that is there, laid out so."""
    mesh = getattr(params["sharding"], "mesh", None)
    if isinstance(mesh, AbstractMesh) and mesh.manual_axes:
        # In a function that is run on each device it says how parts lie; what is there is whole.
        return [to_array(args[0])]
    return EvalTrace.move(args, params)


def _define(prim: Primitive) -> None:
    # What backends see: where values are is in the placements of arguments and results.
    prim.expansion = lambda x, sharding: x
    prim.impl = _moved
    def_jvp_linear(prim)
    placing.add(prim)
    layout_primitives.add(prim)

    def batch(
        trace: BatchTrace, args: Sequence[Any], dims: Sequence[int | None], params: dict[str, Any]
    ) -> tuple[list[Any], list[int | None]]:
        (x,), (d,), sharding = args, dims, params["sharding"]
        if isinstance(sharding, NamedSharding) and d is not None:
            parts = list(sharding.spec) + [None] * (d - len(sharding.spec))
            parts.insert(d, mapped_over(trace.axis_name, sharding, x, d))
            sharding = sharding.update(spec=sharding.spec.update(partitions=parts))
        return [prim.bind(x, sharding=sharding)], [d]

    higher_order_rules[prim] = batch

    def split(eqn: JaxprEqn, splits: list[Split], sizes: dict[Hashable, int]) -> list[Split]:
        sharding = eqn.params["sharding"]
        if not isinstance(sharding, NamedSharding) or dict(sharding.mesh.shape) != sizes:
            return [((),) * len(splits[0])]
        return [laid_split(prim, sharding, splits[0], eqn.invars[0].aval.shape)]

    split_rules[prim] = split


def left_axes(prim: Primitive, mesh: Any) -> frozenset[Hashable]:
    """The axes over which a `reshard` leaves values as they lie, unless its spec names them: those
    of the type Auto, where the mesh has explicit ones. Types say nothing of them."""
    kinds = set(mesh.axis_types)
    if prim is not reshard_p or not {AxisType.Auto, AxisType.Explicit} <= kinds:
        return frozenset()
    return frozenset(mesh.auto_axes)


def laid_split(
    prim: Primitive, sharding: NamedSharding, have: Split, shape: Sequence[int]
) -> Split:
    """How a value is split that a constraint, or `reshard`, lays out, and that was split so."""
    given = split_of(sharding.spec, len(have))
    free = [p is UNCONSTRAINED for p in sharding.spec] + [False] * len(have)
    left = left_axes(prim, sharding.mesh) - {a for axes in given for a in axes}
    sizes = sharding.mesh.shape
    out = []
    for n, h, g, f in zip(shape, have, given, free, strict=False):
        kept = tuple([a for a in h if a in left])
        if f or tuple([a for a in h if a not in left]) == g:
            out.append(h)
        elif kept and n % math.prod([sizes[a] for a in (*g, *kept)]) == 0:
            out.append((*g, *kept))
        else:
            out.append(g)
    return tuple(out)


for _prim in (reshard_p, sharding_constraint_p):
    _define(_prim)


def _constrained(args: Sequence[Any], params: dict[str, Any]) -> list[Any]:
    """An array that is there, laid out so; its type goes on saying of its mesh what it says."""
    (x,), where = args, params["sharding"]
    mesh = getattr(getattr(x, "sharding", None), "mesh", None)
    if mesh is not None and isinstance(where, NamedSharding) and mesh.shape == where.mesh.shape:
        where = where.update(mesh=where.mesh.update(axis_types=mesh.axis_types))
    return _moved(args, {"sharding": where})


sharding_constraint_p.impl = _constrained


@reshard_p.def_abstract_eval
def _reshard_aval(x: ShapedArray, *, sharding: Any) -> ShapedArray:
    mesh = get_abstract_mesh() if x.placed is None else x.placed.mesh
    rest = x.marks.without(mesh.explicit_axes)  # over manual axes it stays what it is
    if not isinstance(sharding, NamedSharding):
        return place(x, None, x.varying, rest)
    placed = here(place(x, explicit(sharding, x.ndim), x.varying))
    said = () if placed is None else placed.mesh.explicit_axes
    return place(x, placed, x.varying, rest | explicit_marks(sharding).along(said))


@sharding_constraint_p.def_abstract_eval
def _constraint_aval(x: ShapedArray, *, sharding: Any) -> ShapedArray:
    return x


def recast(x: Any, kinds: dict[Hashable, AxisType]) -> Any:
    """``x`` as it lies, with a type that says it where axes of its mesh are of these types."""
    aval = aval_of(x)
    if aval.placed is None:
        return x
    where = x.sharding if type(x) is Array else marked(aval)
    mesh = where.mesh
    types = tuple([kinds.get(n, t) for n, t in zip(mesh.axis_names, mesh.axis_types, strict=True)])
    if types == mesh.axis_types:
        return x
    kept = [n for n, t in zip(mesh.axis_names, types, strict=True) if t is AxisType.Explicit]
    spec = where.spec.with_marks(where.spec.marks.along(kept))
    where = where.update(mesh=mesh.update(axis_types=types), spec=spec)
    if type(x) is not Array and AxisType.Explicit not in types:
        where = where.update(spec=(UNCONSTRAINED,) * aval.ndim)  # its type did not say all
    return reshard_p.bind(x, sharding=where)


def _lay_dim(x: Any, dim: int, placed: NamedSharding) -> Any:
    """``x`` with a dimension laid out as a vector is; the others stay as they are."""
    aval = aval_of(x)
    parts: list[tuple[Hashable, ...]] = [()] * aval.ndim
    if aval.placed is not None:
        parts = list(split_of(aval.placed.spec, aval.ndim))
    parts[dim] = split_of(placed.spec, 1)[0]
    if type(x) is Array:
        mesh = concrete_mesh()
        if mesh is None or mesh.abstract_mesh != placed.mesh:
            return x
        placed = placed.update(mesh=mesh)
    spec = spec_of(tuple(parts), whole=True)
    if aval.placed is not None:
        spec = spec.with_marks(marked(aval).spec.marks)
    return reshard_p.bind(x, sharding=placed.update(spec=spec))


SplitAxis.lay = staticmethod(_lay_dim)


def mapped_over(name: Hashable, sharding: NamedSharding, x: Any, d: int) -> Any:
    """How a mapped dimension is split, where the others are split so: as it is known to be."""
    taken = {n for p in sharding.spec for n in names_in(p)}
    if type(name) is DeviceAxis:
        there = name.name in sharding.mesh.axis_names and name.name not in taken
        return name.name if there else None
    if type(name) is SplitAxis:
        twice = [n for n in name.over if n in taken]
        if twice:
            raise ValueError(
                f"vmap: the mapped axis is split over the mesh's {twice[0]!r}, and so is another "
                f"dimension by the spec {sharding.spec!r}{at_user_line()}"
            )
        return name.over
    placed = aval_of(x).placed
    if placed is None:
        return None
    return tuple([n for n in split_of(placed.spec, d + 1)[d] if n not in taken])


def _back(ct: Any, x: Any, *, sharding: Any) -> list[Any]:
    placed = marked(x.aval.as_cotangent())
    if placed is None:
        return [recast(ct, dict.fromkeys(sharding.mesh.axis_names, AxisType.Auto))]
    if placed.mesh == sharding.mesh.abstract_mesh:
        placed = placed.update(mesh=sharding.mesh)  # the one that has devices
    return [reshard_p.bind(ct, sharding=placed)]


transpose_rules[reshard_p] = _back
transpose_rules[sharding_constraint_p] = lambda ct, x, *, sharding: [
    sharding_constraint_p.bind(ct, sharding=sharding)
]


class NoMeshError(RuntimeError, ValueError):
    """A spec refers to the mesh that is set, and none is.

    JAX raises ValueError in `device_put`, RuntimeError elsewhere: whoever expects either catches
    this.
    """


def resolved(where: Any, what: str) -> Any:
    """A sharding as users give it, a spec on the mesh that is set, a device as all of it there.

    Raises
    ------
    NoMeshError
        If a spec is given and no mesh is set.
    """
    if isinstance(where, PartitionSpec):
        mesh = mesh_for_specs()
        if mesh is None or mesh.empty:
            raise NoMeshError(
                f"{what}: the PartitionSpec {where!r} refers to the mesh that is set, and none is. "
                "Set one with covector.set_mesh, or give a NamedSharding, which has its mesh"
                f"{at_user_line()}"
            )
        return NamedSharding(mesh, where)
    if hasattr(where, "platform"):
        return SingleDeviceSharding(where)
    return where


def check_whole(sharding: Any, what: str) -> None:
    """Raise the error for a sharding over axes along which the function is run on each device."""
    if isinstance(sharding, NamedSharding):
        manual = {*get_abstract_mesh().manual_axes, *sharding.mesh.manual_axes}
        split = [n for p in sharding.spec for n in names_in(p)]
        for name in [*split, *sharding.spec.unreduced, *sharding.spec.reduced]:
            if name in manual:
                raise ValueError(
                    f"{what}: the spec {sharding.spec!r} names the axis {name!r}, along which the "
                    "function is run on each device (shard_map): there are only the parts of "
                    f"arrays here{at_user_line()}"
                )


def on_devices(sharding: Any, what: str) -> Any:
    """A sharding on devices: those of the mesh that is set for one on an abstract mesh."""
    if isinstance(sharding, NamedSharding) and isinstance(sharding.mesh, AbstractMesh):
        mesh = concrete_mesh()
        if mesh is None or dict(mesh.shape) != dict(sharding.mesh.shape):
            raise ValueError(
                f"{what}: {sharding!r} is on an abstract mesh, which says no devices, and no mesh "
                f"with these axes is set (covector.set_mesh){at_user_line()}"
            )
        return sharding.update(mesh=mesh)
    return sharding


def _each(xs: Any, shardings: Any, what: str) -> tuple[list[Any], list[Any], Any]:
    """Leaves, the sharding of each, and their tree."""
    leaves, treedef = tree.flatten(xs)
    return leaves, spread(shardings, xs, is_place, f"{what}: the shardings", "one"), treedef


def is_place(x: Any) -> bool:
    """Whether it says where an array is, or (None) leaves that open."""
    return x is None or isinstance(x, (Sharding, PartitionSpec)) or hasattr(x, "platform")


def reshard(xs: Any, out_shardings: Any) -> Any:
    """Arrays laid out in another way over the explicit axes of a mesh.

    A spec may say that the value is a sum over axes that is not taken (``unreduced``), of which
    each device then has a term; to another one, the sum is taken. Derivatives by what is
    ``reduced`` over axes are such sums.

    Parameters
    ----------
    xs : pytree of arrays
    out_shardings : NamedSharding, PartitionSpec, or pytree of those
        One for all, or a prefix of ``xs``. A spec is of the mesh that `set_mesh` has set.

    Returns
    -------
    pytree of arrays
        With the same values.

    Raises
    ------
    RuntimeError
        If a spec is given and no mesh is set.
    ValueError
        If an array cannot be split so, or the spec names an axis along which the function is run
        on each device.

    Examples
    --------
    >>> import covector as cv
    >>> from covector.sharding import PartitionSpec as P
    >>> with cv.set_mesh(cv.make_mesh((1,), ("x",))):
    ...     cv.typeof(cv.reshard(cv.numpy.arange(4), P("x")))
    ShapedArray(int32[4@x])
    """
    leaves, shardings, treedef = _each(xs, out_shardings, "reshard")
    outs = []
    for x, s in zip(leaves, shardings, strict=True):
        s = resolved(s, "reshard")
        if not isinstance(s, NamedSharding):
            raise TypeError(
                f"reshard takes a NamedSharding or a PartitionSpec, got {s!r}; device_put moves "
                f"arrays to single devices{at_user_line()}"
            )
        check_whole(s, "reshard")
        if UNCONSTRAINED in s.spec.partitions and AxisType.Explicit in s.mesh.axis_types:
            raise ValueError(
                f"reshard: {s.spec!r} leaves a dimension to the compiler, and the mesh has axes of "
                f"the type Explicit, over which types say how arrays are split{at_user_line()}"
            )
        s.check(aval_of(x).shape, "reshard")
        outs.append(reshard_p.bind(x, sharding=s))
    return tree.unflatten(treedef, outs)


def with_sharding_constraint(x: Any, shardings: Any) -> Any:
    """Values of a program on the devices that are named.

    Over axes of the type Auto, the compiler lays the value out so, and what it is computed from in
    a way that suits it. Over Explicit axes it is an assertion on the types.

    Parameters
    ----------
    x : pytree of arrays
    shardings : Sharding, PartitionSpec, or pytree of those
        One for all arrays, or a prefix of ``x``. `PartitionSpec.UNCONSTRAINED` in a spec leaves a
        dimension to the compiler.

    Returns
    -------
    pytree of arrays
        With the same values.

    Raises
    ------
    TypeError
        If ``shardings`` holds something else.
    RuntimeError
        If a spec is given and no mesh is set.
    ValueError
        If an array cannot be split so, or a spec names an axis along which the function is run on
        each device (`shard_map`).
    AssertionError
        If the type of a value says that it is split in another way over an Explicit axis.

    Examples
    --------
    >>> import covector as cv
    >>> from covector.sharding import AxisType, PartitionSpec as P
    >>> mesh = cv.make_mesh((1,), ("x",), (AxisType.Auto,))
    >>> spread = cv.NamedSharding(mesh, P("x"))
    >>> f = cv.jit(lambda x: cv.lax.with_sharding_constraint(x * 2, spread))
    >>> f(cv.numpy.arange(3))
    Array([0, 2, 4], dtype=int32)
    """
    if shardings is None:
        raise TypeError(
            "with_sharding_constraint takes a sharding or a PartitionSpec, got None"
            f"{at_user_line()}"
        )
    leaves, found, treedef = _each(x, shardings, "with_sharding_constraint")
    outs = []
    for leaf, s in zip(leaves, found, strict=True):
        s = resolved(s, "with_sharding_constraint")
        if s is None:
            outs.append(leaf)
            continue
        if not isinstance(s, Sharding) and not hasattr(s, "platform"):
            raise TypeError(
                "with_sharding_constraint takes a device, a sharding or a PartitionSpec, got "
                f"{s!r}{at_user_line()}"
            )
        if isinstance(s, NamedSharding):
            check_whole(s, "with_sharding_constraint")
            s.check(aval_of(leaf).shape, "with_sharding_constraint")
            _check_type(leaf, s)
        outs.append(sharding_constraint_p.bind(leaf, sharding=s))
    return tree.unflatten(treedef, outs)


def _check_type(x: Any, wanted: NamedSharding) -> None:
    placed = aval_of(x).placed
    if placed is None or AxisType.Explicit not in wanted.mesh.axis_types:
        return
    asked = explicit(wanted, aval_of(x).ndim)
    if asked is None or UNCONSTRAINED in wanted.spec:
        return
    if placed.spec != asked.spec or aval_of(x).marks != explicit_marks(wanted):
        raise AssertionError(
            "with_sharding_constraint asserts the sharding of a value over Explicit axes; its type "
            f"is {aval_of(x).str_short()}, and the spec {wanted.spec!r} was given. "
            f"covector.reshard lays it out in another way{at_user_line()}"
        )
