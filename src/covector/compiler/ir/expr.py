"""Sizes, indices, values of the loop IR, and scalar expressions of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from covector.compiler.ir import constants
from covector.core.dtypes import DType

# --- sizes and indices -------------------------------------------------------------------


class Sym:
    """An integer known only at run time: the ``slot``-th parameter of the compiled code."""

    __slots__ = ("slot", "value")

    def __init__(self, slot: int, value: int) -> None:
        self.slot = slot
        self.value = value

    def __repr__(self) -> str:
        return f"n{self.slot}"


Dim = int | Sym


def product(dims: Sequence[Dim]) -> int | None:
    """Product of constant dimensions; None if one is a run-time size."""
    n = 1
    for d in dims:
        if type(d) is not int:
            return None
        n *= d
    return n


class IVar:
    """The index along one axis of the value being defined."""

    __slots__ = ("axis",)

    def __init__(self, axis: int) -> None:
        self.axis = axis

    def __repr__(self) -> str:
        return f"i{self.axis}"


class IOp:
    """Integer arithmetic on indices: ``+ - * // % min max``, on non-negative divisors.

    ``inside`` is `clamped`.
    """

    __slots__ = ("op", "a", "b")

    def __init__(self, op: str, a: Index, b: Index) -> None:
        self.op = op
        self.a = a
        self.b = b

    def children(self) -> tuple[Index, Index]:
        return (self.a, self.b)

    def rebuild(self, a: Index, b: Index) -> Index:
        return iop(self.op, a, b)


class IDyn:
    """An index computed by the program: an integer scalar expression."""

    __slots__ = ("expr",)

    def __init__(self, expr: Expr) -> None:
        self.expr = expr

    def children(self) -> tuple[Expr]:
        return (self.expr,)

    def rebuild(self, expr: Expr) -> IDyn:
        return IDyn(expr)


class IPart:
    """One coordinate of the ``position``-th element, in row-major order, of a box.

    ``dims`` are the sizes of the box. All coordinates together are the position again, which
    is how a reshaped array is read without a division.
    """

    __slots__ = ("position", "dims", "axis")

    def __init__(self, position: Index, dims: tuple[Dim, ...], axis: int) -> None:
        self.position = position
        self.dims = dims
        self.axis = axis

    def children(self) -> tuple[Index]:
        return (self.position,)

    def rebuild(self, position: Index) -> IPart:
        return IPart(position, self.dims, self.axis)


Index = int | Sym | IVar | IOp | IDyn | IPart
Test = tuple[Index, Index, Index]
_IVARS = tuple(IVar(k) for k in range(64))


def ivars(n: int) -> tuple[IVar, ...]:
    """Index variables of the first ``n`` axes (one object per axis)."""
    return _IVARS[:n]


def iop(op: str, a: Index, b: Index) -> Index:
    """``a op b``, folded where both are constants or one is neutral."""
    if type(a) is int and type(b) is int:
        if op == "+":
            return a + b
        if op == "-":
            return a - b
        if op == "*":
            return a * b
        if op == "//":
            return a // b
        if op == "%":
            return a % b
        if op == "inside":
            return max(min(a, b - 1), 0)
        return min(a, b) if op == "min" else max(a, b)
    if type(b) is int and ((b == 0 and op in "+-") or (b == 1 and op in ("*", "//"))):
        return a
    if type(a) is int and ((a == 0 and op == "+") or (a == 1 and op == "*")):
        return b
    return IOp(op, a, b)


def clamped(index: Index, size: Dim) -> Index:
    """An index that is in ``[0, size - 1]`` where the enclosing `Where` takes what it reads.

    Elsewhere it is moved there, or nothing is read.
    """
    return iop("inside", index, size)


# --- values ----------------------------------------------------------------------------


class Value:
    """An array of the program. ``defn`` says how its elements come about."""

    __slots__ = ("shape", "dtype", "defn", "output_index")

    def __init__(
        self, shape: Sequence[Dim], dtype: DType, defn: Any, output_index: int = 0
    ) -> None:
        self.shape = tuple(shape)
        self.dtype = dtype
        self.defn = defn
        self.output_index = output_index

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def at(self, *index: Index) -> Load:
        return Load(self, index)

    def constant_size(self) -> int | None:
        """Number of elements if every dimension is a constant."""
        return product(self.shape)

    def __repr__(self) -> str:
        kind = type(self.defn).__name__.lower()
        return f"<{kind} {self.dtype.name}[{','.join(map(str, self.shape))}]>"


# --- scalar expressions ------------------------------------------------------------------


class Expr:
    """A scalar expression; ``dtype`` is the type of its value."""

    __slots__ = ("dtype",)
    dtype: DType

    def children(self) -> Sequence[Node]:
        """The expressions and indices this one is made of, in order."""
        return ()

    def rebuild(self, *children: Any) -> Expr:
        """The same of other ``children``."""
        return self


class Lit(Expr):
    """A constant. Two are the same where their bits are, as numbers of the dtype."""

    __slots__ = ("value",)

    def __init__(self, value: Any, dtype: DType) -> None:
        self.value = value
        self.dtype = dtype

    def bits(self) -> bytes:
        """The constant in memory."""
        return constants.bits(self.value, self.dtype)


class Arg(Expr):
    """The ``position``-th operand of a `Combination`."""

    __slots__ = ("position",)

    def __init__(self, position: int, dtype: DType) -> None:
        self.position = position
        self.dtype = dtype


class Load(Expr):
    """An element of another value."""

    __slots__ = ("value", "index")

    def __init__(self, value: Value, index: Sequence[Index]) -> None:
        self.value = value
        self.index = tuple(index)
        self.dtype = value.dtype

    def children(self) -> Sequence[Node]:
        return self.index

    def rebuild(self, *index: Index) -> Load:
        return Load(self.value, index)


class Op(Expr):
    """A scalar operation, named as the primitive it comes from."""

    __slots__ = ("name", "args", "attr")

    def __init__(self, name: str, args: Sequence[Expr], dtype: DType, attr: Any = None) -> None:
        self.name = name
        self.args = tuple(args)
        self.dtype = dtype
        self.attr = attr

    def children(self) -> Sequence[Node]:
        return self.args

    def rebuild(self, *args: Expr) -> Op:
        return Op(self.name, args, self.dtype, self.attr)


class FromIndex(Expr):
    """An index as a number."""

    __slots__ = ("index",)

    def __init__(self, index: Index, dtype: DType) -> None:
        self.index = index
        self.dtype = dtype

    def children(self) -> Sequence[Node]:
        return (self.index,)

    def rebuild(self, index: Index) -> FromIndex:
        return FromIndex(index, self.dtype)


class Where(Expr):
    """``then`` if ``low <= index < high`` for each of ``tests``, else ``other``.

    Only the chosen side is evaluated when the comparison is decided at compile time;
    otherwise both are, so their loads must be valid for any index (`clamped`).
    """

    __slots__ = ("tests", "then", "other")

    def __init__(self, tests: Sequence[Test], then: Expr, other: Expr) -> None:
        self.tests = tuple(tests)
        self.then = then
        self.other = other
        self.dtype = then.dtype

    def children(self) -> Sequence[Node]:
        return (*[i for test in self.tests for i in test], self.then, self.other)

    def rebuild(self, *children: Any) -> Where:
        *flat, then, other = children
        return Where(list(zip(flat[::3], flat[1::3], flat[2::3], strict=True)), then, other)


Node = Index | Expr
