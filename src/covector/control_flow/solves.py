"""Solutions of equations, differentiated through the equation instead of its solver."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from covector.control_flow.common import (
    batch_jaxprs,
    check_carry,
    cotangents_of_vectors,
    evaluate_jaxpr,
    share_consts,
    trace_body,
)
from covector.control_flow.custom_jvp import custom_jvp, stop_gradient
from covector.core import tree
from covector.core.avals import ShapedArray, aval_of
from covector.core.backend import get_backend
from covector.core.errors import at_user_line
from covector.core.jaxpr import ClosedJaxpr, eval_jaxpr
from covector.core.rules import Zero, higher_order_rules, jvp_rules, transpose_rules
from covector.core.structural import add_any, instantiate
from covector.core.trace import Primitive
from covector.primitives.arithmetic import neg
from covector.transforms.arguments import api_boundary, check_callable
from covector.transforms.autodiff import jvp, linear_transpose, linearize
from covector.transforms.jvp import jvp_flat
from covector.transforms.vmap import BatchTrace

# linear_solve(*consts, *b; …): all jaxprs take the same constants, then vectors. The first
# `num_vector` results of `jaxpr` (the solver) are the solution, the rest auxiliary.
linear_solve_p = Primitive("custom_linear_solve", multiple_results=True, call_param="jaxpr")


@linear_solve_p.def_abstract_eval
def _solve_avals(
    *avals: ShapedArray,
    jaxpr: ClosedJaxpr,
    matvec: ClosedJaxpr,
    vecmat: ClosedJaxpr | None,
    transpose_solve: ClosedJaxpr | None,
    num_consts: int,
) -> list[ShapedArray]:
    return jaxpr.out_avals


linear_solve_p.impl = evaluate_jaxpr(linear_solve_p)


def _jvp(
    primals: Sequence[Any], tangents: Sequence[Any], **params: Any
) -> tuple[list[Any], list[Any]]:
    n = params["num_consts"]
    consts, t_consts, t_b = primals[:n], tangents[:n], tangents[n:]
    size = len(primals) - n
    outs = linear_solve_p.bind_params(primals, params)
    x, aux = outs[:size], outs[size:]
    # A x = b, hence A dx = db - dA x.
    matvec = params["matvec"]
    rhs = list(t_b)
    if any(type(t) is not Zero for t in t_consts):
        _, moved = jvp_flat(
            lambda *c: eval_jaxpr(matvec.jaxpr, matvec.consts, *c, *x), consts, t_consts
        )
        for i, t in enumerate(moved):
            if type(t) is not Zero:
                rhs[i] = neg(t) if type(rhs[i]) is Zero else add_any(rhs[i], neg(t))
    if all(type(t) is Zero for t in rhs):
        return outs, [Zero.of(v) for v in outs]
    dx = linear_solve_p.bind_params([*consts, *map(instantiate, rhs)], params)[:size]
    return outs, [*dx, *(Zero.of(v) for v in aux)]


def _transpose(cts: Sequence[Any], *args: Any, **params: Any) -> list[Any]:
    n = params["num_consts"]
    if params["transpose_solve"] is None:
        raise TypeError(
            "custom_linear_solve: reverse-mode differentiation needs transpose_solve, or "
            f"symmetric=True{at_user_line()}"
        )
    size = len(args) - n
    swapped = {
        "jaxpr": params["transpose_solve"],
        "matvec": params["vecmat"],
        "vecmat": params["matvec"],
        "transpose_solve": params["jaxpr"],
        "num_consts": n,
    }
    ct_b = linear_solve_p.bind_params([*args[:n], *map(instantiate, cts[:size])], swapped)[:size]
    return cotangents_of_vectors(ct_b, args, n)


def _batch(
    trace: BatchTrace, args: Sequence[Any], dims: Sequence[int | None], params: dict[str, Any]
) -> tuple[list[Any], list[int | None]]:
    names = ("jaxpr", "matvec", "vecmat", "transpose_solve")
    return batch_jaxprs(linear_solve_p, names, params["num_consts"], trace, args, dims, params)


jvp_rules[linear_solve_p] = _jvp
transpose_rules[linear_solve_p] = _transpose
higher_order_rules[linear_solve_p] = _batch


@api_boundary
def custom_linear_solve(
    matvec: Callable[[Any], Any],
    b: Any,
    solve: Callable[[Callable[[Any], Any], Any], Any],
    transpose_solve: Callable[[Callable[[Any], Any], Any], Any] | None = None,
    symmetric: bool = False,
    has_aux: bool = False,
) -> Any:
    """Solve ``matvec(x) = b`` with a given solver, differentiated as the solution it is.

    Parameters
    ----------
    matvec : callable
        Linear; may close over values to differentiate by.
    b : pytree
    solve : callable
        ``solve(matvec, b)`` gives ``x``, or ``(x, aux)`` with ``has_aux``.
    transpose_solve : callable, optional
        Solves the transposed equation, for reverse mode.
    symmetric : bool
        ``matvec`` is its own transpose: ``solve`` serves for both.
    has_aux : bool
        Whether the solvers return something beside the solution, which is not differentiated.

    Returns
    -------
    pytree
        The solution, or ``(x, aux)`` with ``has_aux``.

    Raises
    ------
    TypeError
        If ``matvec(b)`` has other types than ``b``; in reverse mode without ``transpose_solve`` or
        ``symmetric``.

    Examples
    --------
    The derivative of ``8 / a`` comes from the equation ``a * x = 8``, whatever the solver does:

    >>> import covector as cv
    >>> def solve(matvec, b):
    ...     return b / matvec(1.0)
    >>> def f(a):
    ...     return cv.lax.custom_linear_solve(lambda x: a * x, 8.0, solve, symmetric=True)
    >>> f(4.0), cv.grad(f)(4.0)
    (Array(2., dtype=float32, weak_type=True), Array(-0.5, dtype=float32, weak_type=True))
    """
    for f in (matvec, solve):
        check_callable(f, "custom_linear_solve")
    if transpose_solve is None and symmetric:
        transpose_solve = solve
    flat, b_tree = tree.flatten(b)
    avals = [aval_of(x) for x in flat]
    in_tree = tree.structure((b,))
    forward = trace_body(matvec, in_tree, avals, "custom_linear_solve")
    check_carry("custom_linear_solve", matvec, b_tree, avals, forward.out_tree, forward.out_avals)
    bodies = [trace_body(lambda v: solve(matvec, v), in_tree, avals, "custom_linear_solve")]
    bodies.append(forward)
    out_tree = bodies[0].out_tree
    if transpose_solve is not None:
        backward = transpose_solve
        if symmetric:
            vecmat = matvec
        else:
            transposed = linear_transpose(matvec, b)

            def vecmat(v: Any) -> Any:
                return transposed(v)[0]

        bodies.append(trace_body(vecmat, in_tree, avals, "custom_linear_solve"))
        bodies.append(
            trace_body(lambda v: backward(vecmat, v), in_tree, avals, "custom_linear_solve")
        )
    shared, consts, _ = share_consts(bodies)
    closed = [*shared, *[None] * (4 - len(shared))]
    outs = linear_solve_p.bind_params(
        [*consts, *flat],
        {
            "jaxpr": closed[0],
            "matvec": closed[1],
            "vecmat": closed[2],
            "transpose_solve": closed[3],
            "num_consts": len(consts),
        },
    )
    return tree.unflatten(out_tree, outs)


@api_boundary
def custom_root(
    f: Callable[[Any], Any],
    initial_guess: Any,
    solve: Callable[[Callable[[Any], Any], Any], Any],
    tangent_solve: Callable[[Callable[[Any], Any], Any], Any],
    has_aux: bool = False,
) -> Any:
    """A root of a function found by a given solver, differentiated implicitly.

    Parameters
    ----------
    f : callable
        May close over values to differentiate by.
    initial_guess : pytree
        Not differentiated.
    solve : callable
        ``solve(f, initial_guess)`` gives the root, or ``(root, aux)`` with ``has_aux``.
    tangent_solve : callable
        ``tangent_solve(g, y)`` solves the linear equation ``g(x) = y``.
    has_aux : bool
        Whether ``solve`` returns something beside the root, which is not differentiated.

    Returns
    -------
    pytree
        The root, or ``(root, aux)`` with ``has_aux``.

    Raises
    ------
    TypeError
        If ``f(initial_guess)`` has other types than ``initial_guess``.

    Examples
    --------
    The derivative of the square root, from the equation ``x * x - a = 0``:

    >>> import covector as cv
    >>> def root(a):
    ...     f = lambda x: x * x - a
    ...     newton = lambda f, x: cv.lax.fori_loop(0, 20, lambda _, x: x - f(x) / (2 * x), x)
    ...     return cv.lax.custom_root(f, 1.0, newton, lambda g, y: y / g(1.0))
    >>> cv.grad(root)(4.0)
    Array(0.25, dtype=float32, weak_type=True)
    """
    for fun in (f, solve, tangent_solve):
        check_callable(fun, "custom_root")
    flat, guess_tree = tree.flatten(initial_guess)
    avals = [aval_of(x) for x in flat]
    body = trace_body(f, tree.structure((initial_guess,)), avals, "custom_root")
    check_carry("custom_root", f, guess_tree, avals, body.out_tree, body.out_avals)

    def equation(consts: Sequence[Any], x: Any) -> Any:
        outs = eval_jaxpr(body.jaxpr, body.closed.consts, *consts, *tree.leaves(x))
        return tree.unflatten(guess_tree, outs)

    def solved(consts: Sequence[Any], guess: Any) -> Any:
        out = solve(lambda x: equation(consts, x), guess)
        return out if has_aux else (out, None)

    # What the solver closes over takes no part in the derivative: the equation says it all.
    inputs = (list(body.consts), initial_guess)
    flat_inputs, in_tree = tree.flatten(inputs)
    solver = trace_body(solved, in_tree, [aval_of(x) for x in flat_inputs], "custom_root")

    def run(consts: Sequence[Any], guess: Any, captured: Sequence[Any]) -> Any:
        outs = eval_jaxpr(
            solver.jaxpr, solver.closed.consts, *captured, *consts, *tree.leaves(guess)
        )
        return tree.unflatten(solver.out_tree, outs)

    run.__name__ = "custom_root"
    root = custom_jvp(run)

    @root.defjvp
    def _rule(primals: Any, tangents: Any) -> Any:
        (consts, guess, captured), (t_consts, _, _) = primals, tangents
        x, aux = root(consts, guess, captured)
        _, moved = jvp(lambda c: equation(c, x), (consts,), (t_consts,))
        _, g = linearize(lambda x: equation(consts, x), x)
        dx = tangent_solve(g, tree.map(neg, moved))
        return (x, aux), (dx, tree.map(lambda v: instantiate(Zero.of(v)), aux))

    x, aux = root(inputs[0], *stop_gradient((initial_guess, list(solver.consts))))
    return (x, aux) if has_aux else x


def platform_dependent(
    *args: Any, default: Callable[..., Any] | None = None, **per_platform: Callable[..., Any]
) -> Any:
    """Call the function given for the platform that runs the program (``cpu=...``).

    Parameters
    ----------
    *args
        Passed to it.
    default : callable, optional
        For platforms that none is given for.
    **per_platform : callable
        Functions by name of the platform.

    Returns
    -------
    pytree
        What the function returns; the others are not called.

    Raises
    ------
    NotImplementedError
        If there is neither a function for the platform nor a default.

    Examples
    --------
    >>> import covector as cv
    >>> cv.lax.platform_dependent(2.0, cpu=lambda x: x + 1, default=lambda x: x)
    3.0
    """
    platform = get_backend().platform
    chosen = per_platform.get(platform, default)
    if chosen is None:
        given = ", ".join(sorted(per_platform))
        raise NotImplementedError(
            f"platform_dependent: there is no function for {platform!r}, only for {given}, and no "
            f"default{at_user_line()}"
        )
    return chosen(*args)
