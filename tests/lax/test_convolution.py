"""Convolutions against sums over windows, in every form; and what is made of them."""

import itertools

import numpy as onp
import pytest

import covector as cv
import covector.numpy as np
from covector import _native, lax


@pytest.fixture(autouse=True)
def x64():
    with cv.enable_x64():
        yield


RNG = onp.random.default_rng(0)
CHANNELS_LAST = {
    1: ("NHC", "HIO", "NHC"),
    2: ("NHWC", "HWIO", "NHWC"),
    3: ("NDHWC", "DHWIO", "NDHWC"),
}


def number(dtype, *shape):
    dtype = onp.dtype(dtype) if dtype != "bfloat16" else np.bfloat16.dtype
    if dtype.kind == "b":
        return RNG.integers(0, 2, shape).astype(bool)
    if dtype.kind in "iu":
        return RNG.integers(0, 6, shape).astype(dtype)
    x = RNG.standard_normal(shape)
    return (x + 1j * RNG.standard_normal(shape) if dtype.kind == "c" else x).astype(dtype)


def pads_of(pads, sizes, window, strides):
    if isinstance(pads, str):
        return lax.padtype_to_pads(sizes, window, strides, pads)
    return pads


def reference(x, k, strides, pads, ld=None, rd=None, fg=1, bg=1):
    """Channels last: each element of the result by its definition."""
    rank = x.ndim - 2
    ld, rd = ld or (1,) * rank, rd or (1,) * rank
    n, *space, c = x.shape
    *window, i, o = k.shape
    spanned = [(s - 1) * d + 1 for s, d in zip(space, ld, strict=True)]
    reach = [(w - 1) * d + 1 for w, d in zip(window, rd, strict=True)]
    pads = pads_of(pads, spanned, reach, strides)
    size = [
        max(0, (s + lo + hi - w) // step + 1)
        for s, (lo, hi), w, step in zip(spanned, pads, reach, strides, strict=True)
    ]
    out = onp.zeros((n // bg, *size, o), x.dtype)
    if 0 in out.shape:
        return out
    spread = onp.zeros((n, *spanned, c), x.dtype)
    spread[(slice(None), *[slice(None, None, d) for d in ld])] = x
    spread = onp.pad(spread, ((0, 0), *[(max(lo, 0), max(hi, 0)) for lo, hi in pads], (0, 0)))
    cut = [
        slice(max(-lo, 0), m - max(-hi, 0))
        for (lo, hi), m in zip(pads, spread.shape[1:-1], strict=True)
    ]
    spread = spread[(slice(None), *cut)]
    og, ng = o // max(fg, bg), n // bg
    # For each place in the window, the elements of all windows at that place.
    for w in itertools.product(*map(range, window)):
        at = [
            slice(b * d, b * d + (m - 1) * s + 1, s)
            for b, d, m, s in zip(w, rd, size, strides, strict=True)
        ]
        elements = spread[(slice(None), *at)]
        for g in range(max(fg, bg)):
            part = elements[..., g * i : (g + 1) * i] if fg > 1 else elements
            part = part[g * ng : (g + 1) * ng] if bg > 1 else part
            out[..., g * og : (g + 1) * og] += (
                part @ k[(*w, slice(None), slice(g * og, (g + 1) * og))]
            )
    return out


# shape of the operand, of the kernel, steps, padding, and what else
FORMS = {
    "one": ((2, 7, 3), (3, 3, 5), (1,), "SAME", {}),
    "steps": ((2, 7, 6, 3), (3, 2, 3, 8), (2, 3), "SAME", {}),
    "lower": ((1, 6, 5, 2), (2, 4, 2, 1), (1, 2), "SAME_LOWER", {}),
    "valid": ((3, 5, 6, 4), (2, 3, 4, 9), (1, 1), "VALID", {}),
    "padded": ((2, 5, 4, 3), (3, 3, 3, 6), (2, 1), ((2, 0), (-1, 3)), {}),
    "dilated": ((2, 9, 7, 3), (3, 2, 3, 8), (1, 2), ((1, 1), (0, 2)), {"rd": (2, 3)}),
    "spread": ((2, 4, 3, 3), (3, 2, 3, 8), (1, 2), ((1, 1), (2, 0)), {"ld": (2, 3)}),
    "both": ((1, 5, 4), (3, 4, 16), (2,), ((3, 2),), {"ld": (3,), "rd": (2,)}),
    "three": ((2, 4, 5, 3, 2), (2, 3, 2, 2, 7), (1, 2, 1), "SAME", {}),
    "point": ((2, 5, 4, 8), (1, 1, 8, 16), (1, 1), "VALID", {}),
    "point steps": ((2, 5, 4, 8), (1, 1, 8, 16), (2, 2), "SAME", {}),
    "depthwise": ((2, 6, 5, 4), (3, 3, 1, 4), (1, 1), "SAME", {"fg": 4}),
    "depthwise twice": ((2, 6, 5, 4), (3, 3, 1, 8), (2, 1), "SAME", {"fg": 4}),
    "groups": ((2, 6, 5, 6), (3, 2, 3, 16), (1, 2), "SAME", {"fg": 2}),
    "batch groups": ((6, 6, 5, 3), (3, 2, 3, 8), (1, 2), "SAME", {"bg": 2}),
    "wide window": ((3, 9, 8, 4), (9, 7, 4, 6), (1, 1), ((1, 1), (0, 0)), {}),
    "long window": ((2, 300, 1), (70, 1, 1), (1,), "SAME", {}),
    "long steps": ((1, 300, 2), (150, 2, 3), (2,), ((3, 4),), {}),
    "long rows": ((2, 3, 150, 1), (2, 40, 1, 2), (1, 1), "VALID", {}),
    "few long sums": ((2, 90, 1), (80, 1, 8), (1,), "VALID", {}),
    "nothing left": ((2, 3, 4), (5, 4, 6), (1,), "VALID", {}),
    "no features": ((2, 3, 0), (2, 0, 6), (1,), "VALID", {}),
    "large": ((3, 40, 37, 16), (3, 3, 16, 24), (1, 1), "SAME", {}),
}
OPTIONS = {
    "ld": "lhs_dilation",
    "rd": "rhs_dilation",
    "fg": "feature_group_count",
    "bg": "batch_group_count",
}
TOLERANCE = {"float16": 5e-3, "bfloat16": 3e-2, "float32": 1e-5, "complex64": 1e-5}


def run(form, dtype):
    """A convolution, its operands of normal numbers, and the result by its definition."""
    xs, ks, strides, pads, more = form
    x, k = number(dtype, *xs), number(dtype, *ks)
    options = {OPTIONS[n]: v for n, v in more.items()}

    last = CHANNELS_LAST[len(xs) - 2]

    def f(x, k, numbers=last):
        return lax.conv_general_dilated(x, k, strides, pads, dimension_numbers=numbers, **options)

    wide = {"float16": "float64", "bfloat16": "float64"}.get(dtype, dtype)
    want = reference(x.astype(wide), k.astype(wide), strides, pads, **more)
    return f, x, k, want


def close(got, want, dtype):
    got = onp.asarray(got)
    assert got.shape == want.shape and got.dtype == dtype
    if onp.dtype(got.dtype).kind in "biu":
        onp.testing.assert_array_equal(got, want)
        return
    wide = got.astype("complex128" if got.dtype.kind == "c" else "float64")
    scale = onp.abs(want).max(initial=1)
    onp.testing.assert_allclose(wide, want, rtol=0, atol=TOLERANCE.get(dtype, 1e-13) * scale)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", FORMS)
def test_every_form(name, dtype):
    f, x, k, want = run(FORMS[name], dtype)
    close(f(x, k), want, dtype)
    close(cv.jit(f)(x, k), want, dtype)


@pytest.mark.parametrize(
    "dtype",
    ["bool", "int8", "uint8", "int32", "int64", "float16", "bfloat16", "complex64", "complex128"],
)
@pytest.mark.parametrize("name", ["steps", "spread", "groups", "batch groups", "depthwise"])
def test_every_dtype(name, dtype):
    f, x, k, want = run(FORMS[name], dtype)
    close(f(x, k), want, dtype)


@pytest.mark.parametrize("name", ["steps", "groups", "batch groups", "depthwise", "wide window"])
def test_every_order_of_dimensions(name):
    f, x, k, want = run(FORMS[name], "float64")
    kernels, outs = ("HWIO", "OIHW", "IHWO"), ("NHWC", "NCHW", "CWNH")
    # Of the three, every two meet in every way.
    for (i, lhs), (j, rhs) in itertools.product(
        enumerate(("NHWC", "NCHW", "HWCN", "CHNW")), enumerate(kernels)
    ):
        out = outs[(i + j) % 3]
        a = onp.transpose(x, ["NHWC".index(c) for c in lhs])
        b = onp.transpose(k, ["HWIO".index(c) for c in rhs])
        w = onp.transpose(want, ["NHWC".index(c) for c in out])
        close(f(a, b, (lhs, rhs, out)), w, "float64")


@pytest.mark.parametrize("name", [n for n in FORMS if n != "large"])
def test_derivatives(name):
    """The function is linear in each operand: differences of any size are exact."""
    f, x, k, want = run(FORMS[name], "float64")
    ct, dx, dk = (
        number("float64", *want.shape),
        number("float64", *x.shape),
        number("float64", *k.shape),
    )
    out, pull = cv.vjp(f, x, k)
    gx, gk = pull(ct)
    assert gx.shape == x.shape and gk.shape == k.shape
    onp.testing.assert_allclose((gx * dx).sum(), (ct * f(dx, k)).sum(), rtol=1e-10, atol=1e-10)
    onp.testing.assert_allclose((gk * dk).sum(), (ct * f(x, dk)).sum(), rtol=1e-10, atol=1e-10)
    tangent = cv.jvp(f, (x, k), (dx, dk))[1]
    onp.testing.assert_allclose(tangent, f(dx, k) + f(x, dk), atol=1e-10)
    second = cv.grad(lambda k: (cv.grad(lambda x: (f(x, k) ** 2).sum())(x) * dx).sum())(k)
    h = 1e-3
    up, down = (
        (cv.grad(lambda x, s=s: (f(x, k + s * h * dk) ** 2).sum())(x) * dx).sum() for s in (1, -1)
    )
    onp.testing.assert_allclose((second * dk).sum(), (up - down) / (2 * h), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    "name", ["steps", "spread", "groups", "batch groups", "depthwise", "nothing left"]
)
@pytest.mark.parametrize("axes", [(0, None), (None, 1), (1, 2), (2, 0)])
def test_batches_are_loops(name, axes):
    f, x, k, want = run(FORMS[name], "float64")
    stacked = []
    for v, axis in zip((x, k), axes, strict=True):
        many = onp.stack([v * s for s in (1.0, -2.0, 0.5)])
        stacked.append(v if axis is None else onp.moveaxis(many, 0, axis))
    got = cv.vmap(f, axes, 1)(*stacked)
    power = sum(a is not None for a in axes)
    close(got, onp.stack([want * s**power for s in (1.0, -2.0, 0.5)], 1), "float64")


def test_dtype_of_the_result():
    x, k = number("int8", 1, 5, 4), number("int8", 3, 4, 8)
    got = lax.conv_general_dilated(
        x, k, (1,), "SAME", dimension_numbers=CHANNELS_LAST[1], preferred_element_type="int32"
    )
    close(got, reference(x.astype("int32"), k.astype("int32"), (1,), "SAME"), "int32")
    a = lax.conv(np.ones((1, 2, 3), "float32"), np.ones((1, 2, 3), "float64"), (1,), "SAME")
    assert a.dtype == "float64"


def test_transposed():
    for strides, pads, n in itertools.product(((1,), (2,), (3,)), ("SAME", "VALID"), (2, 3, 4)):
        x, k = number("float64", 1, 5, 2), number("float64", n, 2, 3)
        got = lax.conv_transpose(x, k, strides, pads)
        shape = lax.conv_transpose_shape_tuple(x.shape, k.shape, strides, pads, CHANNELS_LAST[1])
        assert got.shape == shape
        s = strides[0]
        assert got.shape[1] == (5 * s if pads == "SAME" else (5 - 1) * s + max(n, s))
        # The gradient of the convolution whose input has that shape.
        flipped = onp.swapaxes(k, 1, 2)

        def forward(y, flipped=flipped, strides=strides, pads=pads):
            return lax.conv_general_dilated(
                y, flipped, strides, pads, dimension_numbers=CHANNELS_LAST[1]
            )

        if forward(np.zeros((1, got.shape[1], 3))).shape != x.shape:
            continue
        want = cv.vjp(forward, np.zeros((1, got.shape[1], 3)))[1](np.array(x))[0]
        turned = lax.conv_transpose(x, flipped, strides, pads, transpose_kernel=True)
        onp.testing.assert_allclose(turned, want, atol=1e-12)


def test_patches_and_local_kernels():
    x = number("float64", 2, 6, 5, 3)
    numbers = CHANNELS_LAST[2]
    patches = lax.conv_general_dilated_patches(x, (2, 3), (2, 1), "SAME", dimension_numbers=numbers)
    padded = onp.pad(x, [(0, 0), (0, 0), (1, 1), (0, 0)])
    assert patches.shape == (2, 3, 5, 18)
    want = padded[:, 2:4, 1:4].transpose(0, 3, 1, 2).reshape(2, 18)
    onp.testing.assert_array_equal(patches[:, 1, 1], want)
    kernels = number("float64", 3, 5, 18, 4)
    got = lax.conv_general_dilated_local(
        x, kernels, (2, 1), "SAME", (2, 3), dimension_numbers=numbers
    )
    onp.testing.assert_allclose(got, onp.einsum("nhwf,hwfo->nhwo", patches, kernels), atol=1e-12)
    same = onp.broadcast_to(number("float64", 18, 4), kernels.shape)
    kernel = same[0, 0].reshape(3, 2, 3, 4).transpose(1, 2, 0, 3)
    got = lax.conv_general_dilated_local(x, same, (2, 1), "SAME", (2, 3), dimension_numbers=numbers)
    want = lax.conv_general_dilated(x, kernel, (2, 1), "SAME", dimension_numbers=numbers)
    onp.testing.assert_allclose(got, want, atol=1e-12)


def test_padding_by_name_is_that_of_the_dilated_operand():
    x, k = number("float64", 1, 4, 2), number("float64", 3, 2, 5)
    got = lax.conv_general_dilated(x, k, (2,), "SAME", (3,), dimension_numbers=CHANNELS_LAST[1])
    assert got.shape == (1, 5, 5)
    close(got, reference(x, k, (2,), "SAME", ld=(3,)), "float64")


def test_dimensions_by_letters():
    last = CHANNELS_LAST[2]
    specs = ((0, 3, 1, 2), (3, 2, 0, 1), (0, 3, 1, 2))
    assert lax.conv_general_permutations(last) == specs
    numbers = lax.conv_dimension_numbers((1, 8, 8, 3), (3, 3, 3, 4), last)
    assert numbers == lax.ConvDimensionNumbers(*specs)
    assert lax.conv_dimension_numbers((1, 8, 8, 3), (3, 3, 3, 4), numbers) == numbers
    plain = lax.conv_dimension_numbers((1, 3, 8), (4, 3, 3), None)
    assert plain == lax.ConvDimensionNumbers((0, 1, 2), (0, 1, 2), (0, 1, 2))
    shape = lax.conv_general_shape_tuple((1, 8, 9, 3), (3, 2, 3, 4), (2, 1), "VALID", last)
    assert shape == (1, 3, 8, 4)


def test_shapes():
    assert lax.conv_shape_tuple((4, 3, 8), (4, 3, 3), (2,), [(1, 1)], 2) == (2, 4, 4)
    assert lax.conv_with_general_padding(
        onp.ones((1, 2, 5)), onp.ones((3, 2, 2)), (2,), [(1, 1)], (1,), (2,)
    ).shape == (1, 3, 3)
    for n, k, s in itertools.product(range(5), range(1, 4), range(1, 4)):
        ((low, high),) = lax.padtype_to_pads((n,), (k,), (s,), "SAME")
        assert high - low in (0, 1)
        assert n == 0 or (n + low + high - k) // s + 1 == -(-n // s)


A, K = onp.ones((2, 3, 8, 8)), onp.ones((4, 3, 3, 3))


def general(x=A, k=K, strides=(1, 1), pads="SAME", **options):
    return lambda: lax.conv_general_dilated(x, k, strides, pads, **options)


def ordered(*letters):
    return general(dimension_numbers=letters)


ERRORS = {
    "features": (general(k=onp.ones((4, 2, 3, 3))), TypeError, ["3 features", "takes 2"]),
    "rank": (general(k=K[0]), ValueError, ["one rank", "(3, 3, 3)"]),
    "padding": (general(pads="FULL"), ValueError, ["SAME, SAME_LOWER, VALID", "'FULL'"]),
    "no pairs": (general(pads=[1, 1]), ValueError, ["pairs of integers"]),
    "too few pairs": (general(pads=[(1, 1)]), ValueError, ["padding", "2 spatial"]),
    "steps": (general(strides=(1,), pads="VALID"), ValueError, ["window_strides", "2 spatial"]),
    "half a step": (general(strides=(1, 0.5)), TypeError, ["window_strides must be an integer"]),
    "no step": (
        general(strides=(0, 1), pads=[(0, 0)] * 2), ValueError, ["window_strides must be positive"]
    ),
    "dilation": (general(rhs_dilation=(0, 1)), ValueError, ["rhs_dilation must be positive"]),
    "letters": (ordered("NHWC", "HWIO", "NHW"), ValueError, ["'NHW'", "4 different letters"]),
    "other letters": (ordered("NHWC", "HWIO", "NHDC"), ValueError, ["'NHDC'", "'HWIO'"]),
    "two": (ordered("NHWC", "HWIO"), TypeError, ["three strings"]),
    "groups": (
        general(k=onp.ones((4, 1, 3, 3)), feature_group_count=3), ValueError,
        ["4 output features", "3 groups"],
    ),
    "batch groups": (
        general(batch_group_count=4), ValueError, ["2 elements of the batch", "4 groups"]
    ),
    "both groups": (
        general(feature_group_count=2, batch_group_count=2), ValueError, ["one of them 1"]
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name):
    call, error, parts = ERRORS[name]
    with pytest.raises(error) as e:
        call()
    for part in parts:
        assert part in str(e.value)


@pytest.mark.peer
@pytest.mark.parametrize("seed", range(8))
def test_random_calls_are_those_of_jax(seed):
    import jax

    rng = onp.random.default_rng(seed)
    for _ in range(6):
        rank = rng.integers(0, 4)
        fg, bg = ((1, 1), (2, 1), (1, 2))[rng.integers(3)]
        inputs, outputs, batch = rng.integers(1, 7, 3)
        space, window = rng.integers(1, 8, rank), rng.integers(1, 4, rank)
        specs = [tuple(map(int, rng.permutation(rank + 2))) for _ in range(3)]
        lhs, rhs = [0] * (rank + 2), [0] * (rank + 2)
        for d, n in zip(specs[0], (batch * bg, inputs * fg, *space), strict=True):
            lhs[d] = int(n)
        for d, n in zip(specs[1], (outputs * fg * bg, inputs, *window), strict=True):
            rhs[d] = int(n)
        x, k = rng.normal(size=lhs).astype("f"), rng.normal(size=rhs).astype("f")
        options = {
            "window_strides": rng.integers(1, 4, rank).tolist(),
            "padding": rng.integers(0, 4, (rank, 2)).tolist(),
            "lhs_dilation": rng.integers(1, 3, rank).tolist(),
            "rhs_dilation": rng.integers(1, 3, rank).tolist(),
            "feature_group_count": fg,
            "batch_group_count": bg,
        }
        results = []
        for v, l in ((cv, lax), (jax, jax.lax)):
            numbers = l.ConvDimensionNumbers(*specs)

            def f(x, k, l=l, numbers=numbers, options=options):
                return l.conv_general_dilated(x, k, dimension_numbers=numbers, **options)

            out, pull = v.vjp(f, x, k)
            results.append([onp.asarray(r) for r in (out, *pull(out))])
        for a, b in zip(*results, strict=True):
            assert a.shape == b.shape
            onp.testing.assert_allclose(a, b, rtol=0, atol=2e-5 * onp.abs(b).max(initial=1))


@pytest.mark.peer
def test_transposed_convolutions_are_those_of_jax():
    import jax

    pads = ("SAME", "VALID", ((1, 2),), ((0, 0),))
    for s, n, p in itertools.product((1, 2, 3), (1, 2, 3, 5), pads):
        x, k = number("float32", 1, 4, 2), number("float32", n, 2, 3)
        for turned, consistent in ((False, False), (True, False), (False, True)):
            kernel = onp.swapaxes(k, 1, 2) if turned else k
            options = {"transpose_kernel": turned, "use_consistent_padding": consistent}
            got, want = (
                onp.asarray(l.conv_transpose(x, kernel, (s,), p, **options)) for l in (lax, jax.lax)
            )
            assert got.shape == want.shape
            onp.testing.assert_allclose(got, want, atol=1e-5)


# The ends of the library's tiles, panels, blocks and parts: as FORMS.
RAGGED = {
    "several panels": ((2, 9, 7, 5), (3, 3, 5, 147), (1, 1), "SAME", {}),
    "panels of groups": ((2, 9, 7, 6), (3, 3, 2, 21), (1, 1), "SAME", {"fg": 3}),
    "long line": ((1, 3001, 3), (25, 3, 9), (1,), "SAME", {}),
    "long line, steps": ((1, 3001, 3), (25, 3, 9), (3,), ((5, 6),), {"rd": (2,)}),
    "blocks": ((1, 61, 47, 8), (3, 3, 8, 33), (1, 1), "SAME", {}),
    "blocks not copied": ((2, 61, 47, 8), (3, 3, 8, 33), (2, 1), "VALID", {"rd": (1, 2)}),
    "blocks spread": ((2, 23, 19, 8), (3, 3, 8, 33), (1, 1), ((2, 1), (1, 3)), {"ld": (2, 3)}),
    "long sums": ((1, 8, 8, 700), (3, 3, 700, 12), (1, 1), "SAME", {}),
    "volumes": ((1, 7, 21, 33, 6), (3, 2, 3, 6, 20), (1, 1, 1), "SAME", {"rd": (2, 1, 1)}),
    "short cut": ((2, 11, 14, 24), (3, 3, 24, 150), (1, 1), "SAME", {}),
    "short cut, blocks": ((1, 47, 39, 70), (3, 3, 70, 25), (1, 1), ((2, 0), (-1, 3)), {}),
    "short cut, volumes": ((1, 3, 9, 8, 24), (1, 3, 3, 24, 24), (2, 1, 1), "VALID", {}),
    "parts": ((3, 40, 37, 70), (38, 37, 70, 13), (1, 1), ((1, 1), (1, 1)), {}),
}


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64"])
@pytest.mark.parametrize("name", RAGGED)
def test_ragged_tiles(name, dtype):
    form = RAGGED[name]
    f, x, k, _ = run(form, dtype)
    wide = "complex128" if dtype == "complex64" else "float64"
    want, size = (
        reference(a, b, form[2], form[3], **form[4])
        for a, b in ((x.astype(wide), k.astype(wide)), (abs(x), abs(k)))
    )
    got = onp.asarray(f(x, k))
    assert got.shape == want.shape and got.dtype == dtype
    bound = onp.finfo(dtype).eps * 4 * onp.sqrt(k[..., 0].size)
    assert (abs(got - want) <= bound * size).all()


@pytest.mark.parametrize("features", [16, 32])
def test_what_is_not_finite_meets_the_zeros_of_the_padding(features):
    x, k = number("float32", 1, 9, 9, features), number("float32", 3, 3, features, 32)
    k[0, 0, 0, 3] = onp.inf
    got = onp.asarray(lax.conv_general_dilated(
        x, k, (1, 1), "SAME", dimension_numbers=CHANNELS_LAST[2]))  # fmt: skip
    assert onp.isnan(got[0, 0, :, 3]).all() and onp.isnan(got[0, :, 0, 3]).all()
    assert onp.isinf(got[0, 1:, 1:, 3]).all()
    assert onp.isfinite(onp.delete(got, 3, axis=-1)).all()


@pytest.mark.parametrize("value", [onp.inf, -onp.inf, onp.nan, 3e38])
def test_what_is_not_finite_stays_in_its_windows(value):
    x, k = number("float32", 1, 16, 16, 32), number("float32", 3, 3, 32, 32)
    x[0, 8, 6, 5] = value
    got = onp.asarray(lax.conv_general_dilated(
        x, k, (1, 1), "SAME", dimension_numbers=CHANNELS_LAST[2]))  # fmt: skip
    reached = onp.zeros((16, 16), bool)
    reached[7:10, 5:8] = True
    assert onp.isfinite(got[0, ~reached]).all()
    with onp.errstate(over="ignore", invalid="ignore"):
        want = onp.float32(value) * k[::-1, ::-1, 5]
    # What is left and right, above and below, adds some small numbers.
    onp.testing.assert_allclose(got[0, 7:10, 5:8], want, rtol=1e-5)


def test_results_do_not_depend_on_the_number_of_threads():
    threads = _native.num_threads()
    results = []
    try:
        for n in (1, 3):
            _native.set_num_threads(n)
            of = []
            for name in ("blocks", "short cut, blocks", "parts"):
                xs, ks, strides, pads, _ = RAGGED[name]
                x = onp.sin(onp.arange(onp.prod(xs), dtype="float32")).reshape(xs)
                k = onp.cos(onp.arange(onp.prod(ks), dtype="float32")).reshape(ks)
                last = CHANNELS_LAST[len(xs) - 2]
                of.append(onp.asarray(lax.conv_general_dilated(
                    x, k, strides, pads, dimension_numbers=last)))  # fmt: skip
            results.append(of)
    finally:
        _native.set_num_threads(threads)
    for a, b in zip(*results, strict=True):
        onp.testing.assert_array_equal(a, b)
