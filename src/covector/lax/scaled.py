"""Products of operands in blocks with a scale each: `scaled_dot`."""

from __future__ import annotations

from typing import Any

from covector.core import dtypes
from covector.core.avals import aval_of
from covector.core.errors import ShapeMismatchError, at_user_line, describe
from covector.core.operands import as_operand
from covector.core.structural import convert_element_type, reshape
from covector.lax.dot import dot_general
from covector.lax.shape_functions import broadcast_in_dim
from covector.primitives.arithmetic import mul_p


def scaled_dot(
    lhs: Any,
    rhs: Any,
    *,
    lhs_scale: Any = None,
    rhs_scale: Any = None,
    dimension_numbers: Any = None,
    preferred_element_type: Any = None,
) -> Any:
    """``(lhs * lhs_scale) @ (rhs * rhs_scale)``, with a scale for each block of an operand.

    Parameters
    ----------
    lhs, rhs : array_like
        Often of a dtype of few bits.
    lhs_scale, rhs_scale : array_like, optional
        Of the dimensions of the operand; along contracted ones its size is a multiple of the
        scale's, which counts for as many consecutive elements.
    dimension_numbers : ((lhs_contract, rhs_contract), (lhs_batch, rhs_batch)), optional
        By default operands are matrices, or stacks of matrices in the first dimension.
    preferred_element_type : dtype, optional
        Of the result; ``bfloat16`` by default.

    Returns
    -------
    Array
        Dimensions as of `dot_general`. Operands are multiplied by their scales, and products
        summed, in ``float32``, or in the dtype of the result if it is wider.

    Raises
    ------
    TypeError
        If shapes do not fit.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> x, y = np.ones((2, 4)), np.ones((4, 3))
    >>> lax.scaled_dot(x, y, lhs_scale=np.array([[1.0, 2.0], [0.0, 1.0]]))
    Array([[6, 6, 6],
           [2, 2, 2]], dtype=bfloat16)
    """
    x, y = as_operand(lhs, "scaled_dot"), as_operand(rhs, "scaled_dot")
    if dimension_numbers is None:
        ranks = {len(aval_of(v).shape) for v in (x, y)}
        if ranks not in ({2}, {3}):
            raise ShapeMismatchError(
                "scaled_dot takes two matrices or two stacks of matrices, got "
                f"{describe(x)} and {describe(y)}; give dimension_numbers for others"
                f"{at_user_line()}"
            )
        (rank,) = ranks
        batch = tuple(range(rank - 2))
        dimension_numbers = (((rank - 1,), (rank - 2,)), (batch, batch))
    (xc, yc), _ = dimension_numbers
    out = (
        dtypes.bfloat16 if preferred_element_type is None
        else dtypes.canonicalize_dtype(preferred_element_type)
    )  # fmt: skip
    wide = dtypes.promote_types(dtypes.float32, out)
    product = dot_general(
        _scaled(x, lhs_scale, xc, wide, "lhs"), _scaled(y, rhs_scale, yc, wide, "rhs"),
        dimension_numbers, preferred_element_type=wide,
    )  # fmt: skip
    return convert_element_type(product, out)


def _scaled(x: Any, scale: Any, contracted: Any, dtype: Any, name: str) -> Any:
    x = convert_element_type(x, dtype)
    if scale is None:
        return x
    s = convert_element_type(as_operand(scale, "scaled_dot"), dtype)
    shape, own = aval_of(x).shape, aval_of(s).shape
    dims = {d % len(shape) for d in contracted}
    if len(own) != len(shape) or any(
        n != m if d not in dims else m == 0 or n % m
        for d, (n, m) in enumerate(zip(shape, own, strict=True))
    ):
        raise ShapeMismatchError(
            f"{name}_scale of scaled_dot has shape {own}, {name} has {shape}: sizes must be equal, "
            f"and divide those of contracted dimensions {tuple(sorted(dims))}{at_user_line()}"
        )
    split = tuple(k for n, m in zip(shape, own, strict=True) for k in (m, n // m))
    blocks = broadcast_in_dim(s, split, tuple(range(0, 2 * len(own), 2)))
    return mul_p.bind(x, reshape(blocks, shape))
