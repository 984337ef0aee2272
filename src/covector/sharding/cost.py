"""What a program costs on each device of a mesh: arithmetic, memory, and what devices send.

A walk over the equations, with the splits of arrays that `propagate` finds. It needs no devices:
the mesh may be abstract. An operation that sums over a dimension that is split leaves a *term* of
its result on each device. Linear operations hand terms on; where another one needs the result, or
the program says how it is to lie, devices add them: by an all-reduce, or, if each needs its part
only, by a reduce-scatter. An operand that is split where its operation needs the whole is gathered.
What devices send is counted for the usual algorithms, which are optimal in bytes:

=================  ==================================================
collective         bytes that each of ``n`` devices sends
=================  ==================================================
all-reduce         2 (n - 1) / n × those of the array on one device
reduce-scatter     (n - 1) / n × those of the array before
all-gather         (n - 1) / n × those of the array after
all-to-all         (n - 1) / n × those of the array on one device
permute            those of the array on one device
=================  ==================================================

(R. Thakur, R. Rabenseifner and W. Gropp, "Optimization of collective communication operations in
MPICH", 2005.)
"""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from typing import Any, NamedTuple

from covector.control_flow.cond_rules import cond_p
from covector.control_flow.scan_rules import scan_p
from covector.control_flow.while_rules import while_p
from covector.core import tree
from covector.core.avals import ShapedArray, nbytes_of
from covector.core.dce import dce
from covector.core.errors import at_user_line, describe
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
from covector.sharding.named import NamedSharding
from covector.sharding.propagate import (
    Sizes,
    Split,
    nowhere,
    results_of_factors,
    split_of,
    split_rules,
    splits_of_factors,
)
from covector.sharding.spec import PartitionSpec

Axes = tuple[Hashable, ...]


@dataclasses.dataclass(frozen=True)
class Collective:
    """What devices exchange in one way along some axes.

    Attributes
    ----------
    kind : str
        ``all-reduce``, ``all-gather``, ``reduce-scatter``, ``all-to-all`` or ``permute``.
    axes : tuple
        The axes of the mesh.
    bytes : float
        That each device sends, in all.
    count : int
        How often.
    """

    kind: str
    axes: Axes
    bytes: float
    count: int


@dataclasses.dataclass(frozen=True)
class Cost:
    """What a program costs on one device.

    Attributes
    ----------
    flops : float
        Operations on numbers: additions, products, functions.
    bytes_accessed : float
        Bytes read and written, where operations on elements are joined to the one that uses their
        results, if one does.
    collectives : tuple of Collective
    bytes_of_arguments : tuple of int
        Memory of each argument.
    constant_bytes, output_bytes, temp_bytes : int
        Memory of constants, of results, and the most that values in between need at once.
    donated_bytes : int
        Of the arguments, what results take over.
    """

    flops: float
    bytes_accessed: float
    collectives: tuple[Collective, ...]
    bytes_of_arguments: tuple[int, ...]
    constant_bytes: int
    output_bytes: int
    temp_bytes: int
    donated_bytes: int = 0

    @property
    def argument_bytes(self) -> int:
        """Memory of all arguments."""
        return sum(self.bytes_of_arguments)

    @property
    def bytes_sent(self) -> float:
        """Bytes that each device sends."""
        return sum(c.bytes for c in self.collectives)

    @property
    def memory_bytes(self) -> int:
        """Bytes that each device needs at once."""
        results = self.output_bytes - self.donated_bytes
        return self.argument_bytes + self.constant_bytes + results + self.temp_bytes

    def sent(self, kind: str | None = None, axis: Hashable = None) -> float:
        """Bytes that each device sends by collectives of one kind, along an axis."""
        return sum(
            c.bytes
            for c in self.collectives
            if kind in (None, c.kind) and (axis is None or axis in c.axes)
        )

    def properties(self) -> dict[str, float]:
        """Work and what is sent, by names."""
        found = {"flops": self.flops, "bytes accessed": self.bytes_accessed}
        for c in self.collectives:
            found[f"bytes sent, {c.kind} over {', '.join(map(str, c.axes))}"] = c.bytes
        return found


def cost(
    closed: ClosedJaxpr, mesh: Any, in_specs: Any, out_specs: Any = None,
    donated: Sequence[int] = (),
) -> Cost:  # fmt: skip
    """What a program costs on each device of a mesh.

    Of a loop whose number of turns is not known one turn is counted, of branches the one with the
    most arithmetic.

    Parameters
    ----------
    closed : ClosedJaxpr
        From `make_jaxpr`; its arguments may have been types.
    mesh : Mesh or AbstractMesh
    in_specs : PartitionSpec or pytree of those
        How the arguments are split: one for all, or one for each.
    out_specs : PartitionSpec or pytree of those, optional
        How results are to be split; by default as they are found.
    donated : sequence of int
        Numbers of arguments whose memory results may take over.

    Returns
    -------
    Cost

    Raises
    ------
    ValueError
        If there is not a spec for each argument, or an array cannot be split so.

    Examples
    --------
    >>> import covector as cv
    >>> from covector.sharding import AbstractMesh, PartitionSpec as P
    >>> from covector.sharding.cost import cost
    >>> x = cv.ShapeDtypeStruct((512, 1024), "float32")
    >>> w = cv.ShapeDtypeStruct((1024, 256), "float32")
    >>> mesh = AbstractMesh((4, 2), ("data", "model"))
    >>> c = cost(cv.make_jaxpr(lambda x, w: x @ w)(x, w), mesh, (P("data", "model"), P("model")))
    >>> c.flops == 2 * 512 * 1024 * 256 / 8
    True
    >>> c.collectives
    (Collective(kind='all-reduce', axes=('model',), bytes=131072.0, count=1),)
    """
    sizes = dict(mesh.shape)
    jaxpr = closed.jaxpr
    ins = _specs(in_specs, [v.aval for v in jaxpr.invars], mesh, "in_specs")
    outs = None
    if out_specs is not None:
        outs = _specs(out_specs, [v.aval for v in jaxpr.outvars], mesh, "out_specs")
    consts = [
        split_of(s.spec, v.aval.ndim)
        if getattr(s, "mesh", None) is not None and dict(s.mesh.shape) == sizes
        else nowhere(v.aval)
        for v, s in zip(
            jaxpr.constvars, [getattr(c, "sharding", None) for c in closed.consts], strict=True
        )
    ]
    return of_splits(closed, sizes, ins, outs, donated, consts)


def of_splits(
    closed: ClosedJaxpr, sizes: Sizes, ins: Sequence[Split], outs: Sequence[Split] | None,
    donated: Sequence[int] = (), consts: Sequence[Split] | None = None,
) -> Cost:  # fmt: skip
    """The same for arguments, results and constants whose splits are known."""
    jaxpr = closed.jaxpr
    consts = consts or [nowhere(v.aval) for v in jaxpr.constvars]
    walk = _Walk(dce(jaxpr), sizes, {})
    found = walk.run([Value(s) for s in consts], [Value(s) for s in ins], outs)
    if outs is None:
        found = [(v, Value(walk.whole(v))) for v, _ in found]
    total = walk.total
    taken, given = 0, Counter([_local(v.aval, f.split, sizes) for v, f in found])
    for number in donated:
        size = _local(jaxpr.invars[number].aval, ins[number], sizes)
        if given[size]:
            given[size] -= 1
            taken += size
    arguments, constants = [
        tuple([_local(v.aval, s, sizes) for v, s in zip(variables, splits, strict=True)])
        for variables, splits in ((jaxpr.invars, ins), (jaxpr.constvars, consts))
    ]
    return Cost(
        total.flops, total.touched, total.all_collectives(),
        arguments, sum(constants),
        sum(_local(v.aval, f.split, sizes) for v, f in found),
        math.ceil(walk.peak), taken,
    )  # fmt: skip


def _specs(specs: Any, avals: Sequence[ShapedArray], mesh: Any, what: str) -> list[Split]:
    is_spec = lambda s: s is None or isinstance(s, PartitionSpec)  # noqa: E731
    flat = tree.leaves(specs, is_leaf=is_spec)
    if isinstance(specs, PartitionSpec):
        flat = [specs] * len(avals)
    flat = [PartitionSpec() if s is None else s for s in flat]
    for s in flat:
        if not isinstance(s, PartitionSpec):
            raise TypeError(
                f"cost: {what} is a tree of PartitionSpec, got {describe(s)} in it{at_user_line()}"
            )
    if len(flat) != len(avals):
        raise ValueError(
            f"cost: {what} has {len(flat)} specs, and the program has {len(avals)} "
            f"{'arguments' if what == 'in_specs' else 'results'}{at_user_line()}"
        )
    for s, a in zip(flat, avals, strict=True):
        NamedSharding(mesh, s).check(a.shape, f"cost: {what}")
    return [split_of(s, len(a.shape)) for s, a in zip(flat, avals, strict=True)]


# --- values and sums ---------------------------------------------------------------------------


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


def _local(aval: ShapedArray, split: Split, sizes: Sizes) -> int:
    """Bytes of the part that one device has."""
    return nbytes_of(aval) // _count(_axes_of(split), sizes)


class _Total:
    """What has been counted."""

    def __init__(self) -> None:
        self.flops = 0.0
        self.touched = 0.0
        self._sent: dict[tuple[str, Axes], list[float]] = {}

    def send(self, kind: str, axes: Sequence[Hashable], nbytes: float, count: int = 1) -> None:
        """A collective in which each device sends so many bytes."""
        if not nbytes:  # along axes of one device
            return
        found = self._sent.setdefault((kind, tuple(sorted(axes, key=str))), [0.0, 0])
        found[0] += nbytes
        found[1] += count

    def add(self, other: _Total, times: int) -> None:
        """What another program costs, so many times."""
        self.flops += times * other.flops
        self.touched += times * other.touched
        for (kind, axes), (nbytes, count) in other._sent.items():
            self.send(kind, axes, times * nbytes, times * int(count))

    def all_collectives(self) -> tuple[Collective, ...]:
        return tuple([Collective(*key, b, int(n)) for key, (b, n) in self._sent.items()])


class _Walk:
    """The equations of one program, in their order.

    Attributes
    ----------
    sizes : dict
        Of the axes of the mesh.
    manual : dict
        Of the axes along which the program is one of one device.
    total : _Total
    peak : float
        The most bytes that values, but for arguments and results, need at once.
    """

    def __init__(self, jaxpr: Jaxpr, sizes: Sizes, manual: Sizes) -> None:
        self.jaxpr = jaxpr
        self.sizes = sizes
        self.manual = manual
        self.total = _Total()
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
        self._env.update(zip(self.jaxpr.invars, args, strict=True))
        for k, eqn in enumerate(self.jaxpr.eqns):
            self._equation(eqn)
            for v in self._frees.get(k, ()):
                self._live -= _local(v.aval, self._env[v].split, self.sizes)
        found = []
        for k, v in enumerate(self.jaxpr.outvars):
            if outs is None:
                found.append((v, self.read(v)))
            else:
                found.append((v, Value(self.need(v, outs[k]))))
        return found

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

    def read(self, a: Atom) -> Value:
        return self._env[a] if type(a) is Var else Value(nowhere(a.aval))

    # --- communication -----------------------------------------------------------------------

    def whole(self, a: Atom) -> Split:
        """Add up the terms of a value, if devices have terms of it; its split."""
        value = self.read(a)
        if value.terms:
            self._add_up(a, value, nowhere(a.aval))
        return self.read(a).split

    def need(self, a: Atom, wanted: Split) -> Split:
        """Lay a value out so that each device has what ``wanted`` says."""
        value = self.read(a)
        if value.terms:
            self._add_up(a, value, wanted)
            value = self.read(a)
        if value.split != wanted and (a, wanted) not in self._gathered:
            self._move(a.aval, value.split, wanted)
            self._gathered.add((a, wanted))
            more = _local(a.aval, wanted, self.sizes) - _local(a.aval, value.split, self.sizes)
            self._copies += max(more, 0)
        return wanted

    def _add_up(self, a: Atom, value: Value, wanted: Split) -> None:
        """Add up terms into what ``wanted`` says, each device its part where that is split."""
        assert type(a) is Var  # literals are whole
        split, terms, width = value
        share = width / a.aval.dtype.itemsize
        there = [x for names in wanted for x in names if x in terms]
        rest = [x for x in terms if x not in there]
        if there:
            n = _count(there, self.sizes)
            size = share * _local(a.aval, split, self.sizes)
            self.total.send("reduce-scatter", there, (n - 1) / n * size)
            more = [tuple([x for x in names if x in there]) for names in wanted]
            split = tuple([(*s, *m) for s, m in zip(split, more, strict=True)])
            if all(set(s) == set(w) for s, w in zip(split, wanted, strict=True)):
                split = wanted
        if rest:
            self._reduce(rest, share * _local(a.aval, split, self.sizes))
        if a in self._stored:
            self._live += _local(a.aval, split, self.sizes)
            self._live -= _local(a.aval, value.split, self.sizes)
        self._env[a] = Value(split)

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
            self.total.send("all-to-all", [a], (n - 1) / n * _local(aval, split, self.sizes))
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
            placed = getattr(v.aval, "placed", None)
            self._env[v] = value
            if placed is not None:
                self._env[v] = Value(self.need(v, split_of(placed.spec, len(v.aval.shape))))
            if v in self._stored:
                self._live += _local(v.aval, self._env[v].split, self.sizes)
        self.peak = max(self.peak, self._live + self._copies)

    def _inner(
        self, closed: ClosedJaxpr, args: Sequence[Value], outs: Sequence[Split] | None = None,
        times: int = 1, manual: Sizes | None = None,
    ) -> list[Value]:  # fmt: skip
        """The program inside of an equation; ``outs`` says where its results are to be."""
        consts = [Value(nowhere(v.aval)) for v in closed.jaxpr.constvars]
        walk = _Walk(closed.jaxpr, self.sizes, {**self.manual, **(manual or {})})
        found = walk.run(consts, args, outs)
        self.total.add(walk.total, times)
        self.peak = max(self.peak, self._live + self._copies + walk.peak)
        return [value for _, value in found]

    def _call(self, eqn: JaxprEqn) -> list[Value]:
        closed = eqn.params[eqn.primitive.call_param]
        return self._inner(closed, [self.read(a) for a in eqn.invars])

    def _placing(self, eqn: JaxprEqn) -> list[Value]:
        """An operation that says how its results are split."""
        splits = [self.whole(a) for a in eqn.invars]
        return [Value(s) for s in split_rules[eqn.primitive](eqn, splits, self.sizes)]

    def _plain(self, eqn: JaxprEqn) -> list[Value]:
        """An operation on arrays."""
        terms = self._terms(eqn)
        splits = [self.read(a).split for a in eqn.invars]
        factors = factors_of(eqn) if any(_axes_of(s) for s in splits) else None
        outs = [v.aval for v in eqn.outvars]
        if factors is None:
            wanted = [nowhere(a.aval) for a in eqn.invars]
            results, parts, summed = [nowhere(a) for a in outs], 1, ()
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
                self._reduce(summed, _local(v.aval, split, self.sizes))
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
            0.0 if isinstance(a, Literal) or a in self._fused else _local(a.aval, s, self.sizes)
            for a, s in zip(eqn.invars, wanted, strict=True)
        ]
        made = [
            0.0 if v in self._fused or isinstance(v, DropVar) else _local(v.aval, s, self.sizes)
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


def _scan(walk: _Walk, eqn: JaxprEqn) -> list[Value]:
    p = eqn.params
    nc, n, length = p["num_consts"], p["num_carry"], p["length"]
    splits = [walk.whole(a) for a in eqn.invars]
    results = split_rules[scan_p](eqn, splits, walk.sizes)
    carry, ys = results[:n], [s[1:] for s in results[n:]]
    wanted = [*splits[:nc], *carry, *[((), *s[1:]) for s in splits[nc + n :]]]
    for a, w in zip(eqn.invars, wanted, strict=True):
        walk.need(a, w)
    args = [Value(s) for s in (*wanted[: nc + n], *[s[1:] for s in wanted[nc + n :]])]
    walk._inner(p["jaxpr"], args, [*carry, *ys], length)
    return [Value(s) for s in results]


def _while(walk: _Walk, eqn: JaxprEqn) -> list[Value]:
    p = eqn.params
    nc, nb = p["cond_nconsts"], p["body_nconsts"]
    splits = [walk.whole(a) for a in eqn.invars]
    carry = split_rules[while_p](eqn, splits, walk.sizes)
    for a, w in zip(eqn.invars[nc + nb :], carry, strict=True):
        walk.need(a, w)
    test = [Value(s) for s in (*splits[:nc], *carry)]
    walk._inner(p["cond_jaxpr"], test)
    body = [Value(s) for s in (*splits[nc : nc + nb], *carry)]
    walk._inner(p["body_jaxpr"], body, carry)
    return [Value(s) for s in carry]


def _cond(walk: _Walk, eqn: JaxprEqn) -> list[Value]:
    splits = [walk.whole(a) for a in eqn.invars]
    results = split_rules[cond_p](eqn, splits, walk.sizes)
    args = [Value(s) for s in splits[1:]]

    def arithmetic(branch: ClosedJaxpr) -> float:
        tried = _Walk(branch.jaxpr, walk.sizes, walk.manual)
        tried.run([Value(nowhere(v.aval)) for v in branch.jaxpr.constvars], args, None)
        return tried.total.flops

    longest = max(eqn.params["branches"], key=arithmetic)
    walk._inner(longest, args, results)
    return [Value(s) for s in results]


def _shard_map(walk: _Walk, eqn: JaxprEqn) -> list[Value]:
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
    found = walk._inner(p["jaxpr"], args, manual={a: mesh.shape[a] for a in manual})
    return [
        Value(tuple([
            (*o, *i) for o, i in zip(split_of(spec, len(v.aval.shape)), f.split, strict=True)
        ]))
        for v, spec, f in zip(eqn.outvars, p["out_specs"], found, strict=True)
    ]  # fmt: skip


def _constraint(walk: _Walk, eqn: JaxprEqn) -> list[Value]:
    (a,) = eqn.invars
    (wanted,) = split_rules[eqn.primitive](eqn, [walk.read(a).split], walk.sizes)
    return [Value(walk.need(a, wanted))]


def _barrier(walk: _Walk, eqn: JaxprEqn) -> list[Value]:
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


def _said(walk: _Walk, eqn: JaxprEqn) -> list[Value]:
    kind, share = _SAID[eqn.primitive]
    axis = eqn.params["axis_name"]
    splits = [walk.whole(a) for a in eqn.invars]
    n = walk.manual.get(axis, 1)
    if n > 1:
        size = sum(_local(a.aval, s, walk.sizes) for a, s in zip(eqn.invars, splits, strict=True))
        walk.total.send(kind, [axis], share(n) * size)
    kept = len(eqn.outvars[0].aval.shape) == len(eqn.invars[0].aval.shape)
    return [Value(splits[0] if kept else nowhere(v.aval)) for v in eqn.outvars]


_handlers: dict[Any, Callable[[_Walk, JaxprEqn], list[Value]]] = {
    scan_p: _scan, while_p: _while, cond_p: _cond, shard_map_p: _shard_map,
    reshard_p: _constraint, sharding_constraint_p: _constraint, optimization_barrier_p: _barrier,
    **dict.fromkeys(_SAID, _said),
}  # fmt: skip


__all__ = ["Collective", "Cost", "cost"]
