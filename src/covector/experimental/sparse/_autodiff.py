"""Derivatives with respect to what sparse arrays store."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from covector import numpy as cnp
from covector.core import tree
from covector.core.errors import at_user_line, describe
from covector.experimental.sparse._base import JAXSparse
from covector.experimental.sparse._bcoo import BCOO
from covector.transforms import grad as _grad
from covector.transforms import jacobian as _jacobian


def _is_sparse(x: Any) -> bool:
    return isinstance(x, JAXSparse)


def _positions(fun: Callable[..., Any], argnums: Any, args: Sequence[Any]) -> list[int]:
    nums = (argnums,) if isinstance(argnums, int) else tuple(argnums)
    for n in nums:
        if not -len(args) <= n < len(args):
            raise ValueError(
                f"argnums {argnums} of a derivative: only {len(args)} arguments are "
                f"given{at_user_line()}"
            )
    return [n % len(args) for n in nums]


def _with_data(leaf: Any, data: Any) -> Any:
    return leaf._with(data) if _is_sparse(leaf) else data


def _transformed(
    transform: Callable[..., Any],
    rebuild: Callable[[Any, Any], Any],
    fun: Callable[..., Any],
    argnums: Any,
    has_aux: bool,
    options: dict[str, Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Any:
    """Derivatives by the data of the arguments; ``rebuild(leaf, derivative)`` places one.

    Returns what ``transform`` does with the function of the data, and the placed derivatives.
    """
    where = _positions(fun, argnums, args)
    leaves, treedef = tree.flatten([args[n] for n in where], is_leaf=_is_sparse)

    def of_data(*datas: Any) -> Any:
        chosen = tree.unflatten(
            treedef, [_with_data(x, d) for x, d in zip(leaves, datas, strict=True)]
        )
        full = list(args)
        for n, x in zip(where, chosen, strict=True):
            full[n] = x
        return fun(*full, **kwargs)

    datas = [x.data if _is_sparse(x) else x for x in leaves]
    found = transform(of_data, argnums=tuple(range(len(datas))), has_aux=has_aux, **options)(*datas)

    def placed(derivatives: Any) -> Any:
        parts = [rebuild(x, d) for x, d in zip(leaves, derivatives, strict=True)]
        out = tree.unflatten(treedef, parts)
        return out[0] if isinstance(argnums, int) else tuple(out)

    return found, placed


def value_and_grad(
    fun: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: Any = False, **kwargs: Any
) -> Callable[..., tuple[Any, Any]]:
    """The value of a function, and its gradient where sparse arrays store elements.

    Parameters
    ----------
    fun : callable
        Whose result is a scalar.
    argnums : int or sequence of int
        The arguments to differentiate by: trees of dense and sparse arrays.
    has_aux : bool
        Whether ``fun`` returns a pair of which only the first is differentiated.
    **kwargs
        Options of `covector.value_and_grad`.

    Returns
    -------
    callable
        That returns the value and the gradient. The gradient by a sparse array is one with the
        same indices.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.experimental import sparse
    >>> f = sparse.value_and_grad(lambda x, v: (x @ v).sum())
    >>> value, gradient = f(sparse.eye(2), np.array([3.0, 4.0]))
    >>> gradient.data
    Array([3., 4.], dtype=float32)
    """

    @functools.wraps(fun)
    def wrapped(*args: Any, **kw: Any) -> tuple[Any, Any]:
        (value, gradients), placed = _transformed(
            _grad.value_and_grad, _with_data, fun, argnums, has_aux, kwargs, args, kw
        )
        return value, placed(gradients)

    return wrapped


def grad(
    fun: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: Any = False, **kwargs: Any
) -> Callable[..., Any]:
    """The gradient of a function where sparse arrays store elements.

    Parameters
    ----------
    fun : callable
        Whose result is a scalar.
    argnums : int or sequence of int
        The arguments to differentiate by: trees of dense and sparse arrays.
    has_aux : bool
        Whether ``fun`` returns a pair of which only the first is differentiated.
    **kwargs
        Options of `covector.grad`.

    Returns
    -------
    callable
        That returns the gradient, and the second of the pair. The gradient by a sparse array is
        one with the same indices.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.experimental import sparse
    >>> sparse.grad(lambda x: (x @ x.T).sum())(sparse.eye(2)).todense()
    Array([[2., 0.],
           [0., 2.]], dtype=float32)
    """
    both = value_and_grad(fun, argnums=argnums, has_aux=has_aux, **kwargs)

    @functools.wraps(fun)
    def wrapped(*args: Any, **kw: Any) -> Any:
        value, gradient = both(*args, **kw)
        return (gradient, value[1]) if has_aux else gradient

    return wrapped


def _placed_jacobian(leaf: Any, derivative: Any) -> Any:
    """Derivatives of the elements of results by what a sparse array stores."""
    if not _is_sparse(leaf):
        return derivative
    if not isinstance(leaf, BCOO):
        raise NotImplementedError(
            f"the Jacobian by a {type(leaf).__name__} would need other axes: use a "
            f"BCOO{at_user_line()}"
        )

    def one(d: Any) -> BCOO:
        if _is_sparse(d):
            raise NotImplementedError(
                f"the Jacobian of a sparse result, {describe(d)}, by a sparse array: return its "
                f"data{at_user_line()}"
            )
        outer = d.shape[: d.ndim - leaf.data.ndim]
        indices = cnp.broadcast_to(leaf.indices, (*outer, *leaf.indices.shape))
        return BCOO(
            (d, indices), shape=(*outer, *leaf.shape), indices_sorted=leaf.indices_sorted,
            unique_indices=leaf.unique_indices,
        )  # fmt: skip

    return tree.map(one, derivative, is_leaf=_is_sparse)


_JACOBIAN = """The Jacobian of a function where sparse arrays store elements, {how}.

Parameters
----------
fun : callable
argnums : int or sequence of int
    The arguments to differentiate by: dense arrays, and BCOO.
has_aux : bool
    Whether ``fun`` returns a pair of which only the first is differentiated.
**kwargs
    Options of `covector.{name}`.

Returns
-------
callable
    That returns the Jacobian. By a sparse array it is one with the axes of the result as further
    batch axes.

Examples
--------
>>> import covector.numpy as np
>>> from covector.experimental import sparse
>>> v = np.array([3.0, 4.0])
>>> sparse.{name}(lambda x: x @ v)(sparse.eye(2))
BCOO(float32[2, 2, 2], nse=2, n_batch=1)
"""


def _jacobian_of(transform: Callable[..., Any]) -> Callable[..., Any]:
    def jacobian_function(fun: Any, argnums: Any, has_aux: bool, kwargs: Any) -> Any:
        @functools.wraps(fun)
        def wrapped(*args: Any, **kw: Any) -> Any:
            found, placed = _transformed(
                transform, _placed_jacobian, fun, argnums, has_aux, kwargs, args, kw
            )
            if has_aux:
                found, aux = found
            # The arguments are the inner structure: for each of them its derivatives.
            n = len(tree.leaves([args[k] for k in _positions(fun, argnums, args)],
                                is_leaf=_is_sparse))  # fmt: skip
            inner = [
                tree.map(lambda t, k=k: t[k], found, is_leaf=lambda t: _is_group(t, n))
                for k in range(n)
            ]
            out = placed(inner)
            return (out, aux) if has_aux else out

        return wrapped

    return jacobian_function


def _is_group(t: Any, n: int) -> bool:
    return isinstance(t, tuple) and len(t) == n and all(hasattr(x, "dtype") for x in t)


_forward, _reverse = _jacobian_of(_jacobian.jacfwd), _jacobian_of(_jacobian.jacrev)


def jacfwd(
    fun: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False, **kwargs: Any
) -> Callable[..., Any]:
    return _forward(fun, argnums, has_aux, kwargs)


def jacrev(
    fun: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False, **kwargs: Any
) -> Callable[..., Any]:
    return _reverse(fun, argnums, has_aux, kwargs)


def jacobian(
    fun: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False, **kwargs: Any
) -> Callable[..., Any]:
    return _reverse(fun, argnums, has_aux, kwargs)


for _f, _how in (
    (jacfwd, "by columns, in forward mode"),
    (jacrev, "by rows, in reverse mode"),
    (jacobian, "by rows, in reverse mode: as `jacrev`"),
):
    _f.__doc__ = _JACOBIAN.format(name=_f.__name__, how=_how)
