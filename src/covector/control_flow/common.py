"""What loops and branches share: tracing of bodies, comparison of types, constants."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from covector.core import dtypes, tree
from covector.core.avals import ShapedArray, aval_of, not_an_array, place, to_array
from covector.core.config import runs_by_operation
from covector.core.errors import at_user_line
from covector.core.jaxpr import ClosedJaxpr, DebugInfo, Var
from covector.core.references import Reference, type_of_value
from covector.core.rules import UndefinedPrimal
from covector.core.structural import convert_element_type
from covector.core.trace import Primitive, Tracer, eval_trace, trace_to_jaxpr
from covector.core.tree_paths import path_names
from covector.primitives.parallel import pvary
from covector.transforms.arguments import check_results, fun_name, src_info
from covector.transforms.cache import FunctionCache, cached_on_jaxpr, context_key
from covector.transforms.jaxprs import batch_jaxpr, permute
from covector.transforms.jit import jit_p
from covector.transforms.vmap import BatchTrace, bring


class Body:
    """A traced body.

    Attributes
    ----------
    closed : ClosedJaxpr
        Takes the constants and then the flat arguments; has no constants of its own.
    consts : list
        Arrays, tracers and references that the function closes over.
    out_tree : PyTreeDef
    written : list of Reference
        Those of the references whose last values follow the results.
    """

    __slots__ = ("closed", "consts", "out_tree", "written", "_loop")

    def __init__(
        self,
        closed: ClosedJaxpr,
        consts: list[Any],
        out_tree: Any,
        written: Sequence[Reference] = (),
    ) -> None:
        self.closed = closed
        self.consts = consts
        self.out_tree = out_tree
        self.written = written
        self._loop: tuple[ClosedJaxpr, list[Any]] | None = None

    @property
    def out_avals(self) -> list[ShapedArray]:
        """Types of the results, without the last values of references."""
        avals = self.closed.out_avals
        return avals[: self.out_tree.num_leaves] if self.written else avals

    def of_loop(self) -> tuple[ClosedJaxpr, list[Any]]:
        """The body of a loop that carries the written references before everything else.

        Returns its jaxpr, which takes these, then the constants that are left and the arguments
        (constants first), and the constants that are left.
        """
        if not self.written:
            return self.closed, self.consts
        if self._loop is None:  # one loop always has one body and is compiled once
            self._loop = carrying(self.closed, self.consts, self.written)
        return self._loop

    @property
    def jaxpr(self) -> Any:
        return self.closed.jaxpr


_bodies = FunctionCache()


def trace_body(
    fun: Callable[..., Any], in_tree: Any, avals: Sequence[ShapedArray], what: str,
    refs: bool = False,
) -> Body:  # fmt: skip
    """Trace ``fun``, called with the items of the tuple ``in_tree`` describes.

    The trace is remembered with the function object, unless it closes over tracers. With ``refs``,
    it may capture references, which the caller then reads and writes back.
    """
    entries = _bodies.entries(fun)
    key = (in_tree, tuple(avals), refs, context_key())
    found = entries.get(key)
    if found is not None:
        return found
    out_tree: Any = None

    def flat(*leaves: Any) -> list[Any]:
        nonlocal out_tree
        outs, out_tree = tree.flatten(fun(*tree.unflatten(in_tree, leaves)))
        check_results(outs, out_tree, fun, what)
        return outs

    info = DebugInfo(what, src_info(fun_name(fun), fun))
    written: list[Reference] = []
    jaxpr, consts = trace_to_jaxpr(flat, avals, info, written if refs else None)
    body = Body(
        ClosedJaxpr(jaxpr.replace(constvars=[], invars=[*jaxpr.constvars, *jaxpr.invars])),
        consts,
        out_tree,
        written,
    )
    if all([_outlives(c) for c in consts]):
        entries[key] = body
    return body


def _outlives(c: Any) -> bool:
    """Whether a constant is still there when the enclosing traces have ended."""
    if isinstance(c, Reference):
        return c._home is eval_trace
    return not isinstance(c, Tracer)


def carrying(
    closed: ClosedJaxpr, consts: Sequence[Any], written: Sequence[Reference]
) -> tuple[ClosedJaxpr, list[Any]]:
    """A loop's body with the ``written`` references, among its constants, as its first carries.

    Their last values, which were behind the other results, come before them.
    """
    position = {id(c): i for i, c in enumerate(consts)}
    carried = [position[id(ref)] for ref in written]
    kept = [i for i in range(len(consts)) if i not in carried]
    n_out = len(closed.out_avals) - len(written)
    inputs = [*kept, *carried, *range(len(consts), len(closed.in_avals))]
    outputs = [*range(n_out, n_out + len(written)), *range(n_out)]
    return permute(closed, inputs, outputs), [consts[i] for i in kept]


def share_consts(
    bodies: Sequence[Body],
) -> tuple[tuple[ClosedJaxpr, ...], list[Any], list[Reference]]:
    """The jaxprs of ``bodies``, all of which take the constants of all, and these constants.

    The last item are the references that one of them writes, whose last values all return.
    """
    consts: list[Any] = []
    position: dict[int, int] = {}
    for body in bodies:
        for c in body.consts:
            if id(c) not in position:
                position[id(c)] = len(consts)
                consts.append(c)
    if not consts:
        return tuple(b.closed for b in bodies), consts, []
    written = list(dict.fromkeys(ref for b in bodies for ref in b.written))
    at = tuple(position[id(ref)] for ref in written)
    branches = []
    avals = tuple(type_of_value(c) for c in consts)
    for body in bodies:
        own = tuple(position[id(c)] for c in body.consts)
        last = {ref: k - len(body.written) for k, ref in enumerate(body.written)}
        which = tuple(last.get(ref) for ref in written)
        branches.append(_with_shared(body.closed, own, avals, len(last), at, which))
    return tuple(branches), consts, written


@cached_on_jaxpr
def _with_shared(
    closed: ClosedJaxpr, own: tuple[int, ...], avals: tuple[ShapedArray, ...], num_last: int,
    at: tuple[int, ...], which: tuple[int | None, ...],
) -> ClosedJaxpr:  # fmt: skip
    """``closed`` that takes constants of ``avals``, of which it has its ``own``.

    In place of its ``num_last`` last results it returns those in ``which``, or where that is None
    the constants ``at``.
    """
    invars, outvars = closed.jaxpr.invars, closed.jaxpr.outvars
    shared = [Var(a) for a in avals]
    for i, v in zip(own, invars, strict=False):
        shared[i] = v
    last = [shared[i] if w is None else outvars[w] for i, w in zip(at, which, strict=True)]
    jaxpr = closed.jaxpr.replace(
        invars=[*shared, *invars[len(own) :]],
        outvars=[*outvars[: len(outvars) - num_last], *last],
    )
    return ClosedJaxpr(jaxpr, closed.consts)


# --- operations that carry several jaxprs of one linear function ---------------------------


def evaluate_jaxpr(prim: Primitive) -> Callable[..., list[Any]]:
    """``impl`` of a primitive that is its parameter ``jaxpr``, with derivatives of its own."""

    def impl(args: Sequence[Any], params: dict[str, Any]) -> list[Any]:
        inner = {"jaxpr": params["jaxpr"], "name": prim.name, "inline": False}
        return jit_p.bind_params(args, inner)

    return impl


def batch_jaxprs(
    prim: Primitive, names: Sequence[str], num_shared: int, trace: BatchTrace,
    args: Sequence[Any], dims: Sequence[int | None], params: dict[str, Any],
) -> tuple[list[Any], list[int | None]]:  # fmt: skip
    """Batch an operation whose jaxprs, of these ``names``, all take the first arguments.

    The others (vectors) and the results are mapped in any case, so that one jaxpr may be put in
    the place of another.
    """
    size = trace.axis_size
    shared = [d is not None for d in dims[:num_shared]]

    def mapped(closed: ClosedJaxpr | None) -> ClosedJaxpr | None:
        if closed is None:
            return None
        batched = (*shared, *[True] * (len(closed.in_avals) - num_shared))
        force = (True,) * len(closed.out_avals)
        return batch_jaxpr(closed, size, trace.axis_name, batched, force)[0]

    moved = [
        x if k < num_shared and d is None else bring(x, size, trace.axis_name, d, 0)
        for k, (x, d) in enumerate(zip(args, dims, strict=True))
    ]
    outs = prim.bind_params(moved, {**params, **{name: mapped(params[name]) for name in names}})
    return outs, [0] * len(outs)


def cotangents_of_vectors(cts: Sequence[Any], args: Sequence[Any], num_shared: int) -> list[Any]:
    """What a transpose rule returns: cotangents of the undefined arguments after the shared."""
    found = zip(cts, args[num_shared:], strict=True)
    return [None] * num_shared + [ct if type(x) is UndefinedPrimal else None for ct, x in found]


def runs_in_python(leaves: Sequence[Any]) -> bool:
    """Whether control flow is to run as plain Python: ``disable_jit`` and concrete values."""
    return runs_by_operation() and all(
        not isinstance(x, Tracer) or x.concrete() is not None for x in leaves
    )


def arrays_of(x: Any) -> Any:
    """A carry as arrays: NumPy's could be changed in place by the function that gets them."""
    return tree.map(lambda leaf: leaf if isinstance(leaf, Tracer) else to_array(leaf), x)


def promote_weak(
    values: Sequence[Any], in_avals: Sequence[ShapedArray], out_avals: Sequence[ShapedArray]
) -> tuple[list[Any], list[ShapedArray], bool]:
    """Convert weakly typed carries to the dtype that the body makes of them, have carries vary
    over the axes of a mesh over which the body makes them vary, and be split as it says, if their
    own types say nothing.

    Returns
    -------
    values, avals : list
    changed : bool
    """
    values, avals, changed = list(values), list(in_avals), False
    for i, (a, o) in enumerate(zip(in_avals, out_avals, strict=True)):
        if a.dtype != o.dtype and a.weak_type:
            dtype, weak = dtypes.promote(((a.dtype, True), (o.dtype, o.weak_type)))
            if dtype != a.dtype:
                values[i] = convert_element_type(values[i], dtype, weak)
                avals[i] = a.update(dtype=dtype, weak_type=weak)
                changed = True
        if a.placed is None and o.placed is not None:
            avals[i] = place(avals[i], o.placed, a.varying, a.marks)
            changed = True
        if o.varying - a.varying:
            values[i] = pvary(values[i], sorted(o.varying - a.varying, key=str))
            avals[i] = place(avals[i], avals[i].placed, aval_of(values[i]).varying, a.marks)
            changed = True
    return values, avals, changed


_NONE = tree.structure(None)


def check_carry(
    what: str,
    fun: Callable[..., Any],
    in_tree: Any,
    in_avals: Sequence[ShapedArray],
    out_tree: Any,
    out_avals: Sequence[ShapedArray],
) -> None:
    """Raise the error for a body that does not return the carry in the type it takes it.

    Raises
    ------
    TypeError
        Shows each differing component with its path and both types.
    """
    name = fun_name(fun)
    if in_tree != out_tree:
        if out_tree == _NONE:
            raise TypeError(
                f"{what}: {name} returned None; it must return the new carry (is a return "
                f"statement missing?){at_user_line()}"
            )
        raise TypeError(
            f"{what}: the carry that {name} returns must have the same tree structure as the one "
            f"it takes, but it takes {in_tree} and returns {out_tree}{at_user_line()}"
        )
    if all(a.matches(o) and a.lies_as(o) for a, o in zip(in_avals, out_avals, strict=True)):
        return
    lines = []
    paths = path_names(tree.unflatten(in_tree, [0] * len(in_avals)))
    for path, a, o in zip(paths, in_avals, out_avals, strict=True):
        if a.matches(o) and a.lies_as(o):
            continue
        reasons = []
        if a.shape != o.shape:
            reasons.append("the shapes do not match")
        if a.dtype != o.dtype:
            reasons.append("the dtypes do not match")
        if not reasons:
            how = "split differently over" if a.marks == o.marks else "sums over other axes of"
            reasons.append(f"they are {how} the mesh")
        lines.append(
            f"  * carry{path} goes in as {a.str_short()} and comes out as {o.str_short()}: "
            + " and ".join(reasons)
        )
    listing = "\n".join(lines)
    hint = (
        "Give the initial value the type that the body returns, or convert what it returns "
        "(for example with .astype, or covector.reshard)."
    )
    raise TypeError(
        f"{what}: the carry that {name} takes and the carry that it returns must have equal "
        f"types, but they differ:\n{listing}\n{hint}{at_user_line()}"
    )


def with_unused_args(closed: ClosedJaxpr, at: int, avals: Sequence[ShapedArray]) -> ClosedJaxpr:
    """``closed`` with arguments inserted at position ``at`` that it does not use."""
    invars = closed.jaxpr.invars
    return ClosedJaxpr(
        closed.jaxpr.replace(invars=[*invars[:at], *[Var(a) for a in avals], *invars[at:]]),
        closed.consts,
    )


def check_arrays_of(leaves: Sequence[Any], tree_: Any, what: str, label: str) -> list[ShapedArray]:
    """Avals of leaves of an argument; the TypeError names the one that is not an array."""
    avals = []
    for i, x in enumerate(leaves):
        try:
            if isinstance(x, Reference):
                raise TypeError
            avals.append(aval_of(x))
        except TypeError:
            path = path_names(tree_)[i]
            raise TypeError(
                f"{what}: {label}{path} is not an array: {not_an_array(x)}{at_user_line()}"
            ) from None
    return avals
