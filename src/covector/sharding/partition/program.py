"""The program of one process, from one of all."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable, Sequence
from functools import partial
from typing import Any

import numpy as np

from covector.control_flow.cond_rules import cond_p
from covector.control_flow.scan_rules import scan_p
from covector.control_flow.while_rules import while_p
from covector.core import dtypes
from covector.core.avals import ShapedArray, aval_of
from covector.core.dce import dce
from covector.core.errors import PACKAGE_DIR
from covector.core.jaxpr import ClosedJaxpr, Jaxpr, JaxprEqn, Literal, Var, all_jaxprs
from covector.core.structural import (
    add_any_p,
    convert_element_type,
    moveaxis,
    optimization_barrier_p,
    reshape_p,
    transpose_p,
)
from covector.core.trace import (
    Primitive,
    current_trace,
    eval_trace,
    set_current_trace,
    trace_to_jaxpr,
)
from covector.primitives import parallel as pa
from covector.primitives.arithmetic import add_p, neg_p, sub_p
from covector.primitives.structure import (
    concatenate_p,
    iota_p,
    pad_p,
    slice_in_dim,
    slice_p,
    squeeze_p,
)
from covector.sharding.constraints import laid_split, reshard_p, sharding_constraint_p
from covector.sharding.factors import Factors, find_rule
from covector.sharding.inspection import inspect_sharding_p
from covector.sharding.mapped import shard_map_p, whole_program
from covector.sharding.named import NamedSharding
from covector.sharding.partition import borders, local
from covector.sharding.partition.collective import collective, of_program
from covector.sharding.partition.mesh import Axes, ProcessMesh
from covector.sharding.partition.part import Part, Terms, terms_of
from covector.sharding.partition.told import called_by_first
from covector.sharding.propagate import (
    Split,
    common,
    nowhere,
    results_of_factors,
    splits_of_factors,
)
from covector.transforms.callbacks import debug_callback_p
from covector.transforms.io_callback import io_callback_p

# How often a part of a value is asked for from what it is computed from, rather than cut out.
_DEPTH = 64

Rule = Callable[["Partitioner", JaxprEqn, list[Part]], list[Part]]
rules: dict[Primitive, Rule] = {}


def partition(
    closed: ClosedJaxpr,
    consts: Sequence[tuple[Split, Any]],
    operands: Sequence[Split],
    results: Sequence[Split],
    mesh: ProcessMesh,
    name: str = "a program",
) -> ClosedJaxpr:
    """The program of this process.

    Parameters
    ----------
    closed : ClosedJaxpr
        Of whole arrays.
    consts : sequence of (Split, array)
        What the process has of each of its constants.
    operands, results : sequence of Split
        How arguments and results are split over the axes of processes.
    mesh : ProcessMesh
    name : str
        For messages.

    Returns
    -------
    ClosedJaxpr
        Of the parts of this process. Those of other processes have the same collectives in the
        same order.
    """
    jaxpr = closed.jaxpr

    def run(*parts: Any) -> list[Any]:
        known = [
            Part(v.aval, split, x) for v, (split, x) in zip(jaxpr.constvars, consts, strict=True)
        ]
        given = [Part(v.aval, s, x) for v, s, x in zip(jaxpr.invars, operands, parts, strict=True)]
        low = Partitioner(mesh)
        return low.laid(jaxpr, low.run(jaxpr, known, given), results)

    with (
        set_current_trace(eval_trace),
        of_program(f"{name} ({digest_of(jaxpr, operands, results)})"),
    ):
        avals = [_local(v.aval, s, mesh) for v, s in zip(jaxpr.invars, operands, strict=True)]
        made, found = trace_to_jaxpr(run, avals)
    return ClosedJaxpr(dce(made), found)


def digest_of(jaxpr: Jaxpr, *splits: Sequence[Split]) -> str:
    """What tells a program from others: its operations and their types. Numbers in it and functions
    of users, which may differ between processes, do not count."""
    found = hashlib.blake2b(repr(splits).encode(), digest_size=4)
    for inner in all_jaxprs(jaxpr):
        for eqn in inner.eqns:
            types = [(v.aval.shape, str(v.aval.dtype)) for v in (*eqn.invars, *eqn.outvars)]
            found.update(f"{eqn.primitive.name} {types}".encode())
    return found.hexdigest()


def _local(aval: ShapedArray, split: Split, mesh: ProcessMesh) -> ShapedArray:
    return ShapedArray(mesh.shape(aval.shape, split), aval.dtype, aval.weak_type)


class Partitioner:
    """Goes through a program.

    Parameters
    ----------
    mesh : ProcessMesh

    Attributes
    ----------
    manual : frozenset
        The axes of a `shard_map` whose body it goes through.
    """

    def __init__(self, mesh: ProcessMesh) -> None:
        self.mesh = mesh
        self.manual: frozenset[Hashable] = frozenset()
        self._depth = 0
        self._bodies: dict[Any, tuple[ClosedJaxpr, list[Split]]] = {}
        # Equations that say where in the user's program they come from, by their identity.
        self._located: dict[int, JaxprEqn] = {}

    def run(self, jaxpr: Jaxpr, consts: Sequence[Part], args: Sequence[Part]) -> list[Part]:
        """The results of a program."""
        env: dict[Any, Part] = {}
        env.update(zip(jaxpr.constvars, consts, strict=True))
        env.update(zip(jaxpr.invars, args, strict=True))

        def read(a: Any) -> Part:
            if isinstance(a, Literal):
                return Part(a.aval, nowhere(a.aval), a.val)
            return env[a]

        for eqn in jaxpr.eqns:
            trace: Any = current_trace()
            start = len(trace.eqns)
            outs = self.equation(eqn, [read(a) for a in eqn.invars])
            env.update(zip(eqn.outvars, outs, strict=True))
            self._locate(trace.eqns[start:], eqn.source_info, _calls_ours(eqn))
        return [read(a) for a in jaxpr.outvars]

    def laid(
        self, jaxpr: Jaxpr, outs: Sequence[Part], splits: Sequence[Split], inner: bool = False
    ) -> list[Any]:
        """The results of a program, which are to be split so. Of sums that are not taken, as types
        say, those of an ``inner`` program are terms."""
        made_at = {v: eqn.source_info for eqn in jaxpr.eqns for v in eqn.outvars}
        trace: Any = current_trace()
        found = []
        for a, p, split in zip(jaxpr.outvars, outs, splits, strict=True):
            start = len(trace.eqns)
            found.append(self.has(p, split) if inner else p.at(self.mesh, split))
            self._locate(trace.eqns[start:], made_at.get(a) if isinstance(a, Var) else None)
        return found

    def not_taken(self, aval: ShapedArray) -> Axes:
        """The axes of processes over which a type says that a value is a sum that is not taken."""
        over = aval.marks.unreduced
        return tuple([a for a in self.mesh.sizes if a in over and a not in self.manual])

    def has(self, p: Part, split: Split) -> Any:
        """What this process has of a value where it is split so: a term, if its type says so."""
        over = self.not_taken(p.aval)
        return terms_of(p, split, over, self.mesh) if over else p.at(self.mesh, split)

    def part(self, aval: ShapedArray, split: Split, x: Any) -> Part:
        """The value of which this process `has` ``x``."""
        over = self.not_taken(aval)
        return Terms(aval, split, x, over, self.mesh) if over else Part(aval, split, x)

    def _locate(self, eqns: Sequence[JaxprEqn], source: Any, all_of: bool = False) -> None:
        """Say of new equations that they come from a line of the user's: of those that do not say
        so by themselves, inside of a function of the user's that is called there, or of ``all_of``
        them."""
        for new in eqns:
            if all_of or id(new) not in self._located:
                if source is not None:
                    new.source_info = source
                self._located[id(new)] = new

    def inside(self, closed: ClosedJaxpr, args: Sequence[Part]) -> list[Part]:
        """The results of a program that an operation holds."""
        consts = [Part(aval_of(c), nowhere(aval_of(c)), c) for c in closed.consts]
        return self.run(closed.jaxpr, consts, args)

    def body(
        self, closed: ClosedJaxpr, splits: Sequence[Split], results: Sequence[Split] | None
    ) -> tuple[ClosedJaxpr, list[Split]]:
        """The program of the parts, for a program of a loop or branch; its results are split as
        ``results`` says, or as they come. It is traced once for equal splits."""
        key = (closed, tuple(splits), self.manual)
        free = self._bodies.get(key)
        if free is None or (results is not None and list(results) != free[1]):
            made = self._traced(closed, splits, results)
            if results is not None:
                return made
            free = self._bodies[key] = made
        return free

    def _traced(
        self, closed: ClosedJaxpr, splits: Sequence[Split], results: Sequence[Split] | None
    ) -> tuple[ClosedJaxpr, list[Split]]:
        found: list[Split] = []

        def run(*parts: Any) -> list[Any]:
            vars_ = closed.jaxpr.invars
            given = [self.part(v.aval, s, x) for v, s, x in zip(vars_, splits, parts, strict=True)]
            outs = self.inside(closed, given)
            found[:] = [p.split for p in outs] if results is None else results
            return self.laid(closed.jaxpr, outs, found, True)

        avals = [
            _local(v.aval, s, self.mesh) for v, s in zip(closed.jaxpr.invars, splits, strict=True)
        ]
        jaxpr, consts = trace_to_jaxpr(run, avals)
        return ClosedJaxpr(jaxpr, consts), found

    # --- one equation

    def equation(self, eqn: JaxprEqn, args: list[Part]) -> list[Part]:
        """The results of an equation."""
        prim = eqn.primitive
        special = rules.get(prim)
        if special in (None, *_ON_TERMS) and any(self.not_taken(p.aval) for p in args):
            found = self._on_terms(eqn, args)
            if found is not None:
                return found
        if special is not None:
            return special(self, eqn, args)
        if prim.call_param is not None:
            return self.inside(eqn.params[prim.call_param], args)
        return self.plain(eqn, args)

    def _on_terms(self, eqn: JaxprEqn, args: list[Part]) -> list[Part] | None:
        """The results of what types say to be linear in sums that are not taken: of the terms."""
        outs = [v.aval for v in eqn.outvars]
        over = self.not_taken(outs[0])
        if not over or eqn.primitive.call_param is not None:
            return None
        pending = [p for p in args if isinstance(p, Terms) and not p.added]
        run = rules.get(eqn.primitive, Partitioner.plain)
        if run in (_linear, _arranged) and len(pending) == len(args):
            return None  # of small floats, terms are added in float32
        given = []
        for k, p in enumerate(args):
            if self.not_taken(p.aval) == over or (eqn.primitive is pad_p and k == 1):
                p = Part(p.aval, p.split, terms_of(p, p.split, over, self.mesh))
            given.append(p)
        found = run(self, eqn, given)
        return [
            Terms(a, p.split, p.value, over, self.mesh) for a, p in zip(outs, found, strict=True)
        ]

    def plain(self, eqn: JaxprEqn, args: list[Part]) -> list[Part]:
        """Those of an operation that holds no program."""
        found = self._factored(eqn, args) if any(not p.whole for p in args) else None
        return self._replicated(eqn, args) if found is None else found

    def bind(self, eqn: JaxprEqn, values: Sequence[Any], params: dict[str, Any]) -> list[Any]:
        """The results of an operation on what this process has."""
        out = eqn.primitive.bind_params(list(values), params)
        return list(out) if eqn.primitive.multiple_results else [out]

    def _replicated(self, eqn: JaxprEqn, args: list[Part]) -> list[Part]:
        """Computed by all processes, from all of the operands."""
        outs = self.bind(eqn, [p.gathered(self.mesh) for p in args], eqn.params)
        again = eqn.primitive in local.ANEW or eqn.primitive.spec is not None
        return [
            Part(v.aval, nowhere(v.aval), x, partial(self._cut, eqn, args, k) if again else None)
            for k, (v, x) in enumerate(zip(eqn.outvars, outs, strict=True))
        ]

    def _factors(self, eqn: JaxprEqn) -> Factors | None:
        rule = find_rule(eqn.primitive)
        if rule is None:
            return None
        f = rule([a.aval for a in eqn.invars], [v.aval for v in eqn.outvars], eqn.params)
        if f is None:
            return None
        extra = local.whole_rules.get(eqn.primitive)
        if extra is not None:
            for k in extra(eqn.params):
                f.whole.update(f.operands[0][k])
        return f

    def _factored(self, eqn: JaxprEqn, args: list[Part]) -> list[Part] | None:
        """Each process computes its part, from parts of the operands."""
        f = self._factors(eqn)
        if f is None:
            return None
        sizes = self.mesh.sizes
        combined = local.COMBINED.get(eqn.primitive)
        axes = splits_of_factors(f, [p.split for p in args], sizes)
        summed = f.summed
        for k in range(len(axes)):
            if k in f.whole or (k in summed and combined is None):
                axes[k] = ()
        ins, outs = self._settled(f, axes, eqn)
        if not any(axes):
            return None
        values = [p.at(self.mesh, s) for p, s in zip(args, ins, strict=True)]
        params = self._params(eqn, ins, outs)
        over = tuple([a for k in sorted(summed) for a in axes[k]])
        if combined == "sum" and over:
            return self._terms(eqn, values, params, outs, over)
        results = self.bind(eqn, values, params)
        if over:
            assert combined is not None
            results = [collective(x, combined, self.mesh.group(over)) for x in results]
        return [Part(v.aval, s, x) for v, s, x in zip(eqn.outvars, outs, results, strict=True)]

    def _terms(
        self, eqn: JaxprEqn, values: list[Any], params: dict[str, Any], outs: Sequence[Split],
        axes: Axes,
    ) -> list[Part]:  # fmt: skip
        """Sums, of each of which this process has a term."""
        if eqn.outvars[0].aval.dtype in dtypes.ROUNDED:
            values = [convert_element_type(x, dtypes.float32) for x in values]
        made = zip(eqn.outvars, outs, self.bind(eqn, values, params), strict=True)
        return [Terms(v.aval, s, x, axes, self.mesh) for v, s, x in made]

    def _settled(
        self, f: Factors, axes: list[Axes], eqn: JaxprEqn
    ) -> tuple[list[Split], list[Split]]:
        """How operands and results are split; factors that cannot be split in all arrays in which
        they occur are not split in any (``axes`` is changed so)."""
        sizes = self.mesh.sizes
        ins_of = Factors(f.results, f.operands, f.sizes, f.whole)
        while True:
            ins = results_of_factors(ins_of, axes, [a.aval for a in eqn.invars], sizes)
            outs = results_of_factors(f, axes, [v.aval for v in eqn.outvars], sizes)
            bad: set[int] = set()
            for every, splits in ((f.operands, ins), (f.results, outs)):
                for dims, split in zip(every, splits, strict=True):
                    for dim, names in zip(dims, split, strict=True):
                        asked = [a for k in dim for a in axes[k]]
                        if tuple(asked) != names:
                            bad.update(k for k in dim if axes[k])
            if not bad:
                return ins, outs
            for k in bad:
                axes[k] = ()

    def _params(self, eqn: JaxprEqn, ins: Sequence[Split], outs: Sequence[Split]) -> dict[str, Any]:
        rule = local.local_rules.get(eqn.primitive)
        if rule is None:
            return eqn.params
        shapes, made = (
            [self.mesh.shape(v.aval.shape, s) for v, s in zip(variables, splits, strict=True)]
            for variables, splits in ((eqn.invars, ins), (eqn.outvars, outs))
        )
        # Parameters are of the whole: a dimension that is taken whole is so of the part.
        return rule(eqn.params, shapes, made)

    def _cut(self, eqn: JaxprEqn, args: list[Part], k: int, split: Split) -> Any:
        """The part of a result that is split so, computed anew from parts of the operands."""
        if self._depth >= _DEPTH:
            return None
        f = self._factors(eqn)
        if f is None:
            return None
        back = Factors(f.results, f.operands, f.sizes, f.whole)
        splits = [split if i == k else nowhere(v.aval) for i, v in enumerate(eqn.outvars)]
        axes = splits_of_factors(back, splits, self.mesh.sizes)
        for i in f.whole:
            axes[i] = ()
        ins, outs = self._settled(f, axes, eqn)
        if outs[k] != split:
            return None
        self._depth += 1
        try:
            values = [p.at(self.mesh, s) for p, s in zip(args, ins, strict=True)]
        finally:
            self._depth -= 1
        x = self.bind(eqn, values, self._params(eqn, ins, outs))[k]
        if eqn.primitive is iota_p:
            at = eqn.params["dimension"]
            x = local.counted_from(x, self.mesh.block(eqn.outvars[0].aval.shape, split)[at].start)
        return x


def _calls_ours(eqn: JaxprEqn) -> bool:
    """Whether it is a call of a function of the library: that was traced for whoever called it
    first, so that its equations come from where it is called now."""
    if eqn.primitive.call_param is None:
        return False
    info = eqn.params[eqn.primitive.call_param].jaxpr.debug_info
    return info is not None and info.source.startswith(PACKAGE_DIR)


def rule(*primitives: Primitive) -> Callable[[Rule], Rule]:
    """Register how operations that hold programs, or say where values are, are partitioned."""

    def register(fn: Rule) -> Rule:
        for p in primitives:
            rules[p] = fn
        return fn

    return register


# --- sums of terms


@rule(add_any_p, add_p, sub_p, neg_p)
def _linear(low: Partitioner, eqn: JaxprEqn, args: list[Part]) -> list[Part]:
    """Of sums over the same processes, the terms are added."""
    terms = [p for p in args if isinstance(p, Terms) and not p.added]
    first = terms[0] if len(terms) == len(args) else None
    if first is None or any(not p.like(first) for p in terms):
        return low.plain(eqn, args)
    (x,) = low.bind(eqn, [p.terms for p in terms], eqn.params)
    return [Terms(eqn.outvars[0].aval, first.split, x, first.axes, low.mesh)]


@rule(transpose_p, reshape_p, squeeze_p)
def _arranged(low: Partitioner, eqn: JaxprEqn, args: list[Part]) -> list[Part]:
    """Of a sum, the terms are arranged so."""
    (x,) = args
    if not isinstance(x, Terms) or x.added:
        return low.plain(eqn, args)
    (out,) = low.plain(eqn, [Part(x.aval, x.split, x.terms)])
    return [Terms(out.aval, out.split, out.value, x.axes, low.mesh)]


# --- what lies across borders


@rule(slice_p)
def _sliced(low: Partitioner, eqn: JaxprEqn, args: list[Part]) -> list[Part]:
    (x,) = args
    params = eqn.params
    strides = params["strides"] or (1,) * len(x.aval.shape)
    each = list(zip(params["start_indices"], params["limit_indices"], strides, strict=True))
    changed = [k for k, (n, c) in enumerate(zip(x.aval.shape, each, strict=True)) if c != (0, n, 1)]
    across = [k for k in changed if borders.over_of(x, k)]
    if not across:
        return low.plain(eqn, args)
    for k in across:
        x = borders.sliced(x, k, *each[k], low.mesh)

    def others(value: Any) -> Any:
        for k in changed:
            if k not in across:
                value = slice_in_dim(value, *each[k], k)
        return value

    return [borders.mapped(x, others, eqn.outvars[0].aval)]


@rule(pad_p)
def _padded(low: Partitioner, eqn: JaxprEqn, args: list[Part]) -> list[Part]:
    x, fill = args[0], args[1].gathered(low.mesh)
    config = [tuple(c) for c in eqn.params["padding_config"]]
    across = [k for k, c in enumerate(config) if c != (0, 0, 0) and borders.over_of(x, k)]
    if not across or any(config[k][2] for k in across):
        return low.plain(eqn, args)
    for k in across:
        low_end, high_end, _ = config[k]
        x = borders.padded(x, fill, k, low_end, high_end, low.mesh)
    rest = tuple([(0, 0, 0) if k in across else c for k, c in enumerate(config)])

    def others(value: Any) -> Any:
        return value if not any(map(any, rest)) else pad_p.bind(value, fill, padding_config=rest)

    return [borders.mapped(x, others, eqn.outvars[0].aval)]


@rule(concatenate_p)
def _joined(low: Partitioner, eqn: JaxprEqn, args: list[Part]) -> list[Part]:
    found = borders.joined(args, eqn.params["dimension"], low.mesh)
    return low.plain(eqn, args) if found is None else [found]


# Rules of single operations, which are done with terms as with values.
_ON_TERMS = (_linear, _arranged, _sliced, _padded, _joined)


# --- where values are


@rule(reshard_p, sharding_constraint_p)
def _constraint(low: Partitioner, eqn: JaxprEqn, args: list[Part]) -> list[Part]:
    (x,) = args
    sharding = eqn.params["sharding"]
    if not isinstance(sharding, NamedSharding) or not low.mesh.knows(sharding.mesh):
        return [x]
    low.mesh.split(sharding.spec, x.aval.shape, eqn.primitive.name)  # raises if it is no block
    laid = laid_split(eqn.primitive, sharding, x.split, x.aval.shape)
    split = tuple([tuple([a for a in axes if a in low.mesh.sizes]) for axes in laid])
    aval = eqn.outvars[0].aval
    over = low.not_taken(aval)
    if not over:
        return [Part(aval, split, x.at(low.mesh, split))]
    if isinstance(x, Terms) and set(x.axes) == set(over) and x.split == split:
        return [Terms(aval, split, x.terms, x.axes, low.mesh)]
    mine = _beside_zeros(x, split, over, low.mesh)
    if mine is not None:
        return [Terms(aval, split, mine, over, low.mesh)]
    total = x.at(low.mesh, split)
    term = terms_of(Part(aval, split, total), split, over, low.mesh)
    return [Terms(aval, split, term, over, low.mesh, total)]


def _beside_zeros(x: Part, split: Split, over: Axes, mesh: ProcessMesh) -> Any:
    """Of a value that is split over ``over`` and is to be a sum over it: what this process has,
    among zeros; None if other dimensions are to be split in another way."""
    config = [(0, 0, 0)] * len(split)
    changed = [k for k, (a, b) in enumerate(zip(x.split, split, strict=True)) if a != b]
    for k in changed:
        if split[k] or not set(x.split[k]) <= set(over):
            return None
        n, size = x.aval.shape[k], x.value.shape[k]
        first = mesh.index(x.split[k]) * size
        config[k] = (first, n - first - size, 0)
    if {a for k in changed for a in x.split[k]} != set(over):
        return None
    return pad_p.bind(x.value, x.aval.dtype.type(0), padding_config=tuple(config))


@rule(inspect_sharding_p)
def _asked(low: Partitioner, eqn: JaxprEqn, args: list[Part]) -> list[Part]:
    return []


@rule(optimization_barrier_p)
def _barrier(low: Partitioner, eqn: JaxprEqn, args: list[Part]) -> list[Part]:
    outs = low.bind(eqn, [low.has(p, p.split) for p in args], eqn.params)
    return [low.part(p.aval, p.split, x) for p, x in zip(args, outs, strict=True)]


# --- control flow


@rule(scan_p)
def _scan(low: Partitioner, eqn: JaxprEqn, args: list[Part]) -> list[Part]:
    params = eqn.params
    nc, n = params["num_consts"], params["num_carry"]
    closed: ClosedJaxpr = params["jaxpr"]
    consts, carry, xs = args[:nc], args[nc : nc + n], args[nc + n :]
    rows = [((), *p.split[1:]) for p in xs]

    def outs_of(splits: Sequence[Split]) -> list[Split]:
        given = [*[p.split for p in consts], *splits, *[r[1:] for r in rows]]
        return low.body(closed, given, None)[1]

    splits, found = _settled_carry([p.split for p in carry], outs_of, n)
    given = [*[p.split for p in consts], *splits, *[r[1:] for r in rows]]
    inner, _ = low.body(closed, given, [*splits, *found[n:]])
    want = [*[p.split for p in consts], *splits, *rows]
    values = [low.has(p, s) for p, s in zip(args, want, strict=True)]
    outs = low.bind(eqn, values, {**params, "jaxpr": inner})
    at = [*splits, *[((), *s) for s in found[n:]]]
    return [low.part(v.aval, s, x) for v, s, x in zip(eqn.outvars, at, outs, strict=True)]


def _settled_carry(
    given: list[Split], outs_of: Callable[[Sequence[Split]], list[Split]], n: int
) -> tuple[list[Split], list[Split]]:
    """How what a loop carries is split, before and after each step, and how its results are.

    What comes whole, as zeros to which is added, is split as the first step leaves it.
    """
    found = outs_of(given)
    carry = [a if any(a) else b for a, b in zip(given, found, strict=False)]
    while True:
        found = outs_of(carry)
        new = [common(a, b) for a, b in zip(carry, found, strict=False)]
        if new == carry:
            return carry, found
        carry = new


@rule(while_p)
def _while(low: Partitioner, eqn: JaxprEqn, args: list[Part]) -> list[Part]:
    params = eqn.params
    nc, nb = params["cond_nconsts"], params["body_nconsts"]
    tests, consts, carry = args[:nc], args[nc : nc + nb], args[nc + nb :]
    at = [p.split for p in consts]
    splits, _ = _settled_carry(
        [p.split for p in carry],
        lambda s: low.body(params["body_jaxpr"], [*at, *s], None)[1],
        len(carry),
    )
    body, _ = low.body(params["body_jaxpr"], [*at, *splits], splits)
    test, _ = low.body(params["cond_jaxpr"], [*[p.split for p in tests], *splits], [()])
    want = [*[p.split for p in tests], *at, *splits]
    values = [low.has(p, s) for p, s in zip(args, want, strict=True)]
    outs = low.bind(eqn, values, {**params, "body_jaxpr": body, "cond_jaxpr": test})
    return [low.part(v.aval, s, x) for v, s, x in zip(eqn.outvars, splits, outs, strict=True)]


@rule(cond_p)
def _cond(low: Partitioner, eqn: JaxprEqn, args: list[Part]) -> list[Part]:
    branches = eqn.params["branches"]
    at = [p.split for p in args[1:]]
    splits = low.body(branches[0], at, None)[1]
    for b in branches[1:]:
        others = low.body(b, at, None)[1]
        splits = [common(x, y) for x, y in zip(splits, others, strict=True)]
    made = tuple([low.body(b, at, splits)[0] for b in branches])
    values = [args[0].gathered(low.mesh), *[low.has(p, p.split) for p in args[1:]]]
    outs = low.bind(eqn, values, {**eqn.params, "branches": made})
    return [low.part(v.aval, s, x) for v, s, x in zip(eqn.outvars, splits, outs, strict=True)]


# --- effects


@rule(debug_callback_p, io_callback_p)
def _effect(low: Partitioner, eqn: JaxprEqn, args: list[Part]) -> list[Part]:
    """Of processes that have the same value the first has the effect, and tells the others what
    came of it; in the body of a `shard_map` each has its own."""
    values = [p.gathered(low.mesh) for p in args]
    ranks = low.mesh.group([a for a in low.mesh.sizes if a not in low.manual])
    outs = []
    if eqn.primitive is io_callback_p and len(ranks) > 1:
        outs = called_by_first(eqn, values, ranks, low.mesh.here)
    elif low.mesh.here == ranks[0]:
        outs = low.bind(eqn, values, eqn.params)
    return [Part(v.aval, nowhere(v.aval), x) for v, x in zip(eqn.outvars, outs, strict=True)]


# --- shard_map


@rule(shard_map_p)
def _shard_map(low: Partitioner, eqn: JaxprEqn, args: list[Part]) -> list[Part]:
    params = eqn.params
    mesh = low.mesh
    manual = [a for a in params["mesh"].axis_names if a in params["manual_axes"]]
    if not mesh.knows(params["mesh"]) or any(mesh.devices_along[a] > 1 for a in manual):
        return low.inside(whole_program(params, tuple([p.aval for p in args])), args)
    closed: ClosedJaxpr = params["jaxpr"]
    given = []
    for p, spec, v in zip(args, params["in_specs"], closed.jaxpr.invars, strict=True):
        over = mesh.split(spec, p.aval.shape, "shard_map")
        # Axes that are not manual stay as they are, within.
        rest = _beside(p.split, manual)
        within = tuple([(*a, *b) for a, b in zip(over, rest, strict=True)])
        sums = tuple([a for a in mesh.sizes if a in spec.unreduced])
        value = terms_of(p, within, sums, mesh) if sums else p.at(mesh, within)
        given.append(Part(v.aval, rest, value))
    outer, low.manual = low.manual, low.manual | {*manual}
    try:
        outs = low.inside(closed, given)
    finally:
        low.manual = outer
    made = []
    for p, spec, v in zip(outs, params["out_specs"], eqn.outvars, strict=True):
        over = mesh.split(spec, v.aval.shape, "shard_map")
        rest = _beside(p.split, [a for axes in over for a in axes])
        split = tuple([(*a, *b) for a, b in zip(over, rest, strict=True)])
        made.append(low.part(v.aval, split, p.at(mesh, rest)))
    return made


def _beside(split: Split, without: Sequence[Hashable]) -> Split:
    return tuple([tuple([a for a in axes if a not in without]) for axes in split])


def _group(low: Partitioner, eqn: JaxprEqn) -> tuple[int, ...]:
    name = eqn.params["axis_name"]
    return low.mesh.group((name,)) if name in low.mesh.sizes else (low.mesh.here,)


def _same(eqn: JaxprEqn, x: Part, value: Any) -> list[Part]:
    return [Part(eqn.outvars[0].aval, x.split, value)]


_REDUCED = {pa.psum_p: "sum", pa.pmax_p: "max", pa.pmin_p: "min"}


@rule(*_REDUCED)
def _reduced(low: Partitioner, eqn: JaxprEqn, args: list[Part]) -> list[Part]:
    (x,) = args
    return _same(eqn, x, collective(x.value, _REDUCED[eqn.primitive], _group(low, eqn)))


@rule(pa.pcast_p)
def _varying(low: Partitioner, eqn: JaxprEqn, args: list[Part]) -> list[Part]:
    return _same(eqn, args[0], args[0].value)


@rule(pa.ppermute_p)
def _permuted(low: Partitioner, eqn: JaxprEqn, args: list[Part]) -> list[Part]:
    (x,) = args
    value = collective(x.value, "permute", _group(low, eqn), eqn.params["perm"])
    return _same(eqn, x, value)


@rule(pa.axis_index_p)
def _index(low: Partitioner, eqn: JaxprEqn, args: list[Part]) -> list[Part]:
    k = low.mesh.at.get(eqn.params["axis_name"], 0)
    aval = eqn.outvars[0].aval
    return [Part(aval, (), np.asarray(k, aval.dtype))]


@rule(pa.all_gather_p)
def _all_gather(low: Partitioner, eqn: JaxprEqn, args: list[Part]) -> list[Part]:
    group = _group(low, eqn)
    (x,) = args
    at = eqn.params["axis"]
    value = moveaxis(collective(x.value, "gather", group), 0, at)
    split = (*x.split[:at], (), *x.split[at:])
    return [Part(eqn.outvars[0].aval, split, value)]


@rule(pa.all_to_all_p)
def _all_to_all(low: Partitioner, eqn: JaxprEqn, args: list[Part]) -> list[Part]:
    group = _group(low, eqn)
    (x,) = args
    give, take = eqn.params["split_axis"], eqn.params["concat_axis"]
    value = x.at(low.mesh, tuple([() if k == give else s for k, s in enumerate(x.split)]))
    rows = collective(moveaxis(value, give, 0), "exchange", group)
    split = list(x.split)
    split.pop(give)
    split.insert(take, ())
    return [Part(eqn.outvars[0].aval, tuple(split), moveaxis(rows, 0, take))]
