"""The command: random programs for as long as asked.

    python -m tests.fuzz --minutes 60 [--seed N] [--peer] [--folder FOLDER]

Ends with status 1 if there were faults; each is shrunk and written into the folder.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path

import covector as cv
from tests.fuzz.checks import Fault, faults
from tests.fuzz.program import Program, generate
from tests.fuzz.shrink import kind, save, shrink

CLEAR_EVERY = 200  # programs; the memory of compiled programs is bounded so


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m tests.fuzz", description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=1.0, help="how long to run (1)")
    parser.add_argument("--programs", type=int, help="or how many programs to run")
    parser.add_argument("--seed", type=int, help="of the first program; later ones count up")
    parser.add_argument("--peer", action="store_true", help="compare with JAX as well")
    parser.add_argument("--shrink", type=float, default=60, help="seconds to shrink a fault (60)")
    parser.add_argument("--only", nargs="+", help="names of the checks to make (all)")
    parser.add_argument(
        "--folder", type=Path, help="where reproducers go (one in the folder of temporary files)"
    )
    return parser.parse_args()


def report(program: Program, fault: Fault, path: Path) -> None:
    print(f"\nseed {program.seed}: {fault.check}: {fault.message}", file=sys.stderr)
    print(program.source(), file=sys.stderr)
    print(f"written to {path}", file=sys.stderr, flush=True)


def main() -> int:
    """Run programs; the exit status."""
    args = arguments()
    folder = args.folder or Path(tempfile.gettempdir()) / "covector_fuzz"
    seed = random.SystemRandom().randrange(1 << 30) if args.seed is None else args.seed
    start, done, found = time.monotonic(), 0, 0
    print(f"first seed {seed}", file=sys.stderr)
    while done < args.programs if args.programs else time.monotonic() - start < 60 * args.minutes:
        program = generate(seed + done)
        fault = faults(program, args.only, args.peer)
        done += 1
        if fault is not None:
            found += 1
            program, fault = shrink(program, fault, args.peer, args.shrink)
            report(program, fault, save(program, fault, folder / kind(fault).replace(" ", "_")))
        if done % CLEAR_EVERY == 0:
            cv.clear_caches()
        spent = time.monotonic() - start
        print(
            f"\r{done} programs, {60 * done / spent:.0f} a minute, {found} faults ",
            end="",
            file=sys.stderr,
            flush=True,
        )
    print(file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
