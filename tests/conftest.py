"""Settings of all tests: every jaxpr traced, every loop program and every LLVM module made is
checked, nodes of the loop IR do not change, and new memory is full of rubbish. Tests marked
`peer` run where JAX is installed.

``--sample SEED`` runs a part of the tests on further platforms: of those marked `platform` one for
each rule or function in the tables, of those marked `peer` half of the cases of each test.
``--part 1/3`` runs the first of three parts of the tests, however they are chosen."""

import importlib.util
import os
import random
import re
import sys
import zlib
from collections import defaultdict

import pytest

# Threads of NumPy's and SciPy's OpenBLAS wait for each other by spinning: where other processes
# run beside them, a factorisation of 64 rows takes a hundred times as long. Covector has its own.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# A distribution with a second backend.
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "toy"))

os.environ.setdefault("COVECTOR_ENABLE_CHECKS", "1")
os.environ.setdefault("COVECTOR_POISON_MEMORY", "1")

# Tests of another build of the native core load that one, in place of the package's.
if "COVECTOR_TEST_NATIVE" not in os.environ:
    from covector.core.config import forget_detected  # reads the settings
    from tests.compiler import round_trip

    round_trip.install()
    forget_detected()  # tests say which devices they are about


def pytest_addoption(parser):
    parser.addoption("--sample", metavar="SEED", help="run a sample of the tests on platforms")
    parser.addoption("--part", metavar="K/N", type=part_of, help="run one of N parts of the tests")


def pytest_report_header(config):
    seed = config.getoption("--sample")
    return None if seed is None else f"tests on platforms: a sample, drawn with the seed {seed}"


def part_of(text):
    """The numbers of a part, from 0, and of all parts, for ``2/3``."""
    k, n = map(int, text.split("/"))
    if not 1 <= k <= n:
        raise ValueError(text)
    return k - 1, n


def _elsewhere(items, k, n):
    """The tests that are in other parts than the one with number ``k``."""
    return {i for i in items if zlib.crc32(i.nodeid.encode()) % n != k}


def _subject(case):
    """The platform of a case, and what it is about: the first word of its name."""
    platform = case.params.get("platform", "")
    name = case.id.removeprefix(f"{platform}-").removesuffix(f"-{platform}")
    return platform, re.split(r"[^\w.]", name)[0]


def _left_out(items, seed):
    """The tests that are not drawn."""
    groups = defaultdict(list)
    for item in items:
        case = getattr(item, "callspec", None)
        if case is not None and item.get_closest_marker("platform"):
            groups[item.path, *_subject(case)].append(item)
        elif case is not None and item.get_closest_marker("peer"):
            groups[item.path, item.originalname].append(item)
    draw = random.Random(seed)
    out = set()
    for group in groups.values():
        few = 1 if group[0].get_closest_marker("platform") else -(-len(group) // 2)
        out.update(draw.sample(group, len(group) - few))
    return out


def pytest_collection_modifyitems(config, items):
    seed, part = config.getoption("--sample"), config.getoption("--part")
    left_out = set()
    if seed is not None:
        left_out |= _left_out(items, seed)
    if part is not None:
        left_out |= _elsewhere(items, *part)
    if left_out:
        config.hook.pytest_deselected(items=[i for i in items if i in left_out])
        items[:] = [i for i in items if i not in left_out]
    if importlib.util.find_spec("jax") is None:
        absent = pytest.mark.skip(reason="compares with JAX, which is not installed")
        for item in items:
            if item.get_closest_marker("peer"):
                item.add_marker(absent)
