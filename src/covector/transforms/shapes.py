"""Types of arrays without their values: ``ShapeDtypeStruct``, ``typeof``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from covector.core import dtypes
from covector.core.avals import Array, ShapedArray, aval_of, marked, refuse_mask
from covector.core.errors import boundaries
from covector.core.operands import canonical_shape


def _same(aval: ShapedArray, sharding: Any) -> ShapedArray:
    return aval


def _as_given(spec: Any) -> Any:
    return spec


# ``type_on(aval, sharding)``: the type of an array that lies so, which says it; ``on_mesh(spec)``:
# a spec on the mesh that is set. They are replaced where shardings are known.
type_on: Callable[[ShapedArray, Any], ShapedArray] = _same
on_mesh: Callable[[Any], Any] = _as_given


@boundaries
class ShapeDtypeStruct:
    """Shape and dtype of an array that need not exist.

    Parameters
    ----------
    shape : tuple of int
    dtype : dtype
    sharding : Sharding or PartitionSpec, optional
        Where the array is; a spec is of the mesh that is set. Over Explicit axes, types say it.
    weak_type : bool
    manual_axis_type, is_ref : optional
        Have no effect.

    Examples
    --------
    >>> import covector as cv
    >>> cv.eval_shape(cv.numpy.sin, cv.ShapeDtypeStruct((3,), "float32"))
    ShapeDtypeStruct(shape=(3,), dtype=float32)
    """

    __slots__ = ("shape", "dtype", "sharding", "weak_type")

    def __init__(
        self,
        shape: Any,
        dtype: Any,
        *,
        sharding: Any = None,
        weak_type: bool = False,
        manual_axis_type: Any = None,
        is_ref: bool = False,
    ) -> None:
        if dtype is None:
            raise ValueError("ShapeDtypeStruct: dtype must be given")
        self.shape = canonical_shape(shape, "the shape of a ShapeDtypeStruct")
        self.dtype = dtypes.as_dtype(dtype)
        self.sharding = on_mesh(sharding) if hasattr(sharding, "partitions") else sharding
        self.weak_type = weak_type

    @classmethod
    def like(cls, x: Any) -> ShapeDtypeStruct:
        """The type of ``x``, an array or what has a ``shape`` and a ``dtype``.

        Parameters
        ----------
        x : array_like or ShapeDtypeStruct

        Returns
        -------
        ShapeDtypeStruct

        Examples
        --------
        >>> import covector as cv
        >>> cv.ShapeDtypeStruct.like(cv.numpy.zeros(3))
        ShapeDtypeStruct(shape=(3,), dtype=float32)
        """
        aval = x if hasattr(x, "shape") and hasattr(x, "dtype") else aval_of(x)
        weak, sharding = getattr(x, "weak_type", False), getattr(x, "sharding", None)
        return cls(aval.shape, aval.dtype, sharding=sharding, weak_type=weak)

    @property
    def size(self) -> int:
        return ShapedArray(self.shape, self.dtype).size

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def nbytes(self) -> int:
        return self.size * int(self.dtype.itemsize)

    @property
    def format(self) -> Any:
        """A `Format` that leaves the layout open, and has the sharding."""
        from covector.core.layout import Format  # few processes need it

        return Format(None, self.sharding)

    def update(self, **kwargs: Any) -> ShapeDtypeStruct:
        """A copy with other ``shape``, ``dtype``, ``sharding`` or ``weak_type``."""
        new = {name: kwargs.get(name, getattr(self, name)) for name in self.__slots__}
        return ShapeDtypeStruct(
            new["shape"], new["dtype"], sharding=new["sharding"], weak_type=new["weak_type"]
        )

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of unsized object")
        return self.shape[0]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ShapeDtypeStruct) and (
            (self.shape, self.dtype, self.sharding, self.weak_type)
            == (other.shape, other.dtype, other.sharding, other.weak_type)
        )

    def __hash__(self) -> int:
        return hash((self.shape, self.dtype, self.sharding, self.weak_type))

    def __repr__(self) -> str:
        more = ", weak_type=True" if self.weak_type else ""
        if getattr(self.sharding, "typed", False):
            more += f", sharding={self.sharding}"
        return f"ShapeDtypeStruct(shape={self.shape}, dtype={self.dtype.name}{more})"


def struct_of(aval: ShapedArray) -> ShapeDtypeStruct:
    sharding = marked(aval)
    return ShapeDtypeStruct(aval.shape, aval.dtype, sharding=sharding, weak_type=aval.weak_type)


def typeof(x: Any) -> ShapedArray:
    """The type of an array: its shape, dtype, weak type and, where it is known, its sharding.

    Parameters
    ----------
    x : array or scalar
        Traced or not.

    Returns
    -------
    ShapedArray

    Examples
    --------
    >>> import covector as cv
    >>> cv.typeof(cv.numpy.ones((2, 3)))
    ShapedArray(float32[2,3])
    >>> cv.typeof(1.0).weak_type
    True
    >>> cv.typeof(cv.numpy.ones(2)).sharding
    SingleDeviceSharding(device=CpuDevice(id=0))
    """
    aval = aval_of(x)
    return aval.with_sharding(x.sharding) if type(x) is Array and aval.placed is None else aval


def aval_like(x: Any) -> ShapedArray:
    """Aval of an array, scalar, or object with ``shape`` and ``dtype``."""
    if hasattr(x, "shape") and hasattr(x, "dtype") and not hasattr(x, "aval"):
        refuse_mask(x)
        aval = ShapedArray(
            tuple(x.shape), dtypes.canonicalize_dtype(x.dtype), getattr(x, "weak_type", False)
        )
        where = getattr(x, "sharding", None)
        return type_on(aval, where) if getattr(where, "typed", False) else aval
    return aval_of(x)
