"""The methods of NumPy's ufuncs on functions of two operands: reduce, accumulate, outer, at."""

from __future__ import annotations

import functools
from typing import Any

from covector import lax
from covector.core.errors import at_user_line
from covector.lax._common import canonical_axis
from covector.numpy.creation import asarray


def reduce_with(fun: Any, a: Any, axis: Any, dtype: Any, keepdims: bool) -> Any:
    """Combine along ``axis`` with any function of two operands."""
    from covector.lax._common import canonical_axes
    from covector.numpy._util import convert

    x = asarray(a)
    x = x if dtype is None else convert(x, asarray(0, dtype).dtype)
    axes = canonical_axes(axis, x)
    n = 1
    for i in axes:
        n *= x.shape[i]
    identity = getattr(fun, "identity", None)
    if n == 0:
        if identity is None:
            raise ValueError(
                f"{fun.__name__}.reduce of no elements: the function has no identity"
                f"{at_user_line()}"
            )
        kept = tuple(s for i, s in enumerate(x.shape) if i not in axes)
        out = lax.full(kept, identity, x.dtype)
    else:
        out = _combine_rows(fun, _flattened(x, axes))
    if keepdims:
        out = lax.reshape(out, tuple(1 if i in axes else s for i, s in enumerate(x.shape)))
    return out


def _flattened(x: Any, axes: tuple[int, ...]) -> Any:
    kept = [i for i in range(x.ndim) if i not in axes]
    x = lax.transpose(x, (*axes, *kept))
    n = 1
    for s in x.shape[: len(axes)]:
        n *= s
    return lax.reshape(x, (n, *x.shape[len(axes) :]))


def _combine_rows(fun: Any, rows: Any) -> Any:
    """The rows combined one after the other: the function need not be associative."""
    from covector.lax.control_flow import scan

    first = lax.index_in_dim(rows, 0, 0, False)
    rest = lax.slice_in_dim(rows, 1, rows.shape[0])
    return scan(lambda acc, row: (fun(acc, row), None), first, rest)[0]


def accumulate_with(fun: Any, a: Any, axis: int, dtype: Any) -> Any:
    """Combine up to each position along ``axis`` with any associative function."""
    from covector.lax.control_flow import associative_scan

    x = asarray(a, dtype)
    return associative_scan(fun, x, axis=canonical_axis(axis, x))


def outer_with(fun: Any, a: Any, b: Any) -> Any:
    """A function of two operands applied to all pairs of elements."""
    x, y = asarray(a), asarray(b)
    return fun(lax.reshape(x, x.shape + (1,) * y.ndim), y)


def at_with(fun: Any, a: Any, indices: Any, b: Any, inplace: bool) -> Any:
    """A function applied to the elements at ``indices``."""
    if inplace:
        raise NotImplementedError(
            f"{fun.__name__}.at: arrays are immutable, so the result is a new array; pass "
            f"inplace=False{at_user_line()}"
        )
    x = asarray(a)
    if b is None:
        return x.at[indices].apply(fun)
    methods = {"add": "add", "subtract": "subtract", "multiply": "multiply", "divide": "divide",
               "maximum": "max", "minimum": "min", "power": "power"}  # fmt: skip
    method = methods.get(fun.__name__)
    if method is None:
        return x.at[indices].set(fun(x[indices], b))
    return getattr(x.at[indices], method)(b)


def attach_ufunc_methods(functions: dict[str, Any], reductions: dict[str, Any]) -> None:
    """Give functions of two operands NumPy's `reduce`, `accumulate`, `outer` and `at`."""
    for name, fun in functions.items():
        special = reductions.get(name)

        def reduce(
            a: Any,
            axis: Any = 0,
            dtype: Any = None,
            out: None = None,
            keepdims: bool = False,
            fun: Any = fun,
            special: Any = special,
        ) -> Any:
            """Combine the elements along ``axis``."""
            if special is None:
                return reduce_with(fun, a, axis, dtype, keepdims)
            x = asarray(a) if dtype is None else asarray(a, dtype)
            return special(x, axis, keepdims=keepdims)

        fun.reduce = reduce
        fun.accumulate = functools.partial(_accumulate, fun)
        fun.outer = functools.partial(outer_with, fun)
        fun.at = functools.partial(_at, fun)


def _accumulate(fun: Any, a: Any, axis: int = 0, dtype: Any = None) -> Any:
    return accumulate_with(fun, a, axis, dtype)


def _at(fun: Any, a: Any, indices: Any, b: Any = None, *, inplace: bool = True) -> Any:
    return at_with(fun, a, indices, b, inplace)
