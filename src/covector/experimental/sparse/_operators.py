"""Operators and methods of sparse arrays: those of dense ones, sparsified."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from covector import _native
from covector import numpy as cnp
from covector.core.errors import at_user_line
from covector.experimental.sparse._base import JAXSparse
from covector.experimental.sparse._bcoo import BCOO
from covector.experimental.sparse._bcsr import BCSR
from covector.experimental.sparse._layouts import bcoo_update_layout
from covector.experimental.sparse._order import (
    bcoo_sort_indices,
    bcoo_sum_duplicates,
    bcoo_transpose,
    zeros_dropped,
)
from covector.experimental.sparse._sparsify import sparsify


def _binary(fun: Callable[..., Any], reflected: bool) -> Callable[..., Any]:
    compute = sparsify(fun)

    def op(self: Any, other: Any) -> Any:
        if not isinstance(other, (JAXSparse, int, float, complex)):
            other = cnp.asarray(other)
        return compute(other, self) if reflected else compute(self, other)

    return _native.Boundary(op)


def _getitem(self: Any, index: Any) -> Any:
    return sparsify(lambda x: x[index])(self)


def _iter(self: Any) -> Iterator[Any]:
    if not self.shape:
        raise TypeError(f"iteration over a sparse array of rank 0{at_user_line()}")
    return iter([self[k] for k in range(self.shape[0])])


def _sum(self: Any, *args: Any, **kwargs: Any) -> Any:
    """The sum of the elements, along axes if they are given: as of a dense array."""
    return sparsify(lambda x: x.sum(*args, **kwargs))(self)


def _reshape(self: Any, *args: Any, **kwargs: Any) -> Any:
    """The array in another shape: as of a dense array."""
    return sparsify(lambda x: x.reshape(*args, **kwargs))(self)


def _astype(self: Any, *args: Any, **kwargs: Any) -> Any:
    """The array in another dtype: as of a dense array."""
    return sparsify(lambda x: x.astype(*args, **kwargs))(self)


_BINARY = {
    "add": cnp.add, "sub": cnp.subtract, "mul": cnp.multiply, "truediv": cnp.true_divide,
    "pow": cnp.power, "matmul": cnp.matmul,
}  # fmt: skip
for _name, _fun in _BINARY.items():
    for _cls in (BCOO, BCSR):
        setattr(_cls, f"__{_name}__", _binary(_fun, False))
        setattr(_cls, f"__r{_name}__", _binary(_fun, True))
for _cls in (BCOO, BCSR):
    _cls.__neg__ = lambda self: self._with(-self.data)
    _cls.__pos__ = lambda self: self
    _cls.__abs__ = lambda self: sparsify(cnp.abs)(self)
    _cls.__getitem__ = _native.Boundary(_getitem)
    _cls.__iter__ = _iter


def _transpose(self: BCOO, axes: Sequence[int] | None = None) -> BCOO:
    """The array with its axes in another order: `bcoo_transpose`."""
    permutation = range(self.ndim)[::-1] if axes is None else axes
    return bcoo_transpose(self, permutation=tuple(permutation))


def _sort_indices(self: BCOO) -> BCOO:
    """The same array with its coordinates in order: `bcoo_sort_indices`."""
    return bcoo_sort_indices(self)


def _sum_duplicates(self: BCOO, nse: int | None = None, remove_zeros: bool = True) -> BCOO:
    """The same array with each coordinate stored once: `bcoo_sum_duplicates`.

    Elements that are 0 are left out if ``remove_zeros``.
    """
    return bcoo_sum_duplicates(zeros_dropped(self) if remove_zeros else self, nse=nse)


def _update_layout(
    self: BCOO,
    *,
    n_batch: int | None = None,
    n_dense: int | None = None,
    on_inefficient: str = "error",
) -> BCOO:
    """The same array with other batch and dense axes: `bcoo_update_layout`."""
    return bcoo_update_layout(self, n_batch=n_batch, n_dense=n_dense, on_inefficient=on_inefficient)


for _method in (
    _sum, _reshape, _astype, _transpose, _sort_indices, _sum_duplicates, _update_layout
):  # fmt: skip
    _method.__name__ = _method.__name__.removeprefix("_")
    _method.__qualname__ = f"BCOO.{_method.__name__}"
    setattr(BCOO, _method.__name__, _method)
