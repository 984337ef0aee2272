"""What the expressions of the loop IR read, through everything that is recomputed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from covector.compiler.ir.nodes import (
    Expr,
    FromIndex,
    IDyn,
    Index,
    IOp,
    IPart,
    IVar,
    Load,
    Node,
    Op,
    Test,
    Value,
    Where,
)
from covector.compiler.ir.visit import Transformer, Visitor, Walk
from covector.core import dtypes
from covector.core.rules import ELEMENTWISE

# Cost of an operation of the loop IR that is no row of the table of elementwise primitives.
_OTHER = {"threefry": 100}


class _Bound(Expr):
    """An expression together with the indices its variables stand for."""

    __slots__ = ("expr", "env")

    def __init__(self, expr: Expr, env: Sequence[Index]) -> None:
        self.expr = expr
        self.env = tuple(env)
        self.dtype = expr.dtype


class Moved(Transformer):
    """Replaces index variables."""

    __slots__ = ("env",)

    def __init__(self, env: Sequence[Index]) -> None:
        self.env = env

    def within(self, node: Node, env: Sequence[Index]) -> Any:
        """What becomes of a node whose index variables are ``env``."""
        outer, self.env = self.env, env
        found = self.visit(node)
        self.env = outer
        return found

    def ivar(self, node: IVar) -> Index:
        return self.env[node.axis]


class Substitution(Moved):
    """Replaces index variables; in what indices compute, only where one asks for it.

    ``computes`` says whether there was such an index since it was last set to False.
    """

    __slots__ = ("computes",)

    def __init__(self, env: Sequence[Index]) -> None:
        super().__init__(env)
        self.computes = False

    def dyn(self, node: IDyn) -> Index:
        self.computes = True
        return IDyn(_Bound(node.expr, self.env)) if variables(node.expr) else node


def substitute(index: Index, env: Sequence[Index]) -> Index:
    """``index`` with its index variables replaced."""
    return Substitution(env).visit(index)


class _Variables(Visitor):
    __slots__ = ("found",)

    def __init__(self) -> None:
        self.found: set[int] = set()

    def ivar(self, node: IVar) -> None:
        self.found.add(node.axis)

    def dyn(self, node: IDyn) -> None:
        e = node.expr
        for c in e.env if type(e) is _Bound else (e,):
            self.visit(c)


def variables(node: Node) -> set[int]:
    """Axes whose index variables occur in an index or expression."""
    if type(node) is IVar:
        return {node.axis}
    walk = _Variables()
    walk.visit(node)
    return walk.found


class Access(Visitor):
    """The memory a stage reads, through everything it recomputes.

    Attributes
    ----------
    reads : list of (Value, index)
    other : set of int
        Axes used other than as plain subscripts (as numbers, in tests).
    tests : list of Test
        The conditions under which one element or another is read.
    """

    __slots__ = ("reads", "other", "tests", "_seen", "_bind", "_inline")

    def __init__(self) -> None:
        self.reads: list[tuple[Value, tuple[Index, ...]]] = []
        self.other: set[int] = set()
        self.tests: list[Test] = []
        self._seen: set[Any] = set()
        self._bind = Substitution(())
        self._inline: Callable[[Value], bool]

    def add(self, node: Node, env: Sequence[Index], inline: Callable[[Value], bool]) -> None:
        """Take in what ``node`` reads where its index variables are ``env``."""
        outer = self._bind
        self._bind, self._inline = Substitution(env), inline
        self.visit(node)
        self._bind = outer

    def load(self, node: Load) -> None:
        v, bind = node.value, self._bind
        index = []
        for i in node.index:
            if type(i) is IVar:
                index.append(bind.env[i.axis])
            elif type(i) is int:
                index.append(i)
            else:
                index.append(self._bound(i))
        key = (v, *key_of(index))
        if key in self._seen:
            return
        self._seen.add(key)
        if self._inline(v):
            self.add(v.defn.expr, index, self._inline)
        else:
            self.reads.append((v, tuple(index)))

    def from_index(self, node: FromIndex) -> None:
        self._used(node.index)

    def where(self, node: Where) -> None:
        for i, lo, hi in node.tests:
            self.tests.append((self._used(i), self._used(lo), self._used(hi)))
        self.visit(node.then)
        self.visit(node.other)

    def _bound(self, index: Index) -> Index:
        """The index where its variables are what they stand for; what it computes is read."""
        bind = self._bind
        bind.computes = False
        out: Index = bind.visit(index)
        if bind.computes:
            self.visit(index)
        return out

    def _used(self, index: Index) -> Index:
        if type(index) is int:
            return index
        bound = self._bound(index)
        self.other |= variables(bound)
        return bound


class _Key(Walk):
    """Equal for equal nodes."""

    __slots__ = ()

    def leaf(self, node: Any) -> Any:
        return node

    def iop(self, node: IOp) -> Any:
        return (node.op, self.visit(node.a), self.visit(node.b))

    def dyn(self, node: IDyn) -> Any:
        e = node.expr
        if type(e) is _Bound:
            return (IDyn, self.visit(e.expr), *map(self.visit, e.env))
        return (IDyn, self.visit(e))

    def part(self, node: IPart) -> Any:
        return (self.visit(node.position), node.dims, node.axis)

    def inner(self, node: Any) -> Any:
        return (type(node), node.dtype, *map(self.visit, node.children()))

    def lit(self, node: Any) -> Any:
        return (node.dtype, node.bits())

    def load(self, node: Load) -> Any:
        return (node.value, *map(self.visit, node.index))

    def op(self, node: Op) -> Any:
        return (node.name, node.attr, node.dtype, *map(self.visit, node.args))


_key = _Key().visit


def key_of(index: Sequence[Index]) -> tuple[Any, ...]:
    """Equal for equal indices."""
    return tuple([i if type(i) is IVar or type(i) is int else _key(i) for i in index])


class _Cost(Walk):
    __slots__ = ()

    def leaf(self, node: Any) -> int:
        return 0

    def inner(self, node: Any) -> int:
        return sum(map(self.visit, node.children()))

    def iop(self, node: IOp) -> int:
        return self.inner(node) + (4 if node.op in ("//", "%") else 0)

    def part(self, node: IPart) -> int:
        return 2 + self.visit(node.position)

    def dyn(self, node: IDyn) -> int:
        return 4 + self.visit(node.expr)

    def op(self, node: Op) -> int:
        args = node.args
        prim = ELEMENTWISE.get(node.name)
        if prim is None or prim.spec is None:
            own = _OTHER.get(node.name, 1)
        elif args and args[-1].dtype in dtypes.COMPLEX:
            own = prim.spec.complex_cost
        else:
            own = prim.spec.cost
        for a in args:
            own += self.visit(a)
        return own

    def from_index(self, node: FromIndex) -> int:
        return 0

    def where(self, node: Where) -> int:
        return 1 + self.visit(node.then) + self.visit(node.other)


_cost = _Cost().visit


def cost(node: Node) -> int:
    """Rough number of simple operations of one evaluation, loads within it not followed."""
    return _cost(node)
