"""Operations on literals, computed now in the type of the operands."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from covector.compiler.passes.literals import EXACT, literal, scalar
from covector.compiler.passes.rewriter import Rewriter, Table
from covector.core.avals import ShapedArray
from covector.core.jaxpr import Atom, JaxprEqn, Literal
from covector.core.rules import ELEMENTWISE
from covector.core.structural import convert_element_type_p
from covector.core.trace import Primitive
from covector.primitives.arithmetic import max_p, min_p

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
    if eqn.primitive in (max_p, min_p) and values[0].dtype.kind == "f":
        return None
    return literal(_NUMPY[eqn.primitive](*values), aval)


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
    if value.dtype.kind == "f" and aval.dtype.kind != "f":
        return None
    return literal(value, aval)
