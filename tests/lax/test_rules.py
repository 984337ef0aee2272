"""Derivatives, transposes and batching of every primitive, over a table of applications."""

import itertools
import zlib

import numpy as onp
import pytest

import covector as cv
from covector import lax

R = onp.random.RandomState(0)


def real(*shape):
    return R.uniform(0.2, 0.8, shape)


def cplx(*shape):
    return R.uniform(0.2, 0.8, shape) + 1j * R.uniform(0.2, 0.8, shape)


CASES: dict = {}


def case(name, fun, *args, transpose=True, batch=True):
    assert name not in CASES
    CASES[name] = (fun, args, transpose, batch)


X, Y, S, C, D = real(2, 3), real(2, 3), real(), cplx(2, 3), cplx(2, 3)
UNARY = (
    "neg sign floor ceil exp exp2 log log1p expm1 sin cos tan asin acos atan sinh cosh tanh asinh "
    "atanh sqrt rsqrt cbrt square logistic abs erf erfc erf_inv lgamma digamma bessel_i0e "
    "bessel_i1e"
).split()
COMPLEX_UNARY = (
    "neg sign exp log log1p expm1 sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh sqrt "
    "rsqrt square logistic abs real imag conj"
).split()
for n in UNARY:
    case(n, getattr(lax, n), X)
case("acosh", lambda x: lax.acosh(lax.add(x, 1.0)), X)
for n in COMPLEX_UNARY:
    case(f"{n}-complex", getattr(lax, n), C)
for k in (-2, -1, 0, 2, 3, 5):
    case(f"integer_pow{k}", lambda x, k=k: lax.integer_pow(x, k), X)
    case(f"integer_pow{k}-complex", lambda x, k=k: lax.integer_pow(x, k), C)
for n in "add sub mul div rem max min atan2 pow".split():
    case(n, getattr(lax, n), X, Y)
    case(f"{n}-scalar", getattr(lax, n), X, S)
    case(f"{n}-scalar-first", getattr(lax, n), S, Y)
for n in "add sub mul div pow".split():
    case(f"{n}-complex", getattr(lax, n), C, D)
    case(f"{n}-complex-scalar", getattr(lax, n), cplx(), D)
for n in ("igamma", "igammac"):
    case(n, getattr(lax, n), X, Y)
case("polygamma", lambda a: lax.polygamma(2.0, a), X)
case("zeta", lambda a: lax.zeta(2.5, a), X)
case("betainc", lambda a: lax.betainc(0.7, 1.5, a), X)
case("complex", lax.complex, X, Y)
case("complex-scalar", lax.complex, X, S)
MASK = onp.array([[True, False, True], [False, False, True]])
case("select", lambda a, b: lax.select(MASK, a, b), X, Y)
case("select-scalar", lambda a, b: lax.select(MASK, a, b), X, S)
case("select-scalars", lambda a, b: lax.select(MASK, a, b), S, real())
case("clamp", lambda a: lax.clamp(0.3, a, 0.6), X)
case("clamp-arrays", lax.clamp, real(2, 3), X, real(2, 3))
case("convert", lambda a: lax.convert_element_type(a, onp.complex128), X)
case("reduce_precision", lambda a: lax.reduce_precision(a, 11, 52), X)
case("broadcast_in_dim", lambda a: lax.broadcast_in_dim(a, (4, 2, 5, 3), (1, 3)), X)
case("broadcast_in_dim-ones", lambda a: lax.broadcast_in_dim(a, (4, 2, 5, 3), (1, 3)), real(1, 3))
case("transpose", lambda a: lax.transpose(a, (2, 0, 1)), real(2, 3, 4))
case("reshape", lambda a: lax.reshape(a, (6,)), X)
case("reshape-dimensions", lambda a: lax.reshape(a, (6,), (1, 0)), X)
case("squeeze", lambda a: lax.squeeze(a, (0, 2)), real(1, 3, 1))
case("expand_dims", lambda a: lax.expand_dims(a, (0, 2)), X)
case("rev", lambda a: lax.rev(a, (1,)), X)
case("concatenate", lambda a, b: lax.concatenate([a, b], 1), X, real(2, 2))
case("pad", lambda a, b: lax.pad(a, b, ((1, 2, 1), (-1, 0, 2))), X, S)
case("slice", lambda a: lax.slice(a, (0, 1), (2, 6), (1, 2)), real(2, 7))
case("tile", lambda a: lax.tile(a, (2, 3)), X)
case("split", lambda a: lax.split(a, (1, 2), 1), X)
case("stack", lambda a, b: lax.stack([a, b], 1), X, Y)


def position(i):
    return lax.convert_element_type(lax.mul(i, 6.0), onp.int32)


case("dynamic_slice", lambda a: lax.dynamic_slice(a, (1, -3), (1, 2)), real(2, 7))
case(
    "dynamic_slice-start",
    lambda i, a: lax.dynamic_slice(a, (1, position(i)), (1, 2)),
    S, real(2, 7), transpose=False,
)  # fmt: skip
case("dynamic_update_slice", lambda a, b: lax.dynamic_update_slice(a, b, (1, 2)), real(3, 5),
     real(2, 2))  # fmt: skip
case(
    "dynamic_update_slice-start",
    lambda i, a, u: lax.dynamic_update_slice(a, u, (1, position(i))),
    S, real(2, 7), real(1, 2), transpose=False,
)  # fmt: skip
INDEX = onp.array([[0], [2], [2], [5]])
GATHER = lax.GatherDimensionNumbers((0,), (1,), (1,))
SCATTER = lax.ScatterDimensionNumbers((0,), (1,), (1,))
for mode in ("clip", "fill"):
    case(
        f"gather-{mode}",
        lambda a, m=mode: lax.gather(a, INDEX, GATHER, (3, 1), mode=m, fill_value=0),
        real(3, 5),
    )
    case(
        f"gather-{mode}-indices",
        lambda i, a, m=mode: lax.gather(a, position(i), GATHER, (3, 1), mode=m, fill_value=0),
        real(4, 1), real(3, 5), transpose=False,
    )  # fmt: skip
    for n in ("scatter", "scatter_add", "scatter_min", "scatter_max"):
        f = getattr(lax, n)
        case(
            f"{n}-{mode}",
            lambda a, u, f=f, m=mode: f(a, INDEX, u, SCATTER, mode=m),
            real(3, 5), real(3, 4),
        )  # fmt: skip
        case(
            f"{n}-{mode}-indices",
            lambda i, a, u, f=f, m=mode: f(a, position(i), u, SCATTER, mode=m),
            real(4, 1), real(3, 5), real(3, 4), transpose=False,
        )  # fmt: skip
case(
    "scatter_mul",
    lambda a, u: lax.scatter_mul(
        a, onp.array([[0], [2], [3], [5]]), u, SCATTER, unique_indices=True
    ),
    real(3, 5), real(3, 4),
)  # fmt: skip
for n in ("sum", "prod", "max", "min"):
    for axes in ((0,), (0, 2), (0, 1, 2), ()):
        case(f"reduce_{n}{axes}", lambda a, n=n, k=axes: getattr(lax, f"reduce_{n}")(a, k),
             real(2, 3, 4))  # fmt: skip
case("reduce_prod-zeros", lambda a: lax.reduce_prod(a, (1,)),
     onp.array([[0.0, 2, 3], [0, 0, 1.0]]))  # fmt: skip
for n in ("cumsum", "cumprod", "cummax", "cummin", "cumlogsumexp"):
    f = getattr(lax, n)
    case(n, lambda a, f=f: f(a, 1), real(2, 5))
    case(f"{n}-reverse", lambda a, f=f: f(a, 0, True), real(5, 2))
case("dot_general", lambda a, b: lax.dot_general(a, b, (((1,), (0,)), ((), ()))), X, real(3, 4))
case(
    "dot_general-batch",
    lambda a, b: lax.dot_general(a, b, (((3, 1), (0, 2)), ((0,), (3,)))),
    real(2, 3, 4, 5), real(5, 6, 3, 2),
)  # fmt: skip
case("dot_general-outer", lambda a, b: lax.dot_general(a, b, (((), ()), ((), ()))), real(2),
     real(3))  # fmt: skip
case("dot_general-complex", lambda a, b: lax.dot(a, b), C, cplx(3, 4))
case("sort", lambda a: lax.sort(a, 1), real(3, 5))
case("sort-key-val", lambda a, b: lax.sort((a, b), 0, num_keys=1), real(5, 3), real(5, 3))
case("top_k", lambda a: lax.top_k(a, 2)[0], real(3, 5))
case("top_k-axis", lambda a: lax.top_k(a, 2, axis=0)[0], real(5, 3))
case("optimization_barrier", lambda a, b: lax.optimization_barrier((a, b)), X, Y)
case("reduce", lambda a: lax.reduce(a, 0.0, lax.add, (0,)), X)
case("reduce-general", lambda a: lax.reduce(a, 1.0, lambda a, b: lax.mul(a, b), (0,)), real(5, 3))


@pytest.fixture(autouse=True)
def x64():
    with cv.enable_x64():
        yield


def flat(fun):
    def wrapped(*args):
        out = fun(*args)
        return list(out) if isinstance(out, (tuple, list)) else [out]

    return wrapped


def tangents(args, seed):
    rng = onp.random.RandomState(seed)
    return [
        (rng.randn(*a.shape) + (1j * rng.randn(*a.shape) if onp.iscomplexobj(a) else 0))
        for a in map(onp.asarray, args)
    ]


@pytest.mark.parametrize("name", CASES)
def test_jvp_against_differences_and_vjp_against_jvp(name):
    fun, args, transpose, _ = CASES[name]
    fun = flat(fun)
    args = [onp.asarray(a) for a in args]
    ts = [onp.asarray(t).astype(a.dtype) for t, a in zip(
        tangents(args, zlib.crc32(name.encode()) % 1000), args, strict=True
    )]  # fmt: skip
    _, out_t = cv.jvp(fun, args, ts)
    eps = 1e-6
    up = fun(*[a + eps * t for a, t in zip(args, ts, strict=True)])
    down = fun(*[a - eps * t for a, t in zip(args, ts, strict=True)])
    for t, u, d in zip(out_t, up, down, strict=True):
        want = (onp.asarray(u).astype(complex) - onp.asarray(d)) / (2 * eps)
        onp.testing.assert_allclose(onp.asarray(t), want, rtol=1e-5, atol=1e-7)
    if transpose:
        outs, pull = cv.vjp(fun, *args)
        cts = [onp.asarray(c).astype(o.dtype) for c, o in zip(tangents(outs, 7), outs, strict=True)]
        back = pull([cv.numpy.asarray(c) for c in cts])
        lhs = sum(onp.sum(c * onp.asarray(t)) for c, t in zip(cts, out_t, strict=True))
        rhs = sum(onp.sum(onp.asarray(b) * t) for b, t in zip(back, ts, strict=True))
        onp.testing.assert_allclose(onp.real(lhs), onp.real(rhs), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("name", [n for n, c in CASES.items() if c[3]])
def test_vmap_equals_loop(name):
    fun, args, _, _ = CASES[name]
    fun = flat(fun)
    size = 3
    for mapped in itertools.product((False, True), repeat=len(args)):
        if not any(mapped):
            continue
        batch, axes = [], []
        for i, (a, m) in enumerate(zip(map(onp.asarray, args), mapped, strict=True)):
            axis = (7 * i + a.ndim) % (a.ndim + 1) if m else None
            axes.append(axis)
            stacked = [a * (1 - 0.1 * b) for b in range(size)]
            batch.append(onp.stack(stacked, axis) if m else a)
        outs = cv.vmap(fun, in_axes=tuple(axes))(*batch)
        for b in range(size):
            one = [
                x if k is None else onp.asarray(onp.take(x, b, k))
                for x, k in zip(batch, axes, strict=True)
            ]
            for got, want in zip(outs, fun(*one), strict=True):
                onp.testing.assert_allclose(onp.asarray(got)[b], onp.asarray(want), 1e-9, 1e-10)


@pytest.mark.parametrize("name", CASES)
def test_jit_equals_eager(name):
    fun, args, _, _ = CASES[name]
    for got, want in zip(cv.jit(flat(fun))(*args), flat(fun)(*args), strict=True):
        onp.testing.assert_allclose(onp.asarray(got), onp.asarray(want), 1e-12, 1e-12)
