"""Types that say where arrays are: explicit shardings, and what varies over manual axes.

Both follow from the operands of each equation while a program is traced. Operands that vary over
different axes are made to vary over all of them (`pcast`), so that derivatives sum over devices
what the devices share.
"""

from __future__ import annotations

import contextlib
from collections.abc import Hashable, Iterator, Sequence
from typing import Any

from covector import _native
from covector.core import jaxpr as jaxprs
from covector.core.avals import PlacedArray, ShapedArray, is_split, place
from covector.core.errors import at_user_line
from covector.core.jaxpr import ClosedJaxpr, JaxprEqn, Literal, all_jaxprs, eval_jaxpr, sub_jaxprs
from covector.core.rules import collective_rules, mark_rules, transpose_only, varying_rules
from covector.core.structural import optimization_barrier_p
from covector.core.trace import JaxprTrace, JaxprTracer, Primitive, trace_to_jaxpr
from covector.primitives.parallel import axis_index_p, pcast_p, psum_p
from covector.sharding.explicit import (
    ShardingTypeError,
    explicit,
    explicit_marks,
    left_open,
    mesh_of_types,
    result_shardings,
    whole_type,
)
from covector.sharding.sums import marks_here, result_marks
from covector.transforms.callbacks import pure_callback_p
from covector.transforms.io_callback import io_callback_p
from covector.transforms.vmap import varies_by_type


def placed_aval(aval: ShapedArray, sharding: Any) -> ShapedArray:
    """The type of an array that lies on a mesh with explicit axes."""
    return place(aval, explicit(sharding, len(aval.shape)), frozenset(), explicit_marks(sharding))


_native.set_placed_aval_factory(placed_aval)


def record(
    trace: JaxprTrace, prim: Primitive, invars: list[Any], params: dict[str, Any]
) -> list[Any]:
    """`JaxprTrace.process`, once there are such types."""
    avals = [a.aval for a in invars]
    if prim not in collective_rules and not any([type(a) is PlacedArray for a in avals]):
        outs, effects = prim.infer(avals, params)
        mesh = mesh_of_types()
        if mesh is not None and prim not in placing and _is_first_order(prim, params):
            outs = [whole_type(a, mesh) for a in outs]
        return trace.emit(prim, invars, outs, params, effects)
    first_order = _is_first_order(prim, params)
    if prim in transpose_only:
        first_order = False  # the user's rule says all
    if prim is pcast_p and params["to"] == "varying" and params["axis_name"] in avals[0].varying:
        return [JaxprTracer(trace, avals[0], invars[0])]
    if prim.name == "while":
        over = params["cond_jaxpr"].out_avals[0].varying
        _check_all_meet(trace, over, [params["cond_jaxpr"], params["body_jaxpr"]], "while_loop")
    if prim.name == "cond" and avals[0].varying:
        _check_all_meet(trace, avals[0].varying, params["branches"], "cond")
        invars, params = _own_ways(trace, invars, params)
        avals = [a.aval for a in invars]
    names = _axes_of(prim, params)
    varying = frozenset().union(*[a.varying for a in avals]) if avals else frozenset()
    if varying:
        # Where the program is run for all devices, their axes are those of `vmap`.
        varying = _checked(trace, varying)
    if first_order and (varying or names):
        invars, varying = _unified(trace, prim, invars, varying, names, params)
        avals = [a.aval for a in invars]
    outs, effects = prim.infer(avals, params)
    if first_order:
        checked = _checked(trace, names) if names else names
        rule = varying_rules.get(prim)
        if checked and rule is not None:
            varying = rule(varying, checked, params)
        if prim is not pcast_p and prim not in placing:
            shardings = result_shardings(prim, [] if prim in _OF_HOST else avals, outs, params)
            marks = result_marks(trace, prim, invars, outs, params)
            if checked and prim in mark_rules:
                marks = mark_rules[prim](marks, checked, params)
            outs = [place(a, s, varying, marks) for a, s in zip(outs, shardings, strict=True)]
    elif prim.name == "cond":
        branches = zip(*[b.out_avals for b in params["branches"]], strict=True)
        over = [avals[0].varying.union(*[a.varying for a in each]) for each in branches]
        outs = [
            place(a, a.placed, _checked(trace, v), a.marks) for a, v in zip(outs, over, strict=True)
        ]
    return trace.emit(prim, invars, outs, params, effects)


# Functions of the host: their results are made as other arrays are.
_OF_HOST = (pure_callback_p, io_callback_p)


def _is_first_order(prim: Primitive, params: dict[str, Any]) -> bool:
    return prim.call_param is None and not any(sub_jaxprs(params))


@contextlib.contextmanager
def _again(eqn: JaxprEqn) -> Iterator[None]:
    """What types were found to be when the equation was recorded, they are again: what its operands
    leave open was found to be replicated then, and is laid out by an equation behind it."""
    prim = eqn.primitive
    asks = _is_first_order(prim, eqn.params) and prim not in placing
    if not asks or not any(map(is_split, eqn.invars)):
        yield
        return
    sums = eqn.outvars[0].aval.marks.unreduced
    with left_open(sums, transposing=True, typed=True):
        yield


jaxprs.again = _again

# Primitives whose abstract evaluation says where their results are.
placing: set[Primitive] = {optimization_barrier_p}
JaxprTrace.record_placed = staticmethod(record)  # type: ignore[assignment]


def _check_all_meet(
    trace: JaxprTrace, varying: frozenset[Hashable], programs: Sequence[ClosedJaxpr], what: str
) -> None:
    """Raise the error for a collective that only those devices come to that go one way."""
    over = _checked(trace, varying)
    if not over:
        return
    for inner in [j for closed in programs for j in all_jaxprs(closed.jaxpr)]:
        for eqn in inner.eqns:
            met = _axes_of(eqn.primitive, eqn.params) & over
            if met and eqn.primitive not in (pcast_p, axis_index_p):
                axes = ", ".join(sorted(map(repr, met)))
                raise ValueError(
                    f"{what}: devices along {axes} may go different ways, as the type of the "
                    f"condition says, and {eqn.primitive.name} over {axes} needs all of them: it "
                    "would wait without end for those that do not come to it. Take it out of the "
                    "branch or loop, or make the condition the same on all devices, with lax.pmax "
                    f"for example{at_user_line()}"
                )


def _axes_of(prim: Primitive, params: dict[str, Any]) -> frozenset[Hashable]:
    """The axes that a collective is over."""
    if prim not in collective_rules:
        return frozenset()
    name = params["axis_name"]
    return frozenset(name if type(name) is tuple else (name,))


def _checked(trace: JaxprTrace, names: frozenset[Hashable]) -> frozenset[Hashable]:
    return frozenset([n for n in names if varies_by_type(n, trace)])


def _unified(
    trace: JaxprTrace, prim: Primitive, invars: list[Any], varying: frozenset[Hashable],
    names: frozenset[Hashable], params: dict[str, Any],
) -> tuple[list[Any], frozenset[Hashable]]:  # fmt: skip
    """Operands that all vary over the same axes, those of a collective among them."""
    if prim is pcast_p:
        return invars, varying
    wanted = varying
    if names and not (prim is psum_p and names <= marks_here(trace, invars[0].aval).unreduced):
        wanted = varying | _checked(trace, names)
    out = [_varied(trace, a, wanted) for a in invars]
    return out, wanted if invars else varying


def _own_ways(
    trace: JaxprTrace, invars: list[Any], params: dict[str, Any]
) -> tuple[list[Any], dict[str, Any]]:
    """Operands and branches of a branch that devices take on their own: what they share is cast
    outside of it, so that derivatives by it are summed over all devices, not over those that went
    one way."""
    wanted = _checked(trace, invars[0].aval.varying)
    cast = [invars[0], *[_varied(trace, a, wanted) for a in invars[1:]]]
    types = tuple([a.aval for a in cast[1:]])
    branches = tuple([_retraced(b, types) for b in params["branches"]])
    return cast, {**params, "branches": branches}


def _retraced(closed: ClosedJaxpr, avals: tuple[ShapedArray, ...]) -> ClosedJaxpr:
    """The program for arguments that vary over other axes."""
    if tuple(closed.in_avals) == avals:
        return closed
    jaxpr, consts = trace_to_jaxpr(
        lambda *xs: eval_jaxpr(closed.jaxpr, closed.consts, *xs), avals, closed.jaxpr.debug_info
    )
    return ClosedJaxpr(jaxpr, consts)


def _varied(trace: JaxprTrace, a: Any, wanted: frozenset[Hashable]) -> Any:
    """An operand that varies over these axes."""
    if not isinstance(a, Literal):
        sums = wanted & marks_here(trace, a.aval).unreduced
        if sums:
            axes = ", ".join(sorted(map(repr, sums)))
            raise ShardingTypeError(
                f"{a.aval.str_short()} is a sum over the devices along {axes} that is not taken "
                "yet, and stands where each device has a value of its own. Take it first, with "
                f"lax.psum{at_user_line()}"
            )
        for name in sorted(wanted - a.aval.varying, key=str):
            over = {"axis_name": name, "to": "varying"}
            aval, _ = pcast_p.infer([a.aval], over)
            (made,) = trace.emit(pcast_p, [a], aval, over)
            a = made._var
    return a
