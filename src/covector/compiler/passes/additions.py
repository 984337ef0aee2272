"""Additions to one element: ``x[i] = x[i] + v`` adds to it where it is."""

from __future__ import annotations

from collections.abc import Sequence

from covector.compiler.passes.rewriter import Rewriter, Table
from covector.core.avals import ShapedArray
from covector.core.jaxpr import Atom, JaxprEqn
from covector.core.structural import broadcast_in_dim_p, reshape_p
from covector.primitives.arithmetic import add_p
from covector.primitives.indexing import scatter_add_p, scatter_p
from covector.primitives.slicing import dynamic_slice_p
from covector.primitives.structure import concatenate_p, squeeze_p

ADDITIONS = Table("additions")


@ADDITIONS.rule("scatter of a sum with what is there = scatter_add", scatter_p)
def _add_there(s: Rewriter, eqn: JaxprEqn, ins: list[Atom], aval: ShapedArray) -> Atom | None:
    x, indices, update = ins
    dn = eqn.params["dimension_numbers"]
    in_order = tuple(dn.scatter_dims_to_operand_dims) == tuple(range(len(aval.shape)))
    if update.aval.shape or dn.operand_batching_dims or not in_order or not aval.shape:
        return None
    total = s.define(update, add_p)
    at = _components(s, indices)
    if total is None or at is None:
        return None
    for old, new in (total.invars, tuple(reversed(total.invars))):
        if _is_element(s, old, x, at):
            return s.emit(eqn, scatter_add_p, [x, indices, new], eqn.params, aval)
    return None


def _components(s: Rewriter, indices: Atom) -> list[Atom] | None:
    """The scalars of which a vector of indices is made."""
    joined = s.define(indices, concatenate_p)
    parts = [indices] if joined is None else joined.invars
    made = [s.define(p, broadcast_in_dim_p) for p in parts]
    found = [e.invars[0] for e in made if e is not None and not e.invars[0].aval.shape]
    return found if len(found) == len(parts) else None


def _is_element(s: Rewriter, a: Atom, x: Atom, at: Sequence[Atom]) -> bool:
    """Whether ``a`` is the element of ``x`` at these indices, where they are in bounds."""
    whole = s.define(a, squeeze_p, reshape_p)
    part = None if whole is None else s.define(whole.invars[0], dynamic_slice_p)
    if part is None or part.invars[0] is not x or part.outvars[0].aval.size != 1:
        return False
    return all(i is k for i, k in zip(part.invars[1:], at, strict=True))
