"""`experimental.mesh_utils`, `experimental.multihost_utils`, in one process."""

import re
from dataclasses import dataclass

import numpy as onp
import pytest

import covector as cv
import covector.numpy as np
from covector.experimental import mesh_utils, multihost_utils
from covector.sharding import AxisType, Mesh, NamedSharding
from covector.sharding import PartitionSpec as P


def fails(error, text, f, *args, **kwargs):
    with pytest.raises(error, match=re.escape(text)) as info:
        f(*args, **kwargs)
    assert "test_processes.py" in str(info.value)


@dataclass(frozen=True)
class Fake:
    """A device of a machine that is not there."""

    id: int
    process_index: int
    slice_index: int
    device_kind: str = "fake"


FAKES = [Fake(i, i // 2, i // 4) for i in range(8)]


def numbers(devices):
    return onp.vectorize(lambda d: d.id)(devices).tolist()


# --- arrays of devices -----------------------------------------------------------------------


def test_a_mesh_of_all_devices():
    devices = mesh_utils.create_device_mesh((4, 2))
    assert numbers(devices) == [[0, 1], [2, 3], [4, 5], [6, 7]]
    assert Mesh(devices, ("x", "y")).size == 8
    assert numbers(mesh_utils.create_device_mesh((2, 1), cv.devices()[5:7])) == [[5], [6]]
    assert mesh_utils.create_device_mesh((0,), []).shape == (0,)
    fails(ValueError, "of the shape (3, 2) has 6 devices; there are 8",
          mesh_utils.create_device_mesh, (3, 2))  # fmt: skip


def test_kinds_of_devices_have_functions_of_theirs(monkeypatch):
    seen = {}

    def reverse(shape, devices, **options):
        seen.update(options)
        return onp.array(devices[::-1], dtype=object).reshape(shape) if len(shape) == 2 else None

    monkeypatch.setitem(mesh_utils.device_kind_handler_dict, "fake", reverse)
    found = mesh_utils.create_device_mesh((2, 4), FAKES, allow_split_physical_axes=True)
    assert numbers(found) == [[7, 6, 5, 4], [3, 2, 1, 0]]
    assert seen == {"contiguous_submeshes": False, "allow_split_physical_axes": True}
    assert numbers(mesh_utils.create_device_mesh((8,), FAKES)) == list(range(8))


@pytest.mark.parametrize(
    ("inner", "outer", "options", "wanted"),
    [
        ((2, 2), (2, 1), {}, [[0, 1], [2, 3], [4, 5], [6, 7]]),
        ((2, 2), (1, 2), {}, [[0, 1, 4, 5], [2, 3, 6, 7]]),
        (
            (2, 1), (2, 2), {"process_is_granule": True},
            [[0, 2], [1, 3], [4, 6], [5, 7]],
        ),
        (
            (2, 2), (2, 1), {"should_sort_granules_by_key": False},
            [[4, 5], [6, 7], [0, 1], [2, 3]],
        ),
    ],
)  # fmt: skip
def test_groups_that_a_slower_network_connects(inner, outer, options, wanted):
    devices = FAKES[4:] + FAKES[:4]
    found = mesh_utils.create_hybrid_device_mesh(inner, outer, devices, **options)
    assert numbers(found) == wanted


def test_bad_groups():
    make = mesh_utils.create_hybrid_device_mesh
    fails(ValueError, "has 4 groups; the devices are of 2, by their slice_index: [0, 1]",
          make, (2, 1), (2, 2), FAKES)  # fmt: skip
    fails(ValueError, "has 4 devices; there are 2", make, (2, 2), (2, 1), FAKES[:6])
    fails(ValueError, "are of the same axes, got (4, 2) and (1,)", make, (4, 2), (1,), FAKES)
    fails(ValueError, "CpuDevice(id=0) has no slice_index", make, (4, 2), (1, 1))


def test_on_one_device():
    device = cv.devices()[2]
    where = cv.sharding.make_single_device_sharding(device, memory_kind="device")
    assert where == cv.sharding.SingleDeviceSharding(device)
    assert cv.device_put(1.0, where).device == device
    fails(ValueError, "no memory of the kind 'pinned'",
          cv.sharding.make_single_device_sharding, device, memory_kind="pinned")  # fmt: skip
    fails(TypeError, "takes a device", cv.sharding.make_single_device_sharding, "cpu")


# --- values of all processes -----------------------------------------------------------------


@pytest.fixture
def mesh():
    return cv.make_mesh((4, 2), ("x", "y"), (AxisType.Auto,) * 2)


def test_what_one_process_has_all_have(mesh):
    x = cv.device_put(onp.arange(8.0, dtype="float32"), NamedSharding(mesh, P("x")))
    values = {"a": x, "b": 2.0, "c": onp.arange(3)}
    gathered = multihost_utils.process_allgather(values)
    assert {k: v.shape for k, v in gathered.items()} == {"a": (1, 8), "b": (1,), "c": (1, 3)}
    onp.testing.assert_array_equal(gathered["a"][0], x)
    for same in (
        multihost_utils.process_allgather(values, tiled=True),
        multihost_utils.broadcast_one_to_all(values),
        multihost_utils.broadcast_one_to_all(values, is_source=True),
    ):
        assert all(type(v) is onp.ndarray for v in same.values())
        onp.testing.assert_array_equal(same["a"], x)
        assert same["b"] == 2.0
    multihost_utils.assert_equal(values, "they differ")
    fails(AssertionError, "they differ: ", multihost_utils.assert_equal, onp.nan, "they differ")


def test_processes_wait_for_each_other():
    multihost_utils.sync_global_devices("here")
    fails(TypeError, "takes a name, got", multihost_utils.sync_global_devices, 3)
    assert multihost_utils.reached_preemption_sync_point(3) is False
    with multihost_utils.live_devices(cv.devices()[:3]) as devices:
        assert devices == cv.devices()[:3]
    with pytest.raises(ValueError, match="at least one device of this process"):
        with multihost_utils.live_devices([Fake(0, 7, 0)]):
            pass
    assert multihost_utils.ProcessFailureError({1}).failed_devices == {1}


@pytest.mark.parametrize(
    "f",
    [
        multihost_utils.host_local_array_to_global_array,
        multihost_utils.global_array_to_host_local_array,
    ],
)
def test_arrays_of_one_process_are_those_of_all(f, mesh):
    a = {"a": onp.arange(8.0, dtype="float32"), "b": (np.ones((8, 4)), np.ones((2, 8)))}
    out = f(a, mesh, {"a": P("x"), "b": P("y", "x")})
    assert out["a"].sharding == NamedSharding(mesh, P("x"))
    assert out["b"][1].sharding == NamedSharding(mesh, P("y", "x"))
    onp.testing.assert_array_equal(out["a"], a["a"])
    x = a["a"]
    onp.testing.assert_array_equal(cv.jit(lambda x: f(x, mesh, P("x")) * 2)(x), x * 2)
    onp.testing.assert_array_equal(cv.grad(lambda x: (f(x, mesh, P("x")) ** 2).sum())(x), x * 2)
    rows = cv.vmap(lambda x: f(x, mesh, P("x")))(onp.ones((3, 8), "float32"))
    assert rows.sharding == NamedSharding(mesh, P(None, "x"))
    fails(ValueError, "pspecs holds PartitionSpecs, got None", f, x, mesh, None)
    fails(ValueError, "which do not divide its size 7", f, x[:7], mesh, P("x"))
    fails(TypeError, "takes a Mesh, got 'mesh'", f, x, "mesh", P("x"))


@pytest.mark.parametrize("kind", [AxisType.Auto, AxisType.Explicit])
def test_parts_of_processes_are_operations(kind):
    mesh = cv.make_mesh((4,), ("x",), (kind,), devices=cv.devices()[:4])
    params = {"global_mesh": mesh, "pspec": P("x")}
    there = multihost_utils.host_local_array_to_global_array_p
    back = multihost_utils.global_array_to_host_local_array_p
    f = lambda x: multihost_utils.host_local_array_to_global_array(x, mesh, P("x"))  # noqa: E731
    g = lambda x: multihost_utils.global_array_to_host_local_array(x, mesh, P("x"))  # noqa: E731
    x = np.arange(8.0)
    for prim, fun, rule, impl in (
        (there, f, multihost_utils.ltg_abstract_eval,
         multihost_utils.host_local_array_to_global_array_impl),
        (back, g, multihost_utils.gtl_abstract_eval,
         multihost_utils.global_array_to_host_local_array_impl),
    ):  # fmt: skip
        closed = cv.make_jaxpr(fun)(x)
        assert [e.primitive for e in closed.eqns] == [prim]
        assert closed.eqns[0].params == params
        assert closed.out_avals == [rule(cv.typeof(x), **params)]
        onp.testing.assert_array_equal(impl(x, **params), x)
        assert cv.jit(fun)(x).sharding == NamedSharding(mesh, P("x"))
        (mapped,) = cv.make_jaxpr(cv.vmap(fun, in_axes=1, out_axes=1))(np.ones((8, 3))).eqns
        assert mapped.primitive is prim and mapped.params["pspec"] == P("x", None)
    slope = cv.make_jaxpr(cv.grad(lambda x: (f(x) ** 2).sum()))(x)
    assert back in [e.primitive for e in slope.eqns] and slope.out_avals[0].placed is None
    onp.testing.assert_array_equal(cv.jit(cv.grad(lambda x: (f(x) ** 2).sum()))(x), 2 * x)
    rows = cv.vmap(f, spmd_axis_name="x")
    with pytest.raises(ValueError, match="split over the mesh's 'x'"):
        rows(np.ones((4, 8)))
    across = lambda x: multihost_utils.host_local_array_to_global_array(x, mesh, P())  # noqa: E731
    assert cv.vmap(across, spmd_axis_name="x")(np.ones((4, 8))).sharding.spec == P("x")


def test_batching_of_parts_of_processes(mesh):
    axis = cv.interpreters.batching.AxisData("i", 4)
    x = np.ones((4, 8))
    for insert, name, want in ((False, "y", P(None, "x")), (True, "y", P("y", "x"))):
        axis.spmd_name = name
        out, dim = multihost_utils.ltg_batcher(insert, axis, (x,), (0,), mesh, P("x"))
        assert dim == 0 and out.sharding == NamedSharding(mesh, want)


def test_other_names():
    assert multihost_utils.safe_zip([1, 2], "ab") == [(1, "a"), (2, "b")]
    leaves, treedef = multihost_utils.tree_flatten({"a": 1, "b": (2, 3)})
    assert multihost_utils.tree_unflatten(treedef, leaves) == {"a": 1, "b": (2, 3)}


def test_values_must_be_known():
    for f in (multihost_utils.process_allgather, multihost_utils.broadcast_one_to_all):
        with pytest.raises(TypeError, match="is traced: call it outside"):
            cv.jit(f)(1.0)
        fails(TypeError, "takes arrays and numbers, got", f, "x")
