"""Python functions called from within programs: ``pure_callback``, ``debug.callback``, printing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import numpy as np

from covector.core import dtypes, tree
from covector.core.avals import ShapedArray, array_from_numpy, is_array_like, settled
from covector.core.effects import Effect
from covector.core.errors import at_user_line, describe, user_frame
from covector.core.rules import Zero, batching_rules, jvp_rules
from covector.core.structural import bring_dim, mapped_first
from covector.core.trace import NO_EFFECTS, EvalTrace, Primitive
from covector.transforms.arguments import api_boundary, check_callable, fun_name
from covector.transforms.foreign import ForeignFunction
from covector.transforms.formats import check_format, misfit
from covector.transforms.shapes import aval_like

FlatCallback = Callable[..., Sequence[Any]]

pure_callback_p = Primitive("pure_callback", multiple_results=True)
debug_callback_p = Primitive("debug_callback", multiple_results=True)


class DebugEffect(Effect):
    """Keeps a callback in a program although nothing uses its result.

    Examples
    --------
    >>> import covector as cv
    >>> cv.make_jaxpr(lambda x: cv.debug.callback(print, x))(1.0).effects
    frozenset({Debug})
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return "Debug"


class OrderedDebugEffect(DebugEffect):
    """As `DebugEffect`, for callbacks that run in the order of the program.

    Examples
    --------
    >>> import covector as cv
    >>> cv.make_jaxpr(lambda x: cv.debug.callback(print, x, ordered=True))(1.0).effects
    frozenset({OrderedDebug})
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return "OrderedDebug"


_DEBUG = frozenset((DebugEffect(),))
_ORDERED = frozenset((OrderedDebugEffect(),))


@pure_callback_p.def_abstract_eval
def _pure_avals(
    *avals: ShapedArray,
    callback: FlatCallback,
    result_avals: tuple[ShapedArray, ...],
    vmap_method: str | None,
) -> list[ShapedArray]:
    return list(result_avals)


def call_checked(
    callback: FlatCallback,
    args: Sequence[Any],
    avals: Sequence[ShapedArray],
    what: str = "pure_callback",
) -> list[np.ndarray]:
    """The results of a callback, which must be of the announced shapes and dtypes.

    64 bits count as 32 where there are no more. Python's numbers have no dtype of their own: they
    take the announced one, if it holds numbers of their kind.
    """
    found = list(callback(*args))
    return [_checked(x, a, callback.__name__, what) for x, a in zip(found, avals, strict=True)]


def _checked(x: Any, aval: ShapedArray, name: str, what: str) -> np.ndarray:
    announced = f"{what}: {name} was announced to return {aval.str_short()}, it returned"
    try:
        array = np.asarray(x)
    except ValueError:  # rows of different lengths
        array = np.asarray(None)
    if array.dtype.kind in "OUSMm":
        raise ValueError(f"{announced} {_described(x)}, which is no array of numbers")
    # A device calls from its own threads, on which no context of the user's says how many bits
    # numbers have: the announced dtype stands for it.
    dtype = array.dtype
    if dtype != aval.dtype:
        dtype = dtypes.canonicalize_dtype(dtype)
    fits = dtype == aval.dtype
    if not fits and _of_python(x):
        fits = dtypes.kind_rank(dtype) <= dtypes.kind_rank(aval.dtype)
    if array.shape == aval.shape and fits:
        return array
    given = f"an array of shape {array.shape} and dtype {array.dtype}"
    if isinstance(x, (tuple, list)):
        given = f"{_described(x)}, as an array of shape {array.shape} and dtype {array.dtype}"
    advice = ""
    if array.shape == aval.shape:
        advice = f". Convert it, numpy.asarray(result, {aval.dtype.name!r}), or announce its dtype"
    raise ValueError(f"{announced} {given}{advice}")


def _described(x: Any) -> str:
    if isinstance(x, (tuple, list)):
        return f"a {type(x).__name__} of {len(x)}"
    return describe(x)


def _of_python(x: Any) -> bool:
    """Whether something is a number of Python's, or lists of such."""
    if type(x) in (list, tuple):
        return all(map(_of_python, x))
    return type(x) in (bool, int, float, complex)


# Native functions say theirs.
pure_callback_p.def_effects(lambda params: getattr(params["callback"], "effects", NO_EFFECTS))


def in_parts(args: Sequence[Any]) -> bool:
    """Whether this process has no more than a part of one of the values."""
    return not all(getattr(x, "is_fully_addressable", True) or x.is_fully_replicated for x in args)


def _run_pure(args: Sequence[Any], params: dict[str, Any]) -> list[Any]:
    if type(params["callback"]) is ForeignFunction or in_parts(args):
        return EvalTrace.dispatch(pure_callback_p, args, params)
    avals = params["result_avals"]
    outs = call_checked(params["callback"], args, avals)
    return [settled(array_from_numpy(x, a.dtype), *args) for x, a in zip(outs, avals, strict=True)]


pure_callback_p.impl = _run_pure


@debug_callback_p.def_abstract_eval
def _debug_avals(*avals: ShapedArray, callback: FlatCallback, ordered: bool) -> list[ShapedArray]:
    return []


debug_callback_p.def_effects(lambda params: _ORDERED if params["ordered"] else _DEBUG)


def _run_debug(args: Sequence[Any], params: dict[str, Any]) -> list[Any]:
    if type(params["callback"]) is Look:
        args = [_whole(x) for x in args]
    elif in_parts(args):
        return EvalTrace.dispatch(debug_callback_p, args, params)
    params["callback"](*args)
    return []


def _whole(x: Any) -> Any:
    """All of a value, on each process, so that all of them find the same in it."""
    if not in_parts([x]):
        return x
    return EvalTrace.move([x], {"sharding": x.sharding.update(spec=())})[0]


debug_callback_p.impl = _run_debug


# --- transformations ---------------------------------------------------------------------


def _pure_jvp(primals: Sequence[Any], tangents: Sequence[Any], **params: Any) -> NoReturn:
    what = params["callback"]
    name = what.operation if type(what) is ForeignFunction else "pure_callback"
    raise ValueError(
        f"{name} cannot be differentiated: wrap the function that calls it in custom_jvp or "
        f"custom_vjp, or its arguments in lax.stop_gradient{at_user_line()}"
    )


def _debug_jvp(
    primals: Sequence[Any], tangents: Sequence[Any], **params: Any
) -> tuple[list[Any], list[Zero]]:
    debug_callback_p.bind_params(primals, params)
    return [], []


def each_element(callback: FlatCallback, axis_size: int, mapped: Sequence[bool]) -> FlatCallback:
    """A callback that calls ``callback`` for each element of axis 0 of the mapped arguments."""

    def run(*args: Any) -> Sequence[Any]:
        arrays = [np.asarray(x) if m else x for x, m in zip(args, mapped, strict=True)]
        rows = [
            list(callback(*[x[i] if m else x for x, m in zip(arrays, mapped, strict=True)]))
            for i in range(axis_size)
        ]
        # Numbers of Python's stay such: they have no dtype.
        return [
            list(c) if all(map(_of_python, c)) else np.stack([np.asarray(x) for x in c])
            for c in zip(*rows, strict=True)
        ]

    run.__name__ = callback.__name__
    return run


class Look:
    """A callback that looks at a value, and takes a batch of such as it is."""

    __slots__ = ("look",)
    __name__ = "look"

    def __init__(self, look: Callable[[Any], None]) -> None:
        self.look = look

    def __call__(self, x: Any) -> list[Any]:
        self.look(x)
        return []


def look_at(x: Any, look: Callable[[Any], None]) -> None:
    """Call ``look`` with the value of ``x`` when it is known: now, or when the program runs.

    Of a value that is mapped it gets all, along further axes.
    """
    debug_callback_p.bind_params((x,), {"callback": Look(look), "ordered": False})


VMAP_METHODS = (
    "sequential", "sequential_unrolled", "expand_dims", "broadcast_all", "legacy_vectorized",
)  # fmt: skip


def pure_batch(
    axis_size: int, args: Sequence[Any], dims: Sequence[int | None], **params: Any
) -> tuple[list[Any], list[int]]:
    method, callback = params["vmap_method"], params["callback"]
    if method is None:
        what = "ffi_call" if type(callback) is ForeignFunction else "pure_callback"
        raise NotImplementedError(
            f"vmap of {what} needs to know how to call the function for a batch: give {what} a "
            f"vmap_method, one of {', '.join(VMAP_METHODS)}{at_user_line()}"
        )
    mapped = tuple(d is not None for d in dims)
    if method in ("sequential", "sequential_unrolled"):
        moved = mapped_first(args, dims)
        if type(callback) is ForeignFunction:
            callback = callback.each(axis_size, mapped)
        else:
            callback = each_element(callback, axis_size, mapped)
    elif method == "broadcast_all":
        moved = [bring_dim(x, axis_size, d, 0) for x, d in zip(args, dims, strict=True)]
    elif method == "expand_dims":
        moved = [
            bring_dim(x, axis_size if d is not None else 1, d, 0)
            for x, d in zip(args, dims, strict=True)
        ]
    else:
        moved = mapped_first(args, dims)
    avals = tuple(a.update(shape=(axis_size, *a.shape)) for a in params["result_avals"])
    outs = pure_callback_p.bind_params(
        moved, {"callback": callback, "result_avals": avals, "vmap_method": method}
    )
    return outs, [0] * len(outs)


def _debug_batch(
    axis_size: int, args: Sequence[Any], dims: Sequence[int | None], **params: Any
) -> tuple[list[Any], list[int]]:
    callback = params["callback"]
    if type(callback) is not Look:
        callback = each_element(callback, axis_size, tuple(d is not None for d in dims))
    debug_callback_p.bind_params(mapped_first(args, dims), {**params, "callback": callback})
    return [], []


jvp_rules[pure_callback_p] = _pure_jvp
jvp_rules[debug_callback_p] = _debug_jvp
batching_rules[pure_callback_p] = pure_batch
batching_rules[debug_callback_p] = _debug_batch


# --- what users call ---------------------------------------------------------------------


def flatten_callback(
    what: str, callback: Callable[..., Any], result_shape_dtypes: Any, args: Any, kwargs: Any
) -> tuple[list[Any], FlatCallback, tuple[ShapedArray, ...], Any]:
    """Flat arguments, a callback of these, and types and structure of its results."""
    flat, in_tree = tree.flatten((args, kwargs))
    shapes, out_tree = tree.flatten(result_shape_dtypes)
    avals = tuple([aval_like(s) for s in shapes])
    name = fun_name(callback)

    def flat_callback(*leaves: Any) -> list[Any]:
        a, k = tree.unflatten(in_tree, leaves)
        result = callback(*a, **k)
        outs, got_tree = tree.flatten(result)
        if got_tree == out_tree or len(outs) == out_tree.num_leaves:
            return outs
        try:
            # Where a leaf was announced, a sequence of numbers is an array.
            return out_tree.flatten_up_to(result)
        except (ValueError, TypeError):
            raise ValueError(
                f"{what}: {name} was announced to return {out_tree}, it returned {got_tree}"
            ) from None

    flat_callback.__name__ = name
    return flat, flat_callback, avals, out_tree


@api_boundary
def pure_callback(
    callback: Callable[..., Any],
    result_shape_dtypes: Any,
    *args: Any,
    sharding: Any = None,
    vmap_method: str | None = None,
    **kwargs: Any,
) -> Any:
    """Call a Python function without side effects from a transformed function.

    Parameters
    ----------
    callback : callable
        Gets arrays (NumPy functions work on them) and returns arrays of the announced types;
        Python's numbers take the announced dtype. The program may call it more than once, or not
        at all.
    result_shape_dtypes : pytree
        `ShapeDtypeStruct` (or anything with ``shape`` and ``dtype``) for each result.
    *args, **kwargs
        Passed to ``callback``: pytrees of arrays.
    sharding : optional
        Has no effect.
    vmap_method : str, optional
        How `vmap` calls it: ``"sequential"`` for each element; ``"broadcast_all"`` once, with a
        leading axis of the size of the batch before all arguments; ``"expand_dims"`` once, with a
        leading axis of size 1 before arguments that are not mapped; ``"legacy_vectorized"`` once,
        with a leading axis before mapped arguments only. By default `vmap` raises an error.

    Returns
    -------
    pytree
        Of the structure of ``result_shape_dtypes``.

    Notes
    -----
    It cannot be differentiated: call it from a function with a rule of its own (`custom_jvp`).

    Examples
    --------
    >>> import math
    >>> import covector as cv
    >>> @cv.jit
    ... def factorial(n):
    ...     result = cv.ShapeDtypeStruct((), "int32")
    ...     call = lambda n: math.factorial(int(n))
    ...     return cv.pure_callback(call, result, n, vmap_method="sequential")
    >>> factorial(5)
    Array(120, dtype=int32)
    >>> cv.vmap(factorial)(cv.numpy.arange(4))
    Array([1, 1, 2, 6], dtype=int32)
    """
    check_callable(callback, "pure_callback")
    if vmap_method is not None and vmap_method not in VMAP_METHODS:
        raise ValueError(
            f"pure_callback: vmap_method must be one of {', '.join(VMAP_METHODS)}, got "
            f"{vmap_method!r}{at_user_line()}"
        )
    flat, flat_callback, avals, out_tree = flatten_callback(
        "pure_callback", callback, result_shape_dtypes, args, kwargs
    )
    outs = pure_callback_p.bind_params(
        flat, {"callback": flat_callback, "result_avals": avals, "vmap_method": vmap_method}
    )
    return tree.unflatten(out_tree, outs)


@api_boundary
def debug_callback(
    callback: Callable[..., None] | None = None,
    *args: Any,
    ordered: bool = False,
    partitioned: bool = False,
    **kwargs: Any,
) -> Any:
    """Call a Python function for its effect, with the run-time values of its arguments.

    Parameters
    ----------
    callback : callable
        Its result is ignored. Without it, a decorator is returned that calls the function.
    *args, **kwargs
        Arrays in pytrees, and other values, which are passed as they are.
    ordered : bool
        Keep the order of the program among all ordered callbacks.
    partitioned : bool
        Has no effect.

    Returns
    -------
    None

    Notes
    -----
    Differentiation calls it with the primal values; `vmap` calls it for each element, `shard_map`
    for each device.

    Examples
    --------
    >>> import covector as cv
    >>> seen = []
    >>> @cv.jit
    ... def f(x):
    ...     cv.debug.callback(lambda v: seen.append(float(v)), x)
    ...     return x * x
    >>> y = cv.vmap(f)(cv.numpy.array([1.0, 2.0]))
    >>> seen
    [1.0, 2.0]
    """
    if callback is None:
        return lambda f: debug_callback(f, *args, ordered=ordered, **kwargs)
    check_callable(callback, "debug.callback")
    flat, in_tree = tree.flatten((args, kwargs))
    dynamic = [is_array_like(x) for x in flat]
    static = [None if d else x for x, d in zip(flat, dynamic, strict=True)]

    def flat_callback(*leaves: Any) -> list[Any]:
        rest = iter(leaves)
        a, k = tree.unflatten(
            in_tree, [next(rest) if d else x for x, d in zip(static, dynamic, strict=True)]
        )
        callback(*a, **k)
        return []

    debug_callback_p.bind_params(
        [x for x, d in zip(flat, dynamic, strict=True) if d],
        {"callback": flat_callback, "ordered": bool(ordered)},
    )
    return None


def _readable(x: Any) -> Any:
    if not is_array_like(x) or dtypes.is_extended(getattr(x, "dtype", None)):
        return x
    return np.asarray(x)[()]


@api_boundary
def debug_print(
    fmt: str | None = None,
    *args: Any,
    ordered: bool = False,
    partitioned: bool = False,
    skip_format_check: bool = False,
    _use_logging: bool = False,
    **kwargs: Any,
) -> None:
    """Print run-time values, also from within compiled functions.

    Parameters
    ----------
    fmt : str
        As for `str.format`; f-strings would show tracers instead of values.
    *args, **kwargs
        Values to insert.
    ordered : bool
        Keep the order of the program.
    skip_format_check : bool
        Do not look at the format before it is applied: arguments need not be used.
    partitioned : bool
        Has no effect.
    _use_logging : bool
        Log the text, as `debug.log` does.

    Returns
    -------
    None

    Raises
    ------
    ValueError
        If the format does not fit the arguments, or does not use one.

    Notes
    -----
    Differentiation prints the primal values; `vmap` prints a line for each element, `shard_map`
    for each device.

    Examples
    --------
    >>> import covector as cv
    >>> @cv.jit
    ... def f(x):
    ...     cv.debug.print("x = {x:.2f}, rounded {}", cv.numpy.round(x), x=x)
    ...     return x
    >>> y = f(1.234)
    x = 1.23, rounded 1.0
    """
    name = "debug.log" if _use_logging else "debug.print"
    if fmt is None:
        fmt = " ".join(["{}"] * len(args))
    if not isinstance(fmt, str):
        raise TypeError(
            f"{name} takes a format string first, got {describe(fmt)}; write "
            f'{name}("{{}}", x){at_user_line()}'
        )
    if not skip_format_check:
        check_format(name, fmt, args, kwargs)
    text, frame = fmt, user_frame()

    def show(*a: Any, **k: Any) -> None:
        a, k = tree.map(_readable, (a, k))
        try:
            shown = text.format(*a, **k)
        except Exception as e:
            where = f"\nThe error arose at {frame}" if frame else ""
            raise misfit(name, text, a, k, e, where) from None
        if _use_logging:
            import logging  # few processes need it

            logging.getLogger("covector.debug").info("%s", shown)
        else:
            print(shown)

    debug_callback(show, *args, ordered=ordered, **kwargs)


@api_boundary
def debug_log(
    fmt: str | None = None,
    *args: Any,
    ordered: bool = False,
    partitioned: bool = False,
    skip_format_check: bool = False,
    _use_logging: bool = True,
    **kwargs: Any,
) -> None:
    """Log run-time values, also from within compiled functions.

    The logger is ``logging.getLogger("covector.debug")``, the level INFO; the option
    ``logging_level`` has it write to the error stream.

    Parameters
    ----------
    fmt : str
        As for `str.format`.
    *args, **kwargs
        Values to insert.
    ordered : bool
        Keep the order of the program.
    partitioned : bool
        Has no effect.
    skip_format_check : bool
        Do not look at the format before it is applied: arguments need not be used.
    _use_logging : bool
        False prints, as `debug.print` does.

    Returns
    -------
    None

    Raises
    ------
    ValueError
        If the format does not fit the arguments, or does not use one.

    Examples
    --------
    >>> import logging, sys
    >>> import covector as cv
    >>> logger = logging.getLogger("covector.debug")
    >>> handler = logging.StreamHandler(sys.stdout)
    >>> logger.addHandler(handler)
    >>> logger.setLevel(logging.INFO)
    >>> y = cv.jit(lambda x: cv.debug.log("x = {}", x))(3)
    x = 3
    >>> logger.removeHandler(handler)
    """
    debug_print(
        fmt, *args, ordered=ordered, skip_format_check=skip_format_check,
        _use_logging=_use_logging, **kwargs,
    )  # fmt: skip
