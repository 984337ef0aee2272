"""Primitives that are made of others: calls, and those of random numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from covector.control_flow.checkpoint import checkpoint_p as remat_p
from covector.core.avals import aval_of
from covector.core.errors import meaningless
from covector.core.jaxpr import ClosedJaxpr, eval_jaxpr
from covector.core.structural import add_any_p as add_jaxvals_p
from covector.core.structural import reshape
from covector.core.trace import Composed
from covector.extend.core._programs import CallPrimitive
from covector.random import bits, fold_in, gamma, key, loggamma, split
from covector.transforms.vmap_api import vmap

call_p = CallPrimitive("call")


def _closed_call(*args: Any, call_jaxpr: ClosedJaxpr) -> list[Any]:
    return eval_jaxpr(call_jaxpr.jaxpr, call_jaxpr.consts, *args)


def _each(fun: Callable[..., Any], keys: Any, *args: Any) -> Any:
    """``fun`` for every key of an array of them, and for what stands in the same place."""
    shape, n = aval_of(keys).shape, aval_of(keys).size
    if not shape:
        return fun(keys, *args)
    out = vmap(fun)(*[reshape(x, (n,)) for x in (keys, *args)])
    return reshape(out, (*shape, *aval_of(out).shape[1:]))


def _seed(seeds: Any, *, impl: Any = None) -> Any:
    return _each(lambda s: key(s), seeds)


def _split(keys: Any, *, shape: tuple[int, ...]) -> Any:
    return _each(lambda k: split(k, shape), keys)


def _fold_in(keys: Any, msgs: Any) -> Any:
    return _each(fold_in, keys, msgs)


def _bits(keys: Any, *, bit_width: int, shape: tuple[int, ...]) -> Any:
    return _each(lambda k: bits(k, shape, f"uint{bit_width}"), keys)


def _gamma(keys: Any, a: Any, *, log_space: bool) -> Any:
    draw = loggamma if log_space else gamma
    return _each(lambda k, alpha: draw(k, alpha, dtype=aval_of(alpha).dtype), keys, a)


def _absent(name: str, why: str) -> Composed:
    """A primitive that no program has, and that cannot be applied."""

    def refuse(*args: Any, **params: Any) -> NoReturn:
        raise meaningless(name, why)

    return Composed(name, refuse)


_VALUES = "programs of Covector hold the values of references: use covector.ref"
get_p = _absent("get", _VALUES)
swap_p = _absent("swap", _VALUES)
empty2_p = _absent("empty2", "arrays of Covector have values from the start: use lax.full")
closed_call_p = Composed("closed_call", _closed_call, multiple_results=True)
random_seed_p = Composed("random_seed", _seed)
random_split_p = Composed("random_split", _split)
random_fold_in_p = Composed("random_fold_in", _fold_in)
random_bits_p = Composed("random_bits", _bits)
random_gamma_p = Composed("random_gamma", _gamma)

__all__ = ["add_jaxvals_p", "remat_p"]
