"""Collectives of processes: results, to the bit, for every dtype, on all engines."""

import functools
import re
import subprocess
import sys
import time

import pytest

from tests.distributed import jobs

RESULTS = """
import hashlib, ml_dtypes
c = start()
assert cv.process_index() == at and cv.process_count() == n == c.size
assert cv.process_indices() == list(range(n)) and c.rank == at
assert [d.process_index for d in cv.devices()] == list(range(n)) == [d.id for d in cv.devices()]
assert cv.local_devices(at) == cv.local_devices() == [cv.devices()[at]]
assert cv.local_devices(process_index=(at + 1) % n) == [cv.devices()[(at + 1) % n]]
assert isinstance(c, cd.Communicator)
sums = hashlib.sha256()

def values(k, shape, dtype):
    r = numpy.random.default_rng(k)
    x = r.normal(size=shape) * 8
    if numpy.dtype(dtype).kind == "c":
        x = x + 1j * r.normal(size=shape)
    return (x > 0 if dtype == "bool" else abs(x) if "u" in dtype else x).astype(dtype)

def same(x, y):
    assert type(x) is numpy.ndarray and x.dtype == y.dtype and x.shape == y.shape, (x, y)
    assert x.tobytes() == y.tobytes(), (x, y)

def in_order(f, xs, dtype):
    # In the order of the processes; short numbers are rounded once.
    short = numpy.dtype(dtype).itemsize <= 2 and ("float" in str(dtype) or dtype == "f2")
    xs = [x.astype("f4") if short else x for x in xs]
    return functools.reduce(f, xs).astype(dtype)

import functools
numpy.seterr(over="ignore", invalid="ignore")  # of short numbers
DTYPES = ("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
          "float16", "float32", "float64", "complex64", "complex128", "bfloat16",
          "float8_e4m3fn", "float8_e5m2", "int4", "uint4")
for dtype in DTYPES:
    for shape in ((), (0,), (1,), (3, 5), (0, 4), (50001,), (130, 129)):
        xs = [values(k, shape, dtype) for k in range(n)]
        mine, exact = xs[at], numpy.dtype(dtype).kind in "biu" or "int" in dtype
        for op, f in (("sum", numpy.add), ("max", numpy.maximum), ("min", numpy.minimum),
                      ("prod", numpy.multiply), ("or", numpy.bitwise_or)):
            if dtype == "bool" and op in ("sum", "prod"):
                continue
            if op == "or" and numpy.dtype(dtype).kind not in "biu":
                continue
            if op in ("max", "min"):
                want = functools.reduce(f, xs)
            else:
                want = in_order(f, xs, dtype)
            got = c.allreduce(mine, op)
            if op == "prod" and numpy.dtype(dtype).kind == "c":
                # NumPy rounds products of single numbers and of vectors differently.
                assert numpy.allclose(got, want, 1e-5) and got.shape == shape
            else:
                same(got, numpy.asarray(want, dtype))
            sums.update(got.tobytes())
        same(c.allgather(mine), numpy.stack(xs))
        for root in range(n):
            same(c.broadcast(mine, root), xs[root])
        ring = [(i, (i + 1) % n) for i in range(n)]
        same(c.sendrecv(mine, ring), xs[at - 1])
        same(c.sendrecv(mine, [(0, n - 1)]), xs[0] if at == n - 1 else numpy.zeros_like(mine))
        same(c.sendrecv(mine, [(at_, at_) for at_ in range(n)]), mine)
        if dtype != "bool":
            stack = [numpy.stack([x] * n) for x in xs]
            same(c.reduce_scatter(stack[at]), in_order(numpy.add, xs, dtype))
        rows = [values(k + 100, (n, *shape), dtype) for k in range(n)]
        same(c.alltoall(rows[at]), numpy.stack([rows[k][at] for k in range(n)]))
    c.barrier()

# Arrays that are not contiguous, of the other byte order, of the library; numbers and lists.
x = numpy.arange(20000.0).reshape(100, 200)
same(c.allreduce(x.T), (x.T * n).copy())
same(c.allreduce(x[::2, ::3]), (x[::2, ::3] * n).copy())
same(c.allreduce(x.astype(">f8")), x * n)
same(c.allgather(cv.numpy.arange(3)), numpy.stack([numpy.arange(3, dtype="i4")] * n))
assert c.allreduce(2).item() == 2 * n and c.allreduce([1.0, 2.0]).tolist() == [n, 2 * n]
nan = numpy.where(at == 0, numpy.nan, numpy.ones(5000))
assert numpy.isnan(c.allreduce(nan, "max")).all()

# Errors before anything is sent leave the others in step.
for call, text in (
    (lambda: c.allreduce(x, "mean"), "op of sum, prod"),
    (lambda: c.allreduce(numpy.ones(3, bool)), "booleans have no sum"),
    (lambda: c.allreduce(x, "xor"), "of booleans and integers, got float64[100,200]"),
    (lambda: c.allgather(numpy.array([None])), "arrays of numbers, got one of dtype object"),
    (lambda: c.broadcast(x, root=n), f"root={n} is none of the {n}"),
    (lambda: c.alltoall(numpy.ones(n + 1)), f"a row for each of {n}"),
    (lambda: c.sendrecv(x, [(0, 1), (0, 0)]), "twice"),
    (lambda: c.sendrecv(x, [(0, n)]), "none of the"),
):
    try:
        call()
    except (TypeError, ValueError) as e:
        assert text in str(e), e
    else:
        raise AssertionError(text)
c.agree("the program", b"1")
c.barrier()
print(sums.hexdigest())
cd.shutdown()
assert not cd.is_initialized() and cv.process_count() == 1 and cv.process_index() == 0
"""


@functools.cache
def by_hand(n):
    return [text.strip() for text in jobs.run(n, RESULTS, env=jobs.SHARED)]


@pytest.mark.parametrize("n", [2, 3, 4])
def test_results(n):
    digests = by_hand(n)
    assert len(set(digests)) == 1 and len(digests[0]) == 64, digests


def test_results_of_messages_are_the_same():
    assert [text.strip() for text in jobs.run(3, RESULTS, env=jobs.MESSAGES)] == by_hand(3)


def launched(n, program, env, timeout=180, check=True):
    """The lines of all processes of a program under mpirun, in any order."""
    command = jobs.mpirun()
    if command is None:
        pytest.skip("there is no mpirun")
    pytest.importorskip("mpi4py")
    found = subprocess.run(
        [*command, "-n", str(n), sys.executable, "-c", jobs.launched_code(n, program)],
        capture_output=True, text=True, timeout=timeout,
        env={**jobs.environment(), "TEST_LAUNCHED": "1", **env},
    )  # fmt: skip
    assert not check or found.returncode == 0, found.stdout + found.stderr
    return found


@pytest.mark.parametrize("n, env", [(2, jobs.SHARED), (4, jobs.MESSAGES)])
def test_results_of_mpi_are_the_same(n, env):
    # Launchers may join the lines of two processes.
    assert re.findall("[0-9a-f]{64}", launched(n, RESULTS, env).stdout) == by_hand(n)


GROUPS = """
c = start()
x = numpy.arange(3) + 10 * at
rows = [[0, 1], [2, 3]]
columns = [[2, 0], [3, 1]]
row, column = c.group(rows[at // 2]), c.group(columns[at % 2])
assert isinstance(row, cd.Communicator) and row.size == column.size == 2
assert row.rank == at % 2 and row.members == tuple(rows[at // 2])
assert column.rank == 1 - at // 2 and column.members == tuple(columns[at % 2])

def same(a, b):
    assert a.tobytes() == b.tobytes(), (a, b)

a, b = (numpy.arange(3) + 10 * k for k in rows[at // 2])
big = numpy.arange(50_000) + at
for _ in range(at // 2 + 1):  # groups of other processes may call more of them
    same(row.allreduce(x), a + b)
    same(row.allreduce(big), 2 * big + (1 - 2 * (at % 2)))
same(row.allgather(x), numpy.stack([a, b]))
same(row.broadcast(x, 1), b)
same(row.sendrecv(x, [(0, 1)]), a if at % 2 else 0 * a)
same(row.alltoall(numpy.stack([x, x + 1])), numpy.stack([a, b]) + at % 2)
row.barrier()
row.agree("what", b"the row")
same(column.broadcast(x, 0), numpy.arange(3) + 10 * columns[at % 2][0])
# In the order of its members, which is that of the sum.
f = numpy.float32([1e8, 1.0, -1e8, 0.0][at])
assert c.group([3, 2, 1, 0]).allreduce(f) == numpy.float32(numpy.float32(-1e8 + 1.0) + 1e8)
same(column.allgather(x)[column.rank], x)
deep = c.group([3, 1, 0, 2]).group([0, 2] if at in (3, 0) else [3, 1])
assert deep.members == ((3, 0) if at in (3, 0) else (2, 1)), deep.members
same(deep.allgather(numpy.int64(at)), numpy.asarray(deep.members))
own = c.group([at])
same(own.allreduce(x), x)
own.barrier()
same(c.allreduce(numpy.int64(at)), numpy.int64(6))
for members, text in (
    ([at, at], "different numbers from 0 to 3"),
    ([at, 4], "different numbers from 0 to 3"),
    ([(at + 1) % 4], f"process {at} is none of [{(at + 1) % 4}]"),
):
    try:
        c.group(members)
    except ValueError as e:
        assert text in str(e), e
    else:
        raise AssertionError(text)
again = c.group(rows[at // 2])
try:
    c.barrier()
    # Two groups of the same processes are two.
    (row if at % 2 else again).barrier() if at > 1 else c.barrier()
    c.barrier()
except cd.CollectiveMismatchError as e:
    assert "in group 1 of the processes [2, 3]" in str(e), e
    assert "process 3 calls" in str(e) and "process 2 calls" in str(e), e
    print("found", flush=True)
"""


@pytest.mark.parametrize("env", [jobs.SHARED, jobs.MESSAGES])
def test_groups(env):
    assert jobs.run(4, GROUPS, env=env) == ["found\n"] * 4


def test_a_member_that_makes_another_group():
    program = """
    c = start(initialization_timeout=10)
    try:
        c.group([1, 0] if at == 1 else [0, 1])
    except cd.ProcessTimeoutError as e:
        print(e)
    """
    outputs = jobs.run(2, program, env=jobs.SHARED)
    assert "not all of the processes [0, 1] have made this group within 10 s" in outputs[0]
    assert "not all of the processes [1, 0] have made this group within 10 s" in outputs[1]


def test_groups_of_mpi():
    assert launched(4, GROUPS, jobs.MESSAGES, check=False).stdout.count("found") == 4


def test_programs_that_differ_under_mpi():
    program = """
    c = start()
    try:
        c.allreduce(numpy.ones(3)) if at else c.allgather(numpy.ones(3))
    except cd.CollectiveMismatchError as e:
        print("found:", e, flush=True)
    """
    found = launched(2, program, jobs.MESSAGES, check=False)
    lines = [s for s in found.stdout.splitlines() if s.startswith("found:")]
    assert len(lines) == 2 and lines[0] == lines[1], found
    assert "allreduce(float64[3], 'sum')" in lines[0] and "allgather(float64[3])" in lines[0]


def test_mpi_is_another_one(tmp_path):
    """As where the launcher belongs to another MPI: each process is alone for MPI."""
    if jobs.mpirun() is None:
        pytest.skip("there is no mpirun")
    pytest.importorskip("mpi4py")
    code = "import covector as cv; cv.distributed.initialize()"
    env = {**jobs.environment(), "OMPI_COMM_WORLD_RANK": "0", "OMPI_COMM_WORLD_SIZE": "2"}
    found = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=120
    )
    assert found.returncode == 1
    assert "mpi4py takes it for 0 of 1: it uses another MPI" in found.stderr


def test_mpi_is_absent():
    code = """
import sys
sys.modules["mpi4py"] = None
import covector as cv
cv.distributed.initialize()
"""
    env = {**jobs.environment(), "OMPI_COMM_WORLD_RANK": "0", "OMPI_COMM_WORLD_SIZE": "2"}
    found = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=120
    )
    assert found.returncode == 1
    assert "pip install 'mpi4py>=4.1'" in found.stderr


def test_twice_in_any_order():
    program = """
    for _ in range(3):
        c = start()
        try:
            start()
        except RuntimeError as e:
            assert f"process {at} of {n}" in str(e)
        else:
            raise AssertionError
        assert c.allreduce(1).item() == n
        time.sleep(0.2 * (at if _ == 1 else n - at))
        cd.shutdown()
    print("done")
    """
    assert jobs.run(3, program) == ["done\n"] * 3


def test_programs_without_shutdown():
    program = """
    c = start()
    c.barrier()
    time.sleep(0.5 * at)
    print("done")
    """
    before = time.monotonic()
    assert jobs.run(2, program) == ["done\n"] * 2
    assert time.monotonic() - before < 59  # the time after which processes give up


def test_forked_processes_are_none_of_the_job():
    program = """
    c = start()
    pid = os.fork()
    if not pid:
        assert not cd.is_initialized() and cv.process_count() == 1 and cv.process_index() == 0
        try:
            c.barrier()
        except cd.DistributedError as e:
            assert "was forked" in str(e)
        else:
            os._exit(1)
        # It has no connection left that would hide the end of its parent, nor memory in a file.
        left = [os.readlink(f"/proc/self/fd/{f}") for f in os.listdir("/proc/self/fd")
                if os.path.exists(f"/proc/self/fd/{f}") or True]
        os._exit(0 if not [s for s in left if s.startswith("socket") or "memfd" in s] else 2)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert c.allreduce(at).item() == n * (n - 1) // 2
    cd.shutdown()
    print("done")
    """
    program = program.replace("os.listdir(", "names(").replace(
        "c = start()\n",
        "c = start()\n"
        "    def names(folder):\n"
        "        return [f for f in os.listdir(folder) if os.path.lexists(f'{folder}/{f}')]\n",
        1,
    )
    assert jobs.run(2, program) == ["done\n"] * 2
