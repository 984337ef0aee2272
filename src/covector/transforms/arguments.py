"""Arguments of user functions: numbers and names, flattening, names for error messages."""

from __future__ import annotations

import functools
import operator
import weakref
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Any

from covector import _native
from covector.core import tree
from covector.core.avals import aval_of, not_an_array
from covector.core.errors import PACKAGE_DIR, at_user_line, describe, unwrapped
from covector.core.jaxpr import DebugInfo
from covector.core.references import Reference
from covector.core.tree_paths import path_names


def api_boundary(fun: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a function that users call, so that errors show their frames and not ours."""
    return _native.Boundary(fun)


def check_callable(fun: Any, what: str) -> None:
    """Raise the error for a transformation given something other than a function."""
    if not callable(fun):
        raise TypeError(f"{what} takes a function, got {describe(fun)}{at_user_line()}")


def index_tuple(x: Any, name: str = "argnums") -> tuple[int, ...]:
    """An int or a sequence of ints as a tuple."""
    try:
        return (operator.index(x),)
    except TypeError:
        pass
    try:
        return tuple(operator.index(i) for i in x)
    except TypeError:
        raise TypeError(f"{name} takes an integer or a sequence of integers, got {x!r}") from None


def is_index(x: Any) -> bool:
    """Whether ``x`` is one integer, of Python or NumPy, rather than a sequence of them."""
    return hasattr(x, "__index__")


def name_tuple(x: Any, name: str = "argnames") -> tuple[str, ...]:
    """A string or an iterable of strings as a tuple."""
    if isinstance(x, str):
        return (x,)
    try:
        names = tuple(x)
    except TypeError:
        names = (None,)
    if not all(isinstance(n, str) for n in names):
        raise TypeError(f"{name} takes a string or a sequence of strings, got {x!r}")
    return names


def positional_names(fun: Callable[..., Any]) -> tuple[list[str], bool] | None:
    """Names of the positional parameters of ``fun``, and whether it takes ``*args``.

    None if the function does not tell.
    """
    fun = unwrapped(fun)
    code = getattr(fun, "__code__", None)
    if code is not None and not hasattr(fun, "__wrapped__"):
        names = list(code.co_varnames[: code.co_argcount])
        return names, bool(code.co_flags & 0x04)
    import inspect

    try:
        params = inspect.signature(fun).parameters.values()
    except (TypeError, ValueError):
        return None
    names = [p.name for p in params if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return names, any(p.kind == p.VAR_POSITIONAL for p in params)


def keyword_names(fun: Callable[..., Any]) -> tuple[set[str], bool] | None:
    """Names of parameters that can be passed by keyword, and whether ``fun`` takes ``**kwargs``."""
    import inspect

    try:
        params = inspect.signature(fun).parameters.values()
    except (TypeError, ValueError):
        return None
    names = {p.name for p in params if p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD)}
    return names, any(p.kind == p.VAR_KEYWORD for p in params)


def in_range(nums: Iterable[int], n: int) -> set[int]:
    """Those of the argument numbers that ``n`` positional arguments have, from the start."""
    return {i % n for i in nums if -n <= i < n}


def others(args: Sequence[Any], fixed: Collection[int]) -> tuple[Any, ...]:
    """The positional arguments but for those that are fixed."""
    return tuple([x for i, x in enumerate(args) if i not in fixed])


def with_others(
    args: Sequence[Any], fixed: Collection[int], values: Iterable[Any]
) -> tuple[Any, ...]:
    """The arguments with other values for those that `others` gives."""
    given = iter(values)
    return tuple([x if i in fixed else next(given) for i, x in enumerate(args)])


def resolve_nums_and_names(
    fun: Callable[..., Any], argnums: Any, argnames: Any, what: str
) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Complete argument numbers by names and names by numbers from the signature of ``fun``.

    Raises
    ------
    ValueError
        If the function has no argument of that number or name.
    """
    nums = () if argnums is None else index_tuple(argnums, f"{what}_argnums")
    names = () if argnames is None else name_tuple(argnames, f"{what}_argnames")
    if not nums and not names:
        return (), ()
    positional = positional_names(fun)
    if positional is None:
        return nums, names
    params, varargs = positional
    n = len(params)
    fname = fun_name(fun)
    if not varargs:
        for i in nums:
            if not -n <= i < n:
                raise ValueError(
                    f"jit: {what}_argnums={argnums!r} names argument {i} of {fname}, which takes "
                    f"only {n} positional arguments: {', '.join(params)}"
                )
        nums = tuple(i % n for i in nums)
    if names:
        by_keyword = keyword_names(fun)
        if by_keyword is not None:
            allowed, varkw = by_keyword
            for name in names:
                if name not in allowed and not varkw:
                    raise ValueError(
                        f"jit: {what}_argnames names {name!r}, which is not an argument of "
                        f"{fname}; its arguments are {', '.join(sorted(allowed))}"
                    )
    if argnames is None:
        names = tuple(params[i] for i in nums if 0 <= i < n)
    elif argnums is None:
        nums = tuple(params.index(name) for name in names if name in params)
    return nums, names


def fun_name(fun: Any) -> str:
    """The name of a function as users know it."""
    name = getattr(fun, "__name__", None)
    if not isinstance(name, str):
        inner = getattr(fun, "func", None)
        name = fun_name(inner) if inner is not None else type(fun).__name__
    return name


def wraps(fun: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """`functools.wraps` for any callable: one whose ``__name__`` is no string has its type's."""
    if isinstance(getattr(fun, "__name__", ""), str):
        return functools.wraps(fun)

    def named(wrapper: Callable[..., Any]) -> Callable[..., Any]:
        kept = [a for a in functools.WRAPPER_ASSIGNMENTS if a not in ("__name__", "__qualname__")]
        functools.update_wrapper(wrapper, fun, kept)
        wrapper.__name__ = wrapper.__qualname__ = fun_name(fun)
        return wrapper

    return named


def fun_source(fun: Any) -> str:
    """``file.py:12`` where a function is defined, empty if unknown."""
    for _ in range(10):
        code = getattr(fun, "__code__", None)
        if code is not None and not code.co_filename.startswith(PACKAGE_DIR):
            return f"{code.co_filename}:{code.co_firstlineno}"
        inner = getattr(fun, "__wrapped__", None) or getattr(fun, "func", None)
        fun = inner if inner is not None else getattr(fun, "__func__", None)
        if fun is None:
            break
    return ""


def src_info(name: str, fun: Any) -> str:
    """What a `DebugInfo` says of a function: its name, and where it is defined."""
    source = fun_source(fun)
    return f"{name} at {source}" if source else name


class LazyNames:
    """Names of flat arguments, made when an error message asks for them."""

    __slots__ = ("make", "names")

    def __init__(self, make: Callable[[], list[str]]) -> None:
        self.make = make
        self.names: list[str] | None = None

    def _get(self) -> list[str]:
        if self.names is None:
            self.names = self.make()
        return self.names

    def __iter__(self) -> Iterator[str]:
        return iter(self._get())

    def __len__(self) -> int:
        return len(self._get())

    def __getitem__(self, i: Any) -> Any:
        return self._get()[i]


def argument_names(
    fun: Any, args: Sequence[Any], kwargs: dict[str, Any], skip: Sequence[int] = ()
) -> list[str]:
    """A name for each leaf of the arguments: ``x``, ``params['w'][0]``.

    ``args`` are the positional arguments without those numbered in ``skip``.
    """
    found = positional_names(fun)
    params, varargs = found if found is not None else ([], False)
    out: list[str] = []
    i = 0
    for x in args:
        while i in skip:
            i += 1
        if i < len(params):
            name = params[i]
        elif varargs:
            name = f"args[{i - len(params)}]"
        else:
            name = f"args[{i}]"
        out.extend(name + path for path in path_names(x))
        i += 1
    for key in sorted(kwargs):
        out.extend(key + path for path in path_names(kwargs[key]))
    return out


def names_of(fun: Callable[..., Any], in_tree: Any, skip: Sequence[int] = ()) -> LazyNames:
    """Names of the leaves of ``(args, kwargs)`` of structure ``in_tree``, found on demand."""
    ref: Callable[[], Any]
    fun = unwrapped(fun)
    try:
        ref = weakref.ref(fun)  # caches keyed by the function hold this
    except TypeError:
        ref = lambda: fun  # noqa: E731

    def make() -> list[str]:
        args, kwargs = tree.unflatten(in_tree, [0] * in_tree.num_leaves)
        return argument_names(ref(), args, kwargs, skip)

    return LazyNames(make)


def debug_info(
    fun: Callable[..., Any],
    traced_for: str,
    args: Sequence[Any] | None = None,
    kwargs: dict[str, Any] | None = None,
    skip: Sequence[int] = (),
) -> DebugInfo:
    """Provenance of a jaxpr traced from ``fun``; names of arguments are found on demand.

    Only the structure of the arguments is kept, not their values.
    """
    names: Any = None
    if args is not None:
        names = names_of(fun, tree.structure((tuple(args), kwargs or {})), skip)
    return DebugInfo(traced_for, src_info(fun_name(fun), fun), names)


def flat_fun(
    fun: Callable[..., Any], in_tree: Any
) -> tuple[Callable[..., list[Any]], Callable[[], Any]]:
    """``fun`` from flat arguments to flat results, and a getter of the tree of its last result."""
    out_tree: list[Any] = [None]

    def flat(*leaves: Any) -> list[Any]:
        args, kwargs = tree.unflatten(in_tree, leaves)
        outs, out_tree[0] = tree.flatten(fun(*args, **kwargs))
        return outs

    return flat, lambda: out_tree[0]


# What to do with an argument that is no array, for what compiles functions or keeps their traces.
STATIC = "make the argument static (static_argnums or static_argnames of {})"


def check_arrays(
    leaves: Sequence[Any],
    names: Callable[[], Iterable[str]],
    what: str,
    refs: bool = False,
    static: str = "close over it, as lambda x: f(x, value) does",
) -> list[Any]:
    """Avals of ``leaves``, among which there may be references if ``refs`` says so.

    ``static`` says what to do with an argument that is not to be an array.

    Raises
    ------
    TypeError
        Names the first leaf that is not an array or number.
    """
    avals = []
    for i, x in enumerate(leaves):
        try:
            if not refs and isinstance(x, Reference):
                raise TypeError(
                    f"it is a reference of type {x.aval.str_short()}; pass its value, ref[...]"
                )
            avals.append(aval_of(x))
        except TypeError as e:
            known = isinstance(x, Reference) or hasattr(x, "dtype")
            raise TypeError(
                f"{what}: the argument {list(names())[i]} is not an array: "
                f"{e if known else not_an_array(x, static)}{at_user_line()}"
            ) from None
    return avals


def check_results(leaves: Sequence[Any], treedef: Any, fun: Any, what: str) -> None:
    """Raise a TypeError if a result of a user function is not an array or number."""
    for i, x in enumerate(leaves):
        if isinstance(x, Reference):
            raise ValueError(
                f"{what}: {fun_name(fun)} returned {x.describe()}, but references cannot be "
                f"returned: return its value, ref[...] or freeze(ref){at_user_line()}"
            )
        if hasattr(x, "aval"):
            continue
        try:
            aval_of(x)
        except TypeError:
            path = path_names(tree.unflatten(treedef, list(range(len(leaves)))))[i]
            where = f" at result{path}" if path else ""
            raise TypeError(
                f"{what}: the function {fun_name(fun)} returned {describe(x)}{where}, which is "
                f"not an array or number{at_user_line()}"
            ) from None
