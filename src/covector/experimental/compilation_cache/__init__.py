"""The cache of compiled code on disk (`covector.experimental.compilation_cache`)."""

from covector.experimental.compilation_cache import compilation_cache

__all__ = ["compilation_cache"]
