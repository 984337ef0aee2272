"""Sorting, searching, counting."""

from __future__ import annotations

import operator
from typing import Any

import numpy as onp

from covector import lax
from covector.core import dtypes
from covector.core.avals import aval_of
from covector.core.dims import as_size
from covector.core.errors import at_user_line, describe
from covector.core.operands import canonical_axis, like, product, scalar
from covector.core.structural import convert_element_type
from covector.numpy._util import (
    array,
    concrete,
    convert,
    fused,
    promote_dtypes,
    promote_inexact,
    rounded,
    shape_of,
)
from covector.numpy.creation import asarray
from covector.primitives.sorting import partition_p, search_by_bisection, search_p
from covector.sharding.results import laid_out

# Python's and NumPy's numbers: known to all their digits.
_NUMBER = (int, float, onp.integer, onp.floating)


def _no_kind(kind: Any, order: Any, name: str) -> None:
    if kind is not None or order is not None:
        raise ValueError(
            f"{name}: the arguments kind and order are not supported; see stable{at_user_line()}"
        )


def _flat_if_none(x: Any, axis: Any) -> tuple[Any, int]:
    if axis is None:
        return lax.reshape(x, (x.size,)), 0
    return x, canonical_axis(axis, x)


@fused("axis", "kind", "order", "stable", "descending")
def sort(
    a: Any,
    axis: int | None = -1,
    *,
    kind: None = None,
    order: None = None,
    stable: bool = True,
    descending: bool = False,
) -> Any:
    """``a`` sorted along ``axis`` (flattened if None); NaN comes last.

    Parameters
    ----------
    a : array_like
        Complex numbers are ordered by their real, then their imaginary parts.
    axis : int, optional
    kind, order : None
        Not supported; see ``stable``.
    stable : bool
        Whether equal elements keep their order.
    descending : bool

    Returns
    -------
    Array
        Of the shape and dtype of ``a``, or of one dimension if ``axis`` is None.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.sort(np.array([3.0, np.nan, 1.0]))
    Array([ 1.,  3., nan], dtype=float32)
    >>> np.sort(np.array([[3, 1, 2], [6, 5, 4]]), descending=True)
    Array([[3, 2, 1],
           [6, 5, 4]], dtype=int32)
    """
    _no_kind(kind, order, "sort")
    x, k = _flat_if_none(array(a, "sort"), axis)
    out = lax.sort(x, k, is_stable=stable)
    return lax.rev(out, (k,)) if descending else out


@fused("axis", "kind", "order", "stable", "descending", "dtype")
def argsort(
    a: Any,
    axis: int | None = -1,
    *,
    kind: None = None,
    order: None = None,
    stable: bool = True,
    descending: bool = False,
    dtype: Any = None,
) -> Any:
    """Indices that sort ``a`` along ``axis`` (flattened if None).

    Parameters
    ----------
    a : array_like
    axis : int, optional
    kind, order : None
        Not supported; see ``stable``.
    stable : bool
        Whether equal elements keep their order.
    descending : bool
    dtype : dtype, optional
        Of the result; by default the default integer type.

    Returns
    -------
    Array
        Of the shape of ``a``, or of one dimension if ``axis`` is None.

    Examples
    --------
    >>> import covector.numpy as np
    >>> x = np.array([30, 10, 20])
    >>> np.argsort(x), np.argsort(x, descending=True)
    (Array([1, 2, 0], dtype=int32), Array([0, 2, 1], dtype=int32))
    """
    _no_kind(kind, order, "argsort")
    x, k = _flat_if_none(array(a, "argsort"), axis)
    n = x.shape[k]
    dt = dtypes.default_int() if dtype is None else dtypes.canonicalize_dtype(dtype)
    positions = lax.broadcasted_iota(dt, x.shape, k)
    if not descending:
        return lax.sort((x, positions), k, is_stable=stable, num_keys=1)[1]
    # Reversed before and after, so that equal elements keep their order.
    _, found = lax.sort((lax.rev(x, (k,)), positions), k, is_stable=stable, num_keys=1)
    return lax.sub(scalar(n - 1, dt), lax.rev(found, (k,)))


@fused("axis")
def _lexsort(keys: list[Any], *, axis: int) -> Any:
    k = canonical_axis(axis, keys[0])
    positions = lax.broadcasted_iota(dtypes.default_int(), keys[0].shape, k)
    return lax.sort((*reversed(keys), positions), k, num_keys=len(keys))[-1]


def lexsort(keys: Any, axis: int = -1) -> Any:
    """Indices that sort by several keys, the last one first.

    Parameters
    ----------
    keys : sequence of array_like
        Of one shape.
    axis : int

    Returns
    -------
    Array
        Of the shape of a key.

    Raises
    ------
    TypeError
        If there is no key.
    ValueError
        If the shapes differ.

    Examples
    --------
    >>> import covector.numpy as np
    >>> last_names, first_names = np.array([2, 1, 2]), np.array([7, 8, 5])
    >>> np.lexsort((first_names, last_names))
    Array([1, 2, 0], dtype=int32)
    """
    items = [asarray(k) for k in keys]
    if not items:
        raise TypeError(f"lexsort needs at least one key{at_user_line()}")
    if any(k.shape != items[0].shape for k in items):
        raise ValueError(
            f"lexsort takes keys of one shape, got {', '.join(str(k.shape) for k in items)}"
            f"{at_user_line()}"
        )
    if items[0].ndim == 0:
        return lax.full((), 0, dtypes.default_int())
    return _lexsort(items, axis=axis)


@fused()
def sort_complex(a: Any) -> Any:
    """``a`` as complex numbers, sorted by real and then imaginary part.

    Parameters
    ----------
    a : array_like
        Of one or more dimensions; sorted along the last.

    Returns
    -------
    Array
        Complex.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.sort_complex(np.array([2, 1 + 1j, 1 - 1j]))
    Array([1.-1.j, 1.+1.j, 2.+0.j], dtype=complex64)
    """
    x = array(a, "sort_complex")
    return lax.sort(convert(x, dtypes.complex_dtype(dtypes.to_inexact_dtype(x.dtype))), -1)


def _kth(kth: Any, n: int, name: str) -> int:
    k = operator.index(kth)
    if not -n <= k < n:
        raise ValueError(f"{name}: kth={k} is out of bounds for size {n}{at_user_line()}")
    return k % n


def partition(a: Any, kth: int, axis: int = -1) -> Any:
    """``a`` with the ``kth`` smallest element along ``axis`` in place, smaller ones before it.

    Parameters
    ----------
    a : array_like
    kth : int
        Negative ones count from the end.
    axis : int

    Returns
    -------
    Array
        Of the shape and dtype of ``a``. Equal elements keep their order, and so do those on
        either side; complex numbers are wholly sorted.

    Raises
    ------
    ValueError
        If ``kth`` is out of bounds.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.partition(np.array([5, 3, 4, 1]), 1)[1]
    Array(3, dtype=int32)
    """
    return _parted(a, kth, axis, "partition")[0]


@fused("kth", "axis", "name")
def _parted(a: Any, kth: Any, axis: Any, name: str) -> tuple[Any, Any]:
    """An array with the element of rank ``kth`` in place, and the indices it is made with."""
    x = array(a, name)
    axis = canonical_axis(axis, x)
    k = _kth(kth, x.shape[axis], name)
    if x.dtype in dtypes.COMPLEX:
        positions = lax.broadcasted_iota(dtypes.default_int(), x.shape, axis)
        values, indices = lax.sort((x, positions), axis, num_keys=1)
        return values, indices
    ranks = lax.full((*x.shape[:axis], 1, *x.shape[axis + 1 :]), k, dtypes.int32)
    values, indices, _ = partition_p.bind(x, ranks, axis=axis, nans_last=True)
    return values, convert(indices, dtypes.default_int())


def argpartition(a: Any, kth: int, axis: int = -1) -> Any:
    """Indices that partition ``a`` along ``axis``; see `partition`.

    Parameters
    ----------
    a : array_like
    kth : int
        Negative ones count from the end.
    axis : int

    Returns
    -------
    Array
        Of the shape of ``a``.

    Raises
    ------
    ValueError
        If ``kth`` is out of bounds.

    Examples
    --------
    >>> import covector.numpy as np
    >>> x = np.array([5, 3, 4, 1])
    >>> x[np.argpartition(x, 1)[1]]
    Array(3, dtype=int32)
    """
    return _parted(a, kth, axis, "argpartition")[1]


# --- searching ---------------------------------------------------------------------------


# From so many elements on, what is searched for is searched for by a call of its own.
_SEARCHED = 1024


def search(a: Any, v: Any, side: str) -> Any:
    """Positions of ``v`` among the sorted vector ``a``, by bisection of all at once."""
    n, count = a.shape[0], v.size
    if a.dtype not in dtypes.COMPLEX:
        # The steps of a bisection depend on the size.
        symbolic = type(n) is not int or type(count) is not int
        if symbolic or (count >= _SEARCHED and 0 < n < 2**31 - 1):
            return search_p.bind(a, v, side=side)
    return search_by_bisection(a, v, side)


def searchsorted(
    a: Any, v: Any, side: str = "left", sorter: Any = None, *, method: str = "scan"
) -> Any:
    """Positions at which to insert ``v`` into the sorted vector ``a`` to keep it sorted.

    Parameters
    ----------
    a : array_like
        A vector in increasing order; NaN comes last.
    v : array_like
    side : {'left', 'right'}
        Before or after equal elements.
    sorter : array_like of int, optional
        Indices that sort ``a``.
    method : {'scan', 'scan_unrolled', 'sort', 'compare_all'}
        Accepted; the search is by bisection.

    Returns
    -------
    Array
        int32 numbers, of the shape of ``v``.

    Raises
    ------
    ValueError
        If ``a`` is not a vector.

    Examples
    --------
    >>> import covector.numpy as np
    >>> a = np.array([1, 3, 3, 5])
    >>> np.searchsorted(a, np.array([0, 3, 6])), np.searchsorted(a, 3, side="right")
    (Array([0, 1, 4], dtype=int32), Array(3, dtype=int32))
    """
    if side not in ("left", "right"):
        raise ValueError(
            f"searchsorted: side must be 'left' or 'right', got {side!r}{at_user_line()}"
        )
    if method not in ("scan", "scan_unrolled", "sort", "compare_all", "default"):
        raise ValueError(f"searchsorted: unknown method {method!r}{at_user_line()}")
    # A Python integer need not fit the dtype of the array.
    a, v = (onp.asarray(t) if type(t) is int else t for t in (a, v))
    return _searchsorted(a, v, sorter, side=side)


@fused("side")
def _searchsorted(a: Any, v: Any, sorter: Any, *, side: str) -> Any:
    x, y = (array(t) for t in promote_dtypes("searchsorted", a, v))
    if x.ndim != 1:
        raise ValueError(
            f"searchsorted takes a vector to search in, got {describe(x)}{at_user_line()}"
        )
    if sorter is not None:
        x = x[array(sorter, "searchsorted")]
    return convert(search(x, y, side), dtypes.index_dtype(x.shape[0]))


@fused("right", "method")
def digitize(x: Any, bins: Any, right: bool = False, *, method: str | None = None) -> Any:
    """Index of the bin that each element of ``x`` falls in; ``bins`` is monotonic.

    ``right`` says whether the right edge of a bin belongs to it.

    Parameters
    ----------
    x : array_like
    bins : array_like
        A vector of edges, increasing or decreasing.
    right : bool
        Whether the right edge of a bin belongs to it.
    method : str, optional
        Accepted and ignored.

    Returns
    -------
    Array
        int32 numbers, of the shape of ``x``: of increasing edges, 0 is before the first.

    Raises
    ------
    ValueError
        If ``bins`` is not a vector.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.digitize(np.array([0.5, 1.0, 7.0]), np.array([1.0, 2.0, 4.0]))
    Array([0, 1, 3], dtype=int32)
    """
    v, edges = (array(t) for t in promote_dtypes("digitize", x, bins))
    if edges.ndim != 1:
        raise ValueError(f"digitize takes a vector of bins, got {describe(edges)}{at_user_line()}")
    n = edges.shape[0]
    if n == 0:
        return lax.full(v.shape, 0, dtypes.int32)
    last = lax.index_in_dim(edges, n - 1, 0, False)
    first = lax.index_in_dim(edges, 0, 0, False)
    rising = lax.le(first, last)
    edges = lax.select(lax.broadcast(rising, (n,)), edges, lax.rev(edges, (0,)))
    below = search(edges, v, "left" if right else "right")
    index = lax.select(
        lax.broadcast(rising, v.shape), below, lax.sub(scalar(n, below.dtype), below)
    )
    return convert(index, dtypes.index_dtype(n))


# --- counting ----------------------------------------------------------------------------


def bincount(
    x: Any,
    weights: Any = None,
    minlength: int = 0,
    *,
    length: int | None = None,
    out_sharding: Any = None,
) -> Any:
    """Number of occurrences (or sum of weights) of each non-negative integer in a vector.

    Parameters
    ----------
    x : array_like of int
        Negative values count as 0.
    weights : array_like, optional
        Of the shape of ``x``.
    minlength : int
        Least size of the result.
    length : int, optional
        Size of the result; needed under tracing. Larger values are dropped.
    out_sharding : NamedSharding or PartitionSpec, optional
        How the result is laid out over the axes of a mesh.

    Returns
    -------
    Array
        A vector, of the default integer type, or in the dtype of the weights.

    Raises
    ------
    TypeError
        If ``x`` is not of integers.
    ValueError
        If ``x`` is not a vector, or the weights do not fit.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.bincount(np.array([1, 3, 1]))
    Array([0, 2, 0, 1], dtype=int32)
    >>> np.bincount(np.array([1, 3, 1]), weights=np.array([0.5, 1.0, 2.0]))
    Array([0. , 2.5, 0. , 1. ], dtype=float32)
    """
    if out_sharding is not None:
        return laid_out(bincount, locals())
    v = array(x, "bincount")
    if v.ndim != 1:
        raise ValueError(f"bincount takes a vector, got {describe(v)}{at_user_line()}")
    if v.dtype not in dtypes.INTEGERS and v.dtype != dtypes.bool_:
        raise TypeError(f"bincount takes integers, got {describe(v)}{at_user_line()}")
    minlength = operator.index(minlength)
    if minlength < 0:
        raise ValueError(f"bincount: minlength must not be negative, got {minlength}")
    if length is None:
        values = concrete(v, "the argument x of bincount (or its argument length)")
        length = max(minlength, int(values.max()) + 1 if values.size else 0)
    return _bincount(v, weights, length=as_size(length))


@fused("length")
def _bincount(v: Any, weights: Any, *, length: int) -> Any:
    v = convert(v, dtypes.int32) if v.dtype == dtypes.bool_ else v
    if v.dtype in dtypes.SIGNED:
        v = lax.max(v, v.dtype.type(0))
    if weights is None:
        w = lax.full(v.shape, 1, dtypes.default_int())
    else:
        w = array(weights, "bincount", 1)
        if w.shape != v.shape:
            raise ValueError(
                f"bincount: weights of shape {w.shape} for values of shape {v.shape}"
                f"{at_user_line()}"
            )
    return lax.full((length,), 0, w.dtype).at[v].add(w, mode="drop")


def histogram_bin_edges(a: Any, bins: Any = 10, range: Any = None, weights: Any = None) -> Any:  # noqa: A002
    """Edges of the bins of `histogram`.

    Parameters
    ----------
    a : array_like
    bins : int or array_like
        Number of equal bins, or their edges.
    range : (low, high), optional
        Ends of equal bins; those of the data by default.
    weights : array_like, optional
        Accepted and ignored.

    Returns
    -------
    Array
        A vector of one element more than there are bins.

    Raises
    ------
    NotImplementedError
        If ``bins`` is the name of a rule.
    TypeError
        If numbers are complex.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.histogram_bin_edges(np.array([0, 1, 4]), bins=4)
    Array([0., 1., 2., 3., 4.], dtype=float32)
    """
    if isinstance(bins, str):
        raise NotImplementedError(
            f"histogram: rules to choose bins such as {bins!r} are not supported{at_user_line()}"
        )
    x = _real("a", a)
    if not isinstance(bins, (list, tuple)) and not shape_of(bins):
        n = operator.index(bins)
        if n < 1:
            raise ValueError(
                f"histogram: bins must be a positive number, or the edges, got {n}{at_user_line()}"
            )
        dt = dtypes.to_inexact_dtype(x.dtype)
        x = convert(x, dt)
        if range is None:
            if x.size == 0:
                low, high = dt.type(0), dt.type(1)
            else:
                axes = tuple(i for i, _ in enumerate(x.shape))
                low, high = lax.reduce_min(x, axes), lax.reduce_max(x, axes)
        else:
            low, high = range
            for end in (low, high):
                _real("range", end)
            if isinstance(low, _NUMBER) and isinstance(high, _NUMBER):
                return asarray(_known_edges(float(low), float(high), n), dt)
            low, high = convert(array(low), dt), convert(array(high), dt)
        return _edges(low, high, num=n)
    return convert(_real("bins", asarray(bins)), dtypes.to_inexact_dtype(x.dtype))


def _real(name: str, x: Any) -> Any:
    """An argument of the functions of histograms as an array, which must have an order."""
    x = array(x, "histogram")
    if x.dtype in dtypes.COMPLEX:
        raise TypeError(
            f"histogram takes real numbers, got {describe(x)} as {name}; count its real or imag, "
            f"or its abs{at_user_line()}"
        )
    return x


def _known_edges(low: float, high: float, num: int) -> onp.ndarray[Any, Any]:
    """The edges of equal bins, in double precision."""
    if low == high:
        low, high = low - 0.5, high + 0.5
    return onp.linspace(low, high, num + 1)


@fused("num")
def _edges(low: Any, high: Any, *, num: int) -> Any:
    """The edges of equal bins, computed in double precision.

    Far from zero the bins may be few units in the last place wide, which edges are rounded to.
    """
    low, high = promote_inexact("histogram", low, high)
    dt = aval_of(low).dtype
    lo, hi = (convert_element_type(x, dtypes.float64) for x in (low, high))
    same = lax.eq(lo, hi)
    lo, hi = (lax.select(same, lax.add(x, like(h, x)), x) for x, h in ((lo, -0.5), (hi, 0.5)))
    step = lax.div(lax.sub(hi, lo), like(num, lo))
    k = convert_element_type(lax.iota(dtypes.int32, num), dtypes.float64)
    inner = lax.add(rounded(lax.mul(k, step)), lo)
    edges = lax.concatenate([inner, lax.expand_dims(hi, (0,))], 0)
    return convert_element_type(edges, dt)


def _bins(edges: Any, v: Any) -> Any:
    """The bin of each number, by ``edges[i] <= v < edges[i + 1]``; the number of bins if none."""
    n = edges.shape[0] - 1
    if n == 0:
        return lax.full(v.shape, 0, dtypes.int32)
    first, last = edges[0], edges[n]
    scale = n / lax.select(lax.gt(last, first), lax.sub(last, first), lax.full_like(last, 1))
    inside = lax.bitwise_and(lax.ge(v, first), lax.le(v, last))

    def guess(x: Any) -> Any:
        return convert(lax.floor((x - first) * scale - 0.25), dtypes.int32)

    def near(v: Any) -> Any:
        below = lax.clamp(onp.int32(-1), guess(v), onp.int32(n - 1))
        above = edges.at[below + 1].get(mode="promise_in_bounds")
        return below + convert(lax.ge(v, above), dtypes.int32)

    def searched(v: Any) -> Any:
        return lax.sub(search(edges, v, "right"), onp.int32(1))

    # Where that is so for the edges themselves, it is the bin or the one before for all numbers,
    # because a guess never falls when its number grows.
    even = lax.eq(guess(edges), lax.iota(dtypes.int32, n + 1) - 1)
    inner = lax.select(inside, v, lax.full_like(v, 0) + first)
    index = lax.cond(lax.reduce_and(even, (0,)), near, searched, inner)
    # The last bin is closed: values on its right edge belong to it.
    index = lax.select(lax.eq(v, last), lax.full_like(index, n - 1), index)
    return lax.select(inside, index, lax.full_like(index, n))


@fused()
def _counts(x: Any, edges: Any, weights: Any) -> Any:
    x, edges = promote_inexact("histogram", x, edges)
    flat = lax.reshape(array(x), (product(shape_of(x)),))
    n = edges.shape[0] - 1
    index = _bins(edges, flat)
    if weights is None:
        w = lax.full(flat.shape, 1, edges.dtype)
    else:
        w = lax.reshape(weights, flat.shape)
    return lax.full((n,), 0, w.dtype).at[index].add(w, mode="drop")


def histogram(
    a: Any,
    bins: Any = 10,
    range: Any = None,  # noqa: A002
    weights: Any = None,
    density: bool | None = None,
) -> tuple[Any, Any]:
    """Number of elements (or sum of weights) in each bin, and the edges of the bins.

    Parameters
    ----------
    a : array_like
    bins : int or array_like
        Number of equal bins, or their edges. The right edge belongs to the last bin only.
    range : (low, high), optional
        Ends of equal bins; those of the data by default. Elements outside are not counted.
    weights : array_like, optional
        Of the shape of ``a``.
    density : bool, optional
        Scale the result so that its integral is 1.

    Returns
    -------
    tuple of two Array
        Numbers of elements, as floats or in the dtype of the weights, and edges.

    Raises
    ------
    ValueError
        If the weights do not fit.
    TypeError
        If ``a`` or ``bins`` are complex; weights may be.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.histogram(np.array([0, 1, 1, 4]), bins=2)
    (Array([3., 1.], dtype=float32), Array([0., 2., 4.], dtype=float32))
    """
    x = _real("a", a)
    if weights is not None:
        weights = array(weights, "histogram")
        if weights.shape != x.shape:
            raise ValueError(
                f"histogram: weights of shape {weights.shape} for data of shape {x.shape}"
                f"{at_user_line()}"
            )
    edges = histogram_bin_edges(x, bins, range, weights)
    counts = _counts(x, edges, weights)
    if density:
        widths = edges[1:] - edges[:-1]
        counts = counts / widths / counts.sum()
    return counts, edges


def histogramdd(
    sample: Any,
    bins: Any = 10,
    range: Any = None,  # noqa: A002
    weights: Any = None,
    density: bool | None = None,
) -> tuple[Any, list[Any]]:
    """Histogram of points in several dimensions, the rows of ``sample``.

    Parameters
    ----------
    sample : array_like
        Of shape ``(number of points, number of dimensions)``.
    bins : int, or sequence
        Number of equal bins of all dimensions, or a number or edges for each.
    range : sequence of (low, high), optional
        Ends of equal bins of each dimension.
    weights : array_like, optional
        One for each point.
    density : bool, optional
        Scale the result so that its integral is 1.

    Returns
    -------
    tuple of Array and list of Array
        Numbers of points in each bin, and the edges along each dimension.

    Raises
    ------
    ValueError
        If ``bins`` or ``range`` do not fit the dimensions.

    Examples
    --------
    >>> import covector.numpy as np
    >>> counts, edges = np.histogramdd(np.array([[0.0, 0.0], [1.0, 2.0], [1.0, 2.0]]), bins=2)
    >>> counts
    Array([[1, 0],
           [0, 2]], dtype=int32)
    """
    x = array(sample, "histogramdd")
    if x.ndim == 1:
        x = lax.reshape(x, (x.size, 1))
    if x.ndim != 2:
        raise ValueError(f"histogramdd takes a matrix of points, got {describe(x)}{at_user_line()}")
    n, d = x.shape
    columns = [x[:, i] for i in onp.arange(d).tolist()]
    bins = list(bins) if isinstance(bins, (list, tuple)) else [bins] * d
    ranges = [None] * d if range is None else list(range)
    if len(bins) != d or len(ranges) != d:
        raise ValueError(f"histogramdd: bins and range need one entry per dimension, of {d}")
    edges = [histogram_bin_edges(c, b, r) for c, b, r in zip(columns, bins, ranges, strict=True)]
    sizes = [e.shape[0] - 1 for e in edges]
    flat = lax.full((n,), 0, dtypes.int32)
    valid = lax.full((n,), True, dtypes.bool_)
    for c, e, m in zip(columns, edges, sizes, strict=True):
        v, e = (array(t) for t in promote_inexact("histogramdd", c, e))
        index = _bins(e, v)
        valid = valid & (index < m)
        flat = flat * m + index
    total = product(sizes)
    flat = lax.select(valid, flat, lax.full_like(flat, total))
    w = lax.full((n,), 1, dtypes.default_int()) if weights is None else asarray(weights)
    counts = lax.reshape(lax.full((total,), 0, w.dtype).at[flat].add(w, mode="drop"), tuple(sizes))
    if density:
        volume: Any = 1
        for i, e in enumerate(edges):
            widths = e[1:] - e[:-1]
            volume = volume * lax.reshape(widths, _along_axis(widths.size, i, d))
        counts = counts / volume / counts.sum()
    return counts, edges


def _along_axis(n: int, axis: int, rank: int) -> tuple[int, ...]:
    return (1,) * axis + (n,) + (1,) * (rank - axis - 1)


def histogram2d(
    x: Any,
    y: Any,
    bins: Any = 10,
    range: Any = None,  # noqa: A002
    weights: Any = None,
    density: bool | None = None,
) -> tuple[Any, Any, Any]:
    """Histogram of points in the plane.

    Parameters
    ----------
    x, y : array_like
        Vectors of coordinates.
    bins : int or array_like, or pair of them
        Number of equal bins, or their edges, of both dimensions or of each.
    range : pair of (low, high), optional
        Ends of equal bins of each dimension.
    weights : array_like, optional
        One for each point.
    density : bool, optional
        Scale the result so that its integral is 1.

    Returns
    -------
    tuple of three Array
        Numbers of points in each bin, a row for each bin of ``x``, and the edges of both.

    Examples
    --------
    >>> import covector.numpy as np
    >>> x, y = np.array([0.0, 1.0, 1.0]), np.array([0.0, 2.0, 2.0])
    >>> counts, x_edges, y_edges = np.histogram2d(x, y, bins=2)
    >>> counts
    Array([[1, 0],
           [0, 2]], dtype=int32)
    >>> x_edges, y_edges
    (Array([0. , 0.5, 1. ], dtype=float32), Array([0., 1., 2.], dtype=float32))
    """
    if isinstance(bins, (list, tuple)) and len(bins) == 2:
        pair = list(bins)
    else:
        pair = [bins, bins]
    x, y = _real("x", asarray(x)), _real("y", asarray(y))
    points = promote_dtypes("histogram2d", x, y)
    sample = lax.stack(points, 1)
    counts, edges = histogramdd(sample, pair, range, weights, density)
    return counts, edges[0], edges[1]
