"""How values inside of programs are spread over devices: told when a program is compiled."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

from covector.core import tree
from covector.core.avals import ShapedArray, to_array
from covector.core.jaxpr import ClosedJaxpr, JaxprEqn, all_jaxprs
from covector.core.rules import Zero, batching_rules, jvp_rules
from covector.core.trace import Primitive
from covector.sharding.base import Sharding
from covector.sharding.propagate import Split, nowhere, spec_of, split_of, split_rules, through
from covector.transforms.arguments import check_callable
from covector.transforms.callbacks import DebugEffect

inspect_sharding_p = Primitive("inspect_sharding", multiple_results=True)


class InspectEffect(DebugEffect):
    """Keeps the question in a program, though nothing uses its result.

    Examples
    --------
    >>> from covector.sharding.inspection import InspectEffect
    >>> InspectEffect()
    Inspect
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return "Inspect"


_EFFECTS = frozenset((InspectEffect(),))
inspect_sharding_p.def_effects(lambda params: _EFFECTS)
# Nothing is left of it in the program that runs.
inspect_sharding_p.expansion = lambda x, callback: []


@inspect_sharding_p.def_abstract_eval
def _avals(x: ShapedArray, *, callback: Any) -> list[ShapedArray]:
    return []


def _run(args: Sequence[Any], params: dict[str, Any]) -> list[Any]:
    params["callback"](to_array(args[0]).sharding)
    return []


def _jvp(primals: Sequence[Any], tangents: Sequence[Any], **params: Any) -> tuple[list[Any], Any]:
    inspect_sharding_p.bind_params(primals, params)
    none: list[Zero] = []
    return [], none


def _batch(size: int, args: Sequence[Any], dims: Sequence[int], **params: Any) -> Any:
    inspect_sharding_p.bind_params(args, params)
    return [], []


inspect_sharding_p.impl = _run
jvp_rules[inspect_sharding_p] = _jvp
batching_rules[inspect_sharding_p] = _batch

# The splits that were found, by the equation, while programs are looked through for `tell`.
_found: dict[int, Split] | None = None


def _note(eqn: JaxprEqn, splits: list[Split], sizes: dict[Hashable, int]) -> list[Split]:
    if _found is not None:
        _found[id(eqn)] = splits[0]  # loops are gone through until nothing changes: the last holds
    return []


split_rules[inspect_sharding_p] = _note


def tell(closed: ClosedJaxpr, where: Sharding, operands: Sequence[Any] | None) -> None:
    """Call the callbacks of a program that runs on the devices of ``where``.

    ``operands`` are the shardings of its arguments, None on a single device.
    """
    asked = [
        eqn
        for jaxpr in all_jaxprs(closed.jaxpr)
        for eqn in jaxpr.eqns
        if eqn.primitive is inspect_sharding_p
    ]
    found: dict[int, Split] = {}
    if operands is not None and asked:
        found = _splits(closed, where, operands)
    for eqn in asked:
        shown: Any = where
        if operands is not None:
            (x,) = eqn.invars
            shown = where.update(spec=spec_of(found.get(id(eqn), nowhere(x.aval))))  # type: ignore[attr-defined]
        eqn.params["callback"](shown)


def _splits(closed: ClosedJaxpr, where: Any, operands: Sequence[Any]) -> dict[int, Split]:
    global _found
    sizes = dict(where.mesh.shape)
    splits = [
        nowhere(a) if s is None else split_of(s.spec, a.ndim)
        for a, s in zip(closed.in_avals, operands, strict=True)
    ]
    _found = {}
    try:
        through(closed.jaxpr, splits, sizes)
        return _found
    finally:
        _found = None


def inspect_array_sharding(value: Any, *, callback: Callable[[Sharding], None]) -> None:
    """Call a function with the sharding of an array.

    Parameters
    ----------
    value : pytree of arrays
        In a traced function, their shardings are known once it is compiled: the function is
        called then, and not when the program runs.
    callback : callable
        Called with the sharding of each array.

    Returns
    -------
    None

    Examples
    --------
    >>> import covector as cv
    >>> from covector.sharding import PartitionSpec as P
    >>> x = cv.device_put(cv.numpy.arange(4), cv.NamedSharding(cv.make_mesh((1,), ("x",)), P("x")))
    >>> found = []
    >>> @cv.jit
    ... def f(x):
    ...     y = x * 2
    ...     cv.debug.inspect_array_sharding(y, callback=found.append)
    ...     return y.sum()
    >>> f(x)
    Array(12, dtype=int32)
    >>> found[0].spec
    P('x',)
    """
    check_callable(callback, "inspect_array_sharding")
    for leaf in tree.leaves(value):
        inspect_sharding_p.bind_params((leaf,), {"callback": callback})
