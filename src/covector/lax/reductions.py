"""Reductions over dimensions: sums, products, extrema, logic, and where extrema lie."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from covector.control_flow.common import trace_body
from covector.control_flow.reduce import reduce_by_halves, reduce_p
from covector.core import dtypes, tree
from covector.core.avals import ShapedArray, aval_of
from covector.core.errors import at_user_line
from covector.core.jaxpr import Jaxpr
from covector.core.operands import (
    PY_SCALARS,
    as_array,
    as_operand,
    canonical_axes,
    canonical_axis,
    weak_operand,
)
from covector.core.structural import reduce_sum_p
from covector.core.trace import Primitive
from covector.primitives.arithmetic import add_p, max_p, min_p, mul_p
from covector.primitives.compare import and_p, or_p, xor_p
from covector.primitives.reductions import (
    argmax_p,
    argmin_p,
    reduce_and_p,
    reduce_max_p,
    reduce_min_p,
    reduce_or_p,
    reduce_prod_p,
    reduce_xor_p,
)

# --- public functions --------------------------------------------------------------------


def _bind(prim: Primitive, operand: Any, axes: Any) -> Any:
    x = as_operand(operand, prim.name)
    return prim.bind(x, axes=canonical_axes(tuple(axes), aval_of(x), "axes"))


def reduce_sum(operand: Any, axes: Sequence[int], *, out_sharding: Any = None) -> Any:
    """Sum over ``axes``.

    Parameters
    ----------
    operand : array_like
        Numbers, of any shape.
    axes : sequence of int
        Distinct; negative ones count from the end. An empty sequence reduces nothing.
    out_sharding : None
        Has no effect.

    Returns
    -------
    Array
        Without the dimensions ``axes``, of the dtype of ``operand``; integers wrap around. Of
        nothing, 0.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> lax.reduce_sum(np.array([[1, 2], [3, 4]]), [0])
    Array([4, 6], dtype=int32)
    """
    return _bind(reduce_sum_p, operand, axes)


def reduce_prod(operand: Any, axes: Sequence[int]) -> Any:
    """Product over ``axes``.

    Parameters
    ----------
    operand : array_like
        Numbers, of any shape.
    axes : sequence of int
        Distinct; negative ones count from the end. An empty sequence reduces nothing.

    Returns
    -------
    Array
        Without the dimensions ``axes``, of the dtype of ``operand``; integers wrap around. Of
        nothing, 1.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> lax.reduce_prod(np.array([[1, 2], [3, 4]]), [1])
    Array([ 2, 12], dtype=int32)
    """
    return _bind(reduce_prod_p, operand, axes)


def reduce_max(operand: Any, axes: Sequence[int]) -> Any:
    """Maximum over ``axes``; of nothing, the least value of the dtype.

    Parameters
    ----------
    operand : array_like
        Numbers or booleans, of any shape.
    axes : sequence of int
        Distinct; negative ones count from the end. An empty sequence reduces nothing.

    Returns
    -------
    Array
        Without the dimensions ``axes``, of the dtype of ``operand``; NaN where one is among the
        elements.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> lax.reduce_max(np.array([[1, 2], [3, 4]]), [0])
    Array([3, 4], dtype=int32)
    >>> lax.reduce_max(np.zeros((2, 0)), [1])
    Array([-inf, -inf], dtype=float32)
    """
    return _bind(reduce_max_p, operand, axes)


def reduce_min(operand: Any, axes: Sequence[int]) -> Any:
    """Minimum over ``axes``; of nothing, the greatest value of the dtype.

    Parameters
    ----------
    operand : array_like
        Numbers or booleans, of any shape.
    axes : sequence of int
        Distinct; negative ones count from the end. An empty sequence reduces nothing.

    Returns
    -------
    Array
        Without the dimensions ``axes``, of the dtype of ``operand``; NaN where one is among the
        elements.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> lax.reduce_min(np.array([[1, 2], [3, 4]]), [0, 1])
    Array(1, dtype=int32)
    """
    return _bind(reduce_min_p, operand, axes)


def reduce_and(operand: Any, axes: Sequence[int]) -> Any:
    """Bitwise or logical AND over ``axes``.

    Parameters
    ----------
    operand : array_like
        Booleans or integers, of any shape.
    axes : sequence of int
        Distinct; negative ones count from the end. An empty sequence reduces nothing.

    Returns
    -------
    Array
        Without the dimensions ``axes``, of the dtype of ``operand``. Of nothing, True or all bits
        set.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> lax.reduce_and(np.array([[True, True], [True, False]]), [1])
    Array([ True, False], dtype=bool)
    """
    return _bind(reduce_and_p, operand, axes)


def reduce_or(operand: Any, axes: Sequence[int]) -> Any:
    """Bitwise or logical OR over ``axes``.

    Parameters
    ----------
    operand : array_like
        Booleans or integers, of any shape.
    axes : sequence of int
        Distinct; negative ones count from the end. An empty sequence reduces nothing.

    Returns
    -------
    Array
        Without the dimensions ``axes``, of the dtype of ``operand``. Of nothing, False or 0.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> lax.reduce_or(np.array([0b001, 0b100]), [0])
    Array(5, dtype=int32)
    """
    return _bind(reduce_or_p, operand, axes)


def reduce_xor(operand: Any, axes: Sequence[int]) -> Any:
    """Bitwise or logical exclusive OR over ``axes``.

    Parameters
    ----------
    operand : array_like
        Booleans or integers, of any shape.
    axes : sequence of int
        Distinct; negative ones count from the end. An empty sequence reduces nothing.

    Returns
    -------
    Array
        Without the dimensions ``axes``, of the dtype of ``operand``. Of nothing, False or 0.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> lax.reduce_xor(np.array([0b011, 0b110]), [0])
    Array(5, dtype=int32)
    """
    return _bind(reduce_xor_p, operand, axes)


def argmax(operand: Any, axis: int, index_dtype: Any) -> Any:
    """Index of the first maximum along ``axis``; of the first NaN if there is one.

    Parameters
    ----------
    operand : array_like
        Real numbers or booleans.
    axis : int
        Negative ones count from the end.
    index_dtype : dtype
        An integer dtype, of the result.

    Returns
    -------
    Array
        Without the dimension ``axis``.

    Raises
    ------
    ValueError
        If the axis has size 0.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> lax.argmax(np.array([[1, 5, 5], [9, 2, 3]]), 1, np.int32)
    Array([1, 0], dtype=int32)
    """
    x = as_operand(operand, "argmax")
    axis = canonical_axis(axis, aval_of(x))
    return argmax_p.bind(x, axes=(axis,), index_dtype=dtypes.canonicalize_dtype(index_dtype))


def argmin(operand: Any, axis: int, index_dtype: Any) -> Any:
    """Index of the first minimum along ``axis``; of the first NaN if there is one.

    Parameters
    ----------
    operand : array_like
        Real numbers or booleans.
    axis : int
        Negative ones count from the end.
    index_dtype : dtype
        An integer dtype, of the result.

    Returns
    -------
    Array
        Without the dimension ``axis``.

    Raises
    ------
    ValueError
        If the axis has size 0.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> lax.argmin(np.array([[4, 1, 1], [0, 2, 3]]), 1, np.int32)
    Array([1, 0], dtype=int32)
    """
    x = as_operand(operand, "argmin")
    axis = canonical_axis(axis, aval_of(x))
    return argmin_p.bind(x, axes=(axis,), index_dtype=dtypes.canonicalize_dtype(index_dtype))


_MONOIDS = {
    add_p: reduce_sum_p,
    mul_p: reduce_prod_p,
    max_p: reduce_max_p,
    min_p: reduce_min_p,
    and_p: reduce_and_p,
    or_p: reduce_or_p,
    xor_p: reduce_xor_p,
}


def reduce(
    operands: Any,
    init_values: Any,
    computation: Callable[[Any, Any], Any],
    dimensions: Sequence[int],
    out_sharding: Any = None,
) -> Any:
    """Combine the elements along ``dimensions`` with an associative function.

    Parameters
    ----------
    operands : array_like or tree of array_like
        All of one shape.
    init_values : scalar or tree of scalars
        Of the structure and dtypes of ``operands``. Must be neutral for ``computation``, or count
        once.
    computation : callable
        Two values (trees) to one. The order in which elements are combined is not specified.
    dimensions : sequence of int
        Distinct; negative ones count from the end.
    out_sharding : None
        Has no effect.

    Returns
    -------
    Array or tree of Array
        Without the dimensions ``dimensions``; ``init_values`` where these are empty.

    Raises
    ------
    TypeError
        If ``init_values`` does not have the structure of ``operands``.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> lax.reduce(np.array([[1, 5], [7, 2]]), 0, lax.max, [1])
    Array([5, 7], dtype=int32)
    >>> lax.reduce(np.array([True, True, True]), False, lambda a, b: a ^ b, [0])
    Array(True, dtype=bool)
    """
    flat, treedef = tree.flatten(operands)
    inits, init_tree = tree.flatten(init_values)
    if init_tree != treedef or not flat:
        raise TypeError(
            f"reduce: init_values must have the structure of operands, got {init_tree} and "
            f"{treedef}{at_user_line()}"
        )
    xs = [as_array(x, "reduce") for x in flat]
    inits = [
        weak_operand("reduce", v, x) if type(v) in PY_SCALARS else as_operand(v, "reduce")
        for v, x in zip(inits, xs, strict=True)
    ]
    dims = canonical_axes(tuple(dimensions), xs[0], "dimensions")

    scalars = [ShapedArray((), aval_of(x).dtype) for x in xs]
    both = tree.structure((operands, operands))
    body = trace_body(computation, both, [*scalars, *scalars], "reduce")
    known = _known(body.jaxpr) if len(xs) == 1 else None
    if known is not None:
        out = _MONOIDS[known].bind(xs[0], axes=dims)
        return tree.unflatten(treedef, [known.bind(out, inits[0])])
    types = [(a.shape, a.dtype) for a in body.out_avals]
    if not body.consts and types == [((), a.dtype) for a in scalars]:
        outs = reduce_p.bind(*xs, *inits, jaxpr=body.closed, axes=dims)
        return tree.unflatten(treedef, outs)

    # What is closed over, or made of other types, is known for whole arrays only.
    def combine(*args: Any) -> list[Any]:
        n = len(args) // 2
        out = computation(tree.unflatten(treedef, args[:n]), tree.unflatten(treedef, args[n:]))
        return tree.leaves(out)

    return tree.unflatten(treedef, reduce_by_halves(combine, xs, inits, dims))


def _known(jaxpr: Jaxpr) -> Primitive | None:
    """The one primitive that a combination of two values is, if there are reductions with it."""
    if len(jaxpr.eqns) != 1 or jaxpr.eqns[0].primitive not in _MONOIDS:
        return None
    eqn = jaxpr.eqns[0]
    same = set(eqn.invars) == set(jaxpr.invars) and jaxpr.outvars == eqn.outvars
    return eqn.primitive if same else None
