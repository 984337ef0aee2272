"""Stopping in the Python debugger from within programs."""

from __future__ import annotations

from typing import Any

from covector.transforms.callbacks import debug_callback


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
