// Native flattening of call arguments.
#include "call/signature.h"

#include <algorithm>
#include <cstring>

#include "host/array.h"
#include "host/registry.h"
#include "python/ref.h"
#include "python/trace_state.h"

namespace covector {
namespace {

enum Tag : uint64_t {
  kTagArray = 1,
  kTagBool,
  kTagInt,
  kTagFloat,
  kTagComplex,
  kTagNone,
  kTagTuple,
  kTagList,
  kTagDict,
  kTagNamedTuple,
  kTagNode,
  kTagKeyword,
  kTagStaticInt,
  kTagStaticBits,
  kTagStaticObject,
};

constexpr uint64_t word(Tag tag, uint64_t payload = 0) { return (uint64_t(tag) << 56) | payload; }

uint64_t address(void* p) { return reinterpret_cast<uintptr_t>(p); }

bool is_namedtuple(PyObject* obj) {
  static PyObject* fields = PyUnicode_InternFromString("_fields");
  return PyTuple_Check(obj) && _PyType_Lookup(Py_TYPE(obj), fields) != nullptr;
}

bool is_static_name(const StaticArguments& statics, PyObject* name) {
  for (PyObject* other : statics.names)
    if (name == other || PyUnicode_Compare(name, other) == 0) return true;
  return false;
}

bool is_static_position(const StaticArguments& statics, Py_ssize_t i, Py_ssize_t nargs) {
  for (long p : statics.positions)
    if (i == (p < 0 ? p + nargs : p)) return true;
  return false;
}

// As deep as the pytree library goes, whatever the interpreter's limit is: the stack has room for
// so much, and a list may contain itself.
constexpr int kMaxDepth = 1000;
thread_local int depth = 0;

class RecursionGuard {
 public:
  RecursionGuard() : ok_(++depth <= kMaxDepth) {
    if (!ok_)
      PyErr_Format(PyExc_RecursionError,
                   "arguments are nested more than %d deep, or contain themselves", kMaxDepth);
  }
  ~RecursionGuard() { --depth; }
  explicit operator bool() const { return ok_; }

 private:
  bool ok_;
};

}  // namespace

Signature::Outcome Signature::build(const StaticArguments& statics, PyObject* const* args,
                                    Py_ssize_t nargs, PyObject* kwnames) {
  Py_ssize_t nkw = kwnames ? PyTuple_GET_SIZE(kwnames) : 0;
  words.push_back(context_key());
  words.push_back((uint64_t(nargs) << 32) | uint64_t(nkw));
  bool some_static = !statics.positions.empty();
  for (Py_ssize_t i = 0; i < nargs; ++i) {
    Outcome outcome =
        some_static && is_static_position(statics, i, nargs) ? add_static(args[i]) : add(args[i]);
    if (outcome != kEligible) return outcome;
  }
  if (nkw == 0) return kEligible;
  SmallVector<Py_ssize_t, 16> order;
  order.resize(size_t(nkw));
  for (Py_ssize_t i = 0; i < nkw; ++i) order[size_t(i)] = i;
  std::sort(order.begin(), order.end(), [&](Py_ssize_t a, Py_ssize_t b) {
    return PyUnicode_Compare(PyTuple_GET_ITEM(kwnames, a), PyTuple_GET_ITEM(kwnames, b)) < 0;
  });
  for (Py_ssize_t i : order) {
    PyObject* name = PyTuple_GET_ITEM(kwnames, i);
    words.push_back(word(kTagKeyword));
    objects.push_back(name);
    Outcome outcome =
        is_static_name(statics, name) ? add_static(args[nargs + i]) : add(args[nargs + i]);
    if (outcome != kEligible) return outcome;
  }
  return kEligible;
}

Signature::Outcome Signature::add(PyObject* obj) {
  if (is_array(obj)) {
    ArrayObject* a = as_array(obj);
    if (!check_alive(a)) return kError;
    words.push_back(word(kTagArray, (uint64_t(a->placement) << 24) | (uint64_t(a->ndim) << 16) |
                                        (uint64_t(a->weak) << 8) | a->code));
    for (int i = 0; i < a->ndim; ++i) words.push_back(uint64_t(a->shape[i]));
    leaves.push_back(obj);
    return kEligible;
  }
  if (PyFloat_CheckExact(obj)) {
    words.push_back(word(kTagFloat));
    leaves.push_back(obj);
    return kEligible;
  }
  if (PyLong_CheckExact(obj)) {
    words.push_back(word(kTagInt));
    leaves.push_back(obj);
    return kEligible;
  }
  return add_other(obj);
}

Signature::Outcome Signature::add_other(PyObject* obj) {
  if (PyTuple_CheckExact(obj)) {
    RecursionGuard guard;
    if (!guard) return kError;
    words.push_back(word(kTagTuple, uint64_t(PyTuple_GET_SIZE(obj))));
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(obj); ++i)
      if (Outcome o = add(PyTuple_GET_ITEM(obj, i)); o != kEligible) return o;
    return kEligible;
  }
  if (PyList_CheckExact(obj)) {
    RecursionGuard guard;
    if (!guard) return kError;
    Py_ssize_t n = PyList_GET_SIZE(obj);
    words.push_back(word(kTagList, uint64_t(n)));
    for (Py_ssize_t i = 0; i < n; ++i) {
      if (i >= PyList_GET_SIZE(obj)) return kIneligible;  // changed by a conversion
      // Owned, because the list may change before the call has ended.
      if (Outcome o = add(own(Py_NewRef(PyList_GET_ITEM(obj, i)))); o != kEligible) return o;
    }
    return kEligible;
  }
  if (PyDict_CheckExact(obj)) return add_dict(obj);
  if (obj == Py_None) {
    words.push_back(word(kTagNone));
    return kEligible;
  }
  if (PyBool_Check(obj)) {
    words.push_back(word(kTagBool));
    leaves.push_back(obj);
    return kEligible;
  }
  if (PyComplex_CheckExact(obj)) {
    words.push_back(word(kTagComplex));
    leaves.push_back(obj);
    return kEligible;
  }
  PyTypeObject* type = Py_TYPE(obj);
  if (numpy_converter && (type == ndarray_type || PyType_IsSubtype(type, generic_type))) {
    PyObject* converted = PyObject_CallOneArg(numpy_converter, obj);
    if (!converted) return kError;
    own(converted);
    return is_array(converted) ? add(converted) : kIneligible;
  }
  if (PyObject* flatten = node_flattener(type)) return add_node(obj, flatten);
  if (is_namedtuple(obj)) {
    RecursionGuard guard;
    if (!guard) return kError;
    words.push_back(word(kTagNamedTuple, uint64_t(PyTuple_GET_SIZE(obj))));
    words.push_back(address(type));
    objects.push_back(reinterpret_cast<PyObject*>(type));  // keeps the address from reuse
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(obj); ++i)
      if (Outcome o = add(PyTuple_GET_ITEM(obj, i)); o != kEligible) return o;
    return kEligible;
  }
  return kIneligible;
}

Signature::Outcome Signature::add_dict(PyObject* dict) {
  RecursionGuard guard;
  if (!guard) return kError;
  words.push_back(word(kTagDict, uint64_t(PyDict_GET_SIZE(dict))));
  struct Item {
    PyObject *key, *value;
  };
  SmallVector<Item, 16> items;
  PyObject *key, *value;
  bool all_strings = true;
  for (Py_ssize_t at = 0; PyDict_Next(dict, &at, &key, &value);) {
    all_strings &= PyUnicode_CheckExact(key);
    items.push_back({own(Py_NewRef(key)), own(Py_NewRef(value))});
  }
  if (all_strings) {
    auto less = [](const Item& a, const Item& b) { return PyUnicode_Compare(a.key, b.key) < 0; };
    if (!std::is_sorted(items.begin(), items.end(), less))
      std::sort(items.begin(), items.end(), less);
    for (const Item& item : items) {
      objects.push_back(item.key);
      if (Outcome o = add(item.value); o != kEligible) return o;
    }
    return kEligible;
  }
  PyObject* keys = PyDict_Keys(dict);
  if (!keys) return kError;
  own(keys);
  if (PyList_Sort(keys) < 0) {
    // Keys without an order: Python decides how to arrange them.
    if (!PyErr_ExceptionMatches(PyExc_TypeError)) return kError;
    PyErr_Clear();
    return kIneligible;
  }
  for (Py_ssize_t i = 0; i < PyList_GET_SIZE(keys); ++i) {
    key = PyList_GET_ITEM(keys, i);
    value = PyDict_GetItemWithError(dict, key);
    if (!value) return PyErr_Occurred() ? kError : kIneligible;
    objects.push_back(key);
    words.push_back(address(Py_TYPE(key)));
    if (Outcome o = add(own(Py_NewRef(value))); o != kEligible) return o;
  }
  return kEligible;
}

Signature::Outcome Signature::add_node(PyObject* obj, PyObject* flatten) {
  RecursionGuard guard;
  if (!guard) return kError;
  PyObject* flat = PyObject_CallOneArg(flatten, obj);
  if (!flat) return kError;
  own(flat);
  if (!PyTuple_Check(flat) || PyTuple_GET_SIZE(flat) < 2) {
    PyErr_Format(PyExc_TypeError, "the flatten function of %.200s must return (children, aux)",
                 Py_TYPE(obj)->tp_name);
    return kError;
  }
  PyObject* children = PySequence_Tuple(PyTuple_GET_ITEM(flat, 0));
  if (!children) return kError;
  own(children);
  PyObject* aux = PyTuple_GET_ITEM(flat, 1);
  words.push_back(word(kTagNode, uint64_t(PyTuple_GET_SIZE(children))));
  words.push_back(address(Py_TYPE(obj)));
  words.push_back(address(Py_TYPE(aux)));
  objects.push_back(aux);
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(children); ++i)
    if (Outcome o = add(PyTuple_GET_ITEM(children, i)); o != kEligible) return o;
  return kEligible;
}

// Small ints, bools and floats are compared by value and type in words alone; a float by its
// bits, so that 0.0 and -0.0 differ and a NaN equals itself.
Signature::Outcome Signature::add_static(PyObject* obj) {
  words.push_back(address(Py_TYPE(obj)));
  if (PyFloat_CheckExact(obj)) {
    double x = PyFloat_AS_DOUBLE(obj);
    uint64_t bits;
    std::memcpy(&bits, &x, sizeof bits);
    words.push_back(word(kTagStaticBits));
    words.push_back(bits);
    return kEligible;
  }
  if (PyLong_CheckExact(obj) || PyBool_Check(obj)) {
    int overflow;
    long long x = PyLong_AsLongLongAndOverflow(obj, &overflow);
    if (!overflow) {
      words.push_back(word(kTagStaticInt));
      words.push_back(uint64_t(x));
      return kEligible;
    }
  }
  words.push_back(word(kTagStaticObject));
  objects.push_back(obj);
  return kEligible;
}

bool Signature::hash(uint64_t* result) const {
  uint64_t h = words.size();
  for (uint64_t w : words) {
    h = (h ^ w) * 0x9E3779B97F4A7C15u;
    h ^= h >> 29;
  }
  for (PyObject* obj : objects) {
    Py_hash_t x = PyObject_Hash(obj);
    if (x == -1) return false;
    h = (h ^ uint64_t(x)) * 0x9E3779B97F4A7C15u;
    h ^= h >> 29;
  }
  *result = h;
  return true;
}

Equality equal_objects(PyObject* a, PyObject* b) {
  if (a == b) return Equality::kYes;
  if (Py_TYPE(a) != Py_TYPE(b)) return Equality::kNo;
  Ref left = Ref::borrow(a), right = Ref::borrow(b);
  int equal = PyObject_RichCompareBool(a, b, Py_EQ);
  return equal < 0 ? Equality::kError : equal ? Equality::kYes : Equality::kNo;
}

}  // namespace covector
