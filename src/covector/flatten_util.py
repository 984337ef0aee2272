"""Pytrees as vectors (`covector.flatten_util`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from covector.core import dtypes, tree
from covector.core.avals import ShapedArray, aval_of
from covector.core.errors import at_user_line
from covector.core.errors import export as _export
from covector.core.structural import convert_element_type
from covector.core.tree_nodes import register_static
from covector.lax.elementwise import real
from covector.lax.shape_functions import concatenate, full, reshape
from covector.lax.slicing import slice_in_dim
from covector.transforms.arguments import api_boundary

__all__ = ["ravel_pytree"]


def ravel_pytree(pytree: Any) -> tuple[Any, Callable[[Any], Any]]:
    """All elements of a pytree of arrays as one vector.

    Parameters
    ----------
    pytree : pytree of arrays

    Returns
    -------
    flat : array
        One-dimensional, of the dtype that all leaves promote to.
    unravel : callable
        From such a vector back to a tree of the structure, shapes and dtypes of ``pytree``. It
        raises a ValueError for a vector of another size and a TypeError for one of another dtype.

    Examples
    --------
    >>> import covector as cv
    >>> flat, unravel = cv.flatten_util.ravel_pytree({"b": cv.numpy.zeros(2), "a": 1.0})
    >>> flat
    Array([1., 0., 0.], dtype=float32)
    >>> unravel(flat + 1)
    {'b': Array([1., 1.], dtype=float32), 'a': Array(2., dtype=float32)}
    """
    leaves, treedef = tree.flatten(pytree)
    avals = tuple(aval_of(x) for x in leaves)
    if not leaves:
        flat = full((0,), 0, dtypes.default_float())
        return flat, _Unravel(treedef, (), flat.dtype)
    dtype, _ = dtypes.promote(tuple((a.dtype, a.weak_type) for a in avals))
    parts = [
        convert_element_type(reshape(x, (a.size,)), dtype)
        for x, a in zip(leaves, avals, strict=True)
    ]
    flat = parts[0] if len(parts) == 1 else concatenate(parts, 0)
    return flat, _Unravel(treedef, avals, dtype)


@register_static
class _Unravel:
    """Makes a tree of a vector; equal for trees of one structure and type."""

    __slots__ = ("treedef", "avals", "dtype", "__weakref__")

    def __init__(self, treedef: Any, avals: tuple[ShapedArray, ...], dtype: Any) -> None:
        self.treedef = treedef
        self.avals = avals
        self.dtype = dtype

    def _key(self) -> Any:
        return self.treedef, self.avals, self.dtype

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Unravel) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    @api_boundary
    def __call__(self, flat: Any) -> Any:
        return _unravel(self.treedef, self.avals, self.dtype, flat)


def _unravel(treedef: Any, avals: Sequence[ShapedArray], dtype: Any, flat: Any) -> Any:
    given = aval_of(flat)
    size = sum(a.size for a in avals)
    if given.shape != (size,):
        raise ValueError(
            f"unravel takes a vector of {size} elements, got {given.str_short()}{at_user_line()}"
        )
    if given.dtype != dtype:
        raise TypeError(
            f"unravel takes a vector of dtype {dtype}, as ravel_pytree made it, got "
            f"{given.str_short()}{at_user_line()}"
        )
    ends = [0]
    for a in avals:
        ends.append(ends[-1] + a.size)
    parts = []
    for a, start, stop in zip(avals, ends, ends[1:], strict=False):
        x = reshape(slice_in_dim(flat, start, stop), a.shape)
        if dtypes.is_complex(dtype) and not dtypes.is_complex(a.dtype):
            x = real(x)
        parts.append(convert_element_type(x, a.dtype))
    return tree.unflatten(treedef, parts)


_export(globals(), __all__)
