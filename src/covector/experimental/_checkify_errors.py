"""The errors of `checkify`: values that go through programs, and the exceptions they stand for.

A kind of error (`ErrorEffect`) is a class of exceptions and the types of the numbers in its
message. A value of it is a boolean, whether it occurred; a code, which says at which line; and the
numbers.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from covector.core import dtypes, tree
from covector.core.avals import ShapedArray, aval_of
from covector.core.trace import Tracer
from covector.transforms.checks import CheckEffect, check_p

next_code = itertools.count(1).__next__


class JaxRuntimeError(ValueError):
    """What `check_error` and `Error.throw` raise.

    Examples
    --------
    >>> from covector.experimental import checkify
    >>> try:
    ...     checkify.check(False, "never")
    ... except checkify.JaxRuntimeError as e:
    ...     print(str(e).splitlines()[0])
    never (`check` failed)
    """


class JaxException(Exception):
    """An error that a checked program found. The subclasses are the categories of errors."""


class FailedCheckError(JaxException):
    """A `check` did not hold."""


class NaNError(JaxException):
    """An operation gave a NaN."""


class OOBError(JaxException):
    """An index was outside of its array."""


class DivisionByZeroError(JaxException):
    """Something was divided by zero."""


class BatchedError(JaxException):
    """The errors of a program that `vmap` mapped, by index; of one along devices, the first."""

    def __init__(self, error_mapping: dict[tuple[int, ...], JaxException]) -> None:
        super().__init__(error_mapping)
        self.error_mapping = error_mapping

    def __str__(self) -> str:
        return "\n".join(
            f"at mapped index {', '.join(map(str, at))}: {e}"
            for at, e in self.error_mapping.items()
        )


class ErrorEffect(NamedTuple):
    """A class of exceptions, and the shapes and dtypes of the numbers in its message.

    The first ``mapped`` numbers say on which device it occurred, along axes of meshes.
    """

    error_type: type[JaxException]
    shape_dtypes: tuple[tuple[tuple[int, ...], Any], ...]
    mapped: int = 0

    @staticmethod
    def of(error_type: type[JaxException], payload: Sequence[Any]) -> ErrorEffect:
        avals = [aval_of(x) for x in payload]
        return ErrorEffect(error_type, tuple((a.shape, a.dtype) for a in avals))

    def along(self, num_axes: int) -> ErrorEffect:
        """The same on devices along so many axes, whose numbers stand first."""
        index = (((), dtypes.int32),) * num_axes
        return ErrorEffect(self.error_type, index + self.shape_dtypes, self.mapped + num_axes)

    @property
    def avals(self) -> list[ShapedArray]:
        """Types of its values: whether it occurred, the code of its place, and the numbers."""
        first = [ShapedArray((), dtypes.bool_), ShapedArray((), dtypes.int32)]
        return [*first, *(ShapedArray(s, d) for s, d in self.shape_dtypes)]

    def key(self) -> tuple[str, str, int]:
        """By which kinds are sorted."""
        return self.error_type.__name__, str(self.shape_dtypes), self.mapped


class Site(NamedTuple):
    """A place in a program where an error may be found.

    ``text`` is the message, with the numbers put in by `str.format`; ``fields``, if given, is the
    structure of the arguments of the format.
    """

    error_type: type[JaxException]
    text: str
    where: str
    fields: Any = None

    def exception(self, payload: Sequence[Any]) -> JaxException:
        values = [x if dtypes.is_extended(x.dtype) else np.asarray(x)[()] for x in payload]
        args, kwargs = tree.unflatten(self.fields, values) if self.fields else (values, {})
        text = self.text.format(*args, **kwargs)
        if self.error_type is FailedCheckError:
            text += " (`check` failed)"
        return self.error_type(f"{text}\nThe error arose at {self.where}" if self.where else text)


class Error:
    """What a checked function returns beside its result: an error, or that there is none.

    It is a pytree of arrays, and goes through `jit`, `vmap` and loops. Of several errors the first
    is kept.

    Parameters
    ----------
    _pred, _code, _payload : dict
        For each kind of error whether it occurred, the code of its place, and the numbers in its
        message.
    _metadata : dict
        The places by their codes.

    Examples
    --------
    >>> import covector as cv
    >>> from covector.experimental import checkify
    >>> err, y = checkify.checkify(lambda x: 1 / x, checkify.div_checks)(cv.numpy.zeros(2))
    >>> print(err.get().splitlines()[0])
    division by zero
    """

    __slots__ = ("_pred", "_code", "_metadata", "_payload")

    def __init__(
        self,
        _pred: dict[ErrorEffect, Any],
        _code: dict[ErrorEffect, Any],
        _metadata: dict[int, Site],
        _payload: dict[ErrorEffect, list[Any]],
    ) -> None:
        self._pred = _pred
        self._code = _code
        self._metadata = _metadata
        self._payload = _payload

    def get_exception(self) -> JaxException | None:
        """The exception, or None; it is not raised.

        Examples
        --------
        >>> from covector.experimental import checkify
        >>> checkify.init_error.get_exception() is None
        True
        """
        found = dict(sorted(self._exceptions()))
        if not found:
            return None
        return found[()] if () in found else BatchedError(found)

    def get(self) -> str | None:
        """The message, or None if there is no error.

        Examples
        --------
        >>> from covector.experimental import checkify
        >>> checkify.init_error.get() is None
        True
        """
        found = self.get_exception()
        return None if found is None else str(found)

    def throw(self) -> None:
        """Raise the error, if there is one; while tracing, as a `check` would.

        Raises
        ------
        JaxRuntimeError

        Examples
        --------
        >>> from covector.experimental import checkify
        >>> checkify.init_error.throw()
        """
        raise_or_record(self)

    def _exceptions(self) -> Iterator[tuple[tuple[int, ...], JaxException]]:
        for effect, pred in self._pred.items():
            code = np.asarray(self._code[effect])
            for at in np.argwhere(np.asarray(pred)):
                index = tuple(int(i) for i in at)
                payload = [x[index] if index else x for x in self._payload[effect]]
                device = tuple(int(x) for x in payload[: effect.mapped])
                found = self._metadata[int(code[index])].exception(payload[effect.mapped :])
                yield index + device, found

    def tree_flatten(self) -> tuple[tuple[Any, ...], Any]:
        """The arrays, and what is fixed while a program is traced.

        Examples
        --------
        >>> from covector.experimental import checkify
        >>> checkify.init_error.tree_flatten()
        (([], [], []), ((), ()))
        """
        effects = sorted(self._pred, key=ErrorEffect.key)
        values = [[d[e] for e in effects] for d in (self._pred, self._code, self._payload)]
        return tuple(values), (tuple(effects), tuple(sorted(self._metadata.items())))

    @classmethod
    def tree_unflatten(cls, metadata: Any, data: Any) -> Error:
        """The inverse of `tree_flatten`.

        Examples
        --------
        >>> from covector.experimental import checkify
        >>> data, metadata = checkify.init_error.tree_flatten()
        >>> checkify.Error.tree_unflatten(metadata, data)
        Error(None)
        """
        effects, sites = metadata
        pred, code, payload = (dict(zip(effects, d, strict=True)) for d in data)
        return cls(pred, code, dict(sites), payload)

    def __repr__(self) -> str:
        if any(isinstance(x, Tracer) or not hasattr(x, "dtype") for x in self._pred.values()):
            return f"Error(of {', '.join(e.error_type.__name__ for e in self._pred)})"
        return f"Error({self.get()!r})"


tree.register_node(Error, Error.tree_flatten, Error.tree_unflatten)

init_error = Error({}, {}, {}, {})


def raise_or_record(error: Error, debug: bool = False) -> None:
    """Raise an error that is known; else have the program that is traced say it."""
    for effect, pred in error._pred.items():
        check_p.bind_params(
            [pred, error._code[effect], *error._payload[effect]],
            {"effect": effect, "sites": tuple(sorted(error._metadata.items())), "debug": debug},
        )


def _raise(args: Sequence[Any], params: dict[str, Any]) -> None:
    effect, (pred, code, *payload) = params["effect"], args
    error = Error({effect: pred}, {effect: code}, dict(params["sites"]), {effect: payload})
    found = sorted(error._exceptions(), key=lambda pair: pair[0])
    if found:
        (index, e), n = found[0], effect.mapped
        raise JaxRuntimeError(str(BatchedError({index[-n:]: e}) if n else e))


CheckEffect.raise_error = _raise
