"""What type checkers see: the stub of `Array` is what is attached to it, and users' code passes."""

import ast
import pickle
import re
import subprocess
import sys

import pytest

import covector as cv
import covector.numpy as np

from . import stub

USER = """
import covector as cv
import covector.numpy as np
from covector import lax, nn, random, tree_util


def loss(x: cv.Array, y: np.ndarray) -> cv.Array:
    a = 2 * x[0] + y.T @ x - x**2 / 3
    b = a.at[0].set(1.0).sum(axis=0, keepdims=True).reshape(-1)
    c = (a > b) & ~(a == b)
    n: int = len(a) + a.ndim + a.shape[0]
    q, r = divmod(a, 2)
    for row in a:
        b = b + row.mean() * n
    return np.where(c, -a, abs(b)).astype(np.float32) + float(b[0]) + q - r


value: cv.Array = cv.jit(loss)(np.ones(3), np.ones(3))
cv.grad(lambda x: loss(x, x).sum())(value)
lax.scan(lambda c, x: (c + x, x), 0.0, value)
nn.relu(random.normal(random.key(0), (3,)))
tree_util.tree_map(lambda x: x + 1, {"a": value})
cv.hessian(lambda x: (x**2).sum())(value)
"""


def test_the_stub_is_what_is_attached():
    assert ast.dump(ast.parse(stub.text())) == ast.dump(ast.parse(stub.PATH.read_text())), (
        "run python -m tests.stub"
    )


def test_every_public_attribute_is_in_the_stub():
    (cls,) = [n for n in ast.parse(stub.text()).body if isinstance(n, ast.ClassDef)]
    known = {n.name for n in cls.body if isinstance(n, ast.FunctionDef)}
    attached = {n for n in dir(type(np.ones(2))) if not n.startswith("_")}
    # `flat` is there to say that it is not.
    assert attached - known == {"flat"}
    assert not {n for n in known if not hasattr(type(np.ones(2)), n)}


MISTAKES = {"attribute": "value.nonexistent", "method": "value.at[0].put(1)", "right": ""}


@pytest.fixture(scope="module")
def complaints(tmp_path_factory):
    """What mypy says of each program, all in one process of its own, which reads Covector once."""
    pytest.importorskip("mypy", reason="mypy is not installed")
    folder = tmp_path_factory.mktemp("users")
    for name, mistake in MISTAKES.items():
        (folder / f"{name}.py").write_text(f"{USER}{mistake}\n")
    command = [sys.executable, "-m", "mypy", ".", "--config-file=", "--cache-dir=.cache"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert re.fullmatch(r"Found \d+ errors? in \d+ files? .checked 3 source files.", lines[-1])
    return lines[:-1]


@pytest.mark.parametrize("name", MISTAKES)
def test_code_of_users(complaints, name):
    found = [line for line in complaints if line.startswith(f"{name}.py:")]
    assert len(found) == (1 if MISTAKES[name] else 0), found
    assert all("has no attribute" in line for line in found)
    assert len(complaints) == 2, "something else than the three files is wrong"


def square(x):
    return x * x


compiled = cv.jit(square)


@pytest.mark.parametrize("tool", ["pickle", "cloudpickle", "joblib"])
def test_pickles(tool):
    dumps, loads = pickle.dumps, pickle.loads
    if tool != "pickle":
        cloudpickle = pytest.importorskip(
            "cloudpickle" if tool == "cloudpickle" else "joblib.externals.cloudpickle",
            reason=f"{tool} is not installed",
        )
        dumps = cloudpickle.dumps
    x = np.arange(4.0)
    assert np.array_equal(loads(dumps(x)), x)
    assert loads(dumps(compiled))(x)[3] == 9
    assert loads(dumps({"f": compiled, "x": x}))["f"](3.0) == 9
    if tool != "pickle":
        scale = 2.5
        made_here = cv.jit(lambda x: x * scale)
        assert loads(dumps(made_here))(2.0) == 5
        assert loads(dumps(cv.grad(square)))(3.0) == 6
        assert loads(dumps(cv.vmap(square)))(x)[2] == 4
    assert loads(dumps(np.sin)) is np.sin or float(loads(dumps(np.sin))(0.0)) == 0
    assert loads(dumps(cv.tree_util.tree_map)) is not None


def test_completion_shows_public_names():

    for module in (
        cv, np, cv.lax, cv.random, cv.nn, cv.nn.initializers, cv.ops, cv.tree_util, cv.dtypes,
        cv.dlpack, cv.tree, cv.errors, cv.stages, cv.debug, cv.sharding, np.linalg,
    ):  # fmt: skip
        public = [n for n in dir(module) if not n.startswith("_")]
        foreign = {"Any", "annotations", "Callable", "Sequence", "functools", "onp", "operator"}
        assert not foreign & set(public), module.__name__
        assert set(getattr(module, "__all__", public)) <= set(public), module.__name__
