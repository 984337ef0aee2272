"""Collectives that compiled programs call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from covector.core.avals import ShapedArray
from covector.distributed.bootstrap import current_job
from covector.distributed.communicator import reduce_rows
from covector.runtime.callbacks import Registration, view


def registration(params: dict[str, Any], given: ShapedArray, result: ShapedArray) -> Registration:
    """A collective known to the native core; it uses the communicator of the time it runs."""
    kind, ranks, pairs = params["kind"], params["ranks"], params["pairs"]

    def run(in_addresses: Sequence[int], out_addresses: Sequence[int]) -> None:
        out = view(out_addresses[0], result)
        out[...] = collect(kind, ranks, pairs, view(in_addresses[0], given))

    return Registration(run)


def collect(kind: str, ranks: tuple[int, ...], pairs: Any, x: np.ndarray) -> np.ndarray:
    """The result of a collective among ``ranks``."""
    group = current_job().group(ranks)
    match kind:
        case "gather":
            return group.allgather(x)
        case "exchange":
            return group.alltoall(x)
        case "scatter":
            return reduce_rows(group.alltoall(x), "sum")
        case "permute":
            return group.sendrecv(x, pairs)
        case "broadcast":
            return group.broadcast(x)
    return group.allreduce(x, kind)
