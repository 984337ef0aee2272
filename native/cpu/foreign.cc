// Calls of users' native functions; what one call needs besides addresses is made in Python.
#include "cpu/foreign.h"

#include <Python.h>

#include <cstring>
#include <exception>

#include "cpu/runtime.h"
#include "python/ref.h"
#include "python/small_vector.h"

namespace covector {
namespace {

constexpr size_t kMessage = 512;

// Calls the function for every element of the mapped axes, whose levels are walked outermost first.
class Caller {
 public:
  Caller(const ForeignCall& what, covector_ffi_call& call, covector_ffi_buffer* buffers)
      : what_(what), call_(call), buffers_(buffers) {}

  int32_t level(int32_t l) {
    if (l == what_.levels) return what_.function(&call_);
    int32_t n = call_.num_args + call_.num_results;
    const int64_t* strides = what_.strides + int64_t(l) * n;
    for (int64_t i = 0; i < what_.sizes[l]; ++i) {
      if (int32_t status = level(l + 1)) return status;
      for (int32_t k = 0; k < n; ++k) move(k, strides[k]);
    }
    for (int32_t k = 0; k < n; ++k) move(k, -strides[k] * what_.sizes[l]);
    return 0;
  }

 private:
  void move(int32_t k, int64_t bytes) {
    buffers_[k].data = static_cast<char*>(buffers_[k].data) + bytes;
  }

  const ForeignCall& what_;
  covector_ffi_call& call_;
  covector_ffi_buffer* buffers_;
};

}  // namespace

int32_t run_foreign(const ForeignCall& what, void** ins, void** outs) {
  covector_ffi_call call = *what.call;
  int32_t num_args = call.num_args, n = num_args + call.num_results;
  SmallVector<covector_ffi_buffer, 8> buffers;
  buffers.resize(size_t(n));
  std::memcpy(buffers.data(), what.call->args, size_t(n) * sizeof(covector_ffi_buffer));
  for (int32_t k = 0; k < n; ++k)
    buffers[size_t(k)].data = k < num_args ? ins[k] : outs[k - num_args];
  for (int32_t a = 0; a < what.aliases; ++a) {
    int64_t in = what.alias[3 * a], out = what.alias[3 * a + 1];
    std::memcpy(outs[out], ins[in], size_t(what.alias[3 * a + 2]));
    buffers[size_t(in)].data = outs[out];
  }
  char message[kMessage] = "";
  call.args = buffers.data();
  call.results = buffers.data() + num_args;
  call.message = message;
  call.message_size = kMessage;
  int32_t status;
  try {
    status = Caller(what, call, buffers.data()).level(0);
  } catch (const std::exception& e) {
    status = covector_ffi_fail(&call, e.what());
  } catch (...) {
    status = covector_ffi_fail(&call, "it threw something that is no std::exception");
  }
  if (status == 0) return kOk;
  GilGuard gil;
  if (!PyErr_Occurred())
    PyErr_Format(PyExc_RuntimeError, "the native function %s failed: %s", call.target,
                 message[0] ? message : "it says no more");
  return kPythonError;
}

}  // namespace covector
