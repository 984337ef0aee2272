"""What defines dtypes of one's own needs: they are fixed here."""

from __future__ import annotations

from typing import Any, NoReturn

from covector.core.errors import at_user_line


def _fixed(name: str) -> NoReturn:
    raise NotImplementedError(
        f"{name} serves dtypes that programs define, and the dtypes here are fixed, so that "
        f"compiled code knows them{at_user_line()}"
    )


class EArray:
    """An array of a dtype that a program defines; the dtypes here are fixed.

    Raises
    ------
    NotImplementedError
        Always.
    """

    def __init__(self, aval: Any, data: Any) -> None:
        _fixed("EArray")


def cur_qdd(x: Any) -> Any:
    """The state of a type that a program defines; the types here have none.

    Parameters
    ----------
    x : object

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
    ...     cv.experimental.cur_qdd(1)
    ... except NotImplementedError:
    ...     print("the dtypes are fixed")
    the dtypes are fixed
    """
    _fixed("cur_qdd")


def primal_tangent_dtype(primal_dtype: Any, tangent_dtype: Any, name: str | None = None) -> Any:
    """A dtype whose tangents have another one; the dtypes here are fixed.

    Parameters
    ----------
    primal_dtype, tangent_dtype : dtype
    name : str, optional

    Returns
    -------
    dtype

    Raises
    ------
    NotImplementedError
        Always.

    Examples
    --------
    >>> import covector as cv
    >>> try:
    ...     cv.experimental.primal_tangent_dtype("int32", "float32")
    ... except NotImplementedError:
    ...     print("the dtypes are fixed")
    the dtypes are fixed
    """
    _fixed("primal_tangent_dtype")
