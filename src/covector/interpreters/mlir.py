"""What computes primitives in compiled programs (`covector.interpreters.mlir`).

A lowering rule is a function of arrays: it is traced in the place of the primitive when a program
is compiled. There is no MLIR in Covector.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from covector.core.errors import at_user_line
from covector.core.errors import export as _export
from covector.core.trace import Primitive


class LoweringRule:
    """What `lower_fun` makes, and `register_lowering` takes."""

    __slots__ = ("fun", "multiple_results")

    def __init__(self, fun: Callable[..., Any], multiple_results: bool) -> None:
        self.fun = fun
        self.multiple_results = multiple_results

    def expansion(self, prim: Primitive) -> Callable[..., Any]:
        """What is traced in the place of the primitive: as many results as it has."""
        fun = self.fun
        if self.multiple_results and not prim.multiple_results:
            return lambda *args, **params: fun(*args, **params)[0]
        if prim.multiple_results and not self.multiple_results:
            return lambda *args, **params: [fun(*args, **params)]
        return fun


def lower_fun(fun: Callable[..., Any], multiple_results: bool = True) -> LoweringRule:
    """A lowering rule that does what a function of arrays does.

    Parameters
    ----------
    fun : callable
        ``fun(*args, **params)``; it is traced.
    multiple_results : bool
        Whether it returns a sequence.

    Returns
    -------
    LoweringRule

    Examples
    --------
    See `register_lowering`.

    >>> from covector.interpreters import mlir
    >>> rule = mlir.lower_fun(lambda x: x + x, multiple_results=False)
    """
    return LoweringRule(fun, multiple_results)


def register_lowering(
    prim: Primitive,
    rule: LoweringRule,
    platform: str | None = None,
    inline: bool = True,
    cacheable: bool = True,
) -> LoweringRule:
    """Say what computes a primitive in compiled programs.

    Parameters
    ----------
    prim : Primitive
    rule : LoweringRule
        What `lower_fun` or `ffi.ffi_lowering` returns.
    platform : str, optional
        Must be ``"cpu"`` if it is given.
    inline, cacheable : bool
        Have no effect.

    Returns
    -------
    LoweringRule
        The rule.

    Raises
    ------
    TypeError
        If ``rule`` is a function that would write MLIR.

    Examples
    --------
    >>> import covector as cv
    >>> from covector.interpreters import mlir
    >>> fourth_p = cv.extend.core.Primitive("fourth")
    >>> kind = fourth_p.def_abstract_eval(lambda x: x)
    >>> rule = mlir.lower_fun(lambda x: x / 4, multiple_results=False)
    >>> rule = mlir.register_lowering(fourth_p, rule)
    >>> cv.jit(fourth_p.bind)(8.0)
    Array(2., dtype=float32, weak_type=True)
    """
    if not isinstance(rule, LoweringRule):
        raise TypeError(
            "register_lowering takes what lower_fun or ffi_lowering returns: Covector has no MLIR, "
            f"a rule is a function of arrays. Got {rule!r:.100}{at_user_line()}"
        )
    if platform not in (None, "cpu"):
        raise ValueError(
            f"register_lowering: a rule is for all platforms, or for 'cpu'; got {platform!r}"
            f"{at_user_line()}"
        )
    prim.expansion = rule.expansion(prim)
    return rule


__all__ = ["LoweringRule", "lower_fun", "register_lowering"]
_export(globals(), __all__)
