"""Functions with a rule of their own for vectorisation: `custom_vmap`, `sequential_vmap`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from covector.control_flow.custom_rules import _positional
from covector.control_flow.map import map as lax_map
from covector.core import tree
from covector.core.avals import aval_of, to_array
from covector.core.errors import UnexpectedTracerError, at_user_line
from covector.core.jaxpr import ClosedJaxpr, eval_jaxpr
from covector.core.places import users_code
from covector.core.rules import (
    UndefinedPrimal,
    Zero,
    higher_order_rules,
    jvp_rules,
    partial_eval_rules,
    transpose_rules,
)
from covector.core.structural import bring_dim, fill_zeros, instantiate, mapped_first
from covector.core.trace import (
    EvalTrace,
    Primitive,
    Tracer,
    close_over,
    current_trace,
    trace_to_jaxpr,
)
from covector.transforms.arguments import (
    api_boundary,
    check_arrays,
    check_callable,
    check_results,
    debug_info,
    fun_name,
    positional_names,
    wraps,
)
from covector.transforms.jaxprs import jvp_jaxpr
from covector.transforms.jvp import jvp_flat
from covector.transforms.partial_eval import PartialTrace
from covector.transforms.transpose import backward_pass
from covector.transforms.vmap import BatchTrace

# rule(axis_size, which arguments are mapped, *flat arguments) -> results, which are mapped.
FlatRule = Callable[..., tuple[list[Any], list[bool]]]

custom_vmap_call_p = Primitive("custom_vmap_call", multiple_results=True, call_param="call_jaxpr")
custom_vmap_call_p.def_abstract_eval(lambda *avals, call_jaxpr, **params: call_jaxpr.out_avals)
custom_vmap_call_p.def_effects(lambda params: params["call_jaxpr"].effects)


def _evaluate(args: Sequence[Any], params: dict[str, Any]) -> list[Any]:
    closed = params["call_jaxpr"]
    return eval_jaxpr(closed.jaxpr, closed.consts, *args)


custom_vmap_call_p.impl = _evaluate


def _batch(
    trace: BatchTrace, args: Sequence[Any], dims: Sequence[int | None], params: dict[str, Any]
) -> tuple[list[Any], list[int | None]]:
    batched = [d is not None for d in dims]
    outs, mapped = params["rule"](trace.axis_size, batched, *mapped_first(args, dims))
    return outs, [0 if m else None for m in mapped]


def _jvp(
    primals: Sequence[Any], tangents: Sequence[Any], *, call_jaxpr: ClosedJaxpr, rule: FlatRule
) -> tuple[list[Any], list[Any]]:
    nonzero = tuple(type(t) is not Zero for t in tangents)
    closed, nonzero_out = jvp_jaxpr(call_jaxpr, nonzero)
    outs = custom_vmap_call_p.bind(
        *primals, *(t for t in tangents if type(t) is not Zero),
        call_jaxpr=closed, rule=_derivative(rule, nonzero, nonzero_out),
    )  # fmt: skip
    n = len(nonzero_out)
    return outs[:n], fill_zeros(outs[:n], nonzero_out, outs[n:])


def _derivative(rule: FlatRule, nonzero: Sequence[bool], nonzero_out: Sequence[bool]) -> FlatRule:
    """The rule of the forward derivative: the forward derivative of the rule."""
    n = len(nonzero)

    def of_both(size: int, batched: Sequence[bool], *args: Any) -> tuple[list[Any], list[bool]]:
        given = iter(zip(args[n:], batched[n:], strict=True))
        primals, tangents, mapped = [], [], []
        for x, b, nz in zip(args[:n], batched[:n], nonzero, strict=True):
            t, tb = next(given) if nz else (Zero.of(x), b)
            if nz and b != tb:  # mapped together
                x, t = (bring_dim(v, size, 0 if m else None, 0) for v, m in ((x, b), (t, tb)))
            primals.append(x)
            tangents.append(t)
            mapped.append(b or tb)
        out_mapped: list[bool] = []

        def fun(*xs: Any) -> list[Any]:
            outs, out_mapped[:] = rule(size, mapped, *xs)
            return outs

        outs, out_tangents = jvp_flat(fun, primals, tangents)
        kept = [instantiate(t) for t, nz in zip(out_tangents, nonzero_out, strict=True) if nz]
        kept_mapped = [m for m, nz in zip(out_mapped, nonzero_out, strict=True) if nz]
        return [*outs, *kept], [*out_mapped, *kept_mapped]

    return of_both


def _partial_eval(trace: PartialTrace, args: Sequence[Any], params: dict[str, Any]) -> list[Any]:
    return _evaluate(args, params)


def _transpose(cts: Sequence[Any], *args: Any, **params: Any) -> list[Any]:
    closed = params["call_jaxpr"]
    found = backward_pass(closed.jaxpr, closed.consts, args, cts)
    return [ct if type(x) is UndefinedPrimal else None for x, ct in zip(args, found, strict=True)]


higher_order_rules[custom_vmap_call_p] = _batch
jvp_rules[custom_vmap_call_p] = _jvp
partial_eval_rules[custom_vmap_call_p] = _partial_eval
transpose_rules[custom_vmap_call_p] = _transpose


class custom_vmap:
    """A function with a rule of its own for `vmap`.

    Parameters
    ----------
    fun : callable

    Notes
    -----
    Forward derivatives under `vmap` are those of the rule, and so are those of a mapped function.
    ``vmap(grad(fun))`` differentiates ``fun``, and maps its operations one by one.

    Examples
    --------
    >>> import covector as cv
    >>> import covector.numpy as np
    >>> @cv.custom_batching.custom_vmap
    ... def add(x, y):
    ...     return x + y
    >>> @add.def_vmap
    ... def rule(axis_size, in_batched, x, y):
    ...     print(f"{axis_size} pairs, mapped: {in_batched}")
    ...     return x + y, True
    >>> cv.vmap(add, in_axes=(0, None))(np.arange(3), np.array(10))
    3 pairs, mapped: [True, False]
    Array([10, 11, 12], dtype=int32)
    """

    fun: Callable[..., Any]
    vmap_rule: Callable[..., tuple[Any, Any]] | None

    def __init__(self, fun: Callable[..., Any]) -> None:
        check_callable(fun, "custom_vmap")
        wraps(fun)(self)
        self.fun = fun
        self.vmap_rule = None

    def def_vmap(self, vmap_rule: Callable[..., tuple[Any, Any]]) -> Callable[..., tuple[Any, Any]]:
        """Set the rule: ``rule(axis_size, in_batched, *args) -> (out, out_batched)``.

        Parameters
        ----------
        vmap_rule : callable
            ``in_batched`` is a list with a pytree of bools for each argument: which of its arrays
            are mapped, over axis 0. ``out_batched`` says that of the result, in its structure.

        Returns
        -------
        callable
            ``vmap_rule``, so that this serves as a decorator.

        Examples
        --------
        >>> import covector as cv
        >>> f = cv.custom_batching.custom_vmap(lambda x: x)
        >>> rule = f.def_vmap(lambda size, in_batched, x: (100 * x, True))
        >>> cv.vmap(f)(cv.numpy.arange(3))
        Array([  0, 100, 200], dtype=int32)
        """
        check_callable(vmap_rule, "def_vmap")
        self.vmap_rule = vmap_rule
        return vmap_rule

    @api_boundary
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The value of the function."""
        name = fun_name(self.fun)
        if self.vmap_rule is None:
            raise AttributeError(
                f"No batching rule defined for custom_vmap function {name}: give it one with "
                f"def_vmap{at_user_line()}"
            )
        args = _positional(self.fun, args, kwargs)
        flat, in_tree = tree.flatten(args)
        if isinstance(current_trace(), EvalTrace):
            return self.fun(*args)
        names = positional_names(self.fun)
        avals = check_arrays(flat, lambda: names[0] if names else (), "custom_vmap")
        out_tree: Any = None

        def flat_fun(*leaves: Any) -> list[Any]:
            nonlocal out_tree
            outs, out_tree = tree.flatten(self.fun(*tree.unflatten(in_tree, leaves)))
            check_results(outs, out_tree, self.fun, "custom_vmap")
            return outs

        info = debug_info(self.fun, "custom_vmap", args, {})
        closed, hoisted = close_over(*trace_to_jaxpr(flat_fun, avals, info))
        rule = _flat_rule(self.vmap_rule, name, in_tree, out_tree, len(hoisted))
        outs = custom_vmap_call_p.bind(*hoisted, *flat, call_jaxpr=closed, rule=rule)
        return tree.unflatten(out_tree, outs)


def _flat_rule(
    rule: Callable[..., Any], name: str, in_tree: Any, out_tree: Any, num_hoisted: int
) -> FlatRule:
    """The user's rule, of flat arguments; ``num_hoisted`` values stand before them."""

    def flat(size: int, batched: Sequence[bool], *args: Any) -> tuple[list[Any], list[bool]]:
        if any(batched[:num_hoisted]):
            raise UnexpectedTracerError(
                f"the custom_vmap function {name} closes over a mapped value, of which its rule "
                f"says nothing: pass it as an argument{at_user_line()}"
            )
        which = list(tree.unflatten(in_tree, batched[num_hoisted:]))
        arrays = [x if isinstance(x, Tracer) else to_array(x) for x in args[num_hoisted:]]
        with users_code():
            found = rule(size, which, *tree.unflatten(in_tree, arrays))
        what = f"the vmap rule {fun_name(rule)} of {name}"
        if not isinstance(found, (tuple, list)) or len(found) != 2:
            raise ValueError(
                f"{what} must return a pair: the result, and which of its arrays are mapped"
                f"{at_user_line()}"
            )
        outs, got_tree = tree.flatten(found[0])
        mapped, mapped_tree = tree.flatten(found[1])
        if mapped_tree != got_tree:
            raise ValueError(
                "structure of output value and output batching specification returned by "
                f"{what} do not match: {got_tree} and {mapped_tree}{at_user_line()}"
            )
        if got_tree != out_tree:
            raise ValueError(
                f"structure of output returned by {what} does not match that of the function: "
                f"{got_tree} and {out_tree}{at_user_line()}"
            )
        outs = [x if isinstance(x, Tracer) else to_array(x) for x in outs]
        for x, m in zip(outs, mapped, strict=True):
            if m and aval_of(x).shape[:1] != (size,):
                raise ValueError(
                    f"{what} says that a result of type {aval_of(x).str_short()} is mapped: its "
                    f"axis 0 must be of size {size}{at_user_line()}"
                )
        return outs, [bool(m) for m in mapped]

    return flat


def sequential_vmap(f: Callable[..., Any]) -> custom_vmap:
    """A function that `vmap` calls for one element after the other, in a loop.

    Parameters
    ----------
    f : callable

    Returns
    -------
    custom_vmap

    Examples
    --------
    >>> import covector as cv
    >>> @cv.custom_batching.sequential_vmap
    ... def show(x):
    ...     cv.debug.print("{}", x)
    ...     return x + 1
    >>> cv.vmap(show)(cv.numpy.arange(2))
    0
    1
    Array([1, 2], dtype=int32)
    """
    mapped_fun = custom_vmap(f)

    def rule(axis_size: int, in_batched: Sequence[Any], *args: Any) -> tuple[Any, Any]:
        leaves, in_tree = tree.flatten(args)
        batched = tree.leaves(in_batched)

        def one(part: list[Any]) -> Any:
            rest = iter(part)
            both = [next(rest) if b else x for x, b in zip(leaves, batched, strict=True)]
            return mapped_fun(*tree.unflatten(in_tree, both))

        out = lax_map(one, [x for x, b in zip(leaves, batched, strict=True) if b])
        return out, tree.map(lambda _: True, out)

    mapped_fun.def_vmap(rule)
    return mapped_fun
