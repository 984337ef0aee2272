"""Which values a policy of `checkpoint` keeps, inside of loops and branches too."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from covector.control_flow.cond_rules import Slots, cond_p
from covector.control_flow.scan_rules import scan_p
from covector.core.avals import ShapedArray
from covector.core.dce import dce
from covector.core.jaxpr import ClosedJaxpr, JaxprEqn, Literal, Var, bind_again, eval_jaxpr
from covector.core.places import at_equations
from covector.core.structural import zeros
from covector.core.trace import trace_to_jaxpr
from covector.transforms.cache import cached_on_jaxpr
from covector.transforms.dce_rules import pick
from covector.transforms.jaxprs import permute
from covector.transforms.jit import jit_p

Policy = Callable[..., Any]


class Saved:
    """A jaxpr split by a policy.

    Attributes
    ----------
    known : ClosedJaxpr
        From the known arguments to the known results, then the kept values.
    rest : ClosedJaxpr
        The whole, which takes the kept values before its arguments in place of computing them.
    known_out : tuple of bool
        Which results are known.
    kept : list of ShapedArray
        Types of the kept values.
    """

    __slots__ = ("known", "rest", "known_out", "kept")

    def __init__(
        self,
        known: ClosedJaxpr,
        rest: ClosedJaxpr,
        known_out: tuple[bool, ...],
        kept: list[ShapedArray],
    ) -> None:
        self.known = known
        self.rest = rest
        self.known_out = known_out
        self.kept = kept


class _Split(NamedTuple):
    """An equation split likewise: ``known`` computes the known results and ``kept``."""

    known: JaxprEqn
    rest: JaxprEqn
    known_out: list[bool]
    kept: list[Var]


class _Decision:
    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return self.name


Saveable = _Decision("Saveable")
Recompute = _Decision("Recompute")


class Offloadable(NamedTuple):
    """What a policy of `checkpoint` returns for a value to be kept in another memory.

    A CPU has one memory: the value is kept there.

    Attributes
    ----------
    src, dst : str
        Kinds of memory.

    Examples
    --------
    >>> import covector as cv
    >>> import covector.numpy as np
    >>> from covector.ad_checkpoint import Offloadable
    >>> policy = lambda prim, *avals, **params: Offloadable("device", "pinned_host")
    >>> cv.grad(cv.checkpoint(lambda x: np.sin(np.sin(x)), policy=policy))(0.0)
    Array(1., dtype=float32, weak_type=True)
    """

    src: Any
    dst: Any


def saveable(decision: Any) -> bool:
    """Whether what a policy returned says to keep a value."""
    return decision is Saveable or decision is True or type(decision) is Offloadable


@cached_on_jaxpr
def inline_calls(closed: ClosedJaxpr) -> ClosedJaxpr:
    """``closed`` with calls of compiled functions replaced by their operations."""
    if not any(eqn.primitive is jit_p for eqn in closed.eqns):
        return closed

    def run(jaxpr: Any, consts: Sequence[Any], *args: Any) -> list[Any]:
        env: dict[Any, Any] = dict(zip(jaxpr.constvars, consts, strict=True))
        env.update(zip(jaxpr.invars, args, strict=True))
        with at_equations() as at:
            for eqn in jaxpr.eqns:
                at(eqn.source_info)
                vals = [a.val if type(a) is Literal else env[a] for a in eqn.invars]
                if eqn.primitive is jit_p:
                    inner = eqn.params["jaxpr"]
                    out = run(inner.jaxpr, inner.consts, *vals)
                else:
                    out = bind_again(eqn, vals)
                    if not eqn.primitive.multiple_results:
                        out = [out]
                env.update(zip(eqn.outvars, out, strict=True))
        return [a.val if type(a) is Literal else env[a] for a in jaxpr.outvars]

    jaxpr, consts = trace_to_jaxpr(
        lambda *xs: run(closed.jaxpr, closed.consts, *xs), closed.in_avals, closed.jaxpr.debug_info
    )
    return ClosedJaxpr(jaxpr, consts)


@cached_on_jaxpr
def split_saved(closed: ClosedJaxpr, unknown: tuple[bool, ...], policy: Policy) -> Saved:
    """Split off what a policy keeps of ``closed``, some of whose arguments are unknown."""
    jaxpr = closed.jaxpr
    known: set[Any] = set(jaxpr.constvars)
    known.update(v for v, u in zip(jaxpr.invars, unknown, strict=True) if not u)
    kept: list[Var] = []
    rest: list[JaxprEqn] = []
    known_eqns: list[JaxprEqn] = []
    for eqn in jaxpr.eqns:
        given = [type(a) is Literal or a in known for a in eqn.invars]
        whole = all(given)
        keeps = whole and saveable(
            policy(eqn.primitive, *[a.aval for a in eqn.invars], **eqn.params)
        )
        rule = None if keeps or eqn.effects else _rules.get(eqn.primitive)
        split = rule(eqn, given, policy) if rule is not None else None
        if split is not None:
            known_eqns.append(split.known)
            known.update(pick(eqn.outvars, split.known_out))
            kept += split.kept
            rest.append(split.rest)
            continue
        if whole:
            known.update(eqn.outvars)
            known_eqns.append(eqn)
        if keeps:
            kept += eqn.outvars
        else:
            rest.append(eqn)
    known_out = tuple(type(v) is Literal or v in known for v in jaxpr.outvars)
    first = jaxpr.replace(
        invars=pick(jaxpr.invars, [not u for u in unknown]),
        eqns=known_eqns,
        outvars=[*pick(jaxpr.outvars, known_out), *kept],
    )
    return Saved(
        ClosedJaxpr(dce(first), closed.consts),
        ClosedJaxpr(jaxpr.replace(invars=[*kept, *jaxpr.invars], eqns=rest), closed.consts),
        known_out,
        [v.aval for v in kept],
    )


# --- loops -------------------------------------------------------------------------------


def _scan(eqn: JaxprEqn, given: Sequence[bool], policy: Policy) -> _Split:
    p = eqn.params
    body, nc, ncarry = inline_calls(p["jaxpr"]), p["num_consts"], p["num_carry"]
    consts, carry, xs = given[:nc], list(given[nc : nc + ncarry]), given[nc + ncarry :]
    while True:
        saved = split_saved(body, tuple(not k for k in (*consts, *carry, *xs)), policy)
        joined = [a and b for a, b in zip(carry, saved.known_out[:ncarry], strict=True)]
        if joined == carry:
            break
        carry = joined
    known_out = [*carry, *saved.known_out[ncarry:]]
    stacked = [Var(a.update(shape=(p["length"], *a.shape))) for a in saved.kept]
    first = _only(saved.known, saved.known_out, tuple(known_out))
    known = eqn.replace(
        invars=pick(eqn.invars, [*consts, *carry, *xs]),
        outvars=[*pick(eqn.outvars, known_out), *stacked],
        params={**p, "jaxpr": first, "num_consts": sum(consts), "num_carry": sum(carry)},
    )
    n, k = len(given), len(stacked)
    rest = eqn.replace(
        invars=[*eqn.invars, *stacked],
        params={**p, "jaxpr": _kept_last(saved.rest, n, k)},
    )
    return _Split(known, rest, known_out, stacked)


@cached_on_jaxpr
def _only(
    closed: ClosedJaxpr, available: tuple[bool, ...], wanted: tuple[bool, ...]
) -> ClosedJaxpr:
    """The results that are wanted, of those that are available, and all after them."""
    position = iter(range(sum(available)))
    at = [next(position) if a else None for a in available]
    order = [i for i, w in zip(at, wanted, strict=True) if w and i is not None]
    outputs = [*order, *range(sum(available), len(closed.jaxpr.outvars))]
    return permute(closed, None, outputs)


@cached_on_jaxpr
def _kept_last(closed: ClosedJaxpr, num_args: int, num_kept: int) -> ClosedJaxpr:
    return permute(closed, (*range(num_kept, num_kept + num_args), *range(num_kept)))


# --- branches ----------------------------------------------------------------------------


def _cond(eqn: JaxprEqn, given: Sequence[bool], policy: Policy) -> _Split | None:
    if not given[0]:
        return None
    unknown = tuple(not k for k in given[1:])
    branches = [inline_calls(b) for b in eqn.params["branches"]]
    parts = [split_saved(b, unknown, policy) for b in branches]
    known_out = [all(column) for column in zip(*(s.known_out for s in parts), strict=True)]
    slots = Slots([s.kept for s in parts])
    kept = [Var(a) for a in slots.avals]
    pairs = list(zip(branches, parts, slots.of_branch, strict=True))
    first = tuple(_known_branch(b, s, at, slots.avals, tuple(known_out)) for b, s, at in pairs)
    rest = tuple(_rest_branch(b, s, at, slots.avals) for b, s, at in pairs)
    index, *ops = eqn.invars
    return _Split(
        eqn.replace(
            invars=[index, *pick(ops, given[1:])],
            outvars=[*pick(eqn.outvars, known_out), *kept],
            params={"branches": first},
        ),
        eqn.replace(invars=[index, *kept, *ops], params={"branches": rest}),
        known_out,
        kept,
    )


@cached_on_jaxpr
def _known_branch(
    branch: ClosedJaxpr,
    saved: Saved,
    at: tuple[int, ...],
    avals: tuple[ShapedArray, ...],
    known_out: tuple[bool, ...],
) -> ClosedJaxpr:
    """The known part of a branch; slots that it does not use are filled with zeros."""
    known = _only(saved.known, saved.known_out, known_out)
    n = sum(known_out)

    def fun(*args: Any) -> list[Any]:
        outs = eval_jaxpr(known.jaxpr, known.consts, *args)
        values = dict(zip(at, outs[n:], strict=True))
        return outs[:n] + [values[i] if i in values else zeros(a) for i, a in enumerate(avals)]

    jaxpr, consts = trace_to_jaxpr(fun, known.in_avals, branch.jaxpr.debug_info)
    return ClosedJaxpr(jaxpr, consts)


@cached_on_jaxpr
def _rest_branch(
    branch: ClosedJaxpr, saved: Saved, at: tuple[int, ...], avals: tuple[ShapedArray, ...]
) -> ClosedJaxpr:
    """The whole branch, which takes all slots before its operands."""
    jaxpr = saved.rest.jaxpr
    slots = [Var(a) for a in avals]
    for i, v in zip(at, jaxpr.invars, strict=False):
        slots[i] = v
    return ClosedJaxpr(jaxpr.replace(invars=[*slots, *jaxpr.invars[len(at) :]]), saved.rest.consts)


_rules: dict[Any, Callable[[JaxprEqn, Sequence[bool], Policy], _Split | None]] = {
    scan_p: _scan,
    cond_p: _cond,
}
