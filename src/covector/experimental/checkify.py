"""Errors of values in programs that are compiled (`covector.experimental.checkify`).

A compiled program cannot stop and raise. `checkify` makes of a function one that returns an error
beside its result, or that there is none: the error is a value of the program like others.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from covector.core import dtypes, tree
from covector.core.avals import aval_of, is_array_like
from covector.core.errors import at_user_line, describe, user_frame
from covector.core.errors import export as _export
from covector.core.structural import convert_element_type
from covector.core.trace import Tracer, close_over, trace_to_jaxpr
from covector.experimental._checkify_errors import (
    DivisionByZeroError,
    Error,
    ErrorEffect,
    FailedCheckError,
    JaxException,
    JaxRuntimeError,
    NaNError,
    OOBError,
    Site,
    init_error,
    next_code,
    raise_or_record,
)
from covector.experimental._checkify_rules import checked
from covector.transforms.arguments import (
    api_boundary,
    check_callable,
    check_results,
    debug_info,
    fun_name,
    wraps,
)
from covector.transforms.cache import FunctionCache, context_key
from covector.transforms.formats import check_format
from covector.transforms.jit import jit_p

__all__ = [
    "Error", "ErrorCategory", "JaxRuntimeError", "all_checks", "automatic_checks", "check",
    "check_error", "checkify", "debug_check", "div_checks", "float_checks", "index_checks",
    "init_error", "nan_checks", "user_checks",
]  # fmt: skip

ErrorCategory = type[JaxException]

user_checks: frozenset[ErrorCategory] = frozenset((FailedCheckError,))
nan_checks: frozenset[ErrorCategory] = frozenset((NaNError,))
index_checks: frozenset[ErrorCategory] = frozenset((OOBError,))
div_checks: frozenset[ErrorCategory] = frozenset((DivisionByZeroError,))
float_checks = nan_checks | div_checks
automatic_checks = float_checks | index_checks
all_checks = automatic_checks | user_checks


def check(pred: Any, msg: str, *fmt_args: Any, debug: bool = False, **fmt_kwargs: Any) -> None:
    """Say that something must hold, in a function that `checkify` transforms.

    Parameters
    ----------
    pred : bool
        A scalar.
    msg : str
        The message if it does not hold; `str.format` puts the arguments in.
    *fmt_args, **fmt_kwargs
        Pytrees of arrays.
    debug : bool
        A check that is left out where the function is not transformed by `checkify`.

    Returns
    -------
    None

    Raises
    ------
    JaxRuntimeError
        If ``pred`` is known to be false, and no function is transformed.
    ValueError
        When a function with a check is compiled that `checkify` has not transformed; if the
        arguments do not fit the message.
    TypeError
        If ``pred`` is no boolean scalar, or an argument is no array.

    Examples
    --------
    >>> import covector as cv
    >>> from covector.experimental import checkify
    >>> @cv.jit
    ... @checkify.checkify
    ... def root(x):
    ...     checkify.check(x >= 0, "the root of {x}", x=x)
    ...     return cv.numpy.sqrt(x)
    >>> err, y = root(-4.0)
    >>> print(err.get().splitlines()[0])
    the root of -4.0 (`check` failed)
    """
    aval = aval_of(pred) if is_array_like(pred) or isinstance(pred, Tracer) else None
    if aval is None or aval.shape or aval.dtype != dtypes.bool_:
        raise TypeError(f"check takes a boolean scalar, got {describe(pred)}{at_user_line()}")
    leaves, fields = tree.flatten((fmt_args, fmt_kwargs))
    for x in leaves:
        if not (is_array_like(x) or isinstance(x, Tracer)):
            raise TypeError(
                "check: what is put into the message must be pytrees of arrays, got "
                f"{describe(x)}{at_user_line()}"
            )
    check_format("check", str(msg), fmt_args, fmt_kwargs, all_used=False)
    payload = [convert_element_type(x, aval_of(x).dtype) for x in leaves]
    frame = user_frame()
    site = Site(FailedCheckError, str(msg), str(frame) if frame else "", fields)
    code, effect = next_code(), ErrorEffect.of(FailedCheckError, payload)
    failed = ~convert_element_type(pred, dtypes.bool_)
    code_value = convert_element_type(code, dtypes.int32)
    error = Error({effect: failed}, {effect: code_value}, {code: site}, {effect: payload})
    raise_or_record(error, debug)


def debug_check(pred: Any, msg: str, *fmt_args: Any, **fmt_kwargs: Any) -> None:
    """As `check`, left out where the function is not transformed by `checkify`.

    Parameters
    ----------
    pred : bool
    msg : str
    *fmt_args, **fmt_kwargs
        Pytrees of arrays.

    Returns
    -------
    None

    Examples
    --------
    >>> import covector as cv
    >>> from covector.experimental import checkify
    >>> def f(x):
    ...     checkify.debug_check(x > 0, "not positive")
    ...     return x
    >>> f(-1.0), cv.jit(f)(-1.0)
    (-1.0, Array(-1., dtype=float32, weak_type=True))
    >>> checkify.checkify(f)(-1.0)[0].get() is None
    False
    """
    check(pred, msg, *fmt_args, debug=True, **fmt_kwargs)


def check_error(error: Error) -> None:
    """Raise an error; in a function that `checkify` transforms, make it one of that function.

    Parameters
    ----------
    error : Error

    Returns
    -------
    None

    Raises
    ------
    JaxRuntimeError
        If there is an error, and no function is transformed.

    Examples
    --------
    >>> import covector as cv
    >>> from covector.experimental import checkify
    >>> err, _ = checkify.checkify(lambda x: checkify.check(x > 0, "negative"))(cv.numpy.array(-1))
    >>> try:
    ...     checkify.check_error(err)
    ... except ValueError as e:
    ...     print(str(e).splitlines()[0])
    negative (`check` failed)
    """
    if not isinstance(error, Error):
        raise TypeError(f"check_error takes an Error, got {describe(error)}{at_user_line()}")
    raise_or_record(error)


_traces = FunctionCache()


def _is_traced(x: Any) -> bool:
    """Whether an argument is an array; Python's numbers are passed as they are."""
    return isinstance(x, Tracer) or (
        is_array_like(x) and type(x) not in (bool, int, float, complex)
    )


def checkify(
    f: Callable[..., Any], errors: frozenset[ErrorCategory] = user_checks
) -> Callable[..., tuple[Error, Any]]:
    """A function that returns an error, or that there is none, beside the result of ``f``.

    Parameters
    ----------
    f : callable
        It is traced; arguments that are not arrays are passed as they are.
    errors : frozenset
        Which errors are found, a union of: ``user_checks``, what `check` says; ``nan_checks``,
        operations that give NaN; ``div_checks``, divisions by zero; ``index_checks``, indices out
        of bounds; or of their unions ``float_checks``, ``automatic_checks``, ``all_checks``.

    Returns
    -------
    callable
        With the arguments of ``f``; returns an `Error` and the result of ``f``.

    Notes
    -----
    After an error the program goes on, with the numbers it has; the first error is kept. Loops,
    branches and compiled functions in ``f`` are gone through. To find errors of each example of a
    batch, and only of branches that are taken, map the checked function: ``vmap(checkify(f))``.
    In ``checkify(vmap(f))`` all examples have one error, and a `cond` that differs from one to the
    other computes both branches, whose errors count. The error of a `shard_map` or `pmap` is that
    of the first device which has one, and says which: ``at mapped index 2``.

    Differentiate a function with `custom_jvp` or `custom_vjp` that holds a `check` inside:
    ``checkify(grad(f))``. Constant indices of updates that are out of bounds are dropped when the
    function is traced, and are not found.

    Examples
    --------
    >>> import covector as cv
    >>> import covector.numpy as np
    >>> from covector.experimental import checkify
    >>> def f(x, i):
    ...     return np.log(x[i])
    >>> checked = cv.jit(checkify.checkify(f, checkify.all_checks))
    >>> err, y = checked(np.array([1.0, -1.0]), 1)
    >>> print(err.get().splitlines()[0])
    nan generated by primitive: log.
    >>> err, y = checked(np.array([1.0, -1.0]), 5)
    >>> print(err.get().splitlines()[0])
    out-of-bounds indexing for array of shape (2,): index 5 is out of bounds for axis 0 with size 2.
    """
    check_callable(f, "checkify")
    enabled = frozenset(errors)
    for kind in enabled:
        if not (isinstance(kind, type) and issubclass(kind, JaxException)):
            raise TypeError(
                "checkify: errors is a set of categories, such as checkify.float_checks, got "
                f"{describe(errors)}{at_user_line()}"
            )

    @api_boundary
    @wraps(f)
    def checked_fun(*args: Any, **kwargs: Any) -> tuple[Error, Any]:
        leaves, in_tree = tree.flatten((args, kwargs))
        dynamic = [_is_traced(x) for x in leaves]
        arrays = [x for x, d in zip(leaves, dynamic, strict=True) if d]
        static = [None if d else x for x, d in zip(leaves, dynamic, strict=True)]
        avals = [aval_of(x) for x in arrays]
        types = tuple(type(x) for x in static)
        key: Any = (in_tree, tuple(avals), types, tuple(static), enabled, context_key())
        entries = _traces.entries(f)
        hoisted: list[Any] = []
        try:
            found = entries.get(key)
        except TypeError:  # arguments need not be hashable
            found, entries = None, {}
            key = None
        if found is None:
            closed, hoisted, out_tree = _trace(f, in_tree, static, dynamic, avals, args, kwargs)
            found = checked(closed, enabled), out_tree
            if not hoisted:
                entries[key] = found
        new, out_tree = found
        outs = jit_p.bind_params(
            [*hoisted, *arrays], {"jaxpr": new.closed, "name": fun_name(f), "inline": False}
        )
        return _error(new, outs), tree.unflatten(out_tree, outs[new.num_leaves :])

    return checked_fun


def _trace(
    f: Callable[..., Any], in_tree: Any, static: list[Any], dynamic: list[bool], avals: Any,
    args: Any, kwargs: Any,
) -> tuple[Any, list[Any], Any]:  # fmt: skip
    """The program of ``f``, the traced values it closes over, and the structure of its result."""
    out_tree: Any = None

    def flat(*given: Any) -> list[Any]:
        nonlocal out_tree
        rest = iter(given)
        leaves = [next(rest) if d else x for x, d in zip(static, dynamic, strict=True)]
        a, k = tree.unflatten(in_tree, leaves)
        outs, out_tree = tree.flatten(f(*a, **k))
        check_results(outs, out_tree, f, "checkify")
        return outs

    jaxpr, consts = trace_to_jaxpr(flat, avals, debug_info(f, "checkify", args, kwargs))
    closed, hoisted = close_over(jaxpr, consts)
    return closed, hoisted, out_tree


def _error(new: Any, outs: list[Any]) -> Error:
    """The error that stands before the results of a checked program."""
    rest = iter(outs)
    pred, code, payload = {}, {}, {}
    for effect in new.effects:
        pred[effect], code[effect] = next(rest), next(rest)
        payload[effect] = [next(rest) for _ in effect.shape_dtypes]
    return Error(pred, code, new.sites, payload)


_export(globals(), __all__)
