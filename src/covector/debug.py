"""Looking into programs that run (`covector.debug`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from covector.core.errors import export as _export
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
    """Stop in the Python debugger when a program reaches this point.

    The debugger, `pdb`, is on the terminal of the process. It sees the Python frames that called
    the program; for values inside, use `callback`, or run the program under `covector.disable_jit`.

    Parameters
    ----------
    ordered : bool
        Keep the order of the program among all ordered callbacks.
    backend, filter_frames, num_frames, token, **kwargs : optional
        Have no effect.

    Returns
    -------
    None

    Examples
    --------
    >>> import covector as cv
    >>> @cv.jit
    ... def f(x):
    ...     cv.debug.breakpoint()
    ...     return x + 1
    >>> f(1)  # doctest: +SKIP
    (Pdb) continue
    Array(2, dtype=int32, weak_type=True)
    """

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

    Returns
    -------
    str

    Examples
    --------
    >>> import covector as cv
    >>> text = cv.debug.show(lambda x: x * 2, cv.numpy.ones(3))
    >>> text.splitlines()
    ['{ lambda  ; a:f32[3]. let', '    b:f32[3] = mul a 2.0:f32[]*', '  in (b,) }']
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

_export(globals(), __all__)
