"""What processes send each other: calls of their communicator."""

from __future__ import annotations

from covector.compiler.ir.nodes import LibraryCall, Value
from covector.compiler.lower.lowering import Lowering, rule
from covector.core.jaxpr import JaxprEqn
from covector.distributed.calls import registration
from covector.sharding.partition.collective import collective_p


@rule(collective_p)
def _collective(low: Lowering, eqn: JaxprEqn, x: Value) -> Value:
    (out,) = eqn.outvars
    found = registration(eqn.params, eqn.invars[0].aval, out.aval)
    low.keepalive += found
    sym = low.parameter(found[0].ident)
    (value,) = low.append(LibraryCall("callback", [x], {"id": sym}, low.specs([out.aval]), True))
    return value
