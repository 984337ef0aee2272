"""Operations on literals, computed now in the type of the operands."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from covector.compiler.passes.literals import EXACT, literal, scalar
from covector.compiler.passes.rewriter import Rewriter, Table
from covector.core.avals import ShapedArray
from covector.core.jaxpr import Atom, JaxprEqn, Literal
from covector.core.rules import ELEMENTWISE
from covector.core.structural import convert_element_type_p
from covector.core.trace import Primitive
from covector.primitives.arithmetic import max_p, min_p
from covector.primitives.select import clamp_p

FOLDING = Table("folding")

_NUMPY: dict[Primitive, Callable[..., Any]] = {
    p: p.spec.fold for p in ELEMENTWISE.values() if p.spec is not None and p.spec.fold is not None
}


@FOLDING.rule("operation on literals = literal", *_NUMPY)
def _operation(s: Rewriter, eqn: JaxprEqn, ins: list[Atom], aval: ShapedArray) -> Atom | None:
    if aval.shape:
        return None
    values = []
    for a in ins:
        if type(a) is not Literal or a.aval.dtype not in EXACT:
            return None
        values.append(scalar(a))
    # NumPy's signs of zeros and NaN are not ours.
    if eqn.primitive in (max_p, min_p) and not _are_ordered(*values):
        return None
    return literal(_NUMPY[eqn.primitive](*values), aval)


@FOLDING.rule("clamp of literals = literal", clamp_p)
def _clamp(s: Rewriter, eqn: JaxprEqn, ins: list[Atom], aval: ShapedArray) -> Atom | None:
    literals = [a for a in ins if type(a) is Literal and a.aval.dtype in EXACT]
    if aval.shape or len(literals) < len(ins):
        return None
    low, x, high = map(scalar, literals)
    if not (_are_ordered(low, x) and _are_ordered(x, high) and low <= high):
        return None
    return literal(min(max(low, x), high), aval)


def _are_ordered(a: Any, b: Any) -> bool:
    """Whether one of two numbers is less, or both are the same: no NaN, no zeros of two signs."""
    return bool(a < b or a > b or (a == b and np.signbit(a) == np.signbit(b)))


@FOLDING.rule("convert of a literal = literal", convert_element_type_p)
def _convert(s: Rewriter, eqn: JaxprEqn, ins: list[Atom], aval: ShapedArray) -> Atom | None:
    (x,) = ins
    if type(x) is not Literal:
        return None
    if x.aval.dtype == aval.dtype:
        return Literal(x.val, aval)
    if x.aval.dtype not in EXACT or aval.dtype not in EXACT:
        return None
    value = scalar(x)
    if value.dtype.kind == "f" and aval.dtype.kind != "f" and not _fits(value, aval.dtype):
        return None
    return literal(value, aval)


def _fits(x: Any, dtype: Any) -> bool:
    """Whether a number without its fraction is one of an integer type: then none is rounded."""
    if dtype.kind not in "iu":
        return False
    limits = np.iinfo(dtype)
    return bool(np.isfinite(x)) and limits.min <= int(x) <= limits.max
