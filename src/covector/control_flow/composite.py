"""Operations with a name of their own that a function defines, and values that are kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from covector.control_flow.common import evaluate_jaxpr, trace_body
from covector.core import tree
from covector.core.avals import ShapedArray, aval_of
from covector.core.errors import at_user_line
from covector.core.jaxpr import ClosedJaxpr, eval_jaxpr
from covector.core.operands import as_array, as_operand
from covector.core.rules import Zero, batching_rules, jvp_rules
from covector.core.structural import mapped_first
from covector.core.trace import Composed, JaxprTrace, JaxprTracer, Primitive, current_trace
from covector.transforms.arguments import api_boundary, check_callable
from covector.transforms.jvp import jvp_flat
from covector.transforms.vmap import vmap_flat

# composite(*consts, *operands; name, version, attributes, jaxpr)
composite_p = Primitive("composite", multiple_results=True, call_param="jaxpr")
composite_p.impl = evaluate_jaxpr(composite_p)


@composite_p.def_abstract_eval
def _avals(*avals: ShapedArray, jaxpr: ClosedJaxpr, **params: Any) -> list[ShapedArray]:
    return jaxpr.out_avals


# A compiler knows the operation by its name alone: what comes out of a transformation is another
# one, without a name.


def _decomposed(closed: ClosedJaxpr) -> Callable[..., list[Any]]:
    return lambda *args: eval_jaxpr(closed.jaxpr, closed.consts, *args)


def _jvp(
    primals: Sequence[Any], tangents: Sequence[Any], *, jaxpr: ClosedJaxpr, **params: Any
) -> tuple[list[Any], list[Any]]:
    return jvp_flat(_decomposed(jaxpr), primals, tangents)


def _batch(
    axis_size: int,
    args: Sequence[Any],
    dims: Sequence[int | None],
    *,
    jaxpr: ClosedJaxpr,
    **params: Any,
) -> tuple[list[Any], list[int | None]]:
    return vmap_flat(_decomposed(jaxpr), axis_size, args, dims)


jvp_rules[composite_p] = _jvp
batching_rules[composite_p] = _batch


# Of attributes of these types, and tuples of them, the text says all.
_PLAIN = frozenset((bool, int, float, complex, str, bytes, type(None)))
_MOST = 64


def _is_plain(x: Any) -> bool:
    return type(x) in _PLAIN or (type(x) is tuple and all(map(_is_plain, x)))


def _with_attributes(
    decomposition: Callable[..., Any],
    attributes: dict[str, Any],
    bound: dict[Any, Callable[..., Any]],
) -> Callable[..., Any]:
    """The function of the operands alone: the same for the same attributes, so that what is
    remembered with it is found again."""
    plain = all(map(_is_plain, attributes.values()))
    key = repr(sorted(attributes.items())) if plain else None
    function = bound.get(key) if plain else None
    if function is None:

        def function(*operands: Any) -> Any:
            return decomposition(*operands, **attributes)

        if plain:
            if len(bound) >= _MOST:
                bound.clear()
            bound[key] = function
    return function


@api_boundary
def composite(decomposition: Callable[..., Any], name: str, version: int = 0) -> Callable[..., Any]:
    """A function that a compiler may know by its name, and that ``decomposition`` defines.

    The compiler of CPUs knows none: what it compiles is the decomposition, whole with what is
    around it. Derivatives and mapped functions are those of the decomposition, without the name.

    Parameters
    ----------
    decomposition : callable
        Takes arrays as positional arguments and attributes, which are not traced, by keyword.
    name : str
        Such as ``"my.tangent"``.
    version : int
        Of the meaning of the operation.

    Returns
    -------
    callable
        With the signature of ``decomposition``.

    Examples
    --------
    >>> import covector as cv
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> def scaled_tan(x, *, scale):
    ...     return scale * np.sin(x) / np.cos(x)
    >>> tangent = lax.composite(scaled_tan, "my.scaled_tan", version=1)
    >>> tangent(0.0, scale=2.0)
    Array(0., dtype=float32, weak_type=True)
    >>> cv.grad(tangent)(0.0, scale=2.0)
    Array(2., dtype=float32, weak_type=True)
    """
    check_callable(decomposition, "composite")
    if not isinstance(name, str) or not isinstance(version, int):
        raise TypeError(
            f"composite takes a name that is a string and an integer version, got {name!r} and "
            f"{version!r}{at_user_line()}"
        )

    bound: dict[Any, Callable[..., Any]] = {}

    @api_boundary
    def call(*args: Any, **attributes: Any) -> Any:
        leaves, in_tree = tree.flatten(args)
        operands = [as_operand(x, name) for x in leaves]
        function = _with_attributes(decomposition, attributes, bound)
        body = trace_body(function, in_tree, [aval_of(x) for x in operands], "composite")
        outs = composite_p.bind_params(
            [*body.consts, *operands],
            {
                "name": name,
                "version": version,
                "attributes": tuple(sorted(attributes.items())),
                "jaxpr": body.closed,
            },
        )
        return tree.unflatten(body.out_tree, outs)

    return call


# --- values that are kept --------------------------------------------------------------------


class KeptEffect:
    """The effect of an operation that stays in a program though nothing reads its result."""

    def __repr__(self) -> str:
        return "Kept"


_KEPT = frozenset((KeptEffect(),))
dce_sink_p = Primitive("dce_sink", multiple_results=True)
dce_sink_p.def_abstract_eval(lambda *avals, **params: [])
dce_sink_p.def_effects(lambda params: _KEPT)
dce_sink_p.impl = lambda args, params: []


def _sink_jvp(
    primals: Sequence[Any], tangents: Sequence[Any], **params: Any
) -> tuple[list[Any], list[Zero]]:
    dce_sink_p.bind_params(primals, params)
    return [], []


def _sink_batch(
    axis_size: int, args: Sequence[Any], dims: Sequence[int | None], **params: Any
) -> tuple[list[Any], list[int]]:
    dce_sink_p.bind_params(mapped_first(args, dims), params)
    return [], []


jvp_rules[dce_sink_p] = _sink_jvp
batching_rules[dce_sink_p] = _sink_batch


@api_boundary
def dce_sink(val: Any, *, prevent_mlir_dce: bool = False) -> None:
    """Keep the computation of ``val`` in jaxprs, as if something read it.

    A compiler may still find that its result is not needed.

    Parameters
    ----------
    val : pytree of array_like
    prevent_mlir_dce : bool
        Of no effect: there is no such compiler below.

    Returns
    -------
    None

    Examples
    --------
    >>> import covector as cv
    >>> from covector import lax
    >>> cv.make_jaxpr(lambda x: (lax.dce_sink(x * 2), x)[1])(1.0)
    { lambda  ; a:f32[]*. let
        b:f32[]* = mul a 2.0:f32[]*
        dce_sink b
      in (a,) }
    """
    for leaf in tree.leaves(val):
        dce_sink_p.bind_params((as_operand(leaf, "dce_sink"),), {})


@api_boundary
def stage(x: Any, /) -> Any:
    """``x`` as a value of the function that is being traced, or an array where none is.

    Parameters
    ----------
    x : array_like

    Returns
    -------
    Array
        A traced one inside ``jit``, whose type is that of ``x``.

    Examples
    --------
    >>> import covector as cv
    >>> from covector import lax
    >>> lax.stage(2.0)
    Array(2., dtype=float32, weak_type=True)
    >>> cv.eval_shape(lambda: lax.stage(2.0)).shape
    ()
    """
    value = as_array(x, "stage")
    trace = current_trace()
    if isinstance(trace, JaxprTrace) and not isinstance(value, JaxprTracer):
        aval = aval_of(value)
        return JaxprTracer(trace, aval, trace.const(value, aval))
    return value


stage_p = Composed("stage", stage)
