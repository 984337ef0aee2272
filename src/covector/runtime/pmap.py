"""``pmap``: a function of one example, run for each device."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any

import numpy as np

from covector.core import processes, tree
from covector.core.avals import Array, ShapedArray, aval_of, to_array
from covector.core.backend import all_devices, get_backend
from covector.core.errors import at_user_line
from covector.core.trace import JaxprTrace, Trace, Tracer, current_trace
from covector.primitives.structure import expand_dims, squeeze
from covector.runtime.devices import device_put
from covector.runtime.process_parts import (
    global_array_to_host_local_array_p,
    host_local_array_to_global_array_p,
)
from covector.runtime.shards import make_array_from_process_local_data
from covector.sharding.mesh import AxisType, Mesh
from covector.sharding.named import NamedSharding
from covector.sharding.shard_map import on_mesh
from covector.sharding.spec import PartitionSpec
from covector.transforms.arguments import (
    api_boundary,
    argument_names,
    check_arrays,
    check_callable,
    fun_name,
    in_range,
    others,
    with_others,
    wraps,
)
from covector.transforms.jit import jit
from covector.transforms.partial_eval import PartialTrace
from covector.transforms.shapes import ShapeDtypeStruct, aval_like
from covector.transforms.vmap import axis_env
from covector.transforms.vmap_api import flatten_axes, mapped_size

_NAME = "devices"


def pmap(
    fun: Callable[..., Any],
    axis_name: Hashable | None = None,
    *,
    in_axes: Any = 0,
    out_axes: Any = 0,
    static_broadcasted_argnums: int | Iterable[int] = (),
    devices: Sequence[Any] | None = None,
    backend: str | None = None,
    axis_size: int | None = None,
    donate_argnums: int | Iterable[int] = (),
) -> Any:
    """Run a function on several devices at once, each on one element along an axis.

    It is `vmap` with an element a device, compiled. `shard_map`, whose devices have blocks, and
    `jit` over sharded arrays are more general.

    With several processes all call it, each with the elements of its own devices, and collectives
    are over the devices of all. A process gets the results of its devices, as an array of its own.

    Parameters
    ----------
    fun : callable
    axis_name : hashable, optional
        A name for the axis, by which collectives (`lax.psum`, …) refer to it.
    in_axes : int, None, or tuple of pytrees of those
        For each positional argument (or part of one) the axis to map; None for arguments that all
        devices get. Keyword arguments are mapped over axis 0.
    out_axes : int, None, or pytree of those
        Where the axis of the devices stands in each result; None takes that of the first device.
    static_broadcasted_argnums : int or sequence of int
        Arguments that the function sees as they are while it is traced.
    devices : sequence of Device, optional
        By default the first ones; with several processes the first ones of each. Those given of
        several processes are all used, and all of these give the same; those of one process are
        mapped over in it alone.
    backend : str, optional
        The platform whose devices they are.
    axis_size : int, optional
        The size of the mapped axis, where no argument is mapped; with several processes that of
        all together.
    donate_argnums : int or sequence of int
        Arguments whose memory results may take over.

    Returns
    -------
    callable
        With methods ``lower`` and ``trace``, as those of `jit`; with several processes they are of
        the program of whole arrays.

    Raises
    ------
    ValueError
        In a call, if the sizes of the mapped axes differ, between processes too, or there are
        fewer devices.
    TypeError
        In a call within a compiled function, with several processes.

    Examples
    --------
    >>> import covector as cv
    >>> cv.pmap(lambda x: x / cv.lax.psum(x, "i"), axis_name="i")(cv.numpy.array([[2.0, 3.0]]))
    Array([[1., 1.]], dtype=float32)
    """
    check_callable(fun, "pmap")
    if isinstance(in_axes, list):
        in_axes = tuple(in_axes)
    each = _Mapped(
        fun, _NAME if axis_name is None else axis_name, in_axes, out_axes,
        _numbers(static_broadcasted_argnums), devices, backend, axis_size,
    )  # fmt: skip
    options: dict[str, Any] = {
        "static_argnums": each.static, "donate_argnums": _numbers(donate_argnums),
    }  # fmt: skip
    here = jit(each.program(each.mesh_here), **options)
    everywhere = jit(each.program(each.mesh_of_all), **options)

    @api_boundary
    @wraps(fun)
    def mapped(*args: Any, **kwargs: Any) -> Any:
        if processes.count == 1 or not each.is_across():
            return here(*args, **kwargs)
        if _is_traced():
            raise TypeError(
                f"pmap of {each.shown} over the devices of several processes takes the part that "
                "this process has, and is called within a compiled function, which is of whole "
                "arrays. Call it outside of that, give devices=covector.local_devices(), or take "
                f"shard_map{at_user_line()}"
            )
        given, mesh = each.of_all(args, kwargs)
        return each.parts(everywhere(*given[0], **given[1]), mesh)

    def method(name: str) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            if processes.count == 1 or not each.is_across():
                return getattr(here, name)(*args, **kwargs)
            given, _ = each.of_all(args, kwargs, abstract=True)
            return getattr(everywhere, name)(*given[0], **given[1])

        return call

    def clear_cache() -> None:
        here.clear_cache()
        everywhere.clear_cache()

    out: Any = mapped
    for name in ("lower", "trace", "eval_shape"):
        setattr(out, name, method(name))
    out.clear_cache = clear_cache
    return out


def _numbers(argnums: int | Iterable[int]) -> tuple[int, ...]:
    return (argnums,) if isinstance(argnums, int) else tuple(argnums)


def _is_traced() -> bool:
    """Whether a compiled function is being traced."""
    trace: Trace | None = current_trace()
    while trace is not None:
        if isinstance(trace, JaxprTrace) and not isinstance(trace, PartialTrace):
            return True
        trace = trace.parent
    return False


def _is_global(x: Any) -> bool:
    """Whether it is an array over several processes, which is given as a whole."""
    sharding = x.sharding if type(x) in (Array, ShapeDtypeStruct) else None
    return sharding is not None and not sharding.is_fully_addressable


class _Mapped:
    """A function, and how it is to be mapped."""

    def __init__(
        self, fun: Callable[..., Any], name: Hashable, in_axes: Any, out_axes: Any,
        static: tuple[int, ...], devices: Sequence[Any] | None, backend: str | None,
        axis_size: int | None,
    ) -> None:  # fmt: skip
        self.fun, self.name, self.shown = fun, name, fun_name(fun)
        self.in_axes, self.out_axes, self.static = in_axes, out_axes, static
        self.devices = None if devices is None else list(devices)
        self.backend, self.axis_size = backend, axis_size
        self._compared: set[Any] = set()

    def fixed(self, n: int) -> set[int]:
        """Which of ``n`` arguments are static."""
        return in_range(self.static, n)

    def flat(self, args: Sequence[Any], kwargs: dict[str, Any]) -> tuple[Any, ...]:
        """The arguments that are not static, their leaves, structure and mapped axes."""
        n = len(args)
        fixed = self.fixed(n)
        dynamic = others(args, fixed)
        axes = self.in_axes
        if isinstance(axes, tuple):
            if len(axes) != n:
                raise ValueError(
                    f"pmap of {self.shown}: in_axes has {len(axes)} entries and there are {n} "
                    f"positional arguments; each has one{at_user_line()}"
                )
            axes = tuple([a for i, a in enumerate(axes) if i not in fixed])
        flat, in_tree = tree.flatten((dynamic, kwargs))
        dims = flatten_axes(axes, dynamic, "in_axes", "the positional arguments", "pmap")
        dims += [0] * (len(flat) - len(dims))
        return dynamic, flat, in_tree, dims

    def check(
        self, dynamic: Sequence[Any], kwargs: dict[str, Any], flat: Sequence[Any], n: int
    ) -> None:
        """Raise the error for a leaf of the ``n`` arguments that is not an array."""
        names = lambda: argument_names(self.fun, dynamic, kwargs, sorted(self.fixed(n)))  # noqa: E731
        static = "make the argument static (static_broadcasted_argnums of pmap)"
        check_arrays(flat, names, f"pmap of {self.shown}", static=static)

    def size(self, found: int | None) -> int:
        """The size of the mapped axis, an error if there is none."""
        if found is None:
            raise ValueError(
                f"pmap of {self.shown}: no argument is mapped: at least one entry of in_axes must "
                f"not be None, or axis_size must be given{at_user_line()}"
            )
        return found

    def spec(self, axis: int | None) -> PartitionSpec:
        """How an array is split that is mapped along ``axis``."""
        return PartitionSpec() if axis is None else PartitionSpec(*[None] * axis, self.name)

    def wanted(self, outs: Sequence[Any], out_tree: Any, new: int) -> list[int | None]:
        """Where the mapped axis is to be in each result; they have ``new`` axes less by now."""
        result = f"the result of {self.shown}"
        values = out_tree.unflatten([0] * len(outs))
        axes = flatten_axes(self.out_axes, values, "out_axes", result, "pmap")
        found: list[int | None] = []
        for x, w in zip(outs, axes, strict=True):
            rank = np.ndim(x) + new
            if w is not None and not -rank <= w < rank:
                raise ValueError(
                    f"pmap of {self.shown}: out_axes has {w}, and the result with the axis of the "
                    f"devices has {rank} dimensions{at_user_line()}"
                )
            found.append(None if w is None else w % rank)
        return found

    def program(self, mesh_of: Callable[[int], Mesh]) -> Callable[..., Any]:
        """The function of whole arguments, on the mesh for the size of the mapped axis."""

        @wraps(self.fun)
        def mapped(*args: Any, **kwargs: Any) -> Any:
            dynamic, flat, in_tree, dims = self.flat(args, kwargs)
            self.check(dynamic, kwargs, flat, len(args))
            size = self.size(
                mapped_size(self.fun, dynamic, kwargs, flat, dims, self.axis_size, "pmap")
            )
            mesh = mesh_of(size)
            fixed = self.fixed(len(args))
            out_tree: Any = None
            wanted: list[Any] = []

            def on_device(*blocks: Any) -> list[Any]:
                nonlocal out_tree
                pairs = zip(blocks, dims, strict=True)
                a, k = tree.unflatten(
                    in_tree, [x if d is None else squeeze(x, (d,)) for x, d in pairs]
                )
                outs, out_tree = tree.flatten(self.fun(*with_others(args, fixed, a), **k))
                wanted[:] = self.wanted(outs, out_tree, 1)
                return [
                    x if w is None else expand_dims(x, w) for x, w in zip(outs, wanted, strict=True)
                ]

            on_device.__name__ = self.shown
            found = on_mesh(
                on_device, tuple(flat), tuple([self.spec(d) for d in dims]),
                lambda: [self.spec(w) for w in wanted], mesh, frozenset((self.name,)), False,
                "pmap",
            )  # fmt: skip
            return tree.unflatten(out_tree, found)

        return mapped

    def mesh_here(self, size: int) -> Mesh:
        """The first ``size`` devices of this process, or of those given, along one axis."""
        found = self.devices
        if found is None:
            found = list(get_backend(self.backend).devices())
        if size > len(found):
            raise ValueError(
                f"pmap of {self.shown}: the mapped axis has the size {size}, one element for each "
                f"device, and there are {len(found)} devices. vmap maps any size; the CPU has as "
                "many logical devices as the option num_cpu_devices says "
                f"(COVECTOR_NUM_CPU_DEVICES={size}, or covector.config.update('num_cpu_devices', "
                f"{size}) at any time){at_user_line()}"
            )
        return self.along(found[:size])

    def along(self, devices: Sequence[Any]) -> Mesh:
        """A mesh of devices along one axis."""
        grid = np.empty(len(devices), dtype=object)
        grid[:] = devices
        return Mesh(grid, (self.name,), (AxisType.Auto,))

    # --- several processes

    def is_across(self) -> bool:
        """Whether the devices are those of several processes.

        Within another function that is mapped they are those of this one.
        """
        here = processes.index
        return not any(axis_env()) and any(d.process_index != here for d in self._every_device())

    def _every_device(self) -> list[Any]:
        return all_devices(get_backend(self.backend)) if self.devices is None else self.devices

    def of_processes(self) -> list[list[Any]]:
        """The devices of each process that has any, as many of each."""
        found: dict[int, list[Any]] = {}
        for d in self._every_device():
            found.setdefault(d.process_index, []).append(d)
        if processes.index not in found:
            raise ValueError(
                f"pmap of {self.shown}: devices has none of process {processes.index}, which calls "
                f"it; they are of the processes {', '.join(map(str, sorted(found)))}"
                f"{at_user_line()}"
            )
        counts = {k: len(each) for k, each in found.items()}
        if len(set(counts.values())) > 1:
            raise ValueError(
                f"pmap of {self.shown} takes as many devices of each process; the processes have "
                f"{', '.join(map(str, counts.values()))}. Give it some of them (devices=)"
                f"{at_user_line()}"
            )
        return list(found.values())

    def mesh_of_all(self, size: int) -> Mesh:
        """The devices of all processes for ``size`` elements: as many of each."""
        groups = self.of_processes()
        n = size // len(groups)
        if self.devices is not None:
            return self.along(self.devices)
        return self.along([d for each in groups for d in each[:n]])

    def of_all(
        self, args: tuple[Any, ...], kwargs: dict[str, Any], abstract: bool = False
    ) -> tuple[tuple[tuple[Any, ...], dict[str, Any]], Mesh]:
        """The arguments as whole arrays, of what this process has of them, and the mesh.

        If they are ``abstract``, types of them.
        """
        dynamic, flat, in_tree, dims = self.flat(args, kwargs)
        groups = self.of_processes()
        n = len(groups)
        if abstract:
            flat = [x if _is_global(x) else _Typed(x) for x in flat]
        size = self._size_here(dynamic, kwargs, flat, dims, n)
        most = len(groups[0])
        if size > most or (self.devices is not None and size < most):
            which = "it has" if self.devices is None else "those given are"
            raise ValueError(
                f"pmap of {self.shown}: process {processes.index} gives {size} elements along the "
                f"mapped axis, one for each of its devices, of which {which} {most}"
                f"{at_user_line()}"
            )
        mesh = self.mesh_of_all(size * n)
        # Processes compare the shapes of their parts once for all calls with these.
        pairs = list(zip(flat, dims, strict=True))
        signature = (mesh, *[None if d is None else (d, np.shape(x)) for x, d in pairs])
        leaves = [self._whole(x, d, mesh, n, signature in self._compared) for x, d in pairs]
        if not abstract:
            self._compared.add(signature)
        positional, named = tree.unflatten(in_tree, leaves)
        return (with_others(args, self.fixed(len(args)), positional), named), mesh

    def _whole(self, x: Any, d: int | None, mesh: Mesh, n: int, compared: bool) -> Any:
        """The array, or type, of the parts ``x`` of ``n`` processes, mapped along ``d``."""
        where = NamedSharding(mesh, self.spec(d))
        if type(x) is ShapeDtypeStruct or (d is None and type(x) is not _Typed):
            return x
        if _is_global(x):
            return device_put(x, where)
        if isinstance(x, Tracer):
            prim = host_local_array_to_global_array_p
            return prim.bind(x, global_mesh=mesh, pspec=where.spec)
        a = aval_of(x)
        shape = tuple([s * n if k == d else s for k, s in enumerate(a.shape)])
        if type(x) is _Typed:
            return ShapeDtypeStruct(shape, a.dtype, sharding=where, weak_type=a.weak_type)
        return make_array_from_process_local_data(where, to_array(x), shape if compared else None)

    def _size_here(
        self, dynamic: Any, kwargs: Any, flat: list[Any], dims: list[int | None], n: int
    ) -> int:
        """The size of the mapped axis in this process, one of ``n``; arrays over all have theirs
        divided by ``n``."""
        whole = [_is_global(x) for x in flat]
        own = [None if w else d for w, d in zip(whole, dims, strict=True)]
        found = mapped_size(self.fun, dynamic, kwargs, flat, own, None, "pmap")
        for k, x in enumerate(flat):
            if not whole[k]:
                dims[k] = own[k]
            elif dims[k] is not None:
                dims[k] = d = dims[k] % np.ndim(x)  # type: ignore[operator]
                found = x.shape[d] // n if found is None else found
                if x.shape[d] != found * n:
                    raise ValueError(
                        f"pmap of {self.shown}: an array over all processes has the size "
                        f"{x.shape[d]} along the mapped axis, and the {n} processes together "
                        f"{found * n}{at_user_line()}"
                    )
        if self.axis_size is None:
            return self.size(found)
        if self.axis_size % n or found not in (None, self.axis_size // n):
            has = "" if found is None else f", and this process gives {found} elements"
            raise ValueError(
                f"pmap of {self.shown}: axis_size={self.axis_size} is the size over all {n} "
                f"processes, each of which has one part of {n}{has}{at_user_line()}"
            )
        return self.axis_size // n

    def parts(self, out: Any, mesh: Mesh) -> Any:
        """What this process has of the results."""
        outs, out_tree = tree.flatten(out)
        return out_tree.unflatten(
            [
                global_array_to_host_local_array_p.bind(x, global_mesh=mesh, pspec=self.spec(w))
                for x, w in zip(outs, self.wanted(outs, out_tree, 0), strict=True)
            ]
        )


class _Typed:
    """The type of an argument, in place of its value."""

    __slots__ = ("aval",)

    def __init__(self, x: Any) -> None:
        self.aval: ShapedArray = aval_like(x)
