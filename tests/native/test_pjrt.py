"""The client of PJRT plugins: its binary interface against the plugins' header, and its handles
under stress."""

import importlib.util
import pathlib
import random
import subprocess
import threading
import time

import numpy as np
import pytest

from .conftest import CODE

SPEC = importlib.util.find_spec("xla_plugins.xla_cpu_pjrt")
PACKAGE = pathlib.Path(SPEC.submodule_search_locations[0])
FOLDER = pathlib.Path(__file__).parents[2] / "src" / "covector" / "backends" / "pjrt"


@pytest.fixture(scope="module")
def pjrt(native):
    if not hasattr(native, "pjrt"):
        native.load_pjrt()
        native.pjrt.set_types({CODE["f32"]: 11})
    return native.pjrt


@pytest.fixture(scope="module")
def client(pjrt):
    made = pjrt.create_client(pjrt.load(str(PACKAGE / "xla_cpu_pjrt.so")), {"cpu_device_count": 2})
    yield made
    made.close()


@pytest.fixture(scope="module")
def options():
    """`compile_options`, without the rest of the package."""
    spec = importlib.util.spec_from_file_location("_options", FOLDER / "options.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.compile_options


# --- the binary interface -----------------------------------------------------------------------

# Members that the header of this plugin has not: they are at the end, and read if they are there.
LATER = {
    ("PJRT_ExecuteOptions", name)
    for name in ("call_location", "num_tasks", "task_ids", "incarnation_ids")
} | {("PJRT_Device_MemoryStats_Args", "peak_pool_bytes")}


def _offsets(members, folder):
    """Where the header has them."""
    lines = [
        f'  std::printf("%zu %zu\\n", offsetof({s}, {m}), sizeof((({s}*)nullptr)->{m}));'
        for s, m in members
    ]
    source = folder / "offsets.cc"
    source.write_text(
        '#include <cstddef>\n#include <cstdio>\n#include "pjrt_c_api.h"\nint main() {\n'
        + "\n".join(lines)
        + "\n}\n"
    )
    program = folder / "offsets"
    include = f"-I{PACKAGE / 'include'}"
    subprocess.run(["c++", "-std=c++17", include, str(source), "-o", str(program)], check=True)
    out = subprocess.run([str(program)], capture_output=True, text=True, check=True).stdout
    return [tuple(map(int, line.split())) for line in out.splitlines()]


def test_members_lie_where_the_plugins_header_has_them(pjrt, tmp_path):
    ours = {(s, m): (offset, size) for s, m, offset, size in pjrt.layout()}
    assert len(ours) > 250
    members = [key for key in ours if key not in LATER]
    theirs = dict(zip(members, _offsets(members, tmp_path), strict=True))
    assert {key: ours[key] for key in members} == theirs


# --- handles --------------------------------------------------------------------------------------

PROGRAM = b"""
module @stress {
  func.func public @main(%a: tensor<64xf32> {tf.aliasing_output = 0 : i32}) -> tensor<64xf32> {
    %b = stablehlo.add %a, %a : tensor<64xf32>
    return %b : tensor<64xf32>
  }
}
"""


# Name, name in messages, placement, results with spare memory, callbacks.
LAST = ("double", "double", 0, [], [])


@pytest.fixture(scope="module")
def double(client, options):
    """A program that doubles 64 numbers, and may overwrite its argument."""
    loaded = client.compile(PROGRAM, options([0]))
    spec = [(CODE["f32"], (64,), False)]
    made = loaded.executable(0, spec, spec, [], *LAST)
    made.donate([0])
    return made


def test_threads_create_copy_donate_and_drop(client, double, array):
    """Each thread has a few arrays, of which it knows the values."""
    wrong = []

    def work(seed):
        choose = random.Random(seed)
        held = []
        for _ in range(300):
            what = choose.randrange(7)
            if what == 0 or not held:
                value = float(choose.randrange(1000))
                host = array(np.full(64, value, np.float32))
                held.append((client.put(host, choose.randrange(2), -1, 0), value))
                continue
            x, value = held.pop(choose.randrange(len(held)))
            if what == 1:
                held += [(x, value), (client.put(x, choose.randrange(2), -1, 0), value)]
            elif what == 2:
                (y,) = double.call([client.put(x, 0, -1, 0)])
                held.append((y, 2 * value))
            elif what == 3:
                x.delete()
            elif what == 4:
                x.copy_to_host_async()
                held.append((x, value))
            elif what == 5:
                held.append((x._with_weak(True), value))
            got = None if x.is_deleted() else np.asarray(x)
            if got is not None and not (got == value).all():
                wrong.append((seed, what, value, got[:3]))
            del held[8:]

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


@pytest.mark.parametrize("order", ["array first", "program first", "client first"])
def test_handles_die_in_any_order(pjrt, options, array, order):
    client = pjrt.create_client(pjrt.load(str(PACKAGE / "xla_cpu_pjrt.so")), {})
    loaded = client.compile(PROGRAM, options([0]))
    spec = [(CODE["f32"], (64,), False)]
    program = loaded.executable(0, spec, spec, [], *LAST)
    x = client.put(array(np.ones(64, np.float32)), 0, -1, 0)
    (y,) = program.call([x])
    y.copy_to_host_async()
    held = {"array": [x, y], "program": [loaded, program], "client": [client]}
    del x, y, loaded, program
    first = order.split()[0]
    if first == "client":
        client.close()
        assert not client.usable
        with pytest.raises(RuntimeError, match="closed"):
            held["array"][0].block_until_ready()
        with pytest.raises(RuntimeError, match="closed"):
            client.put(array(np.ones(64, np.float32)), 0, -1, 0)
    del client
    held.pop(first).clear()
    for rest in held.values():
        rest.clear()


def test_a_client_is_closed_under_running_threads(pjrt, options, array):
    client = pjrt.create_client(pjrt.load(str(PACKAGE / "xla_cpu_pjrt.so")), {})
    spec = [(CODE["f32"], (64,), False)]
    program = client.compile(PROGRAM, options([0])).executable(0, spec, spec, [], *LAST)
    said, started = [], threading.Barrier(4)

    def work(which):
        x = client.put(array(np.ones(64, np.float32)), 0, -1, 0)
        started.wait()
        try:
            while True:
                if which == 2:
                    client.compile(PROGRAM, options([0]))
                else:
                    (y,) = program.call([x])
                    y.block_until_ready()
        except RuntimeError as e:
            said.append("closed" in str(e))

    threads = [threading.Thread(target=work, args=(which,)) for which in range(3)]
    for t in threads:
        t.start()
    started.wait()
    time.sleep(0.3)
    client.close()
    for t in threads:
        t.join()
    assert said == [True] * 3
