// The Python side of processes that share memory: covector._native.processes, made when it is
// first asked for; and the native function by which compiled programs call collectives.
#include "processes/module.h"

#include <nanobind/stl/pair.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <deque>
#include <string>
#include <vector>

#include "core/dtype.h"
#include "covector/ffi.h"
#include "processes/plan.h"
#include "python/ref.h"

namespace nb = nanobind;

namespace covector::processes {
namespace {

PyObject* explain = nullptr;  // f(ident, text, status, peer), which raises

// Contiguous memory of an object, held while it is used.
class Memory {
 public:
  Memory(nb::handle object, bool writable) {
    if (PyObject_GetBuffer(object.ptr(), &view_, writable ? PyBUF_WRITABLE : PyBUF_SIMPLE) < 0)
      throw nb::python_error();
  }
  ~Memory() { PyBuffer_Release(&view_); }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  void require(int64_t bytes) const {
    if (view_.len != bytes) throw nb::value_error("memory of another size than the plan's");
  }
  void* data() const { return view_.buf; }
  int64_t bytes() const { return view_.len; }

 private:
  Py_buffer view_{};
};

template <size_t N>
int index_of(const char* const (&names)[N], const std::string& name) {
  auto found = std::find(std::begin(names), std::end(names), name);
  if (found == std::end(names)) throw nb::value_error("an unknown collective or reduction");
  return int(found - std::begin(names));
}

struct PlanHandle {
  explicit PlanHandle(std::shared_ptr<const Plan> made)
      : plan(std::move(made)), ident(add_plan(plan)) {}
  ~PlanHandle() { remove_plan(ident); }
  PlanHandle(const PlanHandle&) = delete;
  PlanHandle& operator=(const PlanHandle&) = delete;
  const std::shared_ptr<const Plan> plan;
  const int64_t ident;
};

void make_plan(PlanHandle* self, std::shared_ptr<Channel> channel, const std::string& kind,
               nb::bytes text, int64_t count, size_t itemsize, int code, const std::string& op,
               int peer, bool sends) {
  auto plan = std::make_shared<Plan>();
  plan->kind = Kind(index_of(kKindName, kind));
  plan->op = Reduction(index_of(kReductionName, op));
  if (plan->kind == kAllreduce || plan->kind == kReduceScatter) {
    if (!can_reduce(code, plan->op)) throw nb::value_error("a reduction that there is not");
    itemsize = kBuiltinItemsize[code];
  }
  if (count < 0 || peer >= channel->size()) throw nb::value_error("a count or peer out of range");
  plan->channel = std::move(channel);
  plan->text = std::string(text.c_str(), text.size());
  plan->count = count;
  plan->itemsize = itemsize;
  plan->code = code;
  plan->peer = peer;
  plan->sends = sends;
  new (self) PlanHandle(std::move(plan));
}

std::pair<int, int> run_plan(const PlanHandle& handle, nb::handle in, nb::handle out) {
  const Plan& plan = *handle.plan;
  Memory from(in, false), to(out, true);
  from.require(plan.count_in() * int64_t(plan.itemsize));
  to.require(plan.count_out() * int64_t(plan.itemsize));
  Outcome outcome;
  {
    nb::gil_scoped_release without;
    outcome = plan.run(from.data(), to.data());
  }
  if (outcome.status == kInterrupted) throw nb::python_error();
  return {outcome.status, outcome.peer};
}

void reduce(nb::sequence rows, nb::handle out, int code, const std::string& op) {
  const auto reduction = Reduction(index_of(kReductionName, op));
  if (!can_reduce(code, reduction)) throw nb::value_error("a reduction that there is not");
  Memory to(out, true);
  std::deque<Memory> held;
  std::vector<const void*> starts;
  for (nb::handle row : rows) {
    held.emplace_back(row, false).require(to.bytes());
    starts.push_back(held.back().data());
  }
  if (starts.empty()) throw nb::value_error("no rows");
  nb::gil_scoped_release without;
  reduce_rows(code, reduction, to.data(), starts.data(), int(starts.size()),
              to.bytes() / kBuiltinItemsize[code]);
}

// --- compiled programs ------------------------------------------------------------------------

// What a collective that has not succeeded is about; the thread's exception stays set, for programs
// that raise it.
std::string explanation(int64_t ident, const Plan* plan, Outcome outcome) {
  GilGuard gil;
  if (!PyErr_Occurred()) {
    const std::string_view called = plan ? std::string_view(plan->text) : "";
    Ref bytes(PyBytes_FromStringAndSize(called.data(), Py_ssize_t(called.size())));
    Ref result(bytes ? PyObject_CallFunction(explain, "LOii", (long long)ident, bytes.get(),
                                             int(outcome.status), outcome.peer)
                     : nullptr);
  }
  PyObject *type, *value, *traceback;
  PyErr_Fetch(&type, &value, &traceback);
  std::string text = "a collective has failed";
  if (Ref shown(value ? PyObject_Str(value) : nullptr); shown)
    if (const char* found = PyUnicode_AsUTF8(shown.get())) text = found;
  PyErr_Clear();
  PyErr_Restore(type, value, traceback);
  return text;
}

covector_ffi_error* run_collective(const covector_ffi_frame* frame) {
  int64_t ident;
  if (covector_ffi_error* error = covector_ffi_int(frame, "plan", &ident)) return error;
  const covector_ffi_buffer *in = covector_ffi_arg(frame, 0), *out = covector_ffi_result(frame, 0);
  auto plan = find_plan(ident);
  Outcome outcome{kClosed, -1};
  if (plan) {
    if (covector_ffi_size(in) != plan->count_in() || covector_ffi_size(out) != plan->count_out())
      return covector_ffi_fail(frame, "arrays of another size than the plan's");
    outcome = plan->run(in->data, out->data);
  }
  if (outcome.status == kDone) return nullptr;
  return covector_ffi_error_of(frame, COVECTOR_FFI_ABORTED, "%s",
                               explanation(ident, plan.get(), outcome).c_str());
}

covector_ffi_error* handler(covector_ffi_frame* frame) {
  covector_ffi_error* error;
  return covector_ffi_begin(frame, 1, 1, &error) ? error : ffi::call(frame, run_collective);
}

}  // namespace

void add_processes(nb::module_ parent) {
  nb::module_ m = parent.def_submodule("processes", "Processes that share memory.");
  nb::class_<Channel>(m, "Channel")
      .def(nb::init<int, int, int, size_t, std::shared_ptr<Channel>, std::vector<int>>(),
           nb::arg("fd"), nb::arg("rank"), nb::arg("size"), nb::arg("slot"),
           nb::arg("whole").none() = nb::none(), nb::arg("members") = std::vector<int>())
      .def_prop_ro("rank", &Channel::rank)
      .def_prop_ro("size", &Channel::size)
      .def("difference",
           [](Channel& c) {
             Channel::Difference found = c.difference();
             return nb::make_tuple(found.count, found.other,
                                   nb::bytes(found.text.data(), found.text.size()));
           },
           "(number, the peer's number, the peer's text) of a collective that differs.")
      .def("fail", &Channel::fail, "End the collective that waits, and all to come.")
      .def("close", &Channel::close, nb::call_guard<nb::gil_scoped_release>(),
           "Say to the others that this process leaves.");
  nb::class_<PlanHandle>(m, "Plan")
      .def("__init__", make_plan, nb::arg("channel"), nb::arg("kind"), nb::arg("text"),
           nb::arg("count"), nb::arg("itemsize"), nb::arg("code") = -1, nb::arg("op") = "sum",
           nb::arg("peer") = -1, nb::arg("sends") = false)
      .def_prop_ro("text",
                   [](const PlanHandle& h) {
                     return nb::bytes(h.plan->text.data(), h.plan->text.size());
                   })
      .def_ro("ident", &PlanHandle::ident, "What compiled programs call it by.")
      .def("run", run_plan, nb::arg("x"), nb::arg("out"), "(status, peer); 0 is success.");
  m.def("segment_bytes", &Channel::segment_bytes, nb::arg("size"), nb::arg("slot"));
  m.def(
      "can_reduce",
      [](int code, const std::string& op) {
        return can_reduce(code, Reduction(index_of(kReductionName, op)));
      },
      nb::arg("code"), nb::arg("op"));
  m.def("reduce", reduce, nb::arg("rows"), nb::arg("out"), nb::arg("code"), nb::arg("op"),
        "Combine rows of bytes in their order.");
  m.def(
      "set_explain",
      [](nb::callable f) { Py_XSETREF(explain, Py_NewRef(f.ptr())); }, nb::arg("f"),
      "Register f(ident, text, status, peer), which raises what a compiled program is to raise.");
  m.attr("handler") = nb::capsule(reinterpret_cast<void*>(handler), "xla._CUSTOM_CALL_TARGET");
  m.attr("run_plan") = reinterpret_cast<uintptr_t>(covector_run_plan);
  nb::dict statuses;
  const std::pair<const char*, Status> known[] = {
      {"failed", kFailed},     {"differs", kDiffers}, {"left", kLeft}, {"interrupted", kInterrupted},
      {"unusable", kUnusable}, {"closed", kClosed},   {"forked", kForked}};
  for (auto [name, status] : known) statuses[name] = int(status);
  m.attr("statuses") = statuses;
}

}  // namespace covector::processes
