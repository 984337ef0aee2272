"""Sums of cotangents: what was read at an index gives back an array that is zero elsewhere."""

from __future__ import annotations

from covector.compiler.passes.layout import fill_value
from covector.compiler.passes.literals import is_number, literal
from covector.compiler.passes.rewriter import Rewriter, Table
from covector.core import dtypes
from covector.core.avals import ShapedArray
from covector.core.jaxpr import Atom, JaxprEqn
from covector.core.structural import add_any_p
from covector.primitives.indexing import scatter_add_p
from covector.primitives.slicing import dynamic_slice_p, dynamic_update_slice_p
from covector.primitives.structure import pad_p

# A padded array is added in place if it is this many times smaller than the sum.
SMALL_PART = 8

COTANGENTS = Table("cotangents")


@COTANGENTS.rule("add_any x (update of zeros) = update of x", add_any_p)
def _add_any(s: Rewriter, eqn: JaxprEqn, ins: list[Atom], aval: ShapedArray) -> Atom | None:
    """Add to the part of an array that is not zero, rather than all of it.

    What is read at an index gives back a cotangent that is zero everywhere else. (A negative
    zero there stays one, where the sum would make it positive.)
    """
    for x, y in (ins, ins[::-1]):
        made = s.define(y, dynamic_update_slice_p, scatter_add_p, pad_p)
        if made is None or not _zeros(s, made):
            continue
        if made.primitive is scatter_add_p:
            return s.emit(eqn, made.primitive, [x, *made.invars[1:]], made.params, aval)
        if made.primitive is pad_p:
            part = made.invars[0]
            config = made.params["padding_config"]
            if part.aval.size * SMALL_PART > aval.size or any(
                lo < 0 or hi < 0 or inner for lo, hi, inner in config
            ):
                continue
            index = ShapedArray((), dtypes.int32)
            starts: list[Atom] = [literal(lo, index) for lo, _, _ in config]
        else:
            part, *starts = made.invars[1:]
        return _add_at(s, eqn, x, part, starts)
    return None


def _zeros(s: Rewriter, made: JaxprEqn) -> bool:
    """Whether an update starts from zeros, or a padding is of zeros."""
    if made.primitive is pad_p:
        return is_number(made.invars[1], 0)
    full_of = fill_value(s, made.invars[0])
    return full_of is not None and is_number(full_of, 0)


def _add_at(s: Rewriter, eqn: JaxprEqn, x: Atom, part: Atom, starts: list[Atom]) -> Atom:
    """``x`` with ``part`` added to it from ``starts`` on."""
    params = {"slice_sizes": part.aval.shape}
    old = s.emit(eqn, dynamic_slice_p, [x, *starts], params, part.aval)
    new = _add_any(s, eqn, [old, part], part.aval)
    if new is None:
        new = s.emit(eqn, eqn.primitive, [old, part], {}, part.aval)
    return s.emit(eqn, dynamic_update_slice_p, [x, new, *starts], {}, x.aval)
