"""``scan``: a loop over leading axes with a carry; its primitive."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from covector.control_flow.common import (
    arrays_of,
    check_arrays_of,
    check_carry,
    promote_weak,
    runs_in_python,
    trace_body,
)
from covector.control_flow.scan_rules import bind_scan
from covector.core import tree
from covector.core.avals import ShapedArray
from covector.core.dims import as_size
from covector.core.errors import at_user_line
from covector.core.references import check_distinct, has_refs, write
from covector.core.tree_paths import path_names
from covector.primitives.structure import index_in_dim, stack
from covector.transforms.arguments import api_boundary, check_callable, fun_name
from covector.transforms.references import GivenRefs, LocalRefs


def _length(xs_flat: list[Any], xs: Any, avals: list[ShapedArray], length: int | None) -> int:
    names = None
    for i, a in enumerate(avals):
        if not a.shape:
            names = path_names(xs)
            raise ValueError(
                f"scan: xs{names[i]} is a scalar, {a.str_short()}; the loop runs over the leading "
                f"axis of each array in xs{at_user_line()}"
            )
    sizes = {a.shape[0] for a in avals}
    if length is not None:
        n = as_size(length)
        if n < 0:
            raise ValueError(f"scan: length must not be negative, got {n}{at_user_line()}")
        if sizes - {n}:
            names = path_names(xs)
            wrong = [
                f"xs{p} is {a.str_short()}"
                for p, a in zip(names, avals, strict=True)
                if a.shape[0] != n
            ]
            raise ValueError(
                f"scan: length={n} does not match the leading axes of xs: {'; '.join(wrong)}"
                f"{at_user_line()}"
            )
        return n
    if len(sizes) > 1:
        parts = [f"xs{p} is {a.str_short()}" for p, a in zip(path_names(xs), avals, strict=True)]
        raise ValueError(
            f"scan: the arrays in xs must have equal leading axes: {'; '.join(parts)}"
            f"{at_user_line()}"
        )
    if not sizes:
        raise ValueError(
            f"scan: without arrays in xs, the number of steps must be given as length"
            f"{at_user_line()}"
        )
    return sizes.pop()


def _check_whole(what: str, xs: Any, avals: list[ShapedArray]) -> None:
    """Raise the error for a loop over an axis that types say is split over devices."""
    for i, a in enumerate(avals):
        if a.placed is not None and a.placed.spec[0] is not None:
            raise ValueError(
                f"{what}: the loop runs over the leading axis of each array in xs, and that of "
                f"xs{path_names(xs)[i]}, {a.str_short()}, is split over the mesh. Lay it out in "
                f"another way with covector.reshard, or run along devices (covector.shard_map)"
                f"{at_user_line()}"
            )


def check_unroll(unroll: int | bool, length: int) -> int:
    """The number of steps per turn of the loop."""
    if unroll is True:
        return max(length, 1)
    if unroll is False:
        return 1
    n = int(unroll)
    if n < 0:
        raise ValueError(f"scan: unroll must be positive, got {unroll}{at_user_line()}")
    return max(n, 1)


def split_result(t: Any, fun: Callable[..., Any]) -> tuple[Any, Any]:
    """Structures of the two items of a scan body's result, which has the structure ``t``."""
    if t.type not in (tuple, list) or t.num_children != 2:
        one = t.num_leaves == 1 and t.num_nodes == 1
        what = "None" if t == tree.structure(None) else "one array" if one else f"a tree {t}"
        raise TypeError(
            f"scan: the body must return a pair (carry, y), but {fun_name(fun)} returned "
            f"{what}; for no y, return carry, None{at_user_line()}"
        )
    carry, y = t.children()
    return carry, y


@api_boundary
def scan(
    f: Callable[[Any, Any], tuple[Any, Any]],
    init: Any,
    xs: Any = None,
    length: int | None = None,
    reverse: bool = False,
    unroll: int | bool = 1,
    _split_transpose: bool = False,
) -> tuple[Any, Any]:
    """Loop over leading axes, carrying a state along and collecting a result of each step.

    Parameters
    ----------
    f : callable
        ``(carry, x) -> (carry, y)``; the carry keeps its structure, shapes and dtypes.
    init : pytree
        The first carry.
    xs : pytree, optional
        Arrays of equal leading axes; step ``i`` sees ``x[i]`` of each. Without it ``x`` is None.
    length : int, optional
        Number of steps; needed if ``xs`` holds no arrays.
    reverse : bool
        Go from the last element to the first; the results keep the order of ``xs``.
    unroll : int or bool
        Steps per turn of the compiled loop; True for all.
    _split_transpose : bool
        Has no effect.

    Returns
    -------
    carry, ys : pytrees
        The last carry, and the ``y`` of all steps stacked along a new leading axis.

    Raises
    ------
    TypeError
        If ``f`` returns no pair, or a carry of other types than it takes.
    ValueError
        If leading axes differ from one another or from ``length``.

    Notes
    -----
    ``f`` is traced once, so that Python side effects in it happen once. The loop can be
    differentiated in both modes.

    Examples
    --------
    >>> import covector as cv
    >>> cv.lax.scan(lambda c, x: (c + x, c * x), 0, cv.numpy.array([1, 2, 3]))
    (Array(6, dtype=int32), Array([0, 2, 9], dtype=int32))

    Without ``xs``, a number of steps; None stands for no result:

    >>> cv.lax.scan(lambda x, _: (2 * x, None), 1.0, length=10)
    (Array(1024., dtype=float32, weak_type=True), None)
    """
    return run_scan("scan", f, init, xs, length, reverse, unroll)


def run_scan(
    what: str, f: Callable[[Any, Any], tuple[Any, Any]], init: Any, xs: Any, length: int | None,
    reverse: bool, unroll: int | bool,
) -> tuple[Any, Any]:  # fmt: skip
    """`scan`, for the function that users called (``what``)."""
    check_callable(f, what)
    xs_flat, xs_tree = tree.flatten(xs)
    if has_refs(xs_flat):
        refs = ScannedRefs(f, xs)
        carry, (ys, last) = run_scan(what, refs.body, init, refs.xs, length, reverse, unroll)
        refs.write_back(last)
        return carry, ys
    init_flat, init_tree = tree.flatten(init)
    carry_avals = check_arrays_of(init_flat, init, what, "init")
    xs_avals = check_arrays_of(xs_flat, xs, what, "xs")
    n = _length(xs_flat, xs, xs_avals, length)
    _check_whole(what, xs, xs_avals)
    steps = check_unroll(unroll, n)
    if n > 0 and runs_in_python([*init_flat, *xs_flat]):
        return _scan_in_python(f, init, xs_flat, xs_tree, n, reverse)
    x_avals = [a.without(0) for a in xs_avals]
    in_tree = tree.structure((init, xs))
    body = trace_body(f, in_tree, [*carry_avals, *x_avals], what, refs=True)
    carry_tree, y_tree = split_result(body.out_tree, f)
    if carry_tree == init_tree:
        k = len(init_flat)
        for _ in range(3):
            init_flat, carry_avals, changed = promote_weak(
                init_flat, carry_avals, body.out_avals[:k]
            )
            if not changed:
                break
            body = trace_body(f, in_tree, [*carry_avals, *x_avals], what, refs=True)
    num_carry = carry_tree.num_leaves
    check_carry(what, f, init_tree, carry_avals, carry_tree, body.out_avals[:num_carry])
    params = {"length": n, "reverse": bool(reverse), "num_carry": num_carry, "unroll": steps}
    jaxpr, consts = body.of_loop()
    outs = bind_scan(jaxpr, consts, body.written, [*init_flat, *xs_flat], params)
    return (
        tree.unflatten(carry_tree, outs[:num_carry]),
        tree.unflatten(y_tree, outs[num_carry:]),
    )


class ScannedRefs:
    """A body whose ``xs`` hold references, as one that takes and returns slices of their values."""

    def __init__(self, f: Callable[[Any, Any], tuple[Any, Any]], xs: Any) -> None:
        self.f = f
        flat, self.tree = tree.flatten(xs)
        given = GivenRefs(flat).refs
        check_distinct(list(given.values()), lambda: path_names(xs), f"scan of {fun_name(f)}")
        self.refs = LocalRefs(given)
        self.xs = self.refs.values(flat)

    def body(self, carry: Any, leaves: list[Any]) -> tuple[Any, Any]:
        out = self.f(carry, tree.unflatten(self.tree, self.refs.put(leaves)))
        split_result(tree.structure(out), self.f)
        carry, y = out
        return carry, (y, self.refs.last_values(leaves))

    def write_back(self, last: list[Any]) -> None:
        for i, x in zip(self.refs.written, last, strict=True):
            write(self.refs.refs[i], x)


def _scan_in_python(
    f: Callable[..., Any], carry: Any, xs_flat: list[Any], xs_tree: Any, n: int, reverse: bool
) -> tuple[Any, Any]:
    carry = arrays_of(carry)
    ys: list[list[Any]] = []
    y_tree: Any = None
    for i in reversed(range(n)) if reverse else range(n):
        x = tree.unflatten(xs_tree, [index_in_dim(x, i) for x in xs_flat])
        out = f(carry, x)
        split_result(tree.structure(out), f)
        carry, y = out
        flat, y_tree = tree.flatten(y)
        ys.append(flat)
    if reverse:
        ys.reverse()
    return carry, tree.unflatten(y_tree, [stack(column) for column in zip(*ys, strict=True)])
