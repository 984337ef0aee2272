"""Kinds of memory, whatever a device calls them (`covector.memory`)."""

from covector.core.device import Space
from covector.core.errors import export as _export

__all__ = ["Space"]
_export(globals(), __all__)
