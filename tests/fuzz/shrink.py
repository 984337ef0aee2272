"""Smaller programs with the same fault, and files that show it."""

from __future__ import annotations

import time
from pathlib import Path

from tests.fuzz.checks import ALL_CHECKS, PEER, Fault, faults
from tests.fuzz.program import PRELUDE, Program, smaller, write


def size(program: Program) -> tuple[int, int, int]:
    """What shrinking makes smaller."""
    elements = sum(sum(x.shape) + x.special for x in program.inputs)
    return len(program.lines), elements, len(program.source())


def kind(fault: Fault) -> str:
    """What two programs have in common that have the same fault."""
    raised = fault.message.split(" at ")[0] if " at " in fault.message[:60] else ""
    return fault.check + (raised if "Error" in raised else "")


def shrink(
    program: Program, fault: Fault, peer: bool, seconds: float = 60
) -> tuple[Program, Fault]:
    """The smallest program found in that time that fails the same check in the same way."""
    end = time.monotonic() + seconds
    again = True
    while again:
        again = False
        for candidate in smaller(program):
            if time.monotonic() > end:
                return program, fault
            new = write(candidate)
            if new is None or not new.lines or size(new) >= size(program):
                continue
            found = faults(new, [fault.check], peer)
            if found is not None and kind(found) == kind(fault):
                program, fault, again = new, found, True
                break
    return program, fault


def reproducer(program: Program, fault: Fault) -> str:
    """A program that shows a fault without this package."""
    check = PEER if fault.check == "peer" else ALL_CHECKS[fault.check]
    message = "\n".join(f"#   {line}" for line in fault.message.splitlines())
    peer = (
        "import jax as cv\nimport jax.numpy as np\nfrom jax import lax\n"
        if fault.check == "peer"
        else ""
    )
    other = "\n# With the imports of JAX the first is the value expected:\n#" if peer else "\n"
    other += "\n# ".join(["", *peer.splitlines()]) + "\n" if peer else ""
    return (
        f"# Seed {program.seed}; the check {fault.check!r} fails:\n{message}\n"
        "import numpy as onp\n\nimport covector as cv\nimport covector.numpy as np\n"
        f"from covector import lax\n{other}\n"
        f'cv.config.update("enable_x64", {program.x64})\n\n\n{PRELUDE}\n\n{program.source()}\n\n'
        f"print({check.left})\nprint({check.right})\n"
    )


def save(program: Program, fault: Fault, folder: Path) -> Path:
    """Write a reproducer into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{fault.check.replace(' ', '_').replace('=', 'is')}_{program.seed}.py"
    path.write_text(reproducer(program, fault))
    return path
