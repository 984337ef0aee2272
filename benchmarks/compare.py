"""Compare checkouts of Covector in one run: ``python -m benchmarks.compare --before FOLDER``.

Every sample is a process of its own on one of the source trees, all of which must have been
built in place (see CONTRIBUTING.md); they take turns. All programs take about a minute and a
half a round of two trees; names restrict them. A process imports the package, loads the backend
and calls one program for the first time with no code cached on disk (the two together are the
first call), traces it again, and times its calls. The table has the smallest of the samples (what
the code costs where nothing else disturbs it), and the ratios of each tree to the one before it.

Where the machine is shared, times vary by more than what is looked for: ``--instructions`` counts
the instructions of import and first call instead, under valgrind, which takes half a minute a
program and tree.
"""

from __future__ import annotations

import argparse
import itertools
import math
import os
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

_HERE = Path(__file__).resolve().parents[1]
COLUMNS = ("import", "first call", "trace", "call")
# Only what lies in the tree is imported: an editable install has a finder that would go first.
_FROM_TREE = """
import sys
sys.meta_path[:] = [f for f in sys.meta_path if f.__module__.startswith("_frozen_importlib")]
sys.path.insert(0, {src!r})
"""
_CHECK = """
from pathlib import Path
for module in (cv, cv._native):
    if not Path(module.__file__).resolve().is_relative_to({src!r}):
        sys.exit(f"timed {{module.__file__}}, which is not in {src}")
"""
_CALLS = """
import time
t0 = time.perf_counter()
import covector as cv
import covector.numpy as np
imported = time.perf_counter() - t0
sys.path.append({here!r})
from benchmarks.programs import PROGRAMS
from benchmarks.compare import EXTRA, call_seconds, trace_seconds
program = [*PROGRAMS, *EXTRA][{index}]
t0 = time.perf_counter()
cv.devices()  # loads the backend, as the first call does where nothing else has
first = time.perf_counter() - t0
case = program.build(cv, np)
t0 = time.perf_counter()
case.first()
first += time.perf_counter() - t0
print("result", imported, first, trace_seconds(cv, case), call_seconds(case.call))
"""
_FIRST = """
import sys
import covector as cv
import covector.numpy as np
if {index} >= 0:
    sys.path.append({here!r})
    from benchmarks.programs import PROGRAMS
    from benchmarks.compare import EXTRA
    [*PROGRAMS, *EXTRA][{index}].build(cv, np).first()
"""
_MEMORY = """
def peak():
    with open("/proc/self/status") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmRSS")) / 1024
import covector as cv
import covector.numpy as np
first = peak()
x = np.ones(3)
for k in range(1000):
    cv.jit(lambda a, k=k: (a * float(k) + k % 7).sum())(x)
print("result", first, peak())
"""


def call_seconds(call, rounds: int = 7, seconds: float = 0.1) -> float:
    """Seconds of a call: the smallest of some rounds."""
    from benchmarks.run import _time

    call()
    return min(_time(call, seconds) for _ in range(rounds))


def trace_seconds(cv, case) -> float:
    """Seconds of a first call whose code is in memory: of tracing and lowering, nearly."""
    import time

    best = math.inf
    for _ in range(5):
        start = time.perf_counter()
        case.first()
        best = min(best, time.perf_counter() - start)
    return best


def _leaves(fw, np):
    from benchmarks.programs import _compiled

    leaves = [np.array(float(k)) for k in range(200)]
    return _compiled(fw, lambda xs: [x + 1 for x in xs], leaves)


def _equations(fw, np):
    from benchmarks.programs import _compiled

    def chain(x):
        for _ in range(500):
            x = np.sin(x) * 2
        return x

    return _compiled(fw, chain, np.ones(5))


def _extra() -> list:
    from benchmarks.programs import Program

    return [Program("200 leaves", _leaves), Program("1000 equations", _equations)]


EXTRA = _extra()


def process(tree: Path, code: str, under: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
    """A process on a source tree, run by another program if ``under`` names one."""
    src = str(tree / "src")
    env = dict(
        os.environ, COVECTOR_ENABLE_COMPILATION_CACHE="0", PYTHONPATH=src, PYTHONHASHSEED="0"
    )
    # An installed package has its bytecode; so has a source tree, but where this forbids it.
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    code = _FROM_TREE.format(src=src) + code + _CHECK.format(src=src)
    command = [*under, sys.executable, "-c", code]
    run = subprocess.run(command, capture_output=True, text=True, env=env)
    if run.returncode:
        raise RuntimeError(f"a benchmark process failed:\n{run.stdout}\n{run.stderr}")
    return run


def sample(tree: Path, code: str) -> list[float]:
    """The numbers that a process on a source tree prints."""
    run = process(tree, code)
    for line in run.stdout.splitlines():
        if line.startswith("result"):
            return [float(x) for x in line.split()[1:]]
    raise RuntimeError(f"a benchmark process printed no result:\n{run.stdout}\n{run.stderr}")


def instructions(tree: Path, index: int) -> float:
    """What import and a program's first call (import alone for -1) execute; a second run counts,
    which finds the bytecode written."""
    code = _FIRST.format(here=str(_HERE), index=index)
    process(tree, code)
    with tempfile.TemporaryDirectory() as folder:
        valgrind = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={folder}/out"]
        run = process(tree, code, valgrind)
    return float(re.search(r"Collected : (\d+)", run.stderr)[1])


def count(trees: Sequence[Path], names: Sequence[str]) -> None:
    """The table of instructions."""
    from benchmarks.programs import PROGRAMS

    steps = list(itertools.pairwise(range(len(trees))))
    logs: list[list[float]] = [[] for _ in steps]
    heads = " | ".join(f"{trees[a].name} → {trees[b].name}" for a, b in steps)
    print(f"| program | millions, {trees[0].name} | {heads} |\n|---|" + "---|" * len(trees))
    programs = ["import", *(p.name for p in (*PROGRAMS, *EXTRA))]
    for index, name in enumerate(programs, -1):
        if names and not any(n in name for n in names):
            continue
        found = [instructions(tree, index) for tree in trees]
        ratios = [found[b] / found[a] for a, b in steps]
        for log, ratio in zip(logs, ratios, strict=True):
            log.append(math.log(ratio))
        cells = " | ".join(f"{r:.3f}" for r in ratios)
        print(f"| {name} | {found[0] / 1e6:,.0f} | {cells} |", flush=True)
    means = " | ".join(f"{math.exp(statistics.fmean(log)):.3f}" for log in logs)
    print(f"| geometric mean | | {means} |")


def check_built(tree: Path) -> None:
    """Stop unless a folder is a source tree of the library that was built in place."""
    package = tree / "src" / "covector"
    if not (package / "__init__.py").exists():
        sys.exit(f"{tree} is no source tree of Covector: it has no src/covector/__init__.py")
    if not any(package.glob("_native*.so")):
        sys.exit(
            f"{tree} has not been built in place; build it there, an editable install is not "
            f"enough:\n    cmake -S {tree} -B {tree}/build -G Ninja -DCOVECTOR_INPLACE=ON && "
            f"cmake --build {tree}/build"
        )


def in_turns(trees: list[Path], code: str, rounds: int) -> list[list[float]]:
    """The smallest of the numbers of each tree, taken in turns; each is as often the first."""
    samples: dict[Path, list[list[float]]] = {tree: [] for tree in trees}
    for r in range(rounds):
        k = r % len(trees)
        for tree in trees[k:] + trees[:k]:
            samples[tree].append(sample(tree, code))
    return [[min(c) for c in zip(*s, strict=True)] for s in samples.values()]


def _cell(before: float, after: float) -> str:
    unit, scale = ("ms", 1e3) if before > 1e-3 else ("us", 1e6)
    return f"{before * scale:,.2f} → {after * scale:,.2f} {unit} ({after / before:.3f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="only programs whose name contains one of these")
    parser.add_argument(
        "--before", type=Path, required=True, action="append",
        help="an older tree; of several, each is compared with the next",
    )  # fmt: skip
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--memory", action="store_true", help="memory too")
    parser.add_argument("--instructions", action="store_true", help="count, do not time")
    args = parser.parse_args()
    befores = [folder.resolve() for folder in args.before]
    trees = [*befores, _HERE]
    for tree in trees:
        check_built(tree)
    if args.instructions:
        count(trees, args.names)
        return
    from benchmarks.programs import PROGRAMS

    steps = list(itertools.pairwise(range(len(trees))))
    names = [f"{trees[a].name} → {trees[b].name}" for a, b in steps]
    logs: dict[tuple[str, str], list[float]] = {(n, c): [] for n in names for c in COLUMNS}
    imports: list[list[float]] = []
    print("| trees | program | first call | trace | call |\n|---|---|---|---|---|")
    for index, program in enumerate([*PROGRAMS, *EXTRA]):
        if args.names and not any(n in program.name for n in args.names):
            continue
        numbers = in_turns(trees, _CALLS.format(here=str(_HERE), index=index), args.rounds)
        for name, (a, b) in zip(names, steps, strict=True):
            for column, x, y in zip(COLUMNS, numbers[a], numbers[b], strict=True):
                logs[name, column].append(math.log(y / x))
            pairs = zip(numbers[a][1:], numbers[b][1:], strict=True)
            cells = " | ".join(_cell(x, y) for x, y in pairs)
            print(f"| {name} | {program.name} | {cells} |", flush=True)
        imports.append([of_tree[0] for of_tree in numbers])
    for name in names:
        means = [math.exp(statistics.fmean(logs[name, c])) for c in COLUMNS[1:]]
        print(f"| {name} | geometric mean | " + " | ".join(f"{m:.3f}" for m in means) + " |")
    least = [min(c) for c in zip(*imports, strict=True)]
    for name, (a, b) in zip(names, steps, strict=True):
        print(f"\nimport, {name}: {_cell(least[a], least[b])}")
    if args.memory:
        memory = in_turns(trees, _MEMORY, 3)
        for name, (a, b) in zip(names, steps, strict=True):
            whats = ("import", "1,000 compilations")
            for what, x, y in zip(whats, memory[a], memory[b], strict=True):
                print(f"memory after {what}, {name}: {x:.1f} → {y:.1f} MiB ({y / x:.3f})")


if __name__ == "__main__":
    main()
