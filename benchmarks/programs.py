"""The programs that are timed, written once for Covector and for JAX.

Each function receives the framework (`fw`: covector or jax) and its NumPy module (`np`) and
returns a `Case`: what to call, with what. Both sides run the same source, so that they do
the same work. NumPy and Numba versions stand beside it where they make sense.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as onp


@dataclass
class Case:
    """One program on one framework.

    Attributes
    ----------
    call : callable
        Runs the program once and waits for its result.
    first : callable
        Makes the compiled function anew and calls it: what the first call costs.
    """

    call: Callable[[], Any]
    first: Callable[[], Any] | None = None


@dataclass
class Program:
    """A program of the table.

    ``limit`` is the greatest allowed ratio Covector/JAX of the run time, ``first_limit`` that
    of the first call.
    """

    name: str
    build: Callable[[Any, Any], Case]
    limit: float | None = None
    first_limit: float | None = None
    numpy: Callable[[], Callable[[], Any]] | None = None
    numba: Callable[[], Callable[[], Any]] | None = None
    slow: bool = field(default=False)


def _compiled(fw: Any, fun: Callable[..., Any], *args: Any, **options: Any) -> Case:
    """A case that calls ``jit(fun)``; a fresh wrapper is compiled from nothing."""

    def first() -> Any:
        return fw.block_until_ready(fw.jit(lambda *a: fun(*a), **options)(*args))

    jitted = fw.jit(fun, **options)
    return Case(lambda: fw.block_until_ready(jitted(*args)), first)


def _recurrence(np: Any) -> Callable[[], Any]:
    def orbit() -> Any:
        x = np.zeros(1000).at[0].set(0.2).at[1].set(0.3)
        for i in range(998):
            x = x.at[i + 2].set(x[i + 1] - 0.5 * x[i])
        return x

    return orbit


def recurrence_eager(fw: Any, np: Any) -> Case:
    fun = _recurrence(np)
    return Case(lambda: fw.block_until_ready(fun()), lambda: fw.block_until_ready(fun()))


def recurrence_jit(fw: Any, np: Any) -> Case:
    return _compiled(fw, _recurrence(np))


_DARTS = 1_000_000


def _pi_by_darts(fw: Any, np: Any) -> Callable[..., Any]:
    def estimate(key: Any) -> Any:
        right, up = fw.random.uniform(key, (2, _DARTS))
        return 4 * np.mean(right**2 + up**2 <= 1)

    return estimate


def pi_eager(fw: Any, np: Any) -> Case:
    estimate, key = _pi_by_darts(fw, np), fw.random.key(2024)
    run = lambda: fw.block_until_ready(estimate(key))  # noqa: E731
    return Case(run, run)


def pi_jit(fw: Any, np: Any) -> Case:
    return _compiled(fw, _pi_by_darts(fw, np), fw.random.key(2024))


def pi_numpy() -> Callable[[], Any]:
    rng = onp.random.default_rng(2024)

    def run() -> Any:
        right, up = rng.uniform(size=(2, _DARTS))
        return 4 * onp.mean(right**2 + up**2 <= 1)

    return run


def add_scalar_jit(fw: Any, np: Any) -> Case:
    return _compiled(fw, lambda x: x + 1, np.float32(1.0))


def add_scalar_eager(fw: Any, np: Any) -> Case:
    x = np.float32(1.0)
    run = lambda: fw.block_until_ready(x + 1)  # noqa: E731
    return Case(run, run)


def add_scalar_numpy() -> Callable[[], Any]:
    x = onp.array(1.0, onp.float32)
    return lambda: x + 1


def at_set(fw: Any, np: Any) -> Case:
    x = np.zeros(1000)
    run = lambda: fw.block_until_ready(x.at[5].set(2.0))  # noqa: E731
    return Case(run, run)


def _grid() -> Any:
    y, x = onp.ogrid[-1:1:1000j, -1.5:0.5:1500j]  # type: ignore[misc]
    return (x + 1j * y).astype(onp.complex64)


def mandelbrot(fw: Any, np: Any) -> Case:
    def fractal(c: Any) -> Any:
        z = c
        height = np.full(c.shape, 20, dtype=np.int32)
        for i in range(1, 20):
            z = z * z + c
            out = (z.real * z.real + z.imag * z.imag > 4) & (height == 20)
            height = np.where(out, i, height)
        return height

    return _compiled(fw, fractal, np.asarray(_grid()))


def mandelbrot_numpy() -> Callable[[], Any]:
    c = _grid()

    def run() -> Any:
        z = c
        height = onp.full(c.shape, 20, dtype=onp.int32)
        with onp.errstate(all="ignore"):
            for i in range(1, 20):
                z = z * z + c
                out = (z.real * z.real + z.imag * z.imag > 4) & (height == 20)
                height = onp.where(out, i, height)
        return height

    return run


def mandelbrot_numba() -> Callable[[], Any]:
    import numba

    c = _grid()

    @numba.njit(parallel=True, fastmath=False)
    def kernel(c: Any) -> Any:
        height = onp.full(c.shape, 20, dtype=onp.int32)
        for i in numba.prange(c.shape[0]):
            for j in range(c.shape[1]):
                z = c[i, j]
                for k in range(1, 20):
                    z = z * z + c[i, j]
                    if z.real * z.real + z.imag * z.imag > 4:
                        height[i, j] = k
                        break
        return height

    return lambda: kernel(c)


_SIDE = 4096


def _matrix() -> Any:
    return onp.random.default_rng(0).normal(size=(_SIDE, _SIDE)).astype(onp.float32)


def _on_matrix(fun: Callable[[Any, Any, Any], Any]) -> Callable[[Any, Any], Case]:
    return lambda fw, np: _compiled(fw, lambda x: fun(fw, np, x), np.asarray(_matrix()))


def _numpy_on_matrix(fun: Callable[[Any], Any]) -> Callable[[], Callable[[], Any]]:
    def make() -> Callable[[], Any]:
        x = _matrix()
        return lambda: fun(x)

    return make


def sort(fw: Any, np: Any) -> Case:
    return _compiled(fw, np.sort, np.asarray(_matrix().ravel()[:1_000_000]))


def sort_numpy() -> Callable[[], Any]:
    x = _matrix().ravel()[:1_000_000].copy()
    return lambda: onp.sort(x)


def scatter_add(fw: Any, np: Any) -> Case:
    index = onp.random.default_rng(1).integers(0, 1000, 1_000_000).astype(onp.int32)
    values = _matrix().ravel()[:1_000_000]
    return _compiled(
        fw, lambda i, v: np.zeros(1000).at[i].add(v), np.asarray(index), np.asarray(values)
    )


def scatter_numpy() -> Callable[[], Any]:
    index = onp.random.default_rng(1).integers(0, 1000, 1_000_000)
    values = _matrix().ravel()[:1_000_000]
    return lambda: onp.bincount(index, values, minlength=1000)


def normal(fw: Any, np: Any) -> Case:
    return _compiled(fw, lambda key: fw.random.normal(key, (1_000_000,)), fw.random.key(0))


def normal_numpy() -> Callable[[], Any]:
    rng = onp.random.default_rng(0)
    return lambda: rng.standard_normal(1_000_000, dtype=onp.float32)


def matmul(fw: Any, np: Any) -> Case:
    x = np.asarray(_matrix()[:2048, :2048])
    return _compiled(fw, lambda a, b: a @ b, x, x)


def matmul_numpy() -> Callable[[], Any]:
    x = _matrix()[:2048, :2048].copy()
    return lambda: x @ x


def mlp(fw: Any, np: Any) -> Case:
    rng = onp.random.default_rng(0)
    sizes = (784, 512, 512, 10)
    params = [
        (np.asarray(rng.normal(size=(m, n)).astype(onp.float32) / m**0.5),
         np.asarray(onp.zeros(n, onp.float32)))
        for m, n in zip(sizes[:-1], sizes[1:], strict=True)
    ]  # fmt: skip
    x = np.asarray(rng.normal(size=(128, 784)).astype(onp.float32))
    y = np.asarray(rng.integers(0, 10, 128).astype(onp.int32))

    def loss(params: Any, x: Any, y: Any) -> Any:
        for w, b in params[:-1]:
            x = np.maximum(x @ w + b, 0)
        w, b = params[-1]
        logp = fw.nn.log_softmax(x @ w + b)
        return -np.mean(np.take_along_axis(logp, y[:, None], axis=1))

    def step(params: Any, x: Any, y: Any) -> Any:
        g = fw.grad(loss)(params, x, y)
        return fw.tree.map(lambda p, d: p - 0.1 * d, params, g)

    return _compiled(fw, step, params, x, y)


def lorenz(fw: Any, np: Any) -> Case:
    def step(s: Any, _: Any) -> Any:
        x, y, z = s
        dx, dy, dz = 10.0 * (y - x), x * (28.0 - z) - y, x * y - (8.0 / 3.0) * z
        s = np.stack([x + 0.01 * dx, y + 0.01 * dy, z + 0.01 * dz])
        return s, s

    def run(s: Any) -> Any:
        return fw.lax.scan(step, s, None, length=100_000)

    return _compiled(fw, run, np.asarray(onp.ones(3, onp.float32)))


def lorenz_numba() -> Callable[[], Any]:
    import numba

    @numba.njit
    def kernel(s: Any) -> Any:
        out = onp.empty((100_000, 3), onp.float32)
        x, y, z = s
        for i in range(100_000):
            h = onp.float32(0.01)
            dx = onp.float32(10) * (y - x)
            dy = x * (onp.float32(28) - z) - y
            dz = x * y - onp.float32(8 / 3) * z
            x, y, z = x + h * dx, y + h * dy, z + h * dz
            out[i, 0], out[i, 1], out[i, 2] = x, y, z
        return out

    s = onp.ones(3, onp.float32)
    return lambda: kernel(s)


def kinematics(fw: Any, np: Any) -> Case:
    """Pose of the last of 35 joints: a product of 4×4 matrices, each of one angle."""

    def joint(q: Any) -> Any:
        c, s = np.cos(q), np.sin(q)
        return np.array([[c, -s, 0.0, 0.1], [s, c, 0.0, 0.0], [0.0, 0.0, 1.0, 0.05],
                         [0.0, 0.0, 0.0, 1.0]])  # fmt: skip

    def pose(q: Any) -> Any:
        t = np.eye(4)
        for i in range(35):
            t = t @ joint(q[i])
        return t

    return _compiled(fw, pose, np.asarray(onp.linspace(0, 1, 35).astype(onp.float32)))


def kinematics_numba() -> Callable[[], Any]:
    import numba

    @numba.njit
    def kernel(q: Any) -> Any:
        t = onp.eye(4, dtype=onp.float32)
        for i in range(35):
            c, s = onp.cos(q[i]), onp.sin(q[i])
            m = onp.zeros((4, 4), onp.float32)
            m[0, 0], m[0, 1], m[0, 3] = c, -s, 0.1
            m[1, 0], m[1, 1], m[2, 2], m[2, 3], m[3, 3] = s, c, 1.0, 0.05, 1.0
            u = onp.zeros((4, 4), onp.float32)
            for a in range(4):
                for b in range(4):
                    for k in range(4):
                        u[a, b] += t[a, k] * m[k, b]
            t = u
        return t

    q = onp.linspace(0, 1, 35).astype(onp.float32)
    return lambda: kernel(q)


def fifty_lengths(fw: Any, np: Any) -> Case:
    """First calls of one function with vectors of 50 lengths."""
    xs = [np.asarray(onp.linspace(0, 1, n).astype(onp.float32)) for n in range(100, 5100, 100)]

    def first() -> Any:
        fun = fw.jit(lambda x: np.sum(np.exp(x) * x))
        for x in xs:
            fw.block_until_ready(fun(x))

    jitted = fw.jit(lambda x: np.sum(np.exp(x) * x))
    return Case(lambda: fw.block_until_ready(jitted(xs[0])), first)


def _gelu(fw: Any, np: Any, x: Any) -> Any:
    return fw.nn.gelu(x)


PROGRAMS: list[Program] = [
    Program("recurrence eager", recurrence_eager, 0.10),
    Program("recurrence jit", recurrence_jit, 0.40, 0.30),
    Program("x + 1 scalar, jit", add_scalar_jit, 0.40),
    Program("x + 1 scalar, eager", add_scalar_eager, 0.25, numpy=add_scalar_numpy),
    Program("x.at[5].set(2), eager", at_set),
    Program("pi by darts, eager", pi_eager, 0.8, numpy=pi_numpy),
    Program("pi by darts, jit", pi_jit, 0.6, numpy=pi_numpy),
    Program("kinematics, 35 joints", kinematics, 0.10, 0.5, numba=kinematics_numba),
    Program("Lorenz, scan of 1e5", lorenz, 1.0, numba=lorenz_numba),
    Program("50 lengths", fifty_lengths, None, 0.10),
    Program("x + 1, 4096^2", _on_matrix(lambda fw, np, x: x + 1), 0.35,
            numpy=_numpy_on_matrix(lambda x: x + 1)),
    Program("gelu, 4096^2", _on_matrix(_gelu), 0.35),
    Program("softmax, 4096^2", _on_matrix(lambda fw, np, x: fw.nn.softmax(x)), 0.35),
    Program("Mandelbrot", mandelbrot, 1.0, numpy=mandelbrot_numpy, numba=mandelbrot_numba),
    Program("sum axis 0, 4096^2", _on_matrix(lambda fw, np, x: x.sum(0)), 1.0,
            numpy=_numpy_on_matrix(lambda x: x.sum(0))),
    Program("sum of all, 4096^2", _on_matrix(lambda fw, np, x: x.sum()), 1.0,
            numpy=_numpy_on_matrix(lambda x: x.sum())),
    Program("cumsum, 4096^2", _on_matrix(lambda fw, np, x: np.cumsum(x, axis=1)), 1.0,
            numpy=_numpy_on_matrix(lambda x: x.cumsum(1))),
    Program("sort, 1e6", sort, 1.0, numpy=sort_numpy),
    Program("normal, 1e6", normal, 1.0, numpy=normal_numpy),
    Program("scatter-add, 1e6", scatter_add, 1.0, numpy=scatter_numpy),
    Program("MLP step", mlp, 1.0),
    Program("matrix product 2048", matmul, 1.0, numpy=matmul_numpy),
]  # fmt: skip


def has(module: str) -> bool:
    return importlib.util.find_spec(module) is not None
