"""Pytrees: nested containers seen as a flat list of leaves and a structure (on optree)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import optree

from covector import _native

NAMESPACE = "covector"
PyTreeDef = optree.PyTreeSpec


def flatten(tree: Any, is_leaf: Callable[[Any], bool] | None = None) -> tuple[list[Any], PyTreeDef]:
    """Leaves of ``tree`` in depth-first order, and its structure. ``None`` has no leaves.

    Parameters
    ----------
    tree : pytree
        Tuples, lists, dicts, named tuples, registered types, nested; all else is a leaf.
    is_leaf : callable, optional
        Called with each node: where it returns True, the node is a leaf.

    Returns
    -------
    leaves : list
        Dicts give theirs in the order of the sorted keys, not in that of insertion.
    treedef : PyTreeDef
        The structure: hashable, and comparable with ``==``.

    See Also
    --------
    unflatten : The inverse.

    Examples
    --------
    >>> import covector as cv
    >>> cv.tree.flatten({"b": [1, 2], "a": (3, None)})
    ([3, 1, 2], PyTreeSpec({'a': (*, None), 'b': [*, *]}))
    >>> cv.tree.flatten({"b": [1, 2], "a": 3}, is_leaf=lambda x: isinstance(x, list))[0]
    [3, [1, 2]]
    """
    return optree.tree_flatten(tree, is_leaf, none_is_leaf=False, namespace=NAMESPACE)


def unflatten(treedef: PyTreeDef, leaves: Iterable[Any]) -> Any:
    """The tree of structure ``treedef`` with the given leaves.

    Parameters
    ----------
    treedef : PyTreeDef
        As `flatten` or `structure` return it.
    leaves : iterable
        As many as the structure has; any objects.

    Returns
    -------
    pytree

    Raises
    ------
    ValueError
        If there are too few or too many leaves.

    Examples
    --------
    >>> import covector as cv
    >>> leaves, treedef = cv.tree.flatten({"w": 2, "b": [3]})
    >>> cv.tree.unflatten(treedef, [x * 10 for x in leaves])
    {'w': 20, 'b': [30]}
    """
    return optree.tree_unflatten(treedef, leaves)


def leaves(tree: Any, is_leaf: Callable[[Any], bool] | None = None) -> list[Any]:
    """Leaves of ``tree`` in depth-first order.

    Parameters
    ----------
    tree : pytree
    is_leaf : callable, optional
        Called with each node: where it returns True, the node is a leaf.

    Returns
    -------
    list

    Examples
    --------
    >>> import covector as cv
    >>> cv.tree.leaves({"w": (1, None), "b": [2, 3]})
    [2, 3, 1]
    >>> cv.tree.leaves([None, 1], is_leaf=lambda x: x is None)
    [None, 1]
    """
    return optree.tree_leaves(tree, is_leaf, none_is_leaf=False, namespace=NAMESPACE)


def structure(tree: Any, is_leaf: Callable[[Any], bool] | None = None) -> PyTreeDef:
    """Structure of ``tree``: the tree without its leaves.

    Parameters
    ----------
    tree : pytree
    is_leaf : callable, optional
        Called with each node: where it returns True, the node is a leaf.

    Returns
    -------
    PyTreeDef
        Hashable, and comparable with ``==``; a star stands for each leaf.

    Examples
    --------
    >>> import covector as cv
    >>> cv.tree.structure({"w": 1.0, "b": (2.0, None)})
    PyTreeSpec({'b': (*, None), 'w': *})
    >>> cv.tree.structure([1, 2]) == cv.tree.structure((1, 2))
    False
    """
    return optree.tree_structure(tree, is_leaf, none_is_leaf=False, namespace=NAMESPACE)


def map(  # noqa: A001 - the public name, as in covector.tree
    f: Callable[..., Any], tree: Any, *rest: Any, is_leaf: Callable[[Any], bool] | None = None
) -> Any:
    """Apply ``f`` to corresponding leaves of ``tree`` and of the trees in ``rest``.

    Parameters
    ----------
    f : callable
        Called with one leaf of each tree; what it returns may be a tree itself.
    tree : pytree
    *rest : pytrees
        Of the structure of ``tree``, or with whole subtrees where ``tree`` has a leaf.
    is_leaf : callable, optional
        Called with each node of ``tree``: where it returns True, the node is a leaf.

    Returns
    -------
    pytree
        Of the structure of ``tree``. ``None`` stays ``None``: ``f`` is not called for it.

    Raises
    ------
    ValueError
        If a tree in ``rest`` does not have the structure of ``tree`` down to its leaves.

    Examples
    --------
    >>> import covector as cv
    >>> cv.tree.map(lambda x: x + 1, {"w": [1, 2], "b": None})
    {'w': [2, 3], 'b': None}
    >>> params, grads = {"w": 1.0, "b": 2.0}, {"w": 0.5, "b": 1.0}
    >>> cv.tree.map(lambda p, g: p - g, params, grads)
    {'w': 0.5, 'b': 1.0}

    The first tree decides what a leaf is:

    >>> cv.tree.map(lambda name, x: (name, x), ["a", "b"], [(1, 2), 3])
    [('a', (1, 2)), ('b', 3)]
    """
    flat, treedef = flatten(tree, is_leaf)
    others = [treedef.flatten_up_to(r) for r in rest]
    return unflatten(treedef, [f(*xs) for xs in zip(flat, *others, strict=True)])


def register_node(
    nodetype: type,
    flatten_func: Callable[[Any], tuple[Iterable[Any], Any]],
    unflatten_func: Callable[[Any, Iterable[Any]], Any],
    keys_func: Callable[[Any], Sequence[Any]] | None = None,
) -> None:
    """Make ``nodetype`` a pytree node.

    Parameters
    ----------
    nodetype : type
    flatten_func : callable
        Object to ``(children, aux_data)``; ``aux_data`` is hashable and compared with ``==``.
    unflatten_func : callable
        ``(aux_data, children)`` to object.
    keys_func : callable, optional
        Object to one key per child, for error messages and ``flatten_with_path``.
    """

    def flatten_entries(obj: Any) -> tuple[Any, ...]:
        children, aux = flatten_func(obj)
        children = tuple(children)
        if keys_func is None:
            return children, aux
        return children, aux, tuple(keys_func(obj))

    optree.register_pytree_node(nodetype, flatten_entries, unflatten_func, namespace=NAMESPACE)
    _native.register_node(nodetype, flatten_func)


def broadcast_prefix(
    prefix: Any, full: Any, is_leaf: Callable[[Any], bool] | None = None
) -> list[Any]:
    """Leaves of ``prefix`` repeated to match the leaves of ``full``; ``None`` is a leaf too."""
    out: list[Any] = []

    def add(leaf: Any, sub: Any) -> None:
        out.extend([leaf] * len(leaves(sub)))

    def none_or(x: Any) -> bool:
        return x is None or (is_leaf is not None and is_leaf(x))

    flat, treedef = optree.tree_flatten(prefix, none_or, none_is_leaf=True, namespace=NAMESPACE)
    subtrees = treedef.flatten_up_to(full) if treedef.num_nodes > 1 else [full]
    for leaf, sub in zip(flat, subtrees, strict=True):
        add(leaf, sub)
    return out
