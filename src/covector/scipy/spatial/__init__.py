"""Geometry of space (`covector.scipy.spatial`)."""

from covector.core.lazy import lazy_names as _lazy_names

__getattr__, __dir__ = _lazy_names(globals(), {}, ("transform",))

__all__ = ["transform"]
