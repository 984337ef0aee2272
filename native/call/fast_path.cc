// FastPath: construction from Python's description, and the hot call.
#include "call/fast_path.h"

#include <cstring>
#include <new>

#include "host/registry.h"
#include "python/ref.h"
#include "python/type.h"

namespace covector {

PyTypeObject* FastPathType = nullptr;

namespace {

FastPathBody& body_of(PyObject* self) { return reinterpret_cast<FastPathObject*>(self)->body; }

bool compile_tree(FastPathBody& body, PyObject* tree);

bool compile_children(FastPathBody& body, PyObject* children, uint32_t* count) {
  Ref fast(PySequence_Fast(children, "the children of an out_tree node must be a sequence"));
  if (!fast) return false;
  *count = uint32_t(PySequence_Fast_GET_SIZE(fast.get()));
  for (uint32_t i = 0; i < *count; ++i)
    if (!compile_tree(body, PySequence_Fast_GET_ITEM(fast.get(), i))) return false;
  return true;
}

bool bad_tree(PyObject* tree) {
  if (!PyErr_Occurred())
    PyErr_Format(PyExc_ValueError,
                 "%R is not an out_tree: expected an output's index, "
                 "('t', [...]), ('l', [...]), ('d', keys, [...]), ('n',) or "
                 "('c', unflatten, [...])",
                 tree);
  return false;
}

// Appends the steps for `tree`, children before their node.
bool compile_tree(FastPathBody& body, PyObject* tree) {
  if (PyLong_Check(tree)) {
    long k = PyLong_AsLong(tree);
    if (k < 0 || size_t(k) >= body.executable->num_outputs()) return bad_tree(tree);
    body.steps.push_back({OutStep::kLeaf, uint32_t(k), nullptr});
    return true;
  }
  if (!PyTuple_Check(tree) || PyTuple_GET_SIZE(tree) < 1 ||
      !PyUnicode_Check(PyTuple_GET_ITEM(tree, 0)) ||
      PyUnicode_GET_LENGTH(PyTuple_GET_ITEM(tree, 0)) != 1)
    return bad_tree(tree);
  Py_ssize_t size = PyTuple_GET_SIZE(tree);
  uint32_t count = 0;
  switch (PyUnicode_READ_CHAR(PyTuple_GET_ITEM(tree, 0), 0)) {
    case 'n': body.steps.push_back({OutStep::kNone, 0, nullptr}); return true;
    case 't':
    case 'l': {
      bool tuple = PyUnicode_READ_CHAR(PyTuple_GET_ITEM(tree, 0), 0) == 't';
      if (size != 2 || !compile_children(body, PyTuple_GET_ITEM(tree, 1), &count))
        return bad_tree(tree);
      body.steps.push_back({tuple ? OutStep::kTuple : OutStep::kList, count, nullptr});
      return true;
    }
    case 'd': {
      if (size != 3) return bad_tree(tree);
      Ref keys(PySequence_Tuple(PyTuple_GET_ITEM(tree, 1)));
      if (!keys || !compile_children(body, PyTuple_GET_ITEM(tree, 2), &count) ||
          PyTuple_GET_SIZE(keys.get()) != Py_ssize_t(count))
        return bad_tree(tree);
      body.steps.push_back({OutStep::kDict, count, keys.release()});
      return true;
    }
    case 'c': {
      if (size != 3 || !PyCallable_Check(PyTuple_GET_ITEM(tree, 1)) ||
          !compile_children(body, PyTuple_GET_ITEM(tree, 2), &count))
        return bad_tree(tree);
      body.steps.push_back({OutStep::kCustom, count, Py_NewRef(PyTuple_GET_ITEM(tree, 1))});
      return true;
    }
  }
  return bad_tree(tree);
}

void recognise_common_trees(FastPathBody& body) {
  size_t n = body.executable->num_outputs();
  const auto& steps = body.steps;
  body.single = n == 1 && steps.size() == 1 && steps[0].op == OutStep::kLeaf;
  body.flat_tuple = steps.size() == n + 1 && steps[n].op == OutStep::kTuple;
  for (size_t i = 0; body.flat_tuple && i < n; ++i)
    body.flat_tuple = steps[i].op == OutStep::kLeaf && steps[i].count == i;
}

// Takes over the references to the children.
PyObject* build_node(const OutStep& step, PyObject** children) {
  PyObject* sequence = step.op == OutStep::kTuple  ? PyTuple_New(step.count)
                       : step.op == OutStep::kDict ? PyDict_New()
                                                   : PyList_New(step.count);
  bool ok = sequence != nullptr;
  for (uint32_t i = 0; i < step.count; ++i) {
    if (!ok) {
      Py_DECREF(children[i]);
    } else if (step.op == OutStep::kTuple) {
      PyTuple_SET_ITEM(sequence, i, children[i]);
    } else if (step.op == OutStep::kDict) {
      ok = PyDict_SetItem(sequence, PyTuple_GET_ITEM(step.object, i), children[i]) == 0;
      Py_DECREF(children[i]);
    } else {
      PyList_SET_ITEM(sequence, i, children[i]);
    }
  }
  if (!ok) {
    Py_XDECREF(sequence);
    return nullptr;
  }
  if (step.op != OutStep::kCustom) return sequence;
  PyObject* node = PyObject_CallOneArg(step.object, sequence);
  Py_DECREF(sequence);
  return node;
}

PyObject* build_result(const FastPathBody& body, PyObject** outputs) {
  SmallVector<PyObject*, 32> stack;
  bool ok = true;
  for (const OutStep& step : body.steps) {
    PyObject* object;
    if (step.op == OutStep::kLeaf) {
      object = Py_NewRef(outputs[step.count]);
    } else if (step.op == OutStep::kNone) {
      object = Py_NewRef(Py_None);
    } else {
      size_t base = stack.size() - step.count;
      object = build_node(step, stack.data() + base);
      stack.resize(base);
      if (!object) {
        ok = false;
        break;
      }
    }
    stack.push_back(object);
  }
  for (size_t i = 0; i < body.executable->num_outputs(); ++i) Py_DECREF(outputs[i]);
  if (ok) return stack[0];
  for (PyObject* object : stack) Py_DECREF(object);
  return nullptr;
}

PyObject* fast_path_new(PyTypeObject* type, PyObject* args, PyObject* kwargs) {
  static const char* names[] = {"executable", "kept", "out_tree", nullptr};
  PyObject *executable, *kept, *tree;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O!OO:FastPath", const_cast<char**>(names),
                                   ExecutableType, &executable, &kept, &tree))
    return nullptr;
  Ref indices(PySequence_Fast(kept, "kept must be a sequence of leaf indices"));
  if (!indices) return nullptr;
  PyObject* self = type->tp_alloc(type, 0);
  if (!self) return nullptr;
  Ref guard(self);
  FastPathBody& body = *new (&body_of(self)) FastPathBody;
  body.object = Py_NewRef(executable);
  body.executable = executable_of(executable);
  for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(indices.get()); ++i) {
    long k = PyLong_AsLong(PySequence_Fast_GET_ITEM(indices.get(), i));
    if (k < 0) {
      if (!PyErr_Occurred()) PyErr_SetString(PyExc_ValueError, "a leaf index is negative");
      return nullptr;
    }
    body.kept.push_back(uint32_t(k));
  }
  if (body.kept.size() != body.executable->inputs().size()) {
    PyErr_Format(PyExc_ValueError, "kept has %zu leaf indices, the executable %zu inputs",
                 body.kept.size(), body.executable->inputs().size());
    return nullptr;
  }
  if (!compile_tree(body, tree)) return nullptr;
  recognise_common_trees(body);
  return guard.release();
}

int fast_path_traverse(PyObject* self, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(self));
  Py_VISIT(body_of(self).object);
  for (const OutStep& step : body_of(self).steps) Py_VISIT(step.object);
  return 0;
}

// Cycles are broken by JitFunction, which drops its FastPaths.
void fast_path_dealloc(PyObject* self) {
  PyObject_GC_UnTrack(self);
  FastPathBody& body = body_of(self);
  Py_XDECREF(body.object);
  for (const OutStep& step : body.steps) Py_XDECREF(step.object);
  body.~FastPathBody();
  free_object(self);
}

PyObject* get_executable(PyObject* self, void*) { return Py_NewRef(body_of(self).object); }

PyGetSetDef getset[] = {
    {"executable", get_executable, nullptr, "The program that is called.", nullptr},
    {nullptr},
};

PyType_Slot slots[] = {
    {Py_tp_doc, const_cast<char*>("FastPath(executable, kept, out_tree)")},
    {Py_tp_new, reinterpret_cast<void*>(fast_path_new)},
    {Py_tp_dealloc, reinterpret_cast<void*>(fast_path_dealloc)},
    {Py_tp_traverse, reinterpret_cast<void*>(fast_path_traverse)},
    {Py_tp_getset, getset},
    {0, nullptr},
};

PyType_Spec spec = {"covector._native.FastPath", sizeof(FastPathObject), 0,
                    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC, slots};

}  // namespace

bool bind_fast_path(FastPathObject* path, const Signature& signature) {
  FastPathBody& body = path->body;
  const Executable& executable = *body.executable;
  for (size_t j = 0; j < body.kept.size(); ++j) {
    const ArraySpec& spec = executable.inputs()[j];
    if (body.kept[j] >= signature.leaves.size()) {
      PyErr_Format(PyExc_ValueError, "%U: kept[%zu] is %u, but the call has %zu leaves",
                   executable.name(), j, unsigned(body.kept[j]), signature.leaves.size());
      return false;
    }
    PyObject* leaf = signature.leaves[body.kept[j]];
    bool ok = spec.size == 1;
    if (is_array(leaf)) {
      ArrayObject* a = as_array(leaf);
      ok = a->code == spec.code && a->size == spec.size;
      // Arrays of one placement, which the signature names, are in one memory.
      body.brings |= a->storage && !executable.takes(a);
    }
    if (!ok) {
      PyErr_Format(PyExc_ValueError, "%U: input %zu does not have the type of leaf %u",
                   executable.name(), j, unsigned(body.kept[j]));
      return false;
    }
  }
  return true;
}

PyObject* run_fast_path(FastPathObject* path, const Signature& signature) {
  struct alignas(16) Slot {
    char bytes[16];
  };
  const FastPathBody& body = path->body;
  const Executable& executable = *body.executable;
  size_t n_in = body.kept.size(), n_out = executable.num_outputs();
  SmallVector<Argument, 24> arguments;
  SmallVector<Slot, 24> scalars;
  std::vector<Ref> brought;
  arguments.resize(n_in);
  scalars.resize(n_in);
  for (size_t j = 0; j < n_in; ++j) {
    PyObject* leaf = signature.leaves[body.kept[j]];
    if (is_array(leaf)) [[likely]] {
      ArrayObject* a = as_array(leaf);
      if (!check_alive(a)) return nullptr;  // deleted by code that ran since the flattening
      if (body.brings) [[unlikely]] {
        if (!(a = executable.brought(j, a))) return nullptr;
        brought.emplace_back(as_object(a));
      }
      arguments[j] = {a->data, a};
    } else {
      if (!element_from_python(executable.inputs()[j].code, leaf, &scalars[j])) return nullptr;
      arguments[j] = {&scalars[j], nullptr};
    }
  }
  SmallVector<PyObject*, 16> outputs;
  outputs.resize(n_out);
  if (!executable.call(arguments.data(), outputs.data())) return nullptr;
  if (body.single) [[likely]]
    return outputs[0];
  if (body.flat_tuple) {
    PyObject* tuple = PyTuple_New(Py_ssize_t(n_out));
    for (size_t i = 0; i < n_out; ++i)
      if (tuple)
        PyTuple_SET_ITEM(tuple, Py_ssize_t(i), outputs[i]);
      else
        Py_DECREF(outputs[i]);
    return tuple;
  }
  return build_result(body, outputs.data());
}

bool init_fast_path(PyObject* module) { return add_type(module, "FastPath", &spec, &FastPathType); }

}  // namespace covector
