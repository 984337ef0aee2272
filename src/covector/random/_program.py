"""Functions that run as one compiled program in eager use and are traced in place otherwise."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

from covector.core import dtypes
from covector.core.config import current
from covector.core.operands import canonical_shape
from covector.core.trace import current_trace, eval_trace
from covector.random._checks import float_dtype, is_small_float, rounded
from covector.sharding.results import called_laid_out
from covector.transforms.jit import Jitted, make_jit_function

F = TypeVar("F", bound=Callable[..., Any])

_ATTRIBUTES = ("__module__", "__qualname__", "__doc__", "__annotations__")


class Program(Jitted):
    """A jitted function that takes its ``shape`` (or ``num``) as a list or an array too.

    Floats of at most eight bits are drawn as float32 and rounded, unless ``own`` ones are: they
    have too few numbers to compute with.
    """

    def __init__(self, fun: Callable[..., Any], static: tuple[str, ...], own: bool) -> None:
        code = fun.__code__
        names = code.co_varnames[: code.co_argcount]
        if "dtype" in static and not own:
            fun = _drawn_wide(fun, names.index("dtype") if "dtype" in names else len(names))
        if "out_sharding" in static:
            fun = _laid_out(fun)
        super().__init__(fun, inline=True)
        self.static_names = static
        self.static_nums = tuple([i for i, name in enumerate(names) if name in static])
        self.shape = "num" if "num" in names else "shape"
        self.shape_at = names.index(self.shape) if self.shape in names else len(names)
        self.function = make_jit_function(self)

    def fallback(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Any]:
        """Called for a signature that the native path does not know or cannot hash."""
        i = self.shape_at
        given = args[i] if i < len(args) else kwargs.get(self.shape)
        if given is not None:
            shape = canonical_shape(given, self.shape)
            if shape is not given:
                if i < len(args):
                    args = (*args[:i], shape, *args[i + 1 :])
                else:
                    kwargs = {**kwargs, self.shape: shape}
                if current_trace() is eval_trace:
                    return self.function(*args, **kwargs), None
        if current().debug_key_reuse:
            from covector.random import _reuse  # few processes need it

            key = args[0] if args else kwargs.get("key")
            return _reuse.watched(self.fun, key, lambda: Jitted.fallback(self, args, kwargs))
        return super().fallback(args, kwargs)


def _laid_out(fun: Callable[..., Any]) -> Callable[..., Any]:
    """``fun`` with its result laid out as its argument ``out_sharding`` says."""

    @functools.wraps(fun)
    def draw(*args: Any, **kwargs: Any) -> Any:
        if kwargs.get("out_sharding") is None:
            return fun(*args, **kwargs)
        return called_laid_out(fun, args, kwargs)

    return draw


def _drawn_wide(fun: Callable[..., Any], dtype_at: int) -> Callable[..., Any]:
    """``fun``, which draws float32 where its argument ``dtype`` is a smaller float than 16 bits."""

    @functools.wraps(fun)
    def draw(*args: Any, **kwargs: Any) -> Any:
        given = dtype_at < len(args)
        dtype = args[dtype_at] if given else kwargs.get("dtype")
        if not is_small_float(dtype):
            return fun(*args, **kwargs)
        dtype = float_dtype(dtype, fun.__name__)
        if given:
            args = (*args[:dtype_at], dtypes.float32, *args[dtype_at + 1 :])
        else:
            kwargs = {**kwargs, "dtype": dtypes.float32}
        return rounded(fun(*args, **kwargs), dtype)

    return draw


def program(*static: str, small_floats: bool = False) -> Callable[[F], F]:
    """Make a function one compiled program for concrete arguments.

    ``static`` names the arguments that are not arrays. The native call path looks up the
    program; under a transformation the function's operations are traced where it is called.
    Checks in the function run when it is traced, once per signature. An ``out_sharding`` is
    heeded here. ``small_floats`` says that the function draws them itself.
    """

    def decorate(fun: F) -> F:
        function = Program(fun, static, small_floats).function
        attributes = function.__dict__
        for name in _ATTRIBUTES:
            attributes[name] = getattr(fun, name)
        attributes["__wrapped__"] = fun
        return function

    return decorate
