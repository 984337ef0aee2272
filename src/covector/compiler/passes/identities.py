"""Operations that give back an operand."""

from __future__ import annotations

from collections.abc import Set

from covector.compiler.passes.literals import is_number, same_type
from covector.compiler.passes.rewriter import Rewriter, Table
from covector.core import dtypes
from covector.core.avals import ShapedArray
from covector.core.dtypes import DType
from covector.core.jaxpr import Atom, JaxprEqn, Literal
from covector.core.structural import convert_element_type_p
from covector.core.trace import Primitive
from covector.primitives.arithmetic import add_p, mul_p, sub_p
from covector.primitives.select import select_n_p

IDENTITIES = Table("identities")
_REAL = dtypes.INTEGERS | dtypes.FLOATS

# x + 0 is not x for a negative zero, nor is a complex x * 1.
_NEUTRAL: tuple[tuple[Primitive, int, bool, Set[DType]], ...] = (
    (mul_p, 1, True, _REAL),
    (add_p, 0, True, dtypes.INTEGERS),
    (sub_p, 0, False, dtypes.INTEGERS),
)


def _neutral(prim: Primitive, number: int, commutes: bool, types: Set[DType]) -> None:
    @IDENTITIES.rule(f"{prim.name} x {number} = x", prim)
    def right(s: Rewriter, eqn: JaxprEqn, ins: list[Atom], aval: ShapedArray) -> Atom | None:
        x, y = ins
        if type(y) is Literal and is_number(y, number) and aval.dtype in types:
            return x if same_type(x, aval) else None
        return None

    if commutes:

        @IDENTITIES.rule(f"{prim.name} {number} x = x", prim)
        def left(s: Rewriter, eqn: JaxprEqn, ins: list[Atom], aval: ShapedArray) -> Atom | None:
            x, y = ins
            if type(x) is Literal and is_number(x, number) and aval.dtype in types:
                return y if same_type(y, aval) else None
            return None


for _row in _NEUTRAL:
    _neutral(*_row)


@IDENTITIES.rule("select_n of a literal = the case", select_n_p)
def _select(s: Rewriter, eqn: JaxprEqn, ins: list[Atom], aval: ShapedArray) -> Atom | None:
    which, *cases = ins
    if type(which) is not Literal:
        return None
    case = cases[min(max(int(which.val), 0), len(cases) - 1)]
    return case if same_type(case, aval) else None


@IDENTITIES.rule("select_n of one case several times = it", select_n_p)
def _select_same(s: Rewriter, eqn: JaxprEqn, ins: list[Atom], aval: ShapedArray) -> Atom | None:
    case = ins[1]
    if type(case) is Literal or any(other is not case for other in ins[2:]):
        return None
    return case if same_type(case, aval) else None


@IDENTITIES.rule("convert to the same type = x", convert_element_type_p)
def _convert(s: Rewriter, eqn: JaxprEqn, ins: list[Atom], aval: ShapedArray) -> Atom | None:
    (x,) = ins
    return x if type(x) is not Literal and x.aval.dtype == aval.dtype else None
