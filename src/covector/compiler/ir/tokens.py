"""Words, numbers and marks of the loop IR's text, one after another."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import NamedTuple, NoReturn, TypeVar

from covector.compiler.ir.errors import LoopTextError, Place

T = TypeVar("T")
END = "end of text"


class Token(NamedTuple):
    kind: str
    text: str
    place: Place


_PATTERN = re.compile(
    r'(?P<string>"(?:[^"\\]|\\.)*")'
    r"|(?P<number>-?(?:0x[0-9a-f]+|\d+(?:\.\d+)?(?:e[-+]?\d+)?|inf\b))"
    r"|(?P<name>key<fry>|[A-Za-z_]\w*)"
    r"|(?P<mark>//|<=|[-+*%()\[\]{}<>:,.=@&])"
    r"|(?P<wrong>\S)",
    re.ASCII,
)


def _tokens(text: str) -> list[Token]:
    out = []
    lines = text.split("\n")
    for row, line in enumerate(lines, 1):
        for m in _PATTERN.finditer(line):
            kind = m.lastgroup
            place = Place(row, m.start() + 1)
            if kind is None or kind == "wrong":
                raise LoopTextError(f"{m[0]!r} is no part of the language", *place)
            out.append(Token(kind, m[0], place))
        if out and out[-1].kind != "end":
            out.append(Token("end", "end of line", Place(row, len(line) + 1)))
    out.append(Token("end", END, Place(len(lines), len(lines[-1]) + 1)))
    return out


class Reader:
    """Tokens one after another."""

    def __init__(self, text: str) -> None:
        self.tokens = _tokens(text)
        self.at = 0

    @property
    def next(self) -> Token:
        return self.tokens[self.at]

    def take(self) -> Token:
        token = self.tokens[self.at]
        if token.text != END:
            self.at += 1
        return token

    def fail(self, rule: str, token: Token | None = None) -> NoReturn:
        raise LoopTextError(rule, *(token or self.next).place)

    def sees(self, *texts: str) -> bool:
        """Whether the next token is one of these."""
        token = self.tokens[self.at]
        return token.text in texts and token.kind in ("mark", "name")

    def skip(self, text: str) -> bool:
        """Takes the next token if it is this one."""
        token = self.tokens[self.at]
        if token.text == text and token.kind in ("mark", "name"):
            self.at += 1
            return True
        return False

    def expect(self, text: str) -> Token:
        if not self.sees(text):
            self.fail(f"expected {text!r}, found {self.next.text!r}")
        return self.take()

    def end(self) -> None:
        if self.next.kind != "end":
            self.fail(f"expected the end of the line, found {self.next.text!r}")
        self.take()

    def name(self, what: str = "a name") -> Token:
        if self.next.kind != "name":
            self.fail(f"expected {what}, found {self.next.text!r}")
        return self.take()

    def integer(self) -> int:
        if self.next.kind != "number":
            self.fail(f"expected a number, found {self.next.text!r}")
        return self.whole(self.take())

    def whole(self, token: Token, bits: int = 64) -> int:
        """The value of a token that is a whole number of at most so many bits."""
        try:
            found = int(token.text, 0)
        except ValueError:
            self.fail(f"{token.text} is no whole number", token)
        if not -(1 << (bits - 1)) <= found < 1 << bits:
            self.fail(f"{token.text} does not fit into {bits} bits", token)
        return found

    def listed(self, item: Callable[[], T], close: str) -> list[T]:
        """Items with commas between them, up to and with ``close``."""
        out: list[T] = []
        while not self.skip(close):
            if out:
                self.expect(",")
            out.append(item())
        return out

    def rest(self, item: Callable[[], T]) -> list[T]:
        """Items with commas between them, to the end of the line."""
        out: list[T] = []
        while self.next.kind != "end":
            if out:
                self.expect(",")
            out.append(item())
        self.take()
        return out

    def string(self) -> str:
        if self.next.kind != "string":
            self.fail(f"expected a string, found {self.next.text!r}")
        token = self.take()
        try:
            found: str = json.loads(token.text, strict=False)
        except ValueError:
            self.fail(f"{token.text} is no string", token)
        return found
