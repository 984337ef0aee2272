"""Numbers with operators: how the elementary functions are written down.

A `Num` is a value of the program and what writes it. Its operators write plain IEEE operations,
never contracted or reordered where the backend can help it; where a product and a sum are to be
rounded once, `fma` says so, and `muladd` where that does not matter.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from covector.numerics.writer import Value, Writer

Operand = Any  # Num, float or int


class Num:
    """A float, integer or boolean value under construction."""

    __slots__ = ("b", "v")

    def __init__(self, b: Writer, v: Any) -> None:
        self.b = b
        self.v = v

    @property
    def double(self) -> bool:
        return self.v.ty == "double"

    @property
    def floating(self) -> bool:
        return self.v.ty in ("float", "double")

    def val(self, o: Operand) -> Any:
        """An operand as a value of this type."""
        if type(o) is Num:
            return o.v
        if self.floating:
            return self.b.real(o, self.v.ty)
        return self.b.integer(o, self.v.ty)

    def like(self, o: Operand) -> Num:
        return o if type(o) is Num else Num(self.b, self.val(o))

    def _bin(self, f: str, i: str, a: Value, c: Value) -> Num:
        return Num(self.b, self.b.bin(f if self.floating else i, a, c))

    def __add__(self, o: Operand) -> Num:
        return self._bin("fadd", "add", self.v, self.val(o))

    __radd__ = __add__

    def __sub__(self, o: Operand) -> Num:
        return self._bin("fsub", "sub", self.v, self.val(o))

    def __rsub__(self, o: Operand) -> Num:
        return self._bin("fsub", "sub", self.val(o), self.v)

    def __mul__(self, o: Operand) -> Num:
        return self._bin("fmul", "mul", self.v, self.val(o))

    __rmul__ = __mul__

    def __truediv__(self, o: Operand) -> Num:
        return Num(self.b, self.b.bin("fdiv", self.v, self.val(o)))

    def __rtruediv__(self, o: Operand) -> Num:
        return Num(self.b, self.b.bin("fdiv", self.val(o), self.v))

    def __neg__(self) -> Num:
        return Num(self.b, self.b.un("fneg", self.v))

    def __abs__(self) -> Num:
        return Num(self.b, self.b.intrinsic("fabs", self.v))

    def __and__(self, o: Operand) -> Num:
        return Num(self.b, self.b.bin("and", self.v, self.val(o)))

    def __or__(self, o: Operand) -> Num:
        return Num(self.b, self.b.bin("or", self.v, self.val(o)))

    def __xor__(self, o: Operand) -> Num:
        return Num(self.b, self.b.bin("xor", self.v, self.val(o)))

    def __lshift__(self, o: Operand) -> Num:
        return Num(self.b, self.b.bin("shl", self.v, self.val(o)))

    def __rshift__(self, o: Operand) -> Num:
        """Logical shift."""
        return Num(self.b, self.b.bin("lshr", self.v, self.val(o)))

    def __invert__(self) -> Num:
        """The opposite of a condition."""
        return Num(self.b, self.b.bin("xor", self.v, self.b.boolean(True)))

    def _cmp(self, f: str, i: str, o: Operand) -> Num:
        op = f"fcmp {f}" if self.floating else f"icmp {i}"
        return Num(self.b, self.b.cmp(op, self.v, self.val(o)))

    def __lt__(self, o: Operand) -> Num:
        return self._cmp("olt", "slt", o)

    def __le__(self, o: Operand) -> Num:
        return self._cmp("ole", "sle", o)

    def __gt__(self, o: Operand) -> Num:
        return self._cmp("ogt", "sgt", o)

    def __ge__(self, o: Operand) -> Num:
        return self._cmp("oge", "sge", o)

    def eq(self, o: Operand) -> Num:
        return self._cmp("oeq", "eq", o)

    def ne(self, o: Operand) -> Num:
        """Different or unordered."""
        return self._cmp("une", "ne", o)

    def isnan(self) -> Num:
        return self._cmp("uno", "", self)

    def sqrt(self) -> Num:
        return Num(self.b, self.b.intrinsic("sqrt", self.v))

    def floor(self) -> Num:
        return Num(self.b, self.b.intrinsic("floor", self.v))

    def copysign(self, o: Num) -> Num:
        return Num(self.b, self.b.intrinsic("copysign", self.v, o.v))

    def bits(self) -> Num:
        """The bits of a float as an integer of the same width."""
        return Num(self.b, self.b.cast("bitcast", self.v, "i64" if self.double else "i32"))

    def as_float(self) -> Num:
        """The float with these bits."""
        ty = "double" if self.v.ty == "i64" else "float"
        return Num(self.b, self.b.cast("bitcast", self.v, ty))

    def cast(self, op: str, ty: str) -> Num:
        return Num(self.b, self.b.cast(op, self.v, ty))

    def flip_sign(self, mask: Num) -> Num:
        """The float with its bits xor-ed by ``mask``, an integer holding only a sign bit."""
        return (self.bits() ^ mask).as_float()

    def sign_bit(self) -> Num:
        """An integer holding the sign bit of a float."""
        return self.bits() & (-(1 << 63) if self.double else -(1 << 31))


def fma(a: Operand, x: Operand, y: Operand) -> Num:
    """``a * x + y``, rounded once: for what is left where the two cancel."""
    n = a if type(a) is Num else x if type(x) is Num else y
    return Num(n.b, n.b.fma(n.val(a), n.val(x), n.val(y)))


def muladd(a: Operand, x: Operand, y: Operand) -> Num:
    """``a * x + y``, rounded once or twice, whichever is faster."""
    n = a if type(a) is Num else x if type(x) is Num else y
    return Num(n.b, n.b.muladd(n.val(a), n.val(x), n.val(y)))


def where(c: Num, a: Operand, o: Operand) -> Num:
    """``a if c else o``."""
    n = a if type(a) is Num else o
    return Num(c.b, c.b.select(c.v, n.val(a), n.val(o)))


def minimum(bound: Operand, x: Num) -> Num:
    """The smaller one; NaN if ``x`` is (one instruction on x86)."""
    return where(x > bound, bound, x)


def maximum(bound: Operand, x: Num) -> Num:
    """The larger one; NaN if ``x`` is."""
    return where(x < bound, bound, x)


def by_size(x: Num, y: Num) -> tuple[Num, Num]:
    """The larger of two absolute values, and the other one."""
    ax, ay = abs(x), abs(y)
    swap = ay > ax
    return where(swap, ay, ax), where(swap, ax, ay)


def unit(x: Num, low: float, high: float) -> Num:
    """``x`` moved from ``[low, high]`` to ``[-1, 1]``."""
    return (x - 0.5 * (low + high)) * (2.0 / (high - low))


def from_infinity(a: Num, centre: float) -> tuple[Num, Num]:
    """``(a - centre) / (a + centre)`` and what its rounding beside -1 has lost; 0 <= a < 1e18."""
    v = (a + a) / (a + centre)
    t = v - 1.0
    return t, v - (t + 1.0)


def poly(x: Num, coeffs: Sequence[float]) -> Num:
    """Polynomial with coefficients from the constant upwards.

    Long ones are split into even and odd part, and these again, which halves the chain of
    dependent steps.
    """
    return _split(x, coeffs, poly)


def _split(x: Num, coeffs: Sequence[float], inner: Callable[..., Num]) -> Num:
    if len(coeffs) < 8:
        return poly_chain(x, coeffs)
    square = x * x
    return muladd(inner(square, coeffs[1::2]), x, inner(square, coeffs[::2]))


def poly_chain(x: Num, coeffs: Sequence[float]) -> Num:
    """Horner's rule."""
    out: Any = coeffs[-1]
    for c in reversed(coeffs[:-1]):
        out = muladd(out, x, c)
    return out


def halves(c: float, double: bool) -> tuple[float, float]:
    """``c`` as a number of the format and what is left of it."""
    first = c if double else struct.unpack("f", struct.pack("f", c))[0]
    return first, c - first


def poly_pair(
    x: Num, head: Sequence[tuple[float, float]], coeffs: Sequence[float]
) -> tuple[Num, Num]:
    """A polynomial as the sum of two numbers, and of its leading coefficients likewise.

    ``coeffs`` come after ``head``. Each number of that is at least as large as what follows it.
    """
    # Split once: what follows the head is to lose little.
    hi = _split(x, coeffs, poly_chain)
    lo: Any = None
    for c, rest in reversed(head):
        total = fma(x, hi, c)
        error = fma(x, hi, c - total)
        lo = error + (rest if lo is None else muladd(x, lo, rest))
        hi = total
    return hi, lo


def two_sum(x: Num, y: Num) -> tuple[Num, Num]:
    """``x + y`` and its rounding error (Knuth)."""
    s = x + y
    t = s - x
    return s, (x - (s - t)) + (y - t)


def fast_two_sum(x: Num, y: Num) -> tuple[Num, Num]:
    """``x + y`` and its rounding error, for |x| >= |y| or x = 0 (Dekker)."""
    s = x + y
    return s, y - (s - x)


def two_prod(x: Num, y: Operand) -> tuple[Num, Num]:
    """``x * y`` and its rounding error."""
    p, rest = x.b.two_prod(x.v, x.val(y))
    return Num(x.b, p), Num(x.b, rest)


def native(fn: Callable[..., Num]) -> Callable[..., Num]:
    """``fn``, but of a target that has this function itself."""
    name = fn.__name__.rstrip("_")

    @functools.wraps(fn)
    def written(*args: Num) -> Num:
        b = args[0].b
        if name in b.natives:
            return Num(b, b.native(name, *[a.v for a in args]))
        return fn(*args)

    return written


def in_double(fn: Callable[..., Num], *args: Num) -> Num:
    """``fn`` of the arguments as doubles, rounded to their format."""
    if args[0].double:
        return fn(*args)
    return fn(*(a.cast("fpext", "double") for a in args)).cast("fptrunc", "float")


_T = TypeVar("_T")


def power_chain(mul: Callable[[_T, _T], _T], x: _T, n: int, one: _T) -> _T:
    """``x**n`` for ``n >= 0`` by binary powering with the given product."""
    if n == 0:
        return one
    acc = None
    while True:
        if n & 1:
            acc = x if acc is None else mul(acc, x)
        n >>= 1
        if n == 0:
            assert acc is not None
            return acc
        x = mul(x, x)
