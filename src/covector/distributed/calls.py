"""Collectives that compiled programs call.

Where processes share memory, the program calls native code; otherwise this module's Python.
"""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from covector.core.avals import ShapedArray
from covector.distributed.bootstrap import current_job
from covector.runtime import foreign
from covector.runtime.callbacks import Registration, view, words
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
    kind, ranks, pairs = params["kind"], params["ranks"], params["pairs"]
    label = f" of {params['program']}" if params["program"] else ""
    if _shown.get():
        return (Registration(_never),)
    group = current_job().group(ranks)
    method = _METHODS.get(kind, "allreduce")
    options: dict[str, Any] = {"op": kind} if method == "allreduce" else {}
    if kind == "permute":
        options["pairs"] = pairs
    plan = None
    if hasattr(group, "plan"):
        plan = group.plan(method, words(given), label=label, **options)
    if plan is not None:
        return _native_call(plan, given, result), plan
    call = getattr(group, method)

    def run(in_addresses: Sequence[int], out_addresses: Sequence[int]) -> None:
        group.label = label
        try:
            view(out_addresses[0], result)[...] = call(view(in_addresses[0], given), **options)
        finally:
            group.label = ""

    return (Registration(run),)


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
