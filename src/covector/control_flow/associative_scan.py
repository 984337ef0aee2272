"""``associative_scan``: all prefixes of an associative operation, in logarithmic depth."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from covector.core import tree
from covector.core.avals import aval_of
from covector.core.errors import at_user_line
from covector.core.operands import canonical_axis
from covector.primitives.prefixes import prefixes
from covector.transforms.arguments import api_boundary, check_callable


@api_boundary
def associative_scan(
    fn: Callable[[Any, Any], Any], elems: Any, reverse: bool = False, axis: int = 0
) -> Any:
    """Combine all prefixes along an axis with an associative function, in parallel.

    Parameters
    ----------
    fn : callable
        ``fn(a, b)``, associative, working element by element along ``axis`` of its arguments.
    elems : pytree of arrays of equal size along ``axis``
    reverse : bool
        Combine suffixes instead.
    axis : int

    Returns
    -------
    pytree
        Of the structure and shapes of ``elems``.

    Notes
    -----
    Pairs of neighbours are combined, the half as many results scanned by recursion, and the
    prefixes in between filled in: G. E. Blelloch, "Prefix sums and their applications" (1990).

    Examples
    --------
    >>> import covector as cv
    >>> import covector.numpy as np
    >>> cv.lax.associative_scan(np.maximum, np.array([1, 3, 2, 5]))
    Array([1, 3, 3, 5], dtype=int32)

    The recurrence ``y[i] = a[i] * y[i - 1] + b[i]``, as a composition of linear functions:

    >>> def compose(f, g):
    ...     return f[0] * g[0], f[1] * g[0] + g[1]
    >>> a, b = np.array([2.0, 2.0, 2.0]), np.array([1.0, 1.0, 1.0])
    >>> cv.lax.associative_scan(compose, (a, b))[1]
    Array([1., 3., 7.], dtype=float32)
    """
    check_callable(fn, "associative_scan")
    flat, treedef = tree.flatten(elems)
    if not flat:
        return elems
    axes = [canonical_axis(axis, aval_of(x), "associative_scan: axis") for x in flat]
    sizes = {aval_of(x).shape[a] for x, a in zip(flat, axes, strict=True)}
    if len(sizes) != 1:
        shapes = ", ".join(aval_of(x).str_short() for x in flat)
        raise ValueError(
            f"associative_scan: the arrays must have equal sizes along axis {axis}, got {shapes}"
            f"{at_user_line()}"
        )

    def combine(a: list[Any], b: list[Any]) -> list[Any]:
        return tree.leaves(fn(tree.unflatten(treedef, a), tree.unflatten(treedef, b)))

    return tree.unflatten(treedef, prefixes(combine, flat, axes, bool(reverse)))
