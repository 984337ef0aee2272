"""Where compiled code is kept, and forgetting what of it is in memory."""

from __future__ import annotations

import os
from typing import Any

from covector.core.config import config
from covector.core.errors import export as _export
from covector.transforms.cache import clear_all

__all__ = ["reset_cache", "set_cache_dir"]


def set_cache_dir(path: Any) -> None:
    """Set the folder where compiled code is kept for other processes.

    Parameters
    ----------
    path : str or path
        As the option ``compilation_cache_dir``.

    Returns
    -------
    None

    Examples
    --------
    >>> import tempfile
    >>> import covector as cv
    >>> from covector.experimental.compilation_cache import compilation_cache
    >>> folder, before = tempfile.mkdtemp(), cv.config.compilation_cache_dir
    >>> compilation_cache.set_cache_dir(folder)
    >>> cv.config.compilation_cache_dir == folder
    True
    >>> cv.config.update("compilation_cache_dir", before)
    """
    config.update("compilation_cache_dir", os.fspath(path))


def reset_cache() -> None:
    """Forget what is compiled in this process, so that the folder is looked at anew.

    Files are left where they are.

    Returns
    -------
    None

    Examples
    --------
    >>> from covector.experimental.compilation_cache import compilation_cache
    >>> compilation_cache.reset_cache()
    """
    clear_all()


_export(globals(), __all__)
