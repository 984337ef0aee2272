"""Random programs of the loop IR, with every kind of node and every field in use."""

import random
from collections.abc import Callable

import numpy as np

from covector.compiler.ir.nodes import (
    KNOWN,
    Arg,
    Block,
    Bound,
    Branch,
    Combination,
    Constant,
    Cumulative,
    FromIndex,
    IDyn,
    Input,
    IOp,
    IPart,
    LibraryCall,
    Lit,
    Loop,
    LoopProgram,
    Op,
    Part,
    Pointwise,
    Reduce,
    Strips,
    Sym,
    Update,
    Value,
    Where,
    defined,
    gives_value,
    ivars,
)
from covector.core import dtypes

TYPES = [
    dtypes.bool_, dtypes.int8, dtypes.int32, dtypes.int64, dtypes.uint64, dtypes.float16,
    dtypes.bfloat16, dtypes.float32, dtypes.float64, dtypes.complex64, dtypes.complex128,
]  # fmt: skip
REALS = [0.0, -0.0, 1.5, -2.25e-7, 1e30, float("inf"), float("-inf"), float("nan")]
PAYLOADS = {
    dtypes.float32: (0xFFC00001, np.uint32),
    dtypes.float64: (0x7FF8000000000123, np.uint64),
}


class RandomProgram:
    """One program, made from a seed."""

    def __init__(self, seed: int) -> None:
        self.r = random.Random(seed)
        self.syms = [Sym(k, self.r.randrange(17, 5000)) for k in range(self.r.randrange(4))]
        self.scope: list[Value] = []

    def program(self) -> LoopProgram:
        inputs = [Value(self.shape(), self.dtype(), Input(k)) for k in range(self.r.randrange(4))]
        consts = [
            Value(self.shape(), self.dtype(), Constant(k)) for k in range(self.r.randrange(3))
        ]
        self.scope = [*inputs, *consts]
        block = self.block(3)
        donated = [self.r.random() < 0.3 for _ in inputs]
        large = self.r.random() < 0.2
        return LoopProgram('a "name"', block, inputs, consts, self.syms, donated, large)

    # --- small things ---

    def dtype(self):
        return self.r.choice(TYPES)

    def dim(self):
        return self.r.choice([0, 1, 2, 7, *self.syms])

    def shape(self):
        return [self.dim() for _ in range(self.r.randrange(4))]

    def literal(self, dtype) -> Lit:
        r = self.r
        if dtype == dtypes.bool_:
            return Lit(r.random() < 0.5, dtype)
        if dtype in dtypes.COMPLEX:
            return Lit(complex(r.choice(REALS), r.choice(REALS)), dtype)
        if dtype in PAYLOADS and r.random() < 0.1:
            bits, kind = PAYLOADS[dtype]
            return Lit(kind(bits).view(dtype), dtype)
        if dtype in dtypes.FLOATS:
            return Lit(r.choice([r.choice(REALS), r.gauss(0, 1), dtype.type(0.1)]), dtype)
        info = np.iinfo(dtype)
        return Lit(r.choice([0, 1, info.min, info.max]), dtype)

    def index(self, axes: int, depth: int = 2):
        r = self.r
        leaves = [r.randrange(-3, 9), *ivars(axes), *self.syms]
        if depth == 0 or r.random() < 0.5:
            return r.choice(leaves)
        kind = r.randrange(4)
        if kind == 0:
            return IDyn(self.expr(axes, r.choice([dtypes.int32, dtypes.int64]), depth - 1))
        if kind == 1:
            dims = tuple(self.dim() for _ in range(r.randrange(1, 4)))
            return IPart(self.index(axes, depth - 1), dims, r.randrange(len(dims)))
        op = r.choice("+ - * min max inside".split())
        return IOp(op, self.index(axes, depth - 1), self.index(axes, depth - 1))

    def tests(self, axes: int):
        return [tuple(self.index(axes, 1) for _ in range(3)) for _ in range(self.r.randrange(1, 3))]

    def expr(self, axes: int, dtype, depth: int = 3):
        r = self.r
        readable = [v for v in self.scope if v.dtype == dtype]
        if readable and r.random() < 0.4:
            v = r.choice(readable)
            return v.at(*[self.index(axes, min(depth, 1)) for _ in v.shape])
        if depth == 0 or r.random() < 0.2:
            return self.literal(dtype)

        def sub(t=dtype):
            return self.expr(axes, t, depth - 1)

        kind = r.randrange(5)
        if kind == 0:
            return Where(self.tests(axes), sub(), sub())
        if kind == 1 and dtype not in dtypes.COMPLEX:
            return FromIndex(self.index(axes, 1), dtype)
        if kind == 2:
            return Op("convert_element_type", [sub(self.dtype())], dtype)
        if kind == 3:
            return Op("integer_pow", [sub()], dtype, r.choice([2, -3]))
        if dtype == dtypes.bool_:
            t = self.dtype()
            return Op("lt", [sub(t), sub(t)], dtype)
        return Op(r.choice(["add", "mul", "max"]), [sub(), sub()], dtype)

    # --- definitions ---

    def block(self, depth: int, results=None) -> Block:
        """A block; its results are of ``results``, each a shape and a dtype, or any."""
        outer = list(self.scope)
        values: list[Value] = []
        for _ in range(self.r.randrange(1, 6)):
            new = self.definition(depth)
            values += new
            self.scope += new if gives_value(new[0].defn) else ()
        known = [v for v in values if gives_value(v.defn)]
        if results is None:
            out = [self.r.choice(known) for _ in range(self.r.randrange(3))] if known else []
        else:
            out = []
            for shape, dtype in results:
                v = Value(shape, dtype, Pointwise(self.expr(len(shape), dtype)))
                values.append(v)
                out.append(v)
        self.scope = outer
        return Block(values, out)

    def definition(self, depth: int) -> tuple[Value, ...]:
        kinds: list[Callable[[], tuple[Value, ...]]] = [
            self.pointwise, self.flat, self.reduce, self.general, self.cumulative, self.update,
            self.call,
        ]  # fmt: skip
        if depth > 0:
            kinds += [
                lambda: self.loop(depth),
                lambda: self.branch(depth),
                lambda: self.strips(depth),
            ]
        return self.r.choice(kinds)()

    def pointwise(self):
        shape, dtype = self.shape(), self.dtype()
        return (Value(shape, dtype, Pointwise(self.expr(len(shape), dtype))),)

    def flat(self):
        if not self.scope:
            return self.pointwise()
        v = self.r.choice(self.scope)
        return (Value([1, *v.shape], v.dtype, Pointwise(v.at(*ivars(v.ndim + 1)[1:]), flat=True)),)

    def orders(self, n: int):
        return self.r.sample(range(n), n)

    def reduce(self):
        shape, dtype, extents = self.shape(), self.dtype(), [self.dim(), self.dim()]
        n = len(shape) + 2
        kind = self.r.choice([k for k in KNOWN.values() if not k.finds])
        defn = Reduce(kind, extents, [self.expr(n, dtype)], self.orders(n))
        if self.r.random() < 0.3:
            return (
                Value(shape, dtypes.int32, Reduce(KNOWN["argmax"], extents, defn.exprs, range(n))),
            )
        return (Value(shape, dtype, defn),)

    def general(self):
        shape, types = self.shape(), [self.dtype() for _ in range(self.r.randrange(1, 3))]
        n, m = len(shape) + 1, len(types)
        results = [Op("max", [Arg(k, t), Arg(m + k, t)], t) for k, t in enumerate(types)]
        kind = Combination("", [self.literal(t) for t in types], results)
        exprs = [self.expr(n, t) for t in types]
        specs = [(shape, t) for t in types]
        return defined(Reduce(kind, [self.dim()], exprs, self.orders(n), specs))

    def cumulative(self):
        shape, dtype = [self.dim(), *self.shape()], self.dtype()
        kind = KNOWN[self.r.choice(["sum", "max", "prod"])]
        axis, reverse = self.r.randrange(len(shape)), self.r.random() < 0.5
        return (Value(shape, dtype, Cumulative(kind, axis, reverse, self.expr(len(shape), dtype))),)

    def update(self):
        r = self.r
        base = r.choice([None, *self.scope])
        shape, dtype = (base.shape, base.dtype) if base else (self.shape(), self.dtype())
        each = self.expr(len(shape), dtype) if r.random() < 0.5 else None
        parts = []
        for _ in range(r.randrange(3)):
            extents = self.shape()
            n = len(extents)
            parts.append(
                Part(
                    extents,
                    [self.index(n) for _ in shape],
                    self.expr(n, dtype),
                    r.choice([None, "add", "min"]),
                    self.tests(n) if r.random() < 0.5 else (),
                    serial := [k for k in range(n) if r.random() < 0.5],
                    serial == [0] and r.random() < 0.5,
                )  # fmt: skip
            )
        return (Value(shape, dtype, Update(base, parts, each)),)

    def call(self):
        r = self.r
        operands = r.sample(self.scope, min(len(self.scope), 2))
        attrs = {"flag": True, "none": None, "text": "a, b", "dims": (1, (self.dim(),)), "k": 3}
        specs = [(self.shape(), self.dtype()) for _ in range(r.randrange(3))]
        return defined(LibraryCall(r.choice(["sort", "gemm"]), operands, attrs, specs, not specs))

    def loop(self, depth: int):
        r = self.r
        inits = r.sample(self.scope, min(len(self.scope), r.randrange(3)))
        whats = [r.choice(["carry", "stacked", "lanes"]) for _ in inits]
        carries = [Value(v.shape, v.dtype, Bound(w)) for v, w in zip(inits, whats, strict=True)]
        specs = [(v.shape, v.dtype) for v in inits]
        outer = list(self.scope)
        self.scope += carries
        if r.random() < 0.5:
            cond = self.block(depth - 1, [((), dtypes.bool_)])
            defn = Loop(inits, carries, self.block(depth - 1, specs), cond)
        else:
            counter = Value((), dtypes.int64, Bound("counter"))
            self.scope.append(counter)
            body = self.block(depth - 1, specs)
            defn = Loop(inits, carries, body, trips=self.dim(), counter=counter)
        self.scope = outer
        return defined(defn)

    def strips(self, depth: int):
        lane = Value((), dtypes.int64, Bound("lane"))
        outer = list(self.scope)
        self.scope.append(lane)
        specs = [(self.shape(), self.dtype()) for _ in range(self.r.randrange(1, 3))]
        block = self.block(depth - 1, specs)
        self.scope = outer
        whole = [self.r.random() < 0.3 for _ in specs]
        return defined(Strips(self.dim(), lane, block, whole))

    def branch(self, depth: int):
        index = [v for v in self.scope if not v.shape and v.dtype in dtypes.INTEGERS]
        if not index:
            return self.pointwise()
        specs = [(self.shape(), self.dtype()) for _ in range(self.r.randrange(3))]
        blocks = [self.block(depth - 1, specs) for _ in range(self.r.randrange(1, 4))]
        return defined(Branch(self.r.choice(index), blocks, specs))


def random_program(seed: int) -> LoopProgram:
    return RandomProgram(seed).program()
