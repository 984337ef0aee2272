"""``custom_gradient`` and ``closure_convert``: rules that come with a value; closures opened up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from covector.control_flow.custom_vjp import custom_vjp
from covector.core import tree
from covector.core.avals import aval_of
from covector.core.dtypes import is_inexact
from covector.core.errors import at_user_line, describe
from covector.core.jaxpr import Jaxpr, eval_jaxpr
from covector.core.trace import Tracer, trace_to_jaxpr
from covector.core.tree_nodes import Partial
from covector.transforms.arguments import api_boundary, check_callable, fun_name, wraps


class _FlatRule:
    """A traced pullback; its constants are the children of the `Partial` it is part of."""

    __slots__ = ("jaxpr", "out_tree", "__weakref__")

    def __init__(self, jaxpr: Jaxpr, out_tree: Any) -> None:
        self.jaxpr = jaxpr
        self.out_tree = out_tree

    def __call__(self, consts: Sequence[Any], *cts: Any) -> Any:
        outs = eval_jaxpr(self.jaxpr, consts, *cts)
        return tree.unflatten(self.out_tree, outs)


def custom_gradient(fun: Callable[..., Any]) -> Callable[..., Any]:
    """Define a function together with its pullback.

    Parameters
    ----------
    fun : callable
        Returns ``(out, pullback)``, where ``pullback(ct)`` gives the cotangent of the argument,
        or a tuple of them.

    Returns
    -------
    callable
        Of value ``out``.

    Examples
    --------
    >>> import covector as cv
    >>> @cv.custom_gradient
    ... def f(x):
    ...     return x**2, lambda g: (g * x,)
    >>> cv.grad(f)(3.0)
    Array(3., dtype=float32, weak_type=True)
    """
    check_callable(fun, "custom_gradient")

    @wraps(fun)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        def call(*xs: Any) -> Any:
            pair = fun(*xs, **kwargs)
            if not isinstance(pair, (tuple, list)) or len(pair) != 2:
                raise TypeError(
                    f"custom_gradient: {fun_name(fun)} must return a pair (output, pullback), it "
                    f"returned {describe(pair)}{at_user_line()}"
                )
            return pair

        def primal(*xs: Any) -> Any:
            return call(*xs)[0]

        def fwd(*xs: Any) -> Any:
            out, pullback = call(*xs)
            flat, out_tree = tree.flatten(out)
            ct_tree: Any = None

            def flat_pullback(*cts: Any) -> list[Any]:
                nonlocal ct_tree
                result = pullback(tree.unflatten(out_tree, cts))
                if len(xs) == 1 and not (isinstance(result, tuple) and len(result) == 1):
                    result = (result,)
                leaves, ct_tree = tree.flatten(tuple(result))
                return leaves

            avals = [aval_of(x).to_tangent_aval() for x in flat]
            jaxpr, consts = trace_to_jaxpr(flat_pullback, avals)
            return out, Partial(_FlatRule(jaxpr, ct_tree), consts)

        def bwd(rule: Any, ct: Any) -> Any:
            return rule(*tree.leaves(ct))

        primal.__name__ = fun_name(fun)
        f = custom_vjp(primal)
        f.defvjp(fwd, bwd)
        return f(*args)

    return wrapped


@api_boundary
def closure_convert(fun: Callable[..., Any], *example_args: Any) -> tuple[Any, list[Any]]:
    """Make the traced values that a function closes over arguments of it.

    Rules of `custom_vjp` and `custom_jvp` say how to differentiate by arguments only: this is for
    functions given to such a function that close over values to differentiate by.

    Parameters
    ----------
    fun : callable
    *example_args
        Arguments of the types that ``fun`` will be called with.

    Returns
    -------
    converted : callable
        ``converted(*args, *consts)`` equals ``fun(*args)``.
    consts : list
        Values that may be differentiated by: floating-point tracers ``fun`` closes over.

    Examples
    --------
    >>> import covector as cv
    >>> def f(a):
    ...     converted, consts = cv.closure_convert(lambda x: a * x, 1.0)
    ...     print(len(consts), "value found")
    ...     return converted(2.0, *consts)
    >>> cv.grad(f)(3.0)
    1 value found
    Array(2., dtype=float32, weak_type=True)
    """
    check_callable(fun, "closure_convert")
    flat, in_tree = tree.flatten(example_args)
    out_tree: Any = None

    def flat_fun(*leaves: Any) -> list[Any]:
        nonlocal out_tree
        outs, out_tree = tree.flatten(fun(*tree.unflatten(in_tree, leaves)))
        return outs

    jaxpr, consts = trace_to_jaxpr(flat_fun, [aval_of(x) for x in flat])
    moved = [isinstance(c, Tracer) and is_inexact(c.aval.dtype) for c in consts]
    hoisted = [c for c, m in zip(consts, moved, strict=True) if m]

    def converted(*args: Any) -> Any:
        n = len(args) - len(hoisted)
        leaves, got = tree.flatten(args[:n])
        if got != in_tree:
            raise TypeError(
                f"the converted function {fun_name(fun)} was made for arguments of structure "
                f"{in_tree}, but it was called with {got}{at_user_line()}"
            )
        given = iter(args[n:])
        values = [next(given) if m else c for c, m in zip(consts, moved, strict=True)]
        return tree.unflatten(out_tree, eval_jaxpr(jaxpr, values, *leaves))

    return converted, hoisted
