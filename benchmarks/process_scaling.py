"""Programs on one and on two processes of one thread each.

    python -m benchmarks.process_scaling

Each side is a job of its own; jobs alternate, and the smallest time of a step counts. An MLP step
of a batch of 4096 is divided among the processes; a plate of the heat equation has 4096 x 4096
points for each process (weak scaling). What memory allows is seen beside it: two plates of one
process each, at the same time, which exchange nothing.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from typing import Any

import numpy

ROUNDS = 5


def mlp_step() -> tuple[Any, Any, Any]:
    import covector as cv
    from covector.nn import relu
    from covector.sharding import AxisType
    from covector.sharding import PartitionSpec as P

    mesh = cv.make_mesh((cv.device_count(),), ("batch",), (AxisType.Auto,))
    over_batch, everywhere = (cv.NamedSharding(mesh, s) for s in (P("batch"), P()))
    rng = numpy.random.default_rng(0)
    sizes = [784, 1024, 1024, 10]
    params = [
        (rng.normal(size=(n, m)).astype("float32") * n**-0.5, numpy.zeros(m, "float32"))
        for n, m in zip(sizes, sizes[1:], strict=False)
    ]
    x = rng.normal(size=(4096, 784)).astype("float32")
    y = rng.normal(size=(4096, 10)).astype("float32")

    def loss(params: Any, x: Any, y: Any) -> Any:
        for w, b in params[:-1]:
            x = relu(x @ w + b)
        w, b = params[-1]
        return ((x @ w + b - y) ** 2).mean()

    def step(params: Any, x: Any, y: Any) -> Any:
        g = cv.grad(loss)(params, x, y)
        return cv.tree.map(lambda p, d: p - 0.01 * d, params, g)

    return (
        cv.jit(step), cv.device_put(params, everywhere), cv.device_put((x, y), over_batch)
    )  # fmt: skip


def heat() -> tuple[Any, Any, Any]:
    import covector as cv
    import covector.numpy as np
    from covector import lax
    from covector.sharding import AxisType
    from covector.sharding import PartitionSpec as P

    n = cv.device_count()
    mesh = cv.make_mesh((n,), ("rows",), (AxisType.Auto,))
    down = [(i, i + 1) for i in range(n - 1)]
    up = [(b, a) for a, b in down]

    def step(u: Any) -> Any:
        above = lax.ppermute(u[-1:], "rows", down)
        below = lax.ppermute(u[:1], "rows", up)
        v = np.pad(np.concatenate([above, u, below]), ((0, 0), (1, 1)))
        sums = v[:-2, 1:-1] + v[2:, 1:-1] + v[1:-1, :-2] + v[1:-1, 2:]
        return u + 0.2 * (sums - 4 * u)

    rows = cv.NamedSharding(mesh, P("rows"))
    start = cv.make_array_from_callback(
        (4096 * n, 4096), rows, lambda index: numpy.ones((4096, 4096), "float32")
    )
    f = cv.jit(cv.shard_map(step, mesh=mesh, in_specs=P("rows"), out_specs=P("rows")))
    return f, start, ()


def work(name: str, at: int, n: int, address: str) -> None:
    """Time a program in one process of the job; the first one prints the seconds of a step."""
    import covector as cv

    if n > 1:
        cv.distributed.initialize(address, n, at)
    f, state, rest = {"mlp": mlp_step, "heat": heat}[name]()
    best = float("inf")
    for _ in range(12):
        start = time.perf_counter()
        state = cv.block_until_ready(f(state, *rest))
        best = min(best, time.perf_counter() - start)
    if at == 0:
        print(json.dumps(best))


def job(name: str, n: int, jobs: int = 1) -> float:
    """The seconds of a step of a job of ``n`` processes, the longer ones if there are two jobs."""
    env = {**os.environ, "COVECTOR_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    processes = []
    for _ in range(jobs):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{s.getsockname()[1]}"
        for at in range(n):
            command = ["-m", "benchmarks.process_scaling", name, str(at), str(n), address]
            processes.append(
                subprocess.Popen(
                    [sys.executable, *command], stdout=subprocess.PIPE, text=True, env=env
                )
            )
    outputs = [p.communicate(timeout=300)[0] for p in processes]
    if any(p.returncode for p in processes):
        raise RuntimeError(f"a process of {name} has failed")
    return max([float(json.loads(out)) for out in outputs if out])


def main() -> None:
    best: dict[tuple[str, int], float] = {}
    alone = 1e9
    for _ in range(ROUNDS):
        alone = min(alone, job("heat", 1, jobs=2))
        for name in ("mlp", "heat"):
            for n in (1, 2):
                best[name, n] = min(best.get((name, n), 1e9), job(name, n))
    for name, goal in (("mlp", 1.7), ("heat", 0.9)):
        one, two = best[name, 1], best[name, 2]
        ratio = one / two
        what = "times as fast" if name == "mlp" else "weak scaling"
        print(f"{name:5} one process {1e3 * one:8.2f} ms, two {1e3 * two:8.2f} ms: "
              f"{ratio:.2f} {what} (goal {goal})")  # fmt: skip
    print(f"heat  two jobs of one process, which exchange nothing: {1e3 * alone:.2f} ms, "
          f"{best['heat', 1] / alone:.2f} of one alone")  # fmt: skip


if __name__ == "__main__":
    if len(sys.argv) > 1:
        work(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
    else:
        main()
