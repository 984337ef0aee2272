"""``associative_scan``: all prefixes of an associative operation, in logarithmic depth."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from covector.core import dtypes, tree
from covector.core.avals import aval_of
from covector.core.errors import at_user_line
from covector.lax._common import canonical_axis
from covector.lax.arithmetic import add
from covector.lax.compare import bitwise_or
from covector.lax.shape_functions import concatenate, pad, rev
from covector.lax.slicing import slice_in_dim
from covector.transforms.arguments import api_boundary, check_callable


def _interleave(a: Any, b: Any, axis: int) -> Any:
    """``a[0], b[0], a[1], b[1], …`` along ``axis``; ``a`` may be longer by one."""
    shape = aval_of(a).shape
    n, m = shape[axis], aval_of(b).shape[axis]
    zero = dtypes.as_dtype(aval_of(a).dtype).type(0)
    edge = [(0, 0, 0)] * len(shape)
    config_a, config_b = list(edge), list(edge)
    config_a[axis] = (0, 1 if n == m else 0, 1)
    config_b[axis] = (1, 0 if n == m else 1, 1)
    pa, pb = pad(a, zero, config_a), pad(b, zero, config_b)
    return bitwise_or(pa, pb) if aval_of(a).dtype == dtypes.bool_ else add(pa, pb)


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
    if reverse:
        flat = [rev(x, (a,)) for x, a in zip(flat, axes, strict=True)]
    sizes = {aval_of(x).shape[a] for x, a in zip(flat, axes, strict=True)}
    if len(sizes) != 1:
        shapes = ", ".join(aval_of(x).str_short() for x in flat)
        raise ValueError(
            f"associative_scan: the arrays must have equal sizes along axis {axis}, got {shapes}"
            f"{at_user_line()}"
        )

    def combine(a: list[Any], b: list[Any]) -> list[Any]:
        return tree.leaves(fn(tree.unflatten(treedef, a), tree.unflatten(treedef, b)))

    def cut(xs: list[Any], start: int, stop: int, step: int = 1) -> list[Any]:
        return [slice_in_dim(x, start, stop, step, a) for x, a in zip(xs, axes, strict=True)]

    def run(xs: list[Any]) -> list[Any]:
        n = aval_of(xs[0]).shape[axes[0]]
        if n < 2:
            return xs
        pairs = combine(cut(xs, 0, n - 1, 2), cut(xs, 1, n, 2))
        odd = run(pairs)
        if n % 2 == 0:
            even = combine(cut(odd, 0, n // 2 - 1), cut(xs, 2, n, 2))
        else:
            even = combine(odd, cut(xs, 2, n, 2))
        even = [concatenate([x, e], a) for x, e, a in zip(cut(xs, 0, 1), even, axes, strict=True)]
        return [_interleave(e, o, a) for e, o, a in zip(even, odd, axes, strict=True)]

    out = run(flat)
    if reverse:
        out = [rev(x, (a,)) for x, a in zip(out, axes, strict=True)]
    return tree.unflatten(treedef, out)
