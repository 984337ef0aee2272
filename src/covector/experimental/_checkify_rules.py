"""How `checkify` goes through programs: a rule a primitive that may fail, or that carries jaxprs.

A jaxpr becomes one that returns its errors before its results. They start as none in it; whoever
applies it combines them with those found before, of which the first is kept.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from covector import numpy as cnp
from covector.control_flow.checkpoint import checkpoint_p
from covector.control_flow.cond_rules import cond_p
from covector.control_flow.custom_jvp import FlatJvpCall, custom_jvp_call_p, stop_gradient
from covector.control_flow.custom_vjp import FlatBackward, custom_vjp_call_p
from covector.control_flow.scan_rules import scan_p
from covector.control_flow.while_rules import while_p
from covector.core import dtypes
from covector.core.avals import aval_of
from covector.core.dce import dce
from covector.core.errors import SourceFrame
from covector.core.jaxpr import ClosedJaxpr, Jaxpr, JaxprEqn, Literal, eval_jaxpr
from covector.core.levels import descends
from covector.core.places import at_equations
from covector.core.structural import convert_element_type, zeros
from covector.core.trace import Primitive, close_over, trace_to_jaxpr
from covector.experimental._checkify_errors import (
    DivisionByZeroError,
    ErrorEffect,
    FailedCheckError,
    NaNError,
    OOBError,
    Site,
    next_code,
)
from covector.primitives.arithmetic import div_p
from covector.primitives.indexing import (
    gather_p,
    scatter_add_p,
    scatter_max_p,
    scatter_min_p,
    scatter_mul_p,
    scatter_p,
    window_sizes,
)
from covector.primitives.slicing import dynamic_slice_p, dynamic_update_slice_p
from covector.transforms.cache import cached_on_jaxpr
from covector.transforms.checks import check_p
from covector.transforms.jit import jit_p

Enabled = frozenset[Any]
Rule = Callable[["Found", Enabled, JaxprEqn, list[Any]], list[Any]]

# What only moves numbers, or chooses among them: a NaN in it was made elsewhere.
_MOVES = frozenset((
    "argmax", "argmin", "all_gather", "broadcast_in_dim", "concatenate", "convert_element_type",
    "copy", "dynamic_slice", "dynamic_update_slice", "gather", "name", "optimization_barrier",
    "pad", "partition", "pure_callback", "reduce_max", "reduce_min", "reshape", "rev", "scatter",
    "select_n", "slice", "sort", "squeeze", "stop_gradient", "top_k", "transpose",
))  # fmt: skip


# Rules that modules have which few programs need, and these modules.
late_rules: dict[Primitive, Rule] = {}
_LATE = {"shard_map": "covector.experimental._checkify_devices"}


class Found:
    """The errors found so far in a program, as values of it."""

    def __init__(self) -> None:
        self.errors: dict[ErrorEffect, list[Any]] = {}  # pred, code, *payload
        self.sites: dict[int, Site] = {}
        self._any: Any = None

    @property
    def effects(self) -> tuple[ErrorEffect, ...]:
        return tuple(sorted(self.errors, key=ErrorEffect.key))

    def leaves(self, effects: Sequence[ErrorEffect]) -> list[Any]:
        """The values for these kinds of errors, of which some may not occur here."""
        return [x for e in effects for x in self.errors.get(e) or [zeros(a) for a in e.avals]]

    def add(self, error_type: Any, pred: Any, payload: Sequence[Any], site: Site) -> None:
        """An error, if ``pred`` is true."""
        code = next_code()
        self.sites[code] = site
        effect = ErrorEffect.of(error_type, payload)
        self._combine({effect: [pred, cnp.int32(code), *payload]})

    def add_all(
        self, effects: Sequence[ErrorEffect], leaves: Sequence[Any], sites: dict[int, Site]
    ) -> None:
        """The errors of a program that has been run, one of them at most."""
        self.sites.update(sites)
        rest = iter(leaves)
        self._combine({e: [next(rest) for _ in e.avals] for e in effects})

    def _combine(self, new: dict[ErrorEffect, list[Any]]) -> None:
        before = self._any
        for effect, (pred, *values) in new.items():
            if before is not None:
                pred = pred & ~before
            old = self.errors.get(effect)
            values = [stop_gradient(x) for x in values]
            if old is not None:
                values = [cnp.where(old[0], a, b) for a, b in zip(old[1:], values, strict=True)]
            avals = effect.avals[1:]
            values = [convert_element_type(x, a.dtype) for x, a in zip(values, avals, strict=True)]
            self._any = pred if self._any is None else self._any | pred
            self.errors[effect] = [pred if old is None else old[0] | pred, *values]


class Checked(NamedTuple):
    """A program that returns its errors, of these kinds, before its results."""

    closed: ClosedJaxpr
    effects: tuple[ErrorEffect, ...]
    sites: dict[int, Site]

    @property
    def num_leaves(self) -> int:
        return sum(len(e.avals) for e in self.effects)


def _traced(fun: Callable[..., list[Any]], avals: Sequence[Any], like: Jaxpr) -> ClosedJaxpr:
    jaxpr, consts = trace_to_jaxpr(fun, avals, like.debug_info)
    return ClosedJaxpr(jaxpr, consts)


@cached_on_jaxpr
def checked(closed: ClosedJaxpr, enabled: Enabled) -> Checked:
    """``closed`` with its errors of the categories ``enabled``."""
    kinds: tuple[ErrorEffect, ...] = ()
    sites: dict[int, Site] = {}

    def fun(*args: Any) -> list[Any]:
        nonlocal kinds
        found, outs = _run(closed, args, enabled)
        kinds = found.effects
        sites.update(found.sites)
        return [*found.leaves(kinds), *outs]

    new = _traced(fun, closed.in_avals, closed.jaxpr)
    return Checked(new, kinds, sites)


@cached_on_jaxpr
def _unchecked(closed: ClosedJaxpr) -> ClosedJaxpr:
    """``closed`` without its checks."""
    new = checked(closed, frozenset())
    return ClosedJaxpr(dce(new.closed.jaxpr), new.closed.consts)


@cached_on_jaxpr
def _with_kinds(closed: ClosedJaxpr, enabled: Enabled, kinds: Any) -> ClosedJaxpr:
    """The program of `checked`, returning errors of more ``kinds``."""
    new = checked(closed, enabled)

    def fun(*args: Any) -> list[Any]:
        outs = eval_jaxpr(new.closed.jaxpr, new.closed.consts, *args)
        found = Found()
        found.add_all(new.effects, outs[: new.num_leaves], {})
        return [*found.leaves(kinds), *outs[new.num_leaves :]]

    return _traced(fun, closed.in_avals, closed.jaxpr)


@descends
def _run(closed: ClosedJaxpr, args: Sequence[Any], enabled: Enabled) -> tuple[Found, list[Any]]:
    """Errors and results of a program."""
    found = Found()
    jaxpr = closed.jaxpr
    env: dict[Any, Any] = dict(zip(jaxpr.constvars, closed.consts, strict=True))
    env.update(zip(jaxpr.invars, args, strict=True))
    with at_equations() as at:
        for eqn in jaxpr.eqns:
            at(eqn.source_info)
            values = [a.val if isinstance(a, Literal) else env[a] for a in eqn.invars]
            rule = _rule_of(eqn.primitive)
            if rule is not None:
                outs = rule(found, enabled, eqn, values)
            elif eqn.primitive.call_param is not None:
                outs = _custom(found, enabled, eqn, values)
            else:
                outs = _plain(found, enabled, eqn, values)
            env.update(zip(eqn.outvars, outs, strict=True))
    return found, [a.val if isinstance(a, Literal) else env[a] for a in jaxpr.outvars]


def _rule_of(prim: Primitive) -> Rule | None:
    if prim.name in _LATE and prim not in late_rules:
        importlib.import_module(_LATE[prim.name])
    return _rules.get(prim) or late_rules.get(prim)


def _bind(eqn: JaxprEqn, values: Sequence[Any]) -> list[Any]:
    out = eqn.primitive.bind_params(values, eqn.params)
    return out if eqn.primitive.multiple_results else [out]


def _where(eqn: JaxprEqn) -> str:
    return str(SourceFrame(*eqn.source_info)) if eqn.source_info else ""


# --- operations --------------------------------------------------------------------------


def _plain(found: Found, enabled: Enabled, eqn: JaxprEqn, values: list[Any]) -> list[Any]:
    outs = _bind(eqn, values)
    if NaNError in enabled and eqn.primitive.name not in _MOVES:
        site = Site(NaNError, f"nan generated by primitive: {eqn.primitive.name}.", _where(eqn))
        for x in outs:
            if aval_of(x).dtype in dtypes.INEXACT:
                found.add(NaNError, cnp.any(x != x), [], site)
    return outs


def _div(found: Found, enabled: Enabled, eqn: JaxprEqn, values: list[Any]) -> list[Any]:
    if DivisionByZeroError in enabled:
        site = Site(DivisionByZeroError, "division by zero", _where(eqn))
        found.add(DivisionByZeroError, cnp.any(cnp.asarray(values[1]) == 0), [], site)
    return _plain(found, enabled, eqn, values)


def _check(found: Found, enabled: Enabled, eqn: JaxprEqn, values: list[Any]) -> list[Any]:
    effect = eqn.params["effect"]
    if effect.error_type not in enabled:
        return []
    pred, *rest = (cnp.asarray(x) for x in values)
    n = pred.ndim
    if not pred.size:
        return []
    if n:  # one for each element of mapped axes: the first is kept
        at = cnp.argmax(pred.reshape(-1))
        rest = [x.reshape(-1, *x.shape[n:])[at] for x in rest]
        pred = cnp.any(pred)
    where = _where(eqn)
    sites = {c: s if s.where else s._replace(where=where) for c, s in eqn.params["sites"]}
    found.add_all([effect], [pred, *rest], sites)
    return []


def _out_of_bounds(
    found: Found, eqn: JaxprEqn, indices: Any, axes: Sequence[int], sizes: Sequence[int]
) -> None:
    """The error of indices, whose last axis has a component for each of ``axes``.

    ``sizes`` are those of the windows that are read or written.
    """
    shape = eqn.invars[0].aval.shape
    indices = cnp.asarray(indices)
    if not indices.size:
        return
    fits = cnp.array([shape[d] - sizes[d] for d in axes], indices.dtype)
    wrong = ((indices < 0) | (indices > fits)).reshape(-1)
    at = cnp.argmax(wrong)
    index = indices.reshape(-1)[at].astype(dtypes.default_int())
    axis = cnp.array(axes, index.dtype)[at % len(axes)]
    size = cnp.array([shape[d] for d in axes], index.dtype)[at % len(axes)]
    one = all(sizes[d] in (1, shape[d]) for d in axes)
    what = "index" if one else f"a window of shape {tuple(sizes)} at index"
    text = (
        f"out-of-bounds indexing for array of shape {shape}: {what} {{}} is out of bounds for "
        "axis {} with size {}."
    )
    found.add(
        OOBError, cnp.any(wrong), [index, axis, size], Site(OOBError, text, _where(eqn))
    )  # fmt: skip


def _gather(found: Found, enabled: Enabled, eqn: JaxprEqn, values: list[Any]) -> list[Any]:
    if OOBError in enabled:
        numbers = eqn.params["dimension_numbers"]
        sizes = eqn.params["slice_sizes"]
        _out_of_bounds(found, eqn, values[1], numbers.start_index_map, sizes)
    return _plain(found, enabled, eqn, values)


def _scatter(found: Found, enabled: Enabled, eqn: JaxprEqn, values: list[Any]) -> list[Any]:
    if OOBError in enabled:
        numbers = eqn.params["dimension_numbers"]
        x, _, updates = (a.aval for a in eqn.invars)
        sizes = window_sizes(len(x.shape), updates.shape, numbers)
        _out_of_bounds(found, eqn, values[1], numbers.scatter_dims_to_operand_dims, sizes)
    return _plain(found, enabled, eqn, values)


def _slice(found: Found, enabled: Enabled, eqn: JaxprEqn, values: list[Any]) -> list[Any]:
    first = 1 if eqn.primitive is dynamic_slice_p else 2
    starts = values[first:]
    if OOBError in enabled and starts:
        sizes = eqn.params["slice_sizes"] if first == 1 else eqn.invars[1].aval.shape
        together = cnp.stack([cnp.asarray(s) for s in starts])
        _out_of_bounds(found, eqn, together, range(len(starts)), sizes)
    return _plain(found, enabled, eqn, values)


# --- calls and control flow --------------------------------------------------------------


def _split(
    found: Found, kinds: Sequence[ErrorEffect], sites: dict[int, Site], outs: list[Any]
) -> list[Any]:
    """Take the errors that stand before the results."""
    n = sum(len(e.avals) for e in kinds)
    found.add_all(kinds, outs[:n], sites)
    return outs[n:]


def _call(found: Found, enabled: Enabled, eqn: JaxprEqn, values: list[Any]) -> list[Any]:
    new = checked(eqn.params["jaxpr"], enabled)
    outs = eqn.primitive.bind_params(values, {**eqn.params, "jaxpr": new.closed})
    return _split(found, new.effects, new.sites, outs)


def _custom(found: Found, enabled: Enabled, eqn: JaxprEqn, values: list[Any]) -> list[Any]:
    """A function with rules of its own for derivatives, which it keeps.

    Its errors are found beside it; what both compute is computed once.
    """
    param: Any = eqn.primitive.call_param
    closed = eqn.params[param]
    new = checked(closed, enabled)
    if new.effects:
        constants = [stop_gradient(x) for x in values]
        outs = eval_jaxpr(new.closed.jaxpr, new.closed.consts, *constants)
        _split(found, new.effects, new.sites, outs)
    params = {**eqn.params, param: _unchecked(closed)}
    known = frozenset(new.sites.values()) if FailedCheckError in enabled else None
    if eqn.primitive is custom_jvp_call_p:
        params["jvp"] = _JvpWithoutChecks(params["jvp"], known, params["name"])
    elif eqn.primitive is custom_vjp_call_p:
        params["fwd"] = _FwdWithoutChecks(params["fwd"], known, params["name"])
    return eqn.primitive.bind_params(values, params)


class _WithoutChecks:
    """A derivative rule of a function whose errors are found beside it.

    It runs when the checked function is differentiated, whose error has been returned by then. Its
    checks that are those of the function are left out; ``known`` are these, or None if it does not
    matter.
    """

    __slots__ = ("rule", "known", "name")

    def __init__(self, rule: Any, known: frozenset[Site] | None, name: str) -> None:
        self.rule = rule
        self.known = known
        self.name = name

    def run(self, fun: Callable[..., list[Any]], args: Sequence[Any]) -> list[Any]:
        """``fun(*args)``, which applies the rule, without its checks."""
        jaxpr, consts = trace_to_jaxpr(fun, [aval_of(x) for x in args])
        closed, hoisted = close_over(jaxpr, consts)
        if self.known is not None:
            for site in checked(closed, frozenset((FailedCheckError,))).sites.values():
                if site not in self.known:
                    raise ValueError(
                        f"the derivative rule of {self.name} has a check that can say nothing any "
                        "more, as a function is differentiated that checkify has transformed: "
                        "apply checkify to its derivative, checkify(grad(f)), not "
                        f"grad(checkify(f))\nIt stands at {site.where}"
                    )
        new = _unchecked(closed)
        return eval_jaxpr(new.jaxpr, new.consts, *hoisted, *args)


class _JvpWithoutChecks(_WithoutChecks):
    __slots__ = ()

    def __call__(
        self, primals: Sequence[Any], tangents: Sequence[Any]
    ) -> tuple[list[Any], list[Any]]:
        call = FlatJvpCall(self.rule, primals, tangents)
        return call.split(self.run(call, call.args))


class _FwdWithoutChecks(_WithoutChecks):
    __slots__ = ()

    def __call__(
        self, args: Sequence[Any], active: Sequence[bool]
    ) -> tuple[list[Any], list[Any], Any]:
        n = 0
        bwd: Any = None

        def fun(*xs: Any) -> list[Any]:
            nonlocal n, bwd
            outs, res, bwd = self.rule(xs, active)
            n = len(outs)
            return [*outs, *res]

        found = self.run(fun, args)
        return found[:n], found[n:], _BwdWithoutChecks(bwd, self.known, self.name)


class _BwdWithoutChecks(_WithoutChecks):
    __slots__ = ()

    def __call__(self, res: Sequence[Any], cts: Sequence[Any]) -> list[Any]:
        call = FlatBackward(self.rule, res, cts)
        return call.split(self.run(call, call.args))


def _cond(found: Found, enabled: Enabled, eqn: JaxprEqn, values: list[Any]) -> list[Any]:
    branches = eqn.params["branches"]
    each = [checked(b, enabled) for b in branches]
    kinds = tuple(sorted({e for c in each for e in c.effects}, key=ErrorEffect.key))
    new = tuple(_with_kinds(b, enabled, kinds) for b in branches)
    outs = cond_p.bind_params(values, {"branches": new})
    return _split(found, kinds, {k: s for c in each for k, s in c.sites.items()}, outs)


def _scan(found: Found, enabled: Enabled, eqn: JaxprEqn, values: list[Any]) -> list[Any]:
    params = eqn.params
    closed, nc = params["jaxpr"], params["num_consts"]
    new = checked(closed, enabled)
    n = new.num_leaves

    def body(*args: Any) -> list[Any]:
        outs = eval_jaxpr(new.closed.jaxpr, new.closed.consts, *args[:nc], *args[nc + n :])
        return [*_first_of(new.effects, args[nc : nc + n], outs[:n]), *outs[n:]]

    none = Found().leaves(new.effects)
    types = [aval_of(x) for x in none]
    avals = [*closed.in_avals[:nc], *types, *closed.in_avals[nc:]]
    outs = scan_p.bind_params(
        [*values[:nc], *none, *values[nc:]],
        {
            **params, "jaxpr": _traced(body, avals, closed.jaxpr),
            "num_carry": params["num_carry"] + n,
        },
    )  # fmt: skip
    return _split(found, new.effects, new.sites, outs)


def _first_of(kinds: Sequence[ErrorEffect], *errors: Sequence[Any]) -> list[Any]:
    """The first of several errors that are found one after the other."""
    found = Found()
    for leaves in errors:
        found.add_all(kinds, leaves, {})
    return found.leaves(kinds)


def _while(found: Found, enabled: Enabled, eqn: JaxprEqn, values: list[Any]) -> list[Any]:
    params = eqn.params
    ncond, nbody = params["cond_nconsts"], params["body_nconsts"]
    cond, body = checked(params["cond_jaxpr"], enabled), checked(params["body_jaxpr"], enabled)
    kinds = tuple(sorted({*cond.effects, *body.effects}, key=ErrorEffect.key))
    cond_consts, rest = values[:ncond], values[ncond:]
    none = Found().leaves(kinds)
    n = len(none)

    def of_cond(consts: Sequence[Any], carry: Sequence[Any]) -> list[Any]:
        closed = _with_kinds(params["cond_jaxpr"], enabled, kinds)
        return eval_jaxpr(closed.jaxpr, closed.consts, *consts, *carry)[:n]

    def new_cond(*args: Any) -> list[Any]:
        closed = _unchecked(params["cond_jaxpr"])
        return eval_jaxpr(closed.jaxpr, closed.consts, *args[:ncond], *args[ncond + n :])

    def new_body(*args: Any) -> list[Any]:
        consts, own = args[:ncond], args[ncond : ncond + nbody]
        errors, carry = args[ncond + nbody : ncond + nbody + n], args[ncond + nbody + n :]
        closed = _with_kinds(params["body_jaxpr"], enabled, kinds)
        outs = eval_jaxpr(closed.jaxpr, closed.consts, *own, *carry)
        errors = _first_of(kinds, errors, outs[:n], of_cond(consts, outs[n:]))
        return [*errors, *outs[n:]]

    types = [aval_of(x) for x in none]
    in_cond, in_body = params["cond_jaxpr"].in_avals, params["body_jaxpr"].in_avals
    consts, own, carry = in_cond[:ncond], in_body[:nbody], in_body[nbody:]
    outs = while_p.bind_params(
        [*cond_consts, *cond_consts, *rest[:nbody], *of_cond(cond_consts, rest[nbody:]),
         *rest[nbody:]],
        {
            "cond_jaxpr": _traced(new_cond, [*consts, *types, *carry], params["cond_jaxpr"].jaxpr),
            "cond_nconsts": ncond,
            "body_jaxpr": _traced(
                new_body, [*consts, *own, *types, *carry], params["body_jaxpr"].jaxpr
            ),
            "body_nconsts": ncond + nbody,
        },
    )  # fmt: skip
    return _split(found, kinds, {**cond.sites, **body.sites}, outs)


_rules: dict[Primitive, Rule] = {
    check_p: _check,
    div_p: _div,
    gather_p: _gather,
    **dict.fromkeys(
        (scatter_p, scatter_add_p, scatter_mul_p, scatter_min_p, scatter_max_p), _scatter
    ),
    dynamic_slice_p: _slice,
    dynamic_update_slice_p: _slice,
    jit_p: _call,
    checkpoint_p: _call,
    cond_p: _cond,
    scan_p: _scan,
    while_p: _while,
}
