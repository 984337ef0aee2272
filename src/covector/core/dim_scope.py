"""Dimension variables by name, what is known of them, and the texts of shapes and constraints."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from covector.core.dims import (
    LARGEST,
    Dim,
    DimExpr,
    max_dim,
    min_dim,
    operation,
    substituted,
    terms_of,
    variables_of,
)
from covector.core.errors import at_user_line
from covector.core.polynomials import Factor, Monomial, Terms, product_of, quotient

_COMPARISON = re.compile(r"(.*?)(>=|<=|==)(.*)$", re.S)


class SymbolicScope:
    """Dimension variables that may stand together, and constraints on them.

    Parameters
    ----------
    constraints_str : sequence of str
        Each is of the form ``e1 >= e2``, ``e1 <= e2`` or ``e1 == e2``. Of an equation, the left
        side is a product of variables and operations, for which the right side is put everywhere.

    Examples
    --------
    >>> from covector import export
    >>> scope = export.SymbolicScope(["a >= 16", "mod(a, 8) == 0"])
    >>> (a,) = export.symbolic_shape("a", scope=scope)
    >>> a >= 10, a % 8
    (True, 0)
    """

    def __init__(self, constraints_str: Sequence[str] = ()) -> None:
        if isinstance(constraints_str, str):
            raise ValueError(
                f"constraints are a sequence of texts, got the text {constraints_str!r}"
                f"{at_user_line()}"
            )
        self.texts: list[str] = []
        # What holds for all values, as ``(left, comparison, right)``: checked when they are known.
        self.constraints: list[tuple[Dim, str, Dim]] = []
        self.bounds: dict[str, tuple[float, float]] = {}
        self.nonnegative: list[DimExpr] = []
        # Lower bounds that were found, of expressions and for a depth of the search.
        self.found: dict[Any, float] = {}
        self.equations: list[tuple[Monomial, int, Terms]] = []
        for text in constraints_str:
            self._add(text)

    def variable(self, name: str) -> Dim:
        """The variable of a name, or what stands for it."""
        terms = self.rewritten({((Factor(name), 1),): 1})
        if not terms or terms.keys() == {()}:
            return terms.get((), 0)
        return DimExpr(terms, self)

    def rewritten(self, terms: Terms) -> Terms:
        """Terms in which the right sides of equations stand for the left ones."""
        if not self.equations:
            return terms
        for _ in range(_MAX_REWRITES):
            found = self._match(terms)
            if found is None:
                break
            m, rest, times, left, right = found
            terms = dict(terms)
            terms[m] -= times * left
            for n, k in right.items():
                p = product_of(rest, n)
                terms[p] = terms.get(p, 0) + times * k
            terms = {p: k for p, k in terms.items() if k}
        return terms

    def _match(self, terms: Terms) -> tuple[Monomial, Monomial, int, int, Terms] | None:
        """A term that has the left side of an equation as a factor, and how often."""
        for left, k, right in self.equations:
            for m, j in terms.items():
                rest = quotient(m, left)
                if rest is not None and j // k:
                    return m, rest, j // k, k, right
        return None

    def _add(self, text: str) -> None:
        if not isinstance(text, str):
            raise TypeError(
                f"a constraint is a string such as 'a >= 8', got {text!r}{at_user_line()}"
            )
        found = _COMPARISON.match(text)
        if found is None:
            raise ValueError(
                f"the constraint {text!r} must have one of '==', '>=' and '<='{at_user_line()}"
            )
        left, comparison, right = found[1], found[2], found[3]
        x, y = (Parser(side, self, text).whole() for side in (left, right))
        self.texts.append(text.strip())
        self.constraints.append((x, comparison, y))
        if comparison == "==":
            self._add_equation(x, y, text)
        else:
            self._add_bound(x - y if comparison == ">=" else y - x, text)
        self.found.clear()  # what was found without it

    def _add_equation(self, x: Dim, y: Dim, text: str) -> None:
        terms = terms_of(x)
        ((m, k),) = terms.items() if len(terms) == 1 else (((), 0),)
        if not m or k < 1:
            raise ValueError(
                f"the left side of the constraint {text!r} must be a product of variables and "
                f"operations, for which its right side is to stand{at_user_line()}"
            )
        self.equations.append((m, k, terms_of(y)))
        if m[0][0].name == "mod" and (len(m), m[0][1], k) == (1, 1, 1) and type(y) is int:
            # The quotient times the divisor is the rest.
            of, by = m[0][0].operands
            whole = terms_of(operation("floordiv", of, by) * by)
            if len(whole) == 1:
                ((m, k),) = whole.items()
                self.equations.append((m, k, terms_of(of - y)))

    def _add_bound(self, e: Dim, text: str) -> None:
        """Take ``e >= 0`` as known."""
        if type(e) is int:
            if e < 0:
                raise ValueError(f"the constraint {text!r} never holds{at_user_line()}")
            return
        terms = terms_of(e)
        constant = terms.pop((), 0)
        if len(terms) == 1:
            ((m, k),) = terms.items()
            if len(m) == 1 and m[0][1] == 1 and not m[0][0].operands:
                name = m[0][0].name
                low, high = self.bounds.get(name, (1, LARGEST))
                if k > 0:
                    low = max(low, -(constant // k))
                else:
                    high = min(high, constant // -k)
                if low > high:
                    raise ValueError(f"the constraint {text!r} never holds{at_user_line()}")
                self.bounds[name] = low, high
                return
        self.nonnegative.append(e)

    def check(self, values: dict[str, int]) -> str | None:
        """The first constraint that does not hold for these values."""
        for text, (x, comparison, y) in zip(self.texts, self.constraints, strict=True):
            if not (variables_of(x) | variables_of(y)) <= values.keys():
                continue
            a, b = substituted(x, values), substituted(y, values)
            holds = a == b if comparison == "==" else a >= b if comparison == ">=" else a <= b
            if not holds:
                return text
        return None

    def __repr__(self) -> str:
        return f"SymbolicScope({self.texts})"


# An equation whose right side holds its left one would be put in for ever.
_MAX_REWRITES = 100

_TOKEN = re.compile(r"\s*(?:(\d+)|([A-Za-z_][A-Za-z_0-9]*)|(\.\.\.)|(\S))")


class Parser:
    """Reads expressions and shapes: sums of products of powers of names, numbers and calls."""

    def __init__(self, text: str, scope: SymbolicScope, whole_text: str | None = None) -> None:
        self.text = text
        self.scope = scope
        self.shown = text if whole_text is None else whole_text
        self.at = 0

    def peek(self) -> str:
        """The next word; empty at the end."""
        found = _TOKEN.match(self.text, self.at)
        return found[0].strip() if found else ""

    def take(self) -> str:
        word = self.peek()
        found = _TOKEN.match(self.text, self.at)
        self.at = found.end() if found else len(self.text)
        return word

    def fail(self, expected: str) -> ValueError:
        found = repr(self.peek()) if self.peek() else "the end"
        return ValueError(
            f"syntax error in {self.shown!r}: expected {expected}, found {found} after "
            f"{self.text[: self.at]!r}{at_user_line()}"
        )

    def expect(self, word: str) -> None:
        if self.peek() != word:
            raise self.fail(repr(word))
        self.take()

    def whole(self) -> Dim:
        """The expression that the text is."""
        d = self.sum()
        if self.peek():
            raise self.fail("an operator or the end")
        return d

    def sum(self) -> Dim:
        d: Dim = 0
        sign = 1
        if self.peek() in ("-", "+"):
            sign = -1 if self.take() == "-" else 1
        while True:
            d = d + sign * self.product()
            if self.peek() not in ("-", "+"):
                return d
            sign = -1 if self.take() == "-" else 1

    def product(self) -> Dim:
        d = self.power()
        while self.peek() == "*":
            self.take()
            d = d * self.power()
        return d

    def power(self) -> Dim:
        d = self.atom()
        while self.peek() == "^":
            self.take()
            if not self.peek().isdigit():
                raise self.fail("a number")
            d = d ** int(self.take())
        return d

    def atom(self) -> Dim:
        word = self.peek()
        if word.isdigit():
            return int(self.take())
        if word == "(":
            self.take()
            d = self.sum()
            self.expect(")")
            return d
        if not re.match(r"[A-Za-z_]", word):
            raise self.fail("a name or a number")
        self.take()
        if self.peek() != "(":
            return self.scope.variable(word)
        call = _CALLS.get(word)
        if call is None:
            raise self.fail("one of the operations floordiv, mod, max and min before")
        self.take()
        x = self.sum()
        self.expect(",")
        y = self.sum()
        self.expect(")")
        return call(x, y)

    def shape(self, like: Sequence[Any] | None) -> tuple[Dim, ...]:
        """The shape that the text is; ``_`` and ``...`` are as in the shape ``like``."""
        out: list[Dim] = []
        closing = "(" if self.text.strip().startswith("(") and self.text.strip()[-1] == ")" else ""
        if closing:
            self.take()
        end = ")" if closing else ""
        while self.peek() != end:
            if self.peek() == "...":
                self.take()
                out += self._like(like, slice(len(out), None))
                if self.peek() == ",":
                    self.take()
                if self.peek() != end:
                    raise self.fail("the end, since '...' stands for all the rest,")
                break
            if self.peek() == "_":
                self.take()
                out += self._like(like, slice(len(out), len(out) + 1))
            else:
                out.append(self.sum())
            if self.peek() == end:
                break
            self.expect(",")
        if end:
            self.expect(end)
        if self.peek():
            raise self.fail("the end")
        if like is not None and len(out) != len(like):
            raise ValueError(
                f"the shape {self.shown!r} has {len(out)} dimensions, and the argument that it is "
                f"of has {len(like)}, {tuple(like)}{at_user_line()}"
            )
        return tuple(out)

    def _like(self, like: Sequence[Any] | None, which: slice) -> list[Dim]:
        found = list(like[which]) if like is not None else []
        if like is None or (which.stop is not None and not found) or None in found:
            raise ValueError(
                f"'_' and '...' in the shape {self.shown!r} stand for sizes of an argument, which "
                f"are not given{at_user_line()}"
            )
        return found


def _floordiv(x: Dim, y: Dim) -> Dim:
    return x // y


def _mod(x: Dim, y: Dim) -> Dim:
    return x % y


_CALLS: dict[str, Callable[[Dim, Dim], Dim]] = {
    "floordiv": _floordiv, "mod": _mod, "max": max_dim, "min": min_dim,
}  # fmt: skip
