"""Loading and storing elements: scalars, vectors, their ragged ends, and gathers."""

from __future__ import annotations

import functools
from collections.abc import Sequence

from covector.backends.cpu.emit import indexing
from covector.backends.cpu.emit.indexing import Idx
from covector.backends.cpu.numerics import ops
from covector.backends.cpu.numerics.number import Cx, Number
from covector.backends.cpu.writer import Function, Module, Val, int_const, vtype
from covector.compiler.schedule.loops import numbers
from covector.core import dtypes
from covector.core.dtypes import DType

_MEMORY: dict[DType, str] = {
    dtypes.bool_: "i8",
    dtypes.float16: "half",
    dtypes.bfloat16: "i16",
    dtypes.key_dtype: "i64",
    **dict.fromkeys(dtypes.SMALL, "i8"),
}
STORED = ("full", "tail", "stored")
# Bytes of a line of the caches, which is written past them as a whole.
LINE = 64
# Elements that lie at most so many apart are picked from vectors.
FEW_APART = 4


def memory_type(dtype: DType) -> str:
    """LLVM type of a stored element (of a part, for complex numbers)."""
    return _MEMORY.get(dtype) or ops.register_type(dtype)


class Tail:
    """How many lanes of the current vector are in range.

    Attributes
    ----------
    left : Val
        Elements from the first lane to the end of the loop (i64).
    full : Val
        Whether all lanes are in range (i1).
    """

    __slots__ = ("left", "full", "lanes")

    def __init__(self, left: Val, full: Val, lanes: int) -> None:
        self.left = left
        self.full = full
        self.lanes = lanes

    @property
    def partial(self) -> bool:
        """Whether it is known that not all lanes are in range."""
        return self.full.fn is None and self.full.ref == "false"

    def mask(self, b: Function) -> Val:
        """One i1 a lane: is it in range?"""
        return indexing.lanes_from(b, "slt", self.left, self.lanes)


class Guard:
    """The lanes whose results are used: a mask, and whether all are, where that is known.

    Attributes
    ----------
    mask : Val
        One i1 a lane.
    full : Val or None
        An i1: a vector like most, of which nothing has to be masked.
    """

    __slots__ = ("mask", "full")

    def __init__(self, mask: Val, full: Val | None) -> None:
        self.mask = mask
        self.full = full

    def both(self, b: Function, other: Guard | None) -> Guard:
        """The lanes in this guard and in the other one."""
        if other is None:
            return self
        full = None
        if self.full is not None and other.full is not None:
            full = b.bin("and", self.full, other.full)
        return Guard(b.bin("and", self.mask, other.mask), full)


def mask_out(b: Function, x: Val, other: Val, tail: Tail) -> Val:
    """``x`` with ``other`` in the lanes out of range; nothing is computed for full vectors."""
    x, other = b.local(b.splat(x, tail.lanes)), b.local(b.splat(other, tail.lanes))
    left = b.local(tail.left)
    n = tail.lanes

    def masked() -> Val:
        one = b.impure(f"insertelement <{n} x i64> poison, i64 {left.ref}, i32 0", "i64", n)
        all_ = b.impure(
            f"shufflevector <{n} x i64> {one.ref}, <{n} x i64> poison, "
            f"<{n} x i32> zeroinitializer",
            "i64", n,
        )  # fmt: skip
        ids = b.lane_ids(n)
        mask = b.impure(f"icmp slt <{n} x i64> {ids.ref}, {all_.ref}", "i1", n)
        text = f"select <{n} x i1> {mask.ref}, {x.type} {x.ref}, {x.type} {other.ref}"
        return b.impure(text, x.ty, n)

    return b.usually(tail.full, [x], lambda: [masked()])[0]


def _from_memory(b: Function, v: Val, dtype: DType) -> Val:
    if dtype == dtypes.bool_:
        return b.cmp("icmp ne", v, int_const(0, "i8"))
    if dtype == dtypes.float16:
        return b.cast("fpext", v, "float")
    if dtype == dtypes.bfloat16 or dtype in dtypes.SMALL:
        return ops.from_bits(b, v, dtype)
    return v


def _to_memory(b: Function, v: Val, dtype: DType) -> Val:
    if dtype == dtypes.bool_:
        return b.cast("zext", v, "i8")
    if dtype == dtypes.float16:
        return b.cast("fptrunc", v, "half")
    if dtype == dtypes.bfloat16 or dtype in dtypes.SMALL:
        return ops.to_bits(b, v, dtype)
    return v


def from_memory(b: Function, raw: Sequence[Val], dtype: DType) -> Number:
    """The number that its parts in memory make."""
    return Cx(*raw) if dtype in dtypes.COMPLEX else _from_memory(b, raw[0], dtype)


def to_memory(b: Function, x: Number, dtype: DType) -> tuple[Val, ...]:
    """The parts of a number in memory."""
    return (x.re, x.im) if isinstance(x, Cx) else (_to_memory(b, x, dtype),)


def gep(b: Function, ptr: Val, ty: str, index: Val) -> Val:
    return b.ins(("gep", ty), f"getelementptr {ty}, ptr %s, i64 %s", (ptr, index), "ptr", 0)


def align_of(ty: str) -> int:
    return {"i8": 1, "i16": 2, "half": 2, "i32": 4, "float": 4}.get(ty, 8)


def load_scalar(b: Function, ptr: Val, dtype: DType, index: Val, tag: object, level: int) -> Number:
    """One element; written as far out as the index and ``level`` allow.

    ``tag`` names the value: the same memory may hold another one later.
    """
    ty = memory_type(dtype)

    def one(i: Val) -> Val:
        p = gep(b, ptr, ty, i)
        text = f"load {ty}, ptr %s, align {align_of(ty)}"
        return b.ins(("load", ty, tag), text, (p,), ty, 0, level)

    if dtype in dtypes.COMPLEX:
        twice = b.bin("mul", index, int_const(2))
        return Cx(one(twice), one(b.bin("add", twice, int_const(1))))
    return _from_memory(b, one(index), dtype)


def load_vector(
    b: Function, ptr: Val, dtype: DType, index: Val, lanes: int, tail: Tail | None,
    guard: Guard | None = None,
) -> Number:  # fmt: skip
    """``lanes`` consecutive elements; those out of range or not in ``guard`` read as zero."""
    ty = memory_type(dtype)
    parts = numbers(dtype)
    if parts == 2:
        index = b.bin("mul", index, int_const(2))
    p = gep(b, ptr, ty, index)
    if guard is not None:
        used = _in_range(b, guard, tail)
        raw = _masked(b, p, ty, used, [k // parts for k in range(parts * lanes)])
    else:
        raw = _vector(b, p, ty, lanes * parts, parts, tail)
    if parts == 1:
        return _from_memory(b, raw, dtype)
    return Cx(*(_pick(b, raw, [2 * k + part for k in range(lanes)]) for part in (0, 1)))


def load_reversed(
    b: Function, ptr: Val, dtype: DType, index: Val, lanes: int, tail: Tail | None,
    guard: Guard | None = None,
) -> Number:  # fmt: skip
    """The elements from ``index`` backwards."""
    ty = memory_type(dtype)
    parts = numbers(dtype)
    first = b.bin("sub", index, int_const(lanes - 1))
    p = gep(b, ptr, ty, first if parts == 1 else b.bin("mul", first, int_const(2)))
    used = _used(b, guard, tail)
    if used is None:
        raw = _vector(b, p, ty, lanes * parts, parts, None)
    else:
        raw = _masked(b, p, ty, used, [lanes - 1 - k // parts for k in range(parts * lanes)])
    back = range(lanes - 1, -1, -1)
    if parts == 1:
        return _from_memory(b, _pick(b, raw, back), dtype)
    return Cx(*(_pick(b, raw, [2 * k + part for k in back]) for part in (0, 1)))


def load_apart(
    b: Function, ptr: Val, dtype: DType, index: Val, stride: int, lanes: int, tail: Tail | None
) -> Number:
    """A real element every ``stride`` from ``index``: picked from vectors of what lies between."""
    ty = memory_type(dtype)
    p = b.local(gep(b, ptr, ty, index))
    between = functools.partial(_between, b, p, ty, stride, lanes)
    if tail is None:
        return _from_memory(b, between(), dtype)
    left = b.local(tail.left)
    some = (
        f"call fastcc <{lanes} x {ty}> @{strided_load(b.module, ty, lanes)}(ptr {p.ref}, "
        f"i64 {stride}, i64 {left.ref})"
    )
    found = b.either(tail.full, between, lambda: b.impure(some, ty, lanes),
                     ("full", "tail", "loaded"))  # fmt: skip
    assert found is not None
    return _from_memory(b, found, dtype)


def _between(b: Function, p: Val, ty: str, stride: int, lanes: int) -> Val:
    """An element every ``stride`` from ``p``; nothing before the first or behind the last is read.

    The last of the vectors ends with the last element.
    """
    t = f"<{lanes} x {ty}>"
    out: Val | None = None
    for k in range(stride):
        start = k * lanes if k < stride - 1 else k * (lanes - 1)
        at = b.impure(f"getelementptr {ty}, ptr {p.ref}, i64 {start}", "ptr")
        x = b.impure(f"load {t}, ptr {at.ref}, align {align_of(ty)}", ty, lanes)
        here = [stride * lane // lanes == k for lane in range(lanes)]
        ids = ", ".join(
            f"i32 {lanes + stride * lane - start if here[lane] else lane}" for lane in range(lanes)
        )
        before = "poison" if out is None else out.ref
        out = b.impure(
            f"shufflevector {t} {before}, {t} {x.ref}, <{lanes} x i32> <{ids}>", ty, lanes
        )
    assert out is not None
    return out


def _used(b: Function, guard: Guard | None, tail: Tail | None) -> Guard | None:
    """The lanes that are read; None for all."""
    if guard is None:
        return None if tail is None else Guard(tail.mask(b), tail.full)
    return _in_range(b, guard, tail)


def _in_range(b: Function, guard: Guard, tail: Tail | None) -> Guard:
    """The lanes of a guard that are in range."""
    return guard if tail is None else Guard(tail.mask(b), tail.full).both(b, guard)


def _masked(b: Function, p: Val, ty: str, used: Guard, order: Sequence[int]) -> Val:
    """A vector of which element ``k`` is read if lane ``order[k]`` is used, else zero."""
    mask = used.mask
    if list(order) != list(range(mask.lanes)):
        mask = _pick(b, mask, order)
    t, lanes = f"<{len(order)} x {ty}>", len(order)
    name = _masked_intrinsic(b.module, "load", ty, lanes)
    p, mask = b.local(p), b.local(mask)
    some = (
        f"call {t} @{name}(ptr {p.ref}, i32 {align_of(ty)}, {mask.type} {mask.ref}, "
        f"{t} zeroinitializer)"
    )
    if used.full is None:
        return b.impure(some, ty, lanes)
    return _either(b, used.full, f"load {t}, ptr {p.ref}, align {align_of(ty)}", some, ty, lanes)


def _either(b: Function, likely: Val, fast: str, slow: str, ty: str, lanes: int) -> Val:
    """The result of one of two instructions."""
    found = b.either(
        likely, lambda: b.impure(fast, ty, lanes), lambda: b.impure(slow, ty, lanes),
        ("full", "tail", "loaded"),
    )  # fmt: skip
    assert found is not None
    return found


def _pick(b: Function, raw: Val, order: Sequence[int]) -> Val:
    """The elements of a vector in another order."""
    ids = ", ".join(f"i32 {k}" for k in order)
    return b.ins(
        ("pick", ids),
        f"shufflevector {raw.type} %s, {raw.type} poison, <{len(order)} x i32> <{ids}>",
        (raw,), raw.ty, len(order),
    )  # fmt: skip


def _vector(b: Function, p: Val, ty: str, lanes: int, parts: int, tail: Tail | None) -> Val:
    t = f"<{lanes} x {ty}>"
    p = b.local(p)
    if tail is None:
        return b.impure(f"load {t}, ptr {p.ref}, align {align_of(ty)}", ty, lanes)
    if tail.partial and parts == 1 and _has_masks(ty):
        return _masked(b, p, ty, Guard(tail.mask(b), tail.full), range(lanes))
    left = b.local(tail.left)
    if parts == 2:
        left = b.bin("mul", left, int_const(2))
    partly = f"call fastcc {t} @{tail_load(b.module, ty, lanes)}(ptr {p.ref}, i64 {left.ref})"
    whole = f"load {t}, ptr {p.ref}, align {align_of(ty)}"
    return _either(b, tail.full, whole, partly, ty, lanes)


def _partial(module: Module, name: str, result: str, params: str, body: list[str]) -> str:
    """Define an internal function for the first ``%n`` elements of a vector."""
    if name not in module.declarations:
        module.declare("llvm.memcpy.p0.p0.i64", "void", "ptr, ptr, i64, i1")
        head = f"define internal fastcc {result} @{name}({params}) noinline {{"
        module.declarations[name] = "\n".join([head, *body, "}"])
    return name


def _has_masks(ty: str) -> bool:
    """Whether every processor with vectors can leave out elements of this type."""
    return align_of(ty) >= 4


def _first_lanes(lanes: int) -> list[str]:
    """``%m``: a mask of the first ``%n`` lanes."""
    t = f"<{lanes} x i32>"
    ids = ", ".join(f"i32 {k}" for k in range(lanes))
    return [
        "  %c = trunc i64 %n to i32",
        f"  %o = insertelement {t} poison, i32 %c, i32 0",
        f"  %s = shufflevector {t} %o, {t} poison, {t} zeroinitializer",
        f"  %m = icmp sgt {t} %s, <{ids}>",
    ]


def _bytes(module: Module, lanes: int, size: int) -> list[str]:
    """``%bytes``: those of the first ``%n`` lanes, which are no less than none and no more than
    all."""
    for name in ("smin", "smax"):
        module.declare(f"llvm.{name}.i64", "i64", "i64, i64")
    return [
        "  %some = call i64 @llvm.smax.i64(i64 %n, i64 0)",
        f"  %few = call i64 @llvm.smin.i64(i64 %some, i64 {lanes})",
        f"  %bytes = mul i64 %few, {size}",
    ]


def _masked_intrinsic(module: Module, what: str, ty: str, lanes: int) -> str:
    t = f"<{lanes} x {ty}>"
    short = {"float": "f32", "double": "f64", "half": "f16"}.get(ty, ty)
    name = f"llvm.masked.{what}.v{lanes}{short}.p0"
    if what == "load":
        module.declare(name, t, f"ptr, i32, <{lanes} x i1>, {t}")
    else:
        module.declare(name, "void", f"{t}, ptr, i32, <{lanes} x i1>")
    return name


def tail_load(module: Module, ty: str, lanes: int) -> str:
    """A function that loads the first elements of a vector and leaves the others zero."""
    t, size = f"<{lanes} x {ty}>", align_of(ty)
    if _has_masks(ty):
        load = _masked_intrinsic(module, "load", ty, lanes)
        body = [
            *_first_lanes(lanes),
            f"  %v = call {t} @{load}(ptr %p, i32 {size}, <{lanes} x i1> %m, {t} zeroinitializer)",
        ]
    else:
        body = [
            f"  %a = alloca {t}, align 64",
            f"  store {t} zeroinitializer, ptr %a, align 64",
            *_bytes(module, lanes, size),
            "  call void @llvm.memcpy.p0.p0.i64(ptr %a, ptr %p, i64 %bytes, i1 false)",
            f"  %v = load {t}, ptr %a, align 64",
        ]
    body.append(f"  ret {t} %v")
    return _partial(module, f"tail_load_{lanes}{ty}", t, "ptr %p, i64 %n", body)


def tail_store(module: Module, ty: str, lanes: int) -> str:
    """A function that stores the first elements of a vector."""
    t, size = f"<{lanes} x {ty}>", align_of(ty)
    if _has_masks(ty):
        store = _masked_intrinsic(module, "store", ty, lanes)
        body = [
            *_first_lanes(lanes),
            f"  call void @{store}({t} %v, ptr %p, i32 {size}, <{lanes} x i1> %m)",
        ]
    else:
        body = [
            f"  %a = alloca {t}, align 64",
            f"  store {t} %v, ptr %a, align 64",
            *_bytes(module, lanes, size),
            "  call void @llvm.memcpy.p0.p0.i64(ptr %p, ptr %a, i64 %bytes, i1 false)",
        ]
    body.append("  ret void")
    return _partial(module, f"tail_store_{lanes}{ty}", "void", f"{t} %v, ptr %p, i64 %n", body)


def gather(
    b: Function, ptr: Val, dtype: DType, index: Idx, lanes: int, tail: Tail | None,
    guard: Guard | None = None,
) -> Number:  # fmt: skip
    """An element per lane from anywhere; lanes out of range repeat the first."""
    vec = index.vec
    if vec is None or dtype in dtypes.COMPLEX:
        vec = indexing.to_vector(b, index, lanes)
    mask = None
    if guard is not None:
        mask = _in_range(b, guard, tail).mask
    elif tail is not None:
        vec = _in_tail(b, vec, tail)
    ty = memory_type(dtype)
    if dtype in dtypes.COMPLEX:
        twice = b.bin("mul", vec, int_const(2))
        if mask is None:
            return Cx(*gather_pairs(b, ptr, ty, Idx(0, 0, twice), lanes, None, False))
        return Cx(_gather(b, ptr, ty, twice, mask),
                  _gather(b, ptr, ty, b.bin("add", twice, int_const(1)), mask))  # fmt: skip
    return _from_memory(b, _gather(b, ptr, ty, vec, mask), dtype)


def _gather(b: Function, ptr: Val, ty: str, vec: Val, mask: Val | None) -> Val:
    ptr, vec = b.local(ptr), b.local(vec)
    wide = int(vec.ty[1:]) <= b.module.vectors.gathers and align_of(ty) >= 4
    if mask is None and not wide:
        return _lane_by_lane(b, ptr, ty, vec)
    return _gather_call(b, ptr, ty, ty, vec, mask)


def _gather_call(b: Function, ptr: Val, ty: str, wide: str, vec: Val, mask: Val | None) -> Val:
    """Numbers of type ``wide`` from places that are counted in those of type ``ty``."""
    lanes = vec.lanes
    ptrs = b.ins(("vgep", ty), f"getelementptr {ty}, ptr %s, {vec.type} %s", (ptr, vec),
                 "ptr", lanes)  # fmt: skip
    short = {"float": "f32", "double": "f64", "half": "f16"}.get(wide, wide)
    name = f"llvm.masked.gather.v{lanes}{short}.v{lanes}p0"
    t = f"<{lanes} x {wide}>"
    b.module.declare(name, t, f"<{lanes} x ptr>, i32, <{lanes} x i1>, {t}")
    ones = f"<{', '.join(['i1 true'] * lanes)}>"
    return b.impure(
        f"call {t} @{name}({ptrs.type} {ptrs.ref}, i32 {align_of(ty)}, "
        f"<{lanes} x i1> {b.local(mask).ref if mask else ones}, {t} zeroinitializer)",
        wide, lanes,
    )  # fmt: skip


def gather_pairs(
    b: Function, ptr: Val, ty: str, index: Idx, lanes: int, tail: Tail | None, others: bool
) -> tuple[Val, Val]:
    """A number per lane from anywhere, and the one behind it, as one of twice the width.

    Where ``others`` are read from the same indices, these leave their vector once for all.
    """
    vec = _in_tail(b, index.vec or indexing.to_vector(b, index, lanes), tail)
    ptr, size = b.local(ptr), align_of(ty)
    if size < 4:
        return _halves(b, _gathered(b, ptr, ty, f"i{16 * size}", vec, others), ty)
    pairs: list[Val] = []
    if size == 4:
        # Four at a time: longer vectors of addresses take longer than two of these.
        for k in range(0, lanes, 4):
            few = _pick(b, vec, range(k, min(k + 4, lanes)))
            pairs.append(_gathered(b, ptr, ty, "double", few, others))
    else:
        for offset in map(b.local, _offsets(b, vec)):
            pairs.append(_loaded(b, ptr, ty, offset, ty, 2))
    while len(pairs) > 1:
        pairs = [_beside(b, *pairs[k : k + 2]) for k in range(0, len(pairs), 2)]
    numbers_ = b.ins(
        ("numbers", ty), f"bitcast {pairs[0].type} %s to <{2 * lanes} x {ty}>", (pairs[0],),
        ty, 2 * lanes,
    )  # fmt: skip
    low, high = (_pick(b, numbers_, range(k, 2 * lanes, 2)) for k in (0, 1))
    return low, high


def _in_tail(b: Function, vec: Val, tail: Tail | None) -> Val:
    """Indices of which lanes out of range repeat the first."""
    if tail is None:
        return vec
    vec = b.local(vec)
    memo, key = b.scope.memo, ("in tail", vec.ref, tail.left.ref)
    found: Val | None = memo.get(key)
    if found is None:
        found = memo[key] = mask_out(b, vec, _lane(b, vec, 0), tail)
    return found


def _gathered(b: Function, ptr: Val, ty: str, wide: str, vec: Val, others: bool) -> Val:
    """Numbers of type ``wide`` from places that are counted in those of type ``ty``."""
    ptr, vec = b.local(ptr), b.local(vec)
    lanes = vec.lanes
    # Where an instruction for it takes about as long as loads do, what they share decides.
    least = 64 if others else int(vec.ty[1:])
    if b.module.vectors.gathers < least or wide == "i16":
        out = Val("zeroinitializer", wide, lanes)
        for k, offset in enumerate(map(b.local, _offsets(b, vec))):
            x = _loaded(b, ptr, ty, offset, wide)
            out = b.impure(
                f"insertelement {out.type} {out.ref}, {wide} {x.ref}, i32 {k}", wide, lanes
            )
        return out
    return _gather_call(b, ptr, ty, wide, vec, None)


def _loaded(b: Function, ptr: Val, ty: str, offset: Val, wide: str, lanes: int = 0) -> Val:
    at = b.impure(f"getelementptr {ty}, ptr {ptr.ref}, {offset.type} {offset.ref}", "ptr")
    text = f"load {vtype(wide, lanes)}, ptr {at.ref}, align {align_of(ty)}"
    return b.impure(text, wide, lanes)


def _halves(b: Function, x: Val, ty: str) -> tuple[Val, Val]:
    """The first and the second of two numbers that are one of twice the width."""
    half = f"i{int(x.ty[1:]) // 2}"
    behind = b.bin("lshr", x, int_const(int(half[1:]), x.ty))
    low, high = (b.cast("bitcast", b.cast("trunc", part, half), ty) for part in (x, behind))
    return low, high


def _beside(b: Function, x: Val, y: Val) -> Val:
    """Two vectors as one."""
    ids = ", ".join(f"i32 {k}" for k in range(2 * x.lanes))
    return b.ins(
        "beside", f"shufflevector {x.type} %s, {x.type} %s, <{2 * x.lanes} x i32> <{ids}>",
        (x, y), x.ty, 2 * x.lanes,
    )  # fmt: skip


def _lane_by_lane(b: Function, ptr: Val, ty: str, vec: Val) -> Val:
    """The same by loads of numbers."""
    lanes = vec.lanes
    out = Val("zeroinitializer", ty, lanes)
    for k, offset in enumerate(map(b.local, _offsets(b, vec))):
        x = _loaded(b, ptr, ty, offset, ty)
        out = b.impure(f"insertelement {out.type} {out.ref}, {ty} {x.ref}, i32 {k}", ty, lanes)
    return out


def _offsets(b: Function, vec: Val) -> list[Val]:
    """The lanes of indices; narrow ones leave their vector two at a time."""
    lanes = vec.lanes
    if vec.ty != "i32" or lanes % 2:
        return [_lane(b, vec, k) for k in range(lanes)]
    offsets: list[Val] = []
    half = f"<{lanes // 2} x i64>"
    pairs = b.ins("pairs", f"bitcast {vec.type} %s to {half}", (vec,), "i64", lanes // 2)
    for k in range(lanes // 2):
        two = _lane(b, pairs, k)
        low = b.cast("sext", b.cast("trunc", two, "i32"), "i64")
        offsets += [low, b.bin("ashr", two, int_const(32))]
    return offsets


def _lane(b: Function, vec: Val, k: int) -> Val:
    return b.ins(f"lane{k}", f"extractelement {vec.type} %s, i32 {k}", (vec,), vec.ty, 0)


def scatter(
    b: Function, ptr: Val, dtype: DType, index: Val, stride: Val, x: Number, lanes: int,
    tail: Tail | None,
) -> None:  # fmt: skip
    """Store a lane every ``stride`` elements from ``index``, in range only."""
    ty = memory_type(dtype)
    parts = [b.splat(p, lanes) for p in to_memory(b, x, dtype)]
    n = len(parts)
    left = b.local(tail.left) if tail is not None else int_const(lanes)
    step = b.local(b.bin("mul", stride, int_const(n)))
    at = b.bin("mul", index, int_const(n))
    helper = strided_store(b.module, ty, lanes)
    for k, v in enumerate(parts):
        p, v = b.local(gep(b, ptr, ty, b.bin("add", at, int_const(k)))), b.local(v)
        all_ = functools.partial(_store_lanes, b, ty, v, p, step)
        some = (
            f"call fastcc void @{helper}({v.type} {v.ref}, ptr {p.ref}, i64 {step.ref}, "
            f"i64 {left.ref})"
        )
        if tail is None:
            all_()
        else:
            b.either(tail.full, all_, functools.partial(b.line, some), STORED)


def _store_lanes(b: Function, ty: str, v: Val, p: Val, step: Val) -> None:
    for k in range(v.lanes):
        e = b.impure(f"extractelement {v.type} {v.ref}, i32 {k}", ty)
        i = b.impure(f"mul i64 {step.ref}, {k}", "i64")
        q = b.impure(f"getelementptr {ty}, ptr {p.ref}, i64 {i.ref}", "ptr")
        b.line(f"store {ty} {e.ref}, ptr {q.ref}, align {align_of(ty)}")


def _strided(
    module: Module, name: str, ty: str, result: str, params: str, before: list[str],
    each: list[str], after: list[str],
) -> str:  # fmt: skip
    """Define a function that goes through lanes in memory (``%q``) and elements at a stride
    (``%r``), in step."""
    body = [
        "entry:", *before, "  br label %head",
        "head:", "  %i = phi i64 [ 0, %entry ], [ %j, %body ]", "  %c = icmp slt i64 %i, %n",
        "  br i1 %c, label %body, label %done",
        "body:", f"  %q = getelementptr {ty}, ptr %a, i64 %i", "  %o = mul i64 %i, %s",
        f"  %r = getelementptr {ty}, ptr %p, i64 %o", *each, "  %j = add i64 %i, 1",
        "  br label %head", "done:", *after,
    ]  # fmt: skip
    return _partial(module, name, result, params, body)


def strided_store(module: Module, ty: str, lanes: int) -> str:
    """A function that stores the first lanes of a vector at a stride."""
    t, size = f"<{lanes} x {ty}>", align_of(ty)
    return _strided(
        module, f"strided_store_{lanes}{ty}", ty, "void", f"{t} %v, ptr %p, i64 %s, i64 %n",
        [f"  %a = alloca {t}, align 64", f"  store {t} %v, ptr %a, align 64"],
        [f"  %e = load {ty}, ptr %q", f"  store {ty} %e, ptr %r, align {size}"],
        ["  ret void"],
    )  # fmt: skip


def strided_load(module: Module, ty: str, lanes: int) -> str:
    """A function that loads the first lanes of a vector at a stride and leaves the others zero."""
    t, size = f"<{lanes} x {ty}>", align_of(ty)
    return _strided(
        module, f"strided_load_{lanes}{ty}", ty, t, "ptr %p, i64 %s, i64 %n",
        [f"  %a = alloca {t}, align 64", f"  store {t} zeroinitializer, ptr %a, align 64"],
        [f"  %e = load {ty}, ptr %r, align {size}", f"  store {ty} %e, ptr %q"],
        [f"  %v = load {t}, ptr %a, align 64", f"  ret {t} %v"],
    )  # fmt: skip


def store_scalar(b: Function, ptr: Val, dtype: DType, index: Val, x: Number) -> None:
    ty = memory_type(dtype)

    def one(i: Val, v: Val) -> None:
        p, v = gep(b, ptr, ty, i), b.local(v)
        b.line(f"store {ty} {v.ref}, ptr {b.local(p).ref}, align {align_of(ty)}")

    if isinstance(x, Cx):
        twice = b.bin("mul", index, int_const(2))
        one(twice, x.re)
        one(b.bin("add", twice, int_const(1)), x.im)
    else:
        one(index, _to_memory(b, x, dtype))


def store_vector(
    b: Function, ptr: Val, dtype: DType, index: Val, x: Number, lanes: int, tail: Tail | None,
    streamed: Val | None = None,
) -> None:  # fmt: skip
    """Consecutive elements, in range only; past the caches where the bits ``streamed`` of their
    address are zero."""
    ty = memory_type(dtype)
    parts = 1
    if isinstance(x, Cx):
        parts = 2
        re, im = b.splat(x.re, lanes), b.splat(x.im, lanes)
        ids = ", ".join(f"i32 {k // 2 + (k % 2) * lanes}" for k in range(2 * lanes))
        v = b.ins("zip", f"shufflevector {re.type} %s, {re.type} %s, <{2 * lanes} x i32> <{ids}>",
                  (re, im), re.ty, 2 * lanes)  # fmt: skip
        index = b.bin("mul", index, int_const(2))
    else:
        v = b.splat(_to_memory(b, x, dtype), lanes)
    p = b.local(gep(b, ptr, ty, index))
    v = b.local(v)
    if v.lanes * align_of(ty) % LINE:
        streamed = None
    whole = functools.partial(_store_whole, b, v, p, align_of(ty), streamed)
    if tail is None:
        whole()
        return
    if tail.partial and parts == 1 and _has_masks(ty):
        store, mask = _masked_intrinsic(b.module, "store", ty, v.lanes), b.local(tail.mask(b))
        b.line(
            f"call void @{store}({v.type} {v.ref}, ptr {p.ref}, i32 {align_of(ty)}, "
            f"{mask.type} {mask.ref})"
        )
        return
    left = b.local(tail.left)
    if parts == 2:
        left = b.bin("mul", left, int_const(2))
    helper = tail_store(b.module, ty, v.lanes)
    partly = f"call fastcc void @{helper}({v.type} {v.ref}, ptr {p.ref}, i64 {left.ref})"
    b.either(tail.full, whole, lambda: b.line(partly), STORED)


def _store_whole(b: Function, v: Val, p: Val, align: int, streamed: Val | None) -> None:
    plain = f"store {v.type} {v.ref}, ptr {p.ref}, align {align}"
    if streamed is None:
        b.line(plain)
        return
    bits = b.impure(f"ptrtoint ptr {p.ref} to i64", "i64")
    bits = b.impure(f"and i64 {bits.ref}, {b.local(streamed).ref}", "i64")
    near = b.impure(f"icmp ne i64 {bits.ref}, 0", "i1")
    past = f"store {v.type} {v.ref}, ptr {p.ref}, align {LINE}, !nontemporal !{{i32 1}}"
    b.either(near, lambda: b.line(plain), lambda: b.line(past), ("near", "past", "written"))
