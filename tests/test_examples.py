"""The example notebooks run from top to bottom."""

import pathlib

import nbclient
import nbformat
import pytest

FOLDER = pathlib.Path(__file__).parent.parent / "examples"


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
