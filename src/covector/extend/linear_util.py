"""Functions wrapped by transformations that are applied when they are called
(`covector.extend.linear_util`).

A transformation of the first kind is a generator: it yields the arguments for the function within
and a dict of keyword arguments, is sent the result, and yields its own. One of the second kind is a
function of the function within.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Hashable
from typing import Any

from covector.core.errors import export as _export
from covector.core.jaxpr import DebugInfo

_EMPTY = object()


class StoreException(Exception):  # noqa: N818 - the public name
    """What a transformation had to say was asked for before it ran, or stored twice.

    Examples
    --------
    >>> from covector.extend.linear_util import StoreException
    >>> issubclass(StoreException, Exception)
    True
    """


class Store:
    """A place for one value."""

    __slots__ = ("_val", "_again")

    def __init__(self, again: bool = False) -> None:
        self._val: Any = _EMPTY
        self._again = again

    def store(self, val: Any) -> None:
        if self._val is not _EMPTY and not (self._again and self._val == val):
            raise StoreException("Store occupied")
        self._val = val

    def reset(self) -> None:
        self._val = _EMPTY

    @property
    def val(self) -> Any:
        if self._val is _EMPTY:
            raise StoreException("Store empty: the function has not been called")
        return self._val

    def __bool__(self) -> bool:
        return self._val is not _EMPTY


class WrappedFun:
    """A function, and the transformations that are applied to it when it is called.

    Parameters
    ----------
    f : callable
        The function.
    f_transformed : callable
        The function with all transformations applied.
    transforms : tuple
        The transformations with their static arguments, the outermost first.
    stores : tuple
        Where each of them stores what it says besides the result.
    params : tuple of pairs
        Keyword arguments of the function.
    in_type : optional
        Types of its arguments.
    debug_info : DebugInfo
        Where it comes from.

    Examples
    --------
    >>> from covector.extend import linear_util as lu
    >>> lu.wrap_init(lambda x: x + 1).call_wrapped(2)
    3
    """

    __slots__ = (
        "f", "f_transformed", "transforms", "stores", "params", "in_type", "debug_info",
        "__weakref__",
    )  # fmt: skip

    def __init__(
        self,
        f: Callable[..., Any],
        f_transformed: Callable[..., Any],
        transforms: tuple[Any, ...],
        stores: tuple[Any, ...],
        params: tuple[tuple[str, Hashable], ...],
        in_type: Any,
        debug_info: Any,
    ) -> None:
        self.f = f
        self.f_transformed = f_transformed
        self.transforms = transforms
        self.stores = stores
        self.params = params
        self.in_type = in_type
        self.debug_info = debug_info

    @property
    def __name__(self) -> str:
        return getattr(self.f, "__name__", "<unnamed function>")

    def wrap(self, gen: Any, gen_static_args: tuple[Any, ...], out_store: Any) -> WrappedFun:
        """Under one transformation more: a function of the function and its static arguments."""
        args = gen_static_args if out_store is None else (out_store, *gen_static_args)
        return WrappedFun(
            self.f,
            functools.partial(gen, self.f_transformed, *args),
            ((gen, gen_static_args), *self.transforms),
            (out_store, *self.stores),
            self.params,
            self.in_type,
            self.debug_info,
        )

    def call_wrapped(self, *args: Any, **kwargs: Any) -> Any:
        """The result of the transformed function."""
        return self.f_transformed(*args, **kwargs)

    def __repr__(self) -> str:
        names = [f"{getattr(gen, '__name__', gen)}{args}" for gen, args in self.transforms]
        return f"WrappedFun({' '.join([*names, self.__name__])})"


def wrap_init(
    f: Callable[..., Any], params: dict[str, Any] | None = None, *, debug_info: Any = None
) -> WrappedFun:
    """A function as a `WrappedFun` without transformations.

    Parameters
    ----------
    f : callable
    params : dict, optional
        Keyword arguments that it is called with.
    debug_info : DebugInfo, optional
        Where it comes from.

    Returns
    -------
    WrappedFun

    Examples
    --------
    >>> from covector.extend import linear_util as lu
    >>> lu.wrap_init(lambda x, n: x**n, {"n": 2}).call_wrapped(3)
    9
    """
    given = params or {}
    if debug_info is None:
        debug_info = DebugInfo("linear_util.wrap_init", getattr(f, "__name__", "<unknown>"))
    inner = functools.partial(f, **given) if given else f
    return WrappedFun(f, inner, (), (), tuple(sorted(given.items())), None, debug_info)


def _run_generator(gen: Any, f: Any, static: tuple[Any, ...], args: Any, kwargs: Any) -> Any:
    """The result that a generator makes of that of the function within."""
    running = gen(*static, *args, **kwargs)
    inner_args, inner_kwargs = next(running)
    out = running.send(f(*inner_args, **inner_kwargs))
    running.close()
    return out


def _transformation(gen: Any, fun: WrappedFun, *gen_static_args: Any) -> WrappedFun:
    def transformed(f: Any, *args: Any, **kwargs: Any) -> Any:
        return _run_generator(gen, f, gen_static_args, args, kwargs)

    transformed.__name__ = gen.__name__
    return fun.wrap(transformed, (), None)


def _transformation_with_aux(
    gen: Any, fun: WrappedFun, *gen_static_args: Any
) -> tuple[WrappedFun, Callable[[], Any]]:
    store = Store()

    def transformed(f: Any, out_store: Store, *args: Any, **kwargs: Any) -> Any:
        out, aux = _run_generator(gen, f, gen_static_args, args, kwargs)
        out_store.store(aux)
        return out

    transformed.__name__ = gen.__name__
    return fun.wrap(transformed, (), store), lambda: store.val


def _transformation2(gen: Any, fun: WrappedFun, *gen_static_args: Any) -> WrappedFun:
    return fun.wrap(gen, gen_static_args, None)


def _transformation_with_aux2(
    gen: Any,
    fun: WrappedFun,
    *gen_static_args: Any,
    use_eq_store: bool = False,
    unk_names: bool = False,
) -> tuple[WrappedFun, Callable[[], Any]]:
    store = Store(use_eq_store)
    return fun.wrap(gen, gen_static_args, store), lambda: store.val


def _curried(fun: Callable[..., Any]) -> Callable[..., Any]:
    """``fun`` given some of its arguments is a function of the others."""
    return functools.wraps(fun)(lambda *args, **kwargs: functools.partial(fun, *args, **kwargs))


@_curried
def transformation(gen: Any, fun: WrappedFun, *gen_static_args: Any) -> WrappedFun:
    """A transformation given by a generator; a decorator.

    Parameters
    ----------
    gen : generator function
        Takes the static arguments and those of the call.
    fun : WrappedFun
        The function, given when the transformation is applied.
    *gen_static_args
        Given with it.

    Returns
    -------
    callable
        Takes ``fun`` and the static arguments, and returns a `WrappedFun`.

    Examples
    --------
    >>> from covector.extend import linear_util as lu
    >>> @lu.transformation
    ... def plus(n, *args):
    ...     result = yield args, {}
    ...     yield result + n
    >>> plus(lu.wrap_init(lambda x: 2 * x), 1).call_wrapped(3)
    7
    """

    def transformed(f: Any, *args: Any, **kwargs: Any) -> Any:
        return _run_generator(gen, f, gen_static_args, args, kwargs)

    transformed.__name__ = gen.__name__
    return fun.wrap(transformed, (), None)


@_curried
def transformation_with_aux(
    gen: Any, fun: WrappedFun, *gen_static_args: Any
) -> tuple[WrappedFun, Callable[[], Any]]:
    """As `transformation`, of a generator that yields a pair: the result, and something besides.

    Parameters
    ----------
    gen : generator function
        Takes the static arguments and those of the call.
    fun : WrappedFun
        The function, given when the transformation is applied.
    *gen_static_args
        Given with it.

    Returns
    -------
    callable
        Takes ``fun`` and the static arguments; returns a `WrappedFun` and a function that returns
        what was yielded besides the result.

    Examples
    --------
    >>> from covector.extend import linear_util as lu
    >>> @lu.transformation_with_aux
    ... def described(*args):
    ...     result = yield args, {}
    ...     yield result, type(result).__name__
    >>> f, kind = described(lu.wrap_init(lambda x: 2 * x))
    >>> f.call_wrapped(3), kind()
    (6, 'int')
    """
    store = Store()

    def transformed(f: Any, out_store: Store, *args: Any, **kwargs: Any) -> Any:
        out, aux = _run_generator(gen, f, gen_static_args, args, kwargs)
        out_store.store(aux)
        return out

    transformed.__name__ = gen.__name__
    return fun.wrap(transformed, (), store), lambda: store.val


@_curried
def transformation2(gen: Any, fun: WrappedFun, *gen_static_args: Any) -> WrappedFun:
    """A transformation given by a function of the function within; a decorator.

    Parameters
    ----------
    gen : callable
        Takes the function within, the static arguments and those of the call.
    fun : WrappedFun
        The function, given when the transformation is applied.
    *gen_static_args
        Given with it.

    Returns
    -------
    callable
        Takes ``fun`` and the static arguments, and returns a `WrappedFun`.

    Examples
    --------
    >>> from covector.extend import linear_util as lu
    >>> @lu.transformation2
    ... def plus(f, n, *args):
    ...     return f(*args) + n
    >>> plus(lu.wrap_init(lambda x: 2 * x), 1).call_wrapped(3)
    7
    """
    return fun.wrap(gen, gen_static_args, None)


@_curried
def transformation_with_aux2(
    gen: Any,
    fun: WrappedFun,
    *gen_static_args: Any,
    use_eq_store: bool = False,
    unk_names: bool = False,
) -> tuple[WrappedFun, Callable[[], Any]]:
    """As `transformation2`, of a function that stores something besides its result.

    Parameters
    ----------
    gen : callable
        Takes the function within, a store, the static arguments and those of the call.
    fun : WrappedFun
        The function, given when the transformation is applied.
    *gen_static_args
        Given with it.
    use_eq_store : bool
        The function may be called several times, and store equal things.
    unk_names : bool
        Has no effect.

    Returns
    -------
    callable
        Takes ``fun`` and the static arguments; returns a `WrappedFun` and a function that returns
        what was stored.

    Examples
    --------
    >>> from covector.extend import linear_util as lu
    >>> @lu.transformation_with_aux2
    ... def counted(f, store, *args):
    ...     store.store(len(args))
    ...     return f(*args)
    >>> f, count = counted(lu.wrap_init(lambda x, y: x + y))
    >>> f.call_wrapped(3, 4), count()
    (7, 2)
    """
    store = Store(use_eq_store)
    return fun.wrap(gen, gen_static_args, store), lambda: store.val


def merge_linear_aux(aux1: Callable[[], Any], aux2: Callable[[], Any]) -> tuple[bool, Any]:
    """What one of two transformations stored, of which one was applied.

    Parameters
    ----------
    aux1, aux2 : callable
        What `transformation_with_aux` returns second.

    Returns
    -------
    tuple of bool and object
        Whether it was the first, and what it stored.

    Raises
    ------
    StoreException
        If neither or both were applied.

    Examples
    --------
    >>> from covector.extend import linear_util as lu
    >>> @lu.transformation_with_aux2
    ... def noted(f, store, note, *args):
    ...     store.store(note)
    ...     return f(*args)
    >>> f, first = noted(lu.wrap_init(lambda: 1), "first")
    >>> g, second = noted(lu.wrap_init(lambda: 2), "second")
    >>> g.call_wrapped(), lu.merge_linear_aux(first, second)
    (2, (False, 'second'))
    """
    found = []
    for aux in (aux1, aux2):
        try:
            found.append((aux is aux1, aux()))
        except StoreException:
            continue
    if len(found) != 1:
        raise StoreException("neither store occupied" if not found else "both stores occupied")
    return found[0]


__all__ = [
    "StoreException",
    "WrappedFun",
    "merge_linear_aux",
    "transformation",
    "transformation2",
    "transformation_with_aux",
    "transformation_with_aux2",
    "wrap_init",
]
_export(globals(), __all__)
