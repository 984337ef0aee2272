"""References: arrays that change in place while a program runs, made by `new_ref`.

Transformations treat a function that reads and writes references like one that passes their values
from step to step; compiled, the updates happen in the reference's own memory. See `new_ref`.
"""

from __future__ import annotations

from typing import Any

from covector.core.avals import Array, ShapedArray, aval_of, to_array
from covector.core.dtypes import is_extended, promote
from covector.core.errors import at_user_line, boundaries, describe
from covector.core.errors import export as _export
from covector.core.references import (
    AbstractRef,
    Reference,
    alias,
    end,
    not_a_value,
    read,
    write,
)
from covector.core.structural import convert_element_type, zeros
from covector.core.trace import Tracer, current_trace, eval_trace
from covector.numpy._index import NOTHING, Advanced, NewAxis, Scalar, parse
from covector.numpy._util import broadcast_to
from covector.numpy.indexing import getitem
from covector.numpy.updates import update
from covector.transforms.shapes import aval_like


class _Place:
    """What is compared as a place, by identity; its value is to be read to be compared."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, _Place):
            raise _not_read(self, f"compared with {describe(other)}")
        return self is other

    def __hash__(self) -> int:
        return object.__hash__(self)

    def __bool__(self) -> bool:
        raise _not_read(self, "taken for a truth value")


def _not_read(place: _Place, how: str) -> TypeError:
    shown = repr(place if isinstance(place, RefView) else getattr(place, "aval", place))
    return TypeError(
        f"a reference, {shown:.100}, was {how}: read its value with ref[...], or a part of it with "
        f"ref[index]. Whether it is None or a certain reference, `is` says{at_user_line()}"
    )


@boundaries
class Ref(_Place, Reference):
    """A reference: a place that holds an array, which can be read and written.

    Made by `new_ref`. ``ref[index]`` reads, ``ref[index] = x`` writes, ``ref[...]`` is all of it.
    It is not an array: operations take the values that are read from it.

    Parameters
    ----------
    aval : AbstractRef
        The type.
    refs : array
        The value, of that type.

    Examples
    --------
    >>> import covector as cv
    >>> ref = cv.new_ref(cv.numpy.zeros(3))
    >>> ref[1] = 5.0
    >>> ref[0] += 2.0
    >>> ref
    Ref([2., 5., 0.], dtype=float32)
    """

    __slots__ = ()

    @property
    def shape(self) -> tuple[int, ...]:
        return self.aval.shape

    @property
    def dtype(self) -> Any:
        return self.aval.dtype

    @property
    def ndim(self) -> int:
        return self.aval.ndim

    @property
    def size(self) -> int:
        return self.aval.size

    @property
    def sharding(self) -> Any:
        return read(self).sharding

    @property
    def format(self) -> Any:
        return read(self).format

    @property
    def committed(self) -> bool:
        return bool(read(self).committed)

    @property
    def at(self) -> _Parts:
        """``ref.at[index]`` is a part of the reference, which is read and written as it is."""
        return _Parts(self, ())

    def addupdate(self, x: Any, idx: Any = ()) -> None:
        """Add ``x`` at an index; see `addupdate`."""
        addupdate(self, idx, x)

    def __getitem__(self, index: Any) -> Any:
        return _read_at(self, (index,))

    def __setitem__(self, index: Any, value: Any) -> None:
        _write_at(self, (index,), value, "set")

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of a reference to a scalar")
        return self.shape[0]

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        value = read(self)
        if isinstance(value, Tracer):
            raise not_a_value(self.aval)
        return value.__array__(dtype, copy)

    def __repr__(self) -> str:
        value = self._value
        if self._ended or isinstance(value, Tracer):
            return f"{self.aval!r}{f' that {self._ended}' if self._ended else ''}"
        return "Ref" + repr(value)[len("Array") :]


@boundaries
class RefView(_Place):
    """``ref.at[index]``: a part of a reference.

    Examples
    --------
    >>> import covector as cv
    >>> ref = cv.new_ref(cv.numpy.zeros((2, 3)))
    >>> row = ref.at[1]
    >>> row[0] = 7.0
    >>> ref[...]
    Array([[0., 0., 0.],
           [7., 0., 0.]], dtype=float32)
    """

    __slots__ = ("ref", "indices")

    def __init__(self, ref: Ref, indices: tuple[Any, ...]) -> None:
        self.ref = ref
        self.indices = indices

    @property
    def at(self) -> _Parts:
        return _Parts(self.ref, self.indices)

    def __getitem__(self, index: Any) -> Any:
        return _read_at(self.ref, (*self.indices, index))

    def __setitem__(self, index: Any, value: Any) -> None:
        _write_at(self.ref, (*self.indices, index), value, "set")

    def __repr__(self) -> str:
        return f"{self.ref.aval!r}{''.join(f'.at[{i}]' for i in self.indices)}"


class _Parts:
    """What is indexed to get a `RefView`."""

    __slots__ = ("ref", "indices")

    def __init__(self, ref: Ref, indices: tuple[Any, ...]) -> None:
        self.ref = ref
        self.indices = indices

    def __getitem__(self, index: Any) -> RefView:
        return RefView(self.ref, (*self.indices, index))


# --- reading and writing -----------------------------------------------------------------


def _split(ref: Any, idx: Any, what: str) -> tuple[Ref, tuple[Any, ...]]:
    """The reference and the indices, one within the other, that ``ref`` and ``idx`` stand for."""
    index = Ellipsis if idx is None else idx
    if isinstance(ref, Ref):
        return ref, (index,)
    if isinstance(ref, RefView):
        return ref.ref, (*ref.indices, index)
    raise TypeError(
        f"{what} takes a reference, made by new_ref, got {describe(ref)}{at_user_line()}"
    )


def _is_whole(index: Any) -> bool:
    return index is Ellipsis or (type(index) is tuple and not index)


def _check_bounds(x: Any, index: Any) -> None:
    """Raise the IndexError for a Python integer out of bounds: the place does not exist."""
    entries = index if type(index) is tuple else (index,)
    if not any([type(i) is int for i in entries]):
        return
    dim = 0
    for item in parse(index, x):
        if type(item) is NewAxis or (type(item) is Advanced and item.new_axis):
            continue
        n = x.shape[dim]
        if type(item) is Scalar and type(item.value) is int and not -n <= item.value < n:
            raise IndexError(
                f"the index {item.value} is out of bounds for dimension {dim} of size {n} of a "
                f"reference of type {aval_of(x).str_short()}{at_user_line()}"
            )
        dim += 1


def _part(x: Any, index: Any) -> Any:
    if _is_whole(index):
        return x
    _check_bounds(x, index)
    return getitem(x, index)


def _read_at(ref: Ref, indices: tuple[Any, ...]) -> Any:
    x = value = read(ref)
    for index in indices:
        x = _part(x, index)
    if x is value and type(x) is Array:
        return alias(x)
    return x


def _write_at(ref: Ref, indices: tuple[Any, ...], value: Any, op: str) -> None:
    x = read(ref)
    eager = type(x) is Array and current_trace() is eval_trace
    new = _updated(x, indices, _typed(value, ref.aval.inner_aval), op, eager)
    aval = ref.aval.inner_aval
    if aval_of(new) != aval:
        new = convert_element_type(new, aval.dtype, aval.weak_type)
    write(ref, new)


def _typed(value: Any, aval: ShapedArray) -> Any:
    """``value`` as an array of the reference's dtype."""
    if isinstance(value, Reference):
        raise not_a_value(value.aval)
    given = aval_of(value)
    if given.dtype == aval.dtype:
        return value
    types = ((aval.dtype, False), (given.dtype, given.weak_type))
    if is_extended(given.dtype) or is_extended(aval.dtype) or promote(types)[0] != aval.dtype:
        raise ValueError(
            f"a value of type {given.str_short()} cannot be written to a reference of dtype "
            f"{aval.dtype.name}, which does not hold it safely: convert it with .astype"
            f"{at_user_line()}"
        )
    return convert_element_type(value, aval.dtype, given.weak_type)


def _updated(x: Any, indices: tuple[Any, ...], value: Any, op: str, donate: bool) -> Any:
    """``x`` with an update of the part at ``indices``, each of which is within the one before."""
    index, rest = indices[0], indices[1:]
    if rest:
        part = _part(x, index)
        return update(x, index, _updated(part, rest, value, op, False), "set", None, NOTHING)
    shape = aval_of(value).shape
    if _is_whole(index) and op == "set":
        if shape == x.shape:
            return value
        pairs = zip(reversed(shape), reversed(x.shape), strict=False)
        if len(shape) > len(x.shape) or any(a not in (1, b) for a, b in pairs):
            raise ValueError(
                f"a value of type {aval_of(value).str_short()} cannot be written to all of a "
                f"reference to {aval_of(x).str_short()}: the shapes do not fit{at_user_line()}"
            )
        return broadcast_to(value, x.shape)
    _check_bounds(x, index)
    return update(x, index, value, op, None, NOTHING, donate)


def get(ref: Any, idx: Any = None) -> Any:
    """Read a reference at an index; None and ``...`` stand for all of it.

    Parameters
    ----------
    ref : Ref
        Or a part of one, ``ref.at[index]``.
    idx : index, optional

    Returns
    -------
    Array
        As ``ref[idx]``.

    Examples
    --------
    >>> import covector as cv
    >>> cv.ref.get(cv.new_ref(cv.numpy.arange(3)), 1)
    Array(1, dtype=int32)
    """
    return _read_at(*_split(ref, idx, "ref.get"))


def set(ref: Any, idx: Any, value: Any) -> None:
    """Write to a reference at an index; None and ``...`` stand for all of it.

    Parameters
    ----------
    ref : Ref
        Or a part of one, ``ref.at[index]``.
    idx : index
    value : array
        Of a dtype that the reference's holds safely; it is broadcast to the shape of the part.

    Returns
    -------
    None

    Examples
    --------
    >>> import covector as cv
    >>> ref = cv.new_ref(cv.numpy.arange(3))
    >>> cv.ref.set(ref, 1, 7)
    >>> ref
    Ref([0, 7, 2], dtype=int32)
    """
    _write_at(*_split(ref, idx, "ref.set"), value, "set")


def swap(ref: Any, idx: Any, value: Any, _function_name: str = "ref_swap") -> Any:
    """Write to a reference at an index, and return what was there.

    Parameters
    ----------
    ref : Ref
        Or a part of one, ``ref.at[index]``.
    idx : index
    value : array
    _function_name : str
        Has no effect.

    Returns
    -------
    Array

    Examples
    --------
    >>> import covector as cv
    >>> ref = cv.new_ref(cv.numpy.arange(3))
    >>> cv.ref.swap(ref, 1, 7), ref[...]
    (Array(1, dtype=int32), Array([0, 7, 2], dtype=int32))
    """
    place = _split(ref, idx, "ref.swap")
    old = _read_at(*place)
    _write_at(*place, value, "set")
    return old


def addupdate(ref: Any, idx: Any, x: Any) -> None:
    """Add to a reference at an index.

    Parameters
    ----------
    ref : Ref
        Or a part of one, ``ref.at[index]``.
    idx : index
    x : array

    Returns
    -------
    None

    Notes
    -----
    Where an index array names a position several times, all of the values are added. ``ref[idx] +=
    x`` reads, adds, and writes, so that one of them counts.

    Examples
    --------
    >>> import covector as cv
    >>> import covector.numpy as np
    >>> ref = cv.new_ref(np.zeros(3))
    >>> cv.ref.addupdate(ref, np.array([0, 0, 2]), 1.0)
    >>> ref
    Ref([2., 0., 1.], dtype=float32)
    """
    _write_at(*_split(ref, idx, "ref.addupdate"), x, "add")


# --- making and ending -------------------------------------------------------------------


def new_ref(init_val: Any, *, memory_space: Any = None, kind: str | None = None) -> Ref:
    """A reference that holds an array: it can be read and written.

    Parameters
    ----------
    init_val : array
        The first value; it is not changed.
    memory_space, kind : optional
        None: there is one kind of memory.

    Returns
    -------
    Ref
        ``ref[index]`` reads and ``ref[index] = x`` writes, ``ref[...]`` all of it.

    Raises
    ------
    TypeError
        If ``init_val`` is not an array.

    Notes
    -----
    A reference may be used in the function that made it and in those called there, transformed or
    not: as an argument of `jit`, `vmap` (with the axis to map) and of the branches of `lax.cond`
    and `lax.switch`, among the ``xs`` of `lax.scan`, or closed over. It cannot be returned.
    A function may use one that was made outside of `grad` or `vmap`, but not write to it what
    depends on the derivative or on the mapped axis.

    Compiled, the updates happen in its memory.

    Examples
    --------
    >>> import covector as cv
    >>> import covector.numpy as np
    >>> @cv.jit
    ... def count(ref, values):
    ...     def body(i, _):
    ...         ref[values[i]] += 1
    ...     cv.lax.fori_loop(0, len(values), body, None)
    >>> ref = cv.new_ref(np.zeros(3, int))
    >>> count(ref, np.array([0, 2, 2, 1, 2]))
    >>> cv.freeze(ref)
    Array([1, 1, 3], dtype=int32)
    """
    _check_memory(memory_space, kind, "new_ref")
    if isinstance(init_val, Reference):
        raise not_a_value(init_val.aval)
    try:
        aval = aval_of(init_val)
    except TypeError as e:
        raise TypeError(f"new_ref takes an array: {e}{at_user_line()}") from None
    value = init_val if isinstance(init_val, Tracer) else alias(to_array(init_val, aval))
    return Ref(AbstractRef(ShapedArray(aval.shape, aval.dtype, aval.weak_type)), value)


def empty_ref(ty: Any, memory_space: Any = None) -> Ref:
    """A reference whose value is to be written before it is read.

    Parameters
    ----------
    ty : ShapeDtypeStruct, ShapedArray or AbstractRef
        The type, or an array that has it.
    memory_space : optional
        None: there is one kind of memory.

    Returns
    -------
    Ref
        Of zeros.

    Examples
    --------
    >>> import covector as cv
    >>> ref = cv.empty_ref(cv.ShapeDtypeStruct((2,), "float32"))
    >>> ref[...] = 1.0
    >>> ref
    Ref([1., 1.], dtype=float32)
    """
    _check_memory(memory_space, None, "empty_ref")
    aval = ty if isinstance(ty, ShapedArray) else None
    if isinstance(ty, (AbstractRef, Reference)):
        aval = (ty if isinstance(ty, AbstractRef) else ty.aval).inner_aval
    try:
        return new_ref(zeros(aval_like(ty) if aval is None else aval))
    except TypeError as e:
        raise TypeError(
            "empty_ref takes the type of the value, such as covector.ShapeDtypeStruct((3,), "
            f"'float32'), or an array that has it, got {describe(ty)}{at_user_line()}"
        ) from e


def _check_memory(memory_space: Any, kind: Any, what: str) -> None:
    if memory_space is not None or kind is not None:
        raise NotImplementedError(
            f"{what}: there is one kind of memory, so that memory_space and kind are None; got "
            f"{describe(kind if memory_space is None else memory_space)}{at_user_line()}"
        )


def _check_ref(ref: Any, what: str) -> None:
    if not isinstance(ref, Ref):
        raise TypeError(
            f"{what} takes a reference, made by new_ref, got {describe(ref)}{at_user_line()}"
        )


def freeze(ref: Ref) -> Any:
    """The last value of a reference, which cannot be used any more.

    Parameters
    ----------
    ref : Ref

    Returns
    -------
    Array

    Raises
    ------
    ValueError
        If the reference was frozen or freed, or made outside of the traced function that does it.

    Examples
    --------
    >>> import covector as cv
    >>> ref = cv.new_ref(cv.numpy.zeros(2))
    >>> ref[0] = 1.0
    >>> cv.freeze(ref)
    Array([1., 0.], dtype=float32)
    """
    _check_ref(ref, "freeze")
    return end(ref, "frozen")


def free_ref(ref: Ref) -> None:
    """Give up a reference and its memory.

    Parameters
    ----------
    ref : Ref

    Returns
    -------
    None

    Raises
    ------
    ValueError
        If the reference was frozen or freed, or made outside of the traced function that does it.

    Examples
    --------
    >>> import covector as cv
    >>> ref = cv.new_ref(cv.numpy.zeros(2))
    >>> cv.free_ref(ref)
    >>> try:
    ...     ref[0]
    ... except ValueError:
    ...     print("it was freed")
    it was freed
    """
    _check_ref(ref, "free_ref")
    end(ref, "freed")


__all__ = [
    "AbstractRef", "Ref", "addupdate", "empty_ref", "free_ref", "freeze", "get", "new_ref", "set",
    "swap",
]  # fmt: skip

_export(globals(), __all__)
