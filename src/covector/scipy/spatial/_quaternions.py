"""Unit quaternions (x, y, z, w), in the last axis of arrays, and what else describes rotations."""

from __future__ import annotations

import math
from typing import Any

from covector import numpy as cnp
from covector.core import dtypes
from covector.numpy._util import fused


def _length(v: Any, keepdims: bool = True) -> Any:
    """The norm of vectors, with the slope 0 at 0."""
    square = cnp.sum(v * v, -1, keepdims=keepdims)
    zero = square == 0
    return cnp.where(zero, 0.0, cnp.sqrt(cnp.where(zero, 1.0, square)))


@fused()
def normalized(q: Any) -> Any:
    """Of length one; NaN for 0."""
    return q / _length(q)


@fused()
def product(p: Any, q: Any) -> Any:
    """The rotation ``q`` and then ``p``."""
    u, v, a, b = p[..., :3], q[..., :3], p[..., 3:], q[..., 3:]
    vector = a * v + b * u + cnp.cross(u, v)
    return cnp.concatenate([vector, a * b - cnp.sum(u * v, -1, keepdims=True)], -1)


@fused()
def inverse(q: Any) -> Any:
    return cnp.concatenate([-q[..., :3], q[..., 3:]], -1)


@fused()
def canonical(q: Any) -> Any:
    """The one of the two quaternions of a rotation whose last number that is not 0 is positive."""
    first = cnp.zeros(q.shape[:-1], cnp.bool_)
    known = first
    for i in (3, 0, 1, 2):
        first = cnp.where(known, first, q[..., i] < 0)
        known = known | (q[..., i] != 0)
    return cnp.where(first[..., None], -q, q)


@fused()
def to_matrix(q: Any) -> Any:
    x, y, z, w = (q[..., i] for i in range(4))
    rows = (
        (x * x - y * y - z * z + w * w, 2 * (x * y - z * w), 2 * (x * z + y * w)),
        (2 * (x * y + z * w), y * y - x * x - z * z + w * w, 2 * (y * z - x * w)),
        (2 * (x * z - y * w), 2 * (y * z + x * w), z * z - x * x - y * y + w * w),
    )
    return cnp.stack([cnp.stack(row, -1) for row in rows], -2)


@fused()
def from_matrix(m: Any) -> Any:
    """From the greatest of the four columns of 4 q qᵀ, whose elements are sums of elements of m.

    S. W. Shepperd, "Quaternion from rotation matrix", Journal of Guidance and Control 1, 1978.
    """
    (a, b, c), (d, e, f), (g, h, i) = ([m[..., r, s] for s in range(3)] for r in range(3))
    columns = (
        (1 + a - e - i, d + b, g + c, h - f),
        (d + b, 1 - a + e - i, h + f, c - g),
        (g + c, h + f, 1 - a - e + i, d - b),
        (h - f, c - g, d - b, 1 + a + e + i),
    )
    whole = cnp.stack([cnp.stack(column, -1) for column in columns], -2)
    greatest = cnp.argmax(cnp.diagonal(whole, axis1=-2, axis2=-1), -1)
    chosen = cnp.take_along_axis(whole, greatest[..., None, None], -2)[..., 0, :]
    return normalized(chosen)


@fused()
def apply(q: Any, v: Any, inverted: Any) -> Any:
    u, w = q[..., :3], cnp.where(inverted, -1.0, 1.0) * q[..., 3:]
    moved = 2 * cnp.cross(u, v)
    return v + w * moved + cnp.cross(u, moved)


@fused()
def to_rotvec(q: Any) -> Any:
    q = cnp.where(q[..., 3:] < 0, -q, q)
    sine, cosine = _length(q[..., :3]), q[..., 3:]
    small = sine < 1e-3
    angle = 2 * cnp.arctan2(cnp.where(small, 1.0, sine), cosine)
    # 2 arcsin(s) / s
    near = 2 + cnp.where(small, sine, 0.0) ** 2 * (1 / 3 + 3 / 20 * sine**2)
    return q[..., :3] * cnp.where(small, near, angle / cnp.where(small, 1.0, sine))


@fused()
def from_rotvec(v: Any) -> Any:
    square = cnp.sum(v * v, -1, keepdims=True)
    small = square < 1e-6
    angle = cnp.sqrt(cnp.where(small, 1.0, square))
    near = 0.5 - square / 48 + square * square / 3840
    scale = cnp.where(small, near, cnp.sin(0.5 * angle) / angle)
    cosine = cnp.where(small, 1 - square / 8 + square * square / 384, cnp.cos(0.5 * angle))
    return cnp.concatenate([scale * v, cosine], -1)


@fused()
def to_mrp(q: Any) -> Any:
    q = cnp.where(q[..., 3:] < 0, -q, q)
    return q[..., :3] / (1 + q[..., 3:])


@fused()
def from_mrp(v: Any) -> Any:
    square = cnp.sum(v * v, -1, keepdims=True)
    return cnp.concatenate([2 * v, 1 - square], -1) / (1 + square)


@fused()
def magnitude(q: Any) -> Any:
    return 2 * cnp.arctan2(_length(q[..., :3], False), cnp.abs(q[..., 3]))


@fused("axes", "intrinsic")
def from_euler(axes: tuple[int, ...], angles: Any, intrinsic: bool) -> Any:
    """Angles in the last axis."""
    out = None
    for k, axis in enumerate(axes):
        half = 0.5 * angles[..., k]
        zero = cnp.zeros_like(half)
        parts = [zero, zero, zero, cnp.cos(half)]
        parts[axis] = cnp.sin(half)
        turn = cnp.stack(parts, -1)
        out = turn if out is None else product(out, turn) if intrinsic else product(turn, out)
    return out


@fused("axes", "intrinsic")
def to_euler(q: Any, axes: tuple[int, int, int], intrinsic: bool) -> Any:
    """Three angles, in the last axis; the last is 0 where only a sum of two is known.

    E. Bernardes, S. Viollet, "Quaternion to Euler angles conversion: a direct, general and
    computationally efficient method", PLoS ONE 17, 2022.
    """
    i, j, k = reversed(axes) if intrinsic else axes
    symmetric = i == k
    if symmetric:
        k = 3 - i - j
    sign = (i - j) * (j - k) * (k - i) / 2
    if symmetric:
        a, b, c, d = q[..., 3], q[..., i], q[..., j], q[..., k] * sign
    else:
        a, b = q[..., 3] - q[..., j], q[..., i] + q[..., k] * sign
        c, d = q[..., j] + q[..., 3], q[..., k] * sign - q[..., i]
    middle = 2 * cnp.arctan2(cnp.hypot(c, d), cnp.hypot(a, b))
    tolerance = 1e-7 if q.dtype == dtypes.float64 else 1e-4
    none, half_turn = middle < tolerance, cnp.abs(middle - math.pi) < tolerance
    known = ~(none | half_turn)
    sums = cnp.where(half_turn, 0.0, cnp.arctan2(*_pair(~half_turn, b, a)))
    differences = cnp.where(none, 0.0, cnp.arctan2(*_pair(~none, d, c)))
    turned = 2 * differences * (1 if intrinsic else -1)
    one = cnp.where(none, 2 * sums, turned)
    low, high = sums - differences, sums + differences
    if intrinsic:
        low, high = high, low
    last = 1.0 if symmetric else sign
    if not symmetric:
        middle = middle - 0.5 * math.pi
    # Of the sequence that was turned round, the other end takes the sign.
    first = cnp.where(known, low, one) * (last if intrinsic else 1.0)
    third = cnp.where(known, high, 0.0) * (1.0 if intrinsic else last)
    angles = cnp.stack([first, middle, third], -1)
    return angles - 2 * math.pi * cnp.round(angles / (2 * math.pi))


def _pair(given: Any, y: Any, x: Any) -> tuple[Any, Any]:
    """Arguments of an angle, harmless where it is not asked for."""
    return cnp.where(given, y, 0.0), cnp.where(given, x, 1.0)


@fused()
def mean(q: Any, weights: Any) -> Any:
    """F. L. Markley et al., "Averaging quaternions", Journal of Guidance 30, 2007."""
    products = cnp.einsum("...i,...ia,...ib->...ab", weights, q, q)
    return cnp.linalg.eigh(products)[1][..., -1]
