"""Where arrays and programs are: devices, shardings, commitment, moving, the default device."""

import copy
import pickle

import numpy as onp
import pytest

import covector as cv
import covector.numpy as np
from covector import new_ref, random
from covector.experimental.layout import Format, Layout
from covector.sharding import Sharding, SingleDeviceSharding


@pytest.fixture
def toys():
    return cv.devices("toy")


@pytest.fixture
def cpu():
    return cv.devices("cpu")[0]


def test_arrays_know_where_they_are(cpu):
    x = np.ones(3)
    assert not x.committed and x.device is cpu and x.devices() == {cpu}
    assert x.sharding == SingleDeviceSharding(cpu) and isinstance(x.sharding, Sharding)
    assert cv.typeof(x).sharding == x.sharding and cv.typeof(x) == cv.typeof(np.ones(3))
    assert cv.typeof(2.0).sharding is None
    y = cv.device_put(x, cpu)
    assert y.committed and (y + 1).committed and not (x + 1).committed
    assert y.unsafe_buffer_pointer() == x.unsafe_buffer_pointer()
    assert y[0].committed and y[0:2].committed and y.reshape(3, 1).committed
    assert cv.jit(lambda a: a)(y).committed and cv.device_put(y) is y


def test_moving(toys, cpu):
    x = cv.device_put(np.arange(3.0), toys[0])
    assert x.committed and x.device is toys[0] and x.platform() == "toy"
    onp.testing.assert_array_equal(onp.asarray(x), [0, 1, 2])
    assert x.tolist() == [0, 1, 2] and x.tobytes() == onp.arange(3, dtype="f4").tobytes()
    other = cv.device_put(x, toys[1])
    back = cv.device_put(other, SingleDeviceSharding(cpu))
    assert other.device is toys[1] and back.device is cpu and back.tolist() == [0, 1, 2]
    assert x.to_device(cpu).device is cpu
    assert cv.device_put(x, toys[0]) is x
    tree = cv.device_put({"a": np.ones(2), "b": [3, 4.0]}, {"a": toys[0], "b": toys[1]})
    assert tree["a"].device is toys[0] and tree["b"][1].device is toys[1]
    key = cv.device_put(random.key(3), toys[0])
    assert random.key_data(cv.device_put(key, cpu)).tolist() == [0, 3]


def test_device_put_options(cpu, toys):
    x = np.ones(3)
    copy = cv.device_put(x, may_alias=False)
    assert copy.unsafe_buffer_pointer() != x.unsafe_buffer_pointer() and not copy.committed
    y = cv.device_put(x, toys[0], donate=True)
    assert x.is_deleted() and y.tolist() == [1, 1, 1]
    with pytest.raises(TypeError, match=r"device_put takes a device.*got 'gpu'"):
        cv.device_put(copy, "gpu")


def test_programs_run_where_committed_arrays_are(toys, cpu):
    f = cv.jit(lambda x, y: x * y + 1)
    on_toy, on_cpu = cv.device_put(np.arange(3.0), toys[1]), cv.device_put(np.arange(3.0), cpu)
    free = np.arange(3.0)
    for _ in range(2):  # the second time without Python
        for args in ((on_toy, free), (free, on_toy), (on_toy, 2.0), (on_toy, onp.arange(3.0))):
            out = f(*args)
            assert out.device is toys[1] and out.committed
        assert f(on_cpu, free).device is cpu and f(free, free).device is cpu
        onp.testing.assert_array_equal(onp.asarray(f(on_toy, free)), [1, 2, 5])


def test_mixing_is_an_error(toys, cpu):
    x, y = cv.device_put(np.arange(3.0), toys[0]), cv.device_put(np.ones(2), cpu)
    message = (
        r"argument a, float32\[3\], is on ToyDevice\(id=0\), argument b, float32\[2\], on "
        r"CpuDevice\(id=0\). Move one of them with device_put"
    )
    with pytest.raises(ValueError, match=message):
        cv.jit(lambda a, b: (a, b))(x, y)
    with pytest.raises(ValueError, match="committed to different devices"):
        x * cv.device_put(x, toys[1])
    assert cv.jit(lambda a, b: a.sum() + b.sum(), device=cpu)(x, y).tolist() == 5


def _sum_of_both(a, b):
    return a + b


@pytest.mark.parametrize(
    ("name", "f"),
    {
        "concatenate": lambda x, y: np.concatenate([x, y]),
        "stack": lambda x, y: np.stack([x, y]),
        "matmul": lambda x, y: x @ y,
        "divmod": lambda x, y: divmod(x, y),
        "einsum": lambda x, y: np.einsum("ij,jk", x, y),
        "set": lambda x, y: x.at[y[0].astype(int)].set(1.0),
        "searchsorted": lambda x, y: np.searchsorted(x[0], y[0]),
        "_sum_of_both": lambda x, y: cv.jit(_sum_of_both)(x, y),
    }.items(),
)
def test_the_function_that_is_called_on_arrays_that_mix_is_named(toys, name, f):
    x, y = (cv.device_put(np.ones((2, 2)), t) for t in toys)
    with pytest.raises(ValueError, match=f"^{name} got arguments that are committed"):
        f(x, y)


def test_default_device(toys, cpu):
    with cv.default_device(toys[1]):
        x = np.array([1.0, 2.0])
        made = [x, np.zeros(2), np.arange(3), np.asarray(onp.ones(2)), random.key(0), x + 1]
        assert {a.device for a in made} == {toys[1]} and not any(a.committed for a in made)
        assert cv.jit(lambda: np.ones(2))().device is toys[1]
        y = cv.device_put(onp.ones(2))
        assert y.device is toys[1] and not y.committed
    out = x + 1  # back on the default device, which takes what is not committed
    assert out.device is cpu and out.tolist() == [2, 3] and (x + 1).tolist() == [2, 3]
    with cv.default_device("toy"):
        assert np.ones(2).device is toys[0]
    with pytest.raises(TypeError, match="default_device"), cv.default_device(3):
        pass


def test_platforms_are_part_of_every_key(toys, cpu):
    f = cv.jit(lambda x: x + 1)
    assert f(1.0).device is cpu
    cv.config.update("platforms", "toy,cpu")
    try:
        assert f(1.0).device is toys[0] and cv.default_backend() == "toy"
        assert f(1.0).device is toys[0]
    finally:
        cv.config.update("platforms", None)
    assert f(1.0).device is cpu


def test_stages_know_their_platforms(toys, cpu):
    x = cv.device_put(np.ones(3), toys[0])
    lowered = cv.jit(lambda a: a * 2).lower(x)
    assert lowered.platforms == ("toy",) and "mul" in lowered.as_text()
    compiled = lowered.compile()
    assert compiled(x).device is toys[0] and compiled.output_shardings == x.sharding
    both = cv.jit(lambda a: a * 2).trace(np.ones(3)).lower(lowering_platforms=("cpu", "toy"))
    assert "loop" not in both.as_text("jaxpr", platform="toy") and "mul" in both.as_text("loop")
    with pytest.raises(ValueError, match="unknown dialect 'loop'"):
        both.as_text("loop", platform="toy")
    with pytest.raises(ValueError, match="lowered for toy, not for cpu"):
        lowered.as_text("llvm", platform="cpu")
    struct = cv.ShapeDtypeStruct((3,), "float32", sharding=SingleDeviceSharding(toys[1]))
    assert cv.jit(lambda a: a * 2).lower(struct).compile()(np.ones(3)).device is toys[1]
    other = both.compile(device_assignment=[toys[1]])
    assert other(np.ones(3)).device is toys[1]


def test_compiling_where_a_program_was_not_lowered_for(toys):
    traced = cv.jit(lambda a: a * 2).trace(1.0)
    for platforms in (("cuda",), ("cuda", "tpu"), ("toy",)):
        devices = rf"compile\(device_assignment=covector.devices\('{platforms[0]}'\)\[:1\]\)"
        said = (
            rf"lowered for {', '.join(platforms)}, and is compiled for Cpu.*, of cpu: .*{devices}"
        )
        with pytest.raises(ValueError, match=said):
            traced.lower(lowering_platforms=platforms).compile()
    with pytest.raises(ValueError, match="for ToyDevice.*: name toy in lowering_platforms"):
        traced.lower().compile(device_assignment=toys[:1])
    compiled = traced.lower(lowering_platforms=("toy",)).compile(device_assignment=toys[:1])
    assert compiled(1.0).device is toys[0]


def test_live_arrays(toys):
    x = cv.device_put(np.ones(3), toys[0])
    assert any(a is x for a in cv.live_arrays("toy"))
    assert not any(a is x for a in cv.live_arrays("cpu"))


def test_jit_on_a_backend(toys):
    assert cv.jit(lambda x: x + 1, backend="toy")(1.0).device is toys[0]
    assert cv.jit(lambda x: x + 1, device=toys[1])(np.ones(2)).device is toys[1]
    with pytest.raises(RuntimeError, match="unknown backend 'french'"):
        cv.jit(lambda x: x + 1, backend="french")(1.0)


def test_views_outside_are_of_a_copy(toys):
    x = cv.device_put(np.arange(6.0), toys[0])
    with pytest.raises(RuntimeError, match="host cannot address"):
        x.unsafe_buffer_pointer()
    with pytest.raises(BufferError, match="device_put"):
        x.__dlpack__()
    assert memoryview(x).tolist() == [0, 1, 2, 3, 4, 5] and x.item(2) == 2
    view = onp.asarray(x)
    x.delete()
    assert view.tolist() == [0, 1, 2, 3, 4, 5]
    with pytest.raises(RuntimeError, match="deleted"):
        onp.asarray(x)


def test_devices_are_copied_as_themselves(toys, cpu):
    for device in (*toys, cpu):
        for same in (copy.copy(device), copy.deepcopy(device), pickle.loads(pickle.dumps(device))):
            assert same is device
        sharding = SingleDeviceSharding(device)
        assert pickle.loads(pickle.dumps(sharding)) == copy.deepcopy(sharding) == sharding


def test_mixing_names_the_arguments(toys, cpu):
    x, y = cv.device_put(np.ones(2), toys[0]), cv.device_put(np.ones(2), cpu)

    def f(d, b):
        return d["w"][1] + b

    with pytest.raises(ValueError, match=r"^f got .* argument d\['w'\]\[1\], .* argument b, "):
        cv.jit(f)({"w": [x, x]}, b=y)
    with pytest.raises(ValueError, match="^set got arguments"):
        x.at[y.astype(int)].set(0)


def test_compiled_programs_stay_where_they_are(toys, cpu):
    x = cv.device_put(np.ones(4), toys[0])
    compiled = cv.jit(lambda a: a + 1).lower(x).compile()
    for elsewhere in (cv.device_put(x, toys[1]), cv.device_put(x, cpu)):
        with pytest.raises(ValueError, match="argument 0 is committed to .* Move it"):
            compiled(elsewhere)
    assert compiled(np.ones(4)).device is toys[0]
    struct = cv.ShapeDtypeStruct((4,), "float32", sharding=SingleDeviceSharding(toys[1]))
    with pytest.raises(ValueError, match="arguments on different devices"):
        cv.jit(lambda a, b: a + b).lower(struct, x)
    on_device = cv.ShapeDtypeStruct((4,), "float32", sharding=toys[1])
    assert cv.jit(lambda a: a + 1).lower(on_device).compile()(np.ones(4)).device is toys[1]
    with pytest.raises(TypeError, match="takes a device"):
        cv.jit(lambda a: a).lower(cv.ShapeDtypeStruct((4,), "float32", sharding="toy"))
    with pytest.raises(ValueError, match="lowered for toy, not for nope"):
        cv.jit(lambda a: a).lower(x).as_text(platform="nope")


def test_jit_takes_a_device_or_a_backend(toys):
    with pytest.raises(ValueError, match="device or backend, not both"):
        cv.jit(lambda x: x, device=toys[0], backend="cpu")
    with pytest.raises(TypeError, match="got 'toy'; a platform is named by backend"):
        cv.jit(lambda x: x, device="toy")


@pytest.mark.parametrize("value", [3, ",,", []])
def test_platforms_are_names(value):
    with pytest.raises(ValueError, match="names of platforms"):
        cv.config.update("platforms", value)


def test_arrays_made_like_others_are_beside_them(toys, cpu):
    x, y = cv.device_put(np.arange(3.0), toys[1]), cv.device_put(np.arange(3.0), cpu)
    for f in (np.zeros_like, np.ones_like, np.empty_like, lambda a: np.full_like(a, 2)):
        assert f(x).device is toys[1] and f(y).committed and not f(np.ones(2)).committed
    assert np.zeros_like(x, device=cpu).device is cpu
    assert np.array([x[0], x[1]]).device is toys[1]
    with pytest.raises(ValueError, match="committed to different devices"):
        np.array([x[0], y[0]])


def test_a_compiled_program_is_not_transformed():
    compiled = cv.jit(lambda x: x * 2).lower(1.0).compile()
    for transformed in (cv.jit(compiled), cv.grad(compiled), cv.jit(lambda x: compiled(x) + 1)):
        with pytest.raises(TypeError, match="cannot be transformed: it is machine code"):
            transformed(1.0)


def test_one_platform_may_be_named_alone():
    lowered = cv.jit(lambda x: x * 2).trace(1.0).lower(lowering_platforms="cpu")
    assert lowered.platforms == ("cpu",)


@pytest.mark.parametrize("platform", ["cpu", "xla_cpu"])
def test_kinds_of_memory(platform):
    device = cv.devices(platform)[0]
    kinds = [m.kind for m in device.addressable_memories()]
    assert kinds == ["device", "pinned_host", "unpinned_host"]
    there = {k: SingleDeviceSharding(device, memory_kind=k) for k in kinds}
    plain = SingleDeviceSharding(device)
    assert there["device"] == plain and hash(there["device"]) == hash(plain)
    assert len(set(there.values())) == 3 and "unpinned_host" in repr(there["unpinned_host"])
    assert pickle.loads(pickle.dumps(there["pinned_host"])) == there["pinned_host"]
    x = cv.device_put(np.arange(3.0), device)
    for kind, sharding in there.items():
        assert sharding.memory_kind == kind
        assert plain.with_memory_kind(kind) == sharding
        assert sharding.with_memory_kind(None) == plain
        y = cv.device_put(x, sharding)
        assert y.sharding == sharding and y.committed and y.tolist() == [0, 1, 2]
        for z in (y + x, cv.jit(lambda a: 2 * a)(y), cv.device_put(y, plain) * 2):
            assert z.sharding == plain and z.tolist() == [0, 2, 4]
        assert cv.jit(np.sin).lower(y).compile()(y).sharding == plain
        assert cv.jit(np.sin, device=sharding)(1.0).sharding == plain
    for ask in (
        lambda: SingleDeviceSharding(device, memory_kind="tape"),
        lambda: plain.with_memory_kind("tape"),
        lambda: device.memory("tape"),
    ):
        with pytest.raises(ValueError, match="no memory of the kind 'tape'; it has 'device', 'p"):
            ask()


def test_memory_spaces(cpu, toys):
    x = np.arange(3.0)
    host, space = cv.device_put(x, cv.memory.Space.Host), cv.memory.Space
    assert host.sharding == SingleDeviceSharding(cpu, memory_kind="pinned_host")
    assert host.committed and not x.committed
    assert cv.device_put(host, space.Device).sharding == SingleDeviceSharding(cpu)
    assert cv.device_put(host, space.Any).sharding == host.sharding
    assert cv.device_put(host, space.Host) is host
    new = cv.device_put({"a": onp.ones(2), "b": 1}, {"a": space.Host, "b": space.Device})
    assert [v.sharding.memory_kind for v in new.values()] == ["pinned_host", "device"]
    with pytest.raises(ValueError, match="read no memory of their host"):
        cv.device_put(cv.device_put(x, toys[0]), space.Host)


def test_formats(cpu):
    rows = Format(Layout((0, 1)), SingleDeviceSharding(cpu))
    x = np.ones((2, 3))
    assert x.format == cv.new_ref(x).format == rows
    there = cv.device_put(x, cv.memory.Space.Host)
    assert there.format == Format(Layout((0, 1)), there.sharding)
    struct = cv.ShapeDtypeStruct((2,), "float32", sharding=rows.sharding)
    assert struct.format == Format(None, rows.sharding)
    compiled = cv.jit(lambda x, y: {"z": x + y}).lower(x, y=1.0).compile()
    one = Format(Layout(()), rows.sharding)
    assert compiled.input_formats == ((rows,), {"y": one})
    assert compiled.output_formats == {"z": rows}
    assert compiled.call(x, y=1.0)["z"].tolist() == compiled(x, y=1.0)["z"].tolist()
    with pytest.raises(AttributeError, match="format"):
        cv.jit(lambda x: x.format)(x)
    traced = cv.jit(np.sin).trace(x)
    assert traced.lojax.jaxpr == traced.jaxpr and traced.lojax.out_info == traced.out_info
    assert isinstance(cv.jit(np.sin), cv.stages.Wrapped)
    assert not isinstance(traced, cv.stages.Wrapped)
    assert cv.device_put(x, rows).sharding == rows.sharding
    with pytest.raises(NotImplementedError, match="lie in memory row by row"):
        cv.device_put(x, Format(Layout((1, 0)), rows.sharding))


# --- moves within programs ----------------------------------------------------------------------


@pytest.fixture
def pair():
    return cv.devices("xla_cpu")[:2]


def where(x):
    return cv.tree.map(lambda a: (a.device, a.committed), x)


def test_results_of_programs_are_moved(pair, cpu):
    first, second = pair
    x = np.arange(3.0)
    there = cv.device_put(x, first)

    @cv.jit
    def f(x):
        return cv.device_put(2 * x, second), x + 1

    for _ in range(2):
        moved, stays = f(x)
        assert where([moved, stays]) == [(second, True), (cpu, False)]
        assert moved.tolist() == [0, 2, 4] and stays.tolist() == [1, 2, 3]
    assert where(f(there)) == ((second, True), (first, True))
    assert where(cv.jit(lambda x: f(x)[0])(there)) == (second, True)
    compiled = f.lower(there).compile()
    plain = SingleDeviceSharding
    assert compiled.output_shardings == (plain(second), plain(first))
    assert [g.sharding for g in compiled.output_formats] == [plain(second), plain(first)]
    assert where(compiled(there)) == ((second, True), (first, True))
    host = cv.jit(lambda x: cv.device_put(2 * x, cv.memory.Space.Host))
    assert host(there).sharding == plain(first, memory_kind="pinned_host")
    assert host.lower(there).compile().output_shardings.memory_kind == "pinned_host"
    ref = new_ref(there)

    @cv.jit
    def g(ref):
        ref[...] += 1
        return cv.device_put(ref[...], second)

    assert where(g(ref)) == (second, True) and ref[...].device == first
    with pytest.raises(TypeError, match="device_put takes a device"):
        cv.jit(lambda x: cv.device_put(x, 3))(x)


def test_programs_run_where_their_values_are_moved(pair, cpu):
    first, second = pair
    x = np.arange(3.0)

    def f(x):
        return cv.device_put(x, second) + 1

    assert where(cv.jit(f)(x)) == where(f(x)) == (second, True)
    assert where(cv.jit(f)(cv.device_put(x, second))) == (second, True)
    scan = cv.jit(lambda x: cv.lax.scan(lambda c, a: (c, f(a)), 0.0, x)[1])
    assert where(scan(x)) == (second, True)
    same = cv.jit(lambda x: cv.device_put(x, cv.memory.Space.Host) + 1)
    assert where(same(cv.device_put(x, first))) == (first, True)
    with pytest.raises(ValueError, match=r"f computes with values on .*\(id=0\).*\(id=1\)"):
        cv.jit(f)(cv.device_put(x, first))
    with pytest.raises(
        ValueError, match=r"computes with values on different devices: .*id=0.*id=1"
    ):
        cv.jit(lambda x: cv.device_put(x, first).sum() + cv.device_put(x, second))(x)


def test_moves_are_mapped_and_differentiated(pair):
    first, second = pair
    x = cv.device_put(np.arange(3.0), first)

    def f(x):
        return cv.device_put(np.sin(x), second) ** 2

    assert where(cv.vmap(f)(x)) == (second, True)
    y, t = cv.jvp(f, (x,), (x,))
    assert where([y, t]) == [(second, True)] * 2
    assert where(cv.linearize(f, x)[1](x)) == (second, True)
    got = cv.grad(lambda x: f(x).sum())(x)
    assert where(got) == (first, True)
    onp.testing.assert_allclose(got, onp.sin(2 * onp.arange(3.0)), rtol=1e-6, atol=1e-6)
    got = cv.jit(cv.grad(lambda x: f(x).sum()))(np.arange(3.0))
    onp.testing.assert_allclose(got, onp.sin(2 * onp.arange(3.0)), rtol=1e-6, atol=1e-6)


def test_constants_are_wherever_the_program_runs(pair):
    """An array that a compiled function closes over is a constant of its program."""
    first, second = (cv.device_put(np.arange(3.0), d) for d in pair)
    assert where(cv.jit(lambda x: first + x)(second)) == (pair[1], True)
    assert not cv.jit(lambda x: first + x)(np.ones(3)).committed


# --- shardings of single devices in compiled functions ------------------------------------------


def _plus_one(x):
    return x + 1


@pytest.mark.parametrize("as_device", [False, True])
def test_shardings_say_on_which_device_a_program_runs(toys, as_device):
    x, where = np.ones(2), toys[1] if as_device else SingleDeviceSharding(toys[1])
    constrained = lambda x: cv.lax.with_sharding_constraint(x + 1, where)  # noqa: E731
    for f in (
        cv.jit(_plus_one, in_shardings=where),
        cv.jit(_plus_one, out_shardings=where),
        cv.jit(constrained),
        cv.jit(lambda x: cv.jit(_plus_one, out_shardings=where)(x) * 1),
        cv.grad(lambda x: (cv.jit(_plus_one, out_shardings=where)(x) ** 2).sum() / 2),
        lambda x: cv.jit(_plus_one, in_shardings=where).lower(x).compile()(x),
        lambda x: cv.jit(constrained).lower(x).compile()(x),
    ):
        for _ in range(2):
            y = f(x)
            assert y.device is toys[1] and y.committed and y.tolist() == [2, 2]
    made = cv.jit(lambda: np.ones(2), out_shardings=where)()
    assert made.device is toys[1] and made.committed
    eager = cv.lax.with_sharding_constraint(x, where)
    assert eager.device is toys[1] and eager.committed


def test_shardings_of_a_device_and_arguments_of_another(toys):
    x, where = cv.device_put(np.ones(2), toys[0]), SingleDeviceSharding(toys[1])
    with pytest.raises(ValueError, match=r"different devices.*device_put"):
        cv.jit(_plus_one, out_shardings=where)(x)
    f = cv.jit(_plus_one, in_shardings=where)
    for given in (x, np.ones(2), x, cv.device_put(x, toys[1]), x):
        y = f(given)
        assert y.device is toys[1] and y.committed and y.tolist() == [2, 2]


@pytest.mark.platform
def test_results_in_another_memory():
    device = cv.devices("xla_cpu")[0]
    host = SingleDeviceSharding(device, memory_kind="pinned_host")
    f = cv.jit(_plus_one, in_shardings=host, out_shardings=host)
    for _ in range(2):
        y = f(np.ones(2))
        assert y.sharding == host and y.tolist() == [2, 2]
    assert cv.jit(lambda y: y * 2)(y).sharding.memory_kind == "device"


def test_arguments_that_are_not_used_say_nothing(toys):
    x, y = (cv.device_put(np.ones(2), d) for d in toys[:2])
    first = cv.jit(lambda x, y: x * 2)
    for _ in range(2):
        assert first(x, y).device is toys[0]
    assert first.lower(x, y).compile()(x, y).device is toys[0]
    made = cv.jit(lambda x: np.ones(2))(y)
    assert not made.committed and made.device is np.ones(2).device
    with pytest.raises(ValueError, match="argument x.*argument y"):
        cv.jit(lambda x, y: x * 2, keep_unused=True)(x, y)
