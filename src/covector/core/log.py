"""Loggers of the library (``logging.getLogger("covector...")``), loaded when something is said."""

from __future__ import annotations

import logging
import sys
from typing import Any

# What writes to the error stream, and for which loggers.
_handler: logging.Handler | None = None
_levels: dict[str, int] = {}


def say(module: str, loud: bool, text: str, *args: Any) -> None:
    """Log a line: as a warning where an option asks for it (``loud``), else for debugging."""
    logging.getLogger(f"covector.{module}").log(
        logging.WARNING if loud else logging.DEBUG, text, *args
    )


def configure(level: str, modules: str) -> None:
    """Have loggers write to the error stream, as ``logging_level``, ``debug_log_modules`` say."""
    global _handler
    for name, before in _levels.items():
        logger = logging.getLogger(name)
        logger.setLevel(before)
        if _handler is not None:
            logger.removeHandler(_handler)
    _levels.clear()
    wanted = {"covector": level} if level != "NOTSET" else {}
    wanted.update({_named(m.strip()): "DEBUG" for m in modules.split(",") if m.strip()})
    if not wanted:
        return
    if _handler is None:
        _handler = logging.StreamHandler(sys.stderr)
        _handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
    for name, of in wanted.items():
        logger = logging.getLogger(name)
        _levels[name] = logger.level
        logger.setLevel(of)
        if not any(name.startswith(f"{other}.") for other in wanted):
            logger.addHandler(_handler)


def _named(module: str) -> str:
    return module if module.split(".")[0] == "covector" else f"covector.{module}"
