"""Eager operations: each is a compiled program of one equation, kept per parameters.

The runtime hands its functions to tracing here and in `execution`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from covector.core.config import runs_by_operation
from covector.core.jaxpr import ClosedJaxpr, eval_jaxpr
from covector.core.trace import EvalTrace, Primitive
from covector.runtime.execution import looks_at_results
from covector.transforms.cache import Latest
from covector.transforms.jit import Jitted, jit_p, make_jit_function

_operations = Latest(8192)
_with_jaxprs = Latest(1024)


def _has_jaxpr(params: dict[str, Any]) -> bool:
    for v in params.values():
        if type(v) is ClosedJaxpr or (type(v) is tuple and v and type(v[0]) is ClosedJaxpr):
            return True
    return False


def _name_of(prim: Primitive, params: dict[str, Any]) -> str:
    """What messages call an operation: what was called knows its name best."""
    named = getattr(params.get("callback"), "operation", None)
    return str(named or params.get("name") or prim.name)


def _operation(prim: Primitive, params: dict[str, Any]) -> Any:
    def run(*args: Any) -> list[Any]:
        out = prim.bind_params(args, params)
        return out if prim.multiple_results else [out]

    run.__name__ = _name_of(prim, params)
    jitted = Jitted(run, primitive=prim)
    return make_jit_function(jitted)


def dispatch(prim: Primitive, args: Sequence[Any], params: dict[str, Any]) -> list[Any]:
    """Run one operation on concrete values through its own compiled program."""
    key = (prim, *params.items()) if params else prim
    found = _operations.get(key)
    if found is None:
        found = _with_jaxprs.get(key)
        if found is None:
            if prim is jit_p and (runs_by_operation() or looks_at_results()):
                return eval_jaxpr(params["jaxpr"].jaxpr, params["jaxpr"].consts, *args)
            found = _operation(prim, params)
            (_with_jaxprs if _has_jaxpr(params) else _operations).add(key, found)
    return found(*args)


def traced(*args: Any) -> Any:
    """A `stages.Traced`; few processes need that module."""
    from covector.runtime import stages

    return stages.traced(*args)


def placed(*args: Any) -> Any:
    """A function whose arguments and results lie as shardings say."""
    from covector.sharding import arguments

    return arguments.placed(*args)


def move(args: Sequence[Any], params: dict[str, Any]) -> list[Any]:
    """An array moved to where the parameter ``sharding`` says."""
    from covector.runtime import constraints

    return constraints.move(args, params)


Jitted.traced = staticmethod(traced)
Jitted.placed = staticmethod(placed)
EvalTrace.move = staticmethod(move)  # type: ignore[method-assign, assignment]
EvalTrace.dispatch = staticmethod(dispatch)  # type: ignore[method-assign, assignment]
