"""Options that are given once for all leaves of a tree, or for parts of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from covector.core import tree
from covector.core.errors import at_user_line


def spread(
    prefix: Any, values: Any, is_leaf: Callable[[Any], bool], what: str, one: str,
    of: str = "the values",
) -> list[Any]:  # fmt: skip
    """An option for each leaf of ``values``, from one option or a tree that is a prefix of theirs.

    Raises
    ------
    ValueError
        If it is neither. The message says that ``what`` must be ``one``, or a tree that is a prefix
        of that ``of`` something.
    """
    if is_leaf(prefix):
        return [prefix] * len(tree.leaves(values))
    try:
        return tree.broadcast_prefix(prefix, values, is_leaf=is_leaf)
    except (ValueError, TypeError) as e:
        raise ValueError(
            f"{what} must be {one}, or a tree that is a prefix of {of}, {tree.structure(values)}; "
            f"got {prefix!r:.200}. {str(e).splitlines()[0]}{at_user_line()}"
        ) from None
