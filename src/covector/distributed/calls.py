"""Collectives that compiled programs call.

Where processes share memory, the program calls native code; otherwise this module's Python.
"""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from covector.core.avals import ShapedArray
from covector.distributed.bootstrap import current_job
from covector.distributed.communicator import Collectives
from covector.runtime import foreign
from covector.runtime.callbacks import Registration, view, words
from covector.sharding.partition.collective import Underway
from covector.transforms.foreign import EFFECTS, ForeignFunction

_NAME = "covector.collective"
# What arrays are handed over as, by the bytes of an element.
_BITS = {np.dtype(t).itemsize: np.dtype(t) for t in ("u1", "u2", "u4", "u8", "c16")}
_METHODS = {
    "scatter": "reduce_scatter", "gather": "allgather", "exchange": "alltoall",
    "permute": "sendrecv", "broadcast": "broadcast",
}  # fmt: skip


def registration(
    params: dict[str, Any], given: ShapedArray, result: ShapedArray
) -> tuple[Any, ...]:
    """What the native core calls a collective with, and what is to be kept as long as it."""
    if _shown.get():
        return (Registration(_never),)
    group = current_job().group(params["ranks"])
    method, options = _method(params)
    plan = None
    if hasattr(group, "plan"):
        plan = group.plan(method, words(given), label=_label(params), **options)
    if plan is not None:
        return _native_call(plan, given, result), plan
    call = _call(group, params)

    def run(in_addresses: Sequence[int], out_addresses: Sequence[int]) -> None:
        if group.line is not None:
            group.line.settle()
        view(out_addresses[0], result)[...] = call(view(in_addresses[0], given))

    return (Registration(run),)


def start(params: dict[str, Any], given: ShapedArray) -> Registration:
    """What the native core calls at the start of a collective that goes on meanwhile."""
    group = current_job().group(params["ranks"])
    underway, call, line = params["underway"], _call(group, params), group.line
    assert line is not None

    def run(in_addresses: Sequence[int], out_addresses: Sequence[int]) -> None:
        # A copy: the program may end by an error before the collective does.
        array = view(in_addresses[0], given).copy()
        underway.result = line.submit(lambda: call(array))

    return Registration(run)


def end(underway: Underway, result: ShapedArray) -> Registration:
    """What it calls at the end of that, for the result."""

    def run(in_addresses: Sequence[int], out_addresses: Sequence[int]) -> None:
        future, underway.result = underway.result, None
        view(out_addresses[0], result)[...] = future.result()

    return Registration(run)


def sends(ranks: tuple[int, ...]) -> bool:
    """Whether these processes send messages, which they wait for."""
    return current_job().group(ranks).line is not None


def _method(params: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The method of a communicator, and its options."""
    kind = params["kind"]
    method = _METHODS.get(kind, "allreduce")
    if method == "allreduce":
        return method, {"op": kind}
    return method, {"pairs": params["pairs"]} if kind == "permute" else {}


def _label(params: dict[str, Any]) -> str:
    return f" of {params['program']}" if params["program"] else ""


def _call(group: Collectives, params: dict[str, Any]) -> Callable[[Any], Any]:
    method, options = _method(params)
    call, label = getattr(group, method), _label(params)

    def labelled(array: Any) -> Any:
        group.label = label
        try:
            return call(array, **options)
        finally:
            group.label = ""

    return labelled


_shown = contextvars.ContextVar("shown", default=False)


@contextlib.contextmanager
def only_shown() -> Iterator[None]:
    """Context manager: programs are lowered to be looked at, by one process perhaps."""
    token = _shown.set(True)
    try:
        yield
    finally:
        _shown.reset(token)


def _never(in_addresses: Sequence[int], out_addresses: Sequence[int]) -> None:
    raise RuntimeError("this program was lowered to be shown, not to run")


def _native_call(plan: Any, given: ShapedArray, result: ShapedArray) -> Any:
    """The call of a plan; the native function looks at no more than the sizes."""
    from covector.distributed import shared

    capsule = shared.target()
    address = foreign.address_of(capsule)
    handlers = tuple([address if stage == "execute" else 0 for stage in foreign.STAGES])
    foreign.add_target("cpu", foreign.Target(_NAME, handlers, 0, capsule))
    attributes = (("plan", foreign.attribute("plan", plan.ident)),)
    what = ForeignFunction(_NAME, attributes, (), (((0,),), ((0,),)), (), EFFECTS)
    ins, outs = (ShapedArray((a.size,), _BITS[words(a).dtype.itemsize]) for a in (given, result))
    return foreign.registration(what, [ins], [outs])
