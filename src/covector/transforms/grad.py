"""Gradients of scalar functions: ``grad``, ``value_and_grad``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from covector.core import dtypes, tree
from covector.core.avals import ShapedArray, aval_of
from covector.core.errors import at_user_line
from covector.core.structural import scalar
from covector.transforms.arguments import (
    api_boundary,
    argument_names,
    check_arrays,
    check_callable,
    fun_name,
    index_tuple,
    is_index,
    wraps,
)
from covector.transforms.autodiff import FlatFunction, as_cotangents, as_result
from covector.transforms.linearize import linearize_flat


def resolve_argnums(
    fun: Callable[..., Any], argnums: tuple[int, ...], args: tuple[Any, ...], what: str
) -> tuple[int, ...]:
    """Non-negative argument numbers, checked against the arguments passed."""
    n = len(args)
    for i in argnums:
        if not -n <= i < n:
            raise TypeError(
                f"{what}: argnums={argnums if len(argnums) > 1 else argnums[0]} asks for the "
                f"derivative by positional argument {i}, but {fun_name(fun)} was called with only "
                f"{n} positional argument{'s' * (n != 1)}{at_user_line()}"
            )
    nums = tuple(i % n for i in argnums)
    if len(set(nums)) != len(nums):
        raise ValueError(f"{what}: argnums={argnums} names an argument twice{at_user_line()}")
    return nums


def _partial_call(
    fun: Callable[..., Any], nums: tuple[int, ...], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Callable[..., Any]:
    """``fun`` as a function of the arguments numbered ``nums`` alone."""

    @wraps(fun)
    def call(*dyn: Any) -> Any:
        full = list(args)
        for i, x in zip(nums, dyn, strict=True):
            full[i] = x
        return fun(*full, **kwargs)

    return call


def dyn_names(fun: Callable[..., Any], nums: tuple[int, ...], args: tuple[Any, ...]) -> list[str]:
    """Names of the leaves of the arguments numbered ``nums``, in that order."""
    out: list[str] = []
    for i in nums:
        before = [()] * i
        out += argument_names(fun, [*before, args[i]], {})
    return out


def _check_input(
    aval: ShapedArray, name: str, holomorphic: bool, allow_int: bool, what: str
) -> None:
    """Raise the TypeError for an argument that cannot be differentiated by."""
    dtype = aval.dtype
    if holomorphic:
        if not dtypes.is_complex(dtype):
            raise TypeError(
                f"{what} with holomorphic=True requires complex inputs, but argument {name} is "
                f"{aval.str_short()}{at_user_line()}"
            )
        return
    if dtypes.is_inexact(dtype) or allow_int:
        return
    raise TypeError(
        f"{what} requires real- or complex-valued inputs (input dtype that is a sub-dtype of "
        f"np.inexact), but argument {name} is {aval.str_short()}. Convert it to floats, choose "
        "other arguments with argnums, or pass allow_int=True for float0 gradients of integers"
        f"{at_user_line()}"
    )


def differentiated(
    fun: Callable[..., Any],
    argnums: tuple[int, ...],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    has_aux: bool,
    holomorphic: bool,
    allow_int: bool,
    what: str,
) -> tuple[FlatFunction, list[Any], list[ShapedArray]]:
    """``fun`` of the arguments ``argnums`` alone, their leaves, and the types of these."""
    nums = resolve_argnums(fun, argnums, args, what)
    flat, in_tree = tree.flatten(tuple([args[i] for i in nums]))
    avals = check_arrays(flat, lambda: dyn_names(fun, nums, args), what)
    for i, aval in enumerate(avals):
        if holomorphic or not dtypes.is_float(aval.dtype):
            name = dyn_names(fun, nums, args)[i]
            _check_input(aval, name, holomorphic, allow_int, what)
    f = FlatFunction(_partial_call(fun, nums, args, kwargs), in_tree, has_aux, what)
    return f, flat, avals


def check_output(aval: ShapedArray, holomorphic: bool, fun: Any, what: str) -> None:
    if holomorphic:
        if not dtypes.is_complex(aval.dtype):
            raise TypeError(
                f"{what} with holomorphic=True requires complex outputs, but {fun_name(fun)} "
                f"returned {aval.str_short()}{at_user_line()}"
            )
        return
    if dtypes.is_float(aval.dtype):
        return
    remedy = (
        "for holomorphic functions pass holomorphic=True, otherwise return a real value, or use vjp"
        if dtypes.is_complex(aval.dtype)
        else "return a float, or use vjp"
    )
    raise TypeError(
        f"{what} requires real-valued outputs (output dtype that is a sub-dtype of np.floating), "
        f"but {fun_name(fun)} returned {aval.str_short()}; {remedy}{at_user_line()}"
    )


def _value_and_grad(
    fun: Callable[..., Any],
    argnums: int | Sequence[int],
    has_aux: bool,
    holomorphic: bool,
    allow_int: bool,
    what: str,
) -> Callable[..., Any]:
    check_callable(fun, what)
    single = is_index(argnums)
    wanted = index_tuple(argnums)

    def call(*args: Any, **kwargs: Any) -> tuple[Any, Any, Any]:
        f, flat, avals = differentiated(
            fun, wanted, args, kwargs, has_aux, holomorphic, allow_int, what
        )
        lin = linearize_flat(f, flat, f.aux)
        if len(lin.outs) != 1 or not f.out_tree.is_leaf():
            raise TypeError(
                f"{what}: the gradient is defined for functions with a scalar result, but "
                f"{fun_name(fun)} returned "
                f"{'None' if not f.out_tree.num_leaves else f'a tree {f.out_tree}'}"
                + ("" if has_aux else "; use has_aux=True to return other values beside it")
                + at_user_line()
            )
        out = aval_of(lin.outs[0])
        if out.shape:
            raise TypeError(
                f"Gradient only defined for scalar-output functions. Output had shape: {out.shape}"
                f" ({fun_name(fun)} returned {out.str_short()}); reduce it, for example with "
                f".sum(), or use jacrev or vjp{at_user_line()}"
            )
        check_output(out, holomorphic, fun, what)
        cts = lin.static().pull(lin.residuals, [scalar(1, out.dtype, out.weak_type)])
        result = tree.unflatten(f.in_tree, as_cotangents(cts, avals))
        aux = f.aux_result() if has_aux else None
        return as_result(lin.outs[0]), result[0] if single else result, aux

    return call


def value_and_grad(
    fun: Callable[..., Any],
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
    allow_int: bool = False,
    reduce_axes: Sequence[Any] = (),
) -> Callable[..., tuple[Any, Any]]:
    """A function that computes a scalar function and its gradient.

    Parameters
    ----------
    fun : callable
        Returns a scalar, or with ``has_aux`` a pair of a scalar and auxiliary data.
    argnums : int or sequence of int
        Positional arguments to differentiate by.
    has_aux, holomorphic, allow_int : bool
        As for `grad`.
    reduce_axes : sequence
        Has no effect.

    Returns
    -------
    callable
        Returns ``(value, gradient)``, with ``has_aux`` ``((value, aux), gradient)``.

    Raises
    ------
    TypeError
        In a call, as for `grad`.

    Examples
    --------
    >>> import covector as cv
    >>> def loss(params, x):
    ...     prediction = params["w"] * x + params["b"]
    ...     return (prediction - 1.0) ** 2, prediction
    >>> params = {"w": 2.0, "b": 1.0}
    >>> (value, prediction), grads = cv.value_and_grad(loss, has_aux=True)(params, 3.0)
    >>> float(value), float(prediction)
    (36.0, 7.0)
    >>> cv.tree.map(float, grads)
    {'w': 36.0, 'b': 12.0}
    """
    inner = _value_and_grad(fun, argnums, has_aux, holomorphic, allow_int, "value_and_grad")

    @api_boundary
    @wraps(fun)
    def value_and_grad_f(*args: Any, **kwargs: Any) -> tuple[Any, Any]:
        value, g, aux = inner(*args, **kwargs)
        return ((value, aux), g) if has_aux else (value, g)

    return value_and_grad_f


def grad(
    fun: Callable[..., Any],
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
    allow_int: bool = False,
    reduce_axes: Sequence[Any] = (),
) -> Callable[..., Any]:
    """The gradient of a scalar function, as a function of the same arguments.

    Parameters
    ----------
    fun : callable
        Returns a scalar, or with ``has_aux`` a pair of a scalar and auxiliary data.
    argnums : int or sequence of int
        Positional arguments to differentiate by; the gradient is a tuple if it is a sequence.
    has_aux : bool
        Whether ``fun`` returns ``(value, aux)``; the gradient then comes with ``aux``.
    holomorphic : bool
        Whether ``fun`` is complex differentiable.
    allow_int : bool
        Give ``float0`` zeros for integer arguments rather than an error.
    reduce_axes : sequence
        Has no effect.

    Returns
    -------
    callable
        Returns the gradient, of the structure, shapes and dtypes of the argument; with ``has_aux``
        ``(gradient, aux)``. By a complex argument ``x + iy`` the gradient of a real function is
        ``df/dx - i df/dy``: step along its conjugate to descend.

    Raises
    ------
    TypeError
        In a call, if the result is not a real scalar, or an argument differentiated by is an
        integer.

    Examples
    --------
    >>> import covector as cv
    >>> cv.grad(lambda x: x**3)(2.0)
    Array(12., dtype=float32, weak_type=True)

    By a pytree, and by two arguments; functions of gradients can be differentiated again:

    >>> cv.grad(lambda p: p["w"] * p["b"])({"w": 2.0, "b": 3.0})["w"]
    Array(3., dtype=float32, weak_type=True)
    >>> cv.grad(lambda x, y: x * y, argnums=(0, 1))(2.0, 3.0)
    (Array(3., dtype=float32, weak_type=True), Array(2., dtype=float32, weak_type=True))
    >>> cv.grad(cv.grad(lambda x: x**3))(2.0)
    Array(12., dtype=float32, weak_type=True)

    The gradient for each example of a batch:

    >>> cv.vmap(cv.grad(lambda x: x**3))(cv.numpy.array([1.0, 2.0]))
    Array([ 3., 12.], dtype=float32)
    """
    inner = _value_and_grad(fun, argnums, has_aux, holomorphic, allow_int, "grad")

    @api_boundary
    @wraps(fun)
    def grad_f(*args: Any, **kwargs: Any) -> Any:
        _, g, aux = inner(*args, **kwargs)
        return (g, aux) if has_aux else g

    return grad_f
