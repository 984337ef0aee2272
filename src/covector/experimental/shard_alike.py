"""Arrays that are to lie on devices in the same way (`shard_alike`)."""

from __future__ import annotations

from typing import Any

from covector.core import tree
from covector.core.avals import aval_of
from covector.core.errors import at_user_line
from covector.core.errors import export as _export

__all__ = ["shard_alike"]


def shard_alike(x: Any, y: Any) -> tuple[Any, Any]:
    """Two trees whose arrays lie on devices in the same way.

    Parameters
    ----------
    x, y : pytrees of arrays
        Of one structure, and equal shapes.

    Returns
    -------
    x, y

    Raises
    ------
    ValueError
        If structures or shapes differ.

    Notes
    -----
    A program runs on one device, where all of its arrays are whole: they are alike.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.experimental.shard_alike import shard_alike
    >>> shard_alike(np.ones(2), np.zeros(2))
    (Array([1., 1.], dtype=float32), Array([0., 0.], dtype=float32))
    """
    x_flat, x_tree = tree.flatten(x)
    y_flat, y_tree = tree.flatten(y)
    if x_tree != y_tree:
        raise ValueError(
            f"shard_alike takes two trees of one structure, got {x_tree} and {y_tree}"
            f"{at_user_line()}"
        )
    for a, b in zip(map(aval_of, x_flat), map(aval_of, y_flat), strict=True):
        if a.shape != b.shape:
            raise ValueError(
                f"shard_alike takes arrays of equal shapes, got {a.str_short()} and "
                f"{b.str_short()}{at_user_line()}"
            )
    return x, y


_export(globals(), __all__)
