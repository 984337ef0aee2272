"""Arguments of functions, flattened and divided, for those who write transformations
(`covector.api_util`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from covector.core import tree
from covector.core.avals import ShapedArray, aval_of
from covector.core.errors import at_user_line
from covector.core.errors import export as _export
from covector.core.jaxpr import DebugInfo
from covector.extend import linear_util as lu
from covector.transforms import arguments
from covector.transforms.shapes import aval_like


def argnums_partial(
    f: lu.WrappedFun,
    dyn_argnums: int | Sequence[int],
    args: Sequence[Any],
    require_static_args_hashable: bool = True,
) -> tuple[lu.WrappedFun, tuple[Any, ...]]:
    """A function of some of its arguments; the others have the values given.

    Parameters
    ----------
    f : linear_util.WrappedFun
    dyn_argnums : int or sequence of int
        Which arguments it is to be a function of.
    args : sequence
        All arguments.
    require_static_args_hashable : bool
        Whether the others must be hashable.

    Returns
    -------
    fun : linear_util.WrappedFun
    dyn_args : tuple
        The arguments that it is a function of.

    Raises
    ------
    ValueError
        If another argument is not hashable.

    Examples
    --------
    >>> from covector import api_util
    >>> from covector.extend import linear_util as lu
    >>> f, dyn = api_util.argnums_partial(lu.wrap_init(lambda a, b: a - b), 1, (5, 3))
    >>> dyn, f.call_wrapped(2)
    ((3,), 3)
    """
    numbers = [dyn_argnums] if isinstance(dyn_argnums, int) else dyn_argnums
    dynamic = {i % len(args) for i in numbers}
    fixed = {i: x for i, x in enumerate(args) if i not in dynamic}
    for i, x in fixed.items():
        try:
            hash(x)
        except TypeError:
            if require_static_args_hashable:
                raise ValueError(
                    f"the static argument {i} of {f.__name__} must be hashable, got one of type "
                    f"{type(x).__name__}: {x!r:.100}{at_user_line()}"
                ) from None

    def partial(fun: Callable[..., Any], *dyn: Any, **kwargs: Any) -> Any:
        rest = iter(dyn)
        whole = [fixed[i] if i in fixed else next(rest) for i in range(len(args))]
        return fun(*whole, **kwargs)

    return f.wrap(partial, (), None), tuple(args[i] for i in sorted(dynamic))


def donation_vector(
    donate_argnums: Sequence[int],
    donate_argnames: Sequence[str] | None,
    in_tree: Any,
    kws: bool = True,
) -> tuple[bool, ...]:
    """Which leaves of the arguments are given for good.

    Parameters
    ----------
    donate_argnums : sequence of int
        Positional arguments.
    donate_argnames : sequence of str
        Arguments by name.
    in_tree : PyTreeDef
        The structure of ``(args, kwargs)``, or of ``args`` without ``kws``.
    kws : bool

    Returns
    -------
    tuple of bool

    Examples
    --------
    >>> import covector as cv
    >>> structure = cv.tree.structure(((1, {"a": 2}), {"k": 3}))
    >>> cv.api_util.donation_vector((1,), (), structure)
    (False, True, False)
    """
    found: list[bool] = []
    names = donate_argnames or ()
    args, kwargs = in_tree.children() if kws else (in_tree, None)
    for i, part in enumerate(args.children()):
        found += [i in donate_argnums] * part.num_leaves
    if kwargs is not None:
        for key, part in zip(kwargs.entries(), kwargs.children(), strict=True):
            found += [getattr(key, "key", key) in names] * part.num_leaves
    return tuple(found)


def flatten_axes(
    name: str, treedef: Any, axis_tree: Any, *, kws: bool = False, tupled_args: bool = False
) -> list[Any]:
    """An axis, or None, for each leaf of a structure.

    Parameters
    ----------
    name : str
        What the error calls the axes.
    treedef : PyTreeDef
    axis_tree : pytree
        A prefix of the structure, whose leaves are axes or None.
    kws : bool
        The structure is that of ``(args, kwargs)``; axes are of ``args``, those of ``kwargs`` 0.
    tupled_args : bool
        The error says that axes of several arguments are a tuple.

    Returns
    -------
    list

    Raises
    ------
    ValueError
        If ``axis_tree`` is no prefix of the structure.

    Examples
    --------
    >>> import covector as cv
    >>> structure = cv.tree.structure((1, {"a": 2, "b": 3}))
    >>> cv.api_util.flatten_axes("in_axes", structure, (None, 0))
    [None, 0, 0]
    """
    filled = tree.unflatten(treedef, list(range(treedef.num_leaves)))
    whole = (axis_tree, {}) if kws else axis_tree
    try:
        if kws:
            args, kwargs = filled
            found = tree.broadcast_prefix(whole[0], args, is_leaf=lambda x: x is None)
            return [*found, *[0] * len(tree.leaves(kwargs))]
        return tree.broadcast_prefix(whole, filled, is_leaf=lambda x: x is None)
    except (ValueError, TypeError) as e:
        hint = " (for several arguments, a tuple)" if tupled_args else ""
        raise ValueError(
            f"{name} must be one value, or a tree that is a prefix of {treedef}{hint}; got "
            f"{axis_tree!r:.200}. {str(e).splitlines()[0]}{at_user_line()}"
        ) from None


@lu.transformation_with_aux2
def _flatten_fun(f: Any, store: Any, in_tree: Any, *leaves: Any) -> list[Any]:
    args, kwargs = tree.unflatten(in_tree, leaves)
    flat, treedef = tree.flatten(f(*args, **kwargs))
    store.store(treedef)
    return flat


@lu.transformation_with_aux2
def _flatten_fun_nokwargs(f: Any, store: Any, in_tree: Any, *leaves: Any) -> list[Any]:
    flat, treedef = tree.flatten(f(*tree.unflatten(in_tree, leaves)))
    store.store(treedef)
    return flat


def flatten_fun(
    fun: lu.WrappedFun, *gen_static_args: Any, use_eq_store: bool = False, unk_names: bool = False
) -> tuple[lu.WrappedFun, Callable[[], Any]]:
    """A function of the leaves of its arguments, to a list of the leaves of its result.

    Parameters
    ----------
    fun : linear_util.WrappedFun
    *gen_static_args
        The structure of ``(args, kwargs)``.
    use_eq_store : bool
        The function may be called several times, with results of one structure.
    unk_names : bool
        Has no effect.

    Returns
    -------
    fun : linear_util.WrappedFun
    out_tree : callable
        Returns the structure of the result, once the function has been called.

    Examples
    --------
    >>> import covector as cv
    >>> from covector.extend import linear_util as lu
    >>> leaves, structure = cv.tree.flatten((({"a": 1, "b": 2},), {}))
    >>> f, out = cv.api_util.flatten_fun(lu.wrap_init(lambda d: (d["b"], d["a"])), structure)
    >>> f.call_wrapped(*leaves), out()
    ([2, 1], PyTreeSpec((*, *)))
    """
    return _flatten_fun(fun, *gen_static_args, use_eq_store=use_eq_store)


def flatten_fun_nokwargs(
    fun: lu.WrappedFun, *gen_static_args: Any
) -> tuple[lu.WrappedFun, Callable[[], Any]]:
    """As `flatten_fun`, of a function without keyword arguments.

    Parameters
    ----------
    fun : linear_util.WrappedFun
    *gen_static_args
        The structure of the tuple of arguments.

    Returns
    -------
    fun : linear_util.WrappedFun
    out_tree : callable

    Examples
    --------
    >>> import covector as cv
    >>> from covector.extend import linear_util as lu
    >>> leaves, structure = cv.tree.flatten((1, [2, 3]))
    >>> f, out = cv.api_util.flatten_fun_nokwargs(lu.wrap_init(lambda x, y: y), structure)
    >>> f.call_wrapped(*leaves)
    [2, 3]
    """
    return _flatten_fun_nokwargs(fun, *gen_static_args)


def rebase_donate_argnums(
    donate_argnums: Sequence[int], static_argnums: Sequence[int]
) -> tuple[int, ...]:
    """Positions of donated arguments among those that are not static.

    Parameters
    ----------
    donate_argnums, static_argnums : sequence of int

    Returns
    -------
    tuple of int

    Raises
    ------
    ValueError
        If an argument is both.

    Examples
    --------
    >>> import covector as cv
    >>> cv.api_util.rebase_donate_argnums((1, 3), (0, 2))
    (0, 1)
    """
    both = sorted(set(donate_argnums) & set(static_argnums))
    if both:
        raise ValueError(
            f"an argument is donated or static, not both: {both} are of donate_argnums and of "
            f"static_argnums{at_user_line()}"
        )
    return tuple(i - sum(s < i for s in set(static_argnums)) for i in sorted(set(donate_argnums)))


def shaped_abstractify(x: Any) -> ShapedArray:
    """The type of an array, a number, or anything with ``shape`` and ``dtype``.

    Parameters
    ----------
    x : array_like

    Returns
    -------
    ShapedArray

    Raises
    ------
    TypeError
        If it is none of these.

    Examples
    --------
    >>> import covector as cv
    >>> cv.api_util.shaped_abstractify(cv.ShapeDtypeStruct((2,), "float32"))
    ShapedArray(float32[2])
    """
    try:
        return aval_of(x)
    except TypeError:
        if hasattr(x, "shape") and hasattr(x, "dtype"):
            return aval_like(x)
        raise


def safe_map(f: Callable[..., Any], *args: Sequence[Any]) -> list[Any]:
    """The results of a function for the items of sequences of one length.

    Parameters
    ----------
    f : callable
    *args : sequence

    Returns
    -------
    list

    Raises
    ------
    ValueError
        If the lengths differ.

    Examples
    --------
    >>> from covector import api_util
    >>> api_util.safe_map(max, [1, 5], [4, 2])
    [4, 5]
    """
    return [f(*xs) for xs in zip(*args, strict=True)]


def debug_info(
    traced_for: str, fun: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any]
) -> DebugInfo:
    """Where a function comes from that is traced, and names of its arguments.

    Parameters
    ----------
    traced_for : str
        The transformation.
    fun : callable
    args : sequence
    kwargs : dict

    Returns
    -------
    DebugInfo

    Examples
    --------
    >>> import covector as cv
    >>> f = lambda x, y: x
    >>> info = cv.api_util.debug_info("mine", f, (1, 2), {})
    >>> info.traced_for, list(info.arg_names)
    ('mine', ['x', 'y'])
    """
    return arguments.debug_info(fun, traced_for, args, kwargs)


__all__ = [
    "argnums_partial",
    "debug_info",
    "donation_vector",
    "flatten_axes",
    "flatten_fun",
    "flatten_fun_nokwargs",
    "rebase_donate_argnums",
    "safe_map",
    "shaped_abstractify",
]
_export(globals(), __all__)
