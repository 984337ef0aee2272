"""What the expressions of the loop IR read, through everything that is recomputed."""

from __future__ import annotations

from collections.abc import Sequence
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
    Op,
    Value,
    Where,
    iop,
)
from covector.core import dtypes

_EXPENSIVE = {
    "exp": 16, "exp2": 16, "log": 16, "log1p": 20, "expm1": 20, "sin": 24, "cos": 24, "tan": 30,
    "tanh": 20, "sinh": 20, "cosh": 20, "asin": 20, "acos": 20, "atan": 20, "atan2": 24,
    "asinh": 30, "acosh": 30, "atanh": 30, "logistic": 20, "erf": 24, "erfc": 30, "erf_inv": 40,
    "lgamma": 120, "digamma": 100, "pow": 40, "div": 4, "sqrt": 4, "rsqrt": 6, "cbrt": 20,
    "rem": 30, "threefry": 100, "bessel_i0e": 100, "bessel_i1e": 100, "zeta": 1000,
    "polygamma": 1000, "igamma": 1000, "igammac": 1000, "igamma_grad_a": 2000,
    "random_gamma_grad": 2000, "regularized_incomplete_beta": 1000,
}  # fmt: skip
# The same for complex numbers, where other functions cost as much as the last entry.
_COMPLEX = {
    "real": 0, "imag": 0, "conj": 1, "neg": 2, "add": 2, "sub": 2, "select_n": 2, "eq": 3, "ne": 3,
    "convert_element_type": 1, "copy": 0, "mul": 6, "square": 6, "integer_pow": 15, "abs": 20,
    "sign": 20, "sqrt": 40, "div": 70, "": 250,
}  # fmt: skip


def substitute(index: Index, env: Sequence[Index]) -> Index:
    """``index`` with its index variables replaced."""
    t = type(index)
    if t is IVar:
        return env[index.axis]  # type: ignore[union-attr]
    if t is IOp:
        return iop(index.op, substitute(index.a, env), substitute(index.b, env))  # type: ignore
    if t is IPart:
        at = substitute(index.position, env)  # type: ignore[union-attr]
        return IPart(at, index.dims, index.axis)  # type: ignore[union-attr]
    if t is IDyn:
        return IDyn(_Bound(index.expr, env))  # type: ignore[union-attr]
    return index


class _Bound(Expr):
    """An expression together with the indices its variables stand for."""

    __slots__ = ("expr", "env")

    def __init__(self, expr: Expr, env: Sequence[Index]) -> None:
        self.expr = expr
        self.env = tuple(env)
        self.dtype = expr.dtype


def variables(index: Index) -> set[int]:
    """Axes whose index variables occur in ``index``."""
    t = type(index)
    if t is IVar:
        return {index.axis}  # type: ignore[union-attr]
    if t is IOp:
        return variables(index.a) | variables(index.b)  # type: ignore[union-attr]
    if t is IPart:
        return variables(index.position)  # type: ignore[union-attr]
    if t is IDyn:
        expr = index.expr  # type: ignore[union-attr]
        if type(expr) is _Bound:
            return set().union(*(variables(i) for i in expr.env)) if expr.env else set()
        return expr_variables(expr)
    return set()


def expr_variables(expr: Expr) -> set[int]:
    out: set[int] = set()
    t = type(expr)
    if t is Load:
        for i in expr.index:  # type: ignore[attr-defined]
            out |= variables(i)
    elif t is Op:
        for a in expr.args:  # type: ignore[attr-defined]
            out |= expr_variables(a)
    elif t is FromIndex:
        out |= variables(expr.index)  # type: ignore[attr-defined]
    elif t is Where:
        for test in expr.tests:  # type: ignore[attr-defined]
            for i in test:
                out |= variables(i)
        out |= expr_variables(expr.then) | expr_variables(expr.other)  # type: ignore
    return out


class Access:
    """The memory a stage reads, through everything it recomputes."""

    __slots__ = ("reads", "other", "_seen")

    def __init__(self) -> None:
        self.reads: list[tuple[Value, tuple[Index, ...]]] = []
        # Axes used other than as plain subscripts (as numbers, in tests).
        self.other: set[int] = set()
        self._seen: set[Any] = set()

    def add(self, expr: Expr, env: Sequence[Index], inline: Any) -> None:
        t = type(expr)
        if t is Load:
            v: Value = expr.value  # type: ignore[attr-defined]
            index = tuple([substitute(i, env) for i in expr.index])  # type: ignore[attr-defined]
            for i in expr.index:  # type: ignore[attr-defined]
                self._index(i, env, inline)
            key = (v.id, *key_of(index))
            if key in self._seen:
                return
            self._seen.add(key)
            if inline(v):
                self.add(v.defn.expr, index, inline)
            else:
                self.reads.append((v, index))
        elif t is Op:
            for a in expr.args:  # type: ignore[attr-defined]
                self.add(a, env, inline)
        elif t is FromIndex:
            self.other |= variables(substitute(expr.index, env))  # type: ignore[attr-defined]
            self._index(expr.index, env, inline)  # type: ignore[attr-defined]
        elif t is Where:
            for test in expr.tests:  # type: ignore[attr-defined]
                for i in test:
                    self.other |= variables(substitute(i, env))
                    self._index(i, env, inline)
            self.add(expr.then, env, inline)  # type: ignore[attr-defined]
            self.add(expr.other, env, inline)  # type: ignore[attr-defined]
        elif t is _Bound:
            self.add(expr.expr, [substitute(i, env) for i in expr.env], inline)  # type: ignore

    def _index(self, index: Index, env: Sequence[Index], inline: Any) -> None:
        t = type(index)
        if t is IOp:
            self._index(index.a, env, inline)  # type: ignore[union-attr]
            self._index(index.b, env, inline)  # type: ignore[union-attr]
        elif t is IPart:
            self._index(index.position, env, inline)  # type: ignore[union-attr]
        elif t is IDyn:
            self.add(index.expr, env, inline)  # type: ignore[union-attr]


def key_of(index: Sequence[Index]) -> tuple[Any, ...]:
    """Equal for equal indices."""
    return tuple([_key(i) for i in index])


def _key(index: Index) -> Any:
    t = type(index)
    if t is int:
        return index
    if t is IOp:
        return (index.op, _key(index.a), _key(index.b))  # type: ignore[union-attr]
    if t is IPart:
        return (_key(index.position), index.dims, index.axis)  # type: ignore[union-attr]
    if t is IDyn:
        e = index.expr  # type: ignore[union-attr]
        return (id(e.expr), *[_key(i) for i in e.env]) if type(e) is _Bound else id(e)
    return id(index)


def cost(expr: Expr) -> int:
    """Rough number of simple operations of one evaluation, loads within it not followed."""
    t = type(expr)
    if t is Op:
        args = expr.args  # type: ignore[attr-defined]
        if args and args[-1].dtype in dtypes.COMPLEX:
            own = _COMPLEX.get(expr.name, _COMPLEX[""])  # type: ignore[attr-defined]
        else:
            own = _EXPENSIVE.get(expr.name, 1)  # type: ignore[attr-defined]
        return own + sum(map(cost, args))
    if t is Load:
        return sum(index_cost(i) for i in expr.index)  # type: ignore[attr-defined]
    if t is Where:
        return 1 + cost(expr.then) + cost(expr.other)  # type: ignore[attr-defined]
    return 0


def index_cost(index: Index) -> int:
    t = type(index)
    if t is IOp:
        extra = 4 if index.op in ("//", "%") else 0  # type: ignore[union-attr]
        return extra + index_cost(index.a) + index_cost(index.b)  # type: ignore[union-attr]
    if t is IPart:
        return 2 + index_cost(index.position)  # type: ignore[union-attr]
    if t is IDyn:
        return 4 + cost(index.expr)  # type: ignore[union-attr]
    return 0
