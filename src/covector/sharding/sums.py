"""Sums over devices that are not taken yet: what types say of results.

A value that is *unreduced* over an axis of a mesh is a sum over the devices along it, of which each
has a term. What is linear can be done with the terms; for all else the sum has to be taken first.
A value that is *reduced* over an axis is had by all devices along it, and its cotangent is
unreduced: so derivatives are summed over devices where the program says, not where they arise.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import Any

from covector.control_flow.checkpoint import name_p
from covector.core import dtypes
from covector.core.avals import NO_MARKS, Marks, ShapedArray
from covector.core.errors import at_user_line
from covector.core.jaxpr import Literal
from covector.core.structural import (
    add_any_p,
    broadcast_in_dim_p,
    convert_element_type_p,
    reduce_sum_p,
    reshape_p,
    transpose_p,
)
from covector.core.trace import JaxprTrace, Primitive
from covector.primitives import parallel as pa
from covector.primitives.arithmetic import (
    add_p,
    complex_p,
    conj_p,
    div_p,
    imag_p,
    mul_p,
    neg_p,
    real_p,
    sub_p,
)
from covector.primitives.convert import copy_p, reduce_precision_p
from covector.primitives.convolution import conv_general_dilated_p
from covector.primitives.cumulative import cumsum_p
from covector.primitives.dot import dot_general_p
from covector.primitives.fourier import fft_p
from covector.primitives.indexing import gather_p, scatter_add_p
from covector.primitives.linalg.triangular import triangular_solve_p
from covector.primitives.linalg.tridiagonal import tridiagonal_solve_p
from covector.primitives.select import select_n_p
from covector.primitives.slicing import dynamic_slice_p, dynamic_update_slice_p
from covector.primitives.structure import concatenate_p, pad_p, rev_p, slice_p, squeeze_p
from covector.primitives.windows import reduce_window_sum_p
from covector.sharding.explicit import ShardingTypeError, found_open, here
from covector.sharding.factors import find_rule
from covector.sharding.propagate import nowhere, split_of, splits_of_factors
from covector.transforms.vmap import varies_by_type

Names = frozenset[Hashable]
_NONE: Names = frozenset()

# The operands in which operations are linear, all of them together.
_TOGETHER: dict[Primitive, slice] = {
    **dict.fromkeys(
        (
            add_p, sub_p, neg_p, add_any_p, real_p, imag_p, conj_p, complex_p, copy_p, name_p,
            convert_element_type_p, reduce_precision_p, broadcast_in_dim_p, reshape_p, squeeze_p,
            transpose_p, reduce_sum_p, cumsum_p, reduce_window_sum_p, fft_p, slice_p, rev_p, pad_p,
            concatenate_p, pa.pcast_p, pa.psum_p, pa.ppermute_p, pa.all_gather_p, pa.all_to_all_p,
        ),
        slice(None),
    ),
    dynamic_slice_p: slice(1),
    gather_p: slice(1),
    dynamic_update_slice_p: slice(2),
    scatter_add_p: slice(0, 3, 2),
    select_n_p: slice(1, None),
}  # fmt: skip
# The operands in each of which operations are linear, while the others stay as they are.
_EACH: dict[Primitive, slice] = {
    mul_p: slice(2),
    div_p: slice(1),
    dot_general_p: slice(2),
    conv_general_dilated_p: slice(2),
    triangular_solve_p: slice(1, 2),
    tridiagonal_solve_p: slice(3, 4),
}
# Operations that sum over dimensions of their operands, which devices may split.
_SUMMING = (dot_general_p, reduce_sum_p, conv_general_dilated_p)


def result_marks(
    trace: JaxprTrace, prim: Primitive, operands: Sequence[Any], outs: Sequence[ShapedArray],
    params: dict[str, Any],
) -> Marks:  # fmt: skip
    """What the types of an operation's results say of sums over devices.

    Raises
    ------
    ShardingTypeError
        If a sum that is not taken yet is an operand of what is not linear, or stands beside a value
        that is none.
    """
    avals = [a.aval for a in operands]
    later = found_open().unreduced
    if not later and all([a.marks is NO_MARKS for a in avals]):
        return NO_MARKS
    marks = [marks_here(trace, a) for a in avals]
    unreduced = _NONE
    if any([m.unreduced for m in marks]):
        unreduced = _unreduced(trace, prim, operands, [m.unreduced for m in marks], outs)
    if later and prim in _SUMMING:
        unreduced |= later & _summed_over(prim, avals, outs, params)
    reduced = _NONE
    if any([m.reduced for m in marks]):
        reduced = _reduced(operands, [m.reduced for m in marks]) - unreduced
    return Marks(unreduced, reduced) if unreduced or reduced else NO_MARKS


def marks_here(trace: JaxprTrace, aval: ShapedArray) -> Marks:
    """What a type says of sums where the code is: over axes that are explicit there, and those
    along which the function runs on each device."""
    if aval.marks == NO_MARKS:
        return NO_MARKS
    placed = here(aval)
    said = () if placed is None else placed.mesh.explicit_axes
    names = aval.marks.unreduced | aval.marks.reduced
    return aval.marks.along({n for n in names if n in said or varies_by_type(n, trace)})


def _unreduced(
    trace: JaxprTrace, prim: Primitive, operands: Sequence[Any], sums: Sequence[Names],
    outs: Sequence[ShapedArray],
) -> Names:  # fmt: skip
    avals = [a.aval for a in operands]
    over = frozenset[Hashable]().union(*sums)
    together = prim in _TOGETHER and not _rounds_to_integers(avals, outs)
    which = _TOGETHER[prim] if together else _EACH.get(prim, slice(0))
    places = range(len(operands))[which]
    if any(s and k not in places for k, s in enumerate(sums)):
        raise _error(
            prim, avals, over,
            f"{prim.name} is not linear in it. Take the sum first, with covector.reshard(x, "
            "PartitionSpec()), or lax.psum inside of shard_map",
        )  # fmt: skip
    if not together:
        if sum(map(bool, sums)) > 1:
            raise _error(
                prim, avals, over,
                "the product of two sums is not the sum of the products of their terms. Take one "
                "of them first, with covector.reshard(x, PartitionSpec()), or lax.psum",
            )  # fmt: skip
    elif not found_open().transposing and any(
        # What rules for transposing put beside a cotangent is zero.
        sums[k] != over and not _is_zero(trace, operands[k])
        for k in places
        if prim is not pad_p or k == 0  # what is put around it is put there once
    ):
        raise _error(
            prim, avals, over,
            "what is beside it is no such sum, so that each device would count it. Take the sum "
            "first, with covector.reshard(x, PartitionSpec()) or lax.psum, or make the other "
            f"operand one: covector.reshard(y, PartitionSpec(unreduced={set(over)!r}))",
        )  # fmt: skip
    for a in avals:
        beside = over & {*_split_over(a), *a.varying}
        if beside:
            raise _error(
                prim, avals, beside,
                f"{a.str_short()} has another value on each device there. Take the sum first, with "
                "covector.reshard(x, PartitionSpec()), or lax.psum",
            )  # fmt: skip
    return over


def _rounds_to_integers(avals: Sequence[ShapedArray], outs: Sequence[ShapedArray]) -> bool:
    return dtypes.is_inexact(avals[0].dtype) and not dtypes.is_inexact(outs[0].dtype)


def _error(
    prim: Primitive, avals: Sequence[ShapedArray], over: Iterable[Hashable], why: str
) -> ShardingTypeError:
    axes = ", ".join(sorted(map(repr, over)))
    shown = ", ".join([a.str_short() for a in avals])
    return ShardingTypeError(
        f"{prim.name} of {shown}: a sum over the devices along {axes} is not taken yet, and {why}"
        f"{at_user_line()}"
    )


def _split_over(aval: ShapedArray) -> Iterator[Hashable]:
    if aval.placed is not None:
        for names in split_of(aval.placed.spec, len(aval.shape)):
            yield from names


def _is_zero(trace: JaxprTrace, a: Any) -> bool:
    """Whether an operand is known to be zero: that is a sum of zeros."""
    if isinstance(a, Literal):
        return bool(a.val == 0)
    for eqn in reversed(trace.eqns):
        if a in eqn.outvars:
            spread = eqn.primitive in _TOGETHER and len(eqn.invars) == 1
            return spread and _is_zero(trace, eqn.invars[0])
    return False


def _summed_over(
    prim: Primitive, avals: Sequence[ShapedArray], outs: Sequence[ShapedArray],
    params: dict[str, Any],
) -> Names:  # fmt: skip
    """The explicit axes over which devices have terms of a result."""
    meshes = [a.placed.mesh for a in avals if a.placed is not None]
    rule = find_rule(prim)
    factors = rule(avals, outs, params) if rule is not None and meshes else None
    if factors is None:
        return _NONE
    splits = [
        nowhere(a) if a.placed is None else split_of(a.placed.spec, len(a.shape)) for a in avals
    ]
    by_factor = splits_of_factors(factors, splits, dict(meshes[0].shape))
    return frozenset([name for k in factors.summed for name in by_factor[k]])


def _is_number(aval: ShapedArray) -> bool:
    return not aval.shape and not aval.varying and aval.marks == NO_MARKS


def _reduced(operands: Sequence[Any], reduced: Sequence[Names]) -> Names:
    """The axes over which all operands that have cotangents are reduced; numbers do not count."""
    found = [
        (a.aval, r)
        for a, r in zip(operands, reduced, strict=True)
        if not isinstance(a, Literal) and not _is_number(a.aval)
    ]
    with_cotangents = [(a, r) for a, r in found if dtypes.is_inexact(a.dtype)] or found
    over = frozenset.intersection(*[r for _, r in with_cotangents])
    return over.difference(*[{*_split_over(a), *a.varying} for a, _ in found])
