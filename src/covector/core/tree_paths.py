"""Paths to the leaves of pytrees: key types, how they print, and flattening with them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import optree

from covector.core.tree import NAMESPACE, PyTreeDef


class _Key:
    """One step from a node of a pytree to a child."""

    __slots__ = ("_value",)

    def __init__(self, value: Any) -> None:
        self._value = value

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self._value == other._value  # type: ignore[attr-defined]

    def __hash__(self) -> int:
        return hash((type(self), self._value))


class SequenceKey(_Key):
    """Position in a tuple or list.

    Parameters
    ----------
    idx : int

    Examples
    --------
    >>> import covector as cv
    >>> [path for path, _ in cv.tree.leaves_with_path(("a",))]
    [(SequenceKey(idx=0),)]
    """

    __slots__ = ()
    __match_args__ = ("idx",)

    def __init__(self, idx: int) -> None:
        super().__init__(idx)

    @property
    def idx(self) -> int:
        return self._value

    def __str__(self) -> str:
        return f"[{self._value!r}]"

    def __repr__(self) -> str:
        return f"SequenceKey(idx={self._value!r})"


class DictKey(_Key):
    """Key of a mapping.

    Parameters
    ----------
    key : hashable

    Examples
    --------
    >>> import covector as cv
    >>> [path for path, _ in cv.tree.leaves_with_path({"w": 1})]
    [(DictKey(key='w'),)]
    """

    __slots__ = ()
    __match_args__ = ("key",)

    def __init__(self, key: Any) -> None:
        super().__init__(key)

    @property
    def key(self) -> Any:
        return self._value

    def __str__(self) -> str:
        return f"[{self._value!r}]"

    def __repr__(self) -> str:
        return f"DictKey(key={self._value!r})"


class GetAttrKey(_Key):
    """Name of an attribute.

    Parameters
    ----------
    name : str

    Examples
    --------
    >>> import collections
    >>> import covector as cv
    >>> Point = collections.namedtuple("Point", "x y")
    >>> [path for path, _ in cv.tree.leaves_with_path(Point(1, 2))]
    [(GetAttrKey(name='x'),), (GetAttrKey(name='y'),)]
    """

    __slots__ = ()
    __match_args__ = ("name",)

    def __init__(self, name: str) -> None:
        super().__init__(name)

    @property
    def name(self) -> str:
        return self._value

    def __str__(self) -> str:
        return f".{self._value}"

    def __repr__(self) -> str:
        return f"GetAttrKey(name={self._value!r})"


class FlattenedIndexKey(_Key):
    """Position among the children of a node that names none of them.

    Parameters
    ----------
    key : int

    Examples
    --------
    >>> import covector as cv
    >>> cv.tree_util.keystr((cv.tree_util.FlattenedIndexKey(1),))
    '[<flat index 1>]'
    """

    __slots__ = ()
    __match_args__ = ("key",)

    def __init__(self, key: int) -> None:
        super().__init__(key)

    @property
    def key(self) -> int:
        return self._value

    def __str__(self) -> str:
        return f"[<flat index {self._value}>]"

    def __repr__(self) -> str:
        return f"FlattenedIndexKey(key={self._value!r})"


KeyPath = tuple[Any, ...]


def _key(entry: Any) -> Any:
    value = entry.entry
    if isinstance(value, _Key):
        return value
    if isinstance(entry, optree.NamedTupleEntry):
        return GetAttrKey(entry.field)
    if isinstance(entry, optree.SequenceEntry):
        return SequenceKey(value)
    if isinstance(entry, optree.MappingEntry):
        return DictKey(value)
    if isinstance(entry, optree.GetAttrEntry):
        return GetAttrKey(value)
    if type(value) is int:
        return FlattenedIndexKey(value)
    return value


def keystr(keys: KeyPath, *, simple: bool = False, separator: str = "") -> str:
    """A path as text.

    Parameters
    ----------
    keys : tuple of keys
        As `flatten_with_path` returns it.
    simple : bool
        Leave out brackets, quotes and dots.
    separator : str
        Put between the keys.

    Returns
    -------
    str

    Examples
    --------
    >>> import covector as cv
    >>> path = (cv.tree_util.DictKey("w"), cv.tree_util.SequenceKey(0))
    >>> cv.tree_util.keystr(path)
    "['w'][0]"
    >>> cv.tree_util.keystr(path, simple=True, separator="/")
    'w/0'
    """
    if simple:
        return separator.join(str(getattr(k, "_value", k)) for k in keys)
    return separator.join(map(str, keys))


def flatten_with_path(
    tree: Any, is_leaf: Callable[..., bool] | None = None, is_leaf_takes_path: bool = False
) -> tuple[list[tuple[KeyPath, Any]], PyTreeDef]:
    """Leaves of ``tree`` with their paths, and its structure.

    Parameters
    ----------
    tree : pytree
    is_leaf : callable, optional
        Called with each node: where it returns True, the node is a leaf.
    is_leaf_takes_path : bool
        Call ``is_leaf(path, node)`` instead.

    Returns
    -------
    pairs : list of (path, leaf)
        A path is a tuple of keys: `SequenceKey`, `DictKey`, `GetAttrKey`, `FlattenedIndexKey`, or
        what a registered type gives.
    treedef : PyTreeDef

    See Also
    --------
    covector.tree_util.keystr : A path as text.

    Examples
    --------
    >>> import covector as cv
    >>> pairs, treedef = cv.tree.flatten_with_path({"w": [1, 2], "b": 3})
    >>> for path, leaf in pairs:
    ...     print(cv.tree_util.keystr(path), leaf)
    ['b'] 3
    ['w'][0] 1
    ['w'][1] 2
    """
    if is_leaf_takes_path and is_leaf is not None:
        return _flatten_path_leaf(tree, is_leaf)
    accessors, leaves, treedef = optree.tree_flatten_with_accessor(
        tree, is_leaf, none_is_leaf=False, namespace=NAMESPACE
    )
    paths = [tuple([_key(e) for e in a]) for a in accessors]
    return list(zip(paths, leaves, strict=True)), treedef


def _flatten_path_leaf(
    tree: Any, is_leaf: Callable[..., bool]
) -> tuple[list[tuple[KeyPath, Any]], PyTreeDef]:
    """`flatten_with_path` where ``is_leaf(path, x)`` looks at the path too."""
    found: list[tuple[KeyPath, Any]] = []

    def walk(path: KeyPath, x: Any) -> Any:
        if is_leaf(path, x):
            found.append((path, x))
            return _Stop()
        children = one_level(x)
        if children is None:
            found.append((path, x))
            return _Stop()
        pairs, treedef = children
        return treedef.unflatten([walk((*path, k), c) for k, c in pairs])

    class _Stop:
        pass

    skeleton = walk((), tree)
    treedef = optree.tree_structure(skeleton, none_is_leaf=False, namespace=NAMESPACE)
    return found, treedef


def one_level(tree: Any) -> tuple[list[tuple[Any, Any]], PyTreeDef] | None:
    """Keys and children of a node, and a structure to rebuild it; None for a leaf."""
    accessors, children, treedef = optree.tree_flatten_with_accessor(
        tree, lambda x: x is not tree, none_is_leaf=False, namespace=NAMESPACE
    )
    if treedef.is_leaf():
        return None
    return [(_key(a[0]), c) for a, c in zip(accessors, children, strict=True)], treedef


def path_names(tree: Any) -> list[str]:
    """For each leaf, its path as text."""
    return [keystr(path) for path, _ in flatten_with_path(tree)[0]]
