"""Collectives that compiled programs call, through shared memory without Python between."""

import signal
import time

import pytest

from tests.distributed import jobs

HEAD = """
from covector.distributed import shared
cv.config.update("enable_x64", True)
c = start()
cv.ffi.register_ffi_target("collective", shared.target())
kept = []

def program(g, kind, x, shape=None, **options):
    plan = g.plan(kind, x, **options)
    kept.append(plan)
    out = cv.ShapeDtypeStruct(x.shape if shape is None else shape, x.dtype)
    call = cv.ffi.ffi_call("collective", out, has_side_effect=True)
    return cv.jit(lambda x: call(x, plan=plan.ident))

def same(a, b):
    a, b = numpy.asarray(a), numpy.asarray(b)
    assert a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes(), (a, b)
"""


def test_results():
    """Programs and Python's calls take turns, and give the same."""
    program = (
        HEAD
        + """
reverse = c.group([2, 1, 0])
for g in (c, reverse):
    for dtype in ("bool", "int8", "uint16", "int32", "uint64", "float16", "bfloat16", "float32",
                  "float64", "complex64", "complex128"):
        for shape in ((), (5,), (0,), (150_001,)):
            x = (numpy.random.default_rng(at).normal(size=(3, *shape)) * 8).astype(dtype)
            row = x[0]
            op = "or" if dtype == "bool" else "sum"
            same(program(g, "allreduce", row, op=op)(row), g.allreduce(row, op))
            same(program(g, "allreduce", row, op="max")(row), g.allreduce(row, "max"))
            same(program(g, "reduce_scatter", x, shape, op=op)(x), g.reduce_scatter(x, op))
            same(program(g, "allgather", row, (3, *shape))(row), g.allgather(row))
            same(program(g, "alltoall", x)(x), g.alltoall(x))
            same(program(g, "broadcast", row, root=1)(row), g.broadcast(row, 1))
            pairs = [(0, 2), (1, 1)]
            same(program(g, "sendrecv", row, pairs=pairs)(row), g.sendrecv(row, pairs))
assert c.plan("allreduce", numpy.ones(3, "int4")) is None
for kind, x, options, text in (
    ("allreduce", numpy.ones(3, bool), {}, "booleans have no sum"),
    ("allreduce", numpy.ones(3), {"op": "mean"}, "takes an op of sum"),
):
    try:
        c.plan(kind, x, **options)
    except (TypeError, ValueError) as e:
        assert text in str(e), e
    else:
        raise AssertionError(text)

# In a loop, and many at once.
f = program(c, "allreduce", numpy.ones(1000))
once = cv.ffi.ffi_call("collective", cv.ShapeDtypeStruct((1000,), "f8"), has_side_effect=True)
loop = cv.jit(lambda x: cv.lax.fori_loop(0, 100, lambda i, y: once(y, plan=kept[-1].ident) / n, x))
same(loop(numpy.full(1000, 3.0)), numpy.full(1000, 3.0))
cd.shutdown()
try:
    f(numpy.ones(1000))
except cd.DistributedError as e:
    assert "after shutdown" in str(e)
else:
    raise AssertionError
print("done")
"""
    )
    assert jobs.run(3, program) == ["done\n"] * 3


def test_programs_that_differ():
    program = (
        HEAD
        + """
x = numpy.ones(4, "f4")
try:
    program(c, "allreduce", x)(x) if at else c.allgather(x)
    c.barrier()
except cd.CollectiveMismatchError as e:
    print(e)
"""
    )
    outputs = jobs.run(3, program)
    assert len(set(outputs)) == 1, outputs
    assert "allreduce(float32[4], 'sum')" in outputs[0] and "allgather(float32[4])" in outputs[0]


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_a_process_fails(how):
    program = (
        HEAD.replace("start()", "start(heartbeat_timeout_seconds=3)")
        + """
x = numpy.ones(100_000)
f = program(c, "allreduce", x)
for number in range(1_000_000_000):
    if number == 20:
        print("ready", flush=True)
    try:
        f(x)
    except cd.ProcessFailedError as e:
        print("found", e.process, flush=True)
        break
"""
    )
    with jobs.Job(3, program) as job:
        for at in range(3):
            assert job[at].line() == "ready"
        job[1].kill(how)
        outputs, codes = job.wait(59, [0, 2])
    assert outputs == {0: "found 1\n", 2: "found 1\n"} and codes == {0: 0, 2: 0}


def test_interrupts():
    """Ctrl-C ends what waits for a process that does not come."""
    program = (
        HEAD
        + """
x = numpy.ones(100_000)
f = program(c, "allreduce", x)
f(x)
if at == 0:
    print("waits", flush=True)
    try:
        f(x) if SEED else c.allreduce(x)
    except KeyboardInterrupt:
        print("interrupted", flush=True)
    try:
        c.barrier()
    except cd.DistributedError as e:
        print("was interrupted" in str(e), flush=True)
else:
    time.sleep(600)
"""
    )
    for compiled in (0, 1):
        with jobs.Job(2, program.replace("SEED", str(compiled))) as job:
            assert job[0].line() == "waits"
            time.sleep(0.3)  # it waits for much longer
            job[0].kill(signal.SIGINT)
            assert job[0].line() == "interrupted"
            assert job[0].line() == "True"


OVERLAPPED = """
import covector.numpy as np
from covector.sharding import NamedSharding, PartitionSpec as P
c = start(heartbeat_timeout_seconds=3)
mesh = cv.make_mesh((n,), ("data",), (cv.sharding.AxisType.Auto,))
split, whole = NamedSharding(mesh, P("data")), NamedSharding(mesh, P())
x = numpy.arange(n * 300_000, dtype="f4").reshape(n, -1)
w = numpy.full((512, 512), 1 / 512, "f4")
ends = False

def watched(w):
    if ends == "raises":
        raise ValueError("in between")
    if ends == "dies" and at == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return w

@cv.jit
def f(x, w):
    total = cv.lax.with_sharding_constraint(x.sum(0), whole)
    for _ in range(4):
        w = np.tanh(w @ w)
    w = cv.pure_callback(watched, w, w)
    return total, w

a, b = cv.device_put(x, split), cv.device_put(w, whole)
want = x.sum(0)
"""


def test_sums_that_go_on_meanwhile():
    """An error between start and end of a sum leaves it to itself, and the next call is right."""
    program = (
        OVERLAPPED
        + """
import threading
started = []
submit = type(c.line).submit
type(c.line).submit = lambda self, call: started.append(1) or submit(self, call)
for ends in (False, "raises", False, False):
    try:
        total, _ = f(a, b)
    except ValueError as e:
        assert "in between" in str(e)
    else:
        numpy.testing.assert_array_equal(total, want)
    same = c.allreduce(numpy.ones(3)), c.allgather(numpy.arange(50_000))
    assert (same[0] == n).all() and same[1].shape == (n, 50_000)
print(len(started))
"""
    )
    assert jobs.run(2, program, env=jobs.MESSAGES) == ["4\n"] * 2


def test_a_process_fails_while_a_sum_goes_on():
    program = (
        OVERLAPPED
        + """
f(a, b)
ends = "dies"
try:
    f(a, b)
    c.barrier()
except cd.ProcessFailedError as e:
    print("found", e.process)
"""
    )
    with jobs.Job(2, program, env=jobs.MESSAGES) as job:
        outputs, _ = job.wait(59, [0])
    assert outputs == {0: "found 1\n"}
