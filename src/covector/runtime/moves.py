"""Moves to devices within programs, `device_put` of traced values.

A program runs on one device. Its results may be moved when it has run; where it computes with what
was moved, that says where it runs. So does a constraint to a device, as `in_shardings`,
`out_shardings` and `with_sharding_constraint` have it; what is constrained to a kind of memory, and
is a result, is moved there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from covector.core.avals import Array, ShapedArray, to_array
from covector.core.device import Space
from covector.core.errors import at_user_line
from covector.core.jaxpr import Jaxpr, JaxprEqn, all_jaxprs
from covector.core.record import Record
from covector.core.rules import (
    batching_rules,
    jvp_rules,
    layout_primitives,
    transpose_rules,
)
from covector.core.structural import instantiate
from covector.core.trace import Primitive, Tracer
from covector.runtime.placement import Placement, Sharding, in_space, placement, put
from covector.transforms.jit import Entry, jit_p

Target = Sharding | Space

# Params: where the result is to be, and where the cotangent of the operand is (None: anywhere).
move_p = Primitive("move")


def moved(x: Any, where: Target) -> Array:
    """A concrete value at a place."""
    array = to_array(x)
    sharding = in_space(array.sharding, where) if isinstance(where, Space) else where
    return put(array, placement(sharding, True))


@move_p.def_impl
def _move(x: Any, *, where: Target, source: Target | None) -> Any:
    return x if isinstance(x, Tracer) else moved(x, where)


@move_p.def_abstract_eval
def _move_aval(x: ShapedArray, *, where: Target, source: Target | None) -> ShapedArray:
    return x


def _jvp(
    primals: Sequence[Any], tangents: Sequence[Any], *, where: Target, source: Target | None
) -> tuple[Any, Any]:
    (x,), (t,) = primals, tangents
    if type(x) is Array and x.committed:
        source = x.sharding
    out = move_p.bind(x, where=where, source=source)
    return out, move_p.bind(instantiate(t), where=where, source=source)


def _transpose(ct: Any, x: Any, *, where: Target, source: Target | None) -> list[Any]:
    return [ct if source is None else move_p.bind(ct, where=source, source=where)]


def _batch(
    axis_size: int, args: Sequence[Any], dims: Sequence[int], **params: Any
) -> tuple[Any, int]:
    return move_p.bind(*args, **params), dims[0]


jvp_rules[move_p] = _jvp
transpose_rules[move_p] = _transpose
batching_rules[move_p] = _batch


class Moves(Record):
    """Where the results of a program are to be, and what it computes with is.

    Attributes
    ----------
    results : tuple of Sharding, Space or None
    inside : frozenset of Sharding and Space
    """

    results: tuple[Target | None, ...]
    inside: frozenset[Target]

    @property
    def any_result(self) -> bool:
        """Whether results are to be elsewhere than the program has them."""
        return any(m is not None for m in self.results)


def moves_of(entry: Entry) -> Moves | None:
    """The moves in a traced function; None where there are none, as almost everywhere."""
    if entry.moves is None:
        jaxpr = entry.closed.jaxpr
        none = all(_asked(e) is None for j in all_jaxprs(jaxpr) for e in j.eqns)
        entry.moves = (None if none else _found(jaxpr),)
    found: Moves | None = entry.moves[0]
    return found


def _asked(eqn: JaxprEqn) -> Target | None:
    """Where an equation says that a value is to be, or the program is to run."""
    if eqn.primitive is move_p:
        found: Target = eqn.params["where"]
        return found
    if eqn.primitive in layout_primitives:
        sharding = eqn.params.get("sharding")
        if isinstance(sharding, Sharding) and (not sharding.spread or _elsewhere(sharding)):
            return sharding
    return None


def _elsewhere(sharding: Sharding) -> bool:
    """Whether it is a kind of memory in which programs do not have their results."""
    return sharding != sharding.with_memory_kind(None)


def _found(jaxpr: Jaxpr) -> Moves:
    at: dict[Any, Target] = {}
    inside: set[Target] = set()
    for eqn in jaxpr.eqns:
        where = _asked(eqn)
        if where is not None:
            if isinstance(where, Space) or eqn.primitive is move_p or _elsewhere(where):
                at[eqn.outvars[0]] = where
            if eqn.primitive is not move_p and not cast(Sharding, where).spread:
                inside.add(where)
            continue
        inside.update([at[a] for a in eqn.invars if a in at])
        if eqn.primitive is jit_p:
            inner = _found(eqn.params["jaxpr"].jaxpr)
            at.update({v: m for v, m in zip(eqn.outvars, inner.results, strict=True) if m})
            inside |= inner.inside
        else:
            for value in eqn.params.values():
                for closed in value if isinstance(value, (tuple, list)) else (value,):
                    body = getattr(closed, "jaxpr", closed)
                    if isinstance(body, Jaxpr):
                        inner = _found(body)
                        inside |= inner.inside | {m for m in inner.results if m}
    return Moves(tuple([at.get(v) for v in jaxpr.outvars]), frozenset(inside))


def place_of(moves: Moves, where: Placement, name: str) -> Placement:
    """Where a program runs: with what it computes with.

    Raises
    ------
    ValueError
        If that is on other devices than the committed arguments.
    """
    inside = {s.with_memory_kind(None) for s in moves.inside if not isinstance(s, Space)}
    if inside <= {where.sharding}:
        return where
    if len(inside) == 1 and not where.committed:
        return placement(next(iter(inside)), True)
    found = sorted(map(repr, inside | ({where.sharding} if where.committed else set())))
    raise ValueError(
        f"{name} computes with values on different devices: its arguments, or what device_put "
        f"moves within it, are on {', '.join(found)}. A compiled function runs on one device, from "
        "which its results alone may be moved: call device_put before it, or cut it in two"
        f"{at_user_line()}"
    )


def move_results(moves: Moves, outs: Sequence[Any]) -> list[Any]:
    """The results where they are to be."""
    targets = moves.results[: len(outs)]  # behind them are values of references
    return [x if m is None else moved(x, m) for x, m in zip(outs, targets, strict=True)]
