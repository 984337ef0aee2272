"""Which accelerators this machine has: by its device files and its drivers' libraries.

Nothing is loaded and no driver is called, so that a machine without a device pays for a look at
four names in ``/dev``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import NamedTuple

# The platforms that a device makes the default one, the first that is there.
PREFERENCE = ("tpu", "cuda", "rocm")
_GOOGLE = "0x1ae0"  # its number among the vendors of PCI devices

# Where drivers put their libraries, besides those that the loader's cache knows.
_FOLDERS = (
    "usr/lib/x86_64-linux-gnu", "usr/lib/aarch64-linux-gnu", "usr/lib64", "usr/lib",
    "usr/local/lib", "usr/lib/wsl/lib", "usr/local/nvidia/lib64", "usr/local/nvidia/lib",
    "run/opengl-driver/lib",
)  # fmt: skip


class Seen(NamedTuple):
    """An accelerator.

    Attributes
    ----------
    platform : str
    device : str
        The device file.
    driver : str or None
        Where the driver's library was found; None if it was not.
    """

    platform: str
    device: str
    driver: str | None


def detect(root: str = "/", environ: Mapping[str, str] = os.environ) -> list[Seen]:
    """The accelerators below ``root``, the one to be preferred first.

    Those that the user hides (``CUDA_VISIBLE_DEVICES=""`` and its like) are not there.
    """
    return [seen for name in PREFERENCE if (seen := _LOOKS[name](root, environ)) is not None]


def _names(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


def _tpu(root: str, environ: Mapping[str, str]) -> Seen | None:
    # Older ones have a file of their own; later ones are among what is passed through to programs.
    dev = os.path.join(root, "dev")
    found = os.path.join(dev, "accel0")
    if not os.path.exists(found):
        folder = os.path.join(dev, "vfio")
        groups = [n for n in _names(folder) if n.isdigit()]
        if not groups:
            return None
        found = os.path.join(folder, groups[0])
    pci = os.path.join(root, "sys/bus/pci/devices")
    if not any(_begins(os.path.join(pci, name, "vendor"), _GOOGLE) for name in _names(pci)):
        return None
    return Seen("tpu", found, found)  # the driver's library is the plugin


def _begins(path: str, text: str) -> bool:
    try:
        with open(path) as file:
            return file.read(len(text)) == text
    except OSError:
        return False


def _hidden(environ: Mapping[str, str], *names: str) -> bool:
    return any(environ.get(name, "0").strip() in ("", "-1", "NoDevFiles") for name in names)


def _cuda(root: str, environ: Mapping[str, str]) -> Seen | None:
    if _hidden(environ, "CUDA_VISIBLE_DEVICES"):
        return None
    for name in ("dev/nvidiactl", "dev/dxg"):  # the second one is Windows' below Linux
        device = os.path.join(root, name)
        if os.path.exists(device):
            driver = _library("libcuda.so.1", root, environ)
            # Windows has devices of all makers behind one name.
            return Seen("cuda", device, driver) if driver or name != "dev/dxg" else None
    return None


def _rocm(root: str, environ: Mapping[str, str]) -> Seen | None:
    if _hidden(environ, "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES"):
        return None
    device = os.path.join(root, "dev/kfd")
    if not os.path.exists(device):
        return None
    return Seen("rocm", device, _library("libhsa-runtime64.so.1", root, environ, "opt/rocm/lib"))


def _library(name: str, root: str, environ: Mapping[str, str], *folders: str) -> str | None:
    """Where a driver's library is."""
    given = [f for f in environ.get("LD_LIBRARY_PATH", "").split(":") if f]
    for folder in (*given, *[os.path.join(root, f) for f in (*folders, *_FOLDERS)]):
        path = os.path.join(folder, name)
        if os.path.exists(path):
            return path
    cache = os.path.join(root, "etc/ld.so.cache")
    try:
        with open(cache, "rb") as file:
            return cache if b"/" + name.encode() + b"\0" in file.read() else None
    except OSError:
        return None


_LOOKS = {"tpu": _tpu, "cuda": _cuda, "rocm": _rocm}
