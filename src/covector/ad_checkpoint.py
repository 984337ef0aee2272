"""Recomputation in the backward pass (`covector.ad_checkpoint`)."""

from covector.control_flow.checkpoint import (
    checkpoint,
    checkpoint_name,
    checkpoint_policies,
    print_saved_residuals,
    remat,
)
from covector.control_flow.saving import Offloadable, Recompute, Saveable
from covector.core.errors import export as _export

__all__ = [
    "Offloadable",
    "Recompute",
    "Saveable",
    "checkpoint",
    "checkpoint_name",
    "checkpoint_policies",
    "print_saved_residuals",
    "remat",
]

_export(globals(), __all__)
