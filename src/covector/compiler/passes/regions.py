"""Known indices: slices are looked for through updates, known arrays are computed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from covector.compiler.passes.layout import fill_value, filled
from covector.compiler.passes.literals import literal, scalar
from covector.compiler.passes.rewriter import Rewriter, Table
from covector.core import dtypes
from covector.core.avals import ShapedArray
from covector.core.jaxpr import Atom, JaxprEqn, Literal, Var
from covector.core.structural import reshape_p
from covector.primitives.slicing import dynamic_slice_p, dynamic_update_slice_p
from covector.primitives.structure import slice_p, squeeze_p

# Arrays known at compile time are computed up to this many elements each, and this many
# bytes of copying in all.
FOLD_ELEMENTS = 1 << 16
FOLD_BYTES = 1 << 26
# Elements that are not read back from memory: small arrays are in registers.
FEW = 64
# How many updates are looked through for one slice.
STEPS = 10_000

REGIONS = Table("regions")


def _known_starts(starts: Sequence[Atom], shape: Sequence[int], window: Sequence[int]) -> Any:
    """Start indices as integers, clamped; None if one is not a literal."""
    out = []
    for a, n, w in zip(starts, shape, window, strict=True):
        if n == w:
            out.append(0)
        elif isinstance(a, Literal):
            out.append(max(0, min(int(a.val), n - w)))
        else:
            return None
    return tuple(out)


def _region(
    s: Rewriter, eqn: JaxprEqn, x: Atom, at: tuple[int, ...], aval: ShapedArray
) -> Atom | None:
    """``x[at : at + shape]``, looked for through the updates that made ``x``."""
    size = aval.shape
    moved = False
    for _ in range(STEPS):
        if isinstance(x, Var) and x in s.known:
            value = s.known[x][tuple(slice(a, a + n) for a, n in zip(at, size, strict=True))]
            if value.size == 1:
                return filled(s, eqn, literal(value.reshape(()), aval.update(shape=())), aval)
            return s.constant(np.array(value), aval)
        full_of = fill_value(s, x)
        if full_of is not None:
            return filled(s, eqn, full_of, aval)
        update = s.define(x, dynamic_update_slice_p)
        if update is None:
            break
        base, new, *starts = update.invars
        window = new.aval.shape
        where = _known_starts(starts, base.aval.shape, window)
        if where is None:
            break
        inside = all(
            w <= a and a + n <= w + m for a, n, w, m in zip(at, size, where, window, strict=True)
        )
        apart = any(
            a + n <= w or w + m <= a for a, n, w, m in zip(at, size, where, window, strict=True)
        )
        if not (inside or apart) or _kept(s, update, inside, aval):
            break
        moved = True
        if not inside:
            x = base
            continue
        x, at = new, tuple(a - w for a, w in zip(at, where, strict=True))
        if x.aval.shape == size:
            return x
    if not moved:
        return None
    return _slice_of(s, eqn, x, at, aval)


def _kept(s: Rewriter, update: JaxprEqn, inside: bool, read: ShapedArray) -> bool:
    """Whether elements are better read from the array of an update than from where it has them.

    That array is stored anyway. What was written to it would be computed or stored twice, if it is
    computed here; what it left as it was would be kept, while all is copied to another array.
    """
    if read.size <= FEW or update.outvars[0] not in s.stored:
        return False
    base, new, *_ = update.invars
    return s.is_computed(new) if inside else base not in s.known and fill_value(s, base) is None


def _slice_of(s: Rewriter, eqn: JaxprEqn, x: Atom, at: Sequence[int], aval: ShapedArray) -> Atom:
    params = {
        "start_indices": tuple(at),
        "limit_indices": tuple(a + n for a, n in zip(at, aval.shape, strict=True)),
        "strides": None,
    }
    return s.emit(eqn, slice_p, [x], params, aval)


@REGIONS.rule("dynamic_slice at literals = slice", dynamic_slice_p)
def _dynamic_slice(s: Rewriter, eqn: JaxprEqn, ins: list[Atom], aval: ShapedArray) -> Atom | None:
    x, *starts = ins
    at = _known_starts(starts, x.aval.shape, aval.shape)
    if at is None:
        return None
    if x.aval.shape == aval.shape:
        return x
    found = _region(s, eqn, x, at, aval)
    return found if found is not None else _slice_of(s, eqn, x, at, aval)


@REGIONS.rule("slice of an update = slice of what it wrote or left", slice_p)
def _slice(s: Rewriter, eqn: JaxprEqn, ins: list[Atom], aval: ShapedArray) -> Atom | None:
    (x,) = ins
    if x.aval.shape == aval.shape and not any(
        k > 1 for k in eqn.params["strides"] or () if aval.size > 1
    ):
        return x
    strides = eqn.params["strides"]
    if strides is not None and any(k != 1 for k in strides):
        return None
    return _region(s, eqn, x, tuple(eqn.params["start_indices"]), aval)


def _value(s: Rewriter, a: Atom) -> np.ndarray | None:
    """The array that ``a`` is, where it is known and small."""
    if a.aval.size > FOLD_ELEMENTS or dtypes.is_extended(a.aval.dtype):
        return None
    if isinstance(a, Literal):
        return np.asarray(scalar(a))
    if a in s.known:
        return s.known[a]
    full_of = fill_value(s, a)
    if isinstance(full_of, Literal):
        return np.full(a.aval.shape, scalar(full_of), a.aval.dtype)
    return None


@REGIONS.rule("update of a known array by a known one = constant", dynamic_update_slice_p)
def _update(s: Rewriter, eqn: JaxprEqn, ins: list[Atom], aval: ShapedArray) -> Atom | None:
    x, update, *starts = ins
    at = _known_starts(starts, aval.shape, update.aval.shape)
    if at is None or math.prod(update.aval.shape) == 0:
        return None
    if update.aval.shape == aval.shape:
        return update
    new = _value(s, update)
    nbytes = aval.size * aval.dtype.itemsize
    if new is None or s.copied + nbytes > FOLD_BYTES:
        return None
    base = _value(s, x)
    if base is None:
        return None
    s.copied += nbytes
    value = np.array(base)
    value[tuple(slice(a, a + n) for a, n in zip(at, update.aval.shape, strict=True))] = new
    return s.constant(value, aval)


@REGIONS.rule("reshape of a known array = constant", reshape_p, squeeze_p)
def _reshape(s: Rewriter, eqn: JaxprEqn, ins: list[Atom], aval: ShapedArray) -> Atom | None:
    (x,) = ins
    value = s.known.get(x) if isinstance(x, Var) else None
    if value is None:
        return None
    return (
        literal(value.reshape(()), aval)
        if not aval.shape
        else s.constant(value.reshape(aval.shape), aval)
    )
