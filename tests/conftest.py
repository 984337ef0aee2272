"""Settings of all tests: every jaxpr traced, every loop program and every LLVM module made is
checked, nodes of the loop IR do not change, and new memory is full of rubbish. Tests marked
`peer` run where JAX is installed."""

import importlib.util
import os
import sys

import pytest

# A distribution with a second backend.
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "toy"))

os.environ.setdefault("COVECTOR_ENABLE_CHECKS", "1")
os.environ.setdefault("COVECTOR_POISON_MEMORY", "1")

from tests.compiler import round_trip  # noqa: E402 - reads the settings

round_trip.install()


def pytest_collection_modifyitems(config, items):
    if importlib.util.find_spec("jax") is None:
        absent = pytest.mark.skip(reason="compares with JAX, which is not installed")
        for item in items:
            if item.get_closest_marker("peer"):
                item.add_marker(absent)
