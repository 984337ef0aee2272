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
import itertools
import math
import operator
from collections import Counter
from collections.abc import Hashable, Sequence
from typing import Any

from covector.core import tree
from covector.core.avals import ShapedArray
from covector.core.dce import dce
from covector.core.errors import at_user_line, boundaries, describe
from covector.core.jaxpr import ClosedJaxpr, Jaxpr
from covector.core.prefixes import spread
from covector.sharding.cost_walk import Axes, Value, Walk, local_bytes
from covector.sharding.named import NamedSharding
from covector.sharding.propagate import Sizes, Split, nowhere, split_of, split_on
from covector.sharding.spec import PartitionSpec

KINDS = ("all-reduce", "all-gather", "reduce-scatter", "all-to-all", "permute")


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


@boundaries
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
    mesh_axes : tuple
        All axes of the mesh.
    """

    flops: float
    bytes_accessed: float
    collectives: tuple[Collective, ...]
    bytes_of_arguments: tuple[int, ...]
    constant_bytes: int
    output_bytes: int
    temp_bytes: int
    donated_bytes: int = 0
    mesh_axes: Axes = ()

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
        if kind not in (None, *KINDS):
            raise ValueError(
                f"sent takes a kind of collective, one of {', '.join(KINDS)}, got {kind!r}"
                f"{at_user_line()}"
            )
        if axis is not None and axis not in self.mesh_axes:
            raise ValueError(
                f"sent takes an axis of the mesh, one of {', '.join(map(repr, self.mesh_axes))}, "
                f"got {axis!r}{at_user_line()}"
            )
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
        How the arguments are split: one for all, one for each array, or a tree that is a prefix of
        that of the arguments, a tuple with an entry for each.
    out_specs : PartitionSpec or pytree of those, optional
        How results are to be split, likewise; by default as they are found.
    donated : sequence of int
        Numbers of arguments whose memory results may take over, those of all arrays in them.

    Returns
    -------
    Cost

    Raises
    ------
    TypeError
        If ``closed`` is something else, such as a function that is not traced.
    ValueError
        If there is not a spec for each argument, an array cannot be split so, or there is no
        argument of a number that is donated.

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
    if not isinstance(closed, ClosedJaxpr):
        raise TypeError(
            "cost takes a program, as covector.make_jaxpr(f)(*types) gives it, got "
            f"{describe(closed)}{at_user_line()}"
        )
    sizes = dict(mesh.shape)
    jaxpr = closed.jaxpr
    taken, given = _trees(jaxpr)
    ins = _specs(in_specs, [v.aval for v in jaxpr.invars], mesh, "in_specs", taken, _names(jaxpr))
    outs = None
    if out_specs is not None:
        outs = _specs(out_specs, [v.aval for v in jaxpr.outvars], mesh, "out_specs", given)
    consts = [
        split_on(getattr(c, "sharding", None), v.aval, sizes)
        for v, c in zip(jaxpr.constvars, closed.consts, strict=True)
    ]
    arrays = _arrays_of(donated, len(jaxpr.invars), taken)
    return of_splits(closed, sizes, ins, outs, arrays, consts)


def of_splits(
    closed: ClosedJaxpr, sizes: Sizes, ins: Sequence[Split], outs: Sequence[Split] | None,
    donated: Sequence[int] = (), consts: Sequence[Split] | None = None,
) -> Cost:  # fmt: skip
    """The same for arguments, results and constants whose splits are known; ``donated`` are numbers
    of arrays."""
    jaxpr = closed.jaxpr
    consts = consts or [nowhere(v.aval) for v in jaxpr.constvars]
    walk = Walk(dce(jaxpr), sizes, {})
    found = walk.run([Value(s) for s in consts], [Value(s) for s in ins], outs)
    if outs is None:
        found = [(v, Value(walk.whole(v))) for v, _ in found]
    total = walk.total
    taken, given = 0, Counter([local_bytes(v.aval, f.split, sizes) for v, f in found])
    for number in donated:
        size = local_bytes(jaxpr.invars[number].aval, ins[number], sizes)
        if given[size]:
            given[size] -= 1
            taken += size
    arguments, constants = [
        tuple([local_bytes(v.aval, s, sizes) for v, s in zip(variables, splits, strict=True)])
        for variables, splits in ((jaxpr.invars, ins), (jaxpr.constvars, consts))
    ]
    collectives = [Collective(*key, sent, int(n)) for key, (sent, n) in total.sent.items()]
    return Cost(
        total.flops, total.touched, tuple(collectives),
        arguments, sum(constants),
        sum(local_bytes(v.aval, f.split, sizes) for v, f in found),
        math.ceil(walk.peak), taken, tuple(sizes),
    )  # fmt: skip


def _trees(jaxpr: Jaxpr) -> tuple[Any, Any]:
    """The structures of the positional arguments and of the results, where they are known."""
    found = getattr(jaxpr.debug_info, "trees", None)
    if found is None:
        return None, None
    (args, kwargs), out = found[0].children(), found[1]
    if kwargs.num_leaves or args.num_leaves != len(jaxpr.invars):
        args = None
    return args, out if out.num_leaves == len(jaxpr.outvars) else None


def _names(jaxpr: Jaxpr) -> list[str]:
    """What the arguments are called, where that is known."""
    found = list(getattr(jaxpr.debug_info, "arg_names", None) or ())
    return found if len(found) == len(jaxpr.invars) else []


def _arrays_of(donated: Sequence[int], n: int, treedef: Any) -> list[int]:
    """The numbers of the arrays in arguments of these numbers."""
    counts = [1] * n if treedef is None else [c.num_leaves for c in treedef.children()]
    starts = [0, *itertools.accumulate(counts)]
    found: list[int] = []
    for number in donated:
        k = operator.index(number)
        if not -len(counts) <= k < len(counts):
            raise ValueError(
                f"cost: donated holds numbers of arguments, got {number!r}; the program has "
                f"{len(counts)}{at_user_line()}"
            )
        found += range(starts[k % len(counts)], starts[k % len(counts) + 1])
    return sorted(set(found))


def _specs(
    specs: Any,
    avals: Sequence[ShapedArray],
    mesh: Any,
    what: str,
    treedef: Any,
    names: Sequence[str] = (),
) -> list[Split]:
    """The split of each array by a tree of specs; ``names`` are those of arguments."""
    is_spec = lambda s: s is None or isinstance(s, PartitionSpec)  # noqa: E731
    flat = tree.leaves(specs, is_leaf=is_spec)
    if isinstance(specs, PartitionSpec):
        flat = [specs] * len(avals)
    elif len(flat) != len(avals) and treedef is not None and all(map(is_spec, flat)):
        if what == "in_specs" and isinstance(specs, list):
            specs = tuple(specs)
        values = tree.unflatten(treedef, [0] * len(avals))
        each = "arguments" if what == "in_specs" else "results"
        flat = spread(
            specs, values, is_spec, f"cost: {what}", "one PartitionSpec, or one for each array",
            f"that of the {len(avals)} {each}",
        )  # fmt: skip
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
    for i, (s, a) in enumerate(zip(flat, avals, strict=True)):
        of = f" of the argument {names[i]}" if names else ""
        NamedSharding(mesh, s).check(a.shape, f"cost: {what}{of}")
    return [split_of(s, len(a.shape)) for s, a in zip(flat, avals, strict=True)]


__all__ = ["Collective", "Cost", "cost"]
