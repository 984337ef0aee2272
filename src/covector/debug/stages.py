"""What the compiler makes of a function, stage by stage, as text."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

from covector.compiler import passes
from covector.core.config import config
from covector.core.errors import at_user_line
from covector.core.jaxpr import ClosedJaxpr
from covector.debug.colour import coloured
from covector.runtime.stages import Lowered
from covector.transforms.jit import jit

# In the order of the stages; `passes` shows each pass over the jaxpr, before and after.
STAGES = ("jaxpr", "passes", "simplified", "loop", "schedule", "llvm", "optimised", "asm")


class StageText(str):
    """The text of a stage; shown as it is, in colours on a terminal."""

    stage: str

    def __repr__(self) -> str:
        colours = sys.stdout.isatty() and config.pprint_use_color
        return coloured(self, self.stage) if colours else str(self)


def show(fun: Callable[..., Any], *args: Any, stage: str = "jaxpr", **kwargs: Any) -> str:
    """One stage of the compilation of a function, or all of them, as text.

    ``python -m covector.debug FILE.py:FUNCTION TYPE...`` prints them from a shell, for example
    ``python -m covector.debug model.py:loss 'f32[128,10]' 'i32[128]'``.

    Parameters
    ----------
    fun : callable
    *args, **kwargs
        Its arguments: arrays, or `ShapeDtypeStruct` for their types alone.
    stage : str
        ``"jaxpr"``; ``"passes"``, which shows each pass over the jaxpr with its time;
        ``"simplified"``, what they lead to; ``"loop"``, the loop IR; ``"schedule"``, which loops
        compute it and what is stored; ``"llvm"``; ``"optimised"``, LLVM IR after LLVM's passes;
        ``"asm"``; or ``"all"``. These are the CPU's; other devices have other stages.

    Returns
    -------
    str
        In an interactive terminal it is shown in colours.

    Raises
    ------
    ValueError
        If there is no such stage.

    Examples
    --------
    >>> import covector as cv
    >>> text = cv.debug.show(lambda x: x * 2, cv.numpy.ones(3))
    >>> text.splitlines()
    ['{ lambda  ; a:f32[3]. let', '    b:f32[3] = mul a 2.0:f32[]*', '  in (b,) }']
    >>> text = cv.debug.show(lambda x: x * 1, cv.numpy.ones(3), stage="simplified")
    >>> text.splitlines()
    ['{ lambda  ; a:f32[3]. let  in (a,) }']
    """
    lowered = (fun if hasattr(fun, "lower") else jit(fun)).lower(*args, **kwargs)
    if stage == "all":
        parts = [f"{title(name)}\n{text}" for name, text in stages(lowered)]
        return _text("\n\n".join(parts), stage)
    known = known_stages(lowered)
    if stage not in known:
        raise ValueError(
            f"show: there is no stage {stage!r}; there are {', '.join(known)} and all"
            f"{at_user_line()}"
        )
    return _text(_stage(lowered, stage), stage)


def known_stages(lowered: Lowered) -> tuple[str, ...]:
    """The stages that a program for its platform has."""
    dialects = lowered.dialects()
    if "loop" not in dialects:
        return dialects
    return tuple(s for s in STAGES if s == "passes" or s in dialects)


def stages(lowered: Lowered) -> Iterator[tuple[str, str]]:
    """Each stage with its text."""
    for stage in known_stages(lowered):
        yield stage, _stage(lowered, stage)


def title(stage: str) -> str:
    """The line above a stage."""
    return f"==== {stage} " + "=" * (94 - len(stage))


def _stage(lowered: Lowered, stage: str) -> str:
    if stage == "passes":
        return "\n".join(_passes(lowered.compiler_ir()))
    return lowered.as_text(stage)


def _passes(closed: ClosedJaxpr) -> Iterator[str]:
    for one, step in zip(passes.PASSES, passes.steps(closed), strict=True):
        before, after = str(step.before), str(step.after)
        lines = len(step.after.eqns)
        yield (
            f"---- {step.name}: {one.summary} "
            f"({len(step.before.eqns)} equations, now {lines}; {step.seconds * 1e6:.0f} us)"
        )
        if before == after:
            yield "(as before)"
            continue
        if step.name == passes.PASSES[0].name:
            yield from ("before:", before, "after:")
        yield after


def _text(text: str, stage: str) -> StageText:
    out = StageText(text)
    out.stage = stage
    return out
