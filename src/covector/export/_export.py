"""`export`: a jitted function traced and lowered for platforms whose devices need not be there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from covector.core.errors import at_user_line, describe
from covector.export._exported import Exported
from covector.export._lowering import known_platform, traced
from covector.export._safety import DisabledSafetyCheck
from covector.runtime.placement import default_placement


def default_export_platform() -> str:
    """The platform that `export` lowers for if none is named: that of the default device.

    Returns
    -------
    str

    Examples
    --------
    >>> from covector import export
    >>> export.default_export_platform()
    'cpu'
    """
    return default_placement().device.platform


def export(
    fun_jit: Any,
    *,
    platforms: Sequence[str] | None = None,
    disabled_checks: Sequence[DisabledSafetyCheck] = (),
    _override_lowering_rules: None = None,
) -> Callable[..., Exported]:
    """Trace a function for given types, to be run elsewhere, later, without its source.

    Parameters
    ----------
    fun_jit : callable
        What `jit` returned.
    platforms : sequence of str, optional
        ``cpu``, ``cuda``, ``rocm``, ``tpu``, …; no devices of them are needed. By default that of
        the default device.
    disabled_checks : sequence of DisabledSafetyCheck
    _override_lowering_rules : None
        Rules of one export alone are not supported.

    Returns
    -------
    callable
        Called with arguments of the function, arrays or `ShapeDtypeStruct`, whose sizes may be
        symbolic (see `symbolic_shape`); returns an `Exported`.

    Raises
    ------
    ValueError
        If ``fun_jit`` is not what `jit` returned, a platform is unknown, or the function calls
        native functions.
    NotImplementedError
        If the function calls Python, or an operation does not run on one of the platforms.

    See Also
    --------
    deserialize : An exported function from the bytes of a file.

    Examples
    --------
    >>> import covector as cv
    >>> import covector.numpy as np
    >>> from covector import export
    >>> rows, columns = export.symbolic_shape("rows, columns")
    >>> f = cv.jit(lambda x: x / np.sum(x, axis=1, keepdims=True))
    >>> exported = export.export(f)(cv.ShapeDtypeStruct((rows, columns), "float32"))
    >>> exported.out_avals
    (ShapedArray(float32[rows,columns]),)
    >>> again = export.deserialize(exported.serialize())
    >>> again.call(np.array([[1.0, 3.0]]))
    Array([[0.25, 0.75]], dtype=float32)
    """
    if not hasattr(fun_jit, "_jitted"):
        raise ValueError(
            f"export takes a function that jit returned, got {describe(fun_jit)}: write "
            f"export(jit(f)){at_user_line()}"
        )
    if _override_lowering_rules is not None:
        raise NotImplementedError("export: lowering rules cannot be overridden")
    if isinstance(platforms, str):
        raise TypeError(
            f"export: platforms is a sequence, got the text {platforms!r}{at_user_line()}"
        )
    names = [known_platform(p) for p in (platforms or (default_export_platform(),))]
    if len(set(names)) < len(names):
        raise ValueError(f"export: platforms {names} names one twice{at_user_line()}")
    for check in disabled_checks:
        if not isinstance(check, DisabledSafetyCheck):
            raise TypeError(
                f"export: disabled_checks takes DisabledSafetyChecks, got {describe(check)}"
                f"{at_user_line()}"
            )
    checks = tuple(disabled_checks)

    def do_export(*args: Any, **kwargs: Any) -> Exported:
        return Exported(*traced(fun_jit._jitted, names, checks, args, kwargs))

    return do_export
