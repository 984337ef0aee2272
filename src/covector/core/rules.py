"""The rule tables: how each transformation goes through each primitive.

The tables are keyed by the primitive itself. Rules stand beside their primitive; `definers`
has the common forms.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from covector.core.avals import ShapedArray, aval_of
from covector.core.errors import SourceFrame, at_user_line, user_frame
from covector.core.jaxpr import JaxprEqn
from covector.core.opspec import OpSpec
from covector.core.trace import Primitive

# rule(primals, tangents, **params) -> (out, out_tangent), lists if the primitive has several
# results. Tangents may be `Zero`.
jvp_rules: dict[Primitive, Callable[..., tuple[Any, Any]]] = {}

# rule(cts, *args, **params) -> a cotangent, Zero or None for each argument. Arguments in which
# the operation is linear are `UndefinedPrimal`s. `cts` is one value for single-result
# primitives (never Zero), a list otherwise (not all of them Zero).
transpose_rules: dict[Primitive, Callable[..., Sequence[Any]]] = {}

# rule(axis_size, args, dims, **params) -> (out, out_dim), lists if the primitive has several
# results. An entry of `dims` is the position of the mapped axis, or None for unmapped values.
batching_rules: dict[Primitive, Callable[..., tuple[Any, Any]]] = {}

# Operations over a named axis: rule(axis_size, args, dims, **params), called by the trace that
# maps the axis in their parameter `axis_name`, whether or not an operand is mapped.
collective_rules: dict[Primitive, Callable[..., tuple[Any, Any]]] = {}

# Operations that carry jaxprs: rule(trace, args, dims, params) -> (outs, out_dims). They need
# the name of the mapped axis, for the collectives inside.
higher_order_rules: dict[Primitive, Callable[..., tuple[list[Any], list[int | None]]]] = {}

# Control flow along an axis of devices, each of which runs on its own what depends on it:
# rule(trace, args, dims, params) -> (outs, out_dims), or None where all go the same way.
device_rules: dict[Primitive, Callable[..., tuple[list[Any], list[int | None]] | None]] = {}

# Operations, with device rules, whose effects happen once a device, also where all devices do the
# same.
device_effects: set[Primitive] = set()

# Over which axes of a mesh the result of a collective varies: rule(axes, names, params), where the
# operand varies over the set ``axes`` and the operation is over ``names``. Others vary where
# operands do.
Axes = frozenset[Any]
varying_rules: dict[Primitive, Callable[[Axes, Axes, dict[str, Any]], Axes]] = {}

# What the type of a collective's result says of sums: rule(marks, names, params), where the types
# of the operands say ``marks`` (`covector.core.avals.Marks`).
mark_rules: dict[Primitive, Callable[[Any, Axes, dict[str, Any]], Any]] = {}

# Operations that only say where values are: they compute nothing.
layout_primitives: set[Primitive] = set()

# rule(trace, args, params) -> list of results, for operations of which some operands are
# unknown (tracers of `trace`, a `PartialTrace`) and some may be known. Without a rule, the
# whole operation is recorded.
partial_eval_rules: dict[Primitive, Callable[..., list[Any]]] = {}

# Linear operations of which only the transpose is known; their evaluation raises.
transpose_only: set[Primitive] = set()

# rule(used, eqn) -> an equation that computes at least the used results, with less work, or None
# if none is needed: for operations that carry jaxprs.
dce_rules: dict[Primitive, Callable[[list[bool], JaxprEqn], JaxprEqn | None]] = {}

# Operations that carry jaxprs: rule(args, params) -> the results on concrete values, operation by
# operation, for options that look at each. Calls (`Primitive.call_param`) need none.
stepwise_rules: dict[Primitive, Callable[[Sequence[Any], dict[str, Any]], list[Any]]] = {}

# Every elementwise primitive, by name: those with a row, `Primitive.spec`.
ELEMENTWISE: dict[str, Primitive] = {}


def add_row(prim: Primitive, spec: OpSpec) -> Primitive:
    """Give an elementwise primitive its row."""
    prim.spec = spec
    ELEMENTWISE[prim.name] = prim
    return prim


def has_steps(prim: Primitive) -> bool:
    """Whether an operation can be run operation by operation: it is a call, or has a rule."""
    return prim.call_param is not None or prim in stepwise_rules


class Zero:
    """A tangent or cotangent known to be zero.

    Attributes
    ----------
    aval : ShapedArray
        The type of the tangent.
    """

    __slots__ = ("aval",)

    def __init__(self, aval: ShapedArray) -> None:
        self.aval = aval

    @staticmethod
    def of(primal: Any) -> Zero:
        """The zero tangent of a value."""
        return Zero(aval_of(primal).to_tangent_aval())

    @staticmethod
    def from_primal_value(val: Any) -> Zero:
        """The same as `of`."""
        return Zero.of(val)

    def __repr__(self) -> str:
        return f"Zero({self.aval.str_short()})"


class UndefinedPrimal:
    """An argument of a linear function, of which only the type is known.

    Attributes
    ----------
    aval : ShapedArray
    """

    __slots__ = ("aval",)

    def __init__(self, aval: ShapedArray) -> None:
        self.aval = aval

    def __repr__(self) -> str:
        return f"UndefinedPrimal({self.aval.str_short()})"


def check_linear(name: str, *others: Any) -> None:
    """Refuse to transpose a product (or quotient) of which other operands vary too."""
    if any(type(x) is UndefinedPrimal for x in others):
        raise TypeError(
            "the function to transpose is not linear: it combines two values that both depend on "
            f"its arguments by {name}{at_user_line()}"
        )


_REMEDIES = {
    "derivative": "wrap its operand in stop_gradient, or give a rule with custom_jvp",
    "transpose": "it is not linear, or cannot be differentiated in reverse mode: use jvp or "
    "jacfwd, or give a rule with custom_vjp",
    "batching rule": "call it outside vmap, or for one example at a time with lax.map",
    "lowering rule": "this backend cannot compute it: use another backend, or pure_callback; a "
    "primitive of your own needs def_impl",
}


def missing_rule(
    primitive: Primitive, what: str, eqn: JaxprEqn | None = None
) -> NotImplementedError:
    """The error for a primitive without a rule: a key of `_REMEDIES`.

    ``eqn`` is the equation where a recorded program is gone through; otherwise the user's code
    is running.
    """
    frame = user_frame() if eqn is None else eqn.source_info and SourceFrame(*eqn.source_info)
    where = f", at {frame}" if frame else ""
    return NotImplementedError(f"{primitive.name} has no {what}{where}\n{_REMEDIES[what]}")
