"""Derivative rules of users as programs, for files that hold no Python."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from covector.control_flow.custom_jvp import custom_jvp_call_p
from covector.control_flow.custom_vjp import custom_vjp_call_p
from covector.core.avals import ShapedArray
from covector.core.dtypes import float0
from covector.core.errors import at_user_line
from covector.core.jaxpr import ClosedJaxpr, JaxprEqn, eval_jaxpr
from covector.core.rules import Zero
from covector.core.structural import instantiate
from covector.core.trace import Tracer, trace_to_jaxpr

# The parameter of a primitive that holds the rule.
RULE_PARAM = {custom_jvp_call_p: "jvp", custom_vjp_call_p: "fwd"}


class StoredRule:
    """A rule that is made of programs."""

    programs: tuple[ClosedJaxpr, ...]

    def mapped(self, change: Callable[[ClosedJaxpr], ClosedJaxpr]) -> StoredRule:
        """The rule with other programs."""
        raise NotImplementedError


class StoredJvp(StoredRule):
    """The rule of a `custom_jvp` function.

    Attributes
    ----------
    programs : tuple of ClosedJaxpr
        One, from the primals and the tangents of those marked in ``moving`` to the results and
        the tangents of those marked in ``moved``.
    """

    def __init__(
        self, programs: Sequence[ClosedJaxpr], moving: Sequence[bool], moved: Sequence[bool]
    ) -> None:
        self.programs = tuple(programs)
        self.moving = list(moving)
        self.moved = list(moved)

    @staticmethod
    def of(eqn: JaxprEqn) -> StoredJvp:
        """The rule of an equation, traced for its operands."""
        rule = eqn.params["jvp"]
        avals = [a.aval for a in eqn.invars]
        tangents = [a.to_tangent_aval() for a in avals]
        # What the function closes over is not differentiated.
        closed_over = eqn.params["num_consts"]
        moving = [t.dtype != float0 and i >= closed_over for i, t in enumerate(tangents)]
        moved: list[bool] = []

        def fun(*args: Any) -> list[Any]:
            rest = iter(args[len(avals) :])
            ts = [next(rest) if m else Zero(t) for m, t in zip(moving, tangents, strict=True)]
            outs, out_ts = rule(args[: len(avals)], ts)
            moved[:] = [type(t) is not Zero for t in out_ts]
            return [*outs, *(t for t in out_ts if type(t) is not Zero)]

        types = [*avals, *(t for t, m in zip(tangents, moving, strict=True) if m)]
        return StoredJvp([traced(fun, types)], moving, moved)

    def __call__(
        self, primals: Sequence[Any], tangents: Sequence[Any]
    ) -> tuple[list[Any], list[Any]]:
        (closed,) = self.programs
        given = [instantiate(t) for t, m in zip(tangents, self.moving, strict=True) if m]
        found = eval_jaxpr(closed.jaxpr, closed.consts, *primals, *given)
        outs, rest = found[: len(self.moved)], iter(found[len(self.moved) :])
        return outs, [
            next(rest) if m else Zero.of(x) for m, x in zip(self.moved, outs, strict=True)
        ]

    def mapped(self, change: Callable[[ClosedJaxpr], ClosedJaxpr]) -> StoredJvp:
        return StoredJvp([change(p) for p in self.programs], self.moving, self.moved)


class StoredVjp(StoredRule):
    """The rule of a `custom_vjp` function.

    Attributes
    ----------
    programs : tuple of ClosedJaxpr
        From the arguments to ``num_outs`` results and the residuals; from residuals and
        cotangents to the cotangents of the arguments marked in ``moved``.
    """

    def __init__(
        self, programs: Sequence[ClosedJaxpr], num_outs: int, moved: Sequence[bool]
    ) -> None:
        self.programs = tuple(programs)
        self.num_outs = num_outs
        self.moved = list(moved)

    @staticmethod
    def of(eqn: JaxprEqn) -> StoredVjp:
        """The rule of an equation, traced for its operands."""
        rule = eqn.params["fwd"]
        avals = [a.aval for a in eqn.invars]
        active = [a.to_tangent_aval().dtype != float0 for a in avals]
        num_outs = 0
        backward: Any = None

        def forward(*args: Any) -> list[Any]:
            nonlocal num_outs, backward
            outs, res, backward = rule(args, active)
            num_outs = len(outs)
            return [*outs, *res]

        first = traced(forward, avals)
        out_avals, res_avals = first.out_avals[:num_outs], first.out_avals[num_outs:]
        cts = [a.to_cotangent_aval() for a in out_avals]
        moved: list[bool] = []

        def back(*args: Any) -> list[Any]:
            found = backward(args[: len(res_avals)], args[len(res_avals) :])
            moved[:] = [type(ct) is not Zero for ct in found]
            return [ct for ct in found if type(ct) is not Zero]

        second = traced(back, [*res_avals, *(a for a in cts if a.dtype != float0)])
        return StoredVjp([first, second], num_outs, moved)

    def __call__(
        self, args: Sequence[Any], active: Sequence[bool]
    ) -> tuple[list[Any], list[Any], Callable[..., list[Any]]]:
        first, second = self.programs
        found = eval_jaxpr(first.jaxpr, first.consts, *args)
        avals = first.in_avals

        def backward(res: Sequence[Any], cts: Sequence[Any]) -> list[Any]:
            given = [instantiate(ct) for ct in cts]
            rest = iter(eval_jaxpr(second.jaxpr, second.consts, *res, *given))
            return [
                next(rest) if m else Zero(a.to_cotangent_aval())
                for m, a in zip(self.moved, avals, strict=True)
            ]

        return found[: self.num_outs], found[self.num_outs :], backward

    def mapped(self, change: Callable[[ClosedJaxpr], ClosedJaxpr]) -> StoredVjp:
        return StoredVjp([change(p) for p in self.programs], self.num_outs, self.moved)


class NoRule(StoredRule):
    """In the place of a rule that is deeper than the derivatives that a file was made for."""

    programs = ()

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, *args: Any) -> NoReturn:
        raise ValueError(
            f"the file of an exported function does not hold the derivative rule of {self.name} "
            "for as many derivatives: write it with a larger vjp_order, "
            f"exported.serialize(vjp_order=...){at_user_line()}"
        )

    def mapped(self, change: Callable[[ClosedJaxpr], ClosedJaxpr]) -> NoRule:
        return self


def traced(fun: Callable[..., Sequence[Any]], avals: Sequence[ShapedArray]) -> ClosedJaxpr:
    """The program of a function of flat arrays that closes over nothing traced."""
    jaxpr, consts = trace_to_jaxpr(fun, avals)
    if any(isinstance(c, Tracer) for c in consts):
        raise ValueError(
            "a derivative rule closes over a traced value: its function must take it as an argument"
            f"{at_user_line()}"
        )
    return ClosedJaxpr(jaxpr, consts)


def stored(eqn: JaxprEqn, depth: int) -> StoredRule:
    """The rule of an equation as programs; below ``depth`` levels of rules there are none."""
    rule = eqn.params[RULE_PARAM[eqn.primitive]]
    if isinstance(rule, StoredRule):
        return rule if depth else NoRule(eqn.params["name"])
    if not depth:
        return NoRule(eqn.params["name"])
    return StoredJvp.of(eqn) if eqn.primitive is custom_jvp_call_p else StoredVjp.of(eqn)
