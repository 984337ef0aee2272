"""The allocator, the thread pool, and behaviour across fork and exit."""

import ctypes
import os
import subprocess
import sys
import threading

import numpy as np
import pytest

from .conftest import CODE

BODY = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)
FOR = ctypes.CFUNCTYPE(None, ctypes.c_void_p, BODY, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)


def slot(native, i, prototype):
    table = (ctypes.c_void_p * 64).from_address(native.runtime_table())
    return prototype(table[i])


def chunks_of(native, n, grain, threads):
    seen, lock = [], threading.Lock()

    def body(frame, begin, end):
        with lock:
            seen.append((begin, end))

    old = native.num_threads()
    native.set_num_threads(threads)
    try:
        slot(native, 0, FOR)(None, BODY(body), None, n, grain)
    finally:
        native.set_num_threads(old)
    return sorted(seen)


def test_blocks_are_reused_and_trimmed(native):
    native.trim_allocator()
    before = native.allocator_stats()
    sizes = [1, 1000, 300_000, 5_000_000, 40_000_000]
    for _ in range(20):
        arrays = [native.empty(CODE["u8"], (n,)) for n in sizes]
        assert all(a.unsafe_buffer_pointer() % 64 == 0 for a in arrays)
        del arrays
    after = native.allocator_stats()
    assert after["bytes_in_use"] == before["bytes_in_use"]
    assert (
        after["system_allocations"] - before["system_allocations"] < 30 or not after["cache_limit"]
    )
    assert after["bytes_cached"] <= after["cache_limit"]
    native.trim_allocator()
    assert native.allocator_stats()["bytes_cached"] == 0


def test_runtime_alloc_and_free(native):
    alloc = slot(native, 6, ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_int64))
    free = slot(native, 7, ctypes.CFUNCTYPE(None, ctypes.c_void_p))
    before = native.allocator_stats()["bytes_in_use"]
    for n in (0, 1, 100, 3_000_000):
        p = alloc(n)
        assert p % 64 == 0
        ctypes.memset(p, 1, n)
        free(p)
    free(None)
    assert alloc(2**60) is None
    assert native.allocator_stats()["bytes_in_use"] == before


def test_allocation_from_many_threads(native):
    def work():
        rng = np.random.default_rng(threading.get_ident() % 2**32)
        held = []
        for n in rng.integers(0, 200_000, 2000):
            a = native.array_from_buffer(bytes(int(n)), CODE["u8"], (int(n),), False, False)
            held.append(a)
            if len(held) > 20:
                held.pop(int(n) % 20)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()


@pytest.mark.parametrize(
    "n, grain", [(0, 1), (1, 10), (10, 3), (100, 7), (64, 64), (65, 64), (5, 0)]
)
def test_chunks_depend_on_the_size_only(native, n, grain):
    step = max(grain, 1)
    expected = [(b, min(b + step, n)) for b in range(0, n, step)]
    for threads in (1, 2, 4):
        assert chunks_of(native, n, grain, threads) == expected


def test_nested_and_concurrent_loops(native):
    run = slot(native, 0, FOR)
    total, lock = [0], threading.Lock()

    def inner(frame, begin, end):
        with lock:
            total[0] += end - begin

    inner_body = BODY(inner)

    def outer(frame, begin, end):
        for _ in range(begin, end):
            run(None, inner_body, None, 10, 3)

    outer_body = BODY(outer)
    threads = [
        threading.Thread(target=lambda: [run(None, outer_body, None, 20, 1) for _ in range(5)])
        for _ in range(4)
    ]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert total[0] == 4 * 5 * 20 * 10


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_loops_and_memory_after_fork(native):
    assert len(chunks_of(native, 100, 1, 2)) == 100
    pid = os.fork()
    if pid == 0:
        try:
            ok = len(chunks_of(native, 100, 1, 2)) == 100
            native.empty(CODE["f32"], (1000, 1000))
            os._exit(0 if ok else 1)
        except BaseException:
            os._exit(2)
    assert os.waitpid(pid, 0)[1] == 0
    assert len(chunks_of(native, 100, 1, 2)) == 100


EXIT = """
import sys, threading, time
sys.path.insert(0, {path!r})
from tests.native import conftest
import numpy as np
native = conftest._load()
native.set_num_threads(2)
{body}
"""


def run_script(body, **env):
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    script = EXIT.format(path=root, body=body)
    return subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize(
    "body",
    [
        "keep = conftest.from_numpy(native, np.zeros(10), alias=True)",
        "from tests.native.test_memory import chunks_of; chunks_of(native, 100, 1, 2)",
        "a = np.asarray(conftest.from_numpy(native, np.zeros(1000000)))",
        "class Keep: pass\nk = Keep(); k.a = native.empty(11, (3,)); k.k = k",
        "native.swap_trace(object())",
        "f = native.JitFunction(lambda a, k: (f, None)); f.self = f; f()",
        "threading.Thread(target=lambda: [native.empty(11, (100,)) for _ in range(10**9)],"
        " daemon=True).start(); time.sleep(0.1)",
    ],
)
def test_exit_is_clean(body):
    result = run_script(body)
    assert result.returncode == 0, result.stderr


def test_number_of_threads_from_the_environment():
    body = "print(native.num_threads())"
    script = EXIT.replace("native.set_num_threads(2)", "")
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    out = subprocess.run(
        [sys.executable, "-c", script.format(path=root, body=body)],
        env={**os.environ, "COVECTOR_NUM_THREADS": "3"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert out.stdout.strip() == "3", out.stderr
