"""The text of a module of LLVM IR: whole, and in parts that are compiled each by itself.

Long functions are parts, which other programs may have too; the rest is one. What a part needs of
the others it declares.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from covector.core.record import Record

# Instructions from which a function is a part of its own: LLVM takes some 2 ms for a part besides
# what it takes for its functions. Less than the other number is left together.
ALONE, REST = 100, 40
# What a function of its own is called in its part.
NAME = "function"

_named = re.compile(r"@([\w.$]+)").findall
_constants = re.compile(r"^@([\w.$]+) =", re.MULTILINE).findall

WEIGHTS = "".join(
    f'!{k} = !{{!"branch_weights", i32 {yes}, i32 {no}}}\n'
    for k, (yes, no) in enumerate(((2000, 1), (1, 2000)))
)


class FunctionText(Record):
    """A function of a module.

    Attributes
    ----------
    name : str
    text : str
        Its first line ends with the brace.
    length : int
        How many instructions it has.
    hurried : bool
        Whether it is compiled in a hurry.
    """

    name: str
    text: str
    length: int
    hurried: bool

    @property
    def declaration(self) -> str:
        head = self.text[: self.text.index("\n")]
        return _public(head[: head.rindex(")") + 1]).replace("define ", "declare ", 1)


class Part(Record):
    """Functions that are compiled together.

    Attributes
    ----------
    name : str
        What others call the function of a part that has but one, `NAME`; empty for the rest.
    text : str
        A module.
    """

    name: str
    text: str


class Text(Record):
    """A module of LLVM IR.

    Attributes
    ----------
    functions : tuple of FunctionText
    shared : tuple of (str, str)
        Declarations, constants and small functions by name, of which each part has its own.
    effort : int
        How hard LLVM is to try: 0, 1 or 2.
    """

    functions: tuple[FunctionText, ...]
    shared: tuple[tuple[str, str], ...]
    effort: int

    @property
    def text(self) -> str:
        """The whole module."""
        return _module([f.text for f in self.functions], [text for _, text in self.shared])

    @property
    def whole(self) -> Part:
        """The whole module, as a part."""
        return Part("", self.text)

    def parts(self) -> list[Part]:
        """The module in parts; which they are depends on its text alone."""
        alone: list[FunctionText] = []
        rest: list[FunctionText] = []
        for f in self.functions:
            is_long = f.length >= ALONE and not f.hurried and f.name != "entry"
            (alone if is_long else rest).append(f)
        if not alone or (len(alone) == 1 and sum([f.length for f in rest]) < REST):
            return [self.whole]
        functions = {f.name: f for f in self.functions}
        shared = {name: text for name, text in self.shared}
        for text in list(shared.values()):
            # Functions come with constants of theirs.
            shared.update(dict.fromkeys(_constants(text), text))
        parts = [
            Part(f.name, _part([_renamed(f)], functions, shared, {f.name, NAME})) for f in alone
        ]
        called = {name for p in parts for name in _named(p.text)}
        texts = [_public(f.text) if f.name in called else f.text for f in rest]
        return [Part("", _part(texts, functions, shared, {f.name for f in rest})), *parts]


def _renamed(f: FunctionText) -> str:
    return _public(f.text).replace(f"@{f.name}(", f"@{NAME}(")


def _public(text: str) -> str:
    """A function that other parts may call."""
    return text.replace("define internal ", "define ", 1)


def _part(
    texts: list[str], functions: Mapping[str, FunctionText], shared: Mapping[str, str],
    own: set[str],
) -> str:  # fmt: skip
    """A module of these functions, with what they mention."""
    needed: set[str] = set()
    todo = list(texts)
    while todo:
        for name in _named(todo.pop()):
            if name in own:
                continue
            text = functions[name].declaration if name in functions else shared[name]
            if text not in needed:
                needed.add(text)
                if name not in functions:
                    todo.append(text)
    return _module(texts, sorted(needed))


def _module(functions: Sequence[str], shared: Sequence[str]) -> str:
    return "\n\n".join([*functions, "\n".join(shared), ""]) + "\n" + WEIGHTS
