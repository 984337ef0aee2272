"""The Threefry-2x32 block cipher as a primitive: the source of random bits."""

from __future__ import annotations

from covector.core import dtypes
from covector.core.avals import ShapedArray
from covector.core.definers import def_jvp_zero, def_vectorized
from covector.core.trace import Primitive
from covector.primitives.common import elementwise_aval

threefry2x32_p = Primitive("threefry2x32", multiple_results=True)


@threefry2x32_p.def_abstract_eval
def _threefry_aval(
    k1: ShapedArray, k2: ShapedArray, x1: ShapedArray, x2: ShapedArray
) -> list[ShapedArray]:
    if x1.dtype != dtypes.uint32:
        raise TypeError(f"threefry2x32 takes uint32 operands, got {x1.str_short()}")
    out = elementwise_aval("threefry2x32", (k1, k2, x1, x2)).strip_weak_type()
    return [out, out]


def_vectorized(threefry2x32_p)
def_jvp_zero(threefry2x32_p)
