"""Operations that StableHLO does not have, in terms of others: functions of `lax`, traced."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from covector.backends.pjrt.lower import run
from covector.backends.pjrt.text import Builder, Value
from covector.core.avals import ShapedArray
from covector.core.jaxpr import ClosedJaxpr
from covector.core.trace import trace_to_jaxpr
from covector.transforms.cache import Latest

_traced = Latest(256)


def expand(b: Builder, key: Any, fn: Callable[..., Any], *args: Value) -> list[Value]:
    """The results of ``fn``, a function of arrays.

    ``key`` says which function it is: it is traced once for operands of one type.
    """
    avals = tuple([ShapedArray(x.shape, x.dtype) for x in args])
    found = _traced.get((key, avals))
    if found is None:

        def flat(*xs: Any) -> Sequence[Any]:
            out = fn(*xs)
            return list(out) if isinstance(out, (list, tuple)) else [out]

        jaxpr, consts = trace_to_jaxpr(flat, avals)
        found = ClosedJaxpr(jaxpr, consts)
        _traced.add((key, avals), found)
    return run(b, found, args)
