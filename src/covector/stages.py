"""Stages of compilation (`covector.stages`)."""

from collections.abc import Mapping
from typing import Any

from covector._native import JitFunction as Wrapped
from covector.core.errors import export as _export
from covector.runtime.stages import ArgInfo, Compiled, Lowered, Traced

CompilerOptions = Mapping[str, Any]

__all__ = ["ArgInfo", "Compiled", "CompilerOptions", "Lowered", "Traced", "Wrapped"]

_export(globals(), __all__)
