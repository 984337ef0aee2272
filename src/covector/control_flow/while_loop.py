"""``while_loop`` and ``fori_loop``; the primitive of the former."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from covector.control_flow.common import (
    Body,
    arrays_of,
    check_arrays_of,
    check_carry,
    promote_weak,
    runs_in_python,
    trace_body,
)
from covector.control_flow.scan import run_scan
from covector.control_flow.while_rules import while_p
from covector.core import dtypes, tree
from covector.core.avals import ShapedArray, aval_of
from covector.core.dims import DimExpr
from covector.core.errors import at_user_line, describe
from covector.core.jaxpr import ClosedJaxpr, Var
from covector.core.operands import like
from covector.core.references import Reference, values_of, write_back
from covector.core.structural import convert_element_type
from covector.core.trace import Tracer
from covector.primitives.arithmetic import add
from covector.primitives.compare import lt
from covector.transforms.arguments import api_boundary, check_callable, fun_name
from covector.transforms.cache import FunctionCache


@api_boundary
def while_loop(
    cond_fun: Callable[[Any], Any], body_fun: Callable[[Any], Any], init_val: Any
) -> Any:
    """Repeat ``body_fun`` while ``cond_fun`` holds.

    Parameters
    ----------
    cond_fun : callable
        State to a scalar boolean.
    body_fun : callable
        State to state, of the same structure, shapes and dtypes.
    init_val : pytree
        The first state.

    Returns
    -------
    pytree
        The first state for which ``cond_fun`` is false.

    Raises
    ------
    TypeError
        If ``cond_fun`` returns no boolean scalar, or ``body_fun`` a state of other types than it
        takes.

    Notes
    -----
    Differentiable in forward mode. The number of steps is not known beforehand, so that the
    states which reverse mode needs cannot be kept: use `scan`, or `fori_loop` with constant
    bounds, for that. Under `vmap` the loop goes on until the condition is false for all elements;
    those that are done keep their state.

    Examples
    --------
    >>> import covector as cv
    >>> cv.lax.while_loop(lambda x: x < 10, lambda x: x * 2, 1)
    Array(16, dtype=int32, weak_type=True)

    The greatest common divisor, with a state of two numbers:

    >>> cv.lax.while_loop(lambda s: s[1] != 0, lambda s: (s[1], s[0] % s[1]), (12, 18))[0]
    Array(6, dtype=int32, weak_type=True)
    """
    return run_while("while_loop", cond_fun, body_fun, init_val)


def run_while(
    what: str, cond_fun: Callable[[Any], Any], body_fun: Callable[[Any], Any], init_val: Any
) -> Any:
    """`while_loop`, for the function that users called (``what``)."""
    check_callable(cond_fun, what)
    check_callable(body_fun, what)
    init_flat, init_tree = tree.flatten(init_val)
    avals = check_arrays_of(init_flat, init_val, what, "init_val")
    if runs_in_python(init_flat):
        val = arrays_of(init_val)
        while cond_fun(val):
            val = body_fun(val)
        return val
    in_tree = tree.structure((init_val,))
    body = trace_body(body_fun, in_tree, avals, what, refs=True)
    if body.out_tree == init_tree:
        for _ in range(3):
            init_flat, avals, changed = promote_weak(init_flat, avals, body.out_avals)
            if not changed:
                break
            body = trace_body(body_fun, in_tree, avals, what, refs=True)
    check_carry(what, body_fun, init_tree, avals, body.out_tree, body.out_avals)
    cond = trace_body(cond_fun, in_tree, avals, what, refs=True)
    check_predicate(cond.out_tree, cond.out_avals, cond_fun)
    if cond.written:
        raise ValueError(
            f"{what}: {fun_name(cond_fun)} writes to {cond.written[0].describe()}; a condition may "
            f"read references, but not write them: write in the body{at_user_line()}"
        )
    body_jaxpr, body_consts = body.of_loop()
    cond_jaxpr, cond_consts = _beside_carried(cond, body.written)
    outs = while_p.bind_params(
        [*values_of([*cond_consts, *body_consts, *body.written]), *init_flat],
        {
            "cond_jaxpr": cond_jaxpr,
            "cond_nconsts": len(cond_consts),
            "body_jaxpr": body_jaxpr,
            "body_nconsts": len(body_consts),
        },
    )
    k = len(body.written)
    return tree.unflatten(init_tree, write_back(body.written, [*outs[k:], *outs[:k]]))


def _beside_carried(cond: Body, carried: Sequence[Reference]) -> tuple[ClosedJaxpr, list[Any]]:
    """The condition of a loop that carries references before its state, and its constants."""
    if not carried:
        return cond.closed, cond.consts
    invars = cond.closed.jaxpr.invars
    variables = dict(zip(map(id, cond.consts), invars, strict=False))
    own = [variables.pop(id(ref), Var(ref.aval.inner_aval)) for ref in carried]
    consts = [c for c in cond.consts if id(c) in variables]
    jaxpr = cond.closed.jaxpr.replace(
        invars=[*variables.values(), *own, *invars[len(cond.consts) :]]
    )
    return ClosedJaxpr(jaxpr, cond.closed.consts), consts


def check_predicate(out_tree: Any, avals: list[ShapedArray], cond_fun: Any) -> None:
    """Raise the TypeError for a condition that is not one boolean scalar."""
    if out_tree.is_leaf() and avals[0].shape == () and avals[0].dtype == dtypes.bool_:
        return
    got = avals[0].str_short() if out_tree.is_leaf() else str(out_tree)
    raise TypeError(
        f"while_loop: cond_fun must return a boolean scalar, but {fun_name(cond_fun)} returned "
        f"{got}{at_user_line()}"
    )


def concrete_number(x: Any) -> int | float | None:
    """The value of an integer or a float that is known while tracing."""
    if isinstance(x, Tracer):
        x = x.concrete()
        if x is None:
            return None
    if type(x) is DimExpr:
        return None
    return int(x) if dtypes.is_integer(aval_of(x).dtype) else float(x)


# The bodies that fori_loop makes of the user's, so that equal calls find their traces.
_step_functions = FunctionCache()


def _step(body_fun: Callable[..., Any], i: Any, val: Any) -> Any:
    """A turn of a `fori_loop`, whose result has the structure of what it took."""
    new = body_fun(i, val)
    check_carry("fori_loop", body_fun, tree.structure(val), (), tree.structure(new), ())
    return new


def _as_scan_body(body_fun: Callable[..., Any]) -> Callable[..., Any]:
    entries = _step_functions.entries(body_fun)
    found = entries.get("scan")
    if found is None:
        fun = _weak(body_fun)

        def body(carry: Any, _: Any) -> tuple[Any, None]:
            i, val = carry
            return (add(i, like(1, i)), _step(fun(), i, val)), None

        body.__name__ = fun_name(body_fun)
        found = entries["scan"] = body
    return found


def _as_while_functions(body_fun: Callable[..., Any]) -> tuple[Any, Any]:
    entries = _step_functions.entries(body_fun)
    found = entries.get("while")
    if found is None:
        fun = _weak(body_fun)

        def body(state: Any) -> Any:
            i, upper, val = state
            return add(i, like(1, i)), upper, _step(fun(), i, val)

        body.__name__ = fun_name(body_fun)
        found = entries["while"] = (_below, body)
    return found


def _below(state: Any) -> Any:
    i, upper, _ = state
    return lt(i, upper)


def _weak(fun: Callable[..., Any]) -> Callable[[], Callable[..., Any]]:
    """A reference that does not keep ``fun``, which owns the cache entry, alive."""
    import weakref

    try:
        return weakref.ref(fun)  # type: ignore[return-value]
    except TypeError:
        return lambda: fun


@api_boundary
def fori_loop(
    lower: Any,
    upper: Any,
    body_fun: Callable[[Any, Any], Any],
    init_val: Any,
    *,
    unroll: int | bool | None = None,
) -> Any:
    """Apply ``val = body_fun(i, val)`` for ``i`` from ``lower`` to ``upper - 1``.

    Parameters
    ----------
    lower, upper : int or float
        Bounds, of one kind. If both are constant integers, the loop can be differentiated in
        reverse mode.
    body_fun : callable
        ``(i, val) -> val``, keeping the structure, shapes and dtypes of ``val``.
    init_val : pytree
        The first ``val``.
    unroll : int or bool, optional
        Steps per turn of the compiled loop (constant bounds only).

    Returns
    -------
    pytree
        The last ``val``; ``init_val`` if ``lower >= upper``.

    Raises
    ------
    TypeError
        If a bound is no number, or one is an integer and one a float, or ``body_fun`` returns
        other types than it takes.

    Examples
    --------
    >>> import covector as cv
    >>> cv.lax.fori_loop(0, 5, lambda i, x: x + i, 0)
    Array(10, dtype=int32, weak_type=True)
    >>> cv.grad(lambda x: cv.lax.fori_loop(0, 3, lambda i, y: y * x, 1.0))(2.0)
    Array(12., dtype=float32, weak_type=True)
    """
    check_callable(body_fun, "fori_loop")
    for x, name in ((lower, "lower"), (upper, "upper")):
        aval = check_arrays_of([x], x, "fori_loop", name)[0]
        if aval.shape or not (dtypes.is_integer(aval.dtype) or dtypes.is_float(aval.dtype)):
            raise TypeError(
                f"fori_loop: {name} must be a scalar, an integer or a float, got {describe(x)}"
                f"{at_user_line()}"
            )
    lower, upper = _common_type(lower, upper)
    low, high = concrete_number(lower), concrete_number(upper)
    if runs_in_python(tree.leaves(init_val)) and low is not None and high is not None:
        val = arrays_of(init_val)
        for i in range(math.ceil(high - low)):
            val = body_fun(low + i, val)
        return val
    if low is not None and high is not None:
        n = max(math.ceil(high - low), 0)
        turns = 1 if unroll is None else unroll
        init = (lower, init_val)
        (_, val), _ = run_scan("fori_loop", _as_scan_body(body_fun), init, None, n, False, turns)
        return val
    if unroll is not None and unroll is not False and unroll != 1:
        raise ValueError(
            "fori_loop: unroll can be given only where lower and upper are constants"
            f"{at_user_line()}"
        )
    cond, body = _as_while_functions(body_fun)
    return run_while("fori_loop", cond, body, (lower, upper, init_val))[2]


def _common_type(lower: Any, upper: Any) -> tuple[Any, Any]:
    a, b = aval_of(lower), aval_of(upper)
    if dtypes.is_integer(a.dtype) != dtypes.is_integer(b.dtype):
        raise TypeError(
            f"fori_loop: lower and upper must be of one kind, got {describe(lower)} and "
            f"{describe(upper)}{at_user_line()}"
        )
    dtype, weak = dtypes.promote(((a.dtype, a.weak_type), (b.dtype, b.weak_type)))
    if type(lower) is not int or a.dtype != dtype or a.weak_type != weak:
        lower = convert_element_type(lower, dtype, weak)
    if type(upper) is not int or b.dtype != dtype or b.weak_type != weak:
        upper = convert_element_type(upper, dtype, weak)
    return lower, upper
