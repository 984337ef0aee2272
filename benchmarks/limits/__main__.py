"""Time Covector beside C++ by hand, Numba and JAX: ``python -m benchmarks.limits [names]``.

What the sides do and what is timed stands in the package's documentation. A table is printed as it
grows; ``--out docs/performance.md`` also puts it between that file's marks for it.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import json
import math
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.limits.specs import FOURTEEN, SPECS, Spec

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
TITLES = {"cpp": "C++", "numba": "Numba", "jax": "JAX", "covector": "Covector"}
BEGIN, END = "<!-- limits -->", "<!-- /limits -->"
THREADS = 2
FLAGS = ("-O3", "-march=native", "-ffast-math", "-fopenmp", "-std=c++17", "-shared", "-fPIC")


class Side:
    """A process that computes and times programs with one library."""

    def __init__(self, kind: str, python: str, folder: Path, library: Path) -> None:
        threads = ("OMP", "OPENBLAS", "MKL", "NUMBA")
        env = dict(
            os.environ,
            **{f"{name}_NUM_THREADS": str(THREADS) for name in threads},
            COVECTOR_ENABLE_COMPILATION_CACHE="0",
            JAX_PLATFORMS="cpu",
            PYTHONDONTWRITEBYTECODE="1",
            PYTHONWARNINGS="ignore",
            XDG_CACHE_HOME=str(folder / "cache"),
        )
        # Settings that choose other code than the machine's own.
        for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "JAX_COMPILATION_CACHE_DIR"):
            env.pop(name, None)
        self.log = folder / f"{kind}.log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [python, "-m", "benchmarks.limits.worker", kind, str(folder), str(library)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
                text=True, env=env, cwd=ROOT,
            )  # fmt: skip

    def ask(self, *words: Any) -> dict[str, Any]:
        assert self.process.stdin and self.process.stdout
        try:
            print(*words, file=self.process.stdin, flush=True)
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if line:
            return json.loads(line)
        last = self.log.read_text(errors="replace").strip().splitlines()[-1:]
        return {"error": ": ".join(["the process ended", *last])}

    def close(self) -> None:
        assert self.process.stdin
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def compiler() -> str | None:
    return shutil.which(os.environ.get("CXX", "g++"))


def compile_kernels(folder: Path) -> Path:
    flags = list(FLAGS)
    if platform.machine() in ("x86_64", "AMD64"):
        flags.append("-mprefer-vector-width=512")
    out = folder / "kernels.so"
    command = [
        str(compiler()),
        *flags,
        "-w",
        "-Wno-psabi",
        "-o",
        str(out),
        str(HERE / "kernels.cpp"),
    ]
    subprocess.run(command, check=True)
    return out


def installed(python: str, library: str) -> bool:
    code = f"import sys, importlib.util as u; sys.exit(u.find_spec({library!r}) is None)"
    try:
        return subprocess.run([python, "-c", code], cwd=ROOT).returncode == 0
    except OSError:
        return False


def choose(sides: Iterable[str], pythons: dict[str, str]) -> tuple[list[str], list[str]]:
    """The sides that can run, and those that cannot, which is said."""
    kinds, missing = [], []
    for kind in sides:
        if kind == "cpp":
            name = os.environ.get("CXX", "g++")
            reason = None if compiler() else f"the compiler {name} was not found"
        else:
            there = installed(pythons[kind], kind)
            reason = None if there else f"{kind} is not installed for {pythons[kind]}"
        if reason is None:
            kinds.append(kind)
        else:
            missing.append(kind)
            print(f"{TITLES[kind]} is left out: {reason}", file=sys.stderr)
    return kinds, missing


def two_cores() -> None:
    """Keep this process and those it starts on as many cores as there are threads."""
    if not hasattr(os, "sched_setaffinity"):
        return
    chosen: dict[str, int] = {}
    for cpu in sorted(os.sched_getaffinity(0)):
        path = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list")
        try:
            core = path.read_text()
        except OSError:
            core = str(cpu)
        chosen.setdefault(core, cpu)
    if len(chosen) > THREADS:
        os.sched_setaffinity(0, list(chosen.values())[:THREADS])


def difference(got: list[Any], want: list[Any], spec: Spec) -> str | None:
    """What is wrong with a side's outputs, if anything is."""
    if len(got) != len(want):
        return f"{len(got)} outputs, not {len(want)}"
    for k, (g, w) in enumerate(zip(got, want, strict=True)):
        if g.shape != w.shape or g.dtype != w.dtype:
            return f"output {k} is {g.dtype}{g.shape}, not {w.dtype}{w.shape}"
        if w.dtype.kind in "iub":
            share = float(np.mean(g != w))
            if share > spec.mismatch:
                return f"{share:.2%} of the whole numbers of output {k} differ"
        else:
            error = float(np.max(np.abs(g - w)) / max(float(np.max(np.abs(w))), 1e-30))
            if not error <= spec.tolerance:
                return f"output {k} is off by {error:.1e} of its largest value"
    return None


def measure(
    name: str, sides: dict[str, Side], folder: Path, rounds: int, seconds: float
) -> dict[str, dict[str, Any]]:
    """For each side microseconds of a call, milliseconds of the first one, or an error."""
    spec = SPECS[name]
    np.savez(folder / f"{name}.npz", *spec.inputs())
    row = {kind: side.ask("prepare", name) for kind, side in sides.items()}

    def outputs(kind: str) -> list[Any]:
        with np.load(folder / f"{name}.{kind}.npz") as file:
            return list(file.values())

    good = [kind for kind in sides if "first_ms" in row[kind]]
    reference = next((kind for kind in ("jax", "cpp", *good) if kind in good), None)
    for kind in [kind for kind in good if kind != reference]:
        wrong = difference(outputs(kind), outputs(str(reference)), spec)
        if wrong:
            row[kind]["error"] = f"wrong result: {wrong}"
            good.remove(kind)
    for file in folder.glob(f"{name}.*npz"):
        file.unlink()
    for _ in range(rounds):
        for kind in good:
            time.sleep(0.01)  # threads of the side before come to rest
            answer = sides[kind].ask("time", name, seconds)
            if "us" in answer:
                row[kind]["us"] = min(answer["us"], row[kind].get("us", math.inf))
            else:
                row[kind].update(answer)
    return row


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.2f}" if value < 10 else f"{value:,.1f}" if value < 100 else f"{value:,.0f}"


def _ratio(row: dict[str, dict[str, Any]], *others: str) -> float | None:
    """Covector's time over the best of others'."""
    times = [row[kind]["us"] for kind in others if "us" in row.get(kind, {})]
    if not times or "us" not in row.get("covector", {}):
        return None
    return row["covector"]["us"] / min(times)


def head(kinds: list[str]) -> str:
    names = ["program", *[f"{TITLES[kind]} µs" for kind in kinds], "ours/best other", "ours/C++"]
    names += [f"{TITLES[kind]} first ms" for kind in kinds if kind != "cpp"]
    return "| " + " | ".join(names) + " |\n" + "|---" + "|--:" * (len(names) - 1) + "|"


def line(name: str, row: dict[str, dict[str, Any]], kinds: list[str]) -> str:
    cells = [name]
    cells += ["failed" if "error" in row[k] else _number(row[k].get("us")) for k in kinds]
    for ratio in (_ratio(row, "cpp", "numba", "jax"), _ratio(row, "cpp")):
        cells.append("" if ratio is None else f"{ratio:.2f}")
    cells += [_number(row[kind].get("first_ms")) for kind in kinds if kind != "cpp"]
    return "| " + " | ".join(cells) + " |"


def failures(name: str, row: dict[str, dict[str, Any]]) -> list[str]:
    return [
        f"{name}, {TITLES[kind]}: {answer['error'].splitlines()[0][:300]}"
        for kind, answer in row.items()
        if "error" in answer
    ]


def summary(table: dict[str, dict[str, dict[str, Any]]]) -> list[str]:
    """Means of the ratios to C++, and how many programs are far from it or behind a peer."""
    lines = []
    ratios = {name: r for name, row in table.items() if (r := _ratio(row, "cpp")) is not None}
    for title, names in (("all", list(table)), ("the fourteen", FOURTEEN)):
        logs = [math.log(ratios[name]) for name in names if name in ratios]
        if logs:
            mean = math.exp(sum(logs) / len(logs))
            lines.append(f"Geometric mean of ours/C++ of {title} ({len(logs)}): {mean:.2f}")
    if ratios:
        for limit in (1.5, 2.5):
            above = sorted((n for n in ratios if ratios[n] > limit), key=lambda n: -ratios[n])
            text = ", ".join(f"{n} {ratios[n]:.1f}" for n in above)
            lines.append(f"Above {limit} times C++: {len(above)}" + (f" ({text})" if above else ""))
    for kind in ("numba", "jax"):
        peers = {name: r for name, row in table.items() if (r := _ratio(row, kind)) is not None}
        if peers:
            slower = sorted((n for n in peers if peers[n] > 1), key=lambda n: -peers[n])
            text = ", ".join(f"{n} {peers[n]:.2f}" for n in slower)
            text = f" ({text})" if slower else ""
            lines.append(f"Slower than {TITLES[kind]}: {len(slower)} of {len(peers)}{text}")
    return lines


def processor() -> str:
    """Model, number of cores and vectors of the machine."""
    model, flags = platform.processor() or platform.machine(), set()
    with contextlib.suppress(OSError):
        for text in Path("/proc/cpuinfo").read_text().splitlines():
            key, _, value = text.partition(":")
            if key.strip() == "model name":
                model = value.strip()
            elif key.strip() in ("flags", "Features"):
                flags = set(value.split())
    levels = (("avx512_vnni", "AVX-512 with VNNI"), ("avx512f", "AVX-512"), ("avx2", "AVX2"),
              ("avx", "AVX"), ("asimd", "NEON"))  # fmt: skip
    level = next((title for flag, title in levels if flag in flags), "unknown vectors")
    return f"{model}, {os.cpu_count()} cores, {level}"


def preamble(
    kinds: list[str], missing: list[str], versions: dict[str, str], args: argparse.Namespace
) -> list[str]:
    names = {"python": "Python", "numpy": "NumPy", **TITLES}
    lines = [
        f"Obtained on {datetime.date.today()} with `python -m benchmarks.limits` "
        f"({args.rounds} rounds of {args.slice:g} s a side and program).",
        f"Machine: {processor()}; {THREADS} threads a side.",
    ]
    if "cpp" in kinds:
        out = subprocess.run([str(compiler()), "--version"], capture_output=True, text=True).stdout
        lines.append(f"Compiler: {out.splitlines()[0]}.")
    lines.append("Libraries: " + ", ".join(f"{names[k]} {v}" for k, v in versions.items()) + ".")
    if missing:
        lines.append("Not there: " + ", ".join(TITLES[kind] for kind in missing) + ".")
    return lines


def replace_section(path: Path, text: str) -> None:
    """Put the text between the file's marks, or with marks at its end."""
    old = path.read_text() if path.exists() else ""
    section = f"{BEGIN}\n{text}\n{END}"
    start = old.find(BEGIN)
    end = old.find(END, start)
    if start >= 0 and end >= 0:
        new = old[:start] + section + old[end + len(END) :]
    else:
        new = (old.rstrip("\n") + "\n\n" if old.strip() else "") + section + "\n"
    write(path, new)


def write(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_text(text)
        if path.exists():
            shutil.copymode(path, temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.limits", description=__doc__)
    parser.add_argument("names", nargs="*", help="only these programs")
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--slice", type=float, default=0.05, help="seconds of a round of a side")
    parser.add_argument("--sides", default=",".join(TITLES), help="separated by commas")
    parser.add_argument("--python", action="append", default=[], metavar="SIDE=PATH",
                        help="the interpreter of a side, this one by default")  # fmt: skip
    parser.add_argument("--json", type=Path, help="write the numbers to this file")
    parser.add_argument("--out", type=Path, help="put the table into this file")
    args = parser.parse_args()
    unknown = [name for name in args.names if name not in SPECS]
    if unknown:
        parser.error(f"no program is named {', '.join(unknown)}; there are {', '.join(SPECS)}")
    args.sides = args.sides.split(",")
    unknown = [kind for kind in args.sides if kind not in TITLES]
    if unknown:
        parser.error(f"no side is named {', '.join(unknown)}; there are {', '.join(TITLES)}")
    args.pythons = dict.fromkeys(TITLES, sys.executable)
    for text in args.python:
        kind, _, path = text.partition("=")
        if kind not in TITLES or not path:
            parser.error(f"--python takes SIDE=PATH with a side of {', '.join(TITLES)}, not {text}")
        args.pythons[kind] = path
    if args.rounds < 1:
        parser.error("--rounds must be at least 1")
    return args


def run(args: argparse.Namespace, folder: Path) -> None:
    kinds, missing = choose(args.sides, args.pythons)
    if not kinds:
        sys.exit("no side can run")
    library = compile_kernels(folder) if "cpp" in kinds else folder / "none"
    two_cores()
    sides = {kind: Side(kind, args.pythons[kind], folder, library) for kind in kinds}
    try:
        versions: dict[str, str] = {}
        for kind, side in sides.items():
            answer = side.ask("versions")
            if "error" in answer:
                sys.exit(f"{TITLES[kind]} cannot start: {answer['error']}")
            for key, value in answer.items():
                versions.setdefault(key, value)
        table: dict[str, dict[str, dict[str, Any]]] = {}
        above = preamble(kinds, missing, versions, args)
        lines = [head(kinds)]
        notes: list[str] = []
        print("\n".join([*above, "", *lines]), flush=True)
        names = args.names or list(SPECS)
        for name in names:
            row = table[name] = measure(name, sides, folder, args.rounds, args.slice)
            lines.append(line(name, row, kinds))
            print(lines[-1], flush=True)
            for text in failures(name, row):
                notes.append(text)
                print(text, file=sys.stderr, flush=True)
            below = summary(table) + notes
            if len(table) < len(names):
                below.append(f"So far {len(table)} of {len(names)} programs")
            if args.out:
                parts = ["\n".join(above), "\n".join(lines), "\n".join(f"- {s}" for s in below)]
                replace_section(args.out, "\n\n".join(["## Limits", *parts]))
            if args.json:
                about = {"about": above, "versions": versions, "programs": table}
                write(args.json, json.dumps(about, indent=1) + "\n")
        print("\n".join(["", *(f"- {text}" for text in below)]))
    finally:
        for side in sides.values():
            side.close()


def main() -> None:
    args = arguments()
    with tempfile.TemporaryDirectory(prefix="covector-limits-") as folder:
        run(args, Path(folder))


if __name__ == "__main__":
    main()
