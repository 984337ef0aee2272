"""A program of the loop IR as text: complete, so that `parse.parse` makes it again.

The text without the values of run-time sizes and without the program's name is the key of
compiled code (`key`): what is not in it, no later stage may look at.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

from covector.compiler.ir import constants
from covector.compiler.ir.constants import SHORT
from covector.compiler.ir.nodes import (
    Arg,
    Block,
    Bound,
    Branch,
    Combination,
    Cumulative,
    Dim,
    FromIndex,
    IDyn,
    IOp,
    IPart,
    IVar,
    LibraryCall,
    Lit,
    Load,
    Loop,
    LoopProgram,
    Node,
    Op,
    Part,
    Pointwise,
    Reduce,
    Strips,
    Sym,
    Test,
    Update,
    Value,
    Where,
    gives_value,
)
from covector.compiler.ir.visit import Walk

_IVARS = tuple(f"i{k}" for k in range(64))


def show(program: LoopProgram) -> str:
    """The program's text."""
    return Writer().program(program, True)


def key(program: LoopProgram) -> str:
    """The text without the values of sizes and the name: equal keys mean equal code."""
    return Writer().program(program, False)


def names_of(program: LoopProgram) -> dict[Value, str]:
    """The names of values in the program's text."""
    writer = Writer()
    writer.program(program, True)
    return writer.names


def show_node(node: Node) -> str:
    """An index or expression alone; values are numbered as they come."""
    return _Names().visit(node)


def quoted(text: str) -> str:
    """A string as JSON has it."""
    for old, new in (("\\", "\\\\"), ('"', '\\"'), ("\n", "\\n")):
        text = text.replace(old, new)
    return f'"{text}"'


def attribute(x: Any) -> str:
    """A parameter of an operation or library call."""
    if x is None:
        return "none"
    if isinstance(x, bool):
        return "true" if x else "false"
    if isinstance(x, str):
        return quoted(x)
    if isinstance(x, tuple):
        return f"({', '.join(map(attribute, x))})"
    if isinstance(x, dict):
        return f"{{{', '.join(f'{k}: {attribute(v)}' for k, v in x.items())}}}"
    if isinstance(x, (int, Sym)):
        return str(x)
    raise TypeError(f"a parameter of the loop IR cannot be {x!r}")


class _Nodes(Walk):
    """Texts of indices and expressions, given the names of values."""

    __slots__ = ("names",)

    def __init__(self) -> None:
        self.names: dict[Value, str] = {}

    def all(self, nodes: Iterable[Node]) -> str:
        table = self._table
        return ", ".join([table[type(n)](self, n) for n in nodes])

    def constant(self, node: int) -> str:
        return str(node)

    def sym(self, node: Sym) -> str:
        return f"n{node.slot}"

    def ivar(self, node: IVar) -> str:
        return _IVARS[node.axis]

    def iop(self, node: IOp) -> str:
        return f"({self.visit(node.a)} {node.op} {self.visit(node.b)})"

    def dyn(self, node: IDyn) -> str:
        return f"[{self.visit(node.expr)}]"

    def part(self, node: IPart) -> str:
        return f"{self.visit(node.position)}@{_tuple(node.dims)}.{node.axis}"

    def lit(self, node: Lit) -> str:
        return f"{constants.text(node.value, node.dtype)}:{SHORT[node.dtype]}"

    def arg(self, node: Arg) -> str:
        return f"a{node.position}:{SHORT[node.dtype]}"

    def load(self, node: Load) -> str:
        out = []
        for i in node.index:
            out.append(_IVARS[i.axis] if type(i) is IVar else self._table[type(i)](self, i))
        return f"{self.names[node.value]}[{', '.join(out)}]"

    def op(self, node: Op) -> str:
        attr = "" if node.attr is None else f"<{attribute(node.attr)}>"
        return f"{node.name}.{SHORT[node.dtype]}{attr}({self.all(node.args)})"

    def from_index(self, node: FromIndex) -> str:
        return f"{SHORT[node.dtype]}({self.visit(node.index)})"

    def where(self, node: Where) -> str:
        tests = self.tests(node.tests)
        return f"({self.visit(node.then)} if {tests} else {self.visit(node.other)})"

    def tests(self, tests: Iterable[Test]) -> str:
        show = self.visit
        return " & ".join([f"{show(lo)} <= {show(i)} < {show(hi)}" for i, lo, hi in tests])


class _Unknown(dict[Value, str]):
    """Names, with a question mark for values of which there is no definition."""

    def __missing__(self, v: Value) -> str:
        return "?"


def show_broken(program: LoopProgram) -> tuple[str, dict[Value, str]]:
    """The text of a program that may not be whole, and the names of its values there."""
    writer = Writer()
    writer.names = _Unknown()
    return writer.program(program, True), writer.names


class _Names(_Nodes):
    """Names values as it meets them."""

    def load(self, node: Load) -> str:
        self.names.setdefault(node.value, f"v{len(self.names)}")
        return super().load(node)


def _tuple(xs: Iterable[Any]) -> str:
    return f"({', '.join(map(str, xs))})"


def _extents(first: int, extents: Sequence[Dim]) -> str:
    return ", ".join([f"i{first + k} < {n}" for k, n in enumerate(extents)])


class Writer(_Nodes):
    """Writes a program line by line, numbering values in the order of their definition."""

    __slots__ = ("lines",)
    # Methods by the kind of a definition; each appends lines that begin with `left`.
    definitions: ClassVar[dict[type, Any]]

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def program(self, p: LoopProgram, bound: bool) -> str:
        name = quoted(p.name if bound else "")
        self.lines.append(f"program {name}({self.typed_all(p.inputs)})")
        if p.donated:
            pairs = zip(p.inputs, p.donated, strict=True)
            self.lines.append(f"  donated {self.named(v for v, d in pairs if d)}")
        if p.large:
            self.lines.append("  large")
        if p.consts:
            self.lines.append(f"  constants {self.typed_all(p.consts)}")
        if p.syms:
            sizes = [f"n{s.slot} = {s.value}" if bound else f"n{s.slot}" for s in p.syms]
            self.lines.append(f"  sizes {', '.join(sizes)}")
        self.block(p.block, "  ", "return")
        return "\n".join(self.lines)

    def named(self, values: Iterable[Value]) -> str:
        names = self.names
        return ", ".join([names[v] for v in values])

    def typed(self, v: Value) -> str:
        """Gives ``v`` a name."""
        name = self.names[v] = f"v{len(self.names)}"
        return f"{name}:{SHORT[v.dtype]}[{','.join(map(str, v.shape))}]"

    def typed_all(self, values: Iterable[Value]) -> str:
        return ", ".join([self.typed(v) for v in values])

    def block(self, block: Block, pad: str, last: str) -> None:
        for v in block.values:
            if v.output_index == 0:
                d = v.defn
                left = self.typed_all(d.results or (v,)) if gives_value(d) else ""
                self.definitions[type(d)](
                    self, d, v, pad + left + " = " if left else pad, pad + "  "
                )
        self.lines.append(f"{pad}{last} {self.named(block.results)}")

    # --- definitions: `left` is the line so far, `pad` that of lines below ---

    def pointwise(self, d: Pointwise, v: Value, left: str, pad: str) -> None:
        self.lines.append(f"{left}{'flat ' if d.flat else ''}{self.visit(d.expr)}")

    def reduce(self, d: Reduce, v: Value, left: str, pad: str) -> None:
        over = f"over ({_extents(v.ndim, d.extents)}) order {_tuple(d.order)}"
        self.lines.append(f"{left}{self.combination(d.kind)} {over}: {self.all(d.exprs)}")

    def combination(self, c: Combination) -> str:
        if c.known:
            return c.name
        return f"reduce from ({self.all(c.identity)}) by ({self.all(c.results)})"

    def cumulative(self, d: Cumulative, v: Value, left: str, pad: str) -> None:
        way = " reverse" if d.reverse else ""
        kind = self.combination(d.kind)
        self.lines.append(f"{left}cumulative {kind} along {d.axis}{way}: {self.visit(d.expr)}")

    def update(self, d: Update, v: Value, left: str, pad: str) -> None:
        self.lines.append(f"{left}update {self.names[d.base] if d.base else 'nothing'}")
        for p in d.parts:
            self.lines.append(pad + self.update_part(p))
        if d.pointwise is not None:
            self.lines.append(f"{pad}each {self.visit(d.pointwise)}")

    def update_part(self, p: Part) -> str:
        tests = f" if {self.tests(p.tests)}" if p.tests else ""
        serial = f" serial {_tuple(p.serial)}" if p.serial else ""
        serial += " grouped" if p.grouped else ""
        dest = f"[{self.all(p.dest)}]{f' {p.combine}' if p.combine else ''}"
        return f"part ({_extents(0, p.extents)}){tests}{serial}: {dest} = {self.visit(p.expr)}"

    def call(self, d: LibraryCall, v: Value, left: str, pad: str) -> None:
        effect = " effect" if d.effect else ""
        operands = self.named(d.operands)
        self.lines.append(f"{left}call {d.kind}({operands}) {attribute(d.attrs)}{effect}")

    def loop(self, d: Loop, v: Value, left: str, pad: str) -> None:
        head = "while" if d.trips is None else f"repeat {d.trips}"
        if d.counter is not None:
            head += f" counter {self.typed(d.counter)}"
        inits = self.names
        carries = ", ".join(
            [
                f"{_kind(c)}{self.typed(c)} = {inits[i]}"
                for c, i in zip(d.carries, d.inits, strict=True)
            ]
        )
        self.lines.append(f"{left}{head} ({carries})")
        if d.cond is not None:
            self.block(d.cond, pad, "test")
        self.block(d.body, pad, "next")

    def branch(self, d: Branch, v: Value, left: str, pad: str) -> None:
        self.lines.append(f"{left}branch {self.names[d.index]} of {len(d.blocks)}")
        for b in d.blocks:
            self.block(b, pad, "yield")

    def strips(self, d: Strips, v: Value, left: str, pad: str) -> None:
        places = [k for k, w in enumerate(d.whole) if w]
        whole = f" whole {_tuple(places)}" if places else ""
        self.lines.append(f"{left}strips {self.typed(d.lane)} of {d.extent}{whole}")
        self.block(d.block, pad, "yield")


def _kind(c: Value) -> str:
    d: Bound = c.defn
    return "" if d.what == "carry" else f"{d.what} "


Writer.definitions = {
    Pointwise: Writer.pointwise,
    Reduce: Writer.reduce,
    Cumulative: Writer.cumulative,
    Update: Writer.update,
    LibraryCall: Writer.call,
    Loop: Writer.loop,
    Branch: Writer.branch,
    Strips: Writer.strips,
}
