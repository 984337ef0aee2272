"""The programs for JAX and for Covector, one source: NumPy's functions and transformations."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

fw: Any = None
np: Any = None
lax: Any = None
nn: Any = None
ops: Any = None

PROGRAMS: dict[str, Callable[..., Any]] = {}


def use(library: str) -> Any:
    """Have the programs call ``library``, that is ``jax`` or ``covector``."""
    global fw, np, lax, nn, ops
    fw = importlib.import_module(library)
    np, lax, nn, ops = (
        importlib.import_module(f"{library}.{name}") for name in ("numpy", "lax", "nn", "ops")
    )
    return fw


def _program(f: Callable[..., Any]) -> Callable[..., Any]:
    PROGRAMS[f.__name__] = f
    return f


@_program
def mandelbrot(c: Any) -> Any:
    z = c
    steps = np.full(c.shape, 20, dtype=np.int32)
    for i in range(20):
        z = z * z + c
        steps = np.where((np.abs(z) > 2) & (steps == 20), i, steps)
    return steps


@_program
def black_scholes(s: Any, k: Any, t: Any, r: Any, v: Any) -> Any:
    def cdf(x: Any) -> Any:
        return 0.5 * (1 + lax.erf(x / np.sqrt(2.0)))

    def call(s: Any, k: Any, t: Any, r: Any, v: Any) -> Any:
        d1 = (np.log(s / k) + (r + v * v / 2) * t) / (v * np.sqrt(t))
        d2 = d1 - v * np.sqrt(t)
        return s * cdf(d1) - k * np.exp(-r * t) * cdf(d2)

    price, greeks = fw.vmap(fw.value_and_grad(call, (0, 1, 2, 3, 4)))(s, k, t, r, v)
    return price, *greeks


@_program
def layer_norm(x: Any, w: Any, b: Any, g: Any) -> Any:
    def forward(x: Any, w: Any, b: Any) -> Any:
        mean = x.mean(-1, keepdims=True)
        variance = ((x - mean) ** 2).mean(-1, keepdims=True)
        return (x - mean) * lax.rsqrt(variance + 1e-5) * w + b

    y, back = fw.vjp(forward, x, w, b)
    return y, *back(g)


@_program
def nbody(x: Any) -> Any:
    def energy(x: Any) -> Any:
        d = x[:, None] - x[None]
        return np.sum(1 / np.sqrt((d**2).sum(-1) + 1e-3))

    return fw.grad(energy)(x)


@_program
def pairwise(x: Any) -> Any:
    return np.sqrt(((x[:, None] - x[None]) ** 2).sum(-1))


def lotka_volterra(a: Any) -> Any:
    def solve(a: Any) -> Any:
        def f(y: Any) -> Any:
            return np.stack([y[0] * (a[0] - a[1] * y[1]), y[1] * (a[2] * y[0] - a[3])])

        def step(y: Any, _: Any) -> Any:
            k1 = f(y)
            k2 = f(y + 0.005 * k1)
            k3 = f(y + 0.005 * k2)
            k4 = f(y + 0.01 * k3)
            return y + 0.01 / 6 * (k1 + 2 * k2 + 2 * k3 + k4), None

        return lax.scan(step, np.array([1.0, 1.0]), None, length=1000)[0]

    return fw.vmap(solve)(a)


PROGRAMS["rk4_1000"] = PROGRAMS["rk4_100000"] = lotka_volterra


@_program
def matmul3(a: Any, b: Any) -> Any:
    return a @ b


@_program
def inv3(a: Any) -> Any:
    return np.linalg.inv(a)


@_program
def bilinear(image: Any, points: Any) -> Any:
    x, y = points[..., 0], points[..., 1]
    i, j = np.floor(x).astype(np.int32), np.floor(y).astype(np.int32)
    a, b = x - i, y - j

    def at(i: Any, j: Any) -> Any:
        return image[np.clip(i, 0, 1023), np.clip(j, 0, 1023)]

    return (
        at(i, j) * (1 - a) * (1 - b)
        + at(i + 1, j) * a * (1 - b)
        + at(i, j + 1) * (1 - a) * b
        + at(i + 1, j + 1) * a * b
    )


@_program
def kmeans(x: Any, centres: Any) -> Any:
    return np.argmin(((x[:, None] - centres[None]) ** 2).sum(-1), 1)


@_program
def bincount(x: Any) -> Any:
    return np.bincount(x, length=1000)


@_program
def life(grid: Any) -> Any:
    around = [(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1) if (i, j) != (0, 0)]

    def step(_: Any, grid: Any) -> Any:
        n = sum(np.roll(grid, shift, (0, 1)) for shift in around)
        return ((n == 3) | ((grid == 1) & (n == 2))).astype(np.uint8)

    return lax.fori_loop(0, 100, step, grid)


@_program
def int8_product(a: Any, b: Any) -> Any:
    return lax.dot(a, b, preferred_element_type=np.int32)


@_program
def conjugate_gradients(b: Any) -> Any:
    def laplacian(x: Any) -> Any:
        p = np.pad(x, 1)
        return 4 * x - p[:-2, 1:-1] - p[2:, 1:-1] - p[1:-1, :-2] - p[1:-1, 2:]

    def step(_: Any, state: Any) -> Any:
        x, r, p, rr = state
        q = laplacian(p)
        alpha = rr / np.vdot(p, q)
        x = x + alpha * p
        r = r - alpha * q
        new = np.vdot(r, r)
        return x, r, r + new / rr * p, new

    return lax.fori_loop(0, 50, step, (np.zeros_like(b), b, b, np.vdot(b, b)))[0]


@_program
def gaussian_blur(x: Any, w: Any) -> Any:
    rows, columns = x.shape
    p = np.pad(x, ((5, 5), (0, 0)), mode="edge")
    x = sum(w[k] * p[k : k + rows] for k in range(11))
    p = np.pad(x, ((0, 0), (5, 5)), mode="edge")
    return sum(w[k] * p[:, k : k + columns] for k in range(11))


@_program
def hmm_forward(start: Any, move: Any, emit: Any, seen: Any) -> Any:
    def forward(seen: Any) -> Any:
        def step(alpha: Any, symbol: Any) -> Any:
            return nn.logsumexp(alpha[:, None] + move, axis=0) + emit[:, symbol], None

        alpha, _ = lax.scan(step, start + emit[:, seen[0]], seen[1:])
        return nn.logsumexp(alpha)

    return fw.vmap(forward)(seen)


@_program
def kalman(F: Any, H: Any, Q: Any, z: Any, q: Any, r: Any) -> Any:
    def filtered(z: Any, q: Any, r: Any) -> Any:
        def step(state: Any, z: Any) -> Any:
            x, P = state
            x, P = F @ x, F @ P @ F.T + q * Q
            S = H @ P @ H.T + r * np.eye(2)
            K = np.linalg.solve(S, H @ P).T
            x, P = x + K @ (z - H @ x), P - K @ H @ P
            return (x, P), x

        return lax.scan(step, (np.zeros(4), np.eye(4)), z)[1]

    return fw.vmap(filtered)(z, q, r)


@_program
def lstm(x: Any, w: Any, b: Any) -> Any:
    def step(state: Any, x: Any) -> Any:
        h, c = state
        i, f, g, o = np.split(np.concatenate([x, h], axis=1) @ w + b, 4, axis=1)
        c = nn.sigmoid(f) * c + nn.sigmoid(i) * np.tanh(g)
        h = nn.sigmoid(o) * np.tanh(c)
        return (h, c), h

    zeros = np.zeros((x.shape[1], b.size // 4))
    return lax.scan(step, (zeros, zeros), x)[1]


@_program
def moving_median(x: Any) -> Any:
    n = x.size - 4
    return np.median(np.stack([x[k : k + n] for k in range(5)]), axis=0)


@_program
def tridiagonal(a: Any, b: Any, c: Any, d: Any) -> Any:
    def solve(a: Any, b: Any, c: Any, d: Any) -> Any:
        def eliminate(before: Any, row: Any) -> Any:
            p, q = before
            a, b, c, d = row
            m = 1 / (b - a * p)
            after = c * m, (d - a * q) * m
            return after, after

        def substitute(x: Any, row: Any) -> Any:
            p, q = row
            x = q - p * x
            return x, x

        zero = np.float32(0)
        _, rows = lax.scan(eliminate, (zero, zero), (a, b, c, d))
        return lax.scan(substitute, zero, rows, reverse=True)[1]

    return fw.vmap(solve)(a, b, c, d)


@_program
def segment_sums(values: Any, segments: Any) -> Any:
    return ops.segment_sum(values, segments, num_segments=1000)


@_program
def spline(knots: Any, c: Any, x: Any) -> Any:
    i = np.clip(np.searchsorted(knots, x, side="right") - 1, 0, knots.size - 2)
    t = x - knots[i]
    return ((c[3, i] * t + c[2, i]) * t + c[1, i]) * t + c[0, i]


@_program
def fir(x: Any, h: Any) -> Any:
    return np.convolve(x, h, mode="same")
