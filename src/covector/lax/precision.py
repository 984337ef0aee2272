"""How exact products are asked to be."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Any, TypeAlias, Union

from covector.core.config import config
from covector.core.errors import at_user_line


class Precision(enum.Enum):
    """Precision of products on devices with several; on CPUs all are full precision."""

    DEFAULT = 0
    HIGH = 1
    HIGHEST = 2

    def __str__(self) -> str:
        return self.name


if TYPE_CHECKING:
    from covector.lax.algorithms import DotAlgorithm, DotAlgorithmPreset

# What products take as their precision.
PrecisionLike: TypeAlias = Union[
    str, Precision, tuple[str, str], tuple[Precision, Precision], "DotAlgorithm",
    "DotAlgorithmPreset", None,
]  # fmt: skip

_PRECISIONS = {
    "default": Precision.DEFAULT, "fastest": Precision.DEFAULT, "bfloat16": Precision.DEFAULT,
    "high": Precision.HIGH, "bfloat16_3x": Precision.HIGH, "tensorfloat32": Precision.HIGH,
    "highest": Precision.HIGHEST, "float32": Precision.HIGHEST,
}  # fmt: skip


def canonicalize_precision(precision: Any) -> Any:
    """One `Precision` per operand, from a name, a member or a pair of those; or an algorithm.

    Parameters
    ----------
    precision : str, Precision, pair, DotAlgorithm, DotAlgorithmPreset or None
        Names are ``default``, ``high``, ``highest``, or of the formats: ``bfloat16``,
        ``tensorfloat32``, ``float32`` and the like, or of a `DotAlgorithmPreset`. None stands for
        the setting ``default_matmul_precision``.

    Returns
    -------
    (Precision, Precision), DotAlgorithm, DotAlgorithmPreset or None
        None if nothing is asked for.

    Raises
    ------
    ValueError
        For an unknown name, or a sequence that is not a pair.

    Examples
    --------
    >>> from covector import lax
    >>> lax.canonicalize_precision("highest")
    (<Precision.HIGHEST: 2>, <Precision.HIGHEST: 2>)
    >>> lax.canonicalize_precision(("default", "float32"))
    (<Precision.DEFAULT: 0>, <Precision.HIGHEST: 2>)
    """
    if precision is None:
        precision = config.default_matmul_precision
        if precision is None:
            return None
    if type(precision) is Precision or (isinstance(precision, str) and precision in _PRECISIONS):
        return (_precision(precision),) * 2
    if type(precision) in (tuple, list):
        if len(precision) == 2:
            return _precision(precision[0]), _precision(precision[1])
        raise ValueError(
            f"precision must be one value or a pair, got {precision!r}{at_user_line()}"
        )
    from covector.lax import algorithms  # few programs name one

    found = algorithms.named(precision)
    return (_precision(precision),) * 2 if found is None else found


def _precision(p: Any) -> Precision:
    found = p if isinstance(p, Precision) else _PRECISIONS.get(p) if isinstance(p, str) else None
    if found is None:
        raise ValueError(
            f"unknown precision {p!r}; use 'default', 'high' or 'highest', or the name of a "
            f"lax.DotAlgorithmPreset{at_user_line()}"
        )
    return found
