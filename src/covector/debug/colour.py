"""Colours for the texts of the compiler's stages, on a terminal."""

from __future__ import annotations

import functools
import re

_BOLD, _DIM, _RESET = "\x1b[1m", "\x1b[2m", "\x1b[0m"
_RED, _GREEN, _YELLOW, _BLUE, _MAGENTA, _CYAN = (f"\x1b[3{k}m" for k in range(1, 7))

# What stands first wins. The texts have most kinds of words in common; `;` and `#` begin comments
# in those of LLVM alone.
_COMMENT = (r"[;#].*$", _DIM)
_RULES = (
    (r"^(?:====|----).*$", _BOLD),
    (r"\"(?:[^\"\\]|\\.)*\"", _GREEN),
    (r"\b(?:bool|key|bf16|[fiuc]\d+)\[[\w,* ]*\]\*?", _YELLOW),
    (
        r"\b(?:lambda|let|in|define|declare|ret|br|phi|call|load|store|program|sizes|constants|"
        r"donated|return|update|repeat|while|next|branch|case|yield|if|else|cumulative|nest|loop|"
        r"stage|inline)\b",
        _BLUE,
    ),
    (r"[%@][\w.$-]+", _CYAN),
    (r"^\s*[.\w]+:$", _MAGENTA),
    (r"(?<![\w.])-?\d+(?:\.\d*)?(?:e[+-]?\d+)?\b", _GREEN),
)
_WITH_COMMENTS = frozenset(("llvm", "optimised", "asm"))


@functools.cache
def _words(comments: bool) -> tuple[re.Pattern[str], tuple[str, ...]]:
    rules = (_COMMENT, *_RULES) if comments else _RULES
    pattern = re.compile("|".join(f"({p})" for p, _ in rules), re.M)
    return pattern, tuple(colour for _, colour in rules)


def coloured(text: str, stage: str) -> str:
    """``text`` with the escape sequences of a terminal."""
    pattern, colours = _words(stage in _WITH_COMMENTS)

    def colour(word: re.Match[str]) -> str:
        assert word.lastindex is not None
        return f"{colours[word.lastindex - 1]}{word[0]}{_RESET}"

    return pattern.sub(colour, text)
