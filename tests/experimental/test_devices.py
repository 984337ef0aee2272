"""What concerns devices, memory and compilers: what holds on one device, and what is not."""

import os
import pickle
import subprocess
import sys

import numpy as onp
import pytest

import covector as cv
import covector.numpy as np
from covector import experimental, lax
from covector.ad_checkpoint import checkpoint_name, print_saved_residuals
from covector.backends.cpu import codegen
from covector.backends.pjrt.backend import PjrtBackend
from covector.core.config import override
from covector.experimental import compute_on as computing
from covector.experimental import custom_partitioning as parting
from covector.experimental import layout as layouts
from covector.experimental import scheduling_groups, xla_metadata
from covector.experimental.buffer_callback import ExecutionContext, ExecutionStage, buffer_callback
from covector.experimental.compilation_cache import compilation_cache
from covector.experimental.serialize_executable import deserialize_and_load, serialize
from covector.experimental.shard_alike import shard_alike
from covector.runtime.loaded import FRAME

X = onp.arange(3, dtype=onp.float32)
W = X * 3
KEY = onp.uint32(3)
VECTOR = cv.ShapeDtypeStruct((3,), "float32")


def add_one(ctx, out, x):
    assert ctx.stage is ExecutionStage.EXECUTE and out.writeable and not x.writeable
    assert (x.shape, x.dtype, x.ndim) == (out.shape, out.dtype, out.ndim)
    onp.add(x, 1, out=onp.asarray(out))


def test_buffer_callback():
    f = buffer_callback(add_one, VECTOR)
    onp.testing.assert_array_equal(f(X), X + 1)
    onp.testing.assert_array_equal(cv.jit(f)(X), X + 1)
    scalar = cv.ShapeDtypeStruct((), "float32")
    for method in ("sequential", "broadcast_all", "expand_dims"):
        g = buffer_callback(add_one, scalar, vmap_method=method)
        onp.testing.assert_array_equal(cv.jit(cv.vmap(g))(X), X + 1)
    onp.testing.assert_array_equal(onp.from_dlpack(_seen(X)), X)
    with pytest.raises(ValueError, match="no stream"):
        ExecutionContext().stream  # noqa: B018


def _seen(x):
    kept = []
    buffer_callback(lambda ctx, out, x: kept.append(onp.array(x)), VECTOR)(x)
    return kept[0]


def test_buffer_callback_trees_aliases_effects():
    calls = []

    def f(ctx, out, x, *, more):
        calls.append(onp.asarray(more["y"]).tolist())
        onp.asarray(out["a"])[...] += onp.asarray(more["y"])

    g = buffer_callback(
        f, {"a": VECTOR, "b": VECTOR}, has_side_effect=True, input_output_aliases={0: 0}
    )
    out = g(X, more={"y": X})
    onp.testing.assert_array_equal(out["a"], 2 * X)
    onp.testing.assert_array_equal(out["b"], 0 * X)
    cv.jit(lambda x: (g(x, more={"y": x}), x)[1])(X)
    assert calls == [[0, 1, 2]] * 2
    with pytest.raises(ValueError, match="input_output_aliases"):
        buffer_callback(add_one, VECTOR, input_output_aliases={1: 0})(X)


def test_shard_alike():
    x, y = cv.jit(shard_alike)({"a": X}, {"a": X.astype(int)})
    onp.testing.assert_array_equal(x["a"], y["a"])
    with pytest.raises(ValueError, match="equal shapes"):
        shard_alike(X, X[:2])
    with pytest.raises(ValueError, match="one structure"):
        shard_alike(X, [X])


def test_sharding_constraint():
    x = np.asarray(X)
    onp.testing.assert_array_equal(lax.with_sharding_constraint(x, x.sharding), X)
    f = cv.jit(lambda v: lax.with_sharding_constraint({"a": v * 2}, x.sharding)["a"])
    onp.testing.assert_array_equal(f(X), 2 * X)
    with pytest.raises(TypeError, match="sharding"):
        lax.with_sharding_constraint(x, None)


def test_compute_on():
    with computing.compute_on("device_host"):
        assert cv.jit(lambda v: v + 1)(1) == 2
    assert computing.compute_on("device")(lambda v: v + 1)(1) == 2
    on_host = computing.compute_on2(compute_type="device_host", out_memory_spaces=None)
    assert on_host(lambda v: v + 1)(1) == 2
    bad = {"nonsense": ValueError, 3: TypeError, "gpu_stream:1": NotImplementedError}
    for name, error in bad.items():
        with pytest.raises(error):
            computing.compute_on(name).__enter__()


def test_layout():
    rows = layouts.Layout((0, 1))
    x = np.ones((2, 3))
    assert layouts.with_layout_constraint([x], rows)[0] is x
    assert hash(rows) == hash(layouts.Layout((0, 1))) and rows.update(tiling=((2,),)) != rows
    assert layouts.Format(rows, x.sharding).layout == rows
    with pytest.raises(NotImplementedError, match="row by row"):
        layouts.with_layout_constraint(x, layouts.Layout((1, 0)))
    with pytest.raises(ValueError, match="does not order the axes"):
        layouts.with_layout_constraint(x, layouts.Layout((0,)))
    with pytest.raises(TypeError, match="layout is None"):
        layouts.Format(3)
    with pytest.raises(ValueError, match="needs a sharding"):
        layouts.Format(rows)
    with pytest.raises(NotImplementedError, match="XLA"):
        layouts.Layout.from_pjrt_layout(None)


def test_custom_partitioning():
    f = parting.custom_partitioning(lambda x: {"y": np.sin(x)})
    with pytest.raises(AttributeError, match="def_partition"):
        f(X)
    f.def_partition(lambda *args: None, sharding_rule="i -> i")
    onp.testing.assert_array_equal(cv.jit(cv.vmap(f))(X)["y"], np.sin(X))
    assert cv.grad(lambda x: f(x)["y"])(0.0) == 1
    (out,) = parting.custom_partitioning_p.bind(2.0, call=lambda x: [x + 1])
    assert out == 3
    i, ij = parting.ArrayMapping("i"), parting.ArrayMapping(parting.CompoundFactor("i", "j"))
    rule = parting.SdyShardingRule((i, ij), (i,), reduction_factors=("j",), j=2)
    assert rule.factor_sizes == {"j": 2} and ij.factors == {"i", "j"}
    for bad in (
        lambda: parting.CompoundFactor("i"),
        lambda: parting.CompoundFactor("i", 1),
        lambda: parting.ArrayMapping(1),
        lambda: parting.ArrayMapping("i", parting.BATCHING),
        lambda: parting.SdyShardingRule((i,), (i,), k=3),
    ):
        with pytest.raises(ValueError, match=r"factor|ArrayMapping"):
            bad()


def test_compilation_cache(tmp_path):
    before = cv.config.compilation_cache_dir
    try:
        compilation_cache.set_cache_dir(tmp_path)
        compilation_cache.reset_cache()
        assert cv.config.compilation_cache_dir == str(tmp_path)
    finally:
        cv.config.update("compilation_cache_dir", before)


def test_offloading_policies(capsys):
    """Offloaded values are kept: the CPU has one memory."""
    policies = cv.checkpoint_policies
    named = policies.save_and_offload_only_these_names(
        names_which_can_be_saved=["a"], names_which_can_be_offloaded=["b"],
        offload_src="device", offload_dst="pinned_host",
    )  # fmt: skip

    def f(x):
        return np.sin(checkpoint_name(np.exp(checkpoint_name(np.sin(x), "a")), "b"))

    def kept(policy):
        print_saved_residuals(cv.checkpoint(f, policy=policy), 0.5)
        return len(capsys.readouterr().out.splitlines())

    assert (kept(policies.nothing_saveable), kept(named)) == (1, 3)
    assert cv.grad(cv.checkpoint(f, policy=named))(0.5) == cv.grad(f)(0.5)
    dots = policies.offload_dot_with_no_batch_dims("device", "pinned_host")
    g = cv.checkpoint(lambda x: np.sin(x @ x).sum(), policy=dots)
    assert cv.grad(g)(np.eye(2)).shape == (2, 2)
    with pytest.raises(ValueError, match="saved or offloaded, not both"):
        policies.save_and_offload_only_these_names(
            names_which_can_be_saved=["a"], names_which_can_be_offloaded=["a"],
            offload_src="device", offload_dst="pinned_host",
        )  # fmt: skip


def test_serialized_programs():
    def f(x, *, more):
        y = lax.scan(lambda c, row: (c + row.sum(), c), 0.0, x)[0]
        return {"y": cv.nn.relu(y) * more["k"], "sorted": np.sort(x[0]) + W, "key": KEY}

    x, more = onp.ones((2, 3), onp.float32), {"k": 2.0}
    compiled = cv.jit(f).lower(x, more=more).compile()
    data, *trees = serialize(compiled)
    loaded = deserialize_and_load(data, *trees)
    expected = f(np.asarray(x), more=more)
    cv.tree.map(onp.testing.assert_array_equal, loaded(x, more=more), compiled(x, more=more))
    onp.testing.assert_array_equal(loaded(x, more=more)["sorted"], expected["sorted"])
    assert serialize(loaded)[0] == data
    assert loaded.as_text() == compiled.as_text("jaxpr")
    assert loaded.cost_analysis() == compiled.cost_analysis()
    assert repr(loaded.memory_analysis()) == repr(compiled.memory_analysis())
    assert repr(loaded.args_info) == repr(compiled.args_info)
    assert loaded.out_info == compiled.out_info
    assert loaded.output_shardings == compiled.output_shardings
    with pytest.raises(ValueError, match="unknown dialect 'llvm': a program that was loaded"):
        loaded.as_text("llvm")
    with pytest.raises(TypeError, match=r"made for float32\[2,3\]"):
        loaded(x[:1], more=more)
    with pytest.raises(TypeError, match="serialize takes"):
        serialize(f)


def test_serialized_programs_keep_what_calls_do():
    donating = cv.jit(lambda a, b: (a + 1, b), donate_argnums=0).lower(X, X).compile()
    given = np.asarray(X)
    loaded = deserialize_and_load(*serialize(donating))
    loaded(given, X)
    assert given.is_deleted() and loaded.donate_argnums == (0,)

    def add(ref, x):
        ref[...] += x
        return ref[...] * 2

    ref = cv.new_ref(np.asarray(X))
    loaded = deserialize_and_load(*serialize(cv.jit(add).lower(ref, X).compile()))
    onp.testing.assert_array_equal(loaded(ref, X), X * 4)
    onp.testing.assert_array_equal(loaded(ref, X), X * 6)
    onp.testing.assert_array_equal(ref[...], X * 3)
    closing = cv.jit(lambda x: ref[...] + x).lower(X).compile()
    with pytest.raises(NotImplementedError, match="closes over references"):
        serialize(closing)
    key = cv.random.key(1)
    f = cv.jit(lambda x: (x, W, cv.random.normal(key, (3,)) + x, key, x.astype("int4"), None, 2.0))
    loaded = deserialize_and_load(*serialize(f.lower(X).compile()))
    assert repr(loaded(X)) == repr(f(X))


@pytest.mark.parametrize("platform", ["cpu", "xla_cpu"])
@pytest.mark.parametrize("kept", [True, False])
def test_serialized_programs_are_loaded_without_a_compiler(platform, kept, tmp_path):
    """In another process, whether the code is in the cache on disk when it is written or not."""
    file = tmp_path / "program"
    w = onp.arange(9, dtype="float32").reshape(3, 3)
    with override(enable_compilation_cache=kept):
        f = cv.jit(lambda x: np.tanh(x @ w + 0.123), backend=platform)
        for _ in range(2):  # the second one is found on disk, where there is one
            compiled = f.lower(X).compile()
            file.write_bytes(pickle.dumps(serialize(compiled)))
            cv.clear_caches()
    code = f"""
import pickle, covector as cv
from covector.backends.cpu import generate, objects
from covector.backends.pjrt.backend import PjrtBackend
from covector.experimental.serialize_executable import deserialize_and_load

def refuse(*args):
    raise AssertionError("it compiles")

objects.compile_program = generate.llvm_text = PjrtBackend.load = PjrtBackend.lower = refuse
events = []
cv.monitoring.register_event_listener(lambda name, **more: events.append(name))
cv.monitoring.register_event_duration_secs_listener(lambda name, *a, **more: events.append(name))
loaded = deserialize_and_load(*pickle.loads(open({str(file)!r}, "rb").read()))
y = loaded(cv.numpy.arange(3, dtype="float32"))
assert y.device.client.platform == {platform!r} and not events, events
print(y.tolist())
"""
    env = {**os.environ, "XDG_CACHE_HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{compiled(X).tolist()}\n"


def test_serialized_programs_run_where_they_were_compiled_for():
    devices = cv.devices("xla_cpu")
    compiled = cv.jit(lambda x: np.sin(x) + W, device=devices[1]).lower(X).compile()
    data, *trees = serialize(compiled)
    loaded = deserialize_and_load(data, *trees)
    x = cv.device_put(X, devices[1])
    onp.testing.assert_array_equal(loaded(x), compiled(x))
    assert loaded(x).device == devices[1]
    moved = deserialize_and_load(data, *trees, backend="xla_cpu", execution_devices=[devices[2]])
    assert moved(X).device == devices[2]
    with pytest.raises(ValueError, match="was made for .*id=2.*committed to .*id=1"):
        moved(x)
    again = deserialize_and_load(*serialize(moved))
    assert again(X).device == devices[2]
    onp.testing.assert_array_equal(again(X), compiled(X))
    for given, expected in (
        ({"backend": "cpu"}, "for the platform xla_cpu, and backend is that of cpu: compile the"),
        ({"execution_devices": devices[:2]}, "for 1 device, and execution_devices has 2"),
        ({"execution_devices": cv.devices("cpu")}, "for devices of xla_cpu, .* has CpuDevice"),
    ):
        with pytest.raises(ValueError, match=expected):
            deserialize_and_load(data, *trees, **given)
    with pytest.raises(ValueError, match="out_tree must be the structure with 1 leaves"):
        deserialize_and_load(data, trees[0], cv.tree.structure((1, 2)))


@pytest.mark.parametrize("platform", ["cpu", "xla_cpu"])
def test_serialized_programs_that_are_not_for_this_place(platform, monkeypatch):
    compiled = cv.jit(lambda x: np.sin(x) + W, backend=platform).lower(X).compile()
    data, *trees = serialize(compiled)

    def changed(**parts):
        head, blob = FRAME.unpacked(data)
        head.update(parts)
        return bytes(FRAME.packed(head, blob)), *trees

    with pytest.raises(ValueError, match=r"is of Covector 0.0.1, this is .*covector.export"):
        deserialize_and_load(*changed(covector="0.0.1"))
    with pytest.raises(RuntimeError, match="for the device 77 of .*, and this process has .*0.*"):
        deserialize_and_load(*changed(devices=[[77, "cpu"]]))
    with pytest.raises(RuntimeError, match="for a device of the kind 'H100', and this is a 'cpu'"):
        deserialize_and_load(*changed(devices=[[0, "H100"]]))
    target = FRAME.unpacked(data)[0]["target"]
    more = {**target, "features": target["features"] + ",+sse9"}
    with pytest.raises(RuntimeError, match="which has no sse9: compile the function here, or"):
        deserialize_and_load(*changed(target=more))
    others = [{"bytes": 1}] if platform == "xla_cpu" else [{"system": "z80"}, {"runtime": "00"}]
    for other in others:
        with pytest.raises(RuntimeError, match="was compiled for .*, and this is .*: compile"):
            deserialize_and_load(*changed(target={**target, **other}))


@pytest.mark.parametrize("platform", ["cpu", "xla_cpu"])
def test_damaged_serialized_programs(platform, monkeypatch):
    compiled = cv.jit(lambda x: np.sin(x) + W, backend=platform).lower(X).compile()
    data, *trees = serialize(compiled)
    monkeypatch.setattr(codegen, "load_objects", None)
    monkeypatch.setattr(PjrtBackend, "unpack", None)
    for k in [*range(72), *range(72, len(data), 97)]:
        damaged = data[:k] + bytes([data[k] ^ 1]) + data[k + 1 :]
        with pytest.raises(ValueError, match="deserialize_and_load: .*(damaged|format|bytes)"):
            deserialize_and_load(damaged, *trees)
    for n in (0, 1, 20, 100, len(data) - 1):
        with pytest.raises(ValueError, match="deserialize_and_load: the (bytes|file)"):
            deserialize_and_load(data[:n], *trees)
    for other in (data + b"x", pickle.dumps(1), b"x" * 100):
        with pytest.raises(ValueError, match="damaged|are not those of a compiled program"):
            deserialize_and_load(other, *trees)
    with pytest.raises(TypeError, match="takes the bytes that serialize gave, got Compiled"):
        deserialize_and_load(compiled, *trees)


def test_programs_that_are_not_serialized():
    for platform in ("cpu", "xla_cpu"):
        f = cv.jit(lambda x: (cv.debug.print("{}", x), x)[1], backend=platform)
        with pytest.raises(ValueError, match="calls a Python function"):
            serialize(f.lower(X).compile())
    with pytest.raises(NotImplementedError, match="backend of toy does not write programs"):
        serialize(cv.jit(lambda x: x + 1, backend="toy").lower(X).compile())
    with override(enable_compilation_cache=False):
        compiled = cv.jit(lambda x: np.cosh(x * 0.1234)).lower(X).compile()
        with cv.enable_x64():
            onp.testing.assert_array_equal(
                deserialize_and_load(*serialize(compiled))(X), compiled(X)
            )
        usual = cv.config.optimization_level
        cv.config.update("optimization_level", "O0")
        try:
            with pytest.raises(RuntimeError, match="options have changed since .* was compiled"):
                serialize(compiled)
        finally:
            cv.config.update("optimization_level", usual)


@pytest.mark.parametrize(
    "call",
    [
        lambda: experimental.EArray(None, None),
        lambda: experimental.cur_qdd(X),
        lambda: experimental.primal_tangent_dtype("int32", "float32"),
        lambda: xla_metadata.set_xla_metadata(a=1),
        lambda: scheduling_groups.scheduling_group("a"),
        lambda: scheduling_groups.xla_metadata_call(abs),
        lambda: scheduling_groups.xla_metadata_call_p.bind(1.0),
        lambda: scheduling_groups.dce_jaxpr_xla_metadata_rule([True], None),
        lambda: scheduling_groups.FlatTree([], None, ()),
        lambda: cv.vmap(lambda x: lax.psend(x, "i", [(0, 1)]), axis_name="i")(X),
        lambda: lax.precv(lax.create_token(), VECTOR, "i", [(0, 1)]),
    ],
)
def test_what_has_no_meaning(call):
    with pytest.raises(NotImplementedError):
        call()
