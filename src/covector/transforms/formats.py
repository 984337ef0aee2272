"""Formats of messages that are shown when a program runs, checked when they are given.

While a function is traced its values are not known, but their types are: the format is applied to
others of the same.
"""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from covector.core import dtypes, tree
from covector.core.avals import ShapedArray, aval_of, is_array_like
from covector.core.errors import at_user_line, describe

_LONG = 1 << 20


class _Checker(string.Formatter):
    """Formats stand-ins, without the work of showing arrays, and finds arguments that are not
    used."""

    def __init__(self) -> None:
        self.unused: list[str] = []

    def get_value(self, key: int | str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        if isinstance(key, int) and key >= len(args):
            raise IndexError(
                f"it has a place for the argument {key}, counted from 0, and there are {len(args)} "
                "without names"
            )
        if isinstance(key, str) and key not in kwargs:
            raise KeyError(f"there is no argument of the name {key!r}")
        return super().get_value(key, args, kwargs)

    def format_field(self, value: Any, format_spec: str) -> str:
        if type(value) is np.ndarray or type(value) is _Key:
            if format_spec:
                raise TypeError(
                    f"{describe(value)} takes no format such as {format_spec!r}, which is for "
                    "single numbers"
                )
            return ""
        return format(value, format_spec)

    def convert_field(self, value: Any, conversion: Any) -> Any:
        if type(value) is np.ndarray or type(value) is _Key:
            return "" if conversion else value
        return super().convert_field(value, conversion)

    def check_unused_args(self, used_args: Any, args: Sequence[Any], kwargs: Any) -> None:
        self.unused = [str(i) for i in range(len(args)) if i not in used_args]
        self.unused += [k for k in kwargs if k not in used_args]


class _Key:
    """Stands for keys, which have no numbers."""

    __slots__ = ("aval",)

    def __init__(self, aval: ShapedArray) -> None:
        self.aval = aval

    def __getattr__(self, name: str) -> Any:
        return getattr(self.aval, name)

    def __getitem__(self, _: Any) -> _Key:
        return self


def _stand_in(x: Any) -> Any:
    """A value of the type of ``x``, if it is an array; others as they are."""
    if not is_array_like(x) or isinstance(x, (bool, int, float, complex)):
        return x
    aval = aval_of(x)
    if dtypes.is_extended(aval.dtype):
        return _Key(aval)
    shape = [n if type(n) is int else _LONG for n in aval.shape]
    return np.broadcast_to(np.zeros((), aval.dtype), shape)[()]


def check_format(
    what: str, fmt: str, args: Sequence[Any], kwargs: Mapping[str, Any], all_used: bool = True
) -> None:
    """Raise the error for a format that does not fit its arguments, pytrees of arrays.

    Parameters
    ----------
    what : str
        The function that was given it.
    fmt : str
    args, kwargs
    all_used : bool
        Whether arguments that it does not use are an error, too.

    Raises
    ------
    ValueError
    """
    checker = _Checker()
    stand_ins = tree.map(_stand_in, (tuple(args), dict(kwargs)))
    try:
        checker.vformat(fmt, *stand_ins)
    except Exception as e:
        raise misfit(what, fmt, args, kwargs, e, at_user_line()) from None
    if all_used and checker.unused:
        raise ValueError(
            f"{what}: the arguments {', '.join(checker.unused)} are not used by the format "
            f"{fmt!r}; put {{}} or {{name}} where their values are to appear{at_user_line()}"
        )


def misfit(
    what: str, fmt: str, args: Sequence[Any], kwargs: Mapping[str, Any], e: Exception, where: str
) -> ValueError:
    """The error for a format that raised ``e``."""
    given = [_shown(x) for x in args] + [f"{k}={_shown(x)}" for k, x in kwargs.items()]
    return ValueError(
        f"{what}: the format {fmt!r} does not fit its arguments, {', '.join(given) or 'none'}: "
        f"{e.args[0] if e.args else type(e).__name__}{where}"
    )


def _shown(x: Any) -> str:
    return describe(x) if is_array_like(x) else f"{type(x).__name__} {x!r:.40}"
