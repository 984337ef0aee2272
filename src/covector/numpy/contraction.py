"""Sums of products by Einstein's convention: `einsum`, `einsum_path`."""

from __future__ import annotations

from typing import Any

import numpy as onp

from covector import lax
from covector.core import dtypes, structural
from covector.core.errors import at_user_line
from covector.numpy._util import (
    array,
    broadcast_to,
    check_out,
    convert,
    fused,
    promote_dtypes,
)
from covector.numpy.products import _dot_general
from covector.sharding.results import laid_out


def einsum(
    subscripts: Any,
    /,
    *operands: Any,
    out: Any = None,
    optimize: Any = "auto",
    precision: Any = None,
    preferred_element_type: Any = None,
    _dot_general: Any = None,
    out_sharding: Any = None,
) -> Any:
    """Einstein's sum: products over labelled axes, summed over those not in the result.

    Parameters
    ----------
    subscripts : str
        Such as ``'ij,jk->ik'``; ``...`` stands for axes that broadcast. Without ``->``, labels that
        occur once stay, in alphabetical order.
    *operands : array_like
        Or operands and lists of the numbers of their axes in turn, instead of ``subscripts``.
    out : None
        Not supported: arrays are immutable.
    optimize : str or bool or path
        How the order of pairwise products is chosen (by ``opt_einsum``).
    precision : optional
        Accuracy of the products, as of `covector.lax.dot_general`.
    preferred_element_type : dtype, optional
        Of the sums and the result.
    _dot_general
        Accepted and ignored.
    out_sharding : NamedSharding or PartitionSpec, optional
        How the result is laid out over the axes of a mesh.

    Returns
    -------
    Array

    Raises
    ------
    ValueError
        If the subscripts do not fit the operands.

    Examples
    --------
    >>> import covector.numpy as np
    >>> x = np.array([[1, 2], [3, 4]])
    >>> np.einsum("ij,kj->ik", x, x)
    Array([[ 5, 11],
           [11, 25]], dtype=int32)
    >>> np.einsum("ii->i", x), np.einsum("ij->", x)
    (Array([1, 4], dtype=int32), Array(10, dtype=int32))
    """
    if out_sharding is not None:
        return laid_out(einsum, locals())
    check_out(out, "einsum")
    if not isinstance(subscripts, str):
        # The form with lists of axes: operand, axes, operand, axes, ..., axes of the result.
        import opt_einsum.parser as parser

        operands = (subscripts, *operands)
        _, _, found = parser.parse_einsum_input(operands)
        text = parser.convert_interleaved_input(operands)[0]
        subscripts, operands = text, tuple(found)
    ops = tuple(array(x, "einsum", i) for i, x in enumerate(operands))
    text, steps = _plan(subscripts, tuple([x.shape for x in ops]), _optimize_key(optimize))
    return _einsum(
        ops, text=text, steps=steps, precision=precision,
        preferred_element_type=preferred_element_type,
    )  # fmt: skip


def _optimize_key(optimize: Any) -> Any:
    if isinstance(optimize, (list, tuple)):
        # The path that `einsum_path` returns begins with its name.
        steps = optimize[1:] if len(optimize) and optimize[0] == "einsum_path" else optimize
        return tuple(tuple(p) if isinstance(p, (list, tuple)) else p for p in steps)
    return {True: "optimal", False: "naive"}.get(optimize, optimize) if isinstance(
        optimize, bool
    ) else optimize  # fmt: skip


_plans: dict[Any, Any] = {}


def _plan(text: str, shapes: tuple[tuple[int, ...], ...], optimize: Any) -> tuple[str, Any]:
    """Explicit subscripts without ellipses, and the order of pairwise products."""
    key = (text, shapes, optimize)
    found = _plans.get(key)
    if found is None:
        explicit = _explicit(text, shapes)
        n = len(shapes)
        if n <= 2 and not isinstance(optimize, tuple):
            steps: Any = (tuple(range(n)),)
        else:
            import opt_einsum

            path = list(optimize) if isinstance(optimize, tuple) else optimize
            if path == "naive":
                steps = tuple((0, 1) for _ in range(n - 1))
            else:
                found_path, _ = opt_einsum.contract_path(
                    explicit, *shapes, shapes=True, optimize=path
                )
                steps = tuple(tuple(p) for p in found_path)
        if len(_plans) > 4096:
            _plans.clear()
        found = _plans[key] = explicit, steps
    return found


def _explicit(text: str, shapes: tuple[tuple[int, ...], ...]) -> str:
    text = text.replace(" ", "")
    left, arrow, right = text.partition("->")
    terms = left.split(",")
    if len(terms) != len(shapes):
        raise ValueError(
            f"einsum: {text!r} has {len(terms)} operands, {len(shapes)} were given{at_user_line()}"
        )
    used = set(text)
    free = [c for c in map(chr, range(ord("A"), ord("z") + 1)) if c.isalpha() and c not in used]
    widths = [
        len(s) - len(t.replace("...", "")) if "..." in t else 0
        for t, s in zip(terms, shapes, strict=True)
    ]
    longest = max(widths, default=0)
    extra = "".join(free[:longest])
    terms = [
        t.replace("...", extra[longest - w :] if w else "")
        for t, w in zip(terms, widths, strict=True)
    ]
    sizes: dict[str, int] = {}
    for t, s in zip(terms, shapes, strict=True):
        if len(t) != len(s):
            raise ValueError(
                f"einsum: the term {t!r} of {text!r} has {len(t)} labels for an operand of shape "
                f"{s}{at_user_line()}"
            )
        for c, n in zip(t, s, strict=True):
            if not c.isalpha():
                raise ValueError(f"einsum: {c!r} in {text!r} is not a letter{at_user_line()}")
            if sizes.get(c, 1) != 1 and n != 1 and sizes[c] != n:
                raise ValueError(
                    f"einsum: the label {c!r} of {text!r} stands for sizes {sizes[c]} and {n} in "
                    f"operands of shapes {', '.join(map(str, shapes))}{at_user_line()}"
                )
            sizes[c] = max(n, sizes.get(c, n)) if n != 0 else 0
    if arrow:
        out = right.replace("...", extra)
    else:
        joined = "".join(terms)
        out = extra + "".join(sorted(c for c in set(joined) - set(extra) if joined.count(c) == 1))
    for c in out:
        if c not in sizes or out.count(c) > 1:
            raise ValueError(
                f"einsum: the label {c!r} of the result in {text!r} is not in the operands, or "
                f"repeated{at_user_line()}"
            )
    return ",".join(terms) + "->" + out


@fused("text", "steps", "precision", "preferred_element_type")
def _einsum(
    operands: tuple[Any, ...], *, text: str, steps: Any, precision: Any, preferred_element_type: Any
) -> Any:
    left, _, result = text.partition("->")
    xs = [array(x) for x in promote_dtypes("einsum", *operands)]
    if preferred_element_type is not None:
        # Sums are computed in the dtype asked for, or in that of the operands if it is wider.
        preferred = dtypes.canonicalize_dtype(preferred_element_type)
        wide = dtypes.promote(((xs[0].dtype, False), (preferred, False)))[0] if xs else preferred
        xs = [convert(x, wide) for x in xs]
    weak = all(x.weak_type for x in xs) and preferred_element_type is None
    terms = left.split(",")
    items = list(zip(xs, terms, strict=True))
    if not steps or (len(items) > 1 and len(steps) == 1 and len(steps[0]) > 2):
        steps = tuple((0, 1) for _ in range(len(items) - 1))
    for step in steps:
        chosen = [items[i] for i in step]
        for i in sorted(step, reverse=True):
            del items[i]
        needed = set(result).union(*[t for _, t in items])
        while len(chosen) > 1:
            rest = needed.union(*[t for _, t in chosen[2:]])
            pair = _contract(*chosen[0], *chosen[1], rest, precision)
            chosen[:2] = [pair]
        items.append(chosen[0])
    x, t = items[0]
    x, t = _diagonalised(x, t)
    x, t = _summed(x, t, set(result))
    out = structural.transpose(x, [t.index(c) for c in result])
    sizes = _result_sizes(operands, left.split(","), result)
    out = broadcast_to(out, sizes)
    return convert(out, out.dtype if preferred_element_type is None else preferred, weak)


def _result_sizes(operands: Any, terms: list[str], result: str) -> tuple[int, ...]:
    sizes: dict[str, int] = {}
    for x, t in zip(operands, terms, strict=True):
        for c, n in zip(t, x.shape, strict=True):
            sizes[c] = n if sizes.get(c, 1) == 1 else sizes[c]
    return tuple(sizes[c] for c in result)


def _diagonalised(x: Any, t: str) -> tuple[Any, str]:
    """Repeated labels of one term reduced to the diagonal."""
    from covector.numpy.diagonals import diagonal

    for c in dict.fromkeys(t):
        while t.count(c) > 1:
            i = t.index(c)
            j = t.index(c, i + 1)
            x = diagonal(x, 0, i, j)
            t = t[:i] + t[i + 1 : j] + t[j + 1 :] + c
    return x, t


def _summed(x: Any, t: str, needed: set[str]) -> tuple[Any, str]:
    """Labels that nothing else needs summed over."""
    axes = tuple(i for i, c in enumerate(t) if c not in needed)
    if axes:
        narrow = x.dtype in dtypes.ROUNDED
        dt = x.dtype
        if dt == dtypes.bool_:
            return lax.reduce_or(x, axes), "".join(c for c in t if c in needed)
        x = convert(x, dtypes.float32) if narrow else x
        x = convert(lax.reduce_sum(x, axes), dt)
    return x, "".join(c for c in t if c in needed)


def _contract(x: Any, t: str, y: Any, u: str, needed: set[str], precision: Any) -> tuple[Any, str]:
    """Product of two terms, summed over the labels that are not needed any more."""
    x, t = _diagonalised(x, t)
    y, u = _diagonalised(y, u)
    x, t = _summed(x, t, needed | set(u))
    y, u = _summed(y, u, needed | set(t))
    # A size of 1 against a larger one broadcasts: drop it, the other keeps the label.
    for c in set(t) & set(u):
        n, m = x.shape[t.index(c)], y.shape[u.index(c)]
        if n != m:
            if n == 1:
                x, t = lax.squeeze(x, (t.index(c),)), t.replace(c, "")
            else:
                y, u = lax.squeeze(y, (u.index(c),)), u.replace(c, "")
    x, t = _summed(x, t, needed | set(u))
    y, u = _summed(y, u, needed | set(t))
    shared = [c for c in t if c in u]
    batch = [c for c in shared if c in needed]
    contracted = [c for c in shared if c not in needed]
    dims = (
        (tuple(t.index(c) for c in contracted), tuple(u.index(c) for c in contracted)),
        (tuple(t.index(c) for c in batch), tuple(u.index(c) for c in batch)),
    )
    out = _dot_general(x, y, dims, precision, None, False)
    free = [c for c in t if c not in shared] + [c for c in u if c not in shared]
    return out, "".join([*batch, *free])


def einsum_path(subscripts: Any, /, *operands: Any, optimize: Any = "auto") -> Any:
    """The order of pairwise products that `einsum` takes, and a report on its cost.

    Parameters
    ----------
    subscripts : str
        See `einsum`.
    *operands : array_like
    optimize : str or bool or path
        How the order is chosen (by ``opt_einsum``).

    Returns
    -------
    tuple of list and str
        The list begins with ``"einsum_path"``, the steps follow: positions of the operands to
        combine, whose product comes last.

    Examples
    --------
    >>> import covector.numpy as np
    >>> a, b, c = np.zeros((2, 100)), np.zeros((100, 100)), np.zeros((100, 2))
    >>> path, report = np.einsum_path("ij,jk,kl->il", a, b, c)
    >>> path
    ['einsum_path', (0, 1), (0, 1)]
    """
    import opt_einsum

    if optimize is False:
        optimize = None
    path, info = opt_einsum.contract_path(
        subscripts, *[onp.empty(array(x).shape) for x in operands], optimize=optimize or "auto"
    )
    return ["einsum_path", *path], str(info)
