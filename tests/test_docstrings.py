"""Public docstrings: every argument described, every example run."""

import doctest
import importlib
import inspect
import pkgutil

import pytest

import covector as cv
from covector import _native
from covector.scipy import stats

PACKAGES = (
    "extend", "extend.core", "interpreters",
    "core", "primitives", "transforms", "control_flow", "runtime", "lax", "lax.linalg", "numpy",
    "numpy.fft", "numpy.linalg", "random", "nn", "scipy", "scipy.cluster", "scipy.linalg",
    "scipy.signal", "scipy.sparse", "scipy.spatial", "scipy.special", "scipy.stats",
    "experimental", "experimental.array_serialization", "experimental.sparse",
    "example_libraries", "distributed", "sharding",
)  # fmt: skip
MODULES = [
    f"covector.{package}.{m.name}"
    for package in PACKAGES
    for m in pkgutil.iter_modules(importlib.import_module(f"covector.{package}").__path__)
]
MODULES += [f"covector.{m.name}" for m in pkgutil.iter_modules(cv.__path__) if m.name[0] != "_"]
MODULES.append("covector")

# Modules whose public functions all have numpydoc docstrings.
PUBLIC = (
    "covector", "covector.ad", "covector.memory",
    "covector.ad_checkpoint", "covector.api_util", "covector.core",
    "covector.custom_batching", "covector.custom_derivatives", "covector.debug",
    "covector.distributed", "covector.dlpack",
    "covector.dtypes", "covector.example_libraries.optimizers", "covector.example_libraries.stax",
    "covector.experimental.array_serialization",
    "covector.experimental.buffer_callback", "covector.experimental.checkify",
    "covector.experimental.compilation_cache.compilation_cache", "covector.experimental.compute_on",
    "covector.experimental.custom_partitioning", "covector.experimental.jet",
    "covector.experimental.layout", "covector.experimental.mesh_utils",
    "covector.experimental.multihost_utils", "covector.experimental.ode",
    "covector.experimental.random", "covector.experimental.scheduling_groups",
    "covector.experimental.serialize_executable",
    "covector.experimental.shard_alike", "covector.experimental.sparse",
    "covector.experimental.sparse.linalg", "covector.experimental.sparse.random",
    "covector.experimental.topologies", "covector.experimental.xla_metadata", "covector.export",
    "covector.extend.backend", "covector.extend.core",
    "covector.extend.linear_util", "covector.extend.random", "covector.extend.sharding",
    "covector.extend.source_info_util", "covector.ffi", "covector.flatten_util", "covector.image",
    "covector.interpreters.ad", "covector.interpreters.batching", "covector.interpreters.mlir",
    "covector.interpreters.partial_eval", "covector.lax", "covector.lax.linalg",
    "covector.monitoring", "covector.nn", "covector.nn.initializers", "covector.numpy",
    "covector.numpy.fft", "covector.numpy.linalg", "covector.ops", "covector.random",
    "covector.ref", "covector.scipy.cluster.vq", "covector.scipy.fft", "covector.scipy.integrate",
    "covector.scipy.linalg", "covector.scipy.ndimage", "covector.scipy.optimize",
    "covector.scipy.signal", "covector.scipy.sparse.linalg", "covector.scipy.special",
    "covector.scipy.stats", "covector.sharding.cost", "covector.test_util", "covector.tree",
    "covector.tree_util",
    *(f"covector.scipy.stats.{name}" for name in sorted(stats._MODULES)),
)  # fmt: skip


@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    found = doctest.testmod(importlib.import_module(name))
    assert found.failed == 0


def functions(module):
    names = getattr(module, "__all__", None) or [n for n in dir(module) if n[0] != "_"]
    for name in names:
        f = getattr(module, name)
        if type(f) in (_native.Boundary, _native.JitFunction) or inspect.isfunction(f):
            yield name, f


@pytest.mark.parametrize("name", PUBLIC)
def test_docstrings_are_complete(name):
    incomplete = []
    for function, f in functions(importlib.import_module(name)):
        doc = inspect.getdoc(f) or ""
        text = doc.replace("*", "").replace(",", " ").split()
        missing = [p for p in inspect.signature(f).parameters if p not in text]
        if missing or "Examples\n---" not in doc or ">>>" not in doc or "Returns\n---" not in doc:
            incomplete.append((function, missing))
    assert not incomplete, f"{len(incomplete)}: {incomplete}"
