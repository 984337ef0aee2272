"""What the environment says of the processes, and what `initialize` is given."""

import subprocess
import sys

import pytest

import covector as cv
from covector.distributed.launch import Launch, detect, first_host
from covector.distributed.wire import split_address

SLURM = {
    "SLURM_JOB_ID": "1234", "SLURM_STEP_ID": "0", "SLURM_STEP_NODELIST": "gpu[007-012,20],login1",
    "SLURM_STEP_NUM_TASKS": "8", "SLURM_PROCID": "3",
}  # fmt: skip


def test_launchers_of_mpi():
    mpich = {"PMI_RANK": "1", "PMI_SIZE": "4"}
    openmpi = {"OMPI_COMM_WORLD_RANK": "2", "OMPI_COMM_WORLD_SIZE": "3", "PMI_RANK": "0"}
    assert detect(mpich, None) == Launch("MPICH's mpirun", 1, 4, None, "mpi")
    assert detect(openmpi, "auto") == Launch("Open MPI's mpirun", 2, 3, None, "mpi")
    assert detect(mpich | SLURM, None).engine == "mpi"
    assert detect(mpich | SLURM, "slurm").engine == "tcp"
    assert detect(mpich, "deactivate") is None
    assert detect({}, None) is None


def test_slurm():
    found = detect(SLURM, None)
    host, port = split_address(found.address)
    assert (found.rank, found.size, found.engine, host) == (3, 8, "tcp", "gpu007")
    assert 61440 <= port < 65536
    assert detect({**SLURM, "SLURM_PROCID": "5"}, None).address == found.address
    assert detect({**SLURM, "SLURM_STEP_ID": "1"}, None).address != found.address
    old = {"SLURM_JOB_ID": "9", "SLURM_JOB_NODELIST": "a", "SLURM_NTASKS": "2", "SLURM_PROCID": "0"}
    assert detect(old, "slurm").size == 2


@pytest.mark.parametrize(
    "nodes, first",
    [
        ("node1", "node1"), ("node1,node2", "node1"), ("n[3,5-7]", "n3"),
        ("n[08-10]-ib,x", "n08-ib"), ("rack1-node[002-004]", "rack1-node002"),
    ],
)  # fmt: skip
def test_first_of_nodes(nodes, first):
    assert first_host(nodes) == first


def test_wrong_variables():
    with pytest.raises(ValueError, match="PMI_RANK should be a number, it is 'x'"):
        detect({"PMI_RANK": "x", "PMI_SIZE": "2"}, None)
    with pytest.raises(ValueError, match="one of 'auto', 'mpi4py'.* got 'pbs'"):
        detect({}, "pbs")
    with pytest.raises(ValueError, match="not started by srun"):
        detect({"PMI_RANK": "0", "PMI_SIZE": "2"}, "slurm")
    with pytest.raises(ValueError, match="not started by mpirun"):
        detect(SLURM, "mpi4py")


@pytest.mark.parametrize("address", ["localhost", "localhost:", ":80", "a:b", "a:0", "a:70000"])
def test_wrong_addresses(address):
    with pytest.raises(ValueError, match="'host:port'"):
        cv.distributed.initialize(address, 2, 0)


def test_addresses():
    assert split_address("10.0.0.1:80") == ("10.0.0.1", 80)
    assert split_address("[::1]:80") == ("::1", 80)


@pytest.fixture
def by_hand(monkeypatch):
    for name in ("PMI_RANK", "OMPI_COMM_WORLD_RANK", "SLURM_PROCID"):
        monkeypatch.delenv(name, raising=False)


def test_wrong_arguments(by_hand):
    initialize = cv.distributed.initialize
    with pytest.raises(ValueError, match="num_processes, process_id must be given, for neither"):
        initialize("localhost:1234")
    with pytest.raises(ValueError, match="coordinator_address, num_processes, process_id must"):
        initialize()
    with pytest.raises(ValueError, match="from 0 to 1 for num_processes=2, got 2"):
        initialize("localhost:1234", 2, 2)
    with pytest.raises(ValueError, match="at least 1, got 0"):
        initialize("localhost:1234", 0, 0)
    with pytest.raises(ValueError, match="heartbeat_timeout_seconds is positive, got 0"):
        initialize("localhost:1234", 2, 0, heartbeat_timeout_seconds=0)
    with pytest.raises(NotImplementedError, match="slice_index is not there yet"):
        initialize("localhost:1234", 2, 0, slice_index=0)
    for ids in (-1, [0, 0], [2, -3]):
        with pytest.raises(ValueError, match=r"local_device_ids are different numbers from 0, got"):
            initialize("localhost:1234", 2, 0, local_device_ids=ids)
    with pytest.raises(ValueError, match="local_device_ids names the GPUs of this process"):
        initialize("localhost:1234", 2, 0, local_device_ids=[])
    assert not cv.distributed.is_initialized()
    assert cv.process_count() == 1


def test_numbers_that_launchers_contradict(by_hand, monkeypatch):
    monkeypatch.setenv("PMI_RANK", "1")
    monkeypatch.setenv("PMI_SIZE", "2")
    with pytest.raises(ValueError, match="no process 3 among 2; MPICH's mpirun has started"):
        cv.distributed.initialize(process_id=3)
    with pytest.raises(ValueError, match="coordinator_address must be given with other numbers"):
        cv.distributed.initialize(num_processes=4)


def test_one_process_stays_as_it_is(by_hand):
    code = """
import sys
import covector as cv
assert cv.process_count() == 1 and cv.numpy.ones(2).sum() == 2
assert not [m for m in sys.modules if m.startswith("covector.distributed")]
cv.distributed.initialize("localhost:1", 1, 0)
assert cv.distributed.is_initialized() and cv.process_indices() == [0]
assert "covector.distributed.tcp" not in sys.modules and "mpi4py" not in sys.modules
c = cv.distributed.get_communicator()
import numpy
x = numpy.arange(3)
assert isinstance(c, cv.distributed.Communicator)
assert (c.allreduce(x) == x).all() and (c.allgather(x) == x[None]).all()
assert (c.broadcast(x) == x).all() and (c.alltoall(x[None]) == x[None]).all()
assert (c.sendrecv(x, [(0, 0)]) == x).all() and (c.sendrecv(x, []) == 0).all()
c.barrier()
c.agree("it", b"1")
big = numpy.ones(10000)
assert (c.allreduce(big) == big).all()
try:
    cv.distributed.initialize("localhost:1", 1, 0)
except RuntimeError as e:
    assert "process 0 of 1" in str(e)
else:
    raise AssertionError
cv.distributed.shutdown()
cv.distributed.shutdown()
assert not cv.distributed.is_initialized()
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
