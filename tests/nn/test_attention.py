"""Attention against a loop over queries in NumPy."""

import numpy as np
import pytest

from covector import nn
from covector import numpy as cnp
from covector.core.config import enable_x64
from covector.transforms.grad import grad

_RNG = np.random.default_rng(0)
B, T, S, N, K, H = 2, 3, 6, 4, 2, 5
Q = _RNG.normal(size=(B, T, N, H))
KEY = _RNG.normal(size=(B, S, K, H))
V = _RNG.normal(size=(B, S, K, H))
BIAS = _RNG.normal(size=(B, N, T, S))
MASK = _RNG.random((B, 1, T, S)) > 0.3


def _reference(
    scale=None, bias=None, mask=None, is_causal=False, query_seq_lengths=None,
    key_value_seq_lengths=None, local_window_size=None,
):  # fmt: skip
    out = np.zeros((B, T, N, H))
    scale = 1 / np.sqrt(H) if scale is None else scale
    window = local_window_size
    if isinstance(window, int):
        window = (window, window)
    for b, t, n in np.ndindex(B, T, N):
        if query_seq_lengths is not None and t >= query_seq_lengths[b]:
            continue
        head = n // (N // K)
        logits = KEY[b, :, head] @ Q[b, t, n] * scale
        if bias is not None:
            logits = logits + np.broadcast_to(bias, BIAS.shape)[b, n, t]
        s = np.arange(S)
        seen = np.ones(S, bool)
        if mask is not None:
            seen &= np.broadcast_to(mask, BIAS.shape)[b, n, t]
        if is_causal:
            seen &= s <= t
        if window is not None:
            seen &= (s >= t - window[0]) & (s <= t + window[1])
        if key_value_seq_lengths is not None:
            seen &= s < key_value_seq_lengths[b]
        # A query that sees nothing attends to all keys alike.
        logits = np.where(seen, logits, -1e30)
        weights = np.exp(logits - logits.max())
        out[b, t, n] = weights / weights.sum() @ V[b, :, head]
    return out


_OPTIONS = {
    "plain": {},
    "scale": {"scale": 2.0},
    "bias": {"bias": BIAS},
    "broadcast bias": {"bias": BIAS[:1, :1]},
    "mask": {"mask": MASK},
    "causal": {"is_causal": True},
    "key lengths": {"key_value_seq_lengths": np.array([1, 4])},
    "query lengths": {"query_seq_lengths": np.array([1, 2])},
    "window": {"local_window_size": 1},
    "window to the left": {"local_window_size": (2, 0)},
    "nothing seen": {"mask": np.zeros((1, 1, 1, S), bool)},
    "all": {
        "bias": BIAS, "mask": MASK, "is_causal": True, "local_window_size": (3, 3),
        "query_seq_lengths": np.array([3, 2]), "key_value_seq_lengths": np.array([6, 4]),
    },
}  # fmt: skip


@pytest.mark.parametrize("name", _OPTIONS)
def test_options(name):
    options = _OPTIONS[name]
    expected = _reference(**options)
    with enable_x64():
        out = nn.dot_product_attention(Q, KEY, V, **options)
        np.testing.assert_allclose(out, expected, rtol=1e-11, atol=1e-12)
    half = nn.dot_product_attention(*(x.astype(np.float16) for x in (Q, KEY, V)), **options)
    assert half.dtype == np.float16
    np.testing.assert_allclose(half, expected, atol=1e-2)


def test_without_batch():
    out, residual = nn.dot_product_attention(
        *(x[0].astype(np.float32) for x in (Q, KEY, V)), return_residual=True
    )
    assert out.shape == (T, N, H)
    assert residual.shape == (T, N)
    np.testing.assert_allclose(out, _reference()[0], rtol=1e-4, atol=1e-5)


def test_residual():
    with enable_x64():
        _, residual = nn.dot_product_attention(Q, KEY, V, return_residual=True)
    keys = KEY[:, :, np.arange(N) // (N // K)]
    logits = np.einsum("btnh,bsnh->btns", Q, keys) / np.sqrt(H)
    np.testing.assert_allclose(residual, np.log(np.exp(logits).sum(-1)), rtol=1e-12)


def test_gradient():
    def loss(q):
        out = nn.dot_product_attention(q, KEY, V, mask=MASK, is_causal=True)
        return cnp.sum(cnp.square(out))

    direction, h = _RNG.normal(size=Q.shape), 1e-6
    with enable_x64():
        g = np.asarray(grad(loss)(Q))
        difference = float(loss(Q + h * direction) - loss(Q - h * direction)) / (2 * h)
    np.testing.assert_allclose((g * direction).sum(), difference, rtol=1e-6)


_q, _k, _v = (x.astype(np.float32) for x in (Q, KEY, V))
_BAD = {
    "ranks": ((_q[0], _k, _v), {}, "batch|shape"),
    "value": ((_q, _k, _v[:, :3]), {}, "value"),
    "head sizes": ((_q[..., :3], _k, _v), {}, "heads"),
    "numbers of heads": ((_q[:, :, :3], _k, _v), {}, "multiple"),
    "dtypes": ((_q.astype(np.float16), _k, _v), {}, "float16"),
    "bias": ((_q, _k, _v), {"bias": np.ones((3, 1, 1, 1), np.float32)}, "bias"),
    "mask dtype": ((_q, _k, _v), {"mask": np.ones((B, 1, T, S), np.float32)}, "boolean"),
    "lengths": ((_q, _k, _v), {"query_seq_lengths": np.array([1, 2, 3])}, "query_seq_lengths"),
    "window": ((_q, _k, _v), {"local_window_size": -1}, "local_window_size"),
    "implementation": ((_q, _k, _v), {"implementation": "cudnn"}, "cudnn"),
}


@pytest.mark.parametrize("name", _BAD)
def test_bad_arguments(name):
    args, options, message = _BAD[name]
    with pytest.raises(ValueError, match=message):
        nn.dot_product_attention(*args, **options)
