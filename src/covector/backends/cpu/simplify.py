"""Jaxpr to jaxpr: inlining, dead code, common subexpressions, constants, known indices."""

from __future__ import annotations

from covector.core.jaxpr import ClosedJaxpr
from covector.core.trace import dce


def simplify(closed: ClosedJaxpr) -> ClosedJaxpr:
    """An equivalent jaxpr with less to do."""
    return ClosedJaxpr(dce(closed.jaxpr), closed.consts)
