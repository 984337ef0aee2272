"""``vmap``: a function of one example as a function of a batch."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

from covector.core import tree
from covector.core.avals import PlacedArray, ShapedArray, aval_of, not_an_array
from covector.core.dtypes import float0
from covector.core.errors import at_user_line, describe
from covector.core.prefixes import mismatch
from covector.core.references import write
from covector.core.structural import bring_dim, zeros
from covector.core.tree_paths import flatten_with_path, keystr
from covector.transforms.arguments import (
    api_boundary,
    argument_names,
    check_callable,
    check_results,
    fun_name,
    wraps,
)
from covector.transforms.autodiff import as_result
from covector.transforms.references import LocalRefs, mapped_refs
from covector.transforms.vmap import SplitAxis, bring, vmap_flat


def _is_axis(x: Any) -> bool:
    return x is None or (isinstance(x, int) and not isinstance(x, bool))


def flatten_axes(
    axes: Any, full: Any, what: str, of: str, function: str = "vmap"
) -> list[int | None]:
    """One entry of ``axes``, a tree prefix of ``full``, for each leaf of ``full``.

    Raises
    ------
    ValueError
        If it is not a prefix.
    """
    if _is_axis(axes):
        return [axes] * len(tree.leaves(full))
    try:
        return tree.broadcast_prefix(axes, full)
    except (ValueError, TypeError) as e:
        raise ValueError(
            f"{function}: {what} must be an int, None, or a tree that is a prefix of {of}; got "
            f"{what}={axes!r} for a tree {tree.structure(full)}. {mismatch(axes, full, e)}"
            f"{at_user_line()}"
        ) from None


def _size_error(
    fun: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    flat: Sequence[Any],
    dims: Sequence[int | None],
    axis_size: int | None,
    what: str,
) -> str:
    names = argument_names(fun, args, kwargs)
    by_size: dict[int, list[str]] = {}
    for name, x, d in zip(names, flat, dims, strict=True):
        if d is not None:
            aval = aval_of(x)
            by_size.setdefault(aval.shape[d], []).append(
                f"axis {d} of argument {name}, of type {aval.str_short()}"
            )
    lines = []
    for size, items in by_size.items():
        shown = "; ".join(items[:3]) + (f"; and {len(items) - 3} more" if len(items) > 3 else "")
        lines.append(f"  size {size}: {shown}")
    head = f"{what} got inconsistent sizes for array axes to be mapped"
    if axis_size is not None:
        head += f" (axis_size={axis_size} was given)"
    return head + ":\n" + "\n".join(lines) + at_user_line()


@api_boundary
def vmap(
    fun: Callable[..., Any],
    in_axes: int | None | Sequence[Any] = 0,
    out_axes: Any = 0,
    axis_name: Hashable | None = None,
    axis_size: int | None = None,
    spmd_axis_name: Any = None,
    sum_match: bool = False,
) -> Callable[..., Any]:
    """Map a function over axes of its arguments, all elements at once.

    Parameters
    ----------
    fun : callable
    in_axes : int, None, or tuple of pytrees of those
        For each positional argument (or part of one) the axis to map, None for arguments
        that are the same for all elements. Keyword arguments are mapped over axis 0.
    out_axes : int, None, or pytree of those
        Where the mapped axis stands in each result; None for results that do not depend on
        the mapped arguments.
    axis_name : hashable, optional
        A name for the axis, by which collectives (`lax.psum`, …) refer to it.
    axis_size : int, optional
        The size of the axis, where no argument is mapped.
    spmd_axis_name : hashable or tuple of hashable, optional
        Axes of a mesh over which the mapped axis is split where ``fun`` says how values lie
        (`lax.with_sharding_constraint`) or runs along a mesh (`shard_map`).
    sum_match : optional
        Has no effect.

    Returns
    -------
    callable

    Raises
    ------
    ValueError
        In a call, if the sizes of the mapped axes differ, no argument is mapped, ``in_axes``
        does not fit the arguments, or types say that the mapped axes are split in different ways.

    Examples
    --------
    >>> import covector as cv
    >>> cv.vmap(lambda x, y: x * y, in_axes=(0, None))(cv.numpy.arange(3), 2)
    Array([0, 2, 4], dtype=int32)

    ``in_axes`` has one entry per argument, which may go into its structure:

    >>> model = {"w": cv.numpy.arange(3), "b": 10}
    >>> cv.vmap(lambda m: m["w"] + m["b"], in_axes=({"w": 0, "b": None},))(model)
    Array([10, 11, 12], dtype=int32)

    All pairs of two vectors, by mapping twice:

    >>> outer = cv.vmap(cv.vmap(lambda x, y: x * y, (None, 0)), (0, None))
    >>> outer(cv.numpy.array([1, 10]), cv.numpy.arange(3))
    Array([[ 0,  1,  2],
           [ 0, 10, 20]], dtype=int32)
    """
    check_callable(fun, "vmap")
    if isinstance(in_axes, list):
        in_axes = tuple(in_axes)
    _check_in_axes(in_axes)
    _check_out_axes(out_axes)
    over = (
        () if spmd_axis_name is None
        else spmd_axis_name if isinstance(spmd_axis_name, tuple) else (spmd_axis_name,)
    )  # fmt: skip

    @api_boundary
    @wraps(fun)
    def vmap_f(*args: Any, **kwargs: Any) -> Any:
        _check_call(fun, in_axes, args)
        flat, in_tree = tree.flatten((args, kwargs))
        dims = flatten_axes(in_axes, args, "in_axes", "the positional arguments")
        dims += [0] * (len(flat) - len(dims))
        size = mapped_size(fun, args, kwargs, flat, dims, axis_size)
        if size is None:
            raise ValueError(
                f"vmap: no argument of {fun_name(fun)} is mapped: at least one entry of in_axes "
                f"must not be None, or axis_size must be given; got in_axes={in_axes!r}"
                f"{at_user_line()}"
            )
        out_tree: Any = None
        refs = mapped_refs(flat, dims)

        def flat_f(*leaves: Any) -> list[Any]:
            nonlocal out_tree
            a, k = tree.unflatten(in_tree, leaves if refs is None else refs.put(leaves))
            outs, out_tree = tree.flatten(fun(*a, **k))
            check_results(outs, out_tree, fun, "vmap")
            return outs if refs is None else [*outs, *refs.last_values(leaves)]

        values = flat if refs is None else refs.values(flat)
        axis = _axis(fun, args, kwargs, values, dims, axis_name, over)
        outs, out_dims = vmap_flat(flat_f, size, values, dims, axis)
        if refs is not None:
            n = out_tree.num_leaves
            _write_back(refs, outs[n:], out_dims[n:], dims, size)
            outs, out_dims = outs[:n], out_dims[:n]
        result = f"the result of {fun_name(fun)}"
        wanted = flatten_axes(out_axes, out_tree.unflatten([0] * len(outs)), "out_axes", result)
        results = [
            _result(fun, out_tree, i, x, d, w, size, axis)
            for i, (x, d, w) in enumerate(zip(outs, out_dims, wanted, strict=True))
        ]
        return tree.unflatten(out_tree, results)

    return vmap_f


def _axis(
    fun: Any, args: Any, kwargs: Any, flat: Sequence[Any], dims: Sequence[int | None],
    name: Hashable, over: tuple[Hashable, ...],
) -> Hashable:  # fmt: skip
    """The name of the axis, with the axes of a mesh over which it is split."""
    avals = (
        {k: aval_of(flat[k]) for k, d in enumerate(dims) if d is not None}
        if PlacedArray.exist
        else {}
    )
    if all(a.placed is None for a in avals.values()):
        return SplitAxis(name, over, None) if over else name
    known = [a.placed for a in avals.values() if a.placed is not None]
    parts = {k: () if a.placed is None else _over(a.placed, dims[k]) for k, a in avals.items()}
    split = next((p for p in parts.values() if p), ())
    if any(p != split for p in parts.values()):
        names = argument_names(fun, args, kwargs)
        listing = "; ".join([f"{names[k]} is {avals[k].str_short()}" for k in parts])
        raise ValueError(
            f"vmap of {fun_name(fun)}: the mapped axes of all arguments must be split alike over "
            f"the mesh, and types say: {listing}. Lay one of them out as another is with "
            f"covector.reshard{at_user_line()}"
        )
    if split and over and over != split:
        raise ValueError(
            f"vmap of {fun_name(fun)}: spmd_axis_name={over!r} says over which axes of the mesh "
            f"the mapped axis is split; the types of the arguments say {split!r}{at_user_line()}"
        )
    if not split:
        return SplitAxis(name, over, None) if over else name
    return SplitAxis(name, split, known[0].update(spec=(split,)))


def _over(placed: Any, dim: Any) -> tuple[Hashable, ...]:
    """The axes of the mesh over which a dimension is split."""
    part = placed.spec[dim] if dim < len(placed.spec) else None
    return () if part is None else part if isinstance(part, tuple) else (part,)


def _write_back(
    refs: LocalRefs, last: Sequence[Any], at: Sequence[int | None], dims: Sequence[int | None],
    size: int,
) -> None:  # fmt: skip
    """Give mapped references their last values, mapped ``at`` these axes, along their ``dims``."""
    for i, x, d in zip(refs.written, last, at, strict=True):
        write(refs.refs[i], bring_dim(x, size, d, dims[i] or 0))


def _check_in_axes(in_axes: Any) -> None:
    if not (_is_axis(in_axes) or isinstance(in_axes, tuple)):
        raise TypeError(
            "vmap: in_axes must be an int, None, or a tuple with an entry for each positional "
            f"argument, got {describe(in_axes)}{at_user_line()}"
        )
    if not all(_is_axis(x) for x in tree.leaves(in_axes)):
        raise TypeError(
            f"vmap: the leaves of in_axes must be integers or None, got {in_axes!r}{at_user_line()}"
        )


def _check_out_axes(out_axes: Any) -> None:
    if not all(_is_axis(x) for x in tree.leaves(out_axes)):
        raise TypeError(
            f"vmap: out_axes must be an int, None, or a tree of those, got {out_axes!r}"
            f"{at_user_line()}"
        )


def _check_call(fun: Any, in_axes: Any, args: tuple[Any, ...]) -> None:
    if isinstance(in_axes, tuple) and len(in_axes) != len(args):
        raise ValueError(
            "vmap: in_axes must be an int, None, or a tuple of entries for the positional "
            f"arguments passed to the function, but len(in_axes)={len(in_axes)} and "
            f"{fun_name(fun)} was called with {len(args)} positional arguments{at_user_line()}"
        )


def mapped_size(
    fun: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    flat: list[Any],
    dims: list[int | None],
    axis_size: int | None,
    what: str = "vmap",
) -> int | None:
    """The size of the mapped axis, None if there is none; ``dims`` are made non-negative.

    What is not mapped need not be an array.
    """
    size = axis_size
    consistent = True
    for i, d in enumerate(dims):
        if d is None:
            continue
        try:
            aval = aval_of(flat[i])
        except TypeError:
            name = argument_names(fun, args, kwargs)[i]
            raise TypeError(
                f"{what}: the argument {name} is not an array: {not_an_array(flat[i])}. With None "
                f"in in_axes, it is passed as it is{at_user_line()}"
            ) from None
        n = len(aval.shape)
        if not -n <= d < n:
            name = argument_names(fun, args, kwargs)[i]
            raise ValueError(
                f"{what} was requested to map argument {name} along axis {d}, which implies "
                f"that its rank should be at least {d + 1 if d >= 0 else -d}, but it is "
                f"{aval.str_short()} of rank {n}{at_user_line()}"
            )
        d = dims[i] = d % n
        if size is None:
            size = aval.shape[d]
        elif size != aval.shape[d]:
            consistent = False
    if not consistent:
        raise ValueError(_size_error(fun, args, kwargs, flat, dims, axis_size, what))
    return size


def _result(
    fun: Callable[..., Any], out_tree: Any, i: int, x: Any, d: int | None, w: int | None, size: int,
    axis: Hashable,
) -> Any:  # fmt: skip
    """Result number ``i``, mapped along ``d``, with its mapped axis at ``w``."""
    if getattr(x, "dtype", None) == float0 and w is not None:
        shape = list(x.shape)
        shape.insert(w % (len(shape) + 1), size)
        return zeros(ShapedArray(tuple(shape), float0))
    if w is None:
        if d is not None:
            raise ValueError(_unmapped_error(fun, out_tree, i, out_tree.num_leaves))
        return as_result(x)
    n = len(aval_of(x).shape) + (d is None)
    if not -n <= w < n:
        raise ValueError(
            f"vmap: out_axes asks for the mapped axis at position {w} of a result of rank "
            f"{n} (mapped axis included) of {fun_name(fun)}{at_user_line()}"
        )
    return as_result(bring(x, size, axis, d, w % n))


def _unmapped_error(fun: Callable[..., Any], out_tree: Any, i: int, n: int) -> str:
    path = flatten_with_path(out_tree.unflatten(list(range(n))))[0][i][0]
    return (
        f"vmap has mapped output but out_axes is None: the result{keystr(path)} of "
        f"{fun_name(fun)} depends on the mapped arguments, so that out_axes needs an axis for it"
        f"{at_user_line()}"
    )
