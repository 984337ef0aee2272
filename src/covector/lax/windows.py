"""Reductions over windows that move over an array: `reduce_window`."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from covector.control_flow.common import trace_body
from covector.core import dtypes, tree
from covector.core.avals import ShapedArray, aval_of
from covector.core.dims import as_size
from covector.core.errors import at_user_line
from covector.core.operands import PY_SCALARS, as_array, as_operand, weak_operand
from covector.core.trace import Primitive, Tracer
from covector.lax.convolution_shapes import padtype_to_pads
from covector.lax.general_reduction import known_combination
from covector.lax.shape_functions import broadcast_in_dim, full, pad
from covector.lax.slicing import slice as slice_
from covector.primitives.arithmetic import add_p, max_p, min_p
from covector.primitives.windows import (
    reduce_window_max_p,
    reduce_window_min_p,
    reduce_window_sum_p,
    window_shape,
)

# The reduction of each function that has one.
_WINDOWED = {
    add_p: reduce_window_sum_p,
    max_p: reduce_window_max_p,
    min_p: reduce_window_min_p,
}


def _entries(name: str, given: Any, rank: int) -> tuple[int, ...]:
    if given is None:
        return (1,) * rank
    out = tuple([operator.index(n) for n in given])
    if len(out) != rank:
        raise ValueError(
            f"reduce_window: {name} needs an entry for each of {rank} dimensions, got {out}"
            f"{at_user_line()}"
        )
    return out


def _parameters(
    shape: Sequence[int],
    dimensions: Any,
    strides: Any,
    padding: Any,
    base_dilation: Any,
    window_dilation: Any,
) -> dict[str, Any]:
    rank = len(shape)
    dims = _entries("window_dimensions", dimensions, rank)
    steps = _entries("window_strides", strides, rank)
    bd = _entries("base_dilation", base_dilation, rank)
    wd = _entries("window_dilation", window_dilation, rank)
    if isinstance(padding, str) or hasattr(padding, "name"):
        reach = [(w - 1) * d + 1 for w, d in zip(dims, wd, strict=True)]
        padding = padtype_to_pads(shape, reach, steps, padding)
    try:
        pads = tuple([(as_size(low), as_size(high)) for low, high in padding])
    except (TypeError, ValueError) as e:
        raise ValueError(
            f"reduce_window: padding must be 'SAME', 'SAME_LOWER', 'VALID' or pairs of integers, "
            f"got {padding!r}{at_user_line()}"
        ) from e
    return {
        "window_dimensions": dims,
        "window_strides": steps,
        "padding": pads,
        "base_dilation": bd,
        "window_dilation": wd,
    }


def reduce_window_shape_tuple(
    operand_shape: Sequence[int],
    window_dimensions: Sequence[int],
    window_strides: Sequence[int],
    padding: Any,
    base_dilation: Sequence[int] | None = None,
    window_dilation: Sequence[int] | None = None,
) -> tuple[int, ...]:
    """Shape of the result of `reduce_window`.

    Parameters
    ----------
    operand_shape : tuple of int
        Of the operand.
    window_dimensions, window_strides, padding, base_dilation, window_dilation
        As of `reduce_window`.

    Returns
    -------
    tuple of int

    Examples
    --------
    >>> from covector import lax
    >>> lax.reduce_window_shape_tuple((7, 8), (2, 2), (2, 2), "SAME")
    (4, 4)
    """
    shape = tuple(operand_shape)
    params = _parameters(
        shape, window_dimensions, window_strides, padding, base_dilation, window_dilation
    )
    return window_shape("reduce_window", ShapedArray(shape, dtypes.float32), params)


def reduce_window(
    operand: Any,
    init_value: Any,
    computation: Callable[[Any, Any], Any],
    window_dimensions: Sequence[int],
    window_strides: Sequence[int] | None = None,
    padding: Any = "VALID",
    base_dilation: Sequence[int] | None = None,
    window_dilation: Sequence[int] | None = None,
) -> Any:
    """Combine the elements under a window at each of its places, as pooling does.

    Parameters
    ----------
    operand : array_like or tree of array_like
        All of one shape.
    init_value : scalar or tree of scalars
        Of the structure and dtypes of ``operand``: the padding, and what each window begins with.
        It is to be neutral for ``computation``.
    computation : callable
        Two values (trees) to one, of the same structure and dtypes. It must be associative and
        commutative: elements are combined in an order that is not specified.
    window_dimensions : sequence of int
        Size of the window in each dimension.
    window_strides : sequence of int, optional
        Steps of the window; by default 1.
    padding : {'SAME', 'SAME_LOWER', 'VALID'} or sequence of (int, int)
        See `padtype_to_pads`.
    base_dilation, window_dilation : sequence of int, optional
        Distances of the elements of the operand, with ``init_value`` between, and of the window.

    Returns
    -------
    Array or tree of Array

    Raises
    ------
    TypeError
        If ``init_value`` or what ``computation`` returns is not of the structure and dtypes of
        ``operand``.
    ValueError
        If a parameter does not have an entry for each dimension, or the padding is unknown.

    Notes
    -----
    The gradient of a maximum goes to the first element of the window that attains it.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> x = np.array([1.0, 5.0, 2.0, 4.0])
    >>> lax.reduce_window(x, -np.inf, lax.max, (2,), (2,))
    Array([5., 4.], dtype=float32)
    >>> lax.reduce_window(x, 0.0, lax.add, (3,), padding="SAME")
    Array([ 6.,  8., 11.,  6.], dtype=float32)
    """
    flat, treedef = tree.flatten(operand)
    inits, init_tree = tree.flatten(init_value)
    if init_tree != treedef or not flat:
        raise TypeError(
            f"reduce_window: init_value must have the structure of operand, got {init_tree} and "
            f"{treedef}{at_user_line()}"
        )
    xs = [as_array(x, "reduce_window") for x in flat]
    inits = [
        weak_operand("reduce_window", v, x)
        if type(v) in PY_SCALARS
        else as_operand(v, "reduce_window")
        for v, x in zip(inits, xs, strict=True)
    ]
    _check(xs, inits)
    params = _parameters(
        aval_of(xs[0]).shape, window_dimensions, window_strides, padding, base_dilation,
        window_dilation,
    )  # fmt: skip
    scalars = [ShapedArray((), aval_of(x).dtype) for x in xs]
    both = tree.structure((operand, operand))
    body = trace_body(computation, both, [*scalars, *scalars], "reduce_window")
    if len(xs) == 1:
        known = known_combination(body.jaxpr)
        if known in _WINDOWED:
            out = _WINDOWED[known].bind(xs[0], **params)
            if not _is_neutral(known, inits[0], aval_of(xs[0]).dtype):
                out = known.bind(out, inits[0])
            return tree.unflatten(treedef, [out])

    def combine(a: list[Any], b: list[Any]) -> list[Any]:
        out = computation(tree.unflatten(treedef, a), tree.unflatten(treedef, b))
        leaves: list[Any] = tree.leaves(out)
        return leaves

    return tree.unflatten(treedef, _general(xs, inits, combine, params))


def _check(xs: Sequence[Any], inits: Sequence[Any]) -> None:
    shapes = {aval_of(x).shape for x in xs}
    if len(shapes) != 1:
        raise ValueError(
            f"reduce_window takes operands of one shape, got {sorted(shapes)}{at_user_line()}"
        )
    for v, x in zip(inits, xs, strict=True):
        start = aval_of(v)
        if start.shape or start.dtype != aval_of(x).dtype:
            raise TypeError(
                f"reduce_window: init_value must be a scalar of the dtype of the operand, got "
                f"{start.str_short()} for {aval_of(x).str_short()}{at_user_line()}"
            )


def _is_neutral(known: Primitive, init: Any, dtype: Any) -> bool:
    if isinstance(init, Tracer):
        return False
    value = np.asarray(init)[()]
    if known is add_p:
        return bool(value == 0)
    largest = known is min_p
    if dtype in dtypes.LIMITS:
        return bool(value == dtypes.LIMITS[dtype][largest])
    if dtype == dtypes.bool_:
        return bool(value) == largest
    return bool(value == (np.inf if largest else -np.inf))


def _general(
    xs: list[Any],
    inits: list[Any],
    combine: Callable[[list[Any], list[Any]], list[Any]],
    params: dict[str, Any],
) -> list[Any]:
    """One dimension after the other, the window doubled as long as it fits."""
    padding = zip(params["padding"], params["base_dilation"], strict=True)
    config = [(low, high, d - 1) for (low, high), d in padding]
    shape = window_shape("reduce_window", aval_of(xs[0]), params)
    if 0 in shape:
        return [full(shape, v, aval_of(x).dtype) for v, x in zip(inits, xs, strict=True)]
    xs = [pad(x, v, config) for x, v in zip(xs, inits, strict=True)]
    for d, (size, stride, dilation) in enumerate(
        zip(params["window_dimensions"], params["window_strides"], params["window_dilation"],
            strict=True)
    ):  # fmt: skip
        xs = _along(xs, d, size, dilation, combine)
        xs = [_part(x, d, 0, (shape[d] - 1) * stride + 1, stride) for x in xs]
    starts = [broadcast_in_dim(v, shape, ()) for v in inits]
    return combine(starts, xs)


def _part(x: Any, d: int, start: int, limit: int, stride: int = 1) -> Any:
    sizes = aval_of(x).shape
    low, high, steps = [0] * len(sizes), list(sizes), [1] * len(sizes)
    low[d], high[d], steps[d] = start, limit, stride
    return slice_(x, low, high, steps)


def _along(
    xs: list[Any],
    d: int,
    size: int,
    dilation: int,
    combine: Callable[[list[Any], list[Any]], list[Any]],
) -> list[Any]:
    """Windows of ``size`` elements, from those of powers of two."""
    done: list[Any] | None = None  # windows of `covered` elements
    covered, length = 0, 1
    while True:
        if size & length:
            if done is None:
                done, covered = xs, length
            else:
                done = _joined(done, xs, d, covered * dilation, combine)
                covered += length
        if covered == size:
            return done if done is not None else xs
        xs = _joined(xs, xs, d, length * dilation, combine)
        length *= 2


def _joined(
    first: list[Any],
    second: list[Any],
    d: int,
    shift: int,
    combine: Callable[[list[Any], list[Any]], list[Any]],
) -> list[Any]:
    """``first`` and what ``second`` has ``shift`` elements later, where both are."""
    n = min(aval_of(first[0]).shape[d], aval_of(second[0]).shape[d] - shift)
    return combine(
        [_part(x, d, 0, n) for x in first], [_part(x, d, shift, shift + n) for x in second]
    )
