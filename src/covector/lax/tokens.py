"""Tokens: values without content, by which one operation waits for another."""

from __future__ import annotations

from typing import Any

from covector.core import dtypes
from covector.core.errors import at_user_line
from covector.core.structural import optimization_barrier_p
from covector.core.trace import Composed
from covector.lax.shape_functions import empty


def _after(*tokens: Any) -> Any:
    return optimization_barrier_p.bind(*tokens)[0] if len(tokens) > 1 else tokens[0]


create_token_p = Composed("create_token", lambda: empty((0,), dtypes.bool_))
after_all_p = Composed("after_all", _after)


def create_token(_: Any = None) -> Any:
    """A token that waits for nothing.

    Programs run in the order of what they read; a token is needed where that is not told by the
    values alone.

    Parameters
    ----------
    _ : object, optional
        Has no effect.

    Returns
    -------
    Array
        The token: of dtype ``bool`` and shape ``(0,)``.

    Examples
    --------
    >>> from covector import lax
    >>> lax.create_token().shape
    (0,)
    """
    return create_token_p.bind()


def after_all(*operands: Any) -> Any:
    """A token that waits for all tokens ``operands``.

    Parameters
    ----------
    *operands : token
        At least one, from `create_token` or this function.

    Returns
    -------
    Array
        A token.

    Raises
    ------
    TypeError
        If there is none, or one is not a token.

    Examples
    --------
    >>> from covector import lax
    >>> lax.after_all(lax.create_token(), lax.create_token()).shape
    (0,)
    """
    bad = [x for x in operands if getattr(x, "shape", None) != (0,) or x.dtype != dtypes.bool_]
    if bad or not operands:
        got = f"{type(bad[0]).__name__} {bad[0]!r}" if bad else "none"
        raise TypeError(f"after_all takes tokens from lax.create_token, got {got}{at_user_line()}")
    return after_all_p.bind(*operands)
