"""Products of groups of rows with a matrix each: `ragged_dot`."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from covector.control_flow.scan import scan
from covector.core import dtypes
from covector.core.avals import ShapedArray, aval_of
from covector.core.errors import ShapeMismatchError, at_user_line, describe
from covector.core.jaxpr import ClosedJaxpr, eval_jaxpr
from covector.core.operands import as_operand
from covector.core.rules import UndefinedPrimal, Zero, batching_rules, jvp_rules, transpose_rules
from covector.core.structural import add_any, convert_element_type, reshape, transpose, zeros
from covector.core.trace import Composed, Primitive, trace_to_jaxpr
from covector.lax.cumulative import cumsum
from covector.lax.dot import dot_general, promoted
from covector.lax.precision import canonicalize_precision
from covector.lax.reductions import reduce_sum
from covector.lax.select import select
from covector.lax.shape_functions import broadcast_in_dim, full_like, iota, pad
from covector.lax.slicing import (
    dynamic_index_in_dim,
    dynamic_slice_in_dim,
    dynamic_update_index_in_dim,
    dynamic_update_slice_in_dim,
    index_in_dim,
)
from covector.sharding.results import laid_out
from covector.transforms.vmap import vmap_flat
from covector.transforms.vmap_api import vmap

# Rows that are multiplied at once: of these, those of one group count.
_BLOCK = 128


class RaggedDotDimensionNumbers(NamedTuple):
    """What the dimensions of the operands of `ragged_dot_general` are.

    Attributes
    ----------
    dot_dimension_numbers : ((lhs_contract, rhs_contract), (lhs_batch, rhs_batch))
    lhs_ragged_dimensions : sequence of int
        The one dimension of ``lhs`` that consists of groups.
    rhs_group_dimensions : sequence of int
        The dimension of ``rhs`` that counts groups; none where the ragged dimension is contracted
        or a batch.
    """

    dot_dimension_numbers: Any
    lhs_ragged_dimensions: Sequence[int]
    rhs_group_dimensions: Sequence[int]


# --- the two products ------------------------------------------------------------------------
# ragged_rows(x[m,k], w[g,k,n], starts[g], ends[g]) -> [m,n]: rows starts[i]:ends[i] by w[i].
# ragged_matrices(x[m,k], y[m,n], starts[g], ends[g]) -> [g,k,n]: x[s:e].T @ y[s:e] of each group.


class _Pieces(NamedTuple):
    """Blocks of rows by groups: which group, the first row of the block, the group's rows in it."""

    group: Any
    row: Any
    start: Any
    end: Any


def _pieces(rows: int, block: int, starts: Any, ends: Any) -> _Pieces:
    """All blocks that have rows of a group, each once for each such group; empty ones at the end.

    There are at most as many as blocks and groups together.
    """
    groups = aval_of(starts).shape[0]
    size, most = full_like(starts, block), -(-rows // block) + groups
    first = starts // size
    counts = select(ends > starts, (ends + full_like(ends, block - 1)) // size - first,
                    full_like(starts, 0))  # fmt: skip
    after = cumsum(counts)
    t = iota(dtypes.int32, most)
    across = (most, groups)
    passed = broadcast_in_dim(after, across, (1,)) <= broadcast_in_dim(t, across, (0,))
    group = reduce_sum(convert_element_type(passed, dtypes.int32), (1,))
    there = group < full_like(group, groups)
    group = select(there, group, full_like(group, 0))

    hit = broadcast_in_dim(group, across, (0,)) == broadcast_in_dim(
        iota(dtypes.int32, groups), across, (1,)
    )

    def of(x: Any) -> Any:
        """What ``x`` has for the group of each piece."""
        spread = broadcast_in_dim(x, across, (1,))
        return reduce_sum(select(hit, spread, full_like(spread, 0)), (1,))

    row = (of(first) + t - of(after - counts)) * full_like(t, block)
    none = full_like(t, 0)
    return _Pieces(
        group, select(there, row, none), select(there, of(starts), none),
        select(there, of(ends), none),
    )  # fmt: skip


def _inside(piece: _Pieces, shape: tuple[int, int]) -> Any:
    """Which rows of a block belong to the group."""
    k = iota(dtypes.int32, shape[0])
    k = k + broadcast_in_dim(piece.row, k.shape, ())
    low, high = (broadcast_in_dim(v, k.shape, ()) for v in (piece.start, piece.end))
    return broadcast_in_dim((k >= low) & (k < high), shape, (0,))


def _whole_blocks(x: Any, block: int) -> Any:
    rows = aval_of(x).shape[0]
    missing = -rows % block
    return pad(x, full_like(x, 0, shape=()), [(0, missing, 0), (0, 0, 0)]) if missing else x


def _rows(x: Any, w: Any, starts: Any, ends: Any, *, precision: Any, out: Any) -> list[Any]:
    m, n = aval_of(x).shape[0], aval_of(w).shape[2]
    block = min(m, _BLOCK)
    blocks = _whole_blocks(x, block)

    def step(total: Any, piece: _Pieces) -> tuple[Any, None]:
        some = dynamic_slice_in_dim(blocks, piece.row, block)
        matrix = dynamic_index_in_dim(w, piece.group, keepdims=False)
        new = dot_general(some, matrix, (((1,), (0,)), ((), ())), precision, out)
        old = dynamic_slice_in_dim(total, piece.row, block)
        new = select(_inside(piece, (block, n)), new, old)
        return dynamic_update_slice_in_dim(total, new, piece.row, 0), None

    start = zeros(ShapedArray((aval_of(blocks).shape[0], n), out))
    total, _ = scan(step, start, _pieces(m, block, starts, ends))
    return [total[:m]]


def _matrices(x: Any, y: Any, starts: Any, ends: Any, *, precision: Any, out: Any) -> list[Any]:
    m, k = aval_of(x).shape
    n, groups = aval_of(y).shape[1], aval_of(starts).shape[0]
    block = min(m, _BLOCK)
    xs, ys = _whole_blocks(x, block), _whole_blocks(y, block)

    def step(total: Any, piece: _Pieces) -> tuple[Any, None]:
        a, b = (dynamic_slice_in_dim(v, piece.row, block) for v in (xs, ys))
        a = select(_inside(piece, (block, k)), a, full_like(a, 0))
        b = select(_inside(piece, (block, n)), b, full_like(b, 0))
        new = dot_general(a, b, (((0,), (0,)), ((), ())), precision, out)
        old = dynamic_index_in_dim(total, piece.group, keepdims=False)
        return dynamic_update_index_in_dim(total, old + new, piece.group, 0), None

    start = zeros(ShapedArray((groups, k, n), out))
    return [scan(step, start, _pieces(m, block, starts, ends))[0]]


def _product(name: str, compute: Callable[..., list[Any]]) -> Primitive:
    """A bilinear operation of its first two operands, which ``compute`` says how to compute."""
    prim = Primitive(name, multiple_results=True, call_param="jaxpr")

    @prim.def_abstract_eval
    def _avals(*avals: ShapedArray, jaxpr: ClosedJaxpr, **params: Any) -> list[ShapedArray]:
        return jaxpr.out_avals

    def jvp(
        primals: Sequence[Any], tangents: Sequence[Any], **params: Any
    ) -> tuple[list[Any], list[Any]]:
        (x, y, *ends), (dx, dy, *_) = primals, tangents
        outs = prim.bind_params(primals, params)
        parts = [
            prim.bind_params((a, b, *ends), params)[0]
            for a, b, t in ((dx, y, dx), (x, dy, dy))
            if type(t) is not Zero
        ]
        if not parts:
            return outs, [Zero.of(outs[0])]
        return outs, [parts[0] if len(parts) == 1 else add_any(*parts)]

    def batch(
        axis_size: int, args: Sequence[Any], dims: Sequence[int | None], *, jaxpr: ClosedJaxpr,
        **params: Any,
    ) -> tuple[list[Any], list[int | None]]:  # fmt: skip
        return vmap_flat(
            lambda *xs: eval_jaxpr(jaxpr.jaxpr, jaxpr.consts, *xs), axis_size, args, dims
        )

    jvp_rules[prim] = jvp
    batching_rules[prim] = batch
    return prim


ragged_rows_p = _product("ragged_rows", _rows)
ragged_matrices_p = _product("ragged_matrices", _matrices)


def _apply(
    prim: Primitive,
    compute: Callable[..., list[Any]],
    args: Sequence[Any],
    precision: Any,
    out: Any,
) -> Any:
    jaxpr, consts = trace_to_jaxpr(
        lambda *xs: compute(*xs, precision=precision, out=out), [aval_of(x) for x in args], None
    )
    params = {"jaxpr": ClosedJaxpr(jaxpr, consts), "precision": precision}
    return prim.bind_params(args, params)[0]


def _by_rows(x: Any, w: Any, starts: Any, ends: Any, precision: Any, out: Any) -> Any:
    return _apply(ragged_rows_p, _rows, (x, w, starts, ends), precision, out)


def _by_matrices(x: Any, y: Any, starts: Any, ends: Any, precision: Any, out: Any) -> Any:
    return _apply(ragged_matrices_p, _matrices, (x, y, starts, ends), precision, out)


def _rows_transpose(
    cts: Sequence[Any], x: Any, w: Any, starts: Any, ends: Any, *, precision: Any, **params: Any
) -> list[Any]:
    (ct,) = cts
    if type(x) is UndefinedPrimal:
        out = _by_rows(ct, transpose(w, (0, 2, 1)), starts, ends, precision, x.aval.dtype)
        return [out, None, None, None]
    return [None, _by_matrices(x, ct, starts, ends, precision, w.aval.dtype), None, None]


def _matrices_transpose(
    cts: Sequence[Any], x: Any, y: Any, starts: Any, ends: Any, *, precision: Any, **params: Any
) -> list[Any]:
    (ct,) = cts
    if type(x) is UndefinedPrimal:
        out = _by_rows(y, transpose(ct, (0, 2, 1)), starts, ends, precision, x.aval.dtype)
        return [out, None, None, None]
    return [None, _by_rows(x, ct, starts, ends, precision, y.aval.dtype), None, None]


transpose_rules[ragged_rows_p] = _rows_transpose
transpose_rules[ragged_matrices_p] = _matrices_transpose


# --- what users call -------------------------------------------------------------------------


def ragged_dot(
    lhs: Any,
    rhs: Any,
    group_sizes: Any,
    precision: Any = None,
    preferred_element_type: Any = None,
    group_offset: Any = None,
    out_sharding: Any = None,
) -> Any:
    """Consecutive groups of rows of ``lhs``, each multiplied by a matrix of its own.

    As in layers of experts, where each row has chosen one and rows are sorted by it.

    Parameters
    ----------
    lhs : array_like, shape (m, k)
    rhs : array_like, shape (g, k, n)
    group_sizes : array_like of int, shape (g,)
        Numbers of rows. Rows behind all groups give zeros.
    precision : str, Precision, pair, DotAlgorithm or DotAlgorithmPreset, optional
        See `canonicalize_precision`.
    preferred_element_type : dtype, optional
        Dtype in which to accumulate and return.
    group_offset : array_like of int, shape (1,), optional
        ``rhs`` has the matrices of the groups from this one on; rows of others give zeros.
    out_sharding : NamedSharding or PartitionSpec, optional
        How the result is laid out over the axes of a mesh.

    Returns
    -------
    Array, shape (m, n)

    Raises
    ------
    TypeError
        If shapes do not fit, or ``group_sizes`` are not integers.

    Notes
    -----
    Rows are multiplied in blocks of 128, a block as often as it has rows of several groups: as many
    operations as one product, and at most 128 rows more for each group.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> matrices = np.array([[[1.0], [2.0]], [[5.0], [5.0]]])
    >>> lax.ragged_dot(np.ones((4, 2)), matrices, np.array([1, 2]))
    Array([[ 3.],
           [10.],
           [10.],
           [ 0.]], dtype=float32)
    """
    numbers = RaggedDotDimensionNumbers((((1,), (1,)), ((), ())), (0,), (0,))
    for x, rank, name in ((lhs, 2, "lhs"), (rhs, 3, "rhs"), (group_sizes, 1, "group_sizes")):
        if np.ndim(x) != rank:
            raise ShapeMismatchError(
                f"ragged_dot takes {name} of {rank} dimensions, got "
                f"{describe(as_operand(x, 'ragged_dot'))}{at_user_line()}"
            )
    return ragged_dot_general(
        lhs, rhs, group_sizes, numbers, precision, preferred_element_type, group_offset,
        out_sharding,
    )  # fmt: skip


def ragged_dot_general(
    lhs: Any,
    rhs: Any,
    group_sizes: Any,
    ragged_dot_dimension_numbers: Any,
    precision: Any = None,
    preferred_element_type: Any = None,
    group_offset: Any = None,
    out_sharding: Any = None,
) -> Any:
    """A `dot_general` in which a dimension of ``lhs`` consists of groups.

    If that dimension is not contracted, each group has matrices of its own in ``rhs``; if it is,
    each group gives a product of its own, along a new first dimension; if it is a batch, groups
    make no difference.

    Parameters
    ----------
    lhs, rhs : array_like
    group_sizes : array_like of int
        Of the shape of the batch and of the dimensions of the same kind in ``lhs`` that come
        before the ragged one, and the number of groups; or of the latter alone.
    ragged_dot_dimension_numbers : RaggedDotDimensionNumbers
    precision, preferred_element_type, group_offset, out_sharding
        See `ragged_dot`.

    Returns
    -------
    Array
        Dimensions: groups, where the ragged one is contracted; then those of `dot_general`.

    Raises
    ------
    TypeError
        If shapes do not fit, or ``group_sizes`` are not integers.

    Examples
    --------
    Sums of products within groups:

    >>> import covector.numpy as np
    >>> from covector import lax
    >>> numbers = lax.RaggedDotDimensionNumbers((((0,), (0,)), ((), ())), (0,), ())
    >>> x = np.arange(4.0)
    >>> lax.ragged_dot_general(x, x, np.array([1, 3]), numbers)
    Array([ 0., 14.], dtype=float32)
    """
    if out_sharding is not None:
        return laid_out(ragged_dot_general, locals())
    x, y = promoted(as_operand(lhs, "ragged_dot_general"), as_operand(rhs, "ragged_dot_general"))
    sizes = as_operand(group_sizes, "ragged_dot_general")
    if not dtypes.is_integer(aval_of(sizes).dtype):
        raise TypeError(f"group_sizes must be integers, got {describe(sizes)}{at_user_line()}")
    out = (
        aval_of(x).dtype if preferred_element_type is None
        else dtypes.canonicalize_dtype(preferred_element_type)
    )  # fmt: skip
    return _General(x, y, sizes, ragged_dot_dimension_numbers).run(
        canonicalize_precision(precision), out, group_offset
    )


class _General:
    """A general ragged product, as products of rows mapped over other dimensions."""

    def __init__(self, x: Any, y: Any, sizes: Any, numbers: Any) -> None:
        (contracted, batch) = numbers.dot_dimension_numbers
        (self.xc, self.yc), (self.xb, self.yb) = (
            [tuple(map(int, side)) for side in pair] for pair in (contracted, batch)
        )
        ragged, groups = numbers.lhs_ragged_dimensions, tuple(numbers.rhs_group_dimensions)
        if len(ragged) != 1 or len(groups) > 1:
            raise ValueError(
                "ragged_dot_general takes one ragged dimension of lhs and at most one group "
                f"dimension of rhs, got {tuple(ragged)} and {groups}{at_user_line()}"
            )
        self.x, self.y, self.sizes = x, y, sizes
        self.ragged, self.groups = int(ragged[0]), groups

    def run(self, precision: Any, out: Any, offset: Any) -> Any:
        if self.ragged in self.xb:
            dims = ((self.xc, self.yc), (self.xb, self.yb))
            return dot_general(self.x, self.y, dims, precision, out)
        return (self._contracted if self.ragged in self.xc else self._kept)(precision, out, offset)

    def _bounds(self, sizes: Any, offset: Any, count: int, rows: int, each: int) -> Any:
        """First rows of groups and the rows behind them."""
        sizes = convert_element_type(sizes, dtypes.int32)
        ends = cumsum(sizes)
        starts = ends - sizes
        if offset is not None:
            first = index_in_dim(as_operand(offset, "ragged_dot"), 0, keepdims=False)
            starts, ends = (dynamic_slice_in_dim(v, first, count) for v in (starts, ends))
        limit = full_like(ends, rows)
        return [select(v < limit, v, limit) * full_like(v, each) for v in (starts, ends)]

    def _check(self, count: int, outer: tuple[int, ...], offset: Any) -> Any:
        shape = aval_of(self.sizes).shape
        known = shape[-1:] if shape else ()
        fits = known == (count,) or (offset is not None and known and known[0] >= count)
        if not fits or shape[:-1] not in ((), outer):
            raise ShapeMismatchError(
                f"group_sizes has shape {shape}, expected {(*outer, count)} or {(count,)}: one "
                f"size for each of the {count} groups of rhs{at_user_line()}"
            )
        return broadcast_in_dim(
            self.sizes, (*outer, shape[-1]), tuple(range(len(outer) + 1))[-len(shape) :]
        )

    def _kept(self, precision: Any, out: Any, offset: Any) -> Any:
        """The ragged dimension is one of the result."""
        if not self.groups:
            raise ValueError(
                "ragged_dot_general needs the group dimension of rhs where the ragged dimension "
                f"of lhs is not contracted{at_user_line()}"
            )
        xs, ys = aval_of(self.x).shape, aval_of(self.y).shape
        free = [d for d in range(len(xs)) if d not in (*self.xc, *self.xb)]
        before = [d for d in free if d < self.ragged]
        inner = [d for d in free if d > self.ragged]
        (g,) = self.groups
        free_y = [d for d in range(len(ys)) if d not in (*self.yc, *self.yb, g)]
        batch, k = tuple(xs[d] for d in self.xb), math.prod(xs[d] for d in self.xc)
        if [xs[d] for d in (*self.xc, *self.xb)] != [ys[d] for d in (*self.yc, *self.yb)]:
            self._mismatch()
        outer = (*batch, *(xs[d] for d in before))
        rows, each, n = (
            xs[self.ragged],
            math.prod(xs[d] for d in inner),
            math.prod(ys[d] for d in free_y),
        )
        x = transpose(self.x, (*self.xb, *before, self.ragged, *inner, *self.xc))
        x = reshape(x, (*outer, rows * each, k))
        y = transpose(self.y, (*self.yb, g, *self.yc, *free_y))
        y = reshape(y, (*batch, ys[g], k, n))
        sizes = self._check(ys[g], outer, offset)

        def one(x: Any, y: Any, sizes: Any) -> Any:
            starts, ends = self._bounds(sizes, offset, ys[g], rows, each)
            return _by_rows(x, y, starts, ends, precision, out)

        for _ in before:
            one = vmap(one, in_axes=(0, None, 0))
        for _ in batch:
            one = vmap(one)
        result = one(x, y, sizes)
        return reshape(result, (*outer, rows, *(xs[d] for d in inner), *(ys[d] for d in free_y)))

    def _contracted(self, precision: Any, out: Any, offset: Any) -> Any:
        """The ragged dimension is contracted, group by group."""
        xs, ys = aval_of(self.x).shape, aval_of(self.y).shape
        if [xs[d] for d in (*self.xc, *self.xb)] != [ys[d] for d in (*self.yc, *self.yb)]:
            self._mismatch()
        if offset is not None or self.groups:
            raise ValueError(
                "ragged_dot_general has neither a group_offset nor a group dimension of rhs where "
                f"the ragged dimension is contracted{at_user_line()}"
            )
        at = self.xc.index(self.ragged)
        before, inner = self.xc[:at], self.xc[at + 1 :]
        free_x = [d for d in range(len(xs)) if d not in (*self.xc, *self.xb)]
        free_y = [d for d in range(len(ys)) if d not in (*self.yc, *self.yb)]
        batch, outer = tuple(xs[d] for d in self.xb), tuple(xs[d] for d in before)
        rows, each = xs[self.ragged], math.prod(xs[d] for d in inner)
        x = transpose(self.x, (*self.xb, *before, self.ragged, *inner, *free_x))
        y = transpose(self.y, (*self.yb, *self.yc[:at], self.yc[at], *self.yc[at + 1 :], *free_y))
        shapes = [math.prod(s[d] for d in f) for s, f in ((xs, free_x), (ys, free_y))]
        x, y = (
            reshape(v, (*batch, *outer, rows * each, n))
            for v, n in zip((x, y), shapes, strict=True)
        )
        count = aval_of(self.sizes).shape[-1]
        sizes = self._check(count, (*batch, *outer), None)

        def one(x: Any, y: Any, sizes: Any) -> Any:
            starts, ends = self._bounds(sizes, None, count, rows, each)
            return _by_matrices(x, y, starts, ends, precision, out)

        for _ in (*batch, *outer):
            one = vmap(one)
        result = one(x, y, sizes)
        result = reduce_sum(result, tuple(range(len(batch), len(batch) + len(outer))))
        result = transpose(result, (len(batch), *range(len(batch)), len(batch) + 1, len(batch) + 2))
        return reshape(result, (count, *batch, *(xs[d] for d in free_x), *(ys[d] for d in free_y)))

    def _mismatch(self) -> None:
        raise ShapeMismatchError(
            f"ragged_dot_general of {describe(self.x)} and {describe(self.y)}: contracted "
            f"dimensions {self.xc} and {self.yc} and batch dimensions {self.xb} and {self.yb} must "
            f"have equal sizes{at_user_line()}"
        )


ragged_dot_general_p = Composed(
    "ragged_dot_general",
    lambda lhs, rhs, group_sizes, **params: ragged_dot_general(lhs, rhs, group_sizes, **params),
)
