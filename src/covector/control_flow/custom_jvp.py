"""``custom_jvp``: functions with a forward derivative given by the user; ``stop_gradient``."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from covector.control_flow.custom_rules import (
    Arguments,
    ClosedRule,
    CustomCall,
    CustomFunction,
    MappedRule,
    SymbolicZero,
)
from covector.core import tree
from covector.core.avals import ShapedArray, aval_of
from covector.core.dtypes import float0, is_inexact
from covector.core.errors import at_user_line, describe
from covector.core.places import users_code
from covector.core.rules import Zero
from covector.core.structural import add_any, fill_zeros, instantiate
from covector.core.trace import Tracer, current_trace, eval_trace, trace_to_jaxpr
from covector.transforms.arguments import debug_info, fun_name
from covector.transforms.vmap import vmap_flat

# (primals, tangents) -> (results, tangents of results); tangents may be Zero in both.
FlatJvp = Callable[[Sequence[Any], Sequence[Any]], tuple[list[Any], list[Any]]]


def _differentiate(
    jvp: FlatJvp, primals: Sequence[Any], tangents: Sequence[Any], name: str
) -> tuple[list[Any], list[Any]]:
    return jvp(primals, tangents)


class FlatJvpCall:
    """A rule at given operands, as a function from flat arrays to flat arrays."""

    __slots__ = ("rule", "num_primals", "nonzero", "args", "nonzero_out")

    def __init__(self, rule: FlatJvp, primals: Sequence[Any], tangents: Sequence[Any]) -> None:
        self.rule = rule
        self.num_primals = len(primals)
        self.nonzero = [type(t) is not Zero for t in tangents]
        self.args = [*primals, *(t for t in tangents if type(t) is not Zero)]
        self.nonzero_out: list[bool] = []

    def __call__(self, *args: Any) -> list[Any]:
        primals = args[: self.num_primals]
        tangents = fill_zeros(primals, self.nonzero, args[self.num_primals :])
        outs, out_tangents = self.rule(primals, tangents)
        self.nonzero_out = [type(t) is not Zero for t in out_tangents]
        return [*outs, *(t for t in out_tangents if type(t) is not Zero)]

    def split(self, outs: Sequence[Any]) -> tuple[list[Any], list[Any]]:
        """Results and tangents, from what the call returned."""
        n = len(self.nonzero_out)
        return list(outs[:n]), fill_zeros(outs[:n], self.nonzero_out, outs[n:])


class _MappedJvp(MappedRule):
    __slots__ = ()

    def __call__(
        self, primals: Sequence[Any], tangents: Sequence[Any]
    ) -> tuple[list[Any], list[Any]]:
        flat, outs, dims = self._mapped(primals, tangents)
        nonzero = [b for b, nz in zip(self.out_batched, flat.nonzero_out, strict=True) if nz]
        return flat.split(self.placed(outs, dims, [*self.out_batched, *nonzero]))

    def _mapped(
        self, primals: Sequence[Any], tangents: Sequence[Any]
    ) -> tuple[FlatJvpCall, list[Any], list[int | None]]:
        flat = FlatJvpCall(self.rule, primals, tangents)
        in_dims = [0 if b else None for b in self.batched]
        dims = in_dims + [d for d, nz in zip(in_dims, flat.nonzero, strict=True) if nz]
        return flat, *vmap_flat(flat, self.size, flat.args, dims, self.axis_name)

    def results_mapped(self, avals: Sequence[ShapedArray]) -> list[bool]:
        found: list[bool] = []

        def fun(*args: Any) -> list[Any]:
            # Of each result, whether it or its tangent is mapped; arguments have tangents.
            real = [x.aval.to_tangent_aval().dtype != float0 for x in args]
            tangents = [x if r else Zero.of(x) for x, r in zip(args, real, strict=True)]
            flat, outs, dims = self._mapped(args, tangents)
            n = len(flat.nonzero_out)
            rest = iter(dims[n:])
            of_tangents = [next(rest) if nz else None for nz in flat.nonzero_out]
            pairs = zip(dims[:n], of_tangents, strict=True)
            found[:] = [d is not None or t is not None for d, t in pairs]
            return outs

        trace_to_jaxpr(fun, self.mapped_avals(avals))
        return found


class _ClosedJvp(ClosedRule):
    __slots__ = ()

    def __call__(
        self, primals: Sequence[Any], tangents: Sequence[Any]
    ) -> tuple[list[Any], list[Any]]:
        n = len(self.values)
        flat = FlatJvpCall(self.rule, primals[n:], tangents[n:])
        return flat.split(self.run(flat, flat.args, primals[:n]))


_call_custom_jvp = CustomCall("custom_jvp", "jvp", _differentiate, _MappedJvp, _ClosedJvp)
custom_jvp_call_p = _call_custom_jvp.primitive


class custom_jvp(CustomFunction):
    """A function with a rule of its own for forward-mode differentiation.

    Reverse mode uses the rule too, by transposing it: it must be linear in the tangents.

    Parameters
    ----------
    fun : callable
    nondiff_argnums : sequence of int
        Arguments not differentiated, for example functions; the rule gets them first.
    nondiff_argnames : sequence of str

    Examples
    --------
    >>> import covector as cv
    >>> import covector.numpy as np
    >>> @cv.custom_jvp
    ... def safe_sqrt(x):
    ...     return np.sqrt(x)
    >>> @safe_sqrt.defjvp
    ... def safe_sqrt_jvp(primals, tangents):
    ...     (x,), (t,) = primals, tangents
    ...     y = safe_sqrt(x)
    ...     return y, np.where(x == 0, 0, t / (2 * np.where(x == 0, 1, y)))
    >>> cv.grad(safe_sqrt)(0.0), cv.grad(safe_sqrt)(4.0)
    (Array(0., dtype=float32), Array(0.25, dtype=float32))
    """

    _call = _call_custom_jvp
    _definer = "defjvp"
    _rules = ("jvp",)
    jvp: Callable[..., Any] | None

    def defjvp(self, jvp: Callable[..., Any], symbolic_zeros: bool = False) -> Callable[..., Any]:
        """Set the rule: ``jvp(*nondiff_args, primals, tangents) -> (out, out_tangent)``.

        Parameters
        ----------
        jvp : callable
            ``primals`` and ``tangents`` are tuples with an item for each differentiated argument.
        symbolic_zeros : bool
            Give the rule a `SymbolicZero` for tangents that are known to be zero, in place of an
            array of zeros.

        Returns
        -------
        callable
            ``jvp``, so that this serves as a decorator.

        Examples
        --------
        >>> import covector as cv
        >>> f = cv.custom_jvp(lambda x: 2 * x)
        >>> rule = f.defjvp(lambda primals, tangents: (f(*primals), 100 * tangents[0]))
        >>> cv.grad(f)(1.0)
        Array(100., dtype=float32, weak_type=True)
        """
        self.jvp = jvp
        self._has_rule = True
        self.symbolic_zeros = symbolic_zeros
        return jvp

    def defjvps(self, *jvps: Callable[..., Any] | None) -> None:
        """Set one rule per argument: ``jvp(tangent, out, *primals) -> out_tangent``.

        The contributions are summed; None stands for no dependence.

        Parameters
        ----------
        *jvps : callable or None

        Raises
        ------
        TypeError
            If the function has arguments that are not differentiated.

        Examples
        --------
        >>> import covector as cv
        >>> f = cv.custom_jvp(lambda x, y: x * y)
        >>> f.defjvps(lambda t, out, x, y: t * y, None)
        >>> cv.grad(f, argnums=(0, 1))(2.0, 3.0)
        (Array(3., dtype=float32, weak_type=True), Array(0., dtype=float32))
        """
        if self.nondiff_argnums:
            raise TypeError("defjvps cannot be used with nondiff_argnums: use defjvp")

        def jvp(primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
            out = self(*primals)
            terms = [
                rule(t, out, *primals)
                for rule, t in zip(jvps, tangents, strict=False)
                if rule is not None
            ]
            if not terms:
                return out, tree.map(lambda x: instantiate(Zero.of(x)), out)
            return out, functools.reduce(lambda a, b: tree.map(add_any, a, b), terms)

        self.jvp = jvp
        self._has_rule = True

    def _constant(self, x: Tracer, argnum: int) -> Any:
        return stop_gradient(x)

    def _flat_rule(self, arguments: Arguments) -> FlatJvp:
        def flat_jvp(
            primals: Sequence[Any], tangents: Sequence[Any]
        ) -> tuple[list[Any], list[Any]]:
            ts = [SymbolicZero(t.aval) if type(t) is Zero and self.symbolic_zeros
                  else instantiate(t) for t in tangents]  # fmt: skip
            in_tree, refs = arguments.in_tree, arguments.refs
            with users_code():
                pair = self.jvp(  # type: ignore[misc]
                    *arguments.nondiff,
                    tree.unflatten(in_tree, refs.put(primals)),
                    tree.unflatten(in_tree, refs.put(ts, None)),
                )
            outs, out_ts, arguments.out_tree = self._check_rule(pair)
            return outs, out_ts

        return flat_jvp

    def _check_rule(self, pair: Any) -> tuple[list[Any], list[Any], Any]:
        """Flat results and tangents of the user's rule, checked against one another."""
        name = fun_name(self.jvp)
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            raise TypeError(
                f"the derivative rule {name} of {fun_name(self.fun)} must return a pair "
                f"(output, output tangent), it returned {describe(pair)}{at_user_line()}"
            )
        outs, out_tree = tree.flatten(pair[0])
        out_ts, t_tree = tree.flatten(pair[1], is_leaf=lambda x: type(x) is SymbolicZero)
        if out_tree != t_tree:
            raise TypeError(
                f"the derivative rule {name} of {fun_name(self.fun)} must return an output and a "
                f"tangent of one tree structure, it returned {out_tree} and {t_tree}"
                f"{at_user_line()}"
            )
        checked = []
        for x, t in zip(outs, out_ts, strict=True):
            expected = aval_of(x).to_tangent_aval()
            if type(t) is SymbolicZero or getattr(t, "dtype", None) == float0:
                checked.append(Zero(expected))
                continue
            if expected.dtype == float0:
                checked.append(Zero(expected))
                continue
            got = aval_of(t)
            if not got.matches(expected):
                raise TypeError(
                    f"the derivative rule {name} of {fun_name(self.fun)} must return a tangent of "
                    f"the output's type {expected.str_short()}, it returned {got.str_short()}"
                    f"{at_user_line()}"
                )
            checked.append(t)
        return outs, checked, out_tree


def _identity(x: Any) -> list[Any]:
    return [x]


def _no_tangent(primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[list[Any], list[Any]]:
    # Derivatives that are taken of this one see constants, too.
    return list(map(stop_gradient, primals)), [Zero.of(x) for x in primals]


def stop_gradient(x: Any) -> Any:
    """``x`` itself, seen as a constant by differentiation.

    Parameters
    ----------
    x : pytree of arrays

    Returns
    -------
    pytree of arrays

    Examples
    --------
    >>> import covector as cv
    >>> cv.grad(lambda x: x * cv.lax.stop_gradient(x))(3.0)
    Array(3., dtype=float32, weak_type=True)
    """

    def stop(leaf: Any) -> Any:
        trace = current_trace()
        if trace is eval_trace or not is_inexact(aval_of(leaf).dtype):
            return leaf
        info = debug_info(stop_gradient, "stop_gradient")
        return _call_custom_jvp(trace, _identity, _no_tangent, [leaf], info)[0]

    return tree.map(stop, x)
