"""Writing LLVM IR: values, scopes, and functions that capture what they use.

An instruction is written in the innermost open loop that one of its operands belongs to,
so that what does not change in a loop is computed before it. Results are remembered per
scope, so that equal instructions are written once.
"""

from __future__ import annotations

import operator
import struct
from collections.abc import Callable
from typing import Any


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

    def __init__(self, ref: str, ty: str, lanes: int = 0, fn: Any = None, level: int = 0) -> None:
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


class Scope:
    """Straight-line code of one loop level, with the memory of what it has computed."""

    __slots__ = ("lines", "label", "memo")

    def __init__(self, label: str) -> None:
        self.lines: list[str] = []
        self.label = label
        self.memo: dict[Any, Any] = {}


class Module:
    """The functions, declarations and constants of one LLVM module."""

    def __init__(self) -> None:
        self.functions: list[str] = []
        self.declarations: dict[str, str] = {}
        self.counter = 0
        # Elementary functions: how often each was written in place, and those that are called.
        self.uses: dict[Any, int] = {}
        self.internal: set[str] = set()

    def fresh(self, stem: str) -> str:
        self.counter += 1
        return f"{stem}.{self.counter}"

    def declare(self, name: str, result: str, args: str, attrs: str = "nounwind") -> str:
        self.declarations.setdefault(name, f"declare {result} @{name}({args}) {attrs}")
        return name

    def text(self) -> str:
        return "\n\n".join([*self.functions, "\n".join(self.declarations.values()), ""])


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
        self.scopes: list[Scope] = [Scope("entry")]

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
        scope = self.scopes[-1]
        scope.lines.append(f"{label}:")
        scope.label = label

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
            self.prologue.append(
                f"  {ref}.p = getelementptr i8, ptr %frame, i64 {64 * slot}\n"
                f"  {ref} = load {v.type}, ptr {ref}.p, align 64"
            )
            found = self._captured[v.ref] = Val(ref, v.ty, v.lanes, self, 0)
        return found

    def alloca(self, ty: str, count: int = 1, align: int = 64) -> Val:
        """Stack memory for the whole call."""
        ref = self.name_value()
        self.allocas.append(f"  {ref} = alloca {ty}, i64 {count}, align {align}")
        return Val(ref, "ptr", 0, self, 0)

    def ins(
        self, key: Any, text: str, ops: tuple[Val, ...], ty: str, lanes: int, level: int = 0
    ) -> Val:
        """A pure instruction ``text % refs``, at ``level`` or deeper; written once if equal."""
        ops = tuple([self.local(o) for o in ops])
        memo_key = (key, *[o.ref for o in ops], lanes)
        for o in ops:
            if o.level > level:
                level = o.level
        scopes = self.scopes
        for k in range(len(scopes) - 1, level - 1, -1):
            found = scopes[k].memo.get(memo_key)
            if found is not None:
                return found
        self.count += 1
        ref = f"%v{self.count}"
        scope = scopes[level]
        scope.lines.append(f"  {ref} = " + text % tuple([o.ref for o in ops]))
        out = scope.memo[memo_key] = Val(ref, ty, lanes, self, level)
        return out

    def impure(self, text: str, ty: str, lanes: int = 0) -> Val:
        """An instruction whose place matters (a load, a call); written where we are."""
        ref = self.name_value()
        self.line(f"{ref} = {text}")
        return Val(ref, ty, lanes, self, self.level)

    def usually(self, usual: Val, x: Val, write: Callable[[], Val]) -> Val:
        """``x`` where ``usual`` holds, which is likely, else what `impure` code gives."""
        x, usual = self.local(x), self.local(usual)
        before = self.scope.label
        rarely, done = self.name_label("rarely"), self.name_label("done")
        self.line(f"br i1 {usual.ref}, label %{done}, label %{rarely}, !prof !0")
        self.start_block(rarely)
        y = write()
        self.line(f"br label %{done}")
        self.start_block(done)
        text = f"phi {x.type} [ {x.ref}, %{before} ], [ {y.ref}, %{rarely} ]"
        return self.impure(text, x.ty, x.lanes)

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
        if a.ref > b.ref and op in _COMMUTATIVE:
            a, b = b, a
        return self.ins((op, a.ty), f"{op} {a.type} %s, %s", (a, b), a.ty, lanes)

    def un(self, op: str, a: Val) -> Val:
        return self.ins((op, a.ty), f"{op} {a.type} %s", (a,), a.ty, a.lanes)

    def cmp(self, op: str, a: Val, b: Val) -> Val:
        """``icmp slt``, ``fcmp olt``, …: an i1 or a vector of them."""
        if a.fn is None and b.fn is None and not a.lanes and not b.lanes and op in _COMPARE:
            return bool_const(_COMPARE[op](_integer(a), _integer(b)))
        (a, b), lanes = self.unify(a, b)
        return self.ins((op, a.ty), f"{op} {a.type} %s, %s", (a, b), "i1", lanes)

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

    def lane_ids(self, lanes: int) -> Val:
        return Val(f"<{', '.join(f'i64 {k}' for k in range(lanes))}>", "i64", lanes)

    def finish(self) -> None:
        """Close the function and add it to the module."""
        assert len(self.scopes) == 1, f"open scopes in {self.name}"
        body = "\n".join(["entry:", *self.allocas, *self.prologue, *self.scopes[0].lines, "}"])
        self.module.functions.append(f"{self.header} {{\n{body}")
