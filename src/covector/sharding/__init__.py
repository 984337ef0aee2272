"""How arrays lie on devices (`covector.sharding`)."""

from covector.core.errors import export as _export
from covector.runtime.placement import Sharding, SingleDeviceSharding

__all__ = ["Sharding", "SingleDeviceSharding"]
_export(globals(), __all__)
