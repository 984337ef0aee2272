"""A Python function that one process calls for all: they are told what it returns or raises."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from covector.core.avals import ShapedArray
from covector.core.jaxpr import JaxprEqn
from covector.core.structural import zeros
from covector.sharding.partition.collective import collective
from covector.transforms.callbacks import FlatCallback, call_checked

# Of what a function raises, as many bytes are told.
_STATUS = ShapedArray((512,), np.dtype(np.uint8))


def called_by_first(
    eqn: JaxprEqn, values: Sequence[Any], ranks: tuple[int, ...], here: int
) -> list[Any]:
    """The results of an ``io_callback``, which the first of ``ranks`` calls, in all of them.

    If it raises, so do all.
    """
    params, first = eqn.params, ranks[0]
    avals = [ShapedArray(v.aval.shape, v.aval.dtype) for v in eqn.outvars]
    call = _Call(params["callback"], avals, first)
    told = (_STATUS, *avals)
    if here == first:
        params = {**params, "callback": call, "result_avals": told}
        outs = eqn.primitive.bind_params(values, params)
    else:
        outs = [zeros(a) for a in told]
    status, *outs = [collective(x, "broadcast", ranks) for x in outs]
    checked = {**params, "callback": _Check(call), "result_avals": ()}
    eqn.primitive.bind_params((status,), checked)
    return outs


class _Call:
    """The function, with a status in front of its results."""

    def __init__(self, callback: FlatCallback, avals: Sequence[ShapedArray], rank: int) -> None:
        self.callback, self.avals, self.rank = callback, avals, rank
        self.__name__ = callback.__name__
        self.error: BaseException | None = None

    def __call__(self, *args: Any) -> list[Any]:
        status = np.zeros(_STATUS.shape, _STATUS.dtype)
        try:
            return [status, *call_checked(self.callback, args, self.avals, "io_callback")]
        except BaseException as e:
            self.error = e
            text = f"{type(e).__name__}: {e}".encode()[: status.size]
            status[: len(text)] = list(text)
        return [status, *[np.zeros(a.shape, a.dtype) for a in self.avals]]


class _Check:
    """Raises what the function raised, or says that it did in another process."""

    def __init__(self, call: _Call) -> None:
        self._call = call
        self.__name__ = call.__name__

    def __call__(self, status: Any) -> list[Any]:
        text = bytes(np.asarray(status)).rstrip(b"\0").decode(errors="replace")
        error, self._call.error = self._call.error, None
        if error is not None:
            raise error
        if text:
            raise RuntimeError(
                f"io_callback: {self.__name__} has raised in process {self._call.rank}, which "
                f"calls it for all: {text}"
            )
        return []
