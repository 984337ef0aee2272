"""Sums over devices that are not taken yet: `unreduced` and `reduced` axes."""

import pickle

import numpy as onp
import pytest

import covector as cv
import covector.numpy as np
from covector import lax
from covector.experimental import array_serialization
from covector.sharding import AxisType, NamedSharding
from covector.sharding import PartitionSpec as P
from covector.sharding.explicit import ShardingTypeError

SUM, SHARED = P(unreduced={"x"}), P(reduced={"x"})
R = onp.random.default_rng(3)
A = R.normal(size=(8, 8)).astype("float32")
B = R.normal(size=(8, 8)).astype("float32")
W = (R.normal(size=(8, 8)) / 3).astype("float32")


@pytest.fixture(autouse=True)
def mesh():
    made = cv.make_mesh((4, 2), ("x", "y"))
    with cv.set_mesh(made):
        yield made


def fails(error, text, f, *args):
    with pytest.raises(error) as info:
        f(*args)
    message, _, line = str(info.value).partition("\nThe error arose")
    assert text in message and __file__.rsplit("/", 1)[-1] in line, str(info.value)


def marks(x):
    """What the type says of sums."""
    spec = cv.typeof(x).sharding.spec
    return set(spec.unreduced), set(spec.reduced)


def product():
    """The sum of products of four devices."""
    a, b = cv.device_put(A, P(None, "x")), cv.device_put(B, P("x"))
    return np.einsum("ij,jk->ik", a, b, out_sharding=P(None, None, unreduced={"x"}))


def test_a_product_whose_sum_is_not_taken():
    c = product()
    assert str(cv.typeof(c)) == "ShapedArray(float32[8,8]{U:x})"
    assert c.sharding.spec == P(None, None, unreduced={"x"}) and not c.is_fully_replicated
    terms = [onp.asarray(s.data) for s in c.addressable_shards]
    assert len(terms) == 8 and all(t.shape == (8, 8) for t in terms)
    onp.testing.assert_allclose(sum(terms), 2 * (A @ B), rtol=1e-5, atol=1e-5)  # two along "y"
    onp.testing.assert_allclose(cv.reshard(c, P()), A @ B, rtol=1e-5, atol=1e-5)
    onp.testing.assert_allclose(c, A @ B, rtol=1e-5, atol=1e-5)
    parts = cv.reshard(c, P("x", "y"))
    assert cv.typeof(parts).sharding.spec == P("x", "y")
    onp.testing.assert_allclose(parts, A @ B, rtol=1e-5, atol=1e-5)


# Functions of sums, how marked their results are, and what they compute.
LINEAR = {
    "sum": (lambda c: c + c - c / 2, lambda c: 1.5 * c),
    "scaled": (lambda c: 3 * -c, lambda c: -3 * c),
    "by shared": (lambda c: c * cv.reshard(W, SHARED), lambda c: c * W),
    "by whole": (lambda c: W @ c @ W, lambda c: W @ c @ W),
    "turned": (lambda c: c.T.reshape(4, 16)[::-1], lambda c: c.T.reshape(4, 16)[::-1]),
    "cut": (lambda c: np.pad(c[1:3, ::2], 1), lambda c: onp.pad(c[1:3, ::2], 1)),
    "filled": (
        lambda c: np.pad(c, 1, constant_values=2.0), lambda c: onp.pad(c, 1, constant_values=2.0)
    ),
    "joined": (lambda c: np.stack([c, 2 * c]), lambda c: onp.stack([c, 2 * c])),
    "added": (lambda c: c.sum(0) + np.cumsum(c, 1)[:, 0], lambda c: c.sum(0) + c[:, 0]),
    "chosen": (lambda c: np.where(A > 0, c, 2 * c), lambda c: onp.where(A > 0, c, 2 * c)),
    "indexed": (lambda c: c[np.array([1, 1])], lambda c: c[[1, 1]]),
    "updated": (lambda c: c.at[1].add(c[2]), lambda c: onp.vstack([c[:1], c[1:2] + c[2], c[2:]])),
    "solved": (
        lambda c: lax.linalg.triangular_solve(np.eye(8) * 2, c, left_side=True),
        lambda c: c / 2,
    ),
    "complex": (lambda c: (lax.complex(c, c).conj() * 1j).imag, lambda c: c),
    "narrow": (lambda c: c.astype("bfloat16").astype("float32"), None),
    "kept": (lax.optimization_barrier, lambda c: c),
    "branch": (lambda c: lax.cond(A[0, 0] > 0, lambda c: c, lambda c: -c, c),
               lambda c: c if A[0, 0] > 0 else -c),
    "loop": (lambda c: lax.fori_loop(0, 3, lambda i, s: s + c, c), lambda c: 4 * c),
    "scan": (lambda c: lax.scan(lambda s, row: (s + row, row), c[0], c)[1], lambda c: c),
    "mapped": (lambda c: cv.vmap(lambda row: 2 * row[::-1])(c), lambda c: 2 * c[:, ::-1]),
    "twice": (lambda c: cv.jit(cv.vmap(cv.jit(lambda row: row * 2)))(c), lambda c: 2 * c),
    "checkpoint": (lambda c: cv.checkpoint(lambda c: c * 2)(c), lambda c: 2 * c),
    "zeros": (np.zeros_like, onp.zeros_like),
    "tangent": (lambda c: cv.jvp(lambda x: x @ W, (c,), (2 * c,))[1], lambda c: 2 * c @ W),
}  # fmt: skip


@pytest.mark.parametrize("name", LINEAR)
@pytest.mark.parametrize("how", [cv.jit, lambda f: f], ids=["jit", "each"])
def test_what_is_linear(name, how):
    f, want = LINEAR[name]
    got = how(f)(product())
    assert marks(got) == ({"x"}, set())
    if want is not None:
        onp.testing.assert_allclose(got, want(onp.asarray(product())), rtol=2e-5, atol=1e-5)


WRONG = {
    "cos": (lambda c: np.cos(c), "cos is not linear in it. Take the sum first"),
    "compared": (lambda c: c > 0, "gt is not linear"),
    "largest": (lambda c: c.max(), "reduce_max is not linear"),
    "squared": (lambda c: c * c, "the product of two sums is not the sum of the products"),
    "both": (lambda c: c @ c, "the product of two sums"),
    "divided by": (lambda c: 1 / c, "div is not linear in it"),
    "rounded": (lambda c: c.astype(int), "convert_element_type is not linear"),
    "plus one": (lambda c: c + 1, "what is beside it is no such sum"),
    "plus whole": (lambda c: c + cv.reshard(A, P()), "what is beside it is no such sum"),
    "other axis": (lambda c: c + cv.reshard(A, P(unreduced={"y"})), "is no such sum"),
    "split": (lambda c: c * cv.reshard(A, P("x")), "has another value on each device there"),
    "carry": (lambda c: lax.scan(lambda s, _: (s + c, None), np.zeros((8, 8)), None, 3), "no such"),
    "taken carry": (
        lambda c: lax.scan(lambda s, _: (cv.reshard(s, P()), None), c, None, 3),
        "sums over other axes",
    ),
    "branches": (
        cv.jit(lambda c: lax.cond(c.shape[0] > 0, lambda c: c, lambda c: cv.reshard(c, P()), c)),
        "float32[8,8]{U:x}",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_is_not(name):
    f, text = WRONG[name]
    fails((ShardingTypeError, TypeError), text, f, product())


def shared():
    return cv.reshard(W, SHARED)


def batch():
    return cv.device_put(A, P("x"))


# Losses of shared weights and a batch that is split.
LOSSES = {
    "product": lambda w, x: (np.tanh(x @ w) ** 2).sum(),
    "elements": lambda w, x: (w * x).sum(),
    "number": lambda w, x: (w[0, 0] * x).sum(),
    "whole": lambda w, x: (w @ w * x).sum() + (w**2).sum(),
    "rows": lambda w, x: (np.where(w > 0, w, 0.5)[:, ::-1] * x).sum(),
    "softmax": lambda w, x: (cv.nn.softmax(w) * x).sum(),
    "sorted": lambda w, x: (np.sort(w, 1) * x).sum(),
    "indexed": lambda w, x: (w[np.array([1, 0, 1, 2, 3, 4, 5, 5])] * x).sum(),
    "updated": lambda w, x: (w.at[0].set(2 * w[1]) * x).sum(),
    "layers": lambda w, x: lax.scan(lambda c, _: (np.tanh(c @ w), None), x, None, 3)[0].sum(),
    "columns": lambda w, x: lax.scan(lambda c, row: (np.tanh(c * row), None), x, w)[0].sum(),
    "loop": lambda w, x: lax.fori_loop(0, 3, lambda i, c: np.tanh(c @ w), x).sum(),
    "branch": lambda w, x: lax.cond(x.sum() > 0, lambda: x @ w, lambda: x @ (2 * w)).sum(),
    "checkpoint": lambda w, x: cv.checkpoint(lambda w, x: np.tanh(x @ w) @ w)(w, x).sum(),
    "called": lambda w, x: cv.jit(cv.jit(lambda w, x: np.tanh(x @ w)))(w, x).sum(),
    "mapped": lambda w, x: cv.vmap(lambda row: np.tanh(row @ w))(x).sum(),
    "mapped jit": lambda w, x: cv.vmap(cv.jit(lambda row: np.tanh(w @ row)))(x).sum(),
    "inverse": lambda w, x: (x @ np.linalg.inv(w + 3 * np.eye(8))).sum(),
    "norm": lambda w, x: np.linalg.norm(x @ w),
    "one": lambda w, x: (cast(w) * cast(x)).sum(),
    "numbers": lambda w, x: ((w + 1) * (2 - w) * x).sum(),
}  # fmt: skip


def cast(x):
    """A rule of the user's."""
    f = cv.custom_vjp(lambda x: x * x)
    f.defvjp(lambda x: (x * x, x), lambda x, ct: (2 * x * ct,))
    return f(x)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("how", [cv.jit, lambda f: f], ids=["jit", "each"])
def test_derivatives_by_what_is_shared_are_sums(name, how):
    """... that are not taken, of the values that derivatives by replicated weights have."""
    gradient = how(cv.grad(LOSSES[name], (0, 1)))
    of_w, of_x = gradient(shared(), batch())
    assert marks(of_w) == ({"x"}, set()) and marks(of_x) == (set(), set())
    assert cv.typeof(of_x).sharding.spec == P("x", None)
    want_w, want_x = gradient(cv.reshard(W, P()), batch())
    assert marks(want_w) == (set(), set())
    onp.testing.assert_allclose(of_w, want_w, rtol=1e-5, atol=1e-5)
    onp.testing.assert_allclose(of_x, want_x, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["product", "layers", "checkpoint", "called", "softmax"])
def test_second_derivatives(name):
    def norm(w, x):
        g = cv.grad(LOSSES[name])(w, x)
        return (cv.reshard(g, P()) ** 2).sum()

    got = cv.jit(cv.grad(norm))(shared(), batch())
    assert marks(got) == ({"x"}, set())
    want = cv.jit(cv.grad(norm))(cv.reshard(W, P()), batch())
    onp.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-4)


def test_what_is_shared_goes_on_being_it():
    w = shared()
    assert str(cv.typeof(w)) == "ShapedArray(float32[8,8]{R:x})" and w.is_fully_replicated
    for f in (np.cos, lambda w: w + 1, lambda w: 2.5 * w**2 - w, np.zeros_like, lambda w: w @ w,
              cv.vmap(np.sort)):  # fmt: skip
        assert marks(f(w)) == marks(cv.jit(f)(w)) == (set(), {"x"})
    # Beside what is not, it is as any whole array.
    assert marks(w + cv.reshard(A, P())) == (set(), set())
    assert str(cv.typeof(w * batch())) == "ShapedArray(float32[8@x,8])"
    assert marks(cv.jvp(np.sin, (w,), (w,))[1]) == (set(), {"x"})


def test_derivatives_by_numbers():
    """A number beside what is shared has no type, and its derivative is the sum."""
    f = lambda s, w, x: (np.sin(w + s) * x).sum()  # noqa: E731
    for how in (cv.jit, lambda g: g):
        got = how(cv.grad(f, (0, 1)))(0.5, shared(), batch())
        want = how(cv.grad(f, (0, 1)))(0.5, cv.reshard(W, P()), batch())
        assert marks(got[1]) == ({"x"}, set())
        for a, b in zip(got, want, strict=True):
            onp.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


def test_derivatives_by_sums_are_shared():
    c = product()
    f = lambda c: (cv.reshard(2 * c, P()) ** 2).sum()  # noqa: E731
    got = cv.grad(f)(c)
    assert marks(got) == marks(cv.jit(cv.grad(f))(c)) == (set(), {"x"})
    onp.testing.assert_allclose(got, 8 * onp.asarray(c), rtol=1e-5)


def test_the_sum_is_taken_once():
    """The program of the derivative by weights that are used twice has one sum."""

    def loss(w, x1, x2):
        w = cv.reshard(w, P(None, None, reduced={"x"}))
        return (x1 @ w).sum() + (x2 @ w).sum()

    text = str(cv.jit(cv.grad(loss)).trace(cv.reshard(W, P()), batch(), batch()).jaxpr)
    assert text.count("dot_general") == 4 and text.count("{U:x} = dot_general") == 2
    assert "{U:x} = add_any" in text and text.count("f32[8,8] = reshard") == 1


def test_a_step_of_training():
    """Derivatives of parts of a batch, added up, and summed over devices at the end."""

    def predict(ws, x):
        return lax.scan(lambda x, w: (np.tanh(x @ w), None), x, ws)[0]

    def loss(ws, x):
        return (predict(ws, x) ** 2).sum()

    @cv.jit
    def step(ws, xs):
        def one(total, x):
            g = cv.grad(loss)(ws, x)
            assert cv.typeof(g).sharding.spec.unreduced == {"x"}
            return total + g, None

        total = cv.reshard(np.zeros_like(ws), SUM)
        total, _ = lax.scan(one, total, xs)
        return cv.reshard(ws, P()) - 0.01 * cv.reshard(total, P())

    ws = onp.stack([W] * 3)
    xs = R.normal(size=(5, 8, 8)).astype("float32")
    got = step(cv.device_put(ws, SHARED), cv.device_put(xs, P(None, "x")))
    assert marks(got) == (set(), set())
    want = ws - 0.01 * sum(onp.asarray(cv.grad(loss)(ws, x)) for x in xs)
    onp.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)


# --- in shard_map ------------------------------------------------------------------------------


def on(f, ins, out, **options):
    return cv.shard_map(f, in_specs=ins, out_specs=out, axis_names={"x"}, **options)


def test_terms_of_devices():
    """What varies is the term of each device; `psum` takes the sum."""
    seen = []

    def f(a, b):
        c = lax.pcast(a @ b, "x", to="unreduced")
        seen.append((str(cv.typeof(c)), str(cv.typeof(lax.psum(c, "x")))))
        return c, lax.psum(c, "x"), lax.psum_scatter(c, "x", tiled=True), a @ b

    a, b = cv.device_put(A, P(None, "x")), cv.device_put(B, P("x"))
    outs = on(f, (P(None, "x"), P("x")), (SUM, P(), P("x"), SUM))(a, b)
    assert seen[0] == ("ShapedArray(float32[8,8]{U:x})", "ShapedArray(float32[8,8])")
    assert [marks(o)[0] for o in outs] == [{"x"}, set(), set(), {"x"}]
    for o in outs:
        onp.testing.assert_allclose(o, A @ B, rtol=1e-5, atol=1e-5)


def test_sums_go_in_and_out():
    c = product()
    f = on(lambda c, w: 2 * c * w, (SUM, SHARED), SUM)
    got = f(c, shared())
    assert marks(got) == ({"x"}, set())
    onp.testing.assert_allclose(got, 2 * onp.asarray(c) * W, rtol=1e-5, atol=1e-6)
    by_types = on(lambda c, w: 2 * c * w, None, SUM)
    onp.testing.assert_array_equal(cv.jit(by_types)(c, shared()), got)
    onp.testing.assert_array_equal(on(lambda c: c, SUM, SUM)(c), c)


MAPPED = {
    "shared": (lambda v, w: np.tanh(v @ w), (P("x"), SHARED), P("x"), (P("x"), P()), None, P("x")),
    "cast": (
        lambda v, w: np.tanh(v @ lax.pcast(w, "x", to="reduced")), (P("x"), P()), P("x"),
        (P("x"), P()), lambda v, w: np.tanh(v @ w), P("x"),
    ),
    "a rule": (
        lambda v, w: cast(np.tanh(v @ w)), (P("x"), SHARED), P("x"), (P("x"), P()), None, P("x"),
    ),
    "terms": (
        lambda v, w: lax.pcast(cast(v @ w).sum(0), "x", to="unreduced"), (P("x"), SHARED),
        SUM, (P("x"), P()), lambda v, w: lax.psum(cast(v @ w).sum(0), "x"), P(),
    ),
    "beside whole": (
        lambda v, w: cast(w * 2) @ np.ones((8, 8)) * v, (P("x"), SHARED), P("x"), (P("x"), P()),
        lambda v, w: (cast(w * 2) @ np.ones((8, 8)) * v), P("x"),
    ),
    "layers": (
        lambda v, w: lax.scan(lambda c, _: (np.tanh(cast(c) @ w), None), v, None, 3)[0],
        (P("x"), SHARED), P("x"), (P("x"), P()), None, P("x"),
    ),
    "gathered": (
        lambda v, w: cast(lax.all_gather(v, "x", tiled=True, to="reduced") @ w)[:2]
        * (1.0 + lax.axis_index("x")),
        (P("x"), SHARED), P("x"), (P("x"), P()),
        lambda v, w: cast(lax.all_gather(v, "x", tiled=True) @ w)[:2] * (1.0 + lax.axis_index("x")),
        P("x"),
    ),
    "gathered for all": (
        lambda v, w: cast(lax.all_gather(v, "x", tiled=True, to="invarying") @ w),
        (P("x"), P()), P(), (P("x"), P()),
        lambda v, w: lax.psum(cast(lax.all_gather(v, "x", tiled=True) @ w), "x") / 4, P(),
    ),
    "inside": (
        lambda v, w: lax.psum(cv.grad(lambda w: cast(v @ w).sum())(w), "x"), (P("x"), SHARED), P(),
        (P("x"), P()), lambda v, w: cv.grad(lambda w: cast(v @ w).sum())(w), P(),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MAPPED)
@pytest.mark.parametrize("how", [cv.jit, lambda f: f], ids=["jit", "each"])
def test_derivatives_along_devices(name, how):
    """Values and derivatives are those of the function in which nothing is shared or a term."""
    f, ins, out, plain_ins, plain, plain_out = MAPPED[name]
    if ins[1] == SHARED and name == "beside whole":
        f = lambda v, w: cast(w * 2)[:2] * v  # noqa: E731
        plain = f

    def value(f, ins, out):
        return lambda v, w: (cv.reshard(on(f, ins, out)(v, w), P()) ** 2).sum()

    w = cv.reshard(W, ins[1])
    got, g = how(cv.value_and_grad(value(f, ins, out), (0, 1)))(batch(), w)
    want, h = how(cv.value_and_grad(value(plain or f, plain_ins, plain_out), (0, 1)))(
        batch(), cv.reshard(W, P())
    )
    onp.testing.assert_allclose(got, want, rtol=1e-5)
    assert marks(g[1]) == (({"x"} if ins[1] == SHARED else set()), set())
    for a, b in zip(g, h, strict=True):
        onp.testing.assert_allclose(a, b, rtol=2e-5, atol=1e-5)


def test_sums_over_the_other_axis():
    """Along one axis the function runs on each device; over the other, types say what is a sum."""

    def f(v):
        c = np.einsum("ij,kj->ik", v, v, out_sharding=P(None, None, unreduced={"y"}))
        return cv.reshard(2 * c, P(None, None))

    mapped = on(f, P("x"), P("x"))
    plain = lambda x: 2 * np.einsum("bij,bkj->bik", *[x.reshape(4, 2, 8)] * 2).reshape(8, 2)  # noqa: E731
    x = cv.device_put(A, P("x", "y"))
    onp.testing.assert_allclose(mapped(x), plain(A), rtol=1e-5)
    loss = lambda f: lambda x: (np.sin(f(x)) ** 2).sum()  # noqa: E731
    want = cv.grad(loss(plain))(cv.reshard(A, P()))
    for how in (cv.jit, lambda g: g):
        got = how(cv.grad(loss(mapped)))(x)
        assert cv.typeof(got).sharding.spec == P("x", "y")
        onp.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-4)


def test_casts_that_there_are_none_of():
    x, w, c = batch(), shared(), product()
    cast_to = lambda to: lambda v: lax.pcast(v, "x", to=to)  # noqa: E731
    for to, ins, arg, text in (
        ("unreduced", P(), cv.reshard(A, P()), "is the same along 'x'; it is cast from varying"),
        ("unreduced", SHARED, w, "is reduced over 'x'; it is cast from varying"),
        ("unreduced", SUM, c, "is a sum over 'x' already"),
        ("reduced", P("x"), x, "varies over 'x'; it is cast from invarying"),
        ("reduced", SUM, c, "is a sum over 'x'; it is cast from invarying values. lax.psum"),
        ("varying", SUM, c, "lax.psum takes the sum"),
        ("invarying", P("x"), x, "it is one of 'varying', 'unreduced', 'reduced'"),
    ):
        fails(ValueError, text, on(cast_to(to), ins, SUM), arg)
    text = "types say nothing of sums over this axis"
    fails(ValueError, text, on(cast_to("unreduced"), P("x"), P("x"), check_vma=False), x)
    fails(ValueError, text, cv.vmap(cast_to("reduced"), axis_name="x"), A)
    gather = lambda to, **k: lambda v: lax.all_gather(v, "x", to=to, **k)  # noqa: E731
    fails(ValueError, "it is one of 'varying', 'invarying'", on(gather("sum"), P("x"), P()), x)
    groups = [[0, 1], [2, 3]]
    grouped = on(gather("reduced", axis_index_groups=groups), P("x"), P())
    fails(ValueError, "what groups gather differs", grouped, x)


def test_specs_and_types_agree():
    x, w, c = batch(), shared(), product()
    same = lambda v: v  # noqa: E731
    fails(ValueError, "does not say that it is a sum over 'x'", on(same, SUM, P()), c)
    fails(ValueError, "and it is the same on all devices", on(same, P(), SUM), cv.reshard(A, P()))
    fails(ValueError, "does not say that it is reduced", on(same, SHARED, P()), w)
    fails(ValueError, "says that it is reduced over 'x'", on(same, P(), SHARED), cv.reshard(A, P()))
    fails(ValueError, "says it in another way", on(same, P(), P()), w)
    fails(ValueError, "says it in another way", on(same, SUM, SUM), w)
    unchecked = on(same, P("x"), SUM, check_vma=False)
    fails(ValueError, "with check_vma=False they do not", unchecked, x)
    fails(ValueError, "along which the function is not run", on(same, P(reduced={"y"}), P()), A)
    taken = "stands where each device has a value of its own. Take it first, with lax.psum"
    fails(ShardingTypeError, taken, on(lambda c, v: c[:2] + v, (SUM, P("x")), P("x")), c, x)
    fails(ShardingTypeError, taken, on(lambda c: lax.pmax(c, "x"), SUM, P()), c)


# --- specs and arrays --------------------------------------------------------------------------


def test_specs(mesh):
    fails(ValueError, "in both unreduced and reduced", lambda: P(unreduced={"x"}, reduced={"x"}))
    fails(ValueError, "'x' splits a dimension, and is in", lambda: P("x", unreduced={"x"}))
    fails(TypeError, "unreduced is a set of names", lambda: P(None, unreduced="x"))
    fails(TypeError, "reduced is a set of names", lambda: P(None, reduced=3))
    auto = cv.make_mesh((4, 2), ("x", "y"), (AxisType.Auto,) * 2)
    fails(ValueError, "is of the type Auto, over which types say nothing", NamedSharding, auto, SUM)
    where = NamedSharding(mesh, SUM)
    assert not where.is_equivalent_to(NamedSharding(mesh, P()), 2)
    assert NamedSharding(mesh, SHARED).is_equivalent_to(NamedSharding(mesh, P()), 2)
    assert pickle.loads(pickle.dumps(P("y", unreduced={"x"}))) == P("y", unreduced={"x"})
    assert cv.sharding.ManualAxisType(unreduced={"x"}).to_ct_mat().reduced == {"x"}
    kind = []
    on(lambda c: kind.append(cv.typeof(c).manual_axis_type) or c, SUM, SUM)(product())
    assert kind[0] == cv.sharding.ManualAxisType(unreduced={"x"})


def test_arrays_of_terms(mesh):
    where = NamedSharding(mesh, P("y", unreduced={"x"}))
    made = cv.make_array_from_callback((4, 2), where, lambda index: onp.ones((2, 2), "float32"))
    onp.testing.assert_array_equal(made, onp.full((4, 2), 4.0))
    parts = [cv.device_put(onp.full((2, 2), k, "float32"), d) for k, d in enumerate(where.devices)]
    made = cv.make_array_from_single_device_arrays((4, 2), where, parts)
    onp.testing.assert_array_equal(made[:2], onp.full((2, 2), 0.0 + 2 + 4 + 6))
    assert marks(cv.device_put(A, SUM)) == ({"x"}, set())
    assert marks(np.zeros((2, 2), out_sharding=SUM)) == ({"x"}, set())
    through = cv.jit(lambda c: c, in_shardings=SUM, out_shardings=SUM)
    assert marks(through(product())) == ({"x"}, set())
    assert marks(cv.jit(lambda c: c, out_shardings=SUM)(A)) == ({"x"}, set())
    f = cv.jit(lambda c: lax.with_sharding_constraint(c, SUM))
    assert marks(f(product())) == ({"x"}, set())
    fails(AssertionError, "asserts the sharding", f, cv.reshard(A, P()))


def test_files(mesh, tmp_path):
    """Checkpoints and exported programs keep what types say."""
    c = product()
    array_serialization.save({"c": c, "w": shared()}, tmp_path / "kept")
    like = {"c": c.sharding, "w": shared().sharding}
    found = array_serialization.load(tmp_path / "kept", like)
    assert marks(found["c"]) == ({"x"}, set()) and marks(found["w"]) == (set(), {"x"})
    onp.testing.assert_array_equal(found["c"], c)
    exported = cv.export.export(cv.jit(lambda c, w: c * w))(c, shared())
    again = cv.export.deserialize(exported.serialize())
    got = again.call(c, shared())
    assert marks(got) == ({"x"}, set())
    onp.testing.assert_allclose(got, onp.asarray(c) * W, rtol=1e-6)
    back = cv.grad(lambda w: cv.reshard(again.call(c, w), P()).sum())(shared())
    onp.testing.assert_allclose(back, onp.asarray(c), rtol=1e-6)
