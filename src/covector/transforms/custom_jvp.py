"""``custom_jvp``: functions with a forward derivative given by the user; ``stop_gradient``."""

from __future__ import annotations

import functools
from collections.abc import Callable, Hashable, Sequence
from typing import Any

from covector.core import tree
from covector.core.avals import ShapedArray, aval_of
from covector.core.dtypes import float0, is_inexact
from covector.core.errors import at_user_line, describe
from covector.core.jaxpr import ClosedJaxpr, eval_jaxpr
from covector.core.structural import add_any
from covector.core.trace import (
    EvalTrace,
    Primitive,
    Trace,
    current_trace,
    eval_trace,
    set_current_trace,
    trace_to_jaxpr,
)
from covector.transforms.arguments import (
    api_boundary,
    check_callable,
    debug_info,
    fun_name,
    index_tuple,
    name_tuple,
    positional_names,
)
from covector.transforms.jaxprs import batch_jaxpr
from covector.transforms.jvp import JVPTrace, JVPTracer, Zero, instantiate, jvp_rules
from covector.transforms.partial_eval import PartialTrace
from covector.transforms.vmap import BatchTrace, bring_dim, higher_order_rules, vmap_flat

FlatFun = Callable[..., list[Any]]
# (primals, tangents) -> (results, tangents of results); tangents may be Zero in both.
FlatJvp = Callable[[Sequence[Any], Sequence[Any]], tuple[list[Any], list[Any]]]

custom_jvp_call_p = Primitive("custom_jvp_call", multiple_results=True)


@custom_jvp_call_p.def_abstract_eval
def _avals(
    *avals: ShapedArray, call_jaxpr: ClosedJaxpr, jvp: FlatJvp, num_consts: int, name: str
) -> list[ShapedArray]:
    return call_jaxpr.out_avals


custom_jvp_call_p.def_effects(lambda params: params["call_jaxpr"].effects)


def _evaluate(args: Sequence[Any], params: dict[str, Any]) -> list[Any]:
    closed = params["call_jaxpr"]
    return eval_jaxpr(closed.jaxpr, closed.consts, *args)


custom_jvp_call_p.impl = _evaluate


def call_custom_jvp(
    trace: Trace, fun: FlatFun, jvp: FlatJvp, args: Sequence[Any], info: Any
) -> list[Any]:
    """Apply ``fun``, whose derivative is ``jvp``, under ``trace``.

    Where differentiation meets the call directly, the rule runs on the values themselves, so
    that Python conditions on concrete values work in it.
    """
    if isinstance(trace, EvalTrace):
        with set_current_trace(trace):
            return fun(*args)
    if type(trace) is JVPTrace:
        with set_current_trace(trace.parent):
            if not any(type(x) is JVPTracer and x._trace is trace for x in args):
                return call_custom_jvp(trace.parent, fun, jvp, args, info)
            outs, tangents = jvp(*trace.unpack(args))
            return [trace.pack(x, t) for x, t in zip(outs, tangents, strict=True)]
    if type(trace) is PartialTrace:
        if any(trace.is_unknown(x) for x in args):
            return fun(*args)
        with set_current_trace(trace.parent):
            return call_custom_jvp(trace.parent, fun, jvp, args, info)
    jaxpr, consts = trace_to_jaxpr(fun, [aval_of(x) for x in args], info)
    closed = ClosedJaxpr(jaxpr.replace(constvars=[], invars=[*jaxpr.constvars, *jaxpr.invars]))
    return custom_jvp_call_p.bind_params(
        [*consts, *args],
        {"call_jaxpr": closed, "jvp": jvp, "num_consts": len(consts), "name": info.func_name},
    )


def _jvp(
    primals: Sequence[Any],
    tangents: Sequence[Any],
    *,
    call_jaxpr: ClosedJaxpr,
    jvp: FlatJvp,
    num_consts: int,
    name: str,
) -> tuple[list[Any], list[Any]]:
    check_closed_over(tangents[:num_consts], name, "custom_jvp")
    return jvp(primals[num_consts:], tangents[num_consts:])


def check_closed_over(tangents: Sequence[Any], name: str, kind: str) -> None:
    """Raise an error if a value that a custom rule does not know of is differentiated by."""
    if any(type(t) is not Zero for t in tangents):
        from covector.core.errors import UnexpectedTracerError

        raise UnexpectedTracerError(
            f"Detected differentiation of the {kind} function {name} with respect to a "
            "closed-over value. Its rule says only how to differentiate by explicit arguments: "
            f"pass the value as an argument{at_user_line()}"
        )


class _BatchedJvp:
    """A rule mapped over axis 0 of the arguments marked in ``batched``."""

    __slots__ = ("jvp", "size", "axis_name", "batched")

    def __init__(
        self, jvp: FlatJvp, size: int, axis_name: Hashable, batched: tuple[bool, ...]
    ) -> None:
        self.jvp = jvp
        self.size = size
        self.axis_name = axis_name
        self.batched = batched

    def __call__(
        self, primals: Sequence[Any], tangents: Sequence[Any]
    ) -> tuple[list[Any], list[Any]]:
        nonzero = [type(t) is not Zero for t in tangents]
        n = len(primals)
        zero_out: list[Any] = []

        def fun(*args: Any) -> list[Any]:
            rest = iter(args[n:])
            ts = [next(rest) if nz else Zero.of(p) for p, nz in zip(args[:n], nonzero, strict=True)]
            outs, out_ts = self.jvp(args[:n], ts)
            zero_out[:] = [type(t) is Zero for t in out_ts]
            return [*outs, *(t for t in out_ts if type(t) is not Zero)]

        given = [*primals, *(t for t in tangents if type(t) is not Zero)]
        in_dims = [0 if b else None for b in self.batched]
        dims = in_dims + [d for d, nz in zip(in_dims, nonzero, strict=True) if nz]
        outs, out_dims = vmap_flat(fun, self.size, given, dims, self.axis_name)
        moved = [bring_dim(x, self.size, d, 0) for x, d in zip(outs, out_dims, strict=True)]
        k = len(zero_out)
        rest = iter(moved[k:])
        return moved[:k], [
            Zero.of(x) if z else next(rest) for x, z in zip(moved[:k], zero_out, strict=True)
        ]


def _batch(
    trace: BatchTrace, args: Sequence[Any], dims: Sequence[int | None], params: dict[str, Any]
) -> tuple[list[Any], list[int | None]]:
    size, name, n = trace.axis_size, trace.axis_name, params["num_consts"]
    batched = tuple(d is not None for d in dims)
    closed = params["call_jaxpr"]
    force = (True,) * len(closed.out_avals)
    closed, _ = batch_jaxpr(closed, size, name, batched, force)
    moved = [x if d is None else bring_dim(x, size, d, 0) for x, d in zip(args, dims, strict=True)]
    jvp = _BatchedJvp(params["jvp"], size, name, batched[n:])
    outs = custom_jvp_call_p.bind_params(moved, {**params, "call_jaxpr": closed, "jvp": jvp})
    return outs, [0] * len(outs)


jvp_rules[custom_jvp_call_p] = _jvp
higher_order_rules[custom_jvp_call_p] = _batch


# --- what users call ---------------------------------------------------------------------


def positional(fun: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """All arguments by position, defaults filled in."""
    if not kwargs and not getattr(fun, "__defaults__", None):
        return args
    import inspect

    bound = inspect.signature(fun).bind(*args, **kwargs)
    bound.apply_defaults()
    if bound.kwargs:
        names = ", ".join(bound.kwargs)
        raise TypeError(
            f"{fun_name(fun)} has custom derivative rules, which take positional arguments; the "
            f"keyword-only arguments {names} cannot be passed{at_user_line()}"
        )
    return bound.args


def resolve_nondiff(fun: Callable[..., Any], nums: Any, names: Any) -> tuple[int, ...]:
    """Numbers of the arguments that are not differentiated, from numbers and names."""
    out = list(index_tuple(nums))
    names = name_tuple(names)
    if names:
        found = positional_names(fun)
        params = found[0] if found else []
        for name in names:
            if name not in params:
                raise ValueError(
                    f"nondiff_argnames names {name!r}, which is not an argument of {fun_name(fun)}"
                )
            out.append(params.index(name))
    return tuple(sorted(set(out)))


class custom_jvp:
    """A function with a rule of its own for forward-mode differentiation.

    Parameters
    ----------
    fun : callable
    nondiff_argnums : sequence of int
        Arguments not differentiated, for example functions; the rule gets them first.
    nondiff_argnames : sequence of str

    Examples
    --------
    >>> import covector as cv
    >>> @cv.custom_jvp
    ... def f(x):
    ...     return cv.numpy.sin(x)
    >>> @f.defjvp
    ... def f_jvp(primals, tangents):
    ...     (x,), (t,) = primals, tangents
    ...     return f(x), 10 * t
    >>> cv.grad(f)(0.0)
    Array(10., dtype=float32, weak_type=True)
    """

    def __init__(
        self,
        fun: Callable[..., Any],
        nondiff_argnums: Sequence[int] = (),
        nondiff_argnames: Sequence[str] = (),
    ) -> None:
        check_callable(fun, "custom_jvp")
        functools.update_wrapper(self, fun)
        self.fun = fun
        self.nondiff_argnums = resolve_nondiff(fun, nondiff_argnums, nondiff_argnames)
        self.jvp: Callable[..., Any] | None = None
        self.symbolic_zeros = False

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else functools.partial(self, instance)

    def defjvp(self, jvp: Callable[..., Any], symbolic_zeros: bool = False) -> Callable[..., Any]:
        """Set the rule: ``jvp(*nondiff_args, primals, tangents) -> (out, out_tangent)``."""
        self.jvp = jvp
        self.symbolic_zeros = symbolic_zeros
        return jvp

    def defjvps(self, *jvps: Callable[..., Any] | None) -> None:
        """Set one rule per argument: ``jvp(tangent, out, *primals) -> out_tangent``.

        The contributions are summed; None stands for no dependence.
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

    @api_boundary
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self.jvp is None:
            raise AttributeError(
                f"no derivative rule is defined for the custom_jvp function {fun_name(self.fun)}: "
                f"use its defjvp{at_user_line()}"
            )
        args = positional(self.fun, args, kwargs)
        trace = current_trace()
        if trace is eval_trace:
            return self.fun(*args)
        n = len(args)
        skip = {i % n for i in self.nondiff_argnums if -n <= i < n}
        dyn = tuple([x for i, x in enumerate(args) if i not in skip])
        nondiff = [args[i] for i in sorted(skip)]
        flat, in_tree = tree.flatten(dyn)
        out_tree: Any = None

        def flat_fun(*leaves: Any) -> list[Any]:
            nonlocal out_tree
            rest = iter(tree.unflatten(in_tree, leaves))
            full = [x if i in skip else next(rest) for i, x in enumerate(args)]
            outs, out_tree = tree.flatten(self.fun(*full))
            return outs

        def flat_jvp(
            primals: Sequence[Any], tangents: Sequence[Any]
        ) -> tuple[list[Any], list[Any]]:
            nonlocal out_tree
            ts = [SymbolicZero(t.aval) if type(t) is Zero and self.symbolic_zeros
                  else instantiate(t) for t in tangents]  # fmt: skip
            pair = self.jvp(  # type: ignore[misc]
                *nondiff, tree.unflatten(in_tree, primals), tree.unflatten(in_tree, ts)
            )
            outs, out_ts, out_tree = self._check_rule(pair)
            return outs, out_ts

        outs = call_custom_jvp(trace, flat_fun, flat_jvp, flat, debug_info(self.fun, "custom_jvp"))
        return tree.unflatten(out_tree, outs)

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


class SymbolicZero:
    """A tangent known to be zero, as rules with ``symbolic_zeros=True`` get it."""

    __slots__ = ("aval",)

    def __init__(self, aval: ShapedArray) -> None:
        self.aval = aval

    @property
    def shape(self) -> tuple[int, ...]:
        return self.aval.shape

    @property
    def dtype(self) -> Any:
        return self.aval.dtype

    def __repr__(self) -> str:
        return f"SymbolicZero({self.aval.str_short()})"


def _identity(x: Any) -> list[Any]:
    return [x]


def _no_tangent(primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[list[Any], list[Any]]:
    return list(primals), [Zero.of(x) for x in primals]


def stop_gradient(x: Any) -> Any:
    """``x`` itself, seen as a constant by differentiation.

    Parameters
    ----------
    x : pytree of arrays

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
        return call_custom_jvp(trace, _identity, _no_tangent, [leaf], info)[0]

    return tree.map(stop, x)
