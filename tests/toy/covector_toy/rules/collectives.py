"""Collectives: `vmap` resolves them, so that no program of one device has any; and where values
are, which is one device."""

from covector.core.jaxpr import JaxprEqn
from covector.primitives import parallel as pa
from covector.runtime.moves import move_p
from covector.runtime.process_parts import (
    global_array_to_host_local_array_p,
    host_local_array_to_global_array_p,
)
from covector.sharding.constraints import reshard_p, sharding_constraint_p
from covector.sharding.inspection import inspect_sharding_p
from covector.sharding.mapped import shard_map_p
from covector.sharding.partition.collective import HALVES, collective_p
from covector_toy.interpreter import IMPOSSIBLE, rule
from covector_toy.rules.elementwise import Elements

for _p in (
    pa.psum_p, pa.pmax_p, pa.pmin_p, pa.ppermute_p, pa.all_gather_p, pa.all_to_all_p,
    pa.axis_index_p, pa.pcast_p,
):  # fmt: skip
    IMPOSSIBLE[_p] = "one device has no named axes; vmap resolves those that it maps"
for _p in (global_array_to_host_local_array_p, host_local_array_to_global_array_p):
    IMPOSSIBLE[_p] = "in a program it is a constraint, which takes its place"
IMPOSSIBLE[shard_map_p] = "the program over all devices takes its place"
for _p in (collective_p, *HALVES):
    IMPOSSIBLE[_p] = "the devices of one process send each other nothing"


@rule(reshard_p, sharding_constraint_p, move_p)
def _where(eqn: JaxprEqn, x: Elements) -> Elements:
    return x


@rule(inspect_sharding_p)
def _asked(eqn: JaxprEqn, x: Elements) -> list[Elements]:
    return []  # it was answered when the program was compiled
