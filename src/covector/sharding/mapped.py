"""`shard_map` as a primitive, and as a program over all devices."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from typing import Any

from covector.control_flow import devices as _devices  # noqa: F401 - control flow along devices
from covector.core.avals import NONE_VARY, ShapedArray, aval_of, place
from covector.core.jaxpr import ClosedJaxpr, JaxprEqn, eval_jaxpr
from covector.core.rules import (
    batching_rules,
    higher_order_rules,
)
from covector.core.structural import bring_dim, reshape, transpose
from covector.core.trace import Primitive, trace_to_jaxpr
from covector.primitives.slicing import dynamic_index_in_dim
from covector.sharding import backward, types  # noqa: F401 - types that say where arrays are
from covector.sharding.constraints import sharding_constraint_p
from covector.sharding.named import NamedSharding, parts_of
from covector.sharding.propagate import Split, split_of, split_rules
from covector.sharding.spec import PartitionSpec, names_in
from covector.transforms.vmap import DeviceAxis, vmap_flat

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
        placed = types.explicit_spec(mesh.abstract_mesh, spec, a.ndim)
        outs.append(place(whole, placed, outer))
    return outs


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
    if not at:
        return x
    order = [at[a] for a in axes if a in at] + local
    return transpose(reshape(x, tuple(inner)), tuple(order))


def _joined(x: Any, spec: PartitionSpec, mesh: Any, axes: Sequence[Hashable]) -> Any:
    """The inverse of `_blocks`."""
    leading = [a for a in axes if any(a in names_in(p) for p in spec)]
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
    splits = [frozenset(a for p in s for a in names_in(p)) for s in in_specs]
    outs_over = [frozenset(a for p in s for a in names_in(p)) for s in out_specs]
    blocks = [
        _placed(_blocks(_placed(x, s, mesh), s, mesh, axes), _leading(s, axes), mesh)
        for x, s in zip(args, in_specs, strict=True)
    ]

    def along(k: int, values: Sequence[Any]) -> list[Any]:
        if k == len(axes):
            return eval_jaxpr(jaxpr.jaxpr, jaxpr.consts, *values)
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

    outs = [
        _placed(x, _leading(s, axes), mesh)
        for x, s in zip(along(0, blocks), out_specs, strict=True)
    ]
    return [
        _placed(_joined(x, s, mesh, axes), s, mesh) for x, s in zip(outs, out_specs, strict=True)
    ]


def _leading(spec: PartitionSpec, axes: Sequence[Hashable]) -> PartitionSpec:
    """The spec of the blocks: a leading dimension for each axis that is named."""
    return PartitionSpec(*[a for a in axes if any(a in names_in(p) for p in spec)])


def _placed(x: Any, spec: PartitionSpec, mesh: Any) -> Any:
    """``x`` with the word that it lies so, for backends that partition programs."""
    return sharding_constraint_p.bind(x, sharding=NamedSharding(mesh, spec))


shard_map_p.expansion = on_all


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
    outs, at = vmap_flat(
        lambda *xs: on_all(*xs, **params), trace.axis_size, args, dims, trace.axis_name
    )
    return outs, at


higher_order_rules[shard_map_p] = _batch
batching_rules.pop(shard_map_p, None)


def _split(eqn: JaxprEqn, splits: list[Split], sizes: dict[Hashable, int]) -> list[Split]:
    outs = []
    for v, spec in zip(eqn.outvars, eqn.params["out_specs"], strict=True):
        known = [tuple([a for a in names if a in sizes]) for names in split_of(spec, v.aval.ndim)]
        outs.append(tuple(known))
    return outs


split_rules[shard_map_p] = _split
