"""Transfers between the host and devices, and what the options `transfer_guard` make of them."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

from covector.core.config import config
from covector.core.errors import JaxRuntimeError, at_user_line, user_frame

_WORDS = {
    "host_to_device": "from the host to a device",
    "device_to_device": "from one device to another",
    "device_to_host": "from a device to the host",
}


class _Asked(threading.local):
    """Whether the running code was asked for its transfers (`device_put`, `device_get`), and
    whether the guard has heard of them."""

    blocks = 0
    told = 0


_asked = _Asked()


@contextlib.contextmanager
def asked_for() -> Iterator[None]:
    """Context manager: transfers in the block are explicit."""
    _asked.blocks += 1
    try:
        yield
    finally:
        _asked.blocks -= 1


@contextlib.contextmanager
def heard_of() -> Iterator[None]:
    """Context manager: the guard has been told of what is moved in the block, or nothing is but
    by a program on the devices that have it."""
    _asked.told += 1
    try:
        yield
    finally:
        _asked.told -= 1


def guarded(direction: str) -> bool:
    """Whether something becomes of transfers in a direction."""
    return getattr(config, f"transfer_guard_{direction}") not in (None, "allow")


def transfer(direction: str, what: str) -> None:
    """Tell the guard of a transfer. A backend does so before it copies memory to the host.

    Raises
    ------
    RuntimeError
        If transfers in this direction are disallowed.
    """
    level = getattr(config, f"transfer_guard_{direction}")
    if level is None or level == "allow" or _asked.told:
        return
    if _asked.blocks and not level.endswith("_explicit"):
        return
    if level.startswith("disallow"):
        asks = "device_get" if direction == "device_to_host" else "device_put"
        remedy = f"ask for it with {asks}"
        if level == "disallow_explicit":
            remedy = f"it forbids those by {asks}, too"
        raise JaxRuntimeError(
            f"disallowed transfer {_WORDS[direction]}: {what}\nThe option transfer_guard_"
            f"{direction} is {level!r}: {remedy}{at_user_line()}"
        )
    from covector.core import log  # few processes need it

    frame = user_frame()
    where = f", at {frame}" if frame else ""
    log.say("transfers", True, "transfer %s: %s%s", _WORDS[direction], what, where)


def check_operands(operands: list[Any], avals: list[Any], where: Any, what: str) -> None:
    """Tell the guard of the operands of a program that are not where it runs."""
    from covector.core.avals import Array

    for x, aval in zip(operands, avals, strict=True):
        if type(x) is not Array:
            transfer("host_to_device", f"{aval.str_short()}, an operand of {what}")
        elif x.sharding != where:
            transfer("device_to_device", f"{aval.str_short()}, an operand of {what}")
