"""Rotations against SciPy's, and their derivatives."""

import itertools
import warnings

import numpy as np
import pytest
from scipy.spatial.transform import Rotation as SciPyRotation
from scipy.spatial.transform import Slerp as SciPySlerp

import covector as cv
from covector.scipy.spatial import transform
from covector.scipy.spatial.transform import Rotation, Slerp

R = np.random.RandomState(0)
QUATS = R.randn(20, 4)
# The identity, small angles, half turns, quarter turns.
QUATS[:7] = [
    [0, 0, 0, 1], [1e-9, 0, 0, 1], [1, 0, 0, 0], [1, 0, 0, 1], [0, 1, 0, 1], [0, 0, 1, -1],
    [1, 1, 1, 1],
]  # fmt: skip
VECTORS = R.randn(20, 3)
SEQUENCES = [
    "".join(p)
    for n in (1, 2, 3)
    for p in itertools.product("xyz", repeat=n)
    if all(a != b for a, b in zip(p, p[1:], strict=False))
]


@pytest.fixture(autouse=True)
def x64():
    with cv.enable_x64(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # SciPy's, of angles that are not unique
        yield


def close(got, want, tol=1e-11):
    np.testing.assert_allclose(np.asarray(got), want, tol, tol)


def both():
    return Rotation.from_quat(QUATS), SciPyRotation.from_quat(QUATS)


def test_every_name_is_here():
    assert transform.__all__ == ["Rotation", "Slerp"]


def test_forms():
    ours, theirs = both()
    for name in ("as_matrix", "as_rotvec", "as_mrp", "magnitude"):
        close(getattr(ours, name)(), getattr(theirs, name)())
        close(cv.jit(lambda r, name=name: getattr(r, name)())(ours), getattr(theirs, name)())
        close(getattr(ours[3], name)(), getattr(theirs[3], name)())
    close(ours.as_rotvec(True), theirs.as_rotvec(True), 1e-9)
    for canonical, first in itertools.product((False, True), repeat=2):
        close(
            ours.as_quat(canonical, first), theirs.as_quat(canonical=canonical, scalar_first=first)
        )
    close(Rotation.from_matrix(theirs.as_matrix()).as_matrix(), theirs.as_matrix())
    for v in (VECTORS, 1e-5 * VECTORS, 1e-300 * VECTORS, VECTORS[0]):
        close(Rotation.from_rotvec(v).as_quat(), SciPyRotation.from_rotvec(v).as_quat())
    close(Rotation.from_rotvec(VECTORS, True).as_quat(),
          SciPyRotation.from_rotvec(VECTORS, True).as_quat())  # fmt: skip
    close(Rotation.from_mrp(VECTORS).as_matrix(), SciPyRotation.from_mrp(VECTORS).as_matrix())


def test_composition():
    ours, theirs = both()
    close((ours * ours[::-1]).as_matrix(), (theirs * theirs[::-1]).as_matrix())
    close((ours[2] * ours).as_matrix(), (theirs[2] * theirs).as_matrix())
    close(ours.inv().as_matrix(), theirs.inv().as_matrix())
    for inverse in (False, True):
        close(ours.apply(VECTORS, inverse), theirs.apply(VECTORS, inverse))
        close(ours.apply(VECTORS[0], inverse), theirs.apply(VECTORS[0], inverse))
        close(ours[3].apply(VECTORS, inverse), theirs[3].apply(VECTORS, inverse))
    weights = R.rand(20)
    close(ours.mean().as_matrix(), theirs.mean().as_matrix(), 1e-9)
    close(ours.mean(weights).as_matrix(), theirs.mean(weights).as_matrix(), 1e-9)
    joined = Rotation.concatenate([ours[:2], ours[5]])
    assert len(joined) == 3 and not joined.single and joined[0].single
    assert Rotation.identity(2).quat.tolist() == [[0, 0, 0, 1]] * 2
    drawn = Rotation.random(cv.random.key(0), 1000)
    close(np.linalg.norm(drawn.quat, axis=1), np.ones(1000), 1e-5)
    assert np.abs(np.mean(drawn.as_matrix(), 0)).max() < 0.06
    assert Rotation.random(cv.random.key(0)).single


@pytest.mark.parametrize("seq", SEQUENCES + [s.upper() for s in SEQUENCES])
def test_euler(seq):
    angles = R.randn(5, len(seq))
    close(Rotation.from_euler(seq, angles).as_matrix(),
          SciPyRotation.from_euler(seq, angles).as_matrix())  # fmt: skip
    one = 40 * angles[0] if len(seq) > 1 else 40 * angles[0, 0]
    ours = Rotation.from_euler(seq, one, degrees=True)
    assert ours.single
    close(ours.as_matrix(), SciPyRotation.from_euler(seq, one, degrees=True).as_matrix())
    if len(seq) == 3:
        ours, theirs = both()
        np.testing.assert_allclose(ours.as_euler(seq), theirs.as_euler(seq), atol=1e-7)
        close(ours[9].as_euler(seq, True), theirs[9].as_euler(seq, True), 1e-9)
        assert np.isfinite(cv.jacobian(lambda q: Rotation(q).as_euler(seq))(ours.quat)).all()


def test_angles_of_one_axis():
    for angles, shape in ((0.5, (4,)), ([0.5], (4,)), ([0.5, 0.6], (2, 4)), ([[0.5]], (1, 4))):
        assert Rotation.from_euler("x", np.array(angles)).quat.shape == shape


def test_slerp():
    ours, theirs = both()
    times = np.arange(20.0) ** 1.1
    at = R.rand(30) * times[-1]
    slerp, wanted = Slerp.init(times, ours), SciPySlerp(times, theirs)
    close(slerp(at).as_matrix(), wanted(at).as_matrix())
    close(slerp(times).as_matrix(), theirs.as_matrix())
    close(cv.vmap(slerp)(at).as_matrix(), wanted(at).as_matrix())
    assert slerp(0.5).single


def test_derivatives():
    for v in (np.zeros(3), 1e-4 * np.ones(3), np.array([0.3, -1.0, 2.0])):
        close(cv.jacobian(lambda v: Rotation.from_rotvec(v).as_rotvec())(v), np.eye(3), 1e-7)
        got = cv.jacrev(lambda v: Rotation.from_rotvec(v).apply(VECTORS[0]))(v)
        for i in range(3):
            h = np.eye(3)[i] * 1e-6
            up, down = (Rotation.from_rotvec(v + s * h).apply(VECTORS[0]) for s in (1, -1))
            close(got[:, i], (np.asarray(up) - np.asarray(down)) / 2e-6, 1e-7)
    ours, _ = both()
    for f in (Rotation.as_matrix, Rotation.as_mrp, Rotation.as_rotvec, Rotation.magnitude):
        assert np.isfinite(cv.jacobian(lambda q, f=f: f(Rotation(q)))(ours.quat)).all(), f


def test_single_precision():
    q = Rotation.from_quat(QUATS.astype(np.float32))
    assert q.quat.dtype == q.as_euler("xyz").dtype == q.apply(VECTORS[0].astype("f")).dtype == "f4"
    close(q.as_matrix(), SciPyRotation.from_quat(QUATS).as_matrix(), 1e-6)


def test_bad_input():
    ours, _ = both()
    for call, error, text in (
        (lambda: Rotation.from_quat(np.ones(3)), ValueError, r"\(4,\) or \(N, 4\)"),
        (lambda: Rotation.from_matrix(np.ones((2, 3))), ValueError, r"\(3, 3\)"),
        (lambda: Rotation.from_rotvec(np.ones(3) * 1j), TypeError, "real"),
        (lambda: Rotation.from_euler("xx", np.ones(2)), ValueError, "different axes"),
        (lambda: Rotation.from_euler("xY", np.ones(2)), ValueError, "X, Y, Z for intrinsic"),
        (lambda: Rotation.from_euler("xyzx", np.ones(4)), ValueError, "one to three"),
        (lambda: Rotation.from_euler("xyz", np.ones(2)), ValueError, "3 elements"),
        (lambda: ours.as_euler("xy"), ValueError, "three axes"),
        (lambda: ours.apply(np.ones(2)), ValueError, r"\(3,\)"),
        (lambda: ours[0][0], TypeError, "no elements"),
        (lambda: len(ours[0]), TypeError, "no length"),
        (lambda: ours.mean(np.ones(3)), ValueError, "vector of 20"),
        (lambda: ours.mean(-np.ones(20)), ValueError, "negative"),
        (lambda: Slerp.init(np.arange(3), ours), ValueError, "a time for each"),
        (lambda: Slerp.init(np.zeros(20), ours), ValueError, "rise"),
        (lambda: Slerp.init(np.zeros(20), None), TypeError, "Rotation"),
        (lambda: Slerp.init(np.arange(20), ours)(np.zeros((2, 2))), ValueError, "vector"),
    ):
        with pytest.raises(error, match=text):
            call()
