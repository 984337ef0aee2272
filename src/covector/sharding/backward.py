"""Cotangents lie as the values do that they belong to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from covector.core.avals import NO_MARKS, Array, ShapedArray, aval_of, marked
from covector.core.jaxpr import JaxprEqn, sub_jaxprs
from covector.core.rules import UndefinedPrimal, Zero
from covector.core.structural import zeros
from covector.primitives.compare import eq
from covector.primitives.parallel import axis_index, pcast, psum
from covector.primitives.select import select
from covector.sharding.constraints import reshard_p
from covector.sharding.context import concrete_mesh
from covector.sharding.explicit import left_open
from covector.sharding.named import NamedSharding
from covector.transforms import transpose


def transposed(
    rule: Callable[..., Sequence[Any]], ct: Any, vals: Sequence[Any], eqn: JaxprEqn
) -> Sequence[Any]:
    """What the rule for transposing ``eqn`` gives, of the types that cotangents of the operands
    have.

    The operands of a transposed operation may leave open how its result is split, as a sum over
    devices does. Here it is known.
    """
    if not any([_says_something(v.aval) for v in (*eqn.invars, *eqn.outvars)]):
        return rule(ct, *vals, **eqn.params)
    wanted = [
        a.aval.as_cotangent() if type(x) is UndefinedPrimal else None
        for a, x in zip(eqn.invars, vals, strict=True)
    ]
    sums: frozenset[Any] = frozenset()
    if not any(sub_jaxprs(eqn.params)):
        sums = sums.union(*[a.marks.unreduced for a in wanted if a is not None])
    with left_open(sums, transposing=True):
        found = rule(ct, *vals, **eqn.params)
    return [
        x if a is None or x is None or type(x) is Zero else _typed(x, a, [*vals, x])
        for x, a in zip(found, wanted, strict=True)
    ]


def _says_something(aval: Any) -> bool:
    """Whether a type says how arrays lie, or that they are sums."""
    return aval.placed is not None or aval.marks != NO_MARKS


def _typed(x: Any, wanted: ShapedArray, beside: Sequence[Any]) -> Any:
    """``x`` as a cotangent of that type."""
    have = aval_of(x)
    if have.marks != wanted.marks:
        x = _summed(x, wanted)
        have = aval_of(x)
    where = marked(wanted)
    if where is None and have.placed is not None and marked(have) != have.placed:
        where = have.placed  # of a number: the sum is taken
    return x if where is None or marked(have) == where else _laid(x, where, beside)


def _summed(x: Any, wanted: ShapedArray) -> Any:
    """``x`` with the marks over manual axes that are wanted; those of the others are of `_laid`."""
    placed = wanted.placed or aval_of(x).placed
    said = () if placed is None else placed.mesh.explicit_axes
    have, want = aval_of(x).marks.without(said), wanted.marks.without(said)
    for name in sorted(have.unreduced - want.unreduced, key=str):
        x = psum(x, name)
    for name in sorted(want.unreduced - have.unreduced, key=str):
        if name not in aval_of(x).varying:
            # Of a value that all have the first has the one term.
            aval = aval_of(x)
            nothing = zeros(ShapedArray(aval.shape, aval.dtype))
            x = select(eq(axis_index(name), np.int32(0)), x, nothing)
        x = pcast(x, name, "unreduced")
    for name in sorted(want.reduced - aval_of(x).marks.reduced, key=str):
        if name not in aval_of(x).varying:
            x = pcast(x, name, "reduced")
    return x


def _laid(x: Any, placed: NamedSharding, beside: Sequence[Any]) -> Any:
    """``x`` laid out so: an array that is there, on the devices of one that is ``beside`` it or of
    the mesh that is set, as far as they are known."""
    if type(x) is Array:
        meshes = [concrete_mesh(), *[y.sharding.mesh for y in beside if _is_spread(y)]]
        mesh = next((m for m in meshes if m is not None and m.abstract_mesh == placed.mesh), None)
        if mesh is None:
            return x
        placed = placed.update(mesh=mesh)
    return reshard_p.bind(x, sharding=placed)


def _is_spread(x: Any) -> bool:
    return type(x) is Array and isinstance(x.sharding, NamedSharding)


transpose.transposed = transposed
transpose.laid = _laid
