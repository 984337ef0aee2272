"""What the environment says about who has started this process, and with which others."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from covector.core.errors import at_user_line

METHODS = ("auto", "mpi4py", "slurm", "deactivate")


class Launch(NamedTuple):
    """Which process this is.

    Attributes
    ----------
    launcher : str
        For messages: what has started it.
    rank, size : int
    address : str or None
        Where the coordinator is to be; without it, the engine says so.
    engine : str
        ``"mpi"`` or ``"tcp"``.
    """

    launcher: str
    rank: int
    size: int
    address: str | None
    engine: str


# The variables of launchers of MPI: rank, size. Open MPI's sets those of PMI too, in some versions.
_MPI = (
    ("Open MPI's mpirun", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
    ("MPICH's mpirun", "PMI_RANK", "PMI_SIZE"),
)
# Ports of coordinators under SLURM: one for each job and step, of the range that no service has.
_PORTS = range(61440, 65536)


def _number(environ: Mapping[str, str], name: str) -> int:
    text = environ[name]
    if not text.isdecimal():
        raise ValueError(f"the variable {name} should be a number, it is {text!r}")
    return int(text)


def first_host(nodes: str) -> str:
    """The first of a list of nodes as SLURM writes it.

    Examples
    --------
    >>> first_host("gpu[007-012,20],login1")
    'gpu007'
    >>> first_host("a1,a2")
    'a1'
    """
    found = re.match(r"\s*([^\[,\s]+)(?:\[(\d+)[^\]]*\]([^,\[\s]*))?", nodes)
    if found is None:
        raise ValueError(f"SLURM's list of nodes {nodes!r} has no first one")
    prefix, number, suffix = found.groups()
    return prefix + (number or "") + (suffix or "")


def _mpi(environ: Mapping[str, str]) -> Launch | None:
    for launcher, rank, size in _MPI:
        if rank in environ and size in environ:
            return Launch(launcher, _number(environ, rank), _number(environ, size), None, "mpi")
    return None


def _slurm(environ: Mapping[str, str]) -> Launch | None:
    sizes = [n for n in ("SLURM_STEP_NUM_TASKS", "SLURM_NTASKS") if n in environ]
    lists = [n for n in ("SLURM_STEP_NODELIST", "SLURM_JOB_NODELIST") if n in environ]
    if "SLURM_PROCID" not in environ or not sizes or not lists or "SLURM_JOB_ID" not in environ:
        return None
    step = environ.get("SLURM_STEP_ID", "0")
    mix = _number(environ, "SLURM_JOB_ID") * 31 + (int(step) if step.isdecimal() else 0)
    address = f"{first_host(environ[lists[0]])}:{_PORTS[mix % len(_PORTS)]}"
    rank, size = _number(environ, "SLURM_PROCID"), _number(environ, sizes[0])
    return Launch("SLURM's srun", rank, size, address, "tcp")


def detect(environ: Mapping[str, str], method: str | None) -> Launch | None:
    """What has started this process, None if it was started by hand.

    Parameters
    ----------
    environ : mapping
    method : str, optional
        ``"mpi4py"`` or ``"slurm"`` looks for that alone, ``"deactivate"`` for none.

    Raises
    ------
    ValueError
        If there is no such method, or its variables are not there.
    """
    if method not in (None, *METHODS):
        raise ValueError(
            f"cluster_detection_method is one of {', '.join(map(repr, METHODS))}; got {method!r}"
            f"{at_user_line()}"
        )
    if method == "deactivate":
        return None
    found = None
    if method != "slurm":
        found = _mpi(environ)
    if found is None and method != "mpi4py":
        found = _slurm(environ)
    if found is None and method in ("mpi4py", "slurm"):
        what = "mpirun (Open MPI's or MPICH's)" if method == "mpi4py" else "srun"
        raise ValueError(
            f"cluster_detection_method={method!r}: this process was not started by {what}, whose "
            f"variables are not in the environment{at_user_line()}"
        )
    return found
