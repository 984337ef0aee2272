"""Programs with symbolic sizes, and what they are for known ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from covector.core import dims
from covector.core.avals import ShapedArray, place
from covector.core.dims import Dim, DimExpr, substituted
from covector.core.errors import at_user_line
from covector.core.jaxpr import Atom, ClosedJaxpr, DropVar, Jaxpr, JaxprEqn, Literal, Var
from covector.export._rules import RULE_PARAM, StoredRule, stored
from covector.sharding.named import NamedSharding


class Refined:
    """Puts values of the variables, and other shardings, into programs; what several share stays
    shared."""

    def __init__(self, values: dict[str, Dim], lay: Callable[[Any], Any] | None = None) -> None:
        self.values = values
        self._lay = lay  # makes of shardings in programs others
        self._depth = _DEPTH
        self._done: dict[int, tuple[Jaxpr, Jaxpr]] = {}

    def closed(self, closed: ClosedJaxpr) -> ClosedJaxpr:
        return ClosedJaxpr(self.jaxpr(closed.jaxpr), closed.consts)

    def _size(self, d: Any) -> Any:
        return substituted(d, self.values) if self.values else d

    def aval(self, aval: ShapedArray) -> ShapedArray:
        if all(type(d) is int for d in aval.shape):
            return aval
        known = aval.update(shape=tuple([self._size(d) for d in aval.shape]))
        return place(known, aval.placed, aval.varying, aval.marks)

    def param(self, value: Any) -> Any:
        """A parameter of an equation; itself if there are no variables in it."""
        match value:
            case DimExpr():
                return self._size(value)
            case ClosedJaxpr():
                return self.closed(value)
            case Jaxpr():
                return self.jaxpr(value)
            case ShapedArray():
                return self.aval(value)
            case StoredRule():
                return value.mapped(self.closed)
            case NamedSharding():
                return value if self._lay is None else self._lay(value)
            case tuple() | list():
                items = [self.param(v) for v in value]
                if all(a is b for a, b in zip(items, value, strict=True)):
                    return value
                kind = type(value)
                return kind(*items) if hasattr(value, "_fields") else kind(items)
        return value

    def jaxpr(self, jaxpr: Jaxpr) -> Jaxpr:
        found = self._done.get(id(jaxpr))
        if found is None:
            found = self._done[id(jaxpr)] = (jaxpr, self._made(jaxpr))
        return found[1]

    def _made(self, jaxpr: Jaxpr) -> Jaxpr:
        env: dict[Var, Var] = {}

        def define(v: Var) -> Var:
            made = type(v)(self.aval(v.aval))
            if not isinstance(v, DropVar):
                env[v] = made
            return made

        def read(a: Atom) -> Atom:
            if isinstance(a, Var):
                return env[a]
            return Literal(self._size(a.val), a.aval)

        constvars, invars = ([define(v) for v in vs] for vs in (jaxpr.constvars, jaxpr.invars))
        eqns = []
        for e in jaxpr.eqns:
            ins = [read(a) for a in e.invars]
            params = self._params(e)
            outs = [define(v) for v in e.outvars]
            eqns.append(JaxprEqn(ins, outs, e.primitive, params, e.effects, e.source_info))
        outvars = [read(a) for a in jaxpr.outvars]
        return Jaxpr(constvars, invars, outvars, eqns, jaxpr.effects, jaxpr.debug_info)

    def _params(self, e: JaxprEqn) -> dict[str, Any]:
        name = RULE_PARAM.get(e.primitive)
        if name is None or isinstance(e.params[name], StoredRule):
            return {k: self.param(v) for k, v in e.params.items()}
        # Rules of users may close over sizes: only as programs can they be refined.
        rule = stored(e, self._depth)
        params = {k: self.param(v) for k, v in e.params.items() if k != name}
        self._depth -= 1
        params[name] = self.param(rule)
        self._depth += 1
        return params


# How many times a function with symbolic sizes can be differentiated by rules of users.
_DEPTH = 3


# --- the values of the variables, from the shapes of arguments -----------------------------------


def scope_of(avals: Sequence[ShapedArray]) -> Any:
    """The scope of the variables in these types, or None."""
    for a in avals:
        for d in a.shape:
            if type(d) is DimExpr:
                return d.scope
    return None


def solve(
    avals: Sequence[ShapedArray], shapes: Sequence[Sequence[Dim]], name: Callable[[int], str],
    what: str,
) -> dict[str, Dim]:  # fmt: skip
    """The values of the dimension variables for which arguments have these shapes.

    Raises
    ------
    ValueError
        If there are none, or if they do not keep the constraints.
    """
    waiting = [
        (i, k, d, n)
        for i, (a, shape) in enumerate(zip(avals, shapes, strict=True))
        for k, (d, n) in enumerate(zip(a.shape, shape, strict=True))
    ]
    values: dict[str, Dim] = {}
    later = []
    while waiting:
        for i, k, d, n in waiting:
            if not _solve_one(d, n, values, f"{name(i)}.shape[{k}]", what):
                later.append((i, k, d, n))
        if len(later) == len(waiting):
            i, k, d, _ = later[0]
            raise ValueError(
                f"{what}: the sizes of the arguments do not say what the variables in {d}, which "
                f"is {name(i)}.shape[{k}], are: one size must be a variable alone, or a multiple "
                f"of it and a number{at_user_line()}"
            )
        waiting, later = later, []
    _check(avals, values, what)
    return values


def _solve_one(d: Dim, n: Dim, values: dict[str, Dim], where: str, what: str) -> bool:
    """Take from ``d == n`` the value of a variable, or check it; False if that must wait."""
    unknown = dims.variables_of(d) - values.keys()
    if not unknown:
        found = substituted(d, values)
        if found != n:
            given = "".join([f", {v} = {x}" for v, x in values.items()])
            spec = f"{d}, that is {found}{given}" if type(d) is DimExpr else f"{d}"
            raise ValueError(
                f"{what}: {where} is {n}, and the function was exported for {spec}{at_user_line()}"
            )
        return True
    (variable, *more) = unknown
    if more:
        return False
    # Linear in the one variable: k * v + rest.
    coefficient, rest = 0, n
    for m, k in d.terms:
        if any(f.operands for f, _ in m):
            return False
        powers = {f.name: p for f, p in m}
        if powers.get(variable, 0) > 1:
            return False
        part: Dim = k
        for f, p in m:
            if f.name != variable:
                part = part * values[f.name] ** p
        if variable in powers:
            coefficient = coefficient + part
        else:
            rest = rest - part
    value, over = divmod(rest, coefficient) if coefficient != 0 else (0, 1)
    if over != 0:
        raise ValueError(
            f"{what}: {where} is {n}, and the function was exported for {d}, which is that for no "
            f"integer {variable}{at_user_line()}"
        )
    values[variable] = value
    return True


def _check(avals: Sequence[ShapedArray], values: dict[str, Dim], what: str) -> None:
    """Raise the error for values that the function was not exported for."""
    scope = scope_of(avals)
    if scope is None:
        return
    for variable, n in values.items():
        if not n >= 1 or dims.is_nonnegative(dims.LARGEST - n) is False:
            raise ValueError(
                f"{what}: the dimension variable {variable} would be {n}; a variable stands for "
                f"sizes from 1 to 2^31 - 1{at_user_line()}"
            )
    broken = scope.check(values)
    if broken is not None:
        given = ", ".join([f"{v} = {x}" for v, x in values.items()])
        raise ValueError(
            f"{what}: the sizes {given} do not keep the constraint {broken!r} that the function "
            f"was exported with{at_user_line()}"
        )
