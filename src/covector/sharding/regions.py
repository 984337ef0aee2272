"""Parts of programs in which axes of the mesh are of another type: `auto_axes`, `explicit_axes`."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Hashable
from typing import Any

from covector.core import tree
from covector.core.errors import at_user_line
from covector.core.trace import current_trace, eval_trace
from covector.sharding.arguments import lay, places
from covector.sharding.constraints import recast
from covector.sharding.context import concrete_mesh, get_abstract_mesh, set_mesh, use_abstract_mesh
from covector.sharding.mesh import AxisType
from covector.transforms.arguments import api_boundary, check_callable, fun_name, wraps


def _names(axes: Any, known: tuple[Any, ...]) -> tuple[Any, ...]:
    if axes is None:
        return known
    return tuple(axes) if isinstance(axes, (tuple, list, set, frozenset)) else (axes,)


def _region(axes: Any, kind: AxisType, what: str) -> dict[Hashable, AxisType]:
    """The types of axes inside of a function.

    Raises
    ------
    ValueError
        If the mesh that is set does not have the axes.
    """
    mesh = get_abstract_mesh()
    names = _names(axes, mesh.axis_names)
    unknown = [n for n in names if n not in mesh.axis_names]
    if mesh.empty or unknown:
        known = ", ".join(map(repr, mesh.axis_names)) or "none"
        raise ValueError(
            f"{what}: {unknown or 'the function'} needs axes of the mesh that is set "
            f"(covector.set_mesh); it has {known}{at_user_line()}"
        )
    return dict.fromkeys(names, kind)


def _inside(kinds: dict[Hashable, AxisType]) -> contextlib.AbstractContextManager[Any]:
    """Context manager: axes of the mesh are of these types."""
    mesh = concrete_mesh(entered=False)
    if mesh is None or current_trace() is not eval_trace:
        return use_abstract_mesh(get_abstract_mesh().update_axis_types(kinds))
    types = [kinds.get(n, t) for n, t in zip(mesh.axis_names, mesh.axis_types, strict=True)]
    return set_mesh(mesh.update(axis_types=tuple(types)))


def _recast(values: Any, kinds: dict[Hashable, AxisType]) -> Any:
    """``values`` with types of where axes are of these types."""
    leaves, treedef = tree.flatten(values)
    return tree.unflatten(treedef, [recast(x, kinds) if hasattr(x, "aval") else x for x in leaves])


@api_boundary
def auto_axes(
    f: Callable[..., Any] | None = None, /, *, axes: Any = None, out_sharding: Any = None
) -> Any:
    """A function in which the compiler says how values are split over axes of the mesh.

    Parameters
    ----------
    f : callable
        Without it, a decorator is returned.
    axes : name or tuple of names, optional
        By default all axes of the mesh that is set.
    out_sharding : PartitionSpec, NamedSharding, or pytree of those
        How the results are split. It may be given in the call, too.

    Returns
    -------
    callable

    Raises
    ------
    TypeError
        In a call, if there is no ``out_sharding``.
    ValueError
        In a call, if the mesh that is set does not have the axes.

    Examples
    --------
    >>> import covector as cv
    >>> from covector.sharding import PartitionSpec as P, auto_axes
    >>> with cv.set_mesh(cv.make_mesh((1,), ("x",))):
    ...     x = cv.reshard(cv.numpy.arange(4.0), P("x"))
    ...     y = auto_axes(cv.numpy.sort, out_sharding=P("x"))(x)  # needs all of the axis
    ...     cv.typeof(y)
    ShapedArray(float32[4@x])
    """
    if f is None:
        return lambda g: auto_axes(g, axes=axes, out_sharding=out_sharding)
    check_callable(f, "auto_axes")
    shown = f"auto_axes of {fun_name(f)}"

    @api_boundary
    @wraps(f)
    def in_region(*args: Any, out_sharding: Any = out_sharding, **kwargs: Any) -> Any:
        if out_sharding is None:
            raise TypeError(
                f"{shown} needs out_sharding, which says how the result is split over the axes "
                f"outside of it{at_user_line()}"
            )
        kinds = _region(axes, AxisType.Auto, shown)
        args, kwargs = _recast((args, kwargs), kinds)
        with _inside(kinds):
            out = f(*args, **kwargs)
        return _laid(out, out_sharding, "out_sharding", shown)

    return in_region


@api_boundary
def explicit_axes(
    f: Callable[..., Any] | None = None, /, *, axes: Any = None, in_sharding: Any = None
) -> Any:
    """A function in which types say how values are split over axes of the mesh.

    Parameters
    ----------
    f : callable
        Without it, a decorator is returned.
    axes : name or tuple of names, optional
        By default all axes of the mesh that is set.
    in_sharding : PartitionSpec, NamedSharding, or pytree of those
        How the arguments are split. It may be given in the call, too.

    Returns
    -------
    callable

    Raises
    ------
    TypeError
        In a call, if there is no ``in_sharding``.
    ValueError
        In a call, if the mesh that is set does not have the axes.

    Examples
    --------
    >>> import covector as cv
    >>> from covector.sharding import AxisType, PartitionSpec as P, explicit_axes
    >>> with cv.set_mesh(cv.make_mesh((1,), ("x",), (AxisType.Auto,))):
    ...     f = explicit_axes(lambda x: print(cv.typeof(x)), in_sharding=P("x"))
    ...     cv.jit(f)(cv.numpy.arange(4))
    ShapedArray(int32[4@x])
    """
    if f is None:
        return lambda g: explicit_axes(g, axes=axes, in_sharding=in_sharding)
    check_callable(f, "explicit_axes")
    shown = f"explicit_axes of {fun_name(f)}"

    @api_boundary
    @wraps(f)
    def in_region(*args: Any, in_sharding: Any = in_sharding, **kwargs: Any) -> Any:
        if in_sharding is None:
            raise TypeError(
                f"{shown} needs in_sharding, which says how the arguments are split over the axes"
                f"{at_user_line()}"
            )
        before = get_abstract_mesh()
        with _inside(_region(axes, AxisType.Explicit, shown)):
            args = _laid(args, in_sharding, "in_sharding", shown)
            out = f(*args, **kwargs)
        return _recast(out, dict(zip(before.axis_names, before.axis_types, strict=True)))

    return in_region


def _laid(values: Any, shardings: Any, what: str, shown: str) -> Any:
    """``values`` laid out as the shardings say, a prefix of their tree."""
    leaves, treedef = tree.flatten(values)
    found = places(shardings, values, what, shown)
    return tree.unflatten(
        treedef,
        [lay(x, s, f"{shown}: {what}", lambda: shown) for x, s in zip(leaves, found, strict=True)],
    )
