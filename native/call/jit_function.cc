// JitFunction: the cache from signatures to FastPaths, and the call.
#include "call/jit_function.h"

#include <structmember.h>

#include <cstring>
#include <list>
#include <memory>
#include <new>
#include <unordered_map>

#include "call/fast_path.h"
#include "call/signature.h"
#include "host/array.h"
#include "python/ref.h"
#include "python/trace_state.h"
#include "python/type.h"

namespace covector {
namespace {

constexpr size_t kDefaultMaxEntries = 4096;

struct CacheEntry {
  uint64_t hash;
  std::vector<uint64_t> words;
  std::vector<PyObject*> objects;  // owned
  FastPathObject* path;            // owned

  CacheEntry(uint64_t h, const Signature& s, FastPathObject* p)
      : hash(h),
        words(s.words.begin(), s.words.end()),
        objects(s.objects.begin(), s.objects.end()),
        path(p) {
    for (PyObject* obj : objects) Py_INCREF(obj);
    Py_INCREF(reinterpret_cast<PyObject*>(path));
  }
  ~CacheEntry() {
    for (PyObject* obj : objects) Py_DECREF(obj);
    Py_DECREF(reinterpret_cast<PyObject*>(path));
  }
  CacheEntry(const CacheEntry&) = delete;
  CacheEntry& operator=(const CacheEntry&) = delete;

  bool same_words(const Signature& s) const {
    return words.size() == s.words.size() && objects.size() == s.objects.size() &&
           std::memcmp(words.data(), s.words.data(), words.size() * sizeof(uint64_t)) == 0;
  }
};

using EntryPtr = std::shared_ptr<CacheEntry>;

// Most recently used first.
struct Cache {
  using List = std::list<EntryPtr>;
  List entries;
  std::unordered_multimap<uint64_t, List::iterator> by_hash;
};

struct JitBody {
  PyObject* fallback = nullptr;
  PyObject* name = nullptr;
  StaticArguments statics;
  size_t max_entries = kDefaultMaxEntries;
  Cache cache;
};

struct JitObject {
  PyObject_HEAD
  vectorcallfunc vectorcall;
  PyObject* dict;
  PyObject* weakrefs;
  long long hits, misses;
  JitBody body;
};

PyTypeObject* JitType = nullptr;

JitObject* as_jit(PyObject* obj) { return reinterpret_cast<JitObject*>(obj); }

// --- the cache ------------------------------------------------------------------------------

// Equality that needs no Python code to run: the same objects, or equal plain strings.
bool identical_objects(const CacheEntry& e, const Signature& s) {
  for (size_t i = 0; i < e.objects.size(); ++i) {
    PyObject *a = e.objects[i], *b = s.objects[i];
    if (a == b) continue;
    if (!PyUnicode_CheckExact(a) || !PyUnicode_CheckExact(b) || PyUnicode_Compare(a, b) != 0)
      return false;
  }
  return true;
}

// The program for a signature, borrowed, or null. `*hashed` tells whether `*hash` was computed.
enum class Lookup { kFound, kMissing, kUnhashable, kError };

Lookup find(Cache& cache, const Signature& s, FastPathObject** path, uint64_t* hash) {
  if (!cache.entries.empty()) [[likely]] {
    const CacheEntry& recent = *cache.entries.front();
    if (recent.same_words(s) && identical_objects(recent, s)) [[likely]] {
      *path = recent.path;
      return Lookup::kFound;
    }
  }
  if (!s.hash(hash)) {
    if (!PyErr_ExceptionMatches(PyExc_TypeError)) return Lookup::kError;
    PyErr_Clear();
    return Lookup::kUnhashable;
  }
  // Comparisons may run Python code that calls this very function, so the candidates are held
  // and the cache is not touched until they are over.
  std::vector<EntryPtr> candidates;
  auto [begin, end] = cache.by_hash.equal_range(*hash);
  for (auto it = begin; it != end; ++it)
    if ((*it->second)->same_words(s)) {
      if (identical_objects(**it->second, s)) {
        cache.entries.splice(cache.entries.begin(), cache.entries, it->second);
        *path = (*it->second)->path;
        return Lookup::kFound;
      }
      candidates.push_back(*it->second);
    }
  for (const EntryPtr& entry : candidates) {
    bool equal = true;
    for (size_t i = 0; equal && i < entry->objects.size(); ++i) {
      Equality e = equal_objects(entry->objects[i], s.objects[i]);
      if (e == Equality::kError) return Lookup::kError;
      equal = e == Equality::kYes;
    }
    if (!equal) continue;
    auto [first, last] = cache.by_hash.equal_range(*hash);
    for (auto it = first; it != last; ++it)
      if (*it->second == entry) {
        cache.entries.splice(cache.entries.begin(), cache.entries, it->second);
        *path = entry->path;
        return Lookup::kFound;
      }
  }
  return Lookup::kMissing;
}

EntryPtr remove_last(Cache& cache) {
  auto last = std::prev(cache.entries.end());
  auto [begin, end] = cache.by_hash.equal_range((*last)->hash);
  for (auto it = begin; it != end; ++it)
    if (it->second == last) {
      cache.by_hash.erase(it);
      break;
    }
  EntryPtr entry = *last;
  cache.entries.erase(last);
  return entry;
}

void insert(JitBody& body, uint64_t hash, const Signature& s, FastPathObject* path) {
  Cache& cache = body.cache;
  std::vector<EntryPtr> evicted;  // dies last: it may run Python code
  // A call made while this one was compiled may have stored the same signature.
  auto [begin, end] = cache.by_hash.equal_range(hash);
  for (auto it = begin; it != end; ++it)
    if ((*it->second)->same_words(s) && identical_objects(**it->second, s)) {
      evicted.push_back(*it->second);
      cache.entries.erase(it->second);
      cache.by_hash.erase(it);
      break;
    }
  while (!cache.entries.empty() && cache.entries.size() >= body.max_entries)
    evicted.push_back(remove_last(cache));
  cache.entries.push_front(std::make_shared<CacheEntry>(hash, s, path));
  cache.by_hash.emplace(hash, cache.entries.begin());
}

void clear(Cache& cache) {
  Cache::List entries;
  entries.swap(cache.entries);
  cache.by_hash.clear();
}  // the entries die here, when the cache is consistent again

// --- calls ----------------------------------------------------------------------------------

// fallback(args, kwargs) -> (result, fast). Stores `fast` under the signature, if there is one.
PyObject* call_fallback(JitObject* self, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames,
                        const Signature* signature, uint64_t hash) {
  ++self->misses;
  Ref positional(PyTuple_New(nargs));
  Ref keywords(PyDict_New());
  if (!positional || !keywords) return nullptr;
  for (Py_ssize_t i = 0; i < nargs; ++i) PyTuple_SET_ITEM(positional.get(), i, Py_NewRef(args[i]));
  if (kwnames)
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(kwnames); ++i)
      if (PyDict_SetItem(keywords.get(), PyTuple_GET_ITEM(kwnames, i), args[nargs + i]) < 0)
        return nullptr;
  Ref fallback = Ref::borrow(self->body.fallback);
  PyObject* stack[] = {positional.get(), keywords.get()};
  uint64_t key = context_key();
  Ref pair(PyObject_Vectorcall(fallback.get(), stack, 2, nullptr));
  if (!pair) return nullptr;
  if (!PyTuple_CheckExact(pair.get()) || PyTuple_GET_SIZE(pair.get()) != 2) {
    PyErr_Format(PyExc_TypeError, "the fallback of %U must return (result, fast), got %.200s",
                 self->body.name, Py_TYPE(pair.get())->tp_name);
    return nullptr;
  }
  PyObject* fast = PyTuple_GET_ITEM(pair.get(), 1);
  // Where the options have changed meanwhile, the program is not the one for the signature.
  if (fast != Py_None && signature && key == context_key()) {
    if (Py_TYPE(fast) != FastPathType) {
      PyErr_Format(PyExc_TypeError, "the fallback of %U must return a FastPath or None, got %.200s",
                   self->body.name, Py_TYPE(fast)->tp_name);
      return nullptr;
    }
    auto* path = reinterpret_cast<FastPathObject*>(fast);
    if (!bind_fast_path(path, *signature)) return nullptr;
    insert(self->body, hash, *signature, path);
  }
  return Py_NewRef(PyTuple_GET_ITEM(pair.get(), 0));
}

PyObject* dispatch(JitObject* self, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
  if (thread_state.trace) return call_fallback(self, args, nargs, kwnames, nullptr, 0);
  Signature signature;
  switch (signature.build(self->body.statics, args, nargs, kwnames)) {
    case Signature::kError: return nullptr;
    case Signature::kIneligible: return call_fallback(self, args, nargs, kwnames, nullptr, 0);
    case Signature::kEligible: break;
  }
  FastPathObject* path;
  uint64_t hash = 0;
  switch (find(self->body.cache, signature, &path, &hash)) {
    case Lookup::kFound: {
      ++self->hits;
      PyObject* held = Py_NewRef(reinterpret_cast<PyObject*>(path));
      PyObject* result = run_fast_path(path, signature);
      Py_DECREF(held);
      return result;
    }
    case Lookup::kMissing: return call_fallback(self, args, nargs, kwnames, &signature, hash);
    case Lookup::kUnhashable: return call_fallback(self, args, nargs, kwnames, nullptr, 0);
    case Lookup::kError: break;
  }
  return nullptr;
}

PyObject* jit_call(PyObject* self, PyObject* const* args, size_t nargsf, PyObject* kwnames) {
  return user_result(dispatch(as_jit(self), args, PyVectorcall_NARGS(nargsf), kwnames));
}

// --- construction and life cycle ------------------------------------------------------------

bool set_attribute(PyObject* self, const char* name, PyObject* value) {
  return PyDict_SetItemString(as_jit(self)->dict, name, value) == 0;
}

bool parse_statics(StaticArguments& statics, PyObject* argnums, PyObject* argnames) {
  if (argnums) {
    Ref fast(PySequence_Fast(argnums, "static_argnums must be a sequence of ints"));
    if (!fast) return false;
    for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(fast.get()); ++i) {
      long p = PyLong_AsLong(PySequence_Fast_GET_ITEM(fast.get(), i));
      if (p == -1 && PyErr_Occurred()) return false;
      statics.positions.push_back(p);
    }
  }
  if (argnames) {
    Ref fast(PySequence_Fast(argnames, "static_argnames must be a sequence of strings"));
    if (!fast) return false;
    for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(fast.get()); ++i) {
      PyObject* name = PySequence_Fast_GET_ITEM(fast.get(), i);
      if (!PyUnicode_Check(name)) {
        PyErr_SetString(PyExc_TypeError, "static_argnames must be a sequence of strings");
        return false;
      }
      PyObject* interned = Py_NewRef(name);
      PyUnicode_InternInPlace(&interned);
      statics.names.push_back(interned);
    }
  }
  return true;
}

PyObject* jit_new(PyTypeObject* type, PyObject* args, PyObject* kwargs) {
  static const char* names[] = {"fallback", "static_argnums", "static_argnames",
                                "name",     "max_entries",    nullptr};
  PyObject *fallback, *argnums = nullptr, *argnames = nullptr, *name = nullptr;
  Py_ssize_t max_entries = kDefaultMaxEntries;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|OOUn:JitFunction", const_cast<char**>(names),
                                   &fallback, &argnums, &argnames, &name, &max_entries))
    return nullptr;
  if (!PyCallable_Check(fallback)) {
    PyErr_SetString(PyExc_TypeError, "fallback must be callable");
    return nullptr;
  }
  PyObject* self = type->tp_alloc(type, 0);
  if (!self) return nullptr;
  Ref guard(self);
  JitObject* jit = as_jit(self);
  new (&jit->body) JitBody;
  jit->vectorcall = jit_call;
  jit->body.fallback = Py_NewRef(fallback);
  jit->body.name = name ? Py_NewRef(name) : PyUnicode_FromString("<jit>");
  jit->body.max_entries = max_entries < 1 ? 1 : size_t(max_entries);
  jit->dict = PyDict_New();
  if (!jit->body.name || !jit->dict || !parse_statics(jit->body.statics, argnums, argnames) ||
      !set_attribute(self, "__name__", jit->body.name) ||
      !set_attribute(self, "__qualname__", jit->body.name))
    return nullptr;
  return guard.release();
}

int jit_traverse(PyObject* self, visitproc visit, void* arg) {
  JitObject* jit = as_jit(self);
  Py_VISIT(Py_TYPE(self));
  Py_VISIT(jit->dict);
  Py_VISIT(jit->body.fallback);
  for (const EntryPtr& entry : jit->body.cache.entries) {
    if (entry.use_count() > 1) continue;  // also held by a look-up in progress
    for (PyObject* obj : entry->objects) Py_VISIT(obj);
    Py_VISIT(reinterpret_cast<PyObject*>(entry->path));
  }
  return 0;
}

int jit_clear(PyObject* self) {
  JitObject* jit = as_jit(self);
  clear(jit->body.cache);
  Py_CLEAR(jit->dict);
  // A cleared function may still be called by a finaliser.
  Py_INCREF(Py_None);
  Py_XSETREF(jit->body.fallback, Py_None);
  return 0;
}

void jit_dealloc(PyObject* self) {
  PyObject_GC_UnTrack(self);
  JitObject* jit = as_jit(self);
  if (jit->weakrefs) PyObject_ClearWeakRefs(self);
  clear(jit->body.cache);
  Py_CLEAR(jit->dict);
  Py_CLEAR(jit->body.fallback);
  Py_CLEAR(jit->body.name);
  for (PyObject* name : jit->body.statics.names) Py_DECREF(name);
  jit->body.~JitBody();
  free_object(self);
}

PyObject* clear_cache(PyObject* self, PyObject*) {
  clear(as_jit(self)->body.cache);
  Py_RETURN_NONE;
}
PyObject* cache_size(PyObject* self, PyObject*) {
  return PyLong_FromSize_t(as_jit(self)->body.cache.entries.size());
}
PyObject* get_fallback(PyObject* self, void*) { return Py_NewRef(as_jit(self)->body.fallback); }
PyObject* repr(PyObject* self) {
  return PyUnicode_FromFormat("<JitFunction %U>", as_jit(self)->body.name);
}

PyMethodDef methods[] = {
    {"clear_cache", clear_cache, METH_NOARGS, "Forget all compiled programs."},
    {"cache_size", cache_size, METH_NOARGS, "The number of signatures with a program."},
    {nullptr},
};

PyGetSetDef getset[] = {
    {"fallback", get_fallback, nullptr, "What is called for an unknown signature.", nullptr},
    {"__dict__", PyObject_GenericGetDict, PyObject_GenericSetDict, nullptr, nullptr},
    {nullptr},
};

PyMemberDef members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(JitObject, vectorcall), READONLY, nullptr},
    {"__dictoffset__", T_PYSSIZET, offsetof(JitObject, dict), READONLY, nullptr},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(JitObject, weakrefs), READONLY, nullptr},
    {"hits", T_LONGLONG, offsetof(JitObject, hits), READONLY, nullptr},
    {"misses", T_LONGLONG, offsetof(JitObject, misses), READONLY, nullptr},
    {nullptr},
};

PyType_Slot slots[] = {
    {Py_tp_doc, const_cast<char*>("A function compiled for the types of its arguments.")},
    {Py_tp_new, reinterpret_cast<void*>(jit_new)},
    {Py_tp_dealloc, reinterpret_cast<void*>(jit_dealloc)},
    {Py_tp_traverse, reinterpret_cast<void*>(jit_traverse)},
    {Py_tp_clear, reinterpret_cast<void*>(jit_clear)},
    {Py_tp_call, reinterpret_cast<void*>(PyVectorcall_Call)},
    {Py_tp_descr_get, reinterpret_cast<void*>(bind_method)},
    {Py_tp_repr, reinterpret_cast<void*>(repr)},
    {Py_tp_methods, methods},
    {Py_tp_getset, getset},
    {Py_tp_members, members},
    {0, nullptr},
};

PyType_Spec spec = {"covector._native.JitFunction", sizeof(JitObject), 0, kFunctionFlags, slots};

}  // namespace

bool init_jit_function(PyObject* module) {
  return add_type(module, "JitFunction", &spec, &JitType);
}

}  // namespace covector
