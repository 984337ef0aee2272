"""Memory that is not needed any more goes back: arrays', programs', that of caches."""

import gc
import os
import pathlib
import subprocess
import sys
import time
import weakref

import pytest

import covector as cv
import covector.numpy as np
from covector import _native
from covector.backends.cpu import backend as cpu
from covector.backends.cpu import module
from covector.runtime import execution
from covector.transforms.cache import Latest


def _cached():
    return _native.allocator_stats()["bytes_cached"]


@pytest.mark.skipif(_native.allocator_stats()["cache_limit"] == 0, reason="nothing is cached")
@pytest.mark.parametrize("size", [1 << 26, 1 << 18], ids=["large blocks", "small blocks"])
def test_memory_that_nobody_asks_for_goes_back(size):
    arrays = [np.ones(size // 4) for _ in range((1 << 27) // size)]
    cv.block_until_ready(arrays)
    del arrays
    gc.collect()
    until = time.monotonic() + 20
    while _cached() > 40 << 20:
        assert time.monotonic() < until, f"{_cached() >> 20} MiB are still cached"
        time.sleep(0.1)


def test_memory_in_use_again_and_again_stays():
    x = np.ones(1 << 22)
    f = cv.jit(lambda x: x + 1)
    cv.block_until_ready(f(x))
    before = _native.allocator_stats()["system_allocations"]
    until = time.monotonic() + 2.5
    while time.monotonic() < until:
        cv.block_until_ready(f(x))
    assert _native.allocator_stats()["system_allocations"] - before <= 4


LIMITED = """
import covector.numpy as np
arrays = [np.ones(25_000_000) for _ in range(5)]
del arrays
print(float(np.ones(150_000_000)[-1]))
"""


def test_limits_of_control_groups():
    group = pathlib.Path("/sys/fs/cgroup/covector-test")
    try:
        group.mkdir()
    except OSError:
        pytest.skip("this process may not make control groups")
    try:
        (group / "memory.max").write_text("1000M")
        code = f"echo $$ > {group}/cgroup.procs; exec {sys.executable} -c '{LIMITED}'"
        run = subprocess.run(["bash", "-c", code], capture_output=True, text=True)
    except OSError:
        pytest.skip("control groups here do not limit memory")
    finally:
        for _ in range(50):
            try:
                group.rmdir()
                break
            except OSError:
                time.sleep(0.1)
    assert run.returncode == 0, run.stderr
    assert float(run.stdout) == 1


def test_code_goes_with_its_programs(monkeypatch):
    monkeypatch.setattr(module._latest, "most", 2)
    codes = []

    def program(k):
        f = cv.jit(lambda x: np.sin(x * (k + 0.375)) - k)
        f(1.0)
        codes.extend(weakref.ref(c) for c in list(module._latest.values())[-1:])
        return f

    kept = program(100)
    for k in range(5):
        program(k)
    gc.collect()
    alive = [ref() for ref in codes if ref() is not None]
    # That of the function that is left, and the latest two.
    assert len(alive) == 3
    assert kept(2.0) == kept(2.0)
    del alive, kept
    cv.clear_caches()
    gc.collect()
    assert [ref() for ref in codes if ref() is not None] == []


def test_what_was_lowered_long_ago_goes(monkeypatch):
    lower, made = cpu.CpuBackend.lower, []

    def noted(*args):
        module = lower(*args)
        made.append(weakref.ref(module))
        return module

    monkeypatch.setattr(cpu.CpuBackend, "lower", noted)
    monkeypatch.setattr(execution, "_LOWERED", 3)
    functions = [cv.jit(lambda x, k=k: x * (k + 0.5)) for k in range(6)]
    results = [float(f(2.0)) for f in functions]
    gc.collect()
    assert [ref() is not None for ref in made] == [False] * 3 + [True] * 3
    assert "mul" in functions[0].lower(2.0).as_text("jaxpr") and len(made) == 7
    assert [float(f(2.0)) for f in functions] == results and len(made) == 7


def test_a_cache_of_the_latest():
    cache = Latest(3)
    for k in range(5):
        cache.add(k, str(k))
    assert list(cache) == [2, 3, 4]
    cache.add(2, "again")
    cache.add(5, "5")
    assert list(cache) == [4, 2, 5] and cache[2] == "again"


FRESH = """
import gc
import covector as cv, covector.numpy as np
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096 / 2**20
x = np.ones(10)
def some(first):
    for k in range(first, first + 60):
        c = k + 0.5
        cv.jit(lambda x: x * c)(x)
    cv.clear_caches()
    gc.collect()
some(0)
some(60)
sizes = [resident()]
for k in range(2, 6):
    some(60 * k)
    sizes.append(resident())
# A leak grows every time; the system's allocator now and then.
print(min(b - a for a, b in zip(sizes, sizes[1:])) / 60 * 1024)
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="asks Linux")
def test_programs_of_functions_that_are_gone_leave_little_behind():
    run = subprocess.run([sys.executable, "-c", FRESH], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    # KiB a program: LLVM's passes keep about two for themselves.
    assert float(run.stdout) < 6
