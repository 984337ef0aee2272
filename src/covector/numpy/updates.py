"""Updates of arrays at an index: what the methods of ``x.at[index]`` compute."""

from __future__ import annotations

from typing import Any

import numpy as onp

from covector import lax
from covector.core import dtypes
from covector.core.avals import Array, ShapedArray, aval_of
from covector.core.dims import is_within
from covector.core.errors import at_user_line, describe, warn
from covector.core.operands import PY_SCALARS, bind_known, scalar
from covector.core.structural import broadcast_in_dim_p, reshape_p
from covector.core.trace import Tracer, eval_trace, set_current_trace
from covector.lax.slicing import start_index
from covector.numpy import indexing
from covector.numpy._index import (
    Advanced,
    Item,
    Moving,
    NewAxis,
    Promised,
    Scalar,
    Slice,
    order_of,
    parse,
)
from covector.numpy._util import broadcast_to, compile_lazily, convert, current_trace, shape_of
from covector.numpy.creation import asarray
from covector.numpy.indexing import (
    check_bounds,
    check_integers,
    gather_numbers,
    get_basic,
    refuse_outside,
    saturated,
    split_advanced,
    stacked_indices,
    within_default_int,
)
from covector.numpy.powers import _power
from covector.numpy.ufuncs import _divide
from covector.primitives.common import spanned
from covector.primitives.indexing import (
    GatherScatterMode,
    ScatterDimensionNumbers,
    scatter_add_p,
    scatter_max_p,
    scatter_min_p,
    scatter_mul_p,
    scatter_p,
)
from covector.primitives.slicing import dynamic_slice_p, dynamic_update_slice_p
from covector.primitives.structure import concatenate_p, pad_p, rev_p, slice_p

_DROP = GatherScatterMode.FILL_OR_DROP
_CLIP = GatherScatterMode.CLIP
_PROMISE = GatherScatterMode.PROMISE_IN_BOUNDS
_KIND_OF_PY = {bool: 0, int: 1, float: 2, complex: 3}


def update(
    x: Any, index: Any, values: Any, op: Any, mode: Any, promised: Promised, donate: bool = False
) -> Any:
    """``x`` updated at ``index``; ``op`` is the name of an operation or a function to apply.

    With ``donate``, the memory of a concrete ``x`` may be taken over.
    """
    t = type(values)
    if t is int and not -(2**31) <= values < 2**31 and x.dtype in dtypes.NUMERIC:
        # It need not fit the default integer type, as a Python number that is passed on would.
        values = scalar(values, x.dtype)
    elif t not in PY_SCALARS and t is not Array and values is not None:
        if not isinstance(values, Tracer):
            values = asarray(values)
    eager = current_trace() is eval_trace and type(x) is Array
    t = type(index)
    if mode is None and (t is int or t is tuple and _all_integers(index)):
        at = (index,) if t is int else index
        shape = x.shape
        if len(at) <= len(shape) and not _undecided(at, shape):
            if len(at) > 1 or not -shape[0] <= at[0] < shape[0]:
                _look_at_bounds(at, shape)
            if not eager:
                return _update_at(x, at, values, op)
            if type(op) is str:
                return _run_at(x, at, values, op, donate)
    elif mode is None and not eager and isinstance(index, Tracer):
        aval = index.aval
        if not aval.shape and aval.dtype in dtypes.INTEGERS and x.shape:
            check_bounds([Scalar(index)], x.shape)
            items = [Scalar(index), *[Slice(0, n, 1) for n in x.shape[1:]]]
            return _update(x, items, values, op, _DROP, False, promised)
    wrap = mode == "wrap"
    parsed = _PROMISE if wrap else GatherScatterMode.from_any(mode)
    mask = _single_mask(index, x)
    if mask is not None and _fits_trailing(values, x.shape[mask.ndim :]):
        if eager and isinstance(op, str):
            return _run(_mask_update, (x, mask, values), donate, op=op)
        return _mask_update(x, mask, values, op=op)
    items = parse(index, x)
    if mode is None:
        check_integers(items, x.shape)
        check_bounds(items, x.shape)
    if eager and isinstance(op, str):
        arrays, spec = _split(items, wrap)
        return _run(
            _update_program, (x, values, arrays), donate, spec=spec, op=op, mode=parsed, wrap=wrap,
            promised=promised,
        )  # fmt: skip
    return _update(x, items, values, op, parsed, wrap, promised)


def _undecided(at: tuple[int, ...], shape: tuple[Any, ...]) -> bool:
    """Whether it depends on symbolic sizes which indices are in bounds."""
    for i, n in zip(at, shape, strict=False):
        if type(n) is not int and is_within(i, n) is None:
            return True
    return False


def _look_at_bounds(at: tuple[int, ...], shape: tuple[int, ...]) -> None:
    for i, n in zip(at, shape, strict=False):
        if not -n <= i < n:
            refuse_outside(i, n, shape)


def _all_integers(index: tuple[Any, ...]) -> bool:
    for i in index:
        if type(i) is not int:
            return False
    return bool(index)


_compiled: dict[Any, Any] = {}


def _run_at(x: Any, at: tuple[int, ...], v: Any, op: str, donate: bool) -> Any:
    """The update of a concrete array at Python integers, which are run-time values."""
    compiled = _compiled.get((op, donate))
    if compiled is None:

        def program(x: Any, v: Any, *at: Any) -> Any:
            rest = [Slice(0, n, 1) for n in x.shape[len(at) :]]
            return _update(x, [*map(Scalar, at), *rest], v, op, _DROP, False, Promised(unique=True))

        program.__name__ = f"at_{op}"
        compiled = _compiled[op, donate] = compile_lazily(program, (), donate)
    for i in at:
        if not -(2**31) <= i < 2**31 and within_default_int(i) != i:
            return x
    return compiled(x, v, *at)


def _run(program: Any, operands: tuple[Any, ...], donate: bool, **static: Any) -> Any:
    compiled = _compiled.get((program, donate))
    if compiled is None:
        compiled = compile_lazily(program, tuple(static), donate)
        _compiled[program, donate] = compiled
    return compiled(*operands, **static)


def _split(items: list[Item], wrap: bool) -> tuple[list[Any], tuple[Any, ...]]:
    """Run-time values (integers, starts of slices, index arrays), and the rest as a key."""
    values, spec = indexing.split_items(items)
    if wrap or "a" in spec or "n" in spec:
        return values, spec
    out: list[Any] = []
    key: list[Any] = []
    at = iter(values)
    for s in spec:
        if s == "s" or type(s) is tuple:
            out.append(next(at))
            key.append(s)
        elif type(s) is Slice and s.step == 1 and s.start:
            out.append(s.start)
            key.append(s.size)
        else:
            key.append(s)
    return out, tuple(key)


def _join(values: Any, spec: tuple[Any, ...]) -> list[Item]:
    if all(type(s) is not int for s in spec):
        return indexing.join_items(values, spec)
    at = iter(values)
    return [
        Scalar(next(at)) if s == "s"
        else Slice(next(at), s, 1) if type(s) is int
        else Moving(next(at), s[1]) if type(s) is tuple
        else s
        for s in spec
    ]  # fmt: skip


def _update_program(
    x: Any, v: Any, values: Any, *, spec: Any, op: str, mode: Any, wrap: bool, promised: Promised
) -> Any:
    return _update(x, _join(values, spec), v, op, mode, wrap, promised)


# --- masks -------------------------------------------------------------------------------


def _single_mask(index: Any, x: Any) -> Any:
    """The boolean array that alone makes up an index, or None."""
    if type(index) is tuple:
        masks = [e for e in index if getattr(e, "dtype", None) == dtypes.bool_]
        if len(masks) != 1 or index[0] is not masks[0]:
            return None
        if any(e is not Ellipsis and e != slice(None) for e in index[1:]):
            return None
        index = masks[0]
    elif getattr(index, "dtype", None) != dtypes.bool_:
        return None
    if not getattr(index, "ndim", 0) or 0 in index.shape:
        return None
    if tuple(index.shape) != tuple(x.shape[: index.ndim]):
        raise IndexError(
            f"the mask {describe(index)} does not fit the array {describe(x)}{at_user_line()}"
        )
    return index


def _fits_trailing(v: Any, rest: tuple[int, ...]) -> bool:
    if v is None:
        return True
    shape = shape_of(v)
    return len(shape) <= len(rest) and all(
        a == b or a == 1 for a, b in zip(reversed(shape), reversed(rest), strict=False)
    )


def _wider(x: Any, v: Any, op: Any) -> Any:
    """The dtype to compute an update in, where the array's own cannot hold the values."""
    if v is None or op == "set":
        return None
    dt = x.dtype
    if dt not in dtypes.code_of or dt is dtypes.key_dtype:
        return None
    if op == "divide" and dt not in dtypes.INEXACT:
        # A quotient, rounded towards zero when it is stored; the divisor need not fit in dt.
        va = aval_of(v)
        return dtypes.to_inexact_dtype(
            dtypes.promote(((dt, x.weak_type), (va.dtype, va.weak_type)))[0]
        )
    kind = _KIND_OF_PY.get(type(v))
    if kind is not None and kind <= dtypes.kind_rank(dt):
        return None
    va = aval_of(v)
    if va.dtype is dt:
        return None
    dt = dtypes.promote(((x.dtype, x.weak_type), (va.dtype, va.weak_type)))[0]
    if dt == x.dtype:
        return None
    _warn_if_lossy(va.dtype, x.dtype, va.weak_type)
    return dt


def _mask_update(x: Any, mask: Any, v: Any, *, op: Any) -> Any:
    wide = _wider(x, v, op)
    if wide is not None:
        return convert(_mask_update(convert(x, wide), mask, v, op=op), x.dtype)
    new = _combine(op, x, None if v is None else _spread(_cast(v, x), x.shape))
    if mask.ndim < x.ndim:
        mask = lax.broadcast_in_dim(mask, x.shape, tuple(range(mask.ndim)))
    return lax.select(mask, new, x)


def _spread(v: Any, shape: tuple[int, ...]) -> Any:
    return v if not shape_of(v) else broadcast_to(v, shape)


def _cast(v: Any, x: Any) -> Any:
    """Values in the dtype of the array they go to."""
    dt = x.dtype
    kind = _KIND_OF_PY.get(type(v))
    if kind is not None:
        known = dt in dtypes.code_of and dt is not dtypes.key_dtype
        if known and kind <= dtypes.kind_rank(dt):
            return scalar(v, dt)
        vdt = None
    else:
        vdt = v.dtype
        if vdt is dt and (v.weak_type or not x.weak_type):
            return v
        if dtypes.is_extended(vdt):
            return v
    if vdt is not None and dt in dtypes.code_of and vdt != dt:
        _warn_if_lossy(vdt, dt, getattr(v, "weak_type", False))
    return convert(v, dt, x.weak_type)


def _warn_if_lossy(source: Any, target: Any, weak: bool) -> None:
    if dtypes.promote(((source, weak), (target, False)))[0] != target:
        warn(
            f"an update of dtype {source} is converted to the array's dtype {target}, which "
            "cannot hold it safely; convert it with astype() to make that explicit",
            FutureWarning,
        )


def _combine(op: Any, old: Any, v: Any) -> Any:
    """New elements from old ones and values."""
    if not isinstance(op, str):
        return convert(op(old), old.dtype)
    if op == "set":
        return v
    boolean = old.dtype == dtypes.bool_
    if op == "add":
        return lax.add(old, v) if not boolean else lax.bitwise_or(old, v)
    if op == "subtract":
        return lax.sub(old, v)
    if op == "multiply":
        return lax.mul(old, v) if not boolean else lax.bitwise_and(old, v)
    if op == "min":
        return lax.min(old, v)
    if op == "max":
        return lax.max(old, v)
    return convert((_divide if op == "divide" else _power)(old, v), old.dtype)


# --- integers, slices and index arrays ---------------------------------------------------


def _update(
    x: Any, items: list[Item], v: Any, op: Any, mode: Any, wrap: bool, promised: Promised
) -> Any:
    if dtypes.is_extended(x.dtype) and type(op) is str and op != "set":
        raise TypeError(
            f"x.at[...].{op}: PRNG keys can be replaced, not computed with; see random.key_data"
            f"{at_user_line()}"
        )
    wide = _wider(x, v, op)
    if wide is not None:
        return convert(_update(convert(x, wide), items, v, op, mode, wrap, promised), x.dtype)
    if v is not None:
        v = _cast(v, x)
    if wrap or any(type(item) is Advanced for item in items):
        basic, plan = split_advanced(x.shape, items)
        if plan is not None:
            part = get_basic(x, basic)
            new = _scatter(part, plan, v, op, mode, wrap, promised)
            if new.shape == x.shape and all(type(i) is Slice and i.step == 1 for i in basic):
                return new
            return update_basic(x, basic, new, "set", _PROMISE)
    if (mode is _DROP or op != "set") and op in _POINT_SCATTERS:
        traced = strided = False
        for item in items:
            if type(item) is Scalar:
                traced = traced or type(item.value) is not int
            elif type(item) is Moving:
                strided = True  # nothing of it is written where it is out of bounds in part
            elif type(item) is Slice:
                strided = strided or item.step != 1
        if traced and not strided:
            return _scatter_at(x, items, v, op, mode)
    return update_basic(x, items, v, op, mode)


def _update_at(x: Any, at: tuple[int, ...], v: Any, op: Any) -> Any:
    """``x`` updated at Python integers; positions out of bounds are dropped."""
    wide = _wider(x, v, op)
    if wide is not None:
        return convert(_update_at(convert(x, wide), at, v, op), x.dtype)
    aval = x.aval
    shape = aval.shape
    starts = []
    for i, n in zip(at, shape, strict=False):
        i = i + n if i < 0 else i
        if not 0 <= i < n:
            items = [*map(Scalar, at), *(Slice(0, m, 1) for m in shape[len(at) :])]
            if op not in _POINT_SCATTERS:
                return _outside(x, items)
            return _scatter_at(x, items, _cast(v, x), op, _DROP)
        starts.append(i)
    k = len(at)
    rest = shape[k:]
    region = (1,) * k + rest
    starts += [0] * len(rest)
    if v is not None:
        v = _region_value(_cast(v, x), rest)
        if op == "set" or shape_of(v):
            params = {"shape": region, "broadcast_dimensions": ()}
            if shape_of(v):
                params["broadcast_dimensions"] = tuple(range(k, len(shape)))
            va = aval_of(v)
            part = ShapedArray(region, va.dtype, va.weak_type)
            v = bind_known(broadcast_in_dim_p, (v,), params, part)
    if op != "set":
        v = _combine(op, _read(x, starts, region, False), v)
    out = aval if not aval.weak_type or v.weak_type else aval.strip_weak_type()
    return bind_known(dynamic_update_slice_p, (x, v, *starts), {}, out)


def _scatter_window(
    shape: tuple[int, ...], items: list[Item], mode: Any
) -> tuple[list[int], list[Any], list[int], list[int], list[int], bool]:
    """Dimensions that have a start, the starts, dimensions of one position, sizes of the others,
    the shape selected, and whether it is of an axis without elements."""
    dims: list[int] = []
    starts: list[Any] = []
    inserted: list[int] = []
    window: list[int] = []
    selected: list[int] = []
    empty = False
    dim = 0
    for item in items:
        if type(item) is NewAxis:
            selected.append(1)
            continue
        n = shape[dim]
        if type(item) is Scalar:
            value = item.value
            if type(value) is int:
                value = value + n if value < 0 else value
                if mode is not _DROP:
                    value = min(max(value, 0), max(n - 1, 0))
                # Left outside it is dropped when the program runs, which `checkify` sees.
                value = min(max(value, -(2**31)), 2**31 - 1)
            elif n:
                value = start_index(value, n)
            empty = empty or not n
            inserted.append(dim)
        else:
            value, count, _ = item  # type: ignore[misc]
            selected.append(count)
            window.append(count)
        if type(value) is not int or value or type(item) is Scalar:
            dims.append(dim)
            starts.append(value)
        dim += 1
    return dims, starts, inserted, window, selected, empty


def _outside(x: Any, items: list[Item]) -> Any:
    """``x``, by a write that is dropped when the program runs: `checkify` sees it."""
    return x if dtypes.is_extended(x.dtype) else _scatter_at(x, items, _cast(0, x), "set", _DROP)


def _scatter_at(x: Any, items: list[Item], v: Any, op: str, mode: Any) -> Any:
    """``x`` updated in one window at traced integers: a scatter of a single index.

    Unlike a `dynamic_update_slice` it drops what is out of bounds without reading the old
    elements, so its transpose does not either.
    """
    aval = x.aval
    dims, starts, inserted, window, selected, empty = _scatter_window(aval.shape, items, mode)
    v = _region_value(v, tuple(selected))
    if empty or 0 in selected:
        return x
    updates = tuple(window)
    if shape_of(v) != updates:
        v = reshape_p.bind(v, new_sizes=updates) if shape_of(v) else (
            lax.broadcast_in_dim(v, updates, ())
        )  # fmt: skip
    if aval.dtype is dtypes.bool_ and op in ("add", "multiply"):
        op = "max" if op == "add" else "min"
    elif op == "subtract":
        v, op = lax.neg(v), "add"
    params = {
        "dimension_numbers": ScatterDimensionNumbers(
            tuple(range(len(updates))), tuple(inserted), tuple(dims)
        ),
        "indices_are_sorted": True,
        "unique_indices": True,
        "mode": mode,
    }
    weak = aval.weak_type and not aval_of(v).weak_type
    out = aval.strip_weak_type() if weak else aval
    return bind_known(_SCATTERS[op], (x, _index_vector(starts), v), params, out)


def _index_vector(starts: list[Any]) -> Any:
    """Rank-0 integers as one vector."""
    if len(starts) == 1:
        return _vector(starts[0])
    dt = dtypes.int32
    for s in starts:
        if (s >= 2**31) if type(s) is int else s.dtype.itemsize == 8:
            dt = dtypes.int64
    parts = [
        _vector(scalar(s, dt) if type(s) is int else convert(saturated(s, dt), dt)) for s in starts
    ]
    return concatenate_p.bind(*parts, dimension=0)


def _vector(s: Any) -> Any:
    aval = aval_of(s)
    params = {"shape": (1,), "broadcast_dimensions": ()}
    return bind_known(broadcast_in_dim_p, (s,), params, ShapedArray((1,), aval.dtype))


def _region_value(v: Any, shape: tuple[int, ...]) -> Any:
    """Values broadcast to the shape of what the index selects."""
    old = shape_of(v)
    if not old or old == shape:
        return v
    if len(old) > len(shape) and all(n == 1 for n in old[: len(old) - len(shape)]):
        v = reshape_p.bind(v, new_sizes=old[len(old) - len(shape) :])
        old = shape_of(v)
    n = len(shape) - len(old)
    if n < 0 or any(a != b and a != 1 for a, b in zip(old, shape[n:], strict=True)):
        raise ValueError(
            f"values of shape {old} do not broadcast to the shape {shape} that the index selects"
            f"{at_user_line()}"
        )
    return broadcast_to(v, shape)


class _Region:
    """The part of an array that integers and slices select, as one window.

    Attributes
    ----------
    starts, sizes, steps, counts : list
        Of the window, and how many of its positions are selected, a dimension each.
    selected : list of int
        The shape of what is selected.
    flipped : list of int
        Dimensions that are walked backwards.
    inside : Tracer, optional
        Whether the positions known at run time only are in bounds, where that counts.
    dynamic : bool
        Whether a start is known at run time only.
    nothing : bool
        Whether an index lies outside, so that nothing is selected.
    """

    def __init__(self, shape: tuple[int, ...], items: list[Item], mode: Any) -> None:
        n = len(shape)
        self.starts: list[Any] = [0] * n
        self.sizes, self.counts = list(shape), list(shape)
        self.steps = [1] * n
        self.selected: list[int] = []
        self.flipped: list[int] = []
        self.inside: Any = None
        self.dynamic = False
        self.nothing = False
        dim = 0
        for item in items:
            if type(item) is NewAxis:
                self.selected.append(1)
                continue
            if type(item) is Scalar:
                self._scalar(dim, item.value, shape[dim], mode)
            elif type(item) is Moving:
                self._moving(dim, item.start, item.size, shape[dim], mode)
            else:
                self._slice(dim, *item)  # type: ignore[misc]
            dim += 1

    def _scalar(self, dim: int, value: Any, size: int, mode: Any) -> None:
        self.sizes[dim] = self.counts[dim] = 1
        if size == 0:
            self.nothing = True
        elif type(value) is int:
            value = value + size if value < 0 else value
            self.nothing = self.nothing or (mode is _DROP and not 0 <= value < size)
            self.starts[dim] = min(max(value, 0), size - 1)
        else:
            self.dynamic = True
            self.starts[dim] = value = start_index(value, size)
            if mode is _DROP:
                ok = _within(value, size)
                self.inside = ok if self.inside is None else lax.bitwise_and(self.inside, ok)

    def _moving(self, dim: int, start: Any, count: int, n: int, mode: Any) -> None:
        """A range that is written where all of it is in bounds, or is moved into them."""
        self.selected.append(count)
        self.sizes[dim] = self.counts[dim] = count
        self.dynamic = True
        self.starts[dim] = start
        if mode is _DROP:
            ok = _within(asarray(start), n - count + 1)
            self.inside = ok if self.inside is None else lax.bitwise_and(self.inside, ok)

    def _slice(self, dim: int, start: Any, count: int, step: int) -> None:
        self.selected.append(count)
        if step < 0:
            self.flipped.append(dim)
            start, step = 0 if count == 0 else start + (count - 1) * step, -step
        self.starts[dim] = 0 if count == 0 else start
        self.dynamic = self.dynamic or type(start) is not int
        # Of a symbolic count, which may be 0 or 1, all steps are taken.
        few = type(count) is int and count <= 1
        self.steps[dim] = 1 if few else step
        self.counts[dim] = count
        self.sizes[dim] = spanned(count, self.steps[dim])


def update_basic(x: Any, items: list[Item], v: Any, op: Any, mode: Any) -> Any:
    """``x`` updated where integers and slices select: one `dynamic_update_slice`."""
    r = _Region(x.shape, items, mode)
    if r.nothing:
        return _outside(x, items)
    if 0 in r.selected:
        if v is not None:
            _region_value(v, tuple(r.selected))
        return x
    counts = tuple(r.counts)
    if v is not None:
        v = _window_value(v, r, counts, op)
    region = tuple(r.sizes)
    whole = region == x.shape and not r.dynamic
    strided = any(k != 1 for k in r.steps)
    old = None
    if op != "set" or r.inside is not None or strided:
        old = x if whole else _read(x, r.starts, region, r.dynamic)
    new = _strided(old, v, op, r.steps, counts) if strided else _combine(op, old, v)
    if r.inside is not None:
        new = lax.select_n_p.bind_params((r.inside, old, new), {})
    if whole:
        return new if isinstance(new, (Array, Tracer)) else convert(new, x.dtype)
    aval = x.aval
    out = aval if not aval.weak_type or aval_of(new).weak_type else aval.strip_weak_type()
    return bind_known(dynamic_update_slice_p, (x, new, *r.starts), {}, out)


def _window_value(v: Any, r: _Region, counts: tuple[int, ...], op: Any) -> Any:
    """What is written, in the order and shape of the window."""
    v = _region_value(v, tuple(r.selected))
    if shape_of(v):
        v = reshape_p.bind(v, new_sizes=counts) if shape_of(v) != counts else v
        return rev_p.bind(v, dimensions=tuple(r.flipped)) if r.flipped else v
    return lax.broadcast_in_dim(v, counts, ()) if op == "set" else v


def _within(i: Any, size: int) -> Any:
    dt = i.dtype
    ok = None
    if size <= dtypes.LIMITS[dt][1]:
        ok = lax.lt_p.bind_params((i, scalar(size, dt)), {})
    if dt in dtypes.UNSIGNED:
        return ok
    not_negative = lax.ge_p.bind_params((i, scalar(0, dt)), {})
    return not_negative if ok is None else lax.and_p.bind_params((ok, not_negative), {})


def _read(x: Any, starts: list[Any], region: tuple[int, ...], dynamic: bool) -> Any:
    if dynamic:
        return dynamic_slice_p.bind_params((x, *starts), {"slice_sizes": region})
    limits = tuple([a + s for a, s in zip(starts, region, strict=True)])
    params = {"start_indices": tuple(starts), "limit_indices": limits, "strides": None}
    aval = x.aval
    return bind_known(slice_p, (x,), params, ShapedArray(region, aval.dtype, aval.weak_type))


def _strided(old: Any, v: Any, op: Any, steps: list[int], counts: tuple[int, ...]) -> Any:
    """Every few elements of ``old`` combined with ``v``: a selection by a regular mask."""
    config = tuple([(0, 0, k - 1) for k in steps])
    yes = lax.full(counts, True, dtypes.bool_)
    mask = pad_p.bind(yes, onp.bool_(False), padding_config=config)
    if v is not None and shape_of(v):
        v = pad_p.bind(v, v.dtype.type(0), padding_config=config)
    return lax.select(mask, _combine(op, old, v), old)


_POINT_SCATTERS = frozenset(("set", "add", "subtract", "multiply", "min", "max"))
_SCATTERS = {
    "set": scatter_p,
    "add": scatter_add_p,
    "multiply": scatter_mul_p,
    "min": scatter_min_p,
    "max": scatter_max_p,
}


def _scatter(x: Any, plan: Any, v: Any, op: Any, mode: Any, wrap: bool, promised: Promised) -> Any:
    if isinstance(op, str) or any(isinstance(v, Tracer) for v in plan.arrays):
        indices = stacked_indices(x.shape, plan, mode, wrap)
    else:
        # Known indices stay known: `scatter_apply` counts how often they repeat.
        with set_current_trace(eval_trace):
            indices = stacked_indices(x.shape, plan, mode, wrap)
    if isinstance(indices, onp.ndarray):
        known = order_of(indices)
        # Moved inside of the array, different ones may become the same.
        unique = known.unique and mode is not _CLIP
        promised = Promised(known.sorted, promised.unique or unique)
    rank = len(indices.shape) - 1
    numbers, window = gather_numbers(x.shape, plan, rank)
    at = iter(indices.shape[:-1])
    rest = iter([s for d, s in enumerate(x.shape) if d not in plan.dims])
    total = rank + len(x.shape) - len(plan.dims)
    selected = tuple([next(rest) if i in numbers.offset_dims else next(at) for i in range(total)])
    if v is not None:
        v = _region_value(v, selected)
        v = lax.broadcast_in_dim(v, selected, ()) if shape_of(v) != selected else v
    if 0 in selected or 0 in x.shape:
        return x
    params = {
        "dimension_numbers": ScatterDimensionNumbers(*numbers),
        "indices_are_sorted": bool(promised.sorted),
        "unique_indices": bool(promised.unique),
        "mode": mode,
    }
    if x.dtype == dtypes.bool_ and op in ("add", "multiply"):
        op = "max" if op == "add" else "min"
    if op == "subtract":
        return scatter_add_p.bind(x, indices, lax.neg(v), **params)
    if op == "divide" or op == "power":
        ones = lax.full_like(x, 1)
        return _combine(op, x, scatter_mul_p.bind(ones, indices, v, **params))
    if not isinstance(op, str):
        return lax.scatter_apply(
            x, indices, lambda old: convert(op(old), x.dtype), update_shape=selected, **params
        )
    return _SCATTERS[op].bind(x, indices, v, **params)
