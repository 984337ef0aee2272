"""Small libraries on top of Covector, to be read and copied (`covector.example_libraries`)."""

from covector.core.lazy import lazy_names as _lazy_names

_MODULES = frozenset(("optimizers", "stax"))

__getattr__, __dir__ = _lazy_names(globals(), {}, _MODULES)

__all__ = sorted(_MODULES)
