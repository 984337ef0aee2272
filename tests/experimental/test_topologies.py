"""Compilation for devices that are not there, and texts for platforms without a plugin.

``python -m tests.aot`` compiles with the plugins themselves; here one is played.
"""

import re

import numpy as onp
import pytest

import covector as cv
import covector.numpy as np
from covector import lax
from covector.backends.pjrt import backend as pjrt_backend
from covector.backends.pjrt import plugins
from covector.core import backend
from covector.experimental import topologies
from covector.experimental.serialize_executable import deserialize_and_load, serialize
from covector.sharding import SingleDeviceSharding

TYPE = cv.ShapeDtypeStruct((2, 3), "float32")


class DeviceError(RuntimeError):
    pass


class Plugin(str):
    path, version = __file__, (0, 90)


class Native:
    """The native module of plugins, with one plugin that compiles whatever it is given."""

    DeviceError = DeviceError

    def __init__(self):
        self.asked = []
        self.compiled = []

    def load(self, path):
        return Plugin(path)

    def create_topology(self, plugin, name, options):
        self.asked.append((plugin, name, options))
        if name == "nowhere":
            raise DeviceError("no such topology")
        return self

    platform_version = "played"

    def devices(self):
        one = {"process_index": 0, "kind": "Fast 1", "text": "", "attributes": {"cores": 7}}
        return [{**one, "id": k} for k in range(2)]

    def compile(self, text, options):
        self.compiled.append((text.decode(), options))
        return b"machine code"


@pytest.fixture
def native(monkeypatch):
    made = Native()
    monkeypatch.setattr(pjrt_backend, "native", lambda: made)
    monkeypatch.setattr(plugins, "find", lambda p: plugins.Found(p, f"{p}.so", "test"))
    return made


@pytest.fixture
def device(native):
    return topologies.get_topology_desc("h100", "cuda").devices[1]


def test_descriptions_of_topologies(native, device):
    ((plugin, name, options),) = native.asked
    assert (plugin, name) == ("cuda.so", "h100") and options["topology"] == "1x1x1"
    assert "cuda_compute_capability { major: 9 minor: 0 }" in options["target_config"]
    assert (device.platform, device.id, device.process_index) == ("cuda", 1, 0)
    assert device.device_kind == "Fast 1" and device.cores == 7
    assert device.local_hardware_id is None and device.memory_stats() is None
    assert repr(device) == "AbsentDevice(platform='cuda', id=1, kind='Fast 1')"
    with pytest.raises(AttributeError, match="no attribute 'colour'"):
        device.colour  # noqa: B018
    for ask in (device.default_memory, device.addressable_memories, lambda: device.memory("host")):
        with pytest.raises(NotImplementedError, match="memories of AbsentDevice.* are not known"):
            ask()
    given = topologies.get_topology_desc("mine", "cuda", target_config="text", topology="1x1x2")
    assert native.asked[-1][2] == {"target_config": "text", "topology": "1x1x2"}
    assert len(given.devices) == 2 and "AbsentDevice" in repr(given)


def test_topologies_that_there_are_not(native):
    with pytest.raises(ValueError, match="'nowhere' of cuda is unknown; known by name: 'h100'"):
        topologies.get_topology_desc("nowhere", "cuda")
    with pytest.raises(ValueError, match=r"'nowhere' and the options \['topology'\]: no such"):
        topologies.get_topology_desc("nowhere", "cuda", topology="1x1x1")
    with pytest.raises(NotImplementedError, match="the backend of cpu compiles for the devices of"):
        topologies.get_topology_desc()
    mesh = topologies.make_mesh(topologies.get_attached_topology("cpu"), (1,), ("x",))
    assert mesh.devices.flat[0] == cv.devices("cpu")[0]
    with pytest.raises(ValueError, match="there are 1"):
        topologies.make_mesh(topologies.get_attached_topology("cpu"), (2,), ("x",))
    with pytest.raises(RuntimeError, match="unknown backend"):
        topologies.get_topology_desc("x", "abacus")


def test_topologies_of_plugins_that_are_not_installed():
    with pytest.raises(RuntimeError, match="no plugin for rocm is installed"):
        topologies.get_topology_desc("mi300", "rocm")


def test_attached_topologies():
    for platform in (None, "cpu", "toy"):
        found = topologies.get_attached_topology(platform)
        assert found.devices == list(cv.devices(platform))


@pytest.mark.parametrize("way", ["assignment", "sharding", "device"])
def test_compiled_for_a_device_that_is_not_there(native, device, way):
    def fun(x):
        return np.sin(x) + onp.arange(3)

    match way:
        case "assignment":
            lowered = cv.jit(fun).trace(TYPE).lower(lowering_platforms=("cuda", "tpu"))
            compiled = lowered.compile(device_assignment=(device,))
        case "sharding":
            there = TYPE.update(sharding=SingleDeviceSharding(device))
            compiled = cv.jit(fun).lower(there).compile()
        case "device":
            compiled = cv.jit(fun, device=device).lower(TYPE).compile()
    ((text, options),) = native.compiled
    assert "stablehlo.sine" in text and "test_topologies.py" in text and b"\x01" in options
    assert compiled.as_text().startswith("module @covector_fun")
    assert compiled.runtime_executable().data == b"machine code"
    assert compiled.cost_analysis()["flops"] > 0
    assert compiled.memory_analysis().output_size_in_bytes == 24
    assert compiled.memory_analysis().generated_code_size_in_bytes == len(b"machine code")
    assert compiled.input_shardings == ((SingleDeviceSharding(device),), {})
    with pytest.raises(RuntimeError, match="fun was compiled for AbsentDevice.*cannot be called"):
        compiled(onp.ones((2, 3), "float32"))


class Client:
    """A client with one device of a kind, which loads whatever it is given."""

    platform_version = "of a client"

    def __init__(self):
        self.given = []

    def deserialize(self, data):
        self.given.append(data)
        return self

    def executable(self, *args):
        return self

    def donate(self, given):
        pass

    def call(self, args):
        return [np.zeros((2, 3))]


@pytest.mark.parametrize("kind", ["Fast 1", "Fast 2"])
def test_a_program_for_a_device_that_comes_later(native, monkeypatch, kind):
    device = topologies.get_topology_desc("h100", "cuda").devices[1]
    compiled = cv.jit(lambda x: np.sin(x) + onp.arange(3), device=device).lower(TYPE).compile()
    data, *trees = serialize(compiled)
    there = pjrt_backend.PjrtBackend("cuda")
    there._client = Client()
    description = {
        "id": 1, "addressable": True, "local_hardware_id": 0, "kind": kind, "process_index": 0,
        "memories": [(0, "device")], "default_memory": 0,
    }  # fmt: skip
    there._devices = [pjrt_backend.PjrtDevice(there, 0, description)]
    monkeypatch.setitem(backend.loaded, "cuda", there)
    if kind == "Fast 2":
        with pytest.raises(RuntimeError, match="of the kind 'Fast 1', and this is a 'Fast 2'"):
            deserialize_and_load(data, *trees)
    else:
        loaded = deserialize_and_load(data, *trees)
        assert there._client.given == [b"machine code"]
        assert loaded(onp.ones((2, 3), "float32")).shape == (2, 3)


def test_what_needs_a_device_that_is_there(device):
    with pytest.raises(RuntimeError, match=r"float32\[2\] cannot be put on AbsentDevice"):
        cv.device_put(np.ones(2), device)
    with pytest.raises(RuntimeError, match="cannot be called"):
        cv.jit(lambda x: x + 1, device=device)(1.0)
    with pytest.raises(ValueError, match="lowered for cpu, and .* name cuda in lowering_platforms"):
        cv.jit(lambda x: x + 1).lower(1.0).compile(device_assignment=(device,))


# --- texts ----------------------------------------------------------------------------------------


@cv.named_scope("layer")
def layer(x, w):
    with cv.named_scope("product"):
        y = x @ w
    return np.tanh(y)


def places(text):
    """The place of each operation."""
    lines = text.splitlines()
    at = dict(ln.split(" = ", 1) for ln in lines if ln.startswith("#loc"))
    out = []
    for ln in lines:
        if "stablehlo." in ln and " loc(" in ln:
            name = re.search(r"stablehlo\.(\w+)", ln)[1]
            out.append((name, at[ln.rsplit("loc(", 1)[1].rstrip(")")]))
    return out


def test_places_and_scopes_are_in_the_text():
    def fun(x, w):
        y = layer(layer(x, w), w)
        with cv.named_scope("loop"):
            y, _ = lax.scan(lambda c, _: (cv.named_scope("body")(np.sin)(c), None), y, None, 3)
        return cv.jit(lambda z: z * 2)(y)

    square = cv.ShapeDtypeStruct((3, 3), "float32")
    lowered = cv.jit(fun).trace(square, square).lower(lowering_platforms=("rocm", "tpu"))
    assert lowered.platforms == ("rocm", "tpu")
    plain = lowered.as_text("stablehlo", platform="tpu")
    assert plain == lowered.as_text() and "loc(" not in plain
    found = places(lowered.as_text("stablehlo", debug_info=True, platform="tpu"))
    scopes = {name: place.split('"')[1] for name, place in found}
    assert scopes["dot_general"] == "layer/product" and scopes["tanh"] == "layer"
    assert scopes["sine"] == "loop/body" and scopes["compare"] == "loop"
    assert all("test_topologies.py" in place for _, place in found)
    assert scopes["multiply"].endswith("test_topologies.py")


def test_scopes_end_with_their_blocks_and_in_errors():
    scope = cv.named_scope("again")

    def fun(x):
        with scope, scope:
            x = np.sin(x)
        with pytest.raises(ZeroDivisionError), cv.named_scope("broken"):
            x = np.cos(x)
            1 / 0  # noqa: B018
        return cv.grad(cv.named_scope("inner")(np.tanh))(x) + 1

    text = cv.jit(fun).lower(1.0).as_text(debug_info=True)
    found = {name: place.split('"')[1] for name, place in places(text)}
    assert found["sine"] == "again/again" and found["cosine"] == "broken"
    assert found["tanh"] == "inner" and found["add"].endswith(".py")


def test_scopes_change_no_program():
    def fun(x):
        return np.sin(x) + 1

    def named(x):
        with cv.named_scope("name"):
            return np.sin(x) + 1

    assert str(cv.make_jaxpr(fun)(1.0)) == str(cv.make_jaxpr(named)(1.0))
    assert cv.jit(named)(2.0) == cv.jit(fun)(2.0)
