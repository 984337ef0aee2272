"""Functions from a value to one of its type, nested at random: bodies of loops and branches."""

from __future__ import annotations

import random
from dataclasses import dataclass

SMOOTH = [
    "np.sin({x})",
    "np.cos({x})",
    "np.tanh({x})",
    "np.arctan({x})",
    "np.arcsinh({x})",
    "np.exp(np.tanh({x}))",
    "np.log1p({x} * {x})",
    "np.sqrt(1 + {x} * {x})",
    "lax.logistic({x})",
    "lax.erf({x})",
    "cv.nn.softplus({x})",
    "np.sinc(np.tanh({x}))",
    "np.expm1(np.sin({x}))",
    "cv.nn.gelu(np.tanh({x}))",
    "np.cbrt(2 + np.sin({x}))",
    "{x} / (1 + {x} * {x})",
    "lax.integer_pow(np.sin({x}), 3)",
    "np.arctan2(np.sin({x}), 2 + np.cos({x}))",
    "lax.lgamma(2 + np.sin({x}))",
    "np.logaddexp({x}, np.cos({x}))",
    "np.hypot({x}, 1.5)",
    "lax.digamma(2 + np.cos({x}))",
    "np.power(1.5, np.sin({x}))",
    "lax.rsqrt(1 + {x} * {x})",
    "lax.bessel_i0e({x})",
    "lax.bessel_i1e({x})",
    "lax.erf_inv(np.tanh({x}) * 0.9)",
    "np.arccosh(2 + {x} * {x})",
    "np.log2(3 + np.sin({x}))",
    "np.exp2(np.sin({x}))",
    "cv.nn.silu(np.sin({x}))",
    "cv.nn.squareplus({x})",
    "lax.tan(np.tanh({x}))",
    "np.sin({x}) ** 2 / (2 + np.cos({x}) ** 3)",
]
EXACT = [
    "np.abs({x})",
    "np.maximum({x}, 0.3)",
    "np.minimum({x}, -{x})",
    "cv.nn.relu({x})",
    "-{x}",
    "np.clip({x}, -1, 1)",
    "lax.stop_gradient({x})",
    "cv.nn.hard_tanh({x})",
    "np.copysign({x}, -{x})",
]
KINKS = [
    "np.sqrt(np.abs({x}))",
    "lax.select({x} < 0, {x}, {x} * {x})",
    "np.log(np.abs({x}) + 1)",
    "np.maximum({x} * 2, {x})",
    "cv.nn.leaky_relu({x})",
    "cv.nn.elu({x})",
    "cv.nn.relu6({x} * 3)",
]
STEPS = [
    "np.floor({x})",
    "np.sign({x})",
    "np.round({x})",
    "np.heaviside({x}, 0.5)",
    "np.trunc({x})",
    "np.nan_to_num({x}, posinf=3, neginf=-3)",
    "np.ceil({x})",
    "np.where({x} > 0.1, {x}, -{x})",
]
JUMPS = [
    "np.where({x} > 0.1, {x}, -{x} * 0.5)",
    "np.remainder({x}, 0.7)",
    "np.fmod({x}, 0.7)",
    "np.round({x} * 2)",
    "np.floor_divide({x}, 0.7)",
    "np.trunc({x} * 3)",
]
NONE: frozenset[str] = frozenset()
STEP, SUM = frozenset({"step"}), frozenset({"sum"})
ROUGH = [(EXACT, NONE), (KINKS, SUM), (STEPS, STEP), (JUMPS, STEP | SUM)]
INTEGERS = [
    "{x} + {x}",
    "{x} * 3",
    "-{x}",
    "~{x}",
    "{x} // 3",
    "{x} % 5",
    "np.abs({x})",
    "{x} & 6",
    "{x} ^ 5",
    "{x} | 1",
    "{x} >> 1",
    "{x} << 2",
    "np.minimum({x}, 4)",
    "np.square({x})",
    "lax.population_count({x})",
    "lax.clz({x})",
    "np.sign({x})",
    "np.where({x} > 2, {x}, 7)",
    "np.clip({x}, 1, 6)",
    "np.power({x}, 2)",
    "np.invert({x})",
    "np.gcd({x}, 6)",
]
BOOLS = [
    "~{x}",
    "{x} & {x}",
    "{x} ^ True",
    "np.logical_or({x}, False)",
    "np.where({x}, False, True)",
]
COMPLEX = [
    "np.conj({x})",
    "{x} * (0.5 + 0.5j)",
    "np.exp({x} / (1 + np.abs({x})))",
    "-{x}",
    "{x} * {x} * 0.3",
    "{x} / (2 + np.abs({x}))",
    "np.sin({x} / (1 + np.abs({x})))",
    "np.square({x}) * 0.1",
]
FLOATS = ("float16", "bfloat16", "float32", "float64")
NESTED = [
    "lax.fori_loop(0, {n}, lambda i, {a}: {f} {half}+ np.asarray(i).astype({a}.dtype), {x})",
    "lax.fori_loop(0, {n}, lambda i, {a}: {f}, {x})",
    "cv.jit(lambda {a}: {f})({x})",
    "cv.checkpoint(lambda {a}: {f})({x})",
    "lax.cond(np.any({x} == {x}), lambda {a}: {f}, lambda {a}: {g}, {x})",
    "lax.switch({n}, [lambda {a}: {f}, lambda {a}: {g}, lambda {a}: {a}], {x})",
    "lax.scan(lambda {a}, i: ({f}, None), {x}, None, length={n})[0]",
    "lax.scan(lambda {a}, i: ({f}, {g}), {x}, np.arange({n}), reverse=True, unroll=2)[0]",
]
FORWARD = [
    "lax.while_loop(lambda s: s[0] < {n}, lambda s: (s[0] + 1, (lambda {a}: {f})(s[1])), "
    "(0, {x}))[1]",
    "lax.fori_loop(0, np.int32({n}), lambda i, {a}: {f}, {x})",
]
RULES = {
    "with_jvp(lambda {a}: {f})({x})": frozenset(),
    "with_vjp(lambda {a}: {f})({x})": frozenset({"reverse"}),
}
ROWS = [
    "cv.vmap(lambda {a}: {f})({x})",
    "lax.map(lambda {a}: {f}, {x})",
    "lax.scan(lambda c, {a}: (c, {f}), np.zeros(()), {x})[1]",
    "{x}.at[{k}].set((lambda {a}: {f})({x}[{j}]))",
]


@dataclass(frozen=True)
class Type:
    """The type of a value."""

    shape: tuple[int, ...]
    dtype: str


def base(r: random.Random, t: Type, smooth: bool) -> tuple[str, frozenset[str]]:
    """A function without functions inside, and its traits."""
    if t.shape and r.random() < 0.35:
        return along_axis(r, t)
    if t.dtype in FLOATS:
        table, traits = (SMOOTH, SUM) if smooth or r.random() < 0.5 else r.choice(ROUGH)
        return r.choice(table), traits
    table = COMPLEX if t.dtype.startswith("c") else BOOLS if t.dtype == "bool" else INTEGERS
    traits = SUM if table is COMPLEX else NONE
    return r.choice([f for f in table if t.dtype[0] != "u" or "-{x}" not in f]), traits


def along_axis(r: random.Random, t: Type) -> tuple[str, frozenset[str]]:
    """A function of an array that keeps its type."""
    k = r.randrange(-len(t.shape), len(t.shape))
    rows = t.shape[0]
    forms = [f"np.flip({{x}}, {k})", f"np.roll({{x}}, {r.randrange(-3, 4)}, {k})"]
    if rows:
        i, j = r.randrange(-rows, rows), r.randrange(rows)
        forms += [f"{{x}}.at[{i}].set({{x}}[{j}])", f"{{x}}[np.arange({rows})[::-1]]"]
        forms += [f"lax.dynamic_update_index_in_dim({{x}}, {{x}}[{j}], {i}, 0)"]
        if t.dtype[0] in "iu":
            forms += [
                f"{{x}}.at[np.array([{j}, {j}])].add({{x}}[{i}])",
                f"{{x}}.at[{i}].multiply(2)",
            ]
    if t.dtype in FLOATS:
        total = [
            f"np.cumsum(np.tanh({{x}}), {k})",
            f"np.tanh({{x}}) - np.mean(np.sin({{x}}), {k}, keepdims=True)",
        ]
        if all(t.shape):
            total.append(f"cv.nn.softmax(np.tanh({{x}}), {k})")
            if r.random() < 0.6:
                return r.choice(total), frozenset({"sum"})
    return r.choice(forms), frozenset()


def function(
    r: random.Random, t: Type, depth: int, smooth: bool, x: str
) -> tuple[str, frozenset[str]]:
    """An expression of `x` that has its type, and its traits.

    Traits: ``sum`` rounds, ``step`` jumps, ``kink`` has no derivative somewhere; ``forward`` and
    ``reverse`` say in which mode alone there is a derivative.
    """
    if not depth or r.random() < 0.3:
        form, traits = base(r, t, smooth)
        return form.format(x=x), traits
    if r.random() < 0.35:
        inner, traits = function(r, t, depth - 1, smooth, x)
        form, more = base(r, t, smooth)
        return form.format(x=f"({inner})"), traits | more
    forms: list[tuple[str, frozenset[str]]] = [(f, frozenset()) for f in NESTED]
    forms += [(f, frozenset({"forward"})) for f in FORWARD]
    if t.dtype in ("float32", "float64"):
        forms += list(RULES.items()) * 2
    if t.shape and t.shape[0]:
        forms += [(f, frozenset()) for f in ROWS]
    form, more = r.choice(forms)
    rows = form in ROWS
    if t.dtype == "bool" and "{half}" in form:
        form = NESTED[1]
    a = f"a{depth}"
    inner_type = Type(t.shape[1:], t.dtype) if rows else t
    f, one = function(r, inner_type, depth - 1, smooth, a)
    g, two = function(r, inner_type, depth - 1, smooth, a) if "{g}" in form else ("", frozenset())
    size = t.shape[0] if rows else 1
    if "{half}" in form and t.dtype[0] not in "iu":
        more = more | SUM
    text = form.format(
        a=a,
        f=f,
        g=g,
        x=x,
        n=r.randrange(4),
        k=r.randrange(size),
        j=r.randrange(-size, size),
        half="* 0.5 " if t.dtype in FLOATS else "",
    )
    return text, more | one | two
