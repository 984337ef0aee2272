"""`out_sharding`: functions that say how their result is laid out over a mesh."""

import inspect
import re

import numpy as onp
import pytest

import covector as cv
import covector.numpy as np
from covector import lax, ops, random
from covector.nn import initializers
from covector.sharding import AxisType, NamedSharding
from covector.sharding import PartitionSpec as P
from covector.sharding.explicit import ShardingTypeError

A = onp.arange(32.0, dtype="float32").reshape(8, 4) / 7
B = onp.cos(onp.arange(32.0, dtype="float32")).reshape(4, 8)
EIGHT = onp.arange(8, dtype="int32")
IMAGE = onp.arange(8 * 36.0, dtype="float32").reshape(8, 1, 6, 6)
RAGGED = lax.RaggedDotDimensionNumbers((([1], [1]), ([], [])), [0], [0])
KINDS = {"explicit": AxisType.Explicit, "auto": AxisType.Auto}


@pytest.fixture(params=KINDS)
def mesh(request):
    mesh = cv.make_mesh((4, 2), ("x", "y"), (KINDS[request.param],) * 2)
    with cv.set_mesh(mesh):
        yield mesh


@pytest.fixture
def explicit():
    mesh = cv.make_mesh((4, 2), ("x", "y"))
    with cv.set_mesh(mesh):
        yield mesh


def key():
    return random.key(3)


def _shaped(name, *args):
    f = getattr(random, name)
    return lambda a, b, **o: f(key(), *args, (8, 4), **o)


# A function of A, split over x, and of B, whose columns are split over y, whose result has eight
# rows.
NUMPY = {
    "arange": lambda a, b, **o: np.arange(8, **o),
    "array": lambda a, b, **o: np.array(a, **o),
    "asarray": lambda a, b, **o: np.asarray(EIGHT, **o),
    "bincount": lambda a, b, **o: np.bincount(EIGHT, length=8, **o),
    "broadcast_to": lambda a, b, **o: np.broadcast_to(a, (8, 8, 4), **o),
    "dot": lambda a, b, **o: np.dot(a, b, **o),
    "einsum": lambda a, b, **o: np.einsum("ij,jk->ik", a, b, **o),
    "empty": lambda a, b, **o: np.empty((8, 3), **o),
    "full": lambda a, b, **o: np.full((8, 3), 2.5, **o),
    "full_like": lambda a, b, **o: np.full_like(a, 2.5, **o),
    "matmul": lambda a, b, **o: np.matmul(a, b, **o),
    "ones": lambda a, b, **o: np.ones((8, 3), **o),
    "ones_like": lambda a, b, **o: np.ones_like(b.T, **o),
    "percentile": lambda a, b, **o: np.percentile(b, 30.0, axis=0, **o),
    "ravel": lambda a, b, **o: np.ravel(a, **o),
    "repeat": lambda a, b, **o: np.repeat(a, 2, 0, **o),
    "reshape": lambda a, b, **o: np.reshape(a, (4, 8), **o),
    "tensordot": lambda a, b, **o: np.tensordot(a, b, 1, **o),
    "zeros": lambda a, b, **o: np.zeros((8, 3), **o),
    "zeros_like": lambda a, b, **o: np.zeros_like(a, **o),
}
LAX = {
    "broadcast": lambda a, b, **o: lax.broadcast(b, (8,), **o),
    "broadcast_in_dim": lambda a, b, **o: lax.broadcast_in_dim(b, (8, 4, 8), (1, 2), **o),
    "broadcasted_iota": lambda a, b, **o: lax.broadcasted_iota("int32", (8, 3), 1, **o),
    "conv_general_dilated": lambda a, b, **o: lax.conv_general_dilated(
        IMAGE, IMAGE[:2, :, :3, :3], (1, 1), "SAME", **o
    ),
    "dot": lambda a, b, **o: lax.dot(a, b, **o),
    "dot_general": lambda a, b, **o: lax.dot_general(b, a, (([0], [1]), ([], [])), **o),
    "empty": lambda a, b, **o: lax.empty((8,), "float32", **o),
    "ragged_dot_general": lambda a, b, **o: lax.ragged_dot_general(
        a, np.broadcast_to(B, (2, 4, 8)), onp.array([3, 5], "int32"), RAGGED, **o
    ),
    "reduce": lambda a, b, **o: lax.reduce(b, 0.0, lax.add, [0], **o),
    "reduce_sum": lambda a, b, **o: lax.reduce_sum(a, [1], **o),
    "reshape": lambda a, b, **o: lax.reshape(a, (4, 8), **o),
    "rng_bit_generator": lambda a, b, **o: lax.rng_bit_generator(
        np.arange(4, dtype="uint32"), (8, 3), **o
    )[1],
}
RANDOM = {
    "ball": lambda a, b, **o: random.ball(key(), 3, 2.0, (8,), **o),
    "bernoulli": _shaped("bernoulli", 0.3),
    "beta": _shaped("beta", 2.0, 3.0),
    "bits": _shaped("bits"),
    "categorical": lambda a, b, **o: random.categorical(key(), a, **o),
    "cauchy": _shaped("cauchy"),
    "chisquare": _shaped("chisquare", 3.0),
    "dirichlet": lambda a, b, **o: random.dirichlet(key(), onp.ones(3, "float32"), (8,), **o),
    "exponential": _shaped("exponential"),
    "f": _shaped("f", 2.0, 3.0),
    "gamma": _shaped("gamma", 2.0),
    "generalized_normal": _shaped("generalized_normal", 1.5),
    "geometric": _shaped("geometric", 0.3),
    "gumbel": _shaped("gumbel"),
    "laplace": _shaped("laplace"),
    "loggamma": _shaped("loggamma", 2.0),
    "logistic": _shaped("logistic"),
    "lognormal": _shaped("lognormal", 0.5),
    "maxwell": _shaped("maxwell"),
    "multivariate_normal": lambda a, b, **o: random.multivariate_normal(
        key(), onp.zeros(2, "float32"), onp.eye(2, dtype="float32"), (8,), **o
    ),
    "normal": _shaped("normal"),
    "orthogonal": lambda a, b, **o: random.orthogonal(key(), 3, (8,), **o),
    "pareto": _shaped("pareto", 2.0),
    "permutation": lambda a, b, **o: random.permutation(key(), a, **o),
    "poisson": _shaped("poisson", 2.0),
    "rademacher": _shaped("rademacher"),
    "randint": lambda a, b, **o: random.randint(key(), (8, 3), 0, 9, **o),
    "rayleigh": _shaped("rayleigh", 2.0),
    "t": _shaped("t", 3.0),
    "triangular": _shaped("triangular", 0.0, 0.5, 1.0),
    "truncated_normal": lambda a, b, **o: random.truncated_normal(key(), -1.0, 1.0, (8, 3), **o),
    "uniform": _shaped("uniform"),
    "wald": _shaped("wald", 2.0),
}
OTHERS = {
    "segment_sum": lambda a, b, **o: ops.segment_sum(a, EIGHT, 8, **o),
    "segment_prod": lambda a, b, **o: ops.segment_prod(a, EIGHT, 8, **o),
    "segment_max": lambda a, b, **o: ops.segment_max(a, EIGHT // 2, 8, **o),
    "segment_min": lambda a, b, **o: ops.segment_min(a, EIGHT // 2, 8, **o),
    "linalg.tensordot": lambda a, b, **o: np.linalg.tensordot(a, b, axes=1, **o),
    "x.reshape": lambda a, b, **o: np.asarray(a).reshape(4, 8, **o),
    "x.ravel": lambda a, b, **o: np.asarray(a).ravel(**o),
    "x.flatten": lambda a, b, **o: np.asarray(a).flatten(**o),
    "x.repeat": lambda a, b, **o: np.asarray(a).repeat(2, 0, **o),
    "at.get": lambda a, b, **o: np.asarray(a).at[EIGHT[::-1]].get(**o),
    "at.get fill": lambda a, b, **o: np.asarray(a).at[EIGHT + 2].get(
        mode="fill", fill_value=7.0, wrap_negative_indices=False, **o
    ),
    "at.set": lambda a, b, **o: np.asarray(a).at[1, 2].set(9.0, **o),
    "at.add": lambda a, b, **o: np.asarray(a).at[EIGHT // 2].add(b.T, **o),
    "at.max": lambda a, b, **o: np.asarray(a).at[:4].max(1.0, **o),
    "at.apply": lambda a, b, **o: np.asarray(a).at[2:3].apply(np.sin, **o),
    "lax.full": lambda a, b, **o: lax.full((8, 3), 2, sharding=o.get("out_sharding")),
    "lax.full_like": lambda a, b, **o: lax.full_like(a, 2, sharding=o.get("out_sharding")),
    **{
        f"initializers.{name}": lambda a, b, f=f, **o: f(key(), (8, 4), **o)
        for name, f in {
            "zeros": initializers.zeros, "ones": initializers.ones,
            "constant": initializers.constant(3), "uniform": initializers.uniform(),
            "normal": initializers.normal(), "truncated_normal": initializers.truncated_normal(),
            "glorot_uniform": initializers.glorot_uniform(),
            "he_normal": initializers.he_normal(), "orthogonal": initializers.orthogonal(),
        }.items()
    },
    "initializers.delta_orthogonal": lambda a, b, **o: initializers.delta_orthogonal()(
        key(), (8, 4, 4), **o
    ),
}  # fmt: skip
CASES = {
    **{f"numpy.{k}": f for k, f in NUMPY.items()},
    **{f"lax.{k}": f for k, f in LAX.items()},
    **{f"random.{k}": f for k, f in RANDOM.items()},
    **OTHERS,
}


def _taking(module):
    found = set()
    for name in module.__all__:
        f = getattr(module, name)
        if callable(f) and not isinstance(f, type):
            try:
                parameters = inspect.signature(f).parameters
            except ValueError:
                continue
            if "out_sharding" in parameters:
                found.add(name)
    return found


@pytest.mark.parametrize(("module", "cases"), [(np, NUMPY), (lax, LAX), (random, RANDOM)])
def test_every_function_with_an_out_sharding_is_here(module, cases):
    assert _taking(module) - {"ragged_dot"} == cases.keys()


@pytest.mark.parametrize("jitted", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_the_result_is_laid_out(name, jitted, mesh):
    f = CASES[name]
    a, b = cv.device_put(A, P("x")), cv.device_put(B, P(None, "y"))
    wanted = onp.asarray(f(A, B))
    spec = P("x")
    g = lambda a, b: f(a, b, out_sharding=spec)  # noqa: E731
    out = (cv.jit(g) if jitted else g)(a, b)
    assert out.sharding.is_equivalent_to(NamedSharding(mesh, spec), out.ndim)
    assert out.addressable_shards[0].data.shape == (wanted.shape[0] // 4, *wanted.shape[1:])
    onp.testing.assert_allclose(onp.asarray(out), wanted, rtol=1e-5, atol=1e-6)
    again = g(a, b)
    assert again.sharding.is_equivalent_to(out.sharding, out.ndim)
    if mesh.explicit_axes and not jitted:
        types = []
        cv.jit(lambda a, b: types.append(cv.typeof(g(a, b))))(a, b)
        assert types[0].sharding.spec == P("x", *[None] * (out.ndim - 1))


def test_other_splits_and_shardings_without_a_mesh_that_is_set():
    mesh = cv.make_mesh((4, 2), ("x", "y"), (AxisType.Auto,) * 2)
    for spec in (P("x", "y"), P("y", "x"), P(("x", "y")), P()):
        where = NamedSharding(mesh, spec)
        out = np.matmul(A, B, out_sharding=where)
        assert out.sharding.is_equivalent_to(where, 2)
        onp.testing.assert_allclose(out, A @ B, rtol=1e-5)


def test_what_operands_leave_open_is_said(explicit):
    left, right = cv.device_put(B, P(None, "x")), cv.device_put(A, P("x"))
    with pytest.raises(
        ShardingTypeError, match="with the argument out_sharding of covector.numpy.matmul"
    ):
        np.matmul(left, right)
    out = np.matmul(left, right, out_sharding=P(None, "y"))
    assert out.sharding.spec == P(None, "y")
    onp.testing.assert_allclose(out, B @ A, rtol=1e-5)
    with pytest.raises(ShardingTypeError):
        cv.jit(lambda x: np.matmul(x, right) + 1)(left)


def test_derivatives_lie_as_what_they_are_of(explicit):
    left, right = cv.device_put(B, P(None, "x")), cv.device_put(A, P("x"))

    def loss(left, right):
        return (np.matmul(left, right, out_sharding=P("y")) ** 2).sum()

    wanted = cv.grad(lambda a, b: ((a @ b) ** 2).sum(), (0, 1))(B, A)
    for f in (cv.grad(loss, (0, 1)), cv.jit(cv.grad(loss, (0, 1)))):
        dl, dr = f(left, right)
        assert dl.sharding.spec == P(None, "x")
        assert dr.sharding.spec == P("x", None)
        for found, w in zip((dl, dr), wanted, strict=True):
            onp.testing.assert_allclose(found, w, rtol=1e-4)


@pytest.mark.parametrize(
    "name",
    [
        "numpy.matmul", "numpy.einsum", "numpy.reshape", "numpy.ravel", "numpy.repeat",
        "numpy.broadcast_to", "lax.dot_general", "lax.broadcast", "lax.reduce_sum",
        "lax.reduce", "at.get", "at.set", "at.add", "x.reshape", "segment_sum",
    ],
)  # fmt: skip
@pytest.mark.parametrize("jitted", [False, True])
def test_functions_with_an_out_sharding_have_derivatives(name, jitted, mesh):
    f = CASES[name]

    def loss(a, b, **o):
        return np.sin(f(a, b, **o)).sum()

    a, b = cv.device_put(A, P("x")), cv.device_put(B, P(None, "y"))
    wanted = cv.grad(loss, (0, 1))(A, B)
    g = cv.grad(lambda a, b: loss(a, b, out_sharding=P("x")), (0, 1))
    for found, w, x in zip((cv.jit(g) if jitted else g)(a, b), wanted, (a, b), strict=True):
        onp.testing.assert_allclose(found, w, rtol=1e-4, atol=1e-5)
        if mesh.explicit_axes and onp.any(w):
            assert found.sharding.is_equivalent_to(x.sharding, 2)


def test_derivatives_of_arrays_on_a_mesh_that_is_not_set():
    mesh = cv.make_mesh((4, 2), ("x", "y"))
    left = cv.device_put(B, NamedSharding(mesh, P(None, "x")))
    right = cv.device_put(A, NamedSharding(mesh, P("x")))
    where = NamedSharding(mesh, P("y"))
    found = cv.grad(lambda a: (np.matmul(a, right, out_sharding=where) ** 2).sum())(left)
    wanted = cv.grad(lambda a: ((a @ A) ** 2).sum())(B)
    onp.testing.assert_allclose(found, wanted, rtol=1e-4)
    assert found.sharding.spec == P(None, "x")
    assert cv.grad(lambda a: a.sum())(left).shape == B.shape


def test_under_vmap_the_mapped_dimension_stays_as_it_is(explicit):
    a = cv.device_put(A, P("x"))
    f = cv.vmap(lambda row: np.matmul(row, B, out_sharding=P("y")))
    for g in (f, cv.jit(f)):
        out = g(a)
        assert out.sharding.spec == P("x", "y")
        onp.testing.assert_allclose(out, A @ B, rtol=1e-5)
    # An axis splits one dimension.
    fails(ValueError, "the mapped axis is split over the mesh's 'x'",
          lambda: cv.vmap(lambda row: np.matmul(row, B, out_sharding=P("x")))(a))  # fmt: skip


def test_all_of_several_results(explicit):
    a = cv.device_put(A, P(None, "y"))
    each = lambda x, y: (x[0] + y[0], x[1] * y[1])  # noqa: E731
    total, product = lax.reduce((a, a), (0.0, 1.0), each, [0], out_sharding=P("x"))
    assert total.sharding.spec == product.sharding.spec == P("x")
    onp.testing.assert_allclose(total, A.sum(0), rtol=1e-5)
    onp.testing.assert_allclose(product, A.prod(0), rtol=1e-5)
    words, bits = lax.rng_bit_generator(np.arange(4, dtype="uint32"), (8,), out_sharding=P("x"))
    assert words.sharding.is_fully_replicated
    assert bits.sharding.spec == P("x")


def test_a_constant_on_one_device():
    there = cv.sharding.SingleDeviceSharding(cv.devices()[3])
    assert lax.full((2,), 1.0, sharding=there).device == cv.devices()[3]
    assert lax.full_like(A, 1.0, sharding=there).device == cv.devices()[3]
    with pytest.raises(TypeError, match="sharding must be a sharding or a device, got 'x'"):
        lax.full((2,), 1.0, sharding="x")


def test_dimensions_left_to_the_compiler():
    with cv.set_mesh(cv.make_mesh((4, 2), ("x", "y"), (AxisType.Auto,) * 2)):
        a = cv.device_put(A, P("x"))
        f = cv.jit(lambda a: np.matmul(a, B, out_sharding=P(P.UNCONSTRAINED, "y")))
        assert f(a).sharding.spec == P("x", "y")


def fails(error, text, f):
    with pytest.raises(error, match=re.escape(text)) as info:
        f()
    assert "test_out_sharding.py" in str(info.value)


def test_convolutions_along_what_is_split(explicit):
    x, k = np.ones((8, 4, 8, 8)), np.ones((4, 4, 3, 3))
    with cv.set_mesh(explicit):
        x = cv.reshard(x, P(None, None, "x"))
        f = lambda x, **o: lax.conv_general_dilated(x, k, (1, 1), "SAME", **o)  # noqa: E731
        fails(ShardingTypeError, "out_sharding of lax.conv_general_dilated", lambda: f(x))
        there = P(None, None, "x")
        assert "8@x,8]" in str(cv.typeof(f(x, out_sharding=there)))
        g = cv.grad(lambda x: f(x, out_sharding=there).sum())(x)
        onp.testing.assert_array_equal(g, cv.grad(lambda x: f(x).sum())(onp.asarray(x)))
        by_features = cv.reshard(np.ones((8, 4, 8, 8)), P(None, "y"))
        assert "[8,4,8,8]" in str(cv.typeof(f(by_features)))


def test_errors(explicit):
    where = P("x")
    fails(
        TypeError, "zeros: out_sharding must be a NamedSharding or a PartitionSpec, got 'x'",
        lambda: np.zeros(8, out_sharding="x"),
    )  # fmt: skip
    fails(
        ValueError, "zeros: device and out_sharding both say where",
        lambda: np.zeros(8, device=cv.devices()[0], out_sharding=where),
    )  # fmt: skip
    fails(
        ValueError, "matmul: out_sharding: axis 1 of the array of the shape (8, 7)",
        lambda: np.matmul(A, B[:, :7], out_sharding=P(None, "x")),
    )  # fmt: skip
    fails(
        ValueError, "at[].set: out_sharding: the spec P('x', None, None) is for",
        lambda: np.zeros(8).at[0].set(1, out_sharding=P("x", None, None)),
    )  # fmt: skip
    fails(
        ValueError, "leaves a dimension to the compiler",
        lambda: np.zeros((8, 2), out_sharding=P(P.UNCONSTRAINED)),
    )  # fmt: skip
    fails(
        ValueError, "normal: out_sharding=P('x',) names the axis 'x', along which the function is",
        lambda: cv.shard_map(
            lambda a: random.normal(key(), (8,), out_sharding=where), in_specs=P("x"),
            out_specs=P("x"),
        )(A),
    )  # fmt: skip


def test_a_spec_needs_a_mesh():
    fails(RuntimeError, "ones: out_sharding: the PartitionSpec P('x',) refers to the mesh",
          lambda: np.ones(8, out_sharding=P("x")))  # fmt: skip
