// Exchange of arrays with other libraries through DLPack.
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
  else
    return false;
  *type = {kind, uint8_t(itemsizes[code] * 8), 1};
  return true;
}

int from_dlpack_type(DataType type) {
  for (int code = 0; code < kNumCodes; ++code) {
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

// Takes over the tensor and marks the capsule as used, unless it fails.
template <class M>
PyObject* import_tensor(PyObject* capsule, M* managed, Copy copy) {
  const Tensor& t = managed->tensor;
  if (t.device.type != kCpu) {
    PyErr_Format(PyExc_BufferError, "the DLPack tensor is on device type %d, not on the CPU",
                 t.device.type);
    return nullptr;
  }
  int code = from_dlpack_type(t.dtype);
  if (code < 0) {
    PyErr_Format(PyExc_BufferError, "DLPack type (code %d, %d bits, %d lanes) is not supported",
                 t.dtype.code, t.dtype.bits, t.dtype.lanes);
    return nullptr;
  }
  if (t.ndim < 0 || t.ndim > kMaxDims) {
    PyErr_Format(PyExc_BufferError, "the DLPack tensor has %d dimensions", t.ndim);
    return nullptr;
  }
  int64_t size = count_elements(code, t.ndim, t.shape);
  if (size < 0) return nullptr;
  bool contiguous = true;
  if (t.strides && size > 0) {
    int64_t expected = 1;
    for (int i = t.ndim - 1; i >= 0; --i) {
      if (t.shape[i] != 1 && t.strides[i] != expected) contiguous = false;
      expected *= t.shape[i];
    }
  }
  char* data = static_cast<char*>(t.data) + t.byte_offset;
  int64_t itemsize = itemsizes[code];
  int alignment = is_complex(code) ? int(itemsize / 2) : int(itemsize);
  PyObject* result;
  bool shareable = contiguous && reinterpret_cast<uintptr_t>(data) % uintptr_t(alignment) == 0;
  if (copy == Copy::kNever && !shareable) {
    PyErr_Format(PyExc_BufferError, "the DLPack tensor is %s, so that it must be copied",
                 contiguous ? "not aligned" : "strided");
    return nullptr;
  }
  if (shareable && copy != Copy::kAlways) {
    Storage* storage = Storage::wrap(data, size_t(size * itemsize), release_import<M>, managed);
    if (!storage) return PyErr_NoMemory();
    static constexpr bool kVersioned = std::is_same_v<M, ManagedVersioned>;
    PyCapsule_SetName(capsule, kVersioned ? "used_dltensor_versioned" : "used_dltensor");
    return as_object(array_wrap(code, false, t.ndim, t.shape, storage, data));
  }
  ArrayObject* a = array_empty(code, false, t.ndim, t.shape);
  if (!a) return nullptr;
  result = as_object(a);
  if (contiguous) {
    std::memcpy(a->data, data, size_t(size * itemsize));
  } else {
    char* to = a->data;
    copy_strided(t, 0, data, itemsize, &to);
  }
  static constexpr bool kVersioned = std::is_same_v<M, ManagedVersioned>;
  PyCapsule_SetName(capsule, kVersioned ? "used_dltensor_versioned" : "used_dltensor");
  if (managed->deleter) managed->deleter(managed);
  return result;
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
