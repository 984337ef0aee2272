"""Collectives that go on while the program computes."""

import gc
import time

import numpy as onp
import pytest

import covector as cv
import covector.numpy as np
from covector import lax
from covector.distributed.communicator import Line
from covector.sharding import PartitionSpec as P
from covector.sharding.partition import overlap
from covector.sharding.partition.collective import collective

from . import virtual

RANKS = (0, 1)


def names(jaxpr):
    return [eqn.primitive.name for eqn in jaxpr.eqns]


def overlapped(f, *args, sends=lambda ranks: True, worth=1):
    closed = cv.make_jaxpr(f)(*args)
    old, overlap._WORTH = overlap._WORTH, worth
    try:
        return overlap.overlapped(closed.jaxpr, sends)
    finally:
        overlap._WORTH = old


X = onp.ones((8, 8), "float32")


def test_a_sum_goes_on_while_something_is_computed():
    def f(x, w):
        y = np.exp(x)
        z = w @ w
        z = np.tanh(z)
        return collective(y, "sum", RANKS) + z

    assert names(overlapped(f, X, X)) == [
        "exp", "collective_start", "dot_general", "tanh", "collective_end", "add",
    ]  # fmt: skip
    # What each other's memory has is not waited for.
    assert names(overlapped(f, X, X, sends=lambda ranks: False))[-2:] == ["collective", "add"]
    assert "collective" in names(overlapped(f, X, X, worth=1e6))


def test_of_operands_and_alone_and_for_results():
    def f(x, w):
        z = np.tanh(w)
        y = collective(x, "sum", RANKS)
        return y, np.exp(z)

    assert names(overlapped(f, X, X)) == ["collective_start", "tanh", "exp", "collective_end"]
    assert names(overlapped(lambda x: collective(x, "sum", RANKS) + 1, X)) == ["collective", "add"]


def test_one_after_another():
    """The second needs the first; both go on during a product."""

    def f(x, w):
        y = collective(x, "sum", RANKS)
        a = w @ w
        z = collective(y, "gather", RANKS)
        return z, a @ w

    assert names(overlapped(f, X, X)) == [
        "collective_start", "dot_general", "collective_end", "collective_start", "dot_general",
        "collective_end",
    ]  # fmt: skip


def test_inside_of_loops():
    def f(x, w):
        def body(carry, _):
            y = collective(carry, "sum", RANKS)
            return np.tanh(w @ w) + y, None

        return lax.scan(body, x, None, length=3)[0]

    jaxpr = overlapped(f, X, X)
    (scan,) = (e for e in jaxpr.eqns if e.primitive.name == "scan")
    inner = names(scan.params["jaxpr"].jaxpr)
    assert inner.index("collective_start") < inner.index("tanh") < inner.index("collective_end")
    # A loop is as much work as its rounds.
    assert names(overlapped(f, X, X, worth=1e9)) == names(cv.make_jaxpr(f)(X, X).jaxpr)


def test_messages_are_sent_meanwhile(monkeypatch):
    """What is slow to send and what is slow to compute, neither of which needs the other."""
    sent, computed = [], []

    def slow(times):
        start = time.perf_counter()
        time.sleep(0.3)
        times.append((start, time.perf_counter()))

    class Slow(virtual.Engine):
        def _exchange(self, sends, receives, frame):
            if any(map(len, sends.values())):
                slow(sent)
            super()._exchange(sends, receives, frame)

    def program(x, w):
        wide = lax.with_sharding_constraint(x.sum(0), cv.NamedSharding(mesh, P()))
        z = cv.pure_callback(lambda w: slow(computed) or w, w, np.tanh(w))
        return wide + z

    monkeypatch.setattr(virtual, "Engine", Slow)
    mesh = virtual.mesh_of((2,), ("data",))
    x, w = onp.ones((4, 6), "float32"), onp.linspace(0, 1, 6, dtype="float32")
    closed = cv.make_jaxpr(program)(x, w)
    results, _ = virtual.run(monkeypatch, closed, [x, w], mesh, [P("data"), P()], [P()])
    for found in results.values():
        onp.testing.assert_allclose(found[0][1], x.sum(0) + onp.tanh(w), rtol=1e-6)
    assert len(sent) == len(computed) == 2
    assert max(a for a, _ in sent) < min(b for _, b in computed)
    assert max(a for a, _ in computed) < min(b for _, b in sent)


def test_a_line_keeps_the_order_and_its_errors():
    line, done = Line(), []

    def fails():
        done.append("fails")
        raise ValueError("no")

    def slow():
        time.sleep(0.05)
        done.append("slow")
        return onp.zeros(1)

    first, second = line.submit(slow), line.submit(fails)
    line.settle()
    assert done == ["slow", "fails"]
    assert first.result() == 0
    with pytest.raises(ValueError, match="no"):
        second.result()
    line.settle()
    inner = line.submit(lambda: line.settle() or onp.ones(1))
    assert inner.result() == 1


def test_the_thread_of_a_line_ends_with_it():
    line = Line()
    line.submit(lambda: onp.zeros(1)).result()
    thread = line._thread
    del line
    gc.collect()
    thread.join(10)
    assert not thread.is_alive()
