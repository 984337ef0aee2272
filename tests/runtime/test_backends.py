"""Finding backends by entry point, and what is said of those that are broken."""

import os
import subprocess
import sys

import pytest

import covector as cv

_PROBLEMS = {
    "import": ("covector_broken.nothing:Backend", "does not load: ModuleNotFoundError"),
    "raises": ("covector_broken:fails", "does not load: OSError: no driver"),
    "lacks": ("covector_broken:Half", "lacks put, lower, which a backend must have"),
    "twice": ("covector_broken:two_rules", "the primitive add has two rules"),
    "exits": ("covector_broken:exits", "does not load: SystemExit: 3"),
    "empty": ("covector_broken:Empty", "has no devices"),
    "name": ("covector_broken:Whole", "says that its platform is 'whole'"),
    "gone": ("covector_broken:Gone", "does not say its devices: OSError: driver gone"),
    "list": ("covector_broken:List", "does not say its devices: TypeError"),
    "texts": ("covector_broken:Texts", "has a device 'a' that is none of this platform"),
    "form": ("a form : of its : own", "which is not of the form MODULE:OBJECT"),
}
_MODULE = """
class Half:
    platform = "lacks"
    def devices(self): return []

class Whole(Half):
    platform = "whole"
    def devices(self): return [object()]
    def put(self): pass
    def lower(self): pass

class Empty(Whole):
    platform = "empty"
    def devices(self): return []

class Gone(Whole):
    platform = "gone"
    def devices(self): raise OSError("driver gone")

class List(Whole):
    platform = "list"
    devices = []

class Texts(Whole):
    platform = "texts"
    def devices(self): return ["a"]

class Device:
    platform = device_kind = "nothing"
    id = process_index = 0

class Nothing(Whole):
    platform = "nothing"
    def devices(self): return [Device()]
    def lower(self, jaxpr, donated, name): pass

def exits():
    raise SystemExit(3)

def fails():
    raise OSError("no driver")

def two_rules():
    from covector.core.backend import LoweringRules
    from covector.primitives.arithmetic import add_p
    rules = LoweringRules()
    rules.rule(add_p)(None)
    rules.rule(add_p)(None)
"""


@pytest.fixture
def broken(tmp_path, monkeypatch):
    (tmp_path / "covector_broken.py").write_text(_MODULE)
    info = tmp_path / "covector_broken-2.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: covector-broken\nVersion: 2.0\n")
    points = "\n".join(f"{name} = {value}" for name, (value, _) in _PROBLEMS.items())
    (info / "entry_points.txt").write_text(f"[covector.backends]\n{points}\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    sys.modules.pop("covector_broken", None)


@pytest.mark.parametrize("name", _PROBLEMS)
def test_one_sentence_names_the_distribution(broken, name):
    with pytest.raises(RuntimeError) as e:
        cv.devices(name)
    text = str(e.value)
    assert text.startswith(f"the backend {name!r} of the distribution covector-broken 2.0 ")
    assert _PROBLEMS[name][1] in text and "\n" not in text
    assert float(cv.jit(lambda x: x + 1)(1.0)) == 2


def test_a_program_that_is_none(broken, tmp_path):
    info = tmp_path / "nameless-1.0.dist-info"
    info.mkdir()
    (info / "entry_points.txt").write_text(
        "[covector.backends]\nnothing = covector_broken:Nothing\nnameless = covector_broken:Gone\n"
    )
    with pytest.raises(RuntimeError, match=r"'nothing' lowered .* NoneType, lacks platform, .*"):
        cv.jit(lambda x: x + 1, backend="nothing")(1.0)
    with pytest.raises(RuntimeError, match="of the entry point nameless = covector_broken:Gone"):
        cv.devices("nameless")


def test_two_distributions_of_one_platform(broken, tmp_path):
    info = tmp_path / "covector_other-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: covector-other\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[covector.backends]\nlacks = covector_broken:Half\n")
    with pytest.raises(
        RuntimeError, match="several distributions: covector-broken, covector-other"
    ):
        cv.devices("lacks")


def test_unknown(broken):
    with pytest.raises(RuntimeError, match=r"unknown backend 'french'; available: cpu, .*lacks"):
        cv.devices("french")


def test_the_cpu_needs_no_metadata():
    code = (
        "import importlib.metadata\n"
        "def read(*args, **kwargs): raise AssertionError('metadata read')\n"
        "importlib.metadata.entry_points = importlib.metadata.distributions = read\n"
        "import covector as cv\n"
        "assert float(cv.jit(lambda x: x + 1)(1.0)) == 2 and cv.devices('cpu')\n"
        "cv.device_put(1.0, cv.devices()[0])\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env=dict(os.environ))
