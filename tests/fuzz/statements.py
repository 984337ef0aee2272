"""Kinds of statements: each writes an expression of values whose types it is given.

A writer takes a source of random choices and the operands, and returns an expression with its
traits (see `bodies.function`), or None where it does not apply to these operands.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass

from tests.fuzz.bodies import FLOATS, NONE, STEP, SUM, Type, function


@dataclass(frozen=True)
class Operand(Type):
    """A value: its type and its name in the program."""

    name: str

    @property
    def kind(self) -> str:
        """f, i, b or c."""
        if self.dtype in FLOATS:
            return "f"
        return self.dtype[0] if self.dtype[0] in "bc" else "i"

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return math.prod(self.shape)


# Elements of all the carries of a loop, of which a derivative keeps several.
MOST_KEPT = 4_000_000
KINK = frozenset({"kink"})
Written = tuple[str, frozenset[str]] | None
Writer = Callable[..., Written]
WRITERS: dict[str, tuple[int, Writer]] = {}


def writer(count: int) -> Callable[[Writer], Writer]:
    """Enter a writer of statements of so many operands."""

    def enter(f: Writer) -> Writer:
        WRITERS[f.__name__] = count, f
        return f

    return enter


def broadcastable(x: Type, y: Type) -> bool:
    pairs = zip(reversed(x.shape), reversed(y.shape), strict=False)
    return all(a == b or 1 in (a, b) for a, b in pairs)


def loose(x: Operand) -> frozenset[str]:
    """The trait of arithmetic with these numbers."""
    return SUM if x.kind in "fc" else NONE


@writer(1)
def body(r: random.Random, x: Operand, smooth: bool) -> Written:
    return function(r, x, r.randrange(4), smooth, x.name)


@writer(2)
def binary(r: random.Random, x: Operand, y: Operand, smooth: bool) -> Written:
    if not broadcastable(x, y) or "b" in (x.kind, y.kind):
        return None
    forms = ["{x} + {y}", "{x} - {y}", "{x} * {y}"]
    kinds = x.kind + y.kind
    traits = loose(x) | loose(y)
    if kinds == "ff":
        forms += [
            "{x} / (2 + np.sin({y}))",
            "np.arctan2({x}, 2 + np.cos({y}))",
            "np.logaddexp({x}, {y})",
        ]
    if "c" not in kinds and not smooth and r.random() < 0.6:
        forms = [
            "np.maximum({x}, {y})",
            "np.minimum({x}, {y})",
            "np.where({x} > {y}, {x}, {y})",
            # Integers by zero are 0 here, and else in JAX.
            "{x} // {y}" if "f" in kinds else "{x} // ({y} | 1)",
            "{x} % {y}",
            "{x} < {y}",
            "{x} == {y}",
            "np.fmod({x}, {y})",
            "np.divmod({x}, {y})[1]",
            "np.fmax({x}, {y})",
            "{x} / {y}",
            "np.copysign({x}, {y})",
            "np.hypot({x}, {y})",
            "np.arctan2({x}, {y})",
            "np.heaviside({x}, {y})",
        ]
        if kinds == "ff":
            forms += ["np.nextafter({x}, {y})", "np.power(np.abs({x}), {y})", "lax.rem({x}, {y})"][
                : 2 + (x == y)
            ]
        if kinds == "ii":
            forms += [
                "{x} & {y}",
                "{x} | {y}",
                "{x} ^ {y}",
                "{x} << ({y} & 7)",
                "{x} >> ({y} & 7)",
                "np.gcd({x}, {y})",
                "np.lcm({x}, {y})",
                "np.power({x}, {y} & 3)",
            ]
        traits = STEP | traits
    form = r.choice(forms)
    if form.startswith(("np.max", "np.min", "np.fmax", "np.copysign")):
        traits = NONE
    if "<" in form[:8] or "==" in form or "where" in form:
        traits = STEP
    return form.format(x=x.name, y=y.name), traits


@writer(2)
def logical(r: random.Random, x: Operand, y: Operand, smooth: bool) -> Written:
    if not broadcastable(x, y) or smooth:
        return None
    f = r.choice(["logical_and", "logical_or", "logical_xor", "equal", "not_equal"])
    return f"np.{f}({x.name}, {y.name})", STEP


@writer(3)
def where(r: random.Random, c: Operand, x: Operand, y: Operand, smooth: bool) -> Written:
    if not (broadcastable(x, y) and broadcastable(c, x) and broadcastable(c, y)):
        return None
    condition = c.name if c.kind == "b" else f"{c.name} != 0"
    traits = STEP if c.kind in "fc" else NONE
    return None if smooth and traits else (f"np.where({condition}, {x.name}, {y.name})", traits)


@writer(1)
def with_scalar(r: random.Random, x: Operand, smooth: bool) -> Written:
    if x.kind == "b":
        return None
    number = (
        r.choice(["2", "0.5", "-3", "np.pi"]) if x.kind in "fc" else r.choice(["2", "7", "0.25"])
    )
    sign = r.choice("+-*/")
    return r.choice([f"{x.name} {sign} {number}", f"{number} {sign} (2 + np.abs({x.name}))"]), SUM


@writer(1)
def cast(r: random.Random, x: Operand, smooth: bool) -> Written:
    if smooth:
        return None
    kinds = {
        "f": ["float32", "float16", "bfloat16", "complex64", "bool", "int32"],
        "i": ["float32", "int32", "uint8", "int8", "int16", "bool", "complex64", "uint32"],
        "b": ["float32", "int32", "uint8"],
        "c": ["complex64"],
    }
    dtype = r.choice(kinds[x.kind])
    safe = (
        f"np.clip(np.nan_to_num({x.name}), 0, 9)" if x.kind == "f" and dtype == "int32" else x.name
    )
    return f"{safe}.astype(np.{'bool_' if dtype == 'bool' else dtype})", STEP


@writer(1)
def complex_part(r: random.Random, x: Operand, smooth: bool) -> Written:
    if x.kind != "c":
        return None
    return r.choice(
        [
            "np.real({x})",
            "np.imag({x})",
            "np.abs({x})",
            "np.angle({x})",
            "lax.complex(np.imag({x}), np.real({x}))",
        ]
    ).format(x=x.name), SUM


@writer(1)
def reduction(r: random.Random, x: Operand, smooth: bool) -> Written:
    axes = [k for k in range(x.ndim) if r.random() < 0.6] or None
    inside = "" if axes is None else f", axis={axes[0] if len(axes) == 1 else tuple(axes)}"
    inside += r.choice(["", "", ", keepdims=True"])
    name = x.name
    forms = [("np.sum({x}{a})", loose(x))]
    if x.kind in "fc" and x.size:
        forms += [
            ("np.mean({x}{a})", SUM),
            ("np.prod(np.cos({x}{a}))".replace("{a})", "){a}"), SUM),
        ]
        forms += [("np.var({x}{a})", SUM)]
    if x.kind == "f" and x.size:
        forms += [
            ("cv.nn.logsumexp({x}{a})", SUM),
            ("np.nansum({x}{a})", SUM | STEP),
            ("np.std({x}{a}, ddof=0)", SUM | STEP),
        ]
    if not smooth:
        forms += [
            ("np.any({x}{a})", STEP),
            ("np.all({x}{a})", STEP),
            ("np.count_nonzero({x}{a})", STEP),
        ]
        if x.size and x.kind != "c":
            forms += [
                ("np.max({x}{a})", NONE),
                ("np.min({x}{a})", NONE),
                ("np.ptp({x}{a})", loose(x)),
            ]
            forms = [f for f in forms if x.kind != "b" or "ptp" not in f[0]]
            if axes is None or len(axes) == 1:
                forms += [("np.argmax({x}{a})", STEP), ("np.argmin({x}{a})", STEP)]
    form, traits = r.choice(forms)
    return form.format(x=name, a=inside), traits


@writer(1)
def along(r: random.Random, x: Operand, smooth: bool) -> Written:
    if not x.ndim:
        return None
    k = r.randrange(-x.ndim, x.ndim)
    forms = [
        ("np.flip({x}, {k})", NONE),
        ("np.roll({x}, 2, {k})", NONE),
        ("np.repeat({x}, 2, {k})", NONE),
    ]
    if x.kind != "b":
        forms += [("np.cumsum({x}, {k})", loose(x)), ("np.diff({x}, axis={k})", loose(x))]
        if x.kind != "c":
            forms += [
                ("np.sort({x}, {k})", KINK),
                ("lax.cummax({x}, {p})", KINK),
                ("lax.cummin({x}, {p}, reverse=True)", KINK),
            ]
            if not smooth:
                forms += [
                    ("np.argsort({x}, {k})", STEP),
                    ("lax.top_k(np.moveaxis({x}, {k}, -1), {n})[0]", NONE),
                ]
                forms += [("np.cumprod({x}, {k})", loose(x)), ("np.median({x}, {k})", SUM)][
                    : 1 + (x.size > 0 and x.kind == "f")
                ]
        if x.kind == "f" and x.size:
            forms += [("cv.nn.softmax({x}, {k})", SUM), ("lax.cumlogsumexp({x}, {p})", SUM)]
    form, traits = r.choice(forms)
    return form.format(x=x.name, k=k, p=k % x.ndim, n=min(2, x.shape[k])), traits


@writer(1)
def rearranged(r: random.Random, x: Operand, smooth: bool) -> Written:
    order = list(range(x.ndim))
    r.shuffle(order)
    forms = [
        "{x}.T",
        "np.ravel({x})",
        f"np.reshape({{x}}, {x.shape[::-1]})",
        "{x}[None]",
        "np.tile({x}, 2)",
        f"np.transpose({{x}}, {tuple(order)})",
        f"np.broadcast_to({{x}}, {(2, *x.shape)})",
        "np.squeeze({x})",
        "np.atleast_2d({x})",
        "np.pad({x}, 1)",
        "np.stack([{x}, {x}], -1)",
        "np.copy({x})",
        "np.expand_dims({x}, -1)",
        "np.array_split(np.ravel({x}), 3)[0]",
        "np.kron(np.array([1, 1]).astype({x}.dtype), {x})" if x.kind != "b" else "{x}[None]",
        "lax.broadcast({x}, (2,))",
        "lax.rev({x}, tuple(range({x}.ndim)))",
        "lax.squeeze(lax.expand_dims({x}, (0,)), (0,))",
        "np.resize({x}, (5,))" if x.size else "{x}[None]",
        "np.concatenate([np.ravel({x}), np.ravel({x}.T)])",
    ]
    if x.ndim == 2:
        forms += ["np.tril({x})", "np.triu({x}, 1)", "np.diagonal({x})", "np.rot90({x})"]
    if x.ndim:
        forms += ["np.pad({x}, 2, mode='edge')", "np.pad({x}, 1, mode='wrap')"][: 2 * bool(x.size)]
        forms += ["lax.pad({x}, {x}.dtype.type(0), [(1, -1, 1)] + [(0, 0, 0)] * ({x}.ndim - 1))"]
    return r.choice(forms).format(x=x.name), NONE


@writer(1)
def indexed(r: random.Random, x: Operand, smooth: bool) -> Written:
    if not x.ndim:
        return None
    n = x.shape[0]
    step = r.choice([1, 2, -1, -2])
    lo, hi = sorted((r.randrange(-n - 1, n + 2), r.randrange(-n - 1, n + 2)))
    lo, hi = (lo, hi) if step > 0 else (hi, lo)
    forms = [f"{{x}}[{lo}:{hi}:{step}]", f"{{x}}[..., ::{step}]", "{x}[..., None]"]
    if n:
        i, j = r.randrange(-n, n), r.randrange(-n, n)
        forms += [
            f"{{x}}[{i}]",
            f"{{x}}[np.array([{i}, {j}, {i}])]",
            f"lax.dynamic_slice_in_dim({{x}}, {i}, {1 + n // 2}, 0)",
            f"np.take({{x}}, np.array([[{i}], [{j}]]), axis=0)",
            f"{{x}}[onp.arange({n}) % 2 == 0]",
            f"{{x}}[np.array([{n + 2}, {i}])]",
            f"{{x}}.at[np.array([{j}, {n + 3}])].get(mode='fill', fill_value=1)",
        ]
        if x.ndim > 1 and x.shape[1]:
            k = r.randrange(x.shape[1])
            forms += [
                f"{{x}}[{i}, {k}]",
                f"{{x}}[:, {k}]",
                f"{{x}}[np.array([{i}, {j}]), {k}]",
                f"{{x}}[::2, np.array([{k}])]",
            ]
    return r.choice(forms).format(x=x.name), NONE


@writer(2)
def traced_index(r: random.Random, x: Operand, i: Operand, smooth: bool) -> Written:
    if not x.ndim or not x.shape[0] or i.kind != "i" or i.size > 100 or i.ndim > 1:
        return None
    n, at = x.shape[0], f"{i.name} % {x.shape[0]}"
    forms = [
        f"{{x}}[{at}]",
        f"{{x}}[{i.name}]",
        f"np.take({{x}}, {at}, axis=0)",
        f"{{x}}.at[{at}].set(3)",
        f"{{x}}.at[{i.name}].max({{x}}[0])",
        f"{{x}}.at[{i.name} - {n}].set({{x}}[-1], mode='drop')",
    ]
    if x.kind != "b":
        forms += [f"{{x}}.at[{at}].add({{x}}[0])", f"{{x}}.at[{at}].multiply(2)"]
    if not i.ndim:
        forms += [
            f"lax.dynamic_index_in_dim({{x}}, {i.name}, 0)",
            f"lax.dynamic_slice_in_dim({{x}}, {i.name}, {n}, 0)",
        ]
    form = r.choice(forms)
    if x.kind in "cb" and ".max" in form:
        return None
    return form.format(x=x.name), loose(x) if "add" in form or "multiply" in form else NONE


@writer(2)
def updated(r: random.Random, x: Operand, y: Operand, smooth: bool) -> Written:
    if not x.ndim or not x.shape[0] or x.dtype != y.dtype:
        return None
    k, last = r.randrange(x.shape[0]), x.shape[1:]
    if not (len(y.shape) <= len(last) and broadcastable(Type(last, x.dtype), y)):
        return None
    if any(s not in (1, t) for s, t in zip(reversed(y.shape), reversed(last), strict=False)):
        return None
    how = r.choice(["set", "set", *(["add", "multiply"] if x.kind != "b" else [])])
    places = [str(k), f"{k}:", f"{k - x.shape[0]}:: 2"]
    # Products at indices that may repeat have no derivative by what is multiplied.
    where = r.choice(places if how == "multiply" else [*places, f"np.array([{k}, 0])"])
    return f"{x.name}.at[{where}].{how}({y.name})", loose(x) if how != "set" else NONE


@writer(2)
def joined(r: random.Random, x: Operand, y: Operand, smooth: bool) -> Written:
    if x.ndim != y.ndim or not x.ndim:
        return None
    k = r.randrange(x.ndim)
    if any(a != b for d, (a, b) in enumerate(zip(x.shape, y.shape, strict=True)) if d != k):
        return None
    return f"np.concatenate([{x.name}, {y.name}, {x.name}], {k})", NONE


@writer(2)
def product(r: random.Random, x: Operand, y: Operand, smooth: bool) -> Written:
    if "b" in x.kind + y.kind:
        return None
    mixed = {x.kind, y.kind} == {"i", "u"} and "uint64" in (x.dtype, y.dtype)  # floats
    traits = SUM if mixed or set(x.kind + y.kind) & set("fc") else NONE
    forms = []
    if x.ndim and y.ndim and x.shape[-1] == y.shape[-2 if y.ndim > 1 else 0]:
        if (
            broadcastable(Type(x.shape[:-2], ""), Type(y.shape[:-2], ""))
            or min(x.ndim, y.ndim) == 1
        ):
            forms.append("{x} @ {y}")
    if x.ndim == y.ndim == 2:
        if x.shape[0] == y.shape[0]:
            forms += ["{x}.T @ {y}", "np.einsum('ki,kj->ij', {x}, {y})"]
        if x.shape[1] == y.shape[1]:
            forms += ["np.einsum('ik,jk->ji', {x}, {y})"]
    if x.ndim == y.ndim == 1:
        forms += ["np.outer({x}, {y})"]
        if min(x.size, y.size) > 0:
            forms += ["np.convolve({x}, {y})"]
    if x.shape == y.shape:
        forms += ["np.vdot({x}, {y})", "np.tensordot({x}, {y}, {x}.ndim)"]
    return (r.choice(forms).format(x=x.name, y=y.name), traits) if forms else None


@writer(2)
def scanned(r: random.Random, x: Operand, y: Operand, smooth: bool) -> Written:
    """A loop over the rows of `x` with a carry of the type of `y`."""
    if (
        not x.ndim
        or not broadcastable(Type(x.shape[1:], ""), y)
        or x.dtype != y.dtype
        or x.kind == "b"
    ):
        return None
    if any(s not in (1, t) for s, t in zip(reversed(x.shape[1:]), reversed(y.shape), strict=False)):
        return None
    if x.ndim - 1 > y.ndim:
        return None
    if x.shape[0] * y.size > MOST_KEPT:
        return None
    f, one = function(r, Type(y.shape, y.dtype), 2, smooth, "c")
    g, two = function(r, Type(x.shape[1:], x.dtype), 1, smooth, "row")
    part = r.choice([0, 1])
    half = " * 0.5" if x.kind == "f" else ""
    return (
        f"lax.scan(lambda c, row: (({f}){half} + row, {g}), {y.name}, {x.name}"
        f"{r.choice(['', ', reverse=True', ', unroll=2'])})[{part}]",
        one | two,
    )


@writer(2)
def branched(r: random.Random, p: Operand, x: Operand, smooth: bool) -> Written:
    if smooth and p.kind == "f":
        return None
    f, one = function(r, x, 2, smooth, "a")
    g, two = function(r, x, 2, smooth, "a")
    condition = f"np.any({p.name} != 0)" if r.random() < 0.8 else f"np.sum({p.name}) > 1"
    more = STEP | loose(p) if "sum" in condition else STEP if p.kind == "f" else NONE
    return f"lax.cond({condition}, lambda a: {f}, lambda a: {g}, {x.name})", one | two | more


@writer(1)
def of_vector(r: random.Random, x: Operand, smooth: bool) -> Written:
    """Functions of one array that take more than one pass over it."""
    if not x.ndim or not x.size or x.kind == "b":
        return None
    n = x.shape[0]
    forms = [("lax.associative_scan(np.add, {x})", loose(x))]
    if x.kind == "f":
        forms += [("np.gradient(np.concatenate([{x}, {x}]), axis=0)", SUM)]
        forms += [("np.linalg.norm(1 + np.square({x}))", SUM)] * (x.ndim < 3)
        forms += [("np.trapezoid({x}, axis=0)", SUM), ("np.cov({x})", SUM)][: 1 + (x.ndim == 2)]
        forms += [("cv.nn.standardize({x}, 0)", SUM), ("cv.nn.glu(np.stack([{x}, {x}]), 0)", SUM)]
    if x.ndim == 2 and max(x.shape) < 100 and x.dtype in ("float32", "float64"):
        gram = "(np.eye({n}, dtype={x}.dtype) + np.tanh({x}) @ np.tanh({x}).T)"
        forms += [(f"np.linalg.cholesky({gram})", SUM), (f"np.linalg.slogdet({gram})[1]", SUM)]
        forms += [(f"np.linalg.solve({gram}, {{x}})", SUM), (f"np.linalg.inv({gram})", SUM)]
        forms += [(f"np.linalg.eigvalsh({gram})", SUM | KINK)]
    if x.ndim == 1 and x.kind != "c" and not smooth:
        forms += [("np.searchsorted(np.sort({x}), {x})", STEP), ("np.lexsort(({x}, {x}))", STEP)]
        forms += [
            ("np.unique({x}, size={n}, fill_value=0)", STEP),
            ("np.digitize({x}, np.arange(3))", STEP),
        ]
        forms += [
            ("np.nonzero({x}, size={n})[0]", STEP),
            ("np.isin({x}, {x}[:2])", STEP),
            ("np.interp({x}, np.arange(4.0), np.array([1.0, 3.0, 2.0, 0.5]))", SUM | STEP),
            ("np.histogram({x}, bins=np.arange(5))[0]", STEP),
            ("np.partition({x}, 0)", NONE),
            ("lax.sort(({x}, np.arange({n})))[1]", STEP),
        ]
    form, traits = r.choice(forms)
    return form.format(x=x.name, n=n), traits


@writer(1)
def drawn(r: random.Random, x: Operand, smooth: bool) -> Written:
    """Random numbers, from a key made of what an integer says or of a number."""
    traced = x.kind == "i" and x.size
    seed = f"np.ravel({x.name})[0].astype(np.int32)" if traced else str(r.randrange(100))
    key = r.choice(["cv.random.key({s})", "cv.random.fold_in(cv.random.key(3), {s})"])
    key = r.choice([key, f"cv.random.split({key})[1]"]).format(s=seed)
    shape = x.shape
    dtype = f"np.{x.dtype}" if x.dtype in ("float32", "float64") else "np.float32"
    forms = [f"cv.random.uniform({key}, {shape}, {dtype})"]
    forms += [f"cv.random.normal({key}, {shape}, {dtype})"]
    forms += [f"cv.random.gumbel({key}, {shape}, {dtype})"]
    if not smooth:
        forms += [f"cv.random.bernoulli({key}, 0.3, {shape})"]
        forms += [f"cv.random.randint({key}, {shape}, -5, 90)", f"cv.random.bits({key}, {shape})"]
        if x.ndim:
            forms += [f"cv.random.permutation({key}, {x.name})"]
            forms += [f"cv.random.categorical({key}, np.zeros({shape}), {x.ndim - 1})"] * (
                x.shape[-1] > 0
            )
    # Sampling is the same however it is compiled, but for the functions it ends with.
    form = r.choice(forms)
    return form, STEP | SUM if any(f in form for f in ("normal", "gumbel", "categorical")) else NONE


@writer(2)
def by_segment(r: random.Random, x: Operand, i: Operand, smooth: bool) -> Written:
    """Functions of an array and of a vector of integers."""
    if i.kind != "i" or i.ndim != 1 or not i.size or not x.size:
        return None
    forms = ["cv.nn.one_hot({i} % 3, 3)", "np.bincount({i} % 4, length=4)"]
    if x.shape[:1] == i.shape and x.kind != "b":
        forms += [
            "cv.ops.segment_sum({x}, {i} % 3, 3)",
            "cv.ops.segment_sum({x}, {i}, num_segments=4)",
        ]
        if x.kind in "fi":
            forms += ["cv.ops.segment_max({x}, {i} % 3, 3)"]
    if x.ndim and x.shape[-1:] == i.shape:
        forms += ["np.take_along_axis({x}, np.broadcast_to({i} % {n}, {x}.shape), -1)"]
    form = r.choice(forms)
    traits = loose(x) if "sum" in form else KINK if "max" in form else NONE
    return form.format(x=x.name, i=i.name, n=i.size), traits


@writer(1)
def mapped(r: random.Random, x: Operand, smooth: bool) -> Written:
    """`vmap` over the rows of an array, with derivatives inside."""
    if not x.ndim or x.dtype not in ("float32", "float64"):
        return None
    row = Type(x.shape[1:], x.dtype)
    f, traits = function(r, row, 2, smooth, "a")
    if traits & {"step", "forward"}:
        return None
    k = "in_axes=(0, None)"
    forms = [f"cv.vmap(cv.grad(lambda a: np.sum(np.sin({f}))))({x.name})"]
    forms += [f"cv.vmap(lambda a, b: ({f}) * np.sum(b), {k})({x.name}, {x.name})"]
    if "reverse" not in traits:
        forms += [
            f"cv.vmap(lambda a: cv.jvp(lambda a: {f}, (a,), (np.ones_like(a),))[1])({x.name})"
        ]
        forms += [f"cv.vmap(lambda a: cv.linearize(lambda a: {f}, a)[1](a))({x.name})"]
    return r.choice(forms), traits | SUM | (KINK if not smooth else NONE)
