"""Numbers of a program: real ones are a value, complex ones two."""

from __future__ import annotations

from covector.backends.cpu.writer import Val
from covector.core.record import Record


class Cx(Record):
    """A complex number: real and imaginary part."""

    re: Val
    im: Val


Number = Val | Cx


def real(x: Number) -> Val:
    """A number that is known not to be complex."""
    assert type(x) is Val
    return x
