// Exchange of arrays with other libraries through DLPack.
#include <cstdint>
#include <cstring>
#include <memory>

#include "host/array.h"
#include "host/dlpack_abi.h"
#include "host/registry.h"
#include "python/ref.h"

namespace covector {
namespace {

using namespace dlpack;

bool to_dlpack_type(int code, DataType* type) {
  uint8_t kind;
  if (code == kBool)
    kind = kBoolean;
  else if (is_signed(code))
    kind = kInt;
  else if (is_integer(code))
    kind = kUInt;
  else if (code == kBF16)
    kind = kBfloat;
  else if (is_real_float(code))
    kind = kFloat;
  else if (is_complex(code))
    kind = kComplex;
  else if (const SmallType* small = small_type(code); small && small->dlpack)
    kind = small->dlpack;
  else
    return false;
  *type = {kind, uint8_t(itemsizes[code] * 8), 1};
  return true;
}

int from_dlpack_type(DataType type) {
  for (int code = 0; code < kMaxCodes; ++code) {
    DataType own;
    if (to_dlpack_type(code, &own) && own.code == type.code && own.bits == type.bits &&
        type.lanes == 1)
      return code;
  }
  return -1;
}

// What an exported tensor keeps alive.
template <class M>
struct Export {
  M managed;
  Storage* storage;
  std::unique_ptr<int64_t[]> dims;  // shape, then strides
};

template <class M>
void delete_export(M* managed) {
  auto* self = static_cast<Export<M>*>(managed->context);
  self->storage->drop();
  delete self;
}

template <class M>
constexpr const char* kCapsule = nullptr;
template <>
constexpr const char* kCapsule<Managed> = "dltensor";
template <>
constexpr const char* kCapsule<ManagedVersioned> = "dltensor_versioned";

template <class M>
void delete_capsule(PyObject* capsule) {
  if (!PyCapsule_IsValid(capsule, kCapsule<M>)) return;  // consumed
  auto* managed = static_cast<M*>(PyCapsule_GetPointer(capsule, kCapsule<M>));
  if (managed && managed->deleter) managed->deleter(managed);
}

template <class M>
PyObject* export_array(ArrayObject* a, DataType type, bool copied) {
  auto* self = new Export<M>{};
  self->storage = a->storage->share();
  self->dims.reset(new int64_t[2 * size_t(a->ndim) + 1]);
  uint64_t stride = 1;  // may wrap around in an empty array
  for (int i = a->ndim - 1; i >= 0; --i) {
    self->dims[i] = a->shape[i];
    self->dims[a->ndim + i] = int64_t(stride);
    stride *= uint64_t(a->shape[i]);
  }
  M& managed = self->managed;
  managed.tensor = {a->data, {kCpu, 0}, a->ndim, type, &self->dims[0], &self->dims[a->ndim], 0};
  managed.context = self;
  managed.deleter = delete_export<M>;
  if constexpr (std::is_same_v<M, ManagedVersioned>) {
    managed.version = {1, 0};
    managed.flags = copied ? kIsCopied : kReadOnly;
  }
  PyObject* capsule = PyCapsule_New(&managed, kCapsule<M>, delete_capsule<M>);
  if (!capsule) delete_export(&managed);
  return capsule;
}

template <class M>
void release_import(void* context) {
  auto* managed = static_cast<M*>(context);
  if (!managed->deleter || !Py_IsInitialized()) return;
  GilGuard gil;
  managed->deleter(managed);
}

void copy_strided(const Tensor& t, int axis, const char* from, int64_t itemsize, char** to) {
  if (axis == t.ndim) {
    std::memcpy(*to, from, size_t(itemsize));
    *to += itemsize;
    return;
  }
  for (int64_t i = 0; i < t.shape[axis]; ++i)
    copy_strided(t, axis + 1, from + i * t.strides[axis] * itemsize, itemsize, to);
}

bool require_dlpack(const ArrayObject* a) {
  if (!a->storage->memory) return true;
  PyErr_SetString(PyExc_BufferError,
                  "DLPack of an array on this device is not supported; move it to the CPU with "
                  "device_put first");
  return false;
}

enum class Copy { kNever, kAlways, kIfNeeded };

// How a tensor of another library is laid out.
struct Layout {
  int code = -1;
  int64_t size = 0;
  bool contiguous = true;
  char* data = nullptr;
};

bool refuse(const char* what) {
  PyErr_Format(PyExc_BufferError, "the DLPack tensor is damaged: %s", what);
  return false;
}

// Bytes from the lowest to the highest element must fit into the address space.
bool check_strides(const Tensor& t, int64_t itemsize) {
  int64_t extent = 0;
  for (int i = 0; i < t.ndim; ++i) {
    int64_t reach;
    bool overflow = __builtin_mul_overflow(t.strides[i], t.shape[i] - 1, &reach);
    if (reach == INT64_MIN) overflow = true;
    if (overflow || __builtin_add_overflow(extent, reach < 0 ? -reach : reach, &extent))
      return refuse("its strides reach beyond all memory");
  }
  int64_t nbytes;
  return !__builtin_mul_overflow(extent, itemsize, &nbytes) ||
         refuse("its strides reach beyond all memory");
}

// Everything a tensor says is checked but its memory, which nobody can.
bool inspect(const Tensor& t, Layout* layout) {
  if (t.device.type != kCpu) {
    PyErr_Format(PyExc_BufferError, "the DLPack tensor is on device type %d, not on the CPU",
                 t.device.type);
    return false;
  }
  layout->code = from_dlpack_type(t.dtype);
  if (layout->code < 0) {
    PyErr_Format(PyExc_BufferError, "DLPack type (code %d, %d bits, %d lanes) is not supported",
                 t.dtype.code, t.dtype.bits, t.dtype.lanes);
    return false;
  }
  if (t.ndim < 0 || t.ndim > kMaxDims) {
    PyErr_Format(PyExc_BufferError, "the DLPack tensor has %d dimensions; an Array has 0 to %d",
                 t.ndim, kMaxDims);
    return false;
  }
  if (t.ndim > 0 && !t.shape) return refuse("it has no shape");
  for (int i = 0; i < t.ndim; ++i)
    if (t.shape[i] < 0) {
      PyErr_Format(PyExc_BufferError,
                   "the DLPack tensor is damaged: its axis %d has the negative size %lld", i,
                   static_cast<long long>(t.shape[i]));
      return false;
    }
  layout->size = count_elements(layout->code, t.ndim, t.shape);
  if (layout->size < 0) return false;
  if (layout->size == 0) return true;
  if (!t.data) return refuse("its data pointer is null, but it has elements");
  if (t.strides) {
    if (!check_strides(t, itemsizes[layout->code])) return false;
    int64_t expected = 1;
    for (int i = t.ndim - 1; i >= 0; --i) {
      if (t.shape[i] != 1 && t.strides[i] != expected) layout->contiguous = false;
      expected *= t.shape[i];
    }
  }
  layout->data = static_cast<char*>(t.data) + t.byte_offset;
  return true;
}

bool is_aligned(const Layout& layout) {
  int itemsize = itemsizes[layout.code];
  auto alignment = uintptr_t(is_complex(layout.code) ? itemsize / 2 : itemsize);
  return reinterpret_cast<uintptr_t>(layout.data) % alignment == 0;
}

// An array of its own with the elements of a tensor.
ArrayObject* copied(const Tensor& t, const Layout& layout) {
  ArrayObject* a = array_empty(layout.code, false, t.ndim, t.shape);
  if (!a || layout.size == 0) return a;
  if (layout.contiguous) {
    std::memcpy(a->data, layout.data, array_nbytes(a));
  } else {
    char* to = a->data;
    copy_strided(t, 0, layout.data, itemsizes[layout.code], &to);
  }
  return a;
}

// Takes over the tensor and marks the capsule as used, unless it fails.
template <class M>
PyObject* import_tensor(PyObject* capsule, M* managed, Copy copy) {
  const Tensor& t = managed->tensor;
  Layout layout;
  if (!inspect(t, &layout)) return nullptr;
  bool shareable = layout.contiguous && is_aligned(layout);
  if (copy == Copy::kNever && !shareable) {
    PyErr_Format(PyExc_BufferError, "the DLPack tensor is %s, so that it must be copied",
                 layout.contiguous ? "not aligned" : "strided");
    return nullptr;
  }
  static constexpr bool kVersioned = std::is_same_v<M, ManagedVersioned>;
  const char* used = kVersioned ? "used_dltensor_versioned" : "used_dltensor";
  // An array of no elements shares nothing.
  if (shareable && copy != Copy::kAlways && layout.size > 0) {
    size_t nbytes = size_t(layout.size) * itemsizes[layout.code];
    Storage* storage = Storage::wrap(layout.data, nbytes, release_import<M>, managed);
    if (!storage) return PyErr_NoMemory();
    PyCapsule_SetName(capsule, used);
    return as_object(array_wrap(layout.code, false, t.ndim, t.shape, storage, layout.data));
  }
  ArrayObject* a = copied(t, layout);
  if (!a) return nullptr;
  PyCapsule_SetName(capsule, used);
  if (managed->deleter) managed->deleter(managed);
  return as_object(a);
}

}  // namespace

PyObject* array_dlpack(PyObject* self, PyObject* args, PyObject* kwargs) {
  static const char* names[] = {"stream", "max_version", "dl_device", "copy", nullptr};
  PyObject *stream = Py_None, *max_version = Py_None, *device = Py_None, *copy = Py_None;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|OOOO:__dlpack__", const_cast<char**>(names),
                                   &stream, &max_version, &device, &copy))
    return nullptr;
  ArrayObject* a = as_array(self);
  if (!check_alive(a)) return nullptr;
  if (!require_dlpack(a)) return nullptr;
  if (stream != Py_None) {
    PyErr_SetString(PyExc_BufferError, "an array on the CPU has no stream; pass stream=None");
    return nullptr;
  }
  if (device != Py_None) {
    int type, id;
    if (!PyTuple_Check(device) || !PyArg_ParseTuple(device, "ii", &type, &id)) return nullptr;
    if (type != kCpu) {
      PyErr_Format(PyExc_BufferError, "an array on the CPU cannot be exported to device type %d",
                   type);
      return nullptr;
    }
  }
  DataType type;
  if (!to_dlpack_type(a->code, &type)) {
    PyErr_Format(PyExc_BufferError, "dtype %s does not exist in DLPack", dtype_name(a->code));
    return nullptr;
  }
  bool versioned = false;
  if (max_version != Py_None) {
    int major, minor;
    if (!PyTuple_Check(max_version) || !PyArg_ParseTuple(max_version, "ii", &major, &minor))
      return nullptr;
    versioned = major >= 1;
  }
  int copied = copy == Py_None ? 0 : PyObject_IsTrue(copy);
  if (copied < 0) return nullptr;
  Ref fresh;
  if (copied) {
    ArrayObject* b = array_empty(a->code, a->weak, a->ndim, a->shape);
    if (!b) return nullptr;
    fresh = Ref(as_object(b));
    std::memcpy(b->data, a->data, array_nbytes(a));
    a = b;
  }
  return versioned ? export_array<ManagedVersioned>(a, type, copied)
                   : export_array<Managed>(a, type, copied);
}

PyObject* array_dlpack_device(PyObject* self, PyObject*) {
  ArrayObject* a = as_array(self);
  if (!check_alive(a) || !require_dlpack(a)) return nullptr;
  return Py_BuildValue("(ii)", int(kCpu), 0);
}

PyObject* from_dlpack_capsule(PyObject*, PyObject* const* args, Py_ssize_t nargs) {
  if (nargs < 1 || nargs > 2) {
    PyErr_SetString(PyExc_TypeError, "from_dlpack_capsule(capsule, copy=None)");
    return nullptr;
  }
  PyObject* capsule = args[0];
  Copy copy = Copy::kIfNeeded;
  if (nargs == 2 && args[1] != Py_None) {
    int yes = PyObject_IsTrue(args[1]);
    if (yes < 0) return nullptr;
    copy = yes ? Copy::kAlways : Copy::kNever;
  }
  if (PyCapsule_IsValid(capsule, kCapsule<ManagedVersioned>)) {
    auto* managed =
        static_cast<ManagedVersioned*>(PyCapsule_GetPointer(capsule, kCapsule<ManagedVersioned>));
    if (managed->version.major != 1) {
      PyErr_Format(PyExc_BufferError, "DLPack version %u is not supported", managed->version.major);
      return nullptr;
    }
    return import_tensor(capsule, managed, copy);
  }
  if (PyCapsule_IsValid(capsule, kCapsule<Managed>))
    return import_tensor(
        capsule, static_cast<Managed*>(PyCapsule_GetPointer(capsule, kCapsule<Managed>)), copy);
  PyErr_SetString(PyExc_ValueError, "expected a DLPack capsule that has not been used");
  return nullptr;
}

}  // namespace covector
