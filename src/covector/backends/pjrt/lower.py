"""From a jaxpr to a StableHLO module: one emission rule a primitive."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from covector.backends.pjrt.text import (
    Builder,
    Shape,
    Value,
    mesh_text,
    split_text,
    without_places,
)
from covector.core.avals import Array, ShapedArray
from covector.core.backend import Layout, LoweringRules
from covector.core.dtypes import DType
from covector.core.errors import SourceFrame
from covector.core.jaxpr import ClosedJaxpr, Jaxpr, JaxprEqn, Literal
from covector.core.levels import descends
from covector.core.places import ScopedPlace
from covector.core.trace import Primitive

# rule(builder, eqn, *values) -> a value, or a list of them for a primitive of several results.
Rule = Callable[..., Any]
RULES = LoweringRules()
rule = RULES.rule
# Rules for one platform, by its name, which come before those for all. They return None where what
# they need is not there.
OWN: dict[str, LoweringRules] = {"cuda": LoweringRules()}
# Primitives that no accelerator runs, with the reason.
IMPOSSIBLE: dict[Primitive, str] = {}

# Arrays that a program closes over: those of more elements are arguments of it.
_WRITTEN_OUT = 16


class Number(Value):
    """A literal of the program, written down where it is used."""

    __slots__ = ("builder", "number")

    def __init__(self, builder: Builder, number: Any, dtype: DType) -> None:
        self.builder = builder
        self.number = number
        self.dtype = dtype
        self.shape: Shape = ()

    @property
    def ref(self) -> str:  # type: ignore[override]
        return self.builder.constant(self.number, self.dtype).ref


def spread(b: Builder, x: Value, shape: Shape) -> Value:
    """A scalar as a tensor of ``shape``; a tensor of that shape is returned as it is."""
    if x.shape == shape:
        return x
    if type(x) is Number:
        return b.constant(x.number, x.dtype, shape)
    return b.broadcast(x, shape)


def consts_of(b: Builder, closed: ClosedJaxpr) -> list[Value]:
    """The constants of a program within another."""
    return [_const(b, c) for c in closed.consts]


def _const(b: Builder, c: Any) -> Value:
    if type(c) is Array:
        if c.size > _WRITTEN_OUT or not c._on_host or c.dtype.kind == "K":
            return b.hoist(c)
        return b.array(np.asarray(c), c.dtype)
    array = np.asarray(c)
    return b.array(array, array.dtype)


def run(b: Builder, closed: ClosedJaxpr, args: Sequence[Value]) -> list[Value]:
    """The results of a program within another: its equations are written where it is called."""
    return emit(b, closed.jaxpr, consts_of(b, closed), args)


@descends
def emit(b: Builder, jaxpr: Jaxpr, consts: Sequence[Value], args: Sequence[Value]) -> list[Value]:
    """Write the equations of a jaxpr; returns its results."""
    env: dict[Any, Value] = dict(zip(jaxpr.constvars, consts, strict=True))
    env.update(zip(jaxpr.invars, args, strict=True))

    def read(a: Any) -> Value:
        return Number(b, a.val, a.aval.dtype) if type(a) is Literal else env[a]

    outer = b.place, b.scope
    own: LoweringRules | dict[Primitive, Rule] = {} if b.portable else OWN.get(b.platform, {})
    for eqn in jaxpr.eqns:
        write = rule_of(eqn, b.platform)
        place = eqn.source_info
        if type(place) is ScopedPlace:
            b.scope = f"{outer[1]}/{place.scope}" if outer[1] else place.scope
        else:
            b.scope = outer[1]
        b.place = b.places(place, b.scope) or outer[0]
        operands = [read(a) for a in eqn.invars]
        first = own.get(eqn.primitive)
        out = None if first is None else first(b, eqn, *operands)
        if out is None:
            out = write(b, eqn, *operands)
        if eqn.primitive.multiple_results:
            env.update(zip(eqn.outvars, out, strict=True))
        else:
            env[eqn.outvars[0]] = out
    b.place, b.scope = outer
    return [read(a) for a in jaxpr.outvars]


def rule_of(eqn: JaxprEqn, platform: str) -> Rule:
    """The rule that writes an equation."""
    found = RULES.get(eqn.primitive)
    if found is None:
        raise refused(platform, eqn, IMPOSSIBLE.get(eqn.primitive, "it has no rule"))
    return found


class Text:
    """A module, and what its main function takes after the arguments.

    Attributes
    ----------
    hoisted : list of Array
        Constants of the program.
    targets : set of str
        Native functions that it calls.
    callbacks : list
        What keeps the Python functions that it calls alive.
    donated : collection of int
        Arguments whose memory results take over.
    """

    def __init__(
        self, name: str, b: Builder, declared: list[str], outs: list[Value],
        aliases: dict[int, int], hoisted: list[Array], layout: Layout | None = None,
    ) -> None:  # fmt: skip
        self.hoisted, self.targets, self.callbacks = hoisted, b.targets, b.callbacks
        self.donated = aliases.keys()
        aliased = set(aliases.values())
        self._name, self._declared, self._outs, self._aliased = name, declared, outs, aliased
        # A literal result is written before the line that returns it.
        refs, types = _listed(outs)
        result = f" {refs} : {types}" if outs else ""
        self._attributes = self._mesh = ""
        self._results = types
        if layout is not None:
            shardings = zip(outs, layout.results, strict=True)
            self._results = ", ".join([f"{x.type} {{{_sharding(s, x)}}}" for x, s in shardings])
            n = layout.mesh.size
            self._attributes = (
                f" attributes {{mhlo.num_partitions = {n} : i32, mhlo.num_replicas = 1 : i32}}"
            )
            self._mesh = f"  sdy.mesh @mesh = {mesh_text(dict(layout.mesh.shape))}\n"
        self._rest = "\n".join([*b.lines, f"    return{result}", "  }", "}", *b.places.lines, ""])

    def _text(self, declared: Sequence[str]) -> str:
        head = f"module @{symbol(self._name)}{self._attributes} {{\n{self._mesh}"
        main = f"  func.func public @main({', '.join(declared)}) -> ({self._results}) {{\n"
        return f"{head}{main}{self._rest}"

    @property
    def with_places(self) -> str:
        """The text with the places that operations come from."""
        return self._text(self._declared)

    @property
    def plain(self) -> str:
        return without_places(self.with_places)

    def with_spares(self, outputs: Sequence[int]) -> str:
        """The text of a program that is given memory for some of its results, as last arguments."""
        spares = [
            f"%spare{k}: {self._outs[k].type} {{tf.aliasing_output = {k} : i32}}" for k in outputs
        ]
        return self._text([*self._declared, *spares])

    def large(self, least: int) -> list[int]:
        """The results of so many bytes, that take over the memory of no argument."""
        return [
            k for k, x in enumerate(self._outs)
            if k not in self._aliased and x.nbytes >= least and type(x) is not Number
        ]  # fmt: skip


def _listed(values: Sequence[Value]) -> tuple[str, str]:
    return ", ".join([x.ref for x in values]), ", ".join([x.type for x in values])


def _sharding(sharding: Any, x: Value) -> str:
    """The attribute of an argument or result that says how it is split."""
    return f"sdy.sharding = #sdy.sharding<@mesh, {split_text(sharding.spec, len(x.shape))}>"


def lower_text(
    closed: ClosedJaxpr, aliases: dict[int, int], name: str, platform: str,
    layout: Layout | None = None, *, portable: bool = False,
) -> Text:  # fmt: skip
    """The module of a program, on several devices if there is a ``layout``.

    ``aliases`` says which result takes over the memory of an argument; a ``portable`` module needs
    no libraries that are installed here.
    """
    hoisted: dict[int, tuple[Array, Value]] = {}

    def hoist(array: Array) -> Value:
        found = hoisted.get(id(array))
        if found is None:
            value = Value(f"%const{len(hoisted)}", array.dtype, array.shape)
            found = hoisted[id(array)] = (array, value)
        return found[1]

    b = Builder(platform, hoist, portable=portable)
    if layout is not None:
        b.mesh = dict(layout.mesh.shape)
    jaxpr = closed.jaxpr
    args = [Value(f"%arg{i}", v.aval.dtype, v.aval.shape) for i, v in enumerate(jaxpr.invars)]
    outs = emit(b, jaxpr, consts_of(b, closed), args)
    declared = []
    for i, a in enumerate(args):
        attributes = [_sharding(layout.operands[i], a)] if layout is not None else []
        if i in aliases:
            attributes.append(f"tf.aliasing_output = {aliases[i]} : i32")
        written = f" {{{', '.join(attributes)}}}" if attributes else ""
        declared.append(f"{a.ref}: {a.type}{written}")
    for _, v in hoisted.values():
        whole = f" {{{_sharding(layout.replicated, v)}}}" if layout is not None else ""
        declared.append(f"{v.ref}: {v.type}{whole}")
    arrays = [array for array, _ in hoisted.values()]
    return Text(name, b, declared, outs, aliases, arrays, layout)


def symbol(name: str) -> str:
    """A function's name as MLIR's symbols are spelt."""
    kept = "".join([c if c.isascii() and (c.isalnum() or c in "_$.-") else "_" for c in name])
    return f"covector_{kept}"


def refused(platform: str, eqn: JaxprEqn, why: str) -> NotImplementedError:
    """The error for an operation that a platform does not have."""
    where = f" ({SourceFrame(*eqn.source_info)})" if eqn.source_info is not None else ""
    return NotImplementedError(
        f"a program for {platform} cannot run the operation {eqn.primitive}: {why}{where}"
    )


def out_type(eqn: JaxprEqn, k: int = 0) -> ShapedArray:
    """The type of a result."""
    aval: ShapedArray = eqn.outvars[k].aval
    return aval
