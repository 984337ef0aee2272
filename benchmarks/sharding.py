"""Programs on eight logical devices of the CPU, beside one device and beside JAX.

    python -m benchmarks.sharding

Both sides run in this process, rounds alternate, and the smallest time counts.
"""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable
from typing import Any

os.environ["COVECTOR_NUM_CPU_DEVICES"] = "8"
os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=8"

import jax
import jax.numpy as jnp
import numpy as np

import covector as cv
import covector.numpy as cnp

ROUNDS = 15


def smallest(sides: dict[str, Callable[[], Any]], seconds: float = 0.02) -> dict[str, float]:
    """Microseconds a call, of rounds that alternate."""
    best = dict.fromkeys(sides, float("inf"))
    counts = {}
    for name, call in sides.items():
        call()
        start = time.perf_counter()
        call()
        counts[name] = max(1, int(seconds / max(time.perf_counter() - start, 1e-7)))
    for _ in range(ROUNDS):
        for name, call in sides.items():
            start = time.perf_counter()
            for _ in range(counts[name]):
                call()
            best[name] = min(best[name], (time.perf_counter() - start) / counts[name])
    return {name: 1e6 * t for name, t in best.items()}


def mlp(np_: Any, nn: Any) -> Callable[..., Any]:
    def loss(params: Any, x: Any, y: Any) -> Any:
        for w, b in params[:-1]:
            x = nn.relu(x @ w + b)
        w, b = params[-1]
        return ((x @ w + b - y) ** 2).mean()

    return loss


def stencil(x: Any, roll: Any) -> Any:
    return 0.25 * (roll(x, 1, 0) + roll(x, -1, 0) + roll(x, 1, 1) + roll(x, -1, 1)) - x


def programs(m: Any, np_: Any) -> dict[str, tuple[Callable[..., Any], list[Any]]]:
    """A function of the module ``m`` and the arguments, of which the first axis is split."""
    rng = np.random.default_rng(0)
    f32 = lambda *shape: rng.standard_normal(shape).astype("float32")  # noqa: E731
    sizes = [784, 512, 512, 10]
    params = [
        (f32(a, b) / a**0.5, np.zeros(b, "float32"))
        for a, b in zip(sizes[:-1], sizes[1:], strict=True)
    ]
    loss = mlp(np_, m.nn)

    def step(params: Any, x: Any, y: Any) -> Any:
        g = m.grad(loss)(params, x, y)
        return m.tree.map(lambda p, d: p - 0.1 * d, params, g)

    return {
        "matrix product 2048²": (lambda a, b: a @ b, [f32(2048, 2048), f32(2048, 2048)]),
        "MLP step, batch 4096": (step, [params, f32(4096, 784), f32(4096, 10)]),
        "sum of 4096²": (lambda a: a.sum(), [f32(4096, 4096)]),
        "5-point stencil, 4096²": (lambda a: stencil(a, np_.roll), [f32(4096, 4096)]),
        "8 arguments, x + 1 of each": (
            lambda *xs: [x + 1 for x in xs], [f32(8, 8) for _ in range(8)]
        ),
    }  # fmt: skip


def placed(m: Any, args: list[Any], spread: bool) -> list[Any]:
    auto = (m.sharding.AxisType.Auto,)
    mesh = m.make_mesh((8,), ("x",), auto)
    P = m.sharding.PartitionSpec

    def put(x: Any, k: int) -> Any:
        spec = P("x") if x.ndim > 1 and x.shape[0] % 8 == 0 and k != 1 else P()
        return m.device_put(x, m.NamedSharding(mesh, spec)) if spread else m.device_put(x)

    return [
        m.tree.map(lambda x, k=k: put(x, k if len(args) == 2 else 0), a) for k, a in enumerate(args)
    ]


def call(m: Any, f: Callable[..., Any], args: list[Any]) -> None:
    """Call a function, and wait for its results."""
    m.block_until_ready(f(*args))


def main() -> None:
    """Print the table."""
    print("| program | 8 devices, µs | one device | ratio | JAX, 8 devices | ratio |")
    print("|---|---|---|---|---|---|")
    ours, theirs = programs(cv, cnp), programs(jax, jnp)
    for name in ours:
        f, args = ours[name]
        g, jargs = theirs[name]
        cf, jf = cv.jit(f), jax.jit(g)
        many, one, j = placed(cv, args, True), placed(cv, args, False), placed(jax, jargs, True)
        t = smallest({
            "many": functools.partial(call, cv, cf, many),
            "one": functools.partial(call, cv, cf, one),
            "jax": functools.partial(call, jax, jf, j),
        })  # fmt: skip
        print(
            f"| {name} | {t['many']:.1f} | {t['one']:.1f} | {t['many'] / t['one']:.2f} | "
            f"{t['jax']:.1f} | {t['many'] / t['jax']:.2f} |", flush=True,
        )  # fmt: skip
    f, g = (
        m.jit(m.shard_map(
            lambda a, m=m: m.lax.psum((a * a).sum(), "x"),
            mesh=m.make_mesh((8,), ("x",), (m.sharding.AxisType.Auto,)),
            in_specs=m.sharding.PartitionSpec("x"), out_specs=m.sharding.PartitionSpec(),
        ))
        for m in (cv, jax)
    )  # fmt: skip
    x = np.ones((8, 1024), "float32")
    a, b = placed(cv, [x], True), placed(jax, [x], True)
    t = smallest({
        "ours": functools.partial(call, cv, f, a), "jax": functools.partial(call, jax, g, b)
    })  # fmt: skip
    ratio = t["ours"] / t["jax"]
    print(f"| shard_map with psum, 8×1024 | {t['ours']:.1f} | | | {t['jax']:.1f} | {ratio:.2f} |")


if __name__ == "__main__":
    main()
