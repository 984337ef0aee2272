"""What a backend offers so that functions can be written with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol


class Value(Protocol):
    """A number of the program: a scalar, a vector or a tensor, as the backend has it.

    Attributes
    ----------
    ty : str
        ``"float"``, ``"double"``, ``"i1"``, ``"i32"`` or ``"i64"``.
    """

    ty: str


class Writer(Protocol):
    """Writes instructions, which have the names and the meaning of LLVM's.

    Attributes
    ----------
    natives : frozenset of str
        The functions that the target has itself, as exactly as they are written here.
    """

    natives: frozenset[str]

    def real(self, value: float, ty: str) -> Any:
        """A constant."""

    def integer(self, value: int, ty: str) -> Any:
        """A constant."""

    def boolean(self, value: bool) -> Any:
        """A constant."""

    def bin(self, op: str, a: Any, b: Any) -> Any:
        """``fadd``, ``mul``, ``and``, ``lshr``, …"""

    def un(self, op: str, a: Any) -> Any:
        """``fneg``."""

    def cmp(self, op: str, a: Any, b: Any) -> Any:
        """``fcmp olt``, ``icmp eq``, …: an i1."""

    def cast(self, op: str, a: Any, ty: str) -> Any:
        """``bitcast``, ``fpext``, ``fptrunc`` or ``sitofp``."""

    def select(self, c: Any, a: Any, b: Any) -> Any:
        """``a`` where ``c`` holds, else ``b``."""

    def intrinsic(self, name: str, *args: Any) -> Any:
        """``fabs``, ``sqrt``, ``floor`` or ``copysign``."""

    def fma(self, a: Any, x: Any, y: Any) -> Any:
        """``a * x + y`` as if rounded once, at least where it cancels."""

    def muladd(self, a: Any, x: Any, y: Any) -> Any:
        """``a * x + y``, rounded once or twice."""

    def two_prod(self, x: Any, y: Any) -> tuple[Any, Any]:
        """Two numbers whose sum is ``x * y``, the first that product but for its last place."""

    def native(self, name: str, *args: Any) -> Any:
        """A function of `natives`."""

    def call(self, name: str, *args: Any) -> Any:
        """A function of `covector.numerics.functions` that is used more than once."""

    def once(self, name: str, x: Any, write: Callable[[], Any]) -> Any:
        """What ``write`` makes of ``x`` alone, written once."""

    def iterate(
        self, start: Sequence[Any], step: Callable[..., Sequence[Any]], most: int
    ) -> Sequence[Any]:
        """``state = step(k, *state)`` for k = 1, 2, … to ``most`` as long as its last element,
        a condition, holds anywhere."""

    def if_any(
        self, wanted: Any, compute: Callable[..., Sequence[Any]], inputs: Sequence[Any],
        otherwise: Sequence[Any],
    ) -> Sequence[Any]:  # fmt: skip
        """``compute(*inputs)`` if ``wanted`` holds anywhere, else ``otherwise``."""

    def branches(self, x: Any) -> bool:
        """Whether a branch around a few operations is worth it, for elements like ``x``."""

    def far_angles(self, a: Any, limit: float, *near: Any) -> Sequence[Any]:
        """(hi, lo, k) of `trigonometric.reduce_pi2`: ``near`` up to ``limit``; what is beyond it,
        reduced with as many digits of pi as that takes. Only for targets without sine and
        cosine."""
