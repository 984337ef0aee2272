"""Running traced functions on concrete values: where, and compiled to what."""

from __future__ import annotations

import contextlib
import itertools
import sys
import time
import weakref
from collections import Counter, deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NoReturn, cast

import numpy as np

from covector import _native
from covector.core import collector, tree
from covector.core.avals import Array, ShapedArray, nbytes_of, to_array
from covector.core.backend import (
    CompilerOptions,
    Layout,
    Module,
    Program,
    SpreadingBackend,
    check_spread,
    get_backend,
    has_one_memory,
    spreads,
)
from covector.core.config import config, override
from covector.core.dce import dce
from covector.core.errors import (
    JaxRuntimeError,
    SourceFrame,
    at_user_line,
    called_name,
    is_library,
    warn,
)
from covector.core.jaxpr import ClosedJaxpr, Jaxpr, all_jaxprs, nesting
from covector.core.levels import room_for
from covector.core.monitoring import COMPILED, DURATIONS, LOWERED, tell
from covector.core.references import Reference, values_of
from covector.core.rules import has_steps, layout_primitives, transpose_only
from covector.core.trace import Primitive, Tracer, raise_leaked
from covector.primitives.arithmetic import div_p, integer_pow_p, rem_p
from covector.primitives.exponential import pow_p
from covector.runtime import transfers
from covector.runtime.moves import move_results, moved, moves_of, place_of
from covector.runtime.placement import (
    Placement,
    as_sharding,
    check_addressable,
    default_placement,
    on_all_of,
    placement,
    put,
    target_of,
)
from covector.runtime.progress import progress
from covector.transforms.arguments import argument_names
from covector.transforms.jit import Entry, Jitted, tell_step

if TYPE_CHECKING:
    from covector.sharding.named import NamedSharding

# What a backend's lowered program must have.
_MODULE = ("platform", "dialects", "default_dialect", "as_text", "compile")


class Spread:
    """Where a program on several devices has what.

    Attributes
    ----------
    results : tuple of int
        The native index of the placement of each result.
    shardings : tuple of Sharding
        Of the results.
    operands : tuple of Sharding or None
        Of the arguments; None stands for the whole on each device.
    layout : Layout or None
        For a backend that partitions the program; None where the devices share one memory.
    """

    __slots__ = ("results", "shardings", "operands", "layout")

    def __init__(self, results: tuple[int, ...], found: Layout, partitioned: bool) -> None:
        self.results = results
        self.shardings = found.results
        self.operands = found.operands
        self.layout = found if partitioned else None


def lower_entry(
    entry: Entry, donated: tuple[bool, ...], keep_unused: bool, name: str, platform: str,
    layout: Layout | None = None,
) -> tuple[Module, list[int], list[int]]:  # fmt: skip
    """The lowered program, the positions of the flat arguments that it takes, and which of those
    it is given for good."""
    key = (platform, donated, keep_unused, layout)
    found = entry.programs.get(key)
    if found is None:
        with room_for(nesting(entry.closed.jaxpr)):
            found = _lower(entry.closed, donated, keep_unused, name, platform, layout)
            entry.programs[key] = found
        _forget_all_but_the_latest(entry, key)
    return found


# What is lowered may be compiled for another device soon, or shown; it is larger than its code.
_LOWERED = 64
_lowered: deque[tuple[weakref.ref[Entry], Any]] = deque()


def _forget_all_but_the_latest(entry: Entry, key: Any) -> None:
    """Note that a program was lowered; those of long ago are lowered again if asked for."""
    _lowered.append((weakref.ref(entry), key))
    while len(_lowered) > _LOWERED:
        ref, old = _lowered.popleft()
        other = ref()
        if other is not None:
            other.programs.pop(old, None)


def compile_entry(
    entry: Entry, donated: tuple[bool, ...], keep_unused: bool, name: str, where: Placement,
    spread: Spread | None = None, options: CompilerOptions = (),
) -> tuple[Program, list[int], list[int]]:  # fmt: skip
    """The compiled program, the positions of the flat arguments that it takes, and which of those
    it is given for good."""
    results, layout = (None, None) if spread is None else (spread.results, spread.layout)
    key = (where.index, donated, keep_unused, results, layout, options)
    found = entry.programs.get(key)
    if found is None:
        device = where.device
        with collector.paused(), room_for(nesting(entry.closed.jaxpr)):
            start = time.perf_counter()
            module, kept, given = lower_entry(
                entry, donated, keep_unused, name, device.platform, layout
            )
            middle = time.perf_counter()
            backend = get_backend(device.platform)
            each = layout is not None or (results is not None and has_one_memory(backend))
            at = results if each and results is not None else where.index
            with progress(f"compiling {name} for {device.platform}"):
                program = _compile(module, device, at, options)
            program.executable.donate(given)
            _tell_compiled(entry.closed, name, middle - start, time.perf_counter() - middle)
            if config.dump_ir_to:
                from covector.runtime import dumps  # few processes need it

                dumps.dump(module, name)
            inspection = sys.modules.get("covector.sharding.inspection")
            if inspection is not None and entry.closed.effects:
                operands = None if spread is None else spread.operands
                inspection.tell(entry.closed, where.sharding, operands)
            found = entry.programs[key] = (program, kept, given)
    return found


def _compile(module: Any, device: Any, at: Any, options: CompilerOptions) -> Program:
    """The program compiled, with options if its platform's compiler has any."""
    if not options:
        return cast(Program, module.compile(device, at))
    if getattr(module, "has_options", False):
        return cast(Program, module.compile(device, at, options))
    unknown = [name for name, _ in options if not name.startswith("xla_")]
    if unknown:
        raise JaxRuntimeError(
            f"compiler_options: there is no such compile option for {module.platform}: "
            f"{', '.join(map(repr, unknown))}{at_user_line()}"
        )
    warn(
        f"compiler_options: {', '.join(name for name, _ in options)} are of XLA, which does not "
        f"compile for {module.platform}: they change nothing there"
    )
    return cast(Program, module.compile(device, at))


def _compiled(
    jitted: Jitted, entry: Entry, donated: tuple[bool, ...], where: Placement,
    spread: Spread | None,
) -> tuple[Program, list[int], list[int]]:  # fmt: skip
    """The program of a call, as `compile_entry` gives it."""
    return compile_entry(
        entry, donated, jitted.keep_unused, jitted.name, where, spread, jitted.options
    )


def partitioned(where: Placement, shardings: Sequence[Any], operands: Sequence[Any]) -> Spread:
    """Where a program on several devices, of which this is known, has what."""
    from covector.sharding import propagate

    backend = get_backend(where.device.platform)
    layout = Layout(propagate.whole(where.sharding), operands, shardings)
    results = tuple([placement(s, where.committed).index for s in shardings])
    return Spread(results, layout, spreads(backend, where.sharding))


def _tell_compiled(closed: ClosedJaxpr, name: str, lowering: float, compiling: float) -> None:
    """Log a compilation, and tell who listens."""
    avals = closed.in_avals
    if config.log_compiles and len(closed.eqns) >= config.compiler_detailed_logging_min_ops:
        tell_step(LOWERED, "lowered", name, lowering, avals)
        tell_step(COMPILED, "compiled", name, compiling, avals)
        return
    if DURATIONS:
        tell(DURATIONS, LOWERED, lowering, fun_name=name)
    tell_step(COMPILED, "compiled", name, lowering + compiling, avals)


def _warn_of_constants(jaxpr: Jaxpr, name: str) -> None:
    """Warn where the constants of a program are larger than an option says."""
    bound = config.captured_constants_warn_bytes
    total = sum(nbytes_of(v.aval) for v in jaxpr.constvars)
    if bound < 0 or total < bound:
        return
    most = config.captured_constants_report_frames
    lines = []
    for v in jaxpr.constvars[: most if most >= 0 else None]:
        users = [e for e in jaxpr.eqns if v in e.invars and e.source_info is not None]
        where = f" at {SourceFrame(*users[0].source_info)}" if users else ""
        lines.append(f"\n  {v.aval.str_short()}{where}")
    warn(
        f"{name} has {total} bytes of constants: arrays that it closes over "
        "are kept with the program. Pass them as arguments instead (options "
        f"captured_constants_warn_bytes, captured_constants_report_frames){''.join(lines)}"
    )


def _lower(
    closed: ClosedJaxpr,
    donated: Sequence[bool],
    keep_unused: bool,
    name: str,
    platform: str,
    layout: Layout | None,
) -> tuple[Module, list[int], list[int]]:
    """Lower ``closed`` without dead code and, unless ``keep_unused``, without dead arguments."""
    jaxpr = dce(closed.jaxpr)
    if _look_through(jaxpr):
        # Not at the top: few programs have primitives of users.
        from covector.transforms.expand import expand

        keeps = frozenset[Any]()
        if layout is not None:
            kept = getattr(get_backend(platform), "kept", keeps)
            keeps = kept | layout_primitives
        jaxpr = expand(jaxpr, keeps)
    used = _read_in(jaxpr)
    kept = [i for i, v in enumerate(jaxpr.invars) if keep_unused or v in used]
    consts = [(v, c) for v, c in zip(jaxpr.constvars, closed.consts, strict=True) if v in used]
    jaxpr = jaxpr.replace(constvars=[v for v, _ in consts], invars=[jaxpr.invars[i] for i in kept])
    if consts:
        _warn_of_constants(jaxpr, name)
    usable = _usable(jaxpr, [donated[i] for i in kept], name)
    backend, program = get_backend(platform), ClosedJaxpr(jaxpr, [c for _, c in consts])
    if layout is None:
        module = backend.lower(program, usable, name)
    else:
        spreading = cast(SpreadingBackend, backend)
        module = spreading.lower_spread(program, usable, name, layout.kept(kept))
    lacking = [a for a in _MODULE if not hasattr(module, a)]
    if lacking:
        raise RuntimeError(
            f"what the backend {platform!r} lowered {name} to, a {type(module).__name__}, lacks "
            f"{', '.join(lacking)}, which a lowered program must have"
        )
    return module, kept, [i for i, u in enumerate(usable) if u]


def _usable(jaxpr: Jaxpr, donated: list[bool], name: str) -> list[bool]:
    """Which donated arguments a result can take over: one of the same size in bytes each."""
    if not any(donated):
        return donated
    free = Counter(nbytes_of(v.aval) for v in jaxpr.outvars)
    usable, others = [], []
    for v, d in zip(jaxpr.invars, donated, strict=True):
        size = nbytes_of(v.aval)
        usable.append(d and free[size] > 0)
        if usable[-1]:
            free[size] -= 1
        elif d:
            others.append(v.aval.str_short())
    if others:
        warn(
            f"Some donated buffers were not usable: {', '.join(others)}. Each result of {name} "
            "takes over the memory of one donated argument of its size in bytes, and none is left "
            "for these: they stay as they are. Donate them no longer"
        )
    return usable


def _look_through(jaxpr: Jaxpr) -> bool:
    """Whether there are primitives of users.

    Raises the error for tangents that only have a transpose (see `custom_vjp`).
    """
    own = False
    for eqn in itertools.chain.from_iterable(j.eqns for j in all_jaxprs(jaxpr)):
        prim = eqn.primitive
        if prim in transpose_only:
            assert prim.impl is not None
            prim.impl([], eqn.params)  # raises the error that says so
        own = own or prim.function is not None or prim.expansion is not None
    return own


def _used(entry: Entry) -> list[bool]:
    """Whether each argument of a traced function is used."""
    if entry.used is None:
        jaxpr = dce(entry.closed.jaxpr)
        used = _read_in(jaxpr)
        entry.used = [v in used for v in jaxpr.invars]
    return entry.used


def _read_in(jaxpr: Jaxpr) -> set[Any]:
    """The variables that the equations and the results of a jaxpr read."""
    return {*[a for eqn in jaxpr.eqns for a in eqn.invars], *jaxpr.outvars}


def where_to_run(
    jitted: Jitted, entry: Entry, leaves: Sequence[Any],
    names: Callable[[], Sequence[str]] | None = None,
) -> Placement:  # fmt: skip
    """The device that a function was given, or that of its arguments, or the default one.

    Arguments that it does not use say nothing.
    """
    given = jitted.device
    if given is None:
        # All on the default placement is the usual case.
        if config.default_device is None and not config.platforms and not config.platform_name:
            if not any(type(x) is Array and x._placement for x in leaves):
                return default_placement()
        # Results of the library's own functions are where their operands are, used or not.
        plain = entry.refs is None and not entry.hoisted
        if plain and jitted.is_users and not jitted.keep_unused:
            leaves = [x if u else None for x, u in zip(leaves, _used(entry), strict=True)]
        return target_of(leaves, lambda: _shown(jitted), names)
    if isinstance(given, str):
        given = get_backend(given).devices()[0]
    return placement(as_sharding(given, f"jit of {jitted.name}").with_memory_kind(None), True)


def _shown(jitted: Jitted) -> str:
    """The name of a function for the user, who has called it or one of the library's around it."""
    return called_name(jitted.name.strip("_")) if _is_ours(jitted) else jitted.name


def _is_ours(jitted: Jitted) -> bool:
    """Whether it is a private function of the library, whose name says nothing to the user."""
    code = getattr(jitted.fun, "__code__", None)
    return jitted.name.startswith("_") and code is not None and is_library(code.co_filename)


def _propagate() -> Any:
    """The module that knows how programs on meshes are laid out, if there are any meshes."""
    if "covector.sharding.named" not in sys.modules:
        return None
    from covector.sharding import propagate

    return propagate


def on_mesh(entry: Entry, where: Placement, name: str) -> Placement:
    """Where a program runs that may say itself on which devices.

    Raises
    ------
    ValueError
        If these are not those that its arguments are committed to.
    """
    propagate = _propagate()
    mesh = None if propagate is None else propagate.mesh_in(entry.closed)
    if mesh is None:
        return where
    if where.sharding.spread and cast("NamedSharding", where.sharding).mesh == mesh:
        return where
    if where.committed and where.sharding.device_set != set(mesh.devices.flat):
        raise ValueError(
            f"{name} says that values lie on the mesh {mesh}, of {mesh.size} devices from "
            f"{mesh.devices.flat[0]!r}, and has arguments that are committed to other devices, "
            f"{where.sharding!r}. Move them with device_put{at_user_line()}"
        )
    return on_all_of(mesh, True)


def layout_of(entry: Entry, where: Placement, operands: Sequence[Any]) -> Layout:
    """How arguments and results of a program on several devices lie; ``operands`` are arrays, or
    shardings of those that are to come."""
    from covector.sharding import propagate
    from covector.sharding.partition.mesh import process_mesh

    sharding = where.sharding
    given = [x.sharding if type(x) is Array else x for x in operands]
    given = [None] * (len(entry.closed.in_avals) - len(given)) + given
    whole = propagate.whole(sharding)
    results = propagate.results(entry.closed, sharding, given)
    if not sharding.is_fully_addressable and has_one_memory(get_backend(where.device.platform)):
        # A process has one block of a result; types of Explicit axes are kept, or an error.
        mesh = process_mesh(cast("NamedSharding", sharding).mesh)
        results = [
            s if a.placed is not None else s.update(spec=mesh.nearest(s.spec))
            for s, a in zip(results, entry.closed.out_avals, strict=True)
        ]
    return Layout(whole, [s if _on_same(s, sharding) else whole for s in given], results)


def spread_of(entry: Entry, where: Placement, operands: Sequence[Any]) -> Spread | None:
    """Where a program has what, if it runs on several devices."""
    if not where.sharding.spread:
        return None
    backend = get_backend(where.device.platform)
    check_spread(backend, where.sharding)
    layout = layout_of(entry, where, operands)
    return partitioned(where, layout.results, layout.operands)


def _on_same(s: Any, sharding: Any) -> bool:
    return getattr(s, "mesh", None) == sharding.mesh


def names_in(jitted: Jitted, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Sequence[str]:
    """Names of the arrays among the arguments of a call, for messages."""
    if jitted.primitive is not None or _is_ours(jitted):
        return ()
    dyn_args, dyn_kwargs, statics = jitted.split_static(args, kwargs)
    skip = [w for w, _, _ in statics if isinstance(w, int)]
    return argument_names(jitted.fun, dyn_args, dyn_kwargs, skip)


def execute(jitted: Jitted, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Any]:
    """The result on concrete values, and the `FastPath` for the next call, if there is one."""
    if config.no_execution:
        raise_no_execution(jitted.name)
    entry, flat = jitted.trace(args, kwargs)
    if entry.refs is not None:
        return _execute_on_refs(jitted, entry, flat, args, kwargs), None
    for x in (*entry.hoisted, *flat):
        if isinstance(x, Tracer):
            raise_leaked(x)
    names = lambda: names_in(jitted, args, kwargs)  # noqa: E731
    elsewhere: list[Any] = []
    if getattr(jitted.fun, "_in_shardings", None) is not None:
        from covector.sharding.arguments import asked_elsewhere

        elsewhere = asked_elsewhere(jitted, args, flat, names)
        for k, sharding in elsewhere:
            flat[k] = put(flat[k], placement(sharding, True))
    where, moves = _where_now(jitted, entry, flat, names)
    spread = spread_of(entry, where, flat)
    donated = jitted.donated(entry, args)
    looks = looks_at_results()
    if looks:
        donated = (False,) * len(donated)  # the arguments are needed a second time
    program, kept, _ = _compiled(jitted, entry, donated, where, spread)
    avals = entry.closed.in_avals
    plain = check_operands(jitted, [flat[i] for i in kept], [avals[i] for i in kept], where)
    with transfers.asked_for() if not plain else contextlib.nullcontext():
        operands = [to_array(flat[i], avals[i]) for i in kept]
    outs = program.executable.call(operands)
    if moves is not None and moves.any_result:
        outs, plain = move_results(moves, outs), False
    result = tree.unflatten(entry.out_tree, outs)
    if looks:
        _check_finite(jitted, outs, args, kwargs)
        return result, None
    if not plain or elsewhere:
        return result, None
    return result, _native.FastPath(program.executable, kept, fast_tree(entry.out_tree))


def _where_now(
    jitted: Jitted, entry: Entry, operands: Sequence[Any], names: Callable[[], Sequence[str]]
) -> tuple[Placement, Any]:
    """Where a program is to run now, and what moves within it."""
    where = on_mesh(entry, where_to_run(jitted, entry, operands, names), jitted.name)
    moves = moves_of(entry)
    if moves is not None:
        where = place_of(moves, where, jitted.name)
    if not where.sharding.spread:
        check_addressable(where.device, jitted.name)
    return where, moves


def _execute_on_refs(
    jitted: Jitted, entry: Entry, flat: list[Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """The result of a function that uses references, which have their new values then."""
    operands = entry.operands(flat)
    for x in operands:
        if isinstance(x, Tracer):
            raise_leaked(x)
    where, moves = _where_now(jitted, entry, operands, lambda: names_in(jitted, args, kwargs))
    spread = spread_of(entry, where, operands)
    donated = donated_with_refs(entry, jitted.donated(entry, args))
    program, kept, _ = _compiled(jitted, entry, donated, where, spread)
    outs = call_on_refs(entry, program, kept, flat, operands)
    if moves is not None:
        outs = move_results(moves, outs)
    if config.debug_nans or config.debug_infs:
        assert entry.refs is not None
        written = values_of(entry.refs.written_refs(flat))
        _check_finite(jitted, [*outs, *written], args, kwargs)
    return tree.unflatten(entry.out_tree, outs)


def donated_with_refs(entry: Entry, donated: tuple[bool, ...]) -> tuple[bool, ...]:
    """``donated``, and the values of references that are written: the new ones replace them."""
    if entry.refs is None:
        return donated
    n = len(entry.hoisted)
    written = {
        next(k for k, c in enumerate(entry.hoisted) if c is w)
        if isinstance(w, Reference) else n + w
        for w in entry.refs.written
    }  # fmt: skip
    return tuple([d or i in written for i, d in enumerate(donated)])


def call_on_refs(
    entry: Entry, program: Program, kept: list[int], flat: Sequence[Any], operands: Sequence[Any]
) -> Sequence[Any]:
    """The results of ``program`` on ``operands``, some of which are values of references."""
    assert entry.refs is not None
    avals = entry.closed.in_avals
    try:
        outs = program.executable.call([to_array(operands[i], avals[i]) for i in kept])
    except BaseException:
        entry.refs.lose(flat)
        raise
    return entry.results(flat, outs)


Jitted.execute = staticmethod(execute)  # type: ignore[method-assign, assignment]


def raise_no_execution(name: str) -> NoReturn:
    raise RuntimeError(f"{name} would run, and the option no_execution is set{at_user_line()}")


def looks_at_results() -> bool:
    """Whether options ask for a look at the results of every program."""
    return config.debug_nans or config.debug_infs or config.error_checking_behavior_nan == "raise"


# Whether an operation divides by zero: of its parameters and operands.
_DIVIDES: dict[Primitive | None, Callable[..., bool]] = {
    div_p: lambda _, x, y: not np.all(y),
    rem_p: lambda _, x, y: not np.all(y),
    integer_pow_p: lambda params, x: params["y"] < 0 and not np.all(x),
    pow_p: lambda _, x, y: bool(np.any((np.real(y) < 0) & (x == 0))),
}


def _divides_by_zero(jitted: Jitted, operands: Sequence[Any]) -> bool:
    rule = _DIVIDES.get(jitted.primitive)
    if rule is None:
        return False
    return rule(jitted.params, *[np.asarray(_whole(x)) for x in operands])


def check_operands(
    jitted: Jitted, operands: list[Any], avals: list[ShapedArray], where: Placement
) -> bool:
    """Look at the operands of a program as options say; whether they are to look at none."""
    plain = True
    if transfers.guarded("host_to_device") or transfers.guarded("device_to_device"):
        what = jitted.primitive.name if jitted.primitive is not None else jitted.name
        transfers.check_operands(operands, avals, where.sharding, what)
        plain = False
    if config.error_checking_behavior_divide == "raise":
        if _divides_by_zero(jitted, operands):
            raise ZeroDivisionError(
                f"a division by zero in {jitted.primitive}, and the option "
                f"error_checking_behavior_divide is 'raise'{at_user_line()}"
            )
        plain = False
    return plain


def fast_tree(treedef: Any) -> Any:
    """An output structure in the form that `FastPath` takes."""
    count = 0
    made: list[Any] = []  # of nodes that are through, the last ones first to be taken
    todo = [(treedef, False)]
    while todo:
        node, children_made = todo.pop()
        if node.is_leaf():
            made.append(count)
            count += 1
        elif node.type is None or node.type is type(None):
            made.append(("n",))
        elif children_made:
            first = len(made) - node.num_children
            children = made[first:]
            del made[first:]
            made.append(_fast_node(node, children))
        else:
            todo.append((node, True))
            todo += [(child, False) for child in reversed(node.children())]
    return made[0]


def _fast_node(node: Any, children: list[Any]) -> Any:
    if node.type is tuple:
        return ("t", children)
    if node.type is list:
        return ("l", children)
    if node.type is dict:
        # In the order in which the function put the keys, not that of the leaves.
        by_key = dict(zip(node.entries(), children, strict=True))
        keys = list(node.one_level().unflatten([0] * len(children)))
        return ("d", keys, [by_key[k] for k in keys])
    return ("c", node.one_level().unflatten, children)


def _check_finite(
    jitted: Jitted, outs: Sequence[Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    bad = find_nonfinite(outs)
    if bad is None:
        return
    prim = jitted.primitive
    if prim is not None and not has_steps(prim):
        raise FloatingPointError(
            f"invalid value ({bad}) encountered in the operation {prim.name}{at_user_line()}"
        )
    # Run it again operation by operation: the one at fault raises with its own line.
    with override(disable_jit=True):
        jitted.fun(*args, **kwargs)
    what = f"compiled function {jitted.name}" if prim is None else f"operation {prim.name}"
    raise FloatingPointError(
        f"invalid value ({bad}) in the result of the {what}; it does not occur when it runs "
        f"operation by operation{at_user_line()}"
    )


def _whole(x: Any) -> Any:
    """All of an operand or result, on each process, so that all of them find the same in it."""
    if getattr(x, "is_fully_addressable", True) or x.is_fully_replicated:
        return x
    with override(debug_nans=False, debug_infs=False, error_checking_behavior_nan="ignore"):
        return moved(x, x.sharding.update(spec=()))


def find_nonfinite(outs: Sequence[Any]) -> str | None:
    """``"nan"`` or ``"inf"`` if the options ask to look for it and an array has one."""
    for x in outs:
        if getattr(x.dtype, "kind", "") not in "fcV" or x.dtype.name.startswith("key"):
            continue
        values = np.asarray(_whole(x))
        if values.dtype.kind == "V":
            values = values.astype(np.float32)
        nans = config.debug_nans or config.error_checking_behavior_nan == "raise"
        if nans and np.isnan(values).any():
            return "nan"
        if config.debug_infs and np.isinf(values).any():
            return "inf"
    return None
