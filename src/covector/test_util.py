"""Checks of derivatives against differences, for tests (`covector.test_util`)."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from covector.core import dtypes, tree
from covector.core.avals import aval_of
from covector.core.errors import at_user_line
from covector.core.errors import export as _export
from covector.transforms.autodiff import jvp, vjp

_MODES = ("fwd", "rev")
# Relative to numbers about 1, for differences with the steps below.
_TOLERANCES = {
    "bfloat16": 1e-1, "float16": 3e-2, "float32": 2e-3, "complex64": 2e-3,
    "float64": 1e-5, "complex128": 1e-5,
}  # fmt: skip
# Cube roots of the precisions: rounding and truncation of central differences are alike then.
_STEPS = {
    "bfloat16": 1e-1, "float16": 5e-2, "float32": 5e-3, "complex64": 5e-3,
    "float64": 6e-6, "complex128": 6e-6,
}  # fmt: skip


def check_grads(
    f: Callable[..., Any],
    args: Sequence[Any],
    order: int,
    modes: Sequence[str] = ("fwd", "rev"),
    atol: float | None = None,
    rtol: float | None = None,
    eps: float | None = None,
) -> None:
    """Check the derivatives of a function against differences, to an order.

    Parameters
    ----------
    f : callable
        From arrays in pytrees to such; smooth near ``args``.
    args : sequence
        Its arguments; those of integers are not differentiated.
    order : int
        1 for first derivatives alone; of each higher order, those of the order below are
        differentiated in the modes.
    modes : str or sequence of str
        ``"fwd"`` for `jvp`, ``"rev"`` for `vjp`.
    atol, rtol : float, optional
        Tolerances; by default such as differences in the dtype allow.
    eps : float, optional
        The step of the differences, by default one for the dtype.

    Returns
    -------
    None

    Raises
    ------
    AssertionError
        If a derivative differs; the message says of which order and mode.
    ValueError
        If there is no such mode.

    Examples
    --------
    >>> import covector as cv
    >>> import covector.numpy as np
    >>> cv.test_util.check_grads(lambda x, y: np.sin(x) * y, (0.5, 2.0), order=2)
    >>> @cv.custom_jvp
    ... def wrong(x):
    ...     return x * x
    >>> _ = wrong.defjvp(lambda primals, tangents: (wrong(*primals), tangents[0]))
    >>> try:
    ...     cv.test_util.check_grads(wrong, (3.0,), order=1, modes="fwd")
    ... except AssertionError as e:
    ...     print(str(e).strip().splitlines()[0])
    jvp of wrong: the tangent differs from that of differences
    """
    modes = (modes,) if isinstance(modes, str) else tuple(modes)
    for mode in modes:
        if mode not in _MODES:
            raise ValueError(
                f"check_grads: modes are 'fwd' and 'rev', got {mode!r}{at_user_line()}"
            )
    _check_order(f, tuple(args), order, modes, (atol, rtol, eps), _name(f))


def _name(f: Any) -> str:
    return str(getattr(f, "__name__", "the function"))


def _check_order(
    f: Callable[..., Any],
    args: tuple[Any, ...],
    order: int,
    modes: tuple[str, ...],
    limits: tuple[float | None, float | None, float | None],
    what: str,
) -> None:
    atol, rtol, eps = limits
    step = _default(args, _STEPS) if eps is None else eps
    if "fwd" in modes:
        check_jvp(f, functools.partial(jvp, f), args, atol, rtol, step, f"jvp of {what}")
        if order > 1:
            tangents = _random_like(args, 1)
            along = lambda *xs: jvp(f, xs, tangents)[1]  # noqa: E731
            _check_order(along, args, order - 1, modes, limits, f"jvp of {what}")
    if "rev" in modes:
        check_vjp(f, functools.partial(vjp, f), args, atol, rtol, step, f"vjp of {what}")
        if order > 1:
            cts = _random_like(f(*args), 2)
            back = lambda *xs: _inexact(vjp(f, *xs)[1](cts))  # noqa: E731
            _check_order(back, args, order - 1, modes, limits, f"vjp of {what}")


def check_jvp(
    f: Callable[..., Any],
    f_jvp: Callable[..., Any],
    args: Sequence[Any],
    atol: float | None = None,
    rtol: float | None = None,
    eps: float = 1e-4,
    err_msg: str = "",
) -> None:
    """Check a derivative in forward mode against differences, along a random tangent.

    Parameters
    ----------
    f : callable
        From arrays in pytrees to such.
    f_jvp : callable
        ``f_jvp(primals, tangents) -> (result, tangent)``, for example of `jvp`.
    args : sequence
        The arguments of ``f``.
    atol, rtol : float, optional
        Tolerances; by default such as differences in the dtype allow.
    eps : float
        The step of the differences.
    err_msg : str
        What the message of an error begins with.

    Returns
    -------
    None

    Raises
    ------
    AssertionError
        If the result or the tangent differs.

    Examples
    --------
    >>> from functools import partial
    >>> import covector as cv
    >>> f = lambda x: x**3
    >>> cv.test_util.check_jvp(f, partial(cv.jvp, f), (1.5,), eps=1e-2)
    """
    args = tuple(args)
    what = err_msg or f"jvp of {_name(f)}"
    tangents = _random_like(args, 1)
    result, tangent = f_jvp(args, tangents)
    _assert_close(result, f(*args), atol, rtol, f"{what}: the result differs from the function's")
    expected = _difference(f, args, tangents, eps)
    message = f"{what}: the tangent differs from that of differences"
    _assert_close(tangent, expected, atol, rtol, message)


def check_vjp(
    f: Callable[..., Any],
    f_vjp: Callable[..., Any],
    args: Sequence[Any],
    atol: float | None = None,
    rtol: float | None = None,
    eps: float = 1e-4,
    err_msg: str = "",
) -> None:
    """Check a derivative in reverse mode against differences, for a random cotangent.

    Parameters
    ----------
    f : callable
        From arrays in pytrees to such.
    f_vjp : callable
        ``f_vjp(*args) -> (result, pullback)``, for example of `vjp`.
    args : sequence
        The arguments of ``f``.
    atol, rtol : float, optional
        Tolerances; by default such as differences in the dtype allow.
    eps : float
        The step of the differences.
    err_msg : str
        What the message of an error begins with.

    Returns
    -------
    None

    Raises
    ------
    AssertionError
        If the result differs, or the cotangents along a random tangent.

    Examples
    --------
    >>> from functools import partial
    >>> import covector as cv
    >>> f = lambda x: x**3
    >>> cv.test_util.check_vjp(f, partial(cv.vjp, f), (1.5,), eps=1e-2)
    """
    args = tuple(args)
    what = err_msg or f"vjp of {_name(f)}"
    result, pullback = f_vjp(*args)
    _assert_close(result, f(*args), atol, rtol, f"{what}: the result differs from the function's")
    cts, tangents = _random_like(result, 2), _random_like(args, 1)
    found = _product(pullback(cts), tangents)
    expected = _product(cts, _difference(f, args, tangents, eps))
    message = f"{what}: the cotangents, along a tangent, differ from differences"
    tolerance = _default((result, args), _TOLERANCES)
    _compare(found, expected, *_tolerances(atol, rtol, tolerance), message)


# --- what both need ----------------------------------------------------------------------


def _is_inexact(x: Any) -> bool:
    dtype = aval_of(x).dtype
    return dtype in dtypes.FLOATS or dtype.kind == "c"


def _default(values: Any, table: dict[str, float]) -> float:
    """The number in a table for the least precise of the dtypes of ``values``."""
    names = [aval_of(x).dtype.name for x in tree.leaves(values)]
    return max([table[n] for n in names if n in table], default=table["float32"])


def _random_like(values: Any, seed: int) -> Any:
    """Random numbers in the structure of ``values``; of integers, tangents of dtype float0."""
    rng = np.random.default_rng(seed)

    def make(x: Any) -> Any:
        aval = aval_of(x)
        if not _is_inexact(x):
            return np.zeros(aval.shape, dtypes.float0)
        numbers = rng.standard_normal(aval.shape)
        if aval.dtype.kind == "c":
            numbers = numbers + 1j * rng.standard_normal(aval.shape)
        return np.asarray(numbers).astype(aval.dtype)

    return tree.map(make, values)


def _wide(x: Any) -> np.ndarray:
    """A NumPy array in double precision."""
    x = np.asarray(x)
    return x.astype(np.complex128 if x.dtype.kind == "c" else np.float64)


def _difference(f: Callable[..., Any], args: Any, tangents: Any, eps: float) -> Any:
    """The central difference of ``f`` along ``tangents``."""

    def moved(step: float) -> Any:
        def move(x: Any, t: Any) -> Any:
            if not _is_inexact(x):
                return x
            return np.asarray(_wide(x) + step * _wide(t)).astype(aval_of(x).dtype)

        return f(*tree.map(move, args, tangents))

    def slope(a: Any, b: Any) -> np.ndarray:
        if not _is_inexact(a):
            return np.zeros(aval_of(a).shape, dtypes.float0)
        return np.asarray((_wide(a) - _wide(b)) / (2 * eps))

    return tree.map(slope, moved(eps), moved(-eps))


def _inexact(values: Any) -> list[Any]:
    """The leaves that hold floats."""
    return [x for x in tree.leaves(values) if getattr(x, "dtype", None) != dtypes.float0]


def _product(xs: Any, ys: Any) -> np.ndarray:
    """The real part of the sum of products, in which tangents and cotangents are dual."""
    pairs = zip(_inexact(xs), _inexact(ys), strict=True)
    return np.asarray(sum([np.sum(_wide(x) * _wide(y)).real for x, y in pairs], 0.0))


def _tolerances(atol: float | None, rtol: float | None, default: float) -> tuple[float, float]:
    return (default if atol is None else atol), (default if rtol is None else rtol)


def _assert_close(
    found: Any, expected: Any, atol: float | None, rtol: float | None, message: str
) -> None:
    one, two = tree.structure(found), tree.structure(expected)
    if one != two:
        raise AssertionError(f"{message}: it has the structure {one}, not {two}")
    for x, y in zip(tree.leaves(found), tree.leaves(expected), strict=True):
        if getattr(x, "dtype", None) == dtypes.float0:
            continue
        tolerance = _default(x, _TOLERANCES)
        _compare(_wide(x), _wide(y), *_tolerances(atol, rtol, tolerance), message)


def _compare(
    found: np.ndarray, expected: np.ndarray, atol: float, rtol: float, message: str
) -> None:
    if not np.allclose(found, expected, rtol=rtol, atol=atol, equal_nan=True):
        worst = np.max(np.abs(found - expected)) if found.shape == expected.shape else "shapes"
        raise AssertionError(
            f"{message}\n  found:    {found!s:.200}\n  expected: {expected!s:.200}\n  greatest "
            f"difference: {worst}, tolerances: atol={atol}, rtol={rtol}"
        )


__all__ = ["check_grads", "check_jvp", "check_vjp"]

_export(globals(), __all__)
