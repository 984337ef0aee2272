"""Arguments and results of compiled functions that say how they lie on devices."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from covector.core import tree
from covector.core.avals import Array, aval_of
from covector.core.errors import at_user_line
from covector.core.prefixes import spread
from covector.sharding import backward  # noqa: F401 - derivatives of what is laid out
from covector.sharding.base import Sharding
from covector.sharding.constraints import (
    check_whole,
    is_place,
    reshard_p,
    resolved,
    sharding_constraint_p,
)
from covector.sharding.mesh import AxisType
from covector.sharding.named import NamedSharding
from covector.transforms.arguments import (
    argument_names,
    fun_name,
    in_range,
    others,
    resolve_nums_and_names,
    with_others,
    wraps,
)


def places(shardings: Any, values: Any, what: str, shown: str) -> list[Any]:
    """A sharding or None for each leaf of ``values``."""
    if isinstance(shardings, list) and isinstance(values, tuple):
        shardings = tuple(shardings)
    for s in tree.leaves(shardings, is_leaf=is_place):
        if not is_place(s):
            raise TypeError(
                f"{shown}: {what} holds shardings, PartitionSpecs, devices and None, got "
                f"{s!r:.100}{at_user_line()}"
            )
    return spread(shardings, values, is_place, f"{shown}: {what}", "one sharding")


def lay(x: Any, where: Any, what: str, name: Callable[[], str]) -> Any:
    """``x`` laid out so."""
    where = resolved(where, what)
    if where is None:
        return x
    if isinstance(where, NamedSharding):
        check_whole(where, name())
        where.check(aval_of(x).shape, name())
        if AxisType.Explicit in where.mesh.axis_types:
            return reshard_p.bind(x, sharding=where)
    return sharding_constraint_p.bind(x, sharding=where)


def placed(
    fun: Callable[..., Any], in_shardings: Any, out_shardings: Any, static_argnums: Any,
    static_argnames: Any,
) -> Callable[..., Any]:  # fmt: skip
    """``fun`` with its arguments and results laid out as the shardings say."""
    shown = fun_name(fun)
    static, _ = resolve_nums_and_names(fun, static_argnums, static_argnames, "static")

    @wraps(fun)
    def laid_out(*args: Any, **kwargs: Any) -> Any:
        if in_shardings is not None:
            if kwargs:
                raise ValueError(
                    f"jit of {shown}: in_shardings are of the positional arguments; pass "
                    f"{next(iter(kwargs))!r} as one{at_user_line()}"
                )
            args = _lay_arguments(fun, args, in_shardings, static, shown)
        out = fun(*args, **kwargs)
        if out_shardings is None:
            return out
        leaves, treedef = tree.flatten(out)
        found = places(out_shardings, out, "out_shardings", f"jit of {shown}")
        what = f"jit of {shown}: out_shardings"
        return tree.unflatten(
            treedef, [lay(x, s, what, lambda: what) for x, s in zip(leaves, found, strict=True)]
        )

    laid_out._in_shardings = in_shardings  # type: ignore[attr-defined]
    laid_out._out_shardings = out_shardings  # type: ignore[attr-defined]
    return laid_out


def _lay_arguments(
    fun: Any, args: Sequence[Any], in_shardings: Any, static: Sequence[int], shown: str
) -> tuple[Any, ...]:
    fixed = in_range(static, len(args))
    dynamic = others(args, fixed)
    leaves, treedef = tree.flatten(dynamic)
    found = places(in_shardings, dynamic, "in_shardings", f"jit of {shown}")
    names = argument_names(fun, list(args), {}, sorted(fixed))
    what = f"jit of {shown}: in_shardings"
    laid = [
        lay(x, s, what, lambda k=k: f"{what} of the argument {names[k]}")  # type: ignore[misc]
        for k, (x, s) in enumerate(zip(leaves, found, strict=True))
    ]
    return with_others(args, fixed, tree.unflatten(treedef, laid))


def asked_of(jitted: Any, dynamic: Any) -> list[Any]:
    """What in_shardings say of each leaf of the arguments that are not static: a place, or None."""
    what = f"jit of {jitted.name}"
    found = places(jitted.fun._in_shardings, dynamic, "in_shardings", what)
    return [resolved(s, f"{what}: in_shardings") for s in found]


def asked_elsewhere(
    jitted: Any, args: tuple[Any, ...], flat: Sequence[Any], names: Callable[[], Sequence[str]]
) -> list[tuple[int, Sharding]]:
    """The arguments that are committed to another device than the one that was asked for, and that.

    Raises
    ------
    ValueError
        For one that is committed to lie in another way than was asked, on several devices.
    """
    dynamic = others(args, in_range(jitted.static_nums, len(args)))
    found = []
    for k, (x, wanted) in enumerate(zip(flat, asked_of(jitted, dynamic), strict=True)):
        if type(x) is not Array or not x.committed or not isinstance(wanted, Sharding):
            continue
        if wanted.is_equivalent_to(x.sharding, x.ndim):
            continue
        if not wanted.spread and not x.sharding.spread:
            found.append((k, wanted.with_memory_kind(None)))
            continue
        known = names()
        name = known[k] if k < len(known) else k
        raise ValueError(
            f"jit of {jitted.name}: the argument {name} is committed to {x.sharding!r}, "
            f"and in_shardings asks for {wanted!r}. Move it with device_put, or ask for None, "
            f"which takes it as it is{at_user_line()}"
        )
    return found
