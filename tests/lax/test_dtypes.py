"""Every primitive on every dtype it takes, against NumPy, on empty, small and ragged shapes.

All primitives that take a dtype run in one compiled program per dtype and shape; one shape runs
eagerly too. The values include the ends of the integers, NaN, infinities, signed zeros and
subnormal numbers.
"""

import functools

import ml_dtypes
import numpy as onp
import pytest

import covector as cv
from covector import lax

BOOL = ("bool",)
SIGNED = ("int8", "int16", "int32", "int64")
UNSIGNED = ("uint8", "uint16", "uint32", "uint64")
INTS = SIGNED + UNSIGNED
FLOATS = ("float16", "bfloat16", "float32", "float64")
COMPLEX = ("complex64", "complex128")
REAL = INTS + FLOATS
NUMBERS = REAL + COMPLEX
ALL = BOOL + NUMBERS
SHAPES = [(), (1,), (0,), (5,), (37,), (3, 5), (2, 0, 3), (4, 1, 9)]


def dtype_of(name):
    return onp.dtype(ml_dtypes.bfloat16) if name == "bfloat16" else onp.dtype(name)


def wide_of(name):
    """The type in which the reference is computed: as exact as NumPy has."""
    if name in FLOATS:
        return onp.longdouble if name == "float64" else onp.float64
    return onp.clongdouble if name == "complex128" else onp.complex128


SPECIAL = [0.0, -0.0, 1.0, -1.0, onp.nan, onp.inf, -onp.inf, 0.5, -2.5, 3.5]


def values(name, shape, seed, special=True):
    """Values of a dtype: special ones first, then random ones."""
    r = onp.random.RandomState(seed)
    n = int(onp.prod(shape))
    dt = dtype_of(name)
    if name == "bool":
        out = r.rand(n) < 0.5
    elif name in INTS:
        info = onp.iinfo(dt)
        ends = [info.min, info.max, 0, 1, info.max - 1, info.min + 1]
        if name in SIGNED:
            ends.append(-1)
        some = r.randint(-9 if name in SIGNED else 0, 10, n).astype(dt)
        out = onp.concatenate([onp.array(ends if special else [], dt), some])[:n]
        out = r.permutation(out)
    elif name in COMPLEX:
        out = r.randn(n) + 1j * r.randn(n)
    else:
        tiny = float(ml_dtypes.finfo(dt).smallest_subnormal)
        some = r.randn(n) * onp.exp(r.randn(n))
        out = onp.concatenate([[*SPECIAL, 3 * tiny] if special else [], some])[:n]
        out = r.permutation(out)
    return onp.asarray(out).astype(dt).reshape(shape)


def trunc_div(x, y):
    """Integer quotient towards zero; -1 for a zero divisor, wrapping for the least number."""
    info = onp.iinfo(x.dtype)
    out = [
        -1 if b == 0 else (abs(int(a)) // abs(int(b))) * (1 if (a < 0) == (b < 0) else -1)
        for a, b in zip(x.ravel(), y.ravel(), strict=True)
    ]
    span = int(info.max) - int(info.min) + 1
    wrapped = [(v - int(info.min)) % span + int(info.min) for v in out]
    return onp.array(wrapped, x.dtype).reshape(x.shape)


def rem(x, y):
    if x.dtype.kind in "iu":
        out = [
            int(a) if b == 0 else (1 if a >= 0 else -1) * (abs(int(a)) % abs(int(b)))
            for a, b in zip(x.ravel(), y.ravel(), strict=True)
        ]
        return onp.array(out, x.dtype).reshape(x.shape)
    return onp.fmod(x, y)


def shifted(x, k, kind):
    bits = 8 * x.dtype.itemsize
    k = k.astype(object)
    unsigned = x.astype(f"uint{bits}").astype(object)
    signed = x.astype(f"int{bits}").astype(object)
    out = []
    for u, s, n in zip(unsigned.ravel(), signed.ravel(), k.ravel(), strict=True):
        inside = 0 <= n < bits
        if kind == "left":
            v = (u << n) & (2**bits - 1) if inside else 0
        elif kind == "logical":
            v = u >> n if inside else 0
        else:
            v = (s >> n if inside else (-1 if s < 0 else 0)) & (2**bits - 1)
        out.append(v)
    return onp.array(out, f"uint{bits}").astype(x.dtype).reshape(x.shape)


def bits_of(x, what):
    n = 8 * x.dtype.itemsize
    out = [
        bin(int(v) & (2**n - 1)).count("1") if what == "ones"
        else n - (int(v) & (2**n - 1)).bit_length()
        for v in x.ravel()
    ]  # fmt: skip
    return onp.array(out, x.dtype).reshape(x.shape)


def extremum(f):
    def reference(x, y):
        if x.dtype.kind in "iub":
            return f(x, y)
        out = f(x, y)  # NaN where either is, as NumPy's
        zeros = (x == 0) & (y == 0)
        sign = onp.signbit(x) & onp.signbit(y) if f is onp.maximum else (
            onp.signbit(x) | onp.signbit(y)
        )  # fmt: skip
        return onp.where(zeros, onp.where(sign, -0.0, 0.0).astype(x.dtype), out)

    return reference


def sign(x):
    if x.dtype.kind == "u":
        return (x > 0).astype(x.dtype)
    if x.dtype.kind == "f":
        return onp.where(onp.isnan(x) | (x == 0), x, onp.copysign(onp.ones_like(x), x))
    return onp.sign(x)


def complex_of(x, y):
    out = onp.empty(x.shape, onp.result_type(x.dtype, onp.complex64))
    out.real, out.imag = x, y
    return out


def half_away(x):
    return onp.where(onp.isfinite(x), onp.copysign(onp.floor(onp.abs(x) + 0.5), x), x)


# Name: the function, NumPy's, the dtypes, and how many arguments of a dtype it takes. Results
# agree exactly but for the elementary functions, below.
EXACT = {
    "add": (lax.add, onp.add, NUMBERS, 2),
    "sub": (lax.sub, onp.subtract, NUMBERS, 2),
    "mul": (lax.mul, onp.multiply, REAL, 2),
    "div": (lax.div, trunc_div, INTS, 2),
    "rem": (lax.rem, rem, REAL, 2),
    "max": (lax.max, extremum(onp.maximum), BOOL + REAL, 2),
    "min": (lax.min, extremum(onp.minimum), BOOL + REAL, 2),
    "neg": (lax.neg, onp.negative, NUMBERS, 1),
    "abs": (lax.abs, onp.abs, SIGNED + FLOATS, 1),
    "sign": (lax.sign, sign, REAL, 1),
    "floor": (lax.floor, onp.floor, FLOATS, 1),
    "ceil": (lax.ceil, onp.ceil, FLOATS, 1),
    "round": (lambda x: lax.round(x, lax.RoundingMethod.TO_NEAREST_EVEN), onp.rint, FLOATS, 1),
    "round-away": (lax.round, half_away, FLOATS, 1),
    "is_finite": (lax.is_finite, onp.isfinite, FLOATS, 1),
    "square": (lax.square, onp.square, REAL, 1),
    "conj": (lax.conj, onp.conj, COMPLEX, 1),
    "real": (lax.real, onp.real, COMPLEX, 1),
    "imag": (lax.imag, onp.imag, COMPLEX, 1),
    "complex": (lax.complex, complex_of, ("float32", "float64"), 2),
    "and": (lax.bitwise_and, onp.bitwise_and, BOOL + INTS, 2),
    "or": (lax.bitwise_or, onp.bitwise_or, BOOL + INTS, 2),
    "xor": (lax.bitwise_xor, onp.bitwise_xor, BOOL + INTS, 2),
    "not": (lax.bitwise_not, onp.invert, BOOL + INTS, 1),
    "popcount": (lax.population_count, lambda x: bits_of(x, "ones"), INTS, 1),
    "clz": (lax.clz, lambda x: bits_of(x, "zeros"), INTS, 1),
    "shift-left": (lax.shift_left, lambda x, k: shifted(x, k, "left"), INTS, 2),
    "shift-right": (
        lax.shift_right_logical, lambda x, k: shifted(x, k, "logical"), INTS, 2
    ),
    "shift-arithmetic": (
        lax.shift_right_arithmetic, lambda x, k: shifted(x, k, "arithmetic"), INTS, 2
    ),
    "eq": (lax.eq, onp.equal, ALL, 2),
    "ne": (lax.ne, onp.not_equal, ALL, 2),
    "lt": (lax.lt, onp.less, BOOL + REAL, 2),
    "le": (lax.le, onp.less_equal, BOOL + REAL, 2),
    "gt": (lax.gt, onp.greater, BOOL + REAL, 2),
    "ge": (lax.ge, onp.greater_equal, BOOL + REAL, 2),
    "select": (lambda x, y: lax.select(lax.eq(x, y), x, y),
               lambda x, y: onp.where(x == y, x, y), ALL, 2),
    "nextafter": (
        lax.nextafter, lambda x, y: onp.where(x == y, y, onp.nextafter(x, y)), FLOATS, 2
    ),
    "copy": (lambda x: lax.bitcast_convert_type(
        lax.bitcast_convert_type(x, f"uint{8 * x.dtype.itemsize}"), x.dtype), lambda x: x,
        REAL, 1),
}  # fmt: skip

# Structure, indexing and ordering: of one array, with NumPy's own functions as the reference.
STRUCTURE = {
    "transpose": (lambda x: lax.transpose(x, tuple(reversed(range(x.ndim)))), lambda x: x.T),
    "reshape": (lambda x: lax.reshape(x, (x.size,)), lambda x: x.reshape(-1)),
    "broadcast": (lambda x: lax.broadcast(x, (2,)), lambda x: onp.broadcast_to(x, (2, *x.shape))),
    "rev": (lambda x: lax.rev(x, tuple(range(x.ndim))), lambda x: onp.flip(x)),
    "concatenate": (
        lambda x: lax.concatenate([x, lax.rev(x, (0,)), x], x.ndim - 1) if x.ndim else x,
        lambda x: onp.concatenate([x, onp.flip(x, 0), x], -1) if x.ndim else x,
    ),
    "pad": (
        lambda x: lax.pad(x, onp.ones((), x.dtype), [(1, 2, 0)] * x.ndim),
        lambda x: onp.pad(x, [(1, 2)] * x.ndim, constant_values=1) if x.ndim else x,
    ),
    "pad-inner": (
        lambda x: lax.pad(x, onp.ones((), x.dtype), [(0, -1, 2)] * (x.shape[:1] > (0,))
                          + [(0, 0, 0)] * (x.ndim - (x.shape[:1] > (0,)))),
        lambda x: padded_inside(x),
    ),
    "slice": (
        lambda x: lax.slice(x, [n // 3 for n in x.shape], x.shape, [2] * x.ndim),
        lambda x: x[tuple(slice(n // 3, None, 2) for n in x.shape)],
    ),
    "dynamic_slice": (
        lambda x: lax.dynamic_slice(x, [lax.add(onp.int32(n), 1) for n in x.shape],
                                    [(n + 1) // 2 for n in x.shape]),
        lambda x: x[tuple(slice(n - (n + 1) // 2, None) for n in x.shape)],
    ),
    "dynamic_update_slice": (
        lambda x: lax.dynamic_update_slice(x, onp.ones([n // 2 for n in x.shape], x.dtype),
                                           [onp.int32(-99)] * x.ndim),
        lambda x: updated(x, tuple(slice(0, n // 2) for n in x.shape)),
    ),
}  # fmt: skip


def padded_inside(x):
    if x.shape[:1] in ((), (0,)):
        return x
    full = onp.ones((3 * x.shape[0] - 2, *x.shape[1:]), x.dtype)
    full[::3] = x
    return full[:-1]


def updated(x, where):
    x = x.copy()
    x[where] = 1
    return x


def same(got, want, name):
    """Equal bits, but for the sign and payload of NaN."""
    got, want = onp.asarray(got), onp.asarray(want)
    assert got.shape == want.shape, f"{name}: shape {got.shape} in place of {want.shape}"
    assert got.dtype == want.dtype, f"{name}: dtype {got.dtype} in place of {want.dtype}"
    if got.dtype.kind not in "iub":
        for part in ("real", "imag") if got.dtype.kind == "c" else (None,):
            g, w = (getattr(a, part) if part else a for a in (got, want))
            nan = onp.isnan(w)
            onp.testing.assert_array_equal(onp.isnan(g), nan, err_msg=name)
            g, w = onp.where(nan, 0, g), onp.where(nan, 0, w)
            onp.testing.assert_array_equal(g, w, err_msg=name)
            if part is None:
                onp.testing.assert_array_equal(onp.signbit(g), onp.signbit(w), err_msg=name)
        return
    onp.testing.assert_array_equal(got, want, err_msg=name)


def run(table, args):
    """All functions of a table, in one compiled program."""
    names = list(table)
    return dict(zip(names, cv.jit(lambda *xs: [table[n](*xs) for n in names])(*args), strict=True))


@pytest.fixture(autouse=True)
def x64():
    with cv.enable_x64(), onp.errstate(all="ignore"):
        yield


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", ALL)
def test_exact(dtype, shape):
    x, y = values(dtype, shape, 1), values(dtype, shape, 2)
    here = {n: (f, ref, k) for n, (f, ref, kinds, k) in EXACT.items() if dtype in kinds}
    programs = {
        n: (lambda a, b, f=f: f(a, b)) if k == 2 else (lambda a, b, f=f: f(a))
        for n, (f, _, k) in here.items()
    }
    got = run(programs, (x, y))
    for n, (f, ref, k) in here.items():
        want = onp.asarray(ref(*(x, y)[:k]))
        want = want if want.dtype.kind in "bc" or n in ("real", "imag") else want.astype(x.dtype)
        same(got[n], want, n)
        if shape == (37,):
            same(f(*(x, y)[:k]), want, f"{n}, eagerly")


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", ALL)
def test_structure(dtype, shape):
    x = values(dtype, shape, 3)
    got = run({n: f for n, (f, _) in STRUCTURE.items()}, (x,))
    for n, (f, ref) in STRUCTURE.items():
        want = onp.asarray(ref(x))
        same(got[n], want, n)
        if shape == (3, 5):
            same(f(cv.numpy.asarray(x)), want, f"{n}, eagerly")


# --- elementary functions: within one place of the dtype, from a wider computation ------------

POSITIVE = ("log", "sqrt", "rsqrt", "log1p")
ELEMENTARY = {
    "exp": onp.exp, "exp2": onp.exp2, "log": onp.log, "log1p": onp.log1p, "expm1": onp.expm1,
    "sin": onp.sin, "cos": onp.cos, "tan": onp.tan, "asin": onp.arcsin, "acos": onp.arccos,
    "atan": onp.arctan, "sinh": onp.sinh, "cosh": onp.cosh, "tanh": onp.tanh,
    "asinh": onp.arcsinh, "acosh": onp.arccosh, "atanh": onp.arctanh, "sqrt": onp.sqrt,
    "rsqrt": lambda x: 1 / onp.sqrt(x), "cbrt": onp.cbrt,
    "logistic": lambda x: 1 / (1 + onp.exp(-x)),
}  # fmt: skip
NOT_COMPLEX = ("exp2", "cbrt", "rsqrt", "logistic")
OF_TWO = {"div": onp.divide, "pow": onp.power, "atan2": onp.arctan2}


def close(got, want, dtype, name):
    got, want = onp.asarray(got), onp.asarray(want)
    assert got.dtype == dtype_of(dtype), name
    if dtype in COMPLEX:
        eps = onp.finfo(dtype).eps
        onp.testing.assert_allclose(got, want, rtol=8 * eps, atol=8 * eps, err_msg=name)
        return
    info = ml_dtypes.finfo(dtype_of(dtype))
    rounded = want.astype(dtype_of(dtype))
    plain = onp.isfinite(rounded)
    onp.testing.assert_array_equal(onp.isnan(got), onp.isnan(rounded), err_msg=name)
    inf = onp.isinf(rounded)
    assert onp.array_equal(got[inf], rounded[inf]), name
    size = onp.maximum(onp.abs(want[plain]), float(info.tiny))
    error = onp.abs(got[plain].astype(want.dtype) - want[plain])
    assert onp.all(error <= 2.5 * float(info.eps) * size + float(info.smallest_subnormal)), name


@pytest.mark.parametrize("shape", [(), (1,), (0,), (37,), (3, 5)], ids=str)
@pytest.mark.parametrize("dtype", FLOATS + COMPLEX)
def test_elementary(dtype, shape):
    x, y = values(dtype, shape, 4), values(dtype, shape, 5)
    unary = {n: f for n, f in ELEMENTARY.items() if dtype in FLOATS or n not in NOT_COMPLEX}
    binary = {n: f for n, f in OF_TWO.items() if dtype in FLOATS or n != "atan2"}
    programs = {n: (lambda a, b, n=n: getattr(lax, n)(a)) for n in unary}
    programs |= {n: getattr(lax, n) for n in binary}
    got = run(programs, (x, y))
    wide = wide_of(dtype)
    for n, ref in unary.items():
        close(got[n], onp.asarray(ref(x.astype(wide))), dtype, n)
    for n, ref in binary.items():
        close(got[n], onp.asarray(ref(x.astype(wide), y.astype(wide))), dtype, n)


# --- conversions ------------------------------------------------------------------------------


def converted(x, new):
    """Towards zero and saturating from floats to integers, NaN to zero; else as NumPy."""
    if x.dtype.kind == "c" and onp.dtype(new).kind not in "cb":
        x = x.real
    if x.dtype.kind not in "iubc" and onp.dtype(new).kind in "iu":
        info = onp.iinfo(new)
        wide = onp.where(onp.isnan(x), 0, x).astype(onp.float64)
        low, high = wide <= float(info.min), wide >= float(info.max)
        inside = onp.where(low | high, 0, wide).astype(new)
        return onp.where(low, info.min, onp.where(high, info.max, inside)).astype(new)
    return x.astype(new)


@pytest.mark.parametrize("dtype", ALL)
def test_convert(dtype):
    for shape in ((), (0,), (37,)):
        x = values(dtype, shape, 6)
        got = run({n: functools.partial(lax.convert_element_type, new_dtype=dtype_of(n))
                   for n in ALL}, (x,))  # fmt: skip
        for n in ALL:
            same(got[n], converted(x, dtype_of(n)), f"{dtype} to {n}")


# --- reductions, ordering, products -----------------------------------------------------------


def axes_of(shape):
    return [(k,) for k in range(len(shape))] + [tuple(range(len(shape)))]


@pytest.mark.parametrize("shape", [(1,), (0,), (37,), (3, 5), (2, 0, 3), (4, 1, 9)], ids=str)
@pytest.mark.parametrize("dtype", ALL)
def test_reductions(dtype, shape):
    x = values(dtype, shape, 7, special=False)
    table, want = {}, {}
    wide = x.astype(wide_of(dtype)) if dtype in FLOATS + COMPLEX else x
    for axes in axes_of(shape):
        empty = any(shape[k] == 0 for k in axes)
        if dtype in NUMBERS:
            for n in ("sum", "prod"):
                table[n, axes] = functools.partial(getattr(lax, f"reduce_{n}"), axes=axes)
                ref = getattr(onp, n)(wide, axis=axes, dtype=wide.dtype)
                want[n, axes] = onp.asarray(ref)
        if dtype in BOOL + INTS:
            for n, f in (
                ("and", onp.bitwise_and),
                ("or", onp.bitwise_or),
                ("xor", onp.bitwise_xor),
            ):
                table[n, axes] = functools.partial(getattr(lax, f"reduce_{n}"), axes=axes)
                ref = x
                for k in sorted(axes, reverse=True):
                    ref = f.reduce(ref, axis=k, initial=x.dtype.type(0) if n != "and" else
                                   ~x.dtype.type(0))  # fmt: skip
                want[n, axes] = ref
        if dtype in REAL and not empty:
            for n in ("max", "min"):
                table[n, axes] = functools.partial(getattr(lax, f"reduce_{n}"), axes=axes)
                want[n, axes] = getattr(onp, n)(x, axis=axes)
        if dtype in REAL and not empty and len(axes) == 1:
            for n in ("argmax", "argmin"):
                f = getattr(lax, n)
                table[n, axes] = functools.partial(f, axis=axes[0], index_dtype=onp.int32)
                want[n, axes] = getattr(onp, n)(x, axis=axes[0]).astype(onp.int32)
    got = run(table, (x,))
    for key, ref in want.items():
        if key[0] in ("sum", "prod") and dtype in FLOATS + COMPLEX:
            eps = float(ml_dtypes.finfo(dtype_of(dtype)).eps)
            scale = float(onp.max(onp.sum(onp.abs(wide), axis=key[1]), initial=1.0))
            tol = eps * (4 * scale if key[0] == "sum" else 40)
            ref = ref.astype(dtype_of(dtype)).astype(wide.dtype)
            assert onp.asarray(got[key]).dtype == x.dtype
            onp.testing.assert_allclose(
                onp.asarray(got[key]).astype(wide.dtype), ref, rtol=tol, atol=tol, err_msg=str(key)
            )
        else:
            same(got[key], ref.astype(x.dtype) if "arg" not in key[0] else ref, str(key))


@pytest.mark.parametrize("shape", [(1,), (0,), (37,), (3, 5), (2, 0, 3), (4, 1, 9)], ids=str)
@pytest.mark.parametrize("dtype", BOOL + REAL)
def test_ordering(dtype, shape):
    x = values(dtype, shape, 8)
    if dtype in FLOATS:
        x[onp.isnan(x)] = 0.25
    k = min(2, shape[-1])
    table = {
        "sort": lambda a: lax.sort(a),
        "sort-first": lambda a: lax.sort(a, 0),
        "top_k": lambda a: lax.top_k(a, k)[0],
        "stable": lambda a: lax.sort((a, lax.iota(onp.int32, a.size).reshape(a.shape)),
                                     num_keys=1)[1],
    }  # fmt: skip
    if dtype in REAL:
        table["cummax"] = lambda a: lax.cummax(a, len(shape) - 1)
        table["cummin"] = lambda a: lax.cummin(a, 0, reverse=True)
    if dtype in INTS:
        table["cumsum"] = lambda a: lax.cumsum(a, len(shape) - 1)
        table["cumprod"] = lambda a: lax.cumprod(a, 0)
    got = run(table, (x,))
    n = shape[-1]
    count = onp.arange(x.size, dtype=onp.int32).reshape(shape)
    order = onp.argsort(x, axis=-1, kind="stable")
    want = {
        "sort": onp.sort(x, axis=-1), "sort-first": onp.sort(x, axis=0),
        "top_k": onp.sort(x, axis=-1)[..., n - k :][..., ::-1],
        "stable": onp.take_along_axis(count, order, -1),
    }  # fmt: skip
    if dtype in REAL:
        want["cummax"] = onp.maximum.accumulate(x, axis=-1)
        want["cummin"] = onp.flip(onp.minimum.accumulate(onp.flip(x, 0), axis=0), 0)
    if dtype in INTS:
        want["cumsum"] = onp.cumsum(x, axis=-1, dtype=x.dtype)
        want["cumprod"] = onp.cumprod(x, axis=0, dtype=x.dtype)
    for name, ref in want.items():
        g, w = onp.asarray(got[name]), onp.asarray(ref)
        assert g.dtype == w.dtype and g.shape == w.shape, name
        onp.testing.assert_array_equal(g, w, err_msg=name)


@pytest.mark.parametrize("dtype", ALL)
def test_indexed(dtype):
    x = values(dtype, (7, 3), 9)
    at = onp.array([[6], [0], [0], [9], [-1]])
    index = onp.array([6, 0, 0])
    u = values(dtype, (5, 3), 10, special=False)
    dims = lax.GatherDimensionNumbers((1,), (0,), (0,))
    into = lax.ScatterDimensionNumbers((1,), (0,), (0,))

    def scattered(f):
        out = x.copy()
        for row, value in zip(at[:, 0], u, strict=True):
            if 0 <= row < 7:
                out[row] = f(out[row], value)
        return out

    table = {
        "gather": lambda a, b: lax.gather(a, at[:3], dims, (1, 3), mode="clip"),
        "fill": lambda a, b: lax.gather(a, at, dims, (1, 3), mode="fill", fill_value=1),
        "scatter": lambda a, b: lax.scatter(a, at, b, into, mode="drop"),
        "take": lambda a, b: cv.numpy.asarray(a)[index, 1],
    }
    want = {
        "gather": x[index], "take": x[index, 1], "scatter": scattered(lambda a, b: b),
        "fill": onp.concatenate([x[index], onp.ones((2, 3), x.dtype)]),
    }  # fmt: skip
    if dtype in NUMBERS:
        table["add"] = lambda a, b: lax.scatter_add(a, at, b, into, mode="drop")
        want["add"] = scattered(onp.add)
    if dtype in REAL:
        table["mul"] = lambda a, b: lax.scatter_mul(a, at, b, into, mode="drop")
        table["max"] = lambda a, b: lax.scatter_max(a, at, b, into, mode="drop")
        table["min"] = lambda a, b: lax.scatter_min(a, at, b, into, mode="drop")
        want["mul"] = scattered(onp.multiply)
        want["max"], want["min"] = scattered(onp.maximum), scattered(onp.minimum)
    got = run(table, (x, u))
    for name, ref in want.items():
        same(got[name], ref, name)


@pytest.mark.parametrize("shapes", [((3, 5), (5, 4)), ((1, 1), (1, 1)), ((0, 5), (5, 4)),
                                    ((3, 0), (0, 4)), ((37, 19), (19, 33))], ids=str)  # fmt: skip
@pytest.mark.parametrize("dtype", ALL)
def test_products(dtype, shapes):
    x, y = (values(dtype, s, 11 + k, special=False) for k, s in enumerate(shapes))
    got = onp.asarray(cv.jit(lambda a, b: lax.dot(a, b))(x, y))
    assert got.dtype == x.dtype
    if dtype in BOOL + INTS:
        onp.testing.assert_array_equal(got, x @ y)
        return
    wide = wide_of(dtype)
    want = x.astype(wide) @ y.astype(wide)
    eps = float(ml_dtypes.finfo(dtype_of(dtype)).eps)
    scale = onp.abs(x).astype(float) @ onp.abs(y).astype(float)
    assert onp.all(onp.abs(got.astype(wide) - want) <= 8 * eps * scale + 1e-30)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_vectors_of_floats_become_integers_as_numbers_do(dtype):
    """Towards zero, saturating, and 0 for NaN."""
    x = onp.array([0, -0.0, 1.5, -1.5, 2147483520, 2**31, -(2**31), -3e9, 3e9, onp.inf, -onp.inf,
                   onp.nan], dtype)  # fmt: skip
    want = [0, 0, 1, -1, 2147483520, 2**31 - 1, -(2**31), -(2**31), 2**31 - 1, 2**31 - 1,
            -(2**31), 0]  # fmt: skip
    run = cv.jit(lambda x: lax.convert_element_type(x, onp.int32))
    with cv.enable_x64():
        assert run(onp.tile(x, 9)).tolist() == want * 9
        assert [int(run(v)) for v in x] == want
