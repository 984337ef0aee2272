"""What a program says must hold (`check_p`); `experimental.checkify` makes errors of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from covector.core.avals import ShapedArray
from covector.core.errors import SourceFrame
from covector.core.jaxpr import JaxprEqn
from covector.core.rules import Zero, batching_rules, jvp_rules
from covector.core.structural import bring_dim
from covector.core.trace import Primitive

# check(raised, code, *payload): where ``raised`` holds there is an error of the kind ``effect``.
# ``sites``, pairs of a code and what it stands for, say which. ``debug`` ones may be left out.
check_p = Primitive("check", multiple_results=True)


class CheckEffect:
    """Keeps a check in a program although it has no results."""

    __slots__ = ()
    # Raises the error of a check of known values; set by the layer that has the errors.
    raise_error: ClassVar[Callable[[Sequence[Any], dict[str, Any]], None]]

    def __repr__(self) -> str:
        return "Check"


_EFFECTS = frozenset((CheckEffect(),))


def cannot_stop(eqn: JaxprEqn) -> ValueError:
    """The error of a compiled program that has a check."""
    where = f"\nIt stands at {SourceFrame(*eqn.source_info)}" if eqn.source_info else ""
    return ValueError(
        "compiled code cannot stop at a check: transform the function with checkify.checkify, "
        f"whose error says whether it failed, and compile that{where}"
    )


@check_p.def_abstract_eval
def _check_avals(
    *avals: ShapedArray, effect: Any, sites: tuple[Any, ...], debug: bool
) -> list[ShapedArray]:
    return []


check_p.def_effects(lambda params: _EFFECTS)


def _run(args: Sequence[Any], params: dict[str, Any]) -> list[Any]:
    if not params["debug"]:
        CheckEffect.raise_error(args, params)
    return []


check_p.impl = _run


def _jvp(
    primals: Sequence[Any], tangents: Sequence[Any], **params: Any
) -> tuple[list[Any], list[Zero]]:
    check_p.bind_params(primals, params)
    return [], []


def _batch(
    axis_size: int, args: Sequence[Any], dims: Sequence[int | None], **params: Any
) -> tuple[list[Any], list[int]]:
    check_p.bind_params(
        [bring_dim(x, axis_size, d, 0) for x, d in zip(args, dims, strict=True)], params
    )
    return [], []


jvp_rules[check_p] = _jvp
batching_rules[check_p] = _batch
