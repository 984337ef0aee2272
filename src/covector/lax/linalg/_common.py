"""What the factorisations share: checks of operands, triangles, products."""

from __future__ import annotations

from typing import Any

from covector.core.operands import as_array
from covector.core.structural import convert_element_type


def matrix(x: Any, name: str) -> Any:
    """``x`` as an Array or Tracer that is not weakly typed."""
    x = as_array(x, name)
    return convert_element_type(x, x.dtype) if x.weak_type else x
