"""What is computed as soon as all is at hand that it is made of, though it is read later.

Elements of values that are not stored are written where they are read. In a long chain of such
values beside one of stages, the stages would all be written first, and each of their results would
wait in a register for the end.
"""

from __future__ import annotations

from collections.abc import Callable

from covector.compiler.ir.nodes import Expr, Load, Op, Value, ivars
from covector.compiler.ir.walk import loads
from covector.compiler.schedule.nodes import Nest

# Values that may wait at a time, in the place of the results that they are made of.
_MOST = 1


def after(nest: Nest, inline: Callable[[Value], bool]) -> dict[Value, list[Value]]:
    """By the value of a stage of which nothing is stored: what is computed right after it."""
    stages = {s.value: k for k, s in enumerate(nest.stages)}
    if len(nest.contracted) < 2 or not all([s.kind == "pointwise" for s in nest.stages]):
        return {}
    # The last stage that a value is made of; -1 if there is none.
    last: dict[Value, int] = {}
    found: dict[Value, list[Value]] = {}
    # The last stage that what reads a value is made of: so long the value waits.
    wanted: dict[Value, int] = {}
    # The values that a value is made of, if it is made of no stage itself.
    parts: dict[Value, list[Value]] = {}

    def made_of(e: Expr) -> tuple[int, list[Value]]:
        """The last stage that an expression is made of, and the values of elements in it that could
        be computed before."""
        if type(e) is Op:
            pairs = [made_of(a) for a in e.args]
            return max([k for k, _ in pairs]), [v for _, vs in pairs for v in vs]
        if type(e) is not Load or not e.value.ndim:
            return -1, []
        v = e.value
        same = e.index == ivars(v.ndim)
        if v in stages:
            # Another element than the one at hand is there for the stage that reads it.
            return stages[v] if same else len(stages), []
        if not inline(v) or not same:
            return -1, []
        if v not in last:
            last[v], before = made_of(v.defn.expr)
            note(last[v], before)
            if not any([u.value in stages for u in loads(v.defn.expr)]):
                parts[v] = before
        return last[v], [v]

    def note(end: int, before: list[Value]) -> None:
        for v in before:
            made = nest.stages[last[v]].value if 0 <= last[v] < end else None
            if made is not None and made.shape == v.shape:
                waiting = found.setdefault(made, [])
                if v not in waiting:
                    waiting.append(v)
                wanted[v] = max(wanted.get(v, 0), end)

    for k, s in enumerate(nest.stages):
        _, before = made_of(s.expr)
        note(k - 1, before)
    for v in list(wanted):
        # What is made of values that wait as long anyway need not wait.
        if parts.get(v) and all([wanted.get(u, 0) >= wanted[v] for u in parts[v]]):
            del wanted[v]
    waiting = [sum([last[v] <= k < end for v, end in wanted.items()]) for k in range(len(stages))]
    if max(waiting) > _MOST:
        return {}
    kept = {v: [u for u in values if u in wanted] for v, values in found.items()}
    return {v: values for v, values in kept.items() if values and v in nest.contracted}
