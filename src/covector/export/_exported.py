"""`Exported`: a function that was traced, and runs and is transformed without its source."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from covector.core import tree
from covector.core.avals import ShapedArray, aval_of, marked
from covector.core.dtypes import float0
from covector.core.errors import at_user_line, boundaries, describe
from covector.core.jaxpr import ClosedJaxpr, check_jaxpr, eval_jaxpr, nesting
from covector.core.levels import room_for
from covector.core.trace import Tracer, current_trace, eval_trace
from covector.core.tree_paths import flatten_with_path, keystr
from covector.export._lowering import module_text, traced
from covector.export._refining import Refined, scope_of, solve
from covector.export._safety import DisabledSafetyCheck
from covector.export._serializing import serialized
from covector.export._shardings import (
    Spread,
    check_when_compiled,
    devices_of,
    hlo_text,
    on_devices,
    on_mesh,
)
from covector.runtime.placement import target_of
from covector.sharding.arguments import lay
from covector.sharding.spec import of_cotangent
from covector.transforms.autodiff import vjp
from covector.transforms.jit import jit
from covector.transforms.shapes import struct_of

# Of what a module takes and returns. Modules of all versions between the two can be called.
minimum_supported_calling_convention_version = 1
maximum_supported_calling_convention_version = 1


@boundaries
class Exported:
    """A function that was exported: see `export`.

    Attributes
    ----------
    fun_name : str
    in_tree, out_tree : PyTreeDef
        The structures of ``(args, kwargs)`` and of the result.
    in_avals, out_avals : tuple of ShapedArray
        The types of the flat arguments and results, whose sizes may be symbolic.
    platforms : tuple of str
        For which there is a module of StableHLO.
    nr_devices : int
        How many devices it runs on: those over which its arguments or values lie, or of the mesh
        that was set.
    calling_convention_version : int
    module_kept_var_idx : tuple of int
        Which flat arguments the module takes: all. Behind them it takes ``module_constants``.
    disabled_safety_checks : tuple of DisabledSafetyCheck
    ordered_effects, unordered_effects : tuple
        What calls do beside their results.
    in_shardings_hlo, out_shardings_hlo : tuple of str or None
        How the flat arguments and results lie, in the syntax of HLO; None leaves it open.

    Examples
    --------
    >>> import covector as cv
    >>> from covector import export
    >>> exported = export.export(cv.jit(lambda x: 2 * x))(cv.ShapeDtypeStruct((3,), "float32"))
    >>> exported.in_avals, exported.platforms
    ((ShapedArray(float32[3]),), ('cpu',))
    >>> exported.call(cv.numpy.ones(3))
    Array([2., 2., 2.], dtype=float32)
    """

    uses_global_constants = False
    _has_named_shardings = True

    def __init__(
        self, fun_name: str, in_tree: Any, out_tree: Any, closed: ClosedJaxpr,
        platforms: Sequence[str], disabled: Sequence[DisabledSafetyCheck],
        texts: dict[str, str], spread: Spread,
        version: int = maximum_supported_calling_convention_version,
        stored_vjp: Exported | None = None,
    ) -> None:  # fmt: skip
        self.fun_name = fun_name
        self.in_tree = in_tree
        self.out_tree = out_tree
        self.platforms = tuple(platforms)
        self.disabled_safety_checks = tuple(disabled)
        self.calling_convention_version = version
        self._closed = closed
        self._texts = texts
        self._spread = spread
        self._vjp = stored_vjp
        self._compiled: dict[Any, Callable[..., Any]] = {}

    @property
    def in_avals(self) -> tuple[ShapedArray, ...]:
        return tuple(self._closed.in_avals)

    @property
    def out_avals(self) -> tuple[ShapedArray, ...]:
        return tuple(self._closed.out_avals)

    @property
    def module_kept_var_idx(self) -> tuple[int, ...]:
        return tuple(range(len(self._closed.in_avals)))

    @property
    def ordered_effects(self) -> tuple[Any, ...]:
        return ()

    @property
    def unordered_effects(self) -> tuple[Any, ...]:
        return tuple(sorted(self._closed.effects, key=repr))

    @property
    def nr_devices(self) -> int:
        return self._spread.devices

    @property
    def in_shardings_hlo(self) -> tuple[str | None, ...]:
        return tuple(map(hlo_text, self._spread.ins, self.in_avals))

    @property
    def out_shardings_hlo(self) -> tuple[str | None, ...]:
        return tuple(map(hlo_text, self._spread.outs, self.out_avals))

    @property
    def _in_named_shardings(self) -> tuple[Any, ...]:
        return self._spread.ins

    @property
    def _out_named_shardings(self) -> tuple[Any, ...]:
        return self._spread.outs

    def in_shardings_jax(self, mesh: Any) -> tuple[Any, ...]:
        """The shardings of the flat arguments on a mesh.

        Parameters
        ----------
        mesh : Mesh or AbstractMesh
            With the axes of the mesh that the function was exported with.

        Returns
        -------
        tuple of NamedSharding or None
            None leaves it open.

        Raises
        ------
        ValueError
            If it has other axes.
        """
        return on_mesh(self._spread.ins, mesh, self.fun_name)

    def out_shardings_jax(self, mesh: Any) -> tuple[Any, ...]:
        """The shardings of the flat results on a mesh; see `in_shardings_jax`."""
        return on_mesh(self._spread.outs, mesh, self.fun_name)

    # --- the module ---

    @property
    def _is_symbolic(self) -> bool:
        return scope_of(self._closed.in_avals) is not None

    def mlir_module(self, serialized: bool = True, platform: str | None = None) -> Any:
        """The program as a module of StableHLO.

        Parameters
        ----------
        serialized : bool
            As bytes, in UTF-8; else as the text itself.
        platform : str, optional
            One of `platforms`, by default the first.

        Returns
        -------
        bytes or str

        Raises
        ------
        NotImplementedError
            If the function has symbolic sizes: plugins take modules of known sizes alone. Or if
            StableHLO lacks an operation that our own compiler has on the CPU.
        """
        if self._is_symbolic:
            raise NotImplementedError(
                f"the exported function {self.fun_name} has symbolic sizes, and modules of "
                "StableHLO are written for known ones: jit(exported.call).lower(...).as_text() "
                f"shows that of a call{at_user_line()}"
            )
        platform = self.platforms[0] if platform is None else platform
        if platform not in self.platforms:
            raise ValueError(
                f"the function {self.fun_name} was exported for {', '.join(self.platforms)}, not "
                f"for {platform}{at_user_line()}"
            )
        text = self._texts.get(platform)
        if text is None:  # raises the error that says why there is none
            text = module_text(self._closed, platform, self.fun_name, self._spread)
        return text.encode() if serialized else text

    @property
    def mlir_module_serialized(self) -> bytes:
        """`mlir_module` as bytes."""
        return self.mlir_module()

    @property
    def module_constants(self) -> tuple[Any, ...]:
        """The arrays that the module takes behind the arguments: those that the function closes
        over."""
        return tuple(self._closed.consts)

    # --- calls ---

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """Run the function, or apply it in one that is traced or transformed.

        Parameters
        ----------
        *args, **kwargs
            Arrays of the types that the function was exported for.

        Returns
        -------
        pytree
            What the function returned.

        Raises
        ------
        ValueError
            If the arguments are of other types or sizes, or if it was not exported for the
            platform where they are, or for as many devices.
        """
        what = f"the exported function {self.fun_name}"
        flat = self._flat(args, kwargs, what)
        name = self._names(args, kwargs)
        avals = [_aval(x, what) for x in flat]
        self._check_types(avals, name, what)
        values = solve(self.in_avals, [a.shape for a in avals], name, what)
        if current_trace() is eval_trace and not any(isinstance(x, Tracer) for x in flat):
            self._check_platform(flat, what)
        devices = None
        if self.nr_devices > 1:
            devices = devices_of(flat, self.nr_devices, what)
            if devices is None:
                traced_ones = [x for x in flat if isinstance(x, Tracer)]
                check_when_compiled(traced_ones, self.nr_devices, what)
        outs = self._function(values, devices)(*flat)
        return tree.unflatten(self.out_tree, outs)

    def _flat(self, args: Any, kwargs: Any, what: str) -> list[Any]:
        flat, in_tree = tree.flatten((args, kwargs))
        if in_tree != self.in_tree:
            raise ValueError(
                f"{what} takes arguments of the structure {self.in_tree}, and was called with "
                f"{in_tree} (as a tuple of the positional ones and a dictionary of the others)"
                f"{at_user_line()}"
            )
        return flat

    def _names(self, args: Any, kwargs: Any) -> Callable[[int], str]:
        def name(i: int) -> str:
            path = flatten_with_path((args, kwargs))[0][i][0]
            return ("kwargs" if path[0].idx else "args") + keystr(path[1:])

        return name

    def _check_types(
        self, avals: Sequence[ShapedArray], name: Callable[[int], str], what: str
    ) -> None:
        for i, (a, given) in enumerate(zip(self.in_avals, avals, strict=True)):
            if a.dtype != given.dtype or len(a.shape) != len(given.shape):
                raise ValueError(
                    f"{what}: {name(i)} is {given.str_short()}, and the function was exported for "
                    f"{a.str_short()}{at_user_line()}"
                )

    def _check_platform(self, flat: Sequence[Any], what: str) -> None:
        if DisabledSafetyCheck.platform() in self.disabled_safety_checks:
            return
        platform = target_of(flat, lambda: what).device.platform
        if platform not in self.platforms:
            raise ValueError(
                f"{what} was exported for {', '.join(self.platforms)}, and is called where its "
                f"arguments are, on {platform}: export it with platforms={platform!r} among them, "
                f"or with disabled_checks=[DisabledSafetyCheck.platform()]{at_user_line()}"
            )

    def _function(
        self, values: dict[str, Any], devices: tuple[Any, ...] | None
    ) -> Callable[..., list[Any]]:
        """The compiled function of flat arguments, for these sizes, on these devices."""
        key = (tuple(sorted(values.items())), devices)
        found = self._compiled.get(key)
        if found is None:
            closed = self.refined(values, devices)
            ins = [None if s is None else on_devices(s, devices) for s in self._spread.ins]
            what = f"the exported function {self.fun_name}"

            def fun(*args: Any) -> list[Any]:
                laid = [lay(x, s, what, lambda: what) for x, s in zip(args, ins, strict=True)]
                return eval_jaxpr(closed.jaxpr, closed.consts, *laid)

            fun.__name__ = fun.__qualname__ = self.fun_name
            found = self._compiled[key] = jit(fun)
        return found

    def refined(
        self, values: dict[str, Any], devices: tuple[Any, ...] | None = None
    ) -> ClosedJaxpr:
        """The program for these values of the dimension variables, on these devices."""
        if not values and devices is None:
            return self._closed
        with room_for(nesting(self._closed.jaxpr)):
            closed = Refined(values, lambda s: on_devices(s, devices)).closed(self._closed)
            check_jaxpr(closed.jaxpr)
        return closed

    # --- derivatives ---

    def has_vjp(self) -> bool:
        """Whether there are derivatives: they are those of the program, and there always are.

        Returns
        -------
        bool
        """
        return True

    def vjp(self) -> Exported:
        """The backward pass as an exported function.

        It takes the flat arguments, and behind them a cotangent of each flat result of floats;
        it returns a tuple of the cotangents of the arguments of floats.

        Returns
        -------
        Exported
        """
        if self._vjp is None:
            self._vjp = self._derived()
        return self._vjp

    def _derived(self) -> Exported:
        closed = self._closed
        ins, outs = closed.in_avals, closed.out_avals
        moving = [i for i, a in enumerate(ins) if a.to_tangent_aval().dtype != float0]
        cts = [o.to_cotangent_aval() for o in outs]
        kept = [k for k, ct in enumerate(cts) if ct.dtype != float0]

        def backward(*args: Any) -> tuple[Any, ...]:
            primals = list(args[: len(ins)])

            def fun(*xs: Any) -> list[Any]:
                for i, x in zip(moving, xs, strict=True):
                    primals[i] = x
                found = eval_jaxpr(closed.jaxpr, closed.consts, *primals)
                return [found[k] for k in kept]

            _, pull = vjp(fun, *[args[i] for i in moving])
            return pull(list(args[len(ins) :]))

        backward.__name__ = backward.__qualname__ = f"{self.fun_name}_vjp"
        given = zip(ins, self._spread.ins, strict=True)
        types = [struct_of(a).update(sharding=s) for a, s in given]
        types += [struct_of(cts[k]).update(sharding=marked(cts[k])) for k in kept]
        checks = self.disabled_safety_checks
        parts = traced(jit(backward)._jitted, self.platforms, checks, types, {})
        # Cotangents lie as what they are of.
        laid = tuple([_of_cotangent(self._spread.ins[i]) for i in moving])
        spread = parts.spread._replace(devices=self.nr_devices, outs=laid)
        return Exported(*parts._replace(spread=spread))

    # --- bytes ---

    def serialize(self, vjp_order: int = 0) -> bytearray:
        """The function as the bytes of a file, for `deserialize`.

        They hold its program, the module of StableHLO of each platform, and its constants, but no
        Python and no machine code.

        Parameters
        ----------
        vjp_order : int
            For how many derivatives the file holds backward passes, and the derivative rules that
            users gave (`custom_jvp`, `custom_vjp`). What has no such rules can be differentiated
            in any case.

        Returns
        -------
        bytearray

        Raises
        ------
        ValueError
            If the function calls Python, or takes or returns nodes of pytrees whose types have no
            serialization.
        """
        if type(vjp_order) is not int or vjp_order < 0:
            raise ValueError(
                f"serialize: vjp_order must be a number of derivatives, got {vjp_order!r}"
                f"{at_user_line()}"
            )
        return serialized(self, vjp_order)

    def __repr__(self) -> str:
        types = ", ".join([a.str_short() for a in self.in_avals])
        return f"Exported(fun_name={self.fun_name}, in_avals=({types}), platforms={self.platforms})"


def _aval(x: Any, what: str) -> ShapedArray:
    try:
        return aval_of(x)
    except TypeError as e:
        raise TypeError(f"{what} takes arrays, got {describe(x)}{at_user_line()}") from e


def _of_cotangent(where: Any) -> Any:
    """How the cotangents of what lies so lie."""
    return None if where is None else where.update(spec=of_cotangent(where.spec))
