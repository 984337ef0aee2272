"""Explicit shardings: how the types of results are split, from the types of operands."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from typing import Any

from covector.core.avals import NONE_VARY, Marks, ShapedArray, place
from covector.core.config import UNSET, add_context, config, in_place
from covector.core.errors import at_user_line
from covector.core.record import Record
from covector.core.structural import reshape_p
from covector.core.trace import Primitive
from covector.sharding.context import get_abstract_mesh
from covector.sharding.factors import Factors, find_rule, pointwise
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

# Whether results whose sharding the operands leave open are replicated, rather than an error: an
# `out_sharding` says where they go.
_OPEN = add_context()


class ShardingTypeError(Exception):
    """Explicit shardings of operands that do not say how the result is split.

    Examples
    --------
    >>> import covector as cv
    >>> issubclass(cv.sharding.explicit.ShardingTypeError, Exception)
    True
    """


class Open(Record):
    """What is known of results whose sharding operands leave open.

    Attributes
    ----------
    unreduced : frozenset of hashable
        Axes over which sums are not taken.
    transposing : bool
        Whether what stands beside sums that are not taken is known to be zero or such a sum.
    typed : bool
        Whether types of what is made say that it is whole.
    """

    unreduced: frozenset[Hashable]
    transposing: bool
    typed: bool


_CLOSED = Open(frozenset(), False, True)


def left_open(
    unreduced: frozenset[Hashable] = frozenset(), *, transposing: bool = False, typed: bool = False
) -> Any:
    """Context manager: what operands leave open is replicated, to be put somewhere next; sums over
    the axes ``unreduced`` are not taken."""
    return in_place({_OPEN: Open(unreduced, transposing, typed)})


def is_open() -> bool:
    """Whether what operands leave open is no error here."""
    return getattr(config, _OPEN) is not UNSET


def found_open() -> Open:
    """What is known of results here."""
    found: Any = getattr(config, _OPEN)
    return _CLOSED if found is UNSET else found


def explicit(sharding: NamedSharding, ndim: int) -> NamedSharding | None:
    """What types say of a sharding: its explicit axes, on the abstract mesh."""
    mesh = sharding.mesh.abstract_mesh
    kinds = dict(zip(mesh.axis_names, mesh.axis_types, strict=True))
    if AxisType.Explicit not in mesh.axis_types:
        return None
    split = split_of(sharding.spec, ndim)
    kept = [tuple([a for a in names if kinds[a] is AxisType.Explicit]) for names in split]
    return NamedSharding(mesh, spec_of(tuple(kept), whole=True))


def explicit_marks(sharding: NamedSharding) -> Marks:
    """What types say of sums over the explicit axes of a sharding's mesh."""
    return sharding.spec.marks.along(sharding.mesh.explicit_axes)


def whole_type(aval: Any, mesh: AbstractMesh) -> Any:
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


def mesh_of_types() -> AbstractMesh | None:
    """The mesh that is set, if what is made there has a type that says that it is whole."""
    mesh = get_abstract_mesh()
    return mesh if AxisType.Explicit in mesh.axis_types and found_open().typed else None


def result_shardings(
    prim: Primitive, avals: Sequence[ShapedArray], outs: Sequence[ShapedArray],
    params: dict[str, Any],
) -> list[NamedSharding | None]:  # fmt: skip
    """How the results of an operation are split over explicit axes."""
    if not outs:
        return []
    if all([a.placed is None for a in avals]):
        made = mesh_of_types()
        return [None if made is None else whole_type(a, made).placed for a in outs]
    rule = find_rule(prim)
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
        if not is_open():
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


# Functions of an operation that have the argument out_sharding.
_SAY = {
    "dot_general": "covector.numpy.matmul, dot, einsum and tensordot, and of lax.dot_general",
    "reshape": "covector.numpy.reshape and ravel, and of lax.reshape",
    "gather": "x.at[index].get",
    "scatter": "x.at[index].set and the other methods of x.at[index]",
    "conv_general_dilated": "lax.conv_general_dilated",
    "broadcast_in_dim": "covector.numpy.broadcast_to and repeat, and of lax.broadcast_in_dim",
}


def _remedy(prim: Primitive, what: str) -> str:
    """What to do, first with an operand, or else with the function that the operation is of."""
    functions = _SAY.get("scatter" if prim.name.startswith("scatter") else prim.name)
    if functions is None:
        return f"{what} with covector.reshard first"
    return (
        f"{what} with covector.reshard first, or say how the result is split with the argument "
        f"out_sharding of {functions}: out_sharding=PartitionSpec(...)"
    )


def _where(factors: Factors, splits: Sequence[Split], factor: int) -> str:
    """The dimension of an operand that is split and has this factor."""
    for i, (dims, split) in enumerate(zip(factors.operands, splits, strict=True)):
        for k, (dim, names) in enumerate(zip(dims, split, strict=True)):
            if factor in dim and names:
                return f"dimension {k} of operand {i}"
    return "a dimension"


def _shown(avals: Sequence[ShapedArray]) -> str:
    return ", ".join([a.str_short() for a in avals])


def _by_rule(
    prim: Primitive, factors: Factors, splits: list[Split], avals: Sequence[ShapedArray],
    outs: Sequence[ShapedArray], sizes: dict[Hashable, int],
) -> list[Split]:  # fmt: skip
    if is_open():
        by_factor = splits_of_factors(factors, splits, sizes)
        return results_of_factors(factors, by_factor, outs, sizes)
    if prim in as_operand and _changes_what_is_split(factors, splits):
        return _as_operand(prim, splits, avals, outs, sizes)

    def clash(factor: int, twice: Hashable) -> None:
        if twice is not None:
            raise ShardingTypeError(
                f"{prim.name}: of the operands {_shown(avals)}, dimensions that are not the same "
                f"are split over the mesh's {twice!r}, which would split the result twice. "
                f"{_remedy(prim, 'Lay one of them out in another way')}{at_user_line()}"
            )
        raise ShardingTypeError(
            f"{prim.name}: the operands are split differently along a dimension that they share: "
            f"{_shown(avals)}. {_remedy(prim, 'Move one of them')}{at_user_line()}"
        )

    by_factor = splits_of_factors(factors, splits, sizes, clash)
    makes = _merged if prim is reshape_p else results_of_factors
    found = makes(factors, by_factor, outs, sizes)
    for factor in sorted(factors.whole):
        if by_factor[factor]:
            axes = ", ".join(map(repr, by_factor[factor]))
            raise ShardingTypeError(
                f"{prim.name} needs all of {_where(factors, splits, factor)}, which is split over "
                f"{axes}: the operands are {_shown(avals)}. {_remedy(prim, 'Replicate it')}"
                f"{at_user_line()}"
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
                        f"how it is to be split with the argument out_sharding of {_SAY[prim.name]}"
                        f", for example out_sharding=PartitionSpec(){at_user_line()}"
                    )
    _nothing_lost(prim, factors, splits, found, avals, outs)
    return found


def _changes_what_is_split(factors: Factors, splits: Sequence[Split]) -> bool:
    """Whether a dimension is split along which results have other elements than the operand."""
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
                    f"cannot be split over {axes}. {_remedy(prim, 'Replicate it')}{at_user_line()}"
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
                    f"is split over {', '.join(map(repr, lost))}. "
                    f"{_remedy(prim, 'Replicate the operand')}{at_user_line()}"
                )


def explicit_spec(mesh: Any, spec: Any, ndim: int) -> NamedSharding | None:
    """What types say of an array that is split so over a mesh."""
    return explicit(NamedSharding(mesh, spec), ndim)
