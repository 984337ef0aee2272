"""Time the programs on Covector, JAX, NumPy and Numba in one run.

``python -m benchmarks.run`` prints a table of medians and ratios and writes it to
``docs/performance.md`` (``--out``). Run times alternate between the frameworks in one
process; first calls and imports are taken in fresh processes, alternating too, with the
object caches of both sides off.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import gc
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from benchmarks.programs import PROGRAMS, Program, has

ROUNDS = 7
ROUND_SECONDS = 0.15
REST_SECONDS = 0.05


def _time(call: Callable[[], Any], seconds: float) -> float:
    """Seconds per call, over a round of about ``seconds``."""
    n = 1
    # Threads of the library timed before keep looking for work for some milliseconds: wait.
    rest = time.perf_counter() + REST_SECONDS
    while time.perf_counter() < rest:
        call()
    while True:
        start = time.perf_counter()
        for _ in range(n):
            call()
        spent = time.perf_counter() - start
        if spent >= seconds / 4 or n >= 1_000_000:
            break
        n = max(2 * n, int(n * seconds / 3 / max(spent, 1e-9)))
    return spent / n


@contextlib.contextmanager
def _on(side: str) -> Iterator[None]:
    """Have Covector's arrays and programs on XLA's compiler for CPUs, for the side of that name."""
    if side != "xla":
        yield
        return
    import covector

    covector.config.update("platforms", "xla_cpu")
    try:
        yield
    finally:
        covector.config.update("platforms", None)


def run_times(program: Program, sides: dict[str, tuple[Any, Any]]) -> dict[str, float]:
    """Median seconds per call of each side, rounds alternating."""
    calls: dict[str, Callable[[], Any]] = {}
    for side, (fw, np) in sides.items():
        with _on(side):
            calls[side] = program.build(fw, np).call
    if program.numpy is not None:
        calls["numpy"] = program.numpy()
    if program.numba is not None and has("numba"):
        calls["numba"] = program.numba()
    for side, call in calls.items():
        with _on(side):
            call()
            call()
    samples: dict[str, list[float]] = {side: [] for side in calls}
    gc.collect()
    for r in range(ROUNDS):
        # Back and forth, so that no side always runs in the wake of the same other one.
        for side in list(calls) if r % 2 == 0 else reversed(calls):
            with _on(side):
                samples[side].append(_time(calls[side], ROUND_SECONDS))
    return {side: statistics.median(s) for side, s in samples.items()}


_CHILD = """
import time, sys
t0 = time.perf_counter()
import {fw} as fw
import {fw}.numpy as np
imported = time.perf_counter() - t0
from benchmarks.programs import PROGRAMS
fw.devices()
program = PROGRAMS[{index}]
case = program.build(fw, np)
t0 = time.perf_counter()
case.first()
print("result", imported, time.perf_counter() - t0)
"""


def in_child(code: str) -> list[float]:
    """The numbers that a program prints as its result, in a new process without caches on disk."""
    env = dict(os.environ, COVECTOR_ENABLE_COMPILATION_CACHE="0", JAX_PLATFORMS="cpu")
    # An installed package has its bytecode; so has a source tree, but where this forbids it.
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=env
    )  # fmt: skip
    for line in out.stdout.splitlines():
        if line.startswith("result"):
            return [float(x) for x in line.split()[1:]]
    raise RuntimeError(f"benchmark process failed:\n{out.stdout}\n{out.stderr}")


def first_call(index: int, fw: str) -> tuple[float, float]:
    """Seconds of the import, and of the first call, in a new process."""
    imported, first = in_child(_CHILD.format(fw=fw, index=index))
    return imported, first


def first_calls(index: int, sides: list[str], rounds: int) -> dict[str, tuple[float, float]]:
    samples: dict[str, list[tuple[float, float]]] = {s: [] for s in sides}
    for _ in range(rounds):
        for side in sides:
            samples[side].append(first_call(index, side))
    return {
        s: (statistics.median(a for a, _ in v), statistics.median(b for _, b in v))
        for s, v in samples.items()
    }


def _us(seconds: float | None) -> str:
    if seconds is None:
        return ""
    us = seconds * 1e6
    return f"{us:,.2f}" if us < 100 else f"{us:,.0f}"


def _ratio(value: float | None, limit: float | None) -> str:
    if value is None:
        return ""
    mark = "" if limit is None else f" (≤ {limit:g})" if value <= limit else f" **(> {limit:g})**"
    return f"{value:.3f}{mark}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="only programs whose name contains one of these")
    parser.add_argument("--out", help="write the table to this file")
    parser.add_argument("--first-rounds", type=int, default=3)
    parser.add_argument("--no-first", action="store_true", help="skip first calls and imports")
    args = parser.parse_args()

    import covector
    import covector.numpy as cnp

    sides: dict[str, tuple[Any, Any]] = {"covector": (covector, cnp)}
    if has("jax"):
        import jax
        import jax.numpy as jnp

        sides["jax"] = (jax, jnp)
    fresh = list(sides)
    if has("xla_plugins"):
        sides["xla"] = (covector, cnp)
    rows = []
    imports: dict[str, list[float]] = {s: [] for s in fresh}
    for index, program in enumerate(PROGRAMS):
        if args.names and not any(n in program.name for n in args.names):
            continue
        print(f"{program.name} …", file=sys.stderr, flush=True)
        times = run_times(program, sides)
        first: dict[str, tuple[float, float]] = {}
        if not args.no_first:
            first = first_calls(index, fresh, args.first_rounds)
            for s, (imported, _) in first.items():
                imports[s].append(imported)
        cv, jx = times["covector"], times.get("jax")
        ratio = cv / jx if jx else None
        f_cv, f_jx = (first[s][1] if s in first else None for s in ("covector", "jax"))
        f_ratio = f_cv / f_jx if f_cv and f_jx else None
        rows.append([
            program.name, _us(cv), _us(jx), _us(times.get("numpy")), _us(times.get("numba")),
            _us(times.get("xla")), _ratio(ratio, program.limit),
            _ratio(cv / times["xla"] if "xla" in times else None, None),
            f"{f_cv * 1e3:,.0f}" if f_cv else "", f"{f_jx * 1e3:,.0f}" if f_jx else "",
            _ratio(f_ratio, program.first_limit),
        ])  # fmt: skip
        print("  " + " | ".join(rows[-1][1:]), file=sys.stderr, flush=True)
    head = ["program", "Covector µs", "JAX µs", "NumPy µs", "Numba µs", "by XLA µs", "ratio",
            "ratio to XLA",             "first call ms", "JAX first ms", "first ratio"]  # fmt: skip
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    if all(imports.values()):
        medians = {s: statistics.median(v) for s, v in imports.items()}
        a, b = medians.get("covector"), medians.get("jax")
        ratio = _ratio(a / b, 0.35) if a and b else ""
        lines.append(f"| import | {_us(a)} | {_us(b)} |  |  |  | {ratio} |  |  |  |  |")
    lines += ["| " + " | ".join(r) + " |" for r in rows]
    table = "\n".join(lines)
    print(table)
    if args.out:
        with open(args.out, "w") as f:
            f.write(_page(table, args.first_rounds))


def _page(table: str, first_rounds: int) -> str:
    import numpy

    versions = [f"Python {platform.python_version()}", f"NumPy {numpy.__version__}"]
    for name in ("jax", "numba", "llvmlite"):
        if has(name):
            module = __import__(name)
            versions.append(f"{name} {module.__version__}")
    return f"""# Performance

Obtained on {datetime.date.today()} with `python -m benchmarks.run --out docs/performance.md` on a
machine of {os.cpu_count()} cores ({_cpu()}); {", ".join(versions)}.

Run times are medians of {ROUNDS} rounds that alternate between the libraries in one process,
in microseconds a call; a round begins with calls that do not count, while the threads of the
library before come to rest. First calls (trace, lower, compile, run) are medians of
{first_rounds} fresh process(es) a side and program, alternating too, with no code cached on disk;
the import is the median over all of these processes. A ratio is Covector/JAX; behind it stands the
limit that the project sets itself. "By XLA" are Covector's programs compiled by XLA for the CPU,
through the plugin `xla-cpu-pjrt`; the ratio to it says which of the two compilers is ahead.

{table}
"""


def _cpu() -> str:
    try:
        with open("/proc/cpuinfo") as f:
            for line in f:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor()


if __name__ == "__main__":
    main()
