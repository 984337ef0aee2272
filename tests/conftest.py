"""Settings of all tests: every jaxpr traced and every LLVM module made is checked, and new
memory is full of rubbish. Tests marked `peer` run where JAX is installed."""

import importlib.util
import os
import sys

import pytest

# A distribution with a second backend.
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "toy"))

os.environ.setdefault("COVECTOR_ENABLE_CHECKS", "1")
os.environ.setdefault("COVECTOR_POISON_MEMORY", "1")


def pytest_collection_modifyitems(config, items):
    if importlib.util.find_spec("jax") is None:
        absent = pytest.mark.skip(reason="compares with JAX, which is not installed")
        for item in items:
            if item.get_closest_marker("peer"):
                item.add_marker(absent)
