"""Calls of Python functions, names for values, and values that are kept."""

from __future__ import annotations

from typing import Any

from covector.compiler.ir.nodes import LibraryCall, Value
from covector.compiler.lower.lowering import Lowering, rule
from covector.control_flow.checkpoint import name_p
from covector.control_flow.composite import dce_sink_p
from covector.core.jaxpr import JaxprEqn
from covector.runtime import foreign
from covector.runtime.callbacks import register
from covector.transforms.callbacks import debug_callback_p, pure_callback_p
from covector.transforms.checks import cannot_stop, check_p
from covector.transforms.foreign import ForeignFunction
from covector.transforms.io_callback import io_callback_p


def _callback(low: Lowering, eqn: JaxprEqn, effect: bool, *args: Value) -> list[Value]:
    ins = [a.aval for a in eqn.invars]
    outs = [v.aval for v in eqn.outvars]
    what = eqn.params["callback"]
    if type(what) is ForeignFunction:
        registration: Any = foreign.registration(what, ins, outs)
    else:
        registration = register(eqn, ins, outs)
    low.keepalive.append(registration)
    # The identity of the callback is a run-time parameter: the code does not depend on it.
    sym = low.parameter(registration.ident)
    return low.append(LibraryCall("callback", args, {"id": sym}, low.specs(outs), effect))


@rule(debug_callback_p)
def _debug_callback(low: Lowering, eqn: JaxprEqn, *args: Value) -> list[Value]:
    return _callback(low, eqn, True, *args)


@rule(pure_callback_p)
def _pure_callback(low: Lowering, eqn: JaxprEqn, *args: Value) -> list[Value]:
    return _callback(low, eqn, bool(eqn.effects), *args)


@rule(io_callback_p)
def _io_callback(low: Lowering, eqn: JaxprEqn, *args: Value) -> list[Value]:
    return _callback(low, eqn, True, *args)


@rule(check_p)
def _check(low: Lowering, eqn: JaxprEqn, *args: Value) -> list[Value]:
    if eqn.params["debug"]:
        return []
    raise cannot_stop(eqn)


@rule(name_p)
def _name(low: Lowering, eqn: JaxprEqn, x: Value) -> Value:
    return x


@rule(dce_sink_p)
def _kept(low: Lowering, eqn: JaxprEqn, *args: Value) -> list[Value]:
    return []
