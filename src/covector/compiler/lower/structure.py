"""Primitives that only move elements: each is an index into its operand."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

from covector.compiler.ir.nodes import (
    Expr,
    FromIndex,
    Index,
    IPart,
    Lit,
    Part,
    Pointwise,
    Update,
    Value,
    Where,
    clamped,
    iop,
    ivars,
)
from covector.compiler.lower.lowering import Lowering, rule
from covector.compiler.lower.reads import read
from covector.core.jaxpr import JaxprEqn
from covector.core.structural import broadcast_in_dim_p, reshape_p, transpose_p
from covector.primitives.structure import concatenate_p, iota_p, pad_p, rev_p, slice_p, squeeze_p


def view(low: Lowering, eqn: JaxprEqn, x: Value, index: Sequence[Index]) -> Value:
    """The equation's result, each element being ``x[index]``."""
    aval = eqn.outvars[0].aval
    shown = read(x, *index, block=low.values)
    return low.pointwise(low.shape(aval.shape), aval.dtype, shown)


@rule(broadcast_in_dim_p)
def _broadcast_in_dim(low: Lowering, eqn: JaxprEqn, x: Value) -> Value:
    out = eqn.outvars[0].aval.shape
    dims = eqn.params["broadcast_dimensions"]
    v = ivars(len(out))
    size = eqn.invars[0].aval.shape
    return view(low, eqn, x, [0 if size[k] == 1 != out[d] else v[d] for k, d in enumerate(dims)])


@rule(transpose_p)
def _transpose(low: Lowering, eqn: JaxprEqn, x: Value) -> Value:
    perm = eqn.params["permutation"]
    index: list[Index] = [0] * len(perm)
    for k, p in enumerate(perm):
        index[p] = ivars(len(perm))[k]
    return view(low, eqn, x, index)


@rule(squeeze_p)
def _squeeze(low: Lowering, eqn: JaxprEqn, x: Value) -> Value:
    gone = set(eqn.params["dimensions"])
    it = iter(ivars(x.ndim))
    return view(low, eqn, x, [0 if k in gone else next(it) for k in range(x.ndim)])


@rule(rev_p)
def _rev(low: Lowering, eqn: JaxprEqn, x: Value) -> Value:
    flipped = set(eqn.params["dimensions"])
    return view(low, eqn, x, [
        iop("-", iop("-", x.shape[k], 1), i) if k in flipped else i
        for k, i in enumerate(ivars(x.ndim))
    ])  # fmt: skip


@rule(slice_p)
def _slice(low: Lowering, eqn: JaxprEqn, x: Value) -> Value:
    starts = eqn.params["start_indices"]
    strides = eqn.params["strides"] or (1,) * x.ndim
    # Of an axis of one element it is known which one it is.
    at = [0 if n == 1 else i for i, n in zip(ivars(x.ndim), eqn.outvars[0].aval.shape, strict=True)]
    return view(low, eqn, x, [
        iop("+", iop("*", i, low.dim(s)), low.dim(a))
        for i, a, s in zip(at, starts, strides, strict=True)
    ])  # fmt: skip


@rule(iota_p)
def _iota(low: Lowering, eqn: JaxprEqn) -> Value:
    aval = eqn.outvars[0].aval
    axis = eqn.params["dimension"]
    i = ivars(len(aval.shape))[axis]
    return low.pointwise(low.shape(aval.shape), aval.dtype, FromIndex(i, aval.dtype))


@rule(reshape_p)
def _reshape(low: Lowering, eqn: JaxprEqn, x: Value) -> Value:
    src, aval = eqn.invars[0].aval.shape, eqn.outvars[0].aval
    if math.prod(aval.shape) == 0:
        # No element of the operand to read.
        return low.pointwise(low.shape(aval.shape), aval.dtype, Lit(0, aval.dtype))
    load = x.at(*reshape_index(low, src, aval.shape))
    return low.define(low.shape(aval.shape), aval.dtype, Pointwise(load, flat=True))


def reshape_index(low: Lowering, src: Sequence[int], dst: Sequence[int]) -> list[Index]:
    """Index into an array of shape ``src`` of the element at the index variables of ``dst``.

    Dimensions are matched in groups of equal product, so that those kept stay plain.
    """
    v = ivars(len(dst))
    out: list[Index] = []
    i = j = 0
    while i < len(src) or j < len(dst):
        i0, j0 = i, j
        p = src[i] if i < len(src) else 1
        q = dst[j] if j < len(dst) else 1
        i, j = min(i + 1, len(src)), min(j + 1, len(dst))
        while p != q:
            if p < q:
                p *= src[i]
                i += 1
            else:
                q *= dst[j]
                j += 1
        out += _group(low, src[i0:i], dst[j0:j], v[j0:j])
    return out


def _group(
    low: Lowering, src: Sequence[int], dst: Sequence[int], v: Sequence[Index]
) -> list[Index]:
    places = [k for k, d in enumerate(dst) if d != 1]
    flat: Index = 0
    for k in places:
        flat = v[k] if flat == 0 else iop("+", iop("*", flat, low.dim(dst[k])), v[k])
    dims = tuple([low.dim(d) for d in src if d != 1])
    if len(dims) == 1:
        return [0 if d == 1 else flat for d in src]
    axes = itertools.count()
    return [0 if d == 1 else IPart(flat, dims, next(axes)) for d in src]


@rule(pad_p)
def _pad(low: Lowering, eqn: JaxprEqn, x: Value, fill: Value) -> Value:
    return padded(low, x, eqn.invars[0].aval.shape, eqn.params["padding_config"], fill.at())


def padded(
    low: Lowering,
    x: Value,
    size: Sequence[int],
    config: Sequence[tuple[int, int, int]],
    fill: Expr,
) -> Value:
    """``x``, of the sizes ``size``, with ``fill`` before, after and between its elements."""
    if all(c == (0, 0, 0) for c in config):
        return x
    shape = [
        max(0, lo + hi + (n + (n - 1) * inner if n else 0))
        for n, (lo, hi, inner) in zip(size, config, strict=True)
    ]
    tests: list[tuple[Index, Index, Index]] = []
    index: list[Index] = []
    for k, (lo, hi, inner) in enumerate(config):
        i = ivars(len(shape))[k]
        if (lo, hi, inner) == (0, 0, 0):
            index.append(i)
            continue
        p = iop("-", i, low.offset(lo))
        if inner:
            tests.append((p, 0, low.dim((size[k] - 1) * (inner + 1) + 1) if size[k] else 0))
            tests.append((iop("%", p, low.dim(inner + 1)), 0, 1))
            p = iop("//", p, low.dim(inner + 1))
        else:
            tests.append((p, 0, x.shape[k]))
        index.append(clamped(p, x.shape[k]))
    expr: Expr = x.at(*index)
    if tests:
        expr = Where(tests, expr, fill)
    return low.pointwise(low.shape(shape), x.dtype, expr)


@rule(concatenate_p)
def _concatenate(low: Lowering, eqn: JaxprEqn, *xs: Value) -> Value:
    aval = eqn.outvars[0].aval
    axis = eqn.params["dimension"]
    v = ivars(len(aval.shape))
    parts: list[Part] = []
    at = 0
    spans = []
    for x, a in zip(xs, eqn.invars, strict=True):
        n = a.aval.shape[axis]
        if n == 0:
            continue
        dest = [iop("+", i, low.dim(at)) if k == axis else i for k, i in enumerate(v)]
        parts.append(Part(x.shape, dest, x.at(*v)))
        spans.append((x, at, at + n))
        at += n
    if len(spans) == 1:
        return spans[0][0]
    if not spans:
        return xs[0]

    def piece(spans: Sequence[tuple[Value, int, int]]) -> Expr:
        """The element at ``v``: the half it is in is sought, and the half of that."""
        x, lo, _ = spans[0]
        if len(spans) == 1:
            index: list[Index] = list(v)
            index[axis] = clamped(iop("-", v[axis], low.dim(lo)), x.shape[axis])
            return x.at(*index)
        half = len(spans) // 2
        test = (v[axis], low.dim(lo), low.dim(spans[half][1]))
        return Where([test], piece(spans[:half]), piece(spans[half:]))

    return low.define(low.shape(aval.shape), aval.dtype, Update(None, parts, piece(spans)))
