// How a program compiled for the CPU is called.
#include "cpu/executable.h"

#include <structmember.h>

#include <cstring>

#include "core/allocator.h"
#include "host/registry.h"
#include "python/trace_state.h"
#include "python/type.h"

namespace covector {
namespace {

PyTypeObject* CpuExecutableType = nullptr;

struct OutputSpec : ArraySpec {
  int64_t kind;
  int64_t donor;  // the input whose memory is taken over, or -1
  Placement placement;
};

struct Description {
  unsigned long long entry;
  long long workspace = 0;
  int release_gil = 0;
  PyObject *params, *consts, *in_specs, *out_specs, *out_kinds;
  PyObject *donations = nullptr, *keepalive = Py_None, *name = nullptr, *placement = nullptr;
};

class CpuExecutable final : public Executable {
 public:
  CpuExecutable(PyObject* name, const Description& d);
  ~CpuExecutable() override;

  bool describe(const Description& d);

  // keepalive owns the machine code, so it stays until the object itself dies.
  int traverse(visitproc visit, void* arg) const override {
    Py_VISIT(keepalive_);
    return 0;
  }

  const std::vector<int64_t>& params() const { return params_; }
  size_t workspace_bytes() const { return workspace_bytes_; }
  PyObject* keepalive() const { return keepalive_; }

 private:
  bool run(const Argument* arguments, PyObject** results) const override;
  bool takes(const ArrayObject* array) const override { return !array->storage->memory; }
  ArrayObject* bring(ArrayObject* array) const override {
    return as_array(Py_XNewRef(as_object(on_host(array))));
  }
  bool add_kind(size_t at, int64_t kind);
  bool add_placements(PyObject* placement);
  bool add_donation(PyObject* item);
  ArrayObject* make_output(const OutputSpec& spec, const Argument* arguments) const;
  ArrayObject* forward(const Argument& argument, const OutputSpec& spec) const;
  ArrayObject* take_over(const OutputSpec& spec, const Argument* arguments) const;
  ArrayObject* fresh(const OutputSpec& spec) const;
  int32_t enter(void** bufs, const Argument* arguments) const;
  int32_t enter_donating(void** bufs, const Argument* arguments) const;
  bool raise_status(int32_t status) const;

  Entry entry_;
  std::vector<int64_t> params_;
  std::vector<ArrayObject*> consts_;  // owned aliases: deleting the caller's does no harm
  std::vector<OutputSpec> outputs_;
  size_t fresh_outputs_ = 0;
  size_t workspace_bytes_;
  bool release_gil_;
  PyObject* keepalive_;
};

// --- construction ---------------------------------------------------------------------------

bool parse_int(PyObject* item, int64_t* value) {
  *value = PyLong_AsLongLong(item);
  return !(*value == -1 && PyErr_Occurred());
}

CpuExecutable::CpuExecutable(PyObject* name, const Description& d)
    : Executable(name),
      entry_(reinterpret_cast<Entry>(d.entry)),
      workspace_bytes_(size_t(d.workspace)),
      release_gil_(d.release_gil),
      keepalive_(Py_NewRef(d.keepalive)) {}

CpuExecutable::~CpuExecutable() {
  for (ArrayObject* c : consts_) Py_DECREF(c);
  Py_DECREF(keepalive_);
}

bool CpuExecutable::add_donation(PyObject* item) {
  long long in, out;
  if (!PyTuple_Check(item)) return bad_executable("a donation must be a tuple (input, output)");
  if (!PyArg_ParseTuple(item, "LL", &in, &out)) return false;
  if (in < 0 || size_t(in) >= inputs_.size() || out < 0 || size_t(out) >= outputs_.size())
    return bad_executable("a donation's index is out of range");
  OutputSpec& spec = outputs_[size_t(out)];
  if (spec.kind != kFreshOutput || spec.donor >= 0)
    return bad_executable("only an allocated output can take over an input, and only one");
  for (const OutputSpec& other : outputs_)
    if (other.donor == in) return bad_executable("an input can be donated only once");
  if (inputs_[size_t(in)].size * itemsizes[inputs_[size_t(in)].code] !=
      spec.size * itemsizes[spec.code])
    return bad_executable("a donated input and its output must have the same size in bytes");
  spec.donor = in;
  return donate(in);
}

bool CpuExecutable::add_kind(size_t at, int64_t kind) {
  if (at >= outputs_.size()) return bad_executable("more out_kinds than out_specs");
  OutputSpec& out = outputs_[at];
  out.kind = kind;
  if (kind == kFreshOutput) {
    ++fresh_outputs_;
  } else if (kind >= kConstOutput) {
    if (size_t(kind - kConstOutput) >= consts_.size())
      return bad_executable("an out_kind names a constant that does not exist");
    const ArrayObject* c = consts_[size_t(kind - kConstOutput)];
    if (c->code != out.code || c->size != out.size)
      return bad_executable("an output and the constant it is have different types");
  } else {
    if (kind < 0 || size_t(kind) >= inputs_.size())
      return bad_executable("an out_kind names an input that does not exist");
    const ArraySpec& source = inputs_[size_t(kind)];
    if (source.code != out.code || source.shape != out.shape)
      return bad_executable("an output and the input it forwards have different types");
  }
  return true;
}

// One placement for all results, or a sequence of one for each.
bool CpuExecutable::add_placements(PyObject* placement) {
  if (PyLong_Check(placement)) {
    Placement same;
    if (!parse_placement(placement, &same)) return false;
    for (OutputSpec& out : outputs_) out.placement = same;
    return true;
  }
  size_t at = 0;
  auto add = [&](PyObject* item) {
    if (at >= outputs_.size()) return bad_executable("more placements than out_specs");
    return parse_placement(item, &outputs_[at++].placement);
  };
  if (!for_each_item(placement, "placement must be an integer or a sequence of them", add))
    return false;
  return at == outputs_.size() || bad_executable("fewer placements than out_specs");
}

bool CpuExecutable::describe(const Description& d) {
  if (!entry_) return bad_executable("the entry address is null");
  if (d.workspace < 0) return bad_executable("workspace_bytes is negative");
  auto add_param = [&](PyObject* item) {
    params_.push_back(0);
    return parse_int(item, &params_.back());
  };
  auto add_const = [&](PyObject* item) {
    ArrayObject* a = require_array(item);
    if (!a || !check_alive(a) || !(a = on_host(a))) return false;
    ArrayObject* alias = array_alias(a, a->weak);
    if (alias) consts_.push_back(alias);
    return alias != nullptr;
  };
  auto add_input = [&](PyObject* item) {
    inputs_.emplace_back();
    return parse_spec(item, false, &inputs_.back());
  };
  auto add_output = [&](PyObject* item) {
    outputs_.push_back({{}, kFreshOutput, -1, kDefaultPlacement});
    return parse_spec(item, true, &outputs_.back());
  };
  if (!for_each_item(d.params, "params must be a sequence", add_param) ||
      !for_each_item(d.consts, "consts must be a sequence", add_const) ||
      !for_each_item(d.in_specs, "in_specs must be a sequence", add_input) ||
      !for_each_item(d.out_specs, "out_specs must be a sequence", add_output))
    return false;
  num_outputs_ = outputs_.size();
  if (d.placement && !add_placements(d.placement)) return false;
  size_t at = 0;
  auto kind = [&](PyObject* item) {
    int64_t value;
    return parse_int(item, &value) && add_kind(at++, value);
  };
  if (!for_each_item(d.out_kinds, "out_kinds must be a sequence", kind)) return false;
  if (at != outputs_.size()) return bad_executable("fewer out_kinds than out_specs");
  return !d.donations || for_each_item(d.donations, "donations must be a sequence",
                                       [&](PyObject* item) { return add_donation(item); });
}

PyObject* executable_new(PyTypeObject* type, PyObject* args, PyObject* kwargs) {
  static const char* names[] = {
      "entry",     "params",          "consts",    "in_specs",    "out_specs",
      "out_kinds", "workspace_bytes", "donations", "release_gil", "keepalive",
      "name",      "placement",       nullptr};
  Description d;
  if (!PyArg_ParseTupleAndKeywords(
          args, kwargs, "KOOOOO|LOpOUO:CpuExecutable", const_cast<char**>(names), &d.entry,
          &d.params, &d.consts, &d.in_specs, &d.out_specs, &d.out_kinds, &d.workspace, &d.donations,
          &d.release_gil, &d.keepalive, &d.name, &d.placement))
    return nullptr;
  Ref name(d.name ? Py_NewRef(d.name) : PyUnicode_FromString("<program>"));
  if (!name) return nullptr;
  auto* body = new CpuExecutable(name.get(), d);
  if (!body->describe(d)) {
    delete body;
    return nullptr;
  }
  return wrap_executable(type, body);
}

// --- running --------------------------------------------------------------------------------

ArrayObject* CpuExecutable::fresh(const OutputSpec& spec) const {
  ArrayObject* a = array_empty(spec.code, spec.weak, spec.ndim(), spec.shape.data());
  if (a) a->placement = spec.placement;
  return a;
}

// A result is another array than the argument, so that deleting one leaves the other.
ArrayObject* CpuExecutable::forward(const Argument& argument, const OutputSpec& spec) const {
  if (argument.array) return array_alias(argument.array, spec.weak, spec.placement);
  ArrayObject* a = fresh(spec);
  if (a) std::memcpy(a->data, argument.data, array_nbytes(a));
  return a;
}

// Output `spec` takes over the memory of its donor if nobody else can see it; otherwise it gets
// a copy. Either way it holds the donor's value.
ArrayObject* CpuExecutable::take_over(const OutputSpec& spec, const Argument* arguments) const {
  const Argument& donor = arguments[spec.donor];
  ArrayObject* a = donor.array;
  if (a && a->storage->is_exclusive()) {
    ArrayObject* taken = array_wrap(spec.code, spec.weak, spec.ndim(), spec.shape.data(),
                                    a->storage->share(), a->data);
    if (taken) taken->placement = spec.placement;
    return taken;
  }
  ArrayObject* copy = fresh(spec);
  if (copy) std::memcpy(copy->data, donor.data, array_nbytes(copy));
  return copy;
}

ArrayObject* CpuExecutable::make_output(const OutputSpec& spec, const Argument* arguments) const {
  if (spec.kind == kFreshOutput) return spec.donor >= 0 ? take_over(spec, arguments) : fresh(spec);
  if (spec.kind >= kConstOutput)
    return array_alias(consts_[size_t(spec.kind - kConstOutput)], spec.weak, spec.placement);
  return forward(arguments[spec.kind], spec);
}

bool CpuExecutable::raise_status(int32_t status) const {
  if (status == kPythonError && PyErr_Occurred()) return false;
  if (status == kOutOfMemory) {
    if (!PyErr_Occurred())
      PyErr_Format(PyExc_MemoryError, "out of memory while running %U", name());
  } else {
    PyErr_Format(PyExc_RuntimeError, "%U failed with status %d", name(), int(status));
  }
  return false;
}

int32_t CpuExecutable::enter(void** bufs, const Argument* arguments) const {
  RunningProgram running{arguments, inputs_.size()};
  running.outer = thread_state.running;
  thread_state.running = &running;
  if (release_gil_) running.release_gil();
  int32_t status = entry_(bufs, params_.data(), runtime_table);
  if (running.released) PyEval_RestoreThread(running.released);
  thread_state.running = running.outer;
  if (running.pinned) running.unpin();
  return status;
}

// Donated arrays are deleted before the call, so that no other thread can use or donate them
// during it; another array on the same memory keeps it alive through its own reference.
int32_t CpuExecutable::enter_donating(void** bufs, const Argument* arguments) const {
  RunningProgram pins{arguments, inputs_.size()};
  pins.pin();
  for (size_t i : donated_)
    if (arguments[i].array) array_delete(arguments[i].array);
  int32_t status = enter(bufs, arguments);
  pins.unpin();
  return status;
}

void clear(PyObject** results, size_t n) {
  for (size_t i = 0; i < n; ++i) Py_CLEAR(results[i]);
}

bool CpuExecutable::run(const Argument* arguments, PyObject** results) const {
  size_t n_in = inputs_.size(), n_const = consts_.size(), n_out = outputs_.size();
  SmallVector<void*, 32> bufs;
  bufs.resize(n_in + n_const + fresh_outputs_ + 1);
  for (size_t i = 0; i < n_in; ++i) bufs[i] = arguments[i].data;
  for (size_t i = 0; i < n_const; ++i) bufs[n_in + i] = consts_[i]->data;

  // Forwarded inputs and constants do not depend on the run; taking them first means that
  // nothing which happens during it can delete them.
  size_t at = n_in + n_const;
  for (size_t i = 0; i < n_out; ++i) {
    const OutputSpec& spec = outputs_[i];
    ArrayObject* a = make_output(spec, arguments);
    results[i] = as_object(a);
    if (!a) {
      clear(results, i);
      return false;
    }
    if (spec.kind == kFreshOutput) {
      bufs[at++] = a->data;
      if (spec.donor >= 0) bufs[size_t(spec.donor)] = a->data;
    }
  }
  size_t workspace_capacity = 0;
  bufs[at] = nullptr;
  if (workspace_bytes_) {
    bufs[at] = allocate(workspace_bytes_, &workspace_capacity);
    if (!bufs[at]) {
      PyErr_Format(PyExc_MemoryError, "out of memory: %U needs %zu bytes of workspace", name(),
                   workspace_bytes_);
      clear(results, n_out);
      return false;
    }
  }
  int32_t status =
      donated_.empty() ? enter(bufs.data(), arguments) : enter_donating(bufs.data(), arguments);
  if (workspace_capacity) deallocate(bufs[at], workspace_capacity);
  if (status == kOk) [[likely]]
    return true;
  clear(results, n_out);
  return raise_status(status);
}

// --- the type -------------------------------------------------------------------------------

const CpuExecutable& body_of(PyObject* self) {
  return *static_cast<const CpuExecutable*>(executable_of(self));
}

PyObject* get_params(PyObject* self, void*) {
  const auto& params = body_of(self).params();
  return shape_tuple(int(params.size()), params.data());
}
PyObject* get_workspace_bytes(PyObject* self, void*) {
  return PyLong_FromSize_t(body_of(self).workspace_bytes());
}
PyObject* get_keepalive(PyObject* self, void*) { return Py_NewRef(body_of(self).keepalive()); }

PyGetSetDef getset[] = {
    {"params", get_params, nullptr, "The run-time sizes given to the code.", nullptr},
    {"workspace_bytes", get_workspace_bytes, nullptr, "Temporary memory of one call.", nullptr},
    {"keepalive", get_keepalive, nullptr, "What owns the machine code.", nullptr},
    {nullptr},
};

PyType_Slot slots[] = {
    {Py_tp_doc, const_cast<char*>("A program compiled for the CPU.")},
    {Py_tp_new, reinterpret_cast<void*>(executable_new)},
    {Py_tp_dealloc, reinterpret_cast<void*>(executable_dealloc)},
    {Py_tp_traverse, reinterpret_cast<void*>(executable_traverse)},
    {Py_tp_getset, getset},
    {0, nullptr},
};

PyType_Spec spec = {"covector._native.CpuExecutable", sizeof(ExecutableObject), 0,
                    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC, slots};

}  // namespace

void RunningProgram::pin() {
  if (pinned) return;
  pinned = true;
  for (size_t i = 0; i < count; ++i)
    if (arguments[i].array && arguments[i].array->storage)
      pins.push_back(arguments[i].array->storage->share());
}

void RunningProgram::unpin() {
  for (Storage* storage : pins) storage->drop();
}

void RunningProgram::release_gil() {
  pin();
  thread_state.running = nullptr;
  released = PyEval_SaveThread();
}

bool init_cpu_executable(PyObject* module) {
  return add_type(module, "CpuExecutable", &spec, &CpuExecutableType, ExecutableType);
}

}  // namespace covector
