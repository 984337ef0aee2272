"""What the compiler makes of a function: `debug.show` and ``python -m covector.debug``."""

import re
import subprocess
import sys

import pytest

import covector as cv
import covector.numpy as np
from covector.debug import STAGES
from covector.debug.__main__ import load, main, parse_type
from covector.debug.colour import coloured

X = np.ones((20, 30))


def loss(x):
    return (np.tanh(x) ** 2).mean(1) * 1


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "model.py"
    path.write_text(
        "import covector.numpy as np\n"
        "def loss(x, w):\n"
        "    return (np.tanh(x @ w) ** 2).sum() * 1\n"
        "class Model:\n"
        "    @staticmethod\n"
        "    def step(x): return x + 1\n"
        "def exits(x): raise SystemExit(3)\n"
        "def fails(x): raise KeyError('user')\n"
    )
    return path


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage(stage):
    text = cv.debug.show(loss, X, stage=stage)
    assert len(text.splitlines()) > 3 and "\x1b" not in repr(text)
    assert text == cv.debug.show(cv.jit(loss), X, stage=stage) or stage == "passes"
    assert text == cv.debug.show(loss, cv.ShapeDtypeStruct((20, 30), "float32"), stage=stage) or (
        stage == "passes"
    )


def test_all_stages_follow_one_another():
    text = cv.debug.show(loss, X, stage="all")
    assert re.findall(r"^==== (\w+) =", text, re.M) == list(STAGES)


def test_passes_are_named_and_timed():
    text = cv.debug.show(loss, X, stage="passes")
    heads = re.findall(r"^---- ([\w ]+): .*\((\d+) equations, now (\d+); \d+ us\)$", text, re.M)
    assert [name for name, _, _ in heads][:3] == ["inlining", "counters", "sharing"]
    assert dict((n, int(b) - int(a)) for n, b, a in heads)["identities"] == 1


def test_errors():
    with pytest.raises(ValueError, match="no stage 'french'; there are jaxpr, passes, simplified"):
        cv.debug.show(loss, X, stage="french")


def test_on_another_device():
    assert cv.debug.show(lambda x: x + 1, cv.device_put(X, cv.devices("toy")[0]), stage="jaxpr")
    with pytest.raises(ValueError, match="no stage 'loop'; there are jaxpr and all"):
        cv.debug.show(lambda x: x + 1, cv.device_put(X, cv.devices("toy")[0]), stage="loop")


def test_command(model, capsys):
    assert main([f"{model}:loss", "f32[128,10]", "f32[10]"]) == 0
    out = capsys.readouterr().out
    assert re.findall(r"^==== (\w+) =", out, re.M) == list(STAGES) and "\x1b" not in out
    assert main([f"{model}:Model.step", "i32[]", "--stage", "loop", "--colour", "always"]) == 0
    out = capsys.readouterr().out
    assert "\x1b[" in out and re.sub(r"\x1b\[\d+m", "", out).startswith("program")


def test_command_from_a_shell(model):
    run = subprocess.run(
        [sys.executable, "-m", "covector.debug", f"{model}:loss", "f32[3,4]", "f32[4]",
         "--stage", "jaxpr"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert run.stdout.startswith("{ lambda") and "tanh" in run.stdout


@pytest.mark.parametrize(
    "args, message",
    [
        (["nothing.py:f"], "there is no file nothing.py"),
        (["MODEL:none"], "has no none"),
        (["MODEL"], "names no function: expected FILE.py:FUNCTION"),
        (["MODEL:loss", "f33[3]", "f32[3]"], "'f33[3]': there is no dtype f33"),
        (["MODEL:loss", "f32", "f32[3]"], "'f32' is not a type: expected one such as"),
        (["MODEL:loss", "f32[2,3]", "f32[4]"], "matmul: the last dimension"),
        (["MODEL:loss"], "missing 2 required positional arguments"),
        (["MODEL:"], "names no function"),
        (["MODEL:loss", "f32[1 2]"], "'f32[1 2]' is not a type"),
        (["MODEL:loss", "f32[,]"], "'f32[,]' is not a type"),
        (["MODEL:loss", "f64[2]"], "64-bit types need COVECTOR_ENABLE_X64=1"),
        (["MODEL:loss", "object[2]"], "dtype object are not supported"),
        (["MODEL:fails", "f32[2]"], "in fails"),
        (["MODEL:__doc__"], "is no function: "),
        (["nosuchmodule:f"], "there is no module nosuchmodule"),
        (["os.nosuch:f"], "there is no module os.nosuch"),
        (["/tmp:f"], "'/tmp' is neither a file FILE.py nor a module"),
        (["MODEL:exits", "f32[2]"], "SystemExit: 3"),
    ],
)
def test_command_errors(model, capsys, args, message):
    assert main([a.replace("MODEL", str(model)) for a in args]) in (1, 2)
    assert message in capsys.readouterr().err


def test_a_file_is_loaded_as_an_import_would(tmp_path):
    path = tmp_path / "record.py"
    path.write_text(
        "from __future__ import annotations\n"
        "import dataclasses, typing\n"
        "@dataclasses.dataclass\n"
        "class A:\n"
        "    x: typing.ClassVar[int] = 3\n"
        "    y: int = 2\n"
        "def f(x): return x * A().y\n"
    )
    assert load(f"{path}:f")(2) == 4


def test_types():
    assert parse_type("key[2]").shape == (2,)
    assert parse_type("bf16[2, 3]").dtype == np.bfloat16 and parse_type("bool[]").shape == ()
    assert load("covector.numpy:linalg.norm") is np.linalg.norm


def test_colours_change_nothing_else():
    for stage in STAGES:
        text = str(cv.debug.show(loss, X, stage=stage))
        shown = coloured(text, stage)
        assert shown != text and re.sub(r"\x1b\[\d+m", "", shown) == text
