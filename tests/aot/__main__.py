"""``python -m tests.aot cuda PLUGIN.so``: every emission rule's text compiles for an H100 (or, with
``tpu``, for a TPU v5e), with no such device.

Programs are cases of the property tables, as few as have every primitive. A plugin that finds a
mistake may end its process, so that each platform has one of its own. Where ``jax-cuda*-plugin`` is
importable, programs are compiled with NVIDIA's functions and without.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TPU_SKIP_MDS_QUERY", "1")
os.environ.setdefault("TPU_MIN_LOG_LEVEL", "3")

import covector as cv
import covector.backends.pjrt.rules  # fills the table
from covector.backends.pjrt import functions, nvidia
from covector.backends.pjrt.backend import native
from covector.backends.pjrt.lower import RULES
from covector.backends.pjrt.options import compile_options
from covector.backends.pjrt.topology import Topology
from covector.core.jaxpr import all_jaxprs
from tests.aot.parallel import compiled
from tests.aot.targets import FOUR, TARGETS
from tests.aot.uncovered import EXPECTED
from tests.lax.test_rules import flat
from tests.property_tables import CASES, DISCRETE

SAMPLE = 24


def programs():
    """Names, traced programs, and the primitives in each."""
    for name, case in {**CASES, **DISCRETE}.items():
        traced = cv.jit(flat(case[0])).trace(*case[1])
        found = {e.primitive for j in all_jaxprs(traced.jaxpr.jaxpr) for e in j.eqns}
        yield name, traced, found


def chosen():
    """Few programs that have all primitives which any of them has, and those that none has."""
    known = list(programs())
    missing = set().union(*[found for _, _, found in known]) & set(RULES)
    uncovered = set(RULES) - missing
    out = []
    while missing:
        best = max(known, key=lambda p: len(p[2] & missing))
        out.append(best[:2])
        missing -= best[2]
    return out, sorted(p.name for p in uncovered)


def main() -> int:
    parser = argparse.ArgumentParser(prog="tests.aot", description=__doc__)
    parser.add_argument("platform", choices=TARGETS)
    parser.add_argument("plugin")
    parser.add_argument("--all", action="store_true", help="every case of the tables")
    parser.add_argument("--sample", metavar="SEED", help=f"{SAMPLE} of the programs")
    parser.add_argument("--part", metavar="K/N", help="one of N parts of the programs")
    args = parser.parse_args()
    os.environ["COVECTOR_PJRT_PLUGINS"] = f"{args.platform}:{args.plugin}"
    absent = Topology(args.platform, TARGETS[args.platform], {}, native())
    topology = absent.native
    known = nvidia.targets() if args.platform == "cuda" else frozenset()
    if known:
        functions.register(absent.plugin, args.platform, known)
    cases, uncovered = chosen()
    if args.all:
        cases = [(name, traced) for name, traced, _ in programs()]
    if args.sample is not None:
        cases = random.Random(args.sample).sample(cases, min(SAMPLE, len(cases)))
    if args.part is not None:
        k, n = map(int, args.part.split("/"))
        cases = cases[k - 1 :: n]
    failed = with_functions = 0
    start = time.perf_counter()
    for name, traced in cases:
        try:
            lowered = traced.lower(lowering_platforms=(args.platform,))
            texts = [lowered.as_text(debug_info=True)]
            if any(f'"{function}"' in texts[0] for function in known):
                with_functions += 1
                texts.append(lowered.as_text("portable stablehlo"))
            for text in texts:
                topology.compile(text.encode(), compile_options([0]))
        except Exception as e:
            expected = EXPECTED[args.platform].get(name)
            if expected is None or expected not in str(e):
                failed += 1
                print(f"{name}: {type(e).__name__}: {str(e)[:300]}", flush=True)
    took = time.perf_counter() - start
    if known:
        print(f"{with_functions} programs call functions of NVIDIA's ({len(known)} are known)")
        failed += args.sample is args.part is None and with_functions == 0
    print(
        f"{len(cases)} programs compiled for {topology.platform_version.splitlines()[0]} by "
        f"{args.plugin.rpartition('/')[2]} in {took:.0f} s, {failed} failed; in none of the "
        f"tables' cases: {', '.join(uncovered) or 'no primitive'}"
    )
    for options in FOUR[args.platform]:
        count, owners = compiled(args.platform, TARGETS[args.platform], options)
        print(f"{count} programs compiled for four devices of {owners} processes")
    return 1 if failed else 0


if __name__ == "__main__":
    cv.config.update("enable_x64", True)
    sys.exit(main())
