// HostedExecutable: a program that its backend runs from Python.
#include <algorithm>
#include <cstring>

#include "call/executable.h"
#include "host/registry.h"
#include "python/type.h"

namespace covector {
namespace {

PyTypeObject* HostedType = nullptr;

class HostedExecutable final : public Executable {
 public:
  HostedExecutable(PyObject* name, PyObject* function)
      : Executable(name), function_(Py_NewRef(function)) {}
  ~HostedExecutable() override { Py_DECREF(function_); }

  bool describe(PyObject* in_specs, PyObject* out_specs) {
    auto add = [](std::vector<ArraySpec>& specs) {
      return [&specs](PyObject* item) {
        specs.emplace_back();
        return parse_spec(item, true, &specs.back());
      };
    };
    if (!for_each_item(in_specs, "in_specs must be a sequence", add(inputs_)) ||
        !for_each_item(out_specs, "out_specs must be a sequence", add(outputs_)))
      return false;
    num_outputs_ = outputs_.size();
    return true;
  }

  int traverse(visitproc visit, void* arg) const override {
    Py_VISIT(function_);
    return 0;
  }

 private:
  bool run(const Argument* arguments, PyObject** results) const override {
    Ref list(PyList_New(Py_ssize_t(inputs_.size())));
    if (!list) return false;
    for (size_t i = 0; i < inputs_.size(); ++i) {
      PyObject* array = as_argument(arguments[i], inputs_[i]);
      if (!array) return false;
      PyList_SET_ITEM(list.get(), Py_ssize_t(i), array);
    }
    Ref made(PyObject_CallOneArg(function_, list.get()));
    Ref fast(made ? PySequence_Fast(made.get(), "a program must return a sequence") : nullptr);
    if (!fast) return false;
    if (size_t(PySequence_Fast_GET_SIZE(fast.get())) != num_outputs_) {
      PyErr_Format(PyExc_RuntimeError, "%U returned %zd results in place of %zu", name(),
                   PySequence_Fast_GET_SIZE(fast.get()), num_outputs_);
      return false;
    }
    for (size_t i = 0; i < num_outputs_; ++i)
      if (!check_result(i, PySequence_Fast_GET_ITEM(fast.get(), Py_ssize_t(i)))) return false;
    for (size_t i = 0; i < num_outputs_; ++i)
      results[i] = Py_NewRef(PySequence_Fast_GET_ITEM(fast.get(), Py_ssize_t(i)));
    return true;
  }

  static PyObject* as_argument(const Argument& argument, const ArraySpec& spec) {
    if (argument.array) return Py_NewRef(as_object(argument.array));
    ArrayObject* a = array_empty(spec.code, spec.weak, spec.ndim(), spec.shape.data());
    if (a) std::memcpy(a->data, argument.data, array_nbytes(a));
    return as_object(a);
  }

  bool check_result(size_t i, PyObject* obj) const {
    ArrayObject* a = require_array(obj);
    if (!a || !check_alive(a)) return false;
    const ArraySpec& spec = outputs_[i];
    if (a->code == spec.code && a->weak == spec.weak && a->ndim == spec.ndim() &&
        std::equal(spec.shape.begin(), spec.shape.end(), a->shape))
      return true;
    Ref expected(shape_tuple(spec.ndim(), spec.shape.data()));
    Ref given(shape_tuple(a->ndim, a->shape));
    if (expected && given)
      PyErr_Format(PyExc_RuntimeError,
                   "%U: its backend returned %R of dtype %s as result %zu in place of %R of %s%s",
                   name(), given.get(), dtype_name(a->code), i, expected.get(),
                   dtype_name(spec.code), a->weak == spec.weak ? "" : " (the weak types differ)");
    return false;
  }

  std::vector<ArraySpec> outputs_;
  PyObject* function_;
};

PyObject* hosted_new(PyTypeObject* type, PyObject* args, PyObject* kwargs) {
  static const char* names[] = {"function", "in_specs", "out_specs", "name", nullptr};
  PyObject *function, *in_specs, *out_specs, *name;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOOU:HostedExecutable", const_cast<char**>(names),
                                   &function, &in_specs, &out_specs, &name))
    return nullptr;
  if (!PyCallable_Check(function)) {
    PyErr_SetString(PyExc_TypeError, "function must be callable");
    return nullptr;
  }
  auto* body = new HostedExecutable(name, function);
  if (!body->describe(in_specs, out_specs)) {
    delete body;
    return nullptr;
  }
  return wrap_executable(type, body);
}

PyType_Slot slots[] = {
    {Py_tp_doc, const_cast<char*>("HostedExecutable(function, in_specs, out_specs, name)\n--\n\n"
                                  "A program that function(arrays) -> arrays runs.")},
    {Py_tp_new, reinterpret_cast<void*>(hosted_new)},
    {Py_tp_dealloc, reinterpret_cast<void*>(executable_dealloc)},
    {Py_tp_traverse, reinterpret_cast<void*>(executable_traverse)},
    {0, nullptr},
};

PyType_Spec spec = {"covector._native.HostedExecutable", sizeof(ExecutableObject), 0,
                    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC, slots};

}  // namespace

bool init_hosted_executable(PyObject* module) {
  return add_type(module, "HostedExecutable", &spec, &HostedType, ExecutableType);
}

}  // namespace covector
