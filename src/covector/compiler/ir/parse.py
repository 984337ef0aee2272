"""The loop IR from its text, as `show` writes it.

The grammar, a statement a line (indentation is of no account)::

    program "name"(v0:f32[n0], v1:i32[])
      donated v0
      constants v2:f32[4]
      sizes n0 = 100
      v3:f32[n0] = add.f32(v0[i0], 1.0:f32)
      return v3
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from covector.compiler.ir.constants import DTYPES, from_bits
from covector.compiler.ir.errors import Place
from covector.compiler.ir.nodes import (
    KNOWN,
    Arg,
    Block,
    Bound,
    Branch,
    Combination,
    Constant,
    Cumulative,
    Defn,
    Dim,
    Expr,
    FromIndex,
    IDyn,
    Index,
    Input,
    IOp,
    IPart,
    LibraryCall,
    Lit,
    Load,
    Loop,
    LoopProgram,
    Op,
    Part,
    Pointwise,
    Reduce,
    Spec,
    Strips,
    Sym,
    Test,
    Update,
    Value,
    Where,
    defined,
    gives_value,
    ivars,
)
from covector.compiler.ir.tokens import END, Reader, Token
from covector.compiler.ir.verify import verify
from covector.core import dtypes
from covector.core.dtypes import DType

_INDEX_OPS = ("+", "-", "*", "//", "%", "min", "max", "inside")
_VALUE, _SIZE, _AXIS = (re.compile(rf"{letter}(\d+)") for letter in "vni")


class _Named(NamedTuple):
    """A value about to be defined."""

    token: Token
    shape: tuple[Dim, ...]
    dtype: DType


class _Scalars(Reader):
    """Sizes, indices and expressions."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.values: dict[str, Value] = {}
        self.syms = {name: Sym(int(name[1:]), value) for name, value in self._sizes()}
        # Where each value is defined.
        self.places: dict[Value, Place] = {}

    def _sizes(self) -> Iterator[tuple[str, int]]:
        """The list of sizes, which comes after their first use; zero for what has no value."""
        heads = [k for k, t in enumerate(self.tokens) if t.text == "sizes" and t.kind == "name"]
        line = self.tokens[heads[0] + 1 :] if heads else []
        for k, t in enumerate(line):
            if t.kind == "end":
                return
            if _SIZE.fullmatch(t.text):
                given = line[k + 1].text == "=" and line[k + 2].kind == "number"
                yield t.text, self.whole(line[k + 2]) if given else 0

    def dim(self) -> Dim:
        if self.next.kind == "number":
            return self.integer()
        token = self.name("a size")
        if not _SIZE.fullmatch(token.text):
            self.fail(f"expected a size, found {token.text!r}", token)
        return self.sym(token)

    def sym(self, token: Token) -> Sym:
        found = self.syms.get(token.text)
        if found is None:
            self.fail(f"{token.text} is no size of the program", token)
        return found

    def dtype(self) -> DType:
        token = self.name("a dtype")
        found = DTYPES.get(token.text)
        if found is None:
            self.fail(f"{token.text!r} is no dtype", token)
        return found

    def value(self) -> Value:
        token = self.name("a value")
        found = self.values.get(token.text)
        if found is None:
            self.fail(f"{token.text} is not defined here", token)
        return found

    # --- indices ---

    def index(self) -> Index:
        i = self.simple_index()
        while self.skip("@"):
            self.expect("(")
            dims = tuple(self.listed(self.dim, ")"))
            self.expect(".")
            i = IPart(i, dims, self.integer())
        return i

    def simple_index(self) -> Index:
        token = self.next
        if token.kind == "number":
            return self.integer()
        if self.skip("["):
            e = self.expr()
            self.expect("]")
            return IDyn(e)
        if self.skip("("):
            a = self.index()
            op = self.take()
            if op.text not in _INDEX_OPS:
                self.fail(f"{op.text!r} is no operation on indices", op)
            b = self.index()
            self.expect(")")
            return IOp(op.text, a, b)
        self.name("an index")
        axis = _AXIS.fullmatch(token.text)
        if axis:
            return ivars(64)[int(axis[1])]
        if _SIZE.fullmatch(token.text):
            return self.sym(token)
        self.fail(f"{token.text!r} is no index", token)

    def test(self) -> Test:
        low = self.index()
        self.expect("<=")
        i = self.index()
        self.expect("<")
        return (i, low, self.index())

    def tests(self) -> list[Test]:
        out = [self.test()]
        while self.skip("&"):
            out.append(self.test())
        return out

    # --- expressions ---

    def expr(self) -> Expr:
        token = self.next
        if token.kind == "number" or self.sees("true", "false", "nan", "bits"):
            return self.literal()
        if self.sees("("):
            return self.complex_or_where()
        self.name("an expression")
        if _VALUE.fullmatch(token.text):
            self.at -= 1
            v = self.value()
            self.expect("[")
            return Load(v, self.listed(self.index, "]"))
        if token.text in DTYPES and self.skip("("):
            i = self.index()
            self.expect(")")
            return FromIndex(i, DTYPES[token.text])
        if self.skip(":"):
            return self.argument(token)
        self.expect(".")
        dtype = self.dtype()
        attr = None
        if self.skip("<"):
            attr = self.attribute()
            self.expect(">")
        self.expect("(")
        return Op(token.text, self.listed(self.expr, ")"), dtype, attr)

    def argument(self, token: Token) -> Arg:
        if not re.fullmatch(r"a\d+", token.text):
            self.fail(f"{token.text!r} is no operand of a combination", token)
        return Arg(int(token.text[1:]), self.dtype())

    def complex_or_where(self) -> Expr:
        start = self.at
        self.expect("(")
        if self.next.kind == "number" and self.tokens[self.at + 1].text == ",":
            self.at = start
            return self.literal()
        then = self.expr()
        self.expect("if")
        tests = self.tests()
        self.expect("else")
        other = self.expr()
        self.expect(")")
        return Where(tests, then, other)

    def literal(self) -> Lit:
        token = self.take()
        value: Any = token
        if token.text == "bits":
            token = self.take()
            self.expect(":")
            dtype = self.dtype()
            number = self.whole(token, 8 * dtype.itemsize)
            if number < 0:
                self.fail("bits are not negative", token)
            return Lit(from_bits(number, dtype), dtype)
        if token.text == "(":
            re_ = self.take()
            self.expect(",")
            im = self.take()
            self.expect(")")
            value = (re_, im)
        self.expect(":")
        dtype = self.dtype()
        return Lit(self.number(value, dtype), dtype)

    def number(self, value: Any, dtype: DType) -> Any:
        """A constant of the dtype from its tokens."""
        if isinstance(value, tuple) and not isinstance(value, Token):
            if dtype not in dtypes.COMPLEX:
                self.fail("only a complex number has two parts", value[0])
            return complex(*[self.number(part, dtypes.float64) for part in value])
        try:
            if dtype == dtypes.bool_:
                return {"true": True, "false": False}[value.text]
            if dtype in dtypes.FLOATS:
                return float(value.text)
            return self.whole(value)
        except (KeyError, ValueError):
            self.fail(f"{value.text!r} is no constant of type {dtype.name}", value)

    def attribute(self) -> Any:
        token = self.next
        if token.kind == "string":
            return self.string()
        if token.kind == "number":
            return self.integer()
        if self.skip("("):
            return tuple(self.listed(self.attribute, ")"))
        if self.skip("{"):
            return dict(self.listed(self.attribute_pair, "}"))
        words = {"none": None, "true": True, "false": False}
        self.name("a parameter")
        if token.text in words:
            return words[token.text]
        if _SIZE.fullmatch(token.text):
            return self.sym(token)
        self.fail(f"{token.text!r} is no parameter", token)

    def attribute_pair(self) -> tuple[str, Any]:
        key = self.name().text
        self.expect(":")
        return key, self.attribute()


class _Parser(_Scalars):
    """Statements, blocks and the program."""

    def named(self) -> _Named:
        """``v0:f32[n0,3]``, not yet a value."""
        token = self.name("a value")
        if not _VALUE.fullmatch(token.text):
            self.fail(f"expected a value, found {token.text!r}", token)
        if token.text in self.values:
            self.fail(f"{token.text} is defined twice", token)
        self.expect(":")
        dtype = self.dtype()
        self.expect("[")
        return _Named(token, tuple(self.listed(self.dim, "]")), dtype)

    def define(self, n: _Named, v: Value) -> Value:
        if (v.shape, v.dtype) != (n.shape, n.dtype):
            self.fail(f"{n.token.text} is in truth {v}", n.token)
        self.values[n.token.text] = v
        self.places[v] = n.token.place
        return v

    def program(self) -> LoopProgram:
        self.expect("program")
        name = self.string()
        self.expect("(")
        inputs = [
            self.define(n, Value(n.shape, n.dtype, Input(k)))
            for k, n in enumerate(self.listed(self.named, ")"))
        ]
        self.end()
        given = self.rest(self.value) if self.skip("donated") else []
        large = self.skip("large")
        if large:
            self.end()
        consts: list[Value] = []
        if self.skip("constants"):
            consts = [
                self.define(n, Value(n.shape, n.dtype, Constant(k)))
                for k, n in enumerate(self.rest(self.named))
            ]
        syms = self.rest(self.size) if self.skip("sizes") else []
        block = self.block("return")
        if self.next.text != END:
            self.fail(f"expected the end of the text, found {self.next.text!r}")
        return LoopProgram(name, block, inputs, consts, syms, [v in given for v in inputs], large)

    def size(self) -> Sym:
        token = self.name("a size")
        if not _SIZE.fullmatch(token.text):
            self.fail(f"expected a size, found {token.text!r}", token)
        self.sym(token)
        if self.skip("="):
            self.integer()
        return self.syms[token.text]

    def block(self, last: str) -> Block:
        """Statements up to the line that begins with ``last``; what it defines ends with it."""
        outer = dict(self.values)
        values: list[Value] = []
        while not self.sees(last):
            if self.next.kind == "end":
                self.fail(f"a block ends with a line {last!r}")
            values += self.statement()
        self.take()
        results = self.rest(self.value)
        self.values = outer
        return Block(values, results)

    def statement(self) -> tuple[Value, ...]:
        names: list[_Named] = []
        token = self.next
        if _VALUE.fullmatch(token.text):
            names.append(self.named())
            while self.skip(","):
                names.append(self.named())
            self.expect("=")
        word = self.next.text
        rule = _STATEMENTS.get(word, _Parser.pointwise)
        # A name of an operation may also be that of a combination.
        if word in KNOWN and self.tokens[self.at + 1].text == "over":
            rule = _Parser.combined
        d = rule(self, names)
        values = defined(d)
        if gives_value(d) and not d.results:
            if len(names) != 1:
                self.fail("this definition is of one value", token)
            values = (Value(names[0].shape, names[0].dtype, d),)
        elif len(names) != len(d.results):
            self.fail(f"the definition has {len(d.results)} results", token)
        for n, v in zip(names, values, strict=False):
            self.define(n, v)
        self.places.setdefault(values[0], token.place)
        return values

    # --- definitions ---

    def pointwise(self, names: list[_Named]) -> Defn:
        flat = self.skip("flat")
        e = self.expr()
        self.end()
        return Pointwise(e, flat)

    def combined(self, names: list[_Named]) -> Defn:
        kind = self.combination()
        self.expect("over")
        self.expect("(")
        first = len(names[0].shape) if names else 0
        extents = self.extents(first)
        self.expect("order")
        self.expect("(")
        order = self.listed(self.integer, ")")
        self.expect(":")
        exprs = self.rest(self.expr)
        if not exprs:
            self.fail("a reduction is of at least one expression")
        specs: list[Spec] = [] if kind.known else [(n.shape, n.dtype) for n in names]
        return Reduce(kind, extents, exprs, order, specs)

    def combination(self) -> Combination:
        token = self.name("a combination")
        if token.text in KNOWN:
            return KNOWN[token.text]
        if token.text != "reduce":
            self.fail(f"{token.text!r} is no combination", token)
        self.expect("from")
        self.expect("(")
        identity = self.listed(self.expr, ")")
        self.expect("by")
        self.expect("(")
        return Combination("", identity, self.listed(self.expr, ")"))

    def extents(self, first: int) -> list[Dim]:
        def extent() -> Dim:
            nonlocal first
            token = self.name("an index variable")
            if token.text != f"i{first}":
                self.fail(f"expected i{first}, found {token.text!r}", token)
            first += 1
            self.expect("<")
            return self.dim()

        return self.listed(extent, ")")

    def cumulative(self, names: list[_Named]) -> Defn:
        self.expect("cumulative")
        kind = self.combination()
        self.expect("along")
        axis = self.integer()
        reverse = self.skip("reverse")
        self.expect(":")
        e = self.expr()
        self.end()
        return Cumulative(kind, axis, reverse, e)

    def update(self, names: list[_Named]) -> Defn:
        self.expect("update")
        base = None if self.skip("nothing") else self.value()
        self.end()
        parts = []
        while self.skip("part"):
            parts.append(self.part())
        each = None
        if self.skip("each"):
            each = self.expr()
            self.end()
        return Update(base, parts, each)

    def part(self) -> Part:
        self.expect("(")
        extents = self.extents(0)
        tests = self.tests() if self.skip("if") else []
        serial: list[int] = []
        if self.skip("serial"):
            self.expect("(")
            serial = self.listed(self.integer, ")")
        grouped = self.skip("grouped")
        self.expect(":")
        self.expect("[")
        dest = self.listed(self.index, "]")
        combine = None if self.sees("=") else self.name("a combination").text
        self.expect("=")
        e = self.expr()
        self.end()
        return Part(extents, dest, e, combine, tests, serial, grouped)

    def call(self, names: list[_Named]) -> Defn:
        self.expect("call")
        kind = self.name("a library call").text
        self.expect("(")
        operands = self.listed(self.value, ")")
        attrs = self.attribute()
        effect = self.skip("effect")
        self.end()
        return LibraryCall(kind, operands, attrs, [(n.shape, n.dtype) for n in names], effect)

    def loop(self, names: list[_Named]) -> Defn:
        trips = self.dim() if self.take().text == "repeat" else None
        outer = dict(self.values)
        counter = None
        if self.skip("counter"):
            n = self.named()
            counter = self.define(n, Value(n.shape, n.dtype, Bound("counter")))
        self.expect("(")
        pairs = self.listed(self.carry, ")")
        self.end()
        carries = [self.define(n, v) for n, v, _ in pairs]
        cond = self.block("test") if trips is None else None
        body = self.block("next")
        self.values = outer
        return Loop([init for *_, init in pairs], carries, body, cond, trips, counter)

    def carry(self) -> tuple[_Named, Value, Value]:
        what = next((w for w in ("stacked", "lanes") if self.skip(w)), "carry")
        n = self.named()
        self.expect("=")
        return n, Value(n.shape, n.dtype, Bound(what)), self.value()

    def branch(self, names: list[_Named]) -> Defn:
        self.expect("branch")
        index = self.value()
        self.expect("of")
        count = self.integer()
        self.end()
        blocks = [self.block("yield") for _ in range(count)]
        return Branch(index, blocks, [(n.shape, n.dtype) for n in names])

    def strips(self, names: list[_Named]) -> Defn:
        self.expect("strips")
        outer = dict(self.values)
        n = self.named()
        lane = self.define(n, Value(n.shape, n.dtype, Bound("lane")))
        self.expect("of")
        extent = self.dim()
        places: list[int] = []
        if self.skip("whole"):
            self.expect("(")
            places = self.listed(self.integer, ")")
        self.end()
        block = self.block("yield")
        self.values = outer
        return Strips(extent, lane, block, [k in places for k in range(len(block.results))])


_STATEMENTS: dict[str, Callable[[_Parser, list[_Named]], Defn]] = {
    "reduce": _Parser.combined,
    "cumulative": _Parser.cumulative,
    "update": _Parser.update,
    "call": _Parser.call,
    "while": _Parser.loop,
    "repeat": _Parser.loop,
    "branch": _Parser.branch,
    "strips": _Parser.strips,
}


def parse(text: str) -> LoopProgram:
    """The program that `show` writes as ``text``, verified.

    Raises
    ------
    LoopTextError
        With line, column and the rule that is broken.
    """
    parser = _Parser(text)
    try:
        program = parser.program()
    except RecursionError:
        parser.fail("expressions are nested less deeply")
    verify(program, parser.places)
    return program
