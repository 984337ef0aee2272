"""Operations on literals, computed now in the type of the operands."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from covector.compiler.passes.literals import EXACT, literal, scalar
from covector.compiler.passes.rewriter import Rewriter, Table
from covector.core.avals import ShapedArray
from covector.core.jaxpr import Atom, JaxprEqn, Literal
from covector.core.structural import convert_element_type_p
from covector.core.trace import Primitive
from covector.primitives.arithmetic import add_p, max_p, min_p, mul_p, neg_p, square_p, sub_p
from covector.primitives.compare import (
    and_p,
    eq_p,
    ge_p,
    gt_p,
    le_p,
    lt_p,
    ne_p,
    not_p,
    or_p,
    xor_p,
)
from covector.primitives.exponential import sqrt_p

FOLDING = Table("folding")

_NUMPY: dict[Primitive, Callable[..., Any]] = {
    add_p: np.add, sub_p: np.subtract, mul_p: np.multiply, neg_p: np.negative,
    max_p: np.maximum, min_p: np.minimum, eq_p: np.equal, ne_p: np.not_equal, lt_p: np.less,
    le_p: np.less_equal, gt_p: np.greater, ge_p: np.greater_equal, and_p: np.bitwise_and,
    or_p: np.bitwise_or, xor_p: np.bitwise_xor, not_p: np.invert, sqrt_p: np.sqrt,
    square_p: np.square,
}  # fmt: skip


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
