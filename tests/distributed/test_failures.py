"""Processes that die, hang, never come, or run another program: the others say so, and go on."""

import contextlib
import os
import signal
import subprocess
import sys
import threading

import pytest

from tests.distributed import jobs

# Works with the others until told otherwise, and says how it ended.
WORK = """
c = start(heartbeat_timeout_seconds=SILENCE)
x = numpy.ones(SIZE)
try:
    for number in range(1_000_000_000):
        c.allreduce(x)
        if number == 20:
            print("ready", at, os.getpid(), flush=True)
except cd.ProcessFailedError as e:
    print("found", e.process, e, flush=True)
    try:
        c.barrier()
    except cd.ProcessFailedError as again:
        print("again", again.process, flush=True)
"""


def work(size=10, silence=3):
    return WORK.replace("SIZE", str(size)).replace("SILENCE", str(silence))


@pytest.mark.parametrize(
    "n, victim, size, env",
    [
        (2, 0, 10, jobs.SHARED), (4, 2, 300_000, jobs.SHARED),
        (2, 1, 300_000, jobs.MESSAGES), (3, 0, 10, jobs.MESSAGES),
    ],
)  # fmt: skip
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_a_process_is_killed_or_stopped(n, victim, size, env, how):
    # One that is killed is noticed without waiting for its silence.
    silence = 60 if how == signal.SIGKILL else 3
    with jobs.Job(n, work(size, silence), env=env) as job:
        for at in range(n):
            assert job[at].line().startswith("ready")
        job[victim].kill(how)
        others = [at for at in range(n) if at != victim]
        outputs, codes = job.wait(59, others)
    for at in others:
        assert f"found {victim} process {victim}" in outputs[at], outputs
        assert f"again {victim}" in outputs[at] and codes[at] == 0, outputs
        said = "has ended" if how == signal.SIGKILL else "has not answered for 3 s"
        assert said in outputs[at], outputs


# All draw the same collectives; the one that is to fail says so before it begins to.
RANDOM = """
import random, threading
draw = random.Random(SEED)
c = start(heartbeat_timeout_seconds=3)
groups = [c, c.group(range(n)), c.group(reversed(range(n)))]
victim, when, how = draw.randrange(n), draw.randrange(50, 400), draw.choice(["KILL", "STOP"])
delay = draw.random() * 0.01
print(victim, how, flush=True)

def fail():
    # Somewhere in the collectives that follow.
    time.sleep(delay)
    os.kill(os.getpid(), getattr(signal, "SIG" + how))

collectives = [
    lambda g, x: g.allreduce(x), lambda g, x: g.allreduce(x.astype("f2"), "max"),
    lambda g, x: g.allgather(x[:100]), lambda g, x: g.broadcast(x, n - 1),
    lambda g, x: g.alltoall(x[: x.size // n * n].reshape(n, -1)),
    lambda g, x: g.sendrecv(x, [(i, (i + 1) % n) for i in range(n)]), lambda g, x: g.barrier(),
]
try:
    for number in range(1_000_000_000):
        if number == when and at == victim:
            threading.Thread(target=fail).start()
        x = numpy.ones(draw.choice([n, 1000, 200_000]), "f4")
        draw.choice(collectives)(draw.choice(groups), x)
except cd.ProcessFailedError as e:
    print("found", e.process, flush=True)
"""


# The same with arrays that are spread over the processes, and programs on them.
ARRAYS = """
import random, threading
import covector.numpy as np
from covector import lax
from covector.sharding import NamedSharding, PartitionSpec as P
draw = random.Random(SEED)
c = start(heartbeat_timeout_seconds=3)
mesh = cv.make_mesh((n,), ("data",), (cv.sharding.AxisType.Auto,))
split, whole = NamedSharding(mesh, P("data")), NamedSharding(mesh, P())
x = cv.device_put(numpy.ones((12 * n, 300), "f4"), split)
w = cv.device_put(numpy.full((300, 300), 1e-3, "f4"), whole)
ring = [(i, (i + 1) % n) for i in range(n)]

@cv.jit
def step(w, x):
    loss, slope = cv.value_and_grad(lambda w: np.tanh(x @ w @ w.T).mean())(w)
    return w - 0.1 * slope, loss

turn = cv.jit(cv.shard_map(lambda a: lax.fori_loop(0, 5, lambda i, a: lax.ppermute(
    a, "data", ring) + lax.psum(a.sum(), "data") * 0, a), mesh=mesh, in_specs=P("data"),
    out_specs=P("data")))
programs = [
    lambda: step(w, x), lambda: turn(x), lambda: float(x.sum()), lambda: x @ w + 1,
    lambda: cv.device_put(x, whole), lambda: cv.random.normal(cv.random.key(0), (12 * n, 300)) + x,
]
for program in programs:
    program()
victim, when, how = draw.randrange(n), draw.randrange(5, 60), draw.choice(["KILL", "STOP"])
delay = draw.random() * 0.01
print(victim, how, flush=True)

def fail():
    time.sleep(delay)
    os.kill(os.getpid(), getattr(signal, "SIG" + how))

try:
    for number in range(1_000_000_000):
        if number == when and at == victim:
            threading.Thread(target=fail).start()
        draw.choice(programs)()
except cd.ProcessFailedError as e:
    print("found", e.process, flush=True)
"""


def fail_somewhere(seed, env, program=RANDOM):
    n = 2 + seed % 3
    with jobs.Job(n, program.replace("SEED", str(seed)), env=env) as job:
        victim, how = job[0].line().split()
        others = [at for at in range(n) if at != int(victim)]
        outputs, codes = job.wait(120, others)
    for at in others:
        assert f"found {victim}\n" in outputs[at] and codes[at] == 0, (seed, how, outputs)


@pytest.mark.parametrize("seed", range(3))
def test_a_process_fails_somewhere(seed):
    fail_somewhere(seed, jobs.SHARED)


@pytest.mark.parametrize("env", [jobs.SHARED, jobs.MESSAGES])
def test_a_process_fails_while_arrays_are_spread(env):
    fail_somewhere(0, env, ARRAYS)


@pytest.mark.processes
@pytest.mark.parametrize("program", [RANDOM, ARRAYS], ids=["collectives", "arrays"])
@pytest.mark.parametrize("env", [jobs.SHARED, jobs.MESSAGES])
@pytest.mark.parametrize("seed", range(3, 15))
def test_a_process_fails_somewhere_in_many_ways(seed, env, program):
    fail_somewhere(seed, env, program)


def test_one_that_others_do_not_wait_for():
    """Only the next collective says so: what a process computes alone is not interrupted."""
    program = """
    c = start()
    c.barrier()
    if at == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    while c._watch.failure is None:
        time.sleep(0.01)
    print("computed", flush=True)
    try:
        c.barrier()
    except cd.ProcessFailedError as e:
        print(e.process)
    """
    with jobs.Job(2, program) as job:
        outputs, codes = job.wait(90)
    assert outputs[0] == "computed\n1\n" and codes == {0: 0, 1: -9}


def test_one_that_comes_back():
    """It hears that the others have given it up."""
    with jobs.Job(3, work()) as job:
        for at in range(3):
            assert job[at].line().startswith("ready")
        job[1].kill(signal.SIGSTOP)
        outputs, _ = job.wait(90, [2])
        job[1].kill(signal.SIGCONT)
        more, codes = job.wait(90, [0, 1])
    assert "found 1" in outputs[2] and "found 1" in more[0] and "found 1" in more[1]


def test_exceptions_of_a_program():
    program = """
    c = start()
    c.barrier()
    if at == 1:
        time.sleep(0.3)
        raise ValueError("no such file")
    try:
        c.allreduce(numpy.ones(3))
    except cd.ProcessFailedError as e:
        print(e.process, e)
    """
    with jobs.Job(3, program) as job:
        outputs, codes = job.wait(90)
    assert codes == {0: 0, 1: 1, 2: 0}
    for at in (0, 2):
        assert "process 1" in outputs[at], outputs
        assert outputs[at].startswith("1 "), outputs


def test_the_exception_is_named():
    program = """
    c = start()
    c.barrier()
    if at == 0:
        raise ValueError("no such file")
    while c._watch.failure is None:
        time.sleep(0.01)
    try:
        c.barrier()
    except cd.ProcessFailedError as e:
        print(e.process, e)
    """
    with jobs.Job(2, program) as job:
        outputs, codes = job.wait(90)
    assert codes == {0: 1, 1: 0}
    assert outputs[1] == "0 process 0 has ended by an exception, ValueError: no such file\n"


def test_a_program_that_is_shorter():
    program = """
    c = start()
    c.barrier()
    if at == 1:
        cd.shutdown()
        print("left")
    else:
        try:
            c.allreduce(numpy.ones(3))
        except cd.ProcessFailedError as e:
            print(e)
    """
    with jobs.Job(2, program) as job:
        outputs, codes = job.wait(90)
    assert set(codes.values()) == {0}
    assert "process 1 has left while process 0 waits for it" in outputs[0]


DIFFERENT = [
    ("c.allreduce(x)", "c.allgather(x)", "allgather(float32[4])"),
    ("c.allreduce(x)", "c.allreduce(x, 'max')", "allreduce(float32[4], 'max')"),
    ("c.allreduce(x)", "c.allreduce(x[:3])", "allreduce(float32[3], 'sum')"),
    ("c.allreduce(x)", "c.allreduce(x.astype('f8'))", "allreduce(float64[4], 'sum')"),
    ("c.broadcast(x, 0)", "c.broadcast(x, 1)", "broadcast(float32[4], root=1)"),
    ("c.broadcast(x, 0)", "c.barrier()", "broadcast(float32[4], root=0)"),
    ("c.sendrecv(x, [(0, 1)])", "c.sendrecv(x, [(1, 0)])", "sendrecv(float32[4], [(1, 0)])"),
    ("c.barrier(), c.allreduce(x)", "c.allreduce(x), c.barrier()", "barrier()"),
    ("c.allreduce(big)", "c.allreduce(big[1:])", "allreduce(float32[299999], 'sum')"),
    ("c.alltoall(rows)", "c.allreduce(rows)", "alltoall(float32["),
    ("c.agree('the program of f', b'1')", "c.agree('the program of f', b'2')", "of f', '1')"),
    ("c.agree('long', b'x' * 300)", "c.agree('long', b'x' * 299 + b'y')", "xxx ... xx"),
    ("c.agree('bytes', b'\\xff')", "c.agree('bytes', b'\\xfe')", "agree('bytes', "),
    ("save('w')", "save('v')", "/w: begin')"),
    ("save('w')", "c.allreduce(x)", "/w: begin')"),
]


@pytest.mark.parametrize("n, env", [(2, jobs.SHARED), (4, jobs.SHARED), (3, jobs.MESSAGES)])
def test_programs_that_differ(n, env, tmp_path):
    program = f"""
    from covector.experimental.array_serialization import pytree_serialization
    def save(name):
        pytree_serialization.save(x, {str(tmp_path)!r} + "/" + name)
    x, big, rows = (numpy.ones(s, "f4") for s in (4, 300_000, (n, 9)))
    for one, rest, _ in {DIFFERENT}:
        c = start()
        try:
            eval(rest if at else one)
            # Who needs nothing of the processes that differ hears of it by then.
            c.barrier()
            print("nothing")
        except cd.CollectiveMismatchError as e:
            print(e, flush=True)
        cd.shutdown()
    """
    outputs = jobs.run(n, program, timeout=240, env=env)
    assert len(set(outputs)) == 1, outputs
    lines = outputs[0].splitlines()
    for line, (one, rest, text) in zip(lines, DIFFERENT, strict=True):
        assert "processes run different programs" in line and text in line, (one, rest)


def test_a_process_that_never_comes():
    program = """
    try:
        start(initialization_timeout=5)
    except cd.ProcessTimeoutError as e:
        print(e)
    assert not cd.is_initialized() and cv.process_count() == 1
    """
    with jobs.Job(3, program, only=[0, 1]) as job:
        outputs, codes = job.wait(90)
    assert codes == {0: 0, 1: 0}, outputs
    for text in outputs.values():
        assert "no process 2 (it has not started)" in text, outputs


def test_a_coordinator_that_never_comes():
    program = """
    try:
        start(initialization_timeout=1)
    except cd.ProcessTimeoutError as e:
        print(e)
    """
    with jobs.Job(2, program, only=[1]) as job:
        outputs, _ = job.wait(90)
    assert "process 1 could not reach the coordinator at 127.0.0.1:" in outputs[1]
    assert "within 1 s" in outputs[1]


def test_a_process_that_is_there_twice():
    address = f"127.0.0.1:{jobs.free_port()}"
    program = """
    try:
        c = start()
    except cd.DistributedError as e:
        print(e)
    else:
        print(c.allreduce(at))
        cd.shutdown()
    """
    with jobs.Job(2, program, address, only=[0]) as first:
        with jobs.Job(2, program, address, only=[1]) as second:
            outputs, _ = second.wait(90)
            assert outputs[1] == "1\n"
        outputs, _ = first.wait(90)
    assert outputs[0] == "1\n"


def test_a_port_in_use():
    program = """
    import socket
    if at == 0:
        taken = socket.create_server(("127.0.0.1", int(address.split(":")[1])))
        try:
            start()
        except cd.DistributedError as e:
            print(e)
    """
    with jobs.Job(2, program, only=[0]) as job:
        outputs, _ = job.wait(90)
    assert "is in use, perhaps by a job that still runs; choose another port" in outputs[0]


def test_shutdown_says_who_is_missing():
    program = """
    c = start(shutdown_timeout_seconds=1)
    c.barrier()
    if at == 1:
        time.sleep(600)
    else:
        try:
            cd.shutdown()
        except cd.ProcessTimeoutError as e:
            print(e)
    """
    with jobs.Job(2, program) as job:
        outputs, _ = job.wait(90, [0])
    assert "processes [1] have not called it within 1 s" in outputs[0]


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_failures_under_mpirun(how):
    command = jobs.mpirun()
    if command is None:
        pytest.skip("there is no mpirun")
    pytest.importorskip("mpi4py")
    if how == signal.SIGKILL and "ulfm" not in command:
        pytest.skip("this launcher ends all processes when one ends")
    launcher = subprocess.Popen(
        [*command, "-n", "3", sys.executable, "-c", jobs.launched_code(3, work(2000))],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
        env={**jobs.environment(), "TEST_LAUNCHED": "1"},
    )  # fmt: skip
    # Nothing may hang, not even what is read here.
    alarm = threading.Timer(90, os.killpg, (launcher.pid, signal.SIGKILL))
    alarm.start()
    pids = []
    try:
        ready = [launcher.stdout.readline() for _ in range(3)]
        assert all(line.startswith("ready") for line in ready), ready
        pids = [pid for _, pid in sorted(tuple(map(int, line.split()[1:])) for line in ready)]
        os.kill(pids[1], how)
        lines = []
        while sum(line.startswith("found") for line in lines) < 2:
            line = launcher.stdout.readline()
            assert line, lines
            lines.append(line)
    finally:
        alarm.cancel()
        for pid in (*pids, launcher.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        launcher.stdout.close()
        launcher.wait()
    found = [line for line in lines if line.startswith("found")]
    assert all(f"pid {pids[1]})" in line for line in found), (pids, lines)
    assert found[0] == found[1]


@pytest.mark.parametrize("how", ["raise ValueError('boom')", "sys.exit(0)"])
def test_ends_under_mpirun_are_told_at_once(how):
    command = jobs.mpirun()
    if command is None:
        pytest.skip("there is no mpirun")
    pytest.importorskip("mpi4py")
    program = f"""
    c = start()
    c.barrier()
    if at == 1:
        {how}
    try:
        c.allreduce(1.0)
    except cd.ProcessFailedError as e:
        print("told:", e, flush=True)
    """
    # The heartbeat's 60 s would be too late.
    ended = subprocess.run(
        [*command, "-n", "2", sys.executable, "-c", jobs.launched_code(2, program)],
        capture_output=True, text=True, env={**jobs.environment(), "TEST_LAUNCHED": "1"},
        timeout=40,
    )  # fmt: skip
    if "exit" in how:
        assert "told: process 1 has left" in ended.stdout, ended
    else:  # A launcher may end process 0 first.
        assert "boom" in ended.stderr, ended
