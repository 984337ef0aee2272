"""Taylor series through functions (`covector.experimental.jet`).

Each value carries the coefficients of a power series in one variable; a rule of a primitive gives
those of its result. A primitive without a rule of its own goes by its derivative: the coefficients
of ``dy/dt`` are those of its forward derivative, a function of ``x`` and ``dx/dt``.
"""

from __future__ import annotations

import functools
import math
import weakref
from collections.abc import Callable
from typing import Any

from covector import numpy as cnp
from covector.core import dtypes, tree
from covector.core.errors import at_user_line, describe
from covector.core.errors import export as _export
from covector.core.trace import current_trace
from covector.experimental import _jet_rules  # noqa: F401
from covector.experimental._jet_forms import (
    def_comp,
    def_deriv,
    deflinear,
    defzero,
    deriv_prop,
    linear_prop,
    zero_prop,
)
from covector.experimental._jet_trace import (
    JetTrace,
    JetTracer,
    ZeroSeries,
    ZeroTerm,
    call_param_updaters,
    jet_rules,
    run_series,
    unzip2,
    zero_series,
    zero_term,
)
from covector.experimental.ode import safe_zip
from covector.tree_util import (
    register_pytree_node,
    tree_flatten,
    tree_structure,
    tree_unflatten,
    treedef_is_leaf,
)

__all__ = [
    "JetTrace", "JetTracer", "ZeroSeries", "ZeroTerm", "call_param_updaters", "def_comp",
    "def_deriv", "deflinear", "defzero", "deriv_prop", "fact", "jet", "jet2", "jet_fun",
    "jet_rules", "jet_subtrace", "linear_prop", "register_pytree_node", "safe_zip", "traceable",
    "tree_flatten", "tree_structure", "tree_unflatten", "treedef_is_leaf", "unzip2",
    "weakref_lru_cache", "zero_prop", "zero_series", "zero_term",
]  # fmt: skip


def fact(n: Any) -> Any:
    """The factorial.

    Parameters
    ----------
    n : int

    Returns
    -------
    Array
        Of the default float.

    Examples
    --------
    >>> from covector.experimental.jet import fact
    >>> fact(4)
    Array(24., dtype=float32)
    """
    return cnp.asarray(math.factorial(n), dtypes.default_float())


def weakref_lru_cache(
    f: Any = None, *, maxsize: int | None = 2048, trace_context_in_key: bool = True,
    explain: Any = None,
) -> Any:  # fmt: skip
    """A function that remembers its results as long as its first argument lives.

    Parameters
    ----------
    f : callable, optional
        Without it, a decorator is returned.
    maxsize : int, optional
        Results kept for one first argument.
    trace_context_in_key : bool
        Whether results are kept for the trace at hand alone.
    explain : callable, optional
        Has no effect.

    Returns
    -------
    callable

    Examples
    --------
    >>> from covector.experimental.jet import weakref_lru_cache
    >>> @weakref_lru_cache
    ... def size(x):
    ...     print("looked")
    ...     return len(x)
    >>> s = frozenset([1, 2])
    >>> size(s), size(s)
    looked
    (2, 2)
    """
    if f is None:
        return functools.partial(
            weakref_lru_cache, maxsize=maxsize, trace_context_in_key=trace_context_in_key
        )
    caches: Any = weakref.WeakKeyDictionary()

    @functools.wraps(f)
    def cached(first: Any, *args: Any, **kwargs: Any) -> Any:
        if first not in caches:
            me = weakref.ref(first)
            caches[first] = functools.lru_cache(maxsize)(lambda _, *a, **k: f(me(), *a, **k))
        context = id(current_trace()) if trace_context_in_key else None
        return caches[first](context, *args, **kwargs)

    return cached


def jet_subtrace(fun: Callable[..., Any], *gen_static_args: Any) -> Any:
    """Values and series of the flat results of a function; series of zeros as `zero_series`.

    Parameters
    ----------
    fun : callable
        From flat arrays to a flat sequence.
    *gen_static_args
        The number of coefficients, values, and their series.

    Returns
    -------
    primals, series : tuples

    Examples
    --------
    >>> from covector.experimental.jet import jet_subtrace
    >>> primals, series = jet_subtrace(lambda x: [x * x], 2, (3.0,), ([1.0, 0.0],))
    >>> float(primals[0]), [float(c) for c in series[0]]
    (9.0, [6.0, 1.0])
    """
    order, primals, series = gen_static_args
    return unzip2(run_series(fun, order, primals, series))


def jet_fun(fun: Callable[..., Any], *gen_static_args: Any) -> Any:
    """Values and series of the flat results of a function.

    Parameters
    ----------
    fun : callable
        From flat arrays to a flat sequence.
    *gen_static_args
        The number of coefficients, values, and their series.

    Returns
    -------
    primals, series : tuples

    Examples
    --------
    >>> from covector.experimental.jet import jet_fun
    >>> primals, series = jet_fun(lambda x: [x + x], 1, (3.0,), ([1.0],))
    >>> float(primals[0]), [float(c) for c in series[0]]
    (6.0, [2.0])
    """
    order, primals, series = gen_static_args
    outs, found = jet_subtrace(fun, order, primals, series)
    return outs, tuple(
        [[cnp.zeros_like(p)] * order if s is zero_series else s for p, s in safe_zip(outs, found)]
    )


def traceable(
    fun: Callable[..., Any], *gen_static_args: Any, use_eq_store: bool = False,
    unk_names: bool = False,
) -> Any:  # fmt: skip
    """A function of flat values and coefficients, of one of values and series.

    Parameters
    ----------
    fun : callable
        ``fun(primals, series)`` gives values and series.
    *gen_static_args
        The structure of ``(primals, series)``.
    use_eq_store, unk_names : bool
        Have no effect.

    Returns
    -------
    tuple of two functions
        One from flat arrays to flat arrays; one that gives the structure of its results, after it
        ran.

    Examples
    --------
    >>> from covector.experimental import jet
    >>> structure = jet.tree_structure(((3.0,), ([1.0],)))
    >>> flat, out_tree = jet.traceable(lambda p, s: (p, s), structure)
    >>> flat(3.0, 1.0)
    [3.0, 1.0]
    """
    (in_tree,) = gen_static_args
    found: list[Any] = []

    def flat(*leaves: Any) -> list[Any]:
        primals, series = tree_unflatten(in_tree, leaves)
        outs, structure = tree_flatten(fun(primals, series))
        found[:] = [structure]
        return outs

    return flat, lambda: found[0]


_JET = """The value of a function and its derivatives along a curve, of all orders to some order.

Parameters
----------
fun : callable
    Of arrays, to a tree of arrays.
primals : sequence of array_like
    The point of the curve.
series : sequence of sequences of array_like
    For each of them {what} of the curve, from order 1 on: as many of each.
factorial_scaled : bool
    Whether series hold derivatives; otherwise coefficients of powers, which are derivatives over
    factorials.
**_
    Have no effect.

Returns
-------
primals_out : pytree of Array
series_out : pytree of lists of Array
    For each array its {what}.

Raises
------
ValueError
    If there are not as many series as values, or they differ in length.
TypeError
    If a value is not an array of numbers.

Notes
-----
A product of two series takes as many products as their length squared; so do other functions whose
derivative is one of themselves [1]_ [2]_. All others go by their forward derivative.

References
----------
.. [1] A. Griewank, A. Walther, "Evaluating derivatives", 2nd edition, 2008, chapter 13.
.. [2] J. Bettencourt, M. J. Johnson, D. Duvenaud, "Taylor-mode automatic differentiation for
   higher-order derivatives in JAX", 2019.

Examples
--------
>>> import covector.numpy as np
>>> from covector.experimental.jet import {name}
>>> y, terms = {name}(np.exp, (0.0,), ([1.0, 0.0, 0.0],))
>>> [round(float(t), 4) for t in terms]
{result}
"""


def jet(
    fun: Callable[..., Any], primals: Any, series: Any, factorial_scaled: bool = True, **_: Any
) -> Any:
    return _jet("jet", fun, primals, series, factorial_scaled)


def jet2(
    fun: Callable[..., Any], primals: Any, series: Any, *, factorial_scaled: bool = False, **_: Any
) -> Any:
    return _jet("jet2", fun, primals, series, factorial_scaled)


jet.__doc__ = _JET.format(name="jet", what="derivatives", result="[1.0, 1.0, 1.0]")
jet2.__doc__ = _JET.format(name="jet2", what="coefficients", result="[1.0, 0.5, 0.1667]")


def _jet(name: str, fun: Any, primals: Any, series: Any, scaled: bool) -> Any:
    primals, series = list(primals), [list(s) for s in series]
    if len(primals) != len(series):
        raise ValueError(
            f"{name}: as many series as values are needed, got {len(series)} and "
            f"{len(primals)}{at_user_line()}"
        )
    orders = {len(s) for s in series}
    if len(orders) > 1:
        raise ValueError(
            f"{name}: the series must have one length, got {[len(s) for s in series]}"
            f"{at_user_line()}"
        )
    order = orders.pop() if orders else 0
    xs, terms = [], []
    for k, (p, s) in enumerate(safe_zip(primals, series)):
        if not all(treedef_is_leaf(tree_structure(x)) for x in (p, *s)):
            raise TypeError(
                f"{name}: values and coefficients are arrays, got {describe(p)} with "
                f"{describe(s)} at position {k}{at_user_line()}"
            )
        x = cnp.asarray(p)
        x = x.astype(dtypes.to_inexact_dtype(x.dtype)) if s else x
        xs.append(x)
        full = [cnp.broadcast_to(cnp.asarray(c).astype(x.dtype), x.shape) for c in s]
        if scaled:
            full = [c / math.factorial(j + 1) for j, c in enumerate(full)]
        terms.append(full or zero_series)
    out_tree: Any = None

    def flat(*args: Any) -> list[Any]:
        nonlocal out_tree
        outs, out_tree = tree.flatten(fun(*args))
        return outs

    outs, found = jet_fun(flat, order, xs, terms)
    if scaled:
        found = [[c * math.factorial(j + 1) for j, c in enumerate(s)] for s in found]
    return tree.unflatten(out_tree, outs), tree.unflatten(out_tree, found)


_export(globals(), __all__)
