"""Work that nothing may break off, done aside: signal handlers, which may raise, run in the main
thread between any two of its steps.

LLVM's objects are made, used and given back in many steps, in an order. What such work is done for
the main thread is done by another, for which the main one waits. If a handler raises there, it goes
on at once; the work ends by itself and nobody looks at it.
"""

from __future__ import annotations

import _thread
import atexit
import contextlib
import importlib
import os
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

T = TypeVar("T")

# Held while a process is forked: no job begins.
_gate = threading.RLock()
# All that have not ended.
_jobs: set[_Job] = set()
# Locks that jobs take in other libraries; those that are held while a process is forked.
_locks: list[Any] = []
_held: list[Any] = []


class _Job:
    """A call that is made aside, and how it ended."""

    __slots__ = ("_do", "_ended", "_error", "_lost", "_result", "thread")

    def __init__(self, do: Callable[[], Any]) -> None:
        self._do = do
        self._ended = _thread.allocate_lock()
        self._ended.acquire()
        self._lost = False
        self._result: Any = None
        self._error: BaseException | None = None
        # Which one is at it.
        self.thread: int | None = None

    def run(self) -> None:
        try:
            with _gate:
                self.thread = _thread.get_ident()
            self._result = self._do()
        except BaseException as e:
            self._error = e
        _jobs.discard(self)
        self._ended.release()

    def lose(self) -> None:
        """No thread is at it: none could be started, or it is not in this child process."""
        self.thread = None
        self._lost = True
        self._ended.release()

    def wait(self) -> Any:
        """What it gave. A job without a thread is done by this one."""
        self._ended.acquire()
        if self._lost:
            self._lost = False
            self.run()
        if self._error is not None:
            raise self._error
        return self._result


def call(do: Callable[[], T]) -> T:
    """What a call gives that no signal handler breaks off."""
    return call_all([do])[0]


def call_all(jobs: Sequence[Callable[[], T]]) -> list[T]:
    """What several calls give, made at once by as many threads."""
    made = [_Job(do) for do in jobs]
    # Handlers run in the main thread alone.
    here = 0 if threading.current_thread() is threading.main_thread() else 1
    _jobs.update(made)
    for job in made[here:]:
        try:
            _thread.start_new_thread(job.run, ())
        except RuntimeError:  # the system gives no more, or the interpreter exits
            job.lose()
    for job in made[:here]:
        job.run()
    return [job.wait() for job in made]


def register(lock: Any) -> None:
    """Have a lock that jobs take, and never two of them, free in every child process."""
    _locks.append(lock)


def _others_work() -> bool:
    me = _thread.get_ident()
    return any(job.thread not in (None, me) for job in list(_jobs))


def _others_import() -> bool:
    me = _thread.get_ident()
    # Python makes its lock of the import system new in a child, but not those of modules.
    locks = getattr(getattr(importlib, "_bootstrap", None), "_module_locks", {})
    owners = [getattr(ref(), "owner", None) for ref in list(locks.values())]
    return any(owner not in (None, me) for owner in owners)


def _before_fork() -> None:
    """A process is not forked while a thread is at a job, or the child could never do one; nor
    while one imports a module, which then could never be imported there."""
    deadline = time.monotonic() + 5
    _gate.acquire()
    while _others_work() or (_others_import() and time.monotonic() < deadline):
        # What they are at may begin another.
        _gate.release()
        time.sleep(0.001)
        _gate.acquire()
    for lock in _locks:
        lock.__enter__()
        _held.append(lock)


def _after_fork() -> None:
    while _held:
        _held.pop().__exit__(None, None, None)
    _gate.release()


def _in_child() -> None:
    for job in list(_jobs):
        if job.thread != _thread.get_ident():
            job.lose()
    _after_fork()


@atexit.register
def _at_exit() -> None:
    """What an interrupt left behind ends before what it uses goes."""
    with contextlib.suppress(KeyboardInterrupt):
        while _others_work():
            time.sleep(0.001)


os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_in_child)
