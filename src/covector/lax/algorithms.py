"""Algorithms of products and tolerances of functions, for devices that have several."""

from __future__ import annotations

import enum
from typing import Any, NamedTuple

from covector.core import dtypes
from covector.core.avals import aval_of
from covector.core.errors import at_user_line
from covector.core.structural import convert_element_type


class DotAlgorithm(NamedTuple):
    """How a product is computed, by the dtypes of what is multiplied and of the sums.

    CPUs compute products as exactly as the accumulation type asks for, or more so, whatever their
    operands are rounded to elsewhere.

    Attributes
    ----------
    lhs_precision_type, rhs_precision_type : dtype
        What the operands are rounded to.
    accumulation_type : dtype
        What products are summed in.
    lhs_component_count, rhs_component_count : int
        Into how many numbers of that type each operand is split.
    num_primitive_operations : int
        How many of the products of those are summed.
    allow_imprecise_accumulation : bool
        Whether sums may be of less precision.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> algorithm = lax.DotAlgorithm("bfloat16", "bfloat16", "float32")
    >>> lax.dot(np.ones(3), np.ones(3), precision=algorithm)
    Array(3., dtype=float32)
    """

    lhs_precision_type: Any
    rhs_precision_type: Any
    accumulation_type: Any
    lhs_component_count: int = 1
    rhs_component_count: int = 1
    num_primitive_operations: int = 1
    allow_imprecise_accumulation: bool = False


class DotAlgorithmPreset(enum.Enum):
    """Algorithms of products that accelerators have.

    Names are made of the types of both operands and of the sums (see `DotAlgorithm`), and of the
    number of products in which operands are split: ``BF16_BF16_F32_X3``.

    Examples
    --------
    >>> from covector import lax
    >>> lax.DotAlgorithmPreset.BF16_BF16_F32.accumulation_type
    dtype('float32')
    """

    DEFAULT = enum.auto()
    ANY_F8_ANY_F8_F32 = enum.auto()
    ANY_F8_ANY_F8_F32_FAST_ACCUM = enum.auto()
    ANY_F8_ANY_F8_ANY = enum.auto()
    ANY_F8_ANY_F8_ANY_FAST_ACCUM = enum.auto()
    F16_F16_F16 = enum.auto()
    F16_F16_F32 = enum.auto()
    BF16_BF16_BF16 = enum.auto()
    BF16_BF16_F32 = enum.auto()
    BF16_BF16_F32_X3 = enum.auto()
    BF16_BF16_F32_X6 = enum.auto()
    BF16_BF16_F32_X9 = enum.auto()
    TF32_TF32_F32 = enum.auto()
    TF32_TF32_F32_X3 = enum.auto()
    F32_F32_F32 = enum.auto()
    F64_F64_F64 = enum.auto()

    def __str__(self) -> str:
        return self.name

    @property
    def accumulation_type(self) -> Any:
        """The dtype of sums, or None where the operands decide."""
        if self is DotAlgorithmPreset.DEFAULT:
            return None
        return _TYPES.get(self.name.split("_")[4 if self._eight_bits else 2])

    @property
    def _eight_bits(self) -> bool:
        return self.name.startswith("ANY_F8")

    @property
    def supported_lhs_types(self) -> tuple[Any, ...] | None:
        """The dtypes that a left operand may have; None for any."""
        return self._operands(0)

    @property
    def supported_rhs_types(self) -> tuple[Any, ...] | None:
        """The dtypes that a right operand may have; None for any."""
        return self._operands(1)

    def _operands(self, which: int) -> tuple[Any, ...] | None:
        if self is DotAlgorithmPreset.DEFAULT or self._eight_bits:
            return None
        name = self.name.split("_")[which]
        if name == "TF32" or "_X" in self.name:
            return (dtypes.float32,)
        own = _TYPES[name]
        return (own, dtypes.float32) if own == dtypes.bfloat16 else (own,)

    def supported_output_types(self, lhs_dtype: Any, rhs_dtype: Any) -> tuple[Any, ...] | None:
        """The dtypes that the result of such operands may have; None for any."""
        total = self.accumulation_type
        if total is None:
            return None
        return _OUTPUTS_OF_EIGHT_BITS if self._eight_bits else (total,)


_TYPES = {
    "F16": dtypes.float16, "BF16": dtypes.bfloat16, "F32": dtypes.float32, "F64": dtypes.float64
}  # fmt: skip
_OUTPUTS_OF_EIGHT_BITS = (dtypes.float32, dtypes.float16, dtypes.bfloat16)


class AccuracyMode(enum.Enum):
    """How exact an elementary function shall be: on CPUs there is one kernel, of full precision."""

    HIGHEST = 1
    DEFAULT = 2


class Tolerance:
    """The error that an elementary function may have, of which one bound has to hold.

    Parameters
    ----------
    atol, rtol : float
        Absolute and relative error.
    ulps : int
        Units in the last place.

    Raises
    ------
    ValueError
        If one is negative.

    Examples
    --------
    >>> from covector import lax
    >>> lax.Tolerance(ulps=2)
    Tolerance(atol=0.0, rtol=0.0, ulps=2)
    """

    __slots__ = ("atol", "rtol", "ulps")

    def __init__(self, atol: float = 0.0, rtol: float = 0.0, ulps: int = 0) -> None:
        if min(atol, rtol, ulps) < 0:
            raise ValueError(
                f"tolerances must not be negative, got atol={atol}, rtol={rtol}, ulps={ulps}"
                f"{at_user_line()}"
            )
        self.atol, self.rtol, self.ulps = atol, rtol, ulps

    def _key(self) -> tuple[float, float, int]:
        return (self.atol, self.rtol, self.ulps)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tolerance) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def __repr__(self) -> str:
        return f"Tolerance(atol={self.atol}, rtol={self.rtol}, ulps={self.ulps})"


def check_accuracy(accuracy: Any, name: str) -> None:
    """Raise the error for what is neither an `AccuracyMode` nor a `Tolerance`."""
    if accuracy is not None and not isinstance(accuracy, (AccuracyMode, Tolerance)):
        raise TypeError(
            f"accuracy of {name} must be a lax.AccuracyMode, a lax.Tolerance or None, got "
            f"{accuracy!r}{at_user_line()}"
        )


def named(precision: Any) -> DotAlgorithm | DotAlgorithmPreset | None:
    """The algorithm that ``precision`` is or names, or None."""
    if isinstance(precision, DotAlgorithmPreset):
        return precision
    if isinstance(precision, DotAlgorithm):
        names = ("lhs_precision_type", "rhs_precision_type", "accumulation_type")
        return precision._replace(**{n: dtypes.as_dtype(getattr(precision, n)) for n in names})
    return DotAlgorithmPreset.__members__.get(precision) if isinstance(precision, str) else None


def rounded_to(algorithm: DotAlgorithm | DotAlgorithmPreset, which: int, x: Any) -> Any:
    """The left (0) or right (1) operand in a dtype that the algorithm takes."""
    if isinstance(algorithm, DotAlgorithmPreset):
        types = algorithm._operands(which)
    else:
        own = algorithm[which]
        types = (own, dtypes.float32) if own == dtypes.bfloat16 else (own,)
    return x if types is None or aval_of(x).dtype in types else convert_element_type(x, types[0])
