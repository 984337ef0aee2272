"""Products of matrices and tensors: `dot_general`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from covector.core import structural
from covector.core.avals import ShapedArray, aval_of
from covector.core.definers import def_jvp
from covector.core.dtypes import DType
from covector.core.errors import ShapeMismatchError, at_user_line
from covector.core.rules import UndefinedPrimal, batching_rules, check_linear, transpose_rules
from covector.core.structural import convert_element_type, moveaxis
from covector.core.trace import Primitive
from covector.primitives.common import ANY, check_dtype

Dims = tuple[tuple[tuple[int, ...], tuple[int, ...]], tuple[tuple[int, ...], tuple[int, ...]]]

dot_general_p = Primitive("dot_general")


# --- constructors: what rules bind ---------------------------------------------------------


def dot_general(x: Any, y: Any, dimension_numbers: Dims) -> Any:
    """Products of ``x`` and ``y``: (contracted dimensions of both, batch dimensions of both)."""
    return dot_general_p.bind(
        x, y, dimension_numbers=dimension_numbers, precision=None, preferred_element_type=None
    )


@dot_general_p.def_abstract_eval
def _dot_general_aval(
    x: ShapedArray,
    y: ShapedArray,
    *,
    dimension_numbers: Dims,
    precision: Any,
    preferred_element_type: DType | None,
) -> ShapedArray:
    (xc, yc), (xb, yb) = dimension_numbers
    check_dtype("dot_general", x, ANY)
    if x.dtype is not y.dtype and x.dtype != y.dtype:
        raise TypeError(
            f"dot_general takes operands of one dtype, got {x.str_short()} and {y.str_short()}"
            f"{at_user_line()}"
        )
    xs, ys = x.shape, y.shape
    ok = len(xc) == len(yc) and len(xb) == len(yb)
    for used, shape in (((*xc, *xb), xs), ((*yc, *yb), ys)):
        ok = ok and len(set(used)) == len(used) and all(0 <= d < len(shape) for d in used)
    if not ok:
        raise TypeError(
            f"dot_general of {x.str_short()} and {y.str_short()}: dimension_numbers "
            f"{dimension_numbers} must name distinct dimensions, in pairs{at_user_line()}"
        )
    for a, b in (*zip(xc, yc, strict=True), *zip(xb, yb, strict=True)):
        if xs[a] != ys[b]:
            raise ShapeMismatchError(
                f"dot_general of {x.str_short()} and {y.str_short()}: dimension {a} of the first "
                f"(size {xs[a]}) does not match dimension {b} of the second (size {ys[b]})"
                f"{at_user_line()}"
            )
    shape = (
        *[xs[d] for d in xb],
        *[s for d, s in enumerate(xs) if d not in xc and d not in xb],
        *[s for d, s in enumerate(ys) if d not in yc and d not in yb],
    )
    if preferred_element_type is None:
        return ShapedArray(shape, x.dtype, x.weak_type and y.weak_type)
    return ShapedArray(shape, preferred_element_type, False)


# --- rules -------------------------------------------------------------------------------


def _jvp_lhs(g: Any, x: Any, y: Any, **params: Any) -> Any:
    return dot_general_p.bind(g, y, **params)


def _jvp_rhs(g: Any, x: Any, y: Any, **params: Any) -> Any:
    return dot_general_p.bind(x, g, **params)


def_jvp(dot_general_p, _jvp_lhs, _jvp_rhs)


def _free(rank: int, *used: Sequence[int]) -> list[int]:
    return [d for d in range(rank) if all(d not in u for u in used)]


def _dot_transpose(
    ct: Any,
    x: Any,
    y: Any,
    *,
    dimension_numbers: Dims,
    precision: Any,
    preferred_element_type: DType | None,
) -> list[Any]:
    (xc, yc), (xb, yb) = dimension_numbers
    if type(x) is UndefinedPrimal:
        check_linear("dot_general", y)
        return [_operand_ct(ct, x.aval, y, xc, yc, xb, yb, False, precision), None]
    return [None, _operand_ct(ct, y.aval, x, yc, xc, yb, xb, True, precision)]


def _operand_ct(
    ct: Any,
    aval: ShapedArray,
    other: Any,
    mine: Sequence[int],
    theirs: Sequence[int],
    my_batch: Sequence[int],
    their_batch: Sequence[int],
    second: bool,
    precision: Any,
) -> Any:
    """Cotangent of one operand: contract ``ct`` with the other operand's free dimensions."""
    rank = len(aval.shape)
    my_free = _free(rank, mine, my_batch)
    other_free = _free(len(aval_of(other).shape), theirs, their_batch)
    nb = len(my_batch)
    if second:
        ct_contract = tuple(range(nb, nb + len(other_free)))
    else:
        ct_contract = tuple(range(nb + len(my_free), nb + len(my_free) + len(other_free)))
    dt = aval_of(ct).dtype
    if aval_of(other).dtype != dt:
        other = convert_element_type(other, dt)
    # Results: batch, free dimensions of mine, then theirs in the order of `other`.
    out = dot_general_p.bind(
        ct,
        other,
        dimension_numbers=(
            (ct_contract, tuple(other_free)),
            (tuple(range(nb)), tuple(their_batch)),
        ),
        precision=precision,
        preferred_element_type=None,
    )
    contracted = [m for _, m in sorted(zip(theirs, mine, strict=True))]
    order = [*my_batch, *my_free, *contracted]
    inverse = [0] * rank
    for i, d in enumerate(order):
        inverse[d] = i
    return convert_element_type(structural.transpose(out, inverse), aval.dtype, aval.weak_type)


transpose_rules[dot_general_p] = _dot_transpose


def _dot_batch(
    axis_size: int,
    args: Sequence[Any],
    dims: Sequence[int | None],
    *,
    dimension_numbers: Dims,
    **params: Any,
) -> tuple[Any, int]:
    (x, y), (dx, dy) = args, dims
    (xc, yc), (xb, yb) = dimension_numbers
    if dx is not None:
        x = moveaxis(x, dx, 0)
        xc, xb = tuple(d + 1 for d in xc), tuple(d + 1 for d in xb)
    if dy is not None:
        y = moveaxis(y, dy, 0)
        yc, yb = tuple(d + 1 for d in yc), tuple(d + 1 for d in yb)
    if dx is not None and dy is not None:
        xb, yb, out_dim = (0, *xb), (0, *yb), 0
    elif dx is not None:
        out_dim = len(xb)
    else:
        out_dim = len(aval_of(x).shape) - len(xc)
    out = dot_general_p.bind(x, y, dimension_numbers=((xc, yc), (xb, yb)), **params)
    return out, out_dim


batching_rules[dot_general_p] = _dot_batch
