"""`shard_map` as a primitive, and as a program over all devices."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from typing import Any

from covector.control_flow import devices as _devices  # noqa: F401 - control flow along devices
from covector.core.avals import NONE_VARY, Array, ShapedArray, aval_of, marked, place
from covector.core.errors import at_user_line
from covector.core.jaxpr import ClosedJaxpr, JaxprEqn, eval_jaxpr
from covector.core.rules import (
    batching_rules,
    higher_order_rules,
    stepwise_rules,
)
from covector.core.structural import bring_dim, reduce_sum_p, reshape, transpose
from covector.core.trace import Primitive, trace_to_jaxpr
from covector.primitives.slicing import dynamic_index_in_dim
from covector.primitives.structure import expand_dims, pad_p
from covector.sharding import backward, types  # noqa: F401 - types that say where arrays are
from covector.sharding.constraints import recast, reshard_p, sharding_constraint_p
from covector.sharding.context import concrete_mesh, use_abstract_mesh
from covector.sharding.explicit import explicit_spec
from covector.sharding.mesh import AxisType, Mesh
from covector.sharding.named import NamedSharding, parts_of
from covector.sharding.propagate import Split, spec_of, split_of, split_rules, through
from covector.sharding.spec import UNCONSTRAINED, PartitionSpec, named_in, names_in, unmarked
from covector.transforms.vmap import DeviceAxis, SplitAxis, vmap_flat

shard_map_p = Primitive("shard_map", multiple_results=True)


@shard_map_p.def_abstract_eval
def _shard_map_avals(
    *avals: ShapedArray, jaxpr: ClosedJaxpr, mesh: Any, in_specs: Any, out_specs: Any,
    manual_axes: Any, check_vma: bool,
) -> list[ShapedArray]:  # fmt: skip
    outs = []
    for a, spec in zip(jaxpr.out_avals, out_specs, strict=True):
        counts = parts_of(spec, mesh, a.ndim)
        shape = tuple([n * c for n, c in zip(a.shape, counts, strict=True)])
        whole = ShapedArray(shape, a.dtype, a.weak_type)
        outer = frozenset().union(*[x.varying for x in avals]) if avals else NONE_VARY
        both = spec if a.placed is None else _both(spec, split_of(a.placed.spec, a.ndim))
        placed = explicit_spec(mesh.abstract_mesh, both, a.ndim)
        marks = (a.marks.without(manual_axes) | spec.marks).along(mesh.abstract_mesh.explicit_axes)
        outs.append(place(whole, placed, outer, marks))
    return outs


def _both(spec: PartitionSpec, inner: Split) -> PartitionSpec:
    """How an array is split whose parts, on the devices that the function is run on, are split
    over other axes."""
    outer = split_of(spec, len(inner))
    taken = {n for names in outer for n in names}  # the type of what is closed over may name them
    rest = [tuple([n for n in names if n not in taken]) for names in inner]
    return spec_of(tuple([a + b for a, b in zip(outer, rest, strict=True)]))


shard_map_p.def_effects(lambda params: params["jaxpr"].effects)
types.placing.add(shard_map_p)


# --- as a program over all devices -----------------------------------------------------------


def _blocks(x: Any, spec: PartitionSpec, mesh: Any, axes: Sequence[Hashable]) -> Any:
    """``x`` with a leading dimension for each of ``axes`` that splits it, in their order."""
    shape = aval_of(x).shape
    parts = [names_in(p) for p in spec] + [()] * (len(shape) - len(spec))
    inner: list[int] = []
    at: dict[Hashable, int] = {}
    local: list[int] = []
    for n, names in zip(shape, parts, strict=True):
        for name in names:
            at[name] = len(inner)
            inner.append(mesh.shape[name])
        local.append(len(inner))
        inner.append(n // math.prod(mesh.shape[a] for a in names))
    if at:
        order = [at[a] for a in axes if a in at] + local
        x = transpose(reshape(x, tuple(inner)), tuple(order))
    for k, a in enumerate(_leading_axes(spec, axes)):
        if a in spec.unreduced:
            x = _terms(x, k, mesh.shape[a])
    return x


def _terms(x: Any, dim: int, size: int) -> Any:
    """The terms of a sum along a new dimension: the first is all of it."""
    x = expand_dims(x, dim)
    aval = aval_of(x)
    config = tuple([(0, size - 1 if k == dim else 0, 0) for k in range(aval.ndim)])
    return pad_p.bind(x, aval.dtype.type(0), padding_config=config)


def _leading_axes(spec: PartitionSpec, axes: Sequence[Hashable]) -> list[Hashable]:
    """Those of ``axes`` that blocks have a leading dimension for: which split a dimension, or along
    which there are terms of a sum."""
    over = _spread_over(spec)
    return [a for a in axes if a in over]


def _spread_over(spec: PartitionSpec) -> frozenset[Hashable]:
    """The axes along which devices have different blocks, or terms."""
    return named_in(spec) - spec.reduced


def _joined(x: Any, spec: PartitionSpec, mesh: Any, axes: Sequence[Hashable]) -> Any:
    """The inverse of `_blocks`."""
    leading = _leading_axes(spec, axes)
    sums = tuple([k for k, a in enumerate(leading) if a in spec.unreduced])
    if sums:
        x = reduce_sum_p.bind(x, axes=sums)
        leading = [a for a in leading if a not in spec.unreduced]
    if not leading:
        return x
    shape = aval_of(x).shape
    ndim = len(shape) - len(leading)
    parts = [names_in(p) for p in spec] + [()] * (ndim - len(spec))
    order: list[int] = []
    out: list[int] = []
    for k, names in enumerate(parts):
        order += [leading.index(a) for a in names]
        order.append(len(leading) + k)
        out.append(shape[len(leading) + k] * math.prod(mesh.shape[a] for a in names))
    return reshape(transpose(x, tuple(order)), tuple(out))


def on_all(
    *args: Any, jaxpr: ClosedJaxpr, mesh: Any, in_specs: Any, out_specs: Any, manual_axes: Any,
    check_vma: bool,
) -> list[Any]:  # fmt: skip
    """The results for all devices: each axis of the mesh is one that `vmap` maps and names."""
    axes = [a for a in mesh.axis_names if a in manual_axes]
    some = len(axes) < len(mesh.axis_names)
    # Types are those of the program of one device: here they say nothing.
    auto = dict.fromkeys(mesh.axis_names, AxisType.Auto)
    args = tuple([recast(x, auto) for x in args])
    consts = [recast(c, auto) if type(c) is Array else c for c in jaxpr.consts]
    splits, outs_over = ([*map(_spread_over, specs)] for specs in (in_specs, out_specs))

    def split(x: Any, spec: PartitionSpec) -> Any:
        x = x if some else _placed(x, spec, mesh)
        return _placed(_blocks(x, spec, mesh, axes), _leading(spec, axes), mesh, some)

    def join(x: Any, spec: PartitionSpec) -> Any:
        x = _joined(_placed(x, _leading(spec, axes), mesh, some), spec, mesh, axes)
        return x if some else _placed(x, spec, mesh)

    def along(k: int, values: Sequence[Any]) -> list[Any]:
        if k == len(axes):
            return eval_jaxpr(jaxpr.jaxpr, consts, *values)
        name = axes[k]
        size = mesh.shape[name]
        dims = [0 if name in s else None for s in splits]
        outs, at = vmap_flat(
            lambda *inner: along(k + 1, inner), size, values, dims, DeviceAxis(name)
        )
        return [
            bring_dim(x, size, d, 0) if name in over
            else x if d is None else dynamic_index_in_dim(x, 0, d, keepdims=False)
            for x, d, over in zip(outs, at, outs_over, strict=True)
        ]  # fmt: skip

    with untyped(mesh):
        blocks = [split(x, s) for x, s in zip(args, in_specs, strict=True)]
        return [join(x, s) for x, s in zip(along(0, blocks), out_specs, strict=True)]


def untyped(mesh: Any) -> use_abstract_mesh:
    """Context manager: types say nothing of how arrays are split over the mesh."""
    auto = dict.fromkeys(mesh.axis_names, AxisType.Auto)
    return use_abstract_mesh(mesh.abstract_mesh.update_axis_types(auto))


def typed(outs: Sequence[Any], params: dict[str, Any], which: Sequence[int]) -> list[Any]:
    """Values of the program over all devices with the types that its results of the numbers
    ``which`` have."""
    avals = _shard_map_avals(**params)
    return [_typed(x, marked(avals[k]), params["mesh"]) for x, k in zip(outs, which, strict=True)]


def _typed(x: Any, placed: NamedSharding | None, mesh: Any) -> Any:
    if placed is None:
        return x
    found = mesh if isinstance(mesh, Mesh) else concrete_mesh()
    if found is None or found.abstract_mesh != placed.mesh:
        found = placed.mesh
    if type(x) is Array and not isinstance(found, Mesh):
        return x
    return reshard_p.bind(x, sharding=placed.update(mesh=found))


def _leading(spec: PartitionSpec, axes: Sequence[Hashable]) -> PartitionSpec:
    """The spec of the blocks: a leading dimension for each axis that is named."""
    return PartitionSpec(*_leading_axes(spec, axes))


def _placed(x: Any, spec: PartitionSpec, mesh: Any, some: bool = False) -> Any:
    """``x`` with the word that it lies so, for backends that partition programs. Where the
    function is run along ``some`` axes, other dimensions may be split over others."""
    spec = unmarked(spec)
    if type(x) is Array and isinstance(mesh, Mesh):
        # Arrays lie as their mesh says, and their types would say it, too.
        mesh = mesh.update(axis_types=(AxisType.Auto,) * len(mesh.axis_names))
    if some:
        spec = spec + (UNCONSTRAINED,) * (aval_of(x).ndim - len(spec))
    return sharding_constraint_p.bind(x, sharding=NamedSharding(mesh, spec))


shard_map_p.expansion = on_all


def _step_by_step(args: Sequence[Any], params: dict[str, Any]) -> list[Any]:
    mesh = params["mesh"]
    if isinstance(mesh, Mesh):
        # The values on the way are arrays, which lie as their mesh says.
        mesh = mesh.update(axis_types=(AxisType.Auto,) * len(mesh.axis_names))
    outs = on_all(*args, **{**params, "mesh": mesh})
    return typed(outs, params, range(len(outs)))


stepwise_rules[shard_map_p] = _step_by_step


def whole_program(params: dict[str, Any], avals: tuple[ShapedArray, ...]) -> ClosedJaxpr:
    """The program over all devices as a jaxpr, one for equal calls."""
    key = (*avals, params["mesh"].abstract_mesh, params["in_specs"], params["out_specs"])
    cache = _wholes.setdefault(params["jaxpr"], {})
    found = cache.get(key)
    if found is None:
        plain = [ShapedArray(a.shape, a.dtype, a.weak_type) for a in avals]
        jaxpr, consts = trace_to_jaxpr(lambda *xs: on_all(*xs, **params), plain)
        found = cache[key] = ClosedJaxpr(jaxpr, consts)
    return found


def _weak_cache() -> Any:
    import weakref

    from covector.transforms.cache import on_clear

    made: Any = weakref.WeakKeyDictionary()
    on_clear(made)
    return made


_wholes = _weak_cache()


def _batch(
    trace: Any, args: Sequence[Any], dims: Sequence[int | None], params: dict[str, Any]
) -> Any:
    over = trace.axis_name.over if type(trace.axis_name) is SplitAxis else ()
    twice = [n for s in params["in_specs"] for p in s for n in names_in(p) if n in over]
    if twice:
        raise ValueError(
            f"vmap: the mapped axis is split over the mesh's {twice[0]!r}, along which shard_map "
            f"splits its arguments, too (in_specs {params['in_specs']!r}){at_user_line()}"
        )

    def all_results(*xs: Any) -> list[Any]:
        outs = on_all(*xs, **params)
        return typed(outs, params, range(len(outs)))

    return vmap_flat(all_results, trace.axis_size, args, dims, trace.axis_name)


higher_order_rules[shard_map_p] = _batch
batching_rules.pop(shard_map_p, None)


def _split(eqn: JaxprEqn, splits: list[Split], sizes: dict[Hashable, int]) -> list[Split]:
    manual = eqn.params["manual_axes"]
    jaxpr = eqn.params["jaxpr"].jaxpr
    # Over the other axes, results of the parts are split as those say.
    parts = [tuple([tuple([a for a in p if a not in manual]) for p in s]) for s in splits]
    inner = through(jaxpr, parts, sizes) if len(manual) < len(sizes) else None
    outs = []
    for k, spec in enumerate(eqn.params["out_specs"]):
        aval = eqn.outvars[k].aval
        if inner is not None:
            spec = _both(spec, inner[k])
        known = [tuple([a for a in names if a in sizes]) for names in split_of(spec, aval.ndim)]
        outs.append(tuple(known))
    return outs


split_rules[shard_map_p] = _split
