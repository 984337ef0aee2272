"""Attention by scaled dot products."""

from __future__ import annotations

import math
from typing import Any

from covector import lax
from covector import numpy as cnp
from covector.core import dtypes
from covector.core.errors import at_user_line
from covector.nn._normalization import logsumexp, softmax
from covector.numpy._util import fused


def _bad(text: str) -> ValueError:
    return ValueError(f"dot_product_attention: {text}{at_user_line()}")


def _check(query: Any, key: Any, value: Any) -> None:
    if query.ndim != 4 or key.ndim != 4:
        raise _bad(
            "query and key must have shape (B, T, N, H) or (T, N, H), got "
            f"{query.aval.str_short()} and {key.aval.str_short()}"
        )
    if value.shape != key.shape:
        raise _bad(f"value must have the shape of key, {key.shape}, got {value.shape}")
    if query.shape[0] != key.shape[0] or query.shape[3] != key.shape[3]:
        raise _bad(
            f"query {query.aval.str_short()} and key {key.aval.str_short()} must agree in the "
            "sizes of the batch and of the heads (the first and the last axis)"
        )
    if not key.shape[2] or query.shape[2] % key.shape[2]:
        raise _bad(
            f"the number of query heads, {query.shape[2]}, must be a multiple of the number of "
            f"key and value heads, {key.shape[2]}"
        )
    if not query.dtype == key.dtype == value.dtype:
        raise _bad(
            f"query, key and value must have one dtype, got {query.dtype}, {key.dtype} and "
            f"{value.dtype}"
        )


def _window(size: Any) -> tuple[int, int] | None:
    if size is None:
        return None
    pair = (size, size) if isinstance(size, int) else tuple(size)
    if len(pair) != 2 or any(w < 0 for w in pair):
        raise _bad(f"local_window_size must be one or two non-negative integers, got {size!r}")
    return pair


def _position_mask(
    shape: tuple[int, ...],
    is_causal: bool,
    query_lengths: Any,
    key_lengths: Any,
    window: tuple[int, int] | None,
) -> Any:
    """Which keys each query sees, by position: booleans that broadcast to (B, N, T, S), or None."""
    rows = lax.broadcasted_iota(dtypes.int32, (1, 1, *shape), 2)
    cols = lax.broadcasted_iota(dtypes.int32, (1, 1, *shape), 3)
    conditions = []
    if is_causal:
        conditions.append(cnp.greater_equal(rows, cols))
    if window is not None:
        conditions.append(cnp.greater_equal(cols, cnp.subtract(rows, window[0])))
        conditions.append(cnp.less_equal(cols, cnp.add(rows, window[1])))
    for lengths, positions in ((query_lengths, rows), (key_lengths, cols)):
        if lengths is not None:
            lengths = cnp.reshape(cnp.asarray(lengths), (-1, 1, 1, 1))
            conditions.append(cnp.less(positions, lengths))
    mask = None
    for condition in conditions:
        mask = condition if mask is None else cnp.logical_and(mask, condition)
    return mask


@fused("scale", "is_causal", "window", "return_residual")
def _attention(
    query: Any,
    key: Any,
    value: Any,
    bias: Any,
    mask: Any,
    query_lengths: Any,
    key_lengths: Any,
    scale: float,
    is_causal: bool,
    window: tuple[int, int] | None,
    return_residual: bool,
) -> Any:
    b, t, n, h = query.shape
    s, k = key.shape[1], key.shape[2]
    # Several query heads share a head of keys and values.
    grouped = cnp.reshape(query, (b, t, k, n // k, h))
    wide = dtypes.float64 if query.dtype == dtypes.float64 else dtypes.float32
    logits = cnp.einsum("btkgh,bskh->bkgts", grouped, key, preferred_element_type=wide)
    logits = cnp.reshape(cnp.multiply(logits, scale), (b, n, t, s))
    if bias is not None:
        logits = cnp.asarray(cnp.add(logits, bias), wide)
    positions = _position_mask((t, s), is_causal, query_lengths, key_lengths, window)
    if mask is not None:
        positions = mask if positions is None else cnp.logical_and(positions, mask)
    if positions is not None:
        # Finite, so that a query that sees no key gives numbers and not NaN.
        lowest = -0.7 * float(dtypes.finfo(wide).max)
        logits = cnp.where(positions, logits, lowest)
    weights = cnp.reshape(softmax(logits, axis=-1), (b, k, n // k, t, s))
    weights = cnp.asarray(weights, value.dtype)
    out = cnp.reshape(cnp.einsum("bkgts,bskh->btkgh", weights, value), (b, t, n, h))
    if query_lengths is not None:
        rows = lax.broadcasted_iota(dtypes.int32, (1, t, 1, 1), 1)
        inside = cnp.less(rows, cnp.reshape(cnp.asarray(query_lengths), (-1, 1, 1, 1)))
        out = cnp.where(inside, out, cnp.zeros((), out.dtype))
    if not return_residual:
        return out
    residual = cnp.transpose(logsumexp(logits, axis=-1), (0, 2, 1))
    return out, cnp.asarray(residual, query.dtype)


def _beside_scores(name: str, x: Any, full: tuple[int, ...]) -> Any:
    """The bias or mask, of the four dimensions of the scores."""
    if x is None:
        return None
    x = cnp.asarray(x)
    if x.ndim < 4:
        x = cnp.reshape(x, (1,) * (4 - x.ndim) + x.shape)
    if name == "mask" and x.dtype != dtypes.bool_:
        raise _bad(f"mask must be boolean, got {x.aval.str_short()}")
    if x.ndim != 4 or any(m not in (1, f) for m, f in zip(x.shape, full, strict=True)):
        raise _bad(f"{name} of shape {x.shape} does not broadcast to {full}")
    return x


def dot_product_attention(
    query: Any,
    key: Any,
    value: Any,
    bias: Any = None,
    mask: Any = None,
    *,
    scale: float | None = None,
    is_causal: bool = False,
    query_seq_lengths: Any = None,
    key_value_seq_lengths: Any = None,
    local_window_size: int | tuple[int, int] | None = None,
    implementation: str | None = None,
    return_residual: bool = False,
) -> Any:
    """softmax(scale query keyᵀ + bias) value, for each head.

    With batch B, query length T, key length S, query heads N, key heads K (a divisor of N) and
    head size H:

    Parameters
    ----------
    query : array_like
        Shape ``(B, T, N, H)`` or ``(T, N, H)``.
    key, value : array_like
        Shape ``(B, S, K, H)`` or ``(S, K, H)``.
    bias : array_like, optional
        Added to the logits; broadcasts to ``(B, N, T, S)``.
    mask : array_like of bool, optional
        Where a query sees a key; broadcasts to ``(B, N, T, S)``.
    scale : float, optional
        By default 1 / sqrt(H).
    is_causal : bool
        Let query ``i`` see only the keys up to ``i``.
    query_seq_lengths, key_value_seq_lengths : array_like of int, optional
        Shape ``(B,)``: what lies beyond is padding. Results of padded queries are 0.
    local_window_size : int or pair of int, optional
        How many keys before and after its own position a query sees.
    implementation : {None, "xla"}
        Accepted for compatibility; there is one implementation.
    return_residual : bool
        Return also the logarithms of the sums of exponentials, of shape ``(B, T, N)``.

    Returns
    -------
    Array, or a tuple of two
        Of the shape and dtype of ``query``.

    Raises
    ------
    ValueError
        If shapes or dtypes do not fit.

    Examples
    --------
    Each query sees itself and what came before:

    >>> import covector as cv
    >>> import covector.numpy as np
    >>> query = key = np.zeros((3, 1, 2))
    >>> value = np.array([[[3.0, 0.0]], [[0.0, 6.0]], [[3.0, 3.0]]])
    >>> np.round(cv.nn.dot_product_attention(query, key, value, is_causal=True), 3)[:, 0]
    Array([[3. , 0. ],
           [1.5, 3. ],
           [2. , 3. ]], dtype=float32)
    """
    if implementation not in (None, "xla"):
        raise _bad(f"implementation {implementation!r} is not available; use None")
    arrays = [cnp.asarray(x) for x in (query, key, value)]
    single = arrays[0].ndim == 3
    if single:
        arrays = [x[None] if x.ndim == 3 else x for x in arrays]
    q, k, v = arrays
    _check(q, k, v)
    full = (q.shape[0], q.shape[2], q.shape[1], k.shape[1])
    extra = [_beside_scores("bias", bias, full), _beside_scores("mask", mask, full)]
    for name, x in (
        ("query_seq_lengths", query_seq_lengths),
        ("key_value_seq_lengths", key_value_seq_lengths),
    ):
        if x is not None and cnp.shape(x) != (q.shape[0],):
            raise _bad(f"{name} must have shape {(q.shape[0],)}, got {cnp.shape(x)}")
    out = _attention(
        q, k, v, *extra, query_seq_lengths, key_value_seq_lengths,
        scale=1 / math.sqrt(q.shape[3]) if scale is None else float(scale),
        is_causal=bool(is_causal),
        window=_window(local_window_size),
        return_residual=bool(return_residual),
    )  # fmt: skip
    if not single:
        return out
    return (out[0][0], out[1][0]) if return_residual else out[0]
