"""`reshard` and `with_sharding_constraint` on arrays that are there: they are moved."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from covector.core.avals import to_array
from covector.runtime.placement import as_sharding, placement, put
from covector.sharding.constraints import (
    reshard,
    reshard_p,
    sharding_constraint_p,
    with_sharding_constraint,
)

__all__ = ["reshard", "reshard_p", "sharding_constraint_p", "with_sharding_constraint"]


def move(args: Sequence[Any], params: dict[str, Any]) -> list[Any]:
    """An array moved to where the parameter ``sharding`` says."""
    where = as_sharding(params["sharding"], "reshard")
    return [put(to_array(args[0]), placement(where, True))]
