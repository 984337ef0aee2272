"""Looking into programs that run (`covector.debug`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from covector.transforms.callbacks import (
    DebugEffect,
    OrderedDebugEffect,
    debug_callback,
    debug_print,
)

callback = debug_callback
print = debug_print  # noqa: A001 - the public name


def breakpoint(  # noqa: A001 - the public name
    *,
    backend: str | None = None,
    filter_frames: bool = True,
    num_frames: int | None = None,
    ordered: bool = False,
    token: Any = None,
    **kwargs: Any,
) -> None:
    """Stop in the Python debugger when a program reaches this point."""

    def stop() -> None:
        import pdb  # noqa: T100

        pdb.set_trace()  # noqa: T100

    debug_callback(stop, ordered=ordered)


def show(fun: Callable[..., Any], *args: Any, stage: str = "jaxpr", **kwargs: Any) -> str:
    """One stage of the compilation of a function, as text.

    Parameters
    ----------
    fun : callable
    *args, **kwargs
        Its arguments.
    stage : str
        ``"jaxpr"``, ``"loop"`` (loop IR), ``"llvm"`` or ``"asm"``.
    """
    from covector.transforms.jit import jit

    compiled = fun if hasattr(fun, "lower") else jit(fun)
    lowered = compiled.lower(*args, **kwargs)
    return lowered.as_text() if stage == "jaxpr" else lowered.compile().as_text(stage)


__all__ = [
    "DebugEffect",
    "OrderedDebugEffect",
    "breakpoint",
    "callback",
    "print",
    "show",
]
