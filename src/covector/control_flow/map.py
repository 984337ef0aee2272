"""``map``: a function over leading axes, one element (or batch of elements) after the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from covector.control_flow.scan import scan
from covector.core import tree
from covector.core.avals import aval_of
from covector.core.errors import at_user_line
from covector.core.structural import reshape
from covector.primitives.structure import concatenate, slice_in_dim
from covector.transforms.arguments import api_boundary, check_callable
from covector.transforms.cache import FunctionCache
from covector.transforms.vmap_api import vmap

_bodies = FunctionCache()


def _body(f: Callable[..., Any]) -> Callable[..., Any]:
    import weakref

    entries = _bodies.entries(f)
    found = entries.get("body")
    if found is None:
        ref: Callable[[], Any] = weakref.ref(f) if entries is _bodies.entries(f) else (lambda: f)

        def body(_: Any, x: Any) -> tuple[Any, Any]:
            return (), ref()(x)

        body.__name__ = getattr(f, "__name__", "map")
        found = entries["body"] = body
    return found


@api_boundary
def map(f: Callable[[Any], Any], xs: Any, *, batch_size: int | None = None) -> Any:  # noqa: A001
    """Apply ``f`` to each element along the leading axes, in a loop.

    Unlike `vmap` this needs memory for one element at a time only.

    Parameters
    ----------
    f : callable
    xs : pytree of arrays of equal leading axes
    batch_size : int, optional
        Work on so many elements at a time, by `vmap`; it need not divide their number. 0 stands for
        one after the other, as None does.

    Returns
    -------
    pytree
        Results stacked along a leading axis.

    Examples
    --------
    >>> import covector as cv
    >>> cv.lax.map(lambda x: x * x, cv.numpy.arange(5), batch_size=2)
    Array([ 0,  1,  4,  9, 16], dtype=int32)
    >>> cv.lax.map(lambda p: p["a"] + p["b"], {"a": cv.numpy.arange(3), "b": cv.numpy.ones(3)})
    Array([1., 2., 3.], dtype=float32)
    """
    check_callable(f, "map")
    if batch_size is None or batch_size == 0:
        return scan(_body(f), (), xs)[1]
    if batch_size < 0:
        raise ValueError(f"map: batch_size must not be negative, got {batch_size}{at_user_line()}")
    flat, treedef = tree.flatten(xs)
    sizes = {aval_of(x).shape[:1] for x in flat}
    if len(sizes) != 1 or () in sizes:
        return scan(_body(f), (), xs)[1]  # raises the error about unequal axes or scalars
    (n,) = sizes.pop()
    full, rest = divmod(n, batch_size)
    batched = vmap(f)
    parts = []
    if full:
        blocks = [
            reshape(
                slice_in_dim(x, 0, full * batch_size), (full, batch_size, *aval_of(x).shape[1:])
            )
            for x in flat
        ]
        _, ys = scan(lambda _, x: ((), batched(x)), (), tree.unflatten(treedef, blocks))
        parts.append(tree.map(lambda y: reshape(y, (full * batch_size, *aval_of(y).shape[2:])), ys))
    if rest or not full:
        tail = [slice_in_dim(x, full * batch_size, n) for x in flat]
        parts.append(batched(tree.unflatten(treedef, tail)))
    if len(parts) == 1:
        return parts[0]
    return tree.map(lambda a, b: concatenate([a, b], 0), *parts)
