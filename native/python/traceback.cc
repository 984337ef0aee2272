// Every function that users call filters, inner ones too: filtering again finds nothing to do,
// and code that catches an error within a traced function sees it as it should be.
#include "python/traceback.h"

#include <Python.h>

#include <algorithm>
#include <vector>

#include "python/ref.h"
#include "python/trace_state.h"
#include "python/user_frame.h"

namespace covector {
namespace {

// Enough for any chain that a person would read.
constexpr size_t kMaxChain = 64;

PyTracebackObject* as_traceback(PyObject* obj) { return reinterpret_cast<PyTracebackObject*>(obj); }

FileKind kind_of(PyTracebackObject* tb) {
  Ref code(reinterpret_cast<PyObject*>(PyFrame_GetCode(tb->tb_frame)));
  return file_kind(reinterpret_cast<PyCodeObject*>(code.get())->co_filename);
}

// None stands for no traceback once one has been set.
Ref traceback_of(PyObject* exception) {
  Ref traceback(PyException_GetTraceback(exception));
  return traceback && PyTraceBack_Check(traceback.get()) ? std::move(traceback) : Ref();
}

// The entry `tb` with another successor. Traceback objects may be shared: they are not changed.
Ref with_next(PyTracebackObject* tb, const Ref& next) {
  Ref lineno(PyObject_GetAttrString(reinterpret_cast<PyObject*>(tb), "tb_lineno"));
  if (!lineno) return {};
  return Ref(PyObject_CallFunction(reinterpret_cast<PyObject*>(&PyTraceBack_Type), "OOiO",
                                   next ? next.get() : Py_None, tb->tb_frame, tb->tb_lasti,
                                   lineno.get()));
}

// `from_library`: the outermost frame was called by the library.
void filter_traceback(PyObject* exception, bool from_library) {
  Ref traceback = traceback_of(exception);
  if (!traceback) return;
  std::vector<PyTracebackObject*> kept;
  size_t count = 0;
  for (auto* tb = as_traceback(traceback.get()); tb; tb = tb->tb_next, ++count) {
    FileKind kind = kind_of(tb);
    if (kind == FileKind::kLibrary) from_library = true;
    if (kind == FileKind::kUser) from_library = false;
    // Helpers belong to the code that calls them.
    if (!from_library) kept.push_back(tb);
  }
  if (kept.size() == count) return;
  Ref out;
  for (auto it = kept.rbegin(); it != kept.rend(); ++it) {
    out = with_next(*it, out);
    if (!out) return;
  }
  PyException_SetTraceback(exception, out ? out.get() : Py_None);
}

void filter_chain(PyObject* raised) {
  std::vector<Ref> chain;
  auto add = [&](PyObject* owned) {
    Ref exception(owned);
    if (!exception || chain.size() >= kMaxChain) return;
    if (std::none_of(chain.begin(), chain.end(),
                     [&](const Ref& e) { return e.get() == exception.get(); }))
      chain.push_back(std::move(exception));
  };
  add(Py_NewRef(raised));
  for (size_t i = 0; i < chain.size(); ++i) {
    PyObject* exception = chain[i].get();
    filter_traceback(exception, i == 0);
    PyErr_Clear();
    add(PyException_GetCause(exception));
    add(PyException_GetContext(exception));
  }
}

}  // namespace

void filter_raised() {
  if (!filters_tracebacks() || !PyErr_ExceptionMatches(PyExc_Exception)) return;
#if PY_VERSION_HEX >= 0x030C0000
  PyObject* exception = PyErr_GetRaisedException();
  filter_chain(exception);
  PyErr_SetRaisedException(exception);
#else
  PyObject *type, *exception, *traceback;
  PyErr_Fetch(&type, &exception, &traceback);
  PyErr_NormalizeException(&type, &exception, &traceback);
  PyException_SetTraceback(exception, traceback ? traceback : Py_None);
  filter_chain(exception);
  Py_XDECREF(traceback);
  PyErr_Restore(type, exception, traceback_of(exception).release());
#endif
}

}  // namespace covector
