"""Kinds of pytree node that Covector adds: partial applications, dataclasses, static objects,
gradients of integers."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from covector.core.dtypes import float0
from covector.core.tree import PyTreeDef, flatten, register_node, unflatten
from covector.core.tree_paths import GetAttrKey


class Partial(functools.partial):
    """`functools.partial` that is a pytree: its arguments are children.

    Functions returned by transformations (``vjp``, ``linearize``) are of this kind, so that
    they can be passed to and returned from transformed functions.

    Parameters
    ----------
    func : callable
        Part of the structure: a function is compiled again for another ``func``.
    *args, **kw
        Arguments to bind: pytrees of arrays.

    Examples
    --------
    >>> import covector as cv
    >>> add = cv.tree_util.Partial(cv.numpy.add, 1)
    >>> cv.jit(lambda f, x: f(x))(add, 2.0)
    Array(3., dtype=float32, weak_type=True)
    >>> cv.tree.leaves(add)
    [1]
    """

    def __new__(cls, func: Callable[..., Any], /, *args: Any, **kw: Any) -> Partial:
        # functools.partial merges nested partials, which would lose the inner pytree's type.
        if isinstance(func, functools.partial):
            func = _Hashed(func)
        return super().__new__(cls, func, *args, **kw)


class _Hashed:
    """A callable compared by what it wraps."""

    __slots__ = ("fun", "__weakref__")

    def __init__(self, fun: functools.partial) -> None:
        self.fun = fun

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.fun(*args, **kwargs)

    def _key(self) -> Any:
        f = self.fun
        return (f.func, f.args, tuple(sorted(f.keywords.items())))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Hashed) and (self.fun is other.fun or self._key() == other._key())

    def __hash__(self) -> int:
        try:
            return hash(self._key())
        except TypeError:
            return id(self.fun)


def register_partial(cls: type[Partial]) -> None:
    """Make a class of partial functions one of pytrees."""

    def made(func: Any, children: Any) -> Partial:
        args, keywords = children
        return cls(func, *args, **keywords)

    register_node(
        cls,
        lambda p: ((p.args, p.keywords), p.func),
        made,
        lambda p: (GetAttrKey("args"), GetAttrKey("keywords")),
    )


register_partial(Partial)


def _fields(
    nodetype: type,
    data_fields: Sequence[str] | None,
    meta_fields: Sequence[str] | None,
    drop_fields: Sequence[str],
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The fields of a dataclass that are children, and those that are not, checked."""
    if data_fields is None or meta_fields is None:
        if not dataclasses.is_dataclass(nodetype):
            raise TypeError(
                f"register_dataclass: {nodetype.__name__} is not a dataclass, so that data_fields "
                "and meta_fields must be given"
            )
        fields = [f for f in dataclasses.fields(nodetype) if f.init and f.name not in drop_fields]
        static = {f.name for f in fields if f.metadata.get("static", False)}
        names = [f.name for f in fields]
        return (
            tuple([n for n in names if n not in static]),
            tuple([n for n in names if n in static]),
        )
    if dataclasses.is_dataclass(nodetype):
        known = {f.name for f in dataclasses.fields(nodetype)}
        expected = {f.name for f in dataclasses.fields(nodetype) if f.init}
        given = {*data_fields, *meta_fields, *drop_fields}
        if expected - given or given - known:
            raise ValueError(
                f"register_dataclass: the fields given for {nodetype.__name__} do not match its "
                f"own. Missing: {sorted(expected - given)}; unknown: {sorted(given - known)}"
            )
    return tuple(data_fields), tuple(meta_fields)


def register_dataclass(
    nodetype: type | None = None,
    data_fields: Sequence[str] | None = None,
    meta_fields: Sequence[str] | None = None,
    drop_fields: Sequence[str] = (),
) -> Any:
    """Make a dataclass a pytree node.

    Parameters
    ----------
    nodetype : type
        A dataclass, or a class built from keyword arguments named after its fields. Without
        it, a decorator is returned.
    data_fields : sequence of str, optional
        Fields that are children. By default all fields of a dataclass but those declared
        with ``metadata={"static": True}`` (or by `covector.tree.static`).
    meta_fields : sequence of str, optional
        Fields that are part of the structure: hashable, compared with ``==``.
    drop_fields : sequence of str
        Fields left out; a rebuilt object gets their defaults.

    Returns
    -------
    type
        ``nodetype``

    Raises
    ------
    TypeError
        If only one of ``data_fields`` and ``meta_fields`` is given, or neither for a class that is
        not a dataclass.
    ValueError
        If the fields given are not those of the dataclass.

    Examples
    --------
    >>> import dataclasses
    >>> import covector as cv
    >>> @cv.tree_util.register_dataclass
    ... @dataclasses.dataclass
    ... class Scale:
    ...     factor: float
    ...     name: str = cv.tree.static(default="s")
    >>> cv.tree.map(lambda x: 2 * x, Scale(1.5))
    Scale(factor=3.0, name='s')
    >>> cv.grad(lambda p, x: p.factor * x)(Scale(1.5), 4.0).factor
    Array(4., dtype=float32, weak_type=True)
    """
    if nodetype is None:
        return functools.partial(
            register_dataclass,
            data_fields=data_fields,
            meta_fields=meta_fields,
            drop_fields=drop_fields,
        )
    if (data_fields is None) != (meta_fields is None):
        raise TypeError("register_dataclass: give both data_fields and meta_fields, or neither")
    data, meta = _fields(nodetype, data_fields, meta_fields, drop_fields)
    keys = tuple(GetAttrKey(name) for name in data)

    def flatten(obj: Any) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        return (
            tuple([getattr(obj, name) for name in data]),
            tuple([getattr(obj, name) for name in meta]),
        )

    def unflatten(aux: tuple[Any, ...], children: Any) -> Any:
        values = dict(zip(data, children, strict=True))
        values.update(zip(meta, aux, strict=True))
        return nodetype(**values)

    register_node(nodetype, flatten, unflatten, lambda obj: keys)
    return nodetype


def register_static(cls: type) -> type:
    """Make ``cls`` a pytree node without children: its objects belong to the structure.

    Parameters
    ----------
    cls : type
        Its objects must be hashable and comparable, for example those of a frozen dataclass.

    Returns
    -------
    type
        ``cls``, so that this serves as a decorator.

    Examples
    --------
    A compiled function sees such an argument as it is, and is compiled again for another value:

    >>> import dataclasses
    >>> import covector as cv
    >>> @cv.tree_util.register_static
    ... @dataclasses.dataclass(frozen=True)
    ... class Mode:
    ...     double: bool
    >>> f = cv.jit(lambda mode, x: 2 * x if mode.double else x)
    >>> f(Mode(True), 3), f(Mode(False), 3)
    (Array(6, dtype=int32, weak_type=True), Array(3, dtype=int32, weak_type=True))
    >>> cv.tree.leaves(Mode(True))
    []
    """
    register_node(cls, lambda obj: ((), obj), lambda obj, children: obj)
    return cls


class _Float0:
    """Stands in a tree for a NumPy array of dtype ``float0``: it has a shape and no values."""

    __slots__ = ("shape",)

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape


register_node(_Float0, lambda x: ((), x.shape), lambda shape, _: np.zeros(shape, float0))


def without_float0(leaves: list[Any], treedef: PyTreeDef) -> tuple[list[Any], PyTreeDef]:
    """Leaves and structure of a tree in which arrays of dtype ``float0``, the gradients of
    integers, belong to the structure: programs neither take nor return them."""
    if not any([type(x) is np.ndarray and x.dtype == float0 for x in leaves]):
        return leaves, treedef
    hidden = [
        _Float0(x.shape) if type(x) is np.ndarray and x.dtype == float0 else x for x in leaves
    ]
    return flatten(unflatten(treedef, hidden))
