"""Jacobians and Hessians, from jvp or vjp mapped over the standard basis."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from covector.core import dtypes, tree
from covector.core.avals import ShapedArray, aval_of
from covector.core.dims import Dim, DimExpr
from covector.core.errors import at_user_line
from covector.core.operands import scalar
from covector.core.rules import Zero
from covector.core.structural import bring_dim, convert_element_type, instantiate
from covector.primitives.arithmetic import add
from covector.primitives.compare import eq
from covector.primitives.structure import broadcasted_iota
from covector.transforms.arguments import (
    api_boundary,
    check_callable,
    fun_name,
    index_tuple,
    is_index,
    wraps,
)
from covector.transforms.autodiff import as_result
from covector.transforms.grad import differentiated, dyn_names, resolve_argnums
from covector.transforms.jvp import jvp_flat
from covector.transforms.linearize import linearize_flat
from covector.transforms.vmap import vmap_flat


def _basis(avals: Sequence[ShapedArray]) -> list[Any]:
    """For each array, its part of every vector of the standard basis of all together."""
    total = sum(a.size for a in avals)
    out, at = [], 0
    for a in avals:
        n = a.size
        dtype = dtypes.tangent_dtype(a.dtype)
        if type(total) is DimExpr:
            part = _shifted_identity(total, n, at, dtype)
        else:
            part = np.zeros((total, n), dtype)
            part[at + np.arange(n), np.arange(n)] = 1
        out.append(part.reshape((total, *a.shape)))
        at += n
    return out


def _shifted_identity(rows: Dim, columns: Dim, shift: Dim, dtype: Any) -> Any:
    """Ones ``shift`` below the diagonal of a matrix of zeros, of symbolic sizes."""
    i, j = (broadcasted_iota(dtypes.int32, (rows, columns), d) for d in (0, 1))
    return convert_element_type(eq(i, add(j, scalar(shift, dtypes.int32))), dtype)


def _typed(x: Any, weak: bool) -> Any:
    """A result, weakly typed if what it is the derivative of is."""
    x = as_result(x)
    return convert_element_type(x, x.dtype, True) if weak and not x.weak_type else x


def _split(x: Any, axis_last: bool, avals: Sequence[ShapedArray]) -> list[Any]:
    """Cut the basis axis of ``x`` into one array per basis aval, with its shape in its place."""
    out, at = [], 0
    for a in avals:
        n = a.size
        if axis_last:
            shape = x.shape[:-1]
            part = x if n == x.shape[-1] else x[..., at : at + n]
            out.append(part.reshape((*shape, *a.shape)))
        else:
            shape = x.shape[1:]
            part = x if n == x.shape[0] else x[at : at + n]
            out.append(part.reshape((*a.shape, *shape)))
        at += n
    return out


@api_boundary
def jacfwd(
    fun: Callable[..., Any],
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
) -> Callable[..., Any]:
    """Jacobian of a function, column by column (forward mode): good for tall Jacobians.

    Parameters
    ----------
    fun : callable
    argnums : int or sequence of int
        Positional arguments to differentiate by.
    has_aux : bool
        Whether ``fun`` returns ``(output, aux)``; the Jacobian then comes with ``aux``.
    holomorphic : bool
        Whether ``fun`` is complex differentiable.

    Returns
    -------
    callable
        For each result of shape ``s`` and argument of shape ``t`` an array of shape ``s + t``.

    Raises
    ------
    TypeError
        In a call, if an argument differentiated by is not real (with ``holomorphic``: complex).

    Examples
    --------
    >>> import covector as cv
    >>> import covector.numpy as np
    >>> cv.jacfwd(lambda x: np.stack([x[0] * x[1], x[0]]))(np.array([2.0, 3.0]))
    Array([[3., 2.],
           [1., 0.]], dtype=float32)
    """
    check_callable(fun, "jacfwd")
    wanted = index_tuple(argnums)

    @api_boundary
    @wraps(fun)
    def jacfwd_f(*args: Any, **kwargs: Any) -> Any:
        f, flat, avals = differentiated(
            fun, wanted, args, kwargs, has_aux, holomorphic, False, "jacfwd"
        )
        for i, aval in enumerate(avals):
            if dtypes.is_complex(aval.dtype) and not holomorphic:
                nums = resolve_argnums(fun, wanted, args, "jacfwd")
                raise TypeError(
                    f"jacfwd requires real inputs, but argument {dyn_names(fun, nums, args)[i]} is "
                    f"{aval.str_short()}; for holomorphic functions pass holomorphic=True"
                    f"{at_user_line()}"
                )
        basis = _basis(avals)
        total = sum(a.size for a in avals)

        weak: list[bool] = []

        def push(*tangents: Any) -> list[Any]:
            outs, out_tangents = jvp_flat(f, flat, tangents, f.aux)
            weak[:] = [aval_of(x).weak_type for x in outs]
            return [instantiate(t) for t in out_tangents]

        cols, dims = vmap_flat(push, total, basis, [0] * len(basis))
        jac = []
        for x, d, is_weak in zip(cols, dims, weak, strict=True):
            rank = len(aval_of(x).shape) - (d is not None)
            x = _typed(bring_dim(x, total, d, rank), is_weak)
            jac.append(tree.unflatten(f.in_tree, _split(x, True, avals)))
        if is_index(argnums):
            jac = [j[0] for j in jac]
        result = tree.unflatten(f.out_tree, jac)
        return (result, f.aux_result()) if has_aux else result

    return jacfwd_f


@api_boundary
def jacrev(
    fun: Callable[..., Any],
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
    allow_int: bool = False,
) -> Callable[..., Any]:
    """Jacobian of a function, row by row (reverse mode): good for wide Jacobians.

    Parameters
    ----------
    fun : callable
    argnums : int or sequence of int
        Positional arguments to differentiate by.
    has_aux : bool
        Whether ``fun`` returns ``(output, aux)``; the Jacobian then comes with ``aux``.
    holomorphic : bool
        Whether ``fun`` is complex differentiable.
    allow_int : bool
        Give ``float0`` zeros for integer arguments rather than an error.

    Returns
    -------
    callable
        For each result of shape ``s`` and argument of shape ``t`` an array of shape ``s + t``. With
        pytrees, the structure of the argument stands at each leaf of the result.

    Raises
    ------
    TypeError
        In a call, if an argument differentiated by is an integer, or a result is not real (with
        ``holomorphic``: complex).

    Examples
    --------
    >>> import covector as cv
    >>> jac = cv.jacrev(lambda p: p["a"] * p["b"])({"a": cv.numpy.array([1.0, 2.0]), "b": 3.0})
    >>> jac["a"]
    Array([[3., 0.],
           [0., 3.]], dtype=float32)
    >>> jac["b"]
    Array([1., 2.], dtype=float32, weak_type=True)
    """
    check_callable(fun, "jacrev")
    wanted = index_tuple(argnums)

    @api_boundary
    @wraps(fun)
    def jacrev_f(*args: Any, **kwargs: Any) -> Any:
        f, flat, avals = differentiated(
            fun, wanted, args, kwargs, has_aux, holomorphic, allow_int, "jacrev"
        )
        lin = linearize_flat(f, flat, f.aux)
        out_avals = [aval_of(x) for x in lin.outs]
        for a in out_avals:
            bad = not dtypes.is_complex(a.dtype) if holomorphic else not dtypes.is_float(a.dtype)
            if bad:
                raise TypeError(
                    f"jacrev requires {'complex' if holomorphic else 'real-valued'} outputs, but "
                    f"{fun_name(fun)} returned {a.str_short()}{at_user_line()}"
                )
        program = lin.static()
        total = sum(a.size for a in out_avals)

        def pull(*cts: Any) -> list[Any]:
            found = program.pull(lin.residuals, cts)
            return [
                instantiate(Zero(a.to_cotangent_aval()) if ct is None else ct)
                for ct, a in zip(found, avals, strict=True)
            ]

        rows, dims = vmap_flat(pull, total, _basis(out_avals), [0] * len(out_avals))
        per_input = [
            _split(_typed(bring_dim(x, total, d, 0), a.weak_type), False, out_avals)
            if dtypes.is_inexact(a.dtype)
            else [np.zeros((*o.shape, *a.shape), dtypes.float0) for o in out_avals]
            for x, d, a in zip(rows, dims, avals, strict=True)
        ]
        jac = []
        for j in range(len(out_avals)):
            trees = tree.unflatten(f.in_tree, [parts[j] for parts in per_input])
            jac.append(trees[0] if is_index(argnums) else trees)
        result = tree.unflatten(f.out_tree, jac)
        return (result, f.aux_result()) if has_aux else result

    return jacrev_f


jacobian = jacrev


@api_boundary
def hessian(
    fun: Callable[..., Any],
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
) -> Callable[..., Any]:
    """Matrix of second derivatives of a function, forward over reverse.

    Parameters
    ----------
    fun : callable
    argnums : int or sequence of int
        Positional arguments to differentiate by.
    has_aux : bool
        Whether ``fun`` returns ``(output, aux)``; the Hessian then comes with ``aux``.
    holomorphic : bool
        Whether ``fun`` is complex differentiable.

    Returns
    -------
    callable
        For a result of shape ``s`` and an argument of shape ``t``: shape ``s + t + t``. With
        pytrees, the structure of the argument stands twice, one inside the other.

    Examples
    --------
    >>> import covector as cv
    >>> cv.hessian(lambda x: x[0] ** 2 * x[1])(cv.numpy.array([2.0, 3.0]))
    Array([[6., 4.],
           [4., 0.]], dtype=float32)
    """
    return jacfwd(
        jacrev(fun, argnums, has_aux=has_aux, holomorphic=holomorphic),
        argnums,
        has_aux=has_aux,
        holomorphic=holomorphic,
    )
