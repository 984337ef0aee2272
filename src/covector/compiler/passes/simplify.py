"""Jaxpr to jaxpr: inlining, dead code, common subexpressions, constants, known indices.

One forward pass rewrites equation by equation. Each rule sees operands already rewritten
and the equations that define them, and returns an operand in place of the result, or
nothing. Rules keep results bit for bit.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from covector.core import dtypes
from covector.core.avals import ShapedArray, array_from_numpy, aval_of
from covector.core.jaxpr import Atom, ClosedJaxpr, Jaxpr, JaxprEqn, Literal, Var, sub_jaxprs
from covector.core.structural import (
    add_any_p,
    broadcast_in_dim_p,
    convert_element_type_p,
    transpose_p,
)
from covector.core.trace import Primitive, dce
from covector.lax.arithmetic import add_p, max_p, min_p, mul_p, sub_p
from covector.lax.compare import and_p, eq_p, ge_p, gt_p, le_p, lt_p, ne_p, not_p, or_p, xor_p
from covector.lax.dot import dot_general_p
from covector.lax.scatter import scatter_add_p
from covector.lax.select import select_n_p
from covector.lax.slicing import dynamic_slice_p, dynamic_update_slice_p, slice_p
from covector.lax.structure import pad_p, reshape_p, squeeze_p
from covector.lax.unary import neg_p, sqrt_p, square_p

# Arrays known at compile time are computed up to this many elements each, and this many
# bytes of copying in all.
FOLD_ELEMENTS = 1 << 16
FOLD_BYTES = 1 << 26
# A padded array is added in place if it is this many times smaller than the sum.
SMALL_PART = 8

_cache: weakref.WeakKeyDictionary[Jaxpr, tuple[list[Any], ClosedJaxpr]] = (
    weakref.WeakKeyDictionary()
)


def simplify(closed: ClosedJaxpr) -> ClosedJaxpr:
    """An equivalent jaxpr with less to do."""
    found = _cache.get(closed.jaxpr)
    if found is not None and all(a is b for a, b in zip(found[0], closed.consts, strict=True)):
        return found[1]
    s = _Simplifier()
    invars = [Var(v.aval) for v in closed.jaxpr.invars]
    consts = [s.const(c) for c in closed.consts]
    with np.errstate(all="ignore"):
        outs = s.run(closed.jaxpr, consts, invars)
    outs = [s.materialise(a) for a in outs]
    jaxpr = dce(Jaxpr([], invars, outs, s.eqns, closed.jaxpr.effects, closed.jaxpr.debug_info))
    used: set[Any] = {a for e in jaxpr.eqns for a in e.invars if isinstance(a, Var)}
    used.update(a for a in jaxpr.outvars if isinstance(a, Var))
    kept = [(v, c) for v, c in s.constants if v in used]
    jaxpr.constvars[:] = [v for v, _ in kept]
    out = ClosedJaxpr(jaxpr, [c for _, c in kept])
    _cache[closed.jaxpr] = (closed.consts, out)
    return out


class _Simplifier:
    def __init__(self) -> None:
        self.eqns: list[JaxprEqn] = []
        self.defs: dict[Var, JaxprEqn] = {}
        self.seen: dict[Any, list[Atom]] = {}
        self.constants: list[tuple[Var, Any]] = []
        self._consts: dict[int, Var] = {}
        # Arrays computed here, by the variable that stands for them.
        self.known: dict[Var, np.ndarray] = {}
        self._placed: dict[Var, Var] = {}
        self.copied = 0
        # How often the results of calls and products are read, where it matters.
        self.uses: dict[Var, int] = {}

    # --- values ---

    def const(self, c: Any) -> Var:
        found = self._consts.get(id(c))
        if found is None:
            found = self._consts[id(c)] = Var(aval_of(c))
            self.constants.append((found, c))
        return found

    def materialise(self, a: Atom) -> Atom:
        """``a``, as a constant of the program if it was computed here."""
        if not isinstance(a, Var) or a not in self.known:
            return a
        found = self._placed.get(a)
        if found is None:
            value = array_from_numpy(self.known[a], a.aval.dtype, a.aval.weak_type)
            found = self._placed[a] = Var(a.aval)
            self.constants.append((found, value))
        return found

    def emit(
        self, like: JaxprEqn, prim: Any, args: Sequence[Atom], params: dict[str, Any],
        avals: Sequence[ShapedArray],
    ) -> list[Atom]:  # fmt: skip
        """Append an equation, or find an equal one."""
        key = None
        if not like.effects and not _nested(prim, params):
            key = (prim, *[_atom_key(a) for a in args], *_params_key(params))
            try:
                found = self.seen.get(key)
            except TypeError:
                key, found = None, None
            if found is not None:
                return found
        outvars = [Var(a) for a in avals]
        args = [self.materialise(a) for a in args]
        eqn = JaxprEqn(args, outvars, prim, params, like.effects, like.source_info)
        self.eqns.append(eqn)
        for v in outvars:
            self.defs[v] = eqn
        if key is not None:
            self.seen[key] = list(outvars)
        return list(outvars)

    # --- the pass ---

    def run(self, jaxpr: Jaxpr, consts: Sequence[Atom], args: Sequence[Atom]) -> list[Atom]:
        env: dict[Any, Atom] = {}
        env.update(zip(jaxpr.constvars, consts, strict=True))
        env.update(zip(jaxpr.invars, args, strict=True))
        uses = _uses(jaxpr)
        for eqn in jaxpr.eqns:
            ins = [a if isinstance(a, Literal) else env[a] for a in eqn.invars]
            prim = eqn.primitive
            if prim.call_param is not None:
                inner = eqn.params[prim.call_param]
                outs = self.run(inner.jaxpr, [self.const(c) for c in inner.consts], ins)
            else:
                outs = self.equation(eqn, ins)
                if prim is dot_general_p and isinstance(outs[0], Var):
                    self.uses[outs[0]] = self.uses.get(outs[0], 0) + uses[eqn.outvars[0]]
            env.update(zip(eqn.outvars, outs, strict=True))
        return [a if isinstance(a, Literal) else env[a] for a in jaxpr.outvars]

    def equation(self, eqn: JaxprEqn, ins: list[Atom]) -> list[Atom]:
        aval = eqn.outvars[0].aval if eqn.outvars else None
        rule = _RULES.get(eqn.primitive)
        if rule is not None and not eqn.effects:
            out = rule(self, eqn, ins, aval)
            if out is not None:
                return [out]
        params = eqn.params
        if _nested(eqn.primitive, params):
            params = {k: _simplify_inner(v) for k, v in params.items()}
        return self.emit(eqn, eqn.primitive, ins, params, [v.aval for v in eqn.outvars])

    def define(self, a: Atom, *prims: Primitive) -> JaxprEqn | None:
        """The equation that defines ``a``, if it applies one of these primitives."""
        eqn = self.defs.get(a) if isinstance(a, Var) else None
        return eqn if eqn is not None and eqn.primitive in prims else None


def _uses(jaxpr: Jaxpr) -> dict[Any, int]:
    """How often each result of a matrix product is read."""
    out = {e.outvars[0]: 0 for e in jaxpr.eqns if e.primitive is dot_general_p}
    if out:
        for eqn in jaxpr.eqns:
            for a in eqn.invars:
                if a in out:
                    out[a] += 1
        for a in jaxpr.outvars:
            if a in out:
                out[a] += 1
    return out


def _nested(prim: Any, params: dict[str, Any]) -> bool:
    """Whether an equation has jaxprs among its parameters; such primitives return lists."""
    return prim.multiple_results and any(True for _ in sub_jaxprs(params))


def _simplify_inner(value: Any) -> Any:
    if isinstance(value, ClosedJaxpr):
        return simplify(value)
    if isinstance(value, (tuple, list)) and any(isinstance(v, ClosedJaxpr) for v in value):
        return type(value)(_simplify_inner(v) for v in value)
    return value


def _atom_key(a: Atom) -> Any:
    if isinstance(a, Literal):
        value = a.val
        # 0.0 and -0.0 are different constants, and so are 1 and True.
        return (str(value), a.aval)
    return a


def _params_key(params: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(params.items())


# --- rules -------------------------------------------------------------------------------

Rule = Callable[[_Simplifier, JaxprEqn, list[Atom], Any], Atom | None]
_RULES: dict[Primitive, Rule] = {}


def _rule(*prims: Primitive) -> Callable[[Rule], Rule]:
    def register(fn: Rule) -> Rule:
        for p in prims:
            _RULES[p] = fn
        return fn

    return register


def _scalar(a: Literal) -> Any:
    """The literal as a NumPy scalar of its dtype."""
    return np.asarray(a.val).astype(a.aval.dtype)[()]


def _literal(value: Any, aval: ShapedArray) -> Literal:
    return Literal(np.asarray(value).astype(aval.dtype)[()], aval)


_FOLD: dict[Primitive, Callable[..., Any]] = {
    add_p: np.add, sub_p: np.subtract, mul_p: np.multiply, neg_p: np.negative,
    max_p: np.maximum, min_p: np.minimum, eq_p: np.equal, ne_p: np.not_equal, lt_p: np.less,
    le_p: np.less_equal, gt_p: np.greater, ge_p: np.greater_equal, and_p: np.bitwise_and,
    or_p: np.bitwise_or, xor_p: np.bitwise_xor, not_p: np.invert, sqrt_p: np.sqrt,
    square_p: np.square,
}  # fmt: skip
_EXACT = dtypes.INTEGERS | {dtypes.bool_, dtypes.float32, dtypes.float64}


def _fold(s: _Simplifier, eqn: JaxprEqn, ins: list[Atom], aval: Any) -> Atom | None:
    """Operations on literals, computed in the type of the operands."""
    if aval.shape or not all(isinstance(a, Literal) for a in ins):
        return None
    if not all(a.aval.dtype in _EXACT for a in ins):
        return None
    prim = eqn.primitive
    args = [_scalar(a) for a in ins]  # type: ignore[arg-type]
    if prim in (max_p, min_p) and args[0].dtype.kind == "f":
        return None
    return _literal(_FOLD[prim](*args), aval)


def _is(a: Atom, value: float) -> bool:
    return isinstance(a, Literal) and not isinstance(a.val, bool) and a.val == value


def _same(a: Atom, aval: ShapedArray) -> bool:
    return a.aval.shape == aval.shape and a.aval.dtype == aval.dtype


@_rule(add_p, sub_p, mul_p, and_p, or_p)
def _arithmetic(s: _Simplifier, eqn: JaxprEqn, ins: list[Atom], aval: Any) -> Atom | None:
    out = _fold(s, eqn, ins, aval)
    if out is not None:
        return out
    x, y = ins
    prim = eqn.primitive
    integer = aval.dtype in dtypes.INTEGERS
    if prim is mul_p:
        if _is(y, 1) and _same(x, aval) and aval.dtype not in dtypes.COMPLEX:
            return x
        if _is(x, 1) and _same(y, aval) and aval.dtype not in dtypes.COMPLEX:
            return y
    elif prim is add_p and integer:
        if _is(y, 0) and _same(x, aval):
            return x
        if _is(x, 0) and _same(y, aval):
            return y
    elif prim is sub_p and integer and _is(y, 0) and _same(x, aval):
        return x
    return None


for _prim in _FOLD:
    _RULES.setdefault(_prim, _fold)


@_rule(select_n_p)
def _select_n(s: _Simplifier, eqn: JaxprEqn, ins: list[Atom], aval: Any) -> Atom | None:
    which = ins[0]
    if isinstance(which, Literal):
        k = min(max(int(which.val), 0), len(ins) - 2)
        if _same(ins[1 + k], aval):
            return ins[1 + k]
    return None


@_rule(convert_element_type_p)
def _convert(s: _Simplifier, eqn: JaxprEqn, ins: list[Atom], aval: Any) -> Atom | None:
    (x,) = ins
    if x.aval.dtype == aval.dtype:
        if isinstance(x, Literal):
            return Literal(x.val, aval)
        return x
    if isinstance(x, Literal) and x.aval.dtype in _EXACT and aval.dtype in _EXACT:
        value = _scalar(x)
        if value.dtype.kind == "f" and aval.dtype.kind != "f":
            return None
        return _literal(value, aval)
    return None


@_rule(reshape_p, squeeze_p)
def _reshape(s: _Simplifier, eqn: JaxprEqn, ins: list[Atom], aval: Any) -> Atom | None:
    (x,) = ins
    if x.aval.shape == aval.shape:
        return x
    if isinstance(x, Var) and x in s.known:
        if not aval.shape:
            return _literal(s.known[x].reshape(()), aval)
        v = Var(aval)
        s.known[v] = s.known[x].reshape(aval.shape)
        return v
    if not x.aval.shape:
        return _fill(s, eqn, x, aval)
    fill = s.define(x, broadcast_in_dim_p)
    if fill is not None and not fill.invars[0].aval.shape:
        value = fill.invars[0]
        if not aval.shape:
            return value
        params = {**fill.params, "shape": aval.shape, "broadcast_dimensions": ()}
        return s.emit(eqn, fill.primitive, [value], params, [aval])[0]
    earlier = s.define(x, reshape_p, squeeze_p)
    if earlier is not None:
        inner = earlier.invars[0]
        if inner.aval.shape == aval.shape:
            return inner
        if eqn.primitive is reshape_p:
            return s.emit(eqn, eqn.primitive, [inner], eqn.params, [aval])[0]
    return None


@_rule(broadcast_in_dim_p)
def _broadcast(s: _Simplifier, eqn: JaxprEqn, ins: list[Atom], aval: Any) -> Atom | None:
    x = ins[0]
    if x.aval.shape == aval.shape and len(ins) == 1:
        return x
    fill = s.define(x, broadcast_in_dim_p)
    if fill is not None and not fill.invars[0].aval.shape and len(ins) == 1:
        params = {**eqn.params, "broadcast_dimensions": ()}
        return s.emit(eqn, eqn.primitive, [fill.invars[0]], params, [aval])[0]
    return None


@_rule(transpose_p)
def _transpose(s: _Simplifier, eqn: JaxprEqn, ins: list[Atom], aval: Any) -> Atom | None:
    (x,) = ins
    perm = eqn.params["permutation"]
    if tuple(perm) == tuple(range(len(perm))):
        return x
    earlier = s.define(x, transpose_p)
    if earlier is not None:
        inner = earlier.params["permutation"]
        both = tuple(inner[p] for p in perm)
        if both == tuple(range(len(both))):
            return earlier.invars[0]
        params = {**eqn.params, "permutation": both}
        return s.emit(eqn, eqn.primitive, [earlier.invars[0]], params, [aval])[0]
    product = s.define(x, dot_general_p)
    if product is not None and tuple(perm) == (1, 0) and s.uses.get(x) == 1:
        # (A B)ᵀ = Bᵀ Aᵀ: the product is computed as it is wanted.
        (ca, cb), (ba, bb) = product.params["dimension_numbers"]
        if not ba and product.invars[0].aval.ndim == product.invars[1].aval.ndim == 2:
            params = {**product.params, "dimension_numbers": ((cb, ca), (bb, ba))}
            operands = [product.invars[1], product.invars[0]]
            return s.emit(eqn, product.primitive, operands, params, [aval])[0]
    return None


# --- known indices -----------------------------------------------------------------------


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


def _region(s: _Simplifier, eqn: JaxprEqn, x: Atom, at: tuple[int, ...], aval: Any) -> Atom | None:
    """``x[at : at + shape]``, looked for through the updates that made ``x``."""
    size = aval.shape
    moved = False
    for _ in range(10_000):
        if isinstance(x, Var) and x in s.known:
            value = s.known[x][tuple(slice(a, a + n) for a, n in zip(at, size, strict=True))]
            if value.size == 1:
                return _fill(s, eqn, _literal(value.reshape(()), aval.update(shape=())), aval)
            v = Var(aval)
            s.known[v] = np.array(value)
            return v
        fill = s.define(x, broadcast_in_dim_p)
        if fill is not None and not fill.invars[0].aval.shape:
            return _fill(s, eqn, fill.invars[0], aval)
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
        if inside:
            x, at, moved = new, tuple(a - w for a, w in zip(at, where, strict=True)), True
            if x.aval.shape == size:
                return x
            continue
        apart = any(
            a + n <= w or w + m <= a for a, n, w, m in zip(at, size, where, window, strict=True)
        )
        if not apart:
            break
        x, moved = base, True
    if not moved:
        return None
    return _slice_of(s, eqn, x, at, aval)


def _fill(s: _Simplifier, eqn: JaxprEqn, value: Atom, aval: Any) -> Atom:
    if not aval.shape:
        return value
    params = {"shape": aval.shape, "broadcast_dimensions": ()}
    return s.emit(eqn, broadcast_in_dim_p, [value], params, [aval])[0]


def _slice_of(s: _Simplifier, eqn: JaxprEqn, x: Atom, at: Sequence[int], aval: Any) -> Atom:
    params = {
        "start_indices": tuple(at),
        "limit_indices": tuple(a + n for a, n in zip(at, aval.shape, strict=True)),
        "strides": None,
    }
    return s.emit(eqn, slice_p, [x], params, [aval])[0]


@_rule(dynamic_slice_p)
def _dynamic_slice(s: _Simplifier, eqn: JaxprEqn, ins: list[Atom], aval: Any) -> Atom | None:
    x, *starts = ins
    at = _known_starts(starts, x.aval.shape, aval.shape)
    if at is None:
        return None
    if x.aval.shape == aval.shape:
        return x
    found = _region(s, eqn, x, at, aval)
    return found if found is not None else _slice_of(s, eqn, x, at, aval)


@_rule(slice_p)
def _slice(s: _Simplifier, eqn: JaxprEqn, ins: list[Atom], aval: Any) -> Atom | None:
    (x,) = ins
    if x.aval.shape == aval.shape and not any(
        k > 1 for k in eqn.params["strides"] or () if aval.size > 1
    ):
        return x
    strides = eqn.params["strides"]
    if strides is not None and any(k != 1 for k in strides):
        return None
    return _region(s, eqn, x, tuple(eqn.params["start_indices"]), aval)


def _value(s: _Simplifier, a: Atom) -> np.ndarray | None:
    """The array that ``a`` is, where it is known and small."""
    if a.aval.size > FOLD_ELEMENTS or dtypes.is_extended(a.aval.dtype):
        return None
    if isinstance(a, Literal):
        return np.asarray(_scalar(a))
    if a in s.known:
        return s.known[a]
    fill = s.define(a, broadcast_in_dim_p)
    if fill is not None and isinstance(fill.invars[0], Literal):
        return np.full(a.aval.shape, _scalar(fill.invars[0]), a.aval.dtype)
    return None


@_rule(dynamic_update_slice_p)
def _dynamic_update_slice(s: _Simplifier, eqn: JaxprEqn, ins: list[Atom], aval: Any) -> Atom | None:
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
    v = Var(aval)
    s.known[v] = value
    return v


# --- sums of cotangents ------------------------------------------------------------------


@_rule(add_any_p)
def _add_any(s: _Simplifier, eqn: JaxprEqn, ins: list[Atom], aval: Any) -> Atom | None:
    """Add to the part of an array that is not zero, rather than all of it.

    What is read at an index gives back a cotangent that is zero everywhere else. (A negative
    zero there stays one, where the sum would make it positive.)
    """
    for x, y in (ins, ins[::-1]):
        made = s.define(y, dynamic_update_slice_p, scatter_add_p, pad_p)
        if made is None or not _zeros(s, made):
            continue
        if made.primitive is scatter_add_p:
            return s.emit(eqn, made.primitive, [x, *made.invars[1:]], made.params, [aval])[0]
        if made.primitive is pad_p:
            part = made.invars[0]
            config = made.params["padding_config"]
            if part.aval.size * SMALL_PART > aval.size or any(
                lo < 0 or hi < 0 or inner for lo, hi, inner in config
            ):
                continue
            index = ShapedArray((), dtypes.int32)
            starts: list[Atom] = [_literal(lo, index) for lo, _, _ in config]
        else:
            part, *starts = made.invars[1:]
        return _add_at(s, eqn, x, part, starts)
    return None


def _zeros(s: _Simplifier, made: JaxprEqn) -> bool:
    """Whether an update starts from zeros, or a padding is of zeros."""
    if made.primitive is pad_p:
        return _is(made.invars[1], 0)
    fill = s.define(made.invars[0], broadcast_in_dim_p)
    return fill is not None and _is(fill.invars[0], 0)


def _add_at(s: _Simplifier, eqn: JaxprEqn, x: Atom, part: Atom, starts: list[Atom]) -> Atom:
    """``x`` with ``part`` added to it from ``starts`` on."""
    params = {"slice_sizes": part.aval.shape}
    old = s.emit(eqn, dynamic_slice_p, [x, *starts], params, [part.aval])[0]
    new = _add_any(s, eqn, [old, part], part.aval)
    if new is None:
        new = s.emit(eqn, eqn.primitive, [old, part], {}, [part.aval])[0]
    return s.emit(eqn, dynamic_update_slice_p, [x, new, *starts], {}, [x.aval])[0]
