"""What loops and branches share: tracing of bodies, comparison of types, constants."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from covector.core import dtypes, tree
from covector.core.avals import ShapedArray, aval_of, not_an_array, to_array
from covector.core.config import runs_by_operation
from covector.core.errors import at_user_line
from covector.core.jaxpr import ClosedJaxpr, DebugInfo, Var
from covector.core.rules import UndefinedPrimal
from covector.core.structural import bring_dim, convert_element_type
from covector.core.trace import Primitive, Tracer, trace_to_jaxpr
from covector.core.tree_paths import path_names
from covector.transforms.arguments import check_results, fun_name, fun_source
from covector.transforms.cache import FunctionCache, cached_on_jaxpr, context_key
from covector.transforms.jaxprs import batch_jaxpr
from covector.transforms.jit import jit_p
from covector.transforms.vmap import BatchTrace


class Body:
    """A traced body.

    Attributes
    ----------
    closed : ClosedJaxpr
        Takes the constants and then the flat arguments; has no constants of its own.
    consts : list
        Arrays and tracers that the function closes over.
    out_tree : PyTreeDef
    """

    __slots__ = ("closed", "consts", "out_tree")

    def __init__(self, closed: ClosedJaxpr, consts: list[Any], out_tree: Any) -> None:
        self.closed = closed
        self.consts = consts
        self.out_tree = out_tree

    @property
    def out_avals(self) -> list[ShapedArray]:
        return self.closed.out_avals

    @property
    def jaxpr(self) -> Any:
        return self.closed.jaxpr


_bodies = FunctionCache()


def trace_body(
    fun: Callable[..., Any], in_tree: Any, avals: Sequence[ShapedArray], what: str
) -> Body:
    """Trace ``fun``, called with the items of the tuple ``in_tree`` describes.

    The trace is remembered with the function object, unless it closes over tracers.
    """
    entries = _bodies.entries(fun)
    key = (in_tree, tuple(avals), context_key())
    found = entries.get(key)
    if found is not None:
        return found
    out_tree: Any = None

    def flat(*leaves: Any) -> list[Any]:
        nonlocal out_tree
        outs, out_tree = tree.flatten(fun(*tree.unflatten(in_tree, leaves)))
        check_results(outs, out_tree, fun, what)
        return outs

    info = DebugInfo(fun_name(fun), fun_source(fun), None, None, what)
    jaxpr, consts = trace_to_jaxpr(flat, avals, info)
    body = Body(
        ClosedJaxpr(jaxpr.replace(constvars=[], invars=[*jaxpr.constvars, *jaxpr.invars])),
        consts,
        out_tree,
    )
    if not any(isinstance(c, Tracer) for c in consts):
        entries[key] = body
    return body


def share_consts(bodies: Sequence[Body]) -> tuple[tuple[ClosedJaxpr, ...], list[Any]]:
    """The jaxprs of ``bodies``, all of which take the constants of all, and these constants."""
    consts: list[Any] = []
    position: dict[int, int] = {}
    for body in bodies:
        for c in body.consts:
            if id(c) not in position:
                position[id(c)] = len(consts)
                consts.append(c)
    if not consts:
        return tuple(b.closed for b in bodies), consts
    branches = []
    avals = tuple(aval_of(c) for c in consts)
    for body in bodies:
        own = tuple(position[id(c)] for c in body.consts)
        branches.append(_with_shared(body.closed, own, avals))
    return tuple(branches), consts


@cached_on_jaxpr
def _with_shared(
    closed: ClosedJaxpr, own: tuple[int, ...], avals: tuple[ShapedArray, ...]
) -> ClosedJaxpr:
    invars = closed.jaxpr.invars
    shared = [Var(a) for a in avals]
    for i, v in zip(own, invars, strict=False):
        shared[i] = v
    return ClosedJaxpr(closed.jaxpr.replace(invars=[*shared, *invars[len(own) :]]), closed.consts)


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
        x if k < num_shared and d is None else bring_dim(x, size, d, 0)
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
    """Convert weakly typed carries to the dtype that the body makes of them.

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
                avals[i] = ShapedArray(a.shape, dtype, weak)
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
    if all(a.matches(o) for a, o in zip(in_avals, out_avals, strict=True)):
        return
    lines = []
    paths = path_names(tree.unflatten(in_tree, [0] * len(in_avals)))
    for path, a, o in zip(paths, in_avals, out_avals, strict=True):
        if a.matches(o):
            continue
        reasons = []
        if a.shape != o.shape:
            reasons.append("the shapes do not match")
        if a.dtype != o.dtype:
            reasons.append("the dtypes do not match")
        lines.append(
            f"  * carry{path} goes in as {a.str_short()} and comes out as {o.str_short()}: "
            + " and ".join(reasons)
        )
    listing = "\n".join(lines)
    hint = (
        "Give the initial value the type that the body returns, or convert what it returns "
        "(for example with .astype)."
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
            avals.append(aval_of(x))
        except TypeError:
            path = path_names(tree_)[i]
            raise TypeError(
                f"{what}: {label}{path} is not an array: {not_an_array(x)}{at_user_line()}"
            ) from None
    return avals
