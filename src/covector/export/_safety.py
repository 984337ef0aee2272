"""What `export` refuses unless it is told not to."""

from __future__ import annotations

from covector.core.errors import SourceFrame, at_user_line
from covector.core.jaxpr import ClosedJaxpr, all_jaxprs
from covector.transforms.callbacks import debug_callback_p, pure_callback_p
from covector.transforms.foreign import ForeignFunction
from covector.transforms.io_callback import io_callback_p


class DisabledSafetyCheck:
    """A check of `export` and of calls of what it made that is to be left out.

    Examples
    --------
    >>> import covector as cv
    >>> from covector import export
    >>> check = export.DisabledSafetyCheck.platform()
    >>> f = export.export(cv.jit(lambda x: x + 1), platforms=["tpu"], disabled_checks=[check])(1.0)
    >>> f.call(2.0)
    Array(3., dtype=float32, weak_type=True)
    """

    __slots__ = ("_impl",)

    def __init__(self, _impl: str) -> None:
        self._impl = _impl

    @classmethod
    def platform(cls) -> DisabledSafetyCheck:
        """That a function is called on a platform that it was exported for."""
        return cls("platform")

    @classmethod
    def custom_call(cls, target_name: str) -> DisabledSafetyCheck:
        """That a function does not call the native function ``target_name``, which need not be
        registered where it is called."""
        return cls(f"custom_call:{target_name}")

    def is_custom_call(self) -> str | None:
        """The name of the native function; None if the check is another."""
        kind, colon, target = self._impl.partition(":")
        return target if colon and kind == "custom_call" else None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DisabledSafetyCheck) and self._impl == other._impl

    def __hash__(self) -> int:
        return hash(self._impl)

    def __str__(self) -> str:
        return self._impl

    def __repr__(self) -> str:
        return f"DisabledSafetyCheck({self._impl!r})"


_CALLBACKS = (pure_callback_p, debug_callback_p, io_callback_p)


def check_calls(closed: ClosedJaxpr, disabled: tuple[DisabledSafetyCheck, ...], name: str) -> None:
    """Raise the error for functions of Python and native ones that a program calls."""
    allowed = {d.is_custom_call() for d in disabled}
    for jaxpr in all_jaxprs(closed.jaxpr):
        for e in jaxpr.eqns:
            if e.primitive not in _CALLBACKS:
                continue
            where = f"\nIt stands at {SourceFrame(*e.source_info)}" if e.source_info else ""
            called = e.params["callback"]
            if type(called) is not ForeignFunction:
                raise NotImplementedError(
                    f"export: {name} calls Python, with {e.primitive}, and an exported function is "
                    f"called without it{where}{at_user_line()}"
                )
            if called.name not in allowed:
                raise ValueError(
                    f"export: {name} calls the native function {called.name!r}, which need not be "
                    "registered where the exported function is called; disabled_checks="
                    f"[DisabledSafetyCheck.custom_call({called.name!r})] allows it{where}"
                    f"{at_user_line()}"
                )
