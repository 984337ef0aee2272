"""Operators and methods of sparse arrays: those of dense ones, sparsified."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from covector import numpy as cnp
from covector.core.errors import at_user_line
from covector.experimental.sparse._base import JAXSparse
from covector.experimental.sparse._bcoo import BCOO
from covector.experimental.sparse._bcsr import BCSR
from covector.experimental.sparse._sparsify import sparsify


def _binary(fun: Callable[..., Any], reflected: bool) -> Callable[..., Any]:
    compute = sparsify(fun)

    def op(self: Any, other: Any) -> Any:
        if not isinstance(other, (JAXSparse, int, float, complex)):
            other = cnp.asarray(other)
        return compute(other, self) if reflected else compute(self, other)

    return op


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
    _cls.__getitem__ = _getitem
    _cls.__iter__ = _iter
for _name, _method in (("sum", _sum), ("reshape", _reshape), ("astype", _astype)):
    _method.__name__ = _name
    setattr(BCOO, _name, _method)
