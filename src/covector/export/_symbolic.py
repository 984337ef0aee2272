"""Shapes with dimension variables, from texts: `symbolic_shape`, `symbolic_args_specs`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeGuard

import numpy as np

from covector.core import tree
from covector.core.dim_scope import Parser, SymbolicScope
from covector.core.dims import DimExpr
from covector.core.errors import at_user_line, describe
from covector.transforms.shapes import ShapeDtypeStruct, aval_like


def is_symbolic_dim(p: Any) -> TypeGuard[DimExpr]:
    """Whether a size is an expression in dimension variables rather than a number.

    Parameters
    ----------
    p : int or symbolic dimension

    Returns
    -------
    bool

    Examples
    --------
    >>> from covector import export
    >>> [export.is_symbolic_dim(d) for d in export.symbolic_shape("a, 3")]
    [True, False]
    """
    return type(p) is DimExpr


def symbolic_shape(
    shape_spec: str | None,
    *,
    constraints: Sequence[str] = (),
    scope: SymbolicScope | None = None,
    like: Sequence[int | None] | None = None,
) -> tuple[Any, ...]:
    """A shape with dimension variables, from its text.

    Parameters
    ----------
    shape_spec : str or None
        Sizes separated by commas: names and integers, their sums, products (``2*a``) and powers
        (``a^2``), and ``floordiv``, ``mod``, ``max`` and ``min`` of two. ``_`` stands for the size
        in ``like``, ``...`` (and None) for all the rest of it.
    constraints : sequence of str
        What holds of the variables, see `SymbolicScope`. A variable is a size from 1 to 2^31 - 1.
    scope : SymbolicScope, optional
        Of the variables, so that they may stand in one function with others of it; by default a
        new one.
    like : sequence of int, optional

    Returns
    -------
    tuple of int and symbolic dimensions

    Raises
    ------
    ValueError
        If the text is no shape, or does not fit ``like``.

    Examples
    --------
    >>> import covector as cv
    >>> from covector import export
    >>> a, b = export.symbolic_shape("a, b", constraints=["a >= b"])
    >>> 2 * a + b, a >= b, 4 * b % 2
    (2*a + b, True, 0)
    >>> export.symbolic_shape("a, ...", like=(5, 6, 7))
    (a, 6, 7)
    """
    if scope is None:
        scope = SymbolicScope(constraints)
    elif constraints:
        raise ValueError(
            f"symbolic_shape: give constraints to the SymbolicScope, or no scope{at_user_line()}"
        )
    text = "..." if shape_spec is None else shape_spec
    if not isinstance(text, str):
        raise TypeError(
            f"symbolic_shape takes the text of a shape, got {describe(shape_spec)}{at_user_line()}"
        )
    return Parser(text, scope).shape(like)


def symbolic_args_specs(
    args: Any,
    shapes_specs: Any,
    constraints: Sequence[str] = (),
    scope: SymbolicScope | None = None,
) -> Any:
    """Types of arguments with symbolic shapes, in one scope, for `export`.

    Parameters
    ----------
    args : pytree
        Arrays, or what has a shape and a dtype.
    shapes_specs : pytree of str
        Of the structure of ``args``, or of a part of it from the top: a text holds for all arrays
        below. None and ``...`` stand for the shapes as they are.
    constraints : sequence of str
    scope : SymbolicScope, optional

    Returns
    -------
    pytree of ShapeDtypeStruct

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import export
    >>> args = (np.ones((2, 3)), {"w": np.ones(3)})
    >>> x, params = export.symbolic_args_specs(args, ("batch, ...", None))
    >>> x.shape, params["w"].shape
    ((batch, 3), (3,))
    """
    if scope is None:
        scope = SymbolicScope(constraints)
    elif constraints:
        raise ValueError(
            "symbolic_args_specs: give constraints to the SymbolicScope, or no scope"
            f"{at_user_line()}"
        )
    leaves, treedef = tree.flatten(args)
    # One text for the whole tuple stands for all of its arguments.
    specs = _spread(shapes_specs, args)
    out = []
    for x, text in zip(leaves, specs, strict=True):
        aval = aval_like(x if hasattr(x, "dtype") else np.asarray(x))
        shape = symbolic_shape(text, scope=scope, like=aval.shape)
        out.append(ShapeDtypeStruct(shape, aval.dtype, weak_type=aval.weak_type))
    return tree.unflatten(treedef, out)


def _spread(specs: Any, args: Any) -> list[Any]:
    """The text of each array."""
    if specs is None or isinstance(specs, str):
        return [specs] * len(tree.leaves(args))
    try:
        return tree.broadcast_prefix(specs, args)
    except ValueError as e:
        raise ValueError(
            f"symbolic_args_specs: the shapes {specs!r} are not of the structure of the arguments, "
            f"or of its upper part{at_user_line()}"
        ) from e
