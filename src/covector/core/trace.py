"""Primitives, traces and tracers: how an operation finds its interpretation.

Exactly one trace is current in a thread. `Primitive.bind` hands the operation to it; a
transformation makes a trace of its own current while it runs the user's function, and its
rules run with its parent current again. Values that do not belong to the current trace are
constants to it. At the bottom stands `EvalTrace`, which computes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, NoReturn

import numpy as np

from covector import _native
from covector.core import errors
from covector.core.avals import Array, PlacedArray, ShapedArray, aval_of, scalar_aval, to_array
from covector.core.config import config, x64_enabled
from covector.core.dims import DimExpr
from covector.core.dtypes import WIDE, check_default_int, is_extended
from covector.core.jaxpr import (
    Atom,
    ClosedJaxpr,
    DebugInfo,
    Jaxpr,
    JaxprEqn,
    Literal,
    Var,
    check_jaxpr,
)
from covector.core.opspec import OpSpec
from covector.core.places import inherited
from covector.core.references import Captured, Reference, refuse_not_read

current_trace: Callable[[], Trace] = _native.current_trace


_swap_trace: Callable[[Any], Any] = _native.swap_trace


_user_frame = _native.user_frame


_PACKAGE = errors.PACKAGE_DIR


NO_EFFECTS: frozenset[Any] = frozenset()
# What arrays say of where they are.
_PLACES = frozenset({
    "sharding", "committed", "devices", "device", "is_fully_addressable", "is_fully_replicated",
    "addressable_shards", "global_shards", "addressable_data", "format",
})  # fmt: skip
# `Primitive.bind` of one primitive, by which rules apply it.
Bind = Callable[..., Any]


class Primitive:
    """An operation known to every transformation.

    Attributes
    ----------
    name : str
    multiple_results : bool
        Whether `bind` returns a list; otherwise it returns one value.
    impl : callable, optional
        ``impl(args, params) -> list`` runs the operation on concrete values. Without one,
        the evaluator compiles the one-equation program for the default backend.
    call_param : str, optional
        The parameter that holds the `ClosedJaxpr` which computes the results from the operands,
        for operations that are calls: they need no lowering rule and may be inlined.
    spec : OpSpec, optional
        The row of an elementwise operation.
    function, expansion : callable, optional
        ``function(*args, **params)``, the user's own, computes the operation: on concrete values,
        and traced in its place where a program is compiled, unless there is an ``expansion`` for
        that (see `transforms.expand`).

    Examples
    --------
    >>> from covector.extend.core import Primitive
    >>> twice_p = Primitive("twice")
    >>> twice = twice_p.def_impl(lambda x: x + x)
    >>> twice_p.bind(3)
    6
    """

    __slots__ = (
        "name", "multiple_results", "call_param", "spec", "impl", "function", "expansion",
        "_abstract_eval", "_effects", "_effectful",
    )  # fmt: skip

    def __init__(
        self, name: str, multiple_results: bool = False, call_param: str | None = None
    ) -> None:
        self.name = name
        self.multiple_results = multiple_results
        self.call_param = call_param
        self.spec: OpSpec | None = None
        self.impl: Callable[[Sequence[Any], dict[str, Any]], list[Any]] | None = None
        self._abstract_eval: Callable[..., Any] | None = None
        self._effects: Callable[[dict[str, Any]], frozenset[Any]] | None = None
        self._effectful = False
        self.function: Callable[..., Any] | None = None
        self.expansion: Callable[..., Any] | None = None

    def def_impl(self, impl: Callable[..., Any]) -> Callable[..., Any]:
        """``impl(*args, **params)`` computes the operation: its result, or a list of them.

        It gets arrays, and tracers where it is compiled; a function that takes no tracers, as one
        of NumPy does not, is called from the compiled program.
        """

        def run(args: Sequence[Any], params: dict[str, Any]) -> list[Any]:
            out = impl(*args, **params)
            outs = list(out) if self.multiple_results else [out]
            return [to_array(x) if isinstance(x, (np.ndarray, np.generic)) else x for x in outs]

        self.impl, self.function = run, impl
        return impl

    def def_abstract_eval(self, rule: Callable[..., Any]) -> Callable[..., Any]:
        """``rule(*avals, **params)`` gives the result's aval, or a list of them."""
        self._abstract_eval, self._effectful = rule, False
        return rule

    def def_effectful_abstract_eval(self, rule: Callable[..., Any]) -> Callable[..., Any]:
        """``rule(*avals, **params)`` gives the aval of the result, or a list, and the effects."""
        self._abstract_eval, self._effectful = rule, True
        return rule

    def def_effects(self, rule: Callable[[dict[str, Any]], frozenset[Any]]) -> None:
        """``rule(params)`` gives the effects of an application (none by default)."""
        self._effects = rule

    def infer(
        self, avals: Sequence[ShapedArray], params: dict[str, Any]
    ) -> tuple[list[ShapedArray], frozenset[Any]]:
        """Avals of the results, and effects. Raises the errors a user sees for bad shapes."""
        if self._abstract_eval is None:
            raise NotImplementedError(
                f"{self.name} has no abstract evaluation: give the primitive the types of its "
                f"results with def_abstract_eval{errors.at_user_line()}"
            )
        out = self._abstract_eval(*avals, **params)
        effects = NO_EFFECTS if self._effects is None else self._effects(params)
        if self._effectful:
            out, effects = out[0], frozenset(out[1])
        return (out if self.multiple_results else [out]), effects

    def bind(self, *args: Any, **params: Any) -> Any:
        """Apply the operation under the current trace."""
        return self.bind_params(args, params)

    def bind_params(self, args: Sequence[Any], params: dict[str, Any]) -> Any:
        out = self.bind_with_trace(current_trace(), args, params)
        return out if self.multiple_results else out[0]

    def bind_with_trace(
        self, trace: Trace, args: Sequence[Any], params: dict[str, Any]
    ) -> list[Any]:
        return trace.process(self, args, params)

    def get_bind_params(self, params: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        """Functions to bind before the operands of an equation, none, and its parameters."""
        return [], params

    def __repr__(self) -> str:
        return self.name

    def __reduce__(self) -> Any:
        raise TypeError(f"the primitive {self.name} cannot be pickled")


class Composed(Primitive):
    """An operation that is made of others: applying it applies those, which have the rules.

    ``function(*args, **params)`` gives its result, or a list of them.
    """

    __slots__ = ()
    function: Callable[..., Any]

    def __init__(
        self, name: str, function: Callable[..., Any], multiple_results: bool = False
    ) -> None:
        super().__init__(name, multiple_results)
        self.function = function

    def bind_params(self, args: Sequence[Any], params: dict[str, Any]) -> Any:
        return self.function(*args, **params)

    def bind_with_trace(
        self, trace: Trace, args: Sequence[Any], params: dict[str, Any]
    ) -> list[Any]:
        with set_current_trace(trace):
            out = self.function(*args, **params)
        return list(out) if self.multiple_results else [out]


class Trace:
    """An interpretation of primitives; see the module's docstring.

    Attributes
    ----------
    captures : bool
        Whether references made outside are captured; see `core/references.py`.
    records : bool
        Whether it makes equations, which say where they come from; see `core/places.py`.
    """

    __slots__ = ("parent", "alive", "__weakref__")
    captures: ClassVar[bool] = False
    records: ClassVar[bool] = False
    parent: Trace | None
    alive: bool

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        # Users' traces do not all call `__init__`.
        self = object.__new__(cls)
        self.parent, self.alive = None, True
        return self

    def __init__(self, parent: Trace | None = None) -> None:
        self.parent = parent

    @property
    def parent_trace(self) -> Trace | None:
        """`parent`, as traces of users call it."""
        return self.parent

    @parent_trace.setter
    def parent_trace(self, trace: Trace | None) -> None:
        self.parent = trace

    def process(self, prim: Primitive, args: Sequence[Any], params: dict[str, Any]) -> list[Any]:
        """Results of ``prim`` on ``args``, some of which may be tracers of this trace."""
        out = self.process_primitive(prim, args, params)
        return list(out) if prim.multiple_results else [out]

    def process_primitive(
        self, primitive: Primitive, tracers: Sequence[Any], params: dict[str, Any], /
    ) -> Any:
        """What traces of users define: the result, or a list of them."""
        raise NotImplementedError(
            f"{type(self).__name__} says nothing of {primitive.name}: a trace must define "
            "process_primitive(primitive, tracers, params)"
        )

    def describe(self) -> str:
        return type(self).__name__

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.describe()})"


class set_current_trace:
    """Context manager: make ``trace`` the current one."""

    __slots__ = ("trace", "old")

    def __init__(self, trace: Trace, check_leaks: bool = False) -> None:
        self.trace = trace

    def __enter__(self) -> None:
        self.old = _swap_trace(self.trace)

    def __exit__(self, *exc: object) -> None:
        _swap_trace(self.old)


class take_current_trace:
    """Context manager: nothing is traced in the block, which is given the trace that was current.

    Examples
    --------
    >>> import covector as cv
    >>> from covector.extend.core import take_current_trace
    >>> def f(x):
    ...     with take_current_trace() as trace:
    ...         print(trace, cv.numpy.ones(()) + 1)
    ...     return x
    >>> _ = cv.make_jaxpr(f)(1.0)
    JaxprTrace(jit of f) 2.0
    """

    __slots__ = ("old",)

    def __enter__(self) -> Trace:
        self.old: Trace = _swap_trace(eval_trace)
        return self.old

    def __exit__(self, *exc: object) -> None:
        _swap_trace(self.old)


class Tracer:
    """Stands for an array while a function is transformed.

    Array methods and operators are attached to this class and to `Array` alike by
    `covector.numpy`.
    """

    __slots__ = ("_trace", "_aval", "__weakref__")
    _trace: Trace
    _aval: ShapedArray
    __array_priority__: ClassVar[int] = 1000

    def __init__(self, trace: Trace, aval: ShapedArray) -> None:
        self._trace = trace
        self._aval = aval

    def __hash__(self) -> int:
        raise TypeError(
            f"the traced value {self.describe()} cannot be a key of a dictionary or an element of "
            "a set: while the function is traced it has no value to be looked up by. Index an "
            "array with it, choose with covector.numpy.where or lax.switch, or mark the argument "
            f"static (static_argnums or static_argnames of jit).{origin(self)}"
            f"{errors.at_user_line()}"
        )

    @property
    def aval(self) -> ShapedArray:
        return self._aval

    def concrete(self) -> Any:
        """The concrete value, where it is known during the transformation; else None."""
        return None

    @property
    def shape(self) -> tuple[int, ...]:
        return self.aval.shape

    @property
    def dtype(self) -> Any:
        return self.aval.dtype

    @property
    def ndim(self) -> int:
        return len(self.aval.shape)

    @property
    def size(self) -> int:
        return self.aval.size

    @property
    def weak_type(self) -> bool:
        return self.aval.weak_type

    @property
    def itemsize(self) -> int:
        return int(self.aval.dtype.itemsize)

    @property
    def nbytes(self) -> int:
        return self.size * self.itemsize

    def __len__(self) -> int:
        if not self.aval.shape:
            raise TypeError("len() of unsized object")
        return self.aval.shape[0]

    def block_until_ready(self) -> Tracer:
        return self

    def _concrete_or(self, error: type[Exception], what: str, remedy: str) -> Any:
        value = self.concrete()
        if value is None:
            raise error(
                f"{what}: the value {self.describe()} is not known while the function is being "
                f"traced.{origin(self)}\n{remedy}{errors.at_user_line()}"
            )
        return value

    def __bool__(self) -> bool:
        return bool(
            self._concrete_or(
                errors.TracerBoolConversionError,
                "Attempted boolean conversion of a traced array",
                "Use covector.numpy.where, covector.lax.cond or covector.lax.while_loop in place "
                "of a Python condition; &, |, ~ in place of and, or, not; "
                "covector.numpy.maximum or covector.numpy.any in place of max() or any(). Or mark "
                "an argument of jit static (static_argnums or static_argnames).",
            )
        )

    def __index__(self) -> int:
        return self._concrete_or(
            errors.TracerIntegerConversionError,
            "A traced array was used as a Python integer",
            "Sizes, shapes, axes and range(n) need a number that is known: mark an argument of "
            "jit static (static_argnums or static_argnames), or write the loop with "
            "covector.lax.fori_loop. As an index it works in arrays of covector.numpy, not in "
            "lists and NumPy arrays.",
        ).__index__()

    def _to_scalar(self, pytype: type) -> Any:
        return pytype(
            self._concrete_or(
                errors.ConcretizationTypeError,
                f"A traced array was converted with {pytype.__name__}()",
                "Python's and NumPy's functions (math.sin, numpy.sin) need known numbers: use "
                "those of covector.numpy; x.astype(...) to convert; y.at[i].set(x) to store it; "
                "covector.debug.print to print it. Or mark an argument of jit static "
                "(static_argnums or static_argnames).",
            )
        )

    def __int__(self) -> int:
        return self._to_scalar(int)

    def __float__(self) -> float:
        return self._to_scalar(float)

    def __complex__(self) -> complex:
        return self._to_scalar(complex)

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        raise errors.TracerArrayConversionError(
            f"A traced array {self.describe()} was converted to a NumPy array: NumPy functions "
            f"cannot be traced.{origin(self)}\nUse the function of the same name in "
            "covector.numpy, or covector.pure_callback to run NumPy code on the values."
            f"{errors.at_user_line()}"
        )

    def tolist(self) -> Any:
        self._to_scalar(float)

    def item(self, *args: Any) -> Any:
        return self._concrete_or(
            errors.ConcretizationTypeError,
            "item() of a traced array",
            "Keep the array as it is in traced code, or return it and call item() outside.",
        ).item(*args)

    def describe(self) -> str:
        return self.aval.str_short()

    def __getattr__(self, name: str) -> Any:
        if name in _PLACES:
            # Not where the functions are transformed, but where they run.
            raise AttributeError(
                f"the attribute {name!r} is not available on a traced array, {self.describe()}: it "
                "has no place until the program runs. Look at the arrays outside of the "
                f"transformed function{errors.at_user_line()}",
                name=name,
                obj=self,
            )
        raise AttributeError(
            f"a traced array, {self.describe()}, has no attribute {name!r}", name=name, obj=self
        )

    def __repr__(self) -> str:
        return f"Traced<{self.describe()}>with<{self._trace.describe()}>"


def origin(x: Tracer) -> str:
    """A sentence on where a traced value comes from, empty if that is not recorded."""
    trace = x._trace
    return trace.origin(x) if isinstance(trace, JaxprTrace) and isinstance(x, JaxprTracer) else ""


def made_at(x: Tracer) -> str:
    """A clause on the user's line that made a traced value, empty if that is not recorded."""
    trace = x._trace
    if not config.tracer_error_num_traceback_frames or not isinstance(trace, JaxprTrace):
        return ""
    if not isinstance(x, JaxprTracer):
        return ""
    for k, v in enumerate(trace.invars):
        if v is x._var:
            names = list(trace.debug_info.arg_names or ()) if trace.debug_info else []
            return f", the argument {names[k] if k < len(names) else k}"
    for eqn in trace.eqns:
        if any(v is x._var for v in eqn.outvars):
            if eqn.source_info is None:
                return ""
            return f", made by {eqn.primitive} at {errors.SourceFrame(*eqn.source_info)}"
    return ""


def raise_leaked(x: Tracer) -> NoReturn:
    if x._trace.alive:
        raise errors.UnexpectedTracerError(
            f"A traced value {x.describe()} of {x._trace.describe()} was used where that "
            "transformation does not apply. A function with custom_jvp or custom_vjp, or its "
            "rule, probably closes over it: the rule says only how to differentiate by explicit "
            f"arguments, so pass it as one.{errors.at_user_line()}"
        )
    raise errors.UnexpectedTracerError(
        f"A traced value {x.describe()} was used after the transformation that made it had "
        f"ended (it was made by {x._trace.describe()}{made_at(x)}). It was probably stored in a "
        "global, an attribute or a closure by the transformed function: return it as a result "
        "instead."
        f"{errors.at_user_line()}"
    )


# --- evaluation --------------------------------------------------------------------------


class EvalTrace(Trace):
    """Computes: every operand is concrete."""

    __slots__ = ()
    # Runs a primitive without `impl`; set by the layer that owns executables.
    dispatch: ClassVar[Callable[[Primitive, Sequence[Any], dict[str, Any]], list[Any]]]
    # Moves an array to where the parameter `sharding` says; set there, too.
    move: ClassVar[Callable[[Sequence[Any], dict[str, Any]], list[Any]]]

    def process(self, prim: Primitive, args: Sequence[Any], params: dict[str, Any]) -> list[Any]:
        if prim.impl is not None:
            for x in args:
                if isinstance(x, Tracer):
                    raise_leaked(x)
            return prim.impl(args, params)
        return EvalTrace.dispatch(prim, args, params)


eval_trace = EvalTrace(None)


_native.set_eval_trace(eval_trace)


class EagerTrace(Trace):
    """Computes what is known, and leaves to the parent what is not."""

    __slots__ = ()
    parent: Trace

    def describe(self) -> str:
        return "ensure_compile_time_eval"

    def process(self, prim: Primitive, args: Sequence[Any], params: dict[str, Any]) -> list[Any]:
        unknown = any([isinstance(x, Tracer) for x in args])
        trace = self.parent if unknown else eval_trace
        with set_current_trace(trace):
            return prim.bind_with_trace(trace, args, params)


# --- tracing to jaxprs -------------------------------------------------------------------


class JaxprTracer(Tracer):
    """A variable of the jaxpr being built."""

    __slots__ = ("_var",)

    def __init__(
        self,
        trace: JaxprTrace,
        aval: ShapedArray,
        val: Var,
        line_info: Any = None,
        parent: Any = None,
    ) -> None:
        self._trace = trace
        self._aval = aval
        self._var = val


class JaxprTrace(Trace):
    """Records each operation as an equation.

    ``memo`` is for those who record: variables that already hold what they are to compute; None
    where nothing is recorded.
    """

    __slots__ = (
        "eqns",
        "invars",
        "consts",
        "debug_info",
        "effects",
        "memo",
        "refs",
        "axes",
        "place",
        "_keep",
    )
    captures = records = True
    # The equation of an operation whose operands may have types that say where they are; set by
    # the layer that knows them.
    record_placed: ClassVar[Callable[..., list[Any]]]

    def __init__(self, parent: Trace | None, debug_info: DebugInfo | None = None) -> None:
        super().__init__(parent)
        self.eqns: list[JaxprEqn] = []
        self.invars: list[Var] = []
        self.consts: dict[int, tuple[Var, Any]] = {}
        self.debug_info = debug_info
        self.effects: frozenset[Any] = NO_EFFECTS
        self.memo: dict[Any, Any] | None = {}
        self.refs: dict[Reference, Captured] = {}
        # Named axes of a mesh that the traced function is run along, with their sizes, and whether
        # types say what varies over them.
        self.axes: tuple[tuple[Any, int, bool], ...] = ()
        # What equations come from, None where that is the line of the user's code that runs.
        self.place: Any = inherited(parent)
        self._keep: list[Any] = []

    def describe(self) -> str:
        info = self.debug_info
        return f"{info.traced_for} of {info.func_name}" if info else "tracing"

    def new_arg(self, aval: ShapedArray) -> JaxprTracer:
        var = Var(aval)
        self.invars.append(var)
        return JaxprTracer(self, aval, var)

    def atom(self, x: Any) -> Atom:
        """The variable or literal for an operand; other arrays become constants."""
        t = type(x)
        if t is JaxprTracer and x._trace is self:
            return x._var
        if t is float or t is int or t is bool or t is complex:
            if t is int and not -(2**31) <= x < 2**31:
                check_default_int(x)
            return Literal(x, scalar_aval(t))
        if isinstance(x, Tracer):
            if not x._trace.alive:
                raise_leaked(x)
            return self.const(x, x.aval)
        if t is DimExpr:
            return Literal(x, scalar_aval(int))
        aval = aval_of(x)
        if not aval.shape and not is_extended(aval.dtype):
            if t is Array:
                if aval.dtype in WIDE and not x64_enabled():
                    return self.const(x, aval)  # a NumPy scalar would be narrowed
                value = x.item() if aval.weak_type else None
                if value is not None and aval == scalar_aval(type(value)):
                    return Literal(value, aval)  # weakly typed as a NumPy scalar is not
                return Literal(np.asarray(x)[()], aval)
            return Literal(np.asarray(x).astype(aval.dtype)[()], aval)
        return self.const(x, aval)

    def const(self, x: Any, aval: ShapedArray) -> Var:
        found = self.consts.get(id(x))
        if found is None:
            value = x if isinstance(x, (Tracer, Array)) else to_array(x, aval)
            found = self.consts[id(x)] = (Var(aval), value)
            self._keep.append(x)
        return found[0]

    def captured(self, ref: Reference) -> Captured:
        """What ``ref`` is in this jaxpr; at first, a constant for which it stands itself."""
        found = self.refs.get(ref)
        return self.capture(ref, ref) if found is None else found

    def capture(self, ref: Reference, value: Any) -> Captured:
        """Have ``ref`` be a constant at first, of this value (a reference stands for its own)."""
        var = Var(ref.aval.inner_aval)
        self.consts[id(ref)] = (var, value)
        found = self.refs[ref] = Captured(JaxprTracer(self, var.aval, var))
        return found

    def process(self, prim: Primitive, args: Sequence[Any], params: dict[str, Any]) -> list[Any]:
        invars = [self.atom(x) for x in args]
        if PlacedArray.exist:
            return JaxprTrace.record_placed(self, prim, invars, params)
        avals, effects = prim.infer([a.aval for a in invars], params)
        return self.emit(prim, invars, avals, params, effects)

    def emit(
        self,
        prim: Primitive,
        invars: Sequence[Atom],
        out_avals: Sequence[ShapedArray],
        params: dict[str, Any],
        effects: frozenset[Any] = NO_EFFECTS,
    ) -> list[Any]:
        """Append an equation and return tracers for its results."""
        outvars = [Var(a) for a in out_avals]
        place = self.place or _user_frame(_PACKAGE)
        eqn = JaxprEqn(invars, outvars, prim, params, effects, place)
        self.eqns.append(eqn)
        if effects:
            self.effects |= effects
        return [JaxprTracer(self, v.aval, v) for v in outvars]

    def record_known(
        self, prim: Primitive, args: Sequence[Any], params: dict[str, Any], aval: ShapedArray
    ) -> JaxprTracer:
        """The equation of an operation of one result, whose aval the caller knows."""
        invars = [
            x._var if type(x) is JaxprTracer and x._trace is self else self.atom(x) for x in args
        ]
        if PlacedArray.exist:
            return JaxprTrace.record_placed(self, prim, invars, params)[0]
        out = Var(aval)
        place = self.place or _user_frame(_PACKAGE)
        self.eqns.append(JaxprEqn(invars, [out], prim, params, NO_EFFECTS, place))
        return JaxprTracer(self, aval, out)

    def finish(
        self, outs: Sequence[Any], written: list[Reference] | None = None
    ) -> tuple[Jaxpr, list[Any]]:
        """The jaxpr that computes ``outs``, and its constants (outer tracers among them).

        With the list ``written``, references of outer traces may be among the constants; those
        that were written are put into it, and their values returned behind ``outs``.
        """
        outvars = [self.atom(x) for x in outs]
        if self.refs:
            if written is None:
                refuse_not_read(self.refs, self.describe())
            else:
                written += [ref for ref, c in self.refs.items() if c.written]
                outvars += [self.atom(self.refs[ref].value) for ref in written]
        pairs = list(self.consts.values())
        jaxpr = Jaxpr(
            [v for v, _ in pairs], self.invars, outvars, self.eqns, self.effects, self.debug_info
        )
        self.alive = False
        return jaxpr, [c for _, c in pairs]

    def origin(self, x: JaxprTracer) -> str:
        """Which arguments of the traced function ``x`` depends on, in words."""
        names = self.debug_info.arg_names if self.debug_info else None
        if self.debug_info is None or names is None:
            return ""
        needed = {x._var}
        for eqn in reversed(self.eqns):
            if any(v in needed for v in eqn.outvars):
                needed.update(a for a in eqn.invars if isinstance(a, Var))
        args = [n for n, v in zip(names, self.invars, strict=False) if v in needed]
        where = f" of the function {self.debug_info.func_name}"
        if self.debug_info.source:
            where += f" at {self.debug_info.source}"
        if not args:
            return f"\nIt was computed while tracing the body{where}."
        label = "argument" if len(args) == 1 else "arguments"
        return f"\nIt depends on the value of the {label} {', '.join(args)}{where}."


def trace_to_jaxpr(
    fun: Callable[..., Sequence[Any]],
    in_avals: Sequence[ShapedArray],
    debug_info: DebugInfo | None = None,
    written: list[Reference] | None = None,
    axes: tuple[tuple[Any, int, bool], ...] = (),
) -> tuple[Jaxpr, list[Any]]:
    """Trace ``fun``, from flat arrays to a flat sequence, to a jaxpr.

    Parameters
    ----------
    fun : callable
    in_avals : sequence of ShapedArray
    debug_info : DebugInfo, optional
    written : list, optional
        Has references captured and takes those written, see `JaxprTrace.finish`.
    axes : tuple, optional
        Named axes that it is run along, see `JaxprTrace`.

    Returns
    -------
    jaxpr : Jaxpr
    consts : list
        Values of ``jaxpr.constvars``: arrays, and tracers and references of enclosing
        transformations.
    """
    trace = JaxprTrace(current_trace(), debug_info)
    trace.axes = axes
    args = [trace.new_arg(a) for a in in_avals]
    try:
        with set_current_trace(trace):
            outs = fun(*args)
            jaxpr, consts = trace.finish(outs, written)
    finally:
        trace.alive = False
    if config.check_tracer_leaks:
        del args, outs
        check_leaks(trace)
    if config.enable_checks:
        check_jaxpr(jaxpr)
    return jaxpr, consts


def check_leaks(trace: Trace) -> None:
    """Raise the error for values of a trace that has ended and that something still holds."""
    from covector.core import leaks  # few processes need it

    leaks.check(trace, Tracer, made_at)


def close_over(jaxpr: Jaxpr, consts: Sequence[Any]) -> tuple[ClosedJaxpr, list[Any]]:
    """Close ``jaxpr`` over its concrete constants.

    Constants that are tracers or references become leading arguments of the closed jaxpr; they
    are returned as the second item.
    """
    traced = [isinstance(c, (Tracer, Reference)) for c in consts]
    hoisted = [c for c, t in zip(consts, traced, strict=True) if t]
    closed = jaxpr.replace(
        constvars=[v for v, t in zip(jaxpr.constvars, traced, strict=True) if not t],
        invars=[v for v, t in zip(jaxpr.constvars, traced, strict=True) if t] + jaxpr.invars,
    )
    kept = [c for c, t in zip(consts, traced, strict=True) if not t]
    return ClosedJaxpr(closed, kept), hoisted
