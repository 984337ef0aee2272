"""Words for XLA beside operations (`set_xla_metadata`): there is no XLA here to read them."""

from __future__ import annotations

from typing import Any

from covector.core.errors import at_user_line
from covector.core.errors import export as _export

__all__ = ["set_xla_metadata"]


def set_xla_metadata(x: Any = None, **kwargs: Any) -> Any:
    """Attach words for XLA to operations; Covector does not use XLA.

    Parameters
    ----------
    x : pytree, optional
    **kwargs
        The words.

    Returns
    -------
    pytree or context manager

    Raises
    ------
    NotImplementedError
        Always.

    Examples
    --------
    >>> from covector.experimental.xla_metadata import set_xla_metadata
    >>> try:
    ...     set_xla_metadata(fast=True)
    ... except NotImplementedError:
    ...     print("there is no XLA")
    there is no XLA
    """
    raise NotImplementedError(
        f"set_xla_metadata says something to XLA, which Covector does not use{at_user_line()}"
    )


_export(globals(), __all__)
