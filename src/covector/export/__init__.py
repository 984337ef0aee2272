"""Functions that run elsewhere and later without their source (``covector.export``)."""

from covector.core.dim_scope import SymbolicScope
from covector.core.errors import export as _export_names
from covector.export._deserializing import deserialize
from covector.export._export import default_export_platform, export
from covector.export._exported import (
    Exported,
    maximum_supported_calling_convention_version,
    minimum_supported_calling_convention_version,
)
from covector.export._safety import DisabledSafetyCheck
from covector.export._symbolic import is_symbolic_dim, symbolic_args_specs, symbolic_shape
from covector.export._trees import (
    register_namedtuple_serialization,
    register_pytree_node_serialization,
)

__all__ = [
    "DisabledSafetyCheck", "Exported", "SymbolicScope", "default_export_platform", "deserialize",
    "export", "is_symbolic_dim", "maximum_supported_calling_convention_version",
    "minimum_supported_calling_convention_version", "register_namedtuple_serialization",
    "register_pytree_node_serialization", "symbolic_args_specs", "symbolic_shape",
]  # fmt: skip
_export_names(globals(), __all__)
