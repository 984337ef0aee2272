"""The example notebooks run from top to bottom, and the example programs draw their pictures."""

import importlib.util
import os
import pathlib
import shutil
import signal
import subprocess
import sys

import nbclient
import nbformat
import numpy as np
import pytest

from tests.distributed import jobs

FOLDER = pathlib.Path(__file__).parent.parent / "examples"
_CHECKS = ("COVECTOR_ENABLE_CHECKS", "COVECTOR_POISON_MEMORY")


@pytest.mark.parametrize("name", ["lecture", "digits", "ode_fit", "poisson"])
def test_notebook(name):
    notebook = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
    # Cells tagged raises-exception show an error on purpose; any other error fails here.
    expected = [c for c in notebook.cells if "raises-exception" in c.metadata.get("tags", [])]
    client = nbclient.NotebookClient(
        notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": FOLDER}}
    )
    client.execute()
    for cell in expected:
        assert any(o.output_type == "error" for o in cell.outputs), cell.source
    pictures = [
        o for c in notebook.cells for o in c.get("outputs", [])
        if o.output_type == "display_data" and "image/png" in o.data
    ]  # fmt: skip
    assert pictures


PROGRAMS = [
    "convolution", "data_parallel", "gaussian_process", "gpt", "heat", "pipeline_parallel",
    "ring_attention", "rotation", "spectrogram", "tensor_parallel",
]  # fmt: skip


def environment(**more):
    # As a user runs it, without the checks that other tests are run with.
    env = {k: v for k, v in os.environ.items() if k not in _CHECKS}
    return {**env, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p), **more}


@pytest.mark.parametrize("name", PROGRAMS)
def test_program(name, tmp_path):
    env = environment()
    found = subprocess.run(
        [sys.executable, FOLDER / f"{name}.py"],
        cwd=tmp_path, env=env, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert found.returncode == 0, found.stderr
    picture = (tmp_path / f"{name}.png").read_bytes()
    assert picture.startswith(b"\x89PNG") and len(picture) > 1000


SMALL = (
    "--steps=12 --every=4 --layers=2 --width=32 --heads=2 --length=16 --batch=8 --sample=0".split()
)


def launcher(n):
    """The command that starts ``n`` processes."""
    found = jobs.mpirun()
    if found is None or importlib.util.find_spec("mpi4py") is None:
        pytest.skip("starts processes with mpirun, which needs an MPI and mpi4py")
    return [*found, "-n", str(n)]


@pytest.mark.parametrize("name", ["data_parallel", "heat", "ring_attention"])
def test_program_of_two_processes(name, tmp_path):
    found = subprocess.run(
        [*launcher(2), sys.executable, FOLDER / f"{name}.py"],
        cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert found.returncode == 0, found.stderr
    picture = (tmp_path / f"{name}.png").read_bytes()
    assert picture.startswith(b"\x89PNG") and len(picture) > 1000


def gpt(folder, devices, kill_after=None, start=()):
    """Train the small GPT, or end it when it says that it has made a step; what it printed."""
    command = [*start, sys.executable, FOLDER / "gpt.py", *SMALL, "--folder", folder]
    env = environment(COVECTOR_NUM_CPU_DEVICES=str(devices))
    lines = []
    with subprocess.Popen(
        command, cwd=folder.parent, env=env, stdout=subprocess.PIPE, text=True
    ) as child:
        for line in child.stdout:
            lines.append(line)
            if kill_after is not None and line.startswith(f"step {kill_after:4} "):
                kill = signal.SIGTERM if start else signal.SIGKILL  # mpirun ends its processes
                child.send_signal(kill)
    assert (child.returncode == 0) == (kill_after is None), lines
    return lines


def test_training_goes_on_after_it_was_killed(tmp_path):
    gpt(tmp_path / "whole", 4)
    whole = np.load(tmp_path / "whole" / "losses.npy")
    assert len(whole) == 12 and np.isfinite(whole).all() and whole[-1] < whole[0]
    gpt(tmp_path / "killed", 4, kill_after=11)
    shutil.copytree(tmp_path / "killed", tmp_path / "fewer")
    for name, devices in (("killed", 4), ("fewer", 2)):
        head = gpt(tmp_path / name, devices)[0]
        assert "from step 8" in head
        losses = np.load(tmp_path / name / "losses.npy")
        if devices == 4:
            assert losses.tobytes() == whole.tobytes()
        else:
            np.testing.assert_allclose(losses, whole, rtol=1e-5)


def test_training_of_two_processes(tmp_path):
    """It goes on after they were killed, as if nothing had been; and with other processes."""
    two = launcher(2)
    gpt(tmp_path / "whole", 2, start=two)
    whole = np.load(tmp_path / "whole" / "losses.npy")
    gpt(tmp_path / "killed", 2, kill_after=11, start=two)
    shutil.copytree(tmp_path / "killed", tmp_path / "alone")
    for name, devices, start in (("killed", 2, two), ("alone", 4, ())):
        head = gpt(tmp_path / name, devices, start=start)[0]
        assert "from step 8" in head
        losses = np.load(tmp_path / name / "losses.npy")
        if start:
            assert losses.tobytes() == whole.tobytes()
        else:
            np.testing.assert_allclose(losses, whole, rtol=1e-5)
