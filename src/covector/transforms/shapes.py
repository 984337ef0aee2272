"""Types of arrays without their values: ``ShapeDtypeStruct``, ``typeof``."""

from __future__ import annotations

from typing import Any

from covector.core import dtypes
from covector.core.avals import Array, ShapedArray, aval_of, refuse_mask
from covector.core.errors import boundaries
from covector.core.operands import canonical_shape


@boundaries
class ShapeDtypeStruct:
    """Shape and dtype of an array that need not exist.

    Parameters
    ----------
    shape : tuple of int
    dtype : dtype
    sharding : optional
        Kept as it is.
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
        self.sharding = sharding
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
        weak = ", weak_type=True" if self.weak_type else ""
        return f"ShapeDtypeStruct(shape={self.shape}, dtype={self.dtype.name}{weak})"


def struct_of(aval: ShapedArray) -> ShapeDtypeStruct:
    return ShapeDtypeStruct(aval.shape, aval.dtype, weak_type=aval.weak_type)


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
    return aval.with_sharding(x.sharding) if type(x) is Array else aval


def aval_like(x: Any) -> ShapedArray:
    """Aval of an array, scalar, or object with ``shape`` and ``dtype``."""
    if hasattr(x, "shape") and hasattr(x, "dtype") and not hasattr(x, "aval"):
        refuse_mask(x)
        return ShapedArray(
            tuple(x.shape), dtypes.canonicalize_dtype(x.dtype), getattr(x, "weak_type", False)
        )
    return aval_of(x)
