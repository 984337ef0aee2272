"""Functions traced and lowered for platforms whose devices need not be there."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any, NamedTuple, cast

from covector.core.backend import Layout, SpreadingBackend, get_backend
from covector.core.errors import at_user_line, describe
from covector.core.jaxpr import ClosedJaxpr, all_jaxprs, nesting
from covector.core.levels import room_for
from covector.core.rules import layout_primitives
from covector.export._refining import Refined, scope_of
from covector.export._safety import DisabledSafetyCheck, check_calls
from covector.export._shardings import Spread, size_in, spread_of, without_devices
from covector.sharding import propagate
from covector.sharding.named import NamedSharding
from covector.transforms.arguments import argument_names
from covector.transforms.expand import expand
from covector.transforms.jit import Entry, Jitted


def known_platform(name: Any) -> str:
    """The name of a platform that programs can be lowered for."""
    if not isinstance(name, str):
        raise TypeError(f"export: a platform is a text, got {describe(name)}{at_user_line()}")
    if name == "gpu":
        raise ValueError(
            "export: 'gpu' stands for whichever platform of GPUs is there; those to export for are "
            f"cuda and rocm{at_user_line()}"
        )
    try:
        return get_backend(name).platform
    except RuntimeError as e:
        raise ValueError(f"export: {e}{at_user_line()}") from e


def _check_pure(
    jitted: Jitted, entry: Entry, args: Sequence[Any], kwargs: dict[str, Any]
) -> None:  # fmt: skip
    """Raise the error for a function that is more than a map from arrays to arrays."""
    if entry.refs is not None and entry.refs.arguments:
        name = argument_names(jitted.fun, args, kwargs)[entry.refs.arguments[0]]
        text = (
            f"the argument {name} of {jitted.name} is a reference: an exported function takes and "
            "returns arrays alone; have it take the value, ref[...], and return the new one"
        )
    elif entry.hoisted or entry.refs is not None:
        of = "references" if entry.refs is not None else "traced values"
        text = (
            f"{jitted.name} closes over {of}; an exported function takes arrays alone, all of them "
            "as arguments"
        )
    else:
        return
    raise NotImplementedError(f"export: {text}{at_user_line()}")


class Parts(NamedTuple):
    """What an exported function is made of."""

    fun_name: str
    in_tree: Any
    out_tree: Any
    closed: ClosedJaxpr
    platforms: Sequence[str]
    disabled: tuple[DisabledSafetyCheck, ...]
    texts: dict[str, str]
    spread: Spread


def traced(
    jitted: Jitted, platforms: Sequence[str], checks: tuple[DisabledSafetyCheck, ...],
    args: Sequence[Any], kwargs: dict[str, Any],
) -> Parts:  # fmt: skip
    """Trace a jitted function for these arguments, and lower it."""
    entry, _ = jitted.trace(tuple(args), kwargs, abstract=True)
    _check_pure(jitted, entry, args, kwargs)
    spread = spread_of(jitted, entry.closed, args, kwargs, entry.out_tree)
    jaxpr = expand(entry.closed.jaxpr, frozenset(layout_primitives))
    size = size_in(ClosedJaxpr(jaxpr, entry.closed.consts))
    if max(spread.devices, size) > 1:
        spread = spread._replace(devices=max(spread.devices, size))
        closed = Refined({}, without_devices).closed(ClosedJaxpr(jaxpr, entry.closed.consts))
    else:
        closed = ClosedJaxpr(expand(entry.closed.jaxpr), entry.closed.consts)
    check_calls(closed, checks, jitted.name)
    texts = {}
    symbolic = scope_of(closed.in_avals) is not None
    for p in platforms:
        # What our own compiler runs on the CPU needs no module.
        with contextlib.suppress(*[NotImplementedError] * (p == "cpu")):
            if symbolic:
                check_rules(closed, p)
            else:
                texts[p] = module_text(closed, p, jitted.name, spread)
    return Parts(
        jitted.name, entry.in_tree, entry.out_tree, closed, platforms, checks, texts, spread
    )


def module_text(closed: ClosedJaxpr, platform: str, name: str, spread: Spread) -> str:
    """The module of StableHLO of a program."""
    # The CPU's own compiler does without StableHLO; XLA's takes the text.
    backend = get_backend("xla_cpu" if platform == "cpu" else platform)
    with room_for(nesting(closed.jaxpr)):
        donated = (False,) * len(closed.in_avals)
        first = next((s for s in (*spread.ins, *spread.outs) if s is not None), None)
        if first is None:
            module = backend.lower(closed, donated, name)
        else:
            module = cast(SpreadingBackend, backend).lower_spread(
                closed, donated, name, _layout(closed, first, spread)
            )
    if "stablehlo" not in module.dialects:
        raise NotImplementedError(
            f"export: the backend of {platform} does not write StableHLO{at_user_line()}"
        )
    return module.as_text("portable stablehlo")


def _layout(closed: ClosedJaxpr, first: NamedSharding, spread: Spread) -> Layout:
    """How arguments and results lie over the mesh of the ``first`` of them."""
    whole = propagate.whole(first)
    ins = [s if s is not None and s.mesh == first.mesh else whole for s in spread.ins]
    found = propagate.results(closed, first, ins)
    outs = [
        s if s is not None and s.mesh == first.mesh else f
        for s, f in zip(spread.outs, found, strict=True)
    ]
    return Layout(whole, ins, outs)


def check_rules(closed: ClosedJaxpr, platform: str) -> None:
    """Raise the error for operations that do not run on a platform.

    The module of a program with symbolic sizes is written only for the sizes of a call.
    """
    check = getattr(get_backend("xla_cpu" if platform == "cpu" else platform), "check_rules", None)
    if check is not None:
        for jaxpr in all_jaxprs(closed.jaxpr):
            check(jaxpr)
