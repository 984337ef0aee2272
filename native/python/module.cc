// The module covector._native.
#include <nanobind/nanobind.h>

#include <algorithm>

#include "call/executable.h"
#include "call/fast_path.h"
#include "call/jit_function.h"
#include "core/allocator.h"
#include "core/thread_pool.h"
#include "cpu/callbacks.h"
#include "cpu/executable.h"
#include "cpu/fortran.h"
#include "cpu/instruction_set.h"
#include "cpu/interrupts.h"
#include "cpu/loader.h"
#include "cpu/runtime.h"
#include "ffi/module.h"
#include "host/array.h"
#include "host/numpy_sort.h"
#include "host/registry.h"
#include "pjrt/module.h"
#include "processes/module.h"
#include "python/boundary.h"
#include "python/ref.h"
#include "python/trace_state.h"
#include "python/user_frame.h"

namespace nb = nanobind;
using namespace covector;

namespace {

// Called once per operation or more: without nanobind's argument conversion.
PyMethodDef hot_functions[] = {
    {"current_trace", current_trace, METH_NOARGS, "The trace of this thread."},
    {"swap_trace", swap_trace, METH_O, "Set the trace of this thread; returns the old one."},
    {"set_eval_trace", set_eval_trace, METH_O, "Set the trace every thread starts with."},
    {"context_key", get_context_key, METH_NOARGS, "The configuration key of this thread."},
    {"set_context_key", set_context_key, METH_O, "Set the configuration key of this thread."},
    {"set_thread_options", as_method(set_thread_options), METH_FASTCALL,
     "set_thread_options(context_key, filter_tracebacks), in place of those of the process."},
    {"set_rekey", set_rekey, METH_O, "Set the function that renews the options of this thread."},
    {"set_default_options", as_method(set_default_options), METH_FASTCALL,
     "set_default_options(context_key, filter_tracebacks) of the process."},
    {"array_from_buffer", as_method(array_from_buffer), METH_FASTCALL,
     "array_from_buffer(obj, code, shape, weak=False, alias=False)"},
    {"array_from_scalar", as_method(array_from_scalar), METH_FASTCALL,
     "array_from_scalar(value, code, weak=False)"},
    {"nonzero", as_method(nonzero), METH_FASTCALL,
     "nonzero(array, code) -> the indices along each dimension of what is not zero"},
    {"opaque_array", as_method(opaque_array), METH_FASTCALL,
     "opaque_array(handle, code, shape, weak, placement)"},
    {"add_placement", as_method(add_placement), METH_FASTCALL,
     "add_placement(sharding, committed, spread, typed) -> its index"},
    {"set_default_sharding", set_default_sharding, METH_O,
     "Set the function that gives the sharding of placement 0."},
    {"live_arrays", live_arrays, METH_NOARGS, "All arrays that exist, the oldest first."},
    {"empty", as_method(empty), METH_FASTCALL, "empty(code, shape, weak=False)"},
    {"from_dlpack_capsule", as_method(from_dlpack_capsule), METH_FASTCALL,
     "from_dlpack_capsule(capsule, copy=None): an Array on a DLPack tensor."},
    {"user_frame", user_frame, METH_O,
     "user_frame(prefix) -> (filename, line, function) of the first frame outside, or None"},
    {"set_internal_prefixes", as_method(set_internal_prefixes), METH_FASTCALL,
     "set_internal_prefixes(library, helpers=()): beginnings of the names of files."},
    {nullptr},
};

nb::dict allocator_stats_dict() {
  AllocatorStats s = allocator_stats();
  nb::dict d;
  d["bytes_in_use"] = s.bytes_in_use;
  d["peak_bytes_in_use"] = s.peak_bytes_in_use;
  d["bytes_cached"] = s.bytes_cached;
  d["cache_limit"] = s.cache_limit;
  d["allocations"] = s.allocations;
  d["system_allocations"] = s.system_allocations;
  return d;
}

// The numbers that generated code and Python share with the native core, by name.
void add_numbers(nb::module_& m) {
  nb::dict slots, statuses;
#define X(name, python, function) slots[python] = int(kSlot##name);
  COVECTOR_RUNTIME_SLOTS(X)
#undef X
#define X(name, python) statuses[python] = int(k##name);
  COVECTOR_STATUSES(X)
#undef X
  nb::list dtypes;
  for (const char* name : kCodeName) dtypes.append(name);
  m.attr("runtime_slots") = slots;
  m.attr("statuses") = statuses;
  m.attr("dtype_names") = nb::tuple(dtypes);
  m.attr("constant_output") = kConstOutput;
}

void set_routines(nb::dict routines) {
  for (auto [key, address] : routines)
    if (!set_routine(nb::cast<const char*>(key),
                     reinterpret_cast<void*>(nb::cast<uintptr_t>(address))))
      throw nb::value_error("unknown routine of BLAS or LAPACK");
}

nb::tuple load_code(nb::list files, const char* entry) {
  std::vector<ObjectFile> objects;
  for (nb::handle file : files) {
    auto pair = nb::cast<nb::tuple>(file);
    auto name = nb::cast<nb::str>(pair[0]);
    auto bytes = nb::cast<nb::bytes>(pair[1]);
    objects.push_back({name.c_str(), {bytes.c_str(), bytes.size()}});
  }
  auto* code = new LoadedCode(objects, entry);
  nb::capsule keeper(code, [](void* p) noexcept { delete static_cast<LoadedCode*>(p); });
  return nb::make_tuple(code->address(), keeper);
}

void require_type(nb::handle obj) {
  if (!PyType_Check(obj.ptr())) throw nb::type_error("expected a type");
}

}  // namespace

NB_MODULE(covector_native, m) {
  nb::set_leak_warnings(false);
  m.doc() = "The native core of covector: arrays, memory, threads and calls of compiled code.";
  if (PyModule_AddFunctions(m.ptr(), hot_functions) < 0 || !init_array(m.ptr()) ||
      !init_executable(m.ptr()) || !init_cpu_executable(m.ptr()) ||
      !init_hosted_executable(m.ptr()) || !init_fast_path(m.ptr()) || !init_jit_function(m.ptr()) ||
      !init_boundary(m.ptr()) || !init_interrupts())
    throw nb::python_error();
  init_callbacks();

  add_numbers(m);
  m.def("allocator_stats", allocator_stats_dict, "Counters of the caching allocator.");
  m.def("trim_allocator", trim_allocator, "Give cached memory back to the system.");
  m.def("num_threads", num_threads, "The threads of a parallel loop, the caller included.");
  m.def("set_num_threads", set_num_threads, nb::arg("n"), nb::call_guard<nb::gil_scoped_release>(),
        "Set the number of threads of a parallel loop.");
  m.def(
      "limit_instructions",
      [](int most) { return most_instructions.exchange(std::clamp(most, 0, +kInstructionSets)); },
      nb::arg("most"),
      "Let kernels be of an instruction set at most: 0 is the least, 3 all there is. The old one.");
  m.def(
      "set_dtypes",
      [](nb::object dtypes) {
        if (!set_dtypes(dtypes.ptr())) throw nb::python_error();
      },
      nb::arg("dtypes"), "Register the dtype object of each code.");
  m.def(
      "set_small_type",
      [](int code, const char* kind, int dlpack, nb::bytes doubles) {
        if (!set_small_type(code, kind[0], dlpack, doubles.c_str(), doubles.size()))
          throw nb::value_error("set_small_type: a registered code, and 256 doubles");
      },
      nb::arg("code"), nb::arg("kind"), nb::arg("dlpack"), nb::arg("doubles"),
      "Register what each byte stands for in a dtype of at most eight bits.");
  m.def(
      "set_aval_factory", [](nb::callable f) { set_aval_factory(f.ptr()); }, nb::arg("factory"),
      "Register f(shape, dtype, weak_type), which makes abstract values.");
  m.def(
      "set_placed_aval_factory", [](nb::callable f) { set_placed_aval_factory(f.ptr()); },
      nb::arg("factory"),
      "Register f(aval, sharding), which makes abstract values of arrays whose types say where "
      "they are.");
  m.def(
      "set_numpy_types",
      [](nb::object ndarray, nb::object generic) {
        require_type(ndarray);
        require_type(generic);
        set_numpy_types(ndarray.ptr(), generic.ptr());
        use_numpy_sort();
      },
      nb::arg("ndarray"), nb::arg("generic"), "Register numpy.ndarray and numpy.generic.");
  m.def(
      "set_converter", [](nb::callable f) { set_converter(f.ptr()); }, nb::arg("converter"),
      "Register f(obj) -> Array for NumPy arguments of compiled functions.");
  m.def(
      "register_node",
      [](nb::object type, nb::callable flatten) {
        require_type(type);
        register_node(type.ptr(), flatten.ptr());
      },
      nb::arg("type"), nb::arg("flatten"), "Register flatten(obj) -> (children, aux) for a type.");
  m.attr("loads_code") = kLoadsCode;
  m.def("load_code", load_code, nb::arg("files"), nb::arg("entry"),
        "The address of a function of object files, (name, content), which are loaded, and what\n"
        "keeps it loaded. A file with a name has a function `function`, which the others call by it.");
  m.def("load_ffi", [m] { ffi::add_ffi(m); }, "Make the module covector._native.ffi.");
  m.def("load_pjrt", [m] { pjrt::add_pjrt(m); }, "Make the module covector._native.pjrt.");
  m.def("load_processes", [m] { processes::add_processes(m); },
        "Make the module covector._native.processes.");
  m.def("set_routines", set_routines, nb::arg("routines"),
        "Register the addresses of BLAS and LAPACK routines by name.");
  m.def(
      "runtime_table", [] { return reinterpret_cast<uintptr_t>(runtime_table); },
      "The address of the table of functions that generated code may call.");
  m.def(
      "register_callback", [](nb::callable f) { return register_callback(f.ptr()); },
      nb::arg("callable"), "Make f(in_addresses, out_addresses) callable; returns its id.");
  m.def("unregister_callback", unregister_callback, nb::arg("id"),
        "Forget a callback; false if there was none.");
}

// What the module is imported by. Its types and registers are those of the process, so that a
// second interpreter would take them away from the first.
PyMODINIT_FUNC PyInit__native() {
  if (PyInterpreterState_Get() != PyInterpreterState_Main()) {
    PyErr_SetString(PyExc_ImportError,
                    "covector works in the main interpreter only, not in a sub-interpreter; use "
                    "threads, or processes (multiprocessing)");
    return nullptr;
  }
  return PyInit_covector_native();
}
