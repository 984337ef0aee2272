"""Functions of functions: `vectorize`, `apply_along_axis`, ufuncs made from functions."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Sequence
from typing import Any

from covector import lax
from covector.core import tree
from covector.core.errors import at_user_line, describe
from covector.core.operands import canonical_axis
from covector.numpy._util import array, broadcast_shapes, broadcast_to, check_out
from covector.numpy.creation import asarray
from covector.numpy.ufunc_methods import (
    accumulate_with,
    at_with,
    outer_with,
    reduce_with,
    reduceat_with,
)
from covector.transforms.vmap_api import vmap


def apply_along_axis(
    func1d: Callable[..., Any], axis: int, arr: Any, *args: Any, **kwargs: Any
) -> Any:
    """``func1d`` of each vector of ``arr`` along ``axis``; its results take the axis' place.

    Parameters
    ----------
    func1d : callable
        Takes a vector; called once, on a traced value (see `covector.vmap`).
    axis : int
    arr : array_like
    *args, **kwargs
        Passed to the function too.

    Returns
    -------
    Array

    Examples
    --------
    >>> import covector.numpy as np
    >>> x = np.array([[3, 1, 2], [9, 8, 7]])
    >>> np.apply_along_axis(lambda v: v.max() - v.min(), 1, x)
    Array([2, 2], dtype=int32)
    """
    x = asarray(arr)
    axis = canonical_axis(axis, x)

    def mapped(v: Any) -> Any:
        return func1d(v, *args, **kwargs)

    # Dimensions after the axis are mapped from the last, those before it from the first.
    for i in range(1, x.ndim - axis):
        mapped = vmap(mapped, in_axes=i, out_axes=-1)
    for _ in range(axis):
        mapped = vmap(mapped, in_axes=0, out_axes=0)
    return mapped(x)


def apply_over_axes(func: Callable[[Any, int], Any], a: Any, axes: Any) -> Any:
    """``func(a, axis)`` for each axis in turn; results keep the number of dimensions.

    Parameters
    ----------
    func : callable
        Such as `sum`: takes an array and an axis.
    a : array_like
    axes : int or sequence of int

    Returns
    -------
    Array

    Raises
    ------
    ValueError
        If a result has neither as many dimensions as its argument nor one less.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.apply_over_axes(np.sum, np.ones((2, 3, 4)), [0, 2])
    Array([[[8.],
            [8.],
            [8.]]], dtype=float32)
    """
    x = asarray(a)
    axes = axes.tolist() if hasattr(axes, "tolist") else axes
    for axis in axes if isinstance(axes, (list, tuple)) else (axes,):
        out = func(x, axis)
        if out.ndim == x.ndim - 1:
            out = lax.expand_dims(out, (canonical_axis(axis, x),))
        elif out.ndim != x.ndim:
            raise ValueError(
                f"apply_over_axes: the function returned {describe(out)} for {describe(x)}"
                f"{at_user_line()}"
            )
        x = out
    return x


_SIGNATURE = re.compile(r"^\s*(\([\w\s,]*\)(\s*,\s*\([\w\s,]*\))*)\s*->\s*(.*)$")
_TERM = re.compile(r"\(([^()]*)\)")


def _parse_signature(signature: str) -> tuple[list[list[str]], list[list[str]]]:
    found = _SIGNATURE.match(signature)
    if not found:
        raise ValueError(f"vectorize: {signature!r} is not a signature such as '(n),(n)->()'")

    def terms(text: str) -> list[list[str]]:
        return [[d.strip() for d in t.split(",") if d.strip()] for t in _TERM.findall(text)]

    return terms(found.group(1)), terms(found.group(3))


def vectorize(
    pyfunc: Callable[..., Any], *, excluded: Any = frozenset(), signature: str | None = None
) -> Callable[..., Any]:
    """A function that applies ``pyfunc`` to broadcast arrays, element by element.

    Parameters
    ----------
    pyfunc : callable
        Of scalars, or of the core dimensions; it is traced (see `covector.vmap`).
    excluded : set of int or str
        Arguments that are passed as they are.
    signature : str, optional
        The core dimensions that ``pyfunc`` works on, such as ``(n,m),(m)->(n)``.

    Returns
    -------
    callable
        Takes arrays that broadcast together but for the core dimensions.

    Raises
    ------
    TypeError
        If ``excluded`` holds other things than positions and names.
    ValueError
        If ``signature`` cannot be read; when called, if arrays do not fit it.

    Examples
    --------
    >>> import covector.numpy as np
    >>> norm = np.vectorize(lambda v: np.sqrt((v * v).sum()), signature="(k)->()")
    >>> norm(np.ones((2, 4)))
    Array([2., 2.], dtype=float32)
    """
    excluded = frozenset(excluded)
    if any(not isinstance(e, (int, str)) for e in excluded) or any(
        isinstance(e, int) and e < 0 for e in excluded
    ):
        raise TypeError(
            f"vectorize: excluded must hold argument positions and names, got {set(excluded)!r}"
        )
    parsed = None if signature is None else _parse_signature(signature)

    @functools.wraps(pyfunc)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        return _vectorized(pyfunc, excluded, parsed, args, kwargs)

    return wrapped


def _vectorized(
    pyfunc: Callable[..., Any],
    excluded: frozenset[Any],
    signature: Any,
    args: Sequence[Any],
    kwargs: dict[str, Any],
) -> Any:
    # None is no array: it is passed on as it is.
    excluded = excluded | {i for i, x in enumerate(args) if x is None}
    excluded |= {k for k, x in kwargs.items() if x is None}
    names = [k for k in kwargs if k not in excluded]
    positions = [i for i in range(len(args)) if i not in excluded]
    values = [asarray(args[i]) for i in positions] + [asarray(kwargs[k]) for k in names]
    fixed_kw = {k: v for k, v in kwargs.items() if k in excluded}

    def core(*xs: Any) -> Any:
        full = list(args)
        for i, x in zip(positions, xs, strict=False):
            full[i] = x
        named = dict(zip(names, xs[len(positions) :], strict=True))
        return _checked(pyfunc(*full, **named, **fixed_kw), sizes, signature)

    core_dims = [[]] * len(values) if signature is None else signature[0]
    sizes = _core_sizes(values, core_dims)
    outer = [x.shape[: x.ndim - len(d)] for x, d in zip(values, core_dims, strict=True)]
    return _mapped(core, values, outer)


def _core_sizes(values: Sequence[Any], core_dims: Sequence[Sequence[str]]) -> dict[str, int]:
    """The sizes of the dimensions that a signature names."""
    if len(core_dims) != len(values):
        raise TypeError(
            f"vectorize: the signature has {len(core_dims)} arguments, {len(values)} were given"
            f"{at_user_line()}"
        )
    sizes: dict[str, int] = {}
    for x, dims in zip(values, core_dims, strict=True):
        if x.ndim < len(dims):
            raise ValueError(
                f"vectorize: {describe(x)} has fewer dimensions than its part "
                f"({','.join(dims)}) of the signature{at_user_line()}"
            )
        for d, n in zip(dims, x.shape[x.ndim - len(dims) :], strict=True):
            if sizes.setdefault(d, n) != n:
                raise ValueError(
                    f"vectorize: the dimension {d} has sizes {sizes[d]} and {n}{at_user_line()}"
                )
    return sizes


def _mapped(core: Any, values: Sequence[Any], outer: Sequence[tuple[int, ...]]) -> Any:
    """``core`` of the values, their outer dimensions broadcast.

    Each outer dimension is mapped for the operands that have it, from the innermost.
    """
    shape = broadcast_shapes("vectorize", *outer, of=values)
    rank = len(shape)
    mapped: Any = core
    ready = []
    axes_of: list[list[int | None]] = [[] for _ in range(rank)]
    for x, o in zip(values, outer, strict=True):
        missing = rank - len(o)
        dropped = [i for i, n in enumerate(o) if n == 1 and shape[missing + i] != 1]
        ready.append(lax.squeeze(x, dropped))
        for d in range(rank):
            has = d >= missing and (d - missing) not in dropped
            axes_of[d].append(0 if has else None)
    for d in reversed(range(rank)):
        if any(a is not None for a in axes_of[d]):
            mapped = vmap(mapped, in_axes=tuple(axes_of[d]))
        else:
            mapped = _repeated(mapped, shape[d])
    return mapped(*ready)


def _repeated(fun: Any, size: int) -> Any:
    def wrapper(*xs: Any) -> Any:
        return tree.map(lambda y: broadcast_to(array(y)[None], (size, *array(y).shape)), fun(*xs))

    return wrapper


def _checked(out: Any, sizes: dict[str, int], signature: Any) -> Any:
    if signature is None:
        return out
    results = signature[1]
    outs = out if isinstance(out, tuple) else (out,)
    if len(outs) != len(results):
        raise TypeError(
            f"vectorize: the function returned {len(outs)} results, its signature has "
            f"{len(results)}{at_user_line()}"
        )
    for x, dims in zip(outs, results, strict=True):
        shape = array(x).shape
        if len(shape) != len(dims) or any(
            sizes.setdefault(d, n) != n for d, n in zip(dims, shape, strict=True)
        ):
            raise ValueError(
                f"vectorize: the function returned {describe(array(x))} where its signature says "
                f"({','.join(dims)}){at_user_line()}"
            )
    return out


class _UfuncType(type):
    """Elementwise functions of the library are ufuncs too, though they are plain functions."""

    def __instancecheck__(cls, instance: Any) -> bool:
        return type.__instancecheck__(cls, instance) or (
            callable(instance) and hasattr(instance, "nin") and hasattr(instance, "impl")
        )


class ufunc(metaclass=_UfuncType):
    """An elementwise function with NumPy's methods, made from a scalar function.

    Parameters
    ----------
    func : callable
        Of scalars; it is traced (see `covector.vmap`).
    nin, nout : int
        Number of operands, and of results.
    name : str, optional
        By default that of ``func``.
    nargs : int, optional
        By default ``nin + nout``.
    identity : scalar, optional
        Neutral element, with which `reduce` starts.
    call, reduce, accumulate, at, reduceat : callable, optional
        What to use instead of ``func`` element by element.

    Examples
    --------
    >>> import covector.numpy as np
    >>> larger = np.ufunc(lambda a, b: np.where(a > b, a, b), 2, 1)
    >>> larger.outer(np.array([1, 5]), np.array([2, 9]))
    Array([[2, 9],
           [5, 9]], dtype=int32)
    """

    nin: int
    nout: int
    nargs: int
    identity: Any

    def __init__(
        self,
        func: Callable[..., Any],
        /,
        nin: int,
        nout: int,
        *,
        name: str | None = None,
        nargs: int | None = None,
        identity: Any = None,
        call: Callable[..., Any] | None = None,
        reduce: Callable[..., Any] | None = None,
        accumulate: Callable[..., Any] | None = None,
        at: Callable[..., Any] | None = None,
        reduceat: Callable[..., Any] | None = None,
    ) -> None:
        self.__name__ = name or getattr(func, "__name__", "ufunc")
        self.__doc__ = func.__doc__
        self.nin, self.nout, self.identity = nin, nout, identity
        self.nargs = nargs or nin + nout
        self._call = call or vectorize(func)
        self._reduce, self._accumulate, self._reduceat = reduce, accumulate, reduceat
        self._at = at

    def __repr__(self) -> str:
        return f"<covector.numpy.ufunc '{self.__name__}'>"

    def __call__(self, *args: Any) -> Any:
        if len(args) != self.nin:
            raise TypeError(f"{self.__name__} takes {self.nin} arguments, got {len(args)}")
        return self._call(*args)

    def reduce(
        self,
        a: Any,
        axis: Any = 0,
        dtype: Any = None,
        out: None = None,
        keepdims: bool = False,
        initial: Any = None,
        where: Any = None,
    ) -> Any:
        """Combine the elements along ``axis``, from ``initial`` on, those that ``where`` marks."""
        check_out(out, f"{self.__name__}.reduce")
        if self._reduce is not None:
            given = {"initial": initial, "where": where}
            given = {name: x for name, x in given.items() if x is not None}
            return self._reduce(a, axis=axis, dtype=dtype, keepdims=keepdims, **given)
        return reduce_with(self, a, axis, dtype, keepdims, initial, where)

    def accumulate(self, a: Any, axis: int = 0, dtype: Any = None, out: None = None) -> Any:
        """Combine the elements up to each position along ``axis``."""
        check_out(out, f"{self.__name__}.accumulate")
        if self._accumulate is not None:
            return self._accumulate(a, axis=axis, dtype=dtype)
        return accumulate_with(self, a, axis, dtype)

    def reduceat(
        self, a: Any, indices: Any, axis: int = 0, dtype: Any = None, out: None = None
    ) -> Any:
        """Combine the slices of ``axis`` that begin at ``indices``."""
        check_out(out, f"{self.__name__}.reduceat")
        if self._reduceat is not None:
            return self._reduceat(a, indices, axis=axis, dtype=dtype)
        return reduceat_with(self, a, indices, axis, dtype)

    def outer(self, A: Any, B: Any, /) -> Any:  # noqa: N803
        """The function of all pairs of elements."""
        return outer_with(self, A, B)

    def at(self, a: Any, indices: Any, b: Any = None, /, *, inplace: bool = True) -> Any:
        """``a`` with the function applied at ``indices``, as a new array (``inplace=False``)."""
        return at_with(self, a, indices, b, inplace)


def frompyfunc(func: Callable[..., Any], /, nin: int, nout: int, *, identity: Any = None) -> ufunc:
    """An elementwise function, with NumPy's methods, from a function of scalars.

    Parameters
    ----------
    func : callable
        Of scalars; it is traced (see `covector.vmap`).
    nin, nout : int
        Number of operands, and of results.
    identity : scalar, optional
        Neutral element, with which `reduce` starts.

    Returns
    -------
    ufunc

    Examples
    --------
    >>> import covector.numpy as np
    >>> hypotenuse = np.frompyfunc(lambda a, b: np.sqrt(a * a + b * b), 2, 1)
    >>> hypotenuse(np.array([3.0, 5.0]), np.array([4.0, 12.0]))
    Array([ 5., 13.], dtype=float32)
    """
    return ufunc(func, nin, nout, identity=identity)
