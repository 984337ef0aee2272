"""The passes over jaxprs: their list, running them, leaving some out, watching them."""

from __future__ import annotations

import contextlib
import functools
import itertools
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from typing import Any

from covector.compiler.passes.additions import ADDITIONS
from covector.compiler.passes.cotangents import COTANGENTS
from covector.compiler.passes.counters import count
from covector.compiler.passes.folding import FOLDING
from covector.compiler.passes.identities import IDENTITIES
from covector.compiler.passes.inlining import inline
from covector.compiler.passes.layout import LAYOUT
from covector.compiler.passes.regions import REGIONS
from covector.compiler.passes.rewriter import Apply, Rewriter, Table, by_primitive
from covector.core.config import config
from covector.core.dce import dce
from covector.core.jaxpr import ClosedJaxpr, Jaxpr, Var, check_jaxpr
from covector.core.record import Record
from covector.core.trace import Primitive


class Pass(Record):
    """A pass: a table of rewrite rules, or a function of jaxprs.

    Results stay the same, bit for bit, if an ``optional`` one is left out.
    """

    name: str
    summary: str
    does: Table | Callable[[ClosedJaxpr], ClosedJaxpr]
    optional: bool = True


def _drop_dead(closed: ClosedJaxpr) -> ClosedJaxpr:
    jaxpr = dce(closed.jaxpr)
    used: set[Any] = {a for e in jaxpr.eqns for a in e.invars if isinstance(a, Var)}
    used.update(a for a in jaxpr.outvars if isinstance(a, Var))
    kept = [p for p in zip(jaxpr.constvars, closed.consts, strict=True) if p[0] in used]
    return ClosedJaxpr(jaxpr.replace(constvars=[v for v, _ in kept]), [c for _, c in kept])


# Without rules: it stands for what every sweep does unless it is left out.
SHARING = Table("sharing")
# In the order in which they run. Neighbouring tables share one sweep, in which each sees what the
# others have made of the operands.
PASSES = (
    Pass("inlining", "calls are replaced by what they call", inline, optional=False),
    Pass("counters", "what the counter of a loop runs through is taken by element", count),
    Pass("sharing", "equal operations are computed once", SHARING),
    Pass("folding", "operations on literals are computed", FOLDING),
    Pass("identities", "operations that give back an operand go", IDENTITIES),
    Pass("layout", "reshapes, broadcasts and transpositions of one another become one", LAYOUT),
    Pass(
        "regions",
        "slices at known indices are looked for through the updates before them",
        REGIONS,
    ),
    Pass("additions", "what is added to an element is added where it is", ADDITIONS),
    Pass("cotangents", "what is zero outside a part is added to that part", COTANGENTS),
    Pass("dead code", "operations that nothing reads go", _drop_dead),
)
TABLES = [p.does for p in PASSES if isinstance(p.does, Table)]
OPTIONAL = frozenset(p.name for p in PASSES if p.optional)
# Passes that run together: neighbouring tables, or one function.
_GROUPS = [
    group
    for is_table, found in itertools.groupby(PASSES, lambda p: isinstance(p.does, Table))
    for group in ([list(found)] if is_table else [[p] for p in found])
]

_left_out: ContextVar[frozenset[str]] = ContextVar("left_out", default=frozenset())
_cache: weakref.WeakKeyDictionary[Jaxpr, tuple[list[Any], ClosedJaxpr]] = (
    weakref.WeakKeyDictionary()
)


@contextlib.contextmanager
def without(*names: str) -> Iterator[None]:
    """Leave out passes in programs lowered in this block."""
    unknown = set(names) - OPTIONAL
    if unknown:
        raise ValueError(
            f"there is no pass {', '.join(sorted(unknown))} that can be left out; there are "
            f"{', '.join(p.name for p in PASSES if p.optional)}"
        )
    token = _left_out.set(_left_out.get() | set(names))
    try:
        yield
    finally:
        _left_out.reset(token)


def simplify(closed: ClosedJaxpr) -> ClosedJaxpr:
    """An equivalent jaxpr without calls and with less to do."""
    left_out = _left_out.get()
    if left_out:
        return _run(closed, OPTIONAL - left_out)
    found = _cache.get(closed.jaxpr)
    if found is not None and all(a is b for a, b in zip(found[0], closed.consts, strict=True)):
        return found[1]
    out = _run(closed, OPTIONAL)
    _cache[closed.jaxpr] = (closed.consts, out)
    return out


def _run(closed: ClosedJaxpr, active: frozenset[str]) -> ClosedJaxpr:
    for group in _GROUPS:
        closed = _together(group, closed, active)
    return closed


def _together(group: Sequence[Pass], closed: ClosedJaxpr, active: frozenset[str]) -> ClosedJaxpr:
    """What the active passes of a group make of a jaxpr."""
    (*_, last) = group
    if isinstance(last.does, Table):
        # A sweep without rules still simplifies the jaxprs of loops and branches.
        rules = _rules(active.intersection(p.name for p in group))
        return _checked(Rewriter(rules, SHARING.name in active, simplify).run(closed))
    return _checked(last.does(closed)) if last.name in active or not last.optional else closed


@functools.cache
def _rules(active: frozenset[str]) -> dict[Primitive, tuple[Apply, ...]]:
    return by_primitive([t for t in TABLES if t.name in active])


def _checked(closed: ClosedJaxpr) -> ClosedJaxpr:
    if config.enable_checks:
        check_jaxpr(closed.jaxpr)
    return closed


class Step(Record):
    """What a pass made of a program, and the seconds that it took."""

    name: str
    before: ClosedJaxpr
    after: ClosedJaxpr
    seconds: float


def steps(closed: ClosedJaxpr) -> Iterator[Step]:
    """The passes one after another.

    Those that share a sweep are shown by sweeps with one of them more each time; the last is the
    one that programs get.
    """

    for group in _GROUPS:
        before = shown = closed
        for k, one in enumerate(group):
            active = OPTIONAL - {p.name for p in group[k + 1 :]}
            start = time.perf_counter()
            closed = _together(group, before, active)
            yield Step(one.name, shown, closed, time.perf_counter() - start)
            shown = closed
