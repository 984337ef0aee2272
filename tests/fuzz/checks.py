"""What must hold of a random program: pairs of expressions that have equal values."""

from __future__ import annotations

import importlib
import random
import traceback
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as onp

import covector as cv
from covector.core.config import override
from tests.fuzz.program import Program, namespace


@dataclass(frozen=True)
class Check:
    """Two expressions in the names of the prelude and of the program, and how they are compared.

    ``results`` says whose results they are: of all lines, of the `ends`, or a slope; those of
    another platform are never equal to the bit.
    """

    left: str
    right: str
    results: str = "program"
    applies: Callable[[Program], bool] = lambda p: True


def _smooth(*modes: str) -> Callable[[Program], bool]:
    """Whether a program has a derivative, in some mode."""

    def applies(p: Program) -> bool:
        return p.smooth and not p.traits() & {"step", "kink", *modes}

    return applies


def _both(p: Program) -> bool:
    floats = any(x.dtype == "float64" for x in p.inputs)
    return p.x64 and floats and not p.traits() & {"forward", "reverse"}


JIT = "cv.jit(program)(*put(inputs))"
FIRST = "[True] + [False] * (len(inputs()) - 1)"
ALL = "[True] * len(inputs())"
CHECKS = {
    "jit": Check("program(*put(inputs))", JIT),
    "fused": Check("ends(*put(inputs))", "cv.jit(ends)(*put(inputs))", "ends"),
    "disable_jit": Check("without_jit(lambda: program(*put(inputs)))", JIT),
    "donation": Check(JIT, "cv.jit(program, donate_argnums=range(len(inputs())))(*put(inputs))"),
    "threads": Check(f"in_threads(1, lambda: {JIT})", f"in_threads(2, lambda: {JIT})", "same"),
    "vmap": Check(f"by_loop(cv.jit(program), inputs, {ALL})", f"by_vmap(program, inputs, {ALL})"),
    "vmap of one": Check(
        f"by_loop(cv.jit(ends), inputs, {FIRST})", f"by_vmap(cv.jit(ends), inputs, {FIRST})", "ends"
    ),
    "forward = reverse": Check(
        "forward(ends, put(inputs))", "reverse(ends, put(inputs))", "slope", _both
    ),
    "jit of reverse": Check(
        "reverse(ends, put(inputs))",
        "cv.jit(lambda *a: reverse(ends, a))(*put(inputs))",
        "slope",
        _smooth("forward"),
    ),
    "jit of forward": Check(
        "forward(ends, put(inputs))",
        "cv.jit(lambda *a: forward(ends, a))(*put(inputs))",
        "slope",
        _smooth("reverse"),
    ),
    "forward = quotient": Check(
        "quotient(ends, put(inputs))", "forward(ends, put(inputs))", "slope", _smooth("reverse")
    ),
    "reverse = quotient": Check(
        "quotient(ends, put(inputs))", "reverse(ends, put(inputs))", "slope", _smooth("forward")
    ),
    "second forward": Check(
        "second(ends, put(inputs), quotient, forward)",
        "second(ends, put(inputs), forward, forward)",
        "slope",
        _smooth("reverse"),
    ),
    "second reverse": Check(
        "second(ends, put(inputs), quotient, reverse)",
        "second(ends, put(inputs), reverse, reverse)",
        "slope",
        _smooth("forward", "reverse"),
    ),
}
PEER = Check("program(*put(inputs))", JIT)
# Made where they are asked for by name.
CHECKS_OF_PLATFORMS = {
    "xla": Check(JIT, f"on_platform('xla_cpu', lambda: {JIT})", "platform"),
}
ALL_CHECKS = {**CHECKS, **CHECKS_OF_PLATFORMS}


@dataclass(frozen=True)
class Fault:
    """A check that does not hold, and what came instead."""

    check: str
    message: str


def tolerance(dtype: Any, slope: bool) -> float:
    """How far close values may be apart, relative to the largest."""
    if slope:
        return 2e-5
    name = str(dtype)
    return {"float16": 2e-2, "bfloat16": 0.15, "float32": 1e-3, "complex64": 1e-3}.get(name, 1e-8)


def differ(a: Any, b: Any, level: str) -> str | None:
    """How two values differ, if they do by the rule of this level."""
    if a.shape != b.shape or a.dtype != b.dtype:
        return f"{a.dtype}{a.shape} and {b.dtype}{b.shape}"
    if level == "free" or not a.size:
        return None
    x, y = onp.asarray(a), onp.asarray(b)
    kind = x.dtype if x.dtype.kind in "iub" else "complex128" if x.dtype.kind == "c" else "float64"
    if x.dtype.kind not in "iub":
        x, y = x.astype(kind), y.astype(kind)
    same = (x == y) | ((x != x) & (y != y))
    if level == "exact" or x.dtype.kind in "iub":
        wrong = ~same
    else:
        wrong = _far(x, y, same, tolerance(a.dtype, level == "slope"))
    if not wrong.any():
        return None
    at = tuple(int(i) for i in onp.argwhere(wrong)[0]) if x.ndim else ()
    return f"{x[at]!r} and {y[at]!r} at {at}; {int(wrong.sum())} of {x.size} elements differ"


def _far(x: Any, y: Any, same: Any, rtol: float) -> Any:
    """Where finite numbers are apart; what overflows in one order of a sum may not in another."""
    finite = onp.isfinite(x) & onp.isfinite(y)
    with onp.errstate(all="ignore"):
        scale = 1 + onp.max(onp.abs(x), where=finite, initial=0.0)
        return finite & ~same & (onp.abs(x - y) > rtol * scale)


def names_of(check: Check, program: Program) -> list[tuple[str, str]]:
    """The results of a check: a name and a level each."""
    if check.results == "slope":
        return [("slope", "slope")]
    levels = program.levels()
    lines = program.ends() if check.results == "ends" else program.lines
    found = [(x.name, "exact" if check.results == "same" else levels[x.name]) for x in lines]
    if check.results == "platform":
        found = [(name, "close" if level == "exact" else level) for name, level in found]
    return found


def _value(text: str, names: dict[str, Any]) -> list[Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return eval(text, names)


def run(check: Check, name: str, program: Program, left: Any, right: Any) -> Fault | None:
    """Compare the two sides of a check in the namespaces given."""
    try:
        one, other = _value(check.left, left), _value(check.right, right)
    except Exception as e:
        last = traceback.extract_tb(e.__traceback__)[-1]
        place = f"{last.filename.rpartition('/')[2]}:{last.lineno}"
        return Fault(name, f"{type(e).__name__} at {place}: {str(e)[:600]}")
    found = names_of(check, program)
    for (value, level), a, b in zip(found, one, other, strict=True):
        message = differ(a, b, level)
        if message:
            return Fault(name, f"{value} ({level}): {message}")
    return None


def defined(program: Program, library: Any = cv) -> dict[str, Any]:
    """The namespace in which a program is defined."""
    names = namespace(library)
    exec(program.source(), names)
    return names


def faults(program: Program, only: Sequence[str] | None = None, peer: bool = False) -> Fault | None:
    """The first check of a program that fails; `only` names those to make."""
    with override(enable_x64=program.x64), onp.errstate(all="ignore"):
        names = defined(program)
        for name, check in (CHECKS if only is None else ALL_CHECKS).items():
            if check.applies(program) and (only is None or name in only):
                fault = run(check, name, program, names, names)
                if fault is not None:
                    return fault
        if peer and (only is None or "peer" in only):
            return _with_peer(program, names)
    return None


def _with_peer(program: Program, names: dict[str, Any]) -> Fault | None:
    jax = importlib.import_module("jax")
    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", program.x64)
    try:
        return run(PEER, "peer", program, defined(program, jax), names)
    finally:
        jax.config.update("jax_enable_x64", before)


def chosen(program: Program, share: float) -> list[str]:
    """Names of a random share of the checks, the same each time, always with the first."""
    r = random.Random(program.seed)
    return ["jit", *(name for name in CHECKS if r.random() < share)]
