"""The interface of native functions beside jaxlib's: its layout, and handlers in both."""

import ctypes
import subprocess

import numpy as onp
import pytest

import covector as cv

pytestmark = pytest.mark.peer
jax = pytest.importorskip("jax")

# Structures of c_api.h and ours, with the members in their order.
STRUCTURES = """
Extension_Base extension: struct_size size, type type, next next
Api_Version version: struct_size size, extension_start extensions, major_version major_version, \
minor_version minor_version
Error_Create_Args error_create: struct_size size, message message, errc code
Error_GetMessage_Args error_get_message: error error, message message
Error_Destroy_Args error_destroy: error error
Buffer buffer: struct_size size, dtype dtype, data data, rank rank, dims dims
ByteSpan text: ptr data, len size
Scalar scalar: dtype dtype, value value
Array array: dtype dtype, size size, data data
TypeId type_id: type_id id
TypeInfo type_info: struct_size size, deleter deleter
Future_Create_Args future_create: future future
Future_SetAvailable_Args future_set_available: future future
Future_SetError_Args future_set_error: future future, error error
Args buffers: struct_size size, size count, types kinds, args items
Rets buffers: struct_size size, size count, types kinds, rets items
Attrs attributes: struct_size size, size count, types kinds, names names, attrs items
CallFrame frame: struct_size size, extension_start extensions, api api, ctx context, \
stage stage, args args, rets results, attrs attributes, future future
Handler_Bundle bundle: instantiate instantiate, prepare prepare, initialize initialize, \
execute execute
Handler_Register_Args handler_register: name name, platform platform, bundle bundle, traits traits
Type_Register_Args type_register: name name, type_id type, type_info info
ExecutionContext_Get_Args context_get: ctx context, type_id type, data data
State_Set_Args state: ctx context, stage stage, type_id type, state state
State_Get_Args state: ctx context, stage stage, type_id type, state state
Stream_Get_Args stream_get: ctx context, stream stream
DeviceMemory_Allocate_Args memory_allocate: ctx context, size bytes, alignment alignment, data data
DeviceMemory_Free_Args memory_free: ctx context, size bytes, data data
ThreadPool_Schedule_Args threads_schedule: ctx context, task task, data data
ThreadPool_NumThreads_Args threads_count: ctx context, num_threads count
RunId_Get_Args run_id_get: ctx context, run_id run_id
DeviceOrdinal_Get_Args device_get: ctx context, device_ordinal device
Metadata metadata: struct_size size, api_version version, traits traits, state_type_id state
Metadata_Extension metadata_extension: extension_base base, metadata metadata
Api api: struct_size size, extension_start extensions, api_version version, internal_api internal, \
XLA_FFI_Error_Create error_create, XLA_FFI_Error_GetMessage error_get_message, \
XLA_FFI_Error_Destroy error_destroy, XLA_FFI_Handler_Register handler_register, \
XLA_FFI_Stream_Get stream_get, XLA_FFI_Type_Register type_register, \
XLA_FFI_ExecutionContext_Get context_get, XLA_FFI_State_Set state_set, \
XLA_FFI_State_Get state_get, XLA_FFI_DeviceMemory_Allocate memory_allocate, \
XLA_FFI_DeviceMemory_Free memory_free, XLA_FFI_ThreadPool_Schedule threads_schedule, \
XLA_FFI_ThreadPool_NumThreads threads_count, XLA_FFI_Future_Create future_create, \
XLA_FFI_Future_SetAvailable future_set_available, XLA_FFI_Future_SetError future_set_error, \
XLA_FFI_RunId_Get run_id_get, XLA_FFI_DeviceOrdinal_Get device_get
""".replace("\\\n", "")

NUMBERS = {
    "Extension_Metadata": "METADATA", "ArgType_BUFFER": "BUFFER", "RetType_BUFFER": "BUFFER",
    "AttrType_ARRAY": "ARRAY", "AttrType_DICTIONARY": "DICT", "AttrType_SCALAR": "SCALAR",
    "AttrType_STRING": "STRING", "API_MAJOR": "MAJOR", "API_MINOR": "MINOR",
    "CallFrame_STRUCT_SIZE": "FRAME_SIZE",
    **{f"ExecutionStage_{s}": s for s in ("INSTANTIATE", "PREPARE", "INITIALIZE", "EXECUTE")},
    **{
        f"Error_Code_{c}": c for c in (
            "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND",
            "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION",
            "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS",
            "UNAUTHENTICATED",
        )
    },
    **{
        f"DataType_{theirs}": ours for theirs, ours in {
            "INVALID": "INVALID", "PRED": "BOOL", "S2": "INT2", "S4": "INT4", "S8": "INT8",
            "S16": "INT16", "S32": "INT32", "S64": "INT64", "U2": "UINT2", "U4": "UINT4",
            "U8": "UINT8", "U16": "UINT16", "U32": "UINT32", "U64": "UINT64", "F16": "FLOAT16",
            "F32": "FLOAT32", "F64": "FLOAT64", "BF16": "BFLOAT16", "C64": "COMPLEX64",
            "C128": "COMPLEX128", "TOKEN": "TOKEN", "F8E5M2": "FLOAT8_E5M2",
            "F8E3M4": "FLOAT8_E3M4", "F8E4M3": "FLOAT8_E4M3", "F8E4M3FN": "FLOAT8_E4M3FN",
            "F8E4M3B11FNUZ": "FLOAT8_E4M3B11FNUZ", "F8E5M2FNUZ": "FLOAT8_E5M2FNUZ",
            "F8E4M3FNUZ": "FLOAT8_E4M3FNUZ", "F4E2M1FN": "FLOAT4_E2M1FN",
            "F8E8M0FNU": "FLOAT8_E8M0FNU",
        }.items()
    },
}  # fmt: skip


def compiled(folder, code):
    (folder / "code.cc").write_text(code)
    includes = [f"-I{cv.ffi.include_dir()}", f"-I{jax.ffi.include_dir()}"]
    command = ["c++", "-std=c++17", "-shared", "-fPIC", *includes, "code.cc", "-o", "lib.so"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return ctypes.CDLL(str(folder / "lib.so"))


def test_the_layout_is_that_of_the_header_of_jaxlib(tmp_path):
    lines = ['#include "covector/ffi_abi.h"', '#include "xla/ffi/api/c_api.h"']

    def same(ours, theirs):
        lines.append(f'static_assert(long({ours}) == long({theirs}), "{ours}, {theirs}");')

    for row in STRUCTURES.strip().splitlines():
        names, members = row.split(": ")
        theirs, ours = names.split()
        theirs, ours = f"XLA_FFI_{theirs}", f"covector_ffi_{ours}"
        same(f"sizeof({ours})", f"sizeof({theirs})")
        for member in members.split(", "):
            a, b = member.split()
            same(f"offsetof({ours}, {b})", f"offsetof({theirs}, {a})")
            same(f"sizeof((({ours}*)0)->{b})", f"sizeof((({theirs}*)0)->{a})")
    for theirs, ours in NUMBERS.items():
        same(f"COVECTOR_FFI_{ours}", f"XLA_FFI_{theirs}")
    compiled(tmp_path, "\n".join(lines))


THEIRS = r"""
#include "xla/ffi/api/ffi.h"
#include "covector/ffi.h"

#include <memory>
#include <string>

namespace ffi = xla::ffi;

// Sums a dictionary's parts into the result, and says what it was given.
static ffi::Error Mix(ffi::Buffer<ffi::F32> x, ffi::RemainingArgs rest,
                      ffi::ResultBuffer<ffi::F32> y, ffi::RemainingRets others, float scale,
                      int64_t shift, std::string_view mode, ffi::Span<const double> weights,
                      ffi::Dictionary inner, bool fails) {
  if (fails)
    return ffi::Error(ffi::ErrorCode::kOutOfRange, "asked to by mode " + std::string(mode));
  float extra = float(rest.size()) + 10 * float(others.size());
  for (double w : weights) extra += float(w);
  auto bias = inner.get<int32_t>("bias");
  if (bias.has_error()) return bias.error();
  for (size_t i = 0; i < x.element_count(); ++i)
    y->typed_data()[i] = x.typed_data()[i] * scale + float(shift) + extra + float(*bias);
  if (!others.empty()) {
    auto second = others.get<ffi::Buffer<ffi::S32>>(0);
    if (second.has_error()) return second.error();
    auto dims = x.dimensions();
    for (size_t d = 0; d < dims.size(); ++d) second.value()->typed_data()[d] = int32_t(dims[d]);
  }
  return ffi::Error::Success();
}
XLA_FFI_DEFINE_HANDLER_SYMBOL(mix, Mix,
                              ffi::Ffi::Bind()
                                  .Arg<ffi::Buffer<ffi::F32>>()
                                  .RemainingArgs()
                                  .Ret<ffi::Buffer<ffi::F32>>()
                                  .RemainingRets()
                                  .Attr<float>("scale")
                                  .Attr<int64_t>("shift")
                                  .Attr<std::string_view>("mode")
                                  .Attr<ffi::Span<const double>>("weights")
                                  .Attr<ffi::Dictionary>("inner")
                                  .Attr<bool>("fails"));

// A state of the program, scratch memory, tasks and a future.
struct Counter {
  static ffi::TypeId id;
  int64_t start;
};
ffi::TypeId Counter::id = {};
extern "C" __attribute__((visibility("default"))) void* counter_id() { return &Counter::id; }
extern "C" __attribute__((visibility("default"))) void* counter_info() {
  static auto info = ffi::MakeTypeInfo<Counter>();
  return &info;
}
static ffi::ErrorOr<std::unique_ptr<Counter>> Instantiate(int64_t start) {
  if (start < 0) return ffi::Unexpected(ffi::Error::InvalidArgument("start is negative"));
  return std::make_unique<Counter>(Counter{start});
}
XLA_FFI_DEFINE_HANDLER_SYMBOL(counter_instantiate, Instantiate,
                              ffi::Ffi::BindInstantiate().Attr<int64_t>("start"));
static ffi::Future Execute(Counter* state, ffi::ScratchAllocator scratch, ffi::ThreadPool pool,
                           ffi::ResultBuffer<ffi::S64> y, int64_t start) {
  ffi::Promise promise;
  ffi::Future future(promise);
  if (!scratch.Allocate(64, 64)) {
    promise.SetError(ffi::Error::Internal("no scratch memory"));
    return future;
  }
  int64_t* out = y->typed_data();
  pool.Schedule([promise = std::make_shared<ffi::Promise>(std::move(promise)), out, state, start] {
    *out = state->start + start;
    promise->SetAvailable();
  });
  return future;
}
XLA_FFI_DEFINE_HANDLER_SYMBOL(counter_execute, Execute,
                              ffi::Ffi::Bind()
                                  .Ctx<ffi::State<Counter>>()
                                  .Ctx<ffi::ScratchAllocator>()
                                  .Ctx<ffi::ThreadPool>()
                                  .Ret<ffi::Buffer<ffi::S64>>()
                                  .Attr<int64_t>("start"));

// With our header, for both.
static void scaled(const covector_ffi_frame* frame) {
  auto x = covector::ffi::arg<float>(frame, 0);
  auto y = covector::ffi::result<float>(frame, 0);
  auto by = covector::ffi::attribute<float>(frame, "by");
  if (by == 0) throw covector::ffi::Error("by zero", COVECTOR_FFI_OUT_OF_RANGE);
  for (int64_t i = 0; i < x.size; ++i) y[i] = x[i] * by;
}
COVECTOR_FFI_HANDLER(scaled_handler, scaled, 1, 1)
"""


@pytest.fixture(scope="session")
def library(tmp_path_factory):
    lib = compiled(tmp_path_factory.mktemp("ffi"), THEIRS)
    for ffi in (cv.ffi, jax.ffi):
        ffi.register_ffi_target("mix", ffi.pycapsule(lib.mix), platform="cpu")
        ffi.register_ffi_target("scaled", ffi.pycapsule(lib.scaled_handler), platform="cpu")
    return lib


def both(make):
    """What a program computes in each library."""
    out = []
    for lib in (cv, jax):
        with lib.enable_x64():
            out.append([onp.asarray(x) for x in lib.tree_util.tree_leaves(lib.jit(make(lib))())])
    for ours, theirs in zip(*out, strict=True):
        assert ours.dtype == theirs.dtype
        onp.testing.assert_array_equal(ours, theirs)


X = onp.arange(6, dtype="float32").reshape(2, 3)
GIVEN = dict(scale=onp.float32(1.5), shift=-2, mode="plain", weights=onp.array([0.25, 0.5]),
             inner={"bias": onp.int32(7)}, fails=False)  # fmt: skip


@pytest.mark.parametrize("extra", [0, 2])
def test_a_handler_built_with_the_header_of_jaxlib(library, extra):
    shapes = [("float32", (2, 3)), ("int32", (2,))][: 1 + (extra > 0)]

    def make(lib):
        outs = [lib.ShapeDtypeStruct(s, d) for d, s in shapes]
        call = lib.ffi.ffi_call("mix", outs)
        return lambda: call(X, *[onp.ones(3, "float32")] * extra, **GIVEN)

    both(make)


def test_mapped_in_both(library):
    def make(lib):
        def row(x):
            call = lib.ffi.ffi_call(
                "mix", [lib.ShapeDtypeStruct(x.shape, x.dtype)], vmap_method="sequential"
            )
            return call(x, **GIVEN)

        return lambda: lib.vmap(row)(X)

    both(make)


def test_a_handler_of_ours_in_both(library):
    def make(lib):
        call = lib.ffi.ffi_call("scaled", lib.ShapeDtypeStruct((2, 3), "float32"))
        return lambda: call(X, by=3.0)

    both(make)
    for lib in (cv, jax):
        call = lib.ffi.ffi_call("scaled", lib.ShapeDtypeStruct((2, 3), "float32"))
        with pytest.raises(RuntimeError, match="by zero"):
            lib.block_until_ready(lib.jit(lambda call=call: call(X, by=0.0))())


def test_orders_of_axes_in_both(library):
    def make(lib):
        call = lib.ffi.ffi_call(
            "scaled", lib.ShapeDtypeStruct((2, 3), "float32"), input_layouts=[(1, 0)],
        )  # fmt: skip
        return lambda: call(X, by=2.0)

    both(make)


def test_errors_name_the_function_and_have_its_message(library):
    call = cv.ffi.ffi_call("mix", cv.ShapeDtypeStruct((2, 3), "float32"))
    with pytest.raises(RuntimeError, match="native function mix failed: asked to by mode plain"):
        call(X, **{**GIVEN, "fails": True})
    with pytest.raises(RuntimeError, match=r"mix failed: (.|\n)*Wrong number of attributes"):
        call(X, **GIVEN, another=1)
    with pytest.raises(RuntimeError, match=r"mix failed: (.|\n)*expected F32 but got F64"):
        call(X, **{**GIVEN, "scale": 1.5})
    with pytest.raises(RuntimeError, match=r"mix failed: (.|\n)*bias"):
        call(X, **{**GIVEN, "inner": {}})


def test_states_scratch_memory_tasks_and_futures(library):
    handlers = {s: cv.ffi.pycapsule(getattr(library, f"counter_{s}"))
                for s in ("instantiate", "execute")}  # fmt: skip
    with pytest.raises(ValueError, match="must be registered before"):
        cv.ffi.register_ffi_target("counter", handlers)
    parts = {}
    for part in ("id", "info"):
        function = getattr(library, f"counter_{part}")
        function.restype = ctypes.c_void_p
        parts[f"type_{part}"] = cv.ffi.pycapsule(ctypes.c_void_p(function()))
    cv.ffi.register_ffi_type("Counter", parts)
    cv.ffi.register_ffi_target("counter", handlers)
    with cv.enable_x64():
        call = cv.ffi.ffi_call("counter", cv.ShapeDtypeStruct((), "int64"))
        f = cv.jit(lambda: call(start=20))
        assert f() == 40 and f() == 40
        with pytest.raises(RuntimeError, match="counter failed: start is negative"):
            call(start=-1)
