"""Looking at what is traced: ``make_jaxpr`` and ``eval_shape``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from covector.core import tree
from covector.core.errors import at_user_line
from covector.core.jaxpr import ClosedJaxpr
from covector.core.references import values_of
from covector.core.trace import current_trace, set_current_trace
from covector.transforms.arguments import (
    api_boundary,
    check_callable,
    fun_name,
    index_tuple,
    names_of,
    wraps,
)
from covector.transforms.jit import Jitted
from covector.transforms.shapes import struct_of
from covector.transforms.vmap import BatchTrace


@api_boundary
def make_jaxpr(
    fun: Callable[..., Any],
    static_argnums: int | Sequence[int] = (),
    axis_env: Sequence[tuple[Any, int]] | None = None,
    return_shape: bool = False,
) -> Callable[..., Any]:
    """The program that a function does on its arguments.

    Parameters
    ----------
    fun : callable
    static_argnums : int or sequence of int
        Arguments that the trace sees as they are.
    axis_env : sequence of (name, size), optional
        Named axes that ``fun`` may refer to.
    return_shape : bool
        Return the `ShapeDtypeStruct` tree of the result too.

    Returns
    -------
    callable
        Takes the arguments of ``fun`` (arrays or `ShapeDtypeStruct`), returns a ClosedJaxpr.

    Examples
    --------
    Each line shows the type of a value; a star marks weak types.

    >>> import covector as cv
    >>> print(cv.make_jaxpr(lambda x: cv.numpy.sin(x) * 2)(1.0))
    { lambda  ; a:f32[]*. let
        b:f32[]* = sin a
        c:f32[]* = mul b 2.0:f32[]*
      in (c,) }
    """
    check_callable(fun, "make_jaxpr")
    static = index_tuple(static_argnums)

    @api_boundary
    @wraps(fun)
    def make_jaxpr_f(*args: Any, **kwargs: Any) -> Any:
        n = len(args)
        for i in static:
            if not -n <= i < n:
                raise ValueError(
                    f"make_jaxpr: static_argnums names positional argument {i}, but "
                    f"{fun_name(fun)} was called with {n} positional "
                    f"argument{'s' * (n != 1)}{at_user_line()}"
                )
        trace = current_trace()
        for name, size in axis_env or ():
            trace = BatchTrace(trace, size, name)
        with set_current_trace(trace):
            # A fresh Jitted: the caller wants to see a trace made now, not a cached one.
            fresh = lambda *a, **k: fun(*a, **k)  # noqa: E731
            fresh.__wrapped__ = fun  # type: ignore[attr-defined]  # its arguments have names
            jitted = Jitted(fresh, tuple(i % n for i in static))
            jitted.name = fun_name(fun)
            entry, _ = jitted.trace(args, kwargs, abstract=True)
        closed = entry.closed
        if entry.hoisted:
            h = len(entry.hoisted)
            jaxpr = closed.jaxpr
            closed = ClosedJaxpr(
                jaxpr.replace(
                    constvars=[*jaxpr.invars[:h], *jaxpr.constvars], invars=jaxpr.invars[h:]
                ),
                [*values_of(entry.hoisted), *closed.consts],
            )
        info = closed.jaxpr.debug_info
        if info is not None:
            info.trees = (entry.in_tree, entry.out_tree)
            info.arg_names = names_of(fun, entry.in_tree, [i % n for i in static])
        if return_shape:
            shapes = [struct_of(a) for a in entry.out_avals]
            return closed, tree.unflatten(entry.out_tree, shapes)
        return closed

    return make_jaxpr_f


@api_boundary
def eval_shape(fun: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Shapes and dtypes of the result of ``fun``, without computing it.

    Parameters
    ----------
    fun : callable
    *args, **kwargs
        Its arguments: arrays or anything with ``shape`` and ``dtype``, in pytrees.

    Returns
    -------
    pytree of ShapeDtypeStruct

    Examples
    --------
    >>> import covector as cv
    >>> x = cv.ShapeDtypeStruct((1_000_000, 1_000_000), "float32")
    >>> cv.eval_shape(lambda x, y: {"out": x @ y}, x, cv.numpy.ones(1_000_000))
    {'out': ShapeDtypeStruct(shape=(1000000,), dtype=float32)}
    """
    check_callable(fun, "eval_shape")
    inner = getattr(fun, "_jitted", None)
    jitted = inner if inner is not None else Jitted(fun)
    entry, _ = jitted.trace(args, kwargs, abstract=True)
    return tree.unflatten(entry.out_tree, [struct_of(a) for a in entry.out_avals])
