"""Where the plugins are: installed wheels, entry points, or paths that the user names.

Nothing of a wheel is imported: a plugin is a shared library in the folder of its package.
"""

from __future__ import annotations

import fnmatch
import importlib.metadata
import importlib.util
import os
from typing import NamedTuple

from covector.core import presence
from covector.core.backend import NAMED_PLUGINS


class Found(NamedTuple):
    """A plugin.

    Attributes
    ----------
    platform : str
    path : str
        The shared library.
    source : str
        The distribution that it is of, with its version, or the variable that names it.
    """

    platform: str
    path: str
    source: str


# For each platform: the packages that have its plugin, the library in them, and the distribution.
# A star stands for a version of the vendor's software, of which the newest is taken.
_PACKAGES: dict[str, tuple[tuple[str, str, str], ...]] = {
    "xla_cpu": (("xla_plugins.xla_cpu_pjrt", "xla_cpu_pjrt.so", "xla-cpu-pjrt"),),
    "cuda": (("jax_plugins.xla_cuda*", "xla_cuda_plugin.so", "jax-cuda*-pjrt"),),
    "rocm": (("jax_plugins.xla_rocm*", "xla_rocm_plugin.so", "jax-rocm*-pjrt"),),
    "tpu": (("libtpu", "libtpu.so", "libtpu"),),
    "metal": (("jax_plugins.metal_plugin", "pjrt_plugin_metal_14.dylib", "jax-metal"),),
}
_EXTRAS = {"xla_cpu": "xla-cpu", "cuda": "cuda13"}
_GROUPS = ("xla_plugins", "jax_plugins")


def named_by_user() -> dict[str, str]:
    """What ``COVECTOR_PJRT_PLUGINS=name:path,…`` says.

    Raises
    ------
    RuntimeError
        If it is not of that form.
    """
    out = {}
    for item in filter(str.strip, os.environ.get(NAMED_PLUGINS, "").split(",")):
        name, colon, path = (part.strip() for part in item.partition(":"))
        if not colon or not name or not path:
            raise RuntimeError(
                f"{NAMED_PLUGINS} has the entry {item!r}; entries are name:path, separated by "
                "commas"
            )
        if name in ("cpu", "gpu"):
            raise RuntimeError(
                f"{NAMED_PLUGINS} calls a plugin {name!r}, which is the name of "
                f"{'the built-in compiler' if name == 'cpu' else 'cuda or rocm'}: choose another"
            )
        out[name] = path
    return out


def to_install(extra: str) -> str:
    """The command that installs what an extra of the distribution names."""
    return f"pip install '.[{extra}]' in Covector's source tree"


def find(platform: str) -> Found:
    """The plugin of a platform: what the user names, a known package, or an entry point.

    Raises
    ------
    RuntimeError
        If none is installed; it says what to install.
    """
    named = named_by_user()
    if platform in named:
        return Found(platform, named[platform], NAMED_PLUGINS)
    found = _in_packages(platform) or _by_entry_point().get(platform)
    if found is None:
        known = platform in _PACKAGES and platform != "metal"
        remedy = to_install(_EXTRAS.get(platform, platform))
        raise RuntimeError(
            f"no plugin for {platform} is installed; "
            + (f"install it with {remedy}" if known else "install its package")
            + f", or name its library in {NAMED_PLUGINS}={platform}:path"
        )
    return found


def installed() -> dict[str, Found]:
    """All plugins, by their platforms."""
    packages = filter(None, map(_in_packages, _PACKAGES))
    return {
        **_by_entry_point(),
        **{found.platform: found for found in packages},
        **{name: Found(name, path, NAMED_PLUGINS) for name, path in named_by_user().items()},
    }


# --- packages ---------------------------------------------------------------------------------


def folders_of(package: str) -> list[str]:
    """The folders of a package, which is not imported."""
    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError):
        return []
    return list(spec.submodule_search_locations or ()) if spec else []


def _in_packages(platform: str) -> Found | None:
    """The plugin in a known package."""
    for package, library, distribution in _PACKAGES.get(platform, ()):
        parent, _, pattern = package.rpartition(".")
        paths: list[tuple[float, str, str]] = []
        if "*" not in pattern:
            paths = [(0, f, distribution) for f in folders_of(package)]
        for folder in folders_of(parent) if "*" in pattern else ():
            for name in fnmatch.filter(os.listdir(folder), pattern):
                version = name[len(pattern) - 1 :]
                owner = distribution.replace("*", version)
                paths.append((_number(version), os.path.join(folder, name), owner))
        for _, folder, owner in sorted(paths, reverse=True):
            path = os.path.join(folder, library)
            if os.path.exists(path):
                return Found(platform, path, _with_version(owner))
    return None


def _number(version: str) -> float:
    """A version as packages are named after it: 12 or 7, or 60 for 6.0."""
    if not version.isdecimal():
        return 0
    return int(version) if int(version) < 50 else int(version) / 10


def _with_version(distribution: str) -> str:
    try:
        return f"{distribution} {importlib.metadata.version(distribution)}"
    except importlib.metadata.PackageNotFoundError:
        return distribution  # a folder without metadata


# --- entry points -----------------------------------------------------------------------------


def _by_entry_point() -> dict[str, Found]:
    """Plugins of packages that are not known here: the name of the entry point is the platform."""
    out: dict[str, Found] = {}
    for group in _GROUPS:
        for point in importlib.metadata.entry_points(group=group):
            if _is_known(point.module):
                continue
            for folder in folders_of(point.module):
                libraries = _libraries(folder)
                if libraries:
                    dist = point.dist
                    owner = f"{dist.name} {dist.version}" if dist and dist.name else point.value
                    out.setdefault(point.name, Found(point.name, libraries[0], owner))
    return out


def _is_known(module: str) -> bool:
    rows = [row for rows in _PACKAGES.values() for row in rows]
    return any(fnmatch.fnmatchcase(module, package) for package, _, _ in rows)


def _libraries(folder: str) -> list[str]:
    """The shared libraries in a package that may be a plugin: by custom they say so."""
    names = sorted(os.listdir(folder))
    found = [n for n in names if n.endswith((".so", ".dylib")) and ("pjrt" in n or "plugin" in n)]
    return [os.path.join(folder, name) for name in found]


# --- what there is to do where one does not start -----------------------------------------------


def remedy(platform: str, why: str) -> str:
    """What to do about a plugin that does not start; empty where there is no advice."""
    low = why.lower()
    if "version of" in low and "pjrt interface" in low:
        return ""  # it says so itself
    if any(word in low for word in ("already in use", "lockfile", "busy", "by another process")):
        return "another process uses the device: end it, or wait for it"
    if "out of memory" in low or "resource_exhausted" in low:
        return "other processes use the memory of the device: look with nvidia-smi or rocm-smi"
    if platform == "cuda":
        if "no visible gpu" in low or "no device" in low:
            return (
                "no GPU is visible to this process: see what nvidia-smi says, and the variable "
                "CUDA_VISIBLE_DEVICES"
            )
        if "driver" in low or "cuda_error" in low:
            return (
                "compare the driver's version (nvidia-smi) with what the plugin needs: 580 for "
                "CUDA 13, 525 for CUDA 12"
            )
        if "does not load" in low:
            return "install NVIDIA's libraries with it: " + to_install("cuda13")
    if platform == "rocm" and "does not load" in low:
        return "the plugin needs ROCm's libraries: install ROCm"
    if platform == "tpu":
        seen = any(s.platform == "tpu" for s in presence.detect())
        return "" if seen else "this machine shows no TPU in /dev"
    return ""
