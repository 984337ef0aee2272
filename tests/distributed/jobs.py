"""Programs run by several processes at once, which are all ended when the time is over."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import time

# What every program starts with: `at`, `n` say which process it is, `start` makes it one.
HEAD = """
import os, signal, sys, time
import numpy
import covector as cv
import covector.distributed as cd
at, n, address = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]

def start(**options):
    options = {"initialization_timeout": 100, "heartbeat_timeout_seconds": 60,
               "shutdown_timeout_seconds": 60, **options}
    if "TEST_LAUNCHED" in os.environ:
        cd.initialize(**options)
    else:
        cd.initialize(address, n, at, **options)
    return cd.get_communicator()
"""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


# What carries collectives.
SHARED, MESSAGES = {"COVECTOR_SHARED_MEMORY": "1"}, {"COVECTOR_SHARED_MEMORY": "0"}


def environment():
    # Launchers' variables are not to leak from where the tests run.
    kept = {
        k: v
        for k, v in os.environ.items()
        # and lines are to be written at once.
        if not k.startswith(("PMI_", "OMPI_", "SLURM_", "MPI", "PMIX", "PYTHONUNBUFFERED"))
    }
    # Lines of several processes in one pipe stay whole.
    kept.pop("PYTHONUNBUFFERED", None)
    return {**kept, "COVECTOR_ENABLE_CHECKS": "0", "OMP_NUM_THREADS": "1"}


class Process:
    """A process of a job."""

    def __init__(self, at, n, address, program, env=None):
        self.at = at
        self.process = subprocess.Popen(
            [sys.executable, "-c", HEAD + textwrap.dedent(program), str(at), str(n), address],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env={**environment(), **(env or {})},
        )  # fmt: skip

    def line(self):
        """Its next line of output."""
        return self.process.stdout.readline().strip()

    def kill(self, sig=signal.SIGKILL):
        self.process.send_signal(sig)


class Job:
    """Processes started by hand; at the end of the block none is left."""

    def __init__(self, n, program, address=None, only=None, env=None):
        self.address = address or f"127.0.0.1:{free_port()}"
        self.n = n
        self.processes = {
            at: Process(at, n, self.address, program, env)
            for at in (range(n) if only is None else only)
        }

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        for p in self.processes.values():
            if p.process.poll() is None:
                p.process.kill()
            p.process.stdout.close()
            p.process.wait()

    def __getitem__(self, at):
        return self.processes[at]

    def wait(self, timeout, among=None):
        """The outputs, by number, and the exit codes; fails if the time is not enough."""
        deadline = time.monotonic() + timeout
        outputs, codes = {}, {}
        for at in self.processes if among is None else among:
            p = self.processes[at].process
            try:
                outputs[at], _ = p.communicate(timeout=max(deadline - time.monotonic(), 0.1))
            except subprocess.TimeoutExpired:
                for other in self.processes.values():
                    other.process.kill()
                text = p.communicate()[0]
                raise AssertionError(f"process {at} hangs; it has said:\n{text}") from None
            codes[at] = p.returncode
        return outputs, codes


def run(n, program, timeout=180, **options):
    """The outputs of a job whose processes all end well."""
    with Job(n, program, **options) as job:
        outputs, codes = job.wait(timeout)
    assert set(codes.values()) == {0}, outputs
    return [outputs[at] for at in sorted(outputs)]


def launched_code(n, program):
    """A program of ``n`` processes that a launcher starts."""
    rank = (
        "import os, sys\n"
        "rank = os.environ.get('OMPI_COMM_WORLD_RANK', os.environ.get('PMI_RANK'))\n"
        f"sys.argv = ['', rank, '{n}', '']\n"
    )
    return rank + HEAD + textwrap.dedent(program)


def mpirun():
    """The command of a launcher of MPI, None if there is none to use.

    Open MPI's is told that processes may fail; MPICH's ends all when one ends.
    """
    found = shutil.which("mpirun", path=os.path.dirname(sys.executable)) or shutil.which("mpirun")
    if found is None:
        return None
    version = subprocess.run([found, "--version"], capture_output=True, text=True).stdout
    if "Open MPI" in version or "OpenRTE" in version:
        return [
            found,
            "--with-ft",
            "ulfm",
            "--oversubscribe",
            "--bind-to",
            "none",
            "--allow-run-as-root",
        ]
    return [found]
