"""Types of values, and programs: taken apart, put together, run."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence, Set
from typing import Any

import numpy as np

from covector.core import dtypes, jaxpr
from covector.core.avals import AbstractValue, Array, ShapedArray, aval_of
from covector.core.effects import Effect
from covector.core.errors import ConcretizationTypeError, at_user_line
from covector.core.jaxpr import ClosedJaxpr, Jaxpr, JaxprEqn, Var, sub_jaxprs
from covector.core.trace import Composed, Tracer

Effects = Set[Effect]
no_effects: Effects = frozenset()
# Types of values that operations take besides arrays and Python numbers.
array_types = {np.ndarray, *(np.dtype(d).type for d in dtypes.code_of if isinstance(d, np.dtype))}


class AbstractToken(AbstractValue):
    """The type of a `Token`.

    Examples
    --------
    >>> from covector.extend.core import AbstractToken
    >>> AbstractToken()
    Token
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return "Token"


class Token:
    """An array that stands for what happened, outside of compiled programs.

    Parameters
    ----------
    buf : Array

    Examples
    --------
    >>> import covector as cv
    >>> cv.extend.core.Token(cv.numpy.zeros(0)).block_until_ready()
    """

    __slots__ = ("_buf",)

    def __init__(self, buf: Any) -> None:
        self._buf = buf

    def block_until_ready(self) -> None:
        self._buf.block_until_ready()


def call_impl(f: Any, *args: Any, **params: Any) -> Any:
    """What a call computes: that of the function.

    Parameters
    ----------
    f : linear_util.WrappedFun or callable
    *args : array_like
    **params
        Have no effect.

    Returns
    -------
    object

    Examples
    --------
    >>> from covector.extend.core import call_impl
    >>> call_impl(lambda x: [2 * x], 3)
    [6]
    """
    return getattr(f, "call_wrapped", f)(*args)


class CallPrimitive(Composed):
    """An operation that calls the function that it is given: ``bind(f, *args)``.

    Parameters
    ----------
    name : str

    Examples
    --------
    >>> import covector as cv
    >>> twice_p = cv.extend.core.CallPrimitive("twice")
    >>> cv.jit(lambda x: twice_p.bind(lambda x: [x + x], x))(3.0)
    [Array(6., dtype=float32, weak_type=True)]
    """

    __slots__ = ()

    def __init__(self, name: str) -> None:
        super().__init__(name, call_impl, multiple_results=True)


def concrete_or_error(force: Callable[[Any], Any] | None, val: Any, context: str = "") -> Any:
    """A value that must be known while the program is traced.

    Parameters
    ----------
    force : callable or None
        Applied to the value, for example `int`.
    val : array_like
    context : str
        What the error says of it.

    Returns
    -------
    object

    Raises
    ------
    ConcretizationTypeError
        If it is not known.

    Examples
    --------
    >>> import covector as cv
    >>> cv.extend.core.concrete_or_error(int, cv.numpy.ones(()))
    1
    """
    if isinstance(val, Tracer):
        known = val.concrete()
        if known is None:
            raise ConcretizationTypeError(
                f"the value {val.describe()} is not known while the function is being traced. "
                f"{context}{at_user_line()}"
            )
        val = known
    return val if force is None else force(val)


def gensym() -> Callable[[ShapedArray], Var]:
    """A function that makes new variables.

    Returns
    -------
    callable
        Takes the type of the variable.

    Examples
    --------
    >>> import covector as cv
    >>> cv.extend.core.gensym()(cv.typeof(1.0)).aval
    ShapedArray(float32[], weak_type=True)
    """
    return Var


def _run(closed_jaxpr: ClosedJaxpr, *args: Any) -> list[Any]:
    return jaxpr.eval_jaxpr(closed_jaxpr.jaxpr, closed_jaxpr.consts, *args)


def jaxpr_as_fun(closed_jaxpr: ClosedJaxpr, *args: Any) -> Callable[..., list[Any]]:
    """The function that a program computes, from flat arguments to a flat list.

    Parameters
    ----------
    closed_jaxpr : ClosedJaxpr
    *args : array_like
        Its first arguments.

    Returns
    -------
    callable
        Takes the other arguments.

    Examples
    --------
    >>> import covector as cv
    >>> closed = cv.make_jaxpr(lambda x, y: x - y)(1.0, 2.0)
    >>> cv.extend.core.jaxpr_as_fun(closed)(5.0, 3.0)
    [Array(2., dtype=float32, weak_type=True)]
    """
    return functools.partial(_run, closed_jaxpr, *args)


def jaxprs_in_params(params: dict[str, Any]) -> Iterator[Jaxpr]:
    """The programs among the parameters of an equation.

    Parameters
    ----------
    params : dict

    Returns
    -------
    iterator of Jaxpr

    Examples
    --------
    >>> import covector as cv
    >>> (eqn,) = cv.make_jaxpr(cv.jit(lambda x: x + 1))(1.0).eqns
    >>> len(list(cv.extend.core.jaxprs_in_params(eqn.params)))
    1
    """
    return sub_jaxprs(params)


def subjaxprs(jaxpr: Jaxpr) -> Iterator[Jaxpr]:
    """The programs among the parameters of the equations of a program.

    Parameters
    ----------
    jaxpr : Jaxpr

    Returns
    -------
    iterator of Jaxpr

    Examples
    --------
    >>> import covector as cv
    >>> closed = cv.make_jaxpr(cv.jit(lambda x: x + 1))(1.0)
    >>> len(list(cv.extend.core.subjaxprs(closed.jaxpr)))
    1
    """
    for eqn in jaxpr.eqns:
        yield from sub_jaxprs(eqn.params)


def new_jaxpr_eqn(
    invars: Sequence[Any],
    outvars: Sequence[Var],
    primitive: Any,
    params: dict[str, Any],
    effects: Any,
    source_info: Any = None,
    ctx: Any = None,
) -> JaxprEqn:
    """An equation of a program.

    Parameters
    ----------
    invars : sequence of Var or Literal
    outvars : sequence of Var
    primitive : Primitive
    params : dict
    effects : set of Effect
    source_info : optional
        That of the equation which it stands for.
    ctx : optional
        Has no effect.

    Returns
    -------
    JaxprEqn

    Examples
    --------
    >>> import covector as cv
    >>> from covector.extend import core
    >>> x, y = core.gensym()(cv.typeof(1.0)), core.gensym()(cv.typeof(1.0))
    >>> core.new_jaxpr_eqn([x], [y], core.primitives.sin_p, {}, core.no_effects)
    b:f32[]* = sin a
    """
    return JaxprEqn(invars, outvars, primitive, params, frozenset(effects), source_info)


def mapped_aval(size: int, axis: int | None, aval: AbstractValue) -> AbstractValue:
    """The type of an element along an axis of an array.

    Parameters
    ----------
    size : int
        That of the axis.
    axis : int or None
        None of a value that is not mapped.
    aval : ShapedArray

    Returns
    -------
    ShapedArray

    Examples
    --------
    >>> import covector as cv
    >>> cv.extend.core.mapped_aval(3, 0, cv.core.ShapedArray((3, 2), "float32"))
    ShapedArray(float32[2])
    """
    if axis is None or not isinstance(aval, ShapedArray):
        return aval
    if aval.shape[axis] != size:
        raise ValueError(f"axis {axis} of {aval.str_short()} does not have the size {size}")
    axis %= aval.ndim
    return aval.update(shape=aval.shape[:axis] + aval.shape[axis + 1 :])


def unmapped_aval(
    size: int, axis: int | None, aval: AbstractValue, explicit_mesh_axis: Any = None
) -> AbstractValue:
    """The type of the array whose elements along a new axis have a type.

    Parameters
    ----------
    size : int
        That of the new axis.
    axis : int or None
        None of a value that is not mapped.
    aval : ShapedArray
    explicit_mesh_axis : None
        Programs of Covector name no axes of meshes in their types.

    Returns
    -------
    ShapedArray

    Examples
    --------
    >>> import covector as cv
    >>> cv.extend.core.unmapped_aval(3, 1, cv.core.ShapedArray((2,), "float32"))
    ShapedArray(float32[2,3])
    """
    if axis is None or not isinstance(aval, ShapedArray):
        return aval
    axis %= aval.ndim + 1
    return aval.update(shape=(*aval.shape[:axis], size, *aval.shape[axis:]))


def primal_dtype_to_tangent_dtype(primal_dtype: Any) -> Any:
    """The dtype of the tangents of values of a dtype.

    Parameters
    ----------
    primal_dtype : dtype

    Returns
    -------
    dtype

    Examples
    --------
    >>> import covector as cv
    >>> cv.extend.core.primal_dtype_to_tangent_dtype(cv.numpy.dtype("int32")) == cv.float0
    True
    """
    return dtypes.tangent_dtype(dtypes.canonicalize_dtype(primal_dtype))


def valid_jaxtype(x: Any) -> bool:
    """Whether operations take a value.

    Parameters
    ----------
    x : object

    Returns
    -------
    bool

    Examples
    --------
    >>> from covector.extend.core import valid_jaxtype
    >>> valid_jaxtype(1.0), valid_jaxtype("1.0")
    (True, False)
    """
    if isinstance(x, (Array, Tracer)):
        return True
    try:
        aval_of(x)
    except (TypeError, ValueError):
        return False
    return True
