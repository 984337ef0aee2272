"""Functions with derivatives of their own (`covector.custom_derivatives`)."""

from typing import Any

from covector.control_flow.checkpoint import checkpoint_p as remat_opt_p
from covector.control_flow.checkpoint import zero_from_primal
from covector.control_flow.custom_gradient import closure_convert, custom_gradient
from covector.control_flow.custom_jvp import custom_jvp, custom_jvp_call_p
from covector.control_flow.custom_rules import SymbolicZero
from covector.control_flow.custom_vjp import CustomVJPPrimal, custom_vjp, custom_vjp_call_p
from covector.control_flow.linear_call import linear_call
from covector.core import tree as trees
from covector.core.errors import export as _export


def custom_vjp_primal_tree_values(tree: Any) -> Any:
    """The values in a tree of `CustomVJPPrimal`.

    Parameters
    ----------
    tree : pytree
        As a forward pass with ``symbolic_zeros=True`` gets it.

    Returns
    -------
    pytree
        Other leaves stay as they are.

    Examples
    --------
    >>> from covector import custom_derivatives
    >>> x = custom_derivatives.CustomVJPPrimal(2.0, True)
    >>> custom_derivatives.custom_vjp_primal_tree_values({"x": x, "n": 3})
    {'x': 2.0, 'n': 3}
    """
    return trees.map(
        lambda x: x.value if isinstance(x, CustomVJPPrimal) else x,
        tree,
        is_leaf=lambda x: isinstance(x, CustomVJPPrimal),
    )


__all__ = [
    "CustomVJPPrimal",
    "SymbolicZero",
    "closure_convert",
    "custom_gradient",
    "custom_jvp",
    "custom_jvp_call_p",
    "custom_vjp",
    "custom_vjp_call_p",
    "custom_vjp_primal_tree_values",
    "linear_call",
    "remat_opt_p",
    "zero_from_primal",
]

_export(globals(), __all__)
