"""Random programs: statements that print as Python, made from a seed."""

from __future__ import annotations

import importlib
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as onp

import covector as cv
from covector.core.config import override
from tests.fuzz.statements import WRITERS, Operand

PRELUDE = (Path(__file__).parent / "prelude.py").read_text()
SIZES = [0, 1, 1, 2, 3, 4, 5, 7, 8, 9, 16, 17, 33]
DTYPES = ["float32"] * 6 + ["int32"] * 3 + ["bool", "complex64"] * 2
DTYPES += ["float16", "bfloat16", "int8", "uint8", "int16", "uint16", "uint32"]
WIDE = ["float64"] * 6 + ["int64"] * 2 + ["uint64", "complex128"]


@dataclass(frozen=True)
class Input:
    """An argument: what `make` of the prelude is given."""

    seed: int
    shape: tuple[int, ...]
    dtype: str
    special: bool

    @property
    def text(self) -> str:
        return f"make({self.seed} + 1000 * k, {self.shape}, {self.dtype!r}, {self.special})"


@dataclass(frozen=True)
class Statement:
    """What is assigned to a name: a kind of statement, its operands, and its choices."""

    name: str
    kind: str
    operands: tuple[str, ...]
    seed: int


@dataclass(frozen=True)
class Line:
    """A statement as it is written for the types its operands have."""

    name: str
    text: str
    operands: tuple[str, ...]
    traits: frozenset[str]


@dataclass(frozen=True)
class Program:
    """Inputs and statements; `lines` writes them."""

    seed: int
    x64: bool
    smooth: bool
    inputs: tuple[Input, ...]
    statements: tuple[Statement, ...]
    lines: tuple[Line, ...] = ()

    @property
    def arguments(self) -> str:
        return ", ".join(f"v{i}" for i in range(len(self.inputs)))

    def source(self) -> str:
        """The program as Python text, without imports."""
        made = ", ".join(x.text for x in self.inputs)
        body = "".join(f"    {x.name} = {x.text}\n" for x in self.lines)
        results = ", ".join(x.name for x in self.lines)
        ends = ", ".join(x.name for x in self.ends())
        return (
            f"def inputs(k=0):\n    return [{made}]\n\n\n"
            f"def program({self.arguments}):\n{body}    return [{results}]\n\n\n"
            f"def ends({self.arguments}):\n{body}    return [{ends}]\n"
        )

    def ends(self) -> list[Line]:
        """The lines that no other line reads."""
        read = {name for line in self.lines for name in line.operands}
        return [line for line in self.lines if line.name not in read]

    def traits(self) -> frozenset[str]:
        return frozenset().union(*[line.traits for line in self.lines])

    def levels(self) -> dict[str, str]:
        """How each value is compared: `exact`, `close`, or `free` where anything is right.

        Arithmetic with floats is close: compiled programs fuse products with sums, and take terms
        in another order. So is all that is computed from it; a function that jumps, of what is
        close, is free. The rest, and integers, are exact.
        """
        found = {f"v{i}": "exact" for i in range(len(self.inputs))}
        for line in self.lines:
            inner = {found[name] for name in line.operands}
            level = "free" if "free" in inner else "close" if "close" in inner else "exact"
            if level == "close" and "step" in line.traits or {"sum", "step"} <= line.traits:
                level = "free"
            elif level == "exact" and "sum" in line.traits:
                level = "close"
            found[line.name] = level
        return found


def namespace(library: Any = cv) -> dict[str, Any]:
    """The names that the text of a program uses, of Covector or of JAX."""
    names = {"cv": library, "onp": onp, "np": library.numpy, "lax": library.lax}
    importlib.import_module(library.__name__ + ".nn")
    exec(PRELUDE, names)
    return names


_names = namespace()


def type_of(line: Line, types: dict[str, Any]) -> Any:
    """The abstract value of a line, as Covector finds it."""
    arguments = ", ".join(line.operands)
    f = eval(f"lambda {arguments}: {line.text}", _names)
    return cv.eval_shape(f, *[types[name] for name in line.operands])


def operand(name: str, types: dict[str, Any]) -> Operand:
    return Operand(types[name].shape, str(types[name].dtype), name)


def write(program: Program) -> Program | None:
    """The program with its lines written anew; None if a statement does not apply any more.

    Ends after a line that raises, since what comes after it has no types.
    """
    lines: list[Line] = []
    with override(enable_x64=program.x64):
        types = _input_types(program)
        for s in program.statements:
            written = _written(s, types, program.smooth)
            if written is None:
                return None
            lines.append(Line(s.name, written[0], tuple(dict.fromkeys(s.operands)), written[1]))
            try:
                types[s.name] = type_of(lines[-1], types)
            except Exception:  # a fault, which the checks meet again
                break
    return replace(program, lines=tuple(lines), statements=program.statements[: len(lines)])


def _input_types(program: Program) -> dict[str, Any]:
    return {
        f"v{i}": cv.ShapeDtypeStruct(x.shape, getattr(cv.numpy, x.dtype))
        for i, x in enumerate(program.inputs)
    }


def _written(s: Statement, types: dict[str, Any], smooth: bool) -> Any:
    operands = [operand(name, types) for name in s.operands]
    return WRITERS[s.kind][1](random.Random(s.seed), *operands, smooth)


def generate(seed: int, length: int = 8) -> Program:
    """The program of a seed."""
    r = random.Random(seed)
    smooth = r.random() < 0.3
    x64 = smooth or r.random() < 0.4
    sizes = r.sample(SIZES, 3)
    big, rows = r.random() < 0.04, r.random() < 0.1
    inputs = []
    for i in range(r.randrange(1, 4)):
        shape = tuple(r.choice(sizes) for _ in range(r.choice([0, 1, 1, 2, 2, 3])))
        if big and i == 0:
            shape = (r.choice([300, 5000]), r.choice([17, 40]))
        if rows and i == 0:
            shape = (r.choice([17, 70, 400]), r.choice([2, 3, 4]))
        dtypes = ["float64"] if smooth else DTYPES + WIDE * x64
        inputs.append(
            Input(r.randrange(1000), shape, r.choice(dtypes), not smooth and r.random() < 0.2)
        )
    if r.random() < 0.5:
        shape = r.choice([(), inputs[0].shape[:1], inputs[0].shape[-1:]])
        inputs.append(Input(r.randrange(1000), shape, "int32", False))
    program = Program(seed, x64, smooth, tuple(inputs), ())
    with override(enable_x64=x64):
        return _grow(r, program, r.randrange(2, length + 1))


def _grow(r: random.Random, program: Program, length: int) -> Program:
    """Add statements that apply, until there are so many or one raises."""
    types, lines, statements = _input_types(program), [], []
    for _ in range(40 * length):
        if len(lines) == length:
            break
        kind = r.choice(["body", "binary", *WRITERS])
        names = list(types)
        for _ in range(6):
            operands = tuple(r.choice(names[r.choice([0, -3]) :]) for _ in range(WRITERS[kind][0]))
            s = Statement(f"v{len(types)}", kind, operands, r.randrange(1 << 30))
            written = _written(s, types, program.smooth)
            if written is not None:
                break
        else:
            continue
        line = Line(s.name, written[0], tuple(dict.fromkeys(operands)), written[1])
        try:
            found = type_of(line, types)
        except Exception:  # a fault, which the checks meet again
            found = None
        if found is not None and onp.prod(found.shape) > 300_000:
            continue
        lines.append(line)
        statements.append(s)
        if found is None:
            break
        types[s.name] = found
    return replace(program, lines=tuple(lines), statements=tuple(statements))


def smaller(program: Program) -> Iterator[Program]:
    """Programs with less in them: fewer statements, smaller arrays, simpler choices."""
    for k in reversed(range(len(program.statements))):
        gone = program.statements[k]
        rest = program.statements[k + 1 :]
        yield replace(program, statements=program.statements[:k])
        for name in (None, *gone.operands):
            if name is None and any(gone.name in s.operands for s in rest):
                continue
            moved = tuple(
                replace(s, operands=tuple(name if o == gone.name else o for o in s.operands))
                for s in rest
            )
            yield replace(program, statements=program.statements[:k] + moved)
    sizes = {n for x in program.inputs for n in x.shape if n > 1}
    for size in sorted(sizes, reverse=True):
        for less in sorted({1, 2, size // 2, size - 1} - {size}):
            shapes = [tuple(less if n == size else n for n in x.shape) for x in program.inputs]
            inputs = zip(program.inputs, shapes, strict=True)
            yield replace(program, inputs=tuple(replace(x, shape=s) for x, s in inputs))
    for i, x in enumerate(program.inputs):
        if x.special:
            plain = replace(x, special=False)
            yield replace(program, inputs=(*program.inputs[:i], plain, *program.inputs[i + 1 :]))
    for k, s in enumerate(program.statements):
        for seed in range(12):
            if s.seed >= 12 and s.kind in ("body", "scanned", "branched"):
                new = replace(s, seed=seed)
                yield replace(
                    program, statements=(*program.statements[:k], new, *program.statements[k + 1 :])
                )
