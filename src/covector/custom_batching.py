"""Functions with rules of their own for `vmap` (`covector.custom_batching`)."""

from covector.control_flow.vmap_rules import custom_vmap, sequential_vmap
from covector.core.errors import export as _export

__all__ = ["custom_vmap", "sequential_vmap"]

_export(globals(), __all__)
