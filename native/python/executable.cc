// Executable: how a compiled program is called.
#include "python/executable.h"

#include <structmember.h>

#include <algorithm>
#include <cstring>
#include <new>

#include "engine/allocator.h"
#include "python/ref.h"
#include "python/registry.h"
#include "python/trace_state.h"
#include "python/type.h"

namespace covector {

PyTypeObject* ExecutableType = nullptr;

namespace {

ExecutableObject* as_executable(PyObject* obj) { return reinterpret_cast<ExecutableObject*>(obj); }

// --- construction ---------------------------------------------------------------------------

template <class F>
bool for_each(PyObject* sequence, const char* what, F&& f) {
  Ref fast(PySequence_Fast(sequence, what));
  if (!fast) return false;
  for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(fast.get()); ++i)
    if (!f(PySequence_Fast_GET_ITEM(fast.get(), i))) return false;
  return true;
}

bool parse_spec(PyObject* item, bool with_weak, ArraySpec* spec) {
  PyObject *code, *shape, *weak = Py_False;
  if (!PyTuple_Check(item)) {
    PyErr_SetString(PyExc_TypeError, "a spec must be a tuple (code, shape[, weak])");
    return false;
  }
  if (!PyArg_ParseTuple(item, with_weak ? "OOO" : "OO", &code, &shape, &weak)) return false;
  int truth = PyObject_IsTrue(weak);
  if (truth < 0 || !parse_code(code, &spec->code) || !parse_shape(shape, &spec->shape))
    return false;
  spec->weak = truth;
  spec->size = count_elements(spec->code, spec->ndim(), spec->shape.data());
  return spec->size >= 0;
}

bool parse_int(PyObject* item, int64_t* value) {
  *value = PyLong_AsLongLong(item);
  return !(*value == -1 && PyErr_Occurred());
}

bool bad(const char* message) {
  PyErr_SetString(PyExc_ValueError, message);
  return false;
}

bool parse_donation(Program& p, PyObject* item) {
  long long in, out;
  if (!PyTuple_Check(item)) return bad("a donation must be a tuple (input, output)");
  if (!PyArg_ParseTuple(item, "LL", &in, &out)) return false;
  if (in < 0 || size_t(in) >= p.inputs.size() || out < 0 || size_t(out) >= p.outputs.size())
    return bad("a donation's index is out of range");
  OutputSpec& spec = p.outputs[size_t(out)];
  if (spec.kind != kFreshOutput || spec.donor >= 0)
    return bad("only an allocated output can take over an input, and only one");
  for (const OutputSpec& other : p.outputs)
    if (other.donor == in) return bad("an input can be donated only once");
  if (p.inputs[size_t(in)].size * itemsizes[p.inputs[size_t(in)].code] !=
      spec.size * itemsizes[spec.code])
    return bad("a donated input and its output must have the same size in bytes");
  spec.donor = in;
  p.donates = true;
  return true;
}

bool fill_program(Program& p, unsigned long long entry, PyObject* params, PyObject* consts,
                  PyObject* in_specs, PyObject* out_specs, PyObject* out_kinds, long long workspace,
                  PyObject* donations) {
  p.entry = reinterpret_cast<Entry>(entry);
  if (!entry) return bad("the entry address is null");
  if (workspace < 0) return bad("workspace_bytes is negative");
  p.workspace_bytes = size_t(workspace);
  auto add_param = [&](PyObject* item) {
    int64_t value;
    if (!parse_int(item, &value)) return false;
    p.params.push_back(value);
    return true;
  };
  auto add_const = [&](PyObject* item) {
    ArrayObject* a = require_array(item);
    if (!a || !check_alive(a)) return false;
    ArrayObject* alias = array_alias(a, a->weak);
    if (alias) p.consts.push_back(alias);
    return alias != nullptr;
  };
  auto add_input = [&](PyObject* item) {
    p.inputs.emplace_back();
    return parse_spec(item, false, &p.inputs.back());
  };
  auto add_output = [&](PyObject* item) {
    p.outputs.push_back({{}, kFreshOutput, -1});
    return parse_spec(item, true, &p.outputs.back());
  };
  if (!for_each(params, "params must be a sequence", add_param) ||
      !for_each(consts, "consts must be a sequence", add_const) ||
      !for_each(in_specs, "in_specs must be a sequence", add_input) ||
      !for_each(out_specs, "out_specs must be a sequence", add_output))
    return false;

  size_t at = 0;
  auto add_kind = [&](PyObject* item) {
    int64_t kind;
    if (!parse_int(item, &kind)) return false;
    if (at >= p.outputs.size()) return bad("more out_kinds than out_specs");
    OutputSpec& out = p.outputs[at++];
    out.kind = kind;
    const ArraySpec* source = nullptr;
    if (kind == kFreshOutput) {
      ++p.fresh_outputs;
    } else if (kind >= kConstOutput) {
      if (size_t(kind - kConstOutput) >= p.consts.size())
        return bad("an out_kind names a constant that does not exist");
      const ArrayObject* c = p.consts[size_t(kind - kConstOutput)];
      if (c->code != out.code || c->size != out.size)
        return bad("an output and the constant it is have different types");
    } else {
      if (kind < 0 || size_t(kind) >= p.inputs.size())
        return bad("an out_kind names an input that does not exist");
      source = &p.inputs[size_t(kind)];
      if (source->code != out.code || source->shape != out.shape)
        return bad("an output and the input it forwards have different types");
    }
    return true;
  };
  if (!for_each(out_kinds, "out_kinds must be a sequence", add_kind)) return false;
  if (at != p.outputs.size()) return bad("fewer out_kinds than out_specs");
  return for_each(donations, "donations must be a sequence",
                  [&](PyObject* item) { return parse_donation(p, item); });
}

PyObject* executable_new(PyTypeObject* type, PyObject* args, PyObject* kwargs) {
  static const char* names[] = {
      "entry",           "params",    "consts",      "in_specs",  "out_specs", "out_kinds",
      "workspace_bytes", "donations", "release_gil", "keepalive", "name",      nullptr};
  unsigned long long entry;
  long long workspace = 0;
  int release_gil = 0;
  PyObject *params, *consts, *in_specs, *out_specs, *out_kinds;
  PyObject *donations = nullptr, *keepalive = Py_None, *name = nullptr;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "KOOOOO|LOpOU:Executable",
                                   const_cast<char**>(names), &entry, &params, &consts, &in_specs,
                                   &out_specs, &out_kinds, &workspace, &donations, &release_gil,
                                   &keepalive, &name))
    return nullptr;
  Ref no_donations(PyTuple_New(0));
  Ref default_name(PyUnicode_FromString("<program>"));
  PyObject* self = type->tp_alloc(type, 0);
  if (!self || !no_donations || !default_name) return nullptr;
  Program& p = *new (&as_executable(self)->program) Program;
  p.release_gil = release_gil;
  p.keepalive = Py_NewRef(keepalive);
  p.name = Py_NewRef(name ? name : default_name.get());
  if (!fill_program(p, entry, params, consts, in_specs, out_specs, out_kinds, workspace,
                    donations ? donations : no_donations.get())) {
    Py_DECREF(self);
    return nullptr;
  }
  return self;
}

int executable_traverse(PyObject* self, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(self));
  Py_VISIT(as_executable(self)->program.keepalive);
  return 0;
}

// keepalive owns the machine code, so it stays until the object itself dies.
void executable_dealloc(PyObject* self) {
  PyObject_GC_UnTrack(self);
  Program& p = as_executable(self)->program;
  for (ArrayObject* c : p.consts) Py_DECREF(c);
  Py_XDECREF(p.keepalive);
  Py_XDECREF(p.name);
  p.~Program();
  free_object(self);
}

// --- running --------------------------------------------------------------------------------

ArrayObject* argument_as_array(const Argument& argument, const OutputSpec& spec, bool same_object) {
  if (!argument.array) {
    ArrayObject* a = array_empty(spec.code, spec.weak, spec.ndim(), spec.shape.data());
    if (a) std::memcpy(a->data, argument.data, array_nbytes(a));
    return a;
  }
  if (same_object && argument.array->weak == spec.weak)
    return as_array(Py_NewRef(as_object(argument.array)));
  return array_alias(argument.array, spec.weak);
}

// Output `spec` takes over the memory of its donor if nobody else can see it; otherwise it gets
// a copy. Either way it holds the donor's value.
ArrayObject* take_over(const Program& p, const OutputSpec& spec, const Argument* arguments) {
  const Argument& donor = arguments[spec.donor];
  ArrayObject* a = donor.array;
  bool exclusive = a && a->storage->is_exclusive();
  for (size_t i = 0; exclusive && i < p.inputs.size(); ++i)
    if (int64_t(i) != spec.donor && arguments[i].array && arguments[i].array->storage == a->storage)
      exclusive = false;
  if (exclusive)
    return array_wrap(spec.code, spec.weak, spec.ndim(), spec.shape.data(), a->storage->share(),
                      a->data);
  ArrayObject* copy = array_empty(spec.code, spec.weak, spec.ndim(), spec.shape.data());
  if (copy) std::memcpy(copy->data, donor.data, array_nbytes(copy));
  return copy;
}

bool raise_status(const Program& p, int32_t status) {
  if (status == kPythonError && PyErr_Occurred()) return false;
  if (status == kOutOfMemory) {
    if (!PyErr_Occurred())
      PyErr_Format(PyExc_MemoryError, "out of memory while running %U", p.name);
  } else {
    PyErr_Format(PyExc_RuntimeError, "%U failed with status %d", p.name, int(status));
  }
  return false;
}

int32_t enter(const Program& p, void** bufs, const Argument* arguments) {
  RunningProgram running{arguments, p.inputs.size()};
  running.outer = thread_state.running;
  int32_t status;
  if (p.release_gil) {
    running.pin();
    thread_state.running = nullptr;
    PyThreadState* saved = PyEval_SaveThread();
    status = p.entry(bufs, p.params.data(), runtime_table);
    PyEval_RestoreThread(saved);
  } else {
    thread_state.running = &running;
    status = p.entry(bufs, p.params.data(), runtime_table);
  }
  thread_state.running = running.outer;
  if (running.pinned) running.unpin();
  return status;
}

void clear(PyObject** results, size_t n) {
  for (size_t i = 0; i < n; ++i) Py_CLEAR(results[i]);
}

bool check_argument(const Program& p, size_t i, ArrayObject* a) {
  const ArraySpec& spec = p.inputs[i];
  if (!check_alive(a)) return false;
  if (a->code == spec.code && a->ndim == spec.ndim() &&
      std::equal(spec.shape.begin(), spec.shape.end(), a->shape))
    return true;
  Ref expected(shape_tuple(spec.ndim(), spec.shape.data())), given(shape_tuple(a->ndim, a->shape));
  if (expected && given)
    PyErr_Format(PyExc_TypeError, "%U: argument %zu has shape %R and dtype %s, expected %R and %s",
                 p.name, i, given.get(), dtype_name(a->code), expected.get(),
                 dtype_name(spec.code));
  return false;
}

PyObject* call(PyObject* self, PyObject* arrays) {
  const Program& p = as_executable(self)->program;
  Ref fast(PySequence_Fast(arrays, "call() expects a sequence of Arrays"));
  if (!fast) return nullptr;
  size_t n = size_t(PySequence_Fast_GET_SIZE(fast.get()));
  if (n != p.inputs.size()) {
    PyErr_Format(PyExc_TypeError, "%U takes %zu arrays, got %zu", p.name, p.inputs.size(), n);
    return nullptr;
  }
  SmallVector<Argument, 16> arguments;
  std::vector<Ref> held;  // the caller's list may change while the program runs
  held.reserve(n);
  for (size_t i = 0; i < n; ++i) {
    PyObject* item = PySequence_Fast_GET_ITEM(fast.get(), i);
    ArrayObject* a = require_array(item);
    if (!a || !check_argument(p, i, a)) return nullptr;
    held.push_back(Ref::borrow(item));
    arguments.push_back({a->data, a});
  }
  SmallVector<PyObject*, 16> results;
  results.resize(p.outputs.size());
  if (!run_program(as_executable(self), arguments.data(), results.data())) return nullptr;
  PyObject* list = PyList_New(Py_ssize_t(results.size()));
  for (size_t i = 0; i < results.size(); ++i)
    if (list)
      PyList_SET_ITEM(list, Py_ssize_t(i), results[i]);
    else
      Py_DECREF(results[i]);
  return list;
}

PyObject* get_params(PyObject* self, void*) {
  const auto& params = as_executable(self)->program.params;
  return shape_tuple(int(params.size()), params.data());
}
PyObject* get_workspace_bytes(PyObject* self, void*) {
  return PyLong_FromSize_t(as_executable(self)->program.workspace_bytes);
}
PyObject* get_name(PyObject* self, void*) { return Py_NewRef(as_executable(self)->program.name); }
PyObject* get_keepalive(PyObject* self, void*) {
  return Py_NewRef(as_executable(self)->program.keepalive);
}

PyObject* repr(PyObject* self) {
  const Program& p = as_executable(self)->program;
  return PyUnicode_FromFormat("<Executable %U: %zu inputs, %zu outputs>", p.name, p.inputs.size(),
                              p.outputs.size());
}

PyGetSetDef getset[] = {
    {"params", get_params, nullptr, "The run-time sizes given to the code.", nullptr},
    {"workspace_bytes", get_workspace_bytes, nullptr, "Temporary memory of one call.", nullptr},
    {"name", get_name, nullptr, "The name in messages.", nullptr},
    {"keepalive", get_keepalive, nullptr, "What owns the machine code.", nullptr},
    {nullptr},
};

PyMethodDef methods[] = {
    {"call", call, METH_O, "call(arrays): run on a sequence of Arrays; returns a list."},
    {nullptr},
};

PyType_Slot slots[] = {
    {Py_tp_doc, const_cast<char*>("A compiled program that can be called on Arrays.")},
    {Py_tp_new, reinterpret_cast<void*>(executable_new)},
    {Py_tp_dealloc, reinterpret_cast<void*>(executable_dealloc)},
    {Py_tp_traverse, reinterpret_cast<void*>(executable_traverse)},
    {Py_tp_repr, reinterpret_cast<void*>(repr)},
    {Py_tp_getset, getset},
    {Py_tp_methods, methods},
    {0, nullptr},
};

PyType_Spec spec = {"covector._native.Executable", sizeof(ExecutableObject), 0,
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

bool run_program(ExecutableObject* executable, const Argument* arguments, PyObject** results) {
  const Program& p = executable->program;
  size_t n_in = p.inputs.size(), n_const = p.consts.size(), n_out = p.outputs.size();
  SmallVector<void*, 32> bufs;
  bufs.resize(n_in + n_const + p.fresh_outputs + 1);
  for (size_t i = 0; i < n_in; ++i) bufs[i] = arguments[i].data;
  for (size_t i = 0; i < n_const; ++i) bufs[n_in + i] = p.consts[i]->data;

  // Forwarded inputs and constants do not depend on the run; taking them first means that
  // nothing which happens during it can delete them.
  size_t at = n_in + n_const;
  for (size_t i = 0; i < n_out; ++i) {
    const OutputSpec& spec = p.outputs[i];
    ArrayObject* a;
    if (spec.kind == kFreshOutput) {
      a = spec.donor >= 0 ? take_over(p, spec, arguments)
                          : array_empty(spec.code, spec.weak, spec.ndim(), spec.shape.data());
      if (a) {
        bufs[at++] = a->data;
        if (spec.donor >= 0) bufs[size_t(spec.donor)] = a->data;
      }
    } else if (spec.kind >= kConstOutput) {
      a = array_alias(p.consts[size_t(spec.kind - kConstOutput)], spec.weak);
    } else {
      // A donated input is about to be deleted, and may be the same object.
      a = argument_as_array(arguments[spec.kind], spec, !p.donates);
    }
    results[i] = as_object(a);
    if (!a) {
      clear(results, i);
      return false;
    }
  }
  size_t workspace_capacity = 0;
  bufs[at] = nullptr;
  if (p.workspace_bytes) {
    bufs[at] = allocate(p.workspace_bytes, &workspace_capacity);
    if (!bufs[at]) {
      PyErr_Format(PyExc_MemoryError, "out of memory: %U needs %zu bytes of workspace", p.name,
                   p.workspace_bytes);
      clear(results, n_out);
      return false;
    }
  }
  int32_t status;
  if (p.donates) {
    // Deleted before the call, so that no other thread can use or donate them during it; a
    // second argument on the same memory keeps it alive through its own reference.
    RunningProgram pins{arguments, n_in};
    pins.pin();
    for (const OutputSpec& spec : p.outputs)
      if (spec.donor >= 0 && arguments[spec.donor].array) array_delete(arguments[spec.donor].array);
    status = enter(p, bufs.data(), arguments);
    pins.unpin();
  } else {
    status = enter(p, bufs.data(), arguments);
  }
  if (workspace_capacity) deallocate(bufs[at], workspace_capacity);
  if (status == kOk) [[likely]]
    return true;
  clear(results, n_out);
  return raise_status(p, status);
}

bool init_executable(PyObject* module) {
  return add_type(module, "Executable", &spec, &ExecutableType);
}

}  // namespace covector
