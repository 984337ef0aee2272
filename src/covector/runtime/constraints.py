"""`reshard` and `with_sharding_constraint` on arrays that are there: they are moved."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from covector.core.avals import to_array
from covector.runtime.placement import as_sharding, placement, put
from covector.runtime.transfers import heard_of
from covector.sharding.constraints import (
    laid_split,
    left_axes,
    reshard,
    reshard_p,
    sharding_constraint_p,
    with_sharding_constraint,
)
from covector.sharding.named import NamedSharding
from covector.sharding.propagate import spec_of, split_of

__all__ = ["reshard", "reshard_p", "sharding_constraint_p", "with_sharding_constraint"]


def move(args: Sequence[Any], params: dict[str, Any]) -> list[Any]:
    """An array moved to where the parameter ``sharding`` says."""
    where = as_sharding(params["sharding"], "reshard")
    x = to_array(args[0])
    if isinstance(where, NamedSharding) and isinstance(x.sharding, NamedSharding):
        if left_axes(reshard_p, where.mesh) and where.mesh.shape == x.sharding.mesh.shape:
            have = split_of(x.sharding.spec, x.ndim)
            laid = spec_of(laid_split(reshard_p, where, have, x.shape), whole=True)
            where = where.update(spec=laid)
    if not x.sharding.spread or x.sharding.device_set != where.device_set:
        return [put(x, placement(where, True))]
    with heard_of():  # devices that have it exchange their parts
        return [put(x, placement(where, True))]
