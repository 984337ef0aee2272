"""Matrix products of block-scaled narrow floats, and what chooses scales, which is not there."""

from __future__ import annotations

from typing import Any, NoReturn

from covector import lax
from covector.core import dtypes
from covector.core.errors import at_user_line
from covector.numpy import asarray


def _unavailable(name: str) -> NoReturn:
    raise NotImplementedError(
        f"{name} chooses the scales of blocks for hardware that multiplies them, which no backend "
        f"here has; scale the operands and use covector.nn.scaled_matmul{at_user_line()}"
    )


def scaled_matmul(
    lhs: Any, rhs: Any, lhs_scales: Any, rhs_scales: Any, preferred_element_type: Any = None
) -> Any:
    """Matrix products of block-scaled operands, with the rows of both as vectors.

    Parameters
    ----------
    lhs, rhs : array_like
        Shapes ``(B, M, K)`` and ``(B, N, K)``, usually of a float type of at most eight bits.
    lhs_scales, rhs_scales : array_like
        Factors of blocks of ``K / S`` elements, of shapes ``(B, M, S)`` and ``(B, N, S)``.
    preferred_element_type : dtype, optional
        Of the result; by default float32. Products are summed in float32.

    Returns
    -------
    Array
        Shape ``(B, M, N)``.

    Raises
    ------
    ValueError
        If the operands have not three dimensions, or sizes do not fit.

    Examples
    --------
    >>> import covector as cv
    >>> x = cv.numpy.ones((1, 1, 64), "float8_e4m3fn")
    >>> scales = cv.numpy.array([[[0.5, 2.0]]], "float8_e8m0fnu")
    >>> cv.nn.scaled_matmul(x, x, scales, scales)
    Array([[[136.]]], dtype=float32)
    """
    given = [asarray(x) for x in (lhs, rhs, lhs_scales, rhs_scales)]
    _check_scaled(*given)
    a, b = (_scaled(x, s) for x, s in zip(given[:2], given[2:], strict=True))
    out = lax.dot_general(a, b, (((2,), (2,)), ((0,), (0,))))
    dt = dtypes.float32 if preferred_element_type is None else preferred_element_type
    return out.astype(dt)


def _check_scaled(a: Any, b: Any, a_scales: Any, b_scales: Any) -> None:
    """Raise the ValueError for operands of `scaled_matmul` that do not fit."""
    shapes = [x.shape for x in (a, b, a_scales, b_scales)]
    fits = (
        all(len(s) == 3 for s in shapes)
        and a.shape[::2] == b.shape[::2]
        and all(x.shape[:2] == s.shape[:2] for x, s in ((a, a_scales), (b, b_scales)))
        and a_scales.shape[2] == b_scales.shape[2] > 0
        and a.shape[2] % a_scales.shape[2] == 0
    )
    if not fits:
        raise ValueError(
            "scaled_matmul takes operands of shapes (B, M, K) and (B, N, K) with scales of shapes "
            f"(B, M, S) and (B, N, S), where S divides K; got {', '.join(map(str, shapes))}"
            f"{at_user_line()}"
        )


def _scaled(x: Any, scales: Any) -> Any:
    """The operand in float32, its blocks multiplied by their factors."""
    blocks = x.astype(dtypes.float32).reshape(*scales.shape, -1)
    return (blocks * scales.astype(dtypes.float32)[..., None]).reshape(x.shape)


def scaled_dot_general(
    lhs: Any,
    rhs: Any,
    dimension_numbers: Any,
    preferred_element_type: Any = None,
    configs: Any = None,
    implementation: str | None = None,
) -> Any:
    """Generalised product of block-scaled operands: not available on this hardware.

    Parameters
    ----------
    lhs, rhs : array_like
    dimension_numbers : ((lhs_contract, rhs_contract), (lhs_batch, rhs_batch))
    preferred_element_type : dtype, optional
    configs : list, optional
        Formats of the operands.
    implementation : str, optional

    Returns
    -------
    Array

    Raises
    ------
    NotImplementedError
        Always.

    Examples
    --------
    >>> import covector as cv
    >>> try:
    ...     cv.nn.scaled_dot_general(None, None, None)
    ... except NotImplementedError:
    ...     print("not available")
    not available
    """
    _unavailable("scaled_dot_general")


def get_scaled_dot_general_config(mode: str, global_scale: Any = None) -> Any:
    """Configuration of a block-scaled format: not available on this hardware.

    Parameters
    ----------
    mode : str
        Name of the format.
    global_scale : array_like, optional

    Returns
    -------
    object

    Raises
    ------
    NotImplementedError
        Always.

    Examples
    --------
    >>> import covector as cv
    >>> try:
    ...     cv.nn.get_scaled_dot_general_config("nvfp4")
    ... except NotImplementedError:
    ...     print("not available")
    not available
    """
    _unavailable("get_scaled_dot_general_config")
