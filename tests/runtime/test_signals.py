"""Signals that arrive while compiled code runs, while it is compiled, and in several threads."""

import os
import re
import signal
import subprocess
import sys
import threading
import time

import pytest

import covector as cv
import covector.numpy as np
from covector import lax


@pytest.fixture(autouse=True)
def interrupts_raise():
    """Where tests are run by several processes, these ignore interrupts."""
    old = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, old)


# Programs that run for minutes, or for ever, unless something ends them.
ENDLESS = {
    "while of a scalar": (lambda x: lax.while_loop(lambda s: s > 0, lambda s: s * 1.0, x), ()),
    "scan of a large array": (
        lambda x: lax.scan(lambda c, _: (np.sin(c), None), x, None, length=100_000)[0],
        (3_000_000,),
    ),
    "loop around a loop": (
        lambda x: lax.fori_loop(
            0, 10**8, lambda i, v: lax.fori_loop(0, 50, lambda j, w: w * 0.9 + 1, v), x
        ),
        (),
    ),
    "loop around a library call": (
        lambda x: lax.fori_loop(0, 10**7, lambda i, v: np.sort(-v), x),
        (10_000,),
    ),
    "while of a batch": (
        cv.vmap(lambda x: lax.while_loop(lambda s: s < 1e9, lambda s: s + 1.0, x)),
        (16,),
    ),
    "one parallel loop": (
        lambda x: np.sum(np.sin(x[:, None] * x + np.cos(x) ** 1.7), axis=1),
        (200_000,),
    ),
    "a scatter in a loop": (
        lambda x: lax.fori_loop(0, 10**8, lambda i, v: v.at[i % 7].add(1.0), x),
        (16,),
    ),
}


def _interrupted_after(seconds, run):
    """How long after a signal ``run`` ended with KeyboardInterrupt."""
    sent = []

    def interrupt():
        sent.append(time.perf_counter())
        os.kill(os.getpid(), signal.SIGINT)

    timer = threading.Timer(seconds, interrupt)
    with pytest.raises(KeyboardInterrupt):
        try:
            timer.start()
            run()
        finally:
            ended = time.perf_counter()
            timer.cancel()
            timer.join()
    return ended - sent[0]


@pytest.mark.parametrize("name", ENDLESS)
def test_an_interrupt_ends_a_compiled_program(name):
    fun, shape = ENDLESS[name]
    x = np.full(shape, 0.5)
    compiled = cv.jit(fun).lower(x).compile()
    # 0.2 s is what users are told; a machine that does more at once may take longer.
    assert _interrupted_after(0.1, lambda: cv.block_until_ready(compiled(x))) < 1.0
    # Everything works afterwards.
    assert float(np.sum(np.ones(100_000))) == 100_000
    assert float(cv.jit(lambda x: lax.fori_loop(0, 10, lambda i, v: v + 1, x))(0.0)) == 10


def test_a_handler_may_compute():
    seen = []
    old = signal.signal(signal.SIGUSR1, lambda *_: seen.append(float(np.sum(np.ones(50_000)))))
    compiled = cv.jit(lambda n: lax.fori_loop(0, n, lambda i, v: np.sin(v) + 1e-9, 0.5))
    compiled(10)
    try:
        timer = threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGUSR1))
        timer.start()
        n = 1_000_000
        while not seen:
            compiled(n)
            n *= 2
        timer.join()
    finally:
        signal.signal(signal.SIGUSR1, old)
    assert seen == [50_000.0]


def test_other_threads_are_not_interrupted():
    compiled = cv.jit(lambda x: lax.fori_loop(0, 30_000_000, lambda i, v: v * 0.5 + 1, x))
    want = compiled(1.0).item()
    results = []
    thread = threading.Thread(target=lambda: results.append(compiled(1.0).item()))
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(1)
    thread.join()
    assert results == [want]


# Programs of small arguments: nothing says that they run long before they do.
LONG = {
    "loop": lambda x: lax.fori_loop(0, x.astype(np.int32), lambda i, v: v * 0.5 + 1, x),
    "serial": lambda x: np.cumsum(np.sin(lax.iota(np.float32, 30_000_000) * x))[-1],
    "parallel": lambda x: np.sum(np.sin(lax.iota(np.float32, 100_000_000) * x)),
}


@pytest.mark.parametrize("name", LONG)
def test_other_threads_go_on_beside_a_long_program(name):
    compiled = cv.jit(LONG[name])
    compiled(3.0)
    ticks, done = [], threading.Event()

    def tick():
        while not done.is_set():
            ticks.append(time.perf_counter())
            time.sleep(0.001)

    thread = threading.Thread(target=tick)
    thread.start()
    start = time.perf_counter()
    compiled(1e8)
    end = time.perf_counter()
    done.set()
    thread.join()
    assert len([t for t in ticks if start < t < end]) > 4


COMPILING = """
import os, signal, threading, time
signal.signal(signal.SIGINT, signal.default_int_handler)
import covector as cv, covector.numpy as np
cv.jit(lambda x: x * 2)(1.0)
def chain(k):
    return cv.jit(lambda x: np.sum(np.sin(x * (k + 0.5)) ** 2))
chain(-1)(1.0)  # what is interrupted in an import may be anything
lost = 0
for k in range(40):
    timer = threading.Timer(0.0005 * (k % 20), os.kill, (os.getpid(), signal.SIGINT))
    try:
        timer.start()
        until = time.perf_counter() + 0.03
        while time.perf_counter() < until:
            chain(k)(1.0)
        timer.join()
        time.sleep(0.01)
        lost += 1
    except KeyboardInterrupt:
        pass
    timer.join()
    assert float(chain(-k)(1.0)) == float(chain(-k)(1.0))
print("lost", lost)
"""


def test_an_interrupt_while_compiling_is_not_lost():
    run = subprocess.run([sys.executable, "-c", COMPILING], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    # What arrives in a finalizer that the collector runs is ignored by Python itself.
    assert int(run.stdout.split()[1]) <= 1, run.stderr


FIRST_PRODUCT = """
import threading
import covector.numpy as np
errors, start = [], threading.Barrier(16)
def work():
    start.wait()
    try:
        assert float((np.ones((20, 20)) @ np.ones((20, 20))).sum()) == 8000
        np.linalg.inv(np.eye(3))
    except BaseException as e:
        errors.append(repr(e))
threads = [threading.Thread(target=work) for _ in range(16)]
[t.start() for t in threads]
[t.join() for t in threads]
assert not errors, errors[0]
"""


def test_first_use_of_blas_by_many_threads():
    for _ in range(3):
        run = subprocess.run([sys.executable, "-c", FIRST_PRODUCT], capture_output=True, text=True)
        assert run.returncode == 0, run.stderr


SUBINTERPRETER = """
import covector as cv
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters
cv.jit(lambda x: x)(1.0)
other = interpreters.create()
try:
    failed = str(interpreters.run_string(other, "import covector"))
except Exception as e:
    failed = str(e)
assert "main interpreter" in failed or "subinterpreters" in failed, failed
assert float(cv.jit(lambda x: x + 1)(2.0)) == 3
"""


def test_a_sub_interpreter_is_refused_and_breaks_nothing():
    run = subprocess.run([sys.executable, "-c", SUBINTERPRETER], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize("length", [100_000, 1_000_000])
def test_the_work_of_a_round_does_not_depend_on_the_number_of_rounds(length):
    def step(carry, _):
        carry = np.stack([carry[1], carry[0] * 0.9])
        return carry, carry

    def run(x):
        return lax.scan(step, x, None, length=length)

    text = cv.jit(run).lower(np.ones(2)).as_text("llvm")
    left = re.search(r"store i64 65536, ptr (%\w+)\n", text)[1]
    done = re.search(rf"(%\w+) = load i64, ptr {left}\n  %\w+ = sub i64 \1, (.+)\n", text)[2]
    # Rounds are counted in stretches: their number times the work of one.
    work = re.search(rf"{done} = mul i64 (?:%\w+, (\d+)|(\d+), %\w+)\n", text)
    assert int(work[1] or work[2]) < 100
