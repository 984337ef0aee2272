"""A plugin that computes nothing, for tests of what is done with plugins."""

import pathlib
import subprocess

import pytest

from covector.backends.pjrt import plugins

SOURCE = pathlib.Path(__file__).with_name("fake_plugin.c")


@pytest.fixture(scope="session")
def fake(tmp_path_factory):
    """The path of a fake plugin that is broken in one way."""
    folder = tmp_path_factory.mktemp("plugins")
    include = pathlib.Path(plugins.find("xla_cpu").path).with_name("include")

    def build(how):
        path = folder / f"{how}.so"
        if not path.exists():
            command = ["cc", "-shared", "-fPIC", f"-DFAKE_{how}", f"-I{include}", str(SOURCE)]
            subprocess.run([*command, "-o", str(path)], check=True)
        return str(path)

    return build
