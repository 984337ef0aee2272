"""The functions for people over the elementwise primitives, made from the rows of their table.

`add`, `sin`, `eq`, … are attributes of this module: one for each row with a `FunctionDoc`, made
when it is first used.
"""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable
from types import FunctionType
from typing import Any

from covector.core.operands import as_operand, match
from covector.core.opspec import FunctionDoc, OpSpec
from covector.core.rules import ELEMENTWISE
from covector.core.trace import Primitive
from covector.primitives import (  # noqa: F401 (their rows)
    arithmetic,
    compare,
    exponential,
    incomplete,
    select,
    special,
)

_NOUNS = {
    "a float": "Real floats",
    "a float or complex": "Floats or complex numbers",
    "complex": "Complex numbers",
    "an integer": "Integers",
    "a boolean or integer": "Booleans or integers",
    "numeric": "Numbers",
    "a number or boolean": "Numbers or booleans",
    "a real number": "Real numbers",
    "a real number or boolean": "Real numbers or booleans",
}
_ACCURACY = """
    accuracy : AccuracyMode or Tolerance, optional
        The least that is asked for: there is one implementation, of full precision."""


def _parameters(spec: OpSpec, doc: FunctionDoc) -> str:
    noun = _NOUNS[spec.accepts]
    if spec.arity == 1:
        text = f"{doc.operands[0]} : array_like\n        {noun}, of any shape."
    else:
        text = (
            f"{', '.join(doc.operands)} : array_like\n        {noun} of one dtype and shape. Axes "
            "of size one and operands of rank 0 are\n        repeated; Python scalars take the "
            "dtype of the other operand."
        )
    return text + _ACCURACY if doc.accuracy else text


def _text(lines: str, indent: str) -> str:
    """Lines of a row, however they are indented there, as lines of a docstring."""
    return textwrap.indent(inspect.cleandoc(lines), indent).lstrip()


def docstring(spec: OpSpec, doc: FunctionDoc) -> str:
    """The docstring of an elementwise function."""
    parameters = _text(doc.parameters, "    ") if doc.parameters else _parameters(spec, doc)
    returns = (
        _text(doc.returns, "        ")
        if doc.returns
        else (
            f"Of the shape and dtype of ``{doc.operands[0]}``."
            if spec.arity == 1
            else "Of the dtype of the operands."
        )
    )
    parts = [
        _text(doc.summary, "    "),
        f"Parameters\n    ----------\n    {parameters}",
        f"Returns\n    -------\n    Array\n        {returns}",
    ]
    if doc.raises:
        parts.append("Raises\n    ------\n    " + _text(doc.raises, "    "))
    if doc.references:
        parts.append("References\n    ----------\n    " + _text(doc.references, "    "))
    example = _text(doc.example, "    ")
    numpy = ">>> import covector.numpy as np\n    " if "np." in example else ""
    parts.append(
        f"Examples\n    --------\n    {numpy}>>> from covector import lax\n    {example}\n    "
    )
    return "\n\n    ".join(parts)


def _unary(bind: Callable[[Any], Any], name: str) -> Callable[..., Any]:
    def function(x: Any) -> Any:
        return bind(as_operand(x, name))

    return function


def _unary_with_accuracy(bind: Callable[[Any], Any], name: str) -> Callable[..., Any]:
    def function(x: Any, *, accuracy: Any = None) -> Any:
        if accuracy is not None:
            from covector.lax.algorithms import check_accuracy  # few programs give one

            check_accuracy(accuracy, name)
        return bind(as_operand(x, name))

    return function


def _binary(bind: Callable[[Any, Any], Any], name: str) -> Callable[..., Any]:
    def function(x: Any, y: Any) -> Any:
        return bind(*match(name, x, y))

    return function


def function_of(prim: Primitive, spec: OpSpec, doc: FunctionDoc) -> Callable[..., Any]:
    """The function for people that applies an elementwise primitive."""
    make = _binary if spec.arity == 2 else _unary_with_accuracy if doc.accuracy else _unary
    made = make(prim.bind, doc.name)
    assert isinstance(made, FunctionType)
    code = made.__code__
    # Operands have the names that the row gives them.
    names = (*doc.operands, *code.co_varnames[spec.arity :])
    made.__code__ = code.replace(co_varnames=names, co_name=doc.name, co_qualname=doc.name)
    if doc.operands != code.co_varnames[: spec.arity]:
        made.__annotations__ = dict.fromkeys((*doc.operands, "return"), "Any")
    made.__name__ = made.__qualname__ = doc.name
    made.__doc__ = docstring(spec, doc)
    return made


# The primitives with a function for people, by its name.
ROWS = {
    p.spec.doc.name: p
    for p in ELEMENTWISE.values()
    if p.spec is not None and p.spec.doc is not None
}


def __getattr__(name: str) -> Any:
    """Make a function when it is first used."""
    prim = ROWS.get(name)
    if prim is None:
        raise AttributeError(f"no elementwise function is called {name!r}")
    assert prim.spec is not None and prim.spec.doc is not None
    # The first of several threads gives all of them its function.
    return globals().setdefault(name, function_of(prim, prim.spec, prim.spec.doc))
