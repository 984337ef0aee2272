"""What functions with derivative rules of their own share: calls, arguments, mapped rules."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Hashable, Sequence
from typing import Any, ClassVar

from covector.core import tree
from covector.core.avals import ShapedArray, aval_of
from covector.core.errors import UnexpectedTracerError, at_user_line
from covector.core.jaxpr import ClosedJaxpr, Var, eval_jaxpr
from covector.core.references import Reference, refuse_not_read, values_of, write_back
from covector.core.rules import (
    UndefinedPrimal,
    Zero,
    higher_order_rules,
    jvp_rules,
    partial_eval_rules,
    transpose_rules,
)
from covector.core.structural import mapped_first
from covector.core.trace import (
    EvalTrace,
    JaxprTrace,
    Primitive,
    Trace,
    Tracer,
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
    in_range,
    index_tuple,
    name_tuple,
    others,
    positional_names,
)
from covector.transforms.jaxprs import batch_jaxpr
from covector.transforms.jvp import JVPTrace, JVPTracer
from covector.transforms.partial_eval import PartialTrace
from covector.transforms.references import GivenRefs
from covector.transforms.transpose import backward_pass
from covector.transforms.vmap import BatchTrace, bring, placed_along

FlatFun = Callable[..., list[Any]]
Dims = Sequence[int | None]


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

    @staticmethod
    def from_primal_value(val: Any) -> SymbolicZero:
        """The zero tangent of ``val``."""
        return SymbolicZero(aval_of(val).to_tangent_aval())

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
    """A flat rule mapped over axis 0 of the arguments marked in ``batched``.

    Its results are mapped where ``out_batched`` says so.
    """

    __slots__ = ("rule", "size", "axis_name", "batched", "out_batched")

    def __init__(
        self,
        rule: Any,
        size: int,
        axis_name: Hashable,
        batched: tuple[bool, ...],
        out_batched: tuple[bool, ...],
    ) -> None:
        self.rule = rule
        self.size = size
        self.axis_name = axis_name
        self.batched = batched
        self.out_batched = out_batched

    def placed(self, outs: Sequence[Any], dims: Dims, wanted: Sequence[bool]) -> list[Any]:
        """Results with their mapped axes in front, where they are ``wanted``."""
        if any(d is not None and not w for d, w in zip(dims, wanted, strict=True)):
            raise TypeError(
                "a custom derivative rule under vmap gives a value or a tangent that depends on "
                "mapped arguments for a result that the function computes from unmapped ones"
                f"{at_user_line()}"
            )
        return [
            bring(x, self.size, self.axis_name, d, 0) if w else x
            for x, d, w in zip(outs, dims, wanted, strict=True)
        ]

    def mapped_avals(self, avals: Sequence[ShapedArray]) -> list[ShapedArray]:
        """Types of the arguments, from those of one element."""
        return [
            a.stacked(self.size, placed_along(self.axis_name)) if b else a
            for a, b in zip(avals, self.batched, strict=True)
        ]

    def results_mapped(self, avals: Sequence[ShapedArray]) -> list[bool]:
        """Which results the rule makes mapped, for elements of arguments of types ``avals``."""
        raise NotImplementedError


class ClosedRule:
    """A rule that takes the values which it or its function closes over before its arguments.

    Those values may be tracers of transformations that have ended when the rule runs: it sees the
    values it is given in their place.

    Attributes
    ----------
    sees_call : bool
        Whether it sees references as they were in the call, or as they are when it runs.
    """

    __slots__ = ("rule", "values")
    sees_call: ClassVar[bool] = True

    def __init__(self, rule: Any, values: Sequence[Any]) -> None:
        self.rule = rule
        self.values = values

    def run(self, fun: FlatFun, args: Sequence[Any], given: Sequence[Any]) -> list[Any]:
        """``fun(*args)``, which closes over `values`, with those ``given`` in their place."""
        both = list(zip(self.values, given, strict=True))
        pairs = [(v, x) for v, x in both if isinstance(v, Tracer)]
        refs = [(v, x) for v, x in both if isinstance(v, Reference) and self.sees_call]
        if not pairs and not refs:
            return fun(*args)
        trace = JaxprTrace(current_trace())
        trace.consts.update({id(v): (Var(v.aval), x) for v, x in pairs})
        for ref, x in refs:
            trace.capture(ref, x)
        written: list[Reference] = []
        # Traces inside may meet them as well, and hand them on to this one.
        ended = {v._trace for v, _ in pairs if not v._trace.alive}
        leaves = [trace.new_arg(aval_of(x)) for x in args]
        try:
            for t in ended:
                t.alive = True
            with set_current_trace(trace):
                jaxpr, consts = trace.finish(fun(*leaves), written)
        finally:
            trace.alive = False
            for t in ended:
                t.alive = False
        return write_back(written, eval_jaxpr(jaxpr, values_of(consts), *args))


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
    mapped, closed : callable
        The `MappedRule` and the `ClosedRule` for the rules.
    primitive : Primitive
        Takes ``num_consts`` values that the function closes over before its arguments.
    """

    __slots__ = ("kind", "param", "differentiate", "mapped", "closed", "primitive")

    def __init__(
        self,
        kind: str,
        param: str,
        differentiate: Differentiate,
        mapped: type[MappedRule],
        closed: type[ClosedRule],
    ) -> None:
        self.kind = kind
        self.param = param
        self.differentiate = differentiate
        self.mapped = mapped
        self.closed = closed
        self.primitive = prim = Primitive(
            f"{kind}_call", multiple_results=True, call_param="call_jaxpr"
        )
        prim.def_abstract_eval(lambda *avals, call_jaxpr, **params: call_jaxpr.out_avals)
        prim.def_effects(lambda params: params["call_jaxpr"].effects)
        prim.impl = _evaluate
        jvp_rules[prim] = self._jvp
        higher_order_rules[prim] = self._batch
        partial_eval_rules[prim] = _partial_eval
        transpose_rules[prim] = _transpose

    def __call__(
        self,
        trace: Trace,
        fun: FlatFun,
        rule: Any,
        args: Sequence[Any],
        info: Any,
        hidden: Sequence[Tracer] = (),
    ) -> list[Any]:
        """Apply ``fun``, whose derivative is ``rule``, under ``trace``.

        Where differentiation meets the call directly, the rule runs on the values themselves, so
        that Python conditions on concrete values work in it. ``hidden`` are tracers that the
        rule may use whether or not ``fun`` does.
        """
        if isinstance(trace, EvalTrace):
            with set_current_trace(trace):
                return fun(*args)
        if type(trace) is JVPTrace:
            with set_current_trace(trace.parent):
                if not any(type(x) is JVPTracer and x._trace is trace for x in args):
                    return self(trace.parent, fun, rule, args, info, hidden)
                outs, tangents = self.differentiate(rule, *trace.unpack(args), info.func_name)
                return [trace.pack(x, t) for x, t in zip(outs, tangents, strict=True)]
        if type(trace) is PartialTrace:
            if any(trace.is_unknown(x) for x in args):
                return fun(*args)
            with set_current_trace(trace.parent):
                return self(trace.parent, fun, rule, args, info, hidden)
        written: list[Reference] = []
        jaxpr, consts = trace_to_jaxpr(fun, [aval_of(x) for x in args], info, written)
        refuse_not_read(written, f"{info.func_name}, which has derivative rules and writes to it")
        unread = [x for x in hidden if not any(x is c for c in consts)]
        invars = [*jaxpr.constvars, *(Var(x.aval) for x in unread), *jaxpr.invars]
        values = [*consts, *unread]
        return self.primitive.bind_params(
            [*values_of(values), *args],
            {
                "call_jaxpr": ClosedJaxpr(jaxpr.replace(constvars=[], invars=invars)),
                self.param: self.closed(rule, values) if values else rule,
                "num_consts": len(values),
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
        return self.differentiate(params[self.param], primals, tangents, name)

    def _batch(
        self,
        trace: BatchTrace,
        args: Sequence[Any],
        dims: Sequence[int | None],
        params: dict[str, Any],
    ) -> tuple[list[Any], list[int | None]]:
        size, name = trace.axis_size, trace.axis_name
        batched = tuple(d is not None for d in dims)
        closed = params["call_jaxpr"]
        in_avals = closed.in_avals
        small, found = batch_jaxpr(closed, size, name, batched)
        mapped = tuple(found)
        rule = params[self.param]
        if not all(mapped):
            # A result and its tangent are mapped together: the rule has a say, too.
            probe = _probe(self.mapped(rule, size, name, batched, mapped), in_avals, mapped)
            mapped = tuple(a or b for a, b in zip(mapped, probe, strict=True))
            small, _ = batch_jaxpr(closed, size, name, batched, mapped)
        outs = self.primitive.bind_params(
            mapped_first(args, dims),
            {
                **params,
                "call_jaxpr": small,
                self.param: self.mapped(rule, size, name, batched, mapped),
            },
        )
        return outs, [0 if b else None for b in mapped]


class _Probes(threading.local):
    """How many rules are being looked at: they may apply their own functions."""

    depth = 0


_probes = _Probes()
_MAX_PROBES = 2


def _probe(
    rule: MappedRule, avals: Sequence[ShapedArray], of_function: Sequence[bool]
) -> Sequence[bool]:
    """Which results ``rule`` makes mapped; deep inside of rules, which its function does."""
    if _probes.depth == _MAX_PROBES:
        return of_function
    _probes.depth += 1
    try:
        return rule.results_mapped(avals)
    finally:
        _probes.depth -= 1


def _partial_eval(trace: PartialTrace, args: Sequence[Any], params: dict[str, Any]) -> list[Any]:
    # What depends on tangents has been differentiated: it is applied like any function.
    closed = params["call_jaxpr"]
    return eval_jaxpr(closed.jaxpr, closed.consts, *args)


def _transpose(cts: Sequence[Any], *args: Any, **params: Any) -> list[Any]:
    closed = params["call_jaxpr"]
    found = backward_pass(closed.jaxpr, closed.consts, args, cts)
    return [ct if type(x) is UndefinedPrimal else None for x, ct in zip(args, found, strict=True)]


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
        Those that are, flat, and their structure, to which ``refs`` belong, too.
    refs : GivenRefs
        The references among them, which the function sees as if it closed over them.
    out_tree : PyTreeDef or None
        Structure of the result, known after a call of the function or its rule.
    """

    __slots__ = ("fun", "args", "skip", "nondiff", "leaves", "in_tree", "refs", "out_tree")

    def __init__(
        self, fun: Callable[..., Any], args: tuple[Any, ...], nondiff_argnums: tuple[int, ...]
    ) -> None:
        self.fun = fun
        self.args = args
        self.skip = skip = in_range(nondiff_argnums, len(args))
        self.nondiff = [args[i] for i in sorted(skip)]
        if skip:
            args = others(args, skip)
        flat, self.in_tree = tree.flatten(args)
        self.refs = GivenRefs(flat)
        self.leaves = self.refs.others(flat)
        self.out_tree: Any = None

    def with_leaves(self, leaves: Sequence[Any]) -> Sequence[Any]:
        """All arguments, with other ``leaves``."""
        given = tree.unflatten(self.in_tree, self.refs.put(leaves))
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
        hidden: list[Tracer] = []
        if self.nondiff_argnums:
            args, hidden = self._without_derivative(args)
        arguments = Arguments(self.fun, args, self.nondiff_argnums)
        outs = self._call(
            trace,
            arguments.call,
            self._flat_rule(arguments),
            arguments.leaves,
            debug_info(self.fun, self._call.kind),
            hidden,
        )
        return tree.unflatten(arguments.out_tree, outs)

    def _without_derivative(self, args: tuple[Any, ...]) -> tuple[tuple[Any, ...], list[Tracer]]:
        """The arguments, those not differentiated constant, and the tracers among the latter."""
        new = list(args)
        found: list[Tracer] = []
        for i in self.nondiff_argnums:
            if -len(args) <= i < len(args):
                leaves, treedef = tree.flatten(args[i])
                if any(isinstance(x, Tracer) for x in leaves):
                    leaves = [self._constant(x, i) if isinstance(x, Tracer) else x for x in leaves]
                    new[i] = tree.unflatten(treedef, leaves)
                    found += [x for x in leaves if isinstance(x, Tracer)]
        return tuple(new), found

    def _constant(self, x: Tracer, argnum: int) -> Any:
        """A traced argument number ``argnum``, which is not differentiated, as a constant."""
        raise NotImplementedError

    def _flat_rule(self, arguments: Arguments) -> Any:
        """The rule as a function of flat arguments, for one call."""
        raise NotImplementedError
