"""Abstract values: what is known of an array while a program is traced."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any, ClassVar

import numpy as np

from covector import _native
from covector.core import dtypes
from covector.core.config import places_set, transfers_guarded
from covector.core.dtypes import DType
from covector.core.errors import at_user_line
from covector.core.record import Record

Shape = tuple[int, ...]

_SHORT = {
    "float": "f", "int": "i", "uint": "u", "complex": "c", "bfloat": "bf",
}  # fmt: skip


def short_dtype(dtype: DType) -> str:
    """``f32``, ``i8``, ``bf16``, ``bool``, as jaxprs print it."""
    name = dtype.name
    if dtype in dtypes.SMALL_FLOATS:
        return f"f{name.removeprefix('float')}"  # f8_e4m3fn
    for long, short in _SHORT.items():
        if name.startswith(long) and name[len(long) :].isdigit():
            return short + name[len(long) :]
    return name


class Marks(Record):
    """What types say of sums over devices.

    Attributes
    ----------
    unreduced : frozenset of hashable
        Axes of a mesh over which the value is a sum that is not taken yet: each device has a term.
    reduced : frozenset of hashable
        Axes over which all devices have the value, and terms of the sum that is its cotangent.
    """

    unreduced: frozenset[Any]
    reduced: frozenset[Any]

    @property
    def of_cotangent(self) -> Marks:
        """Those of the cotangent."""
        return Marks(self.reduced, self.unreduced)

    def __or__(self, other: Marks) -> Marks:
        """Those of both."""
        return Marks(self.unreduced | other.unreduced, self.reduced | other.reduced)

    def without(self, axes: Iterable[Any]) -> Marks:
        """Those over other axes."""
        return Marks(self.unreduced.difference(axes), self.reduced.difference(axes))

    def along(self, axes: Collection[Any]) -> Marks:
        """Those over ``axes``."""
        return Marks(self.unreduced.intersection(axes), self.reduced.intersection(axes))


NO_MARKS = Marks(frozenset(), frozenset())


class AbstractValue:
    """What is known of a value while a program is traced: `ShapedArray` of an array.

    Examples
    --------
    >>> import covector as cv
    >>> isinstance(cv.typeof(1.0), cv.core.AbstractValue)
    True
    """

    __slots__ = ()
    # How an array is split over explicit axes of a mesh; None says nothing.
    placed: Any = None
    # Of sums over devices.
    marks: Marks = NO_MARKS


class ShapedArray(AbstractValue):
    """Shape, dtype and weak type of a value.

    Attributes
    ----------
    shape : tuple of int
    dtype : numpy.dtype or KeyDType
    weak_type : bool
        Whether the dtype came from a Python scalar and gives way in promotion.
    sharding : Sharding or None
        Where the array is, if that is known; it does not count in comparisons.
    """

    # `_sharding` is set by `with_sharding` alone.
    __slots__ = ("shape", "dtype", "weak_type", "_sharding")
    shape: Shape
    dtype: DType
    weak_type: bool
    _sharding: Any

    def __init__(
        self,
        shape: Shape,
        dtype: DType,
        weak_type: bool = False,
        *,
        sharding: Any = None,
        manual_axis_type: Any = None,
        memory_space: None = None,
    ) -> None:
        self.shape = shape
        self.dtype = dtype
        self.weak_type = weak_type
        if sharding is not None:
            self._sharding = sharding
        if isinstance(dtype, (type, str)) or type(shape) is not tuple:
            # As users write them.
            self.shape = tuple([d if hasattr(d, "terms") else int(d) for d in shape])
            self.dtype = dtypes.canonicalize_dtype(dtype)

    @property
    def sharding(self) -> Any:
        return getattr(self, "_sharding", None)

    def with_sharding(self, sharding: Any) -> ShapedArray:
        """The same type, of an array that is there."""
        out = ShapedArray(self.shape, self.dtype, self.weak_type)
        out._sharding = sharding
        return out

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        n = 1
        for d in self.shape:
            n *= d
        return n

    def update(self, **changes: Any) -> ShapedArray:
        return ShapedArray(
            changes.get("shape", self.shape),
            changes.get("dtype", self.dtype),
            changes.get("weak_type", self.weak_type),
        )

    def strip_weak_type(self) -> ShapedArray:
        return ShapedArray(self.shape, self.dtype) if self.weak_type else self

    @property
    def varying(self) -> frozenset[Any]:
        """Axes of a mesh whose devices may have different values, inside of `shard_map`."""
        return NONE_VARY

    @property
    def manual_axis_type(self) -> Any:
        """What is known of the value over manual axes of a mesh, a `ManualAxisType`."""
        from covector.core.manual_axes import ManualAxisType  # few programs ask for it

        marks = self.marks.without(() if self.placed is None else self.placed.mesh.explicit_axes)
        return ManualAxisType(
            varying=self.varying, unreduced=marks.unreduced, reduced=marks.reduced
        )

    @property
    def vma(self) -> frozenset[Any]:
        """`varying`, as it is called elsewhere."""
        return self.varying

    def without(self, dim: int) -> ShapedArray:
        """The type of an element along an axis."""
        shape = self.shape
        return ShapedArray(shape[:dim] + shape[dim + 1 :], self.dtype, self.weak_type)

    def stacked(self, size: int, along: Any = None) -> ShapedArray:
        """The type of ``size`` arrays of this type along a new first axis, which is split as
        ``along``, the sharding of a vector, says."""
        out = ShapedArray((size, *self.shape), self.dtype, self.weak_type)
        if along is None:
            return out
        parts = along.spec.partitions + (None,) * len(self.shape)
        return place(out, along.update(spec=parts), NONE_VARY)

    def to_tangent_aval(self) -> ShapedArray:
        """The aval of a tangent of this value (``float0`` for integers and booleans)."""
        return ShapedArray(self.shape, dtypes.tangent_dtype(self.dtype), self.weak_type)

    def as_cotangent(self) -> ShapedArray:
        """The aval of a cotangent, of a type that is that of tangents already: over axes over which
        this is a sum that is not taken yet, all devices have the cotangent, and the other way
        round."""
        return self

    def to_cotangent_aval(self) -> ShapedArray:
        """The aval of a cotangent of this value."""
        return self.to_tangent_aval().as_cotangent()

    def matches(self, other: ShapedArray) -> bool:
        """Equal up to weak type."""
        return self.shape == other.shape and self.dtype == other.dtype

    def lies_as(self, other: ShapedArray) -> bool:
        """Whether both are split alike over explicit axes, as far as both say it, and are sums
        over the same axes."""
        a, b = self.placed, other.placed
        alike = a is None or b is None or (a.mesh == b.mesh and a.spec == b.spec)
        return alike and self.marks == other.marks

    def str_short(self, short_dtypes: bool = False) -> str:
        name = short_dtype(self.dtype) if short_dtypes else self.dtype.name
        return f"{name}[{','.join(map(str, self.shape))}]"

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, ShapedArray)
            and self.shape == other.shape
            and self.dtype == other.dtype
            and self.weak_type == other.weak_type
        )

    def __hash__(self) -> int:
        return hash((self.shape, self.dtype, self.weak_type))

    def __repr__(self) -> str:
        weak = ", weak_type=True" if self.weak_type else ""
        return f"ShapedArray({self.str_short()}{weak})"


NONE_VARY: frozenset[Any] = frozenset()


class PlacedArray(ShapedArray):
    """A type that says of an array how it is split over explicit axes of a mesh, over which
    manual axes it varies, and over which axes of both kinds it is a sum.

    Attributes
    ----------
    placed : NamedSharding or None
        Over an abstract mesh; None says nothing. Its spec has no marks.
    varying : frozenset of hashable
    marks : Marks
    """

    __slots__ = ("placed", "_varying", "marks")
    exist: ClassVar[bool] = False  # whether there has ever been one

    def __init__(
        self, shape: Shape, dtype: DType, weak_type: bool, placed: Any, varying: frozenset[Any],
        marks: Marks = NO_MARKS,
    ) -> None:  # fmt: skip
        self.shape = shape
        self.dtype = dtype
        self.weak_type = weak_type
        self.placed = placed
        self._varying = varying
        self.marks = marks
        PlacedArray.exist = True

    @property
    def varying(self) -> frozenset[Any]:
        return self._varying

    @property
    def sharding(self) -> Any:
        return getattr(self, "_sharding", None) or marked(self)

    def with_sharding(self, sharding: Any) -> ShapedArray:
        out = PlacedArray(
            self.shape, self.dtype, self.weak_type, self.placed, self._varying, self.marks
        )
        out._sharding = sharding
        return out

    def _as(self, plain: ShapedArray, placed: Any, marks: Marks | None = None) -> ShapedArray:
        return place(plain, placed, self._varying, self.marks if marks is None else marks)

    def update(self, **changes: Any) -> ShapedArray:
        same = "shape" not in changes or changes["shape"] == self.shape
        return self._as(super().update(**changes), self.placed if same else None)

    def without(self, dim: int) -> ShapedArray:
        placed = self.placed
        if placed is not None:
            parts = [*placed.spec, *[None] * (len(self.shape) - len(placed.spec))]
            placed = placed.update(spec=tuple(parts[:dim] + parts[dim + 1 :]))
        return self._as(super().without(dim), placed)

    def stacked(self, size: int, along: Any = None) -> ShapedArray:
        plain = super().stacked(size, along)
        placed = self.placed
        if placed is None:
            return self._as(plain, plain.placed)
        first = (None,) if along is None else along.spec.partitions
        return self._as(plain, placed.update(spec=(*first, *placed.spec)))

    def strip_weak_type(self) -> ShapedArray:
        return self.update(weak_type=False) if self.weak_type else self

    def to_tangent_aval(self) -> ShapedArray:
        return self._as(super().to_tangent_aval(), self.placed)

    def as_cotangent(self) -> ShapedArray:
        if self.marks == NO_MARKS:
            return self
        return self._as(self, self.placed, self.marks.of_cotangent)

    def str_short(self, short_dtypes: bool = False) -> str:
        name = short_dtype(self.dtype) if short_dtypes else self.dtype.name
        spec = () if self.placed is None else self.placed.spec
        dims = list(map(str, self.shape))
        for k, part in enumerate(spec):
            if part is not None:
                axes = part if type(part) is tuple else (part,)
                shown = ",".join(map(str, axes))
                dims[k] += f"@({shown})" if len(axes) > 1 else f"@{shown}"
        marks = []
        if self._varying:
            marks.append(f"V:{_axes_text(self._varying)}")
        for letter, axes in zip("UR", self.marks, strict=True):
            if axes:
                marks.append(f"{letter}:{_axes_text(axes)}")
        return f"{name}[{','.join(dims)}]{'{' + ', '.join(marks) + '}' if marks else ''}"

    def __eq__(self, other: object) -> bool:
        return (
            type(other) is PlacedArray
            and self.shape == other.shape
            and self.dtype == other.dtype
            and self.weak_type == other.weak_type
            and self._varying == other._varying
            and self.placed == other.placed
            and self.marks == other.marks
        )

    def __hash__(self) -> int:
        return hash(
            (self.shape, self.dtype, self.weak_type, self._varying, self.placed, self.marks)
        )


def _axes_text(axes: Any) -> str:
    names = sorted(map(str, axes))
    return names[0] if len(names) == 1 else f"({','.join(names)})"


def place(
    aval: ShapedArray, placed: Any, varying: frozenset[Any], marks: Marks = NO_MARKS
) -> ShapedArray:
    """The type of ``aval`` with another sharding, other axes over which it varies, and other sums
    over devices."""
    if placed is None and not varying and marks == NO_MARKS:
        if type(aval) is ShapedArray:
            return aval
        return ShapedArray(aval.shape, aval.dtype, aval.weak_type)
    return PlacedArray(aval.shape, aval.dtype, aval.weak_type, placed, varying, marks)


def marked(aval: AbstractValue) -> Any:
    """How a type says that an array lies over explicit axes, with what it says of sums over them,
    or None."""
    placed = aval.placed
    if placed is None or aval.marks == NO_MARKS:
        return placed
    return placed.update(spec=placed.spec.with_marks(aval.marks.along(placed.mesh.explicit_axes)))


def is_split(x: Any) -> bool:
    """Whether the type of an array, or of a value of a program, says that it is split."""
    placed = getattr(getattr(x, "aval", None), "placed", None)
    return placed is not None and any(p is not None for p in placed.spec)


def nbytes_of(aval: ShapedArray) -> int:
    """The size of an array of this type in bytes."""
    return aval.size * int(aval.dtype.itemsize)


_native.set_aval_factory(ShapedArray)
Array = _native.Array

_PY_AVALS: dict[Any, ShapedArray] = {}


def scalar_aval(pytype: type) -> ShapedArray:
    """Aval of a Python scalar of exactly this type."""
    dt = dtypes.scalar_dtype(pytype)
    aval = _PY_AVALS.get((pytype, dt))
    if aval is None:
        aval = _PY_AVALS[pytype, dt] = ShapedArray((), dt, pytype is not bool)
    return aval


def aval_of(x: Any) -> ShapedArray:
    """The abstract value of an array, tracer, NumPy array or scalar.

    Raises
    ------
    TypeError
        If ``x`` is none of these.
    """
    aval = getattr(x, "aval", None)
    if aval is not None:
        return aval
    t = type(x)
    if t is float or t is int or t is bool or t is complex:
        return scalar_aval(t)
    if isinstance(x, (np.ndarray, np.generic)):
        if t is not np.ndarray:
            refuse_mask(x)
        return ShapedArray(x.shape, dtypes.canonicalize_dtype(x.dtype))
    for pytype in (bool, int, float, complex):
        if isinstance(x, pytype):
            return scalar_aval(pytype)
    raise TypeError(not_an_array(x))


def sparse_remedy(x: Any) -> str:
    """What to do with a sparse array where a dense one is wanted; empty for others."""
    if not hasattr(type(x), "todense"):
        return ""
    ours = type(x).__module__.startswith("covector.")
    return "convert it with its method todense()" + (
        ", or call the function through covector.experimental.sparse.sparsify" if ours else ""
    )


def not_an_array(x: Any, where_static: str = "") -> str:
    """What is wrong with a value that is no array, and what to do about it.

    Parameters
    ----------
    x : object
    where_static : str
        How an argument becomes one that need not be an array, where there is a way.
    """
    t = type(x)
    if hasattr(t, "addupdate"):
        remedy = "close over a reference, or pass its value, ref[...]"
    elif sparse_remedy(x):
        remedy = sparse_remedy(x)
    elif hasattr(t, "to_numpy"):
        remedy = "convert it with its method to_numpy()"
    elif hasattr(t, "__dataclass_fields__"):
        remedy = "register its class with tree_util.register_dataclass"
    elif hasattr(t, "__array__") or hasattr(t, "__jax_array__"):
        remedy = "convert it with covector.numpy.asarray"
    elif isinstance(x, (str, bytes)) or callable(x):
        remedy = where_static or "arrays hold numbers and booleans"
    else:
        remedy = (
            "expected an array, a NumPy array or scalar, a Python number, or a container of these "
            "(its class registered with tree_util.register_pytree_node if it is one of your own)"
        )
    return f"a value of type {t.__name__} is neither an array nor a number: {x!r:.100}; {remedy}"


def refuse_mask(x: Any) -> None:
    """Raise the error for NumPy's masked arrays, which would lose their masks."""
    if hasattr(x, "mask") and hasattr(x, "filled"):
        raise ValueError(
            "masked arrays of NumPy cannot be operands: the mask would be lost. Use "
            f"x.filled(value), or x.data and covector.numpy.where with x.mask{at_user_line()}"
        )


def is_array_like(x: Any) -> bool:
    """Whether operations accept ``x`` as an operand."""
    return isinstance(x, (Array, np.ndarray, np.generic, bool, int, float, complex)) or hasattr(
        x, "aval"
    )


def arrive(x: Array, beside: Sequence[Any]) -> Array:
    """Move a new array, which is on the host, to where committed arrays in ``beside`` are, or to
    the default device (the runtime replaces this)."""
    return x


def settled(x: Array, *beside: Any) -> Array:
    """A new array, which is on the host, where the arrays that it was computed from, or new
    arrays, are to be."""
    if places_set() or (beside and any([type(b) is Array and b._placement for b in beside])):
        return arrive(x, beside)
    return x


def to_array(x: Any, aval: ShapedArray | None = None) -> Array:
    """An array on the default device with the value of a NumPy array or scalar.

    Arrays pass through.
    """
    if type(x) is Array:
        return x
    if aval is None:
        aval = aval_of(x)
    t = type(x)
    if t is float or t is int or t is bool or t is complex:
        made = _native.array_from_scalar(x, dtypes.code_of[aval.dtype], aval.weak_type)
    else:
        made = array_from_numpy(np.asarray(x), aval.dtype, aval.weak_type)
    return settled(made)


def spec_of_type(aval: ShapedArray) -> tuple[int, Shape, bool]:
    """A type as the native core takes it."""
    return dtypes.code_of[aval.dtype], aval.shape, aval.weak_type


def array_from_numpy(
    x: np.ndarray, dtype: DType | None = None, weak: bool = False, alias: bool = False
) -> Array:
    """Copy (or alias, when asked and possible) a NumPy array, converting to ``dtype``.

    The result is on the host; see `settled`.
    """
    if dtype is None:
        dtype = dtypes.canonicalize_dtype(x.dtype)
    shape = x.shape
    if dtype == dtypes.float0:
        raise TypeError(
            "an array of dtype float0, the gradient of an integer, holds no values and cannot be "
            "an operand"
        )
    if x.dtype != dtype:
        x = dtypes.cast(x, dtype)
        alias = True
    x = np.ascontiguousarray(x)
    if dtype == dtypes.bfloat16 or dtype in dtypes.SMALL:
        x = x.view(f"u{x.itemsize}")  # NumPy has no buffers of these
    return _native.array_from_buffer(x, dtypes.code_of[dtype], shape, weak, alias)


def _convert_argument(x: Any) -> Any:
    """What the native call path makes of NumPy arguments; None has Python report the error."""
    if transfers_guarded():
        return None  # the guard is told in Python, what it is an operand of
    try:
        return to_array(x)
    except TypeError:
        return None


_native.set_numpy_types(np.ndarray, np.generic)
_native.set_converter(_convert_argument)
