"""``out_sharding``: results of functions laid out over the axes of a mesh."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any

from covector.core import tree
from covector.core.avals import PlacedArray, is_split, marked
from covector.core.errors import at_user_line


def laid_out(
    fun: Callable[..., Any], given: dict[str, Any], name: str | None = None, only: int | None = None
) -> Any:
    """The result of ``fun`` for the arguments ``given``, laid out as its ``out_sharding`` says.

    ``given`` are the ``locals()`` at the start of ``fun``, which calls this if its
    ``out_sharding`` is not None. What the operands leave open, such as a sum over an axis that both
    are split over, is no error then. ``only`` is the number of the result that is laid out, if it
    is not all of them.
    """
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    for p in inspect.signature(fun).parameters.values():
        if p.kind is p.VAR_POSITIONAL:
            args += given[p.name]
        elif p.kind is p.KEYWORD_ONLY:
            kwargs[p.name] = given[p.name]
        elif p.name != "out_sharding":
            args.append(given[p.name])
    kwargs["out_sharding"] = given["out_sharding"]
    name = name or fun.__qualname__.split(".")[0]
    return called_laid_out(fun, args, kwargs, name, given.get("device"), only)


def called_laid_out(
    fun: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any], name: str | None = None,
    device: Any = None, only: int | None = None,
) -> Any:  # fmt: skip
    """`laid_out` of a function whose ``out_sharding`` is among ``kwargs``."""
    from covector.sharding.explicit import left_open  # programs on one device do without

    name = name or fun.__name__
    kwargs = dict(kwargs)
    where = _checked(kwargs.pop("out_sharding"), device, name)
    with left_open(where.spec.unreduced):
        out = fun(*args, **kwargs)
    if only is None:
        return tree.map(lambda x: _lay(x, where, f"{name}: out_sharding"), out)
    return tuple([
        _lay(x, where, f"{name}: out_sharding") if k == only else x for k, x in enumerate(out)
    ])  # fmt: skip


def laid(x: Any, where: Any, name: str) -> Any:
    """``x`` where the argument ``sharding`` of a function says."""
    from covector.sharding.base import Sharding

    named = hasattr(where, "partitions") or hasattr(where, "platform")
    if not isinstance(where, Sharding) and not named:
        raise TypeError(
            f"{name}: sharding must be a sharding or a device, got {where!r}{at_user_line()}"
        )
    return _lay(x, where, f"{name}: sharding")


def like(x: Any, other: Any, shape: Any = None, device: Any = None) -> Any:
    """``x``, a new array like ``other``, split as the type of that says; unless a ``shape`` or
    ``device`` was asked for."""
    if not PlacedArray.exist:
        return x
    aval: Any = getattr(other, "aval", None)
    if getattr(aval, "placed", None) is None or shape is not None or device is not None:
        return x
    from covector.sharding.constraints import reshard_p

    return reshard_p.bind(x, sharding=getattr(other, "sharding", None) or marked(aval))


def typeless(fun: Callable[..., Any]) -> Callable[..., Any]:
    """``fun``, a program of ours that types of explicit axes would stop, run without them. Its
    result is laid out as the first argument of its shape that is split, or else is whole."""

    @functools.wraps(fun)
    def run(*args: Any, **kwargs: Any) -> Any:
        split = [x for x in tree.leaves((args, kwargs)) if PlacedArray.exist and is_split(x)]
        return _without_types(fun, args, kwargs, split) if split else fun(*args, **kwargs)

    return run


def _without_types(fun: Callable[..., Any], args: Any, kwargs: Any, split: Sequence[Any]) -> Any:
    from covector.sharding.constraints import recast, reshard_p
    from covector.sharding.context import use_abstract_mesh
    from covector.sharding.explicit import whole_type
    from covector.sharding.mesh import AxisType

    mesh = split[0].aval.placed.mesh
    kinds = dict.fromkeys(mesh.explicit_axes, AxisType.Auto)
    args, kwargs = tree.map(lambda x: recast(x, kinds) if hasattr(x, "aval") else x, (args, kwargs))
    with use_abstract_mesh(mesh.update_axis_types(kinds)):
        out = fun(*args, **kwargs)

    def lay(x: Any) -> Any:
        like = next((y.aval for y in split if y.aval.shape == x.shape), whole_type(x.aval, mesh))
        return reshard_p.bind(x, sharding=like.placed)

    return tree.map(lay, out)


def _lay(x: Any, where: Any, what: str) -> Any:
    from covector.sharding.arguments import lay

    return lay(x, where, what, lambda: what)


def _checked(where: Any, device: Any, name: str) -> Any:
    """An ``out_sharding`` as a sharding.

    Raises
    ------
    TypeError
        If it is something else than a spec or a sharding by names.
    ValueError
        If it names axes of the type Manual, leaves dimensions to the compiler over axes of the
        type Explicit, or is given beside a ``device``.
    """
    from covector.sharding.constraints import resolved
    from covector.sharding.mesh import AxisType
    from covector.sharding.named import NamedSharding
    from covector.sharding.spec import UNCONSTRAINED, PartitionSpec, names_in

    if not isinstance(where, (NamedSharding, PartitionSpec)):
        raise TypeError(
            f"{name}: out_sharding must be a NamedSharding or a PartitionSpec, got {where!r}. "
            f"covector.device_put moves arrays to single devices{at_user_line()}"
        )
    if device is not None:
        raise ValueError(
            f"{name}: device and out_sharding both say where the result is; give one of them, got "
            f"{device!r} and {where!r}{at_user_line()}"
        )
    where = resolved(where, f"{name}: out_sharding")
    kinds = dict(zip(where.mesh.axis_names, where.mesh.axis_types, strict=True))
    manual = [n for p in where.spec for n in names_in(p) if kinds[n] is AxisType.Manual]
    if manual:
        raise ValueError(
            f"{name}: out_sharding={where.spec!r} names the axis {manual[0]!r}, along which the "
            "function is run on each device (shard_map): there are only the parts of arrays here. "
            f"out_specs says how results are joined{at_user_line()}"
        )
    if UNCONSTRAINED in where.spec.partitions and AxisType.Explicit in kinds.values():
        raise ValueError(
            f"{name}: out_sharding={where.spec!r} leaves a dimension to the compiler, and the mesh "
            f"has axes of the type Explicit, over which types say how arrays are split: {kinds}"
            f"{at_user_line()}"
        )
    return where
