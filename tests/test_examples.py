"""The example notebooks run from top to bottom, and the example programs draw their pictures."""

import os
import pathlib
import subprocess
import sys

import nbclient
import nbformat
import pytest

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
    "convolution", "data_parallel", "gaussian_process", "heat", "ring_attention", "rotation",
    "spectrogram",
]  # fmt: skip


@pytest.mark.parametrize("name", PROGRAMS)
def test_program(name, tmp_path):
    # As a user runs it, without the checks that other tests are run with.
    env = {k: v for k, v in os.environ.items() if k not in _CHECKS}
    env["PYTHONPATH"] = os.pathsep.join(p for p in sys.path if p)
    found = subprocess.run(
        [sys.executable, FOLDER / f"{name}.py"],
        cwd=tmp_path, env=env, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert found.returncode == 0, found.stderr
    picture = (tmp_path / f"{name}.png").read_bytes()
    assert picture.startswith(b"\x89PNG") and len(picture) > 1000
