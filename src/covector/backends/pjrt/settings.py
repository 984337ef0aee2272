"""What the clients of plugins are made with: options, and JAX's names in the environment."""

from __future__ import annotations

import os
from typing import Any

from covector.backends.pjrt.plugins import folders_of
from covector.core import presence, processes
from covector.core.config import config

_GPU = ("cuda", "rocm")
# They find each other by themselves, or do not know of each other.
WITHOUT_PEERS = ("tpu", "xla_cpu")
# The memory of a GPU is taken as it is needed, up to this part: libraries need some, too.
_MOST = 0.9
# Variables of JAX's, with the option of the client that each is.
_VARIABLES = (
    ("XLA_PYTHON_CLIENT_PREALLOCATE", "preallocate", "bool"),
    ("XLA_PYTHON_CLIENT_MEM_FRACTION", "memory_fraction", "fraction"),
    ("XLA_CLIENT_MEM_FRACTION", "memory_fraction", "fraction"),
    ("XLA_PYTHON_CLIENT_ALLOCATOR", "allocator", "text"),
    ("XLA_PYTHON_CLIENT_COLLECTIVE_MEM_SIZE_MB", "collective_memory_size", "megabytes"),
)


def options_of(platform: str) -> tuple[str, ...]:
    """Names of the options that `client_options` is about."""
    visible = (f"{platform}_visible_devices",) if platform in _GPU else ()
    return ("pjrt_client_create_options", *visible)


def client_options(platform: str) -> dict[str, Any]:
    """What the plugin's client is made with."""
    out: dict[str, Any] = {}
    if platform in _GPU:
        out = {"preallocate": False, "memory_fraction": _MOST, **_from_environment()}
        if out.get("allocator") == "platform":
            # It takes from the driver what is asked for, and has no pool.
            del out["preallocate"], out["memory_fraction"]
        visible = getattr(config, f"{platform}_visible_devices")
        if visible != "all":
            out["visible_devices"] = [int(part) for part in visible.split(",")]
        elif processes.gpus:
            out["visible_devices"] = list(processes.gpus)
    if has_peers(platform):
        out |= {"node_id": processes.index, "num_nodes": processes.count}
    return {**out, **given_options(config.pjrt_client_create_options)}


def has_peers(platform: str) -> bool:
    """Whether the client is one of several, in processes that compute together."""
    return processes.count > 1 and platform not in WITHOUT_PEERS


def _from_environment() -> dict[str, Any]:
    out: dict[str, Any] = {}
    for variable, name, kind in _VARIABLES:
        text = os.environ.get(variable, "").strip()
        if text:
            out[name] = _read(variable, text, kind)
    return out


def _read(variable: str, text: str, kind: str) -> Any:
    try:
        match kind:
            case "bool":
                return {"true": True, "1": True, "false": False, "0": False}[text.lower()]
            case "fraction":
                value = float(text)
                if not 0 < value:
                    raise ValueError
                return value
            case "megabytes":
                return int(text) << 20
            case _:
                return text.lower()
    except (KeyError, ValueError):
        wanted = {"bool": "true or false", "fraction": "a part of the memory, such as .5"}
        raise RuntimeError(
            f"the environment variable {variable}={text!r}: it takes {wanted.get(kind, 'a number')}"
        ) from None


def given_options(given: Any) -> dict[str, Any]:
    """The option ``pjrt_client_create_options``: a dict, or ``key:value;key:value``."""
    if not given:
        return {}
    if isinstance(given, dict):
        return dict(given)
    out = {}
    for item in filter(str.strip, given.split(";")):
        key, _, value = (part.strip() for part in item.partition(":"))
        out[key] = _value(value)
    return out


def _value(text: str) -> Any:
    """A value in the type that it looks like."""
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    parts = text.split(",")
    if len(parts) > 1 and all(p.strip().lstrip("-").isdecimal() for p in parts):
        return [int(p) for p in parts]
    return text


def prepare_environment(platform: str) -> None:
    """Set what a plugin reads of the environment, unless the user has."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")
    if platform == "tpu" and not any(s.platform == "tpu" for s in presence.detect()):
        # Without a TPU it would ask the network for half a minute.
        os.environ.setdefault("TPU_SKIP_MDS_QUERY", "1")


def compile_flags(platform: str, plugin: str) -> dict[str, Any]:
    """XLA's flags for the programs of a platform; ``plugin`` is the path of its library."""
    if platform == "xla_cpu":
        # Extrema lose NaN otherwise, and quotients digits.
        return {"xla_cpu_enable_fast_min_max": False, "xla_cpu_enable_fast_math": False}
    if platform == "cuda" and "xla_gpu_cuda_data_dir" not in os.environ.get("XLA_FLAGS", ""):
        folder = cuda_folder(plugin)
        if folder is not None:
            return {"xla_gpu_cuda_data_dir": folder}
    return {}


def cuda_folder(plugin: str) -> str | None:
    """Where NVIDIA's wheels have the tools of CUDA, those of the plugin's version first."""
    names = ["cu13", "cuda_nvcc"]
    if "cuda12" in plugin:
        names.reverse()
    for name in names:
        for folder in folders_of("nvidia"):
            path = os.path.join(folder, name)
            if os.path.exists(os.path.join(path, "nvvm")) or os.path.exists(
                os.path.join(path, "bin", "ptxas")
            ):
                return path
    return None
