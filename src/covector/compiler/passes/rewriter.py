"""The sweep that applies rewrite rules to a jaxpr, and what rules are.

One forward sweep goes from equation to equation. A rule sees operands already rewritten and the
equations that define them; it returns an operand in place of the result, or nothing. Equal
equations become one, arrays that are computed here become constants where they are still read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from covector.core.avals import ShapedArray, array_from_numpy
from covector.core.jaxpr import (
    Atom,
    ClosedJaxpr,
    DropVar,
    Jaxpr,
    JaxprEqn,
    Literal,
    Var,
    sub_jaxprs,
)
from covector.core.record import Record
from covector.core.trace import Primitive
from covector.primitives.slicing import dynamic_update_slice_p
from covector.primitives.structure import slice_p

Apply = Callable[["Rewriter", JaxprEqn, list[Atom], ShapedArray], Atom | None]


class Rule(Record):
    """A rewrite rule of a table; ``name`` says what becomes of what."""

    name: str
    primitives: tuple[Primitive, ...]
    apply: Apply


class Table:
    """Rewrite rules that can be applied or left out together."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.rules: list[Rule] = []

    def rule(self, name: str, *primitives: Primitive) -> Callable[[Apply], Apply]:
        """Register the rule for results of ``primitives``."""

        def register(fn: Apply) -> Apply:
            self.rules.append(Rule(name, primitives, fn))
            return fn

        return register


def by_primitive(tables: Sequence[Table]) -> dict[Primitive, tuple[Apply, ...]]:
    """The rules of several tables, in order, for each primitive."""
    out: dict[Primitive, tuple[Apply, ...]] = {}
    for table in tables:
        for rule in table.rules:
            for p in rule.primitives:
                out[p] = (*out.get(p, ()), rule.apply)
    return out


class Rewriter:
    """One sweep: the equations written so far, and what is known of the values they define.

    Attributes
    ----------
    known : dict
        Arrays computed here, by the variable that stands for them.
    copied : int
        Bytes copied to compute them.
    uses : dict
        How often a value of the original is read.
    stored : set of Var
        Values of the original of which more is needed than slices of them, or of what they are
        updated to.
    """

    def __init__(
        self, rules: Mapping[Primitive, tuple[Apply, ...]], share: bool,
        inner: Callable[[ClosedJaxpr], ClosedJaxpr],
    ) -> None:  # fmt: skip
        self.rules = rules
        self.share = share
        self.inner = inner
        self.eqns: list[JaxprEqn] = []
        self.constants: list[tuple[Var, Any]] = []
        self.known: dict[Var, np.ndarray] = {}
        self.copied = 0
        self.uses: dict[Any, int] = {}
        self.stored: set[Any] = set()
        self._defs: dict[Any, JaxprEqn] = {}
        self._seen: dict[Any, Sequence[Atom]] = {}
        self._consts: dict[int, Var] = {}
        self._placed: dict[Var, Var] = {}

    def run(self, closed: ClosedJaxpr) -> ClosedJaxpr:
        """The jaxpr after the sweep; equations that nothing reads stay."""
        jaxpr = closed.jaxpr
        self.uses = _uses(jaxpr)
        self.stored = _stored(jaxpr)
        env: dict[Any, Atom] = {}
        for v, c in zip(jaxpr.constvars, closed.consts, strict=True):
            env[v] = self._const(v, c)
        with np.errstate(all="ignore"):
            for eqn in jaxpr.eqns:
                ins = [env.get(a, a) for a in eqn.invars]
                outs = self._equation(eqn, ins)
                if outs is not eqn.outvars:
                    env.update(zip(eqn.outvars, outs, strict=True))
        results = [self._materialise(env.get(a, a)) for a in jaxpr.outvars]
        rewritten = Jaxpr(
            [v for v, _ in self.constants], jaxpr.invars, results, self.eqns, jaxpr.effects,
            jaxpr.debug_info,
        )  # fmt: skip
        return ClosedJaxpr(rewritten, [c for _, c in self.constants])

    # --- for rules ---

    def define(self, a: Atom, *primitives: Primitive) -> JaxprEqn | None:
        """The equation that defines ``a``, if it applies one of these primitives."""
        eqn = self._defs.get(a)
        return eqn if eqn is not None and eqn.primitive in primitives else None

    def is_computed(self, a: Atom) -> bool:
        """Whether an equation written here gives ``a``."""
        return a in self._defs

    def emit(
        self, like: JaxprEqn, prim: Primitive, args: Sequence[Atom], params: dict[str, Any],
        aval: ShapedArray,
    ) -> Atom:  # fmt: skip
        """The one result of an equation, written here or found."""
        key = self._key(prim, args, params) if self.share else None
        found = self._seen.get(key) if key is not None else None
        if found is not None:
            return found[0]
        out = Var(aval)
        args = [self._materialise(a) for a in args]
        self._append(JaxprEqn(args, [out], prim, params, like.effects, like.source_info), key)
        return out

    def constant(self, value: np.ndarray, aval: ShapedArray) -> Var:
        """A variable for an array computed here."""
        v = Var(aval)
        self.known[v] = value
        return v

    # --- the sweep ---

    def _equation(self, eqn: JaxprEqn, ins: list[Atom]) -> Sequence[Atom]:
        prim, params = eqn.primitive, eqn.params
        if not eqn.effects:
            for apply in self.rules.get(prim, ()):
                out = apply(self, eqn, ins, eqn.outvars[0].aval)
                if out is not None:
                    return (out,)
        key = None
        if prim.multiple_results and any(True for _ in sub_jaxprs(params)):
            params = {k: self._inner(v) for k, v in params.items()}
        elif self.share and not eqn.effects:
            key = self._key(prim, ins, params)
            found = self._seen.get(key) if key is not None else None
            if found is not None:
                if any(type(v) is DropVar for v in found):
                    found = self._kept(found, eqn.outvars, key)
                return found
        args = [self._materialise(a) for a in ins]
        if params is not eqn.params or any(
            a is not b for a, b in zip(args, eqn.invars, strict=True)
        ):
            eqn = JaxprEqn(args, eqn.outvars, prim, params, eqn.effects, eqn.source_info)
        self._append(eqn, key)
        return eqn.outvars

    def _append(self, eqn: JaxprEqn, key: Any) -> None:
        self.eqns.append(eqn)
        for v in eqn.outvars:
            self._defs[v] = eqn
        if key is not None:
            self._seen[key] = eqn.outvars

    def _kept(self, outs: Sequence[Atom], wanted: Sequence[Var], key: Any) -> Sequence[Atom]:
        """The results of an equation written here, which drops some that are ``wanted`` now."""
        at = next(k for k in reversed(range(len(self.eqns))) if self.eqns[k].outvars is outs)
        both = [
            w if type(v) is DropVar else v
            for v, w in zip(self.eqns[at].outvars, wanted, strict=True)
        ]
        eqn = self.eqns[at] = self.eqns[at].replace(outvars=both)
        self._defs.update(dict.fromkeys(both, eqn))
        self._seen[key] = both
        return both

    def _const(self, v: Var, c: Any) -> Var:
        found = self._consts.get(id(c))
        if found is None:
            found = self._consts[id(c)] = v
            self.constants.append((v, c))
        return found

    def _materialise(self, a: Atom) -> Atom:
        """``a``, as a constant of the program if it was computed here."""
        if not self.known or a not in self.known:
            return a
        assert isinstance(a, Var)
        found = self._placed.get(a)
        if found is None:
            value = array_from_numpy(self.known[a], a.aval.dtype, a.aval.weak_type)
            found = self._placed[a] = Var(a.aval)
            self.constants.append((found, value))
        return found

    def _inner(self, value: Any) -> Any:
        if isinstance(value, ClosedJaxpr):
            return self.inner(value)
        if isinstance(value, (tuple, list)) and any(isinstance(v, ClosedJaxpr) for v in value):
            return type(value)(self._inner(v) for v in value)
        return value

    def _key(self, prim: Primitive, args: Sequence[Atom], params: dict[str, Any]) -> Any:
        """Equal for equal equations; None where a parameter cannot tell."""
        key = (prim, *[_atom_key(a) for a in args], *params.items())
        try:
            hash(key)
        except TypeError:
            return None
        return key


def _atom_key(a: Atom) -> Any:
    if type(a) is not Literal:
        return a
    value = a.val
    t = type(value)
    # 0.0 and -0.0 are different constants, and so are 1 and True.
    if t is int or t is bool or (t is float and value == value and value != 0):
        return (t, value, a.aval)
    return (str(value), a.aval)


def _stored(jaxpr: Jaxpr) -> set[Any]:
    """The values of which more is needed than slices, or than an update of them is."""
    out: set[Any] = set(jaxpr.outvars)
    for eqn in reversed(jaxpr.eqns):
        if eqn.primitive is dynamic_update_slice_p:
            out.update(eqn.invars[0 if eqn.outvars[0] in out else 1 :])
        elif eqn.primitive is not slice_p:
            out.update(eqn.invars)
    return out


def _uses(jaxpr: Jaxpr) -> dict[Any, int]:
    """How often each value is read."""
    out: dict[Any, int] = {}
    for eqn in jaxpr.eqns:
        for a in eqn.invars:
            out[a] = out.get(a, 0) + 1
    for a in jaxpr.outvars:
        out[a] = out.get(a, 0) + 1
    return out
