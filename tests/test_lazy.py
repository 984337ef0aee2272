"""Names that are imported when they are first used."""

import importlib
import importlib.util
import pathlib
import pkgutil
import subprocess
import sys

import pytest

from tests.test_docstrings import PUBLIC

# Packages of which every module without an underscore is for people.
PACKAGES = ("example_libraries", "experimental", "extend", "interpreters", "scipy")

CODE = """
import sys, threading
sys.setswitchinterval(1e-6)
import covector.lax, covector.numpy, covector.random
names = [(covector.lax, "erf"), (covector.lax, "scan"), (covector.lax, "lgamma"),
         (covector.numpy, "interp"), (covector.numpy, "isclose"), (covector.random, "gamma")]
for module, name in names:
    found, barrier = [], threading.Barrier(6)
    def read():
        barrier.wait()
        found.append(getattr(module, name))
    threads = [threading.Thread(target=read) for _ in range(6)]
    for t in threads: t.start()
    for t in threads: t.join()
    assert len(found) == 6 and len(set(map(id, found))) == 1, (name, found)
"""


def test_all_threads_are_given_one_object():
    subprocess.run([sys.executable, "-c", CODE], check=True)


def test_completion_shows_public_names():
    code = """
import covector, covector.lax, covector.numpy, covector.random
for module in (covector, covector.lax, covector.numpy, covector.random):
    shown = dir(module)
    assert set(module.__all__) <= set(shown), module
    assert not {"annotations", "core", "arithmetic", "array_methods"} & set(shown), shown
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_scipy_and_images_come_when_they_are_used():
    code = """
import sys
import covector
late = ("covector.scipy", "covector.image", "covector.experimental", "covector.example_libraries")
assert not any(n.startswith(late) for n in sys.modules)
covector.scipy.stats.norm.pdf(0.0)
loaded = [n for n in sys.modules if n.startswith("covector.scipy.stats.")]
assert "covector.scipy.stats.norm" in loaded and "covector.scipy.stats.gamma" not in loaded
assert "covector.scipy.optimize" not in sys.modules and "covector.image" not in sys.modules
assert set(covector.scipy.__all__) <= set(dir(covector.scipy))
assert covector.experimental.sparse.eye(2).nse == 2
assert "covector.experimental.jet" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def _modules_for_people():
    listed = (pathlib.Path(__file__).parent / "api").glob("covector.*.txt")
    names = {f.stem for f in listed} | set(PUBLIC)
    for package in PACKAGES:
        path = importlib.import_module(f"covector.{package}").__path__
        names |= {f"covector.{package}.{m.name}" for m in pkgutil.iter_modules(path)}
    names -= {"covector", "covector.core"}  # the latter comes with the former, and is not shown
    names = {n for n in names if not n.rpartition(".")[2].startswith("_")}
    return sorted(n for n in names if _is_module(n))


def _is_module(name):
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


@pytest.mark.parametrize("name", _modules_for_people())
def test_modules_are_attributes_of_their_packages(name):
    package, _, last = name.rpartition(".")
    package = importlib.import_module(package)
    # Whoever has imported it before has made it one, so that having it says too little.
    assert last in dir(package)
    assert getattr(package, last) is importlib.import_module(name)
