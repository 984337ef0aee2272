"""SciPy's interface (`covector.scipy`): its packages are imported when they are first used."""

from covector.core.lazy import lazy_names as _lazy_names

__all__ = ["special"]

__getattr__, __dir__ = _lazy_names(globals(), {}, ("special",))
