"""The text of a schedule and a storage plan, read back for the program they are of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NoReturn

from covector.compiler.ir.nodes import (
    Block,
    Branch,
    Cumulative,
    LibraryCall,
    Loop,
    LoopProgram,
    Pointwise,
    Reduce,
    Strips,
    Update,
    Value,
    stands_alone,
)
from covector.compiler.schedule.kinds import formula
from covector.compiler.schedule.loops import joins_rows
from covector.compiler.schedule.nodes import (
    Extent,
    Nest,
    NestLoop,
    Schedule,
    Stage,
    Step,
    Times,
)
from covector.compiler.schedule.show import KINDS, names_of, show
from covector.compiler.schedule.stages import make
from covector.compiler.schedule.storage import (
    Argument,
    Carry,
    Current,
    Next,
    Piece,
    PieceUse,
    Place,
    Storage,
)
from covector.compiler.target import Target

_STAGES = ("pointwise", "reduce", "init", "accumulate", "cumulative", "part")
# The definitions that a step of its own is of.
_STEPS = {"call": LibraryCall, "loop": Loop, "branch": Branch, "strips": Strips, "reduce": Reduce}
_CARRIES = ("reg", "fixed", "inplace", "swap", "move")


class ParseError(ValueError):
    """A text that breaks a rule, with its place: lines and columns count from 1."""

    def __init__(self, line: int, column: int, rule: str) -> None:
        super().__init__(f"line {line}, column {column}: {rule}")
        self.line = line
        self.column = column
        self.rule = rule


def parse(text: str, program: LoopProgram) -> tuple[Schedule, Storage | None]:
    """The schedule and the storage plan (if there is one) that ``show`` wrote as ``text``."""
    return _Parser(text, program).parse()


def check_text(program: LoopProgram, schedule: Schedule, storage: Storage) -> None:
    """Raise `ValueError` where the text does not say all of a schedule and its storage plan."""
    text = show(program, schedule, storage)
    if parse(text, program) != (schedule, storage):
        raise ValueError("this text is not all of the schedule it shows:\n" + text)


def _is_number(word: str) -> bool:
    return word.isascii() and word.isdigit()


class _Line:
    """A line, and how far it has been read."""

    def __init__(self, number: int, text: str) -> None:
        self.number = number
        self.indent = len(text) - len(text.lstrip(" "))
        self.text = text
        self.at = self.indent

    def fail(self, rule: str) -> NoReturn:
        raise ParseError(self.number, self.at + 1, rule)

    def peek(self) -> str:
        """The next word; empty at the end."""
        end = self.text.find(" ", self.at)
        return self.text[self.at :] if end < 0 else self.text[self.at : end]

    def word(self, what: str = "a word") -> str:
        found = self.peek()
        if not found:
            self.fail(f"{what} is missing")
        self.at += len(found)
        if self.at < len(self.text):
            self.at += 1
        return found

    def accept(self, word: str) -> bool:
        if self.peek() != word:
            return False
        self.word()
        return True

    def expect(self, *words: str) -> None:
        for w in words:
            if self.peek() != w:
                self.fail(f"'{w}' is expected here")
            self.word()

    def one_of(self, words: Sequence[str]) -> str:
        if self.peek() not in words:
            self.fail(f"one of {', '.join(words)} is expected here")
        return self.word()

    def number_(self) -> int:
        found = self.peek()
        if not _is_number(found):
            self.fail("a number is expected here")
        self.word()
        return int(found)

    def end(self) -> None:
        if self.at < len(self.text):
            self.fail("the line should end here")


def _fits(v: Value, kind: str, number: int) -> bool:
    """Whether a stage of this kind is one of the definition of ``v``."""
    d = v.defn
    match kind:
        case "pointwise":
            if type(d) is Update:
                return d.base is not None or joins_rows(v, d)
            return type(d) is Pointwise
        case "cumulative":
            return type(d) is Cumulative
        case "part":
            return type(d) is Update and number < len(d.parts)
    return type(d) is Reduce


def _axes(v: Value, kind: str, number: int) -> int:
    """How many index variables a stage of this kind has."""
    d = v.defn
    if kind == "part" and type(d) is Update:
        return len(d.parts[number].extents)
    return v.ndim + (len(d.extents) if type(d) is Reduce else 0)


class _Parser:
    def __init__(self, text: str, program: LoopProgram) -> None:
        self.program = program
        self.values = {name: v for v, name in names_of(program).items()}
        self.syms = {str(s): s for s in program.syms}
        lines = [ln.rstrip() for ln in text.split("\n")]
        self.lines = [_Line(k + 1, ln) for k, ln in enumerate(lines) if ln]
        self.at = 0
        self.kinds: dict[Value, str] = {}
        self.steps: dict[Block, tuple[Step, ...]] = {}
        self.places: dict[Value, Place] = {}
        self.carries: dict[Value, tuple[Carry, ...]] = {}
        self.joins: dict[Value, tuple[tuple[bool, ...], ...]] = {}
        self.pieces: list[PieceUse] = []
        self.donations: list[tuple[int, int]] = []
        self.copies: list[tuple[Value, Argument]] = []
        self.stack: set[Value] = set()

    def parse(self) -> tuple[Schedule, Storage | None]:
        line = self.take(0)
        line.expect("schedule", "for", "vectors", "of")
        target = Target(line.number_())
        line.expect("bytes")
        line.end()
        words = {word: kind for kind, word in KINDS.items()}
        while (more := self.inside(2)) is not None and more.peek() in words:
            line = self.take(2)
            kind = words[line.word()]
            while line.peek():
                column, v = line.at, self.value(line)
                if kind == "inline" and formula(v) is None:
                    line.at = column
                    line.fail("only a pointwise value is computed where it is read")
                self.kinds[v] = kind
        self.block(self.program.block, 2)
        storage = None
        if self.at < len(self.lines):
            storage = self.storage()
        if self.at < len(self.lines):
            self.lines[self.at].fail("the text should end here")
        return Schedule(target, self.kinds, self.steps), storage

    # --- lines ---

    def inside(self, indent: int) -> _Line | None:
        """The next line if it is indented by at least ``indent``."""
        if self.at < len(self.lines) and self.lines[self.at].indent >= indent:
            return self.lines[self.at]
        return None

    def take(self, indent: int) -> _Line:
        """The next line, which has to be indented by ``indent``."""
        if self.at >= len(self.lines):
            last = self.lines[-1].number if self.lines else 0
            raise ParseError(last + 1, 1, "the text ends too early")
        line = self.lines[self.at]
        if line.indent != indent:
            line.fail(f"a line indented by {indent} is expected here")
        self.at += 1
        return line

    def value(self, line: _Line) -> Value:
        found = self.values.get(line.peek())
        if found is None:
            line.fail(f"'{line.peek()}' is no value of the program")
        line.word()
        return found

    def extent(self, line: _Line) -> Extent:
        column = line.at
        out: Extent | None = None
        for name in reversed(line.word("an extent").split("*")):
            factor: Extent | None = int(name) if _is_number(name) else self.syms.get(name)
            if factor is None:
                line.at = column
                line.fail(f"'{name}' is no size of the program")
            out = factor if out is None else Times(factor, out)
        assert out is not None
        return out

    # --- steps ---

    def block(self, block: Block, indent: int) -> None:
        out: list[Step] = []
        while self.inside(indent) is not None:
            line = self.take(indent)
            out.append(self.step(line, indent))
        self.steps[block] = tuple(out)

    def step(self, line: _Line, indent: int) -> Step:
        what = line.one_of(("nest", *_STEPS, "unroll"))
        if what == "nest":
            return self.nest(line, indent)
        column = line.at
        v = self.value(line)
        line.end()
        d = v.defn
        fits = _STEPS.get(what)
        if (type(d) is not fits) if fits else stands_alone(d):
            line.at = column
            line.fail(f"'{what}' does not fit the value's definition")
        if type(d) is Loop:
            self.loop(d, indent)
        elif type(d) is Branch:
            for k, b in enumerate(d.blocks):
                self.headed(indent + 2, "case", str(k))
                self.block(b, indent + 4)
        elif type(d) is Strips:
            self.block(d.block, indent + 2)
        return v

    def loop(self, d: Loop, indent: int) -> None:
        if d.cond is not None:
            self.headed(indent + 2, "while")
            self.block(d.cond, indent + 4)
        self.headed(indent + 2, "body")
        self.block(d.body, indent + 4)

    def headed(self, indent: int, *words: str) -> None:
        line = self.take(indent)
        line.expect(*words)
        line.end()

    def nest(self, line: _Line, indent: int) -> Nest:
        tasks = line.one_of(("loop", "partial", "groups", "copies")) if line.accept("tasks") else ""
        held: dict[str, set[Value]] = {"contracted": set(), "rows": set()}
        for kind, values in held.items():
            if line.accept(kind):
                while line.peek() and line.peek() not in held:
                    values.add(self.value(line))
        line.end()
        root = self.node(indent + 2, ())
        return Nest(root, frozenset(held["contracted"]), frozenset(held["rows"]), tasks)

    def node(self, indent: int, dims: tuple[Extent, ...]) -> NestLoop | Stage:
        line = self.take(indent)
        if not line.accept("for"):
            return self.stage(line, dims)
        dim = self.extent(line)
        role = line.one_of("prstb")
        lanes = line.number_() if line.accept("vector") else 0
        unrolled = line.accept("unrolled")
        together = line.number_() if line.accept("together") else 1
        stretches = line.accept("in")
        if stretches:
            line.expect("stretches")
        apart = line.accept("rest")
        if apart:
            line.expect("apart")
        line.end()
        children = []
        while self.inside(indent + 2) is not None:
            children.append(self.node(indent + 2, (*dims, dim)))
        if not children:
            line.fail("a loop has something inside")
        return NestLoop(dim, role, tuple(children), lanes, unrolled, together, stretches, apart)

    def stage(self, line: _Line, dims: tuple[Extent, ...]) -> Stage:
        v = self.value(line)
        column = line.at
        kind = line.one_of(_STAGES)
        number = line.number_() if kind == "part" else 0
        if not _fits(v, kind, number):
            line.at = column
            line.fail("the definition of the value has no such stage")
        order, roles = [], ""
        while line.peek() and line.peek() != "few":
            axis, _, role = line.peek().partition(":")
            if not (axis[:1] == "i" and _is_number(axis[1:]) and role in ("", *"rstb")):
                line.fail("an index variable is expected here")
            if int(axis[1:]) >= _axes(v, kind, number):
                line.fail(f"the value has no index variable '{axis}'")
            line.word()
            order.append(int(axis[1:]))
            roles += role or "p"
        few = line.accept("few")
        line.end()
        if len(order) != len(dims):
            line.at = line.indent
            line.fail(f"a stage has an index variable for each of the {len(dims)} loops around it")
        return make(v, kind, order, dims, roles, self.inline, number, few)

    def inline(self, v: Value) -> bool:
        return self.kinds.get(v) == "inline"

    # --- storage ---

    def storage(self) -> Storage:
        self.headed(0, "storage")
        line = self.take(2)
        line.expect("workspace", "argument")
        workspace = line.number_()
        line.end()
        entries: dict[str, Callable[[_Line], None]] = {
            "piece": lambda line: self.pieces.append(self.piece(line, len(self.pieces))),
            "donate": self.donated,
            "loop": self.carried,
            "branch": self.joined,
            "copy": self.copied,
            "stack": self.spilled,
        }
        while self.inside(2) is not None:
            line = self.take(2)
            entry = entries.get(line.peek())
            if entry is not None:
                line.word()
                entry(line)
            else:
                v = self.value(line)
                line.expect("in")
                self.places[v] = self.place(line)
            line.end()
        return Storage(
            self.places, self.carries, self.joins, tuple(self.pieces), tuple(self.donations),
            tuple(self.copies), frozenset(self.stack), workspace,
        )  # fmt: skip

    def copied(self, line: _Line) -> None:
        v = self.value(line)
        line.expect("to", "argument")
        self.copies.append((v, Argument(line.number_())))

    def donated(self, line: _Line) -> None:
        line.expect("input")
        k = line.number_()
        line.expect("to", "result")
        self.donations.append((k, line.number_()))

    def spilled(self, line: _Line) -> None:
        while line.peek():
            self.stack.add(self.value(line))

    def piece(self, line: _Line, number: int) -> PieceUse:
        line.expect(str(number), "of")
        column = line.at
        *names, itemsize = line.word("a size").split("*")
        dims = []
        for name in names:
            d = int(name) if _is_number(name) else self.syms.get(name)
            if d is None:
                line.at = column
                line.fail(f"'{name}' is no size of the program")
            dims.append(d)
        if not itemsize.isdigit():
            line.at = column
            line.fail("a size ends with the bytes of an element")
        line.expect("in", "steps")
        start = line.number_()
        line.expect("to")
        return PieceUse(tuple(dims), int(itemsize), start, line.number_())

    def place(self, line: _Line) -> Place:
        match line.one_of(("argument", "piece", "current", "next")):
            case "argument":
                return Argument(line.number_())
            case "piece":
                return Piece(line.number_())
            case "current":
                return Current(self.value(line))
        return Next(self.value(line))

    def carried(self, line: _Line) -> None:
        v = self.value(line)
        d = v.defn
        if type(d) is not Loop:
            line.fail("carries belong to a loop")
        out = []
        for value, result, new in zip(d.carries, d.results, d.body.results, strict=True):
            out.append(self.carry(self.take(4), value, result, new))
        self.carries[v] = tuple(out)

    def carry(self, line: _Line, value: Value, result: Value, out: Value) -> Carry:
        how = line.one_of(_CARRIES)
        if self.values.get(line.peek()) is not value:
            line.fail("the carries of a loop stand in their order")
        line.word()
        home = self.place(line) if line.accept("home") else None
        other = None
        if line.accept("other"):
            line.expect("piece")
            other = Piece(line.number_())
        filled = line.accept("filled")
        written = line.word() if line.peek() in ("computed", "copied") else ""
        source = line.number_() if line.accept("source") else None
        heir = line.number_() if line.accept("heir") else None
        line.end()
        return Carry(value, result, out, how, home, other, filled, written, source, heir)

    def joined(self, line: _Line) -> None:
        v = self.value(line)
        d = v.defn
        if type(d) is not Branch:
            line.fail("cases belong to a branch")
        out = []
        for k in range(len(d.blocks)):
            case = self.take(4)
            case.expect("case", str(k), "copies")
            which = set()
            while case.peek():
                which.add(case.number_())
            case.end()
            out.append(tuple([n in which for n in range(len(d.results))]))
        self.joins[v] = tuple(out)
