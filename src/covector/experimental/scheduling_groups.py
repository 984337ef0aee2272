"""Groups of operations for XLA's schedulers, which are not here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from covector.core.errors import at_user_line
from covector.core.errors import export as _export
from covector.core.trace import Composed

__all__ = [
    "FlatTree", "dce_jaxpr_xla_metadata_rule", "scheduling_group", "xla_metadata_call",
    "xla_metadata_call_p",
]  # fmt: skip


def _absent(name: str) -> NoReturn:
    raise NotImplementedError(
        f"{name} tells XLA's scheduler which operations overlap; Covector does not use XLA, and "
        f"its programs run their loops one after the other{at_user_line()}"
    )


def scheduling_group(name: str) -> Callable[..., Any]:
    """Name operations that XLA is to schedule together; Covector does not use XLA.

    Parameters
    ----------
    name : str

    Returns
    -------
    callable

    Raises
    ------
    NotImplementedError
        Always.

    Examples
    --------
    >>> from covector.experimental.scheduling_groups import scheduling_group
    >>> try:
    ...     scheduling_group("first")
    ... except NotImplementedError:
    ...     print("there is no XLA")
    there is no XLA
    """
    _absent("scheduling_group")


def xla_metadata_call(f: Callable[..., Any] | None = None, **meta: Any) -> Any:
    """A call with words for XLA; Covector does not use XLA.

    Parameters
    ----------
    f : callable, optional
    **meta
        The words.

    Returns
    -------
    callable

    Raises
    ------
    NotImplementedError
        Always.

    Examples
    --------
    >>> from covector.experimental.scheduling_groups import xla_metadata_call
    >>> try:
    ...     xla_metadata_call(abs)
    ... except NotImplementedError:
    ...     print("there is no XLA")
    there is no XLA
    """
    _absent("xla_metadata_call")


class FlatTree:
    """A tree as it is inside of JAX beside words for XLA; here, trees are `covector.tree`'s.

    Raises
    ------
    NotImplementedError
        Always.

    Examples
    --------
    >>> from covector.experimental.scheduling_groups import FlatTree
    >>> try:
    ...     FlatTree([], None, ())
    ... except NotImplementedError:
    ...     print("there is no XLA")
    there is no XLA
    """

    def __init__(self, vals: Any, treedef: Any, statics: Any, registry: Any = None) -> None:
        _absent("FlatTree")


def dce_jaxpr_xla_metadata_rule(used_outputs: list[bool], eqn: Any) -> NoReturn:
    """What of a call with words for XLA is used; programs here have no such calls.

    Parameters
    ----------
    used_outputs : list of bool
    eqn : JaxprEqn

    Returns
    -------
    list of bool
    JaxprEqn or None

    Raises
    ------
    NotImplementedError
        Always.

    Examples
    --------
    >>> from covector.experimental.scheduling_groups import dce_jaxpr_xla_metadata_rule
    >>> try:
    ...     dce_jaxpr_xla_metadata_rule([True], None)
    ... except NotImplementedError:
    ...     print("there is no XLA")
    there is no XLA
    """
    _absent("dce_jaxpr_xla_metadata_rule")


xla_metadata_call_p = Composed("xla_metadata_call", lambda *a, **k: _absent("xla_metadata_call"))

_export(globals(), __all__)
