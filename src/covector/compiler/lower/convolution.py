"""Convolutions: sums over many windows by the library, or loops over windows.

The library takes three spatial dimensions (native/cpu/convolution.h), others being of size 1, and
two layouts. In the first, of most convolutions, features come last: of the operand [batch, space,
features], the kernel [window, inputs, outputs], the result [batch, space, outputs]. In the second,
of derivatives for kernels, where few sums are long, it is the batch of the convolution that comes
last in the operand: [features, space, batch], [inputs, window, outputs], [space, batch, outputs].
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from covector.compiler.ir.nodes import (
    KNOWN,
    Dim,
    Expr,
    Index,
    LibraryCall,
    Lit,
    Op,
    Reduce,
    Value,
    Where,
    clamped,
    iop,
    ivars,
)
from covector.compiler.lower.library import converted, transposed
from covector.compiler.lower.lowering import Lowering, rule
from covector.compiler.lower.structure import padded
from covector.core import dtypes
from covector.core.jaxpr import JaxprEqn
from covector.primitives.convolution import (
    ConvDimensionNumbers,
    Geometry,
    conv_general_dilated_p,
    geometry,
)

_RANK = 3
# Products a window from which the library's tiles are worth their set-up.
_PRODUCTS = 64
# Outputs of a group, where there are several.
_FEWEST_OUTPUTS = 4
# So many times longer than there are of them, sums are computed in parts.
_LONG_SUMS = 8
# Outputs up to which neighbours are taken together.
_FEW = 4


@rule(conv_general_dilated_p)
def _convolution(low: Lowering, eqn: JaxprEqn, lhs: Value, rhs: Value) -> Value:
    a, b = (v.aval for v in eqn.invars)
    out = eqn.outvars[0].aval
    g = geometry(a.shape, b.shape, eqn.params)
    if math.prod(out.shape) == 0 or math.prod((g.inputs, *g.window, *g.space, g.batch)) == 0:
        return low.pointwise(low.shape(out.shape), out.dtype, Lit(0, out.dtype))
    numbers = eqn.params["dimension_numbers"]
    if g.batch_groups > 1:
        lhs = _batch_groups_as_features(low, transposed(low, lhs, numbers.lhs_spec), g)
        numbers = numbers._replace(lhs_spec=tuple(range(lhs.ndim)))
        g = g._replace(
            batch=g.batch // g.batch_groups, features=g.features * g.batch_groups,
            feature_groups=g.batch_groups, batch_groups=1,
        )  # fmt: skip
    compute = dtypes.float32 if out.dtype in dtypes.ROUNDED else out.dtype
    lhs, rhs = converted(low, lhs, compute), converted(low, rhs, compute)
    if (run := _run_of_outputs(low, g, compute)) > 1:
        result = _in_runs(low, lhs, rhs, numbers, g, compute, run)
    else:
        make = _call if _by_library(low, g, compute) else _loops
        result = make(low, lhs, rhs, numbers, g, compute)
    return converted(low, result, out.dtype)


def _inverse(order: Sequence[int]) -> list[int]:
    back = [0] * len(order)
    for k, d in enumerate(order):
        back[d] = k
    return back


def _batch_groups_as_features(low: Lowering, x: Value, g: Geometry) -> Value:
    """[groups · batch, features, space] as [batch, groups · features, space]."""
    groups = g.batch_groups
    batch, features = low.dim(g.batch // groups), low.dim(g.features)
    shape = (batch, low.dim(g.features * groups), *x.shape[2:])
    v = ivars(x.ndim)
    row = iop("+", iop("*", iop("//", v[1], features), batch), v[0])
    return low.pointwise(shape, x.dtype, x.at(row, iop("%", v[1], features), *v[2:]))


# --- by the library ------------------------------------------------------------------------


def _by_library(low: Lowering, g: Geometry, dtype: Any) -> bool:
    library = low.target.library
    sums = g.inputs * math.prod(g.window)
    outputs = g.outputs // g.feature_groups
    worth = sums * outputs >= _PRODUCTS and sums > 1
    if g.feature_groups > 1:
        worth = worth and outputs >= _FEWEST_OUTPUTS
    return (
        worth
        and "convolution" in library.calls
        and dtype in library.products
        and len(g.space) <= _RANK
    )


def _call(
    low: Lowering, lhs: Value, rhs: Value, numbers: ConvDimensionNumbers, g: Geometry, dtype: Any
) -> Value:
    rank = len(g.space)
    n, c, *space = numbers.lhs_spec
    o, i, *window = numbers.rhs_spec
    results, sums = g.batch * math.prod(g.out), g.inputs * math.prod(g.window)
    few = g.feature_groups == 1 and sums > _LONG_SUMS * results
    if few:
        lhs, rhs = transposed(low, lhs, (c, *space, n)), transposed(low, rhs, (i, *window, o))
        shape = (*g.out, g.batch, g.outputs)
        order = (rank, rank + 1, *range(rank))
    else:
        lhs, rhs = transposed(low, lhs, (n, *space, c)), transposed(low, rhs, (*window, i, o))
        shape = (g.batch, *g.out, g.outputs)
        order = (0, rank + 1, *range(1, rank + 1))
    sizes: list[Dim] = [low.dim(d) for d in (g.batch, g.features, g.outputs, g.feature_groups)]
    sizes += [1, 1, 1, 1, 0, 1, 1] * (_RANK - rank)
    for k in range(rank):
        sizes += [low.dim(d) for d in (g.space[k], g.window[k], g.out[k], g.strides[k])]
        sizes += [g.pads[k][0], low.dim(g.lhs_dilation[k]), low.dim(g.rhs_dilation[k])]
    attrs = {
        "flags": (int(few),),
        "sizes": tuple((d,) for d in sizes),
        "absent": (),
        "typed": True,
    }
    (out,) = low.append(LibraryCall("convolution", [lhs, rhs], attrs, [(low.shape(shape), dtype)]))
    back = _inverse(numbers.out_spec)
    return transposed(low, out, [order[k] for k in back])


# --- few features and long windows ---------------------------------------------------------


def _run_of_outputs(low: Lowering, g: Geometry, dtype: Any) -> int:
    """How many neighbours along the last dimension are computed as outputs of one window.

    Of few features a product of matrices is a thin one. With neighbours as further outputs, the
    window is longer by their distances and its matrix has the kernel shifted in each column.
    """
    if not g.window or g.feature_groups > 1 or g.outputs > _FEW or (
        g.rhs_dilation[-1], g.lhs_dilation[-1]) != (1, 1):  # fmt: skip
        return 1
    if not _by_library(low, g._replace(outputs=8 * g.outputs), dtype):
        return 1
    reach, out = g.window[-1], g.out[-1]
    for run in (64, 32, 16):
        if run * g.outputs <= 64 and 2 * run * g.strides[-1] <= reach and 4 * run <= out:
            return run
    return 1


def _in_runs(
    low: Lowering,
    lhs: Value,
    rhs: Value,
    numbers: ConvDimensionNumbers,
    g: Geometry,
    dtype: Any,
    run: int,
) -> Value:
    rank, stride = len(g.space), g.strides[-1]
    kernel = transposed(low, rhs, [*numbers.rhs_spec[2:], numbers.rhs_spec[1], numbers.rhs_spec[0]])
    reach, outputs = g.window[-1], low.dim(g.outputs)
    longer = reach + (run - 1) * stride
    *before, j, i, r = ivars(rank + 2)
    at = iop("-", j, iop("*", iop("//", r, outputs), low.dim(stride)))
    element = kernel.at(*before, clamped(at, low.dim(reach)), i, iop("%", r, outputs))
    shifted = low.pointwise(
        low.shape((*g.window[:-1], longer, g.inputs, run * g.outputs)),
        dtype,
        Where([(at, 0, low.dim(reach))], element, Lit(0, dtype)),
    )
    wide = g._replace(
        outputs=run * g.outputs,
        window=(*g.window[:-1], longer),
        out=(*g.out[:-1], -(-g.out[-1] // run)),
        strides=(*g.strides[:-1], run * stride),
    )
    spatial = range(rank)
    plain = ConvDimensionNumbers(
        numbers.lhs_spec,
        (rank + 1, rank, *spatial),
        (0, rank + 1, *range(1, rank + 1)),
    )
    # [batch, space, neighbours · outputs]
    rows = _call(low, lhs, shifted, plain, wide, dtype)
    sizes = (g.batch, g.outputs, *g.out)
    back = _inverse(numbers.out_spec)
    n, o, *p = (ivars(2 + rank)[d] for d in numbers.out_spec)
    block = low.dim(run)
    place = iop("+", iop("*", iop("%", p[-1], block), outputs), o)
    index = [n, *p[:-1], iop("//", p[-1], block), place]
    return low.pointwise(low.shape([sizes[k] for k in back]), dtype, rows.at(*index))


# --- by loops ------------------------------------------------------------------------------


def _loops(
    low: Lowering, lhs: Value, rhs: Value, numbers: ConvDimensionNumbers, g: Geometry, dtype: Any
) -> Value:
    """A sum over the window and input features, for rows of what is last in the result."""
    rank = len(g.space)
    back = _inverse(numbers.lhs_spec)
    zeros = [(0, 0, 0)] * 2 + [(*p, d - 1) for p, d in zip(g.pads, g.lhs_dilation, strict=True)]
    size = (g.batch, g.features, *g.space)
    x = padded(low, lhs, [size[j] for j in back], [zeros[j] for j in back], Lit(0, dtype))
    v = ivars(2 + rank + rank + 1)
    n, o, *p = (v[d] for d in numbers.out_spec)
    *k, c = v[2 + rank :]
    feature: Index = c
    if g.feature_groups > 1:
        group = iop("//", o, low.dim(g.outputs // g.feature_groups))
        feature = iop("+", iop("*", group, low.dim(g.inputs)), c)
    place = [
        iop("+", iop("*", i, low.dim(s)), iop("*", j, low.dim(d)))
        for i, j, s, d in zip(p, k, g.strides, g.rhs_dilation, strict=True)
    ]
    left = [(n, feature, *place)[j] for j in back]
    right = [(o, c, *k)[j] for j in _inverse(numbers.rhs_spec)]
    factors: list[Expr] = [x.at(*left), rhs.at(*right)]
    sizes = (g.batch, g.outputs, *g.out)
    shape = low.shape([sizes[j] for j in _inverse(numbers.out_spec)])
    extents = low.shape((*g.window, g.inputs))
    last = 1 + rank
    order = [*range(last), *range(last + 1, len(v)), last]
    if dtype == dtypes.bool_:
        product, kind = Op("and", factors, dtype), "or"
    else:
        product, kind = Op("mul", factors, dtype), "sum"
    return low.define(shape, dtype, Reduce(KNOWN[kind], extents, [product], order))
