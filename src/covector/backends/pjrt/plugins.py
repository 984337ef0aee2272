"""Where the plugins are: installed wheels, or paths that the user names."""

from __future__ import annotations

import importlib.util
import os
from typing import Any, NamedTuple


class Found(NamedTuple):
    """A plugin."""

    platform: str
    path: str
    source: str


# The packages that have the plugin of a platform, and the library in them.
_PACKAGES: dict[str, tuple[tuple[str, str], ...]] = {
    "xla_cpu": (("xla_plugins.xla_cpu_pjrt", "xla_cpu_pjrt.so"),),
    "cuda": (
        ("jax_plugins.xla_cuda13", "xla_cuda_plugin.so"),
        ("jax_plugins.xla_cuda12", "xla_cuda_plugin.so"),
    ),
    "rocm": (
        ("jax_plugins.xla_rocm7", "xla_rocm_plugin.so"),
        ("jax_plugins.xla_rocm60", "xla_rocm_plugin.so"),
    ),
    "tpu": (("libtpu", "libtpu.so"),),
    "metal": (("jax_plugins.metal_plugin", "pjrt_plugin_metal_14.dylib"),),
}
PLATFORMS = tuple(_PACKAGES)


def named_by_user() -> dict[str, str]:
    """What ``COVECTOR_PJRT_PLUGINS=name:path,…`` says."""
    out = {}
    for item in filter(None, os.environ.get("COVECTOR_PJRT_PLUGINS", "").split(",")):
        name, colon, path = item.partition(":")
        if not colon or not name.strip() or not path.strip():
            raise RuntimeError(
                f"COVECTOR_PJRT_PLUGINS has the entry {item!r}; entries are name:path, separated "
                "by commas"
            )
        out[name.strip()] = path.strip()
    return out


def find(platform: str) -> Found:
    """The plugin of a platform.

    Raises
    ------
    RuntimeError
        If none is installed; it says what to install.
    """
    named = named_by_user()
    if platform in named:
        return Found(platform, named[platform], "COVECTOR_PJRT_PLUGINS")
    for package, library in _PACKAGES.get(platform, ()):
        try:
            spec = importlib.util.find_spec(package)
        except ModuleNotFoundError:
            continue
        for folder in (spec.submodule_search_locations or ()) if spec else ():
            path = os.path.join(folder, library)
            if os.path.exists(path):
                return Found(platform, path, package)
    raise RuntimeError(
        f"no plugin for {platform} is installed; install it with "
        f"pip install 'covector[{_EXTRAS.get(platform, platform)}]', or name its library in "
        f"COVECTOR_PJRT_PLUGINS={platform}:path"
    )


_EXTRAS = {"xla_cpu": "xla-cpu", "cuda": "cuda13"}


def client_options(platform: str) -> dict[str, Any]:
    """What the plugin's client is made with."""
    return {}
