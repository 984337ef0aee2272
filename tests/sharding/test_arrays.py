"""Meshes, specs, shardings, and arrays that lie on several devices."""

import copy
import pickle

import numpy as onp
import pytest

import covector as cv
import covector.numpy as np
from covector import lax
from covector.sharding import AbstractMesh, AxisType, Mesh, NamedSharding
from covector.sharding import PartitionSpec as P
from covector.sharding.explicit import ShardingTypeError
from covector.sharding.named import DuplicateSpecError, IndivisibleError

AUTO = (AxisType.Auto,) * 2
A = onp.arange(32.0, dtype="float32").reshape(8, 4)


@pytest.fixture
def mesh():
    return cv.make_mesh((4, 2), ("x", "y"), AUTO)


@pytest.fixture
def explicit():
    return cv.make_mesh((4, 2), ("x", "y"))


def fails(error, text, f, *args, **kwargs):
    with pytest.raises(error) as info:
        f(*args, **kwargs)
    # Behind that stands the line of this file, which has the text.
    assert text in str(info.value).split("\nThe error arose")[0], str(info.value)
    assert __file__.rsplit("/", 1)[-1] in str(info.value)


def test_meshes_of_the_same_devices_in_another_order():
    there = Mesh(onp.array(cv.devices()[::-1]), ("x",))
    a = cv.device_put(A, NamedSharding(cv.make_mesh((8,), ("x",), AUTO[:1]), P("x")))
    b = cv.device_put(A + 1, NamedSharding(there, P("x")))
    for f in (lambda a, b: a - b, cv.jit(lambda a, b: a - b)):
        onp.testing.assert_array_equal(f(a, b), onp.full_like(A, -1))
        assert f(a, b).sharding.mesh == a.sharding.mesh
        assert f(b, a).sharding.mesh == there


def test_parts_are_of_one_size_in_compiled_functions_too(mesh):
    f = cv.jit(lambda x: lax.with_sharding_constraint(x, NamedSharding(mesh, P("x"))))
    fails(IndivisibleError, "Pad the axis to a multiple of 4", f, A[:7])


# --- devices ---------------------------------------------------------------------------------


def test_the_cpu_has_as_many_devices_as_the_option_says():
    assert [d.id for d in cv.devices()] == list(range(8))
    assert cv.device_count() == cv.local_device_count() == 8
    x = cv.device_put(A, cv.devices()[3])
    assert x.device == cv.devices()[3]
    assert (x + 1).device == cv.devices()[3]
    fails(
        ValueError, "committed to different devices", lambda: x + cv.device_put(A, cv.devices()[1])
    )
    with cv.default_device(cv.devices()[5]):
        assert np.zeros(3).device == cv.devices()[5]


def test_the_option_is_checked():
    for value in (0, -2, 2.0, True, "8"):
        with pytest.raises(ValueError, match="at least 1"):
            cv.config.update("num_cpu_devices", value)


# --- meshes and specs ------------------------------------------------------------------------


def test_a_mesh_says_its_axes(mesh, explicit):
    assert dict(mesh.shape) == {"x": 4, "y": 2}
    assert mesh.axis_sizes == (4, 2)
    assert mesh.size == 8
    assert mesh.devices.shape == mesh.device_ids.shape == (4, 2)
    assert mesh.are_all_axes_auto
    assert explicit.explicit_axes == ("x", "y")
    assert mesh != explicit
    assert mesh == cv.make_mesh((4, 2), ("x", "y"), AUTO)
    assert hash(mesh) == hash(cv.make_mesh((4, 2), ("x", "y"), AUTO))
    assert mesh.abstract_mesh.update_axis_types({"x": AxisType.Manual}).manual_axes == ("x",)
    assert mesh.update(axis_names=("a", "b")).axis_names == ("a", "b")
    assert not mesh.is_multi_process
    assert mesh.local_mesh is mesh
    assert len(mesh.local_devices) == 8
    assert str(mesh) == "Mesh('x': 4, 'y': 2, axis_types=(Auto, Auto))"
    one = Mesh(onp.array(cv.devices()[:1]), "x")
    assert repr(one) == "Mesh(axis_sizes=(1,), axis_names=('x',), axis_types=(Auto,))"
    for again in (pickle.loads(pickle.dumps(mesh)), copy.deepcopy(mesh)):
        assert again == mesh


def test_bad_meshes_say_what_is_wrong():
    devices = onp.array(cv.devices()[:4]).reshape(2, 2)
    fails(ValueError, "there are 1 names", Mesh, devices, ("x",))
    fails(ValueError, "must differ", Mesh, devices, ("x", "x"))
    fails(ValueError, "a device occurs twice", Mesh, onp.array(cv.devices()[:1] * 2), ("x",))
    fails(TypeError, "takes an array of devices", Mesh, onp.arange(2), ("x",))
    fails(ValueError, "each axis has one", Mesh, devices, ("x", "y"), (AxisType.Auto,))
    fails(TypeError, "members of covector.sharding.AxisType", Mesh, devices, ("x", "y"), "ab")
    fails(ValueError, "COVECTOR_NUM_CPU_DEVICES=16", cv.make_mesh, (16,), ("x",))
    fails(ValueError, "each axis has one of both", cv.make_mesh, (2,), ("x", "y"))
    fails(ValueError, "AbstractMesh has no devices", lambda: AbstractMesh((2,), ("x",)).devices)


def test_specs_have_one_form():
    assert P("x", ("y",), ()) == P("x", "y", None)
    assert P("x") == ("x",)
    assert repr(P("x", None, ("y", "z"))) == "P('x', None, ('y', 'z'))"
    assert repr(P("x")) == "P('x',)"
    assert P("x") + P(None) == P("x", None)
    assert P("x", "y")[1] == "y"
    assert list(P("x", None)) == ["x", None]
    assert P("x", "y").index("y") == 1
    assert P(None, None).count(None) == 2
    assert P("x", unreduced={"y"}) != P("x")
    assert pickle.loads(pickle.dumps(P("x", unreduced={"y"}))) == P("x", unreduced={"y"})
    fails(TypeError, "takes for each dimension", P, [["x"]])
    assert cv.P is P


def test_shardings_say_who_has_what(mesh):
    s = NamedSharding(mesh, P("x", "y"))
    assert s.shard_shape((8, 4)) == (2, 2)
    assert s.device_set == set(cv.devices())
    assert s.num_devices == 8
    assert s.is_fully_addressable
    assert not s.is_fully_replicated
    assert NamedSharding(mesh, P()).is_fully_replicated
    assert NamedSharding(mesh, P("x")).replicated_axes == {"y"}
    where = s.devices_indices_map((8, 4))
    assert where[cv.devices()[3]] == (slice(2, 4), slice(2, 4))
    assert s.addressable_devices_indices_map((8, 4)) == where
    assert s.is_equivalent_to(NamedSharding(mesh, P("x", "y")), 2)
    assert NamedSharding(mesh, P("x")).is_equivalent_to(NamedSharding(mesh, P("x", None)), 2)
    assert not s.is_equivalent_to(NamedSharding(mesh, P("y", "x")), 2)
    assert s.update(spec=P("y")).spec == P("y")
    assert pickle.loads(pickle.dumps(s)) == s


def test_bad_shardings_say_what_is_wrong(mesh):
    fails(ValueError, "it has 'x', 'y'", NamedSharding, mesh, P("z"))
    fails(DuplicateSpecError, "over the axis 'x'", NamedSharding, mesh, P("x", "x"))
    fails(TypeError, "takes a PartitionSpec", NamedSharding, mesh, "x")
    fails(TypeError, "takes a mesh", NamedSharding, "mesh", P())
    s = NamedSharding(mesh, P("x"))
    fails(IndivisibleError, "axis 0 of the array of the shape (7,)", cv.device_put, A[:7, 0], s)
    fails(
        ValueError, "at least 2 dimensions", cv.device_put, A[0], NamedSharding(mesh, P("x", "y"))
    )
    abstract = NamedSharding(AbstractMesh((4, 2), ("x", "y")), P("x"))
    fails(ValueError, "which says no devices", cv.device_put, A, abstract)
    for error in (RuntimeError, ValueError):  # JAX's here and elsewhere
        fails(error, "refers to the mesh that is set, and none is", cv.device_put, A, P("x"))


# --- arrays ----------------------------------------------------------------------------------


SPECS = [P(), P("x"), P(None, "y"), P("x", "y"), P("y", "x"), P(("x", "y")), P(None, ("y",))]


@pytest.mark.parametrize("spec", SPECS)
def test_an_array_is_the_same_wherever_it_lies(mesh, spec):
    s = NamedSharding(mesh, spec)
    x = cv.device_put(A, s)
    assert x.sharding == s
    assert x.committed
    onp.testing.assert_array_equal(x, A)
    shards = x.addressable_shards
    assert [shard.device for shard in shards] == list(mesh.devices.flat)
    for shard in shards:
        assert isinstance(shard, cv.Shard)
        onp.testing.assert_array_equal(shard.data, A[shard.index])
        assert shard.data.device == shard.device
    joined = cv.make_array_from_single_device_arrays(A.shape, s, [shard.data for shard in shards])
    onp.testing.assert_array_equal(joined, A)
    assert joined.sharding == s
    seen = []
    made = cv.make_array_from_callback(A.shape, s, lambda i: seen.append(i) or A[i])
    onp.testing.assert_array_equal(made, A)
    assert len(seen) == len({str(i) for i in seen})
    local = cv.make_array_from_process_local_data(s, A)
    assert local.sharding == s
    onp.testing.assert_array_equal(x.addressable_data(3), shards[3].data)
    assert len(x.global_shards) == 8
    assert sum(shard.replica_id == 0 for shard in shards) == len({str(h.index) for h in shards})


def test_parts_that_are_blocks_share_the_memory(mesh):
    x = cv.device_put(A, NamedSharding(mesh, P("x")))
    first, *_, last = x.addressable_shards
    base = x.unsafe_buffer_pointer()
    assert first.data.unsafe_buffer_pointer() == base
    assert last.data.unsafe_buffer_pointer() == base + 6 * 4 * 4


def test_bad_parts_say_what_is_wrong(mesh):
    s = NamedSharding(mesh, P("x"))
    assert s.memory_kind is None
    fails(ValueError, "has the shape (2,), got one of the shape (3,)",
          cv.make_array_from_callback, (8,), s, lambda i: onp.zeros(3))  # fmt: skip
    zeros = lambda i: onp.zeros(8, "float32")[i]  # noqa: E731
    fails(ValueError, "has the dtype float32, and dtype=float16 was given",
          cv.make_array_from_callback, (8,), s, zeros, "float16")  # fmt: skip
    assert cv.make_array_from_callback((8,), s, zeros, "float32").dtype == "float32"
    assert cv.make_array_from_callback((8,), s, lambda i: onp.zeros(8)[i], float).dtype == "float32"
    assert cv.make_array_from_callback((), cv.NamedSharding(s.mesh, P()), lambda i: 1, "int8") == 1
    parts = [h.data for h in cv.device_put(A, s).addressable_shards]
    fails(ValueError, "7 arrays were given; there is none on CpuDevice(id=7)",
          cv.make_array_from_single_device_arrays, (8, 4), s, parts[:-1])  # fmt: skip
    fails(ValueError, "CpuDevice(id=0) was given 8 times",
          cv.make_array_from_single_device_arrays, (8, 4), s, parts[:1] * 8)  # fmt: skip
    fails(TypeError, "takes arrays, and trees of them; str 'a' is none",
          cv.make_array_from_process_local_data, s, {"b": "a"})  # fmt: skip
    fails(ValueError, "the array of the shape () has 0",
          cv.make_array_from_process_local_data, s, {"b": 1})  # fmt: skip
    fails(ValueError, "each on one device", cv.make_array_from_single_device_arrays, (8, 4), s, [A])
    fails(IndexError, "on 8 devices", cv.device_put(A, s).addressable_data, 8)


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint64", "bfloat16", "complex64"])
def test_all_kinds_of_elements(mesh, dtype):
    with cv.enable_x64():
        x = np.arange(8).astype(dtype)
        y = cv.device_put(x, NamedSharding(mesh, P("x")))
        assert y.dtype == x.dtype
        onp.testing.assert_array_equal(onp.asarray(y[2:4]), onp.asarray(x[2:4]))
    keys = cv.device_put(cv.random.split(cv.random.key(0), 8), NamedSharding(mesh, P("x")))
    assert cv.random.key_data(keys.addressable_shards[2].data).shape == (2, 2)


def test_empty_arrays_and_sizes_of_one(mesh):
    x = cv.device_put(onp.zeros((0, 4), "float32"), NamedSharding(mesh, P("x", "y")))
    assert x.addressable_shards[0].data.shape == (0, 2)
    assert (x + 1).shape == (0, 4)
    small = cv.make_mesh((1, 1), ("x", "y"))
    y = cv.device_put(onp.ones((1, 3), "float32"), NamedSharding(small, P("x", "y")))
    assert (y * 2).sharding.spec == P("x", "y")


def test_trees_of_arrays_and_of_places(mesh):
    out = cv.device_put({"a": A, "b": A[0]}, {"a": NamedSharding(mesh, P("x")), "b": None})
    assert out["a"].sharding.spec == P("x")
    with cv.set_mesh(mesh):
        out = cv.device_put([A, A], [P("x"), P("y")])
    assert [x.sharding.spec for x in out] == [P("x"), P("y")]


# --- programs --------------------------------------------------------------------------------


def test_programs_say_where_their_results_are(mesh):
    x = cv.device_put(A, NamedSharding(mesh, P("x", "y")))
    found = {
        "x + 1": x + 1,
        "x @ x.T": x @ x.T,
        "sum": x.sum(0),
        "max": x.max(1),
        "T": x.T,
        "x[2:4]": x[2:4],
        "softmax": cv.nn.softmax(x, axis=0),
        "jit": cv.jit(lambda x: (np.sin(x) @ np.ones((4, 3)), x[:, 0]))(x)[0],
        "reshape": x.reshape(2, 4, 4),
        "broadcast": np.broadcast_to(x, (3, 8, 4)),
        "concatenate": np.concatenate([x, x], 1),
        "where": np.where(x > 3, x, 0),
        "scan": lax.scan(lambda c, y: (c + y, c * y), x[0], x)[0],
        "grad": cv.grad(lambda x: (np.sin(x) ** 2).sum())(x),
        "vmap": cv.vmap(lambda row: row / row.sum())(x),
    }
    specs = {name: y.sharding.spec for name, y in found.items()}
    assert specs == {
        "x + 1": P("x", "y"), "x @ x.T": P("x"), "sum": P("y"), "max": P("x"), "T": P("y", "x"),
        "x[2:4]": P(None, "y"), "softmax": P("x", "y"), "jit": P("x"),
        "reshape": P(None, None, "y"),
        "broadcast": P(None, "x", "y"), "concatenate": P("x", "y"), "where": P("x", "y"),
        "scan": P("y"), "grad": P("x", "y"), "vmap": P("x", "y"),
    }  # fmt: skip
    for y in found.values():
        y.sharding.shard_shape(y.shape)  # divides


def test_jit_takes_and_gives_what_is_asked(mesh):
    s, t = NamedSharding(mesh, P("x")), NamedSharding(mesh, P("y"))
    f = cv.jit(lambda x, n: {"a": x * n, "b": x.sum()}, in_shardings=(s, None),
               out_shardings={"a": t, "b": NamedSharding(mesh, P())})  # fmt: skip
    out = f(A, 2)
    assert out["a"].sharding == t
    assert out["b"].sharding.is_fully_replicated
    onp.testing.assert_array_equal(out["a"], 2 * A)
    compiled = f.lower(A, 2).compile()
    assert compiled.output_shardings["a"] == t
    assert compiled(A, 2)["a"].sharding == t
    fails(ValueError, "in_shardings asks for", f, cv.device_put(A, t), 2)
    fails(ValueError, "pass 'n' as one", f, A, n=2)
    fails(ValueError, "prefix of", cv.jit(lambda x: x, in_shardings=(s, s)), A)
    fails(IndivisibleError, "of the argument x", cv.jit(lambda x: x, in_shardings=s), A[:7])
    with cv.set_mesh(mesh):
        g = cv.jit(lambda x, k: x * k, in_shardings=P("x"), static_argnums=1)
        assert g(A, 3).sharding.spec == P("x")
    with pytest.raises(ValueError, match="not both"):
        cv.jit(lambda x: x, in_shardings=s, backend="cpu")
    nested = cv.jit(lambda x: cv.jit(lambda y: y + 1, out_shardings=t)(x) * 2)
    assert nested(A).sharding == t
    # A list for results in a list.
    pair = cv.jit(lambda x: [x, x + 1], out_shardings=[s, t])
    assert [x.sharding for x in pair(A)] == [s, t]


def test_results_made_on_the_host_have_shapes_of_their_own(mesh):
    x = cv.device_put(onp.arange(8.0, dtype="f4"), NamedSharding(mesh, P("x")))
    (found,) = np.nonzero(x > 2)
    onp.testing.assert_array_equal(found, [3, 4, 5, 6, 7])
    total = cv.pure_callback(lambda v: onp.sum(v), cv.ShapeDtypeStruct((), "float32"), x)
    assert float(total) == 28.0 and total.sharding.is_fully_replicated
    double = cv.pure_callback(lambda v: 2 * onp.asarray(v), cv.ShapeDtypeStruct((8,), "float32"), x)
    assert double.sharding == x.sharding


def test_constraints(mesh):
    s = NamedSharding(mesh, P("x"))
    f = cv.jit(lambda x: lax.with_sharding_constraint(x * 2, s))
    assert f(A).sharding == s
    g = cv.jit(cv.grad(lambda x: (lax.with_sharding_constraint(x * 2, s) ** 2).sum()))
    onp.testing.assert_array_equal(g(A), 8 * A)
    assert lax.with_sharding_constraint(np.asarray(A), s).sharding == s
    h = cv.vmap(lambda row: lax.with_sharding_constraint(row, NamedSharding(mesh, P("y"))))
    assert h(A).sharding.spec == P(None, "y")
    u = NamedSharding(mesh, P(P.UNCONSTRAINED, "y"))
    x = cv.device_put(A, NamedSharding(mesh, P("x")))
    assert cv.jit(lambda x: lax.with_sharding_constraint(x, u))(x).sharding.spec == P("x", "y")


def test_donated_arrays_are_taken_over(mesh):
    x = cv.device_put(A, NamedSharding(mesh, P("x")))
    x = x + 0
    at = x.unsafe_buffer_pointer()
    y = cv.jit(lambda x: x * 2, donate_argnums=0)(x)
    assert x.is_deleted()
    assert y.unsafe_buffer_pointer() == at
    assert y.sharding.spec == P("x")


def test_a_mesh_that_is_set_is_where_arrays_are(mesh, explicit):
    with cv.set_mesh(explicit) as given:
        assert given == explicit
        assert cv.sharding.get_mesh() == explicit
        assert cv.sharding.get_abstract_mesh() == explicit.abstract_mesh
        assert np.zeros(8).sharding == NamedSharding(explicit, P())
        assert cv.reshard(np.arange(8), P("x")).sharding.spec == P("x")
    assert cv.sharding.get_abstract_mesh().empty
    cv.set_mesh(mesh)
    try:
        assert cv.sharding.get_mesh() == mesh
    finally:
        cv.set_mesh(None)
    with mesh:
        assert cv.device_put(A, P("x")).sharding == NamedSharding(mesh, P("x"))
    fails(TypeError, "takes a Mesh", cv.set_mesh, "x")
    fails(ValueError, "while a function is transformed", cv.jit(lambda: cv.set_mesh(mesh)))


# --- explicit shardings ----------------------------------------------------------------------


def test_types_say_how_arrays_are_split(explicit):
    x = cv.device_put(A, NamedSharding(explicit, P("x", "y")))
    types = {}

    @cv.jit
    def f(x):
        found = {
            "x": x, "sin": np.sin(x) + 1, "sum": x.sum(0), "T": x.T, "row": x.max(1),
            "dot": x @ np.ones((4, 3)), "where": np.where(x > 0, x, 0),
        }  # fmt: skip
        types.update({k: cv.typeof(v).str_short() for k, v in found.items()})
        return found["dot"]

    assert f(x).sharding.spec == P("x", None)
    assert types == {
        "x": "float32[8@x,4@y]", "sin": "float32[8@x,4@y]", "sum": "float32[4@y]",
        "T": "float32[4@y,8@x]", "row": "float32[8@x]", "dot": "float32[8@x,3]",
        "where": "float32[8@x,4@y]",
    }  # fmt: skip
    assert "f32[8@x,4@y]" in str(cv.make_jaxpr(np.sin)(x))
    g = cv.grad(lambda x: (np.sin(x) ** 2).sum())(x)
    assert g.sharding.spec == P("x", "y")


def test_what_types_leave_open_is_an_error(explicit):
    x = cv.device_put(A, NamedSharding(explicit, P("x", "y")))
    z = cv.device_put(A, NamedSharding(explicit, P("y", None)))
    fails(ShardingTypeError, "split differently", lambda: x + z)
    fails(
        ShardingTypeError,
        "makes a dimension of the size 2, which cannot be split over 'x'",
        lambda: x[:2],
    )
    fails(ShardingTypeError, "needs all of dimension 1 of operand 0", lambda: np.sort(x))
    fails(ShardingTypeError, "needs all of dimension 0 of operand 0", lambda: np.cumsum(x, 0))
    with cv.set_mesh(explicit):
        w = cv.reshard(np.ones((4, 8)), P("y", None))
        fails(ShardingTypeError, "is a sum over devices", lambda: x @ w)
        fails(AssertionError, "asserts the sharding", lax.with_sharding_constraint, x, P("y"))
        assert cv.reshard(x, P()).sharding.is_fully_replicated
        assert np.sort(cv.reshard(x, P("x", None))).sharding.spec == P("x", None)
        fails(TypeError, "reshard takes a NamedSharding", cv.reshard, x, cv.devices()[0])


def test_arrays_that_programs_close_over(mesh):
    x = cv.device_put(A, NamedSharding(mesh, P("x", "y")))
    f = cv.jit(lambda y: x + y)
    assert f(np.ones((8, 4))).sharding == x.sharding
    assert cv.jit(lambda: x.sum(0))().sharding.spec == P("y")


def test_programs_and_arguments_on_other_devices(mesh):
    s = NamedSharding(mesh, P("x"))
    there = cv.device_put(A, cv.devices()[0])
    for f in (
        cv.jit(lambda a: a * 2, out_shardings=s),
        cv.jit(lambda a: lax.with_sharding_constraint(a * 2, s)),
        cv.jit(cv.shard_map(lambda a: a, mesh=mesh, in_specs=P("x"), out_specs=P("x"))),
    ):
        with pytest.raises(ValueError, match="committed to other devices"):
            f(there)
    others = cv.make_mesh((4,), ("i",), AUTO[:1], devices=cv.devices()[4:])
    g = cv.shard_map(lambda a: a, mesh=others, in_specs=P("i"), out_specs=P("i"))
    with pytest.raises(ValueError, match="committed to other devices"):
        g(cv.device_put(A, s))
    same = cv.make_mesh((8,), ("i",), AUTO[:1])
    h = cv.jit(lambda a: a * 2, out_shardings=NamedSharding(same, P("i")))
    assert h(cv.device_put(A, s)).sharding.spec == P("i")


def test_updates_lie_as_what_is_updated(mesh):
    x = cv.device_put(A, NamedSharding(mesh, P("x", "y")))
    assert x.at[0].set(1.0).sharding == x[::-1].sharding == x.sharding
    ref = cv.new_ref(x)
    ref[1] = 5.0
    assert ref[...].sharding == x.sharding


def test_parts_have_one_dtype(mesh):
    s = NamedSharding(mesh, P("x"))
    parts = [h.data for h in cv.device_put(A, s).addressable_shards]
    parts[2] = parts[2].astype("int32")
    with pytest.raises(ValueError, match="have one dtype"):
        cv.make_array_from_single_device_arrays(A.shape, s, parts)
    with pytest.raises(ValueError, match="at least 1"):
        cv.make_mesh((0, 2), ("x", "y"))


def test_what_changes_no_value_leaves_arrays_where_they_are(mesh):
    x = cv.device_put(A, NamedSharding(mesh, P("x", "y")))
    v = cv.device_put(A[:, 0], NamedSharding(mesh, P("x")))
    keys = cv.device_put(cv.random.split(cv.random.key(0), 8), NamedSharding(mesh, P("x")))
    named = cv.jit(lambda x: cv.ad_checkpoint.checkpoint_name(x, "x"))(x)
    assert named.sharding.spec == P("x", "y")
    # Operands of different shapes have nothing to do with each other.
    held = cv.jit(lambda *xs: lax.optimization_barrier(xs))(v, x)
    assert [y.sharding.spec for y in held] == [P("x"), P("x", "y")]
    bits = cv.random.key_data(keys)
    assert bits.sharding.spec == P("x")
    assert cv.random.wrap_key_data(bits).sharding.spec == P("x")
    assert lax.bitcast_convert_type(x, "int32").sharding.spec == P("x", "y")
    assert lax.bitcast_convert_type(x, "int8").sharding.spec == P("x", "y")


def test_guards_of_transfers_on_arrays_over_several_devices(eight_devices):
    mesh = cv.make_mesh((4,), ("x",), (cv.sharding.AxisType.Auto,), devices=cv.devices()[:4])
    rows, whole = (cv.NamedSharding(mesh, cv.P(*spec)) for spec in (("x",), ()))
    data = onp.ones(8, "float32")
    x = cv.device_put(data, rows)
    parts = [s.data for s in x.addressable_shards]

    def called():
        return cv.make_array_from_callback((8,), rows, lambda i: data[i])

    def joined():
        return cv.make_array_from_single_device_arrays((8,), rows, parts)

    def local(value=data):
        return cv.make_array_from_process_local_data(rows, value)

    to_device, between = cv.transfer_guard_host_to_device, cv.transfer_guard_device_to_device
    with to_device("disallow"):
        fails(RuntimeError, "a part for CpuDevice(id=0)", called)
        joined(), local(), cv.device_put(data, rows)
    with to_device("disallow_explicit"):
        fails(RuntimeError, "from the host to a device", local)
        fails(RuntimeError, "from the host to a device", cv.device_put, data, rows)
        joined(), local(x)
    # What comes from the host, or is where it is, goes from no device to another.
    with between("disallow_explicit"):
        called(), joined(), local(), cv.device_put(data, rows), local(x)
        cv.lax.with_sharding_constraint(x, whole)
        fails(RuntimeError, "the data of make_array_from_process_local_data", local, np.ones(8))
        fails(RuntimeError, "from one device to another", cv.device_put, x, whole)
        fails(RuntimeError, "from one device to another", cv.device_put, np.ones(8), rows)


def test_arrays_of_parts_of_keys():
    keys = cv.random.split(cv.random.key(0), 8)
    where = NamedSharding(cv.make_mesh((8,), ("x",)), P("x"))
    parts = [cv.device_put(keys[i : i + 1], d) for i, d in enumerate(cv.devices()[:8])]
    for made in (
        cv.make_array_from_callback((8,), where, lambda index: keys[index]),
        cv.make_array_from_single_device_arrays((8,), where, parts),
    ):
        assert made.dtype == keys.dtype and made.sharding == where
        assert (cv.random.key_data(made) == cv.random.key_data(keys)).all()
