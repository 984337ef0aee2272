"""What is computed: inputs, shapes of the outputs, and how far two sides may be apart.

Every implementation takes the inputs of its program in this order and returns the outputs in this
order. Inputs come from fixed seeds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

f32 = np.float32


@dataclass(frozen=True)
class Spec:
    """A program's inputs and outputs.

    ``tolerance`` is the largest error as a share of the largest value of the reference output,
    ``mismatch`` the share of an output's whole numbers that may differ.
    """

    inputs: Callable[[], list[Any]]
    outputs: tuple[tuple[tuple[int, ...], str], ...]
    tolerance: float = 2e-5
    mismatch: float = 0.0


SPECS: dict[str, Spec] = {}


def _spec(
    *outputs: tuple[tuple[int, ...], str], tolerance: float = 2e-5, mismatch: float = 0.0
) -> Callable[[Callable[[], list[Any]]], Callable[[], list[Any]]]:
    def add(inputs: Callable[[], list[Any]]) -> Callable[[], list[Any]]:
        SPECS[inputs.__name__] = Spec(inputs, outputs, tolerance, mismatch)
        return inputs

    return add


def _normal(seed: int, *shape: int) -> Any:
    return np.random.default_rng(seed).standard_normal(shape, dtype=f32)


def _uniform(seed: int, *shape: int, low: float = 0.0, high: float = 1.0) -> Any:
    draw = np.random.default_rng(seed).random(shape, dtype=f32)
    return (low + (high - low) * draw).astype(f32)


def _integers(seed: int, low: int, high: int, *shape: int, dtype: str = "int32") -> Any:
    return np.random.default_rng(seed).integers(low, high, shape).astype(dtype)


@_spec(((1000, 1500), "int32"), mismatch=1e-3)
def mandelbrot() -> list[Any]:
    y, x = np.ogrid[-1:0:1000j, -1.5:0:1500j]  # type: ignore[misc]
    return [(x + y * 1j).astype("complex64")]


@_spec(*[((1_000_000,), "float32")] * 6, tolerance=1e-4)
def black_scholes() -> list[Any]:
    limits = [(50, 150), (80, 120), (0.3, 2), (0.01, 0.08), (0.1, 0.5)]
    return [_uniform(k + 1, 1_000_000, low=a, high=b) for k, (a, b) in enumerate(limits)]


@_spec(
    ((4096, 1024), "float32"),
    ((4096, 1024), "float32"),
    ((1024,), "float32"),
    ((1024,), "float32"),
    tolerance=2e-4,
)
def layer_norm() -> list[Any]:
    weight, bias = 1 + f32(0.1) * _normal(2, 1024), f32(0.1) * _normal(3, 1024)
    return [_normal(1, 4096, 1024), weight, bias, _normal(4, 4096, 1024)]


@_spec(((1000, 3), "float32"), tolerance=1e-3)
def nbody() -> list[Any]:
    return [_normal(1, 1000, 3)]


@_spec(((2000, 2000), "float32"))
def pairwise() -> list[Any]:
    return [_normal(1, 2000, 3)]


@_spec(((1000, 2), "float32"), tolerance=1e-3)
def rk4_1000() -> list[Any]:
    return [_uniform(1, 1000, 4)]


@_spec(((100_000, 2), "float32"), tolerance=1e-3)
def rk4_100000() -> list[Any]:
    return [_uniform(1, 100_000, 4)]


@_spec(((10_000, 3, 3), "float32"))
def matmul3() -> list[Any]:
    return [_normal(1, 10_000, 3, 3), _normal(2, 10_000, 3, 3)]


@_spec(((10_000, 3, 3), "float32"), tolerance=1e-3)
def inv3() -> list[Any]:
    return [_normal(1, 10_000, 3, 3) + 5 * np.eye(3, dtype=f32)]


@_spec(((500_000,), "float32"))
def bilinear() -> list[Any]:
    return [_normal(1, 1024, 1024), _uniform(2, 500_000, 2, high=1022.9)]


@_spec(((20_000,), "int32"), mismatch=1e-3)
def kmeans() -> list[Any]:
    return [_normal(1, 20_000, 16), _normal(2, 64, 16)]


@_spec(((1000,), "int32"))
def bincount() -> list[Any]:
    return [_integers(1, 0, 1000, 1_000_000)]


@_spec(((512, 512), "uint8"))
def life() -> list[Any]:
    return [(_uniform(1, 512, 512) < 0.3).astype("uint8")]


@_spec(((1024, 1024), "int32"))
def int8_product() -> list[Any]:
    return [_integers(k, -127, 127, 1024, 1024, dtype="int8") for k in (1, 2)]


FOURTEEN = tuple(SPECS)


@_spec(((512, 512), "float32"), tolerance=1e-3)
def conjugate_gradients() -> list[Any]:
    return [_normal(1, 512, 512)]


@_spec(((1024, 1024), "float32"))
def gaussian_blur() -> list[Any]:
    weights = np.exp(-0.5 * (np.arange(-5, 6) / 2.0) ** 2)
    return [_normal(1, 1024, 1024), (weights / weights.sum()).astype(f32)]


@_spec(((16,), "float32"))
def hmm_forward() -> list[Any]:
    """Logarithms of the first state's, the moves' and the symbols' probabilities; symbols."""

    def logs(x: Any) -> Any:
        return (x - np.log(np.exp(x).sum(-1, keepdims=True))).astype(f32)

    return [
        logs(_normal(1, 64)),
        logs(2 * _normal(2, 64, 64)),
        logs(2 * _normal(3, 64, 32)),
        _integers(4, 0, 32, 16, 1000),
    ]


@_spec(((1000, 200, 4), "float32"), tolerance=1e-3)
def kalman() -> list[Any]:
    """Move, observation, noise of a move; series, and how strong their two noises are."""
    dt = 0.1
    move = np.eye(4) + dt * np.eye(4, k=2)
    cause = np.concatenate([dt**2 / 2 * np.eye(2), dt * np.eye(2)])
    series = np.cumsum(_normal(1, 1000, 200, 2), 1) * f32(0.3)
    noises = _uniform(2, 1000, low=0.5, high=2), _uniform(3, 1000, low=0.1, high=1)
    return [
        move.astype(f32),
        np.eye(2, 4, dtype=f32),
        (cause @ cause.T).astype(f32),
        series,
        *noises,
    ]


@_spec(((100, 32, 256), "float32"), tolerance=1e-4)
def lstm() -> list[Any]:
    return [_normal(1, 100, 32, 64), f32(0.08) * _normal(2, 320, 1024), f32(0.1) * _normal(3, 1024)]


@_spec(((999_996,), "float32"))
def moving_median() -> list[Any]:
    return [_normal(1, 1_000_000)]


@_spec(((10_000, 64), "float32"))
def tridiagonal() -> list[Any]:
    """Below, on and above the diagonal, and right sides."""
    below, above = (_uniform(k, 10_000, 64, low=-1) for k in (1, 2))
    return [below, 3 + _uniform(3, 10_000, 64), above, _normal(4, 10_000, 64)]


@_spec(((1000,), "float32"), tolerance=1e-4)
def segment_sums() -> list[Any]:
    return [_normal(1, 1_000_000), _integers(2, 0, 1000, 1_000_000)]


@_spec(((1_000_000,), "float32"))
def spline() -> list[Any]:
    """Knots, the coefficients of the powers of the distance from the knot before, points."""
    n = 1000
    knots = np.cumsum(_uniform(1, n, low=0.5, high=1.5).astype(float))
    values = np.sin(knots / 10) + 0.1 * _normal(2, n)
    h, slopes = np.diff(knots), np.diff(values) / np.diff(knots)
    system = np.eye(n)
    for i in range(1, n - 1):
        system[i, i - 1 : i + 2] = h[i - 1], 2 * (h[i - 1] + h[i]), h[i]
    right = np.zeros(n)
    right[1:-1] = 6 * np.diff(slopes)
    second = np.linalg.solve(system, right)
    first = slopes - h * (2 * second[:-1] + second[1:]) / 6
    coefficients = np.stack([values[:-1], first, second[:-1] / 2, np.diff(second) / (6 * h)])
    points = _uniform(3, 1_000_000, low=knots[0], high=knots[-1])
    return [knots.astype(f32), coefficients.astype(f32), points]


@_spec(((1_000_000,), "float32"))
def fir() -> list[Any]:
    return [_normal(1, 1_000_000), _normal(2, 64)]
