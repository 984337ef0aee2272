"""Sparse linear algebra (`covector.scipy.sparse`)."""

from covector.core.lazy import lazy_names as _lazy_names

__getattr__, __dir__ = _lazy_names(globals(), {}, ("linalg",))

__all__ = ["linalg"]
