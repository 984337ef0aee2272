"""Keys that are used twice (option `debug_key_reuse`).

A key is known by its words, so that it may be copied, indexed and stored. What makes keys (`key`,
`split`, `fold_in`, `wrap_key_data`, `clone`) makes them new: they may be used once more. Functions
run operation by operation meanwhile, so that keys have values.
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from covector.core import dtypes
from covector.core.avals import Array
from covector.core.errors import KeyReuseError, at_user_line
from covector.transforms.callbacks import look_at

# The words of keys that were used, as one number, and by what; the latest of them.
_used: dict[int, str] = {}
_MOST = 1 << 20
_WORD = dtypes.code_of[np.dtype(np.uint64)]
_MAKERS = frozenset(("_fold_in", "split", "wrap_key_data", "_key_of_seed"))


class _Calls(threading.local):
    """How deep the running code is inside functions of this package."""

    depth = 0


_calls = _Calls()


def _words(x: Array) -> list[int]:
    """The words of keys."""
    found: list[int] = np.asarray(x._to_host()._bitcast(_WORD, x.shape)).reshape(-1).tolist()
    return found


def _look_at(keys: Any, look: Callable[[list[int]], None]) -> None:
    """Call ``look`` with the words of keys, when there are any."""
    if getattr(keys, "dtype", None) is dtypes.key_dtype:
        look_at(keys, lambda x: look(_words(x)))


def made(keys: Any) -> Any:
    """``keys``, which may be used once more."""
    _look_at(keys, _forget)
    return keys


def _forget(words: list[int]) -> None:
    for word in words:
        _used.pop(word, None)


def _use(words: list[int], name: str, where: str) -> None:
    for word in words:
        before = _used.get(word)
        if before is not None:
            raise KeyReuseError(
                f"{name} was given a key that {before} has used before: the numbers would be the "
                "same. Make a key for each use with random.split; random.clone gives one "
                f"that is meant to be used again (option debug_key_reuse){where}"
            )
    for word in words:
        _used[word] = name
    while len(_used) > _MOST:
        _used.pop(next(iter(_used)), None)


def watched(fun: Any, key: Any, run: Callable[[], Any]) -> Any:
    """What ``run()`` gives, a call of ``fun`` with a key; its own calls use no keys of users."""
    fun = inspect.unwrap(fun)
    name = fun.__name__
    if not _calls.depth and fun.__code__.co_varnames[0] == "key" and name != "_fold_in":
        shown, where = f"random.{name.lstrip('_')}", at_user_line()
        _look_at(key, lambda words: _use(words, shown, where))
    _calls.depth += 1
    try:
        out = run()
    finally:
        _calls.depth -= 1
    if name in _MAKERS:
        made(out[0])
    return out
