"""One walk over indices and scalar expressions; a pass says only what differs.

`Visitor` goes through everything in order, `Transformer` makes the like of it. A subclass
names the kinds of node it cares about: ``def load(self, node)``, ``def op(self, node)``, ….
"""

from __future__ import annotations

from typing import Any, ClassVar

from covector.compiler.ir.nodes import (
    Arg,
    FromIndex,
    IDyn,
    IOp,
    IPart,
    IVar,
    Lit,
    Load,
    Node,
    Op,
    Sym,
    Where,
)

_LEAVES: dict[type, str] = {int: "constant", Sym: "sym", IVar: "ivar", Lit: "lit", Arg: "arg"}
_INNER: dict[type, str] = {
    IOp: "iop",
    IDyn: "dyn",
    IPart: "part",
    Load: "load",
    Op: "op",
    FromIndex: "from_index",
    Where: "where",
}


class Walk:
    """Finds the method for a node's kind: of that name, or `leaf` and `inner`.

    A kind of leaf has no method where `leaf` is None.
    """

    __slots__ = ()
    _table: ClassVar[dict[type, Any]] = {}
    leaf: Any = None
    inner: Any = None

    def __init_subclass__(cls) -> None:
        leaves = {kind: getattr(cls, name, cls.leaf) for kind, name in _LEAVES.items()}
        inner = {kind: getattr(cls, name, cls.inner) for kind, name in _INNER.items()}
        cls._table = {**leaves, **inner}

    def visit(self, node: Node) -> Any:
        return self._table[type(node)](self, node)


class Visitor(Walk):
    """Visits the children of every node it says nothing else about."""

    __slots__ = ()

    def visit(self, node: Node) -> None:
        method = self._table[type(node)]
        if method is not None:
            method(self, node)

    def inner(self, node: Any) -> None:
        table = self._table
        for c in node.children():
            method = table[type(c)]
            if method is not None:
                method(self, c)


class Transformer(Walk):
    """Makes a node anew where a child of it became another; the rest stays the same object."""

    __slots__ = ()

    def visit(self, node: Node) -> Any:
        method = self._table[type(node)]
        return node if method is None else method(self, node)

    def inner(self, node: Any) -> Any:
        old = node.children()
        table = self._table
        new = []
        same = True
        for c in old:
            method = table[type(c)]
            if method is None:
                new.append(c)
                continue
            d = method(self, c)
            same = same and c is d
            new.append(d)
        return node if same else node.rebuild(*new)
