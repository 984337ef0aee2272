"""What the sparse formats share: their base class, composed primitives, warnings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from covector import numpy as cnp
from covector.core.avals import sparse_remedy
from covector.core.errors import at_user_line, describe
from covector.core.operands import canonical_shape, product
from covector.core.trace import Tracer


class SparseEfficiencyError(ValueError):
    """An operation that was to be efficient would store many more elements than there are.

    Examples
    --------
    >>> from covector.experimental import sparse
    >>> try:
    ...     sparse.eye(3).update_layout(n_batch=1)
    ... except sparse.SparseEfficiencyError:
    ...     print(sparse.eye(3).update_layout(n_batch=1, on_inefficient=None))
    BCOO(float32[3, 3], nse=3, n_batch=1)
    """


class SparseEfficiencyWarning(UserWarning):
    """An operation stores many more elements than there are.

    Examples
    --------
    >>> import warnings
    >>> from covector.experimental import sparse
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore", sparse.SparseEfficiencyWarning)
    ...     x = sparse.eye(3).update_layout(n_batch=1, on_inefficient="warn")
    """


class CuSparseEfficiencyWarning(SparseEfficiencyWarning):
    """An operation falls back to a slower one on a GPU; on processors it is never given.

    Examples
    --------
    >>> from covector.experimental import sparse
    >>> issubclass(sparse.CuSparseEfficiencyWarning, sparse.SparseEfficiencyWarning)
    True
    """


class SparseInfo(NamedTuple):
    """What is static of a sparse array."""

    shape: tuple[int, ...]
    indices_sorted: bool = False
    unique_indices: bool = False


def _unsupported(name: str) -> Callable[..., Any]:
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        others = [c.__name__ for c in JAXSparse.__subclasses__() if getattr(c, name) is not method]
        to = f", or to a {' or a '.join(others)}, which has it" if others else ""
        raise NotImplementedError(
            f"{type(self).__name__} has no {name}: convert it with todense(){to}{at_user_line()}"
        )

    method.__name__ = name
    method.__doc__ = f"Not implemented for this format: ``{name}``."
    return method


class JAXSparse:
    """The base class of sparse arrays.

    A sparse array is a pytree: its leaves are the stored elements and their indices.

    Parameters
    ----------
    args : tuple of arrays
        The buffers of the format.
    shape : sequence of int

    Examples
    --------
    >>> from covector.experimental import sparse
    >>> isinstance(sparse.eye(2), sparse.JAXSparse)
    True
    """

    data: Any
    shape: tuple[int, ...]
    __hash__ = None  # type: ignore[assignment]
    # Operators of NumPy arrays leave it to the sparse operand.
    __array_priority__ = 100
    __array_ufunc__ = None

    def __init__(self, args: tuple[Any, ...], *, shape: Any) -> None:
        self.shape = canonical_shape(tuple(shape))

    @property
    def size(self) -> int:
        """Elements of the dense array."""
        return product(self.shape)

    @property
    def ndim(self) -> int:
        """Dimensions of the dense array."""
        return len(self.shape)

    @property
    def nse(self) -> int:
        """The number of stored elements."""
        raise NotImplementedError(f"{type(self).__name__}.nse")

    @property
    def dtype(self) -> Any:
        """The dtype of the elements."""
        return self.data.dtype

    @property
    def T(self) -> Any:  # noqa: N802
        """The transposed array."""
        return self.transpose()

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        # NumPy would make an array of objects, one for each element.
        raise TypeError(
            f"{describe(self)} is no dense array: {sparse_remedy(self)}{at_user_line()}"
        )

    def _buffers(self) -> tuple[Any, ...]:
        return self.tree_flatten()[0]

    def block_until_ready(self) -> Any:
        """Wait until the buffers are computed."""
        for x in self._buffers():
            x.block_until_ready()
        return self

    def tree_flatten(self) -> Any:
        """The buffers, and what is static."""
        raise NotImplementedError(f"{type(self).__name__}.tree_flatten")

    @classmethod
    def tree_unflatten(cls, aux_data: Any, children: Any) -> Any:
        """An array of buffers, which are not looked at, and what is static."""
        raise NotImplementedError(f"{cls.__name__}.tree_unflatten")

    def transpose(self, axes: Any = None) -> Any:
        """The array with its axes in another order."""
        raise NotImplementedError(f"{type(self).__name__}.transpose")

    def todense(self) -> Any:
        """The dense array."""
        raise NotImplementedError(f"{type(self).__name__}.todense")

    def sum(self, *args: Any, **kwargs: Any) -> Any:
        """The sum of elements, if the format has it."""
        return _unsupported("sum")(self, *args, **kwargs)

    def _layout(self) -> str:
        return ""

    def __repr__(self) -> str:
        name = type(self).__name__
        try:
            text = f"{name}({self.dtype}{list(self.shape)}, nse={self.nse}{self._layout()})"
        except (AttributeError, IndexError, TypeError):
            return f"{name}(<invalid>)"
        if any(isinstance(x, Tracer) for x in self._buffers()):
            text = f"Tracer[{text}]"
        return text

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of unsized object")
        return self.shape[0]

    def __bool__(self) -> bool:
        raise ValueError(
            "the truth value of a sparse array is ambiguous: look at the elements of "
            f"data{at_user_line()}"
        )


for _name in (
    "add radd sub rsub mul rmul truediv rtruediv floordiv rfloordiv mod rmod pow rpow matmul "
    "rmatmul neg pos abs getitem iter lt le gt ge eq ne"
).split():
    setattr(JAXSparse, f"__{_name}__", _unsupported(f"__{_name}__"))
JAXSparse.__hash__ = None  # type: ignore[assignment]


def mapped_shape(
    shape: tuple[int, ...], rank: int, n_batch: int, buffers: Sequence[Any]
) -> tuple[int, ...]:
    """The shape of an array of ``rank`` axes of which the first ``n_batch`` are batch axes.

    `vmap` takes batch axes of the buffers away, or gives them others, without knowing the shape.
    """
    if len(shape) == rank:
        return shape
    batch = tuple([max(x.shape[k] for x in buffers) for k in range(n_batch)])
    return batch + shape[len(shape) - (rank - n_batch) :]


def check_index_dtype(name: str, **arrays: Any) -> None:
    """Raise for indices that are not integers."""
    for what, x in arrays.items():
        if not cnp.issubdtype(x.dtype, cnp.integer):
            raise TypeError(
                f"{name}: {what} must be integers, got {x.aval.str_short()}{at_user_line()}"
            )


def is_placeholder(x: Any) -> bool:
    """Whether a leaf of a tree is no array: structures are rebuilt with anything."""
    return not (hasattr(x, "shape") and hasattr(x, "dtype"))


def to_array(x: Any) -> Any:
    """A leaf as an array, unless it is no array at all."""
    return x if isinstance(x, Tracer) else cnp.asarray(x)
