"""Products of Householder reflections, whose derivative is that of a loop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from covector.control_flow.while_loop import fori_loop
from covector.core import dtypes
from covector.core.avals import ShapedArray
from covector.core.definers import def_broadcasting
from covector.core.errors import at_user_line
from covector.core.operands import like
from covector.core.rules import jvp_rules
from covector.core.structural import instantiate
from covector.core.trace import Primitive
from covector.primitives.arithmetic import add, mul, sub
from covector.primitives.compare import gt
from covector.primitives.linalg.common import adjoint, check_matrix, columns, eye_like, matmul
from covector.primitives.select import select
from covector.primitives.slicing import dynamic_index_in_dim
from covector.primitives.structure import broadcasted_iota, full_like
from covector.transforms.autodiff import jvp

householder_product_p = Primitive("householder_product")


@householder_product_p.def_abstract_eval
def _product_aval(a: ShapedArray, taus: ShapedArray) -> ShapedArray:
    check_matrix("householder_product", a)
    *batch, m, n = a.shape
    if (
        a.dtype != taus.dtype
        or taus.shape[:-1] != (*batch,)
        or not taus.shape
        or not m >= n >= taus.shape[-1]
    ):
        raise ValueError(
            f"householder_product takes a of shape (..., m, n) with m >= n, and taus of shape "
            f"(..., k) with k <= n and the same dtype, got {a.str_short()} and "
            f"{taus.str_short()}{at_user_line()}"
        )
    return ShapedArray(a.shape, a.dtype)


def _reflect(a: Any, taus: Any) -> Any:
    """The same as a loop over the reflections, from the last to the first."""
    k = taus.shape[-1]
    i = broadcasted_iota(dtypes.int32, a.shape, a.ndim - 2)
    j = broadcasted_iota(dtypes.int32, a.shape, a.ndim - 1)
    below = select(gt(i, j), a, full_like(a, 0))
    vectors = add(below, eye_like(a))

    def body(step: Any, q: Any) -> Any:
        at = sub(like(k - 1, step), step)
        v = dynamic_index_in_dim(vectors, at, a.ndim - 1)
        tau = dynamic_index_in_dim(taus, at, taus.ndim - 1)
        row = matmul(adjoint(v), q)
        return sub(q, matmul(v, mul(columns(tau, row), row)))

    return fori_loop(0, k, body, eye_like(a))


def _product_jvp(primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
    out = householder_product_p.bind(*primals)
    _, tangent = jvp(_reflect, tuple(primals), tuple(map(instantiate, tangents)))
    return out, tangent


jvp_rules[householder_product_p] = _product_jvp
def_broadcasting(householder_product_p)
