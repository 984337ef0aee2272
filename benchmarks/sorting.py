"""Time sorting, searching, counting and sets beside NumPy: ``python -m benchmarks.sorting``.

A row is a function on 10⁶ elements, a column a dtype and an order of the elements (random,
already sorted, or many equal ones). An entry is the time of Covector's call over that of
NumPy's, each the smallest of many short rounds that take turns. Programs under ``jit`` and warm
eager calls are timed alike; a function whose result has a size that depends on the data
has no compiled form without ``size``.
"""

from __future__ import annotations

import argparse
import gc
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as onp

SIZE = 1_000_000
SIDE = 1000
DTYPES = ("float32", "float64", "int32", "int64")
ORDERS = ("random", "sorted", "few")
MODES = ("jit", "eager")


@dataclass(frozen=True)
class Row:
    """A function of the data ``x``, a second array ``y`` like it and 1000 values ``z`` in order.

    ``numpy`` is what NumPy calls the same, where that is not the same text.
    """

    name: str
    call: Callable[[Any, Any, Any, Any], Any]
    numpy: Callable[[Any, Any, Any, Any], Any] | None = None
    traced: bool = True
    kinds: str = "fi"


def _top_k(np: Any, x: Any, y: Any, z: Any) -> Any:
    import covector

    return covector.lax.top_k(x, 100)


def _top_k_numpy(np: Any, x: Any, y: Any, z: Any) -> Any:
    at = np.argpartition(x, x.size - 100)[x.size - 100 :]
    at = at[np.argsort(x[at])[::-1]]
    return x[at], at


def _square(x: Any) -> Any:
    return x.reshape(SIDE, SIDE)


ROWS = (
    Row("sort", lambda np, x, y, z: np.sort(x)),
    Row("sort, axis 0", lambda np, x, y, z: np.sort(_square(x), axis=0)),
    Row("sort, axis 1", lambda np, x, y, z: np.sort(_square(x), axis=1)),
    Row("argsort", lambda np, x, y, z: np.argsort(x)),
    Row("argsort, axis 0", lambda np, x, y, z: np.argsort(_square(x), axis=0)),
    Row("argsort, axis 1", lambda np, x, y, z: np.argsort(_square(x), axis=1)),
    Row("lexsort", lambda np, x, y, z: np.lexsort((y, x))),
    Row("partition", lambda np, x, y, z: np.partition(x, SIZE // 2)),
    Row("partition, axis 1", lambda np, x, y, z: np.partition(_square(x), SIDE // 2, axis=1)),
    Row("argpartition", lambda np, x, y, z: np.argpartition(x, SIZE // 2)),
    Row("median", lambda np, x, y, z: np.median(x)),
    Row("median, axis 0", lambda np, x, y, z: np.median(_square(x), axis=0)),
    Row("median, axis 1", lambda np, x, y, z: np.median(_square(x), axis=1)),
    Row("quantile", lambda np, x, y, z: np.quantile(x, 0.9)),
    Row("percentile", lambda np, x, y, z: np.percentile(x, np.array([5, 50, 95]))),
    Row("top_k", _top_k, _top_k_numpy),
    Row("searchsorted", lambda np, x, y, z: np.searchsorted(z, x)),
    Row("searchsorted, long", lambda np, x, y, z: np.searchsorted(np.asarray(x), y)),
    Row("digitize", lambda np, x, y, z: np.digitize(x, z)),
    Row("interp", lambda np, x, y, z: np.interp(x, z, z), kinds="f"),
    Row("histogram", lambda np, x, y, z: np.histogram(x, 100)),
    Row("histogram, edges", lambda np, x, y, z: np.histogram(x, z)),
    Row("bincount", lambda np, x, y, z: np.bincount(x, length=SIZE),
        lambda np, x, y, z: np.bincount(x, minlength=SIZE), kinds="i"),
    Row("unique", lambda np, x, y, z: np.unique(x), traced=False),
    Row("unique, inverse", lambda np, x, y, z: np.unique(x, return_inverse=True), traced=False),
    Row("unique, counts", lambda np, x, y, z: np.unique(x, return_counts=True), traced=False),
    Row("isin", lambda np, x, y, z: np.isin(x, y)),
    Row("isin, short", lambda np, x, y, z: np.isin(x, z)),
    Row("intersect1d", lambda np, x, y, z: np.intersect1d(x, y), traced=False),
    Row("union1d", lambda np, x, y, z: np.union1d(x, y), traced=False),
    Row("setdiff1d", lambda np, x, y, z: np.setdiff1d(x, y), traced=False),
    Row("setxor1d", lambda np, x, y, z: np.setxor1d(x, y), traced=False),
    Row("count_nonzero", lambda np, x, y, z: np.count_nonzero(x)),
    Row("nonzero", lambda np, x, y, z: np.nonzero(x), traced=False),
)  # fmt: skip


def data(dtype: str, order: str) -> tuple[Any, Any, Any]:
    """The data, a second array like it, and 1000 different values in order."""
    rng = onp.random.default_rng(0)

    def draw() -> Any:
        if order == "few":
            return rng.integers(0, 100, SIZE).astype(dtype)
        if dtype.startswith("float"):
            out = rng.normal(size=SIZE).astype(dtype)
        else:
            out = rng.integers(0, SIZE, SIZE).astype(dtype)
        return onp.sort(out) if order == "sorted" else out

    x, y = draw(), draw()
    low, high = float(x.min()), float(x.max())
    return (
        x,
        y,
        onp.linspace(low, max(high, low + 2 * SIDE * (dtype[0] == "i")), SIDE).astype(dtype),
    )


def _seconds(call: Callable[[], Any]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def ratio(
    ours: Callable[[], Any], theirs: Callable[[], Any], seconds: float
) -> tuple[float, float]:
    """The smallest times of a call of each side, in turns for about ``seconds``."""
    ours(), ours(), theirs()
    best = [float("inf"), float("inf")]
    gc.collect()
    end, rounds = time.perf_counter() + seconds, 0
    while rounds < 5 or time.perf_counter() < end:
        for side, call in enumerate((ours, theirs)):
            best[side] = min(best[side], _seconds(call))
        rounds += 1
    return best[0], best[1]


def measure(row: Row, dtype: str, order: str, eager: bool, seconds: float) -> tuple[float, float]:
    import covector as cv
    import covector.numpy as cnp

    arrays = data(dtype, order)
    if row.name == "searchsorted, long":
        arrays = (onp.sort(arrays[0]), *arrays[1:])
    ours = tuple(cnp.asarray(a) for a in arrays)
    run: Callable[..., Any] = lambda *a: row.call(cnp, *a)  # noqa: E731
    if not eager:
        run = cv.jit(run)
    theirs = row.numpy or row.call
    return ratio(lambda: cv.block_until_ready(run(*ours)), lambda: theirs(onp, *arrays), seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="only rows whose name begins with one of these")
    parser.add_argument("--dtypes", nargs="*", default=DTYPES, choices=DTYPES)
    parser.add_argument("--orders", nargs="*", default=ORDERS, choices=ORDERS)
    parser.add_argument("--seconds", type=float, default=0.5, help="for an entry")
    parser.add_argument("--times", action="store_true", help="milliseconds of both sides, too")
    parser.add_argument("--modes", nargs="*", default=MODES, choices=MODES)
    args = parser.parse_args()

    import covector as cv

    cv.config.update("enable_x64", True)
    columns = [(d, o) for d in args.dtypes for o in args.orders]
    print("| function | | " + " | ".join(f"{d} {o}" for d, o in columns) + " |")
    print("|" + "---|" * (len(columns) + 2))
    for row in ROWS:
        if args.names and not any(row.name.startswith(n) for n in args.names):
            continue
        for mode in args.modes:
            if mode == "jit" and not row.traced:
                continue
            entries = []
            for dtype, order in columns:
                if dtype[0] not in row.kinds:
                    entries.append("")
                    continue
                a, b = measure(row, dtype, order, mode == "eager", args.seconds)
                text = f"{a / b:.2f}" if a <= b else f"**{a / b:.2f}**"
                entries.append(text + (f" ({a * 1e3:.2f}/{b * 1e3:.2f})" if args.times else ""))
            print(f"| {row.name} | {mode} | " + " | ".join(entries) + " |", flush=True)


if __name__ == "__main__":
    main()
