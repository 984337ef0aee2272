"""Literals in rewrite rules: making, reading and comparing them."""

from __future__ import annotations

from typing import Any

import numpy as np

from covector.core import dtypes
from covector.core.avals import ShapedArray
from covector.core.jaxpr import Atom, Literal

# Types in which NumPy computes what the program would, bit for bit.
EXACT = (dtypes.INTEGERS - dtypes.SMALL) | {dtypes.bool_, dtypes.float32, dtypes.float64}


def scalar(a: Literal) -> Any:
    """The literal as a NumPy scalar of its dtype."""
    return dtypes.cast(np.asarray(a.val), a.aval.dtype)[()]


def literal(value: Any, aval: ShapedArray) -> Literal:
    """``value`` in the dtype of ``aval``."""
    return Literal(dtypes.cast(np.asarray(value), aval.dtype)[()], aval)


def is_number(a: Atom, value: float) -> bool:
    """Whether ``a`` is a literal of this value."""
    return isinstance(a, Literal) and not isinstance(a.val, bool) and a.val == value


def same_type(a: Atom, aval: ShapedArray) -> bool:
    """Whether ``a`` can stand for a result of type ``aval``; weak types may differ."""
    return a.aval.shape == aval.shape and a.aval.dtype == aval.dtype
