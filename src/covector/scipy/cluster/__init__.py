"""Clusters of points (`covector.scipy.cluster`)."""

from covector.core.lazy import lazy_names as _lazy_names

__getattr__, __dir__ = _lazy_names(globals(), {}, ("vq",))

__all__ = ["vq"]
