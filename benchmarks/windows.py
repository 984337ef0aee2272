"""Time convolutions, pooling, Fourier transforms and images against JAX, NumPy and SciPy.

``python -m benchmarks.windows`` prints a table of the smallest times of a call; the rounds of the
libraries take turns, in one process. The ratio is to the fastest of the others, and behind it
stands the limit that the project sets itself. SciPy's transforms take as many workers as there
are processors.
"""

from __future__ import annotations

import argparse
import gc
import os
from collections.abc import Callable
from typing import Any

import numpy as onp

from benchmarks.programs import Case, Program, _compiled, has
from benchmarks.run import _ratio, _time, _us

ROUNDS = 15
ROUND_SECONDS = 0.1


def _normal(shape: tuple[int, ...], dtype: Any = onp.float32) -> Any:
    rng = onp.random.default_rng(2024)
    x = rng.normal(size=shape)
    return (x + 1j * rng.normal(size=shape) if dtype == onp.complex64 else x).astype(dtype)


# --- convolutions ----------------------------------------------------------------------------


def _conv(fw: Any, x: Any, kernel: Any, strides: tuple[int, int] = (1, 1)) -> Any:
    return fw.lax.conv_general_dilated(
        x, kernel, strides, "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


def _convolution(*sizes: int, window: int = 3, stride: int = 1) -> Callable[[Any, Any], Case]:
    batch, side, features, outputs = sizes

    def build(fw: Any, np: Any) -> Case:
        x = np.asarray(_normal((batch, side, side, features)))
        kernel = np.asarray(_normal((window, window, features, outputs)))
        return _compiled(fw, lambda x, k: _conv(fw, x, k, (stride, stride)), x, kernel)

    return build


def _block(fw: Any, np: Any, p: Any, x: Any) -> Any:
    """Two convolutions, each with its batch normalised, around which the input goes."""

    def normalised(y: Any, scale: Any, shift: Any) -> Any:
        mean, var = np.mean(y, (0, 1, 2)), np.var(y, (0, 1, 2))
        return (y - mean) * fw.lax.rsqrt(var + 1e-5) * scale + shift

    y = fw.nn.relu(normalised(_conv(fw, x, p["k1"]), p["scale1"], p["shift1"]))
    y = normalised(_conv(fw, y, p["k2"]), p["scale2"], p["shift2"])
    return fw.nn.relu(x + y)


def _of_block(fw: Any, np: Any) -> tuple[Any, Any]:
    n = 64
    kernel = np.asarray(_normal((3, 3, n, n)) * 0.05)
    p = {"k1": kernel, "k2": kernel}
    for k in "12":
        p |= {"scale" + k: np.ones(n), "shift" + k: np.zeros(n)}
    return p, np.asarray(_normal((32, 56, 56, n)))


def block_forward(fw: Any, np: Any) -> Case:
    return _compiled(fw, lambda p, x: _block(fw, np, p, x), *_of_block(fw, np))


def block_gradient(fw: Any, np: Any) -> Case:
    def loss(p: Any, x: Any) -> Any:
        return (_block(fw, np, p, x) ** 2).mean()

    return _compiled(fw, fw.grad(loss, (0, 1)), *_of_block(fw, np))


def _convolve(n: int, m: int) -> Callable[[Any, Any], Case]:
    def build(fw: Any, np: Any) -> Case:
        return _compiled(fw, np.convolve, np.asarray(_normal((n,))), np.asarray(_normal((m,))))

    return build


def _numpy_convolve(n: int, m: int) -> Callable[[], Callable[[], Any]]:
    x, y = _normal((n,)), _normal((m,))
    return lambda: lambda: onp.convolve(x, y)


# --- windows, transforms, images ---------------------------------------------------------------


def _pooled(side: int) -> Callable[[Any, Any], Case]:
    def build(fw: Any, np: Any) -> Case:
        def pool(x: Any) -> Any:
            window, strides = (1, side, side, 1), (1, 2, 2, 1)
            return fw.lax.reduce_window(x, -np.inf, fw.lax.max, window, strides, "VALID")

        return _compiled(fw, pool, np.asarray(_normal((32, 112, 112, 64))))

    return build


def _fft(shape: tuple[int, ...], axes: tuple[int, ...]) -> Callable[[Any, Any], Case]:
    def build(fw: Any, np: Any) -> Case:
        x = np.asarray(_normal(shape, onp.complex64))
        return _compiled(fw, lambda x: np.fft.fftn(x, axes=axes), x)

    return build


def _scipy_fft(shape: tuple[int, ...], axes: tuple[int, ...]) -> Callable[[], Callable[[], Any]]:
    def build() -> Callable[[], Any]:
        from scipy import fft

        x, workers = _normal(shape, onp.complex64), os.cpu_count()
        return lambda: fft.fftn(x, axes=axes, workers=workers)

    return build


def _turned(n: int) -> Any:
    """Coordinates of an image turned about its corner."""
    y, x = onp.mgrid[:n, :n].astype(onp.float32)
    return 0.9 * y - 0.3 * x, 0.3 * y + 0.9 * x


def _mapped(mode: str, scattered: bool = False) -> Callable[[Any, Any], Case]:
    n = 1024

    def build(fw: Any, np: Any) -> Case:
        import importlib

        ndimage = importlib.import_module(f"{fw.__name__}.scipy.ndimage")
        at = onp.random.default_rng(1).uniform(0, n, (2, n, n)) if scattered else _turned(n)
        y, x = (np.asarray(c, dtype=np.float32) for c in at)
        image = np.asarray(_normal((n, n)))
        fun = lambda i, y, x: ndimage.map_coordinates(i, [y, x], 1, mode=mode)  # noqa: E731
        return _compiled(fw, fun, image, y, x)

    return build


def _resized(method: str) -> Callable[[Any, Any], Case]:
    def build(fw: Any, np: Any) -> Case:
        import importlib

        image = importlib.import_module(f"{fw.__name__}.image")
        x = np.asarray(_normal((512, 512)))
        return _compiled(fw, lambda x: image.resize(x, (2048, 2048), method), x)

    return build


def _transform(name: str, shape: tuple[int, ...], axes: tuple[int, ...]) -> Program:
    return Program(name, _fft(shape, axes), 1.05, numpy=_scipy_fft(shape, axes))


PROGRAMS = [
    Program("convolution 3x3, 32x28x28x32 to 64", _convolution(32, 28, 32, 64), 0.8),
    Program("convolution 3x3, 32x56x56x64 to 64", _convolution(32, 56, 64, 64), 0.8),
    Program("convolution 3x3, 32x14x14x256 to 256", _convolution(32, 14, 256, 256), 0.8),
    Program("convolution 3x3 strides 2", _convolution(32, 56, 64, 128, stride=2), 0.8),
    Program("convolution 1x1", _convolution(32, 56, 64, 64, window=1), 0.8),
    Program("convolution 7x7 strides 2, 3 to 64",
            _convolution(8, 224, 3, 64, window=7, stride=2), 0.8),
    Program("ResNet block, forward", block_forward, 0.8),
    Program("ResNet block, gradient", block_gradient, 0.8),
    Program("max pooling 2x2", _pooled(2), 0.3),
    Program("max pooling 3x3", _pooled(3), 0.3),
    Program("convolve 32768 by 1025", _convolve(32768, 1025), 1.0,
            numpy=_numpy_convolve(32768, 1025)),
    Program("convolve 32768 by 129", _convolve(32768, 129), 1.0,
            numpy=_numpy_convolve(32768, 129)),
    _transform("fft 1024^2", (1024, 1024), (0, 1)),
    _transform("fft of 10000 by 256", (10_000, 256), (1,)),
    _transform("fft 200^3", (200, 200, 200), (0, 1, 2)),
    Program("map_coordinates, turned, constant", _mapped("constant"), 0.5),
    Program("map_coordinates, turned, nearest", _mapped("nearest"), 0.5),
    Program("map_coordinates, scattered, constant", _mapped("constant", True), 0.5),
    Program("resize 512^2 to 2048^2, linear", _resized("linear"), 0.5),
    Program("resize 512^2 to 2048^2, cubic", _resized("cubic"), 0.5),
]  # fmt: skip


def times(program: Program, sides: dict[str, tuple[Any, Any]], rounds: int) -> dict[str, float]:
    """The smallest seconds a call of each side, rounds taking turns."""
    calls = {side: program.build(fw, np).call for side, (fw, np) in sides.items()}
    if program.numpy is not None:
        calls["numpy"] = program.numpy()
    for call in calls.values():
        call()
        call()
    gc.collect()
    best: dict[str, float] = {}
    for r in range(rounds):
        for side in list(calls) if r % 2 == 0 else reversed(calls):
            spent = _time(calls[side], ROUND_SECONDS)
            best[side] = min(spent, best.get(side, spent))
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="only programs whose name contains one of these")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    args = parser.parse_args()

    import covector
    import covector.numpy as cnp

    sides: dict[str, tuple[Any, Any]] = {"covector": (covector, cnp)}
    if has("jax"):
        import jax
        import jax.numpy as jnp

        sides["jax"] = (jax, jnp)
    print("| program | Covector µs | JAX µs | NumPy, SciPy µs | ratio |\n|---|---|---|---|---|")
    for program in PROGRAMS:
        if args.names and not any(n in program.name for n in args.names):
            continue
        found = times(program, sides, args.rounds)
        others = [t for side, t in found.items() if side != "covector"]
        ratio = found["covector"] / min(others) if others else None
        cells = [_us(found.get(side)) for side in ("covector", "jax", "numpy")]
        row = [program.name, *cells, _ratio(ratio, program.limit)]
        print("| " + " | ".join(row) + " |", flush=True)


if __name__ == "__main__":
    main()
