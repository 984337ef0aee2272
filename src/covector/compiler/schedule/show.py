"""A schedule and a storage plan as text: complete, so that `parse.parse` makes them again.

Values are named as in the text of the program. The loops are written as they nest; a stage
names its value, its kind and the index variable (with its role, unless it is parallel) of each
loop around it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from covector.compiler.ir import show as show_ir
from covector.compiler.ir.nodes import Block, Branch, LibraryCall, Loop, LoopProgram, Strips, Value
from covector.compiler.ir.walk import sub_blocks
from covector.compiler.schedule.nodes import Nest, NestLoop, Schedule, Stage
from covector.compiler.schedule.storage import Argument, Carry, Current, Next, Piece, Place, Storage

# The words for kinds of values, in the order in which they are listed.
KINDS = {"inline": "inline", "reg": "registers", "mem": "memory"}


def names_of(program: LoopProgram) -> dict[Value, str]:
    """The names of a program's values, calls for their effect alone among them."""
    names = show_ir.names_of(program)
    for block in _blocks(program.block):
        for v in block.values:
            names.setdefault(v, f"e{len(names)}")
    return names


def _blocks(block: Block) -> Iterator[Block]:
    yield block
    for v in block.values:
        if v.output_index == 0:
            for b in sub_blocks(v.defn):
                yield from _blocks(b)


def show(program: LoopProgram, schedule: Schedule, storage: Storage | None = None) -> str:
    """The text of a schedule, and of the storage plan."""
    writer = _Writer(names_of(program), schedule)
    lines = [f"schedule for vectors of {schedule.target.vector_bytes} bytes"]
    lines += writer.kinds()
    lines += writer.block(program.block, "  ")
    if storage is not None:
        lines += writer.storage(storage)
    return "\n".join(lines) + "\n"


class _Writer:
    def __init__(self, names: Mapping[Value, str], schedule: Schedule) -> None:
        self.names = names
        self.schedule = schedule
        # Where a value stands in the program, to list sets in that order.
        self.order = {v: k for k, v in enumerate(names)}

    def list(self, values: Iterable[Value]) -> str:
        return " ".join([self.names[v] for v in sorted(values, key=self.order.__getitem__)])

    def kinds(self) -> Iterator[str]:
        for kind, word in KINDS.items():
            found = [v for v, k in self.schedule.kinds.items() if k == kind]
            if found:
                yield f"  {word} {self.list(found)}"

    # --- steps ---

    def block(self, block: Block, pad: str) -> Iterator[str]:
        for step in self.schedule.steps[block]:
            if type(step) is Nest:
                yield from self.nest(step, pad)
            else:
                assert type(step) is Value
                yield from self.step(step, pad)

    def step(self, v: Value, pad: str) -> Iterator[str]:
        d = v.defn
        if type(d) is LibraryCall:
            yield f"{pad}call {self.names[v]}"
        elif type(d) is Loop:
            yield f"{pad}loop {self.names[v]}"
            if d.cond is not None:
                yield f"{pad}  while"
                yield from self.block(d.cond, pad + "    ")
            yield f"{pad}  body"
            yield from self.block(d.body, pad + "    ")
        elif type(d) is Branch:
            yield f"{pad}branch {self.names[v]}"
            for k, b in enumerate(d.blocks):
                yield f"{pad}  case {k}"
                yield from self.block(b, pad + "    ")
        elif type(d) is Strips:
            yield f"{pad}strips {self.names[v]}"
            yield from self.block(d.block, pad + "  ")
        else:
            yield f"{pad}{'reduce' if d.results else 'unroll'} {self.names[v]}"

    def nest(self, nest: Nest, pad: str) -> Iterator[str]:
        tasks = f" tasks {nest.tasks}" if nest.tasks else ""
        used_up = f" contracted {self.list(nest.contracted)}" if nest.contracted else ""
        rows = f" rows {self.list(nest.rows)}" if nest.rows else ""
        yield f"{pad}nest{tasks}{used_up}{rows}"
        yield from self.node(nest.root, pad + "  ")

    def node(self, node: NestLoop | Stage, pad: str) -> Iterator[str]:
        if type(node) is Stage:
            yield pad + self.stage(node)
            return
        assert type(node) is NestLoop
        how = f" vector {node.lanes}" if node.lanes else ""
        how += " unrolled" if node.unrolled else ""
        how += f" together {node.together}" if node.together != 1 else ""
        how += " in stretches" if node.stretches else ""
        how += " rest apart" if node.apart else ""
        yield f"{pad}for {node.dim} {node.role}{how}"
        for c in node.children:
            yield from self.node(c, pad + "  ")

    def stage(self, s: Stage) -> str:
        axes = "".join(
            [f" i{a}" if r == "p" else f" i{a}:{r}" for a, r in zip(s.order, s.roles, strict=True)]
        )
        number = f" {s.number}" if s.kind == "part" else ""
        return f"{self.names[s.value]} {s.kind}{number}{axes}{' few' if s.few else ''}"

    # --- storage ---

    def storage(self, storage: Storage) -> Iterator[str]:
        yield "storage"
        yield f"  workspace argument {storage.workspace}"
        for k, p in enumerate(storage.pieces):
            size = "*".join(map(str, (*p.dims, p.itemsize)))
            yield f"  piece {k} of {size} in steps {p.start} to {p.end}"
        for a, r in storage.donations:
            yield f"  donate input {a} to result {r}"
        for v, place in sorted(storage.places.items(), key=lambda e: self.order[e[0]]):
            yield f"  {self.names[v]} in {self.place(place)}"
        for v in sorted(storage.carries, key=self.order.__getitem__):
            yield f"  loop {self.names[v]}"
            for c in storage.carries[v]:
                yield f"    {self.carry(c)}"
        for v in sorted(storage.joins, key=self.order.__getitem__):
            yield f"  branch {self.names[v]}"
            for k, copied in enumerate(storage.joins[v]):
                which = " ".join([str(n) for n, c in enumerate(copied) if c])
                yield f"    case {k} copies {which}".rstrip()
        for v, target in storage.copies:
            yield f"  copy {self.names[v]} to {self.place(target)}"
        if storage.spilled:
            yield f"  stack {self.list(storage.spilled)}"

    def place(self, place: Place) -> str:
        if type(place) is Argument:
            return f"argument {place.position}"
        if type(place) is Piece:
            return f"piece {place.number}"
        if type(place) is Current:
            return f"current {self.names[place.carry]}"
        assert type(place) is Next
        return f"next {self.names[place.carry]}"

    def carry(self, c: Carry) -> str:
        words = [c.how, self.names[c.value]]
        if c.home is not None:
            words.append(f"home {self.place(c.home)}")
        if c.other is not None:
            words.append(f"other {self.place(c.other)}")
        if c.filled:
            words.append("filled")
        if c.written:
            words.append(c.written)
        if c.source is not None:
            words.append(f"source {c.source}")
        if c.heir is not None:
            words.append(f"heir {c.heir}")
        return " ".join(words)
