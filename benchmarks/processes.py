"""All-reduces between processes of one machine, beside bare mpi4py.

    python -m benchmarks.processes [--processes 2 4] [--rounds 5]

starts processes by ``mpirun`` and prints a table of medians in microseconds: ``Allreduce`` of
mpi4py from one array to another and in place, `Communicator.allreduce`, a compiled program that is
one all-reduce, one in a loop of a compiled program, and the ratio of the program's time and the
shorter one of mpi4py's. Rounds of all of them take turns, so that what else runs on the machine
disturbs them alike; of each the median of its rounds is shown.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time

SIZES = (8, 1 << 10, 1 << 16, 1 << 20, 1 << 24)
COLUMNS = ("mpi4py", "in place", "allreduce", "program", "in a loop", "ratio")
_LOOP = 20


def _median(f, calls):
    times = []
    for _ in range(calls):
        start = time.perf_counter()
        f()
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1e6


def _contestants(c, comm, mpi, nbytes):
    import numpy as np

    import covector as cv
    from covector import lax

    x = np.zeros(nbytes // 4, np.float32)
    out, own = np.empty_like(x), x.copy()
    # Kept: what compiled programs call it by is valid as long as it is.
    plan = c.plan("allreduce", x)
    reduce = cv.ffi.ffi_call(
        "covector_collective", cv.ShapeDtypeStruct(x.shape, x.dtype), has_side_effect=True
    )
    once = cv.jit(lambda x: reduce(x, plan=plan.ident))
    loop = cv.jit(lambda x: lax.fori_loop(0, _LOOP, lambda _, y: reduce(y, plan=plan.ident), x))
    there = cv.device_put(x)
    return plan, {
        "mpi4py": (lambda: comm.Allreduce(x, out), 1),
        "in place": (lambda: comm.Allreduce(mpi.IN_PLACE, own), 1),
        "allreduce": (lambda: c.allreduce(x), 1),
        "program": (lambda: once(there).block_until_ready(), 1),
        "in a loop": (lambda: loop(there).block_until_ready(), _LOOP),
    }


def _measure(rounds):
    from mpi4py import MPI

    import covector as cv
    from covector.distributed import shared

    cv.distributed.initialize()
    c = cv.distributed.get_communicator()
    cv.ffi.register_ffi_target("covector_collective", shared.target())
    comm = MPI.COMM_WORLD
    for nbytes in SIZES:
        calls = max(20, min(1000, (1 << 26) // nbytes))
        plan, contestants = _contestants(c, comm, MPI, nbytes)
        times = {name: [] for name in contestants}
        for turn in range(rounds + 1):
            for name, (f, each) in contestants.items():
                comm.Barrier()
                took = _median(f, max(calls // each, 5)) / each
                if turn:  # the first one compiles
                    times[name].append(took)
        if c.rank == 0:
            found = {name: statistics.median(t) for name, t in times.items()}
            print(json.dumps([c.size, nbytes, found]), flush=True)
        del plan
    cv.distributed.shutdown()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--processes", type=int, nargs="+", default=[2, 4])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        _measure(args.rounds)
        return
    launcher = shutil.which("mpirun", path=os.path.dirname(sys.executable)) or "mpirun"
    print(f"{'processes':>9} {'bytes':>9}", *[f"{name:>10}" for name in COLUMNS])
    for n in args.processes:
        program = [sys.executable, "-m", "benchmarks.processes", "--child"]
        found = subprocess.run(
            [launcher, "-n", str(n), *program, "--rounds", str(args.rounds)],
            check=True, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        for line in found.stdout.splitlines():
            size, nbytes, times = json.loads(line)
            ratio = times["program"] / min(times["mpi4py"], times["in place"])
            shown = [f"{times[name]:10.1f}" for name in COLUMNS[:-1]]
            print(f"{size:9} {nbytes:9}", *shown, f"{ratio:10.2f}", flush=True)


if __name__ == "__main__":
    main()
