"""Histograms count exactly by their edges, be these even or not."""

from __future__ import annotations

import numpy as onp
import pytest

import covector as cv
import covector.numpy as np

RANGES = [None, (-1.0, 1.0), (-3.3, 2.7), (0.1, 0.1)]


def _same(x, bins, limits=None):
    counts, edges = cv.jit(lambda x: np.histogram(x, bins, limits))(x)
    edges = onp.asarray(edges)
    assert edges.dtype == x.dtype
    onp.testing.assert_array_equal(counts, onp.histogram(x, edges)[0])
    return edges


@pytest.mark.parametrize("limits", RANGES)
@pytest.mark.parametrize("bins", [1, 2, 7, 100, 1000, 100_000])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_even_bins(dtype, bins, limits):
    """The numbers beside the edges are the hard ones; 100 000 bins of float32 are searched."""
    with cv.enable_x64():
        x = onp.random.default_rng(0).normal(size=5000).astype(dtype)
        e = _same(x, bins, limits)
        beside = [onp.nextafter(e, e.dtype.type(s * 9)) for s in (-1, 1)]
        far = onp.asarray([onp.inf, -onp.inf], dtype)
        around = onp.concatenate([e, *beside, far])
        _same(around, bins, limits or (float(e[0]), float(e[-1])))


@pytest.mark.parametrize("low, width", [(1e6, 2.0), (1e6, 64.0), (-1e5, 1.0), (0.1, 1e-5)])
@pytest.mark.parametrize("bins", [7, 10, 29])
def test_narrow_bins_far_from_zero(low, width, bins):
    """Edges are rounded once, as NumPy's are: a bin is a few units in the last place wide."""
    x = onp.random.default_rng(4).uniform(low, low + width, 5000).astype("float32")
    limits = (low, low + width)
    rounded = tuple(map(onp.float32, limits))
    for given, ours in (
        (None, np.histogram(x, bins)),
        (limits, np.histogram(x, bins, limits)),
        (tuple(map(float, rounded)), np.histogram(x, bins, tuple(map(np.asarray, rounded)))),
    ):
        counts, edges = onp.histogram(x, bins, given)
        onp.testing.assert_array_equal(ours[0], counts)
        onp.testing.assert_array_equal(ours[1], edges)


@pytest.mark.parametrize(
    "edges", [[-2, 0, 1, 3], [-onp.inf, 0, 1, onp.inf], [-1, 0, 0, 1], [0, 0], [1, 2], [-3, 3]]
)
def test_given_edges(edges):
    x = onp.append(onp.random.default_rng(1).normal(size=500), edges).astype("float32")
    _same(x, onp.asarray(edges, "float32"))


def test_nan_is_in_no_bin():
    for edges in ([0.0, 1.0, 2.0], [0.0, 0.1, 2.0]):
        counts, _ = np.histogram(np.array([onp.nan, 0.05, 2.0]), np.array(edges))
        assert counts.tolist() == [1.0, 1.0]


def test_batched_and_weighted():
    x = onp.random.default_rng(2).normal(size=(3, 40)).astype("float32")
    w = onp.random.default_rng(3).normal(size=(3, 40)).astype("float32")
    count = lambda x, w: np.histogram(x, 5, (-2.0, 2.0), weights=w)[0]  # noqa: E731
    rows = cv.vmap(count)(x, w)
    for row, a, b in zip(rows, x, w, strict=True):
        onp.testing.assert_allclose(row, onp.histogram(a, 5, (-2, 2), weights=b)[0], rtol=2e-5)
    slopes = cv.grad(lambda w: count(x[0], w) @ np.arange(5.0))(w[0])
    bins = onp.searchsorted(onp.linspace(-2, 2, 6), x[0], "right") - 1
    inside = (bins >= 0) & (bins < 5)
    onp.testing.assert_array_equal(slopes, onp.where(inside, bins, 0).astype("float32"))


COMPLEX = {
    "as a": lambda z: np.histogram(z, 3),
    "as bins": lambda z: np.histogram(z.real, z),
    "as range": lambda z: np.histogram_bin_edges(z.real, 3, (z[0], 2.0)),
    "got complex64[3]": lambda z: np.histogramdd(z),
    "complex64[3] as y": lambda z: np.histogram2d(z.real, z),
}


@pytest.mark.parametrize("words", COMPLEX)
def test_complex_numbers_have_no_bins(words):
    z = np.array([1j, 2.0, 3.0])
    with pytest.raises(TypeError, match="histogram takes real numbers") as caught:
        COMPLEX[words](z)
    assert words in str(caught.value) and "test_histograms.py" in str(caught.value)
    counts, edges = np.histogram(z.real, 3, weights=z)
    assert counts.tolist() == [1j, 0, 5] and edges.dtype == "float32"


def test_coordinates_of_two_types():
    x, y = onp.arange(6), onp.arange(6) * 0.5
    for ours, theirs in zip(np.histogram2d(x, y, 5), onp.histogram2d(x, y, 5), strict=True):
        onp.testing.assert_array_equal(ours, theirs)


def test_edges_are_those_of_numpy_in_double_precision():
    x = onp.arange(-8, 9) / 8
    with cv.enable_x64():
        for ours, theirs in zip(np.histogram(x, 10), onp.histogram(x, 10), strict=True):
            onp.testing.assert_array_equal(ours, theirs)
