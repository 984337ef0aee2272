"""Native functions of users: the examples of the documentation, attributes, mapping, errors."""

import ctypes
import gc
import re
import shlex
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as onp
import pytest

import covector as cv
import covector.numpy as np
from covector.extend.core import Primitive
from covector.interpreters import mlir

PAGE = (Path(__file__).parents[1] / "docs" / "native-functions.md").read_text()

MORE = r"""
#include "covector/ffi.h"

/* The sum of all numbers, and the lengths of all strings. */
static double total_of(const covector_ffi_attributes* all) {
  double total = 0;
  for (int64_t k = 0; k < all->count; ++k) {
    if (all->kinds[k] == COVECTOR_FFI_STRING)
      total += (double)((covector_ffi_text*)all->items[k])->size;
    if (all->kinds[k] == COVECTOR_FFI_DICT)
      total += total_of((covector_ffi_attributes*)all->items[k]);
    if (all->kinds[k] == COVECTOR_FFI_ARRAY) {
      covector_ffi_array* a = (covector_ffi_array*)all->items[k];
      for (size_t i = 0; i < a->size; ++i)
        total += a->dtype == COVECTOR_FFI_BOOL ? ((const char*)a->data)[i]
                                               : ((const double*)a->data)[i];
    }
  }
  return total;
}
static covector_ffi_error* attributes(const covector_ffi_frame* frame) {
  static const char* names[] = {"a", "b", "e", "f"};
  double total = total_of(&frame->attributes), x;
  int64_t k;
  for (k = 0; k < 4; ++k)
    if (frame->attributes.count) {
      covector_ffi_error* error = covector_ffi_float(frame, names[k], &x);
      if (error) return error;
      total += x;
    }
  ((double*)covector_ffi_result(frame, 0)->data)[0] = total;
  return NULL;
}

/* Dot product of two vectors, the number of axes of the first. */
static covector_ffi_error* dot(const covector_ffi_frame* frame) {
  const covector_ffi_buffer *x = covector_ffi_arg(frame, 0), *y = covector_ffi_arg(frame, 1);
  if (x->rank != 1) return covector_ffi_fail(frame, "x must be a vector");
  float total = 0;
  for (int64_t i = 0; i < x->dims[0]; ++i) total += ((float*)x->data)[i] * ((float*)y->data)[i];
  *(float*)covector_ffi_result(frame, 0)->data = total;
  *(int32_t*)covector_ffi_result(frame, 1)->data = (int32_t)x->rank;
  return NULL;
}

/* Adds to what its result holds already, and says whether that is the argument's memory. */
static covector_ffi_error* accumulate(const covector_ffi_frame* frame) {
  const covector_ffi_buffer* y = covector_ffi_result(frame, 0);
  if (covector_ffi_arg(frame, 0)->data != y->data) return covector_ffi_fail(frame, "not in place");
  for (int64_t i = 0; i < covector_ffi_size(y); ++i)
    ((float*)y->data)[i] += ((float*)covector_ffi_arg(frame, 1)->data)[i];
  return NULL;
}

/* Dimensions and elements of a matrix, as they come. */
static covector_ffi_error* look(const covector_ffi_frame* frame) {
  const covector_ffi_buffer* x = covector_ffi_arg(frame, 0);
  int32_t* out = (int32_t*)covector_ffi_result(frame, 0)->data;
  for (int64_t d = 0; d < x->rank; ++d) *out++ = (int32_t)x->dims[d];
  memcpy(out, x->data, (size_t)covector_ffi_size(x) * 4);
  memcpy(covector_ffi_result(frame, 1)->data, x->data, (size_t)covector_ffi_size(x) * 4);
  return NULL;
}

static int64_t calls;
static covector_ffi_error* count(const covector_ffi_frame* frame) {
  (void)frame;
  ++calls;
  return NULL;
}
COVECTOR_FFI_EXPORT int64_t number_of_calls(void) { return calls; }

static covector_ffi_error* full(const covector_ffi_frame* frame) {
  return covector_ffi_error_of(frame, COVECTOR_FFI_RESOURCE_EXHAUSTED, "%s", "");
}

COVECTOR_FFI_HANDLER(attributes_handler, attributes, 0, 1)
COVECTOR_FFI_HANDLER(dot_handler, dot, 2, 2)
COVECTOR_FFI_HANDLER(accumulate_handler, accumulate, 2, 1)
COVECTOR_FFI_HANDLER(count_handler, count, -1, -1)
COVECTOR_FFI_HANDLER(look_handler, look, 1, 2)
COVECTOR_FFI_HANDLER(full_handler, full, -1, -1)

static covector_ffi_error* of_version(covector_ffi_frame* frame, int major, int minor) {
  covector_ffi_metadata* metadata =
      ((covector_ffi_metadata_extension*)frame->extensions)->metadata;
  metadata->version.major_version = major;
  metadata->version.minor_version = minor;
  return NULL;
}
COVECTOR_FFI_EXPORT covector_ffi_error* late_handler(covector_ffi_frame* frame) {
  return of_version(frame, 0, 99);
}
COVECTOR_FFI_EXPORT covector_ffi_error* other_handler(covector_ffi_frame* frame) {
  return of_version(frame, 1, 0);
}
COVECTOR_FFI_EXPORT covector_ffi_error* silent_handler(covector_ffi_frame* frame) {
  (void)frame;
  return NULL;
}
COVECTOR_FFI_EXPORT covector_ffi_error* refusing_handler(covector_ffi_frame* frame) {
  return covector_ffi_fail(frame, "not on a %s", "Monday");
}
"""

STAGES = r"""
#include "covector/ffi.h"

#include <atomic>
#include <thread>
#include <vector>

namespace ffi = covector::ffi;

static std::atomic<int> alive{0};
struct Count {
  int64_t stages;
  Count(int64_t n) : stages(n) { ++alive; }
  ~Count() { --alive; }
};
COVECTOR_FFI_EXPORT int objects_alive() { return alive; }
COVECTOR_FFI_EXPORT covector_ffi_type_id count_type;
covector_ffi_type_id count_type = {0};
COVECTOR_FFI_EXPORT const covector_ffi_type_info count_info;
const covector_ffi_type_info count_info = {
    sizeof(covector_ffi_type_info), nullptr, [](void* x) { delete static_cast<Count*>(x); }};

static void checked(const covector_ffi_frame* frame, covector_ffi_error* error) {
  if (!error) return;
  covector_ffi_error_get_message text{sizeof text, nullptr, error, nullptr};
  frame->api->error_get_message(&text);
  std::string message = text.message;
  covector_ffi_error_destroy gone{sizeof gone, nullptr, error};
  frame->api->error_destroy(&gone);
  throw ffi::Error(message);
}
static void set(const covector_ffi_frame* frame, covector_ffi_stage stage, int64_t n) {
  covector_ffi_state args{sizeof args, nullptr, frame->context, stage, &count_type, new Count(n)};
  covector_ffi_error* error = frame->api->state_set(&args);
  if (error) delete static_cast<Count*>(args.state);
  checked(frame, error);
}
static Count* get(const covector_ffi_frame* frame, covector_ffi_stage stage) {
  covector_ffi_state args{sizeof args, nullptr, frame->context, stage, &count_type, nullptr};
  checked(frame, frame->api->state_get(&args));
  return static_cast<Count*>(args.state);
}
static void instantiate(const covector_ffi_frame* frame) {
  if (frame->args.count) throw ffi::Error("no arguments were expected");
  set(frame, COVECTOR_FFI_INSTANTIATE, ffi::attribute<int64_t>(frame, "start"));
}
static void prepare(const covector_ffi_frame* frame) {
  set(frame, COVECTOR_FFI_PREPARE, get(frame, COVECTOR_FFI_INSTANTIATE)->stages + 10);
}
static void initialize(const covector_ffi_frame* frame) {
  set(frame, COVECTOR_FFI_INITIALIZE, get(frame, COVECTOR_FFI_PREPARE)->stages + 100);
}
static void execute(const covector_ffi_frame* frame) {
  *ffi::result<int32_t>(frame, 0).data = int32_t(get(frame, COVECTOR_FFI_INITIALIZE)->stages);
}
static void twice(const covector_ffi_frame* frame) {
  set(frame, COVECTOR_FFI_INSTANTIATE, 1);
  set(frame, COVECTOR_FFI_INSTANTIATE, 2);
}
COVECTOR_FFI_HANDLER(instantiate_handler, instantiate, -1, -1)
COVECTOR_FFI_HANDLER(prepare_handler, prepare, -1, -1)
COVECTOR_FFI_HANDLER(initialize_handler, initialize, -1, -1)
COVECTOR_FFI_HANDLER(execute_handler, execute, 0, 1)
COVECTOR_FFI_HANDLER(twice_handler, twice, -1, -1)

// Computes on another thread, and says so by a future.
static covector_ffi_error* later(covector_ffi_frame* frame) {
  covector_ffi_future_create made{sizeof made, nullptr, nullptr};
  if (covector_ffi_error* error = frame->api->future_create(&made)) return error;
  frame->future = made.future;
  struct Work {
    const covector_ffi_api* api;
    covector_ffi_future* future;
    float x;
    float* y;
  };
  float x = *ffi::arg<float>(frame, 0).data;
  auto* work = new Work{frame->api, made.future, x, ffi::result<float>(frame, 0).data};
  auto task = [](void* data) {
    auto* w = static_cast<Work*>(data);
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    *w->y = w->x + 1;
    covector_ffi_error_create failed{sizeof failed, nullptr, "negative", COVECTOR_FFI_INTERNAL};
    if (w->x < 0) {
      covector_ffi_future_set_error args{sizeof args, nullptr, w->future,
                                         w->api->error_create(&failed)};
      w->api->future_set_error(&args);
    } else {
      covector_ffi_future_set_available args{sizeof args, nullptr, w->future};
      w->api->future_set_available(&args);
    }
    delete w;
  };
  covector_ffi_threads_schedule args{sizeof args, nullptr, frame->context, task, work};
  return frame->api->threads_schedule(&args);
}
COVECTOR_FFI_HANDLER(later_handler, later, 1, 1)

// What else the table offers; tasks that wait for each other's work.
static void services(const covector_ffi_frame* frame) {
  auto* api = frame->api;
  covector_ffi_memory_allocate memory{sizeof memory, nullptr, frame->context, 100, 256, nullptr};
  checked(frame, api->memory_allocate(&memory));
  if (uintptr_t(memory.data) % 256) throw ffi::Error("not aligned");
  memset(memory.data, 1, 100);
  covector_ffi_memory_free free{sizeof free, nullptr, frame->context, 100, memory.data};
  checked(frame, api->memory_free(&free));
  int64_t threads = 0;
  covector_ffi_threads_count count{sizeof count, nullptr, frame->context, &threads};
  checked(frame, api->threads_count(&count));
  if (threads < 1) throw ffi::Error("no threads");
  std::atomic<int> done{0};
  for (int k = 0; k < 50; ++k) {
    covector_ffi_threads_schedule args{sizeof args, nullptr, frame->context,
                                       [](void* d) { ++*static_cast<std::atomic<int>*>(d); },
                                       &done};
    checked(frame, api->threads_schedule(&args));
  }
  while (done < 50) std::this_thread::yield();
  covector_ffi_run_id_get run{sizeof run, nullptr, frame->context, 0}, again = run;
  checked(frame, api->run_id_get(&run));
  checked(frame, api->run_id_get(&again));
  if (!run.run_id || run.run_id != again.run_id) throw ffi::Error("no number of the run");
  covector_ffi_device_get device{sizeof device, nullptr, frame->context, -1};
  checked(frame, api->device_get(&device));
  *ffi::result<int32_t>(frame, 0).data = device.device;
  if (ffi::attribute<std::string_view>(frame, "what") == "stream") {
    covector_ffi_stream_get args{sizeof args, nullptr, frame->context, nullptr};
    checked(frame, api->stream_get(&args));
  }
  if (ffi::attribute<std::string_view>(frame, "what") == "throw") throw 1;
}
COVECTOR_FFI_HANDLER(services_handler, services, 0, 1)

// Waits until Python has run in another thread.
static std::atomic<int> told{0};
COVECTOR_FFI_EXPORT void tell() { told = 1; }
static covector_ffi_error* waits(const covector_ffi_frame* frame) {
  for (int k = 0; k < 5000 && !told; ++k)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  return told ? nullptr : covector_ffi_fail(frame, "nobody told me");
}
COVECTOR_FFI_HANDLER(waits_handler, waits, -1, -1)

COVECTOR_FFI_EXPORT covector_ffi_error* throws_handler(covector_ffi_frame* frame) {
  covector_ffi_error* error;
  if (covector_ffi_begin(frame, -1, -1, &error)) return error;
  throw std::runtime_error("from C++");
}
"""


@pytest.fixture(scope="session")
def library(tmp_path_factory):
    """The functions of this file and of the page, compiled by the commands of the page.

    Their names are those of the process, whatever other tests run between."""
    folder = tmp_path_factory.mktemp("ffi")
    blocks = {
        name: re.findall(rf"^```{re.escape(name)}\n(.*?)^```$", PAGE, re.M | re.S)
        for name in ("c", "c++", "sh", "python")
    }
    (folder / "rms_norm.c").write_text(blocks["c"][0])
    (folder / "running_sums.cc").write_text(blocks["c++"][0])
    (folder / "more.c").write_text(MORE)
    (folder / "stages.cc").write_text(STAGES)
    commands = blocks["sh"][0].replace("\\\n", " ").strip().splitlines()
    for command, more in zip(commands, ("more.c", "stages.cc"), strict=True):
        command = re.sub(r"\$\(.*?\)\s", shlex.quote(cv.ffi.include_dir()) + " ", command)
        command = command.replace("-O2", "-O2 -Wall -Wextra -Werror")
        subprocess.run([*shlex.split(command), more], cwd=folder, check=True)
    names = {}
    (python,) = blocks["python"]
    exec(python.replace('"./librms_norm.so"', repr(str(folder / "librms_norm.so"))), names)
    lib = names["library"]
    for name in ("attributes", "dot", "accumulate", "count", "look", "full"):
        cv.ffi.register_ffi_target(name, cv.ffi.pycapsule(getattr(lib, f"{name}_handler")))
    lib.normalised = names["normalised"]
    lib.number_of_calls.restype = ctypes.c_int64
    lib.cpp = ctypes.CDLL(str(folder / "librunning_sums.so"))
    for name in ("running_sums", "later", "services", "throws", "waits"):
        cv.ffi.register_ffi_target(name, cv.ffi.pycapsule(getattr(lib.cpp, f"{name}_handler")))
    return lib


F32 = cv.ShapeDtypeStruct((), "float32")
I32 = cv.ShapeDtypeStruct((), "int32")


def test_the_example_of_the_page(library):
    x = onp.random.default_rng(0).normal(size=(3, 4)).astype("float32")
    want = x / onp.sqrt((x**2).mean(1, keepdims=True) + 1e-5)
    onp.testing.assert_allclose(library.normalised(x), want, rtol=1e-6)
    eager = cv.ffi.ffi_call("rms_norm", cv.ShapeDtypeStruct(x.shape, x.dtype))(x, eps=1e-5)
    onp.testing.assert_allclose(eager, want, rtol=1e-6)
    fused = cv.jit(lambda x: library.normalised(-x) + 1)(x)
    onp.testing.assert_allclose(fused, 1 - want, rtol=1e-5, atol=1e-6)
    onp.testing.assert_allclose(cv.vmap(library.normalised)(x), want, rtol=1e-6)


def test_attributes(library):
    with cv.enable_x64():
        call = cv.ffi.ffi_call("attributes", cv.ShapeDtypeStruct((), "float64"))
        given = dict(a=3, b=0.25, c="four", d=onp.array([[1.5], [2.5]]), e=True, f=onp.float32(0.5))
        inner = {"x": b"six..!", "y": {"z": [1.0, 2.0], "truths": [True, True]}}
        inner |= {"empty": onp.zeros(0), "half": onp.float16(1)}
        assert cv.jit(lambda: call(**given, g=inner))() == 3 + 0.25 + 4 + 4 + 1 + 0.5 + 6 + 3 + 2
        assert call() == 0
    for value in (object(), 1j, 2**63, onp.array(["x"]), None):
        with pytest.raises(TypeError, match="attribute 'g'.*must be a real number, a string"):
            call(g=value)
    with pytest.raises(RuntimeError, match="attributes failed: the attribute a must be a real"):
        call(**{**given, "a": "three"})
    with pytest.raises(TypeError, match="'g' .* must be known when the function is traced"):
        cv.jit(lambda x: call(g=x))(1.0)


@pytest.mark.parametrize("method", ["sequential", "sequential_unrolled"])
def test_each_element_is_a_call_of_its_own(library, method):
    call = cv.ffi.ffi_call("dot", [F32, I32], vmap_method=method)
    x = onp.arange(24, dtype="float32").reshape(2, 3, 4)
    y = onp.arange(8, dtype="float32").reshape(2, 4)
    got, ndim = cv.jit(cv.vmap(cv.vmap(call, (0, None)), (0, 0)))(x, y)
    onp.testing.assert_array_equal(got, onp.einsum("ijk,ik->ij", x, y))
    assert ndim.shape == (2, 3) and (ndim == 1).all()
    got, _ = cv.vmap(call, (1, None))(x[0].T, y[0])
    onp.testing.assert_array_equal(got, x[0] @ y[0])
    assert cv.vmap(call)(x[0, :0], x[0, :0])[0].shape == (0,)


def test_one_call_for_a_batch(library):
    rows = cv.ShapeDtypeStruct((4,), "float32")
    for method in ("broadcast_all", "expand_dims"):
        call = cv.ffi.ffi_call("rms_norm", rows, vmap_method=method)
        x = np.ones((3, 4))
        assert cv.vmap(lambda x, call=call: call(x, eps=0.0))(x).shape == (3, 4)
    with pytest.raises(NotImplementedError, match="give ffi_call a vmap_method"):
        cv.vmap(lambda x: cv.ffi.ffi_call("rms_norm", rows)(x, eps=0.0))(np.ones((3, 4)))


def test_an_argument_in_the_memory_of_a_result(library):
    vector = cv.ShapeDtypeStruct((3,), "float32")
    call = cv.ffi.ffi_call("accumulate", vector, input_output_aliases={0: 0})
    x, y = np.arange(3.0), np.ones(3)
    assert cv.jit(call)(x, y).tolist() == [1, 2, 3]
    assert x.tolist() == [0, 1, 2]
    with pytest.raises(RuntimeError, match="native function accumulate failed: not in place"):
        cv.ffi.ffi_call("accumulate", vector)(x, y)
    with pytest.raises(ValueError, match="argument 0 the memory of result 0"):
        call(np.ones(2), y)


def test_side_effects(library):
    before = library.number_of_calls()
    cv.jit(lambda x: (cv.ffi.ffi_call("count", [])(x), x)[1])(1.0)
    assert library.number_of_calls() == before
    f = cv.jit(lambda x: (cv.ffi.ffi_call("count", [], has_side_effect=True)(x), x)[1])
    f(1.0), f(1.0)
    assert library.number_of_calls() == before + 2


def test_a_primitive_that_a_native_function_computes(library):
    norm_p = Primitive("test_norm_of_rows")
    norm_p.def_abstract_eval(lambda x, *, eps: x)
    mlir.register_lowering(norm_p, cv.ffi.ffi_lowering("rms_norm"))
    x = np.array([[3.0, 4.0]])
    want = library.normalised(x)
    assert (cv.jit(lambda x: norm_p.bind(x, eps=1e-5))(x) == want).all()
    assert (norm_p.bind(x, eps=1e-5) == want).all()


def test_errors_of_functions(library):
    with pytest.raises(RuntimeError, match="rms_norm failed: the attribute eps must be a real"):
        cv.ffi.ffi_call("rms_norm", F32)(np.float32(1))
    with pytest.raises(RuntimeError, match="rms_norm failed: x must be float32"):
        cv.jit(lambda x: cv.ffi.ffi_call("rms_norm", I32)(x, eps=0.0))(np.int32(1))
    with pytest.raises(MemoryError, match="full failed: it says no more"):
        cv.ffi.ffi_call("full", F32)(1.0)
    with pytest.raises(RuntimeError, match="dot failed: it takes 2 arguments, it was given 1"):
        cv.ffi.ffi_call("dot", [F32, I32])(1.0)
    with pytest.raises(RuntimeError, match="dot failed: it has 2 results, the call expects 1"):
        cv.jit(cv.ffi.ffi_call("dot", F32))(1.0, 2.0)
    with pytest.raises(ValueError, match="ffi_call of dot cannot be differentiated"):
        cv.grad(lambda x: cv.ffi.ffi_call("dot", [F32, I32])(x, x)[0])(np.ones(3))


def test_what_is_not_called(library):
    with pytest.raises(ValueError, match=r"no native function 'nothing' for cpu.*: accumulate \("):
        cv.ffi.ffi_call("nothing", F32)(1.0)
    with pytest.raises(ValueError, match=r"input_layouts gives float32\[2,2\] the layout \(0, 0\)"):
        cv.ffi.ffi_call("dot", F32, input_layouts=[(0, 0)])(np.ones((2, 2)))
    with pytest.raises(ValueError, match="output_layouts has 2 layouts for 1 arrays"):
        cv.ffi.ffi_call("dot", [F32], output_layouts=[(), ()])
    with pytest.raises(ValueError, match="custom_call_api_version"):
        cv.ffi.ffi_call("dot", F32, custom_call_api_version=3)
    with pytest.raises(TypeError, match="dot: native functions take no arrays of dtype int4"):
        cv.ffi.ffi_call("dot", F32)(np.ones(3, "int4"))


def test_what_is_not_registered(library):
    register, capsule = cv.ffi.register_ffi_target, cv.ffi.pycapsule
    with pytest.raises(ValueError, match=r"'late' was built for version 0.99 .* 0.1 to 0.3 run"):
        register("late", capsule(library.late_handler))
    with pytest.raises(ValueError, match=r"'other' was built for version 1.0"):
        register("other", capsule(library.other_handler))
    with pytest.raises(ValueError, match="'silent' does not say for which version"):
        register("silent", capsule(library.silent_handler))
    with pytest.raises(ValueError, match="'refusing' cannot be registered: not on a Monday"):
        register("refusing", capsule(library.refusing_handler))
    with pytest.raises(ValueError, match="another native function 'dot' for cpu"):
        register("dot", capsule(library.count_handler))
    register("dot", capsule(library.dot_handler))
    with pytest.raises(TypeError, match="takes what ffi.pycapsule returns"):
        register("dot", library.dot_handler)
    with pytest.raises(ValueError, match="platforms cpu, cuda, .*, got 'tpu'"):
        register("dot", capsule(library.dot_handler), platform="tpu")
    with pytest.raises(ValueError, match="api_version=0"):
        register("dot", capsule(library.dot_handler), api_version=0)
    with pytest.raises(ValueError, match=r"must have the last, got \['prepare'\]"):
        register("dot", {"prepare": capsule(library.dot_handler)})
    for wrong in (5, 0, None, "dot_handler", lambda: None, library):
        with pytest.raises(TypeError, match="takes a symbol of a ctypes.CDLL, .*, got "):
            capsule(wrong)
    with pytest.raises(ValueError, match="got a null pointer"):
        capsule(ctypes.c_void_p())


def test_the_order_of_axes_in_memory(library):
    x = onp.arange(6, dtype="int32").reshape(2, 3)
    for layout in ((0, 1), (1, 0), None):
        order = layout or (0, 1)
        outs = [cv.ShapeDtypeStruct((8,), "int32"), cv.ShapeDtypeStruct((2, 3), "int32")]
        call = cv.ffi.ffi_call(
            "look", outs, input_layouts=[layout], output_layouts=[None, layout],
            vmap_method="sequential",
        )  # fmt: skip
        seen, back = cv.jit(call)(x)
        assert seen.tolist() == [2, 3, *x.transpose(order).ravel()]
        onp.testing.assert_array_equal(back, x)
        _, back = cv.vmap(cv.vmap(call))(onp.stack([[x, x + 6]]))
        onp.testing.assert_array_equal(back, [[x, x + 6]])


def test_c_plus_plus(library):
    call = cv.ffi.ffi_call("running_sums", cv.ShapeDtypeStruct((4,), "float32"))
    x = np.arange(4.0)
    assert cv.jit(lambda x: call(x, times=2))(x).tolist() == [0, 1, 4, 10]
    with pytest.raises(RuntimeError, match="running_sums failed: times must not be negative"):
        call(x, times=-1)
    with pytest.raises(RuntimeError, match="the attribute times must be an integer"):
        call(x, times=1.0)
    with pytest.raises(RuntimeError, match="argument 0 has another dtype"):
        call(np.arange(4), times=1)
    with pytest.raises(RuntimeError, match="native function throws failed: from C\\+\\+"):
        cv.jit(lambda x: cv.ffi.ffi_call("throws", F32)(x))(1.0)


def test_stages_and_their_states(library):
    stages = {
        s: cv.ffi.pycapsule(getattr(library.cpp, f"{s}_handler"))
        for s in ("instantiate", "prepare", "initialize", "execute")
    }
    lib = library.cpp
    with pytest.raises(TypeError, match="capsules 'type_id' and 'type_info'"):
        cv.ffi.register_ffi_type("count", None)
    types = {"type_id": lib.count_type, "type_info": lib.count_info}
    cv.ffi.register_ffi_type("count", {k: cv.ffi.pycapsule(v) for k, v in types.items()})
    number = ctypes.c_int64.in_dll(lib, "count_type").value
    other = ctypes.c_int64(number + 1)
    with pytest.raises(ValueError, match="another type count already"):
        cv.ffi.register_ffi_type_id("count", cv.ffi.pycapsule(ctypes.pointer(other)))
    cv.ffi.register_ffi_target("staged", stages)
    call = cv.ffi.ffi_call("staged", I32)
    f = cv.jit(lambda: call(start=1))
    assert f() == 111 and f() == 111
    assert lib.objects_alive() == 1
    assert call(start=2) == 112
    del f
    cv.clear_caches()
    gc.collect()
    assert lib.objects_alive() == 0
    with pytest.raises(RuntimeError, match="staged failed: the attribute start must be an int"):
        call(start="x")
    cv.ffi.register_ffi_target(
        "twice", {**stages, "instantiate": cv.ffi.pycapsule(lib.twice_handler)}
    )
    with pytest.raises(RuntimeError, match="twice failed: the state is set already"):
        cv.ffi.ffi_call("twice", I32)()
    cv.ffi.register_ffi_target("stateless", stages["execute"])
    with pytest.raises(RuntimeError, match="stateless failed: the state is not set"):
        cv.ffi.ffi_call("stateless", I32)()


def test_functions_that_finish_later(library):
    call = cv.ffi.ffi_call("later", F32, vmap_method="sequential")
    f = cv.jit(lambda x: call(x) * 2)
    assert f(1.0) == 4
    with pytest.raises(RuntimeError, match="later failed: negative"):
        f(-1.0)
    assert cv.vmap(f)(np.arange(3.0)).tolist() == [2, 4, 6]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(f, [1.0] * 8)) == [4] * 8


def test_python_runs_beside_native_functions(library):
    """A short program, which otherwise keeps the interpreter's lock."""
    f = cv.jit(lambda x: cv.ffi.ffi_call("waits", F32)(x))
    f.lower(1.0).compile()
    timer = threading.Timer(0.1, library.cpp.tell)
    timer.start()
    f(1.0)
    timer.join()


def test_what_the_host_offers(library):
    call = cv.ffi.ffi_call("services", I32)
    assert cv.jit(lambda: call(what=""))() == 0
    with pytest.raises(RuntimeError, match="services failed: the CPU has no streams"):
        call(what="stream")
    with pytest.raises(RuntimeError, match="services failed: it threw something that is no"):
        call(what="throw")


def test_large_programs_and_threads(library):
    """Where the lock of the interpreter is released, and where several threads call."""
    fails = cv.jit(lambda x: cv.ffi.ffi_call("full", F32)(x @ x) + 1)
    norm = cv.jit(lambda x: library.normalised(x @ x).sum())
    x = np.ones((600, 600))
    with pytest.raises(MemoryError, match="full failed"):
        fails(x)
    want = float(norm(x))
    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(lambda _: float(norm(x)), range(12))) == {want}
