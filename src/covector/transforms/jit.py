"""``jit``: functions traced once per signature of their arguments and compiled.

The native `JitFunction` holds the cache from signatures to compiled programs. What stands
here runs on a miss: trace, compile, and hand back a `FastPath` for the next call. Under
another transformation nothing is compiled; the call becomes one `jit_p` operation.
"""

from __future__ import annotations

import copyreg
import functools
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from covector import _native
from covector.core import monitoring, tree
from covector.core.avals import ShapedArray, aval_of
from covector.core.backend import CompilerOptions
from covector.core.config import config, runs_by_operation
from covector.core.errors import at_user_line, boundaries, called_name, describe, unwrapped
from covector.core.jaxpr import ClosedJaxpr, DebugInfo, eval_jaxpr
from covector.core.references import Reference, values_of
from covector.core.structural import zeros
from covector.core.trace import (
    Primitive,
    close_over,
    current_trace,
    eval_trace,
    trace_to_jaxpr,
)
from covector.core.tree_nodes import without_float0
from covector.transforms.arguments import (
    STATIC,
    argument_names,
    check_arrays,
    check_callable,
    check_results,
    fun_name,
    names_of,
    resolve_nums_and_names,
    src_info,
)
from covector.transforms.cache import FunctionCache, context_key, on_clear
from covector.transforms.references import RefArguments, RefUse, has_ref_types
from covector.transforms.shapes import ShapeDtypeStruct, aval_like, struct_of

jit_p = Primitive("jit", multiple_results=True, call_param="jaxpr")


@jit_p.def_abstract_eval
def _jit_avals(*avals: ShapedArray, jaxpr: ClosedJaxpr, name: str, inline: bool) -> Any:
    return jaxpr.out_avals


jit_p.def_effects(lambda params: params["jaxpr"].effects)

_traced_cache = FunctionCache()


def tell_step(
    event: str, done: str, name: str, seconds: float, avals: Sequence[ShapedArray]
) -> None:
    """Log a step towards a compiled program, and tell who listens to such events."""
    if monitoring.DURATIONS:
        monitoring.tell(monitoring.DURATIONS, event, seconds, fun_name=name)
    loud = config.log_compiles
    if loud or "logging" in sys.modules:
        from covector.core import log

        types = ", ".join([a.str_short() for a in avals[:_TYPES_SHOWN]])
        more = ", ..." if len(avals) > _TYPES_SHOWN else ""
        log.say("compile", loud, "%s %s for (%s%s) in %.6f s", done, name, types, more, seconds)


_TYPES_SHOWN = 16


class Entry:
    """A function traced for one signature.

    Attributes
    ----------
    closed : ClosedJaxpr
        Takes the hoisted tracers and then the flat dynamic arguments.
    hoisted : list of Tracer and Reference
        Values of enclosing transformations and references that the function closes over.
    refs : RefUse or None
        What happens to references; without any, None.
    in_tree, out_tree : PyTreeDef
        Structures of ``(dynamic args, dynamic kwargs)`` and of the result.
    """

    # What the runtime compiled it to, and what it knows of moves within it.
    __slots__ = (
        "closed", "hoisted", "refs", "in_tree", "out_tree", "programs", "moves", "used",
        "__weakref__",
    )  # fmt: skip

    def __init__(
        self,
        closed: ClosedJaxpr,
        hoisted: list[Any],
        in_tree: Any,
        out_tree: Any,
        refs: RefUse | None = None,
    ) -> None:
        self.closed = closed
        self.hoisted = hoisted
        self.in_tree = in_tree
        self.out_tree = out_tree
        self.refs = refs
        self.programs: dict[Any, Any] = {}
        self.moves: tuple[Any] | None = None
        self.used: list[bool] | None = None

    @property
    def out_avals(self) -> list[ShapedArray]:
        """Types of the results, without the last values of references."""
        return self.closed.out_avals[: self.out_tree.num_leaves]

    def operands(self, flat: Sequence[Any]) -> list[Any]:
        """What the jaxpr takes for these flat arguments."""
        if self.refs is None:
            return [*self.hoisted, *flat]
        if self.refs.given:
            flat = [x for x in flat if not isinstance(x, Reference)]
        return values_of([*self.hoisted, *flat])

    def results(self, flat: Sequence[Any], outs: Sequence[Any]) -> Sequence[Any]:
        """What the function returned, once references have the values that were written."""
        return outs if self.refs is None else self.refs.write_back(flat, outs)


def _hashable(x: Any) -> bool:
    try:
        hash(x)
    except TypeError:
        return False
    return True


class Jitted:
    """A function and the options of its `jit`; the part of a `JitFunction` written in Python.

    Attributes
    ----------
    device : Device, Sharding or str, optional
        Where it runs if not where its arguments are; a string names a platform.
    options : tuple
        Those of the platform's compiler.
    primitive, params : optional
        The operation that it is, if it is one, and its parameters.
    """

    # Set by the runtime, which owns devices and programs: ``execute(jitted, args, kwargs)`` runs
    # on concrete values, and ``traced(jitted, entry, donated, leaves)`` makes a `stages.Traced`.
    execute: ClassVar[Callable[[Jitted, tuple[Any, ...], dict[str, Any]], tuple[Any, Any]]]
    traced: ClassVar[Callable[..., Any]]
    # ``placed(fun, in_shardings, out_shardings, static_argnums, static_argnames)`` is the function
    # with its arguments and results laid out so; of the layer that knows shardings.
    placed: ClassVar[Callable[..., Callable[..., Any]]]

    def __init__(
        self,
        fun: Callable[..., Any],
        static_argnums: Any = None,
        static_argnames: Any = None,
        donate_argnums: Any = None,
        donate_argnames: Any = None,
        keep_unused: bool = False,
        inline: bool = False,
        primitive: Primitive | None = None,
        device: Any = None,
        options: CompilerOptions = (),
        params: dict[str, Any] | None = None,
    ) -> None:
        self.fun = fun
        self.name = fun_name(fun)
        self.static_nums, self.static_names = resolve_nums_and_names(
            fun, static_argnums, static_argnames, "static"
        )
        self.donate_nums, self.donate_names = resolve_nums_and_names(
            fun, donate_argnums, donate_argnames, "donate"
        )
        both = set(self.static_nums) & set(self.donate_nums)
        if both:
            raise ValueError(
                f"jit: argument {min(both)} of {self.name} is both static and donated; a static "
                "argument is not an array and cannot be donated"
            )
        self.keep_unused = keep_unused
        self.inline = inline
        self.primitive = primitive
        self.params = params or {}
        self.device = device
        self.options = options
        self._own_entries: dict[Any, Any] = {}
        on_clear_weak(self)

    # --- arguments ---

    def split_static(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any], tuple[Any, ...]]:
        """Dynamic arguments, dynamic keyword arguments, and the static ones as a cache key."""
        n = len(args)
        statics: list[Any] = []
        positions = {i % n if i < 0 else i for i in self.static_nums if -n <= i < n}
        for i in sorted(positions):
            self._check_static(args[i], i, args)
            statics.append((i, type(args[i]), args[i]))
        dyn_kwargs = kwargs
        if kwargs and self.static_names:
            dyn_kwargs = {}
            for name, x in kwargs.items():
                if name in self.static_names:
                    self._check_static(x, name, args)
                    statics.append((name, type(x), x))
                else:
                    dyn_kwargs[name] = x
        dyn_args = tuple([x for i, x in enumerate(args) if i not in positions])
        return dyn_args, dyn_kwargs, tuple(statics)

    def _check_static(self, x: Any, which: int | str, args: tuple[Any, ...]) -> None:
        if _hashable(x):
            return
        name = which
        if isinstance(which, int):
            names = argument_names(self.fun, [0] * len(args), {})
            name = names[which] if which < len(names) else str(which)
        hint = (
            "it is an array: leave it out of static_argnums/static_argnames"
            if hasattr(x, "shape") and hasattr(x, "dtype")
            else "pass a tuple in place of a list, a frozen dataclass in place of a dict"
        )
        raise ValueError(
            f"jit: non-hashable static argument {name!r} of {self.name}: static arguments must be "
            f"hashable, because programs are cached by their values, got {describe(x)}; {hint}"
            f"{at_user_line()}"
        )

    def merge_static(
        self, statics: tuple[Any, ...], dyn_args: Sequence[Any], dyn_kwargs: dict[str, Any]
    ) -> tuple[list[Any], dict[str, Any]]:
        args = list(dyn_args)
        kwargs = dict(dyn_kwargs)
        for where, _, x in statics:
            if isinstance(where, int):
                args.insert(where, x)
            else:
                kwargs[where] = x
        return args, kwargs

    # --- tracing ---

    def trace(
        self, args: tuple[Any, ...], kwargs: dict[str, Any], abstract: bool = False
    ) -> tuple[Entry, list[Any]]:
        """The function traced for these arguments (or found traced), and their flat values."""
        statics: tuple[Any, ...] = ()
        dyn_args, dyn_kwargs = args, kwargs
        if self.static_nums or self.static_names:
            dyn_args, dyn_kwargs, statics = self.split_static(args, kwargs)
        flat, in_tree = without_float0(*tree.flatten((dyn_args, dyn_kwargs)))
        try:
            avals = [aval_like(x) for x in flat] if abstract else [aval_of(x) for x in flat]
        except TypeError:
            flat = [x.__jax_array__() if hasattr(x, "__jax_array__") else x for x in flat]
            skip = positions(statics)
            avals = check_arrays(
                flat, lambda: argument_names(self.fun, dyn_args, dyn_kwargs, skip),
                self._what(), refs=True, static=STATIC.format("jit") if self.is_users else "",
            )  # fmt: skip
        entries = self._entries()
        key = (in_tree, tuple(avals), statics, context_key())
        entry = entries.get(key)
        if entry is None or (entry.refs is not None and current_trace() is not eval_trace):
            if entry is None and config.explain_cache_misses and self.is_users:
                from covector.transforms import misses  # few processes need it

                misses.explain(self, key, entries)
            entry, storable = self._trace_new(avals, in_tree, statics, abstract, flat)
            if storable:
                entries[key] = entry
        if entry.refs is not None:
            entry.refs.check_call(
                flat, entry.hoisted, names_of(self.fun, in_tree, positions(statics)), self._what()
            )
        return entry, flat

    def _what(self) -> str:
        """What users call it: they need not know that a function of the library is compiled."""
        if self.is_users:
            return f"jit of {self.name}"
        hidden = self.name.startswith("_")
        return called_name(self.name.strip("_")) if hidden else self.name

    def _entries(self) -> dict[Any, Any]:
        if type(self.fun) is _FunctionType:
            return _traced_cache.entries(self.fun)
        return self._own_entries

    def _trace_new(
        self,
        avals: list[ShapedArray],
        in_tree: Any,
        statics: tuple[Any, ...],
        abstract: bool,
        given: Sequence[Any],
    ) -> tuple[Entry, bool]:
        """A new trace, and whether it may be kept for other calls.

        If only types are asked for (``abstract``), the function may return types, too.
        """
        if config.no_tracing and self.primitive is None:
            raise RuntimeError(
                f"{self._what()} would be traced for new arguments or options, and the option "
                f"no_tracing is set{at_user_line()}"
            )
        start = time.perf_counter()
        out_tree: Any = None
        fun = self.fun
        storable = True
        refs = RefArguments(given) if has_ref_types(avals) else None
        written: list[Any] = []

        def flat_fun(*parameters: Any) -> list[Any]:
            nonlocal out_tree, storable
            leaves = parameters if refs is None else refs.put(parameters)
            args, kwargs = tree.unflatten(in_tree, leaves)
            if statics:
                args, kwargs = self.merge_static(statics, args, kwargs)
            outs, out_tree = without_float0(*tree.flatten(fun(*args, **kwargs)))
            if abstract and any([type(x) is ShapeDtypeStruct for x in outs]):
                outs = [zeros(aval_like(x)) if type(x) is ShapeDtypeStruct else x for x in outs]
                storable = False
            check_results(outs, out_tree, fun, "jit")
            return outs if refs is None else [*outs, *refs.last_values(parameters)]

        names = names_of(fun, in_tree, positions(statics))
        info = DebugInfo("jit", src_info(self.name, fun), names)
        types = avals if refs is None else refs.types(avals)
        jaxpr, consts = trace_to_jaxpr(flat_fun, types, info, written)
        closed, hoisted = close_over(jaxpr, consts)
        self._told(monitoring.TRACED, "traced", start, avals)
        entry = Entry(closed, hoisted, in_tree, out_tree)
        if refs is not None or any([isinstance(c, Reference) for c in hoisted]):
            entry.refs = RefUse.of(refs, written)
            storable = storable and entry.refs.outlive(hoisted)
        else:
            storable = storable and not hoisted
        return entry, storable

    @property
    def is_users(self) -> bool:
        """Whether a user had the function compiled, rather than the library its own."""
        ours = str(getattr(self.fun, "__module__", "")).startswith("covector.")
        return self.primitive is None and not ours

    def _told(self, event: str, done: str, start: float, avals: Sequence[ShapedArray]) -> None:
        """Log a step that is done, and tell who listens."""
        tell_step(event, done, self.name, time.perf_counter() - start, avals)

    def donated(self, entry: Entry, args: tuple[Any, ...]) -> tuple[bool, ...]:
        """For each argument of the entry's jaxpr, whether its memory may be reused."""
        out = [False] * len(entry.hoisted)
        if not self.donate_nums and not self.donate_names:
            return tuple(out + [False] * entry.in_tree.num_leaves)
        of_args, of_kwargs = entry.in_tree.children()
        n = len(args)
        static = {i % n if i < 0 else i for i in self.static_nums if -n <= i < n}
        numbers = [i for i in range(n) if i not in static]
        donate = {i % n if i < 0 else i for i in self.donate_nums if -n <= i < n}
        for i, sub in zip(numbers, of_args.children(), strict=True):
            out += [i in donate] * sub.num_leaves
        for name, sub in zip(of_kwargs.entries(), of_kwargs.children(), strict=True):
            out += [name in self.donate_names] * sub.num_leaves
        return tuple(out)

    # --- calls ---

    def fallback(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Any]:
        """What the native call path calls for a signature it has no program for."""
        traced = current_trace() is not eval_trace
        if (traced or self.primitive is None) and runs_by_operation():
            return self.fun(*args, **kwargs), None
        if traced:
            return self.bind(args, kwargs), None
        return Jitted.execute(self, args, kwargs)

    def bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Apply the function under the current trace as one operation."""
        if self.options:
            names = ", ".join(name for name, _ in self.options)
            raise ValueError(
                f"compiler_options ({names}) are of a whole program, but jit of {self.name} is "
                "called within a function that is transformed or compiled: give them to the "
                f"outermost jit{at_user_line()}"
            )
        entry, flat = self.trace(args, kwargs)
        operands = entry.operands(flat)
        if self.inline:
            # A function of the library is traced where it is first called, for all its calls.
            outs = eval_jaxpr(
                entry.closed.jaxpr, entry.closed.consts, *operands,
                propagate_source_info=self.is_users,
            )  # fmt: skip
        else:
            params = {"jaxpr": entry.closed, "name": self.name, "inline": False}
            outs = jit_p.bind_params(operands, params)
        return tree.unflatten(entry.out_tree, entry.results(flat, outs))


def positions(statics: tuple[Any, ...]) -> list[int]:
    """Numbers of the positional arguments that are static."""
    return [w for w, _, _ in statics if isinstance(w, int)]


_FunctionType = type(fun_name)


class _WeakClearer:
    """Lets `clear_all` reach the caches of living jitted functions."""

    def __init__(self) -> None:
        import weakref

        self.refs: weakref.WeakSet[Jitted] = weakref.WeakSet()
        self.functions: weakref.WeakSet[Any] = weakref.WeakSet()

    def clear(self) -> None:
        for jitted in list(self.refs):
            jitted._own_entries.clear()
        for fn in list(self.functions):
            _native.JitFunction.clear_cache(fn)


_clearer = _WeakClearer()
on_clear(_clearer)


def on_clear_weak(jitted: Jitted) -> None:
    _clearer.refs.add(jitted)


def make_jit_function(jitted: Jitted) -> Any:
    """The native callable for ``jitted``."""
    fn = _native.JitFunction(jitted.fallback, jitted.static_nums, jitted.static_names, jitted.name)
    _clearer.functions.add(fn)
    return fn


def _signature(fn: Any) -> Any:
    """The signature of the function that ``fn`` compiles."""
    import inspect

    return inspect.signature(fn.__wrapped__)


_native.JitFunction.__signature__ = property(_signature)


def _reduce(fn: Any) -> Any:
    """How a compiled function is pickled: by its name where it is found there, as Python's
    functions are; else by what it was made of."""
    found: Any = sys.modules.get(fn.__module__)
    for part in fn.__qualname__.split("."):
        found = getattr(found, part, None)
    # Other processes do not have what cloudpickle finds in __main__, and get it whole.
    whole = fn.__module__ == "__main__" and _cloudpickle_asks()
    if found is fn and not whole:
        return str(fn.__qualname__)
    jitted = fn._jitted
    return _made_anew, (jitted.fun, {name: getattr(jitted, at) for name, at in _OPTIONS.items()})


_OPTIONS = {
    "static_argnums": "static_nums", "static_argnames": "static_names",
    "donate_argnums": "donate_nums", "donate_argnames": "donate_names",
    "keep_unused": "keep_unused", "inline": "inline", "device": "device",
}  # fmt: skip


def _made_anew(fun: Callable[..., Any], options: dict[str, Any]) -> Any:
    if isinstance(options["device"], str):
        options["backend"] = options.pop("device")  # a platform
    return jit(fun, **options)


def _cloudpickle_asks() -> bool:
    frame = sys._getframe(1)
    while frame.f_globals is globals() and frame.f_back is not None:
        frame = frame.f_back
    return "cloudpickle" in str(frame.f_globals.get("__name__"))


# Copies are the function itself, like those of Python's functions.
copyreg.pickle(_native.JitFunction, _reduce)
for _name in ("__copy__", "__deepcopy__"):
    setattr(_native.JitFunction, _name, lambda fn, memo=None: fn)


def jit(
    fun: Callable[..., Any] | None = None,
    /,
    *,
    in_shardings: Any = None,
    out_shardings: Any = None,
    static_argnums: int | Sequence[int] | None = None,
    static_argnames: str | Sequence[str] | None = None,
    donate_argnums: int | Sequence[int] | None = None,
    donate_argnames: str | Sequence[str] | None = None,
    keep_unused: bool = False,
    device: Any = None,
    backend: str | None = None,
    inline: bool = False,
    compiler_options: dict[str, Any] | None = None,
) -> Any:
    """Compile a function: trace it once per signature of its arguments, then run native code.

    Parameters
    ----------
    fun : callable
        Pure: it computes its result from its arguments, arrays in pytrees. Without it, a
        decorator is returned.
    static_argnums, static_argnames : optional
        Arguments that the trace sees as they are, for example sizes; hashable. The function
        is traced again for each new value. Names are found from numbers and vice versa.
    donate_argnums, donate_argnames : optional
        Arguments whose memory results may take over; they cannot be used afterwards. Those that no
        result of their size is left for stay, with a warning.
    keep_unused : bool
        Pass arguments to the compiled program even if it does not use them.
    inline : bool
        Under another trace, put the operations in place of one call.
    device : Device or Sharding, optional
        Where to run, whatever the arguments are committed to; they are moved.
    backend : str, optional
        The platform on whose first device to run.
    compiler_options : dict, optional
        Options of the platform's compiler for this program, by name: XLA's flags, as
        ``{"xla_gpu_autotune_level": 2}``. The CPU's compiler has none: a name that starts with
        ``xla_`` gives a warning there, another is an error. Only for a function that is called
        outside of any other transformation.
    in_shardings, out_shardings : Sharding, PartitionSpec, or pytree of those, optional
        How arguments and results lie on devices: one for all, or a prefix of the tuple of arguments
        that are not static, or of the result. None in it says nothing. A spec is of the mesh that
        `set_mesh` has set. Arguments that lie in another way, and are committed to it, are an
        error.

    Returns
    -------
    callable
        With methods ``lower``, ``trace``, ``eval_shape`` and ``clear_cache``.

    Raises
    ------
    ValueError
        For numbers or names that are not arguments of ``fun``, and in a call for static arguments
        that are not hashable.
    TracerBoolConversionError
        In a call, if ``fun`` branches in Python on a value that depends on its arguments: use
        `lax.cond` or `numpy.where`, or make the argument static.

    Examples
    --------
    Python runs while the function is traced: once for each signature (structure, shapes, dtypes and
    static values), not in each call.

    >>> import covector as cv
    >>> @cv.jit
    ... def f(x):
    ...     print("tracing for", cv.typeof(x))
    ...     return x * 2
    >>> f(cv.numpy.arange(3))
    tracing for ShapedArray(int32[3])
    Array([0, 2, 4], dtype=int32)
    >>> f(cv.numpy.array([7, 8, 9]))
    Array([14, 16, 18], dtype=int32)

    A size must be static:

    >>> zeros = cv.jit(lambda n: cv.numpy.zeros(n), static_argnums=0)
    >>> zeros(2)
    Array([0., 0.], dtype=float32)
    """
    if fun is None:
        return functools.partial(
            jit,
            in_shardings=in_shardings,
            out_shardings=out_shardings,
            static_argnums=static_argnums,
            static_argnames=static_argnames,
            donate_argnums=donate_argnums,
            donate_argnames=donate_argnames,
            keep_unused=keep_unused,
            device=device,
            backend=backend,
            inline=inline,
            compiler_options=compiler_options,
        )
    check_callable(fun, "jit")
    options = checked_options(compiler_options)
    fun = unwrapped(fun)
    traced = fun
    if in_shardings is not None or out_shardings is not None:
        if device is not None or backend is not None:
            raise ValueError(
                f"jit of {fun_name(fun)}: give shardings, or a device or backend, not both"
                f"{at_user_line()}"
            )
        traced = Jitted.placed(fun, in_shardings, out_shardings, static_argnums, static_argnames)
    jitted = Jitted(
        traced,
        static_argnums,
        static_argnames,
        donate_argnums,
        donate_argnames,
        keep_unused,
        inline,
        device=_device_of(fun, device, backend),
        options=options,
    )
    return _like_function(make_jit_function(jitted), fun, jitted)


def checked_options(options: Any) -> CompilerOptions:
    """Options of a compiler, as users give them, in the order of their names."""
    if options is None:
        return ()
    if not isinstance(options, Mapping):
        raise TypeError(
            f"compiler_options is a dict of options by name, got {describe(options)}"
            f"{at_user_line()}"
        )
    for name, value in options.items():
        if not isinstance(name, str) or not isinstance(value, bool | int | float | str):
            raise TypeError(
                "compiler_options has names of options and for each a bool, an int, a float or a "
                f"str, got {name!r}: {describe(value)}{at_user_line()}"
            )
    return tuple(sorted(options.items()))


def _device_of(fun: Any, device: Any, backend: str | None) -> Any:
    """What ``device`` or ``backend`` says, one of which may be given."""
    if device is not None and backend is not None:
        raise ValueError(
            f"jit of {fun_name(fun)}: give device or backend, not both{at_user_line()}"
        )
    if isinstance(device, str):
        raise TypeError(
            f"jit of {fun_name(fun)}: device takes a device or a sharding, got {device!r}; a "
            f"platform is named by backend{at_user_line()}"
        )
    return backend if device is None else device


def _like_function(fn: Any, fun: Any, jitted: Jitted) -> Any:
    """The callable ``fn`` with the name and documentation of ``fun`` and the methods of `jit`."""
    attributes = fn.__dict__
    for attr in ("__module__", "__qualname__", "__doc__", "__annotations__"):
        value = getattr(fun, attr, None)
        if value is not None:
            attributes[attr] = value
    attributes["__wrapped__"] = fun
    attributes["_jitted"] = jitted
    attributes.update(_Methods(jitted, fn).table())
    return fn


@boundaries
class _Methods:
    """What a compiled function offers besides being called."""

    __slots__ = ("jitted", "_fn", "__weakref__")

    def __init__(self, jitted: Jitted, fn: Any) -> None:
        import weakref

        self.jitted = jitted
        self._fn = weakref.ref(fn)

    def table(self) -> dict[str, Any]:
        return {
            "trace": self.trace,
            "lower": self.lower,
            "eval_shape": self.eval_shape,
            "clear_cache": self.clear_cache,
            "_cache_size": self.cache_size,
        }

    def trace(self, *args: Any, **kwargs: Any) -> Any:
        """Trace for these arguments (arrays or ShapeDtypeStructs) to a `stages.Traced`."""
        entry, flat = self.jitted.trace(args, kwargs, abstract=True)
        return Jitted.traced(self.jitted, entry, self.jitted.donated(entry, args), flat)

    def lower(self, *args: Any, **kwargs: Any) -> Any:
        """Trace and lower for these arguments to a `stages.Lowered`."""
        return self.trace(*args, **kwargs).lower()

    def eval_shape(self, *args: Any, **kwargs: Any) -> Any:
        """Shapes and dtypes of the result, without computing it."""
        entry, _ = self.jitted.trace(args, kwargs, abstract=True)
        return tree.unflatten(entry.out_tree, [struct_of(a) for a in entry.out_avals])

    def clear_cache(self) -> None:
        """Forget all traces and programs of this function."""
        self.jitted._entries().clear()
        fn = self._fn()
        if fn is not None:
            _native.JitFunction.clear_cache(fn)

    def cache_size(self) -> int:
        fn = self._fn()
        return 0 if fn is None else fn.cache_size()
