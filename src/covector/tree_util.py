"""Pytrees: the full interface (`covector.tree_util`)."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from covector.core import tree as _tree
from covector.core import tree_paths as _paths
from covector.core.errors import at_user_line
from covector.core.errors import export as _export
from covector.core.tree import NAMESPACE, PyTreeDef
from covector.core.tree_nodes import Partial, register_dataclass, register_static
from covector.core.tree_paths import (
    DictKey,
    FlattenedIndexKey,
    GetAttrKey,
    KeyPath,
    SequenceKey,
    keystr,
)

KeyEntry = Any
tree_flatten = _tree.flatten
tree_leaves = _tree.leaves
tree_map = _tree.map
tree_structure = _tree.structure
tree_unflatten = _tree.unflatten
tree_flatten_with_path = _paths.flatten_with_path


class _Unspecified:
    def __repr__(self) -> str:
        return "<unspecified>"


_UNSPECIFIED = _Unspecified()


def tree_leaves_with_path(
    tree: Any, is_leaf: Callable[..., bool] | None = None, is_leaf_takes_path: bool = False
) -> list[tuple[KeyPath, Any]]:
    """Leaves of ``tree`` with their paths.

    Parameters
    ----------
    tree : pytree
    is_leaf : callable, optional
        Called with each node: where it returns True, the node is a leaf.
    is_leaf_takes_path : bool
        Call ``is_leaf(path, node)`` instead.

    Returns
    -------
    list of (path, leaf)
        A path is a tuple of keys, such as `DictKey`; `keystr` makes text of it.

    Examples
    --------
    >>> import covector as cv
    >>> cv.tree_util.tree_leaves_with_path({"w": [1, 2]})[1]
    ((DictKey(key='w'), SequenceKey(idx=1)), 2)
    """
    return tree_flatten_with_path(tree, is_leaf, is_leaf_takes_path)[0]


def tree_map_with_path(
    f: Callable[..., Any],
    tree: Any,
    *rest: Any,
    is_leaf: Callable[..., bool] | None = None,
    is_leaf_takes_path: bool = False,
) -> Any:
    """Like `tree_map`, calling ``f(path, leaf, *others)``.

    Parameters
    ----------
    f : callable
    tree : pytree
    *rest : pytrees
        Of the structure of ``tree``, or with whole subtrees where ``tree`` has a leaf.
    is_leaf : callable, optional
        Called with each node of ``tree``: where it returns True, the node is a leaf.
    is_leaf_takes_path : bool
        Call ``is_leaf(path, node)`` instead.

    Returns
    -------
    pytree
        Of the structure of ``tree``.

    Examples
    --------
    >>> import covector as cv
    >>> def decay(path, x):
    ...     return x if path[-1].key == "bias" else 0.5 * x
    >>> cv.tree_util.tree_map_with_path(decay, {"weight": 4.0, "bias": 4.0})
    {'weight': 2.0, 'bias': 4.0}
    """
    pairs, treedef = tree_flatten_with_path(tree, is_leaf, is_leaf_takes_path)
    others = [treedef.flatten_up_to(r) for r in rest]
    return _tree.unflatten(
        treedef, [f(path, x, *xs) for (path, x), *xs in zip(pairs, *others, strict=True)]
    )


def tree_reduce(
    function: Callable[[Any, Any], Any],
    tree: Any,
    initializer: Any = _UNSPECIFIED,
    is_leaf: Callable[[Any], bool] | None = None,
) -> Any:
    """Combine the leaves from first to last with ``function``.

    Parameters
    ----------
    function : callable
        ``function(accumulated, leaf)``.
    tree : pytree
    initializer : optional
        The first accumulated value; by default the first leaf.
    is_leaf : callable, optional
        Called with each node: where it returns True, the node is a leaf.

    Returns
    -------
    object
        The last accumulated value.

    Raises
    ------
    TypeError
        If there are no leaves and no initializer.

    Examples
    --------
    >>> import operator
    >>> import covector as cv
    >>> cv.tree_util.tree_reduce(operator.add, {"b": "x", "a": ["y", "z"]})
    'yzx'
    >>> cv.tree_util.tree_reduce(lambda n, x: n + x.size, [cv.numpy.ones((2, 3)), None], 0)
    6
    """
    leaves = _tree.leaves(tree, is_leaf)
    if initializer is _UNSPECIFIED:
        return functools.reduce(function, leaves)
    return functools.reduce(function, leaves, initializer)


def tree_reduce_associative(
    operation: Callable[[Any, Any], Any],
    tree: Any,
    *,
    identity: Any = _UNSPECIFIED,
    is_leaf: Callable[[Any], bool] | None = None,
) -> Any:
    """Combine the leaves pairwise, in logarithmic depth, with an associative function.

    Parameters
    ----------
    operation : callable
        Of two leaves or results; neighbours stay in their order.
    tree : pytree
    identity : optional
        Result for a tree without leaves.
    is_leaf : callable, optional
        Called with each node: where it returns True, the node is a leaf.

    Returns
    -------
    object

    Raises
    ------
    ValueError
        If there are no leaves and no identity.

    Examples
    --------
    >>> import covector as cv
    >>> cv.tree_util.tree_reduce_associative(lambda a, b: f"({a}+{b})", list("abcde"))
    '(((a+b)+(c+d))+e)'
    """
    leaves = _tree.leaves(tree, is_leaf)
    if not leaves:
        if identity is _UNSPECIFIED:
            raise ValueError("tree_reduce_associative of a tree without leaves needs an identity")
        return identity
    while len(leaves) > 1:
        pairs = [operation(a, b) for a, b in zip(leaves[::2], leaves[1::2], strict=False)]
        leaves = pairs + ([leaves[-1]] if len(leaves) % 2 else [])
    return leaves[0]


def tree_all(tree: Any, *, is_leaf: Callable[[Any], bool] | None = None) -> bool:
    """Whether all leaves are true.

    Parameters
    ----------
    tree : pytree
        Arrays in it must have one element.
    is_leaf : callable, optional
        Called with each node: where it returns True, the node is a leaf.

    Returns
    -------
    bool
        True for a tree without leaves.

    Examples
    --------
    >>> import covector as cv
    >>> cv.tree_util.tree_all({"a": True, "b": [1, None]})
    True
    >>> params = {"w": cv.numpy.ones(2), "b": cv.numpy.array([0.0, cv.numpy.nan])}
    >>> cv.tree_util.tree_all(cv.tree.map(lambda x: cv.numpy.isfinite(x).all(), params))
    False
    """
    return all(_tree.leaves(tree, is_leaf))


def tree_broadcast(
    prefix_tree: Any, full_tree: Any, is_leaf: Callable[[Any], bool] | None = None
) -> Any:
    """``prefix_tree`` with its leaves repeated, so that it has the structure of ``full_tree``.

    Parameters
    ----------
    prefix_tree : pytree
        Has leaves where ``full_tree`` may have subtrees.
    full_tree : pytree
    is_leaf : callable, optional
        Called with each node of both trees: where it returns True, the node is a leaf.

    Returns
    -------
    pytree

    Raises
    ------
    ValueError
        If ``prefix_tree`` is not a prefix of ``full_tree``.

    Examples
    --------
    >>> import covector as cv
    >>> cv.tree_util.tree_broadcast({"a": 1, "b": 2}, {"a": ["x", "y"], "b": ("z",)})
    {'a': [1, 1], 'b': (2,)}
    """
    treedef = _tree.structure(full_tree, is_leaf)
    flat, prefix_def = _tree.flatten(prefix_tree, is_leaf)
    subtrees = prefix_def.flatten_up_to(full_tree)
    out = [
        x
        for x, sub in zip(flat, subtrees, strict=True)
        for _ in range(len(_tree.leaves(sub, is_leaf)))
    ]
    return _tree.unflatten(treedef, out)


def tree_transpose(
    outer_treedef: PyTreeDef, inner_treedef: PyTreeDef | None, pytree_to_transpose: Any
) -> Any:
    """Turn a tree of trees inside out.

    Parameters
    ----------
    outer_treedef, inner_treedef : PyTreeDef
        Structures of the outer tree, and of each of its leaves (found, if None).
    pytree_to_transpose : pytree

    Returns
    -------
    pytree
        Of structure ``inner_treedef``; each leaf is a tree of structure ``outer_treedef``.

    Raises
    ------
    ValueError
        If a structure has no leaves.
    TypeError
        If the tree does not have these structures.

    Examples
    --------
    A list of dicts becomes a dict of lists:

    >>> import covector as cv
    >>> outer, inner = cv.tree.structure([0, 0]), cv.tree.structure({"x": 0, "y": 0})
    >>> cv.tree_util.tree_transpose(outer, inner, [{"x": 1, "y": 2}, {"x": 3, "y": 4}])
    {'x': [1, 3], 'y': [2, 4]}
    """
    leaves, given = _tree.flatten(pytree_to_transpose)
    n = outer_treedef.num_leaves
    if inner_treedef is None:
        inner_treedef = _tree.structure(outer_treedef.flatten_up_to(pytree_to_transpose)[0])
    m = inner_treedef.num_leaves
    if n == 0 or m == 0:
        raise ValueError("tree_transpose: both structures must have leaves")
    # The leaves alone tell: what nodes say beside them may depend on their number.
    if len(leaves) != n * m:
        raise TypeError(
            f"tree_transpose: the tree, {given}, does not have the structure {outer_treedef} with "
            f"{inner_treedef} at each leaf{at_user_line()}"
        )
    rows = _rows(outer_treedef, inner_treedef, pytree_to_transpose, leaves)
    columns = zip(*rows, strict=True)
    return _tree.unflatten(inner_treedef, [_tree.unflatten(outer_treedef, c) for c in columns])


def _rows(
    outer: PyTreeDef, inner: PyTreeDef, tree: Any, leaves: Sequence[Any]
) -> list[Sequence[Any]]:
    """The leaves of the inner trees, one row for each leaf of the outer."""
    m = inner.num_leaves
    try:
        return [inner.flatten_up_to(part) for part in outer.flatten_up_to(tree)]
    except (ValueError, TypeError) as e:
        # Nodes whose metadata tell of what is below them differ from those of the outer tree.
        expected = _tree.unflatten(outer, [_tree.unflatten(inner, range(m))] * outer.num_leaves)
        if _tree.structure(expected).num_nodes != _tree.structure(tree).num_nodes or not _custom(
            outer
        ):
            raise TypeError(
                f"tree_transpose: the tree, {_tree.structure(tree)}, does not have the structure "
                f"{outer} with {inner} at each leaf: {str(e).splitlines()[0]}{at_user_line()}"
            ) from None
    return [leaves[k : k + m] for k in range(0, len(leaves), m)]


def _custom(treedef: PyTreeDef) -> bool:
    """Whether a node of a registered type is in a structure."""
    if treedef.is_leaf():
        return False
    plain = treedef.type in (None, type(None), tuple, list, dict)
    return not plain or any(map(_custom, treedef.children()))


def all_leaves(iterable: Iterable[Any], is_leaf: Callable[[Any], bool] | None = None) -> bool:
    """Whether all items are leaves.

    Parameters
    ----------
    iterable : iterable
    is_leaf : callable, optional
        Called with each node: where it returns True, the node is a leaf.

    Returns
    -------
    bool
        ``None`` is not a leaf.

    Examples
    --------
    >>> import covector as cv
    >>> cv.tree_util.all_leaves([1, "a"]), cv.tree_util.all_leaves([1, [2]])
    (True, False)
    """
    items = list(iterable)
    return len(_tree.leaves(items, None if is_leaf is None else is_leaf)) == len(items) and all(
        treedef_is_leaf(_tree.structure(x, is_leaf)) for x in items
    )


def treedef_is_leaf(treedef: PyTreeDef) -> bool:
    """Whether a structure is that of a leaf.

    Parameters
    ----------
    treedef : PyTreeDef

    Returns
    -------
    bool

    Examples
    --------
    >>> import covector as cv
    >>> cv.tree_util.treedef_is_leaf(cv.tree.structure(1.0))
    True
    >>> cv.tree_util.treedef_is_leaf(cv.tree.structure(None))
    False
    """
    return treedef.is_leaf()


def treedef_children(treedef: PyTreeDef) -> list[PyTreeDef]:
    """Structures of the children of the root.

    Parameters
    ----------
    treedef : PyTreeDef

    Returns
    -------
    list of PyTreeDef
        Empty for a leaf.

    Examples
    --------
    >>> import covector as cv
    >>> cv.tree_util.treedef_children(cv.tree.structure({"a": 1, "b": (2, 3)}))
    [PyTreeSpec(*), PyTreeSpec((*, *))]
    """
    return treedef.children()


def treedef_tuple(treedefs: Iterable[PyTreeDef]) -> PyTreeDef:
    """Structure of a tuple of trees of the given structures.

    Parameters
    ----------
    treedefs : iterable of PyTreeDef

    Returns
    -------
    PyTreeDef

    Examples
    --------
    >>> import covector as cv
    >>> cv.tree_util.treedef_tuple([cv.tree.structure(1), cv.tree.structure([1, 2])])
    PyTreeSpec((*, [*, *]))
    """
    parts = tuple(_tree.unflatten(t, [0] * t.num_leaves) for t in treedefs)
    return _tree.structure(parts)


def is_tree_node(typ: type) -> bool:
    """Whether objects of a type are nodes, rather than leaves.

    Parameters
    ----------
    typ : type

    Returns
    -------
    bool

    Examples
    --------
    >>> import covector as cv
    >>> cv.tree_util.is_tree_node(dict), cv.tree_util.is_tree_node(str)
    (True, False)
    """
    import optree

    if typ in (tuple, list, dict, type(None)) or optree.is_namedtuple_class(typ):
        return True
    return optree.register_pytree_node.get(typ, namespace=NAMESPACE) is not None


def flatten_one_level(tree: Any) -> tuple[Iterable[Any], Any]:
    """Children of a node, and the structure that rebuilds it from them.

    Parameters
    ----------
    tree : pytree
        Not a leaf.

    Returns
    -------
    children : list
    treedef : PyTreeDef
        Its leaves are the children.

    Raises
    ------
    ValueError
        If ``tree`` is a leaf.

    Examples
    --------
    >>> import covector as cv
    >>> cv.tree_util.flatten_one_level({"a": 1, "b": (2, 3)})
    ([1, (2, 3)], PyTreeSpec({'a': *, 'b': *}))
    """
    found = _paths.one_level(tree)
    if found is None:
        raise ValueError(f"flatten_one_level: {tree!r:.80} is a leaf")
    pairs, treedef = found
    return [c for _, c in pairs], treedef


def flatten_one_level_with_keys(tree: Any) -> tuple[Iterable[tuple[Any, Any]], Any]:
    """Pairs of key and child of a node, and the structure that rebuilds it.

    Parameters
    ----------
    tree : pytree
        Not a leaf.

    Returns
    -------
    pairs : list of (key, child)
    treedef : PyTreeDef
        Its leaves are the children.

    Raises
    ------
    ValueError
        If ``tree`` is a leaf.

    Examples
    --------
    >>> import covector as cv
    >>> cv.tree_util.flatten_one_level_with_keys({"a": 1, "b": (2, 3)})[0]
    [(DictKey(key='a'), 1), (DictKey(key='b'), (2, 3))]
    """
    found = _paths.one_level(tree)
    if found is None:
        raise ValueError(f"flatten_one_level_with_keys: {tree!r:.80} is a leaf")
    return found


def register_pytree_node(
    nodetype: type,
    flatten_func: Callable[[Any], tuple[Iterable[Any], Any]],
    unflatten_func: Callable[[Any, Iterable[Any]], Any],
    flatten_with_keys_func: Callable[[Any], tuple[Iterable[tuple[Any, Any]], Any]] | None = None,
) -> None:
    """Make a type a pytree node.

    Parameters
    ----------
    nodetype : type
    flatten_func : callable
        Object to ``(children, aux_data)``; ``aux_data`` is hashable and comparable.
    unflatten_func : callable
        ``(aux_data, children)`` to object. The children may be any objects, so that it must not
        check or convert them.
    flatten_with_keys_func : callable, optional
        As ``flatten_func``, giving pairs of key and child.

    Returns
    -------
    None

    Raises
    ------
    ValueError
        If the type is registered already.

    Examples
    --------
    >>> import covector as cv
    >>> class Interval:
    ...     def __init__(self, low, high):
    ...         self.low, self.high = low, high
    ...     def __repr__(self):
    ...         return f"Interval({self.low}, {self.high})"
    >>> cv.tree_util.register_pytree_node(
    ...     Interval,
    ...     lambda x: ((x.low, x.high), None),
    ...     lambda _, children: Interval(*children),
    ... )
    >>> cv.tree.map(lambda x: 2 * x, Interval(1, 3))
    Interval(2, 6)
    >>> cv.jit(lambda x: x.high - x.low)(Interval(1, 3))
    Array(2, dtype=int32, weak_type=True)
    """
    keys = None
    if flatten_with_keys_func is not None:
        with_keys = flatten_with_keys_func

        def keys(obj: Any) -> Sequence[Any]:
            return [k for k, _ in with_keys(obj)[0]]

    _tree.register_node(nodetype, flatten_func, unflatten_func, keys)


def register_pytree_with_keys(
    nodetype: type,
    flatten_with_keys: Callable[[Any], tuple[Iterable[tuple[Any, Any]], Any]],
    unflatten_func: Callable[[Any, Iterable[Any]], Any],
    flatten_func: Callable[[Any], tuple[Iterable[Any], Any]] | None = None,
) -> None:
    """`register_pytree_node` for a type whose children have keys.

    Parameters
    ----------
    nodetype : type
    flatten_with_keys : callable
        Object to ``(pairs of key and child, aux_data)``; ``aux_data`` is hashable and comparable.
    unflatten_func : callable
        ``(aux_data, children)`` to object.
    flatten_func : callable, optional
        Object to ``(children, aux_data)``, where this can be had faster than the pairs.

    Returns
    -------
    None

    Examples
    --------
    >>> import covector as cv
    >>> class Pair:
    ...     def __init__(self, a, b):
    ...         self.a, self.b = a, b
    >>> cv.tree_util.register_pytree_with_keys(
    ...     Pair,
    ...     lambda p: ([(cv.tree_util.GetAttrKey(k), getattr(p, k)) for k in "ab"], None),
    ...     lambda _, children: Pair(*children),
    ... )
    >>> [cv.tree_util.keystr(path) for path, _ in cv.tree.leaves_with_path([Pair(1, 2)])]
    ['[0].a', '[0].b']
    """
    if flatten_func is None:

        def flatten_func(obj: Any) -> tuple[Iterable[Any], Any]:
            pairs, aux = flatten_with_keys(obj)
            return [c for _, c in pairs], aux

    register_pytree_node(nodetype, flatten_func, unflatten_func, flatten_with_keys)


def register_pytree_node_class(cls: type) -> type:
    """Class decorator: a node with methods ``tree_flatten`` and ``tree_unflatten``.

    Parameters
    ----------
    cls : type
        ``tree_flatten(self)`` returns ``(children, aux_data)``; the class method
        ``tree_unflatten(cls, aux_data, children)`` makes an object of them.

    Returns
    -------
    type
        ``cls``

    Examples
    --------
    >>> import covector as cv
    >>> @cv.tree_util.register_pytree_node_class
    ... class Box:
    ...     def __init__(self, x, name):
    ...         self.x, self.name = x, name
    ...     def tree_flatten(self):
    ...         return (self.x,), self.name
    ...     @classmethod
    ...     def tree_unflatten(cls, name, children):
    ...         return cls(*children, name)
    >>> out = cv.tree.map(lambda x: x + 1, Box(1, "a"))
    >>> out.x, out.name
    (2, 'a')
    """
    register_pytree_node(cls, lambda obj: obj.tree_flatten(), cls.tree_unflatten)  # type: ignore[attr-defined]
    return cls


def register_pytree_with_keys_class(cls: type) -> type:
    """Class decorator: a node with ``tree_flatten_with_keys`` and ``tree_unflatten``.

    Parameters
    ----------
    cls : type
        ``tree_flatten_with_keys(self)`` returns ``(pairs of key and child, aux_data)``; the class
        method ``tree_unflatten(cls, aux_data, children)`` makes an object of them. A method
        ``tree_flatten`` is used too, if there is one.

    Returns
    -------
    type
        ``cls``

    Examples
    --------
    >>> import covector as cv
    >>> @cv.tree_util.register_pytree_with_keys_class
    ... class Box:
    ...     def __init__(self, x):
    ...         self.x = x
    ...     def tree_flatten_with_keys(self):
    ...         return [(cv.tree_util.GetAttrKey("x"), self.x)], None
    ...     @classmethod
    ...     def tree_unflatten(cls, aux_data, children):
    ...         return cls(*children)
    >>> cv.tree.leaves_with_path(Box(5))
    [((GetAttrKey(name='x'),), 5)]
    """
    flatten = (lambda obj: obj.tree_flatten()) if hasattr(cls, "tree_flatten") else None
    register_pytree_with_keys(
        cls,
        lambda obj: obj.tree_flatten_with_keys(),
        cls.tree_unflatten,  # type: ignore[attr-defined]
        flatten,
    )
    return cls


class _Registry:
    """The registry of node types, `default_registry`: trees are flattened by it."""

    __slots__ = ()
    flatten = staticmethod(_tree.flatten)
    register_node = staticmethod(_tree.register_node)

    def flatten_one_level(self, tree: Any) -> tuple[Any, Any] | None:
        """The children of a node and what it says beside them, None for a leaf."""
        found = self.flatten_one_level_with_keys(tree)
        return None if found is None else (tuple(c for _, c in found[0]), found[1])

    def flatten_one_level_with_keys(self, tree: Any) -> tuple[Any, Any] | None:
        """The same, with a key for each child."""
        if tree is None:
            return (), None
        found = _paths.one_level(tree)
        if found is None:
            return None
        pairs, treedef = found
        aux = tuple(treedef.entries()) if isinstance(tree, dict) else None
        return tuple(pairs), aux


default_registry = _Registry()

__all__ = [
    "DictKey",
    "FlattenedIndexKey",
    "GetAttrKey",
    "KeyEntry",
    "KeyPath",
    "Partial",
    "PyTreeDef",
    "SequenceKey",
    "all_leaves",
    "default_registry",
    "flatten_one_level",
    "flatten_one_level_with_keys",
    "is_tree_node",
    "keystr",
    "register_dataclass",
    "register_pytree_node",
    "register_pytree_node_class",
    "register_pytree_with_keys",
    "register_pytree_with_keys_class",
    "register_static",
    "tree_all",
    "tree_broadcast",
    "tree_flatten",
    "tree_flatten_with_path",
    "tree_leaves",
    "tree_leaves_with_path",
    "tree_map",
    "tree_map_with_path",
    "tree_reduce",
    "tree_reduce_associative",
    "tree_structure",
    "tree_transpose",
    "tree_unflatten",
    "treedef_children",
    "treedef_is_leaf",
    "treedef_tuple",
]

_export(globals(), __all__)
