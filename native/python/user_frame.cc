// A walk outward over the Python frames. Whether a file belongs to the library is remembered by
// the identity of its name, which all code objects of a module share.
#include "python/user_frame.h"

#include <cstdint>

#include "python/ref.h"

namespace covector {
namespace {

struct Verdict {
  PyObject* filename;  // owned
  bool internal;
};
constexpr size_t kVerdicts = 512;
Verdict verdicts[kVerdicts];
PyObject* own_prefix = nullptr;
PyObject* other_prefixes = nullptr;  // a tuple

void forget_verdicts() {
  for (auto& v : verdicts) Py_CLEAR(v.filename);
}

bool starts_with(PyObject* text, PyObject* prefix) {
  return PyUnicode_Tailmatch(text, prefix, 0, PY_SSIZE_T_MAX, -1) == 1;
}

bool is_internal(PyObject* filename) {
  Verdict& v = verdicts[(reinterpret_cast<uintptr_t>(filename) >> 4) % kVerdicts];
  if (v.filename == filename) return v.internal;
  bool internal = starts_with(filename, own_prefix);
  if (other_prefixes)
    for (Py_ssize_t i = 0; !internal && i < PyTuple_GET_SIZE(other_prefixes); ++i)
      internal = starts_with(filename, PyTuple_GET_ITEM(other_prefixes, i));
  Py_INCREF(filename);
  Py_XSETREF(v.filename, filename);
  v.internal = internal;
  return internal;
}

}  // namespace

PyObject* user_frame(PyObject*, PyObject* prefix) {
  if (prefix != own_prefix) {
    if (!PyUnicode_Check(prefix)) {
      PyErr_SetString(PyExc_TypeError, "user_frame expects a str");
      return nullptr;
    }
    if (!own_prefix || PyUnicode_Compare(prefix, own_prefix) != 0) forget_verdicts();
    Py_INCREF(prefix);
    Py_XSETREF(own_prefix, prefix);
  }
  PyFrameObject* frame = PyEval_GetFrame();
  Ref owner;  // PyEval_GetFrame borrows, PyFrame_GetBack does not
  while (frame) {
    Ref code_ref(reinterpret_cast<PyObject*>(PyFrame_GetCode(frame)));
    auto* code = reinterpret_cast<PyCodeObject*>(code_ref.get());
    if (!is_internal(code->co_filename))
      return Py_BuildValue("(OiO)", code->co_filename, PyFrame_GetLineNumber(frame),
                           code->co_name);
    frame = PyFrame_GetBack(frame);
    owner = Ref(reinterpret_cast<PyObject*>(frame));
  }
  Py_RETURN_NONE;
}

PyObject* set_internal_prefixes(PyObject*, PyObject* prefixes) {
  PyObject* tuple = PySequence_Tuple(prefixes);
  if (!tuple) return nullptr;
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(tuple); ++i)
    if (!PyUnicode_Check(PyTuple_GET_ITEM(tuple, i))) {
      Py_DECREF(tuple);
      PyErr_SetString(PyExc_TypeError, "prefixes must be strings");
      return nullptr;
    }
  Py_XSETREF(other_prefixes, tuple);
  forget_verdicts();
  Py_RETURN_NONE;
}

}  // namespace covector
