"""Ordinary differential equations (`covector.experimental.ode`)."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as onp

from covector import lax
from covector import numpy as cnp
from covector.control_flow.custom_gradient import closure_convert
from covector.control_flow.custom_jvp import custom_jvp
from covector.control_flow.linear_call import linear_call
from covector.core import dtypes
from covector.core.avals import aval_of
from covector.core.errors import at_user_line
from covector.core.errors import export as _export
from covector.flatten_util import ravel_pytree
from covector.numpy._util import promote_inexact
from covector.transforms.autodiff import jvp, vjp
from covector.transforms.vmap_api import vmap
from covector.tree_util import tree_flatten, tree_leaves, tree_map, tree_unflatten

__all__ = [
    "abs2", "fit_4th_order_polynomial", "initial_step_size", "interp_fit_dopri", "map",
    "mean_error_ratio", "odeint", "optimal_step_size", "promote_dtypes_inexact", "ravel_first_arg",
    "ravel_first_arg_", "ravel_pytree", "runge_kutta_step", "safe_map", "safe_zip", "tree_leaves",
    "tree_map", "zip",
]  # fmt: skip

# The method of Dormand and Prince of order 5(4) [1]_: nodes, the matrix, weights, differences to
# the weights of order 4, and weights at the middle of the step [2]_.
_NODES = onp.array([1 / 5, 3 / 10, 4 / 5, 8 / 9, 1, 1, 0])
_MATRIX = onp.array([
    [1 / 5, 0, 0, 0, 0, 0, 0],
    [3 / 40, 9 / 40, 0, 0, 0, 0, 0],
    [44 / 45, -56 / 15, 32 / 9, 0, 0, 0, 0],
    [19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729, 0, 0, 0],
    [9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656, 0, 0],
    [35 / 384, 0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84, 0],
])  # fmt: skip
_WEIGHTS = onp.array([35 / 384, 0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84, 0])
_ERROR = _WEIGHTS - onp.array(
    [5179 / 57600, 0, 7571 / 16695, 393 / 640, -92097 / 339200, 187 / 2100, 1 / 40]
)
_MIDDLE = onp.array([
    6025192743 / 30085553152, 0, 51252292925 / 65400821598, -2691868925 / 45128329728,
    187940372067 / 1594534317056, -1776094331 / 19743644256, 11237099 / 235043384,
]) / 2  # fmt: skip


def _same_lengths(what: str, sequences: list[list[Any]]) -> None:
    if len({len(s) for s in sequences}) > 1:
        raise ValueError(
            f"{what}: the sequences must have one length, got "
            f"{[len(s) for s in sequences]}{at_user_line()}"
        )


def safe_map(f: Callable[..., Any], *args: Any) -> list[Any]:
    """`map` of sequences of one length, as a list.

    Parameters
    ----------
    f : callable
    *args : sequences

    Returns
    -------
    list

    Raises
    ------
    ValueError
        If the lengths differ.

    Examples
    --------
    >>> from covector.experimental.ode import safe_map
    >>> safe_map(max, [1, 5], [3, 2])
    [3, 5]
    """
    sequences = [list(a) for a in args]
    _same_lengths("safe_map", sequences)
    return [f(*xs) for xs in _tuples(*sequences)]


def safe_zip(*args: Any) -> list[tuple[Any, ...]]:
    """`zip` of sequences of one length, as a list.

    Parameters
    ----------
    *args : sequences

    Returns
    -------
    list of tuples

    Raises
    ------
    ValueError
        If the lengths differ.

    Examples
    --------
    >>> from covector.experimental.ode import safe_zip
    >>> safe_zip([1, 2], "ab")
    [(1, 'a'), (2, 'b')]
    """
    sequences = [list(a) for a in args]
    _same_lengths("safe_zip", sequences)
    return list(_tuples(*sequences))


_tuples = zip
map, zip = safe_map, safe_zip  # noqa: A001


def abs2(x: Any) -> Any:
    """The squared magnitude of each element.

    Parameters
    ----------
    x : array_like

    Returns
    -------
    Array
        Real.

    Examples
    --------
    >>> from covector.experimental.ode import abs2
    >>> abs2(-3.0)
    Array(9., dtype=float32, weak_type=True)
    """
    x = cnp.asarray(x)
    if dtypes.is_complex(x.dtype):
        return cnp.square(x.real) + cnp.square(x.imag)
    return cnp.square(x)


def promote_dtypes_inexact(*args: Any) -> list[Any]:
    """Arrays in their common dtype, or the default float if that is not inexact.

    Parameters
    ----------
    *args : array_like

    Returns
    -------
    list of Array

    Examples
    --------
    >>> from covector.experimental.ode import promote_dtypes_inexact
    >>> [x.dtype.name for x in promote_dtypes_inexact(1, 2.5)]
    ['float32', 'float32']
    """
    return promote_inexact("promote_dtypes_inexact", *[cnp.asarray(x) for x in args])


def ravel_first_arg(f: Callable[..., Any], unravel: Callable[..., Any], debug_info: Any) -> Any:
    """A function whose first argument and result are vectors, of one of trees.

    Parameters
    ----------
    f : callable
    unravel : callable
        From a vector to the tree that ``f`` takes.
    debug_info : object
        Has no effect.

    Returns
    -------
    callable

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.experimental.ode import ravel_first_arg, ravel_pytree
    >>> flat, unravel = ravel_pytree({"a": 1.0, "b": 2.0})
    >>> ravel_first_arg(lambda y: {"a": y["b"], "b": -y["a"]}, unravel, None)(flat)
    Array([ 2., -1.], dtype=float32)
    """
    return functools.partial(ravel_first_arg_, f, unravel)


def ravel_first_arg_(fun: Callable[..., Any], *gen_static_args: Any) -> Any:
    """The result as a vector of a function at a vector: what `ravel_first_arg` returns does.

    Parameters
    ----------
    fun : callable
        Of trees.
    *gen_static_args
        A function from vectors to trees, the vector, and further arguments.

    Returns
    -------
    Array

    Examples
    --------
    >>> from covector.experimental.ode import ravel_first_arg_, ravel_pytree
    >>> flat, unravel = ravel_pytree((1.0, 2.0))
    >>> ravel_first_arg_(lambda y, c: (c * y[1], y[0]), unravel, flat, 3.0)
    Array([6., 1.], dtype=float32)
    """
    unravel, y, *args = gen_static_args
    return ravel_pytree(fun(unravel(y), *args))[0]


def fit_4th_order_polynomial(y0: Any, y1: Any, y_mid: Any, dy0: Any, dy1: Any, dt: Any) -> Any:
    """The polynomial of degree 4 through values at the ends and the middle, and slopes at the ends.

    Parameters
    ----------
    y0, y1, y_mid : Array
        Values at the beginning, the end and the middle.
    dy0, dy1 : Array
        Slopes at the beginning and the end.
    dt : float
        The length of the interval.

    Returns
    -------
    tuple of Array
        The coefficients, that of the greatest power first, of a polynomial on the unit interval.

    Examples
    --------
    >>> from covector.experimental.ode import fit_4th_order_polynomial
    >>> fit_4th_order_polynomial(0.0, 1.0, 0.25, 0.0, 2.0, 1.0)
    (0.0, 0.0, 1.0, 0.0, 0.0)
    """
    a = -2 * dt * dy0 + 2 * dt * dy1 - 8 * y0 - 8 * y1 + 16 * y_mid
    b = 5 * dt * dy0 - 3 * dt * dy1 + 18 * y0 + 14 * y1 - 32 * y_mid
    c = -4 * dt * dy0 + dt * dy1 - 11 * y0 - 5 * y1 + 16 * y_mid
    return a, b, c, dt * dy0, y0


def interp_fit_dopri(y0: Any, y1: Any, k: Any, dt: Any) -> Any:
    """The polynomial of a step, for values inside of it.

    Parameters
    ----------
    y0, y1 : Array
        Values at the ends.
    k : Array
        The slopes of the stages.
    dt : float
        The length of the step.

    Returns
    -------
    Array
        Coefficients, that of the greatest power first, of a polynomial on the unit interval.

    References
    ----------
    .. [1] L. F. Shampine, "Some practical Runge-Kutta formulas", Mathematics of Computation 46,
       1986.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.experimental.ode import interp_fit_dopri
    >>> interp_fit_dopri(np.zeros(1), np.ones(1), np.ones((7, 1)), 1.0)[3, 0]
    Array(1., dtype=float32)
    """
    middle = y0 + cnp.asarray(dt, k.dtype) * cnp.dot(cnp.asarray(_MIDDLE, k.dtype), k)
    return cnp.asarray(fit_4th_order_polynomial(y0, y1, middle, k[0], k[-1], dt))


def initial_step_size(fun: Any, t0: Any, y0: Any, order: Any, rtol: Any, atol: Any, f0: Any) -> Any:
    """A first step that the error is probably small at.

    Parameters
    ----------
    fun : callable
        ``fun(y, t)`` is the slope.
    t0, y0, f0 : array_like
        Where it begins, the value and the slope there.
    order : int
        Of the method.
    rtol, atol : float
        The tolerances.

    Returns
    -------
    Array

    References
    ----------
    .. [1] E. Hairer, S. P. Nørsett, G. Wanner, "Solving ordinary differential equations I",
       section II.4.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.experimental.ode import initial_step_size
    >>> y = np.ones(1)
    >>> bool(0.01 < initial_step_size(lambda y, t: -y, 0.0, y, 4, 1e-3, 1e-3, -y) < 1)
    True
    """
    y0, f0 = promote_dtypes_inexact(y0, f0)
    dtype = y0.dtype
    scale = atol + cnp.abs(y0) * rtol
    d0 = _norm(y0 / scale.astype(dtype))
    d1 = _norm(f0 / scale.astype(dtype))
    small = (d0 < 1e-5) | (d1 < 1e-5)
    h0 = cnp.where(small, 1e-6, 0.01 * d0 / cnp.where(small, 1, d1))
    f1 = fun(y0 + h0.astype(dtype) * f0, t0 + h0)
    d2 = _norm((f1 - f0) / scale.astype(dtype)) / h0
    flat = (d1 <= 1e-15) & (d2 <= 1e-15)
    most = cnp.where(flat, 1, cnp.maximum(d1, d2))
    h1 = cnp.where(flat, cnp.maximum(1e-6, h0 * 1e-3), (0.01 / most) ** (1 / (order + 1)))
    return cnp.minimum(100 * h0, h1)


def _norm(x: Any) -> Any:
    return cnp.sqrt(cnp.sum(abs2(x)))


def runge_kutta_step(func: Any, y0: Any, f0: Any, t0: Any, dt: Any) -> Any:
    """One step of the method of Dormand and Prince, of order 5 with an error of order 4.

    Parameters
    ----------
    func : callable
        ``func(y, t)`` is the slope.
    y0, f0 : Array
        The value and the slope where it begins.
    t0, dt : float
        Where it begins, and its length.

    Returns
    -------
    y1, f1 : Array
        The value and the slope at the end.
    y1_error : Array
        An estimate of the error.
    k : Array
        The slopes of the stages.

    References
    ----------
    .. [1] J. R. Dormand, P. J. Prince, "A family of embedded Runge-Kutta formulae", Journal of
       Computational and Applied Mathematics 6, 1980.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.experimental.ode import runge_kutta_step
    >>> y = np.ones(1)
    >>> np.round(runge_kutta_step(lambda y, t: -y, y, -y, 0.0, 0.5)[0], 4)
    Array([0.6065], dtype=float32)
    """
    dtype = f0.dtype
    step = cnp.asarray(dt).astype(dtype)
    slopes = [f0]
    for row, node in safe_zip(_MATRIX, _NODES[:6]):
        inner = [float(c) * s for c, s in _tuples(row, slopes) if c]
        slopes.append(func(y0 + step * functools.reduce(cnp.add, inner), t0 + dt * float(node)))
    k = cnp.stack(slopes)
    y1 = y0 + step * cnp.tensordot(cnp.asarray(_WEIGHTS, dtype), k, 1)
    error = step * cnp.tensordot(cnp.asarray(_ERROR, dtype), k, 1)
    return y1, k[-1], error, k


def mean_error_ratio(error_estimate: Any, rtol: Any, atol: Any, y0: Any, y1: Any) -> Any:
    """The root mean square of errors in units of what is tolerated.

    Parameters
    ----------
    error_estimate : Array
    rtol, atol : float
        The tolerances.
    y0, y1 : Array
        Values before and after the step.

    Returns
    -------
    Array
        At most 1 if the step is good.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.experimental.ode import mean_error_ratio
    >>> mean_error_ratio(np.array([0.1]), 0.0, 0.2, np.ones(1), np.ones(1))
    Array(0.5, dtype=float32)
    """
    tolerated = atol + rtol * cnp.maximum(cnp.abs(y0), cnp.abs(y1))
    ratio = error_estimate / tolerated.astype(error_estimate.dtype)
    return cnp.sqrt(cnp.mean(abs2(ratio)))


def optimal_step_size(
    last_step: Any,
    mean_error_ratio: Any,
    safety: Any = 0.9,
    ifactor: Any = 10.0,
    dfactor: Any = 0.2,
    order: Any = 5.0,
) -> Any:
    """The next step, by the error of the last one.

    Parameters
    ----------
    last_step : float
    mean_error_ratio : Array
        The error in units of what is tolerated.
    safety : float
        Makes steps shorter than the estimate.
    ifactor, dfactor : float
        The greatest and the least quotient of two steps; after a good step, it is not less than 1.
    order : float
        Of the method.

    Returns
    -------
    Array

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.experimental.ode import optimal_step_size
    >>> optimal_step_size(1.0, np.array(0.0))
    Array(10., dtype=float32, weak_type=True)
    """
    ratio = cnp.asarray(mean_error_ratio)
    least = cnp.where(ratio < 1, 1.0, dfactor)
    positive = cnp.where(ratio > 0, ratio, 1)
    factor = cnp.minimum(ifactor, cnp.maximum(positive ** (-1.0 / order) * safety, least))
    return cnp.where(ratio == 0, last_step * ifactor, last_step * factor)


def odeint(
    func: Callable[..., Any],
    y0: Any,
    t: Any,
    *args: Any,
    rtol: Any = 1.4e-8,
    atol: Any = 1.4e-8,
    mxstep: Any = cnp.inf,
    hmax: Any = cnp.inf,
) -> Any:
    """Solve ``dy/dt = func(y, t, *args)`` with steps as long as the tolerances allow.

    Parameters
    ----------
    func : callable
        The slope: a tree like ``y0``.
    y0 : pytree of array_like
        Floats or complex numbers, at ``t[0]``.
    t : array_like
        Increasing times.
    *args : pytrees of array_like
        Further arguments of ``func``.
    rtol, atol : float
        The relative and absolute errors tolerated in a step.
    mxstep : float
        The most steps between two times; what is not reached is NaN-free but wrong.
    hmax : float
        The longest step.

    Returns
    -------
    pytree of Array
        Like ``y0``, with the times as the first axis.

    Raises
    ------
    TypeError
        If ``t`` or a leaf of ``args`` is not an array of numbers.

    Notes
    -----
    Steps are those of Dormand and Prince [1]_, values between them of a polynomial of degree 4.
    Reverse mode solves the adjoint equation backwards [2]_: it needs no memory for the steps, and
    is as precise as the tolerances. Forward mode solves the variational equation with the other.

    References
    ----------
    .. [1] J. R. Dormand, P. J. Prince, "A family of embedded Runge-Kutta formulae", Journal of
       Computational and Applied Mathematics 6, 1980.
    .. [2] R. T. Q. Chen, Y. Rubanova, J. Bettencourt, D. Duvenaud, "Neural ordinary differential
       equations", NeurIPS, 2018.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.experimental.ode import odeint
    >>> y = odeint(lambda y, t: -y, 1.0, np.array([0.0, 1.0, 2.0]))
    >>> np.round(y, 4)
    Array([1.    , 0.3679, 0.1353], dtype=float32)
    """
    t = cnp.asarray(t)
    if t.ndim != 1 or t.dtype not in dtypes.FLOATS:
        raise TypeError(
            f"odeint: t must be a vector of floats, got {t.aval.str_short()}{at_user_line()}"
        )
    converted, consts = closure_convert(func, y0, t[0], *args)
    flat, unravel = ravel_pytree(tree_map(lambda x: promote_dtypes_inexact(x)[0], y0))
    slope = functools.partial(ravel_first_arg_, converted, unravel)
    out = _odeint(slope, rtol, atol, mxstep, hmax, flat, t, *args, *consts)
    return vmap(unravel)(out)


@functools.partial(custom_jvp, nondiff_argnums=(0, 1, 2, 3, 4))
def _odeint(func: Any, rtol: Any, atol: Any, mxstep: Any, hmax: Any, y0: Any, ts: Any,
            *args: Any) -> Any:  # fmt: skip
    def slope(y: Any, t: Any) -> Any:
        return func(y, t, *args).astype(y0.dtype)

    def one_time(carry: Any, target: Any) -> Any:
        def go_on(state: Any) -> Any:
            i, _, _, t, dt, *_ = state
            return (t < target) & (i < mxstep) & (dt > 0)

        def step(state: Any) -> Any:
            i, y, f, t, dt, last_t, coefficients = state
            new_y, new_f, error, k = runge_kutta_step(slope, y, f, t, dt)
            new_t = t + dt
            ratio = mean_error_ratio(error, rtol, atol, y, new_y)
            fit = interp_fit_dopri(y, new_y, k, dt.astype(y0.dtype))
            dt = cnp.clip(optimal_step_size(dt, ratio), 0.0, hmax).astype(t.dtype)
            good = ratio <= 1
            old, new = (y, f, t, last_t, coefficients), (new_y, new_f, new_t, t, fit)
            y, f, t, last_t, coefficients = [cnp.where(good, a, b) for a, b in _tuples(new, old)]
            return i + 1, y, f, t, dt, last_t, coefficients

        _, *carry = lax.while_loop(go_on, step, (0, *carry))
        _, _, t, _, last_t, coefficients = carry
        relative = cnp.where(
            t == last_t, 0, (target - last_t) / cnp.where(t == last_t, 1, t - last_t)
        )
        return carry, cnp.polyval(coefficients, relative.astype(y0.dtype))

    f0 = slope(y0, ts[0])
    dt = initial_step_size(slope, ts[0], y0, 4, rtol, atol, f0)
    dt = cnp.clip(dt, 0.0, hmax).astype(ts.dtype)
    first = [y0, f0, ts[0], dt, ts[0], cnp.stack([*[cnp.zeros_like(y0)] * 4, y0])]
    _, ys = lax.scan(one_time, first, ts[1:])
    return cnp.concatenate([y0[None], ys])


class _Derivative:
    """How a solution moves with its start, the times and the floats among the arguments.

    The tangents solve the variational equation forwards, together with the solution [1]_; the
    cotangents solve the adjoint equation backwards [2]_. Both take ``(ys, ts, leaves)``.

    References
    ----------
    .. [1] E. Hairer, S. P. Nørsett, G. Wanner, "Solving ordinary differential equations I",
       section I.14.
    .. [2] R. T. Q. Chen, Y. Rubanova, J. Bettencourt, D. Duvenaud, "Neural ordinary differential
       equations", NeurIPS, 2018.
    """

    def __init__(self, func: Any, args: Any, options: dict[str, Any]) -> None:
        leaves, self.tree = tree_flatten(args)
        self.func = func
        self.options = options
        self.real = [dtypes.is_inexact(aval_of(x).dtype) for x in leaves]

    def moving(self, leaves: Any) -> list[Any]:
        """The leaves that have derivatives."""
        return [x for x, r in _tuples(leaves, self.real) if r]

    def slope(self, leaves: Any, y: Any, t: Any, *moving: Any) -> Any:
        """The slope, with those leaves in the place of theirs."""
        rest = iter(moving)
        args = [next(rest) if r else x for x, r in _tuples(leaves, self.real)]
        return self.func(y, t, *tree_unflatten(self.tree, args)).astype(y.dtype)

    def forwards(self, given: Any, tangents: Any) -> Any:
        ys, ts, leaves = given
        y_dot, t_dots, dots = tangents

        def augmented(state: Any, t: Any, leaves: Any, dots: Any) -> Any:
            y, y_dot = state
            fun = lambda y, *moving: self.slope(leaves, y, t, *moving)  # noqa: E731
            return jvp(fun, (y, *self.moving(leaves)), (y_dot, *dots))

        slopes = vmap(lambda y, t: self.slope(leaves, y, t, *self.moving(leaves)))(ys, ts)
        by_time = slopes * t_dots[:, None].astype(ys.dtype)
        # The later the start, the less is gone: the solution moves against it.
        _, y_dots = odeint(augmented, (ys[0], y_dot - by_time[0]), ts, leaves, dots, **self.options)
        return y_dots + by_time

    def backwards(self, given: Any, g: Any) -> Any:
        ys, ts, leaves = given
        slope = functools.partial(self.slope, leaves)
        moving = self.moving(leaves)

        def augmented(state: Any, t: Any, leaves: Any) -> Any:
            """The equation of the values, their cotangents, and those of time and arguments."""
            y, y_bar, *_ = state
            fun = functools.partial(self.slope, leaves)
            slope, pull = vjp(fun, y, -t, *self.moving(leaves))
            y_bar, t_bar, *bars = pull(y_bar)
            return (-slope, y_bar, t_bar, bars)

        def back(carry: Any, i: Any) -> Any:
            y_bar, t0_bar, bars = carry
            # By the time at which the value is taken.
            t_bar = cnp.real(cnp.dot(slope(ys[i], ts[i], *moving), g[i])).astype(ts.dtype)
            t0_bar = t0_bar - t_bar
            out = odeint(
                augmented, (ys[i], y_bar, t0_bar, bars), cnp.stack([-ts[i], -ts[i - 1]]), leaves,
                **self.options,
            )  # fmt: skip
            _, y_bar, t0_bar, bars = tree_map(lambda x: x[1], out)
            return (y_bar + g[i - 1], t0_bar, bars), t_bar

        first = (g[-1], cnp.zeros((), ts.dtype), tree_map(cnp.zeros_like, moving))
        (y_bar, t0_bar, bars), t_bars = lax.scan(back, first, cnp.arange(len(ts) - 1, 0, -1))
        return y_bar, cnp.concatenate([t0_bar[None], t_bars[::-1]]), bars


@_odeint.defjvp
def _odeint_jvp(func: Any, rtol: Any, atol: Any, mxstep: Any, hmax: Any, primals: Any,
                tangents: Any) -> Any:  # fmt: skip
    _, ts, *args = primals
    y_dot, t_dots, *dots = tangents
    ys = _odeint(func, rtol, atol, mxstep, hmax, *primals)
    options = {"rtol": rtol, "atol": atol, "mxstep": mxstep, "hmax": hmax}
    d = _Derivative(func, args, options)
    moved = (y_dot, t_dots, d.moving(tree_leaves(dots)))
    return ys, linear_call(d.forwards, d.backwards, (ys, ts, tree_leaves(args)), moved)


_export(globals(), __all__)
