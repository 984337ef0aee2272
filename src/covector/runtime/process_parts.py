"""Arrays of what each process has, and what a process has of them, as operations.

In a mesh of one process the two are the same array, laid out by the spec. Over several processes
they run where values are known: a compiled program is the same for all of them, and sees arrays as
a whole.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from covector.core.avals import ShapedArray, place
from covector.core.definers import def_jvp_linear
from covector.core.errors import at_user_line
from covector.core.jaxpr import JaxprEqn
from covector.core.rules import higher_order_rules, transpose_rules
from covector.core.trace import Primitive, Tracer
from covector.runtime.devices import device_put
from covector.runtime.shards import make_array_from_process_local_data, processes_along
from covector.sharding.constraints import mapped_over, recast
from covector.sharding.explicit import explicit
from covector.sharding.mesh import AxisType
from covector.sharding.named import NamedSharding
from covector.sharding.propagate import Sizes, Split, split_of, split_rules
from covector.sharding.types import placing
from covector.transforms.vmap import BatchTrace

host_local_array_to_global_array_p = Primitive("host_local_array_to_global_array")
global_array_to_host_local_array_p = Primitive("global_array_to_host_local_array")


def host_local_array_to_global_array_impl(arr: Any, *, global_mesh: Any, pspec: Any) -> Any:
    """The array that the parts which processes have make up.

    Parameters
    ----------
    arr : Array
        What the devices of this process have.
    global_mesh : Mesh
    pspec : PartitionSpec
        How the array is split.

    Returns
    -------
    Array

    Raises
    ------
    TypeError
        If the array is traced, and the mesh is of several processes.

    Examples
    --------
    >>> import covector as cv
    >>> from covector.experimental import multihost_utils
    >>> mesh = cv.make_mesh((1,), ("x",))
    >>> params = {"global_mesh": mesh, "pspec": cv.P("x")}
    >>> multihost_utils.host_local_array_to_global_array_impl(cv.numpy.arange(4), **params)
    Array([0, 1, 2, 3], dtype=int32)
    """
    where = NamedSharding(global_mesh, pspec)
    if where.is_fully_addressable:
        return device_put(arr, where)
    _check_known(arr, host_local_array_to_global_array_p)
    return make_array_from_process_local_data(where, arr)


def global_array_to_host_local_array_impl(arr: Any, *, global_mesh: Any, pspec: Any) -> Any:
    """What the devices of this process have of an array.

    Parameters
    ----------
    arr : Array
        On the devices of the mesh.
    global_mesh : Mesh
    pspec : PartitionSpec
        How the array is split.

    Returns
    -------
    Array

    Raises
    ------
    TypeError
        If the array is traced, and the mesh is of several processes.

    Examples
    --------
    >>> import covector as cv
    >>> from covector.experimental import multihost_utils
    >>> mesh = cv.make_mesh((1,), ("x",))
    >>> params = {"global_mesh": mesh, "pspec": cv.P("x")}
    >>> multihost_utils.global_array_to_host_local_array_impl(cv.numpy.arange(4), **params)
    Array([0, 1, 2, 3], dtype=int32)
    """
    where = NamedSharding(global_mesh, pspec)
    if where.is_fully_addressable:
        return device_put(arr, where)
    _check_known(arr, global_array_to_host_local_array_p)
    there = device_put(arr, where)
    return device_put(there._handle.local, where.update(mesh=global_mesh.local_mesh))


def _check_known(x: Any, prim: Primitive) -> None:
    if isinstance(x, Tracer):
        raise TypeError(
            f"{prim.name} over several processes takes values, and {x.describe()} is traced: call "
            f"it outside of the compiled function{at_user_line()}"
        )


def ltg_abstract_eval(arr: ShapedArray, *, global_mesh: Any, pspec: Any) -> ShapedArray:
    """The type of the array that parts of this type make up.

    Parameters
    ----------
    arr : ShapedArray
        Of what the devices of this process have.
    global_mesh : Mesh
    pspec : PartitionSpec
        How the array is split.

    Returns
    -------
    ShapedArray

    Examples
    --------
    >>> import covector as cv
    >>> from covector.experimental import multihost_utils
    >>> mesh = cv.make_mesh((1,), ("x",))
    >>> params = {"global_mesh": mesh, "pspec": cv.P("x")}
    >>> multihost_utils.ltg_abstract_eval(cv.typeof(cv.numpy.arange(4)), **params)
    ShapedArray(int32[4@x])
    """
    where = NamedSharding(global_mesh, pspec)
    along = processes_along(where, arr.ndim, host_local_array_to_global_array_p.name)
    shape = tuple([n * k for n, k in zip(arr.shape, along, strict=True)])
    return _laid(arr, shape, where)


def gtl_abstract_eval(arr: ShapedArray, *, global_mesh: Any, pspec: Any) -> ShapedArray:
    """The type of what a process has of an array of this type.

    Parameters
    ----------
    arr : ShapedArray
        Of the whole.
    global_mesh : Mesh
    pspec : PartitionSpec
        How the array is split.

    Returns
    -------
    ShapedArray

    Examples
    --------
    >>> import covector as cv
    >>> from covector.experimental import multihost_utils
    >>> mesh = cv.make_mesh((1,), ("x",))
    >>> params = {"global_mesh": mesh, "pspec": cv.P("x")}
    >>> multihost_utils.gtl_abstract_eval(cv.typeof(cv.numpy.arange(4)), **params)
    ShapedArray(int32[4@x])
    """
    where = NamedSharding(global_mesh, pspec)
    where.check(arr.shape, global_array_to_host_local_array_p.name)
    along = processes_along(where, arr.ndim, global_array_to_host_local_array_p.name)
    shape = tuple([n // k for n, k in zip(arr.shape, along, strict=True)])
    return _laid(arr, shape, where.update(mesh=global_mesh.local_mesh))


def _laid(x: ShapedArray, shape: tuple[int, ...], where: NamedSharding) -> ShapedArray:
    """The type of an array of another shape, at a place: where its axes are explicit it says so."""
    placed = explicit(where, len(shape)) if where.typed else x.placed
    return place(ShapedArray(shape, x.dtype, x.weak_type), placed, x.varying)


def _batched(
    prim: Primitive, x: Any, dim: int, along: Any, global_mesh: Any, pspec: Any
) -> tuple[Any, int]:
    """A mapped dimension is one more, split over the axis ``along``, if over any."""
    parts = list(pspec) + [None] * (dim - len(pspec))
    parts.insert(dim, along)
    return prim.bind(x, global_mesh=global_mesh, pspec=type(pspec)(*parts)), dim


def ltg_batcher(
    insert_axis: bool, axis_data: Any, vals_in: Sequence[Any], dims_in: Sequence[Any],
    global_mesh: Any, pspec: Any,
) -> tuple[Any, int]:  # fmt: skip
    """`host_local_array_to_global_array` of mapped arrays: the mapped dimension is one more.

    Parameters
    ----------
    insert_axis : bool
        Whether that is split over the axes ``axis_data.spmd_name``.
    axis_data : AxisData
        Of the mapped axis.
    vals_in, dims_in : sequence
        The array, and its dimension that is mapped.
    global_mesh : Mesh
    pspec : PartitionSpec
        How an array is split that is not mapped.

    Returns
    -------
    tuple of Array and int
        The result, and its dimension that is mapped.

    Examples
    --------
    >>> import covector as cv
    >>> from covector.experimental import multihost_utils
    >>> from covector.interpreters.batching import AxisData
    >>> mesh = cv.make_mesh((1,), ("x",))
    >>> x = cv.numpy.arange(6).reshape(2, 3)
    >>> out, dim = multihost_utils.ltg_batcher(False, AxisData(None, 2), [x], [0], mesh, cv.P("x"))
    >>> out.sharding.spec, dim
    (P(None, 'x'), 0)
    """
    along = axis_data.spmd_name if insert_axis else None
    (x,), (dim,) = vals_in, dims_in
    prim = host_local_array_to_global_array_p
    return _batched(prim, x, dim, along, global_mesh, pspec)


def _define(
    prim: Primitive, impl: Callable[..., Any], aval: Callable[..., ShapedArray], inverse: Primitive
) -> None:
    prim.impl = lambda args, params: [impl(*args, **params)]
    prim.expansion = impl
    prim.def_abstract_eval(aval)
    def_jvp_linear(prim)
    placing.add(prim)

    def transpose(ct: Any, x: Any, **params: Any) -> list[Any]:
        out = inverse.bind_params((ct,), params)
        if x.aval.placed is None:
            out = recast(out, dict.fromkeys(params["global_mesh"].axis_names, AxisType.Auto))
        return [out]

    transpose_rules[prim] = transpose

    def batch(
        trace: BatchTrace, args: Sequence[Any], dims: Sequence[Any], params: dict[str, Any]
    ) -> tuple[list[Any], list[int | None]]:
        where = NamedSharding(params["global_mesh"], params["pspec"])
        along = mapped_over(trace.axis_name, where, args[0], dims[0])
        out, dim = _batched(prim, args[0], dims[0], along, **params)
        return [out], [dim]

    higher_order_rules[prim] = batch

    def split(eqn: JaxprEqn, splits: list[Split], sizes: Sizes) -> list[Split]:
        ndim = len(splits[0])
        known = dict(eqn.params["global_mesh"].shape) == sizes
        return [split_of(eqn.params["pspec"], ndim) if known else ((),) * ndim]

    split_rules[prim] = split


_define(
    host_local_array_to_global_array_p, host_local_array_to_global_array_impl,
    ltg_abstract_eval, global_array_to_host_local_array_p,
)  # fmt: skip
_define(
    global_array_to_host_local_array_p, global_array_to_host_local_array_impl,
    gtl_abstract_eval, host_local_array_to_global_array_p,
)  # fmt: skip
