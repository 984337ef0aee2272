"""Looking into programs that run, and at what the compiler makes of them (`covector.debug`)."""

from covector.core.errors import export as _export
from covector.debug.shardings import visualize_array_sharding, visualize_sharding
from covector.debug.stages import STAGES, show
from covector.debug.stops import breakpoint  # noqa: A004 - the public name
from covector.sharding.inspection import inspect_array_sharding
from covector.transforms.callbacks import (
    DebugEffect,
    OrderedDebugEffect,
    debug_callback,
    debug_log,
    debug_print,
)

callback = debug_callback
log = debug_log
print = debug_print  # noqa: A001 - the public name

__all__ = [
    "DebugEffect",
    "OrderedDebugEffect",
    "STAGES",
    "breakpoint",
    "callback",
    "inspect_array_sharding",
    "log",
    "print",
    "show",
    "visualize_array_sharding",
    "visualize_sharding",
]

_export(globals(), __all__)
