"""Programs whose schedules are kept as text, by name: a function and its arguments."""

from collections.abc import Callable
from typing import Any

import numpy as onp

import covector as cv
import covector.numpy as np
from covector import lax, nn, random

PROGRAMS: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {}


def f32(*shape):
    return cv.ShapeDtypeStruct(shape, np.float32)


def i32(*shape):
    return cv.ShapeDtypeStruct(shape, np.int32)


def program(*args):
    def add(f):
        PROGRAMS[f.__name__] = (f, args)
        return f

    return add


@program(f32(1_000_000))
def gelu(x):
    return 0.5 * x * (1 + np.tanh(0.7978845608 * (x + 0.044715 * x**3)))


@program(f32(512, 1000))
def softmax(x):
    return nn.softmax(x, axis=-1)


def _layer_norm(x, gain, bias):
    mean = x.mean(-1, keepdims=True)
    return (x - mean) / np.sqrt(x.var(-1, keepdims=True) + 1e-5) * gain + bias


@program(f32(512, 1024), f32(1024), f32(1024))
def layer_norm(x, gain, bias):
    return _layer_norm(x, gain, bias)


@program(f32(512, 1024), f32(1024), f32(1024), f32(512, 1024))
def layer_norm_gradient(x, gain, bias, g):
    return cv.vjp(_layer_norm, x, gain, bias)[1](g)


@program(f32(512, 1024), f32(1024), f32(1024), f32(512, 1024))
def layer_norm_with_gradient(x, gain, bias, g):
    """The result of a row and two sums are of one pass, which begins behind a number of the row."""

    def normed(x, gain, bias):
        mean = x.mean(-1, keepdims=True)
        var = ((x - mean) ** 2).mean(-1, keepdims=True)
        return (x - mean) * lax.rsqrt(var + 1e-5) * gain + bias

    y, back = cv.vjp(normed, x, gain, bias)
    return y, back(g)


@program(
    [(f32(784, 512), f32(512)), (f32(512, 512), f32(512)), (f32(512, 10), f32(10))],
    f32(128, 784),
    i32(128),
)
def mlp_step(params, x, y):
    def loss(params):
        h = x
        for w, b in params[:-1]:
            h = np.maximum(h @ w + b, 0)
        w, b = params[-1]
        logp = nn.log_softmax(h @ w + b)
        return -np.mean(np.take_along_axis(logp, y[:, None], axis=1))

    return cv.tree.map(lambda p, g: p - 0.1 * g, params, cv.grad(loss)(params))


@program(f32(1000, 4))
def rk4_under_vmap(states):
    def velocity(s):
        return np.stack([s[2], s[3], -s[0], -s[1]])

    def step(s, _):
        h = 0.01
        a = velocity(s)
        b = velocity(s + h / 2 * a)
        c = velocity(s + h / 2 * b)
        d = velocity(s + h * c)
        return s + h / 6 * (a + 2 * b + 2 * c + d), None

    return cv.vmap(lambda s: lax.scan(step, s, None, length=100)[0])(states)


@program(f32(3))
def lorenz(s):
    def step(s, _):
        x, y, z = s
        dx, dy, dz = 10.0 * (y - x), x * (28.0 - z) - y, x * y - (8.0 / 3.0) * z
        s = np.stack([x + 0.01 * dx, y + 0.01 * dy, z + 0.01 * dz])
        return s, s

    return lax.scan(step, s, None, length=100_000)


@program(f32(35))
def kinematics(q):
    t = np.eye(4)
    for k in range(35):
        c, s = np.cos(q[k]), np.sin(q[k])
        t = t @ np.array(
            [[c, -s, 0.0, 0.1], [s, c, 0.0, 0.0], [0.0, 0.0, 1.0, 0.05], [0.0, 0.0, 0.0, 1.0]]
        )
    return t


@program(f32(1000, 2000))
def cumsum(x):
    return np.cumsum(x, axis=1), np.cumsum(x, axis=0)


@program(f32(10_000), i32(1_000_000), f32(1_000_000))
def scatter_add(x, i, values):
    return x.at[i].add(values)


@program(f32(1_000_000))
def sort(x):
    return np.sort(x)


@program(cv.ShapeDtypeStruct((), random.key(0).dtype))
def pi(key):
    x = random.uniform(key, (1_000_000, 2))
    return 4 * np.mean((x**2).sum(1) < 1)


@program(cv.ShapeDtypeStruct((1000, 1500), np.complex64))
def mandelbrot(c):
    z = c
    height = np.full(c.shape, 20, dtype=np.int32)
    for k in range(1, 20):
        z = z * z + c
        out = (z.real * z.real + z.imag * z.imag > 4) & (height == 20)
        height = np.where(out, k, height)
    return height


@program(f32(1000, 1000))
def stencil(x):
    def step(_, x):
        inner = (x[:-2, 1:-1] + x[2:, 1:-1] + x[1:-1, :-2] + x[1:-1, 2:]) / 4
        return x.at[1:-1, 1:-1].set(inner)

    return lax.fori_loop(0, 50, step, x)


@program(f32(1000, 1000))
def shifts(x):
    near = np.roll(x, 1, 0) + np.roll(x, -1, 0) + np.roll(x, 1, 1) + np.roll(x, -1, 1)
    return 0.25 * near - x


@program(f32(8, 56, 56, 64))
def pooling(x):
    window, strides = (1, 3, 3, 1), (1, 2, 2, 1)
    return nn.relu(lax.reduce_window(x, -onp.inf, lax.max, window, strides, "SAME"))


@program(f32(4, 128, 8, 64), f32(4, 128, 8, 64), f32(4, 128, 8, 64))
def attention(q, k, v):
    weights = nn.softmax(np.einsum("bqhd,bkhd->bhqk", q, k) / onp.float32(8.0), axis=-1)
    return np.einsum("bhqk,bkhd->bqhd", weights, v)


@program(f32(10_000, 8), f32(16, 8))
def k_means(points, centres):
    distance = ((points[:, None] - centres[None]) ** 2).sum(-1)
    nearest = np.argmin(distance, axis=1)
    total = np.zeros_like(centres).at[nearest].add(points)
    count = np.zeros(16).at[nearest].add(1.0)
    return total / np.maximum(count, 1)[:, None], nearest


@program(f32(10_000, 3, 3), f32(10_000, 3, 3))
def small_products(a, b):
    return np.tanh(a @ b)


@program(f32(10_000, 3, 3))
def small_inverses(a):
    return np.linalg.inv(a)


@program(f32(2000, 3))
def distances(x):
    return np.sqrt(((x[:, None] - x[None]) ** 2).sum(-1))


@program(f32(500, 700), f32(5))
def separable_filter(x, w):
    """Of what lies between the passes there is a row."""
    p = np.pad(x, ((2, 2), (0, 0)), mode="edge")
    x = sum(w[k] * p[k : k + 500] for k in range(5))
    p = np.pad(x, ((0, 0), (2, 2)), mode="edge")
    return sum(w[k] * p[:, k : k + 700] for k in range(5))
