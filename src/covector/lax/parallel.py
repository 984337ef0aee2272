"""Collectives: operations over an axis that `vmap` maps and names."""

from __future__ import annotations

import operator
from collections.abc import Hashable, Iterable, Sequence
from typing import Any

import numpy as np

from covector.core import dtypes, tree
from covector.core.avals import Array, aval_of, scalar_aval
from covector.core.errors import at_user_line, describe
from covector.core.operands import canonical_axis
from covector.core.structural import convert_element_type, moveaxis, reduce_sum_p
from covector.core.trace import JaxprTrace, Primitive, Tracer, current_trace, set_current_trace
from covector.lax.arithmetic import mul
from covector.lax.gather import gather
from covector.lax.select import select
from covector.lax.shape_functions import broadcast, full_like, reshape, stack
from covector.lax.slicing import dynamic_index_in_dim, dynamic_slice_in_dim, slice_in_dim
from covector.primitives.arithmetic import add, div
from covector.primitives.compare import ge
from covector.primitives.indexing import GatherDimensionNumbers
from covector.primitives.parallel import (
    all_gather_p,
    all_to_all_p,
    axis_index_p,
    pmax_p,
    pmin_p,
    ppermute_p,
    psum_p,
    pvary,
)
from covector.primitives.parallel import pcast as cast
from covector.primitives.reductions import reduce_max_p, reduce_min_p
from covector.transforms.vmap import BatchTrace, axis_env, varies_by_type


def axis_size(axis_name: Hashable) -> int:
    """Number of elements along the named axis (the product, for several names).

    Parameters
    ----------
    axis_name : hashable, or tuple of those

    Returns
    -------
    int
        Known while the function is traced.

    Raises
    ------
    NameError
        If no surrounding `vmap` has given an axis this name.
    TypeError
        If an array is given for a name.

    Examples
    --------
    >>> import covector as cv
    >>> from covector import lax
    >>> cv.vmap(lambda x: x / lax.axis_size("i"), axis_name="i")(cv.numpy.array([2.0, 6.0]))
    Array([1., 3.], dtype=float32)
    """
    if isinstance(axis_name, (tuple, list)):
        return int(np.prod([axis_size(n) for n in axis_name], dtype=np.int64))
    if isinstance(axis_name, (Tracer, Array, np.ndarray)):
        raise TypeError(
            f"the name of an axis is a string, or another hashable object, got "
            f"{describe(axis_name)}: collectives take (x, axis_name, ...){at_user_line()}"
        )
    env = list(axis_env())
    for name, size in env:
        if name == axis_name:
            return size
    known = ", ".join(repr(n) for n, _ in env) or "none"
    raise NameError(
        f"unbound axis name: {axis_name!r}. Collectives refer to an axis of the mesh that a "
        "surrounding shard_map runs along, or by the axis_name that a surrounding vmap or pmap "
        f"gives it; names there are here: {known}{at_user_line()}"
    )


Groups = tuple[tuple[int, ...], ...] | None


def _names(axis_name: Any) -> tuple[Hashable, ...]:
    names = tuple(axis_name) if isinstance(axis_name, (tuple, list)) else (axis_name,)
    for n in names:
        axis_size(n)
    if len(set(names)) != len(names):
        raise ValueError(f"a collective names an axis twice: {names}{at_user_line()}")
    return names


def _groups(groups: Any, names: tuple[Hashable, ...], function: str, equal: bool = False) -> Groups:
    """``axis_index_groups`` as tuples, each element of the axis in one of them."""
    if groups is None:
        return None
    if len(names) != 1:
        raise ValueError(
            f"{function}: axis_index_groups are groups of the elements of one axis, but "
            f"{len(names)} axes are named: {names}{at_user_line()}"
        )
    out = tuple(tuple(operator.index(i) for i in g) for g in groups)
    n = axis_size(names)
    if sorted(i for g in out for i in g) != list(range(n)):
        raise ValueError(
            f"{function}: axis_index_groups must cover all indices exactly once, that is 0 to "
            f"{n - 1}, got {groups}{at_user_line()}"
        )
    if equal and len({len(g) for g in out}) > 1:
        raise ValueError(
            f"{function}: the axis_index_groups must be of one size, got {groups}{at_user_line()}"
        )
    return out


def _mine(rows: Any, axis_name: Any) -> Any:
    """The row of ``rows``, one for each element of the named axis, that is this element's."""
    return dynamic_index_in_dim(rows, axis_index(axis_name), 0, keepdims=False)


def _of_group(table: Sequence[Sequence[int]], groups: Sequence[Sequence[int]]) -> Any:
    """For each element of the axis, the row of ``table`` for its group."""
    n = sum(map(len, groups))
    out: list[Any] = [None] * n
    for row, group in zip(table, groups, strict=True):
        for i in group:
            out[i] = row
    return np.array(out, np.int32)


def _rows(x: Any, indices: Any) -> Any:
    """The rows of ``x`` numbered by the vector ``indices``."""
    shape = aval_of(x).shape
    return gather(
        x,
        reshape(indices, (*aval_of(indices).shape, 1)),
        GatherDimensionNumbers(tuple(range(1, len(shape))), (0,), (0,)),
        (1, *shape[1:]),
        mode="promise_in_bounds",
    )


def _members(leaf: Any, name: Hashable, groups: Sequence[Sequence[int]]) -> Any:
    """The values of all elements of this element's group, of which all have one size, stacked."""
    return _rows(all_gather(leaf, name), _mine(_of_group(groups, groups), name))


def _position(name: Hashable, groups: Sequence[Sequence[int]]) -> Any:
    """The position of this element in its group."""
    place = {i: k for g in groups for k, i in enumerate(g)}
    return _mine(np.array([place[i] for i in range(len(place))], np.int32), name)


def _reduced(leaf: Any, name: Hashable, groups: Sequence[Sequence[int]], prim: Primitive) -> Any:
    """A reduction over each group, which may be of different sizes."""
    rows = all_gather(leaf, name)
    each = [prim.bind_params((_rows(rows, np.array(g, np.int32)),), {"axes": (0,)}) for g in groups]
    number = _of_group([[k] for k in range(len(groups))], groups)[:, 0]
    return dynamic_index_in_dim(stack(each), _mine(number, name), 0, keepdims=False)


def psum(x: Any, axis_name: Any, *, axis_index_groups: Any = None) -> Any:
    """Sum over the named axis; every element gets it.

    Parameters
    ----------
    x : pytree of arrays
        A Python number in it is multiplied with the size of the axis: ``psum(1, "i")`` is the size.
    axis_name : hashable, or tuple of those
        The ``axis_name`` of a surrounding `vmap`; several for the sum over all of them.
    axis_index_groups : sequence of sequences of int, optional
        Groups of the elements of the axis, each in one of them: each group on its own.

    Returns
    -------
    pytree of arrays
        Of the shapes and dtypes of ``x``; booleans are counted as integers.

    Raises
    ------
    NameError
        If no surrounding `vmap` has given an axis this name.

    Examples
    --------
    >>> import covector as cv
    >>> f = cv.vmap(lambda x: x / cv.lax.psum(x, "i"), axis_name="i")
    >>> f(cv.numpy.array([1.0, 3.0]))
    Array([0.25, 0.75], dtype=float32)
    """
    names = _names(axis_name)
    groups = _groups(axis_index_groups, names, "psum")

    def one(leaf: Any) -> Any:
        if isinstance(leaf, (int, float, complex)) and not isinstance(leaf, bool):
            if groups is None:
                return leaf * axis_size(names)
            if len({len(g) for g in groups}) == 1:
                return leaf * len(groups[0])
        if aval_of(leaf).dtype == dtypes.bool_:
            leaf = convert_element_type(leaf, scalar_aval(int).dtype)
        if groups is not None:
            return _reduced(leaf, names[0], groups, reduce_sum_p)
        for n in names:
            leaf = psum_p.bind_params((leaf,), {"axis_name": n})
        return leaf

    return tree.map(one, x)


def pmean(x: Any, axis_name: Any, *, axis_index_groups: Any = None) -> Any:
    """Mean over the named axis; every element gets it.

    Parameters
    ----------
    x : pytree of arrays
    axis_name : hashable, or tuple of those
        The ``axis_name`` of a surrounding `vmap`; several for the mean over all of them.
    axis_index_groups : sequence of sequences of int, optional
        Groups of the elements of the axis, each in one of them: each group on its own.

    Returns
    -------
    pytree of arrays
        Of the shapes of ``x``; integers and booleans become floats.

    Examples
    --------
    >>> import covector as cv
    >>> f = cv.vmap(lambda x: x - cv.lax.pmean(x, "i"), axis_name="i")
    >>> f(cv.numpy.array([1.0, 2.0, 6.0]))
    Array([-2., -1.,  3.], dtype=float32)
    """
    names = _names(axis_name)
    n = psum(1, names, axis_index_groups=axis_index_groups)

    def one(leaf: Any) -> Any:
        if not dtypes.is_inexact(aval_of(leaf).dtype):
            leaf = convert_element_type(leaf, dtypes.default_float())
        total = psum(leaf, names, axis_index_groups=axis_index_groups)
        dtype = aval_of(total).dtype
        if isinstance(n, int):
            return div(total, dtype.type(n))
        return div(total, broadcast(convert_element_type(n, dtype), aval_of(total).shape))

    return tree.map(one, x)


def _extremum(prim: Primitive, reduce_p: Primitive, x: Any, axis_name: Any, groups: Any) -> Any:
    names = _names(axis_name)
    grouped = _groups(groups, names, prim.name)

    def one(leaf: Any) -> Any:
        if grouped is not None:
            return _reduced(leaf, names[0], grouped, reduce_p)
        for n in names:
            leaf = prim.bind_params((leaf,), {"axis_name": n})
        return leaf

    return tree.map(one, x)


def pmax(x: Any, axis_name: Any, *, axis_index_groups: Any = None) -> Any:
    """Maximum over the named axis; every element gets it.

    Parameters
    ----------
    x : pytree of arrays
    axis_name : hashable, or tuple of those
        The ``axis_name`` of a surrounding `vmap`; several for the maximum over all of them.
    axis_index_groups : sequence of sequences of int, optional
        Groups of the elements of the axis, each in one of them: each group on its own.

    Returns
    -------
    pytree of arrays
        Of the shapes and dtypes of ``x``.

    Examples
    --------
    >>> import covector as cv
    >>> f = cv.vmap(lambda x: x == cv.lax.pmax(x, "i"), axis_name="i")
    >>> f(cv.numpy.array([1, 6, 2]))
    Array([False,  True, False], dtype=bool)
    """
    return _extremum(pmax_p, reduce_max_p, x, axis_name, axis_index_groups)


def pmin(x: Any, axis_name: Any, *, axis_index_groups: Any = None) -> Any:
    """Minimum over the named axis; every element gets it.

    Parameters
    ----------
    x : pytree of arrays
    axis_name : hashable, or tuple of those
        The ``axis_name`` of a surrounding `vmap`; several for the minimum over all of them.
    axis_index_groups : sequence of sequences of int, optional
        Groups of the elements of the axis, each in one of them: each group on its own.

    Returns
    -------
    pytree of arrays
        Of the shapes and dtypes of ``x``.

    Examples
    --------
    >>> import covector as cv
    >>> f = cv.vmap(lambda x: x - cv.lax.pmin(x, "i"), axis_name="i")
    >>> f(cv.numpy.array([3, 6, 2]))
    Array([1, 4, 0], dtype=int32)
    """
    return _extremum(pmin_p, reduce_min_p, x, axis_name, axis_index_groups)


def axis_index(axis_name: Any) -> Any:
    """Position along the named axis, an int32 (the flat one, for several names).

    Parameters
    ----------
    axis_name : hashable, or tuple of those
        The first of several names counts slowest.

    Returns
    -------
    Array

    Examples
    --------
    >>> import covector as cv
    >>> f = cv.vmap(lambda x: x * cv.lax.axis_index("i"), axis_name="i")
    >>> f(cv.numpy.array([5, 5, 5]))
    Array([ 0,  5, 10], dtype=int32)
    """
    index: Any = None
    for n in _names(axis_name):
        i = _index(n)
        index = i if index is None else add(mul(index, np.int32(axis_size(n))), i)
    return index


def _index(name: Hashable) -> Any:
    """The position along one axis: along one of devices, a value of the program of the device, so
    that control flow in it takes it as an operand and can go its own way."""
    at: Any = current_trace()
    while at is not None:
        if isinstance(at, JaxprTrace) and any(name == each for each, *_ in at.axes):
            if at.memo is None:
                break
            found = at.memo.get((axis_index_p, name))
            if found is None:
                with set_current_trace(at):
                    made = axis_index_p.bind(axis_name=name)
                found = at.memo[axis_index_p, name] = made
            return found
        if type(at) is BatchTrace and at.plain_name == name:
            break
        at = at.parent
    return axis_index_p.bind(axis_name=name)


# --- exchange ----------------------------------------------------------------------------


def _element(index: Any, axis_name: Hashable, function: str, what: str) -> int:
    """The number of an element of the named axis."""
    k, n = operator.index(index), axis_size(axis_name)
    if not 0 <= k < n:
        raise ValueError(
            f"{function}: {what} {k} is out of range: the axis {axis_name!r} has {n} elements"
            f"{at_user_line()}"
        )
    return k


def _pairs(perm: Any) -> list[tuple[Any, Any]]:
    """``perm`` of `ppermute`, which must hold pairs of numbers."""
    try:
        pairs = [(operator.index(a), operator.index(b)) for a, b in perm]
    except (TypeError, ValueError):
        raise TypeError(
            "ppermute takes (x, axis_name, perm), where perm is a sequence of pairs (source, "
            f"destination) of numbers; got {describe(perm)} for it{at_user_line()}"
        ) from None
    return pairs


def _cut_axis(x: Any, axis: int, n: int, axis_name: Hashable, tiled: bool, function: str) -> int:
    """An axis of ``x`` of which each of ``n`` elements gets a slice (or a block)."""
    k = canonical_axis(axis, x, f"{function}: axis")
    size = aval_of(x).shape[k]
    if (size % n if tiled else size != n) != 0:
        raise ValueError(
            f"{function}: axis {k} of {aval_of(x).str_short()} must "
            f"{'be divisible by' if tiled else 'have'} the size {n} of the named axis (or of the "
            f"groups of it) {axis_name!r}{at_user_line()}"
        )
    return k


def ppermute(x: Any, axis_name: Hashable, perm: Sequence[tuple[int, int]]) -> Any:
    """Send values along the named axis: element ``dst`` gets that of ``src`` for each pair.

    Elements that are no destination get zeros.

    Parameters
    ----------
    x : pytree of arrays
    axis_name : hashable, or tuple of those
    perm : sequence of (src, dst)

    Returns
    -------
    pytree of arrays
        Of the shapes and dtypes of ``x``.

    Raises
    ------
    TypeError
        If ``perm`` holds something else than pairs of numbers.
    ValueError
        If a source or a destination occurs twice or is no element of the axis.

    Examples
    --------
    >>> import covector as cv
    >>> f = cv.vmap(lambda x: cv.lax.ppermute(x, "i", [(0, 1), (1, 2)]), axis_name="i")
    >>> f(cv.numpy.array([10, 20, 30]))
    Array([ 0, 10, 20], dtype=int32)
    """
    pairs = tuple(
        (
            _element(a, axis_name, "ppermute", "source"),
            _element(b, axis_name, "ppermute", "destination"),
        )
        for a, b in _pairs(perm)
    )
    if len({b for _, b in pairs}) != len(pairs) or len({a for a, _ in pairs}) != len(pairs):
        raise ValueError(
            f"ppermute: sources and destinations must be unique, got perm={perm}{at_user_line()}"
        )
    names = _names(axis_name)
    if len(names) == 1:
        params = {"axis_name": names[0], "perm": pairs}
        return tree.map(lambda leaf: ppermute_p.bind_params((leaf,), params), x)
    source = np.full(axis_size(names), -1, np.int32)
    for a, b in pairs:
        source[b] = a
    here = _mine(source, names)

    def one(leaf: Any) -> Any:
        # Without a source, the last element's value is taken and not used.
        value = dynamic_index_in_dim(all_gather(leaf, names), here, 0, keepdims=False)
        return select(ge(here, np.int32(0)), value, full_like(value, 0))

    return tree.map(one, x)


def pshuffle(x: Any, axis_name: Hashable, perm: Sequence[int]) -> Any:
    """Permute values along the named axis: element ``i`` gets that of ``perm[i]``.

    Parameters
    ----------
    x : pytree of arrays
    axis_name : hashable, or tuple of those
    perm : sequence of int

    Returns
    -------
    pytree of arrays
        Of the shapes and dtypes of ``x``.

    Raises
    ------
    ValueError
        If ``perm`` is not a permutation of all positions.

    Examples
    --------
    >>> import covector as cv
    >>> f = cv.vmap(lambda x: cv.lax.pshuffle(x, "i", [1, 2, 0]), axis_name="i")
    >>> f(cv.numpy.array([10, 20, 30]))
    Array([20, 30, 10], dtype=int32)
    """
    n = axis_size(axis_name)
    if isinstance(perm, str) or not isinstance(perm, Iterable):
        raise TypeError(
            "pshuffle takes (x, axis_name, perm), where perm is a sequence of numbers; got "
            f"{describe(perm)} for it{at_user_line()}"
        )
    if sorted(perm) != list(range(n)):
        raise ValueError(f"pshuffle: {perm} is not a permutation of {n} elements{at_user_line()}")
    return ppermute(x, axis_name, list(zip(perm, range(n), strict=True)))


def all_gather(
    x: Any,
    axis_name: Any,
    *,
    axis_index_groups: Any = None,
    axis: int = 0,
    tiled: bool = False,
    to: str = "varying",
) -> Any:
    """Values of all elements of the named axis, stacked (joined, if ``tiled``) at ``axis``.

    Parameters
    ----------
    x : pytree of arrays
    axis_name : hashable, or tuple of those
    axis_index_groups : sequence of sequences of int, optional
        Groups of the elements of the axis, each in one of them: each group on its own.
    axis : int
        Position in the result of the new axis, or of the axis to join along.
    tiled : bool
        Join along an axis of ``x`` instead of making a new one.
    to : {"varying", "invarying", "reduced"}
        What the type of the result says, inside of `shard_map`: that it may vary over the axis;
        that it is the same for all (``"invarying"``); or that its cotangent, too, is a sum over the
        axis that is not taken (``"reduced"``).

    Returns
    -------
    pytree of arrays
        The same for every element.

    Raises
    ------
    ValueError
        If ``to`` is something else, or given beside ``axis_index_groups``.

    Examples
    --------
    >>> import covector as cv
    >>> x = cv.numpy.array([[1, 2], [3, 4]])
    >>> cv.vmap(lambda x: cv.lax.all_gather(x, "i", tiled=True), axis_name="i")(x)
    Array([[1, 2, 3, 4],
           [1, 2, 3, 4]], dtype=int32)

    ``out_axes=None`` takes it once:

    >>> cv.vmap(lambda x: cv.lax.all_gather(x, "i"), axis_name="i", out_axes=None)(x)
    Array([[1, 2],
           [3, 4]], dtype=int32)
    """
    _check_to("all_gather", to, ("varying", "invarying", "reduced"))
    names = _names(axis_name)
    groups = _groups(axis_index_groups, names, "all_gather", equal=True)
    if groups is not None and to != "varying":
        raise ValueError(
            f"all_gather: what groups gather differs from group to group: to={to!r} is for all of "
            f"the axis, without axis_index_groups{at_user_line()}"
        )
    trace = current_trace()
    kind = {} if to == "varying" or not varies_by_type(names[0], trace) else {"to": to}

    def one(leaf: Any) -> Any:
        n = len(aval_of(leaf).shape)
        at = canonical_axis(axis, n if tiled else n + 1, "all_gather: axis")
        if groups is not None:
            members = moveaxis(_members(leaf, names[0], groups), 0, at)
            shape = aval_of(members).shape
            if not tiled:
                return members
            return reshape(members, (*shape[:at], shape[at] * shape[at + 1], *shape[at + 2 :]))
        size = 1
        for name in reversed(names):
            k = axis_size(name)
            params = {"axis_name": name, "size": k, "axis": at, **kind}
            leaf = all_gather_p.bind_params((leaf,), params)
            size *= k
        shape = aval_of(leaf).shape
        rest = shape[at + len(names) :]
        if tiled:
            return reshape(leaf, (*shape[:at], size * rest[0], *rest[1:]))
        return leaf if len(names) == 1 else reshape(leaf, (*shape[:at], size, *rest))

    return tree.map(one, x)


def all_to_all(
    x: Any,
    axis_name: Hashable,
    split_axis: int,
    concat_axis: int,
    *,
    axis_index_groups: Any = None,
    tiled: bool = False,
) -> Any:
    """Element ``j`` gets slice ``j`` along ``split_axis`` of every element, at ``concat_axis``.

    Parameters
    ----------
    x : pytree of arrays
    axis_name : hashable, or tuple of those
    split_axis : int
        Of the size of the named axis; with ``tiled`` of a multiple of it.
    concat_axis : int
        Position in the result of the axis that counts the senders; with ``tiled``, the axis that
        is joined along.
    axis_index_groups : sequence of sequences of int, optional
        Groups of the elements of the axis, each in one of them: each group on its own.
    tiled : bool
        Cut ``split_axis`` into blocks and join blocks, in place of removing and adding an axis.

    Returns
    -------
    pytree of arrays

    Raises
    ------
    ValueError
        If ``split_axis`` does not have this size.

    Examples
    --------
    The named axis and ``split_axis`` change places:

    >>> import covector as cv
    >>> x = cv.numpy.array([[1, 2], [3, 4]])
    >>> cv.vmap(lambda x: cv.lax.all_to_all(x, "i", 0, 0), axis_name="i")(x)
    Array([[1, 3],
           [2, 4]], dtype=int32)
    """
    names = _names(axis_name)
    groups = _groups(axis_index_groups, names, "all_to_all", equal=True)
    n = axis_size(names) if groups is None else len(groups[0])

    def exchange(leaf: Any, split: int, concat: int) -> Any:
        if groups is None and len(names) == 1:
            params = {"axis_name": names[0], "split_axis": split, "concat_axis": concat}
            return all_to_all_p.bind_params((leaf,), params)
        if groups is None:
            rows, here = all_gather(leaf, names), axis_index(names)
        else:
            rows, here = _members(leaf, names[0], groups), _position(names[0], groups)
        return moveaxis(dynamic_index_in_dim(rows, here, split + 1, keepdims=False), 0, concat)

    def one(leaf: Any) -> Any:
        shape = aval_of(leaf).shape
        split = _cut_axis(leaf, split_axis, n, axis_name, tiled, "all_to_all")
        concat = canonical_axis(concat_axis, leaf, "all_to_all: concat_axis")
        if not tiled:
            return exchange(leaf, split, concat)
        leaf = reshape(leaf, (*shape[:split], n, shape[split] // n, *shape[split + 1 :]))
        # Without the new axis, the others keep their numbers.
        leaf = exchange(leaf, split, concat)
        out = aval_of(leaf).shape
        joined = (*out[:concat], n * out[concat + 1], *out[concat + 2 :])
        return reshape(leaf, joined)

    return tree.map(one, x)


def psum_scatter(
    x: Any,
    axis_name: Hashable,
    *,
    scatter_dimension: int = 0,
    axis_index_groups: Any = None,
    tiled: bool = False,
) -> Any:
    """Sum over the named axis; element ``i`` gets slice ``i`` of it.

    Parameters
    ----------
    x : pytree of arrays
    axis_name : hashable, or tuple of those
    scatter_dimension : int
        Axis of ``x`` that is sliced, of the size of the named axis; with ``tiled`` of a multiple.
    axis_index_groups : sequence of sequences of int, optional
        Groups of the elements of the axis, each in one of them: each group on its own.
    tiled : bool
        Give blocks along the axis, which stays, rather than slices without it.

    Returns
    -------
    pytree of arrays

    Raises
    ------
    ValueError
        If the axis of ``x`` does not have this size.

    Examples
    --------
    >>> import covector as cv
    >>> x = cv.numpy.array([[1, 2], [3, 4]])
    >>> cv.vmap(lambda x: cv.lax.psum_scatter(x, "i"), axis_name="i")(x)
    Array([4, 6], dtype=int32)
    """
    names = _names(axis_name)
    groups = _groups(axis_index_groups, names, "psum_scatter", equal=True)
    n = axis_size(names) if groups is None else len(groups[0])

    def one(leaf: Any) -> Any:
        axis = _cut_axis(leaf, scatter_dimension, n, axis_name, tiled, "psum_scatter")
        total = psum(leaf, names, axis_index_groups=groups)
        i = axis_index(names) if groups is None else _position(names[0], groups)
        if not tiled:
            return dynamic_index_in_dim(total, i, axis, keepdims=False)
        step = aval_of(leaf).shape[axis] // n
        return dynamic_slice_in_dim(total, mul(i, np.int32(step)), step, axis)

    return tree.map(one, x)


def pswapaxes(x: Any, axis_name: Hashable, axis: int, *, axis_index_groups: Any = None) -> Any:
    """Swap the named axis with ``axis``.

    Parameters
    ----------
    x : pytree of arrays
    axis_name : hashable, or tuple of those
    axis : int
        Of the size of the named axis.
    axis_index_groups : sequence of sequences of int, optional
        Groups of the elements of the axis, each in one of them: each group on its own.

    Returns
    -------
    pytree of arrays
        Of the shapes of ``x``.

    Examples
    --------
    >>> import covector as cv
    >>> x = cv.numpy.array([[1, 2], [3, 4]])
    >>> cv.vmap(lambda x: cv.lax.pswapaxes(x, "i", 0), axis_name="i")(x)
    Array([[1, 3],
           [2, 4]], dtype=int32)
    """
    return all_to_all(x, axis_name, axis, axis, axis_index_groups=axis_index_groups)


def pbroadcast(x: Any, axis_name: Hashable, source: int) -> Any:
    """The value of element ``source`` along the named axis, for every element.

    Parameters
    ----------
    x : pytree of arrays
    axis_name : hashable, or tuple of those
    source : int
        From 0 to the size of the axis minus one.

    Returns
    -------
    pytree of arrays
        Of the shapes and dtypes of ``x``.

    Examples
    --------
    >>> import covector as cv
    >>> cv.vmap(lambda x: cv.lax.pbroadcast(x, "i", 1), axis_name="i")(cv.numpy.array([5, 7]))
    Array([7, 7], dtype=int32)
    """

    source = _element(source, axis_name, "pbroadcast", "source")

    def one(leaf: Any) -> Any:
        return slice_in_dim(all_gather(leaf, axis_name), source, source + 1)

    return tree.map(lambda leaf: reshape(one(leaf), aval_of(leaf).shape), x)


def _check_to(function: str, to: Any, known: Sequence[str]) -> None:
    if to not in known:
        raise ValueError(
            f"{function}: to={to!r}; it is one of {', '.join(map(repr, known))}{at_user_line()}"
        )


def _kind(aval: Any, name: Hashable) -> str:
    """What a type says of a value along an axis."""
    if name in aval.varying:
        return "varying"
    if name in aval.marks.unreduced:
        return "unreduced"
    return "reduced" if name in aval.marks.reduced else "invarying"


# To what `pcast` makes values that are something else.
_CASTS = {"varying": ("invarying", "reduced"), "unreduced": ("varying",), "reduced": ("invarying",)}

_SAYS = {
    "varying": "varies over", "invarying": "is the same along", "unreduced": "is a sum over",
    "reduced": "is reduced over",
}  # fmt: skip


def pcast(x: Any, axis_name: Hashable, *, to: str) -> Any:
    """``x`` with a type that says something else of it over named axes; its value is the same.

    Inside of `shard_map`, types say of a value over each axis of the mesh that it varies, that all
    devices have the same (it is *invarying*), that it is a sum over the devices of which each has a
    term (*unreduced*), or that all have the same and its cotangent is such a sum (*reduced*).
    Operations on values of different kinds cast by themselves to what varies; of the derivative by
    a value that all devices share, the cast becomes a sum over the devices, unless it is reduced.
    Under `vmap`, a cast to what varies is ``x`` itself.

    Parameters
    ----------
    x : pytree of arrays
    axis_name : hashable, or tuple of those
    to : {"varying", "unreduced", "reduced"}
        From invarying and reduced to varying; from varying, the terms, to the sum of them; from
        invarying to reduced. `psum` takes a sum, and makes of it a value that all have.

    Returns
    -------
    pytree of arrays

    Raises
    ------
    ValueError
        If ``to`` is something else, the type of ``x`` cannot be cast to it, or types say nothing of
        the axis.

    Examples
    --------
    >>> import covector as cv
    >>> f = cv.vmap(lambda x: cv.lax.pcast(x, "i", to="varying"), axis_name="i")
    >>> f(cv.numpy.array([1, 2]))
    Array([1, 2], dtype=int32)

    The derivative by weights that all devices share, summed once, where the program says:

    >>> from covector.sharding import PartitionSpec as P
    >>> mesh = cv.make_mesh((1,), ("x",))
    >>> def gradient(w, batch):
    ...     w = cv.lax.pcast(w, "x", to="reduced")
    ...     return cv.lax.psum(cv.grad(lambda w: (batch * w).sum())(w), "x")
    >>> f = cv.shard_map(gradient, mesh=mesh, in_specs=(P(), P("x")), out_specs=P())
    >>> f(2.0, cv.numpy.arange(3.0))
    Array(3., dtype=float32)
    """
    names = _names(axis_name)
    _check_to("pcast", to, tuple(_CASTS))
    trace = current_trace()
    checked = [n for n in names if varies_by_type(n, trace)]
    if to != "varying" and len(checked) < len(names):
        raise ValueError(
            f"pcast to {to!r} over {', '.join(repr(n) for n in names if n not in checked)}: types "
            "say nothing of sums over this axis. They do inside of shard_map(check_vma=True)"
            f"{at_user_line()}"
        )
    for leaf in tree.leaves(x):
        aval = aval_of(leaf)
        for name in checked:
            kind = _kind(aval, name)
            if kind not in _CASTS[to]:
                rest = " already" if kind == to else f"; it is cast from {_CASTS[to][0]} values"
                if kind == "unreduced":
                    rest += ". lax.psum takes the sum, and makes a value that all devices have"
                raise ValueError(
                    f"pcast to {to!r} over {name!r}: a value of the type {aval.str_short()} "
                    f"{_SAYS[kind]} {name!r}{rest}{at_user_line()}"
                )

    def one(leaf: Any) -> Any:
        if to == "varying":
            return pvary(leaf, checked)
        for name in checked:
            leaf = cast(leaf, name, to)
        return leaf

    return tree.map(one, x)
