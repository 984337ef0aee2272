"""``shard_map``: a function of the parts that devices have."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Hashable, Sequence
from typing import Any

from covector.control_flow import devices as _devices  # noqa: F401 - control flow along devices
from covector.core import tree
from covector.core.avals import NONE_VARY, ShapedArray, aval_of, place
from covector.core.errors import at_user_line, describe
from covector.core.jaxpr import DebugInfo
from covector.core.prefixes import spread
from covector.core.trace import close_over, trace_to_jaxpr
from covector.core.tree_paths import flatten_with_path, keystr
from covector.sharding import (  # noqa: F401 - types that say where arrays are; rules
    backward,
    shard_map_rules,
    types,
)
from covector.sharding.context import mesh_for_specs, use_abstract_mesh
from covector.sharding.explicit import explicit_spec
from covector.sharding.mapped import shard_map_p
from covector.sharding.mesh import AbstractMesh, AxisType, Mesh
from covector.sharding.named import check_spec, parts_of
from covector.sharding.propagate import split_of
from covector.sharding.spec import PartitionSpec, named_in, names_in
from covector.transforms.arguments import (
    api_boundary,
    argument_names,
    check_arrays,
    check_callable,
    check_results,
    fun_name,
    src_info,
    wraps,
)
from covector.transforms.vmap import axis_env


class _Infer:
    """The specs are those that the types of the arguments say."""

    def __repr__(self) -> str:
        return "Infer"


Infer = _Infer()


def _is_spec(x: Any) -> bool:
    return isinstance(x, PartitionSpec)


def _specs(specs: Any, values: Any, what: str, fun: Any) -> list[PartitionSpec]:
    """A spec for each leaf of ``values``, from a tree of them that is a prefix of its tree.

    None stands for an empty spec.
    """
    specs = tree.map(
        lambda s: PartitionSpec() if s is None else s, specs,
        is_leaf=lambda s: s is None or _is_spec(s),
    )  # fmt: skip
    if not tree.leaves(values) and not tree.leaves(specs, is_leaf=_is_spec):
        return []
    for s in tree.leaves(specs, is_leaf=_is_spec):
        if not isinstance(s, PartitionSpec):
            raise TypeError(
                f"shard_map of {fun_name(fun)}: {what} must be a tree of PartitionSpec, got "
                f"{describe(s)} in it{at_user_line()}"
            )
    if isinstance(specs, list):
        specs = tuple(specs)
    of = "the arguments" if what == "in_specs" else "the result"
    shown = f"shard_map of {fun_name(fun)}: {what}"
    return spread(specs, values, _is_spec, shown, "a PartitionSpec", of)


@api_boundary
def shard_map(
    f: Callable[..., Any] | None = None,
    /,
    *,
    out_specs: Any,
    in_specs: Any = Infer,
    mesh: Mesh | AbstractMesh | None = None,
    axis_names: Any = frozenset(),
    check_vma: bool = True,
) -> Any:
    """Run a function on each device of a mesh, on the part of the arguments that it has.

    Parameters
    ----------
    f : callable
        Of arrays in pytrees. On a device it sees blocks of the arguments; collectives of
        `covector.lax` over names of axes exchange values with other devices. Without it, a
        decorator is returned.
    out_specs : PartitionSpec or pytree of those
        How the results of the devices are put together: blocks along a dimension are joined over
        the axes named there; over axes that are not named, all devices have the same result.
    in_specs : PartitionSpec, None, or pytree of those
        How the arguments are split; a prefix of the tuple of arguments. By default as their
        types say, on meshes with Explicit axes.
    mesh : Mesh or AbstractMesh, optional
        By default the one that `set_mesh` has set.
    axis_names : set of hashable
        The axes that ``f`` is run along; over others, it sees the arrays whole. By default all.
    check_vma : bool
        Check that results are the same on all devices over axes that ``out_specs`` does not name,
        by types that say over which axes values vary. Derivatives taken inside of ``f`` by values
        that the devices share are then summed over the devices.

    Returns
    -------
    callable

    Raises
    ------
    ValueError
        In a call: if a dimension is not divisible by the number of its blocks, a spec is longer
        than an array has dimensions, or a result may differ where ``out_specs`` says that it is
        the same.

    Examples
    --------
    >>> import covector as cv
    >>> from covector.sharding import PartitionSpec as P
    >>> mesh = cv.make_mesh((1,), ("x",))
    >>> f = cv.shard_map(
    ...     lambda x: cv.lax.psum(x.sum(), "x"), mesh=mesh, in_specs=P("x"), out_specs=P()
    ... )
    >>> f(cv.numpy.arange(4.0))
    Array(6., dtype=float32)
    """
    if f is None:
        return lambda g: shard_map(
            g, out_specs=out_specs, in_specs=in_specs, mesh=mesh, axis_names=axis_names,
            check_vma=check_vma,
        )  # fmt: skip
    check_callable(f, "shard_map")
    if mesh is not None and not isinstance(mesh, (Mesh, AbstractMesh)):
        raise TypeError(
            f"shard_map of {fun_name(f)}: mesh must be a Mesh or an AbstractMesh, got {mesh!r}"
            f"{at_user_line()}"
        )

    @api_boundary
    @wraps(f)
    def mapped(*args: Any) -> Any:
        return on_mesh(f, args, in_specs, out_specs, mesh, frozenset(axis_names), check_vma)

    return mapped


def on_mesh(
    f: Callable[..., Any], args: tuple[Any, ...], in_specs: Any, out_specs: Any, mesh: Any,
    axis_names: frozenset[Hashable], check_vma: bool, called: str = "shard_map",
) -> Any:  # fmt: skip
    """The result of `shard_map`; ``out_specs`` may be a function that gives a spec for each leaf
    once the function has been traced. ``called`` is what the user called."""
    over = mesh_for_specs() if mesh is None else mesh
    if over is None or over.empty:
        raise ValueError(
            f"shard_map of {fun_name(f)}: there is no mesh. Give one (mesh=), or set one with "
            f"covector.set_mesh{at_user_line()}"
        )
    unknown = axis_names - set(over.axis_names)
    if unknown:
        raise ValueError(
            f"shard_map of {fun_name(f)}: axis_names has "
            f"{', '.join(sorted(map(repr, unknown)))}, which the mesh {over} does not have"
            f"{at_user_line()}"
        )
    manual = axis_names or frozenset(over.axis_names)
    taken = manual & {n for n, _ in axis_env()}
    if taken:
        raise ValueError(
            f"shard_map of {fun_name(f)}: a surrounding one runs along "
            f"{', '.join(sorted(map(repr, taken)))} already; name the axes for this one in "
            f"axis_names{at_user_line()}"
        )
    flat, in_tree = tree.flatten(args)
    check_arrays(flat, lambda: argument_names(f, args, {}), f"shard_map of {fun_name(f)}")
    avals = [aval_of(x) for x in flat]
    names = lambda: argument_names(f, args, {})  # noqa: E731
    if in_specs is Infer or in_specs is None:
        specs = [_inferred(f, a, over, manual, names, i) for i, a in enumerate(avals)]
    else:
        try:
            specs = _specs(in_specs, args, "in_specs", f)
        except ValueError:
            _check_call(f, args)
            raise
    for i, (a, s) in enumerate(zip(avals, specs, strict=True)):
        _check_in(f, a, s, over, manual, names, i)
    if not check_vma:
        _check_unmarked(f, [*specs, *tree.leaves(out_specs, is_leaf=_is_spec)])
    out_tree: Any = None

    def flat_f(*leaves: Any) -> list[Any]:
        nonlocal out_tree
        outs, out_tree = tree.flatten(f(*tree.unflatten(in_tree, leaves)))
        check_results(outs, out_tree, f, "shard_map")
        return outs

    inner = over.abstract_mesh.update_axis_types(dict.fromkeys(manual, AxisType.Manual))
    axes = tuple((n, over.shape[n], check_vma) for n in over.axis_names if n in manual)
    info = DebugInfo(called, src_info(fun_name(f), f))
    locals_ = [
        _local(a, s, over, inner, manual, check_vma) for a, s in zip(avals, specs, strict=True)
    ]
    with use_abstract_mesh(inner):
        jaxpr, consts = trace_to_jaxpr(flat_f, locals_, info, axes=axes)
    closed, hoisted = close_over(jaxpr, consts)
    result = tree.unflatten(out_tree, [0] * len(closed.out_avals))
    outs = out_specs() if callable(out_specs) else _specs(out_specs, result, "out_specs", f)
    for i, (a, s) in enumerate(zip(closed.out_avals, outs, strict=True)):
        _check_out(f, a, s, over, manual, check_vma, result, i)
    params = {
        "jaxpr": closed, "mesh": over,
        "in_specs": (*[PartitionSpec()] * len(hoisted), *specs), "out_specs": tuple(outs),
        "manual_axes": manual, "check_vma": check_vma,
    }  # fmt: skip
    found = shard_map_p.bind_params([*hoisted, *flat], params)
    return tree.unflatten(out_tree, found)


def _check_unmarked(f: Any, specs: Sequence[Any]) -> None:
    """Raise the error for specs that say something of sums, where types say nothing."""
    for s in specs:
        if _is_spec(s) and (s.unreduced or s.reduced):
            raise ValueError(
                f"shard_map of {fun_name(f)}: the spec {s!r} says something of sums over devices, "
                "which types keep account of; with check_vma=False they do not. Leave that out"
                f"{at_user_line()}"
            )


def _check_call(f: Any, args: tuple[Any, ...]) -> None:
    """Raise Python's error for arguments that ``f`` does not take, for which there are no specs."""
    try:
        called = inspect.signature(f)
    except (TypeError, ValueError):
        return
    try:
        called.bind(*args)
    except TypeError as e:
        raise TypeError(f"shard_map of {fun_name(f)}: {e}{at_user_line()}") from None


def _inferred(
    f: Any, a: ShapedArray, mesh: Any, manual: Any, names: Callable[[], Sequence[str]], i: int
) -> PartitionSpec:
    if not all(mesh.axis_types[mesh.axis_names.index(n)] is AxisType.Explicit for n in manual):
        raise TypeError(
            f"shard_map of {fun_name(f)}: in_specs can be left out only where all axes are of the "
            f"type Explicit, so that the types of arguments say how they are split; the mesh is "
            f"{mesh}{at_user_line()}"
        )
    placed = a.placed
    if placed is None:
        return PartitionSpec()
    parts = [tuple([n for n in names_in(p) if n in manual]) for p in placed.spec]
    return PartitionSpec(*parts).with_marks(a.marks.along(manual))


def _check_in(
    f: Any, a: ShapedArray, spec: PartitionSpec, mesh: Any, manual: frozenset[Hashable],
    names: Callable[[], Sequence[str]], i: int,
) -> None:  # fmt: skip
    what = lambda: f"shard_map of {fun_name(f)}: in_specs of the argument {names()[i]}: "  # noqa: E731
    check_spec(spec, mesh, what)
    if len(spec) > a.ndim:
        raise ValueError(
            f"shard_map of {fun_name(f)}: the in_specs entry {spec!r} is for an array of at least "
            f"{len(spec)} dimensions; the argument {names()[i]} is {a.str_short()}{at_user_line()}"
        )
    outside = sorted(named_in(spec) - manual, key=str)
    if outside:
        raise ValueError(
            f"shard_map of {fun_name(f)}: the in_specs entry {spec!r} names the axis "
            f"{outside[0]!r}, along which the function is not run; axis_names are "
            f"{sorted(map(str, manual))}{at_user_line()}"
        )
    for k, part in enumerate(spec):
        n = mesh.size_of(names_in(part))
        if a.shape[k] % n:
            axes = " and ".join(map(repr, names_in(part)))
            raise ValueError(
                f"shard_map of {fun_name(f)}: axis {k} of the argument {names()[i]}, "
                f"{a.str_short()}, is split over the mesh's {axes} into {n} blocks, which do not "
                f"divide its size {a.shape[k]} (in_specs entry {spec!r}). Pad the axis to a "
                f"multiple of {n}, or split another{at_user_line()}"
            )
    if a.placed is not None:
        _check_agrees(f, a, spec, manual, names, i)


def _check_agrees(
    f: Any, a: ShapedArray, spec: PartitionSpec, manual: frozenset[Hashable],
    names: Callable[[], Sequence[str]], i: int,
) -> None:  # fmt: skip
    """Raise the error for a type that says that an argument is split in another way."""
    said = manual & set(a.placed.mesh.explicit_axes)
    given, has = (
        [tuple([n for n in part if n in said]) for part in split_of(s, a.ndim)]
        for s in (spec, a.placed.spec)
    )
    if given != has or a.marks.along(said) != spec.marks.along(said):
        raise ValueError(
            f"shard_map of {fun_name(f)}: the in_specs entry {spec!r} says how the argument "
            f"{names()[i]} is split, and its type, {a.str_short()}, says it in another way. "
            f"Without in_specs the types decide; covector.reshard lays it out so{at_user_line()}"
        )


def _local(
    a: ShapedArray, spec: PartitionSpec, mesh: Any, inner: AbstractMesh,
    manual: frozenset[Hashable], check_vma: bool,
) -> ShapedArray:  # fmt: skip
    """The type of the part that a device has."""
    counts = parts_of(spec, mesh, a.ndim)
    shape = tuple([n // c for n, c in zip(a.shape, counts, strict=True)])
    varying = frozenset(n for p in spec for n in names_in(p)) if check_vma else frozenset()
    plain = ShapedArray(shape, a.dtype, a.weak_type)
    placed = None
    if a.placed is not None:
        parts = [tuple([n for n in names_in(p) if n not in manual]) for p in a.placed.spec]
        placed = explicit_spec(inner, PartitionSpec(*parts), a.ndim)
    marks = a.marks.without(manual) | spec.marks
    return place(plain, placed, varying | (a.varying if check_vma else NONE_VARY), marks)


def _check_out(
    f: Any, a: ShapedArray, spec: PartitionSpec, mesh: Any, manual: frozenset[Hashable],
    check_vma: bool, result: Any, i: int,
) -> None:  # fmt: skip
    where = lambda: keystr(flatten_with_path(result)[0][i][0])  # noqa: E731
    what = lambda: f"shard_map of {fun_name(f)}: out_specs of the result{where()}: "  # noqa: E731
    check_spec(spec, mesh, what)
    if len(spec) > a.ndim:
        raise ValueError(
            f"shard_map of {fun_name(f)}: the out_specs entry {spec!r} is for an array of at least "
            f"{len(spec)} dimensions; the result{where()} of a device is {a.str_short()}. Without "
            "dimensions there is nothing to join: sum it over the devices with lax.psum, or give "
            f"it an axis with reshape(1){at_user_line()}"
        )
    named = named_in(spec)
    if named - manual:
        raise ValueError(
            f"shard_map of {fun_name(f)}: the out_specs entry {spec!r} names an axis along which "
            f"the function is not run; axis_names are {sorted(map(str, manual))}{at_user_line()}"
        )
    if check_vma:
        _check_sums(a, spec, manual, f"shard_map of {fun_name(f)}", where())
    over = a.varying & manual - named
    if check_vma and over:
        axes = ", ".join(sorted(map(repr, over)))
        raise ValueError(
            f"shard_map of {fun_name(f)}: the out_specs entry {spec!r} says that the result"
            f"{where()} is the same on all devices along {axes}, and it may differ there: its type "
            f"is {a.str_short()}. Sum it over the devices with lax.psum (or take lax.pmean, "
            f"lax.pmax, …), name the axis in out_specs, or, if it is the same for a reason that "
            f"types do not show, pass check_vma=False{at_user_line()}"
        )


def _check_sums(
    a: ShapedArray, spec: PartitionSpec, manual: frozenset[Hashable], called: str, where: str
) -> None:
    """Raise the error for a result that is a sum over devices, or reduced, and whose spec says
    something else, or the other way round."""
    said = f"{called}: the out_specs entry {spec!r}, for the result{where}, {a.str_short()}"
    for name in sorted(a.marks.unreduced & manual - spec.unreduced, key=str):
        raise ValueError(
            f"{said}, does not say that it is a sum over {name!r} that is not taken. Take it, with "
            f"lax.psum, or name the axis: PartitionSpec(unreduced={{{name!r}}}){at_user_line()}"
        )
    for name in sorted(spec.unreduced - a.marks.unreduced - a.varying, key=str):
        raise ValueError(
            f"{said}, says that it is a sum over {name!r}, of which each device has a term, and it "
            f"is the same on all devices there. Leave unreduced out{at_user_line()}"
        )
    for name in sorted((a.marks.reduced & manual) ^ spec.reduced, key=str):
        verb = "does not say" if name in a.marks.reduced else "says"
        raise ValueError(
            f"{said}, {verb} that it is reduced over {name!r}. The two agree: name the axis in "
            f"out_specs, PartitionSpec(reduced={{{name!r}}}), if it is; lax.pcast(x, {name!r}, "
            f"to='reduced') makes it so{at_user_line()}"
        )


@api_boundary
def smap(
    f: Callable[..., Any] | None = None,
    /,
    *,
    in_axes: Any = Infer,
    out_axes: Any,
    axis_name: Hashable,
) -> Any:
    """Run a function along one axis of the mesh that is set, on blocks of the arguments.

    It is `shard_map` for one axis, with positions of dimensions in place of specs.

    Parameters
    ----------
    f : callable
        Without it, a decorator is returned.
    in_axes : int, None, or pytree of those
        The dimension of each argument that is split; None for those that are not. By default as
        the types of the arguments say.
    out_axes : int, None, or pytree of those
        The dimension along which each result is joined; None for those that are the same on all.
    axis_name : hashable
        The axis of the mesh.

    Returns
    -------
    callable

    Raises
    ------
    ValueError
        In a call, as those of `shard_map`.

    Examples
    --------
    >>> import covector as cv
    >>> with cv.set_mesh(cv.make_mesh((1,), ("x",), (cv.sharding.AxisType.Auto,))):
    ...     cv.smap(lambda x: x * 2, in_axes=0, out_axes=0, axis_name="x")(cv.numpy.arange(3))
    Array([0, 2, 4], dtype=int32)
    """
    if f is None:
        return lambda g: smap(g, in_axes=in_axes, out_axes=out_axes, axis_name=axis_name)

    def spec(axis: Any) -> PartitionSpec:
        if axis is None:
            return PartitionSpec()
        if not isinstance(axis, int) or isinstance(axis, bool) or axis < 0:
            raise TypeError(
                f"smap: in_axes and out_axes hold positions of dimensions, from 0, and None; got "
                f"{axis!r}{at_user_line()}"
            )
        return PartitionSpec(*[None] * axis, axis_name)

    def specs(axes: Any) -> Any:
        return tree.map(spec, axes, is_leaf=lambda x: x is None)

    return shard_map(
        f, out_specs=specs(out_axes), in_specs=Infer if in_axes is Infer else specs(in_axes),
        axis_names={axis_name},
    )  # fmt: skip
