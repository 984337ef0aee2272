"""Products of matrices with their own transpositions."""

from __future__ import annotations

from typing import Any

from covector.core.avals import ShapedArray
from covector.core.definers import def_broadcasting, def_jvp
from covector.core.trace import Primitive
from covector.primitives.arithmetic import add
from covector.primitives.linalg.common import check_matrix, matmul, matrix_transpose

symmetric_product_p = Primitive("symmetric_product")


@symmetric_product_p.def_abstract_eval
def _product_aval(a: ShapedArray) -> ShapedArray:
    check_matrix("symmetric_product", a)
    return ShapedArray((*a.shape[:-1], a.shape[-2]), a.dtype)


def _product_jvp(g: Any, a: Any) -> Any:
    half = matmul(g, matrix_transpose(a))
    return add(half, matrix_transpose(half))


def_jvp(symmetric_product_p, _product_jvp)
def_broadcasting(symmetric_product_p)
