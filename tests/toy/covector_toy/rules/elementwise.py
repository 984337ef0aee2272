"""Elementwise primitives: a NumPy function of arrays, or of arrays and a scalar, for each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
from scipy import special

from covector.control_flow.checkpoint import name_p
from covector.control_flow.composite import dce_sink_p
from covector.core import dtypes
from covector.core.jaxpr import JaxprEqn
from covector.core.structural import add_any_p, convert_element_type_p, optimization_barrier_p
from covector.core.trace import Primitive
from covector.primitives import arithmetic as ar
from covector.primitives import compare as cp
from covector.primitives import exponential as ex
from covector.primitives.convert import copy_p
from covector.primitives.select import clamp_p, select_n_p
from covector_toy.interpreter import rule

Elements = np.ndarray


def widened(x: Elements) -> Elements:
    """Floats of 16 bits as float32, in which the toy computes with them."""
    return x.astype(np.float32) if x.dtype in (np.float16, ml_dtypes.bfloat16) else x


def rules_of(table: dict[Primitive, Callable[..., Any]]) -> None:
    """Make the functions rules; `typed` of the interpreter rounds what is wider."""
    for prim, fn in table.items():
        rule(prim)(lambda eqn, *xs, fn=fn: fn(*map(widened, xs)))


def _div(x: Elements, y: Elements) -> Elements:
    if x.dtype.kind not in "iu":
        return np.divide(x, y)
    safe = np.where(y == 0, y.dtype.type(1), y)
    quotient = np.floor_divide(x, safe)
    inexact = (quotient * safe != x) & ((x < 0) != (safe < 0))
    return np.where(y == 0, ~y.dtype.type(0), quotient + inexact.astype(x.dtype))


def _atan2(y: Elements, x: Elements) -> Elements:
    if x.dtype.kind != "c":
        return np.arctan2(y, x)
    return -1j * np.log((x + 1j * y) / np.sqrt(x * x + y * y))


def _rem(x: Elements, y: Elements) -> Elements:
    if x.dtype.kind not in "iu":
        return np.fmod(x, y)
    return np.where(y == 0, x, np.fmod(x, np.where(y == 0, y.dtype.type(1), y)))


def _complex(x: Elements, y: Elements) -> Elements:
    out = np.empty(np.broadcast_shapes(x.shape, y.shape), dtypes.complex_dtype(x.dtype))
    out.real, out.imag = x, y
    return out


def _logistic(x: Elements) -> Elements:
    return 1 / (1 + np.exp(-x)) if x.dtype.kind == "c" else special.expit(x)


def _sign(x: Elements) -> Elements:
    return np.where(x == 0, x, np.sign(x))


def _max(x: Elements, y: Elements) -> Elements:
    zeros = (x == 0) & (y == 0)
    return np.where(zeros, x + y, np.maximum(x, y))  # of zeros the positive one


def _min(x: Elements, y: Elements) -> Elements:
    if x.dtype.kind in "bu":
        return np.minimum(x, y)
    zeros = (x == 0) & (y == 0)
    return np.where(zeros, -(-x - y), np.minimum(x, y))


def _clamp(low: Elements, x: Elements, high: Elements) -> Elements:
    return np.minimum(np.maximum(x, low), high)


rules_of({
    ar.add_p: np.add, add_any_p: np.add, ar.sub_p: np.subtract, ar.mul_p: np.multiply,
    ar.div_p: _div, ar.rem_p: _rem, ar.max_p: _max, ar.min_p: _min,
    ar.neg_p: np.negative, ar.sign_p: _sign, ar.abs_p: np.abs, ar.square_p: np.square,
    ar.floor_p: np.floor, ar.ceil_p: np.ceil, ar.is_finite_p: np.isfinite,
    ar.real_p: np.real, ar.imag_p: np.imag, ar.conj_p: np.conj, ar.complex_p: _complex,
    ex.pow_p: np.power, ex.atan2_p: _atan2, ex.exp_p: np.exp, ex.exp2_p: np.exp2,
    ex.expm1_p: np.expm1, ex.log_p: np.log, ex.log1p_p: np.log1p, ex.logistic_p: _logistic,
    ex.sqrt_p: np.sqrt, ex.rsqrt_p: lambda x: 1 / np.sqrt(x), ex.cbrt_p: np.cbrt,
    ex.sin_p: np.sin, ex.cos_p: np.cos, ex.tan_p: np.tan,
    ex.asin_p: np.arcsin, ex.acos_p: np.arccos, ex.atan_p: np.arctan,
    ex.sinh_p: np.sinh, ex.cosh_p: np.cosh, ex.tanh_p: np.tanh,
    ex.asinh_p: np.arcsinh, ex.acosh_p: np.arccosh, ex.atanh_p: np.arctanh,
    cp.eq_p: np.equal, cp.ne_p: np.not_equal, cp.lt_p: np.less, cp.le_p: np.less_equal,
    cp.gt_p: np.greater, cp.ge_p: np.greater_equal,
    clamp_p: _clamp,
})  # fmt: skip


@rule(ar.nextafter_p)
def _nextafter(eqn: JaxprEqn, x: Elements, y: Elements) -> Elements:
    return np.where(x == y, y, np.nextafter(x, y))


@rule(ar.integer_pow_p)
def _integer_pow(eqn: JaxprEqn, x: Elements) -> Elements:
    x, y = widened(x), eqn.params["y"]
    power = np.power(x, abs(y))
    return 1 / power if y < 0 else power


@rule(ar.round_p)
def _round(eqn: JaxprEqn, x: Elements) -> Elements:
    x = widened(x)
    if int(eqn.params["rounding_method"]) == 1:
        return np.rint(x)
    down = np.trunc(x)
    return np.where(np.abs(x - down) >= 0.5, down + np.sign(x), down)


@rule(copy_p, name_p)
def _same(eqn: JaxprEqn, x: Elements) -> Elements:
    return x


@rule(dce_sink_p)
def _kept(eqn: JaxprEqn, *xs: Elements) -> list[Elements]:
    return []


@rule(optimization_barrier_p)
def _all_same(eqn: JaxprEqn, *xs: Elements) -> list[Elements]:
    return list(xs)


@rule(select_n_p)
def _select(eqn: JaxprEqn, which: Elements, *cases: Elements) -> Elements:
    out = cases[0]
    for k, case in enumerate(cases[1:], 1):
        out = np.where(which == k, case, out)
    return np.broadcast_to(out, eqn.outvars[0].aval.shape)


@rule(convert_element_type_p)
def _convert(eqn: JaxprEqn, x: Elements) -> Elements:
    new = eqn.params["new_dtype"]
    if dtypes.is_extended(new):
        return x
    if x.dtype.kind == "c" and new.kind not in "cb":
        x = x.real
    return dtypes.cast(x, new)
