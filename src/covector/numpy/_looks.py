"""Looks at operands that options ask for: indices out of bounds, divisions by zero.

Integers and NumPy's arrays are looked at now, others by a callback: where they are traced, once
they have a value.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as onp

from covector.core.avals import Array
from covector.core.config import config, current
from covector.core.errors import at_user_line
from covector.core.trace import Tracer
from covector.numpy._index import Advanced, Item, NewAxis, Scalar


def _look(value: Any, refuse: Callable[[onp.ndarray, str], None]) -> None:
    where = at_user_line()
    if not isinstance(value, (Array, Tracer)):
        refuse(onp.asarray(value), where)
        return
    from covector.transforms.callbacks import look_at  # few processes need it

    look_at(value, lambda x: refuse(onp.asarray(x), where))


# --- indices -----------------------------------------------------------------------------


def refuse_outside(i: int, n: int, shape: tuple[int, ...]) -> None:
    """Raise for an index out of bounds, where options say so."""
    for name in ("check_static_indices", "error_checking_behavior_oob"):
        if getattr(config, name) in (True, "raise"):
            raise _outside(i, n, shape, name, at_user_line())


def _outside(i: int, n: int, shape: tuple[int, ...], option: str, where: str) -> IndexError:
    return IndexError(
        f"the index {i} is out of bounds of an axis of size {n} of an array of shape {shape}, and "
        f"the option {option} is set{where}"
    )


def check_integers(items: Sequence[Item], shape: tuple[int, ...]) -> None:
    """Raise for Python integers out of bounds, where options say so."""
    for item, n in _indices(items, shape):
        if type(item) is int and not -n <= item < n:
            refuse_outside(item, n, shape)


def check_bounds(items: Sequence[Item], shape: tuple[int, ...]) -> None:
    """Raise for all indices out of bounds, where the option says so."""
    if current().error_checking_behavior_oob != "raise":
        return
    for value, n in _indices(items, shape):
        if type(n) is not int:
            continue  # a symbolic size: which index is out of bounds depends on it

        def refuse(values: onp.ndarray, where: str, n: int = n) -> None:
            wrong = values[(values < -n) | (values >= n)]
            if wrong.size:
                option = "error_checking_behavior_oob"
                raise _outside(int(wrong.flat[0]), n, shape, option, where)

        _look(value, refuse)


def _indices(items: Sequence[Item], shape: tuple[int, ...]) -> list[tuple[Any, int]]:
    """Integers and index arrays, and the size of the axis of each."""
    found: list[tuple[Any, int]] = []
    dim = 0
    for item in items:
        if type(item) is NewAxis or (type(item) is Advanced and item.new_axis):
            continue
        if type(item) is Scalar or type(item) is Advanced:
            found.append((item.value, shape[dim]))
        dim += 1
    return found


# --- divisors ----------------------------------------------------------------------------


def check_divisor(x: Any, what: str) -> None:
    """Raise for a zero in the divisor of an operation that would not divide by it, where the option
    says so."""
    if current().error_checking_behavior_divide != "raise":
        return

    def refuse(values: onp.ndarray, where: str) -> None:
        if not onp.all(values):
            raise ZeroDivisionError(
                f"a division by zero in {what}, and the option error_checking_behavior_divide is "
                f"'raise'{where}"
            )

    _look(x, refuse)
