"""Exported functions that run on several devices."""

import functools

import numpy as onp
import pytest

import covector as cv
import covector.numpy as np
from covector import export, lax
from covector.sharding import AbstractMesh, AxisType, NamedSharding, reshard
from covector.sharding import PartitionSpec as P

SQUARE = onp.linspace(-1, 1, 64, dtype="float32").reshape(8, 8)
TYPE = cv.ShapeDtypeStruct((8, 8), "float32")


@pytest.fixture
def mesh(eight_devices):
    return cv.make_mesh((4, 2), ("a", "b"), (AxisType.Auto,) * 2)


@pytest.fixture
def explicit(eight_devices):
    return cv.make_mesh((4, 2), ("a", "b"))


def again(exported):
    """It, and what is read from the file that it is written to."""
    return exported, export.deserialize(exported.serialize())


def on(mesh, *spec):
    return NamedSharding(mesh, P(*spec))


def test_shardings_and_devices_are_those_of_the_jit(mesh):
    f = cv.jit(lambda x, y: (x * 2, y), in_shardings=(on(mesh, "a"), None),
               out_shardings=(on(mesh, None, "b"), None))  # fmt: skip
    for e in again(export.export(f)(TYPE, cv.ShapeDtypeStruct((3,), "float32"))):
        assert e.nr_devices == 8
        assert e.in_shardings_jax(mesh) == (on(mesh, "a"), None)
        assert e.out_shardings_jax(mesh) == (on(mesh, None, "b"), None)
        abstract = mesh.abstract_mesh
        assert e.in_shardings_jax(abstract) == (NamedSharding(abstract, P("a")), None)
        assert e.in_shardings_hlo == ("{devices=[4,1,2]<=[8] last_tile_dim_replicate}", None)
        assert e.out_shardings_hlo[0] == ("{devices=[1,2,4]<=[4,2]T(1,0) last_tile_dim_replicate}")
        other = cv.make_mesh((2, 4), ("a", "b"), (AxisType.Auto,) * 2)
        with pytest.raises(ValueError, match="has other axes"):
            e.in_shardings_jax(other)


def test_shardings_are_those_of_the_arguments(mesh):
    f = cv.jit(lambda x: x * 2)
    typed = cv.ShapeDtypeStruct((8, 8), "float32", sharding=on(mesh, "a", "b"))
    for x in (cv.device_put(SQUARE, on(mesh, "a", "b")), typed):
        for e in again(export.export(f)(x)):
            assert (e.nr_devices, e.out_shardings_hlo) == (8, (None,))
            assert e.in_shardings_jax(mesh) == (on(mesh, "a", "b"),)
            assert e.in_shardings_hlo == ("{devices=[4,2]<=[8]}",)
    one = export.export(f)(TYPE)
    assert (one.nr_devices, one.in_shardings_hlo) == (1, (None,))
    with cv.set_mesh(mesh):
        assert export.export(f)(TYPE).nr_devices == 8


def test_devices_need_not_be_there(mesh):
    there = AbstractMesh((4, 2), ("a", "b"), (AxisType.Auto,) * 2)
    far = AbstractMesh((64,), ("a",), (AxisType.Auto,))
    f = lambda s: cv.jit(lambda x: x * 2, in_shardings=s)  # noqa: E731
    for e in again(export.export(f(on(there, "a")))(TYPE)):
        out = e.call(cv.device_put(SQUARE, on(mesh, "a")))
        onp.testing.assert_array_equal(out, SQUARE * 2)
    wide = export.export(f(on(far, "a")))(cv.ShapeDtypeStruct((64, 8), "float32"))
    assert wide.nr_devices == 64
    with pytest.raises(ValueError, match="exported for 64 devices and is called on 8"):
        wide.call(cv.device_put(onp.ones((64, 8), "float32"), on(mesh, "a")))


@pytest.mark.parametrize("jitted", [False, True])
def test_results_lie_as_was_asked(mesh, jitted):
    f = cv.jit(lambda x: np.sin(x) @ x, in_shardings=on(mesh, "a"),
               out_shardings=on(mesh, None, "b"))  # fmt: skip
    for e in again(export.export(f)(TYPE)):
        call = cv.jit(e.call) if jitted else e.call
        for spec in (P("a"), P("b"), P()):
            out = call(cv.device_put(SQUARE, NamedSharding(mesh, spec)))
            assert out.sharding == on(mesh, None, "b")
            onp.testing.assert_allclose(out, onp.sin(SQUARE) @ SQUARE, rtol=1e-5, atol=1e-6)
    # On other devices in another order.
    turned = cv.sharding.Mesh(mesh.devices.reshape(-1)[::-1], ("z",))
    out = e.call(cv.device_put(SQUARE, on(turned, "z")))
    assert out.sharding.mesh.devices.flat[0] == mesh.devices.flat[7]
    assert out.sharding.spec == P(None, "b")


def test_calls_are_on_as_many_devices(mesh):
    f = cv.jit(lambda x: x * 2, in_shardings=on(mesh, "a"))
    e = export.export(f)(TYPE)
    few = cv.make_mesh((2,), ("a",), (AxisType.Auto,))
    text = "exported for 8 devices and is called on"
    for x in (SQUARE, np.asarray(SQUARE), cv.device_put(SQUARE, on(few, "a"))):
        with pytest.raises(ValueError, match=text):
            e.call(x)
    with cv.set_mesh(mesh):
        assert e.call(SQUARE).sharding.spec == P("a")
    # A function of one device runs wherever its arguments are.
    one = export.export(cv.jit(lambda x: x * 2))(TYPE)
    assert one.call(cv.device_put(SQUARE, on(mesh, "a"))).sharding == on(mesh, "a")


def test_functions_along_devices(mesh):
    f = cv.shard_map(lambda x: lax.psum(x, "a"), mesh=mesh, in_specs=P("a"), out_specs=P())
    laid = cv.jit(lambda x: lax.with_sharding_constraint(x * 2, on(mesh, "b")))
    x = cv.device_put(SQUARE, on(mesh, "a"))
    for g in (cv.jit(f), laid):
        for e in again(export.export(g)(TYPE)):
            assert (e.nr_devices, e.in_shardings_hlo) == (8, (None,))
            out = e.call(x)
            onp.testing.assert_allclose(out, g(x), rtol=1e-5, atol=1e-6)
            assert out.sharding.is_equivalent_to(g(x).sharding, 2)


def test_types_of_explicit_axes(explicit):
    with cv.set_mesh(explicit):
        x = reshard(np.asarray(SQUARE), P("a", None))
        for e in again(export.export(cv.jit(lambda x: (x * 2, x.sum(0))))(x)):
            assert [a.str_short() for a in e.in_avals] == ["float32[8@a,8]"]
            assert [a.str_short() for a in e.out_avals] == ["float32[8@a,8]", "float32[8]"]
            assert e.in_shardings_jax(explicit) == (on(explicit, "a", None),)
            for y in (x, reshard(x, P(None, "b")), SQUARE):
                for call in (e.call, cv.jit(e.call)):
                    out, total = call(y)
                    assert cv.typeof(out).str_short() == "float32[8@a,8]"
                    onp.testing.assert_allclose(total, SQUARE.sum(0), rtol=1e-5, atol=1e-6)
    assert e.call(x)[0].sharding.spec == P("a", None)  # of the devices of its argument


def test_backward_passes_lie_as_what_they_are_of(mesh):
    f = cv.jit(lambda x: np.sin(x) * 2, in_shardings=on(mesh, "a"))
    e = export.deserialize(export.export(f)(TYPE).serialize(vjp_order=1))
    v = e.vjp()
    assert v.nr_devices == 8
    assert v.in_shardings_jax(mesh) == (on(mesh, "a"), None)
    assert v.out_shardings_jax(mesh) == (on(mesh, "a"),)
    x = cv.device_put(SQUARE, on(mesh, "a"))
    g = cv.grad(lambda x: e.call(x).sum())
    for h in (g, cv.jit(g)):
        onp.testing.assert_allclose(h(x), 2 * onp.cos(SQUARE), rtol=1e-5)
        assert h(x).sharding.spec == P("a")
    onp.testing.assert_allclose(v.call(x, np.ones((8, 8)))[0], 2 * onp.cos(SQUARE), rtol=1e-5)


def test_modules_say_it(mesh):
    f = cv.jit(lambda x: x * 2, in_shardings=on(mesh, "a"), out_shardings=on(mesh, None, "b"))
    e = export.export(f, platforms=["cuda"])(TYPE)
    text = e.mlir_module(serialized=False)
    assert '"a"=4, "b"=2' in text
    assert '[{"a"}, {}]' in text and '[{}, {"b"}]' in text


def test_names_of_axes_that_no_file_holds(eight_devices):
    mesh = cv.make_mesh((8,), (3,), (AxisType.Auto,))
    e = export.export(cv.jit(lambda x: x * 2, in_shardings=on(mesh, 3)))(TYPE)
    with pytest.raises(ValueError, match="which are no texts"):
        e.serialize()


def test_in_a_compiled_function_it_is_on_as_many_devices(mesh):
    f = cv.jit(lambda x: x * 2, in_shardings=on(mesh, "a"))
    few = cv.make_mesh((2,), ("a",), (AxisType.Auto,))
    text = "exported for 8 devices and is called on [12]: lay its arguments out"
    for e in again(export.export(f)(TYPE)):
        run = e.call
        call = cv.jit(run)
        for x in (SQUARE, np.asarray(SQUARE), cv.device_put(SQUARE, on(few, "a"))):
            for g in (call, call, cv.grad(lambda x, run=run: run(x).sum())):
                with pytest.raises(ValueError, match=text) as info:
                    g(x)
                assert "test_exports.py" in str(info.value)
        with pytest.raises(ValueError, match=text):
            call.lower(TYPE).compile()
        x = cv.device_put(SQUARE, on(mesh, "a"))
        slope = cv.jit(cv.grad(lambda x, run=run: (run(x) ** 2).sum()))
        onp.testing.assert_array_equal(slope(x), 8 * SQUARE)
        outer = export.export(cv.jit(functools.partial(lambda run, x: run(x) + 1, run)))(TYPE)
        for o in again(outer):
            assert o.nr_devices == 8
            onp.testing.assert_array_equal(o.call(x), SQUARE * 2 + 1)
        with cv.set_mesh(mesh):
            assert call(SQUARE).sharding.spec == P("a")


def test_symbolic_sizes(mesh):
    (n,) = export.symbolic_shape("n")
    for shape, spec in (((4 * n, 4), P("a")), ((n, 4), P(None, "a"))):
        f = cv.jit(lambda x: x * x.shape[0], in_shardings=NamedSharding(mesh, spec))  # noqa: B023
        for e in again(export.export(f)(cv.ShapeDtypeStruct(shape, "float32"))):
            assert e.in_shardings_jax(mesh) == (NamedSharding(mesh, spec),)
            out = e.call(cv.device_put(onp.ones((8, 4), "float32"), NamedSharding(mesh, spec)))
            assert out.sharding.spec == spec
            onp.testing.assert_array_equal(out, 8)
