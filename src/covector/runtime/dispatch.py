"""Eager operations: each is a compiled program of one equation, kept per parameters.

The runtime hands its functions to tracing here and in `execution`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from covector.core.config import runs_by_operation
from covector.core.jaxpr import ClosedJaxpr, eval_jaxpr
from covector.core.rules import has_steps, stepwise_rules
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
    jitted = Jitted(run, primitive=prim, params=params)
    return make_jit_function(jitted)


def dispatch(prim: Primitive, args: Sequence[Any], params: dict[str, Any]) -> list[Any]:
    """Run one operation on concrete values through its own compiled program."""
    key = (prim, *params.items()) if params else prim
    found = _operations.get(key)
    if found is None:
        kept = _operations
        if _has_jaxpr(params):
            by_operation = runs_by_operation() or (prim is jit_p and looks_at_results())
            if by_operation and has_steps(prim):
                return step_by_step(prim, args, params)
            kept = _with_jaxprs
            found = kept.get(key)
        if found is None:
            found = _operation(prim, params)
            kept.add(key, found)
    return found(*args)


def step_by_step(prim: Primitive, args: Sequence[Any], params: dict[str, Any]) -> list[Any]:
    """The results of an operation with programs inside, whose operations are dispatched one by
    one."""
    if prim.call_param is not None:
        closed = params[prim.call_param]
        return eval_jaxpr(closed.jaxpr, closed.consts, *args)
    return stepwise_rules[prim](args, params)


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
