"""The walk over a program that finds what it costs (`cost`)."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from typing import Any, NamedTuple

from covector.control_flow.cond_rules import cond_p
from covector.control_flow.scan_rules import scan_p
from covector.control_flow.while_rules import while_p
from covector.core.avals import ShapedArray, nbytes_of
from covector.core.errors import at_user_line
from covector.core.jaxpr import Atom, ClosedJaxpr, DropVar, Jaxpr, JaxprEqn, Literal, Var
from covector.core.structural import optimization_barrier_p
from covector.primitives import parallel
from covector.sharding.constraints import reshard_p, sharding_constraint_p
from covector.sharding.cost_rules import (
    ADDING,
    ELEMENTS,
    FOLDS,
    LINEAR,
    MADE,
    PARTIAL_READ,
    PARTIAL_WRITE,
    SCALING,
    SUMMING,
    VIEWS,
    factors_of,
    flops,
)
from covector.sharding.factors import Factors
from covector.sharding.mapped import shard_map_p
from covector.sharding.propagate import (
    Sizes,
    Split,
    nowhere,
    results_of_factors,
    split_of,
    split_rules,
    splits_of_factors,
)

Axes = tuple[Hashable, ...]


class Value(NamedTuple):
    """How a value is split, and over which axes devices have terms of it.

    Terms of 16 bits that are converted to 32 are added before: ``width`` has the bytes of the
    smallest dtype that they have had.
    """

    split: Split
    terms: Axes = ()
    width: int = 0


def _axes_of(split: Split) -> set[Hashable]:
    return {a for names in split for a in names}


def _count(axes: Any, sizes: Sizes) -> int:
    return math.prod(sizes[a] for a in axes)


def local_bytes(aval: ShapedArray, split: Split, sizes: Sizes) -> int:
    """Bytes of the part that one device has."""
    return nbytes_of(aval) // _count(_axes_of(split), sizes)


class Total:
    """What has been counted."""

    def __init__(self) -> None:
        self.flops = 0.0
        self.touched = 0.0
        self.sent: dict[tuple[str, Axes], list[float]] = {}

    def send(self, kind: str, axes: Sequence[Hashable], nbytes: float, count: int = 1) -> None:
        """A collective in which each device sends so many bytes."""
        if not nbytes:  # along axes of one device
            return
        found = self.sent.setdefault((kind, tuple(sorted(axes, key=str))), [0.0, 0])
        found[0] += nbytes
        found[1] += count

    def add(self, other: Total, times: int) -> None:
        """What another program costs, so many times."""
        self.flops += times * other.flops
        self.touched += times * other.touched
        for (kind, axes), (nbytes, count) in other.sent.items():
            self.send(kind, axes, times * nbytes, times * int(count))


class Walk:
    """The equations of one program, in their order.

    Attributes
    ----------
    sizes : dict
        Of the axes of the mesh.
    manual : dict
        Of the axes along which the program is one of one device.
    total : Total
    peak : float
        The most bytes that values, but for arguments and results, need at once.
    """

    def __init__(self, jaxpr: Jaxpr, sizes: Sizes, manual: Sizes) -> None:
        self.jaxpr = jaxpr
        self.sizes = sizes
        self.manual = manual
        self.total = Total()
        self.peak = 0.0
        self._live = 0.0
        self._env: dict[Var, Value] = {}
        self._gathered: set[tuple[Atom, Split]] = set()
        self._copies = 0.0  # for the equation that is looked at
        self._fused: set[Var] = set()  # never in memory
        self._views: set[Var] = set()
        self._frees: dict[int, list[Var]] = {}
        self._plan_memory()

    def run(
        self, consts: Sequence[Value], args: Sequence[Value], outs: Sequence[Split] | None
    ) -> list[tuple[Atom, Value]]:
        """Walk; the results, laid out as ``outs`` says, or else as they are."""
        self._env.update(zip(self.jaxpr.constvars, consts, strict=True))
        for v, value in zip(self.jaxpr.invars, args, strict=True):
            self._env[v] = self._by_type(v.aval, value)
        for k, eqn in enumerate(self.jaxpr.eqns):
            self._equation(eqn)
            for v in self._frees.get(k, ()):
                self._live -= self.local(v.aval, self._env[v].split)
        results = self.jaxpr.outvars
        if outs is None:
            return [(a, self.read(a)) for a in results]
        return [(a, Value(self.need(a, w))) for a, w in zip(results, outs, strict=True)]

    def _plan_memory(self) -> None:
        """Find which values are in memory, and until when."""
        eqns = self.jaxpr.eqns
        results = {v for v in self.jaxpr.outvars if type(v) is Var}
        last: dict[Var, int] = {}
        users: dict[Var, list[JaxprEqn]] = {}
        for k, eqn in enumerate(eqns):
            for a in {a for a in eqn.invars if type(a) is Var}:
                last[a] = k
                users.setdefault(a, []).append(eqn)

        def computes(eqn: JaxprEqn) -> bool:
            prim = eqn.primitive
            return (
                prim in ELEMENTS or prim in FOLDS or prim in MADE
                or (prim in VIEWS and eqn.outvars[0] in self._fused)
            )  # fmt: skip

        for eqn in reversed(eqns):
            v, prim = eqn.outvars[0] if eqn.outvars else None, eqn.primitive
            if v is None or v not in users or v in results:
                continue
            there = len(users[v]) == 1 and computes(users[v][0])
            if prim in MADE or (there and (prim in ELEMENTS or prim in VIEWS)):
                self._fused.add(v)
            elif prim in VIEWS:
                self._views.add(v)
                (source,) = eqn.invars
                if type(source) is Var:
                    last[source] = max(last[source], last[v])
        elsewhere = {*results, *self._fused, *self._views}
        elsewhere.update((*self.jaxpr.invars, *self.jaxpr.constvars))
        for v, k in last.items():
            if v not in elsewhere:
                self._frees.setdefault(k, []).append(v)
        self._stored = frozenset(last).difference(elsewhere)

    def local(self, aval: ShapedArray, split: Split) -> int:
        """Bytes of the part that one device has."""
        return local_bytes(aval, split, self.sizes)

    def read(self, a: Atom) -> Value:
        return self._env[a] if type(a) is Var else Value(nowhere(a.aval))

    # --- communication -----------------------------------------------------------------------

    def not_taken(self, aval: ShapedArray) -> Axes:
        """The axes over which a type says that a value is a sum that is not taken."""
        over = [a for a in aval.marks.unreduced if a in self.sizes and a not in self.manual]
        return tuple(sorted(over, key=str))

    def _by_type(self, aval: ShapedArray, value: Value) -> Value:
        """What is known of a value, and what its type says of sums."""
        over = self.not_taken(aval)
        return Value(value.split, over, value.width or aval.dtype.itemsize) if over else value

    def whole(self, a: Atom) -> Split:
        """Add up the terms of a value, if devices have terms of it and its type does not say so;
        its split."""
        value = self.read(a)
        if value.terms and not self.not_taken(a.aval):
            self.add_up(a, value, nowhere(a.aval))
        return self.read(a).split

    def need(self, a: Atom, wanted: Split) -> Split:
        """Lay a value out so that each device has what ``wanted`` says."""
        value = self.read(a)
        if value.terms and not self.not_taken(a.aval):
            self.add_up(a, value, wanted)
            value = self.read(a)
        if value.split != wanted and (a, wanted) not in self._gathered:
            self._move(a.aval, value.split, wanted)
            self._gathered.add((a, wanted))
            more = self.local(a.aval, wanted) - self.local(a.aval, value.split)
            self._copies += max(more, 0)
        return wanted

    def add_up(self, a: Atom, value: Value, wanted: Split) -> None:
        """Add up terms into what ``wanted`` says, each device its part where that is split."""
        assert type(a) is Var  # literals are whole
        split, terms, width = value
        share = width / a.aval.dtype.itemsize
        there = [x for names in wanted for x in names if x in terms]
        rest = [x for x in terms if x not in there]
        if there:
            n = _count(there, self.sizes)
            size = share * self.local(a.aval, split)
            self.total.send("reduce-scatter", there, (n - 1) / n * size)
            more = [tuple([x for x in names if x in there]) for names in wanted]
            split = tuple([(*s, *m) for s, m in zip(split, more, strict=True)])
            if all(set(s) == set(w) for s, w in zip(split, wanted, strict=True)):
                split = wanted
        if rest:
            self._reduce(rest, share * self.local(a.aval, split))
        if self.not_taken(a.aval):
            self._move(a.aval, split, wanted)  # the sum is another value
        else:
            self._replace(a, Value(split))

    def _replace(self, v: Var, value: Value) -> None:
        """The same value lies in another way from here on."""
        if v in self._stored:
            self._live += self.local(v.aval, value.split)
            self._live -= self.local(v.aval, self._env[v].split)
        self._env[v] = value

    def _reduce(self, axes: Sequence[Hashable], nbytes: float) -> None:
        n = _count(axes, self.sizes)
        self.total.send("all-reduce", axes, 2 * (n - 1) / n * nbytes)

    def _move(self, aval: ShapedArray, split: Split, wanted: Split) -> None:
        """Lay an array out in another way."""
        have, want = _axes_of(split), _axes_of(wanted)
        at = {a: k for k, names in enumerate(split) for a in names}
        to = {a: k for k, names in enumerate(wanted) for a in names}
        moved = [a for a in at if a in to and at[a] != to[a]]
        for a in moved:
            n = self.sizes[a]
            self.total.send("all-to-all", [a], (n - 1) / n * self.local(aval, split))
        gone = [a for a in at if a in have - want]
        if gone:
            n = _count(gone, self.sizes)
            after = nbytes_of(aval) / _count(have & want, self.sizes)
            self.total.send("all-gather", gone, (n - 1) / n * after)

    # --- equations ---------------------------------------------------------------------------

    def _equation(self, eqn: JaxprEqn) -> None:
        handler = _handlers.get(eqn.primitive)
        self._copies = 0.0
        if handler is not None:
            outs = handler(self, eqn)
        elif eqn.primitive.call_param is not None:
            outs = self._call(eqn)
        elif eqn.primitive in split_rules:
            outs = self._placing(eqn)
        else:
            outs = self._plain(eqn)
        for v, value in zip(eqn.outvars, outs, strict=True):
            self._env[v] = value = self._by_type(v.aval, value)
            if v in self._stored:
                self._live += self.local(v.aval, value.split)
            placed = getattr(v.aval, "placed", None)
            if placed is not None and not value.terms:  # terms are added up when they are needed
                split = split_of(placed.spec, len(v.aval.shape))
                self._replace(v, Value(self.need(v, split)))
        self.peak = max(self.peak, self._live + self._copies)

    def inner(
        self, closed: ClosedJaxpr, args: Sequence[Value], outs: Sequence[Split] | None = None,
        times: int = 1, manual: Sizes | None = None,
    ) -> tuple[list[Value], Walk]:  # fmt: skip
        """Walk over a program in an equation; ``outs`` says where its results are to be."""
        consts = [Value(nowhere(v.aval)) for v in closed.jaxpr.constvars]
        walk = Walk(closed.jaxpr, self.sizes, {**self.manual, **(manual or {})})
        found = walk.run(consts, args, outs)
        self.total.add(walk.total, times)
        self.peak = max(self.peak, self._live + self._copies + walk.peak)
        return [value for _, value in found], walk

    def _call(self, eqn: JaxprEqn) -> list[Value]:
        closed = eqn.params[eqn.primitive.call_param]
        found, walk = self.inner(closed, [self.read(a) for a in eqn.invars])
        for a, v in zip(eqn.invars, closed.jaxpr.invars, strict=True):
            if type(a) is Var and self.read(a).terms and not walk.read(v).terms:
                self._replace(a, walk.read(v))  # added up inside
        return found

    def _placing(self, eqn: JaxprEqn) -> list[Value]:
        """An operation that says how its results are split."""
        splits = [self.whole(a) for a in eqn.invars]
        return [Value(s) for s in split_rules[eqn.primitive](eqn, splits, self.sizes)]

    def _plain(self, eqn: JaxprEqn) -> list[Value]:
        """An operation on arrays."""
        outs = [v.aval for v in eqn.outvars]
        terms = (self.not_taken(outs[0]) if outs else ()) or self._terms(eqn)
        splits = [self.read(a).split for a in eqn.invars]
        factors = factors_of(eqn) if any(_axes_of(s) for s in splits) else None
        summed: Axes = ()
        if factors is None:
            wanted = [nowhere(a.aval) for a in eqn.invars]
            results, parts = [nowhere(a) for a in outs], 1
        else:
            by_factor = splits_of_factors(factors, splits, self.sizes)
            wanted = [_wanted(factors, k, by_factor, self.sizes) for k in range(len(splits))]
            results = results_of_factors(factors, by_factor, outs, self.sizes)
            used = [k for k in range(len(by_factor)) if k not in factors.whole]
            parts = _count({a for k in used for a in by_factor[k]}, self.sizes)
            summed = tuple({a for k in factors.summed if k in used for a in by_factor[k]})
        for a, w in zip(eqn.invars, wanted, strict=True):
            if not terms:
                self.need(a, w)
        self.total.flops += flops(eqn) / parts
        self.total.touched += self._touched(eqn, wanted, results)
        if summed and eqn.primitive not in SUMMING:  # maxima and the like
            for v, split in zip(eqn.outvars, results, strict=True):
                self._reduce(summed, self.local(v.aval, split))
            summed = ()
        over = tuple(sorted({*summed, *terms}, key=str))
        if not over:
            return [Value(r) for r in results]
        widths = [w for w in [self.read(a).width for a in eqn.invars] if w]
        return [
            Value(r, over, min([*widths, a.dtype.itemsize]))
            for r, a in zip(results, outs, strict=True)
        ]

    def _terms(self, eqn: JaxprEqn) -> Axes:
        """The axes over which operands are terms, and the result is, too."""
        found = [self.read(a).terms for a in eqn.invars]
        some = [t for t in found if t]
        if not some:
            return ()
        prim = eqn.primitive
        same = len(set(some)) == 1
        if same and (
            (prim in LINEAR and len(found) == 1)
            or (prim in ADDING and len(some) == len(found))
            or (prim in SCALING and len(some) == 1)
        ):
            splits = {self.read(a).split for a in eqn.invars if a.aval.shape}
            if not any(set(some[0]) & _axes_of(s) for s in splits) and len(splits) <= 1:
                return some[0]
        return ()

    def _touched(self, eqn: JaxprEqn, wanted: Sequence[Split], results: Sequence[Split]) -> float:
        """Bytes that an operation reads and writes on one device."""
        if eqn.primitive in VIEWS:
            return 0.0
        local = [
            0.0 if isinstance(a, Literal) or a in self._fused else self.local(a.aval, s)
            for a, s in zip(eqn.invars, wanted, strict=True)
        ]
        made = [
            0.0 if v in self._fused or isinstance(v, DropVar) else self.local(v.aval, s)
            for v, s in zip(eqn.outvars, results, strict=True)
        ]
        if eqn.primitive in PARTIAL_READ and local:
            local[0] = min(local[0], sum(made))
        if eqn.primitive in PARTIAL_WRITE:
            changed = local[2] if len(local) > 2 and eqn.primitive in SUMMING else local[1]
            return 2 * changed + sum(local[1:]) - local[1]
        return sum(local) + sum(made)


def _wanted(f: Factors, k: int, by_factor: Sequence[Axes], sizes: Sizes) -> Split:
    """How an operation needs an operand to be split, where its factors are split so."""
    out = []
    for dim in f.operands[k]:
        names: list[Hashable] = []
        for factor in dim:
            if factor in f.whole:
                break
            names += by_factor[factor]
            if _count(by_factor[factor], sizes) != f.sizes[factor]:
                break
        out.append(tuple(names))
    return tuple(out)


# --- programs in programs ----------------------------------------------------------------------


def _scan(walk: Walk, eqn: JaxprEqn) -> list[Value]:
    p = eqn.params
    nc, n, length = p["num_consts"], p["num_carry"], p["length"]
    splits = [walk.whole(a) for a in eqn.invars]
    results = split_rules[scan_p](eqn, splits, walk.sizes)
    carry, ys = results[:n], [s[1:] for s in results[n:]]
    wanted = [*splits[:nc], *carry, *[((), *s[1:]) for s in splits[nc + n :]]]
    for a, w in zip(eqn.invars, wanted, strict=True):
        walk.need(a, w)
    args = [Value(s) for s in (*wanted[: nc + n], *[s[1:] for s in wanted[nc + n :]])]
    walk.inner(p["jaxpr"], args, [*carry, *ys], length)
    return [Value(s) for s in results]


def _while(walk: Walk, eqn: JaxprEqn) -> list[Value]:
    p = eqn.params
    nc, nb = p["cond_nconsts"], p["body_nconsts"]
    splits = [walk.whole(a) for a in eqn.invars]
    carry = split_rules[while_p](eqn, splits, walk.sizes)
    for a, w in zip(eqn.invars[nc + nb :], carry, strict=True):
        walk.need(a, w)
    test = [Value(s) for s in (*splits[:nc], *carry)]
    walk.inner(p["cond_jaxpr"], test)
    body = [Value(s) for s in (*splits[nc : nc + nb], *carry)]
    walk.inner(p["body_jaxpr"], body, carry)
    return [Value(s) for s in carry]


def _cond(walk: Walk, eqn: JaxprEqn) -> list[Value]:
    splits = [walk.whole(a) for a in eqn.invars]
    results = split_rules[cond_p](eqn, splits, walk.sizes)
    args = [Value(s) for s in splits[1:]]

    def arithmetic(branch: ClosedJaxpr) -> float:
        tried = Walk(branch.jaxpr, walk.sizes, walk.manual)
        tried.run([Value(nowhere(v.aval)) for v in branch.jaxpr.constvars], args, None)
        return tried.total.flops

    longest = max(eqn.params["branches"], key=arithmetic)
    walk.inner(longest, args, results)
    return [Value(s) for s in results]


def _shard_map(walk: Walk, eqn: JaxprEqn) -> list[Value]:
    """The body is a program of one device: its arrays are those of one, and it says what it
    sends."""
    p = eqn.params
    mesh, manual = p["mesh"], set(p["manual_axes"])
    if any(walk.sizes.get(a) != n for a, n in mesh.shape.items()):
        raise ValueError(
            f"cost: the program maps a function over the mesh {mesh}, and the cost is asked for on "
            f"one with the axes {walk.sizes}{at_user_line()}"
        )
    args = []
    for a, spec in zip(eqn.invars, p["in_specs"], strict=True):
        split = walk.whole(a)
        wanted = split_of(spec, len(a.aval.shape))
        inner = [tuple([x for x in names if x not in manual]) for names in split]
        both = tuple([(*w, *i) for w, i in zip(wanted, inner, strict=True)])
        walk.need(a, both)
        args.append(Value(tuple(inner)))
    found, _ = walk.inner(p["jaxpr"], args, manual={a: mesh.shape[a] for a in manual})
    return [
        Value(tuple([
            (*o, *i) for o, i in zip(split_of(spec, len(v.aval.shape)), f.split, strict=True)
        ]))
        for v, spec, f in zip(eqn.outvars, p["out_specs"], found, strict=True)
    ]  # fmt: skip


def _constraint(walk: Walk, eqn: JaxprEqn) -> list[Value]:
    (a,) = eqn.invars
    value = walk.read(a)
    (wanted,) = split_rules[eqn.primitive](eqn, [value.split], walk.sizes)
    if walk.not_taken(a.aval) and not walk.not_taken(eqn.outvars[0].aval):
        walk.add_up(a, value, wanted)
        return [Value(wanted)]
    return [Value(walk.need(a, wanted))]


def _barrier(walk: Walk, eqn: JaxprEqn) -> list[Value]:
    return [walk.read(a) for a in eqn.invars]


# Of collectives that a program of one device says: the kind, and how many times the bytes of the
# array on one device each sends to the ``n - 1`` others together.
_SAID: dict[Any, tuple[str, Callable[[int], float]]] = {
    parallel.psum_p: ("all-reduce", lambda n: 2 * (n - 1) / n),
    parallel.pmax_p: ("all-reduce", lambda n: 2 * (n - 1) / n),
    parallel.pmin_p: ("all-reduce", lambda n: 2 * (n - 1) / n),
    parallel.all_gather_p: ("all-gather", lambda n: n - 1),
    parallel.all_to_all_p: ("all-to-all", lambda n: (n - 1) / n),
    parallel.ppermute_p: ("permute", lambda n: 1 if n > 1 else 0),
}


def _said(walk: Walk, eqn: JaxprEqn) -> list[Value]:
    kind, share = _SAID[eqn.primitive]
    axis = eqn.params["axis_name"]
    splits = [walk.whole(a) for a in eqn.invars]
    n = walk.manual.get(axis, 1)
    if n > 1:
        size = sum(walk.local(a.aval, s) for a, s in zip(eqn.invars, splits, strict=True))
        walk.total.send(kind, [axis], share(n) * size)
    kept = len(eqn.outvars[0].aval.shape) == len(eqn.invars[0].aval.shape)
    return [Value(splits[0] if kept else nowhere(v.aval)) for v in eqn.outvars]


_handlers: dict[Any, Callable[[Walk, JaxprEqn], list[Value]]] = {
    scan_p: _scan, while_p: _while, cond_p: _cond, shard_map_p: _shard_map,
    reshard_p: _constraint, sharding_constraint_p: _constraint, optimization_barrier_p: _barrier,
    **dict.fromkeys(_SAID, _said),
}  # fmt: skip
