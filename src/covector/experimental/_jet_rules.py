"""Rules of primitives for Taylor series."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from covector import lax
from covector import numpy as cnp
from covector.core import dtypes
from covector.core.jaxpr import ClosedJaxpr, eval_jaxpr
from covector.core.structural import add_any_p
from covector.core.trace import Primitive
from covector.experimental._jet_forms import (
    _sum,
    deflinear,
    defzero,
    linear_prop,
    zero_prop,
)
from covector.experimental._jet_trace import (
    control_rules,
    full_series,
    jet_rules,
    run_series,
    unzip2,
    zero_series,
)
from covector.experimental.ode import safe_zip

for _name in (
    "neg real imag conj copy complex add sub reshape broadcast_in_dim transpose reduce_sum squeeze "
    "slice pad concatenate rev cumsum reduce_window_sum fft dynamic_update_slice dynamic_slice "
    "select_n"
).split():
    deflinear(getattr(lax, f"{_name}_p"))
deflinear(add_any_p)
for _name in "sign floor ceil round is_finite eq ne lt le gt ge not argmax argmin".split():
    defzero(getattr(lax, f"{_name}_p"))


def _rule(prim: Primitive) -> Callable[[Any], Any]:
    def decorate(f: Any) -> Any:
        jet_rules[prim] = f
        return f

    return decorate


@_rule(lax.convert_element_type_p)
def _convert(primals: Any, series: Any, **params: Any) -> Any:
    if params["new_dtype"] not in dtypes.INEXACT:
        return zero_prop(lax.convert_element_type_p, primals, series, **params)
    return linear_prop(lax.convert_element_type_p, primals, series, **params)


def _bilinear(prim: Primitive) -> None:
    def rule(primals: Any, series: Any, **params: Any) -> Any:
        (x, y), (xs, ys) = primals, series
        x, y = [x, *xs], [y, *ys]
        outs = [
            _sum([prim.bind(x[j], y[k - j], **params) for j in range(k + 1)]) for k in range(len(x))
        ]
        return outs[0], outs[1:]

    jet_rules[prim] = rule


for _prim in (lax.mul_p, lax.dot_general_p, lax.conv_general_dilated_p):
    _bilinear(_prim)


@_rule(lax.div_p)
def _div(primals: Any, series: Any) -> Any:
    (x, y), (xs, ys) = primals, series
    out = [lax.div_p.bind(x, y)]
    for k in range(len(xs)):
        out.append((xs[k] - _sum([ys[j] * out[k - j] for j in range(k + 1)])) / y)
    return out[0], out[1:]


def _self_made(prim: Primitive, slope: Callable[[list[Any]], Any]) -> None:
    """A rule of y' = g(y) x': ``slope`` gives the last coefficient of g of those of y."""

    def rule(primals: Any, series: Any) -> Any:
        (x,), (xs,) = primals, series
        y, slopes = [prim.bind(x)], []
        for k in range(len(xs)):
            slopes.append(slope(y))
            y.append(_sum([(j + 1) * xs[j] * slopes[k - j] for j in range(k + 1)]) / (k + 1))
        return y[0], y[1:]

    jet_rules[prim] = rule


def _square(y: list[Any]) -> Any:
    """The last coefficient of the square of a series."""
    return _sum([y[j] * y[len(y) - 1 - j] for j in range(len(y))])


def _first(y: list[Any], value: float) -> Any:
    return value if len(y) == 1 else 0


_self_made(lax.exp_p, lambda y: y[-1])
_self_made(lax.exp2_p, lambda y: y[-1] * math.log(2))
_self_made(lax.expm1_p, lambda y: y[-1] + _first(y, 1))
_self_made(lax.tanh_p, lambda y: _first(y, 1) - _square(y))
_self_made(lax.tan_p, lambda y: _first(y, 1) + _square(y))
_self_made(lax.logistic_p, lambda y: y[-1] - _square(y))


def _coupled(first: Primitive, second: Primitive, signs: tuple[int, int]) -> None:
    """Rules of two functions that are each other's derivative but for signs."""

    def series_of(x: Any, xs: Sequence[Any]) -> tuple[list[Any], list[Any]]:
        s, c = [first.bind(x)], [second.bind(x)]
        for k in range(len(xs)):
            slopes = [[(j + 1) * xs[j] * y[k - j] for j in range(k + 1)] for y in (c, s)]
            s.append(signs[0] * _sum(slopes[0]) / (k + 1))
            c.append(signs[1] * _sum(slopes[1]) / (k + 1))
        return s, c

    for which, prim in enumerate((first, second)):

        def rule(primals: Any, series: Any, which: int = which) -> Any:
            y = series_of(primals[0], series[0])[which]
            return y[0], y[1:]

        jet_rules[prim] = rule


_coupled(lax.sin_p, lax.cos_p, (1, -1))
_coupled(lax.sinh_p, lax.cosh_p, (1, 1))


def _power(x: Any, xs: Sequence[Any], y0: Any, r: Any) -> list[Any]:
    """The coefficients of x**r, from x y' = r x' y."""
    y = [y0]
    for k in range(1, len(xs) + 1):
        terms = [(r * j - (k - j)) * xs[j - 1] * y[k - j] for j in range(1, k + 1)]
        y.append(_sum(terms) / (k * x))
    return y


for _prim, _r in ((lax.sqrt_p, 0.5), (lax.rsqrt_p, -0.5), (lax.cbrt_p, 1 / 3)):

    def _root(primals: Any, series: Any, prim: Primitive = _prim, r: float = _r) -> Any:
        y = _power(primals[0], series[0], prim.bind(primals[0]), r)
        return y[0], y[1:]

    jet_rules[_prim] = _root


@_rule(lax.square_p)
def _squares(primals: Any, series: Any) -> Any:
    return jet_rules[lax.mul_p]((primals[0],) * 2, (series[0],) * 2)


@_rule(lax.integer_pow_p)
def _integer_pow(primals: Any, series: Any, *, y: int) -> Any:
    # By products, which hold at 0 too.
    base = primals[0], series[0]
    if y == 0:
        return lax.integer_pow_p.bind(primals[0], y=0), zero_series
    out, n, mul = None, abs(y), jet_rules[lax.mul_p]
    while n:
        if n & 1:
            out = base if out is None else mul(*zip(out, base, strict=True))
        n >>= 1
        if n:
            base = mul(*zip(base, base, strict=True))
    assert out is not None
    if y < 0:
        one = cnp.ones_like(out[0])
        out = _div((one, out[0]), ([cnp.zeros_like(one)] * len(out[1]), out[1]))
    return lax.integer_pow_p.bind(primals[0], y=y), out[1]


@_rule(lax.log_p)
def _log(primals: Any, series: Any) -> Any:
    (x,), (xs,) = primals, series
    y: list[Any] = []
    for k in range(1, len(xs) + 1):
        inner = [j * y[j - 1] * xs[k - j - 1] for j in range(1, k)]
        y.append((xs[k - 1] - _sum(inner) / k if inner else xs[k - 1]) / x)
    return lax.log_p.bind(x), y


@_rule(lax.log1p_p)
def _log1p(primals: Any, series: Any) -> Any:
    return lax.log1p_p.bind(primals[0]), _log((1 + primals[0],), series)[1]


# --- control flow ---------------------------------------------------------------------------


def _packed(primals: Any, series: Any, order: int) -> list[Any]:
    return [
        (cnp.asarray(p), () if s is zero_series else tuple(s))
        for p, s in ((p, full_series(p, s, order)) for p, s in safe_zip(primals, series))
    ]


def _of(closed: ClosedJaxpr, pairs: Sequence[Any], order: int) -> list[Any]:
    """The results of a jaxpr with their series, of operands with theirs."""
    outs = run_series(
        lambda *xs: eval_jaxpr(closed.jaxpr, closed.consts, *xs),
        order, [p for p, _ in pairs], [list(s) or zero_series for _, s in pairs],
    )  # fmt: skip
    return _packed(*unzip2(outs), order)


def _unpacked(pairs: Sequence[Any]) -> list[Any]:
    return [(p, list(s) or zero_series) for p, s in pairs]


def _scan(order: int, primals: Any, series: Any, params: Any) -> list[Any]:
    n, m, closed = params["num_consts"], params["num_carry"], params["jaxpr"]
    pairs = _packed(primals, series, order)

    def body(carry: Any, x: Any) -> Any:
        outs = _of(closed, [*pairs[:n], *carry, *x], order)
        return outs[:m], outs[m:]

    carry, ys = lax.scan(
        body, pairs[n : n + m], pairs[n + m :], length=params["length"],
        reverse=params["reverse"],
    )  # fmt: skip
    return _unpacked([*carry, *ys])


def _while(order: int, primals: Any, series: Any, params: Any) -> list[Any]:
    nc, nb = params["cond_nconsts"], params["body_nconsts"]
    cond, body = params["cond_jaxpr"], params["body_jaxpr"]
    pairs = _packed(primals, series, order)
    consts = [p for p, _ in pairs[:nc]]
    return _unpacked(
        lax.while_loop(
            lambda c: eval_jaxpr(cond.jaxpr, cond.consts, *consts, *[p for p, _ in c])[0],
            lambda c: _of(body, [*pairs[nc : nc + nb], *c], order),
            pairs[nc + nb :],
        )
    )


def _cond(order: int, primals: Any, series: Any, params: Any) -> list[Any]:
    index, *pairs = _packed(primals, series, order)
    branches = [
        lambda *ops, closed=closed: _of(closed, ops, order) for closed in params["branches"]
    ]
    return _unpacked(lax.switch(index[0], branches, *pairs))


control_rules.update({lax.scan_p: _scan, lax.while_p: _while, lax.cond_p: _cond})
