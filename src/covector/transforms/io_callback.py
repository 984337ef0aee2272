"""``io_callback``: a Python function with side effects, called from within a program."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from covector.core import tree
from covector.core.avals import ShapedArray, array_from_numpy, settled
from covector.core.errors import at_user_line
from covector.core.rules import batching_rules, jvp_rules
from covector.core.structural import mapped_first
from covector.core.trace import EvalTrace, Primitive
from covector.transforms.arguments import api_boundary, check_callable
from covector.transforms.callbacks import (
    FlatCallback,
    call_checked,
    each_element,
    flatten_callback,
    in_parts,
)

io_callback_p = Primitive("io_callback", multiple_results=True)


class IOEffect:
    """Keeps an `io_callback` in a program whether or not something uses its results."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "IO"


class OrderedIOEffect(IOEffect):
    """As `IOEffect`, for callbacks that run in the order of the program."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "OrderedIO"


_IO = frozenset((IOEffect(),))
_ORDERED = frozenset((OrderedIOEffect(),))


@io_callback_p.def_abstract_eval
def _avals(
    *avals: ShapedArray,
    callback: FlatCallback,
    result_avals: tuple[ShapedArray, ...],
    ordered: bool,
) -> list[ShapedArray]:
    return list(result_avals)


io_callback_p.def_effects(lambda params: _ORDERED if params["ordered"] else _IO)


def _run(args: Sequence[Any], params: dict[str, Any]) -> list[Any]:
    if in_parts(args):
        return EvalTrace.dispatch(io_callback_p, args, params)
    avals = params["result_avals"]
    outs = call_checked(params["callback"], args, avals, "io_callback")
    return [settled(array_from_numpy(x, a.dtype), *args) for x, a in zip(outs, avals, strict=True)]


io_callback_p.impl = _run


def _jvp(primals: Sequence[Any], tangents: Sequence[Any], **params: Any) -> NoReturn:
    raise ValueError(
        "io_callback cannot be differentiated: wrap the function that calls it in custom_jvp or "
        f"custom_vjp, or its arguments in lax.stop_gradient{at_user_line()}"
    )


def _batch(
    axis_size: int, args: Sequence[Any], dims: Sequence[int | None], **params: Any
) -> tuple[list[Any], list[int]]:
    if params["ordered"]:
        raise ValueError(
            "vmap of an ordered io_callback: the order in which its elements are to be called is "
            f"not said; use lax.map or scan{at_user_line()}"
        )
    callback = each_element(params["callback"], axis_size, tuple(d is not None for d in dims))
    avals = tuple(a.update(shape=(axis_size, *a.shape)) for a in params["result_avals"])
    outs = io_callback_p.bind_params(
        mapped_first(args, dims), {**params, "callback": callback, "result_avals": avals}
    )
    return outs, [0] * len(outs)


jvp_rules[io_callback_p] = _jvp
batching_rules[io_callback_p] = _batch


@api_boundary
def io_callback(
    callback: Callable[..., Any],
    result_shape_dtypes: Any,
    *args: Any,
    sharding: Any = None,
    ordered: bool = False,
    **kwargs: Any,
) -> Any:
    """Call a Python function with side effects from a transformed function.

    Parameters
    ----------
    callback : callable
        Gets arrays and returns arrays of the announced types. It is called each time the program
        comes by, whether or not something uses its results.
    result_shape_dtypes : pytree
        `ShapeDtypeStruct` (or anything with ``shape`` and ``dtype``) for each result; None if
        there are none.
    *args, **kwargs
        Passed to ``callback``: pytrees of arrays.
    sharding : optional
        Has no effect.
    ordered : bool
        Keep the order of the program among all ordered callbacks.

    Returns
    -------
    pytree
        Of the structure of ``result_shape_dtypes``.

    Raises
    ------
    ValueError
        If it is differentiated; if it is ordered and mapped by `vmap`.

    Notes
    -----
    `vmap` calls it for each element of mapped arguments, and once if none is mapped; `shard_map`
    calls it once a device, also in order.

    Examples
    --------
    >>> import covector as cv
    >>> from covector.experimental import io_callback
    >>> seen = []
    >>> def record(x):
    ...     seen.append(float(x))
    ...     return x * 2
    >>> f = cv.jit(lambda x: io_callback(record, cv.ShapeDtypeStruct((), "float32"), x))
    >>> f(1.0), f(3.0)
    (Array(2., dtype=float32), Array(6., dtype=float32))
    >>> seen
    [1.0, 3.0]
    """
    check_callable(callback, "io_callback")
    flat, flat_callback, avals, out_tree = flatten_callback(
        "io_callback", callback, result_shape_dtypes, args, kwargs
    )
    outs = io_callback_p.bind_params(
        flat, {"callback": flat_callback, "result_avals": avals, "ordered": bool(ordered)}
    )
    return tree.unflatten(out_tree, outs)
