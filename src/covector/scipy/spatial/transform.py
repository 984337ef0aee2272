"""Rotations in space (`covector.scipy.spatial.transform`)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from covector import numpy as cnp
from covector import random
from covector.core import dtypes
from covector.core.errors import at_user_line, describe
from covector.core.errors import export as _export
from covector.numpy._util import array, concrete, inexact, is_concrete, promote_inexact
from covector.scipy.spatial import _quaternions as quaternions

__all__ = ["Rotation", "Slerp"]

_DEGREES = 180 / math.pi


def _vectors(name: str, what: str, x: Any, size: int) -> Any:
    """``x`` as floats: one vector of ``size`` numbers, or a matrix of such rows."""
    x = array(inexact(cnp.asarray(x), name), name)
    if x.dtype in dtypes.COMPLEX:
        raise TypeError(f"{name}: {what} must be real, got {x.aval.str_short()}{at_user_line()}")
    if x.ndim not in (1, 2) or x.shape[-1] != size:
        raise ValueError(
            f"{name}: {what} must have the shape ({size},) or (N, {size}), got "
            f"{x.aval.str_short()}{at_user_line()}"
        )
    return x


def _sequence(name: str, seq: str) -> tuple[tuple[int, ...], bool]:
    """The axes of a sequence, and whether it is intrinsic."""
    if not isinstance(seq, str) or not 1 <= len(seq) <= 3:
        raise ValueError(
            f"{name}: seq must be one to three letters, got {describe(seq)}{at_user_line()}"
        )
    if set(seq) - set("xyz") and set(seq) - set("XYZ"):
        raise ValueError(
            f"{name}: seq must consist of x, y, z, or X, Y, Z for intrinsic rotations, got {seq!r}"
            f"{at_user_line()}"
        )
    axes = tuple("xyz".index(c) for c in seq.lower())
    if any(a == b for a, b in zip(axes, axes[1:], strict=False)):
        raise ValueError(
            f"{name}: neighbours in seq must be different axes, got {seq!r}{at_user_line()}"
        )
    return axes, seq.isupper()


class Rotation(NamedTuple):
    """Rotations in space: one, or a vector of them.

    Make them with the class methods. A rotation is a pytree; its methods are transformed like any
    function.

    Parameters
    ----------
    quat : Array
        Unit quaternions (x, y, z, w), of shape ``(4,)`` or ``(N, 4)``; not normalised.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.scipy.spatial.transform import Rotation
    >>> quarter = Rotation.from_euler("z", 90, degrees=True)
    >>> np.round(quarter.apply(np.array([1.0, 2.0, 3.0])), 4)
    Array([-2.,  1.,  3.], dtype=float32)
    >>> np.round((quarter * quarter).magnitude(), 4)
    Array(3.1416, dtype=float32)
    """

    quat: Any

    @classmethod
    def concatenate(cls, rotations: Sequence[Any]) -> Rotation:
        """All rotations of a sequence as one vector of them."""
        return cls(cnp.concatenate([cnp.atleast_2d(r.quat) for r in rotations]))

    @classmethod
    def from_euler(cls, seq: str, angles: Any, degrees: bool = False) -> Rotation:
        """Rotations about axes of coordinates, one after the other.

        ``seq`` names one to three axes: x, y, z for those of space, X, Y, Z for those that turn
        along. ``angles`` has an element for each in its last axis; of one axis it may be a number,
        or a vector for several rotations.
        """
        axes, intrinsic = _sequence("Rotation.from_euler", seq)
        x = array(inexact(cnp.asarray(angles), "Rotation.from_euler"))
        # One angle alone is that of one rotation; more are those of several.
        if len(axes) == 1 and x.ndim < 2 and x.shape != (1,):
            x = x[..., None]
        if x.ndim not in (1, 2) or x.shape[-1] != len(axes):
            raise ValueError(
                f"Rotation.from_euler: for {seq!r} angles must have {len(axes)} elements in the "
                f"last of at most two axes, got {describe(angles)}{at_user_line()}"
            )
        x = cnp.deg2rad(x) if degrees else x
        return cls(quaternions.from_euler(axes, x, intrinsic))

    @classmethod
    def from_matrix(cls, matrix: Any) -> Rotation:
        """Rotations of orthogonal matrices, in the last two axes."""
        m = array(inexact(cnp.asarray(matrix), "Rotation.from_matrix"))
        if m.ndim not in (2, 3) or m.shape[-2:] != (3, 3):
            raise ValueError(
                "Rotation.from_matrix: matrix must have the shape (3, 3) or (N, 3, 3), got "
                f"{m.aval.str_short()}{at_user_line()}"
            )
        return cls(quaternions.from_matrix(m))

    @classmethod
    def from_mrp(cls, mrp: Any) -> Rotation:
        """Rotations of modified Rodrigues parameters: the axis times tan(angle / 4)."""
        return cls(quaternions.from_mrp(_vectors("Rotation.from_mrp", "mrp", mrp, 3)))

    @classmethod
    def from_quat(cls, quat: Any) -> Rotation:
        """Rotations of quaternions (x, y, z, w), which are normalised."""
        return cls(quaternions.normalized(_vectors("Rotation.from_quat", "quat", quat, 4)))

    @classmethod
    def from_rotvec(cls, rotvec: Any, degrees: bool = False) -> Rotation:
        """Rotations of vectors along the axis, as long as the angle."""
        v = _vectors("Rotation.from_rotvec", "rotvec", rotvec, 3)
        return cls(quaternions.from_rotvec(cnp.deg2rad(v) if degrees else v))

    @classmethod
    def identity(cls, num: int | None = None, dtype: Any = float) -> Rotation:
        """One rotation that moves nothing, or ``num`` of them."""
        one = cnp.array([0.0, 0.0, 0.0, 1.0], dtype)
        return cls(one if num is None else cnp.tile(one, (num, 1)))

    @classmethod
    def random(cls, random_key: Any, num: int | None = None) -> Rotation:
        """One rotation, or ``num``, of the uniform distribution."""
        shape = (4,) if num is None else (num, 4)
        return cls(quaternions.normalized(random.normal(random_key, shape)))

    def apply(self, vectors: Any, inverse: bool = False) -> Any:
        """Rotated vectors, in the last axis; ``inverse`` turns them back."""
        v = _vectors("Rotation.apply", "vectors", vectors, 3)
        q, v = promote_inexact("Rotation.apply", self.quat, v)
        return quaternions.apply(q, v, inverse)

    def as_euler(self, seq: str, degrees: bool = False) -> Any:
        """Angles about three axes, in the last axis: see `from_euler`.

        Where only the sum or difference of the first and the last is determined, the last is 0.
        """
        axes, intrinsic = _sequence("Rotation.as_euler", seq)
        if len(axes) != 3:
            raise ValueError(
                f"Rotation.as_euler: seq must name three axes, got {seq!r}{at_user_line()}"
            )
        angles = quaternions.to_euler(self.quat, axes, intrinsic)
        return cnp.rad2deg(angles) if degrees else angles

    def as_matrix(self) -> Any:
        """Orthogonal matrices, in the last two axes."""
        return quaternions.to_matrix(self.quat)

    def as_mrp(self) -> Any:
        """Modified Rodrigues parameters: the axis times tan(angle / 4)."""
        return quaternions.to_mrp(self.quat)

    def as_quat(self, canonical: bool = False, scalar_first: bool = False) -> Any:
        """Quaternions (x, y, z, w), or (w, x, y, z) with ``scalar_first``.

        ``canonical`` chooses that of the two quaternions of a rotation with w >= 0.
        """
        q = quaternions.canonical(self.quat) if canonical else self.quat
        return cnp.roll(q, 1, -1) if scalar_first else q

    def as_rotvec(self, degrees: bool = False) -> Any:
        """Vectors along the axis, as long as the angle, which is at most half a turn."""
        v = quaternions.to_rotvec(self.quat)
        return cnp.rad2deg(v) if degrees else v

    def inv(self) -> Rotation:
        """The rotations that turn back."""
        return Rotation(quaternions.inverse(self.quat))

    def magnitude(self) -> Any:
        """Angles, from 0 to π."""
        return quaternions.magnitude(self.quat)

    def mean(self, weights: Any = None) -> Rotation:
        """The rotation to which the squares of the chordal distances sum to least."""
        q = cnp.atleast_2d(self.quat)
        w = cnp.ones(q.shape[:1], q.dtype) if weights is None else cnp.asarray(weights, q.dtype)
        if w.shape != q.shape[:1]:
            raise ValueError(
                f"Rotation.mean: weights must be a vector of {q.shape[0]}, got "
                f"{w.aval.str_short()}{at_user_line()}"
            )
        if is_concrete(w) and (concrete(w, "weights") < 0).any():
            raise ValueError(f"Rotation.mean: weights must not be negative{at_user_line()}")
        return Rotation(quaternions.mean(q, w))

    @property
    def single(self) -> bool:
        """Whether it is one rotation, not a vector of them."""
        return bool(self.quat.ndim == 1)

    def __getitem__(self, index: Any) -> Rotation:  # type: ignore[override]
        """Some of the rotations."""
        if self.single:
            raise TypeError(f"a single Rotation has no elements{at_user_line()}")
        return Rotation(self.quat[index])

    def __len__(self) -> int:
        if self.single:
            raise TypeError(f"a single Rotation has no length{at_user_line()}")
        return int(self.quat.shape[0])

    def __mul__(self, other: Any) -> Rotation:  # type: ignore[override]
        """The rotations ``other`` and then these."""
        if not isinstance(other, Rotation):
            return NotImplemented
        return Rotation(quaternions.product(self.quat, other.quat))


class Slerp(NamedTuple):
    """Rotations that change steadily from one to the next.

    Make it with `Slerp.init`, and call it with times: where these are beyond the first or the last,
    the rotation there goes on.

    Parameters
    ----------
    times : Array
        Times of the rotations, rising.
    timedelta : Array
        Their differences.
    rotations : Rotation
        The rotations at all times but the last.
    rotvecs : Array
        The rotations from each time to the next, as vectors.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.scipy.spatial.transform import Rotation, Slerp
    >>> turn = Rotation.from_euler("z", np.array([0.0, 90.0]), degrees=True)
    >>> slerp = Slerp.init(np.array([0.0, 1.0]), turn)
    >>> np.round(slerp(0.5).as_euler("xyz", degrees=True), 3)
    Array([ 0.,  0., 45.], dtype=float32)
    """

    times: Any
    timedelta: Any
    rotations: Rotation
    rotvecs: Any

    @classmethod
    def init(cls, times: Any, rotations: Rotation) -> Slerp:
        """From the rotations at ``times``, of which there are at least two."""
        if not isinstance(rotations, Rotation):
            raise TypeError(
                f"Slerp.init: rotations must be a Rotation, got {describe(rotations)}"
                f"{at_user_line()}"
            )
        t = array(inexact(cnp.asarray(times), "Slerp.init"))
        if rotations.single or len(rotations) < 2 or t.shape != rotations.quat.shape[:1]:
            raise ValueError(
                "Slerp.init: there must be two rotations or more, and a time for each, got times "
                f"{t.aval.str_short()} and quaternions {rotations.quat.aval.str_short()}"
                f"{at_user_line()}"
            )
        steps = cnp.diff(t)
        if is_concrete(steps) and not (concrete(steps, "times") > 0).all():
            raise ValueError(f"Slerp.init: times must rise strictly{at_user_line()}")
        between = rotations[:-1].inv() * rotations[1:]
        return cls(t, steps, rotations[:-1], between.as_rotvec())

    def __call__(self, times: Any) -> Rotation:
        """The rotations at ``times``, a number or a vector."""
        t = cnp.asarray(times)
        if t.ndim > 1:
            raise ValueError(
                f"Slerp: times must be a number or a vector, got {t.aval.str_short()}"
                f"{at_user_line()}"
            )
        last = self.timedelta.shape[0] - 1
        k = cnp.clip(cnp.searchsorted(self.times, t, side="right") - 1, 0, last)
        part = (t - self.times[k]) / self.timedelta[k]
        return self.rotations[k] * Rotation.from_rotvec(self.rotvecs[k] * part[..., None])


_export(globals(), __all__)
