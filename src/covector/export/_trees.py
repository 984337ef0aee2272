"""Structures of arguments and results in files, and the types of users in them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

import optree

from covector.core import tree
from covector.core.errors import at_user_line, describe
from covector.core.tree import PyTreeDef
from covector.export._file import Refused

T = TypeVar("T")


class _Node(NamedTuple):
    """How nodes of one type are written."""

    nodetype: type
    name: str
    aux_to_bytes: Callable[[Any], bytes] | None
    aux_from_bytes: Callable[[bytes], Any] | None
    from_children: Callable[[Any, Sequence[Any]], Any] | None


_by_type: dict[type, _Node] = {}
_by_name: dict[str, _Node] = {}
_BUILT_IN = (tuple, list, dict, type(None), OrderedDict)


def _register(node: _Node, what: str) -> None:
    if not isinstance(node.nodetype, type):
        raise TypeError(f"{what} takes a type, got {describe(node.nodetype)}{at_user_line()}")
    if not isinstance(node.name, str):
        raise TypeError(
            f"{what}: serialized_name must be a text, got {describe(node.name)}{at_user_line()}"
        )
    if node.nodetype in _by_type or node.nodetype in _BUILT_IN:
        known = _by_type[node.nodetype].name if node.nodetype in _by_type else "built in"
        raise ValueError(
            f"{what}: the type {node.nodetype.__name__} has a serialization already, {known!r}"
            f"{at_user_line()}"
        )
    if node.name in _by_name:
        raise ValueError(
            f"{what}: the name {node.name!r} is that of {_by_name[node.name].nodetype.__name__} "
            f"already{at_user_line()}"
        )
    _by_type[node.nodetype] = _by_name[node.name] = node


def register_pytree_node_serialization(
    nodetype: type[T],
    *,
    serialized_name: str,
    serialize_auxdata: Callable[[Any], bytes],
    deserialize_auxdata: Callable[[bytes], Any],
    from_children: Callable[[Any, Sequence[Any]], Any] | None = None,
) -> type[T]:
    """Let files of exported functions have nodes of a type in their arguments and results.

    Parameters
    ----------
    nodetype : type
        Registered with `tree_util.register_pytree_node` or its like, here and where the file is
        read.
    serialized_name : str
        Under which files know it.
    serialize_auxdata, deserialize_auxdata : callable
        From what the node has beside its children to bytes, and back.
    from_children : callable, optional
        ``from_children(auxdata, children)`` makes a node; by default what the type was registered
        with.

    Returns
    -------
    type
        ``nodetype``.

    Raises
    ------
    ValueError
        If the type or the name has a serialization already.

    Examples
    --------
    >>> import covector as cv
    >>> from covector import export
    >>> class Box:
    ...     def __init__(self, x, label):
    ...         self.x, self.label = x, label
    >>> _ = cv.tree_util.register_pytree_node(
    ...     Box, lambda b: ((b.x,), b.label), lambda label, xs: Box(*xs, label))
    >>> _ = export.register_pytree_node_serialization(
    ...     Box, serialized_name="example.Box",
    ...     serialize_auxdata=str.encode, deserialize_auxdata=bytes.decode)
    >>> f = cv.jit(lambda b: Box(2 * b.x, b.label))
    >>> data = export.export(f)(Box(1.0, "one")).serialize()
    >>> export.deserialize(data).call(Box(3.0, "one")).x
    Array(6., dtype=float32, weak_type=True)
    """
    node = _Node(nodetype, serialized_name, serialize_auxdata, deserialize_auxdata, from_children)
    _register(node, "register_pytree_node_serialization")
    return nodetype


def register_namedtuple_serialization(nodetype: type[T], *, serialized_name: str) -> type[T]:
    """Let files of exported functions have named tuples of a type in arguments and results.

    Parameters
    ----------
    nodetype : type
    serialized_name : str
        Under which files know it.

    Returns
    -------
    type
        ``nodetype``.

    Raises
    ------
    ValueError
        If it is no type of named tuples, or has a serialization already.

    Examples
    --------
    >>> import collections
    >>> import covector as cv
    >>> from covector import export
    >>> Point = collections.namedtuple("Point", "x y")
    >>> _ = export.register_namedtuple_serialization(Point, serialized_name="example.Point")
    >>> data = export.export(cv.jit(lambda p: Point(p.y, p.x)))(Point(1.0, 2.0)).serialize()
    >>> export.deserialize(data).call(Point(3.0, 4.0)).x
    Array(4., dtype=float32, weak_type=True)
    """
    if not (isinstance(nodetype, type) and issubclass(nodetype, tuple)) or not hasattr(
        nodetype, "_fields"
    ):
        raise ValueError(
            "register_namedtuple_serialization takes a type of named tuples, got "
            f"{describe(nodetype)}{at_user_line()}"
        )
    node = _Node(nodetype, serialized_name, None, None, lambda aux, xs: nodetype(*xs))
    _register(node, "register_namedtuple_serialization")
    return nodetype


# --- writing and reading -----------------------------------------------------------------------


class _Leaf:
    """Stands for an array while a structure is made."""


def tree_code(treedef: PyTreeDef, value: Callable[[Any], Any]) -> Any:
    """A structure as values of JSON; keys of dictionaries are written by ``value``."""
    if treedef.is_leaf():
        return "*"
    kind = treedef.type
    if kind is None or kind is type(None):
        return None
    children = [tree_code(c, value) for c in treedef.children()]
    if kind in (tuple, list):
        return {kind.__name__: children}
    if kind in (dict, OrderedDict):
        by_key = dict(zip(treedef.entries(), children, strict=True))
        made = _one_level(treedef).unflatten([0] * len(children))
        return {kind.__name__: [[value(k), by_key[k]] for k in made]}
    node = _by_type.get(kind)
    if node is None:
        named = hasattr(kind, "_fields")
        function = (
            "register_namedtuple_serialization" if named else "register_pytree_node_serialization"
        )
        raise ValueError(
            f"the type {kind.__name__} in the arguments or results of an exported function has no "
            f"serialization: register it with export.{function}{at_user_line()}"
        )
    return {"node": [node.name, _aux(treedef, node), children]}


def _one_level(treedef: PyTreeDef) -> PyTreeDef:
    one = treedef.one_level()
    assert one is not None  # it is no leaf
    return one


def _aux(treedef: PyTreeDef, node: _Node) -> str | None:
    """What a node has beside its children, in hexadecimal digits."""
    if node.aux_to_bytes is None:
        return None
    one = _one_level(treedef)
    made = one.unflatten([_Leaf() for _ in range(one.num_children)])
    _, aux, *_ = optree.tree_flatten_one_level(made, namespace=tree.NAMESPACE)[:3]
    data = node.aux_to_bytes(aux)
    if not isinstance(data, (bytes, bytearray)):
        raise TypeError(
            f"serialize_auxdata of {node.name} must return bytes, it returned {describe(data)}"
            f"{at_user_line()}"
        )
    return bytes(data).hex()


def tree_of(code: Any, value: Callable[[Any], Any]) -> PyTreeDef:
    """The structure of a code."""
    return tree.structure(_example(code, value))


def _example(code: Any, value: Callable[[Any], Any]) -> Any:
    """A tree of the structure, of objects that are leaves."""
    if code is None:
        return None
    if code == "*":
        return _Leaf()
    ((kind, items),) = code.items()
    match kind:
        case "tuple" | "list":
            children = [_example(c, value) for c in items]
            return tuple(children) if kind == "tuple" else children
        case "dict" | "OrderedDict":
            pairs = [(value(k), _example(c, value)) for k, c in items]
            return dict(pairs) if kind == "dict" else OrderedDict(pairs)
    name, data, codes = items
    node = _by_name.get(name)
    if node is None:
        raise Refused(
            f"the file of an exported function has nodes of the type {name!r} in its arguments or "
            "results: register the type with export.register_pytree_node_serialization or "
            f"export.register_namedtuple_serialization"
        )
    children = [_example(c, value) for c in codes]
    aux = None
    if node.aux_from_bytes is not None:
        try:
            aux = node.aux_from_bytes(bytes.fromhex(data))
        except Exception as e:
            raise Refused(
                f"deserialize_auxdata of {name} raises {type(e).__name__} for the bytes that are "
                f"in the file: {e}"
            ) from e
    if node.from_children is not None:
        return node.from_children(aux, children)
    entry = optree.register_pytree_node.get(node.nodetype, namespace=tree.NAMESPACE)
    if entry is None:
        raise Refused(
            f"the type {node.nodetype.__name__} in the file of an exported function is no node of "
            f"pytrees: register it with tree_util.register_pytree_node"
        )
    return entry.unflatten_func(aux, children)
