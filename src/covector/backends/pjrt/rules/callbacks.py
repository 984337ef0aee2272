"""Calls of native functions and of Python's, as custom calls of XLA's FFI interface."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from covector.backends.pjrt.lower import rule
from covector.backends.pjrt.rules.control import ordered, row_of, with_row
from covector.backends.pjrt.text import Builder, Shape, Value, dense_text, element_type, quoted
from covector.core import dtypes
from covector.core.avals import array_from_numpy
from covector.core.dtypes import DType
from covector.core.errors import at_user_line
from covector.core.jaxpr import JaxprEqn
from covector.runtime import foreign
from covector.runtime.callbacks import register
from covector.transforms.callbacks import debug_callback_p, pure_callback_p
from covector.transforms.checks import cannot_stop, check_p
from covector.transforms.foreign import ForeignFunction, Layout, logical_axes
from covector.transforms.io_callback import io_callback_p

_CALLBACK = "covector_callback"  # native/pjrt/foreign.h
_I32 = np.dtype(np.int32)
_DTYPES = {number: np.dtype(name) for name, number in foreign.DTYPES.items()}

Type = tuple[DType, Shape]


@rule(check_p)
def _check(b: Builder, eqn: JaxprEqn, *args: Value) -> list[Value]:
    if not eqn.params["debug"]:
        raise cannot_stop(eqn)
    return []


@rule(pure_callback_p)
def _pure_callback(b: Builder, eqn: JaxprEqn, *args: Value) -> list[Value]:
    what = eqn.params["callback"]
    if type(what) is not ForeignFunction:
        return _python(b, eqn, args, False)
    if b.platform == "tpu":
        raise NotImplementedError(
            f"native functions do not run on a TPU: call {what.name} in a program for the CPU, "
            f"between two programs for the TPU{at_user_line()}"
        )
    b.targets.add(what.name)
    outs = [(v.aval.dtype, v.aval.shape) for v in eqn.outvars]
    return _each(b, what, args, outs, 0)


@rule(debug_callback_p, io_callback_p)
def _effect(b: Builder, eqn: JaxprEqn, *args: Value) -> list[Value]:
    return _python(b, eqn, args, True)


# --- Python functions -------------------------------------------------------------------------


def _python(b: Builder, eqn: JaxprEqn, args: Sequence[Value], effect: bool) -> list[Value]:
    if b.platform != "xla_cpu":
        name = getattr(eqn.params["callback"], "__name__", "function")
        raise NotImplementedError(
            f"a program for {b.platform} cannot call the Python function {name} "
            f"({eqn.primitive}): Python functions run within programs for cpu and xla_cpu. End the "
            "program there and call the function between two programs, or compute what it does in "
            f"lax{at_user_line()}"
        )
    ins, outs = [a.aval for a in eqn.invars], [v.aval for v in eqn.outvars]
    # The program's memory is used again when the function has returned.
    held = register(eqn, ins, outs, copied=True)
    b.callbacks.append(held)
    # An operand, so that the text is the same in each process.
    ident = b.hoist(array_from_numpy(np.asarray(held.ident, np.int64), np.dtype(np.int64)))
    operands = [ident, *[_by_bytes(b, x) for x in args]]
    types = [(_byte_type(a.dtype), a.shape) for a in outs]
    config = {}
    keeps_place = ordered(eqn)
    if keeps_place:
        config["ordered"] = foreign.attribute("ordered", True)
        operands.insert(1, b.place_in_order())
        types.insert(0, (_I32, ()))
    made = custom_call(b, _CALLBACK, operands, types, tuple(config.items()), effect)
    if keeps_place:
        b.order = made.pop(0)
    return [_from_bytes(b, x, a.dtype) for x, a in zip(made, outs, strict=True)]


def _byte_type(dtype: DType) -> DType:
    """What stands for a dtype in memory that Python looks at: a byte for less than one."""
    return np.dtype(np.uint8) if _below_a_byte(dtype) else dtype


def _below_a_byte(dtype: DType) -> bool:
    return not dtypes.is_extended(dtype) and dtypes.bits_of(dtype) < 8 and dtype != dtypes.bool_


def _bits(dtype: DType) -> DType:
    return dtypes.as_dtype(f"uint{dtypes.bits_of(dtype)}")


def _by_bytes(b: Builder, x: Value) -> Value:
    if not _below_a_byte(x.dtype):
        return x
    return b.convert(b.bitcast(x, _bits(x.dtype)), np.dtype(np.uint8))


def _from_bytes(b: Builder, x: Value, dtype: DType) -> Value:
    if not _below_a_byte(dtype):
        return x
    return b.bitcast(b.convert(x, _bits(dtype)), dtype)


# --- native functions -------------------------------------------------------------------------


def _each(
    b: Builder, what: ForeignFunction, args: Sequence[Value], outs: Sequence[Type], level: int
) -> list[Value]:
    """The results of the calls for each element of the mapped axes from ``level`` on."""
    if level == len(what.levels):
        return _native(b, what, args, outs)
    size, mapped = what.levels[level]
    rows = [(d, s[1:]) for d, s in outs]

    def body(t: Value, *state: Value) -> list[Value]:
        inner = [row_of(b, x, t) if m else x for x, m in zip(args, mapped, strict=True)]
        made = _each(b, what, inner, rows, level + 1)
        state = tuple([with_row(b, x, y, t) for x, y in zip(state, made, strict=True)])
        return [b.add(t, b.constant(1, _I32)), *state]

    start = [b.constant(0, _I32), *[b.constant(0, d, s) for d, s in outs]]
    end = b.constant(size, _I32)
    return b.loop(start, lambda t, *s: b.compare("LT", t, end), body)[1:]


def _native(
    b: Builder, what: ForeignFunction, args: Sequence[Value], outs: Sequence[Type]
) -> list[Value]:
    """One call. The program has the axes in their order in memory, the function in its own."""
    orders = [logical_axes(x.shape, o) for x, o in zip(args, what.layouts[0], strict=True)]
    operands = [b.transpose(x, o) for x, o in zip(args, orders, strict=True)]
    inverse = [logical_axes(s, o) for (_, s), o in zip(outs, what.layouts[1], strict=True)]
    types = [(d, tuple([s[k] for k in o])) for (d, s), o in zip(outs, inverse, strict=True)]
    made = custom_call(
        b, what.name, operands, types, what.attributes, bool(what.effects), what.layouts,
        what.aliases,
    )  # fmt: skip
    return [
        b.transpose(x, [o.index(d) for d in range(len(o))])
        for x, o in zip(made, inverse, strict=True)
    ]


def custom_call(
    b: Builder, name: str, operands: Sequence[Value], outs: Sequence[Type],
    attributes: tuple[tuple[str, Any], ...], effect: bool,
    layouts: tuple[Sequence[Layout], Sequence[Layout]] | None = None,
    aliases: Sequence[tuple[int, int]] = (),
) -> list[Value]:  # fmt: skip
    of_operands, of_outs = layouts or ([()] * len(operands), [()] * len(outs))
    shapes = [x.shape for x in operands], [s for _, s in outs]
    alias = ", ".join([
        f"#stablehlo.output_operand_alias<output_tuple_indices = {[j] if len(outs) > 1 else []}, "
        f"operand_index = {i}, operand_tuple_indices = []>"
        for i, j in aliases
    ])  # fmt: skip
    attrs = (
        f"call_target_name = {quoted(name)}, api_version = 4 : i32, "
        f"has_side_effect = {'true' if effect else 'false'}, "
        f"backend_config = {_dictionary(attributes)}, "
        f"operand_layouts = {_layouts(shapes[0], of_operands)}, "
        f"result_layouts = {_layouts(shapes[1], of_outs)}"
        + (f", output_operand_aliases = [{alias}]" if alias else "")
    )
    return b.ops("stablehlo.custom_call", operands, outs, attrs)


def _layouts(shapes: Sequence[Shape], orders: Sequence[Layout]) -> str:
    """Minor axes first, as XLA has them; axes before those of a layout are major."""
    out = []
    for shape, order in zip(shapes, orders, strict=True):
        lead = len(shape) - len(order)
        axes = [*range(lead), *[lead + d for d in order]][::-1]
        out.append(f"dense<{axes if axes else ''}> : tensor<{len(axes)}xindex>")
    return f"[{', '.join(out)}]"


def _dictionary(attributes: Sequence[tuple[str, Any]]) -> str:
    return "{" + ", ".join([f"{quoted(k)} = {_written(v)}" for k, v in attributes]) + "}"


def _written(node: Any) -> str:
    """An attribute, of `runtime.foreign.attribute`, as MLIR writes it."""
    match node[0]:
        case "string":
            return quoted(node[1].decode("utf-8", "surrogateescape"))
        case "dict":
            return _dictionary(node[1])
    dtype = _DTYPES[node[1]]
    array = np.frombuffer(node[2], dtype)
    if node[0] == "scalar":
        text = dense_text(array[0], dtype)
        return text if dtype == np.bool_ else f"{text} : {element_type(dtype)}"
    text = dense_text(array, dtype) if array.size else ""
    return f"dense<{text}> : tensor<{array.size}x{element_type(dtype)}>"
