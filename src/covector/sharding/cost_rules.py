"""What one operation costs on one device: arithmetic, bytes of memory, and what it sums up."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from covector.control_flow.checkpoint import name_p
from covector.core.avals import ShapedArray
from covector.core.jaxpr import JaxprEqn
from covector.core.rules import ELEMENTWISE
from covector.core.structural import (
    add_any_p,
    broadcast_in_dim_p,
    convert_element_type_p,
    reduce_sum_p,
    reshape_p,
    transpose_p,
)
from covector.core.trace import Primitive
from covector.primitives import indexing, parallel, reductions
from covector.primitives.arithmetic import add_p, mul_p, neg_p, sub_p
from covector.primitives.convolution import conv_general_dilated_p
from covector.primitives.dot import dot_general_p
from covector.primitives.fourier import fft_p
from covector.primitives.linalg.lu import lu_p
from covector.primitives.linalg.qr import geqrf_p, qr_p
from covector.primitives.linalg.spectral import eig_p, eigh_p, svd_p
from covector.primitives.linalg.triangular import cholesky_p, triangular_solve_p
from covector.primitives.slicing import dynamic_slice_p, dynamic_update_slice_p
from covector.primitives.sorting import sort_p
from covector.primitives.structure import iota_p, slice_p, squeeze_p
from covector.sharding.factors import Avals, Factors, find_rule, scattered

# Operations (additions, products, functions) of one equation on whole arrays.
flop_rules: dict[Primitive, Callable[[JaxprEqn], float]] = {}


def _size(a: ShapedArray) -> int:
    return math.prod(a.shape)


def _dot(eqn: JaxprEqn) -> float:
    """A product and a sum for each term."""
    (contracted, _), _ = eqn.params["dimension_numbers"]
    x = eqn.invars[0].aval
    return 2.0 * _size(eqn.outvars[0].aval) * math.prod(x.shape[d] for d in contracted)


def _convolution(eqn: JaxprEqn) -> float:
    numbers, kernel = eqn.params["dimension_numbers"], eqn.invars[1].aval
    per_element = _size(kernel) / kernel.shape[numbers.rhs_spec[0]]
    return 2.0 * _size(eqn.outvars[0].aval) * per_element


def _each_result(eqn: JaxprEqn) -> float:
    return float(sum(_size(v.aval) for v in eqn.outvars))


def _each_operand(eqn: JaxprEqn) -> float:
    return float(_size(eqn.invars[0].aval))


def _matrices(count: Callable[[int, int], float]) -> Callable[[JaxprEqn], float]:
    """A factorisation of matrices of ``m`` rows and ``n`` columns, m ≥ n."""

    def rule(eqn: JaxprEqn) -> float:
        *batch, a, b = eqn.invars[0].aval.shape
        return math.prod(batch) * count(max(a, b), min(a, b))

    return rule


def _solve(eqn: JaxprEqn) -> float:
    a, b = eqn.invars[0].aval, eqn.invars[1].aval
    return float(_size(b) * a.shape[-1])


def _fft(eqn: JaxprEqn) -> float:
    """Cooley and Tukey: 5 n log₂ n of real arithmetic."""
    n = math.prod(eqn.params["fft_lengths"])
    size = max(_size(eqn.invars[0].aval), _size(eqn.outvars[0].aval))
    return 5.0 * size * math.log2(max(n, 1))


def _sort(eqn: JaxprEqn) -> float:
    x = eqn.invars[0].aval
    return _size(x) * math.log2(max(x.shape[eqn.params["dimension"]], 1))


def flops(eqn: JaxprEqn) -> float:
    """Operations of an equation without inner programs, on whole arrays; moving data is none."""
    rule = flop_rules.get(eqn.primitive)
    return 0.0 if rule is None else rule(eqn)


# --- what is in pieces -------------------------------------------------------------------------

# Sums over factors that are split leave on each device a term of the result.
SUMMING = frozenset((dot_general_p, reduce_sum_p, conv_general_dilated_p, indexing.scatter_add_p))

# Linear operations of one operand: of a term they make a term.
LINEAR = frozenset((
    neg_p, convert_element_type_p, transpose_p, reshape_p, squeeze_p, broadcast_in_dim_p,
    reduce_sum_p, parallel.pcast_p, name_p,
))  # fmt: skip
# Of terms of all operands they make a term.
ADDING = frozenset((add_p, add_any_p, sub_p))
# Of a term of one operand, with the others whole.
SCALING = frozenset((mul_p,))


def _scattered_terms(operands: Avals, results: Avals, params: dict[str, Any]) -> Factors:
    """Each device adds the updates that it has: the result is the sum over devices."""
    f = scattered(operands, results, params)
    f.whole.difference_update(k for dim in f.operands[1][:-1] for k in dim)
    return f


def factors_of(eqn: JaxprEqn) -> Factors | None:
    """The factors of an equation, those of sums of updates among them."""
    adds = eqn.primitive is indexing.scatter_add_p
    rule = _scattered_terms if adds else find_rule(eqn.primitive)
    if rule is None:
        return None
    return rule([a.aval for a in eqn.invars], [v.aval for v in eqn.outvars], eqn.params)


# --- memory ------------------------------------------------------------------------------------

# Elements are computed where they are used, if that is in one place.
ELEMENTS = frozenset((*ELEMENTWISE.values(), convert_element_type_p))
# Elements are computed wherever they are used: from less than they are.
MADE = frozenset((broadcast_in_dim_p, iota_p))
# The result is the operand, looked at in another way.
VIEWS = frozenset((reshape_p, squeeze_p, transpose_p, name_p))
# Operands may be computed while it runs.
FOLDS = frozenset(
    (reduce_sum_p, *(getattr(reductions, f"reduce_{n}_p") for n in ("max", "min", "prod")))
)

# Of their first operand they read, or change, a part only.
PARTIAL_READ = frozenset((slice_p, dynamic_slice_p, indexing.gather_p))
PARTIAL_WRITE = frozenset((
    dynamic_update_slice_p,
    *(getattr(indexing, f"scatter{n}_p") for n in ("", "_add", "_mul", "_min", "_max")),
))  # fmt: skip


def _register() -> None:
    moves = {convert_element_type_p}
    flop_rules.update({p: _each_result for p in ELEMENTWISE.values() if p not in moves})
    flop_rules.update(dict.fromkeys(FOLDS, _each_operand))
    flop_rules.update({
        dot_general_p: _dot,
        conv_general_dilated_p: _convolution,
        fft_p: _fft,
        sort_p: _sort,
        indexing.scatter_add_p: lambda eqn: float(_size(eqn.invars[2].aval)),
        triangular_solve_p: _solve,
        cholesky_p: _matrices(lambda m, n: n**3 / 3),
        lu_p: _matrices(lambda m, n: m * n**2 - n**3 / 3),
        qr_p: _matrices(lambda m, n: 4 * m * n**2 - 4 * n**3 / 3),
        geqrf_p: _matrices(lambda m, n: 2 * m * n**2 - 2 * n**3 / 3),
        eigh_p: _matrices(lambda m, n: 9.0 * n**3),
        eig_p: _matrices(lambda m, n: 25.0 * n**3),
        svd_p: _matrices(lambda m, n: 14 * m * n**2 + 8.0 * n**3),
    })  # fmt: skip


_register()
