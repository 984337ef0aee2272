"""How the results of a program are split, from how its arguments are."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from typing import Any

from covector.core.avals import ShapedArray, marked
from covector.core.jaxpr import ClosedJaxpr, Jaxpr, JaxprEqn, Literal, all_jaxprs
from covector.core.structural import optimization_barrier_p
from covector.core.trace import Primitive
from covector.sharding import rules  # noqa: F401 - registers the factors
from covector.sharding.factors import Factors, find_rule
from covector.sharding.mesh import Mesh
from covector.sharding.spec import PartitionSpec, names_in, part_of

# For each dimension of an array, the axes over which it is split.
Split = tuple[tuple[Hashable, ...], ...]
Sizes = dict[Hashable, int]

# rule(eqn, splits of the operands, sizes of the axes) -> splits of the results: primitives that
# hold programs, and those that say where their results are.
split_rules: dict[Primitive, Callable[[JaxprEqn, list[Split], Sizes], list[Split]]] = {}


def split_of(spec: PartitionSpec, ndim: int) -> Split:
    """A spec with a part for each dimension."""
    parts = [names_in(p) for p in spec]
    return tuple(parts + [()] * (ndim - len(parts)))


def split_on(sharding: Any, aval: ShapedArray, sizes: Sizes) -> Split:
    """How an array that lies so is split over axes of these sizes; a sharding on another mesh, or
    none, says nothing."""
    mesh = getattr(sharding, "mesh", None)
    if mesh is None or dict(mesh.shape) != sizes:
        return nowhere(aval)
    return split_of(sharding.spec, aval.ndim)


def spec_of(split: Split, whole: bool = False) -> PartitionSpec:
    """The spec of a split: as short as it can be, or, ``whole``, with all dimensions."""
    parts = [part_of(names) for names in split]
    while parts and parts[-1] is None and not whole:
        parts.pop()
    return PartitionSpec(*parts)


def nowhere(aval: ShapedArray) -> Split:
    """Not split at all."""
    return ((),) * len(aval.shape)


def splits_of_factors(
    f: Factors,
    splits: Sequence[Split],
    sizes: Sizes,
    clash: Callable[[int, Any], None] | None = None,
) -> list[tuple[Hashable, ...]]:
    """For each factor the axes that split it, as the operands say.

    Where they differ, the first operand that splits a factor decides, or ``clash``, given the
    factor, and the axis that splits another one already, raises the error. An axis splits one
    factor.
    """
    found: dict[int, tuple[Hashable, ...]] = {}
    owner: dict[Hashable, int] = {}
    for dims, split in zip(f.operands, splits, strict=True):
        for dim, names in zip(dims, split, strict=True):
            left = list(names)
            for factor in dim:
                taken, n = [], f.sizes[factor]
                while left and n % sizes[left[0]] == 0:
                    n //= sizes[left[0]]
                    taken.append(left.pop(0))
                axes = tuple(taken)
                if axes:
                    if factor in found and found[factor] != axes:
                        if clash is not None:
                            clash(factor, None)
                    elif any(owner.get(a, factor) != factor for a in axes):
                        if clash is not None:
                            clash(factor, next(a for a in axes if owner.get(a, factor) != factor))
                    else:
                        found[factor] = axes
                        owner.update(dict.fromkeys(axes, factor))
                if n > 1:
                    break  # the later ones count faster: they are not split before this one is
    return [found.get(k, ()) for k in range(len(f.sizes))]


def results_of_factors(
    f: Factors,
    by_factor: Sequence[tuple[Hashable, ...]],
    avals: Sequence[ShapedArray],
    sizes: Sizes,
) -> list[Split]:
    """How the results are split where factors are."""
    outs: list[Split] = []
    for dims, aval in zip(f.results, avals, strict=True):
        used: set[Hashable] = set()
        split: list[tuple[Hashable, ...]] = []
        for dim, size in zip(dims, aval.shape, strict=True):
            names: list[Hashable] = []
            n = size
            for factor in dim:
                for a in by_factor[factor]:
                    if factor in f.whole or a in used or n % sizes[a]:
                        break
                    names.append(a)
                    used.add(a)
                    n //= sizes[a]
                parts = 1
                for a in by_factor[factor]:
                    parts *= sizes[a]
                if parts != f.sizes[factor]:
                    break
            split.append(tuple(names))
        outs.append(tuple(split))
    return outs


# Their results lie as their first operand does, though devices exchange values for it.
_AS_OPERAND = frozenset((
    "scatter", "scatter_add", "scatter_mul", "scatter_min", "scatter_max", "dynamic_update_slice",
    "rev", "cumsum", "cumprod", "cummax", "cummin", "cumlogsumexp",
))  # fmt: skip


def forward(eqn: JaxprEqn, splits: list[Split], sizes: Sizes) -> list[Split]:
    """How the results of an equation are split."""
    prim = eqn.primitive
    special = split_rules.get(prim)
    if special is not None:
        return special(eqn, splits, sizes)
    if prim.call_param is not None:
        closed = eqn.params[prim.call_param]
        return through(closed.jaxpr, splits, sizes)
    rule = find_rule(prim)
    outs = [v.aval for v in eqn.outvars]
    if prim.name in _AS_OPERAND and outs[0].shape == eqn.invars[0].aval.shape:
        return [splits[0]] + [nowhere(a) for a in outs[1:]]
    factors = None
    if rule is not None and any(names for s in splits for names in s):
        factors = rule([a.aval for a in eqn.invars], outs, eqn.params)
    if factors is None:
        return [nowhere(a) for a in outs]
    return results_of_factors(factors, splits_of_factors(factors, splits, sizes), outs, sizes)


def through(
    jaxpr: Jaxpr, splits: Sequence[Split], sizes: Sizes, consts: Sequence[Split] = ()
) -> list[Split]:
    """How the results of a program are split whose arguments, and constants, are split so."""
    env: dict[Any, Split] = {v: nowhere(v.aval) for v in jaxpr.constvars}
    env.update(zip(jaxpr.constvars, consts, strict=False))
    env.update(zip(jaxpr.invars, splits, strict=True))

    def read(a: Any) -> Split:
        return nowhere(a.aval) if isinstance(a, Literal) else env[a]

    for eqn in jaxpr.eqns:
        env.update(
            zip(eqn.outvars, forward(eqn, [read(a) for a in eqn.invars], sizes), strict=True)
        )
    return [read(a) for a in jaxpr.outvars]


def whole(sharding: Any) -> Any:
    """The sharding of what all devices of a mesh have."""
    return sharding.update(spec=PartitionSpec())


def results(closed: ClosedJaxpr, sharding: Any, given: Sequence[Any]) -> list[Any]:
    """The shardings of the results of a program, on the mesh of ``sharding``, whose arguments lie
    as ``given`` says."""
    sizes = dict(sharding.mesh.shape)
    at = [getattr(c, "sharding", None) for c in closed.consts]
    splits, consts = (
        [split_on(s, v.aval, sizes) for v, s in zip(variables, shardings, strict=True)]
        for variables, shardings in ((closed.jaxpr.invars, given), (closed.jaxpr.constvars, at))
    )
    found = through(closed.jaxpr, splits, sizes, consts)
    out = []
    for aval, split in zip(closed.out_avals, found, strict=True):
        placed = marked(aval)
        spec = spec_of(split)
        if placed is not None:
            spec = spec_of(_as_type(placed, split, aval.shape), whole=True)
            spec = spec.with_marks(placed.spec.marks)
        out.append(sharding.update(spec=spec))
    return out


def _as_type(placed: Any, split: Split, shape: Sequence[int]) -> Split:
    """A split over explicit axes as the type says; over the others as it was found."""
    sizes, said = placed.mesh.shape, placed.mesh.explicit_axes
    out = []
    for n, e, s in zip(shape, split_of(placed.spec, len(shape)), split, strict=True):
        if e and tuple([a for a in s if a in said]) != e:
            both = (*e, *[a for a in s if a not in said])
            s = both if n % math.prod([sizes[a] for a in both]) == 0 else e
        out.append(s)
    return _once(tuple(out))


def _once(split: Split) -> Split:
    """No axis twice: the first dimension has it."""
    seen: set[Hashable] = set()
    out = []
    for names in split:
        kept = tuple([n for n in names if n not in seen])
        seen.update(kept)
        out.append(kept)
    return tuple(out)


def mesh_in(closed: ClosedJaxpr) -> Any:
    """The first mesh with devices that a program names, or that its constants lie on, or None."""
    for c in closed.consts:
        mesh = getattr(getattr(c, "sharding", None), "mesh", None)
        if isinstance(mesh, Mesh):
            return mesh
    for inner in all_jaxprs(closed.jaxpr):
        for eqn in inner.eqns:
            if eqn.primitive in split_rules:
                s = eqn.params.get("sharding")
                mesh = next(
                    (eqn.params[n] for n in ("mesh", "global_mesh") if n in eqn.params),
                    getattr(s, "mesh", None),
                )
                if mesh is not None and isinstance(mesh, Mesh):
                    return mesh
    return None


def common(a: Split, b: Split) -> Split:
    """Where two ways to split an array agree."""
    return tuple([x if x == y else () for x, y in zip(a, b, strict=True)])


def _scan(eqn: JaxprEqn, splits: list[Split], sizes: Sizes) -> list[Split]:
    p = eqn.params
    nc, n = p["num_consts"], p["num_carry"]
    closed: ClosedJaxpr = p["jaxpr"]
    carry = splits[nc : nc + n]
    xs = [s[1:] for s in splits[nc + n :]]
    for _ in range(len(carry) + 1):
        outs = through(closed.jaxpr, [*splits[:nc], *carry, *xs], sizes)
        new = [common(a, b) for a, b in zip(carry, outs, strict=False)]
        if new == carry:
            break
        carry = new
    return [*carry, *[((), *s) for s in outs[n:]]]


def _while(eqn: JaxprEqn, splits: list[Split], sizes: Sizes) -> list[Split]:
    p = eqn.params
    nc, nb = p["cond_nconsts"], p["body_nconsts"]
    consts, carry = splits[nc : nc + nb], splits[nc + nb :]
    for _ in range(len(carry) + 1):
        outs = through(p["body_jaxpr"].jaxpr, [*consts, *carry], sizes)
        new = [common(a, b) for a, b in zip(carry, outs, strict=True)]
        if new == carry:
            break
        carry = new
    return carry


def _cond(eqn: JaxprEqn, splits: list[Split], sizes: Sizes) -> list[Split]:
    branches = [through(b.jaxpr, splits[1:], sizes) for b in eqn.params["branches"]]
    outs = branches[0]
    for other in branches[1:]:
        outs = [common(a, b) for a, b in zip(outs, other, strict=True)]
    return outs


def _register() -> None:
    from covector.control_flow.cond_rules import cond_p
    from covector.control_flow.scan_rules import scan_p
    from covector.control_flow.while_rules import while_p

    split_rules.update({
        scan_p: _scan, while_p: _while, cond_p: _cond,
        optimization_barrier_p: lambda eqn, splits, sizes: splits,
    })  # fmt: skip


_register()
