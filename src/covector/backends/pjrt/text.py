"""StableHLO as text: types, constants, operations, regions and the places they come from.

The syntax is that of the StableHLO specification (https://openxla.org/stablehlo/spec) and MLIR's
language reference (https://mlir.llvm.org/docs/LangRef); nothing of MLIR is needed to write it.
"""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import ml_dtypes
import numpy as np

from covector.core import dtypes
from covector.core.avals import Array, ShapedArray
from covector.core.dtypes import DType

Shape = tuple[int, ...]

_NAMES: dict[Any, str] = {
    np.dtype(np.bool_): "i1",
    **{np.dtype(f"int{n}"): f"i{n}" for n in (8, 16, 32, 64)},
    **{np.dtype(f"uint{n}"): f"ui{n}" for n in (8, 16, 32, 64)},
    np.dtype(np.float16): "f16", np.dtype(ml_dtypes.bfloat16): "bf16",
    np.dtype(np.float32): "f32", np.dtype(np.float64): "f64",
    np.dtype(np.complex64): "complex<f32>", np.dtype(np.complex128): "complex<f64>",
    dtypes.key_dtype: "ui64",
    **{
        np.dtype(getattr(ml_dtypes, name)): written
        for name, written in {
            "float8_e3m4": "f8E3M4", "float8_e4m3": "f8E4M3",
            "float8_e4m3b11fnuz": "f8E4M3B11FNUZ", "float8_e4m3fn": "f8E4M3FN",
            "float8_e4m3fnuz": "f8E4M3FNUZ", "float8_e5m2": "f8E5M2",
            "float8_e5m2fnuz": "f8E5M2FNUZ", "float8_e8m0fnu": "f8E8M0FNU",
            "float4_e2m1fn": "f4E2M1FN", "int2": "i2", "int4": "i4", "uint2": "ui2",
            "uint4": "ui4",
        }.items()
    },
}  # fmt: skip


def element_type(dtype: DType) -> str:
    """The name of an element type.

    Raises
    ------
    NotImplementedError
        If StableHLO has no such type.
    """
    found = _NAMES.get(dtype)
    if found is None:
        raise NotImplementedError(
            f"accelerators have no elements of dtype {dtype}: StableHLO has no such type"
        )
    return found


_types: dict[tuple[DType, Shape], str] = {}


def tensor_type(dtype: DType, shape: Shape) -> str:
    """The type of a tensor."""
    key = (dtype, shape)
    found = _types.get(key)
    if found is None:
        if len(_types) > 4096:
            _types.clear()
        dims = "".join([f"{n}x" for n in shape])
        found = _types[key] = f"tensor<{dims}{element_type(dtype)}>"
    return found


class Value:
    """A tensor of the program."""

    __slots__ = ("ref", "dtype", "shape")

    def __init__(self, ref: str, dtype: DType, shape: Shape) -> None:
        self.ref = ref
        self.dtype = dtype
        self.shape = shape

    @property
    def type(self) -> str:
        return tensor_type(self.dtype, self.shape)

    @property
    def nbytes(self) -> int:
        return math.prod(self.shape) * int(self.dtype.itemsize)

    def __repr__(self) -> str:
        return f"{self.ref}: {self.type}"


# --- constants --------------------------------------------------------------------------------


def scalar_text(value: Any, dtype: DType) -> str:
    """A number of a dtype, as the elements of `dense` are written."""
    if dtype == dtypes.bool_:
        return "true" if value else "false"
    if dtype in dtypes.INTEGERS or dtype is dtypes.key_dtype:
        return str(int(value))
    if dtype in dtypes.COMPLEX:
        part = dtypes.real_dtype(dtype)
        value = np.asarray(value, dtype)
        return f"({_float_text(value.real, part)}, {_float_text(value.imag, part)})"
    return _float_text(value, dtype)


def _float_text(value: Any, dtype: DType) -> str:
    """The shortest decimal number that reads back as the same, or the bits of what is none."""
    with np.errstate(over="ignore"):
        x = np.asarray(value).astype(dtype)
    if not np.isfinite(x.astype(np.float64)):
        bits = int(x.view(f"uint{8 * dtype.itemsize}"))
        return f"0x{bits:0{2 * dtype.itemsize}X}"
    # Of a narrow type the double is exact, and is rounded to itself.
    text = repr(float(x)) if dtype.itemsize != 4 else str(np.float32(x))
    mantissa, e, exponent = text.partition("e")
    if "." not in mantissa:
        mantissa += ".0"
    return f"{mantissa}{e}{exponent}"


def dense_text(array: np.ndarray, dtype: DType) -> str:
    """The elements of an array, as `dense` takes them; those of large ones as bytes."""
    if array.size > 16 and dtype != dtypes.bool_ and dtypes.bits_of(dtype) >= 8:
        little = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False)
        return f'"0x{little.tobytes().hex().upper()}"'

    def nested(a: np.ndarray) -> str:
        if a.ndim == 0:
            return scalar_text(a[()], dtype)
        return f"[{', '.join([nested(row) for row in a])}]"

    return nested(array)


# --- places -----------------------------------------------------------------------------------


def quoted(text: str) -> str:
    """A string literal: quotes, backslashes and what does not print are escaped."""
    return '"' + "".join(
        [
            c if c.isascii() and c.isprintable() and c not in '"\\'
            else "".join([f"\\{b:02X}" for b in c.encode("utf-8", "surrogateescape")])
            for c in text
        ]
    ) + '"'  # fmt: skip


class Places:
    """The table of the places in the user's code, ``#loc1`` and so on."""

    def __init__(self) -> None:
        self.numbers: dict[Any, int] = {}
        self.lines: list[str] = []

    def __call__(self, source: Any, scope: str = "") -> str:
        """What follows an operation that comes from ``source``: (file, line, function)."""
        if source is None:
            return ""
        key = (source, scope)
        number = self.numbers.get(key)
        if number is None:
            file, line = source[0], source[1]
            text = f"{quoted(str(file))}:{line}:0"
            if scope:
                text = f"{quoted(scope)}({text})"
            number = self.numbers[key] = len(self.lines) + 1
            self.lines.append(f"#loc{number} = loc({text})")
        return f" loc(#loc{number})"


_PLACE = re.compile(r" loc\(#loc\d+\)$", re.M)


def without_places(text: str) -> str:
    """A module without the places of its operations."""
    return _PLACE.sub("", "\n".join(ln for ln in text.split("\n") if not ln.startswith("#loc")))


def listed(values: Sequence[int]) -> str:
    """Integers as the attributes of StableHLO's own list them."""
    return f"[{', '.join([str(int(v)) for v in values])}]"


# --- shardings --------------------------------------------------------------------------------


def split_text(spec: Any, ndim: int, more: bool = False) -> str:
    """How dimensions are split over axes of the mesh, as Shardy writes it; `?` leaves it open, in
    all dimensions if they may be split over ``more`` axes."""
    dims = []
    for k in range(ndim):
        part = spec[k] if k < len(spec) else None
        free = part is type(spec).UNCONSTRAINED
        names = () if part is None or free else part if isinstance(part, tuple) else (part,)
        said = [quoted(str(a)) for a in names]
        dims.append(f"{{{', '.join([*said, '?'] if free or more else said)}}}")
    return f"[{', '.join(dims)}]"


def mesh_text(mesh: dict[Any, int]) -> str:
    """The axes of a mesh."""
    return f"<[{', '.join([f'{quoted(str(a))}={n}' for a, n in mesh.items()])}]>"


# --- operations -------------------------------------------------------------------------------


def ints(values: Sequence[int]) -> str:
    """An attribute that lists integers."""
    return f"array<i64: {', '.join([str(int(v)) for v in values])}>" if values else "array<i64>"


class Builder:
    """Writes the operations of one function.

    ``hoist`` makes an array that the program holds an argument of it.
    """

    def __init__(
        self, platform: str, hoist: Callable[[Array], Value], places: Places | None = None,
        portable: bool = False,
    ) -> None:  # fmt: skip
        self.platform = platform
        self.portable = portable
        self.hoist = hoist
        self.places = places or Places()
        self.lines: list[str] = []
        self.place = self.scope = ""
        self.count = 0
        self.indent = "    "
        # What the program calls: native functions, and what keeps Python's alive.
        self.targets: set[str] = set()
        self.callbacks: list[Any] = []
        # The value that the next callback that keeps its place takes from the one before it.
        self.order: Value | None = None
        # The axes of the mesh of the devices that the program runs on, if there are several.
        self.mesh: dict[Any, int] | None = None
        # What was written already, in this block and those around it.
        self.known: list[dict[Any, Value]] = [{}]

    # --- the plain form of everything ---

    def name(self) -> str:
        self.count += 1
        return f"%{self.count}"

    def line(self, text: str) -> None:
        self.lines.append(f"{self.indent}{text}{self.place}")

    def op(
        self, name: str, operands: Sequence[Value], dtype: DType, shape: Shape, attrs: str = ""
    ) -> Value:
        """An operation of one result, in the generic form."""
        out = Value(self.name(), dtype, shape)
        refs = ", ".join([x.ref for x in operands])
        types = ", ".join([x.type for x in operands])
        given = f" {{{attrs}}}" if attrs else ""
        self.line(f'{out.ref} = "{name}"({refs}){given} : ({types}) -> {out.type}')
        return out

    def ops(
        self, name: str, operands: Sequence[Value], outs: Sequence[tuple[DType, Shape]],
        attrs: str = "", regions: Sequence[Sequence[str]] = (),
    ) -> list[Value]:  # fmt: skip
        """An operation of several results and with regions, whose lines are those of `block`."""
        base = self.name()
        results = [
            Value(f"{base}#{k}" if len(outs) > 1 else base, d, s) for k, (d, s) in enumerate(outs)
        ]
        refs = ", ".join([x.ref for x in operands])
        types = ", ".join([x.type for x in operands])
        made = ", ".join([x.type for x in results])
        head = f'"{name}"({refs})'
        if outs:
            head = f"{base}{f':{len(outs)}' if len(outs) > 1 else ''} = {head}"
        given = f" {{{attrs}}}" if attrs else ""
        if len(results) != 1:
            made = f"({made})"
        if not regions:
            self.line(f"{head}{given} : ({types}) -> {made}")
            return results
        self.lines.append(f"{self.indent}{head} ({{")
        for k, region in enumerate(regions):
            if k:
                self.lines.append(f"{self.indent}}}, {{")
            self.lines += region
        self.line(f"}}){given} : ({types}) -> {made}")
        return results

    @contextlib.contextmanager
    def _within(self) -> Iterator[list[str]]:
        """Write into a block of its own; gives its lines."""
        outer, self.lines = self.lines, []
        self.indent += "  "
        self.known.append({})
        try:
            yield self.lines
        finally:
            self.lines = outer
            self.indent = self.indent[:-2]
            self.known.pop()

    def block(
        self, arguments: Sequence[tuple[DType, Shape]],
        write: Callable[..., Sequence[Value]],
    ) -> list[str]:  # fmt: skip
        """The lines of a region: what ``write`` emits for the block's arguments, returned."""
        with self._within() as lines:
            args = [Value(self.name(), d, s) for d, s in arguments]
            if args:
                declared = ", ".join([f"{a.ref}: {a.type}" for a in args])
                lines.append(f"{self.indent[:-2]}^bb0({declared}):")
            outs = write(*args)
            refs = ", ".join([x.ref for x in outs])
            types = ", ".join([x.type for x in outs])
            written = f" {refs} : {types}" if outs else ""
            self.line(f"stablehlo.return{written}")
        return lines

    def whole(self, x: Value, dims: Sequence[int]) -> Value:
        """``x``, of whose dimensions ``dims`` each device has all."""
        if self.mesh is None:
            return x
        split = ", ".join(["{}" if k in dims else "{?}" for k in range(len(x.shape))])
        out = Value(self.name(), x.dtype, x.shape)
        self.line(f"{out.ref} = sdy.sharding_constraint {x.ref} <@mesh, [{split}]> : {x.type}")
        return out

    def once(self, key: Any, write: Callable[[], Value]) -> Value:
        """What ``write`` makes, which depends on ``key`` alone: written once in a block."""
        for known in self.known:
            if key in known:
                return known[key]
        made = self.known[-1][key] = write()
        return made

    # --- constants ---

    def constant(self, value: Any, dtype: DType, shape: Shape = ()) -> Value:
        """A tensor of one number."""
        written = scalar_text(value, dtype)

        def write() -> Value:
            out = Value(self.name(), dtype, shape)
            self.line(f"{out.ref} = stablehlo.constant dense<{written}> : {out.type}")
            return out

        return self.once((written, dtype, shape), write)

    def like(self, x: Value, value: Any) -> Value:
        """A tensor of one number, in the type of ``x``."""
        return self.constant(value, x.dtype, x.shape)

    def array(self, values: Any, dtype: DType) -> Value:
        """A tensor of the elements of a NumPy array, written into the program."""
        array = np.asarray(values).astype(dtype)
        out = Value(self.name(), dtype, array.shape)
        text = dense_text(array, dtype) if array.size else ""
        self.line(f"{out.ref} = stablehlo.constant dense<{text}> : {out.type}")
        return out

    def iota(self, dtype: DType, shape: Shape, dimension: int) -> Value:
        return self.once(
            ("iota", dtype, shape, dimension),
            lambda: self.op(
                "stablehlo.iota", (), dtype, shape, f"iota_dimension = {dimension} : i64"
            ),
        )

    # --- common operations ---

    def same(self, name: str, *operands: Value) -> Value:
        """``stablehlo.name`` of operands of one type, which is the result's."""
        first = operands[0]
        self.count += 1
        ref = f"%{self.count}"
        refs = ", ".join([x.ref for x in operands])
        kind = tensor_type(first.dtype, first.shape)
        self.lines.append(f"{self.indent}{ref} = stablehlo.{name} {refs} : {kind}{self.place}")
        return Value(ref, first.dtype, first.shape)

    def add(self, x: Value, y: Value) -> Value:
        return self.same("add", x, y)

    def sub(self, x: Value, y: Value) -> Value:
        return self.same("subtract", x, y)

    def mul(self, x: Value, y: Value) -> Value:
        return self.same("multiply", x, y)

    def div(self, x: Value, y: Value) -> Value:
        return self.same("divide", x, y)

    def both(self, x: Value, y: Value) -> Value:
        return self.same("and", x, y)

    def either(self, x: Value, y: Value) -> Value:
        return self.same("or", x, y)

    def opposite(self, x: Value) -> Value:
        return self.same("not", x)

    def compare(self, direction: str, x: Value, y: Value, total: bool = False) -> Value:
        """``EQ``, ``NE``, ``LT``, ``LE``, ``GT`` or ``GE`` of two tensors of one type."""
        kind = ""
        if x.dtype in dtypes.INTEGERS or x.dtype is dtypes.key_dtype:
            signed = x.dtype not in dtypes.UNSIGNED and x.dtype is not dtypes.key_dtype
            kind = ", SIGNED" if signed else ", UNSIGNED"
        elif x.dtype == dtypes.bool_:
            kind = ", UNSIGNED"
        elif total:
            kind = ", TOTALORDER"
        elif x.dtype in dtypes.INEXACT:
            kind = ", FLOAT"
        out = Value(self.name(), np.dtype(np.bool_), x.shape)
        self.line(
            f"{out.ref} = stablehlo.compare {direction}, {x.ref}, {y.ref}{kind} : "
            f"({x.type}, {y.type}) -> {out.type}"
        )
        return out

    def select(self, which: Value, yes: Value, no: Value) -> Value:
        """``yes`` where ``which`` holds; that may be a scalar."""
        out = Value(self.name(), yes.dtype, yes.shape)
        self.line(
            f"{out.ref} = stablehlo.select {which.ref}, {yes.ref}, {no.ref} : "
            f"{which.type}, {yes.type}"
        )
        return out

    def convert(self, x: Value, dtype: DType) -> Value:
        if x.dtype == dtype:
            return x
        out = Value(self.name(), dtype, x.shape)
        self.line(f"{out.ref} = stablehlo.convert {x.ref} : ({x.type}) -> {out.type}")
        return out

    def bitcast(self, x: Value, dtype: DType, shape: Shape | None = None) -> Value:
        return self.op(
            "stablehlo.bitcast_convert", (x,), dtype, x.shape if shape is None else shape
        )

    def reshape(self, x: Value, shape: Shape) -> Value:
        if x.shape == shape:
            return x
        out = Value(self.name(), x.dtype, shape)
        self.line(f"{out.ref} = stablehlo.reshape {x.ref} : ({x.type}) -> {out.type}")
        return out

    def broadcast(self, x: Value, shape: Shape, dims: Sequence[int] = ()) -> Value:
        """``x`` along dimensions ``dims`` of the result, which are the last ones for none."""
        if x.shape == shape:
            return x
        if not dims:
            dims = range(len(shape) - len(x.shape), len(shape))
        out = Value(self.name(), x.dtype, shape)
        listed = ", ".join([str(d) for d in dims])
        self.line(
            f"{out.ref} = stablehlo.broadcast_in_dim {x.ref}, dims = [{listed}] : "
            f"({x.type}) -> {out.type}"
        )
        return out

    def transpose(self, x: Value, permutation: Sequence[int]) -> Value:
        if list(permutation) == list(range(len(x.shape))):
            return x
        out = Value(self.name(), x.dtype, tuple([x.shape[d] for d in permutation]))
        listed = ", ".join([str(d) for d in permutation])
        self.line(
            f"{out.ref} = stablehlo.transpose {x.ref}, dims = [{listed}] : ({x.type}) -> {out.type}"
        )
        return out

    def slice(
        self, x: Value, start: Sequence[int], limit: Sequence[int],
        strides: Sequence[int] | None = None,
    ) -> Value:  # fmt: skip
        steps = strides or [1] * len(x.shape)
        shape = tuple(
            [max(0, -(-(b - a) // s)) for a, b, s in zip(start, limit, steps, strict=True)]
        )
        attrs = (
            f"start_indices = {ints(start)}, limit_indices = {ints(limit)}, strides = {ints(steps)}"
        )
        return self.op("stablehlo.slice", (x,), x.dtype, shape, attrs)

    def pad(
        self, x: Value, value: Value, low: Sequence[int], high: Sequence[int],
        interior: Sequence[int] | None = None,
    ) -> Value:  # fmt: skip
        between = interior or [0] * len(x.shape)
        shape = tuple(
            [
                lo + hi + n + k * max(n - 1, 0)
                for n, lo, hi, k in zip(x.shape, low, high, between, strict=True)
            ]
        )
        attrs = (
            f"edge_padding_low = {ints(low)}, edge_padding_high = {ints(high)}, "
            f"interior_padding = {ints(between)}"
        )
        return self.op("stablehlo.pad", (x, value), x.dtype, shape, attrs)

    def concatenate(self, xs: Sequence[Value], dimension: int) -> Value:
        shape = list(xs[0].shape)
        shape[dimension] = sum([x.shape[dimension] for x in xs])
        return self.op(
            "stablehlo.concatenate", xs, xs[0].dtype, tuple(shape), f"dimension = {dimension} : i64"
        )

    def reverse(self, x: Value, dims: Sequence[int]) -> Value:
        return self.op("stablehlo.reverse", (x,), x.dtype, x.shape, f"dimensions = {ints(dims)}")

    def dynamic_slice(self, x: Value, starts: Sequence[Value], sizes: Sequence[int]) -> Value:
        return self.op(
            "stablehlo.dynamic_slice", (x, *starts), x.dtype, tuple(sizes),
            f"slice_sizes = {ints(sizes)}",
        )  # fmt: skip

    def dynamic_update_slice(self, x: Value, update: Value, starts: Sequence[Value]) -> Value:
        return self.op("stablehlo.dynamic_update_slice", (x, update, *starts), x.dtype, x.shape)

    def reduce(
        self, xs: Sequence[Value], starts: Sequence[Value], axes: Sequence[int],
        combine: Callable[..., Sequence[Value]],
    ) -> list[Value]:  # fmt: skip
        """Each tensor reduced along ``axes`` by one function of two elements each."""
        shape = tuple([n for d, n in enumerate(xs[0].shape) if d not in axes])
        region = self.block([(x.dtype, ()) for x in (*xs, *xs)], combine)
        return self.ops(
            "stablehlo.reduce", [*xs, *starts], [(x.dtype, shape) for x in xs],
            f"dimensions = {ints(axes)}", [region],
        )  # fmt: skip

    def fold(self, name: str, x: Value, start: Any, axes: Sequence[int]) -> Value:
        """`reduce` by an operation such as ``add``, beginning with a number."""
        if not axes:
            return x
        first = self.constant(start, x.dtype)
        return self.reduce([x], [first], axes, lambda a, b: [self.same(name, a, b)])[0]

    def loop(
        self, state: Sequence[Value], test: Callable[..., Value],
        body: Callable[..., Sequence[Value]], ordered: bool = False,
    ) -> list[Value]:  # fmt: skip
        """``while test(*state): state = body(*state)``.

        ``ordered`` says that it has callbacks that keep their places.
        """
        if ordered:
            *out, self.order = self.loop(
                [*state, self.place_in_order()],
                self._ordered(lambda *s: test(*s[:-1])), self._ordered(body, True),
            )  # fmt: skip
            return out
        types = [(x.dtype, x.shape) for x in state]
        return self.ops(
            "stablehlo.while", state, types,
            regions=[self.block(types, lambda *s: [test(*s)]), self.block(types, body)],
        )  # fmt: skip

    def case(
        self, index: Value, branches: Sequence[Callable[[], Sequence[Value]]],
        outs: Sequence[tuple[DType, Shape]], ordered: bool = False,
    ) -> list[Value]:  # fmt: skip
        """The results of one of ``branches``, the last one for an index out of range."""
        if ordered:
            before = self.place_in_order()

            def within(branch: Callable[[], Sequence[Value]]) -> Callable[[], Sequence[Value]]:
                run = self._ordered(branch, True)
                return lambda: run(before)

            *out, self.order = self.case(
                index, [within(branch) for branch in branches],
                [*outs, (before.dtype, before.shape)],
            )  # fmt: skip
            return out
        regions = [self.block([], branch) for branch in branches]
        return self.ops("stablehlo.case", [index], outs, regions=regions)

    def place_in_order(self) -> Value:
        """The value that the next ordered callback depends on."""
        if self.order is None:
            self.order = self.constant(0, np.dtype(np.int32))
        return self.order

    def _ordered(self, write: Callable[..., Any], returned: bool = False) -> Callable[..., Any]:
        """``write`` in a block whose last argument is the place in the order; ``returned`` has it
        given back with the results."""

        def run(*values: Value) -> Any:
            outer, self.order = self.order, values[-1]
            out = write(*values[: -1 if returned else None])
            if returned:
                out = [*out, self.order]
            self.order = outer
            return out

        return run


def typed(aval: ShapedArray) -> tuple[DType, Shape]:
    """The type of what a variable stands for."""
    return aval.dtype, aval.shape
