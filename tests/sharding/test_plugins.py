"""Several devices of a plugin: XLA partitions what is sharded, and computes the same."""

import re
import warnings
import zlib

import numpy as onp
import pytest

import covector as cv
import covector.numpy as np
from covector import export, lax
from covector.core import backend
from covector.experimental.serialize_executable import deserialize_and_load, serialize
from covector.sharding import AxisType, NamedSharding
from covector.sharding import PartitionSpec as P
from tests.sharding import tables

A = onp.arange(32.0, dtype="float32").reshape(8, 4)


@pytest.fixture(scope="module")
def mesh():
    devices = cv.devices("xla_cpu")
    assert len(devices) >= 4
    return cv.make_mesh((2, 2), ("x", "y"), (AxisType.Auto,) * 2, devices=devices)


def put(x, mesh, spec):
    return cv.device_put(x, NamedSharding(mesh, spec))


@pytest.mark.parametrize("spec", [P(), P("x"), P(None, "y"), P("y", "x"), P(("x", "y"))])
def test_arrays_have_a_part_on_each_device(mesh, spec):
    x = put(A, mesh, spec)
    onp.testing.assert_array_equal(x, A)
    assert not x._on_host
    for shard in x.addressable_shards:
        assert shard.data.device == shard.device
        onp.testing.assert_array_equal(shard.data, A[shard.index])
    y = put(x, mesh, P("x", "y"))
    onp.testing.assert_array_equal(y, A)
    onp.testing.assert_array_equal(cv.device_put(y, cv.devices("cpu")[0]), A)
    with cv.enable_x64():
        onp.testing.assert_array_equal(put(A.astype("float64"), mesh, spec), A)
    half = np.asarray(A).astype("bfloat16")
    assert put(half, mesh, spec).addressable_shards[0].data.dtype == half.dtype
    keys = put(cv.random.split(cv.random.key(1), 4), mesh, P("x"))
    expected = cv.random.key_data(cv.random.split(cv.random.key(1), 4))
    onp.testing.assert_array_equal(onp.asarray(cv.random.key_data(keys)), expected)


def test_guards_see_parts_that_come_to_the_host(mesh):
    x = put(A, mesh, P("x", "y"))
    with cv.transfer_guard_device_to_host("disallow"):
        with pytest.raises(
            RuntimeError, match=r"device to the host: float32\[8, 4\], spread over 4"
        ):
            onp.asarray(x)
        onp.testing.assert_array_equal(cv.device_get(x), A)
    with cv.transfer_guard_device_to_host("disallow_explicit"):
        with pytest.raises(RuntimeError, match="from a device to the host"):
            cv.device_get(put(A, mesh, P("x", "y")))


def test_waiting_for_all_parts(mesh):
    x = put(onp.ones((512, 512), "float32"), mesh, P("x", "y"))
    y = cv.jit(lambda x: lax.fori_loop(0, 10, lambda _, y: np.sin(y) + x, x))(x)
    assert y.block_until_ready() is y and y.is_ready()
    large = np.ones((1 << 50,), device=NamedSharding(mesh, P("x")))
    with pytest.raises(RuntimeError, match="RESOURCE_EXHAUSTED"):
        large.block_until_ready()


def test_programs_are_partitioned(mesh):
    x = put(A, mesh, P("x", "y"))
    f = cv.jit(lambda x: np.sin(x) @ x.T)
    y = f(x)
    onp.testing.assert_allclose(y, onp.sin(A) @ A.T, rtol=1e-5, atol=1e-5)
    assert y.sharding.spec == P("x")
    assert y.addressable_shards[0].data.shape == (4, 8)
    onp.testing.assert_allclose(f(x), y)  # a second call
    text = f.lower(x).as_text()
    assert 'sdy.mesh @mesh = <["x"=2, "y"=2]>' in text
    assert '#sdy.sharding<@mesh, [{"x"}, {"y"}]>' in text
    assert "mhlo.num_partitions = 4" in text
    compiled = f.lower(x).compile()
    assert compiled.output_shardings == y.sharding
    onp.testing.assert_allclose(compiled(x), y)
    onp.testing.assert_array_equal(x[2:4], A[2:4])
    onp.testing.assert_array_equal(x + put(A, mesh, P("y")), 2 * A)


def test_constraints_donation_and_constants(mesh):
    s = NamedSharding(mesh, P("y"))
    f = cv.jit(lambda x: lax.with_sharding_constraint(x * 2, s) + 1)
    assert "sdy.sharding_constraint" in f.lower(put(A, mesh, P("x"))).as_text()
    onp.testing.assert_array_equal(f(put(A, mesh, P("x"))), 2 * A + 1)
    x = put(A, mesh, P("x"))
    g = cv.jit(lambda x: x + 1, donate_argnums=0)
    onp.testing.assert_array_equal(g(x), A + 1)
    assert x.is_deleted()
    y = put(A, mesh, P("x", "y"))
    moved = cv.jit(lambda a: a.T.reshape(8, 4) + 1, donate_argnums=0)
    onp.testing.assert_array_equal(moved(y), A.T.reshape(8, 4) + 1)
    table = np.asarray(onp.arange(100.0, dtype="float32"))
    h = cv.jit(lambda x: x.sum() + table.sum())
    assert float(h(put(A, mesh, P("x")))) == A.sum() + 4950
    out = cv.jit(lambda x: x * 3, in_shardings=s, out_shardings=NamedSharding(mesh, P(None, "x")))
    assert out(A).sharding.spec == P(None, "x")
    onp.testing.assert_array_equal(out(A), 3 * A)


def test_shard_map_and_pmap(mesh):
    f = cv.shard_map(
        lambda a: lax.ppermute(a, "x", [(0, 1), (1, 0)]) + lax.psum(a.sum(), ("x", "y")),
        mesh=mesh, in_specs=P("x", "y"), out_specs=P("x", "y"),
    )  # fmt: skip
    expected = onp.roll(A, 4, 0) + A.sum()
    onp.testing.assert_allclose(f(A), expected)
    onp.testing.assert_allclose(cv.jit(f)(put(A, mesh, P("x", "y"))), expected)
    g = cv.pmap(lambda x: x / lax.psum(x, "i"), "i", devices=cv.devices("xla_cpu")[:4])
    onp.testing.assert_allclose(g(A[0]), A[0] / A[0].sum(), rtol=1e-6)
    loss = lambda w, x: lax.pmean(((x * w) ** 2).mean(), ("x", "y"))  # noqa: E731
    h = cv.shard_map(cv.grad(loss), mesh=mesh, in_specs=(P(), P("x", "y")), out_specs=P())
    onp.testing.assert_allclose(h(2.0, A), 4 * (A**2).mean(), rtol=1e-5)


def test_parts_of_meshes_types_and_exported_functions(mesh):
    x = put(A, mesh, P("x", "y"))
    f = cv.shard_map(lambda a: a - lax.pmean(a, "x"), mesh=mesh, in_specs=P("x"), out_specs=P("x"),
                     axis_names={"x"})  # fmt: skip
    expected = A - onp.tile(A.reshape(2, 4, 4).mean(0), (2, 1))
    for g in (f, cv.jit(f)):
        out = g(x)
        assert out.sharding.spec == P("x", "y")
        onp.testing.assert_allclose(out, expected)
    explicit = mesh.update(axis_types=(AxisType.Explicit,) * 2)
    with cv.set_mesh(explicit):
        y = put(A, explicit, P("x", "y"))
        out = cv.jit(cv.vmap(lambda r: lax.scan(lambda c, _: (c * 2, c), r, None, length=3)[0]))(y)
        assert cv.typeof(out).str_short() == "float32[8@x,4@y]"
        onp.testing.assert_allclose(out, A * 8)
        out = cv.jit(cv.shard_map(lambda a: a - lax.pmean(a, "x"), in_specs=P("x"),
                                  out_specs=P("x"), axis_names={"x"}))(y)  # fmt: skip
        assert cv.typeof(out).str_short() == "float32[8@x,4@y]"
        onp.testing.assert_allclose(out, expected)
        for h in (lambda x: x.reshape(32), lambda x: x[::-1], lambda x: np.fft.fft(x).real):
            onp.testing.assert_allclose(cv.jit(h)(y), h(onp.asarray(A)), atol=1e-4)
    double = cv.jit(lambda x: x * 2, in_shardings=NamedSharding(mesh, P("x")))
    exported = export.export(double, platforms=["cpu"])(cv.ShapeDtypeStruct((8, 4), "float32"))
    e = export.deserialize(exported.serialize())
    assert e.nr_devices == 4
    check = export.DisabledSafetyCheck.platform()
    e = export.export(double, disabled_checks=[check])(cv.ShapeDtypeStruct((8, 4), "float32"))
    out = e.call(x)
    assert out.sharding.mesh.devices.flat[0].platform == mesh.devices.flat[0].platform
    onp.testing.assert_array_equal(out, 2 * A)


def test_bad_input(mesh):
    x = put(A, mesh, P("x"))
    other = cv.device_put(A, cv.devices("xla_cpu")[1])
    with pytest.raises(ValueError, match="committed to different devices"):
        x + other
    with pytest.raises(NotImplementedError, match=re.escape("calls Python")):
        cv.jit(lambda x: cv.pure_callback(lambda x: x, x, x))(x)


@pytest.mark.parametrize("platform", ["cpu", "xla_cpu"])
@pytest.mark.parametrize("axis_type", [AxisType.Auto, AxisType.Explicit])
def test_serialized_programs(platform, axis_type):
    devices = cv.devices(platform)[:4]
    mesh = cv.make_mesh((2, 2), ("x", "y"), (axis_type,) * 2, devices=devices)
    b = onp.arange(6, dtype="float32")
    x, y = put(A, mesh, P("x")), put(onp.ones((4, 6), "float32"), mesh, P(None, "y"))
    compiled = cv.jit(lambda x, y: (x @ y + b, x.sum())).lower(x, y).compile()
    data, *trees = serialize(compiled)
    loaded = deserialize_and_load(data, *trees)
    assert loaded.input_shardings == compiled.input_shardings
    assert loaded.output_shardings == compiled.output_shardings
    out = loaded(x, y)
    onp.testing.assert_array_equal(out[0], A @ onp.ones((4, 6)) + b)
    assert [o.sharding for o in out] == list(compiled.output_shardings)
    turned = devices[::-1]
    moved = deserialize_and_load(data, *trees, execution_devices=turned)
    out = moved(A, onp.ones((4, 6), "float32"))
    assert out[0].sharding.devices == tuple(turned)
    onp.testing.assert_array_equal(out[0], A @ onp.ones((4, 6)) + b)
    onp.testing.assert_array_equal(out[1], A.sum())
    assert serialize(loaded)[0] == data
    with pytest.raises(ValueError, match="for 4 devices, and execution_devices has 1"):
        deserialize_and_load(data, *trees, execution_devices=devices[:1])


# --- the property tables, on eight devices ------------------------------------------------------

SHAPES = [(8,), (4, 2), (2, 4), (2, 2, 2)]
# A program on several devices calls no Python: `test_bad_input` has the error.
CALLBACKS = {"pure_callback", "io_callback", "debug_callback"}
NAMES = [name for name in tables.NAMES if name not in CALLBACKS]
WAYS = [
    *((name, "") for name in NAMES),
    *((name, "batch") for name in NAMES if tables.TABLE[name].batch),
]


@pytest.fixture(scope="module")
def eight_devices_of_the_plugin():
    """A client with eight devices in place of the one that other tests use."""
    options = cv.config.read("pjrt_client_create_options")
    usual = backend.loaded.pop("xla_cpu", None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # to clients that run it comes too late
        cv.config.update("pjrt_client_create_options", {"cpu_device_count": 8})
        devices = cv.devices("xla_cpu")
        cv.config.update("pjrt_client_create_options", options)
    assert len(devices) == 8
    yield devices
    del backend.loaded["xla_cpu"]
    if usual is not None:
        backend.loaded["xla_cpu"] = usual


@pytest.mark.platform
@pytest.mark.parametrize(("name", "way"), WAYS, ids=[" ".join(w).strip() for w in WAYS])
def test_sharded_equals_unsharded(name, way, eight_devices_of_the_plugin):
    case = tables.TABLE[name]
    rng = onp.random.default_rng(zlib.crc32(f"{name} {way}".encode()))
    shape = SHAPES[rng.integers(len(SHAPES))]
    axes = tuple("xyz"[: len(shape)])
    mesh = cv.make_mesh(shape, axes, (AxisType.Auto,) * len(axes),
                        devices=eight_devices_of_the_plugin)  # fmt: skip
    with cv.enable_x64():
        fun, args = tables.batched(name, 8) if way else (case.fun, case.args)
        flat = lambda *args: cv.tree.leaves(fun(*args))  # noqa: E731
        args = [np.asarray(x) for x in args]
        want = cv.jit(flat)(*args)
        ins, outs = (
            [NamedSharding(mesh, s) for s in tables.specs_for(rng, arrays, mesh)]
            for arrays in (args, want)
        )
        given = [cv.device_put(x, s) for x, s in zip(args, ins, strict=True)]
        found = cv.jit(flat, out_shardings=outs)(*given)
    for x, w, s in zip(found, want, outs, strict=True):
        assert x.sharding.is_equivalent_to(s, x.ndim)
        tables.check_equal(x, onp.asarray(w), 1e-6, 1e-9, f"{mesh} {ins} {outs}")
