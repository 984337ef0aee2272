"""How `vmap` goes through primitives (`covector.interpreters.batching`)."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

from covector.core import rules
from covector.core.avals import aval_of
from covector.core.definers import def_broadcasting as _def_broadcasting
from covector.core.definers import def_vectorized as _def_vectorized
from covector.core.errors import export as _export
from covector.core.errors import meaningless
from covector.core.structural import bring_dim, broadcast_dim
from covector.core.trace import Primitive, current_trace
from covector.interpreters._views import RuleView
from covector.transforms.vmap import BatchTrace

not_mapped = None


class AxisData:
    """The mapped axis: its name, and its size."""

    __slots__ = ("name", "size", "spmd_name", "explicit_mesh_axis")

    def __init__(self, name: Hashable, size: int) -> None:
        self.name = name
        self.size = size
        self.spmd_name = None
        self.explicit_mesh_axis = None

    def __repr__(self) -> str:
        return f"AxisData(name={self.name}, size={self.size})"


def _size(args: Sequence[Any], dims: Sequence[int | None]) -> int:
    for x, d in zip(args, dims, strict=True):
        if d is not None:
            return aval_of(x).shape[d]
    raise ValueError("no operand is mapped: a batching rule has nothing to do")


# --- rule(args, dims, **params) ----------------------------------------------------------


def _store_plain(prim: Primitive, rule: Callable[..., Any]) -> Callable[..., Any]:
    return lambda axis_size, args, dims, **params: rule(tuple(args), tuple(dims), **params)


def _read_plain(prim: Primitive, rule: Callable[..., Any]) -> Callable[..., Any]:
    return lambda args, dims, **params: rule(_size(args, dims), args, dims, **params)


# --- rule(axis_data, args, dims, **params) -----------------------------------------------


def _store_fancy(prim: Primitive, rule: Callable[..., Any]) -> Callable[..., Any]:
    def stored(trace: BatchTrace, args: Any, dims: Any, params: dict[str, Any]) -> Any:
        axis = AxisData(trace.axis_name, trace.axis_size)
        out, dim = rule(axis, tuple(args), tuple(dims), **params)
        return (out, dim) if prim.multiple_results else ([out], [dim])

    return stored


def _read_fancy(prim: Primitive, rule: Callable[..., Any]) -> Callable[..., Any]:
    def read(axis_data: Any, args: Any, dims: Any, **params: Any) -> Any:
        trace = BatchTrace(current_trace(), axis_data.size, axis_data.name)
        outs, out_dims = rule(trace, args, dims, params)
        return (outs, out_dims) if prim.multiple_results else (outs[0], out_dims[0])

    return read


# --- rule(axis_size, axis_name, trace_type, args, dims, **params) ------------------------


def _store_axis(prim: Primitive, rule: Callable[..., Any]) -> Callable[..., Any]:
    def fancy(axis: AxisData, args: Any, dims: Any, **params: Any) -> Any:
        return rule(axis.size, axis.name, None, args, dims, **params)

    return _store_fancy(prim, fancy)


def _read_axis(prim: Primitive, rule: Callable[..., Any]) -> Callable[..., Any]:
    fancy = _read_fancy(prim, rule)
    return lambda size, name, kind, args, dims, **params: fancy(
        AxisData(name, size), args, dims, **params
    )


# The tables of the library (`core/rules.py`): a rule that is stored here is one of them.
primitive_batchers = RuleView(rules.batching_rules, _store_plain, _read_plain)
fancy_primitive_batchers = RuleView(rules.higher_order_rules, _store_fancy, _read_fancy)
axis_primitive_batchers = RuleView(rules.higher_order_rules, _store_axis, _read_axis)


def defvectorized(prim: Primitive) -> None:
    """Batching of an elementwise primitive, whose operands have one shape or rank 0.

    Parameters
    ----------
    prim : Primitive

    Returns
    -------
    None

    Examples
    --------
    >>> import covector as cv
    >>> from covector.interpreters import batching
    >>> third_p = cv.extend.core.Primitive("third")
    >>> third = third_p.def_impl(lambda x: x / 3)
    >>> batching.defvectorized(third_p)
    >>> cv.vmap(third_p.bind)(cv.numpy.array([3.0, 6.0]))
    Array([1., 2.], dtype=float32)
    """
    _def_vectorized(prim)


def defbroadcasting(prim: Primitive) -> None:
    """Batching of a primitive that takes leading axes of all of its operands for batches.

    Parameters
    ----------
    prim : Primitive

    Returns
    -------
    None

    Examples
    --------
    >>> import covector as cv
    >>> from covector.interpreters import batching
    >>> last_p = cv.extend.core.Primitive("last")
    >>> last = last_p.def_impl(lambda x: x[..., -1])
    >>> batching.defbroadcasting(last_p)
    >>> cv.vmap(last_p.bind)(cv.numpy.ones((2, 3))).shape
    (2,)
    """
    _def_broadcasting(prim)


def defreducer(prim: Primitive) -> None:
    """Batching of a primitive that reduces one operand along its parameter ``axes``.

    Parameters
    ----------
    prim : Primitive

    Returns
    -------
    None

    Examples
    --------
    >>> import covector as cv
    >>> from covector.interpreters import batching
    >>> total_p = cv.extend.core.Primitive("total")
    >>> total = total_p.def_impl(lambda x, axes: x.sum(axes))
    >>> batching.defreducer(total_p)
    >>> cv.vmap(lambda x: total_p.bind(x, axes=(0,)))(cv.numpy.ones((2, 3)))
    Array([3., 3.], dtype=float32)
    """

    def batch(axis_size: int, args: Any, dims: Any, *, axes: Any, **params: Any) -> Any:
        (x,), (d,) = args, dims
        inner = tuple([a + (a >= d) for a in axes])
        out = prim.bind(x, axes=inner, **params)
        dim = d - sum(a < d for a in inner)
        return (out, [dim] * len(out)) if prim.multiple_results else (out, dim)

    rules.batching_rules[prim] = batch


def bdim_at_front(x: Any, bdim: int | None, size: int, mesh_axis: Any = None) -> Any:
    """A value with its mapped axis in front; it is repeated where it has none.

    Parameters
    ----------
    x : array_like
    bdim : int or None
        Where the mapped axis is.
    size : int
        That of the mapped axis.
    mesh_axis : None
        Programs of Covector name no axes of meshes in their types.

    Returns
    -------
    Array

    Examples
    --------
    >>> import covector as cv
    >>> cv.interpreters.batching.bdim_at_front(cv.numpy.ones((2, 3)), 1, 3).shape
    (3, 2)
    """
    return bring_dim(x, size, bdim, 0)


def broadcast(x: Any, sz: int, axis: int, mesh_axis: Any) -> Any:
    """A value repeated along a new axis.

    Parameters
    ----------
    x : array_like
    sz : int
        The size of the axis.
    axis : int
        Its position.
    mesh_axis : None
        Programs of Covector name no axes of meshes in their types.

    Returns
    -------
    Array

    Examples
    --------
    >>> import covector as cv
    >>> cv.interpreters.batching.broadcast(cv.numpy.ones((2, 3)), 5, 1, None).shape
    (2, 5, 3)
    """
    return broadcast_dim(x, sz, axis)


_NO_VALUES_OF_USERS = "vmap maps over arrays alone: register the type as a pytree of them"


def register_vmappable(
    data_type: type,
    spec_type: type,
    axis_size_type: type,
    to_elt: Callable[..., Any],
    from_elt: Callable[..., Any],
    make_iota: Callable[..., Any] | None,
) -> None:
    """Not to be had: `vmap` maps over arrays, and over pytrees of them.

    Parameters
    ----------
    data_type, spec_type, axis_size_type, to_elt, from_elt, make_iota

    Returns
    -------
    None

    Raises
    ------
    NotImplementedError
        Always.

    Examples
    --------
    >>> from covector.interpreters import batching
    >>> batching.register_vmappable(list, int, int, len, len, None)
    Traceback (most recent call last):
    NotImplementedError: register_vmappable: vmap maps over arrays alone: register the type as a \
pytree of them
    """
    raise meaningless("register_vmappable", _NO_VALUES_OF_USERS)


def unregister_vmappable(data_type: type) -> None:
    """Not to be had; see `register_vmappable`.

    Parameters
    ----------
    data_type : type

    Returns
    -------
    None

    Raises
    ------
    NotImplementedError
        Always.

    Examples
    --------
    >>> from covector.interpreters import batching
    >>> batching.unregister_vmappable(list)
    Traceback (most recent call last):
    NotImplementedError: unregister_vmappable: vmap maps over arrays alone: register the type as \
a pytree of them
    """
    raise meaningless("unregister_vmappable", _NO_VALUES_OF_USERS)


__all__ = [
    "axis_primitive_batchers",
    "bdim_at_front",
    "broadcast",
    "defbroadcasting",
    "defreducer",
    "defvectorized",
    "fancy_primitive_batchers",
    "primitive_batchers",
    "register_vmappable",
    "unregister_vmappable",
]
_export(globals(), __all__)
