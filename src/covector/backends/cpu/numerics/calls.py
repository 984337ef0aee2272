"""Elementary and special functions of f32 and f64, as scalar or vector code.

Scalar code, vector code past the first uses in a module, and all code of long functions calls an
internal function: a program of a hundred sines then compiles as fast as one of two.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from covector.backends.cpu import numerics
from covector.backends.cpu.writer import (
    Function,
    Val,
    bool_const,
    float_const,
    int_const,
)
from covector.numerics.functions import PARTIAL, function
from covector.numerics.num import Num

# So long that they are always called, never written in place.
LONG = frozenset(("zeta", "polygamma", "igamma", "igammac", "igamma_grad_a", "random_gamma_grad",
                  "regularized_incomplete_beta", "gamma", "beta", "betaln", "poch",
                  "riemann_zeta", "wofz_re", "wofz_im", "owens_t", "expn",
                  "hyp1f1", "hyp2f1", *PARTIAL))  # fmt: skip
Orders = tuple[int, ...] | None
# Uses of one function at one vector type that are written in place.
IN_PLACE = 2


def emit(b: Function, name: str, *args: Val, orders: Orders = None) -> Val:
    """The function ``name`` of float or double values, elementwise; a derivative has orders."""
    fn = function(name, orders)
    if fn is None:
        raise NotImplementedError(f"{name} of {args[0].ty} has no CPU lowering")
    args, _ = b.unify(*args)
    w = Kernels(b)
    out: Val = fn(*[Num(w, a) for a in args]).v
    return out


def call(b: Function, name: str, *args: Val, orders: Orders = None) -> Val:
    """The elementary function ``name`` of float or double values; a derivative has orders."""
    args, lanes = b.unify(*args)
    ty = args[0].ty
    key = (name, ty, lanes)
    if lanes and name not in LONG:
        uses = b.module.uses[key] = b.module.uses.get(key, 0) + 1
        if uses <= IN_PLACE:
            return emit(b, name, *args)
    of = "".join([f"_{k}" for k in orders or ()])
    fn = f"cv_{name}{of}_{lanes or ''}{ty}"
    if fn not in b.module.internal:
        b.module.internal.add(fn)
        t = args[0].type
        params = [Val(f"%a{k}", ty, lanes) for k in range(len(args))]
        header = ", ".join(f"{t} {p.ref}" for p in params)
        child = Function(
            b.module, fn, f"define internal fastcc {t} @{fn}({header}) noinline nounwind", None
        )
        out = emit(child, name, *(Val(p.ref, ty, lanes, child, 0) for p in params), orders=orders)
        child.line(f"ret {t} {out.ref}")
        child.finish()
    operands = ", ".join([f"{args[0].type} %s"] * len(args))
    text = f"call fastcc {args[0].type} @{fn}({operands})"
    return b.ins(("call", fn), text, args, ty, lanes)


class Kernels:
    """Writes what functions are made of as instructions of a function of LLVM's."""

    natives: frozenset[str] = frozenset()

    def __init__(self, b: Function) -> None:
        self.b = b
        self.bin, self.un, self.cmp = b.bin, b.un, b.cmp
        self.cast, self.select, self.intrinsic = b.cast, b.select, b.intrinsic

    real = staticmethod(float_const)
    integer = staticmethod(int_const)
    boolean = staticmethod(bool_const)

    def fma(self, a: Val, x: Val, y: Val) -> Val:
        return self.b.intrinsic("fma", a, x, y)

    muladd = fma

    def two_prod(self, x: Val, y: Val) -> tuple[Val, Val]:
        p = self.b.bin("fmul", x, y)
        return p, self.b.intrinsic("fma", x, y, self.b.un("fneg", p))

    def native(self, name: str, *args: Val) -> Val:
        raise NotImplementedError(name)

    def call(self, name: str, *args: Val) -> Val:
        return call(self.b, name, *args)

    def once(self, name: str, x: Val, write: Callable[[], Any]) -> Any:
        key = (name, x.ref, x.lanes)
        for scope in self.b.scopes:
            if key in scope.memo:
                return scope.memo[key]
        out = self.b.scope.memo[key] = write()
        return out

    def far_angles(self, a: Val, limit: float, *near: Val) -> list[Val]:
        out: list[Val] = numerics.angles.far_angles(self.b, a, limit, *near)
        return out

    # --- control ---

    def iterate(
        self, start: Sequence[Val], step: Callable[..., Sequence[Val]], most: int
    ) -> list[Val]:
        b = self.b
        (*start,), lanes = b.unify(*start)
        slots = [b.alloca(x.type) for x in start]
        self._put(start, slots, lanes)

        def round_(k: Val) -> Val:
            state = step(k, *self._get(start, slots))
            self._put(state, slots, lanes)
            return self.b.any_lane(state[-1])

        b.rounds(most, round_)
        return self._get(start, slots)

    def if_any(
        self, wanted: Val, compute: Callable[..., Sequence[Val]], inputs: Sequence[Val],
        otherwise: Sequence[Val],
    ) -> list[Val]:  # fmt: skip
        b = self.b
        # Constants among them fill a vector, too.
        lanes = wanted.lanes
        inputs, otherwise = ([b.splat(x, lanes) for x in xs] for xs in (inputs, otherwise))
        given, slots = ([b.alloca(x.type) for x in xs] for xs in (inputs, otherwise))
        self._put(inputs, given, lanes)
        self._put(otherwise, slots, lanes)
        b.when(
            self.b.any_lane(wanted),
            lambda: self._put(compute(*self._get(inputs, given)), slots, lanes),
        )
        return self._get(otherwise, slots)

    def branches(self, x: Val) -> bool:
        # Branches of numbers one by one take LLVM long, and go this way and that.
        return x.lanes > 0

    def _put(self, values: Sequence[Val], places: Sequence[Val], lanes: int) -> None:
        for x, slot in zip(values, places, strict=True):
            v = self.b.local(self.b.splat(x, lanes))
            self.b.line(f"store {v.type} {v.ref}, ptr {slot.ref}, align 64")

    def _get(self, like: Sequence[Val], places: Sequence[Val]) -> list[Val]:
        return [
            self.b.impure(f"load {x.type}, ptr {slot.ref}, align 64", x.ty, x.lanes)
            for x, slot in zip(like, places, strict=True)
        ]
