"""What becomes of cotangents, for ``with_refs`` of what `vjp` returns (`covector.ad`)."""

from covector.core.errors import export as _export
from covector.transforms.pullback import DidntWant, DontWant, GradRef, GradValue

__all__ = ["DidntWant", "DontWant", "GradRef", "GradValue"]
_export(globals(), __all__)
