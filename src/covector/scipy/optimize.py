"""Minima of functions (`covector.scipy.optimize`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from covector import lax
from covector import numpy as cnp
from covector.core import dtypes
from covector.core.errors import at_user_line, describe
from covector.core.errors import export as _export
from covector.numpy._util import array, inexact
from covector.transforms.grad import value_and_grad

__all__ = ["OptimizeResults", "minimize"]

# The conditions of Wolfe: how much of the slope a step must gain, and how far it may fall.
_C1, _C2 = 1e-4, 0.9
_OPTIONS = ("gtol", "line_search_maxiter", "maxiter", "norm")


class OptimizeResults(NamedTuple):
    """What `minimize` found.

    Attributes
    ----------
    x : Array
        The point.
    success : Array
        Whether the gradient there is as small as it was to be.
    status : Array
        0 for success, 1 if there were too many iterations, 2 if the line search found no lower
        value, 3 if a value or gradient is not finite.
    fun, jac : Array
        The function's value and gradient there.
    hess_inv : Array
        An estimate of the inverse of the Hessian.
    nfev, njev, nit : Array
        The number of values and gradients computed, and of iterations.
    """

    x: Any
    success: Any
    status: Any
    fun: Any
    jac: Any
    hess_inv: Any
    nfev: Any
    njev: Any
    nit: Any


def minimize(
    fun: Callable[..., Any],
    x0: Any,
    args: tuple[Any, ...] = (),
    *,
    method: str,
    tol: float | None = None,
    options: Mapping[str, Any] | None = None,
) -> OptimizeResults:
    """A local minimum of a function of a vector.

    Parameters
    ----------
    fun : callable
        ``fun(x, *args)`` gives a real number.
    x0 : array_like
        Where to begin: a vector.
    args : tuple
        Further arguments.
    method : {'BFGS'}
    tol : float, optional
        The same as the option ``gtol``.
    options : mapping, optional
        ``maxiter``: the greatest number of iterations, by default 200 times the size of ``x0``.
        ``gtol``: the norm of the gradient at which to end, by default 1e-5. ``norm``: the order of
        that norm, by default infinite. ``line_search_maxiter``: the greatest number of steps of
        each of the two phases of a line search, by default 10.

    Returns
    -------
    OptimizeResults

    Raises
    ------
    ValueError
        If the method is another, or ``x0`` not a vector.
    TypeError
        If ``args`` is not a tuple, an option is unknown, or ``fun`` does not give a real number.

    Notes
    -----
    The method of Broyden, Fletcher, Goldfarb and Shanno, with a line search for the strong
    conditions of Wolfe. It runs compiled under `jit`, and is differentiated in forward mode.

    References
    ----------
    J. Nocedal, S. J. Wright, *Numerical Optimization*, 2nd ed., 2006: algorithms 6.1, 3.5, 3.6.
    W. W. Hager, H. Zhang, "A new conjugate gradient method with guaranteed descent and an efficient
    line search", SIAM Journal on Optimization 16, 2005: the approximate conditions of Wolfe.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.scipy.optimize import minimize
    >>> found = minimize(lambda x: np.sum((x - 2.0) ** 4 + x**2), np.zeros(2), method="BFGS")
    >>> np.round(found.x, 3), bool(found.success)
    (Array([1.165, 1.165], dtype=float32), True)
    """
    if not isinstance(method, str) or method.lower() != "bfgs":
        raise ValueError(f"minimize: method must be 'BFGS', got {method!r}{at_user_line()}")
    if not isinstance(args, tuple):
        raise TypeError(f"minimize: args must be a tuple, got {describe(args)}{at_user_line()}")
    chosen = dict(options or {})
    unknown = sorted(set(chosen) - set(_OPTIONS))
    if unknown:
        raise TypeError(
            f"minimize: unknown options {', '.join(unknown)}; there are {', '.join(_OPTIONS)}"
            f"{at_user_line()}"
        )
    x = array(inexact(cnp.asarray(x0), "minimize"), "minimize")
    if x.ndim != 1:
        raise ValueError(
            f"minimize: x0 must be a vector, got {x.aval.str_short()}; flatten it with "
            f"covector.flatten_util.ravel_pytree{at_user_line()}"
        )
    if tol is not None:
        chosen.setdefault("gtol", tol)
    return _bfgs(_function(fun, args, x.dtype), x, **chosen)


def _function(fun: Callable[..., Any], args: tuple[Any, ...], dtype: Any) -> Callable[[Any], Any]:
    def value(x: Any) -> Any:
        out = cnp.asarray(fun(x, *args))
        if out.shape or out.dtype in dtypes.COMPLEX:
            raise TypeError(
                f"minimize: fun must give a real number, got {out.aval.str_short()}{at_user_line()}"
            )
        return out.astype(dtype)

    return value_and_grad(value)


class _Search(NamedTuple):
    """A line search: its last step, and the bracket it has narrowed down.

    ``low`` is the best step known, ``high`` the other end; of each the value and the slope.
    ``phase`` is 0 while the bracket grows, 1 while it shrinks, 2 at the end.
    """

    phase: Any
    count: Any
    step: Any
    low: Any
    f_low: Any
    d_low: Any
    high: Any
    f_high: Any
    d_high: Any
    best: Any
    f_best: Any
    g_best: Any
    found: Any
    evaluations: Any


def _cubic_minimum(a: Any, fa: Any, da: Any, b: Any, fb: Any, db: Any) -> Any:
    """Of the cubic with these values and slopes (3.59); halfway, where it has none inside."""
    gap = cnp.where(b == a, 1.0, b - a)
    d1 = da + db - 3.0 * (fb - fa) / gap
    square = d1 * d1 - da * db
    d2 = cnp.sign(gap) * cnp.sqrt(cnp.where(square > 0, square, 1.0))
    below = db - da + 2.0 * d2
    part = (db + d2 - d1) / cnp.where(below == 0, 1.0, below)
    usable = (square > 0) & (below != 0) & (part > 0.1) & (part < 0.9)
    return b - gap * cnp.where(usable, part, 0.5)


def _line_search(
    function: Callable[[Any], Any], x: Any, f: Any, g: Any, direction: Any, most: Any
) -> _Search:
    """Algorithms 3.5 and 3.6: a step at which the strong conditions of Wolfe hold."""
    slope = direction @ g
    zero, one = cnp.zeros_like(f), cnp.ones_like(f)
    noise = 4.0 * dtypes.finfo(f.dtype).eps * cnp.abs(f)

    def unfinished(s: _Search) -> Any:
        return (s.phase < 2) & (s.count < most)

    def advance(s: _Search) -> _Search:
        value, gradient = function(x + s.step * direction)
        d = direction @ gradient
        finite = cnp.isfinite(value) & cnp.isfinite(d)
        # Where the gain is lost in rounding, the slope tells (Hager and Zhang's condition).
        level = finite & (value <= f + noise) & (d <= (2 * _C1 - 1) * slope)
        enough = finite & (value <= f + _C1 * s.step * slope) | level
        found = enough & (cnp.abs(d) <= -_C2 * slope)
        too_high = ~enough | (value >= s.f_low) & ~level
        # A step that is no better is the other end; past a minimum the ends change places.
        turned = ~too_high & cnp.where(s.phase == 0, d >= 0, d * (s.high - s.low) >= 0)
        phase = cnp.where(found, 2, cnp.where((s.phase == 1) | too_high | turned, 1, 0))
        fallback = f + cnp.abs(f) + one  # a value to interpolate where there is none
        here = s.step, cnp.where(finite, value, fallback), cnp.where(finite, d, -slope)
        low, high = (s.low, s.f_low, s.d_low), (s.high, s.f_high, s.d_high)
        high = _choose(too_high, here, _choose(turned, low, high))
        low = _choose(too_high, low, here)
        better = found | (enough & (value < s.f_best))
        shrunk = _cubic_minimum(*low, *high)
        return _Search(
            phase,
            cnp.where((phase == 1) & (s.phase == 0), 0, s.count + 1),
            cnp.where(phase == 1, shrunk, 2.0 * s.step),
            *low,
            *high,
            cnp.where(better, s.step, s.best),
            cnp.where(better, value, s.f_best),
            cnp.where(better, gradient, s.g_best),
            s.found | found,
            s.evaluations + 1,
        )

    start = _Search(
        cnp.asarray(0), cnp.asarray(0), one, zero, f, slope, zero, f, slope, zero, f, g,
        cnp.asarray(False), cnp.asarray(0),
    )  # fmt: skip
    return lax.while_loop(unfinished, advance, start)


def _choose(condition: Any, yes: tuple[Any, ...], no: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(cnp.where(condition, a, b) for a, b in zip(yes, no, strict=True))


class _State(NamedTuple):
    x: Any
    f: Any
    g: Any
    inverse: Any
    stuck: Any
    evaluations: Any
    iterations: Any


def _updated(inverse: Any, s: Any, y: Any, first: Any) -> Any:
    """The inverse of the Hessian after a step ``s`` that changed the gradient by ``y`` (6.17)."""
    product = s @ y
    usable = product > 0
    rho = 1.0 / cnp.where(usable, product, 1.0)
    square = y @ y
    # Before the first update the identity takes the scale of the function (6.20).
    scale = cnp.where(
        first & usable & (square > 0), product / cnp.where(square > 0, square, 1.0), 1.0
    )
    inverse = inverse * scale
    moved = inverse @ y
    outer = cnp.outer(moved, s)
    update = rho * (rho * (y @ moved) + 1.0) * cnp.outer(s, s) - rho * (outer + outer.T)
    return cnp.where(usable, inverse + update, inverse)


def _bfgs(
    function: Callable[[Any], Any],
    x: Any,
    maxiter: Any = None,
    gtol: Any = 1e-5,
    norm: Any = cnp.inf,
    line_search_maxiter: Any = 10,
) -> OptimizeResults:
    most = 200 * max(x.size, 1) if maxiter is None else maxiter

    def small(g: Any) -> Any:
        return cnp.linalg.norm(g, norm) <= gtol if g.size else cnp.asarray(True)

    def finite(s: _State) -> Any:
        return cnp.isfinite(s.f) & cnp.all(cnp.isfinite(s.g))

    def unfinished(s: _State) -> Any:
        return ~small(s.g) & ~s.stuck & finite(s) & (s.iterations < most)

    def advance(s: _State) -> _State:
        direction = -(s.inverse @ s.g)
        # Where rounding has spoilt the estimate, begin anew with the gradient.
        uphill = direction @ s.g >= 0
        inverse = cnp.where(uphill, cnp.eye(x.size, dtype=x.dtype), s.inverse)
        direction = cnp.where(uphill, -s.g, direction)
        # The first step is no longer than 1.
        length = cnp.linalg.norm(direction)
        shorter = (s.iterations == 0) & (length > 1)
        direction = direction / cnp.where(shorter, length, 1.0)
        line = _line_search(function, s.x, s.f, s.g, direction, line_search_maxiter)
        step = line.best * direction
        return _State(
            s.x + step,
            line.f_best,
            line.g_best,
            _updated(inverse, step, line.g_best - s.g, s.iterations == 0),
            line.best == 0,
            s.evaluations + line.evaluations,
            s.iterations + 1,
        )

    f, g = function(x)
    start = _State(
        x, f, g, cnp.eye(x.size, dtype=x.dtype), cnp.asarray(False), cnp.asarray(1), cnp.asarray(0)
    )
    end = lax.while_loop(unfinished, advance, start)
    success = small(end.g) & finite(end)
    failure = cnp.where(~finite(end), 3, cnp.where(end.stuck, 2, 1))
    status = cnp.where(success, 0, failure)
    counts = end.evaluations, end.evaluations, end.iterations
    return OptimizeResults(end.x, success, status, end.f, end.g, end.inverse, *counts)


_export(globals(), __all__)
