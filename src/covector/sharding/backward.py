"""Cotangents lie as the values do that they belong to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from covector.core.avals import Array, aval_of
from covector.core.jaxpr import JaxprEqn
from covector.core.rules import UndefinedPrimal, Zero
from covector.sharding.constraints import reshard_p
from covector.sharding.context import concrete_mesh
from covector.sharding.explicit import left_open
from covector.sharding.named import NamedSharding
from covector.transforms import transpose


def transposed(
    rule: Callable[..., Sequence[Any]], ct: Any, vals: Sequence[Any], eqn: JaxprEqn
) -> Sequence[Any]:
    """What the rule for transposing ``eqn`` gives, laid out as the types of the operands say.

    The operands of a transposed operation may leave open how its result is split, as a sum over
    devices does. Here it is known.
    """
    wanted = [
        a.aval.placed if type(x) is UndefinedPrimal else None
        for a, x in zip(eqn.invars, vals, strict=True)
    ]
    if not any(s is not None for s in wanted):
        return rule(ct, *vals, **eqn.params)
    with left_open():
        found = rule(ct, *vals, **eqn.params)
    return [
        x if s is None or x is None or type(x) is Zero or _placed(x) == s
        else _laid(x, s, [*vals, x])
        for x, s in zip(found, wanted, strict=True)
    ]  # fmt: skip


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


def _placed(x: Any) -> Any:
    return aval_of(x).placed


transpose.transposed = transposed
