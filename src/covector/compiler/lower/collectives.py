"""What processes send each other: calls of their communicator."""

from __future__ import annotations

from typing import Any

from covector.compiler.ir.nodes import LibraryCall, Value
from covector.compiler.lower.lowering import Lowering, rule
from covector.core.avals import ShapedArray
from covector.core.jaxpr import JaxprEqn
from covector.distributed import calls
from covector.sharding.partition.collective import (
    collective_end_p,
    collective_p,
    collective_start_p,
)


@rule(collective_p)
def _collective(low: Lowering, eqn: JaxprEqn, x: Value) -> Value:
    (out,) = eqn.outvars
    return _called(low, x, out.aval, *calls.registration(eqn.params, eqn.invars[0].aval, out.aval))


@rule(collective_start_p)
def _start(low: Lowering, eqn: JaxprEqn, x: Value) -> Value:
    return _called(low, x, eqn.outvars[0].aval, calls.start(eqn.params, eqn.invars[0].aval))


@rule(collective_end_p)
def _end(low: Lowering, eqn: JaxprEqn, started: Value) -> Value:
    (out,) = eqn.outvars
    return _called(low, started, out.aval, calls.end(eqn.params["underway"], out.aval))


def _called(low: Lowering, x: Value, out: ShapedArray, registration: Any, *kept: Any) -> Value:
    """The result of a call, whose registration is kept, with more, as long as the program."""
    low.keepalive += (registration, *kept)
    ident = {"id": low.parameter(registration.ident)}
    (value,) = low.append(LibraryCall("callback", [x], ident, low.specs([out]), True))
    return value
