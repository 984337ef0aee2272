"""The stages of compilation that ``jit(f).lower(...).compile()`` passes through."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from covector.core import tree
from covector.core.avals import Array, ShapedArray, to_array
from covector.core.backend import CompilerOptions, Device, Module, get_backend, spreads
from covector.core.config import config
from covector.core.device import Space
from covector.core.errors import at_user_line, boundaries
from covector.core.jaxpr import ClosedJaxpr, nesting
from covector.core.layout import format_of
from covector.core.levels import room_for
from covector.core.references import type_of_value, values_of
from covector.core.trace import Tracer
from covector.core.tree_nodes import without_float0
from covector.runtime.execution import (
    Spread,
    call_on_refs,
    compile_entry,
    donated_with_refs,
    find_nonfinite,
    layout_of,
    looks_at_results,
    lower_entry,
    on_mesh,
    raise_no_execution,
    spread_of,
    where_to_run,
)
from covector.runtime.moves import move_results, moves_of, place_of
from covector.runtime.placement import Placement, as_sharding, in_space, placement
from covector.transforms.jit import Entry, Jitted, checked_options
from covector.transforms.shapes import ShapeDtypeStruct, struct_of

if TYPE_CHECKING:
    from covector.sharding.cost import Cost
    from covector.sharding.named import NamedSharding


class ArgInfo:
    """Type of an argument of a compiled function, and whether it is donated.

    Attributes
    ----------
    shape : tuple of int
    dtype : dtype
    donated : bool

    Examples
    --------
    >>> import covector as cv
    >>> lowered = cv.jit(lambda x: x + 1, donate_argnums=0).lower(cv.numpy.arange(3))
    >>> (info,), kwargs = lowered.args_info
    >>> info.shape, info.donated
    ((3,), True)
    """

    __slots__ = ("_aval", "donated")

    def __init__(self, _aval: ShapedArray, donated: bool) -> None:
        self._aval = _aval
        self.donated = donated

    @property
    def shape(self) -> tuple[int, ...]:
        return self._aval.shape

    @property
    def dtype(self) -> Any:
        return self._aval.dtype

    def __repr__(self) -> str:
        return f"ArgInfo(aval={self._aval!r}, donated={self.donated})"


@boundaries
class _Stage:
    def __init__(
        self, jitted: Jitted, entry: Entry, donated: tuple[bool, ...], where: Placement,
        given: Sequence[Any] = (),
    ) -> None:  # fmt: skip
        self._jitted = jitted
        self._entry = entry
        self._donated = donated
        self._where = where
        # The shardings of the arguments, where these are on several devices.
        self._given = given

    def _spread(self, where: Placement) -> Spread | None:
        return spread_of(self._entry, where, self._given)

    @property
    def in_tree(self) -> Any:
        return self._entry.in_tree

    @property
    def out_tree(self) -> Any:
        return self._entry.out_tree

    @property
    def args_info(self) -> Any:
        """Tree of `ArgInfo` of the arguments, as ``(args, kwargs)``."""
        n = len(self._entry.hoisted)
        infos = [
            ArgInfo(a, d)
            for a, d in zip(self._entry.closed.in_avals[n:], self._donated[n:], strict=True)
        ]
        return tree.unflatten(self._entry.in_tree, infos)

    @property
    def in_avals(self) -> Any:
        n = len(self._entry.hoisted)
        return tree.unflatten(self._entry.in_tree, self._entry.closed.in_avals[n:])

    @property
    def out_info(self) -> Any:
        """Tree of `ShapeDtypeStruct` of the result."""
        shapes = [struct_of(a) for a in self._entry.out_avals]
        return tree.unflatten(self._entry.out_tree, shapes)

    @property
    def donate_argnums(self) -> tuple[int, ...]:
        return tuple(i for i, d in enumerate(self._donated) if d)

    def _cost(self, results: Sequence[Any] | None = None) -> Cost:
        """What the program costs on each device, with its results where ``results`` says."""
        from covector.sharding import cost, propagate  # few programs are asked

        closed = self._entry.closed
        mesh = getattr(self._where.sharding, "mesh", None)
        sizes = {} if mesh is None else dict(mesh.shape)

        def split(aval: Any, sharding: Any) -> Any:
            return propagate.split_on(sharding, aval, sizes)

        given = [None] * (len(closed.in_avals) - len(self._given)) + list(self._given)
        ins = [split(a, s) for a, s in zip(closed.in_avals, given, strict=True)]
        outs = None
        if results is not None:
            outs = [split(a, s) for a, s in zip(closed.out_avals, results, strict=True)]
        donated = [i for i, d in enumerate(self._donated) if d]
        return cost.of_splits(closed, sizes, ins, outs, donated)


@boundaries
class Traced(_Stage):
    """A function traced for given types of its arguments.

    Attributes
    ----------
    jaxpr : ClosedJaxpr
    fun_name : str

    Examples
    --------
    >>> import covector as cv
    >>> traced = cv.jit(lambda x: x * 2).trace(cv.ShapeDtypeStruct((3,), "float32"))
    >>> traced.out_info
    ShapeDtypeStruct(shape=(3,), dtype=float32)
    """

    @property
    def out_avals(self) -> Any:
        """Tree of the types of the result, as the compiler knows them."""
        return tree.unflatten(self._entry.out_tree, self._entry.closed.out_avals)

    @property
    def jaxpr(self) -> ClosedJaxpr:
        return self._entry.closed

    @property
    def fun_name(self) -> str:
        return self._jitted.name

    @property
    def lojax(self) -> Traced:
        """The function in terms of arrays alone: itself, for there are no other types."""
        return self

    def lower(self, *, lowering_platforms: str | Sequence[str] | None = None) -> Lowered:
        """Prepare the program for compilation, by default for where its arguments are."""
        if isinstance(lowering_platforms, str):
            lowering_platforms = (lowering_platforms,)
        platforms = tuple(lowering_platforms or (self._where.device.platform,))
        return Lowered(
            self._jitted, self._entry, self._donated, self._where, self._given, platforms
        )


@boundaries
class Lowered(_Stage):
    """A function ready to be compiled for given types of its arguments.

    Attributes
    ----------
    platforms : tuple of str
        For which it was lowered.

    Examples
    --------
    >>> import covector as cv
    >>> lowered = cv.jit(lambda x: x * 2).lower(cv.numpy.ones(3))
    >>> print(lowered.as_text("jaxpr"))
    { lambda  ; a:f32[3]. let
        b:f32[3] = mul a 2.0:f32[]*
      in (b,) }
    >>> print(lowered.as_text())
    module @covector__lambda_ {
      func.func public @main(%arg0: tensor<3xf32>) -> (tensor<3xf32>) {
        %1 = stablehlo.constant dense<2.0> : tensor<3xf32>
        %2 = stablehlo.multiply %arg0, %1 : tensor<3xf32>
        return %2 : tensor<3xf32>
      }
    }
    <BLANKLINE>
    >>> lowered.platforms
    ('cpu',)
    """

    def __init__(
        self, jitted: Jitted, entry: Entry, donated: tuple[bool, ...], where: Placement,
        given: Sequence[Any], platforms: tuple[str, ...],
    ) -> None:  # fmt: skip
        super().__init__(jitted, entry, donated, where, given)
        self.platforms = platforms

    def _module(self, platform: str | None) -> Module:
        if platform is None:
            platform = self.platforms[0]
        if platform not in self.platforms:
            raise ValueError(
                f"the function {self._jitted.name} was lowered for {', '.join(self.platforms)}, "
                f"not for {platform}; name it in lowering_platforms{at_user_line()}"
            )
        return self._lowered_for(platform)

    def _lowered_for(self, platform: str) -> Module:
        jitted = self._jitted
        layout = None
        if self._where.sharding.spread and spreads(get_backend(platform), self._where.sharding):
            layout = layout_of(self._entry, self._where, self._given)
        return lower_entry(
            self._entry, self._donated, jitted.keep_unused, jitted.name, platform, layout
        )[0]

    def as_text(
        self, dialect: str | None = None, *, debug_info: bool = False, platform: str | None = None
    ) -> str:
        """The program as text.

        Parameters
        ----------
        dialect : str, optional
            ``stablehlo`` (the default), ``jaxpr``, as it was traced, or one of the platform's; the
            CPU has ``simplified``, ``loop``, ``schedule``, ``llvm``, ``optimised`` and ``asm``.
        debug_info : bool
            Whether StableHLO says the places of the user's code that operations come from.
        platform : str, optional
            One of `platforms`, by default the first.

        Returns
        -------
        str
        """
        module = self._module(platform)
        if dialect is None:
            dialect = "stablehlo" if _has_stablehlo(module) else "jaxpr"
        if dialect == "jaxpr":
            return str(self._entry.closed)
        if dialect == "stablehlo" and module.platform == "cpu":
            module = self._lowered_for("xla_cpu")  # the CPU's own compiler does without
        if debug_info and dialect == "stablehlo" and "stablehlo" in module.dialects:
            dialect = "stablehlo with places"
            return module.as_text(dialect)
        return _text(self._entry, module, dialect)

    def dialects(self, platform: str | None = None) -> tuple[str, ...]:
        """Names of the texts that `as_text` has, in the order of the stages."""
        return self._module(platform).dialects

    def compiler_ir(self, dialect: str | None = None) -> Any:
        """The program as an object: a ClosedJaxpr."""
        return self._entry.closed

    def cost_analysis(self) -> dict[str, float]:
        """Estimates for each device: ``flops``, ``bytes accessed``, and what it sends to others.

        What they are, `covector.sharding.cost` says, which also has costs on meshes that are not
        there.
        """
        return self._cost().properties()

    def compile(
        self, compiler_options: dict[str, Any] | None = None, *,
        device_assignment: Sequence[Device] | None = None,
    ) -> Compiled:  # fmt: skip
        """Compile for the device of the arguments, or for the one in ``device_assignment``.

        ``compiler_options`` are those of XLA for this program, by name, besides those of `jit`.
        """
        given = dict(checked_options(compiler_options))
        options = checked_options({**dict(self._jitted.options), **given})
        where = self._where
        if device_assignment is not None:
            if not isinstance(device_assignment, Sequence):
                device_assignment = (device_assignment,)
            if len(device_assignment) != 1:
                raise ValueError(
                    f"the function {self._jitted.name} runs on one device, but device_assignment "
                    f"has {len(device_assignment)}{at_user_line()}"
                )
            sharding = as_sharding(device_assignment[0], "device_assignment")
            where = placement(sharding.with_memory_kind(None), True)
        self._module(self._platform_of(where.device, device_assignment is not None))
        return Compiled(self._jitted, self._entry, self._donated, where, self._given, options)

    def _platform_of(self, device: Device, named: bool) -> str:
        """The name that a device has among `platforms`; ``named`` if the user has named it."""
        # GPUs of all makers are of one platform, and their clients say whose.
        client = getattr(device, "client", None)
        for name in (device.platform, getattr(client, "platform", None)):
            if name in self.platforms:
                return str(name)
        remedy = (
            f"name {device.platform} in lowering_platforms"
            if named
            else f"name a device, compile(device_assignment=covector.devices({self.platforms[0]!r})"
            "[:1]), or lower it for arguments that are on one"
        )
        raise ValueError(
            f"the function {self._jitted.name} was lowered for {', '.join(self.platforms)}, and is "
            f"compiled for {device!r}, of {device.platform}: {remedy}{at_user_line()}"
        )


def _has_stablehlo(module: Module) -> bool:
    return module.platform == "cpu" or "stablehlo" in module.dialects


def _text(entry: Entry, module: Module, dialect: str) -> str:
    if dialect not in module.dialects:
        raise ValueError(
            f"unknown dialect {dialect!r}: a program for {module.platform} is shown as "
            f"{', '.join(module.dialects)}"
        )
    with room_for(nesting(entry.closed.jaxpr)):
        return module.as_text(dialect)


@boundaries
class Compiled(_Stage):
    """A compiled function: callable with arguments of exactly the types it was made for.

    Static arguments are left out in calls.

    Examples
    --------
    >>> import covector as cv
    >>> power = cv.jit(lambda x, n: x**n, static_argnums=1)
    >>> compiled = power.lower(cv.numpy.arange(3.0), 2).compile()
    >>> compiled(cv.numpy.array([1.0, 2.0, 3.0]))
    Array([1., 4., 9.], dtype=float32)
    >>> compiled.memory_analysis().output_size_in_bytes
    12
    """

    def __init__(
        self, jitted: Jitted, entry: Entry, donated: tuple[bool, ...], where: Placement,
        given: Sequence[Any], options: CompilerOptions = (),
    ) -> None:  # fmt: skip
        self._moves = moves_of(entry)
        if self._moves is not None:
            where = place_of(self._moves, where, jitted.name)
        super().__init__(jitted, entry, donated, where, given)
        self._at = self._spread(where)
        self._program, self._kept, self._taken = compile_entry(
            entry, donated, jitted.keep_unused, jitted.name, where, self._at, options
        )

    def as_text(self, dialect: str | None = None) -> str:
        """The program at one stage of its way to the device.

        On the CPU: ``jaxpr``, ``simplified``, ``loop``, ``schedule``, ``llvm`` (the default),
        ``optimised`` or ``asm``.
        """
        module = self._lowered()
        return _text(self._entry, module, dialect or module.default_dialect)

    def _lowered(self) -> Module:
        """What it was compiled from, lowered again if that was long ago."""
        jitted, platform = self._jitted, self._where.device.platform
        layout = None if self._at is None else self._at.layout
        return lower_entry(
            self._entry, self._donated, jitted.keep_unused, jitted.name, platform, layout
        )[0]

    @property
    def input_shardings(self) -> Any:
        """Tree of the shardings of the arguments, as ``(args, kwargs)``."""
        return tree.unflatten(self._entry.in_tree, self._in_shardings())

    def _in_shardings(self) -> list[Any]:
        where = self._where.sharding
        if self._at is None:
            return [where] * self._entry.in_tree.num_leaves
        given = list(self._given)[-self._entry.in_tree.num_leaves :]
        whole = cast("NamedSharding", where).update(spec=())
        return [s if s is not None and s.spread else whole for s in given]

    @property
    def output_shardings(self) -> Any:
        """Tree of the shardings of the result."""
        return tree.unflatten(self._entry.out_tree, self._result_shardings())

    def _result_shardings(self) -> list[Any]:
        home, n = self._where.sharding, self._entry.out_tree.num_leaves
        if self._at is not None:
            return list(self._at.shardings[:n])
        if self._moves is None:
            return [home] * n
        return [
            home if m is None else in_space(home, m) if isinstance(m, Space) else m
            for m in self._moves.results[:n]
        ]

    @property
    def input_formats(self) -> Any:
        """Tree of the `experimental.layout.Format` of the arguments, as ``(args, kwargs)``."""
        avals = tree.leaves(self.in_avals)
        found = [format_of(a.ndim, s) for a, s in zip(avals, self._in_shardings(), strict=True)]
        return tree.unflatten(self._entry.in_tree, found)

    @property
    def output_formats(self) -> Any:
        """Tree of the `experimental.layout.Format` of the result."""
        avals, shardings = self._entry.out_avals, self._result_shardings()
        found = [format_of(a.ndim, s) for a, s in zip(avals, shardings, strict=True)]
        return tree.unflatten(self._entry.out_tree, found)

    def cost_analysis(self) -> dict[str, float]:
        """Estimates for each device: ``flops``, ``bytes accessed``, and what it sends to others.

        What they are, `covector.sharding.cost` says, which also has costs on meshes that are not
        there.
        """
        return self._cost(None if self._at is None else self._at.shardings).properties()

    def memory_analysis(self) -> MemoryStats:
        """Bytes of arguments, results, temporary memory and code on each device.

        Temporary memory is that of the compiled program on one device of the CPU, elsewhere an
        estimate (`covector.sharding.cost`). The size of the code is that of the CPU's object code,
        and what a plugin says of its own, which may be 0.
        """
        cost = self._cost(None if self._at is None else self._at.shardings)
        temp = cost.temp_bytes
        if self._at is None:
            temp = getattr(self._program.executable, "workspace_bytes", temp)
        kept = sum([cost.bytes_of_arguments[i] for i in self._kept])
        code = getattr(self._program, "code_bytes", 0)
        return MemoryStats(kept, cost.output_bytes, temp, cost.donated_bytes, code)

    def runtime_executable(self) -> Any:
        return self._program.executable

    def call(*args: Any, **kwargs: Any) -> Any:
        """The result for arguments, as of a call of the object itself, which is the first one."""
        compiled, *rest = args
        return compiled(*rest, **kwargs)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        flat, in_tree = without_float0(*tree.flatten((args, kwargs)))
        expected = self._entry.in_tree
        if in_tree != expected:
            raise TypeError(
                f"the compiled function {self._jitted.name} was made for arguments of structure "
                f"{expected}, but it was called with {in_tree} (static arguments are left out)"
                f"{at_user_line()}"
            )
        n = len(self._entry.hoisted)
        avals = self._entry.closed.in_avals[n:]
        given = [type_of_value(x) for x in flat]
        info = self._entry.closed.jaxpr.debug_info
        names = list(info.arg_names or ()) if info else []
        names = names[len(names) - len(avals) :] or list(map(str, range(len(avals))))
        wrong = [
            f"  the argument {names[i]}: made for {a.str_short()}, called with {g.str_short()}"
            for i, (a, g) in enumerate(zip(avals, given, strict=True))
            if not a.matches(g)
        ]
        if wrong:
            lines = "\n".join(wrong)
            raise TypeError(
                f"the compiled function {self._jitted.name} was made for other types of "
                f"arguments:\n{lines}{at_user_line()}"
            )
        if any(isinstance(x, Tracer) for x in flat):
            raise TypeError(
                f"the compiled function {self._jitted.name} cannot be transformed: it is machine "
                "code. Call the function that jit gave inside jit, grad, vmap and the like"
                f"{at_user_line()}"
            )
        self._check_placements(flat)
        if config.no_execution:
            raise_no_execution(self._jitted.name)
        if self._entry.refs is not None:
            operands = self._entry.operands(flat)
            outs = call_on_refs(self._entry, self._program, self._kept, flat, operands)
            if self._moves is not None:
                outs = move_results(self._moves, outs)
            return tree.unflatten(self._entry.out_tree, outs)
        values = [to_array(flat[i - n], avals[i - n]) for i in self._kept]
        outs = self._program.executable.call(values)
        if self._moves is not None:
            outs = move_results(self._moves, outs)
        if looks_at_results():
            self._check(outs)
        return tree.unflatten(self._entry.out_tree, outs)

    def _check(self, outs: Sequence[Any]) -> None:
        """Raise for NaN, or infinity, where options ask for it."""
        bad = find_nonfinite(outs)
        if bad is not None:
            raise FloatingPointError(
                f"invalid value ({bad}) in the result of the compiled function "
                f"{self._jitted.name}: call what jit gave for the operation that it comes from"
                f"{at_user_line()}"
            )

    def _check_placements(self, flat: Sequence[Any]) -> None:
        """An array that is committed elsewhere is an error, as it is for `jit`."""
        taken = {i - len(self._entry.hoisted) for i in self._kept}
        for i, (x, sharding) in enumerate(zip(flat, self._in_shardings(), strict=True)):
            if type(x) is not Array or not x._placement or not x.committed or i not in taken:
                continue
            if not x.sharding.with_memory_kind(None).is_equivalent_to(sharding, x.ndim):
                raise ValueError(
                    f"the compiled function {self._jitted.name} was made for {sharding!r}, but "
                    f"argument {i} is committed to {x.sharding!r}. Move it with device_put, or "
                    f"compile for where it is{at_user_line()}"
                )


class MemoryStats:
    """Bytes that a compiled program needs; results take over some of the arguments (alias).

    What is named ``host`` is memory that a program on a device needs of its host: none.
    """

    __slots__ = (
        "generated_code_size_in_bytes", "argument_size_in_bytes", "output_size_in_bytes",
        "alias_size_in_bytes", "temp_size_in_bytes", "host_generated_code_size_in_bytes",
        "host_argument_size_in_bytes", "host_output_size_in_bytes", "host_alias_size_in_bytes",
        "host_temp_size_in_bytes",
    )  # fmt: skip

    def __init__(
        self, argument: int, output: int, temp: int, alias: int = 0, code: int = 0
    ) -> None:
        self.generated_code_size_in_bytes = code
        self.argument_size_in_bytes = argument
        self.output_size_in_bytes = output
        self.alias_size_in_bytes = alias
        self.temp_size_in_bytes = temp
        self.host_generated_code_size_in_bytes = 0
        self.host_argument_size_in_bytes = 0
        self.host_output_size_in_bytes = 0
        self.host_alias_size_in_bytes = 0
        self.host_temp_size_in_bytes = 0

    def __repr__(self) -> str:
        items = ", ".join(f"{name}={getattr(self, name)}" for name in self.__slots__)
        return f"MemoryStats({items})"


def traced(
    jitted: Jitted, entry: Entry, donated: tuple[bool, ...], leaves: Sequence[Any]
) -> Traced:
    """A function traced for ``leaves``, which may be types that say where arrays will be."""
    given: list[Any] = []
    for x in leaves:
        s = x.sharding if isinstance(x, (ShapeDtypeStruct, Array)) else None
        if isinstance(x, ShapeDtypeStruct) and s is not None:
            s = as_sharding(s, "the sharding of a ShapeDtypeStruct")
        given.append(s)
    wanted = {
        s.with_memory_kind(None)
        for x, s in zip(leaves, given, strict=True)
        if isinstance(x, ShapeDtypeStruct) and s is not None
    }
    if jitted.device is None and wanted:
        arrays = (x for x in leaves if type(x) is Array and x._placement and x.committed)
        wanted.update(x.sharding.with_memory_kind(None) for x in arrays)
        spread = [s for s in wanted if s.spread]
        if spread and len({frozenset(s.device_set) for s in wanted}) == 1:
            wanted = {spread[0]}
        if len(wanted) > 1:
            raise ValueError(
                f"{jitted.name} was given arguments on different devices: "
                f"{', '.join(sorted(map(repr, wanted)))}{at_user_line()}"
            )
        where = placement(wanted.pop(), True)
    else:
        where = where_to_run(jitted, entry, values_of(leaves))
    where = on_mesh(entry, where, jitted.name)
    if getattr(jitted.fun, "_in_shardings", None) is not None:
        given = _with_asked(jitted, entry, leaves, given, where)
    return Traced(jitted, entry, donated_with_refs(entry, donated), where, given)


def _with_asked(
    jitted: Jitted, entry: Entry, leaves: Sequence[Any], given: Sequence[Any], where: Placement
) -> list[Any]:
    """Where arguments are: what is not committed is where in_shardings ask for it."""
    from covector.sharding.arguments import asked_of

    args, _ = tree.unflatten(entry.in_tree, leaves)
    mesh = getattr(where.sharding, "mesh", None)

    def on_mesh(s: Any) -> Any:
        found = getattr(s, "mesh", None)  # of a spec it is abstract
        same = mesh is not None and found is not None and found == mesh.abstract_mesh
        return s.update(mesh=mesh) if same else s

    return [
        s if a is None or (s is not None and (type(x) is not Array or x.committed)) else on_mesh(a)
        for x, s, a in zip(leaves, given, asked_of(jitted, args), strict=True)
    ]
