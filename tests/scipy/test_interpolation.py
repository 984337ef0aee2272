"""Values between samples: `interpolate`, `integrate`, `cluster.vq`, `ndimage`."""

import numpy as np
import pytest
import scipy.cluster.vq
import scipy.interpolate
import scipy.ndimage

import covector as cv
import covector.numpy as cnp
from covector import scipy as cs
from covector.scipy.cluster import vq
from covector.scipy.interpolate import RegularGridInterpolator
from covector.scipy.ndimage import map_coordinates

R = np.random.RandomState(0)
GRID = (np.array([0.0, 1, 3, 4]), np.array([5.0, 3, 2]), np.array([0.0, 0.5]))
VALUES = R.rand(4, 3, 2, 2)
POINTS = R.rand(6, 5, 3) * [5, 4, 0.6] + [-0.2, 1.5, 0]
SCIPY_MODE = {"wrap": "grid-wrap", "constant": "grid-constant"}
MODES = ("constant", "nearest", "wrap", "mirror", "reflect")


def test_every_name_is_here():
    assert cs.interpolate.__all__ == ["RegularGridInterpolator"]
    assert cs.integrate.__all__ == ["trapezoid"]
    assert vq.__all__ == ["vq"]
    assert cs.ndimage.__all__ == ["map_coordinates"]


@pytest.mark.parametrize("method", ["linear", "nearest"])
@pytest.mark.parametrize("fill", [np.nan, None, 3.0])
def test_grid(method, fill):
    with cv.enable_x64():
        ours = RegularGridInterpolator(GRID, VALUES, method, False, fill)
        want = scipy.interpolate.RegularGridInterpolator(GRID, VALUES, method, False, fill)(POINTS)
        np.testing.assert_allclose(ours(POINTS), want, 1e-12)
        np.testing.assert_allclose(cv.jit(ours)(POINTS), want, 1e-12)
        np.testing.assert_allclose(cv.vmap(ours)(POINTS), want, 1e-12)
        np.testing.assert_allclose(ours(tuple(np.moveaxis(POINTS, -1, 0))), want, 1e-12)
        bad = POINTS[0].copy()
        bad[0, 1] = np.nan
        assert np.isnan(ours(bad)[0]).all()
        slope = cv.jacobian(ours)(np.array([0.5, 3.5, 0.25]))
        if method == "linear":
            for i in range(3):
                h = np.eye(3)[i] * 1e-6
                up, down = (
                    ours(np.array([0.5, 3.5, 0.25]) + h),
                    ours(np.array([0.5, 3.5, 0.25]) - h),
                )
                difference = (np.asarray(up) - np.asarray(down)).ravel() / 2e-6
                np.testing.assert_allclose(np.asarray(slope)[..., i].ravel(), difference, 1e-6)


def test_grid_of_one_dimension():
    f = RegularGridInterpolator((np.arange(3),), np.array([0, 10, 40]))
    np.testing.assert_allclose(f(np.array([0.5, 1.25, 3.0], "f")), [5, 17.5, np.nan])
    np.testing.assert_allclose(f(np.array([0.5, 1.75], "f"), method="nearest"), [0, 40])
    one = RegularGridInterpolator((np.array([2.0]),), np.array([7.0]), fill_value=None)
    np.testing.assert_array_equal(one(np.array([0.0, 9.0])), [7, 7])
    traced = cv.jit(lambda p, v, x: RegularGridInterpolator((p,), v)(x))
    np.testing.assert_allclose(traced(cnp.arange(3.0), f.values, np.array([0.5])), [5])
    for call, error, text in (
        (lambda: RegularGridInterpolator(GRID, VALUES, "cubic"), ValueError, "'linear'"),
        (lambda: RegularGridInterpolator(GRID, VALUES[0]), ValueError, "dimension 0"),
        (
            lambda: RegularGridInterpolator(GRID, VALUES, "linear", True),
            NotImplementedError,
            "fill",
        ),
        (lambda: RegularGridInterpolator(([0, 2, 1],), np.arange(3)), ValueError, "strictly"),
        (lambda: RegularGridInterpolator(GRID, VALUES)(np.ones(2)), ValueError, "3 coordinates"),
        (lambda: RegularGridInterpolator(GRID, VALUES[0, 0]), ValueError, "3 point arrays"),
    ):
        with pytest.raises(error, match=text):
            call()


def test_trapezoid():
    y = R.rand(3, 5)
    np.testing.assert_allclose(cs.integrate.trapezoid(y, dx=0.5), np.trapezoid(y, dx=0.5), 1e-6)
    x = np.arange(3.0) ** 2
    np.testing.assert_allclose(
        cs.integrate.trapezoid(y, x, axis=0), np.trapezoid(y, x, axis=0), 1e-6
    )


def test_vq():
    obs, codes = R.rand(50, 3), R.rand(7, 3)
    with cv.enable_x64():
        for o, c in ((obs, codes), (obs[:, 0], codes[:, 0]), (obs[:1], codes[:1])):
            got, want = vq.vq(o, c), scipy.cluster.vq.vq(o, c)
            np.testing.assert_array_equal(got[0], want[0])
            np.testing.assert_allclose(got[1], want[1], 1e-12)
            np.testing.assert_allclose(cv.jit(vq.vq)(o, c)[1], want[1], 1e-12)
        mapped = cv.vmap(lambda o: vq.vq(o[None], codes)[1][0])(obs)
        np.testing.assert_allclose(mapped, scipy.cluster.vq.vq(obs, codes)[1], 1e-12)
        slope = cv.grad(lambda o: vq.vq(o, codes)[1].sum())(codes)
        np.testing.assert_array_equal(slope, np.zeros((7, 3)))
    assert vq.vq(np.zeros((0, 3)), codes)[0].shape == (0,)
    assert vq.vq(np.ones((2, 3), int), np.ones((2, 3), int))[1].dtype == np.float32
    for o, c, error in (
        (obs, codes[:, :2], ValueError), (obs, codes[0], ValueError), (obs, codes[:0], ValueError),
        (obs * 1j, codes, TypeError),
    ):  # fmt: skip
        with pytest.raises(error):
            vq.vq(o, c)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("order", [0, 1])
def test_map_coordinates(order, mode):
    image = R.rand(5, 6)
    at = R.randn(2, 40) * 6
    at[:, :4] = [[0, 4, 2, 1], [5, 0, 3, 1]]
    theirs = SCIPY_MODE.get(mode, mode)
    want = scipy.ndimage.map_coordinates(image, at, order=order, mode=theirs, cval=2.0)
    with cv.enable_x64():
        np.testing.assert_allclose(map_coordinates(image, list(at), order, mode, 2.0), want, 1e-12)
        run = cv.jit(lambda x, c: map_coordinates(x, [c[0], c[1]], order, mode, 2.0))
        np.testing.assert_allclose(run(image, at), want, 1e-12)
        mapped = cv.vmap(lambda c: map_coordinates(image, [c[0], c[1]], order, mode, 2.0), 1)(at)
        np.testing.assert_allclose(mapped, want, 1e-12)
        weights = R.rand(40)
        back = cv.grad(lambda x: cnp.sum(run(x, at) * weights))(image)
        moved = R.rand(5, 6)
        forward = np.sum(
            weights * (np.asarray(run(image + moved, at)) - np.asarray(run(image, at)))
        )
        np.testing.assert_allclose(np.sum(np.asarray(back) * moved), forward, 1e-10)
        inside = 0.3 + 3 * R.rand(2, 9)
        slope = cv.grad(lambda c: cnp.sum(run(image, c)))(inside)
        if order:
            up, down = (
                np.asarray(run(image, inside + s * np.array([[1e-6], [0]]))) for s in (1, -1)
            )
            np.testing.assert_allclose(slope[0], (up - down) / 2e-6, 1e-6, 1e-8)
        else:
            np.testing.assert_array_equal(slope, np.zeros((2, 9)))
    whole = np.arange(30).reshape(5, 6)
    got = map_coordinates(whole, list(at), order, mode)
    want = scipy.ndimage.map_coordinates(whole.astype(float), at, order=order, mode=theirs)
    assert got.dtype == np.int32
    np.testing.assert_allclose(got, want, atol=0.5 + 1e-4)
    for dtype in (np.float16, cnp.bfloat16, np.float32, np.complex64):
        assert map_coordinates(cnp.asarray(image, dtype), list(at), order, mode).dtype == dtype
    assert map_coordinates(image, [np.zeros(0)] * 2, order, mode).shape == (0,)
    assert map_coordinates(image, [0.5, 1.5], order, mode).shape == ()
    assert (
        map_coordinates(np.ones((1, 1)), [np.array([-3.0, 0, 5])] * 2, order, mode, 1.0).tolist()
        == [1] * 3
    )


def _pixel(i, n, mode):
    """Of which pixel of a row an index is, and whether it is of one."""
    if mode == "wrap":
        return i % n, True
    if mode == "reflect":
        return min(i % (2 * n), 2 * n - 1 - i % (2 * n)), True
    if mode == "mirror":
        period = max(2 * n - 2, 1)
        return min(i % period, period - i % period) % n, True
    return min(max(i, 0), n - 1), mode == "nearest" or 0 <= i < n


def _between(image, at, mode, cval):
    """Linear interpolation, corner by corner."""
    if not np.isfinite(at).all():
        return np.nan
    total = 0.0
    for corner in np.ndindex(*[2] * image.ndim):
        found = [
            _pixel(int(np.floor(x)) + k, n, mode)
            for x, k, n in zip(at, corner, image.shape, strict=True)
        ]
        value = image[tuple(p for p, _ in found)] if all(ok for _, ok in found) else cval
        for x, k in zip(at, corner, strict=True):
            value = value * (x - np.floor(x) if k else 1 - (x - np.floor(x)))
        total = total + value
    return total


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "shape", [(1,), (2,), (3,), (1, 1), (1, 2), (2, 1), (2, 2), (3, 5), (2, 1, 3)]
)
def test_map_coordinates_about_the_borders(shape, mode):
    image = R.randint(1, 64, shape) / 4.0
    steps = np.arange(-10, 11) / 2.0 if len(shape) > 1 else np.arange(-40, 41) / 4.0
    steps = steps[::2] if len(shape) > 2 else steps
    at = np.stack([c.ravel() for c in np.meshgrid(*[steps] * len(shape))])
    want = [_between(image, c, mode, 0.25) for c in at.T]
    run = cv.jit(lambda x, c: map_coordinates(x, list(c), 1, mode, 0.25))
    # Quarters times quarters: nothing is rounded.
    np.testing.assert_array_equal(run(image.astype("f"), at.astype("f")), want)
    few = max(image.size - 1, 1)  # points, fewer than pixels
    np.testing.assert_array_equal(run(image.astype("f"), at[:, -few:].astype("f")), want[-few:])
    theirs = scipy.ndimage.map_coordinates(image, at, order=1, mode=SCIPY_MODE.get(mode, mode),
                                           cval=0.25)  # fmt: skip
    np.testing.assert_allclose(want, theirs, 1e-12)


@pytest.mark.parametrize("mode", MODES)
def test_map_coordinates_of_what_is_not_finite(mode):
    image = R.rand(5, 6)
    image[1, 2], image[3, 4], image[4, 0], image[0, 5] = np.nan, np.inf, -np.inf, np.nan
    steps = np.concatenate([np.arange(-6, 9) / 2.0, [1e12, -1e12, np.nan, np.inf, -np.inf]])
    at = np.stack([c.ravel() for c in np.meshgrid(steps, steps)])
    if mode not in ("constant", "nearest"):
        at = at[:, (np.abs(at) != 1e12).all(0)]  # indices have 32 bits
    with cv.enable_x64(), np.errstate(invalid="ignore"):
        for cval in (2.0, np.inf):
            found = cv.jit(lambda x, c, v=cval: map_coordinates(x, list(c), 1, mode, v))(image, at)
            want = [_between(image, c, mode, cval) for c in at.T]
            np.testing.assert_allclose(found, want, 1e-12)


def test_map_coordinates_of_other_dimensions():
    for d in (1, 3):
        image, at = R.rand(*[4] * d), R.rand(d, 7) * 4
        want = scipy.ndimage.map_coordinates(image, at, order=1, mode="nearest")
        np.testing.assert_allclose(map_coordinates(image, list(at), 1, "nearest"), want, 1e-5)
    for call, error, text in (
        (lambda: map_coordinates(np.ones((2, 2)), [0.0], 1), ValueError, "2 dimensions"),
        (lambda: map_coordinates(np.ones(2), [0.0], 3), NotImplementedError, "order"),
        (lambda: map_coordinates(np.ones(2), [0.0], 1, "x"), NotImplementedError, "mode"),
        (lambda: map_coordinates(np.ones(0), [0.0], 1), ValueError, "no pixels"),
        (lambda: map_coordinates([1.0], [0.0], 1), TypeError, "array"),
    ):
        with pytest.raises(error, match=text):
            call()
