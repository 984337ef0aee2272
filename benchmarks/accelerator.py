"""An accelerator beside JAX, in one process and at most five minutes.

``python -m benchmarks.accelerator --platform cuda --out table.md`` writes its table as it goes, so
that a run that is cut off leaves what it had; a part that fails is a line that says why. It needs
no network. ``--platform xla_cpu --small`` tries it on the host.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

# JAX shares the device: it takes memory as it needs it.
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")

import numpy as onp

import covector as cv
import covector.numpy as cnp
from benchmarks.programs import has

ROUNDS = 5


class Table:
    """Rows that are printed, and written to a file, as soon as they are known."""

    def __init__(self, path: str | None) -> None:
        self.path = path
        self._write("| | Covector | JAX | ratio | |\n|---|---|---|---|---|\n", "w")

    def _write(self, text: str, mode: str = "a") -> None:
        sys.stdout.write(text)
        sys.stdout.flush()
        if self.path:
            with open(self.path, mode, encoding="utf-8") as f:
                f.write(text)

    def row(self, what: str, ours: Any = "", theirs: Any = "", note: str = "") -> None:
        ratio = ""
        if isinstance(ours, float) and isinstance(theirs, float) and theirs:
            ratio = f"{ours / theirs:.3f}"
        cells = [what, _shown(ours), _shown(theirs), ratio, note.replace("|", "/")]
        self._write("| " + " | ".join(cells) + " |\n")


def _shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def seconds(call: Callable[[], Any], budget: float) -> float:
    """The median time of a call that waits for its result."""
    call()
    call()
    samples = []
    end = time.perf_counter() + budget
    while len(samples) < ROUNDS or (time.perf_counter() < end and len(samples) < 50):
        start = time.perf_counter()
        call()
        samples.append(time.perf_counter() - start)
        if time.perf_counter() > end + budget:
            break
    return statistics.median(samples)


# --- programs, written once for both ------------------------------------------------------------


def gelu(fw: Any, np: Any, n: int) -> tuple[Callable[..., Any], list[Any]]:
    return lambda x: 0.5 * x * (1 + np.tanh(0.79788456 * (x + 0.044715 * x**3))), [
        onp.linspace(-3, 3, n, dtype="float32")
    ]


def layer_norm(fw: Any, np: Any, n: int) -> tuple[Callable[..., Any], list[Any]]:
    def f(x: Any) -> Any:
        mean = np.mean(x, axis=-1, keepdims=True)
        return (x - mean) / np.sqrt(np.var(x, axis=-1, keepdims=True) + 1e-5)

    return f, [_random((n, 1024), 0)]


def product(fw: Any, np: Any, n: int) -> tuple[Callable[..., Any], list[Any]]:
    def f(x: Any, y: Any) -> Any:
        return x @ y

    return f, [_random((n, n), k).astype(np.bfloat16) for k in (0, 1)]


def attention(fw: Any, np: Any, n: int) -> tuple[Callable[..., Any], list[Any]]:
    def f(q: Any, k: Any, v: Any) -> Any:
        scores = np.einsum("bhqd,bhkd->bhqk", q, k) / 8.0
        return np.einsum("bhqk,bhkd->bhqd", fw.nn.softmax(scores, axis=-1), v)

    return f, [_random((4, 16, n, 64), k).astype(np.bfloat16) for k in range(3)]


def convolution(fw: Any, np: Any, n: int) -> tuple[Callable[..., Any], list[Any]]:
    def f(x: Any, w: Any) -> Any:
        return fw.lax.conv_general_dilated(
            x, w, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )

    return f, [_random((n, 56, 56, 64), 0), _random((3, 3, 64, 64), 1)]


def mlp_step(fw: Any, np: Any, n: int) -> tuple[Callable[..., Any], list[Any]]:
    sizes = (784, n, n, 10)
    params = [_random((a, b), k) / a**0.5 for k, (a, b) in enumerate(zip(sizes, sizes[1:]))]  # noqa: B905

    def loss(ps: Any, x: Any, y: Any) -> Any:
        for p in ps[:-1]:
            x = fw.nn.relu(x @ p)
        return -np.mean(np.sum(fw.nn.log_softmax(x @ ps[-1]) * y, axis=-1))

    def step(ps: Any, x: Any, y: Any) -> Any:
        return [p - 0.1 * g for p, g in zip(ps, fw.grad(loss)(ps, x, y), strict=True)]

    labels = onp.eye(10, dtype="float32")[onp.arange(256) % 10]
    return step, [params, _random((256, 784), 9), labels]


def transformer_step(fw: Any, np: Any, n: int) -> tuple[Callable[..., Any], list[Any]]:
    shapes = {"qkv": (n, 3 * n), "out": (n, n), "up": (n, 4 * n), "down": (4 * n, n)}
    params = {k: _random(s, i) / s[0] ** 0.5 for i, (k, s) in enumerate(shapes.items())}

    def block(p: Any, x: Any) -> Any:
        b, t, d = x.shape
        q, k, v = np.split((x @ p["qkv"]).reshape(b, t, 3 * 8, d // 8), 3, axis=2)
        scores = np.einsum("bqhd,bkhd->bhqk", q, k) / (d // 8) ** 0.5
        x = x + np.einsum("bhqk,bkhd->bqhd", fw.nn.softmax(scores), v).reshape(b, t, d) @ p["out"]
        return x + fw.nn.gelu(x @ p["up"]) @ p["down"]

    def step(p: Any, x: Any) -> Any:
        grads = fw.grad(lambda p: np.mean(block(p, x) ** 2))(p)
        return fw.tree.map(lambda a, g: a - 1e-3 * g, p, grads)

    return step, [params, _random((8, 128, n), 7)]


def _random(shape: tuple[int, ...], seed: int) -> Any:
    return onp.random.RandomState(seed).standard_normal(shape).astype("float32")


# name, builder, size, size of a small run
PROGRAMS: list[tuple[str, Callable[..., Any], int, int]] = [
    ("bfloat16 product 8192^3", product, 8192, 256),
    ("GELU of 1 GiB", gelu, 1 << 28, 1 << 16),
    ("layer norm, 65536 rows", layer_norm, 1 << 16, 1 << 8),
    ("attention, 4×16×2048×64", attention, 2048, 64),
    ("convolution 64×56×56×64, 3×3", convolution, 64, 2),
    ("MLP training step, 4096 wide", mlp_step, 4096, 64),
    ("transformer training step, 1024 wide", transformer_step, 1024, 64),
]


# --- the parts ------------------------------------------------------------------------------------


class Sides:
    """The two libraries, each on the device."""

    def __init__(self, platform: str, small: bool) -> None:
        self.platform, self.small = platform, small
        self.device = cv.devices(platform)[0]
        cv.config.update("platforms", platform)
        self.jax: Any = None
        if has("jax"):
            import jax

            self.jax = jax

    def each(self) -> Iterator[tuple[str, Any, Any]]:
        yield "covector", cv, cnp
        if self.jax is not None:
            yield "jax", self.jax, self.jax.numpy


def memory(table: Table, sides: Sides) -> None:
    stats = sides.device.memory_stats()
    used = stats.get("bytes_in_use", 0) / 2**30 if stats else "not reported"
    table.row("memory at the start, GiB", used, "", "limit 1")


def dispatch(table: Table, sides: Sides) -> None:
    out = {}
    for name, fw, _ in sides.each():
        f = fw.jit(lambda x: x + 1)
        x = fw.device_put(onp.ones(1024, "float32"))
        n = 200 if sides.small else 2000

        def run(f: Any = f, x: Any = x, n: int = n) -> None:
            y = x
            for _ in range(n):
                y = f(x)
            y.block_until_ready()

        out[name] = seconds(run, 0.5) / n * 1e6
    table.row("a call of x + 1 (1,024), µs", out["covector"], out.get("jax", ""))


def rates(table: Table, sides: Sides) -> None:
    for what, build, size, small in PROGRAMS:
        try:
            out = {}
            for name, fw, np in sides.each():
                f, args = build(fw, np, small if sides.small else size)
                args = fw.device_put(args)
                g = fw.jit(f)
                out[name] = 1e3 * seconds(
                    lambda g=g, args=args, fw=fw: fw.block_until_ready(g(*args)), 1.0
                )
            table.row(f"{what}, ms", out["covector"], out.get("jax", ""))
        except Exception as e:  # the other programs are still worth running
            table.row(what, "failed", "", _line(e))


def values(table: Table, sides: Sides) -> None:
    """The cases of the property tables, beside our CPU."""
    from tests.lax.test_rules import flat
    from tests.property_tables import CASES, DISCRETE

    right = wrong = 0
    failed: list[str] = []
    end = time.perf_counter() + (20 if sides.small else 120)
    cpu = cv.devices("cpu")[0]
    with cv.enable_x64():
        for name, case in {**CASES, **DISCRETE}.items():
            if time.perf_counter() > end:
                break
            fun, args = flat(case[0]), case[1]
            try:
                got = cv.jit(fun)(*cv.device_put(args, sides.device))
                want = cv.jit(fun)(*cv.device_put(args, cpu))
                for g, w in zip(got, want, strict=True):
                    onp.testing.assert_allclose(onp.asarray(g), onp.asarray(w), 1e-9, 1e-10)
                right += 1
            except Exception as e:
                wrong += 1
                failed.append(f"{name}: {_line(e)}"[:80])
    table.row(
        "values of cases as on our CPU", f"{right} of {right + wrong}", "", "; ".join(failed[:5])
    )


def factorisations(table: Table, sides: Sides) -> None:
    n = 64 if sides.small else 1024
    a = _random((n, n), 0)
    spd = a @ a.T + n * onp.eye(n, dtype="float32")
    for name, x in (("cholesky", spd), ("qr", a), ("eigh", spd), ("svd", a), ("solve", spd)):
        try:
            out = {}
            for side, fw, np in sides.each():
                fun = getattr(np.linalg, name)
                g = fw.jit((lambda x, fun=fun: fun(x, x[0])) if name == "solve" else fun)
                given = fw.device_put(x)
                out[side] = 1e3 * seconds(
                    lambda g=g, given=given, fw=fw: fw.block_until_ready(g(given)), 0.5
                )
            table.row(f"{name} of {n}×{n}, ms", out["covector"], out.get("jax", ""))
        except Exception as e:
            table.row(name, "failed", "", _line(e))


def effects(table: Table, sides: Sides) -> None:
    def double(x: Any) -> Any:
        return onp.asarray(x) * 2

    f = cv.jit(lambda x: cv.pure_callback(double, cv.ShapeDtypeStruct(x.shape, x.dtype), x))
    out = onp.asarray(f(cnp.arange(4.0)))
    table.row("callback", "as expected" if (out == [0, 2, 4, 6]).all() else f"gave {out}")


def donation(table: Table, sides: Sides) -> None:
    g = cv.jit(lambda x: x + 1, donate_argnums=0)
    x = cnp.zeros(1 << 20)
    y = g(x)
    kept = not x.is_deleted() or float(y[0]) != 1.0
    table.row("donation", "not taken" if kept else "memory taken over")


def compilation(table: Table, sides: Sides) -> None:
    f, args = transformer_step(cv, cnp, 64)
    args = cv.device_put(args)
    times = []
    for _ in range(2):
        cv.clear_caches()
        start = time.perf_counter()
        cv.block_until_ready(cv.jit(lambda *a: f(*a))(*args))
        times.append(time.perf_counter() - start)
    table.row("first call cold, then from disk, ms", times[0] * 1e3, "", f"{times[1] * 1e3:.4g} ms")


def out_of_memory(table: Table, sides: Sides) -> None:
    try:
        cv.block_until_ready(cv.jit(lambda: cnp.ones((1 << 42,), "uint8") + 1)())
        table.row("4 TiB", "no error")
    except (MemoryError, RuntimeError) as e:
        table.row("4 TiB", type(e).__name__, "", _line(e))


def determinism(table: Table, sides: Sides) -> None:
    f, args = transformer_step(cv, cnp, 64)
    g = cv.jit(f)
    first, second = (cv.tree.leaves(g(*cv.device_put(args))) for _ in range(2))
    same = all(
        onp.asarray(a).tobytes() == onp.asarray(b).tobytes()
        for a, b in zip(first, second, strict=True)
    )
    table.row("two runs", "equal to the bit" if same else "**differ**")


PARTS = (
    memory, dispatch, rates, values, factorisations, effects, donation, compilation,
    out_of_memory, determinism,
)  # fmt: skip


def _line(e: BaseException) -> str:
    text = " ".join(str(e).split())
    return f"{type(e).__name__}: {text[:160]}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--platform", default="gpu")
    parser.add_argument("--out", help="also write the table to this file")
    parser.add_argument("--small", action="store_true", help="small sizes: does it run at all?")
    args = parser.parse_args()
    table = Table(args.out)
    start = time.perf_counter()
    sides = Sides(args.platform, args.small)
    table.row("client started, s", time.perf_counter() - start, "", repr(sides.device.device_kind))
    for part in PARTS:
        try:
            part(table, sides)
        except Exception as e:  # each part is worth having
            table.row(part.__name__, "failed", "", _line(e))
    table.row("all of it, s", time.perf_counter() - start)


if __name__ == "__main__":
    main()
