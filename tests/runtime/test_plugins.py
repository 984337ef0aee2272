"""Plugins: how they are found, what is said of broken ones, and of what fails on a device.

``fake_plugin.c`` is built for each way of being broken; ``xla_cpu`` is a plugin that works."""

import json
import os
import pathlib
import re
import subprocess
import sys
import warnings

import numpy as onp
import pytest

import covector as cv
import covector.numpy as np
from covector.backends.pjrt import errors, plugins, settings
from covector.core import presence


@pytest.fixture
def named(monkeypatch):
    """Name a plugin; returns its platform, which no other test has."""
    count = 0

    def name(path):
        nonlocal count
        count += 1
        platform = f"fake{abs(hash(path)) % 10**8}{count}"
        monkeypatch.setenv("COVECTOR_PJRT_PLUGINS", f"{platform}:{path}")
        return platform

    return name


def python(code, **environment):
    """The output of a process of its own, and what it says on its error stream."""
    env = {**os.environ, "COVECTOR_PLATFORMS": "", **environment}
    env = {k: v for k, v in env.items() if v != ""}
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


# --- finding ----------------------------------------------------------------------------------


def _package(folder, module, owner, points, library=""):
    """A wheel that was installed: a package, which may have a library, and its metadata."""
    package = folder.joinpath(*module.split("."))
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise ImportError('it must not be imported')\n")
    if library:
        (package / library).write_text("")
    info = folder / f"{owner.replace('-', '_')}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {owner}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(points)


def test_the_newest_known_package(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    for number in ("12", "13"):
        points = f"[jax_plugins]\nxla_cuda{number} = jax_plugins.xla_cuda{number}\n"
        module, owner = f"jax_plugins.xla_cuda{number}", f"jax-cuda{number}-pjrt"
        _package(tmp_path, module, owner, points, "xla_cuda_plugin.so")
    found = plugins.find("cuda")
    assert found.path == str(tmp_path / "jax_plugins" / "xla_cuda13" / "xla_cuda_plugin.so")
    assert found.source == "jax-cuda13-pjrt 1.0" and plugins.installed()["cuda"] == found
    assert "xla_cuda13" not in plugins.installed()


@pytest.mark.parametrize("group", ["xla_plugins", "jax_plugins"])
def test_entry_points_of_unknown_packages(tmp_path, monkeypatch, group):
    monkeypatch.syspath_prepend(str(tmp_path))
    points = f"[{group}]\nquantum = strange_plugin\n"
    _package(tmp_path, "strange_plugin", "strange", points, "pjrt_quantum.so")
    found = plugins.find("quantum")
    assert found == ("quantum", str(tmp_path / "strange_plugin" / "pjrt_quantum.so"), "strange 1.0")
    with pytest.raises(RuntimeError, match=r"quantum \(strange 1.0\) does not start: .*pjrt_quant"):
        cv.devices("quantum")
    with pytest.raises(RuntimeError, match=r"unknown backend 'french'; available: .*quantum"):
        cv.devices("french")


def test_an_entry_point_without_a_library(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    _package(tmp_path, "strange_plugin", "strange", "[xla_plugins]\nempty = strange_plugin\n")
    assert "empty" not in plugins.installed()


def test_paths_that_the_user_names(monkeypatch):
    monkeypatch.setenv("COVECTOR_PJRT_PLUGINS", " a:/one , cuda:/two,")
    assert plugins.find("a") == ("a", "/one", "COVECTOR_PJRT_PLUGINS")
    assert plugins.installed()["cuda"].path == "/two"


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("a", "has the entry 'a'; entries are name:path"),
        ("a:", "has the entry 'a:'"),
        (":b", "has the entry ':b'"),
        ("cpu:/x", "calls a plugin 'cpu', which is the name of the built-in compiler"),
        ("gpu:/x", "calls a plugin 'gpu', which is the name of cuda or rocm"),
    ],
)
def test_names_that_are_none(monkeypatch, text, match):
    monkeypatch.setenv("COVECTOR_PJRT_PLUGINS", text)
    with pytest.raises(RuntimeError, match=match):
        plugins.installed()
    code = "import covector as cv\ntry: cv.devices()\nexcept RuntimeError as e: print(e)"
    assert re.search(match, python(code, COVECTOR_PJRT_PLUGINS=text)[0])


def test_what_is_not_installed_says_how_to_install_it():
    for platform, extra in {"cuda": "cuda13", "rocm": "rocm", "tpu": "tpu"}.items():
        if platform not in plugins.installed():
            with pytest.raises(RuntimeError) as e:
                cv.devices(platform)
            assert f"pip install '.[{extra}]'" in str(e.value) and "\n" not in str(e.value)


@pytest.mark.platform
def test_platforms_that_are_not_named_are_there_by_name():
    code = (
        "import numpy, covector as cv, covector.numpy as np\n"
        "there = cv.devices('xla_cpu')[0]\n"
        "print(cv.devices()[0].platform, there.platform)\n"
        "x = np.ones(3); y = cv.device_put(x, there, donate=True); print(x.is_deleted())\n"
        "try: numpy.from_dlpack(y)\n"
        "except BufferError as e: print('device_put' in str(e))\n"
    )
    assert python(code, COVECTOR_PLATFORMS="cpu")[0] == "cpu xla_cpu\nTrue\nTrue\n"


def test_nothing_of_a_plugin_is_loaded_before_it_is_needed():
    out, _ = python(
        "import sys, covector as cv\n"
        "float(cv.jit(lambda x: x + 1)(1.0)), cv.devices(), cv.default_backend()\n"
        "print([m for m in sys.modules if 'pjrt' in m or m.startswith(('jax', 'libtpu', 'xla_'))],"
        " hasattr(cv._native, 'pjrt'), 'xla_cpu_pjrt.so' in open('/proc/self/maps').read())"
    )
    assert out == "[] False False\n"


# --- the machine's device -----------------------------------------------------------------------


def _machine(root, *files):
    for name, _, text in (each.partition("=") for each in files):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return str(root)


CUDA = ("dev/nvidiactl", "usr/lib/x86_64-linux-gnu/libcuda.so.1")
ROCM = ("dev/kfd", "opt/rocm/lib/libhsa-runtime64.so.1")
TPU = ("dev/vfio/0", "dev/vfio/vfio", "sys/bus/pci/devices/a/vendor=0x1ae0\n")


@pytest.mark.parametrize(
    ("files", "environment", "want"),
    [
        ((), {}, []),
        (CUDA, {}, ["cuda"]),
        (ROCM, {}, ["rocm"]),
        (TPU, {}, ["tpu"]),
        (("dev/accel0", TPU[2]), {}, ["tpu"]),
        (("dev/accel0", "sys/bus/pci/devices/a/vendor=0x8086\n"), {}, []),
        (("dev/vfio/vfio", TPU[2]), {}, []),
        ((*CUDA, *ROCM, *TPU), {}, ["tpu", "cuda", "rocm"]),
        (CUDA, {"CUDA_VISIBLE_DEVICES": ""}, []),
        (CUDA, {"CUDA_VISIBLE_DEVICES": "-1"}, []),
        (CUDA, {"CUDA_VISIBLE_DEVICES": "1"}, ["cuda"]),
        (ROCM, {"HIP_VISIBLE_DEVICES": ""}, []),
        (("dev/dxg",), {}, []),
        (("dev/dxg", "usr/lib/wsl/lib/libcuda.so.1"), {}, ["cuda"]),
        (("dev/nvidiactl", "etc/ld.so.cache=x\0/opt/libcuda.so.1\0"), {}, ["cuda"]),
    ],
)
def test_devices_that_a_machine_has(tmp_path, files, environment, want):
    root = _machine(tmp_path, *files)
    found = presence.detect(root, environment)
    assert [seen.platform for seen in found] == want
    assert all(seen.driver for seen in found)


def test_a_device_without_its_driver(tmp_path):
    root = _machine(tmp_path, "dev/nvidiactl")
    assert presence.detect(root, {}) == [("cuda", f"{root}/dev/nvidiactl", None)]
    folder = tmp_path / "own"
    _machine(folder, "libcuda.so.1")
    found = presence.detect(root, {"LD_LIBRARY_PATH": f"/nowhere:{folder}"})
    assert found[0].driver == f"{folder}/libcuda.so.1"


DETECTED = """
import warnings, covector as cv, covector.numpy as np
from covector.core import config
with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    config.detect_platform({root!r})
    config.Config._publish()
    print(cv.config.platforms, cv.config.sources["platforms"])
    x = np.arange(3.0)
    y = cv.jit(lambda a: a)(x)
    print(cv.default_backend(), x.device, y.device, x.committed)
    print(cv.config.platforms, cv.config.sources["platforms"], config.places_set())
print(len(said), *[w.message for w in said], sep="|")
"""


def test_the_machines_device_is_the_default(tmp_path, fake):
    root = _machine(tmp_path, *CUDA)
    out, _ = python(DETECTED.format(root=root), COVECTOR_PJRT_PLUGINS=f"cuda:{fake('WORKS')}")
    assert out.splitlines() == [
        "cuda detected", "gpu CudaDevice(id=0) CudaDevice(id=0) False", "cuda detected True", "0",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("how", "match"),
    [
        (None, "no plugin for cuda is installed; install it with pip install '.[cuda13]'"),
        ("REFUSES", "does not start: No visible GPU devices; no GPU is visible to this process"),
        ("LATER", "it is of version 1.81 of the PJRT interface"),
    ],
)
def test_a_device_that_does_not_start_is_said_once_and_the_cpu_is_used(tmp_path, fake, how, match):
    root = _machine(tmp_path, *CUDA)
    named = f"cuda:{fake(how)}" if how else ""
    out, _ = python(DETECTED.format(root=root), COVECTOR_PJRT_PLUGINS=named)
    first, *rest, said = out.splitlines()
    assert first == "cuda detected"
    assert rest == ["cpu CpuDevice(id=0) CpuDevice(id=0) False", "None default False"]
    assert said.startswith("1|this machine has a device of the platform cuda, which is not used: ")
    assert match in said and "\n" not in said


def test_what_is_asked_for_by_name_is_an_error(fake):
    code = (
        "import covector as cv\n"
        "for f in (lambda: cv.numpy.ones(3), lambda: cv.devices(), lambda: cv.devices('gpu')):\n"
        "    try: print(f())\n"
        "    except RuntimeError as e: print(str(e)[:60])\n"
        "print(cv.devices('cpu'))\n"
    )
    out, _ = python(
        code, COVECTOR_PJRT_PLUGINS=f"cuda:{fake('REFUSES')}", COVECTOR_PLATFORMS="cuda,cpu"
    )
    *errors, last = out.splitlines()
    assert last == "[CpuDevice(id=0)]" and len(errors) == 3
    assert all(e.startswith("the plugin for cuda (COVECTOR_PJRT_PLUGINS) does not") for e in errors)


def test_a_named_platform_is_not_looked_for(tmp_path, fake):
    root = _machine(tmp_path, *CUDA)
    out, _ = python(DETECTED.format(root=root), COVECTOR_PLATFORMS="cpu")
    assert out.splitlines() == [
        "cpu environment",
        "cpu CpuDevice(id=0) CpuDevice(id=0) False",
        "cpu environment False",
        "0",
    ]


def test_no_platform_stands_for_the_machines_device(tmp_path, fake, monkeypatch):
    root = _machine(tmp_path, *CUDA)
    code = (
        "import covector as cv\n"
        "from covector.core import config, presence\n"
        "look = presence.detect\n"
        f"presence.detect = lambda root: look({root!r})\n"
        "for given in ('cpu', None, 'cpu', ''):\n"
        "    cv.config.update('platforms', given)\n"
        "    print(cv.config.sources['platforms'], cv.numpy.ones(2).device)\n"
    )
    out, _ = python(code, COVECTOR_PJRT_PLUGINS=f"cuda:{fake('WORKS')}")
    assert out.splitlines() == ["set CpuDevice(id=0)", "detected CudaDevice(id=0)"] * 2


def test_gpus_of_all_makers_are_one_platform(fake):
    code = (
        "import pickle, covector as cv, covector.numpy as np\n"
        "gpu, = cv.devices('gpu')\n"
        "x = cv.device_put(np.arange(3.0), gpu)\n"
        "assert cv.devices('rocm') == [gpu] and x.platform() == gpu.platform == 'gpu'\n"
        "assert pickle.loads(pickle.dumps(gpu)) is gpu and gpu.client.platform == 'rocm'\n"
        "assert len(cv.live_arrays('gpu')) == len(cv.live_arrays('rocm')) == 1\n"
        "with cv.default_device('gpu'): print(np.ones(2).device, cv.jit(lambda a: a)(x).device)\n"
    )
    out, _ = python(code, COVECTOR_PJRT_PLUGINS=f"rocm:{fake('WORKS')}")
    assert out == "RocmDevice(id=0) RocmDevice(id=0)\n"


# --- what the client is made with ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("variables", "want"),
    [
        ({}, {"preallocate": False, "memory_fraction": 0.9}),
        (
            {"XLA_PYTHON_CLIENT_PREALLOCATE": "true", "XLA_PYTHON_CLIENT_MEM_FRACTION": ".5"},
            {"preallocate": True, "memory_fraction": 0.5},
        ),
        ({"XLA_CLIENT_MEM_FRACTION": "0.25"}, {"preallocate": False, "memory_fraction": 0.25}),
        ({"XLA_PYTHON_CLIENT_ALLOCATOR": "platform"}, {"allocator": "platform"}),
        (
            {"XLA_PYTHON_CLIENT_COLLECTIVE_MEM_SIZE_MB": "3"},
            {"preallocate": False, "memory_fraction": 0.9, "collective_memory_size": 3 << 20},
        ),
    ],
)
def test_memory_of_gpus(monkeypatch, variables, want):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert settings.client_options("cuda") == settings.client_options("rocm") == want
    assert settings.client_options("xla_cpu") == settings.client_options("tpu") == {}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("XLA_PYTHON_CLIENT_PREALLOCATE", "perhaps"),
        ("XLA_PYTHON_CLIENT_MEM_FRACTION", "-1"),
        ("XLA_PYTHON_CLIENT_MEM_FRACTION", "half"),
    ],
)
def test_variables_that_are_wrong(monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    with pytest.raises(RuntimeError, match=f"{name}='{value}': it takes"):
        settings.client_options("cuda")


def test_options_reach_the_client():
    code = "import covector as cv; print(len(cv.devices('xla_cpu')))"
    out, _ = python(code, COVECTOR_PJRT_CLIENT_CREATE_OPTIONS="cpu_device_count:3")
    assert out == "3\n"


def test_options_that_come_too_late(working):
    before = cv.config.read("pjrt_client_create_options")
    try:
        late = rf"comes too late for {working.platform}, .* made with \(none\): set it before"
        with pytest.warns(UserWarning, match=late):
            cv.config.update("pjrt_client_create_options", {"memory_fraction": 0.5})
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            cv.config.update("pjrt_client_create_options", "")  # what it was made with
            cv.config.update("cuda_visible_devices", "1")
    finally:
        cv.config.update("pjrt_client_create_options", before)
        cv.config.update("cuda_visible_devices", "all")


def test_the_tools_of_cuda_in_wheels(tmp_path, monkeypatch):
    assert settings.compile_flags("cuda", "x") == {} == settings.compile_flags("tpu", "x")
    for name in ("cu13/nvvm", "cuda_nvcc/nvvm"):
        (tmp_path / "nvidia" / name).mkdir(parents=True)
    monkeypatch.syspath_prepend(str(tmp_path))
    newer, older = (str(tmp_path / "nvidia" / name) for name in ("cu13", "cuda_nvcc"))
    for plugin, want in {"jax_plugins/xla_cuda13/x.so": newer, "xla_cuda12/x.so": older}.items():
        assert settings.compile_flags("cuda", plugin) == {"xla_gpu_cuda_data_dir": want}
    monkeypatch.setenv("XLA_FLAGS", "--xla_gpu_cuda_data_dir=/mine")
    assert settings.compile_flags("cuda", "x") == {}


def test_tpus_that_are_not_there_do_not_ask_the_network(monkeypatch):
    monkeypatch.delenv("TPU_SKIP_MDS_QUERY", raising=False)
    monkeypatch.setattr(presence, "detect", lambda: [])
    settings.prepare_environment("tpu")
    assert os.environ["TPU_SKIP_MDS_QUERY"] == "1"


# --- loading and starting -----------------------------------------------------------------------

BROKEN = {
    "NO_FUNCTION": "the library has no function GetPjrtApi: it is no PJRT plugin",
    "NOTHING": "GetPjrtApi returned nothing: it is no PJRT plugin",
    "TINY": "its table of functions has 8 bytes, too few to say which version it is of",
    "LATER": "it is of version 1.81 of the PJRT interface, and this version of Covector works with",
    "EARLIER": "it is of version 0.20 of the PJRT interface, and this version of Covector works",
    "LACKS": "it lacks PJRT_Client_Create, which every plugin of version 0.81 has",
    "SHORT": "it lacks PJRT_Client_Create, which every plugin of version 0.81 has",
    "INITIALIZE": "the driver is asleep",
    "REFUSES": "No visible GPU devices",
    "EMPTY": "it has no devices",
}


@pytest.mark.parametrize("how", BROKEN)
def test_broken_plugins(fake, named, how):
    platform = named(fake(how))
    for _ in range(2):
        with pytest.raises(RuntimeError) as e:
            cv.devices(platform)
        text = str(e.value)
        assert text.startswith(
            f"the plugin for {platform} (COVECTOR_PJRT_PLUGINS) does not start: "
        )
        assert BROKEN[how] in text and "\n" not in text
    assert float(cv.jit(lambda x: x + 1)(1.0)) == 2


def test_paths_that_are_no_library(named, tmp_path):
    (tmp_path / "text.so").write_text("no library")
    for path, why in {
        tmp_path / "nothing.so": "No such file",
        tmp_path / "text.so": "(file too short|invalid ELF header)",
        tmp_path: "(cannot read file data|Is a directory)",
    }.items():
        with pytest.raises(RuntimeError, match=f"does not start: {path}: .*does not load: .*{why}"):
            cv.devices(named(path))


@pytest.mark.parametrize(
    ("platform", "why", "advice"),
    [
        ("cuda", "CUDA_ERROR_OUT_OF_MEMORY: out of memory", "other processes use the memory"),
        ("cuda", "CUDA driver version is insufficient", "580 for CUDA 13"),
        ("cuda", "x.so: the library does not load: libcudart.so.13", r"\.\[cuda13\]"),
        ("tpu", "The TPU is already in use by process 3", "another process uses the device"),
        ("tpu", "No jellyfish device found.", "no TPU in /dev"),
        ("rocm", "the library does not load: librocprofiler", "ROCm's libraries"),
    ],
)
def test_what_to_do(platform, why, advice):
    found = plugins.Found(platform, "x.so", "wheel 1.0")
    with pytest.raises(RuntimeError, match=rf"{platform} \(wheel 1.0\) does not start: .*{advice}"):
        raise errors.not_started(found, RuntimeError(why))


# --- what fails on a device ---------------------------------------------------------------------


@pytest.fixture
def working(fake, named):
    return cv.devices(named(fake("WORKS")))[0]


def test_errors_of_the_device_surface_where_one_waits(working, monkeypatch):
    monkeypatch.setenv("FAKE_RESULTS", "fail")
    x = cv.device_put(np.arange(3.0), working)

    def falls(a):
        return a * 2

    for wait in (lambda y: y.block_until_ready(), onp.asarray, cv.block_until_ready, str):
        y = cv.jit(falls)(x)
        with pytest.raises(RuntimeError, match="while running falls: the device fell off the bus"):
            wait(y)
    assert x.tolist() == [0, 1, 2]
    y = cv.jit(falls)(x)
    y.copy_to_host_async()
    with pytest.raises(RuntimeError, match="while running falls: the device fell off"):
        y.tolist()


def test_errors_of_a_call(working, monkeypatch):
    monkeypatch.setenv("FAKE_RESULTS", "refuse")
    with pytest.raises(errors.DeviceError, match="while running f: the queue is full") as e:
        f = lambda a: a + 1  # noqa: E731
        f.__name__ = "f"
        cv.jit(f)(cv.device_put(np.arange(3.0), working))
    assert e.value.code == "INTERNAL"


def test_memory_that_is_full(working, monkeypatch):
    held = cv.device_put(np.zeros((100, 250)), working)
    monkeypatch.setenv("FAKE_MEMORY", "1000")
    with pytest.raises(MemoryError) as e:
        cv.device_put(np.zeros(1000), working)
    text = str(e.value)
    assert isinstance(e.value, errors.DeviceError) and "dump" in e.value.full
    assert text.startswith("RESOURCE_EXHAUSTED: Out of memory while trying to allocate.")
    assert "7.0 MB in use, 8.0 MB in all" in text and "float32[100,250] (100.0 KB)" in text
    assert "donate_argnums" in text and __file__ in text and held.shape == (100, 250)


@pytest.mark.platform
def test_large_arrays_of_one_value_are_made_on_the_device():
    code = (
        "import covector as cv, covector.numpy as np\n"
        "D = cv.devices('xla_cpu')[1]\n"
        "spread = cv.NamedSharding(cv.make_mesh((2,), ('x',), devices=cv.devices('xla_cpu')), "
        "cv.P('x'))\n"
        "held = np.ones(1 << 24, device=spread)\n"
        "fulls = [lambda n: np.ones(n, device=D), lambda n: np.zeros(n, 'int8', device=D), "
        "lambda n: np.full(n, -0.0, device=D), lambda n: np.ones_like(held, shape=n, device=D)]\n"
        "for f in fulls:\n"
        "    x = f(1 << 25)\n"
        "    print(x.device, x.committed, x.dtype, x.weak_type, x[7])\n"
        "    del x\n"
        "    try: f(1 << 48)\n"
        "    except MemoryError as e: print(str(e)[:18], '67.1 MB in 2,' in str(e))\n"
        "with cv.default_device(D):\n"
        "    x = np.zeros(1 << 24)\n"
        "    y = held.addressable_shards[1].data[5]\n"
        "    print(x.device, x.committed, held.sharding == spread, y)\n"
    )
    out, _ = python(code, COVECTOR_PJRT_CLIENT_CREATE_OPTIONS="cpu_device_count:2")
    assert out.split("\n") == [
        "XlaCpuDevice(id=1) True float32 False 1.0",
        "RESOURCE_EXHAUSTED True",
        "XlaCpuDevice(id=1) True int8 False 0",
        "RESOURCE_EXHAUSTED True",
        "XlaCpuDevice(id=1) True float32 True -0.0",
        "RESOURCE_EXHAUSTED True",
        "XlaCpuDevice(id=1) True float32 False 1.0",
        "RESOURCE_EXHAUSTED True",
        "XlaCpuDevice(id=1) False True 1.0",
        "",
    ]


REFUSED = {
    "-:3:10: error: it is not to be": "line",
    '{file}:{line}:0: error: "it" is not to be': "place",
    "it is not to be": "none",
}


@pytest.mark.parametrize("message", REFUSED)
def test_programs_that_the_compiler_refuses(working, monkeypatch, message):
    line = test_programs_that_the_compiler_refuses.__wrapped_line__
    text = message.format(file=__file__, line=line) + "\nmodule @f {\n" + "  page of text\n" * 100
    monkeypatch.setenv("FAKE_COMPILER", text)

    def sines(x):
        return np.sin(x)  # here

    with pytest.raises(errors.DeviceError) as e:
        cv.jit(sines)(cv.device_put(np.arange(3.0), working))
    said = str(e.value)
    assert said.startswith("the compiler for fake") and "refuses the program sines" in said
    assert "not to be" in said and len(said) < 1000
    if REFUSED[message] != "none":
        assert f"because of sin at {__file__}:{line} (sines): return np.sin(x)" in said
    assert e.value.full.count("page of text") > 10


@pytest.mark.platform
def test_what_xla_throws_names_the_program_and_the_line():
    def large(x):
        return np.broadcast_to(x, (1 << 40, 1 << 30)).sum()

    x = cv.device_put(1.0, cv.devices("xla_cpu")[0])
    with pytest.raises(
        errors.DeviceError, match="refuses the program large because of .*large"
    ) as e:
        cv.jit(large)(x)
    assert "StatusOr" not in str(e.value) and "overflow" in str(e.value)
    assert e.value.code == "INVALID_ARGUMENT"


test_programs_that_the_compiler_refuses.__wrapped_line__ = (
    pathlib.Path(__file__).read_text().split("\n").index("        return np.sin(x)  # here") + 1
)


def test_arrays_on_different_devices(working):
    other = cv.devices("xla_cpu")[0]
    x, y = (cv.device_put(np.arange(3.0), d) for d in (working, other))
    with pytest.raises(ValueError, match=r"f got .*argument a, float32\[3\], is on Fake.*b,.*Xla"):

        @cv.jit
        def f(a, b):
            return a + b

        f(x, y)


@pytest.mark.parametrize("wait", ["y.block_until_ready()", "numpy.asarray(y)", "y.tolist()"])
def test_control_c_while_a_device_is_busy(fake, wait):
    code = (
        "import os, signal, threading, numpy, covector as cv, covector.numpy as np\n"
        # Where the tests run in the background, a child would ignore it.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "x = cv.device_put(np.arange(3.0), cv.devices('fake')[0])\n"
        "y = cv.jit(lambda a: a * 2)(x)\n"
        "assert not y.is_ready() and x.is_ready()\n"
        "threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()\n"
        f"try: {wait}\n"
        "except KeyboardInterrupt: print('stopped', x.tolist())\n"
    )
    out, _ = python(code, COVECTOR_PJRT_PLUGINS=f"fake:{fake('WORKS')}", FAKE_RESULTS="never")
    assert out == "stopped [0.0, 1.0, 2.0]\n"


def test_a_forked_child_is_told():
    code = (
        "import os, covector as cv, covector.numpy as np\n"
        "x = cv.device_put(np.arange(3.0), cv.devices('xla_cpu')[0])\n"
        "r, w = os.pipe()\n"
        "if os.fork() == 0:\n"
        "    said = []\n"
        "    put = lambda: cv.device_put(np.ones(2), x.device)\n"
        "    for f in (lambda: x.tolist(), lambda: x + 1, put):\n"
        "        try: f()\n"
        "        except RuntimeError as e:\n"
        "            said.append(str(e).startswith('this process was forked') and "
        "'spawn' in str(e))\n"
        "    said.append(float(np.ones(2).sum()) == 2)\n"
        "    os.write(w, repr(said).encode())\n"
        "    del x\n"
        "    os._exit(0)\n"
        "os.wait(); print(os.read(r, 99).decode(), x.tolist())\n"
    )
    assert python(code)[0] == "[True, True, True, True] [0.0, 1.0, 2.0]\n"


@pytest.mark.parametrize("end", ["", "import sys; sys.exit(0)", "y = cv.jit(lambda a: a + 1)(x)"])
def test_the_interpreter_ends_with_arrays_on_devices(end):
    code = (
        "import covector as cv, covector.numpy as np\n"
        "x = cv.device_put(np.arange(3.0), cv.devices('xla_cpu')[0])\n"
        "class Late:\n"
        "    def __del__(self, x=x): x = None\n"
        "late = Late(); cycle = [x]; cycle.append(cycle)\n"
        f"f = cv.jit(lambda a: a * 2); y = f(x)\n{end}\n"
    )
    assert python(code) == ("", "")


def test_a_plugin_that_is_gone(fake):
    code = (
        "import covector as cv, covector.numpy as np\n"
        "try: print(cv.devices('fake'))\n"
        "except RuntimeError as e: print(e)\n"
    )
    out, _ = python(code, COVECTOR_PJRT_PLUGINS=f"fake:{fake('WORKS')}")
    assert out == "[FakeDevice(id=0)]\n"
    out, _ = python(code)
    assert out.startswith("unknown backend 'fake'; available: ")


def test_two_processes_on_one_device():
    code = (
        "import covector as cv; x = cv.device_put(1.0, cv.devices('xla_cpu')[0]); input(); print(x)"
    )
    run = [sys.executable, "-c", code]
    both = [
        subprocess.Popen(run, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    assert [p.communicate("\n")[0] for p in both] == ["1.0\n", "1.0\n"]


# --- arrays on devices --------------------------------------------------------------------------


def test_memories_of_devices():
    device = cv.devices("xla_cpu")[0]
    kinds = [m.kind for m in device.addressable_memories()]
    assert kinds[0] == device.default_memory().kind == "device" and "pinned_host" in kinds
    assert device.memory("pinned_host").addressable_by_devices() == [device]
    assert device.memory("pinned_host") == device.memory("pinned_host") != device.memory("device")
    with pytest.raises(ValueError, match="has no memory of the kind 'tape'; it has 'device'"):
        device.memory("tape")
    assert device.memory_stats() is None and device.local_hardware_id == 0
    assert isinstance(device, cv.Device) and isinstance(device.local_hardware_id, int)


def test_memory_statistics(working):
    assert working.memory_stats() == {"bytes_in_use": 7000000, "bytes_limit": 8000000}


def test_copies_that_go_on_meanwhile():
    device = cv.devices("xla_cpu")[0]
    x = onp.arange(12, dtype="f4").reshape(3, 4)
    y = cv.jit(lambda a: a.T * 2)(cv.device_put(x, device))
    for _ in range(2):
        y.copy_to_host_async()
    onp.testing.assert_array_equal(onp.asarray(y), x.T * 2)
    y.copy_to_host_async()
    z = cv.copy_to_host_async({"z": cv.device_put(x, device), "n": 3})
    onp.testing.assert_array_equal(onp.asarray(z["z"]), x)
    dropped = cv.jit(lambda a: a + 1)(z["z"])
    dropped.copy_to_host_async()
    dropped.delete()
    cv.device_put(onp.zeros((0, 3)), device).copy_to_host_async()
    with pytest.raises(RuntimeError, match="deleted"):
        dropped.copy_to_host_async()


def test_addresses_and_sizes_on_devices():
    device = cv.devices("xla_cpu")[0]
    x = cv.device_put(np.arange(12.0), device)
    y = cv.device_put(x, cv.devices("xla_cpu")[1])
    assert x.unsafe_buffer_pointer() != y.unsafe_buffer_pointer() and x.unsafe_buffer_pointer()
    assert x.on_device_size_in_bytes() == 48 == np.arange(12.0).on_device_size_in_bytes()
    x.delete()
    for name in ("unsafe_buffer_pointer", "on_device_size_in_bytes"):
        with pytest.raises(RuntimeError, match="deleted"):
            getattr(x, name)()


def test_donated_arrays_that_share_their_buffer():
    device = cv.devices("xla_cpu")[0]
    f = cv.jit(lambda a: a + 1, donate_argnums=0)
    x = cv.device_put(np.arange(3.0), device)
    shared = x._with_weak(True)
    assert f(x).tolist() == [1, 2, 3] and x.is_deleted()
    assert shared.tolist() == [0, 1, 2] and not shared.is_deleted()
    g = cv.jit(lambda a, b: (a + 1, b), donate_argnums=0)
    y = cv.device_put(np.arange(3.0), device)
    with pytest.raises(RuntimeError, match="given one array as two arguments"):
        g(y, y)


def test_arrays_of_a_platform():
    before = len(cv.live_arrays("xla_cpu"))
    x = cv.device_put(np.arange(3.0), cv.devices("xla_cpu")[1])
    assert len(cv.live_arrays("xla_cpu")) == before + 1
    assert not any(a is x for a in cv.live_arrays("cpu"))


# --- the command --------------------------------------------------------------------------------


def test_the_command_lists_the_plugins(fake):
    env = {**os.environ, "COVECTOR_PJRT_PLUGINS": f"fake:{fake('REFUSES')}"}
    run = [sys.executable, "-m", "covector"]
    text = subprocess.run(run, env=env, capture_output=True, text=True, check=True).stdout
    part = text.split("Plugins\n")[1].split("\n\n")[0]
    assert "xla_cpu" in part and "xla-cpu-pjrt" in part and "COVECTOR_PJRT_PLUGINS" in part
    found = subprocess.run([*run, "--json"], env=env, capture_output=True, text=True, check=True)
    assert (
        json.loads(found.stdout)["plugins"]["fake"] == f"COVECTOR_PJRT_PLUGINS: {fake('REFUSES')}"
    )


def test_the_program_of_the_page(fake):
    page = (pathlib.Path(__file__).parents[2] / "docs" / "devices.md").read_text()
    program = page.split("```python\n")[1].split("```")[0]
    out, _ = python(
        f"import covector as cv, covector.numpy as np\n{program}",
        COVECTOR_PJRT_PLUGINS=f"cuda:{fake('WORKS')}",
    )
    assert out == "CudaDevice(id=0) CudaDevice(id=0) True False\n"
