"""``pmap``: a function of one example, run for each device."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any

import numpy as np

from covector.core import tree
from covector.core.backend import get_backend
from covector.core.errors import at_user_line
from covector.primitives.structure import expand_dims, squeeze
from covector.sharding.mesh import AxisType, Mesh
from covector.sharding.shard_map import on_mesh
from covector.sharding.spec import PartitionSpec
from covector.transforms.arguments import check_callable, fun_name, wraps
from covector.transforms.jit import jit
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
        By default the first ones.
    backend : str, optional
        The platform whose devices they are.
    axis_size : int, optional
        The size of the mapped axis, where no argument is mapped.
    donate_argnums : int or sequence of int
        Arguments whose memory results may take over.

    Returns
    -------
    callable
        With methods ``lower`` and ``trace``, as those of `jit`.

    Raises
    ------
    ValueError
        In a call, if the sizes of the mapped axes differ, or there are fewer devices.

    Examples
    --------
    >>> import covector as cv
    >>> cv.pmap(lambda x: x / cv.lax.psum(x, "i"), axis_name="i")(cv.numpy.array([[2.0, 3.0]]))
    Array([[1., 1.]], dtype=float32)
    """
    check_callable(fun, "pmap")
    if isinstance(in_axes, list):
        in_axes = tuple(in_axes)
    static = _numbers(static_broadcasted_argnums)
    name = _NAME if axis_name is None else axis_name
    shown = fun_name(fun)

    @wraps(fun)
    def mapped(*args: Any, **kwargs: Any) -> Any:
        n = len(args)
        fixed = {i % n for i in static if -n <= i < n}
        dynamic = [x for i, x in enumerate(args) if i not in fixed]
        axes = in_axes
        if isinstance(in_axes, tuple):
            if len(in_axes) != n:
                raise ValueError(
                    f"pmap of {shown}: in_axes has {len(in_axes)} entries and there are {n} "
                    f"positional arguments; each has one{at_user_line()}"
                )
            axes = tuple([a for i, a in enumerate(in_axes) if i not in fixed])
        flat, in_tree = tree.flatten((tuple(dynamic), kwargs))
        dims = flatten_axes(axes, tuple(dynamic), "in_axes", "the positional arguments", "pmap")
        dims += [0] * (len(flat) - len(dims))
        size = mapped_size(fun, tuple(dynamic), kwargs, flat, dims, axis_size, "pmap")
        if size is None:
            raise ValueError(
                f"pmap of {shown}: no argument is mapped: at least one entry of in_axes must not "
                f"be None, or axis_size must be given{at_user_line()}"
            )
        mesh = _mesh(shown, name, size, devices, backend)
        specs = [PartitionSpec() if d is None else PartitionSpec(*[None] * d, name) for d in dims]
        out_tree: Any = None
        wanted: list[Any] = []

        def on_device(*blocks: Any) -> list[Any]:
            nonlocal out_tree
            own = [x if d is None else squeeze(x, (d,)) for x, d in zip(blocks, dims, strict=True)]
            a, k = tree.unflatten(in_tree, own)
            given = iter(a)
            whole = [args[i] if i in fixed else next(given) for i in range(n)]
            outs, out_tree = tree.flatten(fun(*whole, **k))
            result = f"the result of {shown}"
            wanted[:] = flatten_axes(
                out_axes, out_tree.unflatten([0] * len(outs)), "out_axes", result, "pmap"
            )
            return [
                x if w is None else expand_dims(x, w) for x, w in zip(outs, wanted, strict=True)
            ]

        def out_specs() -> list[PartitionSpec]:
            return [
                PartitionSpec() if w is None else PartitionSpec(*[None] * w, name) for w in wanted
            ]

        found = on_mesh(
            on_device, tuple(flat), tuple(specs), out_specs, mesh, frozenset((name,)), False
        )
        return tree.unflatten(out_tree, found)

    return jit(mapped, static_argnums=static, donate_argnums=_numbers(donate_argnums))


def _numbers(argnums: int | Iterable[int]) -> tuple[int, ...]:
    return (argnums,) if isinstance(argnums, int) else tuple(argnums)


def _mesh(
    shown: str, name: Hashable, size: int, devices: Sequence[Any] | None, backend: str | None
) -> Mesh:
    """The first ``size`` devices of this process along one axis."""
    found = list(get_backend(backend).devices() if devices is None else devices)
    if size > len(found):
        raise ValueError(
            f"pmap of {shown}: the mapped axis has the size {size}, one element for each device, "
            f"and there are {len(found)} devices. vmap maps any size; the CPU has as many logical "
            f"devices as the option num_cpu_devices says (COVECTOR_NUM_CPU_DEVICES={size})"
            f"{at_user_line()}"
        )
    grid = np.empty(size, dtype=object)
    grid[:] = found[:size]
    return Mesh(grid, (name,), (AxisType.Auto,))
