"""Functions of arrays as functions of sparse arrays: `sparsify`, and its rules."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from covector import lax
from covector import numpy as cnp
from covector.core import dtypes, tree
from covector.core.avals import ShapedArray, aval_of
from covector.core.errors import at_user_line
from covector.core.jaxpr import ClosedJaxpr, eval_jaxpr
from covector.core.structural import add_any_p
from covector.core.trace import Composed, Primitive, Trace, Tracer, current_trace, set_current_trace
from covector.experimental.sparse import _parts, _products, _shapes
from covector.experimental.sparse._base import JAXSparse
from covector.experimental.sparse._bcoo import (
    BCOO,
    bcoo_extract,
    bcoo_todense,
    full_batch,
    in_bounds,
    over_blocks,
    parts,
)
from covector.experimental.sparse._bcsr import BCSR, bcsr_dot_general
from covector.experimental.sparse._layouts import _relaid
from covector.experimental.sparse._order import _sum_duplicates, bcoo_transpose

# rule(*args, **params) -> a result, for operands of which some are BCOO.
_rules: dict[Primitive, Callable[..., Any]] = {}


def _is_sparse(x: Any) -> bool:
    return isinstance(x, JAXSparse)


class SparseTracer(Tracer):
    """A sparse array while a function is sparsified.

    Parameters
    ----------
    trace : SparseTrace
    spvalue : JAXSparse
        What it stands for.

    Examples
    --------
    >>> from covector.experimental import sparse
    >>> seen = []
    >>> _ = sparse.sparsify(lambda x: seen.append(type(x)))(sparse.eye(2))
    >>> seen == [sparse.SparseTracer]
    True
    """

    __slots__ = ("spvalue",)

    def __init__(self, trace: SparseTrace, *, spvalue: Any) -> None:
        self._trace = trace
        self.spvalue = spvalue

    @property
    def aval(self) -> ShapedArray:
        data = aval_of(self.spvalue.data)
        return ShapedArray(self.spvalue.shape, data.dtype, data.weak_type)


class SparseTrace(Trace):
    """Applies to each operation the rule for sparse operands, under the parent trace."""

    __slots__ = ()
    parent: Trace

    def describe(self) -> str:
        return "sparsify"

    def value(self, x: Any) -> Any:
        """What an operand stands for."""
        return x.spvalue if type(x) is SparseTracer and x._trace is self else x

    def pack(self, x: Any) -> Any:
        """A result as the function sees it."""
        return SparseTracer(self, spvalue=x) if _is_sparse(x) else x

    def process(self, prim: Primitive, args: Sequence[Any], params: dict[str, Any]) -> list[Any]:
        if prim.call_param is not None:
            closed = params[prim.call_param]
            return eval_jaxpr(closed.jaxpr, closed.consts, *args)
        values = [self.value(x) for x in args]
        if not any(map(_is_sparse, values)):
            with set_current_trace(self.parent):
                return prim.bind_with_trace(self.parent, args, params)
        with set_current_trace(self.parent):
            outs = _apply(prim, values, params)
        return [self.pack(x) for x in outs]


def _apply(prim: Primitive, values: Sequence[Any], params: dict[str, Any]) -> list[Any]:
    control = _control.get(prim)
    if control is not None:
        return control(values, params)
    if prim is lax.dot_general_p and any(isinstance(x, BCSR) for x in values):
        return [bcsr_dot_general(*values, dimension_numbers=params["dimension_numbers"])]
    rule = _rules.get(prim)
    if rule is None:
        raise NotImplementedError(
            f"sparsify: {prim.name} has no rule for sparse arrays: its result would be dense, or "
            "it is not supported. Use sparse.todense() on the operands if that is "
            f"meant{at_user_line()}"
        )
    return [rule(*[as_bcoo(x) for x in values], **params)]


def as_bcoo(x: Any) -> Any:
    """A sparse array as coordinates; others as they are."""
    if not _is_sparse(x) or isinstance(x, BCOO):
        return x
    return x.to_bcoo() if isinstance(x, BCSR) else x._bcoo()


def _run(fun: Callable[..., Any], values: Sequence[Any]) -> list[Any]:
    """Results of ``fun``, from flat arrays to a flat sequence, for values some of them sparse."""
    trace = SparseTrace(current_trace())
    try:
        with set_current_trace(trace):
            outs = fun(*[trace.pack(x) for x in values])
        return [trace.value(x) for x in outs]
    finally:
        trace.alive = False


def sparsify(f: Callable[..., Any], use_tracer: bool = False) -> Callable[..., Any]:
    """A function of arrays as a function of dense and sparse arrays.

    Parameters
    ----------
    f : callable
        Of trees of arrays.
    use_tracer : bool
        Has no effect: `f` always sees tracers.

    Returns
    -------
    callable
        Of the same trees with sparse arrays for some of the leaves. Results are sparse where that
        is efficient.

    Raises
    ------
    NotImplementedError
        By the function returned, for an operation without a rule for sparse operands, such as one
        whose result would be dense.

    Notes
    -----
    Rules are there for products, sums, differences, functions that are 0 at 0, reductions by
    sums, functions of shapes, and control flow. Derivatives given by `custom_jvp` and
    `custom_vjp` are not used inside.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.experimental import sparse
    >>> f = sparse.sparsify(lambda x, y: 2 * np.sin(x) @ y)
    >>> np.round(f(sparse.eye(2), np.array([0.0, 1.0])), 4)
    Array([0.    , 1.6829], dtype=float32)
    """
    del use_tracer

    @functools.wraps(f)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        leaves, treedef = tree.flatten((args, kwargs), is_leaf=_is_sparse)
        out_tree: Any = None

        def flat(*values: Any) -> list[Any]:
            nonlocal out_tree
            a, k = tree.unflatten(treedef, values)
            outs, out_tree = tree.flatten(f(*a, **k), is_leaf=_is_sparse)
            return outs

        outs = _run(flat, leaves)
        return tree.unflatten(out_tree, outs)

    return wrapped


def todense(arr: Any) -> Any:
    """The dense array of an array that may be sparse.

    Parameters
    ----------
    arr : JAXSparse or array_like

    Returns
    -------
    Array
        ``arr`` itself if it is not sparse. In functions that are sparsified too.

    Examples
    --------
    >>> from covector.experimental import sparse
    >>> sparse.todense(sparse.eye(2))
    Array([[1., 0.],
           [0., 1.]], dtype=float32)
    """
    if type(arr) is SparseTracer:
        trace = arr._trace
        with set_current_trace(trace.parent):
            return arr.spvalue.todense()
    return arr.todense() if _is_sparse(arr) else cnp.asarray(arr)


# ``bind(*buffers, tree=)``: `todense` of the array whose structure ``tree`` is.
todense_p = Composed("todense", lambda *buffers, tree: todense(tree.unflatten(buffers)))


# --- elementwise ----------------------------------------------------------------------------


def merged(mat: BCOO) -> BCOO:
    """The array with each coordinate stored once."""
    return mat if mat.unique_indices else _sum_duplicates(mat, mat.nse)


def _unary(prim: Primitive, linear: bool) -> None:
    def rule(mat: BCOO, **params: Any) -> BCOO:
        if not linear:
            mat = merged(mat)
        return mat._with(prim.bind(mat.data, **params))

    _rules[prim] = rule


_LINEAR = "neg conj real imag copy"
_ZERO_AT_ZERO = (
    "abs asin asinh atan atanh bessel_i1e cbrt ceil erf erf_inv expm1 floor log1p round sign sin "
    "sinh sqrt square tan tanh reduce_precision"
)
for _names, _is_linear in ((_LINEAR, True), (_ZERO_AT_ZERO, False)):
    for _name in _names.split():
        _unary(getattr(lax, f"{_name}_p"), _is_linear)


def _rule(prim: Primitive) -> Callable[[Any], Any]:
    def decorate(f: Any) -> Any:
        _rules[prim] = f
        return f

    return decorate


@_rule(lax.convert_element_type_p)
def _convert(mat: BCOO, **params: Any) -> BCOO:
    if params["new_dtype"] not in dtypes.INEXACT:
        mat = merged(mat)
    return mat._with(lax.convert_element_type_p.bind(mat.data, **params))


@_rule(lax.integer_pow_p)
def _integer_pow(mat: BCOO, *, y: int) -> BCOO:
    if y <= 0:
        raise NotImplementedError(
            f"sparsify: the power {y} of a sparse array is dense{at_user_line()}"
        )
    mat = mat if y == 1 else merged(mat)
    return mat._with(lax.integer_pow_p.bind(mat.data, y=y))


@_rule(lax.pow_p)
def _pow(x: Any, y: Any) -> BCOO:
    if _is_sparse(y) or cnp.ndim(y) or isinstance(y, Tracer) or not y > 0:
        raise NotImplementedError(
            f"sparsify: only powers of sparse arrays by known positive numbers{at_user_line()}"
        )
    x = merged(x)
    return x._with(lax.pow_p.bind(x.data, y))


@_rule(lax.mul_p)
def _mul(x: Any, y: Any) -> BCOO:
    if _is_sparse(x) and _is_sparse(y):
        if x.shape != y.shape:
            x, y = _same_shape(x, y)
        x, y = _same_layout(merged(x), merged(y))
        return _products.bcoo_multiply_sparse(_relaid(x, x.n_batch, 0), _relaid(y, y.n_batch, 0))
    mat, other = (x, y) if _is_sparse(x) else (y, x)
    return full_if(mat, other)._with(_products.bcoo_multiply_dense(mat, other))


@_rule(lax.and_p)
def _and(x: Any, y: Any) -> BCOO:
    if x.dtype != bool:
        raise NotImplementedError(f"sparsify: bits of sparse integers{at_user_line()}")
    return _mul(x, y)


def full_if(mat: BCOO, other: Any) -> BCOO:
    """``mat`` as `bcoo_multiply_dense` leaves its batch axes."""
    return full_batch(mat) if cnp.ndim(other) else mat


def _same_shape(x: BCOO, y: BCOO) -> tuple[BCOO, BCOO]:
    """A sparse scalar beside an array."""

    def grown(a: BCOO, b: BCOO) -> BCOO:
        if a.shape == b.shape:
            return a
        return _shapes.bcoo_broadcast_in_dim(a, shape=b.shape, broadcast_dimensions=())

    return grown(x, y), grown(y, x)


@_rule(lax.div_p)
def _div(x: Any, y: Any) -> BCOO:
    if _is_sparse(y):
        raise NotImplementedError(
            f"sparsify: a quotient by a sparse array is dense{at_user_line()}"
        )
    x = full_if(x, y)
    if not cnp.ndim(y):
        return x._with(x.data / y)
    divisor = bcoo_extract(x, y, assume_unique=True).data
    # Where nothing is meant, nothing is divided by 0.
    valid = over_blocks(in_bounds(x.indices, parts(x)[1]), x.data)
    return x._with(cnp.where(valid, x.data, 0) / cnp.where(valid, divisor, 1))


def _same_layout(x: BCOO, y: BCOO) -> tuple[BCOO, BCOO]:
    nb, nd = min(x.n_batch, y.n_batch), min(x.n_dense, y.n_dense)
    return _relaid(x, nb, nd), _relaid(y, nb, nd)


def _joined(x: BCOO, y: BCOO) -> BCOO:
    """A sum of sparse arrays: what both store, side by side."""
    if x.shape != y.shape:
        x, y = _same_shape(x, y)
    x, y = (full_batch(m) for m in _same_layout(x, y))
    nb = x.n_batch
    data = cnp.concatenate([x.data, y.data], nb)
    dtype = cnp.promote_types(x.indices.dtype, y.indices.dtype)
    indices = cnp.concatenate([x.indices.astype(dtype), y.indices.astype(dtype)], nb)
    return BCOO((data, indices), shape=x.shape)


@_rule(lax.add_p)
def _add(x: Any, y: Any) -> Any:
    if _is_sparse(x) and _is_sparse(y):
        return _joined(x, y)
    return _products.densified(x) + _products.densified(y)


_rules[add_any_p] = _add


@_rule(lax.sub_p)
def _sub(x: Any, y: Any) -> Any:
    if _is_sparse(x) and _is_sparse(y):
        return _joined(x, y._with(-y.data))
    return _products.densified(x) - _products.densified(y)


# --- shapes ---------------------------------------------------------------------------------


@_rule(lax.dot_general_p)
def _dot_general(x: Any, y: Any, *, dimension_numbers: Any, **_: Any) -> Any:
    return _products.bcoo_dot_general(x, y, dimension_numbers=dimension_numbers)


@_rule(lax.reduce_sum_p)
def _reduce_sum(mat: BCOO, *, axes: Sequence[int]) -> Any:
    out = _shapes.bcoo_reduce_sum(mat, axes=tuple(axes))
    return out if out.n_sparse else bcoo_todense(out)


@_rule(lax.broadcast_in_dim_p)
def _broadcast_in_dim(mat: BCOO, *, shape: Any, broadcast_dimensions: Any, **_: Any) -> BCOO:
    return _shapes.bcoo_broadcast_in_dim(
        mat, shape=shape, broadcast_dimensions=broadcast_dimensions
    )


@_rule(lax.concatenate_p)
def _concatenate(*operands: Any, dimension: int) -> Any:
    if not all(map(_is_sparse, operands)):
        return lax.concatenate([_products.densified(x) for x in operands], dimension)
    nb, nd = min(x.n_batch for x in operands), min(x.n_dense for x in operands)
    mats = [_relaid(x, nb, nd) for x in operands]
    return _shapes.bcoo_concatenate(mats, dimension=dimension)


@_rule(lax.transpose_p)
def _transpose(mat: BCOO, *, permutation: Sequence[int]) -> BCOO:
    kinds = [0 if k < mat.n_batch else 1 + (k >= mat.n_batch + mat.n_sparse)
             for k in range(mat.ndim)]  # fmt: skip
    if [kinds[k] for k in permutation] != kinds:
        mat = _relaid(mat, 0, 0)
    return bcoo_transpose(mat, permutation=permutation)


@_rule(lax.reshape_p)
def _reshape(mat: BCOO, *, new_sizes: Sequence[int]) -> BCOO:
    if not _shapes.keeps_kinds(mat, new_sizes):
        mat = _relaid(mat, 0, 0)
    return _shapes.bcoo_reshape(mat, new_sizes=new_sizes)


_rules[lax.squeeze_p] = _shapes.bcoo_squeeze
_rules[lax.slice_p] = lambda mat, *, start_indices, limit_indices, strides: _parts.bcoo_slice(
    mat, start_indices=start_indices, limit_indices=limit_indices, strides=strides
)
_rules[lax.rev_p] = _shapes.bcoo_rev
_rules[lax.dynamic_slice_p] = lambda mat, *starts, slice_sizes: _parts.bcoo_dynamic_slice(
    mat, starts, slice_sizes
)


@_rule(lax.gather_p)
def _gather(mat: Any, indices: Any, *, dimension_numbers: Any, slice_sizes: Any,
            **options: Any) -> BCOO:  # fmt: skip
    if not _is_sparse(mat):
        raise NotImplementedError(f"sparsify: sparse indices of a gather{at_user_line()}")
    return _parts.bcoo_gather(mat, indices, dimension_numbers, slice_sizes, **options)


@_rule(lax.conv_general_dilated_p)
def _convolution(lhs: Any, rhs: Any, **params: Any) -> Any:
    if not (_is_sparse(lhs) and _is_sparse(rhs)):
        raise NotImplementedError(
            f"sparsify: convolutions are of two sparse arrays: convert the other{at_user_line()}"
        )
    params.pop("preferred_element_type", None)
    return _parts.bcoo_conv_general_dilated(lhs, rhs, **params)


# --- control flow ---------------------------------------------------------------------------


def _of(closed: ClosedJaxpr, values: Sequence[Any]) -> list[Any]:
    return _run(lambda *args: eval_jaxpr(closed.jaxpr, closed.consts, *args), values)


def _carried(closed: ClosedJaxpr, values: Sequence[Any], carry: Sequence[Any]) -> tuple[Any, ...]:
    """New carries in the layout of the old ones, which they may not outgrow."""
    outs = []
    for new, old in zip(_of(closed, values), carry, strict=False):
        if _is_sparse(old) and _is_sparse(new) and new.nse != old.nse:
            new = _sum_duplicates(_relaid(as_bcoo(new), old.n_batch, old.n_dense), old.nse)
        if isinstance(old, BCOO) and isinstance(new, BCOO):
            new = BCOO.tree_unflatten(old._info, full_batch(new)._buffers())
        outs.append(new)
    return tuple(outs)


def _loose(x: Any) -> Any:
    """A carry that promises nothing of its coordinates, which may change."""
    if not isinstance(x, BCOO):
        return as_bcoo(x)
    return BCOO.tree_unflatten((x.shape, False, False), full_batch(x)._buffers())


def _while(values: Sequence[Any], params: dict[str, Any]) -> list[Any]:
    nc, nb = params["cond_nconsts"], params["body_nconsts"]
    cond_consts, body_consts = values[:nc], values[nc : nc + nb]
    init = tuple(map(_loose, values[nc + nb :]))
    return list(
        lax.while_loop(
            lambda c: _of(params["cond_jaxpr"], [*cond_consts, *c])[0],
            lambda c: _carried(params["body_jaxpr"], [*body_consts, *c], c),
            init,
        )
    )


def _scan(values: Sequence[Any], params: dict[str, Any]) -> list[Any]:
    n, m, closed = params["num_consts"], params["num_carry"], params["jaxpr"]
    consts, init, xs = values[:n], tuple(map(_loose, values[n : n + m])), values[n + m :]
    if any(map(_is_sparse, xs)):
        raise NotImplementedError(
            f"sparsify: scan over the elements of a sparse array{at_user_line()}"
        )

    def body(carry: Any, x: Any) -> tuple[Any, Any]:
        outs = _of(closed, [*consts, *carry, *x])
        new = _carried(closed, [*consts, *carry, *x], carry) if any(
            map(_is_sparse, carry)
        ) else tuple(outs[:m])  # fmt: skip
        return new, tuple(outs[m:])

    carry, ys = lax.scan(body, init, tuple(xs), length=params["length"], reverse=params["reverse"])
    return [*carry, *ys]


def _cond(values: Sequence[Any], params: dict[str, Any]) -> list[Any]:
    index, *operands = values
    branches = [
        lambda *ops, closed=closed: tuple(map(_loose, _of(closed, ops)))
        for closed in params["branches"]
    ]
    return list(lax.switch(index, branches, *operands))


_control = {lax.while_p: _while, lax.scan_p: _scan, lax.cond_p: _cond}
