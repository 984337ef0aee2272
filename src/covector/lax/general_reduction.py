"""Reductions with any associative function."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from covector.control_flow.common import Body, trace_body
from covector.control_flow.reduce import reduce_by_neighbours, reduce_p
from covector.core import tree
from covector.core.avals import ShapedArray, aval_of
from covector.core.errors import at_user_line
from covector.core.jaxpr import Jaxpr
from covector.core.operands import (
    PY_SCALARS,
    as_array,
    as_operand,
    canonical_axes,
    weak_operand,
)
from covector.core.structural import reduce_sum_p
from covector.core.trace import Primitive
from covector.primitives.arithmetic import add_p, max_p, min_p, mul_p
from covector.primitives.compare import and_p, or_p, xor_p
from covector.primitives.reductions import (
    reduce_and_p,
    reduce_max_p,
    reduce_min_p,
    reduce_or_p,
    reduce_prod_p,
    reduce_xor_p,
)
from covector.sharding.results import laid_out
from covector.transforms.arguments import fun_name

# The reduction of each function that has one.
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
        Two values (trees) to one, of the same structure and dtypes. It must be associative; it
        need not be commutative: elements are combined in their order (row-major), in groups that
        are not specified.
    dimensions : sequence of int
        Distinct; negative ones count from the end.
    out_sharding : NamedSharding or PartitionSpec, optional
        How the result is laid out over the axes of a mesh.

    Returns
    -------
    Array or tree of Array
        Without the dimensions ``dimensions``; ``init_values`` where these are empty.

    Raises
    ------
    TypeError
        If ``init_values`` or what ``computation`` returns is not of the structure and dtypes of
        ``operands``.
    ValueError
        If one of ``init_values`` is not a scalar.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> lax.reduce(np.array([[1, 5], [7, 2]]), 0, lax.max, [1])
    Array([5, 7], dtype=int32)
    >>> lax.reduce(np.array([True, True, True]), False, lambda a, b: a ^ b, [0])
    Array(True, dtype=bool)
    """
    if out_sharding is not None:
        return laid_out(reduce, locals())
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
    for v, x in zip(inits, xs, strict=True):
        start = aval_of(v)
        fault = (
            ValueError if start.shape else TypeError if start.dtype != aval_of(x).dtype else None
        )
        if fault is not None:
            raise fault(
                f"reduce: init_values must be scalars of the dtypes of operands, got "
                f"{start.str_short()} for {aval_of(x).str_short()}{at_user_line()}"
            )
    dims = tuple(sorted(canonical_axes(dimensions, xs[0], "dimensions")))

    scalars = [ShapedArray((), aval_of(x).dtype) for x in xs]
    both = tree.structure((operands, operands))
    body = trace_body(computation, both, [*scalars, *scalars], "reduce")
    known = known_combination(body.jaxpr) if len(xs) == 1 else None
    if known is not None:
        out = _MONOIDS[known].bind(xs[0], axes=dims)
        return tree.unflatten(treedef, [known.bind(out, inits[0])])
    _check_results(body, treedef, scalars, computation)
    if not body.consts:
        outs = reduce_p.bind(*xs, *inits, jaxpr=body.closed, axes=dims)
        return tree.unflatten(treedef, outs)

    # What is closed over is known for whole arrays only.
    def combine(*args: Any) -> list[Any]:
        n = len(args) // 2
        out = computation(tree.unflatten(treedef, args[:n]), tree.unflatten(treedef, args[n:]))
        return tree.leaves(out)

    return tree.unflatten(treedef, reduce_by_neighbours(combine, xs, inits, dims))


def _check_results(
    body: Body, treedef: Any, wanted: Sequence[ShapedArray], computation: Callable[..., Any]
) -> None:
    """Raise where a combination does not return what it can take again."""
    same = body.out_tree == treedef
    if same and [(a.shape, a.dtype) for a in body.out_avals] == [((), a.dtype) for a in wanted]:
        return
    got = ", ".join(a.str_short() for a in body.out_avals) if same else str(body.out_tree)
    expected = ", ".join(a.str_short() for a in wanted) if same else str(treedef)
    raise TypeError(
        f"reduce: computation must return what operands are made of, {expected}, but "
        f"{fun_name(computation)} returns {got}{at_user_line()}"
    )


def known_combination(jaxpr: Jaxpr) -> Primitive | None:
    """The one primitive that a combination of two values is, if there are reductions with it."""
    if len(jaxpr.eqns) != 1 or jaxpr.eqns[0].primitive not in _MONOIDS:
        return None
    eqn = jaxpr.eqns[0]
    same = set(eqn.invars) == set(jaxpr.invars) and jaxpr.outvars == eqn.outvars
    return eqn.primitive if same else None
