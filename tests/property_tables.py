"""Applications of every primitive: what the checks of its rules run on, on every backend.

`CASES` are smooth functions, of which derivatives can be checked against differences; `DISCRETE`
are the others. Those of elementwise primitives are made from the rows of their table.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as onp

import covector as cv
import covector.lax.linalg
import covector.numpy
import covector.random
import covector.scipy.special
from covector import custom_batching, lax
from covector.ad_checkpoint import checkpoint_name
from covector.core import dtypes
from covector.core.rules import ELEMENTWISE
from covector.custom_derivatives import linear_call
from covector.experimental import checkify, io_callback, multihost_utils
from covector.primitives.common import dtype_set
from covector.primitives.groups import group_sums_p
from covector.primitives.parameters import PRIMITIVES as PARTIAL
from covector.primitives.sorting import partition_p, search_p
from covector.primitives.windows import window_position_p

R = onp.random.RandomState(0)


def real(*shape):
    return R.uniform(0.2, 0.8, shape)


def cplx(*shape):
    return R.uniform(0.2, 0.8, shape) + 1j * R.uniform(0.2, 0.8, shape)


class Case(NamedTuple):
    """A function of arrays, and what holds of it beside that it can be differentiated."""

    fun: Callable
    args: tuple
    transpose: bool
    batch: bool


# Smooth functions of real and complex numbers.
CASES: dict[str, Case] = {}
# Others: functions of integers, with integer or boolean results, or without derivatives.
DISCRETE: dict[str, Case] = {}


def case(name, fun, *args, transpose=True, batch=True):
    assert name not in CASES
    CASES[name] = Case(fun, args, transpose, batch)


def discrete(name, fun, *args, batch=True):
    assert name not in DISCRETE
    DISCRETE[name] = Case(fun, args, False, batch)


X, Y, S, C, D = real(2, 3), real(2, 3), real(), cplx(2, 3), cplx(2, 3)
Z = real(2, 3)
W = Z[::-1]

# --- elementwise: from the rows of the table -------------------------------------------------


def partial(function, *orders):
    return lambda *xs: PARTIAL[function].bind(*xs, orders=orders)


# A row with parameters: the same with fixed ones.
WITH_PARAMETERS = {
    "round": lambda x: lax.round(x),
    "conj": lambda x: lax.conj(x),
    "reduce_precision": lambda x: lax.reduce_precision(x, 11, 52),
    "integer_pow": lambda x: lax.integer_pow(x, 3),
    "convert_element_type": lambda x: lax.convert_element_type(x, onp.complex128),
    "betainc_partial": partial("betainc", 1, 0, 0),
    "igamma_partial": partial("igamma", 2, 0),
    "hyp1f1_partial": partial("hyp1f1", 0, 1, 0),
    "hyp2f1_partial": partial("hyp2f1", 0, 0, 1, 0),
    "expn_partial": partial("expn", 1, 0),
    "zeta_partial": partial("zeta", 1, 0),
    "riemann_zeta_partial": partial("riemann_zeta", 1),
}
# Rows of which one operand selects or bounds: they have cases of their own below.
BY_HAND = {"select_n", "clamp", "add_any"}


def spread(unit, interval):
    """Numbers between 0.2 and 0.8, moved to an interval; integers if it has integer ends."""
    lo, hi = interval
    moved = lo + (hi - lo) * (unit - 0.2) / 0.6
    return onp.round(moved).astype(int) if type(lo) is type(hi) is int else moved


def elementwise_cases(prim):
    """Applications of a row: real, complex and integer operands, arrays beside scalars."""
    spec = prim.spec
    name = prim.name
    fun = WITH_PARAMETERS.get(name, lambda *xs: prim.bind(*xs))
    kinds = dtype_set(spec.accepts)
    samples = [spread(u, d) for u, d in zip((X, Y, Z, W), spec.domain, strict=False)]
    # An interval of one point is an operand that is not differentiated.
    fixed = [lo == hi for lo, hi in spec.domain]

    def of_varying(*varying):
        it = iter(varying)
        return fun(*[d[0] if f else next(it) for d, f in zip(spec.domain, fixed, strict=True)])

    varying = [x for x, f in zip(samples, fixed, strict=True) if not f]
    smooth = spec.smooth and dtypes.bool_ != output_dtype(fun, samples, kinds)
    add = case if smooth else discrete
    if onp.dtype("float64") in kinds:
        add(name, of_varying, *varying)
        if spec.arity == 2 and len(varying) == 2:
            add(f"{name}-scalar", fun, samples[0], spread(S, spec.domain[1]))
            add(f"{name}-scalar-first", fun, spread(S, spec.domain[0]), samples[1])
    # Complex numbers in lexicographic order have no derivative of their extrema.
    add = discrete if name in ("max", "min") else add
    if onp.dtype("complex128") in kinds and name not in WITH_PARAMETERS.keys() - {"conj"}:
        add(f"{name}-complex", fun, *(C, D)[: spec.arity])
        if spec.arity == 2:
            add(f"{name}-complex-scalar", fun, cplx(), D)
    if onp.dtype("int32") in kinds:
        integers = [onp.round(10 * x).astype(onp.int32) for x in (X, Y)][: spec.arity]
        if all(type(lo) is int for d in spec.domain for lo in d):
            integers = [x.astype(onp.int32) for x in samples]
        discrete(f"{name}-integers", fun, *integers)
    if onp.dtype(bool) in kinds:
        discrete(f"{name}-booleans", fun, *[x > 0.5 for x in (X, Y)][: spec.arity])


def output_dtype(fun, samples, kinds):
    """The dtype that an operation gives real numbers (complex ones, if it takes no others)."""
    if onp.dtype("float64") not in kinds:
        return None if onp.dtype("complex128") in kinds else dtypes.bool_
    with cv.enable_x64():
        return cv.eval_shape(fun, *samples).dtype


for prim in ELEMENTWISE.values():
    if prim.name not in BY_HAND:
        elementwise_cases(prim)
for k in (-2, -1, 0, 2, 3, 5):
    case(f"integer_pow{k}", lambda x, k=k: lax.integer_pow(x, k), X)
    case(f"integer_pow{k}-complex", lambda x, k=k: lax.integer_pow(x, k), C)
case("add_any", lambda x, y: lax.add_any_p.bind(x, y), X, Y)

# --- the others ------------------------------------------------------------------------------

MASK = onp.array([[True, False, True], [False, False, True]])
case("select", lambda a, b: lax.select(MASK, a, b), X, Y)
case("select-scalar", lambda a, b: lax.select(MASK, a, b), X, S)
case("select-scalars", lambda a, b: lax.select(MASK, a, b), S, real())
case("clamp", lambda a: lax.clamp(0.3, a, 0.6), X)
case("clamp-arrays", lax.clamp, real(2, 3), X, real(2, 3))
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
for n, shape in (("", (7,)), ("-blocks", (7, 3))):
    case(f"group_sums{n}", lambda a: group_sums_p.bind(a, onp.int32([1, 3, 3, 9])), real(*shape))
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
case(
    "partition",
    lambda a: partition_p.bind(a, onp.full((3, 1), 2, "i4"), axis=1, nans_last=True)[0],
    real(3, 5),
)
case(
    "partition-axis",
    lambda a: partition_p.bind(a, onp.int32([[1] * 3, [4] * 3]), axis=0, nans_last=True)[0],
    real(5, 3),
)
case(
    "partition-found",
    lambda a: partition_p.bind(a, onp.int32([[1, 7, 0], [2, 2, -1]]), axis=1, nans_last=False)[2],
    real(2, 5),
)
case("top_k", lambda a: lax.top_k(a, 2)[0], real(3, 5))
case("top_k-axis", lambda a: lax.top_k(a, 2, axis=0)[0], real(5, 3))
case("device_put", lambda x: cv.device_put(x, cv.memory.Space.Device), X)
case("optimization_barrier", lambda a, b: lax.optimization_barrier((a, b)), X, Y)
case("reduce", lambda a: lax.reduce(a, 0.0, lax.add, (0,)), X)
case(
    "reduce-combination", lambda a: lax.reduce(a, 0.0, lambda p, q: p + q + p * q, (0,)), real(5, 3)
)
case("reduce-general", lambda a: lax.reduce(a, 1.0, lambda a, b: lax.mul(a, b), (0,)), real(5, 3))

case("conv", lambda a, b: lax.conv(a, b, (1, 1), "SAME"), real(2, 3, 4, 5), real(2, 3, 3, 2))
case("conv-steps-dilated", lambda a, b: lax.conv_general_dilated(
    a, b, (2, 1), [(1, 2), (-1, 3)], (1, 2), (2, 1), ("HWNC", "IHOW", "CNHW")
), real(5, 4, 2, 3), real(3, 2, 4, 2))  # fmt: skip
case("conv-features-in-groups", lambda a, b: lax.conv_general_dilated(
    a, b, (2,), "SAME_LOWER", feature_group_count=2
), real(2, 4, 5), real(6, 2, 3))  # fmt: skip
case("conv-batch-in-groups", lambda a, b: lax.conv_general_dilated(
    a, b, (1,), "VALID", batch_group_count=2
), real(4, 2, 5), real(6, 2, 3))  # fmt: skip
case("conv-matrices", lambda a, b: lax.conv_general_dilated(
    a, b, (2, 2), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
), real(2, 5, 4, 3), real(3, 2, 3, 8))  # fmt: skip
for n, start in (("add", 0.0), ("max", -onp.inf), ("min", onp.inf)):
    case(f"reduce_window-{n}", lambda a, n=n, start=start: lax.reduce_window(
        a, start, getattr(lax, n), (2, 3), (2, 1), [(1, 0), (0, 2)], (1, 2), (2, 1)
    ), real(4, 5))  # fmt: skip
case("reduce_window-any", lambda a: lax.reduce_window(a, 1.0, lax.mul, (3, 2), (1, 2)), real(5, 4))
case("fft", lambda a: lax.fft(a, "FFT", (2, 3)), C)
case("fft-inverse", lambda a: cv.numpy.fft.ifft(a, axis=0), C)
case("fft-real", lambda a: cv.numpy.fft.rfft2(a), real(4, 3))
case("fft-real-even", lambda a: cv.numpy.fft.rfft(a, axis=0), real(4, 3))
case("fft-inverse-real", lambda a: cv.numpy.fft.irfft2(a, s=(2, 5)), C)
case("fft-inverse-real-even", lambda a: cv.numpy.fft.irfft(a, axis=1), C)

# --- without derivatives ---------------------------------------------------------------------

for n in ("argmax", "argmin"):
    discrete(n, lambda a, n=n: getattr(lax, n)(a, 1, onp.int32), real(3, 5))
for n in ("and", "or", "xor"):
    discrete(f"reduce_{n}", lambda a, n=n: getattr(lax, f"reduce_{n}")(a > 0.5, (1,)), real(3, 5))
discrete("bitcast_convert_type", lambda a: lax.bitcast_convert_type(a, onp.int64), X)
discrete("window_position", lambda a: window_position_p.bind(
    a, lax.reduce_window(a, -onp.inf, lax.max, (2, 3), (1, 2), [(1, 0), (0, 2)]),
    window_dimensions=(2, 3), window_strides=(1, 2), padding=((1, 0), (0, 2)),
    base_dilation=(1, 1), window_dilation=(1, 1),
), real(4, 5))  # fmt: skip
discrete("search", lambda a, v: search_p.bind(a, v, side="left"), onp.sort(real(7)), real(2, 3))
discrete(
    "search-rows",
    lambda a, v: search_p.bind(a, v, side="right"),
    onp.sort(real(2, 4)),
    real(2, 3, 2),
)
discrete("iota", lambda a: lax.iota(onp.int32, 3) + a, onp.int32(2))
discrete("threefry2x32", lambda k: cv.random.bits(cv.random.wrap_key_data(k), (3,)),
         onp.array([1, 2], onp.uint32), batch=False)  # fmt: skip
discrete("lu_pivots_to_permutation", lambda p: lax.linalg.lu_pivots_to_permutation(p, 3),
         onp.array([1, 2], onp.int32), batch=False)  # fmt: skip
discrete("pure_callback", lambda a: cv.pure_callback(
    onp.sin, cv.ShapeDtypeStruct((2, 3), onp.float64), a, vmap_method="sequential"), X)  # fmt: skip
discrete("io_callback", lambda a: io_callback(
    lambda x: x + 1, cv.ShapeDtypeStruct((2, 3), onp.float64), a), X)  # fmt: skip
discrete("check", lambda a: (checkify.debug_check(a[0, 0] > 0, "negative"), a)[1], X)
discrete("inspect_sharding", lambda a: (cv.debug.inspect_array_sharding(a, callback=id), a)[1], X)
discrete("debug_callback", lambda a: (cv.debug.callback(lambda x: None, a), a)[1], X)

# --- linear algebra --------------------------------------------------------------------------


def positive(a):
    """A positive definite matrix of any square one."""
    return lax.dot(a, lax.transpose(a, (1, 0))) + onp.eye(a.shape[0])


M = real(3, 3) + onp.diag([1.0, 2.0, 3.0])
case("cholesky", lambda a: lax.linalg.cholesky(positive(a)), M)
case("triangular_solve", lambda a, b: lax.linalg.triangular_solve(a, b, left_side=True, lower=True),
     M, real(3, 2))  # fmt: skip
case("lu", lambda a: lax.linalg.lu(a)[0], M)
case("qr", lambda a: positive(lax.linalg.qr(a, full_matrices=False)[1]), M)
case("householder_product", lambda a, t: lax.linalg.householder_product(a, t), M, real(3))
case("eigh", lambda a: lax.linalg.eigh(positive(a))[1], M)
case("svd", lambda a: lax.linalg.svd(a, compute_uv=False), M)
UPPER = onp.triu(M)
case("cholesky_update", lambda r, w: lax.linalg.cholesky_update(r, w), UPPER, real(3))
case("symmetric_product", lambda a, c: lax.linalg.symmetric_product(a, c, alpha=2.0, beta=0.5),
     real(3, 2), M)  # fmt: skip
case("ormqr", lambda a, t, c: lax.linalg.ormqr(a, t, c, left=False, transpose=True), M, real(3),
     real(2, 3))  # fmt: skip
case("hessenberg", lambda a: lax.linalg.hessenberg(a)[0], M)
case("tridiagonal", lambda a: lax.linalg.tridiagonal(a)[1:3], M)
case("tridiagonal-upper", lambda a: lax.linalg.tridiagonal(a, lower=False)[0], M)
case("tridiagonal_solve", lambda a, b, c, d: lax.linalg.tridiagonal_solve(a, b, c, d),
     real(3), real(3) + 2, real(3), real(3, 2))  # fmt: skip
case(
    "triangular_sylvester",
    lambda a, b, c: lax.linalg.triangular_sylvester_p.bind(
        cv.numpy.triu(a), cv.numpy.triu(b), c, adjoint_a=True, adjoint_b=False, minus=False
    ),
    UPPER,
    UPPER + onp.eye(3),
    real(3, 3),
)
case("eigh_tridiagonal", lambda d, e: lax.linalg.eigh_tridiagonal_p.bind(d, e, vectors=False)[0],
     real(3), real(2))  # fmt: skip
case("expm", lambda a: cv.scipy.linalg.expm(a), M)
case("expm_frechet", lambda a, e: cv.scipy.linalg.expm_frechet(a, e, compute_expm=False), M,
     real(3, 3))  # fmt: skip
discrete("schur", lambda a: lax.linalg.schur(a)[0], M)
discrete("geqrf", lambda a: lax.linalg.geqrf(a)[0], M)
discrete("eig", lambda a: lax.reduce_sum(
    lax.linalg.eig(a, compute_left_eigenvectors=False, compute_right_eigenvectors=False)[0], (0,)
), M)  # fmt: skip

# --- calls, loops and branches -----------------------------------------------------------------


@cv.custom_jvp
def tripled(x):
    return 3.0 * x


tripled.defjvp(lambda primals, tangents: (3.0 * primals[0], 3.0 * tangents[0]))


@cv.custom_vjp
def doubled(x):
    return 2.0 * x


doubled.defvjp(lambda x: (2.0 * x, None), lambda _, ct: (2.0 * ct,))
case("jit", cv.jit(lambda a: lax.sin(a) * 2.0), X)


@cv.custom_vjp
def squared(x):
    return x * x


squared.defvjp(lambda x: (x * x, x), lambda x, ct: (2.0 * x * ct,), optimize_remat=True)

case("custom_jvp_call", tripled, X)
discrete("custom_vjp_call", doubled, X)
case("custom_vjp_fwd", lambda x: cv.vjp(squared, x)[0], X)
case("checkpoint", cv.checkpoint(lambda a: lax.sin(a) * a), X)
case("custom_vmap", custom_batching.sequential_vmap(lambda a: a * lax.sin(a)), X)
case("name", lambda a: checkpoint_name(lax.sin(a), "sine"), X)
case("composite", lambda a: lax.composite(lambda x, *, k: lax.sin(x) * k, "test.sin")(a, k=2.0), X)
case("dce_sink", lambda a: (lax.dce_sink(a), a * a)[1], X)
case(
    "ragged_rows",
    lambda x, w: lax.ragged_dot(x, w, onp.array([1, 0, 2])),
    real(4, 3),
    real(3, 3, 2),
)
case("ragged_matrices", lambda x, y: lax.ragged_dot_general(
    x, y, onp.array([1, 0, 2]), lax.RaggedDotDimensionNumbers((((0,), (0,)), ((), ())), (0,), ())),
     real(4, 3), real(4, 2))  # fmt: skip
case("linear_call", lambda r, x: linear_call(lambda r, x: r * x, lambda r, ct: r * ct, 3.0, x) + r,
     X, Y)  # fmt: skip
case("custom_linear_solve", lambda b: lax.custom_linear_solve(
    lambda v: 2.0 * v, b, lambda mv, v: v / 2.0, symmetric=True), real(3))  # fmt: skip
case("scan", lambda a: lax.scan(lambda c, x: (c * x, c + x), 1.0, a)[1], real(4))
case("while", lambda a: lax.while_loop(
    lambda s: s[0] < 3, lambda s: (s[0] + 1, lax.sin(s[1])), (0, a))[1],
    X, transpose=False)  # fmt: skip
case("cond", lambda a: lax.cond(lax.reduce_sum(a, (0, 1)) > 0, lax.sin, lax.cos, a), X)


def collective(fun):
    return lambda a: cv.vmap(fun, axis_name="i")(a)


case("psum", collective(lambda a: lax.psum(lax.sin(a), "i")), X)
for n in ("pmax", "pmin"):
    discrete(n, collective(lambda a, n=n: getattr(lax, n)(a, "i")), X)
case("ppermute", collective(lambda a: lax.ppermute(lax.sin(a), "i", [(0, 1)])), X)
case("all_gather", collective(lambda a: lax.all_gather(lax.sin(a), "i")), X)
case("all_to_all", collective(lambda a: lax.all_to_all(a, "i", 0, 0)), real(2, 2, 3))


def rows(x):
    """A sharding on the device where the case runs."""
    device = getattr(x, "device", None)
    if not hasattr(device, "platform"):
        device = cv.device_put(0.0).device
    mesh = cv.make_mesh((1,), ("m",), (cv.sharding.AxisType.Auto,), devices=[device])
    return cv.NamedSharding(mesh, cv.P("m"))


def mapped_over_rows(x):
    def part(a):
        return lax.pcast(lax.psum(lax.sin(a), "m"), "m", to="varying") * a

    spec = cv.P("m")
    return cv.jit(cv.shard_map(part, mesh=rows(x).mesh, in_specs=spec, out_specs=spec))(x)


def summed_over_rows(x):
    def part(a):
        return lax.psum(2 * lax.pcast(lax.sin(a), "m", to="unreduced"), "m")

    mesh = rows(x).mesh
    return cv.jit(cv.shard_map(part, mesh=mesh, in_specs=cv.P("m"), out_specs=cv.P()))(x)


case("shard_map", mapped_over_rows, X)
case("pcast", summed_over_rows, X)
case(
    "host_local_array_to_global_array",
    lambda x: multihost_utils.host_local_array_to_global_array(x, rows(x).mesh, cv.P("m")), X,
)  # fmt: skip
case(
    "global_array_to_host_local_array",
    lambda x: multihost_utils.global_array_to_host_local_array(x, rows(x).mesh, cv.P("m")), X,
)  # fmt: skip
case("reshard", lambda x: cv.reshard(lax.sin(x), rows(x)), X)
case("sharding_constraint", lambda x: lax.with_sharding_constraint(lax.sin(x), rows(x)), X)
case("axis_index", collective(lambda a: a * lax.axis_index("i")), X)
case("copy", lambda a: cv.numpy.copy(a), X)
