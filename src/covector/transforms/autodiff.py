"""Derivatives as linear maps: ``jvp``, ``linearize``, ``vjp``, ``linear_transpose``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from covector.core import dtypes, tree
from covector.core.avals import Array, ShapedArray, aval_of, marked, to_array
from covector.core.dce import dce
from covector.core.errors import at_user_line, describe
from covector.core.rules import UndefinedPrimal, Zero
from covector.core.structural import instantiate, zeros
from covector.core.trace import Tracer, trace_to_jaxpr
from covector.core.tree_nodes import Partial
from covector.core.tree_paths import path_names
from covector.transforms import transpose
from covector.transforms.arguments import (
    api_boundary,
    argument_names,
    check_arrays,
    check_callable,
    check_results,
    debug_info,
    fun_name,
    index_tuple,
    is_index,
)
from covector.transforms.jit import jit
from covector.transforms.jvp import jvp_flat
from covector.transforms.linearize import LinearProgram, linearize_flat
from covector.transforms.pullback import Pullback
from covector.transforms.shapes import aval_like
from covector.transforms.transpose import backward_pass


def as_result(x: Any) -> Any:
    """A value as functions return it: scalars and NumPy arrays become arrays."""
    if type(x) is Array or isinstance(x, Tracer):
        return x
    if getattr(x, "dtype", None) == dtypes.float0:
        return x
    return to_array(x)


def as_cotangents(found: Sequence[Any], avals: Sequence[ShapedArray]) -> list[Any]:
    """What a linear program pulls back, None for zeros, as cotangents of arguments."""
    return [
        _zeros(a) if ct is None or type(ct) is Zero else as_result(ct)
        for ct, a in zip(found, avals, strict=True)
    ]


def _zeros(aval: ShapedArray) -> Any:
    """The cotangent of an argument that nothing depends on."""
    aval = aval.to_cotangent_aval()
    found = zeros(aval)
    return found if aval.placed is None else transpose.laid(found, marked(aval), ())


class FlatFunction:
    """A user's function from flat arrays to flat results, split off its auxiliary results.

    Attributes
    ----------
    out_tree : PyTreeDef
        Structure of the result, known after a call.
    aux, aux_tree
        Leaves and structure of the auxiliary result of the last call (``has_aux``).
    """

    __slots__ = ("fun", "in_tree", "has_aux", "what", "out_tree", "aux", "aux_tree")

    def __init__(self, fun: Callable[..., Any], in_tree: Any, has_aux: bool, what: str) -> None:
        self.fun = fun
        self.in_tree = in_tree
        self.has_aux = has_aux
        self.what = what
        self.aux: list[Any] | None = [] if has_aux else None

    def __call__(self, *leaves: Any) -> list[Any]:
        out = self.fun(*tree.unflatten(self.in_tree, leaves))
        if self.has_aux:
            if not isinstance(out, (tuple, list)) or len(out) != 2:
                raise TypeError(
                    f"{self.what} with has_aux=True: {fun_name(self.fun)} must return a pair "
                    f"(output, aux), it returned {describe(out)}{at_user_line()}"
                )
            out, aux = out
            leaves_aux, self.aux_tree = tree.flatten(aux)
            assert self.aux is not None
            self.aux[:] = leaves_aux
        outs, self.out_tree = tree.flatten(out)
        check_results(outs, self.out_tree, self.fun, self.what)
        return outs

    def aux_result(self) -> Any:
        return tree.unflatten(self.aux_tree, self.aux or [])


@api_boundary
def jvp(
    fun: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any], has_aux: bool = False
) -> tuple[Any, ...]:
    """Value and directional derivative of a function.

    Parameters
    ----------
    fun : callable
    primals : tuple or list
        The arguments at which to differentiate.
    tangents : tuple or list
        A direction, of the same structure, shapes and dtypes (``float0`` for integers).
    has_aux : bool
        Whether ``fun`` returns a pair whose second item is not differentiated.

    Returns
    -------
    primals_out, tangents_out : pytrees
        Also ``aux``, if ``has_aux``.

    Raises
    ------
    TypeError
        If ``primals`` or ``tangents`` is not a tuple or list, or their structures or dtypes differ.
    ValueError
        If their shapes differ.

    Examples
    --------
    >>> import covector as cv
    >>> cv.jvp(cv.numpy.sin, (0.0,), (2.0,))
    (Array(0., dtype=float32, weak_type=True), Array(2., dtype=float32, weak_type=True))
    """
    check_callable(fun, "jvp")
    for x, name in ((primals, "primals"), (tangents, "tangents")):
        if not isinstance(x, (tuple, list)):
            raise TypeError(
                f"jvp takes {name} as a tuple or list of arguments, got {describe(x)}; "
                f"write (x,) for a single argument{at_user_line()}"
            )
    flat, in_tree = tree.flatten(tuple(primals))
    flat_tangents, tangent_tree = tree.flatten(tuple(tangents))
    if in_tree != tangent_tree:
        raise TypeError(
            "jvp: primals and tangents must have the same tree structure, but primals have "
            f"{in_tree} and tangents have {tangent_tree}{at_user_line()}"
        )

    def names() -> list[str]:
        return argument_names(fun, primals, {})

    avals = check_arrays(flat, names, "jvp")
    packed = []
    for i, (aval, t) in enumerate(zip(avals, flat_tangents, strict=True)):
        expected = dtypes.tangent_dtype(aval.dtype)
        dtype = getattr(t, "dtype", None)
        if dtype == dtypes.float0 and expected == dtypes.float0:
            packed.append(Zero(aval.to_tangent_aval()))
            continue
        got = check_arrays([t], lambda: ["tangents" + path_names(tuple(tangents))[i]], "jvp")[0]  # noqa: B023
        if got.dtype != expected:
            raise TypeError(
                f"jvp: the tangent of argument {names()[i]}, of dtype {aval.dtype}, must have "
                f"dtype {'float0' if expected == dtypes.float0 else expected}, got {got.dtype}"
                f"{at_user_line()}"
            )
        if got.shape != aval.shape:
            raise ValueError(
                f"jvp called with different primal and tangent shapes for argument {names()[i]}: "
                f"primal {aval.str_short()}, tangent {got.str_short()}{at_user_line()}"
            )
        packed.append(t)
    f = FlatFunction(fun, in_tree, has_aux, "jvp")
    outs, out_tangents = jvp_flat(f, flat, packed, f.aux)
    result = (
        tree.unflatten(f.out_tree, [as_result(x) for x in outs]),
        tree.unflatten(f.out_tree, [as_result(instantiate(t)) for t in out_tangents]),
    )
    return (*result, f.aux_result()) if has_aux else result


class _LinearMap:
    """A derivative at a point, given its residuals.

    Attributes
    ----------
    applied : type
        Of the functions that users get.
    """

    applied: type[Partial] = Partial
    __slots__ = ("program", "in_tree", "in_avals", "out_tree", "name")

    def __init__(
        self,
        program: LinearProgram,
        in_tree: Any,
        in_avals: list[ShapedArray],
        out_tree: Any,
        name: str,
    ) -> None:
        self.program = program
        self.in_tree = in_tree
        self.in_avals = in_avals
        self.out_tree = out_tree
        self.name = name


def _value_and_map(
    kind: type[_Push] | type[_Pull],
    fun: Callable[..., Any],
    primals: tuple[Any, ...],
    has_aux: bool,
    what: str,
) -> Any:
    """Value of ``fun``, a linear map there, and the auxiliary result with ``has_aux``."""
    check_callable(fun, what)
    flat, in_tree = tree.flatten(primals)
    avals = check_arrays(flat, lambda: argument_names(fun, primals, {}), what)
    f = FlatFunction(fun, in_tree, has_aux, what)
    lin = linearize_flat(f, flat, f.aux)
    linear_map = kind(lin.static(), in_tree, avals, f.out_tree, fun_name(fun))
    out = tree.unflatten(f.out_tree, [as_result(x) for x in lin.outs])
    applied = kind.applied(linear_map, lin.residuals)
    return (out, applied, f.aux_result()) if has_aux else (out, applied)


class _Push(_LinearMap):
    """The linear map of `linearize`."""

    __slots__ = ()

    @api_boundary
    def __call__(self, residuals: Sequence[Any], *tangents: Any) -> Any:
        flat, in_tree = tree.flatten(tangents)
        if in_tree != self.in_tree:
            raise TypeError(
                "the linearized function takes tangents of the structure of the primals, "
                f"{self.in_tree}, got {in_tree}{at_user_line()}"
            )
        for t, a in zip(flat, self.in_avals, strict=True):
            _check_like(t, a.to_tangent_aval(), "a tangent given to the linearized function")
        outs = self.program.push(residuals, flat)
        return tree.unflatten(self.out_tree, [as_result(x) for x in outs])


def _check_like(x: Any, expected: ShapedArray, what: str) -> None:
    if getattr(x, "dtype", None) == dtypes.float0:
        ok = expected.dtype == dtypes.float0
        got = "float0"
    else:
        aval = aval_of(x)
        ok, got = aval.matches(expected), aval.str_short()
    if not ok:
        raise ValueError(
            f"{what} must have the type {expected.str_short()}, got {got}{at_user_line()}"
        )


@api_boundary
def linearize(fun: Callable[..., Any], *primals: Any, has_aux: bool = False) -> Any:
    """Value of a function at a point and its derivative there, as a linear function.

    Parameters
    ----------
    fun : callable
    *primals
        The arguments at which to differentiate.
    has_aux : bool
        Whether ``fun`` returns a pair whose second item is not differentiated.

    Returns
    -------
    out : pytree
    f_jvp : callable
        Tangents of the arguments to the tangent of ``out``; applying it many times does not
        evaluate ``fun`` again.
    aux : pytree
        If ``has_aux``.

    Examples
    --------
    >>> import covector as cv
    >>> y, push = cv.linearize(lambda x: x**2, 3.0)
    >>> float(y), float(push(1.0)), float(push(2.0))
    (9.0, 6.0, 12.0)
    """
    return _value_and_map(_Push, fun, primals, has_aux, "linearize")


class _Pull(_LinearMap):
    """The pullback of `vjp`."""

    applied = Pullback
    __slots__ = ()

    @api_boundary
    def __call__(self, residuals: Sequence[Any], cts: Any) -> Any:
        flat, ct_tree = tree.flatten(cts)
        if ct_tree != self.out_tree:
            raise ValueError(
                f"the cotangent given to the pullback of {self.name} has the structure {ct_tree}, "
                f"which differs from that of the function's result, {self.out_tree}"
                f"{at_user_line()}"
            )
        for ct, aval in zip(flat, self.program.out_avals, strict=True):
            _check_cotangent(ct, aval, self.name)
        found = self.program.pull(residuals, flat)
        return tree.unflatten(self.in_tree, as_cotangents(found, self.in_avals))


def _check_cotangent(ct: Any, aval: ShapedArray, name: str) -> None:
    expected = aval.to_tangent_aval()
    if expected.dtype == dtypes.float0:
        # It counts for nothing: an array of the result's own dtype will do.
        if np.shape(ct) == aval.shape:
            return
        raise ValueError(
            f"the cotangent given to the pullback of {name} must have the shape of the function's "
            f"result {aval.str_short()}, which is {aval.shape}, got {np.shape(ct)}{at_user_line()}"
        )
    if getattr(ct, "dtype", None) == dtypes.float0:
        got = f"float0{list(ct.shape)}"
    else:
        got_aval = aval_of(ct)
        if got_aval.matches(expected):
            return
        got = got_aval.str_short()
    raise ValueError(
        f"the cotangent given to the pullback of {name} must have the type of the function's "
        f"result: expected {expected.str_short()} for a result {aval.str_short()}, got {got}"
        f"{at_user_line()}"
    )


@api_boundary
def vjp(
    fun: Callable[..., Any], *primals: Any, has_aux: bool = False, reduce_axes: Any = ()
) -> Any:
    """Value of a function and the pullback of cotangents at a point.

    Parameters
    ----------
    fun : callable
    *primals
        The arguments at which to differentiate.
    has_aux : bool
        Whether ``fun`` returns a pair whose second item is not differentiated.
    reduce_axes : sequence
        Has no effect.

    Returns
    -------
    primals_out : pytree
    vjp_fun : callable
        From a cotangent of ``primals_out`` to a tuple with one cotangent per argument. It is a
        pytree, so that it can be passed to and returned from transformed functions. Its method
        ``with_refs`` gives a function that adds cotangents to references; see `covector.ad`.
    aux : pytree
        If ``has_aux``.

    Examples
    --------
    >>> import covector as cv
    >>> y, pullback = cv.vjp(lambda x, y: x * y, 2.0, 3.0)
    >>> pullback(1.0)
    (Array(3., dtype=float32, weak_type=True), Array(2., dtype=float32, weak_type=True))
    """
    return _value_and_map(_Pull, fun, primals, has_aux, "vjp")


@api_boundary
def linear_transpose(fun: Callable[..., Any], *primals: Any, reduce_axes: Any = ()) -> Any:
    """Transpose of a linear function.

    Parameters
    ----------
    fun : callable
        Linear in all its arguments together.
    *primals
        Arrays or `ShapeDtypeStruct`: only their types matter.
    reduce_axes : sequence
        Has no effect.

    Returns
    -------
    callable
        From a cotangent of the result to a tuple of cotangents of the arguments. It is a pytree, so
        that it can be passed to and returned from transformed functions.

    Raises
    ------
    TypeError
        If ``fun`` goes from or to booleans, or from integers to floats or back.

    Examples
    --------
    >>> import covector as cv
    >>> import covector.numpy as np
    >>> A = np.array([[1.0, 2.0], [3.0, 4.0]])
    >>> transposed = cv.linear_transpose(lambda x: A @ x, cv.ShapeDtypeStruct((2,), "float32"))
    >>> transposed(np.array([1.0, 0.0]))
    (Array([1., 2.], dtype=float32),)
    """
    check_callable(fun, "linear_transpose")
    flat, in_tree = tree.flatten(primals)
    avals = [aval_like(x) for x in flat]
    f = FlatFunction(fun, in_tree, False, "linear_transpose")
    jaxpr, consts = trace_to_jaxpr(f, avals, debug_info(fun, "linear_transpose", primals))
    jaxpr = dce(jaxpr)
    out_avals = [v.aval for v in jaxpr.outvars]
    _check_linear_types(fun, avals, out_avals)
    transposed = _Transposed(jaxpr, avals, in_tree, out_avals, f.out_tree, fun_name(fun))
    return Partial(transposed, consts)


def _check_linear_types(
    fun: Callable[..., Any], ins: Sequence[ShapedArray], outs: Sequence[ShapedArray]
) -> None:
    """Raise the TypeError for functions between other types than floats, or integers alone."""
    for kind in (dtypes.is_inexact, dtypes.is_integer):
        if all(kind(a.dtype) for a in (*ins, *outs)):
            return
    raise TypeError(
        "linear_transpose takes functions from floating-point or complex numbers to such, or from "
        f"integers to integers, but {fun_name(fun)} goes from "
        f"{', '.join(a.str_short() for a in ins)} to {', '.join(a.str_short() for a in outs)}"
        f"{at_user_line()}"
    )


class _Transposed:
    """The transpose of a linear function, given the constants of its program."""

    __slots__ = ("jaxpr", "avals", "in_tree", "out_avals", "out_tree", "name")

    def __init__(
        self,
        jaxpr: Any,
        avals: list[ShapedArray],
        in_tree: Any,
        out_avals: list[ShapedArray],
        out_tree: Any,
        name: str,
    ) -> None:
        self.jaxpr = jaxpr
        self.avals = avals
        self.in_tree = in_tree
        self.out_avals = out_avals
        self.out_tree = out_tree
        self.name = name

    @api_boundary
    def __call__(self, consts: Sequence[Any], cts: Any) -> Any:
        jaxpr, avals, in_tree, name = self.jaxpr, self.avals, self.in_tree, self.name
        out_avals, out_tree = self.out_avals, self.out_tree
        flat_cts, ct_tree = tree.flatten(cts)
        if ct_tree != out_tree:
            raise TypeError(
                f"the transpose of {name} takes a cotangent of structure {out_tree}, got {ct_tree}"
                f"{at_user_line()}"
            )
        for ct, aval in zip(flat_cts, out_avals, strict=True):
            if not aval_of(ct).matches(aval):
                raise TypeError(
                    f"the transpose of {name} takes a cotangent of type {aval.str_short()}, got "
                    f"{describe(ct)}{at_user_line()}"
                )
        args = [UndefinedPrimal(a) for a in avals]
        found = backward_pass(jaxpr, consts, args, flat_cts)
        return tree.unflatten(in_tree, [as_result(instantiate(ct)) for ct in found])


def fwd_and_bwd(
    fun: Callable[..., Any],
    argnums: int | Sequence[int],
    has_aux: bool = False,
    jitted: bool = True,
) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Forward and backward pass as two functions.

    Parameters
    ----------
    fun : callable
    argnums : int or sequence of int
        Positional arguments to differentiate by.
    has_aux : bool
        Whether ``fun`` returns a pair whose second item is not differentiated.
    jitted : bool
        Compile both passes.

    Returns
    -------
    fwd : callable
        ``fwd(*args) -> (out, vjp_fun)``, or ``(out, vjp_fun, aux)``.
    bwd : callable
        ``bwd(vjp_fun, cotangent)`` gives the cotangents of the arguments ``argnums``: a tuple if
        that is a sequence.

    Examples
    --------
    >>> import covector as cv
    >>> fwd, bwd = cv.fwd_and_bwd(lambda x, y: x * y, argnums=(0, 1))
    >>> out, pullback = fwd(2.0, 3.0)
    >>> bwd(pullback, 1.0)
    (Array(3., dtype=float32, weak_type=True), Array(2., dtype=float32, weak_type=True))
    """
    nums = index_tuple(argnums)

    def fwd(*args: Any, **kwargs: Any) -> Any:
        def partial(*dyn: Any) -> Any:
            full = list(args)
            for i, x in zip(nums, dyn, strict=True):
                full[i] = x
            return fun(*full, **kwargs)

        return vjp(partial, *(args[i] for i in nums), has_aux=has_aux)

    def bwd(vjp_fun: Callable[..., Any], ct: Any) -> Any:
        out = vjp_fun(ct)
        return out[0] if is_index(argnums) else out

    return (jit(fwd), jit(bwd)) if jitted else (fwd, bwd)
