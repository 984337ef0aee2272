"""For those who build on Covector: programs and their primitives, random bits, backends
(`covector.extend`). Modules are imported when they are used."""

from covector.core.lazy import lazy_names as _lazy_names

_MODULES = frozenset((
    "backend", "core", "linear_util", "random", "sharding", "source_info_util",
))  # fmt: skip

__getattr__, __dir__ = _lazy_names(globals(), {}, _MODULES)

__all__ = sorted(_MODULES)
