"""Where values of a program on several devices are: Shardy's dialect.

The syntax is that of https://openxla.org/shardy/sdy_dialect.
"""

from __future__ import annotations

from typing import Any

from covector.backends.pjrt.lower import IMPOSSIBLE, rule
from covector.backends.pjrt.text import Builder, Value, quoted, split_text
from covector.core.jaxpr import JaxprEqn
from covector.runtime.moves import move_p
from covector.runtime.process_parts import (
    global_array_to_host_local_array_p,
    host_local_array_to_global_array_p,
)
from covector.sharding.constraints import left_axes, reshard_p, sharding_constraint_p
from covector.sharding.inspection import inspect_sharding_p
from covector.sharding.mapped import shard_map_p
from covector.sharding.partition.collective import HALVES, collective_p
from covector.sharding.spec import names_in

for _p in (global_array_to_host_local_array_p, host_local_array_to_global_array_p):
    IMPOSSIBLE[_p] = "in a program it is a constraint, which takes its place"
IMPOSSIBLE[shard_map_p] = "the program over all devices takes its place"
for _p in (collective_p, *HALVES):
    IMPOSSIBLE[_p] = "XLA partitions the program, and puts in what devices send"


@rule(reshard_p, sharding_constraint_p)
def _constraint(b: Builder, eqn: JaxprEqn, x: Value) -> Value:
    sharding: Any = eqn.params["sharding"]
    mesh = getattr(sharding, "mesh", None)
    if b.mesh is None or mesh is None or dict(mesh.shape) != b.mesh:
        return x
    out = Value(b.name(), x.dtype, x.shape)
    more = left_axes(eqn.primitive, mesh)
    split = split_text(sharding.spec, len(x.shape), bool(more))
    if more:
        # Over axes of other types it is as the spec says.
        named = {a for p in sharding.spec for a in names_in(p)}
        rest = [quoted(str(a)) for a in mesh.axis_names if a not in more and a not in named]
        split += f", replicated={{{', '.join(rest)}}}" if rest else ""
    b.line(f"{out.ref} = sdy.sharding_constraint {x.ref} <@mesh, {split}> : {x.type}")
    return out


@rule(move_p)
def _move(b: Builder, eqn: JaxprEqn, x: Value) -> Value:
    return x  # the results of the program are moved when it has run


@rule(inspect_sharding_p)
def _asked(b: Builder, eqn: JaxprEqn, x: Value) -> list[Value]:
    return []  # it was answered when the program was compiled
