"""What is said of a primitive for which a transformation or a backend has no rule."""

from __future__ import annotations

from covector.core.errors import SourceFrame, user_frame
from covector.core.jaxpr import JaxprEqn
from covector.core.trace import Primitive

_REMEDIES = {
    "derivative": "wrap its operand in stop_gradient, or give a rule with custom_jvp",
    "transpose": "it is not linear, or cannot be differentiated in reverse mode: use jvp or "
    "jacfwd, or give a rule with custom_vjp",
    "batching rule": "call it outside vmap, or for one example at a time with lax.map",
    "lowering rule": "this backend cannot compute it: use another backend, or pure_callback",
}


def missing_rule(
    primitive: Primitive, what: str, eqn: JaxprEqn | None = None
) -> NotImplementedError:
    """The error for a primitive without a rule: a key of `_REMEDIES`.

    ``eqn`` is the equation where a recorded program is gone through; otherwise the user's code
    is running.
    """
    frame = user_frame() if eqn is None else eqn.source_info and SourceFrame(*eqn.source_info)
    where = f", at {frame}" if frame else ""
    return NotImplementedError(f"{primitive.name} has no {what}{where}\n{_REMEDIES[what]}")
