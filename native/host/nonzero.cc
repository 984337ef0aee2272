// Where the elements of an array are that are not zero.
#include <algorithm>
#include <utility>
#include <vector>

#include "core/scratch.h"
#include "core/thread_pool.h"
#include "host/array.h"
#include "host/registry.h"

namespace covector {
namespace {

constexpr int64_t kChunk = 32 * 1024;

template <class T>
struct Number {
  T x;
  bool zero() const { return x == 0; }
};

struct Half {
  uint16_t bits;
  bool zero() const { return !(bits & 0x7FFF); }
};

template <class T>
struct Complex {
  T real, imag;
  bool zero() const { return (real == 0) & (imag == 0); }
};

// Calls f(E{}) for what holds an element of the type `code`; false for other types.
template <class F>
bool with_element(int code, F&& f) {
  switch (code) {
    case kBool:
    case kI8:
    case kU8: f(Number<uint8_t>{}); return true;
    case kI16:
    case kU16: f(Number<uint16_t>{}); return true;
    case kI32:
    case kU32: f(Number<uint32_t>{}); return true;
    case kI64:
    case kU64: f(Number<uint64_t>{}); return true;
    case kF16:
    case kBF16: f(Half{}); return true;
    case kF32: f(Number<float>{}); return true;
    case kF64: f(Number<double>{}); return true;
    case kC64: f(Complex<float>{}); return true;
    case kC128: f(Complex<double>{}); return true;
  }
  return false;
}

// How many elements of each chunk are not zero.
template <class E>
void count(const E* x, int64_t n, int64_t* counts) {
  parallel_for(n, kChunk, [=](int64_t begin, int64_t end) {
    int64_t found = 0;
    for (int64_t i = begin; i < end; ++i) found += !x[i].zero();
    counts[begin / kChunk] = found;
  });
}

// Writes the indices along each dimension of what is not zero, those of a chunk from its place on.
template <class E, class I>
void write(const E* x, int64_t n, int ndim, const int64_t* shape, const int64_t* places,
           I* const* out) {
  const int64_t length = shape[ndim - 1];
  parallel_for(n, kChunk, [=](int64_t begin, int64_t end) {
    int64_t to = places[begin / kChunk], last = places[begin / kChunk + 1];
    const bool all = last - to == end - begin;
    I* inner = out[ndim - 1];
    for (int64_t i = begin; i < end && to < last;) {
      int64_t row = i / length, first = i - row * length;
      int64_t stop = std::min(end - i, length - first) + first, from = to;
      const E* elements = x + row * length;
      if (all) {
        for (int64_t k = first; k < stop; ++k) inner[to + k - first] = I(k);
        to += stop - first;
      } else {
        // An index that is not wanted is written over by the next one.
        for (int64_t k = first; k < stop && to < last; ++k) {
          inner[to] = I(k);
          to += !elements[k].zero();
        }
      }
      i += stop - first;
      for (int d = ndim - 2; d >= 0; row /= shape[d--])
        std::fill(out[d] + from, out[d] + to, I(row % shape[d]));
    }
  });
}

}  // namespace

PyObject* nonzero(PyObject*, PyObject* const* args, Py_ssize_t nargs) {
  int code;
  if (nargs != 2) {
    PyErr_Format(PyExc_TypeError, "wrong number of arguments (%zd): nonzero(array, code)", nargs);
    return nullptr;
  }
  ArrayObject* a = require_array(args[0]);
  if (!a || !parse_code(args[1], &code) || !check_alive(a) || !(a = on_host(a))) return nullptr;
  if (!a->ndim || (code != kI32 && code != kI64) || a->code > kC128) {
    PyErr_SetString(PyExc_TypeError,
                    "nonzero takes an array of numbers and dimensions, and the code of int32 or "
                    "int64");
    return nullptr;
  }
  const int64_t n = a->size, chunks = (n + kChunk - 1) / kChunk;
  Scratch<int64_t> places(chunks + 1);
  if (!places) return PyErr_NoMemory();
  int64_t* counts = places.get();
  Py_BEGIN_ALLOW_THREADS;
  with_element(a->code, [&](auto element) {
    count(reinterpret_cast<const decltype(element)*>(a->data), n, counts);
  });
  Py_END_ALLOW_THREADS;
  int64_t total = 0;
  for (int64_t c = 0; c < chunks; ++c) total += std::exchange(counts[c], total);
  counts[chunks] = total;

  PyObject* results = PyTuple_New(a->ndim);
  if (!results) return nullptr;
  std::vector<void*> out;
  for (int d = 0; d < a->ndim; ++d) {
    ArrayObject* indices = array_empty(code, false, 1, &total);
    if (!indices) {
      Py_DECREF(results);
      return nullptr;
    }
    out.push_back(indices->data);
    PyTuple_SET_ITEM(results, d, as_object(indices));
  }
  Py_BEGIN_ALLOW_THREADS;
  with_element(a->code, [&](auto element) {
    auto* x = reinterpret_cast<const decltype(element)*>(a->data);
    if (code == kI32)
      write(x, n, a->ndim, a->shape, counts, reinterpret_cast<int32_t* const*>(out.data()));
    else
      write(x, n, a->ndim, a->shape, counts, reinterpret_cast<int64_t* const*>(out.data()));
  });
  Py_END_ALLOW_THREADS;
  return results;
}

}  // namespace covector
