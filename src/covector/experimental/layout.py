"""How the elements of arrays lie in memory (`covector.experimental.layout`): row by row."""

from __future__ import annotations

from typing import Any

from covector.core import tree
from covector.core.avals import aval_of
from covector.core.errors import at_user_line, describe
from covector.core.errors import export as _export
from covector.core.layout import Format, Layout, check_layout

__all__ = ["Format", "Layout", "with_layout_constraint"]


def with_layout_constraint(x: Any, layouts: Any) -> Any:
    """``x`` whose arrays lie in memory in these orders.

    Parameters
    ----------
    x : pytree of arrays
    layouts : Layout or pytree of Layout

    Returns
    -------
    pytree of arrays

    Raises
    ------
    ValueError
        If a layout is of another rank than its array.
    NotImplementedError
        For any order but row by row, in which arrays lie here.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.experimental.layout import Layout, with_layout_constraint
    >>> with_layout_constraint(np.ones((1, 2)), Layout((0, 1)))
    Array([[1., 1.]], dtype=float32)
    """
    leaves = tree.leaves(x)
    for leaf, layout in zip(leaves, tree.broadcast_prefix(layouts, x), strict=True):
        if not isinstance(layout, Layout):
            raise TypeError(
                f"with_layout_constraint takes a Layout, got {describe(layout)}{at_user_line()}"
            )
        aval = aval_of(leaf)
        check_layout(layout, aval.shape, aval.str_short(), "with_layout_constraint")
    return x


_export(globals(), __all__)
