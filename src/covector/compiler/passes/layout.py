"""Shapes: reshapes, broadcasts and transpositions of one another."""

from __future__ import annotations

from covector.compiler.passes.rewriter import Rewriter, Table
from covector.core.avals import ShapedArray
from covector.core.jaxpr import Atom, JaxprEqn
from covector.core.structural import broadcast_in_dim_p, reshape_p, transpose_p
from covector.primitives.dot import dot_general_p
from covector.primitives.structure import squeeze_p

LAYOUT = Table("layout")


def filled(s: Rewriter, like: JaxprEqn, value: Atom, aval: ShapedArray) -> Atom:
    """An array of type ``aval`` full of the scalar ``value``."""
    if not aval.shape:
        return value
    params = {"shape": aval.shape, "broadcast_dimensions": ()}
    return s.emit(like, broadcast_in_dim_p, [value], params, aval)


def fill_value(s: Rewriter, a: Atom) -> Atom | None:
    """The scalar that ``a`` is full of, if it is."""
    fill = s.define(a, broadcast_in_dim_p)
    if fill is None or fill.invars[0].aval.shape:
        return None
    return fill.invars[0]


@LAYOUT.rule("reshape to the same shape = x", reshape_p, squeeze_p)
def _same(s: Rewriter, eqn: JaxprEqn, ins: list[Atom], aval: ShapedArray) -> Atom | None:
    return ins[0] if ins[0].aval.shape == aval.shape else None


@LAYOUT.rule("reshape of a scalar = broadcast", reshape_p, squeeze_p)
def _of_scalar(s: Rewriter, eqn: JaxprEqn, ins: list[Atom], aval: ShapedArray) -> Atom | None:
    return None if ins[0].aval.shape else filled(s, eqn, ins[0], aval)


@LAYOUT.rule("reshape of broadcast of a scalar = broadcast", reshape_p, squeeze_p)
def _of_fill(s: Rewriter, eqn: JaxprEqn, ins: list[Atom], aval: ShapedArray) -> Atom | None:
    value = fill_value(s, ins[0])
    return None if value is None else filled(s, eqn, value, aval)


@LAYOUT.rule("reshape of reshape = reshape", reshape_p, squeeze_p)
def _of_reshape(s: Rewriter, eqn: JaxprEqn, ins: list[Atom], aval: ShapedArray) -> Atom | None:
    earlier = s.define(ins[0], reshape_p, squeeze_p)
    if earlier is None:
        return None
    inner = earlier.invars[0]
    if inner.aval.shape == aval.shape:
        return inner
    if eqn.primitive is reshape_p:
        return s.emit(eqn, reshape_p, [inner], eqn.params, aval)
    return None


@LAYOUT.rule("broadcast to the same shape = x", broadcast_in_dim_p)
def _broadcast_same(s: Rewriter, eqn: JaxprEqn, ins: list[Atom], aval: ShapedArray) -> Atom | None:
    return ins[0] if ins[0].aval.shape == aval.shape else None


@LAYOUT.rule("broadcast of broadcast of a scalar = broadcast", broadcast_in_dim_p)
def _broadcast_fill(s: Rewriter, eqn: JaxprEqn, ins: list[Atom], aval: ShapedArray) -> Atom | None:
    value = fill_value(s, ins[0])
    if value is None:
        return None
    params = {**eqn.params, "broadcast_dimensions": ()}
    return s.emit(eqn, broadcast_in_dim_p, [value], params, aval)


@LAYOUT.rule("transpose that changes nothing = x", transpose_p)
def _transpose_same(s: Rewriter, eqn: JaxprEqn, ins: list[Atom], aval: ShapedArray) -> Atom | None:
    perm = eqn.params["permutation"]
    return ins[0] if tuple(perm) == tuple(range(len(perm))) else None


@LAYOUT.rule("transpose of transpose = transpose", transpose_p)
def _transpose_twice(s: Rewriter, eqn: JaxprEqn, ins: list[Atom], aval: ShapedArray) -> Atom | None:
    earlier = s.define(ins[0], transpose_p)
    if earlier is None:
        return None
    inner = earlier.params["permutation"]
    both = tuple(inner[p] for p in eqn.params["permutation"])
    if both == tuple(range(len(both))):
        return earlier.invars[0]
    params = {**eqn.params, "permutation": both}
    return s.emit(eqn, transpose_p, [earlier.invars[0]], params, aval)


@LAYOUT.rule("transpose of A B, read once = transposed B times transposed A", transpose_p)
def _transpose_product(
    s: Rewriter, eqn: JaxprEqn, ins: list[Atom], aval: ShapedArray
) -> Atom | None:
    product = s.define(ins[0], dot_general_p)
    if product is None or eqn.params["permutation"] != (1, 0) or s.uses.get(ins[0]) != 1:
        return None
    (ca, cb), (ba, bb) = product.params["dimension_numbers"]
    a, b = product.invars
    if ba or a.aval.ndim != 2 or b.aval.ndim != 2:
        return None
    params = {**product.params, "dimension_numbers": ((cb, ca), (bb, ba))}
    return s.emit(eqn, dot_general_p, [b, a], params, aval)


@LAYOUT.rule("product of reshaped vectors = product of what is reshaped", dot_general_p)
def _dot_of_reshaped(s: Rewriter, eqn: JaxprEqn, ins: list[Atom], aval: ShapedArray) -> Atom | None:
    if aval.shape:
        return None
    earlier = [s.define(a, reshape_p) for a in ins]
    if earlier[0] is None and earlier[1] is None:
        return None
    given = [a if e is None else e.invars[0] for a, e in zip(ins, earlier, strict=True)]
    a, b = given
    if a.aval.shape != b.aval.shape or 1 in [x.aval.ndim for x in given]:
        return None
    axes = tuple(range(a.aval.ndim))
    params = {**eqn.params, "dimension_numbers": ((axes, axes), ((), ()))}
    return s.emit(eqn, dot_general_p, given, params, aval)
