"""The same programs on eight devices of both libraries."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as onp
import pytest

pytestmark = pytest.mark.peer
FILE = Path(__file__).with_name("peer_programs.py")


def run(library, folder):
    out = folder / f"{library}.npz"
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    done = subprocess.run(
        [sys.executable, FILE, library, out], env=env, capture_output=True, text=True, timeout=600,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    with onp.load(out) as found:
        return dict(found)


def test_programs_on_eight_devices(tmp_path):
    pytest.importorskip("jax")
    ours, theirs = run("covector", tmp_path), run("jax", tmp_path)
    assert ours.keys() == theirs.keys()
    assert len(ours) > 40
    wrong = {}
    for name, a in ours.items():
        b = theirs[name]
        if b.dtype.kind == "U":
            continue  # what the other library does not do
        if a.dtype.kind == "U":
            wrong[name] = str(a)
        elif a.shape != b.shape or not onp.allclose(a, b, rtol=2e-5, atol=2e-6):
            wrong[name] = (
                f"{a.shape}, {b.shape}: {onp.abs(a - b).max() if a.shape == b.shape else ''}"
            )
    assert not wrong, "\n".join(f"{k}: {v}" for k, v in wrong.items())
