"""`checkify` along the devices of a mesh: each finds errors of its own, of which one is kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from covector import numpy as cnp
from covector.core import dtypes
from covector.core.avals import aval_of
from covector.core.jaxpr import ClosedJaxpr, JaxprEqn, eval_jaxpr
from covector.core.trace import trace_to_jaxpr
from covector.experimental._checkify_rules import Checked, Enabled, Found, checked, late_rules
from covector.primitives.structure import expand_dims
from covector.sharding.constraints import reshard_p
from covector.sharding.mapped import shard_map_p
from covector.sharding.shard_map_rules import along_devices
from covector.sharding.spec import PartitionSpec


def _shard_map(found: Found, enabled: Enabled, eqn: JaxprEqn, values: list[Any]) -> list[Any]:
    params = eqn.params
    mesh = params["mesh"]
    axes = tuple([n for n in mesh.axis_names if n in params["manual_axes"]])
    with along_devices(params):
        new = checked(params["jaxpr"], enabled)
        body = _with_axis(new)
    n = new.num_leaves
    outs = shard_map_p.bind_params(
        values,
        {
            **params, "jaxpr": body,
            "out_specs": (*[PartitionSpec(axes)] * n, *params["out_specs"]),
        },
    )  # fmt: skip
    if n:
        _add_first(found, new, [_whole(x) for x in outs[:n]], [mesh.shape[a] for a in axes])
    return outs[n:]


def _with_axis(new: Checked) -> ClosedJaxpr:
    """The checked program of one device, whose errors have a new axis for the devices."""
    n, closed = new.num_leaves, new.closed

    def fun(*args: Any) -> list[Any]:
        outs = eval_jaxpr(closed.jaxpr, closed.consts, *args)
        return [*(expand_dims(x, 0) for x in outs[:n]), *outs[n:]]

    jaxpr, consts = trace_to_jaxpr(fun, closed.in_avals, closed.jaxpr.debug_info)
    return ClosedJaxpr(jaxpr, consts)


def _whole(x: Any) -> Any:
    """``x``, which all devices have, if types say where it is."""
    placed = aval_of(x).placed
    return x if placed is None else reshard_p.bind(x, sharding=placed.update(spec=()))


def _add_first(found: Found, new: Checked, leaves: Sequence[Any], sizes: Sequence[int]) -> None:
    """The error of the first device that has one, with where it is along axes of these sizes."""
    rest = iter(leaves)
    of_kinds = [[next(rest) for _ in e.avals] for e in new.effects]
    at = cnp.argmax(sum([each[0] for each in of_kinds[1:]], start=of_kinds[0][0]))
    where = [i.astype(dtypes.int32) for i in cnp.unravel_index(at, tuple(sizes))]
    effects, kept = [], []
    for effect, each in zip(new.effects, of_kinds, strict=True):
        pred, code, *payload = [x[at] for x in each]
        effects.append(effect.along(len(sizes)))
        kept += [pred, code, *where, *payload]
    found.add_all(effects, kept, new.sites)


late_rules[shard_map_p] = _shard_map
