"""``cond`` and ``switch``: branches on traced values; their primitive."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from covector.control_flow.common import (
    Body,
    check_arrays_of,
    runs_in_python,
    share_consts,
    trace_body,
)
from covector.control_flow.cond_rules import cond_p
from covector.core import dtypes, tree
from covector.core.avals import aval_of
from covector.core.errors import at_user_line, describe
from covector.core.jaxpr import ClosedJaxpr, eval_jaxpr
from covector.core.operands import like
from covector.core.references import has_refs, values_of, write_back
from covector.core.structural import convert_element_type
from covector.core.trace import Tracer, trace_to_jaxpr
from covector.core.tree_paths import path_names
from covector.primitives.compare import ne
from covector.primitives.select import clamp
from covector.transforms.arguments import api_boundary, check_callable, fun_name
from covector.transforms.cache import cached_on_jaxpr
from covector.transforms.references import close_over_refs

_MISSING = object()


def _check_branches(what: str, funs: Sequence[Any], bodies: Sequence[Body]) -> None:
    first = bodies[0]
    for i, body in enumerate(bodies[1:], 1):
        names = [f"{fun_name(f)} (branch {k})" for k, f in ((0, funs[0]), (i, funs[i]))]
        if what == "cond":
            names = [f"true_fun ({fun_name(funs[1])})", f"false_fun ({fun_name(funs[0])})"][::-1]
        if body.out_tree != first.out_tree:
            raise TypeError(
                f"{what}: the branches must return the same tree structure, but {names[0]} returns "
                f"{first.out_tree} and {names[1]} returns {body.out_tree}{at_user_line()}"
            )
        pairs = list(zip(first.out_avals, body.out_avals, strict=True))
        if all(a.matches(b) and a.lies_as(b) for a, b in pairs):
            continue
        paths = path_names(tree.unflatten(body.out_tree, [0] * len(body.out_avals)))
        lines = [
            f"  * result{path}: {a.str_short()} from {names[0]}, {b.str_short()} from {names[1]}"
            for path, (a, b) in zip(paths, pairs, strict=True)
            if not (a.matches(b) and a.lies_as(b))
        ]
        listing = "\n".join(lines)
        raise TypeError(
            f"{what}: the branches must return equal types, but they differ:\n{listing}\n"
            "Convert the results to one type (for example with .astype, or covector.reshard)"
            f"{at_user_line()}"
        )


def _unify_weak_types(bodies: list[Body]) -> list[Body]:
    """Give results the same dtype and weak type in all branches where weak types allow it."""
    if any(len(b.out_avals) != len(bodies[0].out_avals) for b in bodies):
        return bodies
    wanted: list[tuple[Any, bool] | None] = []
    for column in zip(*(b.out_avals for b in bodies), strict=True):
        if all(a == column[0] for a in column) or not any(a.weak_type for a in column):
            wanted.append(None)
        else:
            wanted.append(dtypes.promote(tuple((a.dtype, a.weak_type) for a in column)))
    if all(w is None for w in wanted):
        return bodies
    return [
        Body(_converted(b.closed, tuple(wanted)), b.consts, b.out_tree, b.written) for b in bodies
    ]


@cached_on_jaxpr
def _converted(closed: ClosedJaxpr, wanted: tuple[tuple[Any, bool] | None, ...]) -> ClosedJaxpr:
    unchanged = [None] * (len(closed.out_avals) - len(wanted))  # last values of references

    def fun(*args: Any) -> list[Any]:
        outs = eval_jaxpr(closed.jaxpr, closed.consts, *args)
        return [
            x if w is None or (not aval_of(x).weak_type and aval_of(x).dtype == w[0])
            else convert_element_type(x, *w)
            for x, w in zip(outs, [*wanted, *unchanged], strict=True)
        ]  # fmt: skip

    jaxpr, consts = trace_to_jaxpr(fun, closed.in_avals, closed.jaxpr.debug_info)
    return ClosedJaxpr(jaxpr, consts)


def _bind(
    what: str, index: Any, funs: Sequence[Callable[..., Any]], operands: tuple[Any, ...]
) -> Any:
    flat, in_tree = tree.flatten(operands)
    if has_refs(flat):
        funs, flat = close_over_refs(funs, flat, in_tree, what)
        operands = tuple(flat)
        in_tree = tree.structure(operands)
    avals = check_arrays_of(flat, operands, what, "operands")
    bodies = [trace_body(f, in_tree, avals, what, refs=True) for f in funs]
    if all(b.out_tree == bodies[0].out_tree for b in bodies):
        bodies = _unify_weak_types(bodies)
    _check_branches(what, funs, bodies)
    branches, consts, written = share_consts(bodies)
    outs = cond_p.bind_params([index, *values_of(consts), *flat], {"branches": branches})
    return tree.unflatten(bodies[0].out_tree, write_back(written, outs))


def _all_operands(what: str, operands: tuple[Any, ...], operand: Any) -> tuple[Any, ...]:
    """The operands given by position, or the one given by its name."""
    if operand is _MISSING:
        return operands
    if operands:
        raise TypeError(
            f"{what}: operands are given by position and as operand={operand!r}; give them by "
            f"position{at_user_line()}"
        )
    return (operand,)


def _concrete(x: Any) -> Any:
    return x.concrete() if isinstance(x, Tracer) else x


@api_boundary
def cond(
    pred: Any,
    true_fun: Callable[..., Any],
    false_fun: Callable[..., Any],
    *operands: Any,
    operand: Any = _MISSING,
) -> Any:
    """Call one of two functions.

    Parameters
    ----------
    pred : scalar
        Boolean, or a number that counts as true if it is not 0.
    true_fun, false_fun : callable
        Called with ``operands``; both return the same structure, shapes and dtypes.
    *operands : pytrees
    operand : pytree, optional
        A single operand by its name, instead.

    Returns
    -------
    pytree

    Raises
    ------
    TypeError
        If ``pred`` is not a scalar, or the results of the functions differ in structure or type.

    Notes
    -----
    Only the function chosen runs, but both are traced. Under `vmap` with a mapped ``pred`` both
    run, and the results are selected element by element.

    ``cond(pred, x, true_fun, y, false_fun)``, with an operand for each function, works too.

    Examples
    --------
    >>> import covector as cv
    >>> @cv.jit
    ... def f(x):
    ...     return cv.lax.cond(x > 0, lambda x: x + 1, lambda x: -x, x)
    >>> f(3), f(-3)
    (Array(4, dtype=int32, weak_type=True), Array(3, dtype=int32, weak_type=True))
    """
    operands = _all_operands("cond", operands, operand)
    if callable(false_fun) and not callable(true_fun) and len(operands) == 2:
        if callable(operands[1]):  # (pred, operand, true_fun, operand, false_fun)
            taken, not_taken = false_fun, operands[1]
            operands = (true_fun, operands[0])
            true_fun = lambda x, y: taken(x)  # noqa: E731
            false_fun = lambda x, y: not_taken(y)  # noqa: E731
    if not (callable(true_fun) and callable(false_fun)):
        raise TypeError(
            "cond takes (pred, true_fun, false_fun, *operands), where true_fun and false_fun are "
            f"functions; got {describe(true_fun)} and {describe(false_fun)}{at_user_line()}"
        )
    aval = check_arrays_of([pred], 0, "cond", "pred")[0]
    if aval.shape or dtypes.is_extended(aval.dtype):
        raise TypeError(
            f"cond: pred must be a scalar, got {aval.str_short()}; use covector.numpy.where to "
            f"choose element by element{at_user_line()}"
        )
    concrete = _concrete(pred)
    if concrete is not None and runs_in_python(tree.leaves(operands)):
        return true_fun(*operands) if concrete else false_fun(*operands)
    if aval.dtype != dtypes.bool_:
        pred = ne(pred, like(0, pred))
    index = convert_element_type(pred, dtypes.int32)
    return _bind("cond", index, (false_fun, true_fun), operands)


@api_boundary
def switch(
    index: Any,
    branches: Sequence[Callable[..., Any]],
    *operands: Any,
    operand: Any = _MISSING,
) -> Any:
    """Call the function number ``index`` (clamped to the range there is).

    Parameters
    ----------
    index : integer scalar
    branches : sequence of callables
        Called with ``operands``; all return the same structure, shapes and dtypes.
    *operands : pytrees
    operand : pytree, optional
        A single operand by its name, instead.

    Returns
    -------
    pytree

    Raises
    ------
    ValueError
        If there are no branches.
    TypeError
        If ``index`` is not an integer scalar, or the results of the functions differ in structure
        or type.

    Examples
    --------
    >>> import covector as cv
    >>> branches = [lambda x: x, lambda x: -x, lambda x: 2 * x]
    >>> cv.lax.switch(1, branches, 5)
    Array(-5, dtype=int32, weak_type=True)
    >>> cv.lax.switch(100, branches, 5)
    Array(10, dtype=int32, weak_type=True)
    """
    operands = _all_operands("switch", operands, operand)
    branches = tuple(branches)
    if not branches:
        raise ValueError(f"switch: branches is empty, at least one is needed{at_user_line()}")
    for b in branches:
        check_callable(b, "switch")
    aval = check_arrays_of([index], 0, "switch", "index")[0]
    if aval.shape or not dtypes.is_integer(aval.dtype):
        raise TypeError(
            f"switch: index must be an integer scalar, got {aval.str_short()}{at_user_line()}"
        )
    if len(branches) == 1:
        return branches[0](*operands)
    concrete = _concrete(index)
    if concrete is not None and runs_in_python(tree.leaves(operands)):
        return branches[min(max(int(concrete), 0), len(branches) - 1)](*operands)
    if aval.dtype != dtypes.int32:
        # Clamped in its own type: a large index must not wrap around.
        n = aval.dtype.type(len(branches) - 1)
        index = clamp(aval.dtype.type(0), index, n)
    index = convert_element_type(index, dtypes.int32)
    return _bind("switch", index, branches, operands)
