"""What may still change (`covector.experimental`). Packages are imported when they are used."""

from covector.core.lazy import lazy_names as _lazy_names

_MODULES = frozenset((
    "array_serialization", "buffer_callback", "checkify", "compilation_cache", "compute_on",
    "custom_partitioning", "jet", "layout", "mesh_utils", "multihost_utils", "ode", "random",
    "scheduling_groups", "serialize_executable", "shard_alike", "sparse", "topologies",
    "xla_metadata",
))  # fmt: skip
_NAMES = {
    "io_callback": "covector.transforms.io_callback",
    **dict.fromkeys(
        ("EArray", "cur_qdd", "primal_tangent_dtype"), "covector.experimental._extended"
    ),
}

__getattr__, __dir__ = _lazy_names(globals(), _NAMES, _MODULES)

__all__ = sorted({*_MODULES, *_NAMES})
