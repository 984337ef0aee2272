"""Selection between operands: `select_n` and `clamp`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from covector.core import dtypes
from covector.core.avals import ShapedArray, aval_of
from covector.core.definers import def_jvp, def_vectorized
from covector.core.errors import ShapeMismatchError, at_user_line
from covector.core.operands import scalar
from covector.core.opspec import UNIT, OpSpec
from covector.core.rules import (
    UndefinedPrimal,
    Zero,
    add_row,
    batching_rules,
    jvp_rules,
    transpose_rules,
)
from covector.core.structural import bring_dim, broadcast_in_dim, full, sum_to
from covector.core.trace import Bind, Primitive
from covector.primitives.common import ANY, ORDERED, check_dtype, elementwise_aval
from covector.primitives.compare import bitwise_and, bitwise_or, gt, lt

select_n_p = Primitive("select_n")
clamp_p = Primitive("clamp")


# --- constructors: what rules bind ---------------------------------------------------------

clamp: Bind = clamp_p.bind


def select(pred: Any, on_true: Any, on_false: Any) -> Any:
    """Elementwise ``on_true if pred else on_false``."""
    return select_n_p.bind(pred, on_false, on_true)


@select_n_p.def_abstract_eval
def _select_n_aval(which: ShapedArray, *cases: ShapedArray) -> ShapedArray:
    if which.dtype != dtypes.bool_ and which.dtype != dtypes.int32:
        raise TypeError(
            f"select_n takes a boolean or int32 array to select by, got {which.str_short()}"
            f"{at_user_line()}"
        )
    if not cases or (which.dtype == dtypes.bool_ and len(cases) > 2):
        raise TypeError(
            f"select_n by {which.str_short()} among {len(cases)} cases: a boolean selects "
            f"between two{at_user_line()}"
        )
    out = elementwise_aval("select_n", cases)
    if which.shape and which.shape != out.shape:
        if out.shape:
            raise ShapeMismatchError(
                f"select_n by {which.str_short()} among cases of shape {out.shape}: the selector "
                f"must have that shape or rank 0{at_user_line()}"
            )
        return ShapedArray(which.shape, out.dtype, out.weak_type)
    return out


def_vectorized(select_n_p)
add_row(select_n_p, OpSpec("select_n", 3, ANY, complex_cost=2, domain=((0, 1), UNIT, UNIT)))


@clamp_p.def_abstract_eval
def _clamp_aval(low: ShapedArray, x: ShapedArray, high: ShapedArray) -> ShapedArray:
    check_dtype("clamp", x, ORDERED)
    for bound in (low, high):
        if bound.shape and bound.shape != x.shape:
            raise TypeError(
                f"clamp of {x.str_short()} between {low.str_short()} and {high.str_short()}: "
                f"bounds must have the operand's shape or rank 0{at_user_line()}"
            )
    return elementwise_aval("clamp", (low, x, high))


def _clamp_batch(
    axis_size: int, args: Sequence[Any], dims: Sequence[int | None]
) -> tuple[Any, int]:
    # Bounds may be of rank 0 only where the operand of the batched program is not.
    low, x, high = args
    rank = len(aval_of(x).shape) - (dims[1] is not None)
    out = [bring_dim(x, axis_size, dims[1], 0)]
    shape = aval_of(out[0]).shape
    for b, d in ((low, dims[0]), (high, dims[2])):
        if d is None:
            out.append(b if not aval_of(b).shape else bring_dim(b, axis_size, None, 0))
        elif rank and len(aval_of(b).shape) == 1:
            out.append(broadcast_in_dim(b, shape, (0,)))
        else:
            out.append(bring_dim(b, axis_size, d, 0))
    return clamp_p.bind(out[1], out[0], out[2]), 0


batching_rules[clamp_p] = _clamp_batch
add_row(clamp_p, OpSpec("clamp", 3, ORDERED, domain=(UNIT, UNIT, UNIT)))


# --- derivatives -------------------------------------------------------------------------


def _select_jvp(primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
    which, *cases = primals
    out = select_n_p.bind(which, *cases)
    gs = tangents[1:]
    if all(type(g) is Zero for g in gs):
        return out, Zero.of(out)
    dt = aval_of(out).dtype
    gs = [scalar(0.0, dt) if type(g) is Zero else g for g in gs]
    shape = aval_of(out).shape
    if shape and not aval_of(which).shape and all(not aval_of(g).shape for g in gs):
        gs = [broadcast_in_dim(g, shape, ()) for g in gs]
    return out, select_n_p.bind(which, *gs)


jvp_rules[select_n_p] = _select_jvp


def _select_transpose(ct: Any, which: Any, *cases: Any) -> list[Any]:
    zero = scalar(0.0, aval_of(ct).dtype)
    if not aval_of(ct).shape:
        zero = full((), 0, aval_of(ct).dtype)
    out: list[Any] = [None]
    for i, case in enumerate(cases):
        if type(case) is not UndefinedPrimal:
            out.append(None)
            continue
        parts = [ct if i == j else zero for j in range(len(cases))]
        out.append(sum_to(select_n_p.bind(which, *parts), case.aval))
    return out


transpose_rules[select_n_p] = _select_transpose


def _zero_unless(inside: Any, g: Any) -> Any:
    return select(inside, g, scalar(0.0, aval_of(g).dtype))


def _low_active(low: Any, x: Any, high: Any) -> Any:
    return bitwise_and(gt(low, x), lt(low, high))


def _high_active(low: Any, x: Any, high: Any) -> Any:
    # The upper bound counts last: it holds where the bounds are in the wrong order too.
    return bitwise_or(lt(high, x), lt(high, low))


def_jvp(
    clamp_p,
    lambda g, low, x, high: _zero_unless(_low_active(low, x, high), g),
    lambda g, low, x, high: _zero_unless(bitwise_and(gt(x, low), lt(x, high)), g),
    lambda g, low, x, high: _zero_unless(_high_active(low, x, high), g),
)
