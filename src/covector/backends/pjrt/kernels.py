"""The functions of `covector.numerics` as StableHLO, on tensors of one shape.

Compilers for accelerators calculate as if numbers were real, here and there: XLA's adds up the
constants of ``(x + c) + d``, makes ``(a / b) / c`` of one division, contracts products and sums.
What is to be rounded is told to be by `exactly`; an error of rounding is found without products
that could be contracted.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from covector.backends.pjrt.text import Builder, Shape, Value
from covector.core import dtypes
from covector.core.dtypes import DType
from covector.numerics.functions import FUNCTIONS, function
from covector.numerics.num import Num

_DTYPES: dict[str, DType] = {
    "float": dtypes.float32, "double": dtypes.float64, "i1": dtypes.bool_,
    "i32": dtypes.int32, "i64": dtypes.int64,
}  # fmt: skip
_NAMES = {dtype: ty for ty, dtype in _DTYPES.items()}
_BINARY = {
    "fadd": "add", "fsub": "subtract", "fmul": "multiply", "fdiv": "divide", "add": "add",
    "sub": "subtract", "mul": "multiply", "and": "and", "or": "or", "xor": "xor",
    "shl": "shift_left", "lshr": "shift_right_logical", "ashr": "shift_right_arithmetic",
}  # fmt: skip
_DIRECTIONS = {
    "oeq": "EQ", "une": "NE", "olt": "LT", "ole": "LE", "ogt": "GT", "oge": "GE",
    "eq": "EQ", "ne": "NE", "slt": "LT", "sle": "LE", "sgt": "GT", "sge": "GE",
}  # fmt: skip
# Functions that the compilers have, where they are no less accurate than ours.
_NATIVES = {
    "exp": "stablehlo.exponential", "log": "stablehlo.log", "pow": "stablehlo.power",
    "sin": "stablehlo.sine", "cos": "stablehlo.cosine", "tan": "stablehlo.tan",
    "atan2": "stablehlo.atan2",
}  # fmt: skip
# The upper half of a double's digits: products of two such halves are exact.
_UPPER = -(1 << 27)


class Val:
    """A tensor, or a number of which one is made where it is used.

    ``made`` says how it came about as far as that invites compilers to calculate further.
    """

    __slots__ = ("ty", "tensor", "number", "made")

    def __init__(
        self, ty: str, tensor: Value | None = None, number: Any = None, made: str = ""
    ) -> None:
        self.ty = ty
        self.tensor = tensor
        self.number = number
        self.made = made


class Kernels:
    """Writes what functions are made of as operations on tensors of one shape."""

    natives = frozenset(_NATIVES)

    def __init__(self, b: Builder, shape: Shape) -> None:
        self.b = b
        self.shape = shape

    # --- values ---

    def real(self, value: float, ty: str) -> Val:
        return Val(ty, number=float(value))

    def integer(self, value: int, ty: str) -> Val:
        return Val(ty, number=value)

    def boolean(self, value: bool) -> Val:
        return Val("i1", number=value)

    def value(self, x: Val) -> Value:
        """The tensor."""
        if x.tensor is None:
            return self.b.constant(x.number, _DTYPES[x.ty], self.shape)
        return x.tensor

    def _new(self, name: str, *args: Val, ty: str = "", made: str = "") -> Val:
        """``stablehlo.name`` of values, written once."""
        values = [self.value(x) for x in args]
        out = self.b.once(
            (name, ty, *[v.ref for v in values]),
            lambda: self.b.op(
                name if "." in name else f"stablehlo.{name}", values, _DTYPES[ty], self.shape
            ) if ty else self.b.same(name, *values),
        )  # fmt: skip
        return Val(ty or args[0].ty, out, made=made)

    def exactly(self, x: Val) -> Val:
        """``x`` as it is when it has been rounded."""
        if x.tensor is None or not x.made:
            return x
        tensor = x.tensor
        return Val(x.ty, self.b.once(("exactly", tensor.ref), lambda: self._rounded(tensor)))

    def _rounded(self, x: Value) -> Value:
        b = self.b
        if x.dtype == dtypes.float64 and b.platform == "tpu":
            # Its doubles are emulated; of them its compiler knows no other operation for this.
            return b.ops("stablehlo.optimization_barrier", [x], [(x.dtype, x.shape)])[0]
        exponent, mantissa = (11, 52) if x.dtype == dtypes.float64 else (8, 23)
        attrs = f"exponent_bits = {exponent} : i32, mantissa_bits = {mantissa} : i32"
        return b.op("stablehlo.reduce_precision", (x,), x.dtype, x.shape, attrs)

    # --- instructions ---

    def bin(self, op: str, a: Val, b: Val) -> Val:
        made = ""
        if op in ("fadd", "fsub"):
            one, other = a.number is not None, b.number is not None
            if one or other:
                made = "sum"
                a, b = (self.exactly(x) if x.made == "sum" else x for x in (a, b))
        elif op == "fdiv":
            made = "quotient"
            a, b = self.exactly(a), self.exactly(b)
        elif op == "fmul":
            a, b = (self.exactly(x) if x.made == "native" else x for x in (a, b))
        elif op == "udiv":
            unsigned = [self.b.bitcast(self.value(x), _unsigned(x.ty)) for x in (a, b)]
            return Val(a.ty, self.b.bitcast(self.b.div(*unsigned), _DTYPES[a.ty]))
        return self._new(_BINARY[op], a, b, made=made)

    def un(self, op: str, a: Val) -> Val:
        assert op == "fneg"
        if a.number is not None:
            return Val(a.ty, number=-a.number)
        return self._new("negate", a)

    def cmp(self, op: str, a: Val, b: Val) -> Val:
        kind = op.split()[1]
        x, y = self.value(a), self.value(b)
        if kind == "uno":
            nan = [self.b.compare("NE", v, v) for v in ((x, y) if x.ref != y.ref else (x,))]
            return Val("i1", nan[0] if len(nan) == 1 else self.b.either(*nan))
        return Val("i1", self.b.compare(_DIRECTIONS[kind], x, y))

    def cast(self, op: str, a: Val, ty: str) -> Val:
        if a.ty == ty:
            return a
        if op == "bitcast":
            if a.number is not None:
                return Val(ty, number=_same_bits(a.number, a.ty, ty))
            # What is read digit by digit is not what the compiler thinks of a real number.
            return Val(ty, self.b.bitcast(self.value(self.exactly(a)), _DTYPES[ty]))
        if a.tensor is not None and a.tensor.shape != self.shape:
            # The number of a round.
            tensor = self.b.convert(a.tensor, _DTYPES[ty])
            return Val(ty, self.b.broadcast(tensor, self.shape))
        return Val(ty, self.b.convert(self.value(a), _DTYPES[ty]))

    def select(self, c: Val, a: Val, b: Val) -> Val:
        if c.number is not None:
            return a if c.number else b
        which, yes, no = self.value(c), self.value(a), self.value(b)
        return Val(a.ty, self.b.select(which, yes, no))

    def intrinsic(self, name: str, *args: Val) -> Val:
        if name == "copysign":
            ty = "i64" if args[0].ty == "double" else "i32"
            sign = -(1 << (63 if ty == "i64" else 31))
            size, to = (self.cast("bitcast", x, ty) for x in args)
            size = self.bin("and", size, self.integer(~sign, ty))
            bits = self.bin("or", size, self.bin("and", to, self.integer(sign, ty)))
            return self.cast("bitcast", bits, args[0].ty)
        return self._new({"fabs": "abs"}.get(name, name), *args)

    # --- products ---

    def muladd(self, a: Val, x: Val, y: Val) -> Val:
        made = "sum" if y.number is not None else ""
        return self._new("add", self.bin("fmul", a, x), y, made=made)

    def fma(self, a: Val, x: Val, y: Val) -> Val:
        if a.ty == "float":
            wide = [self.cast("fpext", v, "double") for v in (a, x, y)]
            return self.cast("fptrunc", self.muladd(*wide), "float")
        p, rest = self.two_prod(a, x)
        s = self._new("add", p, y)
        t = self._new("subtract", s, p)
        left = self._new(
            "add", self._new("subtract", p, self._new("subtract", s, t)),
            self._new("subtract", y, t),
        )  # fmt: skip
        out = self._new("add", s, self._new("add", left, rest))
        # Infinities have no rest.
        finite = self.cmp("fcmp olt", self.intrinsic("fabs", s), self.real(math.inf, s.ty))
        return self.select(finite, out, s)

    def two_prod(self, x: Val, y: Val) -> tuple[Val, Val]:
        """The last digit of the product is taken away: what is left is none that a compiler could
        contract. Its error is the sum of the products of upper and lower halves (Dekker, 1971)."""
        if x.ty == "float":
            wide = self.bin("fmul", *[self.cast("fpext", v, "double") for v in (x, y)])
            near = self.cast("fptrunc", wide, "float")
            rest = self.bin("fsub", wide, self.cast("fpext", near, "double"))
            return near, self.cast("fptrunc", rest, "float")
        p = self._masked(self._new("multiply", x, y), -2)
        (a, b), (c, d) = self._halves(x), self._halves(y)
        rest = self._new("subtract", self._new("multiply", a, c), p)
        for one, other in ((a, d), (b, c), (b, d)):
            rest = self._new("add", rest, self._new("multiply", one, other))
        return p, rest

    def _halves(self, x: Val) -> tuple[Val, Val]:
        upper = self._masked(x, _UPPER)
        if x.number is not None:
            return upper, self.real(x.number - upper.number, x.ty)
        return upper, self._new("subtract", x, upper)

    def _masked(self, x: Val, mask: int) -> Val:
        bits = self.cast("bitcast", x, "i64")
        if bits.number is not None:
            return self.cast("bitcast", self.integer(bits.number & mask, "i64"), "double")
        return self.cast("bitcast", self.bin("and", bits, self.integer(mask, "i64")), "double")

    # --- functions ---

    def native(self, name: str, *args: Val) -> Val:
        return self._new(
            _NATIVES[name], *[self.exactly(x) for x in args], ty=args[0].ty, made="native"
        )

    def call(self, name: str, *args: Val) -> Val:
        refs = [self.value(x).ref for x in args]
        out = self.b.once(
            ("call", name, *refs),
            lambda: self.value(FUNCTIONS[name](*[Num(self, x) for x in args]).v),
        )
        return Val(args[0].ty, out)

    def once(self, name: str, x: Val, write: Callable[[], Any]) -> Any:
        return self.b.once((name, self.value(x).ref), write)

    def far_angles(self, a: Val, limit: float, *near: Val) -> list[Val]:
        raise NotImplementedError("the target has sine and cosine")

    # --- control ---

    def iterate(
        self, start: Sequence[Val], step: Callable[..., Sequence[Val]], most: int
    ) -> list[Val]:
        b = self.b
        types = [x.ty for x in start]
        last, one = b.constant(most, dtypes.int32), b.constant(1, dtypes.int32)

        def test(k: Value, *state: Value) -> Value:
            return b.both(self._anywhere(state[-1]), b.compare("LE", k, last))

        def body(k: Value, *state: Value) -> list[Value]:
            given = [Val(ty, v) for ty, v in zip(types, state, strict=True)]
            return [b.add(k, one), *[self.value(x) for x in step(Val("i32", k), *given)]]

        _, *out = b.loop([one, *[self.value(x) for x in start]], test, body)
        return [Val(ty, v) for ty, v in zip(types, out, strict=True)]

    def if_any(
        self, wanted: Val, compute: Callable[..., Sequence[Val]], inputs: Sequence[Val],
        otherwise: Sequence[Val],
    ) -> list[Val]:  # fmt: skip
        b = self.b
        others = [self.value(x) for x in otherwise]
        types = [x.ty for x in otherwise]
        some = b.convert(self._anywhere(self.value(wanted)), dtypes.int32)
        out = b.case(
            some,
            [lambda: others, lambda: [self.value(x) for x in compute(*inputs)]],
            [(v.dtype, v.shape) for v in others],
        )
        return [Val(ty, v) for ty, v in zip(types, out, strict=True)]

    def branches(self, x: Val) -> bool:
        # XLA would not fuse what is around it.
        return False

    def _anywhere(self, x: Value) -> Value:
        return self.b.fold("or", x, False, range(len(self.shape)))


def _unsigned(ty: str) -> DType:
    return dtypes.uint64 if ty == "i64" else dtypes.uint32


def _same_bits(number: Any, old: str, new: str) -> Any:
    codes = {"float": "<f", "i32": "<i", "double": "<d", "i64": "<q"}
    return struct.unpack(codes[new], struct.pack(codes[old], number))[0]


def write(b: Builder, name: str, *args: Value, orders: tuple[int, ...] | None = None) -> Value:
    """A function of `covector.numerics.functions`, of tensors of one shape and dtype."""
    dtype = args[0].dtype
    if dtype not in _NAMES:
        args = tuple([b.convert(x, np.dtype(np.float32)) for x in args])
    w = Kernels(b, args[0].shape)
    fn = function(name, orders)
    assert fn is not None
    out = fn(*[Num(w, Val(_NAMES[x.dtype], x)) for x in args])
    return b.convert(w.value(out.v), dtype)
