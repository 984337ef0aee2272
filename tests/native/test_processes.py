"""Collectives through shared memory: threads in place of processes, each with its own channel."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from .conftest import CODE

# Small, so that arrays of some thousand elements take many steps.
SLOT = 4096


@pytest.fixture(scope="module")
def processes(native):
    if not hasattr(native, "processes"):
        native.load_processes()
    return native.processes


class Team:
    """Channels of one segment."""

    def __init__(self, processes, n, slot=SLOT, whole=None, members=()):
        self.module, self.n = processes, n
        fd = os.memfd_create("test")
        os.ftruncate(fd, processes.segment_bytes(n, slot))
        self.channels = [
            processes.Channel(fd, k, n, slot, whole.channels[members[k]], list(members))
            if whole
            else processes.Channel(fd, k, n, slot)
            for k in range(n)
        ]
        os.close(fd)

    def call(self, rank, kind, x, shape, text=None, **options):
        """The result of one process, or what it is told."""
        x = np.ascontiguousarray(x)
        count = x.size // self.n if kind in ("reduce_scatter", "alltoall") else x.size
        text = f"{kind}({x.dtype}[{x.shape}])" if text is None else text
        plan = self.module.Plan(
            self.channels[rank], kind, text.encode(), count, x.itemsize, **options
        )
        out = np.empty(shape, x.dtype)
        status, peer = plan.run(x.reshape(-1).view("u1"), out.reshape(-1).view("u1"))
        return (status, peer) if status else out

    def run(self, f):
        """What f(rank) gives in all of them at once."""
        with ThreadPoolExecutor(self.n) as pool:
            return [f.result(60) for f in [pool.submit(f, k) for k in range(self.n)]]


FOLDS = {"sum": np.add, "prod": np.multiply, "max": np.maximum, "min": np.minimum}
KINDS = {"and": np.bitwise_and, "or": np.bitwise_or, "xor": np.bitwise_xor}
DTYPES = {
    "i8": "i1", "i16": "i2", "i32": "i4", "i64": "i8", "u8": "u1", "u16": "u2", "u32": "u4",
    "u64": "u8", "f16": "f2", "f32": "f4", "f64": "f8", "c64": "c8", "c128": "c16",
}  # fmt: skip


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_results(processes, n):
    team = Team(processes, n)
    rng = np.random.default_rng(n)
    for name, dtype in DTYPES.items():
        # Several steps for some dtypes: threads take their time to wait for each other.
        for size in (0, 3, 331) + ((4003,) if dtype in ("i1", "f2", "f4", "c16") else ()):
            xs = [(rng.normal(size=(n, size)) * 5).astype("f8").astype(dtype) for _ in range(n)]
            integers = np.dtype(dtype).kind in "iu"
            for op, fold in (FOLDS | KINDS if integers else FOLDS).items():
                wide = [x.astype("f4") if dtype == "f2" else x for x in xs]
                with np.errstate(over="ignore"):
                    want = wide[0]
                    for x in wide[1:]:
                        want = fold(want, x)
                    want = want.astype(dtype)
                options = {"code": CODE[name], "op": op}

                def near(a, b, op=op, dtype=dtype):
                    if op == "prod" and dtype[0] == "c":
                        return np.allclose(a, b, 1e-5)  # NumPy may round products at once
                    return a.tobytes() == b.tobytes()

                found = team.run(
                    lambda k, o=options, xs=xs: team.call(k, "allreduce", xs[k], xs[k].shape, **o)
                )
                assert all(near(x, want) for x in found), (dtype, size, op)
                found = team.run(
                    lambda k, o=options, xs=xs: team.call(
                        k, "reduce_scatter", xs[k], xs[k].shape[1:], **o
                    )
                )
                assert all(near(x, want[k]) for k, x in enumerate(found)), (dtype, size, op)


def test_bytes(processes):
    n = 3
    team = Team(processes, n)
    for size in (0, 1, 95, 96, 97, 4096, 4097, 30_000):
        xs = [np.random.default_rng(k).integers(0, 255, (n, size), "u1") for k in range(n)]

        def run(kind, shape, of=lambda k, xs=xs: xs[k], **options):
            def one(rank):
                own = {name: f(rank) for name, f in options.items()}
                return team.call(rank, kind, of(rank), shape, kind, **own)

            return team.run(one)

        assert all((x == np.stack(xs)).all() for x in run("allgather", (n, n, size)))
        assert all((x == xs[1]).all() for x in run("broadcast", (n, size), peer=lambda k: 1))
        for k, x in enumerate(run("alltoall", (n, size))):
            assert (x == np.stack([xs[j][k] for j in range(n)])).all()
        # From 0 to 2, and from 1 to itself.
        found = run("sendrecv", (n, size), peer=lambda k: (-1, 1, 0)[k], sends=lambda k: k == 0)
        assert (found[0] == 0).all() and (found[1] == xs[1]).all() and (found[2] == xs[0]).all()
        run("barrier", (0,), of=lambda k: np.empty(0, "u1"))


def test_in_place(processes):
    team = Team(processes, 3)
    for size in (1, 100, 5000):
        xs = [np.arange(size, dtype="f4") + k for k in range(3)]
        want = xs[0] + xs[1] + xs[2]

        def add(k, xs=xs):
            plan = processes.Plan(team.channels[k], "allreduce", b"", xs[k].size, 4, CODE["f32"])
            view = xs[k].view("u1")
            return plan.run(view, view)

        assert team.run(add) == [(0, -1)] * 3
        assert all((x == want).all() for x in xs)


def status(processes, name):
    return processes.statuses[name]


def barrier(team, rank, text="barrier"):
    return team.call(rank, "barrier", np.empty(0, "u1"), (0,), text)


def test_programs_that_differ(processes):
    team = Team(processes, 3)
    team.run(lambda k: barrier(team, k))
    found = team.run(lambda k: barrier(team, k, "one" if k == 1 else "the rest" * 100))
    assert found[1][0] == found[2][0] == found[0][0] == status(processes, "differs")
    assert found[0][1] == found[2][1] == 1
    assert team.channels[0].difference() == (2, 2, b"one")
    assert team.channels[1].difference() == (2, 2, (b"the rest" * 100)[:240])
    assert barrier(team, 0) == (status(processes, "unusable"), -1)


def test_circles(processes):
    """Of groups with the same members, that wait for each other."""
    whole = Team(processes, 4)
    groups = [Team(processes, 2, SLOT, whole, pair) for pair in ((0, 1), (1, 2), (2, 0))]
    whole.run(lambda k: barrier(whole, k))

    def call(k):
        if k == 3:
            return None
        group = groups[k]  # (0, 1) waits for 1, that for 2, that for 0
        found = barrier(group, 0, f"group {k}")
        for team in groups:  # who finds it tells all
            team.channels[0].fail()
        return found

    found = whole.run(call)[:3]
    assert (status(processes, "differs"), 1) in found
    differ = next(k for k in range(3) if found[k][0] == status(processes, "differs"))
    count, other, text = groups[differ].channels[0].difference()
    assert (count, other, text) == (1, 1, f"group {(differ + 1) % 3}".encode())


def test_failures_leaving_and_closing(processes):
    for end, name, peer in (
        (lambda team: team.channels[0].fail(), "failed", -1),
        (lambda team: team.channels[0].close(), "closed", -1),
        (lambda team: team.channels[1].close(), "left", 1),
    ):
        team = Team(processes, 2)
        found = []
        waiting = threading.Thread(target=lambda t=team, f=found: f.append(barrier(t, 0)))
        waiting.start()
        waiting.join(0.05)
        end(team)
        waiting.join(60)
        assert found == [(status(processes, name), peer)]


def test_sleepers_are_woken(processes):
    """One that comes late, again and again."""
    team = Team(processes, 3)

    def run(k):
        for number in range(6):
            if number % 3 == k:
                threading.Event().wait(0.03)
            assert barrier(team, k).size == 0
        return True

    assert team.run(run) == [True] * 3


def test_plans(processes):
    team = Team(processes, 2)
    channel = team.channels[0]
    for bad in (
        {"kind": "reduce"}, {"op": "mean"}, {"code": CODE["bool"]}, {"code": 99},
        {"op": "and", "code": CODE["f32"]}, {"count": -1}, {"peer": 2},
    ):  # fmt: skip
        options = {"kind": "allreduce", "text": b"", "count": 1, "itemsize": 4,
                   "code": CODE["f32"], "op": "sum", "peer": -1} | bad  # fmt: skip
        with pytest.raises(ValueError):
            processes.Plan(channel, **options)
    plan = processes.Plan(channel, "allreduce", b"text", 4, 4, CODE["f32"])
    assert plan.text == b"text" and plan.ident > 0
    with pytest.raises(ValueError, match="another size"):
        plan.run(bytes(16), bytearray(12))
    for bad in ((0, 2, 100), (2, 2, 4096), (0, 0, 4096)):
        with pytest.raises(RuntimeError):
            processes.Channel(0, *bad)


def test_half_precision(processes):
    """All numbers of 16 bits, their sums with others, and the rounding of them."""
    every = np.arange(1 << 16, dtype="u2")
    for code, dtype in ((CODE["f16"], "f2"), (CODE["bf16"], "bf16")):
        for other in (0, 1, 0x3C00, 0x0400, 0x7BFF, 0x8001, 0x3555):
            rows = [every, np.full_like(every, other)]
            out = np.empty_like(every)
            processes.reduce([r.view("u1") for r in rows], out.view("u1"), code, "sum")
            if dtype == "f2":
                a, b = (r.view("f2").astype("f4") for r in rows)
                with np.errstate(all="ignore"):
                    want = (a + b).astype("f2")
            else:
                import ml_dtypes

                a, b = (r.view(ml_dtypes.bfloat16).astype("f4") for r in rows)
                with np.errstate(all="ignore"):
                    want = (a + b).astype(ml_dtypes.bfloat16)
            numbers = ~np.isnan(want.astype("f4"))
            assert (out[numbers] == want.view("u2")[numbers]).all()
            found = out.view(want.dtype).astype("f4")
            assert (np.isnan(found) == ~numbers).all()
