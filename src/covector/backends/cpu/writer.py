"""Writing LLVM IR: values, scopes, and functions that capture what they use.

An instruction is written in the innermost open loop that one of its operands belongs to,
so that what does not change in a loop is computed before it. Results are remembered per
scope, so that equal instructions are written once.
"""

from __future__ import annotations

import operator
import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from covector.backends.cpu.texts import FunctionText, Text
from covector.core.record import Record


class Val:
    """An LLVM value.

    Attributes
    ----------
    ref : str
        How the IR names it; a literal for constants.
    ty : str
        Type of an element.
    lanes : int
        Elements of a vector, or 0 for a scalar.
    fn : Function or None
        The function it belongs to; None for constants.
    level : int
        Depth of the scope it was written in.
    """

    __slots__ = ("ref", "ty", "lanes", "fn", "level")

    def __init__(
        self, ref: str, ty: str, lanes: int = 0, fn: Function | None = None, level: int = 0
    ) -> None:
        self.ref = ref
        self.ty = ty
        self.lanes = lanes
        self.fn = fn
        self.level = level

    @property
    def type(self) -> str:
        return f"<{self.lanes} x {self.ty}>" if self.lanes else self.ty

    def __repr__(self) -> str:
        return f"{self.type} {self.ref}"


def vtype(ty: str, lanes: int) -> str:
    return f"<{lanes} x {ty}>" if lanes else ty


def int_const(value: int, ty: str = "i64") -> Val:
    return Val(str(value), ty)


def bool_const(value: bool) -> Val:
    return Val("true" if value else "false", "i1")


def float_const(value: float, ty: str) -> Val:
    """A float constant, written as LLVM wants it: the bits of the double of equal value."""
    if ty == "float":
        value = struct.unpack("f", struct.pack("f", value))[0]
    bits = struct.unpack("<Q", struct.pack("<d", value))[0]
    return Val(f"0x{bits:016X}", ty)


_FOLD = {"add": operator.add, "sub": operator.sub, "mul": operator.mul, "and": operator.and_,
         "or": operator.or_, "xor": operator.xor}  # fmt: skip
_COMMUTATIVE = frozenset(("add", "mul", "and", "or", "xor", "fmul", "fadd", "fmul contract",
                          "fadd contract"))  # fmt: skip
_BITS = {"half": 16, "bfloat": 16, "float": 32, "double": 64, "ptr": 64}
_COMPARE = {"icmp eq": operator.eq, "icmp ne": operator.ne, "icmp slt": operator.lt,
            "icmp sle": operator.le, "icmp sgt": operator.gt, "icmp sge": operator.ge}  # fmt: skip


def _integer(v: Val) -> int:
    """The value of an integer constant."""
    return {"true": 1, "false": 0}[v.ref] if v.ty == "i1" else int(v.ref)


def _wrapped(value: int, ty: str) -> Val:
    """``value`` as a constant of ``ty``, modulo its width."""
    if ty == "i1":
        return bool_const(bool(value & 1))
    half = 1 << (int(ty[1:]) - 1)
    return int_const((value + half) % (2 * half) - half, ty)


class Phi:
    """A value that depends on the block from which control comes."""

    __slots__ = ("ref", "type", "sources")

    def __init__(self, ref: str, type_: str, sources: Sequence[tuple[str, str]]) -> None:
        self.ref = ref
        self.type = type_
        self.sources = sources

    def text(self, last: Mapping[str, str]) -> str:
        """The instruction, where ``last`` has the last piece of blocks that were cut."""
        pairs = ", ".join([f"[ {v}, %{last.get(label, label)} ]" for v, label in self.sources])
        return f"  {self.ref} = phi {self.type} {pairs}"


class BasicBlock:
    """A label, and the instructions up to the next one: phis, then others."""

    __slots__ = ("label", "phis", "lines")

    def __init__(self, label: str, phis: Sequence[Phi] = (), lines: Sequence[str] = ()) -> None:
        self.label = label
        self.phis = list(phis)
        self.lines = list(lines)

    def __len__(self) -> int:
        return len(self.phis) + len(self.lines)


class Scope:
    """The blocks of one loop level so far, with the memory of what they have computed.

    ``lines`` are those of the last block.
    """

    __slots__ = ("blocks", "lines", "memo")

    def __init__(self, label: str) -> None:
        self.blocks: list[BasicBlock] = []
        self.lines: list[str]
        self.memo: dict[Any, Any] = {}
        self.begin(label)

    def begin(self, label: str, *phis: Phi) -> None:
        """Start a block."""
        block = BasicBlock(label, phis)
        self.blocks.append(block)
        self.lines = block.lines

    @property
    def label(self) -> str:
        """The block at hand."""
        return self.blocks[-1].label


# Instructions of a basic block in code that is compiled in a hurry.
BLOCK_LENGTH = 200
# A function without a loop, of which this is all that there is to a task, only hands tasks out:
# from so many on, time to make it better is time lost.
TASK_LINES = 64
MANY_TASKS = 8


class Vectors(Record):
    """What a processor does with vectors.

    Attributes
    ----------
    gathers : int
        Bits of the longest indices with which numbers from any places are loaded by one
        instruction, not one a number.
    masks : bool
        Whether conditions have registers of their own; elsewhere they are as wide as what is
        compared, and LLVM makes bytes of those that it combines.
    """

    gathers: int
    masks: bool


class Module:
    """The functions, declarations and constants of one LLVM module."""

    def __init__(self, vectors: Vectors) -> None:
        self.vectors = vectors
        self.functions: list[tuple[str, list[BasicBlock]]] = []
        # The headers of those that are compiled in a hurry: they do little themselves.
        self.hurried: set[str] = set()
        self.declarations: dict[str, str] = {}
        self.counter = 0
        # Elementary functions: how often each was written in place, and those that are called.
        self.uses: dict[tuple[str, str, int], int] = {}
        self.internal: set[str] = set()
        # Functions that others may be equal to, by their text.
        self.names: dict[str, str] = {}

    def fresh(self, stem: str) -> str:
        self.counter += 1
        return f"{stem}.{self.counter}"

    def declare(self, name: str, result: str, args: str, attrs: str = "nounwind") -> str:
        self.declarations.setdefault(name, f"declare {result} @{name}({args}) {attrs}")
        return name

    def text(self) -> Text:
        """The module, in blocks of bounded length where it is to be compiled in a hurry.

        LLVM needs more than linear time for long straight-line code. Where its fast instruction
        selection meets something it does not know, it hands the rest of the block to the
        general one, which takes quadratic time.
        """
        patient = [f for f in self.functions if f[0] not in self.hurried]
        longest = max([len(b) for _, blocks in patient for b in blocks], default=0)
        effort = 0 if longest > 3000 else 1 if longest > 1200 else 2
        bound = 0 if effort else BLOCK_LENGTH
        functions = []
        for header, blocks in self.functions:
            hurried = header in self.hurried
            text = (
                _function_text(f"{header} noinline optnone", blocks, BLOCK_LENGTH)
                if hurried
                else _function_text(header, blocks, bound)
            )
            name = header[header.index("@") + 1 : header.index("(")]
            functions.append(FunctionText(name, text, sum(map(len, blocks)), hurried))
        return Text(tuple(functions), tuple(self.declarations.items()), effort)


def _function_text(header: str, blocks: Sequence[BasicBlock], bound: int) -> str:
    """The text of a function, in blocks of at most ``bound`` instructions if that is not 0."""
    last: dict[str, str] = {}
    if bound:
        blocks = _cut(blocks, bound, last)
    out = [header + " {"]
    for block in blocks:
        out.append(block.label + ":")
        out += [p.text(last) for p in block.phis]
        out += block.lines
    out.append("}")
    return "\n".join(out)


def _cut(blocks: Sequence[BasicBlock], bound: int, last: dict[str, str]) -> list[BasicBlock]:
    """The blocks in pieces; ``last`` gets the last piece of each that was cut."""
    out: list[BasicBlock] = []
    for block in blocks:
        label, phis, lines = block.label, block.phis, block.lines
        while len(lines) > bound:
            following = f"piece{len(out)}"
            out.append(BasicBlock(label, phis, [*lines[:bound], f"  br label %{following}"]))
            label, phis, lines = following, [], lines[bound:]
            last[block.label] = label
        out.append(BasicBlock(label, phis, lines))
    return out


class Function:
    """One LLVM function under construction.

    ``captures`` are values of the enclosing function, loaded from a frame on entry.
    """

    def __init__(self, module: Module, name: str, header: str, parent: Function | None) -> None:
        self.module = module
        self.name = name
        self.header = header
        self.parent = parent
        self.allocas: list[str] = []
        self.prologue: list[str] = []
        self.captures: list[Val] = []
        self._captured: dict[str, Val] = {}
        self.count = 0
        # Loops of its own, and those whose rounds it leaves to tasks.
        self.loops = self.tasks = 0
        self.scopes: list[Scope] = [Scope("entry")]
        # For differences, by name, the one of the same two numbers that was written before.
        self._opposite: dict[str, Val] = {}
        # Bits of what conditions compare, and conditions in so many bits.
        self._widths: dict[str, int] = {}
        self._masks: dict[tuple[str, int], Val] = {}

    # --- names, scopes ---

    def name_value(self) -> str:
        self.count += 1
        return f"%v{self.count}"

    def name_label(self, stem: str = "b") -> str:
        self.count += 1
        return f"{stem}{self.count}"

    @property
    def scope(self) -> Scope:
        return self.scopes[-1]

    @property
    def level(self) -> int:
        return len(self.scopes) - 1

    def line(self, text: str) -> None:
        """Append an instruction with side effects to the innermost scope."""
        self.scopes[-1].lines.append("  " + text)

    def start_block(self, label: str) -> None:
        self.scopes[-1].begin(label)

    def local(self, v: Val) -> Val:
        """``v`` as this function sees it: captured if it belongs to an enclosing one."""
        if v.fn is None or v.fn is self:
            return v
        found = self._captured.get(v.ref)
        if found is None:
            assert self.parent is not None, f"{v} does not belong to {self.name}"
            outer = self.parent.local(v)
            slot = len(self.captures)
            self.captures.append(outer)
            ref = self.name_value()
            self.prologue += [
                f"  {ref}.p = getelementptr i8, ptr %frame, i64 {64 * slot}",
                f"  {ref} = load {v.type}, ptr {ref}.p, align 64",
            ]
            found = self._captured[v.ref] = Val(ref, v.ty, v.lanes, self, 0)
        return found

    def alloca(self, ty: str, count: int = 1, align: int = 64) -> Val:
        """Stack memory for the whole call."""
        ref = self.name_value()
        self.allocas.append(f"  {ref} = alloca {ty}, i64 {count}, align {align}")
        return Val(ref, "ptr", 0, self, 0)

    def ins(
        self, key: object, text: str, ops: tuple[Val, ...], ty: str, lanes: int, level: int = 0
    ) -> Val:
        """A pure instruction ``text % refs``, at ``level`` or deeper; written once if equal."""
        ops = tuple([self.local(o) for o in ops])
        memo_key = (key, *[o.ref for o in ops], lanes)
        for o in ops:
            if o.level > level:
                level = o.level
        scopes = self.scopes
        found = self._written(memo_key, level)
        if found is not None:
            return found
        self.count += 1
        ref = f"%v{self.count}"
        scope = scopes[level]
        scope.lines.append(f"  {ref} = " + text % tuple([o.ref for o in ops]))
        out = scope.memo[memo_key] = Val(ref, ty, lanes, self, level)
        return out

    def _written(self, memo_key: tuple[object, ...], level: int = 0) -> Val | None:
        """What was written under a key, at ``level`` or deeper."""
        scopes = self.scopes
        for k in range(len(scopes) - 1, level - 1, -1):
            found: Val | None = scopes[k].memo.get(memo_key)
            if found is not None:
                return found
        return None

    def impure(self, text: str, ty: str, lanes: int = 0) -> Val:
        """An instruction whose place matters (a load, a call); written where we are."""
        ref = self.name_value()
        self.line(f"{ref} = {text}")
        return Val(ref, ty, lanes, self, self.level)

    def phi(self, ty: str, lanes: int, *sources: tuple[str, str]) -> Val:
        """A value by the block control comes from: pairs of what it is, and the block."""
        v = Val(self.name_value(), ty, lanes, self, self.level)
        self.scopes[-1].blocks[-1].phis.append(Phi(v.ref, v.type, sources))
        return v

    # --- control ---

    def _enclosed(self, label: str, write: Callable[[], None]) -> list[BasicBlock]:
        """The blocks of a scope of its own, from ``label`` on, around what ``write`` emits."""
        self.scopes.append(Scope(label))
        write()
        return self.scopes.pop().blocks

    def loop(
        self, begin: Val, step: int, test: Callable[[Val], Val], write: Callable[[Val], None],
        stems: tuple[str, str, str, str] = ("head", "body", "latch", "done"),
    ) -> None:  # fmt: skip
        """``i = begin; while test(i): write(i); i += step``: the one skeleton of loops."""
        self.loops += 1
        begin = self.local(begin)
        head, body, latch, done = [self.name_label(s) for s in stems]
        i, following = self.name_value(), self.name_value()
        outer = self.scope
        counts = Phi(i, "i64", [(begin.ref, outer.label), (following, latch)])

        def inside() -> None:
            self.scope.blocks[-1].phis.append(counts)
            at = Val(i, "i64", 0, self, self.level)
            go = self.local(test(at))
            self.line(f"br i1 {go.ref}, label %{body}, label %{done}")
            self.start_block(body)
            write(at)
            self.line(f"br label %{latch}")

        inner = self._enclosed(head, inside)
        self.line(f"br label %{head}")
        outer.blocks += inner
        outer.begin(latch)
        self.line(f"{following} = add nsw i64 {i}, {step}")
        self.line(f"br label %{head}")
        outer.begin(done)

    def repeat(self, begin: Val, end: Val, step: int, write: Callable[[Val], None]) -> None:
        """``for i in range(begin, end, step): write(i)``."""
        end = self.local(end)

        def test(i: Val) -> Val:
            self.line(f"{i.ref}.c = icmp slt i64 {i.ref}, {end.ref}")
            return Val(f"{i.ref}.c", "i1", 0, self, self.level)

        self.loop(begin, step, test, write)

    def rounds(self, most: int, write: Callable[[Val], Val]) -> None:
        """Run ``write(k)`` for k = 1, 2, … to ``most`` as long as the condition it gives holds."""
        self.loops += 1
        head, body, done = [self.name_label(s) for s in ("converge", "round", "converged")]
        k, following, counted = [self.name_value() for _ in range(3)]
        outer = self.scope
        before = outer.label

        def inside() -> None:
            some = write(Val(k, "i64", 0, self, self.level))
            self.line(f"{following} = add nsw i64 {k}, 1")
            self.line(f"{counted} = icmp sle i64 {following}, {most}")
            self.line(f"{some.ref}.more = and i1 {some.ref}, {counted}")
            self.line(f"br i1 {some.ref}.more, label %{head}, label %{done}")

        inner = self._enclosed(body, inside)
        self.line(f"br label %{head}")
        outer.begin(head, Phi(k, "i64", [("1", before), (following, inner[-1].label)]))
        self.line(f"br label %{body}")
        outer.blocks += inner
        outer.begin(done)

    def when(self, cond: Val, write: Callable[[], None], rare: bool = False) -> None:
        """Run ``write``, in a scope of its own, only where ``cond`` holds."""
        cond = self.local(cond)
        then, done = self.name_label("then"), self.name_label("done")
        inner = self._enclosed(then, write)
        weights = ", !prof !1" if rare else ""
        self.line(f"br i1 {cond.ref}, label %{then}, label %{done}{weights}")
        self._join([inner], done)

    def choose(self, index: Val, cases: Sequence[Callable[[], None]]) -> None:
        """Run one of several, each in a scope of its own; the last one for other indices."""
        labels = [self.name_label("case") for _ in cases]
        done = self.name_label("join")
        inner = [
            self._enclosed(label, write) for label, write in zip(labels, cases, strict=True)
        ]  # fmt: skip
        # What the cases share was written before this point.
        pairs = " ".join([f"i32 {k}, label %{lb}" for k, lb in enumerate(labels[:-1])])
        self.line(f"switch i32 {self.local(index).ref}, label %{labels[-1]} [ {pairs} ]")
        self._join(inner, done)

    def _join(self, branches: Sequence[Sequence[BasicBlock]], done: str) -> None:
        """Append the blocks of branches that all go on at ``done``."""
        scope = self.scope
        for blocks in branches:
            scope.blocks += blocks
            blocks[-1].lines.append(f"  br label %{done}")
        scope.begin(done)

    def either(
        self, cond: Val, yes: Callable[[], Val | None], no: Callable[[], Val | None],
        stems: tuple[str, str, str] = ("full", "tail", "done"), likely: bool = True,
    ) -> Val | None:  # fmt: skip
        """One of two pieces of `impure` code, and the value it gives, if any."""
        if cond.fn is None and not cond.lanes:
            return yes() if cond.ref == "true" else no()
        cond = self.local(cond)
        fast, slow, done = [self.name_label(s) for s in stems]
        weights = ", !prof !0" if likely else ""
        self.line(f"br i1 {cond.ref}, label %{fast}, label %{slow}{weights}")
        found = []
        for label, write in ((fast, yes), (slow, no)):
            self.start_block(label)
            found.append(write())
            self.line(f"br label %{done}")
        self.start_block(done)
        x, y = found
        if x is None or y is None:
            return None
        return self.phi(x.ty, x.lanes, (x.ref, fast), (y.ref, slow))

    def branch(
        self, cond: Val, yes: Callable[[], Sequence[Val]], no: Callable[[], Sequence[Val]]
    ) -> list[Val]:
        """What one of two pieces of code gives, each in a scope of its own."""
        if cond.fn is None and not cond.lanes:
            return list(yes() if cond.ref == "true" else no())
        cond = self.local(cond)
        found: list[Sequence[Val]] = []
        labels = [self.name_label(s) for s in ("yes", "no", "done")]
        sides = [
            self._enclosed(label, lambda: found.append(write()))  # noqa: B023
            for label, write in ((labels[0], yes), (labels[1], no))
        ]
        self.line(f"br i1 {cond.ref}, label %{labels[0]}, label %{labels[1]}")
        ends = [blocks[-1].label for blocks in sides]
        self._join(sides, labels[2])
        return [
            self.phi(x.ty, x.lanes, (x.ref, ends[0]), (y.ref, ends[1]))
            for x, y in zip(*found, strict=True)
        ]

    def usually(
        self, usual: Val, xs: Sequence[Val], write: Callable[[], Sequence[Val]]
    ) -> list[Val]:
        """``xs`` where ``usual`` holds, which is likely, else what `impure` code gives."""
        if usual.fn is None and not usual.lanes:
            return list(xs if usual.ref == "true" else write())
        xs, usual = [self.local(x) for x in xs], self.local(usual)
        before = self.scope.label
        rarely, done = self.name_label("rarely"), self.name_label("done")
        self.line(f"br i1 {usual.ref}, label %{done}, label %{rarely}, !prof !0")
        self.start_block(rarely)
        ys = write()
        self.line(f"br label %{done}")
        self.start_block(done)
        return [
            self.phi(x.ty, x.lanes, (x.ref, before), (y.ref, rarely))
            for x, y in zip(xs, ys, strict=True)
        ]

    def unless(self, good: Val, *leave: str) -> None:
        """The instructions ``leave`` end the function unless ``good``, which is likely, holds."""
        bad, on = self.name_label("failed"), self.name_label("ok")
        self.line(f"br i1 {self.local(good).ref}, label %{on}, label %{bad}, !prof !0")
        self.start_block(bad)
        for text in leave:
            self.line(text)
        self.start_block(on)

    # --- arithmetic ---

    def splat(self, v: Val, lanes: int) -> Val:
        if v.lanes == lanes:
            return v
        assert v.lanes == 0, (v, lanes)
        if v.fn is None:
            if lanes == 0:
                return v
            return Val(f"splat ({v.ty} {v.ref})", v.ty, lanes)
        one = self.ins("ins0", f"insertelement <{lanes} x {v.ty}> poison, {v.ty} %s, i32 0",
                       (v,), v.ty, lanes)  # fmt: skip
        return self.ins(
            "splat",
            f"shufflevector <{lanes} x {v.ty}> %s, <{lanes} x {v.ty}> poison, "
            f"<{lanes} x i32> zeroinitializer",
            (one,), v.ty, lanes,
        )  # fmt: skip

    def unify(self, *vals: Val) -> tuple[tuple[Val, ...], int]:
        """Operands with one number of lanes."""
        lanes = max([v.lanes for v in vals])
        return tuple([self.splat(v, lanes) for v in vals]), lanes

    def bin(self, op: str, a: Val, b: Val) -> Val:
        """``op`` with flags, such as ``add`` or ``fmul contract``, of two values."""
        if a.fn is None and b.fn is None and not a.lanes and not b.lanes and op in _FOLD:
            return _wrapped(_FOLD[op](_integer(a), _integer(b)), a.ty)
        (a, b), lanes = self.unify(a, b)
        if self._is_wide(a.ty, lanes):
            return self._combined(op, a, b)
        if op in _COMMUTATIVE:
            # In an order that does not depend on how the function around names them.
            a, b = self.local(a), self.local(b)
            if a.ref > b.ref:
                a, b = b, a
        return self.ins((op, a.ty), f"{op} {a.type} %s, %s", (a, b), a.ty, lanes)

    def _combined(self, op: str, a: Val, b: Val) -> Val:
        """A combination of conditions in the width of what was compared."""
        bits = max(self._widths.get(self.local(x).ref, 0) for x in (a, b)) or 8
        x, y = self._mask(a, bits), self._mask(b, bits)
        if x.ref > y.ref:
            x, y = y, x
        return self.condition(self.ins((op, x.ty), f"{op} {x.type} %s, %s", (x, y), x.ty, x.lanes))

    def number_type(self, ty: str, lanes: int) -> str:
        """The type as which a number is kept between blocks."""
        return f"i{max(8, min(64, 512 // lanes))}" if self._is_wide(ty, lanes) else ty

    def number(self, v: Val) -> Val:
        """What is kept of a number: of a condition, one as wide as what it may be combined with."""
        if not self._is_wide(v.ty, v.lanes):
            return v
        return self._mask(v, int(self.number_type(v.ty, v.lanes)[1:]))

    def condition(self, mask: Val) -> Val:
        """The condition whose `number` this is."""
        out = self.cmp("icmp slt", mask, int_const(0, mask.ty))
        self._masks[out.ref, int(mask.ty[1:])] = mask
        return out

    def _is_wide(self, ty: str, lanes: int) -> bool:
        return ty == "i1" and lanes > 0 and not self.module.vectors.masks

    def _mask(self, cond: Val, bits: int) -> Val:
        """A condition as numbers, all of whose bits are set where it holds."""
        cond = self.local(cond)
        found = self._masks.get((cond.ref, bits))
        if found is not None:
            return found
        ty = f"i{bits}"
        mask = self.cast("sext", cond, ty)
        if cond.fn is None or cond.lanes * bits % 32:
            return mask
        # LLVM would combine the conditions instead, if it saw that they are such.
        part, n = ("double", cond.lanes) if bits == 64 else ("float", cond.lanes * bits // 32)
        text = f"bitcast {mask.type} %s to {vtype(part, n)}"
        out = self.opaque(self.ins(text, text, (mask,), part, n))
        text = f"bitcast {out.type} %s to {mask.type}"
        return self.ins(text, text, (out,), ty, cond.lanes)

    def opaque(self, x: Val) -> Val:
        """Floats, where conditions have no registers of their own: LLVM does not see what they are,
        and makes no conditions of those that they depend on."""
        if self.module.vectors.masks or not x.lanes:
            return x
        return self.intrinsic("arithmetic.fence", x)

    def difference(self, a: Val, b: Val) -> Val:
        """``a - b``; `unsigned` knows ``b - a`` by it."""
        op = "fsub contract"
        (x, y), lanes = self.unify(self.local(a), self.local(b))
        out = self.bin(op, x, y)
        before = self._written(((op, y.ty), y.ref, x.ref, lanes))
        if before is not None and out.ref not in self._opposite and x.ref != y.ref:
            self._opposite.setdefault(before.ref, before)
            self._opposite[out.ref] = before
        return out

    def unsigned(self, x: Val) -> Val:
        """``x``, or what only differs from it in sign and was written before."""
        return self._opposite.get(self.local(x).ref, x)

    def un(self, op: str, a: Val) -> Val:
        return self.ins((op, a.ty), f"{op} {a.type} %s", (a,), a.ty, a.lanes)

    def cmp(self, op: str, a: Val, b: Val) -> Val:
        """``icmp slt``, ``fcmp olt``, …: an i1 or a vector of them."""
        if a.fn is None and b.fn is None and not a.lanes and not b.lanes and op in _COMPARE:
            return bool_const(_COMPARE[op](_integer(a), _integer(b)))
        (a, b), lanes = self.unify(a, b)
        out = self.ins((op, a.ty), f"{op} {a.type} %s, %s", (a, b), "i1", lanes)
        if lanes and a.ty != "i1":
            self._widths[out.ref] = _BITS.get(a.ty) or int(a.ty[1:])
        return out

    def cast(self, op: str, a: Val, ty: str) -> Val:
        if a.ty == ty:
            return a
        if a.fn is None and not a.lanes:
            if op in ("trunc", "sext") or (op == "zext" and a.ty == "i1"):
                return _wrapped(_integer(a), ty)
            if op == "sitofp" and abs(_integer(a)) < 1 << 24:
                return float_const(float(_integer(a)), ty)
            if op == "uitofp" and 0 <= _integer(a) < 1 << 24:
                return float_const(float(_integer(a)), ty)
        return self.ins(
            (op, a.ty, ty), f"{op} {a.type} %s to {vtype(ty, a.lanes)}", (a,), ty, a.lanes
        )

    def select(self, c: Val, a: Val, b: Val) -> Val:
        if c.fn is None and not c.lanes:
            return a if c.ref == "true" else b
        (a, b), lanes = self.unify(a, b)
        if c.lanes and c.lanes != lanes:
            lanes = c.lanes
            a, b = self.splat(a, lanes), self.splat(b, lanes)
        text = f"select {c.type} %s, {a.type} %s, {a.type} %s"
        return self.ins(("select", a.ty), text, (c, a, b), a.ty, lanes)

    def intrinsic(self, name: str, *args: Val, flags: str = "", extra: str = "") -> Val:
        """``llvm.<name>.<type>`` of operands of one type, with further literal arguments."""
        args, lanes = self.unify(*args)
        ty = args[0].ty
        short = {"float": "f32", "double": "f64", "half": "f16"}.get(ty, ty)
        full = f"llvm.{name}.v{lanes}{short}" if lanes else f"llvm.{name}.{short}"
        t = vtype(ty, lanes)
        extra_types = "".join(f", {p.split()[0]}" for p in extra.split(",") if p.strip())
        self.module.declare(full, t, ", ".join([t] * len(args)) + extra_types, "nounwind")
        params = ", ".join([f"{t} %s"] * len(args)) + (f", {extra}" if extra else "")
        call = f"call {flags + ' ' if flags else ''}{t} @{full}({params})"
        return self.ins((full, extra), call, args, ty, lanes)

    def any_lane(self, cond: Val) -> Val:
        """Whether a condition holds for some lane."""
        return self._lanes("icmp ne", cond) if cond.lanes else cond

    def no_lane(self, cond: Val) -> Val:
        """Whether a condition holds for no lane."""
        return (
            self._lanes("icmp eq", cond) if cond.lanes else self.bin("xor", cond, bool_const(True))
        )

    def _lanes(self, op: str, cond: Val) -> Val:
        """The lanes of a condition, as one number, compared with zero."""
        n = cond.lanes
        bits = self.ins(("bits", n), f"bitcast {cond.type} %s to i{n}", (cond,), f"i{n}", 0)
        return self.cmp(op, bits, int_const(0, bits.ty))

    def lane_ids(self, lanes: int) -> Val:
        return Val(f"<{', '.join(f'i64 {k}' for k in range(lanes))}>", "i64", lanes)

    def finish(self) -> None:
        """Close the function and add it to the module."""
        blocks = self._closed()
        self.module.functions.append((self.header, blocks))
        lines = sum([len(b) for b in blocks])
        if not self.loops and self.tasks >= MANY_TASKS and lines <= TASK_LINES * self.tasks:
            self.module.hurried.add(self.header)

    def finish_once(self) -> None:
        """Close the function, and add it to the module unless one of the same text is there, of
        which it takes the name."""
        blocks = self._closed()
        text = _function_text(self.header.replace(self.name, "", 1), blocks, 0)
        name = self.module.names.setdefault(text, self.name)
        if name == self.name:
            self.module.functions.append((self.header, blocks))
        self.name = name

    def _closed(self) -> list[BasicBlock]:
        assert len(self.scopes) == 1, f"open scopes in {self.name}"
        blocks = self.scopes[0].blocks
        entry = BasicBlock("entry", (), [*self.allocas, *self.prologue, *blocks[0].lines])
        return [entry, *blocks[1:]]
