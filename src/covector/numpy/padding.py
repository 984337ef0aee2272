"""`pad`, with all modes of NumPy's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as onp

from covector import lax
from covector.core import dtypes, tree
from covector.core.dims import DimExpr, as_size
from covector.core.errors import InconclusiveDimensionOperation, at_user_line, describe
from covector.numpy import nan_reductions, reductions
from covector.numpy._util import array, broadcast_to, concrete, convert, fused
from covector.numpy.creation import asarray
from covector.numpy.functional import apply_along_axis

_KEYWORDS = {
    "constant": {"constant_values"},
    "edge": set(),
    "empty": set(),
    "wrap": set(),
    "linear_ramp": {"end_values"},
    "maximum": {"stat_length"},
    "mean": {"stat_length"},
    "median": {"stat_length"},
    "minimum": {"stat_length"},
    "reflect": {"reflect_type"},
    "symmetric": {"reflect_type"},
}
Pairs = tuple[tuple[int, int], ...]


def _pairs(value: Any, ndim: int, what: str) -> Pairs:
    """A (before, after) pair of integers per dimension."""
    if isinstance(value, dict):
        out = [(0, 0)] * ndim
        for k, v in value.items():
            a, b = v if isinstance(v, (tuple, list)) else (v, v)
            out[k] = tuple([w if type(w) is DimExpr else int(w) for w in (a, b)])
        return tuple(out)
    try:
        v = concrete(onp.asarray(value) if isinstance(value, (tuple, list)) else value, what)
    except InconclusiveDimensionOperation:
        # Symbolic sizes come where their numbers in the list do.
        sizes, treedef = tree.flatten(value)
        places = _pairs(tree.unflatten(treedef, range(len(sizes))), ndim, what)
        return tuple([(as_size(sizes[a]), as_size(sizes[b])) for a, b in places])
    if v.dtype.kind not in "iu":
        raise TypeError(f"pad: {what} must consist of integers, got {value!r}{at_user_line()}")
    try:
        full = onp.broadcast_to(v, (ndim, 2))
    except ValueError as e:
        raise ValueError(
            f"pad: {what} {value!r} does not give a pair for each of {ndim} dimensions"
            f"{at_user_line()}"
        ) from e
    return tuple((int(a), int(b)) for a, b in full)


def pad(
    array: Any,
    pad_width: Any,
    mode: str | Callable[..., Any] = "constant",
    **kwargs: Any,
) -> Any:
    """``array`` with elements added before and after along each axis.

    Parameters
    ----------
    array : array_like
    pad_width : int, pair, or one pair per dimension
        Numbers of elements to add before and after; a dict gives them for some dimensions.
    mode : str or callable
        ``constant`` (``constant_values``), ``edge``, ``empty``, ``wrap``, ``linear_ramp``
        (``end_values``), ``reflect`` and ``symmetric`` (``reflect_type``), ``maximum``, ``mean``,
        ``median`` and ``minimum`` (``stat_length``), or a function as in NumPy, but one that
        returns the padded vector.
    **kwargs
        The arguments in brackets above: values of the padding (0) or at its ends (0), whether
        reflections are ``"even"`` or ``"odd"``, and how many elements at the edge are meant (all).

    Returns
    -------
    Array
        In the dtype of ``array``.

    Raises
    ------
    ValueError
        If a width is negative, an argument is not of the mode, or an empty axis cannot be extended.
    NotImplementedError
        If there is no such mode.

    Examples
    --------
    >>> import covector.numpy as np
    >>> x = np.array([1, 2, 3])
    >>> np.pad(x, (1, 2)), np.pad(x, 2, "reflect")
    (Array([0, 1, 2, 3, 0, 0], dtype=int32), Array([3, 2, 1, 2, 3, 2, 1], dtype=int32))
    >>> np.pad(np.array([[1]]), ((0, 1), (1, 0)), constant_values=9)
    Array([[9, 1],
           [9, 9]], dtype=int32)
    """
    x = asarray(array)
    width = _pairs(pad_width, x.ndim, "pad_width")
    if any(a < 0 or b < 0 for a, b in width):
        raise ValueError(f"pad: pad_width must not be negative, got {pad_width!r}{at_user_line()}")
    if callable(mode):
        return _pad_function(x, width, mode, kwargs)
    if mode not in _KEYWORDS:
        raise NotImplementedError(
            f"pad: unknown mode {mode!r}; use one of {', '.join(_KEYWORDS)}{at_user_line()}"
        )
    extra = set(kwargs) - _KEYWORDS[mode]
    if extra:
        raise ValueError(
            f"pad: mode {mode!r} does not take the arguments {', '.join(sorted(extra))}"
            f"{at_user_line()}"
        )
    if mode in ("constant", "linear_ramp"):
        name = "constant_values" if mode == "constant" else "end_values"
        given = kwargs.get(name, 0)
        values = asarray(given) if isinstance(given, (list, tuple)) else given
        return _pad_values(x, values, width=width, mode=mode)
    if mode == "empty":
        return _pad_values(x, 0, width=width, mode="constant")
    lengths = kwargs.get("stat_length")
    if lengths is not None:
        lengths = _pairs(lengths, x.ndim, "stat_length")
    return _pad(x, width=width, mode=mode, lengths=lengths,
                odd=kwargs.get("reflect_type", "even") == "odd")  # fmt: skip


@fused("width", "mode")
def _pad_values(x: Any, values: Any, *, width: Pairs, mode: str) -> Any:
    v = convert(array(values, "pad"), x.dtype)
    if mode == "constant" and not v.shape:
        return lax.pad(x, v, tuple([(before, after, 0) for before, after in width]))
    v = broadcast_to(v, (x.ndim, 2))
    for d, (before, after) in enumerate(width):
        ends = [lax.reshape(lax.slice(v, (d, i), (d + 1, i + 1)), ()) for i in (0, 1)]
        if mode == "constant":
            for i, n in ((0, before), (1, after)):
                if n != 0:
                    pair = (n, 0, 0) if i == 0 else (0, n, 0)
                    config = tuple(pair if k == d else (0, 0, 0) for k in range(x.ndim))
                    x = lax.pad(x, ends[i], config)
            continue
        n = x.shape[d]
        parts = [x]
        if before != 0:
            parts.insert(0, _ramp(lax.slice_in_dim(x, 0, 1, axis=d), ends[0], before, d))
        if after != 0:
            ramp = _ramp(lax.slice_in_dim(x, n - 1, n, axis=d), ends[1], after, d)
            parts.append(lax.rev(ramp, (d,)))
        x = lax.concatenate(parts, d)
    return x


def _ramp(edge: Any, end: Any, n: int, d: int) -> Any:
    """From ``end`` in equal steps up to, not including, ``edge``."""
    dt = edge.dtype
    wide = dtypes.to_inexact_dtype(dt)
    shape = (*edge.shape[:d], n, *edge.shape[d + 1 :])
    t = lax.div(lax.broadcasted_iota(dtypes.real_dtype(wide), shape, d), float(n))
    t = convert(t, wide)
    edge = broadcast_to(convert(edge, wide), shape)
    end = convert(end, wide)
    out = lax.add(lax.mul(lax.sub(wide.type(1), t), end), lax.mul(t, edge))
    return convert(lax.floor(out) if dt in dtypes.INTEGERS else out, dt)


@fused("width", "mode", "lengths", "odd")
def _pad(x: Any, *, width: Pairs, mode: str, lengths: Any, odd: bool) -> Any:
    for d, (before, after) in enumerate(width):
        if before == 0 and after == 0:
            continue
        n = x.shape[d]
        if n == 0:
            raise ValueError(
                f"pad: mode {mode!r} cannot extend the empty axis {d} of {describe(x)}"
                f"{at_user_line()}"
            )
        if mode in ("edge", "wrap", "reflect", "symmetric"):
            x = _extended(x, d, before, after, mode, odd)
            continue
        pair = (None, None) if lengths is None else lengths[d]
        parts = [x]
        for i, count in ((0, before), (1, after)):
            if count == 0:
                continue
            size = n if pair[i] is None else min(pair[i], n)
            if size == 0 and mode in ("maximum", "minimum"):
                raise ValueError(f"pad: stat_length must be positive in mode {mode!r}")
            window = lax.slice_in_dim(x, 0, size, axis=d) if i == 0 else lax.slice_in_dim(
                x, n - size, n, axis=d
            )  # fmt: skip
            value = _statistic(window, d, mode)
            shape = (*x.shape[:d], count, *x.shape[d + 1 :])
            parts.insert(0 if i == 0 else len(parts), broadcast_to(value, shape))
        x = lax.concatenate(parts, d)
    return x


def _statistic(x: Any, d: int, mode: str) -> Any:
    function = {
        "maximum": reductions.max,
        "minimum": reductions.min,
        "mean": reductions.mean,
        "median": nan_reductions.median,
    }[mode]
    out = function(x, d, keepdims=True)
    if x.dtype in dtypes.INTEGERS and mode in ("mean", "median"):
        out = lax.round(out, lax.RoundingMethod.TO_NEAREST_EVEN)
    return convert(out, x.dtype)


def _extended(x: Any, d: int, before: int, after: int, mode: str, odd: bool) -> Any:
    n = x.shape[d]
    if mode == "edge" or (n == 1 and mode == "reflect"):
        parts = [x]
        if before != 0:
            shape = (*x.shape[:d], before, *x.shape[d + 1 :])
            parts.insert(0, broadcast_to(lax.slice_in_dim(x, 0, 1, axis=d), shape))
        if after != 0:
            shape = (*x.shape[:d], after, *x.shape[d + 1 :])
            parts.append(broadcast_to(lax.slice_in_dim(x, n - 1, n, axis=d), shape))
        return lax.concatenate(parts, d)
    offset = 1 if mode == "reflect" else 0
    step = n if mode == "wrap" else n - offset
    while before or after:
        # Each round adds at most one copy (mirrored or not) of the original on each side.
        size = x.shape[d]
        parts = [x]
        lo, hi = min(before, step), min(after, step)
        if mode == "wrap":
            if lo:
                parts.insert(0, lax.slice_in_dim(x, n - lo, n, axis=d))
            if hi:
                parts.append(lax.slice_in_dim(x, size - n, size - n + hi, axis=d))
        else:
            if lo:
                part = lax.rev(lax.slice_in_dim(x, offset, offset + lo, axis=d), (d,))
                edge = lax.slice_in_dim(x, 0, 1, axis=d)
                parts.insert(0, _odd(part, edge) if odd else part)
            if hi:
                part = lax.slice_in_dim(x, size - offset - hi, size - offset, axis=d)
                part = lax.rev(part, (d,))
                edge = lax.slice_in_dim(x, size - 1, size, axis=d)
                parts.append(_odd(part, edge) if odd else part)
        x = lax.concatenate(parts, d)
        before, after = before - lo, after - hi
    return x


def _odd(part: Any, edge: Any) -> Any:
    edge = broadcast_to(edge, part.shape)
    return lax.sub(lax.mul(edge, edge.dtype.type(2)), part)


def _pad_function(x: Any, width: Pairs, mode: Callable[..., Any], kwargs: dict[str, Any]) -> Any:
    config = tuple((a, b, 0) for a, b in width)
    out = lax.pad(x, x.dtype.type(0), config)
    for d, pair in enumerate(width):

        def along(v: Any, pair: Any = pair, d: int = d) -> Any:
            return mode(v, pair, d, kwargs)

        out = apply_along_axis(along, d, out)
    return out
