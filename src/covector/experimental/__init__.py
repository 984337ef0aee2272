"""What may still change (`covector.experimental`). Packages are imported when they are used."""

from covector.core.lazy import lazy_names as _lazy_names

_MODULES = frozenset(("checkify", "jet", "ode", "sparse"))
_NAMES = {"io_callback": "covector.transforms.io_callback"}

__getattr__, __dir__ = _lazy_names(globals(), _NAMES, _MODULES)

__all__ = sorted({*_MODULES, *_NAMES})
