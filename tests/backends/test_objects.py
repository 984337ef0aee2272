"""Object code of programs in parts."""

import _thread
import contextlib
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as onp
import pytest

import covector as cv
import covector.numpy as np
from covector import _native
from covector.backends.cpu import aside, codegen, objects
from covector.backends.cpu.generate import llvm_text
from covector.backends.cpu.texts import ALONE
from covector.compiler.lower.lowering import lower
from covector.compiler.passes import simplify
from covector.core.config import override

if not _native.loads_code:
    pytest.skip("programs are compiled whole here", allow_module_level=True)

X = onp.random.default_rng(0).normal(size=(300, 70)).astype(onp.float32)


def many_loops(x, last=1.0):
    """Loops that are not alike, of which the last has a number of its own."""
    y = np.tanh(x) @ np.exp(-x.T)
    z = np.sort(np.sin(y) * np.cos(y) + np.sqrt(abs(y)), axis=0)
    w = np.cumsum(np.arctan(z) - np.log1p(z * z), axis=1)
    return [(np.exp(last * w) / (1 + np.exp(-w))).sum(0), w.max(1), z.std(0)]


def text_of(f, *args):
    closed = cv.make_jaxpr(f)(*args)
    return llvm_text(lower(simplify(closed), "f").program)[0]


@pytest.fixture
def fresh():
    cv.clear_caches()
    objects.statistics.update({"parts compiled": 0, "parts found": 0})
    yield objects.statistics
    cv.clear_caches()


def whole(monkeypatch):
    monkeypatch.setattr("covector.backends.cpu.texts.Text.parts", lambda self: [self.whole])


def test_parts_depend_on_the_text_alone():
    text = text_of(many_loops, X)
    parts = text.parts()
    names = [p.name for p in parts]
    assert names[0] == "" and len(names) > 3 and len(set(names)) == len(names)
    assert text_of(many_loops, X).parts() == parts
    longest = {f.name for f in text.functions if f.length >= ALONE and f.name != "entry"}
    assert longest == set(names[1:])


def test_short_programs_are_one_part():
    text = text_of(lambda x: x * 2 + 1, X)
    assert [p.name for p in text.parts()] == [""]
    assert text.parts()[0].text == text.text


def test_results_are_those_of_the_whole(fresh, monkeypatch):
    with override(enable_compilation_cache=False):
        got = cv.jit(many_loops)(X)
        assert fresh["parts compiled"] > 3
        cv.clear_caches()
        whole(monkeypatch)
        want = cv.jit(many_loops)(X)
    for g, w in zip(got, want, strict=True):
        onp.testing.assert_array_equal(g, w)


@pytest.mark.parametrize("where", ["memory", "disk"])
def test_a_changed_program_compiles_what_has_changed(fresh, tmp_path, where):
    with override(compilation_cache_dir=str(tmp_path), enable_compilation_cache=True):
        cv.jit(many_loops)(X)
        first = dict(fresh)
        assert first["parts found"] == 0
        if where == "disk":
            cv.clear_caches()
            assert not objects._latest
        got = cv.jit(lambda x: many_loops(x, 0.25))(X)
        assert fresh["parts found"] >= first["parts compiled"] - 3
        assert fresh["parts compiled"] <= first["parts compiled"] + 2
    with cv.disable_jit():
        for g, w in zip(got, many_loops(X, 0.25), strict=True):
            onp.testing.assert_allclose(g, w, rtol=1e-4, atol=1e-4)


def test_parts_that_fail(fresh):
    texts = [p.text for p in text_of(many_loops, X).parts()]
    bad = [*texts[:2], "define void @function() { nonsense }", *texts[2:]]
    with pytest.raises(RuntimeError, match="nonsense"):
        codegen.compile_objects(bad, 2)
    assert len(codegen.compile_objects(texts, 2)) == len(texts)


@pytest.fixture
def slow(monkeypatch):
    """Code whose generation takes a while; what began, and what ended."""
    emitted = codegen._emitted
    began, ended = [], []

    def slowly(machine, module):
        assert threading.current_thread() is not threading.main_thread()
        began.append(threading.get_ident())
        time.sleep(0.3)
        try:
            return emitted(machine, module)
        finally:
            ended.append(threading.get_ident())

    monkeypatch.setattr(codegen, "_emitted", slowly)
    return began, ended


@contextlib.contextmanager
def signalled(handler, began):
    """A signal, handled by a function in the main thread, when something has begun."""

    def send():
        while not began:
            time.sleep(0.001)
        os.kill(os.getpid(), signal.SIGUSR1)

    old = signal.signal(signal.SIGUSR1, handler)
    sender = threading.Thread(target=send)
    try:
        sender.start()
        yield
    finally:
        sender.join()
        signal.signal(signal.SIGUSR1, old)


def test_an_interrupt_does_not_wait_for_llvm(fresh, slow, monkeypatch):
    began, ended = slow
    texts = [p.text for p in text_of(many_loops, X).parts()]
    with pytest.raises(KeyboardInterrupt), signalled(signal.default_int_handler, began):
        codegen.compile_objects(texts, 2)
    assert began and not ended
    monkeypatch.undo()
    # Beside what still goes on, and what it was at is not begun anew.
    assert len(codegen.compile_objects(texts, 2)) == len(texts)
    while aside._others_work():
        time.sleep(0.01)
    assert len(ended) == len(began) <= _native.num_threads()


def test_a_handler_may_compile_while_something_is_compiled(fresh, slow):
    texts = [p.text for p in text_of(many_loops, X).parts()]
    inner = []
    with signalled(lambda *_: inner.append(codegen.compile_objects(texts[:1], 2)), slow[0]):
        outer = codegen.compile_objects(texts, 2)
    assert inner == [outer[:1]]


def test_a_handler_may_fork_while_something_is_compiled(fresh, slow):
    texts = [p.text for p in text_of(many_loops, X).parts()]
    want = codegen.compile_objects(texts, 2)
    slow[0].clear()
    slow[1].clear()
    here = os.getpid()
    child = []
    with signalled(lambda *_: child.append(os.fork()), slow[0]):
        try:
            # What was compiled when it was forked has ended, which is seen there too.
            right = codegen.compile_objects(texts, 2) == want
        finally:
            if os.getpid() != here:
                os._exit(0 if right and slow[1] else 1)
    assert right
    assert os.waitstatus_to_exitcode(os.waitpid(child[0], 0)[1]) == 0


def test_where_no_thread_can_be_started(fresh, monkeypatch):
    def start(*_):
        raise RuntimeError("can't start new thread")

    texts = [p.text for p in text_of(many_loops, X).parts()]
    monkeypatch.setattr(_thread, "start_new_thread", start)
    assert len(codegen.compile_objects(texts, 2)) == len(texts)


def test_what_an_interrupt_leaves_ends_before_the_interpreter():
    run = subprocess.run(
        [sys.executable, "-c", ABANDONED], capture_output=True, text=True, timeout=60
    )
    assert (run.returncode, run.stdout) == (0, "interrupted\nended\n"), run.stderr


ABANDONED = """
import signal, time
from covector.backends.cpu import aside
def work():
    time.sleep(0.5)
    print("ended", flush=True)
signal.signal(signal.SIGALRM, signal.default_int_handler)
signal.setitimer(signal.ITIMER_REAL, 0.1)
try:
    aside.call(work)
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


@pytest.mark.parametrize("lock", [True, False])
def test_objects_are_the_same_on_one_thread(fresh, monkeypatch, lock):
    texts = [p.text for p in text_of(many_loops, X).parts()]
    together = codegen.compile_objects(texts, 2)
    assert [codegen.compile_objects([t], 2)[0] for t in texts] == together
    if lock:  # another llvmlite may have no way around its lock
        from llvmlite.binding import ffi

        class Functions:
            def __getattr__(self, name, lib=ffi.lib):
                function = getattr(lib, name)
                return lambda *args: function(*args)

        monkeypatch.setattr(ffi, "lib", Functions())
        assert codegen.compile_objects(texts, 2) == together


@pytest.mark.parametrize("damage", [b"", b"\x00", b"[nonsense"])
def test_damaged_code_is_not_loaded(damage):
    with pytest.raises(ValueError, match="object code that cannot be loaded"):
        objects.load(objects._MAGIC + damage)
