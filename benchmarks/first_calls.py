"""Time first calls (trace, lower, compile, run) of programs against JAX, none of them cached.

``python -m benchmarks.first_calls`` prints a table of medians in milliseconds. Each is taken in a
process of its own that has compiled another program before; the sides take turns. Programs are
those of `benchmarks.run`, and some of many loops.
"""

from __future__ import annotations

import argparse
import math
import statistics
from collections.abc import Callable
from typing import Any

import numpy as onp

from benchmarks.programs import PROGRAMS, Case, Program, _compiled
from benchmarks.run import in_child

ROUNDS = 3
LIMIT, MEAN_LIMIT = 0.8, 0.5


def _normal(*shape: int) -> Any:
    return onp.random.default_rng(7).normal(size=shape).astype(onp.float32)


def _adam(fw: Any, np: Any) -> Case:
    def step(params: Any, grads: Any, m: Any, v: Any) -> Any:
        m = [0.9 * a + 0.1 * g for a, g in zip(m, grads, strict=True)]
        v = [0.999 * a + 0.001 * g * g for a, g in zip(v, grads, strict=True)]
        moved = [p - 1e-3 * a / (np.sqrt(b) + 1e-8) for p, a, b in zip(params, m, v, strict=True)]
        return moved, m, v

    arrays = [np.asarray(_normal(128, 128)) for _ in range(60)]
    return _compiled(fw, step, arrays, arrays, arrays, arrays)


def _attention(fw: Any, np: Any) -> Case:
    def attention(q: Any, k: Any, v: Any) -> Any:
        return fw.nn.softmax(q @ k.T / 8.0) @ v

    return _compiled(fw, attention, *[np.asarray(_normal(4096, 64)) for _ in range(3)])


def _bilinear(fw: Any, np: Any) -> Case:
    def sample(image: Any, y: Any, x: Any) -> Any:
        y0, x0 = np.floor(y).astype(np.int32), np.floor(x).astype(np.int32)
        v, u = y - y0, x - x0
        y0, x0 = np.clip(y0, 0, 510), np.clip(x0, 0, 510)
        return (
            image[y0, x0] * (1 - v) * (1 - u) + image[y0, x0 + 1] * (1 - v) * u
            + image[y0 + 1, x0] * v * (1 - u) + image[y0 + 1, x0 + 1] * v * u
        )  # fmt: skip

    at = [np.asarray(abs(_normal(500_000)) % 1 * 500) for _ in range(2)]
    return _compiled(fw, sample, np.asarray(_normal(512, 512)), *at)


def _products(fw: Any, np: Any) -> Case:
    def chain(x: Any, w: Any) -> Any:
        for _ in range(400):
            x = np.tanh(x @ w)
        return x

    return _compiled(fw, chain, np.asarray(_normal(64, 64)), np.asarray(_normal(64, 64) / 8))


def _transformer(fw: Any, np: Any) -> Case:
    def normed(x: Any) -> Any:
        return (x - x.mean(-1, keepdims=True)) * fw.lax.rsqrt(x.var(-1, keepdims=True) + 1e-5)

    def block(p: Any, x: Any) -> Any:
        y = normed(x)
        q, k, v = ((y @ w).reshape(256, 8, 32) for w in p[:3])
        scores = fw.nn.softmax(np.einsum("ihd,jhd->hij", q, k) / 32**0.5)
        x = x + np.einsum("hij,jhd->ihd", scores, v).reshape(256, 256) @ p[3]
        return x + fw.nn.gelu(normed(x) @ p[4]) @ p[5]

    def gradients(p: Any, x: Any) -> Any:
        return fw.grad(lambda p: (block(p, x) ** 2).mean())(p)

    sizes = [(256, 256)] * 4 + [(256, 1024), (1024, 256)]
    p = [np.asarray(_normal(*s) / 16) for s in sizes]
    return _compiled(fw, gradients, p, np.asarray(_normal(256, 256)))


def _sums_and_product(fw: Any, np: Any) -> Case:
    x, y = (np.asarray(_normal(512, 512)) for _ in range(2))
    return _compiled(fw, lambda x, y: (x.sum(1), x @ y), x, y)


MANY: list[tuple[str, Callable[[Any, Any], Case]]] = [
    ("Adam step on 60 matrices", _adam),
    ("attention 4096x64", _attention),
    ("bilinear sampling", _bilinear),
    ("400 products with tanh", _products),
    ("transformer block, gradient", _transformer),
    ("row sums and a product", _sums_and_product),
]
ALL = [*[Program(name, build) for name, build in MANY], *PROGRAMS]

_CHILD = """
import time
import {fw} as fw
import {fw}.numpy as np
from benchmarks.first_calls import ALL
case = ALL[{index}].build(fw, np)
fw.block_until_ready(fw.jit(lambda x: x * 2 + 1)(np.ones(7)))
start = time.perf_counter()
case.first()
print("result", time.perf_counter() - start)
"""


def first_call(index: int, fw: str) -> float:
    """Milliseconds of the first call of a program in a new process."""
    (seconds,) = in_child(_CHILD.format(fw=fw, index=index))
    return 1e3 * seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="only programs whose name contains one of these")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    args = parser.parse_args()
    print("| program | Covector ms | JAX ms | ratio |\n|---|---|---|---|")
    ratios = []
    for index, program in enumerate(ALL):
        if args.names and not any(name in program.name for name in args.names):
            continue
        sides: dict[str, list[float]] = {"covector": [], "jax": []}
        for _ in range(args.rounds):
            for fw, times in sides.items():
                times.append(first_call(index, fw))
        ours, theirs = (statistics.median(times) for times in sides.values())
        ratios.append(ours / theirs)
        mark = f" **(> {LIMIT})**" if ratios[-1] > LIMIT else ""
        print(f"| {program.name} | {ours:.1f} | {theirs:.1f} | {ours / theirs:.2f}{mark} |",
              flush=True)  # fmt: skip
    mean = math.exp(statistics.fmean(map(math.log, ratios)))
    print(f"\nIn the geometric mean {mean:.2f} (limit {MEAN_LIMIT}).")


if __name__ == "__main__":
    main()
