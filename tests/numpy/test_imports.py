"""What importing the package loads, and that every public name is found."""

import subprocess
import sys

import pytest

import covector.numpy as np


def test_public_names():
    for name in np.__all__:
        assert getattr(np, name) is getattr(np, name)
        assert name in dir(np)
    with pytest.raises(AttributeError, match="no_such_name"):
        np.no_such_name  # noqa: B018


def test_rare_modules_are_imported_on_first_use():
    code = (
        "import sys, covector.numpy as np\n"
        "rare = ['sets', 'calculus', 'polynomial', 'padding', 'functional', 'files']\n"
        "assert not [m for m in rare if f'covector.numpy.{m}' in sys.modules]\n"
        "from covector.numpy import unique\n"
        "assert np.unique is unique and vars(np)['unique'] is unique\n"
        "assert np.ones(3).argsort().shape == (3,)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
