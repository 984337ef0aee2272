"""Products of tensors and convolutions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from covector.backends.pjrt.lower import out_type, rule
from covector.backends.pjrt.rules.elementwise import complex_, computed_in, imag, real
from covector.backends.pjrt.text import Builder, Value, ints, listed
from covector.core import dtypes
from covector.core.dtypes import DType
from covector.core.jaxpr import JaxprEqn
from covector.lax.precision import Precision
from covector.primitives.convolution import conv_general_dilated_p
from covector.primitives.dot import dot_general_p

_BOOL = np.dtype(np.bool_)
_I32 = np.dtype(np.int32)


def _precision(given: Any, dtype: DType) -> str:
    """The attribute: float32 is all of float32 unless a precision is asked for."""
    names = []
    pair = given if isinstance(given, tuple) and len(given) == 2 else (given, given)
    for p in pair:
        name = "HIGHEST" if dtype == np.float32 or dtype == np.complex64 else "DEFAULT"
        if isinstance(p, Precision):
            name = p.name
        names.append(f"#stablehlo<precision {name}>")
    return f"precision_config = [{', '.join(names)}]"


@rule(dot_general_p)
def _dot_general(b: Builder, eqn: JaxprEqn, x: Value, y: Value) -> Value:
    (xc, yc), (xb, yb) = eqn.params["dimension_numbers"]
    aval = out_type(eqn)
    numbers = (
        f"dot_dimension_numbers = #stablehlo.dot<lhs_batching_dimensions = {listed(xb)}, "
        f"rhs_batching_dimensions = {listed(yb)}, lhs_contracting_dimensions = {listed(xc)}, "
        f"rhs_contracting_dimensions = {listed(yc)}>"
    )
    out = aval.dtype
    made = computed_in(out)
    if made == _BOOL:
        made = _I32
    if x.dtype != out or made != out:
        # Elements are widened to those of the result, which loses nothing.
        x, y = (b.convert(v, made) for v in (x, y))
    attrs = f"{numbers}, {_precision(eqn.params['precision'], x.dtype)}"
    result = b.op("stablehlo.dot_general", (x, y), made, aval.shape, attrs)
    if out == _BOOL:
        return b.compare("NE", result, b.like(result, 0))
    return b.convert(result, out)


def _in_parts(b: Builder, x: Value, y: Value, multiply: Callable[[Value, Value], Value]) -> Value:
    """A product of complex tensors, by three of real ones (C. F. Gauss)."""
    xr, xi, yr, yi = real(b, x), imag(b, x), real(b, y), imag(b, y)
    first, second = multiply(xr, yr), multiply(xi, yi)
    mixed = b.add(multiply(xr, yi), multiply(xi, yr))
    return complex_(b, b.sub(first, second), mixed)


def _places(spec: Sequence[int], first: str, second: str) -> str:
    """The dimension numbers of an operand, as ``[b, 0, 1, f]``."""
    names: list[str] = [""] * len(spec)
    names[spec[0]], names[spec[1]] = first, second
    for k, d in enumerate(spec[2:]):
        names[d] = str(k)
    return f"[{', '.join(names)}]"


@rule(conv_general_dilated_p)
def _convolution(b: Builder, eqn: JaxprEqn, x: Value, y: Value) -> Value:
    p, aval = eqn.params, out_type(eqn)
    numbers = p["dimension_numbers"]
    lhs, rhs, out = (
        _places(numbers.lhs_spec, "b", "f"),
        _places(numbers.rhs_spec, "o", "i"),
        _places(numbers.out_spec, "b", "f"),
    )
    rank = len(x.shape) - 2
    pads = ", ".join([f"[{lo}, {hi}]" for lo, hi in p["padding"]])
    rows = f"[{pads}]" if rank else ""
    dtype = aval.dtype
    made = computed_in(dtype)
    if made == _BOOL:
        made = _I32
    x, y = (b.convert(v, made) for v in (x, y))
    # XLA's partitioner ends the process on dilated windows along dimensions that are split.
    x, y = b.whole(x, numbers.lhs_spec[2:]), b.whole(y, numbers.rhs_spec[2:])

    def multiply(u: Value, v: Value) -> Value:
        attrs = (
            f"dimension_numbers = #stablehlo.conv<{lhs}x{rhs}->{out}>, "
            f"window_strides = {ints(p['window_strides'])}, "
            f"padding = dense<{rows}> : tensor<{rank}x2xi64>, "
            f"lhs_dilation = {ints(p['lhs_dilation'])}, rhs_dilation = {ints(p['rhs_dilation'])}, "
            f"feature_group_count = {p['feature_group_count']} : i64, "
            f"batch_group_count = {p['batch_group_count']} : i64, "
            f"{_precision(p['precision'], u.dtype)}"
        )
        product = b.op("stablehlo.convolution", (u, v), u.dtype, aval.shape, attrs)
        return b.whole(product, numbers.out_spec[2:])

    if made in dtypes.COMPLEX:
        return _in_parts(b, x, y, multiply)
    result = multiply(x, y)
    if dtype == _BOOL:
        return b.compare("NE", result, b.like(result, 0))
    return b.convert(result, dtype)
