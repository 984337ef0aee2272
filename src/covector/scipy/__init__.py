"""SciPy's functions on traceable arrays (`covector.scipy`). Packages are imported when used."""

from covector.core.lazy import lazy_names as _lazy_names

_MODULES = frozenset((
    "cluster", "fft", "integrate", "interpolate", "linalg", "ndimage", "optimize", "signal",
    "sparse", "spatial", "special", "stats",
))  # fmt: skip

__getattr__, __dir__ = _lazy_names(globals(), {}, _MODULES)

__all__ = sorted(_MODULES)
