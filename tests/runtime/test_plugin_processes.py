"""Several processes whose plugins find each other by Covector's key–value service.

``fake_plugin.c`` records what it is called with; it copies arrays, and computes nothing.
"""

import signal
import time

import pytest

import covector as cv
from covector.backends.pjrt import settings
from covector.core import processes
from tests.distributed import jobs

HEAD = """
from covector.sharding import AxisType, NamedSharding, PartitionSpec as P
communicator = start()

def fails(error, *texts):
    class Block:
        def __enter__(self): pass
        def __exit__(self, kind, e, traceback):
            assert kind is not None and issubclass(kind, error), kind
            assert all(text in str(e) for text in texts), str(e)
            return True
    return Block()
"""


@pytest.fixture
def job(fake, tmp_path):
    """Starts processes with the fake plugin, which records in the file ``job.record``."""

    def start(n, program, **environment):
        env = {"COVECTOR_PJRT_PLUGINS": f"fake:{fake('WORKS')}", "FAKE_RECORD": str(start.record)}
        return jobs.Job(n, program, env={**env, **environment})

    start.record = tmp_path / "record"
    return start


def done(job, timeout=120):
    with job:
        outputs, codes = job.wait(timeout)
    assert set(codes.values()) == {0}, outputs
    return [outputs[at] for at in sorted(outputs)]


def recorded(job, at):
    lines = job.record.read_text().splitlines()
    return [line.partition(": ")[2] for line in lines if line.startswith(f"{at}: ")]


def wait_for(job, line):
    deadline = time.monotonic() + 60
    while not (job.record.exists() and line in job.record.read_text()):
        assert time.monotonic() < deadline, job.record
        time.sleep(0.02)


def test_clients_find_each_other(job):
    program = (
        HEAD
        + """
mine = cv.local_devices(backend="fake")
print(cv.devices("fake"), mine, [d.process_index for d in cv.devices("fake")])
assert cv.local_devices(0, "fake") + cv.local_devices(1, "fake") == cv.devices("fake")
assert mine[0].memory_stats() and mine[0].default_memory().kind == "device"
other = cv.local_devices(1 - at, "fake")[0]
for f in (lambda: cv.device_put(1.0, other), other.memory_stats, other.addressable_memories):
    with fails(ValueError, f"is a device of process {1 - at}, and this is process {at}"):
        f()
# What knows of no other processes belongs to this one.
(apart, *_) = cv.devices("xla_cpu")
assert apart.process_index == at and apart in cv.local_devices(backend="xla_cpu")
assert cv.jit(lambda x: x + 1)(cv.device_put(1.0, apart)) == 2
"""
    )
    outputs = done(job(2, program))
    every = "[FakeDevice(id=0), FakeDevice(id=1), FakeDevice(id=2), FakeDevice(id=3)]"
    assert outputs[0] == f"{every} [FakeDevice(id=0), FakeDevice(id=1)] [0, 0, 1, 1]\n"
    assert outputs[1] == f"{every} [FakeDevice(id=2), FakeDevice(id=3)] [0, 0, 1, 1]\n"
    for at in (0, 1):
        assert recorded(job, at) == [
            "with a service",
            "nobody has set 'pjrt/fake/hello/nobody'",
            'hello/0: node 0, of "2"',
            'hello/1: node 1, of "2"',
            "what was late came",
        ]


def test_arrays_and_programs(job):
    program = (
        HEAD
        + """
mesh = cv.make_mesh((4,), ("x",), (AxisType.Auto,), devices=cv.devices("fake"))
rows, whole = NamedSharding(mesh, P("x")), NamedSharding(mesh, P())
a = numpy.arange(16, dtype="f4").reshape(8, 2)

def check(x):
    assert x.shape == (8, 2) and x.sharding == rows and not x.is_fully_addressable
    assert [s.device.process_index for s in x.addressable_shards] == [at, at]
    for shard in x.addressable_shards:
        assert shard.data.device == shard.device and shard.data.shape == (2, 2)
        assert (numpy.asarray(shard.data) == a[shard.index]).all()
    assert [s.data is None for s in x.global_shards] == [at == 1, at == 1, at == 0, at == 0]

x = cv.device_put(a, rows)
check(x)
check(cv.make_array_from_callback((8, 2), rows, lambda index: a[index]))
check(cv.make_array_from_process_local_data(rows, a[4 * at : 4 * at + 4]))
check(cv.make_array_from_single_device_arrays((8, 2), rows, [s.data for s in x.addressable_shards]))
with fails(ValueError, "make up arrays of different shapes", "Parts must be of one size"):
    cv.make_array_from_process_local_data(rows, a[: 4 * at + 4])
for _ in range(2):
    check(cv.jit(lambda x: x * 2)(x))
r = cv.device_put(a, whole)
assert r.is_fully_replicated and (numpy.asarray(r) == a).all()
with fails(RuntimeError, "spread over the devices of 2 processes", "process_allgather"):
    numpy.asarray(x)
assert "float32" in repr(x)

# Laid out anew by a program of all, unless each has what it needs.
other = mesh.update(axis_names=("z",))
assert cv.device_put(x, NamedSharding(other, P("z"))).sharding.spec == P("z")
again = cv.device_put(r, NamedSharding(other, P("z")))
assert [(numpy.asarray(s.data) == a[s.index]).all() for s in again.addressable_shards] == [True] * 2
moved = cv.device_put(x, whole)
assert moved.shape == (8, 2) and moved.sharding == whole

# Devices in any order.
order = [cv.devices("fake")[k] for k in (3, 0, 2, 1)]
mixed = NamedSharding(mesh.update(devices=numpy.array(order)), P("x"))
for z in (cv.device_put(a, mixed), cv.jit(lambda x: x * 2)(cv.device_put(a, mixed))):
    assert z.sharding == mixed and len(z.addressable_shards) == 2
    for shard in z.addressable_shards:
        assert shard.data.device == shard.device
        assert (numpy.asarray(shard.data) == a[shard.index]).all()
with fails(NotImplementedError, "must be a block of the mesh"):
    cv.make_array_from_process_local_data(mixed, a[:4])

# What is not there, said.
here = cv.make_mesh((2,), ("x",), (AxisType.Auto,), devices=cv.local_devices(backend="fake"))
with fails(ValueError, "device_put moves no array from processes to others"):
    cv.device_put(x, NamedSharding(here, P("x")))
with fails(NotImplementedError, "compute what it does in lax"):
    cv.jit(lambda x: cv.pure_callback(lambda x: x, x, x))(x)
there = cv.make_mesh((2,), ("x",), (AxisType.Auto,), devices=cv.local_devices(1 - at, "fake"))
with fails(ValueError, "none of whose devices is of this process"):
    cv.jit(lambda x: x, out_shardings=NamedSharding(there, P("x")))(a)
y = cv.jit(lambda x: x + 1)(cv.device_put(a, NamedSharding(here, P("x"))))
assert y.is_fully_addressable
print("done")
"""
    )
    assert done(job(2, program)) == ["done\n"] * 2
    for at in (0, 1):
        lines = recorded(job, at)
        assert "compiles for 4 devices" in lines
        assert {line for line in lines if "runs" in line} == {
            f"runs on device {k}" for k in (2 * at, 2 * at + 1)
        }


DIFFERENT = [
    ("f(x)", "g(x)", "the program g"),
    ("f(x)", "f(x[:4])", "the program f"),
    ("f(x)", "cv.device_put(x, whole)", "the program f"),
    ("f(x)", "communicator.allreduce(1.0)", "allreduce(float64[], 'sum')"),
]


@pytest.mark.parametrize("env", [jobs.SHARED, jobs.MESSAGES])
@pytest.mark.parametrize("first, second, text", DIFFERENT)
def test_programs_that_differ(job, first, second, text, env):
    program = (
        HEAD
        + f"""
mesh = cv.make_mesh((4,), ("x",), (AxisType.Auto,), devices=cv.devices("fake"))
rows, whole = NamedSharding(mesh, P("x")), NamedSharding(mesh, P())
x = cv.device_put(numpy.ones((8, 2), "f4"), rows)
y = cv.device_put(numpy.ones((4, 2), "f4"), rows)
def f(x):
    return x * 2
def g(x):
    return x * 2 + 1
f, g = cv.jit(f), cv.jit(g)
same = cv.jit(lambda x: x - at)  # numbers that differ are no other program
for _ in range(2):
    same(x)
calls = dict(f=f, g=g, x=x, y=y, cv=cv, whole=whole, communicator=communicator)
try:
    eval({second.replace("x[:4]", "y")!r} if at else {first!r}, calls)
    communicator.barrier()
    print("nothing")
except cd.CollectiveMismatchError as e:
    print(e, flush=True)
os._exit(0)
"""
    )
    outputs = done(job(2, program, **env))
    assert len(set(outputs)) == 1, outputs
    assert "processes run different programs" in outputs[0] and text in outputs[0], outputs[0]


def test_a_key_that_nobody_puts(job):
    program = (
        HEAD
        + """
for _ in range(2):
    with fails(RuntimeError, "fake (COVECTOR_PJRT_PLUGINS) does not start",
               "nobody has set 'pjrt/fake/nothing' within 300 ms"):
        cv.devices("fake")
print(communicator.allreduce(1))
"""
    )
    job = job(2, program, FAKE_ASKS="nothing", FAKE_PATIENCE="300")
    assert done(job) == ["2\n"] * 2


def test_a_service_that_is_gone(job):
    program = (
        HEAD
        + """
communicator.barrier()
if at == 0:
    os._exit(0)
with fails(cd.ProcessFailedError):
    communicator.barrier()
with fails(RuntimeError, "does not start: process 0, the coordinator at 127.0.0.1",
           "does not answer (Connection refused)"):
    cv.devices("fake")
print("done", flush=True)
os._exit(0)
"""
    )
    assert done(job(2, program)) == ["", "done\n"]


@pytest.mark.parametrize(
    ("killed", "said"),
    [(0, "process 0, the coordinator at"), (2, "has ended")],
)
def test_a_process_that_ends_while_others_wait(job, killed, said):
    program = (
        HEAD
        + """
try:
    cv.devices("fake")
except RuntimeError as e:
    print(e, flush=True)
    if at == 0:
        time.sleep(60)  # others are still to hear of it
os._exit(0)
"""
    )
    with job(3, program, FAKE_ASKS="nothing") as running:
        for at in range(3):
            wait_for(job, f"{at}: asks")
        start = time.monotonic()
        running[killed].kill(signal.SIGKILL)
        outputs, _ = running.wait(30, [1])
        assert time.monotonic() - start < 20
    assert "does not start: process" in outputs[1] and said in outputs[1]


def test_initialize_comes_before_the_client(job):
    program = """
print(cv.devices("fake"))
try:
    start()
except RuntimeError as e:
    print(e)
"""
    for output in done(job(2, program)):
        first, second, _ = output.splitlines()
        assert first == "[FakeDevice(id=0)]"
        assert second.startswith("initialize comes too late for fake, whose client has started")
    assert recorded(job, 0) == ["without a service"] * 2


def test_a_process_alone_has_no_service(job):
    assert done(job(1, "start()\nprint(cv.devices('fake'))")) == ["[FakeDevice(id=0)]\n"]
    assert recorded(job, 0) == ["without a service"]


def test_what_clients_are_told(monkeypatch):
    monkeypatch.setattr(processes, "count", 4)
    monkeypatch.setattr(processes, "index", 3)
    for platform in ("cuda", "rocm", "fake"):
        options = settings.client_options(platform)
        assert options["num_nodes"] == 4 and options["node_id"] == 3
    for platform in ("tpu", "xla_cpu"):
        assert settings.client_options(platform) == {}


def test_the_gpus_of_a_process():
    for ids, visible in ((1, [1]), ([0, 2], [0, 2])):
        cv.distributed.initialize("localhost:1", 1, 0, local_device_ids=ids)
        assert settings.client_options("cuda")["visible_devices"] == visible
        assert settings.client_options("xla_cpu") == {}
        cv.distributed.shutdown()
    assert "visible_devices" not in settings.client_options("cuda")
