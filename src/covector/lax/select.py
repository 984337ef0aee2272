"""Selection between operands: `select_n`, `select` and `clamp`."""

from __future__ import annotations

from typing import Any

from covector.core import dtypes
from covector.core.avals import aval_of
from covector.core.errors import at_user_line
from covector.core.operands import PY_SCALARS, as_operand, scalar, weak_operand
from covector.primitives.convert import convert
from covector.primitives.select import clamp_p, select_n_p


def select_n(which: Any, *cases: Any) -> Any:
    """Elementwise ``cases[which]``; a boolean ``which`` selects between two cases.

    The cases have one dtype and shape (or rank 0); so has ``which``.

    Parameters
    ----------
    which : array_like
        Booleans, or integers from 0 to ``len(cases) - 1``; those beyond select the nearest.
    *cases : array_like
        All are computed, whichever is selected.

    Returns
    -------
    Array
        Of the dtype of the cases.

    Raises
    ------
    TypeError
        If dtypes or shapes differ, or a boolean is to select among more than two cases.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> lax.select_n(np.array([2, 0, 1]), np.array([1, 2, 3]), np.array([10, 20, 30]), 0)
    Array([ 0,  2, 30], dtype=int32)
    """
    if not cases:
        raise ValueError(f"select_n needs at least one case{at_user_line()}")
    which = as_operand(which, "select_n")
    if aval_of(which).dtype == dtypes.bool_ and len(cases) != 2:
        raise ValueError(
            f"select_n by {aval_of(which).str_short()} takes two cases, got {len(cases)}"
            f"{at_user_line()}"
        )
    which = _as_selector(which, len(cases))
    strong = next((c for c in cases if type(c) not in PY_SCALARS), None)
    if strong is not None:
        cases = tuple(
            weak_operand("select_n", c, strong) if type(c) in PY_SCALARS else
            as_operand(c, "select_n") for c in cases
        )  # fmt: skip
    return select_n_p.bind(which, *cases)


def _as_selector(which: Any, cases: int) -> Any:
    """Integers of any dtype as the int32 that the primitive takes; others as they are."""
    dt = aval_of(which).dtype
    if dt not in dtypes.INTEGERS or dt == dtypes.int32:
        return which
    last = min(cases - 1, dtypes.LIMITS[dt][1])
    return convert(clamp_p.bind(scalar(0, dt), which, scalar(last, dt)), dtypes.int32)


def select(pred: Any, on_true: Any, on_false: Any) -> Any:
    """Elementwise ``on_true if pred else on_false``.

    Parameters
    ----------
    pred : array_like of bool
        Of the shape of the cases, or of rank 0.
    on_true, on_false : array_like
        Of one dtype and shape (or rank 0). Both are computed.

    Returns
    -------
    Array
        Of the dtype of the cases.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> x = np.array([-1.0, 2.0])
    >>> lax.select(x > 0, x, 0.0)
    Array([0., 2.], dtype=float32)
    """
    return select_n(pred, on_false, on_true)


def clamp(min: Any, x: Any, max: Any) -> Any:  # noqa: A002
    """Elementwise ``x`` limited to ``[min, max]``; the bounds have its shape or are scalars.

    Parameters
    ----------
    min : array_like
        Of the dtype of ``x``.
    x : array_like
        Real numbers or booleans.
    max : array_like
        Of the dtype of ``x``. It holds where it is less than ``min``.

    Returns
    -------
    Array
        Of the shape and dtype of ``x``; NaN stays.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> lax.clamp(0.0, np.array([-1.0, 0.5, 7.0]), 1.0)
    Array([0. , 0.5, 1. ], dtype=float32)
    """
    x = as_operand(x, "clamp")
    low, high = as_operand(min, "clamp"), as_operand(max, "clamp")
    if type(x) not in PY_SCALARS:
        low = weak_operand("clamp", low, x) if type(low) in PY_SCALARS else low
        high = weak_operand("clamp", high, x) if type(high) in PY_SCALARS else high
    return clamp_p.bind(low, x, high)
