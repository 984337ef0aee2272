"""What makes a public elementwise function of the name, the documentation and the body."""

from __future__ import annotations

from collections.abc import Callable
from inspect import Parameter, Signature
from typing import Any

from covector.core.errors import at_user_line
from covector.core.trace import eval_trace
from covector.numpy._util import (
    beside_all,
    check_out,
    compile_lazily,
    current_trace,
)

Impl = Callable[..., Any]


def _no_where(where: Any, name: str) -> None:
    if where is not None:
        raise NotImplementedError(
            f"the argument where of covector.numpy.{name} is not supported; combine the results "
            f"with covector.numpy.where{at_user_line()}"
        )


# What the operands may be, and what the results are, in docstrings.
ANY = "Numbers or booleans."
NUMBERS = "Numbers; booleans are refused."
REAL = "Real numbers or booleans."
INTEGERS = "Integers or booleans."
SAME1 = "Of the shape and dtype of ``x``."
FLOAT1 = "Of the shape of ``x``; integers and booleans give floats."
BOOL1 = "Booleans, of the shape of ``x``."
PARTS = "Of the operand's shape, in the dtype of the parts of complex numbers, else in its own."
TOGETHER = " They broadcast together."
ANY2, REAL2, INTEGERS2 = ANY + TOGETHER, REAL + TOGETHER, INTEGERS + TOGETHER
SAME2 = "Of the common shape and dtype of the operands."
SAME2_INT = "Of the common shape and dtype of the operands; two booleans give int32."
FLOAT2 = "Of the common shape and dtype of the operands; integers and booleans give floats."
BOOL2 = "Booleans, of the common shape of the operands."

_DOC = """{summary}

Parameters
----------
{operands} : array_like
    {takes}
out, where : None
    Not supported: arrays are immutable. Combine results with `covector.numpy.where`.

Returns
-------
Array
    {result}

Raises
------
TypeError
    If an operand is a list, to be converted with `covector.numpy.array` first, or neither an
    array nor a number.

Examples
--------
>>> import covector.numpy as np
>>> {example}
{printed}
"""


_OPTIONS = [Parameter(name, Parameter.KEYWORD_ONLY, default=None) for name in ("out", "where")]


def _described(fun: Any, impl: Impl, name: str, **text: str) -> Impl:
    """``fun`` with what NumPy's functions say of themselves; the operands have ``impl``'s names."""
    code = impl.__code__  # type: ignore[attr-defined]
    operands = code.co_varnames[: code.co_argcount]
    fun.__name__ = fun.__qualname__ = name
    fun.__doc__ = _DOC.format(operands=", ".join(operands), **text)
    fun.__signature__ = Signature(
        [*(Parameter(x, Parameter.POSITIONAL_ONLY) for x in operands), *_OPTIONS]
    )
    fun.nin, fun.nout, fun.nargs = len(operands), 1, len(operands) + 1
    fun.impl = impl
    described: Impl = fun
    return described


def ufunc1(
    impl: Impl, name: str, summary: str, example: str, printed: str, takes: str, result: str
) -> Impl:
    """The public function of one operand, fused when it is called on concrete arrays."""
    compiled: Any = None
    impl.__name__ = impl.__qualname__ = name

    def fun(x: Any, /, *, out: Any = None, where: Any = None) -> Any:
        nonlocal compiled
        if out is not None or where is not None:
            check_out(out, name)
            _no_where(where, name)
        if current_trace() is not eval_trace:
            return impl(x)
        if compiled is None:
            compiled = compile_lazily(impl)
        return compiled(x)

    return _described(
        fun, impl, name,
        summary=summary, takes=takes, result=result, example=example, printed=printed,
    )  # fmt: skip


def ufunc2(
    impl: Impl,
    name: str,
    summary: str,
    example: str,
    printed: str,
    takes: str,
    result: str,
    exact: bool = False,
) -> Impl:
    """The public function of two operands, fused when it is called on concrete arrays.

    ``exact`` says that ``impl`` asks what Python integers are that no element can equal.
    """
    compiled: Any = None
    impl.__name__ = impl.__qualname__ = name
    impl.exact = exact

    def fun(x: Any, y: Any, /, *, out: Any = None, where: Any = None) -> Any:
        nonlocal compiled
        if out is not None or where is not None:
            check_out(out, name)
            _no_where(where, name)
        if current_trace() is not eval_trace:
            return impl(x, y)
        if compiled is None:
            compiled = compile_lazily(impl)
        if exact and (
            (type(y) is int and not 0 <= y < 128 and beside_all(x, y))
            or (type(x) is int and not 0 <= x < 128 and beside_all(y, x))
        ):
            return impl(x, y)
        try:
            return compiled(x, y)
        except OverflowError:
            return impl(x, y)  # where a Python integer fits the other operand, it is right

    return _described(
        fun, impl, name,
        summary=summary, takes=takes, result=result, example=example, printed=printed,
    )  # fmt: skip
