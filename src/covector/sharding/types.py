"""Types that say where arrays are: explicit shardings, and what varies over manual axes.

Both follow from the operands of each equation while a program is traced. Operands that vary over
different axes are made to vary over all of them (`pvary`), so that derivatives sum over devices
what the devices share.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from typing import Any

from covector import _native
from covector.core.avals import NONE_VARY, PlacedArray, ShapedArray, place
from covector.core.config import UNSET, add_context, config, in_place
from covector.core.errors import at_user_line
from covector.core.jaxpr import ClosedJaxpr, Literal, all_jaxprs, eval_jaxpr, sub_jaxprs
from covector.core.rules import collective_rules, transpose_only, varying_rules
from covector.core.structural import reshape_p
from covector.core.trace import JaxprTrace, JaxprTracer, Primitive, trace_to_jaxpr
from covector.primitives.parallel import axis_index_p, pvary_p
from covector.sharding.context import get_abstract_mesh
from covector.sharding.factors import Factors, factor_rules, pointwise
from covector.sharding.mesh import AbstractMesh, AxisType
from covector.sharding.named import NamedSharding
from covector.sharding.propagate import (
    Split,
    nowhere,
    results_of_factors,
    spec_of,
    split_of,
    splits_of_factors,
)
from covector.sharding.rules import as_operand
from covector.sharding.spec import PartitionSpec
from covector.transforms.vmap import varies_by_type

# Whether results whose sharding the operands leave open are replicated, rather than an error: an
# `out_sharding` says where they go.
_OPEN = add_context()


class ShardingTypeError(Exception):
    """Explicit shardings of operands that do not say how the result is split.

    Examples
    --------
    >>> import covector as cv
    >>> issubclass(cv.sharding.types.ShardingTypeError, Exception)
    True
    """


def left_open() -> Any:
    """Context manager: what operands leave open is replicated, to be put somewhere next."""
    return in_place({_OPEN: True})


def _is_open() -> bool:
    return getattr(config, _OPEN) is not UNSET


def placed_aval(aval: ShapedArray, sharding: Any) -> ShapedArray:
    """The type of an array that lies on a mesh with explicit axes."""
    return place(aval, explicit(sharding, len(aval.shape)), frozenset())


def explicit(sharding: NamedSharding, ndim: int) -> NamedSharding | None:
    """What types say of a sharding: its explicit axes, on the abstract mesh."""
    mesh = sharding.mesh.abstract_mesh
    kinds = dict(zip(mesh.axis_names, mesh.axis_types, strict=True))
    if AxisType.Explicit not in mesh.axis_types:
        return None
    split = split_of(sharding.spec, ndim)
    kept = [tuple([a for a in names if kinds[a] is AxisType.Explicit]) for names in split]
    spec = spec_of(tuple(kept), whole=True)
    spec = spec.update(unreduced=sharding.spec.unreduced, reduced=sharding.spec.reduced)
    return NamedSharding(mesh, spec)


def _whole(aval: Any, mesh: AbstractMesh) -> Any:
    """The type of an array that all devices of the mesh have whole."""
    if not isinstance(aval, ShapedArray):
        return aval
    return place(aval, NamedSharding(mesh, PartitionSpec(*[None] * len(aval.shape))), NONE_VARY)


def here(aval: ShapedArray) -> NamedSharding | None:
    """What the type says over the axes that are explicit where the code is: values that are closed
    over come from where other axes were."""
    placed: NamedSharding | None = aval.placed
    if placed is None:
        return None
    mesh = get_abstract_mesh()
    if placed.mesh is mesh or placed.mesh == mesh or placed.mesh.shape_tuple != mesh.shape_tuple:
        return placed
    return explicit(placed.update(mesh=mesh), len(aval.shape))


_native.set_placed_aval_factory(placed_aval)


def record(
    trace: JaxprTrace, prim: Primitive, invars: list[Any], params: dict[str, Any]
) -> list[Any]:
    """`JaxprTrace.process`, once there are such types."""
    avals = [a.aval for a in invars]
    if prim not in collective_rules and not any([type(a) is PlacedArray for a in avals]):
        outs, effects = prim.infer(avals, params)
        mesh = _mesh_of_types()
        if mesh is not None and prim not in placing and _is_first_order(prim, params):
            outs = [_whole(a, mesh) for a in outs]
        return trace.emit(prim, invars, outs, params, effects)
    first_order = _is_first_order(prim, params)
    if prim in transpose_only:
        first_order = False  # the user's rule says all
    if prim is pvary_p and params["axis_name"] in avals[0].varying:
        return [JaxprTracer(trace, avals[0], invars[0])]
    if prim.name == "while":
        over = params["cond_jaxpr"].out_avals[0].varying
        _check_all_meet(trace, over, [params["cond_jaxpr"], params["body_jaxpr"]], "while_loop")
    if prim.name == "cond" and avals[0].varying:
        _check_all_meet(trace, avals[0].varying, params["branches"], "cond")
        invars, params = _own_ways(trace, invars, params)
        avals = [a.aval for a in invars]
    names = _axes_of(prim, params)
    varying = frozenset().union(*[a.varying for a in avals]) if avals else frozenset()
    if varying:
        # Where the program is run for all devices, their axes are those of `vmap`.
        varying = _checked(trace, varying)
    if first_order and (varying or names):
        invars, varying = _unified(trace, prim, invars, varying, names, params)
        avals = [a.aval for a in invars]
    outs, effects = prim.infer(avals, params)
    if first_order:
        if names:
            checked = _checked(trace, names)
            rule = varying_rules.get(prim)
            varying = rule(varying, checked) if rule is not None and checked else varying
        if prim is not pvary_p and prim not in placing:
            shardings = _shardings(prim, avals, outs, params)
            outs = [place(a, s, varying) for a, s in zip(outs, shardings, strict=True)]
    elif prim.name == "cond":
        branches = zip(*[b.out_avals for b in params["branches"]], strict=True)
        over = [avals[0].varying.union(*[a.varying for a in each]) for each in branches]
        outs = [place(a, a.placed, _checked(trace, v)) for a, v in zip(outs, over, strict=True)]
    return trace.emit(prim, invars, outs, params, effects)


def _is_first_order(prim: Primitive, params: dict[str, Any]) -> bool:
    return prim.call_param is None and not any(sub_jaxprs(params))


def _mesh_of_types() -> AbstractMesh | None:
    """The mesh that is set, if what is made there has a type that says that it is whole."""
    mesh = get_abstract_mesh()
    return mesh if AxisType.Explicit in mesh.axis_types and not _is_open() else None


# Primitives whose abstract evaluation says where their results are.
placing: set[Primitive] = set()
JaxprTrace.record_placed = staticmethod(record)  # type: ignore[assignment]


def _check_all_meet(
    trace: JaxprTrace, varying: frozenset[Hashable], programs: Sequence[ClosedJaxpr], what: str
) -> None:
    """Raise the error for a collective that only those devices come to that go one way."""
    over = _checked(trace, varying)
    if not over:
        return
    for inner in [j for closed in programs for j in all_jaxprs(closed.jaxpr)]:
        for eqn in inner.eqns:
            met = _axes_of(eqn.primitive, eqn.params) & over
            if met and eqn.primitive not in (pvary_p, axis_index_p):
                axes = ", ".join(sorted(map(repr, met)))
                raise ValueError(
                    f"{what}: devices along {axes} may go different ways, as the type of the "
                    f"condition says, and {eqn.primitive.name} over {axes} needs all of them: it "
                    "would wait without end for those that do not come to it. Take it out of the "
                    "branch or loop, or make the condition the same on all devices, with lax.pmax "
                    f"for example{at_user_line()}"
                )


def _axes_of(prim: Primitive, params: dict[str, Any]) -> frozenset[Hashable]:
    """The axes that a collective is over."""
    if prim not in collective_rules:
        return frozenset()
    name = params["axis_name"]
    return frozenset(name if type(name) is tuple else (name,))


def _checked(trace: JaxprTrace, names: frozenset[Hashable]) -> frozenset[Hashable]:
    return frozenset([n for n in names if varies_by_type(n, trace)])


def _unified(
    trace: JaxprTrace, prim: Primitive, invars: list[Any], varying: frozenset[Hashable],
    names: frozenset[Hashable], params: dict[str, Any],
) -> tuple[list[Any], frozenset[Hashable]]:  # fmt: skip
    """Operands that all vary over the same axes, those of a collective among them."""
    if prim is pvary_p:
        return invars, varying
    wanted = varying | _checked(trace, names) if names else varying
    out = [_varied(trace, a, wanted) for a in invars]
    return out, wanted if invars else varying


def _own_ways(
    trace: JaxprTrace, invars: list[Any], params: dict[str, Any]
) -> tuple[list[Any], dict[str, Any]]:
    """Operands and branches of a branch that devices take on their own: what they share is cast
    outside of it, so that derivatives by it are summed over all devices, not over those that went
    one way."""
    wanted = _checked(trace, invars[0].aval.varying)
    cast = [invars[0], *[_varied(trace, a, wanted) for a in invars[1:]]]
    types = tuple([a.aval for a in cast[1:]])
    branches = tuple([_retraced(b, types) for b in params["branches"]])
    return cast, {**params, "branches": branches}


def _retraced(closed: ClosedJaxpr, avals: tuple[ShapedArray, ...]) -> ClosedJaxpr:
    """The program for arguments that vary over other axes."""
    if tuple(closed.in_avals) == avals:
        return closed
    jaxpr, consts = trace_to_jaxpr(
        lambda *xs: eval_jaxpr(closed.jaxpr, closed.consts, *xs), avals, closed.jaxpr.debug_info
    )
    return ClosedJaxpr(jaxpr, consts)


def _varied(trace: JaxprTrace, a: Any, wanted: frozenset[Hashable]) -> Any:
    """An operand that varies over these axes."""
    if not isinstance(a, Literal):
        for name in sorted(wanted - a.aval.varying, key=str):
            over = {"axis_name": name}
            aval, _ = pvary_p.infer([a.aval], over)
            (made,) = trace.emit(pvary_p, [a], aval, over)
            a = made._var
    return a


# --- explicit shardings ----------------------------------------------------------------------


def _shardings(
    prim: Primitive, avals: Sequence[ShapedArray], outs: Sequence[ShapedArray],
    params: dict[str, Any],
) -> list[NamedSharding | None]:  # fmt: skip
    """How the results of an operation are split over explicit axes."""
    if not outs:
        return []
    if all([a.placed is None for a in avals]):
        made = _mesh_of_types()
        return [None if made is None else _whole(a, made).placed for a in outs]
    rule = factor_rules.get(prim)
    if rule is pointwise:
        same = _same_for_all(avals)
        if same is not None and all(a.shape == outs[0].shape for a in outs):
            return [same] * len(outs)
    known = [here(a) for a in avals]
    meshes = list(dict.fromkeys([s.mesh for s in known if s is not None]))
    if not meshes:
        return [None] * len(outs)
    if len(meshes) > 1:
        raise ValueError(
            f"{prim.name}: the operands lie on different meshes, {meshes[0]} and {meshes[1]}; move "
            f"one of them with covector.reshard{at_user_line()}"
        )
    mesh = meshes[0]
    splits = [
        nowhere(a) if s is None else split_of(s.spec, len(a.shape))
        for a, s in zip(avals, known, strict=True)
    ]
    if not any(names for s in splits for names in s):
        found = [nowhere(a) for a in outs]
    elif rule is None:
        if not _is_open():
            raise ShardingTypeError(
                f"{prim.name} has no rule for explicit shardings, and its operands are "
                f"{_shown(avals)}. Replicate them with covector.reshard first{at_user_line()}"
            )
        found = [nowhere(a) for a in outs]
    else:
        factors = rule(avals, outs, params)
        assert factors is not None
        found = _by_rule(prim, factors, splits, avals, outs, dict(mesh.shape))
    return [NamedSharding(mesh, spec_of(s, whole=True)) for s in found]


def _same_for_all(avals: Sequence[ShapedArray]) -> NamedSharding | None:
    """The sharding that all operands that are no scalars have, if they are of one shape."""
    first: ShapedArray | None = None
    for a in avals:
        if not a.shape:
            continue
        if a.placed is None:
            return None
        if first is None:
            first = a
        elif a.shape != first.shape or a.placed != first.placed:
            return None
    return None if first is None else here(first)


def _shown(avals: Sequence[ShapedArray]) -> str:
    return ", ".join([a.str_short() for a in avals])


def _by_rule(
    prim: Primitive, factors: Factors, splits: list[Split], avals: Sequence[ShapedArray],
    outs: Sequence[ShapedArray], sizes: dict[Hashable, int],
) -> list[Split]:  # fmt: skip
    if _is_open():
        by_factor = splits_of_factors(factors, splits, sizes)
        return results_of_factors(factors, by_factor, outs, sizes)
    if prim in as_operand and _changes_what_is_split(factors, splits):
        return _as_operand(prim, splits, avals, outs, sizes)

    def clash(factor: int) -> None:
        raise ShardingTypeError(
            f"{prim.name}: the operands are split differently along a dimension that they share: "
            f"{_shown(avals)}. Move one of them with covector.reshard, or say with out_sharding "
            f"how the result is split{at_user_line()}"
        )

    by_factor = splits_of_factors(factors, splits, sizes, clash)
    makes = _merged if prim is reshape_p else results_of_factors
    found = makes(factors, by_factor, outs, sizes)
    for factor in sorted(factors.whole):
        if by_factor[factor]:
            axes = ", ".join(map(repr, by_factor[factor]))
            raise ShardingTypeError(
                f"{prim.name} needs all of a dimension that is split over {axes}: the operands "
                f"are {_shown(avals)}. Replicate it with covector.reshard first, or say with "
                f"out_sharding how the result is split{at_user_line()}"
            )
    if prim.name == "dot_general":
        both = [d for d in factors.operands[0] if d in factors.operands[1]]
        for (factor,) in both:
            if factor in factors.summed and by_factor[factor]:
                split_in = [
                    any(names for d, names in zip(dims, s, strict=True) if d == (factor,))
                    for dims, s in zip(factors.operands, splits, strict=True)
                ]
                if all(split_in[:2]):
                    axes = ", ".join(map(repr, by_factor[factor]))
                    raise ShardingTypeError(
                        f"the dimensions that are contracted are split over {axes} in both "
                        f"operands, {_shown(avals)}, so that the result is a sum over devices. Say "
                        "with out_sharding how it is to be split, for example "
                        f"PartitionSpec(){at_user_line()}"
                    )
    _nothing_lost(prim, factors, splits, found, avals, outs)
    return found


def _changes_what_is_split(factors: Factors, splits: Sequence[Split]) -> bool:
    """Whether a dimension is split along which elements of the first operand are others' places."""
    first = set(factors.operands[0])
    return any(
        names and (dim not in first or not factors.whole.isdisjoint(dim))
        for dims, split in zip(factors.operands, splits, strict=True)
        for dim, names in zip(dims, split, strict=True)
    )


def _as_operand(
    prim: Primitive, splits: list[Split], avals: Sequence[ShapedArray],
    outs: Sequence[ShapedArray], sizes: dict[Hashable, int],
) -> list[Split]:  # fmt: skip
    """The results are split as the first operand is, though devices exchange values for it."""
    for split in splits:
        if split != splits[0] and any(split):
            raise ShardingTypeError(
                f"{prim.name}: along a dimension that it changes, the operands must be split in "
                f"one way; they are {_shown(avals)}. Move one of them with covector.reshard"
                f"{at_user_line()}"
            )
    for out in outs:
        for n, names in zip(out.shape, splits[0], strict=True):
            if n % math.prod([sizes[a] for a in names]):
                axes = ", ".join(map(repr, names))
                raise ShardingTypeError(
                    f"{prim.name} of {_shown(avals[:1])} makes a dimension of the size {n}, which "
                    f"cannot be split over {axes}. Replicate it with covector.reshard first, or "
                    f"say with out_sharding how the result is split{at_user_line()}"
                )
    return [splits[0]] * len(outs)


def _merged(
    factors: Factors, by_factor: Sequence[tuple[Hashable, ...]], outs: Sequence[ShapedArray],
    sizes: dict[Hashable, int],
) -> list[Split]:  # fmt: skip
    """Splits of the results of a reshape: a dimension that several make up has the axes of all, as
    far as the first ones are split."""
    made = []
    for dim, n in zip(factors.results[0], outs[0].shape, strict=True):
        names: tuple[Hashable, ...] = ()
        for factor in dim:
            if not by_factor[factor]:
                break
            names += by_factor[factor]
        made.append(names if n % math.prod([sizes[a] for a in names]) == 0 else ())
    return [tuple(made)]


def _nothing_lost(
    prim: Primitive, factors: Factors, splits: Sequence[Split], found: Sequence[Split],
    avals: Sequence[ShapedArray], outs: Sequence[ShapedArray],
) -> None:  # fmt: skip
    """Raise the error for an axis that splits an operand, and could split no result."""
    kept = {a for split in found for names in split for a in names}
    summed = factors.summed
    for dims, split in zip(factors.operands, splits, strict=True):
        for dim, names in zip(dims, split, strict=True):
            lost = [a for a in names if a not in kept]
            if lost and not summed.issuperset(dim):
                raise ShardingTypeError(
                    f"{prim.name} of {_shown(avals)} to {_shown(outs)} leaves open how the result "
                    f"is split over {', '.join(map(repr, lost))}. Replicate the operand with "
                    "covector.reshard first, or say with out_sharding how the result is split"
                    f"{at_user_line()}"
                )


def explicit_spec(mesh: Any, spec: Any, ndim: int) -> NamedSharding | None:
    """What types say of an array that is split so over a mesh."""
    return explicit(NamedSharding(mesh, spec), ndim)
