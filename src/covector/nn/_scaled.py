"""Matrix products of block-scaled narrow floats, which need hardware for those formats."""

from __future__ import annotations

from typing import Any, NoReturn

from covector.core.errors import at_user_line


def _unavailable(name: str) -> NoReturn:
    raise NotImplementedError(
        f"{name} needs block-scaled 4- and 8-bit float formats, which no backend here has; convert "
        f"the operands to float32 or bfloat16 and use covector.lax.dot_general{at_user_line()}"
    )


def scaled_matmul(
    lhs: Any, rhs: Any, lhs_scales: Any, rhs_scales: Any, preferred_element_type: Any = None
) -> Any:
    """Matrix product of block-scaled operands: not available on this hardware.

    Parameters
    ----------
    lhs, rhs : array_like
    lhs_scales, rhs_scales : array_like
        Factors of blocks of the operands.
    preferred_element_type : dtype, optional

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
    ...     cv.nn.scaled_matmul(None, None, None, None)
    ... except NotImplementedError:
    ...     print("not available")
    not available
    """
    _unavailable("scaled_matmul")


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
