"""Random numbers from a generator that changes as it draws (`stateful_rng`)."""

from __future__ import annotations

import operator
import secrets
from collections.abc import Sequence
from typing import Any

import covector.numpy as cnp
from covector import random, tree_util
from covector.core.errors import at_user_line
from covector.core.errors import export as _export
from covector.ref import new_ref


class StatefulPRNG:
    """A generator of random numbers with a counter that goes up with every draw.

    The counter is a reference (see `covector.ref`): the generator may be an argument of a compiled
    function, or closed over. It is a pytree of its key and its counter.

    Examples
    --------
    >>> from covector.experimental import random
    >>> rng = random.stateful_rng(0)
    >>> rng.uniform(size=2).shape
    (2,)
    >>> bool(rng.uniform() == rng.uniform())
    False
    """

    __slots__ = ("_base_key", "_counter")

    def __init__(self, _base_key: Any, _counter: Any) -> None:
        self._base_key = _base_key
        self._counter = _counter

    def __repr__(self) -> str:
        return f"StatefulPRNG(_base_key={self._base_key!r}, _counter={self._counter!r})"

    def key(self, shape: int | Sequence[int] = ()) -> Any:
        """A new key, or an array of keys.

        Parameters
        ----------
        shape : int or sequence of int

        Returns
        -------
        Array of keys
            The key of the generator with the counter folded in, and split if there are several.

        Raises
        ------
        ValueError
            If the generator was split: map over it with `vmap`.
        """
        if self._base_key.shape:
            raise ValueError(
                "a generator that was split is a batch of generators: map over it with vmap, or "
                f"take a list of them from spawn{at_user_line()}"
            )
        found = random.fold_in(self._base_key, self._counter[...])
        self._counter[...] += 1
        wanted = _shape(shape)
        return found if wanted == () else random.split(found, wanted)

    def random(self, size: Any = None, dtype: Any = float) -> Any:
        """Uniform floats between 0 and 1, 1 excluded.

        Parameters
        ----------
        size : int or sequence of int, optional
        dtype : dtype

        Returns
        -------
        Array
        """
        return random.uniform(self.key(), _shape(size), dtype=dtype)

    def uniform(self, low: Any = 0, high: Any = 1, size: Any = None, *, dtype: Any = float) -> Any:
        """Uniform floats between ``low`` and ``high``, ``high`` excluded.

        Parameters
        ----------
        low, high : array_like
        size : int or sequence of int, optional
            By default the common shape of the bounds.
        dtype : dtype

        Returns
        -------
        Array
        """
        shape = _size(size, low, high)
        return random.uniform(self.key(), shape, dtype=dtype, minval=low, maxval=high)

    def normal(self, loc: Any = 0, scale: Any = 1, size: Any = None, *, dtype: Any = float) -> Any:
        """Normally distributed floats.

        Parameters
        ----------
        loc, scale : array_like
            Mean and standard deviation.
        size : int or sequence of int, optional
            By default the common shape of the parameters.
        dtype : dtype

        Returns
        -------
        Array
        """
        draw = random.normal(self.key(), _size(size, loc, scale), dtype=dtype)
        return cnp.asarray(loc, draw.dtype) + cnp.asarray(scale, draw.dtype) * draw

    def integers(self, low: Any, high: Any = None, size: Any = None, *, dtype: Any = int) -> Any:
        """Integers from ``low`` to ``high``, excluded; from 0 to ``low`` without ``high``.

        Parameters
        ----------
        low, high : array_like of int
        size : int or sequence of int, optional
            By default the common shape of the bounds.
        dtype : dtype

        Returns
        -------
        Array
        """
        if high is None:
            low, high = 0, low
        return random.randint(self.key(), _size(size, low, high), low, high, dtype=dtype)

    def split(self, num: int | Sequence[int]) -> StatefulPRNG:
        """A batch of independent generators, to be mapped over with `vmap`.

        Parameters
        ----------
        num : int or sequence of int

        Returns
        -------
        StatefulPRNG
        """
        keys = self.key(_shape(num))
        return StatefulPRNG(keys, new_ref(cnp.zeros(keys.shape, "int32")))

    def spawn(self, n_children: int) -> list[StatefulPRNG]:
        """Independent generators.

        Parameters
        ----------
        n_children : int

        Returns
        -------
        list of StatefulPRNG

        Raises
        ------
        ValueError
            If ``n_children`` is negative.
        """
        n = operator.index(n_children)
        if n < 0:
            raise ValueError(f"spawn makes a number of generators, got {n}{at_user_line()}")
        keys = self.key((n,))
        return [StatefulPRNG(k, new_ref(0)) for k in keys]


def _shape(size: Any) -> tuple[int, ...]:
    if size is None:
        return ()
    if isinstance(size, Sequence):
        return tuple(map(operator.index, size))
    return (operator.index(size),)


def _size(size: Any, *parameters: Any) -> tuple[int, ...]:
    return cnp.broadcast_shapes(*map(cnp.shape, parameters)) if size is None else _shape(size)


tree_util.register_pytree_node(
    StatefulPRNG,
    lambda rng: ((rng._base_key, rng._counter), None),
    lambda _, children: StatefulPRNG(*children),
)


def stateful_rng(seed: Any = None, *, impl: Any = None) -> StatefulPRNG:
    """A generator of random numbers that changes as it draws.

    Parameters
    ----------
    seed : int, optional
        By default one that nobody can guess.
    impl : str, optional
        The kind of keys; see `covector.random.key`.

    Returns
    -------
    StatefulPRNG

    Raises
    ------
    TypeError
        If the seed is no integer.

    Examples
    --------
    Generators in a mapped function:

    >>> import covector as cv
    >>> import covector.numpy as np
    >>> from covector.experimental import random
    >>> rng = random.stateful_rng(123)
    >>> cv.vmap(lambda rng, x: x + rng.uniform())(rng.split(3), np.zeros(3)).shape
    (3,)
    """
    if seed is None:
        seed = secrets.randbits(31)
    return StatefulPRNG(random.key(seed, impl=impl), new_ref(0))


__all__ = ["StatefulPRNG", "stateful_rng"]
_export(globals(), ["stateful_rng"])
