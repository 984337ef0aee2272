"""SciPy's functions under their names (`covector.scipy`); packages come when they are used."""

from covector.core.lazy import lazy_names as _lazy_names

_MODULES = (
    "linalg",
)  # fmt: skip

__getattr__, __dir__ = _lazy_names(globals(), {}, _MODULES)

__all__ = list(_MODULES)
