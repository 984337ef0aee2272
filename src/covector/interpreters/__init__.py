"""The rules by which transformations go through primitives (`covector.interpreters`)."""

from covector.core.lazy import lazy_names as _lazy_names

_MODULES = frozenset(("ad", "batching", "mlir", "partial_eval"))

__getattr__, __dir__ = _lazy_names(globals(), {}, _MODULES)

__all__ = sorted(_MODULES)
