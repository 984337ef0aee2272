"""Texts of programs that are compiled, in files (option `dump_ir_to`)."""

from __future__ import annotations

import itertools
import os
import re

from covector.core.backend import Module
from covector.core.config import config
from covector.core.errors import warn
from covector.core.jaxpr import ClosedJaxpr

_numbers = itertools.count()


def dump(module: Module, name: str) -> None:
    """Write the stages of a program that ``dump_ir_modes`` names, each to a file of its own."""
    number = next(_numbers)
    # Names of functions may have any characters, such as those of a lambda.
    plain = re.sub(r"[^\w.-]+", "_", name).strip("_") or "program"
    try:
        folder = os.path.expanduser(config.dump_ir_to)
        os.makedirs(folder, exist_ok=True)
        for mode in config.dump_ir_modes.split(","):
            stage = mode.strip()
            if stage in module.dialects:
                path = os.path.join(folder, f"{os.getpid()}_{number:05}_{plain}.{stage}.txt")
                with open(path, "w", encoding="utf-8") as f:
                    f.write(_text(module, stage) + "\n")
    except OSError as e:
        warn(f"the programs that the option dump_ir_to asks for cannot be written: {e}")


def _text(module: Module, stage: str) -> str:
    text = module.as_text(stage)
    program = getattr(module, "jaxpr", None)
    if stage != "jaxpr" or not config.include_debug_info_in_dumps:
        return text
    info = program.jaxpr.debug_info if isinstance(program, ClosedJaxpr) else None
    return f"# {info.func_name} at {info.source}\n{text}" if info and info.source else text
