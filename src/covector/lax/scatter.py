"""Scatter: an array with windows at computed positions replaced or combined with updates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from covector.core import dtypes, structural
from covector.core.avals import Shape, ShapedArray, aval_of
from covector.core.errors import at_user_line
from covector.core.structural import convert_element_type
from covector.core.trace import Primitive
from covector.lax._common import PY_SCALARS, as_operand, product, scalar, weak_operand
from covector.lax.arithmetic import div, mul
from covector.lax.compare import eq
from covector.lax.gather import (
    GatherDimensionNumbers,
    GatherScatterMode,
    _up,
    check_indices,
    gather_p,
)
from covector.lax.select import select
from covector.lax.shape_functions import iota, reshape
from covector.lax.unary import neg
from covector.transforms.jvp import Zero, add_tangents, instantiate, jvp_rules
from covector.transforms.transpose import UndefinedPrimal, transpose_rules
from covector.transforms.vmap import batching_rules, bring_dim, move_dim

scatter_p = Primitive("scatter")
scatter_add_p = Primitive("scatter_add")
scatter_mul_p = Primitive("scatter_mul")
scatter_min_p = Primitive("scatter_min")
scatter_max_p = Primitive("scatter_max")


class ScatterDimensionNumbers(NamedTuple):
    """Which dimensions of operand, indices and updates correspond in a scatter.

    Attributes
    ----------
    update_window_dims : tuple of int
        Dimensions of the updates that run over the window.
    inserted_window_dims : tuple of int
        Dimensions of the operand, of window size 1, that the updates do not have.
    scatter_dims_to_operand_dims : tuple of int
        Operand dimension that each component of an index vector refers to.
    operand_batching_dims, scatter_indices_batching_dims : tuple of int
        Dimensions of operand and indices that run together.
    """

    update_window_dims: tuple[int, ...]
    inserted_window_dims: tuple[int, ...]
    scatter_dims_to_operand_dims: tuple[int, ...]
    operand_batching_dims: tuple[int, ...] = ()
    scatter_indices_batching_dims: tuple[int, ...] = ()


def window_sizes(rank: int, updates_shape: Shape, d: ScatterDimensionNumbers) -> Shape:
    """Sizes of the window in each dimension of the operand."""
    dropped = (*d.inserted_window_dims, *d.operand_batching_dims)
    window = iter(d.update_window_dims)
    return tuple([1 if i in dropped else updates_shape[next(window)] for i in range(rank)])


def _define(prim: Primitive) -> None:
    name = prim.name

    def rule(
        x: ShapedArray,
        indices: ShapedArray,
        updates: ShapedArray,
        *,
        dimension_numbers: ScatterDimensionNumbers,
        indices_are_sorted: bool,
        unique_indices: bool,
        mode: GatherScatterMode,
    ) -> ShapedArray:
        d = dimension_numbers
        check_indices(name, indices)
        if x.dtype != updates.dtype:
            raise TypeError(
                f"{name} takes updates of the operand's dtype, got {x.str_short()} and "
                f"{updates.str_short()}{at_user_line()}"
            )
        dropped = (*d.inserted_window_dims, *d.operand_batching_dims)
        rank = len(x.shape)
        ok = (
            bool(indices.shape)
            and indices.shape[-1] == len(d.scatter_dims_to_operand_dims)
            and len(d.update_window_dims) == rank - len(dropped)
            and all(0 <= k < len(updates.shape) for k in d.update_window_dims)
        )
        if ok:
            outer = [s for i, s in enumerate(updates.shape) if i not in d.update_window_dims]
            window = window_sizes(rank, updates.shape, d)
            ok = tuple(outer) == indices.shape[:-1] and all(
                w <= n or i in dropped for i, (w, n) in enumerate(zip(window, x.shape, strict=True))
            )
        if not ok:
            raise TypeError(
                f"{name} into {x.str_short()} at indices {indices.str_short()} of updates "
                f"{updates.str_short()}: the shapes do not fit {d}{at_user_line()}"
            )
        return x if not x.weak_type or updates.weak_type else x.strip_weak_type()

    prim.def_abstract_eval(rule)


def _scatter_function(prim: Primitive, summary: str, result: str) -> Callable[..., Any]:
    name = prim.name

    def scatter_function(
        operand: Any,
        scatter_indices: Any,
        updates: Any,
        dimension_numbers: ScatterDimensionNumbers,
        *,
        indices_are_sorted: bool = False,
        unique_indices: bool = False,
        mode: Any = None,
    ) -> Any:
        x, u = as_operand(operand, name), as_operand(updates, name)
        if type(u) in PY_SCALARS:
            u = weak_operand(name, u, x)
        return prim.bind(
            x,
            as_operand(scatter_indices, name),
            u,
            dimension_numbers=ScatterDimensionNumbers(
                *[tuple(map(int, d)) for d in dimension_numbers]
            ),
            indices_are_sorted=bool(indices_are_sorted),
            unique_indices=bool(unique_indices),
            mode=GatherScatterMode.from_any(mode),
        )

    scatter_function.__name__ = scatter_function.__qualname__ = name
    scatter_function.__doc__ = f"""{summary}

    Parameters
    ----------
    operand : array_like
    scatter_indices : array_like
        Integers. The last dimension holds the components of an index vector.
    updates : array_like
        Of the dtype of ``operand``. The index vectors run over the dimensions that are not
        ``update_window_dims``.
    dimension_numbers : ScatterDimensionNumbers
    indices_are_sorted, unique_indices : bool
        Promises about the indices.
    mode : GatherScatterMode or str, optional
        What indices out of bounds mean (``drop`` by default).

    Returns
    -------
    Array
        Of the shape and dtype of ``operand``, which does not change.

    Raises
    ------
    TypeError
        If shapes and ``dimension_numbers`` do not fit, dtypes differ, or the indices are not
        integers.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> elements = lax.ScatterDimensionNumbers(
    ...     update_window_dims=(), inserted_window_dims=(0,), scatter_dims_to_operand_dims=(0,)
    ... )
    >>> x, indices = np.array([1, 2, 3]), np.array([[2], [2], [0]])
    >>> lax.{name}(x, indices, np.array([5, 7, 6]), elements)
    {result}
    """
    return scatter_function


for _p in (scatter_p, scatter_add_p, scatter_mul_p, scatter_min_p, scatter_max_p):
    _define(_p)

scatter = _scatter_function(
    scatter_p,
    "``operand`` with windows replaced by ``updates``; the last of several counts.",
    "Array([6, 2, 7], dtype=int32)",
)
scatter_add = _scatter_function(
    scatter_add_p,
    "``operand`` with ``updates`` added to windows.",
    "Array([ 7,  2, 15], dtype=int32)",
)
scatter_mul = _scatter_function(
    scatter_mul_p,
    "``operand`` with windows multiplied.",
    "Array([  6,   2, 105], dtype=int32)",
)
scatter_min = _scatter_function(
    scatter_min_p,
    "``operand`` with minima taken with windows.",
    "Array([1, 2, 3], dtype=int32)",
)
scatter_max = _scatter_function(
    scatter_max_p,
    "``operand`` with maxima taken with windows.",
    "Array([6, 2, 7], dtype=int32)",
)


def scatter_sub(
    operand: Any,
    scatter_indices: Any,
    updates: Any,
    dimension_numbers: ScatterDimensionNumbers,
    *,
    indices_are_sorted: bool = False,
    unique_indices: bool = False,
    mode: Any = None,
) -> Any:
    """``operand`` with ``updates`` subtracted from windows; see `scatter_add`.

    Parameters
    ----------
    operand : array_like
    scatter_indices : array_like
        Integers. The last dimension holds the components of an index vector.
    updates : array_like
        Of the dtype of ``operand``.
    dimension_numbers : ScatterDimensionNumbers
    indices_are_sorted, unique_indices : bool
        Promises about the indices.
    mode : GatherScatterMode or str, optional
        What indices out of bounds mean (``drop`` by default).

    Returns
    -------
    Array
        Of the shape and dtype of ``operand``.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> elements = lax.ScatterDimensionNumbers(
    ...     update_window_dims=(), inserted_window_dims=(0,), scatter_dims_to_operand_dims=(0,)
    ... )
    >>> lax.scatter_sub(np.zeros(3), np.array([[0], [2], [2]]), np.array([1.0, 2.0, 3.0]), elements)
    Array([-1.,  0., -5.], dtype=float32)
    """
    return scatter_add(
        operand,
        scatter_indices,
        neg(updates),
        dimension_numbers,
        indices_are_sorted=indices_are_sorted,
        unique_indices=unique_indices,
        mode=mode,
    )


def scatter_apply(
    operand: Any,
    scatter_indices: Any,
    func: Callable[[Any], Any],
    dimension_numbers: ScatterDimensionNumbers,
    *,
    update_shape: Shape = (),
    indices_are_sorted: bool = False,
    unique_indices: bool = False,
    mode: Any = None,
) -> Any:
    """``operand`` with ``func`` applied to the elements of windows.

    Parameters
    ----------
    operand : array_like
    scatter_indices : array_like
        Integers. The last dimension holds the components of an index vector.
    func : callable
        Of an array of all windows, to one of the same shape.
    dimension_numbers : ScatterDimensionNumbers
    update_shape : tuple of int
        That of updates: of the index vectors, and of the windows.
    indices_are_sorted, unique_indices : bool
        Promises about the indices.
    mode : GatherScatterMode or str, optional
        What indices out of bounds mean (``drop`` by default).

    Returns
    -------
    Array
        Of the shape and dtype of ``operand``.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> elements = lax.ScatterDimensionNumbers(
    ...     update_window_dims=(), inserted_window_dims=(0,), scatter_dims_to_operand_dims=(0,)
    ... )
    >>> x = np.array([1.0, 2.0, 3.0])
    >>> lax.scatter_apply(x, np.array([[0], [2]]), lambda v: 10 * v, elements, update_shape=(2,))
    Array([10.,  2., 30.], dtype=float32)
    """
    params: dict[str, Any] = {
        "dimension_numbers": ScatterDimensionNumbers(*dimension_numbers),
        "indices_are_sorted": indices_are_sorted,
        "unique_indices": unique_indices,
        "mode": GatherScatterMode.from_any(mode),
    }
    old = _gather_like(operand, scatter_indices, update_shape, **params)
    return scatter_p.bind(operand, scatter_indices, func(old), **params)


# --- rules -------------------------------------------------------------------------------


def _gather_like(
    x: Any,
    indices: Any,
    updates_shape: Shape,
    *,
    dimension_numbers: ScatterDimensionNumbers,
    mode: GatherScatterMode,
    **params: Any,
) -> Any:
    """The windows that a scatter of updates writes, read from ``x`` (zero out of bounds)."""
    return gather_p.bind(
        x,
        indices,
        dimension_numbers=GatherDimensionNumbers(*dimension_numbers),
        slice_sizes=window_sizes(len(aval_of(x).shape), updates_shape, dimension_numbers),
        mode=mode,
        fill_value=0 if mode is GatherScatterMode.FILL_OR_DROP else None,
        **params,
    )


def _winners(x_shape: Shape, indices: Any, updates_shape: Shape, params: dict[str, Any]) -> Any:
    """Which elements of the updates survive a scatter whose indices may repeat."""
    n = product(updates_shape)
    ids = reshape(iota(dtypes.int32, n), updates_shape)
    none = structural.full(x_shape, -1, dtypes.int32)
    written = scatter_p.bind(none, indices, ids, **params)
    return eq(_gather_like(written, indices, updates_shape, **params), ids)


def _scatter_jvp(primals: Sequence[Any], tangents: Sequence[Any], **params: Any) -> tuple[Any, Any]:
    x, indices, updates = primals
    out = scatter_p.bind(x, indices, updates, **params)
    gx, _, gu = tangents
    if type(gx) is Zero and type(gu) is Zero:
        return out, Zero.of(out)
    return out, scatter_p.bind(instantiate(gx), indices, instantiate(gu), **params)


def _scatter_transpose(ct: Any, x: Any, indices: Any, updates: Any, **params: Any) -> list[Any]:
    undefined = type(updates) is UndefinedPrimal
    uaval = updates.aval if undefined else aval_of(updates)
    ct_x = ct_updates = None
    if type(x) is UndefinedPrimal:
        ct_x = scatter_p.bind(ct, indices, structural.zeros(uaval), **params)
    if undefined:
        ct_updates = _gather_like(ct, indices, uaval.shape, **params)
        if not params["unique_indices"]:
            kept = _winners(aval_of(ct).shape, indices, uaval.shape, params)
            ct_updates = select(kept, ct_updates, scalar(0, aval_of(ct).dtype))
    return [ct_x, None, ct_updates]


def _scatter_add_jvp(
    primals: Sequence[Any], tangents: Sequence[Any], **params: Any
) -> tuple[Any, Any]:
    x, indices, updates = primals
    out = scatter_add_p.bind(x, indices, updates, **params)
    gx, _, gu = tangents
    if type(gu) is Zero:
        return out, gx
    return out, scatter_add_p.bind(instantiate(gx), indices, gu, **params)


def _scatter_add_transpose(ct: Any, x: Any, indices: Any, updates: Any, **params: Any) -> list[Any]:
    ct_updates = None
    if type(updates) is UndefinedPrimal:
        ct_updates = _gather_like(ct, indices, updates.aval.shape, **params)
    return [ct if type(x) is UndefinedPrimal else None, None, ct_updates]


def _scatter_mul_jvp(
    primals: Sequence[Any], tangents: Sequence[Any], **params: Any
) -> tuple[Any, Any]:
    x, indices, updates = primals
    out = scatter_mul_p.bind(x, indices, updates, **params)
    gx, _, gu = tangents
    tangent: Any = Zero.of(out)
    if type(gx) is not Zero:
        tangent = scatter_mul_p.bind(gx, indices, updates, **params)
    if type(gu) is not Zero:
        if not params["unique_indices"]:
            raise NotImplementedError(
                "the derivative of scatter_mul by its updates needs unique_indices=True"
                f"{at_user_line()}"
            )
        term = mul(gu, _gather_like(x, indices, aval_of(gu).shape, **params))
        zeros = structural.full(aval_of(x).shape, 0, aval_of(x).dtype)
        tangent = add_tangents(tangent, scatter_add_p.bind(zeros, indices, term, **params))
    return out, tangent


def _scatter_mul_transpose(ct: Any, x: Any, indices: Any, updates: Any, **params: Any) -> list[Any]:
    return [scatter_mul_p.bind(ct, indices, updates, **params), None, None]


def _extremum_jvp(prim: Primitive) -> Callable[..., tuple[Any, Any]]:
    def jvp(primals: Sequence[Any], tangents: Sequence[Any], **params: Any) -> tuple[Any, Any]:
        x, indices, updates = primals
        out = prim.bind(x, indices, updates, **params)
        gx, _, gu = tangents
        if type(gx) is Zero and type(gu) is Zero:
            return out, Zero.of(out)
        # The tangent is shared evenly among all that attain the extremum.
        dt = aval_of(out).dtype
        from_x = convert_element_type(eq(x, out), dt)
        chosen = eq(updates, _gather_like(out, indices, aval_of(updates).shape, **params))
        from_u = convert_element_type(chosen, dt)
        count = scatter_add_p.bind(from_x, indices, from_u, **params)
        total = scatter_add_p.bind(
            mul(instantiate(gx), from_x), indices, mul(instantiate(gu), from_u), **params
        )
        return out, div(total, count)

    return jvp


def _batch(prim: Primitive) -> Callable[..., tuple[Any, int]]:
    def batch(
        axis_size: int,
        args: Sequence[Any],
        dims: Sequence[int | None],
        *,
        dimension_numbers: ScatterDimensionNumbers,
        **params: Any,
    ) -> tuple[Any, int]:
        d = dimension_numbers
        x = bring_dim(args[0], axis_size, dims[0], 0)
        updates = bring_dim(args[2], axis_size, dims[2], 0)
        indices = args[1]
        window = _up(d.update_window_dims)
        x_batch, i_batch = _up(d.operand_batching_dims), d.scatter_indices_batching_dims
        if dims[1] is None:
            window = (0, *window)
        else:
            indices = move_dim(indices, dims[1], 0)
            x_batch, i_batch = (0, *x_batch), (0, *_up(i_batch))
        numbers = ScatterDimensionNumbers(
            window,
            _up(d.inserted_window_dims),
            _up(d.scatter_dims_to_operand_dims),
            x_batch,
            i_batch,
        )
        return prim.bind(x, indices, updates, dimension_numbers=numbers, **params), 0

    return batch


jvp_rules[scatter_p] = _scatter_jvp
transpose_rules[scatter_p] = _scatter_transpose
jvp_rules[scatter_add_p] = _scatter_add_jvp
transpose_rules[scatter_add_p] = _scatter_add_transpose
jvp_rules[scatter_mul_p] = _scatter_mul_jvp
transpose_rules[scatter_mul_p] = _scatter_mul_transpose
for _p in (scatter_min_p, scatter_max_p):
    jvp_rules[_p] = _extremum_jvp(_p)
for _p in (scatter_p, scatter_add_p, scatter_mul_p, scatter_min_p, scatter_max_p):
    batching_rules[_p] = _batch(_p)
