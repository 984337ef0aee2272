"""Options that are given once for all leaves of a tree, or for parts of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import optree

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
            f"got {prefix!r:.200}. {mismatch(prefix, values, e, is_leaf)}{at_user_line()}"
        ) from None


def mismatch(
    prefix: Any, values: Any, error: Exception, is_leaf: Callable[[Any], bool] | None = None
) -> str:
    """Where ``prefix`` is no prefix of the tree ``values``, in a sentence; that of ``error``, which
    optree raised, if it is not one of length, keys or type."""
    todo = [("", prefix, values)]
    while todo:
        at, p, v = todo.pop(0)
        if p is None or (is_leaf is not None and is_leaf(p)):
            continue
        mine, theirs = _children(p), _children(v)
        if mine is None:
            continue
        it = f"Its part {at}" if at else "It"
        if theirs is None:
            return f"{it} is a {type(p).__name__} where there is one leaf"
        if not (type(p) is type(v) or (isinstance(p, dict) and isinstance(v, dict))):
            return f"{it} is a {type(p).__name__} where there is a {type(v).__name__}"
        if isinstance(p, dict):
            lacking = [k for k in theirs if k not in mine]
            more = [k for k in mine if k not in theirs]
            if lacking or more:
                said = [f"no entry for {', '.join(map(repr, lacking))}"] if lacking else []
                said += [f"{', '.join(map(repr, more))}, which is not there"] if more else []
                return f"{it} has {', and '.join(said)}"
        elif len(mine) != len(theirs):
            count = "1 entry" if len(mine) == 1 else f"{len(mine)} entries"
            return (
                f"{it} has {count}, and there {'is' if len(theirs) == 1 else 'are'} {len(theirs)}"
            )
        todo += [(f"{at}[{k!r}]", mine[k], theirs[k]) for k in mine if k in theirs]
    return str(error).splitlines()[0]


def _children(node: Any) -> dict[Any, Any] | None:
    """The children of a node of a tree, by what stands for them; None for a leaf."""
    try:
        found = optree.tree_flatten_one_level(node, namespace=tree.NAMESPACE)
    except ValueError:
        return None
    return dict(zip(found.entries, found.children, strict=True))
