"""Pytrees: nested containers seen as a flat list of leaves and a structure (on optree)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import optree

from covector import _native

NAMESPACE = "covector"
PyTreeDef = optree.PyTreeSpec


def flatten(tree: Any, is_leaf: Callable[[Any], bool] | None = None) -> tuple[list[Any], PyTreeDef]:
    """Leaves of ``tree`` in depth-first order, and its structure. ``None`` has no leaves."""
    return optree.tree_flatten(tree, is_leaf, none_is_leaf=False, namespace=NAMESPACE)


def unflatten(treedef: PyTreeDef, leaves: Iterable[Any]) -> Any:
    """The tree of structure ``treedef`` with the given leaves."""
    return optree.tree_unflatten(treedef, leaves)


def leaves(tree: Any, is_leaf: Callable[[Any], bool] | None = None) -> list[Any]:
    return optree.tree_leaves(tree, is_leaf, none_is_leaf=False, namespace=NAMESPACE)


def structure(tree: Any, is_leaf: Callable[[Any], bool] | None = None) -> PyTreeDef:
    return optree.tree_structure(tree, is_leaf, none_is_leaf=False, namespace=NAMESPACE)


def map(  # noqa: A001 - the public name, as in covector.tree
    f: Callable[..., Any], tree: Any, *rest: Any, is_leaf: Callable[[Any], bool] | None = None
) -> Any:
    """Apply ``f`` to corresponding leaves of ``tree`` and of the trees in ``rest``."""
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


def path_strings(tree: Any) -> list[str]:
    """For each leaf, how to reach it: ``['w'][0].bias``; empty for a bare leaf."""
    paths, _, _ = optree.tree_flatten_with_accessor(tree, none_is_leaf=False, namespace=NAMESPACE)
    return [p.codify("") for p in paths]
