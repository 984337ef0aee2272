"""What functions with derivative rules of their own share: calls, arguments, mapped rules."""

from __future__ import annotations

import functools
from collections.abc import Callable, Hashable, Sequence
from typing import Any, ClassVar

from covector.core import tree
from covector.core.avals import ShapedArray, aval_of
from covector.core.errors import UnexpectedTracerError, at_user_line
from covector.core.jaxpr import ClosedJaxpr, eval_jaxpr
from covector.core.rules import Zero, higher_order_rules, jvp_rules
from covector.core.structural import mapped_first
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
from covector.transforms.jvp import JVPTrace, JVPTracer
from covector.transforms.partial_eval import PartialTrace
from covector.transforms.vmap import BatchTrace

FlatFun = Callable[..., list[Any]]


# (rule, primals, tangents, name) -> (results, tangents of results); tangents may be Zero in both.
Differentiate = Callable[[Any, Sequence[Any], Sequence[Any], str], tuple[list[Any], list[Any]]]


class SymbolicZero:
    """A tangent known to be zero, as rules with ``symbolic_zeros=True`` get it.

    It has ``shape`` and ``dtype``, but cannot be computed with: look for it with ``type(t) is``.

    Examples
    --------
    >>> import covector as cv
    >>> f = cv.custom_jvp(lambda x, y: x * y)
    >>> def rule(primals, tangents):
    ...     print(tangents[1])
    ...     return f(*primals), tangents[0] * primals[1]
    >>> _ = f.defjvp(rule, symbolic_zeros=True)
    >>> cv.grad(f)(2.0, 3.0)
    SymbolicZero(float32[])
    Array(3., dtype=float32, weak_type=True)
    """

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


# --- calls and their transformations -----------------------------------------------------


class MappedRule:
    """A flat rule mapped over axis 0 of the arguments marked in ``batched``."""

    __slots__ = ("rule", "size", "axis_name", "batched")

    def __init__(
        self, rule: Any, size: int, axis_name: Hashable, batched: tuple[bool, ...]
    ) -> None:
        self.rule = rule
        self.size = size
        self.axis_name = axis_name
        self.batched = batched


def _evaluate(args: Sequence[Any], params: dict[str, Any]) -> list[Any]:
    closed = params["call_jaxpr"]
    return eval_jaxpr(closed.jaxpr, closed.consts, *args)


class CustomCall:
    """How functions of one kind of rule are called, and how transformations go through a call.

    Attributes
    ----------
    kind : str
        ``custom_jvp`` or ``custom_vjp``.
    param : str
        Parameter of the primitive that holds the rule, a function of flat arguments.
    differentiate : callable
        Applies a rule.
    mapped : callable
        A `MappedRule` for the rules.
    primitive : Primitive
        Takes ``num_consts`` values that the function closes over before its arguments.
    """

    __slots__ = ("kind", "param", "differentiate", "mapped", "primitive")

    def __init__(
        self, kind: str, param: str, differentiate: Differentiate, mapped: type[MappedRule]
    ) -> None:
        self.kind = kind
        self.param = param
        self.differentiate = differentiate
        self.mapped = mapped
        self.primitive = prim = Primitive(
            f"{kind}_call", multiple_results=True, call_param="call_jaxpr"
        )
        prim.def_abstract_eval(lambda *avals, call_jaxpr, **params: call_jaxpr.out_avals)
        prim.def_effects(lambda params: params["call_jaxpr"].effects)
        prim.impl = _evaluate
        jvp_rules[prim] = self._jvp
        higher_order_rules[prim] = self._batch

    def __call__(
        self, trace: Trace, fun: FlatFun, rule: Any, args: Sequence[Any], info: Any
    ) -> list[Any]:
        """Apply ``fun``, whose derivative is ``rule``, under ``trace``.

        Where differentiation meets the call directly, the rule runs on the values themselves, so
        that Python conditions on concrete values work in it.
        """
        if isinstance(trace, EvalTrace):
            with set_current_trace(trace):
                return fun(*args)
        if type(trace) is JVPTrace:
            with set_current_trace(trace.parent):
                if not any(type(x) is JVPTracer and x._trace is trace for x in args):
                    return self(trace.parent, fun, rule, args, info)
                outs, tangents = self.differentiate(rule, *trace.unpack(args), info.func_name)
                return [trace.pack(x, t) for x, t in zip(outs, tangents, strict=True)]
        if type(trace) is PartialTrace:
            if any(trace.is_unknown(x) for x in args):
                return fun(*args)
            with set_current_trace(trace.parent):
                return self(trace.parent, fun, rule, args, info)
        jaxpr, consts = trace_to_jaxpr(fun, [aval_of(x) for x in args], info)
        closed = ClosedJaxpr(jaxpr.replace(constvars=[], invars=[*jaxpr.constvars, *jaxpr.invars]))
        return self.primitive.bind_params(
            [*consts, *args],
            {
                "call_jaxpr": closed,
                self.param: rule,
                "num_consts": len(consts),
                "name": info.func_name,
            },
        )

    def _jvp(
        self, primals: Sequence[Any], tangents: Sequence[Any], **params: Any
    ) -> tuple[list[Any], list[Any]]:
        n, name = params["num_consts"], params["name"]
        if any(type(t) is not Zero for t in tangents[:n]):
            raise UnexpectedTracerError(
                f"Detected differentiation of the {self.kind} function {name} with respect to a "
                "closed-over value. Its rule says only how to differentiate by explicit "
                f"arguments: pass the value as an argument{at_user_line()}"
            )
        return self.differentiate(params[self.param], primals[n:], tangents[n:], name)

    def _batch(
        self,
        trace: BatchTrace,
        args: Sequence[Any],
        dims: Sequence[int | None],
        params: dict[str, Any],
    ) -> tuple[list[Any], list[int | None]]:
        size, name, n = trace.axis_size, trace.axis_name, params["num_consts"]
        batched = tuple(d is not None for d in dims)
        closed = params["call_jaxpr"]
        closed, _ = batch_jaxpr(closed, size, name, batched, (True,) * len(closed.out_avals))
        rule = self.mapped(params[self.param], size, name, batched[n:])
        outs = self.primitive.bind_params(
            mapped_first(args, dims), {**params, "call_jaxpr": closed, self.param: rule}
        )
        return outs, [0] * len(outs)


# --- functions and their arguments -------------------------------------------------------


def _positional(fun: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
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


def _resolve_nondiff(fun: Callable[..., Any], nums: Any, names: Any) -> tuple[int, ...]:
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


class Arguments:
    """The arguments of one call of ``fun``, split into those differentiated and the others.

    Attributes
    ----------
    nondiff : list
        The arguments not differentiated.
    leaves, in_tree
        Those that are, flat.
    out_tree : PyTreeDef or None
        Structure of the result, known after a call of the function or its rule.
    """

    __slots__ = ("fun", "args", "skip", "nondiff", "leaves", "in_tree", "out_tree")

    def __init__(
        self, fun: Callable[..., Any], args: tuple[Any, ...], nondiff_argnums: tuple[int, ...]
    ) -> None:
        self.fun = fun
        self.args = args
        n = len(args)
        self.skip = skip = {i % n for i in nondiff_argnums if -n <= i < n}
        self.nondiff = [args[i] for i in sorted(skip)]
        if skip:
            args = tuple([x for i, x in enumerate(args) if i not in skip])
        self.leaves, self.in_tree = tree.flatten(args)
        self.out_tree: Any = None

    def with_leaves(self, leaves: Sequence[Any]) -> Sequence[Any]:
        """All arguments, with other ``leaves``."""
        given = tree.unflatten(self.in_tree, leaves)
        if not self.skip:
            return given
        rest = iter(given)
        return [x if i in self.skip else next(rest) for i, x in enumerate(self.args)]

    def call(self, *leaves: Any) -> list[Any]:
        """Flat results of the function."""
        outs, self.out_tree = tree.flatten(self.fun(*self.with_leaves(leaves)))
        return outs


class CustomFunction:
    """A function with a rule of its own: the base of ``custom_jvp`` and ``custom_vjp``."""

    _call: ClassVar[CustomCall]
    _definer: ClassVar[str]  # the method that defines the rule
    _rules: ClassVar[tuple[str, ...]]  # the attributes it sets

    def __init__(
        self,
        fun: Callable[..., Any],
        nondiff_argnums: Sequence[int] = (),
        nondiff_argnames: Sequence[str] = (),
    ) -> None:
        check_callable(fun, self._call.kind)
        functools.update_wrapper(self, fun)
        self.fun = fun
        self.nondiff_argnums = _resolve_nondiff(fun, nondiff_argnums, nondiff_argnames)
        for name in self._rules:
            setattr(self, name, None)
        self._has_rule = False
        self.symbolic_zeros = False

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else functools.partial(self, instance)

    @api_boundary
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if not self._has_rule:
            raise AttributeError(
                f"no derivative rule is defined for the {self._call.kind} function "
                f"{fun_name(self.fun)}: use its {self._definer}{at_user_line()}"
            )
        args = _positional(self.fun, args, kwargs)
        trace = current_trace()
        if trace is eval_trace:
            return self.fun(*args)
        arguments = Arguments(self.fun, args, self.nondiff_argnums)
        outs = self._call(
            trace,
            arguments.call,
            self._flat_rule(arguments),
            arguments.leaves,
            debug_info(self.fun, self._call.kind),
        )
        return tree.unflatten(arguments.out_tree, outs)

    def _flat_rule(self, arguments: Arguments) -> Any:
        """The rule as a function of flat arguments, for one call."""
        raise NotImplementedError
