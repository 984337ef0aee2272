"""Vectorisation: the trace that applies the batching rules."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any, ClassVar

from covector.core.avals import aval_of
from covector.core.config import config
from covector.core.jaxpr import Jaxpr, all_jaxprs, sub_jaxprs
from covector.core.rules import (
    batching_rules,
    collective_rules,
    device_effects,
    device_rules,
    higher_order_rules,
    missing_rule,
)
from covector.core.structural import bring_dim
from covector.core.trace import (
    JaxprTrace,
    Primitive,
    Trace,
    Tracer,
    check_leaks,
    current_trace,
    set_current_trace,
)

# --- the trace ---------------------------------------------------------------------------


class DeviceAxis:
    """The name of an axis along which devices run, each on its own where control flow depends on
    what it has."""

    __slots__ = ("name",)

    def __init__(self, name: Hashable) -> None:
        self.name = name

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DeviceAxis) and self.name == other.name

    def __hash__(self) -> int:
        return hash((DeviceAxis, self.name))

    def __repr__(self) -> str:
        return f"DeviceAxis({self.name!r})"


class SplitAxis:
    """The name of an axis that is split over axes of a mesh.

    Attributes
    ----------
    name : hashable
    over : tuple of hashable
        The axes of the mesh.
    placed : NamedSharding or None
        How a vector along the axis lies, if types say it.
    """

    __slots__ = ("name", "over", "placed")

    def __init__(self, name: Hashable, over: tuple[Hashable, ...], placed: Any) -> None:
        self.name = name
        self.over = over
        self.placed = placed

    def _all(self) -> tuple[Any, ...]:
        return self.name, self.over, self.placed

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SplitAxis) and self._all() == other._all()

    def __hash__(self) -> int:
        return hash(self._all())

    def __repr__(self) -> str:
        return f"SplitAxis({self.name!r}, over={self.over!r})"

    # lay(x, dim, placed) -> x with its dimension laid out so; set by the layer that knows types.
    lay: ClassVar[Callable[[Any, int, Any], Any]]


def placed_along(name: Hashable) -> Any:
    """How a vector along an axis of this name lies, if types say it."""
    return name.placed if type(name) is SplitAxis else None


def bring(x: Any, size: int, name: Hashable, src: int | None, dst: int) -> Any:
    """``x`` with its mapped axis at ``dst``; repeated along it, and split as the axis of this name
    is, if it is not mapped."""
    out = bring_dim(x, size, src, dst)
    placed = placed_along(name)
    return out if src is not None or placed is None else SplitAxis.lay(out, dst, placed)


def _plain(name: Hashable) -> Hashable:
    """A name as collectives give it."""
    return name.name if isinstance(name, (DeviceAxis, SplitAxis)) else name


class BatchTracer(Tracer):
    """An array with one of its axes hidden from the function that is mapped."""

    __slots__ = ("val", "dim")

    def __init__(self, trace: BatchTrace, val: Any, dim: int) -> None:
        self._trace = trace
        self.val = val
        self.dim = dim
        self._aval = aval_of(val).without(dim)


class BatchTrace(Trace):
    """Runs each operation for all elements of the mapped axis at once, under the parent."""

    __slots__ = ("axis_size", "axis_name", "plain_name")
    parent: Trace

    def __init__(self, parent: Trace, axis_size: int, axis_name: Hashable = None) -> None:
        super().__init__(parent)
        self.axis_size = axis_size
        self.axis_name = axis_name
        self.plain_name = _plain(axis_name)

    def describe(self) -> str:
        return "vectorisation (vmap)"

    def process(self, prim: Primitive, args: Sequence[Any], params: dict[str, Any]) -> list[Any]:
        vals, dims = self.unpack(args)
        rules = batching_rules
        if prim in collective_rules and self.plain_name in _axis_names(params):
            rules = collective_rules
            if type(params["axis_name"]) is tuple and len(params["axis_name"]) > 1:
                raise NotImplementedError(f"{prim.name} over several axes at once")
        elif all(d is None for d in dims) and not self._takes_part(prim, params):
            with set_current_trace(self.parent):
                return prim.bind_with_trace(self.parent, vals, params)
        higher_order = higher_order_rules.get(prim)
        if type(self.axis_name) is DeviceAxis and prim in device_rules:
            with set_current_trace(self.parent):
                done = device_rules[prim](self, vals, dims, params)
            if done is not None:
                return [self.pack(x, d) for x, d in zip(*done, strict=True)]
        if higher_order is not None:
            with set_current_trace(self.parent):
                outs, out_dims = higher_order(self, vals, dims, params)
            return [self.pack(x, d) for x, d in zip(outs, out_dims, strict=True)]
        rule = rules.get(prim)
        if rule is None:
            raise missing_rule(prim, "batching rule")
        with set_current_trace(self.parent):
            out, out_dim = rule(self.axis_size, vals, dims, **params)
        if prim.multiple_results:
            return [self.pack(x, d) for x, d in zip(out, out_dim, strict=True)]
        return [self.pack(out, out_dim)]

    def _takes_part(self, prim: Primitive, params: dict[str, Any]) -> bool:
        """Whether an operation of which no operand is mapped is about the axis all the same."""
        if self.plain_name is None:
            return False
        of_devices = type(self.axis_name) is DeviceAxis
        if prim not in higher_order_rules:
            return of_devices and prim in device_effects
        return any(
            uses_axis(j, self.axis_name) or (of_devices and _has_device_effects(j))
            for j in sub_jaxprs(params)
        )

    def unpack(self, args: Sequence[Any]) -> tuple[list[Any], list[int | None]]:
        vals: list[Any] = []
        dims: list[int | None] = []
        for x in args:
            if type(x) is BatchTracer and x._trace is self:
                vals.append(x.val)
                dims.append(x.dim)
            else:
                vals.append(x)
                dims.append(None)
        return vals, dims

    def pack(self, val: Any, dim: int | None) -> Any:
        return val if dim is None else BatchTracer(self, val, dim)


def uses_axis(jaxpr: Jaxpr, name: Hashable) -> bool:
    """Whether a collective over the axis ``name`` occurs in ``jaxpr``."""
    name = _plain(name)
    return any(
        eqn.primitive in collective_rules and name in _axis_names(eqn.params)
        for inner in all_jaxprs(jaxpr)
        for eqn in inner.eqns
    )


def _has_device_effects(jaxpr: Jaxpr) -> bool:
    return bool(jaxpr.effects) and any(
        eqn.primitive in device_effects for inner in all_jaxprs(jaxpr) for eqn in inner.eqns
    )


def _axis_names(params: dict[str, Any]) -> tuple[Hashable, ...]:
    name = params.get("axis_name")
    return name if type(name) is tuple else (name,) if name is not None else ()


def axis_env(trace: Trace | None = None) -> Iterator[tuple[Hashable, int]]:
    """Named axes mapped around the running code, innermost first, with their sizes."""
    at = current_trace() if trace is None else trace
    while at is not None:
        if type(at) is BatchTrace:
            if at.plain_name is not None:
                yield at.plain_name, at.axis_size
        elif isinstance(at, JaxprTrace):
            for name, size, _ in at.axes:
                yield name, size
        at = at.parent  # type: ignore[assignment]


def varies_by_type(name: Hashable, trace: Trace) -> bool:
    """Whether types say what varies over a named axis."""
    at: Trace | None = trace
    while at is not None:
        if type(at) is BatchTrace:
            if at.plain_name == name:
                return False
        elif isinstance(at, JaxprTrace):
            for each, _, checked in at.axes:
                if each == name:
                    return checked
        at = at.parent
    return False


def vmap_flat(
    fun: Callable[..., Sequence[Any]],
    axis_size: int,
    args: Sequence[Any],
    dims: Sequence[int | None],
    axis_name: Hashable = None,
) -> tuple[list[Any], list[int | None]]:
    """Results of ``fun``, from flat arrays to a flat sequence, and where their mapped axes are."""
    trace = BatchTrace(current_trace(), axis_size, axis_name)
    try:
        with set_current_trace(trace):
            outs = fun(*[trace.pack(x, d) for x, d in zip(args, dims, strict=True)])
        unpacked = trace.unpack(outs)
    finally:
        trace.alive = False
    if config.check_tracer_leaks:
        del outs
        check_leaks(trace)
    return unpacked
