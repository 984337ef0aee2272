"""Matrix products of block-scaled narrow floats, which need hardware for those formats."""

from __future__ import annotations

from typing import Any, NoReturn

from covector.core.errors import at_user_line


def _unavailable(name: str) -> NoReturn:
    raise NotImplementedError(
        f"{name} needs block-scaled 4- and 8-bit float formats, which no backend here has; convert "
        f"the operands to float32 or bfloat16 and use covector.lax.dot_general{at_user_line()}"
    )


def scaled_matmul(
    lhs: Any, rhs: Any, lhs_scales: Any, rhs_scales: Any, preferred_element_type: Any = None
) -> Any:
    """Matrix product of block-scaled operands: not available on this hardware."""
    _unavailable("scaled_matmul")


def scaled_dot_general(
    lhs: Any,
    rhs: Any,
    dimension_numbers: Any,
    preferred_element_type: Any = None,
    configs: Any = None,
    implementation: str | None = None,
) -> Any:
    """Generalised product of block-scaled operands: not available on this hardware."""
    _unavailable("scaled_dot_general")


def get_scaled_dot_general_config(mode: str, global_scale: Any = None) -> Any:
    """Configuration of a block-scaled format: not available on this hardware."""
    _unavailable("get_scaled_dot_general_config")
