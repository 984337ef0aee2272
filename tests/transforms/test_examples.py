"""The examples in the docstrings of the transformations, control flow and pytrees."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import covector.core
import covector.lax.control_flow
import covector.runtime
import covector.transforms

PACKAGES = (covector.core, covector.transforms, covector.lax.control_flow, covector.runtime)
MODULES = [
    f"{package.__name__}.{m.name}"
    for package in PACKAGES
    for m in pkgutil.iter_modules(package.__path__)
] + ["covector.lax.parallel", "covector.flatten_util", "covector.tree_util", "covector.debug"]


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples(name: str) -> None:
    found = doctest.testmod(importlib.import_module(name))
    assert found.failed == 0
