// A walk outward over the Python frames. Whether a file belongs to the library is remembered by
// the identity of its name, which all code objects of a module share.
#include "python/user_frame.h"

#include <cstdint>

#include "python/ref.h"

namespace covector {
namespace {

struct Verdict {
  PyObject* filename;  // owned
  FileKind kind;
};
constexpr size_t kVerdicts = 512;
Verdict verdicts[kVerdicts];
PyObject* own_prefix = nullptr;
PyObject* library_prefixes = nullptr;  // tuples
PyObject* helper_prefixes = nullptr;

void forget_verdicts() {
  for (auto& v : verdicts) Py_CLEAR(v.filename);
}

bool starts_with(PyObject* text, PyObject* prefix) {
  return PyUnicode_Tailmatch(text, prefix, 0, PY_SSIZE_T_MAX, -1) == 1;
}

bool starts_with_any(PyObject* text, PyObject* prefixes) {
  for (Py_ssize_t i = 0; prefixes && i < PyTuple_GET_SIZE(prefixes); ++i)
    if (starts_with(text, PyTuple_GET_ITEM(prefixes, i))) return true;
  return false;
}

PyObject* tuple_of_strings(PyObject* strings) {
  Ref tuple(PySequence_Tuple(strings));
  for (Py_ssize_t i = 0; tuple && i < PyTuple_GET_SIZE(tuple.get()); ++i)
    if (!PyUnicode_Check(PyTuple_GET_ITEM(tuple.get(), i))) {
      PyErr_SetString(PyExc_TypeError, "prefixes must be strings");
      return nullptr;
    }
  return tuple.release();
}

}  // namespace

FileKind file_kind(PyObject* filename) {
  Verdict& v = verdicts[(reinterpret_cast<uintptr_t>(filename) >> 4) % kVerdicts];
  if (v.filename == filename) return v.kind;
  FileKind kind = FileKind::kUser;
  if ((own_prefix && starts_with(filename, own_prefix)) ||
      starts_with_any(filename, library_prefixes))
    kind = FileKind::kLibrary;
  else if (starts_with_any(filename, helper_prefixes))
    kind = FileKind::kHelper;
  Py_INCREF(filename);
  Py_XSETREF(v.filename, filename);
  v.kind = kind;
  return kind;
}

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
    if (file_kind(code->co_filename) == FileKind::kUser)
      return Py_BuildValue("(OiO)", code->co_filename, PyFrame_GetLineNumber(frame), code->co_name);
    frame = PyFrame_GetBack(frame);
    owner = Ref(reinterpret_cast<PyObject*>(frame));
  }
  Py_RETURN_NONE;
}

PyObject* set_internal_prefixes(PyObject*, PyObject* const* args, Py_ssize_t nargs) {
  if (nargs < 1 || nargs > 2) {
    PyErr_SetString(PyExc_TypeError, "set_internal_prefixes(library, helpers=())");
    return nullptr;
  }
  Ref library(tuple_of_strings(args[0]));
  Ref helpers(nargs == 2 ? tuple_of_strings(args[1]) : PyTuple_New(0));
  if (!library || !helpers) return nullptr;
  Py_XSETREF(library_prefixes, library.release());
  Py_XSETREF(helper_prefixes, helpers.release());
  forget_verdicts();
  Py_RETURN_NONE;
}

}  // namespace covector
