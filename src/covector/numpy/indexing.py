"""``x[index]``: static parts become slices, integer arrays become one gather."""

from __future__ import annotations

import math
from typing import Any

import numpy as onp

from covector import _native, lax
from covector.core import dtypes
from covector.core.avals import Array, ShapedArray, array_from_numpy, to_array
from covector.core.config import runs_by_operation
from covector.core.dims import is_nonnegative
from covector.core.errors import InconclusiveDimensionOperation, at_user_line
from covector.core.operands import bind_known, scalar
from covector.core.structural import convert_element_type, reshape_p
from covector.core.trace import Tracer, eval_trace
from covector.lax.slicing import start_index
from covector.numpy._index import (
    NEW_AXIS,
    Advanced,
    Item,
    Moving,
    NewAxis,
    Scalar,
    Slice,
    as_index_array,
    parse,
)
from covector.numpy._looks import check_bounds, check_integers, refuse_outside
from covector.numpy._util import broadcast_shapes, broadcast_to, compile_lazily, current_trace
from covector.numpy.powers import _remainder
from covector.primitives.indexing import (
    GatherDimensionNumbers,
    GatherScatterMode,
    default_fill,
)
from covector.primitives.slicing import dynamic_slice_p
from covector.primitives.structure import rev_p, slice_p, squeeze_p

_BASIC = frozenset((int, slice, type(None), type(Ellipsis)))


def getitem(x: Any, index: Any) -> Any:
    """``x[index]``: indices out of bounds are clamped to the nearest position."""
    if type(x) is Array and current_trace() is eval_trace:
        where = x._placement
        if not where or x._viewable:
            if type(index) is int:
                shape = x.shape
                if shape and -shape[0] <= index < shape[0]:
                    return x._subarray(index)
            out = _eager(x, index)
            return out._placed(where) if where else out
    t = type(index)
    shape = x.shape
    if runs_by_operation():
        check_bounds(parse(index, x), shape)
    if t is int:
        if shape:
            return _static_ints(x, (index,), shape)
    elif t is tuple:
        if len(index) <= len(shape) and all([type(i) is int for i in index]):
            return _static_ints(x, index, shape)
    elif isinstance(index, Tracer) and shape:
        aval = index.aval
        if not aval.shape and aval.dtype in dtypes.INTEGERS and shape[0]:
            rest = shape[1:]
            starts = (start_index(index, shape[0]), *[0] * len(rest))
            return _window(x, starts, (1, *rest), (0,))
    items = parse(index, x)
    check_integers(items, shape)
    return _get(x, items)


def _static_ints(x: Any, index: tuple[int, ...], shape: tuple[int, ...]) -> Any:
    """``x[i, j, …]`` for Python integers, the most frequent index in traced code."""
    k = len(index)
    if not k:
        return x
    try:
        at = tuple([_clamped(i, n, shape) for i, n in zip(index, shape, strict=False)])
    except InconclusiveDimensionOperation:
        return _get(x, parse(index, x))
    rest = shape[k:]
    if any([not -n <= i < n for i, n in zip(index, shape, strict=False)]):
        # Not clamped here, but where the program runs, so that `checkify` finds it.
        starts = [_outside(i, n) for i, n in zip(index, shape, strict=False)]
        return _window(x, (*starts, *[0] * len(rest)), (1,) * k + rest, tuple(range(k)))
    aval = x.aval
    params = {
        "start_indices": at + (0,) * len(rest),
        "limit_indices": tuple([i + 1 for i in at]) + rest,
        "strides": None,
    }
    part = ShapedArray((1,) * k + rest, aval.dtype, aval.weak_type)
    x = bind_known(slice_p, (x,), params, part)
    out = ShapedArray(rest, aval.dtype, aval.weak_type)
    return bind_known(squeeze_p, (x,), {"dimensions": tuple(range(k))}, out)


def _window(x: Any, starts: Any, sizes: tuple[int, ...], dropped: tuple[int, ...]) -> Any:
    """The part of ``x`` of shape ``sizes`` at ``starts``, without the ``dropped`` dimensions."""
    aval = x.aval
    part = ShapedArray(sizes, aval.dtype, aval.weak_type)
    x = bind_known(dynamic_slice_p, (x, *starts), {"slice_sizes": sizes}, part)
    if not dropped:
        return x
    rest = tuple([n for d, n in enumerate(sizes) if d not in dropped])
    out = ShapedArray(rest, aval.dtype, aval.weak_type)
    return bind_known(squeeze_p, (x,), {"dimensions": dropped}, out)


def _empty_axis(shape: tuple[int, ...]) -> None:
    raise IndexError(
        f"an integer index into an axis of size 0 of an array of shape {shape}{at_user_line()}"
    )


# --- concrete arrays ---------------------------------------------------------------------


def _eager(x: Any, index: Any) -> Any:
    """An index into an array on the host; the result is on the default placement."""
    t = type(index)
    if t is tuple and len(index) == len(x.shape):
        at = []
        for i, n in zip(index, x.shape, strict=True):
            if type(i) is not int or not -n <= i < n:
                break
            at.append(i + n if i < 0 else i)
        else:
            if x.dtype is not dtypes.key_dtype:
                return _native.array_from_scalar(x.item(*at), x._code, x.weak_type)
    if t in _BASIC or (t is tuple and all([type(e) in _BASIC for e in index])):
        return _eager_basic(x, index)
    return _eager_advanced(x, index)


def _eager_basic(x: Any, index: Any) -> Any:
    """A copy of the selected part, by NumPy: nothing to compile."""
    if x.dtype is not dtypes.key_dtype:
        try:
            part = onp.asarray(x)[index]
        except (IndexError, OverflowError, TypeError, ValueError):
            pass  # out of bounds, or an error to be reported in our words
        else:
            if type(part) is onp.ndarray:
                return _selected(x, part)
    items = parse(index, x)
    if all(type(item) is Scalar for item in items):
        at = [_clamped(item.value, n, x.shape) for item, n in zip(items, x.shape, strict=True)]
        if x.dtype is not dtypes.key_dtype:
            return _native.array_from_scalar(x.item(*at), x._code, x.weak_type)
        for i in at:
            x = x._subarray(i)
        return x
    if x.dtype is dtypes.key_dtype:
        return _get(x, items)
    plain: list[Any] = []
    dim = 0
    for item in items:
        if type(item) is NewAxis:
            plain.append(None)
            continue
        if type(item) is Scalar:
            plain.append(_clamped(item.value, x.shape[dim], x.shape))
        else:
            start, size, step = item
            stop = start + size * step
            plain.append(slice(start, stop if stop >= 0 else None, step))
        dim += 1
    return _selected(x, onp.asarray(x)[tuple(plain)])


def _selected(x: Any, part: onp.ndarray) -> Any:
    """A view that NumPy's basic indexing made of ``x``, as an array of its own."""
    if part.flags.c_contiguous:
        if part.size == x.size:
            return x._reshaped(part.shape)
        return array_from_numpy(part, x.dtype, x.weak_type)
    return array_from_numpy(part.copy(), x.dtype, x.weak_type, True)


def _clamped(i: int, n: int, shape: tuple[int, ...]) -> int:
    if n == 0:
        _empty_axis(shape)
    if not -n <= i < n:
        refuse_outside(i, n, shape)
    return min(max(i + n if i < 0 else i, 0), n - 1)


def _eager_advanced(x: Any, index: Any) -> Any:
    """Through a compiled program that takes positions as run-time values."""
    items = parse(index, x)
    check_bounds(items, x.shape)
    if all(type(item) is not Advanced and type(item) is not Moving for item in items):
        # Rank-0 arrays as indices: their values are at hand.
        plain = [Scalar(_int(i.value)) if type(i) is Scalar else i for i in items]
        return _eager_basic(x, _to_basic(plain))
    return run_compiled(_gather_program, (x,), items)


def _int(v: Any) -> int:
    return v if type(v) is int else int(v)


def _to_basic(items: list[Item]) -> tuple[Any, ...]:
    out: list[Any] = []
    for item in items:
        if type(item) is NewAxis:
            out.append(None)
        elif type(item) is Scalar:
            out.append(item.value)
        else:
            start, size, step = item  # type: ignore[misc]
            stop = start + size * step
            out.append(slice(start, stop if stop >= 0 else None, step))
    return tuple(out)


Spec = tuple[Any, ...]


def within_default_int(v: int) -> int:
    """A position as it can be passed to a program: one beyond is out of bounds all the same."""
    low, high = dtypes.LIMITS[dtypes.default_int()]
    return low if v < low else high if v > high else v


def _outside(i: int, n: int) -> Any:
    """An integer as a start that is clamped where the program runs, and that `checkify` sees."""
    start = i + n if i < 0 else i
    dt = dtypes.default_int()
    return dt.type(within_default_int(start)) if type(start) is int else scalar(start, dt)


def split_items(items: list[Item]) -> tuple[list[Any], Spec]:
    """Run-time values of index items, and the rest as a hashable key."""
    values: list[Any] = []
    spec: list[Any] = []
    for item in items:
        if type(item) is Scalar:
            v = item.value
            values.append(within_default_int(v) if type(v) is int else v)
            spec.append("s")
        elif type(item) is Advanced:
            values.append(to_array(as_index_array(item.value, dtypes.default_int())))
            spec.append("n" if item.new_axis else "a")
        elif type(item) is Moving:
            values.append(item.start)
            spec.append(("moving", item.size))
        else:
            spec.append(item)
    return values, tuple(spec)


def join_items(values: Any, spec: Spec) -> list[Item]:
    at = iter(values)
    out: list[Item] = []
    for s in spec:
        if s == "s":
            out.append(Scalar(next(at)))
        elif s == "a" or s == "n":
            out.append(Advanced(next(at), s == "n"))
        elif type(s) is tuple:
            out.append(Moving(next(at), s[1]))
        else:
            out.append(s)
    return out


def run_compiled(program: Any, operands: tuple[Any, ...], items: list[Item], **static: Any) -> Any:
    """Call ``program(*operands, values, spec, **static)`` as one compiled function."""
    values, spec = split_items(items)
    compiled = _compiled.get(program)
    if compiled is None:
        compiled = _compiled[program] = compile_lazily(program, ("spec", *static))
    return compiled(*operands, values, spec=spec, **static)


_compiled: dict[Any, Any] = {}


def _gather_program(x: Any, values: Any, spec: Spec) -> Any:
    return _get(x, join_items(values, spec))


# --- selection as operations -------------------------------------------------------------


def _get(x: Any, items: list[Item], mode: Any = None, fill_value: Any = None) -> Any:
    fills = mode is GatherScatterMode.FILL_OR_DROP or mode is GatherScatterMode.ONE_HOT
    if fills or any(type(item) is Advanced for item in items):
        basic, plan = split_advanced(x.shape, items)
        if plan is None:
            return get_basic(x, items)
        return _gather(get_basic(x, basic), plan, mode, fill_value)
    return get_basic(x, items)


class _Selection:
    """What integers, slices and new axes select, as a strided slice and a window.

    Attributes
    ----------
    lo, hi, steps : list of int
        The slice: all of the dimensions whose position is known at run time only.
    starts, sizes : list
        The window, for these.
    flipped, dropped, added : list of int
        Dimensions that are reversed, that an integer selects, and positions of new axes.
    dynamic : bool
        Whether a position is known at run time only.
    """

    def __init__(self, shape: tuple[int, ...], items: list[Item]) -> None:
        n = len(shape)
        self.lo, self.hi, self.steps = [0] * n, list(shape), [1] * n
        self.starts: list[Any] = [0] * n
        self.sizes = list(shape)
        self.flipped: list[int] = []
        self.dropped: list[int] = []
        self.added: list[int] = []
        self.dynamic = False
        dim = out = 0
        for item in items:
            if type(item) is NewAxis:
                self.added.append(out)
                out += 1
            elif type(item) is Scalar:
                self._scalar(dim, item.value, shape)
                dim += 1
            else:
                if type(item) is Moving:
                    self._moving(dim, *item)
                else:
                    self._slice(dim, shape[dim], *item)  # type: ignore[misc]
                dim += 1
                out += 1

    def _scalar(self, dim: int, v: Any, shape: tuple[int, ...]) -> None:
        n = shape[dim]
        if n == 0:
            _empty_axis(shape)
        if type(v) is int and -n <= v < n:
            v = v + n if v < 0 else v
            self.lo[dim], self.hi[dim] = v, v + 1
        else:
            self.dynamic = True
            self.starts[dim] = _outside(v, n) if type(v) is int else start_index(v, n)
        self.sizes[dim] = 1
        self.dropped.append(dim)

    def _moving(self, dim: int, start: Any, size: int) -> None:
        """A range that is moved into bounds."""
        self.dynamic = True
        self.starts[dim] = start
        self.sizes[dim] = size

    def _slice(self, dim: int, n: int, start: Any, size: int, step: int) -> None:
        self.sizes[dim] = size
        if step < 0:
            self.flipped.append(dim)
            start, step = 0 if size == 0 else start + (size - 1) * step, -step
        self.lo[dim] = 0 if size == 0 else start
        end = start + (size - 1) * step + 1
        if step > 1 and is_nonnegative(size - 1) is None and (n - start + step - 1) // step == size:
            end = n  # of a size that may be 0, all that is left
        self.hi[dim] = 0 if size == 0 else end
        self.steps[dim] = step


def get_basic(x: Any, items: list[Item]) -> Any:
    """The part that integers, slices and new axes select."""
    shape = x.shape
    s = _Selection(shape, items)
    strided = any([k != 1 for k in s.steps])
    starts = s.starts
    if s.dynamic and not strided:
        # One window for all: static positions are starts like the others.
        starts = [a if type(b) is int else b for a, b in zip(s.lo, starts, strict=True)]
    elif strided or any([k != 0 for k in s.lo]) or tuple(s.hi) != shape:
        x = _sliced(x, s, strided)
    if s.dynamic:
        plain = not (s.added or s.flipped)
        x = _window(x, starts, tuple(s.sizes), tuple(s.dropped) if plain else ())
        if plain:
            return x
    if s.flipped:
        x = rev_p.bind(x, dimensions=tuple(s.flipped))
    if s.added:
        kept = [n for d, n in enumerate(s.sizes) if d not in s.dropped]
        for d in s.added:
            kept.insert(d, 1)
        return reshape_p.bind(x, new_sizes=tuple(kept))
    if s.dropped:
        return squeeze_p.bind_params((x,), {"dimensions": tuple(s.dropped)})
    return x if isinstance(x, (Tracer, Array)) else to_array(x)


def _sliced(x: Any, s: _Selection, strided: bool) -> Any:
    """The strided slice of a selection; dimensions at run-time positions are still whole."""
    strides = tuple(s.steps) if strided else None
    params = {"start_indices": tuple(s.lo), "limit_indices": tuple(s.hi), "strides": strides}
    part = tuple([(b - a + k - 1) // k for a, b, k in zip(s.lo, s.hi, s.steps, strict=True)])
    aval = x.aval
    return bind_known(slice_p, (x,), params, ShapedArray(part, aval.dtype, aval.weak_type))


class GatherPlan:
    """Where the integer arrays of an index act on the array that its slices have selected.

    Attributes
    ----------
    dims : list of int
        Dimensions of the array that the index arrays refer to.
    arrays : list
        The index arrays, and rank-0 or Python integers beside them.
    position : int
        Position, among the dimensions that stay, of those of the index arrays.
    """

    __slots__ = ("dims", "arrays", "position")

    def __init__(self, dims: list[int], arrays: list[Any], position: int) -> None:
        self.dims, self.arrays, self.position = dims, arrays, position


def split_advanced(
    shape: tuple[int, ...], items: list[Item]
) -> tuple[list[Item], GatherPlan | None]:
    """The basic part of an index, and what is to be gathered from its result.

    Integers take part in the gather where there are index arrays, as NumPy's rules for the
    placement of the resulting dimensions have it.
    """
    basic: list[Item] = []
    dims: list[int] = []
    arrays: list[Any] = []
    where: list[int] = []
    dim = 0
    for at, item in enumerate(items):
        if type(item) is Advanced or type(item) is Scalar:
            dims.append(len(basic))
            arrays.append(item.value)
            where.append(at)
            if type(item) is Advanced and item.new_axis:
                basic.append(NEW_AXIS)
                continue
            basic.append(Slice(0, shape[dim], 1))
            dim += 1
        else:
            basic.append(item)
            dim += type(item) is not NewAxis
    if not dims:
        return basic, None
    together = where[-1] - where[0] == len(where) - 1
    return basic, GatherPlan(dims, arrays, dims[0] if together else 0)


def stacked_indices(shape: tuple[int, ...], plan: GatherPlan, mode: Any, wrap: bool = False) -> Any:
    """The index arrays, counted from the start of each dimension, as one array of vectors."""
    dt = dtypes.position_dtype(*[shape[d] for d in plan.dims])
    for v in plan.arrays:
        if getattr(v, "dtype", None) in (dtypes.int64, dtypes.uint64, dtypes.uint32):
            dt = dtypes.int64 if dtypes.config.enable_x64 else dt
    columns = []
    common = broadcast_shapes(
        "indexing", *[getattr(v, "shape", ()) for v in plan.arrays], of=plan.arrays
    )
    for d, v in zip(plan.dims, plan.arrays, strict=True):
        n = shape[d]
        if type(v) is int:
            v = onp.asarray(min(max(v, -(2**63)), 2**63 - 1))
        v = as_index_array(v, dt)
        if wrap:
            v = _wrapped(v, n)
        elif isinstance(v, onp.ndarray):
            v = onp.where(v < 0, v + n, v)
        else:
            v = normalized(v, n)
        if isinstance(v, onp.ndarray):
            v = v.astype(dt)
        else:
            v = convert_element_type(saturated(v, dt), dt)
        columns.append((v, common))
    if all(isinstance(v, onp.ndarray) for v, _ in columns):
        return onp.stack([onp.broadcast_to(v, common) for v, _ in columns], -1)
    if len(columns) == 1:
        v = columns[0][0]
        return reshape_p.bind(v, new_sizes=(*v.shape, 1))
    parts = [lax.broadcast_in_dim(v, (*common, 1), tuple(range(len(common) - v.ndim, len(common))))
             if v.shape == common or v.ndim == 0
             else reshape_p.bind(broadcast_to(v, common), new_sizes=(*common, 1))
             for v, _ in columns]  # fmt: skip
    return lax.concatenate(parts, len(common))


def saturated(v: Any, dt: Any) -> Any:
    # An unsigned index above the signed range must stay out of bounds, not turn negative.
    if v.dtype == dtypes.uint32 and dt == dtypes.int32:
        return lax.min(v, onp.uint32(2**31 - 1))
    if v.dtype == dtypes.uint64:
        return lax.min(v, onp.uint64(2**63 - 1))
    return v


def _wrapped(v: Any, n: int) -> Any:
    if isinstance(v, onp.ndarray):
        return onp.mod(v, max(n, 1))
    return _remainder(v, max(n, 1))


def normalized(v: Any, n: int) -> Any:
    """An index array with negative entries counted from the end of an axis of size ``n``."""
    if v.dtype in dtypes.UNSIGNED:
        return v
    wanted = dtypes.position_dtype(n)
    if v.dtype.itemsize < wanted.itemsize:
        v = convert_element_type(v, wanted)
    dt = v.dtype
    return lax.select(lax.lt(v, scalar(0, dt)), lax.add(v, scalar(n, dt)), v)


def gather_numbers(
    shape: tuple[int, ...], plan: GatherPlan, index_rank: int
) -> tuple[GatherDimensionNumbers, tuple[int, ...]]:
    """Dimension numbers of the gather from an array of ``shape``, and its window."""
    rest = [d for d in range(len(shape)) if d not in plan.dims]
    before = sum(d < plan.position for d in rest) if plan.position else 0
    rank = len(rest) + index_rank
    offset = tuple([i for i in range(rank) if not before <= i < before + index_rank])
    dims = tuple(plan.dims)
    window = tuple([1 if d in plan.dims else n for d, n in enumerate(shape)])
    return GatherDimensionNumbers(offset, dims, dims), window


def _gather(x: Any, plan: GatherPlan, mode: Any, fill_value: Any, wrap: bool = False) -> Any:
    shape = x.shape
    indices = stacked_indices(shape, plan, mode, wrap)
    numbers, window = gather_numbers(shape, plan, len(indices.shape) - 1)
    if any(shape[d] == 0 for d in plan.dims):
        if indices.size == 0:
            # Nothing is read: an array without elements of the right shape.
            window = tuple(0 if shape[d] == 0 else w for d, w in enumerate(window))
        elif mode is None or mode is GatherScatterMode.CLIP:
            _empty_axis(shape)
        else:
            return _filled(shape, plan, indices, x.dtype, fill_value)
    if mode is None or wrap:
        mode = GatherScatterMode.PROMISE_IN_BOUNDS if wrap else GatherScatterMode.CLIP
    return lax.gather(x, indices, numbers, window, mode=mode, fill_value=fill_value)


def _filled(
    shape: tuple[int, ...], plan: GatherPlan, indices: Any, dtype: Any, fill_value: Any
) -> Any:
    rest = [n for d, n in enumerate(shape) if d not in plan.dims]
    at = sum(d < plan.position for d in range(len(shape)) if d not in plan.dims)
    sizes = (*rest[:at], *indices.shape[:-1], *rest[at:])
    value = default_fill(dtype) if fill_value is None else fill_value
    return lax.full(sizes, math.nan if value != value else value, dtype)


def get_with_mode(x: Any, index: Any, mode: Any, fill_value: Any) -> Any:
    """``x.at[index].get(mode=…, fill_value=…)``."""
    wrap = mode == "wrap"
    parsed = None if mode is None or wrap else GatherScatterMode.from_any(mode)
    if mode is None and fill_value is not None:
        parsed = GatherScatterMode.FILL_OR_DROP
    items = parse(index, x)
    if mode is None and fill_value is None:
        check_bounds(items, x.shape)
    if wrap:
        basic, plan = split_advanced(x.shape, items)
        return get_basic(x, basic) if plan is None else _gather(
            get_basic(x, basic), plan, None, None, True
        )  # fmt: skip
    return _get(x, items, parsed, fill_value)
