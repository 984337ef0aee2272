"""What is installed, where it runs, what is cached and how options are set."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from typing import Any

import covector
from covector import _native
from covector.backends.cpu import backend, codegen
from covector.backends.pjrt import plugins
from covector.core import presence, stored
from covector.core.backend import default_platform
from covector.core.config import config
from covector.core.options import OPTIONS, WITHOUT_EFFECT
from covector.runtime import devices

_REQUIRED = ("numpy", "scipy", "llvmlite", "ml_dtypes", "optree", "opt_einsum")


def collect() -> dict[str, Any]:
    """All of it, as dictionaries."""
    number, size = stored.usage()
    values, sources = config.values, config.sources
    return {
        "versions": {
            "covector": covector.__version__,
            "python": platform.python_version(),
            **{name: importlib.metadata.version(name) for name in _REQUIRED},
        },
        "machine": {
            "system": platform.platform(),
            "processor": codegen.processor().name,
            "devices": _devices(),
            "accelerators": ", ".join(map(_seen, presence.detect())) or "none",
            "threads": f"{_native.num_threads()} of {os.cpu_count()} processors"
            " (COVECTOR_NUM_THREADS)",
        },
        "plugins": _plugins(),
        "libraries": {"BLAS, LAPACK": _blas(), "FFT": "ducc0, in the native core"},
        "caches": {
            "on disk": {
                "folder": stored.cache_dir(),
                "programs": number,
                "bytes": size,
                "limit": config.compilation_cache_max_size,
                "enabled": config.enable_compilation_cache,
            },
            "in memory": {
                "programs": backend.programs_in_memory(),
                "arrays": sum(x.nbytes for x in _native.live_arrays()),
            },
        },
        "options": {
            name: {
                "value": values[name],
                "from": sources[name],
                "effect": name not in WITHOUT_EFFECT,
                "about": option.summary,
            }
            for name, option in OPTIONS.items()
        },
    }


def clear_cache() -> tuple[int, int]:
    """Drop the programs on disk; how many there were, and their size in bytes."""
    return stored.clear()


def cache_folder() -> str:
    """Where programs are kept."""
    return stored.cache_dir()


def _devices() -> str:
    """The devices of the default platform, or why it has none."""
    try:
        return ", ".join(map(repr, devices.devices()))
    except RuntimeError as e:
        return f"none of the platform {default_platform()!r}: {e}"


def _seen(each: presence.Seen) -> str:
    driver = "" if each.driver else ", without its driver's library"
    return f"{each.platform} ({each.device}{driver})"


def _plugins() -> dict[str, str]:
    """For each platform with a plugin, what the plugin is of and where it is."""
    try:
        found = plugins.installed()
    except RuntimeError as e:
        return {"": str(e)}
    return {name: f"{each.source}: {each.path}" for name, each in found.items()}


def _blas() -> str:
    """The BLAS that SciPy was built with, whose routines are called."""
    import scipy

    found = scipy.show_config(mode="dicts")["Build Dependencies"]["blas"]
    return f"{found['name']} {found['version']}, from SciPy"
