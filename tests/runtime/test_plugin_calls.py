"""Native and Python functions called by programs of XLA's plugin for the CPU."""

import ctypes
import gc
import os
import re
import subprocess
import sys
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as onp
import pytest

import covector as cv
import covector.numpy as np
from covector import lax
from covector.backends.pjrt import mappings
from covector.core.avals import ShapedArray
from covector.experimental import io_callback
from covector.experimental.serialize_executable import deserialize_and_load, serialize
from covector.transforms.callbacks import call_checked

pytestmark = pytest.mark.platform
F32 = cv.ShapeDtypeStruct((), "float32")


@pytest.fixture
def device():
    found = cv.devices("xla_cpu")[0]
    with cv.default_device(found):
        yield found


def twice(x):
    return onp.asarray(x) * 2


# --- Python functions -----------------------------------------------------------------------


def test_pure_callbacks(device):
    seen = []

    def call(x):
        seen.append(x)
        return twice(x), onp.float32(7)

    @cv.jit
    def f(x):
        y, z = cv.pure_callback(call, (cv.ShapeDtypeStruct(x.shape, x.dtype), F32), x + 1)
        return y - z

    y = f(np.arange(3.0))
    assert y.device is device and y.tolist() == [-5, -3, -1]
    f(np.zeros(3))
    # What a callback keeps is its own.
    assert seen[0].tolist() == [1, 2, 3] and seen[1].tolist() == [1, 1, 1]


@pytest.mark.parametrize("method", ["sequential", "expand_dims", "broadcast_all"])
def test_mapped_callbacks(device, method):
    f = cv.vmap(lambda x: cv.pure_callback(twice, F32, x, vmap_method=method))
    assert cv.jit(f)(np.arange(3.0)).tolist() == [0, 2, 4]


def test_64_bits_on_another_thread():
    """A device calls from threads of its own, on which ``enable_x64`` as a context says nothing."""
    x, found = onp.arange(3.0), []
    thread = threading.Thread(
        target=lambda: found.extend(call_checked(lambda v: [v], [x], [ShapedArray((3,), x.dtype)]))
    )
    thread.start()
    thread.join()
    assert len(found) == 1 and found[0].dtype == "float64"


DTYPES = (
    "bool", "int4", "uint4", "int2", "float4_e2m1fn", "bfloat16", "float8_e5m2", "complex64",
    "uint64",
)  # fmt: skip


@pytest.mark.parametrize("dtype", DTYPES)
def test_elements_of_every_width(device, dtype):
    x = onp.array([1, 0, 1, 1, 0]).astype(np.dtype(dtype))
    with cv.enable_x64():
        shape = cv.ShapeDtypeStruct((5,), dtype)
        got = cv.jit(lambda x: cv.pure_callback(lambda v: onp.asarray(v)[::-1], shape, x))(x)
    onp.testing.assert_array_equal(onp.asarray(got), x[::-1])


def test_negative_numbers_of_four_bits(device):
    x = onp.array([-8, -1, 7]).astype(np.dtype("int4"))
    f = cv.jit(lambda x: cv.pure_callback(lambda v: v, cv.ShapeDtypeStruct((3,), "int4"), x))
    assert onp.asarray(f(x)).astype(int).tolist() == [-8, -1, 7]


def test_random_keys(device):
    seen = []
    cv.jit(lambda k: cv.debug.callback(seen.append, k))(cv.random.key(3))
    assert onp.array_equal(cv.random.key_data(seen[0]), cv.random.key_data(cv.random.key(3)))


def test_empty_arrays(device):
    shape = cv.ShapeDtypeStruct((0, 3), "float32")
    assert cv.jit(lambda x: cv.pure_callback(twice, shape, x))(np.zeros((0, 3))).shape == (0, 3)


def test_printing(device, capsys):
    @cv.jit
    def f(x):
        cv.debug.print("x = {}, y = {y}", x, y=x + 1)
        return x

    f(np.float32(1))
    cv.vmap(f)(np.arange(2.0))
    assert capsys.readouterr().out == "x = 1.0, y = 2.0\nx = 0.0, y = 1.0\nx = 1.0, y = 2.0\n"


def test_the_order_of_effects(device):
    seen = []

    def note(what, *values):
        seen.append((what, *[int(v) for v in values]))

    def tell(what, *values):
        cv.debug.callback(lambda *v: note(what, *v), *values, ordered=True)

    def odd():
        return io_callback(lambda: note("odd") or 1, I32, ordered=True)

    @cv.jit
    def f(x):
        tell("begin")

        def body(i, carry):
            tell("body", i)
            return carry + lax.cond(i % 2 == 1, lambda: odd(), lambda: np.int32(0))

        y = lax.fori_loop(0, 3, body, x)
        tell("between", y)
        y, _ = lax.scan(lambda c, v: (tell("scan", v), (c + v, None))[1], y, np.arange(2))
        y = lax.while_loop(lambda c: c < 3, lambda c: (tell("while", c), c + 1)[1], y)
        tell("end", y)
        return y

    I32 = cv.ShapeDtypeStruct((), "int32")
    want = [
        ("begin",), ("body", 0), ("body", 1), ("odd",), ("body", 2), ("between", 1), ("scan", 0),
        ("scan", 1), ("while", 2), ("end", 3),
    ]  # fmt: skip
    for _ in range(3):
        seen.clear()
        assert f(np.int32(0)) == 3
        assert seen == want
    with cv.default_device(cv.devices("cpu")[0]):
        seen.clear()
        f(np.int32(0))
    assert seen == want


def test_effects_without_results_happen_once_a_call(device):
    seen = []
    f = cv.jit(lambda x: cv.debug.callback(lambda v: seen.append(float(v)), x))
    g = cv.jit(lambda x: (io_callback(lambda v: seen.append(-float(v)), None, x), x)[1])
    f(1.0)
    f(2.0)
    g(3.0)
    assert seen == [1, 2, -3]


def test_exceptions_come_as_they_are_and_name_the_program(device):
    class Odd(Exception):
        pass

    def check(x):
        if x > 1:
            raise Odd(f"{x} is too much")
        return x

    @cv.jit
    def checked(x):
        return cv.pure_callback(check, F32, x) + 1

    assert checked(1.0) == 2
    with pytest.raises(Odd, match="2.0 is too much") as info:
        checked(2.0)
    assert info.value.__notes__ == ["while running checked"]
    assert any(frame.name == "check" for frame in info.traceback)
    assert checked(0.0) == 1
    with pytest.raises(ValueError, match="announced to return float32.*it returned an array of sh"):
        cv.jit(lambda x: cv.pure_callback(lambda v: onp.zeros(3), F32, x))(1.0)
    effect = cv.jit(lambda x: cv.debug.callback(check, x, ordered=True))
    with pytest.raises(Odd, match="5.0"):
        effect(5.0)


def test_functions_live_as_long_as_their_programs(device):
    class Callback:
        def __call__(self, x):
            return twice(x)

    callback = Callback()
    gone = weakref.ref(callback)
    f = cv.jit(lambda x, c=callback: cv.pure_callback(c, F32, x))
    del callback
    gc.collect()
    assert f(2.0) == 4
    del f
    cv.clear_caches()
    gc.collect()
    assert gone() is None


def test_callbacks_that_compute_and_threads(device):
    inner = cv.jit(lambda x: x + 1)

    def call(x):
        with cv.default_device(cv.devices("cpu")[0]):
            return inner(onp.asarray(x))

    f = cv.jit(lambda x: cv.pure_callback(call, F32, x) * 2)
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(f, onp.arange(40, dtype="float32"))) == [2 * k + 2 for k in range(40)]
    here = threading.get_ident()
    large = cv.ShapeDtypeStruct((400, 400), "float32")
    seen = []
    g = cv.jit(lambda x: cv.pure_callback(lambda v: (seen.append(here), v)[1], large, x @ x) @ x)
    assert g(np.eye(400)).sum() == 400 and seen


def test_programs_with_callbacks_are_found_on_disk(tmp_path):
    code = """
import covector as cv, covector.numpy as np
with cv.default_device(cv.devices("xla_cpu")[0]):
    counts = []
    from covector import monitoring
    monitoring.register_event_listener(lambda name, **k: counts.append(name))
    f = cv.jit(lambda x: cv.pure_callback(lambda v: v + 1, cv.ShapeDtypeStruct((), "float32"), x))
    print(float(f(1.0)), any("hit" in c for c in counts))
"""
    env = {**os.environ, "XDG_CACHE_HOME": str(tmp_path)}
    runs = [
        subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
        for _ in range(2)
    ]
    assert [r.stdout.split() for r in runs] == [["2.0", "False"], ["2.0", "True"]], runs


def test_devices_that_cannot_call_python():
    f = cv.jit(lambda x: cv.pure_callback(twice, F32, x))
    for platform in ("cuda", "tpu"):
        with pytest.raises(NotImplementedError, match=f"a program for {platform} cannot call the "
                                                      "Python function twice"):  # fmt: skip
            f.trace(1.0).lower(lowering_platforms=(platform,)).as_text()


# --- native functions -----------------------------------------------------------------------

CODE = r"""
#include "covector/ffi.h"

namespace ffi = covector::ffi;

static int64_t calls = 0;
COVECTOR_FFI_EXPORT int64_t number_of_calls() { return calls; }

/* x * by + bias, the dimensions of x, and how often it was called. */
static void scaled(const covector_ffi_frame* frame) {
  ++calls;
  auto x = ffi::arg<float>(frame, 0);
  auto y = ffi::result<float>(frame, 0);
  auto by = ffi::attribute<double>(frame, "by");
  if (by == 0) throw ffi::Error("by zero");
  for (int64_t i = 0; i < x.size; ++i) y[i] = float(x[i] * by);
  if (frame->results.count > 1)
    for (int64_t d = 0; d < x.rank; ++d) ffi::result<int32_t>(frame, 1)[d] = int32_t(x.dims[d]);
}
COVECTOR_FFI_HANDLER(scaled_handler, scaled, 1, -1)

/* Whether the result is in the memory of the argument. */
static void in_place(const covector_ffi_frame* frame) {
  auto y = ffi::result<float>(frame, 0);
  if (covector_ffi_arg(frame, 0)->data != y.data) throw ffi::Error("not in place");
  for (float& v : y) v += 1;
}
COVECTOR_FFI_HANDLER(in_place_handler, in_place, 1, 1)

COVECTOR_FFI_EXPORT covector_ffi_error* of_0_3(covector_ffi_frame* frame) {
  covector_ffi_error* error;
  if (!covector_ffi_begin(frame, -1, -1, &error)) return NULL;
  auto* metadata = ((covector_ffi_metadata_extension*)frame->extensions)->metadata;
  metadata->version.minor_version = 3;
  return error;
}
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ffi")
    (folder / "lib.cc").write_text(CODE)
    command = ["c++", "-std=c++17", "-shared", "-fPIC", "-I", cv.ffi.include_dir()]
    subprocess.run([*command, "lib.cc", "-o", "lib.so"], cwd=folder, check=True)
    lib = ctypes.CDLL(str(folder / "lib.so"))
    lib.number_of_calls.restype = ctypes.c_int64
    cv.ffi.register_ffi_target("p_scaled", cv.ffi.pycapsule(lib.scaled_handler))
    cv.ffi.register_ffi_target("p_in_place", cv.ffi.pycapsule(lib.in_place_handler), "xla_cpu")
    cv.ffi.register_ffi_target("p_of_0_3", cv.ffi.pycapsule(lib.of_0_3))
    cv.ffi.register_ffi_target("p_cuda", cv.ffi.pycapsule(lib.in_place_handler), platform="CUDA")
    return lib


X = onp.arange(6, dtype="float32").reshape(2, 3)


def test_one_function_for_both_compilers(library, device):
    call = cv.ffi.ffi_call("p_scaled", cv.ShapeDtypeStruct((2, 3), "float32"))
    f = cv.jit(lambda x: call(x, by=3, note='a "quoted" \\ text', table=[1.5, 2.5]) + 1)
    y = f(X)
    assert y.device is device
    onp.testing.assert_array_equal(y, X * 3 + 1)
    with pytest.raises(RuntimeError, match=r"it calls the native function p_scaled\): .*by zero"):
        cv.jit(lambda x: call(x, by=0.0))(X).block_until_ready()
    with pytest.raises(RuntimeError, match=r"while running ffi_call of p_scaled .*by zero"):
        call(cv.device_put(X, device), by=0.0).block_until_ready()
    loaded = deserialize_and_load(*serialize(f.lower(X).compile()))
    onp.testing.assert_array_equal(loaded(X), y)
    on_cpu = cv.jit(lambda x: call(x, by=3), backend="cpu").lower(X).compile()
    with pytest.raises(ValueError, match="or a native one that was registered"):
        serialize(on_cpu)


def test_mapped_native_functions(library, device):
    outs = [cv.ShapeDtypeStruct((), "float32"), cv.ShapeDtypeStruct((0,), "int32")]
    call = cv.ffi.ffi_call("p_scaled", outs, vmap_method="sequential")
    f = cv.jit(cv.vmap(cv.vmap(lambda x: call(x, by=2.0))))
    before = library.number_of_calls()
    y, dims = f(X)
    onp.testing.assert_array_equal(y, X * 2)
    assert dims.shape == (2, 3, 0) and library.number_of_calls() == before + 6


def test_layouts(library, device):
    outs = [cv.ShapeDtypeStruct((2, 3), "float32"), cv.ShapeDtypeStruct((2,), "int32")]
    for layouts in ([(1, 0)], None), (None, [(1, 0), (0,)]), ([(1, 0)], [(1, 0), None]):
        call = cv.ffi.ffi_call(
            "p_scaled", outs, input_layouts=layouts[0], output_layouts=layouts[1],
            vmap_method="sequential",
        )  # fmt: skip
        f = cv.jit(lambda x, call=call: call(x, by=2.0))
        y, dims = f(X)
        want, _ = _on_cpu(f, X)
        onp.testing.assert_array_equal(y, want)
        assert dims.tolist() == [2, 3]
        onp.testing.assert_array_equal(cv.vmap(f)(X[None])[0][0], want)


def _on_cpu(f, *args):
    with cv.default_device(cv.devices("cpu")[0]):
        return f(*args)


def test_memory_shared_with_a_result(library, device):
    call = cv.ffi.ffi_call(
        "p_in_place", cv.ShapeDtypeStruct((2, 3), "float32"), input_output_aliases={0: 0}
    )
    x = np.asarray(X)
    onp.testing.assert_array_equal(cv.jit(lambda x: call(x * 1))(x), X + 1)
    onp.testing.assert_array_equal(x, X)
    with pytest.raises(ValueError, match="no native function 'p_in_place' for cpu"):
        _on_cpu(call, X)


def test_functions_with_effects_are_called_without_a_result(library, device):
    call = cv.ffi.ffi_call("p_scaled", F32, has_side_effect=True)
    f = cv.jit(lambda x: (call(x, by=2.0), x + 1)[1])
    before = library.number_of_calls()
    f(1.0).block_until_ready()
    assert library.number_of_calls() == before + 1


def test_functions_that_do_not_fit(library, device):
    with pytest.raises(
        RuntimeError, match=r"built for version 0.3 .*, the plugin of xla_cpu has 0.2"
    ):
        cv.jit(cv.ffi.ffi_call("p_of_0_3", F32))(1.0)
    with pytest.raises(ValueError, match="no native function 'p_cuda' for xla_cpu"):
        cv.jit(cv.ffi.ffi_call("p_cuda", F32))(1.0)
    text = cv.jit(cv.ffi.ffi_call("p_cuda", F32)).trace(1.0).lower(lowering_platforms="cuda")
    assert re.search(r'call_target_name = "p_cuda", api_version = 4 : i32', text.as_text())
    with pytest.raises(
        NotImplementedError, match="do not run on a TPU: call p_scaled in a program"
    ):
        cv.jit(cv.ffi.ffi_call("p_scaled", F32)).trace(1.0).lower(
            lowering_platforms="tpu"
        ).as_text()


def test_states_need_a_later_version_of_the_plugin():
    number = ctypes.c_int64(0)
    capsule = cv.ffi.pycapsule(ctypes.pointer(number))
    with pytest.raises(ValueError, match=r"xla_cpu has version 0.2 .* to be had from 0.3 on"):
        cv.ffi.register_ffi_type_id("p_units", capsule, platform="xla_cpu")
    assert number.value == 0


def test_programs_leave_memory_mappings_free(device, monkeypatch):
    """XLA's programs take some each, and where there are none XLA ends the process."""
    clear = []
    forget = mappings.clear_all
    monkeypatch.setattr(mappings, "EVERY", 1)
    monkeypatch.setattr(mappings, "clear_all", lambda: (clear.append(1), forget())[1])
    most = int((mappings.used() + 300) / 0.6)
    monkeypatch.setattr(mappings, "allowed", lambda: most)
    for n in range(1, 120):
        x = np.asarray(onp.arange(n, dtype="float32"))
        assert float((x * 2 + 1).sum()) == n * n
        assert mappings.used() < most
    assert clear
    monkeypatch.setattr(mappings, "allowed", lambda: 10)
    with pytest.raises(MemoryError, match="max_map_count.*clear_caches"):
        cv.jit(lambda x: x * 3 + 4)(np.arange(7))


# --- options of the compiler ------------------------------------------------------------------


def test_options_of_the_compiler(device):
    x = np.array([1.0, np.nan])
    fast = {"xla_cpu_enable_fast_min_max": True}
    # They are of one program; the same function without is another.
    plain, quick = cv.jit(np.max), cv.jit(np.max, compiler_options=fast)
    assert np.isnan(plain(x)) and quick(x) == 1 and np.isnan(plain(x))
    lowered = cv.jit(lambda x: np.max(x)).lower(x)
    assert lowered.compile(fast)(x) == 1 and np.isnan(lowered.compile()(x))
    # Those of a compilation go before those of the function.
    both = quick.lower(x).compile({"xla_cpu_enable_fast_min_max": False})
    assert np.isnan(both(x))
    for options, problem in (
        ({"nonsense": 1}, "No such compile option: 'nonsense'"),
        ({"xla_cpu_enable_fast_min_max": "maybe"}, "'maybe' is not a valid bool"),
    ):
        with pytest.raises(cv.errors.JaxRuntimeError, match=problem):
            cv.jit(lambda x: x + 1, compiler_options=options)(x)
