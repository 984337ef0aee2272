"""How the dimensions of an operation's results come from those of its operands.

A *factor* is an index that an operation runs over. Each dimension of an operand or result is a
product of factors, the first of which counts slowest: a matrix product has the three factors of
``ik,kj->ij``, a reshape of ``[6, 4]`` to ``[24]`` has two, of which the result's dimension is the
product. A dimension that is split over the axes of a mesh splits its factors, and so dimensions of
other arrays in which they occur. (The idea is that of the sharding rules of Shardy.) The rules here
say nothing of devices: from them follow the shardings of results, the errors of explicit ones, and
what the partitioner sends.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from covector.core.avals import ShapedArray
from covector.core.trace import Primitive

# The factors of one dimension; of no factor: a dimension that is nowhere else.
Dim = tuple[int, ...]
Dims = tuple[Dim, ...]


class Factors:
    """The factors of one operation.

    Attributes
    ----------
    operands, results : list of tuple of tuple of int
        For each array, for each dimension, the numbers of its factors.
    sizes : list of int
        The size of each factor.
    whole : set of int
        Factors that a device must have all of: along them, elements depend on one another.
    """

    __slots__ = ("operands", "results", "sizes", "whole")

    def __init__(
        self, operands: list[Dims], results: list[Dims], sizes: list[int], whole: set[int]
    ) -> None:
        self.operands = operands
        self.results = results
        self.sizes = sizes
        self.whole = whole

    @property
    def summed(self) -> set[int]:
        """Factors of operands that no result has: sums and other reductions run over them."""
        inside = {f for dims in self.results for d in dims for f in d}
        return {f for dims in self.operands for d in dims for f in d} - inside


Avals = Sequence[ShapedArray]
# rule(operand types, result types, params) -> Factors, or None where there is nothing to say.
Rule = Callable[[Avals, Avals, dict[str, Any]], "Factors | None"]
factor_rules: dict[Primitive, Rule] = {}


def find_rule(prim: Primitive) -> Rule | None:
    """The rule of a primitive; those that have a row of the elementwise ones share one."""
    found = factor_rules.get(prim)
    return pointwise if found is None and prim.spec is not None else found


class Builder:
    """Makes factors one dimension at a time."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.whole: set[int] = set()

    def new(self, size: int, whole: bool = False) -> int:
        self.sizes.append(size)
        if whole:
            self.whole.add(len(self.sizes) - 1)
        return len(self.sizes) - 1

    def dims(self, shape: Sequence[int], whole: Sequence[int] = ()) -> list[Dim]:
        """A new factor for each dimension; those of the numbers ``whole`` a device has all of."""
        return [(self.new(n, k in whole),) for k, n in enumerate(shape)]

    def build(self, operands: Sequence[Sequence[Dim]], results: Sequence[Sequence[Dim]]) -> Factors:
        return Factors(
            [tuple(d) for d in operands], [tuple(d) for d in results], self.sizes, self.whole
        )


def pointwise(operands: Avals, results: Avals, params: dict[str, Any]) -> Factors:
    """Each element of the results from the elements there; scalars go with all."""
    shape = max((a.shape for a in (*operands, *results)), key=len)
    b = Builder()
    dims = b.dims(shape)

    def of(a: ShapedArray) -> list[Dim]:
        if len(a.shape) != len(shape):
            return [(b.new(n, True),) for n in a.shape]
        return [d if n == m else (b.new(n),) for d, n, m in zip(dims, a.shape, shape, strict=True)]

    return b.build([of(a) for a in operands], [of(a) for a in results])


def along(*names: str) -> Rule:
    """All dimensions run together; of those that ``names`` say, a device has all."""

    def rule(operands: Avals, results: Avals, params: dict[str, Any]) -> Factors:
        whole: set[int] = set()
        for name in names:
            value = params[name]
            whole |= {value} if isinstance(value, int) else set(value)
        return together(operands, results, whole)

    return rule


def together(operands: Avals, results: Avals, whole: set[int]) -> Factors:
    """Dimensions of one number run together, but for ``whole``, which may differ in size."""
    b = Builder()
    ndim = max(len(a.shape) for a in (*operands, *results))
    sizes = [1] * ndim
    for a in operands:
        for k, n in enumerate(a.shape):
            sizes[k] = max(sizes[k], n)
    shared = b.dims(sizes, tuple(whole))

    def of(a: ShapedArray) -> list[Dim]:
        return [
            (b.new(n, True),) if k in whole else shared[k] if n == sizes[k] else (b.new(n),)
            for k, n in enumerate(a.shape)
        ]

    return b.build([of(a) for a in operands], [of(a) for a in results])


def leading(trailing: int) -> Rule:
    """A batch of matrices (or vectors): a device has all of the last dimensions."""

    def rule(operands: Avals, results: Avals, params: dict[str, Any]) -> Factors | None:
        batch = operands[0].shape[: len(operands[0].shape) - trailing]
        b = Builder()
        shared = b.dims(batch)

        def of(a: ShapedArray) -> list[Dim]:
            n = len(batch) if a.shape[: len(batch)] == batch else 0
            return [*shared[:n], *[(b.new(m, True),) for m in a.shape[n:]]]

        return b.build([of(a) for a in operands], [of(a) for a in results])

    return rule


def moved(operands: Avals, results: Avals, params: dict[str, Any]) -> Factors:
    """`transpose`."""
    b = Builder()
    dims = b.dims(operands[0].shape)
    return b.build([dims], [[dims[k] for k in params["permutation"]]])


def broadcast(operands: Avals, results: Avals, params: dict[str, Any]) -> Factors:
    """`broadcast_in_dim`."""
    b = Builder()
    out = b.dims(results[0].shape)
    given = [
        out[at] if n == results[0].shape[at] else (b.new(n),)
        for n, at in zip(operands[0].shape, params["broadcast_dimensions"], strict=True)
    ]
    return b.build([given], [out])


def reduced(operands: Avals, results: Avals, params: dict[str, Any]) -> Factors:
    """Reductions over the parameter ``axes``; several operands are reduced together."""
    b = Builder()
    dims = b.dims(operands[0].shape)
    kept = [d for k, d in enumerate(dims) if k not in params["axes"]]
    given = [dims if a.shape == operands[0].shape else [] for a in operands]
    return b.build(given, [kept] * len(results))


def reshaped(operands: Avals, results: Avals, params: dict[str, Any]) -> Factors:
    """`reshape` and what is one: the dimensions that make up each other, in their order."""
    given, out = list(operands[0].shape), list(results[0].shape)
    b = Builder()
    if math.prod(given) == 0:
        return b.build([b.dims(given)], [b.dims(out)])
    ins: list[list[int]] = [[] for _ in given]
    outs: list[list[int]] = [[] for _ in out]
    i = j = 0
    a, c = 1, 1  # what is left of the current dimensions
    while True:
        while a == 1 and i < len(given):
            a, i = given[i], i + 1
        while c == 1 and j < len(out):
            c, j = out[j], j + 1
        if a == 1 or c == 1:
            break
        common = a if c % a == 0 else c if a % c == 0 else 0
        if common:
            f = b.new(common)
            ins[i - 1].append(f)
            outs[j - 1].append(f)
            a, c = a // common, c // common
            continue
        # Their parts do not nest: take dimensions until the products agree.
        first_in, first_out = i - 1, j - 1
        while a != c:
            if a < c:
                a, i = a * given[i], i + 1
            else:
                c, j = c * out[j], j + 1
        for k in range(first_in, i):
            ins[k].append(b.new(given[k], True))
        for k in range(first_out, j):
            outs[k].append(b.new(out[k], True))
        a = c = 1
    return b.build([[_major_first(d) for d in ins]], [[_major_first(d) for d in outs]])


def _major_first(factors: list[int]) -> Dim:
    return tuple(factors)


def dot_general(operands: Avals, results: Avals, params: dict[str, Any]) -> Factors:
    """Batch dimensions, then those of the left and of the right operand that are left."""
    (xc, yc), (xb, yb) = params["dimension_numbers"]
    x, y = operands[:2]
    b = Builder()
    left = b.dims(x.shape)
    right: list[Dim] = [()] * len(y.shape)
    for i, j in (*zip(xc, yc, strict=True), *zip(xb, yb, strict=True)):
        right[j] = left[i]
    for j, n in enumerate(y.shape):
        if right[j] == ():
            right[j] = (b.new(n),)
    out = [left[i] for i in xb]
    out += [d for i, d in enumerate(left) if i not in (*xc, *xb)]
    out += [d for j, d in enumerate(right) if j not in (*yc, *yb)]
    return b.build([left, right], [out])


def sliced(operands: Avals, results: Avals, params: dict[str, Any]) -> Factors:
    """Dimensions that stay as long as they are run together; of the others a device has all."""
    x, out = operands[0].shape, results[0].shape
    b = Builder()
    dims = b.dims(x)
    got = [d if n == m else (b.new(m, True),) for d, n, m in zip(dims, x, out, strict=True)]
    for d, n, m in zip(dims, x, out, strict=True):
        if n != m:
            b.whole.add(d[0])
    rest = [[(b.new(n, True),) for n in a.shape] for a in operands[1:]]
    return b.build([dims, *rest], [got])


def updated(operands: Avals, results: Avals, params: dict[str, Any]) -> Factors:
    """`dynamic_update_slice`: dimensions that are updated whole run together."""
    x, update = operands[0].shape, operands[1].shape
    b = Builder()
    dims = b.dims(x)
    part = [d if n == m else (b.new(m, True),) for d, n, m in zip(dims, x, update, strict=True)]
    for d, n, m in zip(dims, x, update, strict=True):
        if n != m:
            b.whole.add(d[0])
    return b.build([dims, part, *[[] for _ in operands[2:]]], [dims])


def squeezed(operands: Avals, results: Avals, params: dict[str, Any]) -> Factors:
    b = Builder()
    dims = b.dims(operands[0].shape)
    return b.build([dims], [[d for k, d in enumerate(dims) if k not in params["dimensions"]]])


def gathered(operands: Avals, results: Avals, params: dict[str, Any]) -> Factors:
    """Dimensions of the operand that are taken whole, and those of the indices that count."""
    x, indices = operands[0].shape, operands[1].shape
    numbers, sizes = params["dimension_numbers"], params["slice_sizes"]
    collapsed = numbers.collapsed_slice_dims
    batched = numbers.operand_batching_dims
    b = Builder()
    dims = b.dims(x)
    for k, (n, m) in enumerate(zip(x, sizes, strict=True)):
        if n != m and k not in batched:
            b.whole.add(dims[k][0])
    counts = [(b.new(n),) for n in indices[:-1]]
    for k, at in zip(batched, numbers.start_indices_batching_dims, strict=True):
        counts[at] = dims[k]
    offset = [k for k in range(len(x)) if k not in collapsed and k not in batched]
    out: list[Dim] = [()] * len(results[0].shape)
    for at, k in zip(numbers.offset_dims, offset, strict=True):
        out[at] = dims[k] if x[k] == sizes[k] else (b.new(sizes[k], True),)
    rest = iter(counts)
    for at in range(len(out)):
        if at not in numbers.offset_dims:
            out[at] = next(rest)
    return b.build([dims, [*counts, (b.new(indices[-1], True),)]], [out])


def scattered(operands: Avals, results: Avals, params: dict[str, Any]) -> Factors:
    """Dimensions of the operand that are updated whole run together; the rest is whole."""
    x, indices, updates = (a.shape for a in operands[:3])
    numbers = params["dimension_numbers"]
    inserted = numbers.inserted_window_dims
    batched = numbers.operand_batching_dims
    b = Builder()
    dims = b.dims(x)
    window = [k for k in range(len(x)) if k not in inserted and k not in batched]
    update: list[Dim] = [()] * len(updates)
    counts = [(b.new(n, True),) for n in indices[:-1]]
    for k, at in zip(batched, numbers.scatter_indices_batching_dims, strict=True):
        counts[at] = dims[k]
    for at, k in zip(numbers.update_window_dims, window, strict=True):
        if updates[at] == x[k]:
            update[at] = dims[k]
        else:
            b.whole.add(dims[k][0])
            update[at] = (b.new(updates[at], True),)
    for k in inserted:
        b.whole.add(dims[k][0])
    rest = iter(counts)
    for at in range(len(update)):
        if at not in numbers.update_window_dims:
            update[at] = next(rest)
    return b.build([dims, [*counts, (b.new(indices[-1], True),)], update], [dims])


def convolved(operands: Avals, results: Avals, params: dict[str, Any]) -> Factors:
    """Batch and features; of the window's dimensions a device has all."""
    numbers = params["dimension_numbers"]
    x, kernel, out = operands[0].shape, operands[1].shape, results[0].shape
    lhs, rhs, res = numbers.lhs_spec, numbers.rhs_spec, numbers.out_spec
    b = Builder()
    grouped = params["feature_group_count"] > 1 or params["batch_group_count"] > 1
    xs = [(b.new(n, True),) for n in x]
    ks = [(b.new(n, True),) for n in kernel]
    os = [(b.new(n, True),) for n in out]
    if params["batch_group_count"] == 1:
        xs[lhs[0]] = os[res[0]] = (b.new(x[lhs[0]]),)
    if not grouped:
        xs[lhs[1]] = ks[rhs[1]] = (b.new(x[lhs[1]]),)
        ks[rhs[0]] = os[res[1]] = (b.new(kernel[rhs[0]]),)
    return b.build([xs, ks], [os])


def made(operands: Avals, results: Avals, params: dict[str, Any]) -> Factors:
    """No operands: every device makes its part."""
    b = Builder()
    return b.build([[] for _ in operands], [b.dims(a.shape) for a in results])
