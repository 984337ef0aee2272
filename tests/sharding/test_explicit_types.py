"""Types that say how arrays are split: of results, of derivatives, and what they refuse."""

import numpy as onp
import pytest

import covector as cv
import covector.numpy as np
from covector import lax
from covector.sharding import AxisType, Mesh, NamedSharding, auto_axes, explicit_axes, reshard
from covector.sharding import PartitionSpec as P
from covector.sharding.explicit import ShardingTypeError

A = onp.linspace(-1, 1, 32, dtype="float32").reshape(8, 4)
SQUARE = onp.linspace(-1, 1, 64, dtype="float32").reshape(8, 8)


@pytest.fixture(autouse=True)
def mesh(eight_devices):
    mesh = cv.make_mesh((4, 2), ("a", "b"))
    with cv.set_mesh(mesh):
        yield mesh


def put(x, *spec):
    return reshard(np.asarray(x), P(*spec))


def shown(f, *args):
    """The types of the results while ``f`` is traced; arrays lie as they say."""
    found = []

    def traced(*xs):
        out = f(*xs)
        found.append(cv.tree.leaves(cv.tree.map(lambda x: cv.typeof(x).str_short(), out)))
        return out

    outs = cv.tree.leaves(cv.jit(traced)(*args))
    assert [cv.typeof(x).str_short() for x in outs] == found[0]
    return found[0]


def same(f, *args):
    """``f`` of arrays that are spread has the values that it has of arrays that are not."""
    outs = cv.tree.leaves(cv.jit(f)(*args))
    with cv.set_mesh(None):
        wanted = cv.tree.leaves(cv.jit(f)(*map(onp.asarray, args)))
    for x, y in zip(outs, wanted, strict=True):
        onp.testing.assert_allclose(x, y, rtol=1e-5, atol=1e-6)


# --- derivatives ---


@pytest.mark.parametrize("w", [onp.ones(4, "float32"), onp.float32(2), 1.5])
def test_the_derivative_by_what_is_whole_is_whole(w):
    f = cv.grad(lambda w, x: (x * w).sum())
    x = put(A, "a", "b")
    size = onp.size(w)
    wanted = ["float32[4]"] if size == 4 else ["float32[]"]
    assert shown(f, w, x) == wanted
    assert cv.typeof(f(w, x)).str_short() == wanted[0]
    onp.testing.assert_allclose(f(w, x), A.sum(0) if size == 4 else A.sum(), rtol=1e-4, atol=1e-6)


# --- types that are kept ---

KEPT = {
    "zeros_like": (np.zeros_like, ["float32[8@a,4@b]"]),
    "ones_like": (np.ones_like, ["float32[8@a,4@b]"]),
    "full_like": (lambda x: np.full_like(x, 3), ["float32[8@a,4@b]"]),
    "lax.full_like": (lambda x: lax.full_like(x, 3), ["float32[8@a,4@b]"]),
    "of a dtype": (lambda x: np.zeros_like(x, dtype=int), ["int32[8@a,4@b]"]),
    "of a shape": (lambda x: np.zeros_like(x, shape=(8, 2)), ["float32[8,2]"]),
    "zeros": (lambda x: np.zeros(3), ["float32[3]"]),
    "vmap of scan": (
        cv.vmap(lambda r: lax.scan(lambda c, _: (c * 2, c), r, None, length=3)),
        ["float32[8@a,4@b]", "float32[8@a,3,4@b]"],
    ),
    "vmap of a scan with a carry that is not mapped": (
        cv.vmap(lambda r: lax.scan(lambda c, _: (c + r.sum(), c), 0.0, None, length=3)),
        ["float32[8@a]", "float32[8@a,3]"],
    ),
    "vmap of while": (
        cv.vmap(lambda r: lax.while_loop(lambda c: c[0] < 3, lambda c: (c[0] + 1, c[1] * 2),
                                         (0, r))),
        ["int32[8@a]", "float32[8@a,4@b]"],
    ),
    "vmap of a loop whose condition is mapped": (
        cv.vmap(lambda r: lax.while_loop(lambda c: c.sum() < 9, lambda c: c + 1.0, r)),
        ["float32[8@a,4@b]"],
    ),
    "vmap of fori": (
        cv.vmap(lambda r: lax.fori_loop(0, 3, lambda i, c: c + 1, r)), ["float32[8@a,4@b]"],
    ),
    "vmap of cond": (
        cv.vmap(lambda r: lax.cond(r.sum() > 0, np.sin, np.cos, r)), ["float32[8@a,4@b]"],
    ),
    "vmap of jit": (cv.vmap(cv.jit(lambda r: r * 2)), ["float32[8@a,4@b]"]),
    "vmap of checkpoint": (cv.vmap(cv.checkpoint(np.sin)), ["float32[8@a,4@b]"]),
    "vmap of grad of scan": (
        cv.vmap(cv.grad(lambda r: lax.scan(lambda c, _: (np.sin(c), None), r, None, length=3)[0]
                        .sum())),
        ["float32[8@a,4@b]"],
    ),
    "slice": (lambda x: x[:4], ["float32[4@a,4@b]"]),
    "steps": (lambda x: x[::2], ["float32[4@a,4@b]"]),
    "dynamic_slice": (lambda x: lax.dynamic_slice(x, (2, 0), (4, 2)), ["float32[4@a,2@b]"]),
    "dynamic_update_slice": (
        lambda x: lax.dynamic_update_slice(x, x[:4], (2, 0)), ["float32[8@a,4@b]"],
    ),
    "rev": (lambda x: lax.rev(x, (0, 1)), ["float32[8@a,4@b]"]),
    "split": (lambda x: lax.split(x, (4, 4)), ["float32[4@a,4@b]"] * 2),
    "concatenate": (lambda x: np.concatenate([x, x[:4]]), ["float32[12@a,4@b]"]),
    "pad": (lambda x: lax.pad(x, 0.0, ((4, 4, 0), (0, 0, 0))), ["float32[16@a,4@b]"]),
    "fft": (lambda x: np.fft.fft(x).real, ["float32[8@a,4@b]"]),
    "windows": (
        lambda x: lax.reduce_window(x, -np.inf, lax.max, (2, 2), (1, 1), "SAME"),
        ["float32[8@a,4@b]"],
    ),
    "bits": (lambda x: lax.bitcast_convert_type(x, "int16"), ["int16[8@a,4@b,2]"]),
    "bits and back": (
        lambda x: lax.bitcast_convert_type(lax.bitcast_convert_type(x, "int16"), "float32"),
        ["float32[8@a,4@b]"],
    ),
    "reshape": (lambda x: x.reshape(4, 2, 4), ["float32[4@a,2,4@b]"]),
    "a dimension of two": (lambda x: x.reshape(32), ["float32[32@(a,b)]"]),
    "tile": (lambda x: np.tile(x, (2, 1, 1)), ["float32[2,8@a,4@b]"]),
}  # fmt: skip


@pytest.mark.parametrize("name", KEPT)
def test_types_of_results(name):
    f, wanted = KEPT[name]
    x = put(A, "a", "b")
    assert shown(f, x) == wanted
    same(f, x)


@pytest.mark.parametrize(
    "f",
    [
        lambda x: x[:, 1:3], lambda x: x[:, ::-1], lambda x: lax.split(x, (1, 3), axis=1),
        lambda x: np.fft.rfft(x).real, lambda x: lax.bitcast_convert_type(x, "int32"),
        lambda x: lax.dynamic_slice_in_dim(x, 1, 2, 1), lambda x: x[:, 0], np.cumsum,
        lambda x: np.sort(x, axis=1), lambda x: x.at[:, 1].set(0),
    ],
)  # fmt: skip
def test_along_what_is_not_split_all_is_as_it_was(f):
    x = put(A, "a", None)
    if f is np.cumsum:
        f = lambda x: np.cumsum(x, axis=1)  # noqa: E731
    for kind in shown(f, x):
        assert kind.partition("[")[2].startswith("8@a")
    same(f, x)


def test_a_prototype_that_is_there():
    x = put(A, "a", "b")
    for f in (np.zeros_like, np.ones_like, lambda x: lax.full_like(x, 2)):
        assert cv.typeof(f(x)).str_short() == "float32[8@a,4@b]"


def test_inside_of_vmap_the_mapped_axis_is_hidden():
    seen = []
    f = cv.vmap(lambda r: (seen.append(cv.typeof(r).str_short()), r * 2)[1])
    assert shown(f, put(A, "a", "b")) == ["float32[8@a,4@b]"]
    assert seen == ["float32[4@b]"]


# --- what types refuse ---


def refuses(error, text, f, *args):
    with pytest.raises(error) as e:
        f(*args)
    assert text in str(e.value), str(e.value)


def test_branches_lie_alike():
    x = put(SQUARE, "a", None)
    text = "the branches must return equal types"
    turned = lambda x: lax.cond(x.sum() > 0, lambda x: x, lambda x: x.T, x)  # noqa: E731
    for f in (turned, cv.jit(turned)):
        refuses(TypeError, text, f, x)
    refuses(TypeError, "float32[8,8@a]", turned, x)
    refuses(TypeError, text, cv.jit(lambda x: lax.switch(1, [np.sin, np.transpose], x)), x)
    made = lambda x: lax.cond(x.sum() > 0, np.sin, lambda x: np.ones((8, 8)), x)  # noqa: E731
    refuses(TypeError, text, cv.jit(made), x)
    kept = lambda x: lax.cond(x.sum() > 0, lambda x: reshard(x.T, P("a")), np.sin, x)  # noqa: E731
    assert shown(kept, x) == ["float32[8@a,8]"]
    same(lambda x: lax.cond(x.sum() > 0, np.sin, np.cos, x), x)


def test_carries_keep_their_type():
    x = put(SQUARE, "a", None)
    loops = {
        "scan": lambda x: lax.scan(lambda c, _: (c.T, None), x, None, length=3)[0],
        "from zeros": lambda x: lax.scan(lambda c, _: (c + x, None), np.zeros((8, 8)), length=3)[0],
        "while": lambda x: lax.while_loop(lambda c: c.sum() < 3, lambda c: c.T, x),
        "fori": lambda x: lax.fori_loop(0, 3, lambda i, c: c.T, x),
    }
    for f in loops.values():
        refuses(TypeError, "they are split differently over the mesh", cv.jit(f), x)

    def likes(x):
        return lax.scan(lambda c, _: (c + x, None), np.zeros_like(x), length=3)[0]

    assert shown(likes, x) == ["float32[8@a,8]"]
    same(likes, x)
    # A type that says nothing is that of the body.
    with cv.set_mesh(None):
        out = cv.jit(lambda x: lax.scan(lambda c, _: (c + x, None), np.zeros((8, 8)), length=3))(x)
    assert cv.typeof(out[0]).str_short() == "float32[8@a,8]"


def test_loops_run_over_what_is_not_split():
    x = put(SQUARE, "a", None)
    for f in (lambda x: lax.scan(lambda c, r: (c, r), 0.0, x), lambda x: lax.map(np.sin, x)):
        refuses(ValueError, "float32[8@a,8], is split over the mesh", f, x)
    y = put(SQUARE, None, "a")
    assert shown(lambda x: lax.map(np.sin, x), y) == ["float32[8,8@a]"]


def test_mapped_axes_are_split_alike():
    x, y, z = put(SQUARE, "a", None), put(SQUARE, "b", None), np.asarray(SQUARE)
    for other in (y, z, SQUARE):
        refuses(ValueError, "must be split alike", cv.vmap(np.add), x, other)
    assert shown(cv.vmap(np.add), x, reshard(y, P("a"))) == ["float32[8@a,8]"]
    assert shown(cv.vmap(np.add, in_axes=(0, None)), x, np.ones(8)) == ["float32[8@a,8]"]


@pytest.mark.parametrize(
    "f, spec",
    [
        (lambda x: np.tile(x, (2, 1)), ("a", None)), (lambda x: x.reshape(64), (None, "a")),
        (lambda x: x.reshape(2, 4, 8), ("a", None)), (lambda x: x[:6], ("a", None)),
        (lambda x: x[0], ("a", None)), (lambda x: np.cumsum(x, 0), ("a", None)),
        (lambda x: lax.bitcast_convert_type(x[:, :4].astype("int8"), "int32"),
         (None, "b")),
    ],
)  # fmt: skip
def test_what_cannot_be_split_as_the_operand_is_an_error(f, spec):
    refuses(ShardingTypeError, "reshard", cv.jit(f), put(SQUARE, *spec))


def test_reshape_with_an_out_sharding():
    f = lambda x: lax.reshape(x, (64,), out_sharding=P("a"))  # noqa: E731
    assert shown(f, put(SQUARE, None, "a")) == ["float32[64@a]"]
    same(lambda x: lax.reshape(x, (64,)), put(SQUARE, "a", "b"))


# --- parts of programs in which axes are of another type ---


def test_auto_axes_of_some():
    seen = []

    def f(x):
        y = np.sort(x, axis=0)
        seen.extend(cv.typeof(v).str_short() for v in (x, y))
        return y

    x = put(SQUARE[::-1], "a", "b")
    g = auto_axes(f, axes="a", out_sharding=P("a", "b"))
    assert shown(g, x) == ["float32[8@a,8@b]"]
    assert seen == ["float32[8,8@b]"] * 2
    onp.testing.assert_array_equal(g(x), SQUARE)
    # Over the others, types say as before.
    along = auto_axes(lambda x: np.sort(x, axis=1), axes="a", out_sharding=P("a", "b"))
    text = "sort needs all of dimension 1 of operand 0, which is split over 'b'"
    refuses(ShardingTypeError, text, along, x)


def test_auto_axes_of_all():
    seen = []
    f = auto_axes(lambda x: (seen.append(cv.typeof(x).str_short()), x @ x)[1],
                  out_sharding=P("b", "a"))  # fmt: skip
    x = put(SQUARE, "a", "b")
    for g in (f, cv.jit(f)):
        out = g(x)
        assert cv.typeof(out).str_short() == "float32[8@b,8@a]"
        onp.testing.assert_allclose(out, SQUARE @ SQUARE, rtol=1e-5, atol=1e-6)
    assert seen == ["float32[8,8]"] * 2
    onp.testing.assert_allclose(cv.grad(lambda x: f(x).sum())(x),
                                cv.grad(lambda x: (x @ x).sum())(SQUARE), rtol=1e-5)  # fmt: skip


def test_explicit_axes_of_some():
    auto = cv.make_mesh((4, 2), ("a", "b"), (AxisType.Auto,) * 2)
    seen = []
    f = explicit_axes(lambda x: (seen.append(cv.typeof(x).str_short()), x * 2)[1], axes="a",
                      in_sharding=P("a"))  # fmt: skip
    with cv.set_mesh(auto):
        out = cv.jit(f)(SQUARE)
        assert cv.typeof(out).str_short() == "float32[8,8]"
    assert seen == ["float32[8@a,8]"]
    onp.testing.assert_array_equal(out, SQUARE * 2)


def test_explicit_axes_of_some_leave_the_others():
    auto = cv.make_mesh((4, 2), ("a", "b"), (AxisType.Auto,) * 2)
    f = explicit_axes(lambda x: x * 2, axes="a", in_sharding=P("a", None))
    with cv.set_mesh(auto):
        x = cv.device_put(SQUARE, NamedSharding(auto, P("a", "b")))
        y = cv.device_put(SQUARE, NamedSharding(auto, P(None, ("b", "a"))))
        for g in (f, cv.jit(f)):
            out = g(x)
            assert cv.typeof(out).str_short() == "float32[8,8]"
            assert out.sharding == NamedSharding(auto, P("a", "b"))
            onp.testing.assert_array_equal(out, SQUARE * 2)
            assert g(y).sharding.spec == P("a", "b")
        both = explicit_axes(lambda x: x * 2, in_sharding=P("a", None))
        for g in (both, cv.jit(both)):
            assert g(x).sharding.is_equivalent_to(NamedSharding(auto, P("a")), 2)
        slope = cv.jit(cv.grad(lambda x: (f(x) ** 2).sum()))(x)
        onp.testing.assert_array_equal(slope, 8 * SQUARE)


def test_reshard_leaves_axes_that_the_compiler_lays_out():
    mixed = cv.make_mesh((4, 2), ("a", "b"), (AxisType.Explicit, AxisType.Auto))
    with cv.set_mesh(mixed):
        x = cv.device_put(SQUARE, NamedSharding(mixed, P("a", "b")))
        for spec, want in ((P(), P(None, "b")), (P(None, "a"), P(None, ("a", "b"))),
                           (P("b"), P("b", None)), (P("a"), P("a", "b"))):  # fmt: skip
            for g in (lambda x, s=spec: reshard(x, s), cv.jit(lambda x, s=spec: reshard(x, s))):
                assert g(x).sharding == NamedSharding(mixed, want), spec
        odd = cv.device_put(onp.ones((4, 2), "float32"), NamedSharding(mixed, P("a", "b")))
        assert reshard(odd.T, P(None, "a")).sharding.spec == P("b", "a")


def test_errors_say_which_function_takes_out_sharding():
    rows, columns = put(SQUARE, "a", None), put(SQUARE, None, "a")
    index = np.arange(3)
    image, kernel = put(onp.ones((1, 1, 8, 8), "f4"), None, None, "a"), np.ones((1, 1, 3, 3))
    split = put(onp.ones((8, 4), "uint8"), None, "a")

    def conv(x, **options):
        return lax.conv_general_dilated(x, kernel, (1, 1), "SAME", **options)

    for f, x, texts in (
        (lambda x: x @ columns, rows, ("dot_general", "'a'", "covector.numpy.matmul, dot, einsum")),
        (lambda x: x @ rows, columns,
         ("contracted", "'a'", "out_sharding of covector.numpy.matmul")),
        (lambda x: x.reshape(64), columns,
         ("reshape", "'a'", "out_sharding of covector.numpy.reshape")),
        (lambda x: x[index], rows, ("dimension 0 of operand 0", "out_sharding of x.at[index].get")),
        (conv, image, ("conv_general_dilated needs all of dimension 2 of operand 0", "'a'",
                       "covector.reshard", "out_sharding of lax.conv_general_dilated")),
        (lambda x: lax.bitcast_convert_type(x, "float32"), split,
         ("bitcast_convert_type needs all of dimension 1 of operand 0", "'a'", "covector.reshard")),
        (lambda x: np.cumsum(x, 0), rows, ("cumsum needs all of dimension 0", "covector.reshard")),
        (lambda x: x + columns, rows, ("add: of the operands", "covector.reshard")),
    ):  # fmt: skip
        for g in (f, cv.jit(f)):
            with pytest.raises(ShardingTypeError) as e:
                g(x)
            assert all(t in str(e.value) for t in texts), str(e.value)
            assert ("out_sharding" in str(e.value)) == any("out_sharding" in t or "matmul" in t
                                                           for t in texts)  # fmt: skip
            assert "test_explicit_types.py" in str(e.value)
    assert conv(image, out_sharding=P()).shape == image.shape


# --- shard_map ---


def test_in_specs_agree_with_types(mesh):
    def on(spec):
        return cv.shard_map(lambda v: v, in_specs=spec, out_specs=spec)

    x = put(SQUARE, "a", None)
    for spec in (P("b"), P(None, "a"), P(), P("a", "b")):
        refuses(ValueError, "says it in another way", on(spec), x)
        refuses(ValueError, "float32[8@a,8]", cv.jit(on(spec)), x)
    assert shown(on(P("a")), x) == ["float32[8@a,8]"]
    refuses(ValueError, "says it in another way", on(P("a")), np.ones((8, 8)))
    # What says nothing of how it lies is split as is asked.
    assert cv.typeof(on(P("a"))(SQUARE)).str_short() == "float32[8@a,8]"


SOME = {
    "kept": (("a", "b"), lambda v: v * 2, P("a"), "float32[2,8@b]{V:a}", "float32[8@a,8@b]"),
    "of one dimension": (
        (("a", "b"), None),
        lambda v: v * 2,
        P("a"),
        "float32[2@b,8]{V:a}",
        "float32[8@(a,b),8]",
    ),
    "turned": (
        ("a", None),
        lambda v: v.T,
        P(None, "a"),
        "float32[2,8]{V:a}",
        "float32[8,8@a]",
    ),
    "joined": (("a", "b"), lambda v: v.T, P("a"), "float32[2,8@b]{V:a}", "float32[32@(a,b),2]"),
    "summed": (
        ("a", "b"),
        lambda v: lax.psum(v.sum(0), "a"),
        P(),
        "float32[2,8@b]{V:a}",
        "float32[8@b]",
    ),
    "gathered": (
        ("a", "b"),
        lambda v: lax.all_gather(v, "a", tiled=True),
        P("a"),
        "float32[2,8@b]{V:a}",
        "float32[32@a,8@b]",
    ),
    "exchanged": (
        ("a", "b"),
        lambda v: lax.ppermute(v, "a", [(k, (k + 1) % 4) for k in range(4)]),
        P("a"),
        "float32[2,8@b]{V:a}",
        "float32[8@a,8@b]",
    ),
}


@pytest.mark.parametrize("name", SOME)
def test_along_some_axes_the_split_over_others_is_kept(name, mesh):
    spec, body, out_spec, inside, wanted = SOME[name]
    seen = []

    def f(x):
        return cv.shard_map(
            lambda v: (seen.append(cv.typeof(v).str_short()), body(v))[1],
            mesh=mesh, in_specs=P("a"), out_specs=out_spec, axis_names={"a"},
        )(x)  # fmt: skip

    x = put(SQUARE, *spec)
    assert shown(f, x) == [wanted]
    assert seen[0] == inside
    whole = Mesh(mesh.devices[:, 0], ("a",))
    with cv.set_mesh(None):
        expected = cv.shard_map(body, mesh=whole, in_specs=P("a"), out_specs=out_spec)(SQUARE)
    onp.testing.assert_allclose(f(x), expected, rtol=1e-5, atol=1e-6)
    grads = cv.jit(cv.grad(lambda x: (f(x) ** 2).sum()))(x)
    assert cv.typeof(grads).str_short() == cv.typeof(x).str_short()
    with cv.set_mesh(None):
        expected = cv.grad(
            lambda x: (cv.shard_map(body, mesh=whole, in_specs=P("a"), out_specs=out_spec)(x) ** 2)
            .sum()
        )(SQUARE)  # fmt: skip
    onp.testing.assert_allclose(grads, expected, rtol=1e-5, atol=1e-6)


def test_along_some_axes_the_compiler_keeps_the_others():
    auto = cv.make_mesh((4, 2), ("a", "b"), (AxisType.Auto,) * 2)
    for spec in (P("a", "b"), P(("a", "b"))):
        x = cv.device_put(SQUARE, NamedSharding(auto, spec))
        f = cv.shard_map(lambda v: v * 2, mesh=auto, in_specs=P("a"), out_specs=P("a"),
                         axis_names={"a"})  # fmt: skip
        out = cv.jit(f)(x)
        assert out.sharding.spec == spec
        onp.testing.assert_array_equal(out, SQUARE * 2)
    with cv.set_mesh(auto):
        f = cv.shard_map(lambda v: lax.with_sharding_constraint(v, P(None, "b")), in_specs=P("a"),
                         out_specs=P("a"), axis_names={"a"})  # fmt: skip
        assert cv.jit(f)(SQUARE).sharding.spec == P("a", "b")


def test_one_axis_in_another():
    seen = []

    def inner(v):
        seen.append(cv.typeof(v).str_short())
        return v * 2

    def outer(v):
        seen.append(cv.typeof(v).str_short())
        return cv.shard_map(
            inner, in_specs=P(None, "b"), out_specs=P(None, "b"), axis_names={"b"}
        )(v)  # fmt: skip

    f = cv.shard_map(outer, in_specs=P("a"), out_specs=P("a"), axis_names={"a"})
    x = put(SQUARE, "a", "b")
    assert shown(f, x) == ["float32[8@a,8@b]"]
    assert seen == ["float32[2,8@b]{V:a}", "float32[2,4]{V:(a,b)}"]
    onp.testing.assert_array_equal(f(x), SQUARE * 2)


def test_vmap_of_shard_map():
    f = cv.vmap(cv.shard_map(lambda v: v * 2, in_specs=P("b"), out_specs=P("b")))
    x = reshard(np.ones((4, 8, 8)), P("a", "b"))
    assert shown(f, x) == ["float32[4@a,8@b,8]"]
    assert shown(cv.jit(cv.vmap(cv.shard_map(lambda v: v, in_specs=P("a"), out_specs=P("a")))),
                 reshard(np.ones((3, 8, 8)), P(None, "a"))) == ["float32[3,8@a,8]"]  # fmt: skip


# --- spmd_axis_name ---


def test_mapped_axes_are_split_where_values_are_laid_out():
    auto = cv.make_mesh((4, 2), ("a", "b"), (AxisType.Auto,) * 2)

    def laid(spec):
        return lambda r: lax.with_sharding_constraint(r, spec)

    with cv.set_mesh(auto):
        for f, spec in (
            (cv.vmap(laid(P("b")), spmd_axis_name="a"), P("a", "b")),
            (cv.vmap(laid(P("b"))), P(None, "b")),
            (cv.vmap(laid(P()), spmd_axis_name=("a", "b")), P(("a", "b"))),
            (cv.vmap(cv.jit(laid(P("b"))), spmd_axis_name="a"), P("a", "b")),
            (cv.vmap(cv.checkpoint(laid(P("b"))), spmd_axis_name="a"), P("a", "b")),
            (cv.vmap(cv.shard_map(lambda r: r * 2, in_specs=P("b"), out_specs=P("b")),
                     spmd_axis_name="a"), P("a", "b")),
        ):  # fmt: skip
            assert cv.jit(f)(A).sharding.spec == spec
        both = cv.vmap(cv.vmap(laid(P()), spmd_axis_name="b"), spmd_axis_name="a")
        assert cv.jit(both)(A.reshape(8, 2, 2)).sharding.spec == P("a", "b")
        refuses(ValueError, "split over the mesh's 'a'", cv.vmap(laid(P("a")), spmd_axis_name="a"),
                A)  # fmt: skip
        on_b = cv.shard_map(lambda r: r * 2, in_specs=P("b"), out_specs=P("b"))
        refuses(ValueError, "split over the mesh's 'b'", cv.vmap(on_b, spmd_axis_name="b"), A)
        named = cv.vmap(lambda r: lax.psum(laid(P("b"))(r), "i"), axis_name="i", spmd_axis_name="a")
        onp.testing.assert_allclose(named(A)[0], A.sum(0), rtol=1e-4, atol=1e-6)


def test_types_say_over_which_axes_a_mapped_axis_is_split():
    x = put(A, "a", "b")
    assert shown(cv.vmap(lambda r: r * 2, spmd_axis_name="a"), x) == ["float32[8@a,4@b]"]
    refuses(ValueError, "spmd_axis_name=('b',)", cv.vmap(lambda r: r, spmd_axis_name="b"), x)


# --- what others refuse ---


def test_values_that_are_closed_over(mesh):
    x = put(SQUARE, "a", None)
    wanted = SQUARE + SQUARE.sum()
    f = cv.shard_map(lambda v: v + x.sum(), in_specs=P("a"), out_specs=P("a"))
    assert shown(f, x) == ["float32[8@a,8]"]
    onp.testing.assert_allclose(f(x), wanted, rtol=1e-5, atol=1e-5)
    h = cv.shard_map(lambda v: lax.cond(lax.psum(v.sum(), "a") > 0, lambda: x, lambda: x * 2),
                     in_specs=P("a"), out_specs=P(None, "a"), check_vma=False)  # fmt: skip
    assert cv.jit(h)(x).shape == (8, 32)
    g = auto_axes(lambda v: v + x.sum(), out_sharding=P("a"))
    assert shown(g, x) == ["float32[8@a,8]"]
    onp.testing.assert_allclose(g(x), wanted, rtol=1e-5, atol=1e-5)


def test_blocks_that_grow():
    x = put(SQUARE, "a", None)
    for f in (lambda x: np.repeat(x, 2, axis=0), lambda x: x.reshape(16, 4)):
        assert shown(f, x)[0].startswith("float32[16@a,")
        same(f, x)


# --- programs of ours that loop ---

KEY = cv.random.key(0)


@pytest.mark.parametrize(
    "f",
    [
        lambda x: cv.random.gamma(KEY, x), lambda x: cv.random.loggamma(KEY, x),
        lambda x: cv.random.beta(KEY, x, 2.0), lambda x: cv.random.poisson(KEY, x),
        lambda x: cv.random.poisson(KEY, 40 * x), lambda x: cv.random.binomial(KEY, 10.0, x / 4),
        lambda x: cv.random.binomial(KEY, 100 * x, 0.3), lambda x: np.gcd(x.astype(int), 6),
    ],
)  # fmt: skip
def test_random_numbers_lie_as_their_parameters(f):
    x = put(A**2 + 1, "a", "b")
    assert shown(f, x)[0].partition("[")[2] == "8@a,4@b]"
    same(f, x)


def test_derivatives_of_random_numbers():
    f = lambda x: cv.random.gamma(KEY, x).sum()  # noqa: E731
    x = put(A**2 + 1, "a", "b")
    assert shown(cv.grad(f), x) == ["float32[8@a,4@b]"]
    same(cv.grad(f), x)


# --- types without arrays ---


def test_types_are_those_of_the_structs_that_stand_for_arrays(mesh):
    rows = cv.ShapeDtypeStruct((8, 4), "float32", sharding=NamedSharding(mesh, P("a", None)))
    assert cv.ShapeDtypeStruct((8, 4), "float32", sharding=P("a", None)) == rows
    seen = []
    f = cv.jit(lambda x: seen.append(cv.typeof(x).str_short()) or x.T)
    for found in (cv.eval_shape(f, rows), f.eval_shape(rows), f.lower(rows).out_info):
        assert found.sharding.spec == P(None, "a") and found.shape == (4, 8)
    cv.make_jaxpr(f)(rows)
    assert set(seen) == {"float32[8@a,4]"}
    assert cv.eval_shape(f, put(A, "a")).sharding.spec == P(None, "a")
    with pytest.raises(ShardingTypeError, match="split over the mesh's 'a'"):
        cv.jit(lambda x: x @ x.T).lower(rows)
    compiled = cv.jit(lambda x: x * 2).lower(rows).compile()
    out = compiled(put(A, "a"))
    assert out.sharding.spec == P("a", None)
    onp.testing.assert_array_equal(out, 2 * A)
    made = cv.tree.map(lambda s: np.zeros(s.shape, out_sharding=s.sharding), cv.eval_shape(f, rows))
    assert cv.typeof(made).str_short() == "float32[4,8@a]"


def test_types_have_a_part_for_each_dimension():
    for x in (np.zeros((8, 4)), reshard(A, P()), put(A, "a")):
        assert len(cv.typeof(x).sharding.spec) == 2


# --- what picks elements, and functions of the host ---


def window(x):
    return lax.reduce_window(x, -onp.inf, lax.max, (1, 2), (1, 2), "VALID")


@pytest.mark.parametrize(
    "f",
    [
        window, cv.vmap(lambda x: window(x[None])[0]), cv.checkpoint(window),
        lambda x: lax.reduce_window(x, onp.inf, lax.min, (1, 3), (1, 1), "SAME"),
    ],
)  # fmt: skip
def test_derivatives_of_maxima_over_windows(f):
    gradient = cv.grad(lambda x: (f(x) ** 2).sum())
    x = put(A, "a")
    assert shown(gradient, x) == ["float32[8@a,4]"]
    same(gradient, x)
    onp.testing.assert_allclose(gradient(x), cv.jit(gradient)(x))
    second = cv.grad(lambda x: (gradient(x) ** 2).sum())
    assert shown(second, x) == ["float32[8@a,4]"]
    same(second, x)


def test_rows_of_an_array_that_is_split():
    x = put(A, "a")
    onp.testing.assert_array_equal(onp.stack(list(x)), A)
    first, *_ = x
    onp.testing.assert_array_equal(first, A[0])


def test_functions_of_the_host():
    out = cv.ShapeDtypeStruct((8, 4), "float32")
    f = lambda x: cv.pure_callback(onp.sin, out, x)  # noqa: E731
    g = lambda x: cv.experimental.io_callback(onp.sin, out, x)  # noqa: E731
    x = put(A, "a")
    for call in (f, g):
        assert shown(call, x) == ["float32[8,4]"]
        onp.testing.assert_allclose(cv.jit(call)(x), onp.sin(A), rtol=1e-6)
        onp.testing.assert_allclose(call(x), onp.sin(A), rtol=1e-6)


def test_no_dimension_is_left_open():
    with pytest.raises(ValueError, match="leaves a dimension to the compiler"):
        reshard(A, P(P.UNCONSTRAINED))
